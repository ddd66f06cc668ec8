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
/// How long somebody is shown typing without a further sign (Campfire's value).
pub const TYPING_TTL_MS: i64 = 5_000;

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
        /// Who is online, sorted by name.
        online: Vec<UserRef>,
    },
    /// Everything that changed after the tab's cursor.
    Changes {
        /// The room it happened in.
        room_id: RoomId,
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
    },
    /// The viewer has read a room, perhaps on another device.
    Read {
        /// The room.
        room_id: RoomId,
        /// The newest message seen.
        message_id: MessageId,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_tagged_by_type_in_snake_case() {
        let frame = ClientFrame::OpenRoom { room_id: RoomId::new(7), cursor: Some(Seq::new(3)) };
        let json = serde_json::to_string(&frame).unwrap();
        assert_eq!(json, r#"{"type":"open_room","room_id":7,"cursor":3}"#);
        assert_eq!(serde_json::from_str::<ClientFrame>(&json).unwrap(), frame);
        assert_eq!(serde_json::to_string(&ServerFrame::Pong).unwrap(), r#"{"type":"pong"}"#);
    }

    #[test]
    fn unknown_fields_are_ignored_and_missing_options_are_none() {
        let frame: ClientFrame =
            serde_json::from_str(r#"{"type":"hello","protocol":1,"colour":"red"}"#).unwrap();
        let expected =
            ClientFrame::Hello { protocol: 1, incarnation: None, room_id: None, cursor: None };
        assert_eq!(frame, expected);
    }
}
