//! What whoever runs the server sets, and what they see.
//!
//! Every setting stands here with its variable, default and unit. They are read once, at start;
//! nothing else in the program looks at the environment, and a start without any configuration
//! works. The allowances that one of the settings switches off stand here as well.
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
use std::hash::Hash;
use std::io::IsTerminal;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tracing_subscriber::EnvFilter;

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
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub fn guess_from(&self, ip: IpAddr) -> Result<(), Error> {
        allow(&self.by_ip, &neighbourhood(ip))
    }

    /// Takes one guess at an account.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub fn guess_at(&self, email_address: &str) -> Result<(), Error> {
        allow(&self.by_email, &email_address.to_owned())
    }

    /// Takes one message.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub fn post(&self, user_id: UserId) -> Result<(), Error> {
        allow(&self.posts, &user_id)
    }

    /// Takes one room.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub fn room(&self, user_id: UserId) -> Result<(), Error> {
        allow(&self.rooms, &user_id)
    }

    /// Takes one link.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
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
    Quota::with_period(time / burst.get())
        .map_or(Quota::per_second(burst), |quota| quota.allow_burst(burst))
}

fn allow<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Error> {
    limiter.check_key(key).map_err(|until| {
        let wait = until.wait_time_from(DefaultClock::default().now());
        Error::RateLimited { retry_after_s: wait.as_secs() + 1 }
    })
}

/// How bad it is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The chat cannot be used.
    Critical,
    /// Something stored may be wrong.
    High,
    /// Something is slow.
    Medium,
    /// Something is less pleasant, or simply worth counting.
    Low,
}

/// Declares the gaps: number, name, severity and impact, one line each.
macro_rules! gaps {
    ($($variant:ident = $id:literal, $severity:ident, $impact:literal;)*) => {
        /// The founding gaps, by number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each variant is described by its impact")]
        pub enum Gap { $($variant,)* }

        impl Gap {
            /// Every gap, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable id, for example `GAP_016_DUPLICATE_CLIENT_ID`.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// How bad it is.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// What people would notice.
            pub const fn user_impact(self) -> &'static str {
                match self { $(Self::$variant => $impact,)* }
            }
        }
    };
}

