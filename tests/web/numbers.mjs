// Every number opens the list behind it, and that list has as many: a crawler over the views, which goes by the links' data-number. page.mjs
// runs it with its own.

/** The tests, by name; `tools` are page.mjs's. */
export function numberTests({ enter, county, expect, check, shot, place }) {
  const CENTRE = { login: "wang.wu" };
  const settled = (page) => page.waitForFunction(() => [...document.querySelectorAll(".wall-age")].every((age) => age.innerText.includes("的数据")));

  /** What the shown view's numbers say and open. */
  const numbers = (page) => page.evaluate(() => [...document.querySelectorAll("main a[data-number], .wall a[data-number]")].map((link) => [link.getAttribute("href"), Number(link.dataset.number), link.getAttribute("aria-label")]));

  async function crawl(page, address, ready, least) {
    await page.evaluate((wanted) => (location.hash = wanted), address);
    await page.waitForSelector(ready);
    if (address.includes("wall")) await settled(page);
    const there = await page.waitForFunction((wanted) => document.querySelectorAll("a[data-number]").length >= wanted, least).then(() => true, () => false);
    expect(there, `${address} has only ${JSON.stringify(await numbers(page))}`);
    const found = await numbers(page);
    for (const [href, number, label] of found) {
      expect(number > 0, `${address}: ${label} says ${number} and is a link`);
      await page.evaluate(() => (location.hash = "#/scores/status"));
      await page.waitForSelector(".scores-steps");
      await page.evaluate((wanted) => (location.hash = wanted), href);
      const equal = await page
        // A case may count more than once: then the list says what the figure is, beside how many cases make it.
        .waitForFunction((wanted) => new RegExp(`共 ${wanted} 条|= ${wanted}（\\d+ 卷）`).test(document.body.innerText), number, { timeout: 20_000 })
        .then(() => true, () => false);
      expect(equal, `${address}: ${label}, ${href}: its list has ${/共 \d+ 条/.exec(await page.evaluate(() => document.body.innerText))?.[0] ?? "no count"}`);
    }
    return found.length;
  }

  return {
    "a crawler over the wall: every number opens a list of as many": async () => {
      await county("alarm");
      const window = await enter(CENTRE, "#/wall?scene=county");
      const { page } = window;
      const counts = [];
      counts.push(await crawl(page, "#/wall?scene=county", ".wall-trend a", 8));
      counts.push(await crawl(page, "#/wall?scene=cases", ".wall-bars a", 4));
      counts.push(await crawl(page, "#/wall?scene=work", ".tile-work a", 3));
      await page.evaluate(() => (location.hash = "#/work/people?show=duty&role=洒水员"));
      await page.waitForFunction(() => document.querySelectorAll(".work tbody tr").length === 4);
      await shot(page, "work-role");
      expect(counts.every((count) => count >= 3), `only ${counts}`);
      return window;
    },

    "conformity of a vendor: the worst first, its days, what was found with the last example, and the messages behind": async () => {
      await county("flawed");
      const window = await enter(CENTRE, "#/operate/vendors?sort=day");
      const { page } = window;
      const careless = page.locator(".operate tbody tr").filter({ hasText: "粗心的平台 <b>" }).locator(".operate-rate").first();
      // Of four records one was refused, and of one two things were left out.
      expect((await careless.innerText()) === "▲ 50.00%", `its rate: ${await careless.innerText()}`);
      const rates = await page.evaluate(() => [...document.querySelectorAll(".operate tbody tr")].map((row) => row.querySelector(".operate-rate")?.innerText ?? "–"));
      const shown = rates.filter((one) => one !== "–").map((one) => Number(/[\d.]+/.exec(one)[0]));
      expect(shown.every((one, at) => at === 0 || shown[at - 1] <= one) && rates.slice(shown.length).every((one) => one === "–"), `in order: ${rates}`);
      const refused = await page.locator(".operate tbody tr").filter({ hasText: "粗心的平台 <b>" }).locator("[data-refused]").innerText();
      expect(/登录被拒 3 次：口令不对；最近来自 10\.0\.0\.1/.test(refused), `its login: ${refused}`);
      expect((await page.locator("[data-refused]").count()) === 1 && (await page.locator("[data-strangers]").innerText()).includes("7 次，最近来自 10.0.0.2"), "logins of nobody");
      await shot(page, "operate-vendors");
      await careless.click();
      await page.waitForFunction(() => document.querySelectorAll(".operate tbody tr").length === 3 && document.querySelector(".operate-trend .bad") && document.querySelector(".operate-facts > div"));
      const facts = await page.evaluate(() => Object.fromEntries([...document.querySelectorAll(".operate-facts > div")].map((one) => [one.querySelector("dt").innerText, one.querySelector("dd").innerText])));
      const wanted = { 符合率: "▲ 50.00%", 报文: "3", 记录: "4", 收下: "3", 拒收: "1", 收下但有要改之处: "1", 重复: "0", 补充: "0", 更正: "0", 迟到一小时以上: "1", 未报台账设备的记录: "3" };
      expect(JSON.stringify(facts) === JSON.stringify(wanted), `facts: ${JSON.stringify(facts)}`);
      const row = (code) => page.evaluate((which) => [...document.querySelectorAll(".operate tbody tr")].find((one) => one.innerText.includes(which))?.innerText, code);
      expect(/用数表示没有值.*警告.*pm25_ug_m3.*1.*C1.*-999/s.test(await row("no_value")), `no value: ${await row("no_value")}`);
      expect(/字段的类型不符.*丢字段.*noise_dba.*1.*1/s.test(await row("wrong_type")), `a field: ${await row("wrong_type")}`);
      await shot(page, "operate-conformity");
      await page.click(".operate-trend li:last-child a");
      await page.waitForFunction(() => /from=([\d-]+)&to=\1/.test(location.hash) && document.querySelector(".operate-trend a[aria-current=date]"));
      await page.click(".operate-facts a[data-number]");
      await page.waitForFunction(() => document.querySelectorAll(".operate tbody tr").length === 1 && document.querySelector(".operate [role=status]").innerText === "共 1 条");
      await page.click(".operate tbody a[data-number]");
      await page.waitForFunction(() => document.querySelector(".operate")?.innerText.includes("共 1 条") && document.querySelector(".operate tbody").innerText.includes("missing_time"));
      expect((await page.locator("[data-testid=replay]").count()) === 0, "what is listed by day is not replayed together");
      return window;
    },

    "a crawler over the map's side, a drawn area, scores and why, operations: every number opens a list of as many": async () => {
      await county("alarm");
      await county("misplaced");
      await county("platform_above");
      await county("terminals");
      await county("blamed");
      await county("flawed");
      const window = await enter(CENTRE, "#/map?list=none");
      const { page } = window;
      const month = await page.evaluate(() => document.querySelector(".clock").innerText.slice(0, 7));
      const counts = {};
      for (const [address, ready, least] of [
        ["#/map?list=none", ".subsystems td a", 6],
        [`#/scores/statistics?month=${month}&by=department`, ".scores .table a", 3],
        [`#/scores/statistics?month=${month}&by=category`, ".scores .table a", 2],
        [`#/scores/compare?month=${month}`, ".scores .table a", 2],
        [`#/scores/department/huanwei?month=${month}`, ".scores .table a", 2],
        ["#/operate", ".operate-facts a[data-number]", 2],
        ["#/operate/quarantine", ".operate .table a", 2],
        ["#/operate/upstream", ".operate .table a", 4],
        ["#/operate/vendors", ".operate .table a", 4],
        ["#/operate/vendors?of=dust/careless", ".operate .table a", 3],
        ["#/terminals", ".terminals-counts a", 14],
      ]) {
        counts[address] = await crawl(page, address, ready, least);
      }
      const area = [[0.05, 0.02], [0.95, 0.02], [0.95, 0.95], [0.05, 0.95]].map(([x, y]) => [place.west + place.size * x, place.south + place.size * y].join(",")).join(",");
      await page.evaluate((wanted) => (location.hash = wanted), `#/map?area=${area}`);
      for (const kind of ["device", "alarm", "case"]) {
        const button = `[data-testid=area-counts] [data-kind=${kind}]`;
        await page.waitForFunction((which) => /^\d+$/.test(document.querySelector(`${which} strong`)?.innerText ?? ""), button);
        const number = Number(await page.innerText(`${button} strong`));
        expect(number > 0, `no ${kind} in the area`);
        await page.click(button);
        await page.waitForFunction((wanted) => document.querySelector(".map-list").innerText.includes(`共 ${wanted} 条`), number);
      }
      console.log(`    numbers opened: ${JSON.stringify(counts)}`);
      return window;
    },

    "why a score is what it is, on the map too: its cases, as many as the figure says": async () => {
      await county("blamed");
      await county("flawed");
      const window = await enter(CENTRE, "#/map?list=none");
      const { page } = window;
      const month = await page.evaluate(() => document.querySelector(".clock").innerText.slice(0, 7));
      await page.evaluate((wanted) => (location.hash = wanted), `#/scores/department/huanwei?month=${month}`);
      await page.waitForSelector(".scores-on-map");
      const number = Number(await page.evaluate(() => document.querySelector(".scores-on-map").previousElementSibling.dataset.number));
      const name = await page.getAttribute(".scores-on-map >> nth=0", "title");
      await page.click(".scores-on-map >> nth=0");
      await page.waitForFunction((wanted) => new RegExp(`共 ${wanted} 条`).test(document.querySelector(".map-list")?.innerText ?? ""), number);
      expect((await page.locator(".map-list tbody tr").count()) === number, "the list has others");
      const chosen = await page.evaluate(() => [...document.querySelectorAll(".filters select")].map((one) => one.selectedOptions[0].textContent).find((one) => /^\d{4}-\d\d /.test(one)));
      expect(chosen?.slice(8) === name.split("：")[0], `the filter says ${chosen}, the score ${name}`);
      await shot(page, "map-score");
      return window;
    },

    "every list's file has what the list has: cases, work, devices, alarms, terminals": async () => {
      for (const what of ["alarm", "blamed", "terminals"]) await county(what);
      const window = await enter(CENTRE, "#/desk");
      const { page } = window;
      for (const [address, within] of [["desk?queue=all&state=reported", ".desk-list"], ["work/process?status=finished", ".work"], ["map?subsystem=streetlight&inview=false", ".map-list"], ["map?list=device&subsystem=construction_waste", ".map-list"], ["map?list=alarm&inview=false", ".map-list"], ["map?list=case", ".map-list"], ["terminals?protocol=jt808", ".terminals-list"]]) {
        await page.evaluate((wanted) => (location.hash = `#/${wanted}`), address);
        await page.waitForFunction((where) => /共 [1-9]\d* 条/.test(document.querySelector(where)?.innerText ?? "") && document.querySelector(`${where} .download`), within).catch(() => {
          throw new Error(`${address}: it has no number and no files`);
        });
        // What the map shows has come to rest.
        await page.waitForTimeout(1500);
        const [counted, lines, workbook] = await page.evaluate(async (where) => {
          const [book, csv] = [...document.querySelectorAll(`${where} .download a`)].map((one) => one.getAttribute("href"));
          const table = await (await fetch(csv)).text();
          return [Number(/共 (\d+) 条/.exec(document.querySelector(where).innerText)[1]), table.trim().split("\r\n").length - 1, (await fetch(book)).status];
        }, within);
        expect(counted === lines && workbook === 200, `${address}: the list has ${counted}, its CSV ${lines}, the workbook answers ${workbook}`);
      }
      return window;
    },

    "what no map can show: counted on the map, each number opens a list of as many, each of the list its record and its message": async () => {
      await county("misplaced");
      const window = await enter({ ...CENTRE, size: "office" }, "#/map?list=none");
      const { page } = window;
      await page.click("[data-testid=unplaced]");
      await page.waitForSelector(".unplaced tbody tr");
      await crawl(page, "#/unplaced", ".unplaced tbody tr", 6);
      await page.evaluate(() => (location.hash = "#/unplaced?what=device"));
      const row = (name) => page.locator(".unplaced tr", { hasText: name });
      const turned = await row("写反了的监测仪 <b>").innerText();
      expect(/经纬度写反[\s\S]*图上仍在原来的位置[\s\S]*34\.5/.test(turned), turned);
      await check(page, "what no map can show");
      await shot(page, "unplaced");
      await row("没有位置的监测仪").locator("a", { hasText: "#" }).click();
      await page.waitForFunction(() => /bad_position/.test(document.querySelector("dialog")?.innerText ?? "") && document.querySelector("dialog").innerText.includes("X1"));
      await page.evaluate(() => (location.hash = "#/unplaced?what=device&flaw=none"));
      await row("没有位置的监测仪").locator("a", { hasText: "没有位置" }).click();
      await page.waitForFunction(() => document.querySelector(".map-panel h2")?.innerText === "没有位置的监测仪");
      await page.evaluate(() => (location.hash = "#/unplaced?what=case"));
      await row("没有地点的案卷").locator("a").click();
      await page.waitForFunction(() => document.querySelector(".desk")?.innerText.includes("没有地点的案卷"));
      await page.evaluate(() => (location.hash = "#/operate"));
      await page.click(".operate-facts a[href='#/unplaced']");
      await page.waitForSelector(".unplaced");
      return window;
    },
  };
}
