//! What is found in all rooms: hits and recent searches, who can be named, and what concerns
//! somebody (mentions, answers, boosts).
//!
//! One statement answers a page of hits, from inside the index: rooms and authors are words of it,
//! so its lists are followed from the newest down, side by side, and what a viewer may not read is
//! skipped without being looked at. A room of the viewer's that no membership confirms gives
//! nothing. What concerns somebody carries the change that made it, and each person the last change
//! they have seen; the rest is new to them. Only rooms they are in count.

use super::messages::unpack_quote;
use super::{Store, Tx, inconsistent, read_failed, to_json};
use crate::domain::account::{Role, UserRef};
use crate::domain::error::Error;
use crate::domain::message::{Quote, plain_body};
use crate::domain::room::{Activity, ActivityKind, RoomKind};
use crate::domain::search::{FACET, Query, names_expression};
use crate::domain::{MessageId, RoomId, Seq, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Recent searches kept for each person (Campfire's value).
const RECENT: i64 = 10;
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
        let (knows_people, knows_rooms, recent, hits): (bool, bool, String, String) = sqlx::query_as(SEARCH)
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
        let unreadable =
            |error: serde_json::Error| inconsistent("message_search", viewer.get(), &error.to_string());
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
pub async fn insert_search(tx: &mut Tx, viewer: UserId, query: &str, now: Timestamp) -> sqlx::Result<bool> {
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
pub async fn remove_searches(tx: &mut Tx, viewer: UserId) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM searches WHERE user_id = ?1").bind(viewer.get()).execute(tx).await.map(|_| ())
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
        let candidates = rows.into_iter().map(|(id, name, role, is_member, is_creator)| Candidate {
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

    /// What concerns the viewer, newest first: what happened before a change, or lately.
    pub async fn list_activity(
        &self,
        viewer: UserId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Activity>, Error> {
        let rows: Vec<ActivityRow> = sqlx::query_as(
            "SELECT CASE WHEN x.content IS NOT NULL THEN 'boost'
                         WHEN o.creator_id = ?1 THEN 'reply' ELSE 'mention' END,
                    x.seq, u.id, u.name, m.room_id, m.id, m.body, m.body_html, x.content, x.at,
                    x.seq > v.activity_seen
             FROM (SELECT * FROM (
                     SELECT n.seq, n.message_id, g.creator_id AS user_id, NULL AS content,
                            g.created_at AS at
                     FROM mentions n CROSS JOIN memberships ms
                         ON ms.user_id = n.user_id AND ms.room_id = n.room_id
                     CROSS JOIN messages g ON g.id = n.message_id
                     WHERE n.user_id = ?1 AND n.seq < ?2 ORDER BY n.seq DESC LIMIT ?3)
                 UNION ALL SELECT * FROM (
                     SELECT b.seq, b.message_id, b.booster_id, b.content, b.created_at
                     FROM boosts b CROSS JOIN messages g ON g.id = b.message_id
                     CROSS JOIN memberships ms ON ms.user_id = ?1 AND ms.room_id = g.room_id
                     WHERE b.author_id = ?1 AND b.booster_id <> b.author_id AND b.seq < ?2
                     ORDER BY b.seq DESC LIMIT ?3)) x
             JOIN messages m ON m.id = x.message_id JOIN users u ON u.id = x.user_id
             JOIN users v ON v.id = ?1 LEFT JOIN messages o ON o.id = m.reply_to_id
             ORDER BY x.seq DESC LIMIT ?3",
        )
        .bind(viewer.get())
        .bind(before.map_or(i64::MAX, Seq::get))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.reader())
        .await
        .map_err(read_failed)?;
        Ok(rows.into_iter().map(activity).collect())
    }

    /// How much of it is new to the viewer, up to a hundred.
    pub async fn count_activity(&self, viewer: UserId) -> Result<u32, Error> {
        let (count,): (u32,) = sqlx::query_as(
            "SELECT min(100, (SELECT count(*) FROM (
                 SELECT 1 FROM mentions n CROSS JOIN memberships ms
                     ON ms.user_id = n.user_id AND ms.room_id = n.room_id
                 WHERE n.user_id = ?1
                     AND n.seq > (SELECT activity_seen FROM users WHERE id = ?1) LIMIT 100))
             + (SELECT count(*) FROM (
                 SELECT 1 FROM boosts b CROSS JOIN messages g ON g.id = b.message_id
                 CROSS JOIN memberships ms ON ms.user_id = ?1 AND ms.room_id = g.room_id
                 WHERE b.author_id = ?1 AND b.booster_id <> b.author_id
                     AND b.seq > (SELECT activity_seen FROM users WHERE id = ?1) LIMIT 100)))",
        )
        .bind(viewer.get())
        .fetch_one(self.reader())
        .await
        .map_err(read_failed)?;
        Ok(count)
    }
}

/// Kind, seq, who and their name, room and message, its text and HTML, the boost, when, if unread.
type ActivityRow = (String, i64, i64, String, i64, i64, String, String, Option<String>, i64, bool);

fn activity(row: ActivityRow) -> Activity {
    let (kind, seq, id, name, room_id, message_id, body, html, content, at, unread) = row;
    let user = UserRef { id: UserId::new(id), name };
    let message_id = MessageId::new(message_id);
    Activity {
        kind: match kind.as_str() {
            "boost" => ActivityKind::Boost,
            "reply" => ActivityKind::Reply,
            _ => ActivityKind::Mention,
        },
        seq: Seq::new(seq),
        room_id: RoomId::new(room_id),
        message_id,
        excerpt: Quote::new(message_id, user.clone(), &plain_body(body, &html)).excerpt,
        user,
        content,
        created_at: Timestamp::from_ms(at),
        unread,
    }
}

/// Notes up to which change somebody has seen what concerns them. True if that is further than
/// before.
pub async fn update_activity_seen(tx: &mut Tx, viewer: UserId, seen: Seq) -> sqlx::Result<bool> {
    sqlx::query("UPDATE users SET activity_seen = ?2 WHERE id = ?1 AND activity_seen < ?2")
        .bind(viewer.get())
        .bind(seen.get())
        .execute(tx)
        .await
        .map(|done| done.rows_affected() == 1)
}

/// What these messages answer, of those that answer anything.
pub async fn list_quotes(tx: &mut Tx, replies: &[MessageId]) -> sqlx::Result<HashMap<MessageId, Quote>> {
    let rows: Vec<(i64, i64, i64, String, String, String)> = sqlx::query_as(
        "SELECT m.id, o.id, o.creator_id, u.name, o.body, o.body_html
         FROM json_each(?1) j JOIN messages m ON m.id = j.value
         JOIN messages o ON o.id = m.reply_to_id JOIN users u ON u.id = o.creator_id",
    )
    .bind(to_json(replies)?)
    .fetch_all(tx)
    .await?;
    let quotes = rows.into_iter().map(|(reply, id, creator, name, body, html)| {
        let quote = (MessageId::new(id), UserId::new(creator), name, body, html);
        (MessageId::new(reply), unpack_quote(quote))
    });
    Ok(quotes.collect())
}

/// Somebody mentioned in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NewMention {
    /// Where.
    pub message_id: MessageId,
    /// Who.
    pub user_id: UserId,
}

