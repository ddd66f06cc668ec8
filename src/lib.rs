//! Campfire on Rust: a self-hosted team chat in one binary.
//!
//! Four folders: [`domain`] is what is true, [`ui`] is what people see, `server` is what happens
//! (`store` holds the SQL, `writer` the only task that writes, `http` everything that arrives by
//! request). `domain` and `ui` compile for both sides; `cfg(feature)` appears only in this file.
//!
//! **A message, from keystroke to every other screen.** `ui::composer` checks the draft and
//! `ui::state` shows it as pending; `ui::browser` posts it. `server::http::messages` asks who it
//! is (hot state, no I/O), renders it (`server::rich_text`) and hands it to
//! `Writer::create_message_with_deduplication`. The writer takes everything waiting into one
//! transaction: message, search row, room head. After the commit, in order: hot state learns it,
//! `server::connections` encodes it once and queues the bytes for each watching tab, the caller is
//! answered. Each tab's task in `server::socket` writes what is ready in one go. Elsewhere
//! `ui::live` decodes it, `domain::timeline` folds it in (replacing the pending row by its client
//! id, ignoring a seq already seen), and the cursor moves.
//!
//! **A room page.** `server::http::pages` asks hot state for viewer, sidebar and newest messages
//! (or reads each with one statement) and renders [`ui::App`] to complete HTML, followed by the
//! same data as JSON. In the browser `hydrate` builds the same view from that data, opens the
//! socket and says where it stands. The server registers the tab, then reads what followed the
//! cursor, then lets live frames through: nothing falls between page and socket.

// Views are deep types by design.
#![recursion_limit = "256"]

pub mod domain;
#[cfg(feature = "ssr")]
pub mod server;
pub mod ui;

/// Every text that people see, in the language this was built for; `build.rs` makes them from
/// `public/LANGUAGE/texts.json`. A text may stand in HTML as it is; what is put into it may not.
pub mod texts {
    include!(concat!(env!("OUT_DIR"), "/texts.rs"));
}

/// Makes the server-rendered page live: builds the same view from the page's own data. A page
/// without data stays as it is.
#[cfg(feature = "hydrate")]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    if let Some(boot) = ui::embedded_boot() {
        leptos::mount::hydrate_body(move || leptos::view! { <ui::App boot=boot/> });
    }
}
