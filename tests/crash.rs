//! Killed while writing, again and again on the same data: whatever was acknowledged is there,
//! once, and the database is whole.
//!
//! The program under test is `CAMPFIRE_BIN`, else the one cargo has built.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use campfire::domain::message::ClientMessageId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use uuid::Uuid;

const ROUNDS: u64 = 20;
const CLIENTS: u64 = 20;
const SEED: u64 = 1_917;

/// The program, running.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    async fn start(data: &Path) -> Self {
        let built = || env!("CARGO_BIN_EXE_campfire").into();
        let program = std::env::var_os("CAMPFIRE_BIN").unwrap_or_else(built);
        let mut child = Command::new(program)
            .env("CAMPFIRE_ADDR", "127.0.0.1:0")
            .env("CAMPFIRE_DATA", data)
            .env("CAMPFIRE_LIMITS", "off")
            .env("CAMPFIRE_LOG", "error")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self { child, url }
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// One message as its sender knows it.
#[derive(Clone, Debug)]
struct Sent {
    name: ClientMessageId,
    body: String,
}

/// What the server has promised, over all rounds.
#[derive(Debug, Default)]
struct Promises {
    /// Acknowledged messages by their ids.
    stored: BTreeMap<i64, Sent>,
    /// Acknowledged deletions.
    deleted: BTreeSet<i64>,
    /// Deletions that were cut off: either way is right.
    perhaps_deleted: BTreeSet<i64>,
    /// Sends that were cut off: there or not, but never twice.
    cut_off: Vec<Sent>,
}

/// What a client tells as it happens.
enum Told {
    Stored(i64, Sent),
    Deleting(i64),
    Deleted(i64),
    CutOff(Sent),
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap()
}

async fn post(http: &reqwest::Client, url: &str, token: &str, sent: &Sent) -> Option<(u16, i64)> {
    let call = http.post(format!("{url}/api/rooms/1/messages")).bearer_auth(token);
    let body = json!({"body": sent.body, "client_message_id": sent.name});
    let answer = call.json(&body).send().await.ok()?;
    let status = answer.status().as_u16();
    let message: Value = answer.json().await.ok()?;
    Some((status, message["id"].as_i64()?))
}

/// Posts, and sometimes deletes what it has posted, until the server is gone.
async fn chat(url: String, token: String, (round, number): (u64, u64), told: mpsc::Sender<Told>) {
    let http = client();
    let mut random = StdRng::seed_from_u64(SEED ^ (round << 32) ^ number);
    for at in 0_u64.. {
        let name = (u128::from(round) << 96) | (u128::from(number) << 64) | u128::from(at);
        let length = random.random_range(1..400);
        let body = format!("round {round} client {number} message {at} {}", "x".repeat(length));
        let sent = Sent { name: ClientMessageId::new(Uuid::from_u128(name)), body };
        let Some((status, id)) = post(&http, &url, &token, &sent).await else {
            let _last = told.send(Told::CutOff(sent)).await;
            return;
        };
        assert_eq!(status, 201, "{sent:?}");
        let _more = told.send(Told::Stored(id, sent)).await;
        if random.random_bool(0.1) {
            let _more = told.send(Told::Deleting(id)).await;
            let call = http.delete(format!("{url}/api/messages/{id}")).bearer_auth(&token);
            match call.send().await {
                Ok(answer) => assert_eq!(answer.status(), 204),
                Err(_) => return,
            }
            let _more = told.send(Told::Deleted(id)).await;
        }
    }
}

/// One round: everybody posts, and after a random number of acknowledgements the server is killed
/// with the rest under way.
async fn round(data: &Path, token: &str, number: u64, limit: u64, promises: &mut Promises) {
    let server = Server::start(data).await;
    examine(data, promises).await;
    resend(&server.url, token, promises).await;
    let (told, mut hear) = mpsc::channel(10_000);
    for client in 0..CLIENTS {
        tokio::spawn(chat(server.url.clone(), token.to_owned(), (number, client), told.clone()));
    }
    drop(told);
    let mut server = Some(server);
    let mut acknowledged = 0;
    while let Some(news) = hear.recv().await {
        match news {
            Told::Stored(id, sent) => {
                let before = promises.stored.insert(id, sent);
                assert!(before.is_none(), "{id} was given to two messages");
                acknowledged += 1;
            }
            Told::Deleting(id) => {
                promises.perhaps_deleted.insert(id);
            }
            Told::Deleted(id) => {
                promises.deleted.insert(id);
            }
            Told::CutOff(sent) => promises.cut_off.push(sent),
        }
        if acknowledged >= limit
            && let Some(server) = server.take()
        {
            server.kill().await;
        }
    }
}

