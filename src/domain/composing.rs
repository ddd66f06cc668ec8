//! Composing: what the toolbar, the shortcuts and the completions do to a text, and what is said in
//! emoji: boosts, and the reactions they add up to. Pure; the browser hands in what its field holds and puts back what comes out.
//!
//! Every switch is its own way back: used twice, it leaves the text as it was. That is why marks
//! are counted: an odd number around a selection means that it has them, an even number that one
//! more goes around.

use super::account::{UserRef, is_blank};
use super::error::Error;
use super::{UserId, extends};
use crate::texts;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::str::Chars;

/// A text with its selection, in bytes; [`Field::new`] and [`Field::units`] translate from and to
/// the UTF-16 units that browsers count in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The text.
    pub text: String,
    /// Where the selection begins.
    pub start: usize,
    /// Where it ends; never before it begins.
    pub end: usize,
}

/// What a tool of the toolbar or a shortcut does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `**bold**` and its like: marks around the selection.
    Around(&'static str),
    /// `> quote` and its like: a mark before every line.
    Lines(&'static str),
    /// A block of code.
    Fence,
    /// A link, whose address or text is filled in next.
    Link,
}

impl Format {
    /// Every tool in the order of the toolbar, with the key that means it beside Ctrl or Cmd: a
    /// capital together with Shift. Where figures share keys with signs, browsers call them `Digit`.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Around("**"), "b"),
        (Self::Around("_"), "i"),
        (Self::Around("~~"), "X"),
        (Self::Around("`"), "e"),
        (Self::Fence, "E"),
        (Self::Link, "U"),
        (Self::Lines("> "), "Digit9"),
        (Self::Lines("- "), "Digit8"),
        (Self::Lines("1. "), "Digit7"),
    ];
}

impl Field {
    /// A text with a selection in UTF-16 units. Places beyond the end, or within a character, are
    /// moved back to where they can be.
    pub fn new(text: &str, start: u32, end: u32) -> Self {
        let (start, end) = (byte_at(text, start), byte_at(text, end));
        Self { text: text.to_owned(), start: start.min(end), end }
    }

    /// The selection in UTF-16 units.
    pub fn units(&self) -> (u32, u32) {
        let (before, selected, _) = self.parts();
        let start = length(before);
        (start, start + length(selected))
    }

    /// What to put where, in UTF-16 units, to get from this text to another: browsers can take back
    /// what was typed, but not a text that was exchanged.
    pub fn change<'a>(&self, new: &'a Self) -> (u32, u32, &'a str) {
        let same = self.text.chars().zip(new.text.chars()).take_while(|(old, new)| old == new);
        let start: usize = same.map(|(c, _)| c.len_utf8()).sum();
        let (before, old) = self.text.split_at(start);
        let new = new.text.split_at(start).1;
        let same = old.chars().rev().zip(new.chars().rev()).take_while(|(old, new)| old == new);
        let end: usize = same.map(|(c, _)| c.len_utf8()).sum();
        let from = length(before);
        (from, from + length(old.split_at(old.len() - end).0), new.split_at(new.len() - end).0)
    }

    fn parts(&self) -> (&str, &str, &str) {
        let (before, rest) = self.text.split_at(self.start);
        let (selected, after) = rest.split_at(self.end - self.start);
        (before, selected, after)
    }

    /// The field after a tool was used.
    #[must_use]
    pub fn with(&self, format: Format) -> Self {
        match format {
            Format::Around(mark) => self.trimmed().toggled(mark, mark),
            Format::Lines(mark) => self.lined(mark),
            Format::Fence => self.whole_lines().toggled("```\n", "\n```"),
            Format::Link => self.linked(),
        }
    }

    /// The field with other text in place of what lies between two places; the caret follows it.
    #[must_use]
    pub fn replaced(&self, from: usize, to: usize, with: &str) -> Self {
        let (before, after) = (self.text.get(..from), self.text.get(to..));
        let text = [before.unwrap_or_default(), with, after.unwrap_or_default()].concat();
        let caret = (from + with.len()).min(text.len());
        Self { text, start: caret, end: caret }
    }

    /// Without the space at the ends of the selection: marks do not count beside space.
    fn trimmed(&self) -> Self {
        let (_, selected, _) = self.parts();
        let start = self.start + (selected.len() - selected.trim_start().len());
        let end = start + selected.trim().len();
        Self { text: self.text.clone(), start: start.min(end), end }
    }

    fn whole_lines(&self) -> Self {
        let (before, _, after) = self.parts();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = self.end + after.find('\n').unwrap_or(after.len());
        Self { text: self.text.clone(), start, end }
    }

    fn toggled(&self, open: &str, close: &str) -> Self {
        let (before, selected, after) = self.parts();
        let outside = at_end(before, open).min(at_start(after, close));
        let marks = open.len() + close.len();
        let inside = at_start(selected, open).min(at_end(selected, close));
        let inner = selected.get(open.len()..selected.len().saturating_sub(close.len()));
        // Space at the ends would not be selected the next time.
        let holds = |inner: &str| open.ends_with('\n') || inner.trim() == inner;
        let inside = if inner.is_some_and(holds) { inside.min(selected.len() / marks) } else { 0 };
        let cut = |text: &str, from: usize, less: usize| {
            text.get(from..text.len() - less).unwrap_or_default().to_owned()
        };
        let (before, selected, after) = match (outside, (outside + inside) % 2) {
            (_, 0) => ([before, open].concat(), selected.to_owned(), [close, after].concat()),
            (0, _) => (before.to_owned(), cut(selected, open.len(), close.len()), after.to_owned()),
            _ => (cut(before, 0, open.len()), selected.to_owned(), cut(after, close.len(), 0)),
        };
        let (start, end) = (before.len(), before.len() + selected.len());
        Self { text: [before, selected, after].concat(), start, end }
    }

    fn lined(&self, mark: &str) -> Self {
        let all = self.whole_lines();
        let (before, selected, after) = all.parts();
        let marked = selected.split('\n').map(|line| at_start(line, mark)).min().unwrap_or(0);
        let lines: Vec<String> = selected
            .split('\n')
            .map(|line| match marked % 2 {
                0 => [mark, line].concat(),
                _ => line.strip_prefix(mark).unwrap_or(line).to_owned(),
            })
            .collect();
        let lines = lines.join("\n");
        let start = before.len();
        let end = start + lines.len();
        // Whoever only stood in a line goes on writing at its end.
        let start = if self.start == self.end { end } else { start };
        Self { text: [before, &lines, after].concat(), start, end }
    }

    fn linked(&self) -> Self {
        let (before, selected, after) = self.parts();
        let is_address = selected.starts_with("http://") || selected.starts_with("https://");
        let (text, address) = if is_address { ("", selected) } else { (selected, "https://") };
        let start = before.len() + 1 + if is_address { 0 } else { text.len() + 2 };
        let end = start + if is_address { 0 } else { address.len() };
        Self { text: [before, "[", text, "](", address, ")", after].concat(), start, end }
    }
}

