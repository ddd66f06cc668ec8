//! The message list: rows, loading at both ends, and one listener for all of their buttons.

use super::browser;
use super::message::MessageRow;
use super::permalink;
use super::scroll;
use super::state::Chat;
use crate::domain::MessageId;
use crate::domain::message::ClientMessageId;
use leptos::ev::{KeyboardEvent, MouseEvent};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, HtmlElement};

/// The scrolling history of the room on screen. Children stand above the first message.
#[component]
pub fn MessageList(
    /// The chat.
    chat: Chat,
    /// What stands above the messages.
    children: Children,
) -> impl IntoView {
    let label = move || {
        let name = chat.room.with(|room| room.as_ref().map(|room| room.name.clone()));
        format!("Messages in {}", name.unwrap_or_default())
    };
    let busy = move || if chat.loading.get() { "true" } else { "false" };
    let keys = move || chat.keys.get();
    let row = move |key: ClientMessageId| {
        chat.row(key).map(|row| view! { <MessageRow chat=chat row=row/> })
    };
    view! {
        <div class="sheet__main sheet__main--end" id=scroll::HISTORY tabindex="0" role="region"
            aria-label="Message history" on:scroll=move |_| scrolled(chat)>
            <h2 class="visually-hidden">"Messages"</h2>
            <div class="log" role="log" aria-label=label aria-live="polite" aria-busy=busy
                on:click=move |event| clicked(chat, &event)
                on:keydown=move |event| moved(&event)>
                {children()}
                <For each=keys key=|key| *key let:key>{row(key)}</For>
            </div>
        </div>
    }
}

fn scrolled(chat: Chat) {
    let place = scroll::place();
    chat.scrolled(place.near_end);
    if place.near_start && chat.has_older.get_untracked() {
        spawn_local(chat.load_older());
    } else if place.approaches_end && chat.has_newer.get_untracked() {
        spawn_local(chat.load_newer());
    }
}

/// One listener serves every row: `data-action` says what, the row's data says which.
fn clicked(chat: Chat, event: &MouseEvent) {
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let Some(button) = target.and_then(|target| closest(&target, "[data-action]")) else {
        return;
    };
    let Some(row) = closest(&button, ".message") else {
        return;
    };
    let action = button.get_attribute("data-action").unwrap_or_default();
    let key = row.get_attribute("data-key").and_then(|key| ClientMessageId::parse(&key).ok());
    let id = row.get_attribute("data-id").and_then(|id| id.parse().ok()).map(MessageId::new);
    match (action.as_str(), key, id) {
        ("edit", _, Some(id)) => {
            event.prevent_default();
            chat.edited_text.set(chat.body_of(id).unwrap_or_default());
            chat.editing.set(Some(id));
        }
        ("ask-remove", _, Some(_)) => set_asking(&row, true),
        ("keep", ..) => set_asking(&row, false),
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

/// Asking before deleting changes nothing but what is shown, so it lives in the row itself.
fn set_asking(row: &Element, asking: bool) {
    if let Ok(Some(question)) = row.query_selector(".message__confirm")
        && let Ok(question) = question.dyn_into::<HtmlElement>()
    {
        question.set_hidden(!asking);
        let focus = if asking { question.query_selector("button").ok().flatten() } else { None };
        let focus = focus.and_then(|button| button.dyn_into::<HtmlElement>().ok());
        let row = row.clone().dyn_into::<HtmlElement>().ok();
        if let Some(target) = focus.or(row) {
            // An element that cannot take the focus leaves it where it is.
            let _focused = target.focus();
        }
    }
}

/// Arrow keys walk through the messages.
fn moved(event: &KeyboardEvent) {
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let Some(row) = target.filter(|target| target.matches(".message").unwrap_or(false)) else {
        return;
    };
    let mut next = Some(row);
    loop {
        next = match event.key().as_str() {
            "ArrowUp" => next.and_then(|row| row.previous_element_sibling()),
            "ArrowDown" => next.and_then(|row| row.next_element_sibling()),
            _ => return,
        };
        // Dividers stand between the rows.
        match &next {
            Some(row) if !row.matches(".message").unwrap_or(true) => {}
            _ => break,
        }
    }
    if let Some(row) = next.and_then(|row| row.dyn_into::<HtmlElement>().ok()) {
        event.prevent_default();
        let _focused = row.focus();
    }
}

fn closest(element: &Element, selector: &str) -> Option<Element> {
    element.closest(selector).ok().flatten()
}
