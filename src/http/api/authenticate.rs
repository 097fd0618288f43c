//! Who calls: the holder of the API token in `Authorization: Bearer …`.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use super::Api;
use super::call::RequestId;
use super::refusal::Refusal;
use crate::model::{Actor, Timestamp};
use crate::registry::{ApiRefusal, Caller};

/// Somebody of whom nothing is asked.
pub(super) fn stranger(source: Option<IpAddr>) -> Caller {
    Caller::stranger(source)
}

/// Finds out who calls. The secret costs one hash at most, and none when it was verified before.
///
/// # Errors
/// There is no token, it is wrong, it is used too often, or too many hashes wait.
pub(super) async fn authenticate(
    api: &Api,
    headers: &HeaderMap,
    source: Option<IpAddr>,
    id: RequestId,
) -> Result<Caller, Refusal> {
    let secret = bearer(headers)?;
    let identity = api.registry.authenticate_api(secret, source, Timestamp::now()).await;
    match identity {
        Ok(identity) => {
            api.admit_token(u64::from(identity.token_number.get()))?;
            let actor = Actor {
                account: identity.account,
                number: Some(identity.holder.account),
                token: Some(identity.token),
                source,
                request: Some(id.uuid()),
            };
            Ok(Caller::account(identity.holder, actor))
        }
        Err(ApiRefusal::Invalid) => Err(Refusal::not_authenticated("Token invalid/expired")),
        Err(ApiRefusal::Busy) => Err(Refusal::too_many_requests(BUSY_TIME)),
    }
}

/// The secret behind `Bearer` (RFC 6750 section 2.1).
fn bearer(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Err(Refusal::not_authenticated("Authentication credentials were not provided."));
    };
    let (scheme, secret) = match value.as_bytes().split_first_chunk::<7>() {
        Some((scheme, secret)) => (scheme, secret.trim_ascii()),
        None => (b"       ", b"".as_slice()),
    };
    if !scheme.eq_ignore_ascii_case(b"bearer ") || secret.is_empty() {
        return Err(Refusal::not_authenticated(
            "expected `Authorization: Bearer` with an API token behind it; app passwords are for LDAP",
        ));
    }
    Ok(secret)
}

/// When a hash is likely to have its turn.
const BUSY_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_bearer_is_heard() {
        let read = |value: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())]);
            bearer(&headers).map(<[u8]>::to_vec).ok()
        };
        assert_eq!(read("Bearer abc").unwrap(), b"abc");
        assert_eq!(read("bearer  abc").unwrap(), b"abc");
        for wrong in ["", "Bearer", "Bearer ", "Basic abc", "Token abc", "Bearerabc"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert!(bearer(&HeaderMap::new()).is_err());
    }
}
