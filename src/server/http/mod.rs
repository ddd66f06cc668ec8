//! Everything that arrives by request: the table of routes, and what applies to all of them.
//!
//! Outermost first: a panic stays a failed request; each request has an id and a log line; a
//! request from another site may not change anything; every answer carries the security headers;
//! answers worth it are compressed. Rights are checked inside, by looking things up *through* the
//! viewer.
//!
//! A handler fails with an `Error`, which becomes JSON below `/api` and a page elsewhere; what a
//! form can mend comes back as the form. Only failures that are not plain from this say so.

mod entrance;
mod messages;
pub mod pages;
mod people;
pub mod request;
mod rooms;
mod search;

use super::operation::{self, Gap};
use super::store::{counting_statements, styles_name};
use super::{App, Stop};
use crate::domain::Timestamp;
use crate::domain::error::Error;
use crate::ui;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{delete, get, patch, post, put};
use axum::{Json, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use request::{
    Failed, RequestId, Shape, Signed, accepts, explain, is_local, may_open_socket, panicked, unexplained,
};
use serde::Serialize;
use std::io::Write;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::predicate::{And, NotForContentType, Predicate, SizeAbove};
use tower_http::compression::{CompressionLayer, DefaultPredicate};
use tower_http::timeout::TimeoutLayer;

/// Tabs of one user at once. Beyond, new ones are refused while limits are on.
const MAX_TABS: usize = 20;

/// The step at which every other page is compressed: a room page becomes a seventh.
const BROTLI_QUALITY: u32 = 4;

/// Two to this power is how far back brotli looks: a room page is about 55 kB.
const BROTLI_WINDOW: u32 = 16;

/// What brotli writes at once.
const BROTLI_BUFFER: usize = 8 * 1024;

/// The largest request body. A message of 64 KiB fits even when every byte is escaped in JSON.
const MAX_BODY: usize = 512 * 1024;
/// No request of ours takes this long; whoever is slower has gone.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Founding target for the work of one request.
const REQUEST_TARGET: Duration = Duration::from_millis(50);

/// A connection waits no longer for a request and its headers; whoever trickles them holds up
/// nobody. Longer than proxies keep an idle connection (nginx: 60 s), so that it is they who close.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// After the system had no room for another connection, the next try waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// No script but our own files, no inline anything, no frames, no other origin.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self'; img-src 'self' data: blob:; font-src 'self'; media-src 'self'; \
    connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// What a page handler comes to.
type Answer = Result<Response, Error>;

/// Every address of the product and who answers it.
pub fn router(app: App) -> Router {
    ui::controls::set_asset_base(asset_base());
    let pages = Router::new()
        .route("/", get(pages::root))
        .route("/first_run", get(entrance::first_run_form).post(entrance::first_run))
        .route("/session/new", get(entrance::sign_in_form))
        .route("/session", post(entrance::sign_in))
        .route("/session/end", post(entrance::sign_out))
        .route("/join/{code}", get(entrance::join_form).post(entrance::join))
        .route("/theme", post(entrance::choose_theme))
        .route("/rooms", post(rooms::post_room))
        .route("/rooms/new", get(rooms::new_room_form))
        .route("/rooms/directs", post(rooms::post_direct))
        .route("/rooms/directs/new", get(rooms::new_direct_form))
        .route("/rooms/{room_id}/edit", get(rooms::settings).post(rooms::change_settings))
        .route("/rooms/{room_id}/delete", get(rooms::delete_form).post(rooms::delete_room))
        .route("/rooms/{room_id}/leave", post(rooms::leave))
        .route("/rooms/{room_id}/involvement", post(rooms::involve))
        .route("/rooms/{room_id}/star", post(rooms::star))
        .route("/rooms/{room_id}", get(pages::room))
        .route("/rooms/{room_id}/{at}", get(pages::room_at))
        .route("/rooms/{room_id}/messages", post(messages::post_message))
        .route("/rooms/{room_id}/read", post(messages::see_room))
        .route(
            "/rooms/{room_id}/messages/{id}/edit",
            get(messages::edit_message_form).post(messages::change_message),
        )
        .route("/rooms/{room_id}/messages/{id}/delete", post(messages::delete_message))
        .route("/searches", get(search::search).post(search::save_search))
        .route("/searches/clear", post(search::clear_searches))
        .route("/rooms/{room_id}/messages/{id}/boosts", get(messages::react_form).post(messages::react))
        .route("/activity", get(search::activity))
        .route("/activity/seen", post(search::see_activity))
        .merge(people_pages());
    let operations =
        Router::new().route("/health", get(health)).route("/up", get(up)).route("/metrics", get(metrics));
    pages
        .merge(api())
        .merge(operations)
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(compression())
        // Before the compression, because assets come compressed from the build.
        .route("/assets/{build}/{*path}", get(asset))
        // Outermost first. One layer of five is boxed once, and not cloned with each one's inside.
        .layer((
            CatchPanicLayer::custom(panicked),
            from_fn_with_state(app.clone(), observe),
            from_fn_with_state(app.clone(), refuse_cross_site),
            TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT),
            DefaultBodyLimit::max(MAX_BODY),
        ))
        .with_state(app)
}

