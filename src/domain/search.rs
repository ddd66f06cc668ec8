//! Search: finding by what somebody types. Messages by words, phrases and filters, and what the
//! index holds of them; people and rooms by their names; sounds and emoji.
//!
//! Every text is a query; nothing here can fail. Words are whole words by their stem, the last one
//! also a beginning; `"words in order"`; `from:`, `in:`, `has:`, `before:` and `after:` narrow. What
//! looks like a filter and is none is ordinary text.
//!
//! What a word is, is said here and nowhere else: the index gets [stems](stem) with spaces between
//! them and splits at those only. Scripts without spaces are found by substring because each of
//! their characters goes in as a word of its own, a private character in its place; a run of them
//! is looked for as a phrase. Room, author and kind of a message are words too, marked by
//! [`FACET`], which no text can contain: so the index alone answers every filter, and what a viewer
//! may not read costs them nothing.

use super::message::plain_text;
use super::room::SidebarRoom;
use super::{MessageId, RoomId, UserId, civil_from_days, days_from_civil};
use rust_stemmers::{Algorithm, Stemmer};
use std::cmp::Ordering;

/// Longest query that is looked at, in characters, and its words: each is a list to follow.
pub const MAX_QUERY: usize = 300;
const MAX_WORDS: usize = 32;
/// Shorter last words are whole words: their beginnings are in every other message.
pub const MIN_PREFIX: usize = 3;
/// Longer words are no English ones; they are their own stem.
const MAX_STEMMED: usize = 64;
/// Marks the words that say where a message stands, by whom and of what kind.
pub const FACET: char = '\u{e000}';
/// What the HTML of a message with each kind of content contains. People's own `<` is escaped.
const CONTENTS: [(&str, &str); 3] =
    [("link", " href=\"http"), ("code", "<code"), ("mention", "<span class=\"mention\"")];

/// What somebody looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// All of these are in the message.
    pub terms: Vec<Term>,
    /// One of these people wrote it: beginnings of words of their names.
    pub people: Vec<String>,
    /// The viewer wrote it, or one of `people`.
    pub me: bool,
    /// It is in one of these rooms: beginnings of words of their names.
    pub rooms: Vec<String>,
    /// It contains all of these.
    pub contents: Vec<&'static str>,
    /// Written before this day, counted from 1970.
    pub before: Option<i64>,
    /// Written on this day or later.
    pub after: Option<i64>,
    /// The filters as typed.
    pub chips: Vec<Chip>,
}

/// Words that follow each other; mostly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The words as typed.
    pub text: String,
    /// The last word may go on.
    pub prefix: bool,
}

/// A filter, and how to be rid of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chip {
    /// As typed.
    pub label: String,
    /// The query without it.
    pub rest: String,
}

/// A word that may go on: a message has its stem, or a stem that begins as it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// What stands before it in its phrase, as indexed; with a space behind it, if anything does.
    pub before: String,
    /// Its stem.
    pub stem: String,
    /// As typed, without case and marks.
    pub beginning: String,
}

impl Query {
    /// Reads any text.
    pub fn parse(text: &str) -> Self {
        let text = clean(text);
        let (mut query, mut filters, mut at) = (Self::default(), Vec::new(), 0);
        while let Some(item) = next_item(&text, at) {
            let Item { start, end, key, value, quoted } = item;
            at = end;
            match key {
                Some(key) if query.narrow(&key.to_ascii_lowercase(), value) => {
                    filters.push((start, end));
                }
                _ => query.add(if key.is_some() { part(&text, start, end) } else { value }, quoted),
            }
        }
        let without = |(start, end)| {
            let (before, after) = (part(&text, 0, start).trim(), part(&text, end, text.len()));
            let rest = [before, after.trim()].join(" ").trim().to_owned();
            Chip { label: part(&text, start, end).to_owned(), rest }
        };
        query.chips = filters.into_iter().map(without).collect();
        query
    }

    /// Whether there is anything to look for.
    pub fn asks_something(&self) -> bool {
        !self.terms.is_empty() || !self.chips.is_empty()
    }

