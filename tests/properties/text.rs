//! Text, names and numbers: what people write is bounded and harmless; keys and times are exact.

use crate::{check, heavy, same};
use campfire::domain::account::UserRef;
use campfire::domain::message::{Draft, MAX_BODY_BYTES, MAX_BODY_CHARS};
use campfire::domain::room::direct_key;
use campfire::domain::{Seq, Timestamp, UserId};
use campfire::server::auth;
use campfire::server::rich_text::{Known, render, sanitize};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use rand::rngs::{StdRng, SysRng};
use rand::{SeedableRng, TryRng};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const ALLOWED: [&str; 21] = [
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

/// Every attribute that may stand on an element.
const ATTRIBUTES: [(&str, &[&str]); 6] = [
    ("a", &["class", "href", "rel", "target"]),
    ("button", &["class", "data-sound", "type"]),
    ("figcaption", &["class"]),
    ("figure", &["class"]),
    ("ol", &["start"]),
    ("span", &["aria-hidden", "class", "data-user"]),
];

/// Anything, with a taste for what breaks sanitisers.
fn markup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[ -~]{0,20}",
        prop::sample::select(vec![
            "<script>",
            "</script>",
            "<p>",
            "</p>",
            "<a href=\"",
            "javascript:alert(1)",
            "\">",
            "'",
            "<svg/onload=alert(1)>",
            "<math><mi>",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "&lt;",
            "&#x",
            "<style>",
            "</style>",
            "<noscript>",
            "<table><td>",
            "<a href=data:text/html,x>",
            "&amp",
            "<template>",
            "<iframe srcdoc=",
            "<b><i></b></i>",
            "<p/><p/>",
            "<br/",
            "<h1 id=x>",
            "\u{0}",
            "\u{feff}",
            "<a target=_top rel=x href=http://x>",
            "<a style=\"color:red\" class=x id=y onclick=z href=\"http://x\">",
            "<p style='color:red' class=x hidden>",
            "<em onmouseover=alert(1)>",
            "<pre>\n\n",
            "<li><ul><li>",
            "<a href=\"  https://x\">",
            "<a href=\"//x\">",
            "<A HREF=\"JaVa\tScript:x\">",
            "<select>",
        ])
        .prop_map(str::to_owned),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Every tag of sanitised HTML with its attributes as written.
fn tags(html: &str) -> Vec<(String, String)> {
    let opened = html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or(rest));
    let named = opened.map(|tag| {
        let tag = tag.trim_start_matches('/');
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        (name.to_owned(), attributes.to_owned())
    });
    named.collect()
}

pub fn is_harmless(html: &str) -> TestCaseResult {
    for (name, attributes) in tags(html) {
        same(ALLOWED.contains(&name.as_str()), true, &format!("<{name}> in {html}"))?;
        if attributes.is_empty() {
            continue;
        }
        let known = ATTRIBUTES.iter().find(|(tag, _)| *tag == name);
        let known = known.map_or(&[][..], |(_, known)| known);
        let pairs: BTreeMap<&str, &str> =
            attributes.split("\" ").filter_map(|pair| pair.trim_end_matches('"').split_once("=\"")).collect();
        let context = format!("attributes of <{name}> in {html}");
        same(pairs.keys().all(|name| known.contains(name)), true, &context)?;
        let count = attributes.matches("=\"").count();
        same(pairs.is_empty() || pairs.len() > count, false, &context)?;
        if name != "a" {
            continue;
        }
        same(pairs.get("rel"), Some(&"noopener noreferrer nofollow"), html)?;
        if let Some(href) = pairs.get("href") {
            let start = href.trim_start().to_ascii_lowercase();
            let safe = ["http:", "https:", "mailto:"].iter().any(|one| start.starts_with(one));
            let room = start.strip_prefix("/rooms/");
            let room = room.is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
            same(safe || room, true, &format!("{href:?} in {html}"))?;
        }
    }
    Ok(())
}

#[test]
fn prop_the_sanitiser_lets_nothing_dangerous_through() {
    check(file!(), 3_000, &markup(), |text| {
        // Parsing changes odd markup again and again; whatever a browser makes of the result, and
        // of the result of that, is as harmless as the result itself.
        let mut html = text;
        for _ in 0..3 {
            html = sanitize(&html);
            is_harmless(&html)?;
        }
        Ok(())
    });
}

