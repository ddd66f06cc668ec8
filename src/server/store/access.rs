//! How people come in and stay in: sessions, invite links, and links that work once.

use super::account::viewer;
use super::{Store, Tx, read_failed};
use crate::domain::account::{Device, Invite, UserRef, Viewer, device_name};
use crate::domain::error::Error;
use crate::domain::{InviteId, SessionId, Timestamp, UserId};

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

type InviteRow = (i64, String, i64, String, i64, Option<i64>, Option<i64>, Option<i64>, i64);

macro_rules! invite_columns {
    () => {
        "SELECT i.id, i.code, i.creator_id, u.name, i.uses, i.max_uses, i.expires_at,
                i.revoked_at, i.created_at FROM invites i JOIN users u ON u.id = i.creator_id "
    };
}

fn invite(row: InviteRow) -> Invite {
    let (id, code, creator_id, name, uses, max_uses, expires_at, revoked_at, created_at) = row;
    Invite {
        id: InviteId::new(id),
        code,
        creator: UserRef { id: UserId::new(creator_id), name },
        uses,
        max_uses,
        expires_at: expires_at.map(Timestamp::from_ms),
        revoked_at: revoked_at.map(Timestamp::from_ms),
        created_at: Timestamp::from_ms(created_at),
    }
}

impl Store {
    /// The session of a token, if it still runs and its user is active.
    pub async fn find_session(&self, digest: &TokenDigest, now: Timestamp) -> Result<Option<Session>, Error> {
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

    /// Somebody's running sessions, the latest first, at most 100. `current` is the one that asks.
    pub async fn list_devices(
        &self,
        user_id: UserId,
        current: SessionId,
        now: Timestamp,
    ) -> Result<Vec<Device>, Error> {
        let rows: Vec<(i64, String, String, i64, i64)> = sqlx::query_as(
            "SELECT id, user_agent, ip_address, last_active_at, created_at FROM sessions
             WHERE user_id = ?1 AND expires_at > ?2
             ORDER BY id = ?3 DESC, last_active_at DESC, id DESC LIMIT 100",
        )
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

    /// The invite links, the newest first, at most 100; those that have ended only for
    /// administrators.
    pub async fn list_invites(&self, viewer: &Viewer, now: Timestamp) -> Result<Vec<Invite>, Error> {
        let rows: Vec<InviteRow> = sqlx::query_as(concat!(invite_columns!(), "ORDER BY i.id DESC LIMIT 100"))
            .fetch_all(self.reader())
            .await
            .map_err(read_failed)?;
        let all = rows.into_iter().map(invite);
        Ok(all.filter(|one| viewer.may_administer() || one.is_open(now)).collect())
    }

    /// An invite link by its code, if it still lets people in.
    pub async fn find_invite(&self, code: &str, now: Timestamp) -> Result<Option<Invite>, Error> {
        let row: Option<InviteRow> = sqlx::query_as(concat!(invite_columns!(), "WHERE i.code = ?1"))
            .bind(code)
            .fetch_optional(self.reader())
            .await
            .map_err(read_failed)?;
        Ok(row.map(invite).filter(|invite| invite.is_open(now)))
    }

    /// An invite link.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn load_invite(&self, id: InviteId) -> Result<Invite, Error> {
        let row: Option<InviteRow> = sqlx::query_as(concat!(invite_columns!(), "WHERE i.id = ?1"))
            .bind(id.get())
            .fetch_optional(self.reader())
            .await
            .map_err(read_failed)?;
        row.map(invite).ok_or(Error::NotFound)
    }

    /// Whom a link lets in, if it still works.
    pub async fn find_link(
        &self,
        digest: &TokenDigest,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Option<UserRef>, Error> {
        let row: Option<(i64, String)> = sqlx::query_as(
            "SELECT u.id, u.name FROM links l JOIN users u ON u.id = l.user_id AND u.active = 1
             WHERE l.token_digest = ?1 AND l.purpose = ?2 AND l.expires_at > ?3",
        )
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
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "DELETE FROM sessions WHERE user_id = ?1 AND (?2 IS NULL OR id = ?2)
             AND (?3 IS NULL OR id <> ?3) RETURNING id, token_digest",
    )
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

/// Stores an invite link.
pub async fn insert_invite(
    tx: &mut Tx,
    (creator, code): (UserId, &str),
    (expires_at, max_uses): (Option<Timestamp>, Option<u16>),
    now: Timestamp,
) -> sqlx::Result<InviteId> {
    let (id,): (i64,) = sqlx::query_as(
        "INSERT INTO invites (code, creator_id, max_uses, expires_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
    )
    .bind(code)
    .bind(creator.get())
    .bind(max_uses)
    .bind(expires_at.map(Timestamp::ms))
    .bind(now.ms())
    .fetch_one(tx)
    .await?;
    Ok(InviteId::new(id))
}

/// Counts one more use of an invite link. False if it lets nobody in any more.
pub async fn use_invite(tx: &mut Tx, code: &str, now: Timestamp) -> sqlx::Result<bool> {
    sqlx::query(
        "UPDATE invites SET uses = uses + 1 WHERE code = ?1 AND revoked_at IS NULL
             AND (expires_at IS NULL OR expires_at > ?2)
             AND (max_uses IS NULL OR uses < max_uses)",
    )
    .bind(code)
    .bind(now.ms())
    .execute(tx)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Whether an invite link lets people in, in this transaction.
pub async fn is_open_invite(tx: &mut Tx, code: &str, now: Timestamp) -> sqlx::Result<bool> {
    sqlx::query(
        "SELECT 1 FROM invites WHERE code = ?1 AND revoked_at IS NULL
             AND (expires_at IS NULL OR expires_at > ?2)
             AND (max_uses IS NULL OR uses < max_uses)",
    )
    .bind(code)
    .bind(now.ms())
    .fetch_optional(tx)
    .await
    .map(|row| row.is_some())
}

/// Who made an invite link.
pub async fn find_invite_creator(tx: &mut Tx, id: InviteId) -> sqlx::Result<Option<UserId>> {
    let row: Option<(i64,)> = sqlx::query_as("SELECT creator_id FROM invites WHERE id = ?1")
        .bind(id.get())
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|(id,)| UserId::new(id)))
}

/// Ends an invite link. Ending it twice is no error.
pub async fn revoke_invite(tx: &mut Tx, id: InviteId, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query("UPDATE invites SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1")
        .bind(id.get())
        .bind(now.ms())
        .execute(tx)
        .await
        .map(|_| ())
}

/// Stores a link that works once; an older one of the same purpose ends.
pub async fn insert_link(tx: &mut Tx, link: &Link, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT OR REPLACE INTO links
             (token_digest, purpose, user_id, creator_id, expires_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
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
    let row: Option<(i64, i64)> = sqlx::query_as(
        "DELETE FROM links WHERE token_digest = ?1 AND purpose = ?2 AND expires_at > ?3
         RETURNING user_id, creator_id",
    )
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
