//! Reading requests: who asks, from where, with what body. Every rejection is one of our errors.

use super::super::App;
use super::super::auth::{Client, SignedIn};
use super::super::config::Config;
use super::super::telemetry::Gap;
use crate::domain::account::Viewer;
use crate::domain::error::Error;
use crate::domain::message::ClientMessageId;
use crate::domain::{RoomId, Seq, Timestamp, UserId};
use crate::ui::Theme;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

/// The session cookie. Over TLS it carries a prefix that binds it to this host and to TLS.
const COOKIE: &str = "session_token";
const TLS_COOKIE: &str = "__Host-session_token";
/// Browsers keep no cookie longer; the server ends sessions much earlier.
const COOKIE_AGE_S: u32 = 400 * 24 * 60 * 60;

/// What an address asks of whoever comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Nothing.
    Anyone,
    /// A running session.
    SignedIn,
    /// A running session of a person; bots have none of these rights.
    Person,
    /// To be in the room.
    Member,
    /// To have made the thing, or to be an administrator who may see it.
    AuthorOrAdministrator,
    /// To have made the room, or to be an administrator in it.
    RoomCreatorOrAdministrator,
    /// To be an administrator.
    Administrator,
    /// That the thing is one's own.
    OwnSelf,
    /// To be an administrator, or a program on the same computer.
    Operator,
}

/// Every address, and every command of the socket (`WS`), with the right it asks for. The checks
/// themselves stand where things are looked up and changed; a test walks this table for every kind
/// of visitor, and another one compares it with the routes.
pub const RIGHTS: &[(&str, &str, Right)] = &{
    use Right::*;
    [
        ("GET", "/", Anyone),
        ("POST", "/account", Administrator),
        ("GET", "/account/edit", SignedIn),
        ("GET", "/account/invites", SignedIn),
        ("POST", "/account/invites", Person),
        ("GET", "/account/invites/{id}", SignedIn),
        ("POST", "/account/invites/{id}/end", AuthorOrAdministrator),
        ("GET", "/account/settings", Administrator),
        ("POST", "/account/styles", Administrator),
        ("GET", "/account/styles/{file}", SignedIn),
        ("PATCH", "/api/account", Administrator),
        ("PUT", "/api/account/styles", Administrator),
        ("POST", "/api/first_run", Anyone),
        ("GET", "/api/invites", SignedIn),
        ("POST", "/api/invites", Person),
        ("DELETE", "/api/invites/{id}", AuthorOrAdministrator),
        ("POST", "/api/join/{code}", Anyone),
        ("GET", "/api/me", SignedIn),
        ("PATCH", "/api/me", SignedIn),
        ("POST", "/api/me/link", Person),
        ("PUT", "/api/me/password", SignedIn),
        ("DELETE", "/api/messages/{id}", AuthorOrAdministrator),
        ("PATCH", "/api/messages/{id}", AuthorOrAdministrator),
        ("GET", "/api/rooms", SignedIn),
        ("POST", "/api/rooms", SignedIn),
        ("GET", "/api/rooms/{room_id}/messages", Member),
        ("POST", "/api/rooms/{room_id}/messages", Member),
        ("PUT", "/api/rooms/{room_id}/read", Member),
        ("DELETE", "/api/session", SignedIn),
        ("POST", "/api/session", Anyone),
        ("DELETE", "/api/sessions", SignedIn),
        ("GET", "/api/sessions", SignedIn),
        ("DELETE", "/api/sessions/{id}", OwnSelf),
        ("GET", "/api/users", SignedIn),
        ("GET", "/api/users/{user_id}", SignedIn),
        ("PATCH", "/api/users/{user_id}", Administrator),
        ("POST", "/api/users/{user_id}/reset", Administrator),
        ("GET", "/assets/{build}/{*path}", Anyone),
        ("GET", "/first_run", Anyone),
        ("POST", "/first_run", Anyone),
        ("GET", "/health", Anyone),
        ("GET", "/join/{code}", Anyone),
        ("POST", "/join/{code}", Anyone),
        ("GET", "/metrics", Operator),
        ("POST", "/rooms", SignedIn),
        ("GET", "/rooms/new", SignedIn),
        ("GET", "/rooms/{room_id}", Member),
        ("POST", "/rooms/{room_id}/messages", Member),
        ("POST", "/rooms/{room_id}/messages/{id}/delete", AuthorOrAdministrator),
        ("GET", "/rooms/{room_id}/messages/{id}/edit", AuthorOrAdministrator),
        ("POST", "/rooms/{room_id}/messages/{id}/edit", AuthorOrAdministrator),
        ("POST", "/rooms/{room_id}/read", Member),
        ("GET", "/rooms/{room_id}/{at}", Member),
        ("GET", "/searches", SignedIn),
        ("POST", "/searches", SignedIn),
        ("POST", "/searches/clear", SignedIn),
        ("POST", "/session", Anyone),
        ("POST", "/session/end", SignedIn),
        ("GET", "/session/link/{token}", Anyone),
        ("POST", "/session/link/{token}", Anyone),
        ("GET", "/session/new", Anyone),
        ("GET", "/session/reset/{token}", Anyone),
        ("POST", "/session/reset/{token}", Anyone),
        ("POST", "/theme", SignedIn),
        ("GET", "/up", Anyone),
        ("POST", "/users/me/link", Person),
        ("GET", "/users/me/password", SignedIn),
        ("POST", "/users/me/password", SignedIn),
        ("POST", "/users/me/profile", SignedIn),
        ("GET", "/users/me/sessions", SignedIn),
        ("POST", "/users/me/sessions/end", SignedIn),
        ("POST", "/users/me/sessions/{id}/end", OwnSelf),
        ("GET", "/users/{user_id}", SignedIn),
        ("POST", "/users/{user_id}/activate", Administrator),
        ("POST", "/users/{user_id}/ban", Administrator),
        ("POST", "/users/{user_id}/deactivate", Administrator),
        ("POST", "/users/{user_id}/reset", Administrator),
        ("POST", "/users/{user_id}/role", Administrator),
        ("GET", "/ws", SignedIn),
        ("WS", "hello", SignedIn),
        ("WS", "open_room", Member),
        ("WS", "ping", SignedIn),
        ("WS", "read", Member),
        ("WS", "typing_start", Member),
        ("WS", "typing_stop", Member),
    ]
};

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
        write!(f, "{:x}-{:x}", self.0, self.1)
    }
}

