//! One task for each tab: hello, catch-up, commands in, frames out.
//!
//! The order that leaves no gap: the tab is registered, then its session is checked once more,
//! then the room is watched, then everything after the cursor is read and sent, and only then
//! queued live frames go out. What arrives twice is ignored by seq. Whatever is ready goes out in
//! one write.
//!
//! Frames that are the same for many tabs come with their WebSocket header and are written past
//! the WebSocket library, which would copy them into a buffer of its own for every tab and keep
//! it: half of what an idle tab weighed. Between two of its own frames that is safe, and those are
//! flushed first. Everything else (reading, pings, closing) is the library's.

use super::App;
use super::auth::Auth;
use super::connections::{ConnectionId, Connections, EncodedFrame, Parcel, Registered, encode};
use super::operation::Gap;
use super::store::account::Session;
use super::store::messages::Position;
use crate::domain::account::UserRef;
use crate::domain::error::Error;
use crate::domain::event::{
    ClientFrame, Ending, HEARTBEAT_MS, MAX_CHANGES, MAX_ONLINE, PRESENCE_TTL_MS, PROTOCOL, ServerFrame,
};
use crate::domain::message::MessagePage;
use crate::domain::room::SidebarRoom;
use crate::domain::{RoomId, Seq};
use crate::texts;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures_util::{SinkExt, StreamExt};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message as WsMessage, Utf8Bytes};

/// The largest frame a tab may send. The longest message fits many times over.
const MAX_INBOUND: usize = 64 * 1024;
/// What tabs say is short. The library's own buffer (128 KiB, zero-filled) costs 20 times the
/// memory and 6 times the CPU.
const READ_BUFFER: usize = 256;
/// Changes with more text than this are not replayed: a fresh page is smaller.
const MAX_CHANGES_BYTES: usize = 512 * 1024;
/// A tab that takes longer to accept a write is cut.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Frames written in one go at most.
const MAX_BATCH: usize = 64;
/// Tries to read a user's rooms while memberships change.
const MAX_READINGS: usize = 5;
/// A tab says hello within this time.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Commands of one tab: 20 a second, bursts of 60. A person typing and reading stays far below.
const COMMANDS_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);
const COMMAND_BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);

/// Turns an authenticated request into a tab's connection.
///
/// # Errors
/// [`Error::Malformed`] when it does not ask for a WebSocket.
pub fn upgrade(
    app: App,
    token: String,
    session: Arc<Session>,
    mut request: Request,
) -> Result<Response, Error> {
    let malformed = || Error::Malformed(texts::errors::WEB_SOCKET);
    let answer = create_response_with_body(&request, Body::empty).map_err(|_| malformed())?;
    let upgrading = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(malformed)?;
    let tracker = app.tracker.clone();
    tracker.spawn(async move {
        // A connection that is gone before it has become a tab's is nobody's.
        if let Ok(upgraded) = upgrading.await {
            serve(app, token, session, TokioIo::new(upgraded)).await;
        }
    });
    Ok(answer)
}

/// Removes the tab from the registry however its task ends.
struct Registration {
    connections: Arc<Connections>,
    id: ConnectionId,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.connections.unregister(self.id);
    }
}

/// One tab.
struct Tab {
    app: App,
    token: String,
    user: UserRef,
    id: ConnectionId,
    socket: WebSocketStream<TokioIo<Upgraded>>,
    /// The room whose membership was proved when it was opened.
    room: Option<RoomId>,
    greeted: bool,
    commands: Option<DefaultDirectRateLimiter>,
}

/// The connection is over: closed by the tab, cut, or broken.
struct Over;

async fn serve(app: App, token: String, session: Arc<Session>, io: TokioIo<Upgraded>) {
    let user = session.viewer.as_author();
    let registered = app.connections.register(&user, session.id);
    let _registration = Registration { connections: Arc::clone(&app.connections), id: registered.id };
    let quota = Quota::per_second(COMMANDS_PER_SECOND).allow_burst(COMMAND_BURST);
    let commands = app.auth.has_limits().then(|| RateLimiter::direct(quota));
    let id = registered.id;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MAX_INBOUND))
        .max_frame_size(Some(MAX_INBOUND));
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    let mut tab = Tab { app, token, user, id, socket, room: None, greeted: false, commands };
    // Signed out between the upgrade and the registration: nobody would have told this tab.
    if !Box::pin(tab.is_signed_in()).await {
        Box::pin(tab.say_goodbye(Ending::SignedOut)).await;
        return;
    }
    if let Err(Over) = tab.run(registered).await {
        tracing::debug!(user.id = %tab.user.id, "a tab has gone");
    }
}

