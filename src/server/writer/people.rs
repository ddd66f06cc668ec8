//! What the writer does about people: profiles, passwords, roles, bans, invite links, links that
//! work once, sessions of one's own, and the account itself.
//!
//! Whoever asks is looked up again inside the transaction, so a right that was taken away a
//! moment ago is gone. The last administrator stays one: whatever would change that is counted
//! and refused in the same transaction, and there is only one writer.

use super::command::{Applied, Command, Failure, Group, Outcome};
use super::{Begun, Event, Writer};
use crate::domain::account::{InviteTerms, Profile, Role, RoomCreators, Status, Viewer};
use crate::domain::error::Error;
use crate::domain::message::{plain_body, rename_mentions};
use crate::domain::{InviteId, MessageId, SessionId, Timestamp, UserId};
use crate::server::store::account::{self, Link, NewSession, Purpose, Sessions, TokenDigest};
use crate::server::store::{self, messages, rooms, search};
use crate::texts;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// What becomes of the messages of somebody who is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TheirMessages {
    /// They stay.
    Stay,
    /// They are removed in the background.
    Go,
}

/// A wish about people, checked as far as it can be without the database.
#[derive(Clone, Debug)]
pub(super) enum PeopleCommand {
    ChangeProfile { viewer: UserId, profile: Profile },
    ChangePassword { viewer: UserId, current: String, new: String, keep: SessionId },
    ChangeRole { viewer: UserId, user_id: UserId, role: Role },
    ChangeStatus { viewer: UserId, user_id: UserId, status: Status, messages: TheirMessages },
    RemoveMessages { user_id: UserId, ids: Vec<MessageId> },
    RenameMentions { user_id: UserId, ids: Vec<MessageId> },
    CreateInvite { viewer: UserId, code: String, terms: InviteTerms },
    RevokeInvite { viewer: UserId, id: InviteId },
    CreateLink { link: Link },
    RedeemSignIn { digest: TokenDigest, session: NewSession },
    RedeemReset { digest: TokenDigest, password_digest: String },
    EndSessions { viewer: UserId, which: Sessions },
    ChangeAccount { viewer: UserId, name: String, room_creators: RoomCreators },
    ChangeStyles { viewer: UserId, styles: String },
}

impl Writer {
    /// Changes what somebody says about themselves.
    ///
    /// # Errors
    /// [`Error::Validation`] when the address is another's; [`Error::Unauthenticated`].
    pub async fn change_profile(&self, viewer: UserId, profile: Profile) -> Result<(), Error> {
        self.people(PeopleCommand::ChangeProfile { viewer, profile }).await
    }

    /// Sets a new password, given the digest of the one that was proved; every session but one
    /// ends, and so do links that would let somebody in.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`] when the password was changed meanwhile.
    pub async fn change_password(
        &self,
        viewer: UserId,
        (current, new): (String, String),
        keep: SessionId,
    ) -> Result<(), Error> {
        self.people(PeopleCommand::ChangePassword { viewer, current, new, keep }).await
    }

    /// Makes somebody a member or an administrator.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], [`Error::LastAdministrator`].
    pub async fn change_role(&self, viewer: UserId, user_id: UserId, role: Role) -> Result<(), Error> {
        self.people(PeopleCommand::ChangeRole { viewer, user_id, role }).await
    }

    /// Deactivates, bans or lets in again. Whoever may not come in is signed out everywhere.
    ///
    /// # Errors
    /// As for [`change_role`](Self::change_role).
    pub async fn change_status(
        &self,
        viewer: UserId,
        user_id: UserId,
        (status, messages): (Status, TheirMessages),
    ) -> Result<(), Error> {
        self.people(PeopleCommand::ChangeStatus { viewer, user_id, status, messages }).await
    }

    /// Turns these messages of somebody who is banned into tombstones; without any, the removal is
    /// done.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not wanted any more.
    pub async fn remove_messages_of(&self, user_id: UserId, ids: Vec<MessageId>) -> Result<(), Error> {
        self.people(PeopleCommand::RemoveMessages { user_id, ids }).await
    }

    /// Puts the name somebody has now into these messages; without any, the work is done.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is done already.
    pub async fn rename_mentions(&self, user_id: UserId, ids: Vec<MessageId>) -> Result<(), Error> {
        self.people(PeopleCommand::RenameMentions { user_id, ids }).await
    }

    /// Makes an invite link.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for bots.
    pub async fn create_invite(
        &self,
        viewer: UserId,
        code: String,
        terms: InviteTerms,
    ) -> Result<InviteId, Error> {
        let command = PeopleCommand::CreateInvite { viewer, code, terms };
        match self.run(Command::People(command)).await? {
            Outcome::Invite(id) => Ok(id),
            _ => Err(Error::Unexpected),
        }
    }

