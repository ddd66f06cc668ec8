//! The composer: what is written, who else is writing, and the way back to the newest message.
//!
//! A plain form that posts without scripts. Live, Enter sends (not while an input method is
//! composing, not on touch screens), Shift+Enter breaks the line, Ctrl or Cmd+Enter always sends.
//! The draft is kept in this browser on every keystroke, so nothing written is lost.
//!
//! Below it, the viewer's own words: sending until the server has them, editing, deleting, and
//! keeping what is unsent in this browser, so that neither a dead network nor a reload loses it.

use super::browser::{self, CallError};
use super::controls::Icon;
use super::state::{Chat, Link};
use crate::domain::event::ClientFrame;
use crate::domain::message::{ClientMessageId, Draft, Message};
use crate::domain::row::Outgoing;
use crate::domain::sidebar::Sidebar;
use crate::domain::timeline::{NextAttempt, Timeline};
use crate::domain::{MessageId, RoomId};
use gloo_timers::future::TimeoutFuture;
use leptos::ev::KeyboardEvent;
use leptos::html::Textarea;
use leptos::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use wasm_bindgen_futures::spawn_local;

/// A sign of typing is repeated at most this often (Campfire's value).
const TYPING_EVERY_MS: i64 = 1_000;

/// Everything below the message list.
#[component]
pub fn Composer(
    /// The chat.
    chat: Chat,
    /// The name of the next message, for browsers without scripts.
    client_message_id: ClientMessageId,
    /// What could not be sent without scripts, and why.
    unsent: Option<(String, String)>,
    /// Whether the focus stays elsewhere at first: on the message the address points at.
    waits: bool,
) -> impl IntoView {
    let field = NodeRef::<Textarea>::new();
    let (typed, problem) = unsent.unzip();
    let problem = RwSignal::new(problem);
    let room_id = move || chat.room.with(|room| room.as_ref().map(|room| room.id));
    let action = move || room_id().map(|id| format!("/rooms/{id}/messages"));
    let placeholder = move || {
        let name = chat.room.with(|room| room.as_ref().map(|room| room.name.clone()));
        format!("Message {}", name.unwrap_or_default())
    };
    let typing = Typing::new(chat);
    follow_draft(chat, field, waits);
    let send = move || {
        let Some(text) = field.get_untracked().map(|field| field.value()) else {
            return;
        };
        if text.trim().is_empty() {
            return;
        }
        match chat.send(&text) {
            Ok(()) => {
                problem.set(None);
                typing.ended();
                chat.draft.set(String::new());
                chat.keep_draft();
            }
            Err(sentence) => problem.set(Some(sentence)),
        }
        if let Some(field) = field.get_untracked() {
            let _focused = field.focus();
        }
    };
    let input = move |_| {
        if let Some(field) = field.get_untracked() {
            chat.draft.set(field.value());
            chat.keep_draft();
            typing.changed(field.value().trim().is_empty());
        }
    };
    let keys = move |event: KeyboardEvent| {
        if sends(&event) {
            event.prevent_default();
            send();
        }
    };
    view! {
        <div class="dock" hidden=move || chat.gone.get()>
            <JumpPill chat=chat/>
            <p class="typing" aria-live="polite">
                {move || chat.sidebar.with(Sidebar::typing_line).map(|line| view! {
                    <span class="typing__dots" aria-hidden="true"><i></i><i></i><i></i></span>
                    {line}
                })}
            </p>
            <form class="composer" action=action method="post" aria-label="New message"
                on:submit=move |event| {
                    event.prevent_default();
                    send();
                }>
                {move || problem.get().map(|sentence| view! {
                    <p class="composer__context composer__problem" role="alert">
                        <Icon name="warning" class="icon icon--s"/>{sentence}
                    </p>
                })}
                <input type="hidden" name="client_message_id" value=client_message_id.to_string()/>
                <div class="composer__row">
                    <textarea class="composer__field" id="body" name="body" rows="1" dir="auto"
                        placeholder=placeholder aria-label=placeholder node_ref=field
                        on:input=input on:keydown=keys>{typed}</textarea>
                    <button type="submit" class="icon-button send" aria-label="Send message"
                        title="Send message"><Icon name="send"/></button>
                </div>
            </form>
        </div>
    }
}

/// Whether an input method is at work. 229 is what browsers report even after it says it is not.
pub(super) fn is_composing(event: &KeyboardEvent) -> bool {
    event.is_composing() || event.key_code() == 229
}

/// Whether this key sends.
pub(super) fn sends(event: &KeyboardEvent) -> bool {
    if event.key() != "Enter" || is_composing(event) {
        return false;
    }
    event.ctrl_key() || event.meta_key() || !(event.shift_key() || browser::has_coarse_pointer())
}

/// Keeps field and draft equal. What was typed before the page came alive wins over nothing.
fn follow_draft(chat: Chat, field: NodeRef<Textarea>, waits: bool) {
    Effect::new(move |seen: Option<Option<RoomId>>| {
        let room_id = chat.room.with(|room| room.as_ref().map(|room| room.id));
        let draft = chat.draft.get();
        let field = field.get()?;
        let typed = field.value();
        if seen.flatten().is_none() && !typed.is_empty() {
            chat.draft.set(typed);
            chat.keep_draft();
        } else if typed != draft {
            field.set_value(&draft);
        }
        let first = seen.is_none() && waits;
        if seen != Some(room_id) && !first && !browser::has_coarse_pointer() {
            let _focused = field.focus();
        }
        room_id
    });
}

/// Says that the viewer is writing, but not all the time.
#[derive(Clone, Copy)]
struct Typing {
    chat: Chat,
    last_said_ms: StoredValue<i64>,
}

impl Typing {
    fn new(chat: Chat) -> Self {
        Self { chat, last_said_ms: StoredValue::new(0) }
    }

    /// What was written has been sent or taken back: the next sign is due at once.
    fn ended(self) {
        self.last_said_ms.set_value(0);
    }

    fn changed(self, is_empty: bool) {
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

/// The way back to the newest message, with the number of those not seen yet.
#[component]
fn JumpPill(chat: Chat) -> impl IntoView {
    let text = move || match chat.unseen.get() {
        0 => "Jump to newest".to_owned(),
        1 => "1 new message".to_owned(),
        count => format!("{count} new messages"),
    };
    move || {
        (chat.away.get() || chat.has_newer.get()).then(|| {
            view! {
                <button type="button" class="jump" on:click=move |_| chat.jump_to_newest()>
                    <Icon name="arrow-down" class="icon icon--s"/>{text}
                </button>
            }
        })
    }
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
        match browser::edit_message(id, draft.body()).await {
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
        match browser::remove_message(id).await {
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
