// One case: what it is, its clock, what can be done with it, its journal, and the open cases that may be the same. What others do meanwhile is
// seen at once, with what they did.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useAsk } from "../../lib/api.ts";
import { coded, whoName } from "../../lib/codes.ts";
import { departmentName } from "../../lib/county.ts";
import { ago, coordinates, dateTime, duration, number as numberText, shortTime } from "../../lib/format.ts";
import { linkMoment } from "../../lib/moment.ts";
import { link, route } from "../../lib/router.ts";
import { me } from "../../lib/session.ts";
import { isLeft, useStream } from "../../lib/stream.ts";
import { listed, wordOf } from "../../lib/words.ts";
import { Facts, type Fact } from "../../part/facts.tsx";
import { Photos } from "../../part/photos.tsx";
import { Failed, Loading } from "../../part/states.tsx";
import { Acting } from "./act.tsx";
import type { CaseWords, Detail, Entry, Near } from "./desk-types.ts";
import { FLAGS } from "./duty.ts";
import { Due, listMoment } from "./queue.tsx";
import { t, UNITS } from "./words.ts";

const CLOCK_S = 60;

/** Those of which there is something to say. */
const said = (rows: Fact[]): Fact[] => rows.filter(([, value]) => value !== null && value !== "");

export const roleName = (words: CaseWords, role: string): string => coded(role, words.roles.find((one) => one.role === role)?.name_zh);
export const stateName = (words: CaseWords, state: string): string => coded(state, words.states.find((one) => one.state === state)?.name_zh);

/** What is left as the list has it, until the deadline; and used against allowed, in the limit's own unit, by the clock that it goes by: for that one nights
 * and holidays do not count. */
function Clock({ one }: { one: Detail }): JSX.Element {
  const clock = one.clock ?? null;
  // Of the limit; more than 1: over it.
  const used = clock === null ? 0 : clock.used_s / Math.max(1, clock.limit_s);
  const deadlines: [string, string | null][] = [
    [t("deadline"), one.deadline_at],
    [t("stageDeadline"), one.stage_deadline_at === one.deadline_at ? null : one.stage_deadline_at],
  ];
  return (
    <div class="desk-clock">
      <strong>{clock === null || clock.running ? <Due one={one} /> : clock.overdue ? <span class="bad">{t("over", duration(clock.overdue_s))}</span> : t("clockStands")}</strong>
      {clock === null ? (
        <span class="quiet">{t("noClock")}</span>
      ) : (
        <>
          <meter min={0} max={1} high={0.8} value={Math.min(1, used)} aria-label={t("clock")} />
          <span class="quiet">{t("clockUsed", numberText(Math.floor(used * clock.limit_value * 10) / 10), `${numberText(clock.limit_value)} ${wordOf(t, UNITS, clock.limit_unit)}`)}</span>
        </>
      )}
      {deadlines.map(
        ([name, at]) =>
          at !== null && (
            <span key={name} class="quiet">
              {name} {dateTime(at)}
            </span>
          ),
      )}
    </div>
  );
}