    /// The words and contents, in the language of the index, all but an unfinished word. Empty if
    /// there are none.
    pub fn expression(&self) -> String {
        let terms = self.terms.iter().filter(|term| !term.prefix);
        let terms = terms.map(|term| format!("\"{}\"", stems(&term.text)));
        let contents = self.contents.iter().map(|what| format!("{FACET}{what}"));
        terms.chain(contents).collect::<Vec<_>>().join(" AND ")
    }

    /// The word that may go on, if there is one.
    pub fn unfinished(&self) -> Option<Unfinished> {
        let text = &self.terms.iter().find(|term| term.prefix)?.text;
        let (start, end) = words(text).last()?;
        let word = part(text, start, end);
        let mut before = stems(part(text, 0, start));
        if !before.is_empty() {
            before.push(' ');
        }
        Some(Unfinished { before, stem: stem(word), beginning: folded(word) })
    }

    fn add(&mut self, text: &str, quoted: bool) {
        let taken: usize = self.terms.iter().map(|term| words(&term.text).count()).sum();
        let room = MAX_WORDS.saturating_sub(taken);
        let Some((_, end)) = words(text).take(room).last() else { return };
        let text = if words(text).nth(room).is_some() { part(text, 0, end) } else { text };
        // Only the last word is unfinished.
        self.terms.iter_mut().for_each(|term| term.prefix = false);
        let last = words(text).last().map_or("", |(start, end)| part(text, start, end));
        let prefix = !quoted
            && folded(last).chars().count() >= MIN_PREFIX
            && text.ends_with(|c: char| is_of_word(c) && !is_word_alone(c));
        self.terms.push(Term { text: text.to_owned(), prefix });
    }

    /// Takes a filter in, if it is one.
    fn narrow(&mut self, key: &str, value: &str) -> bool {
        match key {
            "from" if value.eq_ignore_ascii_case("me") => self.me = true,
            "from" if !value.is_empty() => self.people.push(value.to_owned()),
            "in" if !value.is_empty() => self.rooms.push(value.to_owned()),
            "has" => match CONTENTS.iter().find(|(name, _)| value.eq_ignore_ascii_case(name)) {
                Some((name, _)) => self.contents.push(name),
                None => return false,
            },
            "before" | "after" => match first_day(value) {
                Some(day) if key == "before" => {
                    self.before = Some(self.before.map_or(day, |other| other.min(day)));
                }
                Some(day) => self.after = Some(self.after.map_or(day, |other| other.max(day))),
                None => return false,
            },
            _ => return false,
        }
        true
    }
}

/// Beginnings of names, any of them, in the language of the index of names. Empty if there are
/// none.
pub fn names_expression(names: &[String]) -> String {
    let quoted = |name: &String| format!("\"{}\" *", name.replace('"', " "));
    names.iter().map(quoted).collect::<Vec<_>>().join(" OR ")
}

/// What the index holds of a message.
pub fn indexed(body_html: &str, room_id: RoomId, creator_id: UserId) -> String {
    let mut text = format!("{FACET}r{room_id} {FACET}u{creator_id}");
    for (name, _) in CONTENTS.iter().filter(|(_, mark)| body_html.contains(mark)) {
        text.extend([' ', FACET]);
        text.push_str(name);
    }
    text.push(' ');
    text.push_str(&stems(&plain_text(body_html)));
    text
}

/// What the index holds of a word: no case, no marks, and of an English one its stem, so that
/// `Running` is `run`.
pub fn stem(word: &str) -> String {
    let word = folded(word);
    let is_english = word.len() <= MAX_STEMMED && word.bytes().all(|b| b.is_ascii_lowercase());
    if is_english { Stemmer::create(Algorithm::English).stem(&word).into_owned() } else { word }
}

