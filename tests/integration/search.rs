//! Searching: what is found, by whom, in which order, and what the page says about it.

use crate::harness::TestApp;
use crate::harness::person::{Answer, Person};
use campfire::domain::{MessageId, RoomId};
use reqwest::Method;
use std::time::Duration;

const ALL_TALK: RoomId = RoomId::new(1);
/// From the morning when tests begin into the next day; sessions live longer.
const NIGHT: Duration = Duration::from_secs(17 * 3_600);

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn page(person: &Person, query: &str) -> Answer {
    Answer::read(person.browses(Method::GET, &format!("/searches?q={}", encoded(query)))).await
}

async fn posts_form(person: &Person, path: &str, body: String) -> Answer {
    let request = person.browses(Method::POST, path);
    let kind = ("content-type", "application/x-www-form-urlencoded");
    Answer::read(request.header(kind.0, kind.1).body(body)).await
}

/// The messages a page links to, top to bottom.
fn linked(page: &str) -> Vec<i64> {
    let links = page.split("#m-").skip(1).filter_map(|rest| rest.split_once('"'));
    links.map(|(id, _)| id.parse().unwrap()).collect()
}

async fn hits(person: &Person, query: &str) -> Vec<i64> {
    let answer = page(person, query).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    linked(&answer.text())
}

/// Each of these queries finds these messages, the newest first.
async fn finds(person: &Person, expected: &[(&str, Vec<i64>)]) {
    for (query, found) in expected {
        assert_eq!(hits(person, query).await, *found, "{query}");
    }
}

/// The order in which they were posted, from 1: ids count them.
async fn says(person: &Person, room: RoomId, texts: &[&str]) {
    for text in texts {
        person.posts(text).in_(room).await;
    }
}

