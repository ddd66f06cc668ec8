//! Rate limits, switched on: guesses, posts, and what a tab may say.

use crate::harness::person::Answer;
use crate::harness::tab::Tab;
use crate::harness::{PASSWORD, TestApp, email, sign_up};
use campfire::domain::RoomId;
use campfire::domain::event::ClientFrame;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

const ALL_TALK: RoomId = RoomId::new(1);

fn guess(name: &str, password: &str) -> Value {
    json!({"email_address": email(name), "password": password})
}

#[tokio::test]
async fn the_eleventh_sign_in_of_an_address_is_refused_and_told_when_to_come_back() {
    let app = TestApp::start_with(&["--limits", "on"]).await;
    app.first_run("david").await;
    // Allowances live in memory; the first run has used one.
    let app = app.restart().await;
    for at in 0..10 {
        let answer = app.post_as_nobody("/api/session", &guess(&format!("u{at}"), "wrong")).await;
        assert_eq!(answer.refusal(), (401, "wrong_credentials".into(), None), "{at}");
    }
    let answer = app.post_as_nobody("/api/session", &guess("david", PASSWORD)).await;
    assert_eq!(answer.refusal(), (429, "rate_limited".into(), None));
    // Ten in three minutes: one comes back every 18 seconds.
    assert!((1..=19).contains(&answer.retry_after()), "{}", answer.retry_after());
    assert!(answer.error().message.contains(&format!("{} s", answer.retry_after())));

    // The same allowance guards the other ways in, and a forged header does not help.
    let join = app.http.post(app.url("/api/join/ABCD-EFGH-IJKL")).json(&sign_up("jason"));
    let join = Answer::read(join.header("x-forwarded-for", "203.0.113.9")).await;
    assert_eq!(join.status, 429);
    let form = app.http.post(app.url("/session")).header("sec-fetch-site", "same-origin");
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let page = Answer::read(form.body("email_address=a%40b.example&password=x")).await;
    assert_eq!(page.status, 429);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.text().contains("too fast"), "the form says so");
    assert!((1..=19).contains(&page.retry_after()), "{}", page.retry_after());
}

#[tokio::test]
async fn one_account_is_guarded_from_many_addresses() {
    let app = TestApp::start_with(&["--limits", "on", "--trusted-proxies", "127.0.0.1"]).await;
    app.first_run("david").await;
    let guess_from = async |at: u32, body: Value| {
        let request = app.http.post(app.url("/api/session")).json(&body);
        Answer::read(request.header("x-forwarded-for", format!("203.0.113.{at}"))).await
    };
    for at in 0..10 {
        assert_eq!(guess_from(at, guess("david", "wrong")).await.status, 401);
    }
    let shouted = json!({"email_address": " DAVID@example.com", "password": PASSWORD});
    let answer = guess_from(11, shouted).await;
    assert_eq!(answer.refusal(), (429, "rate_limited".into(), None));
    assert_eq!(guess_from(12, guess("jason", "wrong")).await.status, 401, "others are not");
}

#[tokio::test]
async fn posting_is_limited_to_bursts_of_thirty() {
    let app = TestApp::start_with(&["--limits", "on"]).await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let posts = (0..60).map(|at| {
        let david = david.clone();
        async move { david.posts(&format!("post {at}")).perhaps_in(ALL_TALK).await }
    });
    let answers = join_all(posts).await;
    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 429).collect();
    let stored = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(stored + refused.len(), 60);
    assert!((30..=50).contains(&stored), "{stored}");
    assert!(refused.iter().all(|answer| answer.retry_after() == 1), "a tenth of a second, rounded");
    let rows = app.sql().await.number("SELECT count(*) FROM messages").await;
    assert_eq!(usize::try_from(rows).unwrap(), stored);
    jason.posts("each has their own allowance").in_(ALL_TALK).await;
}

#[tokio::test]
async fn one_person_opens_at_most_twenty_tabs_and_twenty_rooms() {
    let app = TestApp::start_with(&["--limits", "on"]).await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let bearer = format!("Bearer {}", david.token);
    let mut tabs = Vec::new();
    for _ in 0..20 {
        let mut tab = david.connects().await;
        tab.greets(None, None, None).await;
        tabs.push(tab);
    }
    let refused = Tab::try_open(&david, &[("authorization", &bearer)]).await;
    assert_eq!(refused.err(), Some(429));
    jason.connects().await.greets(None, None, None).await;

    for at in 0..20 {
        david.opens_room(&format!("room {at}")).await;
    }
    let body = json!({"name": "one too many", "kind": "open"});
    let answer = david.send(Method::POST, "/api/rooms", &body).await;
    assert_eq!(answer.refusal(), (429, "rate_limited".into(), None));
    assert!((1..=31).contains(&answer.retry_after()), "{}", answer.retry_after());
    jason.opens_room("somebody else's").await;
}

#[tokio::test]
async fn a_tab_that_floods_is_cut_with_a_word() {
    let app = TestApp::start_with(&["--limits", "on"]).await;
    let david = app.first_run("david").await;
    let mut polite = david.watches(ALL_TALK).await;
    for _ in 0..40 {
        polite.is_answered().await;
    }
    let mut flood = david.watches(ALL_TALK).await;
    for _ in 0..59 {
        flood.says(&ClientFrame::Ping).await;
    }
    for _ in 0..59 {
        flood.hears(|frame| matches!(frame, campfire::domain::event::ServerFrame::Pong)).await;
    }
    for _ in 0..40 {
        // The tab may be cut before it has said everything.
        if flood.tries_to_say(&ClientFrame::Ping).await.is_err() {
            break;
        }
    }
    // What it has not heard yet may be lost with the connection, the goodbye included.
    let (reason, _) = flood.ends().await;
    assert!(matches!(reason.as_deref(), None | Some("flood")), "{reason:?}");
    polite.is_answered().await;
}

#[tokio::test]
async fn links_are_limited_for_each_person_and_guessing_them_for_each_address() {
    let app = TestApp::start_with(&["--limits", "on"]).await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    for at in 0..30 {
        let answer = david.send(Method::POST, "/api/invites", &json!({})).await;
        assert_eq!(answer.status, 201, "{at}");
    }
    for path in ["/api/invites", "/api/me/link", &format!("/api/users/{}/reset", jason.id)] {
        let answer = david.send(Method::POST, path, &json!({})).await;
        assert_eq!(answer.refusal(), (429, "rate_limited".into(), None), "{path}");
    }
    assert_eq!(jason.send(Method::POST, "/api/me/link", &json!({})).await.status, 201);
    // First run and joining took two guesses of this address.
    for kind in ["link", "reset"] {
        for at in 0..4 {
            let path = format!("/session/{kind}/{at:0>32}");
            assert_eq!(app.get_as_nobody(&path).await.status, 404);
        }
    }
    let late = app.get_as_nobody("/session/link/another").await;
    assert_eq!(late.status, 429);
    assert!((1..=19).contains(&late.retry_after()), "{}", late.retry_after());
}
