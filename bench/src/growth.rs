//! What must not grow: opening a room, paging back, and posting, in small and in large databases.
//!
//! Opening is compared uncached: the server starts anew for every pair of openings, a small room
//! and the large one by turns first, after other rooms have made the process run every line once.
//! The other rows compare CPU per request within one run.

use super::audit::Database;
use super::http::{self, Connection};
use super::load::closed_loop;
use super::pages::{PAGE, newest};
use super::posts::cost;
use super::report::{Budget, Failure, Row, median};
use super::run::Run;
use super::seed::{Shape, token};
use super::visit::{Expected, Question, Visitor, check, decode};
use campfire::server::operation::Durability;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Starts of the server for each comparison of openings, in each round.
const STARTS: usize = 8;
/// Small rooms in every seed but [`Shape::Lists`]: some to warm up with, one to open.
const WARM_UP_ROOMS: [i64; 3] = [6, 7, 8];
/// One of 131 messages.
pub const SMALL_ROOM: i64 = 9;
/// The longest.
pub const LARGE_ROOM: i64 = 1;
/// Growth allowed of a post from 50 members to 5,000.
const MEMBERS: Budget = Budget::AtMost(1.3);
/// Growth allowed from small to large in everything else.
const GROWTH: Budget = Budget::AtMost(1.2);

/// `growth-room-100k` or `growth-room-2m`.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn rooms(run: &Run, shape: Shape, name: &str) -> Result<Vec<Row>, Failure> {
    let data = run.fresh(shape).await?;
    let mut pages = Vec::new();
    for room_id in WARM_UP_ROOMS.into_iter().chain([SMALL_ROOM, LARGE_ROOM]) {
        let expected = Expected::Page(Arc::new(newest(data.path(), room_id).await?));
        pages.push((room_id, expected));
    }
    let (mut samples, mut smalls, mut larges) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..run.rounds {
        let (mut small, mut large) = (Vec::new(), Vec::new());
        for start in 0..STARTS {
            let took = open_rooms(run, data.path(), &pages, start % 2 == 0).await?;
            small.push(took.0);
            large.push(took.1);
        }
        // Whatever comes first costs a little more, so two starts of either order count as one.
        let pairs = small.chunks(2).zip(large.chunks(2));
        let ratios = pairs.map(|(small, large)| total(large) / total(small));
        samples.push(median(&ratios.collect::<Vec<_>>()));
        smalls.extend(small);
        larges.extend(large);
    }
    let note = format!(
        "first opening after a start: {:.2} ms with {} messages, {:.2} ms with 131",
        median(&larges),
        shape.rooms()[0],
        median(&smalls)
    );
    Ok(vec![Row::new(name, "x", samples).budget(GROWTH).note(note)])
}

fn total(values: &[f64]) -> f64 {
    values.iter().sum()
}

/// Opens a small and the large room of a fresh process; milliseconds of each.
async fn open_rooms(
    run: &Run,
    data: &Path,
    pages: &[(i64, Expected)],
    small_first: bool,
) -> Result<(f64, f64), Failure> {
    let product = run.product(data, Durability::Full).await?;
    let mut connection = Connection::open(product.addr).await?;
    let (small, large) = (WARM_UP_ROOMS.len(), WARM_UP_ROOMS.len() + 1);
    let last = if small_first { [small, large] } else { [large, small] };
    let mut took = [0.0; WARM_UP_ROOMS.len() + 2];
    for at in (0..small).chain(last) {
        let (room_id, expected) = &pages[at];
        let request = http::get(&format!("/rooms/{room_id}"), Some(&token(1)), None);
        let started = Instant::now();
        let reply = connection.call(&request).await?;
        took[at] = started.elapsed().as_secs_f64() * 1_000.0;
        reply.expect_status(200)?;
        check(&decode(&reply)?, expected)?;
    }
    product.stop().await?;
    Ok((took[small], took[large]))
}

/// `growth-history-depth`: a page of history near the oldest message against one near the newest.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn history(run: &Run) -> Result<Vec<Row>, Failure> {
    let data = run.fresh(Shape::Long).await?;
    let messages = i64::try_from(Shape::Long.rooms()[0]).unwrap_or(0);
    let product = run.product(data.path(), Durability::Full).await?;
    let mut database = Database::open(data.path()).await?;
    let (mut samples, mut tops, mut bottoms) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..run.rounds {
        let mut costs = [0.0; 2];
        for at in [round % 2, (round + 1) % 2] {
            let from = if at == 0 { messages - 2_000 } else { 200 };
            let mut questions = Vec::new();
            for step in 0..20 {
                let before = database.nth_message(LARGE_ROOM, from + step * 40).await?;
                let older = database.messages(LARGE_ROOM, Some(before), PAGE).await?;
                let path = format!("/api/rooms/{LARGE_ROOM}/messages?limit={PAGE}&before={before}");
                questions.push(Question {
                    request: http::get(&path, Some(&token(1)), None),
                    expected: Expected::History(Arc::new(older)),
                });
            }
            let mut visitors = Vec::new();
            for _ in 0..4 {
                visitors.push(Visitor::again(product.addr, questions.clone()).await?);
            }
            costs[at] = closed_loop(&product, visitors, run.time).await?.0.cpu;
        }
        samples.push(costs[1] / costs[0]);
        tops.push(costs[0]);
        bottoms.push(costs[1]);
    }
    database.close().await?;
    product.stop().await?;
    let note = format!(
        "{:.1} us at the oldest, {:.1} us at the newest of {messages} messages",
        median(&bottoms),
        median(&tops)
    );
    Ok(vec![Row::new("growth-history-depth", "x", samples).budget(GROWTH).note(note)])
}

/// `growth-post-members` or `growth-post-history`: the CPU of a post in a large place against one
/// in a small place.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn posts(run: &Run, places: [(Shape, i64); 2], name: &str) -> Result<Vec<Row>, Failure> {
    let budget = if name == "growth-post-members" { MEMBERS } else { GROWTH };
    let (mut folders, mut products) = (Vec::new(), Vec::new());
    for (shape, _) in places {
        let folder = run.fresh(shape).await?;
        products.push(run.product(folder.path(), Durability::Full).await?);
        folders.push(folder);
    }
    let (mut samples, mut all) = (Vec::new(), [Vec::new(), Vec::new()]);
    for round in 0..run.rounds {
        let mut costs = [0.0; 2];
        for at in [round % 2, (round + 1) % 2] {
            let (product, folder) = (&products[at], folders[at].path());
            costs[at] = cost(product, folder, places[at], run.time).await?;
            all[at].push(costs[at]);
        }
        samples.push(costs[1] / costs[0]);
    }
    for product in products {
        product.stop().await?;
    }
    let note = format!("{:.1} us against {:.1} us", median(&all[1]), median(&all[0]));
    Ok(vec![Row::new(name, "x", samples).budget(budget).note(note)])
}
