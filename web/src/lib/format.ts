// How times, numbers and lengths are written: in the county's time zone whatever the PC's is, with the language's words.
import { signal } from "@preact/signals";
import { dictionary, language } from "./words.ts";

/** The county's; api.ts takes it from the answers that name it. */
export const timeZone = signal("Asia/Shanghai");

/** Moves once a second while the page is seen: what says how old something is reads it. */
export const now = signal(Date.now());
/** How far the hub's clock is ahead of this PC's, in ms: a PC in a county may be minutes off. */
let skew = 0;
export function setHubTime(ms: number): void {
  skew = ms - Date.now();
  now.value = hubNow();
}
export const hubNow = (): number => Date.now() + skew;
setInterval(() => {
  if (document.visibilityState === "visible") now.value = hubNow();
}, 1000);

const t = dictionary(
  { never: "从未", second: "{0} 秒", minute: "{0} 分", hour: "{0} 小时", day: "{0} 天", ago: "{0}前", soon: "{0}后", just: "刚刚" },
  { never: "never", second: "{0} s", minute: "{0} min", hour: "{0} h", day: "{0} d", ago: "{0} ago", soon: "in {0}", just: "just now" },
);

export type Moment = string | number | null | undefined;

const kept = new Map<string, Intl.DateTimeFormat>();
/** China has been 8 hours ahead all the year since then. */
const CHINA_SINCE = Date.UTC(1992, 0, 1);
const CHINA_AHEAD_MS = 8 * 3_600_000;

/** 2026-11-27 08:00:12. The first formatter costs a browser as much as all of a frame: what can be told without one is. */
function written(moment: NonNullable<Moment>): string {
  const ms = typeof moment === "number" ? moment : Date.parse(moment);
  if (timeZone.value === "Asia/Shanghai" && ms >= CHINA_SINCE) return new Date(ms + CHINA_AHEAD_MS).toISOString().slice(0, 19).replace("T", " ");
  let made = kept.get(timeZone.value);
  if (made === undefined) {
    // Swedish writes it so: digits alone, the same in both languages.
    const options: Intl.DateTimeFormatOptions = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
    made = new Intl.DateTimeFormat("sv-SE", { timeZone: timeZone.value, ...options });
    kept.set(timeZone.value, made);
  }
  return made.format(ms);
}

const write = (moment: Moment, from: number, to: number): string => (moment === null || moment === undefined ? "–" : written(moment).slice(from, to));

/** 2026-11-27 08:00 */
export const dateTime = (moment: Moment): string => write(moment, 0, 16);
/** 2026-11-27 08:00:12 */
export const dateTimeSeconds = (moment: Moment): string => write(moment, 0, 19);
/** 2026-11-27 */
export const date = (moment: Moment): string => write(moment, 0, 10);
/** 08:00 */
export const clock = (moment: Moment): string => write(moment, 11, 16);
/** 11-27 08:00 */
export const shortTime = (moment: Moment): string => dateTime(moment).replace(/^\d+-/, "");

/** 2026-11-27T08:00, as an input of time has it: of the county's clock. */
export const localInput = (moment: Moment): string => dateTime(moment).replace(" ", "T");
/** The same the other way round; NaN if it is none. */
export function fromLocalInput(text: string): number {
  const wanted = Date.parse(`${text}Z`);
  if (Number.isNaN(wanted)) return wanted;
  return wanted - (Date.parse(`${dateTimeSeconds(wanted).replace(" ", "T")}Z`) - Math.floor(wanted / 1000) * 1000);
}

/** 90 -> 1 分; the largest unit that fits, rounded down. */
export function duration(seconds: number): string {
  const whole = Math.abs(seconds);
  if (whole < 60) return t("second", Math.floor(whole));
  if (whole < 3600) return t("minute", Math.floor(whole / 60));
  if (whole < 86400) return t("hour", Math.floor(whole / 360) / 10);
  return t("day", Math.floor(whole / 8640) / 10);
}

/** 5 分前; follows the clock. */
export function ago(moment: Moment): string {
  if (moment === null || moment === undefined) return t("never");
  const seconds = (now.value - new Date(moment).getTime()) / 1000;
  if (Math.abs(seconds) < 5) return t("just");
  return t(seconds >= 0 ? "ago" : "soon", duration(seconds));
}

const numbers = new Map<string, Intl.NumberFormat>();

/** With separators for thousands, and as many decimals as its size makes sensible; `decimals` fixes them, or how many there are at
 *  least if there may be `most`. */
export function number(value: number | null | undefined, decimals?: number, most?: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  // Both languages have commas.
  if (Number.isSafeInteger(value) && (decimals ?? 0) === 0) return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
  const digits = most ?? decimals ?? (Number.isInteger(value) || size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3);
  const key = `${language.value} ${decimals ?? 0} ${digits}`;
  let made = numbers.get(key);
  if (made === undefined) {
    made = new Intl.NumberFormat(language.value === "en" ? "en" : "zh-CN", { minimumFractionDigits: decimals ?? 0, maximumFractionDigits: digits });
    numbers.set(key, made);
  }
  return made.format(value);
}

/** A total of the assessment: two decimals, or as many as it has, which keep it in its grade. */
export const total = (value: number | null | undefined): string => number(value, 2, 12);

/** ug/m3, as vendors' programs write it -> µg/m³. */
export const unitName = (unit: string): string => unit.replace(/\bug\b/g, "µg").replace(/\bm([23])\b/g, (_all, power) => (power === "2" ? "m²" : "m³"));

/** 35.2 µg/m³; a unit of 1 is none. */
export function quantity(value: number | null | undefined, unit: string | null | undefined): string {
  const text = number(value);
  return unit === null || unit === undefined || unit === "" || unit === "1" ? text : `${text} ${unitName(unit)}`;
}

/** 0.934 -> 93.4 % */
export const share = (value: number | null | undefined): string =>
  value === null || value === undefined ? "–" : `${number(value * 100, 1)} %`;

export const coordinates = (lon: number, lat: number): string => `${lon.toFixed(5)}, ${lat.toFixed(5)}`;