/// How often a mark stands at the start of a text, one after another. A mark that takes a whole
/// line counts only where it does.
fn at_start(text: &str, mark: &str) -> usize {
    let (mut rest, mut count) = (text, 0);
    while let Some(less) = rest.strip_prefix(mark) {
        (rest, count) = (less, count + 1);
    }
    let torn = mark.starts_with('\n') && !rest.is_empty() && !rest.starts_with('\n');
    count - usize::from(torn && count > 0)
}

fn at_end(text: &str, mark: &str) -> usize {
    let (mut rest, mut count) = (text, 0);
    while let Some(less) = rest.strip_suffix(mark) {
        (rest, count) = (less, count + 1);
    }
    let torn = mark.ends_with('\n') && !rest.is_empty() && !rest.ends_with('\n');
    count - usize::from(torn && count > 0)
}

fn length(text: &str) -> u32 {
    u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX)
}

fn byte_at(text: &str, unit: u32) -> usize {
    let mut units = 0;
    let found = text.char_indices().find(|(_, c)| {
        units += if u32::from(*c) > 0xffff { 2 } else { 1 };
        units > unit
    });
    found.map_or(text.len(), |(at, _)| at)
}

/// What can be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody after an `@`.
    Person,
    /// A room after a `#`.
    Room,
    /// An emoji after a `:`.
    Emoji,
    /// A sound after `/play`.
    Sound,
}

/// Something that is being typed and can be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger<'a> {
    /// What it is.
    pub kind: Kind,
    /// Where what a completion replaces begins, its mark included.
    pub start: usize,
    /// What has been typed behind the mark.
    pub typed: &'a str,
}

/// Longest text behind a mark that is still looked at, in bytes.
const MAX_TYPED: usize = 64;

/// What is being typed at a place in a text, if it can be completed. Not within code.
pub fn trigger(text: &str, caret: usize) -> Option<Trigger<'_>> {
    let before = text.get(..caret)?;
    if let Some((command, typed)) = before.split_once(' ')
        && command.eq_ignore_ascii_case("/play")
    {
        let start = before.len() - typed.len();
        let is_name = typed.chars().all(|c| c.is_ascii_alphanumeric());
        return is_name.then_some(Trigger { kind: Kind::Sound, start, typed });
    }
    if before.matches('`').count() % 2 == 1 {
        return None;
    }
    // The nearest mark that opens something counts: names may contain the others.
    let marks = before.char_indices().rev().take_while(|(at, _)| before.len() - at <= MAX_TYPED);
    marks.filter(|(_, c)| matches!(c, '@' | '#' | ':')).find_map(|(start, mark)| {
        let opens = before.get(..start)?.chars().next_back();
        let opens = opens.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '[' | '{' | '"' | '\''));
        let typed = before.get(start + 1..)?;
        let is_name = !typed.starts_with([' ', '#', '@']) && !typed.contains(['\n', '\t']);
        let (kind, fits) = match mark {
            // A name can have three words; after more the mark was no beginning of one.
            '@' => (Kind::Person, is_name && typed.matches(' ').count() < 3),
            '#' => (Kind::Room, is_name && typed.matches(' ').count() < 3),
            // One letter is a face, `:D`.
            _ => (Kind::Emoji, typed.len() > 1 && typed.chars().all(is_of_emoji)),
        };
        (opens && fits).then_some(Trigger { kind, start, typed })
    })
}

