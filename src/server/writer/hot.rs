//! Hot state: what most requests need, kept in memory by the writer.
//!
//! Sessions, the rooms and read cursors of people who are around, and the newest messages of
//! active rooms. Only the writer changes facts, after their commit; readers may fill in what they
//! have just read from the database. A fill is refused when the writer has committed something
//! relevant since the read began, so a stale answer can never overwrite a newer fact, and a
//! session that was revoked during the read stays revoked. Every part is bounded in bytes; what
//! is dropped is read again on demand.

use super::Event;
use crate::domain::account::Viewer;
use crate::domain::message::{Message, MessagePage, PAGE_SIZE, Quote};
use crate::domain::room::{
    Involvement, LastMessage, MAX_MENTIONS, Membership, RoomHead, SidebarRoom, rename_among, sidebar_room,
};
use crate::domain::{RoomId, Seq, UserId};
use crate::server::operation::Bounded;
use crate::server::store::Account;
use crate::server::store::account::{Session, TokenDigest};
use crate::server::store::messages::RoomWithPage;
use crate::server::store::rooms::ViewerRooms;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Rough memory of all cached sessions; one weighs about 400 bytes.
const MAX_SESSION_BYTES: usize = 8 << 20;
/// Rough memory of all cached memberships.
const MAX_MEMBERSHIP_BYTES: usize = 16 << 20;
/// One of them, with the few mentions that people leave unread.
const MEMBERSHIP_BYTES: usize = 96;
/// Rough memory of all cached messages.
const MAX_TAIL_BYTES: usize = 32 << 20;

/// Rooms whose heads are remembered; beyond, all are forgotten and read again.
const MAX_ROOMS: usize = 50_000;

/// Proves that a fill began before a moment the writer can compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// What memory knows about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The answer.
    Found(T),
    /// The answer is that there is none.
    Absent,
    /// Ask the database.
    Unknown,
}

/// The hot state. Cheap to read from many tasks.
#[derive(Debug)]
pub struct Hot {
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    seq: Seq,
    /// Counts commits that changed anything but messages; guards fills.
    structure: u64,
    account: Option<Arc<Account>>,
    sessions: Bounded<TokenDigest, Arc<Session>>,
    memberships: Bounded<UserId, FxHashMap<RoomId, Membership>>,
    tails: Bounded<RoomId, Tail>,
    /// Heads of every room that appears in `memberships` or `tails`.
    rooms: FxHashMap<RoomId, RoomHead>,
    /// The last change of each room since the start; guards fills of heads and tails.
    changed: FxHashMap<RoomId, Seq>,
}

/// The newest messages of a room.
#[derive(Debug)]
struct Tail {
    messages: VecDeque<Arc<Message>>,
    has_older: bool,
}

impl Hot {
    /// Knows nothing but where the sequence stands.
    pub fn new(seq: Seq) -> Self {
        Self {
            state: RwLock::new(State {
                seq,
                structure: 0,
                account: None,
                sessions: Bounded::new(MAX_SESSION_BYTES),
                memberships: Bounded::new(MAX_MEMBERSHIP_BYTES),
                tails: Bounded::new(MAX_TAIL_BYTES),
                rooms: FxHashMap::default(),
                changed: FxHashMap::default(),
            }),
        }
    }

    /// The last committed change.
    pub fn seq(&self) -> Seq {
        self.read().seq
    }

    /// Take one before reading what a fill will store.
    pub fn ticket(&self) -> Ticket {
        Ticket(self.read().structure)
    }

    /// The account, if it is known to exist.
    pub fn account(&self) -> Option<Arc<Account>> {
        self.read().account.clone()
    }

    /// Remembers the account that was read from the database.
    pub fn fill_account(&self, ticket: Ticket, account: &Arc<Account>) {
        let mut state = self.write();
        if state.structure == ticket.0 {
            state.account = Some(Arc::clone(account));
        }
    }

