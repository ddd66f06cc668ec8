// The first minutes of a new server: somebody sets it up, once.
import { answered, expect, people, person, test } from "../campfire.ts";
import { hydrated } from "../chat.ts";
import type { Page } from "@playwright/test";

const { david, jason } = people;

async function fillIn(page: Page, who: { name: string; email_address: string; password: string }) {
  await page.getByLabel("Your name").fill(who.name);
  await page.getByLabel("E-mail").fill(who.email_address);
  await page.getByLabel("Password").fill(who.password);
}

const submit = (page: Page) => page.getByRole("button", { name: "Create workspace" }).click();

test("an empty database leads to the first run", async ({ page }) => {
  for (const path of ["/", "/session/new", "/rooms/1"]) {
    await page.goto(path);
    await expect(page).toHaveURL("/first_run");
  }
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Light the fire");
});

test("broken input is explained at its field, and all but the password is kept", async ({
  page,
  guard,
}) => {
  guard.allow(answered(422));
  await page.goto("/first_run");
  await page.getByLabel("Workspace name").fill("Basecamp");
  await fillIn(page, { name: "  ", email_address: "david at campfire", password: "short" });
  // As a browser that checks nothing itself would.
  await page.locator("form").evaluate((form: HTMLFormElement) => (form.noValidate = true));
  await submit(page);

  await expect(page).toHaveURL("/first_run");
  const complaints = {
    "Your name": "This cannot be empty.",
    "E-mail": "Enter an e-mail address, like you@example.com.",
    Password: "Use at least 10 characters.",
  };
  for (const [label, complaint] of Object.entries(complaints)) {
    const field = page.getByLabel(label);
    await expect(field).toHaveAttribute("aria-invalid", "true");
    await expect(field).toHaveAccessibleDescription(complaint);
  }
  await expect(page.getByLabel("Workspace name")).not.toHaveAttribute("aria-invalid");
  await expect(page.getByLabel("Workspace name")).toHaveValue("Basecamp");
  await expect(page.getByLabel("E-mail")).toHaveValue("david at campfire");
  await expect(page.getByLabel("Password")).toHaveValue("");

  await fillIn(page, david);
  await page.getByLabel("Workspace name").fill("");
  await page.locator("form").evaluate((form: HTMLFormElement) => (form.noValidate = true));
  await submit(page);
  const workspace = page.getByLabel("Workspace name");
  await expect(workspace).toHaveAccessibleDescription("This cannot be empty.");
  await expect(page.getByLabel("Your name")).toHaveValue("David");
  await expect(page.getByLabel("E-mail")).toHaveValue(david.email_address);
  await expect(page.getByLabel("Password")).toHaveValue("");

  await workspace.fill("Basecamp");
  await page.getByLabel("Password").fill(david.password);
  await submit(page);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("All Talk");
});

test("whoever sets it up lands in All Talk with an invite link", async ({ page, server }) => {
  await page.goto("/");
  await page.getByLabel("Workspace name").fill("Basecamp");
  await fillIn(page, david);
  await submit(page);

  await expect(page).toHaveURL("/rooms/1");
  await hydrated(page);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("All Talk");
  await expect(page).toHaveTitle("All Talk · Basecamp");
  await expect(page.locator(".workspace__name")).toHaveText("Basecamp");
  await expect(page.locator(".you__name")).toHaveText("David");
  const invite = await page.locator(".welcome .copy-line code").innerText();
  expect(invite).toMatch(new RegExp(`^${server.url}/join/[\\w-]{8,}$`));
  expect(await (await page.request.get("/api/me")).json()).toMatchObject({
    name: "David",
    role: "administrator",
  });
});

test("a second first run is told kindly that the chat exists", async ({ visitor, guard }) => {
  guard.allow(answered(409));
  const [winner, late] = [await visitor(), await visitor()];
  for (const [page, who] of [
    [winner, david],
    [late, jason],
  ] as const) {
    await page.goto("/first_run");
    await fillIn(page, who);
  }
  await submit(winner);
  await expect(winner).toHaveURL("/rooms/1");
  await submit(late);

  await expect(late.locator("main")).toContainText(
    "This chat has already been set up. Ask its administrator for an invite link.",
  );
  await late.getByRole("link", { name: "Back to the chat" }).click();
  await expect(late).toHaveURL("/session/new");
  await late.goto("/first_run");
  await expect(late).toHaveURL("/session/new");
});

test("of fifty simultaneous first runs one succeeds and leaves one user", async ({ visitor }) => {
  const pages = await Promise.all([visitor(), visitor()]);
  const founders = Array.from({ length: 50 }, (_, at) => person(`Founder ${at}`));
  const answers = await Promise.all(
    founders.map((who, at) => pages[at % 2]!.request.post("/api/first_run", { data: who })),
  );

  const statuses = answers.map((answer) => answer.status()).sort();
  expect(statuses).toEqual([201, ...Array(49).fill(409)]);
  for (const refused of answers.filter((answer) => answer.status() === 409)) {
    expect(await refused.json()).toMatchObject({ error: { code: "already_set_up" } });
  }
  const won = answers.findIndex((answer) => answer.status() === 201);
  const page = pages[won % 2]!;
  await page.goto("/account/edit");
  await expect(page.locator("ul.rows > li")).toHaveCount(1);
  await expect(page.locator("ul.rows > li")).toContainText(founders[won]!.name);
  const loser = founders[won === 0 ? 1 : 0]!;
  expect((await page.request.post("/api/session", { data: loser })).status()).toBe(401);
});
