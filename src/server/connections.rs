//! Who is connected, what each tab watches, and getting frames to them.
//!
//! A frame is encoded once and its bytes are shared by every tab. Each tab has a bounded queue; a
//! tab whose queue is full is cut with a word of goodbye and catches up by its cursor when it
//! comes back. It never delays the writer or another tab. Presence counts connections per user
//! and knows nothing of sockets, so it is tested with a paused clock.

use super::telemetry::Gap;
use super::writer::Event;
use crate::domain::account::UserRef;
use crate::domain::event::{PRESENCE_TTL_MS, ServerFrame};
use crate::domain::message::Message;
use crate::domain::sidebar::SidebarRoom;
use crate::domain::{RoomId, SessionId, UserId};
use axum::extract::ws::Utf8Bytes;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Frames waiting for one tab at most; about 100 kB of ordinary messages.
pub const QUEUE: usize = 256;
/// How long somebody stays present after their last tab has gone: a page load is no departure
/// (Campfire waits as long).
pub const LEAVING: Duration = Duration::from_secs(5);

/// People announced in one sweep; a fraction of a tab's queue.
const ANNOUNCEMENTS: usize = 50;
/// Tabs of one user at once. Beyond, new ones are refused while limits are on.
pub const MAX_TABS: usize = 20;

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server is about to restart.
    Restart,
    /// The tab did not keep up.
    Slow,
    /// Its session has ended.
    SignedOut,
    /// Nothing was heard from it for a minute.
    Silent,
    /// It said too much.
    Flood,
}

impl Ending {
    /// The `reason` of the goodbye.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Slow => "slow",
            Self::SignedOut => "signed_out",
            Self::Silent => "silent",
            Self::Flood => "flood",
        }
    }
}

/// One tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// How long this connection should wait before it comes back: tabs that leave together must
    /// not return together.
    pub fn retry_ms(self) -> u32 {
        // A stride prime to the range visits every value, all within the page's patience.
        let spread = self.0.wrapping_mul(389) % 1_000;
        250 + u32::try_from(spread).unwrap_or(0)
    }
}

/// A tab's end of its connection.
#[derive(Debug)]
pub struct Registered {
    /// Its name.
    pub id: ConnectionId,
    /// Frames for it.
    pub frames: mpsc::Receiver<Utf8Bytes>,
    /// Fires when it must end.
    pub ending: oneshot::Receiver<Ending>,
}

/// All tabs.
#[derive(Debug, Default)]
pub struct Connections {
    registry: Mutex<Registry>,
}

#[derive(Debug, Default)]
struct Registry {
    last_id: u64,
    // All keys here are ids that the server gives out itself, so a fast hash is safe.
    tabs: FxHashMap<ConnectionId, Tab>,
    /// Who is here, with the rooms they are members of; written at their first connection and by
    /// committed grants, dropped when they leave.
    users: FxHashMap<UserId, Present>,
    watching: FxHashMap<RoomId, FxHashSet<ConnectionId>>,
    presence: Presence,
    /// Everybody present, by name; forgotten whenever somebody comes or goes, because sorting a
    /// thousand names for every page costs more than the page.
    online: Option<Arc<[UserRef]>>,
    /// Who came or went and has not been announced yet.
    announcements: VecDeque<(UserId, String, bool)>,
}

#[derive(Debug)]
struct Tab {
    /// Has said hello: before that it is told nothing, and the welcome tells it everything.
    greeted: bool,
    user_id: UserId,
    session_id: SessionId,
    room_id: Option<RoomId>,
    frames: mpsc::Sender<Utf8Bytes>,
    ending: oneshot::Sender<Ending>,
}

#[derive(Debug)]
struct Present {
    name: String,
    rooms: FxHashSet<RoomId>,
    tabs: FxHashSet<ConnectionId>,
}

