// Several people at once: what one does, the others see, without loading anything again.
import { edit, expect, openRoom, post, postLines, remove, rooms } from "../campfire.ts";
import { stored, test } from "../campfire.ts";
import { composer, enter, expectNoReload, expectStill, firstInSight, history } from "../chat.ts";
import { mark, message, online, pill, roomLink, say, scrollTo, texts, typing } from "../chat.ts";
import { use } from "../chat.ts";

test("a message appears on the other screen", async ({ david, jason }) => {
  await mark(david, jason);
  await say(david, "Good morning");
  await expect(message(jason, "Good morning")).toBeVisible();
  await expect(message(david, "Good morning")).not.toHaveClass(/message--pending/);
  await composer(jason).fill("Two lines,\nand a button");
  await jason.locator(".send").click();
  await expect(composer(jason)).toHaveValue("");
  for (const page of [david, jason]) {
    await expect(texts(page)).toHaveText(["Good morning", /Two lines,\s*and a button/]);
    await expect(page.locator(".message__author")).toHaveText(["David", "Jason"]);
  }
  await expectNoReload(david, jason);
});

test("typing shows and goes away with the message or with the text", async ({ david, jason }) => {
  // A sign of typing goes stale after five seconds by itself; it has to be gone well before.
  const soon = { timeout: 3_500 };
  await composer(david).pressSequentially("Hello");
  await expect(typing(jason)).toHaveText("David is typing");
  await expect(typing(david)).toBeEmpty();
  await composer(david).press("Enter");
  await expect(typing(jason)).toBeEmpty(soon);
  await expect(message(jason, "Hello")).toBeVisible();

  await composer(david).fill("Never mi");
  await expect(typing(jason)).toHaveText("David is typing");
  await composer(david).fill("");
  await expect(typing(jason)).toBeEmpty(soon);

  await composer(david).fill("On second thought");
  await expect(typing(jason)).toHaveText("David is typing");
  await expect(typing(jason), "an old sign goes stale").toBeEmpty();
});

test("people are listed while they are here", async ({ david, jason, kevin }) => {
  for (const name of ["David", "Jason", "Kevin"]) await expect(online(jason, name)).toBeVisible();
  await expect(online(david, "Kevin")).toBeVisible();
  await kevin.close();
  await expect(online(david, "Kevin")).toHaveCount(0);
  await expect(online(jason, "Kevin")).toHaveCount(0);
  await expect(online(jason, "David")).toBeVisible();
});

test("edits and deletions show on both screens", async ({ david, jason }) => {
  await say(david, "A typpo");
  await say(david, "A mistake");
  await expect(texts(jason)).toHaveText(["A typpo", "A mistake"]);
  await expect(jason.locator("[data-action=edit]:not([hidden])")).toHaveCount(0);

  await use(message(david, "A typpo"), "edit");
  await david.getByRole("textbox", { name: "Message text" }).fill("A typo");
  await david.keyboard.press("Enter");
  for (const page of [david, jason]) {
    await expect(message(page, "A typo")).toContainText("(edited)");
  }
  await use(message(david, "A mistake"), "remove");
  await david.getByRole("button", { name: "Undo" }).click();
  await expect(message(david, "A mistake")).toBeVisible();
  await expect(message(jason, "A mistake")).toBeVisible();
  await use(message(david, "A mistake"), "remove");
  for (const page of [david, jason]) {
    await expect(texts(page)).toHaveText(["A typo"], { timeout: 15_000 });
  }
  await expect(message(jason, "A typo")).toContainText("(edited)");
});

test("Escape leaves an edited message as it was", async ({ david }) => {
  await say(david, "As it was");
  await use(message(david, "As it was"), "edit");
  const field = david.getByRole("textbox", { name: "Message text" });
  await expect(field).toBeFocused();
  await expect(field).toHaveValue("As it was");
  await field.fill("Something else");
  await field.press("Escape");
  await expect(field).toHaveCount(0);
  await expect(texts(david)).toHaveText(["As it was"]);
  const [kept] = await stored(david.request, 1);
  expect(kept).toMatchObject({ body: "As it was" });
  expect(kept).not.toHaveProperty("edited_at");
});

test("editing another message begins with that message's own text", async ({ david, jason }) => {
  for (const text of ["One", "Two"]) await say(david, text);
  await expect(david.locator(".message--pending")).toHaveCount(0);
  const field = david.getByRole("textbox", { name: "Message text" });
  await use(message(david, "One"), "edit");
  await field.fill("One and a half");
  await use(message(david, "Two"), "edit");
  await expect(field).toHaveValue("Two");
  await field.fill("Two, edited");
  await field.press("Enter");
  await expect(texts(jason)).toHaveText(["One", "Two, edited"]);
});

