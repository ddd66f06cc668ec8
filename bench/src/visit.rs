//! One visitor and the answers they expect: every page is held against the database.
//!
//! Used by all rows that read. The first answer is checked completely: status, message ids, their
//! order and each message's HTML. A later answer may be recognised instead, byte by byte, as one
//! that has been checked. A page that shows anything else fails the row.

use super::audit::Shown;
use super::http::{Connection, Reply};
use super::load::Worker;
use super::report::{Failure, broken, wrong};
use memchr::memmem;
use serde::Deserialize;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;

/// What an answer has to be.
#[derive(Clone)]
pub enum Expected {
    /// A room page with exactly these messages.
    Page(Arc<Vec<Shown>>),
    /// A JSON page with exactly these messages.
    History(Arc<Vec<Shown>>),
    /// A JSON list of exactly these rooms.
    Rooms(Arc<Vec<i64>>),
    /// A page that contains this.
    Text(&'static str),
    /// Exactly these bytes.
    Bytes(Arc<Vec<u8>>),
}

/// One request with what has to come back.
#[derive(Clone)]
pub struct Question {
    /// As sent.
    pub request: Vec<u8>,
    /// Held against the answer.
    pub expected: Expected,
}

/// Asks its questions in turn, on one connection.
pub struct Visitor {
    connection: Connection,
    questions: Vec<Question>,
    /// Answers that were checked completely, as they arrived.
    known: Vec<Option<Vec<u8>>>,
    at: usize,
    /// Whether it ends after its last question instead of beginning again.
    once: bool,
}

impl Visitor {
    /// A visitor who asks these questions again and again.
    ///
    /// # Errors
    /// [`Failure::Broken`] when nobody listens.
    pub async fn again(addr: SocketAddr, questions: Vec<Question>) -> Result<Self, Failure> {
        let connection = Connection::open(addr).await?;
        let known = questions.iter().map(|_| None).collect();
        Ok(Self { connection, questions, known, at: 0, once: false })
    }

    /// A visitor who asks each question once.
    ///
    /// # Errors
    /// [`Failure::Broken`] when nobody listens.
    pub async fn once(addr: SocketAddr, questions: Vec<Question>) -> Result<Self, Failure> {
        Ok(Self { once: true, ..Self::again(addr, questions).await? })
    }
}

impl Worker for Visitor {
    async fn step(&mut self) -> Result<bool, Failure> {
        if self.at == self.questions.len() {
            if self.once || self.questions.is_empty() {
                return Ok(false);
            }
            self.at = 0;
        }
        let (Some(question), Some(known)) = (self.questions.get(self.at), self.known.get_mut(self.at)) else {
            return Ok(false);
        };
        self.at += 1;
        let reply = self.connection.call(&question.request).await?;
        reply.expect_status(200)?;
        if known.as_deref().is_some_and(|known| known == reply.body) {
            return Ok(true);
        }
        let body = decode(&reply)?;
        check(&body, &question.expected)?;
        if !self.once {
            *known = Some(reply.body.to_vec());
        }
        Ok(true)
    }
}

/// The body without its compression.
///
/// # Errors
/// [`Failure::Wrong`] when it cannot be read.
pub fn decode(reply: &Reply<'_>) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let read = match reply.header("content-encoding").as_deref() {
        None => return Ok(reply.body.to_vec()),
        Some("gzip") => flate2::read::GzDecoder::new(reply.body).read_to_end(&mut body),
        Some("br") => brotli::Decompressor::new(reply.body, 64 * 1024).read_to_end(&mut body),
        Some(other) => return broken(format!("nobody asked for {other}")),
    };
    match read {
        Ok(_) => Ok(body),
        Err(error) => wrong(format!("an unreadable compressed body: {error}")),
    }
}

#[derive(Deserialize)]
struct History {
    messages: Vec<HistoryMessage>,
}

#[derive(Deserialize)]
struct HistoryMessage {
    id: i64,
    body_html: String,
}

#[derive(Deserialize)]
struct Room {
    id: i64,
}

