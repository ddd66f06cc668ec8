//! What others rely on, compared with what is stored in `tests/stored/`: every frame's JSON,
//! messages and errors on the wire, the statuses of errors, the routes, the ids of the gaps, and
//! the page that documents the protocol.
//!
//! A stored line may be added; a changed or missing one breaks somebody's program.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use campfire::domain::account::UserRef;
use campfire::domain::composing::reactions;
use campfire::domain::error::{Error, ErrorBody, FieldError};
use campfire::domain::event::{ClientFrame, PROTOCOL, ServerFrame};
use campfire::domain::message::{ClientMessageId, Message, MessagePage, Quote};
use campfire::domain::room::{Involvement, Room, RoomKind, SidebarRoom};
use campfire::domain::{MessageId, RoomId, Seq, Timestamp, UserId};
use campfire::server::operation::Gap;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

const ROOM: RoomId = RoomId::new(7);

fn stored(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|_| String::new());
    text.lines().map(str::to_owned).collect()
}

fn is_as_stored(name: &str, actual: &[String]) {
    let stored = stored(name);
    for (at, (actual, stored)) in actual.iter().zip(&stored).enumerate() {
        assert_eq!(actual, stored, "{name}, line {}", at + 1);
    }
    let rest = actual.get(stored.len()..).unwrap_or_default();
    assert_eq!(actual.len(), stored.len(), "tests/stored/{name} lacks:\n{}", rest.join("\n"));
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

fn david() -> UserRef {
    UserRef { id: UserId::new(1), name: "David".into() }
}

fn message() -> Message {
    let name = "0f8fad5b-d9cb-469f-a165-70867728950e";
    Message {
        id: MessageId::new(42),
        seq: Seq::new(99),
        room_id: ROOM,
        client_message_id: ClientMessageId::parse(name).unwrap(),
        creator: david(),
        body: "Hello \"there\"".into(),
        body_html: "<p>Hello \"there\"</p>".into(),
        created_at: Timestamp::from_ms(1_800_000_000_123),
        edited_at: None,
        deleted: false,
        reply_to: None,
        boosts: Vec::new(),
    }
}

fn edited() -> Message {
    let edited_at = Some(Timestamp::from_ms(1_800_000_060_000));
    Message { seq: Seq::new(100), edited_at, ..message() }
}

fn tombstone() -> Message {
    let (body, body_html) = (String::new(), String::new());
    Message { seq: Seq::new(101), body, body_html, deleted: true, ..message() }
}

/// An answer to another message, with boosts.
fn reacted() -> Message {
    let boosts = reactions([("👍".to_owned(), david()), ("ship it".to_owned(), david())]);
    let reply_to = Some(Quote::new(MessageId::new(41), david(), ("", "<p>Is <em>anybody</em>  here?</p>")));
    Message { seq: Seq::new(102), boosts, reply_to, ..message() }
}

fn rooms() -> Vec<SidebarRoom> {
    let room = |id, kind, last: Option<i64>, unread| SidebarRoom {
        id: RoomId::new(id),
        name: format!("Room {id}"),
        kind,
        topic: if id == 7 { "Tides".into() } else { String::new() },
        people: if id == 9 { vec![david()] } else { vec![] },
        last_message_id: last.map(MessageId::new),
        last_read_message_id: last.map(|last| MessageId::new(last - 1)),
        unread,
        mentions: u32::from(unread),
        involvement: Involvement::first_in(kind),
        starred: id == 7,
        hidden: false,
        online: id == 9,
    };
    vec![
        room(7, RoomKind::Open, Some(42), true),
        room(8, RoomKind::Closed, None, false),
        room(9, RoomKind::Direct, None, false),
    ]
}

/// One of each type, and of each shape its optional fields give it.
fn client_frames() -> Vec<ClientFrame> {
    let (incarnation, cursor) = (Some("abc".to_owned()), Some(Seq::new(99)));
    vec![
        ClientFrame::Hello { protocol: PROTOCOL, incarnation: None, room_id: None, cursor: None },
        ClientFrame::Hello { protocol: PROTOCOL, incarnation, room_id: Some(ROOM), cursor },
        ClientFrame::OpenRoom { room_id: ROOM, cursor: None },
        ClientFrame::OpenRoom { room_id: ROOM, cursor },
        ClientFrame::Read { room_id: ROOM, message_id: MessageId::new(42) },
        ClientFrame::TypingStart { room_id: ROOM },
        ClientFrame::TypingStop { room_id: ROOM },
        ClientFrame::Ping,
    ]
}

/// A new type fails to compile here: add it to the frames above, then to the stored ones.
fn client_type(frame: &ClientFrame) -> &'static str {
    match frame {
        ClientFrame::Hello { .. } => "hello",
        ClientFrame::OpenRoom { .. } => "open_room",
        ClientFrame::Read { .. } => "read",
        ClientFrame::TypingStart { .. } => "typing_start",
        ClientFrame::TypingStop { .. } => "typing_stop",
        ClientFrame::Ping => "ping",
    }
}

