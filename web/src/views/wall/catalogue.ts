// The catalogue of what the wall shows: each tile has a name, a source (sources.ts: which route, how often), a form, and where it is a number a unit,
// limits and the list that it opens. A new indicator is a row here; a new scene a list of keys.
import { coded } from "../../lib/codes.ts";
import { subsystemName } from "../../lib/county.ts";
import { link } from "../../lib/router.ts";
import { language } from "../../lib/words.ts";
import { SOURCES, today, type Best, type Counted, type Counts, type Day, type OpenAlarm, type Source } from "./sources.ts";

/** above: the more the worse; below: the less the worse. */
export interface Limits {
  kind: "above" | "below";
  warn: number;
  bad: number;
}
export interface Value {
  title: [zh: string, en: string];
  value: number | null;
  /** Of something: 7 / 12. */
  of?: number;
  unit?: string;
  limits?: Limits;
  href?: string;
}
export interface Bar {
  title: string;
  value: number;
  /** The part of it that is bad. */
  bad?: number;
  href?: string;
  badHref?: string;
}
type Form =
  | { form: "values"; values: (data: never) => Value[] }
  | { form: "bars"; bars: (data: never) => Bar[] }
  | { form: "subsystems" }
  | { form: "alarms" }
  | { form: "trend" }
  | { form: "ranks"; end: "first" | "last" };
export type Unit = [zh: string, en: string];
/** `unit`: of all its numbers. */
export type Tile = Form & { title: [zh: string, en: string]; source: Source<never>; unit?: Unit };

const sum = <T>(rows: T[], value: (row: T) => number): number => rows.reduce((all, row) => all + value(row), 0);
const figure = (data: Counted, key: string, states?: string[]): number => sum(data.rows.filter((row) => states === undefined || states.includes(row.key)), (row) => row.figures[key] ?? 0);
const cases = (parameters: Record<string, string>): string => link("desk", { queue: "all", ...parameters });
const groups = <T>(rows: T[], key: (row: T) => string): Map<string, T[]> => {
  const all = new Map<string, T[]>();
  for (const row of rows) all.set(key(row), [...(all.get(key(row)) ?? []), row]);
  return all;
};
const keyed = (parameter: string, key: string): Record<string, string> => (key === "" ? { [`no_${parameter}`]: "true" } : { [parameter]: key });
/** Rows of a count of open cases, the largest first. What has no key is opened as having none. */
const bars = (data: Counted, most: number, name: (key: string, zh: string | null) => string): Bar[] =>
  data.rows
    .map((row) => ({
      title: name(row.key, row.name_zh),
      value: row.figures["open"] ?? 0,
      bad: row.figures["overdue"] ?? 0,
      ...(data.parameter !== null && { href: cases({ is: "open", ...keyed(data.parameter, row.key) }), badHref: cases({ is: "open,overdue", ...keyed(data.parameter, row.key) }) }),
    }))
    .sort((a, b) => b.value - a.value)
    .slice(0, most);

const say = (zh: string, en: string): string => (language.value === "en" ? en : zh);
/** The same name may be a class of components (1) and of events (2). */
const className = (key: string, zh: string | null): string =>
  key === "" ? say("未定类", "No class") : `${zh ?? key}${key.startsWith("1") ? say("（部件）", " (component)") : say("（事件）", " (event)")}`;

const tile = <T>(source: Source<T>, title: [string, string], form: unknown, unit?: Unit): Tile => ({ ...(form as Form), title, source: source as unknown as Source<never>, ...(unit && { unit }) });

const CASES: Unit = ["件", "cases"];
const PEOPLE: Unit = ["人", "people"];
const ORDERS: Unit = ["单", "orders"];
const POINTS: Unit = ["分", "points"];

