//! What holds for every request: what it may cost, where it may come from, what is said when it
//! cannot be read, and what everybody may look at.

use crate::harness::person::{Answer, Person};
use crate::harness::{PASSWORD, TestApp, client_id, email, sign_up};
use campfire::domain::error::ErrorBody;
use campfire::domain::{MessageId, RoomId};
use campfire::server::operation::Gap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ALL_TALK: RoomId = RoomId::new(1);
/// Every route of the product; a contract test keeps the list complete.
const RIGHTS: &str = include_str!("../../src/server/http/rights.txt");

fn form(request: RequestBuilder, body: &str) -> RequestBuilder {
    request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned())
}

/// An address with its gaps filled by things of its own: somebody to be managed, a link to be used
/// up, a session to be ended, a message to be changed.
async fn address_of(app: &TestApp, david: &Person, (route, path): (&str, &str), name: &str) -> String {
    let code = app.join_code().await;
    let message = david.posts("to be changed").in_(ALL_TALK).await.id;
    let victim = if route.contains("{user_id}/") || route.starts_with("PATCH /api/users") {
        app.join(name).await.id
    } else {
        1
    };
    let invite = david.send(Method::POST, "/api/invites", &json!({})).await.json::<Value>();
    let new_link = async |path: &str| {
        let url = david.send(Method::POST, path, &json!({})).await.json::<Value>();
        url["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    };
    let (link, reset) = match route {
        _ if route.contains("/session/link") => (new_link("/api/me/link").await, String::new()),
        _ if route.contains("/session/reset") => {
            let somebody = app.join(name).await.id;
            (String::new(), new_link(&format!("/api/users/{somebody}/reset")).await)
        }
        _ => (String::new(), String::new()),
    };
    let other = match route.contains("sessions/{id}") {
        true => {
            let other = app.sign_in("david").await;
            other.get("/api/sessions").await.json::<Value>()[0]["id"].to_string()
        }
        false => String::new(),
    };
    let styles = json!({"styles": "body { color: red }"});
    david.send(Method::PUT, "/api/account/styles", &styles).await;
    let file = app.running.app.find_account().await.unwrap().unwrap().styles.clone().unwrap();
    // What ends a room, or one's place in it, has a room of its own.
    let room = if ["leave", "delete", "DELETE /api/rooms"].iter().any(|way| route.contains(way)) {
        david.opens_closed_room("to be left", &[]).await.id
    } else {
        ALL_TALK
    };
    let room = if route.contains("messages") { ALL_TALK } else { room };
    path.replace("invites/{id}", &format!("invites/{}", invite["id"]))
        .replace("sessions/{id}", &format!("sessions/{other}"))
        .replace("link/{token}", &format!("link/{link}"))
        .replace("reset/{token}", &format!("reset/{reset}"))
        .replace("{file}", &format!("{file}.css"))
        .replace("{room_id}/{at}", &format!("{{room_id}}/@{message}"))
        .replace("{room_id}", &room.to_string())
        .replace("{user_id}", &victim.to_string())
        .replace("{id}", &message.to_string())
        .replace("{code}", &code)
        .replace("{build}/{*path}", "0123456789abcdef/favicon.svg")
}

/// Requests about people and how they get in.
fn about_people(app: &TestApp, who: &Person, (route, path): (&str, &str)) -> Option<RequestBuilder> {
    let method: Method = route.split_once(' ').unwrap().0.parse().unwrap();
    Some(match route {
        "POST /session/link/{token}" | "POST /session/reset/{token}" => {
            let request = app.http.post(app.url(path)).header("sec-fetch-site", "same-origin");
            form(request, "password=a+long+password")
        }
        "GET /session/link/{token}" | "GET /session/reset/{token}" => app.http.get(app.url(path)),
        "POST /account" => form(who.browses(method, path), "account_name=Campfire"),
        "POST /account/styles" => form(who.browses(method, path), "styles=a+%7B+color%3A+red+%7D"),
        "POST /account/invites" => form(who.browses(method, path), "days=7&max_uses=0"),
        "POST /users/me/profile" => {
            form(who.browses(method, path), "name=david&email_address=david%40example.com&bio=")
        }
        "POST /users/me/password" => {
            let same = "correct+horse+battery+staple";
            let body = format!("current_password={same}&password={same}");
            form(who.browses(method, path), &body)
        }
        "POST /users/{user_id}/role" => form(who.browses(method, path), "role=member"),
        "POST /users/{user_id}/ban" => form(who.browses(method, path), "remove_messages=yes"),
        "PATCH /api/users/{user_id}" => who.request(method, path).json(&json!({"role": "member"})),
        "PATCH /api/account" => who.request(method, path).json(&json!({"account_name": "C"})),
        "PUT /api/account/styles" => {
            who.request(method, path).json(&json!({"styles": "body { color: red }"}))
        }
        "POST /api/invites" => who.request(method, path).json(&json!({})),
        "PATCH /api/me" => {
            let body = json!({"name": "david", "email_address": email("david")});
            who.request(method, path).json(&body)
        }
        "PUT /api/me/password" => {
            let body = json!({"current_password": PASSWORD, "password": PASSWORD});
            who.request(method, path).json(&body)
        }
        _ => return None,
    })
}

/// A request to `route` that does what the route is for, with a message or a session of its own
/// to change.
async fn request_to(app: &TestApp, david: &Person, route: &str) -> RequestBuilder {
    // The stored line ends with the right that the route asks for.
    let (route, _right) = route.rsplit_once(' ').unwrap();
    let (method, path) = route.split_once(' ').unwrap();
    let method: Method = method.parse().unwrap();
    let name = client_id().to_string();
    let path = address_of(app, david, (route, path), &name).await;
    // Signing out spoils no other case; ending all other sessions would, from any but this one.
    let ends_itself = route.contains("session") && !route.contains("sessions");
    let who = if ends_itself { app.sign_in("david").await } else { david.clone() };
    let credentials = json!({"email_address": email("david"), "password": PASSWORD});
    let newcomer =
        format!("account_name=C&name={name}&email_address={name}%40example.com&password=a+long+password");
    if let Some(request) = about_people(app, &who, (route, &path)) {
        return request;
    }
    match route {
        "POST /api/first_run" | "POST /api/join/{code}" => {
            app.http.post(app.url(&path)).json(&sign_up(&name))
        }
        "POST /api/session" => app.http.post(app.url(&path)).json(&credentials),
        "POST /session" => {
            let body = "email_address=david%40example.com&password=correct+horse+battery+staple";
            form(app.http.post(app.url(&path)).header("sec-fetch-site", "same-origin"), body)
        }
        "POST /first_run" | "POST /join/{code}" => {
            form(app.http.post(app.url(&path)).header("sec-fetch-site", "same-origin"), &newcomer)
        }
        "GET /join/{code}" | "GET /first_run" | "GET /session/new" => app.http.get(app.url(&path)),
        "POST /theme" => form(who.browses(method, &path), "theme=dark"),
        "POST /searches" => form(who.browses(method, &path), "q=hello"),
        "POST /rooms" => form(who.browses(method, &path), "name=Designers"),
        "POST /rooms/{room_id}/messages" => form(who.browses(method, &path), "body=hello"),
        "POST /rooms/{room_id}/messages/{id}/boosts" => form(who.browses(method, &path), "content=hi"),
        "POST /api/messages/{id}/boosts" => who.request(method, &path).json(&json!({"content": "hi"})),
        "DELETE /api/messages/{id}/boosts" => who.request(method, &format!("{path}?content=hi")),
        "POST /activity/seen" => form(who.browses(method, &path), "seen=1"),
        "PUT /api/activity/seen" => who.request(method, &path).json(&json!({"seen": 1})),
        "POST /rooms/{room_id}/messages/{id}/edit" => form(who.browses(method, &path), "body=better"),
        "POST /rooms/directs" => form(who.browses(method, &path), "user_ids=1"),
        "POST /rooms/{room_id}/edit" => {
            form(who.browses(method, &path), "name=All+Talk&topic=Everything&kind=open")
        }
        "POST /rooms/{room_id}/involvement" => form(who.browses(method, &path), "involvement=everything"),
        "POST /rooms/{room_id}/star" => form(who.browses(method, &path), "starred=true"),
        "PATCH /api/rooms/{room_id}" => who.request(method, &path).json(&json!({"topic": name})),
        "PUT /api/rooms/{room_id}/involvement" => {
            who.request(method, &path).json(&json!({"involvement": "mentions"}))
        }
        "PUT /api/rooms/{room_id}/star" => who.request(method, &path).json(&json!({"starred": true})),
        "POST /api/rooms" => who.request(method, &path).json(&json!({"name": "R", "kind": "open"})),
        "POST /api/rooms/{room_id}/messages" => {
            who.request(method, &path).json(&json!({"body": "@david #All Talk", "client_message_id": name}))
        }
        "POST /api/rooms/{room_id}/preview" => {
            who.request(method, &path).json(&json!({"body": "@david #All Talk"}))
        }
        "PUT /api/rooms/{room_id}/read" => who.request(method, &path).json(&json!({"message_id": 1})),
        "PUT /api/rooms/{room_id}/unread" => who.request(method, &path).json(&json!({"message_id": 1})),
        "PATCH /api/messages/{id}" => who.request(method, &path).json(&json!({"body": "better"})),
        "GET /ws" => who
            .request(method, &path)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        _ if path.starts_with("/api/") => who.request(method, &path),
        _ => who.browses(method, &path),
    }
}

#[tokio::test]
async fn no_route_costs_more_than_three_statements_warm_or_cold() {
    let mut app = TestApp::start().await;
    let mut david = app.first_run("david").await;
    let (mut costs, mut over) = (Vec::new(), Vec::new());
    for route in RIGHTS.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', 'W'])) {
        // As after a restart: the request is built before, and then memory knows nothing.
        let request = request_to(&app, &david, route).await.build().unwrap();
        let path = format!("{}?{}", request.url().path(), request.url().query().unwrap_or(""));
        app = app.restart().await;
        david = app.meet(&david);
        let url = app.url(path.trim_end_matches('?'));
        let cold = app.http.request(request.method().clone(), url).headers(request.headers().clone());
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default().to_vec();
        let cold = Answer::read(cold.body(body)).await;

        Answer::read(david.browses(Method::GET, "/rooms/1")).await;
        let warm = Answer::read(request_to(&app, &david, route).await).await;
        assert_eq!(cold.status, warm.status, "{route}: {}", cold.text());
        let works = matches!(cold.status, 101 | 200..400);
        let known = route.contains("first_run") || route.contains("/assets/");
        assert!(works || known, "{route} was not exercised: {} {}", cold.status, cold.text());
        for (state, answer) in [("cold", &cold), ("warm", &warm)] {
            costs.push(format!("{} {state} {route}", answer.statements()));
            if answer.statements() > 3 {
                over.push(format!("{} {state} {route}", answer.statements()));
            }
        }
    }
    println!("{costs:#?}");
    assert!(over.is_empty(), "{over:#?}");
}

#[tokio::test]
async fn setting_up_and_broken_forms_cost_at_most_three_statements_too() {
    let app = TestApp::start().await;
    let first = app.post_as_nobody("/api/first_run", &sign_up("david")).await;
    assert_eq!((first.status, first.statements()), (201, 2));
    let david = app.sign_in("david").await;
    let message = david.posts("mine").in_(ALL_TALK).await.id;
    let broken = [
        ("/rooms".to_owned(), "name="),
        ("/rooms/1/edit".to_owned(), "name=&kind=closed"),
        ("/rooms/1/involvement".to_owned(), "involvement=loud"),
        ("/rooms/1/messages".to_owned(), "body="),
        (format!("/rooms/1/messages/{message}/edit"), "body="),
        ("/rooms/1/messages/99/edit".to_owned(), "body=x"),
        ("/account".to_owned(), "account_name="),
        ("/users/me/profile".to_owned(), "name=&email_address=&bio="),
        ("/users/me/password".to_owned(), "current_password=x&password=a+long+password"),
    ];
    let mut over = Vec::new();
    let (mut app, mut david) = (app, david);
    for (path, body) in &broken {
        app = app.restart().await;
        david = app.meet(&david);
        for state in ["cold", "warm"] {
            let answer = Answer::read(form(david.browses(Method::POST, path), body)).await;
            assert!(answer.status >= 400, "{path}");
            if answer.statements() > 3 {
                over.push(format!("{} {state} {path} {body}", answer.statements()));
            }
            Answer::read(david.browses(Method::GET, "/rooms/1")).await;
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}

#[tokio::test]
async fn nothing_changes_for_a_request_from_another_site() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let message = david.posts("stays").in_(ALL_TALK).await.id;
    let mut sql = app.sql().await;
    let before = sql.row_counts().await;
    let cookie = format!("session_token={}", david.token);
    let evil: [&[(&str, &str)]; 7] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "nonsense")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:1"), ("content-type", "application/json")],
        &[("content-type", "text/plain")],
    ];
    let calls = [
        (Method::POST, "/rooms".to_owned(), "name=Evil"),
        (Method::POST, "/rooms/1/messages".to_owned(), "body=evil"),
        (Method::POST, format!("/rooms/1/messages/{message}/delete"), ""),
        (Method::POST, "/session/end".to_owned(), ""),
        (Method::POST, "/theme".to_owned(), "theme=dark"),
        (Method::POST, "/api/rooms".to_owned(), r#"{"name":"Evil","kind":"open"}"#),
    ];
    for headers in evil {
        for (method, path, body) in &calls {
            let mut request = app.http.request(method.clone(), app.url(path));
            request = request.header("cookie", &cookie).body((*body).to_owned());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = Answer::read(request).await;
            assert_eq!(answer.status, 403, "{path} {headers:?}");
            assert!(answer.header("set-cookie").is_none());
        }
    }
    // Browsers name the origin with every method that is not safe.
    for (method, path) in
        [(Method::DELETE, format!("/api/messages/{message}")), (Method::DELETE, "/api/session".into())]
    {
        let request = app.http.request(method, app.url(&path)).header("cookie", &cookie);
        let answer = Answer::read(request.header("origin", "https://evil.example")).await;
        assert_eq!(answer.refusal(), (403, "cross_site".into(), None));
    }
    assert_eq!(sql.row_counts().await, before);
    assert_eq!(david.get("/api/me").await.status, 200);
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused_in_words() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let path = "/api/rooms/1/messages";
    let id = client_id();
    let with_bad_text = [
        format!(r#"{{"client_message_id":"{id}","body":"a"#).as_bytes(),
        &[0xff, 0xfe, 0xc0, 0x80],
        br#""}"#,
    ]
    .concat();
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"text\"".to_vec(),
        b"body=hi".to_vec(),
        br#"{"body":7,"client_message_id":"x"}"#.to_vec(),
        br#"{"body":"half \ud800 surrogate","client_message_id":"x"}"#.to_vec(),
        b"[".repeat(100_000),
        with_bad_text,
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let request = david.request(Method::POST, path).header("content-type", "application/json");
        let answer = Answer::read(request.body(body)).await;
        assert_eq!(answer.refusal(), (400, "malformed".into(), None), "{shown}");
        let error = answer.error();
        assert!(error.request_id.is_some() && error.message.ends_with('.'), "{error:?}");
    }
    let request = david.request(Method::POST, path).header("content-type", "application/json");
    let answer = Answer::read(request.body(vec![b' '; 513 * 1024])).await;
    assert_eq!(answer.refusal(), (413, "too_large".into(), None));
    assert_eq!(app.sql().await.number("SELECT count(*) FROM messages").await, 0);
}

#[tokio::test]
async fn forms_that_cannot_be_read_are_refused_as_pages() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    for (body, status) in [("", 400), ("other=1", 400), ("body=1&body=2", 400), ("body", 422)] {
        let answer = Answer::read(form(david.browses(Method::POST, "/rooms/1/messages"), body)).await;
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{body}");
    }
    let huge = format!("body={}", "x".repeat(513 * 1024));
    let answer = Answer::read(form(david.browses(Method::POST, "/rooms/1/messages"), &huge)).await;
    assert_eq!(answer.status, 413);
    assert_eq!(app.sql().await.number("SELECT count(*) FROM messages").await, 0);
}

