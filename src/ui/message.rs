//! One row of the message list, as HTML: face, name, time, text.
//!
//! Plain text building, the same on both sides. Rows are by far the most of a page, they are
//! alike, and what can be done with a message stands once beside them (`ui::timeline`), so components
//! would only cost: written like this, fifty rows take the server microseconds, the browser has
//! nothing to take over when it comes alive, and a room that has been seen before is on screen
//! within a frame. Everything a person wrote is escaped here, except the message text, which the
//! server has sanitised. Reactions are a form, so that they work before the page is live; the line
//! that says what is about to be answered stands once beside the rows.

use super::browser;
use super::controls::{illustrated, symbol};
use super::push_permalink;
use super::state::{failure, is_own};
use crate::domain::account::{Viewer, hue, initials};
use crate::domain::composing::is_only_emoji;
use crate::domain::message::{Message, Outgoing, Quote, Row, RowContent};
use crate::domain::{MessageId, RoomId, Timestamp, UserId, push_all, push_escaped, push_padded};
use crate::texts;
use std::sync::{Arc, OnceLock};

/// What a server keeps of a message that it puts into many pages, made when it is first wanted.
#[derive(Debug)]
pub struct Kept {
    /// The message. After a change of it there is another one.
    pub message: Arc<Message>,
    /// Its row for everybody who has no part in it: where it opens a group, and where it follows.
    rows: [OnceLock<String>; 2],
    /// What the page says of it beside its row.
    pub data: OnceLock<Vec<u8>>,
}

impl Kept {
    /// Nothing is made yet.
    pub fn new(message: &Arc<Message>) -> Self {
        Self { message: Arc::clone(message), rows: Default::default(), data: OnceLock::new() }
    }
}

/// Draws rows for one viewer.
#[derive(Clone, Copy)]
pub struct Painter<'a> {
    /// Who looks at them.
    pub viewer: &'a Viewer,
    /// Whether times are in the reader's own zone and language. Not in a first render, which is
    /// in UTC on both sides alike.
    pub local: bool,
    /// Whether each message of theirs carries a link to its form, for browsers without scripts.
    pub plain: bool,
    /// The message the address points at.
    pub found: Option<MessageId>,
    /// What is kept of messages, by rising id.
    pub kept: &'a [Arc<Kept>],
}

impl<'a> Painter<'a> {
    /// Rows and the dividers above them, top to bottom.
    pub fn rows(self, rows: &[Row]) -> String {
        let mut html = String::with_capacity(rows.len() * 1_024);
        for row in rows {
            self.push_divider(&mut html, row);
            self.push_row(&mut html, row);
        }
        html
    }

    /// The dividers above a row that opens a day or what is unread; nothing for other rows.
    pub fn divider(self, row: &Row) -> String {
        let mut html = String::new();
        self.push_divider(&mut html, row);
        html
    }

    /// What a row shows, without its element: that lives as long as the row.
    pub fn inside(self, row: &Row) -> String {
        let mut html = String::with_capacity(1_024);
        self.push_inside(&mut html, row);
        html
    }

    /// The classes of a row's element.
    pub fn class(self, row: &Row) -> String {
        let mut class = String::with_capacity(48);
        self.push_class(&mut class, row);
        class
    }

    fn push_class(self, class: &mut String, row: &Row) {
        class.push_str("message");
        let mut add = |name: &str, holds: bool| {
            if holds {
                class.push_str(" message--");
                class.push_str(name);
            }
        };
        add("follow", row.follow);
        add("own", is_own(row, self.viewer));
        add("found", self.found.is_some() && id_of(row) == self.found);
        let called = match &row.content {
            RowContent::Sent(message) => message.mentions(self.viewer.id),
            RowContent::Outgoing(_) => false,
        };
        add("called", called);
        let body = match &row.content {
            RowContent::Sent(message) => &message.body,
            RowContent::Outgoing(outgoing) => &outgoing.body,
        };
        add("emoji", is_only_emoji(body));
        let failed = failure(row).is_some();
        add("failed", failed);
        add("pending", !failed && matches!(row.content, RowContent::Outgoing(_)));
    }

