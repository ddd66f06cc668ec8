//! Every SQL statement of the product, one file for each noun.
//!
//! Reads go through [`Store`], a pool that cannot write. Writes need a [`Tx`], which only the
//! writer task holds. Reads of rooms and messages start from the viewer's membership: without
//! one there is nothing to find, so a forgotten check finds nothing. Statements are literals with
//! bound values (most of those of several lines stand in `sql/`, named after file and function),
//! and every read is counted, so that a test can hold each route to its limit.
//!
//! Here: opening and checkpoints; the places: where the sequence stands, and how far each reader has
//! come; the account itself, and the networks it keeps out.
//!
//! Reads fail with `Error::Unavailable` when the database does, and with `Error::Unexpected` for a
//! row that no writer of ours can have left. What works on a [`Tx`] fails with whatever SQLite
//! says; the writer makes an `Error` of it. Only what can fail otherwise says so.

pub mod account;
pub mod messages;
pub mod rooms;
pub mod search;

use super::Stop;
use super::operation::Durability;
use crate::domain::account::{Role, RoomCreators};
use crate::domain::error::Error;
use crate::domain::event::ServerFrame;
use crate::domain::room::{MAX_MENTIONS, Membership};
use crate::domain::{MessageId, RoomId, Seq, Timestamp, UserId};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqlitePool};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Readers at most (founding limit).
const MAX_READERS: u32 = 10;
/// Prepared statements kept by each connection; the product has fewer.
const STATEMENT_CACHE: usize = 256;
/// How long a foreign lock on the database is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the checkpoint task looks at the WAL.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(250);
/// A smaller WAL is left alone: 1,000 pages, SQLite's own threshold.
const CHECKPOINT_BYTES: u64 = 4 << 20;
/// Older versions can corrupt a WAL when checkpoints run beside the writer.
const MIN_SQLITE: (u32, u32, u32) = (3, 51, 3);

tokio::task_local! {
    /// Statements the current request has cost so far.
    static STATEMENTS: Cell<u32>;
}

/// Runs a request and tells how many database statements it cost. A round trip to the writer
/// counts as one.
pub async fn counting_statements<F: Future>(request: F) -> (F::Output, u32) {
    STATEMENTS
        .scope(Cell::new(0), async {
            let output = request.await;
            (output, STATEMENTS.with(Cell::get))
        })
        .await
}

/// Adds one to the statements of the current request, if there is one.
pub fn count_statement() {
    // Outside a request (start-up, background work) nobody counts, and that is no failure.
    let _counted = STATEMENTS.try_with(|count| count.set(count.get() + 1));
}

/// The transaction of one group of writes. Only the writer constructs it.
pub type Tx = SqliteConnection;

/// The readers.
#[derive(Clone, Debug)]
pub struct Store {
    readers: SqlitePool,
    path: PathBuf,
}

/// A freshly opened database.
#[derive(Debug)]
pub struct Opened {
    /// For everybody.
    pub store: Store,
    /// For the writer alone.
    pub writing: SqliteConnection,
    /// For the checkpoints that run beside the writer.
    pub checkpointing: SqliteConnection,
    /// Where the sequence stands.
    pub head: Head,
}

/// Where the sequence stands, and of which database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Names this database; cursors of another one are worthless.
    pub incarnation: String,
    /// The last committed change.
    pub seq: Seq,
    /// The newest message id ever given out.
    pub message_id: MessageId,
}

impl Store {
    /// Opens `campfire.db` in `folder`, creates and migrates it as needed. `incarnation` is used
    /// when the database is new.
    ///
    /// # Errors
    /// Whatever SQLite says (not a database, read-only, disk full), or that it is too old.
    pub async fn open(
        folder: &Path,
        durability: Durability,
        incarnation: &str,
    ) -> Result<Opened, sqlx::Error> {
        let path = folder.join("campfire.db");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(match durability {
                Durability::Full => SqliteSynchronous::Full,
                Durability::Normal => SqliteSynchronous::Normal,
            })
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("temp_store", "MEMORY")
            .pragma("wal_autocheckpoint", "0")
            .statement_cache_capacity(STATEMENT_CACHE)
            .disable_statement_logging();
        let mut writing = options.connect().await?;
        refuse_old_sqlite(&mut writing).await?;
        sqlx::migrate!("./migrations").run(&mut writing).await?;
        search::index_backlog(&mut writing).await?;
        sqlx::query(include_str!("sql/store_open.sql")).bind(incarnation).execute(&mut writing).await?;
        let head = read_head(&mut writing).await?;
        let checkpointing = options.clone().connect().await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(MAX_READERS)
            .acquire_timeout(BUSY_TIMEOUT)
            .test_before_acquire(false)
            .connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Opened { store: Self { readers, path }, writing, checkpointing, head })
    }

    /// The write-ahead log beside the database file.
    pub fn wal(&self) -> PathBuf {
        let mut wal = self.path.as_os_str().to_owned();
        wal.push("-wal");
        wal.into()
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it does not.
    pub async fn check(&self) -> Result<(), Error> {
        count_statement();
        sqlx::query("SELECT 1").execute(&self.readers).await.map(|_| ()).map_err(read_failed)
    }

    /// Closes the readers.
    pub async fn close(&self) {
        self.readers.close().await;
    }

    fn reader(&self) -> &SqlitePool {
        count_statement();
        &self.readers
    }
}

