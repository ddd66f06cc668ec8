//! The message list: its frame, one listener for all of its rows, and what can be done with a
//! message.
//!
//! The rows themselves are HTML (`ui::message`), patched by `ui::log`; the component takes them
//! from the server as they are. The tools of a message (copy its link, edit it, delete it) exist
//! once. They wait in a parking place and are lent to the row that the pointer or the keyboard is
//! on, so that a list of three hundred messages does not carry three hundred toolbars; so do the
//! edit form. Browsers without scripts never see any of them:
//! there, one's own messages carry a link to a form.
//!
//! Which part of which room is on screen is decided here too: opening rooms, loading history at
//! both ends, going back to the newest message, starting afresh.

use super::browser;
use super::controls::{icon, live};
use super::log;
use super::message;
use super::push_permalink;
use super::room;
use super::state::{Chat, Link, set_if_changed};
use crate::domain::event::{ClientFrame, Sidebar};
use crate::domain::message::{CONTEXT, ClientMessageId, Row};
use crate::domain::room::SidebarRoom;
use crate::domain::timeline::{Line, RETRY_DELAYS_MS, Timeline};
use crate::domain::{MessageId, RoomId, Seq};
use crate::texts;
use gloo_timers::future::TimeoutFuture;
use leptos::ev::{Event, MouseEvent};
use leptos::prelude::*;
use leptos::tachys::html::InertElement;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, HtmlElement};

/// Read marks are gathered this long, so that a busy room costs one write a moment, not one for
/// every message and reader.
const READ_DELAY_MS: u32 = 400;

/// The scrolling history of the room on screen.
#[component]
pub fn MessageList(
    /// The chat.
    chat: Chat,
    /// The rows of a first render; in the browser they are in place already.
    rows: &'static str,
    /// What stands above the messages, to begin with.
    top: String,
) -> impl IntoView {
    let label = move || {
        let name = chat.room.with(|room| room.as_ref().map(|room| room.name.clone()));
        texts::room::messages_in(name.unwrap_or_default())
    };
    let busy = move || if chat.loading.get() { "true" } else { "false" };
    let tools = move || if chat.alive.get() { log::row_tools() } else { String::new() };
    view! {
        <div class="sheet__main sheet__main--end" id=log::HISTORY tabindex="0" role="region"
            aria-label=texts::room::MESSAGE_HISTORY on:scroll=move |_| chat.look_around()>
            <div class="log" role="log" aria-label=label aria-live="polite" aria-busy=busy
                on:click=move |event| clicked(chat, &event)
                on:keydown=move |event| log::pressed(chat, &event)
                on:input=move |event| chat.look_for_reaction(browser::target(&event))
                on:submit=move |event| log::submitted(chat, &event)
                on:pointerover=move |event| approached(chat, &event)
                on:focusin=move |event| approached(chat, &event)>
                {InertElement::new(include_str!(concat!(env!("OUT_DIR"), "/messages_heading.html")))}
                <div class="beside" id="log-top" inner_html=top
                    on:click=|event| room::copied(&event)></div>
                <div class="log__rows" id=log::ROWS inner_html=rows></div>
                <div id=log::PARKING hidden inner_html=tools></div>
            </div>
        </div>
    }
}

fn approached(chat: Chat, event: &Event) {
    let Some(row) = browser::target(event).and_then(|target| log::row_of(&target)) else {
        return;
    };
    chat.approach(&row);
    if event.type_() == "focusin" {
        log::make_stop(&row);
    }
}

/// One listener serves every row: `data-action` says what, the row's data says which.
fn clicked(chat: Chat, event: &MouseEvent) {
    let Some(button) = browser::closest(event, "[data-action]") else {
        return;
    };
    let Some(row) = log::row_of(&button) else {
        return;
    };
    let action = button.get_attribute("data-action").unwrap_or_default();
    let key = row.get_attribute("data-key").and_then(|key| ClientMessageId::parse(&key).ok());
    let id = row.get_attribute("data-id").and_then(|id| id.parse().ok()).map(MessageId::new);
    match (action.as_str(), key, id) {
        ("edit", _, Some(id)) => chat.start_editing(id),
        ("remove", _, Some(id)) => chat.remove_soon(id),
        ("unread", _, Some(id)) => chat.mark_unread(id),
        ("boost", _, Some(id)) => {
            event.prevent_default();
            chat.toggle_boost(id, button.get_attribute("value").unwrap_or_default());
            chat.stop_reacting(&row);
        }
        ("react", _, Some(_)) => {
            event.prevent_default();
            chat.start_reacting(&row);
        }
        ("stop-editing", ..) => chat.stop_editing(),
        ("stop-reacting", ..) => chat.stop_reacting(&row),
        ("reply", _, Some(id)) => chat.reply_to(id),
        ("copy-link", _, Some(id)) => {
            if let Some(room_id) = chat.room_id() {
                let mut link = browser::origin();
                push_permalink(&mut link, room_id, id);
                chat.copy_link(&link);
            }
        }
        ("retry", Some(key), _) => chat.retry(key),
        ("discard", Some(key), _) => chat.discard(key),
        _ => {}
    }
}