    fn push_divider(self, html: &mut String, row: &Row) {
        if row.opens_day {
            self.push_day(html, row);
        }
        if row.opens_unread {
            let start = "<div class=\"divider divider--new\" role=\"separator\" aria-label=\"";
            let shown = "\"><span class=\"divider__label\">";
            let (label, word) = (texts::message::NEW_MESSAGES, texts::message::NEW);
            push_all(html, &[start, label, shown, word, "</span></div>"]);
        }
    }

    fn push_day(self, html: &mut String, row: &Row) {
        let at = row.created_at();
        let date = at.utc_date();
        html.push_str("<div class=\"divider\" role=\"separator\"><time class=\"divider__label\"");
        push_all(html, &[" datetime=\"", &date, "\"", self.local_mark(), ">"]);
        push_escaped(html, &if self.local { browser::day_name(at) } else { date });
        html.push_str("</time></div>");
    }

    fn push_row(self, html: &mut String, row: &Row) {
        let Some(kept) = self.kept(row) else {
            return self.push_new_row(html, row);
        };
        let [opening, following] = &kept.rows;
        let place = if row.follow { following } else { opening };
        html.push_str(place.get_or_init(|| {
            let mut html = String::with_capacity(1_024);
            self.push_new_row(&mut html, row);
            html
        }));
    }

