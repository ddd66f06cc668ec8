//! Where one writes: a field with Markdown as typed, tools that edit the source text, completions,
//! an emoji picker, a preview; and what a message can do besides being read: sounds.
//!
//! The composer is a plain form that posts without scripts. Live, Enter sends (not while an input
//! method is composing, not on touch screens), Shift+Enter breaks the line, Ctrl or Cmd+Enter
//! always sends. The draft is kept in this browser on every keystroke, so nothing written is lost.
//! What tools do to a text is decided in `domain::composing` and typed here, to be taken back.

use super::browser::{self, CallError};
use super::controls::{Choice, Choices, Icon, asset, closest, icon};
use super::live::{MUTED, Typing, is_muted};
use super::room::{EmojiPicker, JumpPill, PICKER, TypingLine, act, recent, remember, table};
use super::state::Chat;
use crate::domain::account::UserRef;
use crate::domain::composing::{Field, Format, Kind, fit, is_code, trigger};
use crate::domain::room::RoomKind;
use crate::domain::search::{Emoji, Sound, complete};
use crate::domain::sidebar::{folded, hue, initials};
use crate::domain::{RoomId, Seq, push_escaped};
use leptos::ev::{self, Event, KeyboardEvent, MouseEvent};
use leptos::html::Textarea;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{ClipboardEvent, HtmlDocument, HtmlTextAreaElement};

/// Completions at once.
const MAX_CHOICES: usize = 8;

/// Everything the composer knows.
#[derive(Clone, Copy)]
struct Writing {
    chat: Chat,
    field: NodeRef<Textarea>,
    problem: RwSignal<Option<String>>,
    typing: Typing,
    choices: RwSignal<Vec<Choice>>,
    chosen: RwSignal<usize>,
    /// What a completion replaces, in bytes.
    place: StoredValue<(usize, usize)>,
    /// Counts look-ups: the answer to an older one comes too late.
    asked: StoredValue<u32>,
    preview: RwSignal<Option<String>>,
    /// What was pasted and looks like code.
    pasted: RwSignal<Option<String>>,
}

impl Writing {
    fn new(chat: Chat, problem: Option<String>) -> Self {
        Self {
            chat,
            field: NodeRef::new(),
            problem: RwSignal::new(problem),
            typing: Typing::new(chat),
            choices: RwSignal::new(Vec::new()),
            chosen: RwSignal::new(0),
            place: StoredValue::new((0, 0)),
            asked: StoredValue::new(0),
            preview: RwSignal::new(None),
            pasted: RwSignal::new(None),
        }
    }

    fn read(self) -> Option<(HtmlTextAreaElement, Field)> {
        let element = self.field.get_untracked()?;
        let end = element.selection_end().ok()??;
        let start = element.selection_start().ok()??;
        let field = Field::new(&element.value(), start, end);
        Some((element, field))
    }

