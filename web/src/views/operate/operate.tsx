// How the hub is: the way of each subsystem's messages into the database, vendors that have gone silent, and what could not be stored and why.
import type { ComponentChildren, JSX } from "preact";
import { useAsk } from "../../lib/api.ts";
import { subsystemName } from "../../lib/county.ts";
import { ago, date, dateTimeSeconds, duration, now, number } from "../../lib/format.ts";
import { link, route } from "../../lib/router.ts";
import { me } from "../../lib/session.ts";
import { useStream } from "../../lib/stream.ts";
import { said } from "../../lib/words.ts";
import { Download } from "../../part/download.tsx";
import { Failed, Loading } from "../../part/states.tsx";
import { Table, type Column } from "../../part/table.tsx";
import { t as conformityWords } from "./conformity-words.ts";
import { dayAfter, PERIODS, percent, Rate, VendorConformity, type Conformities, type Conformity, type Period } from "./conformity.tsx";
import { t as importWords } from "./import-words.ts";
import { Imports } from "./imports.tsx";
import { Quarantine } from "./quarantine.tsx";
import { t as manageWords } from "./manage-words.ts";
import { Rules } from "./rules.tsx";
import { Tokens } from "./tokens.tsx";
import { Upstream } from "./upstream.tsx";
import { Users } from "./users.tsx";
import { t } from "./words.ts";
import "./operate.css";

const TABS = ["health", "vendors", "quarantine", "lanes", "upstream", "users", "tokens", "rules", "imports"] as const;
/** They are an administrator's. */
const MANAGED = ["users", "tokens", "imports"];
const HEALTH_S = 5;
const LIST_S = 30;
/** Seconds of lag from which a subsystem is late, and from which something is wrong. */
const LAG = { warn: 5, bad: 60 };

interface Subsystem {
  key: string;
  lanes: number;
  connected: number;
  messages_received: number;
  records_committed: number;
  records_duplicate: number;
  records_rejected: number;
  queue_records: number;
  lag_s: number;
  last_commit_at: string | null;
}
interface Hub {
  version: string;
  uptime_s: number;
  ready: boolean;
  why: string | null;
  why_zh: string | null;
  calendar: string | null;
  calendar_zh: string | null;
  terminal_keys: string | null;
  terminal_keys_zh: string | null;
  database_settings: string | null;
  database_settings_zh: string | null;
  last_problem: { at: string; text: string } | null;
  database: { connected: boolean; losses: number; writer_queue: number };
  subsystems: Subsystem[];
  quarantine_waiting: number;
  outbox_waiting: number;
  jobs_failed: number;
}
/** What the broker told of a login that it refused. */
interface RefusedLogin {
  count: number;
  last_at: string;
  reason: string;
  reason_zh: string;
  address: string;
}

/** A hub of another version may know more reasons. */
const whyRefused = ({ reason, reason_zh }: RefusedLogin): string => (reason === "password" || reason === "client_id" ? t(reason) : reason_zh);
interface Vendor {
  subsystem: string;
  vendor: string;
  name_zh: string;
  company: string;
  devices: number;
  online: number;
  last_seen_at: string | null;
  /** HH:MM:SS, with days before it if there are any. */
  silent_after: string;
  unknown_devices: string;
  refused: RefusedLogin | null;
  revoked_at: string | null;
}

