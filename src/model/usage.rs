//! When a credential was used last, and how often.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{AccountNumber, ProviderNumber, Timestamp, TokenNumber};

/// Whose use is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum UsageOf {
    /// A token's.
    Token(TokenNumber),
    /// What an account proves itself with besides its tokens: a password, a client certificate.
    Account(AccountNumber),
}

/// The last use of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Whose.
    pub of: UsageOf,
    /// When it was used last.
    pub time: Timestamp,
    /// Where from; `None`: from a Unix socket.
    pub source: Option<IpAddr>,
    /// The provider that it was used for; `None`: the HTTP API.
    pub provider: Option<ProviderNumber>,
    /// How often it was used in all.
    pub count: u64,
    /// The slug that the application behind the provider had then; `None`: there was none.
    pub application: Option<String>,
}

impl Usage {
    /// Takes over what is known of uses that this does not count yet. One that was noted as of a time that is still to come
    /// at `now`, by a clock that was wrong, is no later than one that was not.
    pub fn add_at(&mut self, other: &Self, now: Timestamp) {
        if self.time > now && other.time <= now {
            self.time = other.time;
        }
        self.add(other);
    }

    /// Takes over what is known of uses that this does not count yet.
    pub fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        if other.time >= self.time {
            (self.time, self.source, self.provider) = (other.time, other.source, other.provider);
            self.application.clone_from(&other.application);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_use_counts_whatever_comes_first() {
        let at = |seconds, provider, count| Usage {
            time: Timestamp::from_unix_seconds(seconds),
            provider: Some(ProviderNumber::new(provider)),
            count,
            application: Some(provider.to_string()),
            ..crate::plain::usage(UsageOf::Token(TokenNumber::new(1)))
        };
        let (early, late) = (at(10, 1, 5), at(20, 2, 7));
        let mut forwards = early.clone();
        forwards.add(&late);
        let mut backwards = late;
        backwards.add(&early);
        assert_eq!(forwards, backwards);
        assert_eq!(forwards, at(20, 2, 12));
        // A clock was wrong, and is right again.
        let (mut future, now) = (at(900, 1, 5), at(20, 2, 7));
        future.add_at(&now, now.time);
        assert_eq!(future, at(20, 2, 12));
        future.add_at(&at(10, 1, 1), now.time);
        assert_eq!(future, at(20, 2, 13));
    }
}
