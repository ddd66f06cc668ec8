//! The one socket: open, say where we stand, listen, and come back after every loss.
//!
//! Lost connections are tried again after 1, 2, 4, 8, 16 seconds (spread by chance, so that a
//! restart does not bring everybody back in one instant), and at once when the network returns or
//! the tab is looked at. A connection that is silent for longer than a heartbeat allows is
//! dropped from this side too: nothing else notices a network that swallows packets.
//!
//! What the viewer says goes out from here as well: sending until the server has it, editing,
//! deleting, and keeping what is unsent in this browser, so that neither a dead network nor a
//! reload loses it; and signs of typing. The other way, sounds are played as they arrive.

use super::browser::{self, CallError};
use super::log;
use super::state::{Chat, Link};
use crate::domain::event::{ClientFrame, HEARTBEAT_MS, PROTOCOL, ServerFrame};
use crate::domain::message::{ClientMessageId, Draft, Message, Outgoing, Quote};
use crate::domain::search::sort;
use crate::domain::timeline::{NextAttempt, RETRY_DELAYS_MS, Timeline};
use crate::domain::{MessageId, RoomId, Seq, Timestamp};
use crate::texts;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::{FutureExt, SinkExt, StreamExt, select_biased};
use gloo_net::websocket::Message as SocketMessage;
use gloo_net::websocket::futures::WebSocket;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use wasm_bindgen_futures::spawn_local;

/// A connection that does not open in this time is given up.
const OPEN_TIMEOUT_MS: u32 = 10_000;
/// Answers to a ping arrive within this time on any network worth staying on.
const PONG_TIMEOUT_MS: u32 = 8_000;

/// How long a message that is being deleted can be had back.
const UNDO_MS: u32 = 5_000;

/// How a connection ended.
struct Ended {
    /// Whether it had been live.
    was_live: bool,
    /// The server's own wish for when to come back.
    retry_ms: Option<u32>,
    /// The session is over.
    signed_out: bool,
}

const LOST: Ended = Ended { was_live: false, retry_ms: None, signed_out: false };

/// Keeps the chat connected for as long as the page lives.
pub async fn stay_connected(chat: Chat) {
    let (wake, mut woken) = unbounded();
    chat.set_wake(wake);
    let mut failures: usize = 0;
    loop {
        let ended = connect(chat).await;
        chat.disconnected();
        failures = if ended.was_live { 0 } else { failures + 1 };
        // A refused upgrade looks like a dead network; only a request can tell the difference.
        let refused = !ended.was_live && matches!(browser::check_session().await, Err(CallError::SignedOut));
        if ended.signed_out || refused {
            browser::go_to("/session/new");
            return;
        }
        let delay = ended.retry_ms.unwrap_or_else(|| spread(failures));
        wait(delay, &mut woken).await;
    }
}

fn spread(failures: usize) -> u32 {
    let step = failures.saturating_sub(1).min(RETRY_DELAYS_MS.len() - 1);
    let delay = RETRY_DELAYS_MS.get(step).copied().unwrap_or(1_000);
    delay - delay / 4 + browser::jitter(delay / 2)
}

async fn wait(delay: u32, woken: &mut UnboundedReceiver<()>) {
    // Rings from while we were connected say nothing about now.
    while woken.try_recv().is_ok() {}
    select_biased! {
        _ = woken.next() => {}
        () = TimeoutFuture::new(delay).fuse() => {}
    }
}

/// Opens a connection and serves it to its end.
async fn connect(chat: Chat) -> Ended {
    let Some(socket) = browser::socket_url().and_then(|url| WebSocket::open(&url).ok()) else {
        return LOST;
    };
    let (mut write, read) = socket.split();
    let mut read = read.fuse();
    let hello = async {
        // Sending waits until the socket is open.
        let (room_id, cursor) = chat.position();
        let incarnation = chat.incarnation.with_value(|known| Some(known.clone()));
        let hello = ClientFrame::Hello { protocol: PROTOCOL, incarnation, room_id, cursor };
        write.send(encode(&hello)).await.is_ok()
    };
    // A socket that fails says so on its reading side first; writing to it then would only be
    // refused, loudly.
    let opened = select_biased! {
        _ = read.next() => false,
        opened = Box::pin(hello).fuse() => opened,
        () = TimeoutFuture::new(OPEN_TIMEOUT_MS).fuse() => false,
    };
    if !opened {
        return LOST;
    }
    let (commands, mut wishes) = unbounded();
    chat.connected(commands);
    let mut ended = LOST;
    let mut asked = false;
    loop {
        let patience = if asked { PONG_TIMEOUT_MS } else { HEARTBEAT_MS };
        let mut silence = TimeoutFuture::new(patience).fuse();
        select_biased! {
            heard = read.next() => {
                asked = false;
                match heard {
                    Some(Ok(SocketMessage::Text(text))) => hear(chat, &text, &mut ended),
                    Some(Ok(SocketMessage::Bytes(_))) => {}
                    Some(Err(_)) | None => return ended,
                }
            }
            wish = wishes.next() => {
                let Some(wish) = wish else { return ended };
                if write.send(encode(&wish)).await.is_err() {
                    return ended;
                }
            }
            () = silence => {
                if asked || write.send(encode(&ClientFrame::Ping)).await.is_err() {
                    return ended;
                }
                asked = true;
            }
        }
    }
}

