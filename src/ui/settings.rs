//! The quieter screens beside the same sidebar: invite links, what administrators
//! choose for everybody, a message's text for browsers without scripts. Those about people are in
//! [`super::people`].
//!
//! Plain HTML with forms, rendered by the server only. The few things a script adds to them
//! (copying a link, switching the theme at once) are found by their `data-` attributes in
//! `ui::room`, so none of this is paid for in the browser.

use super::Theme;
use super::controls::{Avatar, Field, FieldKind, Icon, Mark};
use super::people::{AccountPage, account_tabs, act, moment};
use crate::domain::account::{Invite, InviteTerms, RoomCreators, Viewer};
use crate::domain::composing::QUICK_BOOSTS;
use crate::domain::error::Error;
use crate::domain::message::{Message, Quote};
use crate::domain::room::{Activity, ActivityKind};
use crate::domain::{RoomId, Timestamp};
use leptos::prelude::*;
use std::collections::HashMap;

const ACCOUNT: FieldKind = FieldKind {
    name: "account_name",
    label: "Name",
    input: "text",
    autocomplete: "off",
    hint: "Shown in the sidebar and on the sign-in page.",
    longest: 60,
};

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

/// What can be added to a message, and the way to answer it, for browsers without scripts.
#[component]
pub fn ReactForm(
    /// The message.
    message: Message,
    /// What was typed, and what is wrong with it.
    problem: Option<(String, String)>,
) -> impl IntoView {
    let base = format!("/rooms/{}/messages/{}/boosts", message.room_id, message.id);
    let place = format!("/rooms/{}/@{}", message.room_id, message.id);
    let quote = Quote::new(message.id, message.creator, &message.body);
    let quick = QUICK_BOOSTS.map(|(emoji, name)| {
        view! {
            <button class="icon-button" name="content" value=emoji title=name
                aria-label=format!("React with {name}")>{emoji}</button>
        }
    });
    let (typed, problem) = problem.unzip();
    let wrong = problem.is_some();
    view! {
        <a class="reply-ref" href=place.clone()>
            <span class="reply-ref__who" dir="auto">{quote.creator.name.clone()}</span>
            <span class="reply-ref__what truncate" dir="auto">{quote.shown().to_owned()}</span>
        </a>
        <div class="button-row">
            <a class="button" href=format!("{place}?reply=1#body")>"Reply"</a>
        </div>
        <form class="form" action=base.clone() method="post">
            <div class="button-row">{quick.collect_view()}</div>
        </form>
        <form class="form" action=base method="post">
            <div class="field">
                <label class="field__label" for="content">"An emoji or a few words"</label>
                <input class="input" id="content" name="content" value=typed autocomplete="off"
                    dir="auto" aria-invalid=wrong.then_some("true")
                    aria-describedby=wrong.then_some("content-note")/>
                {problem.map(|sentence| {
                    view! { <p class="field__error" id="content-note">{sentence}</p> }
                })}
            </div>
            <div class="button-row">
                <button class="button button--primary" type="submit">"Add"</button>
                <a class="button button--plain" href=place>"Back"</a>
            </div>
        </form>
    }
}

