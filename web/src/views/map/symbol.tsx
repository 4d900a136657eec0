import type { JSX } from "preact";
import { shape, type SymbolName } from "./symbols.ts";

/** A symbol of the map, in text and legends. What it means stands beside it in words. */
export function Symbol({ name, size = 16 }: { name: SymbolName; size?: number }): JSX.Element {
  const { path, hollow, line, mark } = shape(name, size);
  const [inner, outer] = hollow ? ["panel", name] : [name, "panel"];
  return (
    <svg class="symbol" width={size} height={size} aria-hidden="true">
      <path d={path} fill={`var(--${inner})`} stroke={`var(--${outer})`} stroke-width={line} stroke-linejoin="round" />
      {mark && <path d={mark} fill="var(--panel)" />}
    </svg>
  );
}
