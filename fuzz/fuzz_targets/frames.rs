//! Whatever arrives on a socket is a frame, an unknown frame or an error; a frame that is written
//! and read again is the same.

#![no_main]

use campfire::domain::event::{ClientFrame, ServerFrame};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(Some(frame)) = ClientFrame::parse(text) {
        let written = serde_json::to_string(&frame).expect("a frame is plain data");
        assert_eq!(ClientFrame::parse(&written).expect("our own words"), Some(frame));
    }
    if let Ok(Some(frame)) = ServerFrame::parse(text) {
        let written = serde_json::to_string(&frame).expect("a frame is plain data");
        assert_eq!(ServerFrame::parse(&written).expect("our own words"), Some(frame));
    }
});
