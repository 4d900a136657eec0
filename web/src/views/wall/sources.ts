// Where the wall's figures come from: each source is asked by one clock however many tiles show it, and again soon after the stream tells of a
// change. The last answer stays, with the moment at which it came: whoever shows it says how old it is.
import { useEffect, useState } from "preact/hooks";
import { asProblem, get, getAll, type Problem } from "../../lib/api.ts";
import { date, hubNow } from "../../lib/format.ts";
import { listen, liveness, type Layer } from "../../lib/stream.ts";

export interface Source<T> {
  load: (signal: AbortSignal) => Promise<T>;
  /** Seconds. */
  every: number;
  /** Changes of these are changes of this. */
  layers: Layer[];
}

export interface Held<T> {
  data: T | undefined;
  /** When it was asked for, by the hub's clock. */
  at: number;
  problem: Problem | undefined;
}

const FOLLOW_MS = 2000;

/** Asks as long as the component is there. */
export function useSource<T>(source: Source<T>): Held<T> {
  const [held, setHeld] = useState<Held<T>>({ data: undefined, at: 0, problem: undefined });
  useEffect(() => {
    const leaving = new AbortController();
    let asking = false;
    let soon: ReturnType<typeof setTimeout> | undefined;
    const load = async () => {
      if (asking) return;
      asking = true;
      const at = hubNow();
      try {
        const data = await source.load(leaving.signal);
        setHeld({ data, at, problem: undefined });
      } catch (error) {
        if (!leaving.signal.aborted) setHeld((before) => ({ ...before, problem: asProblem(error) }));
      }
      asking = false;
    };
    const follow = () => (soon ??= setTimeout(() => ((soon = undefined), void load()), FOLLOW_MS));
    const timer = setInterval(() => void load(), source.every * 1000);
    const stop = listen(Object.fromEntries(source.layers.map((layer) => [layer, follow])), follow);
    void load();
    return () => {
      leaving.abort();
      clearInterval(timer);
      clearTimeout(soon);
      stop();
    };
  }, [source]);
  return held;
}

export const FRESH_MS = 10_000;

/** Whether it must not be taken for what is: later than two turns, its last reading failed, or nobody tells of changes any more. */
export function isOld(held: Held<unknown>, source: Source<unknown>, moment: number): boolean {
  if (held.data === undefined) return false;
  const age = moment - held.at;
  // A connection that is only just being made does not make old what has just been read.
  return held.problem !== undefined || age > source.every * 2000 + FRESH_MS || (age > FRESH_MS && source.layers.length > 0 && liveness.value === "late");
}

// ---- what is asked ----

export type Figures = Record<string, number>;
export interface Counted {
  rows: { key: string; name_zh: string | null; figures: Figures }[];
  parameter: string | null;
}
const counted = (by: string, parameters: () => Record<string, string>, every = 30): Source<Counted> => ({
  load: (signal) => get<Counted>("cases/statistics", { by, ...parameters() }, signal),
  every,
  layers: ["case"],
});
const today = (): string => date(hubNow());
const open = () => ({ is: "open" });

export interface Counts {
  subsystems: { subsystem: string; online: number; offline: number; alarms: number }[];
  cases: number;
}
export interface Day {
  day: string;
  at: number;
  reported: number;
  ended: number;
}
const DAYS = 14;
const DAY_MS = 86_400_000;
/** Days that are over are asked for once. */
const past = new Map<string, Day>();

async function day(at: number, over: boolean, signal: AbortSignal): Promise<Day> {
  const [from, to] = [date(at), date(at + DAY_MS)];
  const known = past.get(from);
  if (known !== undefined) return known;
  const count = async (moment: string) => (await get<Counted>("cases/statistics", { by: "all", moment, from, to }, signal)).rows[0]?.figures["all"] ?? 0;
  const [reported, ended] = await Promise.all([count("reported"), count("ended")]);
  const found = { day: from, at, reported, ended };
  if (over) past.set(from, found);
  return found;
}

async function days(signal: AbortSignal): Promise<Day[]> {
  const all = await Promise.all(Array.from({ length: DAYS }, (_none, place) => day(hubNow() - (DAYS - 1 - place) * DAY_MS, place < DAYS - 1, signal)));
  for (const known of past.keys()) if (!all.some((one) => one.day === known)) past.delete(known);
  return all;
}

export interface OpenAlarm {
  id: number;
  text_zh: string;
  severity: string;
  subsystem: string;
  opened_at: string;
  acknowledged_at: string | null;
}
export interface Best {
  month: string;
  rows: { name: string; department: string; rank: number; total: number; grade: string }[];
}

async function best(signal: AbortSignal): Promise<Best | null> {
  const { publications } = await get<{ publications: { month: string }[] }>("publications", {}, signal);
  const month = publications[0]?.month;
  if (month === undefined) return null;
  const { rows } = await get<{ rows: Best["rows"] }>(`assessments/${month}`, {}, signal);
  return { month, rows: rows.filter((row) => row.rank !== null).sort((a, b) => a.rank - b.rank) };
}

export const SOURCES = {
  counts: { load: (signal) => get<Counts>("map/counts", {}, signal), every: 10, layers: ["alarm", "case"] } satisfies Source<Counts>,
  states: counted("state", open),
  sources: counted("source", open),
  classes: counted("class", open),
  departments: counted("department", open),
  reported: counted("all", () => ({ moment: "reported", from: today() })),
  ended: counted("all", () => ({ moment: "ended", from: today() })),
  days: { load: days, every: 60, layers: ["case"] } satisfies Source<Day[]>,
  alarms: {
    load: async (signal) => (await get<{ alarms: OpenAlarm[] }>("alarms", { open: true, limit: 50 }, signal)).alarms,
    every: 20,
    layers: ["alarm"],
  } satisfies Source<OpenAlarm[]>,
  people: {
    load: async (signal) => (await getAll<{ role: string; subsystem: string; online: boolean | null }>("people", "people", { on_duty: true }, 20_000, signal)).rows,
    every: 60,
    layers: [],
  } satisfies Source<{ role: string; subsystem: string; online: boolean | null }[]>,
  work: {
    load: async (signal) => (await get<{ summary: { subsystem: string; due: number; finished: number; ended_late: number }[] }>("work/summary", { from: today() }, signal)).summary,
    every: 60,
    layers: [],
  } satisfies Source<{ subsystem: string; due: number; finished: number; ended_late: number }[]>,
  best: { load: best, every: 600, layers: [] } satisfies Source<Best | null>,
};
export { today };
