//! The forms around rooms: a new one, its settings, choosing people, leaving, deleting, a direct
//! room, and the rooms one does not see.
//!
//! Plain HTML with forms, rendered by the server only. Choosing people is a list of checkboxes; a
//! field above it that filters as one types belongs to browsers with scripts (`ui::room` finds it
//! by its `data-` attributes).

use super::controls::{Avatar, Field, FieldKind, FormError, Icon};
use crate::domain::account::UserRef;
use crate::domain::error::Error;
use crate::domain::room::{Involvement, MAX_ROOM_NAME, MAX_TOPIC, RoomKind, SidebarRoom};
use crate::domain::{RoomId, UserId};
use crate::texts;
use leptos::prelude::*;

/// Somebody to choose.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Who.
    pub user: UserRef,
    /// Whether they are a program.
    pub is_bot: bool,
    /// Whether they are chosen.
    pub chosen: bool,
    /// Whether that cannot be changed.
    pub fixed: bool,
    /// A note below their name; may be empty.
    pub note: &'static str,
}

/// What a room's form contains.
#[derive(Clone, Debug)]
pub struct RoomFields {
    /// The name.
    pub name: String,
    /// The topic.
    pub topic: String,
    /// Open or closed.
    pub kind: RoomKind,
    /// Whom one may choose.
    pub people: Vec<Choice>,
    /// Whether there are more people than are shown.
    pub more: bool,
    /// What is wrong with it.
    pub error: Option<Error>,
}

/// The form of a new room, or of one that exists.
#[component]
pub fn RoomForm(
    /// What it contains.
    fields: RoomFields,
    /// The room, unless it is new.
    room_id: Option<RoomId>,
) -> impl IntoView {
    let RoomFields { name, topic, kind, people, more, error } = fields;
    let (action, save, back) = match room_id {
        Some(id) => (format!("/rooms/{id}/edit"), texts::rooms::SAVE_ROOM, format!("/rooms/{id}")),
        None => ("/rooms".to_owned(), texts::rooms::CREATE_ROOM, "/".to_owned()),
    };
    let name_field = FieldKind {
        name: "name",
        label: texts::rooms::ROOM_NAME,
        input: "text",
        autocomplete: "off",
        hint: texts::rooms::ROOM_NAME_HINT,
        longest: u32::try_from(MAX_ROOM_NAME).unwrap_or(u32::MAX),
    };
    let closed = kind == RoomKind::Closed;
    view! {
        <form class="form" action=action method="post">
            <FormError error=error.clone()/>
            <section class="section" aria-labelledby="about-title">
                <h2 class="section__title" id="about-title">{texts::rooms::ABOUT}</h2>
                <div class="form">
                    <Field kind=name_field value=name error=error.clone()/>
                    <TopicField value=topic error=error.clone()/>
                </div>
            </section>
            <section class="section" aria-labelledby="who-title">
                <h2 class="section__title" id="who-title">{texts::rooms::WHO_CAN_BE_HERE}</h2>
                <fieldset class="panel rows">
                    <legend class="visually-hidden">{texts::rooms::ACCESS}</legend>
                    <Access value="open" icon="hash" name=texts::rooms::OPEN checked={!closed}
                        hint=texts::rooms::OPEN_HINT/>
                    <Access value="closed" icon="lock" name=texts::rooms::CLOSED checked=closed
                        hint=texts::rooms::CLOSED_HINT/>
                </fieldset>
            </section>
            <PeoplePicker people=people more=more error=error title=texts::rooms::MEMBERS/>
            <div class="button-row">
                <button class="button button--primary" type="submit">{save}</button>
                <a class="button button--plain" href=back>{texts::button::CANCEL}</a>
            </div>
        </form>
    }
}

#[component]
fn TopicField(value: String, error: Option<Error>) -> impl IntoView {
    let problem = error.as_ref().and_then(|error| error.for_field("topic")).map(str::to_owned);
    let wrong = problem.is_some();
    let note = match problem {
        Some(text) => view! { <p class="field__error" id="topic-note">{text}</p> }.into_any(),
        None => view! { <p class="field__hint" id="topic-note">{texts::rooms::TOPIC_HINT}</p> }.into_any(),
    };
    view! {
        <div class="field">
            <label class="field__label" for="topic">{texts::rooms::TOPIC}</label>
            <input class="input" id="topic" name="topic" type="text" value=value autocomplete="off"
                maxlength=MAX_TOPIC.to_string() aria-invalid=wrong.then_some("true")
                aria-describedby="topic-note"/>
            {note}
        </div>
    }
}

