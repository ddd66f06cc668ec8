//! One row of the message list: face, name, time, text, and what can be done with it.
//!
//! The element of a row lives as long as the row, through sending, confirmation and edits; only
//! its inside is drawn again, so that whoever has focused it keeps the focus.

use super::composer::{is_composing, sends};
use super::controls::{Avatar, ClockTime, DayName, Icon};
use super::permalink;
use super::state::{Chat, failure, is_own};
use crate::domain::account::Viewer;
use crate::domain::message::Message;
use crate::domain::timeline::{Outgoing, Row, RowContent};
use crate::domain::{MessageId, Timestamp};
use leptos::ev::KeyboardEvent;
use leptos::html::Textarea;
use leptos::prelude::*;
use std::sync::Arc;
use wasm_bindgen_futures::spawn_local;

/// A message, with the divider of its day above it if it is the first.
#[component]
pub fn MessageRow(
    /// The chat.
    chat: Chat,
    /// What it shows.
    row: ArcRwSignal<Row>,
) -> impl IntoView {
    let (of_day, of_class, of_id, inside) = (row.clone(), row.clone(), row.clone(), row.clone());
    let key = row.with_untracked(Row::key);
    let divider = move || {
        let at = of_day.with(|row| row.opens_day.then(|| row.created_at()));
        at.map(|at| view! { <DayDivider at=at/> })
    };
    let class = move || of_class.with(|row| chat.viewer.with_value(|viewer| class_of(row, viewer)));
    let stored = Memo::new(move |_| of_id.with(id_of));
    let newest = move || chat.keys.with(|keys| keys.last() == Some(&key));
    view! {
        {divider}
        <article class=class id=move || stored.get().map(|id| format!("m-{id}"))
            data-id=move || stored.get().map(|id| id.to_string()) data-key=key.to_string()
            aria-label=move || row.with(|row| chat.viewer.with_value(|viewer| label(row, viewer)))
            tabindex=move || if newest() { "0" } else { "-1" }>
            {move || inside.with(|row| inside_of(chat, row))}
        </article>
    }
}

#[component]
fn DayDivider(at: Timestamp) -> impl IntoView {
    view! { <div class="divider" role="separator"><DayName at=at/></div> }
}

fn id_of(row: &Row) -> Option<MessageId> {
    match &row.content {
        RowContent::Sent(message) => Some(message.id),
        RowContent::Outgoing(_) => None,
    }
}

fn class_of(row: &Row, viewer: &Viewer) -> String {
    let mut class = "message".to_owned();
    if row.follow {
        class.push_str(" message--follow");
    }
    if is_own(row, viewer) {
        class.push_str(" message--own");
    }
    if failure(row).is_some() {
        class.push_str(" message--failed");
    } else if matches!(row.content, RowContent::Outgoing(_)) {
        class.push_str(" message--pending");
    }
    class
}

/// The row's name for people who do not see it. Without the time, which only the reader's own
/// browser can put into words; it is in the row.
fn label(row: &Row, viewer: &Viewer) -> String {
    match &row.content {
        RowContent::Sent(message) => format!("Message from {}", message.creator.name),
        RowContent::Outgoing(_) => format!("Message from {}", viewer.name),
    }
}

fn inside_of(chat: Chat, row: &Row) -> AnyView {
    match &row.content {
        RowContent::Sent(message) => sent(chat, row, message).into_any(),
        RowContent::Outgoing(outgoing) => being_sent(chat, row, outgoing).into_any(),
    }
}

