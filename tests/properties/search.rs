//! Searching: what the index finds in any history is what reading every message would find, and
//! it holds exactly the messages that exist.

use crate::harness::TestApp;
use crate::harness::person::{Answer, Person};
use crate::{check, same};
use campfire::domain::message::plain_text;
use campfire::domain::search::{Query, Unfinished, indexed};
use campfire::domain::{MessageId, RoomId, Timestamp, UserId};
use campfire::server::rich_text::excerpt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use reqwest::Method;
use std::collections::BTreeSet;
use tokio::runtime::{Builder, Runtime};

/// Words whose stems, beginnings and accents meet in every way; and scripts without spaces.
const WORDS: [&str; 20] = [
    "run",
    "runs",
    "running",
    "legend",
    "leg",
    "legs",
    "café",
    "CAFE",
    "AND",
    "or",
    "日",
    "本",
    "日本",
    "本日",
    "ก",
    "กั",
    "🎉",
    "https://example.com",
    "x-ray",
    "ray",
];

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn text() -> impl Strategy<Value = String> {
    vec(prop::sample::select(&WORDS), 1..6).prop_map(|words| words.join(" "))
}

/// A query over the same words: some of them, a phrase, filters.
fn query() -> impl Strategy<Value = String> {
    let filter = prop::sample::select(vec![
        "",
        "",
        "",
        "from:me",
        "from:jas",
        "in:all",
        "in:\"second r\"",
        "has:link",
        "after:2027-01-16",
        "before:2027-01-16",
        "has:code",
    ]);
    let phrase = prop::option::weighted(0.3, vec(prop::sample::select(&WORDS), 1..3));
    let words = vec(prop::sample::select(&WORDS), 0..3);
    (words, phrase, filter.clone(), filter).prop_map(|(words, phrase, one, other)| {
        let phrase = phrase.map(|words| format!("\"{}\"", words.join(" "))).unwrap_or_default();
        [phrase, one.to_owned(), words.join(" "), other.to_owned()].join(" ")
    })
}

#[derive(Clone, Debug)]
enum Deed {
    Say(usize, usize, String),
    Edit(usize, String),
    Delete(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0_usize..2, 0_usize..3, text()).prop_map(|(who, room, text)| Deed::Say(who, room, text)),
        1 => (any::<usize>(), text()).prop_map(|(which, text)| Deed::Edit(which, text)),
        1 => any::<usize>().prop_map(Deed::Delete),
    ]
}

/// A message as the oracle knows it.
struct Known {
    id: MessageId,
    creator: i64,
    room: usize,
    text: String,
    at: Timestamp,
}

/// The parts of a text that count, in order, without case and accents.
fn parts(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric() && c != '🎉' && c != '\u{e31}') {
        let word = word.to_lowercase().replace('é', "e");
        if word.is_ascii() {
            parts.extend((!word.is_empty()).then_some(word));
        } else {
            parts.extend(word.chars().map(String::from));
        }
    }
    parts
}

/// The stem that these few words have.
fn stem(word: &str) -> &str {
    match word {
        "runs" | "running" => "run",
        "legs" => "leg",
        "example" => "exampl",
        other => other,
    }
}

fn contains(said: &[String], wanted: &[String], prefix: bool) -> bool {
    let last = wanted.len() - 1;
    said.windows(wanted.len()).any(|place| {
        place.iter().map(|word| stem(word)).zip(wanted).enumerate().all(|(at, (said, wanted))| {
            said == stem(wanted) || prefix && at == last && said.starts_with(wanted.as_str())
        })
    })
}

