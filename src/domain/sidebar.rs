//! The reducer of everything around the timeline: the room list, who is online, who is typing.

use super::account::UserRef;
use super::room::{
    Involvement, Membership, Room, RoomHead, RoomKind, direct_name, first_name, is_unread,
    rename_among,
};
use super::{MessageId, RoomId, Seq, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// How long somebody is shown typing without a further sign (Campfire's value).
pub const TYPING_TTL_MS: i64 = 5_000;

/// People named in the sidebar at most; the rest are counted.
pub const MAX_ONLINE: usize = 30;

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
        unread: is_unread(head.last_message, membership.last_read, viewer),
        mentions: u32::try_from(membership.mentions.len()).unwrap_or(u32::MAX),
        involvement: membership.involvement,
        starred: membership.starred,
        hidden: membership.is_hidden(head),
        online: false,
    }
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

/// What waits for the viewer in all rooms together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Whether anything is unread.
    pub unread: bool,
    /// Mentions, and direct rooms with something unread.
    pub personal: u32,
}

/// Somebody writing in the room on screen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Typist {
    user: UserRef,
    /// When the sign grows stale, on the tab's own clock.
    until_ms: i64,
}

/// Room list, presence and typing of one tab. Order of calls does not matter beyond "the last
/// word wins": every call states a fact, none counts. Names are sorted by whoever knows the
/// reader's alphabet: lists arrive sorted from the server, and `by_name` compares in the browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sidebar {
    rooms: Vec<SidebarRoom>,
    online: Vec<UserRef>,
    /// People who are online but not in the list: a page names only the first of them.
    unnamed: usize,
    typists: Vec<Typist>,
}

impl Sidebar {
    /// The state a page was rendered with. `online` may be the first of more people.
    pub fn new(rooms: Vec<SidebarRoom>, online: Vec<UserRef>, online_count: usize) -> Self {
        let mut sidebar = Self::default();
        sidebar.welcome(rooms, online, online_count);
        sidebar
    }

    /// The rooms, by name.
    pub fn rooms(&self) -> &[SidebarRoom] {
        &self.rooms
    }

    /// A room the viewer is in.
    pub fn room(&self, room_id: RoomId) -> Option<&SidebarRoom> {
        self.rooms.iter().find(|entry| entry.id == room_id)
    }

    /// Who is online, by name.
    pub fn online(&self) -> &[UserRef] {
        &self.online
    }

    /// How many are online.
    pub fn online_count(&self) -> usize {
        self.online.len() + self.unnamed
    }

    /// What waits for the viewer, muted rooms aside.
    pub fn waiting(&self) -> Waiting {
        let mut waiting = Waiting::default();
        for entry in self.rooms.iter().filter(|entry| entry.is_waiting()) {
            let direct = entry.kind == RoomKind::Direct;
            waiting.unread = true;
            waiting.personal += if direct { entry.mentions.max(1) } else { entry.mentions };
        }
        waiting
    }

    /// Replaces list and presence by what the server knows now.
    pub fn welcome(&mut self, rooms: Vec<SidebarRoom>, online: Vec<UserRef>, online_count: usize) {
        self.unnamed = online_count.saturating_sub(online.len());
        (self.rooms, self.online) = (rooms, online);
    }

    /// A new or changed room. One that is not to be shown goes.
    pub fn upsert_room(
        &mut self,
        mut entry: SidebarRoom,
        by_name: impl Fn(&str, &str) -> Ordering,
    ) {
        if let Some(known) = self.room(entry.id)
            && known.last_message_id == entry.last_message_id
        {
            // What has been read here may not have reached the server yet.
            entry.unread &= known.unread;
        }
        self.rooms.retain(|other| other.id != entry.id);
        if entry.is_shown() {
            let before = |other: &SidebarRoom| {
                by_name(&other.name, &entry.name).then(other.id.cmp(&entry.id)) == Ordering::Less
            };
            let at = self.rooms.partition_point(before);
            self.rooms.insert(at, entry);
        }
    }

    /// The viewer is no longer in this room.
    pub fn remove_room(&mut self, room_id: RoomId) {
        self.rooms.retain(|entry| entry.id != room_id);
    }

    /// Somebody else wrote a message in a room. Older news than what is known changes nothing.
    pub fn activity(&mut self, room_id: RoomId, message_id: MessageId, mention: bool) {
        if let Some(entry) = self.entry(room_id)
            && entry.last_message_id < Some(message_id)
        {
            entry.last_message_id = Some(message_id);
            entry.unread = true;
            entry.mentions += u32::from(mention);
        }
    }

