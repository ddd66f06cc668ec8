// People and getting in: profiles, roles, invite links, links for one use, sessions, bans, styles.
import { answered, expect, inviteCode, people, test } from "../campfire.ts";
import { enter, live } from "../chat.ts";
import type { Page } from "@playwright/test";

const { jason: second, kevin: third } = people;

async function save(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name, exact: true }).click();
}

/** The link that a page shows to be copied. */
async function shown(page: Page): Promise<string> {
  return page.locator(".copy-line code").first().innerText();
}

test("a new name reaches every open screen at once", async ({ david, jason }) => {
  await jason.request.post("/api/rooms/1/messages", {
    data: { body: "Morning", client_message_id: "0f8fad5b-d9cb-469f-a165-70867728950e" },
  });
  await expect(david.locator("article", { hasText: "Morning" })).toContainText("Jason");
  await enter(jason, "/users/2");
  await jason.getByLabel("Name", { exact: true }).fill("Jason of the Harbour");
  await jason.getByLabel("About you").fill("Maps and boats.");
  await live(jason, () => save(jason, "Save changes"));
  await expect(jason.locator(".panel").first()).toContainText("Maps and boats.");
  const said = david.locator("article", { hasText: "Morning" });
  await expect(said).toContainText("Jason of the Harbour");
});

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "at 390 px" : "without scripts, at 390 px";

  test(`an invite for one person, with its code for cameras, works once ${how}`, async ({
    david,
    visitor,
    guard,
  }) => {
    guard.allow(answered(404));
    const storageState = await david.context().storageState();
    const viewport = { width: 390, height: 844 };
    const admin = await visitor({ storageState, viewport, javaScriptEnabled });
    await admin.goto("/account/invites");
    await admin.getByLabel("Lets in").selectOption({ label: "One person" });
    await save(admin, "Make a link");
    await expect(admin.getByRole("img", { name: "QR code of the invite link" })).toBeVisible();
    const link = await shown(admin);
    const newcomer = await visitor({ viewport, javaScriptEnabled });
    await newcomer.goto(link);
    await newcomer.getByLabel("Your name").fill(second.name);
    await newcomer.getByLabel("E-mail").fill(second.email_address);
    await newcomer.getByLabel("Password").fill(second.password);
    await newcomer.getByRole("button", { name: "Join the chat" }).click();
    await expect(newcomer).toHaveURL("/rooms/1");
    const late = await visitor({ javaScriptEnabled });
    expect((await late.goto(link))?.status()).toBe(404);
    await admin.goto("/account/invites");
    await expect(admin.getByText("Used up")).toBeVisible();
  });

  test(`a sign-in link opens another device once ${how}`, async ({ david, visitor, guard }) => {
    guard.allow(answered(404));
    const storageState = await david.context().storageState();
    const viewport = { width: 390, height: 844 };
    const page = await visitor({ storageState, viewport, javaScriptEnabled });
    await page.goto("/users/me/sessions");
    await save(page, "Make a sign-in link");
    await expect(page.getByRole("img", { name: "QR code of the sign-in link" })).toBeVisible();
    const link = await shown(page);
    const phone = await visitor({ viewport, javaScriptEnabled });
    await phone.goto(link);
    await phone.reload();
    await phone.getByRole("button", { name: "Sign in" }).click();
    await expect(phone).toHaveURL("/rooms/1");
    expect((await phone.goto(link))?.status()).toBe(404);
  });
}

test("a session that is ended elsewhere leaves at once", async ({ david, visitor }) => {
  const phone = await visitor();
  await phone.request.post("/api/session", { data: people.david });
  await enter(phone, "/rooms/1");
  await enter(david, "/users/me/sessions");
  await expect(david.getByText("This device")).toBeVisible();
  await live(david, () => save(david, "Sign out everywhere else"));
  await expect(phone).toHaveURL("/session/new", { timeout: 4_000 });
  await expect(david).toHaveURL("/users/me/sessions");
});

test("a password is reset by a link, and its owner is told by whom", async ({ david, jason, visitor }) => {
  await enter(david, "/users/2");
  await live(david, () => save(david, "Make a password link"));
  const link = await shown(david);
  const page = await visitor();
  await page.goto(link);
  await page.getByLabel("Password").fill("an entirely new password");
  await save(page, "Set password");
  await expect(page).toHaveURL("/session/new");
  await expect(jason).toHaveURL("/session/new", { timeout: 4_000 });
  await page.getByLabel("E-mail").fill(second.email_address);
  await page.getByLabel("Password").fill("an entirely new password");
  await live(page, () => save(page, "Sign in"));
  await enter(page, "/users/2");
  await expect(page.getByText("Your password was reset")).toContainText("David");
});

test("a ban takes somebody and their messages away while others watch", async ({ david, jason, kevin }) => {
  const id = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
  await jason.request.post("/api/rooms/1/messages", { data: { body: "Rude", client_message_id: id } });
  await expect(kevin.getByText("Rude")).toBeVisible();
  await enter(david, "/account/edit");
  await expect(david.locator("[data-picker] .row__link")).toHaveText(["David", "Jason", "Kevin"]);
  await live(david, () => david.getByRole("link", { name: "Manage Jason" }).click());
  await david.getByLabel("Remove their messages too").check();
  await live(david, () => save(david, "Ban"));
  await expect(david.getByText("Banned")).toBeVisible();
  await expect(jason).toHaveURL("/session/new", { timeout: 4_000 });
  await expect(kevin.getByText("Rude")).toBeHidden();
  const again = await jason.request.post(`/api/join/${await inviteCode(david.request)}`, {
    data: second,
  });
  expect(again.status()).toBe(409);
});

test("custom styles apply on every page inside, and one word switches them off", async ({ david }) => {
  await enter(david, "/account/settings");
  await david.getByLabel("Custom CSS").fill("body { background: rgb(1, 2, 3) }");
  await live(david, () => save(david, "Save styles"));
  const colour = (page: Page) =>
    page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  expect(await colour(david)).toBe("rgb(1, 2, 3)");
  await enter(david, "/rooms/1");
  expect(await colour(david)).toBe("rgb(1, 2, 3)");
  await enter(david, "/rooms/1?plain=1");
  expect(await colour(david)).not.toBe("rgb(1, 2, 3)");
});

test("a long list of people is found in while typing", async ({ david, request }) => {
  const code = await inviteCode(david.request);
  for (let at = 0; at < 21; at++) {
    const email_address = `person${at}@campfire.example`;
    const data = { ...third, name: `Person ${at}`, email_address };
    expect((await request.post(`/api/join/${code}`, { data })).status()).toBe(201);
  }
  await enter(david, "/account/edit");
  await david.getByRole("searchbox", { name: "Find a person" }).fill("person 2");
  await expect(david.locator("[data-picker] .row__link:visible")).toHaveText(["Person 2", "Person 20"]);
});
