//! Many open sockets and the count of what reaches them.
//!
//! Used by fan-out and memory. One task for each socket, one shared [`Board`] for all: a message
//! is complete only when every socket has it, each exactly once and in rising order. A socket
//! that is cut, falls behind or sees a message twice spoils the run, loudly.

use super::report::{Failure, broken, wrong};
use super::seed::token;
use super::socket::{Socket, created_id, hello, markers};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Messages of one crowd at most; a run of minutes stays far below.
const MESSAGES: usize = 1 << 17;
/// Handshakes under way at once.
const HANDSHAKES: usize = 50;
/// Everybody is welcome within this time.
const CONNECT_LIMIT: Duration = Duration::from_secs(120);
/// Quiet for so long means settled: people who come are announced every second.
const QUIET: Duration = Duration::from_millis(1_600);
/// Announcing a thousand people takes 20 s.
const SETTLE_LIMIT: Duration = Duration::from_secs(90);
/// The last deliveries of a run come within this time.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// What has reached whom; written by the socket tasks, read by the measurement.
pub struct Board {
    started: Instant,
    /// Sockets that a complete message has reached.
    pub sockets: u32,
    welcomed: AtomicU32,
    frames: AtomicU64,
    completed: AtomicUsize,
    /// Sockets that have each message, by its number.
    received: Vec<AtomicU32>,
    /// When each message was complete, in microseconds since the start.
    complete_at: Vec<AtomicU64>,
    trouble: Mutex<Option<String>>,
}

impl Board {
    fn new(sockets: u32) -> Self {
        Self {
            started: Instant::now(),
            sockets,
            welcomed: AtomicU32::new(0),
            frames: AtomicU64::new(0),
            completed: AtomicUsize::new(0),
            received: (0..MESSAGES).map(|_| AtomicU32::new(0)).collect(),
            complete_at: (0..MESSAGES).map(|_| AtomicU64::new(0)).collect(),
            trouble: Mutex::new(None),
        }
    }

    /// Microseconds since the start, the clock of [`Self::complete_at`].
    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Messages that every socket has.
    pub fn completed(&self) -> usize {
        self.completed.load(Relaxed)
    }

    /// When every socket had a message; 0 if some have not.
    pub fn complete_at(&self, number: usize) -> u64 {
        self.complete_at.get(number).map_or(0, |at| at.load(Relaxed))
    }

    fn receive(&self, number: usize) -> Result<(), Failure> {
        let (Some(count), Some(at)) = (self.received.get(number), self.complete_at.get(number)) else {
            return broken("a message with a number that was never given out");
        };
        if count.fetch_add(1, Relaxed) + 1 == self.sockets {
            at.store(self.now(), Relaxed);
            self.completed.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn spoil(&self, why: &str) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.get_or_insert_with(|| why.to_owned());
    }

    /// Refuses a crowd in which a socket was cut or got something wrong.
    ///
    /// # Errors
    /// [`Failure::Wrong`] with the first trouble.
    pub fn ensure_sound(&self) -> Result<(), Failure> {
        match &*self.trouble.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(why) => wrong(why.clone()),
            None => Ok(()),
        }
    }

    /// Waits until so many messages are complete.
    ///
    /// # Errors
    /// [`Failure::Wrong`] with what is missing after a minute, or with the trouble.
    pub async fn drain(&self, messages: usize) -> Result<(), Failure> {
        let started = Instant::now();
        while self.completed() < messages {
            self.ensure_sound()?;
            if started.elapsed() > DRAIN_LIMIT {
                let missing = messages - self.completed();
                return wrong(format!("{missing} messages did not reach every socket"));
            }
            sleep(Duration::from_millis(2)).await;
        }
        self.ensure_sound()
    }

    /// Waits until nothing has arrived for a while.
    ///
    /// # Errors
    /// [`Failure::Wrong`] when it never becomes quiet, or with the trouble.
    pub async fn settle(&self) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            let before = self.frames.load(Relaxed);
            sleep(QUIET).await;
            self.ensure_sound()?;
            if self.frames.load(Relaxed) == before {
                return Ok(());
            }
            if started.elapsed() > SETTLE_LIMIT {
                return wrong("frames keep coming although nobody does anything");
            }
        }
    }
}

/// Whom the sockets belong to and what they watch.
#[derive(Clone, Copy)]
pub enum Audience {
    /// The product's users: so many, the room, and the cursor they have.
    Users { users: i64, room_id: i64, cursor: i64 },
    /// The limit server, which asks for nothing.
    Anybody,
}

/// Open sockets. Dropping it closes them all.
pub struct Crowd {
    /// What has reached them.
    pub board: Arc<Board>,
    tasks: JoinSet<()>,
}

impl Crowd {
    /// Opens so many sockets and waits until all are welcome.
    ///
    /// # Errors
    /// [`Failure::Wrong`] when one is refused; [`Failure::Broken`] when files run out.
    pub async fn connect(addr: SocketAddr, count: u32, who: Audience) -> Result<Self, Failure> {
        let mut crowd = Self { board: Arc::new(Board::new(count)), tasks: JoinSet::new() };
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        for number in 0..count {
            let (board, handshakes) = (Arc::clone(&crowd.board), Arc::clone(&handshakes));
            crowd.tasks.spawn(async move {
                let told = listen(&board, &handshakes, (addr, i64::from(number)), who).await;
                match told {
                    Ok(why) => board.spoil(&format!("a socket was closed: {why}")),
                    Err(error) => board.spoil(&format!("a socket failed: {error}")),
                }
            });
        }
        let started = Instant::now();
        while crowd.board.welcomed.load(Relaxed) < count {
            crowd.board.ensure_sound()?;
            if started.elapsed() > CONNECT_LIMIT {
                return wrong("not every socket was welcome within two minutes");
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(crowd)
    }
}

/// Listens until the server closes; its last words.
async fn listen(
    board: &Board,
    handshakes: &Semaphore,
    (addr, number): (SocketAddr, i64),
    who: Audience,
) -> Result<String, Failure> {
    let permit = handshakes.acquire().await;
    let permit = permit.map_err(|error| Failure::Broken(error.to_string()))?;
    let mut socket = match who {
        Audience::Users { users, room_id, cursor } => {
            let mut socket = Socket::open(addr, &token(number % users + 1)).await?;
            socket.say(&hello(room_id, cursor)).await?;
            socket
        }
        Audience::Anybody => Socket::open(addr, "anybody").await?,
    };
    let mut permit = Some(permit);
    let (mut last_id, mut last_words) = (0, "without a word".to_owned());
    while let Some(text) = socket.next().await? {
        board.frames.fetch_add(1, Relaxed);
        if let Some(id) = created_id(text) {
            if id <= last_id {
                return wrong(format!("message {id} came after {last_id}"));
            }
            last_id = id;
            match markers(text).next() {
                Some(number) => board.receive(number)?,
                None => return wrong("a live message that nobody has sent"),
            }
        } else if text.starts_with(br#"{"type":"welcome""#) {
            permit = None;
            board.welcomed.fetch_add(1, Relaxed);
        } else if text.starts_with(br#"{"type":"goodbye""#)
            || text.starts_with(br#"{"type":"reset""#)
            || text.starts_with(br#"{"type":"error""#)
        {
            last_words = String::from_utf8_lossy(text).into_owned();
        }
    }
    drop(permit);
    Ok(last_words)
}
