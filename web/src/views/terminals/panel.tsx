// One terminal: how it is, why it is refused, what it was told and what it answered. Escape closes.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useAsk, usePages } from "../../lib/api.ts";
import { coded, whoName } from "../../lib/codes.ts";
import { subsystemName } from "../../lib/county.ts";
import { coordinates, date, dateTimeSeconds, number, quantity, shortTime } from "../../lib/format.ts";
import { problemName } from "../../lib/problems.ts";
import { link } from "../../lib/router.ts";
import { may } from "../../lib/session.ts";
import { listed, said } from "../../lib/words.ts";
import { Ago } from "../../part/ago.tsx";
import { Facts, type Fact } from "../../part/facts.tsx";
import { Failed, Loading } from "../../part/states.tsx";
import { Tell } from "./tell.tsx";
import { protocolName, type Command, type Parameter, type Terminal, type WholeTerminal } from "./terminal-types.ts";
import { t } from "./words.ts";

const EVERY_S = 10;
/** Of commands, while one is under way. */
const FOLLOW_MS = 2000;
const COLOURS: Record<Command["state"], string> = { waiting: "warn", sent: "warn", acknowledged: "good", failed: "bad", expired: "quiet", unanswered: "bad" };
const MARKS: Record<Command["state"], string> = { waiting: "○", sent: "○", acknowledged: "●", failed: "▲", expired: "○", unanswered: "▲" };
const RESULTS = ["result0", "result1", "result2", "result3"] as const;

export const StateWords = ({ state }: { state: Terminal["state"] }): JSX.Element => (
  <span class={state === "online" ? "good" : state === "offline" ? "bad" : "quiet"}>
    {state === "online" ? "●" : state === "offline" ? "▲" : "○"} {t(state)}
  </span>
);

/** What of its secrets somebody has to know. */
export function secretWords(one: Terminal): ComponentChildren {
  const words = [t(one.secret ? "secret" : one.key_since === null ? "none" : "sm4"), ...(one.secret && one.key_since !== null ? [t("sm4")] : []), ...(one.key_next ? [t("next")] : [])];
  return (
    <>
      {listed(words)}
      {one.key_old && <strong class="warn"> ▲ {t("old")}</strong>}
    </>
  );
}

