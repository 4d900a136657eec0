// The plan's four themes: people on duty (人员管控), work as it goes (作业过程), the standards it is held to (作业标准), how it went (作业绩效).
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { asProblem, getAll, useAsk, usePages, type Problem } from "../../lib/api.ts";
import { ORDER_STATUSES, orderStatus } from "../../lib/codes.ts";
import { departmentName, departments, subsystemName, subsystems } from "../../lib/county.ts";
import { ago, clock, date, duration, number, share, shortTime } from "../../lib/format.ts";
import { atMoment, linkMoment, moment, momentMs } from "../../lib/moment.ts";
import { link, route, setParameters } from "../../lib/router.ts";
import { useStream } from "../../lib/stream.ts";
import { Download } from "../../part/download.tsx";
import { Filters, filtered, type Filter } from "../../part/filters.tsx";
import { Failed, Loading } from "../../part/states.tsx";
import { PagedTable, Table, type Column } from "../../part/table.tsx";
import { TimeBar } from "../../part/time-bar.tsx";
import { t } from "./words.ts";
import "./work.css";

const THEMES = ["people", "process", "standards", "performance"] as const;
const MOST_PEOPLE = 10_000;
const MOST_ORDERS = 2000;
const SETS = ["duty", "online", "present", "absent", "unknown", "all"] as const;
const SET_WORDS = { duty: "onDuty", online: "dutyOnline", present: "present", absent: "absent", unknown: "noTerminal", all: "everybody" } as const;
const ATTENDANCE: readonly string[] = ["present", "absent", "unknown"];
const DAY_MS = 86_400_000;
const COUNTS = ["due", "met", "started_late", "ended_late"] as const;
const COUNT_WORDS = { due: "due", met: "met", started_late: "startedLate", ended_late: "endedLate" } as const;

interface Person {
  id: number;
  subsystem: string;
  code: string;
  name: string | null;
  role: string;
  department: string | null;
  device: number | null;
  on_duty: boolean | null;
  at: string | null;
  online: boolean | null;
}
interface Present {
  person: number;
  present: boolean | null;
  hours: number;
  first_hour: string | null;
  last_at: string | null;
}
interface Order {
  id: number;
  subsystem: string;
  code: string;
  title: string;
  status: (typeof ORDER_STATUSES)[number];
  department: string | null;
  person: { code: string; name: string | null } | null;
  vehicle: { code: string; plate: string } | null;
  planned_start: string | null;
  planned_end: string | null;
  started_at: string | null;
  finished_at: string | null;
  standard: { code: string; name: string; requirement: string; source: string } | null;
  performance: { start_late_s: number | null; end_late_s: number | null; quality_score: number | null };
}
interface Sum {
  department: string | null;
  department_zh: string | null;
  person: number | null;
  person_code: string | null;
  person_name: string | null;
  role: string | null;
  month: string | null;
  subsystem: string;
  due: number;
  finished: number;
  cancelled: number;
  started_late: number;
  ended_late: number;
  quality_score: number | null;
}

const units = (): Filter[] => [
  { key: "subsystem", title: t("subsystem"), kind: "choice", choices: subsystems.value.map((one) => ({ value: one.key, title: subsystemName(one.key) })) },
  { key: "department", title: t("department"), kind: "choice", choices: departments.value.map((one) => ({ value: one.code, title: one.name_zh })) },
];
const times = (): Filter[] => [
  { key: "from", title: t("from"), kind: "date" },
  { key: "to", title: t("to"), kind: "date" },
];
/** Today's, or the moment's day's, all of it, if the address says nothing. */
const period = (): Record<string, string> => {
  const said = filtered(times());
  return said["from"] === undefined && said["to"] === undefined ? { from: date(momentMs()), to: date(momentMs() + DAY_MS) } : { from: date(momentMs()), ...said };
};

