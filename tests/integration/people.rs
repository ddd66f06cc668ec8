//! Profiles, roles, bans, invite links, links that work once, sessions of one's own, the account.

use crate::harness::person::{Answer, Person};
use crate::harness::tab::Tab;
use crate::harness::{PASSWORD, PATIENCE, Sql, TestApp, email, sign_up};
use campfire::domain::RoomId;
use campfire::domain::event::ServerFrame;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::timeout;

const ALL_TALK: RoomId = RoomId::new(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn changes(admin: &Person, user: &Person, change: Value) -> Answer {
    admin.send(Method::PATCH, &format!("/api/users/{}", user.id), &change).await
}

async fn invites(person: &Person, terms: Value) -> String {
    let answer = person.send(Method::POST, "/api/invites", &terms).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json::<Value>()["code"].as_str().unwrap().to_owned()
}

async fn joins(app: &TestApp, code: &str, name: &str) -> Answer {
    app.post_as_nobody(&format!("/api/join/{code}"), &sign_up(name)).await
}

/// The path of a new link, as its receiver opens it.
async fn makes_link(person: &Person, path: &str) -> String {
    let answer = person.send(Method::POST, path, &json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let url = answer.json::<Value>()["url"].as_str().unwrap().to_owned();
    url.split_once("/session/").map(|(_, rest)| format!("/session/{rest}")).unwrap()
}

async fn submits(app: &TestApp, path: &str, body: &'static str) -> Answer {
    let request = app.http.post(app.url(path)).header("sec-fetch-site", "same-origin");
    let kind = "application/x-www-form-urlencoded";
    Answer::read(request.header("content-type", kind).body(body)).await
}

/// The socket must end within a second, with the word that it is signed out.
async fn is_cut(tab: &mut Tab) {
    let started = Instant::now();
    let (reason, _) = tab.ends().await;
    assert_eq!(reason.as_deref(), Some("signed_out"));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_always_administrator_whoever_does_what_at_once() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let jason = app.join("jason").await;
    let kevin = app.join("kevin").await;
    let alone = [json!({"role": "member"}), json!({"status": "deactivated"}), json!({"status": "banned"})];
    for change in &alone {
        let refused = changes(&david, &david, change.clone()).await;
        assert_eq!(refused.refusal(), (409, "last_administrator".into(), None), "{change}");
    }
    let mut sql = app.sql().await;
    for round in 0..12 {
        sql.run("UPDATE users SET role = 'administrator', active = 1, banned_at = NULL").await;
        let mut calls = Vec::new();
        for (at, actor) in [&david, &jason, &kevin].into_iter().enumerate() {
            for (to, target) in [&david, &jason, &kevin].into_iter().enumerate() {
                let change = alone[(at + to + round) % 3].clone();
                let (actor, target) = (actor.clone(), target.clone());
                calls.push(tokio::spawn(async move { changes(&actor, &target, change).await }));
            }
        }
        for call in calls {
            let status = call.await.unwrap().status;
            assert!(matches!(status, 204 | 401 | 403 | 409), "{status}");
        }
        let left = "SELECT count(*) FROM users WHERE role = 'administrator' AND active = 1";
        assert_eq!(sql.number(left).await, 1, "round {round}: all but one could be removed");
        sql.run("UPDATE users SET role = 'administrator', active = 1, banned_at = NULL").await;
        for person in [&david, &jason, &kevin] {
            let digest: String = campfire::server::auth::digest(&person.token)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            sql.run(&format!(
                "INSERT OR IGNORE INTO sessions (token_digest, user_id, user_agent, ip_address,
                     last_active_at, expires_at, created_at)
                 VALUES (x'{digest}', {}, '', '', {now}, {now} + 3600000, {now})",
                person.id,
                now = app.clock.now().ms()
            ))
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_at_once_a_link_for_one_lets_in_exactly_one() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let code = invites(&david, json!({"max_uses": 1})).await;
    assert!(code.len() == 24, "119 bits: {code}");
    let calls = (0..50).map(|at| {
        let path = app.url(&format!("/api/join/{code}"));
        let request = app.http.post(path).json(&sign_up(&format!("person{at}")));
        tokio::spawn(Answer::read(request))
    });
    let mut statuses = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        statuses.push(call.await.unwrap().status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 201 | 404)), "{statuses:?}");
    let mut sql = app.sql().await;
    assert_eq!(sql.number("SELECT count(*) FROM users").await, 2);
    assert_eq!(sql.number("SELECT uses FROM invites WHERE max_uses = 1").await, 1);
}

#[tokio::test]
async fn invite_links_end_by_time_or_by_hand_and_the_first_one_does_not() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let jason = app.join("jason").await;
    let week = invites(&jason, json!({})).await;
    let day = invites(&jason, json!({"days": 1, "max_uses": 5})).await;
    assert_eq!(app.get_as_nobody(&format!("/join/{day}")).await.status, 200);
    app.clock.advance(DAY);
    // A day is also how long a session lasts without use.
    let (david, jason) = (app.sign_in(&david.name).await, app.sign_in(&jason.name).await);
    assert_eq!(joins(&app, &day, "kevin").await.refusal(), (404, "not_found".into(), None));
    assert_eq!(joins(&app, &week, "kevin").await.status, 201);
    assert_eq!(joins(&app, &week, "kevin").await.status, 201, "whose answer was lost");
    let listed: Vec<Value> = david.get("/api/invites").await.json();
    assert_eq!(listed.len(), 3, "administrators see those that have ended");
    assert_eq!((&listed[1]["uses"], &listed[1]["creator"]["name"]), (&json!(1), &json!("jason")));
    assert_eq!(jason.get("/api/invites").await.json::<Vec<Value>>().len(), 2);
    let week_id = listed[1]["id"].as_i64().unwrap();
    let kevin = app.sign_in("kevin").await;
    let ends = async |who: &Person| {
        Answer::read(who.request(Method::DELETE, &format!("/api/invites/{week_id}"))).await.status
    };
    assert_eq!((ends(&kevin).await, ends(&jason).await), (403, 204));
    assert_eq!(joins(&app, &week, "bender").await.status, 404);
    let odd = david.send(Method::POST, "/api/invites", &json!({"days": 2})).await;
    assert_eq!(odd.refusal(), (422, "validation".into(), Some("days".into())));
    // The welcome card offers the first link for as long as it works.
    let card = david.get("/rooms/1").await.text();
    let first = app.join_code().await;
    assert!(card.contains(&format!("/join/{first}")));
    let page = david.get("/account/invites").await.text();
    assert!(page.contains("Ended") && page.contains("Expired") && page.contains("Open"));
    let qr = david.get("/account/invites/1").await.text();
    assert!(qr.contains("<svg class=\"qr\"") && !qr.contains("style="), "{qr}");
}

