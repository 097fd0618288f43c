//! `--expires` and `--no-expiry`: when a token expires that is made.

use crate::model::{Expiry, LIFETIME_SECONDS_MAX, Timestamp};
use crate::registry::DEFAULT_LIFETIME;

/// Of commands that make a token.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct ExpiryArguments {
    /// When it expires: "90d", or an RFC 3339 time; 360d when neither this nor --no-expiry is given
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
    if let Ok(duration) = humantime::parse_duration(text) {
        return match duration.as_secs() {
            0 => Err("expected at least a second".to_owned()),
            1..=LIFETIME_SECONDS_MAX => Ok(Expiry::In(duration)),
            _ => Err("expected at most 100 years; for a token that does not expire, --no-expiry".to_owned()),
        };
    }
    text.parse().map(Expiry::At).map_err(|_| {
        "expected a duration such as \"90d\", or a time such as \"2027-11-18T10:00:00Z\"".to_owned()
    })
}
