//! The pages and their forms. Every form works without scripts: it posts, and a redirect shows the
//! result; a broken rule shows the form again with what was typed.

use super::super::App;
use super::super::auth::{self, Client, SignedIn};
use super::super::rich_text;
use super::super::store::messages::{Position, RoomWithPage};
use super::api::{invite_link, message, room as room_id_of, user as user_id_of};
use super::request::{
    FormBody, Signed, Visitor, cookie, expired_cookie, plain_cookie, session_cookie, theme,
};
use crate::domain::account::NewUser;
use crate::domain::error::Error;
use crate::domain::message::{ClientMessageId, Draft, MessagePage, PAGE_SIZE};
use crate::domain::room::NewRoom;
use crate::domain::{MessageId, RoomId};
use crate::ui::threshold::{FirstRun, Join, SignIn, Typed};
use crate::ui::{self, Boot, RoomScreen, Screen, Theme};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use leptos::view;
use serde::Deserialize;

/// People listed on one page at most (Campfire's value).
const MAX_PEOPLE: u32 = 500;
/// The first room welcomes its people until it has this many messages (Campfire's value).
const WELCOME_UNTIL: usize = 40;

type Answer = Result<Response, Error>;

/// `GET /`: the room last visited, or whatever comes before it.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn root(
    State(app): State<App>,
    visitor: Result<Signed, Error>,
    headers: HeaderMap,
) -> Answer {
    let signed = match visitor {
        Ok(signed) => signed,
        Err(Error::Unauthenticated) => {
            let known = app.find_account().await?.is_some();
            let path = if known { "/session/new" } else { "/first_run" };
            return Ok(Redirect::to(path).into_response());
        }
        Err(error) => return Err(error),
    };
    let rooms = app.load_sidebar(signed.viewer().id).await?;
    let last = cookie(&headers, "last_room")
        .and_then(|id| id.parse().ok())
        .map(RoomId::new);
    let last = last.filter(|last| rooms.iter().any(|entry| entry.room.id == *last));
    let first = rooms.iter().map(|entry| entry.room.id).min();
    match last.or(first) {
        Some(room_id) => Ok(Redirect::to(&format!("/rooms/{room_id}")).into_response()),
        None => chat_page(&app, &signed, &headers, Screen::NoRooms).await,
    }
}

/// `GET /first_run`
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn first_run_form(State(app): State<App>, headers: HeaderMap) -> Answer {
    if app.find_account().await?.is_some() {
        return Ok(Redirect::to("/").into_response());
    }
    let typed = Typed {
        account_name: "Campfire".to_owned(),
        ..Typed::default()
    };
    Ok(first_run_page(theme(&headers), typed, None))
}

/// What the forms of newcomers carry.
#[derive(Deserialize)]
pub struct SignUp {
    #[serde(default)]
    account_name: String,
    name: String,
    email_address: String,
    password: String,
}

impl SignUp {
    fn typed(&self) -> Typed {
        Typed {
            account_name: self.account_name.clone(),
            name: self.name.clone(),
            email_address: self.email_address.clone(),
        }
    }
}

/// `POST /first_run`
///
/// # Errors
/// Only those that no form can mend.
pub async fn first_run(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    FormBody(form): FormBody<SignUp>,
) -> Answer {
    let done = match NewUser::parse(&form.name, &form.email_address, &form.password) {
        Ok(user) => app.auth.first_run(&form.account_name, user, &client).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(by) => Ok(enter(&app, &by)),
        Err(error @ (Error::Validation(_) | Error::RateLimited { .. })) => {
            Ok(first_run_page(theme(&headers), form.typed(), Some(error)))
        }
        Err(error) => Err(error),
    }
}

fn first_run_page(theme: Theme, typed: Typed, error: Option<Error>) -> Response {
    let status = status_of(error.as_ref());
    let page = ui::plain_document("Set up Campfire", theme, move || {
        view! { <FirstRun typed=typed error=error/> }
    });
    (status, Html(page)).into_response()
}

/// `GET /session/new`
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn sign_in_form(
    State(app): State<App>,
    visitor: Result<Signed, Error>,
    headers: HeaderMap,
) -> Answer {
    if visitor.is_ok() {
        return Ok(Redirect::to("/").into_response());
    }
    sign_in_page(&app, theme(&headers), Typed::default(), None).await
}

/// What the sign-in form carries.
#[derive(Deserialize)]
pub struct SignInForm {
    email_address: String,
    password: String,
}

