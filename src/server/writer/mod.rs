//! The only task that writes.
//!
//! It owns the writing connection. Callers put commands into a bounded queue and wait for their
//! answer; the task takes everything that is waiting into one transaction (*group commit*), so
//! that sixteen posts share one sync of the disk. After the commit, in order: hot state learns
//! the events, connections are told, callers are answered. Nothing is published or acknowledged
//! before it is on disk, and a caller that goes away cancels nothing.
//!
//! If a group fails, it is rolled back and replayed command by command, so one bad command fails
//! alone. Rendering, hashing and every other slow thing happens before the queue.

mod command;
pub mod hot;
pub mod people;
mod rooms;

use super::connections::Connections;
use super::operation::Gap;
use super::store::account::{Credentials, NewSession, Session, TokenDigest};
use super::store::{self, Account, Head, Reading, Tx};
use super::{Clock, Stop};
use crate::domain::account::{UserRef, Viewer};
use crate::domain::error::Error;
use crate::domain::message::Message;
use crate::domain::room::{LastMessage, Membership, RoomHead};
use crate::domain::{MessageId, RoomId, Seq, SessionId, UserId};
use command::{Command, CreateMessage, Failure, Group, Outcome};
pub use command::{Created, Newcomer};
use hot::Hot;
pub use rooms::Opened;
use sqlx::sqlite::SqliteConnection;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Commands waiting at most; a caller beyond waits for a place (founding limit: 100 or more).
const QUEUE: usize = 256;

/// A committed fact.
#[derive(Clone, Debug)]
pub enum Event {
    /// First run is done.
    AccountCreated(Account),
    /// An administrator changed something about the account.
    AccountChanged(Account),
    /// Somebody has another name, role or address, or may come in again.
    UserChanged(Viewer),
    /// Somebody joined.
    UserJoined(UserRef),
    /// Somebody signed in.
    SessionBegan {
        /// Of the session's token.
        digest: TokenDigest,
        /// The session.
        session: Arc<Session>,
    },
    /// A session's use was recorded.
    SessionUsed {
        /// Of the session's token.
        digest: TokenDigest,
        /// The session with its new times.
        session: Arc<Session>,
    },
    /// Somebody signed out.
    SessionEnded {
        /// Of the session's token.
        digest: TokenDigest,
        /// The session.
        id: SessionId,
    },
    /// A room was created or changed, or its members did.
    RoomChanged {
        /// The room as it now is.
        head: Arc<RoomHead>,
        /// Who has come in.
        granted: Vec<UserId>,
        /// Who has gone.
        revoked: Vec<UserId>,
    },
    /// A room was deleted; nobody is in it any more.
    RoomDeleted(RoomId),
    /// A member wants a room otherwise.
    MembershipChanged {
        /// Who.
        user_id: UserId,
        /// Which room.
        head: Arc<RoomHead>,
        /// How they want it now.
        membership: Membership,
    },
    /// Somebody has seen a room up to a message, or marked it unread after one.
    RoomRead {
        /// Who.
        user_id: UserId,
        /// Which room.
        room_id: RoomId,
        /// Up to where, and what is left.
        reading: Reading,
    },
    /// Something that concerns these people is new, is seen, or has gone.
    ActivityChanged(Vec<UserId>),
    /// A message was written.
    MessageCreated {
        /// The message.
        message: Arc<Message>,
        /// Whom it mentions, other than its author.
        mentioned: Vec<UserId>,
    },
    /// A message was edited.
    MessageUpdated {
        /// The message in its new state.
        message: Arc<Message>,
        /// Whom it mentions now.
        mentioned: Vec<UserId>,
        /// Whom it mentioned before.
        unmentioned: Vec<UserId>,
    },
    /// A message was deleted.
    MessageDeleted {
        /// Its tombstone.
        message: Arc<Message>,
        /// The newest message left in the room.
        newest: Option<LastMessage>,
        /// Whom it mentioned.
        unmentioned: Vec<UserId>,
    },
}

/// What beginning a session came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It runs.
    Session(Arc<Session>),
    /// Nothing was done: the token is taken. Draw another one and ask again.
    TokenTaken,
}

