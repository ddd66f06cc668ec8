// Moving and reading, by keyboard alone: the quick switcher, rooms and messages by arrow keys, the
// unread line, rooms marked unread, and deleting with a moment to think better of it.
import { answered, edit, expect, line as numbered, lines, openRoom, post } from "../campfire.ts";
import { postLines, test } from "../campfire.ts";
import { composer, enter, expectNoReload, heard, hears, line, live, mark, message } from "../chat.ts";
import { pill, roomLink, say, scrollTo, texts, toast, unreadPill } from "../chat.ts";
import type { Locator, Page } from "@playwright/test";

const unread = /nav-item--unread/;
const switcher = (page: Page): Locator => page.getByRole("dialog", { name: "Jump to" });
const chosen = (page: Page): Locator => page.locator("#switcher-list [aria-selected=true]");
const title = (page: Page): Locator => page.getByRole("heading", { level: 1 });

/** Puts the focus on a message, as Shift+Tab from the composer does. */
async function standOn(page: Page, text: string): Promise<void> {
  await message(page, text).focus();
  await expect(message(page, text)).toBeFocused();
}

test("the switcher leads to rooms, people and actions", async ({ david, jason, kevin }) => {
  await openRoom(david.request, "Café Größe");
  const water = await openRoom(david.request, "Watercooler");
  await mark(david, jason);
  await expect(roomLink(david, "Watercooler")).toBeVisible();
  await post(jason.request, water.id, "Something new");
  await expect(roomLink(david, "Watercooler")).toHaveClass(unread);

  await david.keyboard.press("Control+k");
  await expect(switcher(david)).toBeVisible();
  await expect(switcher(david).getByRole("combobox")).toBeFocused();
  await expect(chosen(david), "what waits comes first").toContainText("Watercooler");
  await david.keyboard.press("Enter");
  await expect(title(david)).toHaveText("Watercooler");
  await expect(composer(david)).toBeFocused();
  await expect(message(david, "Something new")).toBeVisible();

  // By what the letters are without marks, and by initials.
  for (const typed of ["cafe gros", "cg"]) {
    await david.keyboard.press("Control+k");
    await david.keyboard.type(typed);
    await expect(chosen(david)).toContainText("Café Größe");
    await david.keyboard.press("Escape");
    await expect(switcher(david)).toBeHidden();
    await expect(title(david), "nothing has happened").toHaveText("Watercooler");
  }
  await david.keyboard.press("Control+k");
  await david.keyboard.type("theme");
  await david.keyboard.press("ArrowDown");
  await expect(chosen(david)).toContainText("dark");
  await david.keyboard.press("Enter");
  await expect(david.locator("html")).toHaveAttribute("data-theme", "dark");
  await expectNoReload(david);

  // Somebody without a direct room: choosing them opens one.
  await david.keyboard.press("Control+k");
  await david.keyboard.type("kev");
  await expect(chosen(david)).toContainText("Kevin");
  await live(david, () => david.keyboard.press("Enter"));
  await expect(title(david)).toHaveText("Kevin");
  await expect(roomLink(kevin, "David")).toBeVisible();
  await david.keyboard.press("Control+k");
  await david.keyboard.type("activity");
  await live(david, () => david.keyboard.press("Enter"));
  await expect(title(david)).toHaveText("Activity");
  await david.keyboard.press("Control+k");
  await david.keyboard.type("sign out");
  await david.keyboard.press("Enter");
  await expect(david).toHaveURL(/\/session\/new/);
});

