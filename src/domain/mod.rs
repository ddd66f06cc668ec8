//! What is true in a chat, for server and browser alike: names, rules and pure reducers.
//!
//! Nothing here does I/O, reads a clock or draws a random number, so everything is tested
//! natively and compiles into the WebAssembly client unchanged. Files may import only files
//! listed above them: [`error`], [`account`], [`room`], [`composing`], [`message`], [`search`],
//! [`event`], [`timeline`]. What reads a person's input is called `parse`; it fails with
//! [`Error::Validation`](error::Error::Validation), which names every broken field.
//!
//! Vocabulary: a *viewer* is the signed-in person asking; a *room* holds *messages*; a
//! *membership* lets a user into a room and remembers how far they have read; *seq* counts every
//! committed change; a *cursor* is the last seq a tab has applied; a *change* is a message whose
//! seq lies after a cursor; a *reset* says "too much changed, load a fresh page"; the *timeline*
//! is one room's messages as a tab knows them; *outgoing* messages are sent but not yet confirmed.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Range;

/// Gives the variants of an enum the texts that stand for them in the database.
macro_rules! stored {
    ($kind:ident { $($variant:ident = $text:literal),* }) => {
        impl $kind {
            /// The stored form.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),*
                }
            }

            /// Reads the stored form.
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

pub mod account;
pub mod composing;
pub mod event;
pub mod message;
pub mod room;
pub mod search;
pub mod timeline;

/// Declares integers that cannot be mixed up with each other.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Wraps a number from the database or from an address typed by a person; whether
            /// there is such a thing is decided by the look-up, not here.
            pub const fn new(number: i64) -> Self {
                Self(number)
            }

            /// The number.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A person or bot of the account.
    UserId
    /// A room.
    RoomId
    /// A message. Ids grow in the order of writing and give the order of a room.
    MessageId
    /// A signed-in browser or program.
    SessionId
    /// An invite link.
    InviteId
    /// The position of a committed change. One global sequence, given out by the writer, strictly
    /// increasing; gaps are allowed and mean nothing.
    #[derive(Default)]
    Seq
}

impl Seq {
    /// Before the first change.
    pub const ZERO: Self = Self(0);

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A moment, in milliseconds since 1970 UTC. On the wire and in `<time datetime>` it is RFC 3339
/// with milliseconds and `Z`. Moments are shown, never used to order anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const DAY_MS: i64 = 86_400_000;

impl Timestamp {
    /// Wraps milliseconds since 1970 UTC.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970 UTC.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// The day this moment falls on in UTC, counted from 1970-01-01.
    pub const fn utc_day(self) -> i64 {
        self.0.div_euclid(DAY_MS)
    }

    /// `14:02`, in UTC: what a page shows before the browser knows better.
    pub fn utc_clock(self) -> String {
        let minute = self.0.rem_euclid(DAY_MS) / 60_000;
        let mut text = String::with_capacity(5);
        push_form(&mut text, *b"00:00", [(0..2, minute / 60), (3..5, minute % 60)]);
        text
    }

    /// `2026-11-19`, in UTC.
    pub fn utc_date(self) -> String {
        let (year, month, day) = civil_from_days(self.utc_day());
        let mut text = String::with_capacity(10);
        push_padded(&mut text, year, 4);
        push_form(&mut text, *b"-00-00", [(1..3, month), (4..6, day)]);
        text
    }

    /// Appends the form that [`Display`](fmt::Display) prints. A page has hundreds of times, and
    /// formatting them was a tenth of its cost.
    pub fn push_to(self, text: &mut String) {
        let (year, month, day) = civil_from_days(self.utc_day());
        let ms = self.0.rem_euclid(DAY_MS);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        push_padded(text, year, 4);
        let date = [(1..3, month), (4..6, day)];
        push_form(text, *b"-00-00", date);
        let clock = [(1..3, hour), (4..6, minute), (7..9, second), (10..13, ms % 1_000)];
        push_form(text, *b"T00:00:00.000Z", clock);
    }

    fn text(self) -> String {
        let mut text = String::with_capacity(24);
        self.push_to(&mut text);
        text
    }

    /// Reads the form that [`Display`](fmt::Display) prints; fractions are optional.
    /// `None` for anything else, other offsets included.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('Z')?;
        let (date, clock) = text.split_once('T')?;
        let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
        let (year, month, day) = (date.next()??, date.next()??, date.next()??);
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let mut clock = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok());
        let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
        let in_range = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..61).contains(&second);
        if !in_range || fraction.len() > 3 {
            return None;
        }
        let ms = format!("{fraction:0<3}").parse::<i64>().ok()?;
        let seconds = hour * 3_600 + minute * 60 + second;
        Some(Self(days_from_civil(year, month, day) * DAY_MS + seconds * 1_000 + ms))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 UTC time"))
    }
}

