// What people have entered for a month, and entering more: scores of campaigns and offices, bonuses and deductions, corrections of closed months.
// Nothing is ever overwritten: a later entry replaces an earlier one, both stay. A refusal leaves what was typed.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { asProblem, post, useAsk, type Problem } from "../../lib/api.ts";
import { departmentName } from "../../lib/county.ts";
import { dateTime, number } from "../../lib/format.ts";
import { route } from "../../lib/router.ts";
import { may } from "../../lib/session.ts";
import { Empty, Failed, Loading } from "../../part/states.tsx";
import { Table } from "../../part/table.tsx";
import { AWARDS } from "./awards.ts";
import { useMonth } from "./follow.ts";
import type { Assessment, Entry, Status } from "./scores-types.ts";
import { t } from "./words.ts";

interface FieldSpec {
  key: string;
  title: string;
  kind: "choice" | "number" | "text" | "check";
  choices?: [value: string, title: string][];
  needed?: boolean;
}
type Values = Record<string, string>;
/** What was typed and not sent, by form. */
const kept = new Map<string, Values>();

interface FormProperties {
  name: string;
  title: string;
  path: string;
  fields: FieldSpec[];
  initial?: Values;
  onSent: () => void;
  children?: ComponentChildren;
}

function EntryForm({ name, title, path, fields, initial = {}, onSent }: FormProperties): JSX.Element {
  const [values, setValues] = useState<Values>(kept.get(name) ?? initial);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [sending, setSending] = useState(false);
  const [told, setTold] = useState("");
  const set = (key: string, value: string) => {
    const changed = { ...values, [key]: value };
    kept.set(name, changed);
    setValues(changed);
    setTold("");
  };
  const send = async (event: Event) => {
    event.preventDefault();
    setSending(true);
    setProblem(null);
    const body: Record<string, unknown> = {};
    for (const field of fields) {
      const value = (values[field.key] ?? "").trim();
      if (value === "") continue;
      body[field.key] = field.kind === "number" ? Number(value) : field.kind === "check" ? true : value;
    }
    if (body["not_concerned"] === true) delete body["score"];
    try {
      await post(path, body);
      // Department, score and times go; who enters, and what it rests on, is often the same for the next.
      const next = { ...values, department: "", score: "", points: "", times: "", not_concerned: "", case: "" };
      kept.set(name, next);
      setValues(next);
      setTold(t("savedEntry"));
      onSent();
    } catch (error) {
      setProblem(asProblem(error));
    }
    setSending(false);
  };
  return (
    <form class="card scores-form" onSubmit={(event) => void send(event)}>
      <h2>{title}</h2>
      <div class="scores-fields">
        {fields.map((field) => (
          <label key={field.key} class={field.kind === "check" ? "row" : ""}>
            {field.kind === "check" ? (
              <input type="checkbox" checked={values[field.key] === "true"} onChange={(event) => set(field.key, event.currentTarget.checked ? "true" : "")} />
            ) : null}
            <span class="quiet">{field.title}</span>
            {field.kind === "choice" && (
              <select required={field.needed} value={values[field.key] ?? ""} onChange={(event) => set(field.key, event.currentTarget.value)}>
                <option value="">{t("chooseOne")}</option>
                {field.choices?.map(([value, words]) => (
                  <option key={value} value={value}>
                    {words}
                  </option>
                ))}
              </select>
            )}
            {(field.kind === "number" || field.kind === "text") && (
              <input type={field.kind} step="any" required={field.needed && values["not_concerned"] !== "true"} maxLength={500} value={values[field.key] ?? ""} onInput={(event) => set(field.key, event.currentTarget.value)} />
            )}
          </label>
        ))}
      </div>
      {problem && <Failed problem={problem} />}
      <p class="row">
        <button type="submit" class="primary" disabled={sending}>
          {t(sending ? "saving" : "save")}
        </button>
        <span class="good" role="status">
          {told}
        </span>
      </p>
    </form>
  );
}

function Revoke({ entry, month, onSent }: { entry: Entry; month: string; onSent: () => void }): JSX.Element {
  const [open, setOpen] = useState(false);
  const [evidence, setEvidence] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  if (!open) {
    return (
      <button type="button" onClick={() => setOpen(true)}>
        {t("revoke")}
      </button>
    );
  }
  const send = (event: Event) => {
    event.preventDefault();
    post(`assessments/${month}/awards`, { revokes: entry.id, evidence, ...(entry.office !== null && { office: entry.office }) }).then(onSent, (error: unknown) => setProblem(asProblem(error)));
  };
  return (
    <form class="row" onSubmit={send}>
      <input required aria-label={t("revokeWhy")} placeholder={t("revokeWhy")} value={evidence} onInput={(event) => setEvidence(event.currentTarget.value)} />
      <button type="submit">{t("revoke")}</button>
      {problem && <Failed problem={problem} />}
    </form>
  );
}