#[tokio::test]
async fn a_ban_ends_everything_at_once_and_keeps_out() {
    let app = TestApp::start_with(&["--limits", "off", "--trusted-proxies", "127.0.0.1"]).await;
    let david = app.first_run("david").await;
    let (code, jason) = (app.join_code().await, app.join("jason").await);
    let from = async |ip: &str, name: &str| {
        let request = app.http.post(app.url(&format!("/api/join/{code}"))).json(&sign_up(name));
        Answer::read(request.header("x-forwarded-for", ip)).await.status
    };
    // Jason has been here, in an office, and at a place that kevin uses as well.
    for ip in ["198.51.100.7", "192.168.1.4", "203.0.113.9", "2001:db8:1:2::5"] {
        let form = json!({"email_address": email("jason"), "password": PASSWORD});
        let request = app.http.post(app.url("/api/session")).json(&form);
        assert_eq!(Answer::read(request.header("x-forwarded-for", ip)).await.status, 201);
    }
    assert_eq!(from("203.0.113.9", "kevin").await, 201);
    let mut tab = jason.watches(ALL_TALK).await;
    assert_eq!(changes(&david, &jason, json!({"status": "banned"})).await.status, 204);
    is_cut(&mut tab).await;
    assert_eq!(jason.get("/api/me").await.status, 401);
    assert_eq!(jason.posts("still here").perhaps_in(ALL_TALK).await.status, 401);
    let sign_in = json!({"email_address": email("jason"), "password": PASSWORD});
    let refused = app.post_as_nobody("/api/session", &sign_in).await;
    assert_eq!(refused.refusal().1, "wrong_credentials", "like somebody unknown");
    let shouted = json!({"name": "j", "email_address": "JASON@example.com", "password": PASSWORD});
    let again = app.post_as_nobody(&format!("/api/join/{code}"), &shouted).await;
    assert_eq!(again.status, 409, "by the same address, however it is written");
    assert_eq!(from("198.51.100.7", "other").await, 403);
    assert_eq!(from("2001:db8:1:2:ffff::1", "other").await, 403, "the whole /64");
    assert_eq!(from("192.168.1.4", "bender").await, 201, "an office is not locked out");
    assert_eq!(from("203.0.113.9", "owl").await, 201, "nor a place that others use");
    // Lifting it opens every door again.
    assert_eq!(changes(&david, &jason, json!({"status": "active"})).await.status, 204);
    assert_eq!(from("198.51.100.7", "other").await, 201);
    let jason = app.sign_in("jason").await;
    jason.posts("back").in_(ALL_TALK).await;
}

