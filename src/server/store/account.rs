//! The account and its users, and who is kept out. How they come in is in [`super::access`].

use super::{Store, Tx, inconsistent, read_failed};
use crate::domain::account::{NewUser, Person, Profile, Role, RoomCreators, Status, UserRef, Viewer};
use crate::domain::error::Error;
use crate::domain::{MessageId, Timestamp, UserId};
use sha2::{Digest, Sha256};

/// The account as its pages show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// The code of the oldest invite link that has no end, if there is one.
    pub join_code: Option<String>,
    /// Who may create rooms.
    pub room_creators: RoomCreators,
    /// Names its own stylesheet, if it has one.
    pub styles: Option<String>,
}

impl Account {
    /// Whether this person may create rooms.
    pub fn may_create_rooms(&self, role: Role) -> bool {
        role == Role::Administrator || self.room_creators == RoomCreators::Everybody
    }
}

/// What sign-in compares a password with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Who would be signed in.
    pub viewer: Viewer,
    /// The argon2id digest of their password.
    pub password_digest: String,
}

type AccountRow = (String, Option<String>, String, String);

const ACCOUNT: &str = "SELECT name, (SELECT code FROM invites
        WHERE revoked_at IS NULL AND expires_at IS NULL AND max_uses IS NULL
        ORDER BY id LIMIT 1), room_creators, styles FROM accounts";

fn account((name, join_code, room_creators, styles): AccountRow) -> Account {
    let room_creators = RoomCreators::parse(&room_creators);
    Account { name, join_code, room_creators, styles: styles_name(&styles) }
}

/// What a stylesheet is called: a part of its SHA-256, so that its address can be kept for ever.
pub fn styles_name(styles: &str) -> Option<String> {
    let digest = Sha256::digest(styles.as_bytes());
    let name = || digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    (!styles.is_empty()).then(name)
}

/// The columns of [`PersonRow`], from users `u`.
macro_rules! person_columns {
    () => {
        "u.id, u.name, u.role, u.active, u.banned_at, u.bio, u.email_address, u.created_at,
         r.name, u.reset_at FROM users u LEFT JOIN users r ON r.id = u.reset_by_id"
    };
}
impl Store {
    /// The account, once first run is done.
    pub async fn find_account(&self) -> Result<Option<Account>, Error> {
        let row: Option<AccountRow> =
            sqlx::query_as(ACCOUNT).fetch_optional(self.reader()).await.map_err(read_failed)?;
        Ok(row.map(account))
    }

    /// What sign-in needs to know about an address; nothing for bots and inactive users.
    pub async fn find_credentials(&self, email_address: &str) -> Result<Option<Credentials>, Error> {
        let row: Option<(i64, String, String, String)> = sqlx::query_as(
            "SELECT id, name, role, password_digest FROM users
             WHERE email_address = ?1 AND active = 1 AND role <> 'bot'",
        )
        .bind(email_address)
        .fetch_optional(self.reader())
        .await
        .map_err(read_failed)?;
        let Some((id, name, role, password_digest)) = row else {
            return Ok(None);
        };
        let viewer = viewer(id, name, &role, email_address.to_owned())?;
        Ok(Some(Credentials { viewer, password_digest }))
    }

    /// The people, administrators first, then by name: at most `limit` after the first `offset`
    /// whose name contains `search`. Whoever is not active is among them only for administrators.
    pub async fn list_people(
        &self,
        viewer: &Viewer,
        search: &str,
        (offset, limit): (u32, u32),
    ) -> Result<Vec<Person>, Error> {
        let rows: Vec<PersonRow> = sqlx::query_as(concat!(
            "SELECT ",
            person_columns!(),
            " WHERE u.role <> 'bot' AND (u.active = 1 OR ?1) AND instr(lower(u.name), lower(?2))
              ORDER BY u.active DESC, u.role = 'member', lower(u.name), u.id LIMIT ?4 OFFSET ?3"
        ))
        .bind(viewer.may_administer())
        .bind(search)
        .bind(offset)
        .bind(limit)
        .fetch_all(self.reader())
        .await
        .map_err(read_failed)?;
        rows.into_iter().map(|row| Ok(person(row)?.seen_by(viewer))).collect()
    }