impl Connections {
    /// Adds a tab. Everybody learns that its user is online, if they were not.
    pub fn register(&self, user: &UserRef, session_id: SessionId) -> Registered {
        let mut registry = self.lock();
        registry.last_id += 1;
        let id = ConnectionId(registry.last_id);
        let (frames, frames_here) = mpsc::channel(QUEUE);
        let (ending, ending_here) = oneshot::channel();
        let user_id = user.id;
        let tab = Tab { greeted: false, user_id, session_id, room_id: None, frames, ending };
        registry.tabs.insert(id, tab);
        let (name, rooms, tabs) = (user.name.clone(), <_>::default(), <_>::default());
        let present = registry.users.entry(user_id).or_insert(Present { name, rooms, tabs });
        present.tabs.insert(id);
        if registry.presence.connect(user_id, Instant::now()) {
            registry.announcements.push_back((user_id, user.name.clone(), true));
            registry.online = None;
        }
        metrics::gauge!("campfire_connections").set(count(registry.tabs.len()));
        Registered { id, frames: frames_here, ending: ending_here }
    }

    /// Removes a tab. Its user stays present for a moment.
    pub fn unregister(&self, id: ConnectionId) {
        let mut registry = self.lock();
        registry.remove(id);
        metrics::gauge!("campfire_connections").set(count(registry.tabs.len()));
    }

    /// A tab has said hello: frames queue up for it from now on.
    pub fn greet(&self, id: ConnectionId) {
        if let Some(tab) = self.lock().tabs.get_mut(&id) {
            tab.greeted = true;
        }
    }

    /// How many tabs a user has open.
    pub fn tabs_of(&self, user_id: UserId) -> usize {
        self.lock().users.get(&user_id).map_or(0, |present| present.tabs.len())
    }

    /// Names rooms a user is a member of, so that activity in them reaches every tab of theirs.
    /// Adds to what is known: a grant that was committed meanwhile must not be undone.
    pub fn add_rooms(&self, user_id: UserId, rooms: impl IntoIterator<Item = RoomId>) {
        if let Some(present) = self.lock().users.get_mut(&user_id) {
            present.rooms.extend(rooms);
        }
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
        self.lock().presence.refresh(user_id, Instant::now());
    }

    /// Who is online, by name.
    pub fn online(&self) -> Arc<[UserRef]> {
        let mut registry = self.lock();
        if let Some(online) = &registry.online {
            return Arc::clone(online);
        }
        let present = registry.users.iter().filter(|(id, _)| registry.presence.is_online(**id));
        let named = |(id, here): (&UserId, &Present)| UserRef { id: *id, name: here.name.clone() };
        let mut online: Vec<UserRef> = present.map(named).collect();
        online.sort_by_cached_key(|user| (user.name.to_lowercase(), user.id));
        Arc::clone(registry.online.insert(online.into()))
    }

    /// Tells a room that somebody writes (or stopped), all but their own tabs.
    pub fn typing(&self, room_id: RoomId, user: &UserRef, active: bool) {
        let mut registry = self.lock();
        // By the name they have now; a tab may have been opened under another.
        let name = registry.users.get(&user.id).map_or(&user.name, |present| &present.name);
        let now = UserRef { id: user.id, name: name.clone() };
        let to = registry.watchers(room_id).filter(|(_, owner)| *owner != user.id);
        let to: Vec<_> = to.map(|(id, _)| id).collect();
        if let Some(bytes) = encode(&ServerFrame::Typing { room_id, user: now, active }) {
            registry.send(to, &bytes);
        }
    }

