// Grid cells coloured by an indicator: cases, alarms, the score of who is responsible, rounds of people.
import { useEffect } from "preact/hooks";
import { useAsk, type Parameters } from "../../lib/api.ts";
import { date, hubNow } from "../../lib/format.ts";
import { atMoment, moment, momentMs } from "../../lib/moment.ts";
import type { Canvas } from "./canvas.ts";
import type { MapQuery } from "./query.ts";

interface Statistics {
  rows: { key: string | null; figures: Record<string, number> }[];
}
interface Cells {
  cells: { grid_cell: string; count: number }[];
  of: number;
}
interface Assessment {
  rows: { department: string; total: number | null }[];
}

/** What each cell is shaded by: the more, the darker. */
export interface Shade {
  /** Which attribute of a cell the values are by. */
  by: "code" | "department";
  values: Map<string, number>;
  /** Of all cells that there are, where not each has to have a value. */
  of?: number;
}

const DAY_MS = 86_400_000;
const EVERY_S = 60;
const FULL_MARK = 100;
const NOTHING: Shade = { by: "code", values: new Map() };

/** Of each shade the route, what it is asked with, and what its answer says. */
const ASKED: Record<string, { path: () => string; parameters: () => Parameters; shade: (data: never) => Shade }> = {
  ...Object.fromEntries(["open", "overdue"].map((is) => [is, { path: () => "cases/statistics", parameters: () => ({ by: "grid_cell", is }), shade: cases }])),
  month: { path: () => "cases/statistics", parameters: () => ({ by: "grid_cell", moment: "reported", from: date(momentMs() - 30 * DAY_MS) }), shade: cases },
  ...Object.fromEntries(
    ["alarms", "rounds"].map((by) => [
      by,
      { path: () => "map/cells", parameters: () => ({ by }), shade: (data: Cells): Shade => ({ by: "code", values: new Map(data.cells.map((one) => [one.grid_cell, one.count])), ...(by === "rounds" && { of: data.of }) }) },
    ]),
  ),
  // What is lost of the full mark: the worse, the darker.
  score: {
    path: () => `assessments/${date(hubNow()).slice(0, 7)}`,
    parameters: () => ({}),
    shade: (data: Assessment): Shade => ({ by: "department", values: new Map(data.rows.flatMap((row) => (row.total === null ? [] : [[row.department, Math.max(0.01, FULL_MARK - row.total)]]))) }),
  },
};

function cases(data: Statistics): Shade {
  return { by: "code", values: new Map(data.rows.flatMap((row) => (row.key === null ? [] : [[row.key, row.figures["all"] ?? 0]]))) };
}

/** An assessment is of now alone. */
export const isShade = (shade: string): boolean => shade in ASKED && (shade !== "score" || moment() === null);

export function useShadeValues(query: MapQuery): Shade {
  const wanted = isShade(query.shade) ? ASKED[query.shade]! : null;
  const parameters: Parameters = query.shade === "score" ? {} : { ...wanted?.parameters(), subsystem: query.subsystem, department: query.department, ...atMoment() };
  const { data } = useAsk<never>(wanted === null ? null : wanted.path(), parameters, moment() === null ? EVERY_S : 0);
  return wanted === null || data === undefined ? NOTHING : wanted.shade(data);
}

export function useShade(canvas: Canvas | null, query: MapQuery): void {
  const shade = useShadeValues(query);
  const said = JSON.stringify([shade.by, ...shade.values]);
  useEffect(() => canvas?.shadeBy(shade), [canvas, said]);
}
