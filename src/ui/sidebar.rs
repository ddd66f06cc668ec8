//! The sidebar: rooms in sections, who is online, you. A drawer that needs no script on small
//! screens. Rows are keyed by all that they show, so a change draws one row and moves the others
//! at most.

use super::browser;
use super::controls::{Avatar, Icon, Mark};
use super::state::Chat;
use crate::domain::RoomId;
use crate::domain::account::{UserRef, Viewer, hue};
use crate::domain::event::{MAX_ONLINE, Sidebar};
use crate::domain::room::{Involvement, RoomKind, SidebarRoom};
use crate::domain::search::{folded, sort};
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
                <ActivityLink chat=chat/>
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
    // Only what differs reaches the rows: somebody typing changes none.
    let rooms = Memo::new(move |_| {
        filter.with(|filter| chat.sidebar.with(|sidebar| section.rooms(sidebar, filter)))
    });
    let shown = move || rooms.get();
    let absent = move || section == Section::Starred && rooms.with(Vec::is_empty);
    let (title, key) = section.words();
    view! {
        <section class="group" aria-label=title hidden=absent>
            <details open data-section=key on:toggle=move |event| remember_section(key, &event)>
                <summary class="group__title">
                    <Icon name="chevron-right" class="icon icon--s"/>{title}
                </summary>
                <ul>
                    <For each=shown key=row_key let:entry>
                        <RoomLink chat=chat entry=entry/>
                    </For>
                </ul>
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

/// A line is drawn anew when any of this changes.
fn row_key(entry: &SidebarRoom) -> (RoomId, String, (bool, u32, bool), Involvement, RoomKind) {
    let marks = (entry.unread, entry.mentions, entry.online);
    (entry.id, entry.name.clone(), marks, entry.involvement, entry.kind)
}

#[component]
fn RoomLink(chat: Chat, entry: SidebarRoom) -> impl IntoView {
    let (id, mentions, waiting) = (entry.id, entry.mentions, entry.is_waiting());
    let muted = entry.involvement == Involvement::Nothing;
    let here = move || chat.room.with(|on_screen| on_screen.as_ref().is_some_and(|r| r.id == id));
    // What is on screen is being read; a mark would only flicker.
    let marked = move || waiting && (!here() || chat.stays_unread.get());
    let class = move || match (marked(), muted) {
        (true, _) => "nav-item nav-item--unread",
        (false, true) => "nav-item nav-item--muted",
        (false, false) => "nav-item",
    };
    let (online, name) = (entry.online, entry.name.clone());
    view! {
        <li>
            <a class=class href=format!("/rooms/{id}") data-room=id.to_string()
                aria-current=move || here().then_some("page")>
                <RoomFace chat=chat entry=entry/>
                <span class="nav-item__name truncate" dir="auto">{name}</span>
                {online.then(|| view! { <span class="visually-hidden">", online"</span> })}
                {muted.then(|| view! {
                    <Icon name="bell-none" class="icon icon--s"/>
                    <span class="visually-hidden">", muted"</span>
                })}
                {move || marked().then(|| match mentions {
                    0 => view! {
                        <span class="pip"></span><span class="visually-hidden">", unread"</span>
                    }.into_any(),
                    count => view! {
                        <span class="badge">
                            {count}<span class="visually-hidden">" mentions"</span>
                        </span>
                    }.into_any(),
                })}
            </a>
        </li>
    }
}

/// What stands before a room's name: its kind, or the face of whom one writes to.
#[component]
fn RoomFace(chat: Chat, entry: SidebarRoom) -> impl IntoView {
    match (entry.kind, entry.people.as_slice()) {
        (RoomKind::Open, _) => view! { <Icon name="hash"/> }.into_any(),
        (RoomKind::Closed, _) => view! { <Icon name="lock"/> }.into_any(),
        (RoomKind::Direct, [_, _, ..]) => {
            let count = entry.people.len();
            let hue = entry.people.first().map(|user| hue(user.id).to_string());
            view! {
                <span class="avatar avatar--s" data-hue=hue aria-hidden="true">{count}</span>
            }
            .into_any()
        }
        (RoomKind::Direct, others) => {
            let you = chat.viewer.with_value(Viewer::as_author);
            let who = others.first().cloned().unwrap_or(you);
            let online = entry.online || others.is_empty();
            view! {
                <Avatar id=who.id name=who.name class="avatar avatar--s" online=online/>
            }
            .into_any()
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
#[component]
fn ActivityLink(chat: Chat) -> impl IntoView {
    let unread = move || chat.activity.get();
    let class = move || if unread() > 0 { "nav-item nav-item--unread" } else { "nav-item" };
    view! {
        <a class=class href="/activity">
            <Icon name="inbox"/>
            <span class="nav-item__name truncate">"Activity"</span>
            {move || (unread() > 0).then(|| {
                let count = if unread() < 100 { unread().to_string() } else { "99+".to_owned() };
                view! { <span class="badge">{count}<span class="visually-hidden">" new"</span></span> }
            })}
        </a>
    }
}

#[component]
fn OnlineGroup(chat: Chat) -> impl IntoView {
    let count = Memo::new(move |_| chat.sidebar.with(Sidebar::online_count));
    let named = move |sidebar: &Sidebar| {
        sidebar.online().iter().take(MAX_ONLINE).cloned().collect::<Vec<_>>()
    };
    let online = Memo::new(move |_| chat.sidebar.with(named));
    let shown = move || online.get();
    let rest = move || count.get().saturating_sub(online.with(Vec::len));
    view! {
        <section class="group" aria-label="Online">
            <details open>
                <summary class="group__title">
                    <Icon name="chevron-right" class="icon icon--s"/>
                    "Online"
                    <span class="muted online-count">{move || count.get()}</span>
                </summary>
                <ul>
                    <For each=shown key=UserRef::clone let:user>
                        <li>
                            <a class="nav-item" href=format!("/users/{}", user.id)>
                                <Avatar id=user.id name=user.name.clone()
                                    class="avatar avatar--s" online=true/>
                                <span class="nav-item__name truncate" dir="auto">{user.name}</span>
                                <span class="visually-hidden">", online"</span>
                            </a>
                        </li>
                    </For>
                </ul>
                {move || (rest() > 0).then(|| view! {
                    <p class="nav-item nav-item--muted">{format!("and {} more", rest())}</p>
                })}
            </details>
        </section>
    }
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
