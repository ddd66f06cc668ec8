//! What people add to each other's messages, whom they answer, and what concerns somebody: stored
//! once, told live, and gone with the right to see it.

use crate::harness::person::{Answer, Person};
use crate::harness::tab::Tab;
use crate::harness::{TestApp, client_id};
use campfire::domain::composing::{MAX_BOOSTS, MAX_BOOSTS_OF_ONE};
use campfire::domain::error::ErrorDetail;
use campfire::domain::event::ServerFrame;
use campfire::domain::message::Message;
use campfire::domain::{MessageId, RoomId};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

const ALL_TALK: RoomId = RoomId::new(1);

async fn boosts(who: &Person, id: MessageId, content: &str) -> Answer {
    let path = format!("/api/messages/{id}/boosts");
    who.send(Method::POST, &path, &json!({"content": content})).await
}

async fn takes_back(who: &Person, id: MessageId, content: &str) -> Answer {
    let escaped: String = content.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("/api/messages/{id}/boosts?content={escaped}");
    Answer::read(who.request(Method::DELETE, &path)).await
}

async fn replies(who: &Person, room_id: RoomId, to: MessageId, body: &str) -> Message {
    let body = json!({"body": body, "client_message_id": client_id(), "reply_to": to});
    let answer = who.send(Method::POST, &format!("/api/rooms/{room_id}/messages"), &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

async fn activity(who: &Person) -> Vec<Value> {
    let answer = who.get("/api/activity").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json::<Value>()["activity"].as_array().unwrap().clone()
}

/// Waits until a tab is told that so much is new.
async fn hears_of(tab: &mut Tab, count: u32) {
    tab.hears(|frame| matches!(frame, ServerFrame::Activity { unread } if *unread == count)).await;
}

/// What a message carries, as `content: names`.
fn shown(message: &Message) -> Vec<String> {
    let one = |one: &campfire::domain::composing::Reaction| {
        assert!(one.names.len() <= one.user_ids.len());
        format!("{}: {}", one.content, one.who())
    };
    message.boosts.iter().map(one).collect()
}

#[tokio::test]
async fn boosts_are_gathered_told_and_taken_back() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let message = david.posts("ready?").in_(ALL_TALK).await;
    let mut tab = jason.watches(ALL_TALK).await;

    assert_eq!(boosts(&david, message.id, " 👍 ").await.status, 201);
    assert_eq!(boosts(&jason, message.id, "ship it").await.status, 201);
    let answer = boosts(&jason, message.id, "👍").await;
    assert_eq!((answer.status, answer.statements()), (201, 1));
    let carried: Message = answer.json();
    assert_eq!(shown(&carried), ["👍: david and jason", "ship it: jason"]);
    assert!(carried.seq > message.seq && carried.edited_at.is_none());
    let again = boosts(&jason, message.id, "👍").await;
    assert_eq!(again.status, 200, "adding it again changes nothing");
    assert_eq!(again.json::<Message>(), carried);

    for count in 1..=3 {
        let wanted = |frame: &ServerFrame| matches!(frame, ServerFrame::MessageUpdated { .. });
        let ServerFrame::MessageUpdated { message } = tab.hears(wanted).await else { panic!() };
        let all: usize = message.boosts.iter().map(|one| one.user_ids.len()).sum();
        assert_eq!(all, count);
    }
    // Memory, the database and a page agree.
    assert_eq!(*jason.page(ALL_TALK, "").await.messages[0], carried);
    let app = app.restart().await;
    let (david, jason) = (app.meet(&david), app.meet(&jason));
    assert_eq!(*jason.page(ALL_TALK, "").await.messages[0], carried);

    assert_eq!(shown(&takes_back(&jason, message.id, "👍").await.json()).len(), 2);
    let left: Message = takes_back(&jason, message.id, "ship it").await.json();
    assert_eq!(shown(&left), ["👍: david"]);
    let not_mine = takes_back(&jason, message.id, "👍").await;
    assert_eq!(not_mine.json::<Message>(), left, "only one's own goes, administrators included");
    assert_eq!(app.sql().await.number("SELECT sum(boosts) FROM messages").await, 1);
    let edited = david.edits(message.id, "ready!").await;
    assert_eq!(edited.boosts, left.boosts);
    david.deletes(message.id).await;
    let mut sql = app.sql().await;
    assert_eq!(sql.number("SELECT count(*) FROM boosts").await, 0);
    assert_eq!(sql.number("SELECT boosts FROM messages").await, 0);
    assert_eq!(boosts(&jason, message.id, "👍").await.status, 404);
}

#[tokio::test]
async fn boosts_have_limits() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let message = david.posts("hello").in_(ALL_TALK).await.id;
    for (content, why) in
        [("", "Write"), ("12345678901234567", "16"), ("two\nlines", "one line"), (" \u{200b}", "")]
    {
        let answer = boosts(&david, message, content).await;
        assert_eq!(answer.refusal(), (422, "validation".into(), Some("content".into())), "{content}");
        assert!(answer.error().message.contains(why), "{}", answer.error().message);
    }
    assert_eq!(boosts(&david, message, "👩‍👩‍👧‍👦👩‍👩‍👧‍👦 sixteen").await.status, 201, "as people count");
    for at in 1..MAX_BOOSTS_OF_ONE {
        assert_eq!(boosts(&david, message, &format!("no. {at}")).await.status, 201);
    }
    let ErrorDetail { field, .. } = boosts(&david, message, "too many").await.error();
    assert_eq!(field.as_deref(), Some("content"));
    assert_eq!(boosts(&david, message, "no. 1").await.status, 200, "what is there stays");
    // Everybody together: the rest is put there without the server.
    let jason = app.join("jason").await;
    let mut sql = app.sql().await;
    sql.run(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})
         INSERT INTO users (name, email_address, password_digest, role, created_at)
         SELECT 'n' || i, i || '@example.net', '', 'member', 0 FROM n",
        MAX_BOOSTS - MAX_BOOSTS_OF_ONE
    ))
    .await;
    sql.run(&format!(
        "INSERT INTO boosts (seq, message_id, booster_id, author_id, content, created_at)
         SELECT 0, {message}, id, 1, '👍', 0 FROM users WHERE email_address LIKE '%example.net'"
    ))
    .await;
    sql.run(&format!("UPDATE messages SET boosts = {MAX_BOOSTS}")).await;
    assert_eq!(boosts(&jason, message, "👍").await.status, 422);
    let page = app.restart().await.meet(&jason).page(ALL_TALK, "").await;
    let thumbs = page.messages[0].boosts.last().unwrap();
    assert_eq!((thumbs.user_ids.len(), thumbs.names.len()), (MAX_BOOSTS - MAX_BOOSTS_OF_ONE, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_boost_from_many_tabs_is_one() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let message = david.posts("hello").in_(ALL_TALK).await.id;
    let all = join_all((0..24).map(|at| {
        let who = if at % 2 == 0 { &david } else { &jason };
        async move { boosts(who, message, "🔥").await.status }
    }))
    .await;
    assert_eq!(all.iter().filter(|status| **status == 201).count(), 2, "{all:?}");
    assert_eq!(all.iter().filter(|status| **status == 200).count(), 22);
    assert_eq!(app.sql().await.number("SELECT count(*) FROM boosts").await, 2);
}

#[tokio::test]
async fn a_tab_that_was_away_hears_of_boosts_as_changes() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let message = david.posts("hello").in_(ALL_TALK).await.id;
    let cursor = jason.page(ALL_TALK, "").await.cursor;
    boosts(&david, message, "👍").await;
    boosts(&jason, message, "👍").await;
    takes_back(&david, message, "👍").await;
    let mut tab = jason.connects().await;
    let hello = campfire::domain::event::ClientFrame::Hello {
        protocol: 1,
        incarnation: None,
        room_id: Some(ALL_TALK),
        cursor: Some(cursor),
    };
    tab.says(&hello).await;
    let missed = tab.hears_what_was_missed().await.unwrap();
    assert_eq!(missed.len(), 1);
    assert_eq!(shown(&missed[0]), ["👍: jason"]);
}

