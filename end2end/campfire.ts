// What every browser test starts from: a server of its own, people who use it, and a guard that
// fails the test when a page complains. It drives the release binary from outside and knows only
// the public JSON API; what people see and do on a page is in chat.ts, and what a journey does and
// expects stands in tests/.
import { test as base, expect } from "@playwright/test";
import type { APIRequestContext, APIResponse, BrowserContextOptions } from "@playwright/test";
import type { BrowserContext, Page } from "@playwright/test";
import { enter, overhear } from "./chat.ts";
import { binary, Server } from "./server.ts";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";

/** Collects what pages complain about. A content security policy speaks through console errors. */
export class Guard {
  readonly complaints: string[] = [];
  private readonly allowed: RegExp[] = [];

  watch(context: BrowserContext): void {
    context.on("console", (message) => {
      const { url } = message.location();
      if (message.type() === "error") this.complain(`console: ${message.text()} (${url})`);
    });
    context.on("weberror", (error) => this.complain(`page error: ${error.error()}`));
    context.on("page", (page) => page.on("crash", () => this.complain(`crashed: ${page.url()}`)));
  }

  /** From now on, complaints that match are part of the test. */
  allow(...patterns: RegExp[]): void {
    this.allowed.push(...patterns);
  }

  private complain(text: string): void {
    if (!this.allowed.some((pattern) => pattern.test(text))) this.complaints.push(text);
  }
}

/** What a browser says while the server is down on purpose: `guard.allow(serverIsDown)`. */
export const serverIsDown =
  /net::ERR_(CONNECTION_(REFUSED|RESET|CLOSED)|EMPTY_RESPONSE|INTERNET_DISCONNECTED)|WebSocket connection to .* failed/;

/** What a browser says about an answer that a test provokes: `guard.allow(answered(422))`. */
export const answered = (status: number): RegExp =>
  new RegExp(`the server responded with a status of ${status}\\b`);

interface Fixtures {
  /** A fresh server; `page` and `request` use its address. */
  server: Server;
  /** Fails the test on any complaint of any page that was not allowed. */
  guard: Guard;
  /** Opens a page in a browser of its own: another person, or another device. */
  visitor: (options?: BrowserContextOptions) => Promise<Page>;
  /** The administrator, in the first room; every other person joins by the invite link. */
  david: Page;
  jason: Page;
  kevin: Page;
}

export const test = base.extend<Fixtures>({
  server: async ({}, use, testInfo) => {
    const data = await mkdtemp(joinPath(tmpdir(), "campfire-"));
    const server = new Server(data);
    try {
      await server.start();
      await use(server);
      await server.stop();
    } finally {
      await server.kill();
      await rm(data, { recursive: true, force: true });
      if (testInfo.status !== testInfo.expectedStatus) {
        await testInfo.attach("server log", { body: server.log, contentType: "text/plain" });
      }
    }
  },
  baseURL: async ({ server }, use) => use(server.url),
  guard: async ({}, use) => {
    const guard = new Guard();
    await use(guard);
    expect(guard.complaints, "the pages complained").toEqual([]);
  },
  context: async ({ context, guard }, use) => {
    guard.watch(context);
    overhear(context);
    await use(context);
  },
  visitor: async ({ browser, guard, baseURL }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async (options) => {
      const context = await browser.newContext({ baseURL, ...options });
      contexts.push(context);
      guard.watch(context);
      overhear(context);
      return context.newPage();
    });
    await Promise.all(contexts.map((context) => context.close()));
  },
  david: async ({ visitor }, use) => {
    const page = await visitor();
    await firstRun(page.request, people.david);
    await enter(page, "/");
    await use(page);
  },
  jason: async ({ visitor, david }, use) => use(await joined(await visitor(), david, people.jason)),
  kevin: async ({ visitor, david }, use) => use(await joined(await visitor(), david, people.kevin)),
});

async function joined(page: Page, inviter: Page, who: Person): Promise<Page> {
  await join(page.request, await inviteCode(inviter.request), who);
  await enter(page, "/");
  return page;
}

export { binary, expect };

export interface Person {
  name: string;
  email_address: string;
  password: string;
}

/** Somebody with an address nobody has. */
export function person(name: string): Person {
  const email_address = `${name.toLowerCase().replaceAll(" ", ".")}@campfire.example`;
  return { name, email_address, password: "correct horse battery staple" };
}

