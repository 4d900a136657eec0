// What the page says: of the hub in its own language, of one thing and of many, on a phone without anything cut. page.mjs runs these with its own.

/** The tests, by name; `tools` are page.mjs's. */
export function wordTests({ enter, county, expect, check, shot, text, BASE }) {
  const CENTRE = { login: "wang.wu" };
  const SENTENCE = /[A-Za-z]{2,}( [a-z]{2,}){3}/;

  /** What the status is to be beyond what it is. */
  const status = (page, more) =>
    page.route("**/api/v1/status", async (route) => {
      const response = await route.fetch({ url: route.request().url().replace(new URL(BASE).hostname, "127.0.0.1") });
      await route.fulfill({ response, json: { ...(await response.json()), ...more } });
    });

  return {
    "the hub's warnings are in the page's language, whichever there are, and its last problem is there": async () => {
      const window = await enter(CENTRE, "#/desk");
      const { page } = window;
      // The database's own sentences.
      const warnings = await county("warnings");
      for (const name of ["calendar", "terminal_keys", "database_settings"]) expect(SENTENCE.test(warnings[name]), `${name}: ${warnings[name]}`);
      await status(page, { ...warnings, last_problem: { at: "2026-11-27T00:00:12Z", text: "postgres: gone <b>" }, ready: false, why: "lane hub-dust-1 is not connected to the broker", why_zh: "通道 hub-dust-1 没有连上消息服务器" });
      await page.evaluate(() => (location.hash = "#/operate"));
      await page.waitForSelector("[data-warning]");
      const said = await page.locator("[data-warning]").allInnerTexts();
      expect(said.length === 3, said.join("\n"));
      for (const sentence of [...said, await text(page, ".operate p")]) expect(!SENTENCE.test(sentence.replace(/cityhub [-a-z_ ]+/g, "")), sentence);
      expect((await text(page, ".operate p")).includes("通道 hub-dust-1 没有连上消息服务器"), await text(page, ".operate p"));
      const last = await text(page, "[data-problem]");
      expect(last.includes("2026-11-27 08:00:12") && last.includes("postgres: gone <b>"), last);
      await check(page, "warnings");
      await shot(page, "operate-warnings");
      return window;
    },

    "one is one, and two are two": async () => {
      const window = await enter({ ...CENTRE, language: "en" }, "#/desk");
      const { page } = window;
      const lost = (times) => ({ database: { connected: true, losses: times, writer_queue: 0 } });
      await status(page, lost(1));
      await page.evaluate(() => (location.hash = "#/operate"));
      await page.waitForFunction(() => document.querySelector(".operate-facts")?.innerText.includes("Lost 1 time)"));
      await page.unroute("**/api/v1/status");
      await status(page, lost(2));
      await page.waitForFunction(() => document.querySelector(".operate-facts")?.innerText.includes("Lost 2 times)"));
      return window;
    },

    "limits have units, and English no Chinese commas": async () => {
      const window = await enter({ ...CENTRE, language: "en" }, "#/operate/rules?subsystem=dust");
      const { page } = window;
      await page.waitForFunction(() => document.querySelectorAll(".operate tbody tr").length > 3);
      const limits = await page.locator(".operate tbody td:nth-child(3)").allInnerTexts();
      expect(limits.some((limit) => /^above [\d,.]+ µg\/m³, ends at [\d,.]+ µg\/m³/.test(limit)), limits.join("\n"));
      expect(!limits.some((limit) => /[\u3000-\u303f\uff00-\uffef]/.test(limit)), limits.join("\n"));
      return window;
    },

    "a name with markup, quotes, right-to-left letters and emoji is text in every view": async () => {
      for (const what of ["alarm", "misplaced", "platform_above", "blamed", "orders", "counties", "terminals", "patrol"]) await county(what);
      const window = await enter(CENTRE, "#/desk");
      const { page } = window;
      const { bad_name: bad, ids } = await county("facts");
      const named = /(_zh|^name|title|address|text|company|requirement|content|words|example|reason|^said|role|plate|person_name|advice|why|source|evidence|author|first_frame)$/;
      const spoil = (value, key = "") => {
        if (Array.isArray(value)) return value.map((one) => spoil(one, key));
        if (value !== null && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, spoil(one, name)]));
        return typeof value === "string" && value !== "" && named.test(key) ? bad : value;
      };
      await page.route("**/api/v1/**", async (route) => {
        if (route.request().method() !== "GET" || /stream|tiles/.test(route.request().url())) return route.continue();
        const response = await route.fetch({ url: route.request().url().replace(new URL(BASE).hostname, "127.0.0.1") });
        return /json/.test(response.headers()["content-type"] ?? "") && response.ok() ? route.fulfill({ response, json: spoil(await response.json()) }) : route.fulfill({ response });
      });
      await page.reload();
      await page.waitForSelector("main#content");
      const [number, order, terminal] = await page.evaluate(async () => {
        const first = async (path, member) => (await (await fetch(`/api/v1/${path}`)).json())[member][0];
        return [(await first("cases?limit=1", "cases")).case, (await first("orders?limit=1", "orders")).order, (await first("terminals?limit=1", "terminals")).id];
      });
      let shown = 0;
      for (const address of ["map", `map/device/${ids.D1}`, "map?list=alarm", "map?list=case&shade=score", "desk?queue=all", `desk/${number}?queue=all`, "orders", `orders/${order}`, "scores", "scores/compare", "scores/statistics?by=department", "scores/status", "scores/department/huanwei",
        "work", "work/process", "work/standards", "work/performance?by=person", "terminals", `terminals/${terminal}`, "terminals/callers", "operate", "operate/vendors", "operate/quarantine", "operate/upstream", "operate/users", "operate/rules", "unplaced", "counties", "wall?scene=county", "wall?scene=cases", "wall?scene=work"]) {
        await page.evaluate((wanted) => (location.hash = `#/${wanted}`), address);
        await page.waitForTimeout(700);
        const { made, says } = await page.evaluate((name) => ({ made: document.querySelectorAll("img[src=x], [onerror]").length, says: document.body.innerText.includes(name.slice(0, 20)) }), bad);
        expect(made === 0, `${address}: a name became markup`);
        shown += says ? 1 : 0;
      }
      expect(shown >= 25, `only ${shown} views have the name`);
      return window;
    },

    "figures on the wall say of what they are": async () => {
      const window = await enter({ ...CENTRE, size: "wall" }, "#/wall?scene=cases");
      const { page } = window;
      for (const [tile, unit] of [["pulse", "案卷（件）"], ["trend", "案卷趋势（件）"], ["stages", "未办结：状态（件）"], ["devices", "台"]]) {
        await page.waitForFunction(([key, words]) => document.querySelector(`.tile-${key}`)?.innerText.replace(/\s/g, "").includes(words), [tile, unit]);
      }
      return window;
    },

    "an alarm says its limit, its end and who said what": async () => {
      const window = await enter(CENTRE, "#/desk");
      const { page } = window;
      const { id } = await county("alarm_ended");
      await page.evaluate((number) => (location.hash = `#/map/alarm/${number}`), id);
      await page.waitForSelector(".map-panel .facts");
      const panel = await text(page, ".map-panel");
      for (const words of ["重要", "180 µg/m³", "限值（µg/m³）", "依据", "假定", "高于 150，恢复值 115，持续 3600 秒", "已恢复", "已派人查看", "王五的同事"]) expect(panel.includes(words), `${words}: ${panel}`);
      expect(!panel.includes("从未"), panel);
      return window;
    },

    "a list that has nothing says why, and an order names the program that sent it as one": async () => {
      const window = await enter(CENTRE, "#/orders");
      const { page } = window;
      await page.waitForFunction(() => /还没有工单|共 \d+ 条/.test(document.querySelector("main").innerText));
      await county("orders");
      await county("order_sent", { title: "程序送来的" });
      await page.evaluate(() => (location.hash = "#/orders?state=received"));
      await page.click(".orders tbody a:has-text('程序送来的')");
      await page.waitForFunction(() => document.querySelector("main").innerText.includes("程序 hotline-platform"));
      expect(!(await text(page, "main")).includes("token:"), await text(page, "main"));
      return window;
    },

    "work that is not done is not in time": async () => {
      const window = await enter(CENTRE, "#/desk");
      const { page } = window;
      await county("work_later");
      await page.evaluate(() => (location.hash = "#/work/process"));
      await page.waitForSelector(".work tbody tr");
      const rows = (await page.locator(".work tbody tr").allInnerTexts()).map((row) => row.replaceAll("\n", " "));
      const later = rows.find((row) => row.includes("明天的洒水"));
      expect(later?.includes("未到期") && !later.includes("按时") && !later.includes("– –"), rows.join("\n"));
      expect(!rows.some((row) => row.includes("按时") && !row.includes("完成")), rows.join("\n"));
      return window;
    },

    "nothing is cut or broken on a phone: rows of many columns are cards": async () => {
      const window = await enter({ ...CENTRE, size: "phone", language: "en" }, "#/operate");
      const { page } = window;
      for (const [place, ready] of [["operate", ".operate tbody tr"], ["operate/vendors", ".operate tbody tr"], ["operate/rules", ".operate tbody tr"], ["operate/imports", ".operate tbody tr"],
        ["work", ".work"], ["work/process", ".work tbody tr"], ["work/standards", ".work tbody tr"], ["work/performance", ".work tbody tr"], ["scores", ".scores"]]) {
        await page.evaluate((hash) => (location.hash = `#/${hash}`), place);
        await page.waitForSelector(ready);
        await check(page, place);
        const seen = await page.evaluate(() => ((box) => box.left >= 0 && box.right <= innerWidth)(document.querySelector("header nav [aria-current]").getBoundingClientRect()));
        expect(seen, `${place}: the navigation does not show where one is`);
      }
      await page.evaluate(() => (location.hash = "#/work/process"));
      await page.waitForSelector(".work tbody td");
      const shown = await page.evaluate(() => {
        const cell = document.querySelector('.work tbody td[data-title="Status"]');
        return { name: getComputedStyle(cell, "::before").content, lines: cell.getClientRects().length, seen: getComputedStyle(document.querySelector(".work tbody td.wide")).display };
      });
      expect(shown.name === '"Status"' && shown.seen === "none", JSON.stringify(shown));
      await shot(page, "work-phone");
      return window;
    },
  };
}
