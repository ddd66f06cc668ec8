//! What requests have in common: who asks, from where, with what body, and the finished pages
//! that are kept for whoever comes back to them. Every rejection is one of our errors.
//!
//! A room page is kept together with the [`Boot`] it was made from, and is given out again only if
//! the new one is equal. So nothing ever has to be declared stale: whatever a page shows is in its
//! `Boot`, rights are checked before there is one, and messages that are still the same ones
//! compare by their address. Memory is bounded in bytes; the page that was asked for longest ago
//! goes first.

use super::super::App;
use super::super::auth::Client;
use super::super::memory::Bounded;
use super::super::operation::{Config, Gap};
use super::super::store::access::Session;
use crate::domain::account::Viewer;
use crate::domain::error::Error;
use crate::domain::message::ClientMessageId;
use crate::domain::{RoomId, Seq, Timestamp, UserId};
use crate::ui::{self, Boot, RoomScreen, Screen, Theme};
use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fmt;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The session cookie. Over TLS it carries a prefix that binds it to this host and to TLS.
const COOKIE: &str = "session_token";
const TLS_COOKIE: &str = "__Host-session_token";
/// Browsers keep no cookie longer; the server ends sessions much earlier.
const COOKIE_AGE_S: u32 = 400 * 24 * 60 * 60;

/// Names a request in the log and in error answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(i64, u32);

impl RequestId {
    /// The next id.
    pub fn new(now: Timestamp) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self(now.ms() / 1_000, COUNT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Always as long: an answer's length must tell nothing.
        write!(f, "{:x}-{:08x}", self.0, self.1)
    }
}

/// Whoever is signed in, and the server they ask, for API calls: 401 without a session.
pub struct Signed {
    /// The server.
    pub app: App,
    /// Their session.
    pub session: Arc<Session>,
    /// Its token.
    pub token: String,
}

impl Signed {
    /// The person.
    pub fn viewer(&self) -> &Viewer {
        &self.session.viewer
    }
}

impl FromRequestParts<App> for Signed {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let token = token(&app.config, &parts.headers).ok_or(Error::Unauthenticated)?.to_owned();
        let session = app.auth.authenticate(&token).await?;
        Ok(Self { app: app.clone(), session, token })
    }
}

/// Whoever is signed in, for pages: without, they are shown the way to sign in.
pub struct Visitor {
    /// Who asks.
    pub by: Signed,
    /// What their browser says about the page it wants.
    pub headers: HeaderMap,
}

impl Deref for Visitor {
    type Target = Signed;

    fn deref(&self) -> &Signed {
        &self.by
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        match Signed::from_request_parts(parts, app).await {
            Ok(by) => Ok(Self { by, headers: parts.headers.clone() }),
            Err(Error::Unauthenticated) => Err(Redirect::to("/session/new").into_response()),
            Err(error) => Err(error.into_response()),
        }
    }
}

/// The token of a request: from its bearer header, else from its cookie. Only the cookie this
/// server sets counts: over TLS a sibling host could plant the plain one.
fn token<'a>(config: &Config, headers: &'a HeaderMap) -> Option<&'a str> {
    let name = if config.is_public_over_tls() { TLS_COOKIE } else { COOKIE };
    bearer(headers).or_else(|| cookie(headers, name))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// A cookie's value.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

/// The theme chosen in this browser.
pub fn theme(headers: &HeaderMap) -> Theme {
    cookie(headers, "theme").map_or(Theme::System, Theme::parse)
}

/// How a request says that it wants pages without the account's own styles: set from its address,
/// never believed from outside.
pub const PLAIN: HeaderName = HeaderName::from_static("campfire-plain");

/// Whether pages are wanted without the account's own styles.
pub fn wants_plain(headers: &HeaderMap) -> bool {
    headers.contains_key(PLAIN)
}

/// `Set-Cookie` for a session.
pub fn session_cookie(config: &Config, token: &str) -> HeaderValue {
    session_cookie_text(config, token, COOKIE_AGE_S)
}

/// `Set-Cookie` that removes the session.
pub fn expired_cookie(config: &Config) -> HeaderValue {
    session_cookie_text(config, "", 0)
}

