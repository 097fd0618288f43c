//! Who is it? From the name and the secret of a bind to an identity.
//!
//! The order is the product's: shape of the secret → canonical account → secret seen before → throttle, which says how
//! the hash waits → hash → token, account and application looked up afresh. How many hashes are computed depends on the
//! shape of the secret and on whether its selector exists, never on the name nor on what was tried before.

use std::borrow::Cow;
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::logins::application_in;
use super::{Registry, commands};
use crate::access::{Credential, Entitlements, Holder, Identity, Invalid, NotAdmitted};
use crate::audit::{Failure, FailureKind, LoginKey, LoginProof, ProofNames, login};
use crate::auth::{
    Candidate, CredentialKey, HashClass, HashJob, HashOutcome, HashRefusal, Pause, SecretShape, StoredHash,
    TryingSource,
};
use crate::directory::{AccountState, Accounts, Snapshot, name_key, name_key_within};
use crate::model::{
    AccountKind, AccountNumber, HashText, Intent, Password, ProviderNumber, Timestamp, Token,
};
use crate::net::ClientCertificate;
use crate::schema::normalize_dn_within;
use crate::secret::Secret;
use crate::seldom::{self, Seldom};

/// What came of a name and a secret so far.
pub enum Authentication {
    /// It is decided.
    Done(Verdict),
    /// A hash has to be computed first: await [`Attempt::outcome`], then call [`Registry::conclude`].
    Pending(Box<Attempt>),
}

/// How an authentication ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The secret is right, and the account may use the provider.
    Accepted(Identity),
    /// It is not, or may not.
    Refused(AuthenticationRefusal),
}

/// Why nobody was authenticated, as far as the client may learn it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthenticationRefusal {
    /// Wrong secret, unknown or inactive account, expired or revoked token: all the same.
    InvalidCredentials,
    /// The same, of a secret that was not looked at: there were too many wrong ones for this name from this source. Told
    /// is it only to who asks for the password policy, and as of names that nobody has.
    Paused,
    /// Too many hashes wait.
    Busy,
    /// The secret is right, but the application does not admit the account.
    NotAdmitted(NotAdmitted),
}

/// An authentication that waits for a hash.
pub struct Attempt {
    /// Comes when the hash was computed; ends without a value when the server shuts down.
    pub outcome: oneshot::Receiver<HashOutcome>,
    name: Name,
    secret: Secret,
    trying: TryingSource,
    tried: Tried,
    is_paused: bool,
}

/// What the secret is compared with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tried {
    /// The token with the secret's selector.
    Selected(CredentialKey, Credential),
    /// The account's credential without a selector.
    Selectorless(CredentialKey, Credential),
    /// Nothing: there is no such account, or it has no such credential.
    Nothing,
}

/// What came of a secret.
enum Looked {
    /// It is that of this credential.
    Right(CredentialKey, Credential),
    Wrong,
    /// Right or wrong, it counts for nothing: there were too many wrong ones.
    Paused,
    /// It was not looked at.
    NotLookedAt,
}

/// Where an attempt comes from, and when.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// `None`: a Unix socket.
    pub source: Option<IpAddr>,
    /// For expiry.
    pub now: Timestamp,
    /// For the throttle: the time of day may go back.
    pub instant: Instant,
}

/// The name of a bind, looked up.
struct Name {
    /// The provider that the name belongs to.
    provider: Option<ProviderNumber>,
    /// The account, if there is one.
    account: Option<Arc<AccountState>>,
    spelled: Spelled,
}

/// How the name was written: what its failures are counted by is made of it.
enum Spelled {
    /// In RFC 4518 caseIgnore form; or as it is, where it has none.
    Name(Vec<u8>),
    /// As a DN: what is counted was found with what it stands for.
    Dn(Vec<u8>),
}

/// The account with this username, if a client certificate may stand for it.
pub fn account_of_certificate(snapshot: &Snapshot, username: &str) -> Option<AccountNumber> {
    Name::of_username(username, snapshot).account.map(|account| account.number)
}

impl Registry {
    /// The account that a name stands for, in any of the forms that a bind takes.
    pub fn account_of_name(&self, name: &str) -> Option<AccountNumber> {
        Name::resolve(name, &self.snapshot()).account.map(|account| account.number)
    }

