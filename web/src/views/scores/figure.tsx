// Numbers that open the list behind them, and months.
import type { JSX } from "preact";
import { date, hubNow, number } from "../../lib/format.ts";
import { link, route } from "../../lib/router.ts";

/** 2026-11 moved by -1: 2026-10. */
export function moved(month: string, by: number): string {
  const [year = 0, place = 1] = month.split("-").map(Number);
  const whole = year * 12 + place - 1 + by;
  return `${Math.floor(whole / 12)}-${String((whole % 12) + 1).padStart(2, "0")}`;
}

/** The address' month; else the last full one. */
export function monthShown(): string {
  const wanted = route.value.parameters["month"] ?? "";
  return /^\d{4}-(0[1-9]|1[0-2])$/.test(wanted) ? wanted : moved(date(hubNow()).slice(0, 7), -1);
}

interface Properties {
  value: number | null | undefined;
  /** A measure of the statistics, as the list of cases knows it. */
  statistic: string;
  month: string;
  /** The list's other parameters. */
  where?: Record<string, string | boolean>;
  label: string;
}

/** A count of cases; 0 has no list. */
export function Figure({ value, statistic, month, where = {}, label }: Properties): JSX.Element {
  if (value === null || value === undefined) return <span class="quiet">–</span>;
  if (value === 0) return <span>0</span>;
  return (
    <a class="figure" data-count={value} data-number={value} aria-label={`${label} ${number(value)}`} href={link("desk", { queue: "all", statistic, month, ...where })}>
      {number(value)}
    </a>
  );
}

/** +1.20 or -3: what it was compared with, in the title. */
export function Change({ now, before, decimals, better = 1 }: { now: number | null | undefined; before: number | null | undefined; decimals: number; better?: 1 | -1 }): JSX.Element {
  if (now === null || now === undefined || before === null || before === undefined) return <span class="quiet">–</span>;
  const change = now - before;
  const rounded = number(Math.abs(change), decimals);
  if (Number(rounded) === 0) return <span class="quiet">=</span>;
  return (
    <span class={change * better > 0 ? "good" : "bad"}>
      {change > 0 ? "▲" : "▼"} {rounded}
    </span>
  );
}
