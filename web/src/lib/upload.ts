// Files on their way to the hub (POST attachments), with how far each is. They are kept by a key, such as a case's number, until they are sent with it:
// another case that is opened meanwhile, a refusal or a session that ends lose none.
import { signal } from "@preact/signals";
import { address, asProblem, problemOfText, sessionOver, type Problem } from "./api.ts";
import { language } from "./words.ts";

export interface Upload {
  id: number;
  file: File;
  /** A picture of it in this browser's memory; "" = it is none. */
  picture: string;
  /** 0 to 1 */
  sent: number;
  state: "sending" | "there" | "refused";
  problem?: Problem;
  sha256?: string;
}

/** What the hub takes; what else is chosen is refused by it, in words. */
export const UPLOAD_TYPES = "image/jpeg,image/png,image/webp,application/pdf,video/mp4";
const all = signal<Record<string, Upload[]>>({});
const under = new Map<number, { asking: XMLHttpRequest; over: Promise<void> }>();
let last = 0;

export const uploads = (key: string): Upload[] => all.value[key] ?? [];

function change(key: string, id: number, changed: Partial<Upload>): void {
  const rows = all.peek()[key];
  if (rows === undefined) return;
  all.value = { ...all.peek(), [key]: rows.map((one) => (one.id === id ? { ...one, ...changed } : one)) };
}

function send(key: string, id: number, file: File): void {
  const asking = new XMLHttpRequest();
  const over = new Promise<void>((resolve) => {
    const refused = (problem: Problem) => change(key, id, { state: "refused", problem });
    asking.upload.onprogress = (event) => event.lengthComputable && change(key, id, { sent: event.loaded / event.total });
    asking.onload = () => {
      if (asking.status === 201) {
        const { sha256 } = JSON.parse(asking.responseText) as { sha256: string };
        change(key, id, { state: "there", sent: 1, sha256 });
        return;
      }
      const problem = problemOfText(asking.status, asking.responseText, asking.getResponseHeader("Retry-After"));
      if (problem.status === 401) sessionOver();
      refused(problem);
    };
    asking.onerror = () => refused(asProblem(null));
    asking.onloadend = () => {
      under.delete(id);
      resolve();
    };
  });
  under.set(id, { asking, over });
  asking.open("POST", address("attachments"));
  asking.setRequestHeader("Accept", "application/json");
  asking.setRequestHeader("Accept-Language", language.value);
  asking.setRequestHeader("Content-Type", UPLOAD_TYPES.split(",").includes(file.type) ? file.type : "application/octet-stream");
  asking.send(file);
}

/** Sends them, one beside the other. */
export function upload(key: string, files: Iterable<File>): void {
  for (const file of files) {
    const id = ++last;
    const picture = file.type.startsWith("image/") ? URL.createObjectURL(file) : "";
    all.value = { ...all.peek(), [key]: [...(all.peek()[key] ?? []), { id, file, picture, sent: 0, state: "sending" }] };
    send(key, id, file);
  }
}

/** One that was refused, once more. */
export function uploadAgain(key: string, one: Upload): void {
  change(key, one.id, { state: "sending", sent: 0 });
  send(key, one.id, one.file);
}

export function uploadDrop(key: string, one: Upload): void {
  under.get(one.id)?.asking.abort();
  if (one.picture !== "") URL.revokeObjectURL(one.picture);
  all.value = { ...all.peek(), [key]: (all.peek()[key] ?? []).filter((other) => other.id !== one.id) };
}

export function uploadsDrop(key: string): void {
  for (const one of all.peek()[key] ?? []) uploadDrop(key, one);
}

/** Waits for those that are under way; then the names of all, or null if one was refused. */
export async function uploaded(key: string): Promise<{ sha256: string }[] | null> {
  await Promise.all((all.peek()[key] ?? []).map((one) => under.get(one.id)?.over));
  const rows = all.peek()[key] ?? [];
  if (rows.some((one) => one.state !== "there")) return null;
  // The same file chosen twice is one.
  return [...new Set(rows.map((one) => one.sha256!))].map((sha256) => ({ sha256 }));
}