/** A number that opens its orders. */
const opens = (value: number, what: Record<string, string | null>, name: string): ComponentChildren =>
  value === 0 ? "0" : (
    <a href={link("work/process", { ...period(), ...linkMoment(), ...what })} data-opens={value} data-number={value} aria-label={`${name} ${value}`}>
      {number(value)}
    </a>
  );

/** All pages of a list, read again when its filter changes; of no path, none. */
function useAll<T>(path: string | null, member: string, parameters: Record<string, string | boolean>, most: number): { rows: T[] | undefined; whole: boolean; problem: Problem | undefined; reload: () => void } {
  const [state, setState] = useState<{ rows?: T[]; whole: boolean; problem?: Problem }>({ whole: true });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (path === null) {
      setState({ whole: true });
      return undefined;
    }
    const leaving = new AbortController();
    getAll<T>(path, member, parameters, most, leaving.signal).then(
      ({ rows, whole }) => setState({ rows, whole }),
      (error: unknown) => !leaving.signal.aborted && setState((before) => ({ ...before, problem: asProblem(error) })),
    );
    return () => leaving.abort();
  }, [path, JSON.stringify(parameters), turn]);
  return { rows: state.rows, whole: state.whole, problem: state.problem, reload: () => setTurn((now) => now + 1) };
}

function People(): JSX.Element {
  const filter = filtered(units());
  const past = moment() !== null;
  const people = useAll<Person>("people", "people", { ...filter, ...atMoment() }, MOST_PEOPLE);
  // Attendance is of a day, as it is known now.
  const attendance = useAll<Present>(past ? null : "attendance", "attendance", filter, MOST_PEOPLE);
  if (people.rows === undefined) return people.problem ? <Failed problem={people.problem} retry={people.reload} /> : <Loading />;
  const here = new Map((attendance.rows ?? []).map((one) => [one.person, one]));
  const duty = people.rows.filter((one) => one.on_duty === true);
  const present = (wanted: boolean | null) => people.rows!.filter((one) => here.has(one.id) && here.get(one.id)!.present === wanted);
  const role = route.value.parameters["role"];
  const sets = { duty, online: duty.filter((one) => one.online === true), present: present(true), absent: present(false), unknown: present(null), all: people.rows };
  const chosen = SETS.find((word) => word === route.value.parameters["show"]) ?? "duty";
  const shown = role === undefined ? sets[chosen] : sets[chosen].filter((one) => one.role === role);
  const columns: Column<Person>[] = [
    { key: "code", title: t("code"), cell: (one) => one.code, wide: true },
    { key: "name", title: t("name"), cell: (one) => one.name ?? "–" },
    { key: "role", title: t("role"), cell: (one) => one.role },
    { key: "department", title: t("department"), cell: (one) => departmentName(one.department) },
    { key: "subsystem", title: t("subsystem"), cell: (one) => subsystemName(one.subsystem), wide: true },
    { key: "online", title: t("online"), cell: (one) => (one.device === null ? <span class="quiet">{t("lineNone")}</span> : <a href={link(`map/device/${one.device}`, linkMoment())}>{t(one.online === true ? "lineOn" : "lineOff")}</a>) },
    ...(past
      ? []
      : ([
          { key: "hours", title: t("hours"), numeric: true, cell: (one) => number(here.get(one.id)?.hours ?? 0) },
          { key: "first", title: t("first"), cell: (one) => clock(here.get(one.id)?.first_hour), wide: true },
        ] satisfies Column<Person>[])),
    { key: "seen", title: t("seen"), cell: (one) => (past ? shortTime(one.at) : ago(one.at)) },
  ];
  return (
    <>
      <nav class="work-themes" aria-label={t("people")}>
        {SETS.filter((word) => attendance.rows !== undefined || !ATTENDANCE.includes(word)).map((word) => (
          <a key={word} data-set={word} href={link("work/people", { ...filter, ...linkMoment(), show: word })} aria-current={word === chosen ? "true" : undefined}>
            {t(SET_WORDS[word])} <strong>{number(sets[word].length)}</strong>
          </a>
        ))}
      </nav>
      {attendance.problem && <Failed problem={attendance.problem} retry={attendance.reload} />}
      {!people.whole && <p class="warn">{t("notComplete", people.rows.length)}</p>}
      <Filters filters={units()} />
      {role !== undefined && (
        <p class="row">
          <span>
            {t("role")}: {role || "–"} · {t("persons", shown.length)}
          </span>
          <button type="button" onClick={() => setParameters({ role: null })}>
            {t("notOnly")}
          </button>
        </p>
      )}
      <Table label={t("people")} columns={columns} rows={shown.slice(0, 500)} rowKey={(one) => one.id} />
      {shown.length > 500 && <p class="quiet">{t("notComplete", 500)}</p>}
    </>
  );
}

