// What a person waits for, measured inside the pages with their own clocks. Started by the
// benchmark with a running server and two sessions in its environment; prints one line of JSON,
// `{name, samples, limits}` in milliseconds, for each row. Frames are not held back to a screen's 60 a
// second: a sample is the work until the frame that shows the result, not the wait for a screen.
// Limits are what the same browser needs for the same page without a program: plain HTML and CSS from
// memory, rows put in by one assignment, words passed on by a server that does nothing else.
import { createServer, request } from "node:http";
import { brotliCompressSync } from "node:zlib";
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

function print(name, samples, limits = []) {
  if ([...samples, ...limits].some((sample) => !(sample > 0))) throw new Error(`${name}: ${samples} / ${limits}`);
  console.log(JSON.stringify({ name, samples, limits }));
}

/** An answer of the product as it travels. */
function fetched(path) {
  return new Promise((settle, fail) => {
    const headers = { cookie: `session_token=${tokens[0]}`, "accept-encoding": "br" };
    const asked = request(`${url}${path}`, { headers }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => settle({ headers: answer.headers, body: Buffer.concat(parts) }));
    });
    asked.on("error", fail).end();
  });
}

/** Room pages without their program, what they link to, and a place to pass words on. */
async function bareServer() {
  const kept = new Map();
  const listening = new Set();
  for (const room of rooms) {
    const html = await (await fetch(`${url}/rooms/${room}`, { headers: { cookie: `session_token=${tokens[0]}` } })).text();
    const bare = html.replace(/<script[^>]*>.*?<\/script>|<link rel="(?:modulepreload|preload)"[^>]*>/gs, "");
    if (bare.includes("<script") || bare.length >= html.length) throw new Error("A program is left.");
    const headers = { "content-type": "text/html; charset=utf-8", "content-encoding": "br" };
    kept.set(`/rooms/${room}`, { headers, body: brotliCompressSync(bare) });
  }
  const server = createServer(async (asked, answer) => {
    if (asked.url === "/heard") {
      answer.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
      listening.add(answer);
      return answer.on("close", () => listening.delete(answer));
    }
    if (asked.method === "POST") {
      for await (const words of asked) listening.forEach((one) => one.write(`data: ${words}\n\n`));
      return answer.writeHead(204).end();
    }
    if (!kept.has(asked.url)) kept.set(asked.url, await fetched(asked.url));
    const { headers, body } = kept.get(asked.url);
    const { "content-type": type, "content-encoding": coding } = headers;
    const described = { "content-type": type, ...(coding && { "content-encoding": coding }) };
    answer.writeHead(200, { ...described, "content-length": body.length }).end(body);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { address: `http://127.0.0.1:${server.address().port}`, stop };
}

/** When a page first showed anything. */
function firstPaint(page) {
  return page.evaluate(
    () =>
      new Promise((settle) =>
        new PerformanceObserver((list) => {
          const paint = list.getEntriesByName("first-contentful-paint")[0];
          if (paint) settle(paint.startTime);
        }).observe({ type: "paint", buffered: true }),
      ),
  );
}

/** First contentful paint and hydration of a first visit. */
async function loads(bare) {
  const [paints, hydrations, limits] = [[], [], []];
  for (let load = 0; load < loadsPerRound * rounds; load += 1) {
    const room = rooms[load % rooms.length];
    const page = await person(tokens[load % 2]);
    await open(page, room);
    paints.push(await firstPaint(page));
    hydrations.push(await page.evaluate(() => window.bench.hydrated));
    await page.context().close();
    const plain = await person(tokens[load % 2]);
    await plain.goto(`${bare.address}/rooms/${room}`);
    limits.push(await firstPaint(plain));
    await plain.context().close();
  }
  print("browser-first-paint", paints, limits);
  print("browser-hydrated", hydrations);
}

/** What a switch costs when nothing but the rows of a screenful changes. */
async function bareSwitches(bare) {
  const page = await person(tokens[0]);
  await page.goto(`${bare.address}/rooms/2`);
  const times = await page.evaluate(
    async ([rooms, laps]) => {
      const list = document.getElementById("rows");
      const shown = Math.ceil(innerHeight / (list.scrollHeight / list.children.length));
      const screens = [];
      for (const room of rooms) {
        const text = await (await fetch(`/rooms/${room}`)).text();
        const parsed = new DOMParser().parseFromString(text, "text/html").getElementById("rows");
        screens.push([...parsed.children].slice(-shown).map((row) => row.outerHTML).join(""));
      }
      const times = [];
      for (let lap = 0; lap < laps; lap += 1) {
        await new Promise((settle) => setTimeout(settle, 100 + Math.random() * 20));
        const clicked = performance.now();
        list.innerHTML = screens[lap % screens.length];
        list.lastElementChild.scrollIntoView();
        times.push((await window.bench.afterFrame()) - clicked);
      }
      // The first ones also warm the page, as switches from the server do for the product.
      return times.slice(6);
    },
    [[3, 4], 6 + 18 * rounds],
  );
  await page.context().close();
  return times;
}

/** Milliseconds from the click on a room to the frame that shows its newest message. */
function switchTo(page, room, message) {
  return page.evaluate(
    async ([room, message]) => {
      const link = document.querySelector(`nav.sidebar a[data-room="${room}"]`);
      // Not within the work for the room before, as a person's click would not be either.
      await new Promise((settle) => setTimeout(settle, 100 + Math.random() * 20));
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
async function switches(bare) {
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
  print("browser-switch-cached", fromMemory, await bareSwitches(bare));
  print("browser-switch-server", fromServer);
}

/** What two pages can do that send what was written and add a row for what they hear. */
function bareChat() {
  const list = document.getElementById("rows");
  const field = document.getElementById("body");
  const add = (text) => {
    const row = list.lastElementChild.cloneNode(true);
    row.querySelector(".message__text").textContent = text;
    list.append(row);
    row.scrollIntoView();
  };
  new EventSource("/heard").onmessage = ({ data }) => data !== list.dataset.said && add(data);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    list.dataset.said = field.value;
    add(field.value);
    fetch("/said", { method: "POST", body: field.value });
  });
}

/** From the key that sends to the frame in which somebody else sees the message. */
async function messages(bare) {
  const two = async () => [await person(tokens[0]), await person(tokens[1])];
  const [writer, reader] = await two();
  await open(writer, 5);
  await open(reader, 5);
  const samples = await exchange(writer, reader);
  const plain = await two();
  for (const page of plain) {
    await page.goto(`${bare.address}/rooms/5`);
    await page.evaluate(bareChat);
  }
  print("browser-enter-visible", samples, await exchange(...plain));
}

/** Has one page write what the other one hears, and closes both. */
async function exchange(writer, reader) {
  const samples = [];
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
  for (const page of [writer, reader]) await page.context().close();
  return samples;
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
    const bare = await bareServer();
    await loads(bare);
    await switches(bare);
    await messages(bare);
    bare.stop();
  }
} finally {
  await browser.close();
}