    /// The viewer wrote a message in a room, here or elsewhere: nothing of it is unread to them.
    pub fn spoken(&mut self, room_id: RoomId, message_id: MessageId) {
        if let Some(entry) = self.entry(room_id)
            && entry.last_message_id < Some(message_id)
        {
            entry.last_message_id = Some(message_id);
            entry.unread = false;
        }
    }

    /// The viewer has read a room up to a message, here or elsewhere; so many mentions are left.
    pub fn read(&mut self, room_id: RoomId, message_id: MessageId, mentions: u32) {
        if let Some(entry) = self.entry(room_id) {
            entry.mentions = mentions;
            if entry.last_message_id <= Some(message_id) {
                entry.unread = false;
            }
        }
    }

    /// The viewer is looking at the newest message of a room: whatever was unread is not, even if
    /// the message that made it so has been deleted since.
    pub fn seen(&mut self, room_id: RoomId) {
        if let Some(entry) = self.entry(room_id) {
            entry.unread = false;
            entry.mentions = 0;
        }
    }

    /// The viewer wants a room otherwise; the server will say the same in a moment.
    pub fn change(&mut self, room_id: RoomId, change: impl FnOnce(&mut SidebarRoom)) {
        if let Some(entry) = self.entry(room_id) {
            change(entry);
        }
        self.rooms.retain(SidebarRoom::is_shown);
    }

    fn entry(&mut self, room_id: RoomId) -> Option<&mut SidebarRoom> {
        self.rooms.iter_mut().find(|entry| entry.id == room_id)
    }

    /// Somebody came or went, and so many are online now.
    pub fn presence(
        &mut self,
        user: UserRef,
        (online, online_count): (bool, usize),
        by_name: impl Fn(&str, &str) -> Ordering,
    ) {
        self.online.retain(|other| other.id != user.id);
        for entry in &mut self.rooms {
            if let [other] = entry.people.as_slice()
                && other.id == user.id
            {
                entry.online = online;
            }
        }
        if online {
            self.online.push(user);
            self.online.sort_by(|a, b| by_name(&a.name, &b.name).then(a.id.cmp(&b.id)));
        } else {
            self.typists.retain(|typist| typist.user.id != user.id);
        }
        self.unnamed = online_count.saturating_sub(self.online.len());
    }

    /// Somebody is called by another name now; `viewer` is whose list this is.
    pub fn rename(
        &mut self,
        user: &UserRef,
        viewer: UserId,
        by_name: impl Fn(&str, &str) -> Ordering,
    ) {
        for entry in self.rooms.iter_mut().filter(|entry| entry.kind == RoomKind::Direct) {
            let own_notes = entry.people.is_empty() && user.id == viewer;
            if rename_among(&mut entry.people, user) || own_notes {
                entry.name = direct_name(&entry.people, &user.name);
            }
        }
        self.rooms.sort_by(|a, b| by_name(&a.name, &b.name).then(a.id.cmp(&b.id)));
        let typists = self.typists.iter_mut().map(|typist| &mut typist.user);
        for known in self.online.iter_mut().chain(typists).filter(|known| known.id == user.id) {
            known.name.clone_from(&user.name);
        }
        self.online.sort_by(|a, b| by_name(&a.name, &b.name).then(a.id.cmp(&b.id)));
    }

    /// Somebody in the room on screen is (or is no longer) writing, as heard at `now_ms`.
    pub fn typing(&mut self, user: UserRef, active: bool, now_ms: i64) {
        self.typists.retain(|typist| typist.user.id != user.id);
        if active {
            self.typists.push(Typist { user, until_ms: now_ms + TYPING_TTL_MS });
            self.typists.sort_by(|a, b| a.user.name.cmp(&b.user.name));
        }
    }

    /// Whoever has sent a message is not writing it any more.
    pub fn stopped_typing(&mut self, user_id: UserId) {
        self.typists.retain(|typist| typist.user.id != user_id);
    }

    /// Forgets everybody typing: another room is on screen, or the connection is gone.
    pub fn clear_typing(&mut self) {
        self.typists.clear();
    }

    /// Drops stale signs of typing. True if anything changed.
    pub fn sweep_typing(&mut self, now_ms: i64) -> bool {
        let before = self.typists.len();
        self.typists.retain(|typist| typist.until_ms > now_ms);
        self.typists.len() != before
    }

    /// "Mara and Teo are typing", or nothing.
    pub fn typing_line(&self) -> Option<String> {
        let name = |typist: &Typist| first_name(&typist.user.name).to_owned();
        match self.typists.as_slice() {
            [] => None,
            [one] => Some(format!("{} is typing", name(one))),
            [one, two] => Some(format!("{} and {} are typing", name(one), name(two))),
            [one, two, three] => {
                Some(format!("{}, {} and {} are typing", name(one), name(two), name(three)))
            }
            _ => Some("Several people are typing".to_owned()),
        }
    }
}
