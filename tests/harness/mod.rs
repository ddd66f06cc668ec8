//! The one harness: a real server in this process and the people who use it.
//!
//! [`TestApp`] runs `campfire::server::start` on a free port with its own data folder, a clock
//! that the test turns, and no rate limits (unless asked for). A [`Person`] talks to it as a
//! program would, over HTTP; a [`Tab`] is their WebSocket. Nothing is faked but the clock.

pub mod person;
pub mod tab;

use campfire::domain::Timestamp;
use campfire::domain::message::ClientMessageId;
use campfire::server::auth;
use campfire::server::operation::Config;
use campfire::server::{Clock, Running, StartError};
use clap::Parser;
use person::{Answer, Person};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Nothing in a healthy server takes this long; a test that waits longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery staple";
/// Where the test clock starts: a morning in 2027.
const START_MS: i64 = 1_800_000_000_000;

/// A clock that moves only when the test says so, and breaks on demand: whoever looks at it then
/// panics.
#[derive(Clone, Debug)]
pub struct TestClock {
    ms: Arc<AtomicI64>,
    broken: Arc<AtomicBool>,
}

impl TestClock {
    fn new() -> Self {
        Self { ms: Arc::new(AtomicI64::new(START_MS)), broken: Arc::default() }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.ms.load(Ordering::SeqCst))
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap();
        self.ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Breaks or mends the clock.
    pub fn breaks(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let shared = self.clone();
        Clock::new(move || {
            assert!(!shared.broken.load(Ordering::SeqCst), "the clock is broken");
            shared.now()
        })
    }
}

/// A running server with its own data folder.
pub struct TestApp {
    /// The server.
    pub running: Running,
    /// Its time.
    pub clock: TestClock,
    /// The client everybody uses.
    pub http: reqwest::Client,
    folder: Arc<TempDir>,
    data: PathBuf,
    arguments: Vec<String>,
}

impl TestApp {
    /// A fresh server without rate limits.
    pub async fn start() -> Self {
        Self::start_with(&["--limits", "off"]).await
    }

    /// A fresh server with these arguments.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("storage");
        Self::start_in(folder, data, arguments).await
    }

    /// A server on a data folder below `folder`, which lives as long as the server.
    pub async fn start_in(folder: TempDir, data: PathBuf, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        let clock = TestClock::new();
        let running = start_on(&data, &arguments, &clock).await.unwrap();
        Self { running, clock, http: client(), folder: Arc::new(folder), data, arguments }
    }

    /// Stops in good order and starts again on the same data: memory is empty, tokens still work.
    pub async fn restart(self) -> Self {
        let Self { running, clock, folder, data, arguments, .. } = self;
        assert!(running.finish().await, "the server stops in good order");
        let running = start_on(&data, &arguments, &clock).await.unwrap();
        Self { running, clock, http: client(), folder, data, arguments }
    }

    /// Stops in good order. The data folder stays as long as the returned handle.
    pub async fn stop(self) -> (bool, Arc<TempDir>) {
        (self.running.finish().await, self.folder)
    }

    /// The address of a page or call.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.addr)
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A second connection to the database, as a foreign process would open it.
    pub async fn sql(&self) -> Sql {
        Sql::open(&self.data).await
    }

    /// Sets the chat up.
    pub async fn first_run(&self, name: &str) -> Person {
        let answer = self.post_as_nobody("/api/first_run", &sign_up(name)).await;
        self.person(&answer)
    }

    /// Joins by the invite code.
    pub async fn join(&self, name: &str) -> Person {
        let path = format!("/api/join/{}", self.join_code().await);
        let answer = self.post_as_nobody(&path, &sign_up(name)).await;
        self.person(&answer)
    }

    /// Signs somebody in once more, as on another device.
    pub async fn sign_in(&self, name: &str) -> Person {
        let form = json!({"email_address": email(name), "password": PASSWORD});
        let answer = self.post_as_nobody("/api/session", &form).await;
        self.person(&answer)
    }

    /// Many people at once, written into the database as joining would have done: hashing a
    /// password for each would take longer than the test.
    pub async fn add_people(&self, count: usize) -> Vec<Person> {
        let mut sql = self.sql().await;
        let (now, end) = (self.clock.now().ms(), self.clock.now().ms() + 24 * 3_600_000);
        let mut people = Vec::new();
        for at in 0..count {
            let (name, token) = (format!("person{at}"), format!("{at:0>32}"));
            let digest: String = auth::digest(&token).iter().map(|byte| format!("{byte:02x}")).collect();
            sql.run(&format!(
                "INSERT INTO users (name, email_address, password_digest, role, created_at)
                 VALUES ('{name}', '{name}@example.com', '', 'member', {now})"
            ))
            .await;
            let id = sql.number("SELECT max(id) FROM users").await;
            sql.run(&format!(
                "INSERT INTO memberships (user_id, room_id, involvement, created_at)
                 SELECT {id}, id, 'mentions', {now} FROM rooms WHERE kind = 'open'"
            ))
            .await;
            sql.run(&format!(
                "INSERT INTO sessions (token_digest, user_id, user_agent, ip_address,
                                       last_active_at, expires_at, created_at)
                 VALUES (x'{digest}', {id}, '', '', {now}, {end}, {now})"
            ))
            .await;
            people.push(Person::new(self, id, &name, &token));
        }
        people
    }

    /// Somebody who has signed in before, seen from the server as it runs now.
    pub fn meet(&self, known: &Person) -> Person {
        Person::new(self, known.id, &known.name, &known.token)
    }

    /// The code of the invite link.
    pub async fn join_code(&self) -> String {
        self.running.app.find_account().await.unwrap().unwrap().join_code.clone().unwrap()
    }

    /// A JSON request of somebody who is not signed in.
    pub async fn post_as_nobody(&self, path: &str, body: &Value) -> Answer {
        Answer::read(self.http.post(self.url(path)).json(body)).await
    }

    /// A page or call, asked for by somebody who is not signed in.
    pub async fn get_as_nobody(&self, path: &str) -> Answer {
        Answer::read(self.http.get(self.url(path))).await
    }

    fn person(&self, answer: &Answer) -> Person {
        assert_eq!(answer.status, 201, "{}", answer.text());
        let me: Value = answer.json();
        let (name, token) = (me["name"].as_str().unwrap(), me["token"].as_str().unwrap());
        Person::new(self, id_of(&me), name, token)
    }
}

