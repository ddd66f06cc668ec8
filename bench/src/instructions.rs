//! The work of one operation, in process, for a counter of instructions.
//!
//! Run by `bench/instructions` under valgrind, twice with different counts: the difference is the
//! cost of the operations alone, start and end cancel out, and no noise of the machine is in it.
//! It uses the product as a library, through its public face: the router, and the registry of
//! connections. It measures no time.

use super::report::{Failure, broken};
use super::seed::token;
use axum::body::{Body, to_bytes};
use axum::http::{self, Request, StatusCode};
use campfire::domain::account::UserRef;
use campfire::domain::message::{ClientMessageId, Message};
use campfire::domain::room::{Membership, Room, RoomHead, RoomKind, SidebarRoom, sidebar_room};
use campfire::domain::{MessageId, RoomId, Seq, SessionId, Timestamp, UserId};
use campfire::server::connections::{Connections, Registered};
use campfire::server::operation::Config;
use campfire::server::writer::Event;
use campfire::server::{self, Clock};
use clap::{Parser, ValueEnum};
use std::path::Path;
use std::sync::Arc;
use tower::ServiceExt;

/// Tabs that watch the room.
const TABS: i64 = 100;
/// Longer than any page.
const MAX_PAGE: usize = 1 << 20;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// A room page that was served before, from request to body.
    RoomPage,
    /// A room page of somebody who comes for the first time, to rooms that others have seen. Wants
    /// the crowd's seed.
    FirstPage,
    /// A longer page that is read from the database and made anew each time.
    NewPage,
    /// A message that is posted, from request to answer, with nobody there to hear it.
    Post,
    /// A message to a hundred tabs, from event to queues.
    FanOut,
}

/// Does an operation so many times, on the team's seed in `folder`.
///
/// # Errors
/// [`Failure`] when an answer is wrong or the server does not start.
pub async fn repeat(operation: Operation, folder: &Path, times: usize) -> Result<(), Failure> {
    match operation {
        Operation::RoomPage => requests(folder, times, |_| page("/rooms/1", 1)).await,
        Operation::FirstPage => {
            requests(folder, times, |number| page(&format!("/rooms/{}", number % 10 + 1), number / 10 + 2))
                .await
        }
        // The middle of the room: permalinks are not kept.
        Operation::NewPage => requests(folder, times, |_| page("/rooms/1/@700", 1)).await,
        Operation::Post => requests(folder, times, post).await,
        Operation::FanOut => fan_out(times),
    }
}

/// A request, and the status of its answer.
type Question = (http::Result<Request<Body>>, StatusCode);

fn page(path: &str, user: i64) -> Question {
    let cookie = format!("session_token={}", token(user));
    (Request::get(path).header("cookie", cookie).body(Body::empty()), StatusCode::OK)
}

fn post(number: i64) -> Question {
    let body = format!(
        r#"{{"client_message_id":"0f8fad5b-d9cb-469f-a165-{number:012x}","body":"Who wants a coffee after the standup, number {number}?"}}"#
    );
    let request = Request::post("/api/rooms/1/messages")
        .header("cookie", format!("session_token={}", token(1)))
        .header("content-type", "application/json")
        .body(Body::from(body));
    (request, StatusCode::CREATED)
}

async fn requests(folder: &Path, times: usize, question: impl Fn(i64) -> Question) -> Result<(), Failure> {
    let folder = folder.display().to_string();
    let settings = ["campfire", "--addr", "127.0.0.1:0", "--limits", "off", "--data", &folder];
    let config = Config::try_parse_from(settings);
    let config = config.map_err(|error| Failure::Broken(error.to_string()))?;
    let running = server::start(config, Clock::system()).await;
    let running = running.map_err(|error| Failure::Broken(error.to_string()))?;
    let router = server::http::router(running.app.clone());
    for number in (0..).take(times) {
        let (request, expected) = question(number);
        let request = request.map_err(|error| Failure::Broken(error.to_string()))?;
        let Ok(response) = router.clone().oneshot(request).await;
        if response.status() != expected {
            return broken(format!("the server answered {}", response.status()));
        }
        let body = to_bytes(response.into_body(), MAX_PAGE).await;
        let body = body.map_err(|error| Failure::Broken(error.to_string()))?;
        if body.len() < 200 {
            return broken("the answer is empty");
        }
    }
    if running.finish().await { Ok(()) } else { broken("the server did not end well") }
}

/// The room as everybody's list has it.
fn entry(room_id: RoomId) -> SidebarRoom {
    let room = Room { id: room_id, name: String::new(), topic: String::new(), kind: RoomKind::Open };
    let people = Vec::new().into();
    let head = RoomHead { room, creator_id: UserId::new(1), last_message: None, people };
    sidebar_room(&head, &Membership::default(), UserId::new(1))
}

fn fan_out(times: usize) -> Result<(), Failure> {
    let (connections, room_id) = (Connections::default(), RoomId::new(1));
    let mut tabs: Vec<Registered> = Vec::new();
    for number in 1..=TABS {
        let user = UserRef { id: UserId::new(number), name: format!("Person {number}") };
        let tab = connections.register(&user, SessionId::new(number));
        connections.greet(tab.id);
        let removals = connections.removals();
        connections.add_rooms(user.id, &[entry(room_id)], removals);
        connections.watch(tab.id, Some(room_id));
        tabs.push(tab);
    }
    for number in (1_i64..).take(times) {
        let message = Arc::new(message(number, room_id)?);
        connections.publish(&Event::MessageCreated { message, mentioned: Vec::new() });
        for tab in &mut tabs {
            if tab.frames.try_recv().is_err() {
                return broken("a message did not reach every tab");
            }
        }
    }
    Ok(())
}

fn message(number: i64, room_id: RoomId) -> Result<Message, Failure> {
    let client_message_id = ClientMessageId::parse("0f8fad5b-d9cb-469f-a165-70867728950e");
    Ok(Message {
        id: MessageId::new(number),
        seq: Seq::new(number),
        room_id,
        client_message_id: client_message_id.map_err(|error| Failure::Broken(error.to_string()))?,
        creator: UserRef { id: UserId::new(1), name: "David Adams".to_owned() },
        body: "Who wants a coffee after the standup now?".to_owned(),
        body_html: "<p>Who wants a coffee after the standup now?</p>".to_owned(),
        created_at: Timestamp::from_ms(1_795_000_000_000),
        edited_at: None,
        deleted: false,
        reply_to: None,
        boosts: Vec::new(),
    })
}
