// Search of everything that has a name: what is found is opened, and the map goes there. Arrow keys and Enter choose (a combobox, as ARIA has it).
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useAsk } from "../../lib/api.ts";
import { subsystemName } from "../../lib/county.ts";
import { setPath } from "../../lib/router.ts";
import { dictionary, wordOf } from "../../lib/words.ts";
import { Failed } from "../../part/states.tsx";
import { t } from "./words.ts";

interface Result {
  kind: string;
  id: string;
  code: string;
  name: string | null;
  detail: string | null;
  lon: number | null;
  lat: number | null;
}

const KINDS = ["device", "case", "vehicle", "person", "grid_cell", "zone", "department", "component"] as const;
const kinds = dictionary(
  { device: "设备", case: "案卷", vehicle: "车辆", person: "人员", grid_cell: "网格", zone: "区域", department: "单位", component: "部件" },
  { device: "Device", case: "Case", vehicle: "Vehicle", person: "Person", grid_cell: "Cell", zone: "Zone", department: "Department", component: "Component" },
);

const WAIT_MS = 250;

export function Search({ onGo }: { onGo: (lon: number, lat: number) => void }): JSX.Element {
  const [text, setText] = useState("");
  const [asked, setAsked] = useState("");
  const [open, setOpen] = useState(false);
  const [place, setPlace] = useState(0);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const closing = useRef<ReturnType<typeof setTimeout>>(); // who is back before it is over still looks at it
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      clearTimeout(closing.current);
    },
    [],
  );
  const answer = useAsk<{ results: Result[] }>([...asked].length < 2 ? null : "search", { q: asked, limit: 8 });
  const results = [...asked].length < 2 ? [] : (answer.data?.results ?? []);
  const type = (value: string) => {
    setText(value);
    setOpen(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      setAsked(value.trim());
      setPlace(0);
    }, WAIT_MS);
  };
  const take = (result: Result | undefined) => {
    if (result === undefined) return;
    setOpen(false);
    if (result.kind === "device") setPath(["device", result.id]);
    if (result.kind === "case") setPath(["case", result.code]);
    if (result.lon !== null && result.lat !== null) onGo(result.lon, result.lat);
  };
  const shown = open && [...asked].length >= 2;
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      if (results.length > 0) setPlace((place + step + results.length) % results.length);
    } else if (event.key === "Enter") take(results[place]);
    else if (event.key === "Escape" && shown) {
      event.stopPropagation();
      setOpen(false);
    }
  };
  return (
    <div class="search" role="search">
      <input
        type="search"
        role="combobox"
        aria-label={t("search")}
        aria-expanded={shown}
        aria-controls="search-results"
        aria-autocomplete="list"
        {...(shown && results.length > 0 && { "aria-activedescendant": `search-${place}` })}
        placeholder={t("searchHint")}
        value={text}
        onInput={(event) => type(event.currentTarget.value)}
        onKeyDown={onKey}
        onBlur={() => (closing.current = setTimeout(() => setOpen(false), 150))}
        onFocus={() => {
          clearTimeout(closing.current);
          setOpen(true);
        }}
      />
      <ul id="search-results" role="listbox" aria-label={t("search")} class={`search-results ${shown ? "" : "hidden"}`}>
        {results.map((result, at) => (
          <li key={`${result.kind}/${result.id}`} id={`search-${at}`} role="option" aria-selected={at === place} onMouseDown={() => take(result)}>
            <span class="tag">{wordOf(kinds, KINDS, result.kind)}</span> {result.name ?? result.code}{" "}
            <span class="quiet">
              {result.code} {result.kind === "device" ? subsystemName(result.detail) : (result.detail ?? "")}
            </span>
          </li>
        ))}
      </ul>
      {shown && answer.problem && <Failed problem={answer.problem} retry={answer.reload} />}
      <p class="quiet search-count" role="status">
        {shown && !answer.loading && !answer.problem ? (results.length === 0 ? t("noResults", asked) : t("results", results.length)) : ""}
      </p>
    </div>
  );
}
