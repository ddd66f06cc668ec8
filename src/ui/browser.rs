//! The browser's own services, each behind a function that cannot fail: a missing window, storage
//! that is full, a locale that is odd all fall back to something sensible.
//!
//! Only event handlers and effects call these, so none runs on the server.
//!
//! The calls to the JSON API are here as well, with the same types the server answers with. They
//! fail with a [`CallError`].

use crate::domain::account::UserRef;
use crate::domain::error::{ErrorBody, ErrorDetail};
use crate::domain::message::{ClientMessageId, Message, MessagePage, Outgoing};
use crate::domain::room::{Involvement, Waiting};
use crate::domain::{MessageId, RoomId, Seq, Timestamp};
use futures::{FutureExt, select_biased};
use gloo_net::http::{Method, Request, RequestBuilder, Response};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Array, Date, Function, Intl, JsString, Object, Promise, Reflect};
use leptos::prelude::{request_animation_frame, set_timeout};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Document, Element, HtmlElement, Storage, Window};

/// The window.
pub fn window() -> Option<Window> {
    web_sys::window()
}

/// The document.
pub fn document() -> Option<Document> {
    window()?.document()
}

/// An element by its id.
pub fn element(id: &str) -> Option<HtmlElement> {
    document()?.get_element_by_id(id)?.dyn_into().ok()
}

/// What something happened to.
pub fn target<T: JsCast>(event: &web_sys::Event) -> Option<T> {
    event.target()?.dyn_into().ok()
}

/// What was clicked, or what it lies in, if it is one of these.
pub fn closest(event: &web_sys::Event, selector: &str) -> Option<Element> {
    target::<Element>(event)?.closest(selector).ok().flatten()
}

/// What stands in the field of one line that an event concerns.
pub fn typed(event: &web_sys::Event) -> String {
    target(event).map_or(String::new(), |field: web_sys::HtmlInputElement| field.value())
}

/// The first element of the page that a selector fits, if it is of this kind.
pub fn find<T: JsCast>(selector: &str) -> Option<T> {
    document()?.query_selector(selector).ok().flatten()?.dyn_into().ok()
}

/// What has the focus, if anything has.
pub fn focused() -> Option<Element> {
    let focused = document()?.active_element()?;
    (focused.tag_name() != "BODY").then_some(focused)
}

/// Now, on this computer's clock. For showing, never for ordering.
pub fn now() -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "Date.now() is a whole number of ms")]
    Timestamp::from_ms(Date::now() as i64)
}

/// A fresh name for a message. `crypto.randomUUID` exists only over TLS; random bytes always do.
pub fn client_message_id() -> Option<ClientMessageId> {
    let mut bytes = [0_u8; 16];
    window()?.crypto().ok()?.get_random_values_with_u8_array(&mut bytes).ok()?;
    Some(ClientMessageId::new(uuid::Builder::from_random_bytes(bytes).into_uuid()))
}

/// A number from 0 up to `below`, for spreading retries.
pub fn jitter(below: u32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the product lies between 0 and a u32"
    )]
    let value = (js_sys::Math::random() * f64::from(below)) as u32;
    value
}

/// Whether somebody can see the page.
pub fn is_visible() -> bool {
    document().is_some_and(|document| !document.hidden())
}

/// Whether the main pointer is a finger, so that Enter should break the line.
pub fn has_coarse_pointer() -> bool {
    window()
        .and_then(|window| window.match_media("(pointer: coarse)").ok().flatten())
        .is_some_and(|query| query.matches())
}

/// The calendar day of a moment in the reader's zone, counted from 1970-01-01.
pub fn local_day(at: Timestamp) -> i64 {
    let date = js_date(at);
    #[expect(clippy::cast_possible_truncation, reason = "an offset is a few hundred minutes")]
    let offset_minutes = date.get_timezone_offset() as i64;
    Timestamp::from_ms(at.ms() - offset_minutes * 60_000).utc_day()
}

/// Hours and minutes in the reader's zone and language.
pub fn clock(at: Timestamp) -> String {
    format(&CLOCK, at, &[("hour", "numeric"), ("minute", "2-digit")])
}

/// A day in words in the reader's zone and language.
pub fn day_name(at: Timestamp) -> String {
    let parts = [("weekday", "long"), ("day", "numeric"), ("month", "long"), ("year", "numeric")];
    format(&DAY, at, &parts)
}

thread_local! {
    // Making a formatter costs a hundred times more than using it.
    static CLOCK: RefCell<Option<Function>> = const { RefCell::new(None) };
    static DAY: RefCell<Option<Function>> = const { RefCell::new(None) };
}

