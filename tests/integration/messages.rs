//! Messages: the founding decision table, edits, deletions, history, and failing together or
//! alone.

use crate::harness::person::Answer;
use crate::harness::{Sql, TestApp, client_id};
use campfire::domain::account::UserRef;
use campfire::domain::error::Error;
use campfire::domain::event::ServerFrame;
use campfire::domain::message::{Draft, Message, MessagePage};
use campfire::domain::search::stem;
use campfire::domain::{MessageId, RoomId, Seq};
use campfire::server::rich_text;
use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeSet;

const ALL_TALK: RoomId = RoomId::new(1);

async fn search_hits(sql: &mut Sql, word: &str) -> Vec<i64> {
    sql.numbers(&format!("SELECT rowid FROM message_search WHERE message_search MATCH '{}'", stem(word)))
        .await
}

async fn head_of(sql: &mut Sql, room_id: RoomId) -> Vec<i64> {
    let row = format!("FROM rooms WHERE id = {room_id}");
    let mut head = Vec::new();
    for column in ["last_message_id", "last_creator_id", "last_message_at"] {
        head.push(sql.number(&format!("SELECT coalesce({column}, 0) {row}")).await);
    }
    head
}

#[tokio::test]
async fn a_new_message_comes_with_its_search_row_and_room_head() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let id = client_id();
    let message = david.posts("  Hello *fires*\r\nthere ").named(id).in_(ALL_TALK).await;

    assert_eq!(message.body, "Hello *fires*\nthere");
    assert_eq!(message.body_html, "<p>Hello <em>fires</em><br>there</p>");
    assert_eq!((message.client_message_id, message.creator.id), (id, david.user_id()));
    assert_eq!(message.created_at, app.clock.now());
    let mut sql = app.sql().await;
    let row = format!("id = {} AND seq = {}", message.id, message.seq.get());
    assert_eq!(sql.number(&format!("SELECT count(*) FROM messages WHERE {row}")).await, 1);
    assert_eq!(search_hits(&mut sql, "fire").await, [message.id.get()], "found by its stem");
    let head = [message.id.get(), david.id, message.created_at.ms()];
    assert_eq!(head_of(&mut sql, ALL_TALK).await, head);
    let sequence = sql.numbers("SELECT last_seq FROM sequence").await;
    assert_eq!(sequence, [message.seq.get()]);
}

#[tokio::test]
async fn a_repeated_id_returns_the_first_message_and_does_nothing() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let mut tab = jason.watches(ALL_TALK).await;
    let id = client_id();
    let first = david.posts("original").named(id).in_(ALL_TALK).await;
    let mut sql = app.sql().await;
    let before = (sql.row_counts().await, head_of(&mut sql, ALL_TALK).await);
    app.clock.advance(std::time::Duration::from_secs(90));

    let again = david.posts("something else").named(id).perhaps_in(ALL_TALK).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.json::<Message>(), first, "content, time and seq of the first call");
    assert_eq!((sql.row_counts().await, head_of(&mut sql, ALL_TALK).await), before);
    assert!(search_hits(&mut sql, "something").await.is_empty());
    let created = |frame: &&ServerFrame| matches!(frame, ServerFrame::MessageCreated { .. });
    let heard = tab.hears_until_now(&david).await;
    assert_eq!(heard.iter().filter(created).count(), 1, "{heard:?}");
}

#[tokio::test]
async fn a_repeat_after_an_edit_shows_the_message_as_it_is_now() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let id = client_id();
    let first = david.posts("original").named(id).in_(ALL_TALK).await;
    let edited = david.edits(first.id, "better").await;
    let again = david.posts("original").named(id).perhaps_in(ALL_TALK).await;
    assert_eq!((again.status, again.json::<Message>()), (200, edited));
    david.deletes(first.id).await;
    let again = david.posts("original").named(id).perhaps_in(ALL_TALK).await;
    let tombstone: Message = again.json();
    assert_eq!((again.status, tombstone.id, tombstone.deleted), (200, first.id, true));
    assert_eq!(tombstone.body, "", "a repeat does not bring a deleted message back");
}

#[tokio::test]
async fn the_same_id_in_another_room_is_another_message() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let designers = david.opens_room("Designers").await.id;
    let id = client_id();
    let here = david.posts("here").named(id).in_(ALL_TALK).await;
    let there = david.posts("there").named(id).in_(designers).await;
    assert_ne!(here.id, there.id);
}

#[tokio::test]
async fn another_authors_id_is_a_conflict() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let id = client_id();
    david.posts("mine").named(id).in_(ALL_TALK).await;
    let answer = jason.posts("mine too").named(id).perhaps_in(ALL_TALK).await;
    assert_eq!(answer.refusal(), (409, "client_id_taken".into(), None));
    assert!(!answer.text().contains("mine"), "nothing of the first message is told");
}

