// The queue: what waits for the posts that somebody holds, or any list of cases that a number of another view opens. Its filter is the address's.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { ROWS_MOST, useAsk, usePages, type Paged, type Parameters } from "../../lib/api.ts";
import { coded } from "../../lib/codes.ts";
import { departments, departmentName } from "../../lib/county.ts";
import { date, duration, now, shortTime } from "../../lib/format.ts";
import { linkMoment, moment, momentMs } from "../../lib/moment.ts";
import { go, route, setParameters } from "../../lib/router.ts";
import { me } from "../../lib/session.ts";
import { useStream } from "../../lib/stream.ts";
import type { Case } from "../../lib/types.ts";
import { language } from "../../lib/words.ts";
import { Download } from "../../part/download.tsx";
import { Filters, type Filter } from "../../part/filters.tsx";
import { PagedTable, type Column } from "../../part/table.tsx";
import { Empty } from "../../part/states.tsx";
import type { CaseWords } from "./desk-types.ts";
import { DECIDERS, DUTY } from "./duty.ts";
import { t } from "./words.ts";

/** More than these are not put in order of their time left: the list says so. */
const MOST = 2000;
const FOLLOW_MS = 1500;

/** Reads cases anew when some of them change: once for many that change together. */
function useFollowed(reload: () => void): void {
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const later = () => (timer.current ??= setTimeout(() => ((timer.current = undefined), reload()), FOLLOW_MS));
  useEffect(() => () => clearTimeout(timer.current), []);
  useStream({ case: later }, (begins) => begins || later(), listMoment() === null);
}

type Figures = Record<string, number>;
interface Queue {
  key: "mine" | "asked" | "suspended" | "overdue" | "open" | "all";
  is: string[];
  states: string[];
  /** Out of counts by state; null: it is not counted. */
  count: ((rows: Map<string, Figures>) => number) | null;
}

const sum = (rows: Map<string, Figures>, figure: string, states?: string[]): number =>
  [...rows].reduce((all, [state, figures]) => all + (states === undefined || states.includes(state) ? (figures[figure] ?? 0) : 0), 0);

/** The queues of who is logged in; the first is the one that the desk opens with. */
export function queues(): Queue[] {
  const posts = me.value?.posts ?? [];
  const mine = posts.flatMap((post) => DUTY[post] ?? []);
  const list: Queue[] = [];
  if (mine.length > 0) list.push({ key: "mine", is: ["open"], states: mine, count: (rows) => sum(rows, "open", mine) });
  if (posts.some((post) => DECIDERS.includes(post))) {
    list.push({ key: "asked", is: ["open", "asked"], states: [], count: (rows) => sum(rows, "asked") });
    list.push({ key: "suspended", is: ["open"], states: ["suspended"], count: (rows) => sum(rows, "open", ["suspended"]) });
  }
  list.push({ key: "overdue", is: ["overdue"], states: [], count: (rows) => sum(rows, "overdue") });
  list.push({ key: "open", is: ["open"], states: [], count: (rows) => sum(rows, "open") });
  list.push({ key: "all", is: [], states: [], count: null });
  return list;
}

export function currentQueue(): Queue {
  const all = queues();
  return all.find((queue) => queue.key === route.value.parameters["queue"]) ?? all[0]!;
}

/** Parameters of the API's list that come from links of other views and have no field here: they are shown as what they are. */
const FROM_LINKS = ["is", "not", "state", "category", "grid_cell", "moment", "from", "to", "subsystem", "device", "box", "urgent", "statistic", "month"] as const;
/** no_department=true: those that have none yet. */
const WITHOUT = ["department", "category", "grid_cell"] as const;
/** A list of one empty word, as the API wants it; an empty parameter would be left out on the way. */
const NONE = ",";
const OF_FILTERS = ["text", "stage", "source", "class", "department"] as const;

/** The moment of the list; null: now. A statistic is as of its own. */
export const listMoment = (): string | null => ("statistic" in route.value.parameters ? null : moment());