#[tokio::test]
async fn a_reply_quotes_its_original_as_it_is_now_and_tells_its_author() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let original = david.posts("one\n two").in_(ALL_TALK).await;
    let mut tab = david.connects().await;
    tab.greets(None, None, None).await;
    let reply = replies(&jason, ALL_TALK, original.id, "three").await;
    let quote = reply.reply_to.clone().unwrap();
    assert_eq!((quote.id, quote.creator.id.get(), &*quote.excerpt), (original.id, david.id, "one two"));
    assert!(reply.mentions(david.user_id()) && !reply.mentions(jason.user_id()));
    let heard = tab.hears(|frame| matches!(frame, ServerFrame::RoomActivity { .. })).await;
    assert!(matches!(heard, ServerFrame::RoomActivity { mention: true, .. }));
    assert_eq!(david.sidebar(ALL_TALK).await.mentions, 1);
    let own = replies(&jason, ALL_TALK, reply.id, "to myself").await;
    assert!(own.reply_to.is_some());
    assert_eq!(app.sql().await.number("SELECT count(*) FROM mentions").await, 1, "not to oneself");

    // Warm memory and a fresh read say the same, whatever becomes of the original.
    let quoted = async |who: &Person| {
        let page = who.page(ALL_TALK, "").await;
        let reply = page.messages.iter().find(|one| one.id == reply.id).unwrap().clone();
        reply.reply_to.clone().map(|quote| (quote.creator.name, quote.excerpt))
    };
    david.edits(original.id, "four").await;
    assert_eq!(quoted(&jason).await.unwrap().1, "four");
    let edited = jason.edits(reply.id, "three and a half").await;
    assert_eq!(edited.reply_to.unwrap().excerpt, "four");
    assert_eq!(david.sidebar(ALL_TALK).await.mentions, 1, "an edit tells nobody anew");
    let app = app.restart().await;
    let (david, jason) = (app.meet(&david), app.meet(&jason));
    assert_eq!(quoted(&jason).await.unwrap().1, "four");
    david.deletes(original.id).await;
    assert_eq!(quoted(&jason).await.unwrap(), ("david".into(), String::new()));
    let app = app.restart().await;
    assert_eq!(quoted(&app.meet(&jason)).await.unwrap(), ("david".into(), String::new()));
}

