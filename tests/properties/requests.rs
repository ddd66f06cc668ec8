//! Where a request comes from, and whether it may change anything.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use campfire::server::http::request::{behind_proxies, is_same_site, may_open_socket};
use campfire::server::operation::Config;
use campfire::server::writer::people::{networks_to_ban, public_network};
use clap::Parser;
use std::net::IpAddr;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs =
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    pairs.collect()
}

fn config(arguments: &[&str]) -> Config {
    Config::try_parse_from(["campfire"].iter().chain(arguments)).unwrap()
}

#[test]
fn forwarded_addresses_count_only_from_trusted_proxies() {
    let peer: IpAddr = "10.0.0.1".parse().unwrap();
    let spoofed = headers(&[("x-forwarded-for", "1.1.1.1, 203.0.113.9")]);
    assert_eq!(behind_proxies(&config(&[]), peer, &spoofed), peer);
    let trusting = config(&["--trusted-proxies", "10.0.0.1"]);
    let expected: IpAddr = "203.0.113.9".parse().unwrap();
    assert_eq!(behind_proxies(&trusting, peer, &spoofed), expected);
}

#[test]
fn unsafe_requests_are_judged_by_where_they_come_from() {
    let judge =
        |pairs: &[(&'static str, &'static str)]| is_same_site(&config(&[]), &Method::POST, &headers(pairs));
    assert!(judge(&[("sec-fetch-site", "same-origin")]));
    assert!(!judge(&[("sec-fetch-site", "cross-site")]));
    assert!(!judge(&[("sec-fetch-site", "same-site"), ("host", "a"), ("origin", "http://a")]));
    assert!(judge(&[("host", "chat:3000"), ("origin", "http://chat:3000")]));
    assert!(!judge(&[("host", "chat:3000"), ("origin", "http://evil:3000")]));
    assert!(!judge(&[("host", "chat:3000"), ("origin", "null")]));
    assert!(!judge(&[("content-type", "application/x-www-form-urlencoded")]));
    assert!(judge(&[("content-type", "application/json")]));
    assert!(judge(&[("authorization", "Bearer x")]));
}

#[test]
fn a_public_address_is_the_only_origin() {
    let config = config(&["--public-url", "https://chat.example.com"]);
    let from = |origin| headers(&[("host", "chat.example.com"), ("origin", origin)]);
    assert!(may_open_socket(&config, &from("https://chat.example.com")));
    assert!(!may_open_socket(&config, &from("http://chat.example.com")));
    assert!(!may_open_socket(&config, &headers(&[("host", "chat.example.com")])));
}

#[test]
fn only_public_networks_that_nobody_else_uses_are_banned() {
    let own = "203.0.113.9 198.51.100.7 192.168.1.4 10.0.0.1 127.0.0.1 100.64.0.9 169.254.1.1 \
               2001:db8:1:2:3:4:5:6 fd00::1 fe80::1 ::1 nonsense";
    let own: Vec<String> = own.split(' ').map(str::to_owned).collect();
    let others = ["198.51.100.7", "2001:db8:9::1"];
    let banned = networks_to_ban(&own, &others.map(str::to_owned));
    let banned: Vec<&str> = banned.iter().map(String::as_str).collect();
    assert_eq!(banned, ["2001:db8:1:2::/64", "203.0.113.9"]);
    assert_eq!(public_network("::ffff:203.0.113.9").as_deref(), Some("203.0.113.9"));
}