fn format(
    cache: &'static std::thread::LocalKey<RefCell<Option<Function>>>,
    at: Timestamp,
    parts: &[(&str, &str)],
) -> String {
    cache.with_borrow_mut(|formatter| {
        let formatter = formatter.get_or_insert_with(|| {
            let options = Object::new();
            for (part, style) in parts {
                // Setting a property of a fresh plain object cannot fail.
                let _set = Reflect::set(&options, &(*part).into(), &(*style).into());
            }
            Intl::DateTimeFormat::new(&Array::new(), &options).format()
        });
        let text = formatter.call1(&JsValue::UNDEFINED, &js_date(at));
        text.ok().and_then(|text| text.as_string()).unwrap_or_else(|| at.utc_clock())
    })
}

fn js_date(at: Timestamp) -> Date {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds stay exact for 285,000 years")]
    Date::new(&JsValue::from_f64(at.ms() as f64))
}

/// Shows on the program's icon how much waits, where the browser has such a thing.
pub fn set_app_badge(waiting: Waiting) {
    let Some(window) = window() else {
        return;
    };
    let (method, count) = match waiting {
        Waiting { unread: false, .. } => ("clearAppBadge", None),
        // Without a number it is a dot.
        Waiting { personal, .. } => ("setAppBadge", (personal > 0).then_some(personal)),
    };
    if let Ok(set) = Reflect::get(&window.navigator(), &method.into())
        && let Ok(set) = set.dyn_into::<Function>()
    {
        let count = count.map_or(JsValue::UNDEFINED, JsValue::from);
        if let Ok(done) = set.call1(&window.navigator(), &count)
            && let Ok(promise) = done.dyn_into::<Promise>()
        {
            // A page that is not installed may be refused; nobody needs to hear of it.
            spawn_local(async move {
                let _done = JsFuture::from(promise).await;
            });
        }
    }
}

/// Orders names as the reader's language does, letters before their case.
pub fn by_name(a: &str, b: &str) -> Ordering {
    let order = JsString::from(a).locale_compare(b, &Array::new(), &Object::new());
    order.cmp(&0)
}

fn storage() -> Option<Storage> {
    window()?.local_storage().ok().flatten()
}

/// Something kept in this browser.
pub fn stored(key: &str) -> Option<String> {
    storage()?.get_item(key).ok().flatten()
}

/// Keeps something in this browser; an empty text removes it. A full or forbidden storage keeps
/// nothing, and the page works on without it.
pub fn store(key: &str, text: &str) {
    let Some(storage) = storage() else {
        return;
    };
    let _kept = if text.is_empty() { storage.remove_item(key) } else { storage.set_item(key, text) };
}

/// The keys of everything kept that begin with `prefix`, without it.
pub fn stored_keys(prefix: &str) -> Vec<String> {
    let Some(storage) = storage() else {
        return Vec::new();
    };
    let count = storage.length().unwrap_or(0);
    let keys = (0..count).filter_map(|at| storage.key(at).ok().flatten());
    keys.filter_map(|key| key.strip_prefix(prefix).map(str::to_owned)).collect()
}

/// Remembers a choice for a year, readable by the server.
pub fn set_cookie(name: &str, value: &str) {
    let document = document().and_then(|document| document.dyn_into::<web_sys::HtmlDocument>().ok());
    if let Some(document) = document {
        let cookie = format!("{name}={value}; Path=/; Max-Age=31536000; SameSite=Lax");
        let _set = document.set_cookie(&cookie);
    }
}

/// Leaves for another page.
pub fn go_to(path: &str) {
    if let Some(window) = window() {
        let _left = window.location().set_href(path);
    }
}

/// Loads the page again.
pub fn reload() {
    if let Some(window) = window() {
        let _left = window.location().reload();
    }
}

/// Puts another address into the bar, with a way back.
pub fn push_path(path: &str) {
    if let Some(history) = window().and_then(|window| window.history().ok()) {
        let _pushed = history.push_state_with_url(&JsValue::NULL, "", Some(path));
    }
}

/// The address in the bar, without the host.
pub fn path() -> String {
    window().and_then(|window| window.location().pathname().ok()).unwrap_or_default()
}

/// Where the chat's socket is.
pub fn socket_url() -> Option<String> {
    let location = window()?.location();
    let scheme = if location.protocol().ok()? == "https:" { "wss" } else { "ws" };
    Some(format!("{scheme}://{}/ws", location.host().ok()?))
}

/// Sets the page's title.
pub fn set_title(title: &str) {
    if let Some(document) = document() {
        document.set_title(title);
    }
}

