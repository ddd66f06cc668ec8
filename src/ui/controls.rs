//! Small parts that every screen uses: icons, faces, times, form fields; and the pages made of
//! nothing else, for people who are not inside yet or who met an error. Those are plain HTML with
//! forms, without any script, rendered by the server only.
//!
//! Nothing here knows about the chat's state.

use super::{browser, log};
use crate::domain::account::{hue, initials};
use crate::domain::error::Error;
use crate::domain::{UserId, push_all};
use crate::texts;
use leptos::prelude::*;
use std::sync::OnceLock;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

static ASSETS: OnceLock<String> = OnceLock::new();

/// States, once and before anything is rendered, where stylesheet, sprite and program are served.
pub fn set_asset_base(base: String) {
    // The same base for the life of the process; a second call brings nothing new.
    let _already = ASSETS.set(base);
}

fn asset_base() -> &'static str {
    ASSETS.get().map_or("", String::as_str)
}

/// The address of a built file.
pub fn asset(name: &str) -> String {
    [asset_base(), "/", name].concat()
}

/// An icon of the sprite, decorative.
#[component]
pub fn Icon(
    /// The symbol's name.
    name: &'static str,
    /// Its classes.
    #[prop(default = "icon")]
    class: &'static str,
) -> impl IntoView {
    // One node to hydrate instead of two.
    let symbol = symbol(name);
    view! { <svg class=class aria-hidden="true" inner_html=symbol></svg> }
}

/// A symbol of the sprite, for the inside of an `<svg>`.
pub fn symbol(name: &str) -> String {
    ["<use href=\"", asset_base(), "/icons.svg#", name, "\"></use>"].concat()
}

/// The campfire.
#[component]
pub fn Mark(
    /// Its classes.
    #[prop(default = "mark mark--l")]
    class: &'static str,
) -> impl IntoView {
    view! { <Icon name="campfire" class=class/> }
}

/// A face made of initials.
#[component]
pub fn Avatar(
    /// Whose.
    id: UserId,
    /// Their name.
    name: String,
    /// `avatar` and its modifiers; small ones show one initial.
    #[prop(default = "avatar")]
    class: &'static str,
    /// Whether to show that they are online.
    #[prop(default = false)]
    online: bool,
) -> impl IntoView {
    let letters = initials(&name, if class.contains("--s") { 1 } else { 2 });
    view! {
        <span class=class data-hue=hue(id).to_string() aria-hidden="true">
            {letters} {online.then(|| view! { <span class="presence"></span> })}
        </span>
    }
}

/// The inside of an element whose pieces, elements as HTML, change: what it shows first. In the
/// browser, pieces that differ are drawn anew from then on and the others are left alone. Each kind
/// of view weighs more there than all that is shown in this way.
pub fn live(id: &'static str, pieces: impl Fn() -> Vec<String> + Send + Sync + 'static) -> String {
    keep_alive(id, Box::new(pieces))
}

fn keep_alive(id: &'static str, pieces: Box<dyn Fn() -> Vec<String> + Send + Sync>) -> String {
    let drawn = StoredValue::new(untrack(&pieces));
    Effect::new(move || {
        let new = pieces();
        if let Some(list) = browser::element(id) {
            drawn.update_value(|old| {
                patch(&list, old, &new);
                *old = new;
            });
        }
    });
    drawn.with_value(|pieces| pieces.concat())
}

/// Exchanges the pieces that differ. Whoever stands on a link or a button in one of them stays on it,
/// if there is one with the same address or id afterwards.
fn patch(list: &HtmlElement, old: &[String], new: &[String]) {
    if old == new {
        return;
    }
    let stood = browser::focused().filter(|at| list.contains(Some(at)));
    let stood = stood.and_then(|at| match at.get_attribute("href") {
        Some(href) => Some(format!("a[href='{href}']")),
        None => Some(format!("#{}", at.id())).filter(|id| id.len() > 1),
    });
    let changed = (0..).zip(old.iter().zip(new)).filter(|(_, (old, new))| old != new);
    let changed: Vec<(u32, &String)> = changed.map(|(place, (_, html))| (place, html)).collect();
    // Two far apart: the room that was on screen, and the one that is. More are parsed at once, because
    // a direct room that moves to the top moves all that stood above it.
    if old.len() == new.len() && changed.len() <= 2 {
        for (place, html) in changed {
            if let Some(line) = list.children().item(place) {
                line.set_outer_html(html);
            }
        }
    } else {
        browser::exchange(list, old, new);
    }
    let stood = stood.filter(|_| browser::focused().is_none());
    let again = stood.and_then(|at| list.query_selector(&at).ok().flatten()?.dyn_into().ok());
    if let Some(again) = again {
        log::focus(&again);
    }
}

