//! Which part of which room is on screen: opening rooms, loading history at both ends, going back
//! to the newest message, starting afresh.

use super::browser;
use super::client;
use super::log;
use super::state::Chat;
use crate::domain::event::ClientFrame;
use crate::domain::sidebar::{Sidebar, SidebarRoom};
use crate::domain::timeline::{RETRY_DELAYS_MS, Timeline};
use crate::domain::{RoomId, Seq};
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

/// Rooms whose messages are kept for an instant return.
const MAX_TIMELINES: usize = 20;

impl Chat {
    /// Shows a room: at once if it has been seen before, else as soon as it is loaded.
    pub fn open_room(self, room_id: RoomId) {
        let known =
            self.sidebar.with_untracked(|sidebar| sidebar.room(room_id).map(SidebarRoom::room));
        let Some(room) = known.filter(|_| self.room_id() != Some(room_id)) else {
            return;
        };
        self.stop_editing();
        self.room.set(Some(room));
        self.notice.set(None);
        self.unseen.set(0);
        self.sidebar.update(Sidebar::clear_typing);
        self.draft.set(browser::stored(&self.draft_key(room_id)).unwrap_or_default());
        browser::set_cookie("last_room", &room_id.to_string());
        self.hold_room(room_id);
        self.refresh();
        log::to_newest();
        if self.on(room_id, Timeline::is_loaded) == Some(true) {
            self.watch(room_id);
            self.look_around();
        } else {
            spawn_local(self.start_afresh(room_id));
        }
    }

    /// The reader has scrolled, or there is something else to see: loads what they are about to
    /// reach.
    pub fn look_around(self) {
        let place = log::place();
        self.scrolled(place.near_end);
        if place.near_start && self.has_older.get_untracked() {
            spawn_local(self.load_older());
        } else if place.approaches_end && self.has_newer.get_untracked() {
            spawn_local(self.load_newer());
        }
    }

    /// Loads pages above the window until the reader is no longer close to its top. A page that
    /// does not come is asked for again by the next scroll, not at once.
    async fn load_older(self) {
        let Some(room_id) = self.room_id().filter(|_| !self.loading.get_untracked()) else {
            return;
        };
        self.loading.set(true);
        while let Some(before) = self.on(room_id, Timeline::oldest).flatten()
            && self.room_id() == Some(room_id)
            && log::place().near_start
            && let Ok(page) = client::load_page(room_id, &format!("before={before}")).await
        {
            let replay = self.change(room_id, |timeline| {
                let replay = timeline.merge_older(before, &page);
                timeline.prune_below();
                replay
            });
            self.replay(room_id, replay.flatten());
        }
        self.loaded(room_id);
    }

    /// Loads pages below the window, likewise.
    async fn load_newer(self) {
        let Some(room_id) = self.room_id().filter(|_| !self.loading.get_untracked()) else {
            return;
        };
        self.loading.set(true);
        while let Some(after) = self.on(room_id, Timeline::newest_loaded).flatten()
            && self.room_id() == Some(room_id)
            && log::place().approaches_end
            && let Ok(page) = client::load_page(room_id, &format!("after={after}")).await
        {
            let replay = self.change(room_id, |timeline| {
                let replay = timeline.merge_newer(after, &page);
                timeline.prune_above();
                replay
            });
            self.replay(room_id, replay.flatten());
        }
        self.loaded(room_id);
    }

    /// Loading has ended. A room that was opened meanwhile could not load anything itself.
    fn loaded(self, room_id: RoomId) {
        self.loading.set(false);
        if self.room_id() == Some(room_id) {
            self.scrolled(log::place().near_end);
        } else {
            self.look_around();
        }
    }

    /// Goes to the newest message.
    pub fn jump_to_newest(self) {
        self.unseen.set(0);
        match self.room_id().filter(|_| self.has_newer.get_untracked()) {
            Some(room_id) => spawn_local(async move {
                self.start_afresh(room_id).await;
                log::to_newest();
            }),
            None => log::to_newest(),
        }
    }

    /// The reader has scrolled: `near_end` if the newest loaded message is in sight.
    pub fn scrolled(self, near_end: bool) {
        let away = !near_end || self.has_newer.get_untracked();
        if self.away.get_untracked() != away {
            self.away.set(away);
        }
        if !away {
            self.unseen.set(0);
            self.read_soon();
        }
    }

    /// Makes a place for a room's messages, loaded or not, so that sending can begin at once.
    pub(super) fn hold_room(self, room_id: RoomId) {
        let here = self.room_id();
        self.timelines.update_value(|all| {
            if all.len() >= MAX_TIMELINES {
                all.retain(|id, timeline| Some(*id) == here || !timeline.outgoing().is_empty());
            }
            all.entry(room_id).or_insert_with(|| Timeline::unloaded(room_id));
        });
    }

    /// Loads the newest page in place of what is there. Tried until it works or the room is left:
    /// giving up would leave a hole nobody sees.
    pub(super) async fn start_afresh(self, room_id: RoomId) {
        self.change(room_id, Timeline::wait_for_changes);
        for delay in RETRY_DELAYS_MS.iter().chain(std::iter::repeat(&16_000)) {
            if let Ok(page) = client::load_page(room_id, "").await {
                self.change(room_id, |timeline| {
                    timeline.reset(&page);
                    timeline.wait_for_changes();
                });
                self.watch(room_id);
                if self.room_id() == Some(room_id) {
                    self.look_around();
                }
                return;
            }
            TimeoutFuture::new(*delay).await;
            if self.room_id() != Some(room_id) {
                // Its cursor has not moved, so the next visit begins where this one failed.
                return;
            }
        }
    }

    /// Asks for everything after a cursor again.
    pub(super) fn replay(self, room_id: RoomId, cursor: Option<Seq>) {
        if let Some(cursor) = cursor.filter(|_| self.room_id() == Some(room_id)) {
            self.say(ClientFrame::OpenRoom { room_id, cursor: Some(cursor) });
        }
    }

    fn watch(self, room_id: RoomId) {
        self.replay(room_id, self.on(room_id, Timeline::cursor));
        self.read_soon();
    }
}