    /// A user as the viewer may see them, active or not: what they wrote still stands.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn load_person(&self, viewer: &Viewer, id: UserId) -> Result<Person, Error> {
        let row: Option<PersonRow> =
            sqlx::query_as(concat!("SELECT ", person_columns!(), " WHERE u.id = ?1"))
                .bind(id.get())
                .fetch_optional(self.reader())
                .await
                .map_err(read_failed)?;
        Ok(person(row.ok_or(Error::NotFound)?)?.seen_by(viewer))
    }

    /// Whose messages are still to be removed.
    pub async fn list_users_losing_messages(&self) -> Result<Vec<UserId>, Error> {
        let rows: Vec<(i64,)> = sqlx::query_as("SELECT id FROM users WHERE removing_messages = 1")
            .fetch_all(self.reader())
            .await
            .map_err(read_failed)?;
        Ok(rows.into_iter().map(|(id,)| UserId::new(id)).collect())
    }

    /// The account's own stylesheet.
    ///
    /// # Errors
    /// [`Error::NotFound`] before first run; [`Error::Unavailable`].
    pub async fn load_styles(&self) -> Result<String, Error> {
        let row: Option<(String,)> = sqlx::query_as("SELECT styles FROM accounts")
            .fetch_optional(self.reader())
            .await
            .map_err(read_failed)?;
        row.map(|(styles,)| styles).ok_or(Error::NotFound)
    }

    /// Messages of one author after an id, at most `limit`. Reads as much of the history as it
    /// takes to find them, beside the writer.
    pub async fn list_message_ids_of(
        &self,
        creator: UserId,
        after: MessageId,
        limit: u32,
    ) -> Result<Vec<MessageId>, Error> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "SELECT id FROM messages WHERE creator_id = ?1 AND id > ?2 AND deleted_at IS NULL
             ORDER BY id LIMIT ?3",
        )
        .bind(creator.get())
        .bind(after.get())
        .bind(limit)
        .fetch_all(self.reader())
        .await
        .map_err(read_failed)?;
        Ok(rows.into_iter().map(|(id,)| MessageId::new(id)).collect())
    }

    /// Messages after an id whose text mentions somebody, at most `limit`. Reads the history once
    /// from end to end, beside the writer.
    pub async fn list_messages_naming(
        &self,
        user_id: UserId,
        after: MessageId,
        limit: u32,
    ) -> Result<Vec<MessageId>, Error> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "SELECT id FROM messages WHERE id > ?2 AND deleted_at IS NULL
             AND instr(body, '<@' || ?1 || '>') ORDER BY id LIMIT ?3",
        )
        .bind(user_id.get())
        .bind(after.get())
        .bind(limit)
        .fetch_all(self.reader())
        .await
        .map_err(read_failed)?;
        Ok(rows.into_iter().map(|(id,)| MessageId::new(id)).collect())
    }

    /// Whose mentions still carry an earlier name.
    pub async fn list_renamed_users(&self) -> Result<Vec<UserId>, Error> {
        let rows: Vec<(i64,)> = sqlx::query_as("SELECT id FROM users WHERE renamed = 1")
            .fetch_all(self.reader())
            .await
            .map_err(read_failed)?;
        Ok(rows.into_iter().map(|(id,)| UserId::new(id)).collect())
    }
}

type PersonRow = (i64, String, String, bool, Option<i64>, String, String, i64, Option<String>, Option<i64>);

fn person(row: PersonRow) -> Result<Person, Error> {
    let (id, name, role, active, banned_at, bio, email_address, created_at, by, reset_at) = row;
    let role = Role::parse(&role).ok_or_else(|| inconsistent("users", id, "unknown role"))?;
    let status = match (active, banned_at) {
        (true, _) => Status::Active,
        (false, None) => Status::Deactivated,
        (false, Some(_)) => Status::Banned,
    };
    Ok(Person {
        id: UserId::new(id),
        name,
        role,
        status,
        bio,
        email_address: Some(email_address),
        created_at: Timestamp::from_ms(created_at),
        reset: by.zip(reset_at.map(Timestamp::from_ms)),
    })
}

pub(super) fn viewer(id: i64, name: String, role: &str, email_address: String) -> Result<Viewer, Error> {
    let role = Role::parse(role).ok_or_else(|| inconsistent("users", id, "unknown role"))?;
    Ok(Viewer { id: UserId::new(id), name, role, email_address })
}