#[tokio::test]
async fn messages_of_the_banned_go_in_bounded_steps_and_after_a_restart() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let jason = app.join("jason").await;
    let kept = david.posts("kept").in_(ALL_TALK).await;
    for at in 0..130 {
        jason.posts(&format!("spam {at}")).in_(ALL_TALK).await;
    }
    let mut tab = david.watches(ALL_TALK).await;
    let cursor = david.page(ALL_TALK, "limit=1").await.cursor;
    let wish = json!({"status": "banned", "remove_messages": true});
    assert_eq!(changes(&david, &jason, wish).await.status, 204);
    for _ in 0..130 {
        tab.hears(|frame| matches!(frame, ServerFrame::MessageDeleted { .. })).await;
    }
    let left = david.page(ALL_TALK, "").await.messages;
    assert_eq!(left.iter().map(|message| message.id).collect::<Vec<_>>(), [kept.id]);
    let since = format!("since={}&limit=500", cursor.get());
    let replayed = david.page(ALL_TALK, &since).await.messages;
    assert!(replayed.len() == 130 && replayed.iter().all(|message| message.deleted));
    let mut sql = app.sql().await;
    assert_eq!(sql.number("SELECT count(*) FROM message_search").await, 1);
    // The last step, which finds nothing, has been taken too.
    timeout(PATIENCE, removed(&mut sql)).await.unwrap();
    // A stop in the middle: the wish stands in the database.
    sql.run("UPDATE messages SET deleted_at = NULL, body = 'x' WHERE id > 100").await;
    sql.run("UPDATE users SET removing_messages = 1 WHERE name = 'jason'").await;
    let app = app.restart().await;
    let mut sql = app.sql().await;
    timeout(PATIENCE, removed(&mut sql)).await.unwrap();
    let left = sql.number("SELECT count(*) FROM messages WHERE deleted_at IS NULL").await;
    assert_eq!(left, 1);
}

