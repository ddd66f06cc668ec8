//! Rooms and memberships.
//!
//! A room comes out of the database as one packed column, because the sidebar, a page and a
//! single entry of the list all begin with it. Whoever changes members changes sets: letting
//! 5,000 people in is one statement.

use super::{Store, Tx, inconsistent, read_failed, to_json};
use crate::domain::account::UserRef;
use crate::domain::error::Error;
use crate::domain::room::{
    Involvement, LastMessage, MAX_PICKED, Membership, NewRoom, Room, RoomHead, RoomKind,
    direct_key, sort_people,
};
use crate::domain::{MessageId, RoomId, Seq, Timestamp, UserId};
use serde::Deserialize;
use std::collections::BTreeSet;

/// A viewer's rooms, as of one moment of the sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewerRooms {
    /// Each room they are in, invisible ones included.
    pub rooms: Vec<(RoomHead, Membership)>,
    /// The last change that is included.
    pub cursor: Seq,
}

/// A room as its settings show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomDetails {
    /// The room.
    pub head: RoomHead,
    /// What the viewer's membership says; without mentions.
    pub membership: Membership,
    /// Who opened it.
    pub creator: UserRef,
    /// The first of its members by name; of open rooms nobody.
    pub members: Vec<UserRef>,
    /// How many members there are.
    pub member_count: i64,
}

/// A room as one column, from `rooms r`.
macro_rules! packed_head {
    () => {
        "json_array(r.id, r.name, r.kind, r.topic, r.creator_id, r.last_message_id,
             r.last_creator_id, json(CASE r.kind WHEN 'direct' THEN
                 (SELECT json_group_array(json_array(hu.id, hu.name)) FROM memberships hm
                  JOIN users hu ON hu.id = hm.user_id WHERE hm.room_id = r.id) END))"
    };
}
pub(super) use packed_head;

#[derive(Deserialize)]
struct PackedHead(
    i64,
    String,
    RoomKind,
    String,
    i64,
    Option<i64>,
    Option<i64>,
    Option<Vec<(UserId, String)>>,
);

/// Reads [`packed_head`].
pub(super) fn unpack_head(packed: &str) -> Result<RoomHead, Error> {
    let head: PackedHead = serde_json::from_str(packed)
        .map_err(|error| inconsistent("rooms", 0, &error.to_string()))?;
    let PackedHead(id, name, kind, topic, creator, last_id, last_creator, people) = head;
    let last_message = last_id.zip(last_creator).map(|(id, creator)| LastMessage {
        id: MessageId::new(id),
        creator_id: UserId::new(creator),
    });
    let people = people.unwrap_or_default().into_iter();
    let mut people: Vec<UserRef> = people.map(|(id, name)| UserRef { id, name }).collect();
    sort_people(&mut people);
    let room = Room { id: RoomId::new(id), name, kind, topic };
    Ok(RoomHead { room, creator_id: UserId::new(creator), last_message, people: people.into() })
}

fn decode_head(packed: &str) -> Result<RoomHead, sqlx::Error> {
    unpack_head(packed).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// The mentions of membership `m` after its read cursor, newest first.
macro_rules! unread_mentions {
    () => {
        "(SELECT json_group_array(mn.message_id ORDER BY mn.message_id) FROM
             (SELECT message_id FROM mentions WHERE user_id = m.user_id AND room_id = m.room_id
              AND message_id > coalesce(m.last_read_message_id, 0)
              ORDER BY message_id DESC LIMIT 999) mn)"
    };
}

/// What a membership `m` of room `r` says, with the room and the place in the sequence.
macro_rules! viewer_rooms {
    ($more:literal) => {
        concat!(
            "SELECT ",
            packed_head!(),
            ", m.involvement, m.starred, m.last_read_message_id, m.hidden_message_id,
                m.marked_message_id, ",
            unread_mentions!(),
            ", (SELECT last_seq FROM sequence)
             FROM memberships m JOIN rooms r ON r.id = m.room_id WHERE m.user_id = ?1",
            $more
        )
    };
}

type RoomRow = (String, String, bool, Option<i64>, Option<i64>, Option<i64>, String, i64);

