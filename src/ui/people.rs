//! The screens about people: the list, a person's card, one's own profile with what is chosen for
//! this browser, password and sessions.
//!
//! Plain HTML with forms, rendered by the server only and left as it is by the browser. What a
//! script adds, finding a person while typing and switching the theme at once, is in `ui::room`.

use super::controls::{Avatar, Field, FieldKind, FormError, Icon};
use super::{Theme, fragment};
use crate::domain::account::{Device, MAX_BIO, Person, Profile, Role, Status, Viewer};
use crate::domain::error::Error;
use crate::domain::{Timestamp, UserId};
use crate::texts;
use leptos::prelude::*;

/// More people than this can be searched (Campfire's value).
const SEARCHED_FROM: usize = 20;

const fn field(
    (name, label, input): (&'static str, &'static str, &'static str),
    autocomplete: &'static str,
    (hint, longest): (&'static str, u32),
) -> FieldKind {
    FieldKind { name, label, input, autocomplete, hint, longest }
}

const NAME: FieldKind = field(("name", texts::people::NAME, "text"), "name", ("", 60));
const EMAIL: FieldKind = field(("email_address", texts::entrance::E_MAIL, "email"), "email", ("", 254));
const CURRENT: FieldKind =
    field(("current_password", texts::people::CURRENT_PASSWORD, "password"), "current-password", ("", 1_024));
const PASSWORD: FieldKind = field(
    ("password", texts::people::NEW_PASSWORD, "password"),
    "new-password",
    (texts::people::NEW_PASSWORD_HINT, 1_024),
);
/// The pages of a subject, the current one marked.
#[component]
fn Tabs(
    /// Address, label, and whether it is the current one.
    pages: Vec<(String, &'static str, bool)>,
) -> impl IntoView {
    let links = pages.into_iter().map(|(href, label, here)| {
        view! { <a href=href aria-current=here.then_some("page")>{label}</a> }
    });
    view! { <nav class="tabs" aria-label=texts::people::SECTIONS>{links.collect_view()}</nav> }
}

/// Which of the account's pages is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountPage {
    /// The people.
    People,
    /// The invite links.
    Invites,
    /// Name, rules and styles.
    Workspace,
}

/// The account's pages, one of them marked.
pub(crate) fn account_tabs(page: AccountPage, administers: bool) -> impl IntoView {
    let mut pages = vec![
        ("/account/edit".to_owned(), texts::people::PEOPLE, page == AccountPage::People),
        ("/account/invites".to_owned(), texts::people::INVITE_LINKS, page == AccountPage::Invites),
    ];
    if administers {
        let here = page == AccountPage::Workspace;
        pages.push(("/account/settings".to_owned(), texts::people::WORKSPACE, here));
    }
    view! { <Tabs pages=pages/> }
}

/// Which of one's own pages is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnPage {
    /// The profile.
    You,
    /// The password.
    Password,
    /// The sessions.
    Sessions,
}

fn own_tabs(page: OwnPage, viewer: UserId) -> impl IntoView {
    let you = format!("/users/{viewer}");
    let pages = vec![
        (you, texts::people::YOU, page == OwnPage::You),
        ("/users/me/password".to_owned(), texts::entrance::PASSWORD, page == OwnPage::Password),
        ("/users/me/sessions".to_owned(), texts::people::DEVICES, page == OwnPage::Sessions),
    ];
    view! { <Tabs pages=pages/> }
}

/// A button that posts.
pub(crate) fn act(action: String, label: &'static str, class: &'static str) -> impl IntoView {
    view! {
        <form action=action method="post"><button class=class type="submit">{label}</button></form>
    }
}

/// A moment as a person reads it.
pub fn moment(at: Timestamp) -> impl IntoView {
    let text = texts::people::moment(at.utc_clock(), at.utc_date());
    view! { <time datetime=at.to_string()>{text}</time> }
}

/// A page of the people, and how to find one.
#[component]
pub fn People(
    /// Who is looking.
    viewer: Viewer,
    /// The people.
    people: Vec<Person>,
    /// Who of them is online.
    online: Vec<UserId>,
    /// What was searched for.
    search: String,
    /// The addresses of the pages before and after.
    around: (Option<String>, Option<String>),
) -> impl IntoView {
    let searchable = people.len() > SEARCHED_FROM || !search.is_empty() || around.1.is_some();
    let note = match people.len() {
        0 => texts::people::NOBODY_IS_CALLED_THAT.to_owned(),
        many => texts::people::count(many),
    };
    let administers = viewer.may_administer();
    let rows = people.into_iter().map(|person| {
        let online = online.contains(&person.id);
        view! { <PersonRow you={person.id == viewer.id} administers person=person online=online/> }
    });
    let find = searchable.then(|| {
        view! {
            <form class="input-group" action="/account/edit" method="get" role="search">
                <Icon name="search" class="icon icon--s"/>
                <input class="input" type="search" name="search" value=search data-filter="" maxlength="60"
                    aria-label=texts::people::FIND_A_PERSON placeholder=texts::people::FIND_A_PERSON/>
                <button class="button button--s without-scripts" type="submit">{texts::people::FIND}</button>
            </form>
        }
    });
    let (before, after) = around;
    let turn = |href: Option<String>, label: &'static str| {
        href.map(|href| view! { <a class="button button--s" href=href>{label}</a> })
    };
    view! {
        {account_tabs(AccountPage::People, administers)}
        <section class="section" aria-labelledby="people-title" data-picker="">
            <div class="section__head"><div>
                <h2 class="section__title" id="people-title">{texts::people::EVERYBODY}</h2>
                <p class="section__note">{note}</p>
            </div></div>
            {find}
            <ul class="panel rows">{rows.collect_view()}</ul>
            <div class="button-row">
                {turn(before, texts::people::BEFORE)}{turn(after, texts::people::MORE_PEOPLE)}
            </div>
        </section>
    }
}

