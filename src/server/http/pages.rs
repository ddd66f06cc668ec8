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
use crate::domain::event::MAX_ONLINE;
use crate::domain::message::{CONTEXT, Draft, PAGE_SIZE, Quote};
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

/// `GET /rooms/{room_id}`. Errors: [`Error::NotFound`] for a stranger; [`Error::Unavailable`].
pub async fn room(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path(room_id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    room_page(&app, &signed, &headers, room_id_of(&room_id)?, (None, None)).await
}

/// Whether the message at an address is to be answered.
#[derive(Deserialize)]
pub struct Answering {
    reply: Option<String>,
}

/// `GET /rooms/{room_id}/@{message_id}`: the room around a message, with `?reply` to answer it.
/// Errors: [`Error::NotFound`] for a stranger or another address; [`Error::Unavailable`].
pub async fn room_at(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path((room_id, at)): Path<(String, String)>,
    Query(wish): Query<Answering>,
    headers: HeaderMap,
) -> Answer {
    let room_id = room_id_of(&room_id)?;
    let id = message(at.strip_prefix('@').ok_or(Error::NotFound)?)?;
    let place = Some((id, wish.reply.is_some()));
    room_page(&app, &signed, &headers, room_id, (None, place)).await
}

/// The newest messages, or those around one, which may be about to be answered.
async fn room_page(
    app: &App,
    signed: &Signed,
    headers: &HeaderMap,
    room_id: RoomId,
    (unsent, place): (Option<Unsent>, Option<(MessageId, bool)>),
) -> Answer {
    let viewer = signed.viewer().id;
    let Some((id, answering)) = place else {
        let found = app.load_page(viewer, room_id, Position::Newest, PAGE_SIZE).await?;
        let shown = Shown { found, has_newer: false, unsent, found_id: None, answering: false };
        return show_room(app, signed, headers, shown).await;
    };
    let found = app.load_page(viewer, room_id, Position::Around(id), 2 * CONTEXT + 1).await?;
    let (page, has_newer) = found.page.around(id);
    let found = RoomWithPage { page, ..found };
    let found_id = found.page.messages.iter().any(|one| one.id == id).then_some(id);
    let shown = Shown { found, has_newer, unsent, found_id, answering };
    show_room(app, signed, headers, shown).await
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

async fn show_room(app: &App, signed: &Signed, headers: &HeaderMap, shown: Shown) -> Answer {
    let Shown { found, has_newer, unsent, found_id, answering } = shown;
    let room = found.head.room_for(signed.viewer().id);
    let young = !found.page.has_more && found.page.messages.len() <= WELCOME_UNTIL;
    let welcome = if room.id.get() == 1 && young {
        let account = app.find_account().await?;
        account.and_then(|account| {
            let invite = invite_link(app, headers, account.join_code.as_deref()?);
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
        assets: super::asset_base(),
        online: online.iter().take(MAX_ONLINE).cloned().collect(),
        online_count: online.len(),
        rooms,
        may_create_rooms: account.may_create_rooms(viewer.role),
        styles: account.styles.clone().filter(|_| !wants_plain(headers)),
        viewer,
        screen,
    };
    let (body, coding) = app.pages.document(boot, theme(headers), Coding::of(headers));
    let mut response = Html(body).into_response();
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if coding == Coding::Brotli {
        let coding = HeaderValue::from_static("br");
        response.headers_mut().insert(header::CONTENT_ENCODING, coding);
    }
    Ok(response)
}

/// What the composer carries.
#[derive(Deserialize)]
pub struct MessageForm {
    body: String,
    /// How far the page went that the form stood on.
    #[serde(default)]
    after: i64,
    /// The message that is answered.
    reply_to: Option<MessageId>,
}

/// `POST /rooms/{room_id}/messages`
pub async fn create_message(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path(room_id): Path<String>,
    headers: HeaderMap,
    FormBody(form): FormBody<MessageForm>,
) -> Answer {
    let room_id = room_id_of(&room_id)?;
    let viewer = signed.viewer().id;
    // The same words from the same page, as a double click sends them, are the same message.
    let id = form_message_id((viewer, room_id, Seq::new(form.after)), &form.body);
    let allowed = app.auth.allow_post(viewer);
    let draft = allowed.and_then(|()| Draft::parse(&form.body));
    match draft {
        Ok(draft) => {
            let text = app.render(signed.viewer(), Place::Room(room_id), &draft).await?;
            let author = signed.viewer().as_author();
            app.writer.create_reply((room_id, form.reply_to), author, id, text).await?;
            Ok(Redirect::to(&format!("/rooms/{room_id}")).into_response())
        }
        Err(error) => {
            let unsent = Some((form.body, error.to_string()));
            let answered = form.reply_to.map(|id| (id, true));
            room_page(&app, &signed, &headers, room_id, (unsent, answered)).await
        }
    }
}

/// `POST /rooms/{room_id}/read`: for browsers without scripts.
/// Errors: [`Error::NotFound`] for a stranger; those of the writer.
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
/// Errors: [`Error::NotFound`] for a stranger; [`Error::Forbidden`] for another's message.
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

/// `POST /rooms/{room_id}/messages/{id}/edit`.
/// Errors: [`Error::NotFound`], [`Error::Forbidden`]; those of the writer.
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
            let text = app.render(&viewer, Place::RoomOf(id), &draft).await?;
            let edited = app.writer.edit_message(viewer, id, text).await?;
            Ok(Redirect::to(&format!("/rooms/{}", edited.room_id)).into_response())
        }
        Err(error) => {
            let problem = Some((form.body, error.to_string()));
            edit_page(&app, &signed, &headers, id, problem).await
        }
    }
}

/// `POST /rooms/{room_id}/messages/{id}/delete`.
/// Errors: [`Error::NotFound`], [`Error::Forbidden`]; those of the writer.
pub async fn remove_message(
    State(app): State<App>,
    Visitor(signed): Visitor,
    Path((room_id, id)): Path<(String, String)>,
) -> Answer {
    app.auth.allow_post(signed.viewer().id)?;
    app.writer.remove_message(signed.viewer().clone(), message(&id)?).await?;
    Ok(Redirect::to(&format!("/rooms/{}", room_id_of(&room_id)?)).into_response())
}

/// The page of what administrators choose for everybody.
async fn workspace_page(
    app: &App,
    signed: &Signed,
    headers: &HeaderMap,
    (name, room_creators, styles): (Option<String>, Option<RoomCreators>, Option<String>),
    error: Option<Error>,
) -> Answer {
    if !signed.viewer().may_administer() {
        return Err(Error::Forbidden);
    }
    let account = app.find_account().await?.ok_or(Error::NotFound)?;
    let styles = match styles {
        Some(typed) => typed,
        None => app.store.load_styles().await?,
    };
    let name = name.unwrap_or_else(|| account.name.clone());
    let rule = room_creators.unwrap_or(account.room_creators);
    let status = super::status_of(error.as_ref());
    let html = ui::fragment(move || {
        view! { <Workspace name=name room_creators=rule styles=styles error=error/> }
    });
    let page = quiet_page(app, signed, headers, ("Workspace", html)).await?;
    Ok((status, page).into_response())
}

/// `GET /account/settings`. Errors: [`Error::Forbidden`] for members; [`Error::Unavailable`].
pub async fn workspace(
    State(app): State<App>,
    Visitor(signed): Visitor,
    headers: HeaderMap,
) -> Answer {
    workspace_page(&app, &signed, &headers, (None, None, None), None).await
}

/// What the form of the account carries.
#[derive(Deserialize)]
pub struct AccountForm {
    account_name: String,
    room_creators: Option<RoomCreators>,
}

/// Changes the account's name and rule; without a rule everybody creates rooms.
pub(super) async fn save_account(
    app: &App,
    signed: &Signed,
    form: &AccountForm,
) -> Result<(), Error> {
    if !signed.viewer().may_administer() {
        return Err(Error::Forbidden);
    }
    let name = parse_account_name(&form.account_name)?;
    let rule = form.room_creators.unwrap_or(RoomCreators::Everybody);
    app.auth.allow_link(signed.viewer().id)?;
    app.writer.change_account(signed.viewer().id, name, rule).await
}

/// `POST /account`
pub async fn change_account(
    State(app): State<App>,
    Visitor(signed): Visitor,
    headers: HeaderMap,
    FormBody(form): FormBody<AccountForm>,
) -> Answer {
    match save_account(&app, &signed, &form).await {
        Ok(()) => Ok(Redirect::to("/account/settings").into_response()),
        Err(error @ Error::Validation(_)) => {
            let rule = form.room_creators.or(Some(RoomCreators::Everybody));
            let typed = (Some(form.account_name), rule, None);
            workspace_page(&app, &signed, &headers, typed, Some(error)).await
        }
        Err(error) => Err(error),
    }
}

/// What the form of the stylesheet carries.
#[derive(Deserialize)]
pub struct StylesForm {
    pub(super) styles: String,
}

/// Changes the account's stylesheet.
pub(super) async fn save_styles(app: &App, signed: &Signed, styles: &str) -> Result<(), Error> {
    if !signed.viewer().may_administer() {
        return Err(Error::Forbidden);
    }
    let styles = parse_styles(styles)?;
    app.auth.allow_link(signed.viewer().id)?;
    app.writer.change_styles(signed.viewer().id, styles).await
}

/// `POST /account/styles`
pub async fn change_styles(
    State(app): State<App>,
    Visitor(signed): Visitor,
    headers: HeaderMap,
    FormBody(form): FormBody<StylesForm>,
) -> Answer {
    match save_styles(&app, &signed, &form.styles).await {
        Ok(()) => Ok(Redirect::to("/account/settings").into_response()),
        Err(error @ Error::Validation(_)) => {
            let typed = (None, None, Some(form.styles));
            workspace_page(&app, &signed, &headers, typed, Some(error)).await
        }
        Err(error) => Err(error),
    }
}

/// `GET /account/styles/{file}`: the account's stylesheet, under a name that changes with it.
/// Errors: [`Error::NotFound`] under any other name; [`Error::Unavailable`].
pub async fn styles(State(app): State<App>, _signed: Signed, Path(file): Path<String>) -> Answer {
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
