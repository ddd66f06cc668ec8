//! What can be done with a message: copy its link, edit it, delete it.
//!
//! The tools exist once. They wait in a parking place and are lent to the row that the pointer or
//! the keyboard is on, so that a list of three hundred messages does not carry three hundred
//! toolbars. The same goes for the question before deleting and for the edit form. Browsers
//! without scripts never see any of this; there, one's own messages carry a link to a form.

use super::browser;
use super::composer::{is_composing, sends};
use super::controls::Icon;
use super::log;
use super::message;
use super::state::Chat;
use crate::domain::MessageId;
use crate::domain::row::Row;
use leptos::ev::KeyboardEvent;
use leptos::html::Textarea;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, HtmlElement};

/// The parking place with everything that is lent to rows.
#[component]
pub fn RowTools(
    /// The chat.
    chat: Chat,
) -> impl IntoView {
    let form = move || chat.editing.get().map(|id| view! { <EditForm chat=chat id=id/> });
    let own = move || {
        chat.may_change.get().then(|| {
            view! {
                <button type="button" class="icon-button icon-button--s" data-action="edit"
                    aria-label="Edit message" title="Edit message"><Icon name="edit"/></button>
                <button type="button" class="icon-button icon-button--s icon-button--danger"
                    data-action="ask-remove" aria-label="Delete message" title="Delete message">
                    <Icon name="trash"/>
                </button>
            }
        })
    };
    view! {
        <div id=log::PARKING hidden>
            <div class="message__tools" id="tools" role="group" aria-label="Message actions">
                <button type="button" class="icon-button icon-button--s" data-action="copy-link"
                    aria-label="Copy link" title="Copy link"><Icon name="link"/></button>
                {own}
            </div>
            <p class="message__failure message__confirm" id="confirm">
                <span>"Delete this message for everybody?"</span>
                <button type="button" class="link-button" data-action="remove">"Delete"</button>
                <button type="button" class="link-button" data-action="keep">"Keep"</button>
            </p>
            <div class="message__edit" id="edit">{form}</div>
        </div>
    }
}

impl Chat {
    /// The pointer or the keyboard has come to a row: it gets the tools, unless they are in use
    /// elsewhere.
    pub fn approach(self, row: &HtmlElement) {
        let focused = browser::focused();
        let busy = browser::element("tools").zip(focused).is_some_and(|(tools, focused)| {
            tools.contains(Some(&focused)) && !row.contains(Some(&focused))
        });
        let shown = self.row_at(row).filter(|row| message::id_of(row).is_some());
        match shown {
            Some(shown) if !busy => {
                let may = self.viewer.with_value(|viewer| message::may_change(&shown, viewer));
                if self.may_change.get_untracked() != may {
                    self.may_change.set(may);
                }
                log::lend("tools", row);
            }
            _ => {}
        }
    }

    /// Opens the edit form in a message's row.
    pub fn start_editing(self, id: MessageId) {
        let (Some(row), Some(body)) = (log::row_of_message(id), self.body_of(id)) else {
            return;
        };
        self.stop_editing();
        let _marked = row.set_attribute("data-editing", "");
        log::lend("edit", &row);
        self.edited_text.set(body);
        self.editing.set(Some(id));
    }

    /// Closes the edit form; whoever was in it goes on with the message.
    pub fn stop_editing(self) {
        let Some(id) = self.editing.get_untracked() else {
            return;
        };
        self.editing.set(None);
        if let Some(row) = log::row_of_message(id) {
            let _unmarked = row.remove_attribute("data-editing");
            log::focus(&row);
        }
        log::park("edit");
    }

    /// Asks before deleting.
    pub fn ask_remove(self, row: &HtmlElement) {
        log::lend("confirm", row);
        if let Some(button) = first_button("confirm") {
            log::focus(&button);
        }
    }

    /// The answer was no.
    pub fn keep(self, row: &HtmlElement) {
        log::focus(row);
        log::park("confirm");
    }

    fn row_at(self, row: &Element) -> Option<Row> {
        let key = row.get_attribute("data-key")?;
        self.rows.with_value(|rows| rows.iter().find(|row| row.key().to_string() == key).cloned())
    }
}

fn first_button(id: &str) -> Option<HtmlElement> {
    browser::element(id)?.query_selector("button").ok().flatten()?.dyn_into().ok()
}

/// The plain form in which a message is edited in place.
#[component]
fn EditForm(chat: Chat, id: MessageId) -> impl IntoView {
    let field = NodeRef::<Textarea>::new();
    let busy = RwSignal::new(false);
    let text = chat.edited_text.get_untracked();
    Effect::new(move || {
        if let Some(field) = field.get() {
            let _focused = field.focus();
        }
    });
    let save = move || {
        if busy.get_untracked() {
            return;
        }
        let text = chat.edited_text.get_untracked();
        busy.set(true);
        spawn_local(async move {
            if chat.edit(id, &text).await && chat.editing.get_untracked() == Some(id) {
                chat.stop_editing();
            }
            busy.try_set(false);
        });
    };
    let keys = move |event: KeyboardEvent| {
        if sends(&event) {
            event.prevent_default();
            save();
        } else if event.key() == "Escape" && !is_composing(&event) {
            chat.stop_editing();
        }
    };
    let input = move |_| {
        if let Some(field) = field.get_untracked() {
            chat.edited_text.set(field.value());
        }
    };
    view! {
        <form class="edit-form" aria-label="Edit message" on:submit=move |event| {
            event.prevent_default();
            save();
        }>
            <textarea class="input" name="body" aria-label="Message text" node_ref=field
                on:input=input on:keydown=keys>{text}</textarea>
            <div class="button-row">
                <button type="submit" class="button button--s button--primary"
                    disabled=move || busy.get()>"Save"</button>
                <button type="button" class="button button--s button--plain"
                    on:click=move |_| chat.stop_editing()>"Cancel"</button>
            </div>
        </form>
    }
}
