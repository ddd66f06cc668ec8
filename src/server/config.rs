//! Every setting: its variable, default and unit. Read once, at start; nothing else in the
//! program looks at the environment. A start without any configuration works. The allowances that
//! one of the settings switches off stand here as well.

use crate::domain::UserId;
use crate::domain::error::Error;
use clap::{Parser, Subcommand, ValueEnum};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

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

#[cfg(test)]
mod tests {
    use super::*;

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