    /// Ends an invite link: its maker may, and administrators.
    pub async fn revoke_invite(&self, viewer: UserId, id: InviteId) -> Result<(), Error> {
        self.people(PeopleCommand::RevokeInvite { viewer, id }).await
    }

    /// Makes a link that works once: to sign in for oneself, to reset a password for
    /// administrators.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] for somebody who may not come in.
    pub async fn create_link(&self, link: Link) -> Result<(), Error> {
        self.people(PeopleCommand::CreateLink { link }).await
    }

    /// Begins a session by a sign-in link, which is used up; [`Error::NotFound`] if it does not work.
    pub async fn redeem_sign_in(&self, digest: TokenDigest, session: NewSession) -> Result<Begun, Error> {
        self.begin(Command::People(PeopleCommand::RedeemSignIn { digest, session })).await
    }

    /// Sets a new password by a reset link, which is used up; every session of theirs ends.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a link that does not work.
    pub async fn redeem_reset(&self, digest: TokenDigest, password_digest: String) -> Result<(), Error> {
        self.people(PeopleCommand::RedeemReset { digest, password_digest }).await
    }

    /// Ends some of the viewer's own sessions; their sockets close.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a single session that is not theirs.
    pub async fn end_sessions(&self, viewer: UserId, which: Sessions) -> Result<(), Error> {
        self.people(PeopleCommand::EndSessions { viewer, which }).await
    }

    /// Changes the account's name and its rule about rooms: administrators may.
    pub async fn change_account(
        &self,
        viewer: UserId,
        name: String,
        room_creators: RoomCreators,
    ) -> Result<(), Error> {
        self.people(PeopleCommand::ChangeAccount { viewer, name, room_creators }).await
    }

    /// Changes the account's own stylesheet: administrators may.
    pub async fn change_styles(&self, viewer: UserId, styles: String) -> Result<(), Error> {
        self.people(PeopleCommand::ChangeStyles { viewer, styles }).await
    }

    async fn people(&self, command: PeopleCommand) -> Result<(), Error> {
        self.ask(Command::People(command)).await
    }
}

