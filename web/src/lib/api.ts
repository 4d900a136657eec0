// The hub's API: one way to ask. Answers are typed by whoever asks (types.ts has the shared ones); every refusal is a Problem with
// the hub's code, title and hint in the page's language. Nothing is tried again by itself: the user sees what failed and where.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { setHubTime, timeZone } from "./format.ts";
import { language } from "./words.ts";

export type Value = string | number | boolean | null | undefined;
export type Parameters = Record<string, Value>;

/** A refusal, or no answer at all (status 0). `code` is the hub's, such as CH042; "" = the answer was none of the hub's. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly hint: string;
  readonly parameter: string;
  /** Seconds after which it may be tried again; 0 = the hub did not say. */
  readonly retryAfter: number;
  readonly body: Record<string, unknown>;

  constructor(status: number, body: Record<string, unknown>, retryAfter = 0) {
    const text = (key: string) => (typeof body[key] === "string" ? (body[key] as string) : "");
    super(text("detail") || text("title") || `HTTP ${status}`);
    this.name = "Problem";
    this.status = status;
    this.code = text("code");
    this.title = text("title");
    this.hint = text("hint");
    this.parameter = text("parameter");
    this.retryAfter = retryAfter;
    this.body = body;
  }
}

/** Called with every 401 but that of a login; its promise, if it gives one, says that somebody is logged in again. session.ts sets it. */
let onNobody: () => Promise<void> | null = () => null;
export function setOnNobody(called: () => Promise<void> | null): void {
  onNobody = called;
}

/** `/api/v1/devices` with its parameters; null, undefined and "" are left out. */
export function address(path: string, parameters: Parameters = {}): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(key, String(value));
  }
  const text = query.toString();
  return `/api/v1/${path}${text === "" ? "" : `?${text}`}`;
}

interface Request {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  parameters?: Parameters;
  body?: unknown;
  signal?: AbortSignal | undefined;
}

/** The refusal that an answer is. */
export function problemOfText(status: number, text: string, retryAfter: string | null): Problem {
  const seconds = Number(retryAfter ?? 0) || 0;
  try {
    const body: unknown = JSON.parse(text);
    return new Problem(status, typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {}, seconds);
  } catch {
    return new Problem(status, {}, seconds);
  }
}

const problemOf = async (response: Response): Promise<Problem> => problemOfText(response.status, await response.text().catch(() => ""), response.headers.get("Retry-After"));

/** For what asks in a way of its own: nobody is logged in any more. */
export const sessionOver = (): void => void onNobody();

/** `path` is relative to /api/v1/. An answer without a body is null. Throws Problem; AbortError if `signal` said so. While a session is over, what
 * only reads waits for the next login; what writes is refused, so that its user decides anew. */
export async function ask<T>(path: string, request: Request = {}): Promise<T> {
  const { method = "GET", parameters, body, signal } = request;
  const headers: Record<string, string> = { Accept: "application/json, application/geo+json", "Accept-Language": language.value };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(address(path, parameters), {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
      credentials: "same-origin",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, {});
  }
  if (!response.ok) {
    const problem = await problemOf(response);
    const back = problem.status === 401 && problem.code !== "CH061" ? onNobody() : null;
    if (back === null || method !== "GET") throw problem;
    await back;
    signal?.throwIfAborted();
    return ask<T>(path, request);
  }
  const sent = Date.parse(response.headers.get("Date") ?? "");
  if (!Number.isNaN(sent)) setHubTime(sent + 500);
  if (response.status === 204) return null as T;
  const answer = (await response.json()) as T & { time_zone?: unknown };
  if (typeof answer?.time_zone === "string") timeZone.value = answer.time_zone;
  return answer;
}

export const get = <T>(path: string, parameters?: Parameters, signal?: AbortSignal): Promise<T> =>
  ask<T>(path, { ...(parameters && { parameters }), signal });

export const post = <T>(path: string, body?: unknown, signal?: AbortSignal): Promise<T> =>
  ask<T>(path, { method: "POST", ...(body !== undefined && { body }), signal });

/** null: no answer at all. */
export function asProblem(error: unknown): Problem {
  return error instanceof Problem ? error : new Problem(0, error === null ? {} : { detail: error instanceof Error ? error.message : String(error) });
}

export interface Asked<T> {
  /** The last answer: it stays while the next one is under way, and when that fails. */
  data: T | undefined;
  problem: Problem | undefined;
  loading: boolean;
  reload: () => void;
}

/** Asks when the component appears and whenever path or parameters change, and drops what is no longer wanted. `path` null: nothing is
 * asked. `every` > 0: again after so many seconds, while the page is seen. */
