//! The account, its users and their rights; the rules of the forms that create them; and how people
//! look: as initials on a colour.
//!
//! One account per database. Passwords are only measured here; hashing is the server's.

use super::error::{Error, FieldError};
use super::{InviteId, SessionId, Timestamp, UserId, extends};
use crate::texts;
use serde::{Deserialize, Serialize};

/// Longest account name, in Unicode scalars (the first-run form's limit).
pub const MAX_ACCOUNT_NAME: usize = 60;
/// Longest user name, in Unicode scalars.
pub const MAX_USER_NAME: usize = 60;
/// Longest e-mail address, in bytes (RFC 5321's path limit).
pub const MAX_EMAIL_BYTES: usize = 254;
/// Shortest password, in Unicode scalars.
pub const MIN_PASSWORD: usize = 10;
/// Longest text about oneself, in Unicode scalars (Campfire's value).
pub const MAX_BIO: usize = 200;
/// Largest stylesheet of an account, in bytes.
pub const MAX_STYLES_BYTES: usize = 64 * 1024;
/// Longest password, in bytes: far beyond any passphrase, short enough to hash cheaply.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// An ordinary person.
    Member,
    /// May change the account and everything in it.
    Administrator,
    /// A program.
    Bot,
}

stored!(Role { Member = "member", Administrator = "administrator", Bot = "bot" });

/// Who may create rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomCreators {
    /// Every person of the account.
    Everybody,
    /// Administrators only.
    Administrators,
}

impl RoomCreators {
    /// The stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Everybody => "everybody",
            Self::Administrators => "administrators",
        }
    }

    /// Reads the stored form; anything else is the stricter rule.
    pub fn parse(text: &str) -> Self {
        if text == "everybody" { Self::Everybody } else { Self::Administrators }
    }
}

/// Whether somebody may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// They may.
    Active,
    /// An administrator has closed their account; it can be opened again.
    Deactivated,
    /// They are kept out, and from joining again.
    Banned,
}

/// A user as their card and the people page show them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they may come in.
    pub status: Status,
    /// What they say about themselves; may be empty.
    pub bio: String,
    /// Their address, for administrators and themselves only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_address: Option<String>,
    /// When they joined.
    pub created_at: Timestamp,
    /// Who made the link that last reset their password, and when it was used; for themselves.
    #[serde(skip)]
    pub reset: Option<(String, Timestamp)>,
}

impl Person {
    /// The person as others may see them: the address is for administrators and oneself.
    #[must_use]
    pub fn seen_by(self, viewer: &Viewer) -> Self {
        let own = viewer.id == self.id;
        let email_address = self.email_address.filter(|_| own || viewer.may_administer());
        Self { email_address, reset: self.reset.filter(|_| own), ..self }
    }
}

/// The author of a message, the person at a keyboard: just enough to show a face.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UserRef {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub name: String,
}

/// The signed-in person asking, with what only they may know about themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewer {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Their address, shown to nobody else.
    pub email_address: String,
}

impl Viewer {
    /// How others see this person.
    pub fn as_author(&self) -> UserRef {
        UserRef { id: self.id, name: self.name.clone() }
    }

    /// Whether account settings and the invite link's renewal are theirs.
    pub fn may_administer(&self) -> bool {
        self.role == Role::Administrator
    }
}

/// What somebody changes about themselves, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// 1 to 60 characters.
    pub name: String,
    /// Trimmed and lower-cased.
    pub email_address: String,
    /// At most 200 characters, trimmed.
    pub bio: String,
}

impl Profile {
    /// Checks what a person typed.
    pub fn parse(name: &str, email_address: &str, bio: &str) -> Result<Self, Error> {
        let mut broken = Vec::new();
        let name = checked_name(name, "name", MAX_USER_NAME, &mut broken);
        let email_address = checked_email(email_address, &mut broken);
        // Browsers send line ends as two characters and count them as one.
        let bio = bio.replace("\r\n", "\n").trim().to_owned();
        if bio.chars().count() > MAX_BIO {
            broken.push(FieldError::new("bio", &texts::errors::at_most(MAX_BIO)));
        } else if bio.chars().any(|c| c.is_control() && c != '\n') {
            broken.push(FieldError::new("bio", texts::errors::PLAIN_CHARACTERS));
        }
        Error::unless(broken, Self { name, email_address, bio })
    }
}

