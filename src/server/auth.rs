//! Who is asking: passwords, session tokens, limits on guessing.
//!
//! A token is 32 letters and digits from the operating system's generator; only its SHA-256 is
//! stored or remembered. Passwords are argon2id (19 MiB, two passes), computed on the blocking
//! pool behind a semaphore, so that a hundred sign-ins at once cannot starve the chat. An unknown
//! address costs the same time as a wrong password.

use super::Clock;
use super::operation::{Allowances, Config, Gap};
use super::store::account::{Credentials, Link, NewSession, Purpose, Session, TokenDigest};
use super::store::{Account, Store};
use super::writer::hot::Hot;
use super::writer::{Begun, Newcomer, Writer};
use crate::domain::account::{
    self, Invite, NewUser, RoomCreators, Viewer, is_invite_code, normalize_email, parse_account_name,
};
use crate::domain::error::Error;
use crate::domain::{Timestamp, UserId};
use crate::texts;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Letters and digits in a session token: 190 bits (founding minimum).
pub const TOKEN_LENGTH: usize = 32;
/// A session's use is written at most this often.
const USE_RECORDED_EVERY_MS: i64 = 60 * 60 * 1_000;
/// Hashes at once; each takes 19 MiB and one core.
const MAX_HASHES: usize = 2;
/// Tokens drawn before giving up. One collision is already beyond belief.
const TOKEN_ATTEMPTS: usize = 3;
/// A digest of nothing in particular, so that unknown addresses cost as much as known ones.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ib2R5\
                      $YmVsb25ncyB0byBub2JvZHkgYXQgYWxsLCByZWFsbHk";
/// A sign-in link for another device works this long.
const SIGN_IN_LINK_MS: i64 = 10 * 60 * 1_000;
/// A link to reset a password works this long.
const RESET_LINK_MS: i64 = 24 * 60 * 60 * 1_000;
/// Longest stored description of a browser, in bytes.
const MAX_USER_AGENT: usize = 200;

/// Where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address, seen through trusted proxies.
    pub ip: IpAddr,
    /// As its browser describes itself.
    pub user_agent: String,
}

/// A session together with the secret that proves it. The secret exists only here and in the
/// cookie.
#[derive(Clone)]
pub struct SignedIn {
    /// The session.
    pub session: Arc<Session>,
    /// Its token.
    pub token: String,
}

/// Sign-in, sign-up and recognising who is asking.
#[derive(Clone, Debug)]
pub struct Auth {
    store: Store,
    writer: Writer,
    hot: Arc<Hot>,
    clock: Clock,
    session_ms: i64,
    hashing: Arc<Semaphore>,
    limits: Option<Arc<Allowances>>,
}

impl Auth {
    /// Puts the parts together.
    pub fn new(config: &Config, parts: (Store, Writer, Arc<Hot>), clock: Clock) -> Self {
        let (store, writer, hot) = parts;
        let limits = Allowances::new(config).map(Arc::new);
        let hashing = Arc::new(Semaphore::new(MAX_HASHES));
        let session_ms = i64::from(config.session_hours.get()) * 3_600_000;
        Self { store, writer, hot, clock, session_ms, hashing, limits }
    }

    /// Sets the chat up: account, administrator, first room and session.
    ///
    /// # Errors
    /// [`Error::Validation`]; [`Error::AlreadySetUp`]; [`Error::RateLimited`]; those of
    /// [`Writer`].
    pub async fn first_run(
        &self,
        account_name: &str,
        user: NewUser,
        client: &Client,
    ) -> Result<SignedIn, Error> {
        let name = parse_account_name(account_name)?;
        self.allow_guess(client.ip)?;
        // Hashing is the expensive part; whoever comes late need not pay for it.
        if self.store.find_account().await?.is_some() {
            Gap::AccountAppearsMeanwhile.record("first run was asked for again");
            return Err(Error::AlreadySetUp);
        }
        let password_digest = self.hash(user.password.clone()).await?;
        let (join_code, room_creators) = (Some(invite_code()?), RoomCreators::Everybody);
        let account = Account { name, join_code, room_creators, styles: None };
        let newcomer = |session| Newcomer::new(&user, &password_digest, session);
        let first_run = |session| self.writer.first_run(account.clone(), newcomer(session));
        let done = self.begin(client, first_run).await;
        if done.as_ref().is_err_and(|error| *error == Error::AlreadySetUp) {
            Gap::FirstRunRace.record("several first runs at once; one won");
        }
        done
    }