/// Starts a server on a data folder and a free port.
///
/// # Errors
/// Those of the server.
pub async fn start_on(data: &Path, arguments: &[String], clock: &TestClock) -> Result<Running, StartError> {
    let fixed = ["campfire", "--addr", "127.0.0.1:0", "--data", data.to_str().unwrap()];
    let all = fixed.into_iter().chain(arguments.iter().map(String::as_str));
    campfire::server::start(Config::try_parse_from(all).unwrap(), clock.clock()).await
}

/// Tries to start another server with these arguments.
///
/// # Errors
/// Those of the server.
pub async fn try_start(data: &Path, addr: &str) -> Result<Running, StartError> {
    let data = data.to_str().unwrap();
    let all = ["campfire", "--addr", addr, "--data", data, "--limits", "off"];
    let config = Config::try_parse_from(all).unwrap();
    campfire::server::start(config, TestClock::new().clock()).await
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

/// What somebody types to sign up.
pub fn sign_up(name: &str) -> Value {
    json!({"name": name, "email_address": email(name), "password": PASSWORD})
}

/// Everybody's address.
pub fn email(name: &str) -> String {
    format!("{name}@example.com")
}

/// The `id` of a JSON object.
pub fn id_of(object: &Value) -> i64 {
    object["id"].as_i64().unwrap()
}

/// A name for a message that no other message of this process has.
pub fn client_id() -> ClientMessageId {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let process = u128::from(std::process::id());
    ClientMessageId::new(uuid::Uuid::from_u128((process << 64) | u128::from(count)))
}

/// A second connection to the database.
pub struct Sql(SqliteConnection);

impl Sql {
    /// Opens the database of a data folder, waiting for locks like the server does.
    pub async fn open(data: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(data.join("campfire.db"))
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        Self(options.connect().await.unwrap())
    }

    /// Does something.
    pub async fn run(&mut self, statement: &str) -> u64 {
        let done = sqlx::query(AssertSqlSafe(statement)).execute(&mut self.0).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}")).rows_affected()
    }

    /// One number.
    pub async fn number(&mut self, statement: &str) -> i64 {
        let row = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut self.0).await;
        row.unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// A column of numbers.
    pub async fn numbers(&mut self, statement: &str) -> Vec<i64> {
        let rows = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_all(&mut self.0).await;
        rows.unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// A column of texts.
    pub async fn texts(&mut self, statement: &str) -> Vec<String> {
        let rows = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_all(&mut self.0).await;
        rows.unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// The rows of each table that a command may write.
    pub async fn row_counts(&mut self) -> Vec<(&'static str, i64)> {
        let mut counts = Vec::new();
        let tables = ["accounts", "users", "sessions", "rooms", "memberships", "messages"];
        for table in tables.into_iter().chain(["message_search"]) {
            counts.push((table, self.number(&format!("SELECT count(*) FROM {table}")).await));
        }
        counts
    }
}
