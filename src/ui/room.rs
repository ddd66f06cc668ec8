//! The room screen: bar, message list, composer.

use super::composer::Composer;
use super::controls::{Icon, Mark};
use super::sidebar::MenuButton;
use super::state::Chat;
use super::timeline::MessageList;
use super::{ConnectionBanner, RoomScreen, browser};
use crate::domain::room::RoomKind;
use leptos::prelude::*;

/// A room.
#[component]
pub fn RoomSheet(
    /// The chat.
    chat: Chat,
    /// What the page was rendered with.
    screen: RoomScreen,
) -> impl IntoView {
    let RoomScreen {
        room,
        welcome,
        client_message_id,
        unsent,
        ..
    } = screen;
    let first_room = room.id;
    let name = move || {
        chat.room
            .with(|room| room.as_ref().map(|room| room.name.clone()))
    };
    let icon = move || match chat.room.with(|room| room.as_ref().map(|room| room.kind)) {
        Some(RoomKind::Closed | RoomKind::Direct) => "lock",
        _ => "hash",
    };
    let here = move || {
        chat.room
            .with(|room| room.as_ref().is_some_and(|r| r.id == first_room))
    };
    let beginning = move || !chat.has_older.get();
    let invite = StoredValue::new(welcome);
    let greeting = move || {
        let invite = invite.get_value().filter(|_| here() && beginning());
        invite.map(|invite| view! { <WelcomeCard invite=invite/> })
    };
    let is_quiet = Memo::new(move |_| chat.keys.with(Vec::is_empty));
    let quiet = move || (is_quiet.get() && beginning()).then(|| view! { <Quiet name=name()/> });
    view! {
        <main class="sheet" id="main" tabindex="-1">
            <div class="sheet__top">
                <header class="bar">
                    <MenuButton chat=chat/>
                    <h1 class="bar__title">
                        {move || view! { <Icon name=icon()/> }}
                        <span class="bar__name truncate" dir="auto">{name}</span>
                    </h1>
                    <div class="bar__actions">
                        <a class="icon-button" href="/account/edit" aria-label="People"
                            title="People"><Icon name="users"/></a>
                    </div>
                </header>
                <ConnectionBanner chat=chat/>
            </div>
            <MessageList chat=chat>
                {greeting}
                {quiet}
            </MessageList>
            <Composer chat=chat client_message_id=client_message_id unsent=unsent/>
        </main>
    }
}

/// What the first administrator sees in the first room: how to bring the others in.
#[component]
fn WelcomeCard(invite: String) -> impl IntoView {
    view! {
        <section class="panel panel--pad welcome" aria-label="Welcome">
            <Mark/>
            <div class="stack">
                <h2 class="empty__title">"The fire is lit"</h2>
                <p class="empty__text">
                    "Bring your people in: whoever opens this link can join as a member."
                </p>
                <InviteLine invite=invite/>
            </div>
        </section>
    }
}

/// An invite link with a button that copies it.
#[component]
pub fn InviteLine(
    /// The link.
    invite: String,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    let label = move || {
        if copied.get() {
            "Copied"
        } else {
            "Copy invite link"
        }
    };
    let link = invite.clone();
    let copy = move |_| {
        browser::copy(&link);
        copied.set(true);
    };
    view! {
        <div class="copy-line">
            <code class="truncate">{invite}</code>
            <button type="button" class="icon-button" aria-label=label title=label on:click=copy>
                {move || view! { <Icon name={if copied.get() { "check" } else { "copy" }}/> }}
            </button>
        </div>
    }
}

#[component]
fn Quiet(name: Option<String>) -> impl IntoView {
    let name = name.unwrap_or_else(|| "this room".to_owned());
    view! {
        <div class="empty">
            <Mark class="mark mark--l mark--ash"/>
            <h2 class="empty__title">"Quiet in here"</h2>
            <p class="empty__text">
                {format!("Nobody has said anything in {name}. Yours can be the first words.")}
            </p>
        </div>
    }
}