/// Waits until nobody's messages are being removed any more.
async fn removed(sql: &mut Sql) {
    while sql.number("SELECT sum(removing_messages) FROM users").await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn sessions_are_listed_and_ended_and_their_sockets_close_within_a_second() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let jason = app.join("jason").await;
    let (laptop, phone) = (app.sign_in("david").await, app.sign_in("david").await);
    let (mut on_laptop, mut on_phone) = (laptop.watches(ALL_TALK).await, phone.watches(ALL_TALK).await);
    let mut here = david.watches(ALL_TALK).await;
    let listed: Vec<Value> = david.get("/api/sessions").await.json();
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[0]["current"], json!(true));
    let own: Vec<Value> = laptop.get("/api/sessions").await.json();
    let path = format!("/api/sessions/{}", own[0]["id"]);
    let ends = |who: &Person, path: &str| Answer::read(who.request(Method::DELETE, path));
    assert_eq!(ends(&jason, &path).await.status, 404, "another's session");
    assert_eq!(ends(&david, &path).await.status, 204);
    is_cut(&mut on_laptop).await;
    assert_eq!(laptop.get("/api/me").await.status, 401);
    assert_eq!(ends(&david, "/api/sessions").await.status, 204);
    is_cut(&mut on_phone).await;
    here.is_answered().await;
}

#[tokio::test]
async fn a_new_password_wants_the_old_one_and_ends_every_other_session() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let other = app.sign_in("david").await;
    let link = makes_link(&david, "/api/me/link").await;
    let mut tab = other.watches(ALL_TALK).await;
    let put = async |current: &str, password: &str| {
        let body = json!({"current_password": current, "password": password});
        david.send(Method::PUT, "/api/me/password", &body).await
    };
    let wrong = put("a wrong password", "another long password").await;
    assert_eq!(wrong.refusal(), (422, "validation".into(), Some("current_password".into())));
    assert_eq!(put(PASSWORD, "short").await.refusal().2.as_deref(), Some("password"));
    assert_eq!(other.get("/api/me").await.status, 200, "nothing has happened yet");
    assert_eq!(put(PASSWORD, "another long password").await.status, 204);
    is_cut(&mut tab).await;
    assert_eq!((other.get("/api/me").await.status, david.get("/api/me").await.status), (401, 200));
    let old = json!({"email_address": email("david"), "password": PASSWORD});
    assert_eq!(app.post_as_nobody("/api/session", &old).await.status, 401);
    assert_eq!(submits(&app, &link, "").await.status, 404, "links made before are worthless");
}

#[tokio::test]
async fn a_sign_in_link_works_once_and_looking_at_it_changes_nothing() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let link = makes_link(&david, "/api/me/link").await;
    let token = link.rsplit('/').next().unwrap();
    let stored = app.sql().await.texts("SELECT hex(token_digest) FROM links").await;
    assert!(stored.len() == 1 && !stored[0].contains(token));
    for _ in 0..3 {
        let page = app.get_as_nobody(&link).await;
        assert!(page.status == 200 && page.text().contains("as david"), "{}", page.text());
    }
    let first = submits(&app, &link, "").await;
    assert_eq!((first.status, first.header("location")), (303, Some("/")));
    assert!(first.header("set-cookie").unwrap().starts_with("session_token="));
    assert_eq!(submits(&app, &link, "").await.status, 404);
    assert_eq!(app.get_as_nobody(&link).await.status, 404);
    let late = makes_link(&david, "/api/me/link").await;
    app.clock.advance(Duration::from_secs(10 * 60));
    assert_eq!(submits(&app, &late, "").await.status, 404);
}

