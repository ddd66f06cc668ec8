//! Any text at all can be searched for: what SQLite is asked has its quotations closed and ends
//! where it should.

#![no_main]

use campfire::domain::search::Query;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let expression = Query::parse(text).expression();
    assert_eq!(expression.matches('"').count() % 2, 0);
    assert!(!expression.contains('\0'));
});