#[tokio::test]
async fn addresses_that_are_none_are_answered_in_the_readers_form() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let api = ["/api/nothing", "/api/rooms/one/messages", "/api/rooms/9223372036854775808/messages"];
    for path in api {
        assert_eq!(david.get(path).await.refusal(), (404, "not_found".into(), None), "{path}");
    }
    for path in ["/nothing", "/rooms/x", "/rooms/1/7", "/rooms/1/@x", "/users/-1", "/rooms/1/@9/x"] {
        let answer = Answer::read(david.browses(Method::GET, path)).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{path}");
    }
    let last = Answer::read(david.browses(Method::GET, "/rooms/1/@9223372036854775807")).await;
    assert!(matches!(last.status, 200 | 404), "the largest id overflows nothing");
}

#[tokio::test]
async fn a_method_that_an_address_does_not_take_is_405() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    for (method, path) in [
        (Method::PUT, "/api/me"),
        (Method::DELETE, "/api/rooms"),
        (Method::GET, "/api/messages/1"),
        (Method::DELETE, "/session"),
        (Method::PATCH, "/health"),
    ] {
        let answer = Answer::read(david.request(method.clone(), path)).await;
        assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text());
        assert!(answer.header("allow").is_some(), "{method} {path}");
    }
}

#[tokio::test]
async fn reloading_the_address_of_a_failed_form_leads_back_to_the_form() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    for (address, back) in [
        ("/session", "/session/new"),
        ("/rooms", "/rooms/new"),
        ("/rooms/1/messages", "/rooms/1"),
        ("/rooms/1/messages/1/delete", "/rooms/1"),
        ("/searches/clear", "/searches"),
        ("/theme", "/"),
    ] {
        let answer = Answer::read(david.browses(Method::GET, address)).await;
        assert_eq!(answer.status, 303, "{address}: {}", answer.text());
        assert_eq!(answer.header("location"), Some(back), "{address}");
    }
}

