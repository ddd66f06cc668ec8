//! What people write, as safe HTML. Pure and bounded; runs before the writer, never in it.
//!
//! Names after an `@` become mentions, text is cut into paragraphs and escaped, its addresses
//! become links, and the result goes through an allow-list sanitiser. Nothing touches the HTML
//! afterwards. Running the sanitiser again changes nothing (a property test), so stored HTML is a
//! fixed point. Plain words, which most messages are, are one from the start and need no parser
//! to say so.

use crate::domain::account::UserRef;
use crate::domain::message::{Draft, MENTION};
use crate::domain::{UserId, push_escaped};
use ammonia::Builder;
use linkify::{LinkFinder, LinkKind};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};

/// Different people mentioned in one message at most; further names stay text.
const MAX_MENTIONED: usize = 50;
/// Folded characters looked at after an `@`: no name is longer.
const LONGEST_NAME: usize = 64;

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

/// Tags that may appear in a message, now and when richer writing produces more of them.
const TAGS: [&str; 18] = [
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "em",
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

static SANITIZER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(TAGS))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href"])),
            ("span", HashSet::from(["data-user"])),
        ]))
        .allowed_classes(HashMap::from([("span", HashSet::from(["mention"]))]))
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_value("a", "target", "_blank");
    builder
});

static LINKS: LazyLock<LinkFinder> = LazyLock::new(|| {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url, LinkKind::Email]);
    finder
});

/// Whether names may stand in a text: only then is it worth knowing who is in the room.
pub fn may_mention(draft: &Draft) -> bool {
    let text = draft.body();
    text.match_indices('@').any(|(at, _)| may_begin(text, at))
}

/// Renders a message: names of `people` after an `@` become mentions, blank lines part paragraphs,
/// line ends are kept, web and mail addresses become links.
pub fn render(draft: &Draft, people: &[UserRef]) -> Rendered {
    let text = draft.body();
    let names = Names::new(people);
    let mut mentioned: Vec<&UserRef> = Vec::new();
    let (mut body, mut source) = (String::with_capacity(text.len()), String::new());
    let mut done = 0;
    for (at, _) in text.match_indices('@').filter(|_| !people.is_empty()) {
        let found = (at >= done && may_begin(text, at)).then(|| names.at(text, at)).flatten();
        let Some((user, start, end)) = found else {
            continue;
        };
        if !mentioned.iter().any(|other| other.id == user.id) {
            if mentioned.len() == MAX_MENTIONED {
                continue;
            }
            mentioned.push(user);
        }
        let before = text.get(done..start).unwrap_or_default();
        push_all(&mut body, &[before, "@", &user.name]);
        push_all(&mut source, &[before, "<@", &user.id.to_string(), ">"]);
        done = end;
    }
    let rest = text.get(done..).unwrap_or_default();
    body.push_str(rest);
    source.push_str(rest);
    let html = html(&source, &mentioned);
    let source = (!mentioned.is_empty()).then_some(source);
    let mentions = mentioned.iter().map(|user| user.id).collect();
    Rendered { body, source, html, mentions }
}

fn html(source: &str, mentioned: &[&UserRef]) -> String {
    let plain = is_plain(source);
    let mut html = String::with_capacity(source.len() + 16);
    for paragraph in source.split("\n\n").map(|text| text.trim_matches('\n')) {
        if paragraph.trim().is_empty() {
            continue;
        }
        html.push_str("<p>");
        for (at, line) in paragraph.split('\n').enumerate() {
            if at > 0 {
                html.push_str("<br>");
            }
            if plain {
                html.push_str(line);
            } else {
                push_mentions(&mut html, line, mentioned);
            }
        }
        html.push_str("</p>");
    }
    if plain { html } else { sanitize(&html) }
}

/// Whether text is HTML as it stands, and the sanitiser would give it back unchanged: nothing to
/// escape, no space that it would write as a name, and no address to link.
fn is_plain(text: &str) -> bool {
    !text.contains(['&', '<', '>', '\u{a0}']) && LINKS.links(text).next().is_none()
}