fn is_of_emoji(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-')
}

/// Whether a text of several lines looks like code: lines that are set in, or end or begin as
/// hardly any sentence does.
pub fn is_code(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let looks = |line: &&&str| {
        line.starts_with("  ")
            || line.starts_with('\t')
            || line.trim_end().ends_with([';', '{', '}', '>'])
            || line.trim_start().starts_with(['<', '}', '$'])
    };
    !text.contains("```") && lines.len() > 1 && lines.iter().filter(looks).count() * 2 >= lines.len()
}

/// Longest boost, in characters as people count them (Campfire's value).
pub const MAX_BOOST_CHARS: usize = 16;
/// Longest boost in bytes: one character can be a family, or a letter under a tower of accents.
pub const MAX_BOOST_BYTES: usize = 256;
/// Boosts of one person on one message at most.
pub const MAX_BOOSTS_OF_ONE: usize = 20;
/// Boosts of everybody on one message at most: they travel with it.
pub const MAX_BOOSTS: usize = 1_000;
/// People named with a reaction; the rest are counted.
pub const MAX_NAMED: usize = 8;
/// More emoji than this are a text like any other.
pub const MAX_LARGE_EMOJI: usize = 12;

/// Two of these are a flag.
const FLAG_LETTERS: RangeInclusive<char> = '\u{1f1e6}'..='\u{1f1ff}';

/// The boosts offered first, with their names (Campfire's eight).
pub const QUICK_BOOSTS: [(&str, &str); 8] = [
    ("👍", texts::reactions::THUMBS_UP),
    ("👏", texts::reactions::CLAPPING_HANDS),
    ("👋", texts::reactions::WAVING_HAND),
    ("💪", texts::reactions::FLEXED_BICEPS),
    ("❤️", texts::reactions::RED_HEART),
    ("😂", texts::reactions::TEARS_OF_JOY),
    ("🎉", texts::reactions::PARTY_POPPER),
    ("🔥", texts::reactions::FIRE),
];

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
    pub fn parse(content: &str) -> Result<Self, Error> {
        let content = content.trim();
        let broken = if is_blank(content) {
            texts::errors::WRITE_SOMETHING
        } else if content.len() > MAX_BOOST_BYTES || characters(content) > MAX_BOOST_CHARS {
            texts::errors::REACTION_TOO_LONG
        } else if content.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            texts::errors::ONE_LINE
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

/// Everybody who has added the same boost to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// What they added.
    pub content: String,
    /// Who, in the order in which they came.
    pub user_ids: Vec<UserId>,
    /// The names of the first [`MAX_NAMED`] of them.
    pub names: Vec<String>,
}

impl Reaction {
    /// Whether somebody is among them.
    pub fn is_by(&self, user_id: UserId) -> bool {
        self.user_ids.contains(&user_id)
    }

    /// "Mara, Teo and 3 others".
    pub fn who(&self) -> String {
        let more = self.user_ids.len() - self.names.len().min(self.user_ids.len());
        let more = (more > 0).then(|| texts::reactions::others(more));
        let mut names: Vec<&str> = self.names.iter().map(String::as_str).chain(more.as_deref()).collect();
        let last = names.pop().unwrap_or_default();
        if names.is_empty() {
            last.to_owned()
        } else {
            texts::names::and_last(last, names.join(texts::names::SEPARATOR))
        }
    }
}

/// Gathers boosts, oldest first, into reactions: what came first stands in front.
pub fn reactions(boosts: impl IntoIterator<Item = (String, UserRef)>) -> Vec<Reaction> {
    let mut all: Vec<Reaction> = Vec::new();
    for (content, user) in boosts {
        let at = all.iter().position(|one| one.content == content).unwrap_or_else(|| {
            all.push(Reaction { content, user_ids: Vec::new(), names: Vec::new() });
            all.len() - 1
        });
        if let Some(reaction) = all.get_mut(at).filter(|one| !one.is_by(user.id)) {
            reaction.user_ids.push(user.id);
            if reaction.names.len() < MAX_NAMED {
                reaction.names.push(user.name);
            }
        }
    }
    all
}
