// bench.mjs LEGS SECONDS [TIMES]: the legs of `run`, which starts it and tells what they are.
import { BASE, browser, county } from "../../web/drive.mjs";

const [legs, seconds, times] = [process.argv[2].split(","), Number(process.argv[3]), Number(process.argv[4]) || undefined];
const facts = await county("facts");

/** In the page before anything of it: counts frames that draw by WebGL, and keeps what their script took, long tasks, layout shifts, and when what is looked for was there. */
function probe() {
  const bench = (globalThis.bench = { draws: 0, drawn: new Set(), scripts: [], tasks: [], shift: 0, shifted: [], there: {}, looking: false, seen: new Map(), changed: [] });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      bench.shift += entry.value;
      bench.shifted.push(`${entry.value.toFixed(4)} ${entry.sources.map(({ node }) => `${node?.nodeName}.${node?.className ?? ""}`).join(" ")}`);
    }
  }).observe({ type: "layout-shift", buffered: true });
  new PerformanceObserver((list) => bench.tasks.push(...list.getEntries().map(({ startTime, duration }) => [startTime, duration]))).observe({ type: "longtask", buffered: true });
  for (const name of ["drawArrays", "drawElements"]) {
    const before = WebGL2RenderingContext.prototype[name];
    WebGL2RenderingContext.prototype[name] = function (...rest) {
      bench.draws++;
      bench.drawn.add(this);
      return before.apply(this, rest);
    };
  }
  /** Whether the middle of the map, of 60 pixels each way, is drawn otherwise than by the frame before. */
  const look = (gl) => {
    const pixels = new Uint8Array(4 * 60 * 60);
    gl.readPixels(gl.drawingBufferWidth / 2 - 30, gl.drawingBufferHeight / 2 - 30, 60, 60, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    const before = bench.seen.get(gl);
    bench.seen.set(gl, pixels);
    if (before !== undefined && pixels.some((value, at) => value !== before[at])) bench.changed.push(Date.now());
  };
  const ask = requestAnimationFrame.bind(globalThis);
  globalThis.requestAnimationFrame = (frame) =>
    ask((at) => {
      const [draws, begun] = [bench.draws, performance.now()];
      frame(at);
      if (bench.draws === draws) return;
      bench.scripts.push([begun, performance.now() - begun]);
      if (bench.looking) bench.drawn.forEach(look);
      bench.drawn.clear();
    });
  const wanted = { list: ".map-list tbody tr", counts: ".subsystems tbody tr" };
  new MutationObserver((_, self) => {
    for (const [name, selector] of Object.entries(wanted)) if (!(name in bench.there) && document.querySelector(selector) !== null) bench.there[name] = performance.now();
    if (Object.keys(wanted).every((name) => name in bench.there)) self.disconnect();
  }).observe(document, { childList: true, subtree: true });
}

const say = (leg, what) => console.log(`${leg.padEnd(7)} ${what}`);
const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;
const worst = (values) => Math.max(0, ...values);
const seconds3 = (ms) => (ms / 1000).toFixed(2);

async function login() {
  const context = await browser.newContext({ locale: "zh-CN" });
  const page = await context.newPage();
  await page.goto(BASE);
  await page.fill("[name=login]", facts.login);
  await page.fill("[name=password]", facts.password);
  await page.keyboard.press("Enter");
  await page.waitForSelector("main#content");
  const session = await context.storageState();
  await context.close();
  return session;
}

const session = await login();

/** Until the browser is at rest: with a new window it loads pages of its own, such as those of its address bar. */
async function rest(page) {
  const tools = await browser.newBrowserCDPSession();
  for (let before = -1, used = 0; used - before > 0.02; await page.waitForTimeout(250)) {
    before = used;
    used = (await tools.send("SystemInfo.getProcessInfo")).processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0);
  }
  await tools.detach();
}