/// `POST /session`
///
/// # Errors
/// Only those that no form can mend.
pub async fn sign_in(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    FormBody(form): FormBody<SignInForm>,
) -> Answer {
    match app
        .auth
        .sign_in(&form.email_address, &form.password, &client)
        .await
    {
        Ok(by) => Ok(enter(&app, &by)),
        Err(error @ (Error::WrongCredentials | Error::RateLimited { .. })) => {
            let typed = Typed {
                email_address: form.email_address,
                ..Typed::default()
            };
            sign_in_page(&app, theme(&headers), typed, Some(error)).await
        }
        Err(error) => Err(error),
    }
}

async fn sign_in_page(app: &App, theme: Theme, typed: Typed, error: Option<Error>) -> Answer {
    let Some(account) = app.find_account().await? else {
        return Ok(Redirect::to("/first_run").into_response());
    };
    let status = status_of(error.as_ref());
    let title = format!("Sign in · {}", account.name);
    let page = ui::plain_document(&title, theme, move || {
        view! { <SignIn account_name=account.name.clone() typed=typed error=error/> }
    });
    Ok((status, Html(page)).into_response())
}

/// `POST /session/end`
///
/// # Errors
/// Those of the writer.
pub async fn sign_out(State(app): State<App>, Visitor(signed): Visitor) -> Answer {
    app.auth
        .sign_out(&signed.by.token, &signed.by.session)
        .await?;
    let cookie = [(header::SET_COOKIE, expired_cookie(&app.config))];
    Ok((cookie, Redirect::to("/session/new")).into_response())
}

/// `GET /join/{code}`
///
/// # Errors
/// [`Error::NotFound`] for a wrong code; [`Error::Unavailable`].
pub async fn join_form(
    State(app): State<App>,
    Path(code): Path<String>,
    visitor: Result<Signed, Error>,
    headers: HeaderMap,
) -> Answer {
    if visitor.is_ok() {
        return Ok(Redirect::to("/").into_response());
    }
    let account = app.auth.ensure_join_code(&code).await?;
    Ok(join_page(
        theme(&headers),
        (account.name, code),
        Typed::default(),
        None,
    ))
}

/// `POST /join/{code}`
///
/// # Errors
/// Only those that no form can mend.
pub async fn join(
    State(app): State<App>,
    Path(code): Path<String>,
    client: Client,
    headers: HeaderMap,
    FormBody(form): FormBody<SignUp>,
) -> Answer {
    let done = match NewUser::parse(&form.name, &form.email_address, &form.password) {
        Ok(user) => app.auth.join(&code, user, &client).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(by) => Ok(enter(&app, &by)),
        Err(error @ (Error::Validation(_) | Error::AlreadyMember | Error::RateLimited { .. })) => {
            let account = app.auth.ensure_join_code(&code).await?;
            Ok(join_page(
                theme(&headers),
                (account.name, code),
                form.typed(),
                Some(error),
            ))
        }
        Err(error) => Err(error),
    }
}

fn join_page(
    theme: Theme,
    (account_name, code): (String, String),
    typed: Typed,
    error: Option<Error>,
) -> Response {
    let status = status_of(error.as_ref());
    let page = ui::plain_document(&format!("Join {account_name}"), theme, move || {
        view! { <Join account_name=account_name code=code typed=typed error=error/> }
    });
    (status, Html(page)).into_response()
}

fn enter(app: &App, by: &SignedIn) -> Response {
    let cookie = [(header::SET_COOKIE, session_cookie(&app.config, &by.token))];
    (cookie, Redirect::to("/")).into_response()
}

