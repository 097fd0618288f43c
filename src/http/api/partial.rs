//! Accounts and groups as far as they stand in each other, and in bindings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::reading::RepresentationSource;
use super::value::Time;
use crate::directory::GroupState;
use crate::model::AccountNumber;
use crate::registry::ChangeError;

/// An account as far as it stands in a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartialUser {
    /// Its number.
    pub pk: u32,
    /// Its name.
    pub username: String,
    /// The full name.
    pub name: String,
    /// Whether it may bind and call the API.
    pub is_active: bool,
    /// When it last proved who it is.
    pub last_login: Option<Time>,
    /// The mail address.
    pub email: String,
    /// Free attributes of its entry.
    pub attributes: Map<String, Value>,
    /// A name that never changes.
    pub uid: String,
}

/// A group as far as it stands with an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartialGroup {
    /// Its UUID.
    pub pk: Uuid,
    /// Its number.
    pub num_pk: u32,
    /// Its name.
    pub name: String,
    /// Whether its members may do everything.
    pub is_superuser: bool,
}

/// The account as a member of a group.
pub(super) fn user(
    source: &impl RepresentationSource,
    number: AccountNumber,
) -> Result<Option<PartialUser>, ChangeError> {
    let Some(record) = source.account(number)? else { return Ok(None) };
    Ok(Some(PartialUser {
        pk: record.number.get(),
        last_login: last_login(source, number),
        attributes: source.attributes(&record.attributes, &record.attribute_forms),
        uid: record.uuid.simple().to_string(),
        username: record.username,
        name: record.name,
        is_active: record.is_active,
        email: record.email,
    }))
}

pub(super) fn last_login(source: &impl RepresentationSource, number: AccountNumber) -> Option<Time> {
    source.last_login(number).map(Time)
}

/// The group as it stands with an account.
pub(super) fn group(state: &GroupState) -> PartialGroup {
    PartialGroup {
        pk: state.uuid,
        num_pk: state.number.get(),
        name: state.name.to_string(),
        is_superuser: state.is_superuser,
    }
}