/** What is neither finished nor late yet may still be either. */
function lateness({ status, performance: { end_late_s: seconds } }: Order): JSX.Element {
  if (seconds === null) return <span class="quiet">–</span>;
  if (seconds > 0) return <span class="warn">{t("late", duration(seconds))}</span>;
  return status === "finished" ? <span class="good">{t("inTime")}</span> : <span class="quiet">{t("notYet")}</span>;
}
const fromTo = (from: string, to: string): string => (from === "–" && to === "–" ? "–" : `${from} – ${to === "–" ? "" : to}`);

function Process(): JSX.Element {
  const filters: Filter[] = [...units(), { key: "status", title: t("status"), kind: "choice", choices: ORDER_STATUSES.map((one) => ({ value: one, title: orderStatus(one) })) }, { key: "is", title: t("counts"), kind: "choice", choices: COUNTS.map((one) => ({ value: one, title: t(COUNT_WORDS[one]) })) }, ...times()];
  const { parameters } = route.value;
  // Of a number that was clicked: - is work that has none.
  const own: Record<string, string> = Object.fromEntries(["unit", "standard", "person", "role"].filter((key) => parameters[key] !== undefined).map((key) => [key, parameters[key]!]));
  const asked = { ...own, ...filtered(filters), ...period(), ...atMoment() };
  const list = usePages<Order>("work", "work", asked);
  return (
    <>
      <Filters filters={filters} />
      {Object.keys(own).length > 0 && (
        <p class="row">
          {own["unit"] !== undefined && <span>{own["unit"] === "-" ? t("noUnit") : departmentName(own["unit"])}</span>}
          {own["standard"] !== undefined && <span>{own["standard"] === "-" ? t("noStandard") : own["standard"]}</span>}
          {own["person"] !== undefined && <span>{own["person"] === "0" ? t("nobody") : (list.rows[0]?.person?.name ?? list.rows[0]?.person?.code ?? own["person"])}</span>}
          {own["role"] !== undefined && <span>{own["role"] === "-" ? t("noRole") : own["role"]}</span>}
          <button type="button" onClick={() => setParameters({ unit: null, standard: null, person: null, role: null })}>
            {t("notOnly")}
          </button>
        </p>
      )}
      <PagedTable
        label={t("process")}
        list={list}
        rowKey={(one) => one.id}
        columns={[
          { key: "what", title: t("what"), cell: (one) => one.title },
          { key: "status", title: t("status"), cell: (one) => orderStatus(one.status) },
          { key: "subsystem", title: t("subsystem"), cell: (one) => subsystemName(one.subsystem), wide: true },
          { key: "department", title: t("department"), cell: (one) => departmentName(one.department), wide: true },
          { key: "who", title: t("who"), cell: (one) => [one.person?.name ?? one.person?.code, one.vehicle?.plate].filter(Boolean).join(" ") || "–" },
          { key: "plan", title: t("plan"), cell: (one) => fromTo(shortTime(one.planned_start), clock(one.planned_end)) },
          { key: "done", title: t("done"), cell: (one) => fromTo(clock(one.started_at), clock(one.finished_at)), wide: true },
          { key: "late", title: t("endedLate"), cell: (one) => lateness(one) },
        ]}
      />
      {list.rows.length > 0 && <Download path="work" parameters={asked} />}
    </>
  );
}

