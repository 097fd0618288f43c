//! `POST /local/compact`: the database of the store is made anew.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::error::{Problem, ProblemKind};
use crate::registry::{ChangeError, Registry};
use crate::store::Sizes;

/// What a store took on the disk, and takes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compacted {
    pub before: Sizes,
    pub after: Sizes,
}

pub(super) async fn compact(State(registry): State<Arc<Registry>>) -> Result<Json<Compacted>, Problem> {
    let compacted = tokio::task::spawn_blocking(move || {
        let before = registry.store().sizes();
        registry.store().compact().map(|after| Compacted { before, after })
    });
    match compacted.await {
        Ok(Ok(compacted)) => Ok(Json(compacted)),
        Ok(Err(error)) => Err(ChangeError::Store(Arc::new(error)).into()),
        Err(error) => Err(Problem::one(ProblemKind::Panicked, error.to_string())),
    }
}