fn api() -> Router<App> {
    Router::new()
        .route("/api/first_run", post(entrance::post_first_run))
        .route("/api/session", post(entrance::post_session).delete(entrance::delete_session))
        .route("/api/join/{code}", post(entrance::post_join))
        .route("/api/me", get(entrance::me))
        .route("/api/rooms", get(rooms::list_rooms).post(rooms::create_room))
        .route(
            "/api/rooms/{room_id}",
            get(rooms::show_room).patch(rooms::change_room).delete(rooms::remove_room),
        )
        .route("/api/rooms/{room_id}/leave", post(rooms::leave_room))
        .route("/api/rooms/{room_id}/involvement", put(rooms::change_involvement))
        .route("/api/rooms/{room_id}/star", put(rooms::star_room))
        .route("/api/people", get(messages::list_people))
        .route("/api/rooms/{room_id}/preview", post(messages::preview))
        .route("/api/rooms/{room_id}/messages", get(messages::list_messages).post(messages::create_message))
        .route("/api/rooms/{room_id}/read", put(messages::read_room))
        .route("/api/rooms/{room_id}/unread", put(messages::mark_unread))
        .route("/api/messages/{id}", patch(messages::edit_message))
        .route("/api/messages/{id}", delete(messages::remove_message))
        .route("/api/messages/{id}/boosts", post(messages::add_boost).delete(messages::remove_boost))
        .route("/api/activity", get(search::list_activity))
        .route("/api/activity/seen", put(search::put_seen))
        .route("/ws", get(socket))
        .merge(people_calls())
}

fn people_pages() -> Router<App> {
    Router::new()
        .route("/session/link/{token}", get(entrance::confirm_sign_in).post(entrance::link_sign_in))
        .route("/session/reset/{token}", get(entrance::reset_form).post(entrance::reset))
        .route("/account", post(pages::change_account))
        .route("/account/edit", get(people::people))
        .route("/account/settings", get(pages::workspace))
        .route("/account/styles", post(pages::change_styles))
        .route("/account/styles/{file}", get(styles))
        .route("/account/invites", get(entrance::invites).post(entrance::create_invite))
        .route("/account/invites/{id}", get(entrance::invite))
        .route("/account/invites/{id}/end", post(entrance::end_invite))
        .route("/users/me/profile", post(people::change_profile))
        .route("/users/me/password", get(people::password_form).post(people::change_password))
        .route("/users/me/sessions", get(people::devices))
        .route("/users/me/sessions/end", post(people::end_sessions))
        .route("/users/me/sessions/{id}/end", post(people::end_session))
        .route("/users/me/link", post(people::sign_in_link))
        .route("/users/{user_id}", get(people::person))
        .route("/users/{user_id}/role", post(people::change_role))
        .route("/users/{user_id}/activate", post(people::activate))
        .route("/users/{user_id}/deactivate", post(people::deactivate))
        .route("/users/{user_id}/ban", post(people::ban))
        .route("/users/{user_id}/reset", post(people::reset_link))
}

fn people_calls() -> Router<App> {
    Router::new()
        .route("/api/me", patch(people::patch_me))
        .route("/api/me/password", put(people::put_password))
        .route("/api/me/link", post(people::post_sign_in_link))
        .route("/api/sessions", get(people::list_sessions).delete(people::delete_sessions))
        .route("/api/sessions/{id}", delete(people::delete_session))
        .route("/api/users", get(people::list_users))
        .route("/api/users/{user_id}", get(people::get_user).patch(people::patch_user))
        .route("/api/users/{user_id}/reset", post(people::post_reset_link))
        .route("/api/invites", get(entrance::list_invites).post(entrance::post_invite))
        .route("/api/invites/{id}", delete(entrance::delete_invite))
        .route("/api/account", patch(pages::patch_account))
        .route("/api/account/styles", put(pages::put_styles))
}

