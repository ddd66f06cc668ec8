//! A lean WebSocket client: handshake over TCP, small frames out, a fixed buffer in.
//!
//! Used by fan-out, resume and memory; one task holds one socket. A frame is found, not copied
//! and not decoded: a thousand general clients would cost more than the server they measure.
//! Frames from a server are never masked and, from ours, never fragmented; anything else ends the
//! socket with a failure. Pings are answered on the way.

use super::report::{Failure, broken, wrong};
use memchr::memmem;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// As large as the server's own buffer; holds several live frames.
const BUFFER: usize = 4 * 1024;
/// Whoever takes longer to shake hands has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// The example of RFC 6455; a server may not care which key it is.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// One open socket.
pub struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What has been read and not yet handed out.
    unread: Range<usize>,
}

/// A frame at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
enum Scan {
    /// Its kind and where its payload lies.
    Frame(u8, Range<usize>),
    /// So many bytes are needed before it can be told or is complete.
    Needs(usize),
}

fn scan(bytes: &[u8]) -> Result<Scan, Failure> {
    let (Some(first), Some(second)) = (bytes.first(), bytes.get(1)) else {
        return Ok(Scan::Needs(2));
    };
    if first & 0b1111_0000 != 0b1000_0000 || second & 0b1000_0000 != 0 {
        return wrong("a fragmented, masked or extended frame from the server");
    }
    let long = match second & 0b0111_1111 {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(digits) = bytes.get(2..2 + long) else {
        return Ok(Scan::Needs(2 + long));
    };
    let short = usize::from(second & 0b0111_1111);
    let length = match long {
        0 => short,
        _ => digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)),
    };
    let payload = 2 + long..2 + long + length;
    match bytes.len() >= payload.end {
        true => Ok(Scan::Frame(first & 0b0000_1111, payload)),
        false => Ok(Scan::Needs(payload.end)),
    }
}

impl Socket {
    /// Connects to `/ws` and shakes hands.
    ///
    /// # Errors
    /// [`Failure::Broken`] when nobody listens; [`Failure::Wrong`] for another answer than 101.
    pub async fn open(addr: SocketAddr, token: &str) -> Result<Self, Failure> {
        match timeout(PATIENCE, Self::shake_hands(addr, token)).await {
            Ok(done) => done,
            Err(_late) => wrong("no handshake within 30 s"),
        }
    }

    async fn shake_hands(addr: SocketAddr, token: &str) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: campfire.test\r\nOrigin: http://campfire.test\r\n\
             User-Agent: campfire-bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\
             Cookie: session_token={token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut buffer = vec![0; BUFFER];
        let mut filled = 0;
        loop {
            let room = buffer.get_mut(filled..).unwrap_or_default();
            match stream.read(room).await? {
                0 => return broken("the handshake was cut"),
                count => filled += count,
            }
            let seen = buffer.get(..filled).unwrap_or_default();
            let Some(end) = memmem::find(seen, b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(seen.get(..end).unwrap_or_default()).into_owned();
            if !head.starts_with("HTTP/1.1 101") || !head.contains(ACCEPT) {
                return wrong(format!("the handshake was refused: {head}"));
            }
            return Ok(Self { stream, buffer, unread: end + 4..filled });
        }
    }

    /// Sends a text frame.
    ///
    /// # Errors
    /// [`Failure::Broken`] when the connection is gone.
    pub async fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.send(TEXT, text.as_bytes()).await
    }

    async fn send(&mut self, kind: u8, payload: &[u8]) -> Result<(), Failure> {
        let Ok(length) = u8::try_from(payload.len()) else {
            return broken("only short frames are sent");
        };
        let mut frame = vec![0b1000_0000 | kind];
        match length {
            0..126 => frame.push(0b1000_0000 | length),
            _ => frame.extend_from_slice(&[0b1000_0000 | 126, 0, length]),
        }
        // A mask of zeros is a mask, and changes nothing.
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(payload);
        Ok(self.stream.write_all(&frame).await?)
    }

