//! What whoever runs the server sets, and what they see.
//!
//! Every setting stands here with its variable, default and unit. They are read once, at start;
//! nothing else in the program looks at the environment, and a start without any configuration
//! works. Limits stand here as well: the allowances that one of the settings switches off, and the
//! map that bounds what is kept in memory of what can be looked up again.
//!
//! A *gap* is a place where a chat like this can lose, double or delay something. Each has an id,
//! a severity and a sentence about its impact; [`Gap::record`] writes one structured event and
//! adds to one counter. Normal operation (a repeated send, nobody online) is info, not an alarm.
//! Message text, tokens and addresses are never logged.

use crate::domain::error::Error;
use crate::domain::{Timestamp, UserId};
use clap::{Parser, Subcommand, ValueEnum};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rustc_hash::FxHashMap;
use std::fs::{File, TryLockError};
use std::hash::Hash;
use std::io::IsTerminal;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format;

/// What `--version` says. A debug build says so, because it must not be measured or deployed.
const VERSION: &str = if cfg!(debug_assertions) {
    concat!(env!("CARGO_PKG_VERSION"), " (debug)")
} else {
    env!("CARGO_PKG_VERSION")
};

/// A self-hosted team chat in one binary.
#[derive(Clone, Debug, Parser)]
#[command(name = "campfire", version = VERSION, about)]
pub struct Config {
    /// What to do; `serve` when left out.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Address to listen on. Port 0 takes a free one; the first line on standard output says
    /// which.
    #[arg(long, env = "CAMPFIRE_ADDR", default_value = "127.0.0.1:3000", global = true)]
    pub addr: SocketAddr,

    /// Folder of the database and everything else that is stored.
    #[arg(long, env = "CAMPFIRE_DATA", default_value = "./storage", global = true)]
    pub data: PathBuf,

    /// The address people type, for example `https://chat.example.com`. With `https` cookies are
    /// restricted to TLS. Without it the `Host` of each request is believed.
    #[arg(long, env = "CAMPFIRE_PUBLIC_URL", value_parser = parse_public_url, global = true)]
    pub public_url: Option<String>,

    /// What an acknowledgement means: `full` is on disk; `normal` survives a crash of the
    /// process, but a power cut may lose the last moments.
    #[arg(long, env = "CAMPFIRE_DURABILITY", default_value = "full", global = true)]
    pub durability: Durability,

    /// Hours without any use after which a session ends.
    #[arg(long, env = "CAMPFIRE_SESSION_HOURS", default_value = "24", global = true)]
    pub session_hours: NonZeroU32,

    /// Log filter, for example `info` or `campfire=debug`. Append `,json` for JSON lines.
    #[arg(long, env = "CAMPFIRE_LOG", default_value = "info", global = true)]
    pub log: String,

    /// Addresses of reverse proxies whose `X-Forwarded-For` is believed, separated by commas.
    #[arg(long, env = "CAMPFIRE_TRUSTED_PROXIES", value_delimiter = ',', global = true)]
    pub trusted_proxies: Vec<IpAddr>,

    /// `off` removes every rate limit. For tests and benchmarks.
    #[arg(long, env = "CAMPFIRE_LIMITS", default_value = "on", global = true)]
    pub limits: Limits,
}

/// What the program is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Serve the chat until SIGTERM or Ctrl-C.
    Serve,
}

/// What an acknowledgement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// Every commit is synced to disk before it is acknowledged.
    Full,
    /// Commits are synced at checkpoints.
    Normal,
}

/// Whether rate limits apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Limits {
    /// They apply.
    On,
    /// They do not.
    Off,
}

impl Config {
    /// Whether people reach this server over TLS, as far as the configuration knows.
    pub fn is_public_over_tls(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }
}

/// Accepts an origin and nothing more, in the form browsers send it.
fn parse_public_url(text: &str) -> Result<String, String> {
    let url = text.trim().trim_end_matches('/').to_lowercase();
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']) => Ok(url),
        _ => Err("give scheme and host only, for example https://chat.example.com".to_owned()),
    }
}

/// Why the server could not start, in a sentence an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be created or written.
    #[error("the data folder {folder} cannot be used: {cause}")]
    DataFolder {
        /// The folder.
        folder: String,
        /// What the system says.
        cause: std::io::Error,
    },
    /// Another process has the data folder.
    #[error("another campfire is already running on the data folder {0}; stop it first")]
    DataInUse(String),
    /// The database cannot be opened.
    #[error("the database in {folder} cannot be opened: {cause}")]
    Database {
        /// The folder.
        folder: String,
        /// What SQLite says.
        cause: sqlx::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {cause}. Choose another address with CAMPFIRE_ADDR")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The database opens but does not answer.
    #[error("the database cannot be read; the log says why")]
    Unreadable,
    /// The operating system's random generator gives nothing.
    #[error("the operating system gives no random numbers")]
    Random,
}

