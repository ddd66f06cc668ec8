// Writing: tools and shortcuts that edit the source, completions, the emoji picker, the preview,
// input methods, pasting, sounds.
import { expect, openRoom, test } from "../campfire.ts";
import { composer, enter, live, message, say, texts } from "../chat.ts";
import type { Page, Response } from "@playwright/test";

const list = (page: Page) => page.getByRole("listbox", { name: "Suggestions" });
const toolbar = (page: Page) => page.getByRole("toolbar", { name: "Formatting" });

/** Selects a part of what is written. */
async function select(page: Page, part: string): Promise<void> {
  await composer(page).evaluate((field: HTMLTextAreaElement, part) => {
    const at = field.value.indexOf(part);
    field.focus();
    field.setSelectionRange(at, at + part.length);
  }, part);
}

/** Pastes text as the keyboard does. */
async function paste(page: Page, text: string): Promise<void> {
  await composer(page).focus();
  await composer(page).evaluate((field: HTMLTextAreaElement, text) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
    document.execCommand("insertText", false, text);
  }, text);
}

/** Waits until an answer has come and the page has had time to show what it makes of it. */
async function settled(page: Page, answer: Response): Promise<void> {
  await answer.finished();
  await page.evaluate(async () => {
    for (let frame = 0; frame < 3; frame += 1) {
      await new Promise((settle) => requestAnimationFrame(settle));
    }
  });
}

test("Markdown is shown to everybody, and edited as it was typed", async ({ david, jason }) => {
  await composer(david).fill("**Bold** _it_ ~~no~~ `code`\n\n> quote\n\n- one\n- two");
  await composer(david).press("Control+Enter");
  for (const page of [david, jason]) {
    const text = texts(page).first();
    await expect(text.locator("strong")).toHaveText("Bold");
    await expect(text.locator("em")).toHaveText("it");
    await expect(text.locator("del")).toHaveText("no");
    await expect(text.locator("code")).toHaveText("code");
    await expect(text.locator("blockquote")).toHaveText("quote");
    await expect(text.locator("li")).toHaveText(["one", "two"]);
  }
  await texts(david).first().hover();
  await david.locator("[data-action=edit]").click();
  await expect(david.getByLabel("Message text")).toHaveValue(/^\*\*Bold\*\* _it_ ~~no~~ `code`/);
});

test("shortcuts put marks around the selection and take them away again", async ({ david }) => {
  await composer(david).fill("make it so");
  for (const [keys, marked] of [
    ["Control+b", "make **it** so"],
    ["Control+i", "make _it_ so"],
    ["Control+Shift+X", "make ~~it~~ so"],
    ["Control+e", "make `it` so"],
  ] as const) {
    await select(david, "it");
    await composer(david).press(keys);
    await expect(composer(david)).toHaveValue(marked);
    await composer(david).press(keys);
    await expect(composer(david)).toHaveValue("make it so");
  }
  await select(david, "it");
  await composer(david).press("Control+b");
  await composer(david).press("Control+z");
  await expect(composer(david), "the browser can take it back").toHaveValue("make it so");
});

test("the toolbar edits the source and keeps the focus in the field", async ({ david }) => {
  await david.getByRole("button", { name: "Formatting" }).click();
  await composer(david).fill("one\ntwo");
  await composer(david).press("Control+a");
  await toolbar(david).getByRole("button", { name: "Bulleted list" }).click();
  await expect(composer(david)).toHaveValue("- one\n- two");
  await toolbar(david).getByRole("button", { name: "Bulleted list" }).click();
  await expect(composer(david)).toHaveValue("one\ntwo");
  await toolbar(david).getByRole("button", { name: "Code block" }).click();
  await expect(composer(david)).toHaveValue("```\none\ntwo\n```");
  await expect(composer(david)).toBeFocused();
});

test("the preview shows what the message will be", async ({ david }) => {
  await david.getByRole("button", { name: "Formatting" }).click();
  await composer(david).fill("**Bold** @david\n```rust\nlet a = 1;\n```");
  await toolbar(david).getByRole("button", { name: "Preview" }).click();
  const preview = david.getByRole("region", { name: "Preview" });
  await expect(preview.locator("strong")).toHaveText("Bold");
  await expect(preview.locator(".tok-k")).toHaveText("let");
  await expect(composer(david)).toBeHidden();
  const shown = await preview.innerHTML();
  await toolbar(david).getByRole("button", { name: "Preview" }).click();
  await expect(composer(david)).toHaveValue(/^\*\*Bold/);
  await composer(david).press("Control+Enter");
  await expect(texts(david).first().locator("strong")).toHaveText("Bold");
  await expect(david.locator(".message--pending")).toHaveCount(0);
  expect(await texts(david).first().innerHTML()).toBe(shown);
});