    /// Tells everybody concerned what the writer has committed.
    pub fn publish(&self, event: &Event) {
        match event {
            Event::MessageCreated(message) => self.publish_created(message),
            Event::MessageUpdated(message) => {
                let (room_id, message) = (message.room_id, Arc::clone(message));
                self.publish_to_room(room_id, &ServerFrame::MessageUpdated { message });
            }
            Event::MessageDeleted { message, .. } => {
                let (room_id, message) = (message.room_id, Arc::clone(message));
                self.publish_to_room(room_id, &ServerFrame::MessageDeleted { message });
            }
            Event::RoomRead { user_id, room_id, message_id } => {
                let frame = ServerFrame::Read { room_id: *room_id, message_id: *message_id };
                let mut registry = self.lock();
                let tabs = registry.users.get(user_id).map(|present| present.tabs.clone());
                if let Some(bytes) = encode(&frame) {
                    registry.send(tabs.into_iter().flatten(), &bytes);
                }
            }
            Event::RoomOpened { room } => {
                let (id, name, kind) = (room.id, room.name.clone(), room.kind);
                let room = SidebarRoom { id, name, kind, last_message_id: None, unread: false };
                let mut registry = self.lock();
                for present in registry.users.values_mut() {
                    present.rooms.insert(id);
                }
                registry.tell_all(&ServerFrame::Room { room });
            }
            Event::SessionEnded { id, .. } => self.end_session(*id),
            Event::UserChanged { viewer } => self.rename(viewer.as_author()),
            Event::AccountChanged { account } => {
                self.lock().tell_all(&ServerFrame::Account { name: account.name.clone() });
            }
            Event::AccountCreated { .. }
            | Event::UserJoined { .. }
            | Event::SessionBegan { .. }
            | Event::SessionUsed { .. } => {}
        }
    }

    /// Shows somebody by the name they have now, here and on every screen.
    fn rename(&self, user: UserRef) {
        let mut registry = self.lock();
        if let Some(present) = registry.users.get_mut(&user.id) {
            present.name.clone_from(&user.name);
            registry.online = None;
        }
        registry.tell_all(&ServerFrame::Person { user });
    }

    /// Ends every tab of a session.
    fn end_session(&self, session_id: SessionId) {
        let mut registry = self.lock();
        let of_session =
            |(id, tab): (&ConnectionId, &Tab)| (tab.session_id == session_id).then_some(*id);
        for id in registry.tabs.iter().filter_map(of_session).collect::<Vec<_>>() {
            registry.end(id, Ending::SignedOut);
        }
    }

    /// Forgets whoever has left or fallen silent, and tells everybody who came and went. Call it
    /// every second: a thousand people who come at once are announced over some seconds, because
    /// as many frames in one instant would overflow the queues of all of them.
    pub fn sweep(&self) {
        let mut registry = self.lock();
        for (user_id, why) in registry.presence.sweep(Instant::now()) {
            let Some(present) = registry.users.remove(&user_id) else {
                continue;
            };
            if why == Departure::Silent {
                Gap::SharedPresence.record("a silent user was removed");
            }
            for id in present.tabs {
                registry.end(id, Ending::Silent);
            }
            registry.announcements.push_back((user_id, present.name, false));
            registry.online = None;
        }
        let now = registry.announcements.len().min(ANNOUNCEMENTS);
        let due: Vec<_> = registry.announcements.drain(..now).collect();
        let online_count = registry.users.len();
        for (user_id, name, online) in due {
            // Whoever came and went again in the meantime is announced as they are now.
            if registry.presence.is_online(user_id) == online {
                registry.tell_all(&ServerFrame::Presence { user_id, name, online, online_count });
            }
        }
    }

    fn publish_created(&self, message: &Arc<Message>) {
        let created = ServerFrame::MessageCreated { message: Arc::clone(message) };
        let (room_id, message_id) = (message.room_id, message.id);
        let activity = ServerFrame::RoomActivity { room_id, message_id };
        let (Some(created), Some(activity)) = (encode(&created), encode(&activity)) else {
            return;
        };
        let mut registry = self.lock();
        let watchers: Vec<_> = registry.watchers(room_id).map(|(id, _)| id).collect();
        // A member's other tabs learn that there is something; the author's have said it.
        let elsewhere = |id: &ConnectionId| {
            registry.tabs.get(id).is_some_and(|tab| tab.room_id != Some(room_id))
        };
        let others: Vec<ConnectionId> = registry
            .users
            .iter()
            .filter(|(id, present)| **id != message.creator.id && present.rooms.contains(&room_id))
            .flat_map(|(_, present)| present.tabs.iter().copied())
            .filter(elsewhere)
            .collect();
        if watchers.is_empty() && others.is_empty() {
            Gap::NoConnections.record("a message found nobody online");
        }
        registry.send(watchers, &created);
        registry.send(others, &activity);
    }

