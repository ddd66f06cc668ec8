//! The founding documents' own tests, under their own names: what the original promises, and the
//! one place where more is promised than it does (one order for everybody).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![expect(clippy::panic, reason = "a test that cannot go on should say why")]

#[expect(dead_code, reason = "the harness serves other test programs as well")]
mod harness;

use campfire::domain::account::UserRef;
use campfire::domain::error::Error;
use campfire::domain::event::ServerFrame;
use campfire::domain::message::{Draft, Message};
use campfire::domain::{MessageId, RoomId};
use campfire::server::rich_text::{Known, render};
use campfire::server::writer::Created;
use harness::person::{Answer, Person};
use harness::{TestApp, client_id};
use reqwest::Method;

const ALL_TALK: RoomId = RoomId::new(1);

/// The founding entry point, called directly.
async fn create_message(
    app: &TestApp,
    creator: &Person,
    room_id: RoomId,
    body: &str,
    id: campfire::domain::message::ClientMessageId,
) -> Result<Created, Error> {
    let text = render(&Draft::parse(body)?, &Known::default());
    let author = UserRef { id: creator.user_id(), name: creator.name.clone() };
    app.running.app.writer.create_message_with_deduplication(room_id, author, id, text).await
}

#[tokio::test]
async fn test_dedup_returns_existing_message_and_preserves_content() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let id = client_id();
    let first = create_message(&app, &david, ALL_TALK, "Original content", id).await.unwrap();
    let second = create_message(&app, &david, ALL_TALK, "Different content", id).await.unwrap();
    assert!(matches!(&first, Created::New(_)) && matches!(&second, Created::Duplicate(_)));
    assert_eq!(first.message(), second.message());
    assert_eq!(second.message().body, "Original content");
    assert_eq!(app.sql().await.number("SELECT count(*) FROM messages").await, 1);
}

#[tokio::test]
async fn test_create_message_success() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let id = client_id();
    let created = create_message(&app, &david, ALL_TALK, "Hello, world!", id).await.unwrap();
    let message = created.message();
    assert_eq!(message.body, "Hello, world!");
    assert_eq!((message.room_id, message.creator.id), (ALL_TALK, david.user_id()));
    assert_eq!(message.client_message_id, id);
    let head = "SELECT last_message_at FROM rooms WHERE id = 1";
    assert_eq!(app.sql().await.number(head).await, message.created_at.ms());
}

#[tokio::test]
async fn test_duplicate_client_message_id_returns_existing() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let id = client_id();
    let first = david.posts("First").named(id).in_(ALL_TALK).await;
    // As five quick clicks would.
    for _ in 0..4 {
        let again = david.posts("First").named(id).perhaps_in(ALL_TALK).await;
        assert_eq!((again.status, again.json::<Message>()), (200, first.clone()));
    }
    assert_eq!(david.page(ALL_TALK, "").await.messages.len(), 1);
}

#[tokio::test]
async fn test_message_content_validation() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    for (body, accepted) in [
        (String::new(), false),
        ("   ".to_owned(), false),
        ("a".to_owned(), true),
        ("a".repeat(10_000), true),
        ("a".repeat(10_001), false),
        ("\u{1f525}".repeat(10_000), true),
    ] {
        let created = create_message(&app, &david, ALL_TALK, &body, client_id()).await;
        let field = created.as_ref().err().and_then(|error| error.fields().first());
        assert_eq!(created.is_ok(), accepted, "{} characters", body.chars().count());
        assert_eq!(field.map(|field| field.field.as_str()), (!accepted).then_some("body"));
    }
}

#[tokio::test]
async fn test_message_flow_end_to_end() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let jason = app.join("jason").await;
    let mut tab = jason.watches(ALL_TALK).await;

    let message = david.posts("How is everybody?").in_(ALL_TALK).await;
    let heard = tab.hears_message("How is everybody?").await;
    assert_eq!(*heard, message, "the answer and the frame are the same message");
    assert_eq!(jason.page(ALL_TALK, "").await.messages, [heard], "and so is the page");
    assert!(jason.sidebar(ALL_TALK).await.unread);
    assert_eq!(jason.reads(ALL_TALK, message.id.get()).await.status, 204);
    assert!(!jason.sidebar(ALL_TALK).await.unread);
    let room = Answer::read(jason.browses(Method::GET, "/rooms/1")).await.text();
    assert!(room.contains("How is everybody?"));
    let found = "SELECT rowid FROM message_search WHERE message_search MATCH 'everybodi'";
    assert_eq!(app.sql().await.numbers(found).await, [message.id.get()]);
}

#[tokio::test]
async fn test_websocket_message_broadcast() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut tabs = Vec::new();
    for name in ["jason", "kevin", "mara"] {
        tabs.push(app.join(name).await.watches(ALL_TALK).await);
    }
    tabs.push(david.watches(ALL_TALK).await);
    let message = david.posts("Hello to all of you").in_(ALL_TALK).await;
    for tab in &mut tabs {
        let heard = tab.hears_until_now(&david).await;
        let created: Vec<_> =
            heard.iter().filter(|frame| matches!(frame, ServerFrame::MessageCreated { .. })).collect();
        assert_eq!(created, [&ServerFrame::MessageCreated { message: message.clone().into() }]);
    }
}

/// The original accepts occasional disorder. Here there is one order for everybody.
#[tokio::test(flavor = "multi_thread")]
async fn test_accepts_rails_level_message_ordering() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let jason = app.join("jason").await;
    let mut tabs = [david.watches(ALL_TALK).await, jason.watches(ALL_TALK).await];
    let authors = [david.clone(), jason.clone(), david.clone(), jason.clone()];
    let posting = authors.into_iter().map(|author| {
        tokio::spawn(async move {
            for at in 0..25 {
                author.posts(&format!("{at}")).in_(ALL_TALK).await;
            }
        })
    });
    for author in posting.collect::<Vec<_>>() {
        author.await.unwrap();
    }
    let page = david.page(ALL_TALK, "limit=500").await;
    let stored: Vec<MessageId> = page.messages.iter().map(|message| message.id).collect();
    assert_eq!(stored.len(), 100);
    for tab in &mut tabs {
        let heard = tab.hears_until_now(&david).await;
        let order: Vec<MessageId> = heard
            .iter()
            .filter_map(|frame| match frame {
                ServerFrame::MessageCreated { message } => Some(message.id),
                _ => None,
            })
            .collect();
        assert_eq!(order, stored);
    }
}

/// A request goes straight to memory, the database or the writer: at most three such steps.
#[tokio::test]
async fn test_no_async_coordination_between_services() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let app = app.restart().await;
    let david = app.meet(&david);
    for _ in ["cold", "warm"] {
        let created = david.posts("direct").perhaps_in(ALL_TALK).await;
        assert_eq!(created.status, 201);
        let id = created.json::<Message>().id;
        let edited = david.tries_to_edit(id, "more direct").await;
        let read = david.reads(ALL_TALK, id.get()).await;
        let page = david.get("/api/rooms/1/messages").await;
        let removed = david.tries_to_delete(id).await;
        for answer in [created, edited, read, page, removed] {
            assert!(answer.status < 300 && answer.statements() <= 3, "{answer:?}");
        }
    }
}
