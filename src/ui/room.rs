//! The sheet beside the sidebar: a room (bar, message list, composer) or a quieter screen; and
//! what lies over it: the emoji to choose from.

use super::browser::CallError;
use super::composer::{Composer, is_composing};
use super::controls::{Icon, Mark, closest};
use super::keys::UnreadPill;
use super::live;
use super::rooms::level_name;
use super::sidebar::MenuButton;
use super::state::Chat;
use super::timeline::MessageList;
use super::{ConnectionBanner, RoomScreen, Theme, browser};
use crate::domain::message::QUICK_BOOSTS;
use crate::domain::room::{Involvement, RoomKind};
use crate::domain::search::{Emoji, complete};
use crate::domain::sidebar::{Sidebar, SidebarRoom, folded};
use crate::domain::{RoomId, push_escaped};
use leptos::ev::{Event, KeyboardEvent, MouseEvent, SubmitEvent};
use leptos::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, HtmlElement, HtmlInputElement};

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
    let name = move || chat.room.with(|room| room.as_ref().map(|room| room.name.clone()));
    let here = move || chat.room.with(|room| room.as_ref().is_some_and(|r| r.id == first_room));
    let welcome = StoredValue::new(welcome);
    let greeting = move || {
        let html = welcome.get_value().filter(|_| here() && !chat.has_older.get());
        html.map(|html| {
            view! {
                <section class="panel panel--pad welcome" aria-label="Welcome" inner_html=html
                    on:click=move |event| copied(&event)></section>
            }
        })
    };
    let quiet = move || {
        let welcoming = welcome.with_value(Option::is_some) && here();
        let shown = chat.is_empty.get()
            && chat.ready.get()
            && !chat.has_older.get()
            && !welcoming
            && !chat.gone.get();
        shown.then(|| view! { <Quiet name=name()/> })
    };
    view! {
        <main class="sheet" id="main" tabindex="-1">
            <div class="sheet__top">
                <RoomBar chat=chat/>
                <ConnectionBanner chat=chat/>
                <UnreadPill chat=chat/>
            </div>
            <MessageList chat=chat rows=rows>
                {greeting}
                {quiet}
            </MessageList>
            <div class="gone" role="status">
                {move || chat.gone.get().then(|| view! {
                    <div class="callout">
                        <Icon name="info"/>
                        <p>
                            "This room is not yours to see any more: it was deleted, or you were \
                            taken out of it. " <a href="/">"Go to another room"</a>
                        </p>
                    </div>
                })}
            </div>
            <Composer chat=chat after=page.cursor unsent=unsent waits=found.is_some()/>
        </main>
    }
}

/// What the room on screen is called, and what can be done with it.
#[component]
fn RoomBar(chat: Chat) -> impl IntoView {
    let name = move || chat.room.with(|room| room.as_ref().map(|room| room.name.clone()));
    let icon = move || match chat.room.with(|room| room.as_ref().map(|room| room.kind)) {
        Some(RoomKind::Closed) => "lock",
        Some(RoomKind::Direct) => "user",
        _ => "hash",
    };
    let topic = move || {
        let topic = chat.room.with(|room| room.as_ref().map(|room| room.topic.clone()));
        topic.filter(|topic| !topic.is_empty()).map(|topic| {
            view! {
                <p class="bar__topic truncate" dir="auto" title=topic.clone()>{topic.clone()}</p>
            }
        })
    };
    let path = move |before: &str, after: &str| {
        chat.room.with(|room| room.as_ref().map(|room| format!("{before}{}{after}", room.id)))
    };
    let settings = move || path("/rooms/", "/edit");
    let mark_read = move || path("/rooms/", "/read");
    let search = move || path("/searches?in=", "");
    view! {
        <header class="bar">
            <MenuButton chat=chat/>
            <h1 class="bar__title">
                {move || view! { <Icon name=icon()/> }}
                <span class="bar__name truncate" dir="auto">{name}</span>
            </h1>
            {topic}
            <div class="bar__actions" hidden=move || chat.gone.get()>
                <form class="without-scripts" action=mark_read method="post">
                    <button type="submit" class="button button--s">"Mark as read"</button>
                </form>
                <a class="icon-button" href=search aria-label="Search" title="Search">
                    <Icon name="search"/></a>
                <Star chat=chat/>
                <Bell chat=chat/>
                <a class="icon-button" href=settings aria-label="Room settings"
                    title="Room settings"><Icon name="gear"/></a>
            </div>
        </header>
    }
}

