//! The reducer of one room against a model of its server: whatever is read when, and in whatever
//! order answers arrive, an old snapshot plus its changes equals a fresh one.

use crate::{check, same};
use campfire::domain::account::UserRef;
use campfire::domain::event::ServerFrame;
use campfire::domain::message::{ClientMessageId, Message, MessagePage, Quote};
use campfire::domain::message::{Row, RowContent};
use campfire::domain::timeline::{Line, MAX_ROWS, Timeline};
use campfire::domain::{MessageId, RoomId, Seq, Timestamp, UserId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestCaseResult};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

const ROOM: RoomId = RoomId::new(1);
/// More changes than this are a reset; a small stand-in for the real limit.
const MAX_CHANGES: usize = 12;
/// Messages of a fresh page; likewise.
const PAGE: usize = 6;

/// The server's side of one room.
#[derive(Default)]
struct Server {
    seq: i64,
    messages: BTreeMap<i64, Arc<Message>>,
}

impl Server {
    fn create(&mut self, name: ClientMessageId) -> Arc<Message> {
        self.seq += 1;
        let id = self.messages.len() as i64 + 1;
        // Some answer an earlier one, as that one is now.
        let original = self.messages.get(&(id / 2)).filter(|one| id % 3 > 0 && !one.deleted);
        let reply_to = original.map(|one| Quote::new(one.id, one.creator.clone(), one.texts()));
        self.store(Message {
            id: MessageId::new(id),
            seq: Seq::new(self.seq),
            room_id: ROOM,
            client_message_id: name,
            creator: UserRef { id: UserId::new(1), name: "david".into() },
            body: format!("message {id}"),
            body_html: String::new(),
            created_at: Timestamp::from_ms(id),
            edited_at: None,
            deleted: false,
            reply_to,
            boosts: Vec::new(),
        })
    }

    /// Changes the `at`-th message that still exists, if any does.
    fn change(&mut self, at: usize, deleted: bool) -> Option<Arc<Message>> {
        let alive: Vec<_> = self.messages.values().filter(|message| !message.deleted).collect();
        let picked = Message::clone(alive.get(at % alive.len().max(1))?);
        self.seq += 1;
        let body = if deleted { String::new() } else { format!("{}, edited", picked.body) };
        Some(self.store(Message { seq: Seq::new(self.seq), body, deleted, ..picked }))
    }

    fn store(&mut self, message: Message) -> Arc<Message> {
        Quote::renew(self.messages.values_mut(), &message);
        let message = Arc::new(message);
        self.messages.insert(message.id.get(), Arc::clone(&message));
        message
    }

    fn alive(&self) -> Vec<Arc<Message>> {
        self.messages.values().filter(|message| !message.deleted).cloned().collect()
    }

    fn page(&self, mut messages: Vec<Arc<Message>>, limit: usize, newest: bool) -> MessagePage {
        let has_more = messages.len() > limit;
        if newest {
            messages.drain(..messages.len().saturating_sub(limit));
        }
        messages.truncate(limit);
        MessagePage { messages, cursor: Seq::new(self.seq), has_more }
    }

    fn newest(&self, limit: usize) -> MessagePage {
        self.page(self.alive(), limit, true)
    }

    fn before(&self, id: MessageId, limit: usize) -> MessagePage {
        let older = self.alive().into_iter().filter(|message| message.id < id);
        self.page(older.collect(), limit, true)
    }

    fn after(&self, id: MessageId, limit: usize) -> MessagePage {
        let newer = self.alive().into_iter().filter(|message| message.id > id);
        self.page(newer.collect(), limit, false)
    }

    fn answer(&self, since: Seq) -> ServerFrame {
        match self.changes(since) {
            ServerFrame::Changes { messages, .. } if messages.len() > MAX_CHANGES => {
                ServerFrame::Reset { room_id: ROOM }
            }
            changes => changes,
        }
    }

