//! Where one writes: a field with Markdown as typed, tools that edit the source text, completions,
//! an emoji picker, a preview; and what a message can do besides being read: sounds.
//!
//! The composer is a plain form that posts without scripts. Live, Enter sends (not while an input
//! method is composing, not on touch screens), Shift+Enter breaks the line, Ctrl or Cmd+Enter
//! always sends. The draft is kept in this browser on every keystroke, so nothing written is lost.
//! What tools do to a text is decided in `domain::composing` and typed here, to be taken back.
//!
//! Tools, completions and picker are plain HTML (`composer.html`) that a few listeners of the dock
//! serve: as components they would weigh as much as the rest of the chat.

use super::browser::{self, CallError};
use super::controls::{illustrated, live};
use super::keys::{CHOICES, completions, is_composing, put_forward, sends};
use super::live::Typing;
use super::log;
use super::message::reply_line;
use super::room::{self, PICKER, is_muted};
use super::state::Chat;
use super::timeline::jump_pill;
use crate::domain::composing::{Field, Format, is_code, trigger};
use crate::domain::event::Sidebar;
use crate::domain::{RoomId, Seq, push_escaped};
use crate::texts;
use leptos::ev::{self, Event, KeyboardEvent, MouseEvent};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{ClipboardEvent, Element, HtmlDocument, HtmlElement, HtmlTextAreaElement};

/// Everything the composer knows.
#[derive(Clone, Copy)]
struct Writing {
    chat: Chat,
    problem: RwSignal<Option<String>>,
    typing: Typing,
    looking: StoredValue<Looking>,
}

/// What is looked for, and what was pasted.
#[derive(Default)]
struct Looking {
    /// What a completion replaces, in bytes.
    place: (usize, usize),
    /// Counts look-ups: the answer to an older one comes too late.
    asked: u32,
    /// What was pasted and looks like code.
    pasted: String,
}

fn field() -> Option<HtmlTextAreaElement> {
    browser::element("body")?.dyn_into().ok()
}

/// The field, and what it holds.
fn read() -> Option<(HtmlTextAreaElement, Field)> {
    let element = field()?;
    let end = element.selection_end().ok()??;
    let start = element.selection_start().ok()??;
    let field = Field::new(&element.value(), start, end);
    Some((element, field))
}

fn show(id: &str, shown: bool) {
    if let Some(element) = browser::element(id) {
        element.set_hidden(!shown);
    }
}

fn press(button: &str, pressed: bool) {
    let button = ["[data-do='", button, "']"].concat();
    let button = browser::document().and_then(|it| it.query_selector(&button).ok().flatten());
    if let Some(button) = button {
        log::set(&button, "aria-pressed", if pressed { "true" } else { "false" });
    }
}

fn is_previewing() -> bool {
    browser::element("preview").is_some_and(|preview| !preview.hidden())
}

/// Shows what the message will be in place of the field, or the field again.
fn show_preview(html: Option<&str>) {
    if html.is_none() && !is_previewing() {
        return;
    }
    if let Some(preview) = browser::element("preview") {
        preview.set_inner_html(html.unwrap_or_default());
    }
    show("preview", html.is_some());
    show("body", html.is_none());
    press("preview", html.is_some());
}

impl Writing {
    /// Types the difference between what the field holds and what it should hold.
    fn write(self, new: &Field) {
        let Some((element, old)) = read() else {
            return;
        };
        show_preview(None);
        let (from, to, text) = old.change(new);
        let _focused = element.focus();
        if from != to || !text.is_empty() {
            let _selected = element.set_selection_range(from, to);
            let (command, text) = if text.is_empty() { ("delete", "") } else { ("insertText", text) };
            let document = browser::document().and_then(|it| it.dyn_into::<HtmlDocument>().ok());
            let typed = document.is_some_and(|document| {
                document.exec_command_with_show_ui_and_value(command, false, text).unwrap_or(false)
            });
            if !typed || element.value() != new.text {
                element.set_value(&new.text);
                self.changed();
            }
        }
        let (start, end) = new.units();
        let _selected = element.set_selection_range(start, end);
    }

    fn changed(self) {
        if let Some(field) = field() {
            let text = field.value();
            self.typing.changed(text.trim().is_empty());
            self.chat.draft.set(text);
            self.chat.keep_draft();
            self.suggest();
        }
    }

    fn send(self) {
        let Some(field) = field().filter(|field| !field.value().trim().is_empty()) else {
            return;
        };
        match self.chat.send(&field.value()) {
            Ok(()) => {
                self.reset();
                self.typing.ended();
                self.chat.draft.set(String::new());
                self.chat.keep_draft();
            }
            Err(sentence) => self.problem.set(Some(sentence)),
        }
        let _focused = field.focus();
    }

