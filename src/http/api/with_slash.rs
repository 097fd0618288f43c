//! Paths without the slash at their end: sent on to the row of the table.

use axum::extract::RawQuery;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};

use super::{Api, PREFIX};

/// Sends a call of any method on to `path`. Where to is put together from that, with the names that stand in it as they were
/// sent, whatever they stand for: never from the whole that was sent, which could lead to another server.
pub(super) fn of(path: &'static str) -> MethodRouter<Api> {
    any(move |uri: Uri, RawQuery(query): RawQuery| async move {
        let mut location = PREFIX.to_owned();
        for (part, sent) in path.split_inclusive('/').zip(uri.path().split('/')) {
            if part.starts_with('{') {
                location.push_str(&escaped(sent));
                location.push('/');
            } else {
                location.push_str(part);
            }
        }
        if let Some(query) = query {
            location.push('?');
            location.push_str(&query);
        }
        sent_on(&location)
    })
}

/// 308, which changes neither method nor body.
fn sent_on(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// A part of a path with all escaped that could be more than its name (RFC 3986, 3.3), whatever it stands for.
fn escaped(sent: &str) -> String {
    let mut escaped = String::with_capacity(sent.len());
    let mut rest = sent.as_bytes();
    while let [octet, behind @ ..] = rest {
        rest = behind;
        match (octet, behind) {
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                escaped.extend([b'%', *high, *low].map(|octet| char::from(octet.to_ascii_uppercase())));
                rest = behind;
            }
            (b'-' | b'.' | b'_' | b'~', _) => escaped.push(char::from(*octet)),
            _ if octet.is_ascii_alphanumeric() => escaped.push(char::from(*octet)),
            _ => escaped.push_str(&format!("%{octet:02X}")),
        }
    }
    escaped
}
