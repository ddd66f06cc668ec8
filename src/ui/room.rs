//! The sheet beside the sidebar: a room (bar, message list, composer) or a quieter screen.
//!
//! The composer is a plain form that posts without scripts. Live, Enter sends (not while an input
//! method is composing, not on touch screens), Shift+Enter breaks the line, Ctrl or Cmd+Enter
//! always sends. The draft is kept in this browser on every keystroke, so nothing written is lost.

use super::browser::CallError;
use super::controls::{Icon, Mark};
use super::message::ReplyLine;
use super::rooms::level_name;
use super::sidebar::MenuButton;
use super::state::Chat;
use super::timeline::MessageList;
use super::{ConnectionBanner, RoomScreen, Theme, browser};
use crate::domain::event::ClientFrame;
use crate::domain::room::{Involvement, RoomKind};
use crate::domain::sidebar::Sidebar;
use crate::domain::sidebar::SidebarRoom;
use crate::domain::{RoomId, Seq};
use leptos::ev::KeyboardEvent;
use leptos::ev::{Event, MouseEvent, SubmitEvent};
use leptos::html::Textarea;
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
    let icon = move || match chat.room.with(|room| room.as_ref().map(|room| room.kind)) {
        Some(RoomKind::Closed) => "lock",
        Some(RoomKind::Direct) => "user",
        _ => "hash",
    };
    let topic =
        move || {
            let topic = chat.room.with(|room| room.as_ref().map(|room| room.topic.clone()));
            topic.filter(|topic| !topic.is_empty()).map(|topic| view! {
            <p class="bar__topic truncate" dir="auto" title=topic.clone()>{topic.clone()}</p>
        })
        };
    let settings =
        move || chat.room.with(|room| room.as_ref().map(|room| format!("/rooms/{}/edit", room.id)));
    let here = move || chat.room.with(|room| room.as_ref().is_some_and(|r| r.id == first_room));
    let mark_read =
        move || chat.room.with(|room| room.as_ref().map(|room| format!("/rooms/{}/read", room.id)));
    let beginning = move || !chat.has_older.get();
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
        let shown = chat.is_empty.get()
            && chat.ready.get()
            && beginning()
            && !welcoming
            && !chat.gone.get();
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
                    {topic}
                    <div class="bar__actions" hidden=move || chat.gone.get()>
                        <form class="without-scripts" action=mark_read method="post">
                            <button type="submit" class="button button--s">"Mark as read"</button>
                        </form>
                        <Star chat=chat/>
                        <Bell chat=chat/>
                        <a class="icon-button" href=settings aria-label="Room settings"
                            title="Room settings"><Icon name="gear"/></a>
                    </div>
                </header>
                <ConnectionBanner chat=chat/>
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
    let label = move || format!("Notifications: {}", level_name(level.get()).to_lowercase());
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
    let wanted = browser::folded(field.value().trim());
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
        row.set_hidden(!browser::folded(&name).contains(&wanted));
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

/// A sign of typing is repeated at most this often (Campfire's value).
const TYPING_EVERY_MS: i64 = 1_000;

