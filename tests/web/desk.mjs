// What must hold of the case desk, the scores, the wall and the operators' view. page.mjs runs these with its own; they change cases, hence last.

/** The tests, by name; `tools` are page.mjs's. */
export function deskTests({ enter, county, expect, check, shot, text, middle, looked }) {
  const CENTRE = { login: "wang.wu" };
  /** How many go all the way. */
  const CASES = 20;
  const UNIT = { login: "sun.qi", size: "phone" };

  const stateIs = (page, state) => page.waitForFunction((wanted) => document.querySelector(".desk-state")?.innerText === wanted, state);
  const acting = (page) => page.waitForSelector(".desk-actions button:not(:disabled)");
  const rows = (page) => page.locator(".desk-list tbody tr").count();
  /** The digit of an action as it stands on the screen. */
  const digit = async (page, action) => (await page.locator(`[data-action=${action}] kbd`).innerText()).trim();

  /** As somebody who only presses keys and reads the screen; how many were pressed. */
  async function press(page, action, ...more) {
    await acting(page);
    const keys = [await digit(page, action), ...more, "Enter"];
    for (const key of keys) await page.keyboard.press(key);
    return keys.length;
  }

  /** How many cases the list says that there are, once all of it is there. */
  async function listed(page) {
    await page.waitForFunction(() => /共 \d+ 条|没有符合条件|队列已清空/.test(document.querySelector(".desk-list")?.innerText ?? ""));
    return Number(/共 (\d+) 条/.exec(await text(page, ".desk-list"))?.[1] ?? 0);
  }

  return {
    "a moment goes along: the desk as it was, a case that cannot be acted on, people and work of then, back to now": async () => {
      const window = await enter(CENTRE, "#/desk?queue=all&order=newest");
      const { page } = window;
      const before = await listed(page);
      const asked = { people: 0, cases: 0, counts: 0, attendance: 0 };
      window.context.on("request", (request) => {
        const [path, query] = request.url().split("/api/v1/")[1]?.split("?") ?? [];
        if (path === "attendance") asked.attendance++;
        if (!query?.includes("at=")) return;
        if (path === "people") asked.people++;
        else if (path === "cases") asked.cases++;
        else if (path === "cases/statistics") asked.counts++;
      });
      const then = await page.evaluate(() => new Date().toISOString());
      await county("case", { title: "时刻之后的案卷", lon: middle.lon, lat: middle.lat });
      await page.waitForFunction(() => document.querySelector(".desk-list").innerText.includes("时刻之后的案卷"));
      await page.click("[data-testid=time-open]");
      await page.waitForFunction(() => location.hash.includes("time="));
      await page.evaluate((time) => (location.hash = location.hash.replace(/time=[^&]*/, `time=${time}`)), then);
      // As many as before, and without it: while the list of then is being asked for, it may be empty.
      await page.waitForFunction((count) => {
        const list = document.querySelector(".desk-list").innerText;
        return list.includes(`共 ${count} 条`) && !list.includes("时刻之后的案卷");
      }, before);
      await page.click(".desk-list tbody tr >> nth=0");
      await page.waitForSelector(".desk-case code");
      expect((await page.locator(".desk-actions button").count()) === 0, "somebody can act in the past");
      expect((await text(page, ".liveness")).includes("回看"), "the past is called live");
      await check(page, "the desk at a moment");
      await shot(page, "desk-past");

      await page.click(".header nav >> text=人员作业");
      await page.waitForSelector(".work [data-set]");
      expect((await page.evaluate(() => location.hash)).includes("time="), "the moment stayed behind");
      expect((await page.locator("[data-set=present]").count()) === 0, "attendance of now beside people of then");
      expect(asked.people > 0 && asked.cases > 0 && asked.counts > 0 && asked.attendance === 0, `asked of then: ${JSON.stringify(asked)}`);
      await check(page, "people at a moment");
      await page.click("[data-testid=time-now]");
      await page.waitForSelector("[data-set=present]");
      expect(!(await page.evaluate(() => location.hash)).includes("time="), "now has a moment");
      return window;
    },

    "what came while the hub was away is in the queue when it is back": async () => {
      const window = await enter({ ...CENTRE, forgiven: ["net::", "503", "Failed to fetch"] }, "#/desk?queue=all&order=newest");
      const { page } = window;
      await listed(page);
      await page.waitForSelector(".liveness.live");
      await county("stop");
      await page.waitForSelector(".liveness.late");
      await county("case", { title: "断线期间的案卷", lon: middle.lon, lat: middle.lat });
      await county("start");
      await page.waitForFunction(() => document.querySelector(".desk-list").innerText.includes("断线期间的案卷"), undefined, { timeout: 40_000 });
      return window;
    },

    "cases go from arrival to closing by keys alone, at most six each": async () => {
      for (let more = 0; more < CASES; more++) await county("case", { title: `井盖破损${more}`, lon: middle.lon, lat: middle.lat });
      const window = await enter(CENTRE, "#/desk");
      const { page } = window;
      await page.waitForSelector(".desk-list tbody tr");
      const before = await rows(page);
      await page.keyboard.press("j");
      const sent = [];
      for (let turn = 0; turn < CASES; turn++) {
        await stateIs(page, "待受理");
        sent.push(await text(page, ".desk-case code"));
        let pressed = await press(page, "accept");
        await stateIs(page, "待核实或立案");
        pressed += await press(page, "register");
        await stateIs(page, "待派遣");
        pressed += await press(page, "dispatch");
        // The next one comes by itself: what was dispatched waits for the department.
        await page.waitForFunction((number) => document.querySelector(".desk-case code")?.innerText !== number, sent.at(-1));
        expect(pressed <= 6, `${pressed} keys for a case`);
      }
      expect(new Set(sent).size === CASES, `the same case came twice: ${sent}`);
      await page.waitForFunction((count) => document.querySelectorAll(".desk-list tbody tr").length === count, before - CASES);

      const unit = await enter(UNIT, "#/desk");
      await unit.page.waitForFunction((count) => document.querySelectorAll(".desk-list tbody tr").length === count, CASES);
      await check(unit.page, "the department's queue on a phone");
      for (let turn = 0; turn < CASES; turn++) {
        if (turn === 0) await unit.page.click(".desk-list tbody tr >> nth=0");
        await stateIs(unit.page, "待处置");
        const open = await text(unit.page, ".desk-case code");
        await unit.page.click("[data-action=handle]");
        await unit.page.click(".desk-form button.primary");
        await stateIs(unit.page, "处置中");
        await unit.page.click("[data-action=feed_back]:enabled");
        await unit.page.click(".desk-phrases button >> nth=0");
        await unit.page.click(".desk-form button.primary");
        if (turn === 0) await shot(unit.page, "desk-phone");
        // The next one comes by itself, as long as there is one.
        await unit.page.waitForFunction((number) => document.querySelector(".desk-case code")?.innerText !== number || document.querySelector(".desk-state")?.innerText === "待核查", open);
        if (turn < CASES - 1) await unit.page.waitForFunction((number) => document.querySelector(".desk-case code")?.innerText !== number, open);
      }
      if ((await unit.page.locator(".desk-back").count()) > 0) await unit.page.click(".desk-back");
      await unit.page.waitForFunction(() => document.querySelectorAll(".desk-list tbody tr").length === 0);
      expect(unit.faults.length === 0, unit.faults.join("\n"));
      await unit.context.close();

      for (const number of sent) {
        await page.evaluate((address) => (location.hash = address), `#/desk/${number}`);
        await page.waitForFunction((wanted) => document.querySelector(".desk-case code")?.innerText === wanted, number);
        await stateIs(page, "待核查");
        await press(page, "check", "Alt+1");
        await stateIs(page, "待结案");
        await press(page, "close");
        await page.waitForFunction((wanted) => document.querySelector(".desk-case code")?.innerText !== wanted, number);
      }
      const { cases } = await page.evaluate(async (numbers) => ({ cases: await Promise.all(numbers.map(async (number) => (await fetch(`/api/v1/cases/${number}`)).json())) }), sent);
      expect(cases.every((one) => one.state === "closed"), cases.map((one) => one.state).join());
      expect(cases.every((one) => one.journal.some((entry) => entry.action === "check" && entry.reason === "现场核查，处置到位。")), "a phrase is not in the journal");
      return window;
    },

    "a refused action keeps the words and says why; what others do is seen at once": async () => {
      const window = await enter({ ...CENTRE, forgiven: ["400", "422", "409"] }, "#/desk");
      const { page } = window;
      await page.waitForSelector(".desk-list tbody tr");
      await page.keyboard.press("j");
      await stateIs(page, "待受理");
      const number = await text(page, ".desk-case code");
      await acting(page);
      await page.keyboard.press(await digit(page, "classify"));
      await page.fill(".desk-form input[list]", "99999");
      await page.fill(".desk-form textarea", "写了很久的意见");
      await page.keyboard.press("Enter");
      await page.waitForSelector(".desk-form .failed");
      expect(/CH\d+/.test(await text(page, ".desk-form .failed")), "the refusal has no code");
      expect((await page.inputValue(".desk-form textarea")) === "写了很久的意见", "the words are gone");
      await shot(page, "desk-refused");
      // Another case and back: the words are there.
      await page.keyboard.press("Escape");
      await page.keyboard.press(await digit(page, "reject"));
      await page.fill(".desk-form textarea", "重复上报");
      await page.evaluate(() => (location.hash = "#/desk"));
      await page.waitForSelector(".desk-case", { state: "detached" });
      await page.evaluate((address) => (location.hash = address), `#/desk/${number}`);
      await page.waitForFunction(() => document.querySelector(".desk-form textarea")?.value === "重复上报");
      await county("act", { number, action: "accept", role: "acceptor", actor: "别处的受理员" });
      await page.waitForFunction(() => document.querySelector(".desk-news")?.innerText.includes("别处的受理员"));
      await stateIs(page, "待核实或立案");
      expect((await page.inputValue(".desk-form textarea")) === "重复上报", "the words are gone with the change");
      await page.focus(".desk-form textarea");
      await page.keyboard.press("Enter");
      await page.waitForSelector(".desk-form .warn");
      await stateIs(page, "待核实或立案");
      await page.keyboard.press("Enter");
      await page.waitForFunction((wanted) => document.querySelector(".desk-case code")?.innerText !== wanted, number);
      const state = await page.evaluate(async (wanted) => (await (await fetch(`/api/v1/cases/${wanted}`)).json()).state, number);
      expect(state === "rejected", state);
      return window;
    },

    "photographs: added with a feedback on a phone, refused in words with nothing lost, seen small and large": async () => {
      const number = await county("dispatched", { title: "照片案卷" });
      const unit = await enter({ ...UNIT, forgiven: ["415", "422", "400", "net::"] }, `#/desk/${number}`);
      const { page } = unit;
      await stateIs(page, "待处置");
      const photo = await page.screenshot({ type: "jpeg" });
      await page.click("[data-action=feed_back]:enabled");
      await page.fill(".desk-form textarea", "写了很久的处置情况");
      const choose = (name, buffer) => page.setInputFiles("[data-testid=photos]", { name, mimeType: "image/jpeg", buffer });
      await choose("坏的.jpg", Buffer.from("no photograph at all"));
      await page.waitForSelector(".photo-added.refused");
      const why = await text(page, ".photo-refused");
      expect(/CH046/.test(why) && /没有收下/.test(why), why);
      await page.click(".desk-form button.primary");
      await page.waitForFunction(() => document.querySelector(".desk-form .warn")?.innerText.includes("照片"));
      await stateIs(page, "待处置");
      await shot(page, "desk-photo-refused");
      await page.click(".photo-added button.plain");
      // The network goes while one is sent, and comes back.
      await unit.context.setOffline(true);
      await choose("现场.jpg", photo);
      await page.waitForSelector(".photo-added.refused");
      await unit.context.setOffline(false);
      await page.click(".photo-refused button");
      await page.waitForSelector(".photo-added.there");
      expect((await page.inputValue(".desk-form textarea")) === "写了很久的处置情况", "the words are gone");
      await check(page, "photographs on a phone");
      await shot(page, "desk-photo-added");
      await page.click(".desk-form button.primary");
      await page.waitForFunction(() => document.querySelector(".desk-state")?.innerText !== "待处置");
      expect(unit.faults.length === 0, unit.faults.join("\n"));
      await unit.context.close();

      const window = await enter(CENTRE, `#/desk/${number}`);
      const loaded = (selector) => window.page.waitForFunction((wanted) => document.querySelector(wanted)?.naturalWidth > 0, selector);
      await loaded(".photo-strip img");
      expect((await text(window.page, ".photo-strip li")).includes("sun.qi"), "who sent it is not told");
      expect((await window.page.locator(".desk-journal").innerText()).includes("写了很久的处置情况"), "the words are not in the journal");
      await window.page.click(".photo-strip button");
      await loaded("dialog .photo-large");
      expect((await window.page.evaluate(() => document.querySelector("dialog .photo-large").naturalWidth)) === 390, "not the whole photograph");
      await check(window.page, "a photograph, large");
      await shot(window.page, "desk-photo-large");
      await window.page.keyboard.press("Escape");
      await window.page.waitForSelector("dialog", { state: "detached" });
      await window.page.evaluate((address) => (location.hash = address), `#/map/case/${number}`);
      await loaded(".map-panel .photo-strip img");
      return window;
    },

    "a department on a phone: what it had once and what it asked for, its own alone, and words for all that it may not": async () => {
      const [gone, asked, next] = [await county("dispatched", { title: "改派走的" }), await county("dispatched", { title: "申请延期的" }), await county("dispatched", { title: "还没接单的" })];
      const ours = { role: "department", actor: "处置员", unit: "huanwei" };
      await county("act", { number: gone, action: "return", reason: "不属于本单位职责。", ...ours });
      await county("act", { number: gone, action: "dispatch", role: "dispatcher", actor: "派遣员", department: "chengguan" });
      await county("act", { number: gone, action: "handle", role: "department", actor: "别处的处置员", unit: "chengguan" });
      await county("act", { number: asked, action: "ask_extension", reason: "需采购材料。", amount: 5, ...ours });
      await county("order_of", { numbers: [asked, gone] });
      const window = await enter({ ...UNIT, forgiven: ["404", "422"] }, "#/desk");
      const { page } = window;
      const go = (address) => page.evaluate((wanted) => (location.hash = wanted), address);
      const reads = (selector, words) => page.waitForFunction(([where, wanted]) => document.querySelector(where)?.innerText.includes(wanted), [selector, words]);
      await page.waitForSelector(".desk-list tbody tr");
      for (const where of ["desk", "map/case"]) {
        await go(`#/${where}/${gone}`);
        await reads(where === "desk" ? ".desk-case" : ".map-panel", "改派走的");
        await check(page, `a case of the past at ${where}`);
        expect(!/NaN|undefined|Invalid|object/.test(await text(page, "main")), await text(page, "main"));
      }
      await go(`#/desk/${gone}`);
      await reads(".desk-case", "已转出（");
      expect((await text(page, ".desk-state")) === "回退待派遣", `the state is not as it was then: ${await text(page, ".desk-state")}`);
      const whole = await page.evaluate(async (number) => (await fetch(`/api/v1/cases/${number}`)).text(), gone);
      expect(!whole.includes("别处的处置员"), "who has it now is told");
      expect((await page.locator(".desk-actions, .desk-clock").count()) === 0, "there is something to do with a case that is gone");
      await go(`#/desk/${asked}`);
      await reads(".desk-facts", "5 工作时");
      await shot(page, "desk-phone-asked");

      await go(`#/desk/${next}`);
      await reads(".desk-heading", "还没接单的");
      await page.click("[data-action=ask_extension]:enabled");
      await page.fill(".desk-form textarea", "需采购材料");
      const send = () => page.click(".desk-form button.primary");
      await send();
      await reads(".desk-form .warn", "延长（工作时）");
      await page.fill(".desk-form input[type=number]", "-3");
      await send();
      await reads(".desk-form .failed", "字段 amount 须为 0.01 至 1000 的数，现为 -3");
      expect(/CH013/.test(await text(page, ".desk-form .failed")) && !/[a-z]{2,} [a-z]{2,}/.test(await text(page, ".desk-form .failed")), await text(page, ".desk-form .failed"));
      expect((await page.inputValue(".desk-form textarea")) === "需采购材料", "the words are gone");
      expect(!(await text(page, ".desk-form")).includes("Enter"), "a phone has no such key");
      await shot(page, "desk-phone-refused");

      const { cases } = await page.evaluate(async () => (await fetch("/api/v1/cases?department=chengguan")).json());
      expect(cases.length === 0, "another department's cases are in the list");
      const { cases: all } = await page.evaluate(async () => (await fetch("/api/v1/cases")).json());
      expect(all.length >= 2 && all.every((one) => one.department === "huanwei"), "not its own cases alone");
      await go("#/desk/20000101-000001");
      await reads(".desk-case .failed", "不在您能看到的范围");
      await go("#/operate");
      await reads("main", "您的岗位不能看这个页面");
      await go("#/orders");
      await page.click(".orders tbody a:has-text('绿化带缺株')");
      await reads(".orders-facts", asked);
      expect((await page.locator(".orders-facts a[href*='desk/']").count()) === 1, "another department's case is in its order");
      await check(page, "an order on a phone");

      // Who decides has before him what was asked for.
      const centre = await enter(CENTRE, `#/desk/${asked}`);
      await acting(centre.page);
      await centre.page.click("[data-action=grant_extension]");
      expect((await centre.page.inputValue(".desk-form input[type=number]")) === "5", "what was asked for is not what is granted");
      await centre.context.close();
      return window;
    },

    "the list and the case count what is left by the hub's clock, also on a PC whose clock is ten minutes fast": async () => {
      const number = await county("dispatched", { title: "快到期的" });
      await county("due_in", { number, minutes: 30 });
      const window = await enter({ ...CENTRE, ahead: 600_000 }, `#/desk/${number}?queue=open&order=due`);
      const { page } = window;
      await page.waitForSelector(".desk-list tr[aria-current]");
      await page.waitForSelector(".desk-clock strong");
      await page.waitForFunction(() => /剩 (29|30) 分/.test(document.querySelector(".desk-list tr[aria-current]").innerText));
      const [listed, own] = await page.evaluate(() => [".desk-list tr[aria-current]", ".desk-clock"].map((where) => document.querySelector(where).innerText));
      expect(own.includes(/剩 \d+ 分/.exec(listed)[0]), `in the list: ${listed}\nin the case: ${own}`);
      expect(/已用 [0-5](\.\d)?，共 5 工作时/.test(own), own);
      await check(page, "a case that is nearly due");
      await shot(page, "desk-due");
      return window;
    },

    "a case is merged into one nearby, chosen from those that are shown, by keys alone": async () => {
      const first = await county("reported", { title: "同一处垃圾甲" });
      const second = await county("reported", { title: "同一处垃圾乙" });
      const window = await enter(CENTRE, `#/desk/${second}`);
      const { page } = window;
      await page.waitForFunction(() => [...document.querySelectorAll(".desk-near")].some((near) => near.innerText.includes("同一处垃圾甲")));
      for (let stops = 0; !(await page.evaluate(() => document.activeElement.dataset.action === "merge")); stops++) {
        expect(stops < 120, "Tab does not reach the action");
        await page.keyboard.press("Tab");
      }
      await page.keyboard.press("Enter");
      await page.waitForSelector("#desk-into", { state: "attached" });
      expect(await page.evaluate((number) => [...document.querySelectorAll("#desk-into option")].some((one) => one.value === number), first), "the one nearby is not offered");
      await page.fill(".desk-form input[list=desk-into]", first);
      await page.focus(".desk-form textarea");
      await page.keyboard.insertText("与甲为同一处");
      await page.keyboard.press("Enter");
      await page.waitForFunction((number) => document.querySelector(".desk-case code")?.innerText !== number, second);
      await page.evaluate((address) => (location.hash = address), `#/desk/${second}`);
      await page.waitForFunction((number) => document.querySelector(".desk-case")?.innerText.includes("已并入") && document.querySelector(".desk-case").innerText.includes(number), first);
      await page.evaluate((address) => (location.hash = address), `#/desk/${first}`);
      await page.waitForFunction((number) => document.querySelector(".desk-case code")?.innerText !== number && document.querySelector(".desk-case")?.innerText.includes(number), second);
      return window;
    },

    "a case is reported, and what is near is shown before": async () => {
      const window = await enter({ ...CENTRE, forgiven: ["400"] }, "#/desk/new");
      const { page } = window;
      const { place } = await county("somewhere");
      await page.waitForFunction(() => document.activeElement?.tagName === "INPUT");
      await page.keyboard.type("路口<b>垃圾</b>成堆");
      await page.fill(".desk-report input[list]", "20102 暴露垃圾");
      await page.fill("[placeholder]", `${place.lon}, ${place.lat}`);
      await page.waitForSelector(".desk-report .desk-near li");
      await page.setInputFiles("[data-testid=photos]", { name: "现场.jpg", mimeType: "image/jpeg", buffer: await page.screenshot({ type: "jpeg" }) });
      await page.click(".desk-report button.primary");
      await stateIs(page, "待受理");
      expect((await text(page, ".desk-heading")) === "路口<b>垃圾</b>成堆", "the title is not what was typed");
      await page.waitForFunction(() => document.querySelector(".photo-strip img")?.naturalWidth > 0);
      return window;
    },

    "every number opens the list behind it": async () => {
      const window = await enter(CENTRE, "#/desk");
      const { page } = window;
      await page.waitForFunction(() => [...document.querySelectorAll(".desk-tabs .desk-count")].filter((count) => /\d/.test(count.innerText)).length === 5);
      const compared = [];
      for (const queue of ["mine", "asked", "suspended", "overdue", "open"]) {
        const said = Number(await text(page, `[data-queue=${queue}] .desk-count`));
        await page.click(`[data-queue=${queue}]`);
        await page.waitForSelector(`[data-queue=${queue}][aria-pressed=true]`);
        await page.waitForFunction((count) => document.querySelectorAll(".desk-list tbody tr").length === count, said);
        compared.push(said);
      }
      const month = await page.evaluate(() => document.querySelector(".clock").innerText.slice(0, 7));
      for (const address of [`#/scores/statistics?month=${month}&by=all`, `#/scores/statistics?month=${month}&by=source`, "#/wall?scene=county", "#/wall?scene=cases"]) {
        await page.evaluate((wanted) => (location.hash = wanted), address);
        const within = address.includes("wall") ? ".wall-scene" : ".scores .table";
        await page.waitForFunction((selector) => document.querySelectorAll(`${selector} a[href*='desk?']`).length > 0, within);
        if (within === ".wall-scene") await page.waitForFunction(() => [...document.querySelectorAll(".wall-age")].every((age) => age.innerText.includes("的数据")));
        const numbers = await page.evaluate((selector) => [...document.querySelectorAll(`${selector} a[href*='desk?']`)].map((link) => [link.getAttribute("href"), Number(/(\d[\d,]*)$/.exec(link.getAttribute("aria-label"))?.[1].replaceAll(",", ""))]), within);
        for (const [href, number] of numbers) {
          await page.evaluate((wanted) => (location.hash = wanted), href);
          await page.waitForSelector(".desk-list");
          // A case may count more than once, as one that was dispatched twice: then the list says what the figure is, beside how many cases make it.
          const found = await page.waitForFunction((wanted) => new RegExp(`共 ${wanted} 条|= ${wanted}（\\d+ 卷）`).test(document.body.innerText), number, { timeout: 20_000 }).then(() => true, () => false);
          expect(found, `${address}: ${href} says ${number}, its list has ${await listed(page)}`);
          compared.push(number);
        }
      }
      expect(compared.length >= 12, `only ${compared.length} numbers`);
      return window;
    },

    "every number of people and work opens what it counts": async () => {
      const window = await enter(CENTRE, "#/work");
      const { page } = window;
      let compared = 0;
      await page.waitForFunction(() => document.querySelectorAll(".work [data-set]").length === 6);
      for (const set of ["duty", "online", "present", "absent", "unknown", "all"]) {
        await page.click(`[data-set=${set}]`);
        await page.waitForSelector(`[data-set=${set}][aria-current]`);
        await page.waitForFunction((wanted) => document.querySelectorAll(".work tbody tr").length === Number(document.querySelector(`[data-set=${wanted}] strong`).innerText), set);
        compared += Number(await text(page, `[data-set=${set}] strong`)) > 0 ? 1 : 0;
      }
      for (const theme of ["work/standards", ...["", "?by=role", "?by=person", "?by=month"].map((by) => `work/performance${by}`)]) {
        await page.evaluate((wanted) => (location.hash = wanted), `#/${theme}`);
        await page.waitForSelector(".work a[data-opens]");
        const numbers = await page.evaluate(() => [...document.querySelectorAll(".work a[data-opens]")].map((link) => [link.getAttribute("href"), Number(link.dataset.opens), link.getAttribute("aria-label")]));
        expect(numbers.length >= 3, `${theme} has only ${numbers.length} numbers`);
        for (const [href, number, label] of numbers) {
          await page.evaluate((wanted) => (location.hash = wanted), href);
          const found = await page.waitForFunction((wanted) => /共 (\d+) 条/.exec(document.querySelector(".work")?.innerText ?? "")?.[1] === String(wanted), number, { timeout: 20_000 }).then(() => true, () => false);
          expect(found, `${theme}: ${label}, ${href}: ${(await text(page, ".work")).slice(-80)}`);
          compared++;
        }
      }
      await shot(page, "work-number");
      expect(compared >= 14, `only ${compared} numbers`);
      return window;
    },

    "what goes upward: each number opens its records, a refusal is read": async () => {
      await county("platform_above");
      const window = await enter(CENTRE, "#/operate/upstream");
      const { page } = window;
      await page.waitForSelector("[data-count='city/refused']");
      const numbers = await page.evaluate(() => [...document.querySelectorAll("[data-count]")].map((one) => [one.dataset.count, Number(one.innerText)]));
      expect(numbers.length === 5 && numbers.find(([which]) => which === "city/accepted")[1] === 3 && numbers.find(([which]) => which === "city/waiting")[1] >= 2, JSON.stringify(numbers));
      for (const [which, number] of numbers.filter(([, count]) => count > 0)) {
        await page.click(`[data-count='${which}']`);
        const state = which.split("/")[1];
        await page.waitForFunction(([wanted, count]) => {
          const shown = document.querySelector(".operate").innerText;
          return location.hash.includes(wanted === "" ? "target=city" : `state=${wanted}`) && /共 (\d+) 条/.exec(shown)?.[1] === String(count);
        }, [state, number]);
      }
      await page.click("[data-count='city/refused']");
      await page.waitForFunction(() => document.querySelector(".operate").innerText.includes("网格编码不在市级目录 <b>"));
      await page.waitForFunction(() => /数据完整[\s\S]*接口稳定[\s\S]*合计[\s\S]*单元网格/.test(document.querySelector(".operate").innerText));
      const shown = await text(page, ".operate");
      expect(/市级平台[\s\S]*单元网格\s*网格\d/.test(shown) && !/grid_cell|department/.test(shown), `keys instead of names: ${shown}`);
      await check(page, "upward");
      await shot(page, "operate-upstream");
      return window;
    },

    "a score is entered, and what is missing is told": async () => {
      const window = await enter({ ...CENTRE, forgiven: ["409", "422"] }, "#/scores/status");
      const { page } = window;
      await page.waitForSelector(".scores-steps");
      await page.click("text=去录入 >> nth=0");
      await page.waitForSelector(".scores-form");
      const form = page.locator(".scores-form").first();
      await form.locator("select >> nth=1").selectOption("huanwei");
      await form.locator("input[type=number]").fill("200");
      await form.locator("input[type=text] >> nth=0").fill("县城管办");
      await form.locator("input[type=text] >> nth=1").fill("检查记录 12 号");
      await form.locator("button.primary").click();
      await page.waitForSelector(".scores-form .failed");
      expect((await form.locator("input[type=text] >> nth=1").inputValue()) === "检查记录 12 号", "the evidence is gone");
      // Somebody else looks at what was entered, which is asked for once: the stream tells of more.
      const other = await enter(CENTRE, await page.evaluate(() => location.hash));
      await other.page.waitForSelector(".scores-form");
      await other.page.waitForFunction(() => document.querySelector(".liveness.live") !== null);
      await form.locator("input[type=number]").fill("92");
      await form.locator("button.primary").click();
      await page.waitForFunction(() => [...document.querySelectorAll("table tbody tr")].some((row) => row.innerText.includes("检查记录 12 号") && row.innerText.includes("92")));
      await other.page.waitForFunction(() => document.querySelector(".scores").innerText.includes("检查记录 12 号"));
      await other.context.close();
      await page.evaluate(() => (location.hash = location.hash.replace("entries", "status")));
      await page.click(".scores >> text=关账并公布");
      await page.click("dialog button.danger");
      await page.waitForSelector("dialog .failed");
      return window;
    },

    "the wall's scenes change by the clock, and an urgent alarm brings the county up": async () => {
      const window = await enter(CENTRE, "#/desk");
      const { page } = window;
      await page.clock.install();
      await page.evaluate(() => (location.hash = "#/wall"));
      await page.waitForSelector(".wall-values");
      const scene = () => page.locator(".wall [aria-current]").first().innerText();
      const first = await scene();
      await page.clock.fastForward(65_000);
      await page.waitForFunction((before) => document.querySelector(".wall [aria-current]")?.innerText !== before, first);
      await page.waitForFunction(() => document.querySelector(".liveness.live"));
      await county("alarm_urgent");
      await page.waitForFunction((before) => document.querySelector(".wall [aria-current]")?.innerText === before, first);
      return window;
    },

    "the wall greys what is old, and says how old": async () => {
      const window = await enter({ ...CENTRE, size: "wall", forgiven: ["net::", "503", "Failed to fetch"] }, "#/wall");
      const { page } = window;
      // Its map has begun to ask: before, a hub that goes leaves it without its code.
      const asked = page.waitForResponse(/tiles\/device/);
      await page.reload();
      await asked;
      await page.waitForFunction(() => document.querySelectorAll(".wall-scene").length === 2 && [...document.querySelectorAll(".wall-age")].every((age) => age.innerText.includes("的数据")));
      await page.waitForFunction(() => document.querySelector(".liveness.live"));
      expect((await page.locator(".wall-tile.old").count()) === 0, "new figures are grey");
      await county("stop");
      await page.waitForSelector(".wall-tile.tile-pulse.old");
      await page.waitForSelector(".wall-tile.tile-map.old");
      await page.waitForFunction(() => document.querySelector(".wall-old")?.innerText.includes("旧数据"));
      await shot(page, "wall-old");
      const outlines = page.waitForRequest(/tiles\/department/);
      await county("start");
      await outlines;
      await page.waitForFunction(() => document.querySelector(".liveness.live") && document.querySelectorAll(".wall-tile.old").length === 0);
      return window;
    },

    ...looked("desk, scores, wall and operations", async ({ size, language, theme }) => {
      await county("flawed");
      const window = await enter({ ...CENTRE, size, language, theme }, "#/desk?queue=all");
      const { page } = window;
      const seen = { "desk?queue=all": ".desk-list tbody tr", "desk/new": ".desk-report", scores: ".scores table", "scores/compare": ".scores table", "scores/status": ".scores-steps", work: ".work [data-set]", "work/process": ".filters", "work/performance": ".filters", operate: ".operate table", "operate/vendors": ".operate table", "operate/vendors?of=dust/careless": ".operate-trend .bad", "operate/users": ".operate table", "operate/rules": ".operate table", "operate/imports": ".operate table", unplaced: ".unplaced .quiet", wall: ".wall-values" };
      for (const [address, selector] of Object.entries(seen)) {
        await page.evaluate((wanted) => (location.hash = wanted), `#/${address}`);
        await page.waitForSelector(selector);
        await check(page, `${address} at ${size}`);
        await shot(page, `${address.replace(/\W+/g, "-")}-${size}-${language}-${theme}`);
      }
      return window;
    }),
  };
}