/// Sets or removes an attribute of `<html>`.
pub fn set_root_attribute(name: &str, value: Option<&str>) {
    let Some(root) = document().and_then(|document| document.document_element()) else {
        return;
    };
    let _set = match value {
        Some(value) => root.set_attribute(name, value),
        None => root.remove_attribute(name),
    };
}

/// Closes a popover if it is open.
pub fn hide_popover(id: &str) {
    // Called by name: a browser without popovers has no such method, and nothing to close.
    if let Some(element) = element(id)
        && let Ok(hide) = Reflect::get(&element, &"hidePopover".into())
        && let Ok(hide) = hide.dyn_into::<Function>()
        && element.matches(":popover-open").unwrap_or(false)
    {
        let _hidden = hide.call0(&element);
    }
}

/// Copies text to the clipboard, where the browser has one: not without TLS.
pub fn copy(text: &str) -> Option<Promise> {
    let clipboard = Reflect::get(&window()?.navigator(), &"clipboard".into()).ok()?;
    Some(clipboard.dyn_into::<web_sys::Clipboard>().ok()?.write_text(text))
}

/// The page's address up to the path.
pub fn origin() -> String {
    window().and_then(|window| window.location().origin().ok()).unwrap_or_default()
}

/// Does something once the browser has drawn what is in the document now, and had a frame for
/// whatever waited for that: a task right behind the first frame would hold it up.
pub fn after_next_frame(then: impl FnOnce() + 'static) {
    let behind_it = move || {
        let _set = set_timeout(then, Duration::ZERO);
    };
    // A frame's own callback runs before it is drawn.
    let _asked = request_animation_frame(move || {
        let _asked = request_animation_frame(behind_it);
    });
}

/// Puts an element's new children, as HTML, in place of its old ones, but for those that are the same at
/// both ends.
pub fn exchange(list: &HtmlElement, old: &[String], new: &[String]) {
    let above = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let ends = old.iter().skip(above).rev().zip(new.iter().skip(above).rev());
    let below = ends.take_while(|(old, new)| old == new).count();
    let place = u32::try_from(above).unwrap_or(u32::MAX);
    for _ in above..old.len() - below {
        if let Some(line) = list.children().item(place) {
            line.remove();
        }
    }
    let html: String = new.iter().take(new.len() - below).skip(above).map(String::as_str).collect();
    // Refused only by an element that is not in the document.
    let _added = match list.children().item(place) {
        Some(next) => next.insert_adjacent_html("beforebegin", &html),
        None => list.insert_adjacent_html("beforeend", &html),
    };
}

/// An answer that takes longer is not coming; sending again is harmless.
const ANSWER_TIMEOUT_MS: u32 = 12_000;

/// Why a call did not work.
#[derive(Clone, Debug)]
pub enum CallError {
    /// Nobody answered, or the server is in trouble: trying again may help.
    Passing,
    /// The session has ended.
    SignedOut,
    /// The server said no, in words.
    Refused(ErrorDetail),
}

type Answer<T> = Result<T, CallError>;

/// A text as JSON.
fn quoted(text: &str) -> String {
    // Nothing in a text can fail to be written.
    serde_json::to_string(text).unwrap_or_default()
}

fn encoded(text: &str) -> String {
    js_sys::encode_uri_component(text).into()
}

/// Sends a message; sending it again is harmless.
pub async fn create_message(room_id: RoomId, outgoing: &Outgoing) -> Answer<Arc<Message>> {
    let Outgoing { body, client_message_id, reply_to, .. } = outgoing;
    let reply_to = reply_to.map_or("null".to_owned(), |id| id.to_string());
    let body = quoted(body);
    let json =
        format!("{{\"body\":{body},\"client_message_id\":\"{client_message_id}\",\"reply_to\":{reply_to}}}");
    ask(Method::POST, format!("/api/rooms/{room_id}/messages"), json).await
}

/// Gives a message new text.
pub async fn edit_message(id: MessageId, body: &str) -> Answer<Arc<Message>> {
    let json = format!("{{\"body\":{}}}", quoted(body));
    ask(Method::PATCH, format!("/api/messages/{id}"), json).await
}

/// Deletes a message.
pub async fn remove_message(id: MessageId) -> Answer<()> {
    call(Method::DELETE, format!("/api/messages/{id}"), String::new()).await.map(|_| ())
}

/// Adds a boost to a message, or takes it back.
pub async fn boost(id: MessageId, content: &str, wanted: bool) -> Answer<Arc<Message>> {
    let path = format!("/api/messages/{id}/boosts");
    if wanted {
        ask(Method::POST, path, format!("{{\"content\":{}}}", quoted(content))).await
    } else {
        let path = format!("{path}?content={}", encoded(content));
        ask(Method::DELETE, path, String::new()).await
    }
}

