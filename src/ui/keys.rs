//! Moving by keyboard: keys, the quick switcher, the sheet of shortcuts; and reading: the unread
//! line, and how a room becomes read or stays unread.
//!
//! One listener hears every key that nobody else has used. Both dialogs are HTML in
//! `public/en/dialogs.html`, fetched when they are first wanted. What an option of the switcher leads
//! to stands in its `data-go`: an address, or what on the page to click. Keys on a message press
//! its tools, so that a key does what its button does, and nothing where there is none.

use super::browser::target;
use super::controls::{asset, icon};
use super::message::id_of;
use super::room;
use super::room::choose_theme;
use super::sidebar::push_face;
use super::state::{Chat, is_own};
use super::{Theme, browser, log};
use crate::domain::account::{UserRef, Viewer};
use crate::domain::composing::Kind;
use crate::domain::room::{RoomKind, SidebarRoom};
use crate::domain::search::{Emoji, Sound, complete, found, insert_ranked, rank};
use crate::domain::{push_all, push_escaped};
use crate::texts;
use leptos::ev::{self, Event, KeyboardEvent, MouseEvent};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, HtmlDialogElement, HtmlElement, HtmlInputElement};

/// What the switcher shows at most.
const MAX_HITS: usize = 40;

/// Hears keys, what is typed into the switcher, clicks on what opens here, and the page's end.
pub fn listen(chat: Chat) {
    window_event_listener(ev::keydown, move |event| {
        if !event.default_prevented() && !is_composing(&event) && pressed(chat, &event) {
            event.prevent_default();
        }
    });
    window_event_listener(ev::click, move |event| clicked(chat, &event));
    window_event_listener(ev::input, move |event| {
        if target::<Element>(&event).is_some_and(|target| target.id() == "switcher-field") {
            look_for(chat);
        }
    });
    window_event_listener(ev::Custom::<Event>::new("pagehide"), move |_| chat.leave());
}

/// Whether an input method is at work. 229 is what browsers report even after it says it is not.
pub fn is_composing(event: &KeyboardEvent) -> bool {
    event.is_composing() || event.key_code() == 229
}

/// Whether this key sends.
pub fn sends(event: &KeyboardEvent) -> bool {
    if event.key() != "Enter" || is_composing(event) {
        return false;
    }
    event.ctrl_key() || event.meta_key() || !(event.shift_key() || browser::has_coarse_pointer())
}

fn within(element: &Element, selector: &str) -> bool {
    element.closest(selector).is_ok_and(|found| found.is_some())
}

fn find(selector: &str) -> Option<HtmlElement> {
    browser::find(selector)
}

/// What a key does wherever one is. True if it did something.
fn pressed(chat: Chat, event: &KeyboardEvent) -> bool {
    let Some(at) = target::<Element>(event) else {
        return false;
    };
    let (command, alt) = (event.ctrl_key() || event.meta_key(), event.alt_key());
    let plain = !(command || alt || event.shift_key());
    let unwritten = chat.draft.with_untracked(String::is_empty);
    let in_composer = at.id() == "body";
    let typing = within(&at, "input, textarea, select, [contenteditable]");
    match event.key().as_str() {
        "k" | "K" if command && !alt && !event.shift_key() => toggle_switcher(chat),
        key if within(&at, "#switcher") => walk(chat, key),
        _ if find("dialog[open]").is_some() => false,
        key @ ("ArrowUp" | "ArrowDown") if alt && !command => go_along(key == "ArrowDown", event.shift_key()),
        "ArrowUp" if plain && in_composer && unwritten => chat.edit_last(),
        "z" if command && !typing => chat.undo(),
        "?" if !command && !typing => show_dialog(chat, "shortcuts"),
        // Unless somebody is in the middle of something.
        "Escape" if plain && unwritten && (in_composer || !typing) => {
            find(":popover-open").is_none() && chat.mark_read()
        }
        _ => false,
    }
}

