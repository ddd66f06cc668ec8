//! The browser's state: signals around the reducers of `domain`, and the only code that changes
//! them.
//!
//! [`Chat`] is a small handle that every component may copy. The reducers are plain values; after
//! each change [`Chat::refresh`] mirrors them into one list of keys and one signal for each row,
//! so that an edit touches one row and a new message moves none.

use super::browser;
use super::client::{self, CallError};
use super::controls::LocalTime;
use super::scroll;
use super::{Boot, Screen};
use crate::domain::account::{UserRef, Viewer};
use crate::domain::event::{ClientFrame, ServerFrame};
use crate::domain::message::{ClientMessageId, Draft, Message, MessagePage};
use crate::domain::room::Room;
use crate::domain::sidebar::Sidebar;
use crate::domain::timeline::{NextAttempt, Outgoing, Progress, Row, RowContent, Timeline};
use crate::domain::{MessageId, RoomId, Seq};
use futures::channel::mpsc::UnboundedSender;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use wasm_bindgen_futures::spawn_local;

/// Rooms whose messages are kept for an instant return.
const MAX_TIMELINES: usize = 20;
/// Read marks are gathered this long, so that a busy room costs one write a moment, not one for
/// every message and reader.
const READ_DELAY_MS: u32 = 400;

/// How the connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The page has just been loaded.
    Starting,
    /// Live.
    Live,
    /// Gone; trying again.
    Lost,
}

/// The handle to everything the page knows.
#[derive(Clone, Copy)]
pub struct Chat {
    /// Who is signed in.
    pub viewer: StoredValue<Viewer>,
    /// What the chat is called.
    pub account_name: StoredValue<String>,
    /// The database every cursor belongs to.
    pub incarnation: StoredValue<String>,
    /// Rooms, presence, typing.
    pub sidebar: RwSignal<Sidebar>,
    /// The room on screen.
    pub room: RwSignal<Option<Room>>,
    /// The rows on screen, top to bottom.
    pub keys: RwSignal<Vec<ClientMessageId>>,
    /// Whether there is history above the loaded window.
    pub has_older: RwSignal<bool>,
    /// Whether there are messages below the loaded window.
    pub has_newer: RwSignal<bool>,
    /// Whether history is being loaded.
    pub loading: RwSignal<bool>,
    /// Messages that arrived below what the reader sees.
    pub unseen: RwSignal<u32>,
    /// Whether the reader has scrolled away from the newest message.
    pub away: RwSignal<bool>,
    /// The message being edited in place.
    pub editing: RwSignal<Option<MessageId>>,
    /// What is written but not sent.
    pub draft: RwSignal<String>,
    /// A sentence about the last thing that did not work.
    pub notice: RwSignal<Option<String>>,
    /// How the connection is doing.
    pub link: RwSignal<Link>,
    rows: StoredValue<HashMap<ClientMessageId, ArcRwSignal<Row>>>,
    timelines: StoredValue<HashMap<RoomId, Timeline>>,
    commands: StoredValue<Option<UnboundedSender<ClientFrame>>>,
    wake: StoredValue<Option<UnboundedSender<()>>>,
    read_pending: StoredValue<bool>,
    local_time: LocalTime,
}

impl Chat {
    /// The state a page was rendered with; the same on both sides.
    pub fn new(boot: &Boot, local_time: LocalTime) -> Self {
        let chat = Self {
            viewer: StoredValue::new(boot.viewer.clone()),
            account_name: StoredValue::new(boot.account_name.clone()),
            incarnation: StoredValue::new(boot.incarnation.clone()),
            sidebar: RwSignal::new(Sidebar::new(boot.rooms.clone(), boot.online.clone())),
            room: RwSignal::new(None),
            keys: RwSignal::new(Vec::new()),
            has_older: RwSignal::new(false),
            has_newer: RwSignal::new(false),
            loading: RwSignal::new(false),
            unseen: RwSignal::new(0),
            away: RwSignal::new(false),
            editing: RwSignal::new(None),
            draft: RwSignal::new(String::new()),
            notice: RwSignal::new(None),
            link: RwSignal::new(Link::Starting),
            rows: StoredValue::new(HashMap::new()),
            timelines: StoredValue::new(HashMap::new()),
            commands: StoredValue::new(None),
            wake: StoredValue::new(None),
            read_pending: StoredValue::new(false),
            local_time,
        };
        if let Screen::Room(screen) = &boot.screen {
            let room_id = screen.room.id;
            let timeline = Timeline::around(room_id, &screen.page, screen.has_newer);
            chat.timelines.update_value(|all| {
                all.insert(room_id, timeline);
            });
            chat.room.set(Some(screen.room.clone()));
            chat.refresh();
        }
        chat
    }

