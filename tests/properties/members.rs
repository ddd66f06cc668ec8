//! Rooms through the real server: whatever is done to memberships, in whatever order, they are
//! what a simple model says; and a sidebar that only heard frames is the sidebar of a fresh page.

use crate::harness::TestApp;
use crate::harness::person::Person;
use crate::harness::tab::Tab;
use crate::{check, same};
use campfire::domain::event::{ServerFrame, Sidebar};
use campfire::domain::room::{Room, RoomKind, SidebarRoom};
use campfire::domain::{MessageId, RoomId, UserId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::json;
use std::collections::BTreeSet;
use tokio::runtime::{Builder, Runtime};

/// People beside the one who opens the room and always stays.
const OTHERS: usize = 3;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn people(app: &TestApp) -> Vec<Person> {
    let mut people = vec![app.first_run("david").await];
    for name in ["jason", "kevin", "mara"] {
        people.push(app.join(name).await);
    }
    people
}

#[derive(Clone, Debug)]
enum Change {
    /// The members become these (and whoever opened the room).
    Choose(BTreeSet<usize>),
    Open,
    Close,
    Leave(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let some = proptest::collection::btree_set(1..=OTHERS, 0..=OTHERS);
    prop_oneof![
        3 => some.prop_map(Change::Choose),
        1 => Just(Change::Open),
        1 => Just(Change::Close),
        2 => (1..=OTHERS).prop_map(Change::Leave),
    ]
}

#[test]
fn prop_members_are_what_a_simple_model_says() {
    let runtime = runtime();
    let (app, people) = runtime.block_on(async {
        let app = TestApp::start().await;
        let people = people(&app).await;
        (app, people)
    });
    check(file!(), 25, &vec(change(), 1..12), |changes| {
        runtime.block_on(members_follow(&app, &people, changes))
    });
}

async fn members_follow(app: &TestApp, people: &[Person], changes: Vec<Change>) -> TestCaseResult {
    let david = &people[0];
    let room = david.opens_closed_room("model", &[]).await.id;
    let everybody: BTreeSet<usize> = (0..people.len()).collect();
    let (mut kind, mut members) = (RoomKind::Closed, BTreeSet::from([0]));
    for change in changes {
        match &change {
            Change::Choose(chosen) => {
                let mut chosen = chosen.clone();
                chosen.insert(0);
                let ids: Vec<i64> = chosen.iter().map(|at| people[*at].id).collect();
                let answer = david.changes_room(room, &json!({"user_ids": ids})).await;
                let closed = kind == RoomKind::Closed;
                same(answer.status, if closed { 200 } else { 422 }, "choosing")?;
                if closed {
                    members = chosen;
                }
            }
            Change::Open => {
                david.changes_room(room, &json!({"kind": "open"})).await;
                (kind, members) = (RoomKind::Open, everybody.clone());
            }
            Change::Close => {
                david.changes_room(room, &json!({"kind": "closed"})).await;
                kind = RoomKind::Closed;
            }
            Change::Leave(who) => {
                let expected = match (members.contains(who), kind) {
                    (false, _) => 404,
                    (true, RoomKind::Closed) => 204,
                    (true, _) => 422,
                };
                same(people[*who].leaves(room).await.status, expected, "leaving")?;
                if expected == 204 {
                    members.remove(who);
                }
            }
        }
        for (at, person) in people.iter().enumerate() {
            same(person.sees(room).await, members.contains(&at), "memory")?;
        }
    }
    let rows = format!("SELECT user_id FROM memberships WHERE room_id = {room} ORDER BY user_id");
    let expected: BTreeSet<i64> = members.iter().map(|at| people[*at].id).collect();
    same(app.sql().await.numbers(&rows).await.into_iter().collect(), expected, "rows")
}

#[derive(Clone, Debug)]
enum Deed {
    Say(usize, usize, bool),
    Edit(usize, bool),
    Delete(usize),
    Read(usize, usize),
    Want(usize, &'static str),
    Star(usize, bool),
    Rename(usize, String),
    Grant(bool),
    PutAway,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (0_usize..3, 0_usize..3, any::<bool>()).prop_map(|(w, r, m)| Deed::Say(w, r, m)),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, m)| Deed::Edit(which, m)),
        2 => any::<usize>().prop_map(Deed::Delete),
        2 => (0_usize..3, any::<usize>()).prop_map(|(room, which)| Deed::Read(room, which)),
        2 => (0_usize..3, prop::sample::select(vec![
            "everything", "mentions", "nothing", "invisible"
        ])).prop_map(|(room, level)| Deed::Want(room, level)),
        1 => (0_usize..3, any::<bool>()).prop_map(|(room, starred)| Deed::Star(room, starred)),
        1 => (0_usize..2, "[a-z]{1,8}").prop_map(|(room, name)| Deed::Rename(room, name)),
        1 => any::<bool>().prop_map(Deed::Grant),
        1 => Just(Deed::PutAway),
    ]
}

/// Jason listens; David and Kevin do things, and Jason himself on another device.
#[test]
fn prop_a_sidebar_that_hears_frames_equals_a_fresh_one() {
    let runtime = runtime();
    let (app, people) = runtime.block_on(async {
        let app = TestApp::start().await;
        let people = people(&app).await;
        (app, people)
    });
    check(file!(), 20, &vec(deed(), 1..25), |deeds| runtime.block_on(sidebar_follows(&app, &people, deeds)));
}

