// Looks and hands: themes, narrow screens, the keyboard, input methods.
import { answered, expect, inviteCode, openRoom, people, post, postLines } from "../campfire.ts";
import { stored, test } from "../campfire.ts";
import { composer, enter, history, line, live, message, pressUntil, reaction } from "../chat.ts";
import { replyLine, roomLink, say, texts, toast, use } from "../chat.ts";
import type { Page } from "@playwright/test";

const ground = (page: Page) =>
  page.evaluate(() => getComputedStyle(document.body.parentElement!).backgroundColor);

/** The attributes of `<html>` as the server sends them, before any script. */
async function rootAsSent(page: Page, path: string): Promise<string> {
  const html = await (await page.request.get(path)).text();
  return /<html[^>]*>/.exec(html)?.[0] ?? "";
}

test("the theme follows the system until one is chosen", async ({ david, visitor }) => {
  expect(await rootAsSent(david, "/rooms/1")).not.toContain("data-theme");
  const storageState = await david.context().storageState();
  const grounds = [];
  for (const colorScheme of ["light", "dark"] as const) {
    const page = await visitor({ colorScheme, storageState });
    await enter(page, "/rooms/1");
    grounds.push(await ground(page));
    await page.emulateMedia({ colorScheme: colorScheme === "dark" ? "light" : "dark" });
    expect(await ground(page)).not.toBe(grounds.at(-1));
  }
  expect(grounds[0]).not.toBe(grounds[1]);
});

test("a chosen theme changes at once and is applied by the server", async ({ david, guard }) => {
  await david.emulateMedia({ colorScheme: "light" });
  const light = await ground(david);
  await enter(david, "/users/1");
  await david.getByLabel("Dark").check({ force: true });
  await expect(david.locator("html")).toHaveAttribute("data-theme", "dark");
  const dark = await ground(david);
  expect(dark).not.toBe(light);

  const pages = ["/rooms/1", "/users/1", "/account/edit", "/rooms/new"];
  for (const path of pages) expect(await rootAsSent(david, path)).toContain('data-theme="dark"');
  guard.allow(answered(404));
  await david.goto("/nowhere");
  expect(await ground(david), "a page that says sorry").toBe(dark);
  await enter(david, "/users/1");
  await expect(david.getByLabel("Dark")).toBeChecked();

  // Here the form without scripts would do; the point is that the choice can be taken back.
  await david.getByLabel("System").check({ force: true });
  await expect(david.locator("html")).not.toHaveAttribute("data-theme");
  await enter(david, "/rooms/1");
  expect(await ground(david)).toBe(light);
  expect(await rootAsSent(david, "/rooms/1")).not.toContain("data-theme");
});

test("a chosen theme stays after signing out", async ({ david }) => {
  await enter(david, "/users/1");
  await david.getByLabel("Dark").check({ force: true });
  await expect(david.locator("html")).toHaveAttribute("data-theme", "dark");
  const code = await inviteCode(david.request);
  await david.getByRole("button", { name: "Sign out" }).click();
  await expect(david).toHaveURL("/session/new");
  for (const path of ["/session/new", `/join/${code}`]) {
    expect(await rootAsSent(david, path)).toContain('data-theme="dark"');
  }
});

test("on a phone the rooms are behind a button", async ({ david }) => {
  const { id } = await openRoom(david.request, "Designers");
  await david.setViewportSize({ width: 390, height: 844 });
  const sidebar = david.locator("nav.sidebar");
  const menu = david.locator(".bar__menu");
  await expect(sidebar).toBeHidden();
  await menu.click();
  await expect(sidebar).toBeInViewport({ ratio: 1 });
  await david.getByRole("button", { name: "Close menu" }).click();
  await expect(sidebar).toBeHidden();
  await menu.click();
  await david.keyboard.press("Escape");
  await expect(sidebar).toBeHidden();
  await menu.click();
  await roomLink(david, "Designers").click();
  await expect(david).toHaveURL(`/rooms/${id}`);
  await expect(sidebar).toBeHidden();
  await expect(david.getByRole("heading", { level: 1 })).toHaveText("Designers");
});

