// The network goes and comes back, the server stops and starts: nothing is lost, nothing is said
// twice, nobody has to reload. What is unsent is in unsent.spec.ts.
import { edit, expect, line, lines, openRoom, post, postLines, remove } from "../campfire.ts";
import { serverIsDown, stored, test } from "../campfire.ts";
import { banner, composer, enter, expectNoReload, heard, hears, mark, message } from "../chat.ts";
import { line as unreadLine, pill, reaction, roomLink, say, scrollTo, texts } from "../chat.ts";
import { toast, typing, use } from "../chat.ts";
import type { Page } from "@playwright/test";

/** Remembers whether the banner is ever seen from now on, however briefly. */
async function watchForBanner(page: Page): Promise<() => Promise<boolean>> {
  const seen = await banner(page).evaluateHandle((banner: HTMLElement) => {
    const seen = { seen: !banner.hidden };
    new MutationObserver(() => (seen.seen ||= !banner.hidden)).observe(banner, {
      attributes: true,
    });
    return seen;
  });
  return () => seen.evaluate(({ seen }) => seen);
}

/** Cuts one browser off: no new connection succeeds, and the old one breaks with the server. */
async function cutOff(page: Page, server: { restart: () => Promise<void> }): Promise<void> {
  await page.context().setOffline(true);
  await server.restart();
}

/** Reads the sentence that says what did not work, and puts it away. */
async function acknowledge(page: Page, sentence: string): Promise<void> {
  const said = toast(page).filter({ hasText: sentence });
  // By when it was said, because the same may be said again at any moment.
  const at = await said.getAttribute("data-at");
  const notice = page.locator(`.toast[data-at="${at}"]`);
  await notice.getByRole("button", { name: "Close" }).click();
  await expect(notice).toHaveCount(0);
}

test("while the server is gone people write on, and afterwards everything is said once", async ({
  david,
  jason,
  server,
  guard,
}) => {
  guard.allow(serverIsDown);
  await say(david, "Before");
  await expect(message(jason, "Before")).toBeVisible();
  await mark(david, jason);
  await server.kill();
  for (const page of [david, jason]) {
    await expect(banner(page)).toBeVisible();
    await expect(banner(page)).toContainText("The connection is gone.");
  }
  await say(david, "First, from David");
  await say(jason, "Second, from Jason");
  await say(david, "Third, from David");
  await expect(message(david, "First, from David")).toHaveClass(/message--pending/);
  await expect(message(david, "First, from David")).toContainText("Sending…");
  await expect(message(jason, "Second, from Jason")).toHaveClass(/message--pending/);
  await composer(david).fill("Still writing");
  await expect(texts(david)).toHaveText(["Before", "First, from David", "Third, from David"]);

  await server.start();
  const said = ["Before", "First, from David", "Second, from Jason", "Third, from David"];
  for (const page of [david, jason]) {
    await expect(texts(page)).toHaveCount(4, { timeout: 60_000 });
    await expect(page.locator(".message--pending, .message--failed")).toHaveCount(0);
    await expect(banner(page)).toBeHidden();
  }
  const order = (await stored(david.request, 1)).map((one) => one.body);
  expect([...order].sort()).toEqual(said);
  expect(order.indexOf(said[1]!)).toBeLessThan(order.indexOf(said[3]!));
  for (const page of [david, jason]) await expect(texts(page)).toHaveText(order);
  await expect(composer(david)).toHaveValue("Still writing");
  await say(jason, "After");
  await expect(message(david, "After")).toBeVisible();
  await expectNoReload(david, jason);
});

test("a button in the banner tries again at once", async ({ david, server, guard }) => {
  guard.allow(serverIsDown);
  await server.kill();
  await expect(banner(david)).toBeVisible();
  const failed = david.waitForEvent("websocket");
  await banner(david).getByRole("button", { name: "Reconnect" }).click();
  await failed;
  await server.start();
  await banner(david).getByRole("button", { name: "Reconnect" }).click();
  await expect(banner(david)).toBeHidden();
});

test("a network that was away brings every message, edit and deletion", async ({
  david,
  jason,
  server,
  guard,
}) => {
  guard.allow(serverIsDown);
  const [typo, mistake] = await Promise.all([
    post(jason.request, 1, "A typpo"),
    post(jason.request, 1, "A mistake"),
  ]);
  await post(jason.request, 1, "As it was");
  await expect(texts(david)).toHaveCount(3);
  await mark(david, jason);
  await cutOff(david, server);
  await say(jason, "While you were away");
  await edit(jason.request, typo.id, "A typo");
  await remove(jason.request, mistake.id);
  const short = await post(jason.request, 1, "Written and deleted");
  await remove(jason.request, short.id);
  await say(jason, "Are you there?");
  await expect(message(jason, "Are you there?")).not.toHaveClass(/message--pending/);
  await expect(message(david, "While you were away")).toHaveCount(0);
  await say(david, "Written in a tunnel");
  await expect(message(david, "Written in a tunnel")).toHaveClass(/message--pending/);

  await david.context().setOffline(false);
  const said = ["A typo", "As it was", "While you were away", "Are you there?"];
  for (const page of [david, jason]) {
    await expect(texts(page)).toHaveText([...said, "Written in a tunnel"], { timeout: 40_000 });
    await expect(message(page, "A typo")).toContainText("(edited)");
  }
  await expect(banner(david)).toBeHidden();
  await expectNoReload(david, jason);
});

