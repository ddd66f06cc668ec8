//! Writing: posts by one, sixteen and sixty-four writers, durable and not.
//!
//! Each writer is a user of their own on a keep-alive connection, and sends the next message when
//! the last one is acknowledged. The limit is SQLite alone with the same rows in the same groups.
//! Afterwards the database itself is asked for every acknowledged message.

use super::audit::{Acknowledged, Database};
use super::http::{self, Connection};
use super::load::{Load, Worker, closed_loop, each, latency_note};
use super::process::{Server, expect_success};
use super::raw::RawResult;
use super::report::{Budget, Failure, Row, broken};
use super::run::{Run, itself};
use super::seed::{Shape, client_id, scatter, token};
use super::socket::marker;
use campfire::server::operation::Durability;
use clap::ValueEnum;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The room that is written to.
pub const ROOM: i64 = 2;

/// Somebody who posts again and again.
pub struct Writer {
    connection: Connection,
    path: String,
    token: String,
    user_id: i64,
    room_id: i64,
    /// Numbers messages; shared by all writers of a server.
    numbers: Arc<AtomicUsize>,
    /// Stops after this many messages of all writers together.
    at_most: usize,
    /// Everything the server has acknowledged to this writer.
    pub acknowledged: Vec<Acknowledged>,
}

impl Writer {
    /// A writer in a room.
    ///
    /// # Errors
    /// [`Failure::Broken`] when nobody listens.
    pub async fn open(
        addr: SocketAddr,
        user_id: i64,
        room_id: i64,
        numbers: &Arc<AtomicUsize>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            connection: Connection::open(addr).await?,
            path: format!("/api/rooms/{room_id}/messages"),
            token: token(user_id),
            user_id,
            room_id,
            numbers: Arc::clone(numbers),
            at_most: usize::MAX,
            acknowledged: Vec::new(),
        })
    }

    /// The same, but all writers stop once they have reached this number together.
    #[must_use]
    pub fn up_to(mut self, at_most: usize) -> Self {
        self.at_most = at_most;
        self
    }

    /// Posts one message and waits until it is acknowledged; its number.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for any other answer than the message.
    pub async fn post(&mut self) -> Result<usize, Failure> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let word = marker(number);
        let sent = Acknowledged {
            id: 0,
            room_id: self.room_id,
            user_id: self.user_id,
            // Random, as browsers make them.
            client_message_id: client_id(scatter(number as u64) >> 1, u64::MAX),
            body: format!("{word} who wants a coffee right now"),
            word,
        };
        let json = format!(r#"{{"body":"{}","client_message_id":"{}"}}"#, sent.body, sent.client_message_id);
        let reply = self.connection.call(&http::post(&self.path, &self.token, &json)).await?;
        reply.expect_status(201)?;
        self.acknowledged.push(sent.by(reply.body)?);
        Ok(number)
    }
}

impl Worker for Writer {
    async fn step(&mut self) -> Result<bool, Failure> {
        if self.numbers.load(Ordering::Relaxed) >= self.at_most {
            return Ok(false);
        }
        self.post().await.map(|_| true)
    }
}

/// So many writers, each a user of their own as long as there are enough.
///
/// # Errors
/// [`Failure::Broken`] when nobody listens.
pub async fn writers(
    addr: SocketAddr,
    count: usize,
    (users, room_id): (i64, i64),
    numbers: &Arc<AtomicUsize>,
) -> Result<Vec<Writer>, Failure> {
    let mut all = Vec::new();
    for user_id in (1..=users).cycle().take(count) {
        all.push(Writer::open(addr, user_id, room_id, numbers).await?);
    }
    Ok(all)
}

/// Everything that was acknowledged to some writers.
pub fn acknowledged(writers: Vec<Writer>) -> Vec<Acknowledged> {
    writers.into_iter().flat_map(|writer| writer.acknowledged).collect()
}

/// `post-full-N` and `post-normal-N`.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn posts(run: &Run, durability: Durability, count: usize) -> Result<Vec<Row>, Failure> {
    let data = run.fresh(Shape::Crowd).await?;
    let mut database = Database::open(data.path()).await?;
    let (since, _) = database.head().await?;
    let product = run.product(data.path(), durability).await?;
    let numbers = Arc::new(AtomicUsize::new(0));
    let people = (Shape::Crowd.users(), ROOM);
    let mut all = writers(product.addr, count, people, &numbers).await?;
    (_, all) = closed_loop(&product, all, Duration::from_millis(300)).await?;
    let (mut loads, mut limits) = (Vec::new(), Vec::new());
    for round in 0..run.rounds {
        if round % 2 == 1 {
            limits.push(raw(run, durability, count).await?);
        }
        let load;
        (load, all) = closed_loop(&product, all, run.time).await?;
        loads.push(load);
        if round % 2 == 0 {
            limits.push(raw(run, durability, count).await?);
        }
    }
    product.stop().await?;
    database.audit(since, &acknowledged(all)).await?;
    database.close().await?;
    Ok(rows(durability, count, &loads, &limits))
}

fn rows(durability: Durability, count: usize, loads: &[Load], limits: &[RawResult]) -> Vec<Row> {
    let word = durability.to_possible_value();
    let word = word.as_ref().map_or("", |value| value.get_name());
    let name = format!("post-{word}-{count}");
    let raw_cpu = super::report::median(&limits.iter().map(|raw| raw.cpu).collect::<Vec<_>>());
    let rate = Row::new(&name, "posts/s", each(loads, |load| load.rate))
        .cpu(each(loads, |load| load.cpu))
        .limits(limits.iter().map(|raw| raw.rate).collect())
        .note(format!("{}; the limit's CPU is {raw_cpu:.1} us", latency_note(loads)));
    let rate = match name.as_str() {
        "post-full-16" => rate.budget(Budget::RatioAtLeast(0.8)),
        _ => rate,
    };
    let percentile = |share| each(loads, |load: &Load| load.percentile(share));
    vec![
        rate,
        Row::new(format!("{name}-p50"), "ms", percentile(0.5)),
        Row::new(format!("{name}-p99"), "ms", percentile(0.99)),
    ]
}

/// One round of the limit, on a fresh copy of the same seed.
async fn raw(run: &Run, durability: Durability, count: usize) -> Result<RawResult, Failure> {
    let data = run.fresh(Shape::Crowd).await?;
    let word = durability.to_possible_value();
    let word = word.as_ref().map_or("", |value| value.get_name());
    let itself = itself()?;
    let folder = data.path().display().to_string();
    let (count, time) = (count.to_string(), run.time.as_secs_f64().to_string());
    let launch = run.limit_launch(&itself, &["posts", &folder, word, &count, &time]);
    let child = launch.command()?.spawn()?;
    let output = child.wait_with_output().await?;
    expect_success(output.status)?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The CPU of a post in a room, in microseconds, one for each round; everything is audited.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn cost(
    product: &Server,
    data: &Path,
    (shape, room_id): (Shape, i64),
    time: Duration,
) -> Result<f64, Failure> {
    let mut database = Database::open(data).await?;
    let (since, _) = database.head().await?;
    // Numbers go on where the last round ended: a word is never used twice in a database.
    let first = usize::try_from(since).unwrap_or(0);
    let numbers = Arc::new(AtomicUsize::new(first));
    let all = writers(product.addr, 16, (shape.users(), room_id), &numbers).await?;
    let (load, all) = closed_loop(product, all, time).await?;
    database.audit(since, &acknowledged(all)).await?;
    database.close().await?;
    if load.count < 50.0 {
        return broken("too few posts to say anything");
    }
    Ok(load.cpu)
}
