//! Who is in which room, and who could be.
//!
//! Whoever changes members changes sets: letting 5,000 people in is one statement, and every one
//! answers whom it let in or out.

use super::{Store, Tx, read_failed, to_json};
use crate::domain::account::{Role, UserRef};
use crate::domain::error::Error;
use crate::domain::event::ServerFrame;
use crate::domain::room::{Involvement, MAX_MENTIONS, Membership, Revision, Revoked};
use crate::domain::{MessageId, RoomId, Timestamp, UserId};
use std::collections::BTreeSet;

/// Somebody to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub user: UserRef,
    /// Whether they are a program.
    pub is_bot: bool,
    /// Whether they are in the room already.
    pub is_member: bool,
    /// Whether they opened it.
    pub is_creator: bool,
}

/// People looked through for a name at most.
const MAX_NAMES: i64 = 20_000;

/// Among whom names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Everybody.
    Account,
    /// The members of a room.
    Room(RoomId),
    /// The members of a message's room.
    RoomOf(MessageId),
}

impl Store {
    /// Whom one may choose for a room: its members first, then the others, by name.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn list_candidates(
        &self,
        room_id: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<Candidate>, Error> {
        let rows: Vec<(i64, String, String, bool, bool)> = sqlx::query_as(
            "SELECT u.id, u.name, u.role, m.user_id IS NOT NULL AS is_member,
                    u.id IS (SELECT creator_id FROM rooms WHERE id = ?1) AS is_creator
             FROM users u LEFT JOIN memberships m ON m.user_id = u.id AND m.room_id = ?1
             WHERE u.active = 1 ORDER BY is_member DESC, is_creator DESC, lower(u.name), u.id LIMIT ?2",
        )
        .bind(room_id.map(RoomId::get))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.reader())
        .await
        .map_err(read_failed)?;
        let candidates =
            rows.into_iter().map(|(id, name, role, is_member, is_creator)| Candidate {
                user: UserRef { id: UserId::new(id), name },
                is_bot: Role::parse(&role) == Some(Role::Bot),
                is_member,
                is_creator,
            });
        Ok(candidates.collect())
    }

    /// The names of everybody active: in a room of the viewer's, or in the account. Nobody, if the
    /// viewer is a stranger to the room.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn list_names(&self, viewer: UserId, place: Place) -> Result<Vec<UserRef>, Error> {
        let statement = match place {
            Place::Account => {
                "SELECT id, name FROM users WHERE active = 1 AND ?1 > 0 AND ?2 = 0
                 ORDER BY lower(name), id LIMIT ?3"
            }
            Place::Room(_) => {
                "SELECT u.id, u.name FROM memberships m
                 JOIN memberships a ON a.room_id = m.room_id JOIN users u ON u.id = a.user_id
                 WHERE m.user_id = ?1 AND m.room_id = ?2 AND u.active = 1
                 ORDER BY lower(u.name), u.id LIMIT ?3"
            }
            Place::RoomOf(_) => {
                "SELECT u.id, u.name FROM messages g
                 JOIN memberships m ON m.room_id = g.room_id AND m.user_id = ?1
                 JOIN memberships a ON a.room_id = m.room_id JOIN users u ON u.id = a.user_id
                 WHERE g.id = ?2 AND u.active = 1 ORDER BY lower(u.name), u.id LIMIT ?3"
            }
        };
        let at = match place {
            Place::Account => 0,
            Place::Room(id) => id.get(),
            Place::RoomOf(id) => id.get(),
        };
        let rows: Vec<(i64, String)> = sqlx::query_as(statement)
            .bind(viewer.get())
            .bind(at)
            .bind(MAX_NAMES)
            .fetch_all(self.reader())
            .await
            .map_err(read_failed)?;
        Ok(rows.into_iter().map(|(id, name)| UserRef { id: UserId::new(id), name }).collect())
    }
}

