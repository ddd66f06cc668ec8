//! The browser's state: signals around the reducers of `domain`, and the only code that changes
//! them.
//!
//! [`Chat`] is a small handle that every component may copy. The reducers are plain values; after
//! each change `Chat::refresh` compares the rows on screen with the rows there should be and has
//! the difference patched into the document, so that an edit touches one row and a new message
//! moves none. Everything around the rows hangs on signals.

use super::browser;
use super::log;
use super::message::Painter;
use super::{Boot, Screen};
use crate::domain::account::{UserRef, Viewer};
use crate::domain::event::{ClientFrame, ServerFrame, Sidebar};
use crate::domain::message::{self, Outgoing, Progress, Quote, Row, RowChange, RowContent};
use crate::domain::room::{Room, SidebarRoom};
use crate::domain::timeline::Timeline;
use crate::domain::{MessageId, RoomId, Seq, Timestamp};
use futures::channel::mpsc::UnboundedSender;
use leptos::prelude::*;
use std::collections::HashMap;
use wasm_bindgen_futures::spawn_local;

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
    pub account_name: RwSignal<String>,
    /// Whether the viewer may create rooms.
    pub may_create_rooms: bool,
    /// The database every cursor belongs to.
    pub incarnation: StoredValue<String>,
    /// Rooms, presence, typing.
    pub sidebar: RwSignal<Sidebar>,
    /// The room on screen.
    pub room: RwSignal<Option<Room>>,
    /// Whether the viewer has lost their place in it, or it was deleted.
    pub gone: RwSignal<bool>,
    /// The page is live: signals lead to the document, and times are the reader's own.
    pub alive: RwSignal<bool>,
    /// The rows on screen, top to bottom.
    pub rows: StoredValue<Vec<Row>>,
    /// Whether there are none.
    pub is_empty: RwSignal<bool>,
    /// Whether there is history above the loaded window.
    pub has_older: RwSignal<bool>,
    /// Whether there are messages below the loaded window.
    pub has_newer: RwSignal<bool>,
    /// Whether history is being loaded.
    pub loading: RwSignal<bool>,
    /// Whether the room on screen has been loaded at all.
    pub ready: RwSignal<bool>,
    /// Messages that arrived below what the reader sees.
    pub unseen: RwSignal<u32>,
    /// Whether the reader has scrolled away from the newest message.
    pub away: RwSignal<bool>,
    /// The message being edited in place.
    pub editing: StoredValue<Option<MessageId>>,
    /// What is written but not sent.
    pub draft: RwSignal<String>,
    /// The message that what is written answers, and its room.
    pub replying: RwSignal<Option<(RoomId, Quote)>>,
    /// How much of what concerns the viewer is new to them.
    pub activity: RwSignal<u32>,
    /// A sentence about the last thing that did not work, and when that was: said again, it is news.
    pub notice: RwSignal<Option<(Timestamp, String)>>,
    /// When a link was copied, for as long as that is worth a word.
    pub copied: RwSignal<Option<Timestamp>>,
    /// Whether the unread line is worth a jump: above what is in sight, and not seen yet.
    pub line_above: RwSignal<bool>,
    pub(super) line_seen: StoredValue<bool>,
    /// Whether the room on screen stays unread until the reader comes back to it.
    pub stays_unread: RwSignal<bool>,
    /// The message that is deleted in a moment, and since when.
    pub removal: RwSignal<Option<(RoomId, MessageId, Timestamp)>>,
    /// How the connection is doing.
    pub link: RwSignal<Link>,
    pub(super) timelines: StoredValue<HashMap<RoomId, Timeline>>,
    commands: StoredValue<Option<UnboundedSender<ClientFrame>>>,
    wake: StoredValue<Option<UnboundedSender<()>>>,
    pub(super) read_pending: StoredValue<bool>,
}

