//! What people say without sentences: sounds (`/play tada`), messages of emoji alone, the search
//! for an emoji by name, and boosts.
//!
//! The tables of sounds and emoji are files in `public/`, given as text by whoever calls: the
//! server includes the sounds, the browser fetches the emoji when they are first wanted. So no
//! table travels in the WebAssembly. Characters that are text unless a selector follows (`©`,
//! `✔`) count as text.

use super::account::is_blank;
use super::error::Error;
use super::extends;
use std::ops::RangeInclusive;
use std::str::Chars;

/// Longest boost, in characters as people count them (Campfire's value).
pub const MAX_BOOST_CHARS: usize = 16;
/// Longest boost in bytes: one character can be a family, or a letter under a tower of accents.
pub const MAX_BOOST_BYTES: usize = 256;
/// More emoji than this are a text like any other.
pub const MAX_LARGE_EMOJI: usize = 12;

/// Two of these are a flag.
const FLAG_LETTERS: RangeInclusive<char> = '\u{1f1e6}'..='\u{1f1ff}';

/// The boosts offered first, with their names (Campfire's eight).
pub const QUICK_BOOSTS: [(&str, &str); 8] = [
    ("👍", "thumbs up"),
    ("👏", "clapping hands"),
    ("👋", "waving hand"),
    ("💪", "flexed biceps"),
    ("❤️", "red heart"),
    ("😂", "tears of joy"),
    ("🎉", "party popper"),
    ("🔥", "fire"),
];

/// A sound that `/play` knows: one line of `public/sounds.tsv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound<'a> {
    /// What is typed after `/play`.
    pub name: &'a str,
    /// Shown beside the caption.
    pub emoji: &'a str,
    /// What it sounds like, for those who do not hear it.
    pub caption: &'a str,
}

impl<'a> Sound<'a> {
    /// Reads a line of the table. `None` for anything else.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (name, rest) = line.split_once('\t')?;
        rest.split_once('\t').map(|(emoji, caption)| Self { name, emoji, caption })
    }

    /// Its file among the assets.
    pub fn path(&self) -> String {
        ["sounds/", self.name, ".mp3"].concat()
    }
}

/// The sound that a message plays: `/play`, one space, a name of the table, and nothing else but
/// space around it. Capitals do not matter. Anything else is ordinary text.
pub fn played<'a>(sounds: &'a str, text: &str) -> Option<Sound<'a>> {
    let (command, name) = text.trim().split_once(' ')?;
    let name = command.eq_ignore_ascii_case("/play").then_some(name)?;
    sounds.lines().filter_map(Sound::parse).find(|one| one.name.eq_ignore_ascii_case(name))
}

/// An emoji: one line of `public/emoji.tsv`, where lines without a tab are titles of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emoji<'a> {
    /// The characters themselves.
    pub text: &'a str,
    /// Its name, `thumbs_up`: the one that was looked for, or else the first.
    pub name: &'a str,
}

impl<'a> Emoji<'a> {
    /// Reads a line of the table. `None` for the title of a group.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (text, rest) = line.split_once('\t')?;
        Some(Self { text, name: rest.split([' ', '\t']).next()? })
    }
}

/// How well an emoji fits what was typed, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Name,
    NameStart,
    WordStart,
    Inside,
}

/// The emoji of the table that fit what was typed, best first and otherwise in the table's order:
/// names that are or begin with it, then words that do, then those that contain it. Colons around
/// it and capitals do not matter.
pub fn complete<'a>(emoji: &'a str, typed: &str, limit: usize) -> Vec<Emoji<'a>> {
    let typed = typed.trim().trim_matches(':').to_ascii_lowercase().replace(' ', "_");
    let mut found = Vec::new();
    // Most lines do not contain it at all; the rest is asked only of the others.
    let lines = emoji.lines().filter(|line| !typed.is_empty() && line.contains(&*typed));
    for (fit, one) in lines.filter_map(|line| fit(line, &typed)) {
        let at = found.partition_point(|(other, _)| *other <= fit);
        if at < limit {
            found.insert(at, (fit, one));
            found.truncate(limit);
        }
    }
    found.into_iter().map(|(_, one)| one).collect()
}

fn fit<'a>(line: &'a str, typed: &str) -> Option<(Fit, Emoji<'a>)> {
    let first = Emoji::parse(line)?;
    let (names, keywords) = line.split_once('\t')?.1.split_once('\t')?;
    let starting = names.split(' ').filter(|name| name.starts_with(typed));
    if let Some(name) = starting.min_by_key(|name| name.len()) {
        let fit = if name == typed { Fit::Name } else { Fit::NameStart };
        return Some((fit, Emoji { name, ..first }));
    }
    let mut words = names.split([' ', '_']).chain(keywords.split(' '));
    if words.any(|word| word.starts_with(typed)) {
        return Some((Fit::WordStart, first));
    }
    (names.contains(typed) || keywords.contains(typed)).then_some((Fit::Inside, first))
}

/// Whether a text is emoji and nothing else, at most [`MAX_LARGE_EMOJI`] of them, without space
/// between: it is shown large.
pub fn is_only_emoji(text: &str) -> bool {
    // The longest emoji (a couple with skin tones) takes 35 bytes; joiners could go on for ever.
    let mut rest = Some(text.trim()).filter(|text| text.len() <= MAX_LARGE_EMOJI * 40);
    (0..MAX_LARGE_EMOJI).any(|_| {
        rest = rest.and_then(after_emoji);
        rest == Some("")
    })
}