#[component]
fn PersonRow(person: Person, you: bool, administers: bool, online: bool) -> impl IntoView {
    let faded = person.status != Status::Active;
    let href = format!("/users/{}", person.id);
    let manage = (administers && !you).then(|| {
        let label = texts::people::manage_person(&person.name);
        view! {
            <span class="row__end">
                <a class="button button--s" href=href.clone() aria-label=label>{texts::people::MANAGE}</a>
            </span>
        }
    });
    view! {
        <li class=if faded { "row row--faded" } else { "row" } data-name=person.name.clone()>
            <Avatar id=person.id name=person.name.clone() online=online/>
            <span class="row__main">
                <span class="row__name">
                    <a class="row__link" dir="auto" href=href>{person.name.clone()}</a>
                    <Tags role=person.role status=person.status/>
                    {you.then(|| view! { <span class="tag">{texts::people::YOU}</span> })}
                    {online.then(|| view! { <span class="visually-hidden">{texts::people::ONLINE}</span> })}
                </span>
                {person.email_address.map(|address| {
                    view! { <span class="row__note">{address}</span> }
                })}
            </span>
            {manage}
        </li>
    }
}

#[component]
fn Tags(role: Role, status: Status) -> impl IntoView {
    let role = match role {
        Role::Administrator => Some(("crown", texts::people::ADMINISTRATOR)),
        Role::Bot => Some(("bot", texts::people::BOT)),
        Role::Member => None,
    };
    let status = match status {
        Status::Banned => Some(texts::people::BANNED),
        Status::Deactivated => Some(texts::people::DEACTIVATED),
        Status::Active => None,
    };
    view! {
        {role.map(|(icon, word)| view! { <span class="tag"><Icon name=icon/>{word}</span> })}
        {status.map(|word| view! { <span class="tag tag--bad"><Icon name="ban"/>{word}</span> })}
    }
}

/// A person's card.
#[component]
pub fn PersonCard(
    /// Who.
    person: Person,
    /// Whether they are online.
    online: bool,
) -> impl IntoView {
    let (since, date) = (person.created_at, person.created_at.utc_date());
    let since = texts::people::here_since(format!("<time datetime=\"{since}\">{date}</time>"));
    let since = if online { [texts::people::ONLINE_NOW, " ", &since].concat() } else { since };
    view! {
        <section class="panel" aria-label=texts::people::PROFILE>
            <div class="row">
                <Avatar id=person.id name=person.name.clone() class="avatar avatar--xl"
                    online=online/>
                <span class="row__main">
                    <span class="row__name">
                        <span dir="auto">{person.name}</span>
                        <Tags role=person.role status=person.status/>
                    </span>
                    {(!person.bio.is_empty()).then(|| view! { <p dir="auto">{person.bio}</p> })}
                    <span class="row__note" inner_html=since></span>
                </span>
            </div>
        </section>
    }
}

