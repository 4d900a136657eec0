// What could not be stored: by reason, each with its messages, each message with its problems and its bytes as they came.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { address, ask as askHub, asProblem, useAsk, usePages, type Problem } from "../../lib/api.ts";
import { subsystemName } from "../../lib/county.ts";
import { ago, dateTimeSeconds, number } from "../../lib/format.ts";
import { problemName } from "../../lib/problems.ts";
import { link, route, setParameters } from "../../lib/router.ts";
import { me } from "../../lib/session.ts";
import { Dialog } from "../../part/dialog.tsx";
import { Empty, Failed, Loading } from "../../part/states.tsx";
import { PagedTable, Table } from "../../part/table.tsx";
import { t } from "./words.ts";

interface Reason {
  code: string;
  subsystem: string;
  vendor: string;
  vendor_zh: string | null;
  messages: number;
  waiting: number;
  last_received_at: string;
  example: string;
}
interface Message {
  id: number;
  code: string;
  kind: string;
  topic: string;
  subsystem: string;
  vendor: string;
  vendor_zh: string | null;
  reason: string;
  bytes: number;
  times: number;
  problems: number;
  received_at: string;
  replayed_at: string | null;
}
interface Whole extends Message {
  list: { code: string; index: number; field?: string; reason: string }[];
  kept_bytes: number;
  payload_base64: string;
  replaying: boolean;
  replay_error: string | null;
}

const FOLLOW_MS = 1000;
const LOOKS = 15;
const manages = (): boolean => me.value?.kind === "person" && me.value.posts.includes("admin");

/** Lets the hub take messages in again. `onAsked`: it will. */
function Replay({ path, parameters = {}, title, onAsked }: { path: string; parameters?: Record<string, string>; title: string; onAsked: () => void }): JSX.Element {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [told, setTold] = useState("");
  const [asking, setAsking] = useState(false);
  const ask = async () => {
    setAsking(true);
    setProblem(null);
    try {
      const { asked, left } = await askHub<{ asked: number; left: number }>(path, { method: "POST", parameters });
      setTold(left > 0 ? t("replayLeft", number(asked), number(left)) : t("replayAsked", number(asked)));
      onAsked();
    } catch (error) {
      setProblem(asProblem(error));
    }
    setAsking(false);
  };
  return (
    <>
      <button type="button" data-testid="replay" disabled={asking} onClick={() => void ask()}>
        {title}
      </button>
      {told !== "" && <span role="status">{told}</span>}
      {problem && <Failed problem={problem} />}
    </>
  );
}

/** The bytes as text, or null: a Protobuf message is none. */
function textOf(base64: string): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
  } catch {
    return null;
  }
}

/** What is wrong in the page's language; the code, and what the hub said of one message, beside it. */
function Why({ code, detail }: { code: string; detail: string }): JSX.Element {
  return (
    <>
      {problemName(code)} <code>{code}</code>
      <div class="quiet operate-detail" lang="en">
        {detail}
      </div>
    </>
  );
}

/** Breaks between day and time alone. */
const Moment = ({ at }: { at: string }): JSX.Element => {
  const [day, time] = dateTimeSeconds(at).split(" ");
  return (
    <time class="operate-moment">
      <span>{day}</span> <span>{time}</span>
    </time>
  );
};

function OneMessage({ id }: { id: string }): JSX.Element {
  const asked = useAsk<Whole>(`quarantine/${encodeURIComponent(id)}`);
  const one = asked.data;
  const text = one === undefined ? null : textOf(one.payload_base64);
  useEffect(() => {
    if (one?.replaying !== true) return undefined;
    const timer = setTimeout(asked.reload, FOLLOW_MS);
    return () => clearTimeout(timer);
  }, [one]);
  return (
    <Dialog title={`#${id} ${one === undefined ? "" : problemName(one.code)}`} onClose={() => setParameters({ message: null })}>
      {one === undefined ? (
        asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />
      ) : (
        <>
          <p>
            <code>{one.topic}</code>
          </p>
          <p class="quiet">
            {dateTimeSeconds(one.received_at)} · {number(one.bytes)} {t("bytes")}
            {one.times > 1 && ` · ${t("times", one.times)}`}
          </p>
          {one.replaying ? (
            <p class="warn" role="status">
              {one.replay_error === null ? t("replaying") : t("replayFails", one.replay_error)}
            </p>
          ) : one.replayed_at !== null ? (
            <p class="good">
              ● {t("replayed")} {dateTimeSeconds(one.replayed_at)}
            </p>
          ) : null}
          <h3>{t("problems")}</h3>
          <ul class="operate-problems">
            {one.list.map((problem, place) => (
              <li key={place}>
                <strong>{problemName(problem.code)}</strong> <code>{problem.code}</code>
                <div>
                  {problem.index >= 0 && `${t("record", problem.index + 1)} `}
                  {problem.field !== undefined && (
                    <>
                      {t("field")} <code>{problem.field}</code>{" "}
                    </>
                  )}
                  <span class="quiet" lang="en">
                    {problem.reason}
                  </span>
                </div>
              </li>
            ))}
          </ul>
          <h3>{t("payload")}</h3>
          {text === null ? <p class="quiet">{t("binary", number(one.kept_bytes))}</p> : <pre class="operate-payload">{text}</pre>}
        </>
      )}
      <div class="row">
        {manages() && one !== undefined && !one.replaying && <Replay path={`quarantine/${encodeURIComponent(id)}/replay`} title={t("replayOne")} onAsked={asked.reload} />}
        <a href={address(`quarantine/${encodeURIComponent(id)}/payload`)} download={`quarantine-${id}.bin`}>
          {t("download")}
        </a>
        <button type="button" onClick={() => setParameters({ message: null })}>
          {t("close")}
        </button>
      </div>
    </Dialog>
  );
}

