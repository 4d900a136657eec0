// Orders of the hotlines, and counties side by side where this platform is above. page.mjs runs these with its own.

/** The tests, by name; `tools` are page.mjs's. */
export function orderTests({ enter, county, expect, check, shot, text, looked }) {
  const CENTRE = { login: "wang.wu" };
  const rows = (page) => page.locator(".orders .table").first().locator("tbody tr").count();
  const go = (page, address) => page.evaluate((wanted) => (location.hash = wanted), address);

  return {
    "orders: listed with their clocks, filtered by the address, acted on by who may, refused in words with nothing lost": async () => {
      await county("orders");
      const window = await enter({ ...CENTRE, forgiven: ["409"] }, "#/orders");
      const { page } = window;
      await page.waitForFunction(() => document.querySelectorAll(".orders tbody tr").length === 6);
      const row = (words) => page.locator(".orders tbody tr", { hasText: words });
      expect(/待签收[\s\S]*紧急[\s\S]*签收还有/.test(await row("路灯不亮").innerText()), await row("路灯不亮").innerText());
      expect(/签收超时/.test(await row("井盖松动 <img src=x>").innerText()) && /办结超时/.test(await row("垃圾无人清运").innerText()), "what is overdue is not said");
      expect(/已办结[\s\S]*按时/.test(await row("噪声扰民").innerText()), await row("噪声扰民").innerText());
      await go(page, "#/orders?overdue=true");
      await page.waitForFunction(() => document.querySelectorAll(".orders tbody tr").length === 2);
      await go(page, "#/orders?state=answered");
      await page.waitForFunction(() => document.querySelectorAll(".orders tbody tr").length === 1);
      await row("噪声扰民").locator("a", { hasText: "噪声扰民" }).click();
      await page.waitForFunction(() => document.querySelector(".orders")?.innerText.includes("已到场劝阻，恢复安静。"));
      expect(/办理结果: 已解决/.test(await text(page, ".orders")), await text(page, ".orders"));
      await check(page, "an order that is answered");
      await shot(page, "orders-one");

      await go(page, "#/orders");
      await row("路灯不亮").locator("a", { hasText: "路灯不亮" }).click();
      await page.waitForSelector("[data-action=sign]");
      expect((await text(page, ".orders-text")).includes("<b>老人</b>"), "a text became markup");
      await page.click("[data-action=return]");
      await page.click(".orders-act button.primary");
      await page.waitForFunction(() => document.querySelector(".orders-act .warn")?.innerText.includes("还没有写：理由"));
      await page.click("[data-action=sign]");
      await page.click(".orders-act button.primary");
      await page.waitForSelector("[data-action=answer]");
      await page.click("[data-action=answer]");
      await page.fill("[name=text]", "已更换灯头 <b>");
      // Somebody else reminds meanwhile: the answer is refused, and stays.
      await county("order_reminded");
      await page.click(".orders-act button.primary");
      await page.waitForFunction(() => document.querySelector(".orders-act .failed")?.innerText.includes("CH011"));
      expect((await page.inputValue("[name=text]")) === "已更换灯头 <b>", "the answer is gone");
      await page.waitForFunction(() => document.querySelector(".orders").innerText.includes("催办 1 次"));
      await page.selectOption("[name=result]", "2");
      await page.click(".orders-act button.primary");
      await page.waitForFunction(() => /部分解决/.test(document.querySelector(".orders").innerText) && document.querySelector(".orders").innerText.includes("已更换灯头 <b>"));
      await page.click("[data-action=visit]");
      await page.selectOption("[name=satisfaction]", "dissatisfied");
      await page.click(".orders-act button.primary");
      await page.waitForFunction(() => document.querySelector(".orders").innerText.includes("满意度: 不满意"));
      expect((await page.locator(".orders .table tbody tr").count()) === 5, "the journal has not what was done");
      return window;
    },

    "orders: an answer goes with photographs of the order's cases, and shows them": async () => {
      await county("orders");
      const number = await county("dispatched", { title: "有照片的案卷" });
      const window = await enter(CENTRE, "#/orders");
      const { page } = window;
      const photo = (await page.screenshot({ type: "jpeg" })).toString("base64");
      await page.evaluate(async ([number, photo]) => {
        const ask = async (path, type, body) => {
          const answer = await fetch(`/api/v1/${path}`, { method: "POST", headers: { "Content-Type": type }, body });
          if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
          return answer.json();
        };
        const { sha256 } = await ask("attachments", "image/jpeg", Uint8Array.from(atob(photo), (letter) => letter.charCodeAt(0)));
        const { version, can } = await (await fetch(`/api/v1/cases/${number}`)).json();
        const post = Object.keys(can).find((one) => can[one].some(({ action }) => action === "attach"));
        await ask(`cases/${number}/actions`, "application/json", JSON.stringify({ action: "attach", post, version, reason: "现场照片", attachments: [{ sha256 }] }));
      }, [number, photo]);
      await page.click(".orders tbody a:has-text('垃圾无人清运')");
      await page.click("[data-action=answer]");
      expect((await page.locator(".orders-pictures").count()) === 0, "there are pictures of no case");
      await page.click("[data-action=link]");
      await page.fill("[name=case]", number);
      await page.click(".orders-act button.primary");
      await page.waitForFunction((number) => document.querySelector(".orders-facts")?.innerText.includes(number), number);
      await page.click("[data-action=answer]");
      await page.fill("[name=text]", "已清运");
      await page.check(".orders-pictures [name=attachments]");
      await page.waitForFunction(() => document.querySelector(".orders-pictures img")?.naturalWidth > 0);
      await check(page, "an answer with photographs");
      await shot(page, "order-answering");
      await page.click(".orders-act button.primary");
      await page.waitForFunction(() => document.querySelector("ul.orders-files img")?.naturalWidth > 0 && document.querySelector(".orders").innerText.includes("已清运"));
      await shot(page, "order-answered");
      return window;
    },

    ...looked("orders, counties and what no map can show", async ({ size, language, theme }) => {
      await county("orders");
      await county("counties");
      await county("misplaced");
      const window = await enter({ ...CENTRE, size, language, theme }, "#/orders");
      const { page } = window;
      await page.waitForSelector(".orders tbody tr");
      expect((await rows(page)) >= 6, "orders are missing");
      await check(page, `orders at ${size}`);
      await shot(page, `orders-${size}-${language}-${theme}`);
      await page.click(".orders tbody td a >> nth=0");
      await page.waitForSelector(".orders-facts");
      await check(page, `an order at ${size}`);
      await shot(page, `order-${size}-${language}-${theme}`);
      for (const which of ["", "?month=2026-10"]) {
        await go(page, `#/counties${which}`);
        await page.waitForSelector(".counties-scores table");
      }
      const shown = await text(page, ".counties");
      expect(/121/.test(shown) && /81/.test(shown) && shown.includes("兰考县 <b>") && /城管局\s*95\.50?[\s\S]*环卫中心\s*91\.25/.test(shown), `the corrections' figures, and departments by score, are not shown: ${shown}`);
      await check(page, `counties at ${size}`);
      await shot(page, `counties-${size}-${language}-${theme}`);
      await go(page, "#/unplaced");
      await page.waitForSelector(".unplaced tbody tr");
      await check(page, `what no map can show at ${size}`);
      await shot(page, `unplaced-${size}-${language}-${theme}`);
      return window;
    }),
  };
}