/** UTC+08:00 */
function utcOffset(minutes: number): string {
  const two = (part: number): string => String(part).padStart(2, "0");
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

export const deviceLink = (one: Terminal): JSX.Element =>
  one.device === null ? <span>{one.device_code}</span> : <a href={link(`map/device/${one.device}`)}>{one.device_zh === null || one.device_zh === "" ? one.device_code : one.device_zh}</a>;

/** What was asked or answered, by the words that there are for it; what has none as it came. */
function Said({ what, parameters }: { what: Record<string, unknown>; parameters: Parameter[] }): JSX.Element | null {
  const { result, lon, lat, fix, speed_km_h, observed_at_ms, parameters: set, ...rest } = what;
  const name = (id: string): string => parameters.find((one) => one.id === id)?.name_zh ?? id;
  const rows: Fact[] = [];
  if (typeof result === "number") rows.push([t("result"), RESULTS[result] === undefined ? result : t(RESULTS[result]!)]);
  if (fix === false) rows.push([t("place"), t("noFix")]);
  else if (typeof lon === "number" && typeof lat === "number") rows.push([t("place"), <a href={link("map", { at: `${lon.toFixed(5)},${lat.toFixed(5)},16` })}>{coordinates(lon, lat)}</a>]);
  if (typeof speed_km_h === "number") rows.push([t("speed"), quantity(speed_km_h, "km/h")]);
  if (typeof observed_at_ms === "number") rows.push([t("at"), dateTimeSeconds(observed_at_ms)]);
  if (typeof set === "object" && set !== null) rows.push(...Object.entries(set).map(([id, value]): Fact => [name(id), typeof value === "number" ? number(value) : String(value)]));
  for (const [key, value] of Object.entries(rest)) {
    if (key === "text") rows.push([t("textField"), String(value)]);
    else if (key === "urgent" || key === "aloud") value === true && rows.push([t(key), "●"]);
    else if (key === "data" && (value === "realtime" || value === "minute" || value === "hour" || value === "day")) rows.push([t("data"), t(value)]);
    else if (key === "interval") rows.push([t("interval"), String(value)]);
    else if ((key === "begin_ms" || key === "end_ms") && typeof value === "number") rows.push([t(key === "begin_ms" ? "from" : "to"), shortTime(value)]);
    else rows.push([key, typeof value === "string" ? value : JSON.stringify(value)]);
  }
  return rows.length === 0 ? null : <Facts className="terminals-facts terminals-said" rows={rows} />;
}

function Commands({ terminal, turn }: { terminal: WholeTerminal; turn: number }): JSX.Element {
  const list = usePages<Command>(`terminals/${terminal.id}/commands`, "commands", {}, 20);
  const under = list.rows.some((one) => one.state === "waiting" || one.state === "sent");
  useEffect(() => {
    if (turn > 0) list.reload();
  }, [turn]);
  useEffect(() => {
    if (!under) return undefined;
    const timer = setTimeout(list.reload, FOLLOW_MS);
    return () => clearTimeout(timer);
  }, [list.rows]);
  return (
    <section>
      <h3>{t("commands")}</h3>
      {list.problem && <Failed problem={list.problem} retry={list.reload} />}
      {list.rows.length === 0 ? (
        list.loading ? <Loading /> : <p class="quiet">{t("noneTold")}</p>
      ) : (
        <ol class="terminals-commands">
          {list.rows.map((one) => (
            <li key={one.id} data-command-id={one.id}>
              <div>
                <strong>{coded(one.command, one.name_zh)}</strong>{" "}
                <span class={COLOURS[one.state]}>
                  {MARKS[one.state]} {coded(one.state, one.state_zh)}
                </span>
              </div>
              <Said what={one.detail} parameters={terminal.parameters} />
              <div class="quiet">
                {listed([
                  t("askedBy", shortTime(one.asked_at), whoName(one.asked_by)),
                  ...(one.sent_at !== null ? [t("sentBy", shortTime(one.sent_at), one.gateway ?? "–")] : one.state === "waiting" ? [t("expires", shortTime(one.expires_at))] : []),
                  ...(one.answered_at !== null ? [t("answeredAt", shortTime(one.answered_at))] : []),
                ])}
              </div>
              <Said what={one.answer} parameters={terminal.parameters} />
            </li>
          ))}
        </ol>
      )}
      {!list.whole && (
        <button type="button" disabled={list.loading} onClick={list.more}>
          …
        </button>
      )}
    </section>
  );
}

function Details({ one }: { one: WholeTerminal }): JSX.Element {
  const rows: Fact[] = [
    [t("protocol"), protocolName(one.protocol)],
    [t("identity"), <code>{one.identity}</code>],
    [t("device"), one.device === null ? `${one.device_code} (${t(one.state === "source" ? "sourceHint" : "notThere")})` : <>{deviceLink(one)} <code>{one.device_code}</code></>],
    [t("subsystem"), subsystemName(one.subsystem)],
    [t("vendor"), `${one.vendor_zh || one.vendor}${one.vendor_zh ? ` (${one.vendor})` : ""}`],
    [t("department"), one.department_zh ?? "–"],
    [t("place"), one.lon === null || one.lat === null ? t("noPlace") : <a href={link(one.device === null ? "map" : `map/device/${one.device}`, { at: `${one.lon.toFixed(5)},${one.lat.toFixed(5)},16` })}>{coordinates(one.lon, one.lat)}</a>],
    [t("dialect"), one.dialect ?? t("builtIn")],
    ...(one.crc === null ? [] : [[t("crc"), one.crc] as Fact]),
    [t("offset"), utcOffset(one.offset_minutes)],
    [t("key"), <>{secretWords(one)}{one.key_since !== null && ` (${t("since", date(one.key_since))})`}</>],
    [t("created"), date(one.created_at)],
  ];
  return <Facts className="terminals-facts" rows={rows} />;
}

export function Panel({ id, live, turn, onTold, onClose }: { id: string; live: Partial<Terminal>; turn: number; onTold: () => void; onClose: () => void }): JSX.Element {
  const asked = useAsk<WholeTerminal>(`terminals/${encodeURIComponent(id)}`, {}, EVERY_S);
  const panel = useRef<HTMLElement>(null);
  useEffect(() => panel.current?.focus({ preventScroll: true }), [id]);
  const one = asked.data === undefined ? undefined : { ...asked.data, ...live };
  return (
    <aside ref={panel} class="terminals-panel card" tabIndex={-1} aria-label={t("title")}>
      <button type="button" class="plain terminals-close" aria-label={t("close")} onClick={onClose}>
        ✕
      </button>
      {one === undefined ? (
        asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />
      ) : (
        <>
          <h2>{one.device_zh || one.identity}</h2>
          <p class="row">
            <StateWords state={one.state} />
            {one.state !== "source" && (
              <span class="quiet" title={dateTimeSeconds(one.last_seen_at)}>
                {t("seen")} <Ago at={one.last_seen_at} />
              </span>
            )}
          </p>
          {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
          {one.refusal !== null && (
            <div class="failed" role="status" data-refusal={one.refusal.reason}>
              <strong>
                ▲ {t("refused")}: {coded(one.refusal.reason, one.refusal.reason_zh)}
              </strong>
              <p>{said(one.refusal.advice_zh, one.refusal.advice)}</p>
              <p class="quiet">{t("refusedSince", shortTime(one.refusal.first_at), one.refusal.frames, shortTime(one.refusal.last_at), one.refusal.address, one.refusal.gateway)}</p>
            </div>
          )}
          <Details one={one} />
          <section>
            <h3>{t("tell")}</h3>
            <Tell key={id} terminal={one} onTold={onTold} />
          </section>
          <Commands terminal={one} turn={turn} />
          {may("operate") && one.messages.length > 0 && (
            <section>
              <h3>{t("messages")}</h3>
              <ul class="plain-list">
                {one.messages.map((message) => (
                  <li key={message.id}>
                    <a href={link("operate/quarantine", { message: message.id })}>#{message.id}</a> {problemName(message.code)} <span class="quiet">{shortTime(message.received_at)}</span>
                  </li>
                ))}
              </ul>
            </section>
          )}
        </>
      )}
    </aside>
  );
}
