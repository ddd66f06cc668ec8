//! The signed-in pages and their forms. Every form works without scripts: it posts, and a redirect
//! shows the result; a broken rule shows the form again with what was typed. The way in is in
//! [`super::entrance`].

use super::super::App;
use super::super::store::account::styles_name;
use super::super::store::messages::{Position, RoomWithPage};
use super::super::store::search::Place;
use super::Answer;
use super::api::{invite_link, message, room as room_id_of};
use super::request::Coding;
use super::request::{
    FormBody, Signed, Visitor, cookie, form_message_id, plain_cookie, theme, wants_plain,
};
use crate::domain::account::{RoomCreators, parse_account_name, parse_styles};
use crate::domain::error::Error;
use crate::domain::message::{CONTEXT, Draft, PAGE_SIZE, Quote};
use crate::domain::sidebar::MAX_ONLINE;
use crate::domain::{MessageId, RoomId, Seq};
use crate::ui::settings::{EditMessageForm, NoRooms, WelcomeCard, Workspace};
use crate::ui::{self, Boot, RoomScreen, Screen};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect};
use leptos::view;
use serde::Deserialize;

/// The first room welcomes its people until it has this many messages (Campfire's value).
const WELCOME_UNTIL: usize = 40;

/// `GET /`: the room last visited, or whatever comes before it.
pub(super) async fn root(
    State(app): State<App>,
    visitor: Result<Signed, Error>,
    headers: HeaderMap,
) -> Answer {
    let by = match visitor {
        Ok(by) => Visitor { by, headers },
        Err(Error::Unauthenticated) => {
            let known = app.find_account().await?.is_some();
            let path = if known { "/session/new" } else { "/first_run" };
            return Ok(Redirect::to(path).into_response());
        }
        Err(error) => return Err(error),
    };
    let rooms = app.load_sidebar(by.viewer().id).await?;
    let last = cookie(&by.headers, "last_room").and_then(|id| id.parse().ok()).map(RoomId::new);
    let last = last.filter(|last| rooms.iter().any(|entry| entry.id == *last));
    let first = rooms.iter().map(|entry| entry.id).min();
    match last.or(first) {
        Some(room_id) => Ok(Redirect::to(&format!("/rooms/{room_id}")).into_response()),
        None => {
            let html = ui::fragment(|| view! { <NoRooms/> });
            quiet_page(&by, ("No rooms yet", html)).await
        }
    }
}

/// `GET /rooms/{room_id}`. Errors: [`Error::NotFound`] for a stranger; [`Error::Unavailable`].
pub(super) async fn room(by: Visitor, Path(room_id): Path<String>) -> Answer {
    room_page(&by, room_id_of(&room_id)?, (None, None)).await
}

#[derive(Deserialize)]
pub(super) struct Answering {
    reply: Option<String>,
}

/// `GET /rooms/{room_id}/@{message_id}`: the room around a message, with `?reply` to answer it.
/// Errors: [`Error::NotFound`] for a stranger or another address; [`Error::Unavailable`].
pub(super) async fn room_at(
    by: Visitor,
    Path((room_id, at)): Path<(String, String)>,
    Query(wish): Query<Answering>,
) -> Answer {
    let room_id = room_id_of(&room_id)?;
    let id = message(at.strip_prefix('@').ok_or(Error::NotFound)?)?;
    let place = Some((id, wish.reply.is_some()));
    room_page(&by, room_id, (None, place)).await
}

/// The newest messages, or those around one, which may be about to be answered.
async fn room_page(
    by: &Visitor,
    room_id: RoomId,
    (unsent, place): (Option<Unsent>, Option<(MessageId, bool)>),
) -> Answer {
    let viewer = by.viewer().id;
    let Some((id, answering)) = place else {
        let found = by.app.load_page(viewer, room_id, Position::Newest, PAGE_SIZE).await?;
        let shown = Shown { found, has_newer: false, unsent, found_id: None, answering: false };
        return show_room(by, shown).await;
    };
    let found = by.app.load_page(viewer, room_id, Position::Around(id), 2 * CONTEXT + 1).await?;
    let (page, has_newer) = found.page.around(id);
    let found = RoomWithPage { page, ..found };
    let found_id = found.page.messages.iter().any(|one| one.id == id).then_some(id);
    let shown = Shown { found, has_newer, unsent, found_id, answering };
    show_room(by, shown).await
}

