// Terminals that speak to the gateways. page.mjs runs these with its own.

/** The tests, by name; `tools` are page.mjs's. */
export function terminalTests({ enter, county, expect, check, shot, text, looked }) {
  const CENTRE = { login: "wang.wu" };
  const rows = (page) => page.locator(".terminals-list tbody tr");
  const row = (page, words) => rows(page).filter({ hasText: words });
  const go = (page, address) => page.evaluate((wanted) => (location.hash = wanted), address);
  const count = (page, wanted) => page.waitForFunction((number) => document.querySelectorAll(".terminals-list tbody tr").length === number, wanted);

  return {
    "terminals: found by what an operator looks for, each with how it is and why it is refused, and as a table": async () => {
      await county("terminals");
      const window = await enter(CENTRE, "#/terminals");
      const { page } = window;
      await count(page, 6);
      const said = async (words) => (await row(page, words).innerText()).replaceAll("\n", " ");
      expect(/在线[\s\S]*渣土车0号/.test(await said("13800000001")), await said("13800000001"));
      expect(/从未上报[\s\S]*T-new[\s\S]*有口令[\s\S]*口令不对/.test(await said("13800000003")), await said("13800000003"));
      expect(/在线[\s\S]*有 SM4 密钥[\s\S]*密钥该换了/.test(await said("MN-D1")), await said("MN-D1"));
      expect(/平台来源[\s\S]*ctwing/.test(await said("ct")), await said("ct"));
      await page.fill(".terminals-list input[type=search]", "0000002");
      await count(page, 1);
      await page.click("text=清除筛选");
      await count(page, 6);
      // The table has what the list has.
      const table = await page.evaluate(async () => new TextDecoder("utf-8", { ignoreBOM: true }).decode(await (await fetch(document.querySelector("a[download='terminals.csv']").getAttribute("href"))).arrayBuffer()));
      expect(table.startsWith("\ufeff编号,协议,标识") && table.trim().split("\r\n").length === 7 && /13800000003[^\r]*口令不对/.test(table), table);
      const workbook = await page.evaluate(async () => (await fetch(document.querySelector("a[download='terminals.xlsx']").getAttribute("href"))).status);
      expect(workbook === 200, `the workbook: ${workbook}`);
      await row(page, "010000A8900016F000169DC0").locator("td").first().click();
      await page.waitForSelector("[data-refusal=wrong_check_value]");
      const panel = await text(page, ".terminals-panel");
      for (const words of ["校验不对", "cityhub terminal add --crc modbus", "被拒绝 42 次", "203.0.113.7", "dust-minute", "从未上报"]) expect(panel.includes(words), `${words}: ${panel}`);
      await check(page, "a terminal that is refused");
      await shot(page, "terminals-refused");
      await page.keyboard.press("Escape");
      await page.waitForSelector(".terminals-panel", { state: "detached" });
      await go(page, "#/terminals?device=999999");
      await page.waitForFunction(() => document.querySelector(".terminals-list .failed")?.innerText.includes("CH013"));
      window.faults.splice(0, window.faults.length, ...window.faults.filter((fault) => !fault.includes("422")));
      return window;
    },

    "terminals: one is told something by the keyboard alone; a refusal leaves what was typed; its answer shows by itself": async () => {
      await county("terminals");
      const window = await enter({ ...CENTRE, forgiven: ["422"] }, "#/terminals?protocol=jt808&subsystem=construction_waste");
      const { page } = window;
      await count(page, 3);
      const tab = async (there, what) => {
        for (let stops = 0; !(await page.evaluate(there)); stops++) {
          expect(stops < 40, `Tab does not reach ${what}`);
          await page.keyboard.press("Tab");
        }
      };
      await tab(() => document.activeElement.matches(".terminals-list tbody tr"), "the list");
      await page.keyboard.press("Enter");
      await page.waitForSelector(".terminals-commands li");
      const was = await text(page, ".terminals-commands");
      for (const words of ["文本信息", "请减速 <b>", "已确认", "成功", "设置参数", "缺省汇报间隔（秒）", "失败", "不支持", "12.5 km/h", "王五"]) expect(was.includes(words) || (words === "王五" && was.includes("wang.wu")), `${words}: ${was}`);
      await tab(() => document.activeElement.dataset.command === "text", "the command");
      await page.keyboard.press("Enter");
      await tab(() => document.activeElement.name === "text", "the text");
      await page.keyboard.type("前方施工 ");
      await page.keyboard.insertText("🚛");
      await tab(() => document.activeElement.type === "submit", "the button");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.querySelector(".terminals-panel .failed")?.innerText.includes("GBK"));
      expect((await page.inputValue(".terminals-panel [name=text]")) === "前方施工 🚛", "the text is gone");
      await check(page, "a command that was refused");
      await page.fill(".terminals-panel [name=text]", "前方施工");
      await page.keyboard.press("Tab");
      await tab(() => document.activeElement.type === "submit", "the button");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => /○ 待发/.test(document.querySelector(".terminals-commands li")?.innerText) && document.querySelector(".terminals-commands li").innerText.includes("前方施工"));
      await page.waitForFunction(() => document.querySelector(".terminals-attention").innerText.includes("待发指令\n1"));
      await county("terminal_answers", { identity: "13800000001", result: 0 });
      await page.waitForFunction(() => /● 已确认[\s\S]*成功/.test(document.querySelector(".terminals-commands li").innerText));
      await page.click("[data-command=set_parameters]");
      await page.fill(".terminals-panel [name='0x0029']", "0");
      await page.click(".terminals-panel button.primary");
      await page.waitForFunction(() => document.querySelector(".terminals-panel .failed")?.innerText.includes("1 至 3600 的整数"));
      await shot(page, "terminals-told");
      return window;
    },

    "terminals: a device that reports is seen to be online without asking, its place and itself are a click away": async () => {
      await county("terminals");
      const window = await enter(CENTRE, "#/terminals");
      const { page } = window;
      await count(page, 6);
      await page.waitForFunction(() => document.querySelector(".liveness.live"));
      await page.route("**/api/v1/terminals*", (route) => route.abort());
      await county("report", { pm25_ug_m3: 41 });
      await page.waitForFunction(() => [...document.querySelectorAll(".terminals-list tbody tr")].find((one) => one.innerText.includes("MN-D1")).innerText.match(/\t?(\d+ 秒前|刚刚)/));
      await page.unroute("**/api/v1/terminals*");
      await row(page, "13800000001").locator("td").first().click();
      await page.click(".terminals-facts a[href*='at=']");
      await page.waitForFunction(() => document.querySelector(".map-panel h2")?.innerText === "渣土车0号");
      // The device names its terminal, and leads back.
      await page.click(".map-panel [data-testid=terminal]");
      await page.waitForFunction(() => document.querySelector(".terminals-panel")?.innerText.includes("13800000001"));
      return window;
    },

    "terminals: who called and is in no list; and who has no right to them sees none": async () => {
      await county("terminals");
      const window = await enter(CENTRE, "#/terminals");
      const { page } = window;
      await page.click(".terminals-attention a[href='#/terminals/callers']");
      await page.waitForFunction(() => document.querySelectorAll(".terminals tbody tr").length === 2);
      const shown = await text(page, ".terminals");
      expect(shown.includes("STRANGER-1") && shown.includes("不在名单里") && shown.includes("PW=***;MN=STRANGER-1;<b>") && !shown.includes("654321"), shown);
      await check(page, "callers");
      await shot(page, "terminals-callers");
      const other = await enter({}, "#/terminals");
      await other.page.waitForSelector("main .quiet");
      expect(!(await text(other.page, "header nav")).includes("终端"), "it is in the navigation of who has not the right");
      expect(other.faults.length === 0, other.faults.join("\n"));
      await other.context.close();
      return window;
    },

    ...looked("terminals", async ({ size, language, theme }) => {
      await county("terminals");
      const window = await enter({ ...CENTRE, size, language, theme }, "#/terminals");
      const { page } = window;
      await count(page, 6);
      await page.waitForSelector(".terminals-counts");
      await check(page, `terminals at ${size}`);
      await shot(page, `terminals-${size}-${language}-${theme}`);
      await row(page, "13800000001").locator("td").first().click();
      await page.waitForSelector(".terminals-commands li");
      await page.click("[data-command=set_parameters]");
      await check(page, `a terminal at ${size}`);
      await shot(page, `terminal-${size}-${language}-${theme}`);
      await go(page, "#/terminals/callers");
      await page.waitForFunction(() => document.querySelectorAll(".terminals tbody tr").length === 2);
      await check(page, `callers at ${size}`);
      await shot(page, `callers-${size}-${language}-${theme}`);
      return window;
    }),
  };
}
