//! Limit servers: what the machine could do if the product did nothing but the unavoidable.
//!
//! Run as processes of their own (`campfire-bench limit ...`), so that their CPU is measured the
//! same way as the product's. `page` answers with given bytes after a session look-up; `sockets`
//! sends a frame of given length to everybody; what only writes rows is in [`super::raw`]. None
//! of them checks, logs, counts or renders anything: that is the point of a limit.

use super::report::{Failure, broken};
use super::seed::token_digest;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, broadcast};

/// What the product reads with; see `server::socket`.
const READ_BUFFER: usize = 256;
/// The library's for what it writes, which the product goes past.
const WRITE_BUFFER: usize = 4 * 1024;
/// Frames a socket may lag behind: as many as the product queues for a tab.
const QUEUE: usize = 256;

/// What the page server answers with.
#[derive(Serialize, Deserialize)]
pub struct PageSpec {
    /// Names and values, without those that describe the connection.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// Who is signed in.
    pub tokens: Vec<String>,
}

impl PageSpec {
    /// An answer of the product's, to be repeated.
    pub fn new(head: &[u8], body: &[u8], tokens: Vec<String>) -> Self {
        let text = String::from_utf8_lossy(head);
        let own = ["content-length", "transfer-encoding", "connection", "date"];
        let headers = text.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        let headers = headers
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .filter(|(name, _)| !own.contains(&name.as_str()));
        Self { headers: headers.collect(), body: body.to_vec(), tokens }
    }
}

struct Page {
    sessions: RwLock<HashMap<[u8; 32], usize>>,
    headers: HeaderMap,
    body: Bytes,
}

/// Serves a page from memory.
///
/// # Errors
/// [`Failure::Broken`] for an unreadable specification or no free port.
pub async fn serve_page(spec: &Path) -> Result<(), Failure> {
    let spec: PageSpec = serde_json::from_slice(&std::fs::read(spec)?)?;
    let mut headers = HeaderMap::new();
    for (name, value) in &spec.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        match (name, HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => headers.append(name, value),
            _ => return broken("an unreadable header"),
        };
    }
    let sessions = spec.tokens.iter().enumerate().map(|(at, text)| (token_digest(text), at));
    let sessions = RwLock::new(sessions.collect());
    let page = Arc::new(Page { sessions, headers, body: Bytes::from(spec.body) });
    serve(Router::new().route("/rooms/{id}", get(page_from_memory)).with_state(page)).await
}

async fn page_from_memory(State(page): State<Arc<Page>>, headers: HeaderMap) -> Response {
    let cookies = headers.get(header::COOKIE).and_then(|value| value.to_str().ok());
    let token = cookies
        .into_iter()
        .flat_map(|text| text.split("; "))
        .find_map(|cookie| cookie.strip_prefix("session_token="));
    let sessions = page.sessions.read().unwrap_or_else(PoisonError::into_inner);
    match token.and_then(|token| sessions.get(&token_digest(token))) {
        Some(_) => (page.headers.clone(), page.body.clone()).into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// All sockets. A message is sent when the last one has been written to every socket, so that a
/// frame costs one write here, whatever the posters do.
struct Everybody {
    frames: broadcast::Sender<Utf8Bytes>,
    last_id: AtomicI64,
    /// Held by the message that is on its way.
    turn: Mutex<()>,
    /// Sockets it has not been written to.
    waiting: AtomicUsize,
    written: Notify,
}

/// Broadcasts to every socket what is posted to `/send`.
///
/// # Errors
/// [`Failure::Broken`] when there is no free port.
pub async fn serve_sockets() -> Result<(), Failure> {
    let everybody = Arc::new(Everybody {
        frames: broadcast::channel(QUEUE).0,
        last_id: AtomicI64::new(0),
        turn: Mutex::new(()),
        waiting: AtomicUsize::new(0),
        written: Notify::new(),
    });
    let router = Router::new().route("/ws", get(open_socket)).route("/send", post(send));
    serve(router.with_state(everybody)).await
}

async fn open_socket(State(all): State<Arc<Everybody>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .on_upgrade(move |socket| relay(all, socket))
}

async fn relay(all: Arc<Everybody>, mut socket: WebSocket) {
    let mut frames = all.frames.subscribe();
    // Tells the generator that from here on nothing is missed.
    if socket.send(Message::Text(Utf8Bytes::from_static(r#"{"type":"welcome"}"#))).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            heard = socket.recv() => match heard {
                Some(Ok(_)) => {}
                _ => return,
            },
            frame = frames.recv() => {
                let Ok(frame) = frame else { return };
                // Feeds and flushes.
                if socket.send(Message::Text(frame)).await.is_err() {
                    return;
                }
                if all.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
                    all.written.notify_one();
                }
            }
        }
    }
}

async fn send(State(all): State<Arc<Everybody>>, body: String) -> String {
    let _turn = all.turn.lock().await;
    let id = all.last_id.fetch_add(1, Ordering::Relaxed) + 1;
    let frame = format!(
        r#"{{"type":"message_created","message":{{"id":{id},"seq":{id},"room_id":1,"client_message_id":"0f8fad5b-d9cb-469f-a165-70867728950e","creator":{{"id":1,"name":"David Adams"}},"body":"{body}","body_html":"<p>{body}</p>","created_at":"2026-11-25T08:29:48.090Z"}}}}"#
    );
    all.waiting.store(all.frames.receiver_count(), Ordering::Release);
    // Without sockets there is nobody to miss it, and nobody to wait for.
    if all.frames.send(frame.into()).is_ok() {
        all.written.notified().await;
    }
    format!(r#"{{"id":{id}}}"#)
}

async fn serve(router: Router) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    let listener = listener.tap_io(|stream| {
        // A stream that is gone already fails at its first read.
        let _gone = stream.set_nodelay(true);
    });
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on http://{addr}")?;
    stdout.flush()?;
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        served = axum::serve(listener, router) => Ok(served?),
        _ = terminated.recv() => Ok(()),
    }
}
