//! The program: settings in, server up, a good end on SIGTERM or Ctrl-C.
//!
//! The first line on standard output says where it listens; everything else is logged to
//! standard error. A start that fails says why in one sentence.

use campfire::server::operation::{Command, Config};
use campfire::server::{self, Clock, operation};
use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let config = Config::parse();
    operation::start_logging(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(config)),
        Err(error) => fail(&format!("cannot start: {error}")),
    }
}

async fn run(config: Config) -> ExitCode {
    let Command::Serve = config.command.unwrap_or(Command::Serve);
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        return fail("cannot listen for signals");
    };
    let running = match server::start(config, Clock::system()).await {
        Ok(running) => running,
        Err(error) => return fail(&error.to_string()),
    };
    // Whoever started us may have closed the pipe; the server runs all the same.
    let _unheard = writeln!(std::io::stdout(), "listening on http://{}", running.addr);
    let asked = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
    };
    if running.run_until(asked).await { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fail(reason: &str) -> ExitCode {
    let _unheard = writeln!(std::io::stderr(), "campfire: {reason}");
    ExitCode::FAILURE
}