#[tokio::test]
async fn a_refused_upgrade_says_why_as_json() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let anonymous = app.get_as_nobody("/ws").await;
    let foreign =
        Answer::read(david.request(Method::GET, "/ws").header("origin", "https://evil.example")).await;
    let plain = david.get("/ws").await;
    for (answer, code) in [(anonymous, "unauthenticated"), (foreign, "cross_site"), (plain, "malformed")] {
        let body: Result<ErrorBody, _> = serde_json::from_str(&answer.text());
        assert_eq!(body.map(|body| body.error.code).ok().as_deref(), Some(code), "{}", answer.text());
    }
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut answers = vec![
        app.get_as_nobody("/session/new").await,
        app.get_as_nobody("/nothing").await,
        app.get_as_nobody("/api/me").await,
        app.get_as_nobody("/up").await,
        app.get_as_nobody("/assets/x/y").await,
        Answer::read(app.http.post(app.url("/rooms"))).await,
        david.get("/api/rooms").await,
    ];
    for path in ["/rooms/1", "/account/edit", "/users/1", "/rooms/new"] {
        answers.push(Answer::read(david.browses(Method::GET, path)).await);
    }
    for answer in answers {
        let policy = answer.header("content-security-policy").unwrap();
        for rule in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(rule), "{policy}");
        }
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"));
        assert!(answer.header("referrer-policy").is_some());
        assert!(answer.header("strict-transport-security").is_none(), "not over plain HTTP");
        let caching = answer.header("cache-control").unwrap();
        assert!(caching.contains("no-store"), "{caching}");
    }
}