    fn changes(&self, since: Seq) -> ServerFrame {
        let mut changed: Vec<_> =
            self.messages.values().filter(|message| message.seq > since).cloned().collect();
        changed.sort_by_key(|message| message.seq);
        let cursor = Seq::new(self.seq);
        ServerFrame::Changes { room_id: ROOM, since, messages: changed, cursor }
    }
}

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create,
    Edit(usize),
    Delete(usize),
    /// The tab sends a message of its own.
    Send,
    /// The server works off one request of the tab's, from whichever connection.
    Serve(usize),
    /// The tab gets the next frame of its socket.
    Frame,
    /// The tab gets an answer, in any order.
    Answer(usize),
    LoadOlder(usize),
    LoadNewer(usize),
    /// The reader wants the newest page.
    Jump,
    Disconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Create),
        3 => any::<usize>().prop_map(Step::Edit),
        3 => any::<usize>().prop_map(Step::Delete),
        2 => Just(Step::Send),
        4 => any::<usize>().prop_map(Step::Serve),
        8 => Just(Step::Frame),
        5 => any::<usize>().prop_map(Step::Answer),
        3 => (1_usize..6).prop_map(Step::LoadOlder),
        3 => (1_usize..6).prop_map(Step::LoadNewer),
        1 => Just(Step::Jump),
        1 => Just(Step::Disconnect),
    ]
}

/// What the tab has asked and the server has not done yet.
#[derive(Clone, Copy, Debug)]
enum Request {
    Older(MessageId, usize),
    Newer(MessageId, usize),
    Post(ClientMessageId),
    Newest,
}

/// What the server has answered and the tab has not received yet.
enum Answer {
    Older(MessageId, MessagePage),
    Newer(MessageId, MessagePage),
    Posted(Arc<Message>),
    Newest(MessagePage),
}

/// A server, a tab, and everything on its way between them.
struct World {
    server: Server,
    timeline: Timeline,
    /// Frames on their way to the tab, in order.
    frames: VecDeque<ServerFrame>,
    /// Cursors on their way to the server, in order: the hello, then wishes for replays.
    cursors: VecDeque<Seq>,
    /// Whether the hello has been served, so that live frames come.
    live: bool,
    requests: Vec<Request>,
    answers: Vec<Answer>,
    sent: u128,
}

impl World {
    fn new(history: usize, window: usize, middle: Option<usize>) -> Self {
        let mut server = Server::default();
        for at in 0..history {
            server.create(ClientMessageId::new(Uuid::from_u128(at as u128)));
        }
        let timeline = match middle {
            Some(at) if at < history => {
                let mut page = server.before(MessageId::new(at as i64 + 2), window);
                let newer = server.after(MessageId::new(at as i64 + 1), window);
                page.messages.extend(newer.messages);
                Timeline::around(ROOM, &page, newer.has_more)
            }
            _ => Timeline::new(ROOM, &server.newest(window)),
        };
        let cursors = VecDeque::from([timeline.cursor()]);
        let (frames, requests, answers) = (VecDeque::new(), Vec::new(), Vec::new());
        let sent = 1_u128 << 64;
        Self { server, timeline, frames, cursors, live: false, requests, answers, sent }
    }

    /// The tab hears live frames once its hello has been served.
    fn publish(&mut self, frame: ServerFrame) {
        if self.live {
            self.frames.push_back(frame);
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Create => {
                let name = Uuid::from_u128((1 << 96) + self.server.seq as u128);
                let message = self.server.create(ClientMessageId::new(name));
                self.publish(ServerFrame::MessageCreated { message });
            }
            Step::Edit(at) => {
                if let Some(message) = self.server.change(at, false) {
                    self.publish(ServerFrame::MessageUpdated { message });
                }
            }
            Step::Delete(at) => {
                if let Some(message) = self.server.change(at, true) {
                    self.publish(ServerFrame::MessageDeleted { message });
                }
            }
            Step::Send => {
                self.sent += 1;
                let name = ClientMessageId::new(Uuid::from_u128(self.sent));
                self.timeline.send(name, "mine", Timestamp::from_ms(0));
                self.requests.push(Request::Post(name));
            }
            Step::Serve(at) => self.serve(at),
            Step::Frame => self.hear(),
            Step::Answer(at) => self.receive(at),
            Step::LoadOlder(limit) => {
                if let Some(before) = self.timeline.oldest() {
                    self.requests.push(Request::Older(before, limit));
                }
            }
            Step::LoadNewer(limit) => {
                if let Some(after) = self.timeline.newest_loaded() {
                    self.requests.push(Request::Newer(after, limit));
                }
            }
            Step::Jump => {
                self.timeline.wait_for_changes();
                self.requests.push(Request::Newest);
            }
            Step::Disconnect => {
                // Whatever was on its way is lost, in both directions. The tab is back at once.
                self.frames.clear();
                self.live = false;
                self.cursors = VecDeque::from([self.timeline.cursor()]);
            }
        }
    }

