//! A user's place in a room: how much they want to hear and how far they have read.

use super::{MessageId, UserId};
use serde::{Deserialize, Serialize};

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
