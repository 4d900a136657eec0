// Terminals (终端) that speak to the gateways: how many of each, which, and one of them; and who calls and is in no list. The filter is the address's.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { address, useAsk, usePages } from "../../lib/api.ts";
import { coded } from "../../lib/codes.ts";
import { subsystemName, subsystems } from "../../lib/county.ts";
import { dateTimeSeconds, number } from "../../lib/format.ts";
import { link, route, setPath } from "../../lib/router.ts";
import { isLeft, useStream } from "../../lib/stream.ts";
import { Ago } from "../../part/ago.tsx";
import { Download } from "../../part/download.tsx";
import { Filters, filtered, type Filter } from "../../part/filters.tsx";
import { Failed, Loading } from "../../part/states.tsx";
import { PagedTable, Table, type Column } from "../../part/table.tsx";
import { deviceLink, Panel, secretWords, StateWords } from "./panel.tsx";
import { KEYS, PROTOCOLS, protocolName, STATES, type Caller, type Counts, type Terminal } from "./terminal-types.ts";
import { t } from "./words.ts";
import "./terminals.css";

const COUNTS_S = 15;
const LIST_MS = 30_000;
/** Beyond the first page nothing is read anew: the rows that somebody asked for would go. */
const FIRST_PAGE = 100;

const yesNo = (yes: string, no: string): Filter["choices"] => [{ value: "true", title: yes }, { value: "false", title: no }];

const filters = (): Filter[] => [
  { key: "text", title: t("text"), kind: "text" },
  { key: "protocol", title: t("protocol"), kind: "choice", choices: PROTOCOLS.map((one) => ({ value: one, title: protocolName(one) })) },
  { key: "state", title: t("state"), kind: "choice", choices: STATES.map((one) => ({ value: one, title: t(one) })) },
  { key: "subsystem", title: t("subsystem"), kind: "choice", choices: subsystems.value.map((one) => ({ value: one.key, title: subsystemName(one.key) })) },
  { key: "key", title: t("key"), kind: "choice", choices: KEYS.map((one) => ({ value: one, title: t(one) })) },
  { key: "refused", title: t("refused"), kind: "choice", choices: yesNo(t("refusedYes"), t("refusedNo"))! },
  { key: "waiting", title: t("waiting"), kind: "choice", choices: yesNo(t("waitingYes"), t("waitingNo"))! },
];

type Live = ReadonlyMap<number, Partial<Terminal>>;

/** What the stream has told of the devices that are looked at, by their ids. */
function useStates(rows: Terminal[], anew: () => void): Live {
  const [told, setTold] = useState<Live>(new Map());
  useStream(
    {
      state: (things) => {
        const heard = things.flatMap((thing) => (!isLeft(thing) && rows.some((row) => row.device === thing.id) ? [thing] : []));
        if (heard.length === 0) return;
        setTold(
          (before) =>
            new Map([
              ...before,
              ...heard.map((thing): [number, Partial<Terminal>] => [
                thing.id,
                { state: thing.online ? "online" : "offline", ...(thing.last_seen_at_ms !== null && { last_seen_at: new Date(thing.last_seen_at_ms).toISOString() }) },
              ]),
            ]),
        );
      },
    },
    (begins) => {
      if (begins) return;
      setTold(new Map());
      anew();
    },
  );
  return told;
}

