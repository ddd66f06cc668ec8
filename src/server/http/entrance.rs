//! The way in and out: first run, sign-in, joining, invite links, links that work once, signing
//! out, and the theme, as plain forms and as JSON.
//!
//! Pages of the way in have no script: they post, a redirect shows the result, and a broken rule
//! shows the form again with what was typed (never a password). A link that was made is shown by the
//! card beside its handler; copying it is a script's part, found by `data-copy` in `ui::room`.

use super::super::App;
use super::super::auth::{self, Client, SignedIn};
use super::super::store::account::{Purpose, Session};
use super::Answer;
use super::pages::quiet_page;
use super::people::{Invites, qr};
use super::request::{
    FormBody, JsonBody, Signed, Visitor, expired_cookie, invite_link, page_with, plain_cookie,
    session_cookie, theme,
};
use crate::domain::account::{Invite, InviteTerms, NewUser, Role, Viewer};
use crate::domain::error::Error;
use crate::domain::{InviteId, UserId};
use crate::texts;
use crate::ui::controls::{ConfirmSignIn, FirstRun, Icon, Join, ResetPassword, SignIn, Typed};
use crate::ui::{self, Theme};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// `GET /first_run`
pub(super) async fn first_run_form(State(app): State<App>, headers: HeaderMap) -> Answer {
    if app.find_account().await?.is_some() {
        return Ok(Redirect::to("/").into_response());
    }
    let typed = Typed { account_name: texts::pages::PRODUCT.to_owned(), ..Typed::default() };
    Ok(first_run_page(theme(&headers), typed, None))
}

#[derive(Deserialize)]
pub(super) struct SignUp {
    account_name: Option<String>,
    name: String,
    email_address: String,
    password: String,
}

impl SignUp {
    fn typed(&self) -> Typed {
        Typed {
            account_name: self.account_name.clone().unwrap_or_default(),
            name: self.name.clone(),
            email_address: self.email_address.clone(),
        }
    }
}

/// `POST /first_run`
pub(super) async fn first_run(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    FormBody(form): FormBody<SignUp>,
) -> Answer {
    let account_name = form.account_name.as_deref().unwrap_or_default();
    let done = match NewUser::parse(&form.name, &form.email_address, &form.password) {
        Ok(user) => app.auth.first_run(account_name, user, &client).await,
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
    let failed = error.clone();
    let page = ui::plain_document(texts::entrance::FIRST_RUN_TITLE, theme, move || {
        view! { <FirstRun typed=typed error=error/> }
    });
    page_with(failed.as_ref(), page)
}

/// `GET /session/new`
pub(super) async fn sign_in_form(
    State(app): State<App>,
    visitor: Result<Signed, Error>,
    headers: HeaderMap,
) -> Answer {
    if visitor.is_ok() {
        return Ok(Redirect::to("/").into_response());
    }
    sign_in_page(&app, theme(&headers), Typed::default(), None).await
}

#[derive(Deserialize)]
pub(super) struct SignInForm {
    email_address: String,
    password: String,
}

/// `POST /session`
pub(super) async fn sign_in(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    FormBody(form): FormBody<SignInForm>,
) -> Answer {
    match app.auth.sign_in(&form.email_address, &form.password, &client).await {
        Ok(by) => Ok(enter(&app, &by)),
        Err(error @ (Error::WrongCredentials | Error::RateLimited { .. })) => {
            let typed = Typed { email_address: form.email_address, ..Typed::default() };
            sign_in_page(&app, theme(&headers), typed, Some(error)).await
        }
        Err(error) => Err(error),
    }
}

async fn sign_in_page(app: &App, theme: Theme, typed: Typed, error: Option<Error>) -> Answer {
    let Some(account) = app.find_account().await? else {
        return Ok(Redirect::to("/first_run").into_response());
    };
    let failed = error.clone();
    let title = texts::entrance::sign_in_title(&account.name);
    let page = ui::plain_document(&title, theme, move || {
        view! { <SignIn account_name=account.name.clone() typed=typed error=error/> }
    });
    Ok(page_with(failed.as_ref(), page))
}

/// `POST /session/end`.
pub(super) async fn sign_out(by: Visitor) -> Answer {
    by.app.auth.sign_out(&by.token, &by.session).await?;
    let cookie = [(header::SET_COOKIE, expired_cookie(&by.app.config))];
    Ok((cookie, Redirect::to("/session/new")).into_response())
}

/// `GET /join/{code}`. Errors: [`Error::NotFound`] for a wrong code; [`Error::Unavailable`].
pub(super) async fn join_form(
    State(app): State<App>,
    Path(code): Path<String>,
    visitor: Result<Signed, Error>,
    headers: HeaderMap,
) -> Answer {
    if visitor.is_ok() {
        return Ok(Redirect::to("/").into_response());
    }
    app.auth.find_invite(&code).await?;
    join_page(&app, &headers, code, Typed::default(), None).await
}

/// `POST /join/{code}`
pub(super) async fn join(
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
            app.auth.find_invite(&code).await?;
            join_page(&app, &headers, code, form.typed(), Some(error)).await
        }
        Err(error) => Err(error),
    }
}

