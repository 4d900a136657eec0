// Acting on a case: what the API permits, each with its digit; the words and fields of the one that is chosen. What was typed is kept by case until
// it is done, whatever happens in between: refused, somebody else was faster, another case was opened, the session has ended.
import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { asProblem, post, type Problem } from "../../lib/api.ts";
import { coded } from "../../lib/codes.ts";
import { departments } from "../../lib/county.ts";
import { uploaded, upload, uploads, uploadsDrop } from "../../lib/upload.ts";
import { listed, wordOf } from "../../lib/words.ts";
import { AddPhotos } from "../../part/photos.tsx";
import { Failed } from "../../part/states.tsx";
import type { Action, CaseWords, Detail } from "./desk-types.ts";
import { FINDINGS, FLAGS, PHRASES, rank, SATISFACTION } from "./duty.ts";
import { useKeys } from "./keys.ts";
import { roleName } from "./case.tsx";
import { t, UNITS } from "./words.ts";

interface Draft {
  action: string;
  post: string;
  reason: string;
  values: Record<string, string>;
}
/** By the case's number. Nothing of it outlives the page. */
const drafts = new Map<string, Draft>();

export interface Done {
  case: string;
  version: number;
  state: string;
  seq: number;
}

type Permitted = Action & { posts: string[] };

/** Each action once, with the posts in which it can be done. */
function permitted(one: Detail): Permitted[] {
  const all = new Map<string, Permitted>();
  for (const [held, actions] of Object.entries(one.can ?? {})) {
    for (const action of actions) {
      const known = all.get(action.action);
      if (known) known.posts.push(held);
      else all.set(action.action, { ...action, posts: [held] });
    }
  }
  return [...all.values()].sort((a, b) => rank(a.action) - rank(b.action));
}

/** What a field is before anybody has touched it. */
function initial(field: string, one: Detail): string {
  if (field === "category") return one.category ?? "";
  if (field === "condition") return one.category === null ? "" : String(one.condition ?? 1);
  if (field === "department") return one.candidates?.length === 1 ? one.candidates[0]!.department : (one.department ?? "");
  if (field === "amount" && one.asked_extension) return String(one.asked_extension.amount);
  return "";
}

/** The fields as the API takes them; what is empty is left out. */
function body(action: Permitted, draft: Draft, one: Detail, version: number): Record<string, unknown> {
  const sent: Record<string, unknown> = { action: action.action, post: draft.post, version };
  if (draft.reason.trim() !== "") sent["reason"] = draft.reason.trim();
  for (const field of action.fields) {
    const value = (draft.values[field] ?? initial(field, one)).trim();
    if (value === "") continue;
    if (field === "category") sent[field] = value.split(" ")[0];
    else if (field === "condition" || field === "amount") sent[field] = Number(value);
    else if (field === "shirking") sent[field] = value === "true";
    else if (field === "flags") sent[field] = value.split(",");
    else sent[field] = value;
  }
  return sent;
}

const NEEDED = ["into", "flags", "satisfaction", "amount", "department"];

const amountTitle = (one: Detail): string => t("amount", wordOf(t, UNITS, one.clock?.limit_unit ?? ""));

interface FieldProperties {
  field: string;
  one: Detail;
  words: CaseWords;
  value: string;
  onValue: (value: string) => void;
}