    /// The server takes the hello, or a request.
    fn serve(&mut self, at: usize) {
        if let Some(cursor) = self.cursors.pop_front() {
            self.live = true;
            let answer = self.server.answer(cursor);
            self.frames.push_back(answer);
            return;
        }
        if self.requests.is_empty() {
            return;
        }
        let request = self.requests.remove(at % self.requests.len());
        let answer = match request {
            Request::Older(id, limit) => Answer::Older(id, self.server.before(id, limit)),
            Request::Newer(id, limit) => Answer::Newer(id, self.server.after(id, limit)),
            Request::Post(name) => {
                let message = self.server.create(name);
                self.publish(ServerFrame::MessageCreated { message: Arc::clone(&message) });
                Answer::Posted(message)
            }
            Request::Newest => Answer::Newest(self.server.newest(PAGE)),
        };
        self.answers.push(answer);
    }

    fn hear(&mut self) {
        match self.frames.pop_front() {
            Some(ServerFrame::Changes { since, messages, cursor, .. }) => {
                self.timeline.apply_changes(since, &messages, cursor);
            }
            Some(ServerFrame::Reset { .. }) => {
                self.timeline.wait_for_changes();
                self.requests.push(Request::Newest);
            }
            Some(
                ServerFrame::MessageCreated { message }
                | ServerFrame::MessageUpdated { message }
                | ServerFrame::MessageDeleted { message },
            ) => {
                self.timeline.apply(&message);
            }
            _ => {}
        }
    }

    fn receive(&mut self, at: usize) {
        if self.answers.is_empty() {
            return;
        }
        let replay = match self.answers.remove(at % self.answers.len()) {
            Answer::Older(before, page) => self.timeline.merge_older(before, &page),
            Answer::Newer(after, page) => self.timeline.merge_newer(after, &page),
            Answer::Posted(message) => {
                self.timeline.acknowledge(&message);
                None
            }
            Answer::Newest(page) => {
                self.timeline.reset(&page);
                self.timeline.wait_for_changes();
                Some(self.timeline.cursor())
            }
        };
        // Over the socket, behind whatever was said before.
        self.cursors.extend(replay);
    }

    /// Whatever is under way arrives.
    fn settle(&mut self) {
        while !(self.cursors.is_empty()
            && self.requests.is_empty()
            && self.answers.is_empty()
            && self.frames.is_empty())
        {
            self.serve(0);
            self.receive(0);
            self.hear();
        }
    }

    fn expected(&self) -> Vec<Arc<Message>> {
        let mut alive = self.server.alive();
        let start = self.timeline.oldest().unwrap_or(MessageId::new(0));
        let end = self.timeline.newest_loaded().unwrap_or(MessageId::new(i64::MAX));
        alive.retain(|message| message.id >= start && message.id <= end);
        alive
    }

    fn shown(&self) -> Vec<Arc<Message>> {
        self.timeline.messages().cloned().collect()
    }
}

/// At every moment: sorted, nothing twice, nothing both sent and still being sent.
fn in_shape(world: &World) -> TestCaseResult {
    let viewer = UserRef { id: UserId::new(1), name: "david".into() };
    let rows = world.timeline.rows(&viewer, |_| 0);
    let keys: BTreeSet<ClientMessageId> = rows.iter().map(Row::key).collect();
    same(keys.len(), rows.len(), "a row is shown twice")?;
    let ids: Vec<i64> = world.timeline.messages().map(|message| message.id.get()).collect();
    same(ids.is_sorted(), true, "rows are sorted")?;
    let first_outgoing = rows.iter().position(|row| matches!(row.content, RowContent::Outgoing(_)));
    same(first_outgoing.unwrap_or(rows.len()), ids.len(), "what is being sent stands last")
}

#[test]
fn prop_a_timeline_converges_to_the_servers_state() {
    let worlds = (0_usize..30, 1_usize..12, proptest::option::of(0_usize..30), vec(step(), 0..120));
    check(file!(), 600, &worlds, |(history, window, middle, steps)| {
        let mut world = World::new(history, window, middle);
        let mut cursor = world.timeline.cursor();
        for step in steps {
            world.take(step);
            in_shape(&world)?;
            // Only an older page takes it back, and then what follows is asked for again.
            let back = world.timeline.cursor() < cursor && !matches!(step, Step::Answer(_));
            same(back, false, "the cursor never moves back by itself")?;
            cursor = world.timeline.cursor();
        }
        world.settle();
        in_shape(&world)?;
        same(world.shown(), world.expected(), "what is shown and what is true")?;
        same(world.timeline.outgoing().len(), 0, "everything sent has been confirmed")
    });
}