struct Queued {
    command: Command,
    since: Instant,
    reply: oneshot::Sender<Result<Outcome, Error>>,
}

/// The way to the writer. Every method waits until its effect is on disk (or refused); dropping
/// the future does not undo it. Whoever names a room or a message without being in the room gets
/// [`Error::NotFound`]. All fail with [`Error::WriterUnavailable`] when the writer has
/// stopped, [`Error::StorageFull`] when the disk takes nothing, [`Error::Unavailable`] when the
/// database is locked or broken.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: mpsc::Sender<Queued>,
}

impl Writer {
    /// Creates account, administrator, first room and session in one transaction.
    ///
    /// # Errors
    /// [`Error::AlreadySetUp`] for all but one of many simultaneous callers.
    pub async fn first_run(&self, account: Account, person: Newcomer) -> Result<Begun, Error> {
        self.begin(Command::FirstRun { account, person }).await
    }

    /// Creates a user, their memberships of open rooms and their session.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a link that lets nobody in; [`Error::AlreadyMember`];
    /// [`Error::Forbidden`] for the network of somebody who is banned.
    pub async fn join(&self, code: &str, person: Newcomer) -> Result<Begun, Error> {
        self.begin(Command::Join { code: code.to_owned(), person }).await
    }

    /// Begins a session for a user whose password was right.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`] when the user was kept out or the password changed
    /// meanwhile.
    pub async fn sign_in(&self, proved: Credentials, session: NewSession) -> Result<Begun, Error> {
        self.begin(Command::SignIn { proved, session }).await
    }

    /// Records a session's use and its new end.
    pub async fn use_session(&self, digest: TokenDigest, session: Session) -> Result<(), Error> {
        self.ask(Command::UseSession { digest, session }).await
    }

    /// Ends a session; its sockets close.
    pub async fn sign_out(&self, digest: TokenDigest, id: SessionId) -> Result<(), Error> {
        self.ask(Command::SignOut { digest, id }).await
    }

    /// Keeps what a viewer searched for, ten at most.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for somebody who was kept out meanwhile.
    pub async fn save_search(&self, viewer: UserId, query: String) -> Result<(), Error> {
        self.ask(Command::SaveSearch { viewer, query }).await
    }

    /// Forgets what a viewer searched for.
    pub async fn clear_searches(&self, viewer: UserId) -> Result<(), Error> {
        self.ask(Command::ClearSearches { viewer }).await
    }

    /// Marks a room unread from a message on. This alone may move a read cursor back.
    pub async fn mark_unread(
        &self,
        viewer: UserId,
        room_id: RoomId,
        message_id: MessageId,
    ) -> Result<(), Error> {
        self.ask(Command::MarkUnread { viewer, room_id, message_id }).await
    }

    /// Removes expired sessions.
    pub async fn sweep(&self) -> Result<(), Error> {
        self.ask(Command::Sweep).await
    }

    /// Whether the writer still takes commands.
    pub fn is_running(&self) -> bool {
        !self.queue.is_closed()
    }

    async fn begin(&self, command: Command) -> Result<Begun, Error> {
        match self.run(command).await? {
            Outcome::Session(session) => Ok(Begun::Session(session)),
            Outcome::TokenTaken => Ok(Begun::TokenTaken),
            _ => Err(Error::Unexpected),
        }
    }

    async fn ask(&self, command: Command) -> Result<(), Error> {
        self.run(command).await.map(|_| ())
    }

    async fn run(&self, command: Command) -> Result<Outcome, Error> {
        store::count_statement();
        let (reply, answer) = oneshot::channel();
        let queued = Queued { command, since: Instant::now(), reply };
        self.queue.send(queued).await.map_err(|_| Error::WriterUnavailable)?;
        answer.await.map_err(|_| Error::WriterUnavailable)?
    }
}

