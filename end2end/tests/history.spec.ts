// A long room: the newest page at once, older ones while scrolling, every message once, in order.
import { each, edit, expect, line, lines, openRoom, post, postLines, test } from "../campfire.ts";
import type { Message } from "../campfire.ts";
import { atRest, enter, expectStill, firstInSight, history, message, pill } from "../chat.ts";
import { roomAbove, scrollTo, texts } from "../chat.ts";
import type { APIRequestContext, Page } from "@playwright/test";
import { randomUUID } from "node:crypto";

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

/** What somebody notices who reads: see `watchReading`. */
interface Noticed {
  /** Milliseconds between frames in which something moved. */
  gaps: number[];
  /** Milliseconds of tasks that held everything up. */
  long: number[];
  /** Pixels that the text under the eye moved each time rows came or went. */
  jumps: number[];
  /** The most rows in the document at once. */
  most: number;
}

/** Takes down in the page itself what a reader would notice, until asked for it. */
async function watchReading(page: Page): Promise<() => Promise<Noticed>> {
  const noticed = await history(page).evaluateHandle((list) => {
    const noticed: Noticed = { gaps: [], long: [], jumps: [], most: 0 };
    const rows = list.querySelector("#rows")!;
    let eye = { id: "", top: 0 };
    let frame = { at: 0, scrolled: 0 };
    let changed = false;
    const textOf = (row: Element): Element => row.querySelector(".message__text")!;
    // The first message in sight, found by halving: this must not be what takes long.
    const look = (): void => {
      const edge = list.getBoundingClientRect().top;
      const all = rows.getElementsByClassName("message");
      let [from, to] = [0, all.length - 1];
      while (from < to) {
        const middle = (from + to) >> 1;
        if (textOf(all[middle]!).getBoundingClientRect().bottom > edge + 1) to = middle;
        else from = middle + 1;
      }
      const row = all[from];
      if (row) eye = { id: row.id, top: textOf(row).getBoundingClientRect().top };
    };
    // What the reader's own hand moves has moved by the time of these; between them nothing may.
    const turn = (now: number): void => {
      look();
      const scrolled = list.scrollTop;
      const moved = changed || scrolled !== frame.scrolled;
      if (frame.at > 0 && moved) noticed.gaps.push(now - frame.at);
      frame = { at: now, scrolled };
      changed = false;
      requestAnimationFrame(turn);
    };
    requestAnimationFrame(turn);
    list.addEventListener("scroll", look, { capture: true });
    new MutationObserver(() => {
      const row = document.getElementById(eye.id);
      const moved = row ? textOf(row).getBoundingClientRect().top - eye.top : Infinity;
      noticed.jumps.push(Math.abs(moved));
      noticed.most = Math.max(noticed.most, rows.getElementsByClassName("message").length);
      changed = true;
      look();
    }).observe(rows, { childList: true });
    new PerformanceObserver((tasks) => {
      noticed.long.push(...tasks.getEntries().map(({ duration }) => Math.round(duration)));
    }).observe({ type: "longtask" });
    return noticed;
  });
  return () => noticed.evaluate((noticed) => noticed);
}

/** The ids of all messages of a room, oldest first. */
async function allIds(api: APIRequestContext, room_id: number): Promise<number[]> {
  const ids: number[] = [];
  for (let more = true; more; ) {
    const before = ids.length > 0 ? `&before=${ids[0]}` : "";
    const page = await api.get(`/api/rooms/${room_id}/messages?limit=500${before}`);
    const older = (await page.json()) as { messages: Message[]; has_more: boolean };
    ids.unshift(...older.messages.map(({ id }) => id));
    more = older.has_more;
  }
  return ids;
}

