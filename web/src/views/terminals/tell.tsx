// What a terminal is told: a form by its command. The hub judges every field and says what is wrong; what was typed stays.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { asProblem, post, type Problem } from "../../lib/api.ts";
import { coded } from "../../lib/codes.ts";
import { fromLocalInput, number } from "../../lib/format.ts";
import { listed } from "../../lib/words.ts";
import { Failed } from "../../part/states.tsx";
import type { Command, WholeTerminal } from "./terminal-types.ts";
import { t } from "./words.ts";

interface Draft {
  text: string;
  urgent: boolean;
  aloud: boolean;
  data: string;
  interval: string;
  from: string;
  to: string;
  within: string;
  /** By their ids. */
  parameters: Record<string, string>;
}
const EMPTY: Draft = { text: "", urgent: false, aloud: true, data: "", interval: "", from: "", to: "", within: "600", parameters: {} };
const WITHIN = [["600", "minutes10"], ["3600", "hour1"], ["86400", "day1"]] as const;
const DATA = { interval: ["realtime", "minute"], set_interval: ["realtime", "minute"], history: ["minute", "hour", "day"] } as const;
/** Fields without which a command is none. */
const NEEDED: Record<string, readonly ("text" | "interval" | "from" | "to")[]> = { text: ["text"], set_interval: ["interval"], history: ["from", "to"] };
const NAMES = { text: "textField", interval: "interval", from: "from", to: "to" } as const;

const moment = (text: string): string => new Date(fromLocalInput(text)).toISOString();

/** The command's own fields. */
function fieldsOf(command: string, draft: Draft): Record<string, unknown> {
  const data = command in DATA ? { data: draft.data || DATA[command as keyof typeof DATA][0] } : {};
  switch (command) {
    case "text":
      return { text: draft.text, urgent: draft.urgent, aloud: draft.aloud };
    case "set_parameters":
      return { parameters: Object.fromEntries(Object.entries(draft.parameters).filter(([, value]) => value !== "").map(([id, value]) => [id, Number(value)])) };
    case "set_interval":
      return { ...data, interval: Number(draft.interval) };
    case "history":
      return { ...data, from: moment(draft.from), to: moment(draft.to) };
    default:
      return data;
  }
}

interface FieldsProperties {
  terminal: WholeTerminal;
  command: string;
  draft: Draft;
  set: (changes: Partial<Draft>) => void;
}

function Fields({ terminal, command, draft, set }: FieldsProperties): JSX.Element {
  const tick = (field: "urgent" | "aloud") => (
    <label class="terminals-tick">
      <input type="checkbox" name={field} checked={draft[field]} onChange={(event) => set({ [field]: event.currentTarget.checked })} /> <span>{t(field)}</span>
    </label>
  );
  const time = (field: "from" | "to") => (
    <label>
      <span>{t(field)} *</span>
      <input type="datetime-local" name={field} value={draft[field]} onInput={(event) => set({ [field]: event.currentTarget.value })} />
    </label>
  );
  return (
    <>
      {command === "text" && (
        <>
          <label>
            <span>{t("textField")} *</span>
            <textarea name="text" rows={3} maxLength={480} value={draft.text} onInput={(event) => set({ text: event.currentTarget.value })} />
          </label>
          <div class="row">
            {tick("urgent")}
            {tick("aloud")}
          </div>
        </>
      )}
      {command in DATA && (
        <label>
          <span>{t("data")}</span>
          <select name="data" value={draft.data} onChange={(event) => set({ data: event.currentTarget.value })}>
            {DATA[command as keyof typeof DATA].map((one, place) => (
              <option key={one} value={place === 0 ? "" : one}>
                {t(one)}
              </option>
            ))}
          </select>
        </label>
      )}
      {command === "set_interval" && (
        <label>
          <span>{t("interval")} *</span>
          <input type="number" name="interval" min={1} value={draft.interval} onInput={(event) => set({ interval: event.currentTarget.value })} />
        </label>
      )}
      {command === "history" && (
        <div class="row">
          {time("from")}
          {time("to")}
        </div>
      )}
      {command === "set_parameters" && (
        <fieldset class="terminals-parameters">
          <legend>{t("parametersHint")}</legend>
          {terminal.parameters.map((one) => (
            <label key={one.id}>
              <span>{one.name_zh}</span>
              <input
                type="number"
                name={one.id}
                placeholder={t("range", number(one.low), number(one.high))}
                value={draft.parameters[one.id] ?? ""}
                onInput={(event) => set({ parameters: { ...draft.parameters, [one.id]: event.currentTarget.value } })}
              />
            </label>
          ))}
        </fieldset>
      )}
      {command === "new_key" && <p class="quiet">{t("newKeyHint")}</p>}
      <label>
        <span>{t("within")}</span>
        <select name="within" value={draft.within} onChange={(event) => set({ within: event.currentTarget.value })}>
          {WITHIN.map(([seconds, words]) => (
            <option key={seconds} value={seconds}>
              {t(words)}
            </option>
          ))}
        </select>
      </label>
    </>
  );
}

export function Tell({ terminal, onTold }: { terminal: WholeTerminal; onTold: () => void }): JSX.Element {
  const [chosen, setChosen] = useState("");
  const [draft, setDraft] = useState(EMPTY);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [missing, setMissing] = useState("");
  const [told, setTold] = useState("");
  const [sending, setSending] = useState(false);
  const choose = (command: string) => {
    setChosen(chosen === command ? "" : command);
    setProblem(null);
    setMissing("");
    setTold("");
  };
  const send = async () => {
    const lacks = (NEEDED[chosen] ?? []).filter((field) => draft[field].trim() === "").map((field) => t(NAMES[field]));
    setMissing(lacks.length === 0 ? "" : t("missing", listed(lacks)));
    setProblem(null);
    setTold("");
    if (lacks.length > 0 || sending) return;
    setSending(true);
    try {
      const { id } = await post<Command>(`terminals/${terminal.id}/commands`, { command: chosen, ...fieldsOf(chosen, draft), expires_s: Number(draft.within) });
      setTold(t("told", id));
      setChosen("");
      setDraft(EMPTY);
      onTold();
    } catch (error) {
      setProblem(asProblem(error));
    }
    setSending(false);
  };
  const kind = terminal.commands.find((one) => one.command === chosen);
  if (terminal.commands.length === 0) return <p class="quiet">{t("noCommands")}</p>;
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <div class="row" role="group" aria-label={t("tell")}>
        {terminal.commands.map((one) => (
          <button key={one.command} type="button" data-command={one.command} aria-pressed={chosen === one.command} onClick={() => choose(one.command)}>
            {coded(one.command, one.name_zh)}
          </button>
        ))}
      </div>
      {kind && <Fields terminal={terminal} command={chosen} draft={draft} set={(changes) => setDraft({ ...draft, ...changes })} />}
      {missing !== "" && (
        <p class="warn" role="alert">
          {missing}
        </p>
      )}
      {problem && <Failed problem={problem} />}
      {told !== "" && (
        <p class="good" role="status">
          ● {told}
        </p>
      )}
      {kind && (
        <div class="row">
          <button type="submit" class="primary" disabled={sending}>
            {sending ? t("sending") : `${t("send")} ${coded(kind.command, kind.name_zh)}`}
          </button>
        </div>
      )}
    </form>
  );
}