#[test]
fn prop_what_the_sanitiser_keeps_of_plain_markup_is_a_fixed_point() {
    // What a richer writer would produce: allowed tags, properly nested, with text between.
    let leaf = "[ -~&&[^<>&]]{0,12}";
    let tag = prop::sample::select(vec!["p", "em", "strong", "code", "blockquote", "del", "ul", "li"]);
    let markup = leaf.prop_recursive(4, 32, 4, move |inner| {
        (tag.clone(), vec(inner, 0..4)).prop_map(|(tag, inner)| format!("<{tag}>{}</{tag}>", inner.concat()))
    });
    check(file!(), 1_000, &markup, |html| {
        let clean = sanitize(&html);
        is_harmless(&clean)?;
        same(sanitize(&clean), clean, "twice is once")
    });
}

/// The text a reader sees, without white space.
fn visible(html: &str) -> String {
    let mut text = String::new();
    for (at, piece) in html.split('<').enumerate() {
        text.push_str(if at == 0 { piece } else { piece.split_once('>').map_or("", |(_, rest)| rest) });
    }
    for (name, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")]
    {
        text = text.replace(name, character);
    }
    text.split_whitespace().collect()
}

/// What Markdown is made of, between words and hostile markup.
fn markdown() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => prop::sample::select(vec![
            "**", "*", "_", "__", "~~", "~", "`", "``", "```", "```rust\n", "```diff\n", "~~~\n",
            "> ", ">", "- ", "* ", "+ ", "1. ", "7) ", "# ", "### ", "#", "[", "]", "](", "]: ", "(",
            ")", "![", "<", ">", "\\", "\n", "\n\n", "    ", "\t", "---", "===", "***", "&amp;", "&",
            "http://a.b/c_d_", "https://x.y/*z*", "a@b.cd", "<http://a.b>", "|", "| - |", ":",
            "javascript:alert(1)", "[x](javascript:alert(1))", "[x](http://a.b \"t\")", "/play tada",
            "@Kevin", "<@1>", "<@everyone>", "@everyone", "#All Talk", "\u{1f525}", "fn main() {}",
        ]).prop_map(str::to_owned),
        1 => "[a-zA-Z0-9 .,:;!?'\"-]{0,12}",
        1 => markup(),
    ];
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

/// Whether all of `shown` stands in `typed`, in this order: nothing is invented, only left out.
fn is_part_of(shown: &str, typed: &str) -> bool {
    let mut typed = typed.chars();
    shown.chars().all(|wanted| typed.any(|c| c == wanted))
}

#[test]
fn prop_rendering_is_harmless_invents_nothing_and_is_a_fixed_point_of_the_sanitiser() {
    check(file!(), 2_000, &prop_oneof![3 => markdown(), 1 => markup()], |text| {
        let Ok(draft) = Draft::parse(&text) else {
            return Ok(());
        };
        let rendered = render(&draft, &Known::default());
        same(rendered.body.as_str(), draft.body(), "the source is kept")?;
        is_harmless(&rendered.html)?;
        same(sanitize(&rendered.html), rendered.html.clone(), "sanitised once is enough")?;
        let shown = visible(&without_captions(&rendered.html));
        let typed: String = draft.body().split_whitespace().collect();
        let sound = rendered.html.contains("data-sound");
        let context = format!("{shown:?} is not in {typed:?}");
        same(sound || is_part_of(&shown, &typed), true, &context)?;
        let seen = !shown.is_empty() || rendered.html.contains("<hr>");
        same(seen, true, "something is always shown")
    });
}

#[test]
fn prop_words_without_markup_are_shown_as_they_were_written() {
    check(file!(), 1_000, &"[a-zA-Z .,;!?'\"\u{e9}\u{1f525}()/%|\n]{1,80}", |text| {
        let Ok(draft) = Draft::parse(&text) else {
            return Ok(());
        };
        let html = render(&draft, &Known::default()).html;
        let typed: String = draft.body().split_whitespace().collect();
        same(visible(&html), typed, "every word")?;
        let lines = draft.body().lines().filter(|line| !line.trim().is_empty()).count();
        let breaks = html.matches("<br>").count() + html.matches("<p>").count();
        same(breaks >= lines, true, &format!("{lines} lines in {html}"))
    });
}