test("Alt and the arrow keys lead along the rooms", async ({ david, jason }) => {
  const [one] = [await openRoom(david.request, "Ants"), await openRoom(david.request, "Bees")];
  const last = await openRoom(david.request, "Crabs");
  await expect(roomLink(david, "Crabs")).toBeVisible();
  await mark(david);
  await david.keyboard.press("Alt+ArrowDown");
  await expect(title(david)).toHaveText("Ants");
  await david.keyboard.press("Alt+ArrowDown");
  await expect(title(david)).toHaveText("Bees");
  await david.keyboard.press("Alt+ArrowUp");
  await expect(title(david)).toHaveText("Ants");
  await post(jason.request, last.id, "New in Crabs");
  await expect(roomLink(david, "Crabs")).toHaveClass(unread);
  await david.keyboard.press("Alt+Shift+ArrowDown");
  await expect(title(david)).toHaveText("Crabs");
  await expect(roomLink(david, "Crabs")).not.toHaveClass(unread);
  await post(jason.request, one.id, "New in Ants");
  await expect(roomLink(david, "Ants")).toHaveClass(unread);
  await david.keyboard.press("Alt+Shift+ArrowUp");
  await expect(title(david)).toHaveText("Ants");
  await david.keyboard.press("Alt+Shift+ArrowUp");
  await expect(title(david), "nothing else waits").toHaveText("Ants");
  await expectNoReload(david);
});

test("the question mark shows every shortcut", async ({ david }) => {
  const sheet = david.getByRole("dialog", { name: "Keyboard shortcuts" });
  await composer(david).press("?");
  await expect(composer(david)).toHaveValue("?");
  await expect(sheet).toHaveCount(0);
  await composer(david).fill("");
  await say(david, "A message");
  await standOn(david, "A message");
  await david.keyboard.press("?");
  await expect(sheet).toBeVisible();
  await expect(sheet).toContainText("Mark unread from here");
  await david.keyboard.press("Escape");
  await expect(sheet).toBeHidden();
  await expect(message(david, "A message")).toBeFocused();
  await enter(david, "/users/1");
  await david.getByRole("button", { name: "Shortcuts" }).press("Enter");
  await expect(sheet).toBeVisible();
});

test("keys on a message do what its tools do", async ({ david, jason }) => {
  for (const text of ["One", "Two", "Three"]) await say(david, text);
  await expect(david.locator(".message--pending")).toHaveCount(0);
  await standOn(david, "Three");
  await david.keyboard.press("Home");
  await expect(message(david, "One")).toBeFocused();
  await david.keyboard.press("End");
  await expect(message(david, "Three")).toBeFocused();
  await david.keyboard.press("ArrowUp");
  await david.keyboard.press("Enter");
  await expect(message(david, "Two").locator("#tools button").first()).toBeFocused();
  await david.keyboard.press("Escape");
  await expect(message(david, "Two")).toBeFocused();
  await david.keyboard.press("e");
  const field = david.getByRole("textbox", { name: "Message text" });
  await expect(field).toBeFocused();
  await expect(field).toHaveValue("Two");
  await field.press("Escape");
  await expect(message(david, "Two")).toBeFocused();
  await david.keyboard.press("Escape");
  await expect(composer(david)).toBeFocused();

  // The arrow in the empty field edits one's last message.
  await post(jason.request, 1, "Somebody else's");
  await expect(message(david, "Somebody else's")).toBeVisible();
  await composer(david).press("ArrowUp");
  await expect(field).toHaveValue("Three");
  await field.fill("Three and a half");
  await field.press("Enter");
  await expect(message(david, "Three and a half")).toContainText("(edited)");
  await composer(david).fill("Not empty");
  await composer(david).press("ArrowUp");
  await expect(field).toHaveCount(0);

  await standOn(jason, "One");
  await jason.keyboard.press("e");
  await jason.keyboard.press("Delete");
  await expect(jason.getByRole("button", { name: "Undo" })).toHaveCount(0);
  await expect(message(jason, "One")).toBeVisible();
});