/// How the viewer's list knows the room on screen; nothing when it leaves the room out.
fn entry(chat: Chat) -> Option<SidebarRoom> {
    let room_id = chat.room.with(|room| room.as_ref().map(|room| room.id))?;
    chat.sidebar.with(|sidebar| sidebar.room(room_id).cloned())
}

/// The bell leads from one level of involvement to the next, at once.
#[component]
fn Bell(chat: Chat) -> impl IntoView {
    let level =
        Memo::new(move |_| entry(chat).map_or(Involvement::Invisible, |entry| entry.involvement));
    let room = move || chat.room.with(|room| room.as_ref().map(|room| (room.id, room.kind)));
    let action = move || room().map(|(id, _)| format!("/rooms/{id}/involvement"));
    let next = move || room().map(|(_, kind)| level.get().next_in(kind));
    let label = move || format!("Notifications: {}", level_name(level.get()).to_ascii_lowercase());
    let icon = move || match level.get() {
        Involvement::Everything => "bell-all",
        Involvement::Mentions => "bell-mentions",
        Involvement::Nothing => "bell-none",
        Involvement::Invisible => "bell-hidden",
    };
    let ring = move |event: SubmitEvent| {
        event.prevent_default();
        let (Some((room_id, _)), Some(next)) = (room(), next()) else {
            return;
        };
        let before = entry(chat);
        chat.sidebar.update(|sidebar| {
            sidebar.change(room_id, |entry| entry.involvement = next);
        });
        spawn_local(async move {
            let done = browser::change_involvement(room_id, next).await;
            chat.settle(done, before);
        });
    };
    view! {
        <form action=action method="post" on:submit=ring>
            <input type="hidden" name="involvement" value=move || next().map(Involvement::as_str)/>
            <button type="submit" class="icon-button" aria-label=label title=label>
                {move || view! { <Icon name=icon()/> }}
            </button>
        </form>
    }
}

/// Keeps the room at the top of the list, or no longer.
#[component]
fn Star(chat: Chat) -> impl IntoView {
    let starred = Memo::new(move |_| entry(chat).is_some_and(|entry| entry.starred));
    let room_id = move || chat.room.with(|room| room.as_ref().map(|room| room.id));
    let action = move || room_id().map(|id| format!("/rooms/{id}/star"));
    let label = move || if starred.get() { "Remove star" } else { "Star this room" };
    let pressed = move || if starred.get() { "true" } else { "false" };
    let change = move |event: SubmitEvent| {
        event.prevent_default();
        let Some(room_id) = room_id() else {
            return;
        };
        let (before, wanted) = (entry(chat), !starred.get_untracked());
        chat.sidebar.update(|sidebar| sidebar.change(room_id, |entry| entry.starred = wanted));
        spawn_local(async move {
            let done = browser::star_room(room_id, wanted).await;
            chat.settle(done, before);
        });
    };
    view! {
        <form class="optional" action=action method="post" on:submit=change>
            <input type="hidden" name="starred" value=move || (!starred.get()).to_string()/>
            <button type="submit" class="icon-button" aria-label=label title=label
                aria-pressed=pressed><Icon name="bookmark"/></button>
        </form>
    }
}

