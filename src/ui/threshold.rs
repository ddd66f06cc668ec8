//! Pages for people who are not inside yet, or who met an error: plain HTML with forms, no script
//! at all. Rendered by the server only.

use super::controls::{Field, FieldKind, FormError, Icon, Mark};
use crate::domain::error::Error;
use leptos::prelude::*;

const NAME: FieldKind = FieldKind {
    name: "name",
    label: "Your name",
    input: "text",
    autocomplete: "name",
    hint: "",
    longest: 60,
};
const EMAIL: FieldKind = FieldKind {
    name: "email_address",
    label: "E-mail",
    input: "email",
    autocomplete: "username",
    hint: "",
    longest: 254,
};
const NEW_PASSWORD: FieldKind = FieldKind {
    name: "password",
    label: "Password",
    input: "password",
    autocomplete: "new-password",
    hint: "At least 10 characters. A short sentence works well.",
    longest: 1_024,
};
const PASSWORD: FieldKind = FieldKind {
    name: "password",
    label: "Password",
    input: "password",
    autocomplete: "current-password",
    hint: "",
    longest: 1_024,
};
const ACCOUNT: FieldKind = FieldKind {
    name: "account_name",
    label: "Workspace name",
    input: "text",
    autocomplete: "off",
    hint: "Shown in the sidebar and on the sign-in page.",
    longest: 60,
};

/// What was typed into a form that is shown again. Never a password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// The account's name.
    pub account_name: String,
    /// The person's name.
    pub name: String,
    /// Their address.
    pub email_address: String,
}

/// The card that every such page is.
#[component]
fn Threshold(
    /// The heading.
    title: String,
    /// A sentence below it.
    lead: String,
    /// A word at the foot of the page.
    foot: &'static str,
    /// The form.
    children: Children,
) -> impl IntoView {
    view! {
        <main class="threshold">
            <div class="threshold__card">
                <header class="threshold__head">
                    <Mark/>
                    <h1 class="threshold__title" dir="auto">{title}</h1>
                    <p class="threshold__lead">{lead}</p>
                </header>
                {children()}
            </div>
            <p class="threshold__foot">{foot}</p>
        </main>
    }
}

const VERSION: &str = concat!("Campfire ", env!("CARGO_PKG_VERSION"));

/// The very first page of a new database.
#[component]
pub fn FirstRun(
    /// What was typed before.
    typed: Typed,
    /// What was wrong with it.
    error: Option<Error>,
) -> impl IntoView {
    view! {
        <Threshold title="Light the fire".to_owned() foot="Everything stays on this server."
            lead="Make the first account. It will be an administrator, and nobody else can do this \
                  after you.".to_owned()>
            <FormError error=error.clone()/>
            <form class="form" action="/first_run" method="post">
                <Field kind=ACCOUNT value=typed.account_name error=error.clone()/>
                <Field kind=NAME value=typed.name error=error.clone()/>
                <Field kind=EMAIL value=typed.email_address error=error.clone()/>
                <Field kind=NEW_PASSWORD error=error.clone()/>
                <button class="button button--ember button--wide" type="submit">
                    "Create workspace"
                </button>
            </form>
        </Threshold>
    }
}

/// Sign-in.
#[component]
pub fn SignIn(
    /// What the chat is called.
    account_name: String,
    /// What was typed before.
    typed: Typed,
    /// What was wrong with it.
    error: Option<Error>,
) -> impl IntoView {
    view! {
        <Threshold title=account_name foot=VERSION
            lead="Sign in to pick up the conversation.".to_owned()>
            <FormError error=error.clone()/>
            <form class="form" action="/session" method="post">
                <Field kind=EMAIL value=typed.email_address error=error.clone()/>
                <Field kind=PASSWORD error=error.clone()/>
                <button class="button button--primary button--wide" type="submit">"Sign in"</button>
            </form>
        </Threshold>
    }
}

