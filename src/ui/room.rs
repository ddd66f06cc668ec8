//! The sheet beside the sidebar: a room (bar, message list, composer) or a quieter screen; and what
//! belongs to a room beside words: emoji to choose from, and sounds. Their tables are built files,
//! fetched when they are first looked at and from then on in the browser's cache.

use super::browser::CallError;
use super::composer::Composer;
use super::controls::{asset, closest, icon, illustrated, live, svg};
use super::sidebar::menu_button;
use super::state::Chat;
use super::timeline::{MessageList, UnreadPill};
use super::{ConnectionBanner, RoomScreen, Theme, browser};
use crate::domain::composing::QUICK_BOOSTS;
use crate::domain::room::{Involvement, Room, RoomKind, SidebarRoom};
use crate::domain::search::{Emoji, Sound, complete, folded};
use crate::domain::{RoomId, push_all, push_escaped};
use crate::texts;
use js_sys::Uint8Array;
use leptos::ev::{Event, KeyboardEvent, MouseEvent, SubmitEvent};
use leptos::prelude::*;
use std::cell::RefCell;
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

/// What the room on screen is called, and what can be done with it.
#[component]
fn RoomBar(chat: Chat) -> impl IntoView {
    let title = live("bar-title", move || chat.room.with(|room| room.iter().flat_map(title).collect()));
    let actions = live("bar-actions", move || {
        let entry = entry(chat);
        chat.room.with(|room| room.iter().flat_map(|room| actions(room, entry.as_ref())).collect())
    });
    view! {
        <header class="bar">
            <div class="beside" id="menu-button" inner_html=menu_button(chat)></div>
            <div class="beside" id="bar-title" inner_html=title></div>
            <div class="bar__actions" id="bar-actions" hidden=move || chat.gone.get()
                inner_html=actions on:submit=move |event| submitted(chat, &event)></div>
        </header>
    }
}

fn title(room: &Room) -> Vec<String> {
    let icon = match room.kind {
        RoomKind::Closed => "{=lock}",
        RoomKind::Direct => "{=user}",
        RoomKind::Open => "{=hash}",
    };
    let mut name = "<h1 class=\"bar__title\">".to_owned() + &illustrated(icon);
    name.push_str("<span class=\"bar__name truncate\" dir=\"auto\">");
    push_escaped(&mut name, &room.name);
    let name = name + "</span></h1>";
    if room.topic.is_empty() {
        return vec![name];
    }
    let mut topic = "<p class=\"bar__topic truncate\" dir=\"auto\" title=\"".to_owned();
    push_escaped(&mut topic, &room.topic);
    topic.push_str("\">");
    push_escaped(&mut topic, &room.topic);
    vec![name, topic + "</p>"]
}

