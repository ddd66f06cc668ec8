//! Messages: what may be written, what a written message looks like, how messages group, and the
//! rows that a list shows of them.

use super::account::{UserRef, is_blank};
use super::composing::Reaction;
use super::error::Error;
use super::{MessageId, RoomId, Seq, Timestamp, UserId};
use crate::texts;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// Longest message, in Unicode scalars after trimming (founding limit).
pub const MAX_BODY_CHARS: usize = 10_000;
/// Longest message, in bytes before trimming: bounds the work of everything that follows.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Messages of one author closer than this share one head (Campfire's value).
pub const GROUP_WINDOW_MS: i64 = 5 * 60 * 1_000;
/// Messages in one page of history.
pub const PAGE_SIZE: usize = 50;
/// Messages shown before and after one that is looked up (Campfire's value).
pub const CONTEXT: usize = 40;

/// The name a client gives a message before sending it, so that sending again is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientMessageId(Uuid);

impl ClientMessageId {
    /// Wraps a UUID made by the sender.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// Reads the hyphenated form.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| Error::invalid("client_message_id", texts::errors::MESSAGE_ID))
    }

    /// Appends the hyphenated form.
    pub fn push_to(self, text: &mut String) {
        text.push_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    }
}

impl fmt::Display for ClientMessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A message body that obeys the rules. The only way to obtain one is [`Draft::parse`], so an
/// unchecked body cannot reach the writer:
///
/// ```compile_fail
/// let draft = campfire::domain::message::Draft { body: String::new() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    body: String,
}

impl Draft {
    /// Checks what a person wrote: line ends become `\n`, the ends are trimmed, control
    /// characters other than tab and line feed are dropped.
    pub fn parse(body: &str) -> Result<Self, Error> {
        if body.len() > MAX_BODY_BYTES {
            return Err(Error::invalid("body", texts::errors::MESSAGE_TOO_LONG));
        }
        let unified = body.replace("\r\n", "\n").replace('\r', "\n");
        let kept: String = unified.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        let body = kept.trim();
        if is_blank(body) {
            return Err(Error::invalid("body", texts::errors::WRITE_SOMETHING));
        }
        if body.chars().count() > MAX_BODY_CHARS {
            return Err(Error::invalid("body", texts::errors::MESSAGE_TOO_LONG));
        }
        Ok(Self { body: body.to_owned() })
    }

    /// The text to store.
    pub fn body(&self) -> &str {
        &self.body
    }
}

/// A stored message, in its latest state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Gives the order within the room.
    pub id: MessageId,
    /// When it last changed, as a position in the sequence of all changes.
    pub seq: Seq,
    /// Where it was said.
    pub room_id: RoomId,
    /// The name its sender gave it.
    pub client_message_id: ClientMessageId,
    /// Who said it.
    pub creator: UserRef,
    /// The source text; empty once deleted.
    pub body: String,
    /// The sanitised HTML of the text; empty once deleted. Shown as it is, never touched again. A
    /// page carries it once, in its rows; the data beside them leaves it out.
    #[serde(default)]
    pub body_html: String,
    /// When it was first stored.
    pub created_at: Timestamp,
    /// When its text last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    /// A tombstone: the message is gone, only its place remains.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Quote>,
    /// What people have added to it, what came first in front.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boosts: Vec<Reaction>,
}

/// Longest excerpt of a message that is answered, in characters.
const EXCERPT_CHARS: usize = 140;

/// What a reply shows of the message it answers: as that one is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The message.
    pub id: MessageId,
    /// Who said it.
    pub creator: UserRef,
    /// How it begins; empty once it is deleted.
    pub excerpt: String,
}

