//! What is true in a chat, for server and browser alike: names, rules and pure reducers.
//!
//! Nothing here does I/O, reads a clock or draws a random number, so everything is tested
//! natively and compiles into the WebAssembly client unchanged. Files may import only files
//! listed above them: [`error`], [`account`], [`expression`], [`room`], [`message`], [`sidebar`],
//! [`event`], [`timeline`], [`composing`].
//!
//! Vocabulary: a *viewer* is the signed-in person asking; a *room* holds *messages*; a
//! *membership* lets a user into a room and remembers how far they have read; *seq* counts every
//! committed change; a *cursor* is the last seq a tab has applied; a *change* is a message whose
//! seq lies after a cursor; a *reset* says "too much changed, load a fresh page"; the *timeline*
//! is one room's messages as a tab knows them; *outgoing* messages are sent but not yet confirmed.

pub mod account;
pub mod composing;
pub mod error;
pub mod event;
pub mod expression;
pub mod message;
pub mod room;
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
id!(
    /// An invite link.
    InviteId
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
    // Figures are text; copied at once, because a page has hundreds of numbers.
    text.push_str(std::str::from_utf8(shown).unwrap_or_default());
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

/// One or two initials of a name, in any script: the first letter of its first and last word, with
/// the marks that belong to it; of a name in an East Asian script, one character says enough. As
/// written; the stylesheet makes them capitals, by the rules of the page's language.
pub fn initials(name: &str, at_most: usize) -> String {
    let mut words = name.split_whitespace().filter(|word| !account::is_blank(word));
    let first = words.next().map_or("", first_letter);
    let last = words.next_back().map_or("", first_letter);
    let alone = at_most < 2 || first.chars().next().is_some_and(is_east_asian);
    let mut letters = String::from(first);
    if !alone && !last.chars().next().is_some_and(is_east_asian) {
        letters.push_str(last);
    }
    letters
}

/// The first letter, figure or picture of a word with everything that belongs to it. Quotes and
/// brackets before it are passed over, unless there is nothing else.
fn first_letter(word: &str) -> &str {
    let shows = |c: char| c.is_alphanumeric() || c >= '\u{2190}' && !extends(c);
    let start = word.find(shows).or_else(|| word.find(|c: char| !extends(c))).unwrap_or(0);
    let word = word.split_at(start).1;
    let mut rest = word.char_indices().peekable();
    let opening = rest.next().map(|(_, c)| c);
    // Flags are two letters of their own.
    let is_flag = |c: char| ('\u{1f1e6}'..='\u{1f1ff}').contains(&c);
    if opening.is_some_and(is_flag) {
        rest.next_if(|(_, c)| is_flag(*c));
    }
    while let Some((_, mark)) = rest.next_if(|(_, c)| extends(*c)) {
        // A joiner glues the next picture on: families, professions.
        if mark == '\u{200d}' {
            rest.next();
        }
    }
    let end = rest.peek().map_or(word.len(), |(at, _)| *at);
    word.split_at(end).0
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

/// Whether a character is of a script whose names are a few characters without spaces.
fn is_east_asian(c: char) -> bool {
    matches!(u32::from(c), 0x2e80..=0xa4cf | 0xac00..=0xd7af | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff)
}

/// Which of the ten avatar hues (1 to 10) a user has; it never changes for an id.
pub fn hue(id: UserId) -> i64 {
    // A step that shares no factor with ten sends neighbouring ids to different hues.
    (id.get() * 7).rem_euclid(10) + 1
}

/// A browser in words: "Firefox on Linux".
pub fn device_name(user_agent: &str) -> String {
    let first = |known: &[(&str, &'static str)]| {
        known.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    // Every browser claims to be those after it in this list.
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("CrOS", "ChromeOS"),
        ("Windows", "Windows"),
        ("Macintosh", "Mac"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "A program".to_owned(),
    }
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
