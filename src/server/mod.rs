//! What happens: the running server, its parts and their order of life.
//!
//! [`App`] is a handle and is cloned freely. [`start`] opens everything and returns once
//! the address is bound; [`Running::finish`] drains: no new connections, a goodbye to every tab,
//! requests under way finish, the writer empties its queue, the WAL is folded in. No acknowledged
//! message depends on that order, only courtesy does.

pub mod auth;
pub mod connections;
pub mod http;
mod markdown;
pub mod operation;
pub mod rich_text;
pub mod socket;
pub mod store;
pub mod writer;

use crate::domain::account::{Status, Viewer};
use crate::domain::error::Error;
use crate::domain::message::Draft;
use crate::domain::room::{RoomKind, SidebarRoom, sidebar_room};
use crate::domain::{MessageId, RoomId, Seq, UserId};
use auth::Auth;
use connections::Connections;
use http::pages::FinishedPages;
pub use operation::{Clock, StartError};
use operation::{Config, Gap, Limits, lock_data_folder};
use rich_text::{Known, Rendered};
use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::messages::{Position, RoomWithPage};
use store::search::{Nameable, Place};
use store::{Account, Store};
use tikv_jemallocator::Jemalloc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use writer::Writer;
use writer::hot::{Hot, Lookup};
use writer::people::TheirMessages;

/// A page is put together from over a thousand small pieces; a first one costs a seventh less with this
/// allocator than with the system's (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Asks everything that runs in the background to stop.
pub type Stop = CancellationToken;

/// Requests and sockets get this long to finish when the server stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How often presence is swept.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Expired sessions and spent allowances are forgotten this many sweeps apart.
const SWEEPS_PER_CLEANING: u32 = 600;
/// Founding target for a start.
const STARTUP_TARGET: Duration = Duration::from_millis(100);

/// Messages that one command of a [`Chore`] changes.
const AT_ONCE: u32 = 100;
/// Between two such commands, so that everybody else's come in between.
const CHORE_PAUSE: Duration = Duration::from_millis(50);

/// Work on many messages. The wish is stored, so it goes on after a restart.
#[derive(Clone, Copy, Debug)]
enum Chore {
    /// The messages of somebody who is banned go.
    Remove,
    /// Mentions of somebody show the name they have now.
    Rename,
}

/// Every part of the running server. A handle: axum clones it several times for each request.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What [`App`] leads to.
#[derive(Debug)]
pub struct Parts {
    /// The settings.
    pub config: Arc<Config>,
    /// The readers.
    pub store: Store,
    /// The way to the only task that writes.
    pub writer: Writer,
    /// What most requests need.
    pub hot: Arc<Hot>,
    /// Every tab.
    pub connections: Arc<Connections>,
    /// Who is asking.
    pub auth: Auth,
    /// Room pages that were made before.
    pub pages: Arc<FinishedPages>,
    /// The time.
    pub clock: Clock,
    /// Names the database.
    pub incarnation: Arc<str>,
    /// Sockets and background work, awaited at the end.
    pub tracker: TaskTracker,
    /// Fires when the server is stopping; sockets say goodbye.
    pub stop: Stop,
}

impl App {
    /// The account, once first run is done: from memory, else one read.
    pub async fn find_account(&self) -> Result<Option<Arc<Account>>, Error> {
        if let Some(account) = self.hot.account() {
            return Ok(Some(account));
        }
        let ticket = self.hot.ticket();
        let account = self.store.find_account().await?.map(Arc::new);
        if let Some(account) = &account {
            self.hot.fill_account(ticket, account);
        }
        Ok(account)
    }

    /// The rooms of a viewer's sidebar, by name: from memory, else one read.
    pub async fn load_sidebar(&self, viewer: UserId) -> Result<Vec<SidebarRoom>, Error> {
        let mut rooms = self.load_rooms(viewer).await?;
        rooms.retain(SidebarRoom::is_shown);
        Ok(rooms)
    }

