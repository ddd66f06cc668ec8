// What a person waits for, measured inside the pages with their own clocks. Started by the
// benchmark with a running server and two sessions in its environment; prints one line of JSON,
// `{name, samples}` in milliseconds, for each row. Frames are not held back to a screen's 60 a
// second: a sample is the work until the frame that shows the result, not the wait for a screen.
import { chromium } from "playwright-core";

const url = process.env.CAMPFIRE_URL;
const tokens = (process.env.CAMPFIRE_TOKENS ?? "").split(",");
const rounds = Number(process.env.BENCH_ROUNDS ?? "3");
if (!url || tokens.length < 2) throw new Error("CAMPFIRE_URL and two CAMPFIRE_TOKENS are needed.");

const rooms = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const loadsPerRound = 4;
const messagesPerRound = 15;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-frame-rate-limit",
    "--disable-gpu-vsync",
  ],
});

/** What every page can do before its own scripts run. */
function instruments() {
  window.bench = {
    hydrated: new Promise((settle) => {
      const look = () => {
        if (document.documentElement?.dataset.hydrated !== "true") return false;
        settle(performance.now());
        return true;
      };
      const observer = new MutationObserver(() => look() && observer.disconnect());
      observer.observe(document, { attributes: true, childList: true, subtree: true });
    }),
    /** The time at which the next frame is through. */
    afterFrame: () =>
      new Promise((settle) =>
        requestAnimationFrame(() => {
          const channel = new MessageChannel();
          channel.port1.onmessage = () => settle(performance.now());
          channel.port2.postMessage(0);
        }),
      ),
    /** Resolves at the change of the page that makes `found` true. */
    until: (found) =>
      new Promise((settle, fail) => {
        if (found()) return settle();
        const late = setTimeout(() => fail(new Error("it never appeared")), 20_000);
        const observer = new MutationObserver(() => {
          if (!found()) return;
          observer.disconnect();
          clearTimeout(late);
          settle();
        });
        observer.observe(document.documentElement, {
          attributes: true,
          childList: true,
          subtree: true,
        });
      }),
  };
}

/** A person in a browser of their own, with nothing cached. */
async function person(token) {
  const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC" });
  await context.addCookies([
    { name: "session_token", value: token, url, httpOnly: true, sameSite: "Lax" },
  ]);
  await context.addInitScript(instruments);
  const page = await context.newPage();
  page.on("console", (line) => {
    if (line.type() === "error") throw new Error(`A page complained: ${line.text()}`);
  });
  return page;
}

async function open(page, room) {
  await page.goto(`${url}/rooms/${room}`);
  await page.evaluate(() => window.bench.hydrated);
}

/** The newest message of a room, from the JSON API. */
async function newest(room) {
  const address = `${url}/api/rooms/${room}/messages?limit=1`;
  const answer = await fetch(address, { headers: { cookie: `session_token=${tokens[0]}` } });
  if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
  return (await answer.json()).messages.at(-1).id;
}

function print(name, samples) {
  if (samples.some((sample) => !(sample > 0))) throw new Error(`${name}: ${samples}`);
  console.log(JSON.stringify({ name, samples }));
}

/** First contentful paint and hydration of a first visit. */
async function loads() {
  const [paints, hydrations] = [[], []];
  for (let load = 0; load < loadsPerRound * rounds; load += 1) {
    const page = await person(tokens[load % 2]);
    await open(page, rooms[load % rooms.length]);
    const [paint, hydrated] = await page.evaluate(async () => {
      const painted = new Promise((settle) =>
        new PerformanceObserver((list) => {
          const paint = list.getEntriesByName("first-contentful-paint")[0];
          if (paint) settle(paint.startTime);
        }).observe({ type: "paint", buffered: true }),
      );
      return [await painted, await window.bench.hydrated];
    });
    paints.push(paint);
    hydrations.push(hydrated);
    await page.context().close();
  }
  print("browser-first-paint", paints);
  print("browser-hydrated", hydrations);
}