function Standards(): JSX.Element {
  const orders = useAll<Order>("work", "work", { ...filtered(units()), ...period(), ...atMoment() }, MOST_ORDERS);
  if (orders.rows === undefined) return orders.problem ? <Failed problem={orders.problem} retry={orders.reload} /> : <Loading />;
  const groups = new Map<string, { subsystem: string; standard: Order["standard"]; orders: Order[] }>();
  for (const order of orders.rows) {
    if (order.status === "cancelled") continue;
    const key = `${order.subsystem} ${order.standard?.code ?? ""}`;
    const known = groups.get(key) ?? { subsystem: order.subsystem, standard: order.standard, orders: [] };
    known.orders.push(order);
    groups.set(key, known);
  }
  type Group = { subsystem: string; standard: Order["standard"]; orders: Order[] };
  const of = (group: Group, is: string, value: number, name: string) => opens(value, { ...filtered(units()), subsystem: group.subsystem, standard: group.standard?.code ?? "-", is }, name);
  const met = (group: Group) => group.orders.filter((one) => one.status === "finished" && (one.performance.end_late_s ?? 0) <= 0).length;
  const missed = (group: Group) => group.orders.filter((one) => (one.performance.end_late_s ?? 0) > 0).length;
  const quality = (group: Group): number | null => {
    const scores = group.orders.map((one) => one.performance.quality_score).filter((score) => score !== null);
    return scores.length === 0 ? null : scores.reduce((sum, score) => sum + score, 0) / scores.length;
  };
  return (
    <>
      <Filters filters={[...units(), ...times()]} />
      {!orders.whole && <p class="warn">{t("ofNewest", orders.rows.length)}</p>}
      <Table
        label={t("standards")}
        rows={[...groups.values()].sort((a, b) => missed(b) - missed(a))}
        rowKey={(group) => `${group.subsystem} ${group.standard?.code ?? ""}`}
        columns={[
          { key: "subsystem", title: t("subsystem"), cell: (group) => subsystemName(group.subsystem) },
          { key: "standard", title: t("standards"), cell: (group) => group.standard?.name ?? <span class="quiet">{t("noStandard")}</span> },
          { key: "requirement", title: t("requirement"), cell: (group) => group.standard?.requirement ?? "–", wide: true },
          { key: "source", title: t("source"), cell: (group) => group.standard?.source ?? "–", wide: true },
          { key: "orders", title: t("orders"), numeric: true, cell: (group) => of(group, "due", group.orders.length, t("orders")) },
          { key: "met", title: t("met"), numeric: true, cell: (group) => of(group, "met", met(group), t("met")) },
          { key: "missed", title: t("missed"), numeric: true, cell: (group) => <span class={missed(group) > 0 ? "bad" : ""}>{of(group, "ended_late", missed(group), t("missed"))}</span> },
          { key: "quality", title: t("quality"), numeric: true, cell: (group) => number(quality(group), 1) },
        ]}
      />
    </>
  );
}

/** What performance is told by: the column's name, what a row is called, what its list is asked with. */
const BY = {
  unit: { title: "byUnit", name: (row: Sum) => row.department_zh ?? t("noUnit"), where: (row: Sum) => ({ unit: row.department ?? "-" }) },
  role: { title: "byRole", name: (row: Sum) => (row.role === "-" ? t("noRole") : row.role), where: (row: Sum) => ({ role: row.role }) },
  person: { title: "byPerson", name: (row: Sum) => (row.person === null ? t("nobody") : (row.person_name ?? row.person_code)), where: (row: Sum) => ({ person: String(row.person ?? 0) }) },
  month: { title: "byMonth", name: (row: Sum) => row.month, where: (row: Sum) => monthWithin(row.month!) },
} as const;

