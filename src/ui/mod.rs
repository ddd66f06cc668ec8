//! What people see. The same components render complete pages on the server and come alive in
//! the browser.
//!
//! A page is rendered from [`Boot`], which is also embedded in it as JSON; the browser builds the
//! very same view from that JSON, so there is nothing to fetch before the page is live. Only the
//! signed-in chat ships WebAssembly; the pages in front of the door are plain HTML with forms.
//! Nothing in a first render depends on a clock, a locale or chance, and no script is inline, so
//! that a page can be kept and its Content-Security-Policy needs no nonce.

pub mod browser;
mod composer;
pub mod controls;
mod keys;
mod live;
pub mod log;
pub mod message;
pub mod people;
mod room;
pub mod rooms;
mod sidebar;
pub mod state;
mod timeline;

use crate::domain::account::{UserRef, Viewer};
use crate::domain::composing::Reaction;
use crate::domain::event::Sidebar;
use crate::domain::message::{ClientMessageId, Message, MessagePage, Quote};
use crate::domain::room::{Room, SidebarRoom, Waiting};
use crate::domain::{MessageId, RoomId, Seq, Timestamp, push_all, push_escaped, push_padded};
use crate::texts;
use controls::{asset, illustrated, live};
use gloo_timers::future::TimeoutFuture;
use leptos::either::Either;
use leptos::ev;
use leptos::prelude::*;
use leptos::tachys::html::InertElement;
use message::{Kept, Painter};
use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, Serializer};
use state::{Chat, Link};
use std::sync::Arc;
use std::{io, mem};
use wasm_bindgen_futures::spawn_local;
use web_sys::HtmlInputElement;

/// Everything a signed-in page is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// Who is signed in.
    pub viewer: Viewer,
    /// What the chat is called.
    pub account_name: String,
    /// The database every cursor belongs to.
    pub incarnation: String,
    /// Where built files are served.
    pub assets: String,
    /// The viewer's rooms.
    pub rooms: Vec<SidebarRoom>,
    /// The first of those who are online, by name.
    pub online: Vec<UserRef>,
    /// How many are online.
    pub online_count: usize,
    /// Whether the viewer may create rooms.
    pub may_create_rooms: bool,
    /// The account's own stylesheet, unless it is switched off.
    pub styles: Option<String>,
    /// What the sheet shows.
    pub screen: Screen,
}

/// What the sheet shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Screen {
    /// A room.
    Room(Box<RoomScreen>),
    /// Settings and forms: finished HTML, which the browser leaves as the server made it.
    Quiet {
        /// The heading.
        title: String,
        /// What stands below it; only the server knows.
        #[serde(skip)]
        html: String,
    },
}

/// A room's part of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomScreen {
    /// The room.
    pub room: Room,
    /// Its messages, which stand in the page apart from the rest, without their HTML: that is in
    /// the rows.
    #[serde(serialize_with = "without_messages")]
    pub page: MessagePage,
    /// Whether newer ones were left out.
    pub has_newer: bool,
    /// The welcome card, finished, in the first room while it is young.
    pub welcome: Option<String>,
    /// What could not be sent, and why.
    pub unsent: Option<(String, String)>,
    /// The message the address points at.
    pub found: Option<MessageId>,
    /// The message that is about to be answered.
    pub reply: Option<Quote>,
}

fn without_messages<S: serde::Serializer>(page: &MessagePage, to: S) -> Result<S::Ok, S::Error> {
    let MessagePage { cursor, has_more, .. } = *page;
    MessagePage { messages: Vec::new(), cursor, has_more }.serialize(to)
}

/// A [`Message`] of a page without its HTML: never a tombstone.
#[derive(Serialize)]
struct Bare<'a> {
    id: MessageId,
    seq: Seq,
    room_id: RoomId,
    client_message_id: ClientMessageId,
    creator: &'a UserRef,
    body: &'a str,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a Quote>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    boosts: &'a [Reaction],
}

impl<'a> From<&'a Message> for Bare<'a> {
    fn from(message: &'a Message) -> Self {
        let Message { id, seq, room_id, client_message_id, created_at, edited_at, .. } = *message;
        let (creator, body) = (&message.creator, message.body.as_str());
        let (reply_to, boosts) = (message.reply_to.as_ref(), message.boosts.as_slice());
        Self { id, seq, room_id, client_message_id, creator, body, created_at, edited_at, reply_to, boosts }
    }
}

