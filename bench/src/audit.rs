//! What the database says, read directly: the truth that answers are held against.
//!
//! Used by every measurement that reads pages or writes messages. It opens the file itself and
//! never asks the server. After a row that writes, every acknowledged message must be there once,
//! with its author, room, text and search row, and nothing else may have appeared.

use super::report::{Failure, wrong};
use serde::Deserialize;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use std::collections::HashMap;
use std::path::Path;

/// A message as a page has to show it: its id and its HTML.
pub type Shown = (i64, String);

/// A message the server says it has stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// As the server said.
    pub id: i64,
    /// Where it was sent.
    pub room_id: i64,
    /// Who sent it.
    pub user_id: i64,
    /// The id its sender gave it.
    pub client_message_id: String,
    /// The text that was sent.
    pub body: String,
    /// A word of the text that no other message has.
    pub word: String,
}

/// The answer to a sent message, as far as it is checked.
#[derive(Deserialize)]
struct Answer {
    id: i64,
    room_id: i64,
    client_message_id: String,
    creator: Creator,
    body: String,
}

#[derive(Deserialize)]
struct Creator {
    id: i64,
}

impl Acknowledged {
    /// Takes the id from the server's answer; everything else has to be what was sent.
    ///
    /// # Errors
    /// [`Failure::Wrong`] when it is not.
    pub fn by(mut self, answer: &[u8]) -> Result<Self, Failure> {
        let said: Answer = serde_json::from_slice(answer)?;
        let same = said.room_id == self.room_id
            && said.creator.id == self.user_id
            && said.client_message_id == self.client_message_id
            && said.body == self.body;
        self.id = said.id;
        if same { Ok(self) } else { wrong(format!("another message was acknowledged: {self:?}")) }
    }
}

/// The database of a running or stopped server.
pub struct Database {
    connection: SqliteConnection,
}

impl Database {
    /// Opens it for reading.
    ///
    /// # Errors
    /// [`Failure::Broken`] with what SQLite says.
    pub async fn open(folder: &Path) -> Result<Self, Failure> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join("campfire.db"))
            .pragma("query_only", "ON")
            .pragma("cache_size", "-100000")
            .disable_statement_logging();
        Ok(Self { connection: options.connect().await? })
    }

    /// The newest messages of a room, or those before one, oldest first.
    ///
    /// # Errors
    /// [`Failure::Broken`] with what SQLite says.
    pub async fn messages(
        &mut self,
        room_id: i64,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Shown>, Failure> {
        let mut rows: Vec<Shown> = sqlx::query_as(
            "SELECT id, body_html FROM messages
             WHERE room_id = ?1 AND deleted_at IS NULL AND id < ?2 ORDER BY id DESC LIMIT ?3",
        )
        .bind(room_id)
        .bind(before.unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(&mut self.connection)
        .await?;
        rows.reverse();
        Ok(rows)
    }

    /// The id of a room's message at this place, counted from its oldest.
    ///
    /// # Errors
    /// [`Failure::Broken`] when there is none.
    pub async fn nth_message(&mut self, room_id: i64, place: i64) -> Result<i64, Failure> {
        let (id,): (i64,) = sqlx::query_as(
            "SELECT id FROM messages WHERE room_id = ?1 AND deleted_at IS NULL
             ORDER BY id LIMIT 1 OFFSET ?2",
        )
        .bind(room_id)
        .bind(place)
        .fetch_one(&mut self.connection)
        .await?;
        Ok(id)
    }

    /// The rooms of a user by name, as the sidebar lists them.
    ///
    /// # Errors
    /// [`Failure::Broken`] with what SQLite says.
    pub async fn rooms_of(&mut self, user_id: i64) -> Result<Vec<i64>, Failure> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "SELECT r.id FROM memberships m JOIN rooms r ON r.id = m.room_id
             WHERE m.user_id = ?1 AND m.involvement <> 'invisible' ORDER BY lower(r.name), r.id",
        )
        .bind(user_id)
        .fetch_all(&mut self.connection)
        .await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// The newest message id and the last change.
    ///
    /// # Errors
    /// [`Failure::Broken`] with what SQLite says.
    pub async fn head(&mut self) -> Result<(i64, i64), Failure> {
        let head = sqlx::query_as("SELECT last_message_id, last_seq FROM sequence");
        Ok(head.fetch_one(&mut self.connection).await?)
    }

    /// Holds everything written after message `since` against what was acknowledged.
    ///
    /// # Errors
    /// [`Failure::Wrong`] naming the first message that is missing, extra, doubled or different.
    pub async fn audit(&mut self, since: i64, all: &[Acknowledged]) -> Result<(), Failure> {
        type Stored = (i64, i64, i64, String, String);
        let rows: Vec<Stored> = sqlx::query_as(
            "SELECT id, room_id, creator_id, client_message_id, body FROM messages WHERE id > ?1",
        )
        .bind(since)
        .fetch_all(&mut self.connection)
        .await?;
        let stored: HashMap<i64, Stored> = rows.into_iter().map(|row| (row.0, row)).collect();
        for one in all {
            let Some((_, room_id, user_id, client_id, body)) = stored.get(&one.id) else {
                return wrong(format!("an acknowledged message is missing: {one:?}"));
            };
            let same = (*room_id, *user_id) == (one.room_id, one.user_id)
                && *client_id == one.client_message_id
                && *body == one.body;
            if !same {
                return wrong(format!("a stored message differs from the acknowledged {one:?}"));
            }
            let found: Vec<(i64,)> =
                sqlx::query_as("SELECT rowid FROM message_search WHERE message_search MATCH ?1")
                    .bind(&one.word)
                    .fetch_all(&mut self.connection)
                    .await?;
            if found != [(one.id,)] {
                return wrong(format!("search finds {found:?} for {one:?}"));
            }
        }
        let distinct: std::collections::HashSet<i64> = all.iter().map(|one| one.id).collect();
        if distinct.len() != all.len() {
            return wrong("two messages were acknowledged with one id");
        }
        if stored.len() != all.len() {
            let (rows, said) = (stored.len(), all.len());
            return wrong(format!("{rows} messages are stored, {said} were acknowledged"));
        }
        Ok(())
    }

    /// Closes it.
    ///
    /// # Errors
    /// [`Failure::Broken`] with what SQLite says.
    pub async fn close(self) -> Result<(), Failure> {
        Ok(self.connection.close().await?)
    }
}