fn server_frames() -> Vec<ServerFrame> {
    let message_id = MessageId::new(42);
    vec![
        ServerFrame::Welcome {
            protocol: PROTOCOL,
            incarnation: "abc".into(),
            rooms: rooms(),
            online: vec![david()],
            online_count: 2,
        },
        ServerFrame::Changes {
            room_id: ROOM,
            since: Seq::new(98),
            messages: vec![Arc::new(edited()), Arc::new(tombstone())],
            cursor: Seq::new(101),
        },
        ServerFrame::Reset { room_id: ROOM },
        ServerFrame::MessageCreated { message: Arc::new(message()) },
        ServerFrame::MessageUpdated { message: Arc::new(edited()) },
        ServerFrame::MessageDeleted { message: Arc::new(tombstone()) },
        ServerFrame::RoomActivity { room_id: ROOM, message_id, mention: true },
        ServerFrame::Read { room_id: ROOM, message_id, mentions: 0 },
        ServerFrame::Unread { room_id: ROOM, message_id, mentions: 1 },
        ServerFrame::Typing { room_id: ROOM, user: david(), active: true },
        ServerFrame::Presence {
            user_id: UserId::new(1),
            name: "David".into(),
            online: true,
            online_count: 2,
        },
        ServerFrame::Person { user: david() },
        ServerFrame::Account { name: "Campfire".into() },
        ServerFrame::Room { room: rooms().remove(0) },
        ServerFrame::Room { room: SidebarRoom { hidden: true, ..rooms().remove(2) } },
        ServerFrame::RoomRemoved { room_id: ROOM },
        ServerFrame::Goodbye { reason: "restart".into(), retry_ms: 250 },
        ServerFrame::Pong,
        ServerFrame::Error { code: "not_found".into(), message: Error::NotFound.to_string() },
        ServerFrame::Activity { unread: 3 },
        ServerFrame::MessageUpdated { message: Arc::new(reacted()) },
    ]
}

fn server_type(frame: &ServerFrame) -> &'static str {
    match frame {
        ServerFrame::Welcome { .. } => "welcome",
        ServerFrame::Changes { .. } => "changes",
        ServerFrame::Reset { .. } => "reset",
        ServerFrame::MessageCreated { .. } => "message_created",
        ServerFrame::MessageUpdated { .. } => "message_updated",
        ServerFrame::MessageDeleted { .. } => "message_deleted",
        ServerFrame::RoomActivity { .. } => "room_activity",
        ServerFrame::Read { .. } => "read",
        ServerFrame::Unread { .. } => "unread",
        ServerFrame::Typing { .. } => "typing",
        ServerFrame::Presence { .. } => "presence",
        ServerFrame::Person { .. } => "person",
        ServerFrame::Account { .. } => "account",
        ServerFrame::Room { .. } => "room",
        ServerFrame::RoomRemoved { .. } => "room_removed",
        ServerFrame::Activity { .. } => "activity",
        ServerFrame::Goodbye { .. } => "goodbye",
        ServerFrame::Pong => "pong",
        ServerFrame::Error { .. } => "error",
    }
}

