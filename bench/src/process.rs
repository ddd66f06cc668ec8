//! Programs under measurement: started, read through `/proc`, stopped by their own id.
//!
//! Used by every measurement. Whatever ends the benchmark, a dropped [`Server`] kills its process;
//! nothing is ever looked up by name. CPU is the kernel's own account of the process, so that the
//! generator's share of the machine does not count. It knows Linux only.

use super::report::{Failure, broken};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// It starts in milliseconds; the limit is for a machine that does something else meanwhile.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Draining takes at most 5 s, and as long again for the writer.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Linux counts CPU time for programs in hundredths of a second.
const US_PER_TICK: f64 = 10_000.0;

/// CPU time of a process so far, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cpu {
    /// In the program.
    pub user: f64,
    /// In the kernel on its behalf.
    pub kernel: f64,
}

impl Cpu {
    /// What was used since an earlier reading.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, kernel: self.kernel - earlier.kernel }
    }

    /// Both together.
    pub fn total(self) -> f64 {
        self.user + self.kernel
    }
}

/// CPU time from the text of `/proc/PID/stat`.
fn parse_stat(text: &str) -> Option<Cpu> {
    // The name stands in parentheses and may contain anything, spaces included.
    let (_, after) = text.rsplit_once(')')?;
    let mut fields = after.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some(Cpu { user: ticks()? * US_PER_TICK, kernel: ticks()? * US_PER_TICK })
}

/// CPU time of any process.
///
/// # Errors
/// [`Failure::Broken`] when it is gone.
pub fn cpu_of(pid: u32) -> Result<Cpu, Failure> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_stat(&text).map_or_else(|| broken("/proc has another form here"), Ok)
}

/// How a program is to be started.
pub struct Launch<'a> {
    /// The program.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment beyond ours.
    pub environment: Vec<(&'static str, String)>,
    /// Processors it may use, as `taskset` writes them; all that we may if nothing.
    pub processors: Option<&'a str>,
    /// Where its standard error goes.
    pub log: PathBuf,
}

impl Launch<'_> {
    /// The command, ready to be started; killed when its handle is dropped.
    ///
    /// # Errors
    /// [`Failure::Broken`] when the log cannot be written.
    pub fn command(&self) -> Result<Command, Failure> {
        let mut command = match self.processors {
            // It replaces itself by the program, so that the process id stays the same.
            Some(processors) => {
                let mut command = Command::new("taskset");
                command.args(["-c", processors]).arg(self.program);
                command
            }
            None => Command::new(self.program),
        };
        let log = fs::File::options().create(true).append(true).open(&self.log)?;
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (OsStr::new(*name), value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C reaches us alone; what we started, we stop.
            .process_group(0)
            .kill_on_drop(true);
        Ok(command)
    }

    /// Starts a server and waits for the line in which it says where it listens.
    ///
    /// # Errors
    /// [`Failure::Broken`] with the end of its log when it does not.
    pub async fn serve(&self) -> Result<Server, Failure> {
        let mut child = self.command()?.spawn().map_err(|error| {
            Failure::Broken(format!("{} cannot be started: {error}", self.program.display()))
        })?;
        let Some(stdout) = child.stdout.take() else {
            return broken("no standard output");
        };
        let mut lines = BufReader::new(stdout).lines();
        let first = timeout(START_LIMIT, lines.next_line()).await;
        let first = first.ok().and_then(Result::ok).flatten().unwrap_or_default();
        let addr = first.strip_prefix("listening on http://").and_then(|addr| addr.parse().ok());
        let (Some(addr), Some(pid)) = (addr, child.id()) else {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let end: Vec<&str> = log.lines().rev().take(5).collect();
            return broken(format!("{} did not start: {first} {end:?}", self.program.display()));
        };
        Ok(Server { child, pid, addr, _lines: lines })
    }
}

/// A running server. Dropping it kills it.
pub struct Server {
    child: Child,
    pid: u32,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Kept open, because a closed pipe would be news to it.
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Server {
    /// CPU time so far.
    ///
    /// # Errors
    /// [`Failure::Broken`] when it is gone.
    pub fn cpu(&self) -> Result<Cpu, Failure> {
        cpu_of(self.pid)
    }

    /// Its share of the machine's memory (PSS), in bytes.
    ///
    /// # Errors
    /// [`Failure::Broken`] when it is gone.
    pub fn pss(&self) -> Result<f64, Failure> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid))?;
        parse_pss(&text).map_or_else(|| broken("/proc has another form here"), Ok)
    }

    /// Asks it to end and waits until it did.
    ///
    /// # Errors
    /// [`Failure::Broken`] when it has to be killed, or ends with a failure.
    pub async fn stop(mut self) -> Result<(), Failure> {
        terminate(self.pid)?;
        match timeout(STOP_LIMIT, self.child.wait()).await {
            Ok(status) => expect_success(status?),
            Err(_late) => {
                self.child.kill().await?;
                broken("the server did not end within 30 s of SIGTERM")
            }
        }
    }
}

fn terminate(pid: u32) -> Result<(), Failure> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let sent = pid.map(|pid| kill_process(pid, Signal::TERM));
    sent.unwrap_or(Ok(())).map_err(|error| Failure::Broken(error.to_string()))
}

/// Refuses a program that failed.
///
/// # Errors
/// [`Failure::Broken`] with its status.
pub fn expect_success(status: ExitStatus) -> Result<(), Failure> {
    if status.success() { Ok(()) } else { broken(format!("a program ended with {status}")) }
}

fn parse_pss(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with("Pss:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? * 1_024.0)
}

/// A port nobody listens on at the moment.
///
/// # Errors
/// [`Failure::Broken`] when there is none.
pub fn free_addr() -> Result<SocketAddr, Failure> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The load average as the system writes it.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// How much of all processors was busy during a second, from 0 to 1.
pub async fn busy_share() -> f64 {
    let before = machine_ticks();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = machine_ticks();
    let (busy, all) = (after.0 - before.0, after.1 - before.1);
    if all > 0.0 { busy / all } else { 0.0 }
}

/// Busy and all ticks of the machine so far.
fn machine_ticks() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> =
        line.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
    let all: f64 = ticks.iter().sum();
    // The fourth and fifth are idle and waiting for the disk.
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    (all - idle, all)
}

/// Files and sockets this process may have open at once.
pub fn open_file_limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_read_behind_any_name() {
        let text = "42 (a) b (c) S 1 42 42 0 -1 4194560 300 0 0 0 150 25 0 0 20 0 3 0 100";
        assert_eq!(parse_stat(text), Some(Cpu { user: 1_500_000.0, kernel: 250_000.0 }));
        assert_eq!(parse_stat("nonsense"), None);
        assert!(cpu_of(std::process::id()).is_ok());
    }

    #[test]
    fn pss_is_in_bytes() {
        assert_eq!(parse_pss("00-ff rollup\nRss: 9 kB\nPss:  12 kB\nPss_Dirty: 3 kB"), Some(12_288.0));
        assert_eq!(parse_pss(""), None);
    }
}