function Health(): JSX.Element {
  const asked = useAsk<Hub>("status", {}, HEALTH_S);
  const reasons = useAsk<{ reasons: { subsystem: string; waiting: number }[] }>("quarantine/reasons", {}, LIST_S);
  const places = useAsk<{ total: number }>("unplaced/counts", {}, LIST_S);
  const hub = asked.data;
  if (hub === undefined) return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />;
  const unplaced = places.data?.total;
  // Those that wait and that who asks sees, not the hub's counters: the list behind the number has as many.
  const heldOf = (is: (reason: { subsystem: string }) => boolean, where: Record<string, string>, label: string): JSX.Element | string => {
    if (reasons.data === undefined) return "–";
    const waiting = reasons.data.reasons.filter(is).reduce((sum, reason) => sum + reason.waiting, 0);
    return waiting === 0 ? "0" : (
      <a href={link("operate/quarantine", { ...where, waiting: true })} data-number={waiting} aria-label={`${label} ${number(waiting)}`}>
        {number(waiting)}
      </a>
    );
  };
  const facts: [string, ComponentChildren, "" | "warn" | "bad"][] = [
    [t("database"), `${t(hub.database.connected ? "connected" : "away")}${hub.database.losses > 0 ? ` (${t("losses", hub.database.losses)})` : ""}`, hub.database.connected ? "" : "bad"],
    [t("queue"), number(hub.database.writer_queue), hub.database.writer_queue > 100 ? "warn" : ""],
    [t("quarantined"), heldOf(() => true, {}, t("quarantined")), hub.quarantine_waiting > 0 ? "warn" : ""],
    [t("unplaced"), unplaced === undefined ? "–" : unplaced === 0 ? "0" : <a href={link("unplaced")}>{number(unplaced)}</a>, unplaced !== undefined && unplaced > 0 ? "warn" : ""],
    [t("receipts"), number(hub.outbox_waiting), hub.outbox_waiting > 1000 ? "warn" : ""],
    [t("failures"), number(hub.jobs_failed), hub.jobs_failed > 0 ? "warn" : ""],
    [t("uptime"), duration(hub.uptime_s), ""],
    [t("version"), hub.version, ""],
  ];
  const warnings = ([[t("calendar"), said(hub.calendar_zh, hub.calendar)], [t("terminalKeys"), said(hub.terminal_keys_zh, hub.terminal_keys)], [t("settings"), said(hub.database_settings_zh, hub.database_settings)]] as const).filter(([, text]) => text !== "");
  const columns: Column<Subsystem>[] = [
    { key: "subsystem", title: t("subsystem"), cell: (one) => subsystemName(one.key) },
    { key: "lanes", title: t("lane"), numeric: true, cell: (one) => <span class={one.connected < one.lanes ? "bad" : ""}>{`${one.connected} / ${one.lanes}`}</span> },
    { key: "lag", title: t("lag"), numeric: true, cell: (one) => <span class={one.lag_s >= LAG.bad ? "bad" : one.lag_s >= LAG.warn ? "warn" : ""}>{duration(one.lag_s)}</span> },
    { key: "last", title: t("last"), cell: (one) => ago(one.last_commit_at) },
    { key: "queue", title: t("waiting"), numeric: true, cell: (one) => number(one.queue_records) },
    { key: "received", title: t("received"), numeric: true, wide: true, cell: (one) => number(one.messages_received) },
    { key: "committed", title: t("committed"), numeric: true, cell: (one) => number(one.records_committed) },
    { key: "duplicates", title: t("duplicates"), numeric: true, wide: true, cell: (one) => number(one.records_duplicate) },
    { key: "rejected", title: t("rejected"), numeric: true, wide: true, cell: (one) => <span class={one.records_rejected > 0 ? "warn" : ""}>{number(one.records_rejected)}</span> },
    {
      key: "held",
      title: t("held"),
      numeric: true,
      cell: (one) => heldOf((reason) => reason.subsystem === one.key, { subsystem: one.key }, `${t("quarantined")} ${subsystemName(one.key)}`),
    },
  ];
  return (
    <>
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      <p>
        <strong class={hub.ready ? "good" : "bad"}>
          {hub.ready ? "●" : "▲"} {hub.ready ? t("ready") : t("notReady", said(hub.why_zh, hub.why))}
        </strong>
      </p>
      <dl class="operate-facts">
        {facts.map(([name, value, state]) => (
          <div key={name} class="card">
            <dt>{name}</dt>
            <dd class={state}>{value}</dd>
          </div>
        ))}
      </dl>
      {warnings.map(([name, text]) => (
        <p key={name} class="warn" data-warning>
          {name}: {text}
        </p>
      ))}
      {hub.last_problem !== null && (
        <p class="quiet" data-problem>
          {t("lastProblem")} {dateTimeSeconds(hub.last_problem.at)}: <code lang="en">{hub.last_problem.text}</code>
        </p>
      )}
      <Table label={t("health")} columns={columns} rows={hub.subsystems} rowKey={(one) => one.key} />
    </>
  );
}

