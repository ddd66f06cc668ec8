//! A lean HTTP/1.1 client: one keep-alive connection, one request at a time.
//!
//! Used by every measurement that asks by request. A general client would cost more than the
//! server it measures. The buffer is kept between requests, so a warm connection allocates
//! nothing. It understands `Content-Length` and chunked bodies, and nothing else of the protocol.

use super::report::{Failure, broken, wrong};
use memchr::memmem;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Holds an ordinary room page at once; longer answers make it grow, once.
const BUFFER: usize = 128 * 1024;
/// Whoever takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    unchunked: Vec<u8>,
}

/// An answer, borrowed from its connection until the next request.
pub struct Reply<'a> {
    /// 200 and the like.
    pub status: u16,
    /// The status line and the headers.
    pub head: &'a [u8],
    /// The body, as sent: compressed if it was.
    pub body: &'a [u8],
}

impl Reply<'_> {
    /// The value of a header; names are compared in lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        header(self.head, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.body).into_owned()
    }

    /// Refuses any other status.
    ///
    /// # Errors
    /// [`Failure::Wrong`] with the answer.
    pub fn expect_status(&self, status: u16) -> Result<(), Failure> {
        if self.status == status {
            return Ok(());
        }
        let start: String = self.text().chars().take(300).collect();
        wrong(format!("status {} instead of {status}: {start}", self.status))
    }
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
}

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    length: Length,
    bytes: usize,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// [`Failure::Broken`] when nobody listens.
    pub async fn open(addr: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER], unchunked: Vec::new() })
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// [`Failure::Broken`] when the connection ends or the answer is no HTTP.
    pub async fn call(&mut self, request: &[u8]) -> Result<Reply<'_>, Failure> {
        match timeout(PATIENCE, self.exchange(request)).await {
            Ok(done) => {
                let (head, end) = done?;
                let body = match head.length {
                    Length::Known(_) => self.buffer.get(head.bytes..end),
                    Length::Chunked => Some(self.unchunked.as_slice()),
                };
                Ok(Reply {
                    status: head.status,
                    head: self.buffer.get(..head.bytes).unwrap_or_default(),
                    body: body.unwrap_or_default(),
                })
            }
            Err(_late) => wrong("no answer within 30 s"),
        }
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<(Head, usize), Failure> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let mut head = None;
        loop {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let room = self.buffer.get_mut(filled..).unwrap_or_default();
            match self.stream.read(room).await? {
                0 => return broken("the server closed the connection in the middle of an answer"),
                count => filled += count,
            }
            let seen = self.buffer.get(..filled).unwrap_or_default();
            if head.is_none() {
                head = parse_head(seen)?;
            }
            let Some(known) = &head else { continue };
            let end = match known.length {
                Length::Known(length) => Some(known.bytes + length).filter(|end| *end <= filled),
                Length::Chunked => {
                    let chunks = seen.get(known.bytes..).unwrap_or_default();
                    unchunk(chunks, &mut self.unchunked)?.map(|length| known.bytes + length)
                }
            };
            match (end, head.take_if(|_| end.is_some())) {
                (Some(end), Some(_)) if end != filled => {
                    return broken("more came than the answer to one request");
                }
                (Some(end), Some(known)) => return Ok((known, end)),
                _ => {}
            }
        }
    }
}

/// The value of a header in a head.
pub fn header(head: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(head).ok()?;
    text.split("\r\n").skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Failure> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = bytes.get(..end + 4).unwrap_or_default();
    let status = head.get(9..12).and_then(|code| std::str::from_utf8(code).ok());
    let Some(status) = status.and_then(|code| code.parse().ok()) else {
        return broken("an answer without a status");
    };
    let length = match header(head, "content-length") {
        Some(length) => length.parse().map(Length::Known).ok(),
        None if header(head, "transfer-encoding").is_some() => Some(Length::Chunked),
        None => Some(Length::Known(0)),
    };
    match length {
        Some(length) => Ok(Some(Head { status, length, bytes: end + 4 })),
        None => broken("an answer without a length"),
    }
}

/// Joins chunks into `out`; the bytes they took, once the last one is there.
fn unchunk(bytes: &[u8], out: &mut Vec<u8>) -> Result<Option<usize>, Failure> {
    out.clear();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(line) = memmem::find(rest, b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(rest.get(..line).unwrap_or_default()).unwrap_or_default();
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else {
            return broken("an unreadable chunk");
        };
        let Some(chunk) = rest.get(line + 2..line + 2 + size + 2) else {
            return Ok(None);
        };
        at += line + 2 + size + 2;
        if size == 0 {
            return Ok(Some(at));
        }
        out.extend_from_slice(chunk.get(..size).unwrap_or_default());
    }
}

/// A request that asks for something, as a signed-in browser with these encodings would.
pub fn get(path: &str, token: Option<&str>, encodings: Option<&str>) -> Vec<u8> {
    let cookie = token.map(|token| format!("Cookie: session_token={token}\r\n"));
    let accept = encodings.map(|names| format!("Accept-Encoding: {names}\r\n"));
    format!(
        "GET {path} HTTP/1.1\r\nHost: campfire.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) \
         campfire-bench\r\nAccept: text/html,application/json\r\n{}{}\r\n",
        accept.unwrap_or_default(),
        cookie.unwrap_or_default()
    )
    .into_bytes()
}

/// A request that sends JSON.
pub fn post(path: &str, token: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: campfire.test\r\nUser-Agent: campfire-bench\r\n\
         Content-Type: application/json\r\nCookie: session_token={token}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_gives_status_and_length() {
        let bytes = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello";
        let head = parse_head(bytes).unwrap().unwrap();
        assert_eq!((head.status, head.length), (201, Length::Known(5)));
        assert_eq!(&bytes[head.bytes..], b"hello");
        assert_eq!(parse_head(b"HTTP/1.1 200 OK\r\nContent").unwrap(), None);
        assert!(parse_head(b"nonsense\r\n\r\n").is_err());
        assert!(parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").is_err());
    }

    #[test]
    fn chunks_are_joined_once_all_are_there() {
        let all = b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
        let mut out = Vec::new();
        for cut in 0..all.len() {
            assert_eq!(unchunk(&all[..cut], &mut out).unwrap(), None, "{cut}");
        }
        assert_eq!(unchunk(all, &mut out).unwrap(), Some(all.len()));
        assert_eq!(out, b"abc0123456789");
        assert!(unchunk(b"zz\r\n", &mut out).is_err());
    }
}