/** A window of a browser that has the session and nothing else. */
async function open(slowed = 1) {
  const context = await browser.newContext({ locale: "zh-CN", viewport: { width: 1366, height: 768 }, storageState: session });
  await context.addInitScript(probe);
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  page.on("pageerror", (error) => console.log(`error: ${error.stack ?? error.message}`));
  await rest(page);
  const tools = await context.newCDPSession(page);
  if (slowed > 1) await tools.send("Emulation.setCPUThrottlingRate", { rate: slowed });
  return { page, context, tools };
}

/** Until no frame was drawn for so long. Not by playwright's waitForFunction: the 300 KB of script that it brings into the page would be measured, too. */
async function still(tools, ms) {
  const expression = `globalThis.bench !== undefined && performance.now() - (bench.scripts.at(-1)?.[0] ?? 1e9) > ${ms} && document.querySelector(".liveness.live") !== null`;
  for (const until = Date.now() + 120_000; !(await tools.send("Runtime.evaluate", { expression, returnByValue: true })).result.value;) {
    if (Date.now() > until) throw new Error("the map does not come to rest");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function first() {
  const found = [];
  for (let turn = 0; turn < (times ?? 3); turn++) {
    const { page, context, tools } = await open(4);
    await page.goto(`${BASE}/#/map`, { waitUntil: "commit" });
    await still(tools, 3000);
    const { there, tasks, drawn } = await page.evaluate(() => ({
      there: bench.there,
      tasks: bench.tasks,
      drawn: bench.scripts.at(-1)[0],
    }));
    const quiet = worst(tasks.map(([start, lasts]) => start + lasts));
    found.push(worst([there.list, there.counts, drawn, quiet]));
    say("first", `interactive ${seconds3(found.at(-1))} s: list ${seconds3(there.list)}, counts ${seconds3(there.counts)},`
      + ` last frame ${seconds3(drawn)}, last long task ${seconds3(quiet)} (the longest ${worst(tasks.map(([, lasts]) => lasts)).toFixed(0)} ms)`);
    await context.close();
  }
  say("first", `interactive median ${seconds3(quantile(found, 0.5))} s of ${found.length}`);
}

async function movers() {
  const { page, context, tools } = await open();
  await page.goto(`${BASE}/#/map`);
  await still(tools, 2000);
  await county("start");
  await page.waitForTimeout(3000);
  await page.evaluate(() => Object.assign(bench, { scripts: [], tasks: [], shift: 0, shifted: [] }));
  await browser.startTracing(page, { categories: ["devtools.timeline"] });
  await page.waitForTimeout(seconds * 1000);
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  const { scripts, tasks, shift, shifted } = await page.evaluate(() => bench);
  const frames = traceEvents.filter(({ name, ph }) => name === "FireAnimationFrame" && ph === "X");
  const took = (values) => `p50 ${quantile(values, 0.5).toFixed(2)}, p95 ${quantile(values, 0.95).toFixed(2)}, max ${worst(values).toFixed(1)} ms`;
  say("movers", `script of a frame: processor ${took(frames.map(({ tdur }) => tdur / 1000))}; clock ${took(frames.map(({ dur }) => dur / 1000))}; ${scripts.length} frames drawn in ${seconds} s;`
    + ` tasks of more than 50 ms: ${tasks.length}, the longest ${worst(tasks.map(([, lasts]) => lasts)).toFixed(0)} ms; layout shift ${shift.toFixed(4)} ${[...new Set(shifted)].slice(0, 3).join("; ")}`);
  await county("halt");
  await still(tools, 3000);
  await page.evaluate(() => (bench.scripts = []));
  await page.waitForTimeout(40_000);
  say("movers", `nothing moves: ${await page.evaluate(() => bench.scripts.length)} frames drawn in 40 s`);
  await context.close();
}

/** What `act` does at `place`, after the map is there and still; ms until it is drawn. */
async function delay(page, tools, { lon, lat }, act) {
  await page.evaluate(([lon, lat]) => {
    bench.scripts = [[performance.now(), 0]];
    location.hash = `#/map?list=none&at=${lon.toFixed(5)},${lat.toFixed(5)},18`;
  }, [lon, lat]);
  await still(tools, 1500);
  await page.evaluate(() => Object.assign(bench, { changed: [] }));
  const { at } = await act();
  const seen = await page.waitForFunction(() => bench.changed[0], null, { polling: 50, timeout: 20_000 }).then((answer) => answer.jsonValue(), () => Infinity);
  return seen - at;
}

async function pixel() {
  const { page, context, tools } = await open();
  const start = await county("mover", { step: 0 });
  await page.goto(`${BASE}/#/map?list=none&at=${start.lon.toFixed(5)},${start.lat.toFixed(5)},18`);
  await page.evaluate(() => (bench.looking = true));
  await still(tools, 1500);
  await page.evaluate(() => Object.assign(bench, { shift: 0, shifted: [] }));
  const found = { vehicle: [], device: [], case: [], alarm: [] };
  for (let turn = 0; turn < (times ?? 10); turn++) {
    found.vehicle.push(await delay(page, tools, start, () => county("mover", { step: turn % 2 === 0 ? 1 : 0 })));
    for (const [shift, what] of ["report", "case", "alarm"].entries()) {
      const n = 3 * turn + shift;
      found[["device", "case", "alarm"][shift]].push(await delay(page, tools, await county("place", { n }), () => county(what, { n })));
    }
  }
  for (const [what, delays] of Object.entries(found)) {
    say("pixel", `${what.padEnd(8)} p50 ${quantile(delays, 0.5)}, max ${worst(delays)} ms of ${delays.length}`);
  }
  const { shift, shifted } = await page.evaluate(() => bench);
  say("pixel", `layout shift ${shift.toFixed(4)} ${[...new Set(shifted)].slice(0, 3).join("; ")}`);
  await context.close();
}

/** Least squares: what a reading grows by a minute. */
function slope(readings) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(readings.map(([minute]) => minute)), mean(readings.map(([, bytes]) => bytes))];
  return mean(readings.map(([minute, bytes]) => (minute - x) * (bytes - y))) / mean(readings.map(([minute]) => (minute - x) ** 2));
}

