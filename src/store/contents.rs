//! What a store or a backup holds, as far as a person compares two of them.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::Meta;
use crate::model::{
    AccountNumber, InternalAccount, Password, Record, Timestamp, Token, TokenNumber, TokenSelector,
};

/// How many there are of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// What it says of itself.
    pub meta: Meta,
    /// When the newest event happened.
    pub newest: Option<Timestamp>,
    by_kind: [u64; KINDS.len()],
}

impl Counts {
    /// Takes the next record; whether it is one that an operator knows of.
    pub(super) fn take(&mut self, record: &Record) -> bool {
        if let Record::Account(account) = record
            && InternalAccount::of_number(account.number).is_some()
        {
            return false;
        }
        if let Some(count) = self.by_kind.get_mut(place_of(record)) {
            *count += 1;
        }
        if let Record::Event(event) = record {
            self.newest = self.newest.max(Some(event.time));
        }
        true
    }

    /// How many there are of each kind, by the name of the kind; those of which there are none too.
    pub fn by_kind(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS.into_iter().zip(self.by_kind)
    }
}

/// How many there are of each kind, and the names by which an operator knows credentials.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    pub counts: Counts,
    accounts: BTreeMap<AccountNumber, Holder>,
    tokens: BTreeMap<TokenNumber, Token>,
}

/// An account, as far as it matters whether it may bind.
#[derive(Clone, Debug)]
struct Holder {
    username: String,
    is_active: bool,
    password: Option<Password>,
}

/// What is valid again when a store is taken back to a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidAgain {
    /// Tokens that the later store has no more.
    pub revoked_tokens: Vec<String>,
    /// Tokens that have another secret in the later store.
    pub replaced_secrets: Vec<String>,
    /// Tokens that expire earlier in the later store, or have expired there.
    pub longer_tokens: Vec<String>,
    /// Tokens that may be used from fewer networks in the later store.
    pub wider_tokens: Vec<String>,
    /// Accounts that are deactivated in the later store, or not there any more.
    pub accounts: Vec<String>,
    /// People with another password in the later store.
    pub passwords: Vec<String>,
}

impl ValidAgain {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Contents {
    /// Takes the next record, whatever their order.
    pub(super) fn take(&mut self, record: Record) {
        if !self.counts.take(&record) {
            return;
        }
        match record {
            Record::Account(account) => {
                let holder = Holder {
                    username: account.username,
                    is_active: account.is_active,
                    password: account.password,
                };
                self.accounts.insert(account.number, holder);
            }
            Record::Token(token) => drop(self.tokens.insert(token.number, token)),
            _ => {}
        }
    }

    /// API tokens whose secret somebody chose: none is found without the key that it was stored under.
    pub fn chosen_tokens(&self) -> impl Iterator<Item = &str> {
        let chosen = self.tokens.values().filter(|token| matches!(token.selector, TokenSelector::Chosen(_)));
        chosen.map(|token| token.identifier.as_str())
    }