    /// Looks a name and a secret up, as far as that goes without a hash. What is asked about rights is counted, and kept,
    /// in `entitlements`.
    pub fn authenticate(
        &self,
        name: &str,
        secret: &[u8],
        source: Option<IpAddr>,
        now: Timestamp,
        instant: Instant,
        entitlements: &mut Entitlements,
    ) -> Authentication {
        // No hash is waited for here, so no count is kept of it.
        let snapshot = self.current();
        let accounts = snapshot.accounts();
        let trial = Trial { source, now, instant };
        // Before the name is looked up: these are never throttled, and must not tell names by their time.
        let selected = match SecretShape::parse(secret) {
            SecretShape::OursBroken => {
                return self.note_unknown_secret(name, &snapshot, trial, "the secret is mistyped or made up");
            }
            SecretShape::Ours { selector, .. } => match accounts.token_selected(selector.as_str()) {
                None => return self.note_unknown_secret(name, &snapshot, trial, "there is no such token"),
                Some(token) => Some(token),
            },
            SecretShape::Other => None,
        };
        let name = Name::resolve(name, &snapshot);
        let tried = match selected {
            Some(token) => Tried::of_token(token),
            None => selectorless(accounts, name.account.as_deref()).unwrap_or(Tried::Nothing),
        };
        if let Tried::Selected(key, credential) | Tried::Selectorless(key, credential) = tried
            && self.proofs.check(key, secret)
        {
            return Authentication::Done(self.accept(&name, credential, &snapshot, trial, entitlements));
        }
        match self.try_secret(name, tried, secret, &snapshot, trial, entitlements) {
            (attempt, None) => Authentication::Pending(Box::new(attempt)),
            (attempt, Some(refusal)) => {
                Authentication::Done(self.note_not_hashed(&attempt, &snapshot, trial, reason_of(refusal)))
            }
        }
    }

    /// Whether a secret is the one that an account is bound with: without a hash when it was right before, as it was at the
    /// bind. It counts as the secret of a bind by the username does: who has come upon a bound connection does not know it.
    /// `None`: it was not looked at.
    pub(super) async fn is_present_secret(
        &self,
        account: &Arc<AccountState>,
        provider: ProviderNumber,
        tried: Tried,
        secret: &Secret,
        source: Option<IpAddr>,
    ) -> Option<bool> {
        if let Tried::Selected(key, _) | Tried::Selectorless(key, _) = tried
            && self.proofs.check(key, secret.expose())
        {
            return Some(true);
        }
        // As at a bind: what is of our form, and no secret of anybody's, costs no hash.
        let is_nobodys = match SecretShape::parse(secret.expose()) {
            SecretShape::OursBroken => true,
            SecretShape::Ours { selector, .. } => {
                self.current().accounts().token_selected(selector.as_str()).is_none()
            }
            SecretShape::Other => false,
        };
        if is_nobodys {
            return Some(false);
        }
        let trial = Trial { source, now: self.now(), instant: Instant::now() };
        let name = Name {
            provider: Some(provider),
            account: Some(Arc::clone(account)),
            spelled: Spelled::Name(name_key(&account.username)),
        };
        let mut entitlements = Entitlements::default();
        let snapshot = self.snapshot();
        let (mut attempt, _) =
            self.try_secret(name, tried, secret.expose(), &snapshot, trial, &mut entitlements);
        // Not held while a hash is waited for.
        drop(snapshot);
        let outcome = (&mut attempt.outcome).await.ok();
        let snapshot = self.snapshot();
        match self.settle(&attempt, outcome, &snapshot, Instant::now()) {
            Looked::Right(key, _) => {
                self.forgive(&attempt.name, account.number, key, source, &snapshot);
                Some(true)
            }
            Looked::Wrong | Looked::Paused => Some(false),
            Looked::NotLookedAt => None,
        }
    }