/// What follows the emoji with which a text begins; `None` if it begins with something else.
fn after_emoji(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    let mut picture = chars.next()?;
    if FLAG_LETTERS.contains(&picture) {
        return passes(&mut chars, |c| FLAG_LETTERS.contains(&c)).then_some(chars.as_str());
    }
    if matches!(picture, '0'..='9' | '#' | '*') {
        passes(&mut chars, |c| c == '\u{fe0f}');
        return passes(&mut chars, |c| c == '\u{20e3}').then_some(chars.as_str());
    }
    let mut joined = false;
    loop {
        let styled = passes(&mut chars, |c| c == '\u{fe0f}');
        let toned = passes(&mut chars, |c| matches!(c, '\u{1f3fb}'..='\u{1f3ff}'));
        // What a joiner glues on needs no selector: the whole is one picture anyway.
        let chosen = styled || toned || joined;
        if !(is_emoji(picture) || chosen && may_be_emoji(picture)) {
            return None;
        }
        // England, Scotland and Wales spell their names in invisible letters.
        while passes(&mut chars, |c| matches!(c, '\u{e0020}'..='\u{e007f}')) {}
        joined = passes(&mut chars, |c| c == '\u{200d}');
        if !joined {
            return Some(chars.as_str());
        }
        picture = chars.next()?;
    }
}

/// Goes past the next character if it is a wanted one.
fn passes(chars: &mut Chars<'_>, wanted: impl Fn(char) -> bool) -> bool {
    let is_wanted = chars.clone().next().is_some_and(wanted);
    if is_wanted {
        chars.next();
    }
    is_wanted
}

/// Whether a character is a picture by itself.
fn is_emoji(c: char) -> bool {
    matches!(
        u32::from(c),
        0x231a..=0x231b | 0x23e9..=0x23ec | 0x23f0 | 0x23f3 | 0x25fd..=0x25fe | 0x2614..=0x2615
            | 0x2648..=0x2653 | 0x267f | 0x2693 | 0x26a1 | 0x26aa..=0x26ab | 0x26bd..=0x26be
            | 0x26c4..=0x26c5 | 0x26ce | 0x26d4 | 0x26ea | 0x26f2..=0x26f3 | 0x26f5 | 0x26fa
            | 0x26fd | 0x2705 | 0x270a..=0x270b | 0x2728 | 0x274c | 0x274e | 0x2753..=0x2755
            | 0x2757 | 0x2795..=0x2797 | 0x27b0 | 0x27bf | 0x2b1b..=0x2b1c | 0x2b50 | 0x2b55
            | 0x1f004 | 0x1f0cf | 0x1f18e | 0x1f191..=0x1f19a | 0x1f201 | 0x1f21a | 0x1f22f
            | 0x1f232..=0x1f236 | 0x1f238..=0x1f23a | 0x1f250..=0x1f251 | 0x1f300..=0x1f64f
            | 0x1f680..=0x1f6ff | 0x1f7e0..=0x1f7f0 | 0x1f90c..=0x1f9ff | 0x1fa70..=0x1faff
    )
}

/// Whether a character is a picture once a selector asks for one.
fn may_be_emoji(c: char) -> bool {
    matches!(
        u32::from(c),
        0xa9 | 0xae | 0x203c | 0x2049 | 0x2122 | 0x2139 | 0x2194..=0x21aa | 0x2300..=0x23ff
            | 0x24c2 | 0x25a0..=0x27bf | 0x2934..=0x2935 | 0x2b00..=0x2bff | 0x3030 | 0x303d
            | 0x3297 | 0x3299 | 0x1f170..=0x1f251
    )
}

/// What one person adds to another's message: an emoji or a few words. The only way to obtain one
/// is [`Boost::parse`], so an unchecked one cannot reach the writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boost {
    content: String,
}

impl Boost {
    /// Checks what a person chose or typed; the ends are trimmed.
    ///
    /// # Errors
    /// [`Error::Validation`] for field `content`: empty, longer than [`MAX_BOOST_CHARS`]
    /// characters or [`MAX_BOOST_BYTES`] bytes, or not on one line.
    pub fn parse(content: &str) -> Result<Self, Error> {
        let content = content.trim();
        let broken = if is_blank(content) {
            "Write something first."
        } else if content.len() > MAX_BOOST_BYTES || characters(content) > MAX_BOOST_CHARS {
            "Use at most 16 characters."
        } else if content.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            "Use plain characters on one line."
        } else {
            return Ok(Self { content: content.to_owned() });
        };
        Err(Error::invalid("content", broken))
    }

    /// The text to store.
    pub fn content(&self) -> &str {
        &self.content
    }
}

/// How many characters a person would count: accents, selectors, skin tones and what a joiner
/// glues on belong to the character before them, and a flag is one.
fn characters(text: &str) -> usize {
    let (mut count, mut glued, mut half_flag) = (0, false, false);
    for c in text.chars() {
        let completes_flag = half_flag && FLAG_LETTERS.contains(&c);
        if !(glued || completes_flag || extends(c)) {
            count += 1;
        }
        glued = c == '\u{200d}';
        half_flag = FLAG_LETTERS.contains(&c) && !completes_flag;
    }
    count
}
