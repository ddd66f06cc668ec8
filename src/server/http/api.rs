//! The JSON API and the socket's front door. Each handler asks who it is, reads the request, makes
//! one call and answers.

use super::super::App;
use super::super::auth::{Client, SignedIn};
use super::super::connections::MAX_TABS;
use super::super::rich_text::{EVERYBODY, may_mention};
use super::super::socket;
use super::super::store::access::Session;
use super::super::store::messages::Position;
use super::super::store::search::{Nameable, Place};
use super::super::writer::Created;
use super::pages::{save_account, save_styles};
use super::request::{JsonBody, Signed, expired_cookie, may_open_socket, session_cookie};
use super::{metrics_text, request};
use crate::domain::account::{NewUser, Role, UserRef, Viewer};
use crate::domain::error::Error;
use crate::domain::event::MAX_CHANGES;
use crate::domain::message::{ClientMessageId, Draft, Message, MessagePage, PAGE_SIZE};
use crate::domain::room::Involvement;
use crate::domain::sidebar::{SidebarRoom, rank};
use crate::domain::{MessageId, RoomId, Seq, Timestamp, UserId};
use axum::Json;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;

/// People a look-up by name answers with at most.
const MAX_FOUND: usize = 50;

/// The viewer as they see themselves.
#[derive(Serialize)]
pub(super) struct Me {
    id: UserId,
    name: String,
    email_address: String,
    role: Role,
    /// The session's token, once, for programs that do not keep cookies.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl Me {
    fn new(session: &Session, token: Option<String>) -> Self {
        let Viewer { id, name, email_address, role } = session.viewer.clone();
        Self { id, name, email_address, role, token }
    }
}

fn signed_in(app: &App, by: SignedIn) -> Response {
    let cookie = session_cookie(&app.config, &by.token);
    let me = Me::new(&by.session, Some(by.token));
    (StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(me)).into_response()
}

#[derive(Deserialize)]
pub(super) struct SignUp {
    account_name: Option<String>,
    name: String,
    email_address: String,
    password: String,
}

/// `POST /api/first_run`
pub(super) async fn first_run(
    State(app): State<App>,
    client: Client,
    JsonBody(form): JsonBody<SignUp>,
) -> Result<Response, Error> {
    let user = NewUser::parse(&form.name, &form.email_address, &form.password)?;
    let account_name = form.account_name.as_deref().unwrap_or("Campfire");
    Ok(signed_in(&app, app.auth.first_run(account_name, user, &client).await?))
}

/// `POST /api/join/{code}`
pub(super) async fn join(
    State(app): State<App>,
    Path(code): Path<String>,
    client: Client,
    JsonBody(form): JsonBody<SignUp>,
) -> Result<Response, Error> {
    let user = NewUser::parse(&form.name, &form.email_address, &form.password)?;
    Ok(signed_in(&app, app.auth.join(&code, user, &client).await?))
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    email_address: String,
    password: String,
}

/// `POST /api/session`
pub(super) async fn sign_in(
    State(app): State<App>,
    client: Client,
    JsonBody(form): JsonBody<SignIn>,
) -> Result<Response, Error> {
    Ok(signed_in(&app, app.auth.sign_in(&form.email_address, &form.password, &client).await?))
}