impl Chat {
    /// The pointer or the keyboard has come to a row: it gets the tools, unless somebody uses them
    /// elsewhere by keyboard.
    pub fn approach(self, row: &HtmlElement) {
        let focused = browser::focused();
        let busy = browser::element("tools").zip(focused).is_some_and(|(tools, focused)| {
            let by_keyboard = focused.matches(":focus-visible").unwrap_or(false);
            by_keyboard && tools.contains(Some(&focused)) && !row.contains(Some(&focused))
        });
        let shown = self.row_at(row).filter(|row| message::id_of(row).is_some());
        match shown {
            Some(shown) if !busy => {
                let may = self.viewer.with_value(|viewer| message::may_change(&shown, viewer));
                log::lend("tools", row);
                for action in ["edit", "remove"] {
                    let tool = format!("#tools [data-action='{action}']");
                    if let Some(tool) = log::all(row, &tool).first() {
                        let _shown = tool.toggle_attribute_with_force("hidden", !may);
                    }
                }
            }
            _ => {}
        }
    }

    fn row_at(self, row: &Element) -> Option<Row> {
        let key = row.get_attribute("data-key")?;
        self.rows.with_value(|rows| rows.iter().find(|row| row.key().to_string() == key).cloned())
    }
}

/// Rooms whose messages are kept for an instant return.
const MAX_TIMELINES: usize = 20;

impl Chat {
    /// Shows a room: at once if it has been seen before, else as soon as it is loaded.
    pub fn open_room(self, room_id: RoomId) {
        let known = self.sidebar.with_untracked(|sidebar| sidebar.room(room_id).map(SidebarRoom::room));
        let Some(room) = known.filter(|_| self.room_id() != Some(room_id)) else {
            return;
        };
        self.read_now();
        self.stop_editing();
        self.gone.set(false);
        self.room.set(Some(room));
        self.notice.set(None);
        self.unseen.set(0);
        self.sidebar.update(Sidebar::clear_typing);
        self.draft.set(browser::stored(&self.draft_key(room_id)).unwrap_or_default());
        browser::set_cookie("last_room", &room_id.to_string());
        self.hold_room(room_id);
        self.begin_visit(room_id);
        // While all is laid out; and what is in sight first: the rest takes longer than a frame may.
        log::to_newest();
        self.show(log::above_the_last_screen);
        let is_loaded = self.on(room_id, Timeline::is_loaded) == Some(true);
        if !is_loaded {
            spawn_local(self.start_afresh(room_id));
        }
        browser::after_next_frame(move || {
            if is_loaded && self.room_id() == Some(room_id) {
                self.refresh();
                // The answer comes within a frame, and would bring the rest into the first one.
                self.watch(room_id);
                self.look_around();
            }
        });
    }

    /// The reader has scrolled, or there is something else to see: loads what they are about to
    /// reach.
    pub fn look_around(self) {
        let place = log::place();
        self.scrolled(place.near_end);
        if place.near_start && self.has_older.get_untracked() {
            spawn_local(self.load_older());
        } else if place.approaches_end && self.has_newer.get_untracked() {
            spawn_local(self.load_newer());
        }
    }

    /// Loads pages above the window until the reader is no longer close to its top. A page that
    /// does not come is asked for again by the next scroll, not at once.
    async fn load_older(self) {
        let Some(room_id) = self.room_id().filter(|_| !self.loading.get_untracked()) else {
            return;
        };
        self.loading.set(true);
        while let Some(before) = self.on(room_id, Timeline::oldest).flatten()
            && self.room_id() == Some(room_id)
            && log::place().near_start
            && let Ok(page) = browser::load_page(room_id, &format!("before={before}")).await
        {
            let replay = self.change(room_id, |timeline| {
                let replay = timeline.merge_older(before, &page);
                timeline.prune_below();
                replay
            });
            self.replay(room_id, replay.flatten());
        }
        self.loaded(room_id);
    }

    /// Loads pages below the window, likewise.
    async fn load_newer(self) {
        let Some(room_id) = self.room_id().filter(|_| !self.loading.get_untracked()) else {
            return;
        };
        self.loading.set(true);
        while let Some(after) = self.on(room_id, Timeline::newest_loaded).flatten()
            && self.room_id() == Some(room_id)
            && log::place().approaches_end
            && let Ok(page) = browser::load_page(room_id, &format!("after={after}")).await
        {
            let replay = self.change(room_id, |timeline| {
                let replay = timeline.merge_newer(after, &page);
                timeline.prune_above();
                replay
            });
            self.replay(room_id, replay.flatten());
        }
        self.loaded(room_id);
    }

