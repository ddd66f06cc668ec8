//! The sheet beside the sidebar: a room (bar, message list, composer) or a quieter screen.

use super::composer::Composer;
use super::controls::{Icon, Mark};
use super::sidebar::MenuButton;
use super::state::Chat;
use super::timeline::MessageList;
use super::{ConnectionBanner, RoomScreen, Theme, browser};
use crate::domain::room::RoomKind;
use leptos::ev::{Event, MouseEvent};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlInputElement};

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
    let icon = move || match chat.room.with(|room| room.as_ref().map(|room| room.kind)) {
        Some(RoomKind::Closed | RoomKind::Direct) => "lock",
        _ => "hash",
    };
    let here = move || chat.room.with(|room| room.as_ref().is_some_and(|r| r.id == first_room));
    let mark_read =
        move || chat.room.with(|room| room.as_ref().map(|room| format!("/rooms/{}/read", room.id)));
    let beginning = move || !chat.has_older.get();
    let search = move || {
        chat.room.with(|room| room.as_ref().map(|room| format!("/searches?in={}", room.id)))
    };
    let welcome = StoredValue::new(welcome);
    let greeting = move || {
        let html = welcome.get_value().filter(|_| here() && beginning());
        html.map(|html| {
            view! {
                <section class="panel panel--pad welcome" aria-label="Welcome" inner_html=html
                    on:click=move |event| copied(&event)></section>
            }
        })
    };
    let quiet = move || {
        let welcoming = welcome.with_value(Option::is_some) && here();
        let shown = chat.is_empty.get() && chat.ready.get() && beginning() && !welcoming;
        shown.then(|| view! { <Quiet name=name()/> })
    };
    view! {
        <main class="sheet" id="main" tabindex="-1">
            <div class="sheet__top">
                <header class="bar">
                    <MenuButton chat=chat/>
                    <h1 class="bar__title">
                        {move || view! { <Icon name=icon()/> }}
                        <span class="bar__name truncate" dir="auto">{name}</span>
                    </h1>
                    <div class="bar__actions">
                        <form class="without-scripts" action=mark_read method="post">
                            <button type="submit" class="button button--s">"Mark as read"</button>
                        </form>
                        <a class="icon-button" href=search aria-label="Search" title="Search">
                            <Icon name="search"/></a>
                        <a class="icon-button" href="/account/edit" aria-label="People"
                            title="People"><Icon name="users"/></a>
                    </div>
                </header>
                <ConnectionBanner chat=chat/>
            </div>
            <MessageList chat=chat rows=rows>
                {greeting}
                {quiet}
            </MessageList>
            <Composer chat=chat after=page.cursor unsent=unsent waits=found.is_some()/>
        </main>
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
                on:click=move |event| copied(&event) on:change=move |event| theme_chosen(&event) on:input=move |event| filtered(&event)>
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

/// The theme changes at once; the cookie tells the server for the next page.
fn theme_chosen(event: &Event) {
    let target = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
    if let Some(input) = target.filter(|input| input.name() == "theme") {
        let theme = Theme::parse(&input.value());
        browser::set_cookie("theme", theme.as_str());
        browser::set_root_attribute("data-theme", theme.attribute());
    }
}

/// A field with `data-filter` hides the rows of that list whose name does not contain its text.
fn filtered(event: &Event) {
    let target = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
    let list = target.as_ref().and_then(|input| input.get_attribute("data-filter"));
    let list = list.and_then(|id| browser::element(&id));
    let (Some(input), Some(list)) = (target, list) else {
        return;
    };
    let wanted = input.value().trim().to_lowercase();
    let rows = list.children();
    for row in (0..rows.length()).filter_map(|at| rows.item(at)) {
        let name = row.get_attribute("data-name").unwrap_or_default();
        // A row that cannot be hidden is shown, which is no harm.
        let _done = row.toggle_attribute_with_force("hidden", !name.contains(&wanted));
    }
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
