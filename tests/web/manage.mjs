// What an administrator keeps: people, tokens, alarm rules. page.mjs runs these with its own.

/** The tests, by name; `tools` are page.mjs's. */
export function manageTests({ enter, expect, check, shot, text, open, BASE }) {
  const CENTRE = { login: "wang.wu" };
  const row = (page, words) => page.locator(".table tbody tr", { hasText: words });
  const secretOf = async (page) => {
    await page.waitForSelector(".operate-secret");
    return page.inputValue(".operate-secret");
  };

  return {
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
