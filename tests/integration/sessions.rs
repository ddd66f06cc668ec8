//! First run, joining, signing in and out, and the life of a session.

use crate::harness::person::Answer;
use crate::harness::tab::Tab;
use crate::harness::{PASSWORD, PATIENCE, TestApp, email, sign_up};
use campfire::domain::RoomId;
use campfire::server::auth;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const ALL_TALK: RoomId = RoomId::new(1);
const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_simultaneous_first_runs_exactly_one_wins() {
    let app = TestApp::start().await;
    let calls = (0..50).map(|at| {
        let form = sign_up(&format!("person{at}"));
        let request = app.http.post(app.url("/api/first_run")).json(&form);
        tokio::spawn(Answer::read(request))
    });
    let mut codes = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        let answer = call.await.unwrap();
        codes.push(match answer.status {
            201 => "created".to_owned(),
            _ => answer.error().code,
        });
    }
    assert_eq!(codes.iter().filter(|code| *code == "created").count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| *code == "already_set_up").count(), 49, "{codes:?}");
    let expected = [
        ("accounts", 1),
        ("users", 1),
        ("sessions", 1),
        ("rooms", 1),
        ("memberships", 1),
        ("messages", 0),
        ("message_search", 0),
    ];
    let mut sql = app.sql().await;
    assert_eq!(sql.row_counts().await, expected);
    assert_eq!(sql.texts("SELECT role FROM users").await, ["administrator"]);
    assert_eq!(sql.texts("SELECT name FROM rooms").await, ["All Talk"]);
    let metrics = app.get_as_nobody("/metrics").await.text();
    let race = metrics.lines().find(|line| line.contains("GAP_001_FIRST_RUN_RACE")).unwrap();
    assert!(!race.ends_with(" 0"), "losing a race is counted: {race}");
}

#[tokio::test]
async fn a_first_run_that_fails_at_any_step_leaves_nothing_and_can_be_repeated() {
    let app = TestApp::start().await;
    let mut sql = app.sql().await;
    let nothing = sql.row_counts().await;
    for table in ["accounts", "users", "rooms", "memberships", "sessions"] {
        sql.run(&format!(
            "CREATE TRIGGER refuse BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END"
        ))
        .await;
        let answer = app.post_as_nobody("/api/first_run", &sign_up("david")).await;
        assert_eq!(answer.status, 503, "{table}: {}", answer.text());
        assert_eq!(sql.row_counts().await, nothing, "{table}");
        sql.run("DROP TRIGGER refuse").await;
        let home = app.get_as_nobody("/").await;
        assert_eq!(home.header("location"), Some("/first_run"), "{table}: memory knows nothing");
    }
    app.first_run("david").await;
    let again = app.post_as_nobody("/api/first_run", &sign_up("jason")).await;
    assert_eq!(again.refusal(), (409, "already_set_up".into(), None));
}

#[tokio::test]
async fn every_broken_field_of_a_sign_up_is_refused_before_anything_is_stored() {
    let app = TestApp::start().await;
    let cases = [
        (json!({"name": " ", "email_address": "d@example.com", "password": PASSWORD}), "name"),
        (json!({"name": "d", "email_address": "nobody", "password": PASSWORD}), "email_address"),
        (json!({"name": "d", "email_address": "d@example.com", "password": "short"}), "password"),
    ];
    for (form, field) in cases {
        let answer = app.post_as_nobody("/api/first_run", &form).await;
        assert_eq!(answer.refusal(), (422, "validation".into(), Some(field.into())));
    }
    assert_eq!(app.sql().await.number("SELECT count(*) FROM accounts").await, 0);
}

#[tokio::test]
async fn a_newcomer_is_in_every_open_room_and_owes_no_reading() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let designers = david.opens_room("Designers").await.id;
    david.posts("from before").in_(designers).await;
    let jason = app.join("jason").await;
    let rooms = jason.rooms().await;
    let seen: Vec<_> = rooms.iter().map(|room| (room.name.as_str(), room.unread)).collect();
    assert_eq!(seen, [("All Talk", false), ("Designers", false)]);
    assert_eq!(jason.page(designers, "").await.messages.len(), 1, "but may read what was said");
    let mut sql = app.sql().await;
    assert_eq!(sql.texts("SELECT DISTINCT involvement FROM memberships").await, ["mentions"]);
}

