//! What whoever runs the server sets and sees: settings, limits, gaps.

use campfire::domain::account::is_invite_code;
use campfire::server::auth::invite_code;
use campfire::server::operation::{Allowances, Bounded, Config, Durability, Gap, Limits, metrics};
use clap::Parser;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

fn config(arguments: &[&str]) -> Result<Config, clap::Error> {
    Config::try_parse_from(["campfire"].iter().chain(arguments))
}

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
fn a_gap_is_called_like_its_line_of_the_table() {
    let named = [
        (Gap::FirstRunRace, "GAP_001_FIRST_RUN_RACE"),
        (Gap::DuplicateClientId, "GAP_016_DUPLICATE_CLIENT_ID"),
        (Gap::RequestTime, "GAP_063_REQUEST_TIME_VIOLATION"),
        (Gap::StartupTarget, "GAP_067_STARTUP_TARGET_VIOLATION"),
    ];
    assert!(named.into_iter().all(|(gap, id)| gap.id() == id));
}

#[test]
fn a_recorded_gap_is_visible_in_the_metrics() {
    let handle = metrics().unwrap();
    Gap::TokenCollision.record("a test");
    let text = handle.render();
    let line = text.lines().find(|line| line.contains("GAP_012_TOKEN_COLLISION")).unwrap();
    assert!(!line.ends_with(" 0"), "{line}");
    assert!(text.contains("GAP_067_STARTUP_TARGET_VIOLATION\"} 0"), "unmet gaps are shown too");
}

#[test]
fn a_start_without_configuration_has_every_default() {
    let config = config(&[]).unwrap();
    assert_eq!(config.addr.to_string(), "127.0.0.1:3000");
    assert_eq!(config.data, PathBuf::from("./storage"));
    assert_eq!(config.durability, Durability::Full);
    assert_eq!(config.limits, Limits::On);
    assert!(!config.is_public_over_tls());
}

#[test]
fn the_public_address_is_an_origin() {
    let chat = config(&["--public-url", "https://Chat.Example.com/"]).unwrap();
    assert_eq!(chat.public_url.as_deref(), Some("https://chat.example.com"));
    for wrong in ["chat.example.com", "https://", "https://a/b", "ftp://a"] {
        assert!(config(&["--public-url", wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn ipv6_addresses_are_limited_by_network() {
    let allowances = Allowances::new(&config(&[]).unwrap()).unwrap();
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    for at in 0..10 {
        assert!(allowances.guess_from(ip(&format!("2001:db8:1:2:3:4:5:{at}"))).is_ok());
    }
    assert!(allowances.guess_from(ip("2001:db8:1:2::1")).is_err());
    assert!(allowances.guess_from(ip("2001:db8:1:3::1")).is_ok());
}

#[test]
fn a_bounded_map_forgets_what_was_used_longest_ago() {
    let mut map = Bounded::new(10);
    for key in 0..10 {
        map.insert(key, key, 1);
    }
    assert!(map.get(&0).is_some());
    map.insert(10, 10, 1);
    assert!(map.get(&0).is_some(), "recently used");
    assert!(map.get(&1).is_none(), "used longest ago");
    assert!(map.get(&10).is_some(), "just inserted");
    assert!(map.values_mut().count() <= 10);
}

#[test]
fn invite_codes_have_their_shape() {
    assert!((0..100).all(|_| is_invite_code(&invite_code().unwrap())));
}
