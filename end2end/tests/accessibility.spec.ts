// Every page, in both themes and two widths, through axe: WCAG 2.2 A and AA and good practice.
import { answered, expect, inviteCode, openRoom, post, serverIsDown, test } from "../campfire.ts";
import { banner, composer, enter, message, say, typing, use } from "../chat.ts";
import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";

const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Fails with every violation: its rule, and the elements that break it. */
async function expectAccessible(page: Page, where: string): Promise<void> {
  // Half-faded colours are not what anybody reads.
  await page.waitForFunction(() =>
    document.getAnimations().every((one) => one.playState !== "running"),
  );
  const { passes, violations } = await new AxeBuilder({ page }).withTags(rules).analyze();
  expect(passes.length, `${where}: axe has looked`).toBeGreaterThan(10);
  const found = violations.map(({ id, help, nodes }) => ({
    rule: `${id}: ${help}`,
    elements: nodes.map((node) => `${node.target.join(" ")} ${node.any[0]?.message ?? ""}`),
  }));
  expect.soft(found, where).toEqual([]);
}

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [1440, 390]) {
    const look = {
      colorScheme,
      viewport: { width, height: 900 },
      reducedMotion: "reduce",
    } as const;

    test(`pages outside are accessible: ${colorScheme}, ${width} px`, async ({
      visitor,
      guard,
      server,
    }) => {
      guard.allow(answered(401), answered(404), answered(405), answered(409), answered(422));
      const page = await visitor(look);
      await page.goto("/first_run");
      await expectAccessible(page, "first run");
      await page.getByLabel("Your name").fill("David");
      await page.getByLabel("E-mail").fill("david@campfire.example");
      await page.getByLabel("Password").fill("short");
      const late = await visitor(look);
      await late.goto("/first_run");
      await page.getByRole("button", { name: "Create workspace" }).click();
      await expect(page.getByText("Use at least 10 characters.")).toBeVisible();
      await expectAccessible(page, "first run with a broken field");
      await page.getByLabel("Password").fill("long enough, this");
      await page.getByRole("button", { name: "Create workspace" }).click();
      await expect(page).toHaveURL("/rooms/1");

      await late.getByLabel("Your name").fill("Jason");
      await late.getByLabel("E-mail").fill("jason@campfire.example");
      await late.getByLabel("Password").fill("long enough, this");
      await late.getByRole("button", { name: "Create workspace" }).click();
      await expect(late.getByRole("link", { name: "Back to the chat" })).toBeVisible();
      await expectAccessible(late, "an error");
      await late.goto("/session/new");
      await expectAccessible(late, "sign-in");
      await late.getByLabel("E-mail").fill("jason@campfire.example");
      await late.getByLabel("Password").fill("wrong");
      await late.getByRole("button", { name: "Sign in" }).click();
      await expect(late.getByRole("alert")).toBeVisible();
      await expectAccessible(late, "sign-in after a mistake");
      await late.goto(`${server.url}/join/${await inviteCode(page.request)}`);
      await expectAccessible(late, "join");
      await late.goto("/nowhere");
      await expectAccessible(late, "not found");
    });

    test(`pages inside are accessible: ${colorScheme}, ${width} px`, async ({ david, visitor }) => {
      const storageState = await david.context().storageState();
      const page = await visitor({ ...look, storageState });
      const quiet = await openRoom(david.request, "Designers");
      const own = [`/rooms/${quiet.id}`, `/rooms/${quiet.id}/edit`, `/rooms/${quiet.id}/delete`];
      await post(david.request, 1, "Hello, hello");
      await david.request.post("/searches", {
        form: { q: "hello" },
        headers: { "sec-fetch-site": "same-origin" },
      });
      const paths = [
        ...["/rooms/1", ...own, "/rooms/new", "/rooms/directs/new", "/users/1"],
        ...["/users/me/password", "/users/me/sessions"],
        ...["/searches", "/searches?q=hello+from%3Ame", "/searches?q=nothing+from%3Anobody"],
        ...["/account/edit", "/account/invites", "/account/invites/1", "/account/settings"],
      ];
      for (const path of paths) {
        await enter(page, path);
        await expectAccessible(page, path);
      }
    });

    test(`a room in every state is accessible: ${colorScheme}, ${width} px`, async ({
      david,
      jason,
      visitor,
      server,
      guard,
    }) => {
      guard.allow(answered(422), serverIsDown);
      await post(david.request, 1, "Good morning, see https://example.com");
      await post(jason.request, 1, "Good morning");
      await post(david.request, 1, "One");
      const two = await post(david.request, 1, "Two");
      await david.request.patch(`/api/messages/${two.id}`, { data: { body: "Two, edited" } });
      const water = await openRoom(david.request, "Watercooler");
      await post(jason.request, water.id, "Unread");
      const storageState = await david.context().storageState();
      const page = await visitor({ ...look, storageState });
      await enter(page, "/users/2");
      await expectAccessible(page, "somebody's profile");
      await enter(page, "/rooms/1");
      await composer(jason).pressSequentially("Typing");
      await expect(typing(page)).toContainText("Jason");
      await message(page, "One").hover();
      await expectAccessible(page, "messages, one with its tools, somebody typing");
      await use(message(page, "One"), "remove");
      await expect(page.getByRole("button", { name: "Undo" })).toBeVisible();
      await expectAccessible(page, "a message that can be had back");
      await page.getByRole("button", { name: "Undo" }).click();

      const refusal = { error: { code: "validation", message: "Not in this house." } };
      await page.route(/\/messages$/, (route) => route.fulfill({ status: 422, json: refusal }));
      await say(page, "Failed");
      await expect(message(page, "Failed")).toHaveClass(/message--failed/);
      await page.unroute(/\/messages$/);
      await server.kill();
      await say(page, "Pending");
      await expect(message(page, "Pending")).toHaveClass(/message--pending/);
      await expect(banner(page)).toBeVisible();
      await expectAccessible(page, "failed and pending messages, and the banner");
      await use(message(page, "One"), "edit");
      await expect(page.getByRole("textbox", { name: "Message text" })).toBeFocused();
      await page.keyboard.press("Enter");
      await expect(page.getByText("The server did not answer.")).toBeVisible();
      await expectAccessible(page, "the edit form and a notice");
      await server.start();
      if (width === 390) {
        await page.locator(".bar__menu").click();
        await expect(page.locator("nav.sidebar")).toBeInViewport({ ratio: 1 });
        await expectAccessible(page, "the drawer");
      }
    });
  }
}
