// What can be done with an order now, by who is logged in: the API says what, and what each needs. A refusal leaves what was typed.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { asProblem, post, useAsk, type Problem } from "../../lib/api.ts";
import { coded } from "../../lib/codes.ts";
import { listed } from "../../lib/words.ts";
import { Failed } from "../../part/states.tsx";
import { RESULTS, SATISFACTIONS, type Doing, type WholeOrder } from "./order-types.ts";
import { Pictures } from "./pictures.tsx";
import { t } from "./words.ts";

type Draft = Record<"reason" | "case" | "category" | "result" | "text" | "satisfaction", string>;
const EMPTY: Draft = { reason: "", case: "", category: "", result: "0", text: "", satisfaction: "satisfied" };

/** Fields that an action of the page has to have, with the name that people know. */
const NEEDED: Record<string, ("case" | "category" | "text")[]> = { link: ["case"], open_case: ["category"], answer: ["text"] };

function Category({ value, onValue }: { value: string; onValue: (value: string) => void }): JSX.Element {
  const words = useAsk<{ categories: { code: string; name_zh: string; class_zh: string }[] }>("cases/words");
  return (
    <label>
      <span>{t("category")}</span>
      <select name="category" value={value} onChange={(event) => onValue(event.currentTarget.value)}>
        <option value="" />
        {words.data?.categories.map((one) => (
          <option key={one.code} value={one.code}>
            {one.class_zh} · {one.name_zh}
          </option>
        ))}
      </select>
    </label>
  );
}

function Fields({ doing, draft, set }: { doing: Doing; draft: Draft; set: (field: keyof Draft, value: string) => void }): JSX.Element {
  const text = (field: "reason" | "text", needed: boolean) => (
    <label>
      <span>
        {t(field)}
        {needed && " *"}
      </span>
      <textarea name={field} rows={3} maxLength={2000} value={draft[field]} onInput={(event) => set(field, event.currentTarget.value)} />
    </label>
  );
  return (
    <>
      {doing.action === "open_case" && <Category value={draft.category} onValue={(value) => set("category", value)} />}
      {doing.action === "link" && (
        <label>
          <span>{t("case")} *</span>
          <input name="case" value={draft.case} onInput={(event) => set("case", event.currentTarget.value)} />
        </label>
      )}
      {doing.action === "answer" && (
        <label>
          <span>{t("result")}</span>
          <select name="result" value={draft.result} onChange={(event) => set("result", event.currentTarget.value)}>
            {RESULTS.map((one) => (
              <option key={one} value={one}>
                {t(`result${one}`)}
              </option>
            ))}
          </select>
        </label>
      )}
      {doing.action === "answer" && text("text", true)}
      {doing.action === "visit" && (
        <label>
          <span>{t("satisfaction")}</span>
          <select name="satisfaction" value={draft.satisfaction} onChange={(event) => set("satisfaction", event.currentTarget.value)}>
            {SATISFACTIONS.map((one) => (
              <option key={one} value={one}>
                {t(one)}
              </option>
            ))}
          </select>
        </label>
      )}
      {text("reason", doing.reason_required)}
    </>
  );
}

export function Act({ order, onDone }: { order: WholeOrder; onDone: () => void }): JSX.Element {
  const [chosen, setChosen] = useState("");
  const [draft, setDraft] = useState(EMPTY);
  const [pictures, setPictures] = useState<string[]>([]);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [missing, setMissing] = useState("");
  const [busy, setBusy] = useState(false);
  const doing = order.can.find((one) => one.action === chosen);
  const needed = doing === undefined ? [] : [...(NEEDED[doing.action] ?? []), ...(doing.reason_required ? (["reason"] as const) : [])];
  const send = async () => {
    const lacks = needed.filter((field) => draft[field].trim() === "");
    setMissing(listed(lacks.map((field) => t(field))));
    if (doing === undefined || lacks.length > 0) return;
    setBusy(true);
    setProblem(null);
    const own = Object.fromEntries((Object.keys(draft) as (keyof Draft)[]).filter((field) => doing.fields.includes(field) && draft[field].trim() !== "").map((field) => [field, draft[field].trim()]));
    try {
      await post(`orders/${encodeURIComponent(order.order)}/actions`, {
        action: doing.action,
        version: order.version,
        ...own,
        ...(own["result"] !== undefined && { result: Number(own["result"]) }),
        ...(draft.reason.trim() !== "" && { reason: draft.reason.trim() }),
        ...(pictures.length > 0 && doing.fields.includes("attachments") && { attachments: pictures }),
      });
      setPictures([]);
      setChosen("");
      setDraft(EMPTY);
    } catch (error) {
      setProblem(asProblem(error));
    }
    setBusy(false);
    onDone();
  };
  if (order.can.length === 0) return <p class="quiet">{t("nothingToDo")}</p>;
  return (
    <form
      class="form orders-act"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <div class="row" role="group" aria-label={t("do")}>
        {order.can.map((one) => (
          <button key={one.action} type="button" data-action={one.action} aria-pressed={chosen === one.action} onClick={() => setChosen(chosen === one.action ? "" : one.action)}>
            {coded(one.action, one.name_zh)}
          </button>
        ))}
      </div>
      {doing && <Fields doing={doing} draft={draft} set={(field, value) => setDraft({ ...draft, [field]: value })} />}
      {doing?.fields.includes("attachments") && <Pictures order={order} chosen={pictures} onChosen={setPictures} />}
      {missing !== "" && doing && (
        <p class="warn" role="alert">
          {t("incomplete", missing)}
        </p>
      )}
      {problem && <Failed problem={problem} />}
      {doing && (
        <div class="row">
          <button type="submit" class="primary" disabled={busy}>
            {t("submit", coded(doing.action, doing.name_zh))}
          </button>
        </div>
      )}
    </form>
  );
}
