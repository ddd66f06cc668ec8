// Everything that matters works without scripts: plain pages, plain forms.
import { answered, expect, inviteCode, join, openRoom, people, post } from "../campfire.ts";
import { postLines, stored, test as base } from "../campfire.ts";
import { composer, message, roomLink, texts, use } from "../chat.ts";
import type { Page } from "@playwright/test";

const { david: founder } = people;

interface Fixtures {
  /** David in a browser without scripts, in the first room; the account is set up by hand. */
  plain: Page;
}

const test = base.extend<Fixtures>({
  plain: async ({ visitor }, use) => {
    const page = await visitor({ javaScriptEnabled: false });
    await page.goto("/");
    await page.getByLabel("Your name").fill(founder.name);
    await page.getByLabel("E-mail").fill(founder.email_address);
    await page.getByLabel("Password").fill(founder.password);
    await page.getByRole("button", { name: "Create workspace" }).click();
    await expect(page).toHaveURL("/rooms/1");
    await use(page);
  },
});

const send = (page: Page) => page.getByRole("button", { name: "Send message" });

test("somebody sets up, writes, leaves and comes back", async ({ plain }) => {
  await expect(plain.getByRole("heading", { level: 1 })).toHaveText("All Talk");
  await expect(plain.locator(".welcome .copy-line code")).toContainText("/join/");
  await composer(plain).fill("Hello <b>world</b>\nand https://example.com");
  await send(plain).click();
  await expect(plain).toHaveURL("/rooms/1");
  await expect(texts(plain)).toHaveText([/Hello <b>world<\/b>\s*and https:\/\/example\.com/]);
  await expect(texts(plain).getByRole("link")).toHaveAttribute("target", "_blank");
  await expect(composer(plain)).toHaveValue("");
  await expect(plain.getByRole("separator")).toHaveCount(1);

  await plain.locator("a.you").click();
  await plain.getByRole("button", { name: "Sign out" }).click();
  await expect(plain).toHaveURL("/session/new");
  await plain.getByLabel("E-mail").fill(founder.email_address);
  await plain.getByLabel("Password").fill(founder.password);
  await plain.getByRole("button", { name: "Sign in" }).click();
  await expect(plain).toHaveURL("/rooms/1");
  await expect(texts(plain)).toHaveCount(1);
});

test("sending the same form twice sends once", async ({ plain }) => {
  await composer(plain).fill("Just once");
  await send(plain).dblclick();
  await expect(texts(plain)).toHaveText(["Just once"]);
  await plain.reload();
  await expect(texts(plain)).toHaveText(["Just once"]);

  // The very same request, as an impatient browser or proxy repeats it.
  await composer(plain).fill("Once more");
  const form = await plain.locator("form.composer").evaluate((form: HTMLFormElement) => ({
    body: "Once more",
    after: new FormData(form).get("after") as string,
  }));
  const headers = { origin: new URL(plain.url()).origin };
  const repeat = () => plain.request.post("/rooms/1/messages", { form, headers });
  for (const answer of await Promise.all([repeat(), repeat(), repeat()])) {
    expect(answer.status()).toBe(200);
  }
  await send(plain).click();
  await expect(texts(plain)).toHaveText(["Just once", "Once more"]);
  expect(await stored(plain.request, 1)).toHaveLength(2);
});

test("another message written after going back is another message", async ({ plain }) => {
  await composer(plain).fill("The first");
  await send(plain).click();
  await expect(texts(plain)).toHaveText(["The first"]);
  await plain.goBack();
  await composer(plain).fill("The second");
  await send(plain).click();
  await expect(texts(plain)).toHaveText(["The first", "The second"]);
});

test("a message that is too long is explained and kept", async ({ plain, guard }) => {
  guard.allow(answered(422));
  const long = `${"too long ".repeat(1_200)}`.trim();
  await composer(plain).fill(long);
  await send(plain).click();
  await expect(plain.locator("form.composer").getByRole("alert")).toHaveText(
    "That is too long. Use at most 10,000 characters.",
  );
  await expect(composer(plain)).toHaveValue(long);
  await composer(plain).fill("Short");
  await send(plain).click();
  await expect(plain).toHaveURL("/rooms/1");
  await expect(texts(plain)).toHaveText(["Short"]);

  await composer(plain).fill("  \n ");
  await send(plain).click();
  await expect(plain.locator("form.composer").getByRole("alert")).toHaveText(
    "Write something first.",
  );
  expect(await stored(plain.request, 1)).toHaveLength(1);
});

