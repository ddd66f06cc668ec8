//! The account, its users and their rights; and the rules of the forms that create them.
//!
//! One account per database. Passwords are only measured here; hashing is the server's.

use super::error::{Error, FieldError};
use super::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// Longest account name, in Unicode scalars (the first-run form's limit).
pub const MAX_ACCOUNT_NAME: usize = 60;
/// Longest user name, in Unicode scalars.
pub const MAX_USER_NAME: usize = 60;
/// Longest e-mail address, in bytes (RFC 5321's path limit).
pub const MAX_EMAIL_BYTES: usize = 254;
/// Shortest password, in Unicode scalars.
pub const MIN_PASSWORD: usize = 10;
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

impl Role {
    /// The stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Administrator => "administrator",
            Self::Bot => "bot",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "member" => Some(Self::Member),
            "administrator" => Some(Self::Administrator),
            "bot" => Some(Self::Bot),
            _ => None,
        }
    }
}

/// A user as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// When they joined.
    pub created_at: Timestamp,
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

/// Who may open rooms. Everybody, unless the account says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoomCreation {
    /// Every member.
    #[default]
    Everybody,
    /// Administrators only.
    Administrators,
}

/// Whether somebody may open rooms with a name. Direct rooms are everybody's.
pub fn may_create_rooms(rule: RoomCreation, role: Role) -> bool {
    rule == RoomCreation::Everybody || role == Role::Administrator
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
    ///
    /// # Errors
    /// [`Error::Validation`] with every broken field: `name`, `email_address`, `password`.
    pub fn parse(name: &str, email_address: &str, password: &str) -> Result<Self, Error> {
        let mut broken = Vec::new();
        let name = checked_name(name, "name", MAX_USER_NAME, &mut broken);
        let email_address = normalize_email(email_address);
        if !looks_like_email(&email_address) {
            broken.push(FieldError::new(
                "email_address",
                "Enter an e-mail address, like you@example.com.",
            ));
        }
        if password.chars().count() < MIN_PASSWORD {
            broken.push(FieldError::new("password", "Use at least 10 characters."));
        } else if password.len() > MAX_PASSWORD_BYTES {
            broken.push(FieldError::new("password", "Use at most 1,024 characters."));
        }
        if broken.is_empty() {
            Ok(Self { name, email_address, password: password.to_owned() })
        } else {
            Err(Error::Validation(broken))
        }
    }
}

/// Checks the account's name.
///
/// # Errors
/// [`Error::Validation`] for field `account_name`.
pub fn parse_account_name(name: &str) -> Result<String, Error> {
    let mut broken = Vec::new();
    let name = checked_name(name, "account_name", MAX_ACCOUNT_NAME, &mut broken);
    if broken.is_empty() { Ok(name) } else { Err(Error::Validation(broken)) }
}

/// Trims a one-line name and records what is wrong with it.
pub(super) fn checked_name(
    name: &str,
    field: &str,
    longest: usize,
    broken: &mut Vec<FieldError>,
) -> String {
    let name = name.trim();
    if is_blank(name) {
        broken.push(FieldError::new(field, "This cannot be empty."));
    } else if name.chars().count() > longest {
        broken.push(FieldError::new(field, &format!("Use at most {longest} characters.")));
    } else if name.chars().any(char::is_control) {
        broken.push(FieldError::new(field, "Use plain characters on one line."));
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

/// One or two initials of a name, in any script: the first character of its first and last word.
/// As written; the stylesheet makes them capitals, by the rules of the page's language.
pub fn initials(name: &str, at_most: usize) -> String {
    let mut words = name.split_whitespace();
    let first = words.next().and_then(|word| word.chars().next());
    let last = words.next_back().and_then(|word| word.chars().next());
    let picked = first.into_iter().chain(if at_most > 1 { last } else { None });
    picked.collect()
}

/// Which of the ten avatar hues (1 to 10) a user has; it never changes for an id.
pub fn hue(id: UserId) -> i64 {
    // A step that shares no factor with ten sends neighbouring ids to different hues.
    (id.get() * 7).rem_euclid(10) + 1
}

/// The first code of a chat's invite link: `XXXX-XXXX-XXXX`.
pub fn is_join_code(code: &str) -> bool {
    code.len() == 14
        && code.bytes().enumerate().all(|(at, byte)| match at {
            4 | 9 => byte == b'-',
            _ => byte.is_ascii_alphanumeric(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_broken_field_is_named() {
        let error = NewUser::parse(" ", "nobody", "short").map(|_| ()).unwrap_err();
        let fields: Vec<_> = error.fields().iter().map(|field| field.field.as_str()).collect();
        assert_eq!(fields, ["name", "email_address", "password"]);
    }

    #[test]
    fn addresses_are_compared_in_lower_case() {
        let user = NewUser::parse(" David ", " David@Example.COM ", "a long password").unwrap();
        assert_eq!(
            (user.name.as_str(), user.email_address.as_str()),
            ("David", "david@example.com")
        );
    }

    #[test]
    fn initials_come_from_the_first_and_last_word() {
        assert_eq!(initials("Noor Haddad", 2), "NH");
        assert_eq!(initials("bastian von hohenfels", 2), "bh");
        assert_eq!(initials("Noor Haddad", 1), "N");
        assert_eq!(initials("عمر حدّاد", 2), "عح");
        assert_eq!(initials("Owl", 2), "O");
    }

    #[test]
    fn neighbours_differ_in_hue() {
        let hues: std::collections::BTreeSet<_> = (1..=10).map(|id| hue(UserId::new(id))).collect();
        assert_eq!(hues.len(), 10);
    }
}
