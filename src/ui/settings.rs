//! The quieter screens beside the same sidebar: people and invite link, a person, a
//! message's text for browsers without scripts.
//!
//! Plain HTML with forms, rendered by the server only. The few things a script adds to them
//! (copying a link, switching the theme at once) are found by their `data-` attributes in
//! `ui::room`, so none of this is paid for in the browser.

use super::Theme;
use super::controls::{Avatar, Icon, Mark};
use crate::domain::UserId;
use crate::domain::account::{Role, User, Viewer};
use crate::domain::message::Message;
use leptos::prelude::*;

/// There is no room to show.
#[component]
pub fn NoRooms() -> impl IntoView {
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

/// A message's text.
#[component]
pub fn EditMessageForm(
    /// The message.
    message: Message,
    /// What is wrong with the new text.
    problem: Option<String>,
) -> impl IntoView {
    let base = format!("/rooms/{}/messages/{}", message.room_id, message.id);
    let wrong = problem.is_some();
    view! {
        <form class="form" action=format!("{base}/edit") method="post">
            <div class="field">
                <label class="field__label" for="body">"Text"</label>
                <textarea class="input" id="body" name="body" dir="auto"
                    aria-invalid=wrong.then_some("true")
                    aria-describedby=wrong.then_some("body-note")>{message.body}</textarea>
                {problem.map(|sentence| {
                    view! { <p class="field__error" id="body-note">{sentence}</p> }
                })}
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

/// The people of the account and its invite link.
#[component]
pub fn People(
    /// Who is looking.
    viewer: UserId,
    /// The invite link.
    invite: String,
    /// The people.
    people: Vec<User>,
    /// Who of them is online.
    online: Vec<UserId>,
) -> impl IntoView {
    let count = match people.len() {
        1 => "Just you so far. Send somebody the link below.".to_owned(),
        many => format!("{many} people."),
    };
    let rows = people.into_iter().map(|user| {
        let online = online.contains(&user.id);
        view! { <PersonRow you={user.id == viewer} user=user online=online/> }
    });
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

/// An invite link with a button that copies it.
#[component]
pub fn InviteLine(
    /// The link.
    invite: String,
) -> impl IntoView {
    view! {
        <div class="copy-line">
            <code class="truncate">{invite.clone()}</code>
            <button type="button" class="icon-button with-scripts" aria-label="Copy invite link"
                title="Copy invite link" data-copy=invite><Icon name="copy"/></button>
        </div>
    }
}

#[component]
fn PersonRow(user: User, you: bool, online: bool) -> impl IntoView {
    view! {
        <li class="row">
            <Avatar id=user.id name=user.name.clone() online=online/>
            <span class="row__main"><span class="row__name">
                <a class="row__link" dir="auto" href=format!("/users/{}", user.id)>
                    {user.name.clone()}
                </a>
                <RoleTag role=user.role/>
                {you.then(|| view! { <span class="tag">"You"</span> })}
                {online.then(|| view! { <span class="visually-hidden">", online"</span> })}
            </span></span>
        </li>
    }
}

#[component]
fn RoleTag(role: Role) -> impl IntoView {
    (role == Role::Administrator).then(|| {
        view! { <span class="tag"><Icon name="crown"/>"Administrator"</span> }
    })
}

/// A person.
#[component]
pub fn Person(
    /// Who.
    user: User,
    /// Whether they are online.
    online: bool,
) -> impl IntoView {
    view! {
        <section class="panel" aria-label="Profile">
            <div class="row">
                <Avatar id=user.id name=user.name.clone() class="avatar avatar--xl" online=online/>
                <span class="row__main">
                    <span class="row__name">
                        <span dir="auto">{user.name.clone()}</span><RoleTag role=user.role/>
                    </span>
                    <span class="row__note">
                        {if online { "Online now. " } else { "" }} "Here since "
                        <time datetime=user.created_at.to_string()>
                            {user.created_at.utc_date()}
                        </time>
                    </span>
                </span>
            </div>
        </section>
    }
}

/// What only you see on your own page: address, theme, the way out.
#[component]
pub fn OwnSettings(
    /// You.
    viewer: Viewer,
    /// The theme chosen in this browser.
    theme: Theme,
) -> impl IntoView {
    let choices = Theme::ALL.map(|choice| {
        let (icon, label) = match choice {
            Theme::System => ("monitor", "System"),
            Theme::Light => ("sun", "Light"),
            Theme::Dark => ("moon", "Dark"),
        };
        view! {
            <label>
                <Icon name=icon class="icon icon--s"/>{label}
                <input type="radio" name="theme" value=choice.as_str() checked={choice == theme}/>
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
                        <span class="row__note">{viewer.email_address}</span></span>
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

/// What the first administrator sees in the first room: how to bring the others in.
#[component]
pub fn WelcomeCard(
    /// The invite link.
    invite: String,
) -> impl IntoView {
    view! {
        <Mark/>
        <div class="stack">
            <h2 class="empty__title">"The fire is lit"</h2>
            <p class="empty__text">
                "Bring your people in: whoever opens this link can join as a member."
            </p>
            <InviteLine invite=invite/>
        </div>
    }
}