/// Commands in one transaction at most.
const MAX_GROUP: usize = 64;
/// Beyond this the writer itself empties the WAL; it stays below 64 MB.
const MAX_WAL_BYTES: u64 = 48 << 20;
/// After a checkpoint that met a reader, writes go on for this long before the next one.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(5);
/// A group that takes longer is counted as a gap.
const SLOW_GROUP: Duration = Duration::from_secs(1);
/// From queue to sockets; longer is counted as a gap (founding deadline).
const BROADCAST_DEADLINE: Duration = Duration::from_millis(100);

/// How far a group got before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No transaction could be begun.
    Begin,
    /// The transaction was rolled back.
    Write,
}

/// The writer's side: run it as a task; it ends when every [`Writer`] is gone and the queue is
/// empty, with the WAL folded into the database.
#[derive(Debug)]
pub struct WriterTask {
    queue: mpsc::Receiver<Queued>,
    connection: SqliteConnection,
    wal: PathBuf,
    seq: Seq,
    message_id: MessageId,
    clock: Clock,
    hot: Arc<Hot>,
    connections: Arc<Connections>,
    last_write: Stop,
    /// A reader stood in the way of the last checkpoint: not before this moment again.
    checkpoint_after: Instant,
}

/// Builds the writer for a freshly opened database.
pub fn writer(
    opened: (SqliteConnection, &Head, &store::Store),
    clock: Clock,
    (hot, connections): (Arc<Hot>, Arc<Connections>),
) -> (Writer, WriterTask) {
    let (connection, head, store) = opened;
    let (sender, queue) = mpsc::channel(QUEUE);
    let task = WriterTask {
        queue,
        connection,
        wal: store.wal(),
        seq: head.seq,
        message_id: head.message_id,
        clock,
        hot,
        connections,
        last_write: Stop::new(),
        checkpoint_after: Instant::now(),
    };
    (Writer { queue: sender }, task)
}

impl WriterTask {
    /// After `last_write` nothing new is taken; what is queued is still written.
    #[must_use]
    pub fn until(self, last_write: Stop) -> Self {
        Self { last_write, ..self }
    }

    /// Writes until nobody can ask any more.
    pub async fn run(mut self) {
        let mut group = Vec::with_capacity(MAX_GROUP);
        let last_write = self.last_write.clone();
        loop {
            // `recv_many` takes everything that is waiting and never waits for more, so a lone
            // post pays no delay; while a commit is on its way the next group gathers.
            let taken = tokio::select! {
                biased;
                () = last_write.cancelled(), if !self.queue.is_closed() => {
                    self.queue.close();
                    continue;
                }
                taken = self.queue.recv_many(&mut group, MAX_GROUP) => taken,
            };
            if taken == 0 {
                break;
            }
            let started = Instant::now();
            self.write(std::mem::take(&mut group)).await;
            if started.elapsed() > SLOW_GROUP {
                Gap::SlowDatabase.record("a group of writes took over a second");
            }
            self.bound_wal().await;
        }
        if let Err(error) = store::checkpoint_fully(&mut self.connection).await {
            tracing::warn!(%error, "the last checkpoint failed; the next start will do it");
        }
        if let Err(error) = store::close(self.connection).await {
            tracing::warn!(%error, "the database did not close cleanly");
        }
    }

    async fn write(&mut self, group: Vec<Queued>) {
        let commands: Vec<&Command> = group.iter().map(|queued| &queued.command).collect();
        match self.commit(&commands).await {
            Ok((answers, events)) => {
                let oldest = group.first().map(|queued| queued.since);
                self.publish(&events, oldest);
                for (queued, answer) in group.into_iter().zip(answers) {
                    // The caller may have gone away; the write stands all the same.
                    let _gone = queued.reply.send(answer);
                }
            }
            Err((stage, error)) if stage == Stage::Begin || group.len() == 1 => {
                // Where no transaction can be begun, trying each command alone only takes longer.
                let answer = refusal(&error);
                for queued in group {
                    let _gone = queued.reply.send(Err(answer.clone()));
                }
            }
            Err((_, error)) => {
                tracing::warn!(%error, commands = group.len(), "a group failed; replaying it");
                for queued in group {
                    Box::pin(self.write(vec![queued])).await;
                }
            }
        }
    }