/// Light, dark, or whatever the system says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// Follow the system.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Theme {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// The cookie's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Reads the cookie's value; anything else means the system.
    pub fn parse(text: &str) -> Self {
        match text {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }

    /// The value of `<html data-theme>`.
    pub fn attribute(self) -> Option<&'static str> {
        (self != Self::System).then(|| self.as_str())
    }
}

/// Stands where the rows go, so that half a page is not copied from component to component.
const ROWS_HERE: &str = "<!--rows-->";

/// The signed-in page.
#[component]
pub fn App(
    /// What it is made of.
    boot: Arc<Boot>,
    /// Where to put the rows of the message list, which then go to `ROWS_HERE`. None in the
    /// browser, where they are in place already.
    #[prop(optional)]
    rows: Option<StoredValue<String>>,
    /// What the server keeps of the messages.
    #[prop(default = Arc::new([]))]
    kept: Arc<[Arc<Kept>]>,
) -> impl IntoView {
    let chat = Chat::new(&boot);
    let found = match &boot.screen {
        Screen::Room(screen) => screen.found,
        Screen::Quiet { .. } => None,
    };
    let painter = Painter { viewer: &boot.viewer, local: false, plain: true, found, kept: &kept };
    if let Some(drawn) = rows {
        drawn.set_value(chat.rows.with_value(|rows| painter.rows(rows)));
    }
    let rows = if rows.is_some() { ROWS_HERE } else { "" };
    Effect::new(move || come_alive(chat, found));
    let screen = boot.screen.clone();
    let sheet = match screen {
        Screen::Room(screen) => Either::Left(view! { <room::RoomSheet chat=chat screen=*screen rows=rows/> }),
        Screen::Quiet { title, html } => {
            Either::Right(view! { <room::QuietSheet chat=chat title=title html=html/> })
        }
    };
    let toasts = live("toasts", move || {
        let notice = chat.notice.with(|said| said.as_ref().map(|(at, text)| notice(*at, text)));
        let removal = chat.removal.get().map(|_| illustrated(REMOVAL));
        let copied = chat.copied.get().map(|_| illustrated(COPIED));
        [notice, removal, copied].into_iter().flatten().collect()
    });
    view! {
        {InertElement::new(include_str!(concat!(env!("OUT_DIR"), "/skip.html")))}
        <div class="app">
            <sidebar::SidebarNav chat=chat/>
            {sheet}
        </div>
        <div class="toasts" id="toasts" role="status" aria-live="polite" inner_html=toasts
            on:click=move |event| match browser::closest(&event, "button") {
                Some(button) if button.id() == "undo" => drop(chat.undo()),
                Some(_) => chat.notice.set(None),
                None => {}
            }></div>
    }
}

/// Something that did not work.
fn notice(at: Timestamp, text: &str) -> String {
    let start = format!("<div class=\"toast\" data-at=\"{}\">", at.ms());
    let mut html = illustrated(&(start + "{warning}<span class=\"grow\">"));
    push_escaped(&mut html, text);
    let button = "</span><button type=\"button\" class=\"button button--s\">";
    push_all(&mut html, &[button, texts::button::CLOSE, "</button></div>"]);
    html
}

/// A message that can still be brought back.
const REMOVAL: &str = include_str!(concat!(env!("OUT_DIR"), "/removal.html"));
/// A link that lies in the clipboard.
const COPIED: &str = include_str!(concat!(env!("OUT_DIR"), "/copied.html"));

/// The data a page was rendered from, read back from the page. `None` where there is none.
pub fn embedded_boot() -> Option<Arc<Boot>> {
    let json = browser::element("boot")?.text_content()?;
    let mut boot: Boot = serde_json::from_str(&json).ok()?;
    if let Screen::Room(screen) = &mut boot.screen {
        let json = browser::element("messages")?.text_content()?;
        screen.page.messages = serde_json::from_str(&json).ok()?;
        // What a message says stands in its row.
        for message in screen.page.messages.iter_mut().filter_map(Arc::get_mut) {
            message.body_html = log::text_of(message.id).unwrap_or_default();
        }
    }
    controls::set_asset_base(boot.assets.clone());
    Some(Arc::new(boot))
}