function Others({ title, rows, words }: { title: string; rows: Near[]; words: CaseWords }): JSX.Element {
  return (
    <div>
      <h3>
        {title} <span class="desk-count">{rows.length}</span>
      </h3>
      {rows.length === 0 ? (
        <p class="quiet">{t("none")}</p>
      ) : (
        <ul class="desk-near">
          {rows.map((near) => (
            <li key={near.case}>
              <a href={link(`desk/${near.case}`, route.value.parameters)}>{near.title}</a>{" "}
              <span class="quiet">
                {t("metres", numberText(near.distance_m, 0))} · {stateName(words, near.state)} · {ago(near.reported_at)}
              </span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

export function Journal({ entries, words, since = 0 }: { entries: Entry[]; words: CaseWords; since?: number }): JSX.Element {
  return (
    <ol class="desk-journal">
      {[...entries].reverse().map((entry) => (
        <li key={entry.seq} class={entry.seq > since && since > 0 ? "new" : ""}>
          <time class="quiet">{dateTime(entry.at)}</time> <strong>{coded(entry.action, entry.action_zh)}</strong>{" "}
          <span class="quiet">
            {roleName(words, entry.role)} {whoName(entry.actor)}
            {entry.department !== null && entry.previous_department !== null && entry.previous_department !== entry.department && ` → ${departmentName(entry.department)}`}
          </span>
          {entry.flags.length > 0 && <em class="warn"> {entry.flags.map((flag) => coded(flag, FLAGS[flag])).join(" ")}</em>}
          {entry.reason !== null && entry.reason !== "" && <div class="desk-reason">{entry.reason}</div>}
        </li>
      ))}
    </ol>
  );
}

/** In which step a file came, from whom and when. */
const stepOf = (journal: Entry[], seq: number): string => {
  const entry = journal.find((one) => one.seq === seq);
  return entry === undefined ? "" : `${coded(entry.action, entry.action_zh)} ${whoName(entry.actor)} ${shortTime(entry.at)}`;
};

interface Properties {
  number: string;
  words: CaseWords;
  onDone: (number: string, what: string, state: string) => void;
  onLeave: () => void;
  onNext?: (() => void) | undefined;
}

export function CasePane({ number, words, onDone, onLeave, onNext }: Properties): JSX.Element {
  const at = listMoment();
  const asked = useAsk<Detail>(`cases/${encodeURIComponent(number)}`, { at: at ?? "" }, at === null ? CLOCK_S : 0);
  const one = asked.data;
  // The journal's end that the user has seen; later entries of others are shown as news until they are acknowledged.
  const [seen, setSeen] = useState<{ seq: number; version: number } | null>(null);
  const [awaited, setAwaited] = useState(0);
  const last = one?.journal.at(-1)?.seq ?? 0;
  useEffect(() => {
    if (one && seen === null) setSeen({ seq: last, version: one.version });
  }, [one, seen]);
  useStream({ case: (things) => things.some((thing) => isLeft(thing) || thing.code === number) && asked.reload() }, (begins) => begins || asked.reload(), at === null);
  if (one === undefined) {
    return (
      <>
        <button type="button" class="desk-back" onClick={onLeave}>
          ← {t("back")}
        </button>
        {asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />}
      </>
    );
  }
  // What others did is news only where it goes on.
  const news = seen === null || at !== null ? [] : one.journal.filter((entry) => entry.seq > seen.seq && entry.actor !== me.value?.login);
  const acknowledge = () => setSeen({ seq: last, version: one.version });
  return (
    <>
      <div class="desk-bar">
        <button type="button" class="desk-back" onClick={onLeave}>
          ← {t("back")}
        </button>
        {onNext && (
          <button type="button" class="plain" onClick={onNext}>
            {t("next")} →
          </button>
        )}
      </div>
      <h1 class="desk-heading">{one.title}</h1>
      <p class="row">
        <code>{one.case}</code>
        <strong class="desk-state">{coded(one.state, one.state_zh)}</strong>
        {one.past && <Due one={one} />}
        {one.overdue && <strong class="bad">{t("overdue")}</strong>}
        <span>{one.category_zh ?? "–"}</span>
        <span class="quiet">
          {coded(one.source, words.sources.find((source) => source.source === one.source)?.name_zh)} · {ago(one.reported_at)}
        </span>
      </p>
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      {one.past && <p class="warn">{t("pastSaid")}</p>}
      {news.length > 0 && (
        <div class="desk-news" role="alert">
          <strong>{t("changed")}</strong>
          <Journal entries={news} words={words} />
          <button type="button" onClick={acknowledge}>
            {t("seen")}
          </button>
        </div>
      )}
      {!one.past && at === null && (
        <Acting
          one={one}
          words={words}
          version={seen?.version ?? one.version}
          settled={one.version >= awaited}
          unseen={news.length > 0}
          onSeen={acknowledge}
          onConflict={asked.reload}
          onDone={(answer, what) => {
            setSeen({ seq: answer.seq, version: answer.version });
            setAwaited(answer.version);
            asked.reload();
            onDone(one.case, what, answer.state);
          }}
        />
      )}
      {!one.past && <Clock one={one} />}
      {one.description !== null && one.description !== "" && <p class="desk-description">{one.description}</p>}
      <Facts
        className="desk-facts"
        rows={said([
          [t("department"), one.department_zh ?? listed((one.candidates ?? []).map((candidate) => candidate.name_zh))],
          [
            t("place"),
            <>
              {[one.address, one.grid_cell].filter(Boolean).join(" · ")}{" "}
              {one.lon === null || one.lat === null ? (
                <span class="quiet">{t("noPlace")}</span>
              ) : (
                <a href={link(`map/case/${one.case}`, { ...linkMoment(), at: `${one.lon.toFixed(5)},${one.lat.toFixed(5)},16` })} title={coordinates(one.lon, one.lat)}>
                  {t("onMap")}
                </a>
              )}
            </>,
          ],
          [t("device"), one.device === null ? "" : <a href={link(`map/device/${one.device.id}`, linkMoment())}>{one.device.code}</a>],
          [t("external"), one.external_code ?? ""],
          [t("rule"), one.rule?.condition_zh ?? ""],
          [t("closing"), one.rule?.closing_zh ?? ""],
          [t("marks"), listed(one.flags.map((flag) => coded(flag, FLAGS[flag])))],
          [t("askedExtension"), one.asked_extension ? `${numberText(one.asked_extension.amount)} ${wordOf(t, UNITS, one.asked_extension.unit)}` : ""],
          [t("askedSuspension"), one.asked_suspension ?? ""],
          [t("mergedInto"), one.merged_into === null ? "" : <a href={link(`desk/${one.merged_into}`)}>{one.merged_into}</a>],
          [t("merged"), one.merged.join(" ")],
        ])}
      />
      <Photos files={one.attachments} tell={(file) => stepOf(one.journal, file.seq)} />
      <div class="desk-columns">
        <div>
          <h3>{t("journal")}</h3>
          <Journal entries={one.journal} words={words} since={news.length > 0 ? (seen?.seq ?? 0) : 0} />
        </div>
        <div>
          {one.similar && <Others title={t("similar")} rows={one.similar} words={words} />}
          {one.nearby && <Others title={t("nearby")} rows={one.nearby} words={words} />}
        </div>
      </div>
    </>
  );
}
