//! What surrounds the timeline: the room list, who is online, who is typing, in a reducer; and how
//! people look there, as initials on a colour.

use super::account::{UserRef, is_blank};
use super::room::{
    Involvement, Membership, Room, RoomHead, RoomKind, direct_name, first_name, rename_among,
};
use super::{MessageId, RoomId, Seq, Timestamp, UserId, extends};
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

/// What the letters from U+00C0 to U+017F are without marks; a full stop for those that have none.
const LATIN: &str = "\
    aaaaaa.ceeeeiiiidnooooo.ouuuuy..aaaaaa.ceeeeiiiidnooooo.ouuuuy.yaaaaaaccccccccddddeeeeee\
    eeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllllnnnnnnnnnoooooo..rrrrrrssssssssttttttuuuuuuuu\
    uuuuwwyyyzzzzzzs";
/// Likewise from U+1EA0 to U+1EF9.
const VIETNAMESE: &str = "\
    aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeeeeeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyy\
    yy";

/// A text without case and marks, for comparing: `Ångström` is `angstrom`.
pub fn folded(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            '\u{300}'..='\u{36f}' => {}
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'þ' => plain.push_str("th"),
            _ => plain.push(unmarked(c)),
        }
    }
    plain
}

fn unmarked(c: char) -> char {
    let (first, letters) = match c {
        '\u{c0}'..='\u{17f}' => ('\u{c0}', LATIN),
        '\u{1ea0}'..='\u{1ef9}' => ('\u{1ea0}', VIETNAMESE),
        _ => return c,
    };
    let at = usize::try_from(u32::from(c) - u32::from(first)).unwrap_or(usize::MAX);
    let letter = letters.as_bytes().get(at).copied().unwrap_or(b'.');
    if letter == b'.' { c } else { char::from(letter) }
}

/// How well a name answers what somebody types to find it; less is better. Its beginning, the
/// beginnings of its words, their initials (`mvh` finds Maximilian von Hohenfels), any part.
pub fn rank(name: &str, wanted: &str) -> Option<u8> {
    let (name, wanted) = (folded(name), folded(wanted.trim()));
    let words = || name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let initials: String = words().filter_map(|word| word.chars().next()).collect();
    let letters: String = wanted.split_whitespace().collect();
    let begins = |part: &str| words().any(|word| word.starts_with(part));
    if name.starts_with(&wanted) {
        Some(0)
    } else if wanted.split_whitespace().all(begins) {
        Some(1)
    } else if initials.starts_with(&letters) {
        Some(2)
    } else {
        name.contains(&wanted).then_some(3)
    }
}

/// Puts something behind everything that is at least as good. Lists of things to choose from are
/// short, and a sorting algorithm of its own for each kind of them would weigh more than all else
/// that is done with them in the browser.
pub fn insert_ranked<K: Ord, T>(list: &mut Vec<(K, T)>, rank: K, one: T) {
    let at = list.partition_point(|(other, _)| *other <= rank);
    list.insert(at, (rank, one));
}

