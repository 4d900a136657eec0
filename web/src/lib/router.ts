// The address holds the view: #/<view>/<rest of the path>?<parameters>. Behind the # so that the hub serves one index and never hears of it.
// A link to exactly what is seen is the address as it stands.
import { computed, signal } from "@preact/signals";

export interface Route {
  view: string;
  path: string[];
  parameters: Readonly<Record<string, string>>;
}

/** What a hash says; an address that cannot be read is the start. */
export function parse(hash: string): Route {
  try {
    const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
    const [view = "", ...rest] = path.split("/").filter((part) => part !== "").map(decodeURIComponent);
    return { view, path: rest, parameters: Object.fromEntries(new URLSearchParams(query)) };
  } catch {
    return { view: "", path: [], parameters: {} };
  }
}

const current = signal(parse(location.hash));
addEventListener("hashchange", () => (current.value = parse(location.hash)));

export const route = computed(() => current.value);

export type Changes = Record<string, string | number | boolean | null | undefined>;

/** The address of a view; parameters that are null, undefined or "" are left out. */
export function link(path: string, parameters: Changes = {}): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(key, String(value));
  }
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return `#/${path}${text === "" ? "" : `?${text}`}`;
}

export function go(path: string, parameters: Changes = {}): void {
  location.hash = link(path, parameters);
}

// What changes the address goes by the address itself: `current` hears of it later, and meanwhile a map that moves would write back
// the panel that has just been closed.

/** Changes parameters of the view that is shown. `replace`: the browser's way back does not stop here (typing, moving a map). */
export function setParameters(changes: Changes, replace = false): void {
  const { view, path, parameters } = parse(location.hash);
  const target = link([view, ...path].map(encodeURIComponent).join("/"), { ...parameters, ...changes });
  if (target === location.hash) return;
  if (replace) {
    history.replaceState(null, "", target);
    current.value = parse(target);
  } else {
    location.hash = target;
  }
}

/** An address without a view is this one's: written out, so that what is changed in it is changed there. */
export function settle(view: string): void {
  const target = link(view, parse(location.hash).parameters);
  history.replaceState(null, "", target);
  current.value = parse(target);
}

/** Another path within the view, with the same parameters but for the changes. */
export function setPath(path: string[], changes: Changes = {}): void {
  const { view, parameters } = parse(location.hash);
  go([view, ...path].map(encodeURIComponent).join("/"), { ...parameters, ...changes });
}
