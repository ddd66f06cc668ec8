//! Searching: hits, recent searches, and the search rows of messages that were there before the
//! index.
//!
//! One statement answers a page, from inside the index: rooms and authors are words of it, so its
//! lists are followed from the newest down, side by side, and what a viewer may not read is
//! skipped without being looked at. A room of the viewer's that no membership confirms gives
//! nothing.

use super::{Store, Tx, inconsistent, read_failed};
use crate::domain::account::{Role, UserRef};
use crate::domain::error::Error;
use crate::domain::room::RoomKind;
use crate::domain::search::{FACET, Query, indexed, names_expression};
use crate::domain::{MessageId, RoomId, Timestamp, UserId};
use serde::Deserialize;

/// Recent searches kept for each person (Campfire's value).
const RECENT: i64 = 10;
/// Messages indexed in one transaction when the index is made anew.
const BACKLOG_STEP: i64 = 2_000;
const DAY_MS: i64 = 86_400_000;

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The message.
    pub id: MessageId,
    /// Its room.
    pub room_id: RoomId,
    /// What the room is called; a direct one by who else is in it.
    pub room_name: String,
    /// Who may be in the room.
    pub room_kind: RoomKind,
    /// Who wrote it.
    pub creator: UserRef,
    /// Its sanitised HTML.
    pub body_html: String,
    /// When it was written.
    pub created_at: Timestamp,
}

/// A page of what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The hits, newest first.
    pub hits: Vec<Hit>,
    /// Whether there are older ones.
    pub has_more: bool,
    /// Whether `from:` names anybody, or was not asked.
    pub knows_people: bool,
    /// Whether `in:` names a room of the viewer's, or was not asked.
    pub knows_rooms: bool,
    /// What the viewer searched for lately, newest first.
    pub recent: Vec<String>,
}

/// `json_array` of a hit.
#[derive(Deserialize)]
struct Packed(i64, i64, String, String, i64, String, String, i64);

/// ?1 viewer, ?2 words, ?3 names of people, ?4 whether the viewer is meant too, ?5 names of rooms,
/// ?6 facet mark, ?7 before this id, ?8 after and ?9 before these days, ?10 hits at most,
/// ?11 recent searches.
const SEARCH: &str = "
    WITH mine(id) AS MATERIALIZED (
        SELECT ms.room_id FROM memberships ms JOIN users v ON v.id = ms.user_id AND v.active = 1
        WHERE ms.user_id = ?1),
    places(id) AS MATERIALIZED (
        SELECT id FROM mine WHERE ?5 IS NULL
            OR id IN (SELECT rowid FROM room_search WHERE room_search MATCH coalesce(?5, ?6))
            OR id IN (SELECT ms.room_id FROM user_search s JOIN memberships ms ON ms.user_id = s.rowid
                      JOIN rooms r ON r.id = ms.room_id AND r.kind = 'direct'
                      WHERE user_search MATCH coalesce(?5, ?6) AND s.rowid <> ?1)),
    people(id) AS MATERIALIZED (
        SELECT rowid FROM user_search WHERE user_search MATCH coalesce(?3, ?6) UNION SELECT ?1 WHERE ?4),
    wanted(expression) AS MATERIALIZED (
        SELECT ?2 || CASE ?2 WHEN '' THEN '' ELSE ' AND ' END
            || '(' || coalesce((SELECT group_concat(?6 || 'r' || id, ' OR ') FROM places), ?6) || ')'
            || CASE WHEN ?3 IS NULL AND NOT ?4 THEN '' ELSE ' AND (' || coalesce(
                (SELECT group_concat(?6 || 'u' || id, ' OR ') FROM people), ?6) || ')' END)
    SELECT (?3 IS NULL AND NOT ?4) OR EXISTS (SELECT 1 FROM people),
           ?5 IS NULL OR EXISTS (SELECT 1 FROM places),
           (SELECT json_group_array(query) FROM (SELECT query FROM searches WHERE user_id = ?1
                                                 ORDER BY id DESC LIMIT ?11)),
           (SELECT json_group_array(json(hit)) FROM (
                SELECT json_array(m.id, r.id, coalesce(nullif(r.name, ''),
                           (SELECT group_concat(o.name, ', ') FROM memberships oms
                            JOIN users o ON o.id = oms.user_id
                            WHERE oms.room_id = r.id AND o.id <> ?1), ''),
                           r.kind, u.id, u.name, m.body_html, m.created_at) AS hit
                FROM message_search s
                CROSS JOIN messages m ON m.id = s.rowid AND m.deleted_at IS NULL
                CROSS JOIN memberships ms ON ms.room_id = m.room_id AND ms.user_id = ?1
                CROSS JOIN rooms r ON r.id = m.room_id
                CROSS JOIN users u ON u.id = m.creator_id
                WHERE message_search MATCH (SELECT coalesce(expression, ?6) FROM wanted)
                AND s.rowid < ?7
                AND s.rowid >= CASE WHEN ?8 IS NULL THEN 0 ELSE coalesce(
                    (SELECT min(first_id) FROM message_days WHERE day >= ?8 / 86400000), ?7) END
                AND s.rowid <= CASE WHEN ?9 IS NULL THEN ?7 ELSE coalesce(
                    (SELECT max(last_id) FROM message_days WHERE day < ?9 / 86400000), 0) END
                AND (?8 IS NULL OR m.created_at >= ?8) AND (?9 IS NULL OR m.created_at < ?9)
                ORDER BY s.rowid DESC LIMIT ?10))";

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
    /// The newest messages older than `before` that a query finds in the viewer's rooms, and their
    /// recent searches. A query that asks nothing finds nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Unexpected`] for an unreadable row.
    pub async fn search(
        &self,
        viewer: UserId,
        query: &Query,
        before: MessageId,
        limit: usize,
    ) -> Result<Found, Error> {
        let names = |names: &[String]| (!names.is_empty()).then(|| names_expression(names));
        // One more than wanted tells whether there are more.
        let probe = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let (knows_people, knows_rooms, recent, hits): (bool, bool, String, String) =
            sqlx::query_as(SEARCH)
                .bind(viewer.get())
                .bind(query.asks_something().then(|| query.expression()))
                .bind(names(&query.people))
                .bind(query.me)
                .bind(names(&query.rooms))
                .bind(FACET.to_string())
                .bind(before.get())
                .bind(query.after.map(|day| day * DAY_MS))
                .bind(query.before.map(|day| day * DAY_MS))
                .bind(probe)
                .bind(RECENT)
                .fetch_one(self.reader())
                .await
                .map_err(read_failed)?;
        let unreadable = |error: serde_json::Error| {
            inconsistent("message_search", viewer.get(), &error.to_string())
        };
        let packed: Vec<Packed> = serde_json::from_str(&hits).map_err(unreadable)?;
        let recent = serde_json::from_str(&recent).map_err(unreadable)?;
        let mut hits = packed.into_iter().map(unpack).collect::<Result<Vec<Hit>, Error>>()?;
        let has_more = hits.len() > limit;
        hits.truncate(limit);
        Ok(Found { hits, has_more, knows_people, knows_rooms, recent })
    }
}

