//! What a person waits for, in Chromium: a script measures, this module starts and believes it.
//!
//! `end2end/bench.mjs` signs two people in by their sessions' cookies and measures inside the
//! pages with their own clocks; it prints one line of JSON for each row, all samples included.
//! Browser and server share all processors, as they do on a developer's machine.

use super::process::expect_success;
use super::report::{Budget, Failure, Row, broken, percentile};
use super::run::Run;
use super::seed::{Shape, token};
use campfire::server::operation::Durability;
use serde::Deserialize;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

const SCRIPT: &str = "end2end/bench.mjs";
/// A whole browser measurement; it takes well under a minute.
const PATIENCE: Duration = Duration::from_secs(240);

/// The samples of one row and of the same page without a program, in milliseconds.
#[derive(Deserialize)]
struct Line {
    name: String,
    samples: Vec<f64>,
    limits: Vec<f64>,
}

/// The `browser-` rows of a team.
///
/// # Errors
/// Those of [`browser`].
pub async fn team(run: &Run) -> Result<Vec<Row>, Failure> {
    let data = run.fresh(Shape::Team).await?;
    browser(run, data.path(), "team").await
}

/// What the script calls `what`, with a server on this data.
///
/// # Errors
/// [`Failure::Broken`] when the script or Chromium fails.
pub async fn browser(run: &Run, data: &Path, what: &str) -> Result<Vec<Row>, Failure> {
    let mut launch = run.product_launch(data, Durability::Full, None);
    launch.processors = run.pinned.then_some("0-1");
    let product = launch.serve().await?;
    let mut command = match run.pinned {
        true => {
            let mut command = Command::new("taskset");
            command.args(["-c", "0-1", "node"]);
            command
        }
        false => Command::new("node"),
    };
    let profile = run.scratch()?;
    let child = command
        .args([SCRIPT, what])
        .env("CAMPFIRE_URL", format!("http://{}", product.addr))
        .env("CAMPFIRE_TOKENS", [token(1), token(2)].join(","))
        .env("BENCH_ROUNDS", run.rounds.to_string())
        .env("TMPDIR", profile.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let Ok(output) = timeout(PATIENCE, child.wait_with_output()).await else {
        return broken("the browser did not finish in time");
    };
    let output = output?;
    expect_success(output.status)?;
    product.stop().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        rows.extend(rows_of(&serde_json::from_str(line)?));
    }
    if rows.is_empty() { broken("the browser script printed nothing") } else { Ok(rows) }
}

/// Loads are judged by their median, actions by their 95th percentile.
fn rows_of(line: &Line) -> Vec<Row> {
    let name = line.name.as_str();
    let (budget, is_action) = match name {
        "browser-first-paint" => (Some(150.0), false),
        "browser-hydrated" => (Some(400.0), false),
        "browser-switch-cached" | "browser-sidebar-500" => (Some(16.0), true),
        "browser-enter-visible" => (Some(50.0), true),
        _ => (None, true),
    };
    let note = format!("{} samples", line.samples.len());
    let judged = |row: Row| match budget {
        Some(most) => row.budget(Budget::AtMost(most)),
        None => row,
    };
    if is_action {
        let at = |samples: &[f64], rank| match samples {
            [] => Vec::new(),
            samples => vec![percentile(samples, rank)],
        };
        let row = |end, rank| {
            Row::new(format!("{name}-{end}"), "ms", at(&line.samples, rank)).limits(at(&line.limits, rank))
        };
        vec![row("p50", 0.5), judged(row("p95", 0.95).note(note))]
    } else {
        let row = Row::new(name, "ms", line.samples.clone()).limits(line.limits.clone());
        vec![judged(row.note(note))]
    }
}