#[tokio::test]
async fn words_are_found_by_their_stem_and_the_last_one_by_its_beginning() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let texts = ["The legend's contrast", "She runs", "running late", "Ölfarben im Café", "ran"];
    says(&david, ALL_TALK, &texts).await;
    finds(
        &david,
        &[
            ("run", vec![3, 2]),
            ("leg", vec![1]),
            ("leg contrast", vec![]),
            ("contrast leg", vec![1]),
            ("CONTRASTS", vec![1]),
            ("le", vec![]),
            ("cafe", vec![4]),
            ("olfarb", vec![4]),
            ("\"contrast legend\"", vec![]),
            ("\"legend's contrast\"", vec![1]),
            ("“the legend", vec![1]),
            ("late running", vec![3]),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_unfinished_word_is_found_whatever_it_goes_on_to() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    says(&david, ALL_TALK, &["contrasts", "a contraption", "contra dancing", "contra", "Kontra"]).await;
    finds(
        &david,
        &[
            ("contra", vec![4, 3, 2, 1]),
            ("contras", vec![4, 3, 1]),
            ("contrasting", vec![1]),
            ("contradict", vec![]),
            ("a contrap", vec![2]),
            ("contra danc", vec![3]),
            ("\"contra dan\"", vec![]),
            ("\"contra dances\"", vec![3]),
        ],
    )
    .await;
    // More endings than are followed one by one.
    let many: Vec<String> = (0..30).map(|number| format!("contra{number}")).collect();
    says(&david, ALL_TALK, &many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    says(&david, ALL_TALK, &["contrast"]).await;
    assert_eq!(hits(&david, "contra2").await, (26..=35).rev().chain([8]).collect::<Vec<_>>());
    assert_eq!(hits(&david, "contra").await, (12..=36).rev().collect::<Vec<_>>(), "the newest page");
    assert_eq!(hits(&david, "contrasts").await, [36, 1]);
}

#[tokio::test]
async fn marks_on_letters_do_not_matter() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let texts = ["nǐ hǎo", "Muḥammad", "Ölfarben", "ol\u{30a}", "Straße", "जल पानी", "Οδός ΟΔΌΣ"];
    says(&david, ALL_TALK, &texts).await;
    finds(
        &david,
        &[
            ("ni hao", vec![1]),
            ("muham", vec![2]),
            ("ÖLFARB", vec![3]),
            ("\"ól\"", vec![4]),
            ("strasse", vec![5]),
            ("पानी", vec![6]),
            ("\"οδός οδός\"", vec![7]),
            // A mark is no word, and no letter of an unfinished one.
            ("\u{301} hao", vec![1]),
            ("ol\u{301}", vec![4]),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_long_query_is_looked_for_by_its_first_words() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let long: Vec<String> = (0..50).map(|number| format!("w{number}")).collect();
    says(&david, ALL_TALK, &[&long.join(" "), "w0 w1", &long[..32].join("-")]).await;
    assert_eq!(hits(&david, &long.join(" ")).await, [3, 1], "the first 32");
    assert_eq!(hits(&david, &long.join("-")).await, [3, 1], "and of a phrase");
    assert_eq!(
        hits(&david, &format!("{} contrast", long[..31].join(" "))).await,
        Vec::<i64>::new(),
        "no fewer"
    );
    // Behind many words of a phrase the beginning is looked for in another way.
    assert_eq!(hits(&david, "w0-w1-w2-w3-w4").await, [3, 1]);
    says(&david, ALL_TALK, &["one two three four fivefold"]).await;
    assert_eq!(hits(&david, "one-two-three-four-five").await, [4]);
}

#[tokio::test]
async fn scripts_without_spaces_are_found_by_any_part() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let texts = ["今日本日は晴れ", "ภาษาไทยง่าย", "𠮷野家で🎉", "ข้าวผัดกุ้ง", "日 本", "서울에서 만나"];
    says(&david, ALL_TALK, &texts).await;
    finds(
        &david,
        &[
            ("日", vec![5, 1]),
            ("日本", vec![5, 1]),
            ("本日は", vec![1]),
            ("日晴", vec![]),
            ("ไทย", vec![2]),
            ("ผัด", vec![4]),
            ("ผด", vec![]),
            ("𠮷", vec![3]),
            ("🎉", vec![3]),
            ("서울", vec![6]),
            ("울에", vec![6]),
        ],
    )
    .await;
}

#[tokio::test]
async fn filters_narrow_and_can_be_taken_away() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jon").await);
    let renamed = format!("UPDATE users SET name = 'Jón Åström' WHERE id = {}", jason.id);
    app.sql().await.run(&renamed).await;
    let room = david.opens_room("Café Society").await.id;
    says(&david, ALL_TALK, &["coffee one", "coffee https://example.com"]).await;
    app.clock.advance(NIGHT);
    says(&jason, room, &["coffee three", "tea"]).await;
    let today = app.clock.now().utc_date();
    finds(
        &david,
        &[
            ("coffee", vec![3, 2, 1]),
            ("coffee from:me", vec![2, 1]),
            ("from:jon", vec![4, 3]),
            ("from:\"jon as\" coffee", vec![3]),
            ("from:ASTROM", vec![4, 3]),
            ("from:david from:jon coffee", vec![3, 2, 1]),
            ("in:cafe", vec![4, 3]),
            ("in:\"cafe soc\" coffee", vec![3]),
            ("in:all coffee has:link", vec![2]),
            ("HAS:LINK", vec![2]),
            ("has:code", vec![]),
            ("has:mention", vec![]),
            (&*format!("coffee before:{today}"), vec![2, 1]),
            (&*format!("coffee after:{today}"), vec![3]),
            ("before:2027-01", vec![]),
            ("after:2027-01", vec![4, 3, 2, 1]),
            ("after:2027 before:2028", vec![4, 3, 2, 1]),
            ("coffee before:1999", vec![]),
        ],
    )
    .await;
    for (query, sentence) in [
        ("from:nobody coffee", "Nobody here is called nobody."),
        ("in:nowhere", "You are in no room called nowhere."),
        ("!!!", "There is no word in that to look for."),
        ("zebra", "Nothing found."),
        ("coffee", "3 messages, newest first."),
        ("before:tomorrow", "Nothing found."),
    ] {
        assert!(page(&david, query).await.text().contains(sentence), "{query}");
    }
    let chips = page(&david, "in:cafe coffee from:jon").await.text();
    assert!(chips.contains("href=\"/searches?q=coffee+from%3Ajon\""), "{chips}");
    assert!(chips.contains("href=\"/searches?q=in%3Acafe+coffee\""), "{chips}");
    assert!(chips.contains("<mark>coffee</mark> three"), "{chips}");
}

#[tokio::test]
async fn only_rooms_one_may_read_are_searched_and_changes_count_at_once() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let mut sql = app.sql().await;
    let secret = david.opens_room("secret").await.id;
    let post = david.posts("zebra crossing").in_(secret).await;
    assert_eq!(hits(&jason, "zebra").await, [post.id.get()]);
    let leave = format!("DELETE FROM memberships WHERE user_id = {} AND room_id = {secret}", jason.id);
    sql.run(&leave).await;
    for query in ["zebra", "zebra in:secret", "from:david", "in:secret"] {
        assert_eq!(hits(&jason, query).await, [0_i64; 0], "{query}");
    }
    assert!(page(&jason, "in:secret").await.text().contains("You are in no room called secret."));

    david.edits(post.id, "quagga crossing").await;
    assert_eq!(hits(&david, "zebra").await, [0_i64; 0]);
    assert_eq!(hits(&david, "quagga").await, [post.id.get()]);
    david.deletes(post.id).await;
    assert_eq!(hits(&david, "quagga in:secret").await, [0_i64; 0]);
    assert_eq!(sql.number("SELECT count(*) FROM message_search").await, 0);

    david.posts("okapi crossing").in_(secret).await;
    sql.run(&format!("DELETE FROM rooms WHERE id = {secret}")).await;
    assert_eq!(sql.number("SELECT count(*) FROM message_search").await, 0, "gone with its room");
}