/// What could not be sent, and why.
type Unsent = (String, String);

/// What a room page shows.
struct Shown {
    found: RoomWithPage,
    has_newer: bool,
    unsent: Option<(String, String)>,
    /// The message the address points at, if it still exists.
    found_id: Option<MessageId>,
    /// Whether that one is to be answered.
    answering: bool,
}

async fn show_room(by: &Visitor, shown: Shown) -> Answer {
    let Shown { found, has_newer, unsent, found_id, answering } = shown;
    let room = found.head.room_for(by.viewer().id);
    let young = !found.page.has_more && found.page.messages.len() <= WELCOME_UNTIL;
    let welcome = if room.id.get() == 1 && young {
        let account = by.app.find_account().await?;
        account.and_then(|account| {
            let invite = invite_link(&by.app, &by.headers, account.join_code.as_deref()?);
            Some(ui::fragment(move || view! { <WelcomeCard invite=invite/> }))
        })
    } else {
        None
    };
    let remember = [(header::SET_COOKIE, plain_cookie("last_room", &room.id.to_string()))];
    let status = if unsent.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = found.page;
    let found = found_id;
    let answered = page.messages.iter().find(|one| answering && Some(one.id) == found);
    let reply = answered.map(|one| Quote::new(one.id, one.creator.clone(), &one.body));
    let screen = RoomScreen { room, page, has_newer, welcome, unsent, found, reply };
    let page = chat_page(by, Screen::Room(Box::new(screen))).await?;
    Ok((status, remember, page).into_response())
}

/// A signed-in page of settings or a form.
pub(super) async fn quiet_page(by: &Visitor, (title, html): (&str, String)) -> Answer {
    let screen = Screen::Quiet { title: title.to_owned(), html };
    chat_page(by, screen).await
}

