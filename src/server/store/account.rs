//! The account, its users and their sessions.

use super::{Store, Tx, inconsistent, read_failed};
use crate::domain::account::{NewUser, Role, User, UserRef, Viewer};
use crate::domain::error::Error;
use crate::domain::{MessageId, RoomId, SessionId, Timestamp, UserId};

/// SHA-256 of a session token.
pub type TokenDigest = [u8; 32];

/// The account as its pages show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// The code of its invite link.
    pub join_code: String,
}

/// Somebody to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub user: UserRef,
    /// Whether they are a program.
    pub is_bot: bool,
    /// Whether they are in the room already.
    pub is_member: bool,
    /// Whether they opened it.
    pub is_creator: bool,
}

/// People looked through for a name at most.
const MAX_NAMES: i64 = 20_000;

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

/// What sign-in compares a password with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Who would be signed in.
    pub viewer: Viewer,
    /// The argon2id digest of their password.
    pub password_digest: String,
}

type SessionRow = (i64, i64, String, String, String, i64, i64);

impl Store {
    /// The account, once first run is done.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn find_account(&self) -> Result<Option<Account>, Error> {
        let row: Option<(String, String)> = sqlx::query_as("SELECT name, join_code FROM accounts")
            .fetch_optional(self.reader())
            .await
            .map_err(read_failed)?;
        Ok(row.map(|(name, join_code)| Account { name, join_code }))
    }

    /// The session of a token, if it still runs and its user is active.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Unexpected`] for an unreadable row.
    pub async fn find_session(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<Session>, Error> {
        let row: Option<SessionRow> = sqlx::query_as(
            "SELECT s.id, u.id, u.name, u.role, u.email_address, s.last_active_at, s.expires_at
             FROM sessions s JOIN users u ON u.id = s.user_id
             WHERE s.token_digest = ?1 AND s.expires_at > ?2 AND u.active = 1",
        )
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

    /// What sign-in needs to know about an address; nothing for bots and inactive users.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Unexpected`] for an unreadable row.
    pub async fn find_credentials(
        &self,
        email_address: &str,
    ) -> Result<Option<Credentials>, Error> {
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

    /// The active users by name, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Unexpected`] for an unreadable row.
    pub async fn list_users(&self, limit: u32) -> Result<Vec<User>, Error> {
        let rows: Vec<(i64, String, String, i64)> = sqlx::query_as(
            "SELECT id, name, role, created_at FROM users
             WHERE active = 1 ORDER BY lower(name), id LIMIT ?1",
        )
        .bind(limit)
        .fetch_all(self.reader())
        .await
        .map_err(read_failed)?;
        rows.into_iter().map(user).collect()
    }

    /// An active user.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unavailable`]; [`Error::Unexpected`] for an unreadable row.
    pub async fn load_user(&self, id: UserId) -> Result<User, Error> {
        let row: Option<(i64, String, String, i64)> = sqlx::query_as(
            "SELECT id, name, role, created_at FROM users WHERE id = ?1 AND active = 1",
        )
        .bind(id.get())
        .fetch_optional(self.reader())
        .await
        .map_err(read_failed)?;
        row.map_or(Err(Error::NotFound), user)
    }
}

/// Among whom names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Everybody.
    Account,
    /// The members of a room.
    Room(RoomId),
    /// The members of a message's room.
    RoomOf(MessageId),
}

impl Store {
    /// Whom one may choose for a room: its members first, then the others, by name.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn list_candidates(
        &self,
        room_id: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<Candidate>, Error> {
        let rows: Vec<(i64, String, String, bool, bool)> = sqlx::query_as(
            "SELECT u.id, u.name, u.role, m.user_id IS NOT NULL AS is_member,
                    u.id IS (SELECT creator_id FROM rooms WHERE id = ?1) AS is_creator
             FROM users u LEFT JOIN memberships m ON m.user_id = u.id AND m.room_id = ?1
             WHERE u.active = 1 ORDER BY is_member DESC, is_creator DESC, lower(u.name), u.id LIMIT ?2",
        )
        .bind(room_id.map(RoomId::get))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.reader())
        .await
        .map_err(read_failed)?;
        let candidates =
            rows.into_iter().map(|(id, name, role, is_member, is_creator)| Candidate {
                user: UserRef { id: UserId::new(id), name },
                is_bot: Role::parse(&role) == Some(Role::Bot),
                is_member,
                is_creator,
            });
        Ok(candidates.collect())
    }

    /// The names of everybody active: in a room of the viewer's, or in the account. Nobody, if the
    /// viewer is a stranger to the room.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn list_names(&self, viewer: UserId, place: Place) -> Result<Vec<UserRef>, Error> {
        let statement = match place {
            Place::Account => {
                "SELECT id, name FROM users WHERE active = 1 AND ?1 > 0 AND ?2 = 0
                 ORDER BY lower(name), id LIMIT ?3"
            }
            Place::Room(_) => {
                "SELECT u.id, u.name FROM memberships m
                 JOIN memberships a ON a.room_id = m.room_id JOIN users u ON u.id = a.user_id
                 WHERE m.user_id = ?1 AND m.room_id = ?2 AND u.active = 1
                 ORDER BY lower(u.name), u.id LIMIT ?3"
            }
            Place::RoomOf(_) => {
                "SELECT u.id, u.name FROM messages g
                 JOIN memberships m ON m.room_id = g.room_id AND m.user_id = ?1
                 JOIN memberships a ON a.room_id = m.room_id JOIN users u ON u.id = a.user_id
                 WHERE g.id = ?2 AND u.active = 1 ORDER BY lower(u.name), u.id LIMIT ?3"
            }
        };
        let at = match place {
            Place::Account => 0,
            Place::Room(id) => id.get(),
            Place::RoomOf(id) => id.get(),
        };
        let rows: Vec<(i64, String)> = sqlx::query_as(statement)
            .bind(viewer.get())
            .bind(at)
            .bind(MAX_NAMES)
            .fetch_all(self.reader())
            .await
            .map_err(read_failed)?;
        Ok(rows.into_iter().map(|(id, name)| UserRef { id: UserId::new(id), name }).collect())
    }
}