    /// What is kept of a row's message, if the viewer sees it as everybody does who has no part in it.
    fn kept(self, row: &Row) -> Option<&'a Kept> {
        let RowContent::Sent(message) = &row.content else {
            return None;
        };
        let at = self.kept.binary_search_by_key(&message.id, |kept| kept.message.id).ok()?;
        let kept = self.kept.get(at).filter(|kept| Arc::ptr_eq(&kept.message, message))?;
        let concerned = may_change(row, self.viewer)
            || message.mentions(self.viewer.id)
            || message.boosts.iter().any(|one| one.is_by(self.viewer.id));
        (!concerned && self.found.is_none()).then_some(kept)
    }

    fn push_new_row(self, html: &mut String, row: &Row) {
        html.push_str("<article class=\"");
        self.push_class(html, row);
        html.push('"');
        if let Some(id) = id_of(row) {
            html.push_str(" id=\"m-");
            push_padded(html, id.get(), 1);
            html.push_str("\" data-id=\"");
            push_padded(html, id.get(), 1);
            html.push('"');
            if self.plain && self.found == Some(id) {
                // Brings the browser to it without a script.
                html.push_str(" autofocus");
            }
        }
        html.push_str(" data-key=\"");
        row.key().push_to(html);
        // Without the time, which only the reader's own browser can put into words; it is inside.
        let (before, after) = texts::message::MESSAGE_FROM;
        push_all(html, &["\" tabindex=\"-1\" aria-label=\"", before]);
        push_escaped(html, self.author(row).1);
        push_all(html, &[after, "\"><div class=\"message__in\">"]);
        self.push_inside(html, row);
        html.push_str("</div></article>");
    }

    fn push_inside(self, html: &mut String, row: &Row) {
        match &row.content {
            RowContent::Sent(message) => self.push_sent(html, row, message),
            RowContent::Outgoing(outgoing) => self.push_outgoing(html, row, outgoing),
        }
    }

    fn push_sent(self, html: &mut String, row: &Row, message: &Message) {
        self.push_head(html, row);
        html.push_str("<div class=\"message__main\">");
        if let Some(quote) = &message.reply_to {
            self.push_quote(html, message.room_id, quote);
        }
        html.push_str("<div class=\"message__text rich\" dir=\"auto\">");
        // As the server sanitised it; never touched again.
        html.push_str(&message.body_html);
        html.push_str("</div>");
        if message.edited_at.is_some() {
            let start = "<span class=\"message__note message__edited\">";
            push_all(html, &[start, texts::message::EDITED, "</span>"]);
        }
        if !message.boosts.is_empty() {
            self.push_reactions(html, message);
        }
        if self.plain && may_change(row, self.viewer) {
            html.push_str("<noscript><a class=\"message__note\" data-action=\"edit\" href=\"");
            push_address(html, message);
            push_all(html, &["/edit\">", texts::message::EDIT_OR_DELETE, "</a></noscript>"]);
        }
        // Without scripts, a message's time leads to its page, and this to what one can do there.
        if self.plain && self.found == Some(message.id) {
            html.push_str("<noscript><a class=\"message__note\" href=\"");
            push_address(html, message);
            push_all(html, &["/boosts\">", texts::message::REACT_OR_REPLY, "</a></noscript>"]);
        }
        html.push_str("</div>");
    }

    /// What the message answers, as a link to it.
    fn push_quote(self, html: &mut String, room_id: RoomId, quote: &Quote) {
        html.push_str("<a class=\"reply-ref\" href=\"");
        push_permalink(html, room_id, quote.id);
        let icon = symbol("reply");
        let start = "><svg class=\"icon icon--s icon--flip\" aria-hidden=\"true\">";
        push_all(html, &["\"", self.stop(), start, &icon, "</svg>"]);
        push_all(html, &["<span class=\"visually-hidden\">", texts::message::IN_REPLY_TO]);
        html.push_str(" </span><span class=\"reply-ref__who\" dir=\"auto\">");
        push_escaped(html, &quote.creator.name);
        html.push_str("</span> <span class=\"reply-ref__what truncate\" dir=\"auto\">");
        push_escaped(html, quote.shown());
        html.push_str("</span></a>");
    }

    fn push_reactions(self, html: &mut String, message: &Message) {
        html.push_str("<form method=\"post\" action=\"");
        push_address(html, message);
        let start = "/boosts\"><ul class=\"reactions\" aria-label=\"";
        push_all(html, &[start, texts::message::REACTIONS, "\">"]);
        for reaction in &message.boosts {
            let mine = reaction.is_by(self.viewer.id);
            let (wish, pressed) = if mine { ("remove", "true") } else { ("content", "false") };
            let is_word = reaction.content.bytes().any(|byte| byte.is_ascii_alphabetic());
            let class = if is_word { "reaction reaction--word" } else { "reaction" };
            push_all(html, &["<li><button class=\"", class, "\" data-action=\"boost\" name=\""]);
            push_all(html, &[wish, "\" aria-pressed=\"", pressed, "\" value=\""]);
            push_escaped(html, &reaction.content);
            html.push_str("\" title=\"");
            push_escaped(html, &reaction.who());
            push_all(html, &["\"", self.stop(), "><span dir=\"auto\">"]);
            push_escaped(html, &reaction.content);
            html.push_str("</span> <span class=\"reaction__count\">");
            html.push_str(&reaction.user_ids.len().to_string());
            html.push_str("</span></button></li>");
        }
        html.push_str("<li><a class=\"reaction reaction--add\" data-action=\"react\" href=\"");
        push_address(html, message);
        let label = texts::message::ADD_REACTION;
        push_all(html, &["/boosts\" aria-label=\"", label, "\"", self.stop(), ">"]);
        let icon = symbol("smile-plus");
        let start = "<svg class=\"icon icon--s\" aria-hidden=\"true\">";
        push_all(html, &[start, &icon, "</svg></a></li></ul></form>"]);
    }

    fn push_outgoing(self, html: &mut String, row: &Row, outgoing: &Outgoing) {
        self.push_head(html, row);
        html.push_str("<div class=\"message__main\"><div class=\"message__text rich\" dir=\"auto\">");
        html.push_str("<p class=\"as-typed\">");
        push_escaped(html, &outgoing.body);
        html.push_str("</p></div>");
        match failure(row) {
            None => push_all(html, &["<p class=\"message__note\">", texts::message::SENDING, "</p>"]),
            Some(reason) => {
                html.push_str("<p class=\"message__failure\" role=\"alert\"><span>");
                let icon = symbol("warning");
                let start = "<svg class=\"icon icon--s\" aria-hidden=\"true\">";
                push_all(html, &[start, &icon, "</svg>", texts::message::NOT_SENT, " "]);
                push_escaped(html, reason);
                html.push_str(include_str!(concat!(env!("OUT_DIR"), "/unsent.html")));
            }
        }
        html.push_str("</div>");
    }

    /// Face, name and time, or just the time where the row continues the group above.
    fn push_head(self, html: &mut String, row: &Row) {
        if row.follow {
            self.push_time(html, row);
            return;
        }
        let (id, name) = self.author(row);
        html.push_str("<span class=\"avatar message__face\" data-hue=\"");
        push_padded(html, hue(id), 1);
        html.push_str("\" aria-hidden=\"true\">");
        push_escaped(html, &initials(name, 2));
        html.push_str("</span><header class=\"message__head\">");
        html.push_str("<a class=\"message__author truncate\" dir=\"auto\" href=\"/users/");
        push_padded(html, id.get(), 1);
        push_all(html, &["\"", self.stop(), ">"]);
        push_escaped(html, name);
        html.push_str("</a>");
        self.push_time(html, row);
        html.push_str("</header>");
    }

    /// The time, as a link to the message once it has an address.
    fn push_time(self, html: &mut String, row: &Row) {
        let at = row.created_at();
        let class = if row.follow { "message__time message__gutter" } else { "message__time" };
        let stored = match &row.content {
            RowContent::Sent(message) => Some(message),
            RowContent::Outgoing(_) => None,
        };
        if let Some(message) = stored {
            push_all(html, &["<a class=\"", class, "\" href=\""]);
            push_permalink(html, message.room_id, message.id);
            let (start, label) = match row.follow {
                true => ("\" aria-label=\"", texts::message::LINK_TO_THIS_MESSAGE),
                false => ("", ""),
            };
            push_all(html, &[start, label, "\"", self.stop(), ">"]);
        } else {
            push_all(html, &["<span class=\"", class, "\">"]);
        }
        html.push_str("<time datetime=\"");
        at.push_to(html);
        push_all(html, &["\"", self.local_mark(), ">"]);
        push_escaped(html, &self.clock(at, row.follow));
        html.push_str(if stored.is_some() { "</time></a>" } else { "</time></span>" });
    }

    /// A moment as hours and minutes; just the figures where there is no room for more.
    fn clock(self, at: Timestamp, short: bool) -> String {
        match (self.local, short) {
            (false, _) => at.utc_clock(),
            (true, false) => browser::clock(at),
            (true, true) => figures(&browser::clock(at)).to_owned(),
        }
    }

    fn local_mark(self) -> &'static str {
        if self.local { " data-local" } else { "" }
    }

    /// Live, only the row one is on is a stop of the Tab key, with everything in it.
    fn stop(self) -> &'static str {
        if self.plain { "" } else { " tabindex=\"-1\"" }
    }

    fn author<'r>(&'r self, row: &'r Row) -> (UserId, &'r str) {
        match &row.content {
            RowContent::Sent(message) => (message.creator.id, &message.creator.name),
            RowContent::Outgoing(_) => (self.viewer.id, &self.viewer.name),
        }
    }
}

