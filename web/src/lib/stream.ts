// What changes, as it changes: one connection for the whole page, however many parts of it listen (a browser has six for all its
// windows). The contract is docs/stream.md: behind `snapshot` or `resync` whoever listens reads anew over the other routes and then takes
// what follows; without one nothing was missed. Who is slow is told what is, not what was.
import { effect, signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { presence } from "./session.ts";

export type Layer = "state" | "position" | "alarm" | "case" | "counter" | "score";

export interface DeviceState {
  id: number;
  subsystem: string;
  online: boolean;
  /** When it was heard of again, if it was silent before; of one that has been online all the time it is not said. */
  online_since_ms?: number;
  last_seen_at_ms: number | null;
  observed_at_ms: number | null;
  values?: Record<string, number>;
  times?: Record<string, number>;
  out_of_range?: string[];
}
export interface Position {
  id: number;
  lon: number;
  lat: number;
  at_ms: number;
}
/** The thing went where who listens does not see it. */
export interface Left {
  id: number;
  left: true;
}
export interface AlarmEvent {
  id: number;
  subsystem: string;
  rule: string;
  name_zh: string;
  severity: string;
  device: number | null;
  vendor: string | null;
  lon: number | null;
  lat: number | null;
  opened_at: string;
  closed_at: string | null;
  acknowledged_at: string | null;
}
export interface CaseEvent {
  id: number;
  code: string;
  version: number;
  state: string;
  title: string;
  category: string | null;
  department: string | null;
  lon: number | null;
  lat: number | null;
  ended_at: string | null;
  deadline_at: string | null;
  action: string;
}
export interface Counter {
  devices_online: number;
  alarms_open: number;
}
/** A month whose scores or assessment somebody changed. */
export interface ScoreEvent {
  id: number;
  month: string;
  closed: boolean;
  published: boolean;
}
interface Things {
  state: (DeviceState | Left)[];
  position: (Position | Left)[];
  alarm: (AlarmEvent | Left)[];
  case: (CaseEvent | Left)[];
  counter: Counter[];
  score: (ScoreEvent | Left)[];
}

export const isLeft = (thing: object): thing is Left => "left" in thing;

interface Listener {
  layers: Partial<{ [L in Layer]: (things: Things[L]) => void }>;
  /** What was known may be old: read anew. Also called when somebody begins to listen while the connection is there: `begins`, what is asked for in the
   * same turn or later is newer than the connection, and need not be asked for again. */
  anew: (begins: boolean) => void;
}

const listeners = new Set<Listener>();

/** live: connected; late: not, and trying; off: nobody listens, or nobody is logged in; past: nobody listens, since what is shown is the past. */
export const liveness = signal<"live" | "late" | "off" | "past">("off");
/** Whether the view shows the past, which nothing is live of. */
let past = false;
export function showPast(is: boolean): void {
  past = is;
  if (listeners.size === 0) liveness.value = past ? "past" : "off";
}

const HIDDEN_MS = 300_000;
let source: EventSource | null = null;
let wanted = "";
/** What a view that is being loaded will listen to. */
let expected: Layer[] = [];
/** Whether the connection's snapshot has come. */
let begun = false;
let hiddenSince = 0;
let retry: ReturnType<typeof setTimeout> | undefined;

const layersWanted = (): string => [...new Set([...expected, ...[...listeners].flatMap((listener) => Object.keys(listener.layers))])].sort().join(",");

function close(): void {
  clearTimeout(retry);
  source?.close();
  source = null;
}

function tellAnew(): void {
  for (const listener of [...listeners]) listener.anew(false);
}

function open(): void {
  close();
  wanted = layersWanted();
  begun = false;
  if (wanted === "" || !(presence.value === "in" || (presence.value === "asking" && expected.length > 0))) {
    liveness.value = past ? "past" : "off";
    return;
  }
  liveness.value = "late";
  const mine = (source = new EventSource(`/api/v1/stream?layer=${wanted}`));
  const alive = () => (liveness.value = "live");
  mine.onopen = alive;
  mine.onerror = () => {
    liveness.value = "late";
    // The browser connects again by itself, unless it was refused: then later, and from a snapshot.
    if (mine.readyState === EventSource.CLOSED) retry = setTimeout(open, 3000 + Math.random() * 2000);
  };
  for (const event of ["snapshot", "resync"]) {
    mine.addEventListener(event, () => {
      alive();
      begun = true;
      tellAnew();
    });
  }
  for (const layer of wanted.split(",") as Layer[]) {
    mine.addEventListener(layer, (event: MessageEvent<string>) => {
      alive();
      if (listeners.size === 0) return;
      const things = JSON.parse(event.data) as never;
      for (const listener of [...listeners]) (listener.layers[layer] as ((things: never) => void) | undefined)?.(things);
    });
  }
}

/** Connects while the view that will listen to these is being loaded: what that asks for is then newer, and is asked for once. */
export function expectStream(layers: Layer[]): void {
  if (source !== null || listeners.size > 0) return;
  expected = layers;
  open();
}

/** Listens while the component is there and `live`; which layers are listened to does not change. It begins in the turn in which useAsk and usePages ask for the
 * first time: nothing comes between what they read and what is heard. */
export function useStream(layers: Listener["layers"], anew: Listener["anew"], live = true): void {
  const latest = useRef({ layers, anew });
  latest.current = { layers, anew };
  useLayoutEffect(() => {
    if (!live) return undefined;
    const heard = (layer: Layer) => (things: never) => (latest.current.layers[layer] as ((things: never) => void) | undefined)?.(things);
    return listen(Object.fromEntries((Object.keys(layers) as Layer[]).map((layer) => [layer, heard(layer)])), (begins) => latest.current.anew(begins));
  }, [live]);
}

/** Listens until the returned function is called. Components use useStream(). */
export function listen(layers: Listener["layers"], anew: Listener["anew"]): () => void {
  const listener: Listener = { layers, anew };
  listeners.add(listener);
  // At the end of the turn: a view's parts begin to listen together, and are one connection.
  queueMicrotask(() => {
    expected = [];
    if (!listeners.has(listener)) return;
    if (source === null || layersWanted().split(",").some((layer) => !wanted.split(",").includes(layer))) open();
    else if (begun) anew(true);
  });
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      close();
      liveness.value = past ? "past" : "off";
    }
  };
}

// A window that nobody sees for five minutes lets go of its connection, and reads anew when it is looked at again.
setInterval(() => {
  if (document.visibilityState === "hidden") {
    hiddenSince = hiddenSince || Date.now();
    if (source !== null && Date.now() - hiddenSince > HIDDEN_MS) close();
    return;
  }
  const woken = hiddenSince !== 0 && source === null && listeners.size > 0;
  hiddenSince = 0;
  if (woken) open();
}, 5000);
addEventListener("online", () => listeners.size > 0 && open());

effect(() => {
  if (presence.value === "in") queueMicrotask(() => listeners.size > 0 && open());
  else if (presence.value !== "asking") close();
});
