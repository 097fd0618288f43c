//! `[server.limits]`: the one table of every limit, with its default, its range and what it is for.
//!
//! The struct, the reader, the table in docs/config.md and the counters of `limit_counts` are made from it.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::diagnostics::Problems;
use super::reader::TableReader;
use super::value::{self, Raw};

/// Declares the struct, its defaults, its reader and its documentation together.
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr, $range:expr;)*) => {
        /// Every limit. Counts are `u32`, sizes are `u64` in octets.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: $type,)*
        }

        /// One of the limits, by its name in the config.
        #[allow(non_camel_case_types, reason = "a limit has one name")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Limit {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Limit {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The key in `[server.limits]`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Limits {
            /// The table, in the order of the documentation.
            #[cfg(test)]
            pub(super) fn table() -> Vec<LimitRow> {
                vec![$(LimitRow::new::<$type>(Limit::$name, $default, $range, concat!($($doc),+)),)*]
            }

            pub(super) fn read(table: &mut TableReader<'_>, problems: &mut Problems) -> Self {
                Self { $($name: within(table, stringify!($name), $default, $range, problems),)* }
            }
        }
    };
}

limits! {
    /// The largest message of a bound connection.
    message_size_max: u64 = 4 * MIB, KIB..=GIB;
    /// The largest message before a successful bind.
    message_size_before_bind_max: u64 = 64 * KIB, KIB..=GIB;
    /// Open connections. One more takes the place of a silent one, and where there is none of one that is at something: of the account with the most, beyond its share, or of who has not bound where there are more of those.
    connections_max: u32 = 16_384, 1..=1_000_000;
    /// Open connections from one source address (IPv6: from one /64).
    connections_by_source_max: u32 = 10_000, 1..=1_000_000;
    /// Open connections that have not bound. One more takes the place of the one that was silent for the longest, of the source, or IPv6 /56 or /48, with the most; where none is silent, of one that is at something, of who has clearly more.
    connections_before_bind_max: u32 = 5_000, 1..=1_000_000;
    /// Open connections from one source address (IPv6: from one /64) that have not bound; one more takes the place of the source's own that was silent for the longest.
    connections_before_bind_by_source_max: u32 = 1_000, 1..=1_000_000;
    /// Places for LDAP connections from this machine, beside `connections_max` and `connections_before_bind_max`.
    connections_reserved: u32 = 64, 0..=65_536;
    /// Connections that are on their way out to make room, of LDAP and of HTTP so many each: they keep their file until they have gone. As long as there are so many, one more that would need room is refused.
    connections_leaving_max: u32 = 64, 1..=65_536;
    /// Operations that one connection may have outstanding; more are left unread.
    pending_operations_max: u32 = 256, 1..=65_536;
    /// How deep a filter may be nested.
    filter_depth_max: u32 = 100, 1..=1_000;
    /// Elements of a filter: every AND, OR, NOT, assertion and substring.
    filter_elements_max: u32 = 16_384, 1..=1_000_000;
    /// The same before a successful bind.
    filter_elements_before_bind_max: u32 = 256, 1..=1_000_000;
    /// Elements of a filter, each with the values that it looks at, for one entry; a search that needs more ends with adminLimitExceeded.
    filter_work_max: u32 = 2_000_000, 1_000..=u32::MAX;
    /// The same before a successful bind.
    filter_work_before_bind_max: u32 = 8_192, 1_000..=u32::MAX;
    /// What it may cost to make a request ready, its attribute list and all assertion values of its filter and its controls: one for each element and each name, some more for options, 500 for each name with options of an attribute list, one for each octet of text beyond plain ASCII, ten for each part of a DN; a search that needs more ends with adminLimitExceeded.
    filter_preparation_max: u32 = 100_000, 1_000..=u32::MAX;
    /// The same before a successful bind.
    filter_preparation_before_bind_max: u32 = 8_192, 1_000..=u32::MAX;
    /// Octets of all assertion values of a filter, prepared for comparison; a search that needs more ends with adminLimitExceeded.
    filter_octets_max: u64 = 2 * MIB, KIB..=GIB;
    /// The same before a successful bind.
    filter_octets_before_bind_max: u64 = 4 * KIB, KIB..=GIB;
    /// Octets of one assertion value, of a filter or a list view; a longer one is not looked at, and matches nothing.
    assertion_length_max: u64 = 64 * KIB, KIB..=GIB;
    /// The same before a successful bind.
    assertion_length_before_bind_max: u64 = 2 * KIB, KIB..=GIB;
    /// Octets of the name of a bind in any of its forms, and of the DN that an operation is about; a longer one, and one of more than 256 parts, is not looked at, and nobody's.
    name_length_max: u32 = 4_096, 256..=65_535;
    /// Controls of one request.
    controls_max: u32 = 16, 1..=256;
    /// Names in the attribute list of one search.
    requested_attributes_max: u32 = 1_024, 1..=65_536;
    /// Entries that one search may return (a paged one: in one page); 0: no limit. A role may say otherwise.
    search_size_max: u32 = 0, SEARCH_SIZE_RANGE;
    /// How long one search may take. A role may say otherwise.
    search_time_max: Duration = HOUR, SEARCH_TIME_RANGE;
    /// Entries that a search may look at when no index helps; 0: no limit.
    look_through_max: u32 = 0, 0..=u32::MAX;
    /// How long a bound connection may be silent.
    idle_time: Duration = DAY, SECOND..=YEAR;
    /// How long a connection that has not bound may be silent.
    idle_time_before_bind: Duration = Duration::from_secs(120), SECOND..=YEAR;
    /// How long a proxy's header may take, before anything else on a connection from `proxy_networks`.
    proxy_header_time: Duration = Duration::from_secs(5), SECOND..=HOUR;
    /// Connections from `proxy_networks` whose header is still to come, of LDAP and of HTTP so many each, beside all places. One more waits, for 50 ms at most; then the one that was waited for the longest ends.
    proxy_headers_awaited_max: u32 = 64, 1..=65_536;
    /// The longest header of a proxy.
    proxy_header_size_max: u64 = 4 * KIB, 256..=64 * KIB;
    /// How long a TLS handshake may take.
    handshake_time: Duration = Duration::from_secs(15), SECOND..=HOUR;
    /// How long a message may take from its first octet to its last.
    message_time: Duration = Duration::from_secs(30), SECOND..=HOUR;
    /// How long a client that has closed its side of a connection is worked for until an answer, and from one answer to the next: it may wait for them, or be gone.
    half_close_time: Duration = Duration::from_secs(10), SECOND..=HOUR;
    /// How long a client may take no octet of an answer that waits for it.
    write_time: Duration = Duration::from_secs(60), SECOND..=HOUR;
    /// Open connections of all HTTP listeners; one more takes the place of a silent one, of the source, or IPv6 /56 or /48, with the most.
    http_connections_max: u32 = 256, 1..=65_536;
    /// Open HTTP connections from one source address (IPv6: from one /64); clients on this machine are not counted.
    http_connections_by_source_max: u32 = 32, 1..=65_536;
    /// Places for HTTP connections from this machine, beside `http_connections_max`, and from elsewhere to ask for `/-/health/` alone.
    http_connections_reserved: u32 = 16, 0..=65_536;
    /// How long an HTTP client may take for the header of a request, silence before it included.
    http_header_time: Duration = Duration::from_secs(10), SECOND..=HOUR;
    /// After this time an HTTP connection is closed behind the answer to its present request, which is waited for no longer than `http_request_time` and `write_time`.
    http_connection_time: Duration = Duration::from_secs(60), SECOND..=DAY;
    /// How long one request to the API may take, its body included; it is answered with 408 then, and a change that it has begun may still be made.
    http_request_time: Duration = Duration::from_secs(30), SECOND..=HOUR;
    /// The largest body of a request to the API; a larger one is answered with 413. Never more than a quarter of `http_body_memory_max`.
    http_body_size_max: u64 = MIB, KIB..=64 * MIB;
    /// Values in the body of a request to the API, the names of fields among them, each object as ten; one with more is answered with 400 before anything is made of it. Each takes some 64 octets of memory: never more than, with the largest body, half of `http_body_memory_max` has room for.
    http_body_values_max: u32 = 200_000, 1_000..=10_000_000;
    /// Octets that bodies of requests to the API hold together, as they come and as what they say, until their change is made, of which no account and no source holds more than is left for others; who finds no room waits for it until `http_request_time` is over, and is answered with 503 then. One that takes 64 KiB always has room.
    http_body_memory_max: u64 = 256 * MIB, 16 * MIB..=1024 * GIB;
    /// Objects on one page of a list; who asks for more gets so many.
    http_page_size_max: u32 = 1_000, 1..=100_000;
    /// The largest answer of the API, and what one object of it may take in memory, in octets; a larger one is refused with 400, and the answer to a change says less. Never more than a quarter of `http_answer_memory_max`.
    http_answer_size_max: u64 = 32 * MIB, 64 * KIB..=GIB;
    /// Octets of answers of the API that are made or not yet taken, and of what their lists are ordered by, on all connections together, of which no account and no source holds more than is left for others; who finds no room waits for it until `http_request_time` is over, and is answered with 503 then. An answer of 64 KiB always has room.
    http_answer_memory_max: u64 = 256 * MIB, 16 * MIB..=1024 * GIB;
    /// Requests to the API by one token, and those that it has replaced, within a minute, as many of them at once; more are answered with 429.
    http_requests_by_token_max: u32 = 6_000, 1..=100_000_000;
    /// Requests to the API from one source address (IPv6: from one /64) within a minute, as many of them at once; a proxy in front that is not in `proxy_networks` is one source.
    http_requests_by_source_max: u32 = 6_000, 1..=100_000_000;
    /// Calls of the API that read at a time on threads that may wait for the disk, a body of more than 16 KiB or the directory, of one account half of them; more wait for their turn.
    http_readings_max: u32 = 4, 1..=1_024;
    /// Changes by callers of the API that wait for the one writer; more are answered with 429.
    commands_waiting_max: u32 = 4_096, 1..=1_048_576;
    /// uidNumbers and gidNumbers below this are those of system accounts: only superusers and the operator give them, and an import leaves them out.
    posix_number_min: u32 = 1_000, 0..=2_000_000_000;
    /// Values of one attribute of an account or a group, with whatever options, that a caller of the API gives; superusers and the operator, the config and an import give up to 100,000.
    attribute_values_max: u32 = 1_000, 1..=100_000;
    /// Characters of a person's password, at least.
    password_length_min: u32 = 8, 1..=1_024;
    /// Groups that an account may be in through one group and those that it is in, each of which is asked at each operation.
    groups_above_max: u32 = 256, 1..=65_536;
    /// Containers of one kind that a provider may have.
    containers_max: u32 = 100, 1..=10_000;
    /// Octets of a base DN or of the DN of a container, in its canonical spelling: they end the DN of every entry.
    container_length_max: u32 = 1_024, 64..=16_384;
    /// Octets that all LDAP connections hold together for requests that are not whole, answers that are not taken and searches that are outstanding; no account, no source and no IPv6 /48 holds more than is left for others, and all who are not bound hold a third at most. A connection's first 16 KiB each way are not counted: without room answers are written in pieces of those.
    connection_memory_max: u64 = 512 * MIB, 16 * MIB..=1024 * GIB;
    /// Octets of answers that one connection holds before it stops working on its requests.
    output_buffer_max: u64 = MIB, 16 * KIB..=GIB;
    /// The same before a successful bind.
    output_buffer_before_bind_max: u64 = 64 * KIB, 16 * KIB..=GIB;
    /// Revisions that are kept for the next page of a paged search or the next part of a list view of who sees the whole directory; where it is gone, and for everybody else, the next is read from the newest. Where there are more, the account that has the most loses its oldest; so it is with sorted orders.
    paging_snapshots: u32 = 16, 0..=1_024;
    /// How long such a revision is kept after a page was answered from it.
    paging_snapshot_time: Duration = Duration::from_secs(60), SECOND..=HOUR;
    /// How long the cookie of a page is good for.
    paging_cookie_time: Duration = HOUR, SECOND..=DAY;
    /// Octets of sort keys and orders that all sorted searches hold together, of which no account and no source holds more than is left for others; what does not fit is not sorted.
    sort_memory_max: u64 = 256 * MIB, MIB..=64 * GIB;
    /// Octets of a secret in a bind, and of a password or an app password that somebody chooses.
    bind_secret_length_max: u32 = 1_024, 64..=65_536;
    /// Proofs of verified secrets that are kept in memory, so that they are not hashed again; 0: none.
    verified_secrets_max: u32 = 65_536, 0..=16_777_216;
    /// Secrets that wait to be hashed, in each of the four classes; in a full one the last of the source with the most makes room for a source with less.
    hash_queue_max: u32 = 1_024, 1..=1_048_576;
    /// Secrets from one source address (IPv6: from one /64, half as many again from one /56, twice as many from one /48; in the slow class from one /48) that wait to be hashed, in each of the four classes.
    hash_queue_by_source_max: u32 = 64, 1..=1_048_576;
    /// The time over which failed binds are counted, and the longest pause of an account.
    throttle_time: Duration = Duration::from_secs(300), SECOND..=DAY;
    /// Wrong secrets for one account from one source address (IPv6: from one /64) within `throttle_time`; then it is paused there: its secrets are answered as wrong ones.
    throttle_failures_max: u32 = 10, 1..=1_000_000;
    /// How long the first such pause is; each further failure makes one that is twice as long, up to `throttle_time`.
    throttle_pause_min: Duration = SECOND, SECOND..=DAY;
    /// Wrong secrets from one source address (IPv6: from one /64, /56 or /48) within `throttle_time`; then its hashes wait in the slow class.
    throttle_failures_by_source_max: u32 = 100, 1..=1_000_000;
    /// The same from an address from which an account is bound that holds `search_full_directory` on the provider, as of an application that binds as people.
    throttle_failures_by_application_max: u32 = 1_000, 1..=1_000_000;
    /// Wrong secrets with the selector of one token from one source address (IPv6: from one /64) within `throttle_time`; after more than that its hashes wait in the slow class.
    throttle_failures_by_token_max: u32 = 5, 1..=1_000_000;
    /// Accounts, tokens and source addresses whose failures are counted at a time, of each so many; as many addresses of applications are known.
    throttle_entries_max: u32 = 65_536, 1_024..=16_777_216;
    /// Logins that the audit trail tells apart by account, credential, source and provider within `logins_told_time`; others are counted together.
    logins_told_max: u32 = 65_536, 1..=1_048_576;
    /// Failed logins that the audit trail tells apart by account, source and reason within `logins_told_time`; others are counted together.
    login_failures_told_max: u32 = 1_024, 1..=1_048_576;
    /// Refused calls of the API, and refused operations of connections that had bound, that the audit trail tells apart by account, token, source and what was asked and missing within `logins_told_time`; others are counted together.
    denials_told_max: u32 = 1_024, 1..=1_048_576;
    /// Failed logins of one source address (IPv6: of one /64; four times as many of one /56 or /48) that the audit trail tells apart within `logins_told_time`, and as many refusals; others of that source are counted together.
    failures_told_by_source_max: u32 = 32, 1..=1_048_576;
    /// Logins that are alike are counted together for this time and become one event of the audit trail; the first failed one of its kind is logged at once.
    logins_told_time: Duration = Duration::from_secs(60), SECOND..=DAY;
    /// How long events of the audit trail are kept.
    event_retention: Duration = YEAR, SECOND..=CENTURY;
    /// Events that the four trails of the audit trail keep together; when there are more, the oldest of the longest are removed, so that each has a quarter to itself.
    events_max: u32 = 1_000_000, 1..=u32::MAX;
    /// Walks through the audit trail at a time, each of which keeps changes waiting while it reads a piece, by the API half of them for one account; more wait for their turn.
    trail_walks_max: u32 = 2, 1..=1_024;
    /// Custom events that one account adds to the audit trail within a minute, as many of them at once; more are answered with 429.
    custom_events_by_account_max: u32 = 60, 1..=1_000_000;
    /// Secrets of its own that one account exchanges within an hour, as many of them at once: passwords by Password Modify, tokens that rotate themselves. More are refused: nobody fills the audit trail so.
    own_secrets_by_account_max: u32 = 30, 1..=1_000_000;
    /// Octets of what one custom event says; a larger one is refused.
    custom_event_size_max: u64 = 16 * KIB, 256..=MIB;
    /// Octets of the custom events that the audit trail keeps; when there are more, the oldest of them are removed.
    custom_events_size_max: u64 = 256 * MIB, MIB..=64 * GIB;
    /// Secrets of new tokens that are kept in memory for ten minutes, for whoever made one to view it once; the oldest makes room.
    fresh_secrets_max: u32 = 1_024, 0..=65_536;
    /// How long an app password, or an API token that is not retrievable, stays on record after it has expired; then it is deleted, and leaves a tombstone. 0s: for ever.
    expired_tokens_kept: Duration = Duration::from_secs(30 * 24 * 60 * 60), Duration::ZERO..=Duration::from_secs(3_650 * 24 * 60 * 60);
    /// How long the tombstone of a token that the config neither made nor describes stays, and that of an account with rights which a caller of the API had made; then it is forgotten, and its name is free for anybody. 0s: for ever.
    token_tombstones_kept: Duration = YEAR, Duration::ZERO..=Duration::from_secs(3_650 * 24 * 60 * 60);
    /// How long a command, or a server that starts, waits for another process that holds the store. Who only reads then reads what is there; everybody else ends with exit code 4.
    store_wait_time: Duration = Duration::from_secs(15), Duration::ZERO..=HOUR;
    /// The largest file of an import: it is kept in the data directory while it is imported.
    import_size_max: u64 = 4 * GIB, KIB..=1024 * GIB;
    /// Entries in one file of an import: up to 72 octets are kept in memory for each while it is imported.
    import_entries_max: u32 = 10_000_000, 1..=1_000_000_000;
    /// Lines of the log that wait to be written; when whoever reads the log is slower than that, lines are lost and counted.
    log_queue_max: u32 = 16_384, 64..=1_048_576;
    /// Memory that an argon2 hash from elsewhere may ask for. Django, and so authentik, asks for 100 MiB by default.
    argon2_memory_max: u64 = 128 * MIB, 8 * KIB..=4 * GIB;
    /// Passes that an argon2 hash from elsewhere may ask for.
    argon2_time_cost_max: u32 = 8, 1..=64;
    /// Lanes that an argon2 hash from elsewhere may ask for.
    argon2_parallelism_max: u32 = 8, 1..=64;
    /// Rounds that an imported PBKDF2 hash may ask for. Django, and so authentik, asks for 1,000,000 by default (5.2), or 1,200,000 (6.0).
    pbkdf2_rounds_max: u32 = 2_000_000, 1..=100_000_000;
    /// Rounds that an imported SHA-crypt hash may ask for.
    sha_crypt_rounds_max: u32 = 1_000_000, 1_000..=100_000_000;
    /// Cost (the logarithm of the rounds) that an imported bcrypt hash may ask for.
    bcrypt_cost_max: u32 = 14, 4..=31;
}