/// `GET /account/styles/{file}`: the account's stylesheet, under a name that changes with it.
/// Errors: [`Error::NotFound`] under any other name; [`Error::Unavailable`].
async fn styles(State(app): State<App>, _signed: Signed, Path(file): Path<String>) -> Answer {
    let account = app.find_account().await?.ok_or(Error::NotFound)?;
    let name = account.styles.as_ref().filter(|name| file == format!("{name}.css"));
    let name = name.ok_or(Error::NotFound)?;
    let styles = app.store.load_styles().await?;
    // Changed between the two looks: what is there now must not be kept under the old name.
    if styles_name(&styles).as_ref() != Some(name) {
        return Err(Error::NotFound);
    }
    let kind = (header::CONTENT_TYPE, "text/css; charset=utf-8");
    let caching = (header::CACHE_CONTROL, "private, max-age=31536000, immutable");
    Ok(([kind, caching], styles).into_response())
}

/// `None` if brotli fails, which it does not do on memory.
fn compressed(html: &[u8]) -> Option<Bytes> {
    let body = Vec::with_capacity(html.len() / 4);
    let mut writer = brotli::CompressorWriter::new(body, BROTLI_BUFFER, BROTLI_QUALITY, BROTLI_WINDOW);
    writer.write_all(html).ok()?;
    Some(writer.into_inner().into())
}

/// Serves every address until `stop`; then takes no more connections and lets the requests under
/// way finish.
pub async fn serve(listener: TcpListener, app: App, stop: Stop) {
    let router = router(app);
    let under_way = TaskTracker::new();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (tcp, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_the_clients(&error) => continue,
            Err(error) => {
                // Out of descriptors or the like: connections that close make room.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Without TCP_NODELAY every small answer waits some 40 ms for a delayed acknowledgement.
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was refused");
        }
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let connection = builder.serve_connection(TokioIo::new(tcp), service).with_upgrades();
        let stop = stop.clone();
        under_way.spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    under_way.close();
    under_way.wait().await;
}

/// Whether a connection was gone before it was accepted: no trouble of ours.
fn is_the_clients(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

type Worthwhile = And<And<DefaultPredicate, SizeAbove>, NotForContentType>;

fn compression() -> CompressionLayer<Worthwhile> {
    let worthwhile = DefaultPredicate::new()
        .and(SizeAbove::new(512))
        .and(NotForContentType::const_new("text/event-stream"));
    CompressionLayer::new().quality(CompressionLevel::Precise(4)).compress_when(worthwhile)
}

/// Gives each request an id, a log line, the security headers and its count of statements.
async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::new(app.clock.now());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let path = request.uri().path();
    let is_api = path.starts_with("/api/") || path == "/ws";
    let theme = request::theme(request.headers());
    let plain = request.uri().query().is_some_and(|q| q.split('&').any(|one| one == "plain=1"));
    request.headers_mut().remove(request::PLAIN);
    if plain {
        request.headers_mut().insert(request::PLAIN, HeaderValue::from_static("1"));
    }
    request.extensions_mut().insert(id);
    let (mut response, statements) = counting_statements(next.run(request)).await;
    let failed = response.extensions_mut().remove::<Failed>().map(|failed| failed.0);
    if let Some(error) = failed.or_else(|| unexplained(&response)) {
        let shape = if is_api { Shape::Json } else { Shape::Page(theme) };
        response = explain(&error, id, shape, response.headers());
    }
    let status = response.status();
    let elapsed = started.elapsed();
    let route = route.unwrap_or_else(|| "unknown".to_owned());
    tracing::info!(
        request.id = %id, %method, route, status = status.as_u16(), statements,
        duration_ms = elapsed.as_secs_f64() * 1_000.0, "request"
    );
    metrics::counter!("campfire_requests_total", "status" => status.as_str().to_owned()).increment(1);
    metrics::histogram!("campfire_request_seconds").record(elapsed.as_secs_f64());
    if elapsed > REQUEST_TARGET && status != StatusCode::SWITCHING_PROTOCOLS {
        Gap::RequestTime.record("a request took over 50 ms");
    }
    let tls = app.config.is_public_over_tls();
    secure(response.headers_mut(), tls);
    if let Ok(value) = HeaderValue::from_str(&format!("statements;desc={statements}")) {
        response.headers_mut().insert(HeaderName::from_static("server-timing"), value);
    }
    response
}

/// On every answer.
static SECURITY: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=()"),
    ),
];

