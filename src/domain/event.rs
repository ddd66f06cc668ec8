//! Events: the words of the WebSocket, what a tab may ask and what the server tells it; and what
//! they do to everything around the messages: the room list, who is online, who is typing.
//!
//! JSON text frames tagged by `type`. Fields may be added; unknown fields and unknown types are
//! ignored by both sides, so that a tab and a server of different age can talk. Every field is
//! described in `docs/protocol.md`; a contract test compares that page with these types.

use super::account::UserRef;
use super::message::Message;
use super::room::{RoomKind, SidebarRoom, Waiting, direct_name, first_name, rename_among};
use super::search::sort;
use super::{MessageId, RoomId, Seq, UserId};
use crate::texts;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::sync::Arc;

/// The version of this protocol. A tab that meets another version reloads its page.
pub const PROTOCOL: u32 = 1;
/// Changes sent to one cursor before the server prefers a [`ServerFrame::Reset`].
pub const MAX_CHANGES: usize = 500;
/// A tab says something at least this often; the server pings as often.
pub const HEARTBEAT_MS: u32 = 20_000;
/// A connection that was silent this long is dead, and its user no longer present.
pub const PRESENCE_TTL_MS: u64 = 60_000;
/// How long somebody is shown typing without a further sign (Campfire's value).
pub const TYPING_TTL_MS: i64 = 5_000;
/// People named in the sidebar at most; the rest are counted.
pub const MAX_ONLINE: usize = 30;

