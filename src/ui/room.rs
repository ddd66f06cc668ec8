//! The sheet beside the sidebar: a room (bar, message list, composer) or a quieter screen; and what
//! belongs to a room beside words: emoji to choose from, reactions, and sounds. Their tables are built files,
//! fetched when they are first looked at and from then on in the browser's cache.

use super::browser::CallError;
use super::composer::Composer;
use super::controls::{asset, icon, illustrated, live, svg};
use super::log;
use super::sidebar::{RoomBar, menu_button};
use super::state::Chat;
use super::timeline::{MessageList, UnreadPill};
use super::{ConnectionBanner, RoomScreen, Theme, browser};
use crate::domain::composing::{Boost, QUICK_BOOSTS};
use crate::domain::message::Message;
use crate::domain::search::{Emoji, Sound, complete, folded};
use crate::domain::{MessageId, RoomId, push_all, push_escaped};
use crate::texts;
use gloo_timers::future::TimeoutFuture;
use js_sys::Uint8Array;
use leptos::ev::{Event, KeyboardEvent, MouseEvent};
use leptos::prelude::*;
use std::cell::RefCell;
use std::sync::Arc;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{AudioBuffer, AudioContext, Element, HtmlElement, HtmlInputElement};

/// A room.
#[component]
pub fn RoomSheet(
    /// The chat.
    chat: Chat,
    /// What the page was rendered with.
    screen: RoomScreen,
    /// The rows of a first render.
    rows: &'static str,
) -> impl IntoView {
    let RoomScreen { room, page, welcome, unsent, found, .. } = screen;
    let first_room = room.id;
    // What stands above the first message: a welcome, or that there is none.
    let top = move || {
        let room = chat.room.get();
        if chat.has_older.get() || chat.gone.get() {
            return Vec::new();
        }
        let welcome = welcome.as_ref().filter(|_| room.as_ref().is_some_and(|r| r.id == first_room));
        match (welcome, room) {
            (Some(html), _) => {
                let start = "<section class=\"panel panel--pad welcome\" aria-label=\"";
                vec![[start, texts::room::WELCOME, "\">", html, "</section>"].concat()]
            }
            (None, Some(room)) if chat.is_empty.get() && chat.ready.get() => {
                vec![quiet(&room.name)]
            }
            _ => Vec::new(),
        }
    };
    let top = live("log-top", top);
    let gone = live("gone", move || chat.gone.get().then(gone).into_iter().collect());
    view! {
        <main class="sheet" id="main" tabindex="-1">
            <div class="sheet__top">
                <RoomBar chat=chat/>
                <ConnectionBanner chat=chat/>
                <UnreadPill chat=chat/>
            </div>
            <MessageList chat=chat rows=rows top=top/>
            <div class="gone" id="gone" role="status" inner_html=gone></div>
            <Composer chat=chat after=page.cursor unsent=unsent waits=found.is_some()/>
        </main>
    }
}

fn quiet(name: &str) -> String {
    let mut html = "<div class=\"empty\">".to_owned() + &svg("campfire", "mark mark--l mark--ash");
    let (before, after) = texts::room::NOBODY_HAS_SAID_ANYTHING;
    let text = "</h2><p class=\"empty__text\">";
    let title = "<h2 class=\"empty__title\">";
    push_all(&mut html, &[title, texts::room::QUIET_IN_HERE, text, before, "<bdi>"]);
    push_escaped(&mut html, name);
    push_all(&mut html, &["</bdi>", after, "</p></div>"]);
    html
}

fn gone() -> String {
    illustrated(include_str!(concat!(env!("OUT_DIR"), "/room_gone.html")))
}

/// Settings and forms: the server's HTML beside the live sidebar, left as it is.
#[component]
pub fn QuietSheet(
    /// The chat.
    chat: Chat,
    /// The heading.
    title: String,
    /// What stands below it; empty in the browser, where it is in place already.
    html: String,
) -> impl IntoView {
    let start = "<a class=\"button button--s button--plain\" href=\"/\">";
    let back = [start, &icon("chevron-left"), texts::button::BACK_TO_THE_CHAT, "</a>"].concat();
    view! {
        <main class="sheet" id="main" tabindex="-1">
            <div class="sheet__top">
                <header class="bar">
                    <div class="beside" id="menu-button" inner_html=menu_button(chat)></div>
                    <h1 class="bar__title">
                        <span class="bar__name truncate" dir="auto">{title}</span>
                    </h1>
                    <div class="bar__actions" inner_html=back></div>
                </header>
                <ConnectionBanner chat=chat/>
            </div>
            <div class="sheet__main" tabindex="0" role="region" aria-label=texts::page::CONTENT
                on:click=move |event| copied(&event) on:input=move |event| filtered(&event)
                on:change=move |event| theme_chosen(&event)>
                <div class="page" inner_html=html></div>
            </div>
        </main>
    }
}

