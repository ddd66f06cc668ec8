//! Who is in which room: closed and direct rooms, conversions, leaving, deleting, how much one
//! wants to hear; and that everybody concerned learns it at once, and nobody else anything.

use crate::harness::person::{Answer, Person};
use crate::harness::tab::Tab;
use crate::harness::{TestApp, id_of, sign_up};
use campfire::domain::event::ServerFrame;
use campfire::domain::room::{Involvement, Room, RoomKind};
use campfire::domain::{MessageId, RoomId};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

const ALL_TALK: RoomId = RoomId::new(1);

async fn chat() -> (TestApp, Person, Person, Person) {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let (jason, kevin) = (app.join("jason").await, app.join("kevin").await);
    (app, david, jason, kevin)
}

fn members(answer: &Answer) -> Vec<i64> {
    let room: Value = answer.json();
    room["members"].as_array().unwrap().iter().map(id_of).collect()
}

async fn listens(person: &Person) -> Tab {
    let mut tab = person.connects().await;
    tab.greets(None, None, None).await;
    tab
}

#[tokio::test]
async fn a_closed_room_is_its_members() {
    let (app, david, jason, kevin) = chat().await;
    let mut tab = listens(&jason).await;
    let room = david.opens_closed_room("Founders", &[&jason]).await;
    assert_eq!(room.kind, RoomKind::Closed);
    assert_eq!(tab.hears_of_room(room.id).await.unwrap().name, "Founders");
    jason.posts("inside").in_(room.id).await;
    assert!(!kevin.sees(room.id).await);
    assert_eq!(kevin.posts("outside").perhaps_in(room.id).await.status, 404);
    let newcomer = app.join("mara").await;
    assert!(!newcomer.sees(room.id).await, "newcomers are in open rooms only");

    let path = format!("/api/rooms/{}", room.id);
    let shown = jason.get(&path).await;
    assert_eq!((shown.status, members(&shown)), (200, vec![david.id, jason.id]));
    let shown: Value = shown.json();
    assert_eq!(id_of(&shown["creator"]), david.id);
    assert_eq!((&shown["member_count"], &shown["involvement"]), (&json!(2), &json!("mentions")));
    assert_eq!(kevin.get(&path).await.status, 404);
    let open: Value = kevin.get("/api/rooms/1").await.json();
    assert_eq!((open.get("members"), &open["member_count"]), (None, &json!(4)));
}

#[tokio::test]
async fn only_the_creator_and_administrators_change_a_room() {
    let (_app, david, jason, kevin) = chat().await;
    let room = jason.opens_closed_room("Designers", &[&david, &kevin]).await.id;
    let forbidden = kevin.changes_room(room, &json!({"name": "Mine"})).await;
    assert_eq!(forbidden.refusal(), (403, "forbidden".into(), None));
    assert_eq!(kevin.tries_to_delete_room(room).await.status, 403);
    let page = Answer::read(kevin.browses(Method::GET, &format!("/rooms/{room}/delete"))).await;
    assert_eq!(page.status, 403);
    for (person, name) in [(&jason, "Sketches"), (&david, "Drafts")] {
        let changed = person.changes_room(room, &json!({"name": name, "topic": " Tides "})).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        let entry = kevin.sidebar(room).await;
        assert_eq!((entry.name.as_str(), entry.topic.as_str()), (name, "Tides"));
    }
    for (change, field) in [
        (json!({"name": " "}), "name"),
        (json!({"topic": "x".repeat(201)}), "topic"),
        (json!({"kind": "direct"}), "kind"),
        (json!({"user_ids": []}), "user_ids"),
        (json!({"user_ids": [jason.id, 999]}), "user_ids"),
        (json!({"kind": "open", "user_ids": [jason.id]}), "user_ids"),
    ] {
        let refused = jason.changes_room(room, &change).await;
        assert_eq!(refused.refusal(), (422, "validation".into(), Some(field.into())), "{change}");
    }
    assert_eq!(members(&jason.get(&format!("/api/rooms/{room}")).await).len(), 3);
    // An administrator who is not in it finds nothing there either.
    let private = jason.opens_closed_room("Private", &[&kevin]).await.id;
    assert_eq!(david.changes_room(private, &json!({"name": "x"})).await.status, 404);
    assert_eq!(david.tries_to_delete_room(private).await.status, 404);
}