fn push_mentions(html: &mut String, line: &str, mentioned: &[&UserRef]) {
    let mut rest = line;
    let mut from = 0;
    while let Some(at) = rest.get(from..).and_then(|rest| rest.find("<@")).map(|at| at + from) {
        let (before, mark) = rest.split_at(at);
        let found = mark.get(2..).and_then(|mark| mark.split_once('>')).and_then(|(id, after)| {
            let user = mentioned.iter().find(|user| user.id.to_string() == id)?;
            Some((user, after))
        });
        let Some((user, after)) = found else {
            from = at + 2;
            continue;
        };
        push_line(html, before);
        push_all(html, &[MENTION, &user.id.to_string(), "\">@"]);
        push_escaped(html, &user.name);
        html.push_str("</span>");
        (rest, from) = (after, 0);
    }
    push_line(html, rest);
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

/// What people in a room can be called: by their full names, and by first names that nobody else
/// there has. The longest come first.
struct Names<'a> {
    people: &'a [UserRef],
    names: Vec<(Vec<char>, Option<&'a UserRef>)>,
}

impl<'a> Names<'a> {
    fn new(people: &'a [UserRef]) -> Self {
        let mut full: HashMap<Vec<char>, Option<&UserRef>> = HashMap::new();
        let mut first: HashMap<Vec<char>, Option<&UserRef>> = HashMap::new();
        for user in people {
            let name = folded(&user.name);
            let short: Vec<char> = name.iter().copied().take_while(|c| *c != ' ').collect();
            for (names, name) in [(&mut full, name), (&mut first, short)] {
                // A name that two people have says nothing.
                names.entry(name).and_modify(|known| *known = None).or_insert(Some(user));
            }
        }
        first.retain(|name, _| !full.contains_key(name));
        let mut names: Vec<_> = full.into_iter().chain(first).collect();
        names.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        Self { people, names }
    }

    /// Who is mentioned at an `@`, and where the mention begins and ends.
    fn at(&self, text: &str, at: usize) -> Option<(&'a UserRef, usize, usize)> {
        self.by_id(text, at).or_else(|| self.by_name(text, at))
    }

    /// `<@7>`, as programs write it and as it is stored.
    fn by_id(&self, text: &str, at: usize) -> Option<(&'a UserRef, usize, usize)> {
        let start = at.checked_sub(1).filter(|start| text.as_bytes().get(*start) == Some(&b'<'))?;
        let (id, _) = text.get(at + 1..)?.split_once('>')?;
        let user = self.people.iter().find(|user| user.id.to_string() == id)?;
        Some((user, start, at + id.len() + 2))
    }

    fn by_name(&self, text: &str, at: usize) -> Option<(&'a UserRef, usize, usize)> {
        let rest = text.get(at + 1..)?;
        // Each folded character with the place where what it comes from ends.
        let mut said: Vec<(char, usize)> = Vec::new();
        for (place, c) in rest.char_indices() {
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
        for (name, user) in self.names.iter().filter(|(name, _)| !name.is_empty()) {
            let matches = name.len() <= said.len()
                && name.iter().zip(&said).all(|(name, (said, _))| name == said);
            let end = said.get(name.len().saturating_sub(1)).map_or(0, |said| said.1);
            let ends = rest
                .get(end..)
                .and_then(|after| after.chars().next())
                .is_none_or(|c| !c.is_alphanumeric() && c != '_');
            if matches && ends {
                return user.map(|user| (user, at, at + 1 + end));
            }
        }
        None
    }
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

fn push_line(html: &mut String, line: &str) {
    for span in LINKS.spans(line) {
        let text = span.as_str();
        let scheme = match span.kind() {
            Some(LinkKind::Email) => Some("mailto:"),
            Some(_) if is_web_address(text) => Some(""),
            _ => None,
        };
        match scheme {
            Some(scheme) => {
                html.push_str("<a href=\"");
                html.push_str(scheme);
                push_escaped(html, text);
                html.push_str("\">");
                push_escaped(html, text);
                html.push_str("</a>");
            }
            None => push_escaped(html, text),
        }
    }
}

fn is_web_address(text: &str) -> bool {
    let start = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    start.starts_with("http://") || start.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(body: &str) -> String {
        render(&Draft::parse(body).unwrap(), &[]).html
    }

    fn people() -> Vec<UserRef> {
        let names = ["Kevin", "Kevin Smith", "Zoë Müller", "Max One", "Max Two", "O<b>"];
        let ids = (1..).map(UserId::new);
        ids.zip(names).map(|(id, name)| UserRef { id, name: name.to_owned() }).collect()
    }

    fn mentions(body: &str) -> Vec<i64> {
        let rendered = render(&Draft::parse(body).unwrap(), &people());
        rendered.mentions.iter().map(|id| id.get()).collect()
    }

    #[test]
    fn names_after_an_at_sign_are_mentions() {
        for (body, expected) in [
            ("@kevin hi", vec![1]),
            ("(@KEVIN SMITH) and @Kevin.", vec![2, 1]),
            ("@zoe! @zoë müller, @Zoe\u{308} Muller", vec![3]),
            ("@max is two people, @max two is one", vec![5]),
            ("kevin@kevin.example https://x.example/@kevin @kevinx", vec![]),
            ("<@3> and <@99>", vec![3]),
            ("@", vec![]),
        ] {
            assert_eq!(mentions(body), expected, "{body}");
        }
    }

    #[test]
    fn a_mention_is_stored_by_id_and_read_by_name() {
        let rendered = render(&Draft::parse("hi @zoe and @o<b>").unwrap(), &people());
        assert_eq!(rendered.source(), "hi <@3> and <@6>");
        assert_eq!(rendered.body, "hi @Zoë Müller and @O<b>");
        assert_eq!(
            rendered.html,
            "<p>hi <span class=\"mention\" data-user=\"3\">@Zoë Müller</span> and \
             <span class=\"mention\" data-user=\"6\">@O&lt;b&gt;</span></p>"
        );
        assert_eq!(sanitize(&rendered.html), rendered.html);
        let read = crate::domain::message::plain_body(rendered.source().into(), &rendered.html);
        assert_eq!(read, rendered.body);
        assert_eq!(render(&Draft::parse("@kevin").unwrap(), &[]).source, None);
    }

    #[test]
    fn lines_and_paragraphs_are_kept() {
        assert_eq!(html("one\ntwo\n\n\nthree"), "<p>one<br>two</p><p>three</p>");
    }

    #[test]
    fn addresses_become_safe_links() {
        let link = html("see https://example.com/a?b=1&c=2.");
        assert!(link.starts_with("<p>see <a href=\"https://example.com/a?b=1&amp;c=2\""), "{link}");
        assert!(link.contains("rel=\"noopener noreferrer nofollow\""), "{link}");
        assert!(link.contains("target=\"_blank\""), "{link}");
        assert!(link.ends_with("</a>.</p>"), "{link}");
        assert!(html("mail me@example.com").contains("href=\"mailto:me@example.com\""));
    }

    #[test]
    fn markup_and_other_schemes_stay_text() {
        assert_eq!(html("<b>&\"'"), "<p>&lt;b&gt;&amp;\"'</p>");
        for text in ["javascript:alert(1)", "data://x", "ftp://example.com", "file:///etc/passwd"] {
            assert!(!html(text).contains("<a"), "{text}");
        }
    }
}