gaps! {
    FirstRunRace = "GAP_001_FIRST_RUN_RACE", Critical, "two people set the chat up at once; one is told that it exists";
    AccountAppearsMeanwhile = "GAP_002_ACCOUNT_APPEARS_MEANWHILE", Critical, "the first-run form was open while somebody else finished";
    PartialSetup = "GAP_003_PARTIAL_SETUP", Critical, "an account without an administrator could not be used";
    SetupLeftovers = "GAP_004_SETUP_LEFTOVERS", Critical, "a failed set-up would block the next one";
    FirstSession = "GAP_005_FIRST_SESSION", High, "the first administrator would have to sign in again";
    JoinCode = "GAP_006_JOIN_CODE", Medium, "a guessed invite code would let strangers in";
    UnsupportedBrowser = "GAP_007_UNSUPPORTED_BROWSER", Low, "an unknown browser gets plain pages";
    UserAgent = "GAP_008_USER_AGENT", Low, "a device is listed under an odd name";
    OldBrowser = "GAP_009_OLD_BROWSER", Low, "no live updates without scripts";
    SmallScreen = "GAP_010_SMALL_SCREEN", Low, "a phone gets the drawer instead of the sidebar";
    TokenAlgorithm = "GAP_011_TOKEN_ALGORITHM", Critical, "weak tokens could be guessed";
    TokenCollision = "GAP_012_TOKEN_COLLISION", Medium, "sign-in draws a second token";
    SessionRace = "GAP_013_SESSION_RACE", Medium, "a session is written twice";
    CookieScope = "GAP_014_COOKIE_SCOPE", Medium, "a cookie would reach other hosts";
    InsecureCookie = "GAP_015_INSECURE_COOKIE", Medium, "a cookie travels without TLS";
    DuplicateClientId = "GAP_016_DUPLICATE_CLIENT_ID", Critical, "a repeated send finds its first copy";
    CommitThenBroadcast = "GAP_017_COMMIT_THEN_BROADCAST", High, "a stored message reaches a tab only by catching up";
    BroadcastFailure = "GAP_018_BROADCAST_FAILURE", High, "a stored message reaches nobody at once";
    BroadcastDeadline = "GAP_019_BROADCAST_DEADLINE", Medium, "a message took over 100 ms to go out";
    SlowDatabase = "GAP_020_SLOW_DATABASE", Medium, "storing took over a second";
    ConnectionRegistry = "GAP_021_CONNECTION_REGISTRY", High, "a tab is not found and must catch up";
    ConnectionFailure = "GAP_022_CONNECTION_FAILURE", Medium, "one tab is cut and reconnects";
    WireFormat = "GAP_023_WIRE_FORMAT", Low, "a frame was not understood and was ignored";
    PartialBroadcast = "GAP_024_PARTIAL_BROADCAST", High, "some tabs get a message only by catching up";
    NoDeliveryReceipt = "GAP_025_NO_DELIVERY_RECEIPT", Low, "tabs prove receipt by their cursor";
    NoConnections = "GAP_026_NO_CONNECTIONS", Low, "nobody was online to hear it";
    RoomAtomicity = "GAP_027_ATOMICITY_VIOLATION", High, "a room without members";
    ActiveUsers = "GAP_028_ACTIVE_USERS", Medium, "a departed user would still be granted rooms";
    MembershipFailure = "GAP_029_MEMBERSHIP_FAILURE", High, "somebody is missing from a room";
    ConcurrentUserCreation = "GAP_030_CONCURRENT_USER_CREATION", High, "a newcomer would miss a new room";
    GrantAfterCommit = "GAP_031_GRANT_AFTER_COMMIT", Low, "a grant could be lost in a crash";
    LaterUsers = "GAP_032_LATER_USERS", Medium, "a newcomer would not see open rooms";
    DirectSet = "GAP_033_DIRECT_SET", Medium, "the same people get two rooms";
    DirectLookup = "GAP_034_DIRECT_LOOKUP", High, "the same people get two rooms";
    DirectAtomicity = "GAP_035_DIRECT_ATOMICITY", High, "a direct room without members";
    DirectConcurrency = "GAP_036_DIRECT_CONCURRENCY", High, "two direct rooms at once";
    DuplicateDirectRooms = "GAP_037_DUPLICATE_DIRECT_ROOMS", High, "a conversation is split in two";
    SearchTiming = "GAP_038_SEARCH_TIMING", Medium, "a message cannot be found yet";
    SearchSyntax = "GAP_039_SEARCH_SYNTAX", High, "a search fails instead of answering";
    SearchCache = "GAP_040_SEARCH_CACHE", Low, "a search repeats its work";
    SlowSearch = "GAP_041_SLOW_SEARCH", Medium, "a search takes long";
    SearchStaleness = "GAP_042_SEARCH_STALENESS", Low, "a search shows old results";
    MentionParsing = "GAP_043_MENTION_PARSING", Medium, "a mention notifies nobody";
    BotDetection = "GAP_044_BOT_DETECTION", Medium, "a bot is not called";
    BackgroundWork = "GAP_045_BACKGROUND_WORK", Low, "a task was lost";
    WebhookPayload = "GAP_046_WEBHOOK_PAYLOAD", Low, "a bot cannot read its call";
    DirectDetection = "GAP_047_DIRECT_DETECTION", Low, "a bot misses a direct message";
    DuplicateWebhook = "GAP_048_DUPLICATE_WEBHOOK", Medium, "a bot answers twice";
    ImportScope = "GAP_049_IMPORT_SCOPE", High, "an import stops half-way";
    ImportLock = "GAP_050_IMPORT_LOCK", High, "an import disturbs its source";
    ImportMapping = "GAP_051_IMPORT_MAPPING", High, "imported rows lose their meaning";
    ImportAtomicity = "GAP_052_IMPORT_ATOMICITY", High, "an import is partly visible";
    ImportRollback = "GAP_053_IMPORT_ROLLBACK", Medium, "going back takes long";
    ImportValidation = "GAP_054_IMPORT_VALIDATION", Medium, "errors are found after the switch";
    ImportCutOver = "GAP_055_IMPORT_CUT_OVER", Low, "the switch needs a pause";
    HiddenOrdering = "GAP_056_HIDDEN_COORDINATION", Low, "messages might seem out of order";
    EditConflict = "GAP_057_HIDDEN_COORDINATION", Low, "the later of two edits wins";
    EventualConsistency = "GAP_058_EVENTUAL_CONSISTENCY", Medium, "a tab had to be reset to a fresh page";
    InternalRegistry = "GAP_059_INTERNAL_REGISTRY", Low, "one process knows all tabs";
    ParityConflict = "GAP_060_RAILS_COORDINATION_CONFLICT", Low, "behaviour differs from the original on purpose";
    ConcurrentSessions = "GAP_061_CONCURRENT_SESSIONS", Low, "several devices, one person";
    SharedPresence = "GAP_062_SHARED_PRESENCE", Low, "somebody seemed online a little longer";
    RequestTime = "GAP_063_REQUEST_TIME_VIOLATION", Medium, "a page took longer than it should";
    SlowFanOut = "GAP_064_SLOW_FAN_OUT", Medium, "a busy room hears a message late";
    SlowIndexing = "GAP_065_SLOW_INDEXING", Medium, "storing waits for the search index";
    MemoryTarget = "GAP_066_MEMORY_TARGET_VIOLATION", Medium, "the server needs more memory than planned";
    StartupTarget = "GAP_067_STARTUP_TARGET_VIOLATION", Medium, "a restart is noticed";
}