/// A signed-in page.
async fn chat_page(by: &Visitor, screen: Screen) -> Answer {
    let viewer = by.viewer().clone();
    let rooms = by.app.load_sidebar(viewer.id).await?;
    let account = by.app.find_account().await?.ok_or(Error::NotFound)?;
    let online = by.app.connections.online();
    let boot = Boot {
        account_name: account.name.clone(),
        incarnation: by.app.incarnation.to_string(),
        assets: super::asset_base(),
        online: online.iter().take(MAX_ONLINE).cloned().collect(),
        online_count: online.len(),
        rooms,
        may_create_rooms: account.may_create_rooms(viewer.role),
        styles: account.styles.clone().filter(|_| !wants_plain(&by.headers)),
        viewer,
        screen,
    };
    let (body, coding) = by.app.pages.document(boot, theme(&by.headers), Coding::of(&by.headers));
    let mut response = Html(body).into_response();
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if coding == Coding::Brotli {
        let coding = HeaderValue::from_static("br");
        response.headers_mut().insert(header::CONTENT_ENCODING, coding);
    }
    Ok(response)
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
pub(super) async fn create_message(
    by: Visitor,
    Path(room_id): Path<String>,
    FormBody(form): FormBody<MessageForm>,
) -> Answer {
    let room_id = room_id_of(&room_id)?;
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
pub(super) async fn read_room(by: Visitor, Path(room_id): Path<String>) -> Answer {
    let room_id = room_id_of(&room_id)?;
    by.app.auth.allow_post(by.viewer().id)?;
    // Beyond every message: the cursor stops at the newest.
    by.app.writer.read_room(by.viewer().id, room_id, MessageId::new(i64::MAX)).await?;
    Ok(Redirect::to(&format!("/rooms/{room_id}")).into_response())
}

/// `GET /rooms/{room_id}/messages/{id}/edit`: for browsers without scripts.
/// Errors: [`Error::NotFound`] for a stranger; [`Error::Forbidden`] for another's message.
pub(super) async fn edit_message_form(
    by: Visitor,
    Path((_, id)): Path<(String, String)>,
) -> Answer {
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
    let page = quiet_page(by, ("Edit message", html)).await?;
    Ok((status, page).into_response())
}

/// `POST /rooms/{room_id}/messages/{id}/edit`.
/// Errors: [`Error::NotFound`], [`Error::Forbidden`]; those of the writer.
pub(super) async fn edit_message(
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
pub(super) async fn remove_message(
    by: Visitor,
    Path((room_id, id)): Path<(String, String)>,
) -> Answer {
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.remove_message(by.viewer().clone(), message(&id)?).await?;
    Ok(Redirect::to(&format!("/rooms/{}", room_id_of(&room_id)?)).into_response())
}

/// The page of what administrators choose for everybody.
async fn workspace_page(
    by: &Visitor,
    (name, room_creators, styles): (Option<String>, Option<RoomCreators>, Option<String>),
    error: Option<Error>,
) -> Answer {
    if !by.viewer().may_administer() {
        return Err(Error::Forbidden);
    }
    let account = by.app.find_account().await?.ok_or(Error::NotFound)?;
    let styles = match styles {
        Some(typed) => typed,
        None => by.app.store.load_styles().await?,
    };
    let name = name.unwrap_or_else(|| account.name.clone());
    let rule = room_creators.unwrap_or(account.room_creators);
    let status = super::status_of(error.as_ref());
    let html = ui::fragment(move || {
        view! { <Workspace name=name room_creators=rule styles=styles error=error/> }
    });
    let page = quiet_page(by, ("Workspace", html)).await?;
    Ok((status, page).into_response())
}

/// `GET /account/settings`. Errors: [`Error::Forbidden`] for members; [`Error::Unavailable`].
pub(super) async fn workspace(by: Visitor) -> Answer {
    workspace_page(&by, (None, None, None), None).await
}

#[derive(Deserialize)]
pub(super) struct AccountForm {
    account_name: String,
    room_creators: Option<RoomCreators>,
}

/// Changes the account's name and rule; without a rule everybody creates rooms.
pub(super) async fn save_account(by: &Signed, form: &AccountForm) -> Result<(), Error> {
    if !by.viewer().may_administer() {
        return Err(Error::Forbidden);
    }
    let name = parse_account_name(&form.account_name)?;
    let rule = form.room_creators.unwrap_or(RoomCreators::Everybody);
    by.app.auth.allow_link(by.viewer().id)?;
    by.app.writer.change_account(by.viewer().id, name, rule).await
}

/// `POST /account`
pub(super) async fn change_account(by: Visitor, FormBody(form): FormBody<AccountForm>) -> Answer {
    match save_account(&by, &form).await {
        Ok(()) => Ok(Redirect::to("/account/settings").into_response()),
        Err(error @ Error::Validation(_)) => {
            let rule = form.room_creators.or(Some(RoomCreators::Everybody));
            let typed = (Some(form.account_name), rule, None);
            workspace_page(&by, typed, Some(error)).await
        }
        Err(error) => Err(error),
    }
}

#[derive(Deserialize)]
pub(super) struct StylesForm {
    pub(super) styles: String,
}

/// Changes the account's stylesheet.
pub(super) async fn save_styles(by: &Signed, styles: &str) -> Result<(), Error> {
    if !by.viewer().may_administer() {
        return Err(Error::Forbidden);
    }
    let styles = parse_styles(styles)?;
    by.app.auth.allow_link(by.viewer().id)?;
    by.app.writer.change_styles(by.viewer().id, styles).await
}

/// `POST /account/styles`
pub(super) async fn change_styles(by: Visitor, FormBody(form): FormBody<StylesForm>) -> Answer {
    match save_styles(&by, &form.styles).await {
        Ok(()) => Ok(Redirect::to("/account/settings").into_response()),
        Err(error @ Error::Validation(_)) => {
            let typed = (None, None, Some(form.styles));
            workspace_page(&by, typed, Some(error)).await
        }
        Err(error) => Err(error),
    }
}

/// `GET /account/styles/{file}`: the account's stylesheet, under a name that changes with it.
/// Errors: [`Error::NotFound`] under any other name; [`Error::Unavailable`].
pub(super) async fn styles(
    State(app): State<App>,
    _signed: Signed,
    Path(file): Path<String>,
) -> Answer {
    let account = app.find_account().await?.ok_or(Error::NotFound)?;
    let name = account.styles.as_ref().filter(|name| file == format!("{name}.css"));
    let name = name.ok_or(Error::NotFound)?;
    let styles = app.store.load_styles().await?;
    // Changed between the two looks: what is there now must not be kept under the old name.
    if styles_name(&styles).as_ref() != Some(name) {
        return Err(Error::NotFound);
    }
    let kind = (header::CONTENT_TYPE, "text/css; charset=utf-8");
    let caching = (header::CACHE_CONTROL, "private, max-age=31536000, immutable");
    Ok(([kind, caching], styles).into_response())
}