    /// Nothing of what was going on concerns the text that comes next.
    fn reset(self) {
        self.problem.set(None);
        show_preview(None);
        show("paste-offer", false);
        self.close();
    }

    fn suggest(self) {
        let Some((_, at)) = read() else {
            return;
        };
        let Some(found) = trigger(&at.text, at.start).filter(|_| at.start == at.end) else {
            return self.close();
        };
        let asked = self.ask();
        self.looking.update_value(|looking| looking.place = (found.start, at.start));
        let (kind, typed) = (found.kind, found.typed.to_owned());
        spawn_local(async move {
            let found = self.chat.complete(kind, &typed).await;
            let list = browser::element(CHOICES);
            let still = self.looking.try_with_value(|looking| looking.asked) == Some(asked);
            if let Some(list) = list.filter(|_| still) {
                list.set_inner_html(&found);
                list.set_hidden(found.is_empty());
                if found.is_empty() { self.close() } else { put_forward(0) }
            }
        });
    }

    /// Counts one more look-up.
    fn ask(self) -> u32 {
        self.looking.update_value(|looking| looking.asked = looking.asked.wrapping_add(1));
        self.looking.with_value(|looking| looking.asked)
    }

    /// Closes the list; a look-up under way comes too late.
    fn close(self) {
        self.ask();
        if let Some(list) = browser::element(CHOICES).filter(|list| !list.hidden()) {
            list.set_inner_html("");
            list.set_hidden(true);
        }
        if let Some(field) = field() {
            for name in ["role", "aria-expanded", "aria-controls", "aria-activedescendant"] {
                let _removed = field.remove_attribute(name);
            }
        }
    }

    /// Puts a completion into the text. False if it stands there already.
    fn take(self, option: Option<&Element>) -> bool {
        let text = option.and_then(|option| option.get_attribute("data-text"));
        let (Some(text), Some((_, field))) = (text, read()) else {
            return false;
        };
        let (from, to) = self.looking.with_value(|looking| looking.place);
        let typed = field.text.get(from..to).unwrap_or_default();
        let is_new = !typed.eq_ignore_ascii_case(text.trim_end());
        if is_new {
            self.write(&field.replaced(from, to, &text));
        }
        self.close();
        is_new
    }

    /// Whether a key was for the list of completions.
    fn steer(self, event: &KeyboardEvent) -> bool {
        let options = completions();
        let count = options.len();
        let more = event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key();
        if count == 0 || more {
            return false;
        }
        let is_chosen = |option: &Element| option.matches("[aria-selected='true']") == Ok(true);
        let chosen = options.iter().position(is_chosen).unwrap_or(0);
        match event.key().as_str() {
            "ArrowDown" => put_forward((chosen + 1) % count),
            "ArrowUp" => put_forward((chosen + count - 1) % count),
            "Escape" => {
                event.stop_propagation();
                self.close();
            }
            "Tab" => {
                self.take(options.get(chosen));
            }
            "Enter" => return self.take(options.get(chosen)),
            _ => return false,
        }
        true
    }

    fn format(self, format: Format) {
        if let Some((_, field)) = read() {
            self.write(&field.with(format));
        }
    }

    /// Whether a key was a shortcut of the toolbar's.
    fn shortcut(self, event: &KeyboardEvent) -> bool {
        if !(event.ctrl_key() || event.meta_key()) || event.alt_key() {
            return false;
        }
        let (key, code, shift) = (event.key(), event.code(), event.shift_key());
        let wanted = Format::ALL.into_iter().find(|(_, wanted)| {
            let shifted = wanted.starts_with(|c: char| c.is_ascii_uppercase());
            shift == shifted && (key.eq_ignore_ascii_case(wanted) || code == *wanted)
        });
        if let Some((format, _)) = wanted {
            self.format(format);
        }
        wanted.is_some()
    }

    fn keys(self, event: &KeyboardEvent) {
        if is_composing(event) {
            return;
        }
        if self.steer(event) || self.shortcut(event) {
            event.prevent_default();
        } else if sends(event) {
            event.prevent_default();
            self.send();
        }
    }

    fn pasted(self, event: &ClipboardEvent) {
        let text = event.clipboard_data().and_then(|data| data.get_data("text/plain").ok());
        let text = text.unwrap_or_default().replace("\r\n", "\n");
        let in_code = read().is_some_and(|(_, at)| {
            at.text.get(..at.start).is_some_and(|before| before.matches("```").count() % 2 == 1)
        });
        show("paste-offer", !in_code && is_code(&text));
        self.looking.update_value(|looking| looking.pasted = text);
    }

