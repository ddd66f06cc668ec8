//! Sockets: who may open one, what is heard, catching up, typing and presence, bad frames, slow
//! readers.

use crate::harness::person::Person;
use crate::harness::tab::{End, Tab};
use crate::harness::{TestApp, client_id};
use campfire::domain::account::UserRef;
use campfire::domain::event::{ClientFrame, MAX_CHANGES, PROTOCOL, ServerFrame};
use campfire::domain::message::{Draft, Message};
use campfire::domain::timeline::Timeline;
use campfire::domain::{MessageId, RoomId, Seq};
use campfire::server::rich_text;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as WsMessage;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

const ALL_TALK: RoomId = RoomId::new(1);

fn presence(name: &str, expected: bool) -> impl Fn(&ServerFrame) -> bool {
    move |frame| {
        matches!(frame, ServerFrame::Presence { name: who, online, .. }
            if who == name && *online == expected)
    }
}

fn is_heard(frame: &ServerFrame) -> bool {
    !matches!(frame, ServerFrame::Presence { .. } | ServerFrame::Room { .. })
}

/// Takes somebody out of every room, behind the server's back and before their first request.
async fn make_stranger(app: &TestApp, person: &Person) {
    let mut sql = app.sql().await;
    sql.run(&format!("DELETE FROM memberships WHERE user_id = {}", person.id)).await;
}

#[tokio::test]
async fn only_our_own_pages_and_programs_with_a_token_open_sockets() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let cookie = format!("session_token={}", david.token);
    let bearer = format!("Bearer {}", david.token);
    let (ours, tls) = (app.url(""), app.url("").replace("http:", "https:"));
    let other_port = "http://127.0.0.1:1";
    type Headers<'a> = &'a [(&'static str, &'a str)];
    let cases: [(Headers, Option<u16>); 10] = [
        (&[], Some(401)),
        (&[("origin", &ours)], Some(401)),
        (&[("cookie", &cookie), ("origin", &ours)], None),
        (&[("cookie", &cookie), ("origin", &tls)], None),
        (&[("authorization", &bearer)], None),
        (&[("cookie", &cookie)], Some(403)),
        (&[("cookie", &cookie), ("origin", "https://evil.example")], Some(403)),
        (&[("cookie", &cookie), ("origin", other_port)], Some(403)),
        (&[("cookie", &cookie), ("origin", "null")], Some(403)),
        (&[("authorization", &bearer), ("origin", "https://evil.example")], Some(403)),
    ];
    for (headers, refused) in cases {
        assert_eq!(Tab::try_open(&david, headers).await.err(), refused, "{headers:?}");
    }
    let plain = david.get("/ws").await;
    assert_eq!(plain.status, 400, "no upgrade: {}", plain.text());
}

#[tokio::test]
async fn a_welcome_tells_rooms_unread_marks_and_who_is_online() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let message = david.posts("news").in_(ALL_TALK).await;
    let _david_is_here = david.watches(ALL_TALK).await;
    let mut tab = jason.connects().await;
    tab.greets(None, None, None).await;
    let Some(ServerFrame::Welcome { protocol, incarnation, rooms, online, online_count }) =
        tab.heard.iter().find(|frame| matches!(frame, ServerFrame::Welcome { .. }))
    else {
        panic!("no welcome: {:?}", tab.heard);
    };
    assert_eq!((*protocol, incarnation.as_str()), (PROTOCOL, &*app.running.app.incarnation));
    assert_eq!(rooms, &jason.rooms().await);
    assert_eq!((rooms[0].last_message_id, rooms[0].unread), (Some(message.id), true));
    let names: Vec<&str> = online.iter().map(|user| user.name.as_str()).collect();
    assert_eq!((names, *online_count), (vec!["david", "jason"], 2));
}

#[tokio::test]
async fn every_change_reaches_watchers_once_and_in_order() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let mut tabs = [jason.watches(ALL_TALK).await, david.watches(ALL_TALK).await];
    let message = david.posts("helo").in_(ALL_TALK).await;
    let edited = david.edits(message.id, "hello").await;
    david.edits(message.id, "hello").await;
    david.deletes(message.id).await;
    for tab in &mut tabs {
        let heard = tab.hears_until_now(&david).await;
        let mut heard = heard.into_iter().filter(is_heard);
        assert_eq!(heard.next(), Some(ServerFrame::MessageCreated { message: message.clone().into() }));
        assert_eq!(heard.next(), Some(ServerFrame::MessageUpdated { message: edited.clone().into() }));
        let Some(ServerFrame::MessageDeleted { message: gone }) = heard.next() else {
            panic!("no deletion");
        };
        assert_eq!((gone.id, gone.body.as_str(), gone.deleted), (message.id, "", true));
        assert!(gone.seq > edited.seq);
        assert_eq!(heard.next(), None);
    }
}

