//! Where objects come from, and who made a credential.

use serde::{Deserialize, Serialize};

use super::AccountNumber;

/// Who made an object.
///
/// The config gives rights to what it or the operator made; to what an account made only when somebody was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// From before origins were kept, and not looked up in the trail yet. Counts as [`Origin::Operator`].
    #[default]
    Unknown,
    /// The operator, by a command, or a superuser, who may do all that the operator may.
    Operator,
    Config,
    /// An import of another directory.
    Import,
    /// The server itself, as time went by.
    Server,
    /// An account that was no superuser, through the API or over LDAP. What superusers made counts so too, where it is from
    /// before theirs was the operator's.
    Account(AccountNumber),
}

impl Origin {
    /// The account, if it was one: somebody whose rights have an end.
    pub const fn account(self) -> Option<AccountNumber> {
        match self {
            Self::Account(number) => Some(number),
            Self::Unknown | Self::Operator | Self::Config | Self::Import | Self::Server => None,
        }
    }
}

/// Who may know the secret of a credential, apart from its account: who made it, and whose credentials it was made with.
///
/// A credential that is made or exchanged by means of another takes over what is known of that one, so that nobody gets
/// rid of their name by going through an account that they hold a secret of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MadeBy(Vec<Origin>);

impl MadeBy {
    /// One alone.
    pub fn one(origin: Origin) -> Self {
        Self(vec![origin])
    }

    /// The same with another. Beyond [`MAKERS_MAX`] the oldest stay: they are who began it.
    #[must_use]
    pub fn and(mut self, origin: Origin) -> Self {
        if self.0.len() < MAKERS_MAX && !self.0.contains(&origin) {
            self.0.push(origin);
        }
        self
    }

    /// The same with all of another's.
    #[must_use]
    pub fn and_all(self, other: &Self) -> Self {
        other.0.iter().fold(self, |made_by, origin| made_by.and(*origin))
    }

    /// The accounts among them.
    pub fn accounts(&self) -> impl Iterator<Item = AccountNumber> {
        self.0.iter().filter_map(|origin| origin.account())
    }
}

/// Makers of one credential that are kept. Each needs a credential made by the one before, so a chain that is longer is
/// no accident; the first of it are kept, as they are who would gain.
/// No limit of the config: a part of the stored record.
const MAKERS_MAX: usize = 64;