#[tokio::test]
async fn a_reply_stays_in_its_room() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let secret_room = david.opens_closed_room("Founders", &[]).await.id;
    let secret = david.posts("secret").in_(secret_room).await.id;
    let gone = david.posts("gone").in_(ALL_TALK).await.id;
    david.deletes(gone).await;
    for to in [secret, gone, MessageId::new(999)] {
        assert_eq!(replies(&jason, ALL_TALK, to, "hm").await.reply_to, None, "{to}");
    }
    assert_eq!(boosts(&jason, secret, "👍").await.status, 404);
    assert_eq!(takes_back(&jason, secret, "👍").await.status, 404);
    assert_eq!(app.sql().await.number("SELECT count(*) FROM mentions").await, 0);
}

#[tokio::test]
async fn activity_is_unread_on_every_device_until_it_is_seen_on_one() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let message = david.posts("hello").in_(ALL_TALK).await.id;
    let phone = app.sign_in("david").await;
    let (mut here, mut there) = (david.connects().await, phone.connects().await);
    for tab in [&mut here, &mut there] {
        tab.greets(None, None, None).await;
        hears_of(tab, 0).await;
    }
    boosts(&david, message, "👍").await;
    boosts(&jason, message, "👍").await;
    hears_of(&mut here, 1).await;
    let called = jason.posts("hi @david").in_(ALL_TALK).await.id;
    replies(&jason, ALL_TALK, message, "hello yourself").await;
    hears_of(&mut there, 3).await;
    let list = activity(&david).await;
    let kinds: Vec<&str> = list.iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reply", "mention", "boost"], "newest first, nothing of one's own");
    assert!(list.iter().all(|one| one["unread"] == true && one["user"]["name"] == "jason"));
    assert_eq!((&list[0]["excerpt"], &list[2]["content"]), (&json!("hello yourself"), &json!("👍")));
    let page = david.get("/activity").await;
    assert!(page.statements() <= 3 && page.text().contains("mentioned you in"));

    // What came after the page stays new.
    let seen = json!({"seen": list[1]["seq"]});
    assert_eq!(phone.send(Method::PUT, "/api/activity/seen", &seen).await.status, 204);
    hears_of(&mut here, 1).await;
    let back = json!({"seen": 1});
    assert_eq!(phone.send(Method::PUT, "/api/activity/seen", &back).await.status, 204);
    let unread = async || activity(&david).await.iter().filter(|one| one["unread"] == true).count();
    assert_eq!(unread().await, 1, "it never moves back");
    jason.edits(called, "hi again, @david").await;
    assert_eq!(unread().await, 1, "an edit makes nothing new again");
    let far = json!({"seen": i64::MAX});
    david.send(Method::PUT, "/api/activity/seen", &far).await;
    hears_of(&mut there, 0).await;
    boosts(&jason, message, "🔥").await;
    hears_of(&mut there, 1).await;
    takes_back(&jason, message, "🔥").await;
    hears_of(&mut there, 0).await;
    david.deletes(message).await;
    let left = activity(&david).await;
    assert_eq!(left.len(), 2, "boosts go with the message");
    let older = david.get(&format!("/api/activity?before={}", left[0]["seq"])).await;
    assert_eq!(older.json::<Value>()["activity"].as_array().unwrap().len(), 1);
    assert_eq!(david.get("/api/activity?before=x").await.status, 400);
}