export function listParameters(queue: Queue): Parameters {
  const { parameters } = route.value;
  const asked: Parameters = Object.fromEntries([...FROM_LINKS, ...OF_FILTERS].filter((key) => (parameters[key] ?? "") !== "").map((key) => [key, parameters[key]]));
  // A link's empty value stands for none: no department yet, no grid cell.
  for (const key of WITHOUT) if (parameters[`no_${key}`] === "true") asked[key] = NONE;
  const is = [...new Set([...queue.is, ...(parameters["is"] ?? "").split(",")])].filter((word) => word !== "");
  if (is.length > 0) asked["is"] = is.join(",");
  if (asked["state"] === undefined && queue.states.length > 0) asked["state"] = queue.states.join(",");
  if (asked["class"] !== undefined) {
    asked["category"] ??= asked["class"];
    delete asked["class"];
  }
  const at = listMoment();
  if (at !== null) asked["at"] = at;
  return asked;
}

const order = (): "due" | "newest" => {
  const wanted = route.value.parameters["order"];
  return wanted === "due" || wanted === "newest" ? wanted : currentQueue().key === "all" ? "newest" : "due";
};

type Ends = Pick<Case, "ended_at" | "deadline_at" | "stage_deadline_at" | "left_at">;

/** When somebody has to have done something: the earlier of the stage's and the handling's end. */
export const dueAt = (one: Ends): number => Math.min(...[one.stage_deadline_at, one.deadline_at].map((at) => Date.parse(at ?? "") || Infinity));

export interface CaseList extends Paged<Case> {
  /** In the order that the address asks for. */
  ordered: Case[];
}

export function useCases(): CaseList {
  const due = order() === "due";
  const list = usePages<Case>("cases", "cases", listParameters(currentQueue()), due ? ROWS_MOST : undefined);
  useEffect(() => {
    if (due && !list.whole && !list.loading && list.problem === undefined && list.rows.length > 0 && list.rows.length < MOST) list.more();
  }, [due, list.rows, list.loading]);
  useFollowed(list.reload);
  const ordered = due ? [...list.rows].sort((a, b) => dueAt(a) - dueAt(b) || a.case.localeCompare(b.case)) : list.rows;
  return { ...list, ordered };
}

/** Time left until the deadline, in words and by the hub's clock. What has ended has none, nor has what went on to another department. */
export function Due({ one }: { one: Ends }): JSX.Element {
  if (one.left_at) return <strong class="warn">{t("past", shortTime(one.left_at))}</strong>;
  if (one.ended_at !== null) return <span class="quiet">{t("endedOn", date(one.ended_at))}</span>;
  const at = dueAt(one);
  if (at === Infinity) return <span class="quiet">–</span>;
  const seconds = (at - (listMoment() === null ? now.value : momentMs())) / 1000;
  const ofStage = Date.parse(one.deadline_at ?? "") !== at;
  const words = seconds < 0 ? t(ofStage ? "stageOver" : "over", duration(seconds)) : t(ofStage ? "stageLeft" : "left", duration(seconds));
  return <span class={seconds < 0 ? "bad" : seconds < 3600 ? "warn" : ""}>{words}</span>;
}

const columns = (narrow: boolean): Column<Case>[] => {
  const title: Column<Case> = {
    key: "title",
    title: t("title"),
    cell: (one) => (
      <>
        <span class="desk-title">{one.title}</span>
        <span class="quiet desk-sub">
          {one.case.slice(4)} · {one.category_zh ?? "–"}
          {narrow && one.department !== null && ` · ${departmentName(one.department)}`}
        </span>
      </>
    ),
  };
  const state: Column<Case> = { key: "state", title: t("state"), cell: (one) => coded(one.state, one.state_zh) };
  const due: Column<Case> = { key: "due", title: t("due"), cell: (one) => <Due one={one} /> };
  if (narrow) return [title, state, due];
  return [
    title,
    state,
    due,
    { key: "department", title: t("department"), cell: (one) => one.department_zh ?? "–", wide: true },
    { key: "source", title: t("source"), cell: (one) => coded(one.source, SOURCES.get(one.source)), wide: true },
    { key: "reported", title: t("reported"), cell: (one) => shortTime(one.reported_at), wide: true },
    ...("statistic" in route.value.parameters ? [{ key: "times", title: t("times"), numeric: true, cell: (one: Case) => (one as Case & { times?: number }).times ?? "–" }] : []),
  ];
};
const SOURCES = new Map<string, string>();

