// Conformity of a vendor (符合率): what it sent, how much of it had nothing to mend, day by day, and what was found, with the last example of each.
import type { JSX } from "preact";
import { useAsk } from "../../lib/api.ts";
import { subsystemName } from "../../lib/county.ts";
import { date, dateTimeSeconds, now, number } from "../../lib/format.ts";
import { problemName } from "../../lib/problems.ts";
import { link, route } from "../../lib/router.ts";
import { Download } from "../../part/download.tsx";
import { Facts, type Fact } from "../../part/facts.tsx";
import { Empty, Failed, Loading } from "../../part/states.tsx";
import { Table } from "../../part/table.tsx";
import { t, warningName } from "./conformity-words.ts";

const EVERY_S = 30;
const DAY_MS = 86_400_000;
const TREND_DAYS = 30;
export const PERIODS = { day: 1, week: 7, month: 30 } as const;
export type Period = keyof typeof PERIODS;
const FATES = ["refused", "field", "warning"] as const;
/** From which rate on a vendor is good, and from which on it is only watched. */
const LEVELS = { good: 99, watch: 95 };

interface Counts {
  messages: number | null;
  replayed: number | null;
  records: number | null;
  taken: number | null;
  duplicates: number | null;
  merged: number | null;
  revised: number | null;
  refused: number | null;
  unjudged: number | null;
  flawed: number | null;
  late: number | null;
  unlisted: number | null;
  rate: number | null;
}
export interface Conformity extends Counts {
  subsystem: string;
  vendor: string;
  vendor_zh: string;
  company: string;
  rates: Record<Period, number | null>;
}
export interface Conformities {
  as_of: string;
  from: string;
  to: string;
  vendors: Conformity[];
}
interface Finding {
  fate: (typeof FATES)[number];
  code: string;
  field: string | null;
  findings: number;
  excuse: string | null;
  quarantined: number | null;
  example: { reason?: string; device?: string; value?: number; index: number; received_at_ms: number; observed_at_ms?: number; message?: string } | null;
}

/** Days are told as texts, such as 2026-11-29: this one some days on. */
export const dayAfter = (day: string, days: number): string => new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
/** The hub rounds no share up, and neither does this. */
export const percent = (rate: number | null): string => (rate === null ? "–" : `${rate.toFixed(2)}%`);
const levelOf = (rate: number): keyof typeof MARKS => (rate >= LEVELS.good ? "good" : rate >= LEVELS.watch ? "warn" : "bad");
const MARKS = { good: "●", warn: "◆", bad: "▲" } as const;

export function Rate({ rate }: { rate: number | null }): JSX.Element {
  if (rate === null) return <span class="quiet">–</span>;
  const level = levelOf(rate);
  return (
    <span class={`operate-rate ${level}`}>
      {MARKS[level]} {percent(rate)}
    </span>
  );
}

function Trend({ of, today }: { of: { subsystem: string; vendor: string }; today: string }): JSX.Element {
  const first = dayAfter(today, 1 - TREND_DAYS);
  const asked = useAsk<{ days: (Counts & { day: string })[] }>("vendors/conformity/days", { ...of, from: first, to: today }, EVERY_S);
  if (asked.data === undefined) return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />;
  const known = new Map(asked.data.days.map((one) => [one.day, one]));
  const { from, to } = route.value.parameters;
  return (
    <ol class="operate-trend">
      {Array.from({ length: TREND_DAYS }, (_, place) => dayAfter(first, place)).map((day) => {
        const one = known.get(day);
        const rate = one?.rate ?? null;
        const words = one === undefined || rate === null ? t("noRecords", day) : t("dayOf", day, percent(rate), number(one.records), number(one.refused), number(one.flawed));
        const level = rate === null ? "none" : levelOf(rate);
        return (
          <li key={day}>
            <a href={link("operate/vendors", { of: `${of.subsystem}/${of.vendor}`, from: day, to: day })} title={words} aria-label={words} aria-current={from === day && to === day ? "date" : undefined}>
              <span class={`operate-bar ${level}`} style={{ height: `${rate ?? 0}%` }} />
              <small>{day.slice(8)}</small>
            </a>
          </li>
        );
      })}
    </ol>
  );
}

