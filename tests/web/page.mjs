// page.mjs [PATTERN]: the page as people use it, in Debian's Chromium, under a host name of a county's network. Run by `run`, which answers to
// the lines that begin with @. In every test these are failures: an error in the console, a violation of the Content Security Policy, a request to
// anywhere but the hub.
import { createRequire } from "node:module";
import { deskTests } from "./desk.mjs";
import { BASE, browser, county } from "./drive.mjs";
import { manageTests } from "./manage.mjs";
import { numberTests } from "./numbers.mjs";
import { orderTests } from "./orders.mjs";
import { terminalTests } from "./terminals.mjs";
import { wordTests } from "./words.mjs";

const { PAGE_LOGIN, PAGE_PASSWORD, PAGE_SHOTS } = process.env;
const place = JSON.parse(process.env.PAGE_PLACE);
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const WAIT_MS = Number(process.env.PAGE_WAIT_MS ?? 60_000);
const SIZES = { office: [1366, 768], wall: [3840, 1080], phone: [390, 844] };

/** A window with nothing in it yet. `faults` fills with what must not be; `forgiven`: parts of texts that a test brings about itself; `ahead`: so many ms is the
 *  PC's clock. */
async function open({ size = "office", theme = "light", forgiven = [], webgl = true, ahead = 0 } = {}) {
  const [width, height] = SIZES[size];
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, locale: "zh-CN", timezoneId: "America/New_York" });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const faults = [];
  const add = (text) => forgiven.some((part) => text.includes(part)) || faults.push(text);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && !message.text().includes("GPU stall") && add(`console: ${message.text()} ${message.location().url}`));
  page.on("pageerror", (error) => add(`error: ${error.stack ?? error.message}`));
  page.on("dialog", (dialog) => {
    add(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => !request.url().startsWith(BASE) && !/^(blob|data):/.test(request.url()) && add(`a request to ${request.url()}`));
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`)));
  if (ahead !== 0) {
    await page.addInitScript((ms) => {
      const Real = Date;
      globalThis.Date = class extends Real {
        constructor(...given) {
          super(...(given.length === 0 ? [Real.now() + ms] : given));
        }
        static now() {
          return Real.now() + ms;
        }
      };
    }, ahead);
  }
  if (!webgl) {
    await page.addInitScript(() => {
      const before = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
        return kind === "webgl2" ? null : before.call(this, kind, ...rest);
      };
    });
  }
  return { page, faults, context };
}

/** Logged in by the form; then at the address `hash`. */
async function enter(options = {}, hash = "#/map") {
  const window = options.window ?? (await open(options));
  const { page } = window;
  await page.goto(`${BASE}/${hash}`);
  if (options.language === "en") await page.click("text=English");
  await page.fill("[name=login]", options.login ?? PAGE_LOGIN);
  await page.fill("[name=password]", PAGE_PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForSelector("main#content");
  return window;
}

const expect = (good, what) => {
  if (!good) throw new Error(what);
};
const text = (page, selector) => page.locator(selector).first().innerText();

/** No sideways scrolling, and no finding of axe's that is serious. */
async function check(page, what) {
  const wide = await page.evaluate(() => Math.max(...[document.documentElement, document.querySelector("main")].map((part) => (part === null ? 0 : part.scrollWidth - part.clientWidth))));
  expect(wide <= 0, `${what}: ${wide} pixels too wide`);
  // Read and run by the driver: the page's own policy lets no other script in.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(await (await import("node:fs/promises")).readFile(axe, "utf8"));
  const found = await page.evaluate(async () =>
    (await globalThis.axe.run(document, { resultTypes: ["violations"] })).violations
      .filter((violation) => ["serious", "critical"].includes(violation.impact))
      .map((violation) => `${violation.id}: ${violation.nodes.map((node) => `${node.target} ${node.failureSummary}`).slice(0, 3).join("; ")}`),
  );
  expect(found.length === 0, `${what}: ${found.join("\n")}`);
}

const shot = (page, name) => page.screenshot({ path: `${PAGE_SHOTS}/${name}.png` });
const facts = await county("facts");
const middle = { lon: place.west + place.size / 2, lat: place.south + place.size / 3 };
const lamp = { lon: place.west + place.size * 0.35, lat: place.south + (place.size * 1.5) / 6 };
const at = ({ lon, lat }, zoom) => `at=${lon.toFixed(5)},${lat.toFixed(5)},${zoom}`;

/** Where a place is on the screen: the map's middle is `from`. */
async function pixelOf(page, from, zoom, to) {
  const box = await page.locator("[data-testid=map]").boundingBox();
  const world = 512 * 2 ** zoom;
  const y = (lat) => (0.5 - Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360)) / (2 * Math.PI)) * world;
  return [box.x + box.width / 2 + ((to.lon - from.lon) / 360) * world, box.y + box.height / 2 + y(to.lat) - y(from.lat)];
}

/** The colours on the screen around x, y, at each of `offsets` of up to 49 pixels, as red,green,blue. */
async function coloursAround(page, x, y, offsets) {
  const picture = await page.screenshot({ clip: { x: Math.floor(x) - 50, y: Math.floor(y) - 50, width: 100, height: 100 } });
  return page.evaluate(
    async ([text, places]) => {
      const pen = new OffscreenCanvas(100, 100).getContext("2d", { willReadFrequently: true });
      pen.drawImage(await createImageBitmap(new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], { type: "image/png" })), 0, 0);
      return places.map(([dx, dy]) => [...pen.getImageData(50 + dx, 50 + dy, 1, 1).data].slice(0, 3).join());
    },
    [picture.toString("base64"), offsets],
  );
}

/** Waits until the places around x, y have their colours: [dx, dy, colour]. */
async function coloured(page, x, y, wanted, what) {
  for (const until = Date.now() + WAIT_MS; ; ) {
    const found = await coloursAround(page, x, y, wanted);
    const wrong = wanted.findIndex(([, , colour], place) => found[place] !== colour);
    if (wrong < 0) return;
    expect(Date.now() < until, `${what}: ${found[wrong]} at ${wanted[wrong]}`);
    await page.waitForTimeout(200);
  }
}

/** Clicks there until the panel with this heading is open: tiles come when they come. */
async function pick(page, x, y, heading) {
  for (const until = Date.now() + WAIT_MS; ; ) {
    await page.mouse.click(x, y);
    const opened = await page.locator(".map-panel h2", { hasText: heading }).waitFor({ timeout: 2000 }).then(() => true, () => false);
    if (opened) return;
    expect(Date.now() < until, `no click opens ${heading}`);
  }
}

// ---- what must hold ----

const tests = {
  "a wrong password is refused in words, the right one enters": async () => {
    const window = await open({ forgiven: ["401"] });
    const { page } = window;
    await page.goto(`${BASE}/`);
    await page.waitForSelector("form");
    await check(page, "the login");
    await shot(page, "login");
    await page.keyboard.type(PAGE_LOGIN);
    await page.keyboard.press("Tab");
    await page.keyboard.type("not the password");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".failed");
    const refusal = await text(page, ".failed");
    expect(refusal.includes("CH061") && /[\u4e00-\u9fff]/.test(refusal), refusal);
    expect((await page.inputValue("[name=login]")) === PAGE_LOGIN, "the login is gone");
    await page.keyboard.type(PAGE_PASSWORD);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".map-view");
    expect((await page.title()).startsWith("一张图"), await page.title());
    expect((await text(page, ".header")).includes("李四"), "nobody's name is in the head");
    return window;
  },

  "the map shows what the list has, and both go by one filter": async () => {
    const window = await enter({}, `#/map?inview=false&${at(middle, 13)}`);
    const { page } = window;
    await page.waitForSelector(".map-list tbody tr");
    const total = await text(page, ".subsystems tbody tr:nth-child(1) td:nth-child(2)");
    const away = await text(page, ".subsystems tbody tr:nth-child(1) td:nth-child(3)");
    expect(Number(total) + Number(away) === facts.devices, `${total} + ${away} devices counted, ${facts.devices} there`);
    await pick(page, ...(await pixelOf(page, middle, 13, middle)), "工地扬尘监测仪1号");
    await shot(page, "map-panel");
    await page.keyboard.press("Escape");
    await page.waitForSelector(".map-panel", { state: "detached" });
    await page.click("text=智慧路灯");
    await page.waitForFunction(() => document.querySelector(".map-list-rows").innerText.includes("共 60 条"));
    expect((await page.locator(".map-list tbody tr").count()) === 60, "the list has not its 60 lamps");
    expect(!(await text(page, ".map-list-rows")).includes("扬尘"), "another subsystem is in the list");
    await pick(page, ...(await pixelOf(page, middle, 13, lamp)), "单灯13");
    // Only what fits is on the map: nothing opens where the monitor was.
    await page.keyboard.press("Escape");
    await page.waitForSelector(".map-panel", { state: "detached" });
    await page.mouse.click(...(await pixelOf(page, middle, 13, middle)));
    const address = await page.evaluate(() => location.hash);
    expect(address.includes("subsystem=streetlight") && !address.includes("device/"), address);
    // The address is the view: opened elsewhere it shows the same.
    await page.reload();
    await page.waitForFunction(() => document.querySelector(".map-list-rows")?.innerText.includes("共 60 条"));
    return window;
  },

  "the panel has values with units, follows them live, and takes names for text": async () => {
    const window = await enter({}, `#/map/device/${facts.ids.D1}`);
    const { page } = window;
    await page.waitForFunction(() => document.querySelector(".map-panel")?.innerText.includes("35.5"));
    expect((await text(page, ".readings")).includes("µg/m³"), "no unit");
    await county("report", { pm25_ug_m3: 71.25 });
    await page.waitForFunction(() => document.querySelector(".map-panel").innerText.includes("71.25"));
    await page.click(".readings button >> nth=0");
    await page.waitForSelector(".chart");
    await check(page, "the panel");
    await shot(page, "panel-history");
    await page.goto(`${BASE}/#/map/device/${facts.ids.M1}`);
    await page.waitForFunction((name) => document.querySelector(".map-panel h2")?.textContent === name, facts.bad_name);
    expect((await page.locator(".map-panel h2 *").count()) === 0, "a name became markup");
    return window;
  },

  "what happens is seen without loading anew": async () => {
    const window = await enter({}, "#/map?list=alarm");
    const { page } = window;
    await page.waitForFunction(() => document.querySelector(".liveness.live"));
    await county("alarm");
    await page.waitForSelector(".map-list tbody tr");
    await page.focus(".map-list tbody tr");
    await page.keyboard.press("Enter");
    await page.click("text=确认报警");
    await page.waitForFunction((login) => document.querySelector(".map-panel").innerText.includes(`已由 ${login} 确认`) || document.querySelector(".map-panel").innerText.includes("已由 李四 确认"), PAGE_LOGIN);
    await page.click(".map-list-head >> text=未结案卷");
    await page.waitForFunction(() => document.querySelectorAll(".map-list tbody tr").length === 7);
    await county("case", { title: "新来的案卷", lon: middle.lon, lat: middle.lat });
    await page.waitForFunction(() => document.querySelector(".map-list-rows").innerText.includes("新来的案卷"));
    return window;
  },

  "the list goes from each kind to each other, while the other's answer is still under way": async () => {
    await county("alarm");
    const window = await enter({}, "#/map?list=device");
    const { page } = window;
    await page.waitForSelector(".map-list tbody tr");
    for (const tab of ["报警", "设备", "未结案卷", "报警", "未结案卷", "设备"]) {
      await page.click(`.map-list-head >> text=${tab}`);
      await page.waitForFunction((label) => document.querySelector(".map-list tbody tr") && document.querySelector(".map-list-rows").getAttribute("aria-label") === label, tab);
    }
    return window;
  },

  "what happens between a list's first reading and its listening is in it": async () => {
    const window = await enter({}, "#/map?list=case&inview=false");
    const { page } = window;
    await page.waitForSelector(".map-list tbody tr");
    // Answers, and what runs behind the painting, as effects do, stand still from the list's first reading on until they are let go.
    await page.addInitScript(() => {
      Object.assign(globalThis, { began: 0, told: 0, answered: 0, held: null });
      const late = (real) => (call, ...rest) => real((...given) => (globalThis.held === null ? call(...given) : globalThis.held.push(() => call(...given))), ...rest);
      [globalThis.requestAnimationFrame, globalThis.setTimeout] = [late(requestAnimationFrame), late(setTimeout)];
      globalThis.EventSource = class extends EventSource {
        constructor(...given) {
          super(...given);
          this.addEventListener("snapshot", () => globalThis.began++);
          this.addEventListener("case", () => globalThis.told++);
        }
      };
      const real = fetch;
      globalThis.fetch = async (address, ...rest) => {
        const first = globalThis.answered === 0 && String(address).startsWith("/api/v1/cases?");
        if (first) globalThis.held = [];
        const response = await real(address, ...rest);
        if (first) globalThis.answered = 1;
        if (globalThis.held !== null) await new Promise((resolve) => globalThis.held.push(resolve));
        return response;
      };
    });
    const until = async (what) => {
      for (const end = Date.now() + WAIT_MS; (await page.evaluate((name) => globalThis[name], what)) === 0; await page.waitForTimeout(50)) expect(Date.now() < end, `nothing ${what}`);
    };
    // The view comes when the connection is there already.
    await page.route("**/assets/map-view-*.js", async (route) => {
      await until("began");
      await route.continue();
    });
    await page.reload();
    await until("answered");
    await county("case", { title: "恰在其间的案卷", lon: middle.lon, lat: middle.lat });
    await until("told");
    await page.evaluate(() => {
      const calls = globalThis.held;
      globalThis.held = null;
      for (const call of calls) call();
    });
    await page.waitForFunction(() => document.querySelector(".map-list-rows")?.innerText.includes("恰在其间的案卷"), undefined, { timeout: 20_000 });
    return window;
  },

  "what moves moves, and is picked where it is": async () => {
    const lorry = { lon: place.west + place.size / 3 + 0.001, lat: place.south + place.size / 7 };
    await county("move", { step: 1 }); // it goes as long as it was silent
    const window = await enter({}, `#/map?list=none&${at(lorry, 16)}`);
    const { page } = window;
    await pick(page, ...(await pixelOf(page, lorry, 16, lorry)), "渣土车1号");
    await page.click("text=显示轨迹");
    await page.waitForSelector("text=/个定位点/");
    await page.keyboard.press("Escape");
    // It goes as long as lay between the two places: so these are told one soon after the other.
    await county("move", { step: 1 });
    await county("move", { step: 3 });
    const there = { ...lorry, lon: place.west + place.size / 3 + 0.003 };
    await page.waitForSelector(".map-panel", { state: "detached" });
    await pick(page, ...(await pixelOf(page, lorry, 16, there)), "渣土车1号");
    return window;
  },

  "what moves is drawn above the map, goes with it, and the map is not drawn for it": async () => {
    const lorry = { lon: place.west + place.size / 3, lat: place.south + place.size / 7 };
    const step = (number) => ({ ...lorry, lon: lorry.lon + 0.001 * number });
    const window = await open();
    const { page } = window;
    await page.addInitScript(() => {
      const held = new Promise((release) => Object.assign(globalThis, { release }));
      const ask = globalThis.fetch;
      globalThis.fetch = async (what, ...rest) => {
        const answer = await ask(what, ...rest);
        if (!String(what.url ?? what).includes("/map/movers")) return answer;
        globalThis.answered = true;
        await held;
        return answer;
      };
      globalThis.frames = { "map-movers": new Set(), "maplibregl-canvas": new Set() };
      for (const name of ["drawArrays", "drawElements"]) {
        const before = WebGL2RenderingContext.prototype[name];
        WebGL2RenderingContext.prototype[name] = function (...rest) {
          globalThis.frames[this.canvas.className].add(document.timeline.currentTime);
          return before.apply(this, rest);
        };
      }
    });
    await county("move", { step: 4 });
    await enter({ window }, `#/map?list=none&${at(lorry, 15)}`);
    await page.waitForFunction(() => globalThis.answered && document.querySelector(".liveness.live") !== null);
    await county("move", { step: 5 });
    await page.waitForTimeout(2000);
    await page.evaluate(() => globalThis.release());
    const colour = await page.evaluate(() => {
      const part = document.body.appendChild(document.createElement("i"));
      part.style.color = "var(--mover)";
      const found = getComputedStyle(part).color.match(/\d+/g).join();
      part.remove();
      return found;
    });
    const shown = async (from, to, what) => coloured(page, ...(await pixelOf(page, from, 15, to)), [[0, 0, colour]], what);
    await shown(lorry, step(5), "the lorry that went on while it was asked for");
    await page.focus(".maplibregl-canvas");
    await page.keyboard.press("Shift+ArrowRight");
    await page.keyboard.press("Shift+ArrowUp");
    await shown(lorry, step(5), "the lorry of a map that does not turn");
    await page.keyboard.press("ArrowRight");
    const moved = { ...lorry, lon: lorry.lon + (100 * 360) / (512 * 2 ** 15) };
    await shown(moved, step(5), "the lorry of a map that has moved");
    await page.evaluate(() => {
      const lose = document.querySelector(".map-movers").getContext("webgl2").getExtension("WEBGL_lose_context");
      lose.loseContext();
      setTimeout(() => lose.restoreContext(), 200);
    });
    await page.waitForTimeout(500);
    await shown(moved, step(5), "the lorry after a graphics card was lost");
    // It is on its way as long as it was silent.
    await page.evaluate(() => Object.values(globalThis.frames).forEach((of) => of.clear()));
    await county("move", { step: 8 });
    await shown(moved, step(8), "the lorry when it is there");
    const [own, below] = await page.evaluate(() => Object.values(globalThis.frames).map((of) => of.size));
    expect(own > 5 && own > 2 * below, `of ${own} frames with what moves the map is drawn in ${below}`);
    await page.click("label:has-text('人员车辆（移动）')");
    const [gone] = await coloursAround(page, ...(await pixelOf(page, moved, 15, step(8))), [[0, 0]]);
    expect(gone !== colour, "what moves is switched off, and there");
    return window;
  },

  "a base map lies under the devices where they are, is chosen, kept, refused, and may be away": async () => {
    const [grey, red] = ["200,200,200", "220,0,0"];
    const window = await enter({ forgiven: ["503"] }, `#/map?list=none&off=grid&${at(middle, 16)}`);
    const { page } = window;
    await page.waitForSelector("[data-testid=base]");
    const [x, y] = await pixelOf(page, middle, 16, middle);
    expect((await page.locator("[data-testid=base-credit]").count()) === 0, "there is a base map that nobody chose");
    const [ground] = await coloursAround(page, x, y, [[40, 40]]);
    expect(ground !== grey, "the ground is grey without a base map");
    await page.check("[data-testid=base] [value=plan]");
    // A metre is a pixel here: the edges of the square tell where it lies, to two of them.
    const square = [-1, 1].flatMap((east) => [-1, 1].flatMap((south) => [[18, 18, red], [22, 18, grey], [18, 22, grey]].map(([dx, dy, wanted]) => [east * dx, south * dy, wanted])));
    await coloured(page, x, y, square, "the square around the monitor");
    const credit = await text(page, "[data-testid=base-credit]");
    expect(credit.includes("审图号 GS(2024)0568号") && credit.includes("未经控制点核对"), credit);
    await page.mouse.move(x, y);
    await page.waitForFunction(({ lon, lat }) => {
      const [east, north] = document.querySelector(".map-credit .place").textContent.split(", ").map(Number);
      return Math.abs(east - lon) < 3e-5 && Math.abs(north - lat) < 3e-5;
    }, middle);
    await pick(page, x, y, "工地扬尘监测仪1号");
    await page.keyboard.press("Escape");
    expect(await page.isDisabled("[data-testid=base] [value=shifted]"), "a shifted map can be chosen");
    expect((await page.getAttribute("[data-testid=base] label:has([value=shifted])", "title")).includes("GCJ-02"), "it does not say why");
    await check(page, "a base map");
    await shot(page, "base");
    expect((await page.evaluate(() => location.hash)).includes("base=plan"), "it is not in the address");
    // Kept by the browser for addresses that say nothing; an address that says something wins.
    await page.goto(`${BASE}/#/map?list=none&off=grid&${at(middle, 16)}`);
    await page.reload();
    await page.waitForSelector("[data-testid=base-credit]");
    await page.goto(`${BASE}/#/map?list=none&off=grid&base=none&${at(middle, 16)}`);
    await page.waitForSelector("[data-testid=base-credit]", { state: "detached" });
    await coloured(page, x, y, [[40, 40, ground]], "no base map");
    await page.check("[data-testid=base] [value=plan]");
    await coloured(page, x, y, [[40, 40, grey]], "again");
    // Its source is away: the map goes on, and says so.
    await county("source_away", { away: true });
    await page.evaluate((place) => (location.hash = location.hash.replace(/at=[^&]*/, place)), at({ lon: middle.lon + 0.5, lat: middle.lat }, 16));
    await page.waitForSelector("[data-testid=base-away]");
    await page.evaluate((place) => (location.hash = location.hash.replace(/at=[^&]*/, place)), at(middle, 16));
    await coloured(page, x, y, [[40, 40, grey]], "what is there stays");
    await county("source_away", { away: false });
    return window;
  },

  "search finds, and goes there by keys": async () => {
    const window = await enter();
    const { page } = window;
    await page.fill("[role=combobox]", "扬尘监测");
    await page.waitForSelector("[role=option]");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector(".map-panel h2")?.innerText === "工地扬尘监测仪1号");
    // Away and back at once: what was put away when the focus went does not close what is typed since.
    await page.evaluate(() => document.activeElement.blur());
    await page.fill("[role=combobox]", "没有这样的东西");
    await page.waitForSelector("text=没有找到");
    return window;
  },

  "keys alone lead from the login to a device and back": async () => {
    const window = await open();
    const { page } = window;
    await page.goto(`${BASE}/`);
    await page.waitForFunction(() => document.activeElement?.name === "login");
    await page.keyboard.type(PAGE_LOGIN);
    await page.keyboard.press("Tab");
    await page.keyboard.type(PAGE_PASSWORD);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".map-list tbody tr");
    await page.keyboard.press("Tab");
    expect((await page.evaluate(() => document.activeElement.innerText)) === "跳到内容", "the first stop is not the way past the navigation");
    await page.keyboard.press("Enter");
    expect((await page.evaluate(() => document.activeElement.id)) === "content", "it does not lead to the content");
    for (let stops = 0; (await page.evaluate(() => document.activeElement.closest("tbody tr[data-opens]"))) === null; stops++) {
      expect(stops < 60, "Tab does not reach the list");
      await page.keyboard.press("Tab");
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      expect(outline !== "none", `no focus is seen at ${await page.evaluate(() => document.activeElement.outerHTML.slice(0, 200))}`);
    }
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".map-panel h2");
    await page.keyboard.press("Escape");
    await page.waitForSelector(".map-panel", { state: "detached" });
    return window;
  },

  "an area is drawn, by clicks and by keys: what is inside as counts and lists, the same as the API's, and by its address": async () => {
    const window = await enter({}, `#/map?${at(middle, 11)}`);
    const { page } = window;
    await page.click("[data-testid=area-draw]");
    const corners = [
      [0.08, 0.02],
      [0.52, 0.02],
      [0.52, 0.9],
      [0.08, 0.9],
    ].map(([x, y]) => ({ lon: place.west + place.size * x, lat: place.south + place.size * y }));
    await page.waitForSelector(".map-cross");
    for (const corner of corners) await page.mouse.click(...(await pixelOf(page, middle, 11, corner)));
    await page.waitForFunction(() => document.querySelector(".map-area")?.innerText.includes("角点 4 个"));
    await page.keyboard.press("Backspace");
    await page.waitForFunction(() => document.querySelector(".map-area")?.innerText.includes("角点 3 个"));
    await page.mouse.click(...(await pixelOf(page, middle, 11, corners[3])));
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => /area=[\d.]+/.test(decodeURIComponent(location.hash)));
    const drawn = await page.evaluate(() => new URLSearchParams(location.hash.split("?")[1]).get("area"));
    const counted = async (target) => {
      await target.waitForFunction(() => document.querySelectorAll("[data-testid=area-counts] strong").length === 3 && ![...document.querySelectorAll("[data-testid=area-counts] strong")].some((one) => one.innerText === "–"));
      return target.evaluate(() => Object.fromEntries([...document.querySelectorAll("[data-testid=area-counts] button")].map((one) => [one.dataset.kind, Number(one.querySelector("strong").innerText)])));
    };
    const counts = await counted(page);
    const wanted = await page.evaluate(async (area) => {
      const of = async (path, member) => (await (await fetch(`/api/v1/${path}&limit=1000&area=${area}`)).json())[member];
      return { devices: await of("devices?after=0", "devices"), alarm: (await of("alarms?open=true", "alarms")).length, case: (await of("cases?is=open", "cases")).length };
    }, drawn);
    const [west, east] = [corners[0].lon, corners[1].lon];
    expect(wanted.devices.length >= 20 && wanted.devices.length < facts.devices && wanted.devices.every((device) => device.lon >= west - 1e-3 && device.lon <= east + 1e-3), `the API gives others: ${JSON.stringify([drawn, west, east, wanted.devices.map((device) => [device.code, device.lon, device.lat])])}`);
    expect(counts.device === wanted.devices.length && counts.case === wanted.case && counts.alarm === wanted.alarm, JSON.stringify([counts, wanted.devices.length, wanted.case, wanted.alarm]));
    await page.click("[data-testid=area-counts] [data-kind=case]");
    await page.waitForFunction((count) => document.querySelectorAll(".map-list tbody tr").length === count, counts.case);
    await page.click("[data-testid=area-counts] [data-kind=device]");
    await page.waitForFunction((count) => document.querySelectorAll(".map-list tbody tr").length === count, counts.device);
    await check(page, "an area");
    await shot(page, "map-area");
    const other = await enter({}, await page.evaluate(() => location.hash));
    expect(JSON.stringify(await counted(other.page)) === JSON.stringify(counts), "the link shows others");
    await other.context.close();

    // By keys: a triangle around the cross.
    await page.click("[data-testid=area-draw]");
    for (const way of ["ArrowLeft", "ArrowUp", "ArrowRight"]) {
      const before = await page.evaluate(() => location.hash);
      await page.keyboard.press(way);
      await page.waitForFunction((hash) => location.hash !== hash, before);
      await page.keyboard.press(" ");
    }
    await page.waitForFunction(() => document.querySelector(".map-area")?.innerText.includes("角点 3 个"));
    await shot(page, "map-area-drawing");
    await page.keyboard.press("Escape");
    await page.waitForSelector("[data-testid=area-counts]");
    await page.click("text=清除区域");
    await page.waitForFunction(() => !location.hash.includes("area=") && document.querySelector("[data-testid=area-counts]") === null);
    return window;
  },

  "the county at a past minute: values, cases, charts of then; it plays up to now; the address leads there": async () => {
    const window = await enter({ forgiven: ["404"] }, `#/map/device/${facts.ids.D1}?list=case&inview=false&${at(middle, 12)}`);
    const { page } = window;
    const tiles = { now: 0, then: 0 };
    window.context.on("request", (request) => request.url().includes(".mvt") && tiles[request.url().includes("?at=") ? "then" : "now"]++);
    const panelHas = (value, over) => page.waitForFunction(([text, gone]) => {
      const cells = document.querySelector(".map-panel .readings")?.innerText ?? "";
      return cells.includes(text) && !cells.includes(gone);
    }, [value, over]);
    await county("report", { pm25_ug_m3: 41.25 });
    await panelHas("41.25", "88.75");
    const before = await page.evaluate(async () => (await (await fetch("/api/v1/cases?is=open&limit=1000")).json()).cases.map((one) => one.case));
    const then = await page.evaluate(() => new Date().toISOString());
    await county("report", { pm25_ug_m3: 88.75 });
    await county("case", { title: "后来才有的案卷", lon: middle.lon, lat: middle.lat });
    await panelHas("88.75", "41.25");
    await page.waitForFunction(() => document.querySelector(".map-list-rows").innerText.includes("后来才有的案卷"));
    await page.click("[data-testid=time-open]");
    await page.waitForSelector("[data-testid=time-shown]");
    await check(page, "an hour ago");

    await page.evaluate((time) => (location.hash = location.hash.replace(/time=[^&]*/, `time=${time}`)), then);
    await panelHas("41.25", "88.75");
    await page.waitForFunction((count) => document.querySelectorAll(".map-list tbody tr").length === count, before.length);
    expect(!(await page.innerText(".map-list-rows")).includes("后来才有的案卷"), "the list has what came later");
    expect(tiles.then > 0, `tiles of the past were not asked for: ${JSON.stringify(tiles)}`);
    await county("report", { pm25_ug_m3: 91.5 });
    await page.waitForFunction(async () => (await (await fetch(`/api/v1/devices/${location.hash.match(/device.(\d+)/)[1]}`)).text()).includes("91.5"));
    await panelHas("41.25", "91.5");
    expect((await page.innerText(".liveness")).includes("回看"), "the past is called live");
    await check(page, "a moment");
    await shot(page, "map-past");
    const other = await enter({}, await page.evaluate(() => location.hash));
    await other.page.waitForFunction(() => (document.querySelector(".map-panel .readings")?.innerText ?? "").includes("41.25"));
    await other.context.close();

    await page.selectOption("[aria-label=播放速度]", "600");
    await page.click("[data-testid=time-play]");
    await page.waitForSelector("[data-testid=time-open]"); // now is reached
    await panelHas("91.5", "41.25");
    await page.waitForFunction(() => document.querySelector(".map-list-rows").innerText.includes("后来才有的案卷"));
    return window;
  },

  "what changes the address in one moment counts all of it": async () => {
    const window = await enter({}, `#/map/device/${facts.ids.D1}`);
    const { page } = window;
    await page.waitForSelector(".map-panel h2");
    // The panel is closed and a subsystem chosen before the browser tells anybody that the address has changed.
    await page.evaluate(() => {
      document.querySelector(".map-panel-close").click();
      [...document.querySelectorAll(".subsystems tbody tr")].find((row) => row.innerText.includes("智慧路灯")).querySelector("button").click();
    });
    await page.waitForFunction(() => location.hash.includes("subsystem=streetlight"));
    await page.waitForSelector(".map-panel", { state: "detached" });
    expect(!(await page.evaluate(() => location.hash)).includes("device/"), "the panel's address is back");
    return window;
  },

  "a session that is over asks again, and nothing is lost": async () => {
    const window = await enter({ forgiven: ["401"] });
    const { page } = window;
    await page.fill("[role=combobox]", "这是正在写的");
    await county("end_sessions");
    // Whatever asks next: a list that is read anew, a count, a tile, the stream.
    await page.waitForSelector("dialog[open]");
    expect((await page.evaluate(() => document.activeElement.name)) === "password", "the password is not what is asked for");
    await check(page, "the login above the view");
    await shot(page, "login-again");
    await page.keyboard.press("Escape");
    await page.fill("dialog [name=password]", PAGE_PASSWORD);
    await page.keyboard.press("Enter");
    await page.waitForSelector("dialog", { state: "detached" });
    expect((await page.inputValue("[role=combobox]")) === "这是正在写的", "what was typed is gone");
    await page.waitForFunction(() => document.querySelector(".liveness.live") && document.querySelector(".map-list tbody tr"));
    expect((await page.locator(".failed").count()) === 0, "a refusal is still there");
    return window;
  },

  "a hub that goes and comes back: the page says so, and goes on": async () => {
    const window = await enter({ forgiven: ["net::", "503", "Failed to fetch", "AJAXError"] }, `#/map?list=case&${at(middle, 13)}`);
    const { page } = window;
    await page.waitForFunction(() => document.querySelector(".liveness.live"));
    // The map is there, its worker too: what of it is fetched while the hub is away is another matter.
    await pick(page, ...(await pixelOf(page, middle, 13, lamp)), "单灯13");
    await page.keyboard.press("Escape");
    await page.waitForSelector(".map-panel", { state: "detached" });
    await county("stop");
    await page.waitForSelector(".liveness.late");
    await county("start");
    await page.waitForSelector(".liveness.live");
    await county("case", { title: "恢复之后的案卷", lon: middle.lon, lat: middle.lat });
    await page.waitForFunction(() => document.querySelector(".map-list-rows").innerText.includes("恢复之后的案卷"));
    return window;
  },

  "a graphics card that is lost comes back": async () => {
    const window = await enter({ forgiven: ["context", "maxCanvasSize"] }, `#/map?list=none&${at(middle, 13)}`);
    const { page } = window;
    await pick(page, ...(await pixelOf(page, middle, 13, lamp)), "单灯13");
    await page.keyboard.press("Escape");
    await page.waitForSelector(".map-panel", { state: "detached" });
    await page.evaluate(() => {
      const lose = document.querySelector(".maplibregl-canvas").getContext("webgl2").getExtension("WEBGL_lose_context");
      lose.loseContext();
      setTimeout(() => lose.restoreContext(), 200);
    });
    await page.waitForSelector(".map-lost");
    await page.waitForSelector(".map-lost", { state: "detached" });
    await pick(page, ...(await pixelOf(page, middle, 13, lamp)), "单灯13");
    return window;
  },

  "a wide wall has the map between its scenes: the same numbers, the base map, a click opens what is there": async () => {
    const window = await enter({ size: "wall" }, `#/wall?theme=light&base=plan&${at(middle, 16)}`);
    const { page } = window;
    const [x, y] = await pixelOf(page, middle, 16, middle);
    await coloured(page, x, y, [[18, 18, "220,0,0"], [22, 22, "200,200,200"]], "the square around the monitor");
    expect((await text(page, "[data-testid=base-credit]")).includes("审图号 GS(2024)0568号"), "the base map's approval number is not shown");
    const [left, map, right] = await page.evaluate(() => [...document.querySelectorAll(".wall-scenes > *")].map((part) => part.getBoundingClientRect().x));
    expect(left < map && map < right && x > map && x < right, "the map is not between the scenes");
    await page.waitForSelector(".tile-devices [data-number]");
    await check(page, "a wall with a map");
    await shot(page, "wall-map");
    const away = Number(await page.getAttribute(".tile-devices [data-number]", "data-number"));
    await pick(page, x, y, "工地扬尘监测仪1号");
    await page.waitForFunction((away) => Number(document.querySelector(".subsystems tbody tr td:nth-child(3) a")?.dataset.number) === away, away);
    return window;
  },
  "without WebGL a wide wall is its scenes alone": async () => {
    const window = await enter({ webgl: false, size: "wall" }, "#/wall");
    const { page } = window;
    await page.waitForFunction(() => performance.getEntriesByType("resource").some(({ name }) => name.includes("map-view")) && document.querySelector(".wall.two:not(.with-map)") !== null);
    await page.waitForSelector(".tile-devices [data-number]");
    expect((await page.locator(".wall-scene").count()) === 2 && (await page.locator(".tile-map").count()) === 0, "the scenes are not there alone");
    return window;
  },

  "cells are coloured by each indicator, and the legend says of what": async () => {
    await county("alarm");
    await county("patrol");
    const cell = { lon: place.west + place.size * 0.5, lat: place.south + place.size * 0.9 };
    const window = await enter({ login: "wang.wu" }, `#/map?list=none&off=device,alarm,case&${at(cell, 15)}`);
    const { page } = window;
    await page.route("**/api/v1/assessments/*", (route) => route.fulfill({ json: { rows: [{ department: "huanwei", total: 62.5 }, { department: "chengguan", total: null }] } }));
    await page.waitForSelector("[data-testid=map] canvas");
    const [x, y] = await pixelOf(page, cell, 15, cell);
    // Of two cells that meet there: what is counted is in one of them.
    const cells = () => coloursAround(page, x, y, [[-20, 20], [20, 20]]);
    await page.waitForTimeout(1000);
    const plain = await cells();
    for (const [shade, words] of [["alarms", /每格件数：1 – [1-9]/], ["rounds", /巡查到 1 格，共 4 格/], ["score", /得分：62.5 – 62.5/], ["open", /每格件数/]]) {
      await page.evaluate((wanted) => (location.hash = `${location.hash.replace(/&shade=\w+/, "")}&shade=${wanted}`), shade);
      await page.waitForFunction((wanted) => new RegExp(wanted).test(document.querySelector(".shade-legend")?.innerText ?? ""), words.source);
      for (const until = Date.now() + WAIT_MS; ; ) {
        const now = await cells();
        if (now.some((colour, side) => colour !== plain[side])) break;
        expect(Date.now() < until, `${shade}: the cells have the ground's colours ${plain}`);
        await page.waitForTimeout(200);
      }
      await shot(page, `map-shade-${shade}`);
    }
    return window;
  },

  "without WebGL all but the map works": async () => {
    const window = await enter({ webgl: false }, "#/map?subsystem=dust");
    const { page } = window;
    await page.waitForSelector("text=没有 WebGL 2");
    await page.click(".map-list tbody tr");
    await page.waitForSelector(".map-panel h2");
    await check(page, "without WebGL");
    return window;
  },
};

