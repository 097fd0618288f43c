//! What may happen again and again, and of which the log has one line a minute with how often it came: strangers, a full
//! disk or a client that fails do not write the log. Each kind is counted, and told by `GET /metrics`.
//!
//! Like the log that it spares, it is one for the process.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Declares the kinds with their names and sentences together.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident, $name:literal: $sentence:literal;)*) => {
        /// A kind of line.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Seldom {
            $($(#[doc = $doc])+ $kind,)*
        }

        impl Seldom {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The label of its counter.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// What has happened, whomever it concerns.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$kind => $sentence,)*
                }
            }
        }
    };
}

kinds! {
    /// There were too many.
    ConnectionRefused, "connection_refused": "connections were refused";
    /// They were silent, or those with the most.
    MadeRoom, "made_room": "connections made room for others";
    /// A proxy's header is missing or wrong.
    ProxyHeader, "proxy_header": "connections of proxies were ended for their PROXY header";
    /// No descriptors, no memory.
    NotAccepted, "not_accepted":
        "connections cannot be accepted for now; they wait in the queue of the operating system";
    /// TLS on a port in clear.
    TlsInClear, "tls_in_clear":
        "clients speak TLS on a port in clear: they are to use StartTLS, or a port of `ldaps` or `https`";
    /// LDAP or HTTP in clear on a port with TLS.
    ClearOnTls, "clear_on_tls": "clients speak in clear on a port with TLS: they are to use ldaps:// or https://";
    /// HTTP on a port of LDAP.
    HttpOnLdap, "http_on_ldap": "clients speak HTTP on a port of LDAP: they are to use a port of `http` or `https`";
    /// LDAP on a port of HTTP.
    LdapOnHttp, "ldap_on_http": "clients speak LDAP on a port of HTTP: they are to use a port of `ldap` or `ldaps`";
    /// From somebody who is no proxy.
    StrayProxyHeader, "stray_proxy_header":
        "connections begin with a PROXY header and do not come from `proxy_networks`: name the proxy there";
    /// Of one proxy behind that of another.
    SecondProxyHeader, "second_proxy_header":
        "connections of proxies begin with more than one PROXY header: of proxies behind each other only the outer one is to send it";
    /// `client_ca` does not vouch for it.
    UntrustedClient, "untrusted_client_certificate":
        "clients were refused whose certificate `client_ca` does not vouch for";
    /// The client does not know who has issued ours.
    UntrustedServer, "untrusted_server_certificate":
        "clients do not trust the server's certificate: give them the authority that has issued it";
    /// TLS has verified it, and it cannot be read.
    UnreadableClient, "unreadable_client_certificate":
        "client certificates that TLS has verified cannot be read, and stand for nobody";
    /// Of the operating system's users.
    LocalUserRefused, "local_user_refused": "other users were refused on the local socket";
    /// Nobody waits for it.
    ChangeRefused, "change_refused": "changes were not made";
    /// The store took no batch.
    NotCommitted, "not_committed": "changes were not committed";
    /// It was closed by a full disk.
    StoreReopened, "store_reopened": "the store takes changes again";
    /// It was closed by a full disk.
    StoreClosed, "store_closed": "the store stays closed until there is space on the disk";
    /// The journal grows on.
    CheckpointFailed, "checkpoint_failed": "no checkpoint of the journal could be made";
    /// Their events were not committed.
    LoginsWait, "logins_wait": "logins are counted on until the store takes their events";
    /// They were not removed.
    EventsStay, "events_stay": "old events stay in the audit trail";
    /// Nothing of their care was done.
    TokensWait, "tokens_wait": "expired tokens were not seen to; it is tried again in a minute";
    /// One of them was not changed.
    TokenStays, "token_stays": "expired tokens were not deleted or rotated: revoke them";
    /// The events of warnings were not committed.
    WarningsUntold, "warnings_untold": "it is not in the audit trail which tokens expire soon";
    /// What is stored cannot be compared with.
    UnusableHash, "unusable_hash": "stored hashes cannot be verified; set new secrets";
    /// It is right, and stays as it was made.
    HashStays, "hash_stays": "stored hashes were not renewed";
    /// An error in bindery.
    HashPanicked, "hash_panicked": "hashes panicked; their secrets were refused";
    /// An error in bindery. Its message is on standard error.
    CommandPanicked, "command_panicked": "commands panicked; nothing of them was kept";
    /// An error in bindery.
    HandlerPanicked, "handler_panicked": "handlers of the API have panicked, which is an error in bindery";
    /// The client has gone, or the store cannot be read.
    ExportEnded, "export_ended": "exports were not made to their end";
    /// The client has gone, or the store cannot be read.
    BackupEnded, "backup_ended": "backups were not given to their end";
    /// The disk is full, or the directory cannot be written.
    BackupFailed, "backup_failed": "backups that were due were not made; it is tried again";
    /// None could be made for a long time.
    BackupOld, "backup_old": "the newest backup is old";
}