/** PostgreSQL's "1 day 00:10:00" in seconds. */
export function intervalSeconds(text: string): number {
  const days = Number(/(\d+) day/.exec(text)?.[1] ?? 0);
  const [hours = 0, minutes = 0, seconds = 0] = (/\d+:\d+:[\d.]+/.exec(text)?.[0] ?? "").split(":").map(Number);
  return days * 86_400 + hours * 3600 + minutes * 60 + seconds;
}

const DAY_MS = 86_400_000;
const ORDERS = { silent: "silentFirst", day: "worstDay", week: "worstWeek", month: "worstMonth" } as const;
type Order = keyof typeof ORDERS;

function Vendors(): JSX.Element {
  const { of } = route.value.parameters;
  return of === undefined ? <AllVendors /> : <VendorConformity of={of} />;
}

function AllVendors(): JSX.Element {
  const asked = useAsk<{ vendors: Vendor[]; unknown_logins: RefusedLogin | null }>("vendors", {}, LIST_S);
  const judged = useAsk<Conformities>("vendors/conformity", {}, LIST_S);
  if (asked.data === undefined) return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />;
  const silent = (one: Vendor): boolean => one.last_seen_at !== null && one.revoked_at === null && (now.value - Date.parse(one.last_seen_at)) / 1000 > intervalSeconds(one.silent_after);
  const state = (one: Vendor): JSX.Element => {
    if (one.revoked_at !== null) return <span class="quiet">{t("revoked")}</span>;
    if (one.last_seen_at === null) return <span class="quiet">{t("never")}</span>;
    return silent(one) ? <strong class="bad">▲ {t("silent")}</strong> : <span class="good">● {t("speaks")}</span>;
  };
  // One of its devices may send while another is refused.
  const refusal = (one: Vendor): JSX.Element | null =>
    one.refused === null || one.revoked_at !== null || now.value - Date.parse(one.refused.last_at) > DAY_MS ? null : (
      <div class="warn" data-refused={one.refused.count}>
        ▲ {t("loginRefused", number(one.refused.count), whyRefused(one.refused), one.refused.address, ago(one.refused.last_at))}
      </div>
    );
  const strangers = asked.data.unknown_logins;
  const count = (one: Vendor, value: number, which: Record<string, string>): JSX.Element | string => value === 0 ? "0" : (
    <a
      href={link("map", { list: "device", subsystem: one.subsystem, vendor: one.vendor, inview: false, ...which })}
      data-number={value}
      class={value < one.devices ? "warn" : ""}
      aria-label={`${one.name_zh} ${subsystemName(one.subsystem)} ${t("devices")} ${number(value)}`}
    >
      {number(value)}
    </a>
  );
  const of = new Map(judged.data?.vendors.map((one): [string, Conformity] => [`${one.subsystem}/${one.vendor}`, one]));
  const rateOf = (one: Vendor, period: Period): number | null => of.get(`${one.subsystem}/${one.vendor}`)?.rates[period] ?? null;
  const today = date(now.value);
  const rate = (one: Vendor, period: Period): JSX.Element => {
    const value = rateOf(one, period);
    if (value === null) return <span class="quiet">–</span>;
    const from = dayAfter(today, 1 - PERIODS[period]);
    return (
      <a href={link("operate/vendors", { of: `${one.subsystem}/${one.vendor}`, from, to: today })} aria-label={`${conformityWords("open", `${subsystemName(one.subsystem)} ${one.name_zh || one.vendor}`)} ${conformityWords(period)} ${percent(value)}`}>
        <Rate rate={value} />
      </a>
    );
  };
  const wanted = route.value.parameters["sort"] ?? "silent";
  const order: Order = Object.hasOwn(ORDERS, wanted) ? (wanted as Order) : "silent";
  // Who has gone silent comes first, or who is worst; of whom there is nothing to judge, last.
  const worth = (one: Vendor): number => (order === "silent" ? Number(!silent(one)) : (rateOf(one, order) ?? 101));
  const rows = [...asked.data.vendors].sort((a, b) => worth(a) - worth(b) || a.subsystem.localeCompare(b.subsystem) || a.vendor.localeCompare(b.vendor));
  return (
    <>
      {judged.problem && <Failed problem={judged.problem} retry={judged.reload} />}
      <nav class="row operate-choices" aria-label={conformityWords("sort")}>
        <span class="quiet">{conformityWords("sort")}</span>
        {(Object.keys(ORDERS) as Order[]).map((one) => (
          <a key={one} href={link("operate/vendors", { sort: one === "silent" ? null : one })} aria-current={one === order ? "true" : undefined}>
            {conformityWords(ORDERS[one])}
          </a>
        ))}
        <Download path="vendors/conformity" parameters={{}} />
      </nav>
      <Table
        label={t("vendors")}
        rows={rows}
        rowKey={(one) => `${one.subsystem}/${one.vendor}`}
        columns={[
          { key: "state", title: t("state"), cell: (one) => <>{state(one)}{refusal(one)}</> },
          { key: "subsystem", title: t("subsystem"), cell: (one) => subsystemName(one.subsystem) },
          { key: "vendor", title: t("vendor"), cell: (one) => (one.name_zh === "" ? one.vendor : `${one.name_zh} (${one.vendor})`) },
          { key: "company", title: t("company"), cell: (one) => one.company || "–", wide: true },
          { key: "devices", title: t("devices"), numeric: true, cell: (one) => <>{count(one, one.online, { state: "online" })} / {count(one, one.devices, { state: "in_use" })}</> },
          { key: "seen", title: t("seen"), cell: (one) => ago(one.last_seen_at) },
          ...(Object.keys(PERIODS) as Period[]).map((period) => ({ key: period, title: `${conformityWords("rate")} ${conformityWords(period)}`, numeric: true, cell: (one: Vendor) => rate(one, period) })),
          { key: "silent", title: t("silent"), cell: (one) => t("silentAfter", duration(intervalSeconds(one.silent_after))), wide: true },
          { key: "unknown", title: t("unknown"), cell: (one) => t(one.unknown_devices === "quarantine" ? "unknownHeld" : "unknownTaken"), wide: true },
        ]}
      />
      {strangers !== null && (
        <p class="quiet" data-strangers={strangers.count}>
          {t("unknownLogins", number(strangers.count), strangers.address, ago(strangers.last_at))}
        </p>
      )}
      <p class="quiet">
        {conformityWords("meaning")} {judged.data !== undefined && conformityWords("asOf", dateTimeSeconds(judged.data.as_of))}
      </p>
    </>
  );
}