/// What a key does on a message, or on its tools and its picker.
pub fn pressed_on_row(chat: Chat, event: &KeyboardEvent) {
    let Some(row) = target::<Element>(event).and_then(|at| log::row_of(&at)) else {
        return;
    };
    let on_row = target::<Element>(event).is_some_and(|at| at == *row.as_ref());
    let key = event.key();
    let leaves = key == "Escape" && target::<Element>(event).is_some_and(|at| within(&at, "#tools, #react"));
    let ours = on_row || leaves;
    if !ours || event.ctrl_key() || event.meta_key() || event.alt_key() || is_composing(event) {
        return;
    }
    let next = match key.as_str() {
        "Escape" if on_row => browser::element("body"),
        "Escape" => {
            chat.stop_reacting(&row);
            Some(row)
        }
        "ArrowUp" => log::next_row(&row, false),
        "ArrowDown" => log::next_row(&row, true),
        "Enter" => tool(&row, ""),
        "Home" => log::end_row(false),
        "End" => {
            chat.jump_to_newest();
            log::end_row(true)
        }
        // What stands in `#tools` and has a key needs a line here, and nothing else.
        "e" | "E" => press(&row, "edit"),
        "Delete" | "Backspace" => press(&row, "remove"),
        "c" | "C" => press(&row, "copy-link"),
        "u" | "U" => press(&row, "unread"),
        "r" | "R" => press(&row, "reply"),
        _ => return,
    };
    event.prevent_default();
    if let Some(next) = next {
        let _focused = next.focus();
    }
}

fn press(row: &Element, action: &str) -> Option<HtmlElement> {
    tool(row, &format!("[data-action='{action}']")).as_ref().map(HtmlElement::click);
    None
}

fn tool(row: &Element, selector: &str) -> Option<HtmlElement> {
    row.query_selector(&format!("#tools button:not([hidden]){selector}")).ok().flatten()?.dyn_into().ok()
}

/// Opens the next room of the list, or the next one with something unread.
fn go_along(down: bool, unread: bool) -> bool {
    let mut links = browser::element("sidebar").map_or(Vec::new(), |s| log::all(&s, "[data-room]"));
    if !down {
        links.reverse();
    }
    if let Some(here) = links.iter().position(|link| link.has_attribute("aria-current")) {
        links.rotate_left(here);
        links.remove(0);
    }
    let fits = |link: &Element| !unread || link.matches(".nav-item--unread").unwrap_or(false);
    let next = links.into_iter().find(fits).and_then(|link| link.dyn_into::<HtmlElement>().ok());
    next.as_ref().map(HtmlElement::click);
    true
}

// The dialogs.

fn clicked(chat: Chat, event: &MouseEvent) {
    let Some(at) = target::<Element>(event) else {
        return;
    };
    if let Some(option) = at.closest("#switcher-list [data-go]").ok().flatten() {
        choose(chat, &option);
    } else if within(&at, "[data-shortcuts]") {
        show_dialog(chat, "shortcuts");
    } else if let Some(dialog) = at.dyn_ref::<HtmlDialogElement>() {
        // Beside what it shows.
        dialog.close();
    }
}

fn dialog(id: &str) -> Option<HtmlDialogElement> {
    browser::element(id)?.dyn_into().ok()
}

/// Shows a dialog, once it is there.
fn show_dialog(chat: Chat, id: &'static str) -> bool {
    spawn_local(async move {
        if dialog(id).is_none()
            && let Ok(html) =
                browser::load_text(asset(&format!("{}/dialogs.html", texts::language::CODE))).await
            && dialog(id).is_none()
            && let Some(body) = find("body")
        {
            let html = html.replace("icons.svg", &asset("icons.svg"));
            // Only a document that is being torn down refuses.
            let _added = body.insert_adjacent_html("beforeend", &html);
        }
        // Refused if it is open already.
        let shown = dialog(id).is_some_and(|dialog| dialog.show_modal().is_ok());
        if let Some(field) = field().filter(|_| shown && id == "switcher") {
            field.set_value("");
            look_for(chat);
        }
    });
    true
}

fn toggle_switcher(chat: Chat) -> bool {
    match dialog("switcher").filter(HtmlDialogElement::open) {
        Some(switcher) => switcher.close(),
        None => drop(find("dialog[open]").is_none() && show_dialog(chat, "switcher")),
    }
    true
}

fn field() -> Option<HtmlInputElement> {
    browser::element("switcher-field")?.dyn_into().ok()
}

/// Shows what answers the text in the field: at once what is known here, then with the people whom
/// the server finds.
fn look_for(chat: Chat) {
    let Some(wanted) = field().map(|field| field.value()) else {
        return;
    };
    draw(chat, &wanted, &[], None);
    spawn_local(async move {
        if let Ok(people) = browser::find_people(None, wanted.trim()).await
            && field().is_some_and(|field| field.value() == wanted)
        {
            let kept = selected().and_then(|option| place_of(&option));
            draw(chat, &wanted, &people, kept);
        }
    });
}

