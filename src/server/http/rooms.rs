//! Rooms: their pages, their forms and their part of the JSON API.
//!
//! Forms work without scripts: they post, and a redirect shows the result. A form says whom it
//! listed as well as whom it chose, because a page lists 500 people at most and must not remove the
//! rest; the others are found by name, and what was chosen stays in the list. Rights are the
//! writer's to judge; a page only leaves out what would be refused. What stands where there is no
//! room yet, and above the first one, is at the end.

use super::super::store::search::Candidate;
use super::super::writer::Opened;
use super::Answer;
use super::entrance::InviteLine;
use super::pages::quiet_page;
use super::request::{
    FormBody, JsonBody, Signed, Visitor, room as room_id_of, status_of, user as user_id_of,
};
use crate::domain::account::UserRef;
use crate::domain::error::Error;
use crate::domain::room::{
    Involvement, MAX_PICKED, NewRoom, Revision, Revoked, Room, RoomChange, RoomKind, SidebarRoom,
    may_change_room,
};
use crate::domain::search::folded;
use crate::domain::{RoomId, UserId};
use crate::texts;
use crate::ui;
use crate::ui::controls::{Icon, Mark};
use crate::ui::rooms::{Choice, DeleteRoom, DirectForm, RoomChoices, RoomFacts, RoomFields, RoomForm};
use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Deserialize)]
pub(super) struct CreateRoom {
    #[serde(default)]
    name: String,
    #[serde(default)]
    topic: String,
    kind: RoomKind,
    #[serde(default)]
    user_ids: BTreeSet<UserId>,
}

/// `POST /api/rooms`
pub(super) async fn create_room(
    by: Signed,
    JsonBody(form): JsonBody<CreateRoom>,
) -> Result<(StatusCode, Json<Room>), Error> {
    let room = NewRoom::parse(form.kind, &form.name, &form.topic, form.user_ids)?;
    by.app.auth.allow_room(by.viewer().id)?;
    match by.app.writer.open_room(by.viewer().id, room).await? {
        Opened::New(room) => Ok((StatusCode::CREATED, Json(room))),
        Opened::Existing(room) => Ok((StatusCode::OK, Json(room))),
    }
}

/// A room as one of its members sees it.
#[derive(Serialize)]
pub(super) struct RoomView {
    #[serde(flatten)]
    room: Room,
    creator: UserRef,
    involvement: Involvement,
    starred: bool,
    member_count: i64,
    /// The first of them by name; left out for open rooms, where everybody is.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<UserRef>>,
}

async fn view_room(by: &Signed, room_id: RoomId) -> Result<RoomView, Error> {
    let viewer = by.viewer().id;
    let details = by.app.store.load_room(viewer, room_id).await?;
    let room = details.head.room_for(viewer);
    Ok(RoomView {
        members: (room.kind != RoomKind::Open).then_some(details.members),
        room,
        creator: details.creator,
        involvement: details.membership.involvement,
        starred: details.membership.starred,
        member_count: details.member_count,
    })
}

/// `GET /api/rooms/{room_id}`
pub(super) async fn show_room(by: Signed, Path(room_id): Path<String>) -> Result<Json<RoomView>, Error> {
    view_room(&by, room_id_of(&room_id)?).await.map(Json)
}

#[derive(Deserialize)]
pub(super) struct ChangeRoom {
    name: Option<String>,
    topic: Option<String>,
    kind: Option<RoomKind>,
    user_ids: Option<BTreeSet<UserId>>,
}

/// `PATCH /api/rooms/{room_id}`
pub(super) async fn change_room(
    by: Signed,
    Path(room_id): Path<String>,
    JsonBody(form): JsonBody<ChangeRoom>,
) -> Answer {
    let (viewer, room_id) = (by.viewer(), room_id_of(&room_id)?);
    let revision = form.user_ids.map(|grant| Revision { grant, revoke: Revoked::Others });
    let (name, topic) = (form.name.as_deref(), form.topic.as_deref());
    let change = RoomChange::parse(name, topic, form.kind, revision)?;
    by.app.auth.allow_post(viewer.id)?;
    by.app.writer.change_room(viewer.id, room_id, change).await?;
    match view_room(&by, room_id).await {
        Ok(room) => Ok(Json(room).into_response()),
        // They have taken themselves out.
        Err(Error::NotFound) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => Err(error),
    }
}