#[test]
fn every_client_frame_matches_its_stored_form() {
    let frames = client_frames();
    let types: BTreeSet<_> = frames.iter().map(client_type).collect();
    assert_eq!(types.len(), 6, "one of each type");
    is_as_stored("client_frames.jsonl", &frames.iter().map(json).collect::<Vec<_>>());
    for (frame, text) in frames.into_iter().zip(stored("client_frames.jsonl")) {
        let kind = format!("\"type\":\"{}\"", client_type(&frame));
        assert!(text.contains(&kind), "{text}");
        assert_eq!(ClientFrame::parse(&text).unwrap(), Some(frame), "{text}");
    }
}

#[test]
fn every_server_frame_matches_its_stored_form() {
    let frames = server_frames();
    let types: BTreeSet<_> = frames.iter().map(server_type).collect();
    assert_eq!(types.len(), 19, "one of each type");
    is_as_stored("server_frames.jsonl", &frames.iter().map(json).collect::<Vec<_>>());
    for (frame, text) in frames.into_iter().zip(stored("server_frames.jsonl")) {
        let kind = format!("\"type\":\"{}\"", server_type(&frame));
        assert!(text.contains(&kind), "{text}");
        assert_eq!(ServerFrame::parse(&text).unwrap(), Some(frame), "{text}");
    }
}

