// Grid cells coloured by how many cases they have.
import { useEffect } from "preact/hooks";
import { useAsk } from "../../lib/api.ts";
import { date } from "../../lib/format.ts";
import { atMoment, moment, momentMs } from "../../lib/moment.ts";
import type { Canvas } from "./canvas.ts";
import type { MapQuery } from "./query.ts";

interface Statistics {
  rows: { key: string | null; figures: Record<string, number> }[];
}

const DAY_MS = 86_400_000;
const EVERY_S = 60;

/** The figure of each shade, and what it is asked with. */
function asked(shade: string): { parameters: Record<string, string>; figure: string } | null {
  if (shade === "open" || shade === "overdue") return { parameters: { by: "grid_cell", is: shade }, figure: "all" };
  if (shade === "month") return { parameters: { by: "grid_cell", moment: "reported", from: date(momentMs() - 30 * DAY_MS) }, figure: "all" };
  return null;
}

export function useShadeValues(query: MapQuery): Map<string, number> {
  const wanted = asked(query.shade);
  const parameters = { ...wanted?.parameters, subsystem: query.subsystem, department: query.department, ...atMoment() };
  const { data } = useAsk<Statistics>(wanted === null ? null : "cases/statistics", parameters, moment() === null ? EVERY_S : 0);
  return new Map((wanted === null ? [] : (data?.rows ?? [])).flatMap((row) => (row.key === null ? [] : [[row.key, row.figures[wanted!.figure] ?? 0]])));
}

export function useShade(canvas: Canvas | null, query: MapQuery): void {
  const values = useShadeValues(query);
  const said = JSON.stringify([...values]);
  useEffect(() => canvas?.shadeBy(values), [canvas, said]);
}