#[tokio::test]
async fn what_people_write_stays_text_on_every_page() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let attack = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \u{2028}<!--";
    let room = david.opens_room("<script>alert(3)</script>").await.id;
    let message = david.posts(attack).in_(room).await;
    let edited = david.posts("before").in_(room).await;
    david.edits(edited.id, attack).await;
    let code = app.join_code().await;
    let named = json!({
        "name": "<script>alert(4)</script>", "email_address": "x@example.com", "password": PASSWORD
    });
    app.post_as_nobody(&format!("/api/join/{code}"), &named).await;
    let pages = [
        format!("/rooms/{room}"),
        format!("/rooms/{room}/@{}", message.id),
        format!("/rooms/{room}/messages/{}/edit", message.id),
        "/rooms/1".to_owned(),
        "/account/edit".to_owned(),
        "/users/2".to_owned(),
    ];
    for path in pages {
        let page = Answer::read(david.browses(Method::GET, &path)).await;
        assert_eq!(page.status, 200, "{path}");
        let text = page.text();
        assert!(!text.contains("<script>alert"), "{path}");
        assert!(!text.contains("<img src=x"), "{path}");
    }
}

#[tokio::test]
async fn a_form_that_is_sent_twice_says_it_once_and_a_broken_one_keeps_the_text() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let body = "body=sent+by+form&after=7";
    for _ in 0..2 {
        let answer = Answer::read(form(david.browses(Method::POST, "/rooms/1/messages"), body)).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/rooms/1")));
    }
    assert_eq!(david.page(ALL_TALK, "").await.messages.len(), 1);
    let page = Answer::read(david.browses(Method::GET, "/rooms/1")).await.text();
    assert!(page.contains("sent by form"));

    // The same words from a page that shows them are said again; another's are another's.
    let again = "body=sent+by+form&after=8";
    let jason = app.join("jason").await;
    for who in [&david, &jason] {
        Answer::read(form(who.browses(Method::POST, "/rooms/1/messages"), again)).await;
    }
    assert_eq!(david.page(ALL_TALK, "").await.messages.len(), 3);

    let long = format!("unsent{}", "x".repeat(10_001));
    let body = format!("body={long}");
    let answer = Answer::read(form(david.browses(Method::POST, "/rooms/1/messages"), &body)).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains(&long), "what was typed is not lost");
}

