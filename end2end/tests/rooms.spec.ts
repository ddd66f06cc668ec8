// Rooms: made, joined, changed, left and deleted, in browsers side by side, on a small screen and
// without scripts.
import { answered, expect, openRoom, post, test } from "../campfire.ts";
import type { Room, User } from "../campfire.ts";
import { composer, enter, expectNoReload, mark, message, roomLink, say, texts } from "../chat.ts";
import { roomId } from "../chat.ts";
import type { Locator, Page } from "@playwright/test";

const unread = /nav-item--unread/;

const group = (page: Page, name: string): Locator =>
  page.locator("nav.sidebar").getByRole("region", { name, exact: true });

const bell = (page: Page): Locator => page.getByRole("button", { name: /^Notifications/ });

async function me(page: Page): Promise<User> {
  return (await page.request.get("/api/me")).json() as Promise<User>;
}

async function closedRoom(page: Page, name: string, ...others: Page[]): Promise<Room> {
  const user_ids = await Promise.all(others.map(async (other) => (await me(other)).id));
  const data = { name, kind: "closed", user_ids };
  const made = await page.request.post("/api/rooms", { data });
  expect(made.status()).toBe(201);
  return made.json() as Promise<Room>;
}

test("a closed room is made with a picker, and reaches who was picked at once", async ({
  david,
  jason,
  kevin,
}) => {
  await mark(jason, kevin);
  await group(david, "Rooms").getByRole("link", { name: "New room" }).click();
  await david.getByLabel("Room name").fill("Founders");
  await david.getByLabel("Topic").fill("Only the two of us");
  await david.getByRole("radio", { name: /^Closed/ }).check();
  await david.getByRole("searchbox", { name: "Filter people" }).fill("JAS");
  await expect(david.getByRole("checkbox", { name: "Kevin" })).toBeHidden();
  await david.getByRole("checkbox", { name: "Jason" }).check();
  await david.getByRole("button", { name: "Create room" }).click();
  await expect(david.getByRole("heading", { level: 1 })).toHaveText("Founders");
  await expect(david.locator(".bar__topic")).toHaveText("Only the two of us");
  await expect(roomLink(jason, "Founders").locator("use")).toHaveAttribute("href", /#lock$/);
  await expect(roomLink(kevin, "Founders")).toHaveCount(0);
  await expectNoReload(jason, kevin);
});

test("who is removed is told, and hears nothing more", async ({ david, jason }) => {
  const room = await closedRoom(david, "Founders", jason);
  await roomLink(jason, "Founders").click();
  await post(david.request, room.id, "Before");
  await expect(message(jason, "Before")).toBeVisible();
  await mark(jason);
  const user_ids = [(await me(david)).id];
  await david.request.patch(`/api/rooms/${room.id}`, { data: { user_ids } });
  await expect(jason.getByRole("link", { name: "Go to another room" })).toBeVisible();
  await expect(composer(jason)).toBeHidden();
  await expect(texts(jason)).toHaveCount(0);
  await expect(roomLink(jason, "Founders")).toHaveCount(0);
  await post(david.request, room.id, "After");

  const both = [...user_ids, (await me(jason)).id];
  await david.request.patch(`/api/rooms/${room.id}`, { data: { user_ids: both } });
  await expect(composer(jason)).toBeVisible();
  await expect(texts(jason)).toHaveText(["Before", "After"]);
  await expectNoReload(jason);
});

test("a room is renamed, opened and deleted under everybody's eyes", async ({
  david,
  jason,
  kevin,
}) => {
  const room = await closedRoom(david, "Founders", jason);
  await roomLink(jason, "Founders").click();
  await mark(jason, kevin);
  await enter(david, `/rooms/${room.id}/edit`);
  await david.getByLabel("Room name").fill("Everybody's");
  await david.getByRole("radio", { name: /^Open/ }).check();
  await david.getByRole("button", { name: "Save room" }).click();
  await expect(jason.getByRole("heading", { level: 1 })).toHaveText("Everybody's");
  await expect(roomLink(kevin, "Everybody's").locator("use")).toHaveAttribute("href", /#hash$/);

  await enter(david, `/rooms/${room.id}/edit`);
  await david.getByRole("link", { name: "Delete room…" }).click();
  await david.getByRole("button", { name: "Delete room" }).click();
  await expect(roomLink(david, "Everybody's")).toHaveCount(0);
  await expect(roomLink(kevin, "Everybody's")).toHaveCount(0);
  await expect(jason.getByRole("link", { name: "Go to another room" })).toBeVisible();
  await expectNoReload(jason, kevin);
});

test("a message to somebody starts a direct room, which can be put away", async ({
  david,
  jason,
}) => {
  await enter(david, `/users/${(await me(jason)).id}`);
  await david.getByRole("button", { name: "Message" }).click();
  await expect(david.getByRole("heading", { level: 1 })).toHaveText("Jason");
  const link = group(jason, "Direct messages").getByRole("link", { name: /^David/ });
  await expect(link.locator(".presence")).toBeVisible();
  await say(david, "Between us");
  await expect(link).toHaveClass(unread);
  await link.click();
  await expect(message(jason, "Between us")).toBeVisible();
  await expect(link).not.toHaveClass(unread);

  await david.getByRole("link", { name: "Room settings" }).click();
  await david.getByRole("button", { name: "Put away" }).click();
  const back = group(david, "Direct messages").getByRole("link", { name: /^Jason/ });
  await expect(back).toHaveCount(0);
  await say(jason, "Are you there?");
  await expect(back).toHaveClass(unread);
});

test("the bell leads through every level, and an invisible room comes back from the profile", async ({
  david,
  jason,
}) => {
  for (const level of ["mentions only", "everything", "nothing", "invisible"]) {
    await expect(bell(david)).toHaveAccessibleName(`Notifications: ${level}`);
    if (level !== "invisible") await bell(david).click();
  }
  await expect(roomLink(david, "All Talk")).toHaveCount(0);
  await say(jason, "Can you hear me?");
  await david.locator("a.you").click();
  await david.getByRole("button", { name: "Show again" }).click();
  await expect(roomLink(david, "All Talk")).toHaveClass(unread);
});

test("a mention is counted where it was not seen, and everywhere until it is", async ({
  david,
  jason,
}) => {
  const room = await openRoom(david.request, "Design");
  await roomLink(jason, "Design").click();
  await say(david, "Look, @jason!");
  await expect(message(david, "Look, @Jason!").locator(".mention")).toHaveText("@Jason");
  await expect(roomLink(jason, "All Talk").locator(".badge")).toHaveText(/^1/);
  await expect(jason).toHaveTitle(/^\(1\) Design/);
  const second = await jason.context().newPage();
  await enter(second, "/rooms/1");
  await expect(message(second, "Look, @Jason!")).toHaveClass(/message--called/);
  await expect(roomLink(jason, "All Talk").locator(".badge")).toHaveCount(0);
  await expect(jason).toHaveTitle(/^Design/);
  expect(roomId(jason)).toBe(room.id);
});

test("starred rooms come first; sections stay closed; typing finds a room", async ({ david }) => {
  await openRoom(david.request, "Café");
  await david.getByRole("button", { name: "Star this room" }).click();
  await expect(group(david, "Starred").getByRole("link")).toHaveText(["All Talk"]);
  await group(david, "Rooms").locator("summary").click();
  await expect(roomLink(david, "Café")).toBeHidden();
  await enter(david, "/rooms/1");
  await expect(roomLink(david, "Café")).toBeHidden();
  await group(david, "Rooms").locator("summary").click();
  const field = david.getByRole("searchbox", { name: "Find a room" });
  await field.fill("cafe");
  await expect(david.locator("nav.sidebar a[data-room]")).toHaveText(["Café"]);
  await field.press("Enter");
  await expect(david.getByRole("heading", { level: 1 })).toHaveText("Café");
  await expect(field).toHaveValue("");
});

test("rooms work on a small screen", async ({ david }) => {
  await david.setViewportSize({ width: 390, height: 844 });
  await enter(david, "/rooms/new");
  await david.getByLabel("Room name").fill("On the way");
  await david.getByRole("button", { name: "Create room" }).click();
  await expect(david.getByRole("heading", { level: 1 })).toHaveText("On the way");
  await bell(david).click();
  await expect(bell(david)).toHaveAccessibleName("Notifications: everything");
  const wide = await david.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  expect(wide, "the page scrolls sideways").toBe(false);
  await enter(david, "/rooms/directs/new");
  const title = david.locator(".bar__name");
  await expect(title).toHaveText("New direct message");
  const cut = await title.evaluate((title) => title.scrollWidth > title.clientWidth);
  expect(cut, "the title is cut off").toBe(false);
  await david.getByRole("link", { name: "Back to the chat" }).click();
  await expect(david).toHaveURL(/\/rooms\/\d+$/);
});

test("every form of a room works without scripts", async ({ david, jason, visitor, guard }) => {
  guard.allow(answered(422));
  const plain = await visitor({ javaScriptEnabled: false });
  const cookies = await david.context().cookies();
  await plain.context().addCookies(cookies);
  await plain.goto("/rooms/new");
  await plain.getByLabel("Topic").fill("Kept");
  await plain.getByLabel("Room name").fill("  ");
  await plain.getByRole("button", { name: "Create room" }).click();
  await expect(plain.getByText("This cannot be empty.")).toBeVisible();
  await expect(plain.getByLabel("Topic")).toHaveValue("Kept");
  await plain.getByLabel("Room name").fill("Plain");
  await plain.getByRole("radio", { name: /^Closed/ }).check();
  await plain.getByRole("checkbox", { name: "Jason" }).check();
  await plain.getByRole("button", { name: "Create room" }).click();
  await expect(roomLink(jason, "Plain")).toBeVisible();
  await bell(plain).click();
  await expect(bell(plain)).toHaveAccessibleName("Notifications: everything");
  await plain.getByRole("link", { name: "Room settings" }).click();
  await plain.getByRole("checkbox", { name: "Jason" }).uncheck();
  await plain.getByRole("button", { name: "Save room" }).click();
  await expect(roomLink(jason, "Plain")).toHaveCount(0);
  await plain.getByRole("link", { name: "Room settings" }).click();
  await plain.getByRole("button", { name: "Leave" }).click();
  await expect(roomLink(plain, "Plain")).toHaveCount(0);
  await group(plain, "Direct messages").getByRole("link", { name: "New direct message" }).click();
  await plain.getByRole("checkbox", { name: "Jason" }).check();
  await plain.getByRole("button", { name: "Start writing" }).click();
  await expect(plain.getByRole("heading", { level: 1 })).toHaveText("Jason");
});
