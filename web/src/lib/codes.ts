// Names of codes that the hub explains in Chinese alone: states, actions, sources, statistics. In English the code itself is the name: its words
// are English. Names from the county's own data (departments, categories) have no such code and stay as they are.
import { dictionary, language, wordOf } from "./words.ts";

/** coded("feed_back", "处置反馈"): 处置反馈, or Feed back. */
export function coded(code: string | null | undefined, name: string | null | undefined): string {
  if (code === null || code === undefined || code === "") return name ?? "–";
  if (language.value === "zh") return name ?? code;
  const words = code.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const who = dictionary({ program: "程序 {0}" }, { program: "program {0}" });
/** Who did something, as journals have it: a person's name or login, or a program's token. */
export const whoName = (actor: string | null): string => (actor === null ? "–" : actor.startsWith("token:") ? who("program", actor.slice("token:".length)) : actor);

export const SEVERITIES = ["info", "minor", "major", "critical"] as const;
const severities = dictionary({ info: "提示", minor: "一般", major: "重要", critical: "紧急" }, { info: "Info", minor: "Minor", major: "Major", critical: "Critical" });

/** Of an alarm, as the vendors' guides (adapters/) name it. */
export const severityName = (code: string): string => wordOf(severities, SEVERITIES, code);

export const ORDER_STATUSES = ["planned", "started", "finished", "cancelled"] as const;
const statuses = dictionary(
  { planned: "计划", started: "进行中", finished: "完成", cancelled: "取消" },
  { planned: "planned", started: "started", finished: "finished", cancelled: "cancelled" },
);

/** Of work (作业单). */
export const orderStatus = (code: string): string => wordOf(statuses, ORDER_STATUSES, code.toLowerCase());