#[tokio::test]
async fn rooms_that_are_not_on_screen_send_activity_only() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let designers = david.opens_room("Designers").await.id;
    let mut elsewhere = jason.watches(designers).await;
    let mut own = david.watches(designers).await;
    let message = david.posts("over here").in_(ALL_TALK).await;
    let heard = elsewhere.hears_until_now(&david).await;
    let heard: Vec<_> = heard.into_iter().filter(is_heard).collect();
    let activity = ServerFrame::RoomActivity { room_id: ALL_TALK, message_id: message.id, mention: false };
    assert_eq!(heard, [activity]);
    let heard = own.hears_until_now(&david).await;
    assert_eq!(heard.into_iter().filter(is_heard).count(), 0, "the author has said it");
}

#[tokio::test]
async fn reading_on_one_device_is_told_to_the_others() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let message = david.posts("news").in_(ALL_TALK).await;
    let mut here = jason.watches(ALL_TALK).await;
    let mut there = app.sign_in("jason").await.watches(ALL_TALK).await;
    let mut foreign = david.watches(ALL_TALK).await;
    here.says(&ClientFrame::Read { room_id: ALL_TALK, message_id: message.id }).await;
    let read = ServerFrame::Read { room_id: ALL_TALK, message_id: message.id, mentions: 0 };
    there.hears(|frame| *frame == read).await;
    assert!(!jason.sidebar(ALL_TALK).await.unread);
    // Going back changes nothing, so nothing is told.
    here.says(&ClientFrame::Read { room_id: ALL_TALK, message_id: MessageId::new(0) }).await;
    here.is_answered().await;
    for tab in [&mut there, &mut foreign] {
        let heard = tab.hears_until_now(&david).await;
        let told = heard.iter().any(|frame| matches!(frame, ServerFrame::Read { .. }));
        assert!(!told, "reading is private, and told once: {heard:?}");
    }
}

#[tokio::test]
async fn after_an_outage_every_change_arrives_once_by_rising_seq() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let mut posts = Vec::new();
    for at in 0..4 {
        posts.push(david.posts(&format!("before {at}")).in_(ALL_TALK).await);
    }
    let page = jason.page(ALL_TALK, "").await;
    let mut timeline = Timeline::new(ALL_TALK, &page);
    let incarnation = app.running.app.incarnation.to_string();
    let tab = jason.watches(ALL_TALK).await;
    tab.vanishes();

    // Everything that can happen to a message, old and new.
    let edited = david.edits(posts[0].id, "edited once").await;
    let edited_again = david.edits(posts[0].id, "edited twice").await;
    david.deletes(posts[1].id).await;
    let new = david.posts("new").in_(ALL_TALK).await;
    let short_lived = david.posts("short-lived").in_(ALL_TALK).await;
    david.deletes(short_lived.id).await;
    let changed = david.posts("chnaged").in_(ALL_TALK).await;
    let changed = david.edits(changed.id, "changed").await;
    assert!(edited.seq < edited_again.seq);

    let mut tab = jason.connects().await;
    let hello = ClientFrame::Hello {
        protocol: PROTOCOL,
        incarnation: Some(incarnation),
        room_id: Some(ALL_TALK),
        cursor: Some(page.cursor),
    };
    tab.says(&hello).await;
    let missed = tab.hears_what_was_missed().await.unwrap();
    let seqs: Vec<Seq> = missed.iter().map(|message| message.seq).collect();
    assert!(seqs.is_sorted() && seqs[0] > page.cursor, "{seqs:?}");
    let ids: Vec<MessageId> = missed.iter().map(|message| message.id).collect();
    assert_eq!(ids, [posts[0].id, posts[1].id, new.id, short_lived.id, changed.id]);
    assert_eq!(*missed[0], edited_again, "the latest state, not each one");
    assert!(missed[1].deleted && missed[3].deleted);

    let Some(ServerFrame::Changes { since, messages, cursor, .. }) = tab.heard.last() else {
        panic!("no changes");
    };
    timeline.apply_changes(*since, messages, *cursor);
    let shown: Vec<&str> = timeline.messages().map(|message| message.body.as_str()).collect();
    assert_eq!(shown, ["edited twice", "before 2", "before 3", "new", "changed"]);
    assert_eq!(timeline.cursor(), changed.seq);

    david.posts("live again").in_(ALL_TALK).await;
    let heard = tab.hears_until_now(&david).await;
    let live: Vec<_> = heard.iter().filter(|frame| is_heard(frame)).collect();
    assert!(matches!(live[..], [ServerFrame::MessageCreated { .. }]), "nothing twice: {live:?}");
}

