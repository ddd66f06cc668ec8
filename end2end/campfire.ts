// What every browser test starts from: a server of its own, people who use it, and a guard that
// fails the test when a page complains. It drives the release binary from outside and knows only
// the public JSON API; what a journey does and expects stands in tests/.
import { test as base, expect } from "@playwright/test";
import type { APIRequestContext, APIResponse, BrowserContextOptions } from "@playwright/test";
import type { BrowserContext, Page } from "@playwright/test";
import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as joinPath, resolve } from "node:path";
import { createInterface } from "node:readline";

const binary = process.env.CAMPFIRE_BIN ?? resolve(import.meta.dirname, "../target/release/campfire");
const startLimit = 10_000;
const stopLimit = 30_000;

/** One running Campfire with its own data. It keeps its port over restarts, as pages expect. */
export class Server {
  /** Everything it printed so far, over all restarts; attached to a failing test. */
  log = "";
  private port = 0;
  private child: ChildProcess | undefined;

  constructor(private readonly data: string) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const child = spawn(binary, {
      env: {
        ...process.env,
        CAMPFIRE_ADDR: `127.0.0.1:${this.port}`,
        CAMPFIRE_DATA: this.data,
        CAMPFIRE_LIMITS: "off",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child = child;
    child.stderr.on("data", (text) => (this.log += text));
    // Reading on to the end keeps the pipe from filling up and stopping the server.
    const lines = createInterface(child.stdout);
    lines.on("line", (line) => (this.log += `${line}\n`));
    const first = await new Promise<string>((settle, fail) => {
      const late = setTimeout(() => fail(new Error("it said nothing")), startLimit);
      lines.once("line", settle);
      child.once("error", fail);
      child.once("exit", (code, signal) => fail(new Error(`it ended with ${code ?? signal}`)));
      lines.once("line", () => clearTimeout(late));
    }).catch(async (cause: Error) => {
      await this.end("SIGKILL");
      throw new Error(`${binary} did not start: ${cause.message}\n${this.log}`);
    });
    const port = /^listening on http:\/\/\S+:(\d+)\/?$/.exec(first)?.[1];
    if (port === undefined) throw new Error(`The first line is not an address: ${first}`);
    this.port = Number(port);
  }

  /** Asks it to end (SIGTERM) and waits until it did. Killing it after the limit is a failure. */
  async stop(): Promise<void> {
    const killed = await this.end("SIGTERM");
    if (killed) throw new Error(`The server was still running ${stopLimit} ms after SIGTERM.`);
  }

  /** Ends it at once (SIGKILL), as a crash or a power cut would. */
  async kill(): Promise<void> {
    await this.end("SIGKILL");
  }

  /** Stops it if it runs, and starts it with the same data on the same port. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Resolves once the process is gone, to whether patience ran out first. */
  private async end(signal: NodeJS.Signals): Promise<boolean> {
    const child = this.child;
    this.child = undefined;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return false;
    const gone = once(child, "exit");
    let killed = false;
    const impatience = setTimeout(() => (killed = child.kill("SIGKILL")), stopLimit);
    child.kill(signal);
    await gone;
    clearTimeout(impatience);
    return killed;
  }
}

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

interface Fixtures {
  /** A fresh server; `page` and `request` use its address. */
  server: Server;
  /** Fails the test on any complaint of any page that was not allowed. */
  guard: Guard;
  /** Opens a page in a browser of its own: another person, or another device. */
  visitor: (options?: BrowserContextOptions) => Promise<Page>;
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
    await use(context);
  },
  visitor: async ({ browser, guard, baseURL }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async (options) => {
      const context = await browser.newContext({ baseURL, ...options });
      contexts.push(context);
      guard.watch(context);
      return context.newPage();
    });
    await Promise.all(contexts.map((context) => context.close()));
  },
});

export { expect };

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

export interface User {
  id: number;
  name: string;
}

export interface Message {
  id: number;
  seq: number;
  room_id: number;
  client_message_id: string;
  creator: User;
  body: string;
  body_html: string;
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

async function answer<T>(response: APIResponse, ...expected: number[]): Promise<T> {
  const text = await response.text();
  expect(expected, `${response.url()} answered ${response.status()}: ${text}`).toContain(
    response.status(),
  );
  return JSON.parse(text) as T;
}

/** Waits until the browser client has taken the page over; before that only links and forms work. */
export async function hydrated(page: Page): Promise<void> {
  await expect(page.locator("html")).toHaveAttribute("data-hydrated", "true");
}