    fn fence_pasted(self) {
        show("paste-offer", false);
        let pasted = self.looking.with_value(|looking| looking.pasted.clone());
        if let Some((_, field)) = read()
            && let Some(start) = field.text.rfind(&pasted)
        {
            let end = start + pasted.trim_end_matches('\n').len();
            self.write(&Field { start, end, ..field }.with(Format::Fence));
        }
    }

    /// Shows what the server would show, or the source again.
    fn toggle_preview(self) {
        let Some(room_id) = self.chat.room_id().filter(|_| !is_previewing()) else {
            return show_preview(None);
        };
        self.close();
        let text = self.chat.draft.get_untracked();
        spawn_local(async move {
            match browser::preview(room_id, &text).await {
                // It would hide what was written since.
                Ok(_) if self.chat.draft.get_untracked() != text => {}
                Ok(html) => show_preview(Some(&html)),
                Err(CallError::Refused(why)) => self.problem.set(Some(why.message)),
                Err(_) => self.chat.complain(texts::composer::PREVIEW_DID_NOT_COME.to_owned()),
            }
        });
    }

    /// Puts an emoji of the picker into the text.
    fn put_emoji(self, emoji: &str) {
        if let Some((_, field)) = read() {
            self.write(&field.replaced(field.start, field.end, emoji));
        }
        room::remember(emoji);
        browser::hide_popover(PICKER);
    }

    fn clicked(self, event: &MouseEvent) {
        let format = browser::closest(event, "[data-format]").and_then(|it| it.get_attribute("data-format"));
        let format = format.and_then(|at| Format::ALL.get(at.parse::<usize>().ok()?));
        if let Some((format, _)) = format {
            return self.format(*format);
        }
        if let Some(button) = browser::closest(event, ".emoji__grid button") {
            return self.put_emoji(&button.text_content().unwrap_or_default());
        }
        let wanted = browser::closest(event, "[data-do]").and_then(|it| it.get_attribute("data-do"));
        match wanted.as_deref() {
            Some("tools") => {
                let shown = browser::element("formatting").is_some_and(|tools| tools.hidden());
                show("formatting", shown);
                press("tools", shown);
                press("mute", is_muted());
            }
            Some("preview") => self.toggle_preview(),
            Some("mute") => {
                room::toggle_sounds();
                press("mute", is_muted());
            }
            Some("emoji") => room::open_emoji(),
            Some("fence") => self.fence_pasted(),
            Some("leave") => show("paste-offer", false),
            Some("jump") => self.chat.jump_to_newest(),
            Some("stop-reply") => self.chat.set_reply(None),
            _ => {}
        }
    }

    /// A press that must not take the focus from the field.
    fn pressed(self, event: &MouseEvent) {
        if browser::closest(event, "[data-text], #formatting").is_some() {
            event.prevent_default();
        }
        if let Some(option) = browser::closest(event, "[data-text]") {
            self.take(Some(&option));
        }
    }
}

/// A sentence in a line of its own: who is writing, or what was wrong.
fn line(start: &str, sentence: &str) -> String {
    let mut html = illustrated(start);
    push_escaped(&mut html, sentence);
    html + "</span></p>"
}

const TYPING: &str = "<p class=\"beside\"><span class=\"typing__dots\" aria-hidden=\"true\"><i></i><i></i>\
                      <i></i></span><span>";
const REFUSED: &str = "<p class=\"composer__context composer__problem\" role=\"alert\">{warning}\
                       <span class=\"grow\">";

/// Whether something happened in the field itself, and not in what lies beside it.
fn is_in_field(event: &Event) -> bool {
    browser::target::<HtmlElement>(event).is_some_and(|target| target.id() == "body")
}

const TOOLS: &str = include_str!(concat!(env!("OUT_DIR"), "/composer.html"));
const BUTTONS: &str = include_str!(concat!(env!("OUT_DIR"), "/composer_buttons.html"));
const EMOJI: &str = include_str!(concat!(env!("OUT_DIR"), "/emoji.html"));