/// Draws the options, the best first, with the first one chosen or the one that was.
fn draw(chat: Chat, wanted: &str, people: &[UserRef], kept: Option<String>) {
    let lists = browser::element("switcher-list").zip(browser::element("switcher-actions"));
    let Some((list, actions)) = lists else {
        return;
    };
    let mut hits: Vec<(u8, String)> = Vec::new();
    chat.sidebar.with_untracked(|sidebar| {
        for (rank, entry) in found(sidebar.rooms(), wanted) {
            // What is on screen is no place to go to.
            if chat.room_id() != Some(entry.id) {
                let link = find(&format!("#sidebar [data-room='{}']", entry.id));
                let inside = link.map_or_else(|| named(&entry.name), |link| link.inner_html());
                insert_ranked(&mut hits, rank, option(&format!("/rooms/{}", entry.id), &inside));
            }
        }
        for user in people.iter().chain(sidebar.online()) {
            let known = |entry: &SidebarRoom| matches!(&*entry.people, [one] if one.id == user.id);
            let mut face = String::new();
            push_face(&mut face, "avatar avatar--s", user, false);
            let html = option(&format!("person:{}", user.id), &(face + &named(&user.name)));
            let twice = hits.iter().any(|(_, other)| *other == html);
            let rank = rank(&user.name, wanted).filter(|_| !twice);
            if let Some(rank) = rank.filter(|_| !sidebar.rooms().iter().any(known)) {
                insert_ranked(&mut hits, rank, html);
            }
        }
    });
    let administers = chat.viewer.with_value(Viewer::may_administer);
    for action in log::all(&actions, "li") {
        let go = action.get_attribute("data-go").unwrap_or_default();
        let offered = administers || !action.has_attribute("data-administrators");
        let leads = go.starts_with('/') || find(&go).is_some();
        let name = action.text_content().unwrap_or_default();
        if let Some(rank) = rank(&name, wanted).filter(|_| offered && leads) {
            insert_ranked(&mut hits, rank, action.outer_html());
        }
    }
    list.set_inner_html(&hits.into_iter().take(MAX_HITS).map(|(_, html)| html).collect::<String>());
    let options = log::all(&list, "li");
    let same = |option: &&Element| place_of(option) == kept;
    if let Some(chosen) = options.iter().find(same).or_else(|| options.first()) {
        select(chosen);
    }
}

fn named(name: &str) -> String {
    let mut html = "<span class=\"nav-item__name truncate\" dir=\"auto\">".to_owned();
    push_escaped(&mut html, name);
    html + "</span>"
}

fn option(go: &str, inside: &str) -> String {
    format!("<li class=\"menu__item\" role=\"option\" data-go=\"{go}\">{inside}</li>")
}

/// What tells an option from the others: three of them lead to the page itself.
fn place_of(option: &Element) -> Option<String> {
    option.get_attribute("data-choice").or_else(|| option.get_attribute("data-go"))
}

fn selected() -> Option<HtmlElement> {
    find("#switcher-list [aria-selected='true']")
}

fn select(option: &Element) {
    if let Some(before) = selected() {
        before.set_id("");
        log::set(&before, "aria-selected", "false");
    }
    option.set_id("switcher-choice");
    log::set(option, "aria-selected", "true");
    option.scroll_into_view_with_bool(false);
}

/// Keys in the switcher: through the options, around the ends, and into one.
fn walk(chat: Chat, key: &str) -> bool {
    let options = browser::element("switcher-list").map_or(Vec::new(), |s| log::all(&s, "li"));
    let at = options.iter().position(|option| option.id() == "switcher-choice").unwrap_or(0);
    let next = match key {
        "ArrowDown" => at + 1,
        "ArrowUp" => at + options.len().saturating_sub(1),
        "Enter" => at,
        _ => return false,
    };
    if let Some(option) = options.get(next % options.len().max(1)) {
        if key == "Enter" { choose(chat, option) } else { select(option) }
    }
    true
}

/// Goes where an option leads. The dialog closes first, which gives the focus back.
fn choose(chat: Chat, option: &Element) {
    let go = option.get_attribute("data-go").unwrap_or_default();
    if let Some(switcher) = dialog("switcher") {
        switcher.close();
    }
    if let Some(theme) = option.get_attribute("data-choice") {
        choose_theme(Theme::parse(&theme));
    } else if option.has_attribute("data-shortcuts") {
        show_dialog(chat, "shortcuts");
    } else if let Some(id) = go.strip_prefix("person:") {
        if let Some(button) = browser::element("write-to") {
            log::set(&button, "value", id);
            button.click();
        }
    } else if let Some(link) = find(&format!("#sidebar [href='{go}']")).or_else(|| find(&go)) {
        link.click();
    } else {
        browser::go_to(&go);
    }
}

