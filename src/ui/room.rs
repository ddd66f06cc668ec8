//! The sheet beside the sidebar: a room (bar, message list, composer) or a quieter screen.

use super::browser::CallError;
use super::composer::Composer;
use super::controls::{closest, illustrated, live, svg};
use super::keys::UnreadPill;
use super::rooms::level_name;
use super::sidebar::menu_button;
use super::state::Chat;
use super::timeline::MessageList;
use super::{ConnectionBanner, RoomScreen, Theme, browser, expression};
use crate::domain::room::{Involvement, Room, RoomKind};
use crate::domain::sidebar::{SidebarRoom, folded};
use crate::domain::{RoomId, push_escaped};
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
    // What stands above the first message: a welcome, or that there is none.
    let top = move || {
        let room = chat.room.get();
        if chat.has_older.get() || chat.gone.get() {
            return Vec::new();
        }
        let welcome =
            welcome.as_ref().filter(|_| room.as_ref().is_some_and(|r| r.id == first_room));
        match (welcome, room) {
            (Some(html), _) => {
                let start = "<section class=\"panel panel--pad welcome\" aria-label=\"Welcome\">";
                vec![[start, html, "</section>"].concat()]
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
    html.push_str("<h2 class=\"empty__title\">Quiet in here</h2><p class=\"empty__text\">");
    html.push_str("Nobody has said anything in <bdi>");
    push_escaped(&mut html, name);
    html + "</bdi>. Yours can be the first words.</p></div>"
}

fn gone() -> String {
    illustrated(
        "<div class=\"callout\">{=info}<p>This room is not yours to see any more: it was deleted, or \
         you were taken out of it. <a href=\"/\">Go to another room</a></p></div>",
    )
}

/// What the room on screen is called, and what can be done with it.
#[component]
fn RoomBar(chat: Chat) -> impl IntoView {
    let title =
        live("bar-title", move || chat.room.with(|room| room.iter().flat_map(title).collect()));
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
    let bell = match level {
        Involvement::Everything => "bell-all",
        Involvement::Mentions => "bell-mentions",
        Involvement::Nothing => "bell-none",
        Involvement::Invisible => "bell-hidden",
    };
    let label = format!("Notifications: {}", level_name(level).to_ascii_lowercase());
    let starred = entry.is_some_and(|entry| entry.starred);
    let star = if starred { "Remove star" } else { "Star this room" };
    let unstarred = !starred;
    [
        format!(
            "<form class=\"without-scripts\" action=\"/rooms/{id}/read\" method=\"post\"><button \
             type=\"submit\" class=\"button button--s\">Mark as read</button></form>"
        ),
        format!(
            "<a class=\"icon-button\" href=\"/searches?in={id}\" aria-label=\"Search\" \
             title=\"Search\">{{=search}}</a>"
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
            "<a class=\"icon-button\" href=\"/rooms/{id}/edit\" aria-label=\"Room settings\" \
             title=\"Room settings\">{{=gear}}</a>"
        ),
    ]
    .map(|html| illustrated(&html))
}

/// A form of the bar: what it wants is shown at once, and taken back if the server refuses.
fn submitted(chat: Chat, event: &SubmitEvent) {
    let form = event.target().and_then(|form| form.dyn_into::<Element>().ok());
    let wanted = form.and_then(|form| form.query_selector("input").ok().flatten());
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
                    <div class="beside" id="menu-button" inner_html=menu_button(chat)></div>
                    <h1 class="bar__title">
                        <span class="bar__name truncate" dir="auto">{title}</span>
                    </h1>
                    <div class="bar__actions" inner_html=illustrated(BACK)></div>
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

const BACK: &str = "<a class=\"button button--s button--plain\" href=\"/\">{chevron-left}Back to the \
                    chat</a>";

/// A button with `data-copy` copies that text, and says so.
pub fn copied(event: &MouseEvent) {
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