#[tokio::test]
async fn a_room_of_two_is_found_by_the_other_person_and_names_follow_their_owners() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let mut sql = app.sql().await;
    sql.run(
        "INSERT INTO rooms (id, name, kind, creator_id, direct_key, created_at)
             VALUES (9, '', 'direct', 1, '1,2', 0)",
    )
    .await;
    for user in [david.id, jason.id] {
        sql.run(&format!(
            "INSERT INTO memberships (user_id, room_id, involvement, created_at)
             VALUES ({user}, 9, 'everything', 0)"
        ))
        .await;
    }
    says(&david, RoomId::new(9), &["between us"]).await;
    assert_eq!(hits(&david, "in:jas").await, [1]);
    assert_eq!(hits(&jason, "in:jas").await, [0_i64; 0], "that is not what it is called for him");
    assert!(page(&jason, "between").await.text().contains(">david</span>"));
    sql.run("UPDATE users SET name = 'Zoë' WHERE id = 1").await;
    assert_eq!(hits(&jason, "from:zoe").await, [1]);
    assert_eq!(hits(&jason, "from:david").await, [0_i64; 0]);
}

#[tokio::test]
async fn hits_come_in_pages_newest_first_each_once() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let other = david.opens_room("other").await.id;
    for at in 0..60 {
        david.posts(&format!("needle {at}")).in_(if at % 3 == 0 { other } else { ALL_TALK }).await;
    }
    let (mut path, mut seen) = (format!("/searches?q={}", encoded("needle")), Vec::new());
    let mut pages = 0;
    loop {
        pages += 1;
        let text = Answer::read(david.browses(Method::GET, &path)).await.text();
        seen.extend(linked(&text));
        let Some((before, _)) = text.split_once("\">Older messages") else { break };
        let (_, href) = before.rsplit_once("href=\"").unwrap();
        path = href.split_once('"').unwrap().0.replace("&amp;", "&");
        assert!(pages < 9, "{path}");
    }
    assert_eq!(seen, (1..=60).rev().collect::<Vec<_>>());
    assert_eq!(pages, 3);
    assert!(path.contains("before="), "{path}");
}

