//! What concerns people: who is mentioned, who is answered, what is added to whose message, and how
//! far everybody has seen it.
//!
//! Each such thing carries the change that made it, and each person the last change they have
//! seen; the rest is new to them. Only rooms they are in count.

use super::messages::unpack_quote;
use super::{Store, Tx, read_failed, to_json};
use crate::domain::account::UserRef;
use crate::domain::composing::Boost;
use crate::domain::error::Error;
use crate::domain::message::{Message, Quote, plain_body};
use crate::domain::room::{Activity, ActivityKind};
use crate::domain::{MessageId, RoomId, Seq, Timestamp, UserId};
use serde::Serialize;
use std::collections::HashMap;

/// Kind, seq, who and their name, room and message, its text and HTML, the boost, when, if unread.
type ActivityRow = (String, i64, i64, String, i64, i64, String, String, Option<String>, i64, bool);

impl Store {
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

    /// Messages after an id whose text mentions somebody, at most `limit`. Reads the history once
    /// from end to end, beside the writer.
    pub async fn list_messages_naming(
        &self,
        user_id: UserId,
        after: MessageId,
        limit: u32,
    ) -> Result<Vec<MessageId>, Error> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "SELECT id FROM messages WHERE id > ?2 AND deleted_at IS NULL
             AND instr(body, '<@' || ?1 || '>') ORDER BY id LIMIT ?3",
        )
        .bind(user_id.get())
        .bind(after.get())
        .bind(limit)
        .fetch_all(self.reader())
        .await
        .map_err(read_failed)?;
        Ok(rows.into_iter().map(|(id,)| MessageId::new(id)).collect())
    }

    /// Whose mentions still carry an earlier name.
    pub async fn list_renamed_users(&self) -> Result<Vec<UserId>, Error> {
        let rows: Vec<(i64,)> = sqlx::query_as("SELECT id FROM users WHERE renamed = 1")
            .fetch_all(self.reader())
            .await
            .map_err(read_failed)?;
        Ok(rows.into_iter().map(|(id,)| UserId::new(id)).collect())
    }
}

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

/// Adds a boost to a message that carries the seq of this change already.
pub async fn insert_boost(
    tx: &mut Tx,
    message: &Message,
    booster: UserId,
    boost: &Boost,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO boosts (seq, message_id, booster_id, author_id, content, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(message.seq.get())
    .bind(message.id.get())
    .bind(booster.get())
    .bind(message.creator.id.get())
    .bind(boost.content())
    .bind(now.ms())
    .execute(&mut *tx)
    .await?;
    recount_boosts(tx, message).await
}

/// Takes a boost away from a message that carries the seq of this change already; without a
/// booster, all boosts of it.
pub async fn remove_boosts(
    tx: &mut Tx,
    message: &Message,
    which: Option<(UserId, &Boost)>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM boosts WHERE message_id = ?1
         AND (?2 IS NULL OR booster_id = ?2 AND content = ?3)",
    )
    .bind(message.id.get())
    .bind(which.map(|(booster, _)| booster.get()))
    .bind(which.map(|(_, boost)| boost.content()))
    .execute(&mut *tx)
    .await?;
    recount_boosts(tx, message).await
}

async fn recount_boosts(tx: &mut Tx, message: &Message) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE messages SET seq = ?2,
                boosts = (SELECT count(*) FROM boosts WHERE message_id = ?1) WHERE id = ?1",
    )
    .bind(message.id.get())
    .bind(message.seq.get())
    .execute(tx)
    .await
    .map(|_| ())
}

/// Notes up to which change somebody has seen what concerns them. True if that is further than
/// before.
pub async fn update_activity_seen(
    tx: &mut Tx,
    viewer: UserId,
    seen: Seq,
) -> Result<bool, sqlx::Error> {
    sqlx::query("UPDATE users SET activity_seen = ?2 WHERE id = ?1 AND activity_seen < ?2")
        .bind(viewer.get())
        .bind(seen.get())
        .execute(tx)
        .await
        .map(|done| done.rows_affected() == 1)
}

/// Notes that mentions of somebody carry an earlier name, or that none does any more.
pub async fn update_renamed(tx: &mut Tx, id: UserId, renamed: bool) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE users SET renamed = ?2 WHERE id = ?1")
        .bind(id.get())
        .bind(renamed)
        .execute(tx)
        .await
        .map(|_| ())
}

/// Somebody whose mentions carry an earlier name, by the one they have now.
pub async fn find_renamed(tx: &mut Tx, id: UserId) -> Result<Option<UserRef>, sqlx::Error> {
    let row: Option<(String,)> =
        sqlx::query_as("SELECT name FROM users WHERE id = ?1 AND renamed = 1")
            .bind(id.get())
            .fetch_optional(tx)
            .await?;
    Ok(row.map(|(name,)| UserRef { id, name }))
}

/// What these messages answer, of those that answer anything.
pub async fn list_quotes(
    tx: &mut Tx,
    replies: &[MessageId],
) -> Result<HashMap<MessageId, Quote>, sqlx::Error> {
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
pub async fn insert_mentions(
    tx: &mut Tx,
    mentions: &[NewMention],
) -> Result<Vec<NewMention>, sqlx::Error> {
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
pub async fn remove_mentions(
    tx: &mut Tx,
    id: MessageId,
    still: &[UserId],
) -> Result<Vec<UserId>, sqlx::Error> {
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
