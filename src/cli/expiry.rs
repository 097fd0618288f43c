//! `--expires` and `--no-expiry`: when a token expires that is made.

use crate::model::{BadExpiry, Expiry, Timestamp};
use crate::registry::DEFAULT_LIFETIME;

/// Of commands that make a token.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct ExpiryArguments {
    /// When it expires: "90d", a time, or a date, with whose end it does; when neither this nor --no-expiry is given, 360d,
    /// or not at all where the account is there and has goauthentik.io/user/token-expires: false
    #[arg(long, value_name = "WHEN", value_parser = expiry, conflicts_with = "no_expiry")]
    expires: Option<Expiry>,
    /// It does not expire
    #[arg(long)]
    no_expiry: bool,
}

impl ExpiryArguments {
    /// Whether anything was said.
    pub(super) fn is_given(self) -> bool {
        self.no_expiry || self.expires.is_some()
    }

    /// Whether it expires, and when, counted from `now`.
    pub(super) fn resolve(self, now: Timestamp) -> (bool, Option<Timestamp>) {
        let expires = match self.expires {
            Some(expires) => expires.time(now),
            None => now.after(DEFAULT_LIFETIME),
        };
        (!self.no_expiry, (!self.no_expiry).then_some(expires))
    }
}

/// The form of the config: a duration in words, or a time.
pub(super) fn expiry(text: &str) -> Result<Expiry, String> {
    text.parse().map_err(|error| match error {
        BadExpiry::Form => error.to_string(),
        BadExpiry::AtOnce | BadExpiry::TooLong | BadExpiry::Late(_) => {
            format!("{error}; for a token that does not expire, --no-expiry")
        }
    })
}