/// Records who is mentioned, and returns whom it newly concerns: members of the message's room
/// other than its author.
pub async fn insert_mentions(tx: &mut Tx, mentions: &[NewMention]) -> sqlx::Result<Vec<NewMention>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "INSERT INTO mentions (user_id, room_id, message_id, seq)
         SELECT ms.user_id, g.room_id, g.id, g.seq FROM json_each(?1) j
         JOIN messages g ON g.id = j.value ->> 'message_id'
         JOIN memberships ms ON ms.room_id = g.room_id AND ms.user_id = j.value ->> 'user_id'
         WHERE ms.user_id <> g.creator_id ON CONFLICT DO NOTHING RETURNING message_id, user_id",
    )
    .bind(to_json(mentions)?)
    .fetch_all(tx)
    .await?;
    let mentions = rows.into_iter().map(|(message_id, user_id)| NewMention {
        message_id: MessageId::new(message_id),
        user_id: UserId::new(user_id),
    });
    Ok(mentions.collect())
}

/// Forgets who was mentioned in a message, all but those who still are, and returns them.
pub async fn remove_mentions(tx: &mut Tx, id: MessageId, still: &[UserId]) -> sqlx::Result<Vec<UserId>> {
    let rows: Vec<(i64,)> = sqlx::query_as(
        "DELETE FROM mentions WHERE message_id = ?1
         AND user_id NOT IN (SELECT value FROM json_each(?2)) RETURNING user_id",
    )
    .bind(id.get())
    .bind(to_json(still)?)
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|(id,)| UserId::new(id)).collect())
}