const LOOKS = [
  ["office", "zh", "dark"],
  ["wall", "en", "light"],
  ["phone", "zh", "light"],
];
const MAP_LOOKS = [
  ["office", "zh", "dark"],
  ["office", "en", "light"],
  ["wall", "zh", "light"],
  ["wall", "en", "dark"],
  ["phone", "zh", "light"],
];

/** A test for each screen, language and colours in which something is looked at. */
const looked = (what, look, looks = LOOKS) => Object.fromEntries(looks.map(([size, language, theme]) => [`${what} at ${SIZES[size].join("x")}, ${language}, ${theme}`, () => look({ size, language, theme })]));

const mapLooked = async ({ size, language, theme }) => {
  const window = await enter({ size, language, theme }, `#/map/device/${facts.ids.D1}?shade=open`);
  const { page } = window;
  await page.waitForSelector(".readings tbody tr");
  await page.waitForSelector(".map-list tbody tr");
  await page.waitForSelector(".shade-legend");
  expect((await page.evaluate(() => document.documentElement.lang)) === (language === "en" ? "en" : "zh-CN"), "the language is not said");
  const head = await text(page, ".map-list-head");
  expect(head.includes(language === "en" ? "Devices" : "设备"), head);
  await check(page, "the map");
  await shot(page, `map-${size}-${language}-${theme}`);
  return window;
};

Object.assign(tests, looked("the map", mapLooked, MAP_LOOKS), manageTests({ enter, county, expect, check, shot, text, open, BASE }), deskTests({ enter, county, expect, check, shot, text, middle, looked }), numberTests({ enter, county, expect, check, shot, place }), orderTests({ enter, county, expect, check, shot, text, looked }), terminalTests({ enter, county, expect, check, shot, text, looked }), wordTests({ enter, county, expect, check, shot, text, BASE }));

// ---- all of them, or those that were asked for ----

const pattern = new RegExp(process.argv[2] ?? ".");
let passed = 0;
let failed = 0;
for (const [name, run] of Object.entries(tests).filter(([name]) => pattern.test(name))) {
  const started = Date.now();
  try {
    const { faults, context } = await run();
    if (faults.length > 0) throw new Error(faults.join("\n"));
    await context.close();
    passed++;
    console.log(`passed: ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    const file = `failed-${failed}`;
    for (const context of browser.contexts()) {
      for (const page of context.pages()) await shot(page, file).catch(() => undefined);
      await context.close();
    }
    console.log(`failed: ${name}: ${error.message}\n    (${file}.png)`);
  }
}
await county("counts", { passed, failed });
await browser.close();
process.exit(0);
