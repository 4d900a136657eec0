// How far a month is: over, all entered, closed, published; what is missing, from whom; and publishing it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { asProblem, post, type Problem } from "../../lib/api.ts";
import { dateTime } from "../../lib/format.ts";
import { link } from "../../lib/router.ts";
import { may } from "../../lib/session.ts";
import { listed } from "../../lib/words.ts";
import { Dialog } from "../../part/dialog.tsx";
import { Failed } from "../../part/states.tsx";
import { Table } from "../../part/table.tsx";
import type { Status } from "./scores-types.ts";
import { t } from "./words.ts";

function Publish({ month, onChanged }: { month: string; onChanged: () => void }): JSX.Element {
  const [asking, setAsking] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [sending, setSending] = useState(false);
  const send = async () => {
    setSending(true);
    setProblem(null);
    try {
      await post(`publications/${month}`);
      setAsking(false);
      onChanged();
    } catch (error) {
      setProblem(asProblem(error));
      onChanged();
    }
    setSending(false);
  };
  return (
    <>
      <button type="button" class="primary" onClick={() => setAsking(true)}>
        {t("publish")}
      </button>
      {asking && (
        <Dialog title={t("publishTitle", month)} onClose={() => setAsking(false)}>
          <p>{t("publishWarning")}</p>
          {problem && <Failed problem={problem} />}
          <p class="row">
            <button type="button" class="danger" disabled={sending} onClick={() => void send()}>
              {sending ? t("saving") : t("publish")}
            </button>
            <button type="button" onClick={() => setAsking(false)}>
              {t("cancel")}
            </button>
          </p>
        </Dialog>
      )}
    </>
  );
}

export function Progress({ month, status, onChanged }: { month: string; status: Status; onChanged: () => void }): JSX.Element {
  const byItem = new Map<string, { item: string; name: string; units: string[] }>();
  for (const unit of status.missing) {
    for (const one of unit.missing) {
      const known = byItem.get(one.item) ?? { item: one.item, name: one.name, units: [] };
      known.units.push(unit.name);
      byItem.set(one.item, known);
    }
  }
  const count = status.missing.reduce((sum, unit) => sum + unit.missing.length, 0);
  const steps: [string, boolean, string][] = [
    [t("stepEnded"), status.ended, ""],
    [t("stepMissing"), count === 0, count === 0 ? "" : t("missingOf", count)],
    [t("stepClosed"), status.closed, status.closed_by ?? ""],
    [t("stepPublished"), status.published, status.published_at === null ? "" : dateTime(status.published_at)],
  ];
  return (
    <>
      <ol class="scores-steps">
        {steps.map(([name, done, words]) => (
          <li key={name} class={done ? "done" : ""}>
            <span aria-hidden="true">{done ? "✓" : "○"}</span> <strong>{name}</strong> <span class={done ? "quiet" : "warn"}>{words || t(done ? "done" : "open")}</span>
          </li>
        ))}
      </ol>
      {status.sha256 !== null && (
        <p class="quiet">
          {t("hash")} <code>{status.sha256}</code>
        </p>
      )}
      {(status.events_written_after_closing ?? 0) > 0 && (
        <p class="warn">
          {t("late")}: {status.events_written_after_closing}
        </p>
      )}
      {may("score") && status.ended && !status.published && <Publish month={month} onChanged={onChanged} />}
      <h2 class="scores-gap">{t("missingOf", count)}</h2>
      {byItem.size === 0 ? (
        <p class="good">{t("nothingMissing")}</p>
      ) : (
        <Table
          label={t("missingOf", count)}
          rows={[...byItem.values()]}
          rowKey={(one) => one.item}
          columns={[
            { key: "item", title: t("missingItem"), cell: (one) => one.name },
            { key: "count", title: t("count"), numeric: true, cell: (one) => one.units.length },
            { key: "units", title: t("missingUnits"), cell: (one) => (one.units.length > 1 && one.units.length === status.departments ? t("allUnits", one.units.length) : listed(one.units)) },
            { key: "enter", title: "", cell: (one) => (may("score") ? <a href={link("scores/entries", { month, item: one.item })}>{t("enterNow")}</a> : null) },
          ]}
        />
      )}
    </>
  );
}
