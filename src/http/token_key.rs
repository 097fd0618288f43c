//! `POST /local/token-key`: what a start would say of the key in the data directory, for `bindery check`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::json::Body;
use crate::registry::{Registry, TokenKeyState};

/// By what the key is known again that is there; `None`: none is.
pub(super) async fn token_key(
    State(registry): State<Arc<Registry>>,
    Body(mark): Body<Option<u64>>,
) -> Json<TokenKeyState> {
    Json(registry.token_key_state(mark))
}
