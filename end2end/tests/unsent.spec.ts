// What is written but not sent, or sent but not stored: it is never lost and never said twice.
import { answered, expect, openRoom, people, serverIsDown, signIn, stored } from "../campfire.ts";
import { test } from "../campfire.ts";
import { banner, composer, enter, hydrated, live, message, overhear } from "../chat.ts";
import { replyLine, roomLink, say, texts, use } from "../chat.ts";
import type { BrowserContext, Page } from "@playwright/test";
import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const posting = /\/api\/rooms\/\d+\/messages$/;
const refusal = { error: { code: "validation", field: "body", message: "Not in this house." } };

test("a refused message stays, with its reason and two ways on", async ({
  david,
  jason,
  guard,
}) => {
  guard.allow(answered(422));
  await david.route(posting, (route) => route.fulfill({ status: 422, json: refusal }));
  await say(david, "Dubious");
  await say(david, "Dubious too");
  for (const text of ["Dubious", "Dubious too"]) {
    await expect(message(david, text)).toHaveClass(/message--failed/);
    await expect(message(david, text).getByRole("alert")).toContainText("Not sent.");
    await expect(message(david, text).getByRole("alert")).toContainText("Not in this house.");
  }
  await enter(david, "/rooms/1");
  await expect(message(david, "Dubious")).toHaveClass(/message--failed/);

  await david.unroute(posting);
  await message(david, "Dubious").getByRole("button", { name: "Try again" }).click();
  await expect(message(jason, "Dubious")).toBeVisible();
  await expect(message(david, "Dubious")).not.toHaveClass(/message--(failed|pending)/);
  await message(david, "Dubious too").getByRole("button", { name: "Delete" }).click();
  await expect(texts(david)).toHaveText(["Dubious"]);
  await expect(composer(david), "the text is not lost").toHaveValue("Dubious too");
  expect(await stored(david.request, 1)).toHaveLength(1);
});

test("a message that fails on the server is tried until it is stored, once", async ({
  david,
  jason,
  guard,
}) => {
  guard.allow(answered(500));
  const names: string[] = [];
  await david.route(posting, async (route) => {
    names.push(route.request().postDataJSON().client_message_id);
    // The second failure comes after the message was stored: only its answer is lost.
    if (names.length === 2) await route.fetch();
    if (names.length <= 2) await route.fulfill({ status: 500, json: {} });
    else await route.continue();
  });
  await say(david, "Persistent");
  await say(david, "Patient");
  await expect(message(jason, "Patient")).toBeVisible({ timeout: 40_000 });
  for (const page of [david, jason]) {
    await expect(texts(page)).toHaveText(["Persistent", "Patient"]);
    await expect(page.locator(".message--pending, .message--failed")).toHaveCount(0);
  }
  expect(await stored(david.request, 1)).toHaveLength(2);
  expect(new Set(names).size, "every attempt carries the same id").toBe(2);
});

test("an answer that is lost holds up nothing behind it", async ({ david, jason, guard }) => {
  guard.allow(answered(500));
  await david.route(
    posting,
    async (route) => {
      // Another message waits for its turn before this one is stored and comes back by socket.
      await expect(message(david, "Second")).toHaveClass(/message--pending/);
      await route.fetch();
      await expect(message(david, "First")).not.toHaveClass(/message--pending/);
      await expect(message(david, "Second")).toHaveClass(/message--pending/);
      await route.fulfill({ status: 500, json: {} });
    },
    { times: 1 },
  );
  await say(david, "First");
  await say(david, "Second");
  await expect(message(jason, "Second")).toBeVisible({ timeout: 30_000 });
  await expect(texts(jason)).toHaveText(["First", "Second"]);
});

test("a message that never gets an answer ends as not sent", async ({ david, guard }) => {
  guard.allow(answered(503));
  await david.clock.install();
  await enter(david, "/rooms/1");
  await david.route(posting, (route) => route.fulfill({ status: 503, json: {} }));
  await say(david, "Hello?");
  await expect(message(david, "Hello?")).toHaveClass(/message--pending/);
  // Half a minute of attempts, in less.
  await expect(async () => {
    await david.clock.runFor(2_000);
    const note = message(david, "Hello?").getByRole("alert");
    await expect(note).toContainText("Not sent. The server did not answer.", { timeout: 250 });
  }).toPass({ timeout: 40_000 });
  await david.unroute(posting);
  await message(david, "Hello?").getByRole("button", { name: "Try again" }).click();
  await expect(message(david, "Hello?")).not.toHaveClass(/message--(failed|pending)/);
  await expect(texts(david)).toHaveText(["Hello?"]);
});