/// The words of a text: where each begins and ends. A character of a script without spaces, and a
/// picture, is a word of its own.
pub fn words(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut chars = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let begins = |c: char| is_word_alone(c) || is_of_word(c) && !is_mark(c);
        let (start, first) = chars.by_ref().find(|(_, c)| begins(*c))?;
        let mut end = start + first.len_utf8();
        if !is_word_alone(first) {
            while let Some((at, c)) = chars.next_if(|(_, c)| is_of_word(*c) && !is_word_alone(*c)) {
                end = at + c.len_utf8();
            }
        }
        Some((start, end))
    })
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || is_mark(c)
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Chinese, Japanese and Korean; Thai, Lao, Tibetan, Burmese and Khmer; pictures.
fn is_word_alone(c: char) -> bool {
    matches!(
        u32::from(c),
        0x0e01..=0x109f | 0x1780..=0x17ff | 0x2600..=0x27bf | 0x2e80..=0x2fdf | 0x3005..=0x3007
            | 0x3041..=0x30fa | 0x30fc..=0x318f | 0x31a0..=0x31bf | 0x31f0..=0x31ff
            | 0x3400..=0x4dbf | 0x4e00..=0xa4cf | 0xac00..=0xd7af | 0xf900..=0xfaff
            | 0xff66..=0xff9f | 0x1_f1e6..=0x1_faff | 0x2_0000..=0x3_ffff
    )
}

/// The words of a text as the index holds them, with spaces between them. A character that is a
/// word alone is a private one; a rare one from beyond the first plane becomes two, its plane and
/// its place.
fn stems(text: &str) -> String {
    let indexed = |(start, end)| {
        let word = part(text, start, end);
        let Some(code) = word.chars().next().filter(|c| is_word_alone(*c)).map(u32::from) else {
            return stem(word);
        };
        let planes = [code >> 16, code & 0xffff].into_iter().skip(usize::from(code <= 0xffff));
        let signs = planes.filter_map(|code| char::from_u32(0xf_0000 | code));
        signs.map(String::from).collect::<Vec<_>>().join(" ")
    };
    words(text).map(indexed).collect::<Vec<_>>().join(" ")
}

fn clean(text: &str) -> String {
    // Control characters would end a text early; typed quotation marks mean the same as straight ones.
    let sign = |c: char| match c {
        '\u{201c}' | '\u{201d}' | '\u{201e}' => '"',
        c if c.is_control() => ' ',
        c => c,
    };
    text.trim().chars().take(MAX_QUERY).map(sign).collect::<String>().trim().to_owned()
}

/// A word, a phrase, or a filter with its value.
struct Item<'a> {
    start: usize,
    end: usize,
    key: Option<&'a str>,
    value: &'a str,
    quoted: bool,
}

fn next_item(text: &str, from: usize) -> Option<Item<'_>> {
    let start = from + part(text, from, text.len()).find(|c: char| !c.is_whitespace())?;
    let rest = part(text, start, text.len());
    let word = rest.split(char::is_whitespace).next().unwrap_or(rest);
    let word = word.split('"').next().unwrap_or(word);
    let key = word.split_once(':').map(|(key, _)| key);
    let key =
        key.filter(|key| ["from", "in", "has", "before", "after"].contains(&&*key.to_ascii_lowercase()));
    let opened = start + key.map_or(0, |key| key.len() + 1);
    let value = part(text, opened, text.len());
    match value.strip_prefix('"') {
        // Whoever does not close a phrase means the rest.
        Some(phrase) => {
            let length = phrase.find('"').unwrap_or(phrase.len());
            let end = (opened + length + 2).min(text.len());
            Some(Item { start, end, key, value: part(phrase, 0, length).trim(), quoted: true })
        }
        None => {
            let length = value.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(value.len());
            let (value, end) = (part(value, 0, length), opened + length);
            Some(Item { start, end, key, value, quoted: false })
        }
    }
}

fn part(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or_default()
}

/// The first day of `2026`, `2026-10` or `2026-10-01`.
fn first_day(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let mut number = |digits: usize| match parts.next() {
        None => Some(1),
        Some(part) if part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()) => part.parse().ok(),
        Some(_) => None,
    };
    let date = (number(4)?, number(2)?, number(2)?);
    let day = days_from_civil(date.0, date.1, date.2);
    (text.len() <= 10 && civil_from_days(day) == date).then_some(day)
}

/// What the letters from U+00C0 to U+0233 are without marks; a full stop for those that have none.
const LATIN: &str = "\
    aaaaaa.ceeeeiiiidnooooo.ouuuuy..aaaaaa.ceeeeiiiidnooooo.ouuuuy.yaaaaaaccccccccddddeeeeeeeeee\
    gggggggghhhhiiiiiiiiiiiijjkkkllllllllllnnnnnnnnnoooooo..rrrrrrssssssssttttttuuuuuuuuuuuuwwyy\
    yzzzzzzs................................oo.............uu............................aaiioou\
    uuuuuuuuu.aaaa....ggkkoooo..j...gg..nnaa....aaaaeeeeiiiioooorrrruuuusstt..hh......aaeeoooooo\
    ooyy";