    /// One transaction. On failure nothing has happened.
    async fn commit(
        &mut self,
        commands: &[&Command],
    ) -> Result<(Vec<Result<Outcome, Error>>, Vec<Event>), (Stage, sqlx::Error)> {
        if let Err(error) = execute(&mut self.connection, "BEGIN IMMEDIATE").await {
            // Should a transaction still be open, for whatever reason, it must not stay open.
            let _none = execute(&mut self.connection, "ROLLBACK").await;
            return Err((Stage::Begin, error));
        }
        let before = (self.seq, self.message_id);
        let mut group = Group {
            tx: &mut self.connection,
            now: self.clock.now(),
            seq: self.seq,
            message_id: self.message_id,
            events: Vec::new(),
        };
        let done = async {
            let answers = apply_all(&mut group, commands).await?;
            group.finish(before).await?;
            execute(group.tx, "COMMIT").await?;
            Ok(answers)
        };
        match done.await {
            Ok(answers) => {
                let Group { seq, message_id, events, .. } = group;
                (self.seq, self.message_id) = (seq, message_id);
                Ok((answers, events))
            }
            Err(error) => {
                // SQLite has rolled back by itself after some errors; a second time is refused,
                // which is what we want to know nothing about.
                let _already = execute(&mut self.connection, "ROLLBACK").await;
                Err((Stage::Write, error))
            }
        }
    }

    fn publish(&self, events: &[Event], oldest: Option<Instant>) {
        if events.is_empty() {
            return;
        }
        self.hot.apply(events, self.seq);
        for event in events {
            self.connections.publish(event);
        }
        if oldest.is_some_and(|since| since.elapsed() > BROADCAST_DEADLINE) {
            Gap::BroadcastDeadline.record("a write took over 100 ms from queue to sockets");
        }
    }

    async fn bound_wal(&mut self) {
        let size = std::fs::metadata(&self.wal).map_or(0, |file| file.len());
        if size <= MAX_WAL_BYTES || Instant::now() < self.checkpoint_after {
            return;
        }
        match store::checkpoint_briefly(&mut self.connection).await {
            Ok(true) => {}
            Ok(false) => {
                self.checkpoint_after = Instant::now() + CHECKPOINT_PAUSE;
                tracing::warn!(size_bytes = size, "a reader keeps the WAL from being emptied");
            }
            Err(error) => {
                self.checkpoint_after = Instant::now() + CHECKPOINT_PAUSE;
                tracing::warn!(%error, size_bytes = size, "could not empty the WAL");
            }
        }
    }
}

/// Applies a group, runs of messages at once.
async fn apply_all(
    group: &mut Group<'_>,
    commands: &[&Command],
) -> Result<Vec<Result<Outcome, Error>>, sqlx::Error> {
    let mut answers = Vec::with_capacity(commands.len());
    let mut rest = commands;
    while let Some((first, others)) = rest.split_first() {
        let run: Vec<&CreateMessage> = rest
            .iter()
            .map_while(|command| match command {
                Command::CreateMessage(message) => Some(message),
                _ => None,
            })
            .collect();
        if !run.is_empty() {
            answers.extend(group.create_messages(&run).await?);
            rest = rest.split_at(run.len()).1;
            continue;
        }
        match group.apply(first).await {
            Ok(outcome) => answers.push(Ok(outcome)),
            Err(Failure::Refused(error)) => answers.push(Err(error)),
            Err(Failure::Database(error)) => return Err(error),
        }
        rest = others;
    }
    Ok(answers)
}

async fn execute(tx: &mut Tx, statement: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(statement).execute(tx).await.map(|_| ())
}

/// What a caller may know of a failed write.
fn refusal(error: &sqlx::Error) -> Error {
    tracing::error!(%error, "a write failed");
    let code = error.as_database_error().and_then(|error| error.code());
    // Primary codes FULL, IOERR, READONLY and CANTOPEN; extended ones carry them in the low byte.
    let primary = code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
    match primary {
        Some(8 | 10 | 13 | 14) => Error::StorageFull,
        _ => Error::Unavailable,
    }
}
