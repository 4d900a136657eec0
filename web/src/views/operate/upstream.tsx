// How the platforms above stand: what each has accepted, refused, and still waits for; every number opens its records.
import type { JSX } from "preact";
import { useAsk, usePages } from "../../lib/api.ts";
import { coded } from "../../lib/codes.ts";
import { ago, dateTimeSeconds, number } from "../../lib/format.ts";
import { link, route } from "../../lib/router.ts";
import { Empty, Failed, Loading } from "../../part/states.tsx";
import { PagedTable, Table } from "../../part/table.tsx";
import { t } from "./words.ts";

const EVERY_S = 10;
const QUALITY_EVERY_S = 300;
const STATES = ["accepted", "waiting", "refused", "skipped"] as const;
type State = (typeof STATES)[number];
const WORDS = { accepted: "accepted", waiting: "upstreamWaiting", refused: "refused", skipped: "skipped" } as const;
const COLOURS: Record<State, string> = { accepted: "good", waiting: "", refused: "bad", skipped: "quiet" };

interface Target extends Record<State, number> {
  target: string;
  name_zh: string;
  records: number;
  held_up: number;
  corrections: number;
  oldest_waiting_at: string | null;
  late: boolean;
  problem: string;
  paused_until: string | null;
  reached_at: string | null;
}
interface UpstreamRecord {
  number: number;
  resource: string;
  resource_zh: string;
  record: string;
  name_zh: string | null;
  version: number;
  state: State;
  attempts: number;
  made_at: string;
  sent_at: string | null;
  answered_at: string | null;
  receipt: string | null;
  answer: string | null;
}

function Records({ target, state }: { target: string; state: string }): JSX.Element {
  const list = usePages<UpstreamRecord>("upstream/records", "records", { target, ...(state !== "" && { state }) });
  return (
    <PagedTable
      label={t("upstreamRecords")}
      list={list}
      rowKey={(one) => one.number}
      columns={[
        { key: "number", title: t("upstreamNumber"), numeric: true, cell: (one) => one.number },
        { key: "resource", title: t("upstreamResource"), cell: (one) => coded(one.resource, one.resource_zh) },
        {
          key: "record",
          title: t("upstreamRecord"),
          cell: (one) => (
            <>
              {one.name_zh} <span class="quiet">{one.version > 1 ? `${one.record} (${t("upstreamVersion", one.version)})` : one.record}</span>
            </>
          ),
        },
        { key: "state", title: t("state"), cell: (one) => <span class={COLOURS[one.state]}>{t(WORDS[one.state])}</span> },
        { key: "attempts", title: t("upstreamAttempts"), numeric: true, cell: (one) => one.attempts },
        { key: "sent", title: t("upstreamSent"), cell: (one) => dateTimeSeconds(one.sent_at), wide: true },
        { key: "receipt", title: t("upstreamReceipt"), cell: (one) => one.receipt ?? "–", wide: true },
        { key: "answer", title: t("upstreamAnswer"), cell: (one) => one.answer ?? "–" },
      ]}
    />
  );
}

interface Quality {
  target: string;
  target_zh: string;
  resource: string;
  resource_zh: string | null;
  expected: number;
  complete: number | null;
  content: number | null;
  timely: number | null;
  up: number | null;
  points: number;
}
const MEASURES = ["complete", "content", "timely", "up"] as const;
const MEASURE_WORDS = { complete: "upstreamComplete", content: "upstreamContent", timely: "upstreamTimely", up: "upstreamUp" } as const;

