//! The sidebar: rooms in sections, who is online, you. A drawer that needs no script on small
//! screens. Lines are HTML like the rows of messages, and compared as such: a change draws what it
//! concerns. As components they would weigh 12 kB more, and hundreds of rooms would be hundreds of
//! things to bring to life before anything else is.

use super::browser;
use super::controls::{Avatar, Icon, Mark, icon, illustrated, live, push_face};
use super::state::Chat;
use crate::domain::account::{UserRef, Viewer};
use crate::domain::room::{Involvement, RoomKind};
use crate::domain::sidebar::{MAX_ONLINE, Sidebar, SidebarRoom, folded, hue, sort};
use crate::domain::{RoomId, push_all, push_escaped};
use leptos::ev::{Event, KeyboardEvent, MouseEvent};
use leptos::html::Input;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

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
            Self::Starred => ("Starred", "starred"),
            Self::Rooms => ("Rooms", "rooms"),
            Self::Directs => ("Direct messages", "directs"),
        }
    }

    /// Where one more comes from, if the viewer may: address and label.
    fn more(self, may_create_rooms: bool) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Starred => None,
            Self::Rooms => may_create_rooms.then_some(("/rooms/new", "New room")),
            Self::Directs => Some(("/rooms/directs/new", "New direct message")),
        }
    }
}

/// Rooms and people.
#[component]
pub fn SidebarNav(
    /// The chat.
    chat: Chat,
) -> impl IntoView {
    let viewer = chat.viewer.get_value();
    let profile = format!("/users/{}", viewer.id);
    let filter = RwSignal::new(String::new());
    Effect::new(restore_sections);
    let activity = live("activity-link", move || vec![activity_link(chat.activity.get())]);
    view! {
        <nav class="sidebar" id="sidebar" popover="" aria-label="Rooms and people">
            <div class="sidebar__top">
                <a class="workspace" href="/">
                    <Mark class="mark"/>
                    <span class="workspace__name truncate" dir="auto">
                        {move || chat.account_name.get()}
                    </span>
                </a>
                <button type="button" class="icon-button drawer-only" aria-label="Close menu"
                    title="Close menu" popovertarget="sidebar" popovertargetaction="hide">
                    <Icon name="close"/>
                </button>
            </div>
            <div><FilterField filter=filter/></div>
            <div class="sidebar__scroll" on:click=move |event| open_clicked_room(chat, &event)>
                <div class="beside" id="activity-link" inner_html=activity></div>
                <RoomGroup chat=chat filter=filter section=Section::Starred/>
                <RoomGroup chat=chat filter=filter section=Section::Rooms/>
                <RoomGroup chat=chat filter=filter section=Section::Directs/>
                <OnlineGroup chat=chat/>
            </div>
            <div class="sidebar__you">
                <a class="you" href=profile>
                    <Avatar id=viewer.id name=viewer.name.clone() online=true/>
                    <span class="you__text">
                        <span class="you__name truncate" dir="auto">{viewer.name.clone()}</span>
                        <span class="you__state truncate">"Profile and theme"</span>
                    </span>
                </a>
                <a class="icon-button" href="/account/edit" aria-label="People and invite links"
                    title="People and invite links">
                    <Icon name="users"/>
                </a>
            </div>
        </nav>
    }
}

/// Where one types to find a room. Enter opens the first one found.
#[component]
fn FilterField(filter: RwSignal<String>) -> impl IntoView {
    let field = NodeRef::<Input>::new();
    let clear = move || {
        filter.set(String::new());
        if let Some(field) = field.get_untracked() {
            field.set_value("");
        }
    };
    let input = move |_| {
        if let Some(field) = field.get_untracked() {
            filter.set(folded(field.value().trim()));
        }
    };
    let keys = move |event: KeyboardEvent| match event.key().as_str() {
        "Escape" if !filter.with_untracked(String::is_empty) => {
            event.prevent_default();
            clear();
        }
        "Enter" => {
            let first = browser::element("sidebar").and_then(|sidebar| {
                sidebar.query_selector("[data-room]").ok().flatten()?.dyn_into::<HtmlElement>().ok()
            });
            if let Some(first) = first {
                first.click();
                clear();
            }
        }
        _ => {}
    };
    view! {
        <label class="quickfind with-scripts">
            <Icon name="search" class="icon icon--s"/>
            <input type="search" aria-label="Find a room" placeholder="Find a room"
                autocomplete="off" node_ref=field on:input=input on:keydown=keys/>
        </label>
    }
}

#[component]
fn RoomGroup(chat: Chat, filter: RwSignal<String>, section: Section) -> impl IntoView {
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
        filter.with(rooms).iter().map(line).collect::<Vec<_>>()
    };
    let rows = live(key, list);
    let absent = Memo::new(move |_| {
        section == Section::Starred
            && chat.sidebar.with(|sidebar| section.rooms(sidebar, "")).is_empty()
    });
    view! {
        <section class="group" aria-label=title hidden=move || absent.get()>
            <details open data-section=key on:toggle=move |event| remember_section(key, &event)>
                <summary class="group__title">
                    <Icon name="chevron-right" class="icon icon--s"/>{title}
                </summary>
                <ul id=key inner_html=rows></ul>
            </details>
            {section.more(chat.may_create_rooms).map(|(path, label)| view! {
                <a class="icon-button group__add icon-button--s" href=path aria-label=label
                    title=label>
                    <Icon name="plus" class="icon icon--s"/>
                </a>
            })}
        </section>
    }
}