/// Creates the data folder and keeps every other process out of it.
pub(super) fn lock_data_folder(config: &Config) -> Result<File, StartError> {
    let folder = config.data.display().to_string();
    let unusable = |cause| StartError::DataFolder { folder: folder.clone(), cause };
    // For our own eyes: everything people say is in there.
    let mut create = std::fs::DirBuilder::new();
    create.recursive(true).mode(0o700).create(&config.data).map_err(unusable)?;
    let lock = File::create(config.data.join("campfire.lock")).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StartError::DataInUse(folder)),
        Err(TryLockError::Error(cause)) => Err(unusable(cause)),
    }
}

/// What anybody may do in a while; allowances grow back. Shared by all requests.
#[derive(Debug)]
pub struct Allowances {
    /// Sign-ins, joins, first runs and used links of one address: 10 in three minutes.
    by_ip: DefaultKeyedRateLimiter<IpAddr>,
    /// Passwords tried for one account: 10 in three minutes.
    by_email: DefaultKeyedRateLimiter<String>,
    /// Messages of one user: 10 a second, bursts of 30.
    posts: DefaultKeyedRateLimiter<UserId>,
    /// Rooms of one user: 20 in ten minutes.
    rooms: DefaultKeyedRateLimiter<UserId>,
    /// Links of one user, and other changes of who may come in: 30 in ten minutes.
    links: DefaultKeyedRateLimiter<UserId>,
}

impl Allowances {
    /// Fresh allowances, if limits are on.
    pub fn new(config: &Config) -> Option<Self> {
        (config.limits == Limits::On).then(|| Self {
            by_ip: RateLimiter::keyed(per(Duration::from_secs(180), 10)),
            by_email: RateLimiter::keyed(per(Duration::from_secs(180), 10)),
            posts: RateLimiter::keyed(per(Duration::from_secs(3), 30)),
            rooms: RateLimiter::keyed(per(Duration::from_secs(600), 20)),
            links: RateLimiter::keyed(per(Duration::from_secs(600), 30)),
        })
    }

    /// Takes one guess from an address.
    pub fn guess_from(&self, ip: IpAddr) -> Result<(), Error> {
        allow(&self.by_ip, &neighbourhood(ip))
    }

    /// Takes one guess at an account.
    pub fn guess_at(&self, email_address: &str) -> Result<(), Error> {
        allow(&self.by_email, &email_address.to_owned())
    }

    /// Takes one message.
    pub fn post(&self, user_id: UserId) -> Result<(), Error> {
        allow(&self.posts, &user_id)
    }

    /// Takes one room.
    pub fn room(&self, user_id: UserId) -> Result<(), Error> {
        allow(&self.rooms, &user_id)
    }

    /// Takes one link.
    pub fn link(&self, user_id: UserId) -> Result<(), Error> {
        allow(&self.links, &user_id)
    }

    /// Forgets allowances that have grown back, so that they do not fill memory.
    pub fn sweep(&self) {
        self.by_ip.retain_recent();
        self.by_email.retain_recent();
        self.posts.retain_recent();
        self.rooms.retain_recent();
        self.links.retain_recent();
    }
}

