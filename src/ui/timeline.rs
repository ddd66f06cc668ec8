//! The message list: its frame, loading at both ends, and one listener for all of its rows.
//!
//! The rows themselves are HTML (`ui::message`), patched by `ui::log`; this component takes them
//! from the server as they are.

use super::browser;
use super::log;
use super::permalink;
use super::state::Chat;
use super::tools::RowTools;
use crate::domain::MessageId;
use crate::domain::message::ClientMessageId;
use leptos::ev::{Event, KeyboardEvent, MouseEvent};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, HtmlElement};

/// The scrolling history of the room on screen. Children stand above the first message.
#[component]
pub fn MessageList(
    /// The chat.
    chat: Chat,
    /// The rows of a first render; in the browser they are in place already.
    rows: String,
    /// What stands above the messages.
    children: Children,
) -> impl IntoView {
    let label = move || {
        let name = chat.room.with(|room| room.as_ref().map(|room| room.name.clone()));
        format!("Messages in {}", name.unwrap_or_default())
    };
    let busy = move || if chat.loading.get() { "true" } else { "false" };
    let tools = move || chat.alive.get().then(|| view! { <RowTools chat=chat/> });
    view! {
        <div class="sheet__main sheet__main--end" id=log::HISTORY tabindex="0" role="region"
            aria-label="Message history" on:scroll=move |_| chat.look_around()>
            <div class="log" role="log" aria-label=label aria-live="polite" aria-busy=busy
                on:click=move |event| clicked(chat, &event)
                on:keydown=move |event| moved(&event)
                on:pointerover=move |event| approached(chat, &event)
                on:focusin=move |event| approached(chat, &event)>
                <h2 class="visually-hidden">"Messages"</h2>
                {children()}
                <div class="rows" id=log::ROWS inner_html=rows></div>
                {tools}
            </div>
        </div>
    }
}

fn target(event: &Event) -> Option<Element> {
    event.target().and_then(|target| target.dyn_into().ok())
}

fn approached(chat: Chat, event: &Event) {
    let Some(row) = target(event).and_then(|target| log::row_of(&target)) else {
        return;
    };
    chat.approach(&row);
    if event.type_() == "focusin" {
        log::make_stop(&row);
    }
}

/// One listener serves every row: `data-action` says what, the row's data says which.
fn clicked(chat: Chat, event: &MouseEvent) {
    let button = target(event).and_then(|target| target.closest("[data-action]").ok().flatten());
    let Some(button) = button else {
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
        ("ask-remove", _, Some(_)) => chat.ask_remove(&row),
        ("keep", ..) => chat.keep(&row),
        ("remove", _, Some(id)) => spawn_local(chat.remove(id)),
        ("copy-link", _, Some(id)) => {
            if let Some(room_id) = chat.room_id() {
                browser::copy(&format!("{}{}", browser::origin(), permalink(room_id, id)));
            }
        }
        ("retry", Some(key), _) => chat.retry(key),
        ("discard", Some(key), _) => chat.discard(key),
        _ => {}
    }
}

/// Arrow keys walk through the messages.
fn moved(event: &KeyboardEvent) {
    let on_row = target(event).filter(|target| target.matches(".message").unwrap_or(false));
    let next = match (on_row, event.key().as_str()) {
        (Some(row), "ArrowUp") => log::next_row(&row, false),
        (Some(row), "ArrowDown") => log::next_row(&row, true),
        _ => return,
    };
    event.prevent_default();
    if let Some(row) = next {
        let _focused = HtmlElement::focus(&row);
    }
}