test("a preview that comes after its message was sent is not shown", async ({ david }) => {
  let open = () => {};
  const held = new Promise<void>((settle) => (open = settle));
  await david.route(/\/preview$/, async (route) => {
    await held;
    await route.continue();
  });
  await david.getByRole("button", { name: "Formatting" }).click();
  await composer(david).fill("**Bold**");
  const answer = david.waitForResponse(/\/preview$/);
  await toolbar(david).getByRole("button", { name: "Preview" }).click();
  await composer(david).press("Control+Enter");
  await expect(texts(david).locator("strong")).toHaveText("Bold");
  open();
  await settled(david, await answer);
  await expect(david.getByRole("region", { name: "Preview" })).toBeHidden();
  await say(david, "And on");
  await expect(message(david, "And on")).toBeVisible();
});

test("Enter sends, Shift+Enter breaks the line, Ctrl+Enter always sends", async ({ david, jason }) => {
  await composer(david).fill("one");
  await composer(david).press("Shift+Enter");
  await composer(david).pressSequentially("two");
  await expect(composer(david)).toHaveValue("one\ntwo");
  await composer(david).press("Enter");
  await expect(texts(david)).toHaveText(["onetwo"]);
  await expect(composer(david)).toHaveValue("");
  await expect(composer(jason)).toBeVisible();
  await composer(david).pressSequentially("hi @ja");
  await expect(list(david)).toBeVisible();
  await composer(david).press("Control+Enter");
  await expect(texts(david).last(), "whatever is offered").toHaveText("hi @ja");
});

test("an input method's Enter neither sends nor chooses", async ({ david, jason }) => {
  await expect(composer(jason)).toBeVisible();
  await composer(david).pressSequentially("@ja");
  await expect(list(david).getByRole("option")).toHaveCount(1);
  for (const init of [{ isComposing: true }, { keyCode: 229 }]) {
    await composer(david).evaluate((field, init) => {
      const event = { key: "Enter", bubbles: true, cancelable: true, ...init };
      field.dispatchEvent(new KeyboardEvent("keydown", event));
    }, init);
  }
  await expect(composer(david)).toHaveValue("@ja");
  await expect(texts(david)).toHaveCount(0);
});

test("people are completed by arrows, Enter and Tab, never by a space", async ({ david, jason }) => {
  await composer(david).pressSequentially("hi @");
  await expect(list(david).getByRole("option").first()).toBeVisible();
  await expect(composer(david)).toHaveAttribute("aria-expanded", "true");
  await expect(composer(david)).toHaveAttribute("aria-activedescendant", "choices-0");
  await composer(david).press("ArrowDown");
  await expect(composer(david)).toHaveAttribute("aria-activedescendant", "choices-1");
  await composer(david).press("Escape");
  await expect(list(david)).toBeHidden();
  await composer(david).fill("");
  await composer(david).pressSequentially("@JA");
  await expect(list(david).getByRole("option")).toHaveCount(1);
  await composer(david).press("Space");
  await expect(composer(david)).toHaveValue("@JA ");
  await composer(david).press("Backspace");
  await expect(list(david).getByRole("option")).toHaveCount(1);
  await composer(david).press("Tab");
  await expect(composer(david)).toHaveValue("@Jason ");
  await expect(list(david)).toBeHidden();
  await expect(composer(david)).not.toHaveAttribute("role", "combobox");
  await composer(david).press("Enter");
  await expect(texts(jason).first().locator(".mention")).toHaveText("@Jason");
});

test("everyone is offered to whom it is allowed, rooms lead to rooms", async ({ david, jason }) => {
  const { id } = await openRoom(david.request, "Designers");
  await composer(jason).pressSequentially("@every");
  await composer(david).pressSequentially("@every");
  await list(david).getByRole("option", { name: "everyone" }).click();
  await expect(list(jason)).toBeHidden();
  await composer(david).pressSequentially("see #des");
  await expect(list(david).getByRole("option")).toHaveText(["Designers"]);
  await composer(david).press("Enter");
  await expect(composer(david)).toHaveValue("@everyone see #Designers ");
  await composer(david).press("Enter");
  await expect(jason.locator(".message--called")).toBeVisible();
  await jason.getByRole("link", { name: "#Designers" }).click();
  await expect(jason).toHaveURL(new RegExp(`/rooms/${id}$`));
  await expect(jason.getByRole("heading", { level: 1 })).toHaveText("Designers");
});

