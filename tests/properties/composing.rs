//! Writing: every switch of the toolbar is its own way back, completions are found wherever the
//! caret stands, and hostile messages stay text.

use crate::text::is_harmless;
use crate::{check, same};
use campfire::domain::account::UserRef;
use campfire::domain::composing::{Field, Format, Kind, is_code, trigger};
use campfire::domain::message::Draft;
use campfire::domain::{RoomId, UserId};
use campfire::server::rich_text::{Known, render, sanitize};
use proptest::prelude::*;

/// Texts made of marks, letters of one, two, three and four bytes, and lines.
fn text() -> impl Strategy<Value = String> {
    "([*_~`> \n\\-1.@#:\\[\\]()a-c]|\u{e9}|\u{20ac}|\u{1f525}|\\*\\*|~~|```\n|/play |> |- ){0,24}"
}

fn field() -> impl Strategy<Value = Field> {
    (text(), 0_u32..40, 0_u32..40).prop_map(|(text, one, other)| Field::new(&text, one, other))
}

/// Where a field's selection is written down by `[` and `]`.
fn marked(text: &str) -> Field {
    let (before, rest) = text.split_once('[').unwrap();
    let (selected, after) = rest.split_once(']').unwrap();
    let (start, end) = (before.len(), before.len() + selected.len());
    Field { text: [before, selected, after].concat(), start, end }
}

fn shown(field: &Field) -> String {
    let mut text = field.text.clone();
    text.insert(field.end, ']');
    text.insert(field.start, '[');
    text
}

#[test]
fn prop_a_switch_used_twice_leaves_the_text_as_it_was() {
    check(file!(), 1_500, &field(), |field| {
        for (format, _) in Format::ALL.into_iter().filter(|(format, _)| *format != Format::Link) {
            let once = field.with(format);
            same(once.text == field.text, false, &format!("{format:?} does something"))?;
            let twice = once.with(format);
            same(twice.text, field.text.clone(), &format!("{format:?} of {}", shown(&field)))?;
        }
        Ok(())
    });
}

#[test]
fn prop_a_field_translates_places_and_finds_the_difference() {
    check(file!(), 600, &(field(), field(), 0_u32..60), |(field, other, unit)| {
        let (start, end) = field.units();
        same(Field::new(&field.text, start, end), field.clone(), "there and back")?;
        let anywhere = Field::new(&field.text, unit, unit);
        same(anywhere.start <= field.text.len(), true, "never beyond the end")?;
        let (from, to, text) = field.change(&other);
        let units: Vec<u16> = field.text.encode_utf16().collect();
        let new = [&units[..from as usize], &text.encode_utf16().collect::<Vec<_>>()]
            .concat()
            .into_iter()
            .chain(units[to as usize..].iter().copied())
            .collect::<Vec<_>>();
        same(String::from_utf16(&new).ok(), Some(other.text), "the change makes the other text")
    });
}

#[test]
fn prop_a_completion_is_looked_for_anywhere_and_replaces_what_was_typed() {
    check(file!(), 1_500, &(text(), 0_usize..80), |(text, caret)| {
        let Some(found) = trigger(&text, caret) else {
            return Ok(());
        };
        same(text.get(found.start..caret).is_some(), true, "a part of the text before the caret")?;
        same(text[found.start..caret].ends_with(found.typed), true, "what was typed last")?;
        let field = Field::new(&text, 0, 0).replaced(found.start, caret, "@Kevin ");
        same(&field.text[..field.start], &*format!("{}@Kevin ", &text[..found.start]), "replaced")
    });
}

#[test]
fn marks_go_around_the_selection_and_away_again() {
    let (bold, quote) = (Format::Around("**"), Format::Lines("> "));
    for (before, format, after) in [
        ("a [b] c", bold, "a **[b]** c"),
        ("a[ b ]c", bold, "a **[b]** c"),
        ("a [**b**] c", bold, "a [b] c"),
        ("[]", Format::Around("`"), "`[]`"),
        ("**_[b]_**", Format::Around("_"), "**[b]**"),
        ("one\nt[]wo", quote, "one\n> two[]"),
        ("o[ne\ntw]o\nthree", quote, "[> one\n> two]\nthree"),
        ("[> one\n> two]", quote, "[one\ntwo]"),
        ("x\nl[et] a;\ny", Format::Fence, "x\n```\n[let a;]\n```\ny"),
    ] {
        assert_eq!(shown(&marked(before).with(format)), after, "{before}");
    }
    let link = marked("see [this]").with(Format::Link);
    assert_eq!((&*link.text, &link.text[link.start..link.end]), ("see [this](https://)", "https://"));
    let link = marked("[https://x.example]").with(Format::Link);
    assert_eq!((&*link.text, link.start), ("[](https://x.example)", 1));
}

