// A new case, in a post that may report its source. Open cases that lie near are shown before it is sent: it may be one of them.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { asProblem, post, useAsk, type Problem } from "../../lib/api.ts";
import { coded } from "../../lib/codes.ts";
import { link } from "../../lib/router.ts";
import { me } from "../../lib/session.ts";
import { upload, uploaded, uploadsDrop } from "../../lib/upload.ts";
import { AddPhotos } from "../../part/photos.tsx";
import { Failed } from "../../part/states.tsx";
import type { CaseWords } from "./desk-types.ts";
import { t } from "./words.ts";

const sources = (words: CaseWords) => words.sources.filter((source) => source.roles.some((role) => me.value?.posts.includes(role)));
export const mayReport = (words: CaseWords): boolean => sources(words).length > 0;

type Draft = Record<"source" | "title" | "description" | "category" | "address" | "place" | "contact_name" | "contact_phone", string>;
/** By which its photographs are kept. */
const PHOTOS = "new";
const EMPTY: Draft = { source: "", title: "", description: "", category: "", address: "", place: "", contact_name: "", contact_phone: "" };
/** What was typed and not sent yet stays while another case is looked at. */
let kept: Draft = EMPTY;

function placeOf(text: string): { lon: number; lat: number } | null {
  const [lon, lat, more] = text.split(/[,，\s]+/).filter((part) => part !== "").map(Number);
  return lon !== undefined && lat !== undefined && more === undefined && Number.isFinite(lon) && Number.isFinite(lat) ? { lon, lat } : null;
}

interface NearbyCases {
  cases?: { id: number; code: string; name_zh?: string; title?: string; distance_m: number }[];
}

export function Report({ words, onDone, onLeave }: { words: CaseWords; onDone: (number: string) => void; onLeave: () => void }): JSX.Element {
  const [draft, setDraft] = useState<Draft>(kept);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [note, setNote] = useState("");
  const [sending, setSending] = useState(false);
  const title = useRef<HTMLInputElement>(null);
  const allowed = sources(words);
  const source = allowed.find((one) => one.source === draft.source) ?? allowed[0];
  const place = placeOf(draft.place);
  const nearby = useAsk<NearbyCases>(place === null ? null : "nearby", { ...(place ?? {}), metres: 200 });
  useEffect(() => title.current?.focus(), []);
  const field = (key: keyof Draft) => ({
    value: draft[key],
    onInput: (event: { currentTarget: HTMLInputElement | HTMLTextAreaElement }) => {
      kept = { ...draft, [key]: event.currentTarget.value };
      setDraft(kept);
    },
  });
  if (source === undefined) return <p class="quiet">{t("mayNotReport")}</p>;
  const submit = async (event: Event) => {
    event.preventDefault();
    if (draft.place.trim() !== "" && place === null) {
      setNote(t("badPlace"));
      return;
    }
    setNote("");
    setProblem(null);
    setSending(true);
    const attachments = await uploaded(PHOTOS);
    if (attachments === null) {
      setNote(t("photosRefused"));
      setSending(false);
      return;
    }
    const category = draft.category.trim().split(" ")[0];
    const contact = { ...(draft.contact_name.trim() && { name: draft.contact_name.trim() }), ...(draft.contact_phone.trim() && { phone: draft.contact_phone.trim() }) };
    try {
      const answer = await post<{ case: string }>("cases", {
        source: source.source,
        post: source.roles.find((role) => me.value?.posts.includes(role)),
        title: draft.title.trim(),
        ...(draft.description.trim() && { description: draft.description.trim() }),
        ...(draft.address.trim() && { address: draft.address.trim() }),
        ...(category && { category }),
        ...(place ?? {}),
        ...(Object.keys(contact).length > 0 && { contact }),
        ...(attachments.length > 0 && { attachments }),
      });
      uploadsDrop(PHOTOS);
      kept = EMPTY;
      onDone(answer.case);
    } catch (error) {
      setProblem(asProblem(error));
      setSending(false);
    }
  };
  return (
    <form class="form desk-report" onPaste={(event) => upload(PHOTOS, event.clipboardData?.files ?? [])} onSubmit={(event) => void submit(event)} onKeyDown={(event) => event.key === "Escape" && onLeave()}>
      <h1 class="desk-heading">{t("new")}</h1>
      <label>
        <span>{t("source")}</span>
        <select
          value={source.source}
          onChange={(event) => {
            kept = { ...draft, source: event.currentTarget.value };
            setDraft(kept);
          }}
        >
          {allowed.map((one) => (
            <option key={one.source} value={one.source}>
              {coded(one.source, one.name_zh)}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>{t("newTitle")}</span>
        <input ref={title} required maxLength={200} {...field("title")} />
      </label>
      <label>
        <span>{t("category")}</span>
        <input list="desk-report-categories" {...field("category")} />
        <datalist id="desk-report-categories">
          {words.categories.map((category) => (
            <option key={category.code} value={`${category.code} ${category.name_zh}`}>
              {category.class_zh}
            </option>
          ))}
        </datalist>
      </label>
      <label>
        <span>{t("description")}</span>
        <textarea rows={3} maxLength={4000} {...field("description")} />
      </label>
      <label>
        <span>{t("address")}</span>
        <input maxLength={200} {...field("address")} />
      </label>
      <label>
        <span>{t("coordinates")}</span>
        <input placeholder={t("coordinatesHint")} {...field("place")} />
      </label>
      <div class="desk-fields">
        <label>
          <span>{t("contactName")}</span>
          <input maxLength={50} autocomplete="off" {...field("contact_name")} />
        </label>
        <label>
          <span>{t("contactPhone")}</span>
          <input type="tel" maxLength={30} autocomplete="off" {...field("contact_phone")} />
        </label>
      </div>
      {(nearby.data?.cases?.length ?? 0) > 0 && (
        <div class="desk-news">
          <strong>{t("thereAlready")}</strong>
          <ul class="desk-near">
            {nearby.data!.cases!.map((near) => (
              <li key={near.code}>
                <a href={link(`desk/${near.code}`)}>{near.title ?? near.name_zh ?? near.code}</a> <span class="quiet">{t("metres", near.distance_m)}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
      <AddPhotos keyOf={PHOTOS} />
      {note !== "" && (
        <p class="warn" role="alert">
          {note}
        </p>
      )}
      {problem && <Failed problem={problem} />}
      <div class="row">
        <button type="submit" class="primary" disabled={sending}>
          {sending ? t("sending") : t("report")}
        </button>
        <button type="button" onClick={onLeave}>
          {t("close")}
        </button>
      </div>
    </form>
  );
}
