//! Searching a long history: common words, a rare one, a beginning, and somebody who may read next
//! to nothing of it.

use super::http::{Connection, get, post};
use super::load::{Load, Worker, closed_loop, each, latency_note};
use super::report::{Budget, Failure, Row, wrong};
use super::run::Run;
use super::seed::{Shape, client_id, token};
use campfire::server::operation::Durability;
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

/// Somebody who is in one small room only.
const OUTSIDER: i64 = 11;
const SMALL_ROOM: i64 = 9;
/// A word that stands in the newest message alone.
const RARE: &str = "zebra";
/// Milliseconds that 99 of 100 searches may take, in 2,000,000 messages as in fewer.
const DEADLINE: Budget = Budget::AtMost(5.0);

struct Searcher {
    connection: Connection,
    requests: Vec<Vec<u8>>,
    asked: usize,
}

impl Worker for Searcher {
    async fn step(&mut self) -> Result<bool, Failure> {
        let request = self.requests.get(self.asked % self.requests.len());
        self.asked += 1;
        let reply = self.connection.call(request.map_or(&[], Vec::as_slice)).await?;
        reply.expect_status(200)?;
        match reply.text().contains("<mark>") {
            true => Ok(true),
            false => wrong("a search that must find something found nothing"),
        }
    }
}

/// `search-200k` or `search-2m`, and the same with `-rare`, `-prefix`, `-tickets`
/// and `-outsider`.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn search(run: &Run, shape: Shape, names: &'static [&'static str]) -> Result<Vec<Row>, Failure> {
    let data = run.fresh(shape).await?;
    let file = SqliteConnectOptions::new().filename(data.path().join("campfire.db"));
    let mut database = file.connect().await?;
    sqlx::query("DELETE FROM memberships WHERE user_id = ?1 AND room_id <> ?2")
        .bind(OUTSIDER)
        .bind(SMALL_ROOM)
        .execute(&mut database)
        .await?;
    campfire::server::store::close(database).await?;
    let product = run.product(data.path(), Durability::Full).await?;
    let mut connection = Connection::open(product.addr).await?;
    let id = client_id(1, 3).replacen('0', "f", 4);
    let body = format!(r#"{{"body":"a {RARE} here","client_message_id":"{id}"}}"#);
    let posted = connection.call(&post("/api/rooms/1/messages", &token(1), &body)).await?;
    posted.expect_status(201)?;
    let common = ["coffee", "lunch+thanks", "%22the+build%22", "deploy+in%3A%22All+Talk%22"];
    let kinds: [(i64, &[&str]); 5] = [
        (1, &common),
        (1, &[RARE]),
        (1, &["cof", "thi"]),
        (1, &["ticke", "fine+ticket"]),
        (OUTSIDER, &["coffee", "lunch"]),
    ];
    let mut rows = Vec::new();
    for (name, (user, queries)) in names.iter().zip(kinds) {
        let mut loads: Vec<Load> = Vec::new();
        for _ in 0..run.rounds {
            let ask = |query: &&str| get(&format!("/searches?q={query}"), Some(&token(user)), None);
            let searcher = Searcher {
                connection: Connection::open(product.addr).await?,
                requests: queries.iter().map(ask).collect(),
                asked: 0,
            };
            loads.push(closed_loop(&product, vec![searcher], run.time).await?.0);
        }
        let late = each(&loads, |load| load.percentile(0.99));
        let row = Row::new(*name, "ms", late).cpu(each(&loads, |load| load.cpu));
        rows.push(row.budget(DEADLINE).note(latency_note(&loads)));
    }
    product.stop().await?;
    Ok(rows)
}