#[tokio::test]
async fn whoever_has_left_a_room_sees_nothing_of_it() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let room = david.opens_closed_room("Founders", &[&jason]).await.id;
    let message = jason.posts("mine").in_(room).await.id;
    let mut tab = jason.connects().await;
    tab.greets(None, None, None).await;
    boosts(&david, message, "👍").await;
    david.posts("@jason").in_(room).await;
    hears_of(&mut tab, 2).await;
    let left = jason.send(Method::POST, &format!("/api/rooms/{room}/leave"), &json!({})).await;
    assert_eq!(left.status, 204);
    hears_of(&mut tab, 0).await;
    assert!(activity(&jason).await.is_empty());
    assert!(!jason.get("/activity").await.text().contains("Founders"));
    assert_eq!(boosts(&jason, message, "👍").await.status, 404);
    assert_eq!(takes_back(&jason, message, "👍").await.status, 404);
    let page = jason.browses(Method::GET, &format!("/rooms/{room}/messages/{message}/boosts"));
    assert_eq!(Answer::read(page).await.status, 404);
}

#[tokio::test]
async fn reactions_and_replies_work_without_scripts() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let message = david.posts("hello").in_(ALL_TALK).await.id;
    let path = format!("/rooms/1/messages/{message}/boosts");
    let there = jason.browses(Method::GET, &format!("/rooms/1/@{message}"));
    assert!(
        Answer::read(there)
            .await
            .text()
            .contains(&format!("<noscript><a class=\"message__note\" href=\"{path}\""))
    );
    let form = |path: &str, body: &str| {
        let request = jason.browses(Method::POST, path);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        Answer::read(request.body(body.to_owned()))
    };
    let added = form(&path, "content=ship+it").await;
    let back = format!("/rooms/1/@{message}#m-{message}");
    assert_eq!((added.status, added.header("location")), (303, Some(&*back)));
    let page = Answer::read(jason.browses(Method::GET, "/rooms/1")).await.text();
    assert!(page.contains("name=\"remove\" aria-pressed=\"true\" value=\"ship it\" title=\"jason\""));
    let others = Answer::read(david.browses(Method::GET, "/rooms/1")).await.text();
    assert!(others.contains("name=\"content\" aria-pressed=\"false\" value=\"ship it\""));
    let broken = form(&path, "content=much+too+long+for+this").await;
    assert_eq!(broken.status, 422);
    assert!(broken.text().contains("much too long for this") && broken.text().contains("16"));
    assert_eq!(form(&path, "remove=ship+it").await.status, 303);
    assert!(jason.page(ALL_TALK, "").await.messages[0].boosts.is_empty());

    let answering = jason.browses(Method::GET, &format!("/rooms/1/@{message}?reply=1"));
    let field = format!("name=\"reply_to\" value=\"{message}\"");
    assert!(Answer::read(answering).await.text().contains(&field));
    let empty = form("/rooms/1/messages", &format!("body=+&after=1&reply_to={message}")).await;
    assert_eq!(empty.status, 422);
    assert!(empty.text().contains(&field), "still about to be answered");
    let sent = form("/rooms/1/messages", &format!("body=hi&after=1&reply_to={message}")).await;
    assert_eq!(sent.status, 303);
    let page = Answer::read(david.browses(Method::GET, "/rooms/1")).await.text();
    assert!(page.contains(&format!("<a class=\"reply-ref\" href=\"/rooms/1/@{message}#m-{message}\"")));

    let list = Answer::read(david.browses(Method::GET, "/activity")).await.text();
    assert!(list.contains("Mark as seen"));
    let seen = david.browses(Method::POST, "/activity/seen");
    let seen = seen.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(Answer::read(seen.body("seen=99999")).await.status, 303);
    let list = Answer::read(david.browses(Method::GET, "/activity")).await.text();
    assert!(!list.contains("Mark as seen"));
}