/// The rule by which lines become seldom.
#[derive(Debug)]
struct Lines {
    states: [Mutex<State>; Seldom::ALL.len()],
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// When it was told last.
    told: Option<Instant>,
    /// How often it came since.
    untold: u64,
    /// How often it came since the start.
    total: u64,
}

impl Lines {
    const fn new() -> Self {
        let states = [const { Mutex::new(State { told: None, untold: 0, total: 0 }) }; Seldom::ALL.len()];
        Self { states }
    }

    fn with<T>(&self, kind: Seldom, act: impl FnOnce(&mut State) -> T) -> Option<T> {
        let state = self.states.get(kind as usize)?;
        // Nothing that holds the lock can leave it half changed.
        Some(act(&mut state.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn note(&self, kind: Seldom, now: Instant) -> Option<u64> {
        self.with(kind, |state| {
            state.total += 1;
            state.untold += 1;
            state.tell(now)
        })?
    }

    fn due(&self, now: Instant) -> impl Iterator<Item = (Seldom, u64)> {
        let due = move |kind: &Seldom| Some((*kind, self.with(*kind, |state| state.tell(now))??));
        Seldom::ALL.iter().filter_map(due)
    }
}

impl State {
    fn tell(&mut self, now: Instant) -> Option<u64> {
        let is_early = self.told.is_some_and(|told| now.saturating_duration_since(told) < PERIOD);
        if self.untold == 0 || is_early {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

static LINES: Lines = Lines::new();

/// Counts it once more; how often it came since the last line, if there is to be one now.
pub fn note(kind: Seldom) -> Option<u64> {
    LINES.note(kind, Instant::now())
}

/// What has come since its last line, where that is a minute ago: it is taken as told.
pub fn due() -> impl Iterator<Item = (Seldom, u64)> {
    LINES.due(Instant::now())
}

/// How often each has come since the start.
pub fn counts() -> impl Iterator<Item = (Seldom, u64)> {
    Seldom::ALL.iter().filter_map(|kind| Some((*kind, LINES.with(*kind, |state| state.total)?)))
}

/// The time between two lines of a kind.
const PERIOD: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_at_once_and_then_once_a_minute() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let lines = Lines::new();
        let kind = Seldom::ChangeRefused;
        assert_eq!(lines.note(kind, start), Some(1));
        assert_eq!(lines.note(kind, at(1)), None);
        assert_eq!(lines.note(Seldom::NotCommitted, at(1)), Some(1), "each kind by itself");
        assert_eq!(lines.note(kind, at(59)), None);
        assert_eq!(lines.note(kind, at(60)), Some(3));
        assert_eq!(lines.note(kind, at(61)), None);
        // Who falls silent is told of too.
        assert_eq!(lines.due(at(119)).count(), 0);
        assert_eq!(lines.due(at(120)).collect::<Vec<_>>(), [(kind, 1)]);
        assert_eq!(lines.due(at(1_000)).count(), 0);
        assert_eq!(lines.note(kind, at(1_000)), Some(1));
        assert_eq!(lines.with(kind, |state| state.total), Some(6));
    }

    #[test]
    fn each_kind_has_a_name_of_its_own_and_a_sentence() {
        let mut names: Vec<_> = Seldom::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Seldom::ALL.len());
        assert!(Seldom::ALL.iter().all(|kind| !kind.sentence().is_empty()));
    }
}