/// A button with `data-copy` copies that text, and says so.
pub fn copied(event: &MouseEvent) {
    if let Some(button) = browser::closest(event, "[data-copy]") {
        let _copying = browser::copy(&button.get_attribute("data-copy").unwrap_or_default());
        // A title that cannot be set leaves the old one, which is true as well.
        let _told = button.set_attribute("aria-label", texts::page::COPIED);
        let _told = button.set_attribute("title", texts::page::COPIED);
    }
}

/// A field with `data-filter` shows only the rows of its picker whose name contains what is
/// typed.
fn filtered(event: &Event) {
    let Some(field) =
        browser::target::<HtmlInputElement>(event).filter(|field| field.has_attribute("data-filter"))
    else {
        return;
    };
    let wanted = folded(field.value().trim());
    let rows = field
        .closest("[data-picker]")
        .ok()
        .flatten()
        .and_then(|picker| picker.query_selector_all("[data-name]").ok());
    let Some(rows) = rows else {
        return;
    };
    for row in (0..rows.length()).filter_map(|at| rows.item(at)?.dyn_into::<HtmlElement>().ok()) {
        let name = row.get_attribute("data-name").unwrap_or_default();
        row.set_hidden(!folded(&name).contains(&wanted));
    }
}

/// The theme changes at once; the cookie tells the server for the next page.
fn theme_chosen(event: &Event) {
    if let Some(input) = browser::target::<HtmlInputElement>(event).filter(|input| input.name() == "theme") {
        choose_theme(Theme::parse(&input.value()));
    }
}

/// Shows the page in another theme, and remembers it.
pub fn choose_theme(theme: Theme) {
    browser::set_cookie("theme", theme.as_str());
    browser::set_root_attribute("data-theme", theme.attribute());
}

/// A click on a sound plays it; one on a link to a room of the viewer's shows it in place.
pub fn act(chat: Chat, event: &MouseEvent) {
    if let Some(name) = browser::closest(event, ".sound").and_then(|it| it.get_attribute("data-sound")) {
        spawn_local(play(name));
        return;
    }
    let plain = event.button() == 0
        && !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key());
    let link = browser::closest(event, ".rich a.mention").filter(|_| plain && chat.room_id().is_some());
    let path = link.and_then(|link| link.get_attribute("href")).unwrap_or_default();
    let known = |id: &RoomId| chat.sidebar.with_untracked(|sidebar| sidebar.room(*id).is_some());
    if let Some(room_id) = super::room_of_path(&path).filter(known) {
        event.prevent_default();
        if chat.room_id() != Some(room_id) {
            browser::push_path(&path);
            chat.open_room(room_id);
        }
    }
}

/// Emoji found at once, and remembered.
const MAX_FOUND: usize = 64;
const MAX_RECENT: usize = 16;
/// Kept in this browser: the emoji used last.
const RECENT: &str = "campfire:emoji";
/// Kept in this browser: that sounds are off.
const MUTED: &str = "campfire:muted";
/// The id of the picker.
pub const PICKER: &str = "emoji-picker";

/// A table among the built files; empty if it cannot be had now.
pub async fn table(name: &str) -> String {
    // Names of emoji and captions of sounds are texts as well.
    browser::load_text(asset(&format!("{}/{name}", texts::language::CODE))).await.unwrap_or_default()
}

/// The emoji used last; at first, those that are offered everywhere.
pub fn recent() -> Vec<String> {
    match browser::stored(RECENT) {
        Some(used) => used.split(' ').map(str::to_owned).collect(),
        None => QUICK_BOOSTS.iter().map(|(emoji, _)| (*emoji).to_owned()).collect(),
    }
}

/// Puts an emoji before the others that were used.
pub fn remember(emoji: &str) {
    let mut used = recent();
    used.retain(|one| one != emoji);
    used.insert(0, emoji.to_owned());
    used.truncate(MAX_RECENT);
    browser::store(RECENT, &used.join(" "));
}

/// The inside of the picker of reactions: the quick ones, and a field with what it finds.
pub fn picker() -> String {
    let mut html = String::from("<span class=\"picker__row\">");
    for (emoji, name) in QUICK_BOOSTS {
        push_choice(&mut html, emoji, name);
    }
    html + include_str!(concat!(env!("OUT_DIR"), "/picker.html"))
}

