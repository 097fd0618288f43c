//! `POST /local/event/…`: the audit trail is listed, shown and verified.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::error::{Problem, ProblemKind};
use super::json::{Body, written};
use crate::audit::{AuditReport, ExpectedEvent, digest};
use crate::model::{Event, EventDigest, EventPlace};
use crate::registry::{EventQuery, Registry};

/// Verifies all trails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyRequest {
    /// Events as they were noted earlier.
    pub expected: Vec<ExpectedEvent>,
}

/// Shows one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowRequest {
    pub place: EventPlace,
}

/// An event with its own digest, which stands in the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownEvent {
    #[serde(flatten)]
    pub event: Event,
    pub digest: EventDigest,
}

impl From<Event> for ShownEvent {
    fn from(event: Event) -> Self {
        let digest = digest(&event);
        Self { event, digest }
    }
}

pub(super) async fn verify(
    State(registry): State<Arc<Registry>>,
    Body(request): Body<VerifyRequest>,
) -> Result<Json<AuditReport>, Problem> {
    Ok(Json(registry.verify_events(request.expected).await?))
}

pub(super) async fn list(
    State(registry): State<Arc<Registry>>,
    Body(query): Body<EventQuery>,
) -> Result<Response, Problem> {
    let events = registry.events(query).await?;
    // The digest of each is worked out.
    written(move || events.into_iter().map(ShownEvent::from).collect::<Vec<_>>()).await
}

pub(super) async fn show(
    State(registry): State<Arc<Registry>>,
    Body(request): Body<ShowRequest>,
) -> Result<Json<ShownEvent>, Problem> {
    match registry.event(request.place).await? {
        Some(event) => Ok(Json(event.into())),
        None => Err(Problem::one(
            ProblemKind::NotFound,
            format!(
                "there is no event {}: it is still to come, or was removed when its time was over",
                request.place
            ),
        )),
    }
}
