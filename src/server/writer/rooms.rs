//! What becomes of rooms and memberships: the bodies of these commands; and the writer's methods
//! that ask for them and for what is said in rooms.
//!
//! Whoever changes a room must be in it: a stranger, administrators included, finds nothing there.
//! Members come and go in sets, one statement however many they are, and every event names exactly
//! whom the database let in or out, so that hot state and sockets need not guess.
//!
//! What members add to each other's messages, and what follows for whom it concerns, is here too.

use super::command::{Applied, Command, CreateMessage, Created, Failure, Group, Outcome};
use super::{Event, Writer};
use crate::domain::account::{UserRef, Viewer};
use crate::domain::composing::{Boost, MAX_BOOSTS, MAX_BOOSTS_OF_ONE};
use crate::domain::error::Error;
use crate::domain::message::{ClientMessageId, Message};
use crate::domain::room::{
    Involvement, Membership, NewRoom, Revision, Revoked, Room, RoomChange, RoomHead, RoomKind,
    may_change_room,
};
use crate::domain::{MessageId, RoomId, Seq, UserId};
use crate::server::operation::Gap;
use crate::server::rich_text::Rendered;
use crate::server::store::{messages, rooms, search};
use crate::texts;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Messages of a deleted room that go in one step: a few milliseconds of the writer's time.
const MAX_LEFTOVERS: u32 = 500;

/// A wish about rooms. Opening one may find the direct room these people have already.
#[derive(Clone, Debug)]
pub(super) enum RoomCommand {
    Open { viewer: UserId, room: NewRoom },
    Change { viewer: UserId, room_id: RoomId, change: RoomChange },
    Remove { viewer: UserId, room_id: RoomId },
    Leave { viewer: UserId, room_id: RoomId },
    Involve { viewer: UserId, room_id: RoomId, involvement: Involvement },
    Star { viewer: UserId, room_id: RoomId, starred: bool },
    RemoveLeftovers,
    Boost { viewer: UserId, id: MessageId, boost: Boost, wanted: bool },
    SeeActivity { viewer: UserId, seen: Seq },
}

/// What opening a room came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is new.
    New(Room),
    /// These people have had it all along.
    Existing(Room),
}

impl Opened {
    /// The room, however old it is.
    pub fn room(&self) -> &Room {
        match self {
            Self::New(room) | Self::Existing(room) => room,
        }
    }
}

