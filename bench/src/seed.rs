//! Deterministic databases, written by the product's own statements.
//!
//! The same shape always gives the same people, rooms and texts; only the clock moves, so that
//! the newest message was written just now and every session is fresh. Search rows, room heads,
//! memberships and the sequence are what the product itself would have written, because it is
//! the product's functions that write them. Passwords fit nobody: everyone has a session whose
//! token follows from their id ([`token`]).

use super::report::{Failure, broken};
use campfire::domain::account::{NewUser, Role, RoomCreators};
use campfire::domain::message::{ClientMessageId, Draft};
use campfire::domain::room::{NewRoom, RoomKind};
use campfire::domain::{MessageId, RoomId, Seq, Timestamp, UserId};
use campfire::server::Clock;
use campfire::server::operation::Durability;
use campfire::server::rich_text::{self, Known, Rendered};
use campfire::server::store::account::{NewSession, insert_session, insert_user};
use campfire::server::store::messages::{NewMessage, insert_messages};
use campfire::server::store::rooms::{grant_everybody, insert_open_memberships, insert_room};
use campfire::server::store::update_read_cursor;
use campfire::server::store::{Account, Store, Tx, checkpoint_fully, close, insert_account, update_head};
use clap::ValueEnum;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::Path;

/// Messages in an ordinary busy room: Campfire's own benchmark uses as many.
const ROOM: usize = 131;
/// Messages at the end of a long room that are written one by one, each with its own time.
const SINGLE: usize = 200;
/// Different texts; each is rendered once.
const TEXTS: usize = 1_024;
/// Texts more that name tickets: words that begin alike, more than a search follows one by one.
const TICKETS: usize = 200;
/// In long histories so many messages apart.
const TICKET_EVERY: u64 = 50;
/// Messages without any, so that short histories have the same pages as ever.
const TICKETS_AFTER: u64 = 10_000;
/// People who write; everybody else reads.
const AUTHORS: u64 = 40;
/// Messages of one transaction: the write-ahead log stays small.
const TRANSACTION: usize = 50_000;
/// Milliseconds between two messages of a room, on average.
const PACE_MS: i64 = 60_000;
/// A month, so that no session ends during the longest run.
const SESSION_MS: i64 = 30 * 86_400_000;
/// A digest in argon2id's form that no password fits.
const DIGEST: &str = "$argon2id$v=19$m=19456,t=2,p=1$YmVuY2htYXJrYmVuY2htYXJr\
                      $bm8gcGFzc3dvcmQgaGFzIHRoaXMgZGlnZXN0IGF0IGFsbCE";

/// What a database looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Shape {
    /// 11 people, 10 rooms of 131 messages.
    Team,
    /// 1,000 people, 10 rooms of 131 messages.
    Crowd,
    /// 11 people, a room of 100,000 messages and 9 of 131.
    Long,
    /// 11 people, 200,000 messages: five long rooms and five of 131.
    Busy,
    /// 1,000 people, 2,000,000 messages: five long rooms and five of 131.
    Large,
    /// 50 people, 10 rooms of 131 messages.
    Office,
    /// 5,000 people, 10 rooms of 131 messages.
    Company,
    /// 11 people, 500 rooms of 4 messages.
    Lists,
}

impl Shape {
    /// People; their ids count from 1.
    pub fn users(self) -> i64 {
        match self {
            Self::Team | Self::Long | Self::Busy | Self::Lists => 11,
            Self::Office => 50,
            Self::Company => 5_000,
            Self::Crowd | Self::Large => 1_000,
        }
    }

    /// Messages of each room; room ids count from 1.
    pub fn rooms(self) -> Vec<usize> {
        let long: &[usize] = match self {
            Self::Team | Self::Crowd | Self::Office | Self::Company => &[],
            Self::Lists => return vec![4; 500],
            Self::Long => &[100_000],
            Self::Busy => &[120_000, 40_000, 20_000, 15_000, 5_000],
            Self::Large => &[1_200_000, 400_000, 200_000, 150_000, 50_000],
        };
        long.iter().copied().chain(std::iter::repeat(ROOM)).take(10).collect()
    }