test("a draft survives a reload, in its own room", async ({ david }) => {
  const designers = await openRoom(david.request, "Designers");
  await composer(david).fill("Half a thou");
  await live(david, () => david.reload());
  await expect(composer(david)).toHaveValue("Half a thou");
  await roomLink(david, "Designers").click();
  await expect(composer(david)).toHaveValue("");
  await composer(david).fill("Another");
  await enter(david, "/rooms/1");
  await expect(composer(david)).toHaveValue("Half a thou");
  await say(david, "A whole thought");
  await expect(message(david, "A whole thought")).not.toHaveClass(/message--pending/);
  await live(david, () => david.reload());
  await expect(composer(david)).toHaveValue("");
  await enter(david, `/rooms/${designers.id}`);
  await expect(composer(david)).toHaveValue("Another");
});

test("what was typed before the page came alive is kept", async ({ david }) => {
  let open = () => {};
  const held = new Promise<void>((settle) => (open = settle));
  await david.route(/campfire\.wasm$/, async (route) => {
    await held;
    await route.continue();
  });
  await david.goto("/rooms/1", { waitUntil: "commit" });
  await composer(david).pressSequentially("Quick fingers");
  open();
  await hydrated(david);
  await expect(composer(david)).toHaveValue("Quick fingers");
  await composer(david).press("Enter");
  await expect(texts(david)).toHaveText(["Quick fingers"]);
});

test("what is unsent when the page closes is sent once when it opens again", async ({
  david,
  jason,
  server,
  guard,
}) => {
  guard.allow(serverIsDown);
  const context = david.context();
  await server.kill();
  await say(david, "From a dead network");
  await expect(message(david, "From a dead network")).toHaveClass(/message--pending/);
  await david.close();
  await server.start();
  const again = await context.newPage();
  await enter(again, "/rooms/1");
  await expect(message(jason, "From a dead network")).toBeVisible({ timeout: 40_000 });
  for (const page of [again, jason]) {
    await expect(texts(page)).toHaveText(["From a dead network"]);
    await expect(page.locator(".message--pending, .message--failed")).toHaveCount(0);
  }
  await live(again, () => again.reload());
  await expect(texts(again)).toHaveText(["From a dead network"]);
  expect(await stored(again.request, 1)).toHaveLength(1);
});

for (const way of ["once the connection is back", "by the next visit"]) {
  test(`a reply written without a network is sent once, with its reference, ${way}`, async ({
    david,
    jason,
    server,
    guard,
  }) => {
    guard.allow(serverIsDown);
    const context = david.context();
    await say(jason, "The harbour is empty");
    await expect(message(david, "The harbour is empty")).toBeVisible();
    await server.kill();
    await use(message(david, "The harbour is empty"), "reply");
    await expect(replyLine(david)).toContainText("Replying to Jason: The harbour is empty");
    await say(david, "I can fill it");
    await expect(replyLine(david)).toHaveCount(0);
    await say(david, "And this is no reply");
    await expect(david.locator(".message--pending")).toHaveCount(2);
    if (way === "by the next visit") await david.close();
    await server.start();
    const page = david.isClosed() ? await context.newPage() : david;
    if (page !== david) await enter(page, "/rooms/1");

    const said = ["The harbour is empty", "I can fill it", "And this is no reply"];
    for (const one of [page, jason]) {
      await expect(texts(one)).toHaveText(said, { timeout: 40_000 });
      await expect(one.locator(".message--pending, .message--failed")).toHaveCount(0);
      await expect(one.locator(".message:has(.reply-ref)")).toHaveCount(1);
      const quote = message(one, "I can fill it").locator(".reply-ref");
      await expect(quote).toContainText("The harbour is empty");
    }
    const [original, ...others] = await stored(page.request, 1);
    expect(others.map(({ reply_to }) => reply_to?.id)).toEqual([original!.id, undefined]);
  });
}

test("two tabs that close with something unsent lose neither", async ({ david, server, guard }) => {
  guard.allow(serverIsDown);
  const context = david.context();
  const second = await context.newPage();
  await enter(second, "/rooms/1");
  await server.kill();
  await say(david, "From the first tab");
  await say(second, "From the second tab");
  await expect(message(second, "From the second tab")).toHaveClass(/message--pending/);
  await david.close();
  await second.close();
  await server.start();
  const again = await context.newPage();
  await enter(again, "/rooms/1");
  await expect
    .poll(async () => (await stored(again.request, 1)).map((one) => one.body).sort())
    .toEqual(["From the first tab", "From the second tab"]);
});

