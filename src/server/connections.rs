//! Who is connected, what each tab watches, and getting frames to them. A page load is no departure
//! of anybody's, and silence is one whatever tabs there are.
//!
//! A frame is encoded once and its bytes are shared by every tab. Each tab has a bounded queue; a
//! tab whose queue is full is cut and catches up by its cursor when it comes back. It never delays
//! the writer or another tab. What differs for each member, such as how a room stands in their
//! list, is looked up by their tab when its turn comes.

use super::operation::Gap;
use super::writer::Event;
use crate::domain::account::UserRef;
use crate::domain::event::{Ending, PRESENCE_TTL_MS, ServerFrame};
use crate::domain::message::Message;
use crate::domain::room::{Involvement, RoomKind, SidebarRoom};
use crate::domain::{RoomId, SessionId, UserId};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// So long somebody stays present after their last tab has gone (Campfire's value).
pub const LEAVING: Duration = Duration::from_secs(5);
/// Whoever is not heard of for so long is gone.
const SILENCE: Duration = Duration::from_millis(PRESENCE_TTL_MS);
/// Frames waiting for one tab at most; about 100 kB of ordinary messages.
pub const QUEUE: usize = 256;
/// People announced in one sweep; a fraction of a tab's queue.
const ANNOUNCEMENTS: usize = 50;

/// One tab: the so many-th that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub(super) u64);

/// A frame as it travels to every tab: one WebSocket text frame, header and JSON.
pub type EncodedFrame = Arc<[u8]>;

/// What waits for a tab.
#[derive(Clone, Debug)]
pub enum Parcel {
    /// A frame, encoded once for everybody.
    Frame(EncodedFrame),
    /// A room that stands otherwise for each member: the tab's task looks at it when its turn has
    /// come, and tells what it finds.
    Room(RoomId),
    /// How much is new to the user: likewise.
    Activity,
}

/// A tab's end of its connection.
#[derive(Debug)]
pub struct Registered {
    /// Its name.
    pub id: ConnectionId,
    /// Frames for it.
    pub frames: mpsc::Receiver<Parcel>,
    /// Fires when it must end.
    pub ending: oneshot::Receiver<Ending>,
}

/// All tabs.
#[derive(Debug, Default)]
pub struct Connections(Mutex<Registry>);

#[derive(Debug, Default)]
struct Registry {
    last_id: u64,
    // All keys here are ids that the server gives out itself, so a fast hash is safe.
    tabs: FxHashMap<ConnectionId, Tab>,
    /// Counts what was taken away from anybody; guards what a greeting adds.
    removals: u64,
    /// Who is here, with the rooms they hear of; written when their tabs say hello and by committed
    /// changes, dropped when they leave.
    users: FxHashMap<UserId, Present>,
    watching: FxHashMap<RoomId, FxHashSet<ConnectionId>>,
    /// Everybody present, by name, until somebody comes or goes: sorting a thousand names for every
    /// page costs more than the page.
    online: Option<Arc<[UserRef]>>,
    /// Who came or went and has not been announced yet.
    announcements: VecDeque<(UserId, String, bool)>,
}

#[derive(Debug)]
struct Present {
    name: String,
    /// Rooms they hear of, and which of them are direct: any of those may have been put away until
    /// something is said there, so what happens in them lets their tabs look how they stand.
    rooms: FxHashMap<RoomId, bool>,
    tabs: FxHashSet<ConnectionId>,
    /// When a tab of theirs said something, or the last one went.
    last_heard: Instant,
}

#[derive(Debug)]
struct Tab {
    /// Has said hello: before that it is told nothing, and the welcome tells it everything.
    greeted: bool,
    user_id: UserId,
    session_id: SessionId,
    room_id: Option<RoomId>,
    frames: mpsc::Sender<Parcel>,
    ending: oneshot::Sender<Ending>,
}