/// `DELETE /api/session`
pub(super) async fn sign_out(by: Signed) -> Result<Response, Error> {
    by.app.auth.sign_out(&by.token, &by.session).await?;
    let cookie = expired_cookie(&by.app.config);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// `GET /api/me`
pub(super) async fn me(by: Signed) -> Json<Me> {
    Json(Me::new(&by.session, None))
}

/// `GET /api/rooms`
pub(super) async fn list_rooms(by: Signed) -> Result<Json<Vec<SidebarRoom>>, Error> {
    by.app.load_sidebar(by.viewer().id).await.map(Json)
}

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
    query: Result<Query<History>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<MessagePage>, Error> {
    let Query(history) = query.map_err(|_| {
        Error::Malformed("limit and the position are whole numbers; give one position at most.")
    })?;
    let given = [
        history.before.map(Position::Before),
        history.after.map(Position::After),
        history.around.map(Position::Around),
        history.since.map(Position::Since),
    ];
    let position = match given.iter().flatten().collect::<Vec<_>>().as_slice() {
        [] => Position::Newest,
        [one] => **one,
        _ => return Err(Error::Malformed("Give one of before, after, around and since.")),
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
pub(super) async fn remove_message(
    by: Signed,
    Path(id): Path<String>,
) -> Result<StatusCode, Error> {
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

/// `PATCH /api/account`
pub(super) async fn patch_account(
    by: Signed,
    JsonBody(form): JsonBody<super::pages::AccountForm>,
) -> Result<StatusCode, Error> {
    save_account(&by, &form).await.map(|()| StatusCode::NO_CONTENT)
}

/// `PUT /api/account/styles`
pub(super) async fn put_styles(
    by: Signed,
    JsonBody(form): JsonBody<super::pages::StylesForm>,
) -> Result<StatusCode, Error> {
    save_styles(&by, &form.styles).await.map(|()| StatusCode::NO_CONTENT)
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
    let (viewer, room_id) = (by.viewer().id, room(&room_id)?);
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
    let (viewer, room_id) = (by.viewer().id, room(&room_id)?);
    by.app.auth.allow_post(viewer)?;
    by.app.writer.star_room(viewer, room_id, form.starred).await?;
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
    query: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Vec<UserRef>>, Error> {
    let Query(wanted) = query.map_err(|_| Error::Malformed("q is a text and room an id."))?;
    let place = wanted.room.map_or(Place::Account, Place::Room);
    let Nameable { mut people, is_creator, .. } =
        by.app.store.list_names(by.viewer().id, place).await?;
    if people.is_empty() {
        return Err(Error::NotFound);
    }
    if wanted.room.is_some() && (is_creator || by.viewer().may_administer()) {
        people.push(UserRef { id: UserId::new(0), name: EVERYBODY.to_owned() });
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

/// `GET /ws`.
/// Errors: As JSON: 401 without a session, 403 from another site, 400 when it is no upgrade.
pub(super) async fn socket(by: Signed, request: Request) -> Result<Response, Error> {
    let (mut parts, _) = request.into_parts();
    if !may_open_socket(&by.app.config, &parts.headers) {
        return Err(Error::CrossSite);
    }
    let open = by.app.connections.tabs_of(by.viewer().id);
    if by.app.auth.has_limits() && open >= MAX_TABS {
        return Err(Error::RateLimited { retry_after_s: 10 });
    }
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &by.app)
        .await
        .map_err(|_| Error::Malformed("This address speaks WebSocket."))?;
    let Signed { app, session, token } = by;
    Ok(socket::upgrade(app, token, session, upgrade))
}

/// How the server is.
#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    timestamp: Timestamp,
    version: &'static str,
}

/// `GET /health`: whether database and writer answer.
pub(super) async fn health(State(app): State<App>) -> (StatusCode, Json<Health>) {
    let well = app.writer.is_running() && app.store.check().await.is_ok();
    let (code, status) = match well {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let timestamp = app.clock.now();
    (code, Json(Health { status, timestamp, version: env!("CARGO_PKG_VERSION") }))
}

/// `GET /up`: whether the process answers at all.
pub(super) async fn up() -> StatusCode {
    StatusCode::OK
}

/// `GET /metrics`: for administrators, and for programs on the same computer.
/// Errors: [`Error::NotFound`] for everybody else.
pub(super) async fn metrics(
    by: Result<Signed, Error>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let local = request::is_local(peer.ip(), &headers);
    if local || by.is_ok_and(|by| by.viewer().may_administer()) {
        let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
        Ok((kind, metrics_text()).into_response())
    } else {
        Err(Error::NotFound)
    }
}

/// A room's id in an address; anything else is no address.
pub(super) fn room(text: &str) -> Result<RoomId, Error> {
    text.parse().map(RoomId::new).map_err(|_| Error::NotFound)
}

/// A message's id in an address; anything else is no address.
pub(super) fn message(text: &str) -> Result<MessageId, Error> {
    text.parse().map(MessageId::new).map_err(|_| Error::NotFound)
}

/// A user's id in an address; anything else is no address.
pub(super) fn user(text: &str) -> Result<UserId, Error> {
    text.parse().map(UserId::new).map_err(|_| Error::NotFound)
}

/// The origin of links that leave the page; see [`request::public_origin`].
pub(super) fn invite_link(app: &App, headers: &HeaderMap, code: &str) -> String {
    format!("{}/join/{code}", request::public_origin(&app.config, headers))
}