impl Tab {
    async fn run(&mut self, registered: Registered) -> Result<(), Over> {
        let Registered { mut frames, mut ending, .. } = registered;
        // Made once for all frames: each of these takes a shared lock when it is made anew.
        let mut stopping = pin!(self.app.stop.clone().cancelled_owned());
        let mut heartbeat = interval(Duration::from_millis(HEARTBEAT_MS.into()));
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let started = Instant::now();
        let mut last_heard = started;
        let mut silence = pin!(sleep_until(started + HELLO_TIMEOUT));
        loop {
            tokio::select! {
                biased;
                why = &mut ending => {
                    Box::pin(self.say_goodbye(why.unwrap_or(Ending::Restart))).await;
                    return Ok(());
                }
                () = &mut stopping => {
                    Box::pin(self.say_goodbye(Ending::Restart)).await;
                    return Ok(());
                }
                heard = self.socket.next() => {
                    last_heard = Instant::now();
                    // Rare and large, with all that reads and writes the database: apart, so that
                    // the thousands of tabs that only listen do not keep room for it.
                    Box::pin(self.hear(heard)).await?;
                }
                Some(frame) = frames.recv() => {
                    self.write_ready(frame, &mut frames).await?;
                }
                () = &mut silence => {
                    let deadline = last_heard + Duration::from_millis(PRESENCE_TTL_MS);
                    if !self.greeted || deadline <= Instant::now() {
                        Box::pin(self.say_goodbye(Ending::Silent)).await;
                        return Ok(());
                    }
                    silence.as_mut().reset(deadline);
                }
                _ = heartbeat.tick() => Box::pin(self.beat()).await?,
            }
        }
    }

    async fn beat(&mut self) -> Result<(), Over> {
        // Also moves the session's end, so that an open tab keeps its person signed in.
        if !self.is_signed_in().await {
            self.say_goodbye(Ending::SignedOut).await;
            return Err(Over);
        }
        in_time(self.socket.send(WsMessage::Ping(bytes::Bytes::new()))).await
    }

    async fn is_signed_in(&mut self) -> bool {
        let auth: &Auth = &self.app.auth;
        // A database that does not answer is no reason to sign anybody out.
        !matches!(auth.authenticate(&self.token).await, Err(Error::Unauthenticated))
    }

    async fn hear(&mut self, heard: Option<Result<WsMessage, tungstenite::Error>>) -> Result<(), Over> {
        let message = match heard {
            Some(Ok(message)) => message,
            Some(Err(error)) => {
                // Too large or not UTF-8: the stream cannot be trusted any further.
                tracing::debug!(%error, "a tab sent something unreadable");
                Gap::WireFormat.record("an unreadable frame ended its connection");
                self.close(1_008, "unreadable frame").await;
                return Err(Over);
            }
            None => return Err(Over),
        };
        let answers_us = matches!(message, WsMessage::Pong(_) | WsMessage::Close(_));
        let flood = |limit: &DefaultDirectRateLimiter| limit.check().is_err();
        if !answers_us && self.commands.as_ref().is_some_and(flood) {
            self.say_goodbye(Ending::Flood).await;
            return Err(Over);
        }
        self.app.connections.heard(self.user.id);
        match message {
            WsMessage::Text(text) => self.obey(&text).await,
            WsMessage::Binary(_) => self.refuse(&Error::Malformed(texts::errors::TEXT_FRAMES)).await,
            WsMessage::Close(_) => {
                // The library's answer to it waits to be written. The tab may not wait for it.
                let _gone = in_time(self.socket.flush()).await;
                Err(Over)
            }
            WsMessage::Ping(_) | WsMessage::Pong(_) | WsMessage::Frame(_) => Ok(()),
        }
    }