impl Connections {
    /// Adds a tab. Everybody learns that its user is online, if they were not.
    pub fn register(&self, user: &UserRef, session_id: SessionId) -> Registered {
        let mut registry = self.lock();
        registry.last_id += 1;
        let id = ConnectionId(registry.last_id);
        let (frames, frames_here) = mpsc::channel(QUEUE);
        let (ending, ending_here) = oneshot::channel();
        let tab = Tab { greeted: false, user_id: user.id, session_id, room_id: None, frames, ending };
        registry.tabs.insert(id, tab);
        if !registry.users.contains_key(&user.id) {
            registry.announcements.push_back((user.id, user.name.clone(), true));
            registry.online = None;
        }
        let (name, last_heard) = (user.name.clone(), Instant::now());
        let new = Present { name, rooms: <_>::default(), tabs: <_>::default(), last_heard };
        let present = registry.users.entry(user.id).or_insert(new);
        present.tabs.insert(id);
        present.last_heard = last_heard;
        metrics::gauge!("campfire_connections").set(registry.tabs.len() as f64);
        Registered { id, frames: frames_here, ending: ending_here }
    }

    /// Removes a tab. Its user stays present for a moment.
    pub fn unregister(&self, id: ConnectionId) {
        let mut registry = self.lock();
        registry.remove(id);
        metrics::gauge!("campfire_connections").set(registry.tabs.len() as f64);
    }

    /// A tab has said hello: frames queue up for it from now on.
    pub fn greet(&self, id: ConnectionId) {
        self.lock().tabs.entry(id).and_modify(|tab| tab.greeted = true);
    }

    /// How many tabs a user has open.
    pub fn tabs_of(&self, user_id: UserId) -> usize {
        self.lock().users.get(&user_id).map_or(0, |present| present.tabs.len())
    }

    /// Take this before reading what [`add_rooms`](Self::add_rooms) will be told.
    pub fn removals(&self) -> u64 {
        self.lock().removals
    }

    /// Names the rooms a user hears of, so that activity in them reaches every tab of theirs. Adds
    /// to what is known: a grant that was committed meanwhile must not be undone. False, and
    /// nothing is added, if anything was taken away since the reading began: read again.
    pub fn add_rooms(&self, user_id: UserId, rooms: &[SidebarRoom], removals: u64) -> bool {
        let mut registry = self.lock();
        if registry.removals != removals {
            return false;
        }
        for entry in rooms {
            registry.place(user_id, entry.id, (entry.kind, entry.involvement));
        }
        true
    }

    /// Makes a tab watch a room, and no other. Call this *before* reading what it has missed, so
    /// that nothing falls between the two; whether it may watch is for that read to find out.
    pub fn watch(&self, id: ConnectionId, room_id: Option<RoomId>) {
        let mut registry = self.lock();
        let Some(tab) = registry.tabs.get_mut(&id) else {
            return;
        };
        if let Some(before) = std::mem::replace(&mut tab.room_id, room_id) {
            registry.stop_watching(before, id);
        }
        if let Some(room_id) = room_id {
            registry.watching.entry(room_id).or_default().insert(id);
        }
    }

    /// Something was heard from a user's tab.
    pub fn heard(&self, user_id: UserId) {
        self.lock().users.entry(user_id).and_modify(|here| here.last_heard = Instant::now());
    }

    /// Who is online, by name.
    pub fn online(&self) -> Arc<[UserRef]> {
        let mut registry = self.lock();
        if let Some(online) = &registry.online {
            return Arc::clone(online);
        }
        let named = |(id, here): (&UserId, &Present)| UserRef { id: *id, name: here.name.clone() };
        let mut online: Vec<_> = registry.users.iter().map(named).collect();
        online.sort_by_cached_key(|user| (user.name.to_lowercase(), user.id));
        Arc::clone(registry.online.insert(online.into()))
    }

    /// Notes which direct rooms are with somebody who is online.
    pub fn mark_online(&self, rooms: &mut [SidebarRoom]) {
        let registry = self.lock();
        for entry in rooms {
            if let [other] = entry.people.as_slice() {
                entry.online = registry.users.contains_key(&other.id);
            }
        }
    }

