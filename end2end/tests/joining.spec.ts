// Joining by an invite link on a bad network: what was typed is kept, one person comes of it, and
// they get in. The page has no script, so a browser's own ways are all there is: its error page,
// which sends the form again, and its habit of sending a request again by itself if the connection
// it was sent on is lost.
import { expect, inviteCode, people, serverIsDown, test as base } from "../campfire.ts";
import type { User } from "../campfire.ts";
import { live } from "../chat.ts";
import type { Page } from "@playwright/test";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";

const { jason } = people;

/** What lies between a browser and the server. */
interface Way {
  url: string;
  /** The statuses of the server's answers to forms, also of those that were lost. */
  answers: number[];
  /** So many answers to forms are lost with their connection. */
  lose: number;
  /** So many answers to forms never come. */
  hold: number;
}

const test = base.extend<{ way: Way }>({
  way: async ({ server, guard }, use) => {
    // It breaks off on purpose, and ends before the pages do.
    guard.allow(serverIsDown);
    const way: Way = { url: "", answers: [], lose: 0, hold: 0 };
    const between = createServer((asked, back) => {
      const { method, headers } = asked;
      const forward = request(server.url + asked.url, { method, headers }, (answer) => {
        const form = method === "POST" && asked.url?.startsWith("/join/");
        if (form) way.answers.push(answer.statusCode ?? 0);
        if (form && way.lose > 0) {
          way.lose -= 1;
          answer.resume().once("end", () => asked.socket.destroy());
        } else if (form && way.hold > 0) {
          way.hold -= 1;
          answer.resume();
        } else {
          back.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(back);
        }
      });
      // Either end may go at any time; that is what this is for.
      forward.on("error", () => back.destroy());
      back.on("error", () => forward.destroy());
      asked.pipe(forward);
    });
    // Sockets are not forwarded; the chat has to do without.
    between.on("upgrade", (_, socket) => socket.destroy());
    await new Promise<void>((settle) => between.listen(0, "127.0.0.1", settle));
    way.url = `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
    await use(way);
    between.closeAllConnections();
    between.close();
  },
});

async function fill(page: Page): Promise<void> {
  await page.getByLabel("Your name").fill(jason.name);
  await page.getByLabel("E-mail").fill(jason.email_address);
  await page.getByLabel("Password").fill(jason.password);
}

async function everybody(admin: Page): Promise<string[]> {
  const people = (await (await admin.request.get("/api/users")).json()) as User[];
  return people.map(({ name }) => name);
}

/** A link that lets in as many as come, or one person. */
async function link(admin: Page, lets: string): Promise<string> {
  if (lets === "everybody") return inviteCode(admin.request);
  const made = await admin.request.post("/api/invites", { data: { days: 1, max_uses: 1 } });
  return ((await made.json()) as { code: string }).code;
}

async function expectIn(page: Page): Promise<void> {
  await expect(page).toHaveURL(/\/rooms\/1$/);
  await expect(page.locator(".you__name")).toHaveText(jason.name);
  expect((await page.request.get("/api/me")).status()).toBe(200);
}

const join = (page: Page) => page.getByRole("button", { name: "Join the chat" });
const failed = (page: Page) => expect(page).toHaveURL("chrome-error://chromewebdata/");

for (const lets of ["everybody", "one person"]) {
  test(`what was typed without a network is sent again: a link for ${lets}`, async ({
    david,
    visitor,
    guard,
  }) => {
    guard.allow(/net::ERR_INTERNET_DISCONNECTED/);
    const page = await visitor();
    await page.goto(`/join/${await link(david, lets)}`);
    await fill(page);
    await page.context().setOffline(true);
    await join(page).click();
    await failed(page);
    expect(await everybody(david)).toEqual(["David"]);
    await page.context().setOffline(false);
    await live(page, () => page.reload());
    await expect(page).toHaveURL("/rooms/1");
    await expect(page.locator(".you__name")).toHaveText(jason.name);
    expect(await everybody(david)).toEqual(["David", "Jason"]);
  });

  test.describe(`a link for ${lets}`, () => {
    test("an answer that is lost", async ({ david, visitor, way }) => {
      const page = await visitor({ baseURL: way.url });
      await page.goto(`/join/${await link(david, lets)}`);
      await fill(page);
      way.lose = 9;
      await join(page).click();
      await failed(page);
      expect(await everybody(david)).toEqual(["David", "Jason"]);
      way.lose = 0;
      await page.reload();
      await expectIn(page);
      expect(await everybody(david)).toEqual(["David", "Jason"]);
    });

    test("an answer that is lost, and a browser that asks again", async ({
      david,
      visitor,
      way,
    }) => {
      const page = await visitor({ baseURL: way.url });
      await page.goto(`/join/${await link(david, lets)}`);
      await fill(page);
      way.lose = 1;
      await join(page).click();
      await expect.poll(() => way.answers.length).toBe(2);
      await expectIn(page);
      expect(await everybody(david)).toEqual(["David", "Jason"]);
    });

    test("a button that is pressed again", async ({ david, visitor, way }) => {
      const page = await visitor({ baseURL: way.url });
      await page.goto(`/join/${await link(david, lets)}`);
      await fill(page);
      way.hold = 1;
      const place = (await join(page).boundingBox())!;
      // By the mouse itself: a click on the button would wait for the page that does not come.
      const press = () => page.mouse.click(place.x + place.width / 2, place.y + place.height / 2);
      await press();
      await expect.poll(() => way.answers.length).toBe(1);
      await press();
      await expect.poll(() => way.answers.length).toBe(2);
      await expectIn(page);
      expect(await everybody(david)).toEqual(["David", "Jason"]);
    });
  });
}
