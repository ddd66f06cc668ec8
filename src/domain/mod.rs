//! What is true in a chat, for server and browser alike: names, rules and pure reducers.
//!
//! Nothing here does I/O, reads a clock or draws a random number, so everything is tested
//! natively and compiles into the WebAssembly client unchanged. Files may import only files
//! listed above them: [`error`], [`account`], [`room`], [`message`], [`sidebar`],
//! [`event`], [`row`], [`timeline`].
//!
//! Vocabulary: a *viewer* is the signed-in person asking; a *room* holds *messages*; a
//! *membership* lets a user into a room and remembers how far they have read; *seq* counts every
//! committed change; a *cursor* is the last seq a tab has applied; a *change* is a message whose
//! seq lies after a cursor; a *reset* says "too much changed, load a fresh page"; the *timeline*
//! is one room's messages as a tab knows them; *outgoing* messages are sent but not yet confirmed.

pub mod account;
pub mod error;
pub mod event;
pub mod message;
pub mod room;
pub mod row;
pub mod sidebar;
pub mod timeline;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Declares an integer id that cannot be mixed up with another kind of id.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Wraps a row id. Ids come from the database or from an address typed by a person;
            /// whether such a row exists is decided by the look-up, not here.
            pub const fn new(id: i64) -> Self {
                Self(id)
            }

            /// The row id.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A person or bot of the account.
    UserId
);
id!(
    /// A room.
    RoomId
);
id!(
    /// A message. Ids grow in the order of writing and give the order of a room.
    MessageId
);
id!(
    /// A signed-in browser or program.
    SessionId
);

/// The position of a committed change. One global sequence, given out by the writer, strictly
/// increasing; gaps are allowed and mean nothing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(i64);

impl Seq {
    /// Before the first change.
    pub const ZERO: Self = Self(0);

    /// Wraps a stored position.
    pub const fn new(position: i64) -> Self {
        Self(position)
    }

    /// The position as stored.
    pub const fn get(self) -> i64 {
        self.0
    }

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
        push_padded(&mut text, minute / 60, 2);
        text.push(':');
        push_padded(&mut text, minute % 60, 2);
        text
    }

    /// `2026-11-19`, in UTC.
    pub fn utc_date(self) -> String {
        let (year, month, day) = civil_from_days(self.utc_day());
        let mut text = String::with_capacity(10);
        for (mark, part, width) in [("", year, 4), ("-", month, 2), ("-", day, 2)] {
            text.push_str(mark);
            push_padded(&mut text, part, width);
        }
        text
    }

    /// Appends the form that [`Display`](fmt::Display) prints. A page has hundreds of times, and
    /// formatting them was a tenth of its cost.
    pub fn push_to(self, text: &mut String) {
        let ms = self.0.rem_euclid(DAY_MS);
        let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
        text.push_str(&self.utc_date());
        let clock =
            [("T", hour, 2), (":", minute, 2), (":", ms / 1_000 % 60, 2), (".", ms % 1_000, 3)];
        for (mark, part, width) in clock {
            text.push_str(mark);
            push_padded(text, part, width);
        }
        text.push('Z');
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
        let mut text = String::with_capacity(24);
        self.push_to(&mut text);
        f.write_str(&text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(24);
        self.push_to(&mut text);
        serializer.serialize_str(&text)
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
    let mut figures = [b'0'; 20];
    let (mut rest, mut used) = (number.unsigned_abs(), 0);
    for figure in figures.iter_mut().rev() {
        if rest == 0 && used >= width {
            break;
        }
        *figure += u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        used += 1;
    }
    if number < 0 {
        text.push('-');
    }
    let shown = figures.split_at(figures.len() - used).1;
    text.extend(shown.iter().map(|figure| char::from(*figure)));
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

/// Proleptic Gregorian calendar arithmetic. A date library would do, but the browser would pay
/// tens of kilobytes for these two functions.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // Count from 0000-03-01, so that the leap day is the last day of the counted year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_and_parse_as_rfc_3339() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (1_795_000_000_001, "2026-11-18T11:06:40.001Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp::from_ms(ms).to_string(), text);
            assert_eq!(Timestamp::parse(text), Some(Timestamp::from_ms(ms)));
        }
        for wrong in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00+01:00"] {
            assert_eq!(Timestamp::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_day_of_eight_centuries_survives_the_round_trip() {
        for day in -146_097..146_097 {
            let (year, month, date) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, date), day);
        }
    }
}
