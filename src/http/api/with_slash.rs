//! Paths without the slash at their end: sent on to the row of the table.

use axum::extract::{RawPathParams, RawQuery};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};

use super::{Api, PREFIX};

/// Sends a call of any method on to `path`. Where to is put together from that, never from what was sent, which could lead
/// to another server.
pub(super) fn of(path: &'static str) -> MethodRouter<Api> {
    any(move |parameters: RawPathParams, RawQuery(query): RawQuery| async move {
        let mut location = PREFIX.to_owned();
        for part in path.split_inclusive('/') {
            let name = part.strip_prefix('{').and_then(|part| part.strip_suffix("}/"));
            match name.and_then(|name| parameters.iter().find(|(other, _)| *other == name)) {
                Some((_, value)) => {
                    location.extend(value.bytes().map(escaped));
                    location.push('/');
                }
                None => location.push_str(part),
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

/// An octet of a part of a path (RFC 3986, 3.3).
fn escaped(octet: u8) -> String {
    match octet {
        b'-' | b'.' | b'_' | b'~' => char::from(octet).to_string(),
        octet if octet.is_ascii_alphanumeric() => char::from(octet).to_string(),
        octet => format!("%{octet:02X}"),
    }
}
