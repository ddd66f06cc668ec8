//! A restart under a thousand open tabs: how long until everybody is back and has missed nothing.
//!
//! The server is asked to end, says goodbye to every tab with a time to come back, and is started
//! again on the same data and address; then twenty messages are posted. Each tab comes back when it
//! was told to, with its cursor, and is done once it has been welcomed and has all twenty.

use super::audit::Database;
use super::fanout::ensure_files;
use super::posts::{ROOM, Writer, acknowledged};
use super::process::free_addr;
use super::report::{Failure, Row, wrong};
use super::run::Run;
use super::seed::{Shape, token};
use super::socket::{Socket, hello, markers};
use campfire::server::operation::Durability;
use memchr::memmem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

const TABS: u32 = 1_000;
/// Posted after each restart; all fit into one answer to a cursor.
const MESSAGES: usize = 20;
/// Whoever is not back by then never comes.
const LIMIT: Duration = Duration::from_secs(60);
/// A tab whose server is not there yet tries again this soon.
const RETRY: Duration = Duration::from_millis(100);
/// Handshakes under way at once, in the beginning only.
const HANDSHAKES: usize = 50;

/// What the tabs share.
struct Shared {
    addr: SocketAddr,
    /// Every tab has seen everything up to here; set before each restart.
    cursor: AtomicI64,
    /// The number of the first message of this round.
    first: AtomicUsize,
    /// Tabs that are welcome and have everything.
    done: AtomicU32,
    over: AtomicBool,
}

/// `resume-1000`.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn resume(run: &Run) -> Result<Vec<Row>, Failure> {
    ensure_files(TABS)?;
    let data = run.fresh(Shape::Crowd).await?;
    let mut database = Database::open(data.path()).await?;
    let (since, seq) = database.head().await?;
    let addr = free_addr()?;
    let launch = run.product_launch(data.path(), Durability::Full, Some(addr));
    let mut product = launch.serve().await?;
    let shared = Arc::new(Shared {
        addr,
        cursor: AtomicI64::new(seq),
        first: AtomicUsize::new(0),
        done: AtomicU32::new(0),
        over: AtomicBool::new(false),
    });
    let mut tabs = JoinSet::new();
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    for number in 0..i64::from(TABS) {
        tabs.spawn(tab(Arc::clone(&shared), Arc::clone(&handshakes), number));
    }
    let numbers = Arc::new(AtomicUsize::new(0));
    let (mut times, mut downs, mut written) = (Vec::new(), Vec::new(), Vec::new());
    post(addr, &numbers, &mut written).await?;
    wait_for_all(&shared, &mut tabs).await?;
    for round in 1..=run.rounds {
        shared.cursor.store(database.head().await?.1, Relaxed);
        shared.first.store(round * MESSAGES, Relaxed);
        shared.done.store(0, Relaxed);
        let started = Instant::now();
        product.stop().await?;
        product = launch.serve().await?;
        downs.push(started.elapsed().as_secs_f64() * 1_000.0);
        post(addr, &numbers, &mut written).await?;
        wait_for_all(&shared, &mut tabs).await?;
        times.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    shared.over.store(true, Relaxed);
    tabs.shutdown().await;
    product.stop().await?;
    database.audit(since, &written).await?;
    database.close().await?;
    let down = super::report::median(&downs);
    let note = format!("from SIGTERM; the server itself was back after {down:.0} ms");
    Ok(vec![Row::new("resume-1000", "ms", times).note(note)])
}

async fn post(
    addr: SocketAddr,
    numbers: &Arc<AtomicUsize>,
    written: &mut Vec<super::audit::Acknowledged>,
) -> Result<(), Failure> {
    let mut writer = Writer::open(addr, 1, ROOM, numbers).await?;
    for _ in 0..MESSAGES {
        writer.post().await?;
    }
    written.extend(acknowledged(vec![writer]));
    Ok(())
}

async fn wait_for_all(shared: &Shared, tabs: &mut JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    let started = Instant::now();
    while shared.done.load(Relaxed) < TABS {
        if let Some(ended) = tabs.try_join_next() {
            ended??;
            return wrong("a tab ended by itself");
        }
        if started.elapsed() > LIMIT {
            let back = shared.done.load(Relaxed);
            return wrong(format!("only {back} of {TABS} tabs came back and caught up in 60 s"));
        }
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// One tab through all restarts.
async fn tab(shared: Arc<Shared>, handshakes: Arc<Semaphore>, number: i64) -> Result<(), Failure> {
    let token = token(number % Shape::Crowd.users() + 1);
    let mut permit = handshakes.acquire().await.ok();
    while !shared.over.load(Relaxed) {
        let opened = Socket::open(shared.addr, &token).await;
        let Ok(mut socket) = opened else {
            sleep(RETRY).await;
            continue;
        };
        socket.say(&hello(ROOM, shared.cursor.load(Relaxed))).await?;
        drop(permit.take());
        let retry = watch(&shared, &mut socket).await?;
        sleep(retry).await;
    }
    Ok(())
}

/// Watches one connection to its end; when to come back.
async fn watch(shared: &Shared, socket: &mut Socket) -> Result<Duration, Failure> {
    let first = shared.first.load(Relaxed);
    let (mut welcome, mut seen, mut told) = (false, [false; MESSAGES], false);
    loop {
        let text = match socket.next().await {
            Ok(Some(text)) => text,
            Ok(None) => return wrong("a tab was closed without a goodbye"),
            // The process is gone before its last words came: as in life.
            Err(_cut) => return Ok(RETRY),
        };
        if text.starts_with(br#"{"type":"goodbye""#) {
            return retry_of(text);
        }
        if text.starts_with(br#"{"type":"reset""#) || text.starts_with(br#"{"type":"error""#) {
            return wrong(String::from_utf8_lossy(text).into_owned());
        }
        welcome |= text.starts_with(br#"{"type":"welcome""#);
        for number in markers(text) {
            if let Some(seen) = number.checked_sub(first).and_then(|at| seen.get_mut(at)) {
                *seen = true;
            }
        }
        if welcome && !told && seen.iter().all(|seen| *seen) {
            told = true;
            shared.done.fetch_add(1, Relaxed);
        }
    }
}

fn retry_of(goodbye: &[u8]) -> Result<Duration, Failure> {
    let field = memmem::find(goodbye, br#""retry_ms":"#).map(|at| at + 11);
    let digits = field.and_then(|at| goodbye.get(at..)).unwrap_or_default();
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let text = std::str::from_utf8(digits.get(..end).unwrap_or_default()).unwrap_or_default();
    match text.parse() {
        Ok(ms) => Ok(Duration::from_millis(ms)),
        Err(_) => wrong("a goodbye that does not say when to come back"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goodbye_says_when_to_come_back() {
        let goodbye = br#"{"type":"goodbye","reason":"restart","retry_ms":639}"#;
        assert_eq!(retry_of(goodbye).unwrap(), Duration::from_millis(639));
        assert!(retry_of(br#"{"type":"goodbye"}"#).is_err());
    }
}
