//! Pages, forms and calls about people: who they are, how they get in, what administrators decide.
//!
//! Every handler asks who it is, reads the request, makes one call and answers. Rights are checked
//! where the call ends, in the writer's transaction; pages that show nothing to others check them
//! here as well. The two families meet the same calls: forms answer with the page to look at next,
//! programs with JSON.

use super::super::App;
use super::super::store::access::{Purpose, Sessions};
use super::super::writer::people::TheirMessages;
use super::Answer;
use super::api::user as user_of;
use super::pages::quiet_page;
use super::request::{FormBody, JsonBody, Signed, Visitor, public_origin, theme};
use crate::domain::account::{Device, Person, Profile, Role, Status};
use crate::domain::error::Error;
use crate::domain::{SessionId, UserId};
use crate::ui;
use crate::ui::people::{Administration, Devices, OwnProfile, PasswordForm, People, PersonCard};
use crate::ui::rooms::{HiddenRooms, MessageButton};
use crate::ui::settings::LinkCard;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use fast_qr::QRBuilder;
use form_urlencoded::byte_serialize;
use leptos::view;
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

/// What part of the people is wanted.
#[derive(Default, Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    search: String,
    #[serde(default)]
    page: u32,
}

/// `GET /account/edit`
pub(super) async fn people(
    State(app): State<App>,
    Visitor(signed): Visitor,
    query: Result<Query<Search>, QueryRejection>,
    headers: HeaderMap,
) -> Answer {
    let Search { search, page } = query.map(|Query(search)| search).unwrap_or_default();
    let viewer = signed.viewer().clone();
    let part = (page.saturating_mul(PEOPLE_ON_PAGE), PEOPLE_ON_PAGE + 1);
    let mut people = app.store.list_people(&viewer, search.trim(), part).await?;
    let most = usize::try_from(PEOPLE_ON_PAGE).unwrap_or(usize::MAX);
    let more = people.len() > most;
    people.truncate(most);
    let address = |page: u32| {
        let search: String = byte_serialize(search.as_bytes()).collect();
        format!("/account/edit?search={search}&page={page}")
    };
    let around = (page.checked_sub(1).map(address), more.then(|| address(page.saturating_add(1))));
    let online = app.connections.online().iter().map(|user| user.id).collect();
    let html = ui::fragment(move || {
        view! { <People viewer=viewer people=people online=online search=search around=around/> }
    });
    quiet_page(&app, &signed, &headers, ("People", html)).await
}

