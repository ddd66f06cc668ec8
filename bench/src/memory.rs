//! Memory: the idle process, a socket, a signed-in person, and an hour of traffic in minutes.
//!
//! Read as PSS after things have settled. Each figure is a difference between two readings of one
//! process, divided by what was added in between, so that start-up cost is not spread over it.

use super::audit::Database;
use super::fanout::{audience, ensure_files};
use super::http;
use super::load::closed_loop;
use super::pages::newest;
use super::posts::{ROOM, acknowledged, writers};
use super::process::Server;
use super::report::{Budget, Failure, Row};
use super::run::Run;
use super::seed::{Shape, token};
use super::visit::{Expected, Question, Visitor};
use campfire::server::operation::Durability;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::time::sleep;

/// After this long an idle process has given back what it gives back.
const SETTLE: Duration = Duration::from_secs(2);
/// Loops that end by count, not by time.
const NO_HURRY: Duration = Duration::from_secs(300);
const MB: f64 = 1_000_000.0;
/// Posts of a busy team's hour, and as many page loads.
const HOUR: usize = 20_000;

/// `memory-idle`.
///
/// # Errors
/// [`Failure`] of the machinery.
pub async fn idle(run: &Run) -> Result<Vec<Row>, Failure> {
    let mut samples = Vec::new();
    for _ in 0..run.rounds {
        let data = run.fresh(Shape::Team).await?;
        let product = run.product(data.path(), Durability::Full).await?;
        sleep(SETTLE).await;
        samples.push(product.pss()? / MB);
        product.stop().await?;
    }
    Ok(vec![Row::new("memory-idle", "MB", samples).budget(Budget::AtMost(15.0))])
}

/// `memory-socket-1000` and `memory-socket-5000`: idle sockets of a thousand people, after a hundred
/// others have paid for code and for connections to the database.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn sockets(run: &Run) -> Result<Vec<Row>, Failure> {
    ensure_files(5_100)?;
    let data = run.fresh(Shape::Crowd).await?;
    let mut database = Database::open(data.path()).await?;
    let (_, cursor) = database.head().await?;
    database.close().await?;
    let product = run.product(data.path(), Durability::Full).await?;
    // Who has been here before is another row.
    visit_all(&product, data.path(), Shape::Crowd.users()).await?;
    let others = audience(product.addr, 100, cursor).await?;
    others.board.settle().await?;
    sleep(SETTLE).await;
    let before = product.pss()?;
    let first = audience(product.addr, 1_000, cursor).await?;
    first.board.settle().await?;
    let one = (product.pss()? - before) / 1_000.0;
    let more = audience(product.addr, 4_000, cursor).await?;
    more.board.settle().await?;
    let five = (product.pss()? - before) / 5_000.0;
    first.board.ensure_sound()?;
    drop((others, first, more));
    product.stop().await?;
    let row = |name, bytes: f64| Row::new(name, "kB", vec![bytes / 1_000.0]).budget(Budget::AtMost(10.0));
    Ok(vec![row("memory-socket-1000", one), row("memory-socket-5000", five)])
}

/// Everybody loads one page of the room.
async fn visit_all(product: &Server, data: &std::path::Path, users: i64) -> Result<(), Failure> {
    let page = Arc::new(newest(data, ROOM).await?);
    let question = |user: i64| Question {
        request: http::get(&format!("/rooms/{ROOM}"), Some(&token(user)), None),
        expected: Expected::Page(Arc::clone(&page)),
    };
    let all = (1..=users).map(question).collect();
    let visitors = vec![Visitor::once(product.addr, all).await?];
    closed_loop(product, visitors, NO_HURRY).await.map(|_| ())
}

/// `memory-user`: each person who came by.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn users(run: &Run) -> Result<Vec<Row>, Failure> {
    let data = run.fresh(Shape::Crowd).await?;
    let product = run.product(data.path(), Durability::Full).await?;
    // The first hundred pay for code and connections, not the people.
    let first = 100;
    visit_all(&product, data.path(), first).await?;
    sleep(SETTLE).await;
    let before = product.pss()?;
    visit_all(&product, data.path(), Shape::Crowd.users()).await?;
    sleep(SETTLE).await;
    let people = (Shape::Crowd.users() - first) as f64;
    let each = (product.pss()? - before) / people / 1_000.0;
    product.stop().await?;
    Ok(vec![Row::new("memory-user", "kB", vec![each])])
}

/// `memory-slope`: how much an hour's traffic leaves behind, beyond its first tenth.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn slope(run: &Run) -> Result<Vec<Row>, Failure> {
    let data = run.fresh(Shape::Team).await?;
    let mut database = Database::open(data.path()).await?;
    let (since, _) = database.head().await?;
    let product = run.product(data.path(), Durability::Full).await?;
    let page = Arc::new(newest(data.path(), 1).await?);
    let numbers = Arc::new(AtomicUsize::new(0));
    let people = (Shape::Team.users(), ROOM);
    let mut all = writers(product.addr, 64, people, &numbers).await?;
    let mut readings = Vec::new();
    for until in [HOUR / 10, HOUR] {
        all = all.into_iter().map(|writer| writer.up_to(until)).collect();
        (_, all) = closed_loop(&product, all, NO_HURRY).await?;
        let loads = if readings.is_empty() { HOUR / 10 } else { HOUR - HOUR / 10 };
        let mut visitors = Vec::new();
        for number in 0..10 {
            let user = token(number % Shape::Team.users() + 1);
            let question = Question {
                request: http::get("/rooms/1", Some(&user), None),
                expected: Expected::Page(Arc::clone(&page)),
            };
            visitors.push(Visitor::once(product.addr, vec![question; loads / 10]).await?);
        }
        closed_loop(&product, visitors, NO_HURRY).await?;
        sleep(SETTLE + SETTLE).await;
        readings.push(product.pss()? / MB);
    }
    product.stop().await?;
    database.audit(since, &acknowledged(all)).await?;
    database.close().await?;
    let (tenth, hour) = (readings[0], readings[1]);
    let note = format!("{tenth:.1} MB after a tenth, {hour:.1} MB after all of it");
    Ok(vec![Row::new("memory-slope", "MB", vec![hour - tenth]).note(note)])
}
