// Reactions, replies, and the page of what concerns somebody: on two screens, by mouse, keyboard
// and thumb.
import { expect, post, test } from "../campfire.ts";
import { composer, enter, expectNoReload, heard, hears, mark, message } from "../chat.ts";
import { reaction, replyLine, say, texts, toast, use } from "../chat.ts";
import type { Locator, Page } from "@playwright/test";

const activity = (page: Page): Locator =>
  page.locator("nav.sidebar a[href='/activity']");

test("a reaction shows on both screens, and one click joins in or takes it back", async ({
  david,
  jason,
}) => {
  await mark(david, jason);
  await say(david, "Ready?");
  const [his, hers] = [message(david, "Ready?"), message(jason, "Ready?")];
  await use(hers, "react");
  await hers.getByRole("button", { name: "React with thumbs up" }).click();
  for (const row of [his, hers]) await expect(reaction(row, "👍")).toContainText("1");
  await expect(reaction(hers, "👍")).toHaveAttribute("aria-pressed", "true");
  await expect(reaction(his, "👍")).toHaveAttribute("aria-pressed", "false");
  await expect(reaction(his, "👍")).toHaveAttribute("title", "Jason");

  await reaction(his, "👍").click();
  for (const row of [his, hers]) {
    await expect(reaction(row, "👍")).toContainText("2");
    await expect(reaction(row, "👍")).toHaveAttribute("title", "Jason and David");
  }
  await reaction(hers, "👍").click();
  for (const row of [his, hers]) await expect(reaction(row, "👍")).toHaveAttribute("title", "David");
  await expect(reaction(hers, "👍")).toHaveAttribute("aria-pressed", "false");
  await reaction(his, "👍").click();
  for (const row of [his, hers]) await expect(row.locator(".reactions")).toHaveCount(0);
  await expectNoReload(david, jason);

  // What was added while a page was being loaded is on it, and works.
  await use(hers, "react");
  await hers.getByRole("button", { name: "React with fire" }).click();
  await expect(reaction(his, "🔥")).toBeVisible();
  await enter(david, "/rooms/1");
  await reaction(his, "🔥").click();
  await expect(reaction(hers, "🔥")).toContainText("2");
});

test("emoji are found by name and words are added, by keyboard alone", async ({ david, jason }) => {
  await say(david, "Ready?");
  const row = message(david, "Ready?");
  await expect(row).not.toHaveClass(/message--pending/);
  await row.focus();
  await row.locator(".message__tools [data-action=react]").focus();
  await david.keyboard.press("Enter");
  const field = row.getByRole("textbox", { name: "Emoji name or a few words" });
  await expect(field).toBeFocused();
  await expect(field).not.toHaveAttribute("maxlength");
  await david.keyboard.type("party p");
  const found = row.locator(".picker__found button").first();
  await expect(found).toHaveAccessibleName("React with party popper");
  for (const _ of ["Add", "Close", "the first one found"]) await david.keyboard.press("Tab");
  await expect(found).toBeFocused();
  await david.keyboard.press("Enter");
  await expect(reaction(message(jason, "Ready?"), "🎉")).toBeVisible();
  await expect(row).toBeFocused();

  await row.locator(".message__tools [data-action=react]").focus();
  await david.keyboard.press("Enter");
  await expect(field).toHaveValue("");
  await david.keyboard.type("ship it");
  await david.keyboard.press("Enter");
  const pill = reaction(row, "ship it");
  await expect(reaction(message(jason, "Ready?"), "ship it")).toBeVisible();
  await expect(pill).toHaveClass(/reaction--word/);

  // Whoever presses a reaction stays on it while it is there.
  await reaction(message(jason, "Ready?"), "ship it").click();
  await expect(pill).toContainText("2");
  await pill.focus();
  await david.keyboard.press("Space");
  await expect(pill).toHaveAttribute("aria-pressed", "false");
  await expect(pill).toBeFocused();

  // Too long is explained; the server would refuse it as well.
  await row.locator(".message__tools [data-action=react]").focus();
  await david.keyboard.press("Enter");
  await david.keyboard.type("much too long for a reaction");
  await david.keyboard.press("Enter");
  await expect(toast(david)).toContainText("at most 16 characters");
});