/// `GET /users/{user_id}`
pub(super) async fn person(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path(user_id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let viewer = signed.viewer().clone();
    let person = app.store.load_person(&viewer, user_of(&user_id)?).await?;
    let online = app.connections.online().iter().any(|other| other.id == person.id);
    let (name, own) = (person.name.clone(), person.id == viewer.id);
    let manage = !own && viewer.may_administer() && person.role != Role::Bot;
    let theme = theme(&headers);
    let rooms = if own { app.load_rooms(viewer.id).await? } else { Vec::new() };
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
    quiet_page(&app, &signed, &headers, (&name, html)).await
}

/// What somebody says about themselves.
#[derive(Deserialize)]
pub(super) struct ProfileForm {
    name: String,
    email_address: String,
    #[serde(default)]
    bio: String,
}

/// `POST /users/me/profile`
pub(super) async fn change_profile(
    State(app): State<App>,
    Visitor(signed): Visitor,
    headers: HeaderMap,
    FormBody(form): FormBody<ProfileForm>,
) -> Answer {
    let viewer = signed.viewer().clone();
    let you = format!("/users/{}", viewer.id);
    let error = match save_profile(&app, &signed, &form).await {
        Ok(()) => return see(&you),
        Err(error @ (Error::Validation(_) | Error::RateLimited { .. })) => error,
        Err(error) => return Err(error),
    };
    let ProfileForm { name, email_address, bio } = form;
    let typed = Profile { name, email_address, bio };
    let (theme, status) = (theme(&headers), super::status_of(Some(&error)));
    let html = ui::fragment(move || {
        let error = Some(error);
        view! { <OwnProfile viewer=viewer profile=typed error=error reset=None theme=theme/> }
    });
    let page = quiet_page(&app, &signed, &headers, ("Your profile", html)).await?;
    Ok((status, page).into_response())
}

async fn save_profile(app: &App, signed: &Signed, form: &ProfileForm) -> Result<(), Error> {
    let profile = Profile::parse(&form.name, &form.email_address, &form.bio)?;
    app.auth.allow_link(signed.viewer().id)?;
    let (id, renamed) = (signed.viewer().id, signed.viewer().name != profile.name);
    app.writer.change_profile(id, profile).await?;
    if renamed {
        app.rename_mentions_of(id);
    }
    Ok(())
}

/// `PATCH /api/me`
pub(super) async fn patch_me(
    State(app): State<App>,
    signed: Signed,
    JsonBody(form): JsonBody<ProfileForm>,
) -> Result<StatusCode, Error> {
    save_profile(&app, &signed, &form).await.map(|()| StatusCode::NO_CONTENT)
}

/// The current password and a new one.
#[derive(Deserialize)]
pub(super) struct Passwords {
    current_password: String,
    password: String,
}

async fn password_page(
    app: &App,
    signed: &Signed,
    headers: &HeaderMap,
    error: Option<Error>,
) -> Answer {
    let (viewer, status) = (signed.viewer().clone(), super::status_of(error.as_ref()));
    let html = ui::fragment(move || view! { <PasswordForm viewer=viewer error=error/> });
    let page = quiet_page(app, signed, headers, ("Your password", html)).await?;
    Ok((status, page).into_response())
}

/// `GET /users/me/password`
pub(super) async fn password_form(
    State(app): State<App>,
    Visitor(signed): Visitor,
    headers: HeaderMap,
) -> Answer {
    password_page(&app, &signed, &headers, None).await
}

/// `POST /users/me/password`
pub(super) async fn change_password(
    State(app): State<App>,
    Visitor(signed): Visitor,
    headers: HeaderMap,
    FormBody(form): FormBody<Passwords>,
) -> Answer {
    let passwords = (form.current_password.as_str(), form.password.as_str());
    match app.auth.change_password(&signed.by.session, passwords).await {
        Ok(()) => see("/users/me/sessions"),
        Err(error @ (Error::Validation(_) | Error::RateLimited { .. })) => {
            password_page(&app, &signed, &headers, Some(error)).await
        }
        Err(error) => Err(error),
    }
}

/// `PUT /api/me/password`
pub(super) async fn put_password(
    State(app): State<App>,
    signed: Signed,
    JsonBody(form): JsonBody<Passwords>,
) -> Result<StatusCode, Error> {
    let passwords = (form.current_password.as_str(), form.password.as_str());
    app.auth.change_password(&signed.by.session, passwords).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn devices_of(app: &App, signed: &Signed) -> Result<Vec<Device>, Error> {
    app.store.list_devices(signed.viewer().id, signed.by.session.id, app.clock.now()).await
}

/// `GET /users/me/sessions`
pub(super) async fn devices(
    State(app): State<App>,
    Visitor(signed): Visitor,
    headers: HeaderMap,
) -> Answer {
    let (viewer, devices) = (signed.viewer().id, devices_of(&app, &signed).await?);
    let html = ui::fragment(move || view! { <Devices viewer=viewer devices=devices/> });
    quiet_page(&app, &signed, &headers, ("Your devices", html)).await
}

/// `GET /api/sessions`
pub(super) async fn list_sessions(
    State(app): State<App>,
    signed: Signed,
) -> Result<Json<Vec<Device>>, Error> {
    devices_of(&app, &signed).await.map(Json)
}

async fn end_one(app: &App, signed: &Signed, id: &str) -> Result<(), Error> {
    let id = id.parse().map(SessionId::new).map_err(|_| Error::NotFound)?;
    app.writer.end_sessions(signed.viewer().id, Sessions::One(id)).await
}

async fn end_others(app: &App, signed: &Signed) -> Result<(), Error> {
    app.writer.end_sessions(signed.viewer().id, Sessions::AllBut(signed.by.session.id)).await
}

/// `POST /users/me/sessions/{id}/end`
pub(super) async fn end_session(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path(id): Path<String>,
) -> Answer {
    end_one(&app, &signed, &id).await?;
    see("/users/me/sessions")
}

/// `POST /users/me/sessions/end`
pub(super) async fn end_sessions(State(app): State<App>, Visitor(signed): Visitor) -> Answer {
    end_others(&app, &signed).await?;
    see("/users/me/sessions")
}

/// `DELETE /api/sessions/{id}`
pub(super) async fn delete_session(
    State(app): State<App>,
    signed: Signed,
    Path(id): Path<String>,
) -> Result<StatusCode, Error> {
    end_one(&app, &signed, &id).await.map(|()| StatusCode::NO_CONTENT)
}

/// `DELETE /api/sessions`: all but the one that asks.
pub(super) async fn delete_sessions(
    State(app): State<App>,
    signed: Signed,
) -> Result<StatusCode, Error> {
    end_others(&app, &signed).await.map(|()| StatusCode::NO_CONTENT)
}

/// The address of a new link that works once.
async fn new_link(
    app: &App,
    signed: &Signed,
    headers: &HeaderMap,
    (purpose, user_id): (Purpose, UserId),
) -> Result<String, Error> {
    let token = app.auth.create_link(signed.viewer().id, (purpose, user_id)).await?;
    let kind = if purpose == Purpose::SignIn { "link" } else { "reset" };
    Ok(format!("{}/session/{kind}/{token}", public_origin(&app.config, headers)))
}

/// `POST /users/me/link`: shown once, because only its digest is stored.
pub(super) async fn sign_in_link(
    State(app): State<App>,
    Visitor(signed): Visitor,
    headers: HeaderMap,
) -> Answer {
    let own = (Purpose::SignIn, signed.viewer().id);
    let link = new_link(&app, &signed, &headers, own).await?;
    let html = ui::fragment(move || {
        let code = qr(&link, "QR code of the sign-in link");
        let note = "It signs in as you, once, within ten minutes. Pass it to nobody.";
        view! { <LinkCard link=link qr=code note=note back="/users/me/sessions".to_owned()/> }
    });
    quiet_page(&app, &signed, &headers, ("Sign in on another device", html)).await
}

/// `POST /users/{user_id}/reset`: shown once, because only its digest is stored.
pub(super) async fn reset_link(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path(user_id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let user_id = user_of(&user_id)?;
    let link = new_link(&app, &signed, &headers, (Purpose::Reset, user_id)).await?;
    let html = ui::fragment(move || {
        let code = qr(&link, "QR code of the password link");
        let note =
            "It sets a new password, once, within a day, and they will see that you made it.";
        view! { <LinkCard link=link qr=code note=note back=format!("/users/{user_id}")/> }
    });
    quiet_page(&app, &signed, &headers, ("Password link", html)).await
}

/// A link for a program.
#[derive(Serialize)]
pub(super) struct NewLink {
    url: String,
}

/// `POST /api/me/link`
pub(super) async fn post_sign_in_link(
    State(app): State<App>,
    signed: Signed,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<NewLink>), Error> {
    let own = (Purpose::SignIn, signed.viewer().id);
    let url = new_link(&app, &signed, &headers, own).await?;
    Ok((StatusCode::CREATED, Json(NewLink { url })))
}

/// `POST /api/users/{user_id}/reset`
pub(super) async fn post_reset_link(
    State(app): State<App>,
    signed: Signed,
    Path(user_id): Path<String>,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<NewLink>), Error> {
    let whose = (Purpose::Reset, user_of(&user_id)?);
    let url = new_link(&app, &signed, &headers, whose).await?;
    Ok((StatusCode::CREATED, Json(NewLink { url })))
}

/// What an administrator changes about somebody.
#[derive(Deserialize)]
pub(super) struct Change {
    #[serde(default)]
    role: Option<Role>,
    #[serde(default)]
    status: Option<Status>,
    #[serde(default)]
    remove_messages: bool,
}

async fn change(app: &App, signed: &Signed, user_id: &str, change: Change) -> Result<(), Error> {
    let (viewer, user_id) = (signed.viewer().id, user_of(user_id)?);
    app.auth.allow_link(viewer)?;
    if let Some(role) = change.role {
        app.writer.change_role(viewer, user_id, role).await?;
    }
    match (change.status, change.remove_messages) {
        (None, _) => Ok(()),
        (Some(Status::Banned), true) => app.ban_and_remove(viewer, user_id).await,
        (Some(status), _) => {
            let kept = (status, TheirMessages::Stay);
            app.writer.change_status(viewer, user_id, kept).await
        }
    }
}

/// `PATCH /api/users/{user_id}`
pub(super) async fn patch_user(
    State(app): State<App>,
    signed: Signed,
    Path(user_id): Path<String>,
    JsonBody(form): JsonBody<Change>,
) -> Result<StatusCode, Error> {
    change(&app, &signed, &user_id, form).await.map(|()| StatusCode::NO_CONTENT)
}

/// What the form of a role carries.
#[derive(Deserialize)]
pub(super) struct RoleForm {
    role: Role,
}

/// `POST /users/{user_id}/role`
pub(super) async fn change_role(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path(user_id): Path<String>,
    FormBody(form): FormBody<RoleForm>,
) -> Answer {
    let role = Change { role: Some(form.role), status: None, remove_messages: false };
    change(&app, &signed, &user_id, role).await?;
    see(&format!("/users/{}", user_of(&user_id)?))
}

async fn change_status(
    (app, signed): (&App, &Signed),
    user_id: &str,
    status: Status,
    remove_messages: bool,
) -> Answer {
    let wish = Change { role: None, status: Some(status), remove_messages };
    change(app, signed, user_id, wish).await?;
    see(&format!("/users/{}", user_of(user_id)?))
}

/// `POST /users/{user_id}/activate`: also lifts a ban.
pub(super) async fn activate(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path(user_id): Path<String>,
) -> Answer {
    change_status((&app, &signed), &user_id, Status::Active, false).await
}

/// `POST /users/{user_id}/deactivate`
pub(super) async fn deactivate(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path(user_id): Path<String>,
) -> Answer {
    change_status((&app, &signed), &user_id, Status::Deactivated, false).await
}

/// What the form of a ban carries.
#[derive(Deserialize)]
pub(super) struct BanForm {
    remove_messages: Option<String>,
}

/// `POST /users/{user_id}/ban`
pub(super) async fn ban(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path(user_id): Path<String>,
    FormBody(form): FormBody<BanForm>,
) -> Answer {
    let remove = form.remove_messages.is_some();
    change_status((&app, &signed), &user_id, Status::Banned, remove).await
}

/// `GET /api/users`
pub(super) async fn list_users(
    State(app): State<App>,
    signed: Signed,
    query: Result<Query<Search>, QueryRejection>,
) -> Result<Json<Vec<Person>>, Error> {
    let Search { search, page } = query.map(|Query(search)| search).unwrap_or_default();
    let part = (page.saturating_mul(PEOPLE_ON_PAGE), PEOPLE_ON_PAGE);
    app.store.list_people(signed.viewer(), search.trim(), part).await.map(Json)
}

/// `GET /api/users/{user_id}`
pub(super) async fn get_user(
    State(app): State<App>,
    signed: Signed,
    Path(user_id): Path<String>,
) -> Result<Json<Person>, Error> {
    app.store.load_person(signed.viewer(), user_of(&user_id)?).await.map(Json)
}