    /// Tells a room that somebody writes (or stopped), all but their own tabs.
    pub fn typing(&self, room_id: RoomId, user: &UserRef, active: bool) {
        let mut registry = self.lock();
        // By the name they have now; a tab may have been opened under another.
        let name = registry.users.get(&user.id).map_or(&user.name, |present| &present.name);
        let user = UserRef { id: user.id, name: name.clone() };
        let to = registry.watchers(room_id, Some(user.id));
        registry.tell(to, &ServerFrame::Typing { room_id, user, active });
    }

    /// Tells everybody concerned what the writer has committed.
    pub fn publish(&self, event: &Event) {
        if let Event::MessageCreated { message, mentioned } = event {
            return self.publish_created(message, mentioned);
        }
        let mut registry = self.lock();
        match event {
            Event::MessageUpdated { message, mentioned, unmentioned } => {
                let (room_id, message) = (message.room_id, Arc::clone(message));
                registry.tell_room(room_id, &ServerFrame::MessageUpdated { message });
                let concerned = mentioned.iter().chain(unmentioned);
                registry.send_to_users(concerned, &Parcel::Room(room_id));
            }
            Event::MessageDeleted { message, newest, unmentioned } => {
                let (room_id, id, message) = (message.room_id, message.id, Arc::clone(message));
                registry.tell_room(room_id, &ServerFrame::MessageDeleted { message });
                if newest.is_none_or(|newest| newest.id < id) {
                    let members = registry.tabs_with(room_id, &[]);
                    registry.send(members, &Parcel::Room(room_id));
                } else {
                    registry.send_to_users(unmentioned, &Parcel::Room(room_id));
                }
            }
            Event::RoomRead { user_id, room_id, reading } => {
                if let Some(bytes) = encode(&reading.frame(*room_id)) {
                    registry.send_to_users([user_id], &Parcel::Frame(bytes));
                }
            }
            Event::RoomChanged { head, granted, revoked } => {
                let (room_id, kind) = (head.room.id, head.room.kind);
                for user_id in granted {
                    registry.place(*user_id, room_id, (kind, Involvement::first_in(kind)));
                }
                let concerned = registry.tabs_with(room_id, revoked);
                registry.take_away(room_id, revoked);
                registry.send(concerned, &Parcel::Room(room_id));
            }
            Event::RoomDeleted(room_id) => {
                let everybody: Vec<UserId> = registry.users.keys().copied().collect();
                let concerned = registry.tabs_with(*room_id, &[]);
                registry.take_away(*room_id, &everybody);
                registry.send(concerned, &Parcel::Room(*room_id));
            }
            Event::MembershipChanged { user_id, head, membership } => {
                registry.removals += 1;
                registry.place(*user_id, head.room.id, (head.room.kind, membership.involvement));
                registry.send_to_users([user_id], &Parcel::Room(head.room.id));
            }
            Event::SessionEnded { id: ended, .. } => {
                let theirs = registry.tabs.iter().filter(|(_, tab)| tab.session_id == *ended);
                for id in theirs.map(|(id, _)| *id).collect::<Vec<_>>() {
                    registry.end(id, Ending::SignedOut);
                }
            }
            Event::UserChanged(viewer) => {
                if let Some(present) = registry.users.get_mut(&viewer.id) {
                    present.name.clone_from(&viewer.name);
                    registry.online = None;
                }
                registry.tell_all(&ServerFrame::Person { user: viewer.as_author() });
            }
            Event::AccountChanged(account) => {
                registry.tell_all(&ServerFrame::Account { name: account.name.clone() });
            }
            Event::ActivityChanged(users) => registry.send_to_users(users, &Parcel::Activity),
            Event::MessageCreated { .. }
            | Event::AccountCreated(_)
            | Event::UserJoined(_)
            | Event::SessionBegan { .. }
            | Event::SessionUsed { .. } => {}
        }
    }