test("what was typed into a message that is deleted meanwhile is not lost", async ({
  david,
  jason,
}) => {
  await say(jason, "Mine");
  await expect(message(jason, "Mine")).not.toHaveClass(/message--pending/);
  await use(message(jason, "Mine"), "edit");
  await jason.getByRole("textbox", { name: "Message text" }).fill("Mine, at length");
  const [mine] = await stored(david.request, 1);
  await remove(david.request, mine!.id);
  await expect(texts(jason)).toHaveCount(0);
  await expect(composer(jason)).toHaveValue("Mine, at length");
});

test("text typed into the edit form survives what happens around it", async ({ david, jason }) => {
  await say(jason, "First");
  await say(jason, "Second");
  await use(message(jason, "Second"), "edit");
  const field = jason.getByRole("textbox", { name: "Message text" });
  await field.fill("Second, at length");
  const [first] = await stored(david.request, 1);
  await remove(david.request, first!.id);
  await expect(message(jason, "First")).toHaveCount(0);
  await expect(field).toHaveValue("Second, at length");
  await expect(field).toBeFocused();
});

test("a room one is not in is marked until it is opened", async ({ david, jason }) => {
  const { id } = await openRoom(david.request, "Designers");
  await expect(roomLink(jason, "Designers")).toBeVisible();
  await post(david.request, id, "Over here");
  await expect(roomLink(jason, "Designers")).toHaveClass(/nav-item--unread/);
  await expect(roomLink(jason, "Designers")).toContainText("unread");
  await expect(jason).toHaveTitle("• All Talk · Campfire");

  await mark(jason);
  await roomLink(jason, "Designers").click();
  await expect(jason).toHaveURL(`/rooms/${id}`);
  await expect(texts(jason)).toHaveText(["Over here"]);
  await expect(jason).toHaveTitle("Designers · Campfire");
  await roomLink(jason, "All Talk").click();
  await expect(roomLink(jason, "Designers")).not.toHaveClass(/nav-item--unread/);
  await expect(jason).toHaveTitle("All Talk · Campfire");
  await expectNoReload(jason);
  const unread = async () => (await rooms(jason.request)).filter((room) => room.unread);
  await expect.poll(unread, "the server knows that it was read").toEqual([]);
  await enter(jason, "/");
  await expect(roomLink(jason, "Designers")).not.toHaveClass(/nav-item--unread/);
});

test("a new room appears in everybody's sidebar", async ({ david, jason }) => {
  await mark(jason);
  await david.getByRole("link", { name: "New room" }).click();
  await david.getByLabel("Name").fill("Watercooler");
  await david.getByRole("button", { name: "Create room" }).click();
  await expect(david.getByRole("heading", { level: 1 })).toHaveText("Watercooler");
  await expect(roomLink(jason, "Watercooler")).toBeVisible();
  await roomLink(jason, "Watercooler").click();
  await say(jason, "Who is thirsty?");
  await expect(message(david, "Who is thirsty?")).toBeVisible();
  await jason.goBack();
  await expect(jason.getByRole("heading", { level: 1 })).toHaveText("All Talk");
  await expectNoReload(jason);
});

test("what one person says in a row shares one head", async ({ david, jason }) => {
  for (const text of ["One", "Two"]) await say(david, text);
  await expect(message(jason, "Two")).toBeVisible();
  await say(jason, "Three");
  await expect(message(david, "Three")).toBeVisible();
  await say(david, "Four");
  for (const page of [david, jason]) {
    await expect(texts(page)).toHaveText(["One", "Two", "Three", "Four"]);
    await expect(page.locator(".message__author")).toHaveText(["David", "Jason", "David"]);
    await expect(message(page, "Two")).toHaveClass(/message--follow/);
    await expect(message(page, "Two").locator(".message__head, .message__face")).toHaveCount(0);
  }
});

test("a day begins with its name, in the reader's own zone", async ({ david, visitor }) => {
  await post(david.request, 1, "Good morning");
  await post(david.request, 1, "Or evening");
  // 26 hours apart: these two never have the same date.
  const seen = [];
  for (const timezoneId of ["Pacific/Kiritimati", "Etc/GMT+12"]) {
    const state = await david.context().storageState();
    const reader = await visitor({ timezoneId, storageState: state });
    await enter(reader, "/rooms/1");
    await expect(reader.getByRole("separator")).toHaveCount(1);
    const name = await reader.evaluate(() =>
      new Intl.DateTimeFormat(undefined, { dateStyle: "full" }).format(),
    );
    await expect(reader.getByRole("separator")).toHaveText(name.replace(" at ", " "));
    await expect(reader.locator(".divider + .message")).toContainText("Good morning");
    seen.push(name);
  }
  expect(seen[0]).not.toBe(seen[1]);
});

