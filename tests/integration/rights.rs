//! Who may do what: every route and every command of the socket, for every kind of visitor and
//! every kind of room. What is expected comes from the table of rights alone, so a new route needs
//! an entry there and, for what its address contains, a sample here.

use crate::harness::person::{Answer, Person};
use crate::harness::tab::Tab;
use crate::harness::{PASSWORD, Sql, TestApp, client_id, email};
use campfire::domain::event::{ClientFrame, PROTOCOL, ServerFrame};
use campfire::domain::room::Room;
use campfire::domain::{MessageId, RoomId};
use campfire::server::auth;
use reqwest::Method;
use serde::Deserialize;
use std::collections::BTreeMap;

/// See the table itself.
const RIGHTS: &str = include_str!("../../src/server/http/rights.txt");

/// One line of it: the method (`WS` for commands of the socket), the path, the right.
type Entry = (&'static str, &'static str, Right);

fn table() -> Vec<Entry> {
    let lines = RIGHTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entries = lines.map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        [method, path, right] => (method, path, serde_json::from_value(serde_json::json!(right)).unwrap()),
        _ => panic!("{line}"),
    });
    let entries: Vec<Entry> = entries.collect();
    assert!(entries.len() > 90, "{} entries", entries.len());
    entries
}

/// What an address asks of whoever comes; the table says what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Right {
    Anyone,
    SignedIn,
    Person,
    Member,
    AuthorOrAdministrator,
    RoomCreatorOrAdministrator,
    Administrator,
    OwnSelf,
    Operator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Visitor {
    Anonymous,
    Stranger,
    Member,
    ExMember,
    Banned,
    Deactivated,
    Bot,
    Creator,
    Administrator,
}

use Visitor::*;

const VISITORS: [Visitor; 9] =
    [Anonymous, Stranger, Member, ExMember, Banned, Deactivated, Bot, Creator, Administrator];

/// What the table promises. `Member` wrote the sample message, made the sample invite link and
/// owns the sample session; the administrator is in every room. Everybody but bots is in an open room; and
/// nobody rules a direct one: deleting it puts it away for oneself.
fn may((method, path, right): &Entry, visitor: Visitor, room: i64) -> bool {
    let inside = !matches!(visitor, Anonymous | Banned | Deactivated);
    let right = match (right, room) {
        (Right::Member, OPEN) => Right::Person,
        (Right::RoomCreatorOrAdministrator, DIRECT) => {
            let deletes = *method == "DELETE" || (*method == "POST" && path.ends_with("/delete"));
            return deletes && may(&("", "", Right::Member), visitor, room);
        }
        (right, _) => *right,
    };
    match right {
        Right::Anyone => true,
        Right::SignedIn => inside,
        Right::Person => inside && visitor != Bot,
        Right::Member => matches!(visitor, Member | Bot | Creator | Administrator),
        Right::AuthorOrAdministrator => matches!(visitor, Member | Administrator),
        Right::RoomCreatorOrAdministrator => matches!(visitor, Creator | Administrator),
        Right::Administrator | Right::Operator => visitor == Administrator,
        Right::OwnSelf => visitor == Member,
    }
}

struct Stage {
    app: TestApp,
    sql: Sql,
    founder: Person,
    ids: BTreeMap<Visitor, i64>,
    victim: i64,
    tokens: u32,
}

// Room 1 is the founder's.
const OPEN: i64 = 2;
const CLOSED: i64 = 3;
const DIRECT: i64 = 4;

