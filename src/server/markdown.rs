//! Markdown as HTML, for `rich_text` to sanitise. HTML in it stays text; names of rooms after a `#`
//! and addresses become links; code has its words marked by classes.
//!
//! Where Markdown would hide words (definitions of links, empty list items) or change what they
//! mean (an underlined line), they are shown as typed. Code is marked in one pass over the text,
//! so that nothing anybody sends can make it slow; what is known of languages (words, comments,
//! quotes) stands in a table. That tells words apart and understands no program, which is enough
//! to read by and costs neither grammars nor an engine for patterns.

use super::rich_text::{EVERYBODY, Known, Named, before, folded, longest, longest_first, may_begin};
use crate::domain::account::UserRef;
use crate::domain::message::MENTION;
use crate::domain::{RoomId, push_all, push_escaped};
use crate::texts;
use linkify::{LinkFinder, LinkKind};
use pulldown_cmark::{CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

/// Quotes, lists and emphasis within each other at most; what lies deeper is shown flat.
const MAX_DEPTH: usize = 12;
/// One language a line: names, title, starts of comments, pairs around comments, quotes, words;
/// `i` behind them if capitals do not matter.
const LANGUAGES: &str = include_str!("languages.txt");
/// Code beyond this is shown without colours.
const MAX_HIGHLIGHTED: usize = 8 * 1024;
/// Longest name of an unknown language that is shown.
const MAX_NAME: usize = 20;

static LINKS: LazyLock<LinkFinder> = LazyLock::new(|| {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url, LinkKind::Email]);
    finder
});

/// Plain words as they are: blank lines part paragraphs, line ends are kept.
pub fn paragraphs(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    let paragraphs = text.split("\n\n").map(|text| text.trim_matches('\n'));
    for paragraph in paragraphs.filter(|text| !text.trim().is_empty()) {
        push_all(&mut html, &["<p>", &paragraph.replace('\n', "<br>"), "</p>"]);
    }
    html
}

/// Whether text is HTML as it stands, and the sanitiser would give it back unchanged: nothing to
/// escape, no space that it would write as a name, no address to link, nothing Markdown knows.
pub fn is_plain(text: &str) -> bool {
    let special = ['&', '<', '>', '\u{a0}', '*', '_', '`', '~', '[', '\\', '#', '\t'];
    let opens = |line: &str| {
        line.starts_with("    ")
            || line.trim_start().starts_with(|c: char| matches!(c, '-' | '+' | '=' | '0'..='9'))
    };
    !text.contains(special) && !text.lines().any(opens) && LINKS.links(text).next().is_none()
}

/// Where a text is code, in order.
pub fn code_in(text: &str) -> Vec<Range<usize>> {
    if !text.contains(['`', '~', '\t']) && !text.contains("    ") {
        return Vec::new();
    }
    let is_code = |event: &Event<'_>| matches!(event, Event::Code(_) | Event::Start(Tag::CodeBlock(_)));
    let events = Parser::new_ext(text, Options::ENABLE_STRIKETHROUGH).into_offset_iter();
    events.filter(|(event, _)| is_code(event)).map(|(_, range)| range).collect()
}

/// Whether a place lies in one of these.
pub fn lies_in(ranges: &[Range<usize>], at: usize) -> bool {
    ranges.get(ranges.partition_point(|range| range.end <= at)).is_some_and(|it| it.start <= at)
}

/// The text with escapes where Markdown would take words away: in addresses (`_` and `*` belong
/// to them) and in what it takes for the definition of a link; and where the escapes are.
fn protected(text: &str) -> (Cow<'_, str>, Vec<usize>) {
    let mut places: Vec<usize> = text.match_indices("]:").map(|(at, _)| at + 1).collect();
    for link in LINKS.links(text).filter(|link| !before(text, link.start()).ends_with('<')) {
        let address = link.as_str().trim_end_matches(['*', '_', '~']);
        places.extend(address.match_indices(['*', '_', '~']).map(|(at, _)| link.start() + at));
    }
    if places.is_empty() {
        return (Cow::Borrowed(text), places);
    }
    let code = code_in(text);
    places.retain(|at| !lies_in(&code, *at));
    places.sort_unstable();
    let mut escaped = String::with_capacity(text.len() + places.len());
    let mut done = 0;
    for at in &mut places {
        push_all(&mut escaped, &[text.get(done..*at).unwrap_or_default(), "\\"]);
        done = std::mem::replace(at, escaped.len() - 1);
    }
    escaped.push_str(text.get(done..).unwrap_or_default());
    (Cow::Owned(escaped), places)
}

/// The HTML of one message while it is written.
pub struct Page<'a> {
    html: String,
    /// Text that comes in pieces: an address may lie in several.
    text: String,
    /// What closes the tags that are open; nothing for those left out.
    open: Vec<&'static str>,
    /// Where the text of the open link begins, and its address.
    link: Option<(usize, String)>,
    /// Whether there is anything to see.
    shows: bool,
    mentioned: &'a [&'a UserRef],
    everyone: bool,
    rooms: Vec<Named<&'a (RoomId, String)>>,
}