function Lanes(): JSX.Element {
  const asked = useAsk<{ lanes: { client_id: string; subsystem: string; opened_at: string }[] }>("lanes", {}, LIST_S);
  if (asked.data === undefined) return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />;
  return (
    <Table
      label={t("lanes")}
      rows={asked.data.lanes}
      rowKey={(one) => one.client_id}
      columns={[
        { key: "subsystem", title: t("subsystem"), cell: (one) => subsystemName(one.subsystem) },
        { key: "client", title: t("client"), cell: (one) => <code>{one.client_id}</code> },
        { key: "opened", title: t("opened"), cell: (one) => ago(one.opened_at) },
      ]}
    />
  );
}

const SHOWN = { health: Health, vendors: Vendors, quarantine: Quarantine, lanes: Lanes, upstream: Upstream, users: Users, tokens: Tokens, rules: Rules, imports: Imports };
const tabTitle = (tab: (typeof TABS)[number]): string => (tab === "users" || tab === "tokens" || tab === "rules" ? manageWords(tab) : tab === "imports" ? importWords(tab) : t(tab));

export default function Operate(): JSX.Element {
  // Nothing here comes by the stream; whether there is one is seen in the frame's head.
  useStream({ counter: () => undefined }, () => undefined);
  const tab = TABS.find((one) => one === route.value.path[0]) ?? "health";
  const Content = SHOWN[tab];
  return (
    <div class="page operate">
      <nav class="operate-tabs" aria-label={t("title")}>
        {TABS.filter((one) => !MANAGED.includes(one) || (me.value?.posts.includes("admin") ?? false)).map((one) => (
          <a key={one} href={link(one === "health" ? "operate" : `operate/${one}`)} aria-current={one === tab ? "page" : undefined}>
            {tabTitle(one)}
          </a>
        ))}
      </nav>
      <Content />
    </div>
  );
}
