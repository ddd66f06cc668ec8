//! Finished room pages, kept for whoever comes back to them.
//!
//! A page is kept together with the [`Boot`] it was made from, and is given out again only if the
//! new one is equal. So nothing ever has to be declared stale: whatever a page shows is in its
//! `Boot`, rights are checked before there is one, and messages that are still the same ones
//! compare by their address. Making the comparison costs a few microseconds, making the page two
//! hundred, compressing it a thousand more. Memory is bounded in bytes; the page that was asked
//! for longest ago goes first.

use super::super::writer::hot::Bounded;
use crate::domain::{RoomId, UserId};
use crate::ui::{self, Boot, RoomScreen, Screen, Theme};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rough memory of all finished pages, what they were made from included; much of that is shared
/// with hot state and counted here all the same.
const MAX_BYTES: usize = 16 << 20;
/// The step at which every other page is compressed: a room page becomes a seventh.
const BROTLI_QUALITY: u32 = 4;
/// Two to this power is how far back brotli looks: a room page is about 55 kB.
const BROTLI_WINDOW: u32 = 16;
/// What brotli writes at once.
const BROTLI_BUFFER: usize = 8 * 1024;

/// How a body travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// As it is.
    Identity,
    /// Compressed, as every browser of today prefers over TLS.
    Brotli,
}

impl Coding {
    /// The best of both that the asking program takes.
    pub fn of(headers: &HeaderMap) -> Self {
        if accepts(headers, "br") { Self::Brotli } else { Self::Identity }
    }
}

/// Whether the asking program takes a content coding.
pub fn accepts(headers: &HeaderMap, name: &str) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|all| {
        all.split(',').any(|one| {
            let (coding, weight) = one.split_once(';').unwrap_or((one, "q=1"));
            coding.trim() == name && !matches!(weight.trim(), "q=0" | "q=0.0")
        })
    })
}

/// Whose page of what, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    viewer: UserId,
    room_id: RoomId,
    theme: Theme,
    coding: Coding,
}

#[derive(Debug)]
struct Finished {
    made_from: Arc<Boot>,
    body: Bytes,
}

/// The pages that are kept.
#[derive(Debug)]
pub struct FinishedPages {
    pages: Mutex<Bounded<Key, Arc<Finished>>>,
}

impl Default for FinishedPages {
    fn default() -> Self {
        Self { pages: Mutex::new(Bounded::new(MAX_BYTES)) }
    }
}

impl FinishedPages {
    /// The document of `boot`, in its coding: the kept one if it was made from the same, else a
    /// new one. Other pages than those of a room's newest messages are made anew each time, and
    /// never compressed here.
    pub fn document(&self, boot: Boot, theme: Theme, coding: Coding) -> (Bytes, Coding) {
        let Some(room_id) = room_at_its_newest(&boot.screen) else {
            return (ui::chat_document(&Arc::new(boot), theme).into(), Coding::Identity);
        };
        let key = Key { viewer: boot.viewer.id, room_id, theme, coding };
        let kept = self.lock().get(&key).cloned();
        if let Some(kept) = kept.filter(|kept| *kept.made_from == boot) {
            return (kept.body.clone(), coding);
        }
        let made_from = Arc::new(boot);
        let html = ui::chat_document(&made_from, theme);
        let (body, made) = match coding {
            Coding::Brotli => match compressed(&html) {
                Some(body) => (body, Coding::Brotli),
                None => (html.into(), Coding::Identity),
            },
            Coding::Identity => (html.into(), Coding::Identity),
        };
        if made == coding {
            let weight = body.len() + weight(&made_from);
            let finished = Arc::new(Finished { made_from, body: body.clone() });
            self.lock().insert(key, finished, weight);
        }
        (body, made)
    }

    // A poisoned lock is taken all the same: at worst a page is made anew.
    fn lock(&self) -> MutexGuard<'_, Bounded<Key, Arc<Finished>>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room of a page that people come back to. A permalink or a form with an error is shown once.
fn room_at_its_newest(screen: &Screen) -> Option<RoomId> {
    match screen {
        Screen::Room(screen) => match &**screen {
            RoomScreen { room, has_newer: false, unsent: None, found: None, .. } => Some(room.id),
            _ => None,
        },
        Screen::Quiet { .. } => None,
    }
}

/// `None` if brotli fails, which it does not do on memory.
fn compressed(html: &str) -> Option<Bytes> {
    let body = Vec::with_capacity(html.len() / 4);
    let mut writer =
        brotli::CompressorWriter::new(body, BROTLI_BUFFER, BROTLI_QUALITY, BROTLI_WINDOW);
    writer.write_all(html.as_bytes()).ok()?;
    writer.flush().ok()?;
    Some(writer.into_inner().into())
}

/// What a page keeps alive, roughly.
fn weight(boot: &Boot) -> usize {
    let messages = match &boot.screen {
        Screen::Room(screen) => screen.page.messages.as_slice(),
        Screen::Quiet { .. } => &[],
    };
    let messages = messages.iter().map(|one| one.body.len() + one.body_html.len() + 256);
    1_024 + boot.rooms.len() * 128 + boot.online.len() * 64 + messages.sum::<usize>()
}