function QualityBoard(): JSX.Element | null {
  const asked = useAsk<{ quality: Quality[] }>("upstream/quality", {}, QUALITY_EVERY_S);
  if (asked.data === undefined) return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />;
  const share = (value: number | null): JSX.Element => (value === null ? <span class="quiet">–</span> : <span class={value < 100 ? "warn" : "good"}>{value.toFixed(2)}</span>);
  return (
    <Table
      label={t("upstreamQuality")}
      rows={asked.data.quality}
      rowKey={(one) => `${one.target}/${one.resource}`}
      columns={[
        { key: "target", title: t("upstreamTarget"), cell: (one) => one.target_zh || one.target },
        { key: "resource", title: t("upstreamResource"), cell: (one) => (one.resource === "all" ? <strong>{t("upstreamWhole")}</strong> : coded(one.resource, one.resource_zh)) },
        { key: "expected", title: t("upstreamExpected"), numeric: true, cell: (one) => number(one.expected) },
        ...MEASURES.map((which) => ({ key: which, title: t(MEASURE_WORDS[which]), numeric: true, cell: (one: Quality) => share(one[which]) })),
        { key: "points", title: t("upstreamPoints"), numeric: true, cell: (one) => one.points.toFixed(2) },
      ]}
    />
  );
}

export function Upstream(): JSX.Element {
  const asked = useAsk<{ targets: Target[] }>("upstream", {}, EVERY_S);
  const { target, state } = route.value.parameters;
  if (asked.data === undefined) return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />;
  const counties = (
    <p>
      <a href={link("counties")}>{t("counties")} →</a>
    </p>
  );
  if (asked.data.targets.length === 0) {
    return (
      <>
        <Empty>{t("upstreamNone")}</Empty>
        {counties}
      </>
    );
  }
  const count = (one: Target, which: State | "", value: number): JSX.Element =>
    value === 0 ? (
      <span data-count={`${one.target}/${which}`}>0</span>
    ) : (
      <a href={link("operate/upstream", { target: one.target, state: which })} data-count={`${one.target}/${which}`} data-number={value} aria-label={`${one.name_zh} ${t(which === "" ? "upstreamAll" : WORDS[which])} ${number(value)}`} class={which === "" ? "" : COLOURS[which]}>
        {number(value)}
      </a>
    );
  const stands = (one: Target): JSX.Element => {
    if (one.paused_until !== null && one.problem !== "") return <strong class="bad">▲ {t("upstreamPaused")}</strong>;
    if (one.late) return <strong class="bad">▲ {t("upstreamLate")}</strong>;
    return one.refused > 0 ? <span class="warn">{t("upstreamRefused")}</span> : <span class="good">● {t("upstreamGood")}</span>;
  };
  return (
    <>
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      {asked.data.targets
        .filter((one) => one.late)
        .map((one) => (
          <p key={one.target} role="alert" class="bad" data-late={one.target}>
            ▲ {t("upstreamAlarm", one.name_zh || one.target)}
          </p>
        ))}
      <Table
        label={t("upstream")}
        rows={asked.data.targets}
        rowKey={(one) => one.target}
        columns={[
          { key: "target", title: t("upstreamTarget"), cell: (one) => `${one.name_zh} (${one.target})` },
          { key: "stands", title: t("state"), cell: stands },
          { key: "records", title: t("upstreamAll"), numeric: true, cell: (one) => count(one, "", one.records) },
          ...STATES.map((which) => ({ key: which, title: t(WORDS[which]), numeric: true, cell: (one: Target) => count(one, which, one[which]) })),
          { key: "oldest", title: t("upstreamOldest"), cell: (one) => <span class={one.late ? "bad" : ""}>{one.oldest_waiting_at === null ? "–" : ago(one.oldest_waiting_at)}</span> },
          { key: "why", title: t("reason"), cell: (one) => one.problem || (one.held_up > 0 ? t("upstreamHeld", one.held_up) : "–") },
          { key: "reached", title: t("upstreamReached"), cell: (one) => (one.reached_at === null ? "–" : ago(one.reached_at)), wide: true },
        ]}
      />
      {target !== undefined && (
        <>
          <h3>{t("upstreamRecords")}</h3>
          <Records key={`${target}/${state ?? ""}`} target={target} state={state ?? ""} />
        </>
      )}
      <h3>{t("upstreamQuality")}</h3>
      <QualityBoard />
      {counties}
    </>
  );
}