    /// Every room of a viewer's, by name, those that are not shown included: from memory, else one
    /// read.
    pub async fn load_rooms(&self, viewer: UserId) -> Result<Vec<SidebarRoom>, Error> {
        let mut rooms = match self.hot.rooms(viewer) {
            Some(rooms) => rooms,
            None => {
                let ticket = self.hot.ticket();
                let read = self.store.list_viewer_rooms(viewer).await?;
                self.hot.fill_rooms(ticket, viewer, &read);
                read.rooms.iter().map(|(head, own)| sidebar_room(head, own, viewer)).collect()
            }
        };
        self.connections.mark_online(&mut rooms);
        rooms.sort_by_cached_key(|entry| (entry.name.to_lowercase(), entry.id));
        Ok(rooms)
    }

    /// One room of a viewer's as their sidebar knows it: from memory, else one read.
    pub async fn find_room(&self, viewer: UserId, room_id: RoomId) -> Result<Option<SidebarRoom>, Error> {
        let mut entry = match self.hot.room(viewer, room_id) {
            Lookup::Found(entry) => entry,
            Lookup::Absent => return Ok(None),
            Lookup::Unknown => match self.store.find_viewer_room(viewer, room_id).await? {
                Some((head, own)) => sidebar_room(&head, &own, viewer),
                None => return Ok(None),
            },
        };
        self.connections.mark_online(std::slice::from_mut(&mut entry));
        Ok(Some(entry))
    }

    /// Renders what somebody writes. People and rooms are looked up only if any are named.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a stranger who names anybody; [`Error::Unavailable`].
    pub async fn render(&self, viewer: &Viewer, place: Place, draft: &Draft) -> Result<Rendered, Error> {
        let mut named = Nameable::default();
        if rich_text::may_mention(draft) {
            named = self.store.list_names(viewer.id, place).await?;
            if named.people.is_empty() {
                return Err(Error::NotFound);
            }
        } else if rich_text::may_link_rooms(draft) {
            let mut rooms = self.load_rooms(viewer.id).await?;
            rooms.retain(|entry| entry.kind == RoomKind::Open);
            named.rooms = rooms.into_iter().map(|entry| (entry.id, entry.name)).collect();
        }
        let everyone = named.is_creator || viewer.may_administer();
        Ok(rich_text::render(draft, &Known { people: &named.people, everyone, rooms: &named.rooms }))
    }

    /// Whether a viewer is in a room: from memory, else one read.
    pub async fn is_member(&self, viewer: UserId, room_id: RoomId) -> Result<bool, Error> {
        if let Some(known) = self.hot.is_member(viewer, room_id) {
            return Ok(known);
        }
        let nothing = Position::Since(Seq::new(i64::MAX));
        Ok(self.store.find_page(viewer, room_id, nothing, 0).await?.is_some())
    }

    /// A room of the viewer's with some of its messages: the newest from memory if it is warm,
    /// else one read.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a room that does not exist or is not theirs;
    /// [`Error::Unavailable`]; [`Error::Unexpected`] for an unreadable row.
    pub async fn load_page(
        &self,
        viewer: UserId,
        room_id: RoomId,
        position: Position,
        limit: usize,
    ) -> Result<RoomWithPage, Error> {
        let newest = position == Position::Newest;
        if newest {
            match self.hot.newest_page(viewer, room_id, limit) {
                Lookup::Found(found) => return Ok(found),
                Lookup::Absent => return Err(Error::NotFound),
                Lookup::Unknown => {}
            }
        }
        let ticket = self.hot.ticket();
        let read = self.store.find_page(viewer, room_id, position, limit).await?;
        let read = read.ok_or(Error::NotFound)?;
        if newest && limit == crate::domain::message::PAGE_SIZE {
            self.hot.fill_tail(ticket, &read);
            // Whoever comes next sees the same messages, not equal ones: cheaper to keep and to
            // compare.
            if let Lookup::Found(shared) = self.hot.newest_page(viewer, room_id, limit) {
                return Ok(shared);
            }
        }
        Ok(read)
    }
}