fn secure(headers: &mut HeaderMap, tls: bool) {
    // At once what would otherwise be grown into twice.
    headers.reserve(SECURITY.len() + 3);
    for (name, value) in &SECURITY {
        headers.insert(name, value.clone());
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-store"));
    if tls {
        let value = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
}

/// Refuses whatever another site makes a browser send. Browsers say where a request comes from;
/// programs that say nothing are let through only with requests no form on another site could
/// have made.
async fn refuse_cross_site(State(app): State<App>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if safe || request::is_same_site(&app.config, request.method(), request.headers()) {
        next.run(request).await
    } else {
        Error::CrossSite.into_response()
    }
}

/// `GET /ws`.
/// Errors: As JSON: 401 without a session, 403 from another site, 400 when it is no upgrade.
async fn socket(by: Signed, request: Request) -> Result<Response, Error> {
    if !may_open_socket(&by.app.config, request.headers()) {
        return Err(Error::CrossSite);
    }
    let open = by.app.connections.tabs_of(by.viewer().id);
    if by.app.auth.has_limits() && open >= MAX_TABS {
        return Err(Error::RateLimited { retry_after_s: 10 });
    }
    let Signed { app, session, token } = by;
    super::socket::upgrade(app, token, session, request)
}

/// How the server is.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    timestamp: Timestamp,
    version: &'static str,
}

/// `GET /health`: whether database and writer answer.
async fn health(State(app): State<App>) -> (StatusCode, Json<Health>) {
    let well = app.writer.is_running() && app.store.check().await.is_ok();
    let (code, status) = match well {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let timestamp = app.clock.now();
    (code, Json(Health { status, timestamp, version: env!("CARGO_PKG_VERSION") }))
}

/// `GET /up`: whether the process answers at all.
async fn up() -> StatusCode {
    StatusCode::OK
}

/// `GET /metrics`: for administrators, and for programs on the same computer.
/// Errors: [`Error::NotFound`] for everybody else.
async fn metrics(
    by: Result<Signed, Error>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let local = is_local(peer.ip(), &headers);
    if local || by.is_ok_and(|by| by.viewer().may_administer()) {
        let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
        Ok((kind, metrics_text()).into_response())
    } else {
        Err(Error::NotFound)
    }
}

async fn not_found() -> Error {
    Error::NotFound
}

/// A form that failed leaves its own address in the bar, and people reload: that leads back to
/// where the form stands.
async fn not_allowed(method: Method, uri: Uri) -> Answer {
    let path = uri.path();
    if method != Method::GET || path.starts_with("/api/") {
        return Err(Error::MethodNotAllowed);
    }
    let mut parts = path.split('/').skip(1);
    let back = match (parts.next(), parts.next()) {
        (Some("account"), _) => "/account/edit".to_owned(),
        (Some("activity"), _) => "/activity".to_owned(),
        (Some("users"), Some(id)) if id != "me" => format!("/users/{id}"),
        (Some("session"), None) => "/session/new".to_owned(),
        (Some("searches"), _) => "/searches".to_owned(),
        (Some("rooms"), None) => "/rooms/new".to_owned(),
        (Some("rooms"), Some("directs")) => "/rooms/directs/new".to_owned(),
        (Some("rooms"), Some(room_id)) => format!("/rooms/{room_id}"),
        _ => "/".to_owned(),
    };
    Ok(Redirect::to(&back).into_response())
}

/// The counters in Prometheus' text form.
fn metrics_text() -> String {
    operation::metrics().map(|handle| handle.render()).unwrap_or_default()
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Where the files of this build are served. Addresses carry a fingerprint of the whole build, so
/// they can be cached for ever; an upgrade changes every address.
pub fn asset_base() -> String {
    format!("/assets/{BUILD}")
}

/// One file of the built site, in the smallest form the browser takes.
async fn asset(Path((build, path)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let found = FILES.binary_search_by(|(name, ..)| (*name).cmp(path.as_str()));
    let Some((_, kind, raw, br, gz)) = found.ok().and_then(|at| FILES.get(at)) else {
        return Error::NotFound.into_response();
    };
    let (bytes, encoding) = match (br, gz) {
        (Some(br), _) if accepts(&headers, "br") => (*br, Some("br")),
        (_, Some(gz)) if accepts(&headers, "gzip") => (*gz, Some("gzip")),
        _ => (*raw, None),
    };
    let mut response = bytes.into_response();
    let sent = response.headers_mut();
    sent.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    sent.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        sent.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    // A page of an older build may still ask for its files; it gets today's, but must not keep
    // them under yesterday's name.
    let caching = if build == BUILD { "public, max-age=31536000, immutable" } else { "no-store" };
    sent.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}