fn hear(chat: Chat, text: &str, ended: &mut Ended) {
    // A frame of a type this page does not know is from a newer server: ignored, as documented.
    let Ok(Some(frame)) = ServerFrame::parse(text) else {
        return;
    };
    match &frame {
        ServerFrame::Welcome { protocol, .. } => {
            ended.was_live = true;
            if *protocol != PROTOCOL {
                browser::reload();
            }
        }
        ServerFrame::Goodbye { reason, retry_ms } => {
            ended.retry_ms = Some(*retry_ms);
            ended.signed_out = reason == "signed_out";
        }
        _ => {}
    }
    chat.hear(frame);
}

fn encode(frame: &ClientFrame) -> SocketMessage {
    // Our own frames are plain data; an empty text would be refused and nothing worse.
    SocketMessage::Text(serde_json::to_string(frame).unwrap_or_default())
}

impl Chat {
    /// Takes up what earlier visits left behind in this browser, then starts sending it.
    pub fn restore(self) {
        if let Some(room_id) = self.room_id() {
            let draft = browser::stored(&self.draft_key(room_id)).unwrap_or_default();
            if self.draft.with_untracked(String::is_empty) {
                self.draft.set(draft);
            }
        }
        let mut kept: HashMap<RoomId, Vec<Outgoing>> = HashMap::new();
        for key in browser::stored_keys(&self.outbox_prefix()) {
            let room_id = key.split(':').next().and_then(|id| id.parse().ok()).map(RoomId::new);
            let text = browser::stored(&format!("{}{key}", self.outbox_prefix()));
            let one = text.and_then(|text| serde_json::from_str::<Outgoing>(&text).ok());
            if let (Some(room_id), Some(one)) = (room_id, one) {
                kept.entry(room_id).or_default().push(one);
            }
        }
        for (room_id, mut unsent) in kept {
            sort(&mut unsent, |a, b| a.created_at.cmp(&b.created_at));
            self.hold_room(room_id);
            self.change(room_id, |timeline| timeline.restore(unsent));
            self.send_pending(room_id);
        }
    }

    /// Remembers the draft of the room on screen.
    pub fn keep_draft(self) {
        if let Some(room_id) = self.room_id() {
            self.draft.with_untracked(|draft| browser::store(&self.draft_key(room_id), draft));
        }
    }

    /// Sends a message: shown at once, then tried until the server has it.
    ///
    /// # Errors
    /// The sentence to show when the text breaks a rule; it is kept.
    pub fn send(self, body: &str) -> Result<(), String> {
        let draft = Draft::parse(body).map_err(|error| error.to_string())?;
        let room_id = self.room_id().ok_or(texts::notice::CHOOSE_A_ROOM_FIRST)?;
        let id = browser::client_message_id().ok_or(texts::notice::THIS_BROWSER_CANNOT_SEND)?;
        self.hold_room(room_id);
        let reply_to = self.replying.with_untracked(|replying| {
            replying.as_ref().filter(|(room, _)| *room == room_id).map(|(_, quote)| quote.id)
        });
        self.note(room_id, |timeline| {
            timeline.send(id, draft.body(), browser::now());
            timeline.answer(id, reply_to);
        });
        self.send_pending(room_id);
        if reply_to.is_some() {
            self.replying.set(None);
        }
        self.notice.set(None);
        // Whoever writes has read everything before.
        self.stays_unread.set(false);
        self.say(ClientFrame::TypingStop { room_id });
        // Behind the request, which is on its way while this is laid out.
        spawn_local(async move {
            self.refresh();
            self.jump_to_newest();
        });
        Ok(())
    }

