//! Rooms and memberships.

use super::{Store, Tx, inconsistent, read_failed};
use crate::domain::error::Error;
use crate::domain::room::{Involvement, LastMessage};
use crate::domain::room::{Room, RoomKind};
use crate::domain::{MessageId, RoomId, Seq, Timestamp, UserId};

/// A room with what unread marks need to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomHead {
    /// The room.
    pub room: Room,
    /// Its newest message that still exists.
    pub last_message: Option<LastMessage>,
}

/// What a viewer's membership says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// How much they want to hear.
    pub involvement: Involvement,
    /// The newest message they have seen.
    pub last_read: Option<MessageId>,
}

/// A viewer's rooms, as of one moment of the sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewerRooms {
    /// Each room they are in, invisible ones included.
    pub rooms: Vec<(RoomHead, Membership)>,
    /// The last change that is included.
    pub cursor: Seq,
}

type RoomRow = (i64, String, String, Option<i64>, Option<i64>, Option<i64>, String, i64);

impl Store {
    /// The rooms a viewer is in.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Unexpected`] for an unreadable row.
    pub async fn list_viewer_rooms(&self, viewer: UserId) -> Result<ViewerRooms, Error> {
        let rows: Vec<RoomRow> = sqlx::query_as(
            "SELECT r.id, r.name, r.kind, r.last_message_id, r.last_creator_id,
                    m.last_read_message_id, m.involvement, (SELECT last_seq FROM sequence)
             FROM memberships m JOIN rooms r ON r.id = m.room_id WHERE m.user_id = ?1",
        )
        .bind(viewer.get())
        .fetch_all(self.reader())
        .await
        .map_err(read_failed)?;
        let cursor = rows.first().map_or(Seq::ZERO, |row| Seq::new(row.7));
        let rooms = rows
            .into_iter()
            .map(|(id, name, kind, last_id, last_creator, read, involvement, _)| {
                let head = room_head(id, name, &kind, last_id.zip(last_creator))?;
                let involvement = Involvement::parse(&involvement)
                    .ok_or_else(|| inconsistent("memberships", id, "unknown involvement"))?;
                Ok((head, Membership { involvement, last_read: read.map(MessageId::new) }))
            })
            .collect::<Result<_, Error>>()?;
        Ok(ViewerRooms { rooms, cursor })
    }
}

pub(super) fn room_head(
    id: i64,
    name: String,
    kind: &str,
    last: Option<(i64, i64)>,
) -> Result<RoomHead, Error> {
    let kind = RoomKind::parse(kind).ok_or_else(|| inconsistent("rooms", id, "unknown kind"))?;
    let last_message = last.map(|(id, creator)| LastMessage {
        id: MessageId::new(id),
        creator_id: UserId::new(creator),
    });
    Ok(RoomHead { room: Room { id: RoomId::new(id), name, kind }, last_message })
}

/// Creates an open room and lets everybody in, in two statements however many they are.
///
/// # Errors
/// Whatever SQLite says.
pub async fn insert_open_room(
    tx: &mut Tx,
    creator: UserId,
    name: &str,
    now: Timestamp,
) -> Result<Room, sqlx::Error> {
    let (id,): (i64,) = sqlx::query_as(
        "INSERT INTO rooms (name, kind, creator_id, created_at) VALUES (?1, 'open', ?2, ?3)
         RETURNING id",
    )
    .bind(name)
    .bind(creator.get())
    .bind(now.ms())
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO memberships (user_id, room_id, involvement, created_at)
         SELECT id, ?1, 'mentions', ?2 FROM users WHERE active = 1 AND role <> 'bot'",
    )
    .bind(id)
    .bind(now.ms())
    .execute(tx)
    .await?;
    Ok(Room { id: RoomId::new(id), name: name.to_owned(), kind: RoomKind::Open })
}

/// Lets a new user into every open room. What was said before they came is not unread to them.
///
/// # Errors
/// Whatever SQLite says.
pub async fn insert_open_memberships(
    tx: &mut Tx,
    user_id: UserId,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO memberships
             (user_id, room_id, involvement, last_read_message_id, created_at)
         SELECT ?1, id, 'mentions', last_message_id, ?2 FROM rooms WHERE kind = 'open'
         ON CONFLICT DO NOTHING",
    )
    .bind(user_id.get())
    .bind(now.ms())
    .execute(tx)
    .await
    .map(|_| ())
}

/// Moves a read cursor forward, to where it is returned. `None` when it did not move: it was
/// there already, or the user is not in the room.
///
/// # Errors
/// Whatever SQLite says.
pub async fn update_read_cursor(
    tx: &mut Tx,
    user_id: UserId,
    room_id: RoomId,
    message_id: MessageId,
) -> Result<Option<MessageId>, sqlx::Error> {
    // A cursor beyond the newest message would hide messages that are yet to come.
    let row: Option<(i64,)> = sqlx::query_as(
        "UPDATE memberships SET last_read_message_id =
             min(?3, (SELECT last_message_id FROM sequence))
         WHERE user_id = ?1 AND room_id = ?2 AND coalesce(last_read_message_id, 0) <
             min(?3, (SELECT last_message_id FROM sequence))
         RETURNING last_read_message_id",
    )
    .bind(user_id.get())
    .bind(room_id.get())
    .bind(message_id.get())
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|(id,)| MessageId::new(id)))
}

/// Whether an active user is in a room, in this transaction.
///
/// # Errors
/// Whatever SQLite says.
pub async fn is_member(tx: &mut Tx, user_id: UserId, room_id: RoomId) -> Result<bool, sqlx::Error> {
    sqlx::query(
        "SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id AND u.active = 1
         WHERE m.user_id = ?1 AND m.room_id = ?2",
    )
    .bind(user_id.get())
    .bind(room_id.get())
    .fetch_optional(tx)
    .await
    .map(|row| row.is_some())
}