test("of thousands of messages a thousand are read without a jump", async ({
  david,
  jason,
  server,
}, testInfo) => {
  test.slow();
  const { id } = await openRoom(david.request, "Watercooler");
  const speakers = await Promise.all(
    [david, jason].map(async (page) => {
      await page.goto("about:blank");
      const cookies = await page.context().cookies(server.url);
      return cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
    }),
  );
  // Short and long ones, in turns, so that rows are of many heights and heads come and go. Past
  // Playwright, which takes ten times as long for each.
  await each(Array.from({ length: 3_000 }), async (_, at) => {
    const words = at % 5 === 0 ? "Many words on several lines. ".repeat((at % 11) + 1) : "A few";
    const posted = await fetch(`${server.url}/api/rooms/${id}/messages`, {
      method: "POST",
      headers: { cookie: speakers[at % 7 < 4 ? 0 : 1]!, "content-type": "application/json" },
      body: JSON.stringify({ body: `${at}: ${words}`, client_message_id: randomUUID() }),
    });
    expect(posted.status, await posted.text()).toBe(201);
  });
  const ids = await allIds(david.request, id);
  expect(ids).toHaveLength(3_000);
  await enter(david, `/rooms/${id}`);
  await atRest(david);
  const noticed = await watchReading(david);

  /** Where the page stands in the whole; fails unless it is a whole part of it. */
  const expectPart = async (): Promise<{ first: number; last: number; seen: number }> => {
    const [shown, seen] = await history(david).evaluate((list) => {
      const rows = [...list.querySelectorAll<HTMLElement>(".message")];
      const edge = list.getBoundingClientRect().top;
      const seen = rows.find((row) => row.getBoundingClientRect().bottom > edge);
      return [rows.map((row) => Number(row.dataset.id)), Number(seen?.dataset.id)] as const;
    });
    const first = ids.indexOf(shown[0]!);
    expect(shown).toEqual(ids.slice(first, first + shown.length));
    return { first, last: first + shown.length - 1, seen: ids.indexOf(seen) };
  };
  /** Turns the wheel or presses a key, from frame to frame, until one has got somewhere. */
  const read = async (
    turn: () => Promise<void>,
    there: (seen: number) => boolean,
  ): Promise<void> => {
    for (let { seen } = await expectPart(); !there(seen); { seen } = await expectPart()) {
      await turn();
      await david.evaluate(() => new Promise((settle) => requestAnimationFrame(settle)));
    }
  };
  const wheel = (by: number) => () => david.mouse.wheel(0, by);
  const press = (key: string) => () => david.keyboard.press(key);

  await history(david).hover();
  await read(wheel(-600), (seen) => seen < 2_400);
  await history(david).focus();
  await read(press("PageUp"), (seen) => seen < 1_900);
  expect((await expectPart()).last, "far rows have left the document").toBeLessThan(2_300);
  await read(press("PageDown"), (seen) => seen > 2_300);
  await read(wheel(600), (seen) => seen > 2_900);
  await expect(async () => {
    await david.mouse.wheel(0, 5_000);
    await expect(pill(david)).toHaveCount(0, { timeout: 500 });
  }).toPass({ timeout: 20_000 });
  expect((await expectPart()).last).toBe(2_999);

  const { gaps, long, jumps, most } = await noticed();
  gaps.sort((a, b) => a - b);
  const part = (share: number): number => Math.round(gaps[Math.floor(gaps.length * share)] ?? NaN);
  const description =
    `${gaps.length} frames, half within ${part(0.5)} ms, 95 % within ${part(0.95)} ms; ` +
    `${long.length} long tasks, ${Math.max(0, ...long)} ms at most; ` +
    `rows came and went ${jumps.length} times, ${most} of them at most`;
  testInfo.annotations.push({ type: "reading", description });
  expect(jumps.length, "pages that came").toBeGreaterThan(30);
  expect(Math.max(...jumps), "pixels that the text under the eye moved").toBeLessThanOrEqual(2);
  expect(most, "rows at once").toBeLessThanOrEqual(350);
  expect(part(0.5), `${description}; a frame in the middle of all`).toBeLessThan(50);
});
