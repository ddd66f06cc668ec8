//! The signed-in pages and their forms. Every form works without scripts: it posts, and a redirect
//! shows the result; a broken rule shows the form again with what was typed. The way in is in
//! [`super::entrance`].

use super::super::App;
use super::super::auth;
use super::super::store::account::Place;
use super::super::store::messages::{Position, RoomWithPage};
use super::Answer;
use super::api::{invite_link, message, room as room_id_of, user as user_id_of};
use super::request::{FormBody, Signed, Visitor, cookie, plain_cookie, theme};
use crate::domain::error::Error;
use crate::domain::message::{ClientMessageId, Draft, MessagePage, PAGE_SIZE};
use crate::domain::sidebar::MAX_ONLINE;
use crate::domain::{MessageId, RoomId};
use crate::ui::rooms::{HiddenRooms, MessageButton};
use crate::ui::settings::{EditMessageForm, NoRooms, OwnSettings, People, Person, WelcomeCard};
use crate::ui::{self, Boot, RoomScreen, Screen};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect};
use leptos::view;
use serde::Deserialize;

/// People listed on one page at most (Campfire's value).
const MAX_PEOPLE: u32 = 500;
/// The first room welcomes its people until it has this many messages (Campfire's value).
const WELCOME_UNTIL: usize = 40;

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
    let last = cookie(&headers, "last_room").and_then(|id| id.parse().ok()).map(RoomId::new);
    let last = last.filter(|last| rooms.iter().any(|entry| entry.id == *last));
    let first = rooms.iter().map(|entry| entry.id).min();
    match last.or(first) {
        Some(room_id) => Ok(Redirect::to(&format!("/rooms/{room_id}")).into_response()),
        None => {
            let html = ui::fragment(|| view! { <NoRooms/> });
            quiet_page(&app, &signed, &headers, ("No rooms yet", html)).await
        }
    }
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
    let found = app.load_page(viewer, room_id, Position::Around(id), PAGE_SIZE).await?;
    // What is left over of an "around" lies below; above there is more if that half is full.
    let has_newer = found.page.has_more;
    let above = found.page.messages.iter().filter(|message| message.id <= id).count();
    let page = MessagePage { has_more: above >= PAGE_SIZE / 2, ..found.page };
    let found = RoomWithPage { page, ..found };
    let found_id = found.page.messages.iter().any(|one| one.id == id).then_some(id);
    let shown = Shown { found, has_newer, unsent: None, found_id };
    show_room(&app, &signed, &headers, shown).await
}

async fn room_page(
    app: &App,
    signed: &Signed,
    headers: &HeaderMap,
    room_id: RoomId,
    unsent: Option<(String, String)>,
) -> Answer {
    let found = app.load_page(signed.viewer().id, room_id, Position::Newest, PAGE_SIZE).await?;
    let shown = Shown { found, has_newer: false, unsent, found_id: None };
    show_room(app, signed, headers, shown).await
}

/// What a room page shows.
struct Shown {
    found: RoomWithPage,
    has_newer: bool,
    unsent: Option<(String, String)>,
    /// The message the address points at, if it still exists.
    found_id: Option<MessageId>,
}

async fn show_room(app: &App, signed: &Signed, headers: &HeaderMap, shown: Shown) -> Answer {
    let Shown { found, has_newer, unsent, found_id } = shown;
    let room = found.head.room_for(signed.viewer().id);
    let young = !found.page.has_more && found.page.messages.len() <= WELCOME_UNTIL;
    let welcome = if room.id.get() == 1 && young {
        let account = app.find_account().await?;
        account.map(|account| {
            let invite = invite_link(app, headers, &account.join_code);
            ui::fragment(move || view! { <WelcomeCard invite=invite/> })
        })
    } else {
        None
    };
    let remember = [(header::SET_COOKIE, plain_cookie("last_room", &room.id.to_string()))];
    let client_message_id = auth::client_message_id()?;
    let status = if unsent.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = found.page;
    let found = found_id;
    let screen = RoomScreen { room, page, has_newer, welcome, client_message_id, unsent, found };
    let page = chat_page(app, signed, headers, Screen::Room(Box::new(screen))).await?;
    Ok((status, remember, page).into_response())
}

/// A signed-in page of settings or a form.
pub(super) async fn quiet_page(
    app: &App,
    signed: &Signed,
    headers: &HeaderMap,
    (title, html): (&str, String),
) -> Answer {
    let screen = Screen::Quiet { title: title.to_owned(), html };
    chat_page(app, signed, headers, screen).await
}

/// A signed-in page.
async fn chat_page(app: &App, signed: &Signed, headers: &HeaderMap, screen: Screen) -> Answer {
    let viewer = signed.viewer().clone();
    let rooms = app.load_sidebar(viewer.id).await?;
    let account = app.find_account().await?.ok_or(Error::NotFound)?;
    let online = app.connections.online();
    let boot = Boot {
        account_name: account.name.clone(),
        incarnation: app.incarnation.to_string(),
        assets: super::assets::base(),
        online: online.iter().take(MAX_ONLINE).cloned().collect(),
        online_count: online.len(),
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
            let text = app.render(signed.viewer().id, Place::Room(room_id), &draft).await?;
            let author = signed.viewer().as_author();
            app.writer.create_message_with_deduplication(room_id, author, id, text).await?;
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
    app.auth.allow_post(signed.viewer().id)?;
    // Beyond every message: the cursor stops at the newest.
    app.writer.read_room(signed.viewer().id, room_id, MessageId::new(i64::MAX)).await?;
    Ok(Redirect::to(&format!("/rooms/{room_id}")).into_response())
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
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    message.body = typed.unwrap_or(message.body);
    let html = ui::fragment(move || view! { <EditMessageForm message=message problem=problem/> });
    let page = quiet_page(app, signed, headers, ("Edit message", html)).await?;
    Ok((status, page).into_response())
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
    app.auth.allow_post(signed.viewer().id)?;
    match Draft::parse(&form.body) {
        Ok(draft) => {
            let viewer = signed.viewer().clone();
            let text = app.render(viewer.id, Place::RoomOf(id), &draft).await?;
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
    app.auth.allow_post(signed.viewer().id)?;
    app.writer.remove_message(signed.viewer().clone(), message(&id)?).await?;
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
    let viewer = signed.viewer().id;
    let online = app.connections.online().iter().map(|user| user.id).collect();
    let html = ui::fragment(move || {
        view! { <People viewer=viewer invite=invite people=people online=online/> }
    });
    quiet_page(&app, &signed, &headers, ("People", html)).await
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
    let online = app.connections.online().iter().any(|other| other.id == user.id);
    let name = user.name.clone();
    let you = user.id == signed.viewer().id;
    let hidden = match you {
        true => app.load_rooms(user.id).await?,
        false => Vec::new(),
    };
    let hidden = hidden.into_iter().filter(|room| !room.is_shown()).collect();
    let own = (user.id == signed.viewer().id).then(|| (signed.viewer().clone(), theme(&headers)));
    let html = ui::fragment(move || {
        let own = own.map(|(viewer, theme)| view! { <OwnSettings viewer=viewer theme=theme/> });
        let message = view! { <MessageButton user_id=user.id you=you/> };
        view! {
            <Person user=user online=online/> {message} {own} <HiddenRooms rooms=hidden/>
        }
    });
    quiet_page(&app, &signed, &headers, (&name, html)).await
}
