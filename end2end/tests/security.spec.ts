// What a browser is told to refuse, and what the server refuses itself.
import { answered, binary, expect, inviteCode, people, stored, test } from "../campfire.ts";
import { Server } from "../server.ts";
import { enter, say, texts } from "../chat.ts";
import type { APIResponse, Page } from "@playwright/test";
import { randomBytes, randomUUID } from "node:crypto";
import { copyFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

function expectSecured(answer: APIResponse, where: string): void {
  const headers = answer.headers();
  const policy = headers["content-security-policy"] ?? "";
  const rules = new Map(
    policy.split(";").map((rule) => {
      const [name, ...sources] = rule.trim().split(/\s+/);
      return [name!, sources.join(" ")];
    }),
  );
  expect(policy, where).not.toMatch(/unsafe-inline|'unsafe-eval'|\*/);
  for (const [name, sources] of [
    ["default-src", "'none'"],
    ["script-src", "'self' 'wasm-unsafe-eval'"],
    ["style-src", "'self'"],
    ["form-action", "'self'"],
    ["base-uri", "'none'"],
    ["frame-ancestors", "'none'"],
  ] as const) {
    expect(rules.get(name), `${where}: ${name}`).toBe(sources);
  }
  expect(headers["x-content-type-options"], where).toBe("nosniff");
  expect(headers["referrer-policy"], where).toBe("no-referrer");
}

/** Asks for a socket by hand, with any headers; resolves to the status of the answer. */
function knock(url: string, headers: Record<string, string>): Promise<number | undefined> {
  const key = randomBytes(16).toString("base64");
  const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
  return new Promise((settle, fail) => {
    const asked = get(`${url}/ws`, {
      headers: { ...upgrade, "sec-websocket-key": key, ...headers },
    });
    asked.once("error", fail);
    asked.once("upgrade", (answer, socket) => {
      socket.destroy();
      settle(answer.statusCode);
    });
    asked.once("response", (answer) => {
      answer.resume();
      settle(answer.statusCode);
    });
  });
}

async function cookieOf(page: Page): Promise<string> {
  const cookies = await page.context().cookies();
  return cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
}

test("every HTML answer carries the security headers and nothing inline", async ({
  page,
  david,
}) => {
  const code = await inviteCode(david.request);
  const inside = ["/rooms/1", "/rooms/new", "/account/edit", "/users/1", "/rooms/99", "/users/99"];
  const outside = [
    "/session/new",
    `/join/${code}`,
    "/join/nope",
    "/nowhere",
    "/session",
    "/rooms/x",
  ];
  for (const [who, paths] of [
    [david, inside],
    [page, outside],
  ] as const) {
    for (const path of paths) {
      const answer = await who.request.get(path);
      expectSecured(answer, path);
      expect(answer.headers()["content-type"], path).toContain("text/html");
      const html = await answer.text();
      expect(html, path).not.toMatch(/<style|\sstyle=|\son[a-z]+=|javascript:/i);
      const scripts = html.match(/<script(?![^>]*(src=|type="application\/json"))[^>]*>/g);
      expect(scripts, path).toBeNull();
    }
  }
  expectSecured(await page.request.get("/", { maxRedirects: 0 }), "a redirect");
  expectSecured(await page.request.get("/api/me"), "the API");
});

test("the session cookie is kept from scripts and other sites", async ({ david }) => {
  const cookies = await david.context().cookies();
  const session = cookies.find(({ name }) => name === "session_token");
  expect(session).toMatchObject({ httpOnly: true, sameSite: "Lax", path: "/" });
  expect(session?.value).toMatch(/^[A-Za-z0-9]{32,}$/);
  expect(await david.evaluate(() => document.cookie)).not.toContain("session_token");
});

test("a request from another site changes nothing", async ({ david, server }) => {
  const foreign: Record<string, string>[] = [
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site", origin: server.url },
    { "sec-fetch-site": "cross-site", origin: server.url },
    { origin: "https://evil.example" },
    { origin: server.url.replace("127.0.0.1", "localhost") },
    { origin: "null" },
  ];
  for (const headers of foreign) {
    const where = JSON.stringify(headers);
    const data = { body: "Evil", client_message_id: randomUUID() };
    const json = await david.request.post("/api/rooms/1/messages", { data, headers });
    expect(json.status(), where).toBe(403);
    const form = { body: "Evil" };
    const plain = await david.request.post("/rooms/1/messages", { form, headers });
    expect(plain.status(), where).toBe(403);
    expectSecured(plain, where);
    expect((await david.request.post("/session/end", { form: {}, headers })).status()).toBe(403);
    expect((await david.request.delete("/api/session", { headers })).status()).toBe(403);
  }
  // A form that names no origin at all is no browser's, and no program's either.
  const silent = await david.request.post("/rooms/1/messages", { form: { body: "Evil" } });
  expect(silent.status()).toBe(403);
  expect(await stored(david.request, 1)).toEqual([]);
  expect((await david.request.get("/api/me")).status()).toBe(200);
});

test("a form on another site is refused in a real browser", async ({ david, server, guard }) => {
  guard.allow(answered(403));
  const form = `<form method="post" action="${server.url}/rooms/1/messages">
    <input name="body" value="Evil"><button>Win a prize</button></form>`;
  await david.route("http://evil.example/", (route) =>
    route.fulfill({ contentType: "text/html", body: form }),
  );
  await david.goto("http://evil.example/");
  const answer = david.waitForResponse(`${server.url}/rooms/1/messages`);
  await david.getByRole("button", { name: "Win a prize" }).click();
  expect((await answer).status()).toBe(403);
  await expect(david.locator("main")).toContainText("did not come from the chat itself");
  expect(await stored(david.request, 1)).toEqual([]);
});

test("a socket opens only for our own pages and people", async ({ david, server }) => {
  const cookie = await cookieOf(david);
  const origin = server.url;
  expect(await knock(server.url, { cookie, origin })).toBe(101);
  expect(await knock(server.url, { cookie })).toBe(403);
  for (const foreign of ["https://evil.example", "null", `${origin}.evil.example`, `${origin}0`]) {
    expect(await knock(server.url, { cookie, origin: foreign }), foreign).toBe(403);
  }
  expect(await knock(server.url, { origin })).toBe(401);
  expect(await knock(server.url, { origin, cookie: "session_token=nope" })).toBe(401);
  await david.request.delete("/api/session");
  expect(await knock(server.url, { cookie, origin })).toBe(401);
  // Also lets the page arrive: a browser that is closed while it changes pages may hang.
  await expect(david).toHaveURL("/session/new");
  await expect(david.getByRole("button", { name: "Sign in" })).toBeVisible();
});

test("assets are kept for ever and come compressed", async ({ david }) => {
  const html = await (await david.request.get("/rooms/1")).text();
  const addresses = new Set(html.match(/\/assets\/\w+\/[^"#]+/g));
  for (const name of [
    /\.css$/,
    /\/boot\.js$/,
    /campfire\.js$/,
    /\.wasm$/,
    /icons\.svg$/,
    /favicon/,
  ]) {
    expect(
      [...addresses].filter((path) => name.test(path)),
      String(name),
    ).toHaveLength(1);
  }
  for (const path of addresses) {
    const answer = await david.request.get(path, { headers: { "accept-encoding": "gzip, br" } });
    expect(answer.status(), path).toBe(200);
    const headers = answer.headers();
    expect(headers["cache-control"], path).toBe("public, max-age=31536000, immutable");
    expect(headers["vary"], path).toContain("accept-encoding");
    expect(headers["x-content-type-options"], path).toBe("nosniff");
    expect(headers["content-encoding"], path).toBe("br");
  }
  const wasm = [...addresses].find((path) => path.endsWith(".wasm"))!;
  const plain = await david.request.get(wasm, { headers: { "accept-encoding": "identity" } });
  expect(plain.headers()["content-encoding"]).toBeUndefined();
  expect(plain.headers()["content-type"]).toBe("application/wasm");
  expect((await plain.body()).subarray(0, 4).toString("latin1")).toBe("\0asm");
  expect((await david.request.get("/assets/yesterday/nothing.js")).status()).toBe(404);
  const pages = await david.request.get("/rooms/1");
  expect(pages.headers()["cache-control"]).toBe("private, no-store");
});

test("a lone copy of the binary is all there is to install", async ({ visitor }) => {
  const folder = await mkdtemp(join(tmpdir(), "campfire-alone-"));
  const program = join(folder, "campfire");
  await copyFile(binary, program);
  const alone = new Server(join(folder, "storage"), folder, program);
  try {
    await alone.start();
    const page = await visitor({ baseURL: alone.url });
    const failed: string[] = [];
    page.on("response", (answer) => {
      if (answer.status() >= 400) failed.push(`${answer.status()} ${answer.url()}`);
    });
    await page.goto("/");
    for (const [label, text] of [
      ["Your name", people.david.name],
      ["E-mail", people.david.email_address],
      ["Password", people.david.password],
    ] as const) {
      await page.getByLabel(label).fill(text);
    }
    await page.getByRole("button", { name: "Create workspace" }).click();
    await enter(page, "/rooms/1");
    await say(page, "All by myself");
    await expect(texts(page)).toHaveText(["All by myself"]);
    await expect(page.locator(".message--pending")).toHaveCount(0);
    await expect(page.locator("html"), "the stylesheet applies").toHaveCSS(
      "color-scheme",
      "light dark",
    );
    expect(failed).toEqual([]);
    expect((await readdir(folder)).sort()).toEqual(["campfire", "storage"]);
  } finally {
    await alone.kill();
    await rm(folder, { recursive: true, force: true });
  }
});
