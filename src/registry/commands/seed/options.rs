//! What an operator says of objects beside the config: of one by its name, or by kind and name where two kinds have it; of all
//! that one account has made by `by:` and the name of that, or `#` and its number.

use std::fmt::Display;

use super::SeedOptions;
use crate::config::ReferenceKind;
use crate::directory::{Accounts, name_key};
use crate::model::AccountNumber;

/// An object as an option names it.
#[derive(Clone, Copy)]
pub(super) struct Meant<'a> {
    /// The word before the colon, if that is one of `kinds`; `None`: whatever has the name.
    pub(super) kind: Option<&'a str>,
    pub(super) name: &'a str,
}

impl<'a> Meant<'a> {
    /// `kind:name`, or a name.
    fn of(said: &'a str, kinds: &[&str]) -> Self {
        match said.split_once(':').filter(|(kind, _)| kinds.contains(kind)) {
            Some((kind, name)) => Self { kind: Some(kind), name },
            None => Self { kind: None, name: said },
        }
    }

    /// Of what is to be taken over.
    pub(super) fn adopted(said: &'a str) -> Self {
        let [provider, account, group, role, token, application] =
            ReferenceKind::GRANTABLE.map(ReferenceKind::as_str);
        Self::of(said, &[provider, account, group, role, token, application, BY])
    }

    /// Of what is to be made again.
    pub(super) fn recreated(said: &'a str) -> Self {
        use ReferenceKind::{Account, Group, Role, Token};
        Self::of(said, &[Account, Token, Group, Role].map(ReferenceKind::as_str))
    }

    /// Of credentials.
    pub(super) fn accepted(said: &'a str) -> Self {
        Self::of(said, &[TOKEN, PASSWORD, BY])
    }

    /// The account of which all is meant that it has made.
    pub(super) fn maker(&self) -> Option<&'a str> {
        self.kind.filter(|kind| *kind == BY).map(|_| self.name)
    }

    /// Whether what is of this kind is meant, if it has the name.
    pub(super) fn may_be(&self, kind: &str) -> bool {
        self.kind.is_none_or(|said| said == kind)
    }
}

impl SeedOptions {
    /// Whether an object of this kind and name is to be taken over, if it is one that can be.
    pub(super) fn adopts(&self, kind: ReferenceKind, name: &str) -> bool {
        let mut meant = self.adopt.iter().map(|said| Meant::adopted(said));
        meant.any(|meant| meant.may_be(kind.as_str()) && name_key(meant.name) == name_key(name))
    }

    /// Accounts of which all is taken over that they have made and that stands in the way.
    pub(super) fn adopted_makers(&self) -> impl Iterator<Item = &str> {
        self.adopt.iter().filter_map(|said| Meant::adopted(said).maker())
    }

    /// Accounts of which all credentials are accepted that they alone have made.
    pub(super) fn accepted_makers(&self) -> impl Iterator<Item = &str> {
        self.accept_credentials.iter().filter_map(|said| Meant::accepted(said).maker())
    }

    /// Whether somebody else may know the secret of this token all the same.
    pub(super) fn accepts_token(&self, identifier: &str) -> bool {
        self.accepts(TOKEN, identifier)
    }

    /// The same of the password of an account.
    pub(super) fn accepts_password(&self, username: &str) -> bool {
        self.accepts(PASSWORD, username)
    }

    fn accepts(&self, kind: &str, name: &str) -> bool {
        let mut meant = self.accept_credentials.iter().map(|said| Meant::accepted(said));
        meant.any(|meant| meant.may_be(kind) && meant.name == name)
    }
}

/// The account that is meant behind [`BY`]: of this username, or of the number behind a `#`, which may be gone.
pub(super) fn maker_named(accounts: &Accounts, name: &str) -> Option<AccountNumber> {
    match name.strip_prefix('#') {
        Some(number) => number.parse().ok().map(AccountNumber::new),
        None => accounts.account_named(name).map(|account| account.number),
    }
}

/// What is said of an account behind [`BY`].
pub(super) fn name_of_maker(accounts: &Accounts, maker: AccountNumber) -> String {
    let username = accounts.account(maker).map(|maker| maker.username.to_string());
    username.filter(|username| !username.starts_with('#')).unwrap_or_else(|| format!("#{maker}"))
}

/// An option as an operator can type it into a shell, whatever the name.
pub(in crate::registry) fn typed(option: &str, value: impl Display) -> String {
    let value = value.to_string();
    let between = if value.starts_with('-') { "=" } else { " " };
    format!("{option}{between}{}", quoted(&value))
}

/// The same of a name alone.
pub(in crate::registry) fn quoted(value: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_.,:/@+=".contains(letter);
    match !value.is_empty() && value.chars().all(is_plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', "'\\''")),
    }
}

/// Before the name of an account of which all is meant that it has made.
pub(in crate::registry) const BY: &str = "by";
/// What `--accept-credentials` calls the kinds of credentials.
pub(in crate::registry) const TOKEN: &str = "token";
pub(in crate::registry) const PASSWORD: &str = "password";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_can_be_typed() {
        assert_eq!(typed("--adopt", "group:vip"), "--adopt group:vip");
        assert_eq!(typed("--adopt", "group:my 'own' -x"), "--adopt 'group:my '\\''own'\\'' -x'");
        assert_eq!(typed("--recreate", "-x"), "--recreate=-x");
        assert_eq!(typed("--recreate", "$HOME"), "--recreate '$HOME'");
    }

    #[test]
    fn a_kind_is_one_only_where_there_is_such_a_kind() {
        for (said, kind, name) in [
            ("group:vip", Some("group"), "vip"),
            ("vip", None, "vip"),
            ("bindery:config", None, "bindery:config"),
            ("group:group:vip", Some("group"), "group:vip"),
            ("by:by:vip", Some("by"), "by:vip"),
        ] {
            let meant = Meant::adopted(said);
            assert_eq!((meant.kind, meant.name), (kind, name), "{said}");
        }
        let options =
            SeedOptions { accept_credentials: vec!["password:bob".to_owned()], ..SeedOptions::default() };
        assert!(options.accepts_password("bob") && !options.accepts_token("bob"));
        let by = vec!["by:bob".to_owned()];
        let options = SeedOptions { adopt: by.clone(), accept_credentials: by, ..SeedOptions::default() };
        assert!(!options.accepts_password("bob") && !options.adopts(ReferenceKind::Token, "bob"));
        assert!(options.adopted_makers().eq(["bob"]) && options.accepted_makers().eq(["bob"]));
    }
}
