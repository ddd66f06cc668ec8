//! The message list in the document: patching its rows, and keeping the reader's place.
//!
//! The list is laid out from its end (`column-reverse`), so it starts at the newest message
//! without a script: its `scrollTop` is 0 at the bottom and negative above. Whoever is at the
//! bottom of the room stays there. For whoever reads further up, the text they read stays exactly
//! where it was, whatever is added, removed or changed around it: it is measured before and after
//! each patch, in the same frame. Rows are therefore always laid out, never estimated.

use super::browser;
use super::browser::target;
use super::controls::illustrated;
use super::keys;
use super::keys::{is_composing, sends};
use super::message::{Painter, figures};
use super::room;
use super::state::Chat;
use crate::domain::message::{ClientMessageId, Row, RowChange};
use crate::domain::{MessageId, Timestamp};
use leptos::ev::{Event, KeyboardEvent};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, FocusOptions, HtmlElement, HtmlTextAreaElement};

/// The id of the scrolling element.
pub const HISTORY: &str = "history";
/// The id of the element that holds the rows and nothing else.
pub const ROWS: &str = "rows";
/// Where the tools of a row wait while no row has them.
pub const PARKING: &str = "parking";
/// Ids of what is lent to one row at a time.
pub const LENT: [&str; 3] = ["tools", "edit", "react"];
/// What else the Tab key reaches in the row one is on.
const STOPS: &str = "a.message__author, a.message__time, .reply-ref, .reaction";
/// Closer to the end than this counts as being there, in CSS pixels.
const NEAR: i32 = 48;
/// Closer to an edge than this, more is loaded.
const EDGE: i32 = 600;
/// Messages tried as the fixed point of a patch; the first that is still there afterwards counts.
const ANCHORS: usize = 4;

/// Where the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The newest loaded message is in sight.
    pub near_end: bool,
    /// The oldest loaded message is close.
    pub near_start: bool,
    /// The newest loaded message is close, but not necessarily in sight.
    pub approaches_end: bool,
}

/// Reads where the reader is.
pub fn place() -> Place {
    let Some(list) = browser::element(HISTORY) else {
        return Place { near_end: true, near_start: false, approaches_end: true };
    };
    let below = -list.scroll_top();
    let above = list.scroll_height() - list.client_height() - below;
    Place { near_end: below < NEAR, near_start: above < EDGE, approaches_end: below < EDGE }
}

/// Scrolls to the newest loaded message.
pub fn to_newest() {
    if let Some(list) = browser::element(HISTORY) {
        list.set_scroll_top(0);
    }
}

/// Brings a message to the middle of the screen; its row has been drawn with a mark.
pub fn show_found(id: MessageId) {
    if let Some(row) = row_of_message(id) {
        let options = web_sys::ScrollIntoViewOptions::new();
        options.set_block(web_sys::ScrollLogicalPosition::Center);
        row.scroll_into_view_with_scroll_into_view_options(&options);
    }
}

/// How many of these rows are above the newest screenful, at least: heights are those of rows with
/// one line, so that what is left fills the screen in any case.
pub fn above_the_last_screen(rows: &[Row]) -> usize {
    // A row with a head and one that follows it, in CSS pixels at the usual size of text.
    const HEAD: i32 = 48;
    const FOLLOW: i32 = 24;
    let mut room = browser::element(HISTORY).map_or(0, |list| list.client_height());
    let mut above = rows.len();
    for row in rows.iter().rev() {
        if room <= 0 {
            break;
        }
        room -= if row.follow { FOLLOW } else { HEAD };
        above -= 1;
    }
    above
}

/// Draws other rows than there were, all of them.
pub fn draw(new: &[Row], painter: Painter<'_>) {
    let Some(rows) = browser::element(ROWS) else {
        return;
    };
    for id in LENT {
        if browser::element(id).is_some_and(|lent| rows.contains(Some(&lent))) {
            park(id);
        }
    }
    let stood = focused_row(&rows).is_some();
    rows.set_inner_html(&painter.rows(new));
    if let Some(heir) = browser::element("body").filter(|_| stood) {
        focus(&heir);
    }
    ensure_stop(&rows);
}

