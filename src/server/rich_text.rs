//! What people write, as safe HTML. Pure and bounded; runs before the writer, never in it.
//!
//! Text is cut into paragraphs, escaped, its addresses become links, and the result goes through
//! an allow-list sanitiser. Nothing touches the HTML afterwards. Running the sanitiser again
//! changes nothing (a property test), so stored HTML is a fixed point. Plain words, which most
//! messages are, are one from the start and need no parser to say so.

use crate::domain::message::Draft;
use crate::domain::push_escaped;
use ammonia::Builder;
use linkify::{LinkFinder, LinkKind};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// A checked body and its HTML: what the writer stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The source text.
    pub body: String,
    /// The sanitised HTML.
    pub html: String,
}

/// Tags that may appear in a message, now and when richer writing produces more of them.
const TAGS: [&str; 17] = [
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
    "strong",
    "ul",
];

static SANITIZER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(TAGS))
        .tag_attributes(HashMap::from([("a", HashSet::from(["href"]))]))
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

/// Renders a message: blank lines part paragraphs, line ends are kept, web and mail addresses
/// become links.
pub fn render(draft: &Draft) -> Rendered {
    let plain = is_plain(draft.body());
    let mut html = String::with_capacity(draft.body().len() + 16);
    for paragraph in draft.body().split("\n\n").map(|text| text.trim_matches('\n')) {
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
                push_line(&mut html, line);
            }
        }
        html.push_str("</p>");
    }
    let html = if plain { html } else { sanitize(&html) };
    Rendered { body: draft.body().to_owned(), html }
}

/// Whether text is HTML as it stands, and the sanitiser would give it back unchanged: nothing to
/// escape, no space that it would write as a name, and no address to link.
fn is_plain(text: &str) -> bool {
    !text.contains(['&', '<', '>', '\u{a0}']) && LINKS.links(text).next().is_none()
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
        render(&Draft::parse(body).unwrap()).html
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
