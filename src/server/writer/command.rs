//! The commands of the writer and what each does inside the transaction.
//!
//! Every command authorises itself in the transaction, so a right that was taken away earlier in
//! the same group is already gone. A command that is refused for a reason of its own (a taken
//! address, a stranger) has changed nothing; a command that fails for SQLite's reasons fails its
//! whole group, which is then replayed one by one.

use super::Event;
use super::people::{PeopleCommand, public_network};
use super::rooms::RoomCommand;
use crate::domain::account::{NewUser, Role, UserRef, Viewer};
use crate::domain::error::Error;
use crate::domain::message::{ClientMessageId, Message, Quote, has_mentions};
use crate::domain::room::{LastMessage, NewRoom, Room, RoomKind};
use crate::domain::{InviteId, MessageId, RoomId, Seq, SessionId, Timestamp, UserId};
use crate::server::rich_text::Rendered;
use crate::server::store::account::{self, Credentials, NewSession, Session, TokenDigest};
use crate::server::store::messages::{self, NewMessage};
use crate::server::store::search::{self, NewMention};
use crate::server::store::{self, Account, Tx, rooms};
use crate::texts;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A wish, checked as far as it can be without the database.
#[derive(Clone, Debug)]
pub(super) enum Command {
    FirstRun { account: Account, person: Newcomer },
    Join { code: String, person: Newcomer },
    SignIn { proved: Credentials, session: NewSession },
    UseSession { digest: TokenDigest, session: Session },
    SignOut { digest: TokenDigest, id: SessionId },
    Rooms(RoomCommand),
    CreateMessage(CreateMessage),
    EditMessage { viewer: Viewer, id: MessageId, text: Rendered },
    RemoveMessage { viewer: Viewer, id: MessageId },
    ReadRoom { viewer: UserId, room_id: RoomId, message_id: MessageId },
    MarkUnread { viewer: UserId, room_id: RoomId, message_id: MessageId },
    SaveSearch { viewer: UserId, query: String },
    ClearSearches { viewer: UserId },
    People(PeopleCommand),
    Sweep,
}

/// Somebody who is about to become a user.
#[derive(Clone)]
pub struct Newcomer {
    /// What they typed, checked.
    pub user: NewUser,
    /// Their password's argon2id digest.
    pub password_digest: String,
    /// The session they will have.
    pub session: NewSession,
}

impl Newcomer {
    /// Puts together what is known of them.
    pub fn new(user: &NewUser, password_digest: &str, session: NewSession) -> Self {
        Self { user: user.clone(), password_digest: password_digest.to_owned(), session }
    }
}

impl std::fmt::Debug for Newcomer {
    // Secrets stay out of logs even by accident.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Newcomer").finish_non_exhaustive()
    }
}

/// A message that somebody wants to say.
#[derive(Clone, Debug)]
pub(super) struct CreateMessage {
    pub room_id: RoomId,
    pub reply_to: Option<MessageId>,
    pub creator: UserRef,
    pub client_message_id: ClientMessageId,
    pub text: Rendered,
}

/// What a command answers.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Session(Arc<Session>),
    TokenTaken,
    Invite(InviteId),
    Room { room: Room, is_new: bool },
    More(bool),
    Message(Arc<Message>),
    Duplicate(Arc<Message>),
    Done,
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

/// The group's running state: the transaction, its moment, and the next places in the sequence.
pub(super) struct Group<'a> {
    /// The open transaction.
    pub tx: &'a mut Tx,
    /// The moment of everything in this group.
    pub now: Timestamp,
    /// The last place given out.
    pub seq: Seq,
    /// The last message id given out.
    pub message_id: MessageId,
    /// What has happened so far, in order; published after the commit.
    pub events: Vec<Event>,
}