#[test]
fn prop_an_old_snapshot_and_its_changes_equal_a_fresh_snapshot() {
    let histories = (0_usize..40, 1_usize..20, vec(step(), 0..60), any::<bool>());
    check(file!(), 400, &histories, |(history, window, steps, twice)| {
        let mut world = World::new(history, window, None);
        let mut old = world.timeline.clone();
        for step in steps {
            world.take(step);
        }
        let ServerFrame::Changes { since, messages, cursor, .. } = world.server.changes(old.cursor()) else {
            return Err(TestCaseError::fail("no changes"));
        };
        old.apply_changes(since, &messages, cursor);
        if twice {
            old.apply_changes(since, &messages, cursor);
            for message in &messages {
                same(old.apply(message), false, "old news")?;
            }
        }
        let fresh = Timeline::new(ROOM, &world.server.newest(usize::MAX));
        let start = old.oldest().unwrap_or(MessageId::new(0));
        let wanted: Vec<_> = fresh.messages().filter(|message| message.id >= start).collect();
        same(old.messages().collect::<Vec<_>>(), wanted, "old and changes, against fresh")?;
        same(old.cursor(), fresh.cursor(), "both stand at the same place")
    });
}

#[test]
fn an_answer_that_arrives_after_the_deletion_brings_nothing_back() {
    let mut server = Server::default();
    let mut timeline = Timeline::new(ROOM, &server.newest(50));
    let name = ClientMessageId::new(Uuid::from_u128(7));
    timeline.send(name, "oops", Timestamp::from_ms(0));
    let posted = server.create(name);
    let deleted = server.change(0, true).unwrap();
    // The socket is quicker than the answer to the post.
    assert!(timeline.apply(&posted));
    assert!(timeline.apply(&deleted));
    timeline.acknowledge(&posted);
    assert_eq!(timeline.messages().count(), 0, "the deleted message is back for good");
}

#[test]
fn an_answer_that_arrives_before_its_frame_is_shown_once() {
    let mut server = Server::default();
    let mut timeline = Timeline::new(ROOM, &server.newest(50));
    let name = ClientMessageId::new(Uuid::from_u128(7));
    timeline.send(name, "hi", Timestamp::from_ms(0));
    let elsewhere = server.create(ClientMessageId::new(Uuid::from_u128(8)));
    let posted = server.create(name);
    timeline.acknowledge(&posted);
    assert!(timeline.outgoing().is_empty());
    assert!(timeline.apply(&elsewhere), "an answer proves nothing about other changes");
    timeline.apply(&posted);
    assert_eq!(timeline.messages().collect::<Vec<_>>(), [&elsewhere, &posted]);
}

#[test]
fn a_replay_that_is_lost_with_the_connection_is_asked_for_again() {
    let mut server = Server::default();
    for at in 0..4 {
        server.create(ClientMessageId::new(Uuid::from_u128(at)));
    }
    let mut timeline = Timeline::new(ROOM, &server.newest(2));
    // While a page of history is on its way, one of its messages is edited: the live frame comes
    // first and speaks of a message that is not loaded.
    let before = timeline.oldest().unwrap();
    let page = server.before(before, 2);
    let edited = server.change(0, false).unwrap();
    timeline.apply(&edited);
    assert_eq!(timeline.merge_older(before, &page), Some(page.cursor), "a replay is wanted");
    // Now the connection breaks, and with it the wish. The next hello says where the tab stands.
    let ServerFrame::Changes { since, messages, cursor, .. } = server.changes(timeline.cursor()) else {
        panic!("no changes");
    };
    timeline.apply_changes(since, &messages, cursor);
    assert_eq!(timeline.message(edited.id), Some(&edited), "stale until the page is loaded again");
}

#[test]
fn a_replay_asked_for_earlier_does_not_stand_for_a_later_one() {
    let mut server = Server::default();
    for at in 0..4 {
        server.create(ClientMessageId::new(Uuid::from_u128(at)));
    }
    let mut timeline = Timeline::new(ROOM, &server.newest(2));
    let before = timeline.oldest().unwrap();
    let page = server.before(before, 2);
    let edited = server.change(0, false).unwrap();
    timeline.apply(&edited);
    // The room has just been opened: a replay from here is on its way when the page arrives.
    let ServerFrame::Changes { since, messages, cursor, .. } = server.changes(timeline.cursor()) else {
        panic!("no changes");
    };
    let wanted = timeline.merge_older(before, &page).unwrap();
    assert!(wanted < edited.seq, "a second replay is wanted, from before the edit");
    timeline.apply_changes(since, &messages, cursor);
    // The connection breaks before the second one arrives. The next hello must still want it.
    let ServerFrame::Changes { since, messages, cursor, .. } = server.changes(timeline.cursor()) else {
        panic!("no changes");
    };
    timeline.apply_changes(since, &messages, cursor);
    assert_eq!(timeline.message(edited.id), Some(&edited), "stale until the page is loaded again");
}

