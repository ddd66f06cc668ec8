// A long room: the newest page at once, older ones while scrolling, every message once, in order.
import { edit, expect, line, lines, openRoom, post, postLines, test } from "../campfire.ts";
import { enter, expectStill, firstInSight, history, message, pill } from "../chat.ts";
import { roomAbove, scrollTo, texts } from "../chat.ts";
import type { Page } from "@playwright/test";

/** Holds back pages of history until they are let through, so that there is time to look. */
async function gate(page: Page): Promise<{ asked: () => number; open: () => void }> {
  let asked = 0;
  let open = () => {};
  await page.route(/messages\?(before|after)=/, async (route) => {
    asked += 1;
    await new Promise<void>((settle) => (open = settle));
    await route.continue();
  });
  return { asked: () => asked, open: () => open() };
}

/** The numbers of the lines on a page; fails unless they are consecutive. */
async function expectConsecutive(page: Page): Promise<{ first: number; last: number }> {
  const shown = await texts(page).allTextContents();
  const first = Number(shown[0]?.slice(-3));
  const last = first + shown.length - 1;
  expect(shown).toEqual(lines(first, last));
  return { first, last };
}

/** Turns the wheel until a line is at the top or the bottom of what is loaded. */
async function readTo(page: Page, end: "first" | "last", text: string): Promise<void> {
  await history(page).hover();
  await expect(async () => {
    await page.mouse.wheel(0, end === "first" ? -10_000 : 10_000);
    await expectConsecutive(page);
    await expect(texts(page)[end]()).toHaveText(text, { timeout: 500 });
  }).toPass({ timeout: 40_000 });
}

test("a room opens with its newest fifty messages, in the HTML already", async ({
  david,
  visitor,
}) => {
  const { id } = await openRoom(david.request, "Watercooler");
  await postLines(david.request, id, 1, 180);
  const storageState = await david.context().storageState();
  const reader = await visitor({ javaScriptEnabled: false, storageState });
  await reader.goto(`/rooms/${id}`);
  await expect(texts(reader)).toHaveText(lines(131, 180));
  await expect(message(reader, line(180))).toBeInViewport({ ratio: 1 });

  await enter(david, `/rooms/${id}`);
  await expect(texts(david)).toHaveText(lines(131, 180));
  await expect(message(david, line(180))).toBeInViewport({ ratio: 1 });
  await expect(pill(david)).toHaveCount(0);
});

test("scrolling up brings older messages and moves nothing", async ({ david }) => {
  const { id } = await openRoom(david.request, "Watercooler");
  await postLines(david.request, id, 1, 180);
  await enter(david, `/rooms/${id}`);
  const { asked, open } = await gate(david);

  for (const [round, top] of [131, 81, 31].entries()) {
    await expect(texts(david)).toHaveText(lines(top, 180));
    // Once from a little below the edge, once from the very edge.
    const above = await roomAbove(david);
    const below = -(await history(david).evaluate((list) => list.scrollTop));
    await scrollTo(david, round === 1 ? below + above : below + above - 200);
    await expect.poll(asked).toBe(round + 1);
    await expect(david.getByRole("log")).toHaveAttribute("aria-busy", "true");
    const place = await firstInSight(david);
    open();
    await expect(texts(david).first()).toHaveText(line(Math.max(1, top - 50)));
    await expectStill(david, place);
    await expect(david.getByRole("log")).toHaveAttribute("aria-busy", "false");
    await expectStill(david, place);
  }
  await expect(texts(david)).toHaveText(lines(1, 180));
  await scrollTo(david, 1e6);
  await expect(texts(david)).toHaveText(lines(1, 180));
  expect(asked(), "nothing is asked for beyond the beginning").toBe(3);

  await expect(pill(david)).toHaveText("Jump to newest");
  await pill(david).click();
  await expect(message(david, line(180))).toBeInViewport({ ratio: 1 });
  await expect(pill(david)).toHaveCount(0);
});

test("changes on the way through history are never lost or doubled", async ({ david, jason }) => {
  const { id } = await openRoom(david.request, "Watercooler");
  const posted = await postLines(david.request, id, 1, 120);
  await enter(david, `/rooms/${id}`);
  const { asked, open } = await gate(david);
  await scrollTo(david, 1e6);
  await expect.poll(asked).toBe(1);
  // While the older page is on its way, one of its messages changes and a new one arrives.
  await edit(david.request, posted[59]!.id, "Line 060, changed");
  await post(jason.request, id, line(121));
  await expect(texts(david).last()).toHaveText(line(121));
  open();
  await expect(texts(david).first()).toHaveText(line(21));
  const expected = lines(21, 121);
  expected[39] = "Line 060, changed";
  await expect(texts(david)).toHaveText(expected);
});