test("a reply keeps the draft, quotes its original and follows it", async ({ david, jason }) => {
  await say(david, "The harbour is empty");
  await expect(message(jason, "The harbour is empty")).toBeVisible();
  await composer(jason).fill("A draft");
  await use(message(jason, "The harbour is empty"), "reply");
  await expect(replyLine(jason)).toContainText("Replying to David");
  await expect(composer(jason)).toHaveValue("A draft");
  await expect(composer(jason)).toBeFocused();
  await jason.getByRole("button", { name: "Stop replying" }).click();
  await expect(replyLine(jason)).toHaveCount(0);
  await expect(composer(jason)).toHaveValue("A draft");

  await use(message(jason, "The harbour is empty"), "reply");
  await say(jason, "I can fill it");
  await expect(replyLine(jason)).toHaveCount(0);
  const quote = message(david, "I can fill it").locator(".reply-ref");
  await expect(quote).toContainText("David");
  await expect(quote).toContainText("The harbour is empty");
  await expect(message(david, "I can fill it")).toHaveClass(/message--called/);
  await say(jason, "And this is no reply");
  await expect(message(david, "And this is no reply").locator(".reply-ref")).toHaveCount(0);

  const original = message(david, "The harbour is empty");
  await use(original, "edit");
  await david.getByRole("textbox", { name: "Message text" }).fill("The harbour is full");
  await david.keyboard.press("Enter");
  for (const page of [david, jason]) {
    await expect(page.locator(".reply-ref")).toContainText("The harbour is full");
  }
  await quote.click();
  await expect(david).toHaveURL(/\/rooms\/1\/@\d+#m-\d+$/);
  await expect(message(david, "The harbour is full")).toBeInViewport();
});

test("what concerns somebody is counted on every device until it is seen on one", async ({
  david,
  jason,
  visitor,
}) => {
  const storageState = await david.context().storageState();
  const phone = await visitor({ storageState, viewport: { width: 390, height: 844 } });
  await enter(phone, "/rooms/1");
  await say(david, "Ready?");
  await use(message(jason, "Ready?"), "react");
  await message(jason, "Ready?").getByRole("button", { name: "React with fire" }).click();
  await expect(activity(david)).toContainText("1");
  await use(message(jason, "Ready?"), "reply");
  await say(jason, "Yes");
  for (const page of [david, phone]) await expect(activity(page)).toContainText("2");

  const before = heard(david, "activity");
  await enter(phone, "/activity");
  await expect(phone.locator("#activity .row")).toHaveText([
    /Jason replied to you in All Talk\s*Yes/,
    /Jason added 🔥 to your message in All Talk\s*Ready\?/,
  ]);
  await hears(david, "activity", before + 1);
  await expect(activity(david).locator(".badge")).toHaveCount(0);
  const wide = await phone.evaluate(() => document.documentElement.scrollWidth);
  expect(wide, "nothing sticks out").toBeLessThanOrEqual(390);
  await phone.getByRole("link", { name: /replied to you/ }).click();
  await expect(message(phone, "Yes")).toBeInViewport();
});

test("reactions and replies at 390 px, by touch", async ({ david, visitor }) => {
  await post(david.request, 1, "Ready?");
  const storageState = await david.context().storageState();
  const viewport = { width: 390, height: 844 };
  const phone = await visitor({ storageState, viewport, hasTouch: true, isMobile: true });
  await enter(phone, "/rooms/1");
  const row = message(phone, "Ready?");
  await row.tap();
  await row.locator(".message__tools [data-action=react]").tap();
  await row.getByRole("button", { name: "React with waving hand" }).tap();
  await expect(reaction(row, "👋")).toBeVisible();
  const size = await reaction(row, "👋").boundingBox();
  expect(size?.height, "large enough for a thumb").toBeGreaterThanOrEqual(44);
  const wide = await phone.evaluate(() => document.documentElement.scrollWidth);
  expect(wide, "nothing sticks out").toBeLessThanOrEqual(390);
  await row.tap();
  await row.locator(".message__tools [data-action=reply]").tap();
  await expect(replyLine(phone)).toContainText("Replying to David");
  await composer(phone).fill("Yes");
  await phone.locator(".send").tap();
  await expect(texts(phone)).toContainText(["Ready?", "Yes"]);
});