/// Everything below the message list.
#[component]
pub fn Composer(
    /// The chat.
    chat: Chat,
    /// How far the page goes; makes a form that is sent twice recognisable.
    after: Seq,
    /// What could not be sent without scripts, and why.
    unsent: Option<(String, String)>,
    /// Whether the focus stays elsewhere at first: on the message the address points at.
    waits: bool,
) -> impl IntoView {
    let (typed, problem) = unsent.unzip();
    let looking = StoredValue::new(Looking::default());
    let problem = RwSignal::new(problem);
    let writing = Writing { chat, problem, typing: Typing::new(chat), looking };
    let action = move || chat.room.with(|room| Some(format!("/rooms/{}/messages", room.as_ref()?.id)));
    let placeholder = move || {
        let name = chat.room.with(|room| room.as_ref().map(|room| room.name.clone()));
        texts::composer::message_room(name.unwrap_or_default())
    };
    let jump = live("jump", move || {
        let shown = chat.away.get() || chat.has_newer.get();
        shown.then(|| jump_pill(chat.unseen.get())).into_iter().collect()
    });
    let typists = live("typing", move || {
        chat.sidebar.with(Sidebar::typing_line).map(|who| line(TYPING, &who)).into_iter().collect()
    });
    let reply = live("reply", move || {
        let here = chat.room.with(|room| room.as_ref().map(|room| room.id));
        chat.replying.with(|replying| {
            let here = replying.iter().filter(|(room_id, _)| Some(*room_id) == here);
            here.map(|(_, quote)| reply_line(quote)).collect()
        })
    });
    let refused =
        live("problem", move || problem.get().map(|sentence| line(REFUSED, &sentence)).into_iter().collect());
    Effect::new(bring_tools);
    follow_draft(writing, waits);
    Effect::new(move || drop(window_event_listener(ev::click, move |event| room::act(chat, &event))));
    let input = move |event: Event| {
        if is_in_field(&event) { writing.changed() } else { room::look_for_emoji() }
    };
    let key = move |event: KeyboardEvent| {
        if is_in_field(&event) { writing.keys(&event) } else { room::walk_emoji(&event) }
    };
    let paste = move |event: ClipboardEvent| {
        if is_in_field(&event) {
            writing.pasted(&event);
        }
    };
    let left = move |event: ev::FocusEvent| {
        if is_in_field(&event) {
            writing.close();
        }
    };
    view! {
        <div class="dock" hidden=move || chat.gone.get() on:input=input on:keydown=key
            on:paste=paste on:focusout=left on:click=move |event| writing.clicked(&event)
            on:mousedown=move |event| writing.pressed(&event)>
            <div class="beside" id="jump" inner_html=jump></div>
            <div class="typing" id="typing" aria-live="polite" inner_html=typists></div>
            <form class="composer" action=action method="post" aria-label=texts::composer::NEW_MESSAGE
                on:submit=move |event| {
                    event.prevent_default();
                    writing.send();
                }>
                <div class="beside" id="problem" inner_html=refused></div>
                <div class="beside" id="reply" inner_html=reply></div>
                <div class="beside" id="writing-tools"></div>
                <input type="hidden" name="after" value=after.get().to_string()/>
                <div class="composer__row">
                    <textarea class="composer__field" id="body" name="body" rows="1" dir="auto"
                        placeholder=placeholder aria-label=placeholder
                        aria-autocomplete="list">{typed}</textarea>
                    <span class="beside" inner_html=illustrated(BUTTONS)></span>
                </div>
                <ul class="plate menu menu--docked" id=CHOICES role="listbox"
                    aria-label=texts::composer::SUGGESTIONS hidden></ul>
            </form>
            <div id="emoji-tools"></div>
        </div>
    }
}

/// Tools that show only when asked for, and need scripts, are no part of what a page weighs.
fn bring_tools() {
    for (place, html) in [("writing-tools", TOOLS), ("emoji-tools", EMOJI)] {
        if let Some(place) = browser::element(place) {
            place.set_inner_html(&illustrated(html));
        }
    }
}

/// Keeps field and draft equal. What was typed before the page came alive wins over nothing.
fn follow_draft(writing: Writing, waits: bool) {
    let chat = writing.chat;
    Effect::new(move |seen: Option<Option<RoomId>>| {
        let room_id = chat.room.with(|room| room.as_ref().map(|room| room.id));
        let draft = chat.draft.get();
        let field = field()?;
        let typed = field.value();
        if seen.flatten().is_none() && !typed.is_empty() {
            chat.draft.set(typed);
            chat.keep_draft();
        } else if typed != draft {
            field.set_value(&draft);
        }
        if seen.is_some_and(|before| before != room_id) {
            writing.reset();
        }
        let first = seen.is_none() && waits;
        if seen != Some(room_id) && !first && !browser::has_coarse_pointer() {
            let _focused = field.focus();
        }
        room_id
    });
}