impl Chat {
    fn edit_last(self) -> bool {
        let last = self.viewer.with_value(|viewer| {
            self.rows.with_value(|rows| rows.iter().rev().filter(|row| is_own(row, viewer)).find_map(id_of))
        });
        let last = last.filter(|_| !self.has_newer.get_untracked());
        last.map(|id| self.start_editing(id)).is_some()
    }

    /// What can stand for something that is being typed, as lines of the list.
    pub(super) async fn complete(self, kind: Kind, typed: &str) -> String {
        let mut html = String::new();
        match kind {
            Kind::Person => {
                let people = match self.room_id() {
                    Some(room_id) => browser::find_people(Some(room_id), typed).await.unwrap_or_default(),
                    None => Vec::new(),
                };
                for (at, user) in people.iter().take(MAX_CHOICES).enumerate() {
                    html.push_str(&person(at, user));
                }
            }
            Kind::Room => {
                for (at, name) in self.find_rooms(typed).into_iter().enumerate() {
                    let text = ["#", &name, " "].concat();
                    html.push_str(&completion(at, &icon("hash"), (&name, ""), &text));
                }
            }
            Kind::Emoji => {
                let (table, recent) = (room::table("emoji.tsv").await, room::recent());
                let (used, others): (Vec<_>, Vec<_>) = complete(&table, typed, MAX_CHOICES)
                    .into_iter()
                    .partition(|one| recent.iter().any(|used| used == one.text));
                for (at, Emoji { text, name }) in used.into_iter().chain(others).enumerate() {
                    html.push_str(&completion(at, text, (name, ""), text));
                }
            }
            Kind::Sound => {
                let (table, typed) = (room::table("sounds.tsv").await, typed.to_ascii_lowercase());
                let found = table.lines().filter_map(Sound::parse);
                let found = found.filter(|one| one.name.starts_with(&typed)).take(MAX_CHOICES);
                for (at, Sound { name, emoji, caption }) in found.enumerate() {
                    html.push_str(&completion(at, emoji, (name, caption), name));
                }
            }
        }
        html
    }

    fn find_rooms(self, typed: &str) -> Vec<String> {
        self.sidebar.with_untracked(|sidebar| {
            let mut found = Vec::new();
            for room in sidebar.rooms().iter().filter(|room| room.kind == RoomKind::Open) {
                if let Some(rank) = rank(&room.name, typed).filter(|rank| *rank < 3) {
                    insert_ranked(&mut found, rank, room.name.clone());
                }
            }
            found.into_iter().take(MAX_CHOICES).map(|(_, name)| name).collect()
        })
    }
}

// Completions.

/// Completions at once.
const MAX_CHOICES: usize = 8;
/// The id of the list of completions.
pub const CHOICES: &str = "choices";

/// The completions that are shown.
pub fn completions() -> Vec<Element> {
    browser::element(CHOICES).map_or(Vec::new(), |list| log::all(&list, "li"))
}

/// Puts a line of the list forward; the field, which keeps the focus, says which.
pub fn put_forward(at: usize) {
    for (place, option) in completions().iter().enumerate() {
        log::set(option, "aria-selected", if place == at { "true" } else { "false" });
    }
    if let Some(field) = browser::element("body") {
        let active = format!("{CHOICES}-{at}");
        let attributes = [("role", "combobox"), ("aria-expanded", "true")];
        attributes.into_iter().for_each(|(name, value)| log::set(&field, name, value));
        log::set(&field, "aria-controls", CHOICES);
        log::set(&field, "aria-activedescendant", &active);
    }
}

/// A line of the list: a picture as HTML, a name, a note, and the text it stands for.
fn completion(at: usize, picture: &str, (name, note): (&str, &str), text: &str) -> String {
    let mut html = format!("<li class=\"menu__item\" role=\"option\" id=\"{CHOICES}-{at}\" data-text=\"");
    push_escaped(&mut html, text);
    push_all(&mut html, &["\">", picture, "<span class=\"truncate\" dir=\"auto\">"]);
    push_escaped(&mut html, name);
    html.push_str("</span><span class=\"end truncate\">");
    push_escaped(&mut html, note);
    html + "</span></li>"
}

/// Somebody to mention.
fn person(at: usize, user: &UserRef) -> String {
    let text = ["@", &user.name, " "].concat();
    // Everybody at once.
    if user.id.get() == 0 {
        return completion(at, &icon("users"), (&user.name, texts::composer::ALL_IN_THIS_ROOM), &text);
    }
    let mut face = String::new();
    push_face(&mut face, "avatar avatar--s", user, false);
    completion(at, &face, (&user.name, ""), &text)
}