fn session_cookie_text(config: &Config, token: &str, age_s: u32) -> HeaderValue {
    let (name, secure) = match config.is_public_over_tls() {
        true => (TLS_COOKIE, "; Secure"),
        false => {
            if !token.is_empty() && !config.addr.ip().is_loopback() {
                Gap::InsecureCookie.record("a session began without TLS");
            }
            (COOKIE, "")
        }
    };
    let text = format!("{name}={token}; HttpOnly; SameSite=Lax; Path=/; Max-Age={age_s}{secure}");
    // Tokens are letters and digits, so this is always a header.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// `Set-Cookie` for a choice that scripts may read.
pub fn plain_cookie(name: &str, value: &str) -> HeaderValue {
    let text = format!("{name}={value}; SameSite=Lax; Path=/; Max-Age=31536000");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

impl FromRequestParts<App> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &App,
    ) -> Result<Self, std::convert::Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
        // A socket that listens on IPv6 sees IPv4 addresses in disguise, all of one network.
        let peer = peer.to_canonical();
        let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let ip = behind_proxies(&app.config, peer, &parts.headers);
        Ok(Self { ip, user_agent: agent.unwrap_or("unknown").to_owned() })
    }
}

/// The nearest address that is not a trusted proxy's. Anybody can write the header; only what
/// trusted proxies appended is believed, so it is read from the end.
pub fn behind_proxies(config: &Config, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut nearest = peer;
    let forwarded = headers.get_all("x-forwarded-for").iter();
    let forwarded =
        forwarded.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    let claimed: Vec<&str> = forwarded.map(str::trim).collect();
    for address in claimed.iter().rev() {
        if !config.trusted_proxies.contains(&nearest) {
            break;
        }
        match IpAddr::from_str(address) {
            Ok(address) => nearest = address.to_canonical(),
            Err(_) => break,
        }
    }
    nearest
}

/// Whether an unsafe request may come from our own pages or from a program.
pub fn is_same_site(config: &Config, method: &Method, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    if headers.contains_key(header::ORIGIN) {
        return is_own_origin(config, headers);
    }
    // Every browser in use names the origin of a form. A program need not, as long as it sends
    // what no form can: JSON, another method than POST, or a bearer token.
    let json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        kind.to_str().is_ok_and(|kind| kind.trim_start().starts_with("application/json"))
    });
    json || *method != Method::POST || bearer(headers).is_some()
}

/// Whether a socket may be opened: browsers always name their origin, and it must be ours;
/// programs with a bearer token need none.
pub fn may_open_socket(config: &Config, headers: &HeaderMap) -> bool {
    if headers.contains_key(header::ORIGIN) {
        is_own_origin(config, headers)
    } else {
        bearer(headers).is_some()
    }
}

fn is_own_origin(config: &Config, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else {
        return false;
    };
    let origin = origin.to_ascii_lowercase();
    if config.public_url.as_ref().is_some_and(|ours| *ours == origin) {
        return true;
    }
    let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    match (&config.public_url, host, asked) {
        (None, Some(host), Some(asked)) => host.eq_ignore_ascii_case(asked),
        _ => false,
    }
}

/// Whether a request comes from a program on this computer, and not through a proxy on it: a
/// proxy forwards for the world and asks for the chat's own name.
pub fn is_local(peer: IpAddr, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
    let local_name =
        host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback());
    let forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
    peer.to_canonical().is_loopback() && local_name && !forwarded
}

/// The address people type, for links that leave the page.
pub fn public_origin(config: &Config, headers: &HeaderMap) -> String {
    config.public_url.clone().unwrap_or_else(|| {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        format!("http://{}", host.unwrap_or("localhost"))
    })
}

/// A JSON body.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        let bytes = Bytes::from_request(request, app).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Error::TooLarge
            } else {
                Error::Malformed("The request ended early.")
            }
        })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|_| Error::Malformed("Send a JSON object with the documented fields."))
    }
}

/// A form as browsers send it.
pub struct FormBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for FormBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        match axum::Form::<T>::from_request(request, app).await {
            Ok(form) => Ok(Self(form.0)),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Error::TooLarge)
            }
            Err(_) => Err(Error::Malformed("That form could not be read.")),
        }
    }
}

/// The name of a message that is sent by a form: drawn from who says what where, and how far the
/// page went that the form stands on. Sent again it is the same name; said again after the answer
/// has come, which moves the page on, it is another.
pub fn form_message_id(
    (author, room_id, after): (UserId, RoomId, Seq),
    body: &str,
) -> ClientMessageId {
    let mut digest = Sha256::new();
    for number in [author.get(), room_id.get(), after.get()] {
        digest.update(number.to_be_bytes());
    }
    digest.update(body);
    let mut bytes = [0_u8; 16];
    for (byte, drawn) in bytes.iter_mut().zip(digest.finalize()) {
        *byte = drawn;
    }
    ClientMessageId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// Rough memory of all finished pages, what they were made from included; much of that is shared
/// with hot state and counted here all the same.
const MAX_BYTES: usize = 16 << 20;
/// The step at which every other page is compressed: a room page becomes a seventh.
const BROTLI_QUALITY: u32 = 4;
/// Two to this power is how far back brotli looks: a room page is about 55 kB.
const BROTLI_WINDOW: u32 = 16;
/// What brotli writes at once.
const BROTLI_BUFFER: usize = 8 * 1024;

/// How a body travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// As it is.
    Identity,
    /// Compressed, as every browser of today prefers over TLS.
    Brotli,
}