test("no page scrolls sideways, whatever people write", async ({ david, visitor, guard }) => {
  guard.allow(answered(404));
  const { id } = await openRoom(david.request, "Donaudampfschifffahrtsgesellschaft".repeat(2));
  const address = `https://example.com/${"very-long-path/".repeat(20)}`;
  const words = [
    "x".repeat(400),
    address,
    "👩‍👩‍👧‍👦".repeat(120),
    "مرحبا بالعالم ".repeat(30),
    "中文".repeat(200),
  ];
  for (const word of words) await post(david.request, id, word);
  const stranger = await visitor();
  const join = `/join/${await inviteCode(david.request)}`;
  const inside = [
    `/rooms/${id}`,
    "/rooms/1",
    "/rooms/new",
    "/account/edit",
    "/users/1",
    "/nowhere",
  ];
  for (const width of [390, 1440]) {
    for (const [page, paths] of [
      [david, inside],
      [stranger, ["/session/new", join]],
    ] as const) {
      await page.setViewportSize({ width, height: 844 });
      for (const path of paths) {
        await page.goto(path);
        const wide = await page.evaluate(() => {
          const scrollers = [
            document.scrollingElement!,
            ...document.querySelectorAll(".sheet__main"),
          ];
          return scrollers.some((one) => one.scrollWidth > one.clientWidth);
        });
        expect(wide, `${path} at ${width} px`).toBe(false);
      }
    }
  }
});

test("with the keyboard alone one gets everywhere", async ({ david }) => {
  await postLines(david.request, 1, 1, 50);
  await enter(david, "/rooms/1");
  await expect(composer(david), "where people write first").toBeFocused();
  // Backwards through the whole page. A message has a link of its own, so a list of fifty may be
  // a stop each; its tools must not make it two hundred.
  const skip = david.getByRole("link", { name: "Skip to content" });
  const stops = await pressUntil(david, "Shift+Tab", skip, 80);
  for (const stop of ['href="/rooms/new"', 'href="/rooms/1"', 'class="you"', 'id="history"']) {
    expect(stops).toContain(stop);
  }
  await expect(skip).toBeInViewport();
  await david.keyboard.press("Enter");
  await expect(david.locator("#main")).toBeFocused();
  expect(await pressUntil(david, "Tab", composer(david), 80)).not.toContain("/rooms/new");
  await david.keyboard.type("By keyboard");
  await david.keyboard.press("Enter");
  await expect(message(david, "By keyboard")).toBeVisible();
  await expect(composer(david)).toBeFocused();
  // The tools of the composer lie between.
  await pressUntil(david, "Tab", david.locator(".send"), 3);
});

