//! `GET /local/status`: which server answers, and what it serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::error::Problem;
use crate::clock::ClockReport;
use crate::model::Timestamp;
use crate::registry::{BackupState, Registry};
use crate::store::Hindrance;

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    /// Its process id.
    pub process: u32,
    /// How the clock stands to what is believed of it.
    pub clock: ClockReport,
    /// Which life of the store it is; `None` before its first change.
    pub incarnation: Option<String>,
    /// The revision of the directory.
    pub revision: u64,
    /// Whether a seed was ever applied.
    pub is_seeded: bool,
    /// Accounts of all kinds.
    pub accounts: usize,
    pub groups: usize,
    /// The base DNs that are served.
    pub base_dns: Vec<String>,
    /// How often each limit was reached since the start, by its name; those that cannot be are not there.
    pub limits_reached: BTreeMap<String, u64>,
    /// Why no change is taken now, in a sentence.
    #[serde(default)]
    pub hindrance: Option<String>,
    /// The backups that the server makes by itself; `None`: it makes none.
    #[serde(default)]
    pub backup: Option<BackupStatus>,
}

/// How the server's own backups are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupStatus {
    /// When the newest was made.
    pub newest: Option<Timestamp>,
    pub octets: u64,
    /// Whether it is older than twice the time after which the next was due, and something has changed since.
    pub is_old: bool,
    /// How often none could be made, since the start.
    pub failures: u64,
    /// Why not, the last time; `None`: the last one was made.
    pub failure: Option<String>,
}

impl BackupStatus {
    fn of(state: BackupState, revision: u64, now: Timestamp) -> Option<Self> {
        state.every?;
        Some(Self {
            newest: state.newest.map(|newest| newest.made),
            octets: state.newest.map_or(0, |newest| newest.octets),
            is_old: state.is_old(revision, now),
            failures: state.failures,
            failure: state.failure,
        })
    }
}

pub(super) async fn status(State(registry): State<Arc<Registry>>) -> Result<Json<Status>, Problem> {
    let is_seeded = registry.is_seeded().await?;
    let asked = Arc::clone(&registry);
    // To ask a file system for its free space may take long when it is a broken one.
    let hindrance = tokio::task::spawn_blocking(move || asked.store().hindrance()).await.ok().flatten();
    let snapshot = registry.snapshot();
    let accounts = snapshot.accounts();
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        process: std::process::id(),
        clock: registry.clock().report(),
        incarnation: registry.store().meta().incarnation.map(|incarnation| incarnation.to_string()),
        revision: snapshot.revision(),
        is_seeded,
        accounts: accounts.account_count(),
        groups: accounts.group_count(),
        base_dns: accounts.providers().map(|provider| provider.base_dn.clone()).collect(),
        backup: BackupStatus::of(registry.backups().now(), snapshot.revision(), registry.clock().believed()),
        limits_reached: registry
            .limits_reached()
            .map(|(limit, count)| (limit.name().to_owned(), count))
            .collect(),
        // Who only reads knows that.
        hindrance: hindrance
            .filter(|hindrance| *hindrance != Hindrance::OnlyRead)
            .map(|hindrance| hindrance.to_string()),
    }))
}