#[tokio::test]
async fn a_join_that_fails_leaves_nothing() {
    let app = TestApp::start().await;
    app.first_run("david").await;
    let mut sql = app.sql().await;
    let before = sql.row_counts().await;
    sql.run("CREATE TRIGGER no BEFORE INSERT ON sessions BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    let path = format!("/api/join/{}", app.join_code().await);
    assert_eq!(app.post_as_nobody(&path, &sign_up("jason")).await.status, 503);
    assert_eq!(sql.row_counts().await, before);
    sql.run("DROP TRIGGER no").await;
    assert_eq!(app.post_as_nobody(&path, &sign_up("jason")).await.status, 201);
    let mut other = sign_up("jason");
    other["password"] = json!("not the same at all");
    let again = app.post_as_nobody(&path, &other).await;
    assert_eq!(again.refusal(), (409, "already_member".into(), None));
}

#[tokio::test]
async fn whoever_asks_again_to_join_is_let_in_as_the_one_they_became() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let once = david.send(Method::POST, "/api/invites", &json!({"days": 1, "max_uses": 1})).await;
    let code = once.json::<Value>()["code"].as_str().unwrap().to_owned();
    let path = format!("/api/join/{code}");
    let first = app.post_as_nobody(&path, &sign_up("jason")).await;
    let again = app.post_as_nobody(&path, &sign_up("jason")).await;
    assert_eq!((first.status, again.status), (201, 201), "the answer may have been lost");
    let mut sql = app.sql().await;
    assert_eq!(sql.texts("SELECT name FROM users ORDER BY id").await, ["david", "jason"]);
    // A link that is used up says nothing to anybody else.
    let mut guess = sign_up("jason");
    guess["password"] = json!("not the same at all");
    for person in [guess, sign_up("kevin")] {
        let refused = app.post_as_nobody(&path, &person).await;
        assert_eq!(refused.refusal(), (404, "not_found".into(), None));
    }
}

#[tokio::test]
async fn a_wrong_invite_code_is_no_address() {
    let app = TestApp::start().await;
    app.first_run("david").await;
    for code in ["ABCD-EFGH-IJKL", "x", "%00", "' OR 1=1 --"] {
        let answer = app.post_as_nobody(&format!("/api/join/{code}"), &sign_up("jason")).await;
        assert_eq!(answer.refusal(), (404, "not_found".into(), None), "{code}");
    }
    assert_eq!(app.sql().await.number("SELECT count(*) FROM users").await, 1);
}

#[tokio::test]
async fn wrong_passwords_and_unknown_addresses_are_answered_alike() {
    let app = TestApp::start().await;
    app.first_run("david").await;
    let mut answers = BTreeSet::new();
    for (address, password) in
        [(email("david"), "wrong password"), (email("nobody"), PASSWORD), (String::new(), "")]
    {
        let form = json!({"email_address": address, "password": password});
        let answer = app.post_as_nobody("/api/session", &form).await;
        let error = answer.error();
        answers.insert((answer.status, error.code, error.field, error.message));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers.first().unwrap().0, 401);
    let shouted = json!({"email_address": " David@EXAMPLE.com ", "password": PASSWORD});
    assert_eq!(app.post_as_nobody("/api/session", &shouted).await.status, 201);
}

#[tokio::test]
async fn the_cookie_is_out_of_reach_for_scripts_and_other_sites() {
    let app = TestApp::start().await;
    let answer = app.post_as_nobody("/api/first_run", &sign_up("david")).await;
    let token = answer.json::<Value>()["token"].as_str().unwrap().to_owned();
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with(&format!("session_token={token}; ")), "{cookie}");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");

    let form = sign_up("david");
    let secured = TestApp::start_with(&["--limits", "off", "--public-url", "https://chat.example.com"]).await;
    let cookie = secured.post_as_nobody("/api/first_run", &form).await;
    let cookie = cookie.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-session_token=") && cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test]
async fn over_tls_only_the_cookie_that_no_other_host_can_plant_counts() {
    let app = TestApp::start_with(&["--limits", "off", "--public-url", "https://chat.example.com"]).await;
    let david = app.first_run("david").await;
    for (name, status) in [("session_token", 401), ("__Host-session_token", 200)] {
        let call = app.http.get(app.url("/api/me"));
        let call = call.header("cookie", format!("{name}={}", david.token));
        assert_eq!(Answer::read(call).await.status, status, "{name}");
    }
}

#[tokio::test]
async fn the_database_knows_only_the_digest_of_a_token() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut sql = app.sql().await;
    let stored = sql.texts("SELECT lower(hex(token_digest)) FROM sessions").await;
    let digest: String = auth::digest(&david.token).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(stored, [digest]);
    assert_eq!(app.meet(&david).with_token(&stored[0]).get("/api/me").await.status, 401);
    let hashes = sql.texts("SELECT password_digest FROM users").await;
    assert!(hashes[0].starts_with("$argon2id$v=19$m=19456,t=2,"), "{}", hashes[0]);
}

#[tokio::test]
async fn forged_tokens_open_nothing() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut swapped: Vec<char> = david.token.chars().collect();
    swapped.swap(0, 31);
    let swapped = String::from_iter(swapped);
    let wrong = [
        "",
        "x",
        &"A".repeat(32),
        &david.token[..31],
        &format!("{}A", david.token),
        &david.token.to_lowercase(),
        &swapped,
        "' OR token_digest NOT NULL --   ",
        &"\u{e9}".repeat(16),
    ];
    for token in wrong.into_iter().filter(|token| *token != david.token) {
        let cookie = format!("session_token={token}");
        let call = app.http.get(app.url("/api/me")).header("cookie", &cookie);
        let answer = Answer::read(call).await;
        assert_eq!(answer.refusal(), (401, "unauthenticated".into(), None), "{token}");
        let page = app.http.get(app.url("/rooms/1")).header("cookie", &cookie);
        let page = Answer::read(page).await;
        assert_eq!((page.status, page.header("location")), (303, Some("/session/new")));
        let headers = [("cookie", cookie.as_str()), ("origin", &app.url(""))];
        assert_eq!(Tab::try_open(&david, &headers).await.err(), Some(401), "{token}");
    }
}