    /// The id of the room on screen.
    pub fn room_id(self) -> Option<RoomId> {
        self.room
            .with_untracked(|room| room.as_ref().map(|room| room.id))
    }

    /// The signal of a row.
    pub fn row(self, key: ClientMessageId) -> Option<ArcRwSignal<Row>> {
        self.rows.with_value(|rows| rows.get(&key).cloned())
    }

    /// Where this tab stands, for the socket's hello.
    pub fn position(self) -> (Option<RoomId>, Option<Seq>) {
        let room_id = self.room_id();
        let cursor = room_id.and_then(|id| {
            self.timelines
                .with_value(|all| all.get(&id).map(Timeline::cursor))
        });
        (room_id, cursor)
    }

    // The connection.

    /// The socket is open; `commands` reach it.
    pub fn connected(self, commands: UnboundedSender<ClientFrame>) {
        self.commands.set_value(Some(commands));
    }

    /// The socket is gone.
    pub fn disconnected(self) {
        self.commands.set_value(None);
        self.sidebar.update(Sidebar::clear_typing);
        self.link.set(Link::Lost);
    }

    /// Where to ring when it is worth trying again at once.
    pub fn set_wake(self, wake: UnboundedSender<()>) {
        self.wake.set_value(Some(wake));
    }

    /// The network is back or the tab is seen again: try now.
    pub fn wake(self) {
        self.wake.with_value(|wake| {
            if let Some(wake) = wake {
                // Nobody listens while the socket is open, and nothing is lost.
                let _rung = wake.unbounded_send(());
            }
        });
        self.read_soon();
    }

    /// Says something to the server, if it is there; nothing said here needs to survive.
    pub fn say(self, frame: ClientFrame) {
        self.commands.with_value(|commands| {
            if let Some(commands) = commands {
                let _said = commands.unbounded_send(frame);
            }
        });
    }

    /// Folds in what the server says.
    pub fn hear(self, frame: ServerFrame) {
        match frame {
            ServerFrame::Welcome {
                incarnation,
                rooms,
                online,
                ..
            } => {
                self.incarnation.set_value(incarnation);
                self.sidebar
                    .update(|sidebar| sidebar.welcome(rooms, online));
                self.link.set(Link::Live);
                self.timelines
                    .update_value(|all| all.values_mut().for_each(Timeline::connected));
                self.send_all_pending();
                self.read_soon();
            }
            ServerFrame::Changes {
                room_id,
                messages,
                cursor,
            } => {
                let before = self.last_id(room_id);
                self.change(room_id, |timeline| {
                    timeline.apply_changes(&messages, cursor)
                });
                let news = messages.iter().filter(|message| Some(message.id) > before);
                self.note_arrivals(room_id, news.filter(|message| !message.deleted).count());
            }
            ServerFrame::Reset { room_id } => spawn_local(self.start_afresh(room_id)),
            ServerFrame::MessageCreated { message } => {
                self.sidebar
                    .update(|sidebar| sidebar.stopped_typing(message.creator.id));
                let room_id = message.room_id;
                let news = self.change(room_id, |timeline| timeline.apply(&message));
                let mine = message.creator.id == self.viewer.with_value(|viewer| viewer.id);
                self.note_arrivals(room_id, usize::from(news == Some(true) && !mine));
            }
            ServerFrame::MessageUpdated { message } | ServerFrame::MessageDeleted { message } => {
                self.change(message.room_id, |timeline| timeline.apply(&message));
            }
            ServerFrame::RoomActivity {
                room_id,
                message_id,
            } => {
                self.sidebar
                    .update(|sidebar| sidebar.activity(room_id, message_id));
            }
            ServerFrame::Read {
                room_id,
                message_id,
            } => {
                self.sidebar
                    .update(|sidebar| sidebar.read(room_id, message_id));
            }
            ServerFrame::Typing {
                room_id,
                user,
                active,
            } => {
                if self.room_id() == Some(room_id) {
                    let now = browser::now().ms();
                    self.sidebar
                        .update(|sidebar| sidebar.typing(user, active, now));
                }
            }
            ServerFrame::Presence {
                user_id,
                name,
                online,
            } => {
                let user = UserRef { id: user_id, name };
                self.sidebar
                    .update(|sidebar| sidebar.presence(user, online));
            }
            ServerFrame::Room { room } => self.sidebar.update(|s| s.upsert_room(room)),
            ServerFrame::RoomRemoved { room_id } => self.sidebar.update(|s| s.remove_room(room_id)),
            ServerFrame::Goodbye { .. } | ServerFrame::Pong | ServerFrame::Error { .. } => {}
        }
    }