/// What was found for a text in that picker.
pub fn choices(emoji: &[Emoji<'_>]) -> String {
    let mut html = String::new();
    for one in emoji {
        push_choice(&mut html, one.text, &one.name.replace('_', " "));
    }
    html
}

fn push_choice(html: &mut String, emoji: &str, name: &str) {
    html.push_str("<button type=\"button\" class=\"icon-button\" data-action=\"boost\" value=\"");
    let (before, after) = texts::message::REACT_WITH;
    push_all(html, &[emoji, "\" title=\"", name, "\" aria-label=\"", before, name, after, "\">"]);
    push_all(html, &[emoji, "</button>"]);
}

/// Emoji found for a reaction at most.
const MAX_REACTIONS: usize = 16;
/// How long it says that a link was copied.
const COPIED_MS: u32 = 3_000;

fn reaction_field() -> Option<HtmlInputElement> {
    browser::find("#react input")
}

fn show_reactions(html: &str) {
    if let Some(found) = browser::find::<HtmlElement>("#react .picker__found") {
        found.set_inner_html(html);
    }
}

impl Chat {
    /// Copies a link, and says for a moment that it did.
    pub fn copy_link(self, link: &str) {
        let copying = browser::copy(link);
        spawn_local(async move {
            let copied = match copying {
                Some(copying) => JsFuture::from(copying).await.is_ok(),
                None => false,
            };
            if !copied {
                return self.complain(texts::notice::NOT_COPIED.to_owned());
            }
            let now = browser::now();
            self.copied.set(Some(now));
            TimeoutFuture::new(COPIED_MS).await;
            if self.copied.get_untracked() == Some(now) {
                self.copied.set(None);
            }
        });
    }

    /// Adds a boost to a message of the room on screen, or takes it back if the viewer has added it.
    pub fn toggle_boost(self, id: MessageId, content: String) {
        spawn_local(async move {
            self.boost(id, &content, true).await;
        });
    }

    /// The same; adds it in any case without `toggle`. Whether it was done.
    pub async fn boost(self, id: MessageId, content: &str, toggle: bool) -> bool {
        let boost = match Boost::parse(content) {
            Ok(boost) => boost,
            Err(error) => {
                self.complain(error.to_string());
                return false;
            }
        };
        let own = self.viewer.with_value(|viewer| viewer.id);
        let is_own = |message: &Arc<Message>| {
            let mut all = message.boosts.iter();
            all.any(|one| one.content == boost.content() && one.is_by(own))
        };
        let has = self
            .room_id()
            .and_then(|room_id| self.on(room_id, |timeline| timeline.message(id).is_some_and(is_own)));
        let wanted = !(toggle && has == Some(true));
        self.acknowledge(browser::boost(id, boost.content(), wanted).await)
    }

    /// Shows what a message is now, or says why it did not change. Whether it did.
    pub fn acknowledge(self, answer: Result<Arc<Message>, CallError>) -> bool {
        match answer {
            Ok(message) => {
                self.change(message.room_id, |timeline| timeline.acknowledge(&message));
                true
            }
            Err(error) => {
                self.tell(error);
                false
            }
        }
    }

    /// Opens the picker of reactions in a message's row.
    pub fn start_reacting(self, row: &HtmlElement) {
        log::lend("react", row);
        if let Some(field) = reaction_field() {
            field.set_value("");
            log::focus(&field);
        }
        show_reactions("");
    }

    /// Closes it; whoever was in it goes on with the message.
    pub fn stop_reacting(self, row: &HtmlElement) {
        let picker = browser::element("react");
        let stood = browser::focused().zip(picker).filter(|(at, picker)| picker.contains(Some(at)));
        log::park("react");
        if stood.is_some() {
            log::focus(row);
        }
    }

    /// Somebody types into the picker: shows the emoji that fit. The table comes from the
    /// browser's cache after the first time.
    pub fn look_for_reaction(self, at: Option<Element>) {
        let field = reaction_field().filter(|field| at.as_ref() == Some(field.as_ref()));
        let Some(field) = field else {
            return;
        };
        spawn_local(async move {
            let typed = field.value();
            let table = table("emoji.tsv").await;
            // What has been typed since has its own turn.
            if field.value() == typed {
                show_reactions(&choices(&complete(&table, &typed, MAX_REACTIONS)));
            }
        });
    }

    /// The picker's form was sent: adds what is typed. False if it was another form.
    pub fn add_typed_reaction(self, at: Option<Element>) -> bool {
        let field = reaction_field().filter(|field| at.is_some_and(|at| at.contains(Some(field))));
        let Some((row, field)) = field.and_then(|field| Some((log::row_of(&field)?, field))) else {
            return false;
        };
        let id = row.get_attribute("data-id").and_then(|id| id.parse().ok()).map(MessageId::new);
        if let Some(id) = id.filter(|_| !field.value().trim().is_empty()) {
            spawn_local(async move {
                if self.boost(id, &field.value(), false).await {
                    self.stop_reacting(&row);
                }
            });
        }
        true
    }
}

/// The picker is about to be seen: everything is in it again.
pub fn open_emoji() {
    if let Some(field) = browser::find::<HtmlInputElement>("#emoji-picker input") {
        field.set_value("");
        look_for_emoji();
    }
}

/// Shows the emoji that fit what stands in the picker's field once their table is there.
pub fn look_for_emoji() {
    spawn_local(async move {
        let emoji = table("emoji.tsv").await;
        let field = browser::find::<HtmlInputElement>("#emoji-picker input");
        let html = grid(&emoji, &field.map(|field| field.value()).unwrap_or_default());
        if let Some(list) = browser::find::<HtmlElement>("#emoji-picker .emoji__scroll") {
            list.set_inner_html(&html);
        }
    });
}

fn grid(emoji: &str, typed: &str) -> String {
    let mut html = String::new();
    let open = |html: &mut String, title: &str| {
        html.push_str("<p class=\"emoji__title\">");
        push_escaped(html, title);
        html.push_str("</p><div class=\"emoji__grid\">");
    };
    let push = |html: &mut String, one: Emoji<'_>| {
        html.push_str("<button type=\"button\" tabindex=\"-1\" aria-label=\"");
        push_escaped(html, &one.name.replace('_', " "));
        html.push_str("\">");
        push_escaped(html, one.text);
        html.push_str("</button>");
    };
    if !typed.trim().is_empty() {
        open(&mut html, texts::emoji::FOUND);
        complete(emoji, typed, MAX_FOUND).into_iter().for_each(|one| push(&mut html, one));
        return html + "</div>";
    }
    open(&mut html, texts::emoji::RECENT);
    for text in recent() {
        let known = emoji.lines().filter_map(Emoji::parse).find(|one| one.text == text);
        push(&mut html, known.unwrap_or(Emoji { text: &text, name: &text }));
    }
    for line in emoji.lines() {
        match Emoji::parse(line) {
            Some(one) => push(&mut html, one),
            None => {
                html.push_str("</div>");
                open(&mut html, line);
            }
        }
    }
    html + "</div>"
}