#[tokio::test]
async fn the_metrics_show_all_67_gaps() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let text = app.get_as_nobody("/metrics").await.text();
    let shown: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("campfire_gaps_total{gap=\""))
        .filter_map(|line| line.split_once('"').map(|(gap, _)| gap))
        .collect();
    assert_eq!(shown.len(), 67);
    assert!(Gap::ALL.iter().all(|gap| shown.contains(gap.id())));
    for name in ["campfire_requests_total", "campfire_request_seconds", "campfire_connections"] {
        let _tab = david.watches(ALL_TALK).await;
        let text = app.get_as_nobody("/metrics").await.text();
        assert!(text.contains(name), "{name}");
    }
    // A proxy on this computer speaks for the world: it forwards, or asks for the chat by name.
    for (name, value) in [("x-forwarded-for", "203.0.113.9"), ("host", "chat.example.com")] {
        let ask = |person: &Person| person.request(Method::GET, "/metrics").header(name, value);
        assert_eq!(Answer::read(ask(&jason)).await.status, 404, "{name}");
        assert_eq!(Answer::read(ask(&david)).await.status, 200, "{name}: an administrator");
    }
}

#[tokio::test]
async fn health_tells_status_time_and_version() {
    let app = TestApp::start().await;
    let answer = app.get_as_nobody("/health").await;
    let expected = json!({
        "status": "ok",
        "timestamp": app.clock.now().to_string(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!((answer.status, answer.json::<serde_json::Value>()), (200, expected));
    assert_eq!(app.get_as_nobody("/up").await.status, 200);
}

#[tokio::test]
async fn a_panic_is_one_failed_request() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut tab = david.watches(ALL_TALK).await;
    tab.feels_a_pulse().await;
    app.clock.breaks(true);
    let answer = david.get("/api/me").await;
    app.clock.breaks(false);
    assert_eq!(answer.refusal(), (500, "unexpected".into(), None));
    assert_eq!(david.get("/api/me").await.status, 200);
    david.posts("unharmed").in_(ALL_TALK).await;
    tab.hears_message("unharmed").await;
}

#[tokio::test]
async fn a_kept_page_is_given_out_only_while_it_is_true() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let first = david.posts("an old word").in_(ALL_TALK).await;
    let page = async |who: &Person| Answer::read(who.browses(Method::GET, "/rooms/1")).await.text();
    let compressed = async || {
        let request = david.browses(Method::GET, "/rooms/1").header("accept-encoding", "br");
        Answer::read(request).await.text()
    };
    // From the second on it is the kept one, and the same to the byte.
    let (once, _, kept) = (page(&david).await, page(&david).await, page(&david).await);
    assert_eq!(once, kept);
    let small = (compressed().await, compressed().await);
    assert_eq!(small.0, small.1);
    assert_ne!(page(&jason).await, kept, "pages are personal");
    assert_eq!(page(&david).await, kept);

    david.edits(first.id, "a new word").await;
    let edited = page(&david).await;
    assert!(edited.contains("a new word") && !edited.contains("an old word"));
    assert_ne!(compressed().await, small.0);
    jason.posts("a second word").in_(ALL_TALK).await;
    assert!(page(&david).await.contains("a second word"));
    david.deletes(first.id).await;
    assert!(!page(&david).await.contains("a new word"));
    // What stands around the messages counts as well.
    let room = jason.opens_room("Designers").await;
    assert!(page(&david).await.contains("Designers"));
    jason.posts("elsewhere").in_(room.id).await;
    assert!(page(&david).await.contains("nav-item--unread"));
    let alone = page(&david).await;
    let _tab = jason.watches(ALL_TALK).await;
    assert_ne!(page(&david).await, alone, "jason is online");
    let dark = david.browses(Method::GET, "/rooms/1");
    let dark = Answer::read(dark.header("cookie", "theme=dark")).await.text();
    assert!(dark.contains("data-theme=\"dark\""));
    david.signs_out().await;
    assert_eq!(Answer::read(david.browses(Method::GET, "/rooms/1")).await.status, 303);
}

#[tokio::test]
async fn pages_are_compressed_and_small() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    for at in 0..40 {
        david.posts(&format!("A perfectly ordinary message, number {at}")).in_(ALL_TALK).await;
    }
    let page = david.browses(Method::GET, "/rooms/1").header("accept-encoding", "br");
    let page = Answer::read(page).await;
    assert_eq!(page.header("content-encoding"), Some("br"));
    assert!(page.size() <= 8 * 1024, "{} bytes", page.size());
    let plain = Answer::read(david.browses(Method::GET, "/rooms/1")).await;
    assert!(plain.text().contains("number 39"), "complete without scripts");
}

#[tokio::test]
async fn a_message_can_be_opened_in_its_place() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut ids: Vec<MessageId> = Vec::new();
    for at in 0..110 {
        ids.push(david.posts(&format!("message {at}.")).in_(ALL_TALK).await.id);
    }
    let page = Answer::read(david.browses(Method::GET, &format!("/rooms/1/@{}", ids[20]))).await;
    let text = page.text();
    assert!(text.contains("message 20.") && text.contains("message 21."), "its surroundings");
    assert!(!text.contains("message 109."));
    // At both ends, and where nothing is any more.
    for (at, expected) in [(0, "message 0."), (109, "message 109."), (500, "message 109.")] {
        let id = ids.get(at).map_or(100_000, |id| id.get());
        let page = Answer::read(david.browses(Method::GET, &format!("/rooms/1/@{id}"))).await;
        assert!(page.text().contains(expected), "@{id}");
    }
}
