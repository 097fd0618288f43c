//! `POST /local/export`: a directory as LDIF or the account model as JSON, streamed.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::error::Problem;
use super::json::Body;
use super::pieces::streamed;
use crate::registry::Registry;
use crate::registry::commands::{Export, ExportOptions};
use crate::seldom::Seldom;

pub(super) async fn export(
    State(registry): State<Arc<Registry>>,
    Body(options): Body<ExportOptions>,
) -> Result<Response, Problem> {
    let export = Export::of(registry, &options)?;
    Ok(streamed(Seldom::ExportEnded, move |output| export.write(output)))
}
