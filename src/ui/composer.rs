//! The composer: what is written, who else is writing, and the way back to the newest message.
//!
//! A plain form that posts without scripts. Live, Enter sends (not while an input method is
//! composing, not on touch screens), Shift+Enter breaks the line, Ctrl or Cmd+Enter always sends.
//! The draft is kept in this browser on every keystroke, so nothing written is lost.

use super::browser;
use super::controls::Icon;
use super::state::Chat;
use crate::domain::event::ClientFrame;
use crate::domain::sidebar::Sidebar;
use crate::domain::{RoomId, Seq};
use leptos::ev::KeyboardEvent;
use leptos::html::Textarea;
use leptos::prelude::*;

/// A sign of typing is repeated at most this often (Campfire's value).
const TYPING_EVERY_MS: i64 = 1_000;

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
    let field = NodeRef::<Textarea>::new();
    let (typed, problem) = unsent.unzip();
    let problem = RwSignal::new(problem);
    let room_id = move || chat.room.with(|room| room.as_ref().map(|room| room.id));
    let action = move || room_id().map(|id| format!("/rooms/{id}/messages"));
    let placeholder = move || {
        let name = chat.room.with(|room| room.as_ref().map(|room| room.name.clone()));
        format!("Message {}", name.unwrap_or_default())
    };
    let typing = Typing::new(chat);
    follow_draft(chat, field, waits);
    let send = move || {
        let Some(text) = field.get_untracked().map(|field| field.value()) else {
            return;
        };
        if text.trim().is_empty() {
            return;
        }
        match chat.send(&text) {
            Ok(()) => {
                problem.set(None);
                typing.ended();
                chat.draft.set(String::new());
                chat.keep_draft();
            }
            Err(sentence) => problem.set(Some(sentence)),
        }
        if let Some(field) = field.get_untracked() {
            let _focused = field.focus();
        }
    };
    let input = move |_| {
        if let Some(field) = field.get_untracked() {
            chat.draft.set(field.value());
            chat.keep_draft();
            typing.changed(field.value().trim().is_empty());
        }
    };
    let keys = move |event: KeyboardEvent| {
        if sends(&event) {
            event.prevent_default();
            send();
        }
    };
    view! {
        <div class="dock" hidden=move || chat.gone.get()>
            <JumpPill chat=chat/>
            <p class="typing" aria-live="polite">
                {move || chat.sidebar.with(Sidebar::typing_line).map(|line| view! {
                    <span class="typing__dots" aria-hidden="true"><i></i><i></i><i></i></span>
                    {line}
                })}
            </p>
            <form class="composer" action=action method="post" aria-label="New message"
                on:submit=move |event| {
                    event.prevent_default();
                    send();
                }>
                {move || problem.get().map(|sentence| view! {
                    <p class="composer__context composer__problem" role="alert">
                        <Icon name="warning" class="icon icon--s"/>{sentence}
                    </p>
                })}
                <input type="hidden" name="after" value=after.get().to_string()/>
                <div class="composer__row">
                    <textarea class="composer__field" id="body" name="body" rows="1" dir="auto"
                        placeholder=placeholder aria-label=placeholder node_ref=field
                        on:input=input on:keydown=keys>{typed}</textarea>
                    <button type="submit" class="icon-button send" aria-label="Send message"
                        title="Send message"><Icon name="send"/></button>
                </div>
            </form>
        </div>
    }
}

/// Whether an input method is at work. 229 is what browsers report even after it says it is not.
pub(super) fn is_composing(event: &KeyboardEvent) -> bool {
    event.is_composing() || event.key_code() == 229
}

/// Whether this key sends.
pub(super) fn sends(event: &KeyboardEvent) -> bool {
    if event.key() != "Enter" || is_composing(event) {
        return false;
    }
    event.ctrl_key() || event.meta_key() || !(event.shift_key() || browser::has_coarse_pointer())
}

/// Keeps field and draft equal. What was typed before the page came alive wins over nothing.
fn follow_draft(chat: Chat, field: NodeRef<Textarea>, waits: bool) {
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
        let first = seen.is_none() && waits;
        if seen != Some(room_id) && !first && !browser::has_coarse_pointer() {
            let _focused = field.focus();
        }
        room_id
    });
}

/// Says that the viewer is writing, but not all the time.
#[derive(Clone, Copy)]
struct Typing {
    chat: Chat,
    last_said_ms: StoredValue<i64>,
}

impl Typing {
    fn new(chat: Chat) -> Self {
        Self { chat, last_said_ms: StoredValue::new(0) }
    }

    /// What was written has been sent or taken back: the next sign is due at once.
    fn ended(self) {
        self.last_said_ms.set_value(0);
    }

    fn changed(self, is_empty: bool) {
        let Some(room_id) = self.chat.room_id() else {
            return;
        };
        let now = browser::now().ms();
        if is_empty {
            self.ended();
            self.chat.say(ClientFrame::TypingStop { room_id });
        } else if now - self.last_said_ms.get_value() >= TYPING_EVERY_MS {
            self.last_said_ms.set_value(now);
            self.chat.say(ClientFrame::TypingStart { room_id });
        }
    }
}

/// The way back to the newest message, with the number of those not seen yet.
#[component]
fn JumpPill(chat: Chat) -> impl IntoView {
    let text = move || match chat.unseen.get() {
        0 => "Jump to newest".to_owned(),
        1 => "1 new message".to_owned(),
        count => format!("{count} new messages"),
    };
    move || {
        (chat.away.get() || chat.has_newer.get()).then(|| {
            view! {
                <button type="button" class="jump" on:click=move |_| chat.jump_to_newest()>
                    <Icon name="arrow-down" class="icon icon--s"/>{text}
                </button>
            }
        })
    }
}