#[tokio::test]
async fn a_stranger_is_refused_like_somebody_at_a_wrong_address() {
    let app = TestApp::start().await;
    let (david, kevin) = (app.first_run("david").await, app.join("kevin").await);
    let mut sql = app.sql().await;
    sql.run(&format!("DELETE FROM memberships WHERE user_id = {}", kevin.id)).await;
    let id = client_id();
    david.posts("members only").named(id).in_(ALL_TALK).await;
    let before = sql.row_counts().await;
    // A repeated id does not help: who it is comes before what it is.
    for name in [id, client_id()] {
        let answer = kevin.posts("let me in").named(name).perhaps_in(ALL_TALK).await;
        assert_eq!(answer.refusal(), (404, "not_found".into(), None));
    }
    let nowhere = kevin.posts("let me in").perhaps_in(RoomId::new(99)).await;
    assert_eq!(nowhere.refusal(), (404, "not_found".into(), None));
    assert_eq!(sql.row_counts().await, before);
}

#[tokio::test]
async fn bad_content_is_refused_with_its_field_and_changes_nothing() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut sql = app.sql().await;
    let before = sql.row_counts().await;
    let too_large = "\u{1f525}".repeat(17_000);
    let wrong = [
        "",
        " \n\t\r\n ",
        "\u{0}\u{7}",
        "\u{2003}\u{3000}",
        "\u{200b}\u{feff}",
        &"a".repeat(10_001),
        &too_large,
    ];
    for body in wrong {
        let answer = david.posts(body).perhaps_in(ALL_TALK).await;
        assert_eq!(answer.refusal(), (422, "validation".into(), Some("body".into())));
        let edit = david.tries_to_edit(MessageId::new(1), body).await;
        assert_eq!(edit.refusal(), (422, "validation".into(), Some("body".into())));
    }
    for id in ["", "next", "0f8fad5b-d9cb-469f-a165-7086772895", "💥"] {
        let body = json!({"body": "hi", "client_message_id": id});
        let answer = david.send(Method::POST, "/api/rooms/1/messages", &body).await;
        let field = Some("client_message_id".into());
        assert_eq!(answer.refusal(), (422, "validation".into(), field), "{id}");
    }
    let nameless = json!({"body": "hi"});
    let answer = david.send(Method::POST, "/api/rooms/1/messages", &nameless).await;
    assert_eq!(answer.refusal(), (400, "malformed".into(), None), "the id is mandatory");
    assert_eq!(sql.row_counts().await, before);
}

#[tokio::test]
async fn the_longest_allowed_bodies_are_stored_whole() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let spaced = format!("{}{}", " ".repeat(50_000), "a".repeat(10_000));
    for body in ["x", &"a".repeat(10_000), &"\u{1f525}".repeat(10_000), &spaced] {
        let stored = david.posts(body).in_(ALL_TALK).await;
        assert_eq!(stored.body, body.trim());
        let read = david.page(ALL_TALK, "limit=1").await;
        assert_eq!(*read.messages[0], stored);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_simultaneous_calls_with_one_id_store_one_message() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let id = client_id();
    let calls = (0..10).map(|at| {
        let david = david.clone();
        tokio::spawn(
            async move { david.posts(&format!("attempt {at}")).named(id).perhaps_in(ALL_TALK).await },
        )
    });
    let mut answers = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        answers.push(call.await.unwrap());
    }
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 200, 200, 201]);
    let bodies: BTreeSet<String> = answers.iter().map(|one| one.json::<Message>().body).collect();
    assert_eq!(bodies.len(), 1, "everybody is told of the same message");
    assert_eq!(app.sql().await.number("SELECT count(*) FROM messages").await, 1);
}

#[tokio::test]
async fn one_bad_command_fails_alone() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut tab = david.watches(ALL_TALK).await;
    let mut sql = app.sql().await;
    sql.run(
        "CREATE TRIGGER no_poison BEFORE INSERT ON messages WHEN NEW.body = 'poison'
         BEGIN SELECT RAISE(ABORT, 'poison'); END",
    )
    .await;
    // Polled together before the writer has its turn, they are one group.
    let bodies = (0..20).map(|at| if at % 5 == 2 { "poison".into() } else { format!("fine {at}") });
    let bodies: Vec<String> = bodies.collect();
    let posts = bodies.iter().map(|body| {
        let text = rich_text::render(&Draft::parse(body).unwrap(), &rich_text::Known::default());
        let author = UserRef { id: david.user_id(), name: "david".into() };
        let writer = &app.running.app.writer;
        writer.create_message_with_deduplication(ALL_TALK, author, client_id(), text)
    });
    let answers = join_all(posts).await;
    for (body, answer) in bodies.iter().zip(answers) {
        let expected = if body == "poison" { Err(Error::Unavailable) } else { Ok(()) };
        assert_eq!(answer.map(|_| ()), expected, "{body}");
    }
    assert_eq!(sql.number("SELECT count(*) FROM messages").await, 16);
    assert_eq!(sql.number("SELECT count(*) FROM message_search").await, 16);
    let newest = "SELECT last_message_id = (SELECT max(id) FROM messages) FROM rooms WHERE id = 1";
    assert_eq!(sql.number(newest).await, 1);
    let heard = tab.hears_until_now(&david).await;
    assert_eq!(heard.len(), 16, "told once each, although the group was tried twice");
}

