// What drives a page: Debian's Chromium, under a host name of a county's network, and the program that runs this one and answers to lines that begin
// with @ (harness/page.py).
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const { PAGE_HOST, PAGE_PORT } = process.env;
export const BASE = `http://${PAGE_HOST}:${PAGE_PORT}`;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** What the county does or knows. */
export async function county(what, parameters = {}) {
  console.log(`@${JSON.stringify({ do: what, with: parameters })}`);
  const { answer, problem } = JSON.parse((await lines.next()).value);
  if (problem !== undefined) throw new Error(`${what}: ${problem}`);
  return answer;
}

export const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", `--host-resolver-rules=MAP ${PAGE_HOST} 127.0.0.1`],
});
