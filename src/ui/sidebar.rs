//! The sidebar: rooms, who is online, you. A drawer that needs no script on small screens.

use super::browser;
use super::controls::{Avatar, Icon, Mark};
use super::state::Chat;
use crate::domain::RoomId;
use crate::domain::account::UserRef;
use crate::domain::room::RoomKind;
use crate::domain::sidebar::{MAX_ONLINE, Sidebar, SidebarRoom};
use leptos::ev::MouseEvent;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

/// Rooms and people.
#[component]
pub fn SidebarNav(
    /// The chat.
    chat: Chat,
) -> impl IntoView {
    let viewer = chat.viewer.get_value();
    let profile = format!("/users/{}", viewer.id);
    let rooms = move || chat.sidebar.with(|sidebar| sidebar.rooms().to_vec());
    view! {
        <nav class="sidebar" id="sidebar" popover="" aria-label="Rooms and people">
            <div class="sidebar__top">
                <a class="workspace" href="/">
                    <Mark class="mark"/>
                    <span class="workspace__name truncate" dir="auto">
                        {chat.account_name.get_value()}
                    </span>
                </a>
                <button type="button" class="icon-button drawer-only" aria-label="Close menu"
                    title="Close menu" popovertarget="sidebar" popovertargetaction="hide">
                    <Icon name="close"/>
                </button>
            </div>
            <div></div>
            <div class="sidebar__scroll">
                <section class="group" aria-label="Rooms">
                    <details open>
                        <summary class="group__title">
                            <Icon name="chevron-right" class="icon icon--s"/>"Rooms"
                        </summary>
                        <ul on:click=move |event| open_clicked_room(chat, &event)>
                            <For each=rooms key=row_key let:entry>
                                <RoomLink chat=chat entry=entry/>
                            </For>
                        </ul>
                    </details>
                    <a class="icon-button group__add icon-button--s" href="/rooms/new"
                        aria-label="New room" title="New room">
                        <Icon name="plus" class="icon icon--s"/>
                    </a>
                </section>
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
                <a class="icon-button" href="/account/edit" aria-label="People and invite link"
                    title="People and invite link">
                    <Icon name="users"/>
                </a>
            </div>
        </nav>
    }
}

/// A line is drawn anew when any of this changes.
fn row_key(entry: &SidebarRoom) -> (RoomId, bool, String) {
    (entry.id, entry.unread, entry.name.clone())
}

#[component]
fn RoomLink(chat: Chat, entry: SidebarRoom) -> impl IntoView {
    let SidebarRoom { id, name, kind, unread, .. } = entry;
    let here = move || chat.room.with(|on_screen| on_screen.as_ref().is_some_and(|r| r.id == id));
    // What is on screen is being read; a mark would only flicker.
    let marked = move || unread && !here();
    let icon = if kind == RoomKind::Open { "hash" } else { "lock" };
    view! {
        <li>
            <a class=move || if marked() { "nav-item nav-item--unread" } else { "nav-item" }
                href=format!("/rooms/{id}") data-room=id.to_string()
                aria-current=move || here().then_some("page")>
                <Icon name=icon/>
                <span class="nav-item__name truncate" dir="auto">{name}</span>
                {move || marked().then(|| view! {
                    <span class="pip"></span><span class="visually-hidden">", unread"</span>
                })}
            </a>
        </li>
    }
}

/// Shows a room in place; other clicks, and clicks meant for a new tab, are the browser's.
fn open_clicked_room(chat: Chat, event: &MouseEvent) {
    let plain = event.button() == 0
        && !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key());
    let link = event
        .target()
        .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
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