impl Quote {
    /// The quote of a message: as its HTML reads, without marks. A sound is quoted as it was typed.
    pub fn new(id: MessageId, creator: UserRef, (body, body_html): (&str, &str)) -> Self {
        let typed = body_html.is_empty() || body.starts_with("/play ");
        let text = if typed { body.to_owned() } else { plain_text(body_html) };
        let mut excerpt = String::new();
        for word in text.split_whitespace() {
            if !excerpt.is_empty() {
                excerpt.push(' ');
            }
            excerpt.push_str(word);
            if let Some((end, _)) = excerpt.char_indices().nth(EXCERPT_CHARS) {
                excerpt.truncate(end);
                excerpt.push('…');
                break;
            }
        }
        Self { id, creator, excerpt }
    }

    /// The excerpt, or what stands for a deleted message.
    pub fn shown(&self) -> &str {
        if self.excerpt.is_empty() { texts::quote::DELETED } else { &self.excerpt }
    }

    /// Brings the quotes of a message up to date in its replies, once it has changed.
    pub fn renew<'a>(replies: impl Iterator<Item = &'a mut Arc<Message>>, original: &Message) {
        let answers =
            |reply: &&mut Arc<Message>| reply.reply_to.as_ref().is_some_and(|quote| quote.id == original.id);
        for reply in replies.filter(answers) {
            let quote = Self::new(original.id, original.creator.clone(), original.texts());
            if reply.reply_to.as_ref() != Some(&quote) {
                Arc::make_mut(reply).reply_to = Some(quote);
            }
        }
    }
}

/// Consecutive messages of a room, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagePage {
    /// The messages; tombstones are left out.
    pub messages: Vec<Arc<Message>>,
    /// Taken before the messages were read: every change up to here is included.
    pub cursor: Seq,
    /// Whether there is more in the direction that was asked for (older, unless `after` or
    /// `since` was given).
    pub has_more: bool,
}

impl MessagePage {
    /// The page around a message, [`CONTEXT`] on either side. As it was read, `has_more` speaks of
    /// newer messages; this tells whether there are any, and makes it speak of older ones. They may
    /// be taken for there when there are exactly as many as asked for; looking for them settles it.
    #[must_use]
    pub fn around(self, id: MessageId) -> (Self, bool) {
        let above = self.messages.iter().filter(|message| message.id <= id).count();
        let has_newer = self.has_more;
        (Self { has_more: above > CONTEXT, ..self }, has_newer)
    }
}

impl Message {
    /// Whether it mentions somebody, or answers them. What people write is escaped in its HTML, so
    /// nobody can pretend.
    pub fn mentions(&self, user_id: UserId) -> bool {
        self.reply_to.as_ref().is_some_and(|quote| quote.creator.id == user_id)
            // Looked for first, because it costs next to nothing: whom a text names, it names by an @.
            || self.body.contains('@')
                && has_mentions(&self.body_html)
                && (self.body_html.contains(EVERYONE)
                    || self.body_html.contains(&format!("{MENTION}{user_id}\"")))
    }

    /// What was typed, and its HTML.
    pub fn texts(&self) -> (&str, &str) {
        (&self.body, &self.body_html)
    }

    /// Roughly how much memory it takes.
    pub fn weight(&self) -> usize {
        let boosts = self.boosts.iter().map(|one| 160 + one.user_ids.len() * 8);
        self.body.len() + self.body_html.len() + 256 + boosts.sum::<usize>()
    }

    /// Shows somebody by another name wherever they are named, except in the text.
    pub fn rename(message: &mut Arc<Self>, user: &UserRef) {
        let is_named = message.creator.id == user.id
            || message.reply_to.as_ref().is_some_and(|quote| quote.creator.id == user.id)
            || message.boosts.iter().any(|one| one.is_by(user.id));
        if !is_named {
            return;
        }
        let message = Arc::make_mut(message);
        let quoted = message.reply_to.as_mut().map(|quote| &mut quote.creator);
        for named in std::iter::once(&mut message.creator).chain(quoted) {
            if named.id == user.id {
                named.name.clone_from(&user.name);
            }
        }
        for reaction in &mut message.boosts {
            let people = reaction.user_ids.iter().zip(&mut reaction.names);
            for (_, name) in people.filter(|(id, _)| **id == user.id) {
                name.clone_from(&user.name);
            }
        }
    }
}

