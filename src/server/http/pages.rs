//! The signed-in pages: the room, what administrators choose for everybody (its page beside its
//! handler), the frame around them all, and the finished pages that are kept for whoever comes back.
//!
//! A room page is kept together with the [`Boot`] it was made from, and is given out again only if
//! the new one is equal. So nothing ever has to be declared stale: whatever a page shows is in its
//! `Boot`, rights are checked before there is one, and messages that are still the same ones
//! compare by their address. For people who come for the first time, what most of them see of each
//! message is kept as well. Memory is bounded in bytes; what was asked for longest ago goes first.

use super::super::App;
use super::super::operation::Bounded;
use super::super::store::messages::{Position, RoomWithPage};
use super::Answer;
use super::request::{
    FormBody, JsonBody, Signed, Visitor, accepts, cookie, invite_link, message, plain_cookie,
    room as room_id_of, status_of, theme, wants_plain,
};
use super::rooms::{NoRooms, WelcomeCard};
use crate::domain::account::{RoomCreators, parse_account_name, parse_styles};
use crate::domain::error::Error;
use crate::domain::event::MAX_ONLINE;
use crate::domain::message::{CONTEXT, Message, PAGE_SIZE, Quote};
use crate::domain::{MessageId, RoomId, UserId};
use crate::texts;
use crate::ui::controls::{Field, FieldKind};
use crate::ui::message::Kept;
use crate::ui::people::{AccountPage, account_tabs};
use crate::ui::{self, Boot, RoomScreen, Screen, Theme};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect};
use leptos::prelude::*;
use serde::Deserialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
            quiet_page(&by, (texts::pages::NO_ROOMS, html)).await
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
pub(super) async fn room_page(
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
pub(super) type Unsent = (String, String);

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
    let reply = answered.map(|one| Quote::new(one.id, one.creator.clone(), one.texts()));
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
    let status = status_of(error.as_ref());
    let html = ui::fragment(move || {
        view! { <Workspace name=name room_creators=rule styles=styles error=error/> }
    });
    let page = quiet_page(by, (texts::workspace::TITLE, html)).await?;
    Ok((status, page).into_response())
}

const ACCOUNT: FieldKind = FieldKind {
    name: "account_name",
    label: texts::workspace::NAME,
    input: "text",
    autocomplete: "off",
    hint: texts::workspace::NAME_HINT,
    longest: 60,
};

/// What administrators choose for everybody.
#[component]
pub(super) fn Workspace(
    /// The account's name as typed.
    name: String,
    /// Who may create rooms.
    room_creators: RoomCreators,
    /// The stylesheet as typed.
    styles: String,
    /// What was wrong.
    error: Option<Error>,
) -> impl IntoView {
    let restricted = room_creators == RoomCreators::Administrators;
    let wrong = error.as_ref().and_then(|error| error.for_field("styles")).map(str::to_owned);
    let note = texts::workspace::styles_note("<code>?plain=1</code>");
    view! {
        {account_tabs(AccountPage::Workspace, true)}
        <section class="section" aria-labelledby="workspace-title">
            <h2 class="section__title" id="workspace-title">{texts::workspace::TITLE}</h2>
            <form class="form" action="/account" method="post">
                <Field kind=ACCOUNT value=name error=error/>
                <div class="panel rows"><label class="choice row">
                    <span class="choice__text">
                        <span class="choice__name">{texts::workspace::RESTRICTED}</span>
                        <span class="choice__hint">{texts::workspace::RESTRICTED_HINT}</span>
                    </span>
                    <input class="switch" type="checkbox" role="switch" name="room_creators"
                        value="administrators" checked=restricted/>
                </label></div>
                <div class="button-row">
                    <button class="button button--primary" type="submit">{texts::workspace::SAVE}</button>
                </div>
            </form>
        </section>
        <section class="section" aria-labelledby="styles-title">
            <div class="section__head"><div>
                <h2 class="section__title" id="styles-title">{texts::workspace::STYLES}</h2>
                <p class="section__note" inner_html=note></p>
            </div></div>
            <form class="form" action="/account/styles" method="post">
                <div class="field">
                    <label class="visually-hidden" for="styles">{texts::workspace::STYLES_FIELD}</label>
                    <textarea class="input input--code" id="styles" name="styles" rows="8"
                        spellcheck="false" aria-invalid=wrong.is_some().then_some("true")
                        aria-describedby=wrong.is_some().then_some("styles-note")>
                        {styles}
                    </textarea>
                    {wrong.map(|text| view! {
                        <p class="field__error" id="styles-note">{text}</p>
                    })}
                </div>
                <div class="button-row">
                    <button class="button button--primary" type="submit">
                        {texts::workspace::SAVE_STYLES}
                    </button>
                </div>
            </form>
        </section>
        <p class="small muted">{format!("{} {}", texts::pages::PRODUCT, env!("CARGO_PKG_VERSION"))}</p>
    }
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

/// `PATCH /api/account`
pub(super) async fn patch_account(
    by: Signed,
    JsonBody(form): JsonBody<AccountForm>,
) -> Result<StatusCode, Error> {
    save_account(&by, &form).await.map(|()| StatusCode::NO_CONTENT)
}

/// `PUT /api/account/styles`
pub(super) async fn put_styles(
    by: Signed,
    JsonBody(form): JsonBody<StylesForm>,
) -> Result<StatusCode, Error> {
    save_styles(&by, &form.styles).await.map(|()| StatusCode::NO_CONTENT)
}

/// Rough memory of a kept message beside its texts.
const KEPT_BYTES: usize = 1_024;

/// Rough memory of all finished pages, what they were made from included; much of that is shared
/// with hot state and counted here all the same.
const MAX_BYTES: usize = 16 << 20;

/// How a body travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// As it is.
    Identity,
    /// Compressed, as every browser of today prefers over TLS.
    Brotli,
}

