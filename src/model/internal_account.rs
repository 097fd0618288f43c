//! The accounts of what acts by itself: bindery's own parts, and what stands for its operator.

use super::AccountNumber;

/// A part of bindery that acts by itself, and is a real account for it: nobody else can have its number or its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InternalAccount {
    /// The operator's commands.
    CommandLine,
    /// The config, as it is applied.
    Config,
    /// An import of another directory.
    Import,
    /// What the server does as time goes by.
    Housekeeping,
}

impl InternalAccount {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::CommandLine, Self::Config, Self::Import, Self::Housekeeping];

    /// Its `pk`: from the largest downwards, so that the numbers of others, from which uidNumbers are derived, stay as
    /// they are. A number is never given to another.
    pub const fn number(self) -> AccountNumber {
        AccountNumber::new(match self {
            Self::CommandLine => LAST,
            Self::Config => LAST - 1,
            Self::Import => LAST - 2,
            Self::Housekeeping => LAST - 3,
        })
    }

    /// Its username, which begins with [`InternalAccount::PREFIX`].
    pub const fn username(self) -> &'static str {
        match self {
            Self::CommandLine => "bindery:command-line",
            Self::Config => "bindery:config",
            Self::Import => "bindery:import",
            Self::Housekeeping => "bindery:housekeeping",
        }
    }

    pub const fn full_name(self) -> &'static str {
        match self {
            Self::CommandLine => "The command line",
            Self::Config => "The config",
            Self::Import => "The import",
            Self::Housekeeping => "Housekeeping",
        }
    }

    /// The one with this number.
    pub fn of_number(number: AccountNumber) -> Option<Self> {
        Self::ALL.into_iter().find(|internal| internal.number() == number)
    }

    /// What the usernames of internal service accounts begin with, and no other, in the form in which names are compared.
    pub const PREFIX: &str = "bindery:";
}

/// The largest that authentik's clients take as a `pk`.
const LAST: u32 = i32::MAX.unsigned_abs();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_number_and_a_name_of_its_own() {
        for internal in InternalAccount::ALL {
            assert_eq!(InternalAccount::of_number(internal.number()), Some(internal));
            assert!(internal.username().starts_with(InternalAccount::PREFIX), "{internal:?}");
            let same =
                InternalAccount::ALL.into_iter().filter(|other| other.username() == internal.username());
            assert_eq!(same.count(), 1, "{internal:?}");
        }
        assert_eq!(InternalAccount::CommandLine.number().get(), 2_147_483_647);
        assert_eq!(InternalAccount::of_number(AccountNumber::new(1)), None);
    }
}
