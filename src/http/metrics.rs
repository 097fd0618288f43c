//! `GET /metrics`: counters and gauges in the text format of Prometheus.

use std::fmt::Write as _;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::auth::HashClass;
use crate::clock::Standing;
use crate::registry::Registry;
use crate::seldom;

/// The answer.
pub(super) fn metrics(registry: &Registry) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(registry)).into_response()
}

/// One line for each limit that is counted; names and labels of ours need no escapes.
fn text(registry: &Registry) -> String {
    let mut text = String::with_capacity(4 * 1024);
    // Writing to a string cannot fail.
    let _ =
        writeln!(text, "# HELP {REACHED} How often a limit of [server.limits] was reached since the start.");
    let _ = writeln!(text, "# TYPE {REACHED} counter");
    for (limit, count) in registry.limits_reached() {
        let _ = writeln!(text, "{REACHED}{{limit=\"{}\"}} {count}", limit.name());
    }
    let _ = writeln!(
        text,
        "# HELP {SELDOM} How often that came since the start of which the log has one line a minute."
    );
    let _ = writeln!(text, "# TYPE {SELDOM} counter");
    for (kind, count) in seldom::counts() {
        let _ = writeln!(text, "{SELDOM}{{kind=\"{}\"}} {count}", kind.name());
    }
    let counts = registry.token_counts();
    let gauges = [
        (
            STORE,
            "Octets of the files of the store: its database and its journal.",
            registry.store().sizes().total(),
        ),
        (EXPIRING, "Tokens that expire within expiry_warning of [server].", counts.expiring()),
        (EXPIRED, "Tokens that have expired and are still on record.", counts.expired()),
    ];
    for (name, help, value) in gauges {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    let clock = registry.clock().report();
    let _ = writeln!(
        text,
        "# HELP {CLOCK_BELIEVED} Whether the clock is believed: otherwise nothing is deleted because its time is over."
    );
    let _ = writeln!(text, "# TYPE {CLOCK_BELIEVED} gauge");
    let _ = writeln!(text, "{CLOCK_BELIEVED} {}", u8::from(clock.standing == Standing::Believed));
    let _ = writeln!(text, "# HELP {CLOCK_AHEAD} By how much the clock is ahead of what it should say.");
    let _ = writeln!(text, "# TYPE {CLOCK_AHEAD} gauge\n{CLOCK_AHEAD} {}", clock.difference());
    let backups = registry.backups().now();
    if backups.every.is_some() {
        let failures = backups.failures;
        let _ = writeln!(
            text,
            "# HELP {BACKUP_FAILURES} How often a backup that was due could not be made since the start."
        );
        let _ = writeln!(text, "# TYPE {BACKUP_FAILURES} counter\n{BACKUP_FAILURES} {failures}");
    }
    if let Some(newest) = backups.newest {
        let age = registry.clock().believed().unix_seconds().saturating_sub(newest.made.unix_seconds());
        let _ = writeln!(
            text,
            "# HELP {BACKUP_AGE} Seconds since the newest of the server's own backups was made."
        );
        let _ = writeln!(text, "# TYPE {BACKUP_AGE} gauge\n{BACKUP_AGE} {age}");
        let _ = writeln!(text, "# HELP {BACKUP_OCTETS} Its size.");
        let _ = writeln!(text, "# TYPE {BACKUP_OCTETS} gauge\n{BACKUP_OCTETS} {}", newest.octets);
    }
    let lengths = registry.hash_pool().queue_lengths();
    let _ = writeln!(text, "# HELP {WAITING} Secrets that wait to be hashed, by class.");
    let _ = writeln!(text, "# TYPE {WAITING} gauge");
    for class in HashClass::ALL {
        let _ = writeln!(text, "{WAITING}{{class=\"{}\"}} {}", class.name(), lengths.of(class));
    }
    text
}

const REACHED: &str = "bindery_limit_reached_total";
const SELDOM: &str = "bindery_seldom_told_total";
const CLOCK_BELIEVED: &str = "bindery_clock_believed";
const CLOCK_AHEAD: &str = "bindery_clock_ahead_seconds";
const BACKUP_AGE: &str = "bindery_backup_age_seconds";
const BACKUP_OCTETS: &str = "bindery_backup_octets";
const BACKUP_FAILURES: &str = "bindery_backup_failures_total";
const WAITING: &str = "bindery_hashes_waiting";
const STORE: &str = "bindery_store_octets";
const EXPIRING: &str = "bindery_tokens_expiring";
const EXPIRED: &str = "bindery_tokens_expired";