#[tokio::test]
async fn a_reset_link_sets_a_password_once_and_says_who_made_it() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let jason = app.join("jason").await;
    let path = format!("/api/users/{}/reset", jason.id);
    assert_eq!(jason.send(Method::POST, &path, &json!({})).await.status, 403);
    let link = makes_link(&david, &path).await;
    assert!(app.get_as_nobody(&link).await.text().contains("jason"));
    let short = submits(&app, &link, "password=short").await;
    assert!(short.status == 422 && short.text().contains("at least 10"), "{}", short.text());
    assert_eq!(submits(&app, &link.replace("reset", "link"), "").await.status, 404, "no other use");
    let mut tab = jason.watches(ALL_TALK).await;
    assert_eq!(submits(&app, &link, "password=a+brand+new+password").await.status, 303);
    is_cut(&mut tab).await;
    assert_eq!(submits(&app, &link, "password=a+brand+new+password").await.status, 404);
    let form = json!({"email_address": email("jason"), "password": "a brand new password"});
    let me: Value = app.post_as_nobody("/api/session", &form).await.json();
    let jason = jason.with_token(me["token"].as_str().unwrap());
    let profile = jason.get(&format!("/users/{}", jason.id)).await.text();
    assert!(profile.contains("Your password was reset") && profile.contains("david"));
    let seen = david.get(&format!("/users/{}", jason.id)).await.text();
    assert!(!seen.contains("Your password was reset"), "only they see it");
}

#[tokio::test]
async fn a_new_name_shows_everywhere_at_once() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let jason = app.join("jason").await;
    jason.posts("hello").in_(ALL_TALK).await;
    assert_eq!(david.page(ALL_TALK, "").await.messages[0].creator.name, "jason");
    let mut tab = david.watches(ALL_TALK).await;
    let _present = jason.watches(ALL_TALK).await;
    let body = json!({"name": "Jason F", "email_address": "J@example.com", "bio": "Paddles."});
    assert_eq!(jason.send(Method::PATCH, "/api/me", &body).await.status, 204);
    let renamed =
        |frame: &ServerFrame| matches!(frame, ServerFrame::Person { user } if user.name == "Jason F");
    tab.hears(renamed).await;
    assert_eq!(david.page(ALL_TALK, "").await.messages[0].creator.name, "Jason F");
    assert_eq!(jason.posts("again").in_(ALL_TALK).await.creator.name, "Jason F");
    assert!(david.get("/rooms/1").await.text().contains("Jason F"));
    let card: Value = david.get(&format!("/api/users/{}", jason.id)).await.json();
    assert_eq!((&card["bio"], &card["email_address"]), (&json!("Paddles."), &json!("j@example.com")));
    let card: Value = jason.get(&format!("/api/users/{}", david.id)).await.json();
    assert_eq!(card.get("email_address"), None, "addresses are for administrators");
    let taken = json!({"name": "J", "email_address": email("david"), "bio": ""});
    let refused = jason.send(Method::PATCH, "/api/me", &taken).await;
    assert_eq!(refused.refusal(), (422, "validation".into(), Some("email_address".into())));
}

#[tokio::test]
async fn a_right_that_was_taken_away_is_gone_at_once() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let jason = app.join("jason").await;
    assert_eq!(changes(&david, &jason, json!({"role": "administrator"})).await.status, 204);
    assert_eq!(jason.get("/account/settings").await.status, 200);
    assert_eq!(changes(&jason, &david, json!({"role": "member"})).await.status, 204);
    assert_eq!(david.get("/account/settings").await.status, 403);
    assert_eq!(changes(&david, &jason, json!({"role": "member"})).await.status, 403);
    let bot = changes(&jason, &david, json!({"role": "bot"})).await;
    assert_eq!(bot.status, 403, "nobody becomes a program");
}

#[tokio::test]
async fn where_only_administrators_create_rooms_nobody_else_does() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let jason = app.join("jason").await;
    assert!(jason.get("/rooms/1").await.text().contains("href=\"/rooms/new\""));
    let mut tab = jason.watches(ALL_TALK).await;
    let rule = json!({"account_name": "Saltmarsh", "room_creators": "administrators"});
    assert_eq!(jason.send(Method::PATCH, "/api/account", &rule).await.status, 403);
    assert_eq!(david.send(Method::PATCH, "/api/account", &rule).await.status, 204);
    tab.hears(|frame| matches!(frame, ServerFrame::Account { name } if name == "Saltmarsh")).await;
    let page = jason.get("/rooms/1").await.text();
    assert!(page.contains("Saltmarsh") && !page.contains("href=\"/rooms/new\""));
    let room = json!({"name": "Mine", "kind": "open"});
    assert_eq!(jason.send(Method::POST, "/api/rooms", &room).await.status, 403);
    assert_eq!(jason.get("/rooms/new").await.status, 403);
    david.opens_room("Theirs").await;
}