/// Appends a number in figures, with zeros in front up to a width.
pub fn push_padded(text: &mut String, number: i64, width: usize) {
    let mut figures = itoa::Buffer::new();
    let figures = figures.format(number.unsigned_abs());
    if number < 0 {
        text.push('-');
    }
    for _ in figures.len()..width {
        text.push('0');
    }
    text.push_str(figures);
}

/// Appends a form of ASCII in which some places are filled with the figures of numbers.
fn push_form<const LENGTH: usize, const PARTS: usize>(
    text: &mut String,
    mut form: [u8; LENGTH],
    parts: [(Range<usize>, i64); PARTS],
) {
    for (places, number) in parts {
        let mut rest = number.unsigned_abs();
        for place in form.get_mut(places).into_iter().flatten().rev() {
            *place += u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
    }
    text.push_str(std::str::from_utf8(&form).unwrap_or_default());
}

/// Appends several texts.
pub fn push_all(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
}

/// Appends text to HTML so that it stays text, in elements and in quoted attributes.
pub fn push_escaped(html: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        let (plain, special) = rest.split_at(at);
        html.push_str(plain);
        html.push_str(match special.as_bytes().first() {
            Some(b'&') => "&amp;",
            Some(b'<') => "&lt;",
            Some(b'>') => "&gt;",
            Some(b'"') => "&quot;",
            _ => "&#39;",
        });
        rest = special.split_at(1).1;
    }
    html.push_str(rest);
}

/// Whether a character only changes the one before it. The marks of living scripts, not all of
/// Unicode: its tables would weigh more than the rest of this file.
fn extends(c: char) -> bool {
    match u32::from(c) {
        // The scripts of India share one layout of 128 places each.
        code @ 0x0900..=0x0dff => matches!(
            code & 0x7f,
            0x00..=0x03 | 0x3a..=0x3c | 0x3e..=0x4f | 0x51..=0x57 | 0x62..=0x63
        ),
        code => matches!(
            code,
            0x0300..=0x036f | 0x0483..=0x0489 | 0x0591..=0x05bd | 0x05bf | 0x05c1..=0x05c7
                | 0x0610..=0x061a | 0x064b..=0x065f | 0x0670 | 0x06d6..=0x06dc
                | 0x06df..=0x06e8 | 0x06ea..=0x06ed | 0x0e31 | 0x0e34..=0x0e3a
                | 0x0e47..=0x0e4e | 0x0f71..=0x0f84 | 0x102b..=0x103e | 0x1160..=0x11ff
                | 0x17b4..=0x17d3 | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x200c..=0x200d
                | 0x20d0..=0x20ff | 0x302a..=0x302f | 0x3099..=0x309a | 0xfe00..=0xfe0f
                | 0xfe20..=0xfe2f | 0x1_f3fb..=0x1_f3ff | 0xe_0020..=0xe_007f
                | 0xe_0100..=0xe_01ef
        ),
    }
}

/// Proleptic Gregorian calendar arithmetic. A date library would do, but the browser would pay
/// tens of kilobytes for these two functions.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // Count from 0000-03-01, so that the leap day is the last day of the counted year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

pub mod error {
    //! What can go wrong, in the words a person may read: one enum for the whole product.
    //!
    //! The browser reads it back from [`ErrorBody`]. Internal causes are logged where they happen
    //! and never travel: [`Error::Unavailable`] and [`Error::Unexpected`] carry no detail on purpose.

    use crate::texts;
    use serde::{Deserialize, Serialize};