impl Group<'_> {
    pub(super) async fn apply_to_rooms(&mut self, command: &RoomCommand) -> Applied {
        match command {
            RoomCommand::Open { viewer, room } => self.open_room(*viewer, room.clone()).await,
            RoomCommand::Change { viewer, room_id, change } => {
                self.change_room(*viewer, *room_id, change).await
            }
            RoomCommand::Remove { viewer, room_id } => {
                let (head, membership) = self.room_of(*viewer, *room_id).await?;
                if head.room.kind == RoomKind::Direct {
                    return self.put_away(*viewer, head, membership).await;
                }
                self.ensure_may_change(*viewer, &head).await?;
                let everybody = Revision { grant: BTreeSet::new(), revoke: Revoked::Others };
                let users = rooms::revoke(self.tx, *room_id, &everybody).await?;
                self.events.push(Event::ActivityChanged(users));
                self.remove_empty_room(*room_id).await
            }
            RoomCommand::Leave { viewer, room_id } => self.leave(*viewer, *room_id).await,
            RoomCommand::Involve { viewer, room_id, involvement } => {
                let (head, old) = self.room_of(*viewer, *room_id).await?;
                let new = Membership { involvement: *involvement, ..old.clone() };
                self.change_membership(*viewer, head, (old, new)).await
            }
            RoomCommand::Star { viewer, room_id, starred } => {
                let (head, old) = self.room_of(*viewer, *room_id).await?;
                let new = Membership { starred: *starred, ..old.clone() };
                self.change_membership(*viewer, head, (old, new)).await
            }
            RoomCommand::Boost { viewer, id, boost, wanted } => {
                self.boost(*viewer, *id, boost, *wanted).await
            }
            RoomCommand::SeeActivity { viewer, seen } => {
                let seen = self.seq.min(*seen);
                if search::update_activity_seen(self.tx, *viewer, seen).await? {
                    self.events.push(Event::ActivityChanged(vec![*viewer]));
                }
                Ok(Outcome::Done)
            }
            RoomCommand::RemoveLeftovers => {
                Ok(Outcome::More(rooms::remove_leftovers(self.tx, MAX_LEFTOVERS).await?))
            }
        }
    }

    pub(super) async fn open_room(&mut self, viewer: UserId, mut new: NewRoom) -> Applied {
        if new.kind == RoomKind::Open {
            new.people.clear();
        } else {
            new.people.insert(viewer);
        }
        if new.kind == RoomKind::Direct {
            if let Some(room_id) = rooms::find_direct(self.tx, &new.people).await? {
                return self.bring_back(viewer, room_id).await;
            }
        } else {
            self.ensure_may_create_rooms(viewer).await?;
        }
        self.ensure_active(&new.people).await?;
        // The one writer has just looked: nobody can have come in between.
        let inserted = rooms::insert_room(self.tx, viewer, &new, self.now).await?;
        let room_id = inserted.ok_or(Error::Unexpected)?;
        let granted = match new.kind {
            RoomKind::Open => rooms::grant_everybody(self.tx, room_id, self.now).await?,
            kind => {
                let place = (room_id, Involvement::first_in(kind));
                rooms::grant(self.tx, place, &new.people, self.now).await?
            }
        };
        let head = self.room_changed(room_id, granted, Vec::new()).await?;
        Ok(Outcome::Room { room: head.room_for(viewer), is_new: true })
    }

    /// A direct room that was put away is taken out again by whoever asks for it.
    async fn bring_back(&mut self, viewer: UserId, room_id: RoomId) -> Applied {
        let (head, old) = self.room_of(viewer, room_id).await?;
        let room = head.room_for(viewer);
        let involvement = match old.involvement {
            Involvement::Invisible => Involvement::first_in(RoomKind::Direct),
            other => other,
        };
        let new = Membership { involvement, hidden: None, ..old.clone() };
        self.change_membership(viewer, head, (old, new)).await?;
        Ok(Outcome::Room { room, is_new: false })
    }

    async fn change_room(&mut self, viewer: UserId, room_id: RoomId, change: &RoomChange) -> Applied {
        let (head, _) = self.room_of(viewer, room_id).await?;
        self.ensure_may_change(viewer, &head).await?;
        let before = head.room;
        let room = Room {
            id: room_id,
            name: change.name.clone().unwrap_or_else(|| before.name.clone()),
            topic: change.topic.clone().unwrap_or_else(|| before.topic.clone()),
            kind: change.kind.unwrap_or(before.kind),
        };
        let people = match (&change.people, room.kind) {
            (Some(_), RoomKind::Open) => {
                return Err(Error::invalid("user_ids", texts::errors::OPEN_ROOM_HAS_EVERYBODY).into());
            }
            (people, _) => people,
        };
        if let Some(people) = people {
            self.ensure_active(&people.grant).await?;
        }
        if room != before {
            rooms::update_room(self.tx, &room).await?;
        }
        let (mut granted, mut revoked) = (Vec::new(), Vec::new());
        if room.kind == RoomKind::Open && before.kind != RoomKind::Open {
            granted = rooms::grant_everybody(self.tx, room_id, self.now).await?;
        } else if let Some(people) = people {
            let place = (room_id, Involvement::first_in(room.kind));
            revoked = rooms::revoke(self.tx, room_id, people).await?;
            granted = rooms::grant(self.tx, place, &people.grant, self.now).await?;
        }
        if room != before || !granted.is_empty() || !revoked.is_empty() {
            self.room_changed(room_id, granted, revoked).await?;
        }
        Ok(Outcome::Room { room, is_new: false })
    }

    async fn leave(&mut self, viewer: UserId, room_id: RoomId) -> Applied {
        let (head, membership) = self.room_of(viewer, room_id).await?;
        match head.room.kind {
            RoomKind::Direct => self.put_away(viewer, head, membership).await,
            RoomKind::Open => Err(Error::invalid("kind", texts::errors::LEAVE_OPEN_ROOM).into()),
            RoomKind::Closed => {
                let revoke = Revoked::These(BTreeSet::from([viewer]));
                let alone = Revision { grant: BTreeSet::new(), revoke };
                let revoked = rooms::revoke(self.tx, room_id, &alone).await?;
                self.room_changed(room_id, Vec::new(), revoked).await?;
                // Nobody could ever reach a room without members again.
                self.remove_empty_room(room_id).await
            }
        }
    }

    async fn put_away(&mut self, viewer: UserId, head: RoomHead, old: Membership) -> Applied {
        let newest = head.last_message.map_or(MessageId::new(0), |last| last.id);
        let new = Membership { hidden: Some(newest), ..old.clone() };
        self.change_membership(viewer, head, (old, new)).await
    }

    async fn change_membership(
        &mut self,
        user_id: UserId,
        head: RoomHead,
        (old, new): (Membership, Membership),
    ) -> Applied {
        if old != new {
            rooms::update_membership(self.tx, (user_id, head.room.id), &new).await?;
            let (head, membership) = (Arc::new(head), new);
            self.events.push(Event::MembershipChanged { user_id, head, membership });
        }
        Ok(Outcome::Done)
    }

    async fn remove_empty_room(&mut self, room_id: RoomId) -> Applied {
        if rooms::remove_empty_room(self.tx, room_id, self.now).await? {
            self.events.push(Event::RoomDeleted(room_id));
        }
        Ok(Outcome::Done)
    }

    async fn room_changed(
        &mut self,
        room_id: RoomId,
        granted: Vec<UserId>,
        revoked: Vec<UserId>,
    ) -> Result<Arc<RoomHead>, Failure> {
        let head = Arc::new(rooms::load_head(self.tx, room_id).await?);
        // What concerned them in there does not count any more.
        self.events.push(Event::ActivityChanged(revoked.clone()));
        self.events.push(Event::RoomChanged { head: Arc::clone(&head), granted, revoked });
        Ok(head)
    }

    async fn room_of(&mut self, viewer: UserId, room_id: RoomId) -> Result<(RoomHead, Membership), Failure> {
        let found = rooms::find_room_of_member(self.tx, viewer, room_id).await?;
        Ok(found.ok_or(Error::NotFound)?)
    }

    /// Asks for the viewer's role as it is now: a session remembers an older one.
    async fn ensure_may_change(&mut self, viewer: UserId, head: &RoomHead) -> Result<(), Failure> {
        match may_change_room(&self.viewer(viewer).await?, head.room.kind, head.creator_id) {
            true => Ok(()),
            false => Err(Error::Forbidden.into()),
        }
    }

    async fn ensure_active(&mut self, people: &BTreeSet<UserId>) -> Result<(), Failure> {
        if rooms::count_active(self.tx, people).await? == people.len() {
            Ok(())
        } else {
            Err(Error::invalid("user_ids", texts::errors::CHOSEN_HAS_GONE).into())
        }
    }

    async fn boost(&mut self, viewer: UserId, id: MessageId, boost: &Boost, wanted: bool) -> Applied {
        let found = messages::find_message_of_member(self.tx, viewer, id);
        let mut message = found.await?.ok_or(Error::NotFound)?;
        let own = message.boosts.iter().filter(|one| one.is_by(viewer));
        let has = own.clone().any(|one| one.content == boost.content());
        let all: usize = message.boosts.iter().map(|one| one.user_ids.len()).sum();
        let own = own.count();
        if has == wanted {
            return Ok(Outcome::Duplicate(Arc::new(message)));
        }
        if wanted && (own >= MAX_BOOSTS_OF_ONE || all >= MAX_BOOSTS) {
            let many = if own >= MAX_BOOSTS_OF_ONE {
                texts::errors::OWN_REACTIONS
            } else {
                texts::errors::ALL_REACTIONS
            };
            return Err(Error::invalid("content", many).into());
        }
        self.seq = self.seq.next();
        message.seq = self.seq;
        match wanted {
            true => messages::insert_boost(self.tx, &message, viewer, boost, self.now).await?,
            false => messages::remove_boosts(self.tx, &message, Some((viewer, boost))).await?,
        }
        let found = messages::find_message_of_member(self.tx, viewer, id);
        let message = Arc::new(found.await?.ok_or(Error::NotFound)?);
        self.message_updated(&message);
        if message.creator.id != viewer {
            self.events.push(Event::ActivityChanged(vec![message.creator.id]));
        }
        Ok(Outcome::Message(message))
    }

    /// A message looks otherwise and mentions whom it did.
    pub(super) fn message_updated(&mut self, message: &Arc<Message>) {
        let (mentioned, unmentioned) = (Vec::new(), Vec::new());
        let message = Arc::clone(message);
        self.events.push(Event::MessageUpdated { message, mentioned, unmentioned });
    }
}