/// What a form field is for.
#[derive(Clone, Copy)]
pub struct FieldKind {
    /// Its name in the request, also its id.
    pub name: &'static str,
    /// What people read above it.
    pub label: &'static str,
    /// The input's type.
    pub input: &'static str,
    /// What the browser may fill in.
    pub autocomplete: &'static str,
    /// A note below it; may be empty.
    pub hint: &'static str,
    /// Longest value the browser accepts, in characters.
    pub longest: u32,
}

/// A labelled input with its note or what is wrong with it.
#[component]
pub fn Field(
    /// What it is for.
    kind: FieldKind,
    /// What it contains.
    #[prop(default = String::new())]
    value: String,
    /// The form's last error, if any.
    #[prop(default = None)]
    error: Option<Error>,
) -> impl IntoView {
    let FieldKind { name, label, input, autocomplete, hint, longest } = kind;
    let problem = error.as_ref().and_then(|error| error.for_field(name)).map(str::to_owned);
    let wrong = problem.is_some();
    let note_id = format!("{name}-note");
    let note = match problem {
        Some(text) => Some(("field__error", text)),
        None if hint.is_empty() => None,
        None => Some(("field__hint", hint.to_owned())),
    };
    let described = note.is_some().then(|| note_id.clone());
    view! {
        <div class="field">
            <label class="field__label" for=name>{label}</label>
            <input class="input" id=name name=name type=input value=value required
                autocomplete=autocomplete maxlength=longest.to_string()
                aria-invalid=wrong.then_some("true") aria-describedby=described/>
            {note.map(|(class, text)| view! { <p class=class id=note_id>{text}</p> })}
        </div>
    }
}

/// What went wrong with a whole form, for errors that belong to no field.
#[component]
pub fn FormError(
    /// The form's last error, if any.
    error: Option<Error>,
) -> impl IntoView {
    let general = error.filter(|error| error.fields().is_empty());
    general.map(|error| {
        view! {
            <div class="callout callout--bad" role="alert">
                <Icon name="warning"/><p>{error.to_string()}</p>
            </div>
        }
    })
}

