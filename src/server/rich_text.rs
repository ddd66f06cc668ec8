//! What people write, as safe HTML. Pure and bounded; runs before the writer, never in it.
//!
//! Names after an `@` become mentions, Markdown becomes HTML (HTML in it stays text), names after a
//! `#` and addresses become links, and the result goes through an allow-list sanitiser. Nothing
//! touches the HTML afterwards. Running the sanitiser again changes nothing (a property test), so
//! stored HTML is a fixed point. Plain words, which most messages are, are one from the start and
//! need no parser to say so. Where Markdown would hide words (definitions of links, empty list
//! items) or change their meaning (an underlined line), they are shown as typed.

use super::highlight::push_code;
use crate::domain::account::UserRef;
use crate::domain::expression::played;
use crate::domain::message::{Draft, MENTION};
use crate::domain::room::RoomKind;
use crate::domain::sidebar::SidebarRoom;
use crate::domain::{UserId, push_escaped};
use ammonia::{Builder, UrlRelative};
use linkify::{LinkFinder, LinkKind};
use pulldown_cmark::{CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};

/// Different people mentioned in one message at most; further names stay text.
const MAX_MENTIONED: usize = 50;
/// Folded characters looked at after an `@` or a `#`: no name is longer.
const LONGEST_NAME: usize = 80;
/// Quotes, lists and emphasis within each other at most; what lies deeper is shown flat.
const MAX_DEPTH: usize = 12;
/// What somebody with the right types after an `@` to mention every member.
pub const EVERYBODY: &str = "everyone";
/// The sounds that `/play` knows.
const SOUNDS: &str = include_str!("../../public/sounds.tsv");

/// What the author of a text may refer to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Whom they can mention: the members of the room.
    pub people: &'a [UserRef],
    /// Whether they may mention them all at once.
    pub everyone: bool,
    /// The rooms they are in; only open ones become links.
    pub rooms: &'a [SidebarRoom],
}

/// A checked body and its HTML: what the writer stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text as people read it, mentions by name.
    pub body: String,
    /// The text with mentions by id (`<@7>`), if there are any.
    pub source: Option<String>,
    /// The sanitised HTML.
    pub html: String,
    /// Who is mentioned.
    pub mentions: Vec<UserId>,
}

impl Rendered {
    /// The text to store.
    pub fn source(&self) -> &str {
        self.source.as_deref().unwrap_or(&self.body)
    }
}

/// Tags that may appear in a message.
const TAGS: [&str; 21] = [
    "a",
    "blockquote",
    "br",
    "button",
    "code",
    "del",
    "em",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "span",
    "strong",
    "ul",
];

/// Classes that may appear on a `<span>`: mentions, the parts of a sound, the words of code.
const SPAN_CLASSES: [&str; 12] = [
    "mention",
    "visually-hidden",
    "sound__disc",
    "sound__name",
    "tok-k",
    "tok-s",
    "tok-f",
    "tok-n",
    "tok-t",
    "tok-c",
    "tok-add",
    "tok-del",
];

static SANITIZER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let only = |name, value| HashMap::from([(name, HashSet::from([value]))]);
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(TAGS))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href"])),
            ("button", HashSet::from(["data-sound"])),
            ("ol", HashSet::from(["start"])),
            ("span", HashSet::from(["data-user", "aria-hidden"])),
        ]))
        .tag_attribute_values(HashMap::from([
            ("a", only("target", "_blank")),
            ("button", only("type", "button")),
        ]))
        .allowed_classes(HashMap::from([
            ("a", HashSet::from(["mention"])),
            ("button", HashSet::from(["sound"])),
            ("figure", HashSet::from(["code"])),
            ("figcaption", HashSet::from(["code__bar"])),
            ("span", HashSet::from(SPAN_CLASSES)),
        ]))
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(UrlRelative::Custom(Box::new(room_address)))
        .link_rel(Some("noopener noreferrer nofollow"));
    builder
});

/// Of the addresses here, only those of rooms may be linked.
fn room_address(address: &str) -> Option<Cow<'_, str>> {
    let id = address.strip_prefix("/rooms/")?;
    let is_room = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    is_room.then_some(Cow::Borrowed(address))
}

static LINKS: LazyLock<LinkFinder> = LazyLock::new(|| {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url, LinkKind::Email]);
    finder
});

/// Whether names may stand in a text: only then is it worth knowing who is in the room.
pub fn may_mention(draft: &Draft) -> bool {
    has_names(draft, '@')
}

