//! Who is in which room, and who could be.
//!
//! Whoever changes members changes sets: letting 5,000 people in is one statement, and every one
//! answers whom it let in or out.

use super::{Store, Tx, read_failed, to_json};
use crate::domain::account::{Role, UserRef};
use crate::domain::error::Error;
use crate::domain::room::{Involvement, Membership, Revision, Revoked};
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

/// Who can be named in a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nameable {
    /// Everybody active there, by name.
    pub people: Vec<UserRef>,
    /// Whether the viewer opened the room.
    pub is_creator: bool,
    /// The open rooms that the viewer is in; none for the account.
    pub rooms: Vec<(RoomId, String)>,
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
    /// viewer is a stranger to the room. With a room, in the same statement, their open rooms.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn list_names(&self, viewer: UserId, place: Place) -> Result<Nameable, Error> {
        let statement = match place {
            Place::Account => {
                "SELECT id, name, 0, 0 FROM users WHERE active = 1 AND ?1 > 0 AND ?2 = 0
                 ORDER BY lower(name), id LIMIT ?3"
            }
            Place::Room(_) => {
                "SELECT * FROM (SELECT u.id, u.name, r.creator_id = ?1, 0 FROM memberships m
                 JOIN rooms r ON r.id = m.room_id
                 JOIN memberships a ON a.room_id = m.room_id JOIN users u ON u.id = a.user_id
                 WHERE m.user_id = ?1 AND m.room_id = ?2 AND u.active = 1
                 ORDER BY lower(u.name), u.id LIMIT ?3)
                 UNION ALL SELECT r.id, r.name, 0, 1 FROM memberships m
                 JOIN rooms r ON r.id = m.room_id WHERE m.user_id = ?1 AND r.kind = 'open'"
            }
            Place::RoomOf(_) => {
                "SELECT * FROM (SELECT u.id, u.name, r.creator_id = ?1, 0 FROM messages g
                 JOIN memberships m ON m.room_id = g.room_id AND m.user_id = ?1
                 JOIN rooms r ON r.id = m.room_id
                 JOIN memberships a ON a.room_id = m.room_id JOIN users u ON u.id = a.user_id
                 WHERE g.id = ?2 AND u.active = 1 ORDER BY lower(u.name), u.id LIMIT ?3)
                 UNION ALL SELECT r.id, r.name, 0, 1 FROM memberships m
                 JOIN rooms r ON r.id = m.room_id WHERE m.user_id = ?1 AND r.kind = 'open'"
            }
        };
        let at = match place {
            Place::Account => 0,
            Place::Room(id) => id.get(),
            Place::RoomOf(id) => id.get(),
        };
        let rows: Vec<(i64, String, bool, bool)> = sqlx::query_as(statement)
            .bind(viewer.get())
            .bind(at)
            .bind(MAX_NAMES)
            .fetch_all(self.reader())
            .await
            .map_err(read_failed)?;
        let mut found = Nameable::default();
        for (id, name, is_creator, is_room) in rows {
            if is_room {
                found.rooms.push((RoomId::new(id), name));
            } else {
                found.is_creator |= is_creator;
                found.people.push(UserRef { id: UserId::new(id), name });
            }
        }
        Ok(found)
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The newest message seen.
    pub message_id: MessageId,
    /// Mentions of the reader after it.
    pub mentions: u32,
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
    Ok(row.map(|(id, mentions)| Reading { message_id: MessageId::new(id), mentions }))
}