impl Group<'_> {
    pub(super) async fn apply_people(&mut self, command: &PeopleCommand) -> Applied {
        use PeopleCommand as Wish;
        match command {
            Wish::ChangeProfile { viewer, profile } => self.change_profile(*viewer, profile).await,
            Wish::ChangePassword { viewer, current, new, keep } => {
                if !account::is_password(self.tx, *viewer, current).await? {
                    return Err(Error::WrongCredentials.into());
                }
                account::update_password(self.tx, *viewer, new, None).await?;
                account::remove_links(self.tx, *viewer).await?;
                self.end_sessions(*viewer, Sessions::AllBut(*keep)).await?;
                Ok(Outcome::Done)
            }
            Wish::ChangeRole { viewer, user_id, role } => self.change_role(*viewer, *user_id, *role).await,
            Wish::ChangeStatus { viewer, user_id, status, messages } => {
                self.administrator(*viewer).await?;
                self.change_status(*user_id, *status, *messages).await
            }
            Wish::RemoveMessages { user_id, ids } => self.remove_messages(*user_id, ids).await,
            Wish::RenameMentions { user_id, ids } => self.rename_mentions(*user_id, ids).await,
            Wish::CreateInvite { viewer, code, terms } => self.create_invite(*viewer, code, *terms).await,
            Wish::RevokeInvite { viewer, id } => self.revoke_invite(*viewer, *id).await,
            Wish::CreateLink { link } => self.create_link(link).await,
            Wish::RedeemSignIn { digest, session } => self.redeem_sign_in(digest, session).await,
            Wish::RedeemReset { digest, password_digest } => {
                let (user_id, by) = self.take_link(digest, Purpose::Reset).await?;
                let reset = Some((by, self.now));
                account::update_password(self.tx, user_id, password_digest, reset).await?;
                account::remove_links(self.tx, user_id).await?;
                self.end_sessions(user_id, Sessions::All).await?;
                Ok(Outcome::Done)
            }
            Wish::EndSessions { viewer, which } => {
                let ended = self.end_sessions(*viewer, *which).await?;
                match which {
                    Sessions::One(_) if ended == 0 => Err(Error::NotFound.into()),
                    _ => Ok(Outcome::Done),
                }
            }
            Wish::ChangeAccount { viewer, name, room_creators } => {
                self.administrator(*viewer).await?;
                store::update_account(self.tx, name, *room_creators).await?;
                self.account_changed().await
            }
            Wish::ChangeStyles { viewer, styles } => {
                self.administrator(*viewer).await?;
                store::update_styles(self.tx, styles).await?;
                self.account_changed().await
            }
        }
    }

    /// The viewer as they are now.
    pub(super) async fn viewer(&mut self, id: UserId) -> Result<Viewer, Failure> {
        Ok(account::find_viewer(self.tx, id).await?.ok_or(Error::Unauthenticated)?)
    }

    async fn administrator(&mut self, id: UserId) -> Result<(), Failure> {
        match self.viewer(id).await?.may_administer() {
            true => Ok(()),
            false => Err(Error::Forbidden.into()),
        }
    }

    /// Refuses rooms of people who may not create any. Bots never may.
    pub(super) async fn ensure_may_create_rooms(&mut self, id: UserId) -> Result<(), Failure> {
        let role = self.viewer(id).await?.role;
        let rule = store::find_account(self.tx).await?.ok_or(Error::Unexpected)?;
        match rule.may_create_rooms(role) {
            true => Ok(()),
            false => Err(Error::Forbidden.into()),
        }
    }

    async fn change_profile(&mut self, id: UserId, profile: &Profile) -> Applied {
        let before = self.viewer(id).await?;
        if !account::update_profile(self.tx, id, profile).await? {
            return Err(Error::invalid("email_address", texts::errors::EMAIL_TAKEN).into());
        }
        if before.name != profile.name {
            search::update_renamed(self.tx, id, true).await?;
        }
        self.user_changed(id).await
    }

    async fn change_role(&mut self, viewer: UserId, user_id: UserId, role: Role) -> Applied {
        self.administrator(viewer).await?;
        if role == Role::Bot {
            return Err(Error::Forbidden.into());
        }
        if role != Role::Administrator {
            self.keep_an_administrator(user_id).await?;
        }
        if !account::update_role(self.tx, user_id, role).await? {
            return Err(Error::NotFound.into());
        }
        self.user_changed(user_id).await
    }

    async fn change_status(&mut self, user_id: UserId, status: Status, theirs: TheirMessages) -> Applied {
        if status != Status::Active {
            self.keep_an_administrator(user_id).await?;
        }
        if !account::update_status(self.tx, user_id, status, self.now).await? {
            return Err(Error::NotFound.into());
        }
        store::remove_bans(self.tx, user_id).await?;
        if status == Status::Active {
            // Open rooms that were created meanwhile are theirs too.
            rooms::insert_open_memberships(self.tx, user_id, self.now).await?;
            return self.user_changed(user_id).await;
        }
        if status == Status::Banned {
            let (own, others) = store::list_addresses(self.tx, user_id).await?;
            for network in networks_to_ban(&own, &others) {
                store::insert_ban(self.tx, user_id, &network, self.now).await?;
            }
            if theirs == TheirMessages::Go {
                search::update_removing(self.tx, user_id, true).await?;
            }
        }
        account::remove_links(self.tx, user_id).await?;
        self.end_sessions(user_id, Sessions::All).await?;
        Ok(Outcome::Done)
    }

    /// Refuses what would leave the account without an administrator.
    async fn keep_an_administrator(&mut self, user_id: UserId) -> Result<(), Failure> {
        match account::is_last_administrator(self.tx, user_id).await? {
            true => Err(Error::LastAdministrator.into()),
            false => Ok(()),
        }
    }

    async fn remove_messages(&mut self, user_id: UserId, ids: &[MessageId]) -> Applied {
        if !search::is_losing_messages(self.tx, user_id).await? {
            return Err(Error::NotFound.into());
        }
        if ids.is_empty() {
            search::update_removing(self.tx, user_id, false).await?;
            return Ok(Outcome::Done);
        }
        for id in ids {
            if let Some(message) = messages::find_message_of(self.tx, user_id, *id).await? {
                self.bury(message).await?;
            }
        }
        Ok(Outcome::Done)
    }

    async fn rename_mentions(&mut self, user_id: UserId, ids: &[MessageId]) -> Applied {
        let user = search::find_renamed(self.tx, user_id).await?.ok_or(Error::NotFound)?;
        if ids.is_empty() {
            search::update_renamed(self.tx, user_id, false).await?;
        }
        for id in ids {
            let Some((mut message, source)) = messages::find_with_source(self.tx, *id).await? else {
                continue;
            };
            if let Some(html) = rename_mentions(&message.body_html, &user) {
                self.seq = self.seq.next();
                message.seq = self.seq;
                message.body = plain_body(source.clone(), &html);
                message.body_html = html;
                messages::update_message(self.tx, &message, &source).await?;
                self.message_updated(&Arc::new(message));
            }
        }
        Ok(Outcome::Done)
    }

    async fn create_invite(&mut self, viewer: UserId, code: &str, terms: InviteTerms) -> Applied {
        if self.viewer(viewer).await?.role == Role::Bot {
            return Err(Error::Forbidden.into());
        }
        let until = |days: u16| Timestamp::from_ms(self.now.ms() + i64::from(days) * 86_400_000);
        let limits = (terms.days.map(until), terms.max_uses);
        let id = rooms::insert_invite(self.tx, (viewer, code), limits, self.now).await?;
        self.account_changed().await?;
        Ok(Outcome::Invite(id))
    }

    async fn revoke_invite(&mut self, viewer: UserId, id: InviteId) -> Applied {
        let creator = rooms::find_invite_creator(self.tx, id).await?.ok_or(Error::NotFound)?;
        if creator != viewer {
            self.administrator(viewer).await?;
        }
        rooms::revoke_invite(self.tx, id, self.now).await?;
        self.account_changed().await
    }

    async fn create_link(&mut self, link: &Link) -> Applied {
        match link.purpose {
            Purpose::SignIn if link.creator_id != link.user_id => {
                return Err(Error::Forbidden.into());
            }
            Purpose::SignIn => {
                self.viewer(link.creator_id).await?;
            }
            Purpose::Reset => self.administrator(link.creator_id).await?,
        }
        let whom = account::find_viewer(self.tx, link.user_id).await?;
        whom.filter(|whom| whom.role != Role::Bot).ok_or(Error::NotFound)?;
        account::insert_link(self.tx, link, self.now).await?;
        Ok(Outcome::Done)
    }

    async fn redeem_sign_in(&mut self, digest: &TokenDigest, session: &NewSession) -> Applied {
        if account::is_token_taken(self.tx, &session.token_digest).await? {
            return Ok(Outcome::TokenTaken);
        }
        let (user_id, _) = self.take_link(digest, Purpose::SignIn).await?;
        let viewer = self.viewer(user_id).await?;
        self.begin_session(&viewer, session).await
    }

    /// Uses a link up. Those of people who may not come in were removed when they were kept out.
    async fn take_link(
        &mut self,
        digest: &TokenDigest,
        purpose: Purpose,
    ) -> Result<(UserId, UserId), Failure> {
        let taken = account::take_link(self.tx, digest, purpose, self.now).await?;
        Ok(taken.ok_or(Error::NotFound)?)
    }

    async fn end_sessions(&mut self, user_id: UserId, which: Sessions) -> Result<usize, Failure> {
        let ended = account::remove_sessions(self.tx, user_id, which).await?;
        let count = ended.len();
        let events = ended.into_iter().map(|(id, digest)| Event::SessionEnded { digest, id });
        self.events.extend(events);
        Ok(count)
    }

    async fn user_changed(&mut self, id: UserId) -> Applied {
        // Whoever is not active is shown nowhere live.
        if let Some(viewer) = account::find_viewer(self.tx, id).await? {
            self.events.push(Event::UserChanged(viewer));
        }
        Ok(Outcome::Done)
    }

    async fn account_changed(&mut self) -> Applied {
        let account = store::find_account(self.tx).await?.ok_or(Error::Unexpected)?;
        self.events.push(Event::AccountChanged(account));
        Ok(Outcome::Done)
    }
}

/// The networks of somebody who is banned, without those that others use too: a ban never locks
/// out an office.
pub fn networks_to_ban(own: &[String], others: &[String]) -> BTreeSet<String> {
    let networks = |addresses: &[String]| -> BTreeSet<String> {
        addresses.iter().filter_map(|address| public_network(address)).collect()
    };
    let shared = networks(others);
    networks(own).into_iter().filter(|network| !shared.contains(network)).collect()
}

/// The network of a public address, an IPv6 one by its /64. Nothing for addresses that tell
/// nobody apart: this computer, private networks, those a provider shares among its customers.
pub fn public_network(address: &str) -> Option<String> {
    match address.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(ip) => is_public(ip).then(|| ip.to_string()),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            // 2000::/3 is all that is routed in public.
            let network = Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0);
            (a & 0xe000 == 0x2000).then(|| format!("{network}/64"))
        }
    }
}

fn is_public(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    !(ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_unspecified()
        || ip.is_broadcast()
        || ip.is_multicast()
        || shared)
}