fn unpack_room(row: RoomRow) -> Result<(RoomHead, Membership), Error> {
    let (head, involvement, starred, last_read, hidden, marked, mentions, _) = row;
    let head = unpack_head(&head)?;
    let broken = |what: &str| inconsistent("memberships", head.room.id.get(), what);
    let membership = Membership {
        involvement: Involvement::parse(&involvement)
            .ok_or_else(|| broken("unknown involvement"))?,
        starred,
        last_read: last_read.map(MessageId::new),
        hidden: hidden.map(MessageId::new),
        marked: marked.map(MessageId::new),
        mentions: serde_json::from_str(&mentions).map_err(|_| broken("unreadable mentions"))?,
    };
    Ok((head, membership))
}

impl Store {
    /// The rooms a viewer is in.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Unexpected`] for an unreadable row.
    pub async fn list_viewer_rooms(&self, viewer: UserId) -> Result<ViewerRooms, Error> {
        let rows: Vec<RoomRow> = sqlx::query_as(viewer_rooms!(""))
            .bind(viewer.get())
            .fetch_all(self.reader())
            .await
            .map_err(read_failed)?;
        let cursor = rows.first().map_or(Seq::ZERO, |row| Seq::new(row.7));
        let rooms = rows.into_iter().map(unpack_room).collect::<Result<_, Error>>()?;
        Ok(ViewerRooms { rooms, cursor })
    }

    /// One room of a viewer's, or nothing if they are not in it.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Unexpected`] for an unreadable row.
    pub async fn find_viewer_room(
        &self,
        viewer: UserId,
        room_id: RoomId,
    ) -> Result<Option<(RoomHead, Membership)>, Error> {
        let row: Option<RoomRow> = sqlx::query_as(viewer_rooms!(" AND m.room_id = ?2"))
            .bind(viewer.get())
            .bind(room_id.get())
            .fetch_optional(self.reader())
            .await
            .map_err(read_failed)?;
        row.map(unpack_room).transpose()
    }

    /// A room of the viewer's with its creator and members.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stranger; [`Error::Unavailable`]; [`Error::Unexpected`] for an
    /// unreadable row.
    pub async fn load_room(&self, viewer: UserId, room_id: RoomId) -> Result<RoomDetails, Error> {
        let row: Option<(String, String, bool, String, String, i64)> = sqlx::query_as(concat!(
            "SELECT ",
            packed_head!(),
            ", m.involvement, m.starred, (SELECT name FROM users WHERE id = r.creator_id),
             CASE r.kind WHEN 'open' THEN '[]' ELSE
                 (SELECT json_group_array(json_object('id', id, 'name', name)) FROM
                     (SELECT u.id, u.name FROM memberships a JOIN users u ON u.id = a.user_id
                      WHERE a.room_id = r.id ORDER BY lower(u.name), u.id LIMIT ?3)) END,
             (SELECT count(*) FROM memberships a WHERE a.room_id = r.id)
             FROM memberships m JOIN rooms r ON r.id = m.room_id
             WHERE m.user_id = ?1 AND m.room_id = ?2"
        ))
        .bind(viewer.get())
        .bind(room_id.get())
        .bind(i64::try_from(MAX_PICKED).unwrap_or(i64::MAX))
        .fetch_optional(self.reader())
        .await
        .map_err(read_failed)?;
        let (head, involvement, starred, creator, members, member_count) =
            row.ok_or(Error::NotFound)?;
        let head = unpack_head(&head)?;
        let unreadable = |_| inconsistent("rooms", room_id.get(), "unreadable members");
        let involvement = Involvement::parse(&involvement)
            .ok_or_else(|| inconsistent("memberships", room_id.get(), "unknown involvement"))?;
        Ok(RoomDetails {
            creator: UserRef { id: head.creator_id, name: creator },
            members: serde_json::from_str(&members).map_err(unreadable)?,
            membership: Membership { involvement, starred, ..Membership::default() },
            member_count,
            head,
        })
    }
}

