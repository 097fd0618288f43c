//! Who calls: the holder of the API token in `Authorization: Bearer …`.

use std::net::IpAddr;

use axum::http::HeaderMap;

use super::Api;
use super::refusal::Refusal;
use crate::registry::Caller;

/// Somebody of whom nothing is asked.
pub(super) fn stranger(source: Option<IpAddr>) -> Caller {
    Caller::stranger(source)
}

pub(super) async fn authenticate(_: &Api, _: &HeaderMap, _: Option<IpAddr>) -> Result<Caller, Refusal> {
    Err(Refusal::not_authenticated("Authentication credentials were not provided."))
}