async fn sidebar_follows(app: &TestApp, people: &[Person], deeds: Vec<Deed>) -> TestCaseResult {
    let (david, jason) = (&people[0], &people[1]);
    let open = david.opens_room("open").await.id;
    let closed = david.opens_closed_room("closed", &[jason, &people[2]]).await.id;
    let direct = jason.writes_to(&[david, &people[2]]).await.json::<Room>().id;
    let rooms = [open, closed, direct];
    let mut tab = jason.connects().await;
    tab.greets(None, None, None).await;
    let mut sidebar = Sidebar::default();
    follow(&mut sidebar, &tab.heard, jason.user_id());
    tab.heard.clear();
    let mut said: Vec<(RoomId, MessageId)> = Vec::new();
    for deed in deeds {
        commit(people, rooms, &mut said, deed).await;
    }
    hear_all(&mut tab, &mut sidebar, david, jason).await;
    let mut fresh = jason.rooms().await;
    let mut heard = sidebar.rooms().to_vec();
    for list in [&mut fresh, &mut heard] {
        list.retain(|entry| rooms.contains(&entry.id));
        list.sort_by_key(|entry| entry.id);
        list.iter_mut().for_each(|entry| entry.online = false);
    }
    same(&heard, &fresh, "frames, against a fresh list")?;
    recounted(app, jason, &fresh).await
}

async fn commit(people: &[Person], rooms: [RoomId; 3], said: &mut Vec<(RoomId, MessageId)>, deed: Deed) {
    let (david, jason) = (&people[0], &people[1]);
    let body = |mention: bool| if mention { "hello @jason" } else { "hello" };
    let picked = |which: usize| which % said.len().max(1);
    match deed {
        Deed::Say(who, room, mention) => {
            let answer = people[who].posts(body(mention)).perhaps_in(rooms[room]).await;
            if answer.status == 201 {
                let id = answer.json::<campfire::domain::message::Message>().id;
                said.push((rooms[room], id));
            }
        }
        Deed::Edit(which, mention) => {
            if let Some((_, id)) = said.get(picked(which)) {
                david.tries_to_edit(*id, body(mention)).await;
            }
        }
        Deed::Delete(which) => {
            if !said.is_empty() {
                let (_, id) = said.remove(picked(which));
                david.tries_to_delete(id).await;
            }
        }
        Deed::Read(room, which) => {
            if let Some((_, id)) = said.get(picked(which)) {
                jason.reads(rooms[room], id.get()).await;
            }
        }
        Deed::Want(room, level) => {
            let path = format!("/api/rooms/{}/involvement", rooms[room]);
            jason.send(reqwest::Method::PUT, &path, &json!({"involvement": level})).await;
        }
        Deed::Star(room, starred) => {
            let path = format!("/api/rooms/{}/star", rooms[room]);
            jason.send(reqwest::Method::PUT, &path, &json!({"starred": starred})).await;
        }
        Deed::Rename(room, name) => {
            david.changes_room(rooms[room], &json!({"name": name})).await;
        }
        Deed::Grant(inside) => {
            let mut ids = vec![david.id, people[2].id];
            ids.extend(inside.then_some(jason.id));
            david.changes_room(rooms[1], &json!({"user_ids": ids})).await;
        }
        Deed::PutAway => {
            jason.leaves(rooms[2]).await;
        }
    }
}

/// Everything until a room that only Jason and David are in has been heard of.
async fn hear_all(tab: &mut Tab, sidebar: &mut Sidebar, david: &Person, jason: &Person) {
    let marker = david.opens_closed_room("marker", &[jason]).await.id;
    tab.hears_of_room(marker).await;
    follow(sidebar, &tab.heard, jason.user_id());
    tab.heard.clear();
    david.tries_to_delete_room(marker).await;
}

/// What a tab that shows no room does with frames.
fn follow(sidebar: &mut Sidebar, frames: &[ServerFrame], viewer: UserId) {
    let by_name = |a: &str, b: &str| a.to_lowercase().cmp(&b.to_lowercase());
    for frame in frames.iter().cloned() {
        match frame {
            ServerFrame::Welcome { rooms, online, online_count, .. } => {
                sidebar.welcome(rooms, online, online_count);
            }
            ServerFrame::RoomActivity { room_id, message_id, mention } => {
                sidebar.activity(room_id, message_id, mention);
            }
            ServerFrame::Read { room_id, message_id, mentions } => {
                sidebar.read(room_id, message_id, mentions);
            }
            ServerFrame::Room { room } => sidebar.upsert_room(room, by_name),
            ServerFrame::RoomRemoved { room_id } => sidebar.remove_room(room_id),
            ServerFrame::MessageCreated { .. } => panic!("{viewer} watches nothing"),
            _ => {}
        }
    }
}

/// Unread marks and mentions, counted from the rows alone.
async fn recounted(app: &TestApp, jason: &Person, fresh: &[SidebarRoom]) -> TestCaseResult {
    let mut sql = app.sql().await;
    let who = jason.id;
    for entry in fresh {
        let id = entry.id;
        let read = format!(
            "coalesce((SELECT last_read_message_id FROM memberships
                       WHERE user_id = {who} AND room_id = {id}), 0)"
        );
        let alive = format!("FROM messages WHERE room_id = {id} AND deleted_at IS NULL");
        let unread = format!(
            "SELECT EXISTS (SELECT 1 FROM (SELECT id, creator_id {alive} ORDER BY id DESC LIMIT 1)
             WHERE creator_id <> {who} AND id > {read})"
        );
        let mentions = format!(
            "SELECT count(*) {alive} AND creator_id <> {who} AND id > {read}
             AND body LIKE '%<@{who}>%'"
        );
        same(sql.number(&unread).await == 1, entry.unread, "unread")?;
        same(sql.number(&mentions).await, i64::from(entry.mentions), "mentions")?;
    }
    Ok(())
}
