// An alarm: what, since when, of which device, who has seen it. Who may, acknowledges it.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { asProblem, post, useAsk, type Problem } from "../../lib/api.ts";
import { severityName, whoName } from "../../lib/codes.ts";
import { departmentName, subsystemName } from "../../lib/county.ts";
import { ago, dateTimeSeconds, quantity, unitName } from "../../lib/format.ts";
import { link, route } from "../../lib/router.ts";
import { may } from "../../lib/session.ts";
import { useStream } from "../../lib/stream.ts";
import type { Alarm } from "../../lib/types.ts";
import { said } from "../../lib/words.ts";
import { Facts } from "../../part/facts.tsx";
import { Failed } from "../../part/states.tsx";
import { Place, Waiting, type PanelProperties } from "./panel.tsx";
import { Symbol } from "./symbol.tsx";
import { t } from "./words.ts";

interface AlarmDetail extends Alarm {
  limit: string | null;
  limit_zh: string | null;
  unit: string | null;
  source: string | null;
  source_zh: string | null;
  close_reason: string | null;
  close_reason_zh: string | null;
  comments: { id: number; said_at: string; author: string; words: string }[];
}

function Acknowledge({ alarm, done }: { alarm: AlarmDetail; done: () => void }): JSX.Element {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const act = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await post(`alarms/${alarm.id}/acknowledge`);
    } catch (error) {
      setProblem(asProblem(error));
    }
    setBusy(false);
    done();
  };
  if (alarm.acknowledged_at !== null) return <p>{t("acknowledged", whoName(alarm.acknowledged_by))} <span class="quiet">{ago(alarm.acknowledged_at)}</span></p>;
  return (
    <>
      {may("alarm") ? (
        <button type="button" class="primary" disabled={busy} onClick={() => void act()}>
          {t("acknowledge")}
        </button>
      ) : (
        <p>{t("notAcknowledged")}</p>
      )}
      {problem && <Failed problem={problem} />}
    </>
  );
}

export function AlarmPanel({ query, id, onPlace, onGo }: PanelProperties): JSX.Element {
  const asked = useAsk<AlarmDetail>(`alarms/${encodeURIComponent(id)}`, { at: query.moment ?? "" });
  const alarm = asked.data;
  const past = query.moment !== null;
  useStream({ alarm: (things) => things.some((thing) => String(thing.id) === id) && asked.reload() }, (begins) => begins || asked.reload(), !past);
  useEffect(() => onPlace(alarm?.lon ?? null, alarm?.lat ?? null), [alarm?.lon, alarm?.lat]);
  if (alarm === undefined) return <Waiting asked={asked} />;
  return (
    <>
      <h2>{alarm.text_zh}</h2>
      <p class="row">
        <span>
          <Symbol name={alarm.severity} size={18} /> {severityName(alarm.severity)}
        </span>
        <Place lon={alarm.lon} lat={alarm.lat} onGo={onGo} />
      </p>
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      {(!past || alarm.acknowledged_at !== null) && <Acknowledge alarm={alarm} done={asked.reload} />}
      <Facts
        rows={[
          [t("since"), `${dateTimeSeconds(alarm.opened_at)} (${ago(alarm.opened_at)})`],
          ...(alarm.closed_at === null ? [] : [[t("ended"), `${dateTimeSeconds(alarm.closed_at)} ${said(alarm.close_reason_zh, alarm.close_reason)}`] as [string, string]]),
          [t("value"), quantity(alarm.value, alarm.unit)],
          [alarm.unit === null ? t("limit") : t("limitIn", unitName(alarm.unit)), said(alarm.limit_zh, alarm.limit) || "–"],
          ...(alarm.source === null || alarm.source === "" ? [] : [[t("basis"), said(alarm.source_zh, alarm.source)] as [string, string]]),
          [t("device"), alarm.device === null ? "–" : <a href={link(`map/device/${alarm.device}`, route.value.parameters)}>{alarm.device_zh ?? alarm.device_code}</a>],
          [t("subsystem"), subsystemName(alarm.subsystem)],
          [t("department"), departmentName(alarm.department)],
          [t("vendor"), alarm.vendor_zh ?? alarm.vendor ?? "–"],
          [t("case"), alarm.case === null ? "–" : <a href={link(`map/case/${alarm.case}`, route.value.parameters)}>{alarm.case}</a>],
        ]}
      />
      {alarm.comments.length > 0 && (
        <ul class="plain-list">
          {alarm.comments.map((comment) => (
            <li key={comment.id}>
              {comment.words} <span class="quiet">{whoName(comment.author)} {ago(comment.said_at)}</span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
