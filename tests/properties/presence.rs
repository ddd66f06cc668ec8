//! Presence under a paused clock, against a model that remembers everything.

use crate::{check, same};
use campfire::domain::account::UserRef;
use campfire::domain::event::{PRESENCE_TTL_MS, ServerFrame};
use campfire::domain::{SessionId, UserId};
use campfire::server::connections::{Connections, LEAVING, Parcel, Registered};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::time::{Instant, advance};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;

const TTL: Duration = Duration::from_millis(PRESENCE_TTL_MS);

#[derive(Clone, Copy, Debug)]
enum Step {
    Connect(i64),
    Disconnect(i64),
    Refresh(i64),
    Sweep,
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let user = || 1_i64..4;
    prop_oneof![
        3 => user().prop_map(Step::Connect),
        3 => user().prop_map(Step::Disconnect),
        2 => user().prop_map(Step::Refresh),
        3 => Just(Step::Sweep),
        3 => prop_oneof![0_u64..10, 50_u64..70, Just(5), Just(60), Just(61)].prop_map(Step::Advance),
    ]
}

/// What a user's connections should come to, told slowly.
#[derive(Clone, Copy, Debug)]
struct Modelled {
    connections: u32,
    heard: Instant,
}

type Model = BTreeMap<i64, Modelled>;

fn sweep(model: &mut Model, now: Instant) -> BTreeSet<i64> {
    let before: BTreeSet<i64> = model.keys().copied().collect();
    model.retain(|_, user| {
        let silence = now - user.heard;
        silence < TTL && (user.connections > 0 || silence < LEAVING)
    });
    before.into_iter().filter(|user| !model.contains_key(user)).collect()
}

async fn behaves_like_its_model(steps: Vec<Step>) -> TestCaseResult {
    let (connections, mut model) = (Connections::default(), Model::new());
    let mut tabs: Vec<(i64, Registered)> = Vec::new();
    for step in steps {
        let now = Instant::now();
        match step {
            Step::Connect(user) => {
                let person = UserRef { id: UserId::new(user), name: format!("user {user}") };
                tabs.push((user, connections.register(&person, SessionId::new(user))));
                let entry = model.entry(user).or_insert(Modelled { connections: 0, heard: now });
                *entry = Modelled { connections: entry.connections + 1, heard: now };
            }
            Step::Disconnect(user) => {
                if let Some(at) = tabs.iter().position(|(owner, _)| *owner == user) {
                    let (_, tab) = tabs.remove(at);
                    connections.unregister(tab.id);
                    // Once too often: it counts for nothing.
                    connections.unregister(tab.id);
                    if let Some(entry) = model.get_mut(&user) {
                        entry.connections = entry.connections.saturating_sub(1);
                        if entry.connections == 0 {
                            entry.heard = now;
                        }
                    }
                }
            }
            Step::Refresh(user) => {
                connections.heard(UserId::new(user));
                if let Some(entry) = model.get_mut(&user) {
                    entry.heard = now;
                }
            }
            Step::Sweep => {
                connections.sweep();
                let gone = sweep(&mut model, now);
                // Whoever is swept out for their silence has lost their tabs.
                tabs.retain(|(user, _)| !gone.contains(user));
            }
            Step::Advance(seconds) => advance(Duration::from_secs(seconds)).await,
        }
        let online: Vec<i64> = connections.online().iter().map(|user| user.id.get()).collect();
        same(online, model.keys().copied().collect(), &format!("who is online after {step:?}"))?;
    }
    // A minute of silence ends everybody's presence, whatever tabs they have.
    advance(TTL + Duration::from_secs(1)).await;
    connections.sweep();
    same(connections.online().len(), 0, "61 s of silence")
}

#[test]
fn prop_presence_ttl_cleanup() {
    let paused = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    check(file!(), 500, &vec(step(), 0..60), |steps| paused.block_on(behaves_like_its_model(steps)));
}

/// The same through the registry of tabs: after every sweep, whoever follows what is told knows
/// exactly who is online.
async fn is_announced_truthfully(steps: Vec<Step>) -> TestCaseResult {
    let connections = Connections::default();
    let observer_is = UserRef { id: UserId::new(9), name: "observer".into() };
    let mut observer = connections.register(&observer_is, SessionId::new(9));
    connections.greet(observer.id);
    let mut tabs: Vec<(i64, Registered)> = Vec::new();
    let mut told: BTreeSet<i64> = BTreeSet::new();
    for step in steps {
        match step {
            Step::Connect(user) => {
                let person = UserRef { id: UserId::new(user), name: format!("user {user}") };
                tabs.push((user, connections.register(&person, SessionId::new(user))));
            }
            Step::Disconnect(user) => {
                if let Some(at) = tabs.iter().position(|(owner, _)| *owner == user) {
                    let (_, tab) = tabs.remove(at);
                    connections.unregister(tab.id);
                    connections.unregister(tab.id);
                }
            }
            Step::Refresh(user) => connections.heard(UserId::new(user)),
            Step::Sweep => connections.sweep(),
            Step::Advance(seconds) => {
                advance(Duration::from_secs(seconds)).await;
                connections.heard(observer_is.id);
            }
        }
        while let Ok(parcel) = observer.frames.try_recv() {
            let Parcel::Frame(bytes) = parcel else {
                panic!("presence concerns no room");
            };
            let mut from = Cursor::new(&*bytes);
            let (_, length) = FrameHeader::parse(&mut from).unwrap().unwrap();
            let text = std::str::from_utf8(&bytes[bytes.len() - usize::try_from(length).unwrap()..]).unwrap();
            let frame = ServerFrame::parse(text).unwrap();
            let Some(ServerFrame::Presence { user_id, online, .. }) = frame else {
                continue;
            };
            match online {
                true => told.insert(user_id.get()),
                false => told.remove(&user_id.get()),
            };
        }
        if matches!(step, Step::Sweep) {
            let online = connections.online();
            let online = online.iter().map(|user| user.id.get());
            same(&online.collect(), &told, "the list and what was told")?;
        }
    }
    same(observer.ending.try_recv().is_err(), true, "the observer was never cut")
}

#[test]
fn prop_presence_is_announced_truthfully() {
    let paused = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    check(file!(), 300, &vec(step(), 0..60), |steps| paused.block_on(is_announced_truthfully(steps)));
}
