// Alarm rules: limits with where they come from. A change needs its source, and is in force at once.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { post, useAsk } from "../../lib/api.ts";
import { SEVERITIES, severityName } from "../../lib/codes.ts";
import { subsystemName, subsystems } from "../../lib/county.ts";
import { duration, quantity, unitName } from "../../lib/format.ts";
import { route, setParameters } from "../../lib/router.ts";
import { me } from "../../lib/session.ts";
import { said } from "../../lib/words.ts";
import { Filters, type Filter } from "../../part/filters.tsx";
import { Empty, Failed, Loading } from "../../part/states.tsx";
import { Table } from "../../part/table.tsx";
import { Ask } from "./manage.tsx";
import { t } from "./manage-words.ts";

interface Rule {
  subsystem: string;
  rule: string;
  name_zh: string;
  kind: "threshold" | "derived" | "offline" | "silent";
  comparison: "above" | "below" | "equals" | null;
  threshold: number | null;
  unit: string | null;
  clear_threshold: number | null;
  duration_s: number;
  severity: string;
  source: string;
  source_zh: string;
  window_from: string | null;
  window_to: string | null;
  enabled: boolean;
  edited: boolean;
}

function limitOf(one: Rule): string {
  if (one.comparison === null || one.threshold === null) {
    return [one.kind === "threshold" ? "" : t(one.kind), one.threshold === null ? "" : quantity(one.threshold, one.unit)].filter((word) => word !== "").join(" ");
  }
  return [
    t(one.comparison, quantity(one.threshold, one.unit)),
    one.clear_threshold !== null && one.clear_threshold !== one.threshold ? t("ends", quantity(one.clear_threshold, one.unit)) : "",
    one.duration_s > 0 ? t("lasting", duration(one.duration_s)) : "",
    one.window_from !== null && one.window_to !== null ? t("within", one.window_from.slice(0, 5), one.window_to.slice(0, 5)) : "",
  ]
    .filter((word) => word !== "")
    .join(t("comma"));
}

function RuleForm({ one, onClose, onDone }: { one: Rule; onClose: () => void; onDone: () => void }): JSX.Element {
  const [threshold, setThreshold] = useState(one.threshold === null ? "" : String(one.threshold));
  const [clear, setClear] = useState(one.clear_threshold === null ? "" : String(one.clear_threshold));
  const [seconds, setSeconds] = useState(String(one.duration_s));
  const [severity, setSeverity] = useState(one.severity);
  const [enabled, setEnabled] = useState(one.enabled);
  const [source, setSource] = useState("");
  const ranged = one.comparison === "above" || one.comparison === "below";
  const changes = (): Record<string, unknown> => ({
    ...(threshold !== "" && Number(threshold) !== one.threshold && { threshold: Number(threshold) }),
    // A new limit alone would be where the alarm ends, too.
    ...(ranged && clear !== "" && (Number(clear) !== one.clear_threshold || Number(threshold) !== one.threshold) && { clear_threshold: Number(clear) }),
    ...(seconds !== "" && Number(seconds) !== one.duration_s && { duration_s: Number(seconds) }),
    ...(severity !== one.severity && { severity }),
    ...(enabled !== one.enabled && { enabled }),
  });
  const missing = () => (source.trim() === "" ? t("missing", t("source")) : Object.keys(changes()).length === 0 && source.trim() === one.source ? t("nothingChanged") : "");
  const send = async () => {
    await post(`alarm_rules/${encodeURIComponent(one.subsystem)}/${encodeURIComponent(one.rule)}`, { ...changes(), source: source.trim() });
    onDone();
  };
  return (
    <Ask title={`${subsystemName(one.subsystem)} · ${one.name_zh}`} does={t("save")} missing={missing} send={send} onClose={onClose}>
      <p class="quiet">
        {limitOf(one)} · {t("source")}: {said(one.source_zh, one.source)}
      </p>
      {one.threshold !== null && (
        <label>
          <span>{t("threshold", [one.comparison === null ? "" : t(one.comparison, "").trim(), unitName(one.unit ?? "")].filter((word) => word !== "").join(" "))}</span>
          <input name="threshold" type="number" step="any" value={threshold} onInput={(event) => setThreshold(event.currentTarget.value)} />
        </label>
      )}
      {ranged && (
        <label>
          <span>{t("clear")}</span>
          <input name="clear" type="number" step="any" value={clear} onInput={(event) => setClear(event.currentTarget.value)} />
        </label>
      )}
      {one.kind === "threshold" && (
        <label>
          <span>{t("duration")}</span>
          <input name="duration" type="number" min={0} max={604800} value={seconds} onInput={(event) => setSeconds(event.currentTarget.value)} />
        </label>
      )}
      <label>
        <span>{t("severity")}</span>
        <select name="severity" value={severity} onChange={(event) => setSeverity(event.currentTarget.value)}>
          {SEVERITIES.map((word) => (
            <option key={word} value={word}>
              {severityName(word)}
            </option>
          ))}
        </select>
      </label>
      <label class="operate-tick">
        <input name="enabled" type="checkbox" checked={enabled} onChange={(event) => setEnabled(event.currentTarget.checked)} /> {t("enabled")}
      </label>
      <label>
        <span>{t("sourceNeeded")}</span>
        <input name="source" autocomplete="off" maxLength={200} value={source} onInput={(event) => setSource(event.currentTarget.value)} />
      </label>
    </Ask>
  );
}

export function Rules(): JSX.Element {
  const { parameters } = route.value;
  const edited = parameters["edited"] === "true";
  const asked = useAsk<{ rules: Rule[] }>("alarm_rules", { subsystem: parameters["subsystem"], edited });
  const [changing, setChanging] = useState<Rule | null>(null);
  const filters: Filter[] = [{ key: "subsystem", title: t("subsystem"), kind: "choice", choices: subsystems.value.map((one) => ({ value: one.key, title: subsystemName(one.key) })) }];
  const manages = me.value?.kind === "person" && me.value.posts.includes("admin");
  return (
    <>
      <div class="row">
        <Filters filters={filters} />
        <label class="operate-tick">
          <input type="checkbox" checked={edited} onChange={(event) => setParameters({ edited: event.currentTarget.checked ? "true" : null })} /> {t("edited")}
        </label>
      </div>
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      {asked.data === undefined ? (
        asked.problem ? null : <Loading />
      ) : asked.data.rules.length === 0 ? (
        <Empty />
      ) : (
        <Table
          label={t("rules")}
          rows={asked.data.rules}
          rowKey={(one) => `${one.subsystem}/${one.rule}`}
          {...(manages && { onOpen: setChanging })}
          columns={[
            { key: "subsystem", title: t("subsystem"), cell: (one) => subsystemName(one.subsystem) },
            { key: "rule", title: t("rule"), cell: (one) => one.name_zh },
            { key: "limit", title: t("limit"), cell: limitOf },
            { key: "severity", title: t("severity"), cell: (one) => severityName(one.severity) },
            { key: "source", title: t("source"), cell: (one) => said(one.source_zh, one.source), wide: true },
            {
              key: "state",
              title: "",
              cell: (one) => (
                <>
                  {!one.enabled && <span class="warn">○ {t("disabled")} </span>}
                  {one.edited && <span class="quiet">{t("editedMark")}</span>}
                </>
              ),
            },
          ]}
        />
      )}
      {changing && (
        <RuleForm
          one={changing}
          onClose={() => setChanging(null)}
          onDone={() => {
            setChanging(null);
            asked.reload();
          }}
        />
      )}
    </>
  );
}