export const people = {
  david: person("David"),
  jason: person("Jason"),
  kevin: person("Kevin"),
};

export interface User {
  id: number;
  name: string;
}

export interface Room {
  id: number;
  name: string;
  unread: boolean;
}

export interface Message {
  id: number;
  seq: number;
  room_id: number;
  client_message_id: string;
  creator: User;
  body: string;
  body_html: string;
  reply_to?: { id: number; creator: User; excerpt: string };
}

// The API calls below sign in whoever owns `api`: `page.request` shares its cookies with the page.

/** Sets up the account; the person becomes its administrator. */
export async function firstRun(api: APIRequestContext, who: Person): Promise<User> {
  return answer(await api.post("/api/first_run", { data: who }), 201);
}

export async function join(api: APIRequestContext, code: string, who: Person): Promise<User> {
  return answer(await api.post(`/api/join/${code}`, { data: who }), 201);
}

export async function signIn(api: APIRequestContext, who: Person): Promise<User> {
  const { email_address, password } = who;
  return answer(await api.post("/api/session", { data: { email_address, password } }), 201);
}

/** Posts a message. The same `client_message_id` again gives the original back. */
export async function post(
  api: APIRequestContext,
  room_id: number,
  body: string,
  client_message_id: string = randomUUID(),
): Promise<Message> {
  const data = { body, client_message_id };
  return answer(await api.post(`/api/rooms/${room_id}/messages`, { data }), 200, 201);
}

/** Answers a message, in its room. */
export async function reply(
  api: APIRequestContext,
  { id: reply_to, room_id }: Message,
  body: string,
): Promise<Message> {
  const data = { body, client_message_id: randomUUID(), reply_to };
  return answer(await api.post(`/api/rooms/${room_id}/messages`, { data }), 201);
}

/** Does something with each of many, some at a time; answers in their order. */
export async function each<T, U>(of: T[], what: (one: T, at: number) => Promise<U>): Promise<U[]> {
  const done: U[] = [];
  for (let from = 0; from < of.length; from += 16) {
    const part = of.slice(from, from + 16);
    done.push(...(await Promise.all(part.map((one, at) => what(one, from + at)))));
  }
  return done;
}

/** Posts `Line from` to `Line to`, one after the other, so that their order is known. */
export async function postLines(
  api: APIRequestContext,
  room_id: number,
  from: number,
  to: number,
): Promise<Message[]> {
  const posted: Message[] = [];
  for (let at = from; at <= to; at += 1) posted.push(await post(api, room_id, line(at)));
  return posted;
}

/** The text of the numbered messages of `postLines`. */
export const line = (at: number): string => `Line ${String(at).padStart(3, "0")}`;

/** The texts of the numbered messages of `postLines`. */
export const lines = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, at) => line(from + at));

export async function edit(api: APIRequestContext, id: number, body: string): Promise<Message> {
  return answer(await api.patch(`/api/messages/${id}`, { data: { body } }), 200);
}

export async function remove(api: APIRequestContext, id: number): Promise<void> {
  expect((await api.delete(`/api/messages/${id}`)).status()).toBe(204);
}

/** What the server has: at most the newest 500 messages of a room, oldest first. */
export async function stored(api: APIRequestContext, room_id: number): Promise<Message[]> {
  const page = await api.get(`/api/rooms/${room_id}/messages?limit=500`);
  return (await answer<{ messages: Message[] }>(page, 200)).messages;
}

export async function rooms(api: APIRequestContext): Promise<Room[]> {
  return answer(await api.get("/api/rooms"), 200);
}

/** Makes an open room: everybody is in it. */
export async function openRoom(api: APIRequestContext, name: string): Promise<Room> {
  return answer(await api.post("/api/rooms", { data: { name, kind: "open" } }), 201);
}

/** The code of the invite link, as the people page shows it. */
export async function inviteCode(api: APIRequestContext): Promise<string> {
  const people = await (await api.get("/account/invites")).text();
  const code = /\/join\/([\w-]+)/.exec(people)?.[1];
  if (code === undefined) throw new Error("The invite links are not shown.");
  return code;
}

async function answer<T>(response: APIResponse, ...expected: number[]): Promise<T> {
  const text = await response.text();
  expect(expected, `${response.url()} answered ${response.status()}: ${text}`).toContain(
    response.status(),
  );
  return JSON.parse(text) as T;
}