async fn read_head(connection: &mut SqliteConnection) -> Result<Head, sqlx::Error> {
    let (incarnation, seq, message_id): (String, i64, i64) =
        sqlx::query_as("SELECT incarnation, last_seq, last_message_id FROM sequence")
            .fetch_one(connection)
            .await?;
    Ok(Head { incarnation, seq: Seq::new(seq), message_id: MessageId::new(message_id) })
}

async fn refuse_old_sqlite(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let (version,): (String,) = sqlx::query_as("SELECT sqlite_version()").fetch_one(&mut *connection).await?;
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    if (part(), part(), part()) >= MIN_SQLITE {
        Ok(())
    } else {
        let problem = format!("SQLite {version} is too old; at least 3.51.3 is needed");
        Err(sqlx::Error::Configuration(problem.into()))
    }
}

/// Records where the sequence stands, in the transaction that moved it.
pub async fn update_head(tx: &mut Tx, seq: Seq, message_id: MessageId) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE sequence SET last_seq = ?1, last_message_id = ?2")
        .bind(seq.get())
        .bind(message_id.get())
        .execute(tx)
        .await
        .map(|_| ())
}

/// Copies what it can of the WAL into the database without disturbing the writer.
async fn checkpoint_passively(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(connection).await.map(|_| ())
}

/// Copies the WAL into the database beside the writer, until `stop`.
pub async fn checkpoint_beside(mut connection: SqliteConnection, wal: PathBuf, stop: Stop) {
    let mut tick = tokio::time::interval(CHECKPOINT_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = tick.tick() => {}
        }
        let size = std::fs::metadata(&wal).map_or(0, |file| file.len());
        if size > CHECKPOINT_BYTES
            && let Err(error) = checkpoint_passively(&mut connection).await
        {
            tracing::warn!(%error, "a checkpoint failed; trying again");
        }
    }
    if let Err(error) = close(connection).await {
        tracing::warn!(%error, "the checkpoint connection did not close cleanly");
    }
}

/// Copies the whole WAL into the database and empties it. Waits for readers; the writer calls it
/// between groups when the WAL has grown too far, and at the end.
pub async fn checkpoint_fully(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(connection).await.map(|_| ())
}

/// Like [`checkpoint_fully`], but waits for readers only a moment: it stands between two groups of
/// writes. False if a reader was in the way.
pub async fn checkpoint_briefly(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    sqlx::query("PRAGMA busy_timeout = 50").execute(&mut *connection).await?;
    let done: Result<(i64, i64, i64), _> =
        sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await;
    sqlx::query("PRAGMA busy_timeout = 5000").execute(connection).await?;
    done.map(|(busy, ..)| busy == 0)
}

/// Ends the writer's connection in good order.
pub async fn close(connection: SqliteConnection) -> Result<(), sqlx::Error> {
    connection.close().await
}

/// Rows on their way into a statement, as one value.
pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Logs what a read ran into and answers with what a person may know.
pub(super) fn read_failed(error: sqlx::Error) -> Error {
    tracing::error!(%error, "a read failed");
    Error::Unavailable
}

/// A stored row that cannot be a valid value: names it in the log.
pub(super) fn inconsistent(table: &'static str, row: i64, problem: &str) -> Error {
    tracing::error!(table, row, problem, "a stored row is not valid");
    Error::Unexpected
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
pub async fn update_read_cursor(
    tx: &mut Tx,
    user_id: UserId,
    room_id: RoomId,
    message_id: MessageId,
) -> sqlx::Result<Option<Reading>> {
    // A cursor beyond the newest message would hide messages that are yet to come.
    let row: Option<(i64, u32)> = sqlx::query_as(include_str!("sql/store_update_read_cursor.sql"))
        .bind(user_id.get())
        .bind(room_id.get())
        .bind(message_id.get())
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|(id, mentions)| Reading { message_id: MessageId::new(id), mentions, marked: None }))
}