#[component]
fn Access(
    value: &'static str,
    icon: &'static str,
    name: &'static str,
    hint: &'static str,
    checked: bool,
) -> impl IntoView {
    view! {
        <label class="row choice">
            <Icon name=icon/>
            <span class="choice__text">
                <span class="choice__name">{name}</span>
                <span class="choice__hint">{hint}</span>
            </span>
            <input class="check" type="radio" name="kind" value=value checked=checked/>
        </label>
    }
}

/// A list of people with checkboxes, and a field that filters it where scripts run.
#[component]
fn PeoplePicker(people: Vec<Choice>, more: bool, error: Option<Error>, title: &'static str) -> impl IntoView {
    let problem = error.as_ref().and_then(|error| error.for_field("user_ids")).map(str::to_owned);
    let chosen = people.iter().filter(|one| one.chosen).count();
    let note = texts::rooms::chosen_of_people(chosen, people.len());
    view! {
        <section class="section" id="members" aria-labelledby="members-title" data-picker="">
            <div class="section__head"><div>
                <h2 class="section__title" id="members-title">{title}</h2>
                <p class="section__note">{note}</p>
            </div></div>
            {problem.map(|text| view! { <p class="field__error" role="alert">{text}</p> })}
            <div class="input-group with-scripts">
                <Icon name="search" class="icon icon--s"/>
                <input class="input" type="search" aria-label=texts::rooms::FILTER_PEOPLE
                    placeholder=texts::rooms::FILTER_PEOPLE autocomplete="off" data-filter=""/>
            </div>
            <fieldset class="panel rows">
                <legend class="visually-hidden">{title}</legend>
                {people.into_iter().map(|one| view! { <PersonChoice one=one/> }).collect_view()}
            </fieldset>
            {more.then(|| view! { <Lookup/> })}
        </section>
    }
}

/// Asks the server for people who are not listed; what has been chosen comes back with them.
#[component]
fn Lookup() -> impl IntoView {
    view! {
        <div class="field">
            <label class="field__label" for="name_of">{texts::picker::OTHERS}</label>
            <div class="input-group">
                <input class="input" type="search" id="name_of" name="name_of" autocomplete="off"
                    dir="auto"/>
                <button class="button" type="submit" name="look" value="1" formnovalidate="">
                    {texts::picker::FIND}
                </button>
            </div>
        </div>
    }
}

#[component]
fn PersonChoice(one: Choice) -> impl IntoView {
    let Choice { user: UserRef { id, name }, is_bot, chosen, fixed, note } = one;
    let note = (!note.is_empty()).then(|| view! { <span class="row__note">{note}</span> });
    let shown = name.clone();
    view! {
        <label class="row" data-name=shown>
            <Avatar id=id name=name.clone()/>
            <span class="row__main">
                <span class="row__name">
                    <span dir="auto">{name}</span>
                    {is_bot.then(|| view! { <span class="tag">{texts::rooms::BOT}</span> })}
                </span>
                {note}
            </span>
            // Who is listed and not chosen goes; who is not listed stays as they are.
            {(!fixed).then(|| view! {
                <input type="hidden" name="listed" value=id.to_string()/>
            })}
            <input class="check" type="checkbox" name="user_ids" value=id.to_string()
                checked=chosen disabled=fixed/>
        </label>
    }
}

/// What a member may see and do who may not change the room.
#[component]
pub fn RoomFacts(
    /// The room.
    room: SidebarRoom,
    /// Who is in it.
    members: Vec<UserRef>,
) -> impl IntoView {
    let rows = members.into_iter().map(|user| view! { <MemberRow user=user/> });
    let topic = (!room.topic.is_empty()).then(|| {
        view! {
            <p class="section__note" dir="auto">{room.topic.clone()}</p>
        }
    });
    let about = match room.kind {
        RoomKind::Open => texts::rooms::ABOUT_OPEN,
        RoomKind::Closed => texts::rooms::ABOUT_CLOSED,
        RoomKind::Direct => texts::rooms::ABOUT_DIRECT,
    };
    view! {
        <section class="section" aria-labelledby="about-title">
            <div class="section__head"><div>
                <h2 class="section__title" id="about-title" dir="auto">{room.name}</h2>
                {topic}
                <p class="section__note">{about}</p>
            </div></div>
            <ul class="panel rows">{rows.collect_view()}</ul>
        </section>
    }
}