/** The part of a month that is within what was asked for. */
function monthWithin(month: string): Record<string, string> {
  const { from = "", to = "" } = period();
  const first = `${month}-01`;
  const [year, number] = month.split("-").map(Number) as [number, number];
  const next = number === 12 ? `${year + 1}-01-01` : `${year}-${String(number + 1).padStart(2, "0")}-01`;
  return { from: from > first ? from : first, to: to !== "" && to < next ? to : next };
}

function Performance(): JSX.Element {
  const by = (Object.keys(BY) as (keyof typeof BY)[]).find((one) => one === route.value.parameters["by"]) ?? "unit";
  const asked = useAsk<{ summary: Sum[] }>("work/summary", { by, ...filtered(units()), ...period(), ...atMoment() }, moment() === null ? 60 : 0);
  if (asked.data === undefined) return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />;
  const of = (row: Sum, what: Record<string, string>, value: number, name: string) => opens(value, { ...filtered(units()), subsystem: row.subsystem, ...BY[by].where(row), ...what }, name);
  return (
    <>
      <Filters filters={[{ key: "by", title: t("by"), kind: "choice", none: t("byUnit"), choices: (["role", "person", "month"] as const).map((one) => ({ value: one, title: t(BY[one].title) })) }, ...units(), ...times()]} />
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      <Table
        label={t("performance")}
        rows={asked.data.summary}
        rowKey={(row) => `${row.department ?? ""} ${row.person ?? ""} ${row.role ?? ""} ${row.month ?? ""} ${row.subsystem}`}
        columns={[
          { key: "by", title: t(BY[by].title), cell: (row) => BY[by].name(row) },
          { key: "subsystem", title: t("subsystem"), cell: (row) => subsystemName(row.subsystem) },
          { key: "due", title: t("due"), numeric: true, cell: (row) => of(row, { is: "due" }, row.due, t("due")) },
          { key: "finished", title: t("finished"), numeric: true, cell: (row) => of(row, { status: "finished" }, row.finished, t("finished")) },
          { key: "rate", title: t("rate"), numeric: true, cell: (row) => share(row.due === 0 ? null : row.finished / row.due) },
          { key: "started", title: t("startedLate"), numeric: true, wide: true, cell: (row) => of(row, { is: "started_late" }, row.started_late, t("startedLate")) },
          { key: "ended", title: t("endedLate"), numeric: true, cell: (row) => <span class={row.ended_late > 0 ? "bad" : ""}>{of(row, { is: "ended_late" }, row.ended_late, t("endedLate"))}</span> },
          { key: "cancelled", title: t("cancelled"), numeric: true, wide: true, cell: (row) => of(row, { status: "cancelled" }, row.cancelled, t("cancelled")) },
          { key: "quality", title: t("quality"), numeric: true, wide: true, cell: (row) => number(row.quality_score, 1) },
        ]}
      />
    </>
  );
}

const SHOWN = { people: People, process: Process, standards: Standards, performance: Performance };

export default function Work(): JSX.Element {
  const theme = THEMES.find((one) => one === route.value.path[0]) ?? "people";
  const Content = SHOWN[theme];
  // The stream has no layer of people and orders: it only says here whether the hub is there.
  const past = moment() !== null;
  useStream({ counter: () => undefined }, () => undefined, !past);
  return (
    <div class="page work">
      <nav class="work-themes" aria-label={t("title")}>
        {THEMES.map((one) => (
          <a key={one} href={link(one === "people" ? "work" : `work/${one}`, linkMoment())} aria-current={one === theme ? "page" : undefined}>
            {t(one)}
          </a>
        ))}
      </nav>
      <TimeBar />
      <Content />
    </div>
  );
}