const NAME: FieldKind = FieldKind {
    name: "name",
    label: texts::entrance::YOUR_NAME,
    input: "text",
    autocomplete: "name",
    hint: "",
    longest: 60,
};
const EMAIL: FieldKind = FieldKind {
    name: "email_address",
    label: texts::entrance::E_MAIL,
    input: "email",
    autocomplete: "username",
    hint: "",
    longest: 254,
};
const NEW_PASSWORD: FieldKind = FieldKind {
    name: "password",
    label: texts::entrance::PASSWORD,
    input: "password",
    autocomplete: "new-password",
    hint: texts::entrance::PASSWORD_HINT,
    longest: 1_024,
};
const PASSWORD: FieldKind = FieldKind {
    name: "password",
    label: texts::entrance::PASSWORD,
    input: "password",
    autocomplete: "current-password",
    hint: "",
    longest: 1_024,
};
const ACCOUNT: FieldKind = FieldKind {
    name: "account_name",
    label: texts::entrance::WORKSPACE_NAME,
    input: "text",
    autocomplete: "off",
    hint: texts::entrance::WORKSPACE_NAME_HINT,
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
        <Threshold title=texts::entrance::LIGHT_THE_FIRE.to_owned()
            lead=texts::entrance::MAKE_THE_FIRST_ACCOUNT.to_owned()
            foot=texts::entrance::EVERYTHING_STAYS_HERE>
            <FormError error=error.clone()/>
            <form class="form" action="/first_run" method="post">
                <Field kind=ACCOUNT value=typed.account_name error=error.clone()/>
                <Field kind=NAME value=typed.name error=error.clone()/>
                <Field kind=EMAIL value=typed.email_address error=error.clone()/>
                <Field kind=NEW_PASSWORD error=error.clone()/>
                <button class="button button--ember button--wide" type="submit">
                    {texts::entrance::CREATE_WORKSPACE}
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
            lead=texts::entrance::SIGN_IN_LEAD.to_owned()>
            <FormError error=error.clone()/>
            <form class="form" action="/session" method="post">
                <Field kind=EMAIL value=typed.email_address error=error.clone()/>
                <Field kind=PASSWORD error=error.clone()/>
                <button class="button button--primary button--wide" type="submit">
                    {texts::button::SIGN_IN}
                </button>
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
        <Threshold title=texts::entrance::join(account_name) foot=VERSION
            lead=texts::entrance::YOU_WERE_INVITED.to_owned()>
            <FormError error=error.clone()/>
            <form class="form" action=format!("/join/{code}") method="post">
                <Field kind=NAME value=typed.name error=error.clone()/>
                <Field kind=EMAIL value=typed.email_address error=error.clone()/>
                <Field kind=NEW_PASSWORD error=error.clone()/>
                <button class="button button--primary button--wide" type="submit">
                    {texts::entrance::JOIN_THE_CHAT}
                </button>
            </form>
            <p class="threshold__lead">
                {texts::entrance::ALREADY_A_MEMBER}" "<a href="/session/new">{texts::button::SIGN_IN}</a>
            </p>
            <aside class="stack" aria-label=texts::entrance::JOIN_ON_ANOTHER_DEVICE>
                <div inner_html=qr></div>
                <p class="small muted">{texts::entrance::ON_YOUR_PHONE_INSTEAD}</p>
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
            lead=texts::entrance::sign_in_as(name)>
            <form class="form" action=action method="post">
                <button class="button button--primary button--wide" type="submit">
                    {texts::button::SIGN_IN}
                </button>
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
            lead=texts::entrance::new_password_for(name)>
            <FormError error=error.clone()/>
            <form class="form" action=action method="post">
                <Field kind=NEW_PASSWORD error=error/>
                <button class="button button--primary button--wide" type="submit">
                    {texts::entrance::SET_PASSWORD}
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
        Error::NotFound => {
            (texts::problem::NOTHING_AT_THIS_ADDRESS, texts::problem::THE_LINK_MAY_BE_OLD.to_owned())
        }
        Error::Unavailable | Error::Unexpected | Error::StorageFull | Error::WriterUnavailable => {
            (texts::problem::THE_FIRE_WENT_OUT, error.to_string())
        }
        _ => (texts::problem::THAT_DID_NOT_WORK, error.to_string()),
    };
    // A reference helps where somebody has to look into the log.
    let code = match status {
        500.. => texts::problem::reference(request_id, status),
        _ => status.to_string(),
    };
    let face = match status {
        500.. => view! { <Mark class="mark mark--l mark--ash"/> }.into_any(),
        _ => view! { <span class="avatar avatar--xl" data-hue="2"><Icon name="hash"/></span> }.into_any(),
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
                        <a class="button button--primary" href="/">{texts::button::BACK_TO_THE_CHAT}</a>
                    </div>
                </div>
            </div>
        </main>
    }
}

/// A drawing of the sprite, as HTML.
pub fn svg(name: &str, class: &str) -> String {
    let mut html = String::with_capacity(160);
    push_svg(&mut html, name, class);
    html
}

fn push_svg(html: &mut String, name: &str, class: &str) {
    let start = ["<svg class=\"", class, "\" aria-hidden=\"true\"><use href=\"", asset_base()];
    push_all(html, &start);
    push_all(html, &["/icons.svg#", name, "\"></use></svg>"]);
}

/// A small icon.
pub fn icon(name: &str) -> String {
    svg(name, "icon icon--s")
}

/// HTML in which `{name}` stands for a small icon, and `{=name}` for one of the usual size.
pub fn illustrated(html: &str) -> String {
    let mut shown = String::with_capacity(html.len() * 2);
    for (at, part) in html.split('{').enumerate() {
        let (name, rest) = part.split_once('}').filter(|_| at > 0).unwrap_or(("", part));
        match name.strip_prefix('=') {
            _ if name.is_empty() => {}
            None => push_svg(&mut shown, name, "icon icon--s"),
            Some(name) => push_svg(&mut shown, name, "icon"),
        }
        shown.push_str(rest);
    }
    shown
}
