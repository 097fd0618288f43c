//! The objects that a permission can be granted on, as the API names them: a model and a `pk`.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::by_uuid;
use super::call::written;
use super::reading::RepresentationSource;
use crate::directory::Accounts;
use crate::model::{AccountNumber, Grant, ObjectReference, Permission, ProviderNumber};
use crate::quoted::quoted;
use crate::registry::{Caller, ChangeError, Lack, Viewer};

/// The object of this model (`authentik_core.user`) with this `pk`. One that the caller may not view does not exist for
/// it, and where none is named none is meant: least of all every one.
///
/// # Errors
/// There is no such model with objects, or no such object, or none is named.
pub(super) fn find(
    caller: &Caller,
    viewer: &Viewer,
    accounts: &Accounts,
    model: &str,
    named: Option<&str>,
) -> Result<ObjectReference, ChangeError> {
    let none = || {
        let message = match named {
            Some(pk) => format!("there is no {model} with the pk {pk}", pk = quoted(pk)),
            None => format!("which {model}? name it, or leave `model` out to mean all objects"),
        };
        ChangeError::field("object_pk", message)
    };
    let pk = named.unwrap_or_default();
    let number = || written::<u32>(pk).ok_or_else(none);
    let uuid = written(pk);
    let (view, found) = match model {
        "authentik_core.user" => {
            (Permission::ViewUser, Some(ObjectReference::Account(AccountNumber::new(number()?))))
        }
        "authentik_providers_ldap.ldapprovider" => {
            (Permission::ViewProvider, Some(ObjectReference::Provider(ProviderNumber::new(number()?))))
        }
        "authentik_core.group" => {
            let group = uuid.and_then(|uuid| by_uuid::group(accounts, uuid));
            (Permission::ViewGroup, group.map(|group| ObjectReference::Group(group.number)))
        }
        "authentik_rbac.role" => {
            let role = uuid.and_then(|uuid| by_uuid::role(accounts, uuid));
            (Permission::ViewRole, role.map(|role| ObjectReference::Role(role.number)))
        }
        "authentik_core.token" => {
            let token = accounts.tokens().find(|token| Some(token.uuid) == uuid);
            let token = token.or_else(|| accounts.token_named(pk));
            (Permission::ViewToken, token.map(|token| ObjectReference::Token(token.number)))
        }
        "authentik_core.application" => {
            let application = uuid.and_then(|uuid| by_uuid::application(accounts, uuid));
            let application = application.or_else(|| accounts.application_named(pk));
            let application = application.map(|application| ObjectReference::Application(application.number));
            (Permission::ViewApplication, application)
        }
        _ => {
            return Err(ChangeError::field(
                "model",
                format!("permissions cannot be granted on objects of {model}", model = quoted(model)),
            ));
        }
    };
    let found = found.filter(|found| viewer.sees(*found) && accounts.has(*found));
    // The same, whether it is hidden or not there.
    if named.is_some() && found.is_none() && !viewer.sees_all(view) {
        caller.lacks(Lack::Permission(view));
    }
    found.ok_or_else(none)
}

/// authentik's label and model of an object, as [`find`] takes it.
pub(super) fn model(object: ObjectReference) -> (&'static str, &'static str) {
    match object {
        ObjectReference::Provider(_) => ("authentik_providers_ldap", "ldapprovider"),
        ObjectReference::Account(_) => ("authentik_core", "user"),
        ObjectReference::Group(_) => ("authentik_core", "group"),
        ObjectReference::Role(_) => ("authentik_rbac", "role"),
        ObjectReference::Token(_) => ("authentik_core", "token"),
        ObjectReference::Application(_) => ("authentik_core", "application"),
    }
}

/// The `pk` of an object, as [`find`] takes it.
pub(super) fn pk(accounts: &Accounts, object: ObjectReference) -> String {
    let gone = String::new;
    match object {
        ObjectReference::Provider(number) => number.to_string(),
        ObjectReference::Account(number) => number.to_string(),
        ObjectReference::Group(number) => {
            accounts.group(number).map_or_else(gone, |group| group.uuid.to_string())
        }
        ObjectReference::Role(number) => {
            accounts.role(number).map_or_else(gone, |role| role.uuid.to_string())
        }
        ObjectReference::Token(number) => {
            accounts.token(number).map_or_else(gone, |token| token.uuid.to_string())
        }
        ObjectReference::Application(number) => {
            accounts.application(number).map_or_else(gone, |application| application.uuid.to_string())
        }
    }
}

/// The numbers of objects that a field of a request names by their UUIDs, where these are present: those that the caller may
/// not view do not exist for it, and stay.
///
/// # Errors
/// There is no such object.
pub(super) fn numbers<N: Copy + Ord>(
    source: &impl RepresentationSource,
    (field, kind): (&'static str, &str),
    uuids: &[Uuid],
    present: &[N],
    all: impl Iterator<Item = (Uuid, N)>,
    on: fn(N) -> ObjectReference,
) -> Result<Vec<N>, ChangeError> {
    let viewer = source.viewer();
    let wanted: BTreeSet<Uuid> = uuids.iter().copied().collect();
    // One look at all of them, however many are named.
    let found: BTreeMap<Uuid, N> =
        all.filter(|(uuid, number)| wanted.contains(uuid) && viewer.names(on(*number))).collect();
    let number = |uuid: &Uuid| {
        let number = found.get(uuid).copied();
        number.ok_or_else(|| ChangeError::field(field, format!("there is no {kind} {uuid}")))
    };
    let given = uuids.iter().map(number).collect::<Result<_, _>>()?;
    Ok(viewer.kept(present.iter().copied(), given, on))
}

/// The grants that a request names, as far as there are such; of its fields all that is wrong is noted.
///
/// # Errors
/// There is no such permission, model or object, or only a model is named, and nobody collects that.
pub(super) fn grants(
    source: &impl RepresentationSource,
    permissions: &[String],
    model: Option<&str>,
    pk: Option<&str>,
) -> Result<Vec<Grant>, ChangeError> {
    let on = match (model, pk) {
        (Some(model), pk) => {
            let viewer = source.viewer();
            source.noting(find(source.caller(), &viewer, source.accounts(), model, pk).map(Some))?
        }
        (None, Some(_)) => {
            let needed = ChangeError::field("model", "an object needs its model: name it with `object_pk`");
            source.noting(Err(needed))?
        }
        (None, None) => Some(None),
    };
    let mut grants = Vec::new();
    // Each once, however often it stands there.
    let codenames: BTreeSet<&String> = permissions.iter().collect();
    for codename in codenames {
        let permission: Result<Permission, _> = codename.parse();
        let permission = permission.map_err(|error| ChangeError::field("permissions", error.to_string()));
        // What is meant on an object that is not there is meant on no other.
        if let (Some(permission), Some(on)) = (source.noting(permission)?, on) {
            grants.push(Grant { permission, on });
        }
    }
    Ok(grants)
}
