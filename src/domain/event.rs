//! The words of the WebSocket: what a tab may ask, what the server tells it.
//!
//! JSON text frames tagged by `type`. Fields may be added; unknown fields and unknown types are
//! ignored by both sides, so that a tab and a server of different age can talk. Every field is
//! described in `docs/protocol.md`; a contract test compares that page with these types.

use super::account::UserRef;
use super::message::Message;
use super::sidebar::SidebarRoom;
use super::{MessageId, RoomId, Seq, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The version of this protocol. A tab that meets another version reloads its page.
pub const PROTOCOL: u32 = 1;
/// Changes sent to one cursor before the server prefers a [`ServerFrame::Reset`].
pub const MAX_CHANGES: usize = 500;
/// A tab says something at least this often; the server pings as often.
pub const HEARTBEAT_MS: u32 = 20_000;
/// A connection that was silent this long is dead, and its user no longer present.
pub const PRESENCE_TTL_MS: u64 = 60_000;

/// Where a tab stands in a room: which database it read, and up to where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// The first frame of every connection.
    Hello {
        /// The tab's [`PROTOCOL`].
        protocol: u32,
        /// The database the cursor belongs to; another one means a reset.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        incarnation: Option<String>,
        /// The room on screen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room_id: Option<RoomId>,
        /// The last change of that room the tab has applied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<Seq>,
    },
    /// Watch another room instead, and catch up from `cursor`.
    OpenRoom {
        /// The room to watch.
        room_id: RoomId,
        /// The last change of that room the tab has applied. Without one nothing is replayed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<Seq>,
    },
    /// The viewer has seen everything up to a message.
    Read {
        /// The room that was read.
        room_id: RoomId,
        /// The newest message seen.
        message_id: MessageId,
    },
    /// The viewer is writing.
    TypingStart {
        /// The room they write in.
        room_id: RoomId,
    },
    /// The viewer has stopped writing.
    TypingStop {
        /// The room they wrote in.
        room_id: RoomId,
    },
    /// "Are you there?"
    Ping,
}

/// What the server tells a tab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The answer to `hello`. Sidebar state is small, so it is simply sent again.
    Welcome {
        /// The server's [`PROTOCOL`].
        protocol: u32,
        /// The database every cursor of this connection belongs to.
        incarnation: String,
        /// The viewer's rooms, sorted by name.
        rooms: Vec<SidebarRoom>,
        /// The first of those who are online, by name; a thousand names would weigh on every tab.
        online: Vec<UserRef>,
        /// How many are online.
        online_count: usize,
    },
    /// Everything that changed after the tab's cursor.
    Changes {
        /// The room it happened in.
        room_id: RoomId,
        /// The cursor this answers: what changed before it is not in here.
        since: Seq,
        /// Each changed message in its latest state, by rising seq; tombstones included.
        messages: Vec<Arc<Message>>,
        /// The tab's new cursor.
        cursor: Seq,
    },
    /// Too much changed, or the database is another one: load a fresh page.
    Reset {
        /// The room to load again.
        room_id: RoomId,
    },
    /// A message was written.
    MessageCreated {
        /// The message.
        message: Arc<Message>,
    },
    /// A message was edited.
    MessageUpdated {
        /// The message in its new state.
        message: Arc<Message>,
    },
    /// A message was deleted.
    MessageDeleted {
        /// Its tombstone.
        message: Arc<Message>,
    },
    /// Something was written in a room the tab is not watching.
    RoomActivity {
        /// The room.
        room_id: RoomId,
        /// The new message.
        message_id: MessageId,
        /// Whether it mentions the viewer.
        mention: bool,
    },
    /// So much of what concerns the viewer is new to them.
    Activity {
        /// How much, up to a hundred.
        unread: u32,
    },
    /// The viewer has read a room, perhaps on another device.
    Read {
        /// The room.
        room_id: RoomId,
        /// The newest message seen.
        message_id: MessageId,
        /// Mentions of the viewer after it.
        mentions: u32,
    },
    /// The viewer has marked a room unread, perhaps on another device: it stays so on every screen
    /// until they come back to it.
    Unread {
        /// The room.
        room_id: RoomId,
        /// The newest message that still counts as seen; 0 if none does.
        message_id: MessageId,
        /// Mentions of the viewer after it.
        mentions: u32,
    },
    /// Somebody started or stopped writing in the room on screen.
    Typing {
        /// The room.
        room_id: RoomId,
        /// Who.
        user: UserRef,
        /// Whether they are writing now.
        active: bool,
    },
    /// Somebody came or went.
    Presence {
        /// Who.
        user_id: UserId,
        /// Their name.
        name: String,
        /// Whether they are online now.
        online: bool,
        /// How many are online now.
        online_count: usize,
    },
    /// Somebody is called by another name now.
    Person {
        /// Who, by the new name.
        user: UserRef,
    },
    /// The account has another name, or other settings.
    Account {
        /// What it is called.
        name: String,
    },
    /// The viewer has a new room, or one of theirs changed.
    Room {
        /// The room as the sidebar shows it.
        room: SidebarRoom,
    },
    /// The viewer is no longer in a room.
    RoomRemoved {
        /// The room.
        room_id: RoomId,
    },
    /// The connection is about to close.
    Goodbye {
        /// `restart`, `slow`, `signed_out`, `silent` or `flood`.
        reason: String,
        /// How long to wait before coming back; every connection is told a different time.
        retry_ms: u32,
    },
    /// "I am here."
    Pong,
    /// The last command was refused; the connection stays open.
    Error {
        /// See [`Error::code`](super::error::Error::code).
        code: String,
        /// A sentence for people.
        message: String,
    },
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