function filters(words: CaseWords): Filter[] {
  const classes = [...new Map(words.categories.map((category) => [category.code.slice(0, 3), category.class_zh]))];
  return [
    { key: "text", title: t("text"), kind: "text" },
    { key: "stage", title: t("stage"), kind: "choice", choices: words.stages.map((one) => ({ value: one.stage, title: coded(one.stage, one.name_zh) })) },
    { key: "source", title: t("source"), kind: "choice", choices: words.sources.map((one) => ({ value: one.source, title: coded(one.source, one.name_zh) })) },
    { key: "class", title: t("class"), kind: "choice", choices: classes.map(([value, title]) => ({ value, title })) },
    { key: "department", title: t("department"), kind: "choice", choices: departments.value.map((one) => ({ value: one.code, title: one.name_zh })) },
    { key: "order", title: t("order"), kind: "choice", choices: [{ value: "due", title: t("soonest") }, { value: "newest", title: t("newest") }], none: t(currentQueue().key === "all" ? "newest" : "soonest") },
  ];
}

/** What a link has brought along, each with a button that takes it away. */
function FromLink({ words }: { words: CaseWords }): JSX.Element | null {
  const { parameters } = route.value;
  const given = FROM_LINKS.filter((key) => (parameters[key] ?? "") !== "");
  const without = WITHOUT.filter((key) => parameters[`no_${key}`] === "true");
  const asked = useAsk<{ figure?: { value: number; cases: number } }>("statistic" in parameters ? "cases" : null, { ...listParameters(currentQueue()), limit: 1 });
  if (given.length === 0 && without.length === 0) return null;
  const known: Record<string, { name_zh: string } | undefined> = {
    ...Object.fromEntries(words.figures.map((one) => [one.figure, one])),
    ...Object.fromEntries(words.statistics.map((one) => [one.statistic, one])),
    ...Object.fromEntries(words.states.map((one) => [one.state, one])),
  };
  const word = (text: string) => text.split(",").map((one) => (known[one] ? coded(one, known[one]?.name_zh) : one)).join(", ");
  const figure = asked.data?.figure;
  return (
    <div class="desk-chips">
      {given.map((key) => (
        <button type="button" key={key} aria-label={`${word(parameters[key]!)} ✕`} onClick={() => setParameters({ [key]: null })}>
          {word(parameters[key]!)} <span aria-hidden="true">✕</span>
        </button>
      ))}
      {without.map((key) => (
        <button type="button" key={key} onClick={() => setParameters({ [`no_${key}`]: null })}>
          {t(`no_${key}`)} <span aria-hidden="true">✕</span>
        </button>
      ))}
      {figure && <strong>{t("figure", word(parameters["statistic"]!), figure.value, figure.cases)}</strong>}
    </div>
  );
}

export function QueueTabs(): JSX.Element {
  const list = queues();
  const current = currentQueue();
  const at = listMoment();
  const asked = useAsk<{ rows: { key: string; figures: Figures }[] }>("cases/statistics", { by: "state", is: "open", at: at ?? "" }, at === null ? 30 : 0);
  useFollowed(asked.reload);
  const rows = asked.data && new Map(asked.data.rows.map((row) => [row.key, row.figures]));
  return (
    <nav class="desk-tabs" aria-label={t("queue")}>
      {list.map((queue) => (
        <button type="button" key={queue.key} aria-pressed={queue === current || queue.key === current.key} data-queue={queue.key} onClick={() => go("desk", { queue: queue.key, ...linkMoment() })}>
          {t(queue.key)} {queue.count && <strong class="desk-count">{rows ? queue.count(rows) : "…"}</strong>}
        </button>
      ))}
    </nav>
  );
}

export function QueueList({ list, words, open, onOpen }: { list: CaseList; words: CaseWords; open: string | null; onOpen: (one: Case) => void }): JSX.Element {
  for (const one of words.sources) SOURCES.set(one.source, one.name_zh);
  void language.value;
  return (
    <>
      <Filters filters={filters(words)} />
      <FromLink words={words} />
      {!list.whole && order() === "due" && list.rows.length >= MOST && <p class="warn">{t("onlyFirst", list.rows.length)}</p>}
      {list.whole && list.rows.length === 0 && currentQueue().key === "mine" ? (
        <Empty>{t("nothingLeft")}</Empty>
      ) : (
        <PagedTable label={t(currentQueue().key)} list={{ ...list, rows: list.ordered }} columns={columns(open !== null)} rowKey={(one) => one.case} current={open} onOpen={onOpen} />
      )}
      {open === null && list.rows.length > 0 && <Download path="cases" parameters={listParameters(currentQueue())} />}
    </>
  );
}