/// The HTML of a mention up to its user's id. In a person's own text `<` is always escaped.
pub const MENTION: &str = "<span class=\"mention\" data-user=\"";

/// The HTML of a mention of everybody in the room.
pub const EVERYONE: &str = "<span class=\"mention\" data-user=\"everyone\"";

/// The text of sanitised HTML, as people see it.
pub fn plain_text(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    for (at, piece) in html.split('<').enumerate() {
        let (tag, words) = if at == 0 { ("", piece) } else { piece.split_once('>').unwrap_or(("", piece)) };
        let name = tag.trim_start_matches('/');
        let inline = ["a", "code", "del", "em", "s", "span", "strong"];
        if at > 0 && !inline.contains(&name.split(' ').next().unwrap_or_default()) {
            text.push('\n');
        }
        text.push_str(words);
    }
    if text.contains('&') {
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
        text = text.replace("&#39;", "'").replace("&nbsp;", " ").replace("&amp;", "&");
    }
    text.trim().to_owned()
}

/// Whether a message's HTML mentions anybody.
pub fn has_mentions(body_html: &str) -> bool {
    body_html.contains(MENTION)
}

/// The text of a message as people read and edit it: `<@7>` in the stored text is `@Name` again,
/// by the name that stands in the HTML. Anything that only looks like a mention stays as it is.
pub fn plain_body(source: String, body_html: &str) -> String {
    if !source.contains("<@") {
        return source;
    }
    let mut parts = source.split("<@");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('>').and_then(|(id, rest)| Some((name_in(body_html, id)?, rest))) {
            Some((name, rest)) => plain.extend([&name, rest]),
            None => plain.extend(["<@", part]),
        }
    }
    plain
}

fn name_in(body_html: &str, id: &str) -> Option<String> {
    let is_id = id == "everyone" || id.parse::<i64>().is_ok();
    let body_html = Some(body_html).filter(|_| is_id)?;
    let (_, found) = body_html.split_once(&format!("{MENTION}{id}\""))?;
    let name = found.split_once('>')?.1.split_once("</span>")?.0;
    let name = name.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    Some(name.replace("&#39;", "'").replace("&nbsp;", "\u{a0}").replace("&amp;", "&"))
}

/// A message's HTML with somebody mentioned by the name they have now. `None` if it is so already.
pub fn rename_mentions(body_html: &str, user: &UserRef) -> Option<String> {
    let start = format!("{MENTION}{}\">", user.id);
    let name = user.name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let name = name.replace('\u{a0}', "&nbsp;");
    let mut parts = body_html.split(&start);
    let mut renamed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once("</span>")?;
        renamed.extend([&start, "@", &name, "</span>", rest]);
    }
    (renamed != body_html).then_some(renamed)
}

/// Whether something said at `later` may share the head of something its author said at
/// `earlier`.
pub fn within_group(earlier: Timestamp, later: Timestamp) -> bool {
    (later.ms() - earlier.ms()).abs() <= GROUP_WINDOW_MS
}

// Rows: what the message list shows of messages, and how one list becomes the next. The list in
// the document is patched by `changes`, which is as short as the difference: an edit touches one
// row, and whatever has not changed keeps its element, its focus and its place on screen.

/// How a send is getting on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// On its way, or waiting for its turn or for the connection.
    Pending,
    /// Given up, with the reason in words. The text is kept until the person decides.
    Failed(String),
}

/// A message this tab is sending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// Its name, the same in every attempt.
    pub client_message_id: ClientMessageId,
    /// The text as typed.
    pub body: String,
    /// The message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// When it was sent, on the tab's clock; only shown, never stored.
    pub created_at: Timestamp,
    /// How it is getting on.
    pub progress: Progress,
    /// Attempts that have failed.
    #[serde(default)]
    pub attempts: usize,
    /// Whether a request is under way.
    #[serde(skip)]
    pub in_flight: bool,
}

