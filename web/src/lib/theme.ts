// Light or dark: as the system says, until its user chooses.
import { computed, effect, signal } from "@preact/signals";
import { recall, remember } from "./keep.ts";

export type Theme = "light" | "dark";

const system = matchMedia("(prefers-color-scheme: dark)");
const systemTheme = signal<Theme>(system.matches ? "dark" : "light");
system.addEventListener("change", () => (systemTheme.value = system.matches ? "dark" : "light"));

const kept = recall("theme");
const chosen = signal<Theme | null>(kept === "light" || kept === "dark" ? kept : null);

export const theme = computed<Theme>(() => chosen.value ?? systemTheme.value);

export function setTheme(wanted: Theme): void {
  chosen.value = wanted;
  remember("theme", wanted);
}

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});

/** The one that is shown: a wall has one of its own. */
export const shownTheme = (): Theme => (document.documentElement.dataset["theme"] === "dark" ? "dark" : "light");

const colours = new Map<string, string>();

/** A colour of styles.css for what is drawn on a canvas, e.g. colour("accent"). Read theme.value to draw anew. */
export function colour(name: string): string {
  const key = `${shownTheme()} ${name}`;
  let found = colours.get(key);
  if (found === undefined) {
    found = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    if (found !== "") colours.set(key, found);
  }
  return found;
}
