// Filters of a list. Their values are parameters of the address, so that a link opens the list as it is seen, and the way back goes back.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { route, setParameters } from "../lib/router.ts";
import { dictionary } from "../lib/words.ts";

const t = dictionary({ all: "全部", clear: "清除筛选" }, { all: "All", clear: "Clear filters" });

export interface Filter {
  /** The parameter's name in the address, and as a rule in the API. */
  key: string;
  title: string;
  /** choice: one of `choices`; text: typed, taken after a moment; date: a day of the county. */
  kind: "choice" | "text" | "date" | "month";
  choices?: { value: string; title: string }[];
  /** What no choice is called; otherwise: all. */
  none?: string;
}

const TYPING_MS = 300;

function TextFilter({ filter, value }: { filter: Filter; value: string }): JSX.Element {
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => () => clearTimeout(timer.current), []);
  // What is being typed stays; what came from elsewhere (a link, the way back) takes its place.
  useEffect(() => {
    if (input.current !== null && input.current.value.trim() !== value) input.current.value = value;
  }, [value]);
  const take = (text: string) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setParameters({ [filter.key]: text.trim() }, true), TYPING_MS);
  };
  return <input ref={input} type="search" defaultValue={value} onInput={(event) => take(event.currentTarget.value)} />;
}

function Field({ filter }: { filter: Filter }): JSX.Element {
  const value = route.value.parameters[filter.key] ?? "";
  const set = (text: string) => setParameters({ [filter.key]: text });
  if (filter.kind === "text") return <TextFilter filter={filter} value={value} />;
  if (filter.kind !== "choice") return <input type={filter.kind} value={value} onChange={(event) => set(event.currentTarget.value)} />;
  return (
    <select value={value} onChange={(event) => set(event.currentTarget.value)}>
      <option value="">{filter.none ?? t("all")}</option>
      {filter.choices?.map((choice) => (
        <option key={choice.value} value={choice.value}>
          {choice.title}
        </option>
      ))}
    </select>
  );
}

/** `clear` false: without the button that takes them all back. */
export function Filters({ filters, clear = true }: { filters: Filter[]; clear?: boolean }): JSX.Element {
  const any = clear && filters.some((filter) => (route.value.parameters[filter.key] ?? "") !== "");
  return (
    <div class="filters" role="search">
      {filters.map((filter) => (
        <label key={filter.key}>
          <span>{filter.title}</span>
          <Field filter={filter} />
        </label>
      ))}
      {any && (
        <button type="button" onClick={() => setParameters(Object.fromEntries(filters.map((filter) => [filter.key, null])))}>
          {t("clear")}
        </button>
      )}
    </div>
  );
}

/** The address' values of these filters, for the API. */
export const filtered = (filters: Filter[]): Record<string, string> =>
  Object.fromEntries(filters.map((filter) => [filter.key, route.value.parameters[filter.key] ?? ""]).filter(([, value]) => value !== ""));
