//! What goes with an object, or loses it, when it is deleted: `…/used_by/`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object;
use super::reading::{Reading, RepresentationSource as _};
use crate::model::ObjectReference;

/// Something that uses an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsedBy {
    /// authentik's application label.
    pub app: String,
    /// The kind of the user.
    pub model_name: String,
    /// Its `pk`.
    pub pk: String,
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub action: UsedByAction,
    /// Whether the object is not deleted while it is there; bindery's own. Absent: it is no obstacle.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prevents_deletion: bool,
}

/// What becomes of the user of an object that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsedByAction {
    /// It is deleted too.
    Cascade,
    /// It loses the connection.
    CascadeMany,
    /// It names nothing any more.
    SetNull,
    /// It goes on naming what is gone.
    LeftDangling,
}

impl UsedBy {
    /// Of a model such as `authentik_core.user`.
    pub(super) fn new(
        (app, model_name): (&str, &str),
        pk: impl ToString,
        name: impl ToString,
        action: UsedByAction,
    ) -> Self {
        Self {
            app: app.to_owned(),
            model_name: model_name.to_owned(),
            pk: pk.to_string(),
            name: name.to_string(),
            action,
            prevents_deletion: false,
        }
    }

    /// An object, if the caller may view it.
    pub(super) fn of(reading: &Reading, on: ObjectReference, action: UsedByAction) -> Option<Self> {
        if !reading.may_view(on) || !reading.room.hold(OCTETS) {
            return None;
        }
        let accounts = reading.accounts();
        let (pk, name) = match on {
            // In paths it stands under its name.
            ObjectReference::Token(_) => (accounts.name(on)?, accounts.name(on)?),
            ObjectReference::Application(number) => {
                (object::pk(accounts, on), accounts.application(number)?.name.clone())
            }
            _ => (object::pk(accounts, on), accounts.name(on)?),
        };
        Some(Self::new(object::model(on), pk, name, action))
    }

    /// The same, of what a deletion is refused for. The enum of authentik's clients has no word for it.
    pub(super) fn preventing(self) -> Self {
        Self { prevents_deletion: true, ..self }
    }
}

/// Of one, about.
const OCTETS: usize = 256;