/// `DELETE /api/rooms/{room_id}`
pub(super) async fn remove_room(by: Signed, Path(room_id): Path<String>) -> Result<StatusCode, Error> {
    remove(&by, room_id_of(&room_id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(by: &Signed, room_id: RoomId) -> Result<(), Error> {
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.remove_room(by.viewer().id, room_id).await?;
    // Its messages may take a while; nobody can reach them any more.
    by.app.tracker.spawn(super::super::remove_leftovers(by.app.clone()));
    Ok(())
}

/// `POST /api/rooms/{room_id}/leave`
pub(super) async fn leave_room(by: Signed, Path(room_id): Path<String>) -> Result<StatusCode, Error> {
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.leave_room(by.viewer().id, room_id_of(&room_id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A form with fields that may come more than once.
pub(super) struct Typed(Vec<(String, String)>);

impl Typed {
    fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    fn users(&self, name: &str) -> BTreeSet<UserId> {
        let values = self.0.iter().filter(|(field, _)| field == name);
        values.filter_map(|(_, value)| user_id_of(value).ok()).collect()
    }

    /// Whether somebody was looked for, rather than the form sent. The button comes first in the
    /// form, so Enter in another field presses it as well: then there is no name.
    fn looks(&self) -> bool {
        !self.text("look").is_empty() && !self.text("name_of").trim().is_empty()
    }

    fn kind(&self) -> RoomKind {
        match self.text("kind") {
            "closed" => RoomKind::Closed,
            _ => RoomKind::Open,
        }
    }
}

/// `GET /rooms/new`
pub(super) async fn new_room_form(by: Visitor) -> Answer {
    let account = by.app.find_account().await?.ok_or(Error::NotFound)?;
    if !account.may_create_rooms(by.viewer().role) {
        return Err(Error::Forbidden);
    }
    new_room_page(&by, (Typed(Vec::new()), None)).await
}

async fn new_room_page(by: &Visitor, (typed, error): (Typed, Option<Error>)) -> Answer {
    let status = status_of(error.as_ref());
    let (people, more) = choices(by, None, &typed).await?;
    let (name, topic) = (typed.text("name").to_owned(), typed.text("topic").to_owned());
    let fields = RoomFields { name, topic, kind: typed.kind(), people, more, error };
    let html = ui::fragment(move || view! { <RoomForm fields=fields room_id=None/> });
    let page = quiet_page(by, (texts::pages::NEW_ROOM, html)).await?;
    Ok((status, page).into_response())
}

/// Whom a form lists, and whether there are others: the first by name, or of those called as the
/// form asks; and everybody whose choice differs from what is stored, which would be lost with them.
async fn candidates(
    by: &Signed,
    room_id: Option<RoomId>,
    typed: &Typed,
) -> Result<(Vec<Candidate>, bool), Error> {
    let limit = if typed.0.is_empty() { MAX_PICKED + 1 } else { usize::MAX };
    let mut found = by.app.store.list_candidates(room_id, limit).await?;
    let (listed, chosen) = (typed.users("listed"), typed.users("user_ids"));
    let wanted = folded(typed.text("name_of").trim());
    let (all, mut room) = (found.len(), MAX_PICKED);
    found.retain(|one| {
        let id = one.user.id;
        let changed =
            if one.is_member { listed.contains(&id) && !chosen.contains(&id) } else { chosen.contains(&id) };
        let fits = room > 0 && folded(&one.user.name).contains(&wanted);
        room -= usize::from(fits);
        // Whoever made the room is how its rights are told.
        changed || fits || one.is_creator
    });
    let more = found.len() < all;
    Ok((found, more))
}

/// Whom the viewer may choose for a new room or a direct one. Those chosen already stay so.
async fn choices(by: &Signed, without: Option<UserId>, typed: &Typed) -> Result<(Vec<Choice>, bool), Error> {
    let (viewer, chosen) = (by.viewer().id, typed.users("user_ids"));
    let (found, more) = candidates(by, None, typed).await?;
    let found = found.into_iter().filter(|one| Some(one.user.id) != without);
    let choice = |one: Candidate| {
        let you = one.user.id == viewer;
        let (chosen, note) = (you || chosen.contains(&one.user.id), if you { texts::pages::YOU } else { "" });
        Choice { user: one.user, is_bot: one.is_bot, chosen, fixed: you, note }
    };
    Ok((found.map(choice).collect(), more))
}

/// `POST /rooms`
pub(super) async fn post_room(by: Visitor, FormBody(form): FormBody<Vec<(String, String)>>) -> Answer {
    let typed = Typed(form);
    if typed.looks() {
        return new_room_page(&by, (typed, None)).await;
    }
    let people = typed.users("user_ids");
    match NewRoom::parse(typed.kind(), typed.text("name"), typed.text("topic"), people) {
        Ok(room) => open(&by, room).await,
        Err(error) => new_room_page(&by, (typed, Some(error))).await,
    }
}

async fn open(by: &Signed, room: NewRoom) -> Answer {
    by.app.auth.allow_room(by.viewer().id)?;
    let opened = by.app.writer.open_room(by.viewer().id, room).await?;
    Ok(to_room(opened.room().id))
}

fn to_room(room_id: RoomId) -> Response {
    Redirect::to(&format!("/rooms/{room_id}")).into_response()
}

/// `GET /rooms/directs/new`
pub(super) async fn new_direct_form(by: Visitor) -> Answer {
    direct_page(&by, (Typed(Vec::new()), None)).await
}

async fn direct_page(by: &Visitor, (typed, error): (Typed, Option<Error>)) -> Answer {
    let status = status_of(error.as_ref());
    let (people, more) = choices(by, Some(by.viewer().id), &typed).await?;
    let html = ui::fragment(move || view! { <DirectForm people=people more=more error=error/> });
    let page = quiet_page(by, (texts::pages::NEW_DIRECT, html)).await?;
    Ok((status, page).into_response())
}

/// `POST /rooms/directs`
pub(super) async fn post_direct(by: Visitor, FormBody(form): FormBody<Vec<(String, String)>>) -> Answer {
    let typed = Typed(form);
    if typed.looks() {
        return direct_page(&by, (typed, None)).await;
    }
    match NewRoom::parse(RoomKind::Direct, "", "", typed.users("user_ids")) {
        Ok(room) => open(&by, room).await,
        Err(error) => direct_page(&by, (typed, Some(error))).await,
    }
}

/// `GET /rooms/{room_id}/edit`. Errors: [`Error::NotFound`] for a stranger; [`Error::Unavailable`].
pub(super) async fn settings(by: Visitor, Path(room_id): Path<String>) -> Answer {
    settings_page(&by, room_id_of(&room_id)?, (Typed(Vec::new()), None)).await
}

async fn settings_page(by: &Visitor, room_id: RoomId, (typed, error): (Typed, Option<Error>)) -> Answer {
    let viewer = by.viewer();
    // All rooms at once: the page needs the list anyway, and one of them may be invisible.
    let rooms = by.app.load_rooms(viewer.id).await?;
    let room = rooms.into_iter().find(|room| room.id == room_id).ok_or(Error::NotFound)?;
    let (found, more) = candidates(by, Some(room_id), &typed).await?;
    let may = found.iter().find(|one| one.is_creator).map_or(UserId::new(0), |creator| creator.user.id);
    let may = may_change_room(viewer, room.kind, may);
    let title = texts::pages::room_settings(&room.name);
    let sent = error.is_some() || !typed.0.is_empty();
    let (status, form) = match (may, sent) {
        (true, _) => {
            let status = status_of(error.as_ref());
            let fields = fields(&room, (found, more), (&typed, error));
            let form = move || view! { <RoomForm fields=fields room_id=Some(room_id)/> };
            (status, ui::fragment(form))
        }
        (false, true) => return Err(Error::Forbidden),
        (false, false) => {
            let members = found.into_iter().filter(|one| one.is_member).map(|one| one.user);
            let (room, members) = (room.clone(), members.collect());
            let facts = move || view! { <RoomFacts room=room members=members/> };
            (StatusCode::OK, ui::fragment(facts))
        }
    };
    let html = form + &ui::fragment(move || view! { <RoomChoices room=room may_delete=may/> });
    let page = quiet_page(by, (&title, html)).await?;
    Ok((status, page).into_response())
}

fn fields(
    room: &SidebarRoom,
    (found, more): (Vec<Candidate>, bool),
    (typed, error): (&Typed, Option<Error>),
) -> RoomFields {
    let (listed, chosen) = (typed.users("listed"), typed.users("user_ids"));
    let choice = |one: Candidate| {
        let id = one.user.id;
        let chosen = chosen.contains(&id) || one.is_member && !listed.contains(&id);
        let note = if one.is_creator { texts::pages::CREATED_THIS_ROOM } else { "" };
        Choice { user: one.user, is_bot: one.is_bot, chosen, fixed: false, note }
    };
    let people = found.into_iter().map(choice).collect();
    let (name, topic, kind) = match typed.0.is_empty() {
        true => (room.name.as_str(), room.topic.as_str(), room.kind),
        false => (typed.text("name"), typed.text("topic"), typed.kind()),
    };
    let (name, topic) = (name.to_owned(), topic.to_owned());
    RoomFields { name, topic, kind, people, more, error }
}

/// `POST /rooms/{room_id}/edit`
pub(super) async fn change_settings(
    by: Visitor,
    Path(room_id): Path<String>,
    FormBody(form): FormBody<Vec<(String, String)>>,
) -> Answer {
    let (room_id, typed) = (room_id_of(&room_id)?, Typed(form));
    if typed.looks() {
        return settings_page(&by, room_id, (typed, None)).await;
    }
    let kind = typed.kind();
    let revision = (kind == RoomKind::Closed)
        .then(|| Revision { grant: typed.users("user_ids"), revoke: Revoked::These(typed.users("listed")) });
    let (name, topic) = (Some(typed.text("name")), Some(typed.text("topic")));
    match RoomChange::parse(name, topic, Some(kind), revision) {
        Ok(change) => {
            by.app.auth.allow_post(by.viewer().id)?;
            by.app.writer.change_room(by.viewer().id, room_id, change).await?;
            let stays = by.app.find_room(by.viewer().id, room_id).await?.is_some();
            Ok(if stays { to_room(room_id) } else { Redirect::to("/").into_response() })
        }
        Err(error) => settings_page(&by, room_id, (typed, Some(error))).await,
    }
}

/// `GET /rooms/{room_id}/delete`.
/// Errors: [`Error::NotFound`] for a stranger; [`Error::Forbidden`] for a member who may not.
pub(super) async fn delete_form(by: Visitor, Path(room_id): Path<String>) -> Answer {
    let (viewer, room_id) = (by.viewer(), room_id_of(&room_id)?);
    let head = by.app.store.load_room(viewer.id, room_id).await?.head;
    if !may_change_room(viewer, head.room.kind, head.creator_id) {
        return Err(Error::Forbidden);
    }
    let name = head.room.name;
    let html = ui::fragment(move || view! { <DeleteRoom room_id=room_id name=name/> });
    quiet_page(&by, (texts::pages::DELETE_ROOM, html)).await
}

/// `POST /rooms/{room_id}/delete`.
/// Errors: [`Error::NotFound`], [`Error::Forbidden`]; those of the writer.
pub(super) async fn delete_room(by: Visitor, Path(room_id): Path<String>) -> Answer {
    remove(&by, room_id_of(&room_id)?).await?;
    Ok(Redirect::to("/").into_response())
}

/// `POST /rooms/{room_id}/leave`. Errors: [`Error::NotFound`]; those of the writer.
pub(super) async fn leave(by: Visitor, Path(room_id): Path<String>) -> Answer {
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.leave_room(by.viewer().id, room_id_of(&room_id)?).await?;
    Ok(Redirect::to("/").into_response())
}

/// `POST /rooms/{room_id}/involvement`.
/// Errors: [`Error::NotFound`]; [`Error::Validation`] for a word that is no involvement.
pub(super) async fn involve(
    by: Visitor,
    Path(room_id): Path<String>,
    FormBody(form): FormBody<Vec<(String, String)>>,
) -> Answer {
    let (viewer, room_id, typed) = (by.viewer().id, room_id_of(&room_id)?, Typed(form));
    let involvement = Involvement::parse(typed.text("involvement"))
        .ok_or_else(|| Error::invalid("involvement", texts::errors::INVOLVEMENT))?;
    by.app.auth.allow_post(viewer)?;
    by.app.writer.change_involvement(viewer, room_id, involvement).await?;
    if typed.text("back") == "profile" {
        return Ok(Redirect::to(&format!("/users/{viewer}")).into_response());
    }
    Ok(to_room(room_id))
}

/// `POST /rooms/{room_id}/star`. Errors: [`Error::NotFound`]; those of the writer.
pub(super) async fn star(
    by: Visitor,
    Path(room_id): Path<String>,
    FormBody(form): FormBody<Vec<(String, String)>>,
) -> Answer {
    let (viewer, room_id) = (by.viewer().id, room_id_of(&room_id)?);
    by.app.auth.allow_post(viewer)?;
    by.app.writer.star_room(viewer, room_id, Typed(form).text("starred") == "true").await?;
    Ok(to_room(room_id))
}

/// `GET /api/rooms`
pub(super) async fn list_rooms(by: Signed) -> Result<Json<Vec<SidebarRoom>>, Error> {
    by.app.load_sidebar(by.viewer().id).await.map(Json)
}

#[derive(Deserialize)]
pub(super) struct Involve {
    involvement: Involvement,
}

/// `PUT /api/rooms/{room_id}/involvement`
pub(super) async fn change_involvement(
    by: Signed,
    Path(room_id): Path<String>,
    JsonBody(form): JsonBody<Involve>,
) -> Result<StatusCode, Error> {
    let (viewer, room_id) = (by.viewer().id, room_id_of(&room_id)?);
    by.app.auth.allow_post(viewer)?;
    by.app.writer.change_involvement(viewer, room_id, form.involvement).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Star {
    starred: bool,
}

/// `PUT /api/rooms/{room_id}/star`
pub(super) async fn star_room(
    by: Signed,
    Path(room_id): Path<String>,
    JsonBody(form): JsonBody<Star>,
) -> Result<StatusCode, Error> {
    let (viewer, room_id) = (by.viewer().id, room_id_of(&room_id)?);
    by.app.auth.allow_post(viewer)?;
    by.app.writer.star_room(viewer, room_id, form.starred).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// There is no room to show.
#[component]
pub(super) fn NoRooms() -> impl IntoView {
    view! {
        <section class="panel" aria-label=texts::pages::NO_ROOMS>
            <div class="empty">
                <Mark/>
                <h2 class="empty__title">{texts::pages::NO_ROOMS}</h2>
                <p class="empty__text">{texts::pages::MAKE_A_ROOM}</p>
                <div class="button-row">
                    <a class="button button--ember" href="/rooms/new">
                        <Icon name="plus" class="icon icon--s"/>{texts::pages::NEW_ROOM}
                    </a>
                </div>
            </div>
        </section>
    }
}

/// What the first administrator sees in the first room: how to bring the others in.
#[component]
pub(super) fn WelcomeCard(
    /// The invite link.
    invite: String,
) -> impl IntoView {
    view! {
        <Mark/>
        <div class="stack">
            <h2 class="empty__title">{texts::welcome::TITLE}</h2>
            <p class="empty__text">
                {texts::welcome::INVITE}
            </p>
            <InviteLine invite=invite/>
        </div>
    }
}