impl Chat {
    /// What was shown ahead of the server's answer stays, or is taken back with a word.
    fn settle(self, done: Result<(), CallError>, before: Option<SidebarRoom>) {
        let problem = match done {
            Ok(()) => return,
            Err(CallError::SignedOut) => return browser::go_to("/session/new"),
            Err(CallError::Passing) => "That did not reach the server. Try again.".to_owned(),
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
    view! {
        <main class="sheet" id="main" tabindex="-1">
            <div class="sheet__top">
                <header class="bar">
                    <MenuButton chat=chat/>
                    <h1 class="bar__title">
                        <span class="bar__name truncate" dir="auto">{title}</span>
                    </h1>
                    <div class="bar__actions">
                        <a class="button button--s button--plain" href="/">
                            <Icon name="chevron-left" class="icon icon--s icon--flip"/>
                            "Back to the chat"
                        </a>
                    </div>
                </header>
                <ConnectionBanner chat=chat/>
            </div>
            <div class="sheet__main" tabindex="0" role="region" aria-label="Content"
                on:click=move |event| copied(&event) on:input=move |event| filtered(&event)
                on:change=move |event| theme_chosen(&event)>
                <div class="page" inner_html=html></div>
            </div>
        </main>
    }
}

/// A button with `data-copy` copies that text, and says so.
fn copied(event: &MouseEvent) {
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let button = target.and_then(|target| target.closest("[data-copy]").ok().flatten());
    if let Some(button) = button {
        browser::copy(&button.get_attribute("data-copy").unwrap_or_default());
        // A title that cannot be set leaves the old one, which is true as well.
        let _told = button.set_attribute("aria-label", "Copied");
        let _told = button.set_attribute("title", "Copied");
    }
}

/// A field with `data-filter` shows only the rows of its picker whose name contains what is
/// typed.
fn filtered(event: &Event) {
    let target = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
    let Some(field) = target.filter(|field| field.has_attribute("data-filter")) else {
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
    let target = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
    if let Some(input) = target.filter(|input| input.name() == "theme") {
        choose_theme(Theme::parse(&input.value()));
    }
}

/// Shows the page in another theme, and remembers it.
pub fn choose_theme(theme: Theme) {
    browser::set_cookie("theme", theme.as_str());
    browser::set_root_attribute("data-theme", theme.attribute());
}

#[component]
fn Quiet(name: Option<String>) -> impl IntoView {
    let name = name.unwrap_or_else(|| "this room".to_owned());
    view! {
        <div class="empty">
            <Mark class="mark mark--l mark--ash"/>
            <h2 class="empty__title">"Quiet in here"</h2>
            <p class="empty__text">
                {format!("Nobody has said anything in {name}. Yours can be the first words.")}
            </p>
        </div>
    }
}

/// The way back to the newest message, with the number of those not seen yet.
#[component]
pub fn JumpPill(chat: Chat) -> impl IntoView {
    let text = move || match chat.unseen.get() {
        0 => "Jump to newest".to_owned(),
        1 => "1 new message".to_owned(),
        count => format!("{count} new messages"),
    };
    move || {
        (chat.away.get() || chat.has_newer.get()).then(|| {
            view! {
                <button type="button" class="jump" on:click=move |_| chat.jump_to_newest()>
                    <Icon name="arrow-down" class="icon icon--s"/>{text}
                </button>
            }
        })
    }
}

/// Who is writing.
#[component]
pub fn TypingLine(chat: Chat) -> impl IntoView {
    let line = move || chat.sidebar.with(Sidebar::typing_line);
    view! {
        <p class="typing" aria-live="polite">
            {move || line().map(|line| view! {
                <span class="typing__dots" aria-hidden="true"><i></i><i></i><i></i></span>
                {line}
            })}
        </p>
    }
}

/// Emoji found at once, and remembered.
const MAX_FOUND: usize = 64;
const MAX_RECENT: usize = 16;
/// Kept in this browser: the emoji used last.
const RECENT: &str = "campfire:emoji";
/// The id of the picker.
pub const PICKER: &str = "emoji-picker";

/// Emoji to choose from. The table is fetched, and the grid drawn, when it is first opened.
#[component]
pub fn EmojiPicker(
    /// Takes the one that is chosen.
    put: Callback<String>,
) -> impl IntoView {
    let grid = RwSignal::new(String::new());
    let fill = move |typed: String| {
        spawn_local(async move {
            let html = emoji_grid(&table("emoji.tsv").await, &typed);
            grid.try_set(html);
        });
    };
    let toggled = move |event: &Event| {
        let picker = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let field = picker.filter(|picker| picker.matches(":popover-open").unwrap_or(false));
        let field = field.and_then(|picker| picker.query_selector("input").ok().flatten());
        if let Some(field) = field.and_then(|field| field.dyn_into::<HtmlInputElement>().ok()) {
            field.set_value("");
            let _focused = field.focus();
            fill(String::new());
        }
    };
    let typed = move |event: Event| {
        let field = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        fill(field.map(|field| field.value()).unwrap_or_default());
    };
    let clicked = move |event: MouseEvent| {
        if let Some(button) = closest(&event, ".emoji__grid button") {
            put.run(button.text_content().unwrap_or_default());
        }
    };
    view! {
        <div class="plate emoji" id=PICKER popover="" role="group" aria-label="Emoji"
            on:toggle=move |event| toggled(&event) on:click=clicked on:keydown=|event| walk(&event)>
            <label class="input-group">
                <Icon name="search" class="icon icon--s"/>
                <input class="input input--s" type="search" placeholder="Find an emoji"
                    aria-label="Find an emoji" autocomplete="off" on:input=typed/>
            </label>
            <div class="emoji__scroll" tabindex="-1" role="group" aria-label="Emoji list"
                inner_html=move || grid.get()></div>
        </div>
    }
}

fn emoji_grid(emoji: &str, typed: &str) -> String {
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
        open(&mut html, "Found");
        complete(emoji, typed, MAX_FOUND).into_iter().for_each(|one| push(&mut html, one));
        return html + "</div>";
    }
    open(&mut html, "Recent");
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
fn walk(event: &KeyboardEvent) {
    let key = event.key();
    let here = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let Some(here) = here.filter(|_| !is_composing(event)) else {
        return;
    };
    let next = match (here.tag_name() == "INPUT", key.as_str()) {
        (true, "ArrowDown") => browser::element(PICKER)
            .and_then(|picker| picker.query_selector(".emoji__grid button").ok().flatten()),
        (false, "ArrowDown" | "ArrowRight") => here.next_element_sibling(),
        (false, "ArrowUp" | "ArrowLeft") => here.previous_element_sibling(),
        _ => None,
    };
    if let Some(next) = next.and_then(|next| next.dyn_into::<HtmlElement>().ok()) {
        event.prevent_default();
        let _focused = next.focus();
    }
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

thread_local! {
    static TABLES: RefCell<HashMap<&'static str, Rc<str>>> = RefCell::default();
}

/// A table among the built files; empty if it cannot be had now.
pub async fn table(name: &'static str) -> Rc<str> {
    if let Some(known) = TABLES.with_borrow(|tables| tables.get(name).cloned()) {
        return known;
    }
    let Some(bytes) = browser::file(name).await else {
        return Rc::from("");
    };
    let text: Rc<str> = String::from_utf8(bytes).unwrap_or_default().into();
    TABLES.with_borrow_mut(|tables| tables.insert(name, Rc::clone(&text)));
    text
}

/// A click on a sound plays it; one on a link to a room of the viewer's shows it in place.
pub fn act(chat: Chat, event: &MouseEvent) {
    if let Some(name) = closest(event, ".sound").and_then(|it| it.get_attribute("data-sound")) {
        spawn_local(live::play(name));
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