async fn join_page(
    app: &App,
    headers: &HeaderMap,
    code: String,
    typed: Typed,
    error: Option<Error>,
) -> Answer {
    let account_name = app.find_account().await?.ok_or(Error::NotFound)?.name.clone();
    let failed = error.clone();
    let code_for_cameras = qr(&invite_link(app, headers, &code), texts::entrance::JOIN_QR);
    let page = ui::plain_document(&texts::entrance::join_title(&account_name), theme(headers), move || {
        view! {
            <Join account_name=account_name code=code qr=code_for_cameras typed=typed error=error/>
        }
    });
    Ok(page_with(failed.as_ref(), page))
}

/// `GET /session/link/{token}`: looking at it, as link previews do, changes nothing.
pub(super) async fn confirm_sign_in(
    State(app): State<App>,
    Path(token): Path<String>,
    client: Client,
    headers: HeaderMap,
) -> Answer {
    let name = app.auth.find_link(Purpose::SignIn, &token, &client).await?;
    let account_name = app.find_account().await?.ok_or(Error::NotFound)?.name.clone();
    let action = format!("/session/link/{token}");
    let page = ui::plain_document(texts::entrance::CONFIRM_TITLE, theme(&headers), move || {
        view! { <ConfirmSignIn account_name=account_name name=name action=action/> }
    });
    Ok(page_with(None, page))
}

/// `POST /session/link/{token}`
pub(super) async fn link_sign_in(
    State(app): State<App>,
    Path(token): Path<String>,
    client: Client,
) -> Answer {
    Ok(enter(&app, &app.auth.redeem_sign_in(&token, &client).await?))
}

/// `GET /session/reset/{token}`
pub(super) async fn reset_form(
    State(app): State<App>,
    Path(token): Path<String>,
    client: Client,
    headers: HeaderMap,
) -> Answer {
    reset_page(&app, &client, &headers, token, None).await
}

async fn reset_page(
    app: &App,
    client: &Client,
    headers: &HeaderMap,
    token: String,
    error: Option<Error>,
) -> Answer {
    let name = app.auth.find_link(Purpose::Reset, &token, client).await?;
    let account_name = app.find_account().await?.ok_or(Error::NotFound)?.name.clone();
    let (action, failed) = (format!("/session/reset/{token}"), error.clone());
    let page = ui::plain_document(texts::entrance::RESET_TITLE, theme(headers), move || {
        view! { <ResetPassword account_name=account_name name=name action=action error=error/> }
    });
    Ok(page_with(failed.as_ref(), page))
}

#[derive(Deserialize)]
pub(super) struct ResetForm {
    password: String,
}