impl Chat {
    /// The state a page was rendered with; the same on both sides.
    pub fn new(boot: &Boot) -> Self {
        let chat = Self {
            viewer: StoredValue::new(boot.viewer.clone()),
            account_name: RwSignal::new(boot.account_name.clone()),
            may_create_rooms: boot.may_create_rooms,
            incarnation: StoredValue::new(boot.incarnation.clone()),
            sidebar: RwSignal::new(Sidebar::new(boot.rooms.clone(), boot.online.clone(), boot.online_count)),
            room: RwSignal::new(None),
            gone: RwSignal::new(false),
            alive: RwSignal::new(false),
            rows: StoredValue::new(Vec::new()),
            is_empty: RwSignal::new(true),
            has_older: RwSignal::new(false),
            has_newer: RwSignal::new(false),
            loading: RwSignal::new(false),
            ready: RwSignal::new(true),
            unseen: RwSignal::new(0),
            away: RwSignal::new(false),
            editing: StoredValue::new(None),
            draft: RwSignal::new(String::new()),
            replying: RwSignal::new(None),
            activity: RwSignal::new(0),
            notice: RwSignal::new(None),
            copied: RwSignal::new(None),
            line_above: RwSignal::new(false),
            line_seen: StoredValue::new(false),
            stays_unread: RwSignal::new(false),
            removal: RwSignal::new(None),
            link: RwSignal::new(Link::Starting),
            timelines: StoredValue::new(HashMap::new()),
            commands: StoredValue::new(None),
            wake: StoredValue::new(None),
            read_pending: StoredValue::new(false),
        };
        if let Screen::Room(screen) = &boot.screen {
            let room_id = screen.room.id;
            let timeline = Timeline::around(room_id, &screen.page, screen.has_newer);
            chat.timelines.update_value(|all| {
                all.insert(room_id, timeline);
            });
            chat.room.set(Some(screen.room.clone()));
            chat.begin_visit(room_id);
            chat.replying.set(screen.reply.clone().map(|quote| (room_id, quote)));
            chat.refresh();
        }
        chat
    }

    /// The id of the room on screen.
    pub fn room_id(self) -> Option<RoomId> {
        self.room.with_untracked(|room| room.as_ref().map(|room| room.id))
    }