#[tokio::test]
async fn a_failed_write_leaves_nothing_of_itself() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let kept = david.posts("kept").in_(ALL_TALK).await;
    let mut tab = david.watches(ALL_TALK).await;
    let mut sql = app.sql().await;
    let before = (sql.row_counts().await, head_of(&mut sql, ALL_TALK).await);
    // The last step of each command fails, after the others have been done.
    sql.run(
        "CREATE TRIGGER no_head BEFORE UPDATE OF last_message_id ON rooms
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .await;
    let answer = david.posts("lost").perhaps_in(ALL_TALK).await;
    assert_eq!(answer.refusal(), (503, "unavailable".into(), None));
    assert!(!answer.text().contains("SQL"), "users never see the cause: {}", answer.text());
    assert_eq!(david.tries_to_delete(kept.id).await.status, 503);
    assert_eq!((sql.row_counts().await, head_of(&mut sql, ALL_TALK).await), before);
    assert_eq!(david.page(ALL_TALK, "").await.messages.len(), 1);

    sql.run("DROP TRIGGER no_head").await;
    david.posts("after").in_(ALL_TALK).await;
    let heard = tab.hears_until_now(&david).await;
    assert_eq!(heard.len(), 1, "only what was stored is told: {heard:?}");
}

#[tokio::test]
async fn an_edit_moves_the_seq_and_the_search_row_but_not_the_place() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let first = david.posts("apples").in_(ALL_TALK).await;
    let second = david.posts("oranges").in_(ALL_TALK).await;
    app.clock.advance(std::time::Duration::from_secs(60));
    let edited = david.edits(first.id, "pears").await;

    assert_eq!((edited.id, edited.created_at), (first.id, first.created_at));
    assert!(edited.seq > second.seq);
    assert_eq!(edited.edited_at, Some(app.clock.now()));
    let mut sql = app.sql().await;
    assert_eq!(search_hits(&mut sql, "pears").await, [first.id.get()]);
    assert!(search_hits(&mut sql, "apples").await.is_empty());
    let bodies: Vec<String> =
        david.page(ALL_TALK, "").await.messages.iter().map(|m| m.body.clone()).collect();
    assert_eq!(bodies, ["pears", "oranges"]);
    let same = david.edits(first.id, "pears").await;
    assert_eq!(same, edited, "the same text again is no change");
}

#[tokio::test]
async fn a_deletion_leaves_a_tombstone_without_text() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let first = david.posts("staying").in_(ALL_TALK).await;
    let second = david.posts("going").in_(ALL_TALK).await;
    david.deletes(second.id).await;

    let page = david.page(ALL_TALK, "").await;
    assert_eq!(page.messages.len(), 1);
    let since = david.page(ALL_TALK, &format!("since={}", second.seq.get())).await;
    assert_eq!(since.messages.len(), 1);
    assert!(since.messages[0].deleted && since.messages[0].body_html.is_empty());
    let mut sql = app.sql().await;
    assert!(search_hits(&mut sql, "going").await.is_empty());
    let gone = format!("SELECT length(body) + length(body_html) FROM messages WHERE id = {}", second.id);
    assert_eq!(sql.number(&gone).await, 0);
    assert_eq!(head_of(&mut sql, ALL_TALK).await[0], first.id.get(), "the newest one left");
    let answer = david.tries_to_delete(second.id).await;
    assert_eq!(answer.refusal(), (404, "not_found".into(), None), "it is gone already");
    assert_eq!(david.tries_to_edit(second.id, "back").await.status, 404);
}