/// Reads every message.
fn oracle(known: &[Known], query: &Query, viewer: i64, rooms: &[&str]) -> Vec<i64> {
    let day = 86_400_000;
    let fits = |one: &&Known| {
        let said = parts(&one.text);
        let people = query.people.is_empty() && !query.me
            || query.me && one.creator == viewer
            || query.people.iter().any(|name| name == "jas" && one.creator == 2);
        let asked = |name: &String| rooms[one.room].to_lowercase().starts_with(name.as_str());
        people
            && (query.rooms.is_empty() || query.rooms.iter().any(asked))
            && query.terms.iter().all(|term| contains(&said, &parts(&term.text), term.prefix))
            && query.contents.iter().all(|what| *what == "link" && one.text.contains("http"))
            && query.before.is_none_or(|before| one.at.ms() < before * day)
            && query.after.is_none_or(|after| one.at.ms() >= after * day)
    };
    known.iter().rev().filter(fits).map(|one| one.id.get()).collect()
}

async fn hits(person: &Person, query: &str) -> Vec<i64> {
    let coded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut path = format!("/searches?q={coded}");
    let mut found = Vec::new();
    loop {
        let answer = Answer::read(person.browses(Method::GET, &path)).await;
        assert_eq!(answer.status, 200, "{query}");
        let text = answer.text();
        let links = text.split("#m-").skip(1).filter_map(|rest| rest.split_once('"'));
        found.extend(links.map(|(id, _)| id.parse::<i64>().unwrap()));
        match found.last() {
            Some(last) if text.contains("Older messages") => {
                path = format!("/searches?q={coded}&before={last}");
            }
            _ => return found,
        }
    }
}

#[test]
fn prop_search_equals_reading_everything_and_the_index_holds_what_exists() {
    let runtime = runtime();
    let histories = (vec(deed(), 1..40), vec(deed(), 0..20), vec(query(), 1..12));
    check(file!(), 20, &histories, |(before, after, queries)| {
        runtime.block_on(history_is_searched(&[before, after], &queries))
    });
}

async fn history_is_searched(parts: &[Vec<Deed>; 2], queries: &[String]) -> TestCaseResult {
    let app = TestApp::start().await;
    let people = [app.first_run("david").await, app.join("jason").await];
    let names = ["All Talk", "Second Room", "Hidden"];
    let mut rooms = vec![RoomId::new(1)];
    for name in &names[1..] {
        rooms.push(people[0].opens_room(name).await.id);
    }
    let mut known: Vec<Known> = Vec::new();
    for part in parts {
        for deed in part {
            let picked = |which: &usize| which % known.len().max(1);
            match deed {
                Deed::Say(who, room, text) => {
                    let (who, at) = (&people[*who], app.clock.now());
                    let id = who.posts(text).in_(rooms[*room]).await.id;
                    let text = text.clone();
                    known.push(Known { id, creator: who.id, room: *room, text, at });
                }
                Deed::Edit(which, text) => {
                    let which = picked(which);
                    if let Some(one) = known.get_mut(which) {
                        people[0].edits(one.id, text).await;
                        one.text.clone_from(text);
                    }
                }
                Deed::Delete(which) if !known.is_empty() => {
                    let which = picked(which);
                    people[0].deletes(known.remove(which).id).await;
                }
                Deed::Delete(_) => {}
            }
        }
        // Into the next day, once: sessions live longer.
        if app.clock.now().utc_date() == "2027-01-15" {
            app.clock.advance(std::time::Duration::from_secs(17 * 3_600));
        }
    }
    let mut sql = app.sql().await;
    let leave = format!("DELETE FROM memberships WHERE user_id = 2 AND room_id = {}", rooms[2]);
    sql.run(&leave).await;
    let indexed = sql.numbers("SELECT rowid FROM message_search ORDER BY rowid").await;
    let existing = sql.numbers("SELECT id FROM messages WHERE deleted_at IS NULL ORDER BY id").await;
    same(indexed, existing, "the ids of the index and of the messages")?;
    for text in queries {
        let query = Query::parse(text);
        for person in &people {
            let mut wanted = match query.asks_something() {
                true => oracle(&known, &query, person.id, &names),
                false => Vec::new(),
            };
            let hidden = |id: &i64| known.iter().any(|one| one.id.get() == *id && one.room == 2);
            wanted.retain(|id| person.id == 1 || !hidden(id));
            same(hits(person, text).await, wanted, &format!("{text:?} by {}", person.name))?;
        }
    }
    Ok(())
}

