//! Writing through the real server: once, in one order, and the same for whoever was away.

use crate::harness::person::Person;
use crate::harness::{TestApp, client_id};
use crate::{check, same};
use campfire::domain::event::{ClientFrame, ServerFrame};
use campfire::domain::message::{Draft, Message};
use campfire::domain::timeline::Timeline;
use campfire::domain::{MessageId, RoomId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestCaseResult};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

const ALL_TALK: RoomId = RoomId::new(1);

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Bodies that the server accepts.
fn valid_body() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{1,80}", "\\PC{1,60}", any::<String>()]
        .prop_filter("a valid body", |text| Draft::parse(text).is_ok())
}

#[test]
fn prop_deduplication_is_idempotent() {
    let runtime = runtime();
    let (app, david) = runtime.block_on(async {
        let app = TestApp::start().await;
        let david = app.first_run("david").await;
        (app, david)
    });
    check(file!(), 60, &vec(valid_body(), 1..5), |bodies| {
        runtime.block_on(async {
            let id = client_id();
            let first = david.posts(&bodies[0]).named(id).in_(ALL_TALK).await;
            same(first.body.as_str(), Draft::parse(&bodies[0]).unwrap().body(), "stored as written")?;
            for body in &bodies {
                let again = david.posts(body).named(id).perhaps_in(ALL_TALK).await;
                same(again.status, 200, "a repeat")?;
                same(again.json::<Message>(), first.clone(), "the first message")?;
            }
            let rows = format!("SELECT count(*) FROM messages WHERE client_message_id = '{id}'");
            same(app.sql().await.number(&rows).await, 1, "one row")
        })
    });
}

#[test]
fn prop_concurrent_writes_serialized() {
    let runtime = runtime();
    let (app, people) = runtime.block_on(async {
        let app = TestApp::start().await;
        let mut people = vec![app.first_run("david").await];
        for name in ["jason", "kevin", "mara"] {
            people.push(app.join(name).await);
        }
        (app, people)
    });
    check(file!(), 12, &vec(0_usize..4, 2..80), |authors| {
        runtime.block_on(writes_are_serialized(&app, &people, authors))
    });
}

async fn writes_are_serialized(app: &TestApp, people: &[Person], authors: Vec<usize>) -> TestCaseResult {
    let room = people[0].opens_room("busy").await.id;
    let count = authors.len();
    let calls = authors.into_iter().enumerate().map(|(at, author)| {
        let author = people[author].clone();
        tokio::spawn(async move { author.posts(&format!("post {at}")).perhaps_in(room).await })
    });
    let mut acknowledged = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        let answer = call.await.unwrap();
        same(answer.status, 201, "nobody is turned away")?;
        acknowledged.push(answer.json::<Message>());
    }
    acknowledged.sort_by_key(|message| message.id);
    let ids: BTreeSet<MessageId> = acknowledged.iter().map(|message| message.id).collect();
    same(ids.len(), count, "ids are unique")?;
    let rising = acknowledged.windows(2).all(|pair| pair[0].seq < pair[1].seq);
    same(rising, true, "the order of ids is the order of changes")?;
    let mut sql = app.sql().await;
    let of = format!("FROM messages WHERE room_id = {room} ORDER BY");
    let by_id = sql.numbers(&format!("SELECT id {of} id")).await;
    let by_seq = sql.numbers(&format!("SELECT id {of} seq")).await;
    same(&by_id, &by_seq, "in the database too")?;
    let ids: Vec<i64> = ids.into_iter().map(MessageId::get).collect();
    same(by_id, ids, "rows and acknowledgements")?;
    let head = sql.number(&format!("SELECT last_message_id FROM rooms WHERE id = {room}")).await;
    same(Some(head), acknowledged.last().map(|message| message.id.get()), "the room's head")
}

#[derive(Clone, Debug)]
enum Deed {
    Create(usize, String),
    Edit(usize, String),
    Delete(usize),
    Read(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0_usize..2, valid_body()).prop_map(|(who, body)| Deed::Create(who, body)),
        3 => (any::<usize>(), valid_body()).prop_map(|(which, body)| Deed::Edit(which, body)),
        2 => any::<usize>().prop_map(Deed::Delete),
        1 => (0_usize..2).prop_map(Deed::Read),
    ]
}

/// Does one deed. `alive` are the messages that exist; the first person is an administrator.
async fn commit(people: &[Person], room: RoomId, alive: &mut Vec<MessageId>, deed: &Deed) {
    let picked = |which: &usize| which % alive.len().max(1);
    match deed {
        Deed::Create(who, body) => alive.push(people[*who].posts(body).in_(room).await.id),
        Deed::Edit(which, body) => {
            if let Some(id) = alive.get(picked(which)) {
                people[0].edits(*id, body).await;
            }
        }
        Deed::Delete(which) => {
            if !alive.is_empty() {
                let id = alive.remove(picked(which));
                people[0].deletes(id).await;
            }
        }
        Deed::Read(who) => {
            let id = alive.last().map_or(0, |id| id.get());
            assert_eq!(people[*who].reads(room, id).await.status, 204);
        }
    }
}

#[test]
fn prop_an_old_page_and_its_changes_equal_a_fresh_page() {
    let runtime = runtime();
    let (_app, people) = runtime.block_on(async {
        let app = TestApp::start().await;
        let people = [app.first_run("david").await, app.join("jason").await];
        (app, people)
    });
    let histories = (vec(deed(), 0..25), vec(deed(), 0..25), 1_usize..12);
    check(file!(), 25, &histories, |(before, after, window)| {
        runtime.block_on(async {
            let room = people[0].opens_room("history").await.id;
            let mut alive = Vec::new();
            for deed in &before {
                commit(&people, room, &mut alive, deed).await;
            }
            let old = people[1].page(room, &format!("limit={window}")).await;
            for deed in &after {
                commit(&people, room, &mut alive, deed).await;
            }
            let fresh = people[1].page(room, "limit=500").await;
            let ids: Vec<MessageId> = fresh.messages.iter().map(|message| message.id).collect();
            same(&ids, &alive, "the page and what was done")?;

            // By request and by socket, the same changes.
            let mut timeline = Timeline::new(room, &old);
            let since = format!("limit=500&since={}", old.cursor.get());
            let by_request = people[1].page(room, &since).await;
            let mut tab = people[1].connects().await;
            tab.greets(None, None, None).await;
            tab.says(&ClientFrame::OpenRoom { room_id: room, cursor: Some(old.cursor) }).await;
            let by_socket = tab.hears_what_was_missed().await.unwrap_or_default();
            same(&by_socket, &by_request.messages, "both ways to catch up")?;
            let Some(ServerFrame::Changes { since, messages, cursor, .. }) = tab.heard.last() else {
                return Err(TestCaseError::fail("no changes"));
            };
            timeline.apply_changes(*since, messages, *cursor);
            let start = timeline.oldest().unwrap_or(MessageId::new(0));
            let wanted: Vec<&Arc<Message>> =
                fresh.messages.iter().filter(|message| message.id >= start).collect();
            same(timeline.messages().collect::<Vec<_>>(), wanted, "old and changes, against fresh")
        })
    });
}
