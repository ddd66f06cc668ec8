//! Small parts that every screen uses: icons, faces, times, form fields.
//!
//! Nothing here knows about the chat's state.

use crate::domain::UserId;
use crate::domain::account::{hue, initials};
use crate::domain::error::Error;
use leptos::prelude::*;
use std::sync::OnceLock;

static ASSETS: OnceLock<String> = OnceLock::new();

/// States, once and before anything is rendered, where stylesheet, sprite and program are served.
pub fn set_asset_base(base: String) {
    // The same base for the life of the process; a second call brings nothing new.
    let _already = ASSETS.set(base);
}

/// The address of a built file.
pub fn asset(name: &str) -> String {
    [ASSETS.get().map_or("", String::as_str), "/", name].concat()
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
    ["<use href=\"", &asset("icons.svg"), "#", name, "\"></use>"].concat()
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