/// `POST /session/reset/{token}`
pub(super) async fn reset(
    State(app): State<App>,
    Path(token): Path<String>,
    client: Client,
    headers: HeaderMap,
    FormBody(form): FormBody<ResetForm>,
) -> Answer {
    match app.auth.redeem_reset(&token, &form.password, &client).await {
        Ok(()) => Ok(Redirect::to("/session/new").into_response()),
        Err(error @ Error::Validation(_)) => reset_page(&app, &client, &headers, token, Some(error)).await,
        Err(error) => Err(error),
    }
}

/// `GET /account/invites`
pub(super) async fn invites(by: Visitor) -> Answer {
    let (viewer, now) = (by.viewer().clone(), by.app.clock.now());
    let invites = by.app.store.list_invites(&viewer, now).await?;
    let with_address = |invite: Invite| {
        let link = invite_link(&by.app, &by.headers, &invite.code);
        (invite, link)
    };
    let invites: Vec<_> = invites.into_iter().map(with_address).collect();
    let html = ui::fragment(move || {
        view! { <Invites viewer=viewer invites=invites now=now/> }
    });
    quiet_page(&by, (texts::invites::TITLE, html)).await
}

/// `GET /api/invites`
pub(super) async fn list_invites(by: Signed) -> Result<Json<Vec<Invite>>, Error> {
    by.app.store.list_invites(by.viewer(), by.app.clock.now()).await.map(Json)
}

#[derive(Deserialize)]
pub(super) struct TermsForm {
    #[serde(default = "default_days")]
    days: u16,
    #[serde(default)]
    max_uses: u16,
}

fn default_days() -> u16 {
    let [days, ..] = InviteTerms::DAYS;
    days
}

async fn new_invite(by: &Signed, form: &TermsForm) -> Result<(InviteId, String), Error> {
    let terms = InviteTerms::parse(form.days, form.max_uses)?;
    by.app.auth.allow_link(by.viewer().id)?;
    let code = auth::invite_code()?;
    let id = by.app.writer.create_invite(by.viewer().id, code.clone(), terms).await?;
    Ok((id, code))
}

/// `POST /account/invites`
pub(super) async fn create_invite(by: Visitor, FormBody(form): FormBody<TermsForm>) -> Answer {
    let (id, _) = new_invite(&by, &form).await?;
    Ok(Redirect::to(&format!("/account/invites/{id}")).into_response())
}

/// An invite link that has just been made.
#[derive(Serialize)]
pub(super) struct NewInvite {
    id: InviteId,
    code: String,
    url: String,
}

/// `POST /api/invites`
pub(super) async fn post_invite(
    by: Signed,
    headers: HeaderMap,
    JsonBody(form): JsonBody<TermsForm>,
) -> Result<(StatusCode, Json<NewInvite>), Error> {
    let (id, code) = new_invite(&by, &form).await?;
    let url = invite_link(&by.app, &headers, &code);
    Ok((StatusCode::CREATED, Json(NewInvite { id, code, url })))
}

/// `GET /account/invites/{id}`: an open link, also as a QR code.
pub(super) async fn invite(by: Visitor, Path(id): Path<String>) -> Answer {
    let invite = by.app.store.load_invite(invite_of(&id)?).await?;
    if !invite.is_open(by.app.clock.now()) {
        return Err(Error::NotFound);
    }
    let link = invite_link(&by.app, &by.headers, &invite.code);
    let html = ui::fragment(move || {
        let code = qr(&link, texts::invites::QR);
        let note = texts::invites::NOTE;
        view! { <LinkCard link=link qr=code note=note back="/account/invites".to_owned()/> }
    });
    quiet_page(&by, (texts::invites::ONE_TITLE, html)).await
}

