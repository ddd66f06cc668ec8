//! What the server remembers agrees with the database, however reads and writes interleave: each
//! test holds a read back until a write has overtaken it.

use crate::harness::TestApp;
use crate::harness::person::Person;
use campfire::domain::RoomId;
use campfire::domain::message::{Message, PAGE_SIZE};
use campfire::server::store::messages::Position;
use campfire::server::writer::Event;
use std::sync::Arc;

const ALL_TALK: RoomId = RoomId::new(1);

/// A chat with one message, after a restart: memory knows who is where, but no messages.
async fn cold_chat() -> (TestApp, Person) {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    david.posts("first").in_(ALL_TALK).await;
    let app = app.restart().await;
    let david = app.meet(&david);
    david.rooms().await;
    (app, david)
}

async fn bodies(david: &Person) -> Vec<String> {
    let page = david.page(ALL_TALK, "").await;
    page.messages.iter().map(|message| message.body.clone()).collect()
}

#[tokio::test]
async fn a_page_that_a_post_has_overtaken_is_not_remembered() {
    let (server, david) = cold_chat().await;
    let app = &server.running.app;
    let ticket = app.hot.ticket();
    let read = app.store.find_page(david.user_id(), ALL_TALK, Position::Newest, PAGE_SIZE).await;
    david.posts("second").in_(ALL_TALK).await;
    app.hot.fill_tail(ticket, &read.unwrap().unwrap());
    assert_eq!(bodies(&david).await, ["first", "second"]);
    assert_eq!(bodies(&david).await, ["first", "second"], "from memory as well");
}

#[tokio::test]
async fn a_page_that_an_edit_or_a_deletion_has_overtaken_is_not_remembered() {
    for deletes in [false, true] {
        let (server, david) = cold_chat().await;
        let app = &server.running.app;
        let read = app.store.find_page(david.user_id(), ALL_TALK, Position::Newest, PAGE_SIZE).await;
        let (ticket, read) = (app.hot.ticket(), read.unwrap().unwrap());
        let id = read.page.messages[0].id;
        let expected = if deletes {
            david.deletes(id).await;
            vec![]
        } else {
            david.edits(id, "edited").await;
            vec!["edited"]
        };
        app.hot.fill_tail(ticket, &read);
        assert_eq!(bodies(&david).await, expected);
        assert_eq!(bodies(&david).await, expected, "from memory as well");
    }
}

#[tokio::test]
async fn a_message_that_was_read_before_it_was_published_is_remembered_once() {
    let (server, david) = cold_chat().await;
    let message: Message = david.posts("second").in_(ALL_TALK).await;
    assert_eq!(bodies(&david).await, ["first", "second"]);
    let hot = &server.running.app.hot;
    hot.apply(&[Event::MessageCreated { message: Arc::new(message), mentioned: vec![] }], hot.seq());
    assert_eq!(bodies(&david).await, ["first", "second"]);
}

#[tokio::test]
async fn a_room_list_that_a_post_has_overtaken_is_not_remembered() {
    let (server, david) = cold_chat().await;
    let jason = server.join("jason").await;
    let app = &server.running.app;
    let ticket = app.hot.ticket();
    let read = app.store.list_viewer_rooms(jason.user_id()).await.unwrap();
    let message = david.posts("second").in_(ALL_TALK).await;
    app.hot.fill_rooms(ticket, jason.user_id(), &read);
    for _ in 0..2 {
        let room = jason.sidebar(ALL_TALK).await;
        assert_eq!((room.last_message_id, room.unread), (Some(message.id), true));
    }
}

#[tokio::test]
async fn a_room_list_that_a_new_room_or_reading_has_overtaken_is_not_remembered() {
    let (server, david) = cold_chat().await;
    let app = &server.running.app;
    let ticket = app.hot.ticket();
    let read = app.store.list_viewer_rooms(david.user_id()).await.unwrap();
    let designers = david.opens_room("Designers").await.id;
    app.hot.fill_rooms(ticket, david.user_id(), &read);
    assert!(david.rooms().await.iter().any(|room| room.id == designers));
    david.posts("in the new room").in_(designers).await;
    assert_eq!(david.page(designers, "").await.messages.len(), 1);

    let jason = server.join("jason").await;
    let news = david.posts("news").in_(ALL_TALK).await;
    let ticket = app.hot.ticket();
    let read = app.store.list_viewer_rooms(jason.user_id()).await.unwrap();
    jason.reads(ALL_TALK, news.id.get()).await;
    app.hot.fill_rooms(ticket, jason.user_id(), &read);
    assert!(!jason.sidebar(ALL_TALK).await.unread);
}

#[tokio::test]
async fn a_session_that_signing_out_has_overtaken_is_not_remembered() {
    let (server, david) = cold_chat().await;
    let app = &server.running.app;
    let digest = campfire::server::auth::digest(&david.token);
    let ticket = app.hot.ticket();
    let session = app.store.find_session(&digest, app.clock.now()).await.unwrap().unwrap();
    assert_eq!(david.signs_out().await.status, 204);
    app.hot.fill_session(ticket, digest, &Arc::new(session));
    assert_eq!(david.get("/api/me").await.status, 401);
}

#[tokio::test]
async fn deletions_eat_a_remembered_page_away_without_hiding_older_messages() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut ids = Vec::new();
    for at in 0..PAGE_SIZE + 20 {
        ids.push(david.posts(&format!("message {at}")).in_(ALL_TALK).await.id);
    }
    assert_eq!(david.page(ALL_TALK, "").await.messages.len(), PAGE_SIZE);
    while ids.len() > 5 {
        david.deletes(ids.pop().unwrap()).await;
        let page = david.page(ALL_TALK, "").await;
        let shown: Vec<_> = page.messages.iter().map(|message| message.id).collect();
        let wanted = ids.len().min(PAGE_SIZE);
        // Short pages are allowed, gaps and false ends are not.
        assert!(ids.ends_with(&shown) && !shown.is_empty());
        assert!(shown.len() == wanted || page.has_more, "{} of {wanted}", shown.len());
    }
}
