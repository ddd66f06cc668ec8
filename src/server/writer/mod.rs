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
mod task;

use super::Stop;
use super::operation::Gap;
use super::rich_text::Rendered;
use super::store::access::{NewSession, Session, TokenDigest};
use super::store::account::{Account, Credentials};
use super::store::members::Reading;
use super::store::{self, Store};
use crate::domain::account::{UserRef, Viewer};
use crate::domain::error::Error;
use crate::domain::message::{ClientMessageId, Message};
use crate::domain::room::{LastMessage, Membership, RoomHead};
use crate::domain::{MessageId, RoomId, SessionId, UserId};
pub use command::Newcomer;
use command::{Command, CreateMessage, Outcome};
pub use rooms::Opened;
use std::sync::Arc;
use std::time::{Duration, Instant};
pub use task::{WriterTask, writer};
use tokio::sync::{mpsc, oneshot};

/// Commands waiting at most; a caller beyond waits for a place (founding limit: 100 or more).
const QUEUE: usize = 256;

/// Messages that one command of a [`Chore`] changes.
const AT_ONCE: u32 = 100;
/// Between two such commands, so that everybody else's come in between.
const CHORE_PAUSE: Duration = Duration::from_millis(50);

/// Work on many messages. The wish is stored, so it goes on after a restart.
#[derive(Clone, Copy, Debug)]
pub enum Chore {
    /// The messages of somebody who is banned go.
    Remove,
    /// Mentions of somebody show the name they have now.
    Rename,
}

/// A committed fact.
#[derive(Clone, Debug)]
pub enum Event {
    /// First run is done.
    AccountCreated {
        /// The account.
        account: Account,
    },
    /// An administrator changed something about the account.
    AccountChanged {
        /// The account.
        account: Account,
    },
    /// Somebody has another name, role or address, or may come in again.
    UserChanged {
        /// Who, as they are now.
        viewer: Viewer,
    },
    /// Somebody joined.
    UserJoined {
        /// Who.
        user: UserRef,
    },
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
    RoomDeleted {
        /// The room.
        room_id: RoomId,
    },
    /// A member wants a room otherwise.
    MembershipChanged {
        /// Who.
        user_id: UserId,
        /// Which room.
        head: Arc<RoomHead>,
        /// How they want it now.
        membership: Membership,
    },
    /// Somebody has seen a room up to a message.
    RoomRead {
        /// Who.
        user_id: UserId,
        /// Which room.
        room_id: RoomId,
        /// Up to where, and what is left.
        reading: Reading,
    },
    /// Something that concerns these people is new, is seen, or has gone.
    ActivityChanged {
        /// Who.
        users: Vec<UserId>,
    },
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

/// What creating a message came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is stored now.
    New(Arc<Message>),
    /// It was stored by an earlier call; this one had no effect.
    Duplicate(Arc<Message>),
}

impl Created {
    /// The message, whoever stored it.
    pub fn message(&self) -> &Arc<Message> {
        match self {
            Self::New(message) | Self::Duplicate(message) => message,
        }
    }
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
/// the future does not undo it. All fail with [`Error::WriterUnavailable`] when the writer has
/// stopped, [`Error::StorageFull`] when the disk takes nothing, [`Error::Unavailable`] when the
/// database is locked or broken.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: mpsc::Sender<Queued>,
}

