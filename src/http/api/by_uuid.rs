//! The objects that requests name by their UUIDs.

use std::sync::Arc;

use uuid::Uuid;

use crate::directory::{Accounts, GroupState};
use crate::model::{Application, Role};

pub(super) fn group(accounts: &Accounts, uuid: Uuid) -> Option<&Arc<GroupState>> {
    accounts.groups().find(|group| group.uuid == uuid)
}

pub(super) fn role(accounts: &Accounts, uuid: Uuid) -> Option<&Arc<Role>> {
    accounts.roles().find(|role| role.uuid == uuid)
}

pub(super) fn application(accounts: &Accounts, uuid: Uuid) -> Option<&Arc<Application>> {
    accounts.applications().find(|application| application.uuid == uuid)
}
