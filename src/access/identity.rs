//! Who is bound to a connection: an account and the credential that proved it, never its rights.

use std::net::IpAddr;
use std::sync::Arc;

use crate::directory::{AccountState, Accounts};
use crate::model::{AccountNumber, Fingerprint, ProviderNumber, Timestamp, TokenNumber};

/// An account that has proved itself, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    pub account: AccountNumber,
    /// What proved it.
    pub credential: Credential,
}

/// Who is bound to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account, and what proved it.
    pub holder: Holder,
    /// The provider of the bind.
    pub provider: ProviderNumber,
}

/// The credential of an identity, with its generation: a secret that was exchanged proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    Token {
        /// Which.
        number: TokenNumber,
        /// Which of its secrets.
        generation: u32,
    },
    /// A person's password.
    Password {
        /// Which of its passwords.
        generation: u32,
    },
    /// A client certificate that TLS has verified.
    Certificate {
        /// Which.
        fingerprint: Fingerprint,
        /// Its last second.
        not_after: Timestamp,
        /// Why it proves nothing any more, since a reload has exchanged the authorities or the accounts of
        /// certificates.
        withdrawn: Option<Invalid>,
    },
}

/// Why an identity is none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The account was deleted.
    #[error("the account was deleted")]
    AccountGone,
    #[error("the account is inactive")]
    AccountInactive,
    /// The token was revoked, or its secret was exchanged.
    #[error("the token was revoked")]
    CredentialGone,
    /// The account has another password now.
    #[error("the password was changed")]
    PasswordChanged,
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
    /// The client certificate has expired.
    #[error("the client certificate has expired")]
    CertificateExpired,
    /// The client CA was exchanged, and the new one does not vouch for the client certificate.
    #[error("the client certificate is not one of an authority of this server any more")]
    AuthorityGone,
    /// The accounts that client certificates stand for were exchanged.
    #[error("the client certificate does not stand for this account any more")]
    CertificateReassigned,
    /// The token may not be used from this address.
    #[error("the token may not be used from this address")]
    Network,
    /// The provider of the bind was deleted, and with it what decided whether the account is admitted.
    #[error("the provider of the bind was deleted")]
    ProviderGone,
}

impl Identity {
    /// Whether both are proved by the same credential, be it withdrawn meanwhile or not.
    pub fn is_same(&self, other: &Self) -> bool {
        let proof = |credential| match credential {
            Credential::Certificate { fingerprint, not_after, .. } => {
                Credential::Certificate { fingerprint, not_after, withdrawn: None }
            }
            other @ (Credential::Token { .. } | Credential::Password { .. }) => other,
        };
        let of = |it: &Self| (it.holder.account, it.provider, proof(it.holder.credential));
        of(self) == of(other)
    }

    /// The account, if the identity still holds at `now` for a client at `source`.
    ///
    /// # Errors
    /// Why it does not.
    pub fn verify<'a>(
        &self,
        accounts: &'a Accounts,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<&'a Arc<AccountState>, Invalid> {
        let account = self.holder.active_account(accounts)?;
        if accounts.provider(self.provider).is_none() {
            return Err(Invalid::ProviderGone);
        }
        self.holder.verify_credential(account, accounts, source, now)?;
        Ok(account)
    }
}

impl Holder {
    /// The account, if its credential still holds at `now` for a client at `source`.
    ///
    /// # Errors
    /// Why it does not.
    pub fn verify<'a>(
        &self,
        accounts: &'a Accounts,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<&'a Arc<AccountState>, Invalid> {
        let account = self.active_account(accounts)?;
        self.verify_credential(account, accounts, source, now)?;
        Ok(account)
    }

    fn active_account<'a>(&self, accounts: &'a Accounts) -> Result<&'a Arc<AccountState>, Invalid> {
        let account = accounts.account(self.account).ok_or(Invalid::AccountGone)?;
        if account.is_active { Ok(account) } else { Err(Invalid::AccountInactive) }
    }

    fn verify_credential(
        &self,
        account: &AccountState,
        accounts: &Accounts,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), Invalid> {
        match self.credential {
            Credential::Token { number, generation } => {
                let token = accounts.token(number).ok_or(Invalid::CredentialGone)?;
                if token.generation != generation || token.account != self.account {
                    return Err(Invalid::CredentialGone);
                }
                if token.is_expired(now) {
                    return Err(Invalid::Expired);
                }
                // A client on a Unix socket has no address: a token that is bound to networks is not for it.
                let is_allowed = match source {
                    Some(source) => {
                        token.networks.iter().any(|network| network.contains(&source.to_canonical()))
                    }
                    None => false,
                };
                if !token.networks.is_empty() && !is_allowed {
                    return Err(Invalid::Network);
                }
            }
            Credential::Password { generation } => match &account.password {
                None => return Err(Invalid::CredentialGone),
                Some(password) if password.generation != generation => {
                    return Err(Invalid::PasswordChanged);
                }
                Some(_) => {}
            },
            // A connection may outlive the certificate that it began with (RFC 5280 section 4.1.2.5: the last second
            // is included).
            Credential::Certificate { not_after, withdrawn, .. } => {
                if now > not_after {
                    return Err(Invalid::CertificateExpired);
                }
                if let Some(reason) = withdrawn {
                    return Err(reason);
                }
            }
        }
        Ok(())
    }
}
