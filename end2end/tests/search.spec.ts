// Searching: from a room to a query, its filters, its hits in context, and what was searched for.
import { expect, openRoom, post, remove, test } from "../campfire.ts";
import { enter, message } from "../chat.ts";
import type { Locator, Page } from "@playwright/test";

const field = (page: Page): Locator => page.getByRole("searchbox", { name: "Search messages" });
const hits = (page: Page): Locator => page.locator(".result");
const chips = (page: Page): Locator => page.locator(".hint[aria-current=true]");

for (const width of [1440, 390]) {
  for (const javaScriptEnabled of [true, false]) {
    const how = `${width} px${javaScriptEnabled ? "" : ", without scripts"}`;

    test(`a message is found, narrowed, and opened where it was said: ${how}`, async ({
      david,
      jason,
      visitor,
    }) => {
      const design = await openRoom(david.request, "Design");
      await post(jason.request, design.id, "The legend needs more contrast");
      await post(david.request, design.id, "Legends are done");
      const last = await post(david.request, 1, "An unrelated legend");
      const storageState = await david.context().storageState();
      const viewport = { width, height: 900 };
      const page = await visitor({ storageState, viewport, javaScriptEnabled });
      await page.goto(`/rooms/${design.id}`);
      await page.getByRole("link", { name: "Search", exact: true }).click();
      await expect(field(page)).toHaveValue('in:"Design" ');
      await expect(hits(page)).toHaveCount(2);

      await field(page).fill('in:"Design" legend');
      await field(page).press("Enter");
      await expect(page).toHaveURL(/\/searches\?q=/);
      await expect(page.getByText("2 messages, newest first.")).toBeVisible();
      await expect(hits(page)).toContainText(["Legends are done", "The legend needs more"]);
      await expect(hits(page).first().locator("mark")).toHaveText(["Legends"]);
      await expect(chips(page)).toHaveCount(1);
      await page.getByRole("link", { name: "from:me" }).click();
      await expect(hits(page)).toHaveCount(1);
      await expect(chips(page)).toHaveCount(2);
      await chips(page).filter({ hasText: "in:" }).click();
      await expect(field(page)).toHaveValue("legend from:me");
      await expect(hits(page)).toContainText(["An unrelated legend", "Legends are done"]);

      await remove(david.request, last.id);
      await page.reload();
      await expect(hits(page)).toContainText(["Legends are done"]);
      await hits(page).getByRole("link").click();
      await expect(page).toHaveURL(new RegExp(`/rooms/${design.id}/@\\d+#m-\\d+$`));
      await expect(message(page, "Legends are done")).toBeInViewport();
    });

    test(`what was searched for is offered again until it is cleared: ${how}`, async ({
      david,
      visitor,
    }) => {
      await post(david.request, 1, "Morning");
      const storageState = await david.context().storageState();
      const viewport = { width, height: 900 };
      const page = await visitor({ storageState, viewport, javaScriptEnabled });
      await page.goto("/searches");
      for (const words of ["morning", "evening"]) {
        await field(page).fill(words);
        await page.getByRole("button", { name: "Search", exact: true }).click();
        await expect(field(page)).toHaveValue(words);
      }
      await expect(page.getByText("Nothing found.")).toBeVisible();
      const recent = page.getByRole("region", { name: "Recent searches" });
      await expect(recent.getByRole("link")).toHaveText(["evening", "morning"]);
      await recent.getByRole("link", { name: "morning" }).click();
      await expect(hits(page)).toHaveCount(1);
      await recent.getByRole("button", { name: "Clear" }).click();
      await expect(page).toHaveURL("/searches");
      await expect(recent).toHaveCount(0);
    });
  }
}

test("hits come in pages, and the keyboard alone is enough", async ({ david }) => {
  for (let at = 1; at <= 27; at += 1) await post(david.request, 1, `Needle ${at}`);
  await enter(david, "/searches");
  await expect(field(david)).toBeFocused();
  await david.keyboard.type("needle");
  await david.keyboard.press("Enter");
  await expect(hits(david)).toHaveCount(25);
  await expect(hits(david).first()).toContainText("Needle 27");
  const older = david.getByRole("link", { name: "Older messages" });
  await older.focus();
  await david.keyboard.press("Enter");
  await expect(hits(david)).toHaveCount(2);
  await expect(hits(david).last()).toContainText("Needle 1");
  await david.getByRole("link", { name: "Newest" }).focus();
  await david.keyboard.press("Enter");
  await expect(hits(david)).toHaveCount(25);
  await hits(david).first().getByRole("link").focus();
  await david.keyboard.press("Enter");
  await expect(david).toHaveURL(/\/rooms\/1\/@\d+/);
});

test("any text at all is answered, and markup stays text", async ({ david }) => {
  await post(david.request, 1, "<b>bold</b> & <script>alert(1)</script>");
  await enter(david, "/searches");
  for (const text of ['"', "AND OR NOT", "(((", "bold*", "before:tomorrow", "😀", "from:"]) {
    await field(david).fill(text);
    await field(david).press("Enter");
    await expect(david).toHaveURL(/\/searches\?q=/);
    await expect(field(david)).toHaveValue(text);
    await expect(david.getByRole("heading", { level: 1 })).toHaveText("Search");
  }
  await field(david).fill("bold");
  await field(david).press("Enter");
  await expect(hits(david)).toContainText(["<b>bold</b> & <script>alert(1)</script>"]);
});

test("scripts without spaces are found by any part", async ({ david }) => {
  await post(david.request, 1, "今日本日は晴れ");
  await enter(david, `/searches?q=${encodeURIComponent("本日")}`);
  await expect(hits(david).locator("mark")).toHaveText(["本日"]);
});