#[tokio::test]
async fn a_cursor_that_is_up_to_date_gets_empty_changes() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    david.posts("hi").in_(ALL_TALK).await;
    let cursor = david.page(ALL_TALK, "").await.cursor;
    let mut tab = david.connects().await;
    tab.greets(None, Some(ALL_TALK), Some(cursor)).await;
    let empty = ServerFrame::Changes { room_id: ALL_TALK, since: cursor, messages: Vec::new(), cursor };
    assert_eq!(tab.heard.last(), Some(&empty));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_falls_between_catching_up_and_live_frames() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let elsewhere = david.opens_room("Elsewhere").await.id;
    let page = jason.page(ALL_TALK, "").await;
    let posting = (0..8).map(|author| {
        let david = david.clone();
        tokio::spawn(async move {
            for at in 0..150 {
                david.posts(&format!("{author}: {at}")).in_(ALL_TALK).await;
            }
        })
    });
    let posting: Vec<_> = posting.collect();
    // Come and go in the middle of it, by room and by connection, each time from where the tab
    // stood; then stay.
    let mut timeline = Timeline::new(ALL_TALK, &page);
    let mut visits = 0;
    let mut stays = false;
    while !stays {
        let mut tab = jason.connects().await;
        tab.greets(None, None, None).await;
        for _ in 0..10 {
            stays = posting.iter().all(tokio::task::JoinHandle::is_finished);
            tab.says(&ClientFrame::OpenRoom { room_id: elsewhere, cursor: None }).await;
            let cursor = Some(timeline.cursor());
            tab.says(&ClientFrame::OpenRoom { room_id: ALL_TALK, cursor }).await;
            tab.hears_what_was_missed().await.unwrap();
            visits += 1;
            if stays {
                break;
            }
            let any = |frame: &ServerFrame| matches!(frame, ServerFrame::MessageCreated { .. });
            let _quiet = timeout(Duration::from_millis(2), tab.hears(any)).await;
            tab.heard.drain(..).for_each(|frame| follow(&mut timeline, frame));
        }
        tab.heard.drain(..).for_each(|frame| follow(&mut timeline, frame));
    }
    let stored = app.sql().await.numbers("SELECT id FROM messages ORDER BY id").await;
    assert_eq!(stored.len(), 1_200);
    let known: Vec<i64> = timeline.messages().map(|message| message.id.get()).collect();
    assert!(known == stored, "{} of 1,200 after {visits} visits", known.len());
    assert!(visits > 20, "{visits} visits are too few to meet anything");
}

/// Does what a client does with a frame.
fn follow(timeline: &mut Timeline, frame: ServerFrame) {
    match frame {
        ServerFrame::MessageCreated { message } => {
            timeline.apply(&message);
        }
        ServerFrame::Changes { since, messages, cursor, .. } => {
            timeline.apply_changes(since, &messages, cursor);
        }
        _ => {}
    }
}

#[tokio::test]
async fn more_than_500_changes_are_a_reset() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let posts = (0..MAX_CHANGES).map(|at| {
        let david = david.clone();
        async move { david.posts(&format!("message {at}")).in_(ALL_TALK).await }
    });
    futures::future::join_all(posts).await;
    let mut tab = david.connects().await;
    tab.greets(None, None, None).await;
    tab.says(&ClientFrame::OpenRoom { room_id: ALL_TALK, cursor: Some(Seq::ZERO) }).await;
    let all = tab.hears_what_was_missed().await.unwrap();
    assert_eq!(all.len(), MAX_CHANGES, "exactly as many are still sent");
    david.posts("one too many").in_(ALL_TALK).await;
    tab.says(&ClientFrame::OpenRoom { room_id: ALL_TALK, cursor: Some(Seq::ZERO) }).await;
    assert_eq!(tab.hears_what_was_missed().await, None);
    david.posts("and on").in_(ALL_TALK).await;
    tab.hears_message("and on").await;
}

