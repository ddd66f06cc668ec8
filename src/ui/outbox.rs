//! The viewer's own words: sending until the server has them, editing, deleting, and keeping what
//! is unsent in this browser, so that neither a dead network nor a reload loses it.

use super::browser;
use super::client::{self, CallError};
use super::state::{Chat, Link};
use crate::domain::event::ClientFrame;
use crate::domain::message::{ClientMessageId, Draft, Message};
use crate::domain::row::Outgoing;
use crate::domain::timeline::{NextAttempt, Timeline};
use crate::domain::{MessageId, RoomId};
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use wasm_bindgen_futures::spawn_local;

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
            unsent.sort_by_key(|one| one.created_at);
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
        let room_id = self.room_id().ok_or("Choose a room first.")?;
        let id = browser::client_message_id().ok_or("This browser cannot send messages.")?;
        self.hold_room(room_id);
        self.change(room_id, |timeline| timeline.send(id, draft.body(), browser::now()));
        self.notice.set(None);
        self.say(ClientFrame::TypingStop { room_id });
        self.jump_to_newest();
        self.send_pending(room_id);
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
                self.notice.set(Some(error.to_string()));
                return false;
            }
        };
        match client::edit_message(id, draft.body()).await {
            Ok(message) => {
                self.change(message.room_id, |timeline| timeline.acknowledge(&message));
                true
            }
            Err(error) => {
                self.tell(error);
                false
            }
        }
    }

    /// Deletes a message.
    pub async fn remove(self, id: MessageId) {
        match client::remove_message(id).await {
            Ok(()) => self.forget(id),
            Err(error) => self.tell(error),
        }
    }

    /// The text of a stored message in the room on screen.
    pub fn body_of(self, id: MessageId) -> Option<String> {
        let room_id = self.room_id()?;
        self.on(room_id, |timeline| timeline.message(id).map(|message| message.body.clone()))?
    }

    fn forget(self, id: MessageId) {
        let Some(room_id) = self.room_id() else {
            return;
        };
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
        let Some(outgoing) = self.change(room_id, Timeline::next_to_send).flatten() else {
            return;
        };
        spawn_local(async move {
            let key = outgoing.client_message_id;
            match client::create_message(room_id, &outgoing).await {
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

    fn tell(self, error: CallError) {
        match error {
            CallError::Passing => {
                self.notice.set(Some("The server did not answer. Try again.".into()));
            }
            CallError::SignedOut => browser::go_to("/session/new"),
            CallError::Refused(why) => self.notice.set(Some(why.message)),
        }
    }

    /// Keeps what changed in this browser. Each message has a place of its own, so that two tabs
    /// never overwrite each other's.
    pub(super) fn keep_outgoing(self, room_id: RoomId, before: &[Outgoing], after: &[Outgoing]) {
        let key =
            |one: &Outgoing| format!("{}{room_id}:{}", self.outbox_prefix(), one.client_message_id);
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
