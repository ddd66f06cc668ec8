//! The sidebar: rooms in sections, who is online, you; a drawer that needs no script on small
//! screens. And the bar above a room: its name, and what can be done with it. Lines are HTML like the rows of messages, and compared as such: a change draws what it
//! concerns. As components they would weigh 12 kB more, and hundreds of rooms would be hundreds of
//! things to bring to life before anything else is.

use super::browser;
use super::browser::CallError;
use super::controls::{icon, illustrated, live, svg};
use super::state::Chat;
use crate::domain::account::{UserRef, Viewer, hue, initials};
use crate::domain::event::{MAX_ONLINE, Sidebar};
use crate::domain::room::{Involvement, Room, RoomKind, SidebarRoom};
use crate::domain::search::{folded, sort};
use crate::domain::{RoomId, push_all, push_escaped};
use crate::texts;
use leptos::ev::{KeyboardEvent, MouseEvent, SubmitEvent};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, HtmlElement, HtmlInputElement};

/// A section of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Starred,
    Rooms,
    Directs,
}

impl Section {
    /// The rooms of this section whose names contain what is looked for. Rooms are by name, direct
    /// ones by their last word.
    fn rooms(self, sidebar: &Sidebar, filter: &str) -> Vec<SidebarRoom> {
        let belongs = |entry: &&SidebarRoom| match self {
            Self::Starred => entry.starred,
            Self::Rooms => !entry.starred && entry.kind != RoomKind::Direct,
            Self::Directs => !entry.starred && entry.kind == RoomKind::Direct,
        };
        let found = sidebar.rooms().iter().filter(belongs);
        let found = found.filter(|one| filter.is_empty() || folded(&one.name).contains(filter));
        let mut rooms: Vec<SidebarRoom> = found.cloned().collect();
        if self == Self::Directs {
            sort(&mut rooms, |a, b| b.last_message_id.cmp(&a.last_message_id));
        }
        rooms
    }

    /// Its title, and the name under which the browser remembers that it is closed.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Starred => (texts::sidebar::STARRED, "starred"),
            Self::Rooms => (texts::sidebar::ROOMS, "rooms"),
            Self::Directs => (texts::sidebar::DIRECT_MESSAGES, "directs"),
        }
    }

    /// Where one more comes from, if the viewer may: address and label.
    fn more(self, may_create_rooms: bool) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Starred => None,
            Self::Rooms => may_create_rooms.then_some(("/rooms/new", texts::sidebar::NEW_ROOM)),
            Self::Directs => Some(("/rooms/directs/new", texts::sidebar::NEW_DIRECT_MESSAGE)),
        }
    }
}

/// Rooms and people.
#[component]
pub fn SidebarNav(chat: Chat) -> impl IntoView {
    let filter = RwSignal::new(String::new());
    Effect::new(restore_sections);
    let activity = live("activity-link", move || vec![activity_link(chat.activity.get())]);
    let mut html = "<div class=\"sidebar__top\"><a class=\"workspace\" href=\"/\">".to_owned();
    let name = live("account-name", move || vec![account_name(&chat.account_name.get())]);
    push_all(&mut html, &[&svg("campfire", "mark"), "<span class=\"workspace__name truncate\""]);
    push_all(&mut html, &[" dir=\"auto\" id=\"account-name\">", &name, "</span></a>"]);
    html.push_str(&illustrated(include_str!(concat!(env!("OUT_DIR"), "/sidebar_top.html"))));
    html.push_str("<div class=\"sidebar__scroll\"><div class=\"beside\" id=\"activity-link\">");
    push_all(&mut html, &[&activity, "</div>"]);
    for section in [Section::Starred, Section::Rooms, Section::Directs] {
        html.push_str(&room_group(chat, filter, section));
    }
    push_all(&mut html, &[&online_group(chat), "</div>"]);
    chat.viewer.with_value(|viewer| push_you(&mut html, viewer));
    view! {
        <nav class="sidebar" id="sidebar" popover="" aria-label=texts::sidebar::ROOMS_AND_PEOPLE
            inner_html=html on:click=move |event| clicked(chat, &event)
            on:input=move |event| filter.set(folded(browser::typed(&event).trim()))
            on:keydown=move |event| pressed(filter, &event)></nav>
    }
}

fn account_name(name: &str) -> String {
    let mut html = "<span>".to_owned();
    push_escaped(&mut html, name);
    html + "</span>"
}

fn push_you(html: &mut String, viewer: &Viewer) {
    let id = viewer.id.to_string();
    push_all(html, &["<div class=\"sidebar__you\"><a class=\"you\" href=\"/users/", &id, "\">"]);
    push_face(html, "avatar", &viewer.as_author(), true);
    html.push_str("<span class=\"you__text\"><span class=\"you__name truncate\" dir=\"auto\">");
    push_escaped(html, &viewer.name);
    html.push_str(&illustrated(include_str!(concat!(env!("OUT_DIR"), "/sidebar_you.html"))));
}