function Field({ field, one, words, value, onValue }: FieldProperties): JSX.Element | null {
  const type = (event: { currentTarget: HTMLInputElement | HTMLSelectElement }) => onValue(event.currentTarget.value);
  switch (field) {
    case "category":
      return (
        <label>
          <span>{t("category")}</span>
          <input list="desk-categories" value={value} onInput={type} />
          <datalist id="desk-categories">
            {words.categories.map((category) => (
              <option key={category.code} value={`${category.code} ${category.name_zh}`}>
                {category.class_zh}
              </option>
            ))}
          </datalist>
        </label>
      );
    case "condition":
      return (
        <label>
          <span>{t("condition")}</span>
          <input type="number" value={value} onInput={type} />
        </label>
      );
    case "department": {
      const first = one.candidates ?? [];
      const rest = departments.value.filter((unit) => unit.active && !first.some((candidate) => candidate.department === unit.code));
      return (
        <label>
          <span>{t("toDepartment")}</span>
          <select value={value} onChange={type}>
            <option value="">{t("chooseOne")}</option>
            {first.length > 0 && (
              <optgroup label={t("candidates")}>
                {first.map((candidate) => (
                  <option key={candidate.department} value={candidate.department}>
                    {candidate.name_zh}
                  </option>
                ))}
              </optgroup>
            )}
            <optgroup label={t("others")}>
              {rest.map((unit) => (
                <option key={unit.code} value={unit.code}>
                  {unit.name_zh}
                </option>
              ))}
            </optgroup>
          </select>
        </label>
      );
    }
    case "amount":
      return (
        <label>
          <span>{amountTitle(one)}</span>
          <input type="number" step="any" value={value} onInput={type} />
        </label>
      );
    case "shirking":
      return (
        <label class="desk-check">
          <input type="checkbox" checked={value === "true"} onChange={(event) => onValue(event.currentTarget.checked ? "true" : "")} />
          <span>{t("shirking")}</span>
        </label>
      );
    case "into":
      return (
        <label>
          <span>{t("into")}</span>
          <input list="desk-into" value={value} onInput={type} />
          <datalist id="desk-into">
            {[...(one.similar ?? []), ...(one.nearby ?? [])].map((near) => (
              <option key={near.case} value={near.case}>
                {near.title}
              </option>
            ))}
          </datalist>
        </label>
      );
    case "flags": {
      const chosen = value.split(",").filter((flag) => flag !== "");
      return (
        <fieldset class="desk-flags">
          <legend>{t("flags")}</legend>
          {FINDINGS.map((flag) => (
            <label key={flag} class="desk-check">
              <input type="checkbox" checked={chosen.includes(flag)} onChange={(event) => onValue((event.currentTarget.checked ? [...chosen, flag] : chosen.filter((other) => other !== flag)).join(","))} />
              <span>{coded(flag, FLAGS[flag])}</span>
            </label>
          ))}
        </fieldset>
      );
    }
    case "satisfaction":
      return (
        <label>
          <span>{t("satisfaction")}</span>
          <select value={value} onChange={type}>
            <option value="">{t("chooseOne")}</option>
            {Object.entries(SATISFACTION).map(([key, name]) => (
              <option key={key} value={key}>
                {coded(key, name)}
              </option>
            ))}
          </select>
        </label>
      );
    default:
      return null;
  }
}

const fieldTitle = (field: string, one: Detail): string => {
  const titles: Record<string, string> = { into: t("into"), flags: t("flags"), satisfaction: t("satisfaction"), amount: amountTitle(one), department: t("toDepartment") };
  return titles[field] ?? field;
};

interface Properties {
  one: Detail;
  words: CaseWords;
  /** As the user has seen the case. */
  version: number;
  /** What was done last is on the screen: until then there is nothing to act on. */
  settled: boolean;
  /** Others have changed it, and the user has not said that he saw it. */
  unseen: boolean;
  onSeen: () => void;
  onConflict: () => void;
  onDone: (answer: Done, what: string) => void;
}