#[tokio::test]
async fn a_new_name_reaches_mentions_quotes_and_reactions() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let many = 230; // More than two steps of the background work.
    for at in 0..many {
        let who = if at % 2 == 0 { &david } else { &jason };
        who.posts(&format!("@david and @jason, {at}")).in_(ALL_TALK).await;
    }
    let first = david.page(ALL_TALK, "limit=500").await.messages[0].id;
    boosts(&jason, first, "👍").await;
    let reply = replies(&david, ALL_TALK, david.posts("x").in_(ALL_TALK).await.id, "y").await;
    let mut tab = david.watches(ALL_TALK).await;
    let profile = json!({"name": "Jay <J&R>", "email_address": "jason@example.com", "bio": ""});
    assert_eq!(jason.send(Method::PATCH, "/api/me", &profile).await.status, 204);
    let mut renamed = std::collections::BTreeSet::new();
    while renamed.len() < many {
        let wanted = |frame: &ServerFrame| matches!(frame, ServerFrame::MessageUpdated { .. });
        let ServerFrame::MessageUpdated { message } = tab.hears(wanted).await else { panic!() };
        assert!(message.body.contains("@Jay <J&R>,") && message.body.contains("@david"));
        assert!(message.body_html.contains(">@Jay &lt;J&amp;R&gt;</span>"), "{}", message.body_html);
        assert!(message.edited_at.is_none());
        renamed.insert(message.seq);
    }
    let page = david.page(ALL_TALK, "limit=500").await;
    assert_eq!(shown(&page.messages[0]), ["👍: Jay <J&R>"]);
    assert!(page.messages.iter().any(|one| one.id == reply.id && one.reply_to.is_some()));
    let mut sql = app.sql().await;
    let found = "SELECT count(*) FROM message_search WHERE message_search MATCH 'jay'";
    assert_eq!(sql.number(found).await, many as i64, "searched by the new name");

    // The end of the first wish is written after its last message; only then a second one is one.
    while sql.number("SELECT renamed FROM users WHERE id = 2").await == 1 {
        tokio::task::yield_now().await;
    }
    // A wish that a stop has interrupted goes on; nothing else changes.
    sql.run("UPDATE users SET renamed = 1, name = 'Jason' WHERE id = 2").await;
    let app = app.restart().await;
    let david = app.meet(&david);
    loop {
        let page = david.page(ALL_TALK, "limit=500").await;
        let done = page.messages.iter().filter(|one| one.body.contains("@Jason"));
        if done.count() == many {
            break;
        }
        tokio::task::yield_now().await;
    }
}