/// The page behind an invite link.
#[component]
pub fn Join(
    /// What the chat is called.
    account_name: String,
    /// The code of the link.
    code: String,
    /// Its QR code, as HTML.
    qr: String,
    /// What was typed before.
    typed: Typed,
    /// What was wrong with it.
    error: Option<Error>,
) -> impl IntoView {
    view! {
        <Threshold title=format!("Join {account_name}") foot=VERSION
            lead="You were invited to this team chat. Tell them who you are.".to_owned()>
            <FormError error=error.clone()/>
            <form class="form" action=format!("/join/{code}") method="post">
                <Field kind=NAME value=typed.name error=error.clone()/>
                <Field kind=EMAIL value=typed.email_address error=error.clone()/>
                <Field kind=NEW_PASSWORD error=error.clone()/>
                <button class="button button--primary button--wide" type="submit">
                    "Join the chat"
                </button>
            </form>
            <p class="threshold__lead">"Already a member? "<a href="/session/new">"Sign in"</a></p>
            <aside class="stack" aria-label="Join on another device">
                <div inner_html=qr></div>
                <p class="small muted">
                    "On your phone instead? Point the camera at this code. It opens this same \
                     invitation."
                </p>
            </aside>
        </Threshold>
    }
}

/// The page behind a sign-in link. Looking at it changes nothing.
#[component]
pub fn ConfirmSignIn(
    /// What the chat is called.
    account_name: String,
    /// Who would be signed in.
    name: String,
    /// Where the form goes.
    action: String,
) -> impl IntoView {
    view! {
        <Threshold title=account_name foot=VERSION
            lead=format!("Sign in on this device as {name}?")>
            <form class="form" action=action method="post">
                <button class="button button--primary button--wide" type="submit">"Sign in"</button>
            </form>
        </Threshold>
    }
}

/// The page behind a link to reset a password.
#[component]
pub fn ResetPassword(
    /// What the chat is called.
    account_name: String,
    /// Whose password it is.
    name: String,
    /// Where the form goes.
    action: String,
    /// What was wrong with the last try.
    error: Option<Error>,
) -> impl IntoView {
    view! {
        <Threshold title=account_name foot=VERSION
            lead=format!("A new password for {name}. It signs out every other device.")>
            <FormError error=error.clone()/>
            <form class="form" action=action method="post">
                <Field kind=NEW_PASSWORD error=error/>
                <button class="button button--primary button--wide" type="submit">
                    "Set password"
                </button>
            </form>
        </Threshold>
    }
}

/// Something went wrong, in words, with one way on.
#[component]
pub fn Problem(
    /// What happened.
    error: Error,
    /// Names the request in the server's log.
    request_id: String,
) -> impl IntoView {
    let status = error.status();
    let (title, text) = match &error {
        Error::NotFound => (
            "There is nothing at this address",
            "The link may be old, or it points into a room you are not part of.".to_owned(),
        ),
        Error::Unavailable | Error::Unexpected | Error::StorageFull | Error::WriterUnavailable => {
            ("The fire went out for a moment", error.to_string())
        }
        _ => ("That did not work", error.to_string()),
    };
    // A reference helps where somebody has to look into the log.
    let code = if status >= 500 {
        format!("{status}, reference {request_id}")
    } else {
        status.to_string()
    };
    let face = match status {
        500.. => view! { <Mark class="mark mark--l mark--ash"/> }.into_any(),
        _ => view! { <span class="avatar avatar--xl" data-hue="2"><Icon name="hash"/></span> }
            .into_any(),
    };
    view! {
        <main class="threshold">
            <div class="threshold__card">
                <div class="empty">
                    {face}
                    <h1 class="empty__title">{title}</h1>
                    <p class="empty__text">{text}</p>
                    <p class="empty__code">{code}</p>
                    <div class="button-row">
                        <a class="button button--primary" href="/">"Back to the chat"</a>
                    </div>
                </div>
            </div>
        </main>
    }
}
