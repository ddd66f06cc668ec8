//! Writing: what the toolbar, the shortcuts and the completions do to a text. Pure; the browser
//! hands in what its field holds and puts back what comes out.
//!
//! Every switch is its own way back: used twice, it leaves the text as it was. That is why marks
//! are counted: an odd number around a selection means that it has them, an even number that one
//! more goes around.

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
        let opens =
            opens.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '[' | '{' | '"' | '\''));
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
    !text.contains("```")
        && lines.len() > 1
        && lines.iter().filter(looks).count() * 2 >= lines.len()
}
