//! Pages, forms and calls about people: who they are, how they get in, what administrators decide.
//!
//! Every handler asks who it is, reads the request, makes one call and answers. Rights are checked
//! where the call ends, in the writer's transaction; pages that show nothing to others check them
//! here as well. The two families meet the same calls: forms answer with the page to look at next,
//! programs with JSON. The page of invite links, which `super::entrance` answers with, is at the end.

use super::super::store::account::{Purpose, Sessions};
use super::super::writer::people::TheirMessages;
use super::Answer;
use super::entrance::{InviteLine, LinkCard};
use super::pages::quiet_page;
use super::request::{FormBody, JsonBody, Signed, Visitor, public_origin, status_of, theme, user as user_of};
use crate::domain::account::{Device, Invite, InviteTerms, Person, Profile, Role, Status, Viewer};
use crate::domain::error::Error;
use crate::domain::{SessionId, Timestamp, UserId, push_escaped};
use crate::texts;
use crate::ui;
use crate::ui::people::{
    AccountPage, Administration, Devices, OwnProfile, PasswordForm, People, PersonCard, account_tabs, act,
    moment,
};
use crate::ui::rooms::{HiddenRooms, MessageButton};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use fast_qr::QRBuilder;
use form_urlencoded::byte_serialize;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// People on one page (Campfire's value).
const PEOPLE_ON_PAGE: u32 = 500;

fn see(path: &str) -> Answer {
    Ok(Redirect::to(path).into_response())
}

/// A text as a QR code, drawn without any style.
pub(super) fn qr(text: &str, label: &str) -> String {
    let Ok(code) = QRBuilder::new(text).build() else {
        return String::new();
    };
    let size = code.size;
    let mut svg = format!(
        "<svg class=\"qr\" viewBox=\"0 0 {size} {size}\" role=\"img\" aria-label=\"{label}\">\
         <path fill=\"currentColor\" d=\""
    );
    for y in 0..size {
        for x in (0..size).filter(|x| code[y][*x].value()) {
            // Writing to a string cannot fail.
            let _written = write!(svg, "M{x} {y}h1v1h-1z");
        }
    }
    svg.push_str("\"/></svg>");
    svg
}

#[derive(Default, Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    search: String,
    #[serde(default)]
    page: u32,
}

/// `GET /account/edit`
pub(super) async fn people(by: Visitor, query: Result<Query<Search>, QueryRejection>) -> Answer {
    let Search { search, page } = query.map(|Query(search)| search).unwrap_or_default();
    let viewer = by.viewer().clone();
    let part = (page.saturating_mul(PEOPLE_ON_PAGE), PEOPLE_ON_PAGE + 1);
    let mut people = by.app.store.list_people(&viewer, search.trim(), part).await?;
    let most = usize::try_from(PEOPLE_ON_PAGE).unwrap_or(usize::MAX);
    let more = people.len() > most;
    people.truncate(most);
    let address = |page: u32| {
        let search: String = byte_serialize(search.as_bytes()).collect();
        format!("/account/edit?search={search}&page={page}")
    };
    let around = (page.checked_sub(1).map(address), more.then(|| address(page.saturating_add(1))));
    let online = by.app.connections.online().iter().map(|user| user.id).collect();
    let html = ui::fragment(move || {
        view! { <People viewer=viewer people=people online=online search=search around=around/> }
    });
    quiet_page(&by, (texts::account::PEOPLE, html)).await
}

/// `GET /users/{user_id}`
pub(super) async fn person(by: Visitor, Path(user_id): Path<String>) -> Answer {
    let viewer = by.viewer().clone();
    let person = by.app.store.load_person(&viewer, user_of(&user_id)?).await?;
    let online = by.app.connections.online().iter().any(|other| other.id == person.id);
    let (name, own) = (person.name.clone(), person.id == viewer.id);
    let manage = !own && viewer.may_administer() && person.role != Role::Bot;
    let theme = theme(&by.headers);
    let rooms = if own { by.app.load_rooms(viewer.id).await? } else { Vec::new() };
    let hidden = rooms.into_iter().filter(|room| !room.is_shown()).collect();
    let user_id = (person.status == Status::Active).then_some(person.id);
    let html = ui::fragment(move || {
        let manage = manage.then(|| view! { <Administration person=person.clone()/> });
        let own_part = own.then(|| {
            let profile = Profile {
                name: person.name.clone(),
                email_address: viewer.email_address.clone(),
                bio: person.bio.clone(),
            };
            let reset = person.reset.clone();
            view! { <OwnProfile viewer=viewer profile=profile error=None reset=reset theme=theme/> }
        });
        let message = user_id.map(|user_id| view! { <MessageButton user_id=user_id you=own/> });
        view! {
            <PersonCard person=person online=online/> {message} {manage} {own_part}
            <HiddenRooms rooms=hidden/>
        }
    });
    quiet_page(&by, (&name, html)).await
}