test("what is unsent in another room is sent from wherever one is", async ({
  david,
  server,
  guard,
}) => {
  guard.allow(serverIsDown, /net::ERR_FAILED/);
  const context = david.context();
  const { id } = await openRoom(david.request, "Designers");
  await enter(david, `/rooms/${id}`);
  await server.kill();
  await say(david, "For the designers");
  await expect(banner(david)).toBeVisible();
  await david.close();
  await server.start();
  const again = await context.newPage();
  // Its room cannot be read at first, as on a network that is just coming back.
  await again.route(new RegExp(`/api/rooms/${id}/messages\\?`), (route) => route.abort(), {
    times: 1,
  });
  await enter(again, "/rooms/1");
  await roomLink(again, "Designers").click();
  await say(again, "And one more");
  await expect
    .poll(async () => (await stored(again.request, id)).map((one) => one.body))
    .toEqual(["For the designers", "And one more"]);
});

for (const stage of ["before it reached the server", "before its answer came back"]) {
  test(`a message is sent once and a draft is kept when the browser is killed ${stage}`, async ({
    david,
    jason,
    playwright,
    launchOptions,
    baseURL,
    guard,
  }) => {
    guard.allow(serverIsDown);
    await david.goto("about:blank");
    const folder = await mkdtemp(join(tmpdir(), "campfire-browser-"));
    const open = async (): Promise<[BrowserContext, Page]> => {
      const options = { ...launchOptions, baseURL: baseURL! };
      const context = await playwright.chromium.launchPersistentContext(folder, options);
      guard.watch(context);
      overhear(context);
      return [context, await context.newPage()];
    };
    try {
      // Signed in the day before: a browser keeps new cookies to itself for half a minute.
      const [yesterday] = await open();
      await signIn(yesterday.request, people.david);
      await yesterday.close();

      const [context, page] = await open();
      await enter(page, "/rooms/1");
      if (stage === "before it reached the server") {
        await context.setOffline(true);
      } else {
        await page.route(posting, async (route) => {
          await page.context().setOffline(true);
          await route.fetch();
        });
      }
      await say(page, "From a dead network");
      await expect(message(page, "From a dead network")).toHaveClass(/message--pending/);
      await composer(page).fill("Half a thought");
      await written(folder, "From a dead network", "Half a thought");
      await expect
        .poll(async () => (await stored(jason.request, 1)).length)
        .toBe(stage === "before it reached the server" ? 0 : 1);
      await kill(folder, context);

      const [, again] = await open();
      await enter(again, "/rooms/1");
      await expect(message(jason, "From a dead network")).toBeVisible({ timeout: 40_000 });
      for (const one of [again, jason]) {
        await expect(texts(one)).toHaveText(["From a dead network"]);
        await expect(one.locator(".message--pending, .message--failed")).toHaveCount(0);
      }
      await expect(composer(again)).toHaveValue("Half a thought");
      await live(again, () => again.reload());
      await expect(texts(again)).toHaveText(["From a dead network"]);
      await expect(composer(again)).toHaveValue("Half a thought");
      expect(await stored(jason.request, 1)).toHaveLength(1);
      await again.context().close();
    } finally {
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  });
}

/** Waits until a browser has put texts of its pages on the disk, as it does within seconds. */
async function written(folder: string, ...texts: string[]): Promise<void> {
  const storage = join(folder, "Default", "Local Storage", "leveldb");
  await expect
    .poll(
      async () => {
        const files = (await readdir(storage)).filter((name) => /\.(log|ldb)$/.test(name));
        const all = await Promise.all(files.map((name) => readFile(join(storage, name), "latin1")));
        return texts.filter((text) => !all.join("").includes(text));
      },
      { message: "what is not on the disk", timeout: 40_000 },
    )
    .toEqual([]);
}

/** Ends a browser at once, as a crash or a power cut would. Its folder names its process. */
async function kill(folder: string, context: BrowserContext): Promise<void> {
  const process_id = /-(\d+)$/.exec(await readlink(join(folder, "SingletonLock")))?.[1];
  if (process_id === undefined) throw new Error(`No browser runs in ${folder}.`);
  const gone = context.waitForEvent("close");
  process.kill(Number(process_id), "SIGKILL");
  await gone;
}
