//! One message to everybody: saturated and paced, with page loads beside it.
//!
//! Saturated: four posters, each sending the next message when the last is acknowledged, for some
//! seconds; then everything drains. The limit is a bare broadcaster with the same buffers and
//! frames of the same length. Paced: one message every 200 ms while one connection loads room
//! pages. Throughput on two processors is often the generator's, so CPU per delivery decides.

use super::audit::Database;
use super::crowd::{Audience, Board, Crowd};
use super::http::Connection;
use super::load::closed_loop;
use super::pages::newest;
use super::posts::{ROOM, Writer, acknowledged};
use super::process::{Cpu, Server, cpu_of, open_file_limit};
use super::report::{Budget, Failure, Row, broken, percentile};
use super::run::Run;
use super::seed::{Shape, token};
use super::socket::marker;
use super::visit::{Expected, Question, Visitor};
use campfire::server::operation::Durability;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

/// As in Campfire's own benchmark.
const POSTERS: i64 = 4;
/// Messages under way at most; a quarter of what the product queues for a tab before it cuts it,
/// so that the slowest reader of a thousand is never cut for the generator's sake.
const UNDER_WAY: usize = 64;
/// As in Campfire's own benchmark.
const PACE: Duration = Duration::from_millis(200);
/// Files beyond the sockets: pages, posters, logs, the runtime.
const OTHER_FILES: u64 = 200;

/// Sends messages to one of the two servers.
enum Poster {
    Product(Box<Writer>),
    Limit { connection: Connection, numbers: Arc<AtomicUsize> },
}

impl Poster {
    async fn post(&mut self) -> Result<usize, Failure> {
        match self {
            Self::Product(writer) => writer.post().await,
            Self::Limit { connection, numbers } => {
                let number = numbers.fetch_add(1, Relaxed);
                let body = format!("{} who wants a coffee right now", marker(number));
                let request = format!(
                    "POST /send HTTP/1.1\r\nHost: limit\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let reply = connection.call(request.as_bytes()).await?;
                reply.expect_status(200)?;
                Ok(number)
            }
        }
    }
}

/// A server, its sockets and its posters.
struct Side {
    server: Server,
    crowd: Crowd,
    posters: Vec<Poster>,
    numbers: Arc<AtomicUsize>,
}

/// What a saturated round came to.
struct Fan {
    rate: f64,
    cpu: Cpu,
    generator: f64,
}

/// Refuses more sockets than may be open.
///
/// # Errors
/// [`Failure::Broken`] with what to do.
pub fn ensure_files(sockets: u32) -> Result<(), Failure> {
    let (needed, limit) = (u64::from(sockets) + OTHER_FILES, open_file_limit());
    if limit >= needed {
        return Ok(());
    }
    broken(format!("{needed} open files are needed, {limit} are allowed: raise `ulimit -n`"))
}

/// `fanout-N` with the CPU of a delivery; for 1,000 sockets also `fanout-1000-paced` and
/// `fanout-page-p99`.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn fanout(run: &Run, count: u32) -> Result<Vec<Row>, Failure> {
    ensure_files(count * 2)?;
    let data = run.fresh(Shape::Crowd).await?;
    let mut database = Database::open(data.path()).await?;
    let (since, _) = database.head().await?;
    let product = run.product(data.path(), Durability::Full).await?;
    let limit = run.limit(&["sockets"]).await?;
    let audience = Audience::Users { users: Shape::Crowd.users(), room_id: ROOM, cursor: since };
    let mut product = side(product, count, audience).await?;
    let mut limit = side(limit, count, Audience::Anybody).await?;
    product.crowd.board.settle().await?;
    let (mut ours, mut limits) = (Vec::new(), Vec::new());
    for round in 0..run.rounds {
        for of_product in [round % 2 == 0, round % 2 == 1] {
            let (side, fans) = if of_product { (&mut product, &mut ours) } else { (&mut limit, &mut limits) };
            fans.push(saturate(side, run.time).await?);
        }
    }
    let mut rows = rows(count, &ours, &limits);
    if count == 1_000 {
        let page = Arc::new(newest(data.path(), ROOM + 1).await?);
        rows.extend(paced(run, &mut product, page).await?);
    }
    let written = product.posters.into_iter().flat_map(|poster| match poster {
        Poster::Product(writer) => acknowledged(vec![*writer]),
        Poster::Limit { .. } => Vec::new(),
    });
    let written: Vec<_> = written.collect();
    drop((product.crowd, limit.crowd));
    product.server.stop().await?;
    limit.server.stop().await?;
    database.audit(since, &written).await?;
    database.close().await?;
    Ok(rows)
}

async fn side(server: Server, count: u32, who: Audience) -> Result<Side, Failure> {
    let crowd = Crowd::connect(server.addr, count, who).await?;
    let numbers = Arc::new(AtomicUsize::new(0));
    let mut posters = Vec::new();
    for user_id in 1..=POSTERS {
        posters.push(match who {
            Audience::Users { room_id, .. } => {
                let writer = Writer::open(server.addr, user_id, room_id, &numbers).await?;
                Poster::Product(Box::new(writer))
            }
            Audience::Anybody => Poster::Limit {
                connection: Connection::open(server.addr).await?,
                numbers: Arc::clone(&numbers),
            },
        });
    }
    Ok(Side { server, crowd, posters, numbers })
}