#[test]
fn changes_that_are_older_than_a_fresh_page_bring_nothing_back() {
    let mut server = Server::default();
    let mut timeline = Timeline::new(ROOM, &server.newest(PAGE));
    // A replay is answered, then the message is deleted, then the reader asks for the newest page,
    // which comes first: a request overtakes a socket.
    server.create(ClientMessageId::new(Uuid::from_u128(1)));
    let ServerFrame::Changes { since, messages, cursor, .. } = server.changes(timeline.cursor()) else {
        panic!("no changes");
    };
    let deleted = server.change(0, true).unwrap();
    timeline.reset(&server.newest(PAGE));
    timeline.apply_changes(since, &messages, cursor);
    timeline.apply(&deleted);
    assert_eq!(timeline.messages().count(), 0, "the deleted message is back for good");
}

#[test]
fn a_room_that_is_not_loaded_yet_can_already_send() {
    let mut server = Server::default();
    for at in 0..4 {
        server.create(ClientMessageId::new(Uuid::from_u128(at)));
    }
    let mut timeline = Timeline::unloaded(ROOM);
    let name = ClientMessageId::new(Uuid::from_u128(1 << 70));
    timeline.send(name, "early", Timestamp::from_ms(0));
    let posted = server.create(name);
    assert!(!timeline.apply(&posted), "frames mean nothing before the first page");
    assert!(!timeline.is_loaded());
    timeline.reset(&server.newest(PAGE));
    let shown: Vec<i64> = timeline.messages().map(|message| message.id.get()).collect();
    assert_eq!(shown, [1, 2, 3, 4, 5]);
    assert!(timeline.outgoing().is_empty(), "it came with the page");
    timeline.send(ClientMessageId::new(Uuid::from_u128(1 << 71)), "kept", Timestamp::from_ms(0));
    timeline.forget();
    assert_eq!((timeline.messages().count(), timeline.outgoing().len()), (0, 1));
}

#[test]
fn a_reset_starts_afresh_and_keeps_what_is_being_sent() {
    let mut server = Server::default();
    let mut timeline = Timeline::new(ROOM, &server.newest(50));
    let name = ClientMessageId::new(Uuid::from_u128(1 << 70));
    timeline.send(name, "unsent", Timestamp::from_ms(0));
    for at in 0..10 {
        server.create(ClientMessageId::new(Uuid::from_u128(at)));
    }
    timeline.reset(&server.newest(5));
    assert_eq!(timeline.messages().count(), 5);
    assert!(timeline.has_older() && !timeline.has_newer());
    assert_eq!(timeline.outgoing().len(), 1);
}

#[test]
fn a_long_scroll_there_and_back_leaves_no_gap() {
    let mut server = Server::default();
    for at in 0..1_000 {
        server.create(ClientMessageId::new(Uuid::from_u128(at)));
    }
    let mut timeline = Timeline::new(ROOM, &server.newest(50));
    let contiguous = |timeline: &Timeline| {
        let ids: Vec<i64> = timeline.messages().map(|message| message.id.get()).collect();
        assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
        assert!(ids.len() <= MAX_ROWS, "{}", ids.len());
        (ids[0], ids[ids.len() - 1])
    };
    while let Some(before) = timeline.oldest() {
        assert_eq!(timeline.merge_older(before, &server.before(before, 50)), None);
        timeline.prune_below();
        contiguous(&timeline);
    }
    assert_eq!(contiguous(&timeline), (1, 300));
    // What is said meanwhile waits below the window.
    let news = server.create(ClientMessageId::new(Uuid::from_u128(5_000)));
    timeline.apply(&news);
    assert!(timeline.message(news.id).is_none());
    while let Some(after) = timeline.newest_loaded() {
        timeline.merge_newer(after, &server.after(after, 50));
        timeline.prune_above();
        contiguous(&timeline);
    }
    assert_eq!(contiguous(&timeline), (702, 1_001));
}