fn status_of(error: Option<&Error>) -> StatusCode {
    let status = error.map_or(200, Error::status);
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What the theme form carries.
#[derive(Deserialize)]
pub struct ThemeForm {
    theme: Theme,
}

/// `POST /theme`
///
/// # Errors
/// [`Error::Malformed`].
pub async fn choose_theme(Visitor(signed): Visitor, FormBody(form): FormBody<ThemeForm>) -> Answer {
    let cookie = [(
        header::SET_COOKIE,
        plain_cookie("theme", form.theme.as_str()),
    )];
    let back = format!("/users/{}", signed.viewer().id);
    Ok((cookie, Redirect::to(&back)).into_response())
}

/// `GET /rooms/{room_id}`
///
/// # Errors
/// [`Error::NotFound`] for a stranger; [`Error::Unavailable`].
pub async fn room(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path(room_id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    room_page(&app, &signed, &headers, room_id_of(&room_id)?, None).await
}

/// `GET /rooms/{room_id}/@{message_id}`: the room around a message.
///
/// # Errors
/// [`Error::NotFound`] for a stranger or another address; [`Error::Unavailable`].
pub async fn room_at(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path((room_id, at)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let room_id = room_id_of(&room_id)?;
    let id = message(at.strip_prefix('@').ok_or(Error::NotFound)?)?;
    let viewer = signed.viewer().id;
    let after = MessageId::new(id.get().saturating_add(1));
    let older = app
        .load_page(viewer, room_id, Position::Before(after), PAGE_SIZE / 2)
        .await?;
    let newer = app
        .load_page(viewer, room_id, Position::After(id), PAGE_SIZE / 2)
        .await?;
    let has_newer = newer.page.has_more;
    let mut messages = older.page.messages;
    messages.extend(newer.page.messages);
    // The older of the two reads: what changed between them is replayed.
    let cursor = older.page.cursor.min(newer.page.cursor);
    let page = MessagePage {
        messages,
        cursor,
        has_more: older.page.has_more,
    };
    let found = RoomWithPage {
        head: newer.head,
        page,
    };
    show_room(
        &app,
        &signed,
        &headers,
        Shown {
            found,
            has_newer,
            unsent: None,
        },
    )
    .await
}

async fn room_page(
    app: &App,
    signed: &Signed,
    headers: &HeaderMap,
    room_id: RoomId,
    unsent: Option<(String, String)>,
) -> Answer {
    let found = app
        .load_page(signed.viewer().id, room_id, Position::Newest, PAGE_SIZE)
        .await?;
    show_room(
        app,
        signed,
        headers,
        Shown {
            found,
            has_newer: false,
            unsent,
        },
    )
    .await
}

/// What a room page shows.
struct Shown {
    found: RoomWithPage,
    has_newer: bool,
    unsent: Option<(String, String)>,
}

async fn show_room(app: &App, signed: &Signed, headers: &HeaderMap, shown: Shown) -> Answer {
    let Shown {
        found,
        has_newer,
        unsent,
    } = shown;
    let room = found.head.room;
    let young = !found.page.has_more && found.page.messages.len() <= WELCOME_UNTIL;
    let welcome = if room.id.get() == 1 && young {
        let account = app.find_account().await?;
        account.map(|account| invite_link(app, headers, &account.join_code))
    } else {
        None
    };
    let remember = [(
        header::SET_COOKIE,
        plain_cookie("last_room", &room.id.to_string()),
    )];
    let client_message_id = auth::client_message_id()?;
    let status = if unsent.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let page = found.page;
    let screen = RoomScreen {
        room,
        page,
        has_newer,
        welcome,
        client_message_id,
        unsent,
    };
    let page = chat_page(app, signed, headers, Screen::Room(Box::new(screen))).await?;
    Ok((status, remember, page).into_response())
}

/// A signed-in page.
async fn chat_page(app: &App, signed: &Signed, headers: &HeaderMap, screen: Screen) -> Answer {
    let viewer = signed.viewer().clone();
    let rooms = app.load_sidebar(viewer.id).await?;
    let account = app.find_account().await?.ok_or(Error::NotFound)?;
    let boot = Boot {
        account_name: account.name.clone(),
        incarnation: app.incarnation.to_string(),
        assets: super::assets::base(),
        online: app.connections.online(),
        rooms,
        viewer,
        screen,
    };
    Ok(Html(ui::chat_document(boot, theme(headers))).into_response())
}

/// What the composer carries.
#[derive(Deserialize)]
pub struct MessageForm {
    body: String,
    #[serde(default)]
    client_message_id: Option<String>,
}

/// `POST /rooms/{room_id}/messages`
///
/// # Errors
/// Only those that no form can mend.
pub async fn create_message(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path(room_id): Path<String>,
    headers: HeaderMap,
    FormBody(form): FormBody<MessageForm>,
) -> Answer {
    let room_id = room_id_of(&room_id)?;
    // The hidden field makes a double click send once.
    let id = match form.client_message_id.as_deref() {
        Some(id) => ClientMessageId::parse(id)?,
        None => auth::client_message_id()?,
    };
    let allowed = app.auth.allow_post(signed.viewer().id);
    let draft = allowed.and_then(|()| Draft::parse(&form.body));
    match draft {
        Ok(draft) => {
            let (text, author) = (rich_text::render(&draft), signed.viewer().as_author());
            app.writer
                .create_message_with_deduplication(room_id, author, id, text)
                .await?;
            Ok(Redirect::to(&format!("/rooms/{room_id}")).into_response())
        }
        Err(error) => {
            let unsent = Some((form.body, error.to_string()));
            room_page(&app, &signed, &headers, room_id, unsent).await
        }
    }
}

/// `POST /rooms/{room_id}/read`: for browsers without scripts.
///
/// # Errors
/// [`Error::NotFound`] for a stranger; those of the writer.
pub async fn read_room(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path(room_id): Path<String>,
) -> Answer {
    let room_id = room_id_of(&room_id)?;
    // Beyond every message: the cursor stops at the newest.
    app.writer
        .read_room(signed.viewer().id, room_id, MessageId::new(i64::MAX))
        .await?;
    Ok(Redirect::to(&format!("/rooms/{room_id}")).into_response())
}

/// `GET /rooms/new`
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn new_room_form(
    State(app): State<App>,
    Visitor(signed): Visitor,
    headers: HeaderMap,
) -> Answer {
    let screen = Screen::NewRoom {
        name: String::new(),
        problem: None,
    };
    chat_page(&app, &signed, &headers, screen).await
}

/// What the form of a new room carries.
#[derive(Deserialize)]
pub struct RoomForm {
    name: String,
}

/// `POST /rooms`
///
/// # Errors
/// Only those that no form can mend.
pub async fn create_room(
    State(app): State<App>,
    Visitor(signed): Visitor,
    headers: HeaderMap,
    FormBody(form): FormBody<RoomForm>,
) -> Answer {
    match NewRoom::parse(&form.name) {
        Ok(room) => {
            let room = app.writer.open_room(signed.viewer().id, room).await?;
            Ok(Redirect::to(&format!("/rooms/{}", room.id)).into_response())
        }
        Err(error) => {
            let problem = Some(error.to_string());
            let screen = Screen::NewRoom {
                name: form.name,
                problem,
            };
            let page = chat_page(&app, &signed, &headers, screen).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

/// `GET /rooms/{room_id}/messages/{id}/edit`: for browsers without scripts.
///
/// # Errors
/// [`Error::NotFound`] for a stranger; [`Error::Forbidden`] for another's message.
pub async fn edit_message_form(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    edit_page(&app, &signed, &headers, message(&id)?, None).await
}

async fn edit_page(
    app: &App,
    signed: &Signed,
    headers: &HeaderMap,
    id: MessageId,
    problem: Option<(String, String)>,
) -> Answer {
    let viewer = signed.viewer();
    let mut message = app.store.load_message(viewer.id, id).await?;
    if message.creator.id != viewer.id && !viewer.may_administer() {
        return Err(Error::Forbidden);
    }
    let (typed, problem) = problem.unzip();
    let status = if problem.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    message.body = typed.unwrap_or(message.body);
    let screen = Screen::EditMessage {
        message: Box::new(message),
        problem,
    };
    Ok((status, chat_page(app, signed, headers, screen).await?).into_response())
}

/// `POST /rooms/{room_id}/messages/{id}/edit`
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`]; those of the writer.
pub async fn edit_message(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    FormBody(form): FormBody<MessageForm>,
) -> Answer {
    let id = message(&id)?;
    match Draft::parse(&form.body) {
        Ok(draft) => {
            let (viewer, text) = (signed.viewer().clone(), rich_text::render(&draft));
            let edited = app.writer.edit_message(viewer, id, text).await?;
            Ok(Redirect::to(&format!("/rooms/{}", edited.room_id)).into_response())
        }
        Err(error) => {
            let problem = Some((form.body, error.to_string()));
            edit_page(&app, &signed, &headers, id, problem).await
        }
    }
}

/// `POST /rooms/{room_id}/messages/{id}/delete`
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`]; those of the writer.
pub async fn remove_message(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path((room_id, id)): Path<(String, String)>,
) -> Answer {
    app.writer
        .remove_message(signed.viewer().clone(), message(&id)?)
        .await?;
    Ok(Redirect::to(&format!("/rooms/{}", room_id_of(&room_id)?)).into_response())
}

/// `GET /account/edit`
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn account(
    State(app): State<App>,
    Visitor(signed): Visitor,
    headers: HeaderMap,
) -> Answer {
    let people = app.store.list_users(MAX_PEOPLE).await?;
    let account = app.find_account().await?.ok_or(Error::NotFound)?;
    let invite = invite_link(&app, &headers, &account.join_code);
    chat_page(&app, &signed, &headers, Screen::Account { invite, people }).await
}

/// `GET /users/{user_id}`
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unavailable`].
pub async fn user(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path(user_id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let user = app.store.load_user(user_id_of(&user_id)?).await?;
    let theme = (user.id == signed.viewer().id).then(|| theme(&headers));
    chat_page(&app, &signed, &headers, Screen::Person { user, theme }).await
}