    /// The session of a token; expiry is for the caller to judge.
    pub fn session(&self, digest: &TokenDigest) -> Option<Arc<Session>> {
        self.read().sessions.get(digest).cloned()
    }

    /// Remembers a session that was read from the database.
    pub fn fill_session(&self, ticket: Ticket, digest: TokenDigest, session: &Arc<Session>) {
        let mut state = self.write();
        if state.structure == ticket.0 {
            state.sessions.insert(digest, Arc::clone(session), 400);
        }
    }

    /// Whether a viewer is in a room, if their rooms are known.
    pub fn is_member(&self, viewer: UserId, room_id: RoomId) -> Option<bool> {
        self.read().memberships.get(&viewer).map(|rooms| rooms.contains_key(&room_id))
    }

    /// Every room of a viewer's, those that are not shown included; unsorted.
    pub fn rooms(&self, viewer: UserId) -> Option<Vec<SidebarRoom>> {
        let state = self.read();
        let memberships = state.memberships.get(&viewer)?;
        let entry = |(room_id, membership): (&RoomId, &Membership)| {
            state.rooms.get(room_id).map(|head| sidebar_room(head, membership, viewer))
        };
        memberships.iter().map(entry).collect()
    }

    /// One room of a viewer's.
    pub fn room(&self, viewer: UserId, room_id: RoomId) -> Lookup<SidebarRoom> {
        let state = self.read();
        let Some(memberships) = state.memberships.get(&viewer) else {
            return Lookup::Unknown;
        };
        match (memberships.get(&room_id), state.rooms.get(&room_id)) {
            (None, _) => Lookup::Absent,
            (Some(membership), Some(head)) => Lookup::Found(sidebar_room(head, membership, viewer)),
            (Some(_), None) => Lookup::Unknown,
        }
    }

    /// Remembers the rooms of a viewer that were read from the database.
    pub fn fill_rooms(&self, ticket: Ticket, viewer: UserId, read: &ViewerRooms) {
        let mut state = self.write();
        let stale = read.rooms.iter().any(|(head, _)| state.changed_after(head.room.id, read.cursor));
        if state.structure != ticket.0 || stale {
            return;
        }
        for (head, _) in &read.rooms {
            state.rooms.entry(head.room.id).or_insert_with(|| head.clone());
        }
        let memberships: FxHashMap<_, _> =
            read.rooms.iter().map(|(head, membership)| (head.room.id, membership.clone())).collect();
        let weight = 96 + memberships.len() * MEMBERSHIP_BYTES;
        state.memberships.insert(viewer, memberships, weight);
    }

    /// The newest messages of a viewer's room.
    pub fn newest_page(&self, viewer: UserId, room_id: RoomId, limit: usize) -> Lookup<RoomWithPage> {
        let state = self.read();
        let Some(memberships) = state.memberships.get(&viewer) else {
            return Lookup::Unknown;
        };
        if !memberships.contains_key(&room_id) {
            return Lookup::Absent;
        }
        let (Some(tail), Some(head)) = (state.tails.get(&room_id), state.rooms.get(&room_id)) else {
            return Lookup::Unknown;
        };
        let loaded = tail.messages.len();
        if loaded < limit && tail.has_older {
            return Lookup::Unknown;
        }
        let skipped = loaded.saturating_sub(limit);
        let page = MessagePage {
            messages: tail.messages.iter().skip(skipped).cloned().collect(),
            cursor: state.seq,
            has_more: tail.has_older || skipped > 0,
        };
        Lookup::Found(RoomWithPage { head: head.clone(), page })
    }

    /// Remembers the newest page of a room that was read from the database.
    pub fn fill_tail(&self, ticket: Ticket, read: &RoomWithPage) {
        let mut state = self.write();
        let room_id = read.head.room.id;
        let known = state.tails.get(&room_id).map_or(0, |tail| tail.messages.len());
        let stale = state.structure != ticket.0 || state.changed_after(room_id, read.page.cursor);
        // Somebody who read at the same time was faster.
        if stale || (known > 0 && known >= read.page.messages.len()) {
            return;
        }
        state.rooms.entry(room_id).or_insert_with(|| read.head.clone());
        let messages: VecDeque<_> = read.page.messages.iter().cloned().collect();
        let tail = Tail { messages, has_older: read.page.has_more };
        let weight = tail.weight();
        state.tails.insert(room_id, tail, weight);
    }