    /// Forgets whoever has left or fallen silent, and tells everybody who came and went. Call it
    /// every second: a thousand people who come at once are announced over some seconds, because
    /// as many frames in one instant would overflow the queues of all of them.
    pub fn sweep(&self) {
        let mut registry = self.lock();
        let now = Instant::now();
        let gone = registry.users.extract_if(|_, present| {
            let silence = now.duration_since(present.last_heard);
            silence >= SILENCE || present.tabs.is_empty() && silence >= LEAVING
        });
        let gone: Vec<_> = gone.collect();
        for (user_id, present) in gone {
            if !present.tabs.is_empty() {
                Gap::SharedPresence.record("a silent user was removed");
            }
            for id in present.tabs {
                registry.end(id, Ending::Silent);
            }
            registry.announcements.push_back((user_id, present.name, false));
            registry.online = None;
        }
        let at_once = registry.announcements.len().min(ANNOUNCEMENTS);
        let due: Vec<_> = registry.announcements.drain(..at_once).collect();
        let online_count = registry.users.len();
        for (user_id, name, online) in due {
            // Whoever came and went again in the meantime is announced as they are now.
            if registry.users.contains_key(&user_id) == online {
                registry.tell_all(&ServerFrame::Presence { user_id, name, online, online_count });
            }
        }
    }

    fn publish_created(&self, message: &Arc<Message>, mentioned: &[UserId]) {
        let created = ServerFrame::MessageCreated { message: Arc::clone(message) };
        let (room_id, message_id) = (message.room_id, message.id);
        let activity = |mention| encode(&ServerFrame::RoomActivity { room_id, message_id, mention });
        let loud = if mentioned.is_empty() { None } else { activity(true) };
        let (Some(created), Some(quiet)) = (encode(&created), activity(false)) else {
            return;
        };
        let mut registry = self.lock();
        let watchers = registry.watchers(room_id, None);
        // A member's other tabs learn that there is something. The author's learn that what they
        // had unread is answered, and whoever had put a direct room away has it back.
        let (mut hear, mut called, mut afresh) = (Vec::new(), Vec::new(), Vec::new());
        let Registry { users, tabs, .. } = &*registry;
        let elsewhere = |id: &ConnectionId| tabs.get(id).is_some_and(|tab| tab.room_id != Some(room_id));
        for (user_id, present) in users {
            let to = match present.rooms.get(&room_id) {
                None => continue,
                Some(true) => {
                    afresh.extend(present.tabs.iter().copied());
                    continue;
                }
                Some(false) if *user_id == message.creator.id => &mut afresh,
                Some(false) if mentioned.contains(user_id) => &mut called,
                Some(false) => &mut hear,
            };
            to.extend(present.tabs.iter().copied().filter(elsewhere));
        }
        if watchers.is_empty() && hear.is_empty() && called.is_empty() {
            Gap::NoConnections.record("a message found nobody online");
        }
        registry.send(watchers, &Parcel::Frame(created));
        registry.send(hear, &Parcel::Frame(quiet));
        if let Some(loud) = loud {
            registry.send(called, &Parcel::Frame(loud));
        }
        registry.send(afresh, &Parcel::Room(room_id));
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// Tabs that watch a room, without those of somebody.
    fn watchers(&self, room_id: RoomId, but: Option<UserId>) -> Vec<ConnectionId> {
        let tabs = self.watching.get(&room_id).into_iter().flatten();
        let of_others = |id: &&ConnectionId| self.tabs.get(id).is_some_and(|tab| but != Some(tab.user_id));
        tabs.filter(of_others).copied().collect()
    }

    /// Tabs of everybody who hears of a room, tabs that watch it, and the tabs of `others`.
    fn tabs_with(&self, room_id: RoomId, others: &[UserId]) -> Vec<ConnectionId> {
        let others: FxHashSet<&UserId> = others.iter().collect();
        let hears = |present: &Present| present.rooms.contains_key(&room_id);
        let concerned = self.tabs.iter().filter(|(_, tab)| {
            tab.room_id == Some(room_id)
                || others.contains(&tab.user_id)
                || self.users.get(&tab.user_id).is_some_and(hears)
        });
        concerned.map(|(id, _)| *id).collect()
    }

    /// Whether and how a user hears of a room.
    fn place(&mut self, user_id: UserId, room_id: RoomId, place: (RoomKind, Involvement)) {
        let Some(present) = self.users.get_mut(&user_id) else {
            return;
        };
        if place.1 == Involvement::Invisible {
            present.rooms.remove(&room_id);
        } else {
            present.rooms.insert(room_id, place.0 == RoomKind::Direct);
        }
    }

    /// These users are not in a room any more: from this moment on they hear nothing of it.
    fn take_away(&mut self, room_id: RoomId, from: &[UserId]) {
        self.removals += 1;
        for user_id in from {
            let Some(present) = self.users.get_mut(user_id) else {
                continue;
            };
            present.rooms.remove(&room_id);
            for id in present.tabs.clone() {
                let tab = self.tabs.get_mut(&id).filter(|tab| tab.room_id == Some(room_id));
                if let Some(tab) = tab {
                    tab.room_id = None;
                    self.stop_watching(room_id, id);
                }
            }
        }
    }

    /// Queues a parcel for tabs; whoever's queue is full is cut.
    fn send(&mut self, to: impl IntoIterator<Item = ConnectionId>, parcel: &Parcel) {
        let is_full = |id: &ConnectionId| {
            let tab = self.tabs.get(id).filter(|tab| tab.greeted);
            tab.is_some_and(|tab| tab.frames.try_send(parcel.clone()).is_err())
        };
        let slow: Vec<_> = to.into_iter().filter(is_full).collect();
        if !slow.is_empty() {
            Gap::PartialBroadcast.record("slow tabs were cut; they catch up by cursor");
        }
        for id in slow {
            Gap::ConnectionFailure.record("a tab did not keep up");
            self.end(id, Ending::Slow);
        }
    }

    fn send_to_users<'a>(&mut self, users: impl IntoIterator<Item = &'a UserId>, parcel: &Parcel) {
        let present = users.into_iter().filter_map(|user_id| self.users.get(user_id));
        let tabs: Vec<_> = present.flat_map(|present| present.tabs.iter().copied()).collect();
        self.send(tabs, parcel);
    }