/// Creates a room without members. `None` for a direct room whose people have one already.
///
/// # Errors
/// Whatever SQLite says.
pub async fn insert_room(
    tx: &mut Tx,
    creator: UserId,
    new: &NewRoom,
    now: Timestamp,
) -> Result<Option<RoomId>, sqlx::Error> {
    let key = (new.kind == RoomKind::Direct).then(|| direct_key(new.people.iter().copied()));
    let row: Option<(i64,)> = sqlx::query_as(
        "INSERT INTO rooms (name, topic, kind, creator_id, direct_key, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (direct_key) DO NOTHING RETURNING id",
    )
    .bind(&new.name)
    .bind(&new.topic)
    .bind(new.kind.as_str())
    .bind(creator.get())
    .bind(key)
    .bind(now.ms())
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|(id,)| RoomId::new(id)))
}

/// The direct room of exactly these people.
///
/// # Errors
/// Whatever SQLite says.
pub async fn find_direct(
    tx: &mut Tx,
    people: &BTreeSet<UserId>,
) -> Result<Option<RoomId>, sqlx::Error> {
    let row: Option<(i64,)> = sqlx::query_as("SELECT id FROM rooms WHERE direct_key = ?1")
        .bind(direct_key(people.iter().copied()))
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|(id,)| RoomId::new(id)))
}

/// A room and what a member's place in it says, in this transaction.
///
/// # Errors
/// Whatever SQLite says.
pub async fn find_room_of_member(
    tx: &mut Tx,
    viewer: UserId,
    room_id: RoomId,
) -> Result<Option<(RoomHead, Membership)>, sqlx::Error> {
    let row: Option<RoomRow> = sqlx::query_as(viewer_rooms!(" AND m.room_id = ?2"))
        .bind(viewer.get())
        .bind(room_id.get())
        .fetch_optional(tx)
        .await?;
    row.map(|row| unpack_room(row).map_err(|error| sqlx::Error::Decode(error.into()))).transpose()
}

/// A room, in this transaction.
///
/// # Errors
/// Whatever SQLite says; that there is no such room.
pub async fn load_head(tx: &mut Tx, room_id: RoomId) -> Result<RoomHead, sqlx::Error> {
    let (packed,): (String,) =
        sqlx::query_as(concat!("SELECT ", packed_head!(), " FROM rooms r WHERE r.id = ?1"))
            .bind(room_id.get())
            .fetch_one(tx)
            .await?;
    decode_head(&packed)
}

/// Stores a room's name, topic and kind.
///
/// # Errors
/// Whatever SQLite says.
pub async fn update_room(tx: &mut Tx, room: &Room) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE rooms SET name = ?2, topic = ?3, kind = ?4 WHERE id = ?1")
        .bind(room.id.get())
        .bind(&room.name)
        .bind(&room.topic)
        .bind(room.kind.as_str())
        .execute(tx)
        .await
        .map(|_| ())
}

/// Deletes a room if it has no members any more; its messages wait for [`remove_leftovers`].
///
/// # Errors
/// Whatever SQLite says.
pub async fn remove_empty_room(
    tx: &mut Tx,
    room_id: RoomId,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    sqlx::query(
        "UPDATE rooms SET deleted_at = ?2
         WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM memberships WHERE room_id = ?1)",
    )
    .bind(room_id.get())
    .bind(now.ms())
    .execute(tx)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Removes some of the messages of deleted rooms, and the rooms that have none left. True if there
/// is more to do.
///
/// # Errors
/// Whatever SQLite says.
pub async fn remove_leftovers(tx: &mut Tx, at_most: u32) -> Result<bool, sqlx::Error> {
    let rows: Vec<(i64,)> = sqlx::query_as(
        "SELECT g.id FROM rooms r CROSS JOIN messages g INDEXED BY messages_by_change
             ON g.room_id = r.id
         WHERE r.deleted_at IS NOT NULL LIMIT ?1",
    )
    .bind(at_most)
    .fetch_all(&mut *tx)
    .await?;
    if rows.is_empty() {
        sqlx::query("DELETE FROM rooms WHERE deleted_at IS NOT NULL").execute(tx).await?;
        return Ok(false);
    }
    let ids: Vec<i64> = rows.into_iter().map(|(id,)| id).collect();
    let ids = to_json(&ids)?;
    sqlx::query("DELETE FROM message_search WHERE rowid IN (SELECT value FROM json_each(?1))")
        .bind(&ids)
        .execute(&mut *tx)
        .await?;
    sqlx::query("DELETE FROM messages WHERE id IN (SELECT value FROM json_each(?1))")
        .bind(&ids)
        .execute(tx)
        .await?;
    Ok(true)
}
