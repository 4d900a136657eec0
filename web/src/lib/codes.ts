// Names of codes that the hub explains in Chinese alone: states, actions, sources, statistics. In English the code itself is the name: its words
// are English. Names from the county's own data (departments, categories) have no such code and stay as they are.
import { language } from "./words.ts";

/** coded("feed_back", "处置反馈"): 处置反馈, or Feed back. */
export function coded(code: string | null | undefined, name: string | null | undefined): string {
  if (code === null || code === undefined || code === "") return name ?? "–";
  if (language.value === "zh") return name ?? code;
  const words = code.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