    async fn obey(&mut self, text: &str) -> Result<(), Over> {
        let frame = match ClientFrame::parse(text) {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                Gap::WireFormat.record("a frame of unknown type was ignored");
                return Ok(());
            }
            Err(_) => {
                Gap::WireFormat.record("a malformed frame was refused");
                return self.refuse(&Error::Malformed(texts::errors::FRAME)).await;
            }
        };
        match (frame, self.greeted) {
            (ClientFrame::Hello { incarnation, room_id, cursor, .. }, _) => {
                self.greet(incarnation.as_deref(), room_id, cursor).await
            }
            (_, false) => self.refuse(&Error::Malformed(texts::errors::HELLO_FIRST)).await,
            (ClientFrame::OpenRoom { room_id, cursor }, true) => self.open_room(room_id, cursor).await,
            (ClientFrame::Read { room_id, message_id }, true) => {
                match self.app.writer.read_room(self.user.id, room_id, message_id).await {
                    Ok(()) => Ok(()),
                    Err(error) => self.refuse(&error).await,
                }
            }
            (ClientFrame::TypingStart { room_id }, true) => self.type_in(room_id, true).await,
            (ClientFrame::TypingStop { room_id }, true) => self.type_in(room_id, false).await,
            (ClientFrame::Ping, true) => self.say(&ServerFrame::Pong).await,
        }
    }

    async fn greet(
        &mut self,
        incarnation: Option<&str>,
        room_id: Option<RoomId>,
        cursor: Option<Seq>,
    ) -> Result<(), Over> {
        // From here on frames queue up for this tab, and go out after the welcome.
        self.app.connections.greet(self.id);
        let rooms = match self.learn_rooms().await {
            Ok(rooms) => rooms,
            Err(error) => return self.give_up(&error).await,
        };
        self.greeted = true;
        let ours = self.app.incarnation.to_string();
        let same = incarnation.is_none_or(|theirs| theirs == ours);
        let everybody = self.app.connections.online();
        let welcome = ServerFrame::Welcome {
            protocol: PROTOCOL,
            incarnation: ours,
            rooms,
            online: everybody.iter().take(MAX_ONLINE).cloned().collect(),
            online_count: everybody.len(),
        };
        let welcome = encode(&welcome).ok_or(Over)?;
        let activity = self.activity_frame().await?;
        self.write(&[welcome, activity]).await?;
        match room_id {
            Some(room_id) if same => self.open_room(room_id, cursor).await,
            Some(room_id) => {
                Gap::EventualConsistency.record("a tab came from another database");
                self.open_room(room_id, None).await?;
                self.say(&ServerFrame::Reset { room_id }).await
            }
            None => Ok(()),
        }
    }

    /// The rooms of the list, once it is certain that the registry has the same ones. Fails when
    /// memberships change faster than they can be read.
    async fn learn_rooms(&mut self) -> Result<Vec<SidebarRoom>, Error> {
        for _ in 0..MAX_READINGS {
            let removals = self.app.connections.removals();
            let all = self.app.load_rooms(self.user.id).await?;
            if self.app.connections.add_rooms(self.user.id, &all, removals) {
                // Once more: what was said between the first look and this moment was told to
                // nobody.
                return self.app.load_sidebar(self.user.id).await;
            }
        }
        Err(Error::Unavailable)
    }

    /// How a room stands for this user, now.
    async fn room_frame(&mut self, room_id: RoomId) -> Result<EncodedFrame, Over> {
        let frame = match self.app.find_room(self.user.id, room_id).await {
            Ok(Some(room)) => ServerFrame::Room { room },
            Ok(None) => {
                if self.room == Some(room_id) {
                    self.room = None;
                }
                ServerFrame::RoomRemoved { room_id }
            }
            Err(error) => return self.give_up(&error).await,
        };
        encode(&frame).ok_or(Over)
    }

    /// How much is new to this user, now.
    async fn activity_frame(&mut self) -> Result<EncodedFrame, Over> {
        match self.app.store.count_activity(self.user.id).await {
            Ok(unread) => encode(&ServerFrame::Activity { unread }).ok_or(Over),
            Err(error) => self.give_up(&error).await,
        }
    }

    async fn open_room(&mut self, room_id: RoomId, cursor: Option<Seq>) -> Result<(), Over> {
        // First whether, so that a stranger hears nothing meanwhile; then watch; then read what was
        // missed, which asks once more.
        match self.app.is_member(self.user.id, room_id).await {
            Ok(true) => {}
            Ok(false) => return self.refuse(&Error::NotFound).await,
            Err(error) => return self.give_up(&error).await,
        }
        self.app.connections.watch(self.id, Some(room_id));
        let since = Position::Since(cursor.unwrap_or(Seq::new(i64::MAX)));
        let limit = if cursor.is_some() { MAX_CHANGES } else { 0 };
        let read = self.app.store.find_page(self.user.id, room_id, since, limit).await;
        let page = match read {
            Ok(Some(found)) => found.page,
            Ok(None) => {
                self.app.connections.watch(self.id, None);
                self.room = None;
                return self.refuse(&Error::NotFound).await;
            }
            Err(error) => return self.give_up(&error).await,
        };
        self.room = Some(room_id);
        match cursor {
            None => Ok(()),
            Some(cursor) if page.has_more || cursor > page.cursor || is_heavy(&page) => {
                Gap::EventualConsistency.record("a tab was reset to a fresh page");
                self.say(&ServerFrame::Reset { room_id }).await
            }
            Some(since) => {
                let (messages, cursor) = (page.messages, page.cursor);
                self.say(&ServerFrame::Changes { room_id, since, messages, cursor }).await
            }
        }
    }

    async fn type_in(&mut self, room_id: RoomId, active: bool) -> Result<(), Over> {
        if self.room == Some(room_id) {
            self.app.connections.typing(room_id, &self.user, active);
            Ok(())
        } else {
            self.refuse(&Error::NotFound).await
        }
    }

    async fn refuse(&mut self, error: &Error) -> Result<(), Over> {
        let (code, message) = (error.code().to_owned(), error.to_string());
        self.say(&ServerFrame::Error { code, message }).await
    }

    /// Ends a connection that the database has let down: a tab that looks live but was not greeted
    /// or watches nothing would miss things in silence. Coming back with its cursor, it misses
    /// nothing.
    async fn give_up<T>(&mut self, error: &Error) -> Result<T, Over> {
        self.refuse(error).await?;
        Err(Over)
    }

    async fn say_goodbye(&mut self, ending: Ending) {
        // Tabs that leave together must not return together: a stride prime to the range visits
        // every value before repeating one. Within the page's patience, so that a restart shows no
        // banner.
        let spread = self.id.0.wrapping_mul(389) % 1_000;
        let retry_ms = 250 + u32::try_from(spread).unwrap_or(0);
        let reason = ending.reason().to_owned();
        let said = self.say(&ServerFrame::Goodbye { reason, retry_ms }).await;
        if said.is_ok() {
            // 1012 is "service restart", 1008 "policy violation".
            let code = if ending == Ending::Restart { 1_012 } else { 1_008 };
            self.close(code, ending.reason()).await;
        }
    }

    async fn close(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(reason) };
        // The tab may be gone already; there is nobody left to tell.
        let _gone = in_time(self.socket.send(WsMessage::Close(Some(frame)))).await;
    }

    async fn say(&mut self, frame: &ServerFrame) -> Result<(), Over> {
        let frame = encode(frame).ok_or(Over)?;
        self.write(&[frame]).await
    }

    /// Writes a frame and those that wait behind it in one go, up to a limit: commands and pings
    /// have their turn in between.
    async fn write_ready(&mut self, first: Parcel, waiting: &mut mpsc::Receiver<Parcel>) -> Result<(), Over> {
        let (mut next, mut ready) = (Some(first), Vec::new());
        while let Some(parcel) = next {
            ready.push(match parcel {
                Parcel::Frame(frame) => frame,
                Parcel::Room(room_id) => self.room_frame(room_id).await?,
                Parcel::Activity => self.activity_frame().await?,
            });
            next = if ready.len() < MAX_BATCH { waiting.try_recv().ok() } else { None };
        }
        self.write(&ready).await
    }

    /// Writes encoded frames past the WebSocket, once its own are out.
    async fn write(&mut self, frames: &[EncodedFrame]) -> Result<(), Over> {
        let joined;
        let bytes: &[u8] = match frames {
            [one] => one,
            several => {
                joined = several.concat();
                &joined
            }
        };
        let socket = &mut self.socket;
        in_time(async {
            socket.flush().await?;
            Ok(socket.get_mut().write_all(bytes).await?)
        })
        .await
    }
}

fn is_heavy(page: &MessagePage) -> bool {
    let text = page.messages.iter().map(|message| message.body.len() + message.body_html.len());
    text.sum::<usize>() > MAX_CHANGES_BYTES
}

async fn in_time<T>(write: impl Future<Output = Result<T, tungstenite::Error>>) -> Result<T, Over> {
    match timeout(WRITE_TIMEOUT, write).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err(Over),
        Err(_) => {
            Gap::ConnectionFailure.record("a tab did not accept a write in time");
            Err(Over)
        }
    }
}