/// Creates the account, or finds that it exists.
pub async fn insert_account(tx: &mut Tx, account: &Account, now: Timestamp) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "INSERT INTO accounts (id, name, join_code, created_at) VALUES (1, ?1, ?2, ?3)
         ON CONFLICT DO NOTHING",
    )
    .bind(&account.name)
    .bind(account.join_code.as_deref().unwrap_or_default())
    .bind(now.ms())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Creates a user; `None` when the address is taken.
pub async fn insert_user(
    tx: &mut Tx,
    user: &NewUser,
    password_digest: &str,
    role: Role,
    now: Timestamp,
) -> sqlx::Result<Option<UserId>> {
    let row: Option<(i64,)> = sqlx::query_as(
        "INSERT INTO users (name, email_address, password_digest, role, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (email_address) DO NOTHING RETURNING id",
    )
    .bind(&user.name)
    .bind(&user.email_address)
    .bind(password_digest)
    .bind(role.as_str())
    .bind(now.ms())
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|(id,)| UserId::new(id)))
}

/// The account as it now is, in this transaction.
pub async fn find_account(tx: &mut Tx) -> sqlx::Result<Option<Account>> {
    let row: Option<AccountRow> = sqlx::query_as(ACCOUNT).fetch_optional(tx).await?;
    Ok(row.map(account))
}

/// Gives the account a name and a rule.
pub async fn update_account(tx: &mut Tx, name: &str, room_creators: RoomCreators) -> sqlx::Result<()> {
    sqlx::query("UPDATE accounts SET name = ?1, room_creators = ?2")
        .bind(name)
        .bind(room_creators.as_str())
        .execute(tx)
        .await
        .map(|_| ())
}

/// Gives the account a stylesheet.
pub async fn update_styles(tx: &mut Tx, styles: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE accounts SET styles = ?1").bind(styles).execute(tx).await.map(|_| ())
}

/// An active user as they now are, in this transaction.
pub async fn find_viewer(tx: &mut Tx, id: UserId) -> sqlx::Result<Option<Viewer>> {
    let row: Option<(String, String, String)> =
        sqlx::query_as("SELECT name, role, email_address FROM users WHERE id = ?1 AND active = 1")
            .bind(id.get())
            .fetch_optional(tx)
            .await?;
    Ok(row.and_then(|(name, role, email_address)| {
        Role::parse(&role).map(|role| Viewer { id, name, role, email_address })
    }))
}