/// Everything that begins once the page is live, in the order a person notices it.
fn come_alive(chat: Chat, found: Option<MessageId>) {
    chat.come_alive();
    if let Some(field) = browser::find::<HtmlInputElement>("input[autofocus]") {
        // One goes on where the text ends.
        let _at_the_end = field.set_selection_range(u32::MAX, u32::MAX);
    }
    if let Some(id) = found {
        log::show_found(id);
    }
    chat.restore();
    chat.look_around();
    let loaded = browser::path();
    window_event_listener(ev::popstate, move |_| follow_address(chat, &loaded));
    window_event_listener(ev::online, move |_| chat.wake());
    window_event_listener(ev::focus, move |_| chat.wake());
    window_event_listener(ev::resize, move |_| chat.look_around());
    let visibility = ev::Custom::<ev::Event>::new("visibilitychange");
    chat.see_activity();
    window_event_listener(visibility, move |_| {
        if browser::is_visible() {
            chat.wake();
            chat.see_activity();
        }
    });
    let waiting = Memo::new(move |_| chat.sidebar.with(Sidebar::waiting));
    Effect::new(move || browser::set_title(&title(chat, waiting.get())));
    Effect::new(move || browser::set_app_badge(waiting.get()));
    keys::listen(chat);
    spawn_local(live::stay_connected(chat));
    spawn_local(forget_typists(chat));
    browser::set_root_attribute("data-hydrated", Some("true"));
}

/// The page's title: what is on screen, marked when something waits elsewhere.
fn title(chat: Chat, waiting: Waiting) -> String {
    let account = chat.account_name.get();
    let mark = match waiting {
        Waiting { unread: false, .. } => String::new(),
        Waiting { personal: 0, .. } => "• ".to_owned(),
        Waiting { personal, .. } => format!("({personal}) "),
    };
    match chat.room.get() {
        Some(room) => format!("{mark}{} · {account}", room.name),
        None => format!("{mark}{account}"),
    }
}

/// Back and forward show the room of the address. A link within the page moves nothing.
fn follow_address(chat: Chat, loaded: &str) {
    let path = browser::path();
    match room_of_path(&path) {
        Some(room_id) if chat.room_id().is_some() => chat.open_room(room_id),
        _ if path == loaded => {}
        _ => browser::reload(),
    }
}

/// The room of `/rooms/7` and `/rooms/7/@12`.
fn room_of_path(path: &str) -> Option<RoomId> {
    let id = path.strip_prefix("/rooms/")?.split('/').next()?;
    id.parse().ok().map(RoomId::new)
}

async fn forget_typists(chat: Chat) {
    loop {
        TimeoutFuture::new(1_000).await;
        let now = browser::now().ms();
        let stale = chat.sidebar.with_untracked(|sidebar| sidebar.clone().sweep_typing(now));
        if stale {
            chat.sidebar.update(|sidebar| {
                sidebar.sweep_typing(now);
            });
        }
    }
}

/// The calm line that says the connection is gone. It waits a moment: a restart of the server
/// should hardly be noticed.
#[component]
fn ConnectionBanner(
    /// The chat.
    chat: Chat,
) -> impl IntoView {
    // The longest pause a restarting server asks for, and a second to come back.
    const PATIENCE_MS: u32 = 2_500;
    let shown = RwSignal::new(false);
    Effect::new(move || {
        if chat.link.get() == Link::Lost {
            spawn_local(async move {
                TimeoutFuture::new(PATIENCE_MS).await;
                shown.set(chat.link.get_untracked() == Link::Lost);
            });
        } else {
            shown.set(false);
        }
    });
    view! {
        <div class="banner" role="status" hidden=move || !shown.get() inner_html=illustrated(GONE)
            on:click=move |event| {
                if browser::closest(&event, "button").is_some() {
                    chat.wake();
                }
            }></div>
    }
}

const GONE: &str = include_str!(concat!(env!("OUT_DIR"), "/connection_gone.html"));

/// JSON within a script element: no `<` of a text can close it.
struct WithinScript;

impl Formatter for WithinScript {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, to: &mut W, text: &str) -> io::Result<()> {
        if !text.as_bytes().contains(&b'<') {
            return to.write_all(text.as_bytes());
        }
        to.write_all(text.replace('<', "\\u003c").as_bytes())
    }
}

fn push_data(page: &mut Vec<u8>, data: &impl Serialize) {
    // What is written into memory and always has a form in JSON cannot fail.
    let _written = data.serialize(&mut Serializer::with_formatter(page, WithinScript));
}

fn push_messages(page: &mut Vec<u8>, messages: &[Arc<Message>], kept: &[Arc<Kept>]) {
    page.extend_from_slice(b"</script><script type=\"application/json\" id=\"messages\">");
    for (at, message) in messages.iter().enumerate() {
        page.push(if at > 0 { b',' } else { b'[' });
        match kept.get(at).filter(|kept| Arc::ptr_eq(&kept.message, message)) {
            Some(kept) => page.extend_from_slice(kept.data.get_or_init(|| {
                let mut data = Vec::with_capacity(512);
                push_data(&mut data, &Bare::from(&**message));
                data
            })),
            None => push_data(page, &Bare::from(&**message)),
        }
    }
    page.extend_from_slice(if messages.is_empty() { b"[]" } else { b"]" });
}

