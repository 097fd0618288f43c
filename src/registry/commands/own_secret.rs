//! What an account does with its own credential: a token that it is bound with is rotated, a person sets a password.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::account::{self, next_password};
use super::token::{FIRST_GENERATION, NewUuid, check_present, replace};
use super::validate;
use crate::access::{Credential, Identity};
use crate::config::Limit;
use crate::model::{AccountChanges, AccountNumber, Actor, Token};
use crate::registry::authenticate::Tried;
use crate::registry::{Caller, ChangeError, Registry};
use crate::secret::Secret;

/// What an account asks for its own credential.
#[derive(Clone, Debug)]
pub struct OwnSecret {
    /// The present secret, when the client sends it.
    pub old: Option<Secret>,
    /// The one that is to come; `None`: it is generated.
    pub new: Option<Secret>,
    /// How long a token that is rotated goes on working.
    pub overlap: Duration,
}

/// A credential was exchanged.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// The new secret, when it was generated.
    pub generated: Option<Secret>,
    /// What proves from now on who has asked: a password in its new generation, or a token that goes on working.
    pub credential: Credential,
}

/// Why a credential was not exchanged.
#[derive(Debug, thiserror::Error)]
pub enum OwnSecretError {
    /// The present secret is another.
    #[error("the old password is wrong")]
    OldIsWrong,
    /// The new secret cannot be one.
    #[error("{0}")]
    Constraint(String),
    /// The account is bound with a certificate, which is exchanged by who issued it.
    #[error("you are bound with a certificate: bind with the password or app password that is to be changed")]
    NoSecret,
    /// The account is bound with a token, which may end before the password would, or work from fewer places.
    #[error(
        "you are bound with an app password, by which no password is set: bind with the password that is to be changed, or \
         leave the new one out to exchange the app password"
    )]
    NotByToken,
    /// There is nothing to exchange any more.
    #[error("the credential does not hold any more; bind again")]
    CredentialGone,
    /// The change was not made.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Registry {
    /// Exchanges the credential of an identity.
    ///
    /// A token is rotated: its replacement takes its identifier, description, networks and lifetime, and the old one
    /// goes on working for the overlap, under a name that says so (see [`Registry::rotate_token`]). A person's password is
    /// replaced at once, by who is bound with it: set by means of a token it would outlive that, and whoever revokes the token
    /// would not know of it. What was replaced already is refused before anything is hashed: it is for working on, not for a
    /// new secret, which the first of two instances with the same one has got.
    ///
    /// # Errors
    /// [`OwnSecretError`]; then nothing has changed.
    pub async fn change_own_secret(
        self: Arc<Self>,
        identity: Identity,
        source: Option<IpAddr>,
        asked: OwnSecret,
    ) -> Result<Exchanged, OwnSecretError> {
        let OwnSecret { old, new, overlap } = asked;
        let snapshot = self.snapshot();
        let account = snapshot
            .accounts()
            .account(identity.holder.account)
            .cloned()
            .ok_or(OwnSecretError::CredentialGone)?;
        let token = match identity.holder.credential {
            Credential::Token { number, .. } => {
                let token = snapshot.accounts().token(number).ok_or(OwnSecretError::CredentialGone)?;
                check_present(token)?;
                Some(token.clone())
            }
            Credential::Password { .. } => None,
            Credential::Certificate { .. } => return Err(OwnSecretError::NoSecret),
        };
        let tried = match &token {
            Some(token) => Tried::of_token(token),
            None => {
                let password = account.password.as_ref().ok_or(OwnSecretError::CredentialGone)?;
                Tried::of_password(account.number, password)
            }
        };
        drop(snapshot);
        if let Some(old) = old {
            match self.is_present_secret(&account, identity.provider, tried, &old, source).await {
                Some(true) => {}
                Some(false) => return Err(OwnSecretError::OldIsWrong),
                None => return Err(ChangeError::Busy.into()),
            }
        }
        self.admit_own_secret(account.number)?;
        let actor = Actor {
            account: account.username.to_string(),
            number: Some(account.number),
            token: token.as_ref().map(|token| token.identifier.clone()),
            source,
            request: None,
            user: None,
        };
        let caller = Caller::account(identity.holder, actor);
        let credential = identity.holder.credential;
        match (token, new) {
            (_, Some(_)) if !account.kind.is_person() => Err(OwnSecretError::Constraint(
                "the secret of a service account is generated: leave the new password out".to_owned(),
            )),
            (Some(_), Some(_)) => Err(OwnSecretError::NotByToken),
            (Some(token), None) => {
                let generated = Some(self.rotate(caller, &token, overlap).await?);
                Ok(Exchanged { generated, credential })
            }
            (None, Some(new)) => {
                validate::password(&new, self.rules())
                    .map_err(|problem| OwnSecretError::Constraint(format!("the new password {problem}")))?;
                let credential = self.set_password(caller, identity, new).await?;
                Ok(Exchanged { generated: None, credential })
            }
            (None, None) => {
                let new = generate_password()?;
                let credential = self.set_password(caller, identity, new.clone()).await?;
                Ok(Exchanged { generated: Some(new), credential })
            }
        }
    }

    /// Counts a secret that an account exchanges for another, without any right but its own: each leaves events, and the old
    /// token works on for a while.
    ///
    /// # Errors
    /// There were too many of its account.
    pub(super) fn admit_own_secret(&self, account: AccountNumber) -> Result<(), ChangeError> {
        let (limit, rate) = &self.own_secrets;
        rate.admit(&account.get()).map_err(|wait| {
            self.reached().note(Limit::own_secrets_by_account_max);
            let what = format!("exchanged {limit} secrets of its own within an hour");
            ChangeError::TooOften { what, wait }
        })
    }

    async fn rotate(
        &self,
        caller: Caller,
        token: &Token,
        overlap: Duration,
    ) -> Result<Secret, OwnSecretError> {
        let uuid = NewUuid::new();
        let made = self
            .new_token_secret(
                &token.identifier,
                token.intent,
                token.is_retrievable(),
                uuid.0,
                FIRST_GENERATION,
                &caller,
            )
            .await?;
        let (number, generation, secret) = (token.number, token.generation, made.secret.clone());
        let done = self
            .change(caller, move |transaction| {
                let present = transaction.snapshot().accounts().token(number).cloned();
                let Some(old) = present.filter(|old| old.generation == generation) else { return Ok(false) };
                replace(transaction, &old, overlap, uuid, made).map(|_| true)
            })
            .await?;
        if done { Ok(secret) } else { Err(OwnSecretError::CredentialGone) }
    }

    /// What proves the identity afterwards.
    async fn set_password(
        &self,
        caller: Caller,
        identity: Identity,
        new: Secret,
    ) -> Result<Credential, OwnSecretError> {
        let hash = self.hash_secret(new, &caller).await?;
        let done = self
            .change(caller, move |transaction| {
                let Some(account) = transaction.account(identity.holder.account)? else {
                    return Ok(None);
                };
                let known = account.password.as_ref().map(|password| password.generation);
                let Credential::Password { generation } = identity.holder.credential else { return Ok(None) };
                if known != Some(generation) {
                    return Ok(None);
                }
                let password = next_password(transaction, &account, hash, None);
                let generation = password.generation;
                let changes = AccountChanges { password: Some(password), ..AccountChanges::default() };
                account::write(transaction, Some(account.clone()), account, changes)?;
                Ok(Some(Credential::Password { generation }))
            })
            .await?;
        done.ok_or(OwnSecretError::CredentialGone)
    }
}

/// 144 bits from the operating system's random source, as text that can be typed.
fn generate_password() -> Result<Secret, ChangeError> {
    let mut octets = zeroize::Zeroizing::new([0; 18]);
    getrandom::fill(octets.as_mut_slice()).map_err(|error| ChangeError::Secret(error.to_string()))?;
    Ok(Secret::from(URL_SAFE_NO_PAD.encode(octets.as_slice())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::auth::TokenSecret;
    use crate::model::Intent;
    use crate::registry::Rules;

    #[test]
    fn passwords_do_not_look_like_generated_secrets() {
        let app = TokenSecret::generate(Intent::AppPassword).unwrap().into_secret();
        let broken = Secret::new([app.expose(), b"x"].concat());
        for refused in [&app, &broken, &Secret::new(Vec::new())] {
            assert!(validate::password(refused, Rules::default()).is_err());
        }
        for _ in 0..100 {
            let generated = generate_password().unwrap();
            assert_eq!(generated.expose().len(), 24);
            validate::password(&generated, Rules::default()).unwrap();
        }
    }
}