impl Stage {
    async fn set() -> Self {
        let app = TestApp::start().await;
        let founder = app.first_run("david").await;
        let mut sql = app.sql().await;
        let mut ids = BTreeMap::from([(Administrator, founder.id)]);
        for visitor in VISITORS.into_iter().filter(|one| !matches!(one, Anonymous | Administrator)) {
            let role = if visitor == Bot { "bot" } else { "member" };
            ids.insert(visitor, person(&mut sql, &format!("{visitor:?}"), role).await);
        }
        let victim = person(&mut sql, "victim", "member").await;
        // They came into the database without the writer's knowledge; a restart learns of them.
        let app = app.restart().await;
        let founder = app.meet(&founder);
        let styles = serde_json::json!({"styles": "body { color: red }"});
        let styled = founder.send(Method::PUT, "/api/account/styles", &styles).await;
        assert_eq!(styled.status, 204);
        let mut stage = Self { app, sql, founder, ids, victim, tokens: 0 };
        let all = [Member, Banned, Deactivated, Bot, Administrator, ExMember];
        stage.opens("open", &[], OPEN).await;
        stage.opens("closed", &all, CLOSED).await;
        stage.opens("direct", &all[..5], DIRECT).await;
        let (creator, _) = stage.arrives(Creator).await.unwrap();
        let stay = all[..5].iter().chain(&[Creator]).map(|one| stage.ids[one]);
        let stay: Vec<i64> = stay.collect();
        let stay = serde_json::json!({"user_ids": stay});
        let left = creator.changes_room(RoomId::new(CLOSED), &stay);
        assert_eq!(left.await.status, 200);
        for (visitor, since) in [(Banned, "1"), (Deactivated, "NULL")] {
            let id = stage.ids[&visitor];
            let out = format!("UPDATE users SET active = 0, banned_at = {since} WHERE id = {id}");
            stage.sql.run(&out).await;
        }
        stage
    }

    /// `Creator` opens a room; `id` is the one it must get, or zero.
    async fn opens(&mut self, kind: &str, people: &[Visitor], id: i64) -> i64 {
        let (creator, _) = self.arrives(Creator).await.unwrap();
        let people: Vec<i64> = people.iter().map(|visitor| self.ids[visitor]).collect();
        let room = serde_json::json!({"name": kind, "kind": kind, "user_ids": people});
        let room: Room = creator.send(Method::POST, "/api/rooms", &room).await.json();
        assert!(id == 0 || room.id.get() == id);
        room.id.get()
    }

    /// A room of the same kind as another that may be spoilt. Nothing spoils a direct one.
    async fn one_like(&mut self, room: i64) -> i64 {
        match room {
            OPEN => self.opens("open", &[], 0).await,
            CLOSED => self.opens("closed", &[Member, Bot, Administrator], 0).await,
            room => room,
        }
    }

    /// A fresh session of a visitor, so that signing out or being kept out spoils no other case.
    async fn arrives(&mut self, visitor: Visitor) -> Option<(Person, i64)> {
        let id = *self.ids.get(&visitor)?;
        self.tokens += 1;
        let token = format!("{:0>32}", self.tokens);
        let session = self.session(id, &token).await;
        Some((self.founder.with_token(&token), session))
    }

