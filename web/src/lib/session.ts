// Who is logged in. While a session is over, views stay as they are behind the login: nothing typed is lost.
import { signal } from "@preact/signals";
import { asProblem, get, post, setOnNobody, type Problem } from "./api.ts";
import { recall, remember } from "./keep.ts";

export type Right = "read" | "alarm" | "operate" | "score" | "command";

export interface Me {
  kind: "person" | "token";
  login: string;
  name: string;
  posts: string[];
  rights: Right[];
  department: string | null;
  all_departments: boolean;
  expires_at: string;
}

/** asking: not known yet; out: nobody; in; over: somebody was, until now; away: the hub does not answer. */
export type Presence = "asking" | "out" | "in" | "over" | "away";

export const presence = signal<Presence>("asking");
export const me = signal<Me | null>(null);

/** Those who wait for the next login. */
const waiting: (() => void)[] = [];

setOnNobody(() => {
  if (presence.value === "asking") presence.value = "out";
  if (presence.value === "in") presence.value = "over";
  return presence.value === "over" ? new Promise((resolve) => waiting.push(resolve)) : null;
});

function enter(who: Me): void {
  // Another person than before: nothing of the one before may stay on the screen.
  if (me.value !== null && me.value.login !== who.login) {
    location.reload();
    return;
  }
  me.value = who;
  presence.value = "in";
  remember("known", "true");
  for (const resolve of waiting.splice(0)) resolve();
}

/** Whether this browser had a session. One that never had one is not asked for it: that would be a refusal in its console. */
export const hadSession = (): boolean => recall("known") === "true";

export async function look(): Promise<void> {
  if (!hadSession()) {
    presence.value = "out";
    return;
  }
  try {
    enter(await get<Me>("me"));
  } catch (error) {
    if (asProblem(error).status !== 401) presence.value = "away";
    else remember("known", "false");
  }
}

/** Resolves to the refusal, or to null: then somebody is logged in. */
export async function logIn(login: string, password: string): Promise<Problem | null> {
  try {
    await post("login", { login, password });
    enter(await get<Me>("me"));
    return null;
  } catch (error) {
    return asProblem(error);
  }
}

export async function logOut(): Promise<void> {
  try {
    await post("logout");
  } catch (error) {
    if (asProblem(error).status !== 401) throw error;
  }
  remember("known", "false");
  location.reload();
}

export const may = (right: Right): boolean => me.value?.rights.includes(right) ?? false;
