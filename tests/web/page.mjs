// page.mjs [PATTERN]: the page as people use it, in Debian's Chromium, under a host name of a county's network. Run by `run`, which answers to
// the lines that begin with @. In every test these are failures: an error in the console, a violation of the Content Security Policy, a request to
// anywhere but the hub.
import { createRequire } from "node:module";
import { deskTests } from "./desk.mjs";
import { BASE, browser, county } from "./drive.mjs";
import { manageTests } from "./manage.mjs";
import { mapTests } from "./map.mjs";
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

  "a long list says how many it has, and read anew for something new it has no fewer": async () => {
    const window = await enter({}, "#/map?list=case&inview=false");
    const { page } = window;
    for (let number = 0; number < 10; number++) await county("reported", { title: `一长列的案卷${number}` });
    const count = async (least) => {
      const told = await page.waitForFunction((wanted) => Number(/共 (\d+) 条/.exec(document.querySelector(".map-list").innerText)?.[1]) >= wanted && document.querySelectorAll(".map-list tbody tr").length, least);
      return told.jsonValue();
    };
    const many = await count(17);
    await page.evaluate(() => {
      globalThis.fewest = Infinity;
      new MutationObserver(() => (globalThis.fewest = Math.min(globalThis.fewest, document.querySelectorAll(".map-list tbody tr").length))).observe(document.querySelector(".map-list"), { subtree: true, childList: true, characterData: true });
    });
    await county("reported", { title: "一长列的又一件" });
    await count(many + 1);
    const fewest = await page.evaluate(() => globalThis.fewest);
    expect(fewest >= many, `of ${many} rows ${fewest} were left while the list was read anew`);
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

Object.assign(tests, looked("the map", mapLooked, MAP_LOOKS), mapTests({ open, enter, county, expect, check, shot, text, place, middle, lamp, at, WAIT_MS, pixelOf, pick, BASE }), manageTests({ enter, county, expect, check, shot, text, open, BASE }), deskTests({ enter, county, expect, check, shot, text, middle, looked }), numberTests({ enter, county, expect, check, shot, place }), orderTests({ enter, county, expect, check, shot, text, looked }), terminalTests({ enter, county, expect, check, shot, text, looked }), wordTests({ enter, county, expect, check, shot, text, BASE }));

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