/** Milliseconds from the click on a room to the frame that shows its newest message. */
function switchTo(page, room, message) {
  return page.evaluate(
    async ([room, message]) => {
      const link = document.querySelector(`nav.sidebar a[data-room="${room}"]`);
      // Not within another frame's work, as a person's click would not be either.
      await new Promise((settle) => setTimeout(settle, 5 + Math.random() * 20));
      const clicked = performance.now();
      link.click();
      await window.bench.until(() => document.getElementById(`m-${message}`) !== null);
      const shown = await window.bench.afterFrame();
      const row = document.getElementById(`m-${message}`)?.getBoundingClientRect();
      if (!row || row.bottom <= 0 || row.top >= innerHeight) throw new Error("It is out of sight.");
      return shown - clicked;
    },
    [room, message],
  );
}

/** Rooms seen for the first time come from the server, after that from memory. */
async function switches() {
  const [fromServer, fromMemory] = [[], []];
  const last = new Map();
  for (const room of rooms) last.set(room, await newest(room));
  for (let round = 0; round < rounds; round += 1) {
    const page = await person(tokens[round % 2]);
    await open(page, rooms[0]);
    // Twice in a small circle, so that no memory of rooms is too short for it.
    const circle = [1, 2, 3].map((step) => rooms[(round * 3 + step) % rooms.length]);
    const fresh = circle.filter((room) => room !== rooms[0]);
    for (const room of fresh) fromServer.push(await switchTo(page, room, last.get(room)));
    for (let lap = 0; lap < 6; lap += 1) {
      for (const room of fresh) fromMemory.push(await switchTo(page, room, last.get(room)));
    }
    await page.context().close();
  }
  print("browser-switch-cached", fromMemory);
  print("browser-switch-server", fromServer);
}

/** From the key that sends to the frame in which somebody else sees the message. */
async function messages() {
  const samples = [];
  const [writer, reader] = [await person(tokens[0]), await person(tokens[1])];
  await open(writer, 5);
  await open(reader, 5);
  await writer.evaluate(() =>
    document.addEventListener(
      "keydown",
      (event) => {
        if (event.key === "Enter") window.bench.sent = performance.timeOrigin + performance.now();
      },
      { capture: true },
    ),
  );
  for (let number = 0; number < messagesPerRound * rounds + 2; number += 1) {
    const text = `browser message ${number} of this run`;
    const seen = reader.evaluate(async (text) => {
      const is = (row) => row.textContent.trim() === text;
      const rows = document.getElementsByClassName("message__text");
      await window.bench.until(() => [...rows].slice(-3).some(is));
      return performance.timeOrigin + (await window.bench.afterFrame());
    }, text);
    await writer.locator("#body").fill(text);
    await writer.keyboard.press("Enter");
    const took = (await seen) - (await writer.evaluate(() => window.bench.sent));
    // The first two also connect the sockets and warm the pages.
    if (number >= 2) samples.push(took);
  }
  print("browser-enter-visible", samples);
}

/**
 * From the arrival of a frame about one of 500 rooms to the entry that has changed. The page's
 * socket is listened to before the page listens itself.
 */
async function sidebar() {
  const samples = [];
  const page = await person(tokens[0]);
  await page.addInitScript(() => {
    const heard = EventTarget.prototype.addEventListener;
    window.WebSocket = class extends WebSocket {
      constructor(...address) {
        super(...address);
        heard.call(this, "message", () => (window.bench.arrived = performance.now()));
      }
    };
  });
  await open(page, 1);
  for (let room = 2; room < 22 * rounds; room += 1) {
    const changed = page.evaluate(async (room) => {
      const entry = () => document.querySelector(`nav.sidebar a[data-room="${room}"]`);
      await window.bench.until(() => entry()?.classList.contains("nav-item--unread"));
      return performance.now() - window.bench.arrived;
    }, room);
    const sent = await fetch(`${url}/api/rooms/${room}/messages`, {
      method: "POST",
      headers: { cookie: `session_token=${tokens[1]}`, "content-type": "application/json" },
      body: JSON.stringify({ body: "Something new", client_message_id: crypto.randomUUID() }),
    });
    if (!sent.ok) throw new Error(`The post was answered ${sent.status}`);
    samples.push(await changed);
  }
  print("browser-sidebar-500", samples);
}

try {
  if (process.argv[2] === "sidebar") {
    await sidebar();
  } else {
    await loads();
    await switches();
    await messages();
  }
} finally {
  await browser.close();
}