#[tokio::test]
async fn ten_searches_are_remembered_and_forgotten_on_demand() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    for at in (0..12).chain([5]) {
        let answer = posts_form(&david, "/searches", format!("q=word{at}")).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert_eq!(answer.header("location"), Some(&*format!("/searches?q=word{at}")));
    }
    // Nothing to look for is nothing to remember.
    posts_form(&david, "/searches", "q=+%21".to_owned()).await;
    page(&david, "only looked at").await;
    let mut sql = app.sql().await;
    let kept = sql.texts("SELECT query FROM searches ORDER BY id DESC").await;
    let wanted = [5, 11, 10, 9, 8, 7, 6, 4, 3, 2].map(|at| format!("word{at}"));
    assert_eq!(kept, wanted);
    let shown = page(&david, "").await.text();
    assert!(shown.find("word5").unwrap() < shown.find("word11").unwrap());
    assert!(!page(&jason, "").await.text().contains("word5"), "each has their own");
    let answer = posts_form(&david, "/searches/clear", String::new()).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/searches")));
    assert!(!page(&david, "").await.text().contains("Recent searches"));
    posts_form(&jason, "/searches", "q=mine".to_owned()).await;
    sql.run(&format!("UPDATE users SET active = 0 WHERE id = {}", jason.id)).await;
    assert_eq!(sql.number("SELECT count(*) FROM searches").await, 0);
}

#[tokio::test]
async fn a_search_begins_with_the_room_one_comes_from() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    david.posts("hello").in_(ALL_TALK).await;
    let asks = async |path: &str| {
        let answer = Answer::read(david.browses(Method::GET, path)).await;
        assert_eq!(answer.status, 303, "{path}");
        answer.header("location").unwrap().to_owned()
    };
    assert_eq!(asks("/searches?in=1").await, "/searches?q=in%3A%22All+Talk%22");
    assert_eq!(asks("/searches?in=99").await, "/searches");
    assert_eq!(hits(&david, "in:\"All Talk\"").await, [1]);
    let room = Answer::read(david.browses(Method::GET, "/rooms/1")).await.text();
    assert!(room.contains("href=\"/searches?in=1\""));
}

#[tokio::test]
async fn every_string_has_an_answer() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    says(&david, ALL_TALK, &["AND or not near", "semi;colon *star* \"quoted\" ^up"]).await;
    finds(
        &david,
        &[
            ("AND", vec![1]),
            ("NOT near", vec![1]),
            ("NEAR(a b)", vec![]),
            ("or AND", vec![1]),
            ("*", vec![]),
            ("\"", vec![]),
            ("\"\"", vec![]),
            ("\"quoted", vec![2]),
            ("body:semi", vec![]),
            ("^up", vec![2]),
            ("- + {} () : ;", vec![]),
            ("\u{0}semi\u{0}", vec![2]),
            ("\u{e000}r1", vec![]),
            ("from:", vec![]),
            ("from:\"\"", vec![]),
            ("from:! in:?", vec![]),
            ("%", vec![]),
            ("½ ² ª", vec![]),
        ],
    )
    .await;
    let long = "word ".repeat(2_000);
    assert_eq!(hits(&david, &long).await, [0_i64; 0]);
    for path in ["/searches?q=%FF%00%E6&q=2", "/searches?before=x&q=semi", "/searches?=&&q", "/searches"] {
        assert_eq!(Answer::read(david.browses(Method::GET, path)).await.status, 200, "{path}");
    }
    let gone = Answer::read(david.browses(Method::GET, "/searches?q=semi&before=-1")).await;
    assert!(gone.text().contains("Nothing older found."));
}

#[tokio::test]
async fn messages_from_before_the_index_are_indexed_at_the_next_start() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    says(&david, ALL_TALK, &["zebra", "日本", "gone"]).await;
    david.deletes(MessageId::new(3)).await;
    app.sql().await.run("DELETE FROM message_search").await;
    app.sql().await.run("INSERT INTO search_backlog VALUES (2)").await;
    let app = app.restart().await;
    let david = app.meet(&david);
    assert_eq!(hits(&david, "zebra").await, [1]);
    assert_eq!(hits(&david, "本").await, [2]);
    let mut sql = app.sql().await;
    assert_eq!(sql.number("SELECT count(*) FROM search_backlog").await, 0);
    assert_eq!(sql.numbers("SELECT rowid FROM message_search").await, [1, 2]);
}