/// Marks a room unread from a message on: the read cursor goes to just before it. `None` for a
/// stranger to the room.
pub async fn mark_unread(
    tx: &mut Tx,
    user_id: UserId,
    room_id: RoomId,
    message_id: MessageId,
) -> sqlx::Result<Option<Reading>> {
    let row: Option<(i64, i64, String)> = sqlx::query_as(include_str!("sql/store_mark_unread.sql"))
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

/// The account as its pages show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// The code of the oldest invite link that has no end, if there is one.
    pub join_code: Option<String>,
    /// Who may create rooms.
    pub room_creators: RoomCreators,
    /// Names its own stylesheet, if it has one.
    pub styles: Option<String>,
}

impl Account {
    /// Whether this person may create rooms.
    pub fn may_create_rooms(&self, role: Role) -> bool {
        role == Role::Administrator || self.room_creators == RoomCreators::Everybody
    }
}

type AccountRow = (String, Option<String>, String, String);

const ACCOUNT: &str = include_str!("sql/store_account.sql");

fn account((name, join_code, room_creators, styles): AccountRow) -> Account {
    let room_creators = RoomCreators::parse(&room_creators);
    Account { name, join_code, room_creators, styles: styles_name(&styles) }
}

/// What a stylesheet is called: a part of its SHA-256, so that its address can be kept for ever.
pub fn styles_name(styles: &str) -> Option<String> {
    let digest = Sha256::digest(styles.as_bytes());
    let name = || digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    (!styles.is_empty()).then(name)
}

impl Store {
    /// The account, once first run is done.
    pub async fn find_account(&self) -> Result<Option<Account>, Error> {
        let row: Option<AccountRow> =
            sqlx::query_as(ACCOUNT).fetch_optional(self.reader()).await.map_err(read_failed)?;
        Ok(row.map(account))
    }

    /// The account's own stylesheet.
    ///
    /// # Errors
    /// [`Error::NotFound`] before first run; [`Error::Unavailable`].
    pub async fn load_styles(&self) -> Result<String, Error> {
        let row: Option<(String,)> = sqlx::query_as("SELECT styles FROM accounts")
            .fetch_optional(self.reader())
            .await
            .map_err(read_failed)?;
        row.map(|(styles,)| styles).ok_or(Error::NotFound)
    }
}

/// Creates the account, or finds that it exists.
pub async fn insert_account(tx: &mut Tx, account: &Account, now: Timestamp) -> sqlx::Result<bool> {
    let done = sqlx::query(include_str!("sql/store_insert_account.sql"))
        .bind(&account.name)
        .bind(account.join_code.as_deref().unwrap_or_default())
        .bind(now.ms())
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The account as it now is, in this transaction.
pub async fn find_account(tx: &mut Tx) -> sqlx::Result<Option<Account>> {
    let row: Option<AccountRow> = sqlx::query_as(ACCOUNT).fetch_optional(tx).await?;
    Ok(row.map(account))
}

/// Gives the account a name and a rule.
pub async fn update_account(tx: &mut Tx, name: &str, room_creators: RoomCreators) -> sqlx::Result<()> {
    sqlx::query("UPDATE accounts SET name = ?1, room_creators = ?2")
        .bind(name)
        .bind(room_creators.as_str())
        .execute(tx)
        .await
        .map(|_| ())
}

/// Gives the account a stylesheet.
pub async fn update_styles(tx: &mut Tx, styles: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE accounts SET styles = ?1").bind(styles).execute(tx).await.map(|_| ())
}

/// The addresses of a user's sessions, and those of everybody else who may come in.
pub async fn list_addresses(tx: &mut Tx, user_id: UserId) -> Result<(Vec<String>, Vec<String>), sqlx::Error> {
    let rows: Vec<(String, bool)> = sqlx::query_as(include_str!("sql/store_list_addresses.sql"))
        .bind(user_id.get())
        .fetch_all(tx)
        .await?;
    let (own, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, own)| *own);
    let addresses = |rows: Vec<(String, bool)>| rows.into_iter().map(|(ip, _)| ip).collect();
    Ok((addresses(own), addresses(others)))
}

/// Keeps newcomers from a network out while a user is banned.
pub async fn insert_ban(tx: &mut Tx, user_id: UserId, network: &str, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query(include_str!("sql/store_insert_ban.sql"))
        .bind(user_id.get())
        .bind(network)
        .bind(now.ms())
        .execute(tx)
        .await
        .map(|_| ())
}

/// Forgets from where a user came.
pub async fn remove_bans(tx: &mut Tx, user_id: UserId) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM bans WHERE user_id = ?1").bind(user_id.get()).execute(tx).await.map(|_| ())
}

/// Whether newcomers from a network are kept out.
pub async fn is_banned(tx: &mut Tx, network: &str) -> sqlx::Result<bool> {
    sqlx::query("SELECT 1 FROM bans WHERE network = ?1")
        .bind(network)
        .fetch_optional(tx)
        .await
        .map(|row| row.is_some())
}