test("a gap of more than 500 changes begins with a fresh page", async ({
  david,
  jason,
  server,
  guard,
}) => {
  guard.allow(serverIsDown);
  const { id } = await openRoom(david.request, "Watercooler");
  await postLines(jason.request, id, 1, 60);
  await enter(david, `/rooms/${id}`);
  await mark(david);
  await cutOff(david, server);
  await postLines(jason.request, id, 61, 680);
  const resets = heard(david, "reset");
  await david.context().setOffline(false);
  await expect(texts(david).last()).toHaveText(line(680), { timeout: 40_000 });
  expect(heard(david, "reset"), "the reset is explicit").toBe(resets + 1);
  await expect(texts(david)).toHaveText(lines(631, 680));
  await expect(message(david, line(680))).toBeInViewport({ ratio: 1 });

  await post(jason.request, id, line(681));
  await expect(texts(david)).toHaveText(lines(631, 681));
  await scrollTo(david, 1e6);
  await expect(texts(david)).toHaveText(lines(581, 681));
  await expectNoReload(david);
});

test("a fresh page that does not load at once leaves no gap", async ({
  david,
  jason,
  server,
  guard,
}) => {
  guard.allow(serverIsDown, /net::ERR_FAILED/);
  const { id } = await openRoom(david.request, "Watercooler");
  await postLines(jason.request, id, 1, 20);
  await enter(david, `/rooms/${id}`);
  await cutOff(david, server);
  await postLines(jason.request, id, 21, 540);
  // The very first request after the reset fails, as on a network that is just coming back.
  await david.route(/\/messages\??$/, (route) => route.abort(), { times: 1 });
  await david.context().setOffline(false);
  await hears(david, "reset", 1);
  await post(jason.request, id, line(541));
  await expect(texts(david).first()).toHaveText(/Line 49[12]/, { timeout: 40_000 });
  await expect(texts(david).last()).toHaveText(line(541));
  const shown = await texts(david).allTextContents();
  expect(shown).toEqual(lines(542 - shown.length, 541));
});

test("a reader of old messages is not thrown about by a reconnection", async ({
  david,
  jason,
  server,
}) => {
  const { id } = await openRoom(david.request, "Watercooler");
  await postLines(jason.request, id, 1, 60);
  await enter(david, `/rooms/${id}`);
  await scrollTo(david, 500);
  await expect(pill(david)).toHaveText("Jump to newest");
  const welcomes = heard(david, "welcome");
  await server.restart();
  await post(jason.request, id, line(61));
  await hears(david, "welcome", welcomes + 1);
  await expect(pill(david)).toHaveText("1 new message");
  await pill(david).click();
  await expect(message(david, line(61))).toBeInViewport({ ratio: 1 });
});

test("a quick restart is hardly noticed", async ({ david, jason, server }) => {
  await say(david, "Before");
  await expect(message(jason, "Before")).toBeVisible();
  await mark(david, jason);
  const seen = [await watchForBanner(david), await watchForBanner(jason)];
  const welcomes = [david, jason].map((page) => heard(page, "welcome"));
  await server.restart();
  for (const [at, page] of [david, jason].entries()) {
    await hears(page, "welcome", welcomes[at]! + 1);
  }
  await say(david, "After");
  await expect(message(jason, "After")).toBeVisible();
  await composer(jason).fill("Yes?");
  await expect(typing(david)).toHaveText("Jason is typing");
  for (const wasSeen of seen) expect(await wasSeen(), "the banner was seen").toBe(false);
  await expectNoReload(david, jason);
});

test("a quick restart shows the banner in none of a dozen tabs", async ({ david, server }) => {
  // Tabs come back one after the other, each after a time of its own; the slowest counts too.
  const tabs = [david];
  while (tabs.length < 12) {
    const tab = await david.context().newPage();
    await enter(tab, "/rooms/1");
    tabs.push(tab);
  }
  const seen = await Promise.all(tabs.map(watchForBanner));
  const welcomes = tabs.map((tab) => heard(tab, "welcome"));
  await server.restart();
  for (const [at, tab] of tabs.entries()) await hears(tab, "welcome", welcomes[at]! + 1);
  expect(await Promise.all(seen.map((wasSeen) => wasSeen()))).toEqual(Array(12).fill(false));
});