#[component]
fn MemberRow(user: UserRef) -> impl IntoView {
    view! {
        <li class="row">
            <Avatar id=user.id name=user.name.clone()/>
            <span class="row__main"><span class="row__name">
                <a class="row__link" dir="auto" href=format!("/users/{}", user.id)>{user.name}</a>
            </span></span>
        </li>
    }
}

/// What a member wants of a room, and the ways out of it.
#[component]
pub fn RoomChoices(
    /// The room.
    room: SidebarRoom,
    /// Whether the viewer may delete it.
    may_delete: bool,
) -> impl IntoView {
    let (id, starred) = (room.id, room.starred);
    let levels: &[Involvement] = match room.kind {
        RoomKind::Direct => &[Involvement::Everything, Involvement::Nothing, Involvement::Invisible],
        _ => &[Involvement::Mentions, Involvement::Everything, Involvement::Nothing, Involvement::Invisible],
    };
    let levels = levels.iter().map(|level| {
        let selected = *level == room.involvement;
        view! { <option value=level.as_str() selected=selected>{level_name(*level)}</option> }
    });
    let leave = match room.kind {
        RoomKind::Open => None,
        RoomKind::Closed => {
            Some((texts::rooms::LEAVE_THIS_ROOM, texts::rooms::LEAVE, texts::rooms::LEAVE_HINT))
        }
        RoomKind::Direct => Some((
            texts::rooms::PUT_THIS_CONVERSATION_AWAY,
            texts::rooms::PUT_AWAY,
            texts::rooms::PUT_AWAY_HINT,
        )),
    };
    view! {
        <section class="section" aria-labelledby="yours-title">
            <h2 class="section__title" id="yours-title">{texts::rooms::FOR_YOU}</h2>
            <div class="panel rows">
                <form class="row" action=format!("/rooms/{id}/involvement") method="post">
                    <Icon name="bell"/>
                    <label class="row__main" for="involvement">
                        <span class="row__name">{texts::rooms::NOTIFICATIONS}</span>
                    </label>
                    <span class="row__end">
                        <select class="input" id="involvement" name="involvement">
                            {levels.collect_view()}
                        </select>
                        <button class="button" type="submit">{texts::button::SAVE}</button>
                    </span>
                </form>
                <form class="row" action=format!("/rooms/{id}/star") method="post">
                    <Icon name="bookmark"/>
                    <span class="row__main"><span class="row__name">{texts::rooms::AT_THE_TOP}</span>
                        <span class="row__note">{texts::rooms::AT_THE_TOP_HINT}</span></span>
                    <span class="row__end">
                        <input type="hidden" name="starred" value=(!starred).to_string()/>
                        <button class="button" type="submit">
                            {if starred { texts::room::REMOVE_STAR } else { texts::rooms::STAR }}
                        </button>
                    </span>
                </form>
                {leave.map(|(title, button, note)| view! {
                    <form class="row" action=format!("/rooms/{id}/leave") method="post">
                        <Icon name="logout"/>
                        <span class="row__main"><span class="row__name">{title}</span>
                            <span class="row__note">{note}</span></span>
                        <span class="row__end">
                            <button class="button" type="submit">{button}</button>
                        </span>
                    </form>
                })}
            </div>
        </section>
        {may_delete.then(|| view! { <Deletion id=id/> })}
    }
}

#[component]
fn Deletion(id: RoomId) -> impl IntoView {
    view! {
        <section class="section" aria-labelledby="delete-title">
            <h2 class="section__title" id="delete-title">{texts::rooms::DELETE_THIS_ROOM}</h2>
            <div class="panel danger"><div class="row">
                <span class="row__main"><span class="row__name">{texts::rooms::DELETE_IT_FOR_EVERYBODY}</span>
                    <span class="row__note">
                        {texts::rooms::DELETE_HINT}
                    </span></span>
                <span class="row__end">
                    <a class="button button--danger" href=format!("/rooms/{id}/delete")>
                        {texts::rooms::DELETE_ROOM_ASK}
                    </a>
                </span>
            </div></div>
        </section>
    }
}