/// Newer sides may say more than older ones know.
#[test]
fn frames_with_further_fields_are_read_all_the_same() {
    let widened = |text: &str| text.replacen('{', r#"{"later":{"a":[1,null]},"#, 1);
    for (text, frame) in stored("server_frames.jsonl").iter().zip(server_frames()) {
        assert_eq!(ServerFrame::parse(&widened(text)).unwrap(), Some(frame));
    }
    for (text, frame) in stored("client_frames.jsonl").iter().zip(client_frames()) {
        assert_eq!(ClientFrame::parse(&widened(text)).unwrap(), Some(frame));
    }
    assert_eq!(ServerFrame::parse(r#"{"type":"later"}"#).unwrap(), None);
}

#[test]
fn messages_rooms_and_errors_match_their_stored_form() {
    let page = MessagePage { messages: vec![Arc::new(message())], cursor: Seq::new(101), has_more: true };
    let room = Room { id: ROOM, name: "Designers".into(), kind: RoomKind::Open, topic: String::new() };
    let broken = Error::invalid("body", "Write something first.");
    let values = [
        json(&message()),
        json(&edited()),
        json(&tombstone()),
        json(&page),
        json(&room),
        json(&ErrorBody::new(&broken, Some("65a0-1".into()))),
        json(&ErrorBody::new(&Error::NotFound, None)),
        json(&reacted()),
    ];
    is_as_stored("values.jsonl", &values);
    let read: Message = serde_json::from_str(&values[1]).unwrap();
    assert_eq!(read, edited());
    let read: MessagePage = serde_json::from_str(&values[3]).unwrap();
    assert_eq!(read, page);
    let read: ErrorBody = serde_json::from_str(&values[6]).unwrap();
    assert_eq!(read, ErrorBody::new(&Error::NotFound, None));
}

fn errors() -> Vec<Error> {
    vec![
        Error::Validation(vec![FieldError::new("body", "Write something first.")]),
        Error::Malformed("Send JSON."),
        Error::MethodNotAllowed,
        Error::TooLarge,
        Error::Unauthenticated,
        Error::WrongCredentials,
        Error::Forbidden,
        Error::CrossSite,
        Error::NotFound,
        Error::AlreadySetUp,
        Error::AlreadyMember,
        Error::ClientIdTaken,
        Error::LastAdministrator,
        Error::RateLimited { retry_after_s: 18 },
        Error::WriterUnavailable,
        Error::StorageFull,
        Error::Unavailable,
        Error::Unexpected,
    ]
}

/// A new error fails to compile here: add it to the errors above, then to the stored table.
fn is_listed(error: &Error) -> bool {
    match error {
        Error::Validation(_)
        | Error::Malformed(_)
        | Error::MethodNotAllowed
        | Error::TooLarge
        | Error::Unauthenticated
        | Error::WrongCredentials
        | Error::Forbidden
        | Error::CrossSite
        | Error::NotFound
        | Error::AlreadySetUp
        | Error::AlreadyMember
        | Error::ClientIdTaken
        | Error::LastAdministrator
        | Error::RateLimited { .. }
        | Error::WriterUnavailable
        | Error::StorageFull
        | Error::Unavailable
        | Error::Unexpected => true,
    }
}

#[test]
fn every_error_has_its_code_its_status_and_a_sentence() {
    let errors = errors();
    assert!(errors.iter().all(is_listed));
    let table: Vec<String> =
        errors.iter().map(|error| format!("{} {}", error.code(), error.status())).collect();
    is_as_stored("errors.txt", &table);
    let codes: BTreeSet<_> = errors.iter().map(Error::code).collect();
    assert_eq!(codes.len(), errors.len(), "no code has two meanings");
    for error in errors {
        let sentence = error.to_string();
        assert!(sentence.ends_with('.') && sentence.len() > 5, "{sentence}");
        for secret in ["SQL", "sqlx", "panic", "thread"] {
            assert!(!sentence.contains(secret), "{sentence}");
        }
    }
}

/// The router's own lines: what stands in `.route("path", method(…).method(…))`.
fn routes_of(source: &str) -> Vec<String> {
    let mut routes = Vec::new();
    for call in source.split(".route(").skip(1) {
        let path = call.split('"').nth(1).unwrap();
        let mut depth = 1;
        let end = call.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        let methods = call.split_at(end.unwrap()).0;
        for method in ["get", "post", "put", "patch", "delete"] {
            let named = methods.split(|c: char| !c.is_alphanumeric() && c != '(' && c != '_');
            if named.into_iter().any(|word| word.starts_with(&format!("{method}("))) {
                routes.push(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    routes.sort_by_key(|route| {
        let (method, path) = route.split_once(' ').unwrap();
        (path.to_owned(), method.to_owned())
    });
    routes
}

#[test]
fn the_routes_are_the_stored_ones() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/http/mod.rs");
    let routes = routes_of(&fs::read_to_string(path).unwrap());
    assert!(routes.len() > 30, "{routes:?}");
    let rights = include_str!("../src/server/http/rights.txt").lines();
    let rights = rights.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let named = rights.filter_map(|line| line.rsplit_once(' ')).map(|(named, _right)| named);
    let (commands, table): (Vec<&str>, Vec<&str>) = named.partition(|name| name.starts_with("WS"));
    assert_eq!(table, routes, "the table of rights names every route, in order");
    let commands: BTreeSet<_> = commands.iter().filter_map(|name| name.strip_prefix("WS ")).collect();
    let known: BTreeSet<_> = client_frames().iter().map(client_type).collect();
    assert_eq!(commands, known, "and every command of the socket");
}

#[test]
fn the_gaps_are_the_stored_ones() {
    let gaps: Vec<String> = Gap::ALL.iter().map(|gap| format!("{} {}", gap.id(), gap.severity())).collect();
    is_as_stored("gaps.txt", &gaps);
}

fn names_in(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                names.insert(name.clone());
                names_in(value, names);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| names_in(value, names)),
        _ => {}
    }
}

#[test]
fn the_protocols_page_names_every_frame_field_and_error() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md");
    let page = fs::read_to_string(path).expect("docs/protocol.md documents the protocol");
    let mut names: BTreeSet<String> = BTreeSet::new();
    for text in stored("client_frames.jsonl").iter().chain(&stored("server_frames.jsonl")) {
        let frame: Value = serde_json::from_str(text).unwrap();
        names.insert(frame["type"].as_str().unwrap().to_owned());
        names_in(&frame, &mut names);
    }
    names.extend(errors().iter().map(|error| error.code().to_owned()));
    for reason in ["restart", "slow", "signed_out", "silent", "flood"] {
        names.insert(reason.to_owned());
    }
    // As code: a word of prose is no documentation.
    let code: BTreeSet<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .flat_map(|code| code.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .collect();
    let missing: Vec<_> = names.iter().filter(|name| !code.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "not documented: {missing:?}");
}