    async fn session(&mut self, user_id: i64, token: &str) -> i64 {
        let digest = hex(token);
        let end = self.app.clock.now().ms() + 3_600_000;
        self.sql
            .run(&format!(
                "INSERT INTO sessions (token_digest, user_id, user_agent, ip_address,
                                       last_active_at, expires_at, created_at)
                 VALUES (x'{digest}', {user_id}, '', '', {now}, {end}, {now})",
                now = self.app.clock.now().ms()
            ))
            .await;
        self.sql.number("SELECT max(id) FROM sessions").await
    }

    /// Puts back what an earlier case may have changed, and fills an address's gaps.
    async fn prepare(&mut self, path: &str, room: i64) -> String {
        let (member, victim) = (self.ids[&Member], self.victim);
        let (message, seq) = (100 + room, self.sql.number("SELECT last_seq FROM sequence").await);
        let mut put_back = vec![
            format!("UPDATE users SET active = 1, banned_at = NULL, role = 'member' WHERE id = {victim}"),
            "UPDATE invites SET revoked_at = NULL".to_owned(),
            "DELETE FROM links".to_owned(),
            "UPDATE users SET role = 'administrator', email_address = 'david@example.com'
             WHERE id = 1"
                .to_owned(),
            format!(
                "INSERT OR IGNORE INTO messages (id, seq, room_id, creator_id, client_message_id,
                                                 body, body_html, created_at)
                 VALUES ({message}, -{room}, {room}, {member}, '{}', 'hello', 'hello', 0)",
                client_id()
            ),
            format!("UPDATE messages SET deleted_at = NULL, body = 'hello' WHERE id = {message}"),
            format!(
                "INSERT OR IGNORE INTO invites (id, code, creator_id, created_at)
                 VALUES (77, 'AAAA-BBBB-CCCC', {member}, 0)"
            ),
        ];
        let end = self.app.clock.now().ms() + 3_600_000;
        for (purpose, token) in [("sign_in", "s"), ("reset", "r")] {
            put_back.push(format!(
                "INSERT INTO links (token_digest, purpose, user_id, creator_id, expires_at, created_at)
                 VALUES (x'{}', '{purpose}', {victim}, 1, {end}, {seq})",
                hex(&token.repeat(32))
            ));
        }
        for statement in put_back {
            self.sql.run(&statement).await;
        }
        self.tokens += 1;
        let own = self.session(member, &format!("own{:0>29}", self.tokens)).await;
        let styles = self.app.running.app.find_account().await.unwrap().unwrap().styles.clone();
        let id = match path {
            path if path.contains("messages/{id}") => message,
            path if path.contains("invites") => 77,
            _ => own,
        };
        path.replace("{room_id}", &room.to_string())
            .replace("{id}", &id.to_string())
            .replace("{at}", &format!("@{message}"))
            .replace("{user_id}", &victim.to_string())
            .replace("{code}", "AAAA-BBBB-CCCC")
            .replace("/link/{token}", &format!("/link/{}", "s".repeat(32)))
            .replace("/reset/{token}", &format!("/reset/{}", "r".repeat(32)))
            .replace("{file}", &format!("{}.css", styles.unwrap()))
            .replace("{build}/{*path}", "x/favicon.svg")
    }

    async fn asks(&mut self, visitor: Visitor, (method, path, right): &Entry, room: i64) -> Answer {
        let spoils = *right == Right::RoomCreatorOrAdministrator || path.ends_with("/leave");
        let room = if spoils { self.one_like(room).await } else { room };
        let address = self.prepare(path, room).await;
        let arrived = self.arrives(visitor).await;
        // What a DELETE names beside its address; others take no notice.
        let wish = if *method == "DELETE" { "?content=hi" } else { "" };
        let url = self.app.url(&format!("{address}{wish}"));
        let name = Method::from_bytes(method.as_bytes()).unwrap();
        // Through a proxy: nobody counts as a program on the same computer.
        let request = self.app.http.request(name, url).header("x-forwarded-for", "203.0.113.5");
        let request = match &arrived {
            Some((person, _)) => request.bearer_auth(&person.token),
            None => request.header("sec-fetch-site", "same-origin"),
        };
        Answer::read(fill(request, method, path)).await
    }
}

async fn person(sql: &mut Sql, name: &str, role: &str) -> i64 {
    sql.run(&format!(
        "INSERT INTO users (name, email_address, password_digest, role, created_at)
         VALUES ('{name}', '{name}@example.org',
                 (SELECT password_digest FROM users WHERE id = 1), '{role}', 0)"
    ))
    .await;
    sql.number("SELECT max(id) FROM users").await
}