    /// Tries a failed message again.
    pub fn retry(self, key: ClientMessageId) {
        if let Some(room_id) = self.room_id() {
            self.change(room_id, |timeline| timeline.retry(key));
            self.send_pending(room_id);
        }
    }

    /// Gives a failed message up; its text returns to the composer unless something is there.
    pub fn discard(self, key: ClientMessageId) {
        let Some(room_id) = self.room_id() else {
            return;
        };
        let text = self.change(room_id, |timeline| timeline.discard(key)).flatten();
        if let Some(text) = text.filter(|_| self.draft.with_untracked(String::is_empty)) {
            self.draft.set(text);
            self.keep_draft();
        }
    }

    /// Stores a message's new text. True when it is done and the form can close.
    pub async fn edit(self, id: MessageId, body: &str) -> bool {
        let draft = match Draft::parse(body) {
            Ok(draft) => draft,
            Err(error) => {
                self.complain(error.to_string());
                return false;
            }
        };
        self.acknowledge(browser::edit_message(id, draft.body()).await)
    }

    /// Deletes a message that is not shown any more.
    async fn remove(self, room_id: RoomId, id: MessageId) {
        match browser::remove_message(id).await {
            Ok(()) => self.forget(room_id, id),
            Err(error) => {
                self.change(room_id, |timeline| timeline.hide(id, false));
                self.tell(error);
            }
        }
    }

    /// Deletes a message in a moment; until then it is only not shown.
    pub fn remove_soon(self, id: MessageId) {
        let Some(room_id) = self.room_id() else {
            return;
        };
        if self.editing.get_value() == Some(id) {
            self.stop_editing();
        }
        self.remove_now();
        self.change(room_id, |timeline| timeline.hide(id, true));
        let removal = Some((room_id, id, browser::now()));
        self.removal.set(removal);
        spawn_local(async move {
            let mut hesitates = true;
            while hesitates {
                TimeoutFuture::new(UNDO_MS).await;
                hesitates = browser::focused().is_some_and(|focused| focused.id() == "undo");
            }
            if self.removal.get_untracked() == removal {
                self.remove_now();
            }
        });
    }

    fn take_removal(self) -> Option<(RoomId, MessageId, Timestamp)> {
        let removal = self.removal.get_untracked()?;
        self.removal.set(None);
        Some(removal)
    }

    fn remove_now(self) {
        if let Some((room_id, id, _)) = self.take_removal() {
            spawn_local(self.remove(room_id, id));
        }
    }

    /// The page goes away, and with it the moment.
    pub fn leave(self) {
        if let Some((room_id, id, _)) = self.take_removal() {
            browser::send_on_leaving(&format!("/rooms/{room_id}/messages/{id}/delete"));
        }
    }

    /// Thinks better of deleting. False if there is nothing to think better of.
    pub fn undo(self) -> bool {
        let Some((room_id, id, _)) = self.take_removal() else {
            return false;
        };
        self.change(room_id, |timeline| timeline.hide(id, false));
        if let Some(row) = log::row_of_message(id) {
            log::focus(&row);
        }
        true
    }

    /// What is written next answers this message; the draft stays.
    pub fn reply_to(self, id: MessageId) {
        let room_id = self.room_id();
        let quote = room_id.and_then(|room_id| {
            self.on(room_id, |timeline| {
                let message = timeline.message(id)?;
                Some(Quote::new(id, message.creator.clone(), message.texts()))
            })?
        });
        self.set_reply(room_id.zip(quote));
    }

    /// What is written next answers this, or nothing.
    pub fn set_reply(self, reply: Option<(RoomId, Quote)>) {
        self.replying.set(reply);
        if let Some(field) = browser::element("body") {
            log::focus(&field);
        }
    }

    /// What concerns the viewer is on screen, if it is: it is not new to them any more.
    pub fn see_activity(self) {
        let list = browser::element("activity").filter(|_| browser::is_visible());
        let seen = list.and_then(|list| list.get_attribute("data-seen")?.parse().ok());
        if let Some(seen) = seen.map(Seq::new) {
            spawn_local(async move {
                // Another look at the page tries again.
                let _seen = browser::see_activity(seen).await;
            });
        }
    }

