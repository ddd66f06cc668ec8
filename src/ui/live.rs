//! The one socket: open, say where we stand, listen, and come back after every loss.
//!
//! Lost connections are tried again after 1, 2, 4, 8, 16 seconds (spread by chance, so that a
//! restart does not bring everybody back in one instant), and at once when the network returns or
//! the tab is looked at. A connection that is silent for longer than a heartbeat allows is
//! dropped from this side too: nothing else notices a network that swallows packets.

use super::browser::{self, CallError};
use super::state::Chat;
use crate::domain::event::{ClientFrame, HEARTBEAT_MS, PROTOCOL, ServerFrame};
use crate::domain::timeline::RETRY_DELAYS_MS;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::{FutureExt, SinkExt, StreamExt, select_biased};
use gloo_net::websocket::Message;
use gloo_net::websocket::futures::WebSocket;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::WithValue;

/// A connection that does not open in this time is given up.
const OPEN_TIMEOUT_MS: u32 = 10_000;
/// Answers to a ping arrive within this time on any network worth staying on.
const PONG_TIMEOUT_MS: u32 = 8_000;

/// How a connection ended.
struct Ended {
    /// Whether it had been live.
    was_live: bool,
    /// The server's own wish for when to come back.
    retry_ms: Option<u32>,
    /// The session is over.
    signed_out: bool,
}

const LOST: Ended = Ended { was_live: false, retry_ms: None, signed_out: false };

/// Keeps the chat connected for as long as the page lives.
pub async fn stay_connected(chat: Chat) {
    let (wake, mut woken) = unbounded();
    chat.set_wake(wake);
    let mut failures: usize = 0;
    loop {
        let ended = connect(chat).await;
        chat.disconnected();
        failures = if ended.was_live { 0 } else { failures + 1 };
        // A refused upgrade looks like a dead network; only a request can tell the difference.
        let refused =
            !ended.was_live && matches!(browser::check_session().await, Err(CallError::SignedOut));
        if ended.signed_out || refused {
            browser::go_to("/session/new");
            return;
        }
        let delay = ended.retry_ms.unwrap_or_else(|| spread(failures));
        wait(delay, &mut woken).await;
    }
}

fn spread(failures: usize) -> u32 {
    let step = failures.saturating_sub(1).min(RETRY_DELAYS_MS.len() - 1);
    let delay = RETRY_DELAYS_MS.get(step).copied().unwrap_or(1_000);
    delay - delay / 4 + browser::jitter(delay / 2)
}

async fn wait(delay: u32, woken: &mut UnboundedReceiver<()>) {
    // Rings from while we were connected say nothing about now.
    while woken.try_recv().is_ok() {}
    select_biased! {
        _ = woken.next() => {}
        () = TimeoutFuture::new(delay).fuse() => {}
    }
}

/// Opens a connection and serves it to its end.
async fn connect(chat: Chat) -> Ended {
    let Some(socket) = browser::socket_url().and_then(|url| WebSocket::open(&url).ok()) else {
        return LOST;
    };
    let (mut write, read) = socket.split();
    let mut read = read.fuse();
    let hello = async {
        // Sending waits until the socket is open.
        let (room_id, cursor) = chat.position();
        let incarnation = chat.incarnation.with_value(|known| Some(known.clone()));
        let hello = ClientFrame::Hello { protocol: PROTOCOL, incarnation, room_id, cursor };
        write.send(encode(&hello)).await.is_ok()
    };
    // A socket that fails says so on its reading side first; writing to it then would only be
    // refused, loudly.
    let opened = select_biased! {
        _ = read.next() => false,
        opened = Box::pin(hello).fuse() => opened,
        () = TimeoutFuture::new(OPEN_TIMEOUT_MS).fuse() => false,
    };
    if !opened {
        return LOST;
    }
    let (commands, mut wishes) = unbounded();
    chat.connected(commands);
    let mut ended = LOST;
    let mut asked = false;
    loop {
        let patience = if asked { PONG_TIMEOUT_MS } else { HEARTBEAT_MS };
        let mut silence = TimeoutFuture::new(patience).fuse();
        select_biased! {
            heard = read.next() => {
                asked = false;
                match heard {
                    Some(Ok(Message::Text(text))) => hear(chat, &text, &mut ended),
                    Some(Ok(Message::Bytes(_))) => {}
                    Some(Err(_)) | None => return ended,
                }
            }
            wish = wishes.next() => {
                let Some(wish) = wish else { return ended };
                if write.send(encode(&wish)).await.is_err() {
                    return ended;
                }
            }
            () = silence => {
                if asked || write.send(encode(&ClientFrame::Ping)).await.is_err() {
                    return ended;
                }
                asked = true;
            }
        }
    }
}

fn hear(chat: Chat, text: &str, ended: &mut Ended) {
    // A frame of a type this page does not know is from a newer server: ignored, as documented.
    let Ok(Some(frame)) = ServerFrame::parse(text) else {
        return;
    };
    match &frame {
        ServerFrame::Welcome { protocol, .. } => {
            ended.was_live = true;
            if *protocol != PROTOCOL {
                browser::reload();
            }
        }
        ServerFrame::Goodbye { reason, retry_ms } => {
            ended.retry_ms = Some(*retry_ms);
            ended.signed_out = reason == "signed_out";
        }
        _ => {}
    }
    chat.hear(frame);
}

fn encode(frame: &ClientFrame) -> Message {
    // Our own frames are plain data; an empty text would be refused and nothing worse.
    Message::Text(serde_json::to_string(frame).unwrap_or_default())
}