test("a message that is deleted can be had back for a moment", async ({ david, jason }) => {
  for (const text of ["One", "Two", "Three"]) await say(david, text);
  await expect(texts(jason)).toHaveText(["One", "Two", "Three"]);
  await standOn(david, "Two");
  await david.keyboard.press("Delete");
  await expect(texts(david)).toHaveText(["One", "Three"]);
  await expect(david.getByRole("status").filter({ hasText: "Message deleted" })).toBeVisible();
  await expect(message(david, "Three"), "the focus goes to a neighbour").toBeFocused();
  await david.keyboard.press("Control+z");
  await expect(texts(david)).toHaveText(["One", "Two", "Three"]);
  await expect(message(david, "Two")).toBeFocused();
  await expect(david.getByRole("button", { name: "Undo" })).toHaveCount(0);
  await expect(texts(jason), "nothing was said of it").toHaveText(["One", "Two", "Three"]);

  // One after the other: the first goes at once. Leaving the page does not wait either.
  await david.keyboard.press("Delete");
  await standOn(david, "One");
  await david.keyboard.press("Backspace");
  await expect(texts(jason)).toHaveText(["One", "Three"]);
  await live(david, () => david.reload());
  await expect(texts(jason)).toHaveText(["Three"]);
  await expect(texts(david)).toHaveText(["Three"]);
});

test("a line shows where one left off, and goes with the next visit", async ({ david, jason }) => {
  const { id } = await openRoom(david.request, "Watercooler");
  await postLines(david.request, id, 1, 3);
  await enter(jason, `/rooms/${id}`);
  await expect(texts(jason)).toHaveText(lines(1, 3));
  await hears(jason, "read", 1);
  await enter(jason, "/rooms/1");
  await postLines(david.request, id, 4, 6);
  await mark(jason);
  await expect(roomLink(jason, "Watercooler")).toHaveClass(unread);
  await jason.keyboard.press("Alt+Shift+ArrowDown");
  const below = line(jason).locator("xpath=following-sibling::*[1]");
  await expect(below).toContainText(numbered(4));
  // It stays where it is, whatever happens around it.
  await post(david.request, id, "Seven");
  await say(jason, "Eight");
  await expect(message(jason, "Eight")).toBeVisible();
  await expect(below).toContainText(numbered(4));
  await expect(line(jason)).toHaveCount(1);
  await jason.keyboard.press("Alt+ArrowUp");
  await expect(line(jason)).toHaveCount(0);
  await jason.keyboard.press("Alt+ArrowDown");
  await expect(message(jason, "Eight")).toBeVisible();
  await expect(line(jason), "everything is read").toHaveCount(0);
  await expectNoReload(jason);
});

test("marking unread in vain leaves the line where it was", async ({ david, jason, guard }) => {
  guard.allow(answered(500));
  const { id } = await openRoom(david.request, "Watercooler");
  await postLines(david.request, id, 1, 3);
  await enter(jason, `/rooms/${id}`);
  await hears(jason, "read", 1);
  await enter(jason, "/rooms/1");
  await postLines(david.request, id, 4, 6);
  await enter(jason, `/rooms/${id}`);
  await hears(jason, "read", 1);
  const below = line(jason).locator("xpath=following-sibling::*[1]");
  await expect(below).toContainText(numbered(4));
  await jason.route(/\/unread$/, (route) => route.fulfill({ status: 500, json: {} }));
  await standOn(jason, numbered(2));
  await jason.keyboard.press("u");
  await expect(toast(jason)).toContainText("The server did not answer. Try again.");
  await expect(below).toContainText(numbered(4));
  await expect(roomLink(jason, "Watercooler")).not.toHaveClass(unread);
  await expect(message(jason, numbered(2))).toBeFocused();
});