/// What a row shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowContent {
    /// A stored message.
    Sent(Arc<Message>),
    /// A message being sent, by the viewer.
    Outgoing(Outgoing),
}

/// One line of the message list, ready to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The message or the attempt.
    pub content: RowContent,
    /// Continues the group above: no face, no name.
    pub follow: bool,
    /// The first of its day: a divider stands above it.
    pub opens_day: bool,
    /// The first that was unread when the reader came: a line stands above it.
    pub opens_unread: bool,
}

impl Row {
    /// Identifies the row through sending, confirmation and edits.
    pub fn key(&self) -> ClientMessageId {
        match &self.content {
            RowContent::Sent(message) => message.client_message_id,
            RowContent::Outgoing(outgoing) => outgoing.client_message_id,
        }
    }

    /// When it was said.
    pub fn created_at(&self) -> Timestamp {
        match &self.content {
            RowContent::Sent(message) => message.created_at,
            RowContent::Outgoing(outgoing) => outgoing.created_at,
        }
    }
}

/// One step from an old list of rows to a new one. Steps are applied in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowChange<'a> {
    /// The row goes, with the divider above it.
    Remove(ClientMessageId),
    /// Rows appear before another one, or at the end.
    Insert {
        /// The new rows, top to bottom; never empty.
        rows: &'a [Row],
        /// The row that follows them.
        before: Option<ClientMessageId>,
    },
    /// The row stays where it is and shows something else; its divider comes or goes with it.
    Replace(&'a Row),
}

/// What turns `old` into `new`. Keys are unique within a list.
pub fn changes<'a>(old: &[Row], new: &'a [Row]) -> Vec<RowChange<'a>> {
    let same_start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (old.split_at(same_start).1, new.split_at(same_start).1);
    let same_end = old.iter().rev().zip(new.iter().rev()).take_while(|(o, n)| o == n).count();
    let after = new.get(new.len() - same_end).map(Row::key);
    let old = old.split_at(old.len() - same_end).0;
    let new = new.split_at(new.len() - same_end).0;
    let wanted: HashSet<ClientMessageId> = new.iter().map(Row::key).collect();
    let mut steps = Vec::new();
    let mut left: Vec<&Row> = Vec::new();
    for row in old {
        if wanted.contains(&row.key()) {
            left.push(row);
        } else {
            steps.push(RowChange::Remove(row.key()));
        }
    }
    let mut known: HashSet<ClientMessageId> = left.iter().map(|row| row.key()).collect();
    // From the bottom up, so that the row below each insertion is already in place. `end` closes
    // the run of new rows that waits to go in together.
    let (mut below, mut end) = (after, new.len());
    for (at, row) in new.iter().enumerate().rev() {
        let key = row.key();
        while left.last().is_some_and(|last| !known.contains(&last.key())) {
            left.pop();
        }
        let stays = left.last().filter(|last| last.key() == key).copied();
        if stays.is_none() {
            // A row that stands elsewhere (an answer overtook another) moves: it goes here anew.
            if known.remove(&key) {
                steps.push(RowChange::Remove(key));
            }
            continue;
        }
        insert(&mut steps, new, (at + 1, end), below);
        if stays != Some(row) {
            steps.push(RowChange::Replace(row));
        }
        left.pop();
        (below, end) = (Some(key), at);
    }
    insert(&mut steps, new, (0, end), below);
    steps
}

fn insert<'a>(
    steps: &mut Vec<RowChange<'a>>,
    new: &'a [Row],
    (from, to): (usize, usize),
    before: Option<ClientMessageId>,
) {
    if let Some(rows) = new.get(from..to).filter(|rows| !rows.is_empty()) {
        steps.push(RowChange::Insert { rows, before });
    }
}
