//! What requests have in common: who asks, from where, with what body, what ids stand in an
//! address; and how an error is put to whoever asked. Every rejection is one of our errors.

use super::super::App;
use super::super::auth::Client;
use super::super::operation::{Config, Gap};
use super::super::store::account::Session;
use crate::domain::account::Viewer;
use crate::domain::error::{Error, ErrorBody};
use crate::domain::message::ClientMessageId;
use crate::domain::{MessageId, RoomId, Seq, Timestamp, UserId};
use crate::texts;
use crate::ui::{self, Theme};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::any::Any;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The session cookie. Over TLS it carries a prefix that binds it to this host and to TLS.
const COOKIE: &str = "session_token";
const TLS_COOKIE: &str = "__Host-session_token";
/// Browsers keep no cookie longer; the server ends sessions much earlier.
const COOKIE_AGE_S: u32 = 400 * 24 * 60 * 60;

/// Names a request in the log and in error answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestId(i64, u32);

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
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

/// The theme chosen in this browser.
pub(super) fn theme(headers: &HeaderMap) -> Theme {
    cookie(headers, "theme").map_or(Theme::System, Theme::parse)
}

/// How a request says that it wants pages without the account's own styles: set from its address,
/// never believed from outside.
pub(super) const PLAIN: HeaderName = HeaderName::from_static("campfire-plain");

/// Whether pages are wanted without the account's own styles.
pub(super) fn wants_plain(headers: &HeaderMap) -> bool {
    headers.contains_key(PLAIN)
}

/// `Set-Cookie` for a session.
pub(super) fn session_cookie(config: &Config, token: &str) -> HeaderValue {
    session_cookie_text(config, token, COOKIE_AGE_S)
}

/// `Set-Cookie` that removes the session.
pub(super) fn expired_cookie(config: &Config) -> HeaderValue {
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
pub(super) fn plain_cookie(name: &str, value: &str) -> HeaderValue {
    let text = format!("{name}={value}; SameSite=Lax; Path=/; Max-Age=31536000");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

impl FromRequestParts<App> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, std::convert::Infallible> {
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
    let forwarded = forwarded.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
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
pub(super) fn is_local(peer: IpAddr, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
    let local_name =
        host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback());
    let forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
    peer.to_canonical().is_loopback() && local_name && !forwarded
}

/// The address people type, for links that leave the page.
pub(super) fn public_origin(config: &Config, headers: &HeaderMap) -> String {
    config.public_url.clone().unwrap_or_else(|| {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        format!("http://{}", host.unwrap_or("localhost"))
    })
}

/// A JSON body.
pub(super) struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        let bytes = Bytes::from_request(request, app).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Error::TooLarge
            } else {
                Error::Malformed(texts::errors::ENDED_EARLY)
            }
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|_| Error::Malformed(texts::errors::JSON))
    }
}

/// A form as browsers send it.
pub(super) struct FormBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for FormBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        match axum::Form::<T>::from_request(request, app).await {
            Ok(form) => Ok(Self(form.0)),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Error::TooLarge),
            Err(_) => Err(Error::Malformed(texts::errors::FORM)),
        }
    }
}

/// The name of a message that is sent by a form: drawn from who says what where, and how far the
/// page went that the form stands on. Sent again it is the same name; said again after the answer
/// has come, which moves the page on, it is another.
pub(super) fn form_message_id(
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

/// Whether the asking program takes a content coding.
pub(super) fn accepts(headers: &HeaderMap, name: &str) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|all| {
        all.split(',').any(|one| {
            let (coding, weight) = one.split_once(';').unwrap_or((one, "q=1"));
            coding.trim() == name && !matches!(weight.trim(), "q=0" | "q=0.0")
        })
    })
}

/// A room's id in an address; anything else is no address.
pub(super) fn room(text: &str) -> Result<RoomId, Error> {
    text.parse().map(RoomId::new).map_err(|_| Error::NotFound)
}

/// A message's id in an address; anything else is no address.
pub(super) fn message(text: &str) -> Result<MessageId, Error> {
    text.parse().map(MessageId::new).map_err(|_| Error::NotFound)
}

/// A user's id in an address; anything else is no address.
pub(super) fn user(text: &str) -> Result<UserId, Error> {
    text.parse().map(UserId::new).map_err(|_| Error::NotFound)
}

/// The origin of links that leave the page; see [`public_origin`].
pub(super) fn invite_link(app: &App, headers: &HeaderMap, code: &str) -> String {
    format!("{}/join/{code}", public_origin(&app.config, headers))
}

/// The status of a page: that of its error, if it shows one.
pub(super) fn status_of(error: Option<&Error>) -> StatusCode {
    let status = error.map_or(200, Error::status);
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A page, with the status of the error it shows and when to try again.
pub(super) fn page_with(error: Option<&Error>, page: String) -> Response {
    let mut response = (status_of(error), Html(page)).into_response();
    if let Some(Error::RateLimited { retry_after_s }) = error {
        response.headers_mut().insert(header::RETRY_AFTER, (*retry_after_s).into());
    }
    response
}

/// Rides in the response until the outermost layer turns it into a page or JSON with the request's id.
#[derive(Clone)]
pub(super) struct Failed(pub Error);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = status_of(Some(&self)).into_response();
        if let Self::RateLimited { retry_after_s } = self {
            response.headers_mut().insert(header::RETRY_AFTER, retry_after_s.into());
        }
        response.extensions_mut().insert(Failed(self));
        response
    }
}

/// What a failure means that our own code has not put into words: the framework's rejections of
/// unreadable addresses, and requests that took too long.
pub(super) fn unexplained(response: &Response) -> Option<Error> {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind.is_some_and(|kind| !kind.starts_with("text/plain")) {
        return None;
    }
    match response.status() {
        StatusCode::BAD_REQUEST => Some(Error::Malformed(texts::errors::ADDRESS)),
        StatusCode::SERVICE_UNAVAILABLE => Some(Error::Unavailable),
        _ => None,
    }
}

/// How an error is put to its reader.
pub(super) enum Shape {
    /// To a program.
    Json,
    /// To a person, in the theme of their choice.
    Page(Theme),
}

/// An error in the words and the shape its reader expects.
pub(super) fn explain(error: &Error, id: RequestId, shape: Shape, carried: &HeaderMap) -> Response {
    let mut response = match shape {
        Shape::Json => {
            let body = ErrorBody::new(error, Some(id.to_string()));
            (status_of(Some(error)), Json(body)).into_response()
        }
        Shape::Page(theme) => {
            let (shown, request_id) = (error.clone(), id.to_string());
            let page = ui::plain_document(texts::pages::PRODUCT, theme, move || {
                leptos::view! { <ui::controls::Problem error=shown request_id=request_id/> }
            });
            page_with(Some(error), page)
        }
    };
    for (name, value) in carried {
        // The old body has gone, and what described it goes with it.
        if name != header::CONTENT_LENGTH {
            response.headers_mut().entry(name).or_insert(value.clone());
        }
    }
    response
}

pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request panicked");
    // The outermost layer: nobody is left to explain it, so the answer is complete in itself.
    let body = Json(ErrorBody::new(&Error::Unexpected, None));
    (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
}