impl App {
    /// Bans somebody and removes their messages in the background. It goes on when the caller goes
    /// away, and after a restart: the wish is stored.
    ///
    /// # Errors
    /// Those of [`Writer::change_status`].
    pub async fn ban_and_remove(&self, viewer: UserId, user_id: UserId) -> Result<(), Error> {
        let app = self.clone();
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.tracker.spawn(async move {
            let wish = (Status::Banned, TheirMessages::Go);
            let banned = app.writer.change_status(viewer, user_id, wish).await;
            let goes_on = banned.is_ok();
            // Whoever asked may have gone away; the ban stands all the same.
            let _gone = reply.send(banned);
            if goes_on {
                app.work_through(Chore::Remove, user_id).await;
            }
        });
        // The task counts for no request: its one call belongs to this one.
        store::count_statement();
        answer.await.map_err(|_| Error::WriterUnavailable)?
    }

    /// Has mentions of somebody follow their new name, in the background.
    pub fn rename_mentions_of(&self, user_id: UserId) {
        let app = self.clone();
        self.tracker.spawn(async move { app.work_through(Chore::Rename, user_id).await });
    }

    /// Does a chore, a bounded number of messages at a time, found beside the writer. Ends early
    /// when the server stops or it is not wanted any more.
    async fn work_through(&self, chore: Chore, user_id: UserId) {
        let mut after = MessageId::new(0);
        while !self.stop.is_cancelled() {
            let found = match chore {
                Chore::Remove => self.store.list_message_ids_of(user_id, after, AT_ONCE).await,
                Chore::Rename => self.store.list_messages_naming(user_id, after, AT_ONCE).await,
            };
            let done = match found {
                Ok(ids) => {
                    let last = ids.last().copied();
                    let written = match chore {
                        Chore::Remove => self.writer.remove_messages_of(user_id, ids).await,
                        Chore::Rename => self.writer.rename_mentions(user_id, ids).await,
                    };
                    written.map(|()| last)
                }
                Err(error) => Err(error),
            };
            match done {
                Ok(Some(last)) => after = last,
                Ok(None) | Err(Error::NotFound | Error::WriterUnavailable) => return,
                Err(error) => tracing::warn!(%error, ?chore, "a chore failed; trying again"),
            }
            tokio::time::sleep(CHORE_PAUSE).await;
        }
    }

    /// Takes up the chores that the last stop interrupted.
    async fn resume_chores(self) {
        let losing = self.store.list_users_losing_messages().await;
        let renamed = self.store.list_renamed_users().await;
        for (chore, users) in [(Chore::Remove, losing), (Chore::Rename, renamed)] {
            if let Err(error) = &users {
                tracing::error!(%error, ?chore, "interrupted work was not resumed");
            }
            for user_id in users.unwrap_or_default() {
                self.work_through(chore, user_id).await;
            }
        }
    }
}

/// A server that is listening.
#[derive(Debug)]
pub struct Running {
    /// Where.
    pub addr: SocketAddr,
    /// Its parts.
    pub app: App,
    stop: Stop,
    last_write: Stop,
    serving: JoinHandle<()>,
    writing: JoinHandle<()>,
    /// Held until the end: nobody else may use the data folder meanwhile.
    _lock: File,
}