    fn publish_to_room(&self, room_id: RoomId, frame: &ServerFrame) {
        let mut registry = self.lock();
        let watchers: Vec<_> = registry.watchers(room_id).map(|(id, _)| id).collect();
        if let Some(bytes) = encode(frame) {
            registry.send(watchers, &bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    fn watchers(&self, room_id: RoomId) -> impl Iterator<Item = (ConnectionId, UserId)> {
        let tabs = self.watching.get(&room_id).into_iter().flatten();
        tabs.filter_map(|id| self.tabs.get(id).map(|tab| (*id, tab.user_id)))
    }

    /// Queues bytes for tabs; whoever's queue is full is cut.
    fn send(&mut self, to: impl IntoIterator<Item = ConnectionId>, bytes: &Utf8Bytes) {
        let mut slow = Vec::new();
        for id in to {
            if let Some(tab) = self.tabs.get(&id)
                && tab.greeted
                && tab.frames.try_send(bytes.clone()).is_err()
            {
                slow.push(id);
            }
        }
        if !slow.is_empty() {
            Gap::PartialBroadcast.record("slow tabs were cut; they catch up by cursor");
        }
        for id in slow {
            Gap::ConnectionFailure.record("a tab did not keep up");
            self.end(id, Ending::Slow);
        }
    }

    fn tell_all(&mut self, frame: &ServerFrame) {
        if let Some(bytes) = encode(frame) {
            let all: Vec<ConnectionId> = self.tabs.keys().copied().collect();
            self.send(all, &bytes);
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
        }
        self.presence.disconnect(tab.user_id, Instant::now());
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
pub fn encode(frame: &ServerFrame) -> Option<Utf8Bytes> {
    match serde_json::to_string(frame) {
        Ok(json) => Some(json.into()),
        Err(error) => {
            Gap::WireFormat.record("a frame could not be encoded");
            tracing::error!(%error, "a frame could not be encoded");
            None
        }
    }
}

fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::MAX, f64::from)
}

/// Why somebody is no longer present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Their last tab went a moment ago.
    Left,
    /// Nothing was heard from any of their tabs for a minute.
    Silent,
}

/// Counts the connections of each user. Never below zero; tabs count independently; a user who
/// was not heard of for [`PRESENCE_TTL_MS`] is gone whatever the count says.
#[derive(Debug, Default)]
pub struct Presence {
    users: HashMap<UserId, Count>,
}

#[derive(Debug)]
struct Count {
    connections: usize,
    last_heard: Instant,
}

impl Presence {
    /// One more connection. True if the user was not present.
    pub fn connect(&mut self, user_id: UserId, now: Instant) -> bool {
        let new = !self.users.contains_key(&user_id);
        let count = self.users.entry(user_id).or_insert(Count { connections: 0, last_heard: now });
        count.connections += 1;
        count.last_heard = now;
        new
    }

    /// One connection less.
    pub fn disconnect(&mut self, user_id: UserId, now: Instant) {
        if let Some(count) = self.users.get_mut(&user_id) {
            count.connections = count.connections.saturating_sub(1);
            if count.connections == 0 {
                count.last_heard = now;
            }
        }
    }

    /// Something was heard.
    pub fn refresh(&mut self, user_id: UserId, now: Instant) {
        if let Some(count) = self.users.get_mut(&user_id) {
            count.last_heard = now;
        }
    }

    /// Whether the user is present.
    pub fn is_online(&self, user_id: UserId) -> bool {
        self.users.contains_key(&user_id)
    }

    /// Removes and returns whoever has left or fallen silent.
    pub fn sweep(&mut self, now: Instant) -> Vec<(UserId, Departure)> {
        let mut gone = Vec::new();
        self.users.retain(|user_id, count| {
            let silence = now.duration_since(count.last_heard);
            let why = match count.connections {
                0 if silence >= LEAVING => Some(Departure::Left),
                _ if silence >= Duration::from_millis(PRESENCE_TTL_MS) => Some(Departure::Silent),
                _ => None,
            };
            gone.extend(why.map(|why| (*user_id, why)));
            why.is_none()
        });
        gone
    }
}