    fn tell_all(&mut self, frame: &ServerFrame) {
        self.tell(self.tabs.keys().copied().collect(), frame);
    }

    fn tell_room(&mut self, room_id: RoomId, frame: &ServerFrame) {
        self.tell(self.watchers(room_id, None), frame);
    }

    fn tell(&mut self, to: Vec<ConnectionId>, frame: &ServerFrame) {
        if let Some(bytes) = encode(frame) {
            self.send(to, &Parcel::Frame(bytes));
        }
    }

    fn end(&mut self, id: ConnectionId, ending: Ending) {
        if let Some(tab) = self.remove(id) {
            // The task may have ended by itself in this very moment.
            let _gone = tab.ending.send(ending);
        }
    }

    fn remove(&mut self, id: ConnectionId) -> Option<Tab> {
        let tab = self.tabs.remove(&id)?;
        if let Some(room_id) = tab.room_id {
            self.stop_watching(room_id, id);
        }
        if let Some(present) = self.users.get_mut(&tab.user_id) {
            present.tabs.remove(&id);
            if present.tabs.is_empty() {
                present.last_heard = Instant::now();
            }
        }
        Some(tab)
    }

    fn stop_watching(&mut self, room_id: RoomId, id: ConnectionId) {
        if let Some(tabs) = self.watching.get_mut(&room_id) {
            tabs.remove(&id);
            if tabs.is_empty() {
                self.watching.remove(&room_id);
            }
        }
    }
}

/// A frame as every tab receives it.
pub fn encode(frame: &ServerFrame) -> Option<EncodedFrame> {
    let encoded = || -> Result<EncodedFrame, Box<dyn std::error::Error>> {
        let json = serde_json::to_vec(frame)?;
        let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
        let mut bytes = Vec::with_capacity(header.len(json.len() as u64) + json.len());
        header.format(json.len() as u64, &mut bytes)?;
        bytes.extend_from_slice(&json);
        Ok(bytes.into())
    };
    let failed = |error: &_| {
        Gap::WireFormat.record("a frame could not be encoded");
        tracing::error!(error, "a frame could not be encoded");
    };
    encoded().inspect_err(|error| failed(error.as_ref())).ok()
}
