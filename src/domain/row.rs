//! The rows of the message list: what each shows, and how one list becomes the next.
//!
//! Rows are plain values made by the timeline. The list in the document is patched from one state
//! to the next by [`changes`], which is as short as the difference: an edit touches one row, a
//! page of history goes in at once, and whatever has not changed keeps its element, its focus and
//! its place on screen. A property test applies the changes to a model of the document.

use super::Timestamp;
use super::message::{ClientMessageId, Message};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;

/// How a send is getting on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// On its way, or waiting for its turn or for the connection.
    Pending,
    /// Given up, with the reason in words. The text is kept until the person decides.
    Failed(String),
}

/// A message this tab is sending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// Its name, the same in every attempt.
    pub client_message_id: ClientMessageId,
    /// The text as typed.
    pub body: String,
    /// When it was sent, on the tab's clock; only shown, never stored.
    pub created_at: Timestamp,
    /// How it is getting on.
    pub progress: Progress,
    /// Attempts that have failed.
    #[serde(default)]
    pub attempts: usize,
    /// Whether a request is under way.
    #[serde(skip)]
    pub in_flight: bool,
}

/// What a row shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowContent {
    /// A stored message.
    Sent(Arc<Message>),
    /// A message being sent, by the viewer.
    Outgoing(Outgoing),
}

/// One line of the message list, ready to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The message or the attempt.
    pub content: RowContent,
    /// Continues the group above: no face, no name.
    pub follow: bool,
    /// The first of its day: a divider stands above it.
    pub opens_day: bool,
}

impl Row {
    /// Identifies the row through sending, confirmation and edits.
    pub fn key(&self) -> ClientMessageId {
        match &self.content {
            RowContent::Sent(message) => message.client_message_id,
            RowContent::Outgoing(outgoing) => outgoing.client_message_id,
        }
    }

    /// When it was said.
    pub fn created_at(&self) -> Timestamp {
        match &self.content {
            RowContent::Sent(message) => message.created_at,
            RowContent::Outgoing(outgoing) => outgoing.created_at,
        }
    }
}

/// One step from an old list of rows to a new one. Steps are applied in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowChange<'a> {
    /// The row goes, with the divider above it.
    Remove(ClientMessageId),
    /// Rows appear before another one, or at the end.
    Insert {
        /// The new rows, top to bottom; never empty.
        rows: &'a [Row],
        /// The row that follows them.
        before: Option<ClientMessageId>,
    },
    /// The row stays where it is and shows something else; its divider comes or goes with it.
    Replace(&'a Row),
}

/// What turns `old` into `new`. Keys are unique within a list.
pub fn changes<'a>(old: &[Row], new: &'a [Row]) -> Vec<RowChange<'a>> {
    let same_start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (old.split_at(same_start).1, new.split_at(same_start).1);
    let same_end = old.iter().rev().zip(new.iter().rev()).take_while(|(o, n)| o == n).count();
    let after = new.get(new.len() - same_end).map(Row::key);
    let old = old.split_at(old.len() - same_end).0;
    let new = new.split_at(new.len() - same_end).0;
    let wanted: HashSet<ClientMessageId> = new.iter().map(Row::key).collect();
    let mut steps = Vec::new();
    let mut left: Vec<&Row> = Vec::new();
    for row in old {
        if wanted.contains(&row.key()) {
            left.push(row);
        } else {
            steps.push(RowChange::Remove(row.key()));
        }
    }
    let mut known: HashSet<ClientMessageId> = left.iter().map(|row| row.key()).collect();
    // From the bottom up, so that the row below each insertion is already in place. `end` closes
    // the run of new rows that waits to go in together.
    let (mut below, mut end) = (after, new.len());
    for (at, row) in new.iter().enumerate().rev() {
        let key = row.key();
        while left.last().is_some_and(|last| !known.contains(&last.key())) {
            left.pop();
        }
        let stays = left.last().filter(|last| last.key() == key).copied();
        if stays.is_none() {
            // A row that stands elsewhere (an answer overtook another) moves: it goes here anew.
            if known.remove(&key) {
                steps.push(RowChange::Remove(key));
            }
            continue;
        }
        insert(&mut steps, new, (at + 1, end), below);
        if stays != Some(row) {
            steps.push(RowChange::Replace(row));
        }
        left.pop();
        (below, end) = (Some(key), at);
    }
    insert(&mut steps, new, (0, end), below);
    steps
}

fn insert<'a>(
    steps: &mut Vec<RowChange<'a>>,
    new: &'a [Row],
    (from, to): (usize, usize),
    before: Option<ClientMessageId>,
) {
    if let Some(rows) = new.get(from..to).filter(|rows| !rows.is_empty()) {
        steps.push(RowChange::Insert { rows, before });
    }
}