impl std::fmt::Debug for Queued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queued").finish_non_exhaustive()
    }
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
    ///
    /// # Errors
    /// Only those of every method.
    pub async fn use_session(&self, digest: TokenDigest, session: Session) -> Result<(), Error> {
        self.run(Command::UseSession { digest, session }).await.map(|_| ())
    }

    /// Ends a session; its sockets close.
    ///
    /// # Errors
    /// Only those of every method.
    pub async fn sign_out(&self, digest: TokenDigest, id: SessionId) -> Result<(), Error> {
        self.run(Command::SignOut { digest, id }).await.map(|_| ())
    }

    /// Stores a message once, however often it is sent. Founding decision table: a stranger is
    /// refused; a repeated id of the same author returns the first message, content and all, with
    /// no side effects; otherwise message, search row and room head are stored together, and
    /// then everybody watching is told.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stranger to the room; [`Error::ClientIdTaken`] when the id is
    /// another author's.
    pub async fn create_message_with_deduplication(
        &self,
        room_id: RoomId,
        creator: UserRef,
        client_message_id: ClientMessageId,
        text: Rendered,
    ) -> Result<Created, Error> {
        self.create_reply((room_id, None), creator, client_message_id, text).await
    }

    /// The same for a message that may answer another one of its room. If that one has gone, it is
    /// an ordinary message.
    ///
    /// # Errors
    /// As for [`create_message_with_deduplication`](Self::create_message_with_deduplication).
    pub async fn create_reply(
        &self,
        (room_id, reply_to): (RoomId, Option<MessageId>),
        creator: UserRef,
        client_message_id: ClientMessageId,
        text: Rendered,
    ) -> Result<Created, Error> {
        let message = CreateMessage { room_id, reply_to, creator, client_message_id, text };
        match self.run(Command::CreateMessage(message)).await? {
            Outcome::Message(message) => Ok(Created::New(message)),
            Outcome::Duplicate(message) => {
                Gap::DuplicateClientId.record("a message was sent again");
                Ok(Created::Duplicate(message))
            }
            _ => Err(Error::Unexpected),
        }
    }

    /// Gives a message new text. The same text again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stranger to the room or a deleted message; [`Error::Forbidden`]
    /// for a member who is neither its author nor an administrator.
    pub async fn edit_message(
        &self,
        viewer: Viewer,
        id: MessageId,
        text: Rendered,
    ) -> Result<Arc<Message>, Error> {
        match self.run(Command::EditMessage { viewer, id, text }).await? {
            Outcome::Message(message) => Ok(message),
            _ => Err(Error::Unexpected),
        }
    }

    /// Turns a message into a tombstone.
    ///
    /// # Errors
    /// As for [`edit_message`](Self::edit_message).
    pub async fn remove_message(&self, viewer: Viewer, id: MessageId) -> Result<(), Error> {
        self.run(Command::RemoveMessage { viewer, id }).await.map(|_| ())
    }

    /// Moves a viewer's read cursor forward; it never moves back.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stranger to the room.
    pub async fn read_room(
        &self,
        viewer: UserId,
        room_id: RoomId,
        message_id: MessageId,
    ) -> Result<(), Error> {
        self.run(Command::ReadRoom { viewer, room_id, message_id }).await.map(|_| ())
    }

    /// Removes expired sessions.
    ///
    /// # Errors
    /// Only those of every method.
    pub async fn sweep(&self) -> Result<(), Error> {
        self.run(Command::Sweep).await.map(|_| ())
    }

    /// Does a chore, a bounded number of messages at a time, found beside the writer. Ends early
    /// when the server stops or it is not wanted any more.
    pub async fn work_through(&self, store: &Store, stop: &Stop, chore: Chore, user_id: UserId) {
        let mut after = MessageId::new(0);
        while !stop.is_cancelled() {
            let found = match chore {
                Chore::Remove => store.list_message_ids_of(user_id, after, AT_ONCE).await,
                Chore::Rename => store.list_messages_naming(user_id, after, AT_ONCE).await,
            };
            let done = match found {
                Ok(ids) => {
                    let last = ids.last().copied();
                    let written = match chore {
                        Chore::Remove => self.remove_messages_of(user_id, ids).await,
                        Chore::Rename => self.rename_mentions(user_id, ids).await,
                    };
                    written.map(|()| last)
                }
                Err(error) => Err(error),
            };
            match done {
                Ok(Some(last)) => after = last,
                Ok(None) | Err(Error::NotFound | Error::WriterUnavailable) => return,
                Err(error) => tracing::warn!(%error, ?chore, "a chore failed; trying again"),
            }
            tokio::time::sleep(CHORE_PAUSE).await;
        }
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

    async fn run(&self, command: Command) -> Result<Outcome, Error> {
        store::count_statement();
        let (reply, answer) = oneshot::channel();
        let queued = Queued { command, since: Instant::now(), reply };
        self.queue.send(queued).await.map_err(|_| Error::WriterUnavailable)?;
        answer.await.map_err(|_| Error::WriterUnavailable)?
    }
}
