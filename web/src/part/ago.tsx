import { computed } from "@preact/signals";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { ago, type Moment } from "../lib/format.ts";

/** How long ago: with the clock its text changes alone, and not the list around it. */
export function Ago({ at }: { at: Moment }): JSX.Element {
  return <>{useMemo(() => computed(() => ago(at)), [at])}</>;
}