impl Coding {
    /// The best of both that the asking program takes.
    pub fn of(headers: &HeaderMap) -> Self {
        if accepts(headers, "br") { Self::Brotli } else { Self::Identity }
    }
}

/// Whose page of what, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    viewer: UserId,
    room_id: RoomId,
    theme: Theme,
    coding: Coding,
}

#[derive(Debug)]
struct Finished {
    made_from: Arc<Boot>,
    body: Bytes,
}

/// What is kept of a room's newest messages.
type KeptMessages = Arc<[Arc<Kept>]>;

/// The pages that are kept, and the messages of which others are made.
#[derive(Debug)]
pub struct FinishedPages {
    pages: Mutex<Bounded<Key, Arc<Finished>>>,
    messages: Mutex<Bounded<RoomId, KeptMessages>>,
}

impl Default for FinishedPages {
    fn default() -> Self {
        let messages = Mutex::new(Bounded::new(MAX_BYTES));
        Self { pages: Mutex::new(Bounded::new(MAX_BYTES)), messages }
    }
}

impl FinishedPages {
    /// The document of `boot`, in its coding: the kept one if it was made from the same, else a
    /// new one. Other pages than those of a room's newest messages are made anew each time, and
    /// never compressed here.
    pub fn document(&self, boot: Boot, theme: Theme, coding: Coding) -> (Bytes, Coding) {
        let Some((room_id, messages)) = room_at_its_newest(&boot.screen) else {
            let page = ui::chat_document(&Arc::new(boot), theme, &KeptMessages::default());
            return (page.into(), Coding::Identity);
        };
        let key = Key { viewer: boot.viewer.id, room_id, theme, coding };
        let kept = lock(&self.pages).get(&key).cloned();
        if let Some(kept) = kept.filter(|kept| *kept.made_from == boot) {
            return (kept.body.clone(), coding);
        }
        let messages = self.messages(room_id, messages);
        let made_from = Arc::new(boot);
        let html = ui::chat_document(&made_from, theme, &messages);
        let (body, made) = match coding {
            Coding::Brotli => match super::compressed(&html) {
                Some(body) => (body, Coding::Brotli),
                None => (html.into(), Coding::Identity),
            },
            Coding::Identity => (html.into(), Coding::Identity),
        };
        if made == coding {
            let weight = body.len() + weight(&made_from);
            let finished = Arc::new(Finished { made_from, body: body.clone() });
            lock(&self.pages).insert(key, finished, weight);
        }
        (body, made)
    }

    /// What is kept of a room's newest messages: what was there before, as far as it is the same.
    fn messages(&self, room_id: RoomId, messages: &[Arc<Message>]) -> KeptMessages {
        let mut rooms = lock(&self.messages);
        let old = rooms.get(&room_id).cloned().unwrap_or_default();
        let known = |message: &Arc<Message>| {
            let at = old.binary_search_by_key(&message.id, |kept| kept.message.id).ok()?;
            old.get(at).filter(|kept| Arc::ptr_eq(&kept.message, message))
        };
        if old.len() == messages.len() && messages.iter().all(|one| known(one).is_some()) {
            return old;
        }
        let keep = |one| known(one).cloned().unwrap_or_else(|| Arc::new(Kept::new(one)));
        let kept: KeptMessages = messages.iter().map(keep).collect();
        let weight = messages.iter().map(|one| KEPT_BYTES + 4 * one.weight()).sum();
        rooms.insert(room_id, Arc::clone(&kept), weight);
        kept
    }
}

// A poisoned lock is taken all the same: at worst a page is made anew.
fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The room of a page that people come back to. A permalink or a form with an error is shown once.
fn room_at_its_newest(screen: &Screen) -> Option<(RoomId, &[Arc<Message>])> {
    match screen {
        Screen::Room(screen) => match &**screen {
            RoomScreen { room, page, has_newer: false, unsent: None, found: None, reply: None, .. } => {
                Some((room.id, &page.messages))
            }
            _ => None,
        },
        Screen::Quiet { .. } => None,
    }
}

/// What a page keeps alive, roughly.
fn weight(boot: &Boot) -> usize {
    let messages = match &boot.screen {
        Screen::Room(screen) => screen.page.messages.as_slice(),
        Screen::Quiet { .. } => &[],
    };
    let messages = messages.iter().map(|one| one.weight());
    1_024 + boot.rooms.len() * 128 + boot.online.len() * 64 + messages.sum::<usize>()
}