test("the line stands in the page without scripts, and far above a pill leads to it", async ({
  david,
  jason,
  visitor,
}) => {
  const { id } = await openRoom(david.request, "Watercooler");
  const posted = await postLines(david.request, id, 1, 10);
  const data = { message_id: posted[9]!.id };
  await jason.request.put(`/api/rooms/${id}/read`, { data });
  await postLines(david.request, id, 11, 220);
  const storageState = await jason.context().storageState();
  const plain = await visitor({ javaScriptEnabled: false, storageState });
  await plain.goto(`/rooms/${id}`);
  await unreadPill(plain).click();
  await expect(line(plain).locator("xpath=following-sibling::*[1]")).toContainText(numbered(11));

  await enter(jason, `/rooms/${id}`);
  await expect(texts(jason)).toHaveText(lines(171, 220));
  await expect(line(jason)).toHaveCount(0);
  await unreadPill(jason).press("Enter");
  await expect(line(jason)).toBeInViewport();
  await expect(message(jason, numbered(11))).toBeFocused();
  await expect(unreadPill(jason)).toHaveCount(0);
  // From there to the newest without a gap, and what is said meanwhile is there.
  await post(david.request, id, numbered(221));
  await expect(async () => {
    await scrollTo(jason, 0);
    await expect(texts(jason).last()).toHaveText(numbered(221), { timeout: 500 });
  }).toPass({ timeout: 40_000 });
  const shown = await texts(jason).allTextContents();
  expect(shown).toEqual(lines(222 - shown.length, 221));
  await expect(async () => {
    await scrollTo(jason, 0);
    await expect(pill(jason)).toHaveCount(0, { timeout: 500 });
  }).toPass({ timeout: 10_000 });
});

test("a room marked unread stays so on both devices until Escape", async ({
  david,
  jason,
  visitor,
}) => {
  const { id } = await openRoom(david.request, "Watercooler");
  await postLines(david.request, id, 1, 5);
  await enter(jason, `/rooms/${id}`);
  const other = await visitor({ storageState: await jason.context().storageState() });
  await enter(other, `/rooms/${id}`);
  await expect(roomLink(other, "Watercooler")).not.toHaveClass(unread);
  await standOn(jason, numbered(3));
  await jason.keyboard.press("u");
  for (const page of [jason, other]) {
    await expect(line(page).locator("xpath=following-sibling::*[1]")).toContainText(numbered(3));
    await expect(roomLink(page, "Watercooler")).toHaveClass(unread);
  }
  // New messages do not make it read, though it is on screen.
  const reads = heard(jason, "read");
  await post(david.request, id, "Six");
  await expect(message(other, "Six")).toBeVisible();
  await expect(roomLink(jason, "Watercooler")).toHaveClass(unread);
  await expect(roomLink(other, "Watercooler")).toHaveClass(unread);
  expect(heard(jason, "read")).toBe(reads);

  await composer(other).fill("In the middle of something");
  await composer(other).press("Escape");
  await expect(line(other)).toHaveCount(1);
  await composer(other).fill("");
  await composer(other).press("Escape");
  for (const page of [jason, other]) {
    await expect(line(page)).toHaveCount(0);
    await expect(roomLink(page, "Watercooler")).not.toHaveClass(unread);
  }

  // Leaving and coming back reads it as well.
  await standOn(jason, numbered(4));
  await jason.keyboard.press("u");
  await expect(roomLink(jason, "Watercooler")).toHaveClass(unread);
  await jason.keyboard.press("Alt+ArrowUp");
  await jason.keyboard.press("Alt+ArrowDown");
  await expect(line(jason).locator("xpath=following-sibling::*[1]")).toContainText(numbered(4));
  await expect(roomLink(jason, "Watercooler")).not.toHaveClass(unread);
});

test("a very long room is scrolled with three hundred rows at most", async ({ david }) => {
  const { id } = await openRoom(david.request, "Watercooler");
  const posted = await postLines(david.request, id, 1, 600);
  await edit(david.request, posted[299]!.id, "In the middle");
  await enter(david, `/rooms/${id}/@${posted[299]!.id}`);
  await expect.poll(() => texts(david).count()).toBeGreaterThanOrEqual(81);
  await expect(message(david, "In the middle")).toHaveClass(/message--found/);
  for (let turn = 0; turn < 8; turn += 1) {
    await scrollTo(david, 1e6);
    expect(await texts(david).count()).toBeLessThanOrEqual(300);
  }
  await expect(pill(david)).toBeVisible();
  await pill(david).press("Enter");
  await expect(message(david, numbered(600))).toBeInViewport();
});