    /// Has a secret looked at, in the class that what was tried before puts it into. With the attempt comes why it is not.
    fn try_secret(
        &self,
        name: Name,
        tried: Tried,
        secret: &[u8],
        snapshot: &Snapshot,
        trial: Trial,
        entitlements: &mut Entitlements,
    ) -> (Attempt, Option<HashRefusal>) {
        let (accounts, source) = (snapshot.accounts(), trial.source);
        let selected = tried.selected(accounts);
        let since = self.since_start(trial.instant);
        let is_paused = selected.is_none() && self.throttle.is_paused(&name.counted(snapshot), source, since);
        let trying = self.trying(name.provider, snapshot, trial, entitlements);
        let class = match selected {
            // It is not counted, so that the pause ends by itself.
            _ if is_paused => HashClass::Paced,
            _ if self.throttle.begin(trying, since) => HashClass::Paced,
            Some(token) => self.class_of_token(token, Intent::AppPassword, accounts, trial),
            None => HashClass::Other,
        };
        let stored = tried.hash(accounts, name.account.as_deref());
        let candidate = match self.candidate(stored, &name.shown(snapshot)) {
            Candidate::Stored(stored) if is_paused => Candidate::Withheld(stored),
            candidate => candidate,
        };
        let secret = Secret::from(secret);
        let unlooked = (!is_paused).then(|| self.throttle.unlooked(trying, since));
        let job = HashJob { class, source, secret: secret.clone(), candidate, unlooked };
        let (outcome, refusal) = match self.hash_pool.verify(job) {
            Ok(outcome) => (outcome, None),
            Err(refusal) => (oneshot::channel().1, Some(refusal)),
        };
        (Attempt { outcome, name, secret, trying, tried, is_paused }, refusal)
    }

    /// Where a try comes from, as the throttle counts it.
    fn trying(
        &self,
        provider: Option<ProviderNumber>,
        snapshot: &Snapshot,
        trial: Trial,
        entitlements: &mut Entitlements,
    ) -> TryingSource {
        let is_application =
            provider.is_some_and(|provider| self.is_application(provider, snapshot, trial, entitlements));
        TryingSource { address: trial.source, is_application }
    }

    /// How a hash waits whose secret has the selector of a token: before others, unless it is known to be in vain or
    /// likely to be. The name that it is tried for has no part in it.
    pub(super) fn class_of_token(
        &self,
        token: &Token,
        intent: Intent,
        accounts: &Accounts,
        trial: Trial,
    ) -> HashClass {
        let holder = Holder { account: token.account, credential: of_token(token).1 };
        let can_succeed = token.intent == intent && holder.verify(accounts, trial.source, trial.now).is_ok();
        let since = self.since_start(trial.instant);
        if can_succeed && !self.throttle.is_token_paced(token.number.get(), trial.source, since) {
            HashClass::Selector
        } else {
            HashClass::Paced
        }
    }

    /// Notes an attempt whose secret was not looked at, and decides it.
    fn note_not_hashed(&self, attempt: &Attempt, snapshot: &Snapshot, trial: Trial, reason: &str) -> Verdict {
        if attempt.is_paused {
            // It could not have succeeded: that the queue is full is not for its client to know either.
            return self.note_paused(&attempt.name, snapshot, trial);
        }
        self.note_failed_login(&attempt.name, None, snapshot, trial, FailureKind::Refused, reason);
        Verdict::Refused(AuthenticationRefusal::Busy)
    }

    /// Notes a login that is paused for its source, right or wrong, and gives what it is answered with.
    fn note_paused(&self, name: &Name, snapshot: &Snapshot, trial: Trial) -> Verdict {
        self.note_failed_login(name, None, snapshot, trial, FailureKind::Refused, PAUSED);
        Verdict::Refused(AuthenticationRefusal::Paused)
    }

    /// Decides who the holder of a client certificate is that TLS has verified: `account`, if there is such an account
    /// (`None`: the config names none), in the default provider. No secret is involved, and so no hash. One that nobody
    /// vouches for any more is refused.
    pub fn authenticate_certificate(
        &self,
        account: Option<&str>,
        certificate: &ClientCertificate,
        source: Option<IpAddr>,
        now: Timestamp,
        instant: Instant,
        entitlements: &mut Entitlements,
    ) -> Verdict {
        let snapshot = self.snapshot();
        let trial = Trial { source, now, instant };
        let Some(account) = account else {
            let provider = snapshot.default_tree().map(|tree| tree.provider().number);
            let name = Name { provider, ..Name::nobody(&certificate.holder()) };
            return self.note_invalid_credentials(
                &name,
                None,
                &snapshot,
                trial,
                "the client certificate stands for no account",
            );
        };
        let credential = Credential::Certificate {
            fingerprint: certificate.fingerprint,
            not_after: certificate.not_after,
            withdrawn: (!certificate.is_vouched_for()).then_some(Invalid::AuthorityGone),
        };
        self.accept(&Name::of_username(account, &snapshot), credential, &snapshot, trial, entitlements)
    }