/// Checks a new password.
pub fn parse_password(password: &str) -> Result<String, Error> {
    let mut broken = Vec::new();
    check_password(password, &mut broken);
    Error::unless(broken, password.to_owned())
}

/// Checks an account's stylesheet. Its content is not judged: the page's
/// Content-Security-Policy keeps it from running anything or reaching anybody.
pub fn parse_styles(styles: &str) -> Result<String, Error> {
    if styles.len() > MAX_STYLES_BYTES {
        return Err(Error::invalid("styles", texts::errors::STYLES_TOO_LARGE));
    }
    if styles.contains('\0') {
        return Err(Error::invalid("styles", texts::errors::PLAIN_CHARACTERS));
    }
    Ok(styles.trim().to_owned())
}

/// How long and how often an invite link works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InviteTerms {
    /// Days until it ends; without, it never does.
    pub days: Option<u16>,
    /// People who may use it; without, as many as come.
    pub max_uses: Option<u16>,
}

impl InviteTerms {
    /// The choices of days, the first is the default; 0 stands for no end.
    pub const DAYS: [u16; 4] = [7, 1, 30, 0];
    /// The choices of uses, the first is the default; 0 stands for no limit.
    pub const USES: [u16; 4] = [0, 1, 5, 25];

    /// Checks the choices.
    pub fn parse(days: u16, max_uses: u16) -> Result<Self, Error> {
        if !Self::DAYS.contains(&days) {
            return Err(Error::invalid("days", texts::errors::INVITE_DAYS));
        }
        if !Self::USES.contains(&max_uses) {
            return Err(Error::invalid("max_uses", texts::errors::INVITE_USES));
        }
        let chosen = |number: u16| (number > 0).then_some(number);
        Ok(Self { days: chosen(days), max_uses: chosen(max_uses) })
    }
}

/// An invite link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Invite {
    /// Its id.
    pub id: InviteId,
    /// The last part of its address.
    pub code: String,
    /// Who made it.
    pub creator: UserRef,
    /// How many have joined by it.
    pub uses: i64,
    /// How many may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_uses: Option<i64>,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was ended by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Invite {
    /// Whether it still lets people in.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none()
            && self.expires_at.is_none_or(|end| end > now)
            && self.max_uses.is_none_or(|most| self.uses < most)
    }
}

/// One of somebody's own sessions, as they see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// The session's id.
    pub id: SessionId,
    /// The browser in words: see [`device_name`].
    pub device: String,
    /// Where it was begun.
    pub ip_address: String,
    /// When its use was last recorded.
    pub last_active_at: Timestamp,
    /// When it was begun.
    pub created_at: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// What sign-in and sign-up forms carry, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    /// 1 to 60 characters, trimmed, without control characters.
    pub name: String,
    /// Trimmed and lower-cased.
    pub email_address: String,
    /// As typed.
    pub password: String,
}

impl NewUser {
    /// Checks what a person typed.
    pub fn parse(name: &str, email_address: &str, password: &str) -> Result<Self, Error> {
        let mut broken = Vec::new();
        let name = checked_name(name, "name", MAX_USER_NAME, &mut broken);
        let email_address = checked_email(email_address, &mut broken);
        check_password(password, &mut broken);
        Error::unless(broken, Self { name, email_address, password: password.to_owned() })
    }
}

/// Checks the account's name.
pub fn parse_account_name(name: &str) -> Result<String, Error> {
    let mut broken = Vec::new();
    let name = checked_name(name, "account_name", MAX_ACCOUNT_NAME, &mut broken);
    Error::unless(broken, name)
}

fn checked_email(address: &str, broken: &mut Vec<FieldError>) -> String {
    let address = normalize_email(address);
    if !looks_like_email(&address) {
        broken.push(FieldError::new("email_address", texts::errors::EMAIL));
    }
    address
}

fn check_password(password: &str, broken: &mut Vec<FieldError>) {
    if password.chars().count() < MIN_PASSWORD {
        broken.push(FieldError::new("password", texts::errors::PASSWORD_TOO_SHORT));
    } else if password.len() > MAX_PASSWORD_BYTES {
        broken.push(FieldError::new("password", texts::errors::PASSWORD_TOO_LONG));
    }
}