/// What a level of involvement is called.
pub fn level_name(level: Involvement) -> &'static str {
    match level {
        Involvement::Everything => texts::rooms::LEVEL_EVERYTHING,
        Involvement::Mentions => texts::rooms::LEVEL_MENTIONS,
        Involvement::Nothing => texts::rooms::LEVEL_NOTHING,
        Involvement::Invisible => texts::rooms::LEVEL_INVISIBLE,
    }
}

/// The question before a room is deleted.
#[component]
pub fn DeleteRoom(
    /// The room.
    room_id: RoomId,
    /// Its name.
    name: String,
) -> impl IntoView {
    view! {
        <form class="form" action=format!("/rooms/{room_id}/delete") method="post">
            <div class="callout callout--bad">
                <Icon name="warning"/>
                <p>{texts::rooms::delete_question(name)}</p>
            </div>
            <div class="button-row">
                <button class="button button--danger" type="submit">{texts::rooms::DELETE_ROOM}</button>
                <a class="button button--plain" href=format!("/rooms/{room_id}")>{texts::rooms::KEEP_IT}</a>
            </div>
        </form>
    }
}

/// Whom to write to.
#[component]
pub fn DirectForm(
    /// Whom one may choose.
    people: Vec<Choice>,
    /// Whether there are more people than are shown.
    more: bool,
    /// What is wrong with the choice.
    error: Option<Error>,
) -> impl IntoView {
    view! {
        <form class="form" action="/rooms/directs" method="post">
            <PeoplePicker people=people more=more error=error title=texts::rooms::WRITE_TO/>
            <p class="field__hint">{texts::rooms::CHOOSE_NOBODY}</p>
            <div class="button-row">
                <button class="button button--primary" type="submit">{texts::rooms::START_WRITING}</button>
                <a class="button button--plain" href="/">{texts::button::CANCEL}</a>
            </div>
        </form>
    }
}

/// The way to a direct room with somebody.
#[component]
pub fn MessageButton(
    /// With whom.
    user_id: UserId,
    /// Whether that is oneself.
    you: bool,
) -> impl IntoView {
    view! {
        <form class="button-row" action="/rooms/directs" method="post">
            <input type="hidden" name="user_ids" value=user_id.to_string()/>
            <button class="button" type="submit">
                <Icon name="edit" class="icon icon--s"/>
                {if you { texts::rooms::NOTES_TO_YOURSELF } else { texts::rooms::MESSAGE }}
            </button>
        </form>
    }
}

/// The rooms that do not stand in one's list, each with the way back.
#[component]
pub fn HiddenRooms(
    /// The rooms.
    rooms: Vec<SidebarRoom>,
) -> impl IntoView {
    (!rooms.is_empty()).then(|| {
        let rows = rooms.into_iter().map(|room| view! { <HiddenRoom room=room/> });
        view! {
            <section class="section" aria-labelledby="hidden-title">
                <div class="section__head"><div>
                    <h2 class="section__title" id="hidden-title">{texts::rooms::HIDDEN_ROOMS}</h2>
                    <p class="section__note">{texts::rooms::HIDDEN_ROOMS_HINT}</p>
                </div></div>
                <div class="panel rows">{rows.collect_view()}</div>
            </section>
        }
    })
}

#[component]
fn HiddenRoom(room: SidebarRoom) -> impl IntoView {
    let icon = if room.kind == RoomKind::Open { "hash" } else { "lock" };
    // A conversation that was put away is brought back by asking for it once more.
    let action =
        if room.hidden { "/rooms/directs".to_owned() } else { format!("/rooms/{}/involvement", room.id) };
    let first = Involvement::first_in(room.kind);
    let people = room.people.iter().map(|user| {
        view! { <input type="hidden" name="user_ids" value=user.id.to_string()/> }
    });
    view! {
        <form class="row" action=action method="post">
            <Icon name=icon/>
            <span class="row__main"><span class="row__name">
                <a class="row__link" dir="auto" href=format!("/rooms/{}", room.id)>
                    {room.name.clone()}
                </a>
            </span></span>
            <span class="row__end">
                {people.collect_view()}
                <input type="hidden" name="involvement" value=first.as_str()/>
                <input type="hidden" name="back" value="profile"/>
                <button class="button" type="submit">{texts::rooms::SHOW_AGAIN}</button>
            </span>
        </form>
    }
}
