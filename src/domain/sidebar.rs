//! The reducer of everything around the timeline: the room list, who is online, who is typing.

use super::account::UserRef;
use super::room::{Room, RoomKind};
use super::{MessageId, RoomId, UserId};
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
    /// Its name.
    pub name: String,
    /// Who is in it.
    pub kind: RoomKind,
    /// The newest message, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message_id: Option<MessageId>,
    /// Whether somebody else wrote after the viewer last read.
    pub unread: bool,
}

impl SidebarRoom {
    /// The room as its members see it.
    pub fn room(&self) -> Room {
        Room { id: self.id, name: self.name.clone(), kind: self.kind }
    }
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

    /// Whether any room has something unread.
    pub fn has_unread(&self) -> bool {
        self.rooms.iter().any(|entry| entry.unread)
    }

    /// Replaces list and presence by what the server knows now.
    pub fn welcome(&mut self, rooms: Vec<SidebarRoom>, online: Vec<UserRef>, online_count: usize) {
        self.unnamed = online_count.saturating_sub(online.len());
        (self.rooms, self.online) = (rooms, online);
    }

    /// A new or changed room.
    pub fn upsert_room(&mut self, entry: SidebarRoom, by_name: impl Fn(&str, &str) -> Ordering) {
        self.rooms.retain(|other| other.id != entry.id);
        self.rooms.push(entry);
        self.rooms.sort_by(|a, b| by_name(&a.name, &b.name).then(a.id.cmp(&b.id)));
    }

    /// The viewer is no longer in this room.
    pub fn remove_room(&mut self, room_id: RoomId) {
        self.rooms.retain(|entry| entry.id != room_id);
    }

    /// Somebody else wrote a message in a room. Older news than what is known changes nothing.
    pub fn activity(&mut self, room_id: RoomId, message_id: MessageId) {
        if let Some(entry) = self.rooms.iter_mut().find(|entry| entry.id == room_id)
            && entry.last_message_id < Some(message_id)
        {
            entry.last_message_id = Some(message_id);
            entry.unread = true;
        }
    }

    /// The viewer has read a room up to a message, here or elsewhere.
    pub fn read(&mut self, room_id: RoomId, message_id: MessageId) {
        if let Some(entry) = self.rooms.iter_mut().find(|entry| entry.id == room_id)
            && entry.last_message_id <= Some(message_id)
        {
            entry.last_message_id = Some(message_id);
            entry.unread = false;
        }
    }

    /// The viewer is looking at the newest message of a room: whatever was unread is not, even if
    /// the message that made it so has been deleted since.
    pub fn seen(&mut self, room_id: RoomId) {
        if let Some(entry) = self.rooms.iter_mut().find(|entry| entry.id == room_id) {
            entry.unread = false;
        }
    }

    /// Somebody came or went, and so many are online now.
    pub fn presence(
        &mut self,
        user: UserRef,
        (online, online_count): (bool, usize),
        by_name: impl Fn(&str, &str) -> Ordering,
    ) {
        self.online.retain(|other| other.id != user.id);
        if online {
            self.online.push(user);
            self.online.sort_by(|a, b| by_name(&a.name, &b.name).then(a.id.cmp(&b.id)));
        } else {
            self.typists.retain(|typist| typist.user.id != user.id);
        }
        self.unnamed = online_count.saturating_sub(self.online.len());
    }

    /// Somebody is called by another name now.
    pub fn rename(&mut self, user: &UserRef, by_name: impl Fn(&str, &str) -> Ordering) {
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
        let name = |typist: &Typist| {
            typist.user.name.split_whitespace().next().unwrap_or("Somebody").to_owned()
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn room(id: i64, name: &str) -> SidebarRoom {
        let (id, name) = (RoomId::new(id), name.to_owned());
        SidebarRoom { id, name, kind: RoomKind::Open, last_message_id: None, unread: false }
    }

    fn by_name(a: &str, b: &str) -> Ordering {
        a.to_lowercase().cmp(&b.to_lowercase())
    }

    fn user(id: i64, name: &str) -> UserRef {
        UserRef { id: UserId::new(id), name: name.to_owned() }
    }

    #[test]
    fn unread_follows_the_newest_fact_in_any_order() {
        let mut sidebar = Sidebar::new(vec![room(1, "All Talk")], vec![], 0);
        let all_talk = RoomId::new(1);
        sidebar.activity(all_talk, MessageId::new(5));
        assert!(sidebar.has_unread());
        sidebar.read(all_talk, MessageId::new(4));
        assert!(sidebar.has_unread(), "an older read mark does not hide newer messages");
        sidebar.read(all_talk, MessageId::new(5));
        sidebar.activity(all_talk, MessageId::new(5));
        assert!(!sidebar.has_unread(), "late news of a read message is no news");
    }

    #[test]
    fn typing_is_named_and_goes_stale() {
        let mut sidebar = Sidebar::default();
        sidebar.typing(user(2, "Teo Almeida"), true, 0);
        sidebar.typing(user(1, "Mara Lindqvist"), true, 1_000);
        assert_eq!(sidebar.typing_line().as_deref(), Some("Mara and Teo are typing"));
        assert!(sidebar.sweep_typing(5_500));
        assert_eq!(sidebar.typing_line().as_deref(), Some("Mara is typing"));
        sidebar.presence(user(1, "Mara Lindqvist"), (false, 1), by_name);
        assert_eq!(sidebar.typing_line(), None);
    }

    #[test]
    fn people_who_are_not_named_are_counted() {
        let mut sidebar = Sidebar::new(vec![], vec![user(1, "David")], 3);
        assert_eq!(sidebar.online_count(), 3);
        sidebar.presence(user(7, "Zoe"), (false, 2), by_name);
        assert_eq!(sidebar.online_count(), 2);
        sidebar.presence(user(1, "David"), (true, 2), by_name);
        assert_eq!(sidebar.online_count(), 2, "late news of somebody who is counted already");
        sidebar.presence(user(1, "David"), (false, 1), by_name);
        sidebar.presence(user(8, "Kevin"), (true, 2), by_name);
        assert_eq!((sidebar.online_count(), sidebar.online().len()), (2, 1));
    }

    #[test]
    fn rooms_and_people_are_sorted_by_name() {
        let mut sidebar = Sidebar::new(vec![room(1, "watercooler")], vec![user(1, "jason")], 1);
        sidebar.upsert_room(room(2, "Designers"), by_name);
        sidebar.presence(user(2, "David"), (true, 2), by_name);
        sidebar.presence(user(2, "David"), (true, 2), by_name);
        let rooms: Vec<_> = sidebar.rooms().iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(rooms, ["Designers", "watercooler"]);
        let online: Vec<_> = sidebar.online().iter().map(|user| user.name.as_str()).collect();
        assert_eq!(online, ["David", "jason"]);
    }
}
