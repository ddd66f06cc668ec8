//! Rooms: their kinds, the rules of their names and topics, who may do what to them; and a user's
//! place in them: how much they want to hear, how far they have read, the lines of their room list,
//! and what concerns them there.

use super::account::{UserRef, Viewer, checked_name};
use super::error::{Error, FieldError};
use super::{MessageId, RoomId, Seq, Timestamp, UserId};
use crate::texts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Longest room name, in Unicode scalars.
pub const MAX_ROOM_NAME: usize = 80;
/// Longest topic, in Unicode scalars.
pub const MAX_TOPIC: usize = 200;
/// People in one direct room at most: beyond, it is a closed room that lacks a name.
pub const MAX_DIRECT_PEOPLE: usize = 50;
/// Unread mentions remembered of one room at most; more are as many to anybody.
pub const MAX_MENTIONS: usize = 999;
/// People shown to pick from at most (Campfire's value for one page of people).
pub const MAX_PICKED: usize = 500;

/// Who is in a room, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// Everybody of the account, newcomers included.
    Open,
    /// Chosen members.
    Closed,
    /// One per exact set of people.
    Direct,
}

stored!(RoomKind { Open = "open", Closed = "closed", Direct = "direct" });

/// A room as its members see it. A direct room has no name of its own: everybody sees the others'.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Its id.
    pub id: RoomId,
    /// Its name.
    pub name: String,
    /// Who is in it.
    pub kind: RoomKind,
    /// What is talked about; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub topic: String,
}

/// The newest message of a room, as far as unread marks care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastMessage {
    /// Its id.
    pub id: MessageId,
    /// Who wrote it.
    pub creator_id: UserId,
}

/// A room with what unread marks need to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomHead {
    /// The room. A direct room has no name here; see [`RoomHead::room_for`].
    pub room: Room,
    /// Who opened it.
    pub creator_id: UserId,
    /// Its newest message that still exists.
    pub last_message: Option<LastMessage>,
    /// Everybody in a direct room, by name; empty for other rooms.
    pub people: Arc<[UserRef]>,
}

impl RoomHead {
    /// The others in a direct room.
    pub fn others(&self, viewer: UserId) -> Vec<UserRef> {
        self.people.iter().filter(|user| user.id != viewer).cloned().collect()
    }

    /// The room under the name that a viewer knows it by.
    pub fn room_for(&self, viewer: UserId) -> Room {
        let mut room = self.room.clone();
        if room.kind == RoomKind::Direct {
            let own = self.people.iter().find(|user| user.id == viewer);
            let own = own.map_or("", |user| user.name.as_str());
            room.name = direct_name(&self.others(viewer), own);
        }
        room
    }
}

/// What a viewer's membership says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// How much they want to hear.
    pub involvement: Involvement,
    /// Whether they keep the room at the top.
    pub starred: bool,
    /// The newest message they have seen.
    pub last_read: Option<MessageId>,
    /// The newest message when they put the room away.
    pub hidden: Option<MessageId>,
    /// The newest message of all when they marked the room unread.
    pub marked: Option<MessageId>,
    /// Messages after the read cursor that mention them, in order.
    pub mentions: Vec<MessageId>,
}

impl Membership {
    /// Whether the room stays put away: nothing was said since.
    pub fn is_hidden(&self, head: &RoomHead) -> bool {
        let newest = head.last_message.map_or(0, |last| last.id.get());
        self.hidden.is_some_and(|hidden| newest <= hidden.get())
    }

    /// Whether the room has something its member has not read. Derived, never stored: a post
    /// therefore writes no membership rows. Whoever wrote last has, by writing, read everything
    /// before, unless they marked the room unread afterwards.
    pub fn is_unread(&self, last: Option<LastMessage>, reader: UserId) -> bool {
        let spoke = |last: LastMessage| last.creator_id == reader && Some(last.id) > self.marked;
        last.is_some_and(|last| Some(last.id) > self.last_read && !spoke(last))
    }
}

/// A room that somebody wants to have, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoom {
    /// 1 to 80 characters on one line, trimmed; empty for a direct room.
    pub name: String,
    /// At most 200 characters on one line, trimmed.
    pub topic: String,
    /// Who shall be in it.
    pub kind: RoomKind,
    /// The chosen people of a closed or direct room, beside whoever opens it.
    pub people: BTreeSet<UserId>,
}

