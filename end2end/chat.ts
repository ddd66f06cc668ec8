// What a person sees and does on a page of the chat, in the words of its markup. Nothing here
// expects anything beyond being there; what should be so stands in tests/.
import { expect } from "@playwright/test";
import type { BrowserContext, Locator, Page } from "@playwright/test";

// The socket. A page shows no sign of being connected, because nothing on it waits for that, so
// tests listen to the documented frames instead.

const frames = new WeakMap<Page, string[]>();

/** Takes down the types of the frames that pages of this context receive. */
export function overhear(context: BrowserContext): void {
  context.on("page", (page) => {
    const types: string[] = [];
    frames.set(page, types);
    page.on("websocket", (socket) =>
      socket.on("framereceived", ({ payload }) => types.push(JSON.parse(String(payload)).type)),
    );
  });
}

/** How many frames of a type a page has received so far. */
export function heard(page: Page, type: string): number {
  return (frames.get(page) ?? []).filter((one) => one === type).length;
}

/** Waits until a page has received `count` frames of a type. */
export async function hears(page: Page, type: string, count: number): Promise<void> {
  await expect
    .poll(() => heard(page, type), { message: `"${type}" frames`, timeout: 40_000 })
    .toBeGreaterThanOrEqual(count);
}

// Coming in.

/** Waits until the browser client has taken the page over; before that only links and forms work. */
export async function hydrated(page: Page): Promise<void> {
  await expect(page.locator("html")).toHaveAttribute("data-hydrated", "true");
}

/** Does what loads a page, and waits until that page is live: hydrated, its socket greeted. */
export async function live(page: Page, load: () => Promise<unknown>): Promise<void> {
  const before = heard(page, "welcome");
  await load();
  await hydrated(page);
  await hears(page, "welcome", before + 1);
}

/** Opens an address of the signed-in chat and waits until the page is live. */
export async function enter(page: Page, path: string): Promise<void> {
  await live(page, () => page.goto(path));
}

/** The room in the address bar. */
export function roomId(page: Page): number {
  const id = /\/rooms\/(\d+)/.exec(page.url())?.[1];
  if (id === undefined) throw new Error(`${page.url()} is no room.`);
  return Number(id);
}

/** Leaves a mark that does not survive a reload. */
export async function mark(...pages: Page[]): Promise<void> {
  for (const page of pages) await page.evaluate(() => Object.assign(window, { marked: true }));
}

/** Fails if a page was loaded again since `mark`. */
export async function expectNoReload(...pages: Page[]): Promise<void> {
  for (const page of pages) {
    expect(await page.evaluate(() => "marked" in window), "the page was loaded again").toBe(true);
  }
}

/** Presses a key until something has the focus; returns what had it on the way. */
export async function pressUntil(
  page: Page,
  key: string,
  goal: Locator,
  limit: number,
): Promise<string> {
  const stops: string[] = [];
  while (!(await goal.evaluate((goal) => goal === document.activeElement))) {
    await page.keyboard.press(key);
    stops.push(await page.evaluate(() => document.activeElement?.outerHTML.slice(0, 100) ?? ""));
    expect(stops.length, `${key}:\n${stops.join("\n")}`).toBeLessThanOrEqual(limit);
  }
  return stops.join("\n");
}

// The room.

export const composer = (page: Page): Locator => page.locator("#body");
export const history = (page: Page): Locator => page.locator("#history");
export const banner = (page: Page): Locator => page.locator(".banner");
export const pill = (page: Page): Locator => page.locator(".dock .jump");
export const unreadPill = (page: Page): Locator => page.locator(".jump--up");
export const line = (page: Page): Locator => page.locator(".divider--new");
export const typing = (page: Page): Locator => page.locator(".typing");
export const replyLine = (page: Page): Locator => page.locator("#reply .composer__context");
export const toast = (page: Page): Locator => page.locator(".toast");

/** The texts of all messages on a page, top to bottom. */
export const texts = (page: Page): Locator => page.locator(".message .message__text");

/** The message with exactly this text. */
export function message(page: Page, text: string): Locator {
  const whole = new RegExp(`^\\s*${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}\\s*$`);
  return page
    .locator(".message")
    .filter({ has: page.locator(".message__text", { hasText: whole }) });
}

/** A tool of a message. Tools show when the pointer is over the message. */
export async function use(row: Locator, action: string): Promise<void> {
  await row.hover();
  // Below reactions stands another way to one more.
  await row.locator(`[data-action=${action}]:not(.reaction)`).click();
}

/** What people have added to a message, by what it is. */
export const reaction = (row: Locator, content: string): Locator =>
  row.locator(`button.reaction[value="${content}"]`);

/** Writes and sends as people do. */
export async function say(page: Page, text: string): Promise<void> {
  await composer(page).fill(text);
  await composer(page).press("Enter");
}

/** A room in the sidebar. */
export function roomLink(page: Page, name: string): Locator {
  return page.locator("nav.sidebar a[data-room]").filter({ hasText: name });
}

/** Somebody in the sidebar's list of people who are here. */
export function online(page: Page, name: string): Locator {
  return page.getByRole("region", { name: "Online" }).getByRole("link", { name });
}

// Where the reader is. The list is laid out from its end: 0 is the bottom, negative is above.

/** Scrolls to this many pixels above the newest loaded message, and waits until all is at rest. */
export async function scrollTo(page: Page, above: number): Promise<void> {
  await history(page).evaluate((list, above) => list.scrollTo({ top: -above }), above);
  await atRest(page);
}

/** Waits until the list has looked the same for a few frames: rows are measured as they appear. */
export async function atRest(page: Page): Promise<void> {
  await history(page).evaluate(async (list) => {
    const look = () => {
      const tops = [...list.querySelectorAll(".message")].map((m) => m.getBoundingClientRect().top);
      return `${list.scrollTop} ${list.scrollHeight} ${tops}`;
    };
    for (let same = 0, last = ""; same < 4; same += 1) {
      const now = look();
      if (now !== last) [same, last] = [0, now];
      await new Promise((settle) => requestAnimationFrame(settle));
    }
  });
}

/** How many pixels lie above what is in sight. */
export async function roomAbove(page: Page): Promise<number> {
  return history(page).evaluate((list) => list.scrollHeight - list.clientHeight + list.scrollTop);
}

/** The first message in sight, and where its text begins: heads come and go with the page above. */
export async function firstInSight(page: Page): Promise<{ id: string; top: number }> {
  await atRest(page);
  return history(page).evaluate((list) => {
    const edge = list.getBoundingClientRect().top;
    for (const row of list.querySelectorAll<HTMLElement>(".message")) {
      const text = row.querySelector(".message__text")?.getBoundingClientRect();
      if (text && text.bottom > edge + 1) return { id: row.dataset.id ?? "", top: text.top };
    }
    throw new Error("No message is in sight.");
  });
}

/** Fails unless a message is where it was, to a few pixels. */
export async function expectStill(page: Page, was: { id: string; top: number }): Promise<void> {
  await atRest(page);
  const text = page.locator(`#m-${was.id} .message__text`);
  const top = await text.evaluate((text) => text.getBoundingClientRect().top);
  expect(Math.abs(top - was.top), "pixels that the text has moved").toBeLessThanOrEqual(4);
}