impl Writer {
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
        self.ask(Command::RemoveMessage { viewer, id }).await
    }

    /// Moves a viewer's read cursor forward; it never moves back.
    pub async fn read_room(
        &self,
        viewer: UserId,
        room_id: RoomId,
        message_id: MessageId,
    ) -> Result<(), Error> {
        self.ask(Command::ReadRoom { viewer, room_id, message_id }).await
    }

    /// Opens a room, and lets in whoever belongs there. A direct room exists once for each exact
    /// set of people: asked for again it is found, and shown again to whoever asks.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when the account lets administrators only; [`Error::Validation`] for
    /// people who do not exist.
    pub async fn open_room(&self, viewer: UserId, room: NewRoom) -> Result<Opened, Error> {
        match self.run(Command::Rooms(RoomCommand::Open { viewer, room })).await? {
            Outcome::Room { room, is_new: true } => Ok(Opened::New(room)),
            Outcome::Room { room, .. } => Ok(Opened::Existing(room)),
            _ => Err(Error::Unexpected),
        }
    }

    /// Changes a room's name, topic, kind or members.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stranger; [`Error::Forbidden`] for a member who may not;
    /// [`Error::Validation`] for people who do not exist.
    pub async fn change_room(
        &self,
        viewer: UserId,
        room_id: RoomId,
        change: RoomChange,
    ) -> Result<(), Error> {
        self.ask(Command::Rooms(RoomCommand::Change { viewer, room_id, change })).await
    }

    /// Deletes a room for everybody; a direct room is put away for the viewer only.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a member who may not.
    pub async fn remove_room(&self, viewer: UserId, room_id: RoomId) -> Result<(), Error> {
        self.ask(Command::Rooms(RoomCommand::Remove { viewer, room_id })).await
    }

    /// Takes the viewer out of a closed room, or puts a direct room away.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stranger; [`Error::Validation`] for an open room.
    pub async fn leave_room(&self, viewer: UserId, room_id: RoomId) -> Result<(), Error> {
        self.ask(Command::Rooms(RoomCommand::Leave { viewer, room_id })).await
    }

    /// Records how much the viewer wants to hear of a room.
    pub async fn change_involvement(
        &self,
        viewer: UserId,
        room_id: RoomId,
        involvement: Involvement,
    ) -> Result<(), Error> {
        let command = RoomCommand::Involve { viewer, room_id, involvement };
        self.ask(Command::Rooms(command)).await
    }

    /// Records whether the viewer keeps a room at the top.
    pub async fn star_room(&self, viewer: UserId, room_id: RoomId, starred: bool) -> Result<(), Error> {
        self.ask(Command::Rooms(RoomCommand::Star { viewer, room_id, starred })).await
    }

    /// Removes what deleted rooms have left behind, a little at a time: others write in between.
    pub async fn remove_leftovers(&self) -> Result<(), Error> {
        while let Outcome::More(true) = self.run(Command::Rooms(RoomCommand::RemoveLeftovers)).await? {}
        Ok(())
    }

    /// Adds a boost to a message, or takes one's own back. A second time changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stranger to the room or a deleted message; [`Error::Validation`]
    /// beyond what one person or one message may have.
    pub async fn boost(
        &self,
        viewer: UserId,
        id: MessageId,
        boost: Boost,
        wanted: bool,
    ) -> Result<Created, Error> {
        let command = RoomCommand::Boost { viewer, id, boost, wanted };
        match self.run(Command::Rooms(command)).await? {
            Outcome::Message(message) => Ok(Created::New(message)),
            Outcome::Duplicate(message) => Ok(Created::Duplicate(message)),
            _ => Err(Error::Unexpected),
        }
    }

    /// Notes up to which change somebody has seen what concerns them.
    pub async fn see_activity(&self, viewer: UserId, seen: Seq) -> Result<(), Error> {
        self.ask(Command::Rooms(RoomCommand::SeeActivity { viewer, seen })).await
    }
}