/// Refused for a reason of its own, or failed for SQLite's.
pub(super) enum Failure {
    /// The command changed nothing; the group goes on.
    Refused(Error),
    /// The group cannot be kept.
    Database(sqlx::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

pub(super) type Applied = Result<Outcome, Failure>;

impl Group<'_> {
    /// Does one command that is not a message.
    pub async fn apply(&mut self, command: &Command) -> Applied {
        match command {
            Command::FirstRun { account, person } => self.first_run(account, person).await,
            Command::Join { code, person } => self.join(code, person).await,
            Command::SignIn { session, .. }
                if account::is_token_taken(self.tx, &session.token_digest).await? =>
            {
                Ok(Outcome::TokenTaken)
            }
            Command::SignIn { proved, session } => self.sign_in(proved, session).await,
            Command::UseSession { digest, session } => {
                let Session { id, last_active_at, expires_at, .. } = session;
                // A session that was ended before this command must stay ended.
                let runs = account::update_session_use(self.tx, *id, *last_active_at, *expires_at);
                if runs.await? {
                    let session = Arc::new(session.clone());
                    self.events.push(Event::SessionUsed { digest: *digest, session });
                }
                Ok(Outcome::Done)
            }
            Command::SignOut { digest, id } => {
                account::remove_session(self.tx, *id).await?;
                self.events.push(Event::SessionEnded { digest: *digest, id: *id });
                Ok(Outcome::Done)
            }
            Command::Rooms(command) => self.apply_to_rooms(command).await,
            Command::CreateMessage(message) => {
                let mut answers = self.create_messages(&[message]).await?;
                answers.pop().unwrap_or(Err(Error::Unexpected)).map_err(Failure::Refused)
            }
            Command::EditMessage { viewer, id, text } => self.edit(viewer, *id, text).await,
            Command::RemoveMessage { viewer, id } => self.remove(viewer, *id).await,
            Command::ReadRoom { viewer, room_id, message_id } => {
                self.read(*viewer, *room_id, *message_id).await
            }
            Command::MarkUnread { viewer, room_id, message_id } => {
                let (user_id, room_id) = (*viewer, *room_id);
                let reading = store::mark_unread(self.tx, user_id, room_id, *message_id).await?;
                let reading = reading.ok_or(Error::NotFound)?;
                self.events.push(Event::RoomRead { user_id, room_id, reading });
                Ok(Outcome::Done)
            }
            Command::SaveSearch { viewer, query } => {
                match search::insert_search(self.tx, *viewer, query, self.now).await? {
                    true => Ok(Outcome::Done),
                    false => Err(Error::Unauthenticated.into()),
                }
            }
            Command::ClearSearches { viewer } => {
                search::remove_searches(self.tx, *viewer).await?;
                Ok(Outcome::Done)
            }
            Command::People(wish) => Box::pin(self.apply_people(wish)).await,
            Command::Sweep => {
                account::remove_expired(self.tx, self.now).await?;
                Ok(Outcome::Done)
            }
        }
    }

    async fn read(&mut self, user_id: UserId, room_id: RoomId, seen: MessageId) -> Applied {
        match store::update_read_cursor(self.tx, user_id, room_id, seen).await? {
            Some(reading) => self.events.push(Event::RoomRead { user_id, room_id, reading }),
            None if !rooms::is_member(self.tx, user_id, room_id).await? => {
                return Err(Error::NotFound.into());
            }
            None => {}
        }
        Ok(Outcome::Done)
    }

    async fn first_run(&mut self, account: &Account, person: &Newcomer) -> Applied {
        if account::is_token_taken(self.tx, &person.session.token_digest).await? {
            return Ok(Outcome::TokenTaken);
        }
        if !store::insert_account(self.tx, account, self.now).await? {
            return Err(Error::AlreadySetUp.into());
        }
        let viewer = self.insert_person(person, Role::Administrator).await?;
        if let Some(code) = &account.join_code {
            rooms::insert_invite(self.tx, (viewer.id, code), (None, None), self.now).await?;
        }
        let (name, topic, people) = (texts::seed::FIRST_ROOM.to_owned(), String::new(), BTreeSet::new());
        self.open_room(viewer.id, NewRoom { name, topic, kind: RoomKind::Open, people }).await?;
        let outcome = self.begin_session(&viewer, &person.session).await?;
        self.events.push(Event::AccountCreated(account.clone()));
        Ok(outcome)
    }

    async fn join(&mut self, code: &str, person: &Newcomer) -> Applied {
        if !rooms::is_open_invite(self.tx, code, self.now).await? {
            return Err(Error::NotFound.into());
        }
        if let Some(network) = public_network(&person.session.ip_address)
            && store::is_banned(self.tx, &network).await?
        {
            return Err(Error::Forbidden.into());
        }
        if account::is_token_taken(self.tx, &person.session.token_digest).await? {
            return Ok(Outcome::TokenTaken);
        }
        let viewer = self.insert_person(person, Role::Member).await?;
        rooms::use_invite(self.tx, code, self.now).await?;
        rooms::insert_open_memberships(self.tx, viewer.id, self.now).await?;
        let outcome = self.begin_session(&viewer, &person.session).await?;
        self.events.push(Event::UserJoined(viewer.as_author()));
        Ok(outcome)
    }

    async fn insert_person(&mut self, person: &Newcomer, role: Role) -> Result<Viewer, Failure> {
        let Newcomer { user, password_digest, .. } = person;
        let id = account::insert_user(self.tx, user, password_digest, role, self.now)
            .await?
            .ok_or(Error::AlreadyMember)?;
        let (name, email_address) = (user.name.clone(), user.email_address.clone());
        Ok(Viewer { id, name, role, email_address })
    }

    async fn sign_in(&mut self, proved: &Credentials, session: &NewSession) -> Applied {
        // A password that was changed, or a user kept out, since it was checked.
        let Credentials { viewer, password_digest } = proved;
        if !account::is_password(self.tx, viewer.id, password_digest).await? {
            return Err(Error::WrongCredentials.into());
        }
        let viewer = self.viewer(viewer.id).await?;
        self.begin_session(&viewer, session).await
    }

    pub(super) async fn begin_session(&mut self, viewer: &Viewer, new: &NewSession) -> Applied {
        // No row: the user was deactivated after the password was checked.
        let id = account::insert_session(self.tx, viewer.id, new).await?.ok_or(Error::WrongCredentials)?;
        let session = Arc::new(Session {
            id,
            viewer: viewer.clone(),
            last_active_at: new.created_at,
            expires_at: new.expires_at,
        });
        let digest = new.token_digest;
        self.events.push(Event::SessionBegan { digest, session: Arc::clone(&session) });
        Ok(Outcome::Session(session))
    }

    async fn edit(&mut self, viewer: &Viewer, id: MessageId, text: &Rendered) -> Applied {
        let mut message = self.own_message(viewer, id).await?;
        if message.body == text.body {
            return Ok(Outcome::Message(Arc::new(message)));
        }
        // Whoever is mentioned still has seen it, or has not, as before.
        let answered = message.reply_to.as_ref().map(|quote| quote.creator.id);
        let people: Vec<UserId> = text.mentions.iter().copied().chain(answered).collect();
        let unmentioned = self.forget_mentions(&message, &people).await?;
        self.seq = self.seq.next();
        message.seq = self.seq;
        message.body.clone_from(&text.body);
        message.body_html.clone_from(&text.html);
        message.edited_at = Some(self.now);
        messages::update_message(self.tx, &message, text.source()).await?;
        let mentioned = self.mention(&[(&message.id, &people)]).await?;
        let mentioned = mentioned.into_iter().map(|mention| mention.user_id).collect();
        let message = Arc::new(message);
        let event = Arc::clone(&message);
        self.events.push(Event::MessageUpdated { message: event, mentioned, unmentioned });
        Ok(Outcome::Message(message))
    }

    async fn remove(&mut self, viewer: &Viewer, id: MessageId) -> Applied {
        let message = self.own_message(viewer, id).await?;
        self.bury(message).await?;
        Ok(Outcome::Done)
    }

    /// Turns a message into a tombstone.
    pub(super) async fn bury(&mut self, mut message: Message) -> Result<(), sqlx::Error> {
        let unmentioned = self.forget_mentions(&message, &[]).await?;
        self.seq = self.seq.next();
        message.seq = self.seq;
        message.body.clear();
        message.body_html.clear();
        (message.deleted, message.reply_to) = (true, None);
        if !std::mem::take(&mut message.boosts).is_empty() {
            messages::remove_boosts(self.tx, &message, None).await?;
            self.events.push(Event::ActivityChanged(vec![message.creator.id]));
        }
        let newest = messages::remove_message(self.tx, &message, self.now).await?;
        let newest = newest.map(|(id, creator_id)| LastMessage { id, creator_id });
        let message = Arc::new(message);
        self.events.push(Event::MessageDeleted { message, newest, unmentioned });
        Ok(())
    }

    /// Whom a message mentioned until now and does not any more. Most mention nobody, which costs
    /// nothing.
    async fn forget_mentions(
        &mut self,
        message: &Message,
        still: &[UserId],
    ) -> Result<Vec<UserId>, sqlx::Error> {
        if message.reply_to.is_none() && !has_mentions(&message.body_html) {
            return Ok(Vec::new());
        }
        let gone = search::remove_mentions(self.tx, message.id, still).await?;
        self.events.push(Event::ActivityChanged(gone.clone()));
        Ok(gone)
    }

    /// Records whom messages mention. Without any, it costs nothing.
    async fn mention(
        &mut self,
        wanted: &[(&MessageId, &Vec<UserId>)],
    ) -> Result<Vec<NewMention>, sqlx::Error> {
        let mut mentions = Vec::new();
        for (message_id, people) in wanted {
            let mention = |user_id: &UserId| NewMention { message_id: **message_id, user_id: *user_id };
            mentions.extend(people.iter().map(mention));
        }
        if mentions.is_empty() {
            return Ok(mentions);
        }
        let mentions = search::insert_mentions(self.tx, &mentions).await?;
        let users = mentions.iter().map(|mention| mention.user_id).collect();
        self.events.push(Event::ActivityChanged(users));
        Ok(mentions)
    }

    /// A message the viewer may change: their own, or any of their rooms' for administrators.
    async fn own_message(&mut self, viewer: &Viewer, id: MessageId) -> Result<Message, Failure> {
        let message =
            messages::find_message_of_member(self.tx, viewer.id, id).await?.ok_or(Error::NotFound)?;
        if message.creator.id == viewer.id || self.viewer(viewer.id).await?.may_administer() {
            Ok(message)
        } else {
            Err(Error::Forbidden.into())
        }
    }

    /// Does a run of messages at once. The answers are in the order of the commands.
    pub async fn create_messages(
        &mut self,
        commands: &[&CreateMessage],
    ) -> Result<Vec<Result<Outcome, Error>>, sqlx::Error> {
        let first_id = self.message_id.get() + 1;
        let mut rows = Vec::with_capacity(commands.len());
        for (command, id) in commands.iter().zip(first_id..) {
            self.seq = self.seq.next();
            self.message_id = MessageId::new(id);
            rows.push(NewMessage {
                id: self.message_id,
                seq: self.seq,
                room_id: command.room_id,
                creator_id: command.creator.id,
                client_message_id: command.client_message_id,
                body: command.text.body.clone(),
                source: command.text.source.clone(),
                body_html: command.text.html.clone(),
                reply_to_id: command.reply_to,
                mentions: command.text.mentions.clone(),
            });
        }
        let inserted = messages::insert_messages(self.tx, &rows, self.now).await?;
        let replies = rows.iter().filter(|row| row.reply_to_id.is_some()).map(|row| row.id);
        let mut quotes = match replies.collect::<Vec<_>>() {
            none if none.is_empty() => HashMap::new(),
            replies => search::list_quotes(self.tx, &replies).await?,
        };
        for row in &mut rows {
            row.mentions.extend(quotes.get(&row.id).map(|quote| quote.creator.id));
        }
        let stored_rows = rows.iter().filter(|row| inserted.contains(&row.id));
        let wanted: Vec<_> = stored_rows.map(|row| (&row.id, &row.mentions)).collect();
        let mentions = self.mention(&wanted).await?;
        let mut answers = Vec::with_capacity(rows.len());
        for (row, command) in rows.into_iter().zip(commands) {
            answers.push(if inserted.contains(&row.id) {
                let quote = quotes.remove(&row.id);
                let message = Arc::new(stored(row, &command.creator, self.now, quote));
                let mentioned = mentions.iter().filter(|mention| mention.message_id == message.id);
                let mentioned = mentioned.map(|mention| mention.user_id).collect();
                let event = Arc::clone(&message);
                self.events.push(Event::MessageCreated { message: event, mentioned });
                Ok(Outcome::Message(message))
            } else {
                self.why_not(command).await?
            });
        }
        Ok(answers)
    }

    /// A message that did not go in: from a stranger, or there already.
    async fn why_not(&mut self, command: &CreateMessage) -> Result<Result<Outcome, Error>, sqlx::Error> {
        if !rooms::is_member(self.tx, command.creator.id, command.room_id).await? {
            return Ok(Err(Error::NotFound));
        }
        let found = messages::find_by_client_id(self.tx, command.room_id, command.client_message_id);
        Ok(match found.await? {
            Some(first) if first.creator.id == command.creator.id => Ok(Outcome::Duplicate(Arc::new(first))),
            Some(_) => Err(Error::ClientIdTaken),
            None => Err(Error::Unexpected),
        })
    }

    /// Records the new head of the sequence, if it moved.
    pub async fn finish(&mut self, before: (Seq, MessageId)) -> Result<(), sqlx::Error> {
        if before == (self.seq, self.message_id) {
            return Ok(());
        }
        store::update_head(self.tx, self.seq, self.message_id).await
    }
}

fn stored(row: NewMessage, creator: &UserRef, now: Timestamp, quote: Option<Quote>) -> Message {
    Message {
        id: row.id,
        seq: row.seq,
        room_id: row.room_id,
        client_message_id: row.client_message_id,
        creator: creator.clone(),
        body: row.body,
        body_html: row.body_html,
        created_at: now,
        edited_at: None,
        deleted: false,
        reply_to: quote,
        boosts: Vec::new(),
    }
}
