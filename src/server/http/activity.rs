//! What people add to each other's messages, and the page of what concerns somebody.

use super::super::App;
use super::super::writer::Created;
use super::Answer;
use super::api::message as message_id_of;
use super::pages::quiet_page;
use super::request::{FormBody, JsonBody, Signed, Visitor};
use crate::domain::composing::Boost;
use crate::domain::error::Error;
use crate::domain::message::{Message, PAGE_SIZE};
use crate::domain::room::Activity;
use crate::domain::{MessageId, RoomId, Seq};
use crate::ui;
use crate::ui::settings::{ActivityList, ReactForm};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use leptos::view;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// What adding a boost takes, and what taking one back takes in the address.
#[derive(Deserialize)]
pub(super) struct BoostForm {
    #[serde(default)]
    content: String,
}

/// `POST /api/messages/{id}/boosts`
pub(super) async fn add_boost(
    State(app): State<App>,
    signed: Signed,
    Path(id): Path<String>,
    JsonBody(form): JsonBody<BoostForm>,
) -> Result<(StatusCode, Json<Arc<Message>>), Error> {
    match boost(&app, &signed, message_id_of(&id)?, &form.content, true).await? {
        Created::New(message) => Ok((StatusCode::CREATED, Json(message))),
        Created::Duplicate(message) => Ok((StatusCode::OK, Json(message))),
    }
}

/// `DELETE /api/messages/{id}/boosts?content=`
pub(super) async fn remove_boost(
    State(app): State<App>,
    signed: Signed,
    Path(id): Path<String>,
    query: Result<Query<BoostForm>, QueryRejection>,
) -> Result<Json<Arc<Message>>, Error> {
    let Query(form) = query.map_err(|_| Error::Malformed("content is a text."))?;
    let done = boost(&app, &signed, message_id_of(&id)?, &form.content, false).await?;
    Ok(Json(Arc::clone(done.message())))
}

async fn boost(
    app: &App,
    signed: &Signed,
    id: MessageId,
    content: &str,
    wanted: bool,
) -> Result<Created, Error> {
    let boost = Boost::parse(content)?;
    app.auth.allow_post(signed.viewer().id)?;
    app.writer.boost(signed.viewer().id, id, boost, wanted).await
}

/// `GET /rooms/{room_id}/messages/{id}/boosts`: for browsers without scripts.
pub(super) async fn react_form(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    react_page(&app, &signed, &headers, message_id_of(&id)?, None).await
}

async fn react_page(
    app: &App,
    signed: &Signed,
    headers: &HeaderMap,
    id: MessageId,
    problem: Option<(String, String)>,
) -> Answer {
    let message = app.store.load_message(signed.viewer().id, id).await?;
    let status = match problem {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let html = ui::fragment(move || {
        view! { <ReactForm message=message problem=problem/> }
    });
    let page = quiet_page(app, signed, headers, ("React", html)).await?;
    Ok((status, page).into_response())
}

/// Something to add, or to take back.
#[derive(Deserialize)]
pub(super) struct ReactionForm {
    content: Option<String>,
    remove: Option<String>,
}

/// `POST /rooms/{room_id}/messages/{id}/boosts`
pub(super) async fn react(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    FormBody(form): FormBody<ReactionForm>,
) -> Answer {
    let id = message_id_of(&id)?;
    let wanted = form.remove.is_none();
    let content = form.remove.or(form.content).unwrap_or_default();
    match boost(&app, &signed, id, &content, wanted).await {
        Ok(done) => {
            let room_id = done.message().room_id;
            Ok(Redirect::to(&format!("/rooms/{room_id}/@{id}#m-{id}")).into_response())
        }
        Err(error @ Error::Validation(_)) => {
            let problem = Some((content, error.to_string()));
            react_page(&app, &signed, &headers, id, problem).await
        }
        Err(error) => Err(error),
    }
}

/// Which part of what concerns somebody is wanted.
#[derive(Deserialize)]
pub(super) struct Wanted {
    before: Option<Seq>,
}

/// A page of what concerns somebody.
#[derive(Serialize)]
pub(super) struct ActivityPage {
    activity: Vec<Activity>,
    has_more: bool,
}

async fn load_activity(
    app: &App,
    signed: &Signed,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<ActivityPage, Error> {
    let Query(wanted) = query.map_err(|_| Error::Malformed("before is a whole number."))?;
    // One more than wanted tells whether there are more.
    let read = app.store.list_activity(signed.viewer().id, wanted.before, PAGE_SIZE + 1);
    let mut activity = read.await?;
    let has_more = activity.len() > PAGE_SIZE;
    activity.truncate(PAGE_SIZE);
    Ok(ActivityPage { activity, has_more })
}

/// `GET /api/activity?before=`
pub(super) async fn list_activity(
    State(app): State<App>,
    signed: Signed,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<ActivityPage>, Error> {
    load_activity(&app, &signed, query).await.map(Json)
}

/// `GET /activity?before=`
pub(super) async fn activity(
    State(app): State<App>,
    Visitor(signed): Visitor,
    query: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Answer {
    let ActivityPage { activity, has_more } = load_activity(&app, &signed, query).await?;
    let rooms = app.load_rooms(signed.viewer().id).await?;
    let rooms: HashMap<RoomId, String> =
        rooms.into_iter().map(|room| (room.id, room.name)).collect();
    let html = ui::fragment(move || {
        view! { <ActivityList activity=activity rooms=rooms has_more=has_more/> }
    });
    quiet_page(&app, &signed, &headers, ("Activity", html)).await
}

/// Up to which change somebody has seen what concerns them.
#[derive(Deserialize)]
pub(super) struct SeenForm {
    seen: Seq,
}

/// `PUT /api/activity/seen`
pub(super) async fn put_seen(
    State(app): State<App>,
    signed: Signed,
    JsonBody(form): JsonBody<SeenForm>,
) -> Result<StatusCode, Error> {
    app.auth.allow_post(signed.viewer().id)?;
    app.writer.see_activity(signed.viewer().id, form.seen).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /activity/seen`: for browsers without scripts.
pub(super) async fn see(
    State(app): State<App>,
    Visitor(signed): Visitor,
    FormBody(form): FormBody<SeenForm>,
) -> Answer {
    app.auth.allow_post(signed.viewer().id)?;
    app.writer.see_activity(signed.viewer().id, form.seen).await?;
    Ok(Redirect::to("/activity").into_response())
}