function Messages({ filter }: { filter: Record<string, string> }): JSX.Element {
  const list = usePages<Message>("quarantine", "messages", filter);
  const { waiting: _all, ...which } = filter;
  // What the hub has taken in again leaves the list of those that wait within seconds; what is still wrong stays.
  const [looks, setLooks] = useState(0);
  useEffect(() => {
    if (looks === 0) return undefined;
    const timer = setTimeout(() => {
      setLooks(looks - 1);
      list.reload();
    }, 2 * FOLLOW_MS);
    return () => clearTimeout(timer);
  }, [looks]);
  return (
    <>
      {manages() && !["problem", "from", "to"].some((key) => key in which) && list.rows.some((one) => one.replayed_at === null) && (
        <div class="row">
          <Replay path="replays" parameters={which} title={t("replayAll")} onAsked={() => setLooks(LOOKS)} />
        </div>
      )}
      <PagedTable
        label={t("messages")}
        list={list}
        rowKey={(one) => one.id}
        onOpen={(one) => setParameters({ message: one.id })}
        columns={[
          { key: "received", title: t("newest"), cell: (one) => <Moment at={one.received_at} /> },
          { key: "vendor", title: t("vendor"), cell: (one) => `${subsystemName(one.subsystem)} · ${one.vendor_zh ?? one.vendor}` },
          { key: "reason", title: t("reason"), cell: (one) => <Why code={one.code} detail={one.reason} /> },
          { key: "times", title: t("messages"), numeric: true, wide: true, cell: (one) => number(one.times) },
          { key: "bytes", title: t("bytes"), numeric: true, wide: true, cell: (one) => number(one.bytes) },
          { key: "state", title: t("state"), cell: (one) => (one.replayed_at === null ? <span class="warn">{t("still")}</span> : <span class="good">{t("replayed")}</span>), wide: true },
        ]}
      />
    </>
  );
}

export function Quarantine(): JSX.Element {
  const { parameters } = route.value;
  const filter = Object.fromEntries(["code", "problem", "subsystem", "vendor", "from", "to", "waiting"].filter((key) => (parameters[key] ?? "") !== "").map((key) => [key, parameters[key]!]));
  const asked = useAsk<{ reasons: Reason[] }>("quarantine/reasons", {}, 30);
  const opened = parameters["message"];
  const count = (one: Reason, value: number, waiting: boolean) =>
    value === 0 ? "0" : (
      <a href={link("operate/quarantine", { code: one.code, subsystem: one.subsystem, vendor: one.vendor, ...(waiting && { waiting: true }) })} data-number={value} aria-label={`${problemName(one.code)} ${one.vendor} ${t(waiting ? "still" : "messages")} ${number(value)}`}>
        {number(value)}
      </a>
    );
  return (
    <>
      <p class="quiet">{t("replay")}</p>
      {Object.keys(filter).length > 0 ? (
        <>
          <p class="row">
            <a href={link("operate/quarantine")}>← {t("all")}</a>
            {Object.entries(filter).map(([key, value]) => (key === "waiting" ? <span key={key}>{t(value === "true" ? "still" : "replayed")}</span> : <span key={key}>{key === "code" || key === "problem" ? problemName(value) : key === "subsystem" ? subsystemName(value) : key === "from" ? t("since", value) : key === "to" ? t("before", value) : value}</span>))}
          </p>
          <Messages filter={filter} />
        </>
      ) : asked.data === undefined ? (
        asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />
      ) : asked.data.reasons.length === 0 ? (
        <Empty>{t("nothing")}</Empty>
      ) : (
        <Table
          label={t("quarantine")}
          rows={asked.data.reasons}
          rowKey={(one) => `${one.code}/${one.subsystem}/${one.vendor}`}
          columns={[
            { key: "reason", title: t("reason"), cell: (one) => <Why code={one.code} detail={one.example} /> },
            { key: "vendor", title: t("vendor"), cell: (one) => `${subsystemName(one.subsystem)} · ${one.vendor_zh ?? one.vendor}` },
            { key: "messages", title: t("messages"), numeric: true, cell: (one) => count(one, one.messages, false) },
            { key: "waiting", title: t("still"), numeric: true, cell: (one) => count(one, one.waiting, true) },
            { key: "last", title: t("newest"), cell: (one) => ago(one.last_received_at) },
          ]}
        />
      )}
      {opened !== undefined && <OneMessage id={opened} />}
    </>
  );
}