/// What was cut off is sent again, as every client does; so is something acknowledged.
async fn resend(url: &str, token: &str, promises: &mut Promises) {
    let http = client();
    for sent in std::mem::take(&mut promises.cut_off) {
        let (status, id) = post(&http, url, token, &sent).await.unwrap();
        assert!(matches!(status, 200 | 201), "{status} {sent:?}");
        promises.stored.insert(id, sent);
    }
    if let Some((id, sent)) = promises.stored.last_key_value() {
        let again = Sent { body: "another text".into(), ..sent.clone() };
        assert_eq!(post(&http, url, token, &again).await, Some((200, *id)));
    }
}

async fn number(sql: &mut SqliteConnection, statement: &'static str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(sql).await.unwrap()
}

/// Reads the database after the server has recovered it and compares it with what was promised.
async fn examine(data: &Path, promises: &Promises) {
    let options = SqliteConnectOptions::new().filename(data.join("campfire.db"));
    let mut sql = options.busy_timeout(Duration::from_secs(10)).connect().await.unwrap();
    let integrity: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut sql).await.unwrap();
    assert_eq!(integrity, "ok");
    let rows: Vec<(i64, String, String, bool)> = sqlx::query_as(
        "SELECT id, client_message_id, body, deleted_at IS NOT NULL FROM messages ORDER BY id",
    )
    .fetch_all(&mut sql)
    .await
    .unwrap();
    let names: BTreeSet<&String> = rows.iter().map(|(_, name, ..)| name).collect();
    assert_eq!(names.len(), rows.len(), "no client id is there twice");
    let rows: BTreeMap<i64, _> =
        rows.iter().map(|(id, name, body, gone)| (*id, (name, body, *gone))).collect();
    for (id, sent) in &promises.stored {
        let (name, body, gone) = rows.get(id).unwrap_or_else(|| unreachable!("lost: {sent:?}"));
        assert_eq!(**name, sent.name.to_string(), "{id} is another message now");
        assert!(*gone || **body == sent.body, "{id} has another text");
        assert!(!gone || promises.perhaps_deleted.contains(id), "{id} was never deleted");
        assert!(*gone || !promises.deleted.contains(id), "{id} came back");
    }
    // Nothing is there that nobody sent: at most those whose acknowledgement was cut off.
    let unknown = rows.len() - promises.stored.len();
    assert!(unknown <= promises.cut_off.len(), "{unknown} rows that nobody sent");
    let alive = "SELECT count(*) FROM messages WHERE deleted_at IS NULL";
    assert_eq!(number(&mut sql, "SELECT count(*) FROM message_search").await, number(&mut sql, alive).await);
    let unsearchable = "SELECT count(*) FROM messages WHERE deleted_at IS NULL
                        AND id NOT IN (SELECT rowid FROM message_search)";
    assert_eq!(number(&mut sql, unsearchable).await, 0);
    let head = "SELECT last_seq >= (SELECT coalesce(max(seq), 0) FROM messages)
                   AND last_message_id >= (SELECT coalesce(max(id), 0) FROM messages)
                FROM sequence";
    assert_eq!(number(&mut sql, head).await, 1, "the sequence never gives a number twice");
    let newest = "SELECT last_message_id IS (SELECT max(id) FROM messages
                                             WHERE room_id = 1 AND deleted_at IS NULL)
                  FROM rooms WHERE id = 1";
    assert_eq!(number(&mut sql, newest).await, 1, "the room's head is its newest message");
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_survives_kill() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("storage");
    let server = Server::start(&data).await;
    let david = json!({
        "name": "david", "email_address": "david@example.com", "password": "a long password"
    });
    let first_run = client().post(format!("{}/api/first_run", server.url)).json(&david);
    let me: Value = first_run.send().await.unwrap().json().await.unwrap();
    let token = me["token"].as_str().unwrap().to_owned();
    // The first promise: somebody who has just set the chat up is still signed in.
    server.kill().await;

    let mut random = StdRng::seed_from_u64(SEED);
    let mut promises = Promises::default();
    for number in 1..=ROUNDS {
        let limit = random.random_range(1..150);
        round(&data, &token, number, limit, &mut promises).await;
    }
    let server = Server::start(&data).await;
    resend(&server.url, &token, &mut promises).await;
    examine(&data, &promises).await;
    server.kill().await;
    println!(
        "{} acknowledged messages and {} acknowledged deletions survived {} kills",
        promises.stored.len(),
        promises.deleted.len(),
        ROUNDS + 2
    );
}
