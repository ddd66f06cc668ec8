//! What the running server does, noun by noun: real SQLite files, the real writer, real sockets,
//! a test clock. Rows and answers and frames are asserted together.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![expect(clippy::panic, reason = "a test that cannot go on should say why")]

#[path = "../harness/mod.rs"]
mod harness;

mod activity;
mod faults;
mod http;
mod limits;
mod members;
mod memory;
mod mentions;
mod messages;
mod migrations;
mod people;
mod rights;
mod rooms;
mod search;
mod sessions;
mod sockets;
mod unread;
