//! Any text at all can be rendered, and the sanitiser has nothing left to take away from what comes
//! out: what is stored is what was allowed.

#![no_main]

use campfire::domain::message::Draft;
use campfire::server::rich_text::{Known, render, sanitize};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &str| {
    if let Ok(draft) = Draft::parse(body) {
        let html = render(&draft, &Known::default()).html;
        assert_eq!(sanitize(&html), html);
    }
});