/// IPv6 users own whole networks: a /64 counts as one address.
fn neighbourhood(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// `burst` at once, and as many again within every `time`.
fn per(time: Duration, burst: u32) -> Quota {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(time / burst.get()).map_or(Quota::per_second(burst), |quota| quota.allow_burst(burst))
}

fn allow<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Error> {
    limiter.check_key(key).map_err(|until| {
        let wait = until.wait_time_from(DefaultClock::default().now());
        Error::RateLimited { retry_after_s: wait.as_secs() + 1 }
    })
}

/// A map that forgets what was used longest ago once its contents weigh too much.
#[derive(Debug)]
pub struct Bounded<K, V> {
    entries: FxHashMap<K, Entry<V>>,
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
    pub fn new(max_weight: usize) -> Self {
        Self { entries: FxHashMap::default(), weight: 0, max_weight, tick: AtomicU64::new(0) }
    }

    /// Finds a value, which counts as a use.
    pub fn get(&self, key: &K) -> Option<&V> {
        let entry = self.entries.get(key)?;
        entry.used.store(self.tick.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Some(&entry.value)
    }

    /// Finds a value to change, which counts as none.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Keeps a value instead of the key's old one.
    pub fn insert(&mut self, key: K, value: V, weight: usize) {
        self.remove(&key);
        let used = AtomicU64::new(self.tick.fetch_add(1, Ordering::Relaxed));
        self.entries.insert(key, Entry { value, weight, used });
        self.weight += weight;
        if self.weight > self.max_weight {
            self.forget_older_half();
        }
    }

    /// Forgets a value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.weight -= entry.weight;
        Some(entry.value)
    }

    /// Visits every value.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut().map(|entry| &mut entry.value)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
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

/// The gaps in order, one a line: stable id, severity, impact.
static GAPS: LazyLock<Vec<[&str; 3]>> = LazyLock::new(|| {
    let fields = |line: &'static str| {
        let mut fields = line.split('\t');
        [(); 3].map(|()| fields.next().unwrap_or_default())
    };
    include_str!("gaps.txt").lines().map(fields).collect()
});

/// Declares the gaps by their names, in the order of the table.
macro_rules! gaps {
    ($($gap:ident)*) => {
        /// The founding gaps, by number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each gap is described by its impact")]
        pub enum Gap { $($gap,)* }

        impl Gap {
            /// Every gap, in order.
            pub const ALL: &'static [Self] = &[$(Self::$gap,)*];
        }
    };
}

gaps! {
    FirstRunRace AccountAppearsMeanwhile PartialSetup SetupLeftovers FirstSession JoinCode
    UnsupportedBrowser UserAgent OldBrowser SmallScreen TokenAlgorithm TokenCollision
    SessionRace CookieScope InsecureCookie DuplicateClientId CommitThenBroadcast
    BroadcastFailure BroadcastDeadline SlowDatabase ConnectionRegistry ConnectionFailure
    WireFormat PartialBroadcast NoDeliveryReceipt NoConnections RoomAtomicity ActiveUsers
    MembershipFailure ConcurrentUserCreation GrantAfterCommit LaterUsers DirectSet DirectLookup
    DirectAtomicity DirectConcurrency DuplicateDirectRooms SearchTiming SearchSyntax SearchCache
    SlowSearch SearchStaleness MentionParsing BotDetection BackgroundWork WebhookPayload
    DirectDetection DuplicateWebhook ImportScope ImportLock ImportMapping ImportAtomicity
    ImportRollback ImportValidation ImportCutOver HiddenOrdering EditConflict
    EventualConsistency InternalRegistry ParityConflict ConcurrentSessions SharedPresence
    RequestTime SlowFanOut SlowIndexing MemoryTarget StartupTarget
}

impl Gap {
    fn field(self, at: usize) -> &'static str {
        GAPS.get(self as usize).and_then(|fields| fields.get(at)).copied().unwrap_or_default()
    }

    /// The stable id, for example `GAP_016_DUPLICATE_CLIENT_ID`.
    pub fn id(self) -> &'static str {
        self.field(0)
    }

    /// How bad it is for people: `Critical` (the chat cannot be used), `High` (something stored
    /// may be wrong), `Medium` (something is slow), `Low` (less pleasant, or worth counting).
    pub fn severity(self) -> &'static str {
        self.field(1)
    }

    /// What people would notice.
    pub fn user_impact(self) -> &'static str {
        self.field(2)
    }

    /// Notes that the gap was met: one log event, one count. `context` says where, in words that
    /// name nobody and quote nothing.
    pub fn record(self, context: &str) {
        metrics::counter!("campfire_gaps_total", "gap" => self.id()).increment(1);
        let (id, impact) = (self.id(), self.user_impact());
        if self.is_normal_operation() {
            tracing::debug!(gap.id = id, context, impact, "gap met");
        } else {
            tracing::warn!(gap.id = id, severity = %self.severity(), context, impact, "gap met");
        }
    }

    /// Counted, but nothing anybody has to look at.
    fn is_normal_operation(self) -> bool {
        matches!(
            self,
            Self::DuplicateClientId
                | Self::NoConnections
                | Self::ConnectionFailure
                | Self::EventualConsistency
                | Self::EditConflict
                | Self::FirstRunRace
                | Self::AccountAppearsMeanwhile
                | Self::WireFormat
        )
    }
}

/// The process's counters, for `/metrics`. Installed once; every gap starts at zero so that an
/// operator sees what is watched, not only what has happened.
pub fn metrics() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let handle = PrometheusBuilder::new().install_recorder();
            let handle = handle.inspect_err(|error| tracing::warn!(%error, "no metrics")).ok();
            for gap in Gap::ALL {
                metrics::counter!("campfire_gaps_total", "gap" => gap.id()).absolute(0);
            }
            handle
        })
        .as_ref()
}

/// Starts logging to standard error. `filter` is a tracing filter; with `,json` at its end every
/// line is JSON. A filter that makes no sense falls back to `info`.
pub fn start_logging(filter: &str) {
    let (filter, json) = match filter.strip_suffix(",json") {
        Some(filter) => (filter, true),
        None => (filter, false),
    };
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Colours are for people who watch, not for files; there, looking for them costs a third of a line.
    let watched = std::io::stderr().is_terminal();
    let plain = format::debug_fn(|line, field, value| match field.name() {
        "message" => write!(line, "{value:?}"),
        name => write!(line, "{name}={value:?}"),
    });
    // A second subscriber (in tests) is refused; the first one stays, which is all we need.
    let _started = match (json, watched) {
        (true, _) => builder.with_ansi(watched).json().try_init(),
        (false, true) => builder.try_init(),
        (false, false) => builder.with_ansi(false).fmt_fields(plain.delimited(" ")).try_init(),
    };
}

/// The only source of the time of day; tests bring their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The computer's clock.
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
        Self::new(|| Timestamp::from_ms(chrono::Utc::now().timestamp_millis()))
    }

    /// A clock that tells whatever `now` says.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}