/// Reads one variant's fields straight from the text. Deriving this for the whole enum would make
/// serde buffer every frame and would double the code for each type in the browser (36 kB).
macro_rules! fields {
    ($text:expr, Self::$variant:ident { $($field:ident: $kind:ty),* }) => {{
        #[derive(Deserialize)]
        struct Fields { $($field: $kind),* }
        let Fields { $($field),* } = serde_json::from_str($text)?;
        Self::$variant { $($field),* }
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

/// Takes what a variant needs out of what was said.
macro_rules! said {
    ($said:expr, Self::$variant:ident { $($field:ident),* }) => {{
        let said: Said = $said?;
        Self::$variant { $($field: needed(said.$field, stringify!($field))?),* }
    }};
}

fn needed<T>(said: Option<T>, field: &'static str) -> Result<T, serde_json::Error> {
    said.ok_or_else(|| serde::de::Error::missing_field(field))
}

impl ServerFrame {
    /// Reads a frame; `None` for a type this version does not know.
    ///
    /// # Errors
    /// When the text is not a frame, or a known frame lacks a field.
    pub fn parse(text: &str) -> Result<Option<Self>, serde_json::Error> {
        let Tagged { kind } = serde_json::from_str(text)?;
        match kind.as_str() {
            "welcome" => {
                return Ok(Some(fields!(text, Self::Welcome {
                    protocol: u32, incarnation: String, rooms: Vec<SidebarRoom>,
                    online: Vec<UserRef>, online_count: usize
                })));
            }
            "error" => {
                return Ok(Some(fields!(text, Self::Error { code: String, message: String })));
            }
            "pong" => return Ok(Some(Self::Pong)),
            _ => {}
        }
        let said = serde_json::from_str(text);
        Ok(Some(match kind.as_str() {
            "changes" => said!(said, Self::Changes { room_id, since, messages, cursor }),
            "reset" => said!(said, Self::Reset { room_id }),
            "message_created" => said!(said, Self::MessageCreated { message }),
            "message_updated" => said!(said, Self::MessageUpdated { message }),
            "message_deleted" => said!(said, Self::MessageDeleted { message }),
            "room_activity" => said!(said, Self::RoomActivity { room_id, message_id, mention }),
            "activity" => said!(said, Self::Activity { unread }),
            "read" => said!(said, Self::Read { room_id, message_id, mentions }),
            "unread" => said!(said, Self::Unread { room_id, message_id, mentions }),
            "typing" => said!(said, Self::Typing { room_id, user, active }),
            "presence" => said!(said, Self::Presence { user_id, name, online, online_count }),
            "person" => said!(said, Self::Person { user }),
            "account" => said!(said, Self::Account { name }),
            "room" => said!(said, Self::Room { room }),
            "room_removed" => said!(said, Self::RoomRemoved { room_id }),
            "goodbye" => said!(said, Self::Goodbye { reason, retry_ms }),
            _ => return Ok(None),
        }))
    }
}

impl ClientFrame {
    /// Reads a frame; `None` for a type this version does not know.
    ///
    /// # Errors
    /// When the text is not a frame, or a known frame lacks a field.
    pub fn parse(text: &str) -> Result<Option<Self>, serde_json::Error> {
        let Tagged { kind } = serde_json::from_str(text)?;
        Ok(Some(match kind.as_str() {
            "hello" => fields!(text, Self::Hello {
                protocol: u32, incarnation: Option<String>,
                room_id: Option<RoomId>, cursor: Option<Seq>
            }),
            "open_room" => fields!(text, Self::OpenRoom {
                room_id: RoomId, cursor: Option<Seq>
            }),
            "read" => fields!(text, Self::Read { room_id: RoomId, message_id: MessageId }),
            "typing_start" => fields!(text, Self::TypingStart { room_id: RoomId }),
            "typing_stop" => fields!(text, Self::TypingStop { room_id: RoomId }),
            "ping" => Self::Ping,
            _ => return Ok(None),
        }))
    }
}