export function Acting({ one, words, version, settled, unseen, onSeen, onConflict, onDone }: Properties): JSX.Element {
  const [draft, setDraft] = useState<Draft | null>(() => drafts.get(one.case) ?? null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [note, setNote] = useState("");
  const [sending, setSending] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const actions = permitted(one);
  const action = actions.find((other) => other.action === draft?.action);
  const keep = (changed: Draft | null) => {
    if (changed === null) drafts.delete(one.case);
    else drafts.set(one.case, changed);
    setDraft(changed);
  };
  const choose = (chosen: Permitted) => {
    setProblem(null);
    setNote("");
    keep({ action: chosen.action, post: chosen.posts[0]!, reason: draft?.reason ?? "", values: {} });
  };
  const leave = () => {
    setProblem(null);
    setNote("");
    keep(null);
    (document.activeElement as HTMLElement | null)?.blur();
  };
  // Before the next key is pressed, hence not useEffect.
  useLayoutEffect(() => {
    // To what has to be filled in, or to the words.
    const fields = [...(form.current?.querySelectorAll<HTMLInputElement>("select, input:not([type=checkbox]), textarea") ?? [])];
    (fields.find((field) => field.value === "" && field.dataset["needed"] === "true") ?? form.current?.querySelector("textarea"))?.focus();
  }, [draft?.action]);
  useKeys(Object.fromEntries((settled ? actions : []).slice(0, 9).map((other, place) => [String(place + 1), () => choose(other)])));

  const submit = async () => {
    if (draft === null || action === undefined || sending) return;
    const missing = action.fields.filter((field) => NEEDED.includes(field) && (draft.values[field] ?? initial(field, one)) === "" && !(field === "department" && (one.candidates?.length ?? 0) === 1));
    const lacks = [...(action.reason_required && draft.reason.trim() === "" ? [t("reason")] : []), ...(action.action === "attach" && uploads(one.case).length === 0 ? [t("photos")] : []), ...missing.map((field) => fieldTitle(field, one))];
    if (lacks.length > 0) {
      setNote(t("missing", listed(lacks)));
      return;
    }
    if (unseen) {
      setNote(t("lookFirst"));
      onSeen();
      return;
    }
    setSending(true);
    setProblem(null);
    setNote("");
    const attachments = await uploaded(one.case);
    if (attachments === null) {
      setNote(t("photosRefused"));
      setSending(false);
      return;
    }
    try {
      const sent = { ...body(action, draft, one, version), ...(attachments.length > 0 && { attachments }) };
      const answer = await post<Done>(`cases/${encodeURIComponent(one.case)}/actions`, sent);
      uploadsDrop(one.case);
      keep(null);
      onDone(answer, coded(action.action, action.name_zh));
    } catch (error) {
      const refusal = asProblem(error);
      setProblem(refusal);
      if (refusal.status === 409) onConflict();
      form.current?.querySelector("textarea")?.focus();
    }
    setSending(false);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // While a Chinese word is being composed Enter is the input method's.
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && !(event.target instanceof HTMLButtonElement) && (event.target as HTMLInputElement).type !== "file") {
      event.preventDefault();
      void submit();
    } else if (event.key === "Escape") {
      event.preventDefault();
      leave();
    } else if (event.altKey && /^Digit[1-9]$/.test(event.code)) {
      const phrase = PHRASES[draft?.action ?? ""]?.[Number(event.code.slice(5)) - 1];
      if (phrase !== undefined && draft) {
        event.preventDefault();
        keep({ ...draft, reason: phrase });
      }
    }
  };
  const phrases = PHRASES[draft?.action ?? ""] ?? [];
  return (
    <div class="desk-acting">
      {actions.length === 0 && <p class="quiet">{t("noActions")}</p>}
      <div class="desk-actions" role="group" aria-label={t("actions")}>
        {actions.map((other, place) => (
          <button type="button" key={other.action} data-action={other.action} class={place === 0 && draft === null ? "primary" : ""} disabled={!settled} aria-pressed={other.action === draft?.action} onClick={() => choose(other)}>
            {place < 9 && <kbd>{place + 1}</kbd>} {coded(other.action, other.name_zh)}
          </button>
        ))}
      </div>
      {draft !== null && (
        <form
          ref={form}
          class="form desk-form"
          noValidate
          onKeyDown={onKeyDown}
          onPaste={(event) => upload(one.case, event.clipboardData?.files ?? [])}
          onSubmit={(event) => {
            event.preventDefault();
            void submit();
          }}
        >
          {action === undefined && <p class="warn">{t("noMore", coded(draft.action, words.actions.find((known) => known.action === draft.action)?.name_zh))}</p>}
          {action && action.posts.length > 1 && (
            <label>
              <span>{t("asPost")}</span>
              <select value={draft.post} onChange={(event) => keep({ ...draft, post: event.currentTarget.value })}>
                {action.posts.map((held) => (
                  <option key={held} value={held}>
                    {roleName(words, held)}
                  </option>
                ))}
              </select>
            </label>
          )}
          <div class="desk-fields">
            {action?.fields.map((field) => (
              <Field key={field} field={field} one={one} words={words} value={draft.values[field] ?? initial(field, one)} onValue={(value) => keep({ ...draft, values: { ...draft.values, [field]: value } })} />
            ))}
          </div>
          <label>
            <span>{t(action?.reason_required ? "reasonNeeded" : "reason")}</span>
            <textarea rows={2} maxLength={2000} value={draft.reason} onInput={(event) => keep({ ...draft, reason: event.currentTarget.value })} />
          </label>
          {phrases.length > 0 && (
            <div class="desk-phrases" role="group" aria-label={t("phrases")}>
              {phrases.map((phrase, place) => (
                <button type="button" key={phrase} onClick={() => keep({ ...draft, reason: phrase })}>
                  <kbd>Alt+{place + 1}</kbd> {phrase}
                </button>
              ))}
            </div>
          )}
          {action && <AddPhotos keyOf={one.case} />}
          {note !== "" && (
            <p class="warn" role="alert">
              {note}
            </p>
          )}
          {problem && <Failed problem={problem} />}
          <div class="row">
            {action && (
              <button type="submit" class="primary" disabled={sending}>
                {sending ? t("sending") : t("submit", coded(action.action, action.name_zh))} <kbd>Enter</kbd>
              </button>
            )}
            <button type="button" onClick={leave}>
              {t("cancel")} <kbd>Esc</kbd>
            </button>
          </div>
        </form>
      )}
    </div>
  );
}
