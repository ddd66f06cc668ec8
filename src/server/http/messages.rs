//! What is said: a room's history, writing, editing and deleting, reactions, and whom a message can
//! name, as forms and as JSON.
//!
//! Each handler asks who it is, reads the request, makes one call and answers. Forms work without
//! scripts; what was typed comes back with its problem. The pages of such a form stand beside their
//! handlers.

use super::super::rich_text::may_mention;
use super::super::store::messages::Position;
use super::super::store::search::{Nameable, Place};
use super::super::writer::Created;
use super::Answer;
use super::pages::{quiet_page, room_page};
use super::request::{FormBody, JsonBody, Signed, Visitor, form_message_id, message, room};
use crate::domain::account::UserRef;
use crate::domain::composing::{Boost, QUICK_BOOSTS};
use crate::domain::error::Error;
use crate::domain::event::MAX_CHANGES;
use crate::domain::message::{ClientMessageId, Draft, Message, MessagePage, PAGE_SIZE, Quote};
use crate::domain::search::rank;
use crate::domain::{MessageId, RoomId, Seq, UserId};
use crate::texts;
use crate::ui;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// People a look-up by name answers with at most.
const MAX_FOUND: usize = 50;

#[derive(Deserialize)]
pub(super) struct History {
    limit: Option<usize>,
    before: Option<MessageId>,
    after: Option<MessageId>,
    around: Option<MessageId>,
    since: Option<Seq>,
}

/// `GET /api/rooms/{room_id}/messages`
pub(super) async fn list_messages(
    by: Signed,
    Path(room_id): Path<String>,
    query: Result<Query<History>, QueryRejection>,
) -> Result<Json<MessagePage>, Error> {
    let Query(history) = query.map_err(|_| Error::Malformed(texts::errors::HISTORY))?;
    let given = [
        history.before.map(Position::Before),
        history.after.map(Position::After),
        history.around.map(Position::Around),
        history.since.map(Position::Since),
    ];
    let position = match given.iter().flatten().collect::<Vec<_>>().as_slice() {
        [] => Position::Newest,
        [one] => **one,
        _ => return Err(Error::Malformed(texts::errors::ONE_POSITION)),
    };
    let limit = history.limit.unwrap_or(PAGE_SIZE).clamp(1, MAX_CHANGES);
    let found = by.app.load_page(by.viewer().id, room(&room_id)?, position, limit).await?;
    Ok(Json(found.page))
}

#[derive(Deserialize)]
pub(super) struct CreateMessage {
    body: String,
    client_message_id: String,
    reply_to: Option<MessageId>,
}

/// `POST /api/rooms/{room_id}/messages`
pub(super) async fn create_message(
    by: Signed,
    Path(room_id): Path<String>,
    JsonBody(form): JsonBody<CreateMessage>,
) -> Result<(StatusCode, Json<Arc<Message>>), Error> {
    let room_id = room(&room_id)?;
    let draft = Draft::parse(&form.body)?;
    let id = ClientMessageId::parse(&form.client_message_id)?;
    by.app.auth.allow_post(by.viewer().id)?;
    let text = by.app.render(by.viewer(), Place::Room(room_id), &draft).await?;
    let author = by.viewer().as_author();
    match by.app.writer.create_reply((room_id, form.reply_to), author, id, text).await? {
        Created::New(message) => Ok((StatusCode::CREATED, Json(message))),
        Created::Duplicate(message) => Ok((StatusCode::OK, Json(message))),
    }
}

#[derive(Deserialize)]
pub(super) struct EditMessage {
    body: String,
}

/// `PATCH /api/messages/{id}`
pub(super) async fn edit_message(
    by: Signed,
    Path(id): Path<String>,
    JsonBody(form): JsonBody<EditMessage>,
) -> Result<Json<Arc<Message>>, Error> {
    let (id, draft) = (message(&id)?, Draft::parse(&form.body)?);
    by.app.auth.allow_post(by.viewer().id)?;
    let text = by.app.render(by.viewer(), Place::RoomOf(id), &draft).await?;
    by.app.writer.edit_message(by.viewer().clone(), id, text).await.map(Json)
}

