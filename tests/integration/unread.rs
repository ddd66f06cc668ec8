//! Where one left off: the read cursor on the page, rooms marked unread, and what every device and
//! the database make of it.

use crate::harness::TestApp;
use crate::harness::person::{Answer, Person};
use campfire::domain::event::{ClientFrame, ServerFrame};
use campfire::domain::{MessageId, RoomId};
use reqwest::Method;

const ALL_TALK: RoomId = RoomId::new(1);
const LINE: &str = "divider--new";

async fn room_page(person: &Person) -> String {
    Answer::read(person.browses(Method::GET, "/rooms/1")).await.text()
}

/// Unread, read cursor and mentions: of memory, which must be what the database says.
async fn standing(app: &TestApp, person: &Person) -> (bool, i64, u32) {
    let entry = person.sidebar(ALL_TALK).await;
    let mut sql = app.sql().await;
    let own = format!("user_id = {} AND room_id = 1", person.id);
    let cursor = format!("SELECT coalesce(last_read_message_id, 0) FROM memberships WHERE {own}");
    let cursor = sql.number(&cursor).await;
    let counted = format!("SELECT count(*) FROM mentions WHERE {own} AND message_id > {cursor}");
    assert_eq!(i64::from(entry.mentions), sql.number(&counted).await, "mentions are counted anew");
    assert_eq!(entry.last_read_message_id.map_or(0, MessageId::get), cursor);
    (entry.unread, cursor, entry.mentions)
}

#[tokio::test]
async fn a_room_is_marked_unread_on_every_device() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let mut ids = Vec::new();
    for text in ["@jason one", "two", "@jason three", "four"] {
        ids.push(david.posts(text).in_(ALL_TALK).await.id);
    }
    let own = jason.posts("five, my own").in_(ALL_TALK).await.id;
    jason.reads(ALL_TALK, own.get()).await;
    assert_eq!(standing(&app, &jason).await, (false, own.get(), 0));
    assert!(!room_page(&jason).await.contains(LINE), "everything is read");

    let mut here = jason.watches(ALL_TALK).await;
    let mut there = jason.connects().await;
    there.greets(None, None, None).await;
    let mut stranger = david.watches(ALL_TALK).await;
    assert_eq!(jason.marks_unread(ALL_TALK, ids[2]).await.status, 204);
    let seen = MessageId::new(ids[2].get() - 1);
    for tab in [&mut here, &mut there] {
        let heard = tab.hears(|frame| matches!(frame, ServerFrame::Unread { .. })).await;
        let expected = ServerFrame::Unread { room_id: ALL_TALK, message_id: seen, mentions: 1 };
        assert_eq!(heard, expected);
    }
    let frames = stranger.hears_until_now(&david).await;
    assert!(!frames.iter().any(|frame| matches!(frame, ServerFrame::Unread { .. })), "theirs alone");
    assert_eq!(standing(&app, &jason).await, (true, seen.get(), 1), "though one spoke last");

    // After a restart the database says the same, and the page carries the line.
    drop((here, there, stranger));
    let app = app.restart().await;
    let (david, jason) = (app.meet(&david), app.meet(&jason));
    assert_eq!(standing(&app, &jason).await, (true, seen.get(), 1));
    let page = room_page(&jason).await;
    let (above, below) = page.split_once(LINE).unwrap();
    assert!(above.contains("two") && !above.contains("four"), "it stands above the third message");
    assert!(below.contains("three") && !below.contains(LINE));

    // An ordinary reading never goes back, and one on another device ends it for both.
    assert_eq!(jason.reads(ALL_TALK, 1).await.status, 204);
    assert_eq!(standing(&app, &jason).await.1, seen.get());
    let (mut here, mut there) = (jason.watches(ALL_TALK).await, jason.watches(ALL_TALK).await);
    here.says(&ClientFrame::Read { room_id: ALL_TALK, message_id: own }).await;
    let heard = there.hears(|frame| matches!(frame, ServerFrame::Read { .. })).await;
    assert_eq!(heard, ServerFrame::Read { room_id: ALL_TALK, message_id: own, mentions: 0 });
    assert_eq!(standing(&app, &jason).await, (false, own.get(), 0));
    assert!(!room_page(&jason).await.contains(LINE), "the kept page is not given out again");

    // Whoever speaks after marking has read.
    jason.marks_unread(ALL_TALK, ids[0]).await;
    assert_eq!(standing(&app, &jason).await, (true, ids[0].get() - 1, 2));
    jason.posts("six").in_(ALL_TALK).await;
    assert!(!jason.sidebar(ALL_TALK).await.unread);
    david.posts("@jason seven").in_(ALL_TALK).await;
    assert_eq!(standing(&app, &jason).await, (true, ids[0].get() - 1, 3));
}

#[tokio::test]
async fn marking_unread_keeps_within_the_room_and_what_exists() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let last = david.posts("one").in_(ALL_TALK).await.id;
    let closed = david.opens_closed_room("Founders", &[]).await.id;
    for room_id in [closed, RoomId::new(999)] {
        let answer = jason.marks_unread(room_id, last).await;
        assert_eq!(answer.refusal(), (404, "not_found".to_owned(), None), "{room_id}");
    }
    // A cursor beyond the newest message would hide what is yet to come.
    assert_eq!(jason.marks_unread(ALL_TALK, MessageId::new(i64::MAX)).await.status, 204);
    assert_eq!(standing(&app, &jason).await, (false, last.get(), 0));
    david.posts("two").in_(ALL_TALK).await;
    assert!(jason.sidebar(ALL_TALK).await.unread);
    assert_eq!(jason.marks_unread(ALL_TALK, MessageId::new(i64::MIN + 1)).await.status, 204);
    assert_eq!(standing(&app, &jason).await, (true, 0, 0));
}

#[tokio::test]
async fn a_message_is_shown_between_forty_older_and_forty_newer_ones() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut ids = Vec::new();
    for at in 0..100 {
        ids.push(david.posts(&format!("number {at}.")).in_(ALL_TALK).await.id);
    }
    let (page, has_newer) =
        david.page(ALL_TALK, &format!("around={}&limit=81", ids[50])).await.around(ids[50]);
    let shown: Vec<MessageId> = page.messages.iter().map(|message| message.id).collect();
    assert_eq!(shown, ids[10..91]);
    assert!(page.has_more && has_newer);
    let (page, has_newer) =
        david.page(ALL_TALK, &format!("around={}&limit=81", ids[20])).await.around(ids[20]);
    assert_eq!(page.messages.first().map(|message| message.id), Some(ids[0]));
    assert!(!page.has_more && has_newer);
    let (page, has_newer) =
        david.page(ALL_TALK, &format!("around={}&limit=81", ids[99])).await.around(ids[99]);
    assert_eq!(page.messages.len(), 41);
    assert!(page.has_more && !has_newer);
    let text = Answer::read(david.browses(Method::GET, &format!("/rooms/1/@{}", ids[50]))).await.text();
    assert!(text.contains("number 10.") && text.contains("number 90."), "the page shows the same");
    assert!(!text.contains("number 9.") && !text.contains("number 91."));
    assert!(text.contains("message--found"));
    let both = david.get(&format!("/api/rooms/1/messages?around={}&before=3", ids[5])).await;
    assert_eq!(both.status, 400);
}