    /// Loading has ended. A room that was opened meanwhile could not load anything itself.
    fn loaded(self, room_id: RoomId) {
        self.loading.set(false);
        if self.room_id() == Some(room_id) {
            self.scrolled(log::place().near_end);
        } else {
            self.look_around();
        }
    }

    /// Goes to the newest message.
    pub fn jump_to_newest(self) {
        self.unseen.set(0);
        match self.room_id().filter(|_| self.has_newer.get_untracked()) {
            Some(room_id) => spawn_local(async move {
                self.start_afresh(room_id).await;
                log::to_newest();
            }),
            None => log::to_newest(),
        }
    }

    /// The reader has scrolled: `near_end` if the newest loaded message is in sight.
    pub fn scrolled(self, near_end: bool) {
        let away = !near_end || self.has_newer.get_untracked();
        if self.away.get_untracked() != away {
            self.away.set(away);
        }
        if !away {
            self.unseen.set(0);
            self.read_soon();
        }
        self.find_line();
    }

    /// Makes a place for a room's messages, loaded or not, so that sending can begin at once.
    pub(super) fn hold_room(self, room_id: RoomId) {
        let here = self.room_id();
        self.timelines.update_value(|all| {
            if all.len() >= MAX_TIMELINES {
                all.retain(|id, timeline| Some(*id) == here || !timeline.outgoing().is_empty());
            }
            all.entry(room_id).or_insert_with(|| Timeline::unloaded(room_id));
        });
    }

    /// Loads the newest page in place of what is there. Tried until it works or the room is left:
    /// giving up would leave a hole nobody sees.
    pub(super) async fn start_afresh(self, room_id: RoomId) {
        self.change(room_id, Timeline::wait_for_changes);
        for delay in RETRY_DELAYS_MS.iter().chain(std::iter::repeat(&16_000)) {
            if let Ok(page) = browser::load_page(room_id, "").await {
                self.change(room_id, |timeline| {
                    timeline.reset(&page);
                    timeline.wait_for_changes();
                });
                self.watch(room_id);
                if self.room_id() == Some(room_id) {
                    self.look_around();
                }
                return;
            }
            TimeoutFuture::new(*delay).await;
            if self.room_id() != Some(room_id) {
                // Its cursor has not moved, so the next visit begins where this one failed.
                return;
            }
        }
    }

    /// Asks for everything after a cursor again.
    pub(super) fn replay(self, room_id: RoomId, cursor: Option<Seq>) {
        if let Some(cursor) = cursor.filter(|_| self.room_id() == Some(room_id)) {
            self.say(ClientFrame::OpenRoom { room_id, cursor: Some(cursor) });
        }
    }

    pub(super) fn watch(self, room_id: RoomId) {
        self.replay(room_id, self.on(room_id, Timeline::cursor));
        self.read_soon();
    }
}

impl Chat {
    /// A room comes on screen: the line goes where its reader left off, if something is new.
    pub(super) fn begin_visit(self, room_id: RoomId) {
        self.draw_line(room_id, self.unread_after(room_id), false);
    }

    /// The read cursor of a room that is unread.
    fn unread_after(self, room_id: RoomId) -> Option<MessageId> {
        self.sidebar.with_untracked(|sidebar| {
            let entry = sidebar.room(room_id).filter(|entry| entry.unread)?;
            Some(entry.last_read_message_id.unwrap_or(MessageId::new(0)))
        })
    }

    fn draw_line(self, room_id: RoomId, left_off: Option<MessageId>, stays: bool) {
        self.stays_unread.set(stays);
        self.line_seen.set_value(false);
        self.timelines.update_value(|all| {
            if let Some(timeline) = all.get_mut(&room_id) {
                timeline.draw_line(left_off);
            }
        });
        set_if_changed(self.line_above, self.line() == Line::Earlier);
    }

    fn line(self) -> Line {
        let reader = self.viewer.with_value(|viewer| viewer.id);
        let line = self.room_id().and_then(|id| self.on(id, |timeline| timeline.line(reader)));
        line.unwrap_or(Line::Absent)
    }

    /// The reader has scrolled: whether the line is worth a jump. Once seen it is not.
    pub(super) fn find_line(self) {
        let line = self.line();
        let above = log::is_line_above().filter(|_| matches!(line, Line::Before(_)));
        if above == Some(false) {
            self.line_seen.set_value(true);
        }
        let worth = line == Line::Earlier || above == Some(true);
        set_if_changed(self.line_above, worth && !self.line_seen.get_value());
    }