/// Trims a one-line name and records what is wrong with it.
pub(super) fn checked_name(name: &str, field: &str, longest: usize, broken: &mut Vec<FieldError>) -> String {
    let name = name.trim();
    if is_blank(name) {
        broken.push(FieldError::new(field, texts::errors::EMPTY));
    } else if name.chars().count() > longest {
        broken.push(FieldError::new(field, &texts::errors::at_most(longest)));
    } else if name.chars().any(char::is_control) {
        broken.push(FieldError::new(field, texts::errors::ONE_LINE));
    }
    name.to_owned()
}

/// Whether a text shows nothing: spaces, and characters that take no place (zero-width joiners,
/// direction marks).
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| {
        c.is_whitespace()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}' | '\u{feff}')
    })
}

/// The form in which addresses are stored and compared.
pub fn normalize_email(address: &str) -> String {
    address.trim().to_lowercase()
}

/// Whether this could be delivered to. Only the server of the address knows for sure, so the
/// check catches slips and nothing more.
fn looks_like_email(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return false;
    };
    !local.is_empty()
        && domain.len() >= 2
        && address.len() <= MAX_EMAIL_BYTES
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && !address.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Whether this could be the code of an invite link: groups of four letters and digits, five of
/// them, or three in the oldest links.
pub fn is_invite_code(code: &str) -> bool {
    let group = |group: &str| group.len() == 4 && group.bytes().all(|b| b.is_ascii_alphanumeric());
    matches!(code.len(), 14 | 24) && code.split('-').all(group)
}

/// A browser in words: "Firefox on Linux".
pub fn device_name(user_agent: &str) -> String {
    let first = |known: &[(&str, &'static str)]| {
        known.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    // Every browser claims to be those after it in this list.
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("CrOS", "ChromeOS"),
        ("Windows", "Windows"),
        ("Macintosh", "Mac"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => texts::devices::browser_on_system(browser, system),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => texts::devices::PROGRAM.to_owned(),
    }
}

/// One or two initials of a name, in any script: the first letter of its first and last word, with
/// the marks that belong to it; of a name in an East Asian script, one character says enough. As
/// written; the stylesheet makes them capitals, by the rules of the page's language.
pub fn initials(name: &str, at_most: usize) -> String {
    let mut words = name.split_whitespace().filter(|word| !is_blank(word));
    let first = words.next().map_or("", first_letter);
    let last = words.next_back().map_or("", first_letter);
    let alone = at_most < 2 || first.chars().next().is_some_and(is_east_asian);
    let mut letters = String::from(first);
    if !alone && !last.chars().next().is_some_and(is_east_asian) {
        letters.push_str(last);
    }
    letters
}

/// The first letter, figure or picture of a word with everything that belongs to it. Quotes and
/// brackets before it are passed over, unless there is nothing else.
fn first_letter(word: &str) -> &str {
    let shows = |c: char| c.is_alphanumeric() || c >= '\u{2190}' && !extends(c);
    let start = word.find(shows).or_else(|| word.find(|c: char| !extends(c))).unwrap_or(0);
    let word = word.split_at(start).1;
    let mut rest = word.char_indices().peekable();
    let opening = rest.next().map(|(_, c)| c);
    // Flags are two letters of their own.
    let is_flag = |c: char| ('\u{1f1e6}'..='\u{1f1ff}').contains(&c);
    if opening.is_some_and(is_flag) {
        rest.next_if(|(_, c)| is_flag(*c));
    }
    while let Some((_, mark)) = rest.next_if(|(_, c)| extends(*c)) {
        // A joiner glues the next picture on: families, professions.
        if mark == '\u{200d}' {
            rest.next();
        }
    }
    let end = rest.peek().map_or(word.len(), |(at, _)| *at);
    word.split_at(end).0
}

/// Whether a character is of a script whose names are a few characters without spaces.
fn is_east_asian(c: char) -> bool {
    matches!(u32::from(c), 0x2e80..=0xa4cf | 0xac00..=0xd7af | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff)
}

/// Which of the ten avatar hues (1 to 10) a user has; it never changes for an id.
pub fn hue(id: UserId) -> i64 {
    // A step that shares no factor with ten sends neighbouring ids to different hues.
    (id.get() * 7).rem_euclid(10) + 1
}