    // Rooms.

    /// Shows a room: at once if it has been seen before, else as soon as it is loaded.
    pub fn open_room(self, room_id: RoomId) {
        let known = self
            .sidebar
            .with_untracked(|sidebar| sidebar.room(room_id).map(|entry| entry.room.clone()));
        let Some(room) = known.filter(|_| self.room_id() != Some(room_id)) else {
            return;
        };
        self.room.set(Some(room));
        self.editing.set(None);
        self.notice.set(None);
        self.unseen.set(0);
        self.sidebar.update(Sidebar::clear_typing);
        self.draft
            .set(browser::stored(&self.draft_key(room_id)).unwrap_or_default());
        browser::set_cookie("last_room", &room_id.to_string());
        self.refresh();
        scroll::to_newest();
        spawn_local(async move {
            if self.ensure_timeline(room_id).await && self.room_id() == Some(room_id) {
                self.refresh();
                self.watch(room_id);
            }
        });
    }

    /// Takes up what earlier visits left behind in this browser, then starts sending it.
    pub fn restore(self) {
        if let Some(room_id) = self.room_id() {
            let draft = browser::stored(&self.draft_key(room_id)).unwrap_or_default();
            if self.draft.with_untracked(String::is_empty) {
                self.draft.set(draft);
            }
        }
        for room_id in browser::stored_keys(&self.outbox_prefix()) {
            let Ok(room_id) = room_id.parse().map(RoomId::new) else {
                continue;
            };
            let kept = browser::stored(&self.outbox_key(room_id)).unwrap_or_default();
            let kept: Vec<Outgoing> = serde_json::from_str(&kept).unwrap_or_default();
            spawn_local(async move {
                if self.ensure_timeline(room_id).await {
                    self.change(room_id, |timeline| timeline.restore(kept));
                    self.send_pending(room_id);
                }
            });
        }
    }

    /// Remembers the draft of the room on screen.
    pub fn keep_draft(self) {
        if let Some(room_id) = self.room_id() {
            self.draft
                .with_untracked(|draft| browser::store(&self.draft_key(room_id), draft));
        }
    }

    /// Loads the page above the window.
    pub async fn load_older(self) {
        let Some(room_id) = self.room_id().filter(|_| !self.loading.get_untracked()) else {
            return;
        };
        let Some(before) = self.on(room_id, Timeline::oldest).flatten() else {
            return;
        };
        self.loading.set(true);
        if let Ok(page) = client::load_page(room_id, &format!("before={before}")).await {
            let replay = self.change(room_id, |timeline| {
                let replay = timeline.merge_older(before, &page);
                timeline.prune_below();
                replay
            });
            self.replay(room_id, replay.flatten());
        }
        self.loading.set(false);
    }

    /// Loads the page below the window.
    pub async fn load_newer(self) {
        let Some(room_id) = self.room_id().filter(|_| !self.loading.get_untracked()) else {
            return;
        };
        let Some(after) = self.on(room_id, Timeline::newest_loaded).flatten() else {
            return;
        };
        self.loading.set(true);
        if let Ok(page) = client::load_page(room_id, &format!("after={after}")).await {
            let replay = self.change(room_id, |timeline| {
                let replay = timeline.merge_newer(after, &page);
                timeline.prune_above();
                replay
            });
            self.replay(room_id, replay.flatten());
        }
        self.loading.set(false);
    }

    /// Goes to the newest message.
    pub fn jump_to_newest(self) {
        self.unseen.set(0);
        match self.room_id().filter(|_| self.has_newer.get_untracked()) {
            Some(room_id) => spawn_local(async move {
                self.start_afresh(room_id).await;
                scroll::to_newest();
            }),
            None => scroll::to_newest(),
        }
    }

    /// The reader has scrolled: `near_end` if the newest loaded message is in sight.
    pub fn scrolled(self, near_end: bool) {
        let away = !near_end || self.has_newer.get_untracked();
        if self.away.get_untracked() != away {
            self.away.set(away);
        }
        if !away {
            self.unseen.set(0);
            self.read_soon();
        }
    }

