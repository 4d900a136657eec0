// Files that the county keeps: departments, catalogue, holidays, office hours, cells, zones, components. A file is judged by the hub first; what it
// says is read before anything is stored.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { asProblem, post, useAsk, type Problem } from "../../lib/api.ts";
import { CsvFault, readCsv } from "../../lib/csv.ts";
import { ago, number } from "../../lib/format.ts";
import { listed } from "../../lib/words.ts";
import { Dialog } from "../../part/dialog.tsx";
import { FileButton } from "../../part/file-button.tsx";
import { Failed, Loading } from "../../part/states.tsx";
import { Table } from "../../part/table.tsx";
import { placeWords, problemWords, t } from "./import-words.ts";

const BYTES_MAX = 8_000_000;
const SHOWN = 200;
const TABLES = ["departments", "catalogue"];

type Subject = "departments" | "catalogue" | "calendar" | "office_hours" | "grid_cells" | "zones" | "components";
interface Kept {
  subject: Subject;
  rows: number;
  version: number | null;
  last_at: string | null;
  last_by: string | null;
}
interface Report {
  subject: Subject;
  rows: number;
  imported: boolean;
  problems: { place: string; problem: string }[];
  warnings: { place: string; warning: string }[];
  ignored: string[];
  extent: number[] | null;
  added?: number;
  changed?: number;
  made_inactive?: string[];
  version?: number;
  unchanged?: boolean;
}

/** The file's content as the hub takes it; throws what is to be said of it. */
async function contentOf(subject: Subject, file: File): Promise<unknown> {
  if (file.size > BYTES_MAX) throw t("tooLarge");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw t("notText");
  }
  try {
    return TABLES.includes(subject) ? readCsv(text) : JSON.parse(text);
  } catch (error) {
    if (!(error instanceof CsvFault)) throw t("notJson");
    throw error.fault === "empty" ? t("csvEmpty") : t(error.fault === "quote" ? "csvQuote" : "csvColumns", error.line);
  }
}

function Findings({ rows, title }: { rows: { place: string; words: string }[]; title: string }): JSX.Element {
  return (
    <div class="operate-findings" tabIndex={0} role="region" aria-label={title}>
      <Table
        label={title}
        rows={rows.slice(0, SHOWN).map((row, key) => ({ ...row, key }))}
        rowKey={(row) => row.key}
        columns={[
          { key: "place", title: t("place"), cell: (row) => placeWords(row.place) },
          { key: "problem", title: t("problem"), cell: (row) => problemWords(row.words) },
        ]}
      />
      {rows.length > SHOWN && <p class="quiet">{t("more", rows.length - SHOWN)}</p>}
    </div>
  );
}

function Told({ report }: { report: Report }): JSX.Element {
  const wrong = report.problems.length;
  return (
    <>
      {report.imported ? (
        <p class="good">
          <strong>{t("done", number(report.rows))}</strong> {report.added !== undefined && t("added", number(report.added), number(report.changed ?? 0))}{" "}
          {report.version !== undefined && t(report.unchanged ? "unchanged" : "version", report.version)}
          {(report.made_inactive ?? []).length > 0 && t("inactive", listed(report.made_inactive!))}
        </p>
      ) : wrong > 0 ? (
        <p class="bad" role="alert">
          ▲ {t("found", number(report.rows), number(wrong))}
        </p>
      ) : (
        <p class="good">● {t("right", number(report.rows))}</p>
      )}
      {wrong > 0 && <Findings title={t("problem")} rows={report.problems.map((one) => ({ place: one.place, words: one.problem }))} />}
      {!report.imported && report.warnings.length > 0 && (
        <>
          <p class="warn">△ {t("strange", report.warnings.length)}</p>
          <Findings title={t("strange", report.warnings.length)} rows={report.warnings.map((one) => ({ place: one.place, words: one.warning }))} />
        </>
      )}
      {report.extent !== null && <p class="quiet">{t("extent", ...report.extent)}</p>}
      {report.ignored.length > 0 && <p class="quiet">{t("ignored", listed(report.ignored))}</p>}
    </>
  );
}