    /// Creates a user by invite code. Whoever asks again, because the answer was lost on its way to
    /// them, gets in as the one they have become, by e-mail and password.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a wrong code; [`Error::AlreadyMember`]; [`Error::RateLimited`];
    /// those of [`Writer`].
    pub async fn join(&self, code: &str, user: NewUser, client: &Client) -> Result<SignedIn, Error> {
        self.allow_guess(client.ip)?;
        let refused = match self.find_invite(code).await {
            Ok(_) => {
                let password_digest = self.hash(user.password.clone()).await?;
                let newcomer = |session| Newcomer::new(&user, &password_digest, session);
                match self.begin(client, |session| self.writer.join(code, newcomer(session))).await {
                    Err(error) => error,
                    done => return done,
                }
            }
            Err(error) => error,
        };
        if !matches!(refused, Error::AlreadyMember | Error::NotFound) {
            return Err(refused);
        }
        match self.enter(&user.email_address, &user.password, client).await {
            Err(Error::WrongCredentials) => Err(refused),
            done => done,
        }
    }

    /// The invite link of a code.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it lets nobody in; [`Error::Unavailable`].
    pub async fn find_invite(&self, code: &str) -> Result<Invite, Error> {
        let found = match is_invite_code(code) {
            true => self.store.find_invite(code, self.clock.now()).await?,
            false => None,
        };
        if found.is_none() {
            Gap::JoinCode.record("a wrong invite code was tried");
        }
        found.ok_or(Error::NotFound)
    }

    /// Begins a session for whoever knows the password.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`], alike for unknown addresses; [`Error::RateLimited`]; those of
    /// [`Writer`].
    pub async fn sign_in(
        &self,
        email_address: &str,
        password: &str,
        client: &Client,
    ) -> Result<SignedIn, Error> {
        let email_address = normalize_email(email_address);
        self.allow_guess(client.ip)?;
        if email_address.len() > account::MAX_EMAIL_BYTES {
            return Err(Error::WrongCredentials);
        }
        self.enter(&email_address, password, client).await
    }

    async fn enter(&self, email_address: &str, password: &str, client: &Client) -> Result<SignedIn, Error> {
        self.allow_by(|limits| limits.guess_at(email_address))?;
        let proved = self.prove(email_address, password).await?;
        self.begin(client, |session| self.writer.sign_in(proved.clone(), session)).await
    }

    async fn prove(&self, email_address: &str, password: &str) -> Result<Credentials, Error> {
        if password.len() > account::MAX_PASSWORD_BYTES {
            return Err(Error::WrongCredentials);
        }
        let found = self.store.find_credentials(email_address).await?;
        let digest = found.as_ref().map_or(NOBODY, |known| known.password_digest.as_str());
        let right = self.verify(password.to_owned(), digest.to_owned()).await?;
        found.filter(|_| right).ok_or(Error::WrongCredentials)
    }

    /// Sets a new password for whoever knows the current one; their other sessions end.
    ///
    /// # Errors
    /// [`Error::Validation`]; [`Error::RateLimited`]; those of [`Writer`].
    pub async fn change_password(
        &self,
        session: &Session,
        (current, new): (&str, &str),
    ) -> Result<(), Error> {
        let new = account::parse_password(new)?;
        let Viewer { id, email_address, .. } = &session.viewer;
        self.allow_by(|limits| limits.guess_at(email_address))?;
        let proved = self.prove(email_address, current).await.map_err(|error| match error {
            Error::WrongCredentials => Error::invalid("current_password", texts::errors::CURRENT_PASSWORD),
            other => other,
        })?;
        let digests = (proved.password_digest, self.hash(new).await?);
        self.writer.change_password(*id, digests, session.id).await
    }