test("a room is made, and a broken name is explained", async ({ plain, guard }) => {
  await plain.getByRole("link", { name: "New room" }).click();
  await expect(plain).toHaveURL("/rooms/new");
  await plain.getByLabel("Name").fill("   ");
  guard.allow(answered(422));
  await plain.getByRole("button", { name: "Create room" }).click();
  await expect(plain.getByLabel("Name")).toHaveAccessibleDescription("This cannot be empty.");
  await plain.getByLabel("Name").fill("Watercooler");
  await plain.getByRole("button", { name: "Create room" }).click();
  await expect(plain).toHaveURL("/rooms/2");
  await expect(plain.getByRole("heading", { level: 1 })).toHaveText("Watercooler");
  await expect(plain.locator("main")).toContainText("Quiet in here");
  await roomLink(plain, "All Talk").click();
  await expect(plain).toHaveURL("/rooms/1");
});

test("one's own message is edited and deleted on a page of its own", async ({ plain, guard }) => {
  await composer(plain).fill("A typpo");
  await send(plain).click();
  await use(message(plain, "A typpo"), "edit");
  await expect(plain).toHaveURL(/\/rooms\/1\/messages\/\d+\/edit$/);
  await expect(plain.getByLabel("Text")).toHaveValue("A typpo");

  guard.allow(answered(422));
  await plain.getByLabel("Text").fill("   ");
  await plain.getByRole("button", { name: "Save" }).click();
  await expect(plain.getByLabel("Text")).toHaveAccessibleDescription("Write something first.");
  await plain.getByLabel("Text").fill("A typo");
  await plain.getByRole("button", { name: "Save" }).click();
  await expect(plain).toHaveURL("/rooms/1");
  await expect(message(plain, "A typo")).toContainText("(edited)");

  await use(message(plain, "A typo"), "edit");
  await plain.getByRole("button", { name: "Delete this message" }).click();
  await expect(plain).toHaveURL("/rooms/1");
  await expect(texts(plain)).toHaveCount(0);
});

test("buttons that need scripts are not shown without them", async ({ plain }) => {
  await composer(plain).fill("Mine");
  await send(plain).click();
  await message(plain, "Mine").hover();
  await expect(plain.locator("[data-action=remove]")).toBeHidden();
  await expect(plain.locator("[data-action=copy-link]")).toBeHidden();
  await expect(plain.locator("[data-copy]")).toBeHidden();
  await expect(plain.locator("[data-action=edit]")).toBeVisible();
});

test("a room where somebody else wrote is marked until it is read", async ({ plain, visitor }) => {
  const jason = await visitor();
  await join(jason.request, await inviteCode(plain.request), people.jason);
  const { id } = await openRoom(plain.request, "Designers");
  await post(jason.request, id, "Over here");
  await plain.reload();
  await expect(roomLink(plain, "Designers")).toHaveClass(/nav-item--unread/);
  await roomLink(plain, "Designers").click();
  await expect(texts(plain)).toHaveText(["Over here"]);
  await plain.getByRole("button", { name: "Mark as read" }).click();
  await roomLink(plain, "All Talk").click();
  await expect(plain.getByRole("heading", { level: 1 })).toHaveText("All Talk");
  await expect(roomLink(plain, "Designers")).not.toHaveClass(/nav-item--unread/);
});

test("older messages can be reached without scripts", async ({ plain }) => {
  const { id } = await openRoom(plain.request, "Watercooler");
  const posted = await postLines(plain.request, id, 1, 60);
  await plain.goto(`/rooms/${id}/@${posted[0]!.id}`);
  await expect(texts(plain).first()).toHaveText("Line 001");
});

test("the theme is chosen with a form", async ({ plain }) => {
  const html = plain.locator("html");
  await expect(html).not.toHaveAttribute("data-theme");
  await plain.goto("/users/1");
  for (const [choice, theme] of [
    ["Dark", "dark"],
    ["Light", "light"],
  ] as const) {
    await plain.getByLabel(choice).check({ force: true });
    await plain.getByRole("button", { name: "Use" }).click();
    await expect(plain).toHaveURL("/users/1");
    await expect(html).toHaveAttribute("data-theme", theme);
    await expect(plain.getByLabel(choice)).toBeChecked();
  }
  await plain.goto("/rooms/1");
  await expect(html).toHaveAttribute("data-theme", "light");
  await plain.goto("/users/1");
  await plain.getByLabel("System").check({ force: true });
  await plain.getByRole("button", { name: "Use" }).click();
  await expect(html).not.toHaveAttribute("data-theme");
});