    /// Types the difference between what the field holds and what it should hold.
    fn write(self, new: &Field) {
        let Some((element, old)) = self.read() else {
            return;
        };
        let (from, to, text) = old.change(new);
        let _focused = element.focus();
        if from != to || !text.is_empty() {
            let _selected = element.set_selection_range(from, to);
            let (command, text) =
                if text.is_empty() { ("delete", "") } else { ("insertText", text) };
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

    fn format(self, format: Format) {
        if let Some((_, field)) = self.read() {
            self.preview.set(None);
            self.write(&field.with(format));
        }
    }

    fn changed(self) {
        if let Some(field) = self.field.get_untracked() {
            let text = field.value();
            self.typing.changed(text.trim().is_empty());
            self.chat.draft.set(text);
            self.chat.keep_draft();
            self.suggest();
        }
    }

    fn send(self) {
        let field = self.field.get_untracked().filter(|field| !field.value().trim().is_empty());
        let Some(field) = field else {
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
        self.preview.set(None);
        self.pasted.set(None);
        self.close();
    }

    fn suggest(self) {
        let Some((_, at)) = self.read() else {
            return;
        };
        let Some(found) = trigger(&at.text, at.start).filter(|_| at.start == at.end) else {
            return self.close();
        };
        let asked = self.asked.get_value().wrapping_add(1);
        self.asked.set_value(asked);
        self.place.set_value((found.start, at.start));
        let (kind, typed) = (found.kind, found.typed.to_owned());
        spawn_local(async move {
            let found = self.find(kind, &typed).await;
            if self.asked.try_get_value() == Some(asked) {
                self.chosen.set(0);
                self.choices.set(found);
            }
        });
    }

    async fn find(self, kind: Kind, typed: &str) -> Vec<Choice> {
        match kind {
            Kind::Person => self.find_people(typed).await,
            Kind::Room => self.find_rooms(typed),
            Kind::Emoji => {
                let (emoji, recent) = (table("emoji.tsv").await, recent());
                let mut found = complete(&emoji, typed, MAX_CHOICES);
                found.sort_by_key(|one| !recent.iter().any(|used| used == one.text));
                let choice = |one: Emoji<'_>| Choice::new(one.text, (one.name, ""), one.text);
                found.into_iter().map(choice).collect()
            }
            Kind::Sound => {
                let (sounds, typed) = (table("sounds.tsv").await, typed.to_ascii_lowercase());
                let found = sounds.lines().filter_map(Sound::parse);
                let found = found.filter(|one| one.name.starts_with(&typed)).take(MAX_CHOICES);
                found.map(|one| Choice::new(one.emoji, (one.name, one.caption), one.name)).collect()
            }
        }
    }

    async fn find_people(self, typed: &str) -> Vec<Choice> {
        let Some(room_id) = self.chat.room_id() else {
            return Vec::new();
        };
        let found = browser::find_people(room_id, typed).await.unwrap_or_default();
        let choice = |user: UserRef| {
            let text = ["@", &user.name, " "].concat();
            if user.id.get() == 0 {
                return Choice::new(&icon("users"), (&user.name, "all in this room"), &text);
            }
            let hue = hue(user.id).to_string();
            let start = "<span class=\"avatar avatar--s\" aria-hidden=\"true\" data-hue=\"";
            let mut face = [start, &hue, "\">"].concat();
            push_escaped(&mut face, &initials(&user.name, 1));
            face.push_str("</span>");
            Choice::new(&face, (&user.name, ""), &text)
        };
        found.into_iter().take(MAX_CHOICES).map(choice).collect()
    }

    fn find_rooms(self, typed: &str) -> Vec<Choice> {
        let typed = folded(typed);
        self.chat.sidebar.with_untracked(|sidebar| {
            let open = sidebar.rooms().iter().filter(|room| room.kind == RoomKind::Open);
            let fits = |name: &str| fit(&folded(name), &typed);
            let mut found: Vec<_> =
                open.filter_map(|room| Some((fits(&room.name)?, &room.name))).collect();
            found.sort_by_key(|(fit, _)| *fit);
            let choice = |(_, name): (u8, &String)| {
                Choice::new(&icon("hash"), (name, ""), &["#", name, " "].concat())
            };
            found.into_iter().take(MAX_CHOICES).map(choice).collect()
        })
    }

    /// Closes the list; a look-up under way comes too late.
    fn close(self) {
        self.asked.update_value(|asked| *asked = asked.wrapping_add(1));
        if !self.choices.with_untracked(Vec::is_empty) {
            self.choices.set(Vec::new());
        }
    }

    /// Puts a completion into the text. False if it stands there already.
    fn take(self, at: usize) -> bool {
        let choice = self.choices.with_untracked(|choices| choices.get(at).cloned());
        let (Some(choice), Some((_, field))) = (choice, self.read()) else {
            return false;
        };
        let (from, to) = self.place.get_value();
        let typed = field.text.get(from..to).unwrap_or_default();
        let is_new = !typed.eq_ignore_ascii_case(choice.text.trim_end());
        if is_new {
            self.write(&field.replaced(from, to, &choice.text));
        }
        self.close();
        is_new
    }

    /// Whether a key was for the list of completions.
    fn steer(self, event: &KeyboardEvent) -> bool {
        let count = self.choices.with_untracked(Vec::len);
        let more = event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key();
        if count == 0 || more {
            return false;
        }
        let chosen = self.chosen.get_untracked();
        match event.key().as_str() {
            "ArrowDown" => self.chosen.set((chosen + 1) % count),
            "ArrowUp" => self.chosen.set((chosen + count - 1) % count),
            "Escape" => {
                event.stop_propagation();
                self.close();
            }
            "Tab" => {
                self.take(chosen);
            }
            "Enter" => return self.take(chosen),
            _ => return false,
        }
        true
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

    fn pasted(self, event: &Event) {
        let text = event
            .dyn_ref::<ClipboardEvent>()
            .and_then(ClipboardEvent::clipboard_data)
            .and_then(|data| data.get_data("text/plain").ok());
        let text = text.unwrap_or_default().replace("\r\n", "\n");
        let in_code = self.read().is_some_and(|(_, at)| {
            at.text.get(..at.start).is_some_and(|before| before.matches("```").count() % 2 == 1)
        });
        self.pasted.set(Some(text).filter(|text| !in_code && is_code(text)));
    }

    fn fence_pasted(self) {
        let pasted = self.pasted.get_untracked().unwrap_or_default();
        self.pasted.set(None);
        if let Some((_, field)) = self.read()
            && let Some(start) = field.text.rfind(&pasted)
        {
            let end = start + pasted.trim_end_matches('\n').len();
            self.write(&Field { start, end, ..field }.with(Format::Fence));
        }
    }

    /// Shows what the server would show, or the source again.
    fn toggle_preview(self) {
        let Some(room_id) =
            self.chat.room_id().filter(|_| self.preview.with_untracked(Option::is_none))
        else {
            self.preview.set(None);
            return;
        };
        self.close();
        let text = self.chat.draft.get_untracked();
        spawn_local(async move {
            match browser::preview(room_id, &text).await {
                Ok(html) => self.preview.set(Some(html)),
                Err(CallError::Refused(why)) => self.problem.set(Some(why.message)),
                Err(_) => self.chat.notice.set(Some("The preview did not come. Try again.".into())),
            }
        });
    }

    /// Puts an emoji of the picker into the text.
    fn put_emoji(self, emoji: &str) {
        if let Some((_, field)) = self.read() {
            self.write(&field.replaced(field.start, field.end, emoji));
        }
        remember(emoji);
        browser::hide_popover(PICKER);
    }
}

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
    let writing = Writing::new(chat, problem);
    let action =
        move || chat.room.with(|room| Some(format!("/rooms/{}/messages", room.as_ref()?.id)));
    let placeholder = move || {
        let name = chat.room.with(|room| room.as_ref().map(|room| room.name.clone()));
        format!("Message {}", name.unwrap_or_default())
    };
    let tools = RwSignal::new(false);
    follow_draft(writing, waits);
    Effect::new(move || drop(window_event_listener(ev::click, move |event| act(chat, &event))));
    let take = Callback::new(move |at| {
        writing.take(at);
    });
    let previewing = move || writing.preview.with(Option::is_some);
    view! {
        <div class="dock" hidden=move || chat.gone.get()>
            <JumpPill chat=chat/>
            <TypingLine chat=chat/>
            <form class="composer" action=action method="post" aria-label="New message"
                on:submit=move |event| {
                    event.prevent_default();
                    writing.send();
                }>
                {move || writing.problem.get().map(|sentence| view! {
                    <p class="composer__context composer__problem" role="alert">
                        <Icon name="warning" class="icon icon--s"/>{sentence}
                    </p>
                })}
                <PasteOffer writing=writing/>
                <Toolbar writing=writing shown=tools/>
                <input type="hidden" name="after" value=after.get().to_string()/>
                <div class="composer__preview rich" dir="auto" tabindex="0" role="region"
                    aria-label="Preview" hidden=move || !previewing()
                    inner_html=move || writing.preview.get().unwrap_or_default()></div>
                <div class="composer__row">
                    <textarea class="composer__field" id="body" name="body" rows="1" dir="auto"
                        placeholder=placeholder aria-label=placeholder node_ref=writing.field
                        hidden=previewing aria-autocomplete="list"
                        on:input=move |_| writing.changed() on:blur=move |_| writing.close()
                        on:paste=move |event| writing.pasted(&event)
                        on:keydown=move |event| writing.keys(&event)>{typed}</textarea>
                    <button type="button" class="icon-button optional with-scripts"
                        aria-label="Formatting" title="Formatting" aria-pressed=move || on(tools.get())
                        on:click=move |_| tools.update(|shown| *shown = !*shown)>
                        <Icon name="text"/>
                    </button>
                    <button type="button" class="icon-button with-scripts" aria-label="Emoji"
                        title="Emoji" popovertarget=PICKER><Icon name="smile"/></button>
                    <button type="submit" class="icon-button send" aria-label="Send message"
                        title="Send message"><Icon name="send"/></button>
                </div>
                <Choices choices=writing.choices chosen=writing.chosen field="body" take=take/>
            </form>
            <EmojiPicker put=Callback::new(move |emoji: String| writing.put_emoji(&emoji))/>
        </div>
    }
}

fn on(pressed: bool) -> &'static str {
    if pressed { "true" } else { "false" }
}

/// The tools that edit the source, the preview, and whether sounds are heard.
#[component]
fn Toolbar(writing: Writing, shown: RwSignal<bool>) -> impl IntoView {
    let html = include_str!("toolbar.html").replace("{icons}", &asset("icons.svg"));
    let used = move |event: MouseEvent| {
        let at = closest(&event, "[data-format]").and_then(|it| it.get_attribute("data-format"));
        let at = at.and_then(|at| at.parse::<usize>().ok());
        if let Some((format, _)) = at.and_then(|at| Format::ALL.get(at)) {
            writing.format(*format);
        }
    };
    let muted = RwSignal::new(false);
    Effect::new(move || muted.set(is_muted()));
    let mute = move |_| {
        muted.update(|muted| *muted = !*muted);
        browser::store(MUTED, if muted.get_untracked() { "1" } else { "" });
    };
    view! {
        <div class="composer__format" role="toolbar" aria-label="Formatting"
            hidden=move || !shown.get() on:mousedown=|event| event.prevent_default()>
            <span class="composer__tools" inner_html=html on:click=used></span>
            <hr/>
            <button type="button" class="icon-button" aria-label="Preview" title="Preview"
                aria-pressed=move || on(writing.preview.with(Option::is_some))
                on:click=move |_| writing.toggle_preview()>
                <Icon name="eye" class="icon icon--s"/>
            </button>
            <button type="button" class="icon-button" aria-label="Mute sounds"
                title="Mute sounds" aria-pressed=move || on(muted.get()) on:click=mute>
                <Icon name="mute" class="icon icon--s"/>
            </button>
        </div>
    }
}

/// Pasted code is better off in a block of its own.
#[component]
fn PasteOffer(writing: Writing) -> impl IntoView {
    view! {
        <p class="composer__context" role="status" hidden=move || writing.pasted.with(Option::is_none)>
            <span class="grow">"That looks like code."</span>
            <button type="button" class="link-button"
                on:click=move |_| writing.fence_pasted()>"Make it a code block"</button>
            <button type="button" class="link-button"
                on:click=move |_| writing.pasted.set(None)>"Leave it"</button>
        </p>
    }
}

/// Whether an input method is at work. 229 is what browsers report even after it says it is not.
pub fn is_composing(event: &KeyboardEvent) -> bool {
    event.is_composing() || event.key_code() == 229
}

/// Whether this key sends.
pub fn sends(event: &KeyboardEvent) -> bool {
    if event.key() != "Enter" || is_composing(event) {
        return false;
    }
    event.ctrl_key() || event.meta_key() || !(event.shift_key() || browser::has_coarse_pointer())
}

/// Keeps field and draft equal. What was typed before the page came alive wins over nothing.
fn follow_draft(writing: Writing, waits: bool) {
    let Writing { chat, field, .. } = writing;
    Effect::new(move |seen: Option<Option<RoomId>>| {
        let room_id = chat.room.with(|room| room.as_ref().map(|room| room.id));
        let draft = chat.draft.get();
        let field = field.get()?;
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