#[tokio::test]
async fn only_authors_and_administrators_change_messages() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let (jason, kevin) = (app.join("jason").await, app.join("kevin").await);
    let stranger = app.join("stranger").await;
    let mut sql = app.sql().await;
    sql.run(&format!("DELETE FROM memberships WHERE user_id = {}", stranger.id)).await;
    let message = jason.posts("jason's").in_(ALL_TALK).await;

    let forbidden = (403, "forbidden".to_owned(), None);
    assert_eq!(kevin.tries_to_edit(message.id, "kevin's").await.refusal(), forbidden);
    assert_eq!(kevin.tries_to_delete(message.id).await.refusal(), forbidden);
    let absent = (404, "not_found".to_owned(), None);
    assert_eq!(stranger.tries_to_edit(message.id, "stranger's").await.refusal(), absent);
    assert_eq!(stranger.tries_to_delete(message.id).await.refusal(), absent);
    let edited = david.edits(message.id, "david was here").await;
    assert_eq!(edited.creator.id, jason.user_id(), "an administrator does not become the author");
    jason.deletes(message.id).await;
}

#[tokio::test]
async fn history_is_paged_without_gaps_in_both_directions() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut ids = Vec::new();
    for at in 0..25 {
        ids.push(david.posts(&format!("message {at}")).in_(ALL_TALK).await.id);
    }
    david.deletes(ids.remove(12)).await;
    let of = |page: &MessagePage| page.messages.iter().map(|m| m.id).collect::<Vec<_>>();

    let newest = david.page(ALL_TALK, "limit=10").await;
    let mut found = of(&newest);
    let mut has_more = newest.has_more;
    while has_more {
        let older = david.page(ALL_TALK, &format!("limit=10&before={}", found[0])).await;
        found.splice(0..0, of(&older));
        has_more = older.has_more;
    }
    assert_eq!(found, ids);

    let (mut found, mut has_more) = (Vec::new(), true);
    while has_more {
        let after = found.last().copied().unwrap_or(MessageId::new(0));
        let newer = david.page(ALL_TALK, &format!("limit=7&after={after}")).await;
        found.extend(of(&newer));
        has_more = newer.has_more;
    }
    assert_eq!(found, ids);
}

#[tokio::test]
async fn following_the_cursor_of_since_misses_nothing() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut wanted = BTreeSet::new();
    for at in 0..30 {
        wanted.insert(david.posts(&format!("message {at}")).in_(ALL_TALK).await.id);
    }
    let (mut found, mut cursor) = (BTreeSet::new(), Seq::ZERO);
    loop {
        let page = david.page(ALL_TALK, &format!("limit=10&since={cursor}", cursor = cursor.get())).await;
        found.extend(page.messages.iter().map(|message| message.id));
        cursor = page.cursor;
        if !page.has_more {
            break;
        }
    }
    assert_eq!(found, wanted, "every change up to the cursor is included");
}

#[tokio::test]
async fn a_page_takes_one_position_and_whole_numbers() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    for query in ["before=1&after=2", "since=0&before=3", "limit=-1", "before=x", "limit=1e3"] {
        let answer = david.get(&format!("/api/rooms/1/messages?{query}")).await;
        assert_eq!(answer.refusal(), (400, "malformed".into(), None), "{query}");
    }
    for query in ["limit=0", "limit=999999", "before=-5", "after=9223372036854775807", "since=-1"] {
        let answer = david.get(&format!("/api/rooms/1/messages?{query}")).await;
        assert_eq!(answer.status, 200, "{query}");
    }
}

#[tokio::test]
async fn a_live_frame_of_an_ordinary_message_has_at_most_500_bytes() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let mut tab = jason.watches(ALL_TALK).await;
    david
        .posts("Has anybody seen the numbers for last week? I'd like to talk about them.")
        .in_(ALL_TALK)
        .await;
    loop {
        let text = tab.next_text().await.unwrap();
        if text.contains("message_created") {
            assert!(text.len() <= 500, "{} bytes: {text}", text.len());
            break;
        }
    }
}

#[tokio::test]
async fn a_page_of_two_days_has_a_divider_above_each() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let first = app.clock.now();
    david.posts("yesterday").in_(ALL_TALK).await;
    david.posts("still yesterday").in_(ALL_TALK).await;
    app.clock.advance(std::time::Duration::from_secs(24 * 3_600));
    // The session has ended meanwhile, as it should: nobody used it for a day.
    let david = app.sign_in("david").await;
    let second = app.clock.now();
    david.posts("today").in_(ALL_TALK).await;
    let page = Answer::read(david.browses(Method::GET, "/rooms/1")).await.text();
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not there"));
    let divider = |date: String| format!("divider__label\" datetime=\"{date}\"");
    let order = [
        place(&divider(first.utc_date())),
        place("<p>yesterday</p>"),
        place("<p>still yesterday</p>"),
        place(&divider(second.utc_date())),
        place("<p>today</p>"),
    ];
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(page.matches("divider__label").count(), 2);
    let (_, today) = page.split_at(place(&divider(second.utc_date())));
    assert!(today.contains("message__author"), "a new day begins a new group");
}
