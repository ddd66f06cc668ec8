//! What holds for every input: one invariant each, over generated histories, texts and timings.
//! Failing seeds are kept in `.regressions` files beside the sources.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![expect(clippy::panic, reason = "a test that cannot go on should say why")]

#[expect(dead_code, reason = "the harness serves other test programs as well")]
#[path = "../harness/mod.rs"]
mod harness;

mod composing;
mod domain;
mod expression;
#[path = "../../bench/src/heavy.rs"]
mod heavy;
mod members;
mod operation;
mod presence;
mod reactions;
mod requests;
mod rows;
mod search;
mod text;
mod timeline;
mod writes;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestCaseResult, TestRunner};
use std::fmt::Debug;

/// Holds `property` for this many values of `strategy`, or for as many as `PROPTEST_CASES` says:
/// a night's run finds more than a minute's.
fn check<S: Strategy>(
    source: &'static str,
    cases: u32,
    strategy: &S,
    property: impl Fn(S::Value) -> TestCaseResult,
) where
    S::Value: Debug,
{
    let more = std::env::var_os("PROPTEST_CASES").and_then(|cases| cases.to_str()?.parse().ok());
    let kept = FileFailurePersistence::WithSource("regressions");
    let config = Config {
        cases: more.unwrap_or(cases),
        source_file: Some(source),
        failure_persistence: Some(Box::new(kept)),
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    if let Err(failure) = TestRunner::new(config).run(strategy, property) {
        panic!("{failure}");
    }
}

/// `assert_eq!` for properties, with a word of context.
fn same<T: PartialEq + Debug>(left: T, right: T, what: &str) -> TestCaseResult {
    if left == right {
        return Ok(());
    }
    Err(TestCaseError::fail(format!("{what}:\n  left: {left:?}\n right: {right:?}")))
}
