//! Users, and how they come in and stay in: passwords, sessions, and links that work once.

use super::{Store, Tx, inconsistent, read_failed};
use crate::domain::account::{Device, NewUser, Person, Profile, Role, Status, UserRef, Viewer, device_name};
use crate::domain::error::Error;
use crate::domain::{SessionId, Timestamp, UserId};

/// What sign-in compares a password with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Who would be signed in.
    pub viewer: Viewer,
    /// The argon2id digest of their password.
    pub password_digest: String,
}

/// The columns of [`PersonRow`], from users `u`.
macro_rules! person_columns {
    () => {
        "u.id, u.name, u.role, u.active, u.banned_at, u.bio, u.email_address, u.created_at,
         r.name, u.reset_at FROM users u LEFT JOIN users r ON r.id = u.reset_by_id"
    };
}

impl Store {
    /// What sign-in needs to know about an address; nothing for bots and inactive users.
    pub async fn find_credentials(&self, email_address: &str) -> Result<Option<Credentials>, Error> {
        let row: Option<(i64, String, String, String)> =
            sqlx::query_as(include_str!("sql/account_find_credentials.sql"))
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

fn viewer(id: i64, name: String, role: &str, email_address: String) -> Result<Viewer, Error> {
    let role = Role::parse(role).ok_or_else(|| inconsistent("users", id, "unknown role"))?;
    Ok(Viewer { id: UserId::new(id), name, role, email_address })
}

/// Creates a user; `None` when the address is taken.
pub async fn insert_user(
    tx: &mut Tx,
    user: &NewUser,
    password_digest: &str,
    role: Role,
    now: Timestamp,
) -> sqlx::Result<Option<UserId>> {
    let row: Option<(i64,)> = sqlx::query_as(include_str!("sql/account_insert_user.sql"))
        .bind(&user.name)
        .bind(&user.email_address)
        .bind(password_digest)
        .bind(role.as_str())
        .bind(now.ms())
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|(id,)| UserId::new(id)))
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
    sqlx::query(include_str!("sql/account_update_status.sql"))
        .bind(id.get())
        .bind(status == Status::Active)
        .bind(banned_at)
        .execute(tx)
        .await
        .map(|done| done.rows_affected() == 1)
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

/// SHA-256 of a token.
pub type TokenDigest = [u8; 32];

/// A session that is about to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// Of its token.
    pub token_digest: TokenDigest,
    /// As the browser describes itself; shortened.
    pub user_agent: String,
    /// Where it was begun.
    pub ip_address: String,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
}

/// A running session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub viewer: Viewer,
    /// When its use was last recorded.
    pub last_active_at: Timestamp,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
}

/// What a link that works once is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Signing in on another device.
    SignIn,
    /// Setting a new password.
    Reset,
}

impl Purpose {
    /// The stored form.
    fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Reset => "reset",
        }
    }
}

/// A link that works once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Of its token.
    pub digest: TokenDigest,
    /// What it is good for.
    pub purpose: Purpose,
    /// Whom it lets in.
    pub user_id: UserId,
    /// Who made it.
    pub creator_id: UserId,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
}

type SessionRow = (i64, i64, String, String, String, i64, i64);

impl Store {
    /// The session of a token, if it still runs and its user is active.
    pub async fn find_session(&self, digest: &TokenDigest, now: Timestamp) -> Result<Option<Session>, Error> {
        let row: Option<SessionRow> = sqlx::query_as(include_str!("sql/account_find_session.sql"))
            .bind(digest.as_slice())
            .bind(now.ms())
            .fetch_optional(self.reader())
            .await
            .map_err(read_failed)?;
        let Some((id, user_id, name, role, email_address, last_active_at, expires_at)) = row else {
            return Ok(None);
        };
        Ok(Some(Session {
            id: SessionId::new(id),
            viewer: viewer(user_id, name, &role, email_address)?,
            last_active_at: Timestamp::from_ms(last_active_at),
            expires_at: Timestamp::from_ms(expires_at),
        }))
    }

    /// Somebody's running sessions, the latest first, at most 100. `current` is the one that asks.
    pub async fn list_devices(
        &self,
        user_id: UserId,
        current: SessionId,
        now: Timestamp,
    ) -> Result<Vec<Device>, Error> {
        let rows: Vec<(i64, String, String, i64, i64)> =
            sqlx::query_as(include_str!("sql/account_list_devices.sql"))
                .bind(user_id.get())
                .bind(now.ms())
                .bind(current.get())
                .fetch_all(self.reader())
                .await
                .map_err(read_failed)?;
        let device =
            |(id, user_agent, ip_address, last_active_at, created_at): (_, String, _, _, _)| Device {
                id: SessionId::new(id),
                device: device_name(&user_agent),
                ip_address,
                last_active_at: Timestamp::from_ms(last_active_at),
                created_at: Timestamp::from_ms(created_at),
                current: id == current.get(),
            };
        Ok(rows.into_iter().map(device).collect())
    }