fn unpack(packed: Packed) -> Result<Hit, Error> {
    let Packed(id, room_id, room_name, kind, creator_id, name, body_html, created_at) = packed;
    let kind = RoomKind::parse(&kind);
    Ok(Hit {
        id: MessageId::new(id),
        room_id: RoomId::new(room_id),
        room_name,
        room_kind: kind.ok_or_else(|| inconsistent("rooms", room_id, "unknown kind"))?,
        creator: UserRef { id: UserId::new(creator_id), name },
        body_html,
        created_at: Timestamp::from_ms(created_at),
    })
}

/// Keeps what somebody searched for as their newest search, and forgets those beyond the tenth.
/// False for somebody who may not come in.
pub async fn insert_search(
    tx: &mut Tx,
    viewer: UserId,
    query: &str,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO searches (id, user_id, query, created_at)
         SELECT (SELECT coalesce(max(id), 0) + 1 FROM searches), id, ?2, ?3
         FROM users WHERE id = ?1 AND active = 1
         ON CONFLICT (user_id, query)
         DO UPDATE SET id = excluded.id, created_at = excluded.created_at",
    )
    .bind(viewer.get())
    .bind(query)
    .bind(now.ms())
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "DELETE FROM searches WHERE user_id = ?1 AND id NOT IN
             (SELECT id FROM searches WHERE user_id = ?1 ORDER BY id DESC LIMIT ?2)",
    )
    .bind(viewer.get())
    .bind(RECENT)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets what somebody searched for.
pub async fn remove_searches(tx: &mut Tx, viewer: UserId) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM searches WHERE user_id = ?1")
        .bind(viewer.get())
        .execute(tx)
        .await
        .map(|_| ())
}

/// Stores the search row of a message, new or edited.
pub async fn index_message(tx: &mut Tx, id: MessageId, text: &str) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT OR REPLACE INTO message_search (rowid, body) VALUES (?1, ?2)")
        .bind(id.get())
        .bind(text)
        .execute(tx)
        .await
        .map(|_| ())
}

/// Indexes the messages that were there before the index, newest first. Goes on where it was
/// interrupted; with nothing to do it is one read.
pub async fn index_backlog(tx: &mut Tx) -> Result<(), sqlx::Error> {
    while let Some((newest,)) = sqlx::query_as::<_, (i64,)>("SELECT newest_id FROM search_backlog")
        .fetch_optional(&mut *tx)
        .await?
    {
        tracing::info!(newest, "indexing messages for search");
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *tx).await?;
        let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(
            "SELECT id, room_id, creator_id, body_html FROM messages
             WHERE id <= ?1 AND deleted_at IS NULL ORDER BY id DESC LIMIT ?2",
        )
        .bind(newest)
        .bind(BACKLOG_STEP)
        .fetch_all(&mut *tx)
        .await?;
        for (id, room_id, creator_id, html) in &rows {
            let text = indexed(html, RoomId::new(*room_id), UserId::new(*creator_id));
            index_message(tx, MessageId::new(*id), &text).await?;
        }
        let next = match rows.last() {
            Some((oldest, ..)) => {
                sqlx::query("UPDATE search_backlog SET newest_id = ?1").bind(oldest - 1)
            }
            None => sqlx::query("DELETE FROM search_backlog"),
        };
        next.execute(&mut *tx).await?;
        sqlx::query("COMMIT").execute(&mut *tx).await?;
    }
    Ok(())
}

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

    /// Messages of one author after an id, at most `limit`. Reads as much of the history as it
    /// takes to find them, beside the writer.
    pub async fn list_message_ids_of(
        &self,
        creator: UserId,
        after: MessageId,
        limit: u32,
    ) -> Result<Vec<MessageId>, Error> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "SELECT id FROM messages WHERE creator_id = ?1 AND id > ?2 AND deleted_at IS NULL
             ORDER BY id LIMIT ?3",
        )
        .bind(creator.get())
        .bind(after.get())
        .bind(limit)
        .fetch_all(self.reader())
        .await
        .map_err(read_failed)?;
        Ok(rows.into_iter().map(|(id,)| MessageId::new(id)).collect())
    }
}