async function soak(view) {
  const { page, context, tools } = await open();
  await page.goto(`${BASE}/#/${view}`);
  await page.waitForTimeout(10_000);
  await county("start");
  const begun = Date.now();
  const readings = [];
  for (let n = 1000; Date.now() - begun < seconds * 1000; n++) {
    for (const what of ["report", "case", "alarm"]) await county(what, { n: n + (view === "map" ? 0 : 2000) });
    await page.waitForTimeout(1000);
    if (n % 5 > 0 || Date.now() - begun < 10_000) continue;
    await page.evaluate(() => Object.assign(bench, { scripts: [], tasks: [], shifted: [] })); // what the probe keeps is not the page's
    await tools.send("HeapProfiler.collectGarbage");
    readings.push([(Date.now() - begun) / 60_000, (await tools.send("Runtime.getHeapUsage")).usedSize]);
  }
  await county("halt");
  const events = Math.round((facts.movers / 20) * seconds);
  const later = readings.slice(readings.length / 2);
  say("soak", `${view}: heap ${(readings[0][1] / 1048576).toFixed(1)} MB, then ${(readings.at(-1)[1] / 1048576).toFixed(1)} MB after some ${events} events, ${(slope(readings) / 1024).toFixed(0)} KB a minute, in the second half ${(slope(later) / 1024).toFixed(0)}`);
  await context.close();
}

if (legs.includes("first")) await first();
if (legs.includes("movers")) await movers();
if (legs.includes("pixel")) await pixel();
if (legs.includes("soak")) for (const view of ["map", "wall"]) await soak(view);
await browser.close();
process.exit(0);