/// What administrators can do with somebody.
#[component]
pub fn Administration(
    /// With whom.
    person: Person,
) -> impl IntoView {
    let base = format!("/users/{}", person.id);
    let role = match person.role {
        Role::Administrator => ("member", texts::people::MAKE_MEMBER),
        _ => ("administrator", texts::people::MAKE_ADMINISTRATOR),
    };
    let plain = "button button--s";
    let danger = "button button--s button--danger";
    let buttons = match person.status {
        Status::Active => view! {
            <form action=format!("{base}/role") method="post">
                <input type="hidden" name="role" value=role.0/>
                <button class=plain type="submit">{role.1}</button>
            </form>
            {act(format!("{base}/reset"), texts::people::MAKE_A_PASSWORD_LINK, plain)}
            {act(format!("{base}/deactivate"), texts::people::DEACTIVATE, danger)}
        }
        .into_any(),
        Status::Deactivated => act(format!("{base}/activate"), texts::people::REACTIVATE, plain).into_any(),
        Status::Banned => act(format!("{base}/activate"), texts::people::LIFT_BAN, plain).into_any(),
    };
    let ban = (person.status != Status::Banned).then(|| {
        view! {
            <form class="row" action=format!("{base}/ban") method="post">
                <label class="choice">
                    <input class="check" type="checkbox" name="remove_messages" value="yes"/>
                    <span class="choice__text">
                        <span class="choice__name">{texts::people::REMOVE_THEIR_MESSAGES_TOO}</span>
                        <span class="choice__hint">{texts::people::BAN_HINT}</span>
                    </span>
                </label>
                <span class="row__end"><button class=danger type="submit">{texts::people::BAN}</button></span>
            </form>
        }
    });
    view! {
        <section class="section" aria-labelledby="manage-title">
            <div class="section__head">
                <h2 class="section__title" id="manage-title">{texts::people::MANAGE}</h2>
            </div>
            <div class="panel rows">
                <div class="row"><span class="row__main">{person.email_address}</span>
                    <span class="row__end button-row">{buttons}</span></div>
                {ban}
            </div>
        </section>
    }
}

/// One's own profile, below the card.
#[component]
pub fn OwnProfile(
    /// You.
    viewer: Viewer,
    /// What the form contains.
    profile: Profile,
    /// What was wrong with it.
    error: Option<Error>,
    /// Who made the link that last reset the password, and when it was used.
    reset: Option<(String, Timestamp)>,
    /// The theme chosen in this browser.
    theme: Theme,
) -> impl IntoView {
    let wrong = error.as_ref().and_then(|error| error.for_field("bio")).map(str::to_owned);
    let (note, class) = match wrong.clone() {
        Some(sentence) => (sentence, "field__error"),
        None => (texts::people::ABOUT_YOU_HINT.to_owned(), "field__hint"),
    };
    let notice = reset.map(|(name, at)| {
        let name = fragment(move || view! { <b dir="auto">{name}</b> });
        let what = texts::people::password_was_reset(fragment(move || moment(at)), name);
        view! {
            <div class="callout" role="status">
                <Icon name="warning"/><p inner_html=what></p>
            </div>
        }
    });
    view! {
        {own_tabs(OwnPage::You, viewer.id)}
        {notice}
        <section class="section" aria-labelledby="you-title">
            <div class="section__head">
                <h2 class="section__title" id="you-title">{texts::people::YOURS}</h2>
            </div>
            <FormError error=error.clone()/>
            <form class="form" action="/users/me/profile" method="post">
                <Field kind=NAME value=profile.name error=error.clone()/>
                <Field kind=EMAIL value=profile.email_address error=error/>
                <div class="field">
                    <label class="field__label" for="bio">{texts::people::ABOUT_YOU}</label>
                    <textarea class="input" id="bio" name="bio" rows="3" dir="auto"
                        maxlength=MAX_BIO.to_string() aria-describedby="bio-note"
                        aria-invalid=wrong.is_some().then_some("true")>{profile.bio}</textarea>
                    <p class=class id="bio-note">{note}</p>
                </div>
                <div class="button-row">
                    <button class="button button--primary" type="submit">{texts::people::SAVE}</button>
                </div>
            </form>
        </section>
        <OwnSettings theme=theme/>
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
            Theme::System => ("monitor", texts::people::THEME_SYSTEM),
            Theme::Light => ("sun", texts::people::THEME_LIGHT),
            Theme::Dark => ("moon", texts::people::THEME_DARK),
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
                <h2 class="section__title" id="here-title">{texts::people::THIS_BROWSER}</h2>
            </div>
            <div class="panel rows">
                <form class="row" action="/theme" method="post">
                    <Icon name="sun"/>
                    <span class="row__main"><span class="row__name">{texts::people::THEME}</span>
                        <span class="row__note">{texts::people::THEME_HINT}</span></span>
                    <span class="row__end">
                        <fieldset class="segmented">
                            <legend class="visually-hidden">{texts::people::THEME}</legend>
                            {choices.collect_view()}
                        </fieldset>
                        <button class="button button--s without-scripts" type="submit">
                            {texts::people::USE}
                        </button>
                    </span>
                </form>
                <div class="row with-scripts">
                    <Icon name="keyboard"/>
                    <span class="row__main"><span class="row__name">{texts::people::KEYBOARD}</span>
                        <span class="row__note">{texts::people::KEYBOARD_HINT}</span></span>
                    <span class="row__end">
                        <button class="button button--s" type="button" data-shortcuts>
                            {texts::people::SHORTCUTS}
                        </button>
                    </span>
                </div>
                <form class="row" action="/session/end" method="post">
                    <Icon name="logout"/>
                    <span class="row__main"><span class="row__name">{texts::button::SIGN_OUT}</span>
                        <span class="row__note">{texts::people::SIGN_OUT_HINT}</span></span>
                    <span class="row__end">
                        <button class="button button--danger" type="submit">{texts::button::SIGN_OUT}</button>
                    </span>
                </form>
            </div>
        </section>
    }
}