fn viewer(id: i64, name: String, role: &str, email_address: String) -> Result<Viewer, Error> {
    let role = Role::parse(role).ok_or_else(|| inconsistent("users", id, "unknown role"))?;
    Ok(Viewer { id: UserId::new(id), name, role, email_address })
}

fn user((id, name, role, created_at): (i64, String, String, i64)) -> Result<User, Error> {
    let role = Role::parse(&role).ok_or_else(|| inconsistent("users", id, "unknown role"))?;
    Ok(User { id: UserId::new(id), name, role, created_at: Timestamp::from_ms(created_at) })
}

/// Creates the account, or finds that it exists.
///
/// # Errors
/// Whatever SQLite says.
pub async fn insert_account(
    tx: &mut Tx,
    account: &Account,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO accounts (id, name, join_code, created_at) VALUES (1, ?1, ?2, ?3)
         ON CONFLICT DO NOTHING",
    )
    .bind(&account.name)
    .bind(&account.join_code)
    .bind(now.ms())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether this is the code of the invite link, in this transaction.
///
/// # Errors
/// Whatever SQLite says.
pub async fn is_current_join_code(tx: &mut Tx, code: &str) -> Result<bool, sqlx::Error> {
    sqlx::query("SELECT 1 FROM accounts WHERE join_code = ?1")
        .bind(code)
        .fetch_optional(tx)
        .await
        .map(|row| row.is_some())
}

/// Creates a user; `None` when the address is taken.
///
/// # Errors
/// Whatever SQLite says.
pub async fn insert_user(
    tx: &mut Tx,
    user: &NewUser,
    password_digest: &str,
    role: Role,
    now: Timestamp,
) -> Result<Option<UserId>, sqlx::Error> {
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

/// Whether a session with this token exists, in this transaction.
///
/// # Errors
/// Whatever SQLite says.
pub async fn is_token_taken(tx: &mut Tx, digest: &TokenDigest) -> Result<bool, sqlx::Error> {
    sqlx::query("SELECT 1 FROM sessions WHERE token_digest = ?1")
        .bind(digest.as_slice())
        .fetch_optional(tx)
        .await
        .map(|row| row.is_some())
}

/// Begins a session; `None` when there is no such active user.
///
/// # Errors
/// Whatever SQLite says.
pub async fn insert_session(
    tx: &mut Tx,
    user_id: UserId,
    session: &NewSession,
) -> Result<Option<SessionId>, sqlx::Error> {
    let row: Option<(i64,)> = sqlx::query_as(
        "INSERT INTO sessions
             (token_digest, user_id, user_agent, ip_address, last_active_at, expires_at, created_at)
         SELECT ?1, id, ?3, ?4, ?5, ?6, ?5 FROM users WHERE id = ?2 AND active = 1
         RETURNING id",
    )
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
///
/// # Errors
/// Whatever SQLite says.
pub async fn update_session_use(
    tx: &mut Tx,
    id: SessionId,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool, sqlx::Error> {
    sqlx::query("UPDATE sessions SET last_active_at = ?2, expires_at = ?3 WHERE id = ?1")
        .bind(id.get())
        .bind(now.ms())
        .bind(expires_at.ms())
        .execute(tx)
        .await
        .map(|done| done.rows_affected() == 1)
}

/// Ends a session. Ending it twice is no error.
///
/// # Errors
/// Whatever SQLite says.
pub async fn remove_session(tx: &mut Tx, id: SessionId) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM sessions WHERE id = ?1").bind(id.get()).execute(tx).await.map(|_| ())
}

/// Removes sessions that have run out.
///
/// # Errors
/// Whatever SQLite says.
pub async fn remove_expired_sessions(tx: &mut Tx, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM sessions WHERE expires_at <= ?1")
        .bind(now.ms())
        .execute(tx)
        .await
        .map(|_| ())
}
