//! Reading: room pages warm and uncached, older messages, the sidebar, the sign-in page.
//!
//! Sixteen connections, each a user of their own with their own session. *Warm* is what these
//! visitors have seen before; *uncached* is a page that nobody of that name has been served since
//! the server started. The limit of a warm page is the same bytes with the same headers from
//! memory behind the same kind of session look-up.

use super::audit::{Database, Shown};
use super::http::{self, Connection};
use super::limits::PageSpec;
use super::load::{Load, closed_loop, each, latency_note};
use super::process::Server;
use super::report::{Budget, Failure, Row, broken};
use super::run::Run;
use super::seed::{Shape, token};
use super::visit::{Expected, Question, Visitor};
use campfire::server::operation::Durability;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Connections of the headline figures, as in Campfire's own benchmark.
const CONNECTIONS: i64 = 16;
/// Messages on a page.
pub const PAGE: i64 = 50;
/// Reading before the measuring, so that neither side pays for its first pages.
const WARM_UP: Duration = Duration::from_millis(400);

/// `page-warm` and `page-warm-br`: against the same bytes from memory.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn warm(run: &Run) -> Result<Vec<Row>, Failure> {
    let data = run.fresh(Shape::Team).await?;
    let product = run.product(data.path(), Durability::Full).await?;
    let messages = Arc::new(newest(data.path(), 1).await?);
    let mut rows = Vec::new();
    for (name, encodings) in [("page-warm", None), ("page-warm-br", Some("br"))] {
        let (ours, limits) = warm_rounds(run, &product, &messages, encodings).await?;
        let row = Row::new(name, "req/s", each(&ours, |load| load.rate))
            .cpu(each(&ours, |load| load.cpu))
            .limits(each(&limits, |load| load.rate))
            .note(format!(
                "{}; the limit's CPU is {:.1} us",
                latency_note(&ours),
                super::report::median(&each(&limits, |load| load.cpu))
            ));
        rows.push(match encodings {
            None => row.budget(Budget::RatioAtLeast(0.5)),
            Some(_) => row,
        });
    }
    product.stop().await?;
    Ok(rows)
}

async fn warm_rounds(
    run: &Run,
    product: &Server,
    messages: &Arc<Vec<Shown>>,
    encodings: Option<&str>,
) -> Result<(Vec<Load>, Vec<Load>), Failure> {
    let users = Shape::Team.users();
    let request = |user: i64| http::get("/rooms/1", Some(&token(user)), encodings);
    let folder = run.scratch()?;
    let spec = folder.path().join("page.json");
    let mut connection = Connection::open(product.addr).await?;
    let reply = connection.call(&request(1)).await?;
    reply.expect_status(200)?;
    let given = Arc::new(super::visit::decode(&reply)?);
    let tokens = (1..=users).map(token).collect();
    let page = PageSpec::new(reply.head, reply.body, tokens);
    std::fs::write(&spec, serde_json::to_vec(&page)?)?;
    let limit = run.limit(&["page", &spec.display().to_string()]).await?;
    let question = |of_product: bool, number: i64| Question {
        request: request(number % users + 1),
        expected: match of_product {
            true => Expected::Page(Arc::clone(messages)),
            false => Expected::Bytes(Arc::clone(&given)),
        },
    };
    let (mut ours, mut limits) = (Vec::new(), Vec::new());
    for round in 0..run.rounds {
        for of_product in [round % 2 == 0, round % 2 == 1] {
            let server = if of_product { product } else { &limit };
            let mut visitors = Vec::new();
            for number in 0..CONNECTIONS {
                let questions = vec![question(of_product, number)];
                visitors.push(Visitor::again(server.addr, questions).await?);
            }
            let (_, visitors) = closed_loop(server, visitors, WARM_UP).await?;
            let (load, _) = closed_loop(server, visitors, run.time).await?;
            if of_product { ours.push(load) } else { limits.push(load) }
        }
    }
    limit.stop().await?;
    Ok((ours, limits))
}

/// The newest page of a room, from the database.
pub async fn newest(folder: &Path, room_id: i64) -> Result<Vec<Shown>, Failure> {
    let mut database = Database::open(folder).await?;
    let messages = database.messages(room_id, None, PAGE).await?;
    database.close().await?;
    Ok(messages)
}

/// `page-uncached`: a new server for each round, and no page of it twice. Identity decides; gzip
/// and brotli are for information.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn uncached(run: &Run) -> Result<Vec<Row>, Failure> {
    let data = run.fresh(Shape::Crowd).await?;
    let rooms = (1..).take(Shape::Crowd.rooms().len());
    let mut pages = Vec::new();
    for room_id in rooms {
        pages.push((room_id, Arc::new(newest(data.path(), room_id).await?)));
    }
    let variants =
        [("page-uncached", None), ("page-uncached-gzip", Some("gzip")), ("page-uncached-br", Some("br"))];
    let mut loads = variants.map(|_| Vec::new());
    for _ in 0..run.rounds {
        for ((_, encodings), loads) in variants.iter().zip(&mut loads) {
            loads.push(uncached_round(run, data.path(), &pages, *encodings).await?);
        }
    }
    let rows = variants.iter().zip(loads).map(|((name, encodings), loads)| {
        let rates = each(&loads, |load| load.rate);
        let row = Row::new(*name, "CPU us", each(&loads, |load| load.cpu)).note(format!(
            "{:.0} req/s; {}",
            super::report::median(&rates),
            latency_note(&loads)
        ));
        match encodings {
            None => row.budget(Budget::AtMost(150.0)),
            Some(_) => row,
        }
    });
    Ok(rows.collect())
}

