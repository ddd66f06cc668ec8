//! The reducer of one room's messages, as one tab knows them.
//!
//! It folds pages, live frames, replayed changes and the answers to the tab's own sends into one
//! sorted list without gaps or duplicates. The promise that makes this simple: **every change of
//! the room up to `cursor` has been applied to the loaded window.** Live frames at or before the
//! cursor are therefore old news. Pages read over HTTP may be older than the cursor; merging one
//! says from where the changes must be replayed. State equivalence (an old snapshot plus its
//! changes equals a fresh snapshot) is a property test.
//!
//! The window is contiguous: from `start` to `end`, or to the newest message when `end` is open.
//! Messages being sent are kept apart, after everything confirmed, until the server's copy with
//! the same [`ClientMessageId`] arrives from whichever direction is first.

use super::account::UserRef;
use super::message::{ClientMessageId, Message, MessagePage, Quote, within_group};
use super::message::{Outgoing, Progress, Row, RowContent};
use super::{MessageId, RoomId, Seq, Timestamp, UserId};
use crate::texts;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// Delays before the second and every further attempt to send (founding limit: 1 to 16 s).
pub const RETRY_DELAYS_MS: [u32; 5] = [1_000, 2_000, 4_000, 8_000, 16_000];
/// Rows kept in the document; more are dropped on the far side (Campfire's value).
pub const MAX_ROWS: usize = 300;

/// What follows from a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextAttempt {
    /// Try again after this many milliseconds.
    After(u32),
    /// Try again when the connection is back.
    WhenConnected,
    /// It is settled: given up, or confirmed already from another direction. The next one may go.
    Never,
}

/// One room in one tab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    room_id: RoomId,
    messages: BTreeMap<MessageId, Arc<Message>>,
    outgoing: Vec<Outgoing>,
    cursor: Seq,
    /// Everything from here on is loaded; 0 when the beginning is.
    start: MessageId,
    /// Everything up to here is loaded; `None` when the newest message is.
    end: Option<MessageId>,
    /// The cursor waits for a replay or a fresh page: until then no live frame may move it, or a
    /// hole would be forgotten.
    waiting: bool,
    /// A page has been loaded; before, there is nothing to show but what is being sent.
    loaded: bool,
    /// Where the reader left off before this visit, if there was something new.
    left_off: Option<MessageId>,
    /// Messages that are about to be deleted and not shown meanwhile.
    hidden: BTreeSet<MessageId>,
}

/// Where the unread line stands, relative to what is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// There is none.
    Absent,
    /// Above this message.
    Before(MessageId),
    /// Before anything that is loaded, or at its very beginning.
    Earlier,
}

const BEGINNING: MessageId = MessageId::new(0);

impl Timeline {
    /// The newest page of a room.
    pub fn new(room_id: RoomId, page: &MessagePage) -> Self {
        let mut timeline = Self {
            room_id,
            messages: BTreeMap::new(),
            outgoing: Vec::new(),
            cursor: page.cursor,
            start: BEGINNING,
            end: None,
            waiting: false,
            loaded: true,
            left_off: None,
            hidden: BTreeSet::new(),
        };
        timeline.load(page);
        timeline
    }

    /// A room of which nothing is known yet; it can already hold what is being sent.
    pub fn unloaded(room_id: RoomId) -> Self {
        let mut timeline = Self::new(room_id, &MessagePage::default());
        timeline.forget();
        timeline
    }

    /// Forgets everything but what is being sent: the database is another one.
    pub fn forget(&mut self) {
        self.messages.clear();
        self.cursor = Seq::ZERO;
        (self.start, self.end) = (BEGINNING, None);
        (self.waiting, self.loaded) = (true, false);
    }

    /// Whether a page has been loaded.
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// A page from the middle of a room. `has_more` of the page speaks of older messages.
    pub fn around(room_id: RoomId, page: &MessagePage, has_newer: bool) -> Self {
        let mut timeline = Self::new(room_id, page);
        timeline.end = page.messages.last().filter(|_| has_newer).map(|last| last.id);
        timeline
    }

    /// The room.
    pub fn room_id(&self) -> RoomId {
        self.room_id
    }