#[tokio::test]
async fn many_large_changes_arrive_or_reset_but_never_cut_the_tab() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let cursor = jason.page(ALL_TALK, "").await.cursor;
    // 20 long messages are far from 500 changes, but more than a megabyte.
    for at in 0..20 {
        david.posts(&format!("{at} {}", "\u{1f525}".repeat(9_990))).in_(ALL_TALK).await;
    }
    let mut tab = jason.connects().await;
    let hello = ClientFrame::Hello {
        protocol: PROTOCOL,
        incarnation: None,
        room_id: Some(ALL_TALK),
        cursor: Some(cursor),
    };
    tab.says(&hello).await;
    if let Some(missed) = tab.hears_what_was_missed().await {
        assert_eq!(missed.len(), 20);
    }
    david.posts("and on").in_(ALL_TALK).await;
    tab.hears_message("and on").await;
}

#[tokio::test]
async fn a_cursor_of_another_database_or_of_the_future_is_reset() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    david.posts("hi").in_(ALL_TALK).await;
    let cursor = david.page(ALL_TALK, "").await.cursor;
    let mut tab = david.connects().await;
    let hello = ClientFrame::Hello {
        protocol: PROTOCOL,
        incarnation: Some("another database".into()),
        room_id: Some(ALL_TALK),
        cursor: Some(cursor),
    };
    tab.says(&hello).await;
    assert_eq!(tab.hears_what_was_missed().await, None);
    david.posts("watched all the same").in_(ALL_TALK).await;
    tab.hears_message("watched all the same").await;

    let ahead = Some(Seq::new(cursor.get() + 1_000));
    tab.says(&ClientFrame::OpenRoom { room_id: ALL_TALK, cursor: ahead }).await;
    assert_eq!(tab.hears_what_was_missed().await, None);
}