export function Entries({ month, assessment, status, onChanged }: { month: string; assessment: Assessment; status: Status | undefined; onChanged: () => void }): JSX.Element {
  const asked = useAsk<{ entries: Entry[] }>(`assessments/${month}/entries`);
  useMonth(month, asked.reload);
  const changed = () => {
    asked.reload();
    onChanged();
  };
  const units = assessment.rows.map((row): [string, string] => [row.department, row.name]).sort((a, b) => a[1].localeCompare(b[1], "zh"));
  const items = (assessment.rows[0]?.scores ?? []).map((one): [string, string] => [one.item, one.name]);
  const itemNames = new Map([...items, ...AWARDS.map(([kind, name]): [string, string] => [kind, name])]);
  const department: FieldSpec = { key: "department", title: t("department"), kind: "choice", choices: units, needed: true };
  const evidence: FieldSpec = { key: "evidence", title: t("evidence"), kind: "text", needed: true };
  const office: FieldSpec = { key: "office", title: t("office"), kind: "text" };
  const { parameters } = route.value;
  const entries = asked.data?.entries ?? [];
  const revoked = new Set(entries.filter((one) => one.kind === "award").map((one) => one.revokes));
  const latest = new Map(entries.filter((one) => one.kind === "entry").map((one) => [`${one.item} ${one.department}`, one.id]));
  const note = (one: Entry): string => {
    if (one.kind === "award" && one.revokes === null && revoked.has(one.id)) return t("revoked");
    return one.kind === "entry" && latest.get(`${one.item} ${one.department}`) !== one.id ? t("replaced") : "";
  };
  const open = status !== undefined && !status.published;
  return (
    <>
      {status?.published && <p class="warn">{t("locked")}</p>}
      {may("score") && (
        <div class="scores-forms">
          {open && (
            <>
              <EntryForm
                key={`${parameters["item"] ?? ""} ${month}`}
                name="entry"
                title={t("newEntry")}
                path={`assessments/${month}/entries`}
                initial={{ item: parameters["item"] ?? "" }}
                fields={[{ key: "item", title: t("item"), kind: "choice", choices: items, needed: true }, department, { key: "score", title: t("score"), kind: "number", needed: true }, { key: "not_concerned", title: t("notConcerned"), kind: "check" }, office, evidence]}
                onSent={changed}
              />
              <EntryForm
                name="award"
                title={t("newAward")}
                path={`assessments/${month}/awards`}
                fields={[
                  { key: "kind", title: t("kind"), kind: "choice", needed: true, choices: AWARDS.map(([kind, name, points]) => [kind, `${points > 0 ? "+" : "−"}${Math.abs(points)} ${name}`]) },
                  department,
                  { key: "times", title: t("count"), kind: "number" },
                  office,
                  evidence,
                ]}
                onSent={changed}
              />
            </>
          )}
          {status?.closed && (
            <EntryForm
              name="adjust"
              title={t("newAdjust")}
              path={`scores/${month}/adjustments`}
              fields={[department, { key: "points", title: t("pointsChange"), kind: "number", needed: true }, { key: "case", title: t("case"), kind: "text" }, { key: "reason", title: t("reason"), kind: "text", needed: true }]}
              onSent={changed}
            />
          )}
        </div>
      )}
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      {asked.data === undefined ? (
        !asked.problem && <Loading />
      ) : entries.length === 0 ? (
        <Empty>{t("nothingEntered")}</Empty>
      ) : (
        <Table
          label={t("entries")}
          rows={[...entries].reverse()}
          rowKey={(one) => `${one.kind} ${one.id}`}
          rowClass={(one) => (note(one) === "" ? "" : "scores-old")}
          columns={[
            { key: "at", title: t("at"), cell: (one) => dateTime(one.entered_at) },
            { key: "kind", title: t("kind"), cell: (one) => t(one.kind), wide: true },
            { key: "item", title: t("item"), cell: (one) => (one.revokes !== null ? `${t("revoke")} #${one.revokes}` : (itemNames.get(one.item) ?? one.item)) },
            { key: "department", title: t("department"), cell: (one) => departmentName(one.department) },
            { key: "score", title: t("score"), numeric: true, cell: (one) => (one.score === null ? t("notConcerned") : `${number(one.score)}${one.times !== null && one.times > 1 ? ` × ${one.times}` : ""}`) },
            { key: "evidence", title: t("evidence"), cell: (one) => one.evidence },
            { key: "author", title: t("author"), cell: (one) => `${one.office ?? ""} ${one.author}`, wide: true },
            { key: "note", title: "", cell: (one) => (note(one) !== "" ? <span class="quiet">{note(one)}</span> : one.kind === "award" && one.revokes === null && open && may("score") ? <Revoke entry={one} month={month} onSent={changed} /> : null) },
          ]}
        />
      )}
    </>
  );
}