/// Notes up to which change the viewer has seen what concerns them.
pub async fn see_activity(seen: Seq) -> Answer<()> {
    put("/api/activity/seen".to_owned(), format!("{{\"seen\":{}}}", seen.get())).await
}

/// Reads history: `query` is empty for the newest page, or `before=7`, or `after=7`.
pub async fn load_page(room_id: RoomId, query: &str) -> Answer<MessagePage> {
    get(format!("/api/rooms/{room_id}/messages?{query}")).await
}

/// Marks a room unread from a message on.
pub async fn mark_unread(room_id: RoomId, message_id: MessageId) -> Answer<()> {
    put(format!("/api/rooms/{room_id}/unread"), format!("{{\"message_id\":{message_id}}}")).await
}

/// Records how much the viewer wants to hear of a room.
pub async fn change_involvement(room_id: RoomId, involvement: Involvement) -> Answer<()> {
    let json = format!("{{\"involvement\":\"{}\"}}", involvement.as_str());
    put(format!("/api/rooms/{room_id}/involvement"), json).await
}

/// Records whether the viewer keeps a room at the top.
pub async fn star_room(room_id: RoomId, starred: bool) -> Answer<()> {
    put(format!("/api/rooms/{room_id}/star"), format!("{{\"starred\":{starred}}}")).await
}

/// Sends an empty form that outlives the page.
pub fn send_on_leaving(path: &str) {
    if let Some(window) = window() {
        // Refused only if far more is on its way already.
        let _sent = window.navigator().send_beacon(path);
    }
}

/// People whose name fits what was typed, those that fit best first; in a room, those to mention.
pub async fn find_people(room_id: Option<RoomId>, typed: &str) -> Answer<Vec<UserRef>> {
    let room = room_id.map_or(String::new(), |id| format!("&room={id}"));
    get(format!("/api/people?q={}{room}", encoded(typed))).await
}

/// What a message would look like, as HTML of the server's.
pub async fn preview(room_id: RoomId, body: &str) -> Answer<String> {
    #[derive(Deserialize)]
    struct Shown {
        body_html: String,
    }
    let json = format!("{{\"body\":{}}}", quoted(body));
    let shown: Answer<Shown> = ask(Method::POST, format!("/api/rooms/{room_id}/preview"), json).await;
    Ok(shown?.body_html)
}

/// The text of a built file. Browsers keep them, so asking again costs nothing.
pub async fn load_text(path: String) -> Answer<String> {
    call(Method::GET, path, String::new()).await
}

/// A built file, as bytes.
pub async fn load_bytes(name: &str) -> Option<Vec<u8>> {
    let sent = Request::get(&super::controls::asset(name)).send().await;
    checked(sent).await.ok()?.binary().await.ok()
}

/// Whether the session still runs.
pub async fn check_session() -> Answer<()> {
    call(Method::GET, "/api/me".to_owned(), String::new()).await.map(|_| ())
}

async fn put(path: String, json: String) -> Answer<()> {
    call(Method::PUT, path, json).await.map(|_| ())
}

async fn get<T: DeserializeOwned>(path: String) -> Answer<T> {
    ask(Method::GET, path, String::new()).await
}

async fn ask<T: DeserializeOwned>(method: Method, path: String, json: String) -> Answer<T> {
    serde_json::from_str(&call(method, path, json).await?).map_err(|_| CallError::Passing)
}

/// Sends a request and returns the text of a good answer. Waits for it, but not for ever: a network
/// that swallows packets never says so.
async fn call(method: Method, path: String, json: String) -> Answer<String> {
    let answer = async {
        let request = RequestBuilder::new(&path).method(method);
        let request = match json.is_empty() {
            true => request.build(),
            false => request.header("content-type", "application/json").body(json),
        };
        let sent = request.map_err(|_| CallError::Passing)?.send().await;
        checked(sent).await?.text().await.map_err(|_| CallError::Passing)
    };
    select_biased! {
        answer = Box::pin(answer).fuse() => answer,
        () = TimeoutFuture::new(ANSWER_TIMEOUT_MS).fuse() => Err(CallError::Passing),
    }
}

async fn checked(sent: Result<Response, gloo_net::Error>) -> Answer<Response> {
    let response = sent.map_err(|_| CallError::Passing)?;
    match response.status() {
        200..300 => Ok(response),
        401 => Err(CallError::SignedOut),
        408 | 425 | 429 | 500.. => Err(CallError::Passing),
        _ => Err(response
            .json::<ErrorBody>()
            .await
            .map_or(CallError::Passing, |body| CallError::Refused(body.error))),
    }
}