export const TILES = {
  pulse: tile(SOURCES.states, ["案卷", "Cases"], {
    form: "values",
    values: (data: Counted): Value[] => [
      { title: ["未办结", "Open"], value: figure(data, "open"), href: cases({ is: "open" }) },
      { title: ["待处置", "With departments"], value: figure(data, "open", ["dispatched", "handling"]), href: cases({ is: "open", state: "dispatched,handling" }) },
      { title: ["超期", "Overdue"], value: figure(data, "overdue"), limits: { kind: "above", warn: 1, bad: 20 }, href: cases({ is: "overdue" }) },
      { title: ["环节超时", "Stage overdue"], value: figure(data, "stage_overdue"), limits: { kind: "above", warn: 1, bad: 20 }, href: cases({ is: "open,stage_overdue" }) },
      { title: ["紧急", "Urgent"], value: figure(data, "urgent"), limits: { kind: "above", warn: 1, bad: 10 }, href: cases({ is: "open,urgent" }) },
      { title: ["挂账", "Suspended"], value: figure(data, "open", ["suspended"]), href: cases({ state: "suspended" }) },
    ],
  }, CASES),
  reported: tile(SOURCES.reported, ["今日上报", "Reported today"], {
    form: "values",
    values: (data: Counted): Value[] => [
      { title: ["上报", "Reported"], value: figure(data, "all"), href: cases({ from: today() }) },
      { title: ["其中报警转来", "Of alarms"], value: figure(data, "of_alarm"), href: cases({ from: today(), is: "of_alarm" }) },
    ],
  }, CASES),
  ended: tile(SOURCES.ended, ["今日办结", "Ended today"], {
    form: "values",
    values: (data: Counted): Value[] => [
      { title: ["办结", "Ended"], value: figure(data, "all"), href: cases({ moment: "ended", from: today() }) },
      { title: ["其中超期", "Late"], value: figure(data, "late"), limits: { kind: "above", warn: 1, bad: 10 }, href: cases({ moment: "ended", from: today(), is: "late" }) },
    ],
  }, CASES),
  devices: tile(SOURCES.counts, ["设备", "Devices"], {
    form: "values",
    values: (data: Counts): Value[] => {
      const online = sum(data.subsystems, (one) => one.online);
      const all = online + sum(data.subsystems, (one) => one.offline);
      return [
        { title: ["在线率", "Online"], value: all === 0 ? null : (online / all) * 100, unit: "%", limits: { kind: "below", warn: 95, bad: 85 }, href: link("map", { state: "online", inview: "false", placed: "true" }) },
        { title: ["不在线", "Not online"], value: all - online, unit: say("台", "devices"), href: link("map", { state: "away", inview: "false", placed: "true" }) },
        { title: ["未结束报警", "Open alarms"], value: sum(data.subsystems, (one) => one.alarms), unit: say("条", "alarms"), limits: { kind: "above", warn: 1, bad: 20 }, href: link("map", { list: "alarm", inview: "false", placed: "true" }) },
      ];
    },
  }),
  duty: tile(SOURCES.people, ["在岗人员", "On duty"], {
    form: "bars",
    bars: (data: { role: string }[]): Bar[] =>
      [...groups(data, (one) => one.role)].map(([role, people]) => ({ title: role || "–", value: people.length, ...(role !== "" && { href: link("work/people", { show: "duty", role }) }) })).sort((a, b) => b.value - a.value).slice(0, 8),
  }, PEOPLE),
  work: tile(SOURCES.work, ["今日作业完成", "Work done today"], {
    form: "bars",
    bars: (data: { subsystem: string; due: number; finished: number; ended_late: number }[]): Bar[] =>
      [...groups(data, (one) => one.subsystem)]
        .map(([key, rows]) => ({
          title: subsystemName(key),
          value: sum(rows, (one) => one.finished),
          href: link("work/process", { subsystem: key, status: "finished", from: today() }),
          bad: sum(rows, (one) => one.ended_late),
          badHref: link("work/process", { subsystem: key, is: "ended_late", from: today() }),
        }))
        .sort((a, b) => b.value - a.value)
        .slice(0, 9),
  }, ORDERS),
  subsystems: tile(SOURCES.counts, ["子系统", "Subsystems"], { form: "subsystems" }),
  alarms: tile(SOURCES.alarms, ["报警", "Alarms"], { form: "alarms" }),
  trend: tile(SOURCES.days, ["案卷趋势", "Cases by day"], { form: "trend" }, CASES),
  sources: tile(SOURCES.sources, ["未办结：来源", "Open: sources"], { form: "bars", bars: (data: Counted) => bars(data, 8, (key, zh) => coded(key, zh)) }, CASES),
  classes: tile(SOURCES.classes, ["未办结：类别", "Open: classes"], { form: "bars", bars: (data: Counted) => bars(data, 9, className) }, CASES),
  departments: tile(SOURCES.departments, ["未办结：责任单位", "Open: departments"], { form: "bars", bars: (data: Counted) => bars(data, 9, (key, zh) => (key === "" ? say("尚未派遣", "Not dispatched") : (zh ?? key))) }, CASES),
  stages: tile(SOURCES.states, ["未办结：状态", "Open: states"], { form: "bars", bars: (data: Counted) => bars(data, 9, (key, zh) => coded(key, zh)) }, CASES),
  best: tile(SOURCES.best, ["考核前列", "Best units"], { form: "ranks", end: "first" }, POINTS),
  worst: tile(SOURCES.best, ["考核末位", "Last units"], { form: "ranks", end: "last" }, POINTS),
} satisfies Record<string, Tile>;
export type TileKey = keyof typeof TILES;
export type TileData = { subsystems: Counts; alarms: OpenAlarm[]; trend: Day[]; ranks: Best | null };

export interface Scene {
  key: string;
  title: [zh: string, en: string];
  /** How long it is shown before the next one. */
  seconds: number;
  tiles: TileKey[];
}
/** The first one always stands on a wall that has room for two; the others follow each other beside it. */
export const SCENES: Scene[] = [
  { key: "county", title: ["全县态势", "The county"], seconds: 60, tiles: ["pulse", "devices", "reported", "ended", "subsystems", "alarms", "trend"] },
  { key: "cases", title: ["案卷处置", "Cases"], seconds: 40, tiles: ["stages", "sources", "classes", "departments"] },
  { key: "work", title: ["人员与考核", "People, assessment"], seconds: 40, tiles: ["duty", "work", "best", "worst"] },
];
/** An alarm of this severity brings its scene up. */
export const CALLS = { severity: "critical", scene: "county" };