/// How many of these are active users.
///
/// # Errors
/// Whatever SQLite says.
pub async fn count_active(tx: &mut Tx, people: &BTreeSet<UserId>) -> Result<usize, sqlx::Error> {
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
///
/// # Errors
/// Whatever SQLite says.
pub async fn grant_everybody(
    tx: &mut Tx,
    room_id: RoomId,
    now: Timestamp,
) -> Result<Vec<UserId>, sqlx::Error> {
    let rows: Vec<(i64,)> = sqlx::query_as(
        "INSERT INTO memberships
             (user_id, room_id, involvement, last_read_message_id, created_at)
         SELECT u.id, r.id, 'mentions', r.last_message_id, ?2 FROM users u
         JOIN rooms r ON r.id = ?1 WHERE u.active = 1 AND u.role <> 'bot'
         ON CONFLICT DO NOTHING RETURNING user_id",
    )
    .bind(room_id.get())
    .bind(now.ms())
    .fetch_all(tx)
    .await?;
    Ok(users(rows))
}

/// Lets these people in who are active and not there yet, and returns them.
///
/// # Errors
/// Whatever SQLite says.
pub async fn grant(
    tx: &mut Tx,
    (room_id, involvement): (RoomId, Involvement),
    people: &BTreeSet<UserId>,
    now: Timestamp,
) -> Result<Vec<UserId>, sqlx::Error> {
    let rows: Vec<(i64,)> = sqlx::query_as(
        "INSERT INTO memberships
             (user_id, room_id, involvement, last_read_message_id, created_at)
         SELECT u.id, r.id, ?3, r.last_message_id, ?4 FROM json_each(?2) j
         JOIN users u ON u.id = j.value JOIN rooms r ON r.id = ?1 WHERE u.active = 1
         ON CONFLICT DO NOTHING RETURNING user_id",
    )
    .bind(room_id.get())
    .bind(to_json(people)?)
    .bind(involvement.as_str())
    .bind(now.ms())
    .fetch_all(tx)
    .await?;
    Ok(users(rows))
}

/// Removes people from a room and returns those who were there.
///
/// # Errors
/// Whatever SQLite says.
pub async fn revoke(
    tx: &mut Tx,
    room_id: RoomId,
    change: &Revision,
) -> Result<Vec<UserId>, sqlx::Error> {
    let rows: Vec<(i64,)> = sqlx::query_as(
        "DELETE FROM memberships WHERE room_id = ?1
         AND user_id NOT IN (SELECT value FROM json_each(?2))
         AND (?3 IS NULL OR user_id IN (SELECT value FROM json_each(?3))) RETURNING user_id",
    )
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
         SELECT ?1, id, 'mentions', last_message_id, ?2 FROM rooms
         WHERE kind = 'open' AND deleted_at IS NULL
         ON CONFLICT DO NOTHING",
    )
    .bind(user_id.get())
    .bind(now.ms())
    .execute(tx)
    .await
    .map(|_| ())
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

/// Stores how a member wants a room: all but the read cursor and the mentions.
///
/// # Errors
/// Whatever SQLite says.
pub async fn update_membership(
    tx: &mut Tx,
    (user_id, room_id): (UserId, RoomId),
    membership: &Membership,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE memberships SET involvement = ?3, starred = ?4, hidden_message_id = ?5
         WHERE user_id = ?1 AND room_id = ?2",
    )
    .bind(user_id.get())
    .bind(room_id.get())
    .bind(membership.involvement.as_str())
    .bind(membership.starred)
    .bind(membership.hidden.map(MessageId::get))
    .execute(tx)
    .await
    .map(|_| ())
}

/// Where a read cursor has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The newest message seen.
    pub message_id: MessageId,
    /// Mentions of the reader after it.
    pub mentions: u32,
    /// If the room was marked unread: the newest message of all at that moment, and those mentions.
    pub marked: Option<(MessageId, Vec<MessageId>)>,
}

impl Reading {
    /// Changes what is known of the reader's membership.
    pub fn change(&self, membership: &mut Membership) {
        membership.last_read = Some(self.message_id);
        match &self.marked {
            Some((newest, mentions)) => {
                membership.marked = Some(*newest);
                membership.mentions.clone_from(mentions);
            }
            None => membership.mentions.retain(|id| *id > self.message_id),
        }
    }

    /// What the reader's tabs are told.
    pub fn frame(&self, room_id: RoomId) -> ServerFrame {
        let Self { message_id, mentions, .. } = *self;
        match self.marked {
            Some(_) => ServerFrame::Unread { room_id, message_id, mentions },
            None => ServerFrame::Read { room_id, message_id, mentions },
        }
    }
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
) -> Result<Option<Reading>, sqlx::Error> {
    // A cursor beyond the newest message would hide messages that are yet to come.
    let row: Option<(i64, u32)> = sqlx::query_as(
        "UPDATE memberships SET last_read_message_id =
             min(?3, (SELECT last_message_id FROM sequence))
         WHERE user_id = ?1 AND room_id = ?2 AND coalesce(last_read_message_id, 0) <
             min(?3, (SELECT last_message_id FROM sequence))
         RETURNING last_read_message_id, (SELECT count(*) FROM mentions mn
             WHERE mn.user_id = ?1 AND mn.room_id = ?2 AND mn.message_id > last_read_message_id)",
    )
    .bind(user_id.get())
    .bind(room_id.get())
    .bind(message_id.get())
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|(id, mentions)| Reading { message_id: MessageId::new(id), mentions, marked: None }))
}

/// Marks a room unread from a message on: the read cursor goes to just before it. `None` for a
/// stranger to the room.
///
/// # Errors
/// Whatever SQLite says.
pub async fn mark_unread(
    tx: &mut Tx,
    user_id: UserId,
    room_id: RoomId,
    message_id: MessageId,
) -> Result<Option<Reading>, sqlx::Error> {
    let row: Option<(i64, i64, String)> = sqlx::query_as(
        "UPDATE memberships SET marked_message_id = (SELECT last_message_id FROM sequence),
             last_read_message_id =
                 max(0, min(?3, (SELECT last_message_id FROM sequence) + 1) - 1)
         WHERE user_id = ?1 AND room_id = ?2
         RETURNING last_read_message_id, marked_message_id,
             (SELECT json_group_array(mn.message_id ORDER BY mn.message_id) FROM
                 (SELECT message_id FROM mentions WHERE user_id = ?1 AND room_id = ?2
                  AND message_id > last_read_message_id ORDER BY message_id DESC LIMIT ?4) mn)",
    )
    .bind(user_id.get())
    .bind(room_id.get())
    .bind(message_id.get())
    .bind(i64::try_from(MAX_MENTIONS).unwrap_or(i64::MAX))
    .fetch_optional(tx)
    .await?;
    let Some((id, newest, mentions)) = row else {
        return Ok(None);
    };
    let mentions: Vec<MessageId> =
        serde_json::from_str(&mentions).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let count = u32::try_from(mentions.len()).unwrap_or(u32::MAX);
    let marked = Some((MessageId::new(newest), mentions));
    Ok(Some(Reading { message_id: MessageId::new(id), mentions: count, marked }))
}