function One({ subject, onClose, onDone }: { subject: Subject; onClose: () => void; onDone: () => void }): JSX.Element {
  const [sent, setSent] = useState<{ file: string; content: unknown } | null>(null);
  const [report, setReport] = useState<Report | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [note, setNote] = useState("");
  const [comment, setComment] = useState("");
  const [busy, setBusy] = useState<"" | "checking" | "storing">("");
  const send = async (body: { file: string; content: unknown; comment?: string }, stored: boolean) => {
    setBusy(stored ? "storing" : "checking");
    setProblem(null);
    try {
      setReport(await post<Report>(`imports/${subject}${stored ? "" : "/check"}`, body));
      if (stored) onDone();
    } catch (error) {
      setProblem(asProblem(error));
    }
    setBusy("");
  };
  const choose = async (file: File | undefined) => {
    if (file === undefined) return;
    setReport(null);
    setSent(null);
    setProblem(null);
    setNote("");
    try {
      const body = { file: file.name, content: await contentOf(subject, file) };
      setSent(body);
      await send(body, false);
    } catch (error) {
      setNote(t("unreadable", String(error)));
    }
  };
  const ready = report !== null && sent !== null && !report.imported && report.problems.length === 0;
  return (
    <Dialog title={t(subject)} wide onClose={onClose}>
      <div class="form">
        <p class="quiet">{t(`form_${subject}`)}</p>
        <div class="row">
          <FileButton
            words={t(report === null ? "choose" : "again")}
            accept={TABLES.includes(subject) ? ".csv,text/csv" : ".json,.geojson,application/json,application/geo+json"}
            testid="file"
            disabled={busy !== ""}
            onFiles={(files) => void choose(files[0])}
          />
          <span class="quiet">{sent?.file ?? t("noFile")}</span>
        </div>
        {note !== "" && (
          <p class="bad" role="alert">
            {note}
          </p>
        )}
        {busy !== "" && <p role="status">{t(busy)}</p>}
        {report !== null && sent !== null && (
          <section aria-live="polite">
            {!report.imported && <h3>{t("report", sent.file)}</h3>}
            <Told report={report} />
          </section>
        )}
        {ready && subject === "catalogue" && (
          <label>
            <span>{t("comment")}</span>
            <input name="comment" maxLength={200} value={comment} onInput={(event) => setComment(event.currentTarget.value)} />
          </label>
        )}
        {problem && <Failed problem={problem} />}
        <div class="row">
          {ready && (
            <button type="button" class="primary" disabled={busy !== ""} onClick={() => void send({ ...sent, ...(comment.trim() !== "" && { comment: comment.trim() }) }, true)}>
              {t("store")}
            </button>
          )}
          <button type="button" class={report?.imported ? "primary" : ""} onClick={onClose}>
            {t(report?.imported ? "close" : "cancel")}
          </button>
        </div>
      </div>
    </Dialog>
  );
}

export function Imports(): JSX.Element {
  const asked = useAsk<{ subjects: Kept[] }>("imports");
  const [chosen, setChosen] = useState<Subject | null>(null);
  if (asked.data === undefined) return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />;
  return (
    <>
      <p class="quiet">{t("intro")}</p>
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      <Table
        label={t("imports")}
        rows={asked.data.subjects}
        rowKey={(one) => one.subject}
        columns={[
          { key: "subject", title: t("subject"), cell: (one) => t(one.subject) },
          { key: "rows", title: t("rows"), numeric: true, cell: (one) => number(one.rows) },
          { key: "version", title: "", wide: true, cell: (one) => (one.version === null ? "" : t("version_of", one.version)) },
          { key: "last", title: t("last"), wide: true, cell: (one) => (one.last_at === null ? <span class="quiet">{t("never")}</span> : `${ago(one.last_at)} ${one.last_by ?? ""}`) },
          {
            key: "do",
            title: "",
            cell: (one) => (
              <button type="button" data-import={one.subject} aria-label={t("chooseFor", t(one.subject))} onClick={() => setChosen(one.subject)}>
                {t("choose")}
              </button>
            ),
          },
        ]}
      />
      {chosen !== null && <One subject={chosen} onClose={() => setChosen(null)} onDone={asked.reload} />}
    </>
  );
}
