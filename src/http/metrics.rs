//! `GET /metrics`: counters and gauges in the text format of Prometheus.

use std::fmt::Write as _;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::auth::HashClass;
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
        (EXPIRING, "Tokens that expire within expiry_warning of [server].", counts.expiring()),
        (EXPIRED, "Tokens that have expired and are still on record.", counts.expired()),
    ];
    for (name, help, value) in gauges {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
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
const WAITING: &str = "bindery_hashes_waiting";
const EXPIRING: &str = "bindery_tokens_expiring";
const EXPIRED: &str = "bindery_tokens_expired";