/// Whether nobody could administer the account without this user.
pub async fn is_last_administrator(tx: &mut Tx, id: UserId) -> sqlx::Result<bool> {
    let (others,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM users WHERE role = 'administrator' AND active = 1 AND id <> ?1")
            .bind(id.get())
            .fetch_one(tx)
            .await?;
    Ok(others == 0)
}

/// Stores what somebody changed about themselves. False when the address is another's.
pub async fn update_profile(tx: &mut Tx, id: UserId, profile: &Profile) -> sqlx::Result<bool> {
    sqlx::query("UPDATE OR IGNORE users SET name = ?2, email_address = ?3, bio = ?4 WHERE id = ?1")
        .bind(id.get())
        .bind(&profile.name)
        .bind(&profile.email_address)
        .bind(&profile.bio)
        .execute(tx)
        .await
        .map(|done| done.rows_affected() == 1)
}

/// Gives a user a new password; `reset_by` made the link it was set by.
pub async fn update_password(
    tx: &mut Tx,
    id: UserId,
    password_digest: &str,
    reset: Option<(UserId, Timestamp)>,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE users SET password_digest = ?2, reset_by_id = ?3, reset_at = ?4 WHERE id = ?1")
        .bind(id.get())
        .bind(password_digest)
        .bind(reset.map(|(by, _)| by.get()))
        .bind(reset.map(|(_, at)| at.ms()))
        .execute(tx)
        .await
        .map(|_| ())
}

/// Gives a person, active or not, another role. False when there is no such person.
pub async fn update_role(tx: &mut Tx, id: UserId, role: Role) -> sqlx::Result<bool> {
    sqlx::query("UPDATE users SET role = ?2 WHERE id = ?1 AND role <> 'bot'")
        .bind(id.get())
        .bind(role.as_str())
        .execute(tx)
        .await
        .map(|done| done.rows_affected() == 1)
}

/// Lets a person in or keeps them out. What was to be removed of theirs is, unless they are not
/// banned any more. False when there is no such person.
pub async fn update_status(tx: &mut Tx, id: UserId, status: Status, now: Timestamp) -> sqlx::Result<bool> {
    let banned_at = (status == Status::Banned).then(|| now.ms());
    sqlx::query(
        "UPDATE users SET active = ?2, banned_at = ?3,
                          removing_messages = removing_messages AND ?3 IS NOT NULL
         WHERE id = ?1 AND role <> 'bot'",
    )
    .bind(id.get())
    .bind(status == Status::Active)
    .bind(banned_at)
    .execute(tx)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Notes that somebody's messages are to be removed, or that they have been.
pub async fn update_removing(tx: &mut Tx, id: UserId, wanted: bool) -> sqlx::Result<()> {
    sqlx::query("UPDATE users SET removing_messages = ?2 WHERE id = ?1")
        .bind(id.get())
        .bind(wanted)
        .execute(tx)
        .await
        .map(|_| ())
}

/// The addresses of a user's sessions, and those of everybody else who may come in.
pub async fn list_addresses(tx: &mut Tx, user_id: UserId) -> Result<(Vec<String>, Vec<String>), sqlx::Error> {
    let rows: Vec<(String, bool)> = sqlx::query_as(
        "SELECT DISTINCT s.ip_address, s.user_id = ?1 FROM sessions s
         JOIN users u ON u.id = s.user_id AND u.active = 1 OR s.user_id = ?1",
    )
    .bind(user_id.get())
    .fetch_all(tx)
    .await?;
    let (own, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, own)| *own);
    let addresses = |rows: Vec<(String, bool)>| rows.into_iter().map(|(ip, _)| ip).collect();
    Ok((addresses(own), addresses(others)))
}

/// Keeps newcomers from a network out while a user is banned.
pub async fn insert_ban(tx: &mut Tx, user_id: UserId, network: &str, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO bans (user_id, network, created_at) VALUES (?1, ?2, ?3)
         ON CONFLICT DO NOTHING",
    )
    .bind(user_id.get())
    .bind(network)
    .bind(now.ms())
    .execute(tx)
    .await
    .map(|_| ())
}

/// Forgets from where a user came.
pub async fn remove_bans(tx: &mut Tx, user_id: UserId) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM bans WHERE user_id = ?1").bind(user_id.get()).execute(tx).await.map(|_| ())
}

/// Whether newcomers from a network are kept out.
pub async fn is_banned(tx: &mut Tx, network: &str) -> sqlx::Result<bool> {
    sqlx::query("SELECT 1 FROM bans WHERE network = ?1")
        .bind(network)
        .fetch_optional(tx)
        .await
        .map(|row| row.is_some())
}

/// Whether this is still the digest of an active user's password.
pub async fn is_password(tx: &mut Tx, id: UserId, digest: &str) -> sqlx::Result<bool> {
    sqlx::query("SELECT 1 FROM users WHERE id = ?1 AND password_digest = ?2 AND active = 1")
        .bind(id.get())
        .bind(digest)
        .fetch_optional(tx)
        .await
        .map(|row| row.is_some())
}

/// Whether somebody's messages are to be removed.
pub async fn is_losing_messages(tx: &mut Tx, id: UserId) -> sqlx::Result<bool> {
    sqlx::query("SELECT 1 FROM users WHERE id = ?1 AND removing_messages = 1")
        .bind(id.get())
        .fetch_optional(tx)
        .await
        .map(|row| row.is_some())
}

/// Notes that mentions of somebody carry an earlier name, or that none does any more.
pub async fn update_renamed(tx: &mut Tx, id: UserId, renamed: bool) -> sqlx::Result<()> {
    sqlx::query("UPDATE users SET renamed = ?2 WHERE id = ?1")
        .bind(id.get())
        .bind(renamed)
        .execute(tx)
        .await
        .map(|_| ())
}

/// Somebody whose mentions carry an earlier name, by the one they have now.
pub async fn find_renamed(tx: &mut Tx, id: UserId) -> sqlx::Result<Option<UserRef>> {
    let row: Option<(String,)> = sqlx::query_as("SELECT name FROM users WHERE id = ?1 AND renamed = 1")
        .bind(id.get())
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|(name,)| UserRef { id, name }))
}