    /// Decides an authentication whose hash was computed (`None`: it was not, it has lost its place or the pool is
    /// closed). Token, account and application are looked up afresh.
    pub fn conclude(
        &self,
        attempt: &Attempt,
        outcome: Option<HashOutcome>,
        now: Timestamp,
        instant: Instant,
        entitlements: &mut Entitlements,
    ) -> Verdict {
        let Attempt { name, trying, tried, .. } = attempt;
        let source = trying.address;
        let snapshot = self.snapshot();
        let trial = Trial { source, now, instant };
        let (key, credential) = match self.settle(attempt, outcome, &snapshot, instant) {
            Looked::Right(key, credential) => (key, credential),
            Looked::Wrong => {
                let token = tried.selected(snapshot.accounts());
                return self.note_invalid_credentials(name, token, &snapshot, trial, WRONG);
            }
            Looked::Paused => return self.note_paused(name, &snapshot, trial),
            Looked::NotLookedAt => return self.note_not_hashed(attempt, &snapshot, trial, NO_PLACE),
        };
        let verdict = self.accept(name, credential, &snapshot, trial, entitlements);
        let is_somebody = !matches!(verdict, Verdict::Refused(AuthenticationRefusal::InvalidCredentials));
        if is_somebody && let Some(account) = &name.account {
            self.forgive(name, account.number, key, source, &snapshot);
        }
        verdict
    }

    /// What the outcome of a hash (`None`: there is none) says of the secret: one that is wrong is counted, of one that is right
    /// a proof is kept.
    fn settle(
        &self,
        attempt: &Attempt,
        outcome: Option<HashOutcome>,
        snapshot: &Snapshot,
        instant: Instant,
    ) -> Looked {
        let Attempt { name, secret, trying, tried, is_paused, .. } = attempt;
        let source = trying.address;
        if *is_paused {
            return Looked::Paused;
        }
        let Some(outcome) = outcome else { return Looked::NotLookedAt };
        let since = self.since_start(instant);
        let (key, credential) = match *tried {
            Tried::Selected(key, credential) | Tried::Selectorless(key, credential) if outcome.matches => {
                (key, credential)
            }
            Tried::Selected(_, Credential::Token { number, .. }) => {
                self.throttle.token_failed(number.get(), source, since);
                return Looked::Wrong;
            }
            Tried::Selected(..) | Tried::Selectorless(..) | Tried::Nothing => {
                self.throttle.failed(&name.counted(snapshot), source, since);
                return Looked::Wrong;
            }
        };
        self.throttle.take_back(*trying, since);
        self.proofs.remember(key, secret.expose());
        if let Some(hash) = outcome.rehashed {
            self.rehash(credential, name.account.as_ref().map(|account| account.number), hash);
        }
        Looked::Right(key, credential)
    }

    /// Ends what was counted of a name, whose account has proved itself by it: only by what is guessed at by that name, which
    /// a secret with a selector is not, and only where no other account is guessed at by it too. Nothing else tells the
    /// throttle that somebody was right.
    fn forgive(
        &self,
        name: &Name,
        account: AccountNumber,
        proved: CredentialKey,
        source: Option<IpAddr>,
        snapshot: &Snapshot,
    ) {
        let accounts = snapshot.accounts();
        let guessed_at = selectorless(accounts, accounts.account(account).map(AsRef::as_ref));
        let is_proved = matches!(guessed_at, Some(Tried::Selectorless(key, _)) if key == proved);
        let counted = name.counted(snapshot);
        if is_proved && snapshot.is_counted_for_one(&counted, account) {
            self.throttle.succeeded(&counted, source);
        }
    }