/// A new password.
#[component]
pub fn PasswordForm(
    /// You.
    viewer: Viewer,
    /// What was wrong.
    error: Option<Error>,
) -> impl IntoView {
    view! {
        {own_tabs(OwnPage::Password, viewer.id)}
        <FormError error=error.clone()/>
        <form class="form" action="/users/me/password" method="post">
            <input type="hidden" name="username" autocomplete="username"
                value=viewer.email_address/>
            <Field kind=CURRENT error=error.clone()/>
            <Field kind=PASSWORD error=error/>
            <div class="button-row">
                <button class="button button--primary" type="submit">{texts::people::CHANGE_PASSWORD}</button>
            </div>
        </form>
    }
}

/// Where one is signed in, and how to sign in elsewhere.
#[component]
pub fn Devices(
    /// You.
    viewer: UserId,
    /// The sessions.
    devices: Vec<Device>,
) -> impl IntoView {
    let others = devices.len() > 1;
    let rows = devices.into_iter().map(|device| {
        let phone = ["iPhone", "Android"].iter().any(|name| device.device.contains(name));
        let icon = if phone { "phone" } else { "monitor" };
        let action = format!("/users/me/sessions/{}/end", device.id);
        let label = texts::people::sign_out_device(&device.device);
        let seen = fragment(move || moment(device.last_active_at));
        let seen = texts::people::last_seen(fragment(move || device.ip_address), seen);
        let end = (!device.current).then(|| {
            view! {
                <form class="row__end" action=action method="post">
                    <button class="button button--s button--danger" type="submit"
                        aria-label=label>{texts::button::SIGN_OUT}</button>
                </form>
            }
        });
        view! {
            <li class="row">
                <Icon name=icon/>
                <span class="row__main">
                    <span class="row__name">{device.device}
                        {device.current.then(|| view! {
                            <span class="tag tag--ok">{texts::people::THIS_DEVICE}</span>
                        })}
                    </span>
                    <span class="row__note" inner_html=seen></span>
                </span>
                {end}
            </li>
        }
    });
    view! {
        {own_tabs(OwnPage::Sessions, viewer)}
        <section class="section" aria-labelledby="sessions-title">
            <div class="section__head">
                <div>
                    <h2 class="section__title" id="sessions-title">{texts::people::SIGNED_IN_AT}</h2>
                    <p class="section__note">{texts::people::SIGNED_IN_AT_HINT}</p>
                </div>
                {others.then(|| act(
                    "/users/me/sessions/end".to_owned(),
                    texts::people::SIGN_OUT_EVERYWHERE_ELSE,
                    "button button--s button--danger",
                ))}
            </div>
            <ul class="panel rows">{rows.collect_view()}</ul>
        </section>
        <section class="section" aria-labelledby="transfer-title">
            <div class="section__head">
                <div>
                    <h2 class="section__title" id="transfer-title">{texts::people::SIGN_IN_ELSEWHERE}</h2>
                    <p class="section__note">{texts::people::SIGN_IN_LINK_HINT}</p>
                </div>
                {act("/users/me/link".to_owned(), texts::people::MAKE_A_SIGN_IN_LINK, "button button--s")}
            </div>
        </section>
    }
}
