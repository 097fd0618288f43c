//! What an account does with its own credential: a token that it is bound with is rotated, a person sets a password.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::token::{FIRST_GENERATION, NewUuid, check_present, replace};
use super::validate;
use crate::access::{Credential, Identity};
use crate::auth::CredentialKey;
use crate::model::{Actor, HashText, Password, Record, Token};
use crate::registry::authenticate::{key_of_password, key_of_token};
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
    /// There is nothing to exchange any more.
    #[error("the credential does not hold any more; bind again")]
    CredentialGone,
    /// The change was not made.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Registry {
    /// Exchanges the credential of an identity; gives the new secret when it was generated.
    ///
    /// A token is rotated: its replacement takes its identifier, description, networks and lifetime, and the old one
    /// goes on working for the overlap, under a name that says so (see [`Registry::rotate_token`]). A person's password is
    /// replaced at once. What was replaced already is refused before anything is hashed: it is for working on, not for a
    /// new secret, which the first of two instances with the same one has got.
    ///
    /// # Errors
    /// [`OwnSecretError`]; then nothing has changed.
    pub async fn change_own_secret(
        self: Arc<Self>,
        identity: Identity,
        source: Option<IpAddr>,
        asked: OwnSecret,
    ) -> Result<Option<Secret>, OwnSecretError> {
        let OwnSecret { old, new, overlap } = asked;
        let snapshot = self.snapshot();
        let account = snapshot
            .accounts()
            .account(identity.holder.account)
            .cloned()
            .ok_or(OwnSecretError::CredentialGone)?;
        let (key, stored, token) = match identity.holder.credential {
            Credential::Token { number, .. } => {
                let token = snapshot.accounts().token(number).ok_or(OwnSecretError::CredentialGone)?;
                check_present(token)?;
                (key_of_token(token), token.hash.clone(), Some(token.clone()))
            }
            Credential::Password { .. } => {
                let password = account.password.as_ref().ok_or(OwnSecretError::CredentialGone)?;
                (key_of_password(account.number, password), password.hash.clone(), None)
            }
            Credential::Certificate { .. } => return Err(OwnSecretError::NoSecret),
        };
        drop(snapshot);
        if let Some(old) = old
            && !self.is_present_secret(key, &old, &stored).await?
        {
            return Err(OwnSecretError::OldIsWrong);
        }
        let actor = Actor {
            account: account.username.to_string(),
            number: Some(account.number),
            token: token.as_ref().map(|token| token.identifier.clone()),
            source,
            request: None,
            user: None,
        };
        let caller = Caller::account(identity.holder, actor);
        match (token, new) {
            (_, Some(_)) if !account.kind.is_person() => Err(OwnSecretError::Constraint(
                "the secret of a service account is generated: leave the new password out".to_owned(),
            )),
            (Some(token), None) => self.rotate(caller, &token, overlap).await.map(Some),
            (_, Some(new)) => {
                validate::password(&new, self.rules())
                    .map_err(|problem| OwnSecretError::Constraint(format!("the new password {problem}")))?;
                self.set_password(caller, identity, new).await?;
                Ok(None)
            }
            (None, None) => {
                let new = generate_password()?;
                self.set_password(caller, identity, new.clone()).await?;
                Ok(Some(new))
            }
        }
    }

    /// Whether the secret is the present one: without a hash when it was verified before, as it was at the bind.
    async fn is_present_secret(
        &self,
        key: CredentialKey,
        secret: &Secret,
        stored: &HashText,
    ) -> Result<bool, ChangeError> {
        Ok(self.proofs.check(key, secret.expose()) || self.is_stored_secret(secret, stored).await?)
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

    async fn set_password(
        &self,
        caller: Caller,
        identity: Identity,
        new: Secret,
    ) -> Result<(), OwnSecretError> {
        let hash = self.hash_secret(new).await?;
        let done = self
            .change(caller, move |transaction| {
                let Some(mut account) = transaction.account(identity.holder.account)? else {
                    return Ok(false);
                };
                let generation = account.password.as_ref().map_or(0, |password| password.generation);
                let holds = match identity.holder.credential {
                    Credential::Password { generation: own } => own == generation,
                    Credential::Token { number, .. } => {
                        transaction.snapshot().accounts().token(number).is_some()
                    }
                    Credential::Certificate { .. } => false,
                };
                if !holds {
                    return Ok(false);
                }
                let changed = transaction.now();
                account.password = Some(Password {
                    hash,
                    generation: generation.saturating_add(1),
                    seeded: None,
                    changed,
                    made_by: transaction.made_by(),
                });
                account.modified = changed;
                transaction.put(Record::Account(account))?;
                Ok(true)
            })
            .await?;
        if done { Ok(()) } else { Err(OwnSecretError::CredentialGone) }
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