/// What can be done with a room. The bell leads from one level of involvement to the next.
fn actions(room: &Room, entry: Option<&SidebarRoom>) -> [String; 5] {
    let id = room.id;
    let level = entry.map_or(Involvement::Invisible, |entry| entry.involvement);
    let next = level.next_in(room.kind).as_str();
    let (bell, label) = match level {
        Involvement::Everything => ("bell-all", texts::room::NOTIFICATIONS_EVERYTHING),
        Involvement::Mentions => ("bell-mentions", texts::room::NOTIFICATIONS_MENTIONS),
        Involvement::Nothing => ("bell-none", texts::room::NOTIFICATIONS_NOTHING),
        Involvement::Invisible => ("bell-hidden", texts::room::NOTIFICATIONS_INVISIBLE),
    };
    let starred = entry.is_some_and(|entry| entry.starred);
    let star = if starred { texts::room::REMOVE_STAR } else { texts::room::STAR_THIS_ROOM };
    let (read, search, settings) =
        (texts::room::MARK_AS_READ, texts::room::SEARCH, texts::room::ROOM_SETTINGS);
    let unstarred = !starred;
    [
        format!(
            "<form class=\"without-scripts\" action=\"/rooms/{id}/read\" method=\"post\"><button \
             type=\"submit\" class=\"button button--s\">{read}</button></form>"
        ),
        format!(
            "<a class=\"icon-button\" href=\"/searches?in={id}\" aria-label=\"{search}\" \
             title=\"{search}\">{{=search}}</a>"
        ),
        format!(
            "<form class=\"optional\" action=\"/rooms/{id}/star\" method=\"post\"><input \
             type=\"hidden\" name=\"starred\" value=\"{unstarred}\"><button type=\"submit\" \
             class=\"icon-button\" id=\"star\" aria-label=\"{star}\" title=\"{star}\" \
             aria-pressed=\"{starred}\">{{=bookmark}}</button></form>"
        ),
        format!(
            "<form action=\"/rooms/{id}/involvement\" method=\"post\"><input type=\"hidden\" \
             name=\"involvement\" value=\"{next}\"><button type=\"submit\" class=\"icon-button\" \
             id=\"bell\" aria-label=\"{label}\" title=\"{label}\">{{={bell}}}</button></form>"
        ),
        format!(
            "<a class=\"icon-button\" href=\"/rooms/{id}/edit\" aria-label=\"{settings}\" \
             title=\"{settings}\">{{=gear}}</a>"
        ),
    ]
    .map(|html| illustrated(&html))
}

/// A form of the bar: what it wants is shown at once, and taken back if the server refuses.
fn submitted(chat: Chat, event: &SubmitEvent) {
    let wanted =
        browser::target::<Element>(event).and_then(|form| form.query_selector("input").ok().flatten());
    let wanted = wanted.and_then(|input| input.dyn_into::<HtmlInputElement>().ok());
    let (Some(wanted), Some(room_id)) = (wanted, chat.room_id()) else {
        return;
    };
    event.prevent_default();
    let before = chat.sidebar.with_untracked(|sidebar| sidebar.room(room_id).cloned());
    let level = Involvement::parse(&wanted.value());
    let starred = wanted.value() == "true";
    chat.sidebar.update(|sidebar| {
        sidebar.change(room_id, |entry| match level {
            Some(level) => entry.involvement = level,
            None => entry.starred = starred,
        });
    });
    spawn_local(async move {
        let done = match level {
            Some(level) => browser::change_involvement(room_id, level).await,
            None => browser::star_room(room_id, starred).await,
        };
        chat.settle(done, before);
    });
}

/// How the viewer's list knows the room on screen; nothing when it leaves the room out.
fn entry(chat: Chat) -> Option<SidebarRoom> {
    let room_id = chat.room.with(|room| room.as_ref().map(|room| room.id))?;
    chat.sidebar.with(|sidebar| sidebar.room(room_id).cloned())
}

impl Chat {
    /// What was shown ahead of the server's answer stays, or is taken back with a word.
    fn settle(self, done: Result<(), CallError>, before: Option<SidebarRoom>) {
        let problem = match done {
            Ok(()) => return,
            Err(CallError::SignedOut) => return browser::go_to("/session/new"),
            Err(CallError::Passing) => texts::notice::THAT_DID_NOT_REACH_THE_SERVER.to_owned(),
            Err(CallError::Refused(why)) => why.message,
        };
        self.notice.set(Some(problem));
        if let Some(before) = before {
            self.sidebar.update(|sidebar| sidebar.upsert_room(before, browser::by_name));
        }
    }
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
    let button = closest(event, "[data-copy]");
    if let Some(button) = button {
        browser::copy(&button.get_attribute("data-copy").unwrap_or_default());
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
    if let Some(name) = closest(event, ".sound").and_then(|it| it.get_attribute("data-sound")) {
        spawn_local(play(name));
        return;
    }
    let plain = event.button() == 0
        && !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key());
    let link = closest(event, ".rich a.mention").filter(|_| plain && chat.room_id().is_some());
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
