//! The integers that name objects inside bindery. None is ever used again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares one kind of number, so that a group's cannot be taken for an account's.
macro_rules! number {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u32);

        impl $name {
            /// The number with this value.
            pub const fn new(value: u32) -> Self {
                Self(value)
            }

            /// Its value.
            pub const fn get(self) -> u32 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

number! {
    /// An account's number, its `pk` in the API; from one counter with [`GroupNumber`].
    AccountNumber
}
number! {
    /// A group's number; from one counter with [`AccountNumber`].
    GroupNumber
}
number! {
    /// A role's number; roles, tokens, applications, providers and custom attribute types share a second counter.
    RoleNumber
}
number! {
    /// A token's number.
    TokenNumber
}
number! {
    /// An application's number.
    ApplicationNumber
}
number! {
    /// An LDAP provider's number.
    ProviderNumber
}
number! {
    /// The number of a custom attribute type.
    AttributeNumber
}
