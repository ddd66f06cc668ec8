//! Rooms and memberships, and the invite links that let people in.
//!
//! A room comes out of the database as one packed column, because the sidebar, a page and a
//! single entry of the list all begin with it. Whoever changes members changes sets: letting
//! 5,000 people in is one statement.

use super::{Store, Tx, inconsistent, read_failed, to_json};
use crate::domain::account::{Invite, UserRef, Viewer};
use crate::domain::error::Error;
use crate::domain::room::{
    Involvement, LastMessage, MAX_PICKED, Membership, NewRoom, Revision, Revoked, Room, RoomHead, RoomKind,
    direct_key,
};
use crate::domain::{InviteId, MessageId, RoomId, Seq, Timestamp, UserId};
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
    let head: PackedHead =
        serde_json::from_str(packed).map_err(|error| inconsistent("rooms", 0, &error.to_string()))?;
    let PackedHead(id, name, kind, topic, creator, last_id, last_creator, people) = head;
    let last_message = last_id
        .zip(last_creator)
        .map(|(id, creator)| LastMessage { id: MessageId::new(id), creator_id: UserId::new(creator) });
    let people = people.unwrap_or_default().into_iter();
    let mut people: Vec<UserRef> = people.map(|(id, name)| UserRef { id, name }).collect();
    people.sort_by_cached_key(|user| (user.name.to_lowercase(), user.id));
    let room = Room { id: RoomId::new(id), name, kind, topic };
    Ok(RoomHead { room, creator_id: UserId::new(creator), last_message, people: people.into() })
}