/// Whether rooms may be named in a text: only then is it worth knowing which there are.
pub fn may_link_rooms(draft: &Draft) -> bool {
    has_names(draft, '#')
}

fn has_names(draft: &Draft, mark: char) -> bool {
    let text = draft.body();
    text.match_indices(mark).any(|(at, _)| {
        let after = text.get(at + 1..).and_then(|after| after.chars().next());
        may_begin(text, at) && after.is_some_and(|c| !c.is_whitespace() && c != '#')
    })
}

/// Renders a message: a sound, or Markdown in which names of people after an `@` are mentions.
pub fn render(draft: &Draft, known: &Known<'_>) -> Rendered {
    let text = draft.body();
    if let Some(sound) = played(SOUNDS, text) {
        let html = [
            "<p><button type=\"button\" class=\"sound\" data-sound=\"",
            sound.name,
            "\"><span class=\"visually-hidden\">Play sound:</span><span class=\"sound__disc\" \
             aria-hidden=\"true\">\u{1f50a}</span>",
            sound.emoji,
            " ",
            sound.caption,
            " <span class=\"sound__name\">/play ",
            sound.name,
            "</span></button></p>",
        ];
        let html = sanitize(&html.concat());
        return Rendered { body: text.to_owned(), source: None, html, mentions: Vec::new() };
    }
    let names = Names::new(known);
    let code = if known.people.is_empty() { Vec::new() } else { code_in(text) };
    let mut mentioned: Vec<&UserRef> = Vec::new();
    let mut everyone = false;
    let (mut body, mut source) = (String::with_capacity(text.len()), String::new());
    let mut done = 0;
    for (at, _) in text.match_indices('@').filter(|_| !known.people.is_empty()) {
        let may = at >= done && may_begin(text, at) && !lies_in(&code, at);
        let Some((who, start, end)) = may.then(|| names.at(text, at)).flatten() else {
            continue;
        };
        let (name, id) = match who {
            Who::One(user) => {
                if !mentioned.iter().any(|other| other.id == user.id) {
                    if mentioned.len() == MAX_MENTIONED {
                        continue;
                    }
                    mentioned.push(user);
                }
                (user.name.as_str(), user.id.to_string())
            }
            Who::Everyone => {
                everyone = true;
                (EVERYBODY, EVERYBODY.to_owned())
            }
        };
        let before = text.get(done..start).unwrap_or_default();
        push_all(&mut body, &[before, "@", name]);
        push_all(&mut source, &[before, "<@", &id, ">"]);
        done = end;
    }
    let rest = text.get(done..).unwrap_or_default();
    body.push_str(rest);
    source.push_str(rest);
    let html = if is_plain(&source) {
        paragraphs(&source)
    } else {
        sanitize(&Page::new(known, (&mentioned, everyone)).markdown(&source))
    };
    let source = (everyone || !mentioned.is_empty()).then_some(source);
    let mentions = if everyone { known.people.iter().collect() } else { mentioned };
    Rendered { body, source, html, mentions: mentions.iter().map(|user| user.id).collect() }
}

/// Plain words as they are: blank lines part paragraphs, line ends are kept.
fn paragraphs(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    let paragraphs = text.split("\n\n").map(|text| text.trim_matches('\n'));
    for paragraph in paragraphs.filter(|text| !text.trim().is_empty()) {
        push_all(&mut html, &["<p>", &paragraph.replace('\n', "<br>"), "</p>"]);
    }
    html
}

/// Whether text is HTML as it stands, and the sanitiser would give it back unchanged: nothing to
/// escape, no space that it would write as a name, no address to link, nothing Markdown knows.
fn is_plain(text: &str) -> bool {
    let special = ['&', '<', '>', '\u{a0}', '*', '_', '`', '~', '[', '\\', '#', '\t'];
    let opens = |line: &str| {
        line.starts_with("    ")
            || line.trim_start().starts_with(|c: char| matches!(c, '-' | '+' | '=' | '0'..='9'))
    };
    !text.contains(special) && !text.lines().any(opens) && LINKS.links(text).next().is_none()
}

fn parser(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_STRIKETHROUGH)
}

/// Where a text is code, in order.
fn code_in(text: &str) -> Vec<Range<usize>> {
    if !text.contains(['`', '~', '\t']) && !text.contains("    ") {
        return Vec::new();
    }
    let is_code =
        |event: &Event<'_>| matches!(event, Event::Code(_) | Event::Start(Tag::CodeBlock(_)));
    let events = parser(text).into_offset_iter();
    events.filter(|(event, _)| is_code(event)).map(|(_, range)| range).collect()
}