impl Coding {
    /// The best of both that the asking program takes.
    pub fn of(headers: &HeaderMap) -> Self {
        if accepts(headers, "br") { Self::Brotli } else { Self::Identity }
    }
}

/// Whether the asking program takes a content coding.
pub fn accepts(headers: &HeaderMap, name: &str) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|all| {
        all.split(',').any(|one| {
            let (coding, weight) = one.split_once(';').unwrap_or((one, "q=1"));
            coding.trim() == name && !matches!(weight.trim(), "q=0" | "q=0.0")
        })
    })
}

/// Whose page of what, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    viewer: UserId,
    room_id: RoomId,
    theme: Theme,
    coding: Coding,
}

#[derive(Debug)]
struct Finished {
    made_from: Arc<Boot>,
    body: Bytes,
}

/// The pages that are kept.
#[derive(Debug)]
pub struct FinishedPages {
    pages: Mutex<Bounded<Key, Arc<Finished>>>,
}

impl Default for FinishedPages {
    fn default() -> Self {
        Self { pages: Mutex::new(Bounded::new(MAX_BYTES)) }
    }
}

impl FinishedPages {
    /// The document of `boot`, in its coding: the kept one if it was made from the same, else a
    /// new one. Other pages than those of a room's newest messages are made anew each time, and
    /// never compressed here.
    pub fn document(&self, boot: Boot, theme: Theme, coding: Coding) -> (Bytes, Coding) {
        let Some(room_id) = room_at_its_newest(&boot.screen) else {
            return (ui::chat_document(&Arc::new(boot), theme).into(), Coding::Identity);
        };
        let key = Key { viewer: boot.viewer.id, room_id, theme, coding };
        let kept = self.lock().get(&key).cloned();
        if let Some(kept) = kept.filter(|kept| *kept.made_from == boot) {
            return (kept.body.clone(), coding);
        }
        let made_from = Arc::new(boot);
        let html = ui::chat_document(&made_from, theme);
        let (body, made) = match coding {
            Coding::Brotli => match compressed(&html) {
                Some(body) => (body, Coding::Brotli),
                None => (html.into(), Coding::Identity),
            },
            Coding::Identity => (html.into(), Coding::Identity),
        };
        if made == coding {
            let weight = body.len() + weight(&made_from);
            let finished = Arc::new(Finished { made_from, body: body.clone() });
            self.lock().insert(key, finished, weight);
        }
        (body, made)
    }

    // A poisoned lock is taken all the same: at worst a page is made anew.
    fn lock(&self) -> MutexGuard<'_, Bounded<Key, Arc<Finished>>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room of a page that people come back to. A permalink or a form with an error is shown once.
fn room_at_its_newest(screen: &Screen) -> Option<RoomId> {
    match screen {
        Screen::Room(screen) => match &**screen {
            RoomScreen {
                room, has_newer: false, unsent: None, found: None, reply: None, ..
            } => Some(room.id),
            _ => None,
        },
        Screen::Quiet { .. } => None,
    }
}

/// `None` if brotli fails, which it does not do on memory.
fn compressed(html: &str) -> Option<Bytes> {
    let body = Vec::with_capacity(html.len() / 4);
    let mut writer =
        brotli::CompressorWriter::new(body, BROTLI_BUFFER, BROTLI_QUALITY, BROTLI_WINDOW);
    writer.write_all(html.as_bytes()).ok()?;
    writer.flush().ok()?;
    Some(writer.into_inner().into())
}

/// What a page keeps alive, roughly.
fn weight(boot: &Boot) -> usize {
    let messages = match &boot.screen {
        Screen::Room(screen) => screen.page.messages.as_slice(),
        Screen::Quiet { .. } => &[],
    };
    let messages = messages.iter().map(|one| one.weight());
    1_024 + boot.rooms.len() * 128 + boot.online.len() * 64 + messages.sum::<usize>()
}
