// Looks for foreign hands in a page: what ran, what was asked of other sites, and what stands in
// the document that nobody but the chat may put there.
import type { BrowserContext, Page } from "@playwright/test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

/** The texts of hostile.txt. */
export const payloads: string[] = readFileSync(resolve(import.meta.dirname, "hostile.txt"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("%%"))
  // Of the control characters those that are pictures in the file.
  .map((line) =>
    line.replace(/[\u2400-\u241f\u2424]/g, (picture) =>
      picture === "\u2424" ? "\n" : String.fromCharCode(picture.charCodeAt(0) - 0x2400),
    ),
  );

/** Takes down every script of a payload that ran, in any frame, and every request to other sites. */
export class Watch {
  readonly seen: { what: string; frame: string }[] = [];

  async over(context: BrowserContext, origin: string): Promise<void> {
    context.on("dialog", (dialog) => {
      this.seen.push({ what: `dialog: ${dialog.message()}`, frame: "" });
      void dialog.dismiss();
    });
    await context.exposeBinding("owned", ({ frame }) => {
      this.seen.push({ what: `script in ${frame.url()}`, frame: frame.name() });
    });
    // What the browser itself refuses never comes this far.
    await context.route(
      (url) => url.protocol.startsWith("http") && url.origin !== origin,
      (route) => {
        this.seen.push({ what: `request: ${route.request().url()}`, frame: "" });
        return route.abort();
      },
    );
  }
}

/** What nobody but the chat may put into the page on screen, or into a page given as HTML. */
export async function strangeIn(page: Page, html?: string): Promise<string[]> {
  return page.evaluate(strange, html);
}

/** The same for many pages at once, each with the name it is to be complained about by. */
export async function strangeInAll(page: Page, pages: [string, string][]): Promise<string[]> {
  const found: string[] = [];
  for (const [name, html] of pages) {
    for (const one of await strangeIn(page, html)) found.push(`${name}: ${one}`);
  }
  return found;
}

// Runs in the browser, so that its own parser tells elements and addresses apart.
function strange(html?: string): string[] {
  const found: string[] = [];
  const parsed = html === undefined ? document : new DOMParser().parseFromString(html, "text/html");
  const base = location.origin === "null" ? "http://127.0.0.1/" : location.href;
  const host = new URL(base).origin;
  const show = (element: Element): string => (element.cloneNode() as Element).outerHTML;
  const complain = (what: string, element: Element): void => {
    found.push(`${what}: ${show(element).slice(0, 200)}`);
  };

  const elements: Element[] = [];
  const gather = (root: ParentNode): void => {
    for (const element of root.querySelectorAll("*")) {
      elements.push(element);
      if (element instanceof HTMLTemplateElement) gather(element.content);
      if (element.shadowRoot) gather(element.shadowRoot);
    }
  };
  gather(parsed);

  const known = new Set(
    ("html head title meta link script body main nav header footer section article aside div span " +
      "p a b bdi i em strong s del mark small code pre blockquote h1 h2 h3 hr br ul ol li dl dt dd " +
      "form fieldset legend label input textarea select option optgroup button output details " +
      "summary dialog time figure figcaption table thead tbody tr th td svg use path noscript img " +
      "menu progress kbd audio").split(" "),
  );
  const written = new Set(
    ("a blockquote br button code del em figcaption figure h1 h2 h3 hr li ol p pre s span strong " +
      "ul").split(" "),
  );
  const attributes = /^(href|rel|target|class|type|start|dir|title|role|aria-[a-z]+|data-[a-z-]+)$/;
  const classes = /^(mention|as-typed|sound|sound__\w+|code|code__\w+|tok-\w+|visually-hidden)$/;
  const rich = ".message__text, .result__text, .composer__preview";
  // What was written shows as it is, without a mark of any kind.
  const bare =
    ".message__author, .reply-ref > [dir], .reaction > [dir], .composer__context strong, " +
    ".as-typed, .nav-item__name, .row__note[dir], .row__name > bdi, #recent .row__link, option";
  const addresses = ["href", "src", "action", "data", "poster", "srcset", "cite", "xlink:href"];
  const never = ["style", "srcdoc", "formaction", "ping", "background", "manifest", "is", "nonce"];
  const ids = new Set<string>();

  for (const element of elements) {
    const tag = element.localName;
    if (!known.has(tag)) complain("element", element);
    if (tag === "script") {
      const data = element.getAttribute("type") === "application/json" && /^(boot|messages)$/.test(element.id);
      const own = element.getAttribute("src")?.startsWith("/assets/") && !element.textContent;
      if (!data && !own) complain("script", element);
    }
    if (tag === "meta" && element.hasAttribute("http-equiv")) complain("meta", element);
    if (element.id && ids.has(element.id)) complain("second of its id", element);
    ids.add(element.id);
    const text = element.closest(rich);
    const inText = text !== null && text !== element;
    if (inText && !written.has(tag) && tag !== "mark") complain("element in a text", element);
    if (element.matches(bare) && element.childElementCount > 0) complain("not just text", element);
    for (const { name, value } of element.attributes) {
      if (/^on/i.test(name) || never.includes(name)) complain("attribute", element);
      if (inText && !attributes.test(name)) complain("attribute in a text", element);
      if (addresses.includes(name)) {
        const url = URL.parse(value, base);
        const link = tag === "a" && inText;
        const ours = url?.origin === host;
        const theirs = link && /^(https?|mailto):$/.test(url?.protocol ?? "");
        if (!ours && !theirs) complain("address", element);
        if (link && ours && !/^\/(rooms|users)\/\d+(\/@\d+)?(#m-\d+)?$/.test(value)) {
          complain("address here", element);
        }
      }
    }
    if (inText && [...element.classList].some((name) => !classes.test(name))) {
      complain("class in a text", element);
    }
    if (inText && tag === "button" && element.getAttribute("type") !== "button") {
      complain("button in a text", element);
    }
  }

  // Read and written once more, as the client does, a text stays what it is.
  for (const text of parsed.querySelectorAll(rich)) {
    const again = document.implementation.createHTMLDocument().createElement("div");
    again.innerHTML = text.innerHTML;
    if (again.innerHTML !== text.innerHTML) complain("text that changes", text);
  }
  if (parsed.title === "owned") found.push("the title was set");
  if ("owned" in {}.constructor.prototype) found.push("the prototype of objects was changed");
  return found;
}