/// Patches the rows in the document. `at_end` says that the reader follows the end of the room;
/// everybody else keeps their place.
pub fn patch(steps: &[RowChange<'_>], painter: Painter<'_>, at_end: bool) {
    let (Some(list), Some(rows)) = (browser::element(HISTORY), browser::element(ROWS)) else {
        return;
    };
    let anchors = if at_end { Vec::new() } else { in_sight(&list) };
    // Whoever stands in a row that goes continues with a neighbour instead of at the top of the
    // page.
    let stood = focused_row(&rows);
    let neighbours = stood.as_ref().map(|row| [next_row(row, true), next_row(row, false)]);
    for step in steps {
        match step {
            RowChange::Remove(key) => remove(&rows, *key),
            RowChange::Insert { rows: new, before } => {
                let html = painter.rows(new);
                let below = before.and_then(|key| row(&rows, key)).map(|row| first_of(&row));
                // Only a document that is being torn down refuses.
                let _inserted = match below {
                    Some(below) => below.insert_adjacent_html("beforebegin", &html),
                    None => rows.insert_adjacent_html("beforeend", &html),
                };
            }
            RowChange::Replace(changed) => replace(&rows, changed, painter),
        }
    }
    if stood.is_some_and(|row| !row.is_connected()) {
        let near = neighbours.into_iter().flatten().flatten().find(|row| row.is_connected());
        if let Some(heir) = near.or_else(|| browser::element("body")) {
            focus(&heir);
        }
    }
    ensure_stop(&rows);
    let kept = anchors.into_iter().find(|(anchor, _)| anchor.is_connected());
    if let Some((anchor, top)) = kept {
        list.scroll_by_with_x_and_y(0.0, top_of(&anchor) - top);
    }
}

/// Puts the times of a page as it came from the server into the reader's zone and language.
pub fn localise() {
    let Some(rows) = browser::element(ROWS) else {
        return;
    };
    for time in all(&rows, "time") {
        let at = time.get_attribute("datetime").unwrap_or_default();
        let short = time.closest(".message__gutter").ok().flatten().is_some();
        let text = match Timestamp::parse(&at) {
            Some(at) if short => figures(&browser::clock(at)).to_owned(),
            Some(at) => browser::clock(at),
            // A day, not a moment; its moment is the message's below.
            None => match moment_below(&time) {
                Some(at) => browser::day_name(at),
                None => continue,
            },
        };
        time.set_text_content(Some(&text));
        set(&time, "data-local", "");
    }
}

/// Makes the rows of a page as it came from the server one stop of the Tab key.
pub fn make_stops() {
    if let Some(rows) = browser::element(ROWS) {
        for link in all(&rows, STOPS) {
            set(&link, "tabindex", "-1");
        }
        ensure_stop(&rows);
    }
}

/// The row that an element belongs to.
pub fn row_of(element: &Element) -> Option<HtmlElement> {
    element.closest(".message").ok().flatten()?.dyn_into().ok()
}

/// What a stored message says, as its row shows it.
pub fn text_of(id: MessageId) -> Option<String> {
    let text = row_of_message(id)?.query_selector(".message__text").ok().flatten()?;
    Some(text.inner_html())
}

/// The row of a stored message.
pub fn row_of_message(id: MessageId) -> Option<HtmlElement> {
    browser::element(&format!("m-{id}"))
}

/// Lends a row something from the parking place.
pub fn lend(id: &str, row: &Element) {
    if let Some(lent) = browser::element(id)
        && lent.parent_element().as_ref() != Some(row)
    {
        let _lent = row.append_child(&lent);
    }
}

/// Takes back what was lent.
pub fn park(id: &str) {
    if let (Some(lent), Some(parking)) = (browser::element(id), browser::element(PARKING)) {
        let _parked = parking.append_child(&lent);
    }
}

/// Makes a row the one stop of the Tab key in the list, with the links in its head.
pub fn make_stop(row: &Element) {
    if let Some(rows) = browser::element(ROWS) {
        for other in all(&rows, "[tabindex='0']") {
            set(&other, "tabindex", "-1");
        }
    }
    set(row, "tabindex", "0");
    for link in all(row, STOPS) {
        set(&link, "tabindex", "0");
    }
}

/// Gives a row the focus without moving the page.
pub fn focus(element: &HtmlElement) {
    let options = FocusOptions::new();
    options.set_prevent_scroll(true);
    // An element that cannot take the focus leaves it where it is.
    let _focused = element.focus_with_options(&options);
}

/// Tab leads to the message somebody stands in; without anybody in the list, to the newest.
fn ensure_stop(rows: &Element) {
    let here = focused_row(rows).map(Element::from);
    if let Some(row) = here.or_else(|| rows.last_element_child()) {
        make_stop(&row);
    }
}

/// The row somebody stands in.
fn focused_row(rows: &Element) -> Option<HtmlElement> {
    browser::focused().filter(|focused| rows.contains(Some(focused))).and_then(|at| row_of(&at))
}

fn remove(rows: &Element, key: ClientMessageId) {
    let Some(row) = row(rows, key) else {
        return;
    };
    for id in LENT {
        if browser::element(id).is_some_and(|lent| row.contains(Some(&lent))) {
            park(id);
        }
    }
    dividers_of(&row).iter().for_each(Element::remove);
    row.remove();
}

fn replace(rows: &Element, changed: &Row, painter: Painter<'_>) {
    let Some(row) = row(rows, changed.key()) else {
        return;
    };
    let before = dividers_of(&row);
    let has_line = before.iter().any(is_line);
    let has_day = before.len() > usize::from(has_line);
    // Drawn anew only if they differ: whoever listens would hear them again.
    if (has_day, has_line) != (changed.opens_day, changed.opens_unread) {
        before.iter().for_each(Element::remove);
        let _drawn = row.insert_adjacent_html("beforebegin", &painter.divider(changed));
    }
    set(&row, "class", &painter.class(changed));
    if let Some(id) = super::message::id_of(changed) {
        set(&row, "id", &format!("m-{id}"));
        set(&row, "data-id", &id.to_string());
    }
    if let Some(inside) = row.first_element_child() {
        let focused = browser::focused().filter(|focused| inside.contains(Some(focused)));
        inside.set_inner_html(&painter.inside(changed));
        if let Some(before) = focused {
            // Whoever has pressed a reaction stays on it, as long as there is one.
            let value = before.get_attribute("value");
            let same = |one: &Element| value.is_some() && one.get_attribute("value") == value;
            let heir = all(&inside, ".reaction").into_iter().find(same);
            focus(heir.and_then(|heir| heir.dyn_into().ok()).as_ref().unwrap_or(&row));
        }
    }
}

fn row(rows: &Element, key: ClientMessageId) -> Option<HtmlElement> {
    rows.query_selector(&format!("[data-key='{key}']")).ok().flatten()?.dyn_into().ok()
}

/// The newest loaded row, or the oldest.
pub fn end_row(newest: bool) -> Option<HtmlElement> {
    let rows = browser::element(ROWS)?;
    let rows = all(&rows, ".message");
    let row = if newest { rows.last() } else { rows.first() };
    row?.clone().dyn_into().ok()
}

/// The next or previous row; dividers stand between them.
pub fn next_row(row: &Element, down: bool) -> Option<HtmlElement> {
    let mut next = row.clone();
    loop {
        let sibling = if down { next.next_element_sibling() } else { next.previous_element_sibling() };
        next = sibling?;
        if next.matches(".message").unwrap_or(false) {
            return next.dyn_into().ok();
        }
    }
}

/// The dividers above a row, from the lowest up.
fn dividers_of(row: &Element) -> Vec<Element> {
    let above = std::iter::successors(row.previous_element_sibling(), |one| one.previous_element_sibling());
    above.take_while(|above| above.matches(".divider").unwrap_or(false)).collect()
}

fn is_line(divider: &Element) -> bool {
    divider.matches(".divider--new").unwrap_or(false)
}

/// The row or the highest divider above it.
fn first_of(row: &Element) -> Element {
    dividers_of(row).pop().unwrap_or_else(|| row.clone())
}

/// Whether the unread line is above what is in sight; `None` where it is not drawn.
pub fn is_line_above() -> Option<bool> {
    let list = browser::element(HISTORY)?;
    let line = list.query_selector(".divider--new").ok().flatten()?;
    Some(line.get_bounding_client_rect().bottom() < list.get_bounding_client_rect().top())
}

/// Brings the unread line to the top of the screen, and whoever goes there to the message below.
pub fn to_line() {
    let line = browser::element(ROWS).and_then(|rows| rows.query_selector(".divider--new").ok()?);
    if let Some(line) = line {
        line.scroll_into_view();
        if let Some(row) = next_row(&line, true) {
            focus(&row);
        }
    }
}

/// The first messages in sight and where their texts begin: heads come and go with what is above.
fn in_sight(list: &HtmlElement) -> Vec<(Element, f64)> {
    let edge = list.get_bounding_client_rect().top();
    let rows = all(list, ".message");
    // Rows are in order from top to bottom, so the first in sight is found by halving.
    let first = rows.partition_point(|row| row.get_bounding_client_rect().bottom() <= edge);
    let shown = rows.into_iter().skip(first).take(ANCHORS);
    shown.map(|row| (row.clone(), top_of(&row))).collect()
}

fn top_of(row: &Element) -> f64 {
    let text = row.query_selector(".message__text").ok().flatten();
    // The form of a message that is being edited stands in for its text.
    let text = text.filter(|_| !row.has_attribute("data-editing"));
    text.as_ref().unwrap_or(row).get_bounding_client_rect().top()
}

fn moment_below(time: &Element) -> Option<Timestamp> {
    let divider = time.closest(".divider").ok().flatten()?;
    let below = next_row(&divider, true)?.query_selector("time").ok().flatten()?;
    Timestamp::parse(&below.get_attribute("datetime")?)
}

/// What matches within an element, in order.
pub fn all(within: &Element, selector: &str) -> Vec<Element> {
    let Ok(found) = within.query_selector_all(selector) else {
        return Vec::new();
    };
    (0..found.length()).filter_map(|at| found.item(at)?.dyn_into().ok()).collect()
}

/// Sets an attribute.
pub fn set(element: &Element, name: &str, value: &str) {
    // Refused only for names that are no names.
    let _set = element.set_attribute(name, value);
}

/// Everything that is lent to rows, as HTML.
pub fn row_tools() -> String {
    illustrated(include_str!(concat!(env!("OUT_DIR"), "/row_tools.html"))) + &room::picker() + "</div>"
}

fn edit_field() -> Option<HtmlTextAreaElement> {
    browser::element("edit-text")?.dyn_into().ok()
}

/// Whether something happened in the form in which a message is edited.
fn is_in_edit(event: &Event) -> bool {
    target::<Element>(event).is_some_and(|at| at.closest("#edit").is_ok_and(|form| form.is_some()))
}

/// A key in the list.
pub fn pressed(chat: Chat, event: &KeyboardEvent) {
    if !is_in_edit(event) {
        keys::pressed_on_row(chat, event);
    } else if target::<Element>(event).is_some_and(|at| at.id() == "edit-text") && sends(event) {
        event.prevent_default();
        chat.save_edit();
    } else if event.key() == "Escape" && !is_composing(event) {
        event.prevent_default();
        chat.stop_editing();
    }
}

/// A form of a row is sent.
pub fn submitted(chat: Chat, event: &Event) {
    if is_in_edit(event) {
        event.prevent_default();
        chat.save_edit();
    } else if chat.add_typed_reaction(target::<Element>(event)) {
        event.prevent_default();
    }
}

impl Chat {
    /// Opens the edit form in a message's row.
    pub fn start_editing(self, id: MessageId) {
        let (Some(row), Some(body)) = (row_of_message(id), self.body_of(id)) else {
            return;
        };
        if self.editing.get_value() == Some(id) {
            return;
        }
        self.stop_editing();
        set(&row, "data-editing", "");
        lend("edit", &row);
        self.editing.set_value(Some(id));
        if let Some(field) = edit_field() {
            field.set_value(&body);
            let _focused = field.focus();
        }
    }

    /// What stands in the form in which a message is edited.
    pub fn edited_text(self) -> String {
        edit_field().map(|field| field.value()).unwrap_or_default()
    }

    /// Sends the new text of a message, once.
    fn save_edit(self) {
        let save = browser::element("edit").and_then(|form| all(&form, "[type='submit']").pop());
        let (Some(id), Some(save)) = (self.editing.get_value(), save) else {
            return;
        };
        if save.has_attribute("disabled") {
            return;
        }
        set(&save, "disabled", "");
        spawn_local(async move {
            if self.edit(id, &self.edited_text()).await && self.editing.get_value() == Some(id) {
                self.stop_editing();
            }
            let _enabled = save.remove_attribute("disabled");
        });
    }

    /// Closes the edit form; whoever was in it goes on with the message.
    pub fn stop_editing(self) {
        let Some(id) = self.editing.get_value() else {
            return;
        };
        self.editing.set_value(None);
        if let Some(row) = row_of_message(id) {
            let _unmarked = row.remove_attribute("data-editing");
            focus(&row);
        }
        park("edit");
    }
}