fn lies_in(ranges: &[Range<usize>], at: usize) -> bool {
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
struct Page<'a> {
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
    rooms: Vec<(Vec<char>, Option<&'a SidebarRoom>)>,
}

impl<'a> Page<'a> {
    fn new(known: &Known<'a>, (mentioned, everyone): (&'a [&'a UserRef], bool)) -> Self {
        let rooms = known.rooms.iter().filter(|room| room.kind == RoomKind::Open);
        let rooms = longest_first(rooms.map(|room| (folded(&room.name), room)));
        let (html, text, open) = (String::new(), String::new(), Vec::new());
        Self { html, text, open, link: None, shows: false, mentioned, everyone, rooms }
    }

    fn markdown(mut self, source: &str) -> String {
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
        for (event, range) in parser(&text).into_offset_iter() {
            let typed = text.get(range.clone()).unwrap_or_default();
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    self.flush();
                    code = Some((language(&kind), String::new()));
                }
                Event::End(pulldown_cmark::TagEnd::CodeBlock) => {
                    if let Some((name, code)) = code.take() {
                        self.shows |= !code.trim().is_empty();
                        push_code(&mut self.html, &name, &code);
                    }
                }
                Event::Text(piece) => match &mut code {
                    Some((_, code)) => code.push_str(&piece),
                    None => self.text.push_str(as_typed(&piece, typed)),
                },
                // Shown as text; in it, and in code, a backslash of ours would be one more letter.
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
                Event::Start(tag) => self.start(&tag, typed),
                Event::End(_) => self.end(typed),
                _ => {}
            }
        }
        self.flush();
        if !self.shows {
            self.html.clear();
            self.html.push_str("<p>");
            self.text.push_str(source);
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
            let found =
                mark.get(2..).and_then(|mark| mark.split_once('>')).and_then(|(id, after)| {
                    let user = self.mentioned.iter().find(|user| user.id.to_string() == id);
                    let everyone = self.everyone && id == EVERYBODY;
                    let name =
                        user.map(|user| user.name.as_str()).or(everyone.then_some(EVERYBODY));
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
            let Some((room, length)) = longest(&self.rooms, after) else {
                continue;
            };
            push_escaped(&mut self.html, text.get(done..at).unwrap_or_default());
            let id = room.id.to_string();
            push_all(&mut self.html, &["<a class=\"mention\" href=\"/rooms/", &id, "\">#"]);
            push_escaped(&mut self.html, &room.name);
            self.html.push_str("</a>");
            done = at + 1 + length;
        }
        push_escaped(&mut self.html, text.get(done..).unwrap_or_default());
    }
}

/// Closes a paragraph as well, but one that repeats the line drawn under it.
const UNDERLINED: &str = "</p >";

/// `&amp;` is shown as it was typed, like any other text.
fn as_typed<'t>(piece: &'t str, typed: &'t str) -> &'t str {
    if typed.starts_with('&') && typed.ends_with(';') { typed } else { piece }
}

/// The first word beside a fence; nothing for a block that is only indented.
fn language(kind: &pulldown_cmark::CodeBlockKind<'_>) -> String {
    match kind {
        pulldown_cmark::CodeBlockKind::Fenced(name) => {
            name.split([' ', ',', '{']).next().unwrap_or_default().to_owned()
        }
        pulldown_cmark::CodeBlockKind::Indented => String::new(),
    }
}

fn push_link(html: &mut String, address: &[&str]) {
    html.push_str("<a href=\"");
    address.iter().for_each(|part| push_escaped(html, part));
    html.push_str("\" target=\"_blank\">");
}

fn before(text: &str, at: usize) -> &str {
    text.get(..at).unwrap_or_default()
}

fn push_all(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
}

/// Whether a mention may begin at this `@`: not within a word, an address or a link.
fn may_begin(text: &str, at: usize) -> bool {
    let before = text.get(..at).and_then(|before| before.chars().next_back());
    before.is_none_or(|c| {
        c.is_whitespace()
            || matches!(
                c,
                '(' | '['
                    | '{'
                    | '"'
                    | '\''
                    | '<'
                    | ','
                    | ';'
                    | '!'
                    | '?'
                    | '\u{2013}'
                    | '\u{2014}'
                    | '\u{201c}'
                    | '\u{201e}'
                    | '\u{2018}'
                    | '\u{ab}'
            )
    })
}

/// Whom a mention names.
#[derive(Clone, Copy)]
enum Who<'a> {
    One(&'a UserRef),
    Everyone,
}

/// What people in a room can be called: by their full names, and by first names that nobody else
/// there has.
struct Names<'a> {
    known: Known<'a>,
    names: Vec<(Vec<char>, Option<&'a UserRef>)>,
}

impl<'a> Names<'a> {
    fn new(known: &Known<'a>) -> Self {
        let full = |user: &'a UserRef| (folded(&user.name), user);
        let mut names = longest_first(known.people.iter().map(full));
        let mut first = longest_first(known.people.iter().map(|user| {
            let name = folded(&user.name);
            (name.into_iter().take_while(|c| *c != ' ').collect(), user)
        }));
        let taken: HashSet<&Vec<char>> = names.iter().map(|(name, _)| name).collect();
        first.retain(|(name, _)| !taken.contains(name));
        names.extend(first);
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Self { known: *known, names }
    }

    /// Who is mentioned at an `@`, and where the mention begins and ends.
    fn at(&self, text: &str, at: usize) -> Option<(Who<'a>, usize, usize)> {
        let rest = text.get(at + 1..)?;
        if let Some((id, _)) = rest.split_once('>').filter(|_| before(text, at).ends_with('<')) {
            // `<@7>`, as programs write it and as it is stored.
            let user = self.known.people.iter().find(|user| user.id.to_string() == id);
            let everyone = (self.known.everyone && id == EVERYBODY).then_some(Who::Everyone);
            if let Some(who) = user.map(Who::One).or(everyone) {
                return Some((who, at - 1, at + id.len() + 2));
            }
        }
        let by_name = longest(&self.names, rest).map(|(user, end)| (Who::One(user), end));
        let everyone = || {
            let named = [(folded(EVERYBODY), Some(()))];
            let said = longest(&named, rest).filter(|_| self.known.everyone);
            said.map(|((), end)| (Who::Everyone, end))
        };
        let (who, end) = by_name.or_else(everyone)?;
        Some((who, at, at + 1 + end))
    }
}

/// Names by length, the longest first; one that two things have says nothing.
fn longest_first<T>(named: impl Iterator<Item = (Vec<char>, T)>) -> Vec<(Vec<char>, Option<T>)> {
    let mut names: HashMap<Vec<char>, Option<T>> = HashMap::new();
    for (name, one) in named.filter(|(name, _)| !name.is_empty()) {
        names.entry(name).and_modify(|known| *known = None).or_insert(Some(one));
    }
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    names
}

/// The longest of these names with which a text begins, and how much of the text it takes.
fn longest<T: Copy>(names: &[(Vec<char>, Option<T>)], text: &str) -> Option<(T, usize)> {
    // Each folded character with the place where what it comes from ends.
    let mut said: Vec<(char, usize)> = Vec::new();
    for (place, c) in text.char_indices() {
        if said.len() >= LONGEST_NAME {
            break;
        }
        let before = said.len();
        fold(c, |folded| said.push((folded, place + c.len_utf8())));
        if before == said.len()
            && let Some(last) = said.last_mut()
        {
            // An accent of its own belongs to the letter before it.
            last.1 = place + c.len_utf8();
        }
    }
    for (name, one) in names {
        let matches = name.len() <= said.len()
            && name.iter().zip(&said).all(|(name, (said, _))| name == said);
        let end = said.get(name.len().saturating_sub(1)).map_or(0, |said| said.1);
        let next = text.get(end..).and_then(|after| after.chars().next());
        if matches && next.is_none_or(|c| !c.is_alphanumeric() && c != '_') {
            return one.map(|one| (one, end));
        }
    }
    None
}

/// A name without case and accents: how names are compared.
pub fn folded(name: &str) -> Vec<char> {
    let mut folded = Vec::with_capacity(name.len());
    name.chars().for_each(|c| fold(c, |c| folded.push(c)));
    folded
}

fn fold(c: char, mut push: impl FnMut(char)) {
    if c.is_whitespace() {
        push(' ');
        return;
    }
    for lower in c.to_lowercase() {
        decompose_canonical(lower, |part| {
            if !is_combining_mark(part) {
                push(part);
            }
        });
    }
}

/// Keeps what the allow-list knows and drops the rest.
pub fn sanitize(html: &str) -> String {
    SANITIZER.clean(html).to_string()
}

fn is_web_address(text: &str) -> bool {
    let start = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    start.starts_with("http://") || start.starts_with("https://")
}