    /// Messages written by one statement in the old part of a long room.
    fn batch(self) -> usize {
        match self {
            Self::Team | Self::Crowd | Self::Office | Self::Company | Self::Lists => 1,
            Self::Long | Self::Busy => 16,
            Self::Large => 128,
        }
    }
}

/// A small generator with a fixed seed (SplitMix64): the same numbers on every machine.
pub fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The session token of a user.
pub fn token(user_id: i64) -> String {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let digest = Sha256::digest(format!("benchmark user {user_id}"));
    let sign = |byte: u8| SIGNS.get(usize::from(byte) % SIGNS.len()).map_or('A', |s| char::from(*s));
    digest.iter().map(|byte| sign(*byte)).collect()
}

/// What the database keeps of a token.
pub fn token_digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The client id of the message with this number. Rising, spread over the whole range, like
/// sorted random ones: a long table is written quickly, and later random ids fall anywhere.
pub fn client_id(number: u64, of: u64) -> String {
    let high = (u64::MAX / of.max(1)).wrapping_mul(number);
    let low = scatter(number);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high >> 4 & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

/// The text with this number: of 3 to 16 words, now and then with a link or a second line.
pub fn text(number: u64) -> String {
    const WORDS: [&str; 40] = [
        "coffee", "the", "build", "is", "green", "again", "who", "wants", "lunch", "we", "ship", "on",
        "Friday", "I", "think", "that", "design", "looks", "good", "to", "me", "can", "somebody", "review",
        "this", "please", "after", "standup", "thanks", "a", "lot", "deploy", "went", "fine", "and",
        "nobody", "noticed", "search", "feels", "fast",
    ];
    let count = 3 + scatter(number) % 14;
    let word = |at: u64| {
        let picked = scatter(number.wrapping_mul(31).wrapping_add(at)) % 40;
        usize::try_from(picked).ok().and_then(|at| WORDS.get(at)).copied().unwrap_or("fire")
    };
    let mut words: Vec<&str> = (0..count).map(word).collect();
    match number % 20 {
        7 => words.push("https://example.com/notes?page=2"),
        13 => words.insert(words.len() / 2, "\n"),
        _ => {}
    }
    words.join(" ")
}

/// Writes a database of a shape into a folder.
///
/// # Errors
/// [`Failure::Broken`] with what SQLite says, or when the folder already holds one.
pub async fn generate(shape: Shape, folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    if folder.join("campfire.db").exists() {
        return broken(format!("{} already holds a database", folder.display()));
    }
    let opened = Store::open(folder, Durability::Normal, "benchmarkseed000").await?;
    close(opened.checkpointing).await?;
    let mut tx = opened.writing;
    // Nothing else uses the database yet, and after a power cut it is simply written again.
    sqlx::query("PRAGMA synchronous = OFF").execute(&mut tx).await?;
    sqlx::query("PRAGMA cache_size = -400000").execute(&mut tx).await?;
    let now = Clock::system().now();
    sqlx::query("BEGIN").execute(&mut tx).await?;
    write_people(&mut tx, shape, now).await?;
    sqlx::query("COMMIT").execute(&mut tx).await?;
    write_messages(&mut tx, shape, now).await?;
    sqlx::query("BEGIN").execute(&mut tx).await?;
    write_read_cursors(&mut tx, shape).await?;
    sqlx::query("COMMIT").execute(&mut tx).await?;
    checkpoint_fully(&mut tx).await?;
    close(tx).await?;
    opened.store.close().await;
    Ok(())
}

async fn write_people(tx: &mut Tx, shape: Shape, now: Timestamp) -> Result<(), Failure> {
    const FIRST: [&str; 40] = [
        "David", "Jason", "Kevin", "Ann", "Mira", "Noor", "Luis", "Ida", "Tom", "Wei", "Sofia", "Omar",
        "Lena", "Raj", "Eva", "Hugo", "Mei", "Paul", "Zoe", "Ivan", "Lucy", "Amir", "Nina", "Otto", "Rosa",
        "Sam", "Tara", "Umar", "Vera", "Will", "Xena", "Yuri", "Zack", "Bea", "Carl", "Dora", "Emil", "Faye",
        "Gus", "Hana",
    ];
    const LAST: [&str; 25] = [
        "Adams", "Brandt", "Costa", "Dietz", "Evans", "Fuchs", "Garcia", "Haddad", "Ito", "Jansen", "Khan",
        "Lopez", "Mori", "Novak", "Okafor", "Petrov", "Quinn", "Rossi", "Silva", "Tanaka", "Usman", "Vogel",
        "Weber", "Xu", "Young",
    ];
    let account = Account {
        name: "Benchmark".to_owned(),
        join_code: Some("BENC-HMAR-KING".to_owned()),
        room_creators: RoomCreators::Everybody,
        styles: None,
    };
    insert_account(tx, &account, now).await?;
    for number in 0..shape.users() {
        let at = usize::try_from(number).unwrap_or(0);
        let first = FIRST.get(at % FIRST.len()).copied().unwrap_or_default();
        let last = LAST.get(at / FIRST.len() % LAST.len()).copied().unwrap_or_default();
        let user = NewUser {
            name: format!("{first} {last}"),
            email_address: format!("user{}@example.com", number + 1),
            password: String::new(),
        };
        let role = if number == 0 { Role::Administrator } else { Role::Member };
        let Some(id) = insert_user(tx, &user, DIGEST, role, now).await? else {
            return broken("a user exists already");
        };
        insert_open_memberships(tx, id, now).await?;
        let session = NewSession {
            token_digest: token_digest(&token(id.get())),
            user_agent: "Mozilla/5.0 (X11; Linux x86_64) campfire-bench".to_owned(),
            ip_address: "127.0.0.1".to_owned(),
            created_at: now,
            expires_at: Timestamp::from_ms(now.ms() + SESSION_MS),
        };
        insert_session(tx, id, &session).await?;
    }
    let names = ["All Talk", "Watercooler", "Designers", "Support", "Operations", "Marketing"];
    for number in 0..shape.rooms().len() {
        let name = names.get(number).copied().map(str::to_owned);
        let name = name.unwrap_or_else(|| format!("Project {number}"));
        let room = NewRoom::parse(RoomKind::Open, &name, "", BTreeSet::new());
        let room = room.map_err(|error| Failure::Broken(error.to_string()))?;
        let Some(id) = insert_room(tx, UserId::new(1), &room, now).await? else {
            return broken("a room could not be made");
        };
        grant_everybody(tx, id, now).await?;
    }
    Ok(())
}

/// A room while it is filled.
struct Filling {
    id: i64,
    messages: usize,
    written: usize,
    author: i64,
}

impl Filling {
    /// How far along it is, so that rooms fill evenly, as they do in life.
    fn progress(&self) -> f64 {
        (self.written as f64 + 0.5) / self.messages as f64
    }

    /// People often write several messages in a row.
    fn next_author(&mut self, shape: Shape) -> i64 {
        let draw = scatter((self.id.unsigned_abs() << 40) + self.written as u64);
        if self.author == 0 || draw % 5 < 3 {
            let authors = AUTHORS.min(shape.users().unsigned_abs());
            self.author = i64::try_from(draw / 5 % authors).unwrap_or(0) + 1;
        }
        self.author
    }
}

async fn write_messages(tx: &mut Tx, shape: Shape, now: Timestamp) -> Result<(), Failure> {
    let mut texts = Vec::with_capacity(TEXTS + TICKETS);
    let tickets = (0..TICKETS).map(|number| format!("ticket{number} is fine"));
    for text in (0..TEXTS).map(|number| text(number as u64)).chain(tickets) {
        let draft = Draft::parse(&text);
        let draft = draft.map_err(|error| Failure::Broken(error.to_string()))?;
        texts.push(rich_text::render(&draft, &Known::default()));
    }
    let total = shape.rooms().iter().sum::<usize>() as u64;
    let mut rooms: Vec<Filling> = (1..)
        .zip(shape.rooms())
        .map(|(id, messages)| Filling { id, messages, written: 0, author: 0 })
        .collect();
    let (mut last, mut in_transaction) = (0_u64, 0);
    sqlx::query("BEGIN").execute(&mut *tx).await?;
    loop {
        let open = rooms.iter_mut().filter(|room| room.written < room.messages);
        let Some(room) = open.min_by(|a, b| a.progress().total_cmp(&b.progress())) else { break };
        let left = room.messages - room.written;
        let size = if left > SINGLE { shape.batch().min(left - SINGLE) } else { 1 };
        let mut batch = Vec::with_capacity(size);
        for _ in 0..size {
            last += 1;
            batch.push(message(last, total, (room.id, room.next_author(shape)), &texts)?);
            room.written += 1;
        }
        let age = i64::try_from(room.messages - room.written).unwrap_or(0) * PACE_MS;
        let jitter = i64::try_from(scatter(last) % 50_000).unwrap_or(0);
        let at = Timestamp::from_ms(now.ms() - age - jitter);
        if insert_messages(tx, &batch, at).await?.len() != size {
            return broken("a message was refused by the database");
        }
        in_transaction += size;
        if in_transaction >= TRANSACTION {
            commit_up_to(tx, last).await?;
            checkpoint_fully(tx).await?;
            sqlx::query("BEGIN").execute(&mut *tx).await?;
            in_transaction = 0;
        }
    }
    commit_up_to(tx, last).await
}

fn message(
    number: u64,
    total: u64,
    (room_id, author): (i64, i64),
    texts: &[Rendered],
) -> Result<NewMessage, Failure> {
    let id = i64::try_from(number).unwrap_or(i64::MAX);
    let drawn = usize::try_from(scatter(number)).unwrap_or(0);
    let names_ticket = number > TICKETS_AFTER && number.is_multiple_of(TICKET_EVERY);
    let picked = if names_ticket { TEXTS + drawn % TICKETS } else { drawn % TEXTS };
    let text = texts.get(picked).cloned();
    let text = text.ok_or_else(|| Failure::Broken("no such text".to_owned()))?;
    let client_message_id = ClientMessageId::parse(&client_id(number, total))
        .map_err(|error| Failure::Broken(error.to_string()))?;
    Ok(NewMessage {
        id: MessageId::new(id),
        seq: Seq::new(id),
        room_id: RoomId::new(room_id),
        creator_id: UserId::new(author),
        client_message_id,
        body: text.body,
        source: text.source,
        body_html: text.html,
        reply_to_id: None,
        mentions: text.mentions,
    })
}

async fn commit_up_to(tx: &mut Tx, last: u64) -> Result<(), Failure> {
    let last = i64::try_from(last).unwrap_or(i64::MAX);
    update_head(tx, Seq::new(last), MessageId::new(last)).await?;
    sqlx::query("COMMIT").execute(tx).await?;
    Ok(())
}

/// Most people have read most rooms.
async fn write_read_cursors(tx: &mut Tx, shape: Shape) -> Result<(), Failure> {
    for user_id in 1..=shape.users() {
        for room_id in (1..).take(shape.rooms().len()) {
            if scatter((user_id * 100 + room_id).unsigned_abs()) % 10 < 7 {
                let (user, room) = (UserId::new(user_id), RoomId::new(room_id));
                update_read_cursor(tx, user, room, MessageId::new(i64::MAX)).await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn tokens_are_as_the_product_makes_them() {
        let tokens: BTreeSet<String> = (1..=1_000).map(token).collect();
        assert_eq!(tokens.len(), 1_000);
        assert!(tokens.iter().all(|token| token.len() == 32));
        assert_eq!(token(1), token(1));
    }

    #[test]
    fn client_ids_rise_and_are_uuids() {
        let ids: Vec<String> = (1..5_000).map(|number| client_id(number, 5_000)).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| ClientMessageId::parse(id).is_ok()));
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    }

    #[test]
    fn texts_are_messages() {
        assert!((0..TEXTS).all(|number| Draft::parse(&text(number as u64)).is_ok()));
    }
}
