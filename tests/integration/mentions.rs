//! Mentions: found by name, stored with the message, counted after the read cursor, and told to
//! whom they concern.

use crate::harness::TestApp;
use campfire::domain::RoomId;
use campfire::domain::event::ServerFrame;

const ALL_TALK: RoomId = RoomId::new(1);

#[tokio::test]
async fn a_mention_is_stored_counted_and_told() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let kevin = app.join("kevin").await;
    let mut tab = jason.connects().await;
    tab.greets(None, None, None).await;
    let mut other = kevin.connects().await;
    other.greets(None, None, None).await;

    let message = david.posts("hi @JASON, and @david").in_(ALL_TALK).await;
    assert_eq!(message.body, "hi @jason, and @david");
    let span = format!("<span class=\"mention\" data-user=\"{}\">@jason</span>", jason.id);
    assert!(message.body_html.contains(&span), "{}", message.body_html);
    assert!(message.mentions(jason.user_id()) && !message.mentions(kevin.user_id()));
    let mut sql = app.sql().await;
    let source = sql.texts("SELECT body FROM messages").await;
    assert_eq!(source, [format!("hi <@{}>, and <@{}>", jason.id, david.id)]);
    assert_eq!(sql.numbers("SELECT user_id FROM mentions").await, [jason.id], "not one's own");
    let found = "SELECT count(*) FROM message_search WHERE message_search MATCH 'jason'";
    assert_eq!(sql.number(found).await, 1, "searched by name");

    for (tab, called) in [(&mut tab, true), (&mut other, false)] {
        let heard = tab.hears(|frame| matches!(frame, ServerFrame::RoomActivity { .. })).await;
        assert!(matches!(heard, ServerFrame::RoomActivity { mention, .. } if mention == called));
    }
    assert_eq!(jason.sidebar(ALL_TALK).await.mentions, 1);
    assert_eq!(kevin.sidebar(ALL_TALK).await.mentions, 0);
    let app = app.restart().await;
    let (david, jason, kevin) = (app.meet(&david), app.meet(&jason), app.meet(&kevin));
    assert_eq!(jason.sidebar(ALL_TALK).await.mentions, 1, "the database agrees with memory");
    assert_eq!(jason.page(ALL_TALK, "").await.messages[0].body, message.body);

    // Editing looks again, and says so.
    let mut tab = jason.connects().await;
    tab.greets(None, None, None).await;
    david.edits(message.id, "hi @kevin").await;
    assert_eq!(tab.hears_of_room(ALL_TALK).await.unwrap().mentions, 0);
    assert_eq!(kevin.sidebar(ALL_TALK).await.mentions, 1);
    david.edits(message.id, "hi @kevin and @jason").await;
    assert_eq!(tab.hears_of_room(ALL_TALK).await.unwrap().mentions, 1);
    let second = david.posts("@jason again").in_(ALL_TALK).await;
    assert_eq!(jason.sidebar(ALL_TALK).await.mentions, 2);
    jason.reads(ALL_TALK, message.id.get()).await;
    let heard = tab.hears(|frame| matches!(frame, ServerFrame::Read { .. })).await;
    assert!(matches!(heard, ServerFrame::Read { mentions: 1, .. }), "one is left: {heard:?}");
    david.deletes(second.id).await;
    assert_eq!(jason.sidebar(ALL_TALK).await.mentions, 0);
    let left = format!("SELECT count(*) FROM mentions WHERE message_id = {}", second.id);
    assert_eq!(app.sql().await.number(&left).await, 0);
}

#[tokio::test]
async fn only_members_can_be_mentioned_and_other_messages_cost_nothing_extra() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let room = david.opens_closed_room("Founders", &[]).await.id;
    let message = david.posts("not here: @jason").in_(room).await;
    assert!(!message.body_html.contains("data-user"));
    let plain = david.posts("mail jason@example.com").perhaps_in(ALL_TALK).await;
    assert_eq!(plain.statements(), 1, "the writer alone");
    let named = david.posts("@jason").perhaps_in(ALL_TALK).await;
    assert_eq!(named.statements(), 2, "and one read of the names");
    let forged = "<span class=\"mention\" data-user=\"2\">@jason</span> <@2";
    let forged = david.posts(forged).in_(ALL_TALK).await;
    assert!(!forged.mentions(jason.user_id()), "{}", forged.body_html);
    assert_eq!(jason.sidebar(ALL_TALK).await.mentions, 1);
}