    /// The last change applied.
    pub fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Whether there is history above.
    pub fn has_older(&self) -> bool {
        self.start > BEGINNING
    }

    /// Whether there are messages below that are not loaded.
    pub fn has_newer(&self) -> bool {
        self.end.is_some()
    }

    /// Ask for messages before this one to continue upwards.
    pub fn oldest(&self) -> Option<MessageId> {
        self.has_older().then_some(self.start)
    }

    /// Ask for messages after this one to continue downwards.
    pub fn newest_loaded(&self) -> Option<MessageId> {
        self.end
    }

    /// The newest stored message in the window.
    pub fn last_id(&self) -> Option<MessageId> {
        self.messages.keys().next_back().copied()
    }

    /// A stored message.
    pub fn message(&self, id: MessageId) -> Option<&Arc<Message>> {
        self.messages.get(&id)
    }

    /// Stored messages, oldest first.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &Arc<Message>> {
        self.messages.values()
    }

    /// Messages being sent, in the order of sending.
    pub fn outgoing(&self) -> &[Outgoing] {
        &self.outgoing
    }

    // Facts from the server.

    /// Live frames do not count until [`apply_changes`](Self::apply_changes) has caught up: what
    /// they would skip is asked for again, in this connection or the next.
    pub fn wait_for_changes(&mut self) {
        self.waiting = true;
    }

    /// Applies a live frame. True if it was news.
    pub fn apply(&mut self, message: &Arc<Message>) -> bool {
        let old = message.seq <= self.cursor;
        if message.room_id != self.room_id || old || self.waiting {
            return false;
        }
        self.cursor = message.seq;
        self.upsert(message);
        Quote::renew(self.messages.values_mut(), message);
        true
    }

    /// Applies the answer to a replay that was asked for from `since`. What is known already is
    /// left alone, and an answer to a later cursor than ours is not the one we wait for.
    pub fn apply_changes(&mut self, since: Seq, messages: &[Arc<Message>], cursor: Seq) {
        if since > self.cursor || !self.loaded {
            return;
        }
        let known = self.cursor;
        for message in messages.iter().filter(|message| message.seq > known) {
            self.upsert(message);
        }
        for message in messages.iter().filter(|message| message.seq > known) {
            Quote::renew(self.messages.values_mut(), message);
        }
        self.cursor = self.cursor.max(cursor);
        self.waiting = false;
    }

    /// Applies the answer to one of this tab's own requests. It proves nothing about other
    /// changes, so the cursor stays where it is.
    pub fn acknowledge(&mut self, message: &Arc<Message>) {
        if message.room_id != self.room_id {
            return;
        }
        if message.seq <= self.cursor && !self.messages.contains_key(&message.id) {
            // Confirmed, shown and deleted before this answer came: only the sending is over.
            self.outgoing.retain(|one| one.client_message_id != message.client_message_id);
        } else {
            self.upsert(message);
        }
    }

    /// Starts afresh from a new page, keeping only what is being sent.
    pub fn reset(&mut self, page: &MessagePage) {
        self.messages.clear();
        self.cursor = page.cursor;
        self.end = None;
        (self.waiting, self.loaded) = (false, true);
        self.load(page);
    }

    /// Adds the page that was asked for with `before`. Returns the cursor to replay from when
    /// the page is older than what has been applied already; the cursor then goes back and waits.
    pub fn merge_older(&mut self, before: MessageId, page: &MessagePage) -> Option<Seq> {
        if before != self.start {
            return None;
        }
        self.start = page.messages.first().filter(|_| page.has_more).map_or(BEGINNING, |m| m.id);
        self.merge(page)
    }

    /// Adds the page that was asked for with `after`, like [`merge_older`](Self::merge_older).
    pub fn merge_newer(&mut self, after: MessageId, page: &MessagePage) -> Option<Seq> {
        if Some(after) != self.end {
            return None;
        }
        self.end = page.messages.last().filter(|_| page.has_more).map(|last| last.id);
        self.merge(page)
    }

    /// Starts afresh from the page around a message, as [`around`](Self::around) does.
    pub fn reset_around(&mut self, page: &MessagePage, has_newer: bool) {
        self.reset(page);
        self.end = page.messages.last().filter(|_| has_newer).map(|last| last.id);
    }

    /// Drops the oldest rows beyond [`MAX_ROWS`].
    pub fn prune_above(&mut self) {
        while self.messages.len() > MAX_ROWS {
            self.messages.pop_first();
            self.start = self.messages.keys().next().copied().unwrap_or(BEGINNING);
        }
    }

    /// Drops the newest rows beyond [`MAX_ROWS`]; live messages then wait below the window.
    pub fn prune_below(&mut self) {
        while self.messages.len() > MAX_ROWS {
            self.messages.pop_last();
            self.end = self.last_id();
        }
    }

    // The viewer's own sends.

    /// Puts a message at the end of the queue.
    pub fn send(&mut self, client_message_id: ClientMessageId, body: &str, now: Timestamp) {
        let known = self.outgoing.iter().any(|one| one.client_message_id == client_message_id);
        if !known {
            self.outgoing.push(Outgoing {
                client_message_id,
                body: body.to_owned(),
                reply_to: None,
                created_at: now,
                progress: Progress::Pending,
                attempts: 0,
                in_flight: false,
            });
        }
    }

    /// A message of the queue answers another.
    pub fn answer(&mut self, client_message_id: ClientMessageId, reply_to: Option<MessageId>) {
        if let Some(outgoing) = self.find_outgoing(client_message_id) {
            outgoing.reply_to = reply_to;
        }
    }

    /// Takes up what an earlier visit left unsent. Nothing is in flight yet.
    pub fn restore(&mut self, outgoing: Vec<Outgoing>) {
        for one in outgoing {
            let stored = self.messages().any(|m| m.client_message_id == one.client_message_id);
            let known = self.outgoing.iter().any(|o| o.client_message_id == one.client_message_id);
            if !stored && !known {
                self.outgoing.push(Outgoing { in_flight: false, ..one });
            }
        }
    }

    /// The message to put on the wire now, marked as in flight. One at a time, in order: a later
    /// message never overtakes an earlier one that is still being tried.
    pub fn next_to_send(&mut self) -> Option<Outgoing> {
        let first = self.outgoing.iter_mut().find(|one| one.progress == Progress::Pending)?;
        if first.in_flight {
            return None;
        }
        first.in_flight = true;
        Some(first.clone())
    }

    /// An attempt failed for a passing reason.
    pub fn attempt_failed(&mut self, client_message_id: ClientMessageId, connected: bool) -> NextAttempt {
        let Some(one) = self.find_outgoing(client_message_id) else {
            return NextAttempt::Never;
        };
        one.in_flight = false;
        let delay = RETRY_DELAYS_MS.get(one.attempts);
        one.attempts += 1;
        match delay {
            Some(&delay) => NextAttempt::After(delay),
            None if !connected => NextAttempt::WhenConnected,
            None => {
                one.progress = Progress::Failed(texts::errors::NO_ANSWER.to_owned());
                NextAttempt::Never
            }
        }
    }

    /// The server refused the message for good.
    pub fn refuse(&mut self, client_message_id: ClientMessageId, reason: &str) {
        if let Some(one) = self.find_outgoing(client_message_id) {
            one.in_flight = false;
            one.progress = Progress::Failed(reason.to_owned());
        }
    }

    /// The person wants another try, with a fresh set of attempts.
    pub fn retry(&mut self, client_message_id: ClientMessageId) {
        if let Some(one) = self.find_outgoing(client_message_id) {
            one.progress = Progress::Pending;
            one.attempts = 0;
        }
    }

    /// The connection is back: everything pending gets a fresh set of attempts.
    pub fn connected(&mut self) {
        for one in &mut self.outgoing {
            if one.progress == Progress::Pending {
                one.attempts = 0;
            }
        }
    }

    /// The person gives a failed message up. Returns its text, so that it need not be lost.
    pub fn discard(&mut self, client_message_id: ClientMessageId) -> Option<String> {
        let at = self.outgoing.iter().position(|o| o.client_message_id == client_message_id)?;
        Some(self.outgoing.remove(at).body)
    }

    // What to show.

    /// Draws the unread line after the message where the reader left off, or takes it away.
    pub fn draw_line(&mut self, left_off: Option<MessageId>) {
        self.left_off = left_off;
    }

    /// Where the unread line stands for `reader`: above the first message after the one where they
    /// left off that is not their own.
    pub fn line(&self, reader: UserId) -> Line {
        let Some(left_off) = self.left_off.filter(|_| self.loaded) else {
            return Line::Absent;
        };
        if self.start > left_off {
            return Line::Earlier;
        }
        let mut after = self.messages.range((Bound::Excluded(left_off), Bound::Unbounded));
        let first = after.find(|(id, message)| message.creator.id != reader && !self.hidden.contains(*id));
        first.map_or(Line::Absent, |(id, _)| Line::Before(*id))
    }

    /// Where the reader left off, if a line was drawn there.
    pub fn left_off(&self) -> Option<MessageId> {
        self.left_off
    }

    /// Stops showing a message, or shows it after all.
    pub fn hide(&mut self, id: MessageId, hidden: bool) {
        let _changed = if hidden { self.hidden.insert(id) } else { self.hidden.remove(&id) };
    }

    /// Somebody is called by another name now. The cursor stays: no message has changed.
    pub fn rename(&mut self, user: &UserRef) {
        for message in self.messages.values_mut() {
            Message::rename(message, user);
        }
    }

    /// The rows from top to bottom. `day_of` maps a moment to the reader's calendar day;
    /// `viewer` is the author of everything being sent.
    pub fn rows(&self, viewer: &UserRef, day_of: impl Fn(Timestamp) -> i64) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.messages.len() + self.outgoing.len());
        let mut previous: Option<(i64, &UserRef, Timestamp)> = None;
        let line = self.line(viewer.id);
        let shown = self.messages.values().filter(|message| !self.hidden.contains(&message.id));
        let sent = shown
            .map(|message| (&message.creator, message.created_at, RowContent::Sent(Arc::clone(message))));
        let outgoing =
            self.outgoing.iter().map(|one| (viewer, one.created_at, RowContent::Outgoing(one.clone())));
        for (author, at, content) in sent.chain(outgoing) {
            let day = day_of(at);
            let opens_day = previous.is_none_or(|(previous_day, ..)| previous_day != day);
            let opens_unread = match &content {
                RowContent::Sent(message) => line == Line::Before(message.id),
                RowContent::Outgoing(_) => false,
            };
            let follow = !opens_day
                && !opens_unread
                && previous.is_some_and(|(_, previous_author, previous_at)| {
                    previous_author.id == author.id && within_group(previous_at, at)
                });
            rows.push(Row { content, follow, opens_day, opens_unread });
            previous = Some((day, author, at));
        }
        rows
    }

    fn load(&mut self, page: &MessagePage) {
        self.start = page.messages.first().filter(|_| page.has_more).map_or(BEGINNING, |m| m.id);
        for message in &page.messages {
            self.upsert(message);
        }
    }

    fn merge(&mut self, page: &MessagePage) -> Option<Seq> {
        for message in &page.messages {
            self.upsert(message);
        }
        if page.cursor >= self.cursor {
            return None;
        }
        self.cursor = page.cursor;
        self.waiting = true;
        Some(page.cursor)
    }

    /// The one place where a message enters the list: newest state wins, nothing outside the
    /// window is taken in, a tombstone removes.
    fn upsert(&mut self, message: &Arc<Message>) {
        self.outgoing.retain(|one| one.client_message_id != message.client_message_id);
        // The same state again, a late answer perhaps, would bring back an older quote or name.
        let known = self.messages.get(&message.id);
        let is_news =
            |known: &Arc<Message>| known.seq < message.seq || known.seq == message.seq && message.deleted;
        if known.is_some_and(|known| !is_news(known)) {
            return;
        }
        if message.deleted {
            self.messages.remove(&message.id);
        } else if known.is_some() || self.covers(message.id) {
            self.messages.insert(message.id, Arc::clone(message));
        }
    }

    fn covers(&self, id: MessageId) -> bool {
        id >= self.start && self.end.is_none_or(|end| id <= end)
    }

    fn find_outgoing(&mut self, id: ClientMessageId) -> Option<&mut Outgoing> {
        self.outgoing.iter_mut().find(|one| one.client_message_id == id)
    }
}
