// The map as a picture: what moves, base maps, colours, a wide wall. page.mjs runs these with its own.

/** The tests, by name; `tools` are page.mjs's. */
export function mapTests({ open, enter, county, expect, check, shot, text, place, middle, lamp, at, WAIT_MS, pixelOf, pick, BASE }) {
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

  return {
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
  };
}