/// A link to pass on, also as a code for a camera.
#[component]
pub(super) fn LinkCard(
    /// The link.
    link: String,
    /// Its QR code, as HTML.
    qr: String,
    /// What it does.
    note: &'static str,
    /// Where to go afterwards.
    back: String,
) -> impl IntoView {
    view! {
        <div class="panel panel--pad split">
            <div class="stack">
                <InviteLine invite=link/>
                <p class="small muted">{note}</p>
                <div class="button-row"><a class="button button--s" href=back>{texts::invites::DONE}</a></div>
            </div>
            <div inner_html=qr></div>
        </div>
    }
}

/// An invite link with a button that copies it.
#[component]
pub(super) fn InviteLine(
    /// The link.
    invite: String,
) -> impl IntoView {
    view! {
        <div class="copy-line">
            <code class="truncate">{invite.clone()}</code>
            <button type="button" class="icon-button with-scripts" aria-label=texts::invites::COPY
                title=texts::invites::COPY data-copy=invite><Icon name="copy"/></button>
        </div>
    }
}

/// `POST /account/invites/{id}/end`
pub(super) async fn end_invite(by: Visitor, Path(id): Path<String>) -> Answer {
    by.app.writer.revoke_invite(by.viewer().id, invite_of(&id)?).await?;
    Ok(Redirect::to("/account/invites").into_response())
}

/// `DELETE /api/invites/{id}`
pub(super) async fn delete_invite(by: Signed, Path(id): Path<String>) -> Result<StatusCode, Error> {
    by.app.writer.revoke_invite(by.viewer().id, invite_of(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An invite's id in an address; anything else is no address.
fn invite_of(text: &str) -> Result<InviteId, Error> {
    text.parse().map(InviteId::new).map_err(|_| Error::NotFound)
}

fn enter(app: &App, by: &SignedIn) -> Response {
    let cookie = [(header::SET_COOKIE, session_cookie(&app.config, &by.token))];
    (cookie, Redirect::to("/")).into_response()
}

#[derive(Deserialize)]
pub(super) struct ThemeForm {
    theme: Theme,
}

/// `POST /theme`. Errors: [`Error::Malformed`].
pub(super) async fn choose_theme(by: Visitor, FormBody(form): FormBody<ThemeForm>) -> Answer {
    let cookie = [(header::SET_COOKIE, plain_cookie("theme", form.theme.as_str()))];
    let back = format!("/users/{}", by.viewer().id);
    Ok((cookie, Redirect::to(&back)).into_response())
}

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

/// `POST /api/first_run`
pub(super) async fn post_first_run(
    State(app): State<App>,
    client: Client,
    JsonBody(form): JsonBody<SignUp>,
) -> Result<Response, Error> {
    let user = NewUser::parse(&form.name, &form.email_address, &form.password)?;
    let account_name = form.account_name.as_deref().unwrap_or(texts::pages::PRODUCT);
    Ok(signed_in(&app, app.auth.first_run(account_name, user, &client).await?))
}

/// `POST /api/join/{code}`
pub(super) async fn post_join(
    State(app): State<App>,
    Path(code): Path<String>,
    client: Client,
    JsonBody(form): JsonBody<SignUp>,
) -> Result<Response, Error> {
    let user = NewUser::parse(&form.name, &form.email_address, &form.password)?;
    Ok(signed_in(&app, app.auth.join(&code, user, &client).await?))
}

/// `POST /api/session`
pub(super) async fn post_session(
    State(app): State<App>,
    client: Client,
    JsonBody(form): JsonBody<SignInForm>,
) -> Result<Response, Error> {
    Ok(signed_in(&app, app.auth.sign_in(&form.email_address, &form.password, &client).await?))
}

/// `DELETE /api/session`
pub(super) async fn delete_session(by: Signed) -> Result<Response, Error> {
    by.app.auth.sign_out(&by.token, &by.session).await?;
    let cookie = expired_cookie(&by.app.config);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// `GET /api/me`
pub(super) async fn me(by: Signed) -> Json<Me> {
    Json(Me::new(&by.session, None))
}
