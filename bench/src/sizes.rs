//! What travels and what is shipped: WebAssembly, stylesheet, room page, live frame, binary; and
//! how soon a start is over.
//!
//! Sizes are taken from the product's own answers, as a browser that understands brotli gets
//! them, not from files of a build that might be another one.

use super::audit::Database;
use super::http::{self, Connection, Reply};
use super::pages::newest;
use super::posts::{ROOM, Writer};
use super::process::free_addr;
use super::report::{Budget, Failure, Row, wrong};
use super::run::Run;
use super::seed::{Shape, token};
use super::socket::{Socket, created_id, hello};
use super::visit::{Expected, check, decode};
use campfire::server::operation::Durability;
use memchr::memmem;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Starts in each round.
const STARTS: usize = 7;
/// How often a starting server is asked.
const POLL: Duration = Duration::from_millis(1);

/// `wasm-br`, `css-br`, `room-page-br`, `room-page-identity` and `binary`.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn sizes(run: &Run) -> Result<Vec<Row>, Failure> {
    let data = run.fresh(Shape::Team).await?;
    let expected = Expected::Page(Arc::new(newest(data.path(), 1).await?));
    let product = run.product(data.path(), Durability::Full).await?;
    let mut connection = Connection::open(product.addr).await?;
    let mut page = Vec::new();
    let mut sizes = Vec::new();
    for encodings in [None, Some("br")] {
        let request = http::get("/rooms/1", Some(&token(1)), encodings);
        let reply = connection.call(&request).await?;
        reply.expect_status(200)?;
        expect_encoding(&reply, encodings)?;
        page = decode(&reply)?;
        check(&page, &expected)?;
        sizes.push(reply.body.len() as f64);
    }
    let mut assets = Vec::new();
    for ending in [".wasm", ".css"] {
        let path = asset(&page, ending)?;
        let reply = connection.call(&http::get(&path, None, Some("br"))).await?;
        reply.expect_status(200)?;
        expect_encoding(&reply, Some("br"))?;
        assets.push(reply.body.len() as f64);
    }
    product.stop().await?;
    let binary = std::fs::metadata(&run.product)?.len() as f64;
    let row = |name, bytes: f64| Row::new(name, "bytes", vec![bytes]);
    Ok(vec![
        row("wasm-br", assets[0]).budget(Budget::AtMost(200.0 * 1_024.0)),
        row("css-br", assets[1]),
        row("room-page-br", sizes[1]).budget(Budget::AtMost(8.0 * 1_024.0)),
        row("room-page-identity", sizes[0]),
        row("binary", binary).budget(Budget::AtMost(25.0 * 1_024.0 * 1_024.0)),
    ])
}

fn expect_encoding(reply: &Reply<'_>, encoding: Option<&str>) -> Result<(), Failure> {
    let got = reply.header("content-encoding");
    if got.as_deref() == encoding {
        Ok(())
    } else {
        wrong(format!("the answer is encoded as {got:?} instead of {encoding:?}"))
    }
}

/// The first address of an asset with this ending on a page.
fn asset(page: &[u8], ending: &str) -> Result<String, Failure> {
    for at in memmem::find_iter(page, br#"href="/assets/"#) {
        let rest = page.get(at + 6..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'"').unwrap_or(0);
        let path = String::from_utf8_lossy(rest.get(..end).unwrap_or_default());
        if path.ends_with(ending) {
            return Ok(path.into_owned());
        }
    }
    wrong(format!("the page names no {ending} file: was the product built with its site?"))
}

/// `frame`: a live message of 40 characters.
///
/// # Errors
/// [`Failure`] of a check or of the machinery.
pub async fn frame(run: &Run) -> Result<Vec<Row>, Failure> {
    let data = run.fresh(Shape::Team).await?;
    let mut database = Database::open(data.path()).await?;
    let (_, cursor) = database.head().await?;
    database.close().await?;
    let product = run.product(data.path(), Durability::Full).await?;
    let mut socket = Socket::open(product.addr, &token(2)).await?;
    socket.say(&hello(ROOM, cursor)).await?;
    loop {
        match socket.next().await? {
            Some(text) if text.starts_with(br#"{"type":"changes""#) => break,
            Some(_) => {}
            None => return wrong("the socket was closed"),
        }
    }
    // The number makes the text 40 characters long.
    let numbers = Arc::new(AtomicUsize::new(1_000_000));
    Writer::open(product.addr, 1, ROOM, &numbers).await?.post().await?;
    let bytes = loop {
        match socket.next().await? {
            Some(text) if created_id(text).is_some() => break text.len(),
            Some(_) => {}
            None => return wrong("the socket was closed"),
        }
    };
    product.stop().await?;
    Ok(vec![Row::new("frame", "bytes", vec![bytes as f64]).budget(Budget::AtMost(500.0))])
}

/// `start`: from the start of the process to its first 200.
///
/// # Errors
/// [`Failure`] of the machinery.
pub async fn start(run: &Run) -> Result<Vec<Row>, Failure> {
    let data = run.fresh(Shape::Team).await?;
    let mut samples = Vec::new();
    for _ in 0..run.rounds * STARTS {
        let addr = free_addr()?;
        let started = Instant::now();
        let launch = run.product_launch(data.path(), Durability::Full, Some(addr));
        let (product, up) = tokio::join!(launch.serve(), first_answer(addr, started));
        samples.push(up?);
        product?.stop().await?;
    }
    Ok(vec![Row::new("start", "ms", samples).budget(Budget::AtMost(50.0))])
}

/// Milliseconds from `started` until `/up` is answered with 200.
async fn first_answer(addr: std::net::SocketAddr, started: Instant) -> Result<f64, Failure> {
    while started.elapsed() < Duration::from_secs(30) {
        if let Ok(mut connection) = Connection::open(addr).await
            && connection.call(&http::get("/up", None, None)).await?.status == 200
        {
            return Ok(started.elapsed().as_secs_f64() * 1_000.0);
        }
        sleep(POLL).await;
    }
    wrong("the server was not up within 30 s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_found_by_their_ending() {
        let page = br#"<link href="/assets/1/a.css"><link href="/assets/1/b.wasm">"#;
        assert_eq!(asset(page, ".wasm").unwrap(), "/assets/1/b.wasm");
        assert_eq!(asset(page, ".css").unwrap(), "/assets/1/a.css");
        assert!(asset(page, ".js").is_err());
    }
}