/// The names of languages are translated: `rs` is shown as Rust.
fn without_captions(html: &str) -> String {
    let mut pieces = html.split("<figcaption");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once("</figcaption>").map_or(piece, |(_, rest)| rest))
}

#[test]
fn prop_mentions_are_stored_by_id_and_read_by_name() {
    let people = ["Kevin", "Zo\u{eb} M\u{fc}ller", "Max One", "Max Two"];
    let ids = (1..).map(UserId::new);
    let people: Vec<UserRef> =
        ids.zip(people).map(|(id, name)| UserRef { id, name: name.to_owned() }).collect();
    check(file!(), 300, &(markdown(), markdown()), |(one, other)| {
        let body = format!("{one} @zoe m\u{fc}ller {other}");
        let Ok(draft) = Draft::parse(&body) else {
            return Ok(());
        };
        let known = Known { people: &people, everyone: true, rooms: &[] };
        let rendered = render(&draft, &known);
        is_harmless(&rendered.html)?;
        same(sanitize(&rendered.html), rendered.html.clone(), "sanitised once is enough")?;
        // Said again as it is stored, it mentions the same people in the same places.
        let Ok(stored) = Draft::parse(rendered.source()) else {
            return Ok(());
        };
        let again = render(&stored, &known);
        same(again.source(), rendered.source(), "parsed and printed")?;
        same(again.mentions, rendered.mentions, "the same people")
    });
}

#[test]
fn no_body_takes_long_to_render() {
    // Unoptimised code is some twenty times slower than a release, whose limit is 50 ms.
    let limit = Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 50 });
    let people = [UserRef { id: UserId::new(1), name: "a".to_owned() }];
    let known = Known { people: &people, everyone: true, rooms: &[] };
    let mut slowest = (Duration::ZERO, &"");
    for piece in heavy::PIECES {
        for body in heavy::bodies(piece) {
            let Ok(draft) = Draft::parse(&body) else {
                continue;
            };
            let started = processor_time();
            let rendered = render(&draft, &known);
            slowest = slowest.max((processor_time() - started, piece));
            assert!(rendered.html.len() < 2 << 20, "{piece:?}: {} bytes", rendered.html.len());
        }
    }
    println!("slowest: {slowest:?}");
    assert!(slowest.0 < limit, "{slowest:?}");
}

/// What this thread has cost so far. The clock on the wall would also count everything else the
/// computer is doing.
fn processor_time() -> Duration {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(spent.split(' ').next().unwrap().parse().unwrap())
}

fn bodies() -> impl Strategy<Value = String> {
    let filler = prop_oneof![Just('a'), Just(' '), Just('\u{1f525}'), Just('\n'), Just('\u{7}')];
    prop_oneof![
        any::<String>(),
        (filler, prop_oneof![0..5_usize, 9_998..10_003_usize, 65_534..65_539_usize, 16_382..16_386_usize])
            .prop_map(|(c, count)| c.to_string().repeat(count)),
        ("[ \n\t]{0,5}", 9_997_usize..10_003, "[ \n\r]{0,5}")
            .prop_map(|(start, count, end)| format!("{start}{}{end}", "x".repeat(count))),
    ]
}

#[test]
fn prop_a_draft_is_accepted_exactly_within_its_limits() {
    check(file!(), 600, &bodies(), |text| {
        let lines = text.replace("\r\n", "\n").replace('\r', "\n");
        let kept = lines.chars().filter(|c| *c == '\n' || *c == '\t' || !c.is_control());
        let kept: String = kept.collect();
        let length = kept.trim().chars().count();
        let takes_no_place = |c: char| "\u{ad}\u{200b}\u{200e}\u{2060}\u{feff}".contains(c);
        let shows = kept.chars().any(|c| !c.is_whitespace() && !takes_no_place(c));
        let allowed = text.len() <= MAX_BODY_BYTES && length <= MAX_BODY_CHARS && shows;
        match Draft::parse(&text) {
            Ok(draft) => {
                same(allowed, true, "accepted")?;
                same(draft.body(), kept.trim(), "trimmed, and nothing else")?;
                let again = Draft::parse(draft.body()).map(|again| again.body().to_owned());
                same(again.ok().as_deref(), Some(draft.body()), "twice is once")
            }
            Err(error) => {
                same(allowed, false, "refused")?;
                same(error.fields().first().map(|one| one.field.as_str()), Some("body"), "field")
            }
        }
    });
}