/// Declares the limits of a connection that are smaller as long as nobody is bound, each with the one that holds then. That
/// one is never more than the other, which is said here alone: who lowers the one lowers both.
macro_rules! smaller_before_bind {
    ($($name:ident: $type:ty = $before:ident;)*) => {
        /// Those limits as they are for one connection now.
        #[derive(Clone, Copy, Debug)]
        pub struct LimitsInForce {
            $(pub $name: $type,)*
        }

        impl Limits {
            /// What holds for who `is_bound`, or for who is not.
            pub fn in_force(&self, is_bound: bool) -> LimitsInForce {
                LimitsInForce {
                    $($name: if is_bound { self.$name } else { self.$before.min(self.$name) },)*
                }
            }
        }

        impl Limit {
            /// The limit that stands in for it as long as nobody is bound; itself where there is none.
            pub const fn before_bind(self) -> Self {
                match self {
                    $(Self::$name => Self::$before,)*
                    other => other,
                }
            }

            /// The limit that it is held to.
            #[cfg(test)]
            const fn held_to(self) -> Option<Self> {
                match self {
                    $(Self::$before => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

smaller_before_bind! {
    message_size_max: u64 = message_size_before_bind_max;
    filter_elements_max: u32 = filter_elements_before_bind_max;
    filter_work_max: u32 = filter_work_before_bind_max;
    filter_preparation_max: u32 = filter_preparation_before_bind_max;
    filter_octets_max: u64 = filter_octets_before_bind_max;
    assertion_length_max: u64 = assertion_length_before_bind_max;
    output_buffer_max: u64 = output_buffer_before_bind_max;
}

/// A value with a range.
pub(super) trait Bounded: Copy + PartialOrd {
    /// The word for it in the documentation.
    const FORM: &'static str;

    fn read(raw: Raw<'_>) -> Result<Self, String>;

    fn show(self) -> String;
}

impl Bounded for u32 {
    const FORM: &'static str = "count";

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        value::integer(raw)
    }

    fn show(self) -> String {
        self.to_string()
    }
}

impl Bounded for u64 {
    const FORM: &'static str = "size";

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        value::size(raw)
    }

    fn show(self) -> String {
        value::show_size(self)
    }
}

impl Bounded for Duration {
    const FORM: &'static str = "duration";

    fn read(raw: Raw<'_>) -> Result<Self, String> {
        value::duration(raw)
    }

    fn show(self) -> String {
        value::show_duration(self)
    }
}

/// Reads a value that must lie in `range`; `default` when it is absent or wrong.
pub(super) fn within<T: Bounded>(
    table: &mut TableReader<'_>,
    key: &'static str,
    default: T,
    range: RangeInclusive<T>,
    problems: &mut Problems,
) -> T {
    table.value(key, problems, |raw| in_range(raw, &range)).unwrap_or(default)
}

/// A value that must lie in `range`.
///
/// # Errors
/// What was expected.
pub(super) fn in_range<T: Bounded>(raw: Raw<'_>, range: &RangeInclusive<T>) -> Result<T, String> {
    let value = T::read(raw).map_err(|message| format!("{message} ({})", words_of(range)))?;
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(format!("expected {}, found {}", words_of(range), value.show()))
    }
}

fn words_of<T: Bounded>(range: &RangeInclusive<T>) -> String {
    format!("a {} from {} to {}", T::FORM, range.start().show(), range.end().show())
}

/// What a search may return, of the server and of a role.
pub(super) const SEARCH_SIZE_RANGE: RangeInclusive<u32> = 0..=u32::MAX;
/// How long a search may take, of the server and of a role.
pub(super) const SEARCH_TIME_RANGE: RangeInclusive<Duration> = Duration::from_millis(1)..=DAY;

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// One limit, in words.
#[cfg(test)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LimitRow {
    /// The key in `[server.limits]`.
    pub name: &'static str,
    /// `count`, `size` or `duration`.
    pub form: &'static str,
    /// The default, as the config writes it.
    pub default: String,
    /// The least value.
    pub minimum: String,
    /// The greatest value.
    pub maximum: String,
    /// What it is for, one sentence.
    pub sentence: String,
}

#[cfg(test)]
impl LimitRow {
    fn new<T: Bounded>(limit: Limit, default: T, range: RangeInclusive<T>, sentence: &'static str) -> Self {
        let sentence = match limit.held_to() {
            None => sentence.trim().to_owned(),
            Some(other) => {
                format!("{}; never more than `{}`.", sentence.trim().trim_end_matches('.'), other.name())
            }
        };
        Self {
            name: limit.name(),
            form: T::FORM,
            default: default.show(),
            minimum: range.start().show(),
            maximum: range.end().show(),
            sentence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_told_and_consistent() {
        for row in Limits::table() {
            assert!(row.sentence.ends_with('.'), "{}: {}", row.name, row.sentence);
            assert!(!row.sentence.contains("  "), "{}: {}", row.name, row.sentence);
        }
    }
}
