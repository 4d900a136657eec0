// Rows of a name and a value; how they stand is the view's.
import type { ComponentChildren, JSX } from "preact";

export type Fact = [name: string, value: ComponentChildren];

export const Facts = ({ rows, className = "facts" }: { rows: Fact[]; className?: string }): JSX.Element => (
  <dl class={className}>
    {rows.map(([name, value]) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </div>
    ))}
  </dl>
);