/// Whoever is signed in, for API calls: 401 without.
pub struct Signed {
    /// Their session and its token.
    pub by: SignedIn,
}

impl Signed {
    /// The person.
    pub fn viewer(&self) -> &Viewer {
        &self.by.session.viewer
    }
}

impl FromRequestParts<App> for Signed {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let token = token(&app.config, &parts.headers).ok_or(Error::Unauthenticated)?.to_owned();
        let session = app.auth.authenticate(&token).await?;
        Ok(Self { by: SignedIn { session, token } })
    }
}

/// Whoever is signed in, for pages: without, they are shown the way to sign in.
pub struct Visitor(pub Signed);

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        match Signed::from_request_parts(parts, app).await {
            Ok(signed) => Ok(Self(signed)),
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
fn behind_proxies(config: &Config, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        pairs.collect()
    }

    fn config(arguments: &[&str]) -> Config {
        Config::try_parse_from(["campfire"].iter().chain(arguments)).unwrap()
    }

    #[test]
    fn forwarded_addresses_count_only_from_trusted_proxies() {
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let spoofed = headers(&[("x-forwarded-for", "1.1.1.1, 203.0.113.9")]);
        assert_eq!(behind_proxies(&config(&[]), peer, &spoofed), peer);
        let trusting = config(&["--trusted-proxies", "10.0.0.1"]);
        let expected: IpAddr = "203.0.113.9".parse().unwrap();
        assert_eq!(behind_proxies(&trusting, peer, &spoofed), expected);
    }

    #[test]
    fn unsafe_requests_are_judged_by_where_they_come_from() {
        let judge = |pairs: &[(&'static str, &'static str)]| {
            is_same_site(&config(&[]), &Method::POST, &headers(pairs))
        };
        assert!(judge(&[("sec-fetch-site", "same-origin")]));
        assert!(!judge(&[("sec-fetch-site", "cross-site")]));
        assert!(!judge(&[("sec-fetch-site", "same-site"), ("host", "a"), ("origin", "http://a")]));
        assert!(judge(&[("host", "chat:3000"), ("origin", "http://chat:3000")]));
        assert!(!judge(&[("host", "chat:3000"), ("origin", "http://evil:3000")]));
        assert!(!judge(&[("host", "chat:3000"), ("origin", "null")]));
        assert!(!judge(&[("content-type", "application/x-www-form-urlencoded")]));
        assert!(judge(&[("content-type", "application/json")]));
        assert!(judge(&[("authorization", "Bearer x")]));
    }

    #[test]
    fn a_public_address_is_the_only_origin() {
        let config = config(&["--public-url", "https://chat.example.com"]);
        let from = |origin| headers(&[("host", "chat.example.com"), ("origin", origin)]);
        assert!(may_open_socket(&config, &from("https://chat.example.com")));
        assert!(!may_open_socket(&config, &from("http://chat.example.com")));
        assert!(!may_open_socket(&config, &headers(&[("host", "chat.example.com")])));
    }
}
