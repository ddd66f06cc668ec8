//! What is found in all rooms: hits and recent searches, who can be named, and what concerns
//! somebody (mentions, answers, boosts).
//!
//! One statement answers a page of hits, from inside the index: rooms and authors are words of it,
//! so its lists are followed from the newest down, side by side, and what a viewer may not read is
//! skipped without being looked at. A room of the viewer's that no membership confirms gives
//! nothing. What concerns somebody carries the change that made it, and each person the last change
//! they have seen; the rest is new to them. Only rooms they are in count.
//!
//! Here too: the index, and what is looked up to bring messages up to date after somebody was renamed
//! or banned.

use super::messages::unpack_quote;
use super::{Store, Tx, inconsistent, read_failed, to_json};
use crate::domain::account::{Role, UserRef};
use crate::domain::error::Error;
use crate::domain::message::{Quote, plain_body};
use crate::domain::room::{Activity, ActivityKind, RoomKind};
use crate::domain::search::{FACET, Query, indexed, names_expression};
use crate::domain::{MessageId, RoomId, Seq, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use sqlx::Sqlite;
use sqlx::query::QueryAs;
use sqlx::sqlite::SqliteArguments;
use std::collections::HashMap;

/// Recent searches kept for each person (Campfire's value).
const RECENT: i64 = 10;
const DAY_MS: i64 = 86_400_000;
/// Stems that begin as an unfinished word does, looked up to follow their lists instead of gathering
/// all their messages: some 50 us each to look up and 50 to follow. Beyond that they are gathered.
const MAX_ENDINGS: i64 = 24;
/// So many words may stand before it in its phrase; behind more of them messages are gathered.
const MAX_BEFORE: usize = 3;
/// Messages indexed in one transaction when the index is made anew.
const BACKLOG_STEP: i64 = 2_000;

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
/// ?11 recent searches, ?12 words before an unfinished one, ?13 its stem, ?14 its beginning, ?15
/// stems looked up at most.
const SEARCH: &str = include_str!("sql/search_search.sql");

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
        let unfinished = query.unfinished();
        let unfinished = unfinished.as_ref();
        // What stands before the word is followed once for each ending.
        let is_long = unfinished.is_some_and(|word| word.before.matches(' ').count() > MAX_BEFORE);
        let endings = if is_long { 0 } else { MAX_ENDINGS };
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
            .bind(unfinished.map(|word| &word.before))
            .bind(unfinished.map(|word| &word.stem))
            .bind(unfinished.map(|word| &word.beginning))
            .bind(endings)
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
    let done = sqlx::query(include_str!("sql/search_insert_search.sql"))
        .bind(viewer.get())
        .bind(query)
        .bind(now.ms())
        .execute(&mut *tx)
        .await?;
    sqlx::query(include_str!("sql/search_insert_search_forget.sql"))
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
        let rows: Vec<(i64, String, String, bool, bool)> =
            sqlx::query_as(include_str!("sql/search_list_candidates.sql"))
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
                include_str!("sql/search_list_names_of_account.sql")
            }
            Place::Room(_) => {
                include_str!("sql/search_list_names_of_room.sql")
            }
            Place::RoomOf(_) => {
                include_str!("sql/search_list_names_of_message.sql")
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
        let rows: Vec<ActivityRow> = sqlx::query_as(include_str!("sql/search_list_activity.sql"))
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
        let (count,): (u32,) = sqlx::query_as(include_str!("sql/search_count_activity.sql"))
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
        excerpt: Quote::new(message_id, user.clone(), (&plain_body(body, &html), &html)).excerpt,
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
    let rows: Vec<(i64, i64, i64, String, String, String)> =
        sqlx::query_as(include_str!("sql/search_list_quotes.sql"))
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
    let rows: Vec<(i64, i64)> = sqlx::query_as(include_str!("sql/search_insert_mentions.sql"))
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
    let rows: Vec<(i64,)> = sqlx::query_as(include_str!("sql/search_remove_mentions.sql"))
        .bind(id.get())
        .bind(to_json(still)?)
        .fetch_all(tx)
        .await?;
    Ok(rows.into_iter().map(|(id,)| UserId::new(id)).collect())
}

/// Stores the search row of a message, new or edited.
pub async fn index_message(tx: &mut Tx, id: MessageId, text: &str) -> sqlx::Result<()> {
    sqlx::query("INSERT OR REPLACE INTO message_search (rowid, body) VALUES (?1, ?2)")
        .bind(id.get())
        .bind(text)
        .execute(tx)
        .await
        .map(|_| ())
}

