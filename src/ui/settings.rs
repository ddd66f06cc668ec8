//! The quieter screens beside the same sidebar: a new room, people and invite link, a person, a
//! message's text for browsers without scripts.

use super::controls::{Avatar, Field, FieldKind, Icon, Mark};
use super::room::InviteLine;
use super::sidebar::MenuButton;
use super::state::Chat;
use super::{ConnectionBanner, Screen, Theme, browser};
use crate::domain::account::{Role, User};
use crate::domain::error::Error;
use crate::domain::message::Message;
use crate::domain::room::MAX_ROOM_NAME;
use leptos::prelude::*;

/// Any screen that is not a room.
#[component]
pub fn SettingsSheet(
    /// The chat.
    chat: Chat,
    /// What to show.
    screen: Screen,
) -> impl IntoView {
    let title = match &screen {
        Screen::NewRoom { .. } => "New room".to_owned(),
        Screen::EditMessage { .. } => "Edit message".to_owned(),
        Screen::Account { .. } => "People".to_owned(),
        Screen::Person { user, .. } => user.name.clone(),
        Screen::NoRooms | Screen::Room(_) => chat.account_name.get_value(),
    };
    let content = match screen {
        Screen::NewRoom { name, problem } => {
            view! { <NewRoom name=name problem=problem/> }.into_any()
        }
        Screen::EditMessage { message, problem } => {
            view! { <EditMessage message=*message problem=problem/> }.into_any()
        }
        Screen::Account { invite, people } => {
            view! { <Account chat=chat invite=invite people=people/> }.into_any()
        }
        Screen::Person { user, theme } => {
            view! { <Person chat=chat user=user theme=theme/> }.into_any()
        }
        Screen::NoRooms | Screen::Room(_) => view! { <NoRooms/> }.into_any(),
    };
    view! {
        <main class="sheet" id="main" tabindex="-1">
            <div class="sheet__top">
                <header class="bar">
                    <MenuButton chat=chat/>
                    <h1 class="bar__title">
                        <span class="bar__name truncate" dir="auto">{title}</span>
                    </h1>
                    <div class="bar__actions">
                        <a class="button button--s button--plain" href="/">
                            <Icon name="chevron-left" class="icon icon--s icon--flip"/>
                            "Back to the chat"
                        </a>
                    </div>
                </header>
                <ConnectionBanner chat=chat/>
            </div>
            <div class="sheet__main" tabindex="0" role="region" aria-label="Content">
                <div class="page">{content}</div>
            </div>
        </main>
    }
}

#[component]
fn NoRooms() -> impl IntoView {
    view! {
        <section class="panel" aria-label="No rooms yet">
            <div class="empty">
                <Mark/>
                <h2 class="empty__title">"No rooms yet"</h2>
                <p class="empty__text">"Rooms gather around a subject. Make the first one."</p>
                <div class="button-row">
                    <a class="button button--ember" href="/rooms/new">
                        <Icon name="plus" class="icon icon--s"/>"New room"
                    </a>
                </div>
            </div>
        </section>
    }
}

#[component]
fn NewRoom(name: String, problem: Option<String>) -> impl IntoView {
    let kind = FieldKind {
        name: "name",
        label: "Name",
        input: "text",
        autocomplete: "off",
        hint: "What do people talk about there? Everybody can read and join in.",
        longest: u32::try_from(MAX_ROOM_NAME).unwrap_or(u32::MAX),
    };
    let error = problem.map(|sentence| Error::invalid("name", &sentence));
    view! {
        <form class="form" action="/rooms" method="post">
            <Field kind=kind value=name error=error/>
            <div class="button-row">
                <button class="button button--ember" type="submit">"Create room"</button>
                <a class="button button--plain" href="/">"Cancel"</a>
            </div>
        </form>
    }
}

#[component]
fn EditMessage(message: Message, problem: Option<String>) -> impl IntoView {
    let base = format!("/rooms/{}/messages/{}", message.room_id, message.id);
    let wrong = problem.is_some();
    view! {
        <form class="form" action=format!("{base}/edit") method="post">
            <div class="field">
                <label class="field__label" for="body">"Text"</label>
                <textarea class="input" id="body" name="body" dir="auto"
                    aria-invalid=wrong.then_some("true")>{message.body}</textarea>
                {problem.map(|sentence| view! { <p class="field__error">{sentence}</p> })}
            </div>
            <div class="button-row">
                <button class="button button--primary" type="submit">"Save"</button>
                <a class="button button--plain" href=format!("/rooms/{}", message.room_id)>
                    "Cancel"
                </a>
            </div>
        </form>
        <form class="form" action=format!("{base}/delete") method="post">
            <div class="button-row">
                <button class="button button--danger" type="submit">"Delete this message"</button>
            </div>
        </form>
    }
}