/// Messages of two people: true where it is the reader's own.
fn spoken(authors: &[bool]) -> Server {
    let mut server = Server::default();
    for (at, own) in authors.iter().enumerate() {
        let message = server.create(ClientMessageId::new(Uuid::from_u128(at as u128)));
        if !own {
            let creator = UserRef { id: UserId::new(2), name: "jason".into() };
            server.store(Message { creator, ..Message::clone(&message) });
        }
    }
    server
}

#[test]
fn prop_the_unread_line_stands_above_the_first_unread_message_of_somebody_else() {
    let cases = (vec(any::<bool>(), 0..30), 0_i64..32, 0_usize..32, 1_usize..12, vec(0_i64..32, 0..4));
    check(file!(), 2_000, &cases, |(authors, left_off, middle, window, gone)| {
        let server = spoken(&authors);
        let reader = UserRef { id: UserId::new(1), name: "david".into() };
        // A window of any size anywhere.
        let mut page = server.before(MessageId::new(middle as i64 + 2), window);
        let newer = server.after(MessageId::new(middle as i64 + 1), window);
        page.messages.extend(newer.messages);
        let mut timeline = Timeline::around(ROOM, &page, newer.has_more);
        for id in &gone {
            timeline.hide(MessageId::new(*id), true);
        }
        let lines = |timeline: &Timeline| {
            let rows = timeline.rows(&reader, |_| 0);
            let opening = rows.into_iter().filter(|row| row.opens_unread && !row.follow);
            opening.map(|row| row.key()).collect::<Vec<_>>()
        };
        same(lines(&timeline), vec![], "no line without being asked for")?;
        let left_off = MessageId::new(left_off);
        timeline.draw_line(Some(left_off));

        let unread = |message: &&Arc<Message>| {
            message.id > left_off && message.creator.id != reader.id && !gone.contains(&message.id.get())
        };
        let first = page.messages.iter().find(unread);
        let earlier = timeline.oldest().is_some_and(|oldest| oldest > left_off);
        let expected = match first {
            _ if earlier => Line::Earlier,
            Some(first) => Line::Before(first.id),
            None => Line::Absent,
        };
        same(timeline.line(reader.id), expected, "where the line stands")?;
        let drawn: Vec<_> =
            first.filter(|_| !earlier).map(|first| first.client_message_id).into_iter().collect();
        same(lines(&timeline), drawn, "where it is drawn")?;

        // What is loaded above moves nothing, but may bring the line into the window.
        while let Some(before) = timeline.oldest() {
            timeline.merge_older(before, &server.before(before, window));
        }
        same(timeline.line(reader.id) == Line::Earlier, false, "the beginning is loaded")?;
        let all = server.alive();
        let end = timeline.newest_loaded();
        let first = all.iter().find(unread).filter(|first| end.is_none_or(|end| first.id <= end));
        let expected = first.map_or(Line::Absent, |first| Line::Before(first.id));
        same(timeline.line(reader.id), expected, "where it stands in the whole room")?;
        timeline.draw_line(None);
        same(lines(&timeline), vec![], "taken away")
    });
}

#[test]
fn prop_a_jump_into_the_middle_leads_to_the_newest_without_a_gap() {
    let cases = (0_usize..400, 0_i64..420);
    check(file!(), 100, &cases, |(history, at)| {
        let server = spoken(&vec![true; history]);
        let id = MessageId::new(at);
        // What the server answers to "around": forty on either side.
        let mut page = server.before(MessageId::new(at + 1), 41);
        let newer = server.after(id, 40);
        page.messages.extend(newer.messages);
        page.has_more = newer.has_more;
        let (page, has_newer) = page.around(id);
        let mut timeline = Timeline::new(ROOM, &server.newest(50));
        timeline.reset_around(&page, has_newer);
        same(timeline.has_newer(), has_newer && !page.messages.is_empty(), "the end")?;
        for _ in 0..100 {
            if let Some(after) = timeline.newest_loaded() {
                timeline.merge_newer(after, &server.after(after, 50));
                timeline.prune_above();
            }
        }
        let ids: Vec<i64> = timeline.messages().map(|message| message.id.get()).collect();
        same(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), true, "no gap")?;
        same(ids.len() <= MAX_ROWS, true, "bounded")?;
        same(ids.last().copied().unwrap_or(0), history as i64, "the newest")?;
        while let Some(before) = timeline.oldest() {
            timeline.merge_older(before, &server.before(before, 50));
            timeline.prune_below();
        }
        let first = timeline.messages().next().map_or(0, |message| message.id.get());
        same(first, i64::from(history > 0), "and back to the beginning")
    });
}
