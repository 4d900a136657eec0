// What the three lists that an administrator keeps have in common: a form in a window that keeps what was typed when it is refused, a question
// before something ends, and a secret that is shown once.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { asProblem, type Problem } from "../../lib/api.ts";
import { departments } from "../../lib/county.ts";
import { Dialog } from "../../part/dialog.tsx";
import { Failed } from "../../part/states.tsx";
import { t } from "./manage-words.ts";

interface AskProperties {
  title: string;
  /** Of the button. */
  does: string;
  danger?: boolean;
  /** "" = may go; else what is missing. */
  missing?: () => string;
  send: () => Promise<void>;
  onClose: () => void;
  children: ComponentChildren;
}

/** A form or a question in a window. `send` closes it itself; what it throws is shown, and all that was typed stays. */
export function Ask({ title, does, danger = false, missing, send, onClose, children }: AskProperties): JSX.Element {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [note, setNote] = useState("");
  const [sending, setSending] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (sending) return;
    const lacks = missing?.() ?? "";
    setNote(lacks);
    setProblem(null);
    if (lacks !== "") return;
    setSending(true);
    try {
      await send();
    } catch (error) {
      setProblem(asProblem(error));
      setSending(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form class="form" onSubmit={(event) => void submit(event)}>
        {children}
        {note !== "" && (
          <p class="warn" role="alert">
            {note}
          </p>
        )}
        {problem && <Failed problem={problem} />}
        <div class="row">
          <button type="submit" class={danger ? "danger" : "primary"} disabled={sending}>
            {sending ? t("saving") : does}
          </button>
          <button type="button" onClick={onClose}>
            {t("cancel")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export interface Shown {
  words: string;
  secret: string;
}

/** A password or token that nobody can see again. It closes by its button alone. */
export function Secret({ shown, onClose }: { shown: Shown; onClose: () => void }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const copy = (event: { currentTarget: HTMLElement }) => {
    // navigator.clipboard is only there under TLS; a county's network is plain HTTP.
    const field = event.currentTarget.closest("dialog")?.querySelector<HTMLInputElement>("input");
    field?.select();
    setCopied(document.execCommand("copy"));
  };
  return (
    <Dialog title={t("secretTitle")} onClose={() => undefined}>
      <p>{shown.words}</p>
      <input class="operate-secret" readOnly value={shown.secret} aria-label={t("secretTitle")} onFocus={(event) => event.currentTarget.select()} />
      <div class="row">
        <button type="button" onClick={copy}>
          {copied ? t("copied") : t("copy")}
        </button>
        <button type="button" class="primary" onClick={onClose}>
          {t("close")}
        </button>
      </div>
    </Dialog>
  );
}

/** Boxes to tick; `names`: by their words. */
export function Ticks({ title, names, chosen, onChosen }: { title: string; names: [string, string][]; chosen: string[]; onChosen: (words: string[]) => void }): JSX.Element {
  return (
    <fieldset class="operate-ticks">
      <legend>{title}</legend>
      {names.map(([word, name]) => (
        <label key={word}>
          <input type="checkbox" name={word} checked={chosen.includes(word)} onChange={(event) => onChosen(event.currentTarget.checked ? [...chosen, word] : chosen.filter((other) => other !== word))} />
          <span>{name}</span>
        </label>
      ))}
    </fieldset>
  );
}

export function DepartmentField({ value, onValue }: { value: string; onValue: (code: string) => void }): JSX.Element {
  return (
    <label>
      <span>{t("department")}</span>
      <select name="department" value={value} onChange={(event) => onValue(event.currentTarget.value)}>
        <option value="">{t("noDepartment")}</option>
        {departments.value
          .filter((unit) => unit.active || unit.code === value)
          .map((unit) => (
            <option key={unit.code} value={unit.code}>
              {unit.name_zh}
            </option>
          ))}
      </select>
    </label>
  );
}
