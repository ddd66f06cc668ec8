//! The benchmark's command line: chooses measurements, runs them, prints what holds.
//!
//! Started by `bin/bench`. Without a subcommand it measures; `seed` writes a database to look at;
//! `limit` is what it starts itself as. Ends with 1 when a check failed or a measurement was not
//! possible, never because a budget is missed: a missed budget is a result. On Ctrl-C and SIGTERM
//! everything that was started is killed and every folder removed.

mod audit;
mod browser;
mod crowd;
mod fanout;
mod growth;
mod heavy;
mod http;
mod instructions;
mod limits;
mod load;
mod memory;
mod pages;
mod posts;
mod process;
mod raw;
mod rendering;
mod report;
mod resume;
mod run;
mod search;
mod seed;
mod sizes;
mod socket;
mod table;
mod visit;

use campfire::server::operation::Durability;
use clap::{Parser, Subcommand};
use report::{Failure, Row, broken};
use run::Run;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use table::{Measurement, chosen};
use tokio::signal::unix::{SignalKind, signal};

/// Less than this share of the machine in use counts as quiet.
const QUIET: f64 = 0.15;

/// Measures Campfire against what the machine can do.
#[derive(Parser)]
#[command(name = "bin/bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// Rows to run: exactly these, or all that begin so. All rows of the short form if none.
    names: Vec<String>,

    /// Lists all rows and ends.
    #[arg(long)]
    list: bool,

    /// The product's binary.
    #[arg(long, default_value = "target/release/campfire")]
    product: PathBuf,

    /// Writes the rows as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,

    /// Writes the rows as a Markdown table to this file.
    #[arg(long)]
    markdown: Option<PathBuf>,

    /// Another binary of the product to compare with: ours, other, other, ours.
    #[arg(long)]
    compare: Option<PathBuf>,

    /// More rounds, longer rounds, and the rows with 2,000,000 messages.
    #[arg(long)]
    long: bool,

    /// Rounds of everything. 3, or 7 in the long form, if left out.
    #[arg(long)]
    rounds: Option<usize>,

    /// Where data is written; a real disk.
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,

    /// The product's log filter while it is measured.
    #[arg(long, default_value = "info")]
    log: String,

    /// How many seconds to wait for a busy machine to become quiet.
    #[arg(long, default_value = "30")]
    patience: u64,

    /// Lets the system place servers and generator on processors.
    #[arg(long)]
    no_pinning: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Writes a database of a shape into a folder.
    Seed {
        /// What it looks like.
        shape: seed::Shape,
        /// Where; created if needed.
        folder: PathBuf,
    },
    /// Does an operation many times, for a counter of instructions.
    #[command(hide = true)]
    Count {
        /// Which one.
        operation: instructions::Operation,
        /// Folder of a team's database.
        folder: PathBuf,
        /// How often.
        times: usize,
    },
    /// Is a limit server.
    #[command(hide = true)]
    Limit {
        /// Which one.
        #[command(subcommand)]
        kind: Limit,
    },
}

