//! The limit of posting: SQLite alone, writing the product's rows in groups.
//!
//! Run as a process of its own (`campfire-bench limit posts`), on a copy of the same seed, on the
//! same disk, with the product's own connection settings. Each writer sends one post and waits for
//! its commit; whatever is waiting, up to 64, goes into one transaction, many rows in a statement.
//! No HTTP, no rendering, no sockets, no look-ups. It prints one line of JSON and ends.

use super::process::{Cpu, cpu_of};
use super::report::{Failure, broken};
use super::seed::{client_id, scatter};
use campfire::server::Clock;
use campfire::server::operation::Durability;
use campfire::server::store::{Store, Tx, checkpoint_beside, close};
use serde::{Deserialize, Serialize};
use sqlx::QueryBuilder;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Commands in one transaction at most: the product's own bound.
const GROUP: usize = 64;

/// What it came to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RawResult {
    /// Commits acknowledged per second, counted in posts.
    pub rate: f64,
    /// CPU for each, in microseconds.
    pub cpu: f64,
}

/// A message's row in the making.
struct Post {
    id: i64,
    room_id: i64,
    creator_id: i64,
    client_message_id: String,
    body: String,
    body_html: String,
}

struct Waiting {
    post: Post,
    done: oneshot::Sender<()>,
}

/// Writes for some time and prints the result.
///
/// # Errors
/// [`Failure::Broken`] with what SQLite says.
pub async fn post_raw(
    folder: &Path,
    durability: Durability,
    writers: usize,
    time: Duration,
) -> Result<(), Failure> {
    let opened = Store::open(folder, durability, "rawrawrawrawraw0").await?;
    let stop = campfire::server::Stop::new();
    let beside = tokio::spawn(checkpoint_beside(opened.checkpointing, opened.store.wal(), stop.clone()));
    let (queue, waiting) = mpsc::channel(1_024);
    let last = opened.head.message_id.get();
    let writing = tokio::spawn(write_groups(opened.writing, waiting, last));
    let before = cpu_of(std::process::id())?;
    let started = Instant::now();
    let posting: Vec<_> = (0..writers)
        .map(|writer| tokio::spawn(post_again_and_again(writer, queue.clone(), started + time)))
        .collect();
    drop(queue);
    let mut count = 0_u32;
    for one in posting {
        count += one.await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let used = cpu_of(std::process::id())?.since(before);
    close(writing.await??).await?;
    stop.cancel();
    beside.await?;
    opened.store.close().await;
    report(count, seconds, used)
}

fn report(count: u32, seconds: f64, used: Cpu) -> Result<(), Failure> {
    if count == 0 {
        return broken("not one raw post was committed");
    }
    let count = f64::from(count);
    let result = RawResult { rate: count / seconds, cpu: used.total() / count };
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", serde_json::to_string(&result)?)?;
    Ok(())
}

async fn post_again_and_again(writer: usize, queue: mpsc::Sender<Waiting>, end: Instant) -> u32 {
    let mut count = 0;
    while Instant::now() < end {
        let number = (writer as u64) << 32 | u64::from(count);
        let body = format!("raw bmk{number}z who wants a coffee now");
        let post = Post {
            id: 0,
            room_id: 2,
            creator_id: i64::try_from(writer).unwrap_or(0) + 1,
            client_message_id: client_id(scatter(number) >> 1, u64::MAX),
            body_html: format!("<p>{body}</p>"),
            body,
        };
        let (done, committed) = oneshot::channel();
        if queue.send(Waiting { post, done }).await.is_err() || committed.await.is_err() {
            break;
        }
        count += 1;
    }
    count
}

async fn write_groups(
    mut tx: Tx,
    mut waiting: mpsc::Receiver<Waiting>,
    mut last: i64,
) -> Result<Tx, Failure> {
    let mut group = Vec::new();
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        for one in &mut group {
            last += 1;
            one.post.id = last;
        }
        let posts: Vec<&Post> = group.iter().map(|one| &one.post).collect();
        commit(&mut tx, &posts, last).await?;
        for one in group.drain(..) {
            // A writer whose time is over no longer listens.
            let _over = one.done.send(());
        }
    }
    Ok(tx)
}

async fn commit(tx: &mut Tx, posts: &[&Post], last: i64) -> Result<(), Failure> {
    let now = Clock::system().now().ms();
    // Filled up to a power of two, so that few statements have to be planned.
    let missing = posts.len().next_power_of_two() - posts.len();
    let rows = || posts.iter().map(Some).chain(std::iter::repeat_n(None, missing));
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *tx).await?;
    let mut messages = QueryBuilder::new(
        "INSERT INTO messages
             (id, seq, room_id, creator_id, client_message_id, body, body_html, created_at)
         SELECT column1, column1, column2, column3, column4, column5, column6, column7 FROM (",
    );
    messages.push_values(rows(), |mut row, post| {
        row.push_bind(post.map(|post| post.id))
            .push_bind(post.map(|post| post.room_id))
            .push_bind(post.map(|post| post.creator_id))
            .push_bind(post.map(|post| &post.client_message_id))
            .push_bind(post.map(|post| &post.body))
            .push_bind(post.map(|post| &post.body_html))
            .push_bind(now);
    });
    messages.push(") WHERE column1 IS NOT NULL").build().execute(&mut *tx).await?;
    let mut words =
        QueryBuilder::new("INSERT INTO message_search (rowid, body) SELECT column1, column2 FROM (");
    words.push_values(rows(), |mut row, post| {
        row.push_bind(post.map(|post| post.id)).push_bind(post.map(|post| &post.body));
    });
    words.push(") WHERE column1 IS NOT NULL").build().execute(&mut *tx).await?;
    sqlx::query(
        "UPDATE rooms SET last_message_id = ?1, last_creator_id = 1, last_message_at = ?2
         WHERE id = 2",
    )
    .bind(last)
    .bind(now)
    .execute(&mut *tx)
    .await?;
    sqlx::query("UPDATE sequence SET last_seq = ?1, last_message_id = ?1")
        .bind(last)
        .execute(&mut *tx)
        .await?;
    sqlx::query("COMMIT").execute(tx).await?;
    Ok(())
}