impl<'a> Page<'a> {
    /// An empty page; what it may name.
    pub fn new(known: &Known<'a>, (mentioned, everyone): (&'a [&'a UserRef], bool)) -> Self {
        let rooms = longest_first(known.rooms.iter().map(|room| (folded(&room.1), room)));
        let (html, text, open) = (String::new(), String::new(), Vec::new());
        Self { html, text, open, link: None, shows: false, mentioned, everyone, rooms }
    }

    /// Writes a text.
    pub fn markdown(mut self, source: &str) -> String {
        let (text, escapes) = protected(source);
        let unescaped = |piece: &str, range: &Range<usize>| {
            let first = escapes.partition_point(|at| *at < range.start);
            let is_in = escapes.get(first).is_some_and(|at| *at < range.end);
            let ours = [":", "*", "_", "~"].iter().filter(|_| is_in);
            ours.fold(piece.to_owned(), |text, mark| text.replace(&["\\", mark].concat(), mark))
        };
        self.html.reserve(source.len() * 2);
        // The code being gathered, with its language.
        let mut code: Option<(String, String)> = None;
        for (event, range) in Parser::new_ext(&text, Options::ENABLE_STRIKETHROUGH).into_offset_iter() {
            let typed = text.get(range.clone()).unwrap_or_default();
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    self.flush();
                    code = Some((language(&kind), String::new()));
                }
                Event::End(TagEnd::CodeBlock) => {
                    if let Some((name, code)) = code.take() {
                        self.shows |= !code.trim().is_empty();
                        push_code(&mut self.html, &name, &code);
                    }
                }
                Event::Text(piece) => match &mut code {
                    Some((_, code)) => code.push_str(&piece),
                    // `&amp;` is shown as it was typed, like any other text.
                    None if typed.starts_with('&') && typed.ends_with(';') => {
                        self.text.push_str(typed);
                    }
                    None => self.text.push_str(&unescaped(&piece, &range)),
                },
                // Shown as text; in it, in code and between `<` and `>`, a backslash of ours would
                // be one more letter.
                Event::Html(piece) | Event::InlineHtml(piece) => {
                    self.text.push_str(&unescaped(&piece, &range));
                }
                Event::Code(piece) => {
                    self.flush();
                    self.shows |= !piece.trim().is_empty();
                    self.html.push_str("<code>");
                    push_escaped(&mut self.html, &unescaped(&piece, &range));
                    self.html.push_str("</code>");
                }
                Event::SoftBreak | Event::HardBreak => self.add("<br>"),
                Event::Rule => {
                    self.shows = true;
                    self.add("<hr>");
                }
                Event::Start(mut tag) => {
                    let between = [LinkType::Autolink, LinkType::Email];
                    if let Tag::Link { link_type, dest_url, .. } = &mut tag
                        && between.contains(link_type)
                    {
                        *dest_url = unescaped(dest_url, &range).into();
                    }
                    self.start(&tag, typed);
                }
                Event::End(_) => self.end(typed),
                _ => {}
            }
        }
        self.flush();
        if !self.shows {
            self.html.clear();
            self.text.push_str(source);
            self.html.push_str("<p>");
            self.flush();
            self.html.push_str("</p>");
        }
        self.html
    }

    fn add(&mut self, tag: &str) {
        self.flush();
        self.html.push_str(tag);
    }

    fn start(&mut self, tag: &Tag<'_>, typed: &str) {
        self.flush();
        let (opens, closes) = match tag {
            _ if self.open.len() >= MAX_DEPTH => ("", " "),
            Tag::Paragraph | Tag::HtmlBlock => ("<p>", "</p>"),
            // A line that is underlined: many draw a line without wanting a heading.
            Tag::Heading { .. } if !typed.trim_start().starts_with('#') => ("<p>", UNDERLINED),
            Tag::Heading { level: HeadingLevel::H1, .. } => ("<h1>", "</h1>"),
            Tag::Heading { level: HeadingLevel::H2, .. } => ("<h2>", "</h2>"),
            Tag::Heading { .. } => ("<h3>", "</h3>"),
            Tag::BlockQuote(_) => ("<blockquote>", "</blockquote>"),
            Tag::List(None) => ("<ul>", "</ul>"),
            Tag::List(Some(1)) => ("<ol>", "</ol>"),
            Tag::List(Some(first)) => {
                push_all(&mut self.html, &["<ol start=\"", &first.to_string(), "\">"]);
                ("", "</ol>")
            }
            Tag::Item => ("<li>", "</li>"),
            Tag::Emphasis => ("<em>", "</em>"),
            Tag::Strong => ("<strong>", "</strong>"),
            Tag::Strikethrough if typed.starts_with("~~") => ("<del>", "</del>"),
            Tag::Strikethrough => ("~", "~"),
            Tag::Link { link_type, dest_url, .. } | Tag::Image { link_type, dest_url, .. } => {
                ("", self.start_link(*link_type, dest_url))
            }
            _ => ("", ""),
        };
        self.html.push_str(opens);
        self.open.push(closes);
    }

    /// Opens a link, unless it is in another or leads to what must not be linked.
    fn start_link(&mut self, kind: LinkType, address: &CowStr<'_>) -> &'static str {
        let mail = if kind == LinkType::Email { "mailto:" } else { "" };
        let may = is_web_address(address) || !mail.is_empty() || address.starts_with("mailto:");
        if self.link.is_none() && may {
            push_link(&mut self.html, &[mail, address]);
            self.link = Some((self.html.len(), address.to_string()));
            return "</a>";
        }
        ""
    }

    fn end(&mut self, typed: &str) {
        self.flush();
        let closes = self.open.pop().unwrap_or_default();
        if closes == "</a>" {
            let empty = self.link.take().filter(|(start, _)| *start == self.html.len());
            if let Some((_, address)) = empty {
                push_escaped(&mut self.html, &address);
                self.shows = true;
            }
        } else if closes == UNDERLINED {
            let line = typed.trim_end().lines().last().unwrap_or_default();
            self.html.push_str("<br>");
            push_escaped(&mut self.html, line.trim_start_matches(['>', ' ']));
        }
        self.html.push_str(closes);
    }

    /// Writes the text that has come so far: mentions, then links, then words.
    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.shows |= !text.trim().is_empty();
        for (at, line) in text.trim_end_matches('\n').split('\n').enumerate() {
            if at > 0 {
                self.html.push_str("<br>");
            }
            self.mentions(line);
        }
    }

    fn mentions(&mut self, line: &str) {
        let mut rest = line;
        let mut from = 0;
        while let Some(at) = rest.get(from..).and_then(|rest| rest.find("<@")).map(|at| at + from) {
            let (before, mark) = rest.split_at(at);
            let found = mark.get(2..).and_then(|mark| mark.split_once('>')).and_then(|(id, after)| {
                let user = self.mentioned.iter().find(|user| user.id.to_string() == id);
                let everyone = self.everyone && id == EVERYBODY;
                let name =
                    user.map(|user| user.name.as_str()).or(everyone.then_some(texts::mentions::EVERYONE));
                Some((id, name?, after))
            });
            let Some((id, name, after)) = found else {
                from = at + 2;
                continue;
            };
            self.addresses(before);
            push_all(&mut self.html, &[MENTION, id, "\">@"]);
            push_escaped(&mut self.html, name);
            self.html.push_str("</span>");
            (rest, from) = (after, 0);
        }
        self.addresses(rest);
    }

    fn addresses(&mut self, line: &str) {
        if self.link.is_some() {
            return push_escaped(&mut self.html, line);
        }
        for span in LINKS.spans(line) {
            let text = span.as_str();
            let scheme = match span.kind() {
                Some(LinkKind::Email) => "mailto:",
                Some(_) if is_web_address(text) => "",
                _ => {
                    self.rooms(text);
                    continue;
                }
            };
            push_link(&mut self.html, &[scheme, text]);
            push_escaped(&mut self.html, text);
            self.html.push_str("</a>");
        }
    }

    fn rooms(&mut self, text: &str) {
        let mut done = 0;
        for (at, _) in text.match_indices('#').filter(|_| !self.rooms.is_empty()) {
            let may = at >= done && may_begin(text, at);
            let after = text.get(at + 1..).filter(|_| may).unwrap_or_default();
            let Some(((id, name), length)) = longest(&self.rooms, after) else {
                continue;
            };
            push_escaped(&mut self.html, text.get(done..at).unwrap_or_default());
            let id = id.to_string();
            push_all(&mut self.html, &["<a class=\"mention\" href=\"/rooms/", &id, "\">#"]);
            push_escaped(&mut self.html, name);
            self.html.push_str("</a>");
            done = at + 1 + length;
        }
        push_escaped(&mut self.html, text.get(done..).unwrap_or_default());
    }
}

/// Closes a paragraph as well, but one that repeats the line drawn under it.
const UNDERLINED: &str = "</p >";

/// The first word beside a fence; nothing for a block that is only indented.
fn language(kind: &CodeBlockKind<'_>) -> String {
    let CodeBlockKind::Fenced(name) = kind else {
        return String::new();
    };
    name.split([' ', ',', '{']).next().unwrap_or_default().to_owned()
}

fn push_link(html: &mut String, address: &[&str]) {
    html.push_str("<a href=\"");
    address.iter().for_each(|part| push_escaped(html, part));
    html.push_str("\" target=\"_blank\">");
}

fn is_web_address(text: &str) -> bool {
    let start = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    start.starts_with("http://") || start.starts_with("https://")
}

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
fn push_code(html: &mut String, name: &str, code: &str) {
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