#[test]
fn completions_begin_where_people_mean_them() {
    for (text, expected) in [
        ("@", Some((Kind::Person, ""))),
        ("hi @zo", Some((Kind::Person, "zo"))),
        ("(@Max O", Some((Kind::Person, "Max O"))),
        ("kevin@example", None),
        ("@ home", None),
        ("@a b c d e", None),
        ("`@kevin", None),
        ("`x` @kevin", Some((Kind::Person, "kevin"))),
        ("#All T", Some((Kind::Room, "All T"))),
        ("# Heading", None),
        ("## Heading", None),
        (":ta", Some((Kind::Emoji, "ta"))),
        (":D", None),
        ("12:30", None),
        ("so: this", None),
        ("/play ta", Some((Kind::Sound, "ta"))),
        ("/PLAY ", Some((Kind::Sound, ""))),
        ("/play ta da", None),
        ("say /play ta", None),
        ("@kevin\n", None),
    ] {
        let found = trigger(text, text.len()).map(|found| (found.kind, found.typed));
        assert_eq!(found, expected, "{text:?}");
    }
}

#[test]
fn code_is_told_from_sentences() {
    for code in ["fn main() {\n    x();\n}", "<p>\n  hi\n</p>", "$ ls\n$ cd x", "a;\nb;"] {
        assert!(is_code(code), "{code}");
    }
    for text in ["Hello!\nHow are you?", "one line;", "- one\n- two", "", "```\nx;\ny;\n```"] {
        assert!(!is_code(text), "{text}");
    }
}

#[test]
fn hostile_messages_stay_text() {
    let table = include_str!("../stored/hostile_messages.txt");
    assert!(table.lines().count() > 200, "{}", table.lines().count());
    let people = [UserRef { id: UserId::new(1), name: "david".to_owned() }];
    let rooms =
        [(RoomId::new(1), "<script>alert(1)</script>".to_owned()), (RoomId::new(2), "All Talk".to_owned())];
    for line in table.lines() {
        let body = line.replace("\\n", "\n").replace("\\t", "\t");
        let known = Known { people: &people, everyone: true, rooms: &rooms };
        let html = render(&Draft::parse(&body).unwrap(), &known).html;
        is_harmless(&html).unwrap_or_else(|error| panic!("{line}\n{error}"));
        assert_eq!(sanitize(&html), html, "{line}");
        assert!(!html.contains("<button"), "{line}: {html}");
        for href in html.split("<a href=\"").skip(1) {
            let safe = ["http://", "https://", "http:", "https:", "mailto:", "/rooms/1\"", "/rooms/2\""];
            assert!(safe.iter().any(|start| href.starts_with(start)), "{line}: {html}");
        }
    }
}

fn html(body: &str) -> String {
    let rooms = [(RoomId::new(7), "All Talk".to_owned()), (RoomId::new(8), "All".to_owned())];
    render(&Draft::parse(body).unwrap(), &Known { rooms: &rooms, ..Known::default() }).html
}

const LINK: &str = "target=\"_blank\" rel=\"noopener noreferrer nofollow\"";

#[test]
fn markdown_becomes_html() {
    for (body, expected) in [
        ("one\ntwo\n\n\nthree", "<p>one<br>two</p><p>three</p>"),
        ("**a** _b_ ~~c~~ `d`", "<p><strong>a</strong> <em>b</em> <del>c</del> <code>d</code></p>"),
        ("*a\nb*", "<p><em>a<br>b</em></p>"),
        ("> a\n> b", "<blockquote><p>a<br>b</p></blockquote>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("3. a\n4. b", "<ol start=\"3\"><li>a</li><li>b</li></ol>"),
        ("# a\n#### b", "<h1>a</h1><h3>b</h3>"),
        ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
        ("<b>&\"'", "<p>&lt;b&gt;&amp;\"'</p>"),
        ("&lt; \\*a\\*", "<p>&amp;lt; *a*</p>"),
        // Nothing of this is meant as Markdown.
        ("it is 5 * 3 * 2", "<p>it is 5 * 3 * 2</p>"),
        ("~5 to ~10, ~so~", "<p>~5 to ~10, ~so~</p>"),
        ("a\n---", "<p>a<br>---</p>"),
        ("-", "<p>-</p>"),
        ("#", "<p>#</p>"),
        ("1.", "<p>1.</p>"),
        ("[todo]: call Bob", "<p>[todo]: call Bob</p>"),
        ("snake_case_name", "<p>snake_case_name</p>"),
        // Links to rooms.
        (
            "#all talk!",
            "<p><a class=\"mention\" href=\"/rooms/7\" rel=\"noopener noreferrer nofollow\">#All Talk</a>!</p>",
        ),
        ("`#All` x#All #Alles", "<p><code>#All</code> x#All #Alles</p>"),
    ] {
        assert_eq!(html(body), expected, "{body}");
        assert_eq!(sanitize(expected), expected);
    }
}