#[test]
fn prop_a_direct_key_names_exactly_one_set_of_people() {
    let people = || btree_set(1_i64..40, 0..6);
    let strategy = (people(), people(), any::<prop::sample::Index>());
    check(file!(), 1_000, &strategy, |(one, other, at)| {
        let mut shuffled: Vec<i64> = one.iter().copied().collect();
        if !shuffled.is_empty() {
            let at = at.index(shuffled.len());
            shuffled.rotate_left(at);
            shuffled.push(shuffled[at]);
            shuffled.reverse();
        }
        let key = |ids: &mut dyn Iterator<Item = i64>| direct_key(ids.map(UserId::new));
        let first = key(&mut one.iter().copied());
        same(key(&mut shuffled.into_iter()), first.clone(), "order and repetition do not matter")?;
        same(key(&mut other.iter().copied()) == first, one == other, "other people, another key")
    });
}

#[test]
fn prop_a_moment_prints_and_parses_to_itself() {
    check(file!(), 2_000, &(-62_135_596_800_000_i64..253_402_300_799_999), |ms| {
        let moment = Timestamp::from_ms(ms);
        same(Timestamp::parse(&moment.to_string()), Some(moment), "there and back")?;
        let later = Timestamp::from_ms(ms + 1).to_string();
        same(later > moment.to_string(), true, "text sorts like time")
    });
}

#[test]
fn prop_the_next_seq_is_always_later() {
    check(file!(), 200, &(0_i64..i64::MAX), |at| {
        let seq = Seq::new(at);
        same(seq.next() > seq && seq >= Seq::ZERO, true, "strictly increasing")
    });
}

#[test]
fn prop_token_entropy_sufficient() {
    check(file!(), 200, &any::<u64>(), |seed| {
        let token = auth::token(&mut StdRng::seed_from_u64(seed)).unwrap();
        same(token.len(), auth::TOKEN_LENGTH, "length")?;
        same(token.bytes().all(|byte| byte.is_ascii_alphanumeric()), true, &token)?;
        let again = auth::token(&mut StdRng::seed_from_u64(seed)).unwrap();
        same(again, token, "all of it comes from the generator")
    });
    assert_eq!(auth::TOKEN_LENGTH, 32);
    are_distinct_and_even(&mut StdRng::seed_from_u64(7));
    are_distinct_and_even(&mut SysRng);
}

fn are_distinct_and_even<R: TryRng>(random: &mut R)
where
    R::Error: std::fmt::Display,
{
    const COUNT: usize = 100_000;
    let mut seen = BTreeSet::new();
    let mut letters = BTreeMap::new();
    for _ in 0..COUNT {
        let token = auth::token(random).unwrap();
        for letter in token.bytes() {
            *letters.entry(letter).or_insert(0_usize) += 1;
        }
        assert!(seen.insert(token), "a token was drawn twice");
    }
    assert_eq!(letters.len(), 62, "every letter and digit occurs");
    let expected = COUNT * auth::TOKEN_LENGTH / 62;
    // Five standard deviations of a fair draw are about 2 % here.
    for (letter, count) in letters {
        assert!(count.abs_diff(expected) < expected / 40, "{letter}: {count} of {expected}");
    }
}

/// A generator that gives nothing, as in a sandbox without one.
struct Silent;

impl TryRng for Silent {
    type Error = std::fmt::Error;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Err(std::fmt::Error)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Err(std::fmt::Error)
    }

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
        Err(std::fmt::Error)
    }
}

#[test]
fn without_randomness_there_is_no_token() {
    assert!(auth::token(&mut Silent).is_err());
}

#[test]
fn prop_finding_by_name_takes_any_text() {
    use campfire::domain::search::{folded, rank};
    let texts = ("\\PC{0,24}", "\\PC{0,8}");
    check(file!(), 2_000, &texts, |(name, wanted)| {
        let found = rank(&name, &wanted);
        same(found.is_none_or(|rank| rank <= 3), true, "a rank")?;
        same(rank(&name, &name.chars().take(3).collect::<String>()).is_some(), true, "its beginning")?;
        same(rank(&folded(&name), &folded(&wanted)), found, "case and marks")?;
        same(folded(&folded(&name)), folded(&name), "nothing is left to fold")
    });
}