impl NewRoom {
    /// Checks the form of a room.
    pub fn parse(kind: RoomKind, name: &str, topic: &str, people: BTreeSet<UserId>) -> Result<Self, Error> {
        let mut broken: Vec<FieldError> = Vec::new();
        let (mut name, mut topic) = (name.trim().to_owned(), topic.trim().to_owned());
        if kind == RoomKind::Direct {
            (name, topic) = (String::new(), String::new());
            if people.len() >= MAX_DIRECT_PEOPLE {
                broken.push(FieldError::new("user_ids", texts::errors::TOO_MANY_PEOPLE));
            }
        } else {
            name = checked_name(&name, "name", MAX_ROOM_NAME, &mut broken);
            topic = checked_topic(&topic, &mut broken);
        }
        let people = if kind == RoomKind::Open { BTreeSet::new() } else { people };
        Error::unless(broken, Self { name, topic, kind, people })
    }
}

/// What somebody wants to change about a room, checked. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomChange {
    /// Its name.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// Open or closed.
    pub kind: Option<RoomKind>,
    /// Who is in a closed room.
    pub people: Option<Revision>,
}

/// A change of a closed room's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Who shall be in.
    pub grant: BTreeSet<UserId>,
    /// Who shall be out.
    pub revoke: Revoked,
}

/// Who loses their place in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// Everybody who is not granted one.
    Others,
    /// These, unless they are granted one. A form shows some people only, and says nothing about
    /// the rest.
    These(BTreeSet<UserId>),
}

impl RoomChange {
    /// Checks what was typed.
    pub fn parse(
        name: Option<&str>,
        topic: Option<&str>,
        kind: Option<RoomKind>,
        people: Option<Revision>,
    ) -> Result<Self, Error> {
        let mut broken: Vec<FieldError> = Vec::new();
        let name = name.map(|name| checked_name(name, "name", MAX_ROOM_NAME, &mut broken));
        let topic = topic.map(|topic| checked_topic(topic.trim(), &mut broken));
        if kind == Some(RoomKind::Direct) {
            broken.push(FieldError::new("kind", texts::errors::ROOM_KIND));
        }
        let empties = |change: &Revision| change.grant.is_empty() && change.revoke == Revoked::Others;
        if people.as_ref().is_some_and(empties) {
            broken.push(FieldError::new("user_ids", texts::errors::NOBODY_CHOSEN));
        }
        Error::unless(broken, Self { name, topic, kind, people })
    }
}

fn checked_topic(topic: &str, broken: &mut Vec<FieldError>) -> String {
    if topic.chars().count() > MAX_TOPIC {
        broken.push(FieldError::new("topic", &texts::errors::at_most(MAX_TOPIC)));
    } else if topic.chars().any(char::is_control) {
        broken.push(FieldError::new("topic", texts::errors::ONE_LINE));
    }
    topic.to_owned()
}

/// Whether a member may rename a room, choose its people or delete it: whoever opened it, and
/// administrators. Nobody may do that to a direct room.
pub fn may_change_room(viewer: &Viewer, kind: RoomKind, creator_id: UserId) -> bool {
    kind != RoomKind::Direct && (viewer.may_administer() || viewer.id == creator_id)
}

/// What a direct room is called by one of its members: the others' names, or their own when there
/// is nobody else. One other person by their full name, several by their first names.
pub fn direct_name(others: &[UserRef], own: &str) -> String {
    match others {
        [] => own.to_owned(),
        [one] => one.name.clone(),
        many => {
            many.iter().map(|user| first_name(&user.name)).collect::<Vec<_>>().join(texts::names::SEPARATOR)
        }
    }
}

/// Calls somebody among people by another name; the order is for the caller. False if they are
/// not among them.
pub fn rename_among(people: &mut [UserRef], user: &UserRef) -> bool {
    let known = people.iter_mut().find(|known| known.id == user.id);
    known.map(|known| known.name.clone_from(&user.name)).is_some()
}

/// The first word of a name.
pub fn first_name(name: &str) -> &str {
    name.split_whitespace().next().unwrap_or(name)
}