/// Everything below the message list.
#[component]
pub fn Composer(
    /// The chat.
    chat: Chat,
    /// How far the page goes; makes a form that is sent twice recognisable.
    after: Seq,
    /// What could not be sent without scripts, and why.
    unsent: Option<(String, String)>,
    /// Whether the focus stays elsewhere at first: on the message the address points at.
    waits: bool,
) -> impl IntoView {
    let field = NodeRef::<Textarea>::new();
    let (typed, problem) = unsent.unzip();
    let problem = RwSignal::new(problem);
    let room_id = move || chat.room.with(|room| room.as_ref().map(|room| room.id));
    let action = move || room_id().map(|id| format!("/rooms/{id}/messages"));
    let placeholder = move || {
        let name = chat.room.with(|room| room.as_ref().map(|room| room.name.clone()));
        format!("Message {}", name.unwrap_or_default())
    };
    let typing = Typing::new(chat);
    follow_draft(chat, field, waits);
    let send = move || {
        let Some(text) = field.get_untracked().map(|field| field.value()) else {
            return;
        };
        if text.trim().is_empty() {
            return;
        }
        match chat.send(&text) {
            Ok(()) => {
                problem.set(None);
                typing.ended();
                chat.draft.set(String::new());
                chat.keep_draft();
            }
            Err(sentence) => problem.set(Some(sentence)),
        }
        if let Some(field) = field.get_untracked() {
            let _focused = field.focus();
        }
    };
    let input = move |_| {
        if let Some(field) = field.get_untracked() {
            chat.draft.set(field.value());
            chat.keep_draft();
            typing.changed(field.value().trim().is_empty());
        }
    };
    let keys = move |event: KeyboardEvent| {
        if sends(&event) {
            event.prevent_default();
            send();
        }
    };
    view! {
        <div class="dock" hidden=move || chat.gone.get()>
            <JumpPill chat=chat/>
            <p class="typing" aria-live="polite">
                {move || chat.sidebar.with(Sidebar::typing_line).map(|line| view! {
                    <span class="typing__dots" aria-hidden="true"><i></i><i></i><i></i></span>
                    {line}
                })}
            </p>
            <form class="composer" action=action method="post" aria-label="New message"
                on:submit=move |event| {
                    event.prevent_default();
                    send();
                }>
                {move || problem.get().map(|sentence| view! {
                    <p class="composer__context composer__problem" role="alert">
                        <Icon name="warning" class="icon icon--s"/>{sentence}
                    </p>
                })}
                <ReplyLine chat=chat/>
                <input type="hidden" name="after" value=after.get().to_string()/>
                <div class="composer__row">
                    <textarea class="composer__field" id="body" name="body" rows="1" dir="auto"
                        placeholder=placeholder aria-label=placeholder node_ref=field
                        on:input=input on:keydown=keys>{typed}</textarea>
                    <button type="submit" class="icon-button send" aria-label="Send message"
                        title="Send message"><Icon name="send"/></button>
                </div>
            </form>
        </div>
    }
}

/// Whether an input method is at work. 229 is what browsers report even after it says it is not.
pub(super) fn is_composing(event: &KeyboardEvent) -> bool {
    event.is_composing() || event.key_code() == 229
}

/// Whether this key sends.
pub(super) fn sends(event: &KeyboardEvent) -> bool {
    if event.key() != "Enter" || is_composing(event) {
        return false;
    }
    event.ctrl_key() || event.meta_key() || !(event.shift_key() || browser::has_coarse_pointer())
}

/// Keeps field and draft equal. What was typed before the page came alive wins over nothing.
fn follow_draft(chat: Chat, field: NodeRef<Textarea>, waits: bool) {
    Effect::new(move |seen: Option<Option<RoomId>>| {
        let room_id = chat.room.with(|room| room.as_ref().map(|room| room.id));
        let draft = chat.draft.get();
        let field = field.get()?;
        let typed = field.value();
        if seen.flatten().is_none() && !typed.is_empty() {
            chat.draft.set(typed);
            chat.keep_draft();
        } else if typed != draft {
            field.set_value(&draft);
        }
        let first = seen.is_none() && waits;
        if seen != Some(room_id) && !first && !browser::has_coarse_pointer() {
            let _focused = field.focus();
        }
        room_id
    });
}

/// Says that the viewer is writing, but not all the time.
#[derive(Clone, Copy)]
struct Typing {
    chat: Chat,
    last_said_ms: StoredValue<i64>,
}

impl Typing {
    fn new(chat: Chat) -> Self {
        Self { chat, last_said_ms: StoredValue::new(0) }
    }

    /// What was written has been sent or taken back: the next sign is due at once.
    fn ended(self) {
        self.last_said_ms.set_value(0);
    }

    fn changed(self, is_empty: bool) {
        let Some(room_id) = self.chat.room_id() else {
            return;
        };
        let now = browser::now().ms();
        if is_empty {
            self.ended();
            self.chat.say(ClientFrame::TypingStop { room_id });
        } else if now - self.last_said_ms.get_value() >= TYPING_EVERY_MS {
            self.last_said_ms.set_value(now);
            self.chat.say(ClientFrame::TypingStart { room_id });
        }
    }
}

/// The way back to the newest message, with the number of those not seen yet.
#[component]
fn JumpPill(chat: Chat) -> impl IntoView {
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