    /// One broken rule of one field.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct FieldError {
        /// The field's name as in the request, for example `body`.
        pub field: String,
        /// A sentence that tells the person what to do.
        pub message: String,
    }

    impl FieldError {
        /// A broken rule of `field`.
        pub fn new(field: &str, message: &str) -> Self {
            Self { field: field.to_owned(), message: message.to_owned() }
        }
    }

    /// Why a request was refused or failed.
    #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
    pub enum Error {
        /// Outside input broke a rule; nothing was changed. Never empty.
        #[error("{}", .0.first().map_or(texts::errors::NOT_VALID, |first| first.message.as_str()))]
        Validation(Vec<FieldError>),
        /// The request could not be read at all (not JSON, not UTF-8, wrong shape).
        #[error("{0}")]
        Malformed(&'static str),
        /// The address does not take this method.
        #[error("{}", texts::errors::METHOD_NOT_ALLOWED)]
        MethodNotAllowed,
        /// The body is larger than this address takes.
        #[error("{}", texts::errors::TOO_LARGE)]
        TooLarge,
        /// Nobody is signed in, or the session has ended.
        #[error("{}", texts::errors::UNAUTHENTICATED)]
        Unauthenticated,
        /// The e-mail and password do not belong together (or to nobody; the answer is the same).
        #[error("{}", texts::errors::WRONG_CREDENTIALS)]
        WrongCredentials,
        /// The viewer may see this but not do that.
        #[error("{}", texts::errors::FORBIDDEN)]
        Forbidden,
        /// The request came from another site, or says so.
        #[error("{}", texts::errors::CROSS_SITE)]
        CrossSite,
        /// No such room, message, user or page, or not for this viewer: the two look alike.
        #[error("{}", texts::errors::NOT_FOUND)]
        NotFound,
        /// First run was done before, by somebody else.
        #[error("{}", texts::errors::ALREADY_SET_UP)]
        AlreadySetUp,
        /// The e-mail already belongs to a user.
        #[error("{}", texts::errors::ALREADY_MEMBER)]
        AlreadyMember,
        /// The client message id was used by another author in this room.
        #[error("{}", texts::errors::CLIENT_ID_TAKEN)]
        ClientIdTaken,
        /// The last administrator would be gone, and nobody could make another.
        #[error("{}", texts::errors::LAST_ADMINISTRATOR)]
        LastAdministrator,
        /// Too much in too short a time.
        #[error("{}", texts::errors::rate_limited(.retry_after_s))]
        RateLimited {
            /// Seconds until the next attempt can succeed.
            retry_after_s: u64,
        },
        /// The writer has stopped; nothing can be stored.
        #[error("{}", texts::errors::WRITER_UNAVAILABLE)]
        WriterUnavailable,
        /// The disk is full or cannot be written.
        #[error("{}", texts::errors::STORAGE_FULL)]
        StorageFull,
        /// The database did not answer as it should; the cause is in the log.
        #[error("{}", texts::errors::UNAVAILABLE)]
        Unavailable,
        /// A bug; the cause is in the log.
        #[error("{}", texts::errors::UNAVAILABLE)]
        Unexpected,
    }

    impl Error {
        /// What was checked, if no rule turned out to be broken.
        pub(in crate::domain) fn unless<T>(broken: Vec<FieldError>, checked: T) -> Result<T, Self> {
            if broken.is_empty() { Ok(checked) } else { Err(Self::Validation(broken)) }
        }

        /// A single broken field rule.
        pub fn invalid(field: &str, message: &str) -> Self {
            Self::Validation(vec![FieldError::new(field, message)])
        }

        /// The stable name of this error on the wire.
        pub fn code(&self) -> &'static str {
            self.code_and_status().0
        }

        /// The HTTP status.
        pub fn status(&self) -> u16 {
            self.code_and_status().1
        }

        fn code_and_status(&self) -> (&'static str, u16) {
            match self {
                Self::Validation(_) => ("validation", 422),
                Self::Malformed(_) => ("malformed", 400),
                Self::MethodNotAllowed => ("method_not_allowed", 405),
                Self::TooLarge => ("too_large", 413),
                Self::Unauthenticated => ("unauthenticated", 401),
                Self::WrongCredentials => ("wrong_credentials", 401),
                Self::Forbidden => ("forbidden", 403),
                Self::CrossSite => ("cross_site", 403),
                Self::NotFound => ("not_found", 404),
                Self::AlreadySetUp => ("already_set_up", 409),
                Self::AlreadyMember => ("already_member", 409),
                Self::ClientIdTaken => ("client_id_taken", 409),
                Self::LastAdministrator => ("last_administrator", 409),
                Self::RateLimited { .. } => ("rate_limited", 429),
                Self::WriterUnavailable => ("writer_unavailable", 503),
                Self::StorageFull => ("storage_full", 507),
                Self::Unavailable => ("unavailable", 503),
                Self::Unexpected => ("unexpected", 500),
            }
        }

        /// The broken rules, if rules were broken.
        pub fn fields(&self) -> &[FieldError] {
            match self {
                Self::Validation(fields) => fields,
                _ => &[],
            }
        }

        /// The sentence for one field, for a form that is shown again.
        pub fn for_field(&self, field: &str) -> Option<&str> {
            let broken = self.fields().iter().find(|error| error.field == field);
            broken.map(|error| error.message.as_str())
        }
    }

    /// `{"error": {...}}`: the body of every failed API call.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct ErrorBody {
        /// What went wrong.
        pub error: ErrorDetail,
    }

    /// The inside of an [`ErrorBody`].
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct ErrorDetail {
        /// See [`Error::code`].
        pub code: String,
        /// The first broken field, when rules were broken.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        pub field: Option<String>,
        /// A sentence a person can act on.
        pub message: String,
        /// Names this request in the server's log.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        pub request_id: Option<String>,
    }

    impl ErrorBody {
        /// The wire form of `error`.
        pub fn new(error: &Error, request_id: Option<String>) -> Self {
            Self {
                error: ErrorDetail {
                    code: error.code().to_owned(),
                    field: error.fields().first().map(|first| first.field.clone()),
                    message: error.to_string(),
                    request_id,
                },
            }
        }
    }
}