#[tokio::test]
async fn a_stranger_opens_no_room_and_hears_nothing_of_it() {
    let app = TestApp::start().await;
    let (david, kevin) = (app.first_run("david").await, app.join("kevin").await);
    make_stranger(&app, &kevin).await;
    let mut tab = kevin.connects().await;
    let hello = |room_id| ClientFrame::Hello {
        protocol: PROTOCOL,
        incarnation: None,
        room_id: Some(room_id),
        cursor: Some(Seq::ZERO),
    };
    for room_id in [ALL_TALK, RoomId::new(99)] {
        tab.says(&hello(room_id)).await;
        assert_eq!(tab.hears_refusal().await, "not_found");
        tab.says(&ClientFrame::OpenRoom { room_id, cursor: None }).await;
        assert_eq!(tab.hears_refusal().await, "not_found");
        tab.says(&ClientFrame::Read { room_id, message_id: MessageId::new(1) }).await;
        assert_eq!(tab.hears_refusal().await, "not_found");
        tab.says(&ClientFrame::TypingStart { room_id }).await;
        assert_eq!(tab.hears_refusal().await, "not_found");
    }
    let mut listener = david.watches(ALL_TALK).await;
    tab.says(&ClientFrame::TypingStart { room_id: ALL_TALK }).await;
    assert_eq!(tab.hears_refusal().await, "not_found");
    david.posts("members only").in_(ALL_TALK).await;
    let heard = tab.hears_until_now(&david).await;
    assert!(heard.iter().all(|frame| !is_heard(frame)), "{heard:?}");
    let heard = listener.hears_until_now(&david).await;
    assert!(heard.iter().all(|frame| !matches!(frame, ServerFrame::Typing { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_keeps_knocking_hears_nothing_in_between() {
    let app = TestApp::start().await;
    let (david, kevin) = (app.first_run("david").await, app.join("kevin").await);
    make_stranger(&app, &kevin).await;
    let mut tab = kevin.connects().await;
    tab.greets(None, None, None).await;
    let author = david.clone();
    let posting = tokio::spawn(async move {
        for at in 0..100 {
            author.posts(&format!("secret {at}")).in_(ALL_TALK).await;
        }
    });
    while !posting.is_finished() {
        tab.says(&ClientFrame::OpenRoom { room_id: ALL_TALK, cursor: None }).await;
        tab.hears_refusal().await;
    }
    posting.await.unwrap();
    tab.hears_until_now(&david).await;
    let leaked: Vec<_> =
        tab.heard.iter().filter(|frame| matches!(frame, ServerFrame::MessageCreated { .. })).collect();
    assert!(leaked.is_empty(), "{} messages leaked, e.g. {:?}", leaked.len(), leaked[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_post_around_a_hello_is_in_the_welcome_or_told_after_it() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let newcomers = app.add_people(100).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let posting = (0..8).map(|_| {
        let (author, stopped) = (david.clone(), stopped.clone());
        tokio::spawn(async move {
            while !*stopped.borrow() {
                author.posts("news").in_(ALL_TALK).await;
            }
        })
    });
    let posting: Vec<_> = posting.collect();
    let mut gaps = Vec::new();
    for person in &newcomers {
        let mut tab = person.connects().await;
        tab.greets(None, None, None).await;
        for _ in 0..3 {
            tab.hears(|frame| matches!(frame, ServerFrame::RoomActivity { .. })).await;
        }
        let mut known = None;
        for frame in &tab.heard {
            match frame {
                ServerFrame::Welcome { rooms, .. } => {
                    known = rooms[0].last_message_id.map(MessageId::get);
                }
                ServerFrame::RoomActivity { message_id, .. } => {
                    // One author, one room: ids follow each other without gaps.
                    if known.is_some_and(|known| message_id.get() > known + 1) {
                        gaps.push((known, message_id.get()));
                    }
                    known = known.max(Some(message_id.get()));
                }
                _ => {}
            }
        }
    }
    stop.send(true).unwrap();
    for author in posting {
        author.await.unwrap();
    }
    assert!(gaps.is_empty(), "unread marks that never came (known, next): {gaps:?}");
}

#[tokio::test]
async fn leaving_a_room_ends_its_frames() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let designers = david.opens_room("Designers").await.id;
    let mut tab = jason.watches(ALL_TALK).await;
    tab.says(&ClientFrame::OpenRoom { room_id: designers, cursor: None }).await;
    tab.is_answered().await;
    david.posts("in the old room").in_(ALL_TALK).await;
    let new = david.posts("in the new room").in_(designers).await;
    let heard = tab.hears_until_now(&david).await;
    let messages: Vec<_> =
        heard.iter().filter(|frame| matches!(frame, ServerFrame::MessageCreated { .. })).collect();
    assert_eq!(messages, [&ServerFrame::MessageCreated { message: new.into() }]);
}

#[tokio::test]
async fn hello_comes_first() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut tab = david.connects().await;
    let early = [
        ClientFrame::Ping,
        ClientFrame::OpenRoom { room_id: ALL_TALK, cursor: None },
        ClientFrame::Read { room_id: ALL_TALK, message_id: MessageId::new(1) },
        ClientFrame::TypingStart { room_id: ALL_TALK },
    ];
    for frame in early {
        tab.says(&frame).await;
        assert_eq!(tab.hears_refusal().await, "malformed");
    }
    david.posts("not for you yet").in_(ALL_TALK).await;
    tab.greets(None, None, None).await;
    assert!(tab.heard.iter().all(|frame| !matches!(frame, ServerFrame::MessageCreated { .. })));
}

#[tokio::test]
async fn unknown_frames_are_ignored_and_malformed_ones_refused() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut tab = david.watches(ALL_TALK).await;
    for unknown in [r#"{"type":"wave"}"#, r#"{"type":"WAVE","room_id":{"a":[1]}}"#, r#"{"type":""}"#] {
        tab.says_text(unknown).await;
        tab.is_answered().await;
    }
    assert!(!tab.heard.iter().any(|frame| matches!(frame, ServerFrame::Error { .. })));
    let malformed = [
        "",
        "hello",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"type":7}"#,
        r#"{"type":"open_room"}"#,
        r#"{"type":"open_room","room_id":"one"}"#,
        r#"{"type":"open_room","room_id":1.5}"#,
        r#"{"type":"open_room","room_id":99999999999999999999}"#,
        r#"{"type":"read","room_id":1}"#,
        &"[".repeat(10_000),
        &format!(r#"{{"type":"hello","protocol":1,"incarnation":{}}}"#, "[".repeat(5_000)),
    ];
    for text in malformed {
        tab.says_text(text).await;
        assert_eq!(tab.hears_refusal().await, "malformed", "{text:.80}");
    }
    let extra = r#"{"type":"ping","colour":"red"}"#;
    tab.says_text(extra).await;
    tab.hears(|frame| matches!(frame, ServerFrame::Pong)).await;
}

#[tokio::test]
async fn binary_frames_are_refused_and_unreadable_ones_end_only_their_tab() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut bystander = david.watches(ALL_TALK).await;
    let mut tab = david.watches(ALL_TALK).await;
    tab.sends(WsMessage::binary(vec![0, 159, 146, 150])).await;
    assert_eq!(tab.hears_refusal().await, "malformed");
    let filler = "x".repeat(64 * 1024 - 40);
    tab.says_text(&format!(r#"{{"type":"ping","filler":"{filler}"}}"#)).await;
    tab.hears(|frame| matches!(frame, ServerFrame::Pong)).await;

    tab.sends(WsMessage::text("x".repeat(64 * 1024 + 1))).await;
    let (_, end) = tab.ends().await;
    assert!(matches!(end, End::Closed(1_008) | End::Broken), "{end:?}");

    let mut invalid = david.watches(ALL_TALK).await;
    invalid.sends_invalid_text().await;
    let (_, end) = invalid.ends().await;
    assert!(matches!(end, End::Closed(_) | End::Broken), "{end:?}");

    david.posts("unimpressed").in_(ALL_TALK).await;
    bystander.hears_message("unimpressed").await;
}

#[tokio::test]
async fn typing_is_told_to_the_others_in_the_room_and_never_stored() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let designers = david.opens_room("Designers").await.id;
    let mut here = david.watches(ALL_TALK).await;
    let mut elsewhere = david.watches(designers).await;
    let mut own = jason.watches(ALL_TALK).await;
    let mut typist = jason.watches(ALL_TALK).await;
    typist.says(&ClientFrame::TypingStart { room_id: ALL_TALK }).await;
    typist.says(&ClientFrame::TypingStop { room_id: ALL_TALK }).await;
    for expected in [true, false] {
        let heard = here.hears(|frame| matches!(frame, ServerFrame::Typing { .. })).await;
        let ServerFrame::Typing { room_id, user, active } = heard else {
            panic!("not typing");
        };
        assert_eq!((room_id, user.name.as_str(), active), (ALL_TALK, "jason", expected));
    }
    // Only in the room on screen.
    typist.says(&ClientFrame::TypingStart { room_id: designers }).await;
    assert_eq!(typist.hears_refusal().await, "not_found");
    for tab in [&mut elsewhere, &mut own] {
        let heard = tab.hears_until_now(&david).await;
        assert!(heard.iter().all(|frame| !matches!(frame, ServerFrame::Typing { .. })));
    }
}

#[tokio::test]
async fn tabs_count_independently_and_a_reload_is_no_departure() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let mut observer = david.watches(ALL_TALK).await;
    let first = jason.watches(ALL_TALK).await;
    observer.hears(presence("jason", true)).await;
    let second = jason.watches(ALL_TALK).await;
    first.vanishes();
    second.vanishes();
    // Back within five seconds: nobody has noticed.
    let third = jason.watches(ALL_TALK).await;
    let heard = observer.hears_until_now(&david).await;
    assert!(heard.iter().all(|frame| !matches!(frame, ServerFrame::Presence { .. })), "{heard:?}");
    third.vanishes();
    let left = Instant::now();
    observer.hears(presence("jason", false)).await;
    assert!(left.elapsed() > Duration::from_secs(4), "{:?}", left.elapsed());
    assert_eq!(app.running.app.connections.online().len(), 1);
}

#[tokio::test]
async fn whoever_is_silent_for_a_minute_is_offline_and_cut() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let mut observer = david.watches(ALL_TALK).await;
    // Jason's computer sleeps: nobody reads its socket, so it answers no ping.
    let mut asleep = jason.watches(ALL_TALK).await;
    observer.hears(presence("jason", true)).await;
    let online = || app.running.app.connections.online().len();
    for _ in 0..5 {
        assert_eq!(online(), 2);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(12)).await;
        tokio::time::resume();
        observer.is_answered().await;
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    if !observer.heard.iter().any(presence("jason", false)) {
        observer.hears(presence("jason", false)).await;
    }
    assert_eq!(online(), 1);
    // It may be too late for a sleeper to hear why.
    let (reason, _) = asleep.ends().await;
    assert!(matches!(reason.as_deref(), None | Some("silent")), "{reason:?}");
}

#[tokio::test]
async fn a_dead_tab_is_freed_within_a_minute_although_another_one_lives() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut alive = david.watches(ALL_TALK).await;
    let mut dead = david.watches(ALL_TALK).await;
    // Its last sign of life comes a second after its connection began.
    step(Duration::from_secs(1)).await;
    dead.is_answered().await;
    for pause in [19, 20, 20, 2] {
        step(Duration::from_secs(pause)).await;
        alive.is_answered().await;
    }
    let end = timeout(Duration::from_secs(3), dead.ends()).await;
    assert!(end.is_ok(), "61 s after its last word it is still open");
}

async fn step(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_cut_without_delaying_anybody_and_catches_up() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let kevin = app.join("kevin").await;
    let page = jason.page(ALL_TALK, "").await;
    let mut timeline = Timeline::new(ALL_TALK, &page);
    let mut slow = jason.watches(ALL_TALK).await;
    let mut quick = kevin.watches(ALL_TALK).await;
    // Nobody reads `slow`; each frame is some 80 kB, together more than any buffer between takes.
    let text =
        rich_text::render(&Draft::parse(&"\u{1f525}".repeat(10_000)).unwrap(), &rich_text::Known::default());
    let mut slowest = Duration::ZERO;
    let mut count = 0;
    while count % 10 > 0 || gap(&app, "GAP_024").await == 0 {
        assert!(count < 490, "never cut");
        let posted = Instant::now();
        let author = UserRef { id: david.user_id(), name: "david".into() };
        let writer = &app.running.app.writer;
        let created = writer.create_message_with_deduplication(ALL_TALK, author, client_id(), text.clone());
        let id = created.await.unwrap().message().id;
        quick
            .hears(|frame| matches!(frame, ServerFrame::MessageCreated { message } if message.id == id))
            .await;
        slowest = slowest.max(posted.elapsed());
        count += 1;
    }
    assert!(count > 256, "cut only once the queue is full, not after {count} frames");
    assert!(slowest < Duration::from_secs(2), "the others waited {slowest:?}");
    david.posts("after the cut").in_(ALL_TALK).await;
    quick.hears_message("after the cut").await;

    // What it had not read yet may be lost with the connection, the goodbye included.
    let (reason, _) = slow.ends().await;
    assert!(matches!(reason.as_deref(), None | Some("slow")), "{reason:?}");
    for frame in slow.heard {
        if let ServerFrame::MessageCreated { message } = frame {
            timeline.apply(&message);
        }
    }
    // Back again, from wherever it got to.
    let mut tab = jason.connects().await;
    let hello = ClientFrame::Hello {
        protocol: PROTOCOL,
        incarnation: None,
        room_id: Some(ALL_TALK),
        cursor: Some(timeline.cursor()),
    };
    tab.says(&hello).await;
    match tab.hears_what_was_missed().await {
        Some(missed) => timeline.apply_changes(timeline.cursor(), &missed, missed.last().unwrap().seq),
        None => timeline.reset(&jason.page(ALL_TALK, "limit=500").await),
    }
    let fresh: Vec<Arc<Message>> = jason.page(ALL_TALK, "limit=500").await.messages;
    assert_eq!(fresh.len(), count + 1);
    assert!(timeline.messages().eq(fresh.iter()), "nothing is missing");
}

async fn gap(app: &TestApp, id: &str) -> u64 {
    let metrics = app.get_as_nobody("/metrics").await.text();
    let line = metrics.lines().find(|line| line.contains(id)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_tab_that_closes_is_answered() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut tab = david.watches(ALL_TALK).await;
    let leaving = CloseFrame { code: CloseCode::Away, reason: "".into() };
    tab.sends(WsMessage::Close(Some(leaving))).await;
    let (said, end) = tab.ends().await;
    assert!(said.is_none() && matches!(end, End::Closed(1_001)), "{said:?} {end:?}");
}