#[test]
fn prop_every_text_is_a_query_without_its_chips_one_less_filter() {
    let pieces = prop_oneof![
        query(),
        any::<String>(),
        "(from|in|has|before|after|x):[\"a-z0-9 -]{0,12}",
        "[\"“”:* ^(){}+-]{0,10}",
    ];
    check(file!(), 2_000, &vec(pieces, 0..4), |pieces| {
        let text = pieces.join(" ");
        let query = Query::parse(&text);
        for chip in &query.chips {
            let rest = Query::parse(&chip.rest);
            // Two halves of an open phrase may meet, which only ever makes fewer filters.
            same(rest.chips.len() < query.chips.len(), true, "one filter less")?;
        }
        let expression = query.expression();
        same(expression.contains('\0'), false, "no end within")?;
        same(expression.matches('"').count() % 2, 0, "every quotation ends")?;
        if let Some(Unfinished { before, stem, beginning }) = query.unfinished() {
            same([before, stem, beginning].concat().contains(['"', '\0']), false, "nothing but words")?;
        }
        let says = !expression.is_empty() || query.unfinished().is_some();
        same(query.asks_something() || !says, true, "nothing asked, nothing said")
    });
}

#[test]
fn prop_an_excerpt_is_part_of_the_text_and_harmless() {
    let texts = prop_oneof![text(), any::<String>(), "[<>&\"'a ]{0,400}"];
    check(file!(), 1_000, &(texts, query()), |(text, query)| {
        let html = excerpt(&text, &Query::parse(&query));
        let bare = html.replace("<mark>", "").replace("</mark>", "");
        same(bare.contains(['<', '>', '"']), false, "escaped")?;
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown = plain_text(&bare);
        let shown = shown.trim_matches(['…', ' ']);
        same(words.contains(shown) || shown.contains('…'), true, "part of the text")
    });
}

#[test]
fn prop_what_is_indexed_cannot_pretend_to_be_a_facet() {
    check(file!(), 1_000, &any::<String>(), |text| {
        let plain = indexed(&text, RoomId::new(1), UserId::new(2));
        let facets: BTreeSet<&str> = plain.split(' ').filter(|w| w.contains('\u{e000}')).collect();
        let known = ["\u{e000}r1", "\u{e000}u2", "\u{e000}link", "\u{e000}code", "\u{e000}mention"];
        same(facets.iter().all(|facet| known.contains(facet)), true, "no facet of their own")
    });
}

#[test]
fn an_excerpt_marks_words_by_their_stem_and_escapes_the_rest() {
    for (query, text, html) in [
        ("run", "She <runs> & ran, running", "She &lt;<mark>runs</mark>&gt; &amp; ran, <mark>running</mark>"),
        ("cafe", "Le CAFÉ\nnoir", "Le <mark>CAFÉ</mark> noir"),
        ("leg", "A legend; the", "A <mark>legend</mark>; the"),
        ("\"leg\"", "A legend", "A legend"),
        ("\"the build\" the", "Build the build", "Build <mark>the</mark> <mark>build</mark>"),
        ("日本", "今日本日", "今<mark>日本</mark>日"),
        ("from:me", "anything", "anything"),
    ] {
        assert_eq!(excerpt(text, &Query::parse(query)), html, "{query}");
    }
}

#[test]
fn an_excerpt_is_cut_around_its_first_mark() {
    let text = format!("{} needle {}", "straw ".repeat(100), "hay ".repeat(100));
    let cut = excerpt(&text, &Query::parse("needle"));
    assert!(cut.starts_with("…straw") && cut.ends_with("hay…"), "{cut}");
    assert!(cut.contains(" <mark>needle</mark> "), "{cut}");
    assert!(cut.chars().count() < 280, "{cut}");
}