async fn uncached_round(
    run: &Run,
    data: &Path,
    pages: &[(i64, Arc<Vec<Shown>>)],
    encodings: Option<&str>,
) -> Result<Load, Failure> {
    let product = run.product(data, Durability::Full).await?;
    let question = |user: i64, (room_id, messages): &(i64, Arc<Vec<Shown>>)| Question {
        request: http::get(&format!("/rooms/{room_id}"), Some(&token(user)), encodings),
        expected: Expected::Page(Arc::clone(messages)),
    };
    // A few people come first, so that the process has run every line once.
    let early: Vec<_> = (1..=20).map(|user| question(user, &pages[0])).collect();
    let (_, _) = closed_loop(&product, vec![Visitor::once(product.addr, early).await?], run.time).await?;
    let mut visitors = Vec::new();
    for number in 0..CONNECTIONS {
        let users = (21..=Shape::Crowd.users()).filter(|user| user % CONNECTIONS == number);
        let users: Vec<i64> = users.collect();
        // Everybody begins in another room and wanders on from there.
        let all = (0..pages.len()).flat_map(|step| {
            let page = move |at: usize| pages.get((at + step) % pages.len());
            let places = users.iter().enumerate();
            places.filter_map(move |(at, user)| page(at).map(|page| (*user, page)))
        });
        let all = all.map(|(user, page)| question(user, page)).collect();
        visitors.push(Visitor::once(product.addr, all).await?);
    }
    let (load, _) = closed_loop(&product, visitors, run.time).await?;
    product.stop().await?;
    if load.count < 100.0 {
        return broken("too few pages to say anything");
    }
    Ok(load)
}

/// `sidebar-500`: the list of somebody in 500 rooms; and, in the browser, from the moment a frame
/// about one of them arrives until its entry has changed.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn lists(run: &Run) -> Result<Vec<Row>, Failure> {
    let data = run.fresh(Shape::Lists).await?;
    let mut database = Database::open(data.path()).await?;
    let mut questions = Vec::new();
    for user in 1..=Shape::Lists.users() {
        questions.push(Question {
            request: http::get("/api/rooms", Some(&token(user)), None),
            expected: Expected::Rooms(Arc::new(database.rooms_of(user).await?)),
        });
    }
    database.close().await?;
    let product = run.product(data.path(), Durability::Full).await?;
    let mut loads = Vec::new();
    for _ in 0..run.rounds {
        let mut visitors = Vec::new();
        for question in &questions {
            visitors.push(Visitor::again(product.addr, vec![question.clone()]).await?);
        }
        let (_, visitors) = closed_loop(&product, visitors, WARM_UP).await?;
        loads.push(closed_loop(&product, visitors, run.time).await?.0);
    }
    product.stop().await?;
    let row = Row::new("sidebar-500", "CPU us", each(&loads, |load| load.cpu));
    let mut rows = vec![row.budget(Budget::AtMost(2_000.0)).note(latency_note(&loads))];
    rows.extend(super::browser::browser(run, data.path(), "sidebar").await?);
    Ok(rows)
}

/// `page-older`, `sidebar` and `page-sign-in`.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn others(run: &Run) -> Result<Vec<Row>, Failure> {
    let data = run.fresh(Shape::Team).await?;
    let mut database = Database::open(data.path()).await?;
    let top = database.messages(1, None, PAGE).await?;
    let before = top.first().map_or(0, |(id, _)| *id);
    let older = Arc::new(database.messages(1, Some(before), PAGE).await?);
    let mut rooms = Vec::new();
    for user in 1..=Shape::Team.users() {
        rooms.push(Arc::new(database.rooms_of(user).await?));
    }
    database.close().await?;
    let product = run.product(data.path(), Durability::Full).await?;
    let path = format!("/api/rooms/1/messages?limit={PAGE}&before={before}");
    let mut rows = Vec::new();
    for name in ["page-older", "sidebar", "page-sign-in"] {
        let mut loads = Vec::new();
        for _ in 0..run.rounds {
            let mut visitors = Vec::new();
            for (user, rooms) in (1..).zip(&rooms).cycle().take(16) {
                let question = match name {
                    "page-older" => Question {
                        request: http::get(&path, Some(&token(user)), None),
                        expected: Expected::History(Arc::clone(&older)),
                    },
                    "sidebar" => Question {
                        request: http::get("/api/rooms", Some(&token(user)), None),
                        expected: Expected::Rooms(Arc::clone(rooms)),
                    },
                    _ => Question {
                        request: http::get("/session/new", None, None),
                        expected: Expected::Text(r#"name="password""#),
                    },
                };
                visitors.push(Visitor::again(product.addr, vec![question]).await?);
            }
            let (_, visitors) = closed_loop(&product, visitors, WARM_UP).await?;
            loads.push(closed_loop(&product, visitors, run.time).await?.0);
        }
        rows.push(
            Row::new(name, "req/s", each(&loads, |load| load.rate))
                .cpu(each(&loads, |load| load.cpu))
                .note(latency_note(&loads)),
        );
    }
    product.stop().await?;
    Ok(rows)
}
