//! The way in and out: first run, sign-in, joining, signing out, and the theme, as plain forms.
//!
//! Pages without any script: they post, a redirect shows the result, and a broken rule shows the
//! form again with what was typed (never a password).

use super::super::App;
use super::super::auth::{Client, SignedIn};
use super::request::{
    FormBody, Signed, Visitor, expired_cookie, plain_cookie, session_cookie, theme,
};
use super::{Answer, page_with};
use crate::domain::account::NewUser;
use crate::domain::error::Error;
use crate::ui::threshold::{FirstRun, Join, SignIn, Typed};
use crate::ui::{self, Theme};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use leptos::view;
use serde::Deserialize;

/// `GET /first_run`
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn first_run_form(State(app): State<App>, headers: HeaderMap) -> Answer {
    if app.find_account().await?.is_some() {
        return Ok(Redirect::to("/").into_response());
    }
    let typed = Typed { account_name: "Campfire".to_owned(), ..Typed::default() };
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
    let failed = error.clone();
    let page = ui::plain_document("Set up Campfire", theme, move || {
        view! { <FirstRun typed=typed error=error/> }
    });
    page_with(failed.as_ref(), page)
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
    let title = format!("Sign in · {}", account.name);
    let page = ui::plain_document(&title, theme, move || {
        view! { <SignIn account_name=account.name.clone() typed=typed error=error/> }
    });
    Ok(page_with(failed.as_ref(), page))
}

/// `POST /session/end`
///
/// # Errors
/// Those of the writer.
pub async fn sign_out(State(app): State<App>, Visitor(signed): Visitor) -> Answer {
    app.auth.sign_out(&signed.by.token, &signed.by.session).await?;
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
    Ok(join_page(theme(&headers), (account.name, code), Typed::default(), None))
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
            Ok(join_page(theme(&headers), (account.name, code), form.typed(), Some(error)))
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
    let failed = error.clone();
    let page = ui::plain_document(&format!("Join {account_name}"), theme, move || {
        view! { <Join account_name=account_name code=code typed=typed error=error/> }
    });
    page_with(failed.as_ref(), page)
}

fn enter(app: &App, by: &SignedIn) -> Response {
    let cookie = [(header::SET_COOKIE, session_cookie(&app.config, &by.token))];
    (cookie, Redirect::to("/")).into_response()
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
    let cookie = [(header::SET_COOKIE, plain_cookie("theme", form.theme.as_str()))];
    let back = format!("/users/{}", signed.viewer().id);
    Ok((cookie, Redirect::to(&back)).into_response())
}