test("a whole visit needs no mouse, and the focus is always where one goes on", async ({
  david,
  jason,
  visitor,
}) => {
  await openRoom(david.request, "Watercooler");
  await post(jason.request, 1, "Good morning, @David");
  await david.goto("about:blank");
  const page = await visitor({ permissions: ["clipboard-read", "clipboard-write"] });
  const keys = page.keyboard;
  const title = page.getByRole("heading", { level: 1 });
  const asked = message(page, "Good morning, @David");
  const said = message(page, "Good morning to all!");
  const replied = message(page, "Good morning, Jason");
  /** From the top of a page that was just loaded to its content, over the skip link. */
  const skip = async (): Promise<void> => {
    await keys.press("Tab");
    await expect(page.getByRole("link", { name: "Skip to content" })).toBeFocused();
    await keys.press("Enter");
    await expect(page.locator("#main")).toBeFocused();
  };

  await page.goto("/session/new");
  await pressUntil(page, "Tab", page.getByLabel("E-mail"), 2);
  await keys.type(people.david.email_address);
  await keys.press("Tab");
  await expect(page.getByLabel("Password")).toBeFocused();
  await keys.type(people.david.password);
  await live(page, () => keys.press("Enter"));
  await expect(title).toHaveText("All Talk");
  await expect(composer(page)).toBeFocused();

  // Writing, and thinking better of it.
  await keys.type("Good morning to all");
  await keys.press("Control+Shift+ArrowLeft");
  await keys.press("Control+b");
  await expect(composer(page)).toHaveValue("Good morning to **all**");
  await expect(composer(page)).toBeFocused();
  await keys.press("Enter");
  await expect(texts(page).last().locator("strong")).toHaveText("all");
  await expect(page.locator(".message--pending")).toHaveCount(0);
  await expect(composer(page)).toBeFocused();
  await keys.press("ArrowUp");
  const field = page.getByRole("textbox", { name: "Message text" });
  await expect(field).toBeFocused();
  await expect(field).toHaveValue("Good morning to **all**");
  await keys.press("End");
  await keys.type("!");
  await keys.press("Enter");
  await expect(said).toContainText("(edited)");
  await expect(said).toBeFocused();

  // Along the messages, and what can be done with them.
  await keys.press("ArrowUp");
  await expect(asked).toBeFocused();
  await keys.press("End");
  await expect(said).toBeFocused();
  await keys.press("Home");
  await expect(asked).toBeFocused();
  await keys.press("r");
  await expect(replyLine(page)).toContainText("Replying to Jason");
  await expect(composer(page)).toBeFocused();
  await keys.type("Good morning, Jason");
  await keys.press("Enter");
  await expect(replied.locator(".reply-ref")).toContainText("Good morning, @David");
  await expect(replied).not.toHaveClass(/message--pending/);
  await expect(composer(page)).toBeFocused();

  await pressUntil(page, "Shift+Tab", replied, 8);
  await keys.press("Home");
  await keys.press("Enter");
  await expect(asked.locator("[data-action=react]")).toBeFocused();
  await keys.press("Enter");
  await expect(asked.getByRole("textbox", { name: "Emoji name or a few words" })).toBeFocused();
  await keys.type("party p");
  const found = asked.locator(".picker__found button").first();
  await expect(found).toHaveAccessibleName("React with party popper");
  await pressUntil(page, "Tab", found, 3);
  await keys.press("Enter");
  await expect(reaction(asked, "🎉")).toHaveAttribute("aria-pressed", "true");
  await expect(asked).toBeFocused();

  await keys.press("c");
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await expect.poll(copied).toMatch(/^http.*\/rooms\/1\/@\d+#m-\d+$/);
  await expect(toast(page)).toHaveText("Link copied");
  await expect(asked).toBeFocused();
  await keys.press("u");
  await expect(line(page)).toBeVisible();
  await expect(roomLink(page, "All Talk")).toHaveClass(/nav-item--unread/);
  await expect(asked).toBeFocused();
  await keys.press("ArrowDown");
  await expect(said).toBeFocused();
  await keys.press("Delete");
  await expect(said).toHaveCount(0);
  await expect(replied, "a neighbour").toBeFocused();
  await keys.press("Control+z");
  await expect(said).toBeFocused();

  // The sheet of keys, from room to room, and back.
  await keys.press("?");
  const sheet = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await expect(sheet.getByRole("button", { name: "Close" })).toBeFocused();
  await keys.press("Enter");
  await expect(sheet).toBeHidden();
  await expect(said).toBeFocused();
  const switcher = page.getByRole("combobox", { name: "Room, person or action" });
  await keys.press("Control+k");
  await expect(switcher).toBeFocused();
  await keys.type("water");
  await keys.press("Enter");
  await expect(title).toHaveText("Watercooler");
  await expect(composer(page)).toBeFocused();
  for (const [key, name] of [
    ["Alt+ArrowUp", "All Talk"],
    ["Alt+ArrowDown", "Watercooler"],
  ] as const) {
    await keys.press(key);
    await expect(title).toHaveText(name);
    await expect(composer(page)).toBeFocused();
  }

  // Searching: what is written in the field gives way to what is looked for.
  await keys.press("Control+k");
  await expect(switcher).toBeFocused();
  await keys.type("search");
  await live(page, () => keys.press("Enter"));
  await expect(title).toHaveText("Search");
  const words = page.getByRole("searchbox", { name: "Search messages" });
  await expect(words).toBeFocused();
  await expect(words).toHaveValue('in:"Watercooler" ');
  expect(await words.evaluate((it: HTMLInputElement) => it.selectionStart === it.value.length)).toBe(true);
  await keys.press("Control+a");
  await keys.type("all");
  await live(page, () => keys.press("Enter"));
  await expect(page.locator(".result")).toHaveText([/Good morning to all!/]);
  await skip();
  await pressUntil(page, "Tab", page.locator(".result a"), 10);
  await live(page, () => keys.press("Enter"));
  await expect(title).toHaveText("All Talk");
  await expect(said, "the message that was found").toBeFocused();

  // What concerns somebody, and what they choose.
  await pressUntil(page, "Shift+Tab", page.locator("nav.sidebar a[href='/activity']"), 30);
  await live(page, () => keys.press("Enter"));
  await expect(title).toHaveText("Activity");
  await skip();
  await pressUntil(page, "Tab", page.getByRole("link", { name: "mentioned you" }), 4);
  await live(page, () => keys.press("Enter"));
  await expect(asked).toBeFocused();
  await keys.press("Escape");
  await expect(composer(page)).toBeFocused();
  await keys.press("Control+k");
  await expect(switcher).toBeFocused();
  await keys.type("profile");
  await live(page, () => keys.press("Enter"));
  await expect(title).toHaveText("David");
  await skip();
  await pressUntil(page, "Tab", page.getByLabel("System"), 12);
  for (const theme of ["Light", "Dark"]) {
    await keys.press("ArrowRight");
    await expect(page.getByLabel(theme)).toBeFocused();
    await expect(page.locator("html")).toHaveAttribute("data-theme", theme.toLowerCase());
  }
  await pressUntil(page, "Tab", page.getByRole("button", { name: "Sign out" }), 2);
  await keys.press("Enter");
  await expect(page).toHaveURL("/session/new");
  await pressUntil(page, "Tab", page.getByLabel("E-mail"), 2);
});

test("arrow keys walk through the messages, and Tab reaches their tools", async ({ david }) => {
  for (const text of ["One", "Two", "Three"]) await say(david, text);
  await expect(david.locator(".message--pending")).toHaveCount(0);
  await expect(message(david, "Three")).toHaveAttribute("tabindex", "0");
  await message(david, "Three").focus();
  await david.keyboard.press("ArrowUp");
  await expect(message(david, "Two")).toBeFocused();
  await david.keyboard.press("ArrowUp");
  await david.keyboard.press("ArrowUp");
  await expect(message(david, "One")).toBeFocused();
  await david.keyboard.press("ArrowDown");
  await expect(message(david, "Two")).toBeFocused();

  const edit = message(david, "Two").locator("[data-action=edit]");
  await pressUntil(david, "Tab", edit, 6);
  await expect(message(david, "Two").locator(".message__tools")).toHaveCSS("opacity", "1");
  await david.keyboard.press("Enter");
  const field = david.getByRole("textbox", { name: "Message text" });
  await expect(field).toBeFocused();
  await field.fill("Two and a half");
  await david.keyboard.press("Enter");
  await expect(message(david, "Two and a half")).toBeVisible();
  await expect(message(david, "Two and a half"), "focus stays with the message").toBeFocused();

  await message(david, "Three").focus();
  await pressUntil(david, "Tab", message(david, "Three").locator("[data-action=remove]"), 7);
  await david.keyboard.press("Enter");
  await expect(texts(david)).toHaveText(["One", "Two and a half"]);
  await expect(david.locator("body"), "focus is not thrown away").not.toBeFocused();
});

test("Enter that ends a composition sends nothing", async ({ david }) => {
  // Chromium says isComposing; Safari has ended the composition already, but reports key 229.
  const enters = [
    { isComposing: true, keyCode: 229 },
    { isComposing: true, keyCode: 13 },
    { isComposing: false, keyCode: 229 },
  ];
  const press = { key: "Enter", code: "Enter", bubbles: true, cancelable: true };
  await composer(david).fill("にほん");
  for (const how of enters) await composer(david).dispatchEvent("keydown", { ...press, ...how });
  await expect(composer(david)).toHaveValue("にほん");
  await composer(david).press("Shift+Enter");
  await composer(david).pressSequentially("ご");
  await expect(composer(david)).toHaveValue("にほん\nご");
  await composer(david).press("Enter");
  await expect(texts(david)).toHaveText([/にほん\s*ご/]);

  await use(david.locator(".message"), "edit");
  const field = david.getByRole("textbox", { name: "Message text" });
  let saves = 0;
  david.on("request", (request) => (saves += Number(request.method() === "PATCH")));
  await field.fill("日本語");
  for (const how of enters) await field.dispatchEvent("keydown", { ...press, ...how });
  await expect(david.getByRole("button", { name: "Save" })).toBeEnabled();
  await field.pressSequentially("です");
  await field.press("Enter");
  await expect(texts(david)).toHaveText(["日本語です"]);
  expect(saves).toBe(1);
  expect(await stored(david.request, 1)).toHaveLength(1);
});

test("on a touch screen Enter breaks the line and the button sends", async ({ david, visitor }) => {
  const storageState = await david.context().storageState();
  const viewport = { width: 390, height: 844 };
  const phone = await visitor({ storageState, viewport, hasTouch: true, isMobile: true });
  await enter(phone, "/rooms/1");
  await composer(phone).tap();
  await phone.keyboard.type("One");
  await phone.keyboard.press("Enter");
  await phone.keyboard.type("Two");
  await expect(composer(phone)).toHaveValue("One\nTwo");
  await phone.locator(".send").tap();
  await expect(texts(phone)).toHaveText([/One\s*Two/]);
  await expect(history(phone)).toBeVisible();
  // Touch has no hover: a tap on the message shows its tools.
  await phone.locator(".message").tap();
  await expect(phone.locator("[data-action=edit]")).toBeVisible();
  const size = await phone.locator("[data-action=edit]").boundingBox();
  expect(Math.min(size!.width, size!.height), "large enough for a finger").toBeGreaterThanOrEqual(
    44,
  );
});
