//! Rooms, who is in them, and how far they have read.

use crate::harness::person::Answer;
use crate::harness::{TestApp, client_id, sign_up};
use campfire::domain::event::ServerFrame;
use campfire::domain::room::Room;
use campfire::domain::{MessageId, RoomId};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

const ALL_TALK: RoomId = RoomId::new(1);

#[tokio::test]
async fn a_new_room_grants_everybody_at_once() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let people = [app.join("jason").await, app.join("kevin").await, app.join("mara").await];
    let mut tab = people[0].watches(ALL_TALK).await;
    let room = people[1].opens_room("  Designers ").await;
    assert_eq!(room.name, "Designers");
    let heard = tab.hears(|frame| matches!(frame, ServerFrame::Room { .. })).await;
    assert!(matches!(heard, ServerFrame::Room { room: told } if told.id == room.id));
    for person in people.iter().chain([&david]) {
        assert!(person.rooms().await.iter().any(|other| other.id == room.id), "{}", person.name);
        person.posts("here I am").in_(room.id).await;
    }
    let grants = format!("SELECT count(*) FROM memberships WHERE room_id = {}", room.id);
    assert_eq!(app.sql().await.number(&grants).await, 4);
}

#[tokio::test]
async fn inactive_users_and_bots_are_not_granted_open_rooms() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let (jason, kevin) = (app.join("jason").await, app.join("kevin").await);
    let mut sql = app.sql().await;
    sql.run(&format!("UPDATE users SET active = 0 WHERE id = {}", jason.id)).await;
    sql.run(&format!("UPDATE users SET role = 'bot' WHERE id = {}", kevin.id)).await;
    let room = david.opens_room("Designers").await;
    let granted = format!("SELECT user_id FROM memberships WHERE room_id = {}", room.id);
    assert_eq!(sql.numbers(&granted).await, [david.id]);
}

#[tokio::test]
async fn a_room_that_fails_leaves_no_grants() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    app.join("jason").await;
    let mut sql = app.sql().await;
    let before = sql.row_counts().await;
    // The room and the first grant succeed, the second grant fails.
    sql.run(
        "CREATE TRIGGER no BEFORE INSERT ON memberships WHEN NEW.user_id = 2
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .await;
    let body = json!({"name": "Designers", "kind": "open"});
    assert_eq!(david.send(Method::POST, "/api/rooms", &body).await.status, 503);
    assert_eq!(sql.row_counts().await, before);
    assert_eq!(david.rooms().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_rooms_that_appear_together_all_meet() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let join_path = format!("/api/join/{}", app.join_code().await);
    let rooms = join_all((0..20).map(|at| {
        let david = david.clone();
        async move { tokio::spawn(async move { david.opens_room(&format!("room {at}")).await }).await }
    }));
    let people = join_all((0..20).map(|at| {
        let form = sign_up(&format!("person{at}"));
        let request = app.http.post(app.url(&join_path)).json(&form);
        async move { tokio::spawn(Answer::read(request)).await }
    }));
    let (rooms, people) = tokio::join!(rooms, people);
    assert!(rooms.iter().all(Result::is_ok));
    assert!(people.iter().all(|answer| answer.as_ref().unwrap().status == 201));
    let mut sql = app.sql().await;
    let (users, rooms) = (21, 21);
    assert_eq!(sql.number("SELECT count(*) FROM users").await, users);
    assert_eq!(sql.number("SELECT count(*) FROM rooms").await, rooms);
    assert_eq!(sql.number("SELECT count(*) FROM memberships").await, users * rooms);
    for answer in people {
        let me: Value = answer.unwrap().json();
        let person = david.with_token(me["token"].as_str().unwrap());
        assert_eq!(person.rooms().await.len(), 21, "memory agrees with the database");
    }
}

#[tokio::test]
async fn rooms_need_a_proper_name() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let body = json!({"name": "Odd", "kind": "round"});
    assert_eq!(david.send(Method::POST, "/api/rooms", &body).await.status, 400);
    for name in ["", " \t ", "two\nlines", &"x".repeat(81)] {
        let body = json!({"name": name, "kind": "open"});
        let answer = david.send(Method::POST, "/api/rooms", &body).await;
        assert_eq!(answer.refusal(), (422, "validation".into(), Some("name".into())), "{name}");
    }
    let longest: Room = david.opens_room(&"\u{1f525}".repeat(80)).await;
    assert_eq!(longest.name.chars().count(), 80);
    assert_eq!(david.rooms().await.len(), 2);
}