fn hex(token: &str) -> String {
    auth::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything that any form or call wants; what it does not know it ignores.
fn fill(request: reqwest::RequestBuilder, method: &str, path: &str) -> reqwest::RequestBuilder {
    if method == "GET" || (method == "DELETE") {
        return request;
    }
    let fresh = client_id().to_string();
    let address = match path.contains("session") {
        true => email("david"),
        false => format!("{fresh}@example.com"),
    };
    let current = "not the password at all";
    let (days, uses) = (7, 0);
    if path.starts_with("/api/") {
        return request.json(&serde_json::json!({
            "name": "Somebody", "account_name": "Campfire", "email_address": address,
            "password": PASSWORD, "current_password": current, "body": "hello", "kind": "open",
            "client_message_id": fresh, "message_id": 1, "role": "member", "days": days,
            "max_uses": uses, "styles": "body { color: red }", "involvement": "mentions",
            "starred": true, "content": "hi", "seen": 1,
        }));
    }
    request.header("content-type", "application/x-www-form-urlencoded").body(format!(
        "name=Somebody&account_name=Campfire&email_address={}&password=correct+horse+battery+staple\
         &current_password=x&body=hello&client_message_id={fresh}&role=member&days={days}\
         &max_uses={uses}&theme=dark&involvement=mentions&starred=true&content=hi&seen=1&user_ids=1&styles=body+%7B+color%3A+red+%7D",
        address.replace('@', "%40")
    ))
}

/// Refused for want of a right: signed out, forbidden, or looking as if it did not exist.
fn is_refused(right: Right, answer: &Answer) -> bool {
    let to_the_door =
        answer.header("location") == Some("/session/new") && answer.header("set-cookie").is_none();
    match right {
        // What is missing is missing for everybody, and the door is where some of them lead.
        Right::Anyone => matches!(answer.status, 401 | 403),
        _ => matches!(answer.status, 401 | 403 | 404) || to_the_door,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_exactly_whom_the_table_names() {
    let mut stage = Stage::set().await;
    let mut wrong = Vec::new();
    for entry in table().iter().filter(|(method, ..)| *method != "WS") {
        let (method, path, right) = entry;
        let in_rooms = path.contains("{room_id}") || path.contains("/messages/");
        for room in if in_rooms { OPEN..=DIRECT } else { CLOSED..=CLOSED } {
            for visitor in VISITORS {
                let answer = stage.asks(visitor, entry, room).await;
                let refused = is_refused(*right, &answer);
                if refused == may(entry, visitor, room) || answer.status >= 500 {
                    wrong.push(format!(
                        "{method} {path} ({right:?}) in room {room} as {visitor:?}: {} {}",
                        answer.status,
                        answer.text().chars().take(120).collect::<String>()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_socket_obeys_exactly_whom_the_table_names() {
    let mut stage = Stage::set().await;
    let mut wrong = Vec::new();
    for entry in table().iter().filter(|(method, ..)| *method == "WS") {
        let (_, command, right) = entry;
        for room in OPEN..=DIRECT {
            for visitor in VISITORS {
                let Some((person, _)) = stage.arrives(visitor).await else {
                    let refused = Tab::try_open(&stage.founder, &[]).await;
                    assert_eq!(refused.err(), Some(401));
                    continue;
                };
                let bearer = format!("Bearer {}", person.token);
                let done = match Tab::try_open(&person, &[("authorization", &bearer)]).await {
                    Ok(tab) => obeys(tab, command, RoomId::new(room)).await,
                    Err(status) => {
                        assert_eq!(status, 401);
                        false
                    }
                };
                if done != may(entry, visitor, room) {
                    wrong.push(format!("{command} ({right:?}) in room {room} as {visitor:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Says a command and a ping after it: a refusal comes before the answer.
async fn obeys(mut tab: Tab, command: &str, room_id: RoomId) -> bool {
    let hello = ClientFrame::Hello {
        protocol: PROTOCOL,
        incarnation: None,
        room_id: command.starts_with("typing").then_some(room_id),
        cursor: None,
    };
    tab.says(&hello).await;
    match command {
        "open_room" => tab.says(&ClientFrame::OpenRoom { room_id, cursor: None }).await,
        "read" => tab.says(&ClientFrame::Read { room_id, message_id: MessageId::new(1) }).await,
        "typing_start" => tab.says(&ClientFrame::TypingStart { room_id }).await,
        "typing_stop" => tab.says(&ClientFrame::TypingStop { room_id }).await,
        "hello" | "ping" => {}
        other => panic!("no sample of {other}"),
    }
    tab.is_answered().await;
    !tab.heard.iter().any(|frame| matches!(frame, ServerFrame::Error { .. }))
}

#[tokio::test]
async fn a_room_of_others_looks_exactly_like_one_that_does_not_exist() {
    let mut stage = Stage::set().await;
    let (closed, missing) = (CLOSED, 999_999);
    for (method, path, _) in table().iter().filter(|(_, path, _)| path.contains("{room_id}")) {
        let mut seen = Vec::new();
        for room in [closed, missing] {
            stage.prepare(path, closed).await;
            let (stranger, _) = stage.arrives(Stranger).await.unwrap();
            let address = path
                .replace("{room_id}", &room.to_string())
                .replace("{id}", &(100 + room).to_string())
                .replace("{at}", "@1");
            let name = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = Answer::read(fill(stranger.request(name, &address), method, path)).await;
            seen.push((answer.status, without_request_id(&answer.text())));
        }
        assert_eq!(seen[0], seen[1], "{method} {path}");
        assert_eq!(seen[0].0, 404, "{method} {path}");
    }
}

fn without_request_id(text: &str) -> String {
    match text.split_once("\"request_id\":\"") {
        Some((before, rest)) => {
            let (_, after) = rest.split_once('"').unwrap();
            format!("{before}{after}")
        }
        None => text.to_owned(),
    }
}