/// Indexes the messages that were there before the index, newest first. Goes on where it was
/// interrupted; with nothing to do it is one read.
pub async fn index_backlog(tx: &mut Tx) -> sqlx::Result<()> {
    while let Some((newest,)) =
        sqlx::query_as::<_, (i64,)>("SELECT newest_id FROM search_backlog").fetch_optional(&mut *tx).await?
    {
        tracing::info!(newest, "indexing messages for search");
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *tx).await?;
        let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(include_str!("sql/search_index_backlog.sql"))
            .bind(newest)
            .bind(BACKLOG_STEP)
            .fetch_all(&mut *tx)
            .await?;
        for (id, room_id, creator_id, html) in &rows {
            let text = indexed(html, RoomId::new(*room_id), UserId::new(*creator_id));
            index_message(tx, MessageId::new(*id), &text).await?;
        }
        let next = match rows.last() {
            Some((oldest, ..)) => sqlx::query("UPDATE search_backlog SET newest_id = ?1").bind(oldest - 1),
            None => sqlx::query("DELETE FROM search_backlog"),
        };
        next.execute(&mut *tx).await?;
        sqlx::query("COMMIT").execute(&mut *tx).await?;
    }
    Ok(())
}

impl Store {
    /// Whose messages are still to be removed.
    pub async fn list_users_losing_messages(&self) -> Result<Vec<UserId>, Error> {
        let ids = self.list_ids(sqlx::query_as("SELECT id FROM users WHERE removing_messages = 1")).await?;
        Ok(ids.map(UserId::new).collect())
    }

    /// Messages of one author after an id, at most `limit`. Reads as much of the history as it
    /// takes to find them, beside the writer.
    pub async fn list_message_ids_of(
        &self,
        creator: UserId,
        after: MessageId,
        limit: u32,
    ) -> Result<Vec<MessageId>, Error> {
        let statement = sqlx::query_as(include_str!("sql/search_list_message_ids_of.sql"));
        let ids = self.list_ids(statement.bind(creator.get()).bind(after.get()).bind(limit)).await?;
        Ok(ids.map(MessageId::new).collect())
    }

    /// Whose mentions still carry an earlier name.
    pub async fn list_renamed_users(&self) -> Result<Vec<UserId>, Error> {
        let ids = self.list_ids(sqlx::query_as("SELECT id FROM users WHERE renamed = 1")).await?;
        Ok(ids.map(UserId::new).collect())
    }

    /// Messages after an id whose text mentions somebody, at most `limit`. Reads the history once
    /// from end to end, beside the writer.
    pub async fn list_messages_naming(
        &self,
        user_id: UserId,
        after: MessageId,
        limit: u32,
    ) -> Result<Vec<MessageId>, Error> {
        let statement = sqlx::query_as(include_str!("sql/search_list_messages_naming.sql"));
        let ids = self.list_ids(statement.bind(user_id.get()).bind(after.get()).bind(limit)).await?;
        Ok(ids.map(MessageId::new).collect())
    }

    /// The answer of a statement that selects nothing but ids.
    async fn list_ids<'q>(
        &self,
        statement: QueryAs<'q, Sqlite, (i64,), SqliteArguments>,
    ) -> Result<impl Iterator<Item = i64>, Error> {
        let rows = statement.fetch_all(self.reader()).await.map_err(read_failed)?;
        Ok(rows.into_iter().map(|(id,)| id))
    }
}

/// Notes that somebody's messages are to be removed, or that they have been.
pub async fn update_removing(tx: &mut Tx, id: UserId, wanted: bool) -> sqlx::Result<()> {
    sqlx::query("UPDATE users SET removing_messages = ?2 WHERE id = ?1")
        .bind(id.get())
        .bind(wanted)
        .execute(tx)
        .await
        .map(|_| ())
}

/// Whether somebody's messages are to be removed.
pub async fn is_losing_messages(tx: &mut Tx, id: UserId) -> sqlx::Result<bool> {
    sqlx::query("SELECT 1 FROM users WHERE id = ?1 AND removing_messages = 1")
        .bind(id.get())
        .fetch_optional(tx)
        .await
        .map(|row| row.is_some())
}

/// Notes that mentions of somebody carry an earlier name, or that none does any more.
pub async fn update_renamed(tx: &mut Tx, id: UserId, renamed: bool) -> sqlx::Result<()> {
    sqlx::query("UPDATE users SET renamed = ?2 WHERE id = ?1")
        .bind(id.get())
        .bind(renamed)
        .execute(tx)
        .await
        .map(|_| ())
}

/// Somebody whose mentions carry an earlier name, by the one they have now.
pub async fn find_renamed(tx: &mut Tx, id: UserId) -> sqlx::Result<Option<UserRef>> {
    let row: Option<(String,)> = sqlx::query_as("SELECT name FROM users WHERE id = ?1 AND renamed = 1")
        .bind(id.get())
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|(name,)| UserRef { id, name }))
}