    /// Goes to the unread line, which may have to be loaded first.
    pub(super) fn go_to_line(self) {
        let left_off = self.room_id().and_then(|id| self.on(id, Timeline::left_off).flatten());
        let (Some(room_id), Some(left_off), Line::Earlier) = (self.room_id(), left_off, self.line()) else {
            return log::to_line();
        };
        spawn_local(async move {
            let query = format!("around={left_off}&limit={}", 2 * CONTEXT + 1);
            let page = match browser::load_page(room_id, &query).await {
                Ok(page) => page,
                Err(error) => return self.tell(error),
            };
            let (page, has_newer) = page.around(left_off);
            self.change(room_id, |timeline| {
                timeline.reset_around(&page, has_newer);
                timeline.wait_for_changes();
            });
            self.watch(room_id);
            log::to_line();
            self.look_around();
        });
    }

    /// Marks the room read in a moment, if somebody is there to read it and did not say otherwise.
    pub(super) fn read_soon(self) {
        if self.read_pending.get_value() {
            return;
        }
        self.read_pending.set_value(true);
        spawn_local(async move {
            TimeoutFuture::new(READ_DELAY_MS).await;
            self.read_now();
        });
    }

    /// Says what is due to be said, before another room takes the place of this one at the latest.
    pub(super) fn read_now(self) {
        if !self.read_pending.get_value() {
            return;
        }
        self.read_pending.set_value(false);
        let seen = browser::is_visible() && !self.away.get_untracked();
        let stays = self.stays_unread.get_untracked();
        if let Some(room_id) = self.room_id().filter(|_| seen && !stays) {
            self.say_read(room_id, self.last_id(room_id));
        }
    }

    fn say_read(self, room_id: RoomId, newest: Option<MessageId>) {
        let unread = self.unread_after(room_id).is_some();
        if let Some(message_id) = newest.filter(|_| unread)
            && self.link.get_untracked() == Link::Live
        {
            self.sidebar.update(|sidebar| sidebar.seen(room_id));
            self.say(ClientFrame::Read { room_id, message_id });
        }
    }

    /// Marks the room on screen read, wherever one is in it, and takes the line away.
    pub(super) fn mark_read(self) -> bool {
        let Some(room_id) = self.room_id() else {
            return false;
        };
        self.move_line(room_id, None);
        let known = self.sidebar.with_untracked(|s| s.room(room_id).map(|e| e.last_message_id));
        self.say_read(room_id, known.flatten().max(self.last_id(room_id)));
        true
    }

    /// Marks the room on screen unread from a message on. It stays so until its reader comes back
    /// to it, or says that it is read.
    pub(super) fn mark_unread(self, id: MessageId) {
        let Some(room_id) = self.room_id() else {
            return;
        };
        let stood = self.on(room_id, Timeline::left_off).flatten();
        let stayed = self.stays_unread.get_untracked();
        self.move_line(room_id, Some(MessageId::new(id.get() - 1)));
        spawn_local(async move {
            if let Err(error) = browser::mark_unread(room_id, id).await {
                if self.room_id() == Some(room_id) {
                    self.move_line(room_id, stood);
                    set_if_changed(self.stays_unread, stayed);
                }
                self.tell(error);
            }
        });
    }

    /// The viewer said, here or on another device, after which message a room is unread; or, with
    /// none, that it is read.
    pub(super) fn move_line(self, room_id: RoomId, left_off: Option<MessageId>) {
        if self.room_id() == Some(room_id) {
            self.draw_line(room_id, left_off, left_off.is_some());
            self.refresh();
            self.find_line();
        }
    }
}

/// The way back to the newest message, with the number of those not seen yet.
pub fn jump_pill(unseen: u32) -> String {
    let text = match unseen {
        0 => texts::composer::JUMP_TO_NEWEST.to_owned(),
        count => texts::composer::new_messages(count),
    };
    let start = "<button type=\"button\" class=\"jump\" data-do=\"jump\">";
    [start, &icon("arrow-down"), &text, "</button>"].concat()
}

/// The way to the unread line; without scripts a link to where one left off.
#[component]
pub fn UnreadPill(chat: Chat) -> impl IntoView {
    let pill = live("to-unread", move || {
        let shown = chat.line_above.get().then(|| chat.room_id()).flatten();
        let left_off = shown.and_then(|room_id| {
            let left_off = chat.on(room_id, Timeline::left_off).flatten()?;
            let start = format!("<a class=\"jump jump--up\" href=\"/rooms/{room_id}/@{left_off}\">");
            Some([&start, &*icon("chevron-up"), texts::room::JUMP_TO_UNREAD, "</a>"].concat())
        });
        left_off.into_iter().collect()
    });
    let jump = move |event: MouseEvent| {
        event.prevent_default();
        chat.go_to_line();
    };
    view! { <div class="beside" id="to-unread" inner_html=pill on:click=jump></div> }
}