#[derive(Deserialize)]
pub(super) struct ProfileForm {
    name: String,
    email_address: String,
    #[serde(default)]
    bio: String,
}

/// `POST /users/me/profile`
pub(super) async fn change_profile(by: Visitor, FormBody(form): FormBody<ProfileForm>) -> Answer {
    let viewer = by.viewer().clone();
    let you = format!("/users/{}", viewer.id);
    let error = match save_profile(&by, &form).await {
        Ok(()) => return see(&you),
        Err(error @ (Error::Validation(_) | Error::RateLimited { .. })) => error,
        Err(error) => return Err(error),
    };
    let ProfileForm { name, email_address, bio } = form;
    let typed = Profile { name, email_address, bio };
    let (theme, status) = (theme(&by.headers), status_of(Some(&error)));
    let html = ui::fragment(move || {
        let error = Some(error);
        view! { <OwnProfile viewer=viewer profile=typed error=error reset=None theme=theme/> }
    });
    let page = quiet_page(&by, (texts::account::PROFILE, html)).await?;
    Ok((status, page).into_response())
}

async fn save_profile(by: &Signed, form: &ProfileForm) -> Result<(), Error> {
    let profile = Profile::parse(&form.name, &form.email_address, &form.bio)?;
    by.app.auth.allow_link(by.viewer().id)?;
    let (id, renamed) = (by.viewer().id, by.viewer().name != profile.name);
    by.app.writer.change_profile(id, profile).await?;
    if renamed {
        by.app.rename_mentions_of(id);
    }
    Ok(())
}