test("a very long room can be read to its beginning and back", async ({ david }) => {
  const { id } = await openRoom(david.request, "Watercooler");
  await postLines(david.request, id, 1, 420);
  await enter(david, `/rooms/${id}`);
  await readTo(david, "first", line(1));
  // Far rows leave the document, so that it stays light.
  expect(await texts(david).count()).toBeLessThanOrEqual(300);
  await expectConsecutive(david);

  await readTo(david, "last", line(420));
  await scrollTo(david, 0);
  await post(david.request, id, line(421));
  await expect(texts(david).last()).toHaveText(line(421));
  await expectConsecutive(david);

  await readTo(david, "first", line(1));
  await pill(david).click();
  await expect(message(david, line(421))).toBeInViewport({ ratio: 1 });
  await expect(pill(david)).toHaveCount(0);
  expect(await expectConsecutive(david)).toMatchObject({ last: 421 });
});

test("a link to a message opens the room around it", async ({ david }) => {
  const { id } = await openRoom(david.request, "Watercooler");
  const posted = await postLines(david.request, id, 1, 180);
  await enter(david, `/rooms/${id}/@${posted[99]!.id}`);
  const { first, last } = await expectConsecutive(david);
  expect([first < 100, last > 100, last < 180]).toEqual([true, true, true]);
  await expect(pill(david)).toHaveText("Jump to newest");
  for (const near of [99, 100, 101]) {
    await expect(message(david, line(near))).toBeInViewport({ ratio: 1 });
  }
});

test("scrolling down from an old message brings newer ones and moves nothing", async ({
  david,
}) => {
  const { id } = await openRoom(david.request, "Watercooler");
  const posted = await postLines(david.request, id, 1, 180);
  await enter(david, `/rooms/${id}/@${posted[59]!.id}#m-${posted[59]!.id}`);
  await expect(message(david, line(60))).toBeInViewport({ ratio: 1 });
  const { asked, open } = await gate(david);
  let loads = 0;
  for (let { last } = await expectConsecutive(david); last < 180; loads += 1) {
    // A person's wheel: at the very end it turns, but scrolls nothing any more.
    await history(david).hover();
    await david.mouse.wheel(0, 5_000);
    await expect.poll(asked).toBe(loads + 1);
    const place = await firstInSight(david);
    open();
    await expect(texts(david).last()).not.toHaveText(line(last));
    await expectStill(david, place);
    last = (await expectConsecutive(david)).last;
  }
  await scrollTo(david, 0);
  await expect(message(david, line(180))).toBeInViewport({ ratio: 1 });
  await expect(pill(david)).toHaveCount(0);
  await post(david.request, id, line(181));
  await expect(message(david, line(181))).toBeInViewport({ ratio: 1 });
  await expectConsecutive(david);
});

test("a message that arrives while an old part is on screen is found below", async ({
  david,
  jason,
}) => {
  const { id } = await openRoom(david.request, "Watercooler");
  const posted = await postLines(david.request, id, 1, 180);
  await enter(david, `/rooms/${id}/@${posted[59]!.id}`);
  await post(jason.request, id, line(181));
  await expect(pill(david)).toHaveText("1 new message");
  const { last } = await expectConsecutive(david);
  expect(last).toBeLessThan(180);
  await pill(david).click();
  await expect(message(david, line(181))).toBeInViewport({ ratio: 1 });
  expect(await expectConsecutive(david)).toMatchObject({ last: 181 });
});

test("the time of a message is a link to it", async ({ david }) => {
  const { id } = await openRoom(david.request, "Watercooler");
  const posted = await postLines(david.request, id, 1, 80);
  await enter(david, `/rooms/${id}`);
  await message(david, line(40)).hover();
  await message(david, line(40)).locator("a.message__time").click();
  await expect(david).toHaveURL(new RegExp(`/rooms/${id}/@${posted[39]!.id}(#|$)`));
  await expect(message(david, line(40))).toBeInViewport({ ratio: 1 });
  await expectConsecutive(david);
});

test("history can be reached on a screen taller than a page of it", async ({ david }) => {
  const { id } = await openRoom(david.request, "Watercooler");
  await postLines(david.request, id, 1, 180);
  await david.setViewportSize({ width: 1440, height: 2560 });
  await enter(david, `/rooms/${id}`);
  await readTo(david, "first", line(1));
  await expect(texts(david)).toHaveText(lines(1, 180));
});