export function useAsk<T>(path: string | null, parameters: Parameters = {}, every = 0): Asked<T> {
  const [state, setState] = useState<{ of: string | null; data?: T; problem?: Problem; loading: boolean }>({ of: path, loading: path !== null });
  const [turn, setTurn] = useState(0);
  const target = path === null ? null : address(path, parameters);
  const spoken = language.value;
  // Before it is painted: a slow PC is some hundred ms at that, in which the hub answers.
  useLayoutEffect(() => {
    if (path === null) {
      setState((before) => (before.loading || before.data !== undefined || before.problem ? { of: path, loading: false } : before));
      return undefined;
    }
    const leaving = new AbortController();
    // At the beginning it is so already: then nothing is drawn again.
    setState((before) =>
      before.of === path && before.loading && before.data === undefined && !before.problem ? before : { of: path, ...(before.of === path && before.data !== undefined && { data: before.data }), loading: true },
    );
    get<T>(path, parameters, leaving.signal).then(
      (data) => setState({ of: path, data, loading: false }),
      (error: unknown) => {
        if (!leaving.signal.aborted) setState((before) => ({ ...before, problem: asProblem(error), loading: false }));
      },
    );
    return () => leaving.abort();
  }, [target, turn, spoken]);
  useEffect(() => {
    if (every <= 0 || target === null) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && setTurn((now) => now + 1), every * 1000);
    return () => clearInterval(timer);
  }, [target, every]);
  // Of another path: whoever draws it knows these fields, not those.
  const { data, problem, loading } = state.of === path ? state : { data: undefined, problem: undefined, loading: path !== null };
  return { data, problem, loading, reload: () => setTurn((now) => now + 1) };
}

const PAGE_ROWS = 100;
/** As many as the API gives at once. */
export const ROWS_MOST = 1000;

export interface Paged<T> {
  rows: T[];
  problem: Problem | undefined;
  loading: boolean;
  /** Whether the last page is there. */
  whole: boolean;
  more: () => void;
  reload: () => void;
}

/** A list of the API by its pages (`next` goes into `after`): the first one, of `first` rows, at once, the others by more(). `member` is where the
 * rows are in the answer. Other parameters: the list begins anew. Read anew, it has no fewer rows than before: who has scrolled stays where he is. */
export function usePages<T>(path: string | null, member: string, parameters: Parameters = {}, first = PAGE_ROWS): Paged<T> {
  const none: { of: string | null; rows: T[]; next: Value; problem?: Problem; loading: boolean } = { of: path, rows: [], next: undefined, loading: path !== null };
  const [kept, setState] = useState(none);
  const state = kept.of === path ? kept : none;
  const [turn, setTurn] = useState(0);
  const leaving = useRef<AbortController>();
  const target = path === null ? null : address(path, { ...parameters, limit: first });
  const had = useRef<string | null>(null);
  const load = (after: Value, before: T[], limit: number) => {
    if (path === null) return;
    leaving.current?.abort();
    const mine = (leaving.current = new AbortController());
    setState((now) => (now.of !== path ? { ...none, loading: true } : now.loading && !now.problem ? now : { of: path, rows: now.rows, next: now.next, loading: true }));
    get<Record<string, unknown>>(path, { ...parameters, limit, after }, mine.signal).then(
      (answer) => setState({ of: path, rows: [...before, ...((answer[member] as T[] | undefined) ?? [])], next: (answer["next"] as Value) ?? null, loading: false }),
      (error: unknown) => {
        if (!mine.signal.aborted) setState((now) => ({ ...now, problem: asProblem(error), loading: false }));
      },
    );
  };
  useLayoutEffect(() => {
    const pages = Math.ceil((state.rows.length + (state.next === null ? 1 : 0)) / PAGE_ROWS); // a whole one has room for something new
    load(undefined, [], had.current === target ? Math.min(Math.max(first, pages * PAGE_ROWS), ROWS_MOST) : first);
    had.current = target;
    return () => leaving.current?.abort();
  }, [target, turn, language.value]);
  return {
    rows: state.rows,
    problem: state.problem,
    loading: state.loading,
    whole: state.next === null,
    more: () => !state.loading && state.next !== null && load(state.next, state.rows, PAGE_ROWS),
    reload: () => setTurn((now) => now + 1),
  };
}

/** All pages of a list, one behind the other; `whole` false: there are more than `most`. Throws Problem. */
export async function getAll<T>(path: string, member: string, parameters: Parameters, most: number, signal?: AbortSignal): Promise<{ rows: T[]; whole: boolean }> {
  const rows: T[] = [];
  let after: Value;
  do {
    const answer: Record<string, unknown> = await get(path, { ...parameters, limit: ROWS_MOST, after }, signal);
    rows.push(...((answer[member] as T[] | undefined) ?? []));
    after = (answer["next"] as Value) ?? null;
  } while (after !== null && rows.length < most);
  return { rows, whole: after === null };
}