function Found({ of, from, to, fate }: { of: { subsystem: string; vendor: string }; from: string; to: string; fate: string }): JSX.Element {
  const asked = useAsk<{ findings: Finding[] }>("vendors/conformity/findings", { ...of, from, to }, EVERY_S);
  if (asked.data === undefined) return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />;
  const here = { of: `${of.subsystem}/${of.vendor}`, from, to };
  const rows = asked.data.findings.filter((one) => fate === "" || one.fate === fate);
  const name = (one: Finding): string => (one.fate === "warning" ? warningName(one.code) : problemName(one.code));
  const held = (one: Finding): JSX.Element | string =>
    one.quarantined === null ? "–" : one.quarantined === 0 ? "0" : (
      <a
        href={link("operate/quarantine", { ...of, problem: one.code, from, to: dayAfter(to, 1) })}
        data-number={one.quarantined}
        aria-label={`${name(one)} ${t("held")} ${number(one.quarantined)}`}
      >
        {number(one.quarantined)}
      </a>
    );
  const example = ({ example: one }: Finding): JSX.Element | string => {
    if (one === null) return "–";
    const told: [string, string | undefined][] = [
      [t("device"), one.device],
      [t("value"), one.value === undefined ? undefined : String(one.value)],
      [t("observed"), one.observed_at_ms === undefined ? undefined : dateTimeSeconds(one.observed_at_ms)],
      [t("received"), dateTimeSeconds(one.received_at_ms)],
    ];
    return (
      <>
        {told
          .filter(([, value]) => value !== undefined && value !== "")
          .map(([title, value]) => (
            <span key={title} class="operate-told">
              <span class="quiet">{title}</span> {value}
            </span>
          ))}
        {one.reason !== undefined && (
          <div class="quiet operate-detail" lang="en">
            {one.reason}
          </div>
        )}
      </>
    );
  };
  return (
    <>
      <nav class="row operate-choices" aria-label={t("fate")}>
        {["", ...FATES].map((one) => (
          <a key={one} href={link("operate/vendors", { ...here, fate: one })} aria-current={one === fate ? "true" : undefined}>
            {t(one === "" ? "all" : `fate_${one as (typeof FATES)[number]}`)}
          </a>
        ))}
      </nav>
      {rows.length === 0 ? (
        <Empty>{t("nothing")}</Empty>
      ) : (
        <>
          <Table
            label={t("found")}
            rows={rows}
            rowKey={(one) => `${one.fate}/${one.code}/${one.field ?? ""}`}
            columns={[
              {
                key: "what",
                title: t("what"),
                cell: (one) => (
                  <>
                    {name(one)} <code>{one.code}</code>
                    {one.excuse !== null && <span class="quiet operate-excused"> {t("excused")}</span>}
                  </>
                ),
              },
              { key: "fate", title: t("fate"), cell: (one) => <span class={one.fate === "refused" ? "bad" : one.excuse === null ? "warn" : "quiet"}>{t(`fate_${one.fate}`)}</span> },
              { key: "field", title: t("field"), cell: (one) => (one.field === null ? "–" : <code>{one.field}</code>) },
              { key: "times", title: t("times"), numeric: true, cell: (one) => number(one.findings) },
              { key: "held", title: t("held"), numeric: true, cell: held },
              { key: "example", title: t("example"), cell: example },
            ]}
          />
          <p class="quiet" role="status">
            {t("total", rows.reduce((sum, one) => sum + one.findings, 0))}
          </p>
        </>
      )}
    </>
  );
}

/** One vendor: `of` is its subsystem and name, as the address has them. */
export function VendorConformity({ of: named }: { of: string }): JSX.Element {
  const [subsystem = "", vendor = ""] = named.split("/");
  const { parameters } = route.value;
  const today = date(now.value);
  const to = parameters["to"] ?? today;
  const from = parameters["from"] ?? to;
  const of = { subsystem, vendor };
  const asked = useAsk<Conformities>("vendors/conformity", { ...of, from, to }, EVERY_S);
  const one = asked.data?.vendors[0];
  const periods = (Object.keys(PERIODS) as Period[]).map((period) => [period, dayAfter(today, 1 - PERIODS[period])] as const);
  const facts = (it: Conformity): Fact[] => {
    const refused = it.refused ?? 0;
    return [
      [t("rate"), <Rate rate={it.rate} />],
      [t("messages"), number(it.messages ?? 0)],
      [t("records"), number(it.records ?? 0)],
      [t("taken"), number(it.taken ?? 0)],
      [
        t("refused"),
        refused === 0 ? "0" : (
          <a class="bad" href={link("operate/vendors", { of: named, from, to, fate: "refused" })} data-number={refused} aria-label={`${t("refused")} ${number(refused)}`}>
            {number(refused)}
          </a>
        ),
      ],
      [t("flawed"), (it.flawed ?? 0) === 0 ? "0" : <a class="warn" href={link("operate/vendors", { of: named, from, to })}>{number(it.flawed)}</a>],
      [t("duplicates"), number(it.duplicates ?? 0)],
      [t("merged"), number(it.merged ?? 0)],
      [t("revised"), number(it.revised ?? 0)],
      [t("late"), number(it.late ?? 0)],
      [t("unlisted"), number(it.unlisted ?? 0)],
      ...((it.unjudged ?? 0) > 0 ? [[t("unjudged"), number(it.unjudged)] as Fact] : []),
      ...((it.replayed ?? 0) > 0 ? [[t("replayed"), number(it.replayed)] as Fact] : []),
    ];
  };
  return (
    <>
      <p class="row">
        <a href={link("operate/vendors")}>← {t("back")}</a>
        <strong>{`${subsystemName(subsystem)} · ${one?.vendor_zh || vendor}`}</strong>
        <span>{from === to ? from : t("days", from, to)}</span>
      </p>
      <nav class="row operate-choices" aria-label={t("rate")}>
        {periods.map(([period, since]) => (
          <a key={period} href={link("operate/vendors", { of: named, from: since, to: today })} aria-current={from === since && to === today ? "true" : undefined}>
            {t(period)}
          </a>
        ))}
        <Download path="vendors/conformity" parameters={{ ...of, from, to }} />
      </nav>
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      {one === undefined ? asked.problem ? null : <Loading /> : <Facts className="operate-facts" rows={facts(one)} />}
      <h3>
        {t("trend")} <span class="quiet">{t("days", dayAfter(today, 1 - TREND_DAYS), today)}</span>
      </h3>
      <Trend of={of} today={today} />
      <h3>{t("found")}</h3>
      <Found of={of} from={from} to={to} fate={parameters["fate"] ?? ""} />
      <p class="quiet">
        {t("meaning")} {asked.data !== undefined && t("asOf", dateTimeSeconds(asked.data.as_of))}
      </p>
    </>
  );
}