    /// The secret is right: is it this account's, does the token hold, does the application admit it?
    fn accept(
        &self,
        name: &Name,
        credential: Credential,
        snapshot: &Snapshot,
        trial: Trial,
        entitlements: &mut Entitlements,
    ) -> Verdict {
        let Trial { source, now, .. } = trial;
        let accounts = snapshot.accounts();
        let token = match credential {
            Credential::Token { number, .. } => accounts.token(number),
            Credential::Password { .. } | Credential::Certificate { .. } => None,
        };
        if token.is_some_and(|token| token.intent != Intent::AppPassword) {
            return self.note_invalid_credentials(
                name,
                token,
                snapshot,
                trial,
                "the token is not an app password",
            );
        }
        let (Some(account), Some(provider)) = (&name.account, name.provider) else {
            return self.note_invalid_credentials(name, token, snapshot, trial, "there is no such account");
        };
        let identity = Identity { holder: Holder { account: account.number, credential }, provider };
        let current = match identity.verify(accounts, source, now) {
            Ok(current) => current,
            Err(Invalid::CredentialGone) => {
                return self.note_invalid_credentials(
                    name,
                    token,
                    snapshot,
                    trial,
                    "the secret belongs to another account, or was revoked",
                );
            }
            Err(reason) => {
                return self.note_invalid_credentials(name, token, snapshot, trial, &reason.to_string());
            }
        };
        if let Err(refused) = entitlements.admit(snapshot, current, provider, trial.source, now) {
            let reason = "the application does not admit the account";
            self.note_failed_login(name, token, snapshot, trial, FailureKind::NotAdmitted, reason);
            return Verdict::Refused(AuthenticationRefusal::NotAdmitted(refused));
        }
        let token = token.map(|token| token.identifier.as_str());
        let (proof, certificate) = match credential {
            Credential::Certificate { fingerprint, .. } => {
                (LoginProof::Certificate(fingerprint), Some(fingerprint))
            }
            Credential::Token { number, .. } => (LoginProof::Token(number), None),
            Credential::Password { .. } => (LoginProof::Password, None),
        };
        login(&current.username, name.provider_name(snapshot), source, ProofNames { token, certificate });
        let key = LoginKey { account: account.number, proof, source, provider: Some(provider) };
        self.note_login(key, accounts, now);
        Verdict::Accepted(identity)
    }

    /// Notes a secret that no token has, whatever the name: that was not looked up.
    fn note_unknown_secret(
        &self,
        name: &str,
        snapshot: &Snapshot,
        trial: Trial,
        reason: &str,
    ) -> Authentication {
        let name = Name::nobody(name);
        Authentication::Done(self.note_invalid_credentials(&name, None, snapshot, trial, reason))
    }

