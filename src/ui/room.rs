//! The sheet beside the sidebar: a room (bar, message list, composer) or a quieter screen.

use super::browser::CallError;
use super::composer::Composer;
use super::controls::{Icon, Mark, closest};
use super::keys::UnreadPill;
use super::rooms::level_name;
use super::sidebar::MenuButton;
use super::state::Chat;
use super::timeline::MessageList;
use super::{ConnectionBanner, RoomScreen, Theme, browser, expression};
use crate::domain::RoomId;
use crate::domain::event::Sidebar;
use crate::domain::room::{Involvement, RoomKind, SidebarRoom};
use crate::domain::search::folded;
use leptos::ev::{Event, MouseEvent, SubmitEvent};
use leptos::prelude::*;
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

/// A click on a sound plays it; one on a link to a room of the viewer's shows it in place.
pub fn act(chat: Chat, event: &MouseEvent) {
    if let Some(name) = closest(event, ".sound").and_then(|it| it.get_attribute("data-sound")) {
        spawn_local(expression::play(name));
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