test("emoji are completed and picked, the last ones first", async ({ david }) => {
  await composer(david).pressSequentially("well done :tada");
  await expect(list(david).getByRole("option").first()).toContainText("🎉");
  await composer(david).press("Enter");
  await expect(composer(david)).toHaveValue("well done 🎉");
  await david.getByRole("button", { name: "Emoji", exact: true }).click();
  await david.getByRole("searchbox", { name: "Find an emoji" }).fill("rocket");
  await david.getByRole("button", { name: "rocket", exact: true }).click();
  await expect(composer(david)).toHaveValue("well done 🎉🚀");
  await david.getByRole("button", { name: "Emoji", exact: true }).click();
  await expect(david.locator(".emoji__grid").first().locator("button").first()).toHaveText("🚀");
  await david.keyboard.press("Escape");
  await say(david, "👨‍👩‍👧🇩🇪1️⃣");
  await expect(message(david, "👨‍👩‍👧🇩🇪1️⃣")).toHaveClass(/message--emoji/);
});

test("emoji that come late are those for what is typed by then", async ({ david }) => {
  let open = () => {};
  const held = new Promise<void>((settle) => (open = settle));
  let asked = 0;
  await david.route(/emoji\.tsv/, async (route) => {
    asked += 1;
    if (asked === 1) await held;
    await route.continue();
  });
  await david.getByRole("button", { name: "Emoji", exact: true }).click();
  await david.getByRole("searchbox", { name: "Find an emoji" }).fill("rocket");
  await expect(david.locator(".emoji__title")).toHaveText(["Found"]);
  const late = david.waitForResponse(/emoji\.tsv/);
  open();
  await settled(david, await late);
  await expect(david.locator(".emoji__title")).toHaveText(["Found"]);
});

test("pasted code is offered a block, other text is not", async ({ david }) => {
  const offer = david.getByText("That looks like code.");
  await paste(david, "Hello!\nHow are you?");
  await expect(composer(david)).toHaveValue("Hello!\nHow are you?");
  await expect(offer).toBeHidden();
  await composer(david).fill("");
  await paste(david, "fn main() {\n    x();\n}");
  await expect(offer).toBeVisible();
  await david.getByRole("button", { name: "Make it a code block" }).click();
  await expect(composer(david)).toHaveValue("```\nfn main() {\n    x();\n}\n```");
  await expect(offer).toBeHidden();
});

test("a sound is fetched when it arrives and when it is asked for, unless it is muted", async ({
  david,
  jason,
}) => {
  const fetched: string[] = [];
  jason.on("request", (request) => {
    if (request.url().endsWith(".mp3")) fetched.push(request.url());
  });
  await composer(david).pressSequentially("/play bel");
  await expect(list(david).getByRole("option").first()).toContainText("Ding");
  await composer(david).press("Enter");
  await expect(composer(david)).toHaveValue("/play bell");
  await composer(david).press("Enter");
  const sound = jason.getByRole("button", { name: /Play sound:.*Ding/ });
  await expect(sound).toBeVisible();
  await expect.poll(() => fetched.length).toBe(1);
  await jason.getByRole("button", { name: "Formatting" }).click();
  await jason.getByRole("button", { name: "Mute sounds" }).click();
  await live(jason, () => jason.reload());
  await say(david, "/play bell");
  await expect(sound).toHaveCount(2);
  expect(fetched).toHaveLength(1);
  await sound.first().click();
  await expect.poll(() => fetched.length, "a button plays all the same").toBe(2);
  await say(david, "/play nothing at all");
  await expect(message(jason, "/play nothing at all")).toBeVisible();
});

test("a draft survives the end of the browser's tab", async ({ david }) => {
  await composer(david).fill("**Half** a thought");
  const context = david.context();
  await david.close();
  const again = await context.newPage();
  await enter(again, "/rooms/1");
  await expect(composer(again)).toHaveValue("**Half** a thought");
});