    /// Makes a link that works once, for a while, and returns its token.
    ///
    /// # Errors
    /// [`Error::RateLimited`]; those of [`Writer::create_link`].
    pub async fn create_link(
        &self,
        creator_id: UserId,
        (purpose, user_id): (Purpose, UserId),
    ) -> Result<String, Error> {
        self.allow_link(creator_id)?;
        let token = token(&mut SysRng)?;
        let life = if purpose == Purpose::SignIn { SIGN_IN_LINK_MS } else { RESET_LINK_MS };
        let expires_at = Timestamp::from_ms(self.clock.now().ms() + life);
        let digest = digest(&token);
        let link = Link { digest, purpose, user_id, creator_id, expires_at };
        self.writer.create_link(link).await.map(|()| token)
    }

    /// Whom a link lets in.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it does not work; [`Error::RateLimited`]; [`Error::Unavailable`].
    pub async fn find_link(&self, purpose: Purpose, token: &str, client: &Client) -> Result<String, Error> {
        self.allow_guess(client.ip)?;
        let found = self.store.find_link(&digest(token), purpose, self.clock.now()).await?;
        found.map(|user| user.name).ok_or(Error::NotFound)
    }

    /// Begins a session by a sign-in link.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it does not work; [`Error::RateLimited`]; those of [`Writer`].
    pub async fn redeem_sign_in(&self, link: &str, client: &Client) -> Result<SignedIn, Error> {
        self.allow_guess(client.ip)?;
        self.begin(client, |session| self.writer.redeem_sign_in(digest(link), session)).await
    }

    /// Sets a new password by a reset link.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it does not work; [`Error::Validation`]; [`Error::RateLimited`];
    /// those of [`Writer`].
    pub async fn redeem_reset(&self, link: &str, password: &str, client: &Client) -> Result<(), Error> {
        // Hashing is expensive: only for links that work. It is asked once more when it is used.
        self.find_link(Purpose::Reset, link, client).await?;
        let password_digest = self.hash(account::parse_password(password)?).await?;
        self.writer.redeem_reset(digest(link), password_digest).await
    }

    /// Ends the session of a token. Its sockets close.
    ///
    /// # Errors
    /// Those of [`Writer`].
    pub async fn sign_out(&self, token: &str, session: &Session) -> Result<(), Error> {
        self.writer.sign_out(digest(token), session.id).await
    }

    /// The running session of a token. Records its use, at most hourly.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`]; [`Error::Unavailable`].
    pub async fn authenticate(&self, token: &str) -> Result<Arc<Session>, Error> {
        if token.len() != TOKEN_LENGTH {
            return Err(Error::Unauthenticated);
        }
        let digest = digest(token);
        let now = self.clock.now();
        let session = match self.hot.session(&digest) {
            Some(session) => session,
            None => {
                let ticket = self.hot.ticket();
                let found = self.store.find_session(&digest, now).await?;
                let session = Arc::new(found.ok_or(Error::Unauthenticated)?);
                self.hot.fill_session(ticket, digest, &session);
                session
            }
        };
        if session.expires_at <= now {
            return Err(Error::Unauthenticated);
        }
        // Short sessions must slide too.
        let pause = USE_RECORDED_EVERY_MS.min(self.session_ms / 4);
        if now.ms() - session.last_active_at.ms() >= pause {
            self.record_use(digest, &session, now);
        }
        Ok(session)
    }

    /// Takes one message from a user's allowance: 10 a second with bursts of 30.
    pub fn allow_post(&self, user_id: UserId) -> Result<(), Error> {
        self.allow_by(|limits| limits.post(user_id))
    }

    /// Takes one room from a user's allowance: 20 in ten minutes.
    pub fn allow_room(&self, user_id: UserId) -> Result<(), Error> {
        self.allow_by(|limits| limits.room(user_id))
    }

    /// Takes one link, or another change of who may come in, from a user's allowance: 30 in ten
    /// minutes.
    pub fn allow_link(&self, user_id: UserId) -> Result<(), Error> {
        self.allow_by(|limits| limits.link(user_id))
    }

    /// Whether rate limits apply at all.
    pub fn has_limits(&self) -> bool {
        self.limits.is_some()
    }

