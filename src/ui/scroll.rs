//! Keeping the reader's place in the message list.
//!
//! The list is laid out from its end (`column-reverse`), so it starts at the newest message
//! without a script: its `scrollTop` is 0 at the bottom and negative above. Whoever is at the
//! bottom stays there. Whoever reads further up keeps the first message in sight exactly where it
//! was, whatever is added, removed or changed around it.

use super::browser;
use std::cell::Cell;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, HtmlElement};

/// The id of the scrolling element.
pub const HISTORY: &str = "history";
/// Closer to the end than this counts as being there, in CSS pixels.
const NEAR: i32 = 48;
/// Closer to an edge than this, more is loaded.
const EDGE: i32 = 600;

thread_local! {
    static HOLDING: Cell<bool> = const { Cell::new(false) };
}

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

/// Scrolls to the newest loaded message, once what is new has been laid out.
pub fn to_newest() {
    next_frame(|| {
        if let Some(list) = browser::element(HISTORY) {
            list.set_scroll_top(0);
        }
    });
}

/// Call before changing rows: in the next frame the reader is where they were. Several changes in
/// one frame are held together.
pub fn hold() {
    let Some(list) = browser::element(HISTORY) else {
        return;
    };
    if HOLDING.get() || place().near_end {
        return;
    }
    let Some((anchor, top)) = first_in_sight(&list) else {
        return;
    };
    HOLDING.set(true);
    next_frame(move || {
        HOLDING.set(false);
        if anchor.is_connected() {
            let moved = anchor.get_bounding_client_rect().top() - top;
            #[expect(clippy::cast_possible_truncation, reason = "pixels of a screen")]
            list.set_scroll_top(list.scroll_top() + moved.round() as i32);
        }
    });
}

fn first_in_sight(list: &HtmlElement) -> Option<(Element, f64)> {
    let edge = list.get_bounding_client_rect().top();
    let rows = list.query_selector_all(".message").ok()?;
    (0..rows.length()).find_map(|at| {
        let row: Element = rows.item(at)?.dyn_into().ok()?;
        let area = row.get_bounding_client_rect();
        (area.bottom() > edge).then(|| (row, area.top()))
    })
}

fn next_frame(then: impl FnOnce() + 'static) {
    if let Some(window) = browser::window() {
        let callback = Closure::once_into_js(then);
        // Refused only in a window that is closing.
        let _asked = window.request_animation_frame(callback.unchecked_ref());
    }
}