/// Declares the frames of one side with what each field means, and how they are read: by the macro
/// named first, straight from the text. Deriving that for the whole enum would make serde buffer
/// every frame and would double the code for each type in the browser (36 kB).
macro_rules! frames {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $read:ident $type:literal $variant:ident
        $({ $($(#[$rule:meta])* $field:ident: $kind:ty = $means:literal,)* })?)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "type")]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $type)]
            $variant $({ $(#[doc = $means] $(#[$rule])* $field: $kind),* })?),*
        }

        impl $name {
            /// Reads a frame; `None` for a type this version does not know. Fails when the text is
            /// not a frame, or a known frame lacks a field.
            pub fn parse(text: &str) -> Result<Option<Self>, serde_json::Error> {
                let Tagged { kind } = serde_json::from_str(text)?;
                Ok(Some(match kind.as_str() {
                    $($type => $read!(text, Self::$variant { $($($field: $kind),*)? }),)*
                    _ => return Ok(None),
                }))
            }
        }
    };
}

/// Reads a frame as a type of its own.
macro_rules! own {
    ($text:expr, Self::$variant:ident {}) => { Self::$variant };
    ($text:expr, Self::$variant:ident { $($field:ident: $kind:ty),* }) => {{
        #[derive(Deserialize)]
        struct Fields { $($field: $kind),* }
        let Fields { $($field),* } = serde_json::from_str($text)?;
        Self::$variant { $($field),* }
    }};
}

/// Reads a frame as [`Said`].
macro_rules! said {
    ($text:expr, Self::$variant:ident { $($field:ident: $kind:ty),* }) => {{
        let said = said($text)?;
        Self::$variant { $($field: needed(said.$field, stringify!($field))?),* }
    }};
}

#[derive(Deserialize)]
struct Tagged {
    #[serde(rename = "type")]
    kind: String,
}

/// What frames of the server say, but for those whose words mean something else elsewhere. One type
/// for all of them: reading each by itself takes 30 kB in the browser.
#[derive(Deserialize)]
struct Said {
    room_id: Option<RoomId>,
    since: Option<Seq>,
    messages: Option<Vec<Arc<Message>>>,
    cursor: Option<Seq>,
    message: Option<Arc<Message>>,
    message_id: Option<MessageId>,
    mention: Option<bool>,
    mentions: Option<u32>,
    unread: Option<u32>,
    user: Option<UserRef>,
    user_id: Option<UserId>,
    active: Option<bool>,
    name: Option<String>,
    online: Option<bool>,
    online_count: Option<usize>,
    room: Option<SidebarRoom>,
    reason: Option<String>,
    retry_ms: Option<u32>,
}

#[inline(never)]
fn said(text: &str) -> Result<Said, serde_json::Error> {
    serde_json::from_str(text)
}

fn needed<T>(said: Option<T>, field: &'static str) -> Result<T, serde_json::Error> {
    said.ok_or_else(|| serde::de::Error::missing_field(field))
}

frames! {
    /// What a tab tells the server: where it stands, and what its viewer does.
    ClientFrame {
        /// The first frame of every connection.
        own "hello" Hello {
            protocol: u32 = "The tab's [`PROTOCOL`].",
            #[serde(skip_serializing_if = "Option::is_none")]
            incarnation: Option<String> = "The database of the cursor; another one means a reset.",
            #[serde(skip_serializing_if = "Option::is_none")]
            room_id: Option<RoomId> = "The room on screen.",
            #[serde(skip_serializing_if = "Option::is_none")]
            cursor: Option<Seq> = "The last change of that room the tab has applied.",
        }
        /// Watch another room instead, and catch up from `cursor`; without one nothing is replayed.
        own "open_room" OpenRoom {
            room_id: RoomId = "The room to watch.",
            #[serde(skip_serializing_if = "Option::is_none")]
            cursor: Option<Seq> = "The last change of that room the tab has applied.",
        }
        /// The viewer has seen everything up to a message.
        own "read" Read {
            room_id: RoomId = "The room that was read.",
            message_id: MessageId = "The newest message seen.",
        }
        /// The viewer is writing.
        own "typing_start" TypingStart { room_id: RoomId = "The room they write in.", }
        /// The viewer has stopped writing.
        own "typing_stop" TypingStop { room_id: RoomId = "The room they wrote in.", }
        /// "Are you there?"
        own "ping" Ping
    }
}

frames! {
    /// What the server tells a tab.
    ServerFrame {
        /// The answer to `hello`. Sidebar state is small, so it is simply sent again. Of those who
        /// are online only the first are named; a thousand names would weigh on every tab.
        own "welcome" Welcome {
            protocol: u32 = "The server's [`PROTOCOL`].",
            incarnation: String = "The database every cursor of this connection belongs to.",
            rooms: Vec<SidebarRoom> = "The viewer's rooms, sorted by name.",
            online: Vec<UserRef> = "The first of those who are online, by name.",
            online_count: usize = "How many are online.",
        }
        /// Everything that changed after the tab's cursor.
        said "changes" Changes {
            room_id: RoomId = "The room it happened in.",
            since: Seq = "The cursor this answers: what changed before it is not in here.",
            messages: Vec<Arc<Message>> = "The changed ones as they are now, by rising seq; \
                tombstones included.",
            cursor: Seq = "The tab's new cursor.",
        }
        /// Too much changed, or the database is another one: load a fresh page.
        said "reset" Reset { room_id: RoomId = "The room to load again.", }
        /// A message was written.
        said "message_created" MessageCreated { message: Arc<Message> = "The message.", }
        /// A message was edited.
        said "message_updated" MessageUpdated { message: Arc<Message> = "It as it is now.", }
        /// A message was deleted.
        said "message_deleted" MessageDeleted { message: Arc<Message> = "Its tombstone.", }
        /// Something was written in a room the tab is not watching.
        said "room_activity" RoomActivity {
            room_id: RoomId = "The room.",
            message_id: MessageId = "The new message.",
            mention: bool = "Whether it mentions the viewer.",
        }
        /// So much of what concerns the viewer is new to them.
        said "activity" Activity { unread: u32 = "How much, up to a hundred.", }
        /// The viewer has read a room, perhaps on another device.
        said "read" Read {
            room_id: RoomId = "The room.",
            message_id: MessageId = "The newest message seen.",
            mentions: u32 = "Mentions of the viewer after it.",
        }
        /// The viewer has marked a room unread, perhaps on another device: it stays so on every
        /// screen until they come back to it.
        said "unread" Unread {
            room_id: RoomId = "The room.",
            message_id: MessageId = "The newest message that counts as seen; 0 if none does.",
            mentions: u32 = "Mentions of the viewer after it.",
        }
        /// Somebody started or stopped writing in the room on screen.
        said "typing" Typing {
            room_id: RoomId = "The room.",
            user: UserRef = "Who.",
            active: bool = "Whether they are writing now.",
        }
        /// Somebody came or went.
        said "presence" Presence {
            user_id: UserId = "Who.",
            name: String = "Their name.",
            online: bool = "Whether they are online now.",
            online_count: usize = "How many are online now.",
        }
        /// Somebody is called by another name now.
        said "person" Person { user: UserRef = "Who, by the new name.", }
        /// The account has another name, or other settings.
        said "account" Account { name: String = "What it is called.", }
        /// The viewer has a new room, or one of theirs changed.
        said "room" Room { room: SidebarRoom = "The room as the sidebar shows it.", }
        /// The viewer is no longer in a room.
        said "room_removed" RoomRemoved { room_id: RoomId = "The room.", }
        /// The connection is about to close. Every one is told a different time to come back.
        said "goodbye" Goodbye {
            reason: String = "See [`Ending::reason`].",
            retry_ms: u32 = "How long to wait before coming back.",
        }
        /// "I am here."
        own "pong" Pong
        /// The last command was refused; the connection stays open.
        own "error" Error {
            code: String = "See [`Error::code`](super::error::Error::code).",
            message: String = "A sentence for people.",
        }
    }
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server is about to restart.
    Restart,
    /// The tab did not keep up.
    Slow,
    /// Its session has ended.
    SignedOut,
    /// Nothing was heard from it for a minute.
    Silent,
    /// It said too much.
    Flood,
}

impl Ending {
    /// The `reason` of the goodbye.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Slow => "slow",
            Self::SignedOut => "signed_out",
            Self::Silent => "silent",
            Self::Flood => "flood",
        }
    }
}

/// Somebody writing in the room on screen, until the sign grows stale on the tab's own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Typist {
    user: UserRef,
    until_ms: i64,
}

/// Compares two names by the rules of the reader's alphabet.
pub trait ByName: Fn(&str, &str) -> Ordering {}
impl<F: Fn(&str, &str) -> Ordering> ByName for F {}

/// The reducer of one tab's room list, presence and typing. Order of calls does not matter beyond
/// "the last word wins": every call states a fact, none counts. Names are sorted by whoever knows
/// the reader's alphabet: lists arrive sorted from the server, [`ByName`] compares in the browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sidebar {
    rooms: Vec<SidebarRoom>,
    online: Vec<UserRef>,
    /// People who are online but not in the list: a page names only the first of them.
    unnamed: usize,
    typists: Vec<Typist>,
}

impl Sidebar {
    /// The state a page was rendered with. `online` may be the first of more people.
    pub fn new(rooms: Vec<SidebarRoom>, online: Vec<UserRef>, online_count: usize) -> Self {
        let unnamed = online_count.saturating_sub(online.len());
        Self { rooms, online, unnamed, typists: Vec::new() }
    }

    /// The rooms, by name.
    pub fn rooms(&self) -> &[SidebarRoom] {
        &self.rooms
    }

    /// A room the viewer is in.
    pub fn room(&self, room_id: RoomId) -> Option<&SidebarRoom> {
        self.rooms.iter().find(|entry| entry.id == room_id)
    }

    /// Who is online, by name.
    pub fn online(&self) -> &[UserRef] {
        &self.online
    }

    /// How many are online.
    pub fn online_count(&self) -> usize {
        self.online.len() + self.unnamed
    }

    /// What waits for the viewer, muted rooms aside.
    pub fn waiting(&self) -> Waiting {
        let mut waiting = Waiting::default();
        for entry in self.rooms.iter().filter(|entry| entry.is_waiting()) {
            let direct = entry.kind == RoomKind::Direct;
            waiting.unread = true;
            waiting.personal += if direct { entry.mentions.max(1) } else { entry.mentions };
        }
        waiting
    }

    /// Replaces list and presence by what the server knows now.
    pub fn welcome(&mut self, rooms: Vec<SidebarRoom>, online: Vec<UserRef>, online_count: usize) {
        let typists = std::mem::take(&mut self.typists);
        *self = Self { typists, ..Self::new(rooms, online, online_count) };
    }

    /// A new or changed room. One that is not to be shown goes.
    pub fn upsert_room(&mut self, mut entry: SidebarRoom, by_name: impl ByName) {
        if let Some(known) = self.room(entry.id)
            && known.last_message_id == entry.last_message_id
        {
            // What has been read here may not have reached the server yet.
            entry.unread &= known.unread;
            entry.last_read_message_id = entry.last_read_message_id.max(known.last_read_message_id);
        }
        self.remove_room(entry.id);
        if entry.is_shown() {
            let order = |other: &SidebarRoom| by_name(&other.name, &entry.name).then(other.id.cmp(&entry.id));
            let at = self.rooms.partition_point(|other| order(other).is_lt());
            self.rooms.insert(at, entry);
        }
    }

    /// The viewer is no longer in this room.
    pub fn remove_room(&mut self, room_id: RoomId) {
        self.rooms.retain(|entry| entry.id != room_id);
    }

    /// Somebody else wrote a message in a room. Older news than what is known changes nothing.
    pub fn activity(&mut self, room_id: RoomId, message_id: MessageId, mention: bool) {
        if let Some(entry) = self.with_news(room_id, message_id) {
            entry.unread = true;
            entry.mentions += u32::from(mention);
        }
    }

    /// The viewer wrote a message in a room, here or elsewhere: nothing of it is unread to them.
    pub fn spoken(&mut self, room_id: RoomId, message_id: MessageId) {
        if let Some(entry) = self.with_news(room_id, message_id) {
            entry.unread = false;
        }
    }

    fn with_news(&mut self, room_id: RoomId, newest: MessageId) -> Option<&mut SidebarRoom> {
        let entry = self.entry(room_id).filter(|entry| entry.last_message_id < Some(newest))?;
        entry.last_message_id = Some(newest);
        Some(entry)
    }

    /// The viewer has read a room up to a message, here or elsewhere; so many mentions are left.
    pub fn read(&mut self, room_id: RoomId, message_id: MessageId, mentions: u32) {
        if let Some(entry) = self.entry(room_id) {
            entry.mentions = mentions;
            entry.last_read_message_id = Some(message_id);
            entry.unread &= entry.last_message_id > Some(message_id);
        }
    }

    /// The viewer has marked a room unread after a message, here or elsewhere.
    pub fn unread(&mut self, room_id: RoomId, message_id: MessageId, mentions: u32) {
        self.read(room_id, message_id, mentions);
        if let Some(entry) = self.entry(room_id) {
            entry.unread = entry.last_message_id > Some(message_id);
        }
    }

    /// The viewer is looking at the newest message of a room: whatever was unread is not, even if
    /// the message that made it so has been deleted since.
    pub fn seen(&mut self, room_id: RoomId) {
        if let Some(entry) = self.entry(room_id) {
            (entry.unread, entry.mentions) = (false, 0);
            entry.last_read_message_id = entry.last_read_message_id.max(entry.last_message_id);
        }
    }

    /// The viewer wants a room otherwise; the server will say the same in a moment.
    pub fn change(&mut self, room_id: RoomId, change: impl FnOnce(&mut SidebarRoom)) {
        if let Some(entry) = self.entry(room_id) {
            change(entry);
        }
        self.rooms.retain(SidebarRoom::is_shown);
    }

    fn entry(&mut self, room_id: RoomId) -> Option<&mut SidebarRoom> {
        self.rooms.iter_mut().find(|entry| entry.id == room_id)
    }

    /// Somebody came or went, and so many are online now.
    pub fn presence(&mut self, user: UserRef, now: (bool, usize), by_name: impl ByName) {
        let (online, online_count) = now;
        self.online.retain(|other| other.id != user.id);
        for entry in &mut self.rooms {
            if let [other] = entry.people.as_slice()
                && other.id == user.id
            {
                entry.online = online;
            }
        }
        if online {
            self.online.push(user);
            sort(&mut self.online, |a, b| by_name(&a.name, &b.name).then(a.id.cmp(&b.id)));
        } else {
            self.stopped_typing(user.id);
        }
        self.unnamed = online_count.saturating_sub(self.online.len());
    }

    /// Somebody is called by another name now; `viewer` is whose list this is.
    pub fn rename(&mut self, user: &UserRef, viewer: UserId, by_name: impl ByName) {
        let people = |a: &UserRef, b: &UserRef| by_name(&a.name, &b.name).then(a.id.cmp(&b.id));
        for entry in self.rooms.iter_mut().filter(|entry| entry.kind == RoomKind::Direct) {
            let own_notes = entry.people.is_empty() && user.id == viewer;
            if rename_among(&mut entry.people, user) || own_notes {
                sort(&mut entry.people, people);
                entry.name = direct_name(&entry.people, &user.name);
            }
        }
        sort(&mut self.rooms, |a, b| by_name(&a.name, &b.name).then(a.id.cmp(&b.id)));
        let typists = self.typists.iter_mut().map(|typist| &mut typist.user);
        for known in self.online.iter_mut().chain(typists).filter(|known| known.id == user.id) {
            known.name.clone_from(&user.name);
        }
        sort(&mut self.online, people);
    }

    /// Somebody in the room on screen is (or is no longer) writing, as heard at `now_ms`.
    pub fn typing(&mut self, user: UserRef, active: bool, now_ms: i64) {
        self.stopped_typing(user.id);
        if active {
            self.typists.push(Typist { user, until_ms: now_ms + TYPING_TTL_MS });
            sort(&mut self.typists, |a, b| a.user.name.cmp(&b.user.name));
        }
    }

    /// Whoever has sent a message is not writing it any more.
    pub fn stopped_typing(&mut self, user_id: UserId) {
        self.typists.retain(|typist| typist.user.id != user_id);
    }

    /// Forgets everybody typing: another room is on screen, or the connection is gone.
    pub fn clear_typing(&mut self) {
        self.typists.clear();
    }

    /// Drops stale signs of typing. True if anything changed.
    pub fn sweep_typing(&mut self, now_ms: i64) -> bool {
        let before = self.typists.len();
        self.typists.retain(|typist| typist.until_ms > now_ms);
        self.typists.len() != before
    }

    /// "Mara and Teo are typing", or nothing.
    pub fn typing_line(&self) -> Option<String> {
        let names: Vec<&str> = self.typists.iter().map(|one| first_name(&one.user.name)).collect();
        match names.as_slice() {
            [] => None,
            [one] => Some(texts::typing::one(one)),
            [names @ .., last] if names.len() < 3 => {
                Some(texts::typing::few(texts::names::and_last(last, names.join(texts::names::SEPARATOR))))
            }
            _ => Some(texts::typing::SEVERAL.to_owned()),
        }
    }
}