function CountBoard({ counts }: { counts: Counts }): JSX.Element {
  const opens = (where: Record<string, string>, value: number, label: string, colour = ""): JSX.Element =>
    value === 0 ? (
      <>0</>
    ) : (
      <a href={link("terminals", where)} data-number={value} class={colour} aria-label={`${label} ${number(value)}`}>
        {number(value)}
      </a>
    );
  const of = (protocol: Terminal["protocol"] | "", state: Terminal["state"] | ""): number =>
    counts.counts.filter((one) => (protocol === "" || one.protocol === protocol) && (state === "" || one.state === state)).reduce((sum, one) => sum + one.count, 0);
  const cell = (protocol: Terminal["protocol"] | "", state: Terminal["state"] | ""): JSX.Element =>
    opens({ ...(protocol !== "" && { protocol }), ...(state !== "" && { state }) }, of(protocol, state), `${protocol === "" ? t("title") : protocolName(protocol)} ${t(state === "" ? "all" : state)}`, state === "offline" ? "bad" : "");
  const there = PROTOCOLS.filter((protocol) => of(protocol, "") > 0);
  const attention: [string, JSX.Element, boolean][] = [
    [t("refused"), opens({ refused: "true" }, counts.refused, t("refused")), counts.refused > 0],
    ...(counts.callers === null
      ? []
      : ([[t("notListed"), counts.callers === 0 ? <>0</> : <a href={link("terminals/callers")} data-number={counts.callers} aria-label={`${t("notListed")} ${number(counts.callers)}`}>{number(counts.callers)}</a>, counts.callers > 0]] as [string, JSX.Element, boolean][])),
    [t("old"), opens({ key: "old" }, counts.key_old, t("old")), counts.key_old > 0],
    [t("waiting"), opens({ waiting: "true" }, counts.waiting, t("waiting")), false],
  ];
  return (
    <div class="terminals-counts">
      <Table
        label={t("title")}
        scrolls
        rows={[...there, "" as const]}
        rowKey={(protocol) => protocol}
        columns={[
          { key: "protocol", title: t("protocol"), cell: (protocol) => (protocol === "" ? <strong>{t("all")}</strong> : protocolName(protocol)) },
          ...STATES.filter((state) => state !== "source" || of("", "source") > 0).map((state): Column<Terminal["protocol"] | ""> => ({ key: state, title: t(state), numeric: true, cell: (protocol) => cell(protocol, state) })),
          { key: "all", title: t("all"), numeric: true, cell: (protocol) => cell(protocol, "") },
        ]}
      />
      <dl class="terminals-attention">
        {attention.map(([name, value, warns]) => (
          <div key={name} class="card">
            <dt>{name}</dt>
            <dd class={warns ? "warn" : ""}>{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function Callers(): JSX.Element {
  // Nothing here comes by the stream; whether there is one is seen in the frame's head.
  useStream({ counter: () => undefined }, () => undefined);
  const list = usePages<Caller>("terminals/callers", "callers");
  useEffect(() => {
    const timer = setInterval(() => list.rows.length <= FIRST_PAGE && list.reload(), LIST_MS);
    return () => clearInterval(timer);
  }, [list.rows.length]);
  return (
    <>
      <p>
        <a href={link("terminals")}>← {t("back")}</a>
      </p>
      <h1>{t("callers")}</h1>
      <p class="quiet">
        {t("callersIntro")} <code>cityhub terminal adopt --protocol … --identity … --subsystem … --vendor …</code>
      </p>
      <PagedTable
        label={t("callers")}
        empty={t("nobody")}
        list={list}
        rowKey={(one) => one.id}
        columns={[
          { key: "identity", title: t("identity"), cell: (one) => <code>{one.identity}</code> },
          { key: "protocol", title: t("protocol"), cell: (one) => protocolName(one.protocol) },
          { key: "why", title: t("refused"), cell: (one) => <span class="warn">{coded(one.reason, one.reason_zh)}</span> },
          { key: "address", title: t("address"), cell: (one) => `${one.address} (${one.gateway})` },
          { key: "frames", title: t("frames"), numeric: true, cell: (one) => number(one.frames) },
          { key: "first", title: t("first"), cell: (one) => dateTimeSeconds(one.first_at), wide: true },
          { key: "last", title: t("last"), cell: (one) => <Ago at={one.last_at} /> },
          { key: "frame", title: t("frame"), cell: (one) => (one.first_frame === null ? "–" : <code class="terminals-frame">{one.first_frame}</code>), wide: true },
        ]}
      />
    </>
  );
}

function List(): JSX.Element {
  const chosen = filters();
  const { text = "", ...others } = filtered(chosen);
  // The hub looks for no less than two characters.
  const where = { ...others, ...([...text].length >= 2 && { text }) };
  const counts = useAsk<Counts>("terminals/counts", {}, COUNTS_S);
  // Of a number that was clicked elsewhere.
  const { vendor, device } = route.value.parameters;
  const asked = { ...where, ...(vendor !== undefined && { vendor }), ...(device !== undefined && { device }) };
  const list = usePages<Terminal>("terminals", "terminals", asked, FIRST_PAGE);
  const live = useStates(list.rows, list.reload);
  const [turn, setTurn] = useState(0);
  const open = route.value.path[0];
  useEffect(() => {
    const timer = setInterval(() => list.rows.length <= FIRST_PAGE && document.visibilityState === "visible" && list.reload(), LIST_MS);
    return () => clearInterval(timer);
  }, [list.rows.length, address("terminals", asked)]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => event.key === "Escape" && open !== undefined && setPath([]);
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [open]);
  const now = (row: Terminal): Terminal => ({ ...row, ...(row.device === null ? {} : live.get(row.device)) });
  const columns: Column<Terminal>[] = [
    { key: "identity", title: t("identity"), cell: (one) => <code>{one.identity}</code> },
    { key: "state", title: t("state"), cell: (one) => <StateWords state={now(one).state} /> },
    { key: "seen", title: t("seen"), cell: (one) => (one.state === "source" ? "–" : <Ago at={now(one).last_seen_at} />) },
    { key: "protocol", title: t("protocol"), cell: (one) => protocolName(one.protocol), wide: true },
    { key: "device", title: t("device"), cell: (one) => <>{deviceLink(one)} <span class="quiet">{subsystemName(one.subsystem)}</span></> },
    { key: "vendor", title: t("vendor"), cell: (one) => one.vendor_zh || one.vendor, wide: true },
    { key: "dialect", title: t("dialect"), cell: (one) => one.dialect ?? "–", wide: true },
    { key: "key", title: t("key"), cell: secretWords, wide: true },
    { key: "refused", title: t("refused"), cell: (one) => (one.refused === null ? "–" : <strong class="bad">▲ {coded(one.refused, one.refused_zh)}</strong>) },
    { key: "waiting", title: t("waiting"), numeric: true, cell: (one) => number(one.waiting) },
  ];
  return (
    <>
      <h1>{t("title")}</h1>
      <p class="quiet">{t("intro")}</p>
      {counts.problem && <Failed problem={counts.problem} retry={counts.reload} />}
      {counts.data === undefined ? !counts.problem && <Loading /> : <CountBoard counts={counts.data} />}
      <div class={`terminals-both ${open === undefined ? "" : "opened"}`}>
        <div class="terminals-list">
          <div class="row terminals-head">
            <Filters filters={chosen} />
            <Download path="terminals" parameters={asked} />
          </div>
          {(vendor !== undefined || device !== undefined) && (
            <p class="row">
              <span>{vendor ?? `${t("device")} ${device!}`}</span>
              <a href={link("terminals")}>{t("total")}</a>
            </p>
          )}
          <PagedTable
            label={t("title")}
            empty={counts.data?.total === 0 ? t("noneYet") : undefined}
            list={list}
            rowKey={(one) => one.id}
            current={open === undefined ? null : Number(open)}
            onOpen={(one) => setPath([String(one.id)])}
            columns={columns}
          />
        </div>
        {open !== undefined && (
          <Panel
            id={open}
            live={live.get(list.rows.find((row) => String(row.id) === open)?.device ?? 0) ?? {}}
            turn={turn}
            onTold={() => {
              setTurn((before) => before + 1);
              counts.reload();
            }}
            onClose={() => setPath([])}
          />
        )}
      </div>
    </>
  );
}

export default function Terminals(): JSX.Element {
  return <div class="page terminals">{route.value.path[0] === "callers" ? <Callers /> : <List />}</div>;
}
