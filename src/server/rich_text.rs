//! What people write, as safe HTML. Pure and bounded; runs before the writer, never in it.
//!
//! Names after an `@` become mentions, Markdown becomes HTML (HTML in it stays text), names after a
//! `#` and addresses become links, and the result goes through an allow-list sanitiser. Nothing
//! touches the HTML afterwards. Running the sanitiser again changes nothing (a property test), so
//! stored HTML is a fixed point. Plain words, which most messages are, are one from the start and
//! need no parser to say so. What a search finds in it is cut out and marked here as well.

use super::markdown::{Page, code_in, is_plain, lies_in, paragraphs};
use crate::domain::account::UserRef;
use crate::domain::message::Draft;
use crate::domain::search::{self, Query, Term, played, stem, words};
use crate::domain::{RoomId, UserId, push_all, push_escaped};
use crate::texts;
use ammonia::{Builder, UrlRelative};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};

/// Different people mentioned in one message at most; further names stay text.
const MAX_MENTIONED: usize = 50;
/// Folded characters looked at after an `@` or a `#`: no name is longer.
const LONGEST_NAME: usize = 80;
/// The id, so to speak, of every member in a mention; what people type is a text.
pub const EVERYBODY: &str = "everyone";
/// The sounds that `/play` knows.
const SOUNDS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/public/", env!("CAMPFIRE_LANGUAGE"), "/sounds.tsv"));

/// What the author of a text may refer to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Whom they can mention: the members of the room.
    pub people: &'a [UserRef],
    /// Whether they may mention them all at once.
    pub everyone: bool,
    /// The open rooms they are in.
    pub rooms: &'a [(RoomId, String)],
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
const TAGS: &str = "a blockquote br button code del em figcaption figure h1 h2 h3 hr li ol p pre s \
                    span strong ul";
/// Classes that may appear on a `<span>`: mentions, the parts of a sound, the words of code.
const SPAN_CLASSES: &str = "mention visually-hidden sound__disc sound__name tok-k tok-s tok-f tok-n \
                            tok-t tok-c tok-add tok-del";

static SANITIZER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let only = |name, value| HashMap::from([(name, HashSet::from([value]))]);
    let mut builder = Builder::empty();
    builder
        .tags(TAGS.split(' ').collect())
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
            ("span", SPAN_CLASSES.split(' ').collect()),
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
            "\"><span class=\"visually-hidden\">",
            texts::sounds::PLAY,
            "</span><span class=\"sound__disc\" aria-hidden=\"true\">\u{1f50a}</span>",
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
                (texts::mentions::EVERYONE, EVERYBODY.to_owned())
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

/// A text up to a place.
pub fn before(text: &str, at: usize) -> &str {
    text.get(..at).unwrap_or_default()
}

/// Whether a mention may begin at this `@`: not within a word, an address or a link.
pub fn may_begin(text: &str, at: usize) -> bool {
    let before = text.get(..at).and_then(|before| before.chars().next_back());
    before.is_none_or(|c| {
        c.is_whitespace()
            || matches!(
                c,
                '(' | '*'
                    | '~'
                    | '['
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
            let named = [(folded(texts::mentions::EVERYONE), Some(()))];
            let said = longest(&named, rest).filter(|_| self.known.everyone);
            said.map(|((), end)| (Who::Everyone, end))
        };
        let (who, end) = by_name.or_else(everyone)?;
        Some((who, at, at + 1 + end))
    }
}

/// A name as it is compared, and what it names; nothing if that is not certain.
pub type Named<T> = (Vec<char>, Option<T>);

/// Names by length, the longest first; one that two things have says nothing.
pub fn longest_first<T>(named: impl Iterator<Item = (Vec<char>, T)>) -> Vec<Named<T>> {
    let mut names: HashMap<Vec<char>, Option<T>> = HashMap::new();
    for (name, one) in named.filter(|(name, _)| !name.is_empty()) {
        names.entry(name).and_modify(|known| *known = None).or_insert(Some(one));
    }
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    names
}

/// The longest of these names with which a text begins, and how much of the text it takes.
pub fn longest<T: Copy>(names: &[(Vec<char>, Option<T>)], text: &str) -> Option<(T, usize)> {
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
        let matches =
            name.len() <= said.len() && name.iter().zip(&said).all(|(name, (said, _))| name == said);
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

/// Characters of an excerpt, and those before its first mark.
const EXCERPT: usize = 240;
const LEAD: usize = 60;

/// The part of a text where a query's words stand first, as HTML with each of them marked.
pub fn excerpt(text: &str, query: &Query) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let marks = marks(&text, &query.terms);
    let first = marks.first().map_or(0, |mark| mark.0);
    let (lead, _) = text.split_at(first);
    let mut from = lead.char_indices().rev().nth(LEAD).map_or(0, |(at, _)| at);
    if from > 0 {
        from += lead.split_at(from).1.find(' ').map_or(0, |at| at + 1);
    }
    let rest = text.split_at(from).1;
    let mut to = rest.char_indices().nth(EXCERPT).map_or(text.len(), |(at, _)| from + at);
    if to < text.len() {
        // Between two words, if there is a place; never within what is marked.
        to = text.split_at(to).0.rfind(' ').filter(|at| *at > first).unwrap_or(to);
        to = marks.iter().find(|mark| mark.0 < to && to < mark.1).map_or(to, |mark| mark.1);
    }
    let mut html = String::from(if from > 0 { "…" } else { "" });
    let mut done = from;
    for (start, end) in marks.into_iter().filter(|mark| mark.1 <= to) {
        push_escaped(&mut html, text.get(done..start).unwrap_or_default());
        html.push_str("<mark>");
        push_escaped(&mut html, text.get(start..end).unwrap_or_default());
        html.push_str("</mark>");
        done = end;
    }
    push_escaped(&mut html, text.get(done..to).unwrap_or_default());
    html.push_str(if to < text.len() { "…" } else { "" });
    html
}

/// Where the words of terms stand in a text, in order; those that touch are one.
fn marks(text: &str, terms: &[Term]) -> Vec<(usize, usize)> {
    let said: Vec<((usize, usize), String)> =
        words(text).map(|place| (place, stem(part(text, place)))).collect();
    let mut found = Vec::new();
    for term in terms {
        let stems: Vec<String> = words(&term.text).map(|place| stem(part(&term.text, place))).collect();
        let last = words(&term.text).last().filter(|_| term.prefix);
        let beginning = last.map(|place| search::folded(part(&term.text, place)));
        for place in said.windows(stems.len().max(1)) {
            let fits = place.iter().zip(&stems).enumerate().all(|(at, ((_, said), wanted))| {
                let begun = beginning.as_ref().filter(|_| at + 1 == stems.len());
                said == wanted || begun.is_some_and(|begun| said.starts_with(begun))
            });
            if fits {
                found.extend(place.iter().map(|(place, _)| *place));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found.into_iter().fold(Vec::new(), |mut marks: Vec<(usize, usize)>, mark| {
        match marks.last_mut().filter(|last| last.1 == mark.0) {
            Some(last) => last.1 = mark.1,
            None => marks.push(mark),
        }
        marks
    })
}

fn part(text: &str, (start, end): (usize, usize)) -> &str {
    text.get(start..end).unwrap_or_default()
}