    /// What is valid here and is not in `later`.
    pub fn valid_again(&self, later: &Self) -> ValidAgain {
        let mut again = ValidAgain::default();
        for token in self.tokens.values() {
            match later.tokens.get(&token.number).filter(|other| other.uuid == token.uuid) {
                None => again.revoked_tokens.push(token.identifier.clone()),
                Some(other) => {
                    let kinds = [
                        (other.hash != token.hash, &mut again.replaced_secrets),
                        (lives_longer(token, other), &mut again.longer_tokens),
                        (is_wider(&token.networks, &other.networks), &mut again.wider_tokens),
                    ];
                    for (is_of_kind, names) in kinds {
                        names.extend(is_of_kind.then(|| token.identifier.clone()));
                    }
                }
            }
        }
        for (number, account) in &self.accounts {
            let other = later.accounts.get(number);
            if account.is_active && !other.is_some_and(|other| other.is_active) {
                again.accounts.push(account.username.clone());
            } else if account.password.is_some()
                && other.is_some_and(|other| other.password != account.password)
            {
                again.passwords.push(account.username.clone());
            }
        }
        again
    }
}

fn lives_longer(token: &Token, other: &Token) -> bool {
    other.expires.is_some_and(|expires| token.expires.is_none_or(|of_token| of_token > expires))
}

/// Whether something may be used from where it may not be by the other ones; none at all: from anywhere.
fn is_wider(networks: &[IpNet], others: &[IpNet]) -> bool {
    let is_in_one = |network: &IpNet| others.iter().any(|other| other.contains(network));
    !others.is_empty() && (networks.is_empty() || !networks.iter().all(is_in_one))
}

/// Where its kind stands in [`KINDS`].
fn place_of(record: &Record) -> usize {
    match record {
        Record::CustomAttribute(_) => 0,
        Record::Provider(_) => 1,
        Record::Role(_) => 2,
        Record::Group(_) => 3,
        Record::Account(_) => 4,
        Record::Membership(_) => 5,
        Record::Token(_) => 6,
        Record::Application(_) => 7,
        Record::Tombstone(_) => 8,
        Record::Usage(_) => 9,
        Record::Event(_) => 10,
    }
}

const KINDS: [&str; 11] = [
    "attribute types",
    "providers",
    "roles",
    "groups",
    "accounts",
    "memberships",
    "tokens",
    "applications",
    "traces of what was deleted",
    "last uses",
    "events",
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{Account, HashText};
    use crate::plain;

    /// A rotation leaves the record under another name, with an end.
    #[test]
    fn what_a_token_may_do_again_is_named() {
        let at = |seconds| Some(Timestamp::from_unix_seconds(seconds));
        let networks = |networks: &[&str]| networks.iter().map(|network| network.parse().unwrap()).collect();
        let token = |number, name: &str, expires, from: &[&str]| Token {
            identifier: name.to_owned(),
            expires,
            networks: networks(from),
            ..plain::token(number, AccountNumber::new(1))
        };
        let contents = |tokens: Vec<Token>| {
            let mut contents = Contents::default();
            tokens.into_iter().for_each(|token| contents.take(Record::Token(token)));
            contents
        };
        let earlier = contents(vec![
            token(1, "stays", at(9), &["10.0.0.0/8"]),
            token(2, "ended", None, &[]),
            token(3, "shorter", at(9), &[]),
            token(4, "longer", at(9), &[]),
            token(5, "rotated", None, &[]),
            token(6, "bound", None, &[]),
            token(7, "narrower", None, &["10.0.0.0/8", "::1/128"]),
            token(8, "wider", None, &["10.1.0.0/16"]),
            token(9, "moved", None, &["10.1.0.0/16"]),
        ]);
        let later = contents(vec![
            token(1, "stays", at(9), &["10.0.0.0/8"]),
            token(2, "ended", at(5), &[]),
            token(3, "shorter", at(8), &[]),
            token(4, "longer", None, &[]),
            token(5, "rotated-before", at(5), &[]),
            token(6, "bound", None, &["10.0.0.0/8"]),
            token(7, "narrower", None, &["10.0.0.0/8"]),
            token(8, "wider", None, &["10.0.0.0/8"]),
            token(9, "moved", None, &["10.2.0.0/16"]),
        ]);
        let again = earlier.valid_again(&later);
        assert_eq!(again.longer_tokens, ["ended", "shorter", "rotated"]);
        assert_eq!(again.wider_tokens, ["bound", "narrower", "moved"]);
        assert!(again.revoked_tokens.is_empty() && again.replaced_secrets.is_empty());
        assert!(earlier.valid_again(&earlier.clone()).is_empty());
    }

    #[test]
    fn what_is_valid_again_is_named() {
        let owner = AccountNumber::new(1);
        let hashed = |number, hash: &str| {
            let hash = HashText::new(hash.to_owned());
            Record::Token(Token { hash, ..plain::token(number, owner) })
        };
        let person = |number, name: &str, is_active| {
            Record::Account(Account { is_active, ..plain::account(number, name) })
        };
        let contents = |records: Vec<Record>| {
            let mut contents = Contents::default();
            records.into_iter().for_each(|record| contents.take(record));
            contents
        };
        let earlier = contents(vec![
            person(1, "stays", true),
            person(2, "deactivated", true),
            person(3, "deleted", true),
            person(4, "never-active", false),
            hashed(10, "same"),
            hashed(11, "before"),
            hashed(12, "revoked"),
        ]);
        let later = contents(vec![
            person(1, "stays", true),
            person(2, "deactivated", false),
            person(5, "new", true),
            hashed(10, "same"),
            hashed(11, "after"),
            hashed(13, "new"),
        ]);
        let again = earlier.valid_again(&later);
        assert_eq!(again.revoked_tokens, ["token-12"]);
        assert_eq!(again.replaced_secrets, ["token-11"]);
        assert_eq!(again.accounts, ["deactivated", "deleted"]);
        assert!(again.passwords.is_empty());
        assert!(earlier.valid_again(&earlier.clone()).is_empty());
        assert_eq!(earlier.counts.by_kind().find(|(kind, _)| *kind == "accounts"), Some(("accounts", 4)));
    }
}