fn decode_head(packed: &str) -> sqlx::Result<RoomHead> {
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
        involvement: Involvement::parse(&involvement).ok_or_else(|| broken("unknown involvement"))?,
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
    /// [`Error::NotFound`].
    pub async fn load_room(&self, viewer: UserId, room_id: RoomId) -> Result<RoomDetails, Error> {
        let row: Option<(String, String, bool, String, String, i64)> =
            sqlx::query_as(concat!("SELECT ", packed_head!(), ", ", include_str!("sql/rooms_load_room.sql")))
                .bind(viewer.get())
                .bind(room_id.get())
                .bind(i64::try_from(MAX_PICKED).unwrap_or(i64::MAX))
                .fetch_optional(self.reader())
                .await
                .map_err(read_failed)?;
        let (head, involvement, starred, creator, members, member_count) = row.ok_or(Error::NotFound)?;
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
pub async fn insert_room(
    tx: &mut Tx,
    creator: UserId,
    new: &NewRoom,
    now: Timestamp,
) -> sqlx::Result<Option<RoomId>> {
    let key = (new.kind == RoomKind::Direct).then(|| direct_key(new.people.iter().copied()));
    let row: Option<(i64,)> = sqlx::query_as(include_str!("sql/rooms_insert_room.sql"))
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
pub async fn find_direct(tx: &mut Tx, people: &BTreeSet<UserId>) -> sqlx::Result<Option<RoomId>> {
    let row: Option<(i64,)> = sqlx::query_as("SELECT id FROM rooms WHERE direct_key = ?1")
        .bind(direct_key(people.iter().copied()))
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|(id,)| RoomId::new(id)))
}

/// A room and what a member's place in it says, in this transaction.
pub async fn find_room_of_member(
    tx: &mut Tx,
    viewer: UserId,
    room_id: RoomId,
) -> sqlx::Result<Option<(RoomHead, Membership)>> {
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
pub async fn load_head(tx: &mut Tx, room_id: RoomId) -> sqlx::Result<RoomHead> {
    let (packed,): (String,) =
        sqlx::query_as(concat!("SELECT ", packed_head!(), " FROM rooms r WHERE r.id = ?1"))
            .bind(room_id.get())
            .fetch_one(tx)
            .await?;
    decode_head(&packed)
}

/// Stores a room's name, topic and kind.
pub async fn update_room(tx: &mut Tx, room: &Room) -> sqlx::Result<()> {
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
pub async fn remove_empty_room(tx: &mut Tx, room_id: RoomId, now: Timestamp) -> sqlx::Result<bool> {
    sqlx::query(include_str!("sql/rooms_remove_empty_room.sql"))
        .bind(room_id.get())
        .bind(now.ms())
        .execute(tx)
        .await
        .map(|done| done.rows_affected() == 1)
}

/// Removes some of the messages of deleted rooms, and the rooms that have none left. True if there
/// is more to do.
pub async fn remove_leftovers(tx: &mut Tx, at_most: u32) -> sqlx::Result<bool> {
    // A trigger takes the search row of each along.
    let gone =
        sqlx::query(include_str!("sql/rooms_remove_leftovers.sql")).bind(at_most).execute(&mut *tx).await?;
    if gone.rows_affected() > 0 {
        return Ok(true);
    }
    sqlx::query("DELETE FROM rooms WHERE deleted_at IS NOT NULL").execute(tx).await?;
    Ok(false)
}

/// How many of these are active users.
pub async fn count_active(tx: &mut Tx, people: &BTreeSet<UserId>) -> sqlx::Result<usize> {
    let (count,): (i64,) = sqlx::query_as(
        "SELECT count(*) FROM users WHERE active = 1 AND id IN (SELECT value FROM json_each(?1))",
    )
    .bind(to_json(people)?)
    .fetch_one(tx)
    .await?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Lets everybody in who is not there yet, and returns them. What was said before they came is
/// not unread to them.
pub async fn grant_everybody(tx: &mut Tx, room_id: RoomId, now: Timestamp) -> sqlx::Result<Vec<UserId>> {
    let rows: Vec<(i64,)> = sqlx::query_as(include_str!("sql/rooms_grant_everybody.sql"))
        .bind(room_id.get())
        .bind(now.ms())
        .fetch_all(tx)
        .await?;
    Ok(users(rows))
}

/// Lets these people in who are active and not there yet, and returns them.
pub async fn grant(
    tx: &mut Tx,
    (room_id, involvement): (RoomId, Involvement),
    people: &BTreeSet<UserId>,
    now: Timestamp,
) -> sqlx::Result<Vec<UserId>> {
    let rows: Vec<(i64,)> = sqlx::query_as(include_str!("sql/rooms_grant.sql"))
        .bind(room_id.get())
        .bind(to_json(people)?)
        .bind(involvement.as_str())
        .bind(now.ms())
        .fetch_all(tx)
        .await?;
    Ok(users(rows))
}

/// Removes people from a room and returns those who were there.
pub async fn revoke(tx: &mut Tx, room_id: RoomId, change: &Revision) -> sqlx::Result<Vec<UserId>> {
    let rows: Vec<(i64,)> = sqlx::query_as(include_str!("sql/rooms_revoke.sql"))
        .bind(room_id.get())
        .bind(to_json(&change.grant)?)
        .bind(match &change.revoke {
            Revoked::Others => None,
            Revoked::These(people) => Some(to_json(people)?),
        })
        .fetch_all(tx)
        .await?;
    Ok(users(rows))
}

fn users(rows: Vec<(i64,)>) -> Vec<UserId> {
    rows.into_iter().map(|(id,)| UserId::new(id)).collect()
}

/// Lets a new user into every open room. What was said before they came is not unread to them.
pub async fn insert_open_memberships(tx: &mut Tx, user_id: UserId, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query(include_str!("sql/rooms_insert_open_memberships.sql"))
        .bind(user_id.get())
        .bind(now.ms())
        .execute(tx)
        .await
        .map(|_| ())
}

/// Whether an active user is in a room, in this transaction.
pub async fn is_member(tx: &mut Tx, user_id: UserId, room_id: RoomId) -> sqlx::Result<bool> {
    sqlx::query(include_str!("sql/rooms_is_member.sql"))
        .bind(user_id.get())
        .bind(room_id.get())
        .fetch_optional(tx)
        .await
        .map(|row| row.is_some())
}

/// Stores how a member wants a room: all but the read cursor and the mentions.
pub async fn update_membership(
    tx: &mut Tx,
    (user_id, room_id): (UserId, RoomId),
    membership: &Membership,
) -> sqlx::Result<()> {
    sqlx::query(include_str!("sql/rooms_update_membership.sql"))
        .bind(user_id.get())
        .bind(room_id.get())
        .bind(membership.involvement.as_str())
        .bind(membership.starred)
        .bind(membership.hidden.map(MessageId::get))
        .execute(tx)
        .await
        .map(|_| ())
}

type InviteRow = (i64, String, i64, String, i64, Option<i64>, Option<i64>, Option<i64>, i64);

macro_rules! invite_columns {
    () => {
        "SELECT i.id, i.code, i.creator_id, u.name, i.uses, i.max_uses, i.expires_at,
                i.revoked_at, i.created_at FROM invites i JOIN users u ON u.id = i.creator_id "
    };
}

fn invite(row: InviteRow) -> Invite {
    let (id, code, creator_id, name, uses, max_uses, expires_at, revoked_at, created_at) = row;
    Invite {
        id: InviteId::new(id),
        code,
        creator: UserRef { id: UserId::new(creator_id), name },
        uses,
        max_uses,
        expires_at: expires_at.map(Timestamp::from_ms),
        revoked_at: revoked_at.map(Timestamp::from_ms),
        created_at: Timestamp::from_ms(created_at),
    }
}

impl Store {
    /// The invite links, the newest first, at most 100; those that have ended only for
    /// administrators.
    pub async fn list_invites(&self, viewer: &Viewer, now: Timestamp) -> Result<Vec<Invite>, Error> {
        let rows: Vec<InviteRow> = sqlx::query_as(concat!(invite_columns!(), "ORDER BY i.id DESC LIMIT 100"))
            .fetch_all(self.reader())
            .await
            .map_err(read_failed)?;
        let all = rows.into_iter().map(invite);
        Ok(all.filter(|one| viewer.may_administer() || one.is_open(now)).collect())
    }

    /// An invite link by its code, if it still lets people in.
    pub async fn find_invite(&self, code: &str, now: Timestamp) -> Result<Option<Invite>, Error> {
        let row: Option<InviteRow> = sqlx::query_as(concat!(invite_columns!(), "WHERE i.code = ?1"))
            .bind(code)
            .fetch_optional(self.reader())
            .await
            .map_err(read_failed)?;
        Ok(row.map(invite).filter(|invite| invite.is_open(now)))
    }

    /// An invite link.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn load_invite(&self, id: InviteId) -> Result<Invite, Error> {
        let row: Option<InviteRow> = sqlx::query_as(concat!(invite_columns!(), "WHERE i.id = ?1"))
            .bind(id.get())
            .fetch_optional(self.reader())
            .await
            .map_err(read_failed)?;
        row.map(invite).ok_or(Error::NotFound)
    }
}

/// Stores an invite link.
pub async fn insert_invite(
    tx: &mut Tx,
    (creator, code): (UserId, &str),
    (expires_at, max_uses): (Option<Timestamp>, Option<u16>),
    now: Timestamp,
) -> sqlx::Result<InviteId> {
    let (id,): (i64,) = sqlx::query_as(include_str!("sql/rooms_insert_invite.sql"))
        .bind(code)
        .bind(creator.get())
        .bind(max_uses)
        .bind(expires_at.map(Timestamp::ms))
        .bind(now.ms())
        .fetch_one(tx)
        .await?;
    Ok(InviteId::new(id))
}

/// Counts one more use of an invite link. False if it lets nobody in any more.
pub async fn use_invite(tx: &mut Tx, code: &str, now: Timestamp) -> sqlx::Result<bool> {
    sqlx::query(include_str!("sql/rooms_use_invite.sql"))
        .bind(code)
        .bind(now.ms())
        .execute(tx)
        .await
        .map(|done| done.rows_affected() == 1)
}

/// Whether an invite link lets people in, in this transaction.
pub async fn is_open_invite(tx: &mut Tx, code: &str, now: Timestamp) -> sqlx::Result<bool> {
    sqlx::query(include_str!("sql/rooms_is_open_invite.sql"))
        .bind(code)
        .bind(now.ms())
        .fetch_optional(tx)
        .await
        .map(|row| row.is_some())
}

/// Who made an invite link.
pub async fn find_invite_creator(tx: &mut Tx, id: InviteId) -> sqlx::Result<Option<UserId>> {
    let row: Option<(i64,)> = sqlx::query_as("SELECT creator_id FROM invites WHERE id = ?1")
        .bind(id.get())
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|(id,)| UserId::new(id)))
}

/// Ends an invite link. Ending it twice is no error.
pub async fn revoke_invite(tx: &mut Tx, id: InviteId, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query("UPDATE invites SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1")
        .bind(id.get())
        .bind(now.ms())
        .execute(tx)
        .await
        .map(|_| ())
}
