//! What people say without words: emoji to choose from, what they add to each other's messages,
//! and sounds.
//!
//! The tables of emoji and sounds are built files, fetched when they are first looked at and from
//! then on in the browser's cache.

use super::browser;
use super::controls::asset;
use super::log;
use super::state::Chat;
use crate::domain::composing::{Boost, QUICK_BOOSTS};
use crate::domain::message::Message;
use crate::domain::search::{Emoji, Sound, complete};
use crate::domain::{MessageId, push_all, push_escaped};
use js_sys::Uint8Array;
use leptos::ev::{Event, KeyboardEvent};
use leptos::prelude::*;
use std::cell::RefCell;
use std::sync::Arc;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{AudioBuffer, AudioContext, Element, HtmlElement, HtmlInputElement};

/// Emoji found at once, and remembered.
const MAX_FOUND: usize = 64;
const MAX_RECENT: usize = 16;
/// Emoji found for a reaction at most.
const MAX_REACTIONS: usize = 16;
/// Kept in this browser: the emoji used last.
const RECENT: &str = "campfire:emoji";
/// Kept in this browser: that sounds are off.
const MUTED: &str = "campfire:muted";
/// The id of the picker.
pub const PICKER: &str = "emoji-picker";

/// A table among the built files; empty if it cannot be had now.
pub async fn table(name: &str) -> String {
    browser::load_text(&asset(name)).await.unwrap_or_default()
}

/// The emoji used last; at first, those that are offered everywhere.
pub fn recent() -> Vec<String> {
    match browser::stored(RECENT) {
        Some(used) => used.split(' ').map(str::to_owned).collect(),
        None => QUICK_BOOSTS.iter().map(|(emoji, _)| (*emoji).to_owned()).collect(),
    }
}

/// Puts an emoji before the others that were used.
pub fn remember(emoji: &str) {
    let mut used = recent();
    used.retain(|one| one != emoji);
    used.insert(0, emoji.to_owned());
    used.truncate(MAX_RECENT);
    browser::store(RECENT, &used.join(" "));
}

// The picker of the composer.

fn find(within: &str, selector: &str) -> Option<HtmlElement> {
    browser::element(within)?.query_selector(selector).ok().flatten()?.dyn_into().ok()
}

/// The picker is about to be seen: everything is in it again.
pub fn opened() {
    if let Some(field) = find(PICKER, "input").and_then(|it| it.dyn_into::<HtmlInputElement>().ok())
    {
        field.set_value("");
        fill(String::new());
    }
}

/// Somebody types into the picker.
pub fn typed(event: &Event) {
    let field = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
    fill(field.map(|field| field.value()).unwrap_or_default());
}

fn fill(typed: String) {
    spawn_local(async move {
        let html = grid(&table("emoji.tsv").await, &typed);
        if let Some(list) = find(PICKER, ".emoji__scroll") {
            list.set_inner_html(&html);
        }
    });
}

fn grid(emoji: &str, typed: &str) -> String {
    let mut html = String::new();
    let open = |html: &mut String, title: &str| {
        html.push_str("<p class=\"emoji__title\">");
        push_escaped(html, title);
        html.push_str("</p><div class=\"emoji__grid\">");
    };
    let push = |html: &mut String, one: Emoji<'_>| {
        html.push_str("<button type=\"button\" tabindex=\"-1\" aria-label=\"");
        push_escaped(html, &one.name.replace('_', " "));
        html.push_str("\">");
        push_escaped(html, one.text);
        html.push_str("</button>");
    };
    if !typed.trim().is_empty() {
        open(&mut html, "Found");
        complete(emoji, typed, MAX_FOUND).into_iter().for_each(|one| push(&mut html, one));
        return html + "</div>";
    }
    open(&mut html, "Recent");
    for text in recent() {
        let known = emoji.lines().filter_map(Emoji::parse).find(|one| one.text == text);
        push(&mut html, known.unwrap_or(Emoji { text: &text, name: &text }));
    }
    for line in emoji.lines() {
        match Emoji::parse(line) {
            Some(one) => push(&mut html, one),
            None => {
                html.push_str("</div>");
                open(&mut html, line);
            }
        }
    }
    html + "</div>"
}

/// Arrow keys walk through the picker.
pub fn walk(event: &KeyboardEvent) {
    let key = event.key();
    let here = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let Some(here) = here.filter(|here| here.closest(".emoji").is_ok_and(|it| it.is_some())) else {
        return;
    };
    let next = match (here.tag_name() == "INPUT", key.as_str()) {
        (true, "ArrowDown") => find(PICKER, ".emoji__grid button").map(Into::into),
        (false, "ArrowDown" | "ArrowRight") => here.next_element_sibling(),
        (false, "ArrowUp" | "ArrowLeft") => here.previous_element_sibling(),
        _ => None,
    };
    if let Some(next) = next.and_then(|next| next.dyn_into::<HtmlElement>().ok()) {
        event.prevent_default();
        let _focused = next.focus();
    }
}

// Reactions.

/// The inside of the picker of reactions: the quick ones, and a field with what it finds.
pub fn picker() -> String {
    let mut html = String::from("<span class=\"picker__row\">");
    for (emoji, name) in QUICK_BOOSTS {
        push_choice(&mut html, emoji, name);
    }
    html.push_str(
        "</span><form class=\"picker__row\"><input class=\"input\" autocomplete=\"off\" \
         aria-label=\"Emoji name or a few words\" placeholder=\"Emoji name or a few words\">\
         <button class=\"button button--s\">Add</button><button type=\"button\" \
         class=\"button button--s button--plain\" data-action=\"stop-reacting\">Close</button>\
         </form><span class=\"picker__row picker__found\" aria-live=\"polite\"></span>",
    );
    html
}

