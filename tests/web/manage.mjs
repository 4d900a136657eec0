// What an administrator keeps: people, tokens, alarm rules. page.mjs runs these with its own.

/** The tests, by name; `tools` are page.mjs's. */
export function manageTests({ enter, county, expect, check, shot, text, open, BASE }) {
  const CENTRE = { login: "wang.wu" };
  const row = (page, words) => page.locator(".table tbody tr", { hasText: words });
  const secretOf = async (page) => {
    await page.waitForSelector(".operate-secret");
    return page.inputValue(".operate-secret");
  };

  return {
    "a file is judged before it is imported: problems by line in Chinese, then the report, then the store": async () => {
      const window = await enter({ ...CENTRE, size: "office" }, "#/operate/imports");
      const { page } = window;
      await page.waitForSelector("[data-import=departments]");
      const before = Number(await row(page, "单位名录").locator("td.numeric").innerText());
      const choose = (text, name = "单位.csv", mimeType = "text/csv") => page.setInputFiles("[data-testid=file]", { name, mimeType, buffer: Buffer.from(text) });
      const head = "\ufeffcode,name,kind,parent,schedule,active\r\n";
      const kept = 'huanwei,环境卫生服务中心,county,,standard,yes\r\nchengguan,"城市管理局",county,,standard,yes\r\n';
      await page.click("[data-import=departments]");
      // The button is ours: it has the page's words, is reached by Tab and opens the files by a key.
      await page.waitForSelector(".file-choose");
      for (let stops = 0; (await page.evaluate(() => document.activeElement.dataset.testid)) !== "file"; stops++) {
        expect(stops < 10, "Tab does not reach the file's button");
        await page.keyboard.press("Tab");
      }
      // A chooser that is put away chooses nothing, and no more: the window stays.
      await page.evaluate(() => document.activeElement.dispatchEvent(new Event("cancel", { bubbles: true })));
      expect((await page.locator("dialog").count()) === 1, "a chooser put away closes the window around it");
      const opened = page.waitForEvent("filechooser");
      await page.evaluate(() => 0); // the browser knows now that the chooser is ours
      await page.keyboard.press("Enter");
      await opened;
      expect((await page.evaluate(() => getComputedStyle(document.activeElement.nextElementSibling).outlineStyle)) === "solid", "its focus is not seen");
      await check(page, "a file's button");
      await shot(page, "operate-import-button");
      await choose(`${head}jie,"街道 ""东""",moon,nobody,standard,yes\r\n`);
      await page.waitForSelector(".operate-findings tbody tr");
      const report = await page.locator("dialog").innerText();
      expect(report.includes("第 2 行") && report.includes("类型（kind）：须为 street（街道）、county（县直）、enterprise（企业），现为“moon”") && report.includes("文件里没有单位“nobody”"), report);
      expect((await page.locator("dialog button.primary").count()) === 0, "what is wrong can be imported");
      await check(page, "a report");
      await shot(page, "operate-import-wrong");
      await choose(`${head}${kept}a,b\r\n`);
      await page.waitForFunction(() => document.querySelector("dialog [role=alert]")?.innerText.includes("第 4 行的列数和表头不同"));
      await choose(`${head}${kept.split("\r\n")[0]}\r\n`);
      await page.waitForFunction(() => document.querySelector("dialog")?.innerText.includes("城市管理局（chengguan）不在文件里：将停用"));
      await shot(page, "operate-import-strange");
      // As a spreadsheet leaves it: a column without a name, rows without a value.
      await choose(`${head}${kept}dong,"街道 ""东"" <b>",street,,standard,yes\r\n`.replaceAll("\r\n", ",\r\n,,,,,,,\r\n"));
      await page.waitForFunction(() => document.querySelector("dialog")?.innerText.includes("3 条，没有问题，可以导入"));
      expect(Number(await row(page, "单位名录").locator("td.numeric").innerText()) === before, "the check has stored it");
      await page.click("dialog button.primary");
      await page.waitForFunction(() => document.querySelector("dialog")?.innerText.includes("已导入：3 条"));
      await shot(page, "operate-import-done");
      await page.keyboard.press("Escape");
      await page.waitForFunction((count) => [...document.querySelectorAll(".operate tbody tr")].some((one) => one.innerText.includes("单位名录") && one.innerText.includes("wang.wu") && one.querySelector(".numeric").innerText === String(count)), before + 1);

      await page.click("[data-import=components]");
      const feature = { type: "Feature", properties: { code: "4102210100000001" }, geometry: { type: "Point", coordinates: [34.5, 114.4] } };
      await choose(JSON.stringify({ type: "FeatureCollection", features: [feature] }), "部件.geojson", "application/geo+json");
      await page.waitForFunction(() => /第 1 个要素[^]*经纬度是不是反了/.test(document.querySelector("dialog .operate-findings")?.innerText ?? ""));
      feature.geometry.coordinates.reverse();
      await choose(JSON.stringify({ type: "FeatureCollection", features: [feature] }), "部件.geojson", "application/geo+json");
      await page.waitForFunction(() => document.querySelector("dialog")?.innerText.includes("1 条，没有问题"));
      await page.click("dialog button.primary");
      await page.waitForFunction(() => document.querySelector("dialog")?.innerText.includes("新增 1，更改 0"));
      return window;
    },

    "a quarantined message is replayed by a button, one and all that wait, and is stored when its cause is gone": async () => {
      const { ids } = await county("quarantine");
      const window = await enter(CENTRE, `#/operate/quarantine?code=unknown_device&message=${ids[0]}`);
      const { page } = window;
      await page.click("dialog [data-testid=replay]");
      await page.waitForFunction(() => document.querySelector("dialog .good")?.innerText.includes("已重放"));
      await check(page, "a replayed message");
      await shot(page, "operate-replay");
      await county("quarantine_stored", { code: "N0" });
      await page.evaluate(() => (location.hash = "#/operate/quarantine?code=unknown_device&waiting=true"));
      await page.waitForFunction((left) => document.querySelectorAll(".operate tbody tr").length === left, ids.length - 1);
      await page.click("[data-testid=replay]");
      await page.waitForFunction((left) => document.querySelector(".operate [role=status]")?.innerText.includes(`正在重放 ${left} 条`), ids.length - 1);
      await page.waitForFunction(() => document.querySelector(".operate")?.innerText.includes("没有符合条件的内容"));
      await county("quarantine_stored", { code: "N2" });
      return window;
    },

    "a person is added, changed, given a new password and revoked; the secret is shown once": async () => {
      const window = await enter({ ...CENTRE, forgiven: ["409", "422"] }, "#/operate/users");
      const { page } = window;
      await page.waitForSelector(".operate table");
      expect((await row(page, "wang.wu").innerText()).includes("本人"), "who asks is not marked");
      await page.click("text=添加人员");
      await page.click("dialog button.primary");
      await page.waitForFunction(() => document.querySelector("dialog .warn")?.innerText.includes("岗位"));
      await page.fill("[name=new_login]", "li.si");
      await page.fill("[name=name]", "钱<b>八</b>");
      await page.check("[name=acceptor]");
      await page.click("dialog button.primary");
      await page.waitForFunction(() => document.querySelector("dialog .failed")?.innerText.includes("这个账号已经有人用"));
      expect((await page.inputValue("[name=name]")) === "钱<b>八</b>", "the name is gone");
      await check(page, "a form that was refused");
      await shot(page, "operate-user-refused");
      await page.fill("[name=new_login]", "qian.ba");
      await page.click("dialog button.primary");
      const first = await secretOf(page);
      expect(first.length === 20, first);
      await shot(page, "operate-secret");
      await page.keyboard.press("Escape");
      expect((await page.inputValue(".operate-secret")) === first, "Escape has thrown the password away");
      await page.click("dialog button.primary");
      expect((await row(page, "qian.ba").innerText()).includes("钱<b>八</b>"), "the name is not what was typed");

      // Who has it comes in.
      const other = await open({ forgiven: ["401"] });
      await other.page.goto(`${BASE}/#/desk`);
      await other.page.fill("[name=login]", "qian.ba");
      await other.page.fill("[name=password]", first);
      await other.page.keyboard.press("Enter");
      await other.page.waitForSelector("main#content");

      await row(page, "qian.ba").locator("text=修改").click();
      await page.check("dialog [name=registrar]");
      await page.click("dialog button.primary");
      await page.waitForSelector("dialog", { state: "detached" });
      await page.waitForFunction(() => [...document.querySelectorAll("tr")].some((one) => one.innerText.includes("qian.ba") && one.innerText.includes("值班长")));
      await row(page, "qian.ba").locator("text=重设口令").click();
      await page.click("dialog button.primary");
      const second = await secretOf(page);
      expect(second !== first, "the same password");
      await page.click("dialog button.primary");
      await row(page, "qian.ba").locator("button", { hasText: "停用" }).click();
      await page.click("dialog button.danger");
      await page.waitForFunction(() => ![...document.querySelectorAll("tr")].some((one) => one.innerText.includes("qian.ba")));
      await page.check(".operate-tick input");
      await page.waitForFunction(() => [...document.querySelectorAll("tr")].some((one) => one.innerText.includes("qian.ba") && one.innerText.includes("已停用")));
      await other.page.evaluate(() => (location.hash = "#/scores"));
      await other.page.waitForSelector("[name=password]");
      expect(other.faults.length === 0, other.faults.join("\n"));
      await other.context.close();
      return window;
    },

    "a token is made and ended; an alarm rule changed with its source": async () => {
      const window = await enter({ ...CENTRE, forgiven: ["422"] }, "#/operate/tokens");
      const { page } = window;
      await page.click("text=添加令牌");
      await page.fill("[name=token_name]", "qgis");
      await page.click("dialog button.primary");
      const token = await secretOf(page);
      expect(token.startsWith("cht_"), token);
      await page.click("dialog button.primary");
      await page.waitForFunction(() => document.querySelector(".table")?.innerText.includes("qgis"));
      await check(page, "tokens");
      await row(page, "qgis").locator("text=停用").click();
      await page.click("dialog button.danger");
      await page.waitForFunction(() => document.querySelector(".operate")?.innerText.includes("还没有令牌"));

      await page.evaluate(() => (location.hash = "#/operate/rules?subsystem=dust"));
      await page.waitForFunction(() => document.querySelectorAll(".operate tbody tr").length > 3);
      const rule = row(page, "高于").first();
      const name = await rule.locator("td").nth(1).innerText();
      await rule.click();
      const before = Number(await page.inputValue("[name=threshold]"));
      await page.fill("[name=threshold]", String(before + 7));
      await page.click("dialog button.primary");
      await page.waitForFunction(() => document.querySelector("dialog .warn")?.innerText.includes("依据"));
      await page.fill("[name=source]", "县环委办 12 号文");
      await page.fill("[name=clear]", String(before + 99));
      await page.click("dialog button.primary");
      await page.waitForFunction(() => document.querySelector("dialog .failed")?.innerText.includes("恢复值须不高于它"));
      expect((await page.inputValue("[name=source]")) === "县环委办 12 号文", "the source is gone");
      await shot(page, "operate-rule-refused");
      await page.fill("[name=clear]", String(before));
      await page.click("dialog button.primary");
      await page.waitForSelector("dialog", { state: "detached" });
      await page.check(".operate-tick input");
      await page.waitForFunction((wanted) => document.querySelectorAll(".operate tbody tr").length === 1 && document.querySelector(".operate tbody").innerText.includes(wanted), name);
      const changed = await row(page, name).innerText();
      expect(changed.includes(`高于 ${before + 7}`) && changed.includes("县环委办 12 号文") && changed.includes("本县改过"), changed);
      await shot(page, "operate-rules");
      return window;
    },
  };
}