/// What concerns the viewer, newest first.
#[component]
pub fn ActivityList(
    /// What happened.
    activity: Vec<Activity>,
    /// What the viewer's rooms are called.
    rooms: HashMap<RoomId, String>,
    /// Whether there is more below.
    has_more: bool,
) -> impl IntoView {
    if activity.is_empty() {
        return view! {
            <div class="empty">
                <Mark/>
                <h2 class="empty__title">"Nothing yet"</h2>
                <p class="empty__text">
                    "Mentions of you, replies and reactions to what you say gather here."
                </p>
            </div>
        }
        .into_any();
    }
    let seen = activity.first().map(|one| one.seq.get().to_string());
    let older = activity.last().filter(|_| has_more);
    let older = older.map(|last| format!("/activity?before={}", last.seq.get()));
    let unread = activity.iter().any(|one| one.unread);
    let rows = activity.into_iter().map(|one| {
        let what = match (one.kind, one.content) {
            (ActivityKind::Mention, _) => " mentioned you in ".to_owned(),
            (ActivityKind::Reply, _) => " replied to you in ".to_owned(),
            (ActivityKind::Boost, content) => {
                format!(" added {} to your message in ", content.unwrap_or_default())
            }
        };
        let room = rooms.get(&one.room_id).cloned().unwrap_or_default();
        let (room_id, id) = (one.room_id, one.message_id);
        view! {
            <li class="row">
                <Avatar id=one.user.id name=one.user.name.clone() class="avatar avatar--s"/>
                <a class="row__main" href=format!("/rooms/{room_id}/@{id}#m-{id}")>
                    <span class="row__name">
                        <bdi>{one.user.name}</bdi>{what}<bdi>{room}</bdi>
                    </span>
                    <span class="row__note truncate" dir="auto">{one.excerpt}</span>
                </a>
                <span class="row__end">
                    {one.unread.then(|| view! {
                        <span class="tag tag--ok">"New"</span>
                    })}
                    <span class="row__note">{moment(one.created_at)}</span>
                </span>
            </li>
        }
    });
    view! {
        <ul class="panel rows" id="activity" data-seen=seen.clone()>{rows.collect_view()}</ul>
        <div class="button-row">
            {unread.then(|| view! {
                <form class="without-scripts" action="/activity/seen" method="post">
                    <input type="hidden" name="seen" value=seen/>
                    <button class="button" type="submit">"Mark as seen"</button>
                </form>
            })}
            {older.map(|older| view! { <a class="button button--plain" href=older>"Older"</a> })}
        </div>
    }
    .into_any()
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
            <button type="button" class="icon-button with-scripts" aria-label="Copy link"
                title="Copy link" data-copy=invite><Icon name="copy"/></button>
        </div>
    }
}