    /// The text of a stored message in the room on screen.
    pub fn body_of(self, id: MessageId) -> Option<String> {
        let room_id = self.room_id()?;
        self.on(room_id, |timeline| timeline.message(id).map(|message| message.body.clone()))?
    }

    fn forget(self, room_id: RoomId, id: MessageId) {
        let message = self.on(room_id, |timeline| timeline.message(id).cloned()).flatten();
        if let Some(message) = message {
            let tombstone = Arc::new(Message { deleted: true, ..(*message).clone() });
            self.change(room_id, |timeline| timeline.acknowledge(&tombstone));
        }
    }

    pub(super) fn send_all_pending(self) {
        let rooms: Vec<RoomId> = self.timelines.with_value(|all| all.keys().copied().collect());
        for room_id in rooms {
            self.send_pending(room_id);
        }
    }

    /// Puts the next pending message on the wire, and the one after when it has arrived.
    pub(super) fn send_pending(self, room_id: RoomId) {
        let Some(outgoing) = self.note(room_id, Timeline::next_to_send).flatten() else {
            return;
        };
        spawn_local(async move {
            let key = outgoing.client_message_id;
            match browser::create_message(room_id, &outgoing).await {
                Ok(message) => {
                    self.change(room_id, |timeline| timeline.acknowledge(&message));
                }
                Err(CallError::Passing) => {
                    let live = self.link.get_untracked() == Link::Live;
                    let next = self.change(room_id, |timeline| timeline.attempt_failed(key, live));
                    match next {
                        Some(NextAttempt::After(delay)) => TimeoutFuture::new(delay).await,
                        // Given up or confirmed from elsewhere: the next one's turn.
                        Some(NextAttempt::Never) => {}
                        Some(NextAttempt::WhenConnected) | None => return,
                    }
                }
                Err(CallError::SignedOut) => {
                    self.change(room_id, |timeline| timeline.attempt_failed(key, false));
                    browser::go_to("/session/new");
                    return;
                }
                Err(CallError::Refused(why)) => {
                    self.change(room_id, |timeline| timeline.refuse(key, &why.message));
                }
            }
            self.send_pending(room_id);
        });
    }

    /// Says what did not work.
    pub fn complain(self, sentence: String) {
        self.notice.set(Some((browser::now(), sentence)));
    }

    pub(super) fn tell(self, error: CallError) {
        match error {
            CallError::Passing => self.complain(texts::notice::THE_SERVER_DID_NOT_ANSWER.to_owned()),
            CallError::SignedOut => browser::go_to("/session/new"),
            CallError::Refused(why) => self.complain(why.message),
        }
    }

    /// Keeps what changed in this browser. Each message has a place of its own, so that two tabs
    /// never overwrite each other's.
    pub(super) fn keep_outgoing(self, room_id: RoomId, before: &[Outgoing], after: &[Outgoing]) {
        let key = |one: &Outgoing| format!("{}{room_id}:{}", self.outbox_prefix(), one.client_message_id);
        for gone in before {
            if !after.iter().any(|one| one.client_message_id == gone.client_message_id) {
                browser::store(&key(gone), "");
            }
        }
        for one in after {
            let known = before.iter().find(|old| old.client_message_id == one.client_message_id);
            if known.is_none_or(|old| old.progress != one.progress) {
                browser::store(&key(one), &serde_json::to_string(one).unwrap_or_default());
            }
        }
    }

    fn outbox_prefix(self) -> String {
        format!("campfire:{}:outbox:", self.viewer.with_value(|viewer| viewer.id))
    }

    pub(super) fn draft_key(self, room_id: RoomId) -> String {
        format!("campfire:{}:draft:{room_id}", self.viewer.with_value(|viewer| viewer.id))
    }
}

/// A sign of typing is repeated at most this often (Campfire's value).
const TYPING_EVERY_MS: i64 = 1_000;

/// Says that the viewer is writing, but not all the time.
#[derive(Clone, Copy)]
pub struct Typing {
    chat: Chat,
    last_said_ms: StoredValue<i64>,
}

impl Typing {
    /// Nothing has been said yet.
    pub fn new(chat: Chat) -> Self {
        Self { chat, last_said_ms: StoredValue::new(0) }
    }

    /// What was written has been sent or taken back: the next sign is due at once.
    pub fn ended(self) {
        self.last_said_ms.set_value(0);
    }

    /// What is written has changed.
    pub fn changed(self, is_empty: bool) {
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