/// The message of a row, once it is stored.
pub fn id_of(row: &Row) -> Option<MessageId> {
    match &row.content {
        RowContent::Sent(message) => Some(message.id),
        RowContent::Outgoing(_) => None,
    }
}

/// Whether a viewer may edit and delete what a row shows.
pub fn may_change(row: &Row, viewer: &Viewer) -> bool {
    let stored = matches!(row.content, RowContent::Sent(_));
    stored && (is_own(row, viewer) || viewer.may_administer())
}

/// The part of a clock time that is figures: `1:04` of `1:04 PM`, whichever side the words are on.
pub fn figures(text: &str) -> &str {
    text.trim_matches(|c: char| !c.is_numeric())
}

/// Where a message's own forms are.
fn push_address(html: &mut String, message: &Message) {
    html.push_str("/rooms/");
    push_padded(html, message.room_id.get(), 1);
    html.push_str("/messages/");
    push_padded(html, message.id.get(), 1);
}

/// The line above the composer that says which message is about to be answered.
pub fn reply_line(quote: &Quote) -> String {
    let mut html =
        illustrated("<div class=\"composer__context\">{reply}<span class=\"grow truncate\" dir=\"auto\">");
    let (before, after) = texts::composer::REPLYING_TO;
    push_all(&mut html, &[before, "<strong>"]);
    push_escaped(&mut html, &quote.creator.name);
    push_all(&mut html, &["</strong>", after, " "]);
    push_escaped(&mut html, quote.shown());
    html.push_str("</span><input type=\"hidden\" name=\"reply_to\" value=\"");
    push_padded(&mut html, quote.id.get(), 1);
    html + &illustrated(include_str!(concat!(env!("OUT_DIR"), "/stop_reply.html")))
}