    /// The time of the throttle.
    pub(super) fn since_start(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.started)
    }

    /// Where an account is paused now, for too many wrong passwords of any of its names.
    pub fn pauses(&self, account: AccountNumber) -> Vec<Pause> {
        self.throttle.pauses(&self.snapshot().counted_forms(account), self.since_start(Instant::now()))
    }

    /// Notes a login with a wrong secret, or of who may not log in, and gives what all of these are answered with.
    fn note_invalid_credentials(
        &self,
        name: &Name,
        token: Option<&Arc<Token>>,
        snapshot: &Snapshot,
        trial: Trial,
        reason: &str,
    ) -> Verdict {
        self.note_failed_login(name, token, snapshot, trial, FailureKind::Failed, reason);
        Verdict::Refused(AuthenticationRefusal::InvalidCredentials)
    }

    /// Tells the log of a failure, or counts it.
    fn note_failed_login(
        &self,
        name: &Name,
        token: Option<&Arc<Token>>,
        snapshot: &Snapshot,
        trial: Trial,
        kind: FailureKind,
        reason: &str,
    ) {
        let failure = Failure {
            account: &name.shown(snapshot),
            number: name.account.as_ref().map(|account| account.number),
            token: token.map(|token| token.identifier.as_str()),
            provider: name.provider_name(snapshot),
            application: application_in(snapshot, name.provider),
            source: trial.source,
            kind,
            reason,
            call: None,
        };
        self.note_failure(failure, trial.now);
    }

    /// What a secret is compared with; `account`: whose it is, for the log.
    pub(super) fn candidate(&self, stored: Option<&HashText>, account: &str) -> Candidate {
        let Some(stored) = stored else {
            // Read as one that is stored, so that where no place is left nothing tells whether there is one.
            black_box(StoredHash::parse(self.hash_pool.dummy_text(), &self.bounds).map(Arc::new).is_ok());
            return Candidate::Dummy;
        };
        match StoredHash::parse(stored.expose(), &self.bounds) {
            Ok(stored) => Candidate::Stored(Arc::new(stored)),
            Err(error) => {
                if let Some(count) = seldom::note(Seldom::UnusableHash) {
                    tracing::error!(count, account, %error, "{}", Seldom::UnusableHash.sentence());
                }
                Candidate::Dummy
            }
        }
    }

    /// Puts a hash with the configured parameters in place of one that was verified a moment ago.
    /// The secret stays the same, and so does its generation.
    pub(super) fn rehash(&self, credential: Credential, account: Option<AccountNumber>, hash: String) {
        self.change_later(super::nobody(), move |transaction| {
            let hash = HashText::new(hash);
            match (credential, account) {
                (Credential::Token { number, generation }, _) => {
                    commands::rehash_token(transaction, number, generation, hash)
                }
                (Credential::Password { generation }, Some(account)) => {
                    commands::rehash_password(transaction, account, generation, hash)
                }
                (Credential::Password { .. }, None) | (Credential::Certificate { .. }, _) => Ok(()),
            }
        });
    }
}

impl Tried {
    pub(super) fn of_token(token: &Token) -> Self {
        let (key, credential) = of_token(token);
        if token.is_selectorless() {
            Self::Selectorless(key, credential)
        } else {
            Self::Selected(key, credential)
        }
    }

    pub(super) fn of_password(account: AccountNumber, password: &Password) -> Self {
        let key = CredentialKey { id: PASSWORDS | u64::from(account.get()), generation: password.generation };
        Self::Selectorless(key, Credential::Password { generation: password.generation })
    }

    /// The token that the secret has the selector of.
    fn selected(self, accounts: &Accounts) -> Option<&Arc<Token>> {
        match self {
            Self::Selected(_, Credential::Token { number, .. }) => accounts.token(number),
            Self::Selected(..) | Self::Selectorless(..) | Self::Nothing => None,
        }
    }

    /// What is stored of it; `account`: whose password it may be.
    fn hash<'a>(self, accounts: &'a Accounts, account: Option<&'a AccountState>) -> Option<&'a HashText> {
        match self {
            Self::Selected(_, Credential::Token { number, .. })
            | Self::Selectorless(_, Credential::Token { number, .. }) => Some(&accounts.token(number)?.hash),
            Self::Selectorless(_, Credential::Password { .. }) => Some(&account?.password.as_ref()?.hash),
            Self::Selected(..) | Self::Selectorless(..) | Self::Nothing => None,
        }
    }
}

impl Name {
    /// Looks up a DN, `user@domain` or a bare username. A username may look like a DN, but none of ours.
    fn resolve(text: &str, snapshot: &Snapshot) -> Self {
        if text.contains('=')
            && let Some(name) = Self::of_dn(text, snapshot)
        {
            return name;
        }
        // What has no form within bounds is nobody's name; nor has any part of it, that would be looked up then.
        let Some(form) = name_key_within(text, NAME_FORM_OCTETS_MAX) else { return Self::nobody(text) };
        let tree = snapshot.before_domain(&form).map(|(tree, _)| tree).or_else(|| snapshot.default_tree());
        let account = tree.and_then(|_| snapshot.account_of_name(&form)).cloned();
        Self {
            provider: tree.map(|tree| tree.provider().number),
            account: account.filter(|account| account.kind != AccountKind::InternalServiceAccount),
            spelled: Spelled::Name(form),
        }
    }

