// The page's two languages. A view brings its own words: `const t = dictionary({ title: "案件" }, { title: "Cases" })`, then
// t("title"). A key that one language lacks does not compile. Reading a word within a component makes it follow the switch.
import { signal } from "@preact/signals";
import { recall, remember } from "./keep.ts";

export type Language = "zh" | "en";

export const language = signal<Language>(recall("language") === "en" ? "en" : "zh");

export function setLanguage(wanted: Language): void {
  language.value = wanted;
  remember("language", wanted);
}

export type Words<K extends string> = (key: K, ...values: (string | number)[]) => string;

/** The values take the places of {0}, {1} ...; {0|case|cases} is the word that the number 0 needs. */
export function dictionary<K extends string>(zh: Record<K, string>, en: Record<NoInfer<K>, string>): Words<K> {
  return (key, ...values) =>
    (language.value === "en" ? en : zh)[key].replace(/\{(\d)(?:\|([^|}]*)\|([^}]*))?\}/g, (_hole, place: string, one?: string, many?: string) => {
      const value = String(values[Number(place)] ?? "");
      return one === undefined || many === undefined ? value : value === "1" ? one : many;
    });
}

/** What the API says in both languages. */
export const said = (zh: string | null | undefined, en: string | null | undefined): string => (language.value === "en" ? en : zh) ?? "";

/** Names one after the other. */
export const listed = (names: string[]): string => names.join(language.value === "zh" ? "、" : ", ");

/** The words of a code that comes from the API; one that is not known stands for itself. */
export function wordOf<K extends string>(words: Words<K>, known: Record<K, unknown> | readonly K[], code: string): string {
  const has = Array.isArray(known) ? known.includes(code as K) : Object.hasOwn(known, code);
  return has ? words(code as K) : code;
}
