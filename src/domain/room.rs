//! Rooms: their kinds and the rules of their names; and what a membership is: how much its user
//! wants to hear of a room, and how far they have read.

use super::account::checked_name;
use super::error::{Error, FieldError};
use super::{MessageId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Longest room name, in Unicode scalars.
pub const MAX_ROOM_NAME: usize = 80;

/// Who is in a room, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// Everybody of the account, newcomers included.
    Open,
    /// Chosen members.
    Closed,
    /// One per exact set of people.
    Direct,
}

impl RoomKind {
    /// The stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Direct => "direct",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "open" => Some(Self::Open),
            "closed" => Some(Self::Closed),
            "direct" => Some(Self::Direct),
            _ => None,
        }
    }
}

/// A room as its members see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Its id.
    pub id: RoomId,
    /// Its name.
    pub name: String,
    /// Who is in it.
    pub kind: RoomKind,
}

/// A room that somebody wants to open, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoom {
    /// 1 to 80 characters on one line, trimmed.
    pub name: String,
}

impl NewRoom {
    /// Checks the form of an open room.
    ///
    /// # Errors
    /// [`Error::Validation`] for field `name`.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let mut broken: Vec<FieldError> = Vec::new();
        let name = checked_name(name, "name", MAX_ROOM_NAME, &mut broken);
        if broken.is_empty() { Ok(Self { name }) } else { Err(Error::Validation(broken)) }
    }
}

/// The identity of a direct room: the same people give the same key, in whatever order and
/// however often they are named. Unique in the database, so two rooms for one set cannot exist.
pub fn direct_key(people: impl IntoIterator<Item = UserId>) -> String {
    let people: BTreeSet<UserId> = people.into_iter().collect();
    people.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// How much of a room somebody wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Involvement {
    /// Not even in the sidebar.
    Invisible,
    /// In the sidebar, never notified.
    Nothing,
    /// Notified when mentioned; the default of open and closed rooms.
    Mentions,
    /// Notified of everything; the default of direct rooms.
    Everything,
}

impl Involvement {
    /// The stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invisible => "invisible",
            Self::Nothing => "nothing",
            Self::Mentions => "mentions",
            Self::Everything => "everything",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "invisible" => Some(Self::Invisible),
            "nothing" => Some(Self::Nothing),
            "mentions" => Some(Self::Mentions),
            "everything" => Some(Self::Everything),
            _ => None,
        }
    }
}

/// The newest message of a room, as far as unread marks care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastMessage {
    /// Its id.
    pub id: MessageId,
    /// Who wrote it.
    pub creator_id: UserId,
}

/// Whether a room has something its member has not read. Derived, never stored: a post therefore
/// writes no membership rows. Whoever wrote last has, by writing, read everything before.
pub fn is_unread(last: Option<LastMessage>, last_read: Option<MessageId>, reader: UserId) -> bool {
    last.is_some_and(|last| last.creator_id != reader && Some(last.id) > last_read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_key_ignores_order_and_repetition() {
        let [one, two, ten] = [1, 2, 10].map(UserId::new);
        assert_eq!(direct_key([ten, two, one, two]), "1,2,10");
        assert_eq!(direct_key([one, two, ten]), direct_key([ten, one, two]));
        assert_ne!(direct_key([one, two]), direct_key([one, ten]));
    }

    #[test]
    fn a_name_is_trimmed_and_bounded() {
        assert_eq!(NewRoom::parse("  Design ").unwrap().name, "Design");
        assert!(NewRoom::parse(&"x".repeat(80)).is_ok());
        for wrong in ["", "  ", "two\nlines", &"x".repeat(81)] {
            assert_eq!(NewRoom::parse(wrong).unwrap_err().fields()[0].field, "name");
        }
    }

    #[test]
    fn unread_means_somebody_else_wrote_after_the_read_cursor() {
        let (david, jason) = (UserId::new(1), UserId::new(2));
        let last = Some(LastMessage { id: MessageId::new(7), creator_id: jason });
        assert!(is_unread(last, None, david));
        assert!(is_unread(last, Some(MessageId::new(6)), david));
        assert!(!is_unread(last, Some(MessageId::new(7)), david));
        assert!(!is_unread(last, None, jason), "one's own words are read");
        assert!(!is_unread(None, None, david));
    }
}