    /// Looks up a username, which nothing but a username is meant by, in the default provider.
    fn of_username(username: &str, snapshot: &Snapshot) -> Self {
        let form = name_key(username);
        let account = snapshot.accounts().account_keyed(&form).cloned();
        Self {
            provider: snapshot.default_tree().map(|tree| tree.provider().number),
            account: account.filter(|account| account.kind != AccountKind::InternalServiceAccount),
            spelled: Spelled::Name(form),
        }
    }

    /// `None`: it is no DN, or below none of our suffixes.
    fn of_dn(text: &str, snapshot: &Snapshot) -> Option<Self> {
        let mut normal = Vec::with_capacity(text.len() + 16);
        normalize_dn_within(text.as_bytes(), snapshot.schema(), NAME_FORM_OCTETS_MAX, &mut normal).ok()?;
        if normal.len() > NAME_FORM_OCTETS_MAX {
            return Some(Self::nobody(text));
        }
        let tree = snapshot.tree_of_normal(&normal)?;
        let named = snapshot.named_by_dn(tree, text.as_bytes(), &normal);
        let account = named.account.cloned();
        Some(Self { provider: Some(tree.provider().number), account, spelled: Spelled::Dn(named.counted) })
    }

    fn nobody(text: &str) -> Self {
        Self { provider: None, account: None, spelled: Spelled::Name(text.as_bytes().to_vec()) }
    }

    /// The form by which its failures are counted.
    fn counted(&self, snapshot: &Snapshot) -> Vec<u8> {
        match &self.spelled {
            Spelled::Name(form) => snapshot.counted_name(form),
            Spelled::Dn(counted) => counted.clone(),
        }
    }

    /// The name as it stands in the log: what a stranger made up does not fill it. That is made for each name, also where the
    /// account has a better one: else it could be told by the time whether there is one.
    fn shown(&self, snapshot: &Snapshot) -> Cow<'_, str> {
        let counted = self.counted(snapshot);
        let made_up = String::from_utf8_lossy(&counted).chars().take(SHOWN_CHARACTERS_MAX).collect();
        match &self.account {
            Some(account) => Cow::Borrowed(&account.username),
            None => Cow::Owned(made_up),
        }
    }

    /// Empty when there is none.
    fn provider_name<'a>(&self, snapshot: &'a Snapshot) -> &'a str {
        let provider = self.provider.and_then(|provider| snapshot.accounts().provider(provider));
        provider.map_or("", |provider| &provider.name)
    }
}

pub(super) fn of_token(token: &Token) -> (CredentialKey, Credential) {
    let key = CredentialKey { id: u64::from(token.number.get()), generation: token.generation };
    (key, Credential::Token { number: token.number, generation: token.generation })
}

/// The one credential of an active account that a secret without a selector is compared with.
fn selectorless(accounts: &Accounts, account: Option<&AccountState>) -> Option<Tried> {
    let account = account.filter(|account| account.is_active)?;
    if let Some(password) = &account.password {
        return Some(Tried::of_password(account.number, password));
    }
    let tokens = account.tokens.iter().filter_map(|number| accounts.token(*number));
    let token = tokens.into_iter().find(|token| token.is_selectorless())?;
    Some(Tried::of_token(token))
}

/// Keeps the proofs of passwords apart from those of tokens.
const PASSWORDS: u64 = 1 << 32;

/// Why a secret found no place to be looked at, for the trail.
pub(super) const fn reason_of(refusal: HashRefusal) -> &'static str {
    match refusal {
        HashRefusal::Busy => NO_PLACE,
        HashRefusal::AboveMemoryBudget => "the stored hash needs more memory than the budget",
        HashRefusal::Closed => "the server is shutting down",
    }
}

/// Why a secret was not looked at, for the trail.
pub(super) const NO_PLACE: &str = "too many hashes wait";
const PAUSED: &str = "too many wrong secrets: it is paused for this source";
pub(super) const WRONG: &str = "the secret is wrong";

/// Octets of the form in which names are compared: a code point may become eighteen, and names of accounts and DNs
/// of entries are far shorter.
/// No limit of the config: it follows from `name_length_max` for all names that somebody has.
pub const NAME_FORM_OCTETS_MAX: usize = 8 * 1024;
/// So much of a name that nobody has stands in the log.
/// No limit of the config: it is about the words of the log.
const SHOWN_CHARACTERS_MAX: usize = 256;