/// The rooms that answer what somebody types, the best first; among equals what waits, then what
/// was spoken in last.
pub fn found<'a>(rooms: &'a [SidebarRoom], wanted: &str) -> Vec<(u8, &'a SidebarRoom)> {
    let mut found = Vec::new();
    for entry in rooms {
        if let Some(rank) = rank(&entry.name, wanted) {
            let last = entry.last_message_id.map_or(0, MessageId::get);
            insert_ranked(&mut found, (rank, !entry.is_waiting(), -last), entry);
        }
    }
    found.into_iter().map(|((rank, ..), entry)| (rank, entry)).collect()
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
            entry.last_read_message_id = entry.last_read_message_id.max(known.last_read_message_id);
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
            entry.last_read_message_id = Some(message_id);
            if entry.last_message_id <= Some(message_id) {
                entry.unread = false;
            }
        }
    }

    /// The viewer has marked a room unread after a message, here or elsewhere.
    pub fn unread(&mut self, room_id: RoomId, message_id: MessageId, mentions: u32) {
        self.read(room_id, message_id, mentions);
        if let Some(entry) = self.entry(room_id) {
            entry.unread = entry.last_message_id > Some(message_id);
        }
    }

    /// The viewer is looking at the newest message of a room: whatever was unread is not, even if
    /// the message that made it so has been deleted since.
    pub fn seen(&mut self, room_id: RoomId) {
        if let Some(entry) = self.entry(room_id) {
            entry.unread = false;
            entry.mentions = 0;
            entry.last_read_message_id = entry.last_read_message_id.max(entry.last_message_id);
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
            sort(&mut self.online, |a, b| by_name(&a.name, &b.name).then(a.id.cmp(&b.id)));
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
                sort(&mut entry.people, |a, b| by_name(&a.name, &b.name).then(a.id.cmp(&b.id)));
                entry.name = direct_name(&entry.people, &user.name);
            }
        }
        sort(&mut self.rooms, |a, b| by_name(&a.name, &b.name).then(a.id.cmp(&b.id)));
        let typists = self.typists.iter_mut().map(|typist| &mut typist.user);
        for known in self.online.iter_mut().chain(typists).filter(|known| known.id == user.id) {
            known.name.clone_from(&user.name);
        }
        sort(&mut self.online, |a, b| by_name(&a.name, &b.name).then(a.id.cmp(&b.id)));
    }

    /// Somebody in the room on screen is (or is no longer) writing, as heard at `now_ms`.
    pub fn typing(&mut self, user: UserRef, active: bool, now_ms: i64) {
        self.typists.retain(|typist| typist.user.id != user.id);
        if active {
            self.typists.push(Typist { user, until_ms: now_ms + TYPING_TTL_MS });
            sort(&mut self.typists, |a, b| a.user.name.cmp(&b.user.name));
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

/// One or two initials of a name, in any script: the first letter of its first and last word, with
/// the marks that belong to it; of a name in an East Asian script, one character says enough. As
/// written; the stylesheet makes them capitals, by the rules of the page's language.
pub fn initials(name: &str, at_most: usize) -> String {
    let mut words = name.split_whitespace().filter(|word| !is_blank(word));
    let first = words.next().map_or("", first_letter);
    let last = words.next_back().map_or("", first_letter);
    let alone = at_most < 2 || first.chars().next().is_some_and(is_east_asian);
    let mut letters = String::from(first);
    if !alone && !last.chars().next().is_some_and(is_east_asian) {
        letters.push_str(last);
    }
    letters
}

/// The first letter, figure or picture of a word with everything that belongs to it. Quotes and
/// brackets before it are passed over, unless there is nothing else.
fn first_letter(word: &str) -> &str {
    let shows = |c: char| c.is_alphanumeric() || c >= '\u{2190}' && !extends(c);
    let start = word.find(shows).or_else(|| word.find(|c: char| !extends(c))).unwrap_or(0);
    let word = word.split_at(start).1;
    let mut rest = word.char_indices().peekable();
    let opening = rest.next().map(|(_, c)| c);
    // Flags are two letters of their own.
    let is_flag = |c: char| ('\u{1f1e6}'..='\u{1f1ff}').contains(&c);
    if opening.is_some_and(is_flag) {
        rest.next_if(|(_, c)| is_flag(*c));
    }
    while let Some((_, mark)) = rest.next_if(|(_, c)| extends(*c)) {
        // A joiner glues the next picture on: families, professions.
        if mark == '\u{200d}' {
            rest.next();
        }
    }
    let end = rest.peek().map_or(word.len(), |(at, _)| *at);
    word.split_at(end).0
}

/// Whether a character is of a script whose names are a few characters without spaces.
fn is_east_asian(c: char) -> bool {
    matches!(u32::from(c), 0x2e80..=0xa4cf | 0xac00..=0xd7af | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff)
}

/// Which of the ten avatar hues (1 to 10) a user has; it never changes for an id.
pub fn hue(id: UserId) -> i64 {
    // A step that shares no factor with ten sends neighbouring ids to different hues.
    (id.get() * 7).rem_euclid(10) + 1
}

/// Sorts what a browser shows. The order must be total: equal items may change places. Shell's
/// way, because the library's sort costs about four kilobytes of WebAssembly for each type it is
/// used with, and these lists are short (500 rooms) and nearly in order.
pub fn sort<T>(items: &mut [T], order: impl Fn(&T, &T) -> Ordering) {
    // Ciura's gaps.
    for gap in [132, 57, 23, 10, 4, 1] {
        for start in gap..items.len() {
            let mut at = start;
            while let Some(before) = at.checked_sub(gap)
                && let (Some(low), Some(high)) = (items.get(before), items.get(at))
                && order(low, high) == Ordering::Greater
            {
                items.swap(before, at);
                at = before;
            }
        }
    }
}