#[tokio::test]
async fn a_foreign_room_is_no_different_from_a_missing_one() {
    let app = TestApp::start().await;
    let (david, kevin) = (app.first_run("david").await, app.join("kevin").await);
    let secret = david.opens_room("Secret").await.id;
    let message = david.posts("the secret").in_(secret).await;
    let mut sql = app.sql().await;
    let grant = format!("user_id = {} AND room_id = {secret}", kevin.id);
    sql.run(&format!("DELETE FROM memberships WHERE {grant}")).await;
    kevin.rooms().await;
    let (missing, missing_message) = (RoomId::new(777), MessageId::new(777));
    let post = json!({"body": "hi", "client_message_id": client_id()});
    let requests = |room: RoomId, message: MessageId| {
        [
            (Method::GET, format!("/api/rooms/{room}/messages"), json!({})),
            (Method::GET, format!("/api/rooms/{room}/messages?before=9"), json!({})),
            (Method::GET, format!("/api/rooms/{room}/messages?since=0"), json!({})),
            (Method::POST, format!("/api/rooms/{room}/messages"), post.clone()),
            (Method::PUT, format!("/api/rooms/{room}/read"), json!({"message_id": 1})),
            (Method::PATCH, format!("/api/messages/{message}"), json!({"body": "mine"})),
            (Method::DELETE, format!("/api/messages/{message}"), json!({})),
            (Method::GET, format!("/api/rooms/{room}"), json!({})),
            (Method::PATCH, format!("/api/rooms/{room}"), json!({"name": "Mine"})),
            (Method::DELETE, format!("/api/rooms/{room}"), json!({})),
            (Method::POST, format!("/api/rooms/{room}/leave"), json!({})),
            (Method::PUT, format!("/api/rooms/{room}/involvement"), json!({"involvement": "nothing"})),
            (Method::PUT, format!("/api/rooms/{room}/star"), json!({"starred": true})),
            (Method::GET, format!("/api/people?q=d&room={room}"), json!({})),
            (Method::GET, format!("/rooms/{room}/edit"), json!({})),
            (Method::GET, format!("/rooms/{room}/delete"), json!({})),
            (Method::GET, format!("/rooms/{room}"), json!({})),
            (Method::GET, format!("/rooms/{room}/@{message}"), json!({})),
            (Method::GET, format!("/rooms/{room}/messages/{message}/edit"), json!({})),
        ]
    };
    // Twice: the answer from memory is the answer from the database.
    for _ in 0..2 {
        let foreign = requests(secret, message.id);
        let nowhere = requests(missing, missing_message);
        for ((method, path, body), (_, other_path, _)) in foreign.into_iter().zip(nowhere) {
            let answer = kevin.send(method.clone(), &path, &body).await;
            let other = kevin.send(method, &other_path, &body).await;
            assert_eq!((answer.status, other.status), (404, 404), "{path}");
            let (mut names, mut other_names) = (answer.headers.clone(), other.headers.clone());
            for headers in [&mut names, &mut other_names] {
                headers.remove("date");
            }
            assert_eq!(names, other_names, "{path}");
            assert_eq!(unnamed(&answer.text()), unnamed(&other.text()), "{path}");
            assert!(!answer.text().contains("secret"), "{path}");
        }
    }
    assert!(kevin.rooms().await.iter().all(|room| room.id != secret));
}

/// A refusal without the request's id, which is different each time.
fn unnamed(text: &str) -> String {
    let mut words: Vec<&str> = text.split(['"', '<', '>', ' ']).collect();
    words.retain(|word| {
        let hex = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_hexdigit());
        !word.split_once('-').is_some_and(|(time, count)| time.len() == 8 && hex(time) && hex(count))
    });
    words.join(" ")
}

#[tokio::test]
async fn a_read_cursor_moves_forward_only_and_unread_follows() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let mut ids = Vec::new();
    for at in 0..4 {
        ids.push(david.posts(&format!("message {at}")).in_(ALL_TALK).await.id.get());
    }
    assert!(jason.sidebar(ALL_TALK).await.unread);
    assert!(!david.sidebar(ALL_TALK).await.unread, "one's own words are read");
    let mut sql = app.sql().await;
    let cursor = format!("SELECT last_read_message_id FROM memberships WHERE user_id = {}", jason.id);

    for (message_id, expected, unread) in [
        (ids[1], ids[1], true),
        (ids[0], ids[1], true),
        (-5, ids[1], true),
        (ids[3], ids[3], false),
        (ids[2], ids[3], false),
        (i64::MIN, ids[3], false),
    ] {
        assert_eq!(jason.reads(ALL_TALK, message_id).await.status, 204);
        assert_eq!(sql.number(&cursor).await, expected);
        assert_eq!(jason.sidebar(ALL_TALK).await.unread, unread);
    }
    // Nobody can read what has not been said yet.
    assert_eq!(jason.reads(ALL_TALK, i64::MAX).await.status, 204);
    david.posts("news").in_(ALL_TALK).await;
    assert!(jason.sidebar(ALL_TALK).await.unread);
    let app = app.restart().await;
    assert!(app.meet(&jason).sidebar(ALL_TALK).await.unread, "the database agrees with memory");
}

#[tokio::test]
async fn a_post_writes_no_membership_rows() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    app.join("jason").await;
    let mut sql = app.sql().await;
    sql.run("CREATE TRIGGER no BEFORE UPDATE ON memberships BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    david.posts("cheap").in_(ALL_TALK).await;
}

#[tokio::test]
async fn deleting_the_only_unread_message_leaves_nothing_unread() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let first = david.posts("seen").in_(ALL_TALK).await;
    jason.reads(ALL_TALK, first.id.get()).await;
    let second = david.posts("oops").in_(ALL_TALK).await;
    assert!(jason.sidebar(ALL_TALK).await.unread);
    david.deletes(second.id).await;
    let seen = jason.sidebar(ALL_TALK).await;
    assert_eq!((seen.unread, seen.last_message_id), (false, Some(first.id)));
}