#[tokio::test]
async fn everyone_is_mentioned_by_those_who_may() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let kevin = app.join("kevin").await;
    let room = jason.opens_closed_room("Founders", &[&david, &kevin]).await.id;
    let text = kevin.posts("hi @everyone").in_(room).await;
    assert_eq!(text.body_html, "<p>hi @everyone</p>", "text, said by a member");
    for (author, others) in [(&jason, [&david, &kevin]), (&david, [&jason, &kevin])] {
        let before: Vec<u32> = [others[0].sidebar(room).await, others[1].sidebar(room).await]
            .iter()
            .map(|entry| entry.mentions)
            .collect();
        let said = author.posts("hi @everyone, `@everyone`").perhaps_in(room).await;
        assert_eq!(said.statements(), 2, "the names, and one command");
        for (other, before) in others.into_iter().zip(before) {
            assert_eq!(other.sidebar(room).await.mentions, before + 1);
        }
    }
    let page = kevin.page(room, "").await.messages;
    let last = page.last().unwrap();
    assert!(last.mentions(kevin.user_id()) && last.body == "hi @everyone, `@everyone`");
    let offered = async |who: &crate::harness::person::Person, q: &str| {
        let path = format!("/api/people?q={q}&room={room}");
        let found: Vec<campfire::domain::account::UserRef> = who.get(&path).await.json();
        found.into_iter().map(|user| user.name).collect::<Vec<_>>()
    };
    assert_eq!(offered(&jason, "every").await, ["everyone"]);
    assert!(offered(&kevin, "every").await.is_empty());
    assert_eq!(offered(&kevin, "J").await, ["jason"]);
    // Editing by its author keeps the right, and a stranger's account name changes nothing.
    david.edits(last.id, "never mind").await;
    assert_eq!(kevin.sidebar(room).await.mentions, 1);
}

#[tokio::test]
async fn a_named_room_is_linked_if_it_is_open_and_the_author_is_in_it() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let open = david.opens_room("Watercooler").await.id;
    david.opens_closed_room("Founders", &[]).await;
    let said = david.posts("see #watercooler and #Founders").perhaps_in(ALL_TALK).await;
    assert!(said.statements() <= 2, "rooms come from memory: {}", said.statements());
    let html = david.page(ALL_TALK, "").await.messages[0].body_html.clone();
    let link = format!("<a class=\"mention\" href=\"/rooms/{open}\"");
    assert!(html.contains(&link) && html.contains(">#Watercooler</a> and #Founders"), "{html}");
    assert_eq!(jason.get(&format!("/api/rooms/{open}")).await.status, 200);
    let unknown = jason.posts("@david see #founders and #watercooler").perhaps_in(ALL_TALK).await;
    assert_eq!(unknown.statements(), 2, "names and rooms at once");
    let html = jason.page(ALL_TALK, "").await.messages[1].body_html.clone();
    assert!(html.contains("see #founders and <a") && html.contains(&link), "{html}");
}

#[tokio::test]
async fn a_preview_is_what_the_message_will_be_and_stores_nothing() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let room = david.opens_closed_room("Founders", &[]).await.id;
    let body = "**hi** @david, `x`\n```rust\nlet a = 1;\n```";
    let shown = async |who: &crate::harness::person::Person, body: &str| {
        let path = format!("/api/rooms/{room}/preview");
        who.send(reqwest::Method::POST, &path, &serde_json::json!({"body": body})).await
    };
    let answer = shown(&david, body).await;
    assert_eq!(answer.status, 200);
    let preview = answer.json::<serde_json::Value>()["body_html"].as_str().unwrap().to_owned();
    assert_eq!(app.sql().await.number("SELECT count(*) FROM messages").await, 0);
    let message = david.posts(body).in_(room).await;
    assert_eq!(message.body_html, preview);
    assert_eq!(message.body, body, "edited as it was typed");
    assert_eq!(shown(&david, " ").await.refusal().0, 422);
    assert_eq!(shown(&jason, body).await.refusal(), (404, "not_found".into(), None));
}