#[tokio::test]
async fn whoever_is_added_or_removed_learns_it_at_once() {
    let (_app, david, jason, kevin) = chat().await;
    let room = david.opens_closed_room("Founders", &[&jason]).await.id;
    david.posts("before").in_(room).await;
    let (mut inside, mut outside) = (jason.watches(room).await, listens(&kevin).await);
    let path = json!({"user_ids": [david.id, kevin.id]});
    assert_eq!(david.changes_room(room, &path).await.status, 200);
    assert_eq!(inside.hears_of_room(room).await, None, "removed");
    let entry = outside.hears_of_room(room).await.unwrap();
    assert!(!entry.unread, "what was said before they came is not unread");

    david.posts("after").in_(room).await;
    let heard = outside.hears(|frame| matches!(frame, ServerFrame::RoomActivity { .. })).await;
    assert!(matches!(heard, ServerFrame::RoomActivity { room_id, .. } if room_id == room));
    let heard = inside.hears_until_now(&david).await;
    assert!(
        !heard.iter().any(|frame| matches!(
            frame,
            ServerFrame::MessageCreated { .. } | ServerFrame::RoomActivity { .. }
        )),
        "nothing more: {heard:?}"
    );
    assert_eq!(jason.get(&format!("/api/rooms/{room}/messages")).await.status, 404);
    assert!(!jason.sees(room).await);
    // Whoever takes themselves out is told so.
    assert_eq!(david.changes_room(room, &json!({"user_ids": [kevin.id]})).await.status, 204);
}

#[tokio::test]
async fn converting_keeps_the_present_members_and_lets_everybody_in() {
    let (app, david, jason, kevin) = chat().await;
    let room = david.opens_closed_room("Founders", &[&jason]).await.id;
    let mut tab = listens(&kevin).await;
    assert_eq!(david.changes_room(room, &json!({"kind": "open"})).await.status, 200);
    assert_eq!(tab.hears_of_room(room).await.unwrap().kind, RoomKind::Open);
    let mara = app.join("mara").await;
    assert!(mara.sees(room).await);
    assert_eq!(david.changes_room(room, &json!({"kind": "closed"})).await.status, 200);
    assert_eq!(tab.hears_of_room(room).await.unwrap().kind, RoomKind::Closed);
    assert!(mara.sees(room).await && kevin.sees(room).await);
    assert!(!app.join("noor").await.sees(room).await);
}