/// In that field, Enter opens the first room found and Escape shows all of them again.
fn pressed(filter: RwSignal<String>, event: &KeyboardEvent) {
    let Some(field) = browser::target::<HtmlInputElement>(event) else {
        return;
    };
    let first = match event.key().as_str() {
        "Escape" if !filter.with_untracked(String::is_empty) => {
            event.prevent_default();
            None
        }
        "Enter" => match browser::find::<HtmlElement>("#sidebar [data-room]") {
            None => return,
            first => first,
        },
        _ => return,
    };
    if let Some(first) = first {
        first.click();
    }
    field.set_value("");
    filter.set(String::new());
}

fn room_group(chat: Chat, filter: RwSignal<String>, section: Section) -> String {
    let (title, key) = section.words();
    let list = move || {
        let here = chat.room.with(|room| room.as_ref().map(|room| room.id));
        // What is on screen is being read; a mark would only flicker.
        let quiet = here.filter(|_| !chat.stays_unread.get());
        let you = chat.viewer.with_value(Viewer::as_author);
        let line = |entry: &SidebarRoom| {
            let (marked, here) = (quiet != Some(entry.id), here == Some(entry.id));
            room_line(entry, marked && entry.is_waiting(), here, &you)
        };
        let rooms = |filter: &String| chat.sidebar.with(|sidebar| section.rooms(sidebar, filter));
        filter.with(rooms).iter().map(line).collect()
    };
    let rows = live(key, list);
    let more = section.more(chat.may_create_rooms).map_or(String::new(), |(path, label)| {
        format!(
            "<a class=\"icon-button group__add icon-button--s\" href=\"{path}\" \
             aria-label=\"{label}\" title=\"{label}\">{}</a>",
            icon("plus")
        )
    });
    // The starred ones are hidden while there are none.
    group(title, key, "", &rows) + &more + "</section>"
}

/// A section that can be closed; what is closed is remembered by its key. The end is left open.
fn group(title: &str, key: &str, note: &str, rows: &str) -> String {
    let mut html = format!(
        "<section class=\"group group--{key}\" aria-label=\"{title}\"><details open \
         data-section=\"{key}\"><summary class=\"group__title\">"
    );
    push_all(&mut html, &[&icon("chevron-right"), title, note, "</summary><ul id=\"", key, "\">"]);
    push_all(&mut html, &[rows, "</ul></details>"]);
    html
}

/// A section is about to be opened or closed.
fn remember_section(details: &Element) {
    let key = details.get_attribute("data-section").unwrap_or_default();
    let closed = if details.has_attribute("open") { "1" } else { "" };
    browser::store(&format!("campfire:closed:{key}"), closed);
}

/// Closes the sections that were closed when this browser was here before.
fn restore_sections() {
    for key in browser::stored_keys("campfire:closed:") {
        let section = format!("#sidebar [data-section='{key}']");
        if let Some(details) = browser::find::<Element>(&section) {
            let _closed = details.remove_attribute("open");
        }
    }
}

const UNSEEN: &str = "<span class=\"visually-hidden\">";
const BADGE: &str = "<span class=\"badge\">";

/// A room's line: its name, how it stands, and whether it is on screen.
fn room_line(entry: &SidebarRoom, marked: bool, here: bool, you: &UserRef) -> String {
    let muted = entry.involvement == Involvement::Nothing;
    let class = match (marked, muted) {
        (true, _) => " nav-item--unread",
        (false, true) => " nav-item--muted",
        (false, false) => "",
    };
    let id = entry.id.to_string();
    let current = if here { "\" aria-current=\"page" } else { "" };
    let mut html = String::with_capacity(512);
    push_all(&mut html, &["<li><a class=\"nav-item", class, "\" href=\"/rooms/", &id]);
    push_all(&mut html, &["\" data-room=\"", &id, current, "\">"]);
    push_room_face(&mut html, entry, you);
    push_name(&mut html, &entry.name);
    if entry.online {
        push_all(&mut html, &[UNSEEN, texts::people::ONLINE, "</span>"]);
    }
    if muted {
        push_all(&mut html, &[&icon("bell-none"), UNSEEN, texts::sidebar::MUTED, "</span>"]);
    }
    match entry.mentions {
        _ if !marked => {}
        0 => {
            let pip = "<span class=\"pip\"></span>";
            push_all(&mut html, &[pip, UNSEEN, texts::sidebar::UNREAD, "</span>"]);
        }
        count => {
            let count = count.to_string();
            push_all(&mut html, &[BADGE, &count, UNSEEN, texts::sidebar::MENTIONS, "</span></span>"]);
        }
    }
    html + "</a></li>"
}

fn push_name(html: &mut String, name: &str) {
    html.push_str("<span class=\"nav-item__name truncate\" dir=\"auto\">");
    push_escaped(html, name);
    html.push_str("</span>");
}

/// A face as HTML; see [`Avatar`](super::controls::Avatar).
pub fn push_face(html: &mut String, class: &str, user: &UserRef, online: bool) {
    let hue = hue(user.id).to_string();
    push_all(html, &["<span class=\"", class, "\" aria-hidden=\"true\" data-hue=\"", &hue, "\">"]);
    push_escaped(html, &initials(&user.name, if class.contains("--s") { 1 } else { 2 }));
    html.push_str(if online { "<span class=\"presence\"></span></span>" } else { "</span>" });
}