#[tokio::test]
async fn signing_out_ends_requests_and_sockets_of_that_session_within_a_second() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let other = app.sign_in("david").await;
    let mut tabs = [david.watches(ALL_TALK).await, david.watches(ALL_TALK).await];
    let mut kept = other.watches(ALL_TALK).await;

    let asked = Instant::now();
    let answer = david.signs_out().await;
    assert_eq!(answer.status, 204);
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    for tab in &mut tabs {
        let (reason, _) = tab.ends().await;
        assert_eq!(reason.as_deref(), Some("signed_out"));
    }
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(david.get("/api/me").await.status, 401);
    assert_eq!(other.get("/api/me").await.status, 200, "another device stays signed in");
    other.posts("still here").in_(ALL_TALK).await;
    kept.hears_message("still here").await;
    let app = app.restart().await;
    assert_eq!(app.meet(&david).get("/api/me").await.status, 401, "gone from the database too");
}

#[tokio::test]
async fn signing_out_after_a_quiet_hour_is_final() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    // The very request that signs out is also the first use in an hour, which is recorded beside
    // it; the record must not bring the session back.
    app.clock.advance(HOUR * 2);
    assert_eq!(david.signs_out().await.status, 204);
    let other = app.sign_in("david").await;
    other.opens_room("the writer has had its turn").await;
    assert_eq!(david.get("/api/me").await.status, 401);
    let ours = david.posts("I am not here").perhaps_in(ALL_TALK).await;
    assert_eq!(ours.status, 401, "{}", ours.text());
}

#[tokio::test]
async fn a_session_ends_24_hours_after_its_last_use() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    app.clock.advance(HOUR * 24 + Duration::from_secs(1));
    assert_eq!(david.get("/api/me").await.status, 401);
    let page = Answer::read(david.browses(Method::GET, "/rooms/1")).await;
    assert_eq!((page.status, page.header("location")), (303, Some("/session/new")));
    let app = app.restart().await;
    assert_eq!(app.meet(&david).get("/api/me").await.status, 401, "cold as well");
    app.running.app.writer.sweep().await.unwrap();
    assert_eq!(app.sql().await.number("SELECT count(*) FROM sessions").await, 0);
}

#[tokio::test]
async fn using_a_session_moves_its_end_at_most_hourly() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut sql = app.sql().await;
    let start = app.clock.now().ms();
    let hour_ms = i64::try_from(HOUR.as_millis()).unwrap();
    let ends = "SELECT expires_at FROM sessions";
    assert_eq!(sql.number(ends).await, start + 24 * hour_ms);

    app.clock.advance(HOUR - Duration::from_secs(1));
    assert_eq!(david.get("/api/me").await.status, 200);
    david.opens_room("the writer has had its turn").await;
    assert_eq!(sql.number(ends).await, start + 24 * hour_ms, "not yet");

    app.clock.advance(Duration::from_secs(1));
    for _ in 0..5 {
        assert_eq!(david.get("/api/me").await.status, 200);
    }
    let deadline = Instant::now() + PATIENCE;
    while sql.number(ends).await != start + 25 * hour_ms {
        assert!(Instant::now() < deadline, "the use is recorded");
        tokio::task::yield_now().await;
    }
    assert_eq!(sql.number("SELECT last_active_at FROM sessions").await, start + hour_ms);

    // Used every 20 hours, it lasts for days; left alone, it ends.
    for _ in 0..5 {
        app.clock.advance(HOUR * 20);
        assert_eq!(david.get("/api/me").await.status, 200);
        david.opens_room("the writer has had its turn").await;
    }
    app.clock.advance(HOUR * 24 + Duration::from_secs(1));
    assert_eq!(david.get("/api/me").await.status, 401);
}

#[tokio::test]
async fn a_socket_outlives_its_session_by_one_heartbeat_at_most() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut tab = david.watches(ALL_TALK).await;
    app.clock.advance(HOUR * 24 + Duration::from_secs(1));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(20)).await;
    tokio::time::resume();
    assert_eq!(tab.ends().await.0.as_deref(), Some("signed_out"));
}

#[tokio::test]
async fn a_deactivated_user_is_nobody() {
    let app = TestApp::start().await;
    app.first_run("david").await;
    let jason = app.join("jason").await;
    app.sql().await.run(&format!("UPDATE users SET active = 0 WHERE id = {}", jason.id)).await;
    let app = app.restart().await;
    assert_eq!(app.meet(&jason).get("/api/me").await.status, 401);
    let form = json!({"email_address": email("jason"), "password": PASSWORD});
    assert_eq!(app.post_as_nobody("/api/session", &form).await.status, 401);
}