/// Likewise from U+1E00 to U+1EF9.
const TRANSCRIBED: &str = "\
    aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmmmmmmnnnnnnnnoooooooopppp\
    rrrrrrrrssssssssssttttttttuuuuuuuuuuvvvvwwwwwwwwwwxxxxyyzzzzzzhtwy......\
    aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeeeeeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyy\
    yy";

/// A text without case and marks, for comparing: `Ångström` is `angstrom`.
pub fn folded(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            c if is_mark(c) => {}
            'ς' => plain.push('σ'),
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'þ' => plain.push_str("th"),
            _ => plain.push(unmarked(c)),
        }
    }
    plain
}

fn unmarked(c: char) -> char {
    let (first, letters) = match c {
        '\u{c0}'..='\u{233}' => ('\u{c0}', LATIN),
        '\u{1e00}'..='\u{1ef9}' => ('\u{1e00}', TRANSCRIBED),
        _ => return c,
    };
    let at = usize::try_from(u32::from(c) - u32::from(first)).unwrap_or(usize::MAX);
    let letter = letters.as_bytes().get(at).copied().unwrap_or(b'.');
    if letter == b'.' { c } else { char::from(letter) }
}

/// How well a name answers what somebody types to find it; less is better. Its beginning, the
/// beginnings of its words, their initials (`mvh` finds Maximilian von Hohenfels), any part.
pub fn rank(name: &str, wanted: &str) -> Option<u8> {
    let (name, wanted) = (folded(name), folded(wanted.trim()));
    let words = || name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let initials: String = words().filter_map(|word| word.chars().next()).collect();
    let letters: String = wanted.split_whitespace().collect();
    let begins = |part: &str| words().any(|word| word.starts_with(part));
    if name.starts_with(&wanted) {
        Some(0)
    } else if wanted.split_whitespace().all(begins) {
        Some(1)
    } else if initials.starts_with(&letters) {
        Some(2)
    } else {
        name.contains(&wanted).then_some(3)
    }
}

/// Puts something behind everything that is at least as good. Lists of things to choose from are
/// short; see [`sort`] for what sorting them would weigh.
pub fn insert_ranked<K: Ord, T>(list: &mut Vec<(K, T)>, rank: K, one: T) {
    let at = list.partition_point(|(other, _)| *other <= rank);
    list.insert(at, (rank, one));
}

/// The rooms that answer what somebody types, best first; then what waits, then what spoke last.
pub fn found<'a>(rooms: &'a [SidebarRoom], wanted: &str) -> Vec<(u8, &'a SidebarRoom)> {
    let mut found = Vec::new();
    for entry in rooms {
        if let Some(rank) = rank(&entry.name, wanted) {
            let last = entry.last_message_id.map_or(0, MessageId::get);
            insert_ranked(&mut found, (rank, !entry.is_waiting(), -last), entry);
        }
    }
    found.into_iter().map(|((rank, ..), entry)| (rank, entry)).collect()
}

/// Sorts what a browser shows. The order must be total: equal items may change places. Shell's
/// way, because the library's sort costs about four kilobytes of WebAssembly for each type it is
/// used with, and these lists are short (500 rooms) and nearly in order.
pub fn sort<T>(items: &mut [T], order: impl Fn(&T, &T) -> Ordering) {
    // Ciura's gaps.
    for gap in [132, 57, 23, 10, 4, 1] {
        for start in gap..items.len() {
            let mut at = start;
            while let Some(before) = at.checked_sub(gap)
                && let (Some(low), Some(high)) = (items.get(before), items.get(at))
                && order(low, high) == Ordering::Greater
            {
                items.swap(before, at);
                at = before;
            }
        }
    }
}

/// A sound that `/play` knows: one line of `public/en/sounds.tsv`.
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

/// An emoji: one line of `public/en/emoji.tsv`, where lines without a tab are titles of groups.
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
        insert_ranked(&mut found, fit, one);
        found.truncate(limit);
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