fn sent(chat: Chat, row: &Row, message: &Arc<Message>) -> impl IntoView + use<> {
    let may_change =
        chat.viewer.with_value(|viewer| message.creator.id == viewer.id || viewer.may_administer());
    let (id, at) = (message.id, message.created_at);
    let link = permalink(message.room_id, id);
    let head = if row.follow {
        view! {
            <a class="message__time message__gutter" href=link aria-label="Link to this message">
                <ClockTime at=at short=true/>
            </a>
        }
        .into_any()
    } else {
        let (author, name) = (message.creator.id, message.creator.name.clone());
        view! {
            <Avatar id=author name=name.clone() class="avatar message__face"/>
            <header class="message__head">
                <a class="message__author truncate" dir="auto" href=format!("/users/{author}")>
                    {name}
                </a>
                <a class="message__time" href=link><ClockTime at=at/></a>
            </header>
        }
        .into_any()
    };
    let shown = Arc::clone(message);
    let text = move || {
        if chat.editing.with(|editing| *editing == Some(id)) {
            view! { <EditForm chat=chat id=id/> }.into_any()
        } else {
            text_of(&shown).into_any()
        }
    };
    let edit_path = format!("/rooms/{}/messages/{id}/edit", message.room_id);
    view! {
        {head}
        <div class="message__main">
            {text}
            {may_change.then(confirmation)}
        </div>
        <div class="message__tools" role="group" aria-label="Message actions">
            <button type="button" class="icon-button icon-button--s" data-action="copy-link"
                aria-label="Copy link" title="Copy link"><Icon name="link"/></button>
            {may_change.then(|| view! {
                <a class="icon-button icon-button--s" data-action="edit" href=edit_path
                    aria-label="Edit message" title="Edit message"><Icon name="edit"/></a>
                <button type="button" class="icon-button icon-button--s icon-button--danger"
                    data-action="ask-remove" aria-label="Delete message" title="Delete message">
                    <Icon name="trash"/>
                </button>
            })}
        </div>
    }
}

/// The text as the server sanitised it; never touched again.
fn text_of(message: &Message) -> impl IntoView + use<> {
    let edited = message.edited_at.is_some();
    view! {
        <div class="message__text rich" dir="auto" inner_html=message.body_html.clone()></div>
        {edited.then(|| view! { <span class="message__note message__edited">"(edited)"</span> })}
    }
}

fn confirmation() -> impl IntoView {
    view! {
        <p class="message__failure message__confirm" hidden>
            <span>"Delete this message for everybody?"</span>
            <button type="button" class="link-button" data-action="remove">"Delete"</button>
            <button type="button" class="link-button" data-action="keep">"Keep"</button>
        </p>
    }
}

fn being_sent(chat: Chat, row: &Row, outgoing: &Outgoing) -> impl IntoView + use<> {
    let viewer = chat.viewer.get_value();
    let at = outgoing.created_at;
    let head = (!row.follow).then(|| {
        view! {
            <Avatar id=viewer.id name=viewer.name.clone() class="avatar message__face"/>
            <header class="message__head">
                <span class="message__author truncate" dir="auto">{viewer.name.clone()}</span>
                <span class="message__time"><ClockTime at=at/></span>
            </header>
        }
    });
    let gutter = row.follow.then(|| {
        view! { <span class="message__time message__gutter"><ClockTime at=at short=true/></span> }
    });
    let note = match failure(row).map(str::to_owned) {
        None => view! { <p class="message__note">"Sending…"</p> }.into_any(),
        Some(reason) => view! {
            <p class="message__failure" role="alert">
                <span><Icon name="warning" class="icon icon--s"/>"Not sent. "{reason}</span>
                <button type="button" class="link-button" data-action="retry">"Try again"</button>
                <button type="button" class="link-button" data-action="discard">"Delete"</button>
            </p>
        }
        .into_any(),
    };
    view! {
        {head} {gutter}
        <div class="message__main">
            <div class="message__text rich" dir="auto">
                <p class="as-typed">{outgoing.body.clone()}</p>
            </div>
            {note}
        </div>
    }
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
            if chat.edit(id, &text).await {
                chat.editing.set(None);
            }
            busy.try_set(false);
        });
    };
    let keys = move |event: KeyboardEvent| {
        if sends(&event) {
            event.prevent_default();
            save();
        } else if event.key() == "Escape" && !is_composing(&event) {
            chat.editing.set(None);
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
                    on:click=move |_| chat.editing.set(None)>"Cancel"</button>
            </div>
        </form>
    }
}
