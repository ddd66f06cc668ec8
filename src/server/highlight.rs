//! Code in messages, with its words marked by classes. One pass over the text, so that nothing
//! anybody sends can make it slow; what it knows of languages (their words, comments and quotes)
//! stands in a table. It tells words apart, it does not understand programs: that is enough to
//! read by, and costs neither a grammar nor an engine for patterns.

use crate::domain::push_escaped;

/// One language a line: names, title, starts of comments, pairs around comments, quotes, words;
/// `i` behind them if capitals do not matter.
const LANGUAGES: &str = include_str!("languages.txt");
/// Code beyond this is shown without colours.
const MAX_HIGHLIGHTED: usize = 8 * 1024;
/// Longest name of an unknown language that is shown.
const MAX_NAME: usize = 20;

struct Language {
    title: &'static str,
    lines: &'static str,
    blocks: &'static str,
    quotes: &'static str,
    words: &'static str,
    folds: bool,
}

impl Language {
    fn find(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let lines = LANGUAGES.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split('\t')).find_map(|mut fields| {
            let mut next = || fields.next().unwrap_or_default();
            let known = next().split(' ').any(|one| one == name);
            let (title, lines, blocks, quotes, words) = (next(), next(), next(), next(), next());
            let folds = next() == "i";
            known.then_some(Self { title, lines, blocks, quotes, words, folds })
        })
    }

    fn has(&self, word: &str) -> bool {
        let is_it = |one: &str| one == word || self.folds && one.eq_ignore_ascii_case(word);
        self.words.split(' ').any(is_it)
    }
}

/// Appends a block of code: its language as a caption if one was named, and its text.
pub fn push_code(html: &mut String, name: &str, code: &str) {
    let language = Language::find(name);
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '.' | '-');
    let shown = name.len() <= MAX_NAME && name.chars().all(is_name);
    let title = language.as_ref().map_or(if shown { name } else { "" }, |known| known.title);
    html.push_str("<figure class=\"code\">");
    if !title.is_empty() {
        html.push_str("<figcaption class=\"code__bar\">");
        push_escaped(html, title);
        html.push_str("</figcaption>");
    }
    html.push_str("<pre><code>");
    let (marked, rest) = code.split_at(code.floor_char_boundary(MAX_HIGHLIGHTED));
    match language {
        Some(language) if language.title == "Diff" => push_diff(html, marked),
        Some(language) => push_marked(html, &language, marked),
        None => push_escaped(html, marked),
    }
    push_escaped(html, rest);
    html.push_str("</code></pre></figure>");
}

fn push_span(html: &mut String, class: &str, text: &str) {
    if class.is_empty() {
        return push_escaped(html, text);
    }
    ["<span class=\"tok-", class, "\">"].iter().for_each(|part| html.push_str(part));
    push_escaped(html, text);
    html.push_str("</span>");
}

fn push_diff(html: &mut String, code: &str) {
    for line in code.split_inclusive('\n') {
        let class = match line.as_bytes().first() {
            Some(b'+') => "add",
            Some(b'-') => "del",
            Some(b'@') => "k",
            _ => "",
        };
        push_span(html, class, line);
    }
}

fn push_marked(html: &mut String, language: &Language, code: &str) {
    let (mut rest, mut before) = (code, ' ');
    while let Some(first) = rest.chars().next() {
        let (class, length) = token(language, rest, (before, first));
        let (text, after) = rest.split_at(length.max(first.len_utf8()).min(rest.len()));
        push_span(html, class, text);
        before = text.chars().next_back().unwrap_or(' ');
        rest = after;
    }
}

/// The class of what a text begins with, and how many bytes it takes.
fn token(language: &Language, rest: &str, (before, first): (char, char)) -> (&'static str, usize) {
    let until = |from: usize, end: &str| {
        let found = rest.get(from..).and_then(|rest| rest.find(end));
        found.map(|at| from + at)
    };
    let mut pair = language.blocks.split(' ');
    if let (Some(open), Some(close)) = (pair.next(), pair.next())
        && rest.starts_with(open)
    {
        return ("c", until(open.len(), close).map_or(rest.len(), |at| at + close.len()));
    }
    let opens = |mark: &&str| {
        // In a shell `$#` and `a#b` are words.
        !mark.is_empty() && rest.starts_with(*mark) && (*mark != "#" || before.is_whitespace())
    };
    if language.lines.split(' ').any(|mark| opens(&mark)) {
        return ("c", until(0, "\n").unwrap_or(rest.len()));
    }
    if language.quotes.contains(first) {
        return ("s", quoted(rest, first));
    }
    if first.is_alphanumeric() || first == '_' {
        let end = |c: char| !(c.is_alphanumeric() || c == '_' || first.is_numeric() && c == '.');
        let length = rest.find(end).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        let class = match () {
            () if first.is_numeric() => "n",
            () if language.has(word) || language.title == "HTML" && "</".contains(before) => "k",
            () if after.starts_with('(') || after.starts_with("!(") => "f",
            () if first.is_uppercase() => "t",
            () => "",
        };
        return (class, length);
    }
    ("", first.len_utf8())
}

/// How long a quoted text is: to its closing quote, at most to the end of the line unless the
/// quote is one that goes on.
fn quoted(text: &str, quote: char) -> usize {
    let three = [quote; 3].iter().collect::<String>();
    if text.starts_with(&three) {
        let end = text.get(3..).and_then(|rest| rest.find(&three));
        return end.map_or(text.len(), |at| at + 6);
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\n' if quote != '`' => return at,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}