/// `PATCH /api/me`
pub(super) async fn patch_me(by: Signed, JsonBody(form): JsonBody<ProfileForm>) -> Result<StatusCode, Error> {
    save_profile(&by, &form).await.map(|()| StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Passwords {
    current_password: String,
    password: String,
}

async fn password_page(by: &Visitor, error: Option<Error>) -> Answer {
    let (viewer, status) = (by.viewer().clone(), status_of(error.as_ref()));
    let html = ui::fragment(move || view! { <PasswordForm viewer=viewer error=error/> });
    let page = quiet_page(by, (texts::account::PASSWORD, html)).await?;
    Ok((status, page).into_response())
}

/// `GET /users/me/password`
pub(super) async fn password_form(by: Visitor) -> Answer {
    password_page(&by, None).await
}

/// `POST /users/me/password`
pub(super) async fn change_password(by: Visitor, FormBody(form): FormBody<Passwords>) -> Answer {
    let passwords = (form.current_password.as_str(), form.password.as_str());
    match by.app.auth.change_password(&by.session, passwords).await {
        Ok(()) => see("/users/me/sessions"),
        Err(error @ (Error::Validation(_) | Error::RateLimited { .. })) => {
            password_page(&by, Some(error)).await
        }
        Err(error) => Err(error),
    }
}

/// `PUT /api/me/password`
pub(super) async fn put_password(
    by: Signed,
    JsonBody(form): JsonBody<Passwords>,
) -> Result<StatusCode, Error> {
    let passwords = (form.current_password.as_str(), form.password.as_str());
    by.app.auth.change_password(&by.session, passwords).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn devices_of(by: &Signed) -> Result<Vec<Device>, Error> {
    by.app.store.list_devices(by.viewer().id, by.session.id, by.app.clock.now()).await
}

/// `GET /users/me/sessions`
pub(super) async fn devices(by: Visitor) -> Answer {
    let (viewer, devices) = (by.viewer().id, devices_of(&by).await?);
    let html = ui::fragment(move || view! { <Devices viewer=viewer devices=devices/> });
    quiet_page(&by, (texts::account::DEVICES, html)).await
}

/// `GET /api/sessions`
pub(super) async fn list_sessions(by: Signed) -> Result<Json<Vec<Device>>, Error> {
    devices_of(&by).await.map(Json)
}

async fn end_one(by: &Signed, id: &str) -> Result<(), Error> {
    let id = id.parse().map(SessionId::new).map_err(|_| Error::NotFound)?;
    by.app.writer.end_sessions(by.viewer().id, Sessions::One(id)).await
}

async fn end_others(by: &Signed) -> Result<(), Error> {
    by.app.writer.end_sessions(by.viewer().id, Sessions::AllBut(by.session.id)).await
}

/// `POST /users/me/sessions/{id}/end`
pub(super) async fn end_session(by: Visitor, Path(id): Path<String>) -> Answer {
    end_one(&by, &id).await?;
    see("/users/me/sessions")
}

/// `POST /users/me/sessions/end`
pub(super) async fn end_sessions(by: Visitor) -> Answer {
    end_others(&by).await?;
    see("/users/me/sessions")
}

/// `DELETE /api/sessions/{id}`
pub(super) async fn delete_session(by: Signed, Path(id): Path<String>) -> Result<StatusCode, Error> {
    end_one(&by, &id).await.map(|()| StatusCode::NO_CONTENT)
}

/// `DELETE /api/sessions`: all but the one that asks.
pub(super) async fn delete_sessions(by: Signed) -> Result<StatusCode, Error> {
    end_others(&by).await.map(|()| StatusCode::NO_CONTENT)
}

/// The address of a new link that works once.
async fn new_link(
    by: &Signed,
    headers: &HeaderMap,
    (purpose, user_id): (Purpose, UserId),
) -> Result<String, Error> {
    let token = by.app.auth.create_link(by.viewer().id, (purpose, user_id)).await?;
    let kind = if purpose == Purpose::SignIn { "link" } else { "reset" };
    Ok(format!("{}/session/{kind}/{token}", public_origin(&by.app.config, headers)))
}

/// `POST /users/me/link`: shown once, because only its digest is stored.
pub(super) async fn sign_in_link(by: Visitor) -> Answer {
    let own = (Purpose::SignIn, by.viewer().id);
    let link = new_link(&by, &by.headers, own).await?;
    let html = ui::fragment(move || {
        let code = qr(&link, texts::links::SIGN_IN_QR);
        let note = texts::links::SIGN_IN_NOTE;
        view! { <LinkCard link=link qr=code note=note back="/users/me/sessions".to_owned()/> }
    });
    quiet_page(&by, (texts::links::SIGN_IN_TITLE, html)).await
}

/// `POST /users/{user_id}/reset`: shown once, because only its digest is stored.
pub(super) async fn reset_link(by: Visitor, Path(user_id): Path<String>) -> Answer {
    let user_id = user_of(&user_id)?;
    let link = new_link(&by, &by.headers, (Purpose::Reset, user_id)).await?;
    let html = ui::fragment(move || {
        let code = qr(&link, texts::links::RESET_QR);
        let note = texts::links::RESET_NOTE;
        view! { <LinkCard link=link qr=code note=note back=format!("/users/{user_id}")/> }
    });
    quiet_page(&by, (texts::links::RESET_TITLE, html)).await
}

/// A link for a program.
#[derive(Serialize)]
pub(super) struct NewLink {
    url: String,
}

/// `POST /api/me/link`
pub(super) async fn post_sign_in_link(
    by: Signed,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<NewLink>), Error> {
    let own = (Purpose::SignIn, by.viewer().id);
    let url = new_link(&by, &headers, own).await?;
    Ok((StatusCode::CREATED, Json(NewLink { url })))
}

/// `POST /api/users/{user_id}/reset`
pub(super) async fn post_reset_link(
    by: Signed,
    Path(user_id): Path<String>,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<NewLink>), Error> {
    let whose = (Purpose::Reset, user_of(&user_id)?);
    let url = new_link(&by, &headers, whose).await?;
    Ok((StatusCode::CREATED, Json(NewLink { url })))
}

#[derive(Deserialize)]
pub(super) struct Change {
    #[serde(default)]
    role: Option<Role>,
    #[serde(default)]
    status: Option<Status>,
    #[serde(default)]
    remove_messages: bool,
}

async fn change(by: &Signed, user_id: &str, change: Change) -> Result<(), Error> {
    let (viewer, user_id) = (by.viewer().id, user_of(user_id)?);
    by.app.auth.allow_link(viewer)?;
    if let Some(role) = change.role {
        by.app.writer.change_role(viewer, user_id, role).await?;
    }
    match (change.status, change.remove_messages) {
        (None, _) => Ok(()),
        (Some(Status::Banned), true) => by.app.ban_and_remove(viewer, user_id).await,
        (Some(status), _) => {
            let kept = (status, TheirMessages::Stay);
            by.app.writer.change_status(viewer, user_id, kept).await
        }
    }
}

/// `PATCH /api/users/{user_id}`
pub(super) async fn patch_user(
    by: Signed,
    Path(user_id): Path<String>,
    JsonBody(form): JsonBody<Change>,
) -> Result<StatusCode, Error> {
    change(&by, &user_id, form).await.map(|()| StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct RoleForm {
    role: Role,
}

/// `POST /users/{user_id}/role`
pub(super) async fn change_role(
    by: Visitor,
    Path(user_id): Path<String>,
    FormBody(form): FormBody<RoleForm>,
) -> Answer {
    let role = Change { role: Some(form.role), status: None, remove_messages: false };
    change(&by, &user_id, role).await?;
    see(&format!("/users/{}", user_of(&user_id)?))
}

async fn change_status(by: &Signed, user_id: &str, status: Status, remove_messages: bool) -> Answer {
    let wish = Change { role: None, status: Some(status), remove_messages };
    change(by, user_id, wish).await?;
    see(&format!("/users/{}", user_of(user_id)?))
}

/// `POST /users/{user_id}/activate`: also lifts a ban.
pub(super) async fn activate(by: Visitor, Path(user_id): Path<String>) -> Answer {
    change_status(&by, &user_id, Status::Active, false).await
}

/// `POST /users/{user_id}/deactivate`
pub(super) async fn deactivate(by: Visitor, Path(user_id): Path<String>) -> Answer {
    change_status(&by, &user_id, Status::Deactivated, false).await
}

#[derive(Deserialize)]
pub(super) struct BanForm {
    remove_messages: Option<String>,
}

/// `POST /users/{user_id}/ban`
pub(super) async fn ban(
    by: Visitor,
    Path(user_id): Path<String>,
    FormBody(form): FormBody<BanForm>,
) -> Answer {
    let remove = form.remove_messages.is_some();
    change_status(&by, &user_id, Status::Banned, remove).await
}

/// `GET /api/users`
pub(super) async fn list_users(
    by: Signed,
    query: Result<Query<Search>, QueryRejection>,
) -> Result<Json<Vec<Person>>, Error> {
    let Search { search, page } = query.map(|Query(search)| search).unwrap_or_default();
    let part = (page.saturating_mul(PEOPLE_ON_PAGE), PEOPLE_ON_PAGE);
    by.app.store.list_people(by.viewer(), search.trim(), part).await.map(Json)
}

/// `GET /api/users/{user_id}`
pub(super) async fn get_user(by: Signed, Path(user_id): Path<String>) -> Result<Json<Person>, Error> {
    by.app.store.load_person(by.viewer(), user_of(&user_id)?).await.map(Json)
}

/// The invite links.
#[component]
pub(super) fn Invites(
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
            (_, true) => (texts::invites::OPEN, "tag tag--ok"),
            (Invite { revoked_at: Some(_), .. }, _) => (texts::invites::ENDED, "tag"),
            (Invite { expires_at: Some(end), .. }, _) if *end <= now => (texts::invites::EXPIRED, "tag"),
            _ => (texts::invites::USED_UP, "tag"),
        };
        let mut person = "<span dir=\"auto\">".to_owned();
        push_escaped(&mut person, &invite.creator.name);
        person.push_str("</span>");
        let mut about = match invite.max_uses {
            Some(most) => texts::invites::by_of(most, person, invite.uses),
            None => texts::invites::by(person, invite.uses),
        };
        if let Some(end) = invite.expires_at {
            about = texts::invites::until(moment(end).to_html(), about);
        }
        let open = invite.is_open(now);
        let base = format!("/account/invites/{}", invite.id);
        let tools = open.then(|| {
            view! {
                <span class="row__end button-row">
                    <a class="button button--s" href=base.clone()>{texts::invites::QR_CODE}</a>
                    {may_end.then(|| act(
                        format!("{base}/end"), texts::invites::END, "button button--s button--danger",
                    ))}
                </span>
            }
        });
        view! {
            <li class=if open { "row" } else { "row row--faded" }>
                <span class="row__main">
                    <InviteLine invite=link/>
                    <span class="row__note">
                        <span class=state.1>{state.0}</span>" "<span inner_html=about></span>
                    </span>
                </span>
                {tools}
            </li>
        }
    });
    let days = InviteTerms::DAYS.map(|days| match days {
        0 => (days, texts::invites::NEVER_ENDS.to_owned()),
        _ => (days, texts::invites::days(days)),
    });
    let uses = InviteTerms::USES.map(|uses| match uses {
        0 => (uses, texts::invites::AS_MANY_AS_COME.to_owned()),
        _ => (uses, texts::invites::people(uses)),
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
                <h2 class="section__title" id="invite-title">{texts::invites::INVITE_PEOPLE}</h2>
                <p class="section__note">{texts::invites::ABOUT}</p>
            </div></div>
            <ul class="panel rows">{rows.collect_view()}</ul>
            <form class="form" action="/account/invites" method="post">
                {choice("days", texts::invites::WORKS_FOR, days)}
                {choice("max_uses", texts::invites::LETS_IN, uses)}
                <div class="button-row">
                    <button class="button button--primary" type="submit">{texts::invites::MAKE}</button>
                </div>
            </form>
        </section>
    }
}