    /// Forgets allowances that have grown back, so that they do not fill memory.
    pub fn sweep(&self) {
        if let Some(limits) = &self.limits {
            limits.sweep();
        }
    }

    /// Recording happens beside the request: nobody waits an hourly write out.
    fn record_use(&self, digest: TokenDigest, session: &Session, now: Timestamp) {
        let used = Session {
            last_active_at: now,
            expires_at: Timestamp::from_ms(now.ms() + self.session_ms),
            ..session.clone()
        };
        let writer = self.writer.clone();
        tokio::spawn(async move {
            if let Err(error) = writer.use_session(digest, used).await {
                tracing::warn!(%error, "a session's use was not recorded");
            }
        });
    }

    fn allow_guess(&self, ip: IpAddr) -> Result<(), Error> {
        self.allow_by(|limits| limits.guess_from(ip))
    }

    fn allow_by(&self, ask: impl Fn(&Allowances) -> Result<(), Error>) -> Result<(), Error> {
        self.limits.as_deref().map_or(Ok(()), ask)
    }

    async fn begin<F: Future<Output = Result<Begun, Error>>>(
        &self,
        client: &Client,
        ask: impl Fn(NewSession) -> F,
    ) -> Result<SignedIn, Error> {
        let (now, agent) = (self.clock.now(), client.user_agent.as_str());
        let agent = agent.split_at(agent.floor_char_boundary(MAX_USER_AGENT)).0;
        for _ in 0..TOKEN_ATTEMPTS {
            let token = token(&mut SysRng)?;
            let session = NewSession {
                token_digest: digest(&token),
                user_agent: agent.to_owned(),
                ip_address: client.ip.to_string(),
                created_at: now,
                expires_at: Timestamp::from_ms(now.ms() + self.session_ms),
            };
            match ask(session).await? {
                Begun::Session(session) => return Ok(SignedIn { session, token }),
                Begun::TokenTaken => Gap::TokenCollision.record("a session token was taken"),
            }
        }
        Err(Error::Unexpected)
    }

    async fn hash(&self, password: String) -> Result<String, Error> {
        self.compute(move || {
            let mut salt = [0_u8; 16];
            SysRng.try_fill_bytes(&mut salt).map_err(|error| unexpected(&error))?;
            Argon2::default()
                .hash_password_with_salt(password.as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(|error| unexpected(&error))
        })
        .await
    }

    async fn verify(&self, password: String, digest: String) -> Result<bool, Error> {
        self.compute(move || {
            let hash = PasswordHash::new(&digest).map_err(|error| unexpected(&error))?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = Arc::clone(&self.hashing).acquire_owned().await;
        let permit = permit.map_err(|error| unexpected(&error))?;
        // The permit goes with the work: a caller that leaves does not make room for another hash
        // while this one still runs.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        done.await.map_err(|error| unexpected(&error))?
    }
}

fn unexpected(error: &dyn std::fmt::Display) -> Error {
    tracing::error!(%error, "authentication met a bug");
    Error::Unexpected
}

/// A fresh token of a session or link.
pub fn token<R: TryRng<Error: std::fmt::Display>>(random: &mut R) -> Result<String, Error> {
    letters_and_digits(random, TOKEN_LENGTH)
}

/// A fresh invite code: five groups of four letters and digits, 119 bits.
pub fn invite_code() -> Result<String, Error> {
    let groups: Result<Vec<String>, Error> = (0..5).map(|_| letters_and_digits(&mut SysRng, 4)).collect();
    Ok(groups?.join("-"))
}

/// A name for a new database.
pub fn incarnation() -> Result<String, Error> {
    letters_and_digits(&mut SysRng, 16)
}

fn letters_and_digits<R: TryRng<Error: std::fmt::Display>>(
    random: &mut R,
    length: usize,
) -> Result<String, Error> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    let mut bytes = [0_u8; 64];
    while text.len() < length {
        random.try_fill_bytes(&mut bytes).map_err(|error| unexpected(&error))?;
        // Of 64 values two are thrown away, so that every letter is equally likely.
        let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63)));
        text.extend(letters.take(length - text.len()).map(|letter| char::from(*letter)));
    }
    Ok(text)
}

/// What is stored of a token.
pub fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}