    /// Where this tab stands, for the socket's hello.
    pub fn position(self) -> (Option<RoomId>, Option<Seq>) {
        let room_id = self.room_id();
        let cursor =
            room_id.and_then(|id| self.timelines.with_value(|all| all.get(&id).map(Timeline::cursor)));
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
            ServerFrame::Welcome { incarnation, rooms, online, online_count, .. } => {
                if self.incarnation.with_value(|known| *known != incarnation) {
                    // Cursors of another database are worthless; what is unsent is not.
                    self.timelines.update_value(|all| {
                        all.values_mut().for_each(Timeline::forget);
                    });
                    self.incarnation.set_value(incarnation);
                }
                self.sidebar.update(|sidebar| sidebar.welcome(rooms, online, online_count));
                self.link.set(Link::Live);
                self.timelines.update_value(|all| all.values_mut().for_each(Timeline::connected));
                self.send_all_pending();
                self.read_soon();
            }
            ServerFrame::Changes { room_id, since, messages, cursor } => {
                let before = self.last_id(room_id);
                self.change(room_id, |timeline| timeline.apply_changes(since, &messages, cursor));
                let news = messages.iter().filter(|message| Some(message.id) > before);
                self.note_arrivals(room_id, news.filter(|message| !message.deleted).count());
            }
            ServerFrame::Reset { room_id } => spawn_local(self.start_afresh(room_id)),
            ServerFrame::MessageCreated { message } => {
                self.sidebar.update(|sidebar| sidebar.stopped_typing(message.creator.id));
                let room_id = message.room_id;
                let news = self.change(room_id, |timeline| timeline.apply(&message));
                let mine = message.creator.id == self.viewer.with_value(|viewer| viewer.id);
                let mention = !mine && self.viewer.with_value(|viewer| message.mentions(viewer.id));
                self.sidebar.update(|sidebar| match mine {
                    true => sidebar.spoken(room_id, message.id),
                    // Unread until somebody looks, even on screen: the tab may be hidden.
                    false => sidebar.activity(room_id, message.id, mention),
                });
                self.note_arrivals(room_id, usize::from(news == Some(true) && !mine));
                let here = self.room_id() == Some(room_id) && !self.away.get_untracked();
                if here && (mine || news == Some(true)) {
                    super::room::sound(&message.body_html);
                }
            }
            ServerFrame::MessageUpdated { message } | ServerFrame::MessageDeleted { message } => {
                self.change(message.room_id, |timeline| timeline.apply(&message));
            }
            ServerFrame::RoomActivity { room_id, message_id, mention } => {
                self.sidebar.update(|sidebar| sidebar.activity(room_id, message_id, mention));
            }
            ServerFrame::Activity { unread } => set_if_changed(self.activity, unread),
            ServerFrame::Read { room_id, message_id, mentions } => {
                self.sidebar.update(|sidebar| sidebar.read(room_id, message_id, mentions));
                if self.stays_unread.get_untracked() {
                    self.move_line(room_id, None);
                }
            }
            ServerFrame::Unread { room_id, message_id, mentions } => {
                self.sidebar.update(|sidebar| sidebar.unread(room_id, message_id, mentions));
                self.move_line(room_id, Some(message_id));
            }
            ServerFrame::Typing { room_id, user, active } => {
                if self.room_id() == Some(room_id) {
                    let now = browser::now().ms();
                    self.sidebar.update(|sidebar| sidebar.typing(user, active, now));
                }
            }
            ServerFrame::Presence { user_id, name, online, online_count } => {
                let (user, now) = (UserRef { id: user_id, name }, (online, online_count));
                self.sidebar.update(|sidebar| sidebar.presence(user, now, browser::by_name));
            }
            ServerFrame::Person { user } => self.rename(&user),
            ServerFrame::Account { name } => self.account_name.set(name),
            ServerFrame::Room { room } => self.room_changed(room),
            ServerFrame::RoomRemoved { room_id } => self.room_removed(room_id),
            ServerFrame::Error { code, .. } => {
                // The answer to "watch this room" when one was removed while away.
                let here = self.room_id().filter(|_| code == "not_found");
                let known = |id: &RoomId| self.sidebar.with_untracked(|s| s.room(*id).is_some());
                if let Some(room_id) = here.filter(|id| !known(id)) {
                    self.room_removed(room_id);
                }
            }
            ServerFrame::Goodbye { .. } | ServerFrame::Pong => {}
        }
    }

    fn room_changed(self, entry: SidebarRoom) {
        if self.room_id() == Some(entry.id) {
            set_if_changed(self.room, Some(entry.room()));
            if self.gone.get_untracked() {
                self.gone.set(false);
                self.hold_room(entry.id);
                spawn_local(self.start_afresh(entry.id));
            }
        }
        self.sidebar.update(|sidebar| sidebar.upsert_room(entry, browser::by_name));
    }

    /// Nothing of a room that was lost stays here.
    fn room_removed(self, room_id: RoomId) {
        self.sidebar.update(|sidebar| sidebar.remove_room(room_id));
        self.timelines.update_value(|all| {
            all.remove(&room_id);
        });
        if self.room_id() == Some(room_id) {
            self.stop_editing();
            self.gone.set(true);
            self.refresh();
        }
    }

    /// Somebody is called by another name: in the sidebar and in every message of theirs.
    fn rename(self, user: &UserRef) {
        self.viewer.update_value(|viewer| {
            if viewer.id == user.id {
                viewer.name.clone_from(&user.name);
            }
        });
        let own = self.viewer.with_value(|viewer| viewer.id);
        self.sidebar.update(|sidebar| sidebar.rename(user, own, browser::by_name));
        let here = self.room_id().and_then(|room_id| {
            self.sidebar.with_untracked(|sidebar| sidebar.room(room_id).map(SidebarRoom::room))
        });
        if here.is_some() {
            set_if_changed(self.room, here);
        }
        self.timelines.update_value(|all| {
            all.values_mut().for_each(|timeline| timeline.rename(user));
        });
        self.refresh();
    }

    /// The page has been taken over: from now on changes reach the document, in the reader's own
    /// zone; days may move with it.
    pub fn come_alive(self) {
        log::make_stops();
        self.alive.set(true);
        self.refresh();
        // Making the first formatter for times takes long; hands come first.
        browser::after_next_frame(log::localise);
    }

    // Inside.

    pub(super) fn on<T>(self, room_id: RoomId, read: impl FnOnce(&Timeline) -> T) -> Option<T> {
        self.timelines.with_value(|all| all.get(&room_id).map(read))
    }

    pub(super) fn last_id(self, room_id: RoomId) -> Option<MessageId> {
        self.on(room_id, Timeline::last_id).flatten()
    }

    /// Changes a room's timeline and shows the result.
    pub(super) fn change<T>(self, room_id: RoomId, change: impl FnOnce(&mut Timeline) -> T) -> Option<T> {
        let done = self.note(room_id, change);
        if self.room_id() == Some(room_id) {
            self.refresh();
        }
        done
    }

    /// Changes a room's timeline; somebody else shows the result.
    pub(super) fn note<T>(self, room_id: RoomId, change: impl FnOnce(&mut Timeline) -> T) -> Option<T> {
        let mut done = None;
        self.timelines.update_value(|all| {
            if let Some(timeline) = all.get_mut(&room_id) {
                let before = timeline.outgoing().to_vec();
                done = Some(change(timeline));
                self.keep_outgoing(room_id, &before, timeline.outgoing());
            }
        });
        done
    }

    /// Shows the room on screen as it now is; what did not change is left alone.
    pub(super) fn refresh(self) {
        self.show(|_| 0);
    }

    /// The same, but leaves out as many of the oldest rows as `left_out` says.
    pub(super) fn show(self, left_out: impl FnOnce(&[Row]) -> usize) {
        let local = self.alive.get_untracked();
        let day_of = |at: Timestamp| if local { browser::local_day(at) } else { at.utc_day() };
        let viewer = self.viewer.with_value(Viewer::as_author);
        let shown = self.room_id().and_then(|room_id| {
            self.on(room_id, |timeline| {
                let rows = timeline.rows(&viewer, day_of);
                (rows, timeline.has_older(), timeline.has_newer(), timeline.is_loaded())
            })
        });
        let (mut rows, has_older, has_newer, ready) = shown.unwrap_or_default();
        rows.drain(..left_out(&rows).min(rows.len()));
        if local {
            self.patch(&rows);
        }
        set_if_changed(self.is_empty, rows.is_empty());
        self.rows.set_value(rows);
        set_if_changed(self.has_older, has_older);
        set_if_changed(self.has_newer, has_newer);
        set_if_changed(self.ready, ready);
        self.keep_edited_text();
    }

    fn patch(self, rows: &[Row]) {
        let at_end = log::place().near_end && !self.has_newer.get_untracked();
        self.rows.with_value(|before| {
            let steps = message::changes(before, rows);
            if !steps.is_empty() {
                self.viewer.with_value(|viewer| {
                    let painter = Painter { viewer, local: true, plain: false, found: None, kept: &[] };
                    // Nothing that was there stays: another room.
                    let is_all = |step: &RowChange<'_>| match step {
                        RowChange::Insert { rows: new, .. } => new.len() == rows.len(),
                        _ => false,
                    };
                    if steps.iter().any(is_all) {
                        log::draw(rows, painter);
                    } else {
                        log::patch(&steps, painter, at_end);
                    }
                });
            }
        });
    }

    /// A message that is deleted while it is edited takes its form along, but not the text: that
    /// goes to the composer.
    fn keep_edited_text(self) {
        let Some(id) = self.editing.get_value() else {
            return;
        };
        let stands = |row: &Row| super::message::id_of(row) == Some(id);
        if self.rows.with_value(|rows| rows.iter().any(stands)) {
            return;
        }
        self.editing.set_value(None);
        let text = self.edited_text();
        self.draft.update(|draft| {
            if !draft.is_empty() {
                draft.push('\n');
            }
            draft.push_str(&text);
        });
        self.keep_draft();
    }

    fn note_arrivals(self, room_id: RoomId, count: usize) {
        if self.room_id() != Some(room_id) || count == 0 {
            return;
        }
        if self.away.get_untracked() {
            self.unseen.update(|unseen| *unseen += u32::try_from(count).unwrap_or(0));
        }
        self.change(room_id, |timeline| {
            if self.away.get_untracked() {
                timeline.prune_below();
            } else {
                timeline.prune_above();
            }
        });
        self.read_soon();
    }
}

pub(super) fn set_if_changed<T: PartialEq + Send + Sync + 'static>(signal: RwSignal<T>, value: T) {
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
        RowContent::Outgoing(Outgoing { progress: Progress::Failed(reason), .. }) => Some(reason),
        _ => None,
    }
}