    // Messages.

    /// Sends a message: shown at once, then tried until the server has it.
    ///
    /// # Errors
    /// The sentence to show when the text breaks a rule; it is kept.
    pub fn send(self, body: &str) -> Result<(), String> {
        let draft = Draft::parse(body).map_err(|error| error.to_string())?;
        let room_id = self.room_id().ok_or("Choose a room first.")?;
        let id = browser::client_message_id().ok_or("This browser cannot send messages.")?;
        self.change(room_id, |timeline| {
            timeline.send(id, draft.body(), browser::now())
        });
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
        let text = self
            .change(room_id, |timeline| timeline.discard(key))
            .flatten();
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
        self.on(room_id, |timeline| {
            timeline.message(id).map(|message| message.body.clone())
        })?
    }

    /// Shows times in the reader's zone from now on; days may move with them.
    pub fn use_local_time(self) {
        self.local_time.0.set(true);
        self.refresh();
    }

    // Inside.

    fn on<T>(self, room_id: RoomId, read: impl FnOnce(&Timeline) -> T) -> Option<T> {
        self.timelines.with_value(|all| all.get(&room_id).map(read))
    }

    fn last_id(self, room_id: RoomId) -> Option<MessageId> {
        self.on(room_id, Timeline::last_id).flatten()
    }

    /// Changes a room's timeline and shows the result.
    fn change<T>(self, room_id: RoomId, change: impl FnOnce(&mut Timeline) -> T) -> Option<T> {
        let mut done = None;
        self.timelines.update_value(|all| {
            if let Some(timeline) = all.get_mut(&room_id) {
                let before = timeline.outgoing().to_vec();
                done = Some(change(timeline));
                if before != timeline.outgoing() {
                    self.keep_outgoing(room_id, timeline.outgoing());
                }
            }
        });
        if self.room_id() == Some(room_id) {
            scroll::hold();
            self.refresh();
        }
        done
    }

    /// Mirrors the room on screen into signals; what did not change is left alone.
    fn refresh(self) {
        let viewer = self.viewer.with_value(Viewer::as_author);
        let shown = self.room_id().and_then(|room_id| {
            self.on(room_id, |timeline| {
                let rows = timeline.rows(&viewer, |at| self.local_time.day_of(at));
                (rows, timeline.has_older(), timeline.has_newer())
            })
        });
        let (rows, has_older, has_newer) = shown.unwrap_or_default();
        let keys: Vec<ClientMessageId> = rows.iter().map(Row::key).collect();
        self.rows.update_value(|signals| {
            let mut left = std::mem::take(signals);
            for row in rows {
                let key = row.key();
                let signal = match left.remove(&key) {
                    Some(signal) => {
                        if signal.with_untracked(|old| *old != row) {
                            signal.set(row);
                        }
                        signal
                    }
                    None => ArcRwSignal::new(row),
                };
                signals.insert(key, signal);
            }
        });
        set_if_changed(self.keys, keys);
        set_if_changed(self.has_older, has_older);
        set_if_changed(self.has_newer, has_newer);
    }

    async fn ensure_timeline(self, room_id: RoomId) -> bool {
        if self.on(room_id, |_| ()).is_some() {
            return true;
        }
        if let Ok(page) = client::load_page(room_id, "").await {
            self.insert_timeline(room_id, &page);
            true
        } else {
            self.notice.set(Some(
                "That room could not be loaded. Try again in a moment.".into(),
            ));
            false
        }
    }

    fn insert_timeline(self, room_id: RoomId, page: &MessagePage) {
        let here = self.room_id();
        self.timelines.update_value(|all| {
            if all.len() >= MAX_TIMELINES {
                all.retain(|id, timeline| Some(*id) == here || !timeline.outgoing().is_empty());
            }
            all.entry(room_id)
                .or_insert_with(|| Timeline::new(room_id, page));
        });
    }

    async fn start_afresh(self, room_id: RoomId) {
        if let Ok(page) = client::load_page(room_id, "").await {
            self.change(room_id, |timeline| timeline.reset(&page));
            self.replay(room_id, Some(page.cursor));
        }
    }

    /// Asks for everything after a cursor again.
    fn replay(self, room_id: RoomId, cursor: Option<Seq>) {
        if let Some(cursor) = cursor.filter(|_| self.room_id() == Some(room_id)) {
            self.say(ClientFrame::OpenRoom {
                room_id,
                cursor: Some(cursor),
            });
        }
    }

