//! `POST /local/access/explain`: what an account sees, and through which grant.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::error::{Problem, ProblemKind};
use super::json::Body;
use crate::access::{self, Explanation, Question};
use crate::directory::FilterText;
use crate::model::{ProviderNumber, Timestamp};
use crate::quoted::quoted;
use crate::registry::Registry;

/// Whose view is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainRequest {
    /// The account's name.
    pub account: String,
    /// One provider's name; `None`: all.
    pub provider: Option<String>,
    /// A DN to explain in addition; of no use to a provider whose directory it does not lie in.
    pub entry: Option<String>,
    /// A search of the whole directory, as text (RFC 4515).
    #[serde(default)]
    pub filter: Option<String>,
    /// Where the client is; `None`: nowhere that is known, as on a Unix socket.
    #[serde(default)]
    pub source: Option<IpAddr>,
    /// When; `None`: now.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// What the account sees of each directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainResponse {
    /// The account's name, as it is kept.
    pub account: String,
    /// From where it was asked for.
    pub source: Option<IpAddr>,
    /// For which time.
    pub at: Timestamp,
    pub providers: Vec<Explanation>,
}

pub(super) async fn explain(
    State(registry): State<Arc<Registry>>,
    Body(request): Body<ExplainRequest>,
) -> Result<Json<ExplainResponse>, Problem> {
    let snapshot = registry.snapshot();
    let accounts = snapshot.accounts();
    let account = accounts
        .account_named(&request.account)
        .ok_or_else(|| Problem::not_found("account", &request.account))?;
    // Where the entry lies is one directory's affair; the others are not asked about it.
    let of_entry = request.entry.as_deref().and_then(|dn| snapshot.tree_of(dn.as_bytes()));
    let of_entry: Option<ProviderNumber> = of_entry.map(|tree| tree.provider().number);
    let named: Vec<ProviderNumber> = match (&request.provider, of_entry) {
        (Some(name), _) => {
            let provider =
                accounts.provider_named(name).ok_or_else(|| Problem::not_found("provider", name))?;
            vec![provider.number]
        }
        (None, Some(number)) => vec![number],
        (None, None) => accounts.providers().map(|provider| provider.number).collect(),
    };
    let ExplainRequest { entry, source, .. } = &request;
    let at = request.at.unwrap_or_else(|| registry.now());
    let filter = request.filter.as_deref().map(FilterText::parse).transpose();
    let filter = filter.map_err(|error| {
        let filter = request.filter.as_deref().unwrap_or_default();
        Problem::one(ProblemKind::Invalid, format!("the filter {filter}: {error}", filter = quoted(filter)))
    })?;
    let question = Question { entry: entry.as_deref(), filter: filter.as_ref(), source: *source, now: at };
    let explain = |number: ProviderNumber| access::explain(&snapshot, account, number, question);
    Ok(Json(ExplainResponse {
        account: account.username.to_string(),
        source: *source,
        at,
        providers: named.into_iter().filter_map(explain).collect(),
    }))
}