/// Holds a decoded body against what it has to be.
///
/// # Errors
/// [`Failure::Wrong`] with the difference.
pub fn check(body: &[u8], expected: &Expected) -> Result<(), Failure> {
    match expected {
        Expected::Page(messages) => check_page(body, messages),
        Expected::History(messages) => {
            let history: History = serde_json::from_slice(body)?;
            let shown = history.messages.into_iter().map(|one| (one.id, one.body_html));
            let shown: Vec<Shown> = shown.collect();
            if shown == **messages { Ok(()) } else { wrong("a page of other messages") }
        }
        Expected::Rooms(rooms) => {
            let listed: Vec<Room> = serde_json::from_slice(body)?;
            let same = listed.iter().map(|room| room.id).eq(rooms.iter().copied());
            if same { Ok(()) } else { wrong("a sidebar of other rooms, or in another order") }
        }
        Expected::Text(text) => match memmem::find(body, text.as_bytes()) {
            Some(_) => Ok(()),
            None => wrong(format!("a page without {text}")),
        },
        Expected::Bytes(bytes) if body == bytes.as_slice() => Ok(()),
        Expected::Bytes(_) => wrong("other bytes than the limit server was given"),
    }
}

/// Rows in order, each followed by its message's HTML before the next row begins.
fn check_page(body: &[u8], messages: &[Shown]) -> Result<(), Failure> {
    const ROW: &[u8] = br#"id="m-"#;
    let starts: Vec<usize> = memmem::find_iter(body, ROW).collect();
    let ids: Vec<i64> = starts.iter().filter_map(|at| id_at(body, at + ROW.len())).collect();
    if !ids.iter().copied().eq(messages.iter().map(|(id, _)| *id)) {
        let (first, last) = (ids.first(), ids.last());
        let count = ids.len();
        return wrong(format!(
            "{count} messages ({first:?} to {last:?}) instead of {} ({:?} to {:?})",
            messages.len(),
            messages.first().map(|one| one.0),
            messages.last().map(|one| one.0)
        ));
    }
    let ends = starts.iter().skip(1).copied().chain([body.len()]);
    for ((start, end), (id, html)) in starts.iter().zip(ends).zip(messages) {
        let row = body.get(*start..end).unwrap_or_default();
        if memmem::find(row, html.as_bytes()).is_none() {
            return wrong(format!("message {id} has another text than in the database"));
        }
    }
    Ok(())
}

fn id_at(body: &[u8], at: usize) -> Option<i64> {
    let digits = body.get(at..)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(texts: &[(i64, &str)]) -> Vec<Shown> {
        texts.iter().map(|(id, html)| (*id, (*html).to_owned())).collect()
    }

    #[test]
    fn a_page_needs_ids_order_and_texts() {
        let page = br#"<p id="m-3"><p>a</p></p><p id="m-12"><p>b</p></p>"#;
        let is = |texts: &[(i64, &str)]| check_page(page, &shown(texts)).is_ok();
        assert!(is(&[(3, "<p>a</p>"), (12, "<p>b</p>")]));
        assert!(!is(&[(12, "<p>b</p>"), (3, "<p>a</p>")]), "order");
        assert!(!is(&[(3, "<p>a</p>")]), "an extra message");
        assert!(!is(&[(3, "<p>b</p>"), (12, "<p>a</p>")]), "texts changed places");
    }

    #[test]
    fn json_is_held_against_the_database() {
        let body = br#"{"messages":[{"id":1,"body_html":"<p>a</p>","x":1}],"cursor":9}"#;
        let expected = |texts| Expected::History(Arc::new(shown(texts)));
        assert!(check(body, &expected(&[(1, "<p>a</p>")])).is_ok());
        assert!(check(body, &expected(&[(1, "<p>b</p>")])).is_err());
        assert!(check(br#"[{"id":2},{"id":1}]"#, &Expected::Rooms(Arc::new(vec![2, 1]))).is_ok());
        assert!(check(br#"[{"id":2}]"#, &Expected::Rooms(Arc::new(vec![2, 1]))).is_err());
    }
}