#[test]
fn addresses_become_safe_links() {
    for (body, address, text) in [
        ("see https://x.example/a?b=1&c=2.", "https://x.example/a?b=1&amp;c=2", ""),
        ("https://x.example/_a_/*b*/~~c~~/d", "https://x.example/_a_/*b*/~~c~~/d", ""),
        ("**https://x.example/a_b_**", "https://x.example/a_b_", ""),
        ("<https://x.example>", "https://x.example", ""),
        ("[x](https://x.example)", "https://x.example", "x"),
        ("[](https://x.example)", "https://x.example", ""),
        ("![x](https://x.example)", "https://x.example", "x"),
        ("me@x.example", "mailto:me@x.example", "me@x.example"),
    ] {
        let text = if text.is_empty() { address } else { text };
        let link = format!("<a href=\"{address}\" {LINK}>{text}</a>");
        assert!(html(body).contains(&link), "{body}: {}", html(body));
    }
    for text in ["javascript:alert(1)", "data://x", "ftp://example.com", "[x](/rooms/7)"] {
        assert!(!html(text).contains("<a"), "{text}");
    }
}

#[test]
fn code_has_its_words_marked() {
    let code = html("```rust\nlet x = a(\"b\", 12); // c\n```");
    for part in [
        "<figcaption class=\"code__bar\">Rust</figcaption><pre><code>",
        "<span class=\"tok-k\">let</span> x = <span class=\"tok-f\">a</span>(",
        "<span class=\"tok-s\">\"b\"</span>, <span class=\"tok-n\">12</span>); ",
        "<span class=\"tok-c\">// c</span>\n</code></pre></figure>",
    ] {
        assert!(code.contains(part), "{part} in {code}");
    }
    assert!(html("```diff\n+a\n-b\n```").contains("<span class=\"tok-add\">+a\n</span>"));
    assert!(html("```SQL\nSELECT 1\n```").contains("<span class=\"tok-k\">SELECT</span>"));
    assert!(html("```nothing\nlet\n```").contains(">nothing</figcaption><pre><code>let\n</code>"));
    let plain = "<figure class=\"code\"><pre><code>&lt;a&gt; #All\n</code></pre></figure>";
    assert_eq!(html("```\n<a> #All\n```"), plain);
}

#[test]
fn a_sound_is_a_button_and_nothing_else_is() {
    let sound = html(" /PLAY Bell ");
    assert!(sound.contains("<button type=\"button\" class=\"sound\" data-sound=\"bell\">"), "{sound}");
    assert!(sound.contains("\u{1f514} Ding") && sound.contains("/play bell"), "{sound}");
    for text in ["/play nothing", "/play bell now", "say /play bell", "/play  bell", "`/play bell`"] {
        assert!(!html(text).contains("<button"), "{text}");
    }
}

fn people() -> Vec<UserRef> {
    let names = ["Kevin", "Kevin Smith", "Zo\u{eb} M\u{fc}ller", "Max One", "Max Two", "O<b>"];
    let ids = (1..).map(UserId::new);
    ids.zip(names).map(|(id, name)| UserRef { id, name: name.to_owned() }).collect()
}

fn mentions(body: &str, everyone: bool) -> Vec<i64> {
    let people = people();
    let known = Known { people: &people, everyone, rooms: &[] };
    let rendered = render(&Draft::parse(body).unwrap(), &known);
    rendered.mentions.iter().map(|id| id.get()).collect()
}

#[test]
fn names_after_an_at_sign_are_mentions() {
    for (body, expected) in [
        ("@kevin hi", vec![1]),
        ("(@KEVIN SMITH) and @Kevin.", vec![2, 1]),
        ("@zoe! @zo\u{eb} m\u{fc}ller, @Zoe\u{308} Muller", vec![3]),
        ("@max is two people, @max two is one", vec![5]),
        ("kevin@kevin.example https://x.example/@kevin @kevinx", vec![]),
        ("<@3> and <@99>", vec![3]),
        ("@", vec![]),
        ("**@kevin** > @zoe", vec![1, 3]),
        ("`@kevin` is text", vec![]),
        ("```\n@kevin\n```\n@zoe", vec![3]),
        ("@everyone", vec![]),
    ] {
        assert_eq!(mentions(body, false), expected, "{body}");
    }
    assert_eq!(mentions("hey @Everyone!", true), [1, 2, 3, 4, 5, 6]);
    assert_eq!(mentions("hey <@everyone>", true).len(), 6);
    assert!(mentions("`@everyone` @everyones", true).is_empty());
}

#[test]
fn a_mention_is_stored_by_id_and_read_by_name() {
    let people = people();
    let known = Known { people: &people, everyone: true, rooms: &[] };
    let rendered = render(&Draft::parse("hi @zoe and @o<b>, @EVERYONE").unwrap(), &known);
    assert_eq!(rendered.source(), "hi <@3> and <@6>, <@everyone>");
    assert_eq!(rendered.body, "hi @Zo\u{eb} M\u{fc}ller and @O<b>, @everyone");
    assert_eq!(
        rendered.html,
        "<p>hi <span class=\"mention\" data-user=\"3\">@Zo\u{eb} M\u{fc}ller</span> and \
         <span class=\"mention\" data-user=\"6\">@O&lt;b&gt;</span>, \
         <span class=\"mention\" data-user=\"everyone\">@everyone</span></p>"
    );
    assert_eq!(sanitize(&rendered.html), rendered.html);
    let read = campfire::domain::message::plain_body(rendered.source().into(), &rendered.html);
    assert_eq!(read, rendered.body);
    assert_eq!(render(&Draft::parse("@kevin").unwrap(), &Known::default()).source, None);
}