#[tokio::test]
async fn a_direct_room_exists_once_for_its_people() {
    let (_app, david, jason, kevin) = chat().await;
    let first = david.writes_to(&[&jason]).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let room: Room = first.json();
    assert_eq!((room.name.as_str(), room.kind), ("jason", RoomKind::Direct));
    let again = jason.writes_to(&[&david, &jason, &david]).await;
    assert_eq!(again.status, 200);
    let same: Room = again.json();
    assert_eq!((same.id, same.name.as_str()), (room.id, "david"), "everybody sees the other's name");
    assert_eq!(david.writes_to(&[&jason, &kevin]).await.status, 201, "another set of people");
    let own: Room = david.writes_to(&[]).await.json();
    assert_eq!(own.name, "david");
    let entry = jason.sidebar(room.id).await;
    assert_eq!(entry.involvement, Involvement::Everything);
    assert_eq!(entry.people[0].name, "david");
    let missing = json!({"kind": "direct", "user_ids": [999]});
    let refused = david.send(Method::POST, "/api/rooms", &missing).await;
    assert_eq!(refused.refusal(), (422, "validation".into(), Some("user_ids".into())));
    assert_eq!(david.changes_room(room.id, &json!({"name": "x"})).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_for_one_direct_room_find_the_same() {
    let (app, david, jason, _kevin) = chat().await;
    let asks = (0..20).map(|at| {
        let (david, jason) = (david.clone(), jason.clone());
        tokio::spawn(async move {
            if at % 2 == 0 { david.writes_to(&[&jason]).await } else { jason.writes_to(&[&david]).await }
        })
    });
    let answers: Vec<Answer> = join_all(asks).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert!(answers.iter().all(|answer| id_of(&answer.json()) == id_of(&answers[0].json())));
    let rooms = app.sql().await.number("SELECT count(*) FROM rooms WHERE kind = 'direct'").await;
    assert_eq!(rooms, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_in_every_open_room_however_both_come_about() {
    let (app, david, ..) = chat().await;
    let code = app.join_code().await;
    let people = (0..12).map(|at| {
        let (http, url) = (app.http.clone(), app.url(&format!("/api/join/{code}")));
        let form = sign_up(&format!("newcomer{at}"));
        tokio::spawn(async move { Answer::read(http.post(url).json(&form)).await.status })
    });
    let rooms = (0..12).map(|at| {
        let room = json!({"name": format!("Room {at}"), "kind": "open"});
        let asked = david.request(Method::POST, "/api/rooms").json(&room);
        tokio::spawn(async move { Answer::read(asked).await.status })
    });
    for status in join_all(people.chain(rooms).collect::<Vec<_>>()).await {
        assert_eq!(status.unwrap(), 201);
    }
    let missing = "SELECT count(*) FROM users u CROSS JOIN rooms r WHERE r.kind = 'open'
                   AND NOT EXISTS (SELECT 1 FROM memberships m
                                   WHERE m.user_id = u.id AND m.room_id = r.id)";
    let mut sql = app.sql().await;
    assert_eq!(sql.number("SELECT count(*) FROM rooms WHERE kind = 'open'").await, 13);
    assert_eq!(sql.number(missing).await, 0);
    // Memory says the same as the rows.
    let newcomer = app.sign_in("newcomer7").await;
    assert_eq!(newcomer.rooms().await.len(), 13);
}

#[tokio::test]
async fn a_direct_room_can_be_put_away_but_not_destroyed() {
    let (app, david, jason, _kevin) = chat().await;
    let room = david.writes_to(&[&jason]).await.json::<Room>().id;
    jason.posts("hello").in_(room).await;
    let mut tab = listens(&david).await;
    assert_eq!(david.tries_to_delete_room(room).await.status, 204);
    assert!(tab.hears_of_room(room).await.unwrap().hidden);
    assert!(!david.sees(room).await);
    assert!(jason.sees(room).await, "the other side keeps it");
    assert_eq!(david.page(room, "").await.messages.len(), 1);
    let app = app.restart().await;
    let (david, jason) = (app.meet(&david), app.meet(&jason));
    assert!(!david.sees(room).await, "the database agrees");

    let mut tab = listens(&david).await;
    let mut sql = app.sql().await;
    sql.run("CREATE TRIGGER no BEFORE UPDATE ON memberships BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    jason.posts("are you there?").in_(room).await;
    let entry = tab.hears_of_room(room).await.unwrap();
    assert!(entry.is_shown() && entry.unread);
    assert!(david.sees(room).await);
    sql.run("DROP TRIGGER no").await;

    assert_eq!(david.leaves(room).await.status, 204);
    assert!(!david.sees(room).await);
    assert_eq!(david.writes_to(&[&jason]).await.status, 200);
    assert!(david.sees(room).await, "asked for again, it is back");
}

#[tokio::test]
async fn leaving_is_for_closed_rooms_and_the_last_takes_the_room_along() {
    let (app, david, jason, _kevin) = chat().await;
    let refused = jason.leaves(ALL_TALK).await;
    assert_eq!(refused.refusal(), (422, "validation".into(), Some("kind".into())));
    let room = david.opens_closed_room("Founders", &[&jason]).await.id;
    let mut tab = david.watches(room).await;
    assert_eq!(jason.leaves(room).await.status, 204);
    assert!(!jason.sees(room).await);
    assert_eq!(jason.leaves(room).await.status, 404);
    assert!(tab.hears_of_room(room).await.is_some(), "others learn that somebody left");
    david.posts("alone").in_(room).await;
    assert_eq!(david.leaves(room).await.status, 204);
    assert_eq!(tab.hears_of_room(room).await, None);
    app.running.app.writer.remove_leftovers().await.unwrap();
    let rows = app.sql().await.number("SELECT count(*) FROM rooms").await;
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_deleted_room_is_gone_for_everybody_with_everything_in_it() {
    let (app, david, jason, kevin) = chat().await;
    let room = jason.opens_room("Old").await.id;
    for at in 0..5 {
        david.posts(&format!("tidal {at} @kevin")).in_(room).await;
    }
    let kept = david.posts("tidal").in_(ALL_TALK).await.id;
    let (mut watching, mut elsewhere) = (david.watches(room).await, listens(&kevin).await);
    assert_eq!(jason.tries_to_delete_room(room).await.status, 204);
    assert_eq!(watching.hears_of_room(room).await, None);
    assert_eq!(elsewhere.hears_of_room(room).await, None);
    assert!(!david.sees(room).await);
    assert_eq!(david.get(&format!("/api/rooms/{room}/messages")).await.status, 404);
    assert!(!app.join("mara").await.sees(room).await);
    app.running.app.writer.remove_leftovers().await.unwrap();
    let mut sql = app.sql().await;
    for table in ["messages", "memberships", "mentions"] {
        let left = format!("SELECT count(*) FROM {table} WHERE room_id = {room}");
        assert_eq!(sql.number(&left).await, 0, "{table}");
    }
    let found = "SELECT rowid FROM message_search WHERE message_search MATCH 'tidal'";
    assert_eq!(sql.numbers(found).await, [kept.get()]);
}

#[tokio::test]
async fn involvement_and_stars_are_ones_own_and_reach_every_tab() {
    let (app, david, jason, _kevin) = chat().await;
    let (mut tab, mut other) = (listens(&david).await, listens(&jason).await);
    david.wants(ALL_TALK, "nothing").await;
    assert_eq!(tab.hears_of_room(ALL_TALK).await.unwrap().involvement, Involvement::Nothing);
    let star = david.send(Method::PUT, "/api/rooms/1/star", &json!({"starred": true})).await;
    assert_eq!(star.status, 204);
    assert!(tab.hears_of_room(ALL_TALK).await.unwrap().starred);
    assert_eq!(jason.sidebar(ALL_TALK).await.involvement, Involvement::Mentions);

    david.wants(ALL_TALK, "invisible").await;
    assert!(!tab.hears_of_room(ALL_TALK).await.unwrap().is_shown());
    assert!(!david.sees(ALL_TALK).await);
    jason.posts("unheard").in_(ALL_TALK).await;
    let heard = tab.hears_until_now(&jason).await;
    assert!(heard.iter().all(|frame| !matches!(frame, ServerFrame::RoomActivity { .. })));
    let page = Answer::read(david.browses(Method::GET, &format!("/users/{}", david.id))).await;
    assert!(page.text().contains("Hidden rooms"), "the way back is on the own page");
    let bring_back = david
        .browses(Method::POST, "/rooms/1/involvement")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("involvement=mentions&back=profile");
    let answer = Answer::read(bring_back).await;
    assert_eq!(answer.header("location"), Some(format!("/users/{}", david.id).as_str()));
    assert!(tab.hears_of_room(ALL_TALK).await.unwrap().unread);
    let heard = other.hears_until_now(&david).await;
    let foreign = |frame: &&ServerFrame| {
        matches!(frame, ServerFrame::Room { room }
            if room.starred || room.involvement != Involvement::Mentions)
    };
    assert_eq!(heard.iter().find(foreign), None, "what one wants is nobody else's business");
    let broken = json!({"involvement": "x"});
    let broken = david.send(Method::PUT, "/api/rooms/1/involvement", &broken).await;
    assert_eq!(broken.status, 400);
    let app = app.restart().await;
    let entry = app.meet(&david).sidebar(ALL_TALK).await;
    assert!(entry.starred && entry.unread);
}

#[tokio::test]
async fn an_authors_other_tabs_and_readers_other_devices_agree() {
    let (app, david, jason, _kevin) = chat().await;
    let other = david.opens_room("Other").await.id;
    jason.posts("question").in_(ALL_TALK).await;
    let mut tab = david.watches(other).await;
    david.posts("answer").in_(ALL_TALK).await;
    let entry = tab.hears_of_room(ALL_TALK).await.unwrap();
    assert!(!entry.unread, "one's own words are read, on every device");
    let last = jason.posts("thanks").in_(ALL_TALK).await.id;
    tab.hears(|frame| matches!(frame, ServerFrame::RoomActivity { .. })).await;
    let phone = app.sign_in("david").await;
    phone.reads(ALL_TALK, last.get()).await;
    let read = ServerFrame::Read { room_id: ALL_TALK, message_id: last, mentions: 0 };
    tab.hears(|frame| *frame == read).await;
    jason.deletes(last).await;
    assert_eq!(tab.hears_of_room(ALL_TALK).await.unwrap().last_message_id, Some(MessageId::new(2)));
}

#[tokio::test]
async fn people_are_found_by_the_beginning_of_any_word_of_their_name() {
    let (app, david, _jason, kevin) = chat().await;
    let mut sql = app.sql().await;
    sql.run(&format!("UPDATE users SET name = 'Zoë Müller' WHERE id = {}", kevin.id)).await;
    for (q, expected) in
        [("mull", vec![kevin.id]), ("ZOE", vec![kevin.id]), ("x", vec![]), ("da", vec![david.id])]
    {
        let found: Vec<Value> = david.get(&format!("/api/people?q={q}")).await.json();
        assert_eq!(found.iter().map(id_of).collect::<Vec<_>>(), expected, "{q}");
    }
    let room = david.opens_closed_room("Founders", &[]).await.id;
    let found: Vec<Value> = david.get(&format!("/api/people?room={room}")).await.json();
    let names: Vec<&str> = found.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["david", "everyone"], "who may mention them all is offered that");
}

fn posts_form(person: &Person, path: &str, body: &str) -> reqwest::RequestBuilder {
    person
        .browses(Method::POST, path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.to_owned())
}

/// The people in a form as a browser would send them: those listed, and those chosen.
fn people_in(page: &Answer) -> (Vec<i64>, Vec<i64>) {
    let text = page.text();
    let inputs = |name: &str, suffix: &str| -> Vec<i64> {
        let start = format!("name=\"{name}\" value=\"");
        let parts = text.split(&start).skip(1);
        let values = parts.filter_map(|part| part.split_once('"'));
        let wanted = values.filter(|(_, rest)| rest.starts_with(suffix));
        wanted.map(|(value, _)| value.parse().unwrap()).collect()
    };
    (inputs("listed", ""), inputs("user_ids", " checked"))
}

#[tokio::test]
async fn everybody_can_be_chosen_however_many_there_are() {
    let (app, david, jason, _kevin) = chat().await;
    let mut sql = app.sql().await;
    sql.run(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
         INSERT INTO users (id, name, email_address, password_digest, role, created_at)
         SELECT 1000 + i, printf('p%03d', i), 'p' || i || '@many.example', '', 'member', 0 FROM n",
    )
    .await;
    let sends = async |path: &str, listed: &[i64], chosen: &[i64], rest: &str| {
        let field =
            |name: &str, ids: &[i64]| ids.iter().map(|id| format!("&{name}={id}")).collect::<String>();
        let body = format!("name=Founders&topic=Tides&kind=closed{rest}");
        let body = body + &field("listed", listed) + &field("user_ids", chosen);
        Answer::read(posts_form(&jason, path, &body)).await
    };
    let first = Answer::read(jason.browses(Method::GET, "/rooms/new")).await;
    let (listed, _) = people_in(&first);
    assert!(listed.contains(&1001) && !listed.contains(&1600), "the first five hundred");

    // Whoever was chosen stays so while others are looked for, and so does what was typed.
    let found = sends("/rooms", &listed, &[1001], "&look=1&name_of=P6").await;
    let (listed, mut chosen) = people_in(&found);
    assert_eq!((found.status, listed.as_slice(), chosen.as_slice()), (200, &[1001, 1600][..], &[1001][..]));
    assert!(found.text().contains("value=\"Tides\""));
    chosen.push(1600);
    let made = sends("/rooms", &listed, &chosen, "&look=1&name_of=").await;
    assert_eq!(made.status, 303, "{}", made.text());
    let path = made.header("location").unwrap().to_owned();
    let room = RoomId::new(path.rsplit('/').next().unwrap().parse().unwrap());
    assert_eq!(members(&jason.get(&format!("/api/rooms/{room}")).await), [jason.id, 1001, 1600]);

    // In a room's settings neither is lost: who is about to go, and who is about to come.
    let settings = format!("{path}/edit");
    let first = Answer::read(jason.browses(Method::GET, &settings)).await;
    let (listed, chosen) = people_in(&first);
    assert_eq!(chosen, [jason.id, 1001, 1600], "members come first");
    let found = sends(&settings, &listed, &[david.id, jason.id, 1600], "&look=1&name_of=p59").await;
    let (listed, mut chosen) = people_in(&found);
    assert!(listed.contains(&1001) && listed.contains(&1599), "{listed:?}");
    assert_eq!(chosen, [jason.id, david.id], "whoever made the room stays in sight");
    chosen.push(1599);
    assert_eq!(sends(&settings, &listed, &chosen, "").await.status, 303);
    let mut expected = vec![david.id, jason.id, 1599, 1600];
    let mut now = members(&jason.get(&format!("/api/rooms/{room}")).await);
    expected.sort_unstable();
    now.sort_unstable();
    assert_eq!(now, expected, "p600 was not listed the last time");

    let found = sends("/rooms/directs", &[], &[david.id], "&look=1&name_of=p600").await;
    let (listed, chosen) = people_in(&found);
    assert_eq!((found.status, listed, chosen), (200, vec![david.id, 1600], vec![david.id]));
}

#[tokio::test]
async fn every_form_works_without_scripts() {
    let (_app, david, jason, kevin) = chat().await;
    let body = format!("name=Founders&topic=Tides&kind=closed&user_ids={}", jason.id);
    let made = Answer::read(posts_form(&david, "/rooms", &body)).await;
    assert_eq!(made.status, 303);
    let path = made.header("location").unwrap().to_owned();
    let room: RoomId = RoomId::new(path.rsplit('/').next().unwrap().parse().unwrap());
    assert!(jason.sees(room).await && !kevin.sees(room).await);

    let broken = Answer::read(posts_form(&david, "/rooms", "name=+&topic=Kept&kind=closed")).await;
    assert_eq!(broken.status, 422);
    assert!(broken.text().contains("value=\"Kept\""), "what was typed stands in the form again");

    // Only those who were listed and not chosen go.
    let form = format!("name=Founders&kind=closed&user_ids={}&listed={}", david.id, david.id);
    assert_eq!(Answer::read(posts_form(&david, &format!("{path}/edit"), &form)).await.status, 303);
    assert!(jason.sees(room).await, "jason was not listed");
    let form = format!("{form}&listed={}&user_ids={}&listed={}", jason.id, kevin.id, kevin.id);
    assert_eq!(Answer::read(posts_form(&david, &format!("{path}/edit"), &form)).await.status, 303);
    assert!(!jason.sees(room).await && kevin.sees(room).await);
    let page = Answer::read(kevin.browses(Method::GET, &format!("{path}/edit"))).await;
    assert!(page.status == 200 && !page.text().contains("Save room"), "for reading only");
    let forbidden = Answer::read(posts_form(&kevin, &format!("{path}/edit"), &form)).await;
    assert_eq!(forbidden.status, 403);

    let direct = Answer::read(posts_form(&david, "/rooms/directs", &format!("user_ids={}", kevin.id)));
    let direct = direct.await.header("location").unwrap().to_owned();
    let page = Answer::read(david.browses(Method::GET, &direct)).await;
    assert!(page.text().contains("<title>kevin · "), "called by the other's name");
    for (path, place) in [
        (format!("{direct}/leave"), "/"),
        (format!("{path}/star"), path.as_str()),
        (format!("{path}/delete"), "/"),
    ] {
        let answer = Answer::read(posts_form(&david, &path, "starred=true")).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some(place)), "{path}");
    }
    assert!(!david.sees(room).await && !kevin.sees(room).await);
}

#[tokio::test]
async fn five_thousand_people_are_let_in_by_one_statement() {
    let (app, david, _jason, kevin) = chat().await;
    let mut sql = app.sql().await;
    sql.run(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         INSERT INTO users (name, email_address, password_digest, role, created_at)
         SELECT 'p' || i, 'p' || i || '@many.example', '', 'member', 0 FROM n",
    )
    .await;
    let room = david.opens_closed_room("Founders", &[]).await.id;
    let started = std::time::Instant::now();
    assert_eq!(david.changes_room(room, &json!({"kind": "open"})).await.status, 200);
    assert!(started.elapsed() < std::time::Duration::from_secs(2), "{:?}", started.elapsed());
    let granted = format!("SELECT count(*) FROM memberships WHERE room_id = {room}");
    assert_eq!(sql.number(&granted).await, 5_003);
    assert!(kevin.sees(room).await);
}
