// The moment that is looked at: one for all views that have a past, in the address (`time`), so that it can be sent to somebody. Without one it is
// now, and alive.
import { hubNow } from "./format.ts";
import { route, setParameters } from "./router.ts";

/** A time of the address as the API takes it; null: none, or none that can be read. */
export function momentOf(text: string | undefined): string | null {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

/** The address's moment; null = now. */
export const moment = (): string | null => momentOf(route.value.parameters["time"]);
/** The same as a parameter of the API, and of a link within the page. */
export const atMoment = (): Record<string, string> => {
  const at = moment();
  return at === null ? {} : { at };
};
export const linkMoment = (): Record<string, string> => {
  const time = moment();
  return time === null ? {} : { time };
};
/** What the clock showed then, or shows. */
export const momentMs = (): number => Date.parse(moment() ?? "") || hubNow();

/** The past goes as far as now; there it is now. */
export function goTo(ms: number, replace: boolean): void {
  if (Number.isNaN(ms)) return;
  setParameters({ time: ms >= hubNow() ? null : new Date(ms).toISOString() }, replace);
}
