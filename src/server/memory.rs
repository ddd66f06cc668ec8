//! What is only remembered: who is present, as connections counted per user; and a map that is
//! bounded by the weight of its contents, for everything that can be looked up again.
//!
//! Presence knows nothing of sockets, so it is tested with a paused clock. A page load is no
//! departure, and silence is one whatever the count says.

use crate::domain::event::PRESENCE_TTL_MS;
use crate::domain::room::{Involvement, RoomKind};
use crate::domain::{RoomId, UserId};
use rustc_hash::FxHashSet;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long somebody stays present after their last tab has gone: a page load is no departure
/// (Campfire waits as long).
pub const LEAVING: Duration = Duration::from_secs(5);

/// One tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// The connection that was opened as the so many-th.
    pub(super) fn new(count: u64) -> Self {
        Self(count)
    }

    /// How long this connection should wait before it comes back: tabs that leave together must
    /// not return together.
    pub fn retry_ms(self) -> u32 {
        // A stride prime to the range visits every value before repeating one.
        // Within the page's patience, so that a restart shows no banner.
        let spread = self.0.wrapping_mul(389) % 1_000;
        250 + u32::try_from(spread).unwrap_or(0)
    }
}

/// Somebody present, as the registry of connections knows them.
#[derive(Debug)]
pub(super) struct Present {
    /// Their name.
    pub(super) name: String,
    /// Rooms they hear of.
    pub(super) rooms: FxHashSet<RoomId>,
    /// Direct rooms: any of them may have been put away until something is said there, so what
    /// happens in them lets their tabs look how they stand.
    pub(super) directs: FxHashSet<RoomId>,
    /// Their tabs.
    pub(super) tabs: FxHashSet<ConnectionId>,
}

impl Present {
    /// Whether and how this user hears of a room.
    pub(super) fn place(&mut self, room_id: RoomId, (kind, involvement): (RoomKind, Involvement)) {
        let direct = kind == RoomKind::Direct;
        let heard = if direct { &mut self.directs } else { &mut self.rooms };
        if involvement == Involvement::Invisible {
            heard.remove(&room_id);
        } else {
            heard.insert(room_id);
        }
    }
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

/// A map that forgets what was used longest ago once its contents weigh too much.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    entries: HashMap<K, Entry<V>>,
    weight: usize,
    max_weight: usize,
    tick: AtomicU64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: usize,
    used: AtomicU64,
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    /// Holds nothing yet, and never more than `max_weight` for long.
    pub(super) fn new(max_weight: usize) -> Self {
        Self { entries: HashMap::new(), weight: 0, max_weight, tick: AtomicU64::new(0) }
    }

    /// Finds a value, which counts as a use.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let entry = self.entries.get(key)?;
        entry.used.store(self.tick.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Some(&entry.value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Keeps a value instead of the key's old one.
    pub(super) fn insert(&mut self, key: K, value: V, weight: usize) {
        self.remove(&key);
        let used = AtomicU64::new(self.tick.fetch_add(1, Ordering::Relaxed));
        self.entries.insert(key, Entry { value, weight, used });
        self.weight += weight;
        if self.weight > self.max_weight {
            self.forget_older_half();
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.weight -= entry.weight;
        Some(entry.value)
    }

    /// Visits every value.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut().map(|entry| &mut entry.value)
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.weight = 0;
    }

    /// Half at a time, so that a full map is scanned rarely.
    fn forget_older_half(&mut self) {
        let mut ticks: Vec<u64> =
            self.entries.values().map(|entry| entry.used.load(Ordering::Relaxed)).collect();
        let middle = ticks.len() / 2;
        let (_, median, _) = ticks.select_nth_unstable(middle);
        let median = *median;
        self.entries.retain(|_, entry| entry.used.load(Ordering::Relaxed) > median);
        self.weight = self.entries.values().map(|entry| entry.weight).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_map_forgets_what_was_used_longest_ago() {
        let mut map = Bounded::new(10);
        for key in 0..10 {
            map.insert(key, key, 1);
        }
        assert!(map.get(&0).is_some());
        map.insert(10, 10, 1);
        assert!(map.weight <= 10);
        assert!(map.get(&0).is_some(), "recently used");
        assert!(map.get(&1).is_none(), "used longest ago");
        assert!(map.get(&10).is_some(), "just inserted");
    }
}