/// Opens the data folder, binds the address and serves in the background.
///
/// # Errors
/// [`StartError`]; nothing is left running.
pub async fn start(config: Config, clock: Clock) -> Result<Running, StartError> {
    let started = std::time::Instant::now();
    let lock = lock_data_folder(&config)?;
    let folder = config.data.display().to_string();
    let incarnation = auth::incarnation().map_err(|_| StartError::Random)?;
    let listener = TcpListener::bind(config.addr)
        .await
        .map_err(|cause| StartError::Listen { addr: config.addr, cause })?;
    let addr = listener.local_addr().map_err(|cause| StartError::Listen { addr: config.addr, cause })?;
    let opened = Store::open(&config.data, config.durability, &incarnation)
        .await
        .map_err(|cause| StartError::Database { folder, cause })?;
    operation::metrics();
    if config.limits == Limits::Off {
        tracing::warn!("RATE LIMITS ARE OFF; use this for tests and benchmarks only");
    }

    let stop = Stop::new();
    let tracker = TaskTracker::new();
    let hot = Arc::new(Hot::new(opened.head.seq));
    let connections = Arc::new(Connections::default());
    let parts = (opened.writing, &opened.head, &opened.store);
    let last_write = Stop::new();
    let (writer, task) = writer::writer(parts, clock.clone(), (Arc::clone(&hot), Arc::clone(&connections)));
    let task = task.until(last_write.clone());
    let writing = tokio::spawn(task.run());
    let auth_parts = (opened.store.clone(), writer.clone(), Arc::clone(&hot));
    let app = App(Arc::new(Parts {
        auth: Auth::new(&config, auth_parts, clock.clone()),
        config: Arc::new(config),
        writer,
        hot,
        connections,
        pages: Arc::default(),
        clock,
        incarnation: opened.head.incarnation.into(),
        tracker: tracker.clone(),
        stop: stop.clone(),
        store: opened.store,
    }));
    let wal = app.store.wal();
    tracker.spawn(store::checkpoint_beside(opened.checkpointing, wal, stop.clone()));
    tracker.spawn(sweep(app.clone(), stop.clone()));
    tracker.spawn(app.clone().resume_chores());

    let serving = tokio::spawn(http::serve(listener, app.clone(), stop.clone()));
    if started.elapsed() > STARTUP_TARGET {
        Gap::StartupTarget.record("a start took over 100 ms");
    }
    // Known before anybody asks: pages need its name. Nothing can have changed meanwhile.
    app.find_account().await.map_err(|_| StartError::Unreadable)?;
    Ok(Running { addr, app, stop, last_write, serving, writing, _lock: lock })
}

impl Running {
    /// Serves until `asked` says stop or the writer dies, then drains. True if the writer ended
    /// in good order.
    pub async fn run_until(mut self, asked: impl Future<Output = ()>) -> bool {
        tokio::select! {
            () = asked => {}
            died = &mut self.writing => {
                tracing::error!(panicked = died.is_err(), "the writer has died; stopping");
                self.stop.cancel();
                return false;
            }
        }
        self.finish().await
    }

    /// Stops in good order: every acknowledged write is on disk in any case. True if everything
    /// ended in time.
    pub async fn finish(self) -> bool {
        let Self { app, stop, last_write, serving, writing, .. } = self;
        stop.cancel();
        app.tracker.close();
        let drained = tokio::time::timeout(DRAIN, async {
            app.tracker.wait().await;
            serving.await
        });
        if drained.await.is_err() {
            tracing::warn!("some requests did not finish in time");
        }
        app.store.close().await;
        // Not by dropping handles: a request that never ends would keep one for ever.
        last_write.cancel();
        tokio::time::timeout(DRAIN, writing).await.is_ok_and(|ended| ended.is_ok())
    }
}

/// Removes what deleted rooms have left behind. Whatever stops it, the next cleaning goes on.
pub async fn remove_leftovers(app: App) {
    if let Err(error) = app.writer.remove_leftovers().await {
        tracing::warn!(%error, "messages of deleted rooms were not removed");
    }
}

/// Presence by the second; sessions and allowances every ten minutes.
async fn sweep(app: App, stop: Stop) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    let mut sweeps: u32 = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        app.connections.sweep();
        if let Some(metrics) = operation::metrics() {
            // Samples gather until somebody folds them in, asked for or not.
            metrics.run_upkeep();
        }
        sweeps = sweeps.wrapping_add(1);
        if sweeps.is_multiple_of(SWEEPS_PER_CLEANING) {
            app.auth.sweep();
            if let Err(error) = app.writer.sweep().await {
                tracing::warn!(%error, "expired sessions were not removed");
            }
            remove_leftovers(app.clone()).await;
        }
    }
}