/// What only you see on your own page: theme, the way out.
#[component]
pub fn OwnSettings(
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
        <section class="section" aria-labelledby="here-title">
            <div class="section__head">
                <h2 class="section__title" id="here-title">"This browser"</h2>
            </div>
            <div class="panel rows">
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
                <div class="row with-scripts">
                    <Icon name="keyboard"/>
                    <span class="row__main"><span class="row__name">"Keyboard"</span>
                        <span class="row__note">"Everything can be done without a mouse."</span></span>
                    <span class="row__end">
                        <button class="button button--s" type="button" data-shortcuts>"Shortcuts"</button>
                    </span>
                </div>
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

/// A link to pass on, also as a code for a camera.
#[component]
pub fn LinkCard(
    /// The link.
    link: String,
    /// Its QR code, as HTML.
    qr: String,
    /// What it does.
    note: &'static str,
    /// Where to go afterwards.
    back: String,
) -> impl IntoView {
    view! {
        <div class="panel panel--pad split">
            <div class="stack">
                <InviteLine invite=link/>
                <p class="small muted">{note}</p>
                <div class="button-row"><a class="button button--s" href=back>"Done"</a></div>
            </div>
            <div inner_html=qr></div>
        </div>
    }
}

/// The invite links.
#[component]
pub fn Invites(
    /// Who is looking.
    viewer: Viewer,
    /// The links with their addresses.
    invites: Vec<(Invite, String)>,
    /// The time, to tell which have ended.
    now: Timestamp,
) -> impl IntoView {
    let rows = invites.into_iter().map(|(invite, link)| {
        let may_end = viewer.may_administer() || invite.creator.id == viewer.id;
        let state = match (&invite, invite.is_open(now)) {
            (_, true) => ("Open", "tag tag--ok"),
            (Invite { revoked_at: Some(_), .. }, _) => ("Ended", "tag"),
            (Invite { expires_at: Some(end), .. }, _) if *end <= now => ("Expired", "tag"),
            _ => ("Used up", "tag"),
        };
        let uses = match invite.max_uses {
            Some(most) => format!(", used {} of {most} times", invite.uses),
            None => format!(", used {} times", invite.uses),
        };
        let open = invite.is_open(now);
        let ends = invite.expires_at.map(|end| view! { ", until "{moment(end)} });
        let base = format!("/account/invites/{}", invite.id);
        let tools = open.then(|| {
            view! {
                <span class="row__end button-row">
                    <a class="button button--s" href=base.clone()>"QR code"</a>
                    {may_end.then(|| act(
                        format!("{base}/end"), "End", "button button--s button--danger",
                    ))}
                </span>
            }
        });
        view! {
            <li class=if open { "row" } else { "row row--faded" }>
                <span class="row__main">
                    <InviteLine invite=link/>
                    <span class="row__note">
                        <span class=state.1>{state.0}</span>" By "
                        <span dir="auto">{invite.creator.name}</span>{uses}{ends}
                    </span>
                </span>
                {tools}
            </li>
        }
    });
    let days = InviteTerms::DAYS.map(|days| match days {
        0 => (days, "Never ends".to_owned()),
        1 => (days, "1 day".to_owned()),
        _ => (days, format!("{days} days")),
    });
    let uses = InviteTerms::USES.map(|uses| match uses {
        0 => (uses, "As many as come".to_owned()),
        1 => (uses, "One person".to_owned()),
        _ => (uses, format!("{uses} people")),
    });
    let choice = |name: &'static str, label: &'static str, choices: [(u16, String); 4]| {
        let options = choices.map(|(value, text)| {
            view! { <option value=value.to_string()>{text}</option> }
        });
        view! {
            <div class="field">
                <label class="field__label" for=name>{label}</label>
                <select class="input" id=name name=name>{options.collect_view()}</select>
            </div>
        }
    };
    view! {
        {account_tabs(AccountPage::Invites, viewer.may_administer())}
        <section class="section" aria-labelledby="invite-title">
            <div class="section__head"><div>
                <h2 class="section__title" id="invite-title">"Invite people"</h2>
                <p class="section__note">"Whoever opens one of these links can join as a member."</p>
            </div></div>
            <ul class="panel rows">{rows.collect_view()}</ul>
            <form class="form" action="/account/invites" method="post">
                {choice("days", "Works for", days)}
                {choice("max_uses", "Lets in", uses)}
                <div class="button-row">
                    <button class="button button--primary" type="submit">"Make a link"</button>
                </div>
            </form>
        </section>
    }
}

/// What administrators choose for everybody.
#[component]
pub fn Workspace(
    /// The account's name as typed.
    name: String,
    /// Who may create rooms.
    room_creators: RoomCreators,
    /// The stylesheet as typed.
    styles: String,
    /// What was wrong.
    error: Option<Error>,
) -> impl IntoView {
    let restricted = room_creators == RoomCreators::Administrators;
    let wrong = error.as_ref().and_then(|error| error.for_field("styles")).map(str::to_owned);
    view! {
        {account_tabs(AccountPage::Workspace, true)}
        <section class="section" aria-labelledby="workspace-title">
            <h2 class="section__title" id="workspace-title">"Workspace"</h2>
            <form class="form" action="/account" method="post">
                <Field kind=ACCOUNT value=name error=error/>
                <div class="panel rows"><label class="choice row">
                    <span class="choice__text">
                        <span class="choice__name">"Only administrators create rooms"</span>
                        <span class="choice__hint">
                            "Everybody else writes in the rooms there are."
                        </span>
                    </span>
                    <input class="switch" type="checkbox" role="switch" name="room_creators"
                        value="administrators" checked=restricted/>
                </label></div>
                <div class="button-row">
                    <button class="button button--primary" type="submit">"Save workspace"</button>
                </div>
            </form>
        </section>
        <section class="section" aria-labelledby="styles-title">
            <div class="section__head"><div>
                <h2 class="section__title" id="styles-title">"Custom styles"</h2>
                <p class="section__note">
                    "CSS added after the product's own. Add "<code>"?plain=1"</code>
                    " to any address to see that page without it."
                </p>
            </div></div>
            <form class="form" action="/account/styles" method="post">
                <div class="field">
                    <label class="visually-hidden" for="styles">"Custom CSS"</label>
                    <textarea class="input input--code" id="styles" name="styles" rows="8"
                        spellcheck="false" aria-invalid=wrong.is_some().then_some("true")
                        aria-describedby=wrong.is_some().then_some("styles-note")>
                        {styles}
                    </textarea>
                    {wrong.map(|text| view! {
                        <p class="field__error" id="styles-note">{text}</p>
                    })}
                </div>
                <div class="button-row">
                    <button class="button button--primary" type="submit">"Save styles"</button>
                </div>
            </form>
        </section>
        <p class="small muted">{concat!("Campfire ", env!("CARGO_PKG_VERSION"))}</p>
    }
}