/// What stands before a room's name: its kind, or the face of whom one writes to.
fn push_room_face(html: &mut String, entry: &SidebarRoom, you: &UserRef) {
    match (entry.kind, entry.people.as_slice()) {
        (RoomKind::Open, _) => html.push_str(&svg("hash", "icon")),
        (RoomKind::Closed, _) => html.push_str(&svg("lock", "icon")),
        (RoomKind::Direct, [first, _, ..]) => {
            let (hue, count) = (hue(first.id).to_string(), entry.people.len().to_string());
            push_all(html, &["<span class=\"avatar avatar--s\" data-hue=\"", &hue]);
            push_all(html, &["\" aria-hidden=\"true\">", &count, "</span>"]);
        }
        (RoomKind::Direct, others) => {
            let who = others.first().unwrap_or(you);
            push_face(html, "avatar avatar--s", who, entry.online || others.is_empty());
        }
    }
}

/// Shows a room in place; other clicks, and clicks meant for a new tab, are the browser's.
fn clicked(chat: Chat, event: &MouseEvent) {
    let details = browser::closest(event, "summary").and_then(|summary| summary.parent_element());
    if let Some(details) = details {
        return remember_section(&details);
    }
    let plain = event.button() == 0
        && !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key());
    let room_id = browser::closest(event, "[data-room]").and_then(|link| link.get_attribute("data-room"));
    let Some(room_id) = room_id.and_then(|id| id.parse().ok()).map(RoomId::new) else {
        return;
    };
    // Other screens are whole pages: leaving them is a navigation.
    if plain && chat.room_id().is_some() {
        event.prevent_default();
        if chat.room_id() != Some(room_id) {
            browser::push_path(&format!("/rooms/{room_id}"));
            chat.open_room(room_id);
        }
        browser::hide_popover("sidebar");
    }
}

/// The way to what concerns the viewer, with how much of it is new.
fn activity_link(unread: u32) -> String {
    let class = if unread > 0 { "nav-item nav-item--unread" } else { "nav-item" };
    let mut html = format!("<a class=\"{class}\" href=\"/activity\">");
    let name = "<span class=\"nav-item__name truncate\">";
    push_all(&mut html, &[&svg("inbox", "icon"), name, texts::sidebar::ACTIVITY, "</span>"]);
    if unread > 0 {
        let count = if unread < 100 { unread.to_string() } else { "99+".to_owned() };
        push_all(&mut html, &[BADGE, &count, UNSEEN, texts::sidebar::NEW, "</span></span>"]);
    }
    html + "</a>"
}

fn online_group(chat: Chat) -> String {
    let count = live("online-count", move || {
        vec![format!("<span>{}</span>", chat.sidebar.with(Sidebar::online_count))]
    });
    let list = move || {
        chat.sidebar.with(|sidebar| {
            let shown = sidebar.online().iter().take(MAX_ONLINE);
            let mut lines: Vec<String> = shown.map(person_line).collect();
            let rest = sidebar.online_count().saturating_sub(lines.len());
            if rest > 0 {
                let (before, after) = texts::sidebar::AND_MORE;
                let start = "<li class=\"nav-item nav-item--muted\">";
                lines.push([start, before, &rest.to_string(), after, "</li>"].concat());
            }
            lines
        })
    };
    let note = "<span class=\"muted online-count\" id=\"online-count\">".to_owned() + &count;
    group(texts::sidebar::ONLINE, "online", &(note + "</span>"), &live("online", list)) + "</section>"
}

fn person_line(user: &UserRef) -> String {
    let id = user.id.to_string();
    let mut html = String::with_capacity(384);
    push_all(&mut html, &["<li><a class=\"nav-item\" href=\"/users/", &id, "\">"]);
    push_face(&mut html, "avatar avatar--s", user, true);
    push_name(&mut html, &user.name);
    html + UNSEEN + texts::people::ONLINE + "</span></a></li>"
}

/// The button that opens the drawer on small screens, marked when something is unread.
pub fn menu_button(chat: Chat) -> String {
    live("menu-button", move || {
        let unread = chat.sidebar.with(|sidebar| sidebar.waiting().unread);
        let (label, pip) = match unread {
            true => (texts::sidebar::ROOMS_UNREAD_MESSAGES, "<span class=\"pip\"></span>"),
            false => (texts::sidebar::ROOMS, ""),
        };
        vec![illustrated(&format!(
            "<button type=\"button\" class=\"icon-button bar__menu\" popovertarget=\"sidebar\" \
             id=\"menu\" aria-label=\"{label}\">{{=menu}}{pip}</button>"
        ))]
    })
}

/// What the room on screen is called, and what can be done with it.
#[component]
pub fn RoomBar(chat: Chat) -> impl IntoView {
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
        self.complain(problem);
        if let Some(before) = before {
            self.sidebar.update(|sidebar| sidebar.upsert_room(before, browser::by_name));
        }
    }
}