#[component]
fn Account(chat: Chat, invite: String, people: Vec<User>) -> impl IntoView {
    let count = match people.len() {
        1 => "Just you so far. Send somebody the link below.".to_owned(),
        many => format!("{many} people."),
    };
    let rows = people
        .into_iter()
        .map(|user| view! { <PersonRow chat=chat user=user/> });
    view! {
        <section class="section" aria-labelledby="people-title">
            <div class="section__head"><div>
                <h2 class="section__title" id="people-title">"Everybody"</h2>
                <p class="section__note">{count}</p>
            </div></div>
            <ul class="panel rows">{rows.collect_view()}</ul>
        </section>
        <section class="section" aria-labelledby="invite-title">
            <div class="section__head"><div>
                <h2 class="section__title" id="invite-title">"Invite people"</h2>
                <p class="section__note">"Anyone with this link can join as a member."</p>
            </div></div>
            <div class="panel panel--pad"><InviteLine invite=invite/></div>
        </section>
    }
}

#[component]
fn PersonRow(chat: Chat, user: User) -> impl IntoView {
    let id = user.id;
    let is_you = chat.viewer.with_value(|viewer| viewer.id == id);
    view! {
        <li class="row">
            <Face chat=chat user=user.clone() class="avatar"/>
            <span class="row__main"><span class="row__name">
                <a class="row__link" dir="auto" href=format!("/users/{id}")>{user.name.clone()}</a>
                <RoleTag role=user.role/>
                {is_you.then(|| view! { <span class="tag">"You"</span> })}
            </span></span>
        </li>
    }
}

/// A face whose presence follows the live state.
#[component]
fn Face(chat: Chat, user: User, class: &'static str) -> impl IntoView {
    let User { id, name, .. } = user;
    let online = Memo::new(move |_| {
        chat.sidebar
            .with(|sidebar| sidebar.online().iter().any(|user| user.id == id))
    });
    move || {
        view! { <Avatar id=id name=name.clone() class=class online=online.get()/> }
    }
}

#[component]
fn RoleTag(role: Role) -> impl IntoView {
    (role == Role::Administrator).then(|| {
        view! { <span class="tag"><Icon name="crown"/>"Administrator"</span> }
    })
}

#[component]
fn Person(chat: Chat, user: User, theme: Option<Theme>) -> impl IntoView {
    let own = theme.map(|theme| {
        let address = chat
            .viewer
            .with_value(|viewer| viewer.email_address.clone());
        view! { <OwnSettings address=address theme=theme/> }
    });
    view! {
        <section class="panel" aria-label="Profile">
            <div class="row">
                <Face chat=chat user=user.clone() class="avatar avatar--xl"/>
                <span class="row__main">
                    <span class="row__name"><span dir="auto">{user.name.clone()}</span>
                        <RoleTag role=user.role/></span>
                    <span class="row__note">
                        "Here since "
                        <time datetime=user.created_at.to_string()>{user.created_at.utc_date()}</time>
                    </span>
                </span>
            </div>
        </section>
        {own}
    }
}

/// What only you see on your own page: address, theme, the way out.
#[component]
fn OwnSettings(address: String, theme: Theme) -> impl IntoView {
    let choices = Theme::ALL.map(|choice| {
        let (icon, label) = match choice {
            Theme::System => ("monitor", "System"),
            Theme::Light => ("sun", "Light"),
            Theme::Dark => ("moon", "Dark"),
        };
        let choose = move |_| {
            browser::set_cookie("theme", choice.as_str());
            browser::set_root_attribute("data-theme", choice.attribute());
        };
        view! {
            <label>
                <Icon name=icon class="icon icon--s"/>{label}
                <input type="radio" name="theme" value=choice.as_str()
                    checked={choice == theme} on:change=choose/>
            </label>
        }
    });
    view! {
        <section class="section" aria-labelledby="you-title">
            <div class="section__head"><h2 class="section__title" id="you-title">"Yours"</h2></div>
            <div class="panel rows">
                <div class="row">
                    <Icon name="at"/>
                    <span class="row__main"><span class="row__name">"E-mail"</span>
                        <span class="row__note">{address}</span></span>
                </div>
                <form class="row" action="/theme" method="post">
                    <Icon name="sun"/>
                    <span class="row__main"><span class="row__name">"Theme"</span>
                        <span class="row__note">"Follows your system unless you choose."</span></span>
                    <span class="row__end">
                        <fieldset class="segmented">
                            <legend class="visually-hidden">"Theme"</legend>
                            {choices.collect_view()}
                        </fieldset>
                        <button class="button button--s without-scripts" type="submit">"Use"</button>
                    </span>
                </form>
                <form class="row" action="/session/end" method="post">
                    <Icon name="logout"/>
                    <span class="row__main"><span class="row__name">"Sign out"</span>
                        <span class="row__note">"Of this browser only."</span></span>
                    <span class="row__end">
                        <button class="button button--danger" type="submit">"Sign out"</button>
                    </span>
                </form>
            </div>
        </section>
    }
}