    /// Whom a link lets in, if it still works.
    pub async fn find_link(
        &self,
        digest: &TokenDigest,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Option<UserRef>, Error> {
        let row: Option<(i64, String)> = sqlx::query_as(include_str!("sql/account_find_link.sql"))
            .bind(digest.as_slice())
            .bind(purpose.as_str())
            .bind(now.ms())
            .fetch_optional(self.reader())
            .await
            .map_err(read_failed)?;
        Ok(row.map(|(id, name)| UserRef { id: UserId::new(id), name }))
    }
}

/// Whether a session with this token exists, in this transaction.
pub async fn is_token_taken(tx: &mut Tx, digest: &TokenDigest) -> sqlx::Result<bool> {
    sqlx::query("SELECT 1 FROM sessions WHERE token_digest = ?1")
        .bind(digest.as_slice())
        .fetch_optional(tx)
        .await
        .map(|row| row.is_some())
}

/// Begins a session; `None` when there is no such active user.
pub async fn insert_session(
    tx: &mut Tx,
    user_id: UserId,
    session: &NewSession,
) -> sqlx::Result<Option<SessionId>> {
    let row: Option<(i64,)> = sqlx::query_as(include_str!("sql/account_insert_session.sql"))
        .bind(session.token_digest.as_slice())
        .bind(user_id.get())
        .bind(&session.user_agent)
        .bind(&session.ip_address)
        .bind(session.created_at.ms())
        .bind(session.expires_at.ms())
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|(id,)| SessionId::new(id)))
}

/// Records that a session is in use and moves its end. False if it has ended meanwhile.
pub async fn update_session_use(
    tx: &mut Tx,
    id: SessionId,
    now: Timestamp,
    expires_at: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query("UPDATE sessions SET last_active_at = ?2, expires_at = ?3 WHERE id = ?1")
        .bind(id.get())
        .bind(now.ms())
        .bind(expires_at.ms())
        .execute(tx)
        .await
        .map(|done| done.rows_affected() == 1)
}

/// Ends a session. Ending it twice is no error.
pub async fn remove_session(tx: &mut Tx, id: SessionId) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM sessions WHERE id = ?1").bind(id.get()).execute(tx).await.map(|_| ())
}

/// Removes sessions and links that have run out.
pub async fn remove_expired(tx: &mut Tx, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM links WHERE expires_at <= ?1").bind(now.ms()).execute(&mut *tx).await?;
    sqlx::query("DELETE FROM sessions WHERE expires_at <= ?1").bind(now.ms()).execute(tx).await.map(|_| ())
}

/// Which of a user's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// Every one.
    All,
    /// This one.
    One(SessionId),
    /// All but this one.
    AllBut(SessionId),
}

/// Ends some of a user's sessions. Returns those that ran.
pub async fn remove_sessions(
    tx: &mut Tx,
    user_id: UserId,
    which: Sessions,
) -> sqlx::Result<Vec<(SessionId, TokenDigest)>> {
    let (one, all_but) = match which {
        Sessions::All => (None, None),
        Sessions::One(id) => (Some(id.get()), None),
        Sessions::AllBut(id) => (None, Some(id.get())),
    };
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(include_str!("sql/account_remove_sessions.sql"))
        .bind(user_id.get())
        .bind(one)
        .bind(all_but)
        .fetch_all(tx)
        .await?;
    let ended = rows.into_iter().map(|(id, digest)| {
        let digest = digest.try_into().map_err(|_| sqlx::Error::Decode("a short digest".into()))?;
        Ok((SessionId::new(id), digest))
    });
    ended.collect()
}

/// Stores a link that works once; an older one of the same purpose ends.
pub async fn insert_link(tx: &mut Tx, link: &Link, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query(include_str!("sql/account_insert_link.sql"))
        .bind(link.digest.as_slice())
        .bind(link.purpose.as_str())
        .bind(link.user_id.get())
        .bind(link.creator_id.get())
        .bind(link.expires_at.ms())
        .bind(now.ms())
        .execute(tx)
        .await
        .map(|_| ())
}

/// Uses a link up. Returns whom it lets in and who made it; nothing if it does not work.
pub async fn take_link(
    tx: &mut Tx,
    digest: &TokenDigest,
    purpose: Purpose,
    now: Timestamp,
) -> sqlx::Result<Option<(UserId, UserId)>> {
    let row: Option<(i64, i64)> = sqlx::query_as(include_str!("sql/account_take_link.sql"))
        .bind(digest.as_slice())
        .bind(purpose.as_str())
        .bind(now.ms())
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|(user, creator)| (UserId::new(user), UserId::new(creator))))
}

/// Ends every link that would let a user in.
pub async fn remove_links(tx: &mut Tx, user_id: UserId) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM links WHERE user_id = ?1").bind(user_id.get()).execute(tx).await.map(|_| ())
}
