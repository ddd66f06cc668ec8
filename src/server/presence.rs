//! Who is present: connections counted per user.
//!
//! Knows nothing of sockets, so it is tested with a paused clock. A page load is no departure, and
//! silence is one whatever the count says.

use crate::domain::event::PRESENCE_TTL_MS;
use crate::domain::room::Involvement;
use crate::domain::{RoomId, UserId};
use rustc_hash::FxHashSet;
use std::collections::HashMap;
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
    /// Direct rooms that they have put away until something is said there.
    pub(super) away: FxHashSet<RoomId>,
    /// Their tabs.
    pub(super) tabs: FxHashSet<ConnectionId>,
}

impl Present {
    /// Where a room stands for this user: heard of, put away, or neither.
    pub(super) fn place(&mut self, room_id: RoomId, (involvement, hidden): (Involvement, bool)) {
        self.rooms.remove(&room_id);
        self.away.remove(&room_id);
        if involvement != Involvement::Invisible {
            (if hidden { &mut self.away } else { &mut self.rooms }).insert(room_id);
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