#[derive(Subcommand)]
enum Limit {
    /// Serves a page from memory.
    Page {
        /// The page, as JSON.
        spec: PathBuf,
    },
    /// Broadcasts to sockets.
    Sockets,
    /// Writes posts to SQLite.
    Posts {
        /// Folder of the database.
        folder: PathBuf,
        /// Whether each commit is synced.
        durability: Durability,
        /// Writers at once.
        writers: usize,
        /// How long.
        seconds: f64,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut builder = match arguments.command {
        // Limit servers use the machine as the product does; the generator keeps to one thread.
        Some(Command::Limit { .. }) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let done = match builder.enable_all().build() {
        Ok(runtime) => runtime.block_on(until_told_to_end(arguments)),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            say(&format!("bin/bench: {failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line. Whoever reads us may have gone; then there is nobody left to tell.
fn say(line: &str) {
    let mut stdout = std::io::stdout();
    let _gone = writeln!(stdout, "{line}");
    let _gone = stdout.flush();
}

/// How long killed processes get to be buried after a signal.
const BURIAL: Duration = Duration::from_millis(300);

/// Does what was asked, unless a signal comes first. Dropping the work kills what it started.
async fn until_told_to_end(arguments: Arguments) -> Result<ExitCode, Failure> {
    if matches!(arguments.command, Some(Command::Limit { .. })) {
        // A limit server ends in its own way, with success.
        return obey(arguments).await;
    }
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        done = obey(arguments) => return done,
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    tokio::time::sleep(BURIAL).await;
    broken("told to end; everything that was started is stopped")
}

async fn obey(mut arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command.take() {
        None => return measure(&arguments).await,
        Some(Command::Seed { shape, folder }) => seed::generate(shape, &folder).await?,
        Some(Command::Count { operation, folder, times }) => {
            campfire::server::operation::start_logging("info");
            instructions::repeat(operation, &folder, times).await?;
        }
        Some(Command::Limit { kind: Limit::Page { spec } }) => limits::serve_page(&spec).await?,
        Some(Command::Limit { kind: Limit::Sockets }) => limits::serve_sockets().await?,
        Some(Command::Limit { kind: Limit::Posts { folder, durability, writers, seconds } }) => {
            let time = Duration::from_secs_f64(seconds);
            raw::post_raw(&folder, durability, writers, time).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let measurements = chosen(&arguments.names, arguments.long);
    if arguments.list {
        for one in chosen(&[], true) {
            let form = if one.long { "  (long form only)" } else { "" };
            one.rows.iter().for_each(|row| say(&format!("{row}{form}")));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if measurements.is_empty() {
        return broken("no row is called so; --list names them all");
    }
    if cfg!(debug_assertions) {
        return broken("this is a debug build of the benchmark; build it with --release");
    }
    let mut run = Run::new(arguments.product.clone(), &arguments.folder)?;
    run.rounds = arguments.rounds.unwrap_or(if arguments.long { 7 } else { 3 }).max(1);
    run.time = Duration::from_secs(if arguments.long { 5 } else { 2 });
    run.log.clone_from(&arguments.log);
    run.pinned = !arguments.no_pinning && pin_ourselves();
    let version = run.ensure_release().await?;
    say(&format!("{version} ({}), {} rounds", run.product.display(), run.rounds));
    say(match run.pinned {
        true => "Servers run on processor 0, the generator on the others.",
        false => "Servers and generator share all processors.",
    });
    wait_for_quiet(arguments.patience).await;
    if let Some(other) = &arguments.compare {
        return compare(run, other, &measurements).await;
    }
    let (mut rows, mut failed) = (Vec::new(), 0);
    say(&report::head());
    for one in &measurements {
        let started = Instant::now();
        match one.measure(&run).await {
            Ok(more) => {
                more.iter().for_each(|row| say(&report::text(row)));
                rows.extend(more);
            }
            Err(failure) => {
                failed += 1;
                say(&format!("FAILED {}: {failure}", one.rows.join(", ")));
            }
        }
        say(&format!("  ({:.0} s)", started.elapsed().as_secs_f64()));
    }
    write(arguments.json.as_deref(), &report::json(&rows)?)?;
    write(arguments.markdown.as_deref(), &report::markdown(&rows))?;
    say(&report::verdict(&rows));
    Ok(ended(failed))
}

fn ended(failed: usize) -> ExitCode {
    if failed == 0 {
        return ExitCode::SUCCESS;
    }
    say(&format!("{failed} measurements FAILED; their figures are not printed."));
    ExitCode::FAILURE
}

fn write(file: Option<&Path>, text: &str) -> Result<(), Failure> {
    file.map_or(Ok(()), |file| Ok(std::fs::write(file, text)?))
}

/// Ours, the other, the other, ours: whatever drifts meanwhile weighs on both alike.
async fn compare(mut run: Run, other: &Path, measurements: &[Measurement]) -> Result<ExitCode, Failure> {
    let ours = run.product.clone();
    run.switch_product(other.to_owned());
    let version = run.ensure_release().await?;
    say(&format!("A is {}; B is {version} ({})", ours.display(), other.display()));
    let mut failed = 0;
    for one in measurements {
        let (mut a, mut b): (Vec<Row>, Vec<Row>) = (Vec::new(), Vec::new());
        for (product, rows) in [(0, true), (1, false), (1, false), (0, true)] {
            run.switch_product(if product == 0 { ours.clone() } else { other.to_owned() });
            match one.measure(&run).await {
                Ok(more) if rows => gather(&mut a, more),
                Ok(more) => gather(&mut b, more),
                Err(failure) => {
                    failed += 1;
                    say(&format!("FAILED {}: {failure}", one.rows.join(", ")));
                }
            }
        }
        for (a, b) in a.iter().zip(&b) {
            say(&report::comparison(a, b));
        }
    }
    Ok(ended(failed))
}

/// Adds the samples of a pass to those of the pass before.
fn gather(all: &mut Vec<Row>, more: Vec<Row>) {
    if all.is_empty() {
        *all = more;
        return;
    }
    for (row, more) in all.iter_mut().zip(more) {
        row.samples.extend(more.samples);
        row.cpu.extend(more.cpu);
        row.limits.extend(more.limits);
    }
}

/// Keeps this process off processor 0. False if there is only one, or no `taskset` for servers.
fn pin_ourselves() -> bool {
    let known = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let servers = std::process::Command::new("taskset").arg("--version").output();
    if known < 2 || servers.is_err() {
        return false;
    }
    let others = format!("1-{}", known - 1);
    let own = std::process::id().to_string();
    let done = std::process::Command::new("taskset").args(["-c", "-p", &others, &own]).output();
    done.is_ok_and(|done| done.status.success())
}

async fn wait_for_quiet(patience: u64) {
    say(&format!("load average: {}", process::load_average()));
    let started = Instant::now();
    loop {
        let busy = process::busy_share().await;
        if busy < QUIET {
            return;
        }
        if started.elapsed() >= Duration::from_secs(patience) {
            let percent = busy * 100.0;
            say(&format!("WARNING: the machine is {percent:.0} % busy; figures will be too bad."));
            return;
        }
    }
}