#[tokio::test]
async fn styles_are_a_file_of_their_own_that_a_page_can_do_without() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let put =
        async |styles: &str| david.send(Method::PUT, "/api/account/styles", &json!({"styles": styles})).await;
    let hostile = "</style><script>alert(1)</script> :root { --accent-hue: 155 }";
    assert_eq!(put(hostile).await.status, 204);
    let page = david.get("/rooms/1").await.text();
    let at = page.find("/account/styles/").expect("the page links it");
    assert!(page.find("pkg/campfire.css").unwrap() < at, "after the product's own");
    let address = page.split_at(at).1.split('"').next().unwrap().to_owned();
    assert!(!page.contains("alert(1)"));
    let file = david.get(&address).await;
    assert_eq!(file.text(), hostile);
    assert_eq!(file.header("content-type"), Some("text/css; charset=utf-8"));
    assert!(file.header("cache-control").unwrap().contains("immutable"));
    assert!(file.header("content-security-policy").unwrap().contains("style-src 'self'"));
    for plain in ["/rooms/1?plain=1", "/account/settings?plain=1", "/users/1?a=b&plain=1"] {
        assert!(!david.get(plain).await.text().contains("href=\"/account/styles/"), "{plain}");
    }
    assert_eq!(put(&"x".repeat(64 * 1024 + 1)).await.refusal().2.as_deref(), Some("styles"));
    assert_eq!(put("a\0b").await.refusal().2.as_deref(), Some("styles"));
    assert_eq!(put("").await.status, 204);
    assert_eq!(david.get(&address).await.status, 404);
    assert!(!david.get("/rooms/1").await.text().contains("href=\"/account/styles/"));
}

#[tokio::test]
async fn the_list_of_people_is_paged_searched_and_managed() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let jason = app.join("jason").await;
    app.add_people(520).await;
    let first = david.get("/account/edit").await.text();
    assert!(first.contains("More people") && first.contains("data-filter"));
    assert_eq!(first.matches("data-name=").count(), 500);
    let second = david.get("/account/edit?search=&page=1").await.text();
    assert_eq!(second.matches("data-name=").count(), 22, "without repeating anybody");
    let found = david.get("/account/edit?search=JAS%25").await.text();
    assert_eq!(found.matches("data-name=").count(), 0, "nothing is a wildcard");
    let found = david.get("/account/edit?search=JAS").await.text();
    assert!(found.matches("data-name=").count() == 1 && found.contains("Manage jason"));
    assert!(!jason.get("/account/edit?search=jas").await.text().contains("Manage"));
    let base = format!("/users/{}", jason.id);
    let kind = "application/x-www-form-urlencoded";
    let posts = async |path: &str, body: &'static str| {
        let request = david.browses(Method::POST, &format!("{base}/{path}"));
        Answer::read(request.header("content-type", kind).body(body)).await.status
    };
    assert_eq!(posts("deactivate", "").await, 303);
    assert!(david.get(&base).await.text().contains("Reactivate"));
    assert_eq!(posts("activate", "").await, 303);
    assert_eq!(posts("ban", "remove_messages=yes").await, 303);
    assert!(david.get(&base).await.text().contains("Lift ban"));
    assert_eq!(posts("activate", "").await, 303);
    assert_eq!(posts("role", "role=administrator").await, 303);
    assert!(david.get(&base).await.text().contains("Make member"));
    assert_eq!(posts("reset", "").await, 200);
}