test("addresses become links, and HTML stays text", async ({ david, jason }) => {
  const address = "https://example.com/tides?x=1&y=2";
  const html = `<img src=x onerror="alert(1)"><b>bold</b> & <script>alert(2)</script>`;
  await say(david, `See ${address}.`);
  await say(david, html);
  for (const page of [david, jason]) {
    const link = texts(page).first().getByRole("link");
    await expect(link).toHaveText(address);
    await expect(link).toHaveAttribute("href", address);
    await expect(link).toHaveAttribute("target", "_blank");
    await expect(link).toHaveAttribute("rel", /noopener.*noreferrer/);
    await expect(texts(page).last()).toHaveText(html);
    await expect(texts(page).last().locator("img, b, script")).toHaveCount(0);
  }
});

test("five rapid clicks or keys send once", async ({ david, jason }) => {
  let posts = 0;
  david.on("request", (request) => (posts += Number(request.method() === "POST")));
  await composer(david).fill("By mouse");
  await david.locator(".send").click({ clickCount: 5 });
  await expect(message(jason, "By mouse")).toBeVisible();
  await composer(david).fill("By keyboard");
  await Promise.all(Array.from({ length: 5 }, () => david.keyboard.press("Enter")));
  await expect(message(jason, "By keyboard")).toBeVisible();
  await say(david, "The end");
  await expect(message(jason, "The end")).toBeVisible();
  for (const page of [david, jason]) {
    await expect(texts(page)).toHaveText(["By mouse", "By keyboard", "The end"]);
  }
  expect(await stored(david.request, 1)).toHaveLength(3);
  expect(posts).toBe(3);
});

test("a reader further up stays there and is told what arrives", async ({ david, jason }) => {
  const { id } = await openRoom(david.request, "Watercooler");
  const old = await postLines(david.request, id, 1, 40);
  await enter(david, `/rooms/${id}`);
  await expect(pill(david)).toHaveCount(0);
  await history(david).hover();
  await david.mouse.wheel(0, -500);
  await expect(pill(david)).toHaveText("Jump to newest");
  await scrollTo(david, 300);
  const place = await firstInSight(david);

  await enter(jason, `/rooms/${id}`);
  await say(jason, "Meanwhile");
  await expect(pill(david)).toHaveText("1 new message");
  await say(jason, "And\nseveral\nmore\nlines");
  await expect(pill(david)).toHaveText("2 new messages");
  await expectStill(david, place);
  // What happens above moves nothing in sight either.
  await edit(david.request, old[2]!.id, "Line 003\nhas\ngrown");
  await expect(message(david, "Line 003 has grown").or(david.getByText("grown"))).toBeAttached();
  await remove(david.request, old[3]!.id);
  await expect(message(david, "Line 004")).toHaveCount(0);
  await expectStill(david, place);

  await pill(david).click();
  await expect(pill(david)).toHaveCount(0);
  await expect(texts(david).last()).toContainText("several");
  await expect(david.locator(".message").last()).toBeInViewport({ ratio: 1 });
  expect(await history(david).evaluate((list) => list.scrollTop)).toBe(0);
});

test("reading in one tab clears the mark in another", async ({ david, jason }) => {
  const { id } = await openRoom(david.request, "Designers");
  const [reading, elsewhere] = [jason, await jason.context().newPage()];
  await enter(elsewhere, "/rooms/1");
  await post(david.request, id, "Over here");
  for (const page of [reading, elsewhere]) {
    await expect(roomLink(page, "Designers")).toHaveClass(/nav-item--unread/);
  }
  await reading.bringToFront();
  await roomLink(reading, "Designers").click();
  await expect(texts(reading)).toHaveText(["Over here"]);
  await expect(roomLink(elsewhere, "Designers")).not.toHaveClass(/nav-item--unread/);
});

test("two tabs of one person know of each other's messages", async ({ david, jason }) => {
  const designers = await openRoom(david.request, "Designers");
  const water = await openRoom(david.request, "Watercooler");
  const [same, elsewhere] = [await david.context().newPage(), await david.context().newPage()];
  await enter(same, "/rooms/1");
  await enter(elsewhere, `/rooms/${designers.id}`);
  await say(david, "From my first tab");
  for (const page of [david, same]) await expect(texts(page)).toHaveText(["From my first tab"]);
  await expect(message(same, "From my first tab")).toHaveClass(/message--own/);
  await expect(message(jason, "From my first tab")).toBeVisible();

  // Comes after the other on the same socket, so by now the other has had its effect.
  await post(jason.request, water.id, "From somebody else");
  await expect(roomLink(elsewhere, "Watercooler")).toHaveClass(/nav-item--unread/);
  await expect(roomLink(elsewhere, "All Talk")).not.toHaveClass(/nav-item--unread/);
  await enter(elsewhere, `/rooms/${designers.id}`);
  await expect(roomLink(elsewhere, "All Talk")).not.toHaveClass(/nav-item--unread/);
});