/// Arrow keys walk through the picker.
pub fn walk_emoji(event: &KeyboardEvent) {
    let key = event.key();
    let Some(here) =
        browser::target::<Element>(event).filter(|here| here.closest(".emoji").is_ok_and(|it| it.is_some()))
    else {
        return;
    };
    let next = match (here.tag_name() == "INPUT", key.as_str()) {
        (true, "ArrowDown") => browser::find("#emoji-picker .emoji__grid button"),
        (false, "ArrowDown" | "ArrowRight") => here.next_element_sibling(),
        (false, "ArrowUp" | "ArrowLeft") => here.previous_element_sibling(),
        _ => None,
    };
    if let Some(next) = next.and_then(|next| next.dyn_into::<HtmlElement>().ok()) {
        event.prevent_default();
        let _focused = next.focus();
    }
}

thread_local! {
    static AUDIO: RefCell<Option<AudioContext>> = const { RefCell::new(None) };
}

/// Whether sounds are off in this browser.
pub fn is_muted() -> bool {
    browser::stored(MUTED).is_some()
}

/// Switches sounds off, or on again.
pub fn toggle_sounds() {
    browser::store(MUTED, if is_muted() { "" } else { "1" });
}

/// Plays the sound of a message that has just arrived, unless sounds are off. In what people
/// write `<` is always escaped, so only a sound is one.
pub fn sound(body_html: &str) {
    let name = body_html.split_once("<button ").and_then(|(_, rest)| rest.split_once("data-sound=\""));
    if let Some((name, _)) = name.and_then(|(_, rest)| rest.split_once('"'))
        && !is_muted()
    {
        spawn_local(play(name.to_owned()));
    }
}

/// Fetched and decoded as a whole: a media element would ask for pieces of the file.
pub async fn play(name: String) {
    let _played = async {
        let bytes = browser::load_bytes(&Sound { name: &name, emoji: "", caption: "" }.path()).await?;
        let context = AUDIO.with_borrow_mut(|audio| {
            if audio.is_none() {
                *audio = AudioContext::new().ok();
            }
            audio.clone()
        })?;
        // Asleep until somebody has touched the page; then there is nothing to hear.
        let _awake = context.resume();
        let data = Uint8Array::from(bytes.as_slice()).buffer();
        let decoded = JsFuture::from(context.decode_audio_data(&data).ok()?).await.ok()?;
        let source = context.create_buffer_source().ok()?;
        source.set_buffer(decoded.dyn_ref::<AudioBuffer>());
        source.connect_with_audio_node(&context.destination()).ok()?;
        source.start().ok()
    }
    .await;
}
