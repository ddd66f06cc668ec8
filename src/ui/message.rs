//! One row of the message list, as HTML: face, name, time, text.
//!
//! Plain text building, the same on both sides. Rows are by far the most of a page, they are
//! alike, and what can be done with a message stands once beside them (`ui::tools`), so components
//! would only cost: written like this, fifty rows take the server microseconds, the browser has
//! nothing to take over when it comes alive, and a room that has been seen before is on screen
//! within a frame. Everything a person wrote is escaped here, except the message text, which the
//! server has sanitised.

use super::browser;
use super::controls::symbol;
use super::permalink;
use super::state::{failure, is_own};
use crate::domain::account::{UserRef, Viewer, hue, initials};
use crate::domain::message::Message;
use crate::domain::row::{Outgoing, Row, RowContent};
use crate::domain::{MessageId, Timestamp, push_escaped};
use std::fmt::Write;

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
}

impl Painter<'_> {
    /// Rows and the dividers above them, top to bottom.
    pub fn rows(self, rows: &[Row]) -> String {
        let mut html = String::with_capacity(rows.len() * 1_024);
        for row in rows {
            self.push_divider(&mut html, row);
            self.push_row(&mut html, row);
        }
        html
    }

    /// The divider above a row that opens a day; nothing for other rows.
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
        let failed = failure(row).is_some();
        add("failed", failed);
        add("pending", !failed && matches!(row.content, RowContent::Outgoing(_)));
    }

    fn push_divider(self, html: &mut String, row: &Row) {
        if !row.opens_day {
            return;
        }
        let at = row.created_at();
        let (date, mark) = (at.utc_date(), self.local_mark());
        let name = if self.local { browser::day_name(at) } else { date.clone() };
        html.push_str("<div class=\"divider\" role=\"separator\"><time class=\"divider__label\"");
        push(html, format_args!(" datetime=\"{date}\"{mark}>"));
        push_escaped(html, &name);
        html.push_str("</time></div>");
    }

    fn push_row(self, html: &mut String, row: &Row) {
        html.push_str("<article class=\"");
        self.push_class(html, row);
        html.push('"');
        if let Some(id) = id_of(row) {
            push(html, format_args!(" id=\"m-{id}\" data-id=\"{id}\""));
            if self.plain && self.found == Some(id) {
                // Brings the browser to it without a script.
                html.push_str(" autofocus");
            }
        }
        push(html, format_args!(" data-key=\"{}\" tabindex=\"-1\" aria-label=\"", row.key()));
        // Without the time, which only the reader's own browser can put into words; it is inside.
        html.push_str("Message from ");
        push_escaped(html, &self.author(row).name);
        html.push_str("\"><div class=\"message__in\">");
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
        html.push_str(
            "<div class=\"message__main\"><div class=\"message__text rich\" dir=\"auto\">",
        );
        // As the server sanitised it; never touched again.
        html.push_str(&message.body_html);
        html.push_str("</div>");
        if message.edited_at.is_some() {
            html.push_str("<span class=\"message__note message__edited\">(edited)</span>");
        }
        if self.plain && may_change(row, self.viewer) {
            let (room, id) = (message.room_id, message.id);
            push(
                html,
                format_args!(
                    "<noscript><a class=\"message__note\" data-action=\"edit\" \
                     href=\"/rooms/{room}/messages/{id}/edit\">Edit or delete</a></noscript>"
                ),
            );
        }
        html.push_str("</div>");
    }

    fn push_outgoing(self, html: &mut String, row: &Row, outgoing: &Outgoing) {
        self.push_head(html, row);
        html.push_str(
            "<div class=\"message__main\"><div class=\"message__text rich\" dir=\"auto\">",
        );
        html.push_str("<p class=\"as-typed\">");
        push_escaped(html, &outgoing.body);
        html.push_str("</p></div>");
        match failure(row) {
            None => html.push_str("<p class=\"message__note\">Sending…</p>"),
            Some(reason) => {
                html.push_str("<p class=\"message__failure\" role=\"alert\"><span>");
                push(
                    html,
                    format_args!(
                        "<svg class=\"icon icon--s\" aria-hidden=\"true\">{}</svg>Not sent. ",
                        symbol("warning")
                    ),
                );
                push_escaped(html, reason);
                html.push_str(
                    "</span><button type=\"button\" class=\"link-button\" data-action=\"retry\">\
                     Try again</button><button type=\"button\" class=\"link-button\" \
                     data-action=\"discard\">Delete</button></p>",
                );
            }
        }
        html.push_str("</div>");
    }

    /// Face, name and time, or just the time where the row continues the group above.
    fn push_head(self, html: &mut String, row: &Row) {
        let link = match &row.content {
            RowContent::Sent(message) => Some(permalink(message.room_id, message.id)),
            RowContent::Outgoing(_) => None,
        };
        if row.follow {
            self.push_time(html, row.created_at(), (link.as_deref(), true));
            return;
        }
        let UserRef { id, name } = self.author(row);
        push(
            html,
            format_args!(
                "<span class=\"avatar message__face\" data-hue=\"{}\" aria-hidden=\"true\">",
                hue(id)
            ),
        );
        push_escaped(html, &initials(&name, 2));
        html.push_str("</span><header class=\"message__head\">");
        push(
            html,
            format_args!(
                "<a class=\"message__author truncate\" dir=\"auto\" href=\"/users/{id}\"{}>",
                self.stop()
            ),
        );
        push_escaped(html, &name);
        html.push_str("</a>");
        self.push_time(html, row.created_at(), (link.as_deref(), false));
        html.push_str("</header>");
    }

    fn push_time(self, html: &mut String, at: Timestamp, (link, short): (Option<&str>, bool)) {
        let class = if short { "message__time message__gutter" } else { "message__time" };
        match link {
            Some(link) => {
                let label = if short { " aria-label=\"Link to this message\"" } else { "" };
                let stop = self.stop();
                push(html, format_args!("<a class=\"{class}\" href=\"{link}\"{label}{stop}>"));
            }
            None => push(html, format_args!("<span class=\"{class}\">")),
        }
        push(html, format_args!("<time datetime=\"{at}\"{}>", self.local_mark()));
        push_escaped(html, &self.clock(at, short));
        html.push_str(if link.is_some() { "</time></a>" } else { "</time></span>" });
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

    fn author(self, row: &Row) -> UserRef {
        match &row.content {
            RowContent::Sent(message) => message.creator.clone(),
            RowContent::Outgoing(_) => self.viewer.as_author(),
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

fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _written = html.write_fmt(text);
}