test("what cannot be done while the server is gone is said, and done when it is back", async ({
  david,
  jason,
  server,
  guard,
}) => {
  guard.allow(serverIsDown);
  const silence = "The server did not answer. Try again.";
  const asked = message(david, "Ready?");
  await say(jason, "Ready?");
  // An answer comes after the question on every screen only if it has been read first.
  await expect(asked).toBeVisible();
  for (const text of ["Nearly", "Not yet"]) await say(david, text);
  await use(asked, "react");
  await asked.getByRole("button", { name: "React with thumbs up" }).click();
  await expect(reaction(message(jason, "Ready?"), "👍")).toBeVisible();
  await expect(texts(jason)).toHaveText(["Ready?", "Nearly", "Not yet"]);
  await mark(david, jason);
  await server.kill();
  await expect(banner(david)).toBeVisible();

  await use(asked, "react");
  await asked.getByRole("button", { name: "React with fire" }).click();
  await acknowledge(david, silence);
  await expect(reaction(asked, "🔥")).toHaveCount(0);
  await reaction(asked, "👍").click();
  await acknowledge(david, silence);
  await expect(reaction(asked, "👍")).toHaveAttribute("aria-pressed", "true");

  await use(asked, "react");
  const words = asked.getByRole("textbox", { name: "Emoji name or a few words" });
  await words.fill("ship it");
  await words.press("Enter");
  await acknowledge(david, silence);
  await expect(words).toHaveValue("ship it");
  await words.press("Escape");
  await expect(words).toBeHidden();

  await composer(david).fill("**Half** a thought");
  await david.getByRole("button", { name: "Formatting" }).click();
  const toggle = david.getByRole("toolbar").getByRole("button", { name: "Preview" });
  const preview = david.getByRole("region", { name: "Preview" });
  await toggle.click();
  await acknowledge(david, "The preview did not come. Try again.");
  await expect(preview).toBeHidden();
  await expect(composer(david)).toHaveValue("**Half** a thought");

  await use(asked, "unread");
  await acknowledge(david, silence);
  await expect(unreadLine(david)).toHaveCount(0);
  await expect(roomLink(david, "All Talk")).not.toHaveClass(/nav-item--unread/);

  const undo = david.getByRole("button", { name: "Undo" });
  await use(message(david, "Nearly"), "remove");
  await expect(texts(david)).toHaveText(["Ready?", "Not yet"]);
  await undo.click();
  await expect(texts(david)).toHaveText(["Ready?", "Nearly", "Not yet"]);
  // Deleting another one ends the moment of the first; its own lasts while somebody hesitates.
  await use(message(david, "Nearly"), "remove");
  await use(message(david, "Not yet"), "remove");
  await undo.focus();
  await expect(texts(david)).toHaveText(["Ready?", "Nearly"]);
  await acknowledge(david, silence);
  await acknowledge(david, silence);
  await expect(texts(david)).toHaveText(["Ready?", "Nearly", "Not yet"]);
  await expect(undo).toHaveCount(0);

  await server.start();
  for (const page of [david, jason]) {
    await page.evaluate(() => window.dispatchEvent(new Event("online")));
    await expect(banner(page)).toBeHidden();
    await expect(texts(page)).toHaveText(["Ready?", "Nearly", "Not yet"]);
    await expect(page.locator("button.reaction")).toHaveText([/👍\s*1/]);
  }
  await use(asked, "react");
  await asked.getByRole("button", { name: "React with fire" }).click();
  await reaction(asked, "👍").click();
  for (const page of [david, jason]) {
    await expect(page.locator("button.reaction")).toHaveText([/🔥\s*1/]);
  }
  await toggle.click();
  await expect(preview.locator("strong")).toHaveText("Half");
  await toggle.click();
  await use(asked, "unread");
  await expect(unreadLine(david)).toHaveCount(1);
  await expect(roomLink(david, "All Talk")).toHaveClass(/nav-item--unread/);
  await use(message(david, "Nearly"), "remove");
  await use(message(david, "Not yet"), "remove");
  for (const page of [david, jason]) await expect(texts(page)).toHaveText(["Ready?"]);
  await expect(composer(david)).toHaveValue("**Half** a thought");
  await expect(toast(david)).toHaveCount(0);
  await expectNoReload(david, jason);
});

test("what reached the server is done, though its answer was lost", async ({
  david,
  jason,
  guard,
}) => {
  guard.allow(/net::ERR_FAILED/);
  await say(jason, "Ready?");
  await expect(message(david, "Ready?")).toBeVisible();
  await say(david, "Nearly");
  await expect(texts(jason)).toHaveText(["Ready?", "Nearly"]);
  const lost: string[] = [];
  await david.route(/\/api\/messages\/\d+/, async (route) => {
    lost.push(route.request().method());
    await route.fetch();
    await route.abort();
  });
  const silence = "The server did not answer. Try again.";
  const asked = message(david, "Ready?");
  await use(asked, "react");
  await asked.getByRole("button", { name: "React with fire" }).click();
  await acknowledge(david, silence);
  for (const page of [david, jason]) {
    await expect(page.locator("button.reaction")).toHaveText([/🔥\s*1/]);
  }
  await reaction(asked, "🔥").click();
  await acknowledge(david, silence);
  for (const page of [david, jason]) await expect(page.locator(".reaction")).toHaveCount(0);
  await use(message(david, "Nearly"), "remove");
  await acknowledge(david, silence);
  for (const page of [david, jason]) await expect(texts(page)).toHaveText(["Ready?"]);
  expect(lost).toEqual(["POST", "DELETE", "DELETE"]);
});