/// What was found for a text in that picker.
fn found(emoji: &[Emoji<'_>]) -> String {
    let mut html = String::new();
    for one in emoji {
        push_choice(&mut html, one.text, &one.name.replace('_', " "));
    }
    html
}

fn push_choice(html: &mut String, emoji: &str, name: &str) {
    html.push_str("<button type=\"button\" class=\"icon-button\" data-action=\"boost\" value=\"");
    push_all(html, &[emoji, "\" title=\"", name, "\" aria-label=\"React with ", name, "\">"]);
    push_all(html, &[emoji, "</button>"]);
}

fn reaction_field() -> Option<HtmlInputElement> {
    find("react", "input")?.dyn_into().ok()
}

fn show_reactions(html: &str) {
    if let Some(found) = find("react", ".picker__found") {
        found.set_inner_html(html);
    }
}

impl Chat {
    /// Adds a boost to a message of the room on screen; with `toggle`, takes it back if the viewer
    /// has added it before.
    pub fn boost(self, id: MessageId, content: &str, toggle: bool) {
        let boost = match Boost::parse(content) {
            Ok(boost) => boost,
            Err(error) => return self.notice.set(Some(error.to_string())),
        };
        let own = self.viewer.with_value(|viewer| viewer.id);
        let is_own = |message: &Arc<Message>| {
            let mut all = message.boosts.iter();
            all.any(|one| one.content == boost.content() && one.is_by(own))
        };
        let has = self.room_id().and_then(|room_id| {
            self.on(room_id, |timeline| timeline.message(id).is_some_and(is_own))
        });
        let wanted = !(toggle && has == Some(true));
        spawn_local(async move {
            match browser::boost(id, boost.content(), wanted).await {
                Ok(message) => {
                    self.change(message.room_id, |timeline| timeline.acknowledge(&message));
                }
                Err(error) => self.tell(error),
            }
        });
    }

    /// Opens the picker of reactions in a message's row.
    pub fn start_reacting(self, row: &HtmlElement) {
        log::lend("react", row);
        if let Some(field) = reaction_field() {
            field.set_value("");
            log::focus(&field);
        }
        show_reactions("");
    }

    /// Closes it; whoever was in it goes on with the message.
    pub fn stop_reacting(self, row: &HtmlElement) {
        let picker = browser::element("react");
        let stood = browser::focused().zip(picker).filter(|(at, picker)| picker.contains(Some(at)));
        log::park("react");
        if stood.is_some() {
            log::focus(row);
        }
    }

    /// Somebody types into the picker: shows the emoji that fit. The table comes from the
    /// browser's cache after the first time.
    pub fn look_for_reaction(self, at: Option<Element>) {
        let field = reaction_field().filter(|field| at.as_ref() == Some(field.as_ref()));
        let Some(field) = field else {
            return;
        };
        spawn_local(async move {
            let typed = field.value();
            let table = table("emoji.tsv").await;
            // What has been typed since has its own turn.
            if field.value() == typed {
                show_reactions(&found(&complete(&table, &typed, MAX_REACTIONS)));
            }
        });
    }

    /// The picker's form was sent: adds what is typed. False if it was another form.
    pub fn add_typed_reaction(self, at: Option<Element>) -> bool {
        let field = reaction_field().filter(|field| at.is_some_and(|at| at.contains(Some(field))));
        let Some((row, field)) = field.and_then(|field| Some((log::row_of(&field)?, field))) else {
            return false;
        };
        let id = row.get_attribute("data-id").and_then(|id| id.parse().ok()).map(MessageId::new);
        if let Some(id) = id.filter(|_| !field.value().trim().is_empty()) {
            self.boost(id, &field.value(), false);
            self.stop_reacting(&row);
        }
        true
    }
}

// Sounds.

thread_local! {
    static AUDIO: RefCell<Option<AudioContext>> = const { RefCell::new(None) };
}

/// Whether sounds are off in this browser.
pub fn is_muted() -> bool {
    browser::stored(MUTED).is_some()
}

/// Switches sounds off, or on again.
pub fn toggle_sounds() {
    browser::store(MUTED, if is_muted() { "" } else { "1" });
}

/// Plays the sound of a message that has just arrived, unless sounds are off. In what people
/// write `<` is always escaped, so only a sound is one.
pub fn sound(body_html: &str) {
    let name =
        body_html.split_once("<button ").and_then(|(_, rest)| rest.split_once("data-sound=\""));
    if let Some((name, _)) = name.and_then(|(_, rest)| rest.split_once('"'))
        && !is_muted()
    {
        spawn_local(play(name.to_owned()));
    }
}

/// Fetched and decoded as a whole: a media element would ask for pieces of the file.
pub async fn play(name: String) {
    let _played = async {
        let bytes =
            browser::load_bytes(&Sound { name: &name, emoji: "", caption: "" }.path()).await?;
        let context = AUDIO.with_borrow_mut(|audio| {
            if audio.is_none() {
                *audio = AudioContext::new().ok();
            }
            audio.clone()
        })?;
        // Asleep until somebody has touched the page; then there is nothing to hear.
        let _awake = context.resume();
        let data = Uint8Array::from(bytes.as_slice()).buffer();
        let decoded = JsFuture::from(context.decode_audio_data(&data).ok()?).await.ok()?;
        let source = context.create_buffer_source().ok()?;
        source.set_buffer(decoded.dyn_ref::<AudioBuffer>());
        source.connect_with_audio_node(&context.destination()).ok()?;
        source.start().ok()
    }
    .await;
}
