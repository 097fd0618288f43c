//! Groups and memberships.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    AccountNumber, Attribute, AttributeForm, Grant, GroupNumber, Origin, Placement, RoleNumber, Timestamp,
};

/// A group: holds accounts (as [`Membership`] records) and other groups (through their `parents`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub number: GroupNumber,
    /// Its `entryUUID` and its `pk` in the API.
    pub uuid: Uuid,
    /// Its name, unique by RFC 4518 caseIgnore form.
    pub name: String,
    /// Whether its members, direct or nested, may do everything.
    pub is_superuser: bool,
    /// The groups that it is in.
    pub parents: Vec<GroupNumber>,
    /// Roles of its members, direct or nested.
    pub roles: Vec<RoleNumber>,
    /// Permissions of its members, direct or nested.
    pub grants: Vec<Grant>,
    /// Free attributes, each description once.
    pub attributes: Vec<Attribute>,
    /// How some of them were given.
    pub attribute_forms: Vec<AttributeForm>,
    /// The objectClass values it was imported with; empty for the usual ones.
    pub object_classes: Vec<String>,
    /// Its places that are not the usual ones, at most one for each provider.
    pub placements: Vec<Placement>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed, its members not counted.
    pub modified: Timestamp,
    /// When an account or a group last joined or left. Apart from `modified`, as who may not see the members may not see
    /// when they changed either.
    pub members_modified: Timestamp,
    /// Who made it.
    pub origin: Origin,
}

impl Group {
    /// One of which nothing is said but its name.
    pub fn new(number: GroupNumber, name: String, origin: Origin, now: Timestamp) -> Self {
        Self {
            number,
            uuid: Uuid::new_v4(),
            name,
            is_superuser: false,
            parents: Vec::new(),
            roles: Vec::new(),
            grants: Vec::new(),
            attributes: Vec::new(),
            attribute_forms: Vec::new(),
            object_classes: Vec::new(),
            placements: Vec::new(),
            created: now,
            modified: now,
            members_modified: now,
            origin,
        }
    }
}

/// One account in one group: a record of its own, so that no record grows with a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Membership {
    pub group: GroupNumber,
    /// The account that is in it.
    pub account: AccountNumber,
}
