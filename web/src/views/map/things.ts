// The things of the list below the map, which are the map's: without a filter by pages, within the frame; with one, all of them, and the map shows
// these.
import { useEffect, useState } from "preact/hooks";
import { asProblem, getAll, usePages, type Paged, type Problem } from "../../lib/api.ts";
import type { Alarm, Box, Case, Device } from "../../lib/types.ts";
import { isFiltered, listParameters, type ListKind, type MapQuery } from "./query.ts";

export type Thing = Device | Alarm | Case;

export const SOURCES: Record<ListKind, { path: string; member: string }> = {
  device: { path: "devices", member: "devices" },
  alarm: { path: "alarms", member: "alarms" },
  case: { path: "cases", member: "cases" },
};

/** More than this a browser's list and map need not hold: the filter is to be narrowed. */
export const FOUND_MAX = 10_000;

/** What is seen of the list below the map before anybody scrolls, and some more: it has a third of the window. The rest of a page, and with it how
 * many there are, comes by itself when these have been shown. */
const FIRST_ROWS = Math.max(10, Math.ceil(innerHeight / 60));
const REST_MS = 500;

export const keyOf = (thing: Thing): string => ("case" in thing && "stage" in thing ? thing.case : String(thing.id));

/** All that the map can show. */
const WORLD: Box = [-180, -85, 180, 85];

export const boxText = (box: Box): string => box.map((degree) => degree.toFixed(5)).join(",");

const within = (thing: Thing, [west, south, east, north]: Box): boolean =>
  thing.lon !== null && thing.lat !== null && thing.lon >= west && thing.lon <= east && thing.lat >= south && thing.lat <= north;

interface FoundState {
  rows: Thing[] | null;
  whole: boolean;
  problem?: Problem;
  of?: string;
}

const NOT_ASKED: FoundState = { rows: null, whole: true };

/** All that fit the filter; null while there is none. `there`: they are of this filter, and not of the one before, or none yet. `turn`: read anew when it changes. */
export function useFound(kind: ListKind, query: MapQuery, wanted: boolean, turn: number): { rows: Thing[] | null; there: boolean; whole: boolean; problem: Problem | undefined } {
  const [state, setState] = useState<FoundState>(NOT_ASKED);
  const filtered = wanted && isFiltered(query, kind);
  const parameters = listParameters(query, kind, null);
  const target = filtered ? JSON.stringify([kind, parameters]) : null;
  useEffect(() => {
    if (target === null) {
      setState(NOT_ASKED);
      return undefined;
    }
    const leaving = new AbortController();
    const { path, member } = SOURCES[kind];
    getAll<Thing>(path, member, parameters, FOUND_MAX, leaving.signal).then((answer) => setState({ ...answer, of: target }), (error: unknown) => {
      if (!leaving.signal.aborted) setState((before) => ({ ...before, problem: asProblem(error) }));
    });
    return () => leaving.abort();
  }, [target, turn]);
  return { rows: filtered ? (state.rows ?? []) : null, there: target !== null && state.of === target, whole: state.whole, problem: state.problem };
}

/** What lists lie within; null = they may lie anywhere. */
export const frameOf = (query: MapQuery, box: Box | null): Box | null => (query.inView ? box : query.placed ? WORLD : null);

/** The list of the kind that is open. `found` is what useFound has of it. */
export function useList(kind: ListKind | "", query: MapQuery, box: Box | null, found: ReturnType<typeof useFound> | null, again: () => void): Paged<Thing> {
  const frame = frameOf(query, box);
  const narrowed = found !== null && found.rows !== null;
  const asked = kind === "" || narrowed || (query.inView && box === null) ? null : kind;
  const { path, member } = SOURCES[asked ?? "device"];
  const paged = usePages<Thing>(asked === null ? null : path, member, asked === null ? {} : listParameters(query, asked, frame === null ? null : boxText(frame)), FIRST_ROWS);
  useEffect(() => {
    if (paged.rows.length !== FIRST_ROWS) return undefined;
    const timer = setTimeout(paged.more, REST_MS);
    return () => clearTimeout(timer);
  }, [paged.rows]);
  if (!narrowed) return asked === null && kind !== "" ? { ...paged, loading: true } : paged;
  const rows = frame === null ? found.rows! : found.rows!.filter((thing) => within(thing, frame));
  return { rows, problem: found.problem, loading: false, whole: found.whole, more: () => undefined, reload: again };
}