/// A complete signed-in document; `kept` is what is kept of the messages in it, in their order.
pub fn chat_document(boot: &Arc<Boot>, theme: Theme, kept: &Arc<[Arc<Kept>]>) -> Vec<u8> {
    let title = match &boot.screen {
        Screen::Room(screen) => format!("{} · {}", screen.room.name, boot.account_name),
        _ => boot.account_name.clone(),
    };
    let styles = boot.styles.clone();
    let owner = Owner::new_root(None);
    let (body, rows) = owner.with(|| {
        let rows = StoredValue::new(String::new());
        let body = view! { <App boot=Arc::clone(boot) rows=rows kept=Arc::clone(kept)/> }.to_html();
        (body, rows.try_update_value(mem::take).unwrap_or_default())
    });
    owner.cleanup();
    let (above, below) = body.rsplit_once(ROWS_HERE).unwrap_or((&body, ""));
    let (script, program) = (asset("boot.js"), asset("pkg/campfire.js"));
    let wasm = asset("pkg/campfire.wasm");
    // After the product's own, which it may overrule.
    let styles = styles.map(|name| format!("<link rel=\"stylesheet\" href=\"/account/styles/{name}.css\">"));
    let styles = styles.unwrap_or_default();
    let head = format!(
        "{styles}<link rel=\"modulepreload\" href=\"{program}\">\
         <link rel=\"preload\" as=\"fetch\" type=\"application/wasm\" crossorigin href=\"{wasm}\">\
         <script type=\"module\" src=\"{script}\"></script>"
    );
    let mut page = String::with_capacity(4_096 + body.len() + rows.len() * 3 / 2);
    open_document(&mut page, &title, theme, &head);
    for part in [above, &rows, below, "<script type=\"application/json\" id=\"boot\">"] {
        page.push_str(part);
    }
    let mut page = page.into_bytes();
    push_data(&mut page, &**boot);
    if let Screen::Room(screen) = &boot.screen {
        push_messages(&mut page, &screen.page.messages, kept);
    }
    page.extend_from_slice(b"</script></body></html>");
    page
}

/// A complete document without scripts.
pub fn plain_document<V: IntoView>(title: &str, theme: Theme, body: impl FnOnce() -> V + 'static) -> String {
    let mut page = String::with_capacity(4_096);
    open_document(&mut page, title, theme, "");
    page.push_str(&fragment(body));
    page.push_str("</body></html>");
    page
}

/// A piece of a page that stays as it is.
pub fn fragment<V: IntoView>(view: impl FnOnce() -> V + 'static) -> String {
    let owner = Owner::new_root(None);
    let html = owner.with(|| view().into_view().to_html());
    owner.cleanup();
    html
}

/// Everything up to the inside of `<body>`.
fn open_document(page: &mut String, title: &str, theme: Theme, head: &str) {
    let theme = theme.attribute().map(|theme| format!(" data-theme=\"{theme}\""));
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    let theme = theme.unwrap_or_default();
    let (style, icon) = (asset("pkg/campfire.css"), asset("favicon.svg"));
    let (language, direction) = (texts::language::CODE, texts::language::DIRECTION);
    page.push_str(&format!(
        "<!doctype html><html lang=\"{language}\" dir=\"{direction}\"{theme}><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1, \
         interactive-widget=resizes-content\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"theme-color\" media=\"(prefers-color-scheme: light)\" content=\"#f4f1ee\">\
         <meta name=\"theme-color\" media=\"(prefers-color-scheme: dark)\" content=\"#0f0e0c\">\
         <title>{title}</title><link rel=\"icon\" href=\"{icon}\" type=\"image/svg+xml\">\
         <link rel=\"stylesheet\" href=\"{style}\">{head}</head><body>"
    ));
}

/// Appends the address of a message. The fragment makes the browser itself scroll to it and mark
/// it.
pub fn push_permalink(html: &mut String, room_id: RoomId, id: MessageId) {
    for (mark, number) in [("/rooms/", room_id.get()), ("/@", id.get()), ("#m-", id.get())] {
        html.push_str(mark);
        push_padded(html, number, 1);
    }
}