fn remember_section(key: &str, event: &Event) {
    let details = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    if let Some(details) = details {
        let closed = if details.has_attribute("open") { "" } else { "1" };
        browser::store(&format!("campfire:closed:{key}"), closed);
    }
}

/// Closes the sections that were closed when this browser was here before.
fn restore_sections() {
    for key in browser::stored_keys("campfire:closed:") {
        let section = format!("[data-section='{key}']");
        let details = browser::element("sidebar")
            .and_then(|sidebar| sidebar.query_selector(&section).ok().flatten());
        if let Some(details) = details {
            let _closed = details.remove_attribute("open");
        }
    }
}

const UNSEEN: &str = "<span class=\"visually-hidden\">";

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
        push_all(&mut html, &[UNSEEN, ", online</span>"]);
    }
    if muted {
        push_all(&mut html, &[&icon("bell-none"), UNSEEN, ", muted</span>"]);
    }
    match entry.mentions {
        _ if !marked => {}
        0 => push_all(&mut html, &["<span class=\"pip\"></span>", UNSEEN, ", unread</span>"]),
        count => {
            let count = count.to_string();
            let end = " mentions</span></span>";
            push_all(&mut html, &["<span class=\"badge\">", &count, UNSEEN, end]);
        }
    }
    html + "</a></li>"
}

fn push_name(html: &mut String, name: &str) {
    html.push_str("<span class=\"nav-item__name truncate\" dir=\"auto\">");
    push_escaped(html, name);
    html.push_str("</span>");
}

/// What stands before a room's name: its kind, or the face of whom one writes to.
fn push_room_face(html: &mut String, entry: &SidebarRoom, you: &UserRef) {
    match (entry.kind, entry.people.as_slice()) {
        (RoomKind::Open, _) => html.push_str(&illustrated("{=hash}")),
        (RoomKind::Closed, _) => html.push_str(&illustrated("{=lock}")),
        (RoomKind::Direct, [first, _, ..]) => {
            let (hue, count) = (hue(first.id).to_string(), entry.people.len().to_string());
            push_all(html, &["<span class=\"avatar avatar--s\" data-hue=\"", &hue]);
            push_all(html, &["\" aria-hidden=\"true\">", &count, "</span>"]);
        }
        (RoomKind::Direct, others) => {
            let who = others.first().unwrap_or(you);
            push_face(html, who, entry.online || others.is_empty());
        }
    }
}

/// Shows a room in place; other clicks, and clicks meant for a new tab, are the browser's.
fn open_clicked_room(chat: Chat, event: &MouseEvent) {
    let plain = event.button() == 0
        && !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key());
    let link = event
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok())
        .and_then(|element| element.closest("[data-room]").ok().flatten());
    let room_id = link.and_then(|link| link.get_attribute("data-room"));
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
    html.push_str(&illustrated("{=inbox}<span class=\"nav-item__name truncate\">Activity</span>"));
    if unread > 0 {
        let count = if unread < 100 { unread.to_string() } else { "99+".to_owned() };
        push_all(&mut html, &["<span class=\"badge\">", &count, UNSEEN, " new</span></span>"]);
    }
    html + "</a>"
}

#[component]
fn OnlineGroup(chat: Chat) -> impl IntoView {
    let count = Memo::new(move |_| chat.sidebar.with(Sidebar::online_count));
    let list = move || {
        chat.sidebar.with(|sidebar| {
            let shown = sidebar.online().iter().take(MAX_ONLINE);
            let mut lines: Vec<String> = shown.map(person_line).collect();
            let rest = sidebar.online_count().saturating_sub(lines.len());
            if rest > 0 {
                let line = format!("<li class=\"nav-item nav-item--muted\">and {rest} more</li>");
                lines.push(line);
            }
            lines
        })
    };
    let rows = live("online", list);
    view! {
        <section class="group" aria-label="Online">
            <details open>
                <summary class="group__title">
                    <Icon name="chevron-right" class="icon icon--s"/>
                    "Online"
                    <span class="muted online-count">{move || count.get()}</span>
                </summary>
                <ul id="online" inner_html=rows></ul>
            </details>
        </section>
    }
}

fn person_line(user: &UserRef) -> String {
    let id = user.id.to_string();
    let mut html = String::with_capacity(384);
    push_all(&mut html, &["<li><a class=\"nav-item\" href=\"/users/", &id, "\">"]);
    push_face(&mut html, user, true);
    push_name(&mut html, &user.name);
    html + UNSEEN + ", online</span></a></li>"
}

/// The button that opens the drawer on small screens, marked when something is unread.
#[component]
pub fn MenuButton(
    /// The chat.
    chat: Chat,
) -> impl IntoView {
    let unread = Memo::new(move |_| chat.sidebar.with(|sidebar| sidebar.waiting().unread));
    let label = move || {
        if unread.get() { "Rooms, unread messages" } else { "Rooms" }
    };
    view! {
        <button type="button" class="icon-button bar__menu" popovertarget="sidebar"
            aria-label=label>
            <Icon name="menu"/>
            {move || unread.get().then(|| view! { <span class="pip"></span> })}
        </button>
    }
}