async fn saturate(side: &mut Side, time: Duration) -> Result<Fan, Failure> {
    let board = Arc::clone(&side.crowd.board);
    let first = side.numbers.load(Relaxed);
    let (before, own) = (side.server.cpu()?, cpu_of(std::process::id())?);
    let (started, began) = (Instant::now(), board.now());
    let mut tasks = JoinSet::new();
    for poster in side.posters.drain(..) {
        let numbers = Arc::clone(&side.numbers);
        tasks.spawn(post_until(poster, Arc::clone(&board), numbers, started + time));
    }
    while let Some(done) = tasks.join_next().await {
        side.posters.push(done??);
    }
    let sent = side.numbers.load(Relaxed);
    board.drain(sent).await?;
    let used = side.server.cpu()?.since(before);
    let own = cpu_of(std::process::id())?.since(own).total();
    let end = (first..sent).map(|number| board.complete_at(number)).max().unwrap_or(began);
    let micros = (end - began).max(u64::try_from(time.as_micros()).unwrap_or(0)) as f64;
    let deliveries = (sent - first) as f64 * f64::from(board.sockets);
    Ok(Fan {
        rate: deliveries / micros * 1_000_000.0,
        cpu: Cpu { user: used.user / deliveries, kernel: used.kernel / deliveries },
        generator: own / micros,
    })
}

async fn post_until(
    mut poster: Poster,
    board: Arc<Board>,
    numbers: Arc<AtomicUsize>,
    end: Instant,
) -> Result<Poster, Failure> {
    while Instant::now() < end {
        if numbers.load(Relaxed).saturating_sub(board.completed()) >= UNDER_WAY {
            board.ensure_sound()?;
            sleep(Duration::from_millis(1)).await;
            continue;
        }
        poster.post().await?;
    }
    Ok(poster)
}

fn rows(count: u32, ours: &[Fan], limits: &[Fan]) -> Vec<Row> {
    let each = |fans: &[Fan], figure: fn(&Fan) -> f64| fans.iter().map(figure).collect::<Vec<_>>();
    let generator = super::report::median(&each(ours, |fan| fan.generator)) * 100.0;
    let name = format!("fanout-{count}");
    let rate = Row::new(&name, "deliv./s", each(ours, |fan| fan.rate))
        .cpu(each(ours, |fan| fan.cpu.total()))
        .limits(each(limits, |fan| fan.rate))
        .note(format!("the generator used {generator:.0} % of a processor meanwhile"));
    let user = Row::new(format!("{name}-user"), "CPU us", each(ours, |fan| fan.cpu.user))
        .limits(each(limits, |fan| fan.cpu.user));
    let kernel = Row::new(format!("{name}-kernel"), "CPU us", each(ours, |fan| fan.cpu.kernel))
        .limits(each(limits, |fan| fan.cpu.kernel));
    match count {
        1_000 => {
            let rate = rate.budget(Budget::RatioAtLeast(0.9));
            vec![rate, user.budget(Budget::AtMost(2.0)), kernel]
        }
        _ => vec![rate, user, kernel],
    }
}

async fn paced(run: &Run, side: &mut Side, page: Arc<Vec<super::audit::Shown>>) -> Result<Vec<Row>, Failure> {
    let (mut middle, mut late, mut pages) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..run.rounds {
        let Some(poster) = side.posters.first_mut() else {
            return broken("nobody posts");
        };
        let questions = vec![Question {
            request: super::http::get(&format!("/rooms/{}", ROOM + 1), Some(&token(7)), None),
            expected: Expected::Page(Arc::clone(&page)),
        }];
        let visitor = Visitor::again(side.server.addr, questions).await?;
        let time = run.time * 2;
        let (loads, latencies) = tokio::join!(
            closed_loop(&side.server, vec![visitor], time),
            pace(poster, &side.crowd.board, &side.numbers, time)
        );
        let latencies = latencies?;
        middle.push(percentile(&latencies, 0.5));
        late.push(percentile(&latencies, 0.99));
        pages.push(loads?.0.percentile(0.99));
    }
    Ok(vec![
        Row::new("fanout-1000-paced-p50", "ms", middle),
        Row::new("fanout-1000-paced-p99", "ms", late)
            .note("post sent until the last of 1,000 sockets has it, page loads beside it"),
        Row::new("fanout-page-p99", "ms", pages),
    ])
}

/// Posts at a steady pace; how long each took to reach the last socket, in milliseconds.
async fn pace(
    poster: &mut Poster,
    board: &Board,
    numbers: &AtomicUsize,
    time: Duration,
) -> Result<Vec<f64>, Failure> {
    let (mut tick, end) = (interval(PACE), Instant::now() + time);
    let mut sent = Vec::new();
    while Instant::now() < end {
        tick.tick().await;
        let at = board.now();
        sent.push((poster.post().await?, at));
    }
    board.drain(numbers.load(Relaxed)).await?;
    let took = sent.iter().map(|(number, at)| board.complete_at(*number) - at);
    Ok(took.map(|micros| micros as f64 / 1_000.0).collect())
}

/// Opens sockets of the product's users in the room that is written to.
///
/// # Errors
/// [`Failure`] when one is refused.
pub async fn audience(addr: SocketAddr, count: u32, cursor: i64) -> Result<Crowd, Failure> {
    let users = Shape::Crowd.users();
    Crowd::connect(addr, count, Audience::Users { users, room_id: ROOM, cursor }).await
}