    fn watch(self, room_id: RoomId) {
        self.replay(room_id, self.on(room_id, Timeline::cursor));
        self.read_soon();
    }

    fn forget(self, id: MessageId) {
        let Some(room_id) = self.room_id() else {
            return;
        };
        let message = self
            .on(room_id, |timeline| timeline.message(id).cloned())
            .flatten();
        if let Some(message) = message {
            let tombstone = Arc::new(Message {
                deleted: true,
                ..(*message).clone()
            });
            self.change(room_id, |timeline| timeline.acknowledge(&tombstone));
        }
    }

    fn note_arrivals(self, room_id: RoomId, count: usize) {
        if self.room_id() != Some(room_id) || count == 0 {
            return;
        }
        if self.away.get_untracked() {
            self.unseen
                .update(|unseen| *unseen += u32::try_from(count).unwrap_or(0));
        }
        self.change(room_id, |timeline| {
            if !self.away.get_untracked() {
                timeline.prune_above();
            }
        });
        self.read_soon();
    }

    /// Marks the room read in a moment, if somebody is there to read it.
    fn read_soon(self) {
        if self.read_pending.get_value() {
            return;
        }
        self.read_pending.set_value(true);
        spawn_local(async move {
            TimeoutFuture::new(READ_DELAY_MS).await;
            self.read_pending.set_value(false);
            let seen = browser::is_visible() && !self.away.get_untracked();
            let Some(room_id) = self.room_id().filter(|_| seen) else {
                return;
            };
            let Some(message_id) = self.last_id(room_id) else {
                return;
            };
            let unread = self.sidebar.with_untracked(|sidebar| {
                sidebar
                    .room(room_id)
                    .is_some_and(|entry| entry.unread || entry.last_message_id < Some(message_id))
            });
            if unread && self.link.get_untracked() == Link::Live {
                self.sidebar
                    .update(|sidebar| sidebar.read(room_id, message_id));
                self.say(ClientFrame::Read {
                    room_id,
                    message_id,
                });
            }
        });
    }

    fn send_all_pending(self) {
        let rooms: Vec<RoomId> = self
            .timelines
            .with_value(|all| all.keys().copied().collect());
        for room_id in rooms {
            self.send_pending(room_id);
        }
    }

    /// Puts the next pending message on the wire, and the one after when it has arrived.
    fn send_pending(self, room_id: RoomId) {
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
                    if let Some(NextAttempt::After(delay)) = next {
                        TimeoutFuture::new(delay).await;
                    } else {
                        return;
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
                self.notice
                    .set(Some("The server did not answer. Try again.".into()));
            }
            CallError::SignedOut => browser::go_to("/session/new"),
            CallError::Refused(why) => self.notice.set(Some(why.message)),
        }
    }

    fn keep_outgoing(self, room_id: RoomId, outgoing: &[Outgoing]) {
        let text = match outgoing {
            [] => String::new(),
            some => serde_json::to_string(some).unwrap_or_default(),
        };
        browser::store(&self.outbox_key(room_id), &text);
    }

    fn outbox_prefix(self) -> String {
        format!(
            "campfire:{}:outbox:",
            self.viewer.with_value(|viewer| viewer.id)
        )
    }

    fn outbox_key(self, room_id: RoomId) -> String {
        format!("{}{room_id}", self.outbox_prefix())
    }

    fn draft_key(self, room_id: RoomId) -> String {
        format!(
            "campfire:{}:draft:{room_id}",
            self.viewer.with_value(|viewer| viewer.id)
        )
    }
}

fn set_if_changed<T: PartialEq + Send + Sync + 'static>(signal: RwSignal<T>, value: T) {
    if signal.with_untracked(|old| *old != value) {
        signal.set(value);
    }
}

/// Whether a row is the viewer's own, and may be changed by them.
pub fn is_own(row: &Row, viewer: &Viewer) -> bool {
    match &row.content {
        RowContent::Sent(message) => message.creator.id == viewer.id,
        RowContent::Outgoing(_) => true,
    }
}

/// Why a row was not sent, if it was not.
pub fn failure(row: &Row) -> Option<&str> {
    match &row.content {
        RowContent::Outgoing(Outgoing {
            progress: Progress::Failed(reason),
            ..
        }) => Some(reason),
        _ => None,
    }
}