    /// Learns what a group has committed, in order. Only the writer calls this.
    pub fn apply(&self, events: &[Event], seq: Seq) {
        let mut state = self.write();
        state.seq = seq;
        for event in events {
            state.apply(event);
        }
        if state.rooms.len() > MAX_ROOMS || state.changed.len() > MAX_ROOMS {
            state.forget_rooms();
        }
    }

    // A poisoned lock is taken all the same: every change below leaves the maps usable at each
    // step, and facts can be read again from the database.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn changed_after(&self, room_id: RoomId, cursor: Seq) -> bool {
        self.changed.get(&room_id).is_some_and(|changed| *changed > cursor)
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::MessageCreated { message, mentioned } => {
                self.changed.insert(message.room_id, message.seq);
                let last = LastMessage { id: message.id, creator_id: message.creator.id };
                self.set_last(message.room_id, Some(last));
                self.change_tail(message.room_id, |tail| tail.push(message));
                self.mention(message, mentioned);
            }
            Event::MessageUpdated { message, mentioned, unmentioned } => {
                self.changed.insert(message.room_id, message.seq);
                self.change_tail(message.room_id, |tail| tail.replace(message));
                self.unmention(message, unmentioned);
                self.mention(message, mentioned);
            }
            Event::MessageDeleted { message, newest, unmentioned } => {
                self.changed.insert(message.room_id, message.seq);
                self.set_last(message.room_id, *newest);
                self.change_tail(message.room_id, |tail| tail.remove(message));
                self.unmention(message, unmentioned);
            }
            Event::RoomRead { user_id, room_id, reading } => {
                self.structure += 1;
                if let Some(membership) = self.membership(*user_id, *room_id) {
                    reading.change(membership);
                }
            }
            Event::RoomChanged { head, granted, revoked } => {
                self.structure += 1;
                self.change_room(head, granted, revoked);
            }
            Event::RoomDeleted(room_id) => {
                self.structure += 1;
                self.rooms.remove(room_id);
                self.tails.remove(room_id);
                self.memberships.values_mut().for_each(|rooms| drop(rooms.remove(room_id)));
            }
            Event::MembershipChanged { user_id, head, membership } => {
                self.structure += 1;
                if let Some(rooms) = self.memberships.get_mut(user_id) {
                    rooms.insert(head.room.id, membership.clone());
                    self.rooms.entry(head.room.id).or_insert_with(|| (**head).clone());
                }
            }
            Event::AccountCreated(account) | Event::AccountChanged(account) => {
                self.structure += 1;
                self.account = Some(Arc::new(account.clone()));
            }
            Event::ActivityChanged(_) => {}
            Event::UserJoined(_) => self.structure += 1,
            Event::SessionBegan { digest, session } => {
                self.structure += 1;
                self.sessions.insert(*digest, Arc::clone(session), 400);
            }
            Event::SessionUsed { digest, session } => {
                self.structure += 1;
                // Its times are new; who it belongs to may have changed since it was looked up.
                if let Some(known) = self.sessions.get_mut(digest) {
                    let viewer = known.viewer.clone();
                    *known = Arc::new(Session { viewer, ..(**session).clone() });
                }
            }
            Event::UserChanged(viewer) => self.change_user(viewer),
            Event::SessionEnded { digest, .. } => {
                self.structure += 1;
                self.sessions.remove(digest);
            }
        }
    }

    fn change_user(&mut self, viewer: &Viewer) {
        self.structure += 1;
        self.memberships.remove(&viewer.id);
        // Their name may stand in any room: read again on demand.
        self.tails.clear();
        for head in self.rooms.values_mut() {
            let mut people = head.people.to_vec();
            if rename_among(&mut people, &viewer.as_author()) {
                people.sort_by_cached_key(|user| (user.name.to_lowercase(), user.id));
                head.people = people.into();
            }
        }
        let sessions = self.sessions.values_mut();
        for session in sessions.filter(|session| session.viewer.id == viewer.id) {
            let viewer = viewer.clone();
            *session = Arc::new(Session { viewer, ..(**session).clone() });
        }
    }

    fn membership(&mut self, user_id: UserId, room_id: RoomId) -> Option<&mut Membership> {
        self.memberships.get_mut(&user_id)?.get_mut(&room_id)
    }

    fn mention(&mut self, message: &Message, mentioned: &[UserId]) {
        for user_id in mentioned {
            if let Some(membership) = self.membership(*user_id, message.room_id)
                && membership.last_read < Some(message.id)
                && let Err(at) = membership.mentions.binary_search(&message.id)
            {
                membership.mentions.insert(at, message.id);
                if membership.mentions.len() > MAX_MENTIONS {
                    membership.mentions.remove(0);
                }
            }
        }
    }

    fn unmention(&mut self, message: &Message, unmentioned: &[UserId]) {
        for user_id in unmentioned {
            if let Some(membership) = self.membership(*user_id, message.room_id) {
                membership.mentions.retain(|id| *id != message.id);
            }
        }
    }

    fn change_room(&mut self, head: &RoomHead, granted: &[UserId], revoked: &[UserId]) {
        let room_id = head.room.id;
        self.rooms.insert(room_id, head.clone());
        for user_id in granted {
            if let Some(rooms) = self.memberships.get_mut(user_id) {
                let involvement = Involvement::first_in(head.room.kind);
                let last_read = head.last_message.map(|last| last.id);
                let membership = Membership { involvement, last_read, ..Membership::default() };
                rooms.insert(room_id, membership);
            }
        }
        for user_id in revoked {
            if let Some(rooms) = self.memberships.get_mut(user_id) {
                rooms.remove(&room_id);
            }
        }
    }

    fn forget_rooms(&mut self) {
        // Fills that are under way would go unguarded: the new structure refuses them.
        self.structure += 1;
        self.rooms.clear();
        self.changed.clear();
        self.memberships.clear();
        self.tails.clear();
    }

    fn set_last(&mut self, room_id: RoomId, last: Option<LastMessage>) {
        if let Some(head) = self.rooms.get_mut(&room_id) {
            head.last_message = last;
        }
    }

    fn change_tail(&mut self, room_id: RoomId, change: impl FnOnce(&mut Tail)) {
        let Some(mut tail) = self.tails.remove(&room_id) else {
            return;
        };
        change(&mut tail);
        // Deletions have eaten the tail away: let the next reader load a full one.
        if tail.messages.len() * 2 >= PAGE_SIZE || !tail.has_older {
            let weight = tail.weight();
            self.tails.insert(room_id, tail, weight);
        }
    }
}

impl Tail {
    fn weight(&self) -> usize {
        self.messages.iter().map(|message| message.weight()).sum()
    }

    fn push(&mut self, message: &Arc<Message>) {
        // Somebody who read between the commit and this moment has filled it in already.
        if self.messages.back().is_some_and(|newest| newest.id >= message.id) {
            return;
        }
        self.messages.push_back(Arc::clone(message));
        if self.messages.len() > PAGE_SIZE {
            self.messages.pop_front();
            self.has_older = true;
        }
    }

    fn replace(&mut self, message: &Arc<Message>) {
        Quote::renew(self.messages.iter_mut(), message);
        if let Some(old) = self.messages.iter_mut().find(|old| old.id == message.id) {
            *old = Arc::clone(message);
        }
    }

    fn remove(&mut self, gone: &Message) {
        Quote::renew(self.messages.iter_mut(), gone);
        self.messages.retain(|message| message.id != gone.id);
    }
}