/// The identity of a direct room: the same people give the same key, in whatever order and
/// however often they are named. Unique in the database, so two rooms for one set cannot exist.
pub fn direct_key(people: impl IntoIterator<Item = UserId>) -> String {
    let people: BTreeSet<UserId> = people.into_iter().collect();
    people.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// How much of a room somebody wants to hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Involvement {
    /// Not even in the sidebar.
    Invisible,
    /// In the sidebar, never notified.
    Nothing,
    /// Notified when mentioned; the default of open and closed rooms.
    #[default]
    Mentions,
    /// Notified of everything; the default of direct rooms.
    Everything,
}

stored!(Involvement {
    Invisible = "invisible",
    Nothing = "nothing",
    Mentions = "mentions",
    Everything = "everything"
});

impl Involvement {
    /// What newcomers to a room begin with.
    pub fn first_in(kind: RoomKind) -> Self {
        if kind == RoomKind::Direct { Self::Everything } else { Self::Mentions }
    }

    /// Where the bell of a room leads next (Campfire's order).
    #[must_use]
    pub fn next_in(self, kind: RoomKind) -> Self {
        match (kind, self) {
            (RoomKind::Direct, Self::Everything) | (_, Self::Everything) => Self::Nothing,
            (RoomKind::Direct, _) | (_, Self::Mentions) => Self::Everything,
            (_, Self::Nothing) => Self::Invisible,
            (_, Self::Invisible) => Self::Mentions,
        }
    }
}

/// One line of the room list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SidebarRoom {
    /// The room's id.
    pub id: RoomId,
    /// Its name; of a direct room, the others' names.
    pub name: String,
    /// Who is in it.
    pub kind: RoomKind,
    /// What is talked about; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// The others in a direct room; empty for other rooms and for a room with oneself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<UserRef>,
    /// The newest message, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message_id: Option<MessageId>,
    /// The viewer's read cursor: the newest message they have seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_read_message_id: Option<MessageId>,
    /// Whether somebody else wrote after the viewer last read.
    pub unread: bool,
    /// Messages that mention the viewer after they last read.
    #[serde(default)]
    pub mentions: u32,
    /// How much the viewer wants to hear.
    #[serde(default)]
    pub involvement: Involvement,
    /// Whether the viewer keeps it at the top.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub starred: bool,
    /// Whether the viewer has put this direct room away until somebody writes in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Whether the one other person of a direct room is online.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub online: bool,
}

impl SidebarRoom {
    /// The room as its members see it.
    pub fn room(&self) -> Room {
        let (name, topic) = (self.name.clone(), self.topic.clone());
        Room { id: self.id, name, kind: self.kind, topic }
    }

    /// Whether it stands in the list at all.
    pub fn is_shown(&self) -> bool {
        self.involvement != Involvement::Invisible && !self.hidden
    }

    /// Whether its unread messages are worth a mark: those of muted rooms are not.
    pub fn is_waiting(&self) -> bool {
        self.unread && self.involvement != Involvement::Nothing
    }
}

/// What the sidebar shows of a room to one of its members. Who is online is for others to know.
pub fn sidebar_room(head: &RoomHead, membership: &Membership, viewer: UserId) -> SidebarRoom {
    let Room { id, name, kind, topic } = head.room_for(viewer);
    SidebarRoom {
        id,
        name,
        kind,
        topic,
        people: head.others(viewer),
        last_message_id: head.last_message.map(|last| last.id),
        last_read_message_id: membership.last_read,
        unread: membership.is_unread(head.last_message, viewer),
        mentions: u32::try_from(membership.mentions.len()).unwrap_or(u32::MAX),
        involvement: membership.involvement,
        starred: membership.starred,
        hidden: membership.is_hidden(head),
        online: false,
    }
}

/// What waits for the viewer in all rooms together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Whether anything is unread.
    pub unread: bool,
    /// Mentions, and direct rooms with something unread.
    pub personal: u32,
}

/// How something concerns somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivityKind {
    /// A message mentions them.
    Mention,
    /// A message answers one of theirs.
    Reply,
    /// Somebody added a boost to a message of theirs.
    Boost,
}

/// Something that concerns the viewer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// How.
    pub kind: ActivityKind,
    /// The change that made it; gives the order.
    pub seq: Seq,
    /// Who did it.
    pub user: UserRef,
    /// Where.
    pub room_id: RoomId,
    /// The message that mentions or answers them, or theirs that was boosted.
    pub message_id: MessageId,
    /// How that message begins.
    pub excerpt: String,
    /// The boost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// When.
    pub created_at: Timestamp,
    /// Whether it is new to them.
    pub unread: bool,
}