/// `DELETE /api/messages/{id}`
pub(super) async fn remove_message(by: Signed, Path(id): Path<String>) -> Result<StatusCode, Error> {
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.remove_message(by.viewer().clone(), message(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct ReadRoom {
    message_id: MessageId,
}

/// `PUT /api/rooms/{room_id}/read`
pub(super) async fn read_room(
    by: Signed,
    Path(room_id): Path<String>,
    JsonBody(form): JsonBody<ReadRoom>,
) -> Result<StatusCode, Error> {
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.read_room(by.viewer().id, room(&room_id)?, form.message_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /api/rooms/{room_id}/unread`
pub(super) async fn mark_unread(
    by: Signed,
    Path(room_id): Path<String>,
    JsonBody(form): JsonBody<ReadRoom>,
) -> Result<StatusCode, Error> {
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.mark_unread(by.viewer().id, room(&room_id)?, form.message_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
    room: Option<RoomId>,
}

/// `GET /api/people?q=&room=`: active people whose name, a word of it or whose initials begin so,
/// at most 50. Whoever may mention everybody in the room finds `everyone` among them, with id 0.
/// Errors: As JSON; [`Error::NotFound`] for a stranger to the room.
pub(super) async fn list_people(
    by: Signed,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Vec<UserRef>>, Error> {
    let Query(wanted) = query.map_err(|_| Error::Malformed(texts::errors::PEOPLE_QUERY))?;
    let place = wanted.room.map_or(Place::Account, Place::Room);
    let Nameable { mut people, is_creator, .. } = by.app.store.list_names(by.viewer().id, place).await?;
    if people.is_empty() {
        return Err(Error::NotFound);
    }
    if wanted.room.is_some() && (is_creator || by.viewer().may_administer()) {
        people.push(UserRef { id: UserId::new(0), name: texts::mentions::EVERYONE.to_owned() });
    }
    let fit = |user: &UserRef| rank(&user.name, &wanted.q).filter(|rank| *rank < 3);
    people.retain(|user| fit(user).is_some());
    people.sort_by_cached_key(fit);
    people.truncate(MAX_FOUND);
    Ok(Json(people))
}

#[derive(Deserialize)]
pub(super) struct Preview {
    body: String,
}

/// What a message would look like.
#[derive(Serialize)]
pub(super) struct Previewed {
    body_html: String,
}

/// `POST /api/rooms/{room_id}/preview`: the HTML that a message would have. Nothing is stored.
pub(super) async fn preview(
    by: Signed,
    Path(room_id): Path<String>,
    JsonBody(form): JsonBody<Preview>,
) -> Result<Json<Previewed>, Error> {
    let (room_id, draft) = (room(&room_id)?, Draft::parse(&form.body)?);
    // Looking up names finds out as well.
    if !may_mention(&draft) && !by.app.is_member(by.viewer().id, room_id).await? {
        return Err(Error::NotFound);
    }
    by.app.auth.allow_post(by.viewer().id)?;
    let text = by.app.render(by.viewer(), Place::Room(room_id), &draft).await?;
    Ok(Json(Previewed { body_html: text.html }))
}

#[derive(Deserialize)]
pub(super) struct MessageForm {
    body: String,
    /// How far the page went that the form stood on.
    #[serde(default)]
    after: i64,
    /// The message that is answered.
    reply_to: Option<MessageId>,
}

/// `POST /rooms/{room_id}/messages`
pub(super) async fn post_message(
    by: Visitor,
    Path(room_id): Path<String>,
    FormBody(form): FormBody<MessageForm>,
) -> Answer {
    let room_id = room(&room_id)?;
    let viewer = by.viewer().id;
    // The same words from the same page, as a double click sends them, are the same message.
    let id = form_message_id((viewer, room_id, Seq::new(form.after)), &form.body);
    let allowed = by.app.auth.allow_post(viewer);
    let draft = allowed.and_then(|()| Draft::parse(&form.body));
    match draft {
        Ok(draft) => {
            let text = by.app.render(by.viewer(), Place::Room(room_id), &draft).await?;
            let author = by.viewer().as_author();
            by.app.writer.create_reply((room_id, form.reply_to), author, id, text).await?;
            Ok(Redirect::to(&format!("/rooms/{room_id}")).into_response())
        }
        Err(error) => {
            let unsent = Some((form.body, error.to_string()));
            let answered = form.reply_to.map(|id| (id, true));
            room_page(&by, room_id, (unsent, answered)).await
        }
    }
}

/// `POST /rooms/{room_id}/read`: for browsers without scripts.
/// Errors: [`Error::NotFound`] for a stranger; those of the writer.
pub(super) async fn see_room(by: Visitor, Path(room_id): Path<String>) -> Answer {
    let room_id = room(&room_id)?;
    by.app.auth.allow_post(by.viewer().id)?;
    // Beyond every message: the cursor stops at the newest.
    by.app.writer.read_room(by.viewer().id, room_id, MessageId::new(i64::MAX)).await?;
    Ok(Redirect::to(&format!("/rooms/{room_id}")).into_response())
}

/// `GET /rooms/{room_id}/messages/{id}/edit`: for browsers without scripts.
/// Errors: [`Error::NotFound`] for a stranger; [`Error::Forbidden`] for another's message.
pub(super) async fn edit_message_form(by: Visitor, Path((_, id)): Path<(String, String)>) -> Answer {
    edit_page(&by, message(&id)?, None).await
}

async fn edit_page(by: &Visitor, id: MessageId, problem: Option<(String, String)>) -> Answer {
    let viewer = by.viewer();
    let mut message = by.app.store.load_message(viewer.id, id).await?;
    if message.creator.id != viewer.id && !viewer.may_administer() {
        return Err(Error::Forbidden);
    }
    let (typed, problem) = problem.unzip();
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    message.body = typed.unwrap_or(message.body);
    let html = ui::fragment(move || view! { <EditMessageForm message=message problem=problem/> });
    let page = quiet_page(by, (texts::forms::EDIT_TITLE, html)).await?;
    Ok((status, page).into_response())
}

/// A message's text.
#[component]
pub(super) fn EditMessageForm(
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
                <label class="field__label" for="body">{texts::forms::TEXT}</label>
                <textarea class="input" id="body" name="body" dir="auto"
                    aria-invalid=wrong.then_some("true")
                    aria-describedby=wrong.then_some("body-note")>{message.body}</textarea>
                {problem.map(|sentence| {
                    view! { <p class="field__error" id="body-note">{sentence}</p> }
                })}
            </div>
            <div class="button-row">
                <button class="button button--primary" type="submit">{texts::forms::SAVE}</button>
                <a class="button button--plain" href=format!("/rooms/{}", message.room_id)>
                    {texts::forms::CANCEL}
                </a>
            </div>
        </form>
        <form class="form" action=format!("{base}/delete") method="post">
            <div class="button-row">
                <button class="button button--danger" type="submit">{texts::forms::DELETE_MESSAGE}</button>
            </div>
        </form>
    }
}

/// `POST /rooms/{room_id}/messages/{id}/edit`.
/// Errors: [`Error::NotFound`], [`Error::Forbidden`]; those of the writer.
pub(super) async fn change_message(
    by: Visitor,
    Path((_, id)): Path<(String, String)>,
    FormBody(form): FormBody<MessageForm>,
) -> Answer {
    let id = message(&id)?;
    by.app.auth.allow_post(by.viewer().id)?;
    match Draft::parse(&form.body) {
        Ok(draft) => {
            let viewer = by.viewer().clone();
            let text = by.app.render(&viewer, Place::RoomOf(id), &draft).await?;
            let edited = by.app.writer.edit_message(viewer, id, text).await?;
            Ok(Redirect::to(&format!("/rooms/{}", edited.room_id)).into_response())
        }
        Err(error) => {
            let problem = Some((form.body, error.to_string()));
            edit_page(&by, id, problem).await
        }
    }
}

/// `POST /rooms/{room_id}/messages/{id}/delete`.
/// Errors: [`Error::NotFound`], [`Error::Forbidden`]; those of the writer.
pub(super) async fn delete_message(by: Visitor, Path((room_id, id)): Path<(String, String)>) -> Answer {
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.remove_message(by.viewer().clone(), message(&id)?).await?;
    Ok(Redirect::to(&format!("/rooms/{}", room(&room_id)?)).into_response())
}

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
    match boost(&by, message(&id)?, &form.content, true).await? {
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
    let Query(form) = query.map_err(|_| Error::Malformed(texts::errors::CONTENT_QUERY))?;
    let done = boost(&by, message(&id)?, &form.content, false).await?;
    Ok(Json(Arc::clone(done.message())))
}

async fn boost(by: &Signed, id: MessageId, content: &str, wanted: bool) -> Result<Created, Error> {
    let boost = Boost::parse(content)?;
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.boost(by.viewer().id, id, boost, wanted).await
}

/// `GET /rooms/{room_id}/messages/{id}/boosts`: for browsers without scripts.
pub(super) async fn react_form(by: Visitor, Path((_, id)): Path<(String, String)>) -> Answer {
    react_page(&by, message(&id)?, None).await
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
    let page = quiet_page(by, (texts::forms::REACT_TITLE, html)).await?;
    Ok((status, page).into_response())
}

/// What can be added to a message, and the way to answer it, for browsers without scripts.
#[component]
pub(super) fn ReactForm(
    /// The message.
    message: Message,
    /// What was typed, and what is wrong with it.
    problem: Option<(String, String)>,
) -> impl IntoView {
    let base = format!("/rooms/{}/messages/{}/boosts", message.room_id, message.id);
    let place = format!("/rooms/{}/@{}", message.room_id, message.id);
    let quote = Quote::new(message.id, message.creator.clone(), message.texts());
    let quick = QUICK_BOOSTS.map(|(emoji, name)| {
        view! {
            <button class="icon-button" name="content" value=emoji title=name
                aria-label=texts::forms::react_with(name)>{emoji}</button>
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
            <a class="button" href=format!("{place}?reply=1#body")>{texts::forms::REPLY}</a>
        </div>
        <form class="form" action=base.clone() method="post">
            <div class="button-row">{quick.collect_view()}</div>
        </form>
        <form class="form" action=base method="post">
            <div class="field">
                <label class="field__label" for="content">{texts::forms::REACTION}</label>
                <input class="input" id="content" name="content" value=typed autocomplete="off"
                    dir="auto" aria-invalid=wrong.then_some("true")
                    aria-describedby=wrong.then_some("content-note")/>
                {problem.map(|sentence| {
                    view! { <p class="field__error" id="content-note">{sentence}</p> }
                })}
            </div>
            <div class="button-row">
                <button class="button button--primary" type="submit">{texts::forms::ADD}</button>
                <a class="button button--plain" href=place>{texts::forms::BACK}</a>
            </div>
        </form>
    }
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
    let id = message(&id)?;
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
