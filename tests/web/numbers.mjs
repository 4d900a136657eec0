// Every number opens the list behind it, and that list has as many: a crawler over the views, which goes by the links' data-number. page.mjs
// runs it with its own.

/** The tests, by name; `tools` are page.mjs's. */
export function numberTests({ enter, county, expect, shot }) {
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
        .waitForFunction((wanted) => new RegExp(`共 ${wanted} 条`).test(document.body.innerText), number, { timeout: 20_000 })
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
  };
}