impl Gap {
    /// Notes that the gap was met: one log event, one count. `context` says where, in words that
    /// name nobody and quote nothing.
    pub fn record(self, context: &str) {
        metrics::counter!("campfire_gaps_total", "gap" => self.id()).increment(1);
        let (id, impact) = (self.id(), self.user_impact());
        if self.is_normal_operation() {
            tracing::debug!(gap.id = id, context, impact, "gap met");
        } else {
            tracing::warn!(gap.id = id, severity = ?self.severity(), context, impact, "gap met");
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
    // Colours are for people who watch, not for files.
    let builder = builder.with_ansi(std::io::stderr().is_terminal());
    // A second subscriber (in tests) is refused; the first one stays, which is all we need.
    let _started = if json { builder.json().try_init() } else { builder.try_init() };
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_67_gaps_numbered_in_order() {
        assert_eq!(Gap::ALL.len(), 67);
        for (at, gap) in Gap::ALL.iter().enumerate() {
            assert!(gap.id().starts_with(&format!("GAP_{:03}_", at + 1)), "{}", gap.id());
            assert!(!gap.user_impact().is_empty());
        }
        let ids: BTreeSet<_> = Gap::ALL.iter().map(|gap| gap.id()).collect();
        assert_eq!(ids.len(), 67);
    }

    #[test]
    fn a_recorded_gap_is_visible_in_the_metrics() {
        let handle = metrics().expect("the recorder installs");
        Gap::TokenCollision.record("a test");
        let text = handle.render();
        let line = text.lines().find(|line| line.contains("GAP_012_TOKEN_COLLISION")).unwrap();
        assert!(!line.ends_with(" 0"), "{line}");
        assert!(text.contains("GAP_067_STARTUP_TARGET_VIOLATION\"} 0"), "unmet gaps are shown too");
    }

    #[test]
    fn a_start_without_configuration_has_every_default() {
        let config = Config::try_parse_from(["campfire"]).unwrap();
        assert_eq!(config.addr.to_string(), "127.0.0.1:3000");
        assert_eq!(config.data, PathBuf::from("./storage"));
        assert_eq!(config.durability, Durability::Full);
        assert_eq!(config.limits, Limits::On);
        assert!(!config.is_public_over_tls());
    }

    #[test]
    fn the_public_address_is_an_origin() {
        assert_eq!(
            parse_public_url("https://Chat.Example.com/").unwrap(),
            "https://chat.example.com"
        );
        for wrong in ["chat.example.com", "https://", "https://a/b", "ftp://a"] {
            assert!(parse_public_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ipv6_addresses_are_limited_by_network() {
        let a: IpAddr = "2001:db8:1:2:3:4:5:6".parse().unwrap();
        let b: IpAddr = "2001:db8:1:2::1".parse().unwrap();
        assert_eq!(neighbourhood(a), neighbourhood(b));
    }
}
