// Coming in and going out: sign-in, invite links, sign-out.
import { answered, expect, inviteCode, openRoom, people, test } from "../campfire.ts";
import { enter, live } from "../chat.ts";
import type { Page } from "@playwright/test";

const { david: founder, jason, kevin } = people;

async function signInWith(page: Page, email_address: string, password: string): Promise<void> {
  await page.getByLabel("E-mail").fill(email_address);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

async function joinAs(page: Page, who: typeof jason): Promise<void> {
  await page.getByLabel("Your name").fill(who.name);
  await page.getByLabel("E-mail").fill(who.email_address);
  await page.getByLabel("Password").fill(who.password);
  await page.getByRole("button", { name: "Join the chat" }).click();
}

async function signOut(page: Page): Promise<void> {
  await page.locator("a.you").click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL("/session/new");
}

test("whoever signs out and in again returns to the last room", async ({ david, guard }) => {
  const designers = await openRoom(david.request, "Designers");
  await enter(david, `/rooms/${designers.id}`);
  await signOut(david);
  await david.goto(`/rooms/${designers.id}`);
  await expect(david).toHaveURL("/session/new");

  guard.allow(answered(401));
  await signInWith(david, founder.email_address, "not my password");
  await expect(david.getByRole("alert")).toHaveText(
    "That e-mail and password do not match. Check for capital letters and try again.",
  );
  await expect(david.getByLabel("E-mail")).toHaveValue(founder.email_address);
  await expect(david.getByLabel("Password")).toHaveValue("");

  await live(david, () => signInWith(david, founder.email_address.toUpperCase(), founder.password));
  await expect(david).toHaveURL(`/rooms/${designers.id}`);
  await expect(david.getByRole("heading", { level: 1 })).toHaveText("Designers");
});

test("an unknown address and a wrong password look the same", async ({ david, visitor, guard }) => {
  await expect(david).toHaveURL("/rooms/1");
  guard.allow(answered(401));
  const stranger = await visitor();
  const seen = [];
  for (const address of [founder.email_address, "nobody@campfire.example"]) {
    await stranger.goto("/session/new");
    const answer = stranger.waitForResponse((response) => response.request().method() === "POST");
    await signInWith(stranger, address, "not the password");
    await expect(stranger.getByRole("alert")).toBeVisible();
    const html = (await (await answer).text()).replaceAll(address, "ADDRESS");
    seen.push({ status: (await answer).status(), html });
  }
  expect(seen[0]).toEqual(seen[1]);
});

test("whoever is not signed in is led to sign-in from every page", async ({ david, visitor }) => {
  const stranger = await visitor();
  await expect(david).toHaveURL("/rooms/1");
  const paths = ["/", "/rooms/1", "/rooms/1/@1", "/rooms/new", "/account/edit", "/users/1"];
  for (const path of paths) {
    await stranger.goto(path);
    await expect(stranger, path).toHaveURL("/session/new");
  }
  for (const path of ["/api/me", "/api/rooms", "/api/rooms/1/messages"]) {
    expect((await stranger.request.get(path)).status(), path).toBe(401);
  }
});

test("people join by the invite link of the welcome card and of the people page", async ({
  david,
  visitor,
}) => {
  const ofCard = await david.locator(".welcome .copy-line code").innerText();
  const first = await visitor();
  await first.goto(ofCard);
  await expect(first.getByRole("heading", { level: 1 })).toHaveText("Join Campfire");
  await live(first, () => joinAs(first, jason));
  await expect(first).toHaveURL("/rooms/1");
  await expect(first.locator(".you__name")).toHaveText("Jason");

  await david.getByRole("link", { name: "People and invite links" }).click();
  await expect(david).toHaveURL("/account/edit");
  await david.getByRole("link", { name: "Invite links", exact: true }).click();
  const ofPage = await david.locator(".copy-line code").innerText();
  expect(ofPage).toBe(ofCard);
  const second = await visitor();
  await second.goto(ofPage);
  await live(second, () => joinAs(second, kevin));
  await expect(second.locator(".you__name")).toHaveText("Kevin");
  await second.goto("/account/edit");
  await expect(second.locator("ul.rows .row__link")).toHaveText(["David", "Jason", "Kevin"]);
});

test("a wrong invite code leads to a page that says so", async ({ david, visitor, guard }) => {
  guard.allow(answered(404));
  const right = await inviteCode(david.request);
  const stranger = await visitor();
  for (const code of ["nope", `${right}x`, right.slice(0, -1)]) {
    const answer = await stranger.goto(`/join/${code}`);
    expect(answer?.status()).toBe(404);
    await expect(stranger.getByRole("heading", { level: 1 })).toHaveText(
      "There is nothing at this address",
    );
  }
});

test("whoever joins with an address that is taken is told so", async ({
  david,
  visitor,
  guard,
}) => {
  guard.allow(answered(409));
  const page = await visitor();
  await page.goto(`/join/${await inviteCode(david.request)}`);
  const email_address = founder.email_address.toUpperCase();
  await joinAs(page, { ...jason, email_address, password: "not the founder's" });

  await expect(page.getByRole("alert")).toHaveText(
    "Somebody with that e-mail is already a member. Sign in instead.",
  );
  await expect(page.getByLabel("Your name")).toHaveValue("Jason");
  await expect(page.getByLabel("E-mail")).toHaveValue(founder.email_address.toUpperCase());
  await expect(page.getByLabel("Password")).toHaveValue("");
  await page.getByRole("link", { name: "Sign in" }).click();
  await expect(page).toHaveURL("/session/new");
});

test("signing out in one tab ends the other tabs, and only those of this browser", async ({
  david,
  visitor,
}) => {
  const other = await david.context().newPage();
  await enter(other, "/rooms/1");
  const phone = await visitor();
  await phone.goto("/session/new");
  await live(phone, () => signInWith(phone, founder.email_address, founder.password));

  await signOut(david);
  // Revocation takes effect within a second; the rest of the time is the machine's.
  await expect(other).toHaveURL("/session/new", { timeout: 4_000 });
  expect((await phone.request.get("/api/me")).status()).toBe(200);
  await expect(phone).toHaveURL("/rooms/1");
});
