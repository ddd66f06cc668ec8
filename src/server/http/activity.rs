//! What people add to each other's messages, and the page of what concerns somebody.

use super::super::writer::Created;
use super::Answer;
use super::api::message as message_id_of;
use super::pages::quiet_page;
use super::request::{FormBody, JsonBody, Signed, Visitor};
use crate::domain::error::Error;
use crate::domain::message::Boost;
use crate::domain::message::{Message, PAGE_SIZE};
use crate::domain::sidebar::Activity;
use crate::domain::{MessageId, RoomId, Seq};
use crate::ui;
use crate::ui::settings::{ActivityList, ReactForm};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use leptos::view;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Deserialize)]
pub(super) struct BoostForm {
    #[serde(default)]
    content: String,
}

/// `POST /api/messages/{id}/boosts`
pub(super) async fn add_boost(
    by: Signed,
    Path(id): Path<String>,
    JsonBody(form): JsonBody<BoostForm>,
) -> Result<(StatusCode, Json<Arc<Message>>), Error> {
    match boost(&by, message_id_of(&id)?, &form.content, true).await? {
        Created::New(message) => Ok((StatusCode::CREATED, Json(message))),
        Created::Duplicate(message) => Ok((StatusCode::OK, Json(message))),
    }
}

/// `DELETE /api/messages/{id}/boosts?content=`
pub(super) async fn remove_boost(
    by: Signed,
    Path(id): Path<String>,
    query: Result<Query<BoostForm>, QueryRejection>,
) -> Result<Json<Arc<Message>>, Error> {
    let Query(form) = query.map_err(|_| Error::Malformed("content is a text."))?;
    let done = boost(&by, message_id_of(&id)?, &form.content, false).await?;
    Ok(Json(Arc::clone(done.message())))
}

async fn boost(by: &Signed, id: MessageId, content: &str, wanted: bool) -> Result<Created, Error> {
    let boost = Boost::parse(content)?;
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.boost(by.viewer().id, id, boost, wanted).await
}

/// `GET /rooms/{room_id}/messages/{id}/boosts`: for browsers without scripts.
pub(super) async fn react_form(by: Visitor, Path((_, id)): Path<(String, String)>) -> Answer {
    react_page(&by, message_id_of(&id)?, None).await
}

async fn react_page(by: &Visitor, id: MessageId, problem: Option<(String, String)>) -> Answer {
    let message = by.app.store.load_message(by.viewer().id, id).await?;
    let status = match problem {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let html = ui::fragment(move || {
        view! { <ReactForm message=message problem=problem/> }
    });
    let page = quiet_page(by, ("React", html)).await?;
    Ok((status, page).into_response())
}

#[derive(Deserialize)]
pub(super) struct ReactionForm {
    content: Option<String>,
    remove: Option<String>,
}

/// `POST /rooms/{room_id}/messages/{id}/boosts`
pub(super) async fn react(
    by: Visitor,
    Path((_, id)): Path<(String, String)>,
    FormBody(form): FormBody<ReactionForm>,
) -> Answer {
    let id = message_id_of(&id)?;
    let wanted = form.remove.is_none();
    let content = form.remove.or(form.content).unwrap_or_default();
    match boost(&by, id, &content, wanted).await {
        Ok(done) => {
            let room_id = done.message().room_id;
            Ok(Redirect::to(&format!("/rooms/{room_id}/@{id}#m-{id}")).into_response())
        }
        Err(error @ Error::Validation(_)) => {
            let problem = Some((content, error.to_string()));
            react_page(&by, id, problem).await
        }
        Err(error) => Err(error),
    }
}

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
    by: &Signed,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<ActivityPage, Error> {
    let Query(wanted) = query.map_err(|_| Error::Malformed("before is a whole number."))?;
    // One more than wanted tells whether there are more.
    let read = by.app.store.list_activity(by.viewer().id, wanted.before, PAGE_SIZE + 1);
    let mut activity = read.await?;
    let has_more = activity.len() > PAGE_SIZE;
    activity.truncate(PAGE_SIZE);
    Ok(ActivityPage { activity, has_more })
}

/// `GET /api/activity?before=`
pub(super) async fn list_activity(
    by: Signed,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<ActivityPage>, Error> {
    load_activity(&by, query).await.map(Json)
}

/// `GET /activity?before=`
pub(super) async fn activity(by: Visitor, query: Result<Query<Wanted>, QueryRejection>) -> Answer {
    let ActivityPage { activity, has_more } = load_activity(&by, query).await?;
    let rooms = by.app.load_rooms(by.viewer().id).await?;
    let rooms: HashMap<RoomId, String> =
        rooms.into_iter().map(|room| (room.id, room.name)).collect();
    let html = ui::fragment(move || {
        view! { <ActivityList activity=activity rooms=rooms has_more=has_more/> }
    });
    quiet_page(&by, ("Activity", html)).await
}

#[derive(Deserialize)]
pub(super) struct SeenForm {
    seen: Seq,
}

/// `PUT /api/activity/seen`
pub(super) async fn put_seen(
    by: Signed,
    JsonBody(form): JsonBody<SeenForm>,
) -> Result<StatusCode, Error> {
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.see_activity(by.viewer().id, form.seen).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /activity/seen`: for browsers without scripts.
pub(super) async fn see(by: Visitor, FormBody(form): FormBody<SeenForm>) -> Answer {
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.see_activity(by.viewer().id, form.seen).await?;
    Ok(Redirect::to("/activity").into_response())
}