    /// The next text, or nothing once the server has closed.
    ///
    /// # Errors
    /// [`Failure::Broken`] when the connection breaks; [`Failure::Wrong`] for no frame of ours.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        let text = loop {
            let bytes = self.buffer.get(self.unread.clone()).unwrap_or_default();
            match scan(bytes)? {
                Scan::Frame(kind, payload) => {
                    let start = self.unread.start;
                    let payload = start + payload.start..start + payload.end;
                    self.unread.start = payload.end;
                    match kind {
                        TEXT => break payload,
                        CLOSE => return Ok(None),
                        PING => {
                            let echo = self.buffer.get(payload).unwrap_or_default().to_vec();
                            self.send(PONG, &echo).await?;
                        }
                        _ => {}
                    }
                }
                Scan::Needs(bytes) => {
                    if !self.read(bytes).await? {
                        return Ok(None);
                    }
                }
            }
        };
        Ok(self.buffer.get(text))
    }

    /// Reads more, so that a frame of `bytes` bytes can fit. False at the end of the stream.
    async fn read(&mut self, bytes: usize) -> Result<bool, Failure> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        if bytes > self.buffer.len() {
            self.buffer.resize(bytes, 0);
        } else if bytes <= BUFFER && self.unread.len() <= BUFFER && self.buffer.len() > BUFFER {
            // A long welcome is over: a thousand of them would be a burden on the machine.
            self.buffer.truncate(BUFFER);
            self.buffer.shrink_to_fit();
        }
        let room = self.buffer.get_mut(self.unread.end..).unwrap_or_default();
        let count = self.stream.read(room).await?;
        self.unread.end += count;
        Ok(count > 0)
    }
}

/// What a tab says first.
pub fn hello(room_id: i64, cursor: i64) -> String {
    format!(r#"{{"type":"hello","protocol":1,"room_id":{room_id},"cursor":{cursor}}}"#)
}

/// The text by which a message of a run is found again.
pub fn marker(number: usize) -> String {
    format!("bmk{number}z")
}

/// The numbers of all markers in a text, in its order; a message carries its own twice.
pub fn markers(text: &[u8]) -> impl Iterator<Item = usize> {
    memmem::find_iter(text, b"bmk").filter_map(|at| number(text.get(at + 3..)?, b'z'))
}

/// The id of the message in a live frame; nothing if the frame is something else.
pub fn created_id(frame: &[u8]) -> Option<i64> {
    let rest = frame.strip_prefix(br#"{"type":"message_created","message":{"id":"#)?;
    i64::try_from(number(rest, b',')?).ok()
}

/// A whole number at the start of a text, up to `end`.
fn number(text: &[u8], end: u8) -> Option<usize> {
    let length = text.iter().position(|byte| *byte == end)?;
    std::str::from_utf8(text.get(..length)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_once_it_is_complete() {
        assert_eq!(scan(&[]).unwrap(), Scan::Needs(2));
        assert_eq!(scan(&[0x81, 3, b'a']).unwrap(), Scan::Needs(5));
        assert_eq!(scan(b"\x81\x03abc\x89\x00").unwrap(), Scan::Frame(TEXT, 2..5));
        assert_eq!(scan(&[0x81, 126, 1]).unwrap(), Scan::Needs(4));
        let mut long = vec![0x81, 126, 1, 44];
        assert_eq!(scan(&long).unwrap(), Scan::Needs(304));
        long.resize(304, b'x');
        assert_eq!(scan(&long).unwrap(), Scan::Frame(TEXT, 4..304));
        assert_eq!(scan(&[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]).unwrap(), Scan::Needs(65_546));
        assert!(scan(&[0x01, 3]).is_err(), "a fragment");
        assert!(scan(&[0x81, 0x83]).is_err(), "masked");
    }

    #[test]
    fn markers_and_ids_are_read_from_the_bytes() {
        let text = br#"{"type":"message_created","message":{"id":77,"seq":9,"body":"a bmk12z b"#;
        assert_eq!(created_id(text), Some(77));
        assert_eq!(markers(text).collect::<Vec<_>>(), [12]);
        assert_eq!(markers(b"bmkz bmk3 bmk4z").collect::<Vec<_>>(), [4]);
        assert_eq!(created_id(br#"{"type":"presence"}"#), None);
    }
}
