//! Who calls: the holder of the API token in `Authorization: Bearer …`.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use super::Api;
use super::call::RequestId;
use super::refusal::CallRefusal;
use crate::model::Actor;
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
) -> Result<Caller, CallRefusal> {
    let secret = bearer(headers)?;
    let now = api.registry.now();
    let identity = api.registry.authenticate_api(secret, source, now).await;
    match identity {
        Ok(identity) => {
            api.admit_token(u64::from(identity.first_token.get()))?;
            // A call that is refused is no use of the token.
            api.registry.note_api_login(identity.token_number, source, now);
            let actor = Actor {
                user: None,
                account: identity.account,
                number: Some(identity.holder.account),
                token: Some(identity.token),
                source,
                request: Some(id.uuid()),
            };
            Ok(Caller::account(identity.holder, actor))
        }
        Err(ApiRefusal::Invalid) => Err(CallRefusal::not_authenticated("Token invalid/expired")),
        Err(ApiRefusal::Busy) => Err(CallRefusal::too_many_requests(BUSY_TIME)),
    }
}

/// The secret behind `Bearer` (RFC 6750 section 2.1).
fn bearer(headers: &HeaderMap) -> Result<&[u8], CallRefusal> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Err(CallRefusal::not_authenticated("Authentication credentials were not provided."));
    };
    let (scheme, secret) = match value.as_bytes().split_first_chunk::<7>() {
        Some((scheme, secret)) => (scheme, secret.trim_ascii()),
        None => (b"       ", b"".as_slice()),
    };
    if !scheme.eq_ignore_ascii_case(b"bearer ") || secret.is_empty() {
        return Err(CallRefusal::not_authenticated(
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
    use std::sync::Arc;

    use axum::http::HeaderValue;

    use super::*;
    use crate::config::{Limits, Seed};
    use crate::http::api::Door;
    use crate::model::{AccountKind, Intent};
    use crate::registry::NewToken;
    use crate::registry::commands::testing::{account, actor, apply, registry_over, wait};
    use crate::secret::Secret;
    use crate::store::MemoryStore;

    #[test]
    fn a_call_that_is_not_let_in_is_no_use_of_the_token() {
        let registry = registry_over(Arc::new(MemoryStore::new()));
        let seed = Seed { accounts: vec![account("portal", AccountKind::ServiceAccount)], ..Seed::default() };
        apply(&registry, &seed).unwrap();
        let new = NewToken {
            identifier: "portal-api".to_owned(),
            account: "portal".to_owned(),
            intent: Intent::Api,
            expiring: Some(false),
            expires: None,
            description: String::new(),
            networks: Vec::new(),
            retrievable: false,
        };
        let made = wait(registry.create_token(actor(), new)).unwrap();
        let limits = Limits { http_requests_by_token_max: 2, ..Limits::default() };
        let api = Api::new(Arc::clone(&registry), Door::Public).with_limits(&limits);
        let status = |secret: &Secret| {
            let secret = std::str::from_utf8(secret.expose()).unwrap();
            let value = HeaderValue::from_str(&format!("Bearer {secret}")).unwrap();
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            let answer = wait(authenticate(&api, &headers, None, RequestId::new()));
            answer.map_or_else(|refusal| refusal.status().as_u16(), |_| 200)
        };
        let answers: Vec<u16> = (0..5).map(|_| status(&made.secret)).collect();
        assert_eq!(answers, [200, 200, 429, 429, 429]);
        let number = registry.snapshot().accounts().token_named("portal-api").unwrap().number;
        assert_eq!(registry.last_used_token(number).unwrap().count, 2);
        // Another secret is no other caller, one after the other.
        for overlap in [Duration::from_secs(60), Duration::ZERO] {
            let rotated = wait(registry.rotate_token(actor(), "portal-api".to_owned(), overlap)).unwrap();
            assert_eq!(status(&rotated.secret), 429);
        }
    }

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
