//! The closed loop: workers that each do one thing after the other, as fast as they are answered.
//!
//! Used by every measurement that asks by request. A worker has one connection and one request
//! under way, so the load never runs away from the server; times are taken from sending to the
//! last byte. The first failure ends the loop, because a rate that contains wrong answers is none.

use super::process::Server;
use super::report::{Failure, percentile};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Somebody who asks again and again.
pub trait Worker: Send + 'static {
    /// Asks once and checks the answer. False when there is nothing more to ask.
    fn step(&mut self) -> impl Future<Output = Result<bool, Failure>> + Send;
}

/// What a loop came to.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Answers per second.
    pub rate: f64,
    /// Answers.
    pub count: f64,
    /// The server's CPU for each answer, in microseconds.
    pub cpu: f64,
    /// How long each answer took, in milliseconds.
    pub latencies: Vec<f64>,
}

impl Load {
    /// The time below which this share of the answers came, in milliseconds.
    pub fn percentile(&self, share: f64) -> f64 {
        percentile(&self.latencies, share)
    }
}

/// Runs workers against a server for some time, or until they have nothing more to ask; they
/// come back with whatever they have noted.
///
/// # Errors
/// The first failure of any of them.
pub async fn closed_loop<W: Worker>(
    server: &Server,
    workers: Vec<W>,
    time: Duration,
) -> Result<(Load, Vec<W>), Failure> {
    let before = server.cpu()?;
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for mut worker in workers {
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            let mut sent = Instant::now();
            while sent.duration_since(started) < time {
                if !worker.step().await? {
                    break;
                }
                let answered = Instant::now();
                latencies.push(answered.duration_since(sent).as_secs_f64() * 1_000.0);
                sent = answered;
            }
            Ok::<_, Failure>((worker, latencies))
        });
    }
    let (mut load, mut workers) = (Load::default(), Vec::new());
    while let Some(done) = tasks.join_next().await {
        let (worker, latencies) = done??;
        workers.push(worker);
        load.latencies.extend(latencies);
    }
    let seconds = started.elapsed().as_secs_f64();
    load.count = load.latencies.len() as f64;
    load.rate = load.count / seconds;
    load.cpu = server.cpu()?.since(before).total() / load.count.max(1.0);
    Ok((load, workers))
}

/// p50 and p99 over the loops of all rounds, in words.
pub fn latency_note(loads: &[Load]) -> String {
    let all: Vec<f64> = loads.iter().flat_map(|load| load.latencies.iter().copied()).collect();
    format!("p50 {:.2} ms, p99 {:.2} ms", percentile(&all, 0.5), percentile(&all, 0.99))
}

/// One figure of each loop.
pub fn each(loads: &[Load], figure: impl Fn(&Load) -> f64) -> Vec<f64> {
    loads.iter().map(figure).collect()
}
