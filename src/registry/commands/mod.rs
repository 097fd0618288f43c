//! What can be asked of a registry beside a single change: tokens, accounts, the seed of a config, the
//! import of another directory, the export of this one. Each is validated (`validate.rs`) and carried out by the one writer; hashes
//! are computed before, on the hash pool.

mod account;
mod application;
mod binding;
mod broken;
mod export;
pub(super) mod foreign;
pub(super) mod gains;
mod group;
mod hashing;
mod import;
pub(super) mod internal_accounts;
pub(super) mod known_by;
pub(super) mod lost;
mod names;
mod own_secret;
mod planted;
mod provider;
mod role;
mod seed;
mod token;
mod validate;
pub(super) mod whole;
mod worth;

use std::sync::Arc;
use std::time::Duration;

pub use crate::model::{
    AccountChanges, ApplicationChanges, GroupChanges, ProviderChanges, RoleChanges, TokenChanges,
};
pub(in crate::registry) use account::rehash as rehash_password;
pub use account::{NewPassword, NewServiceAccount, create_account, delete_account, update_account};
pub use application::{create_application, delete_application, update_application};
pub use binding::{
    BindingChanges, create_binding, delete_binding, may_view_bindings, no_target, update_binding,
};
pub use export::{Export, ExportFormat, ExportOptions};
pub use foreign::{ForeignCredential, ForeignCredentials};
pub use group::{create_group, delete_group, set_member, update_group};
#[cfg(test)]
pub use import::{Classified, Classifier, ImportEntry, ImportLayout};
pub use import::{ImportOptions, ImportReport, Spool, SpoolError, Spools, remove_spools};
pub use known_by::{SharedValue, SharedValues};
pub use lost::LostAccesses;
pub use own_secret::{Exchanged, OwnSecret, OwnSecretError};
pub use provider::{create_provider, delete_provider, update_provider};
pub use role::{
    Grantee, Place, create_role, delete_role, require_grantee, set_grants, set_role_of_account, update_role,
};
pub use seed::{DiffEntry, NeededSecret, NewSecret, SeedOptions, SeedPlan, SeedProblem, Sign};
pub use token::{NewToken, Replaced, TokenCare, TokenCareSettings, TokenCounts, replaced_by, successor_of};
pub(in crate::registry) use token::{is_replaced_name, rehash as rehash_token};

use super::ChangeError;
use crate::directory::Snapshot;
use crate::model::LdapProvider;

/// Sets a field of which something is said.
fn set<T>(field: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *field = given;
    }
}

/// The provider of this name or, where none is given, the default one.
fn find_provider(
    snapshot: &Snapshot,
    name: Option<&str>,
    purpose: &str,
) -> Result<Arc<LdapProvider>, ChangeError> {
    match name {
        Some(name) => snapshot
            .accounts()
            .provider_named(name)
            .cloned()
            .ok_or_else(|| ChangeError::NotFound { kind: "provider", name: name.to_owned() }),
        None => snapshot.default_tree().map(|tree| tree.provider().clone()).ok_or_else(|| {
            ChangeError::Invalid(vec![format!("there is no default provider; name the one to {purpose}")])
        }),
    }
}

/// How long an app password lives for which no time is given.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(360 * 24 * 60 * 60);

/// Writes a secret as its text. Showing it is right in what is answered to the one who asked for a new
/// secret, and in what goes from the process that generated it to the server over the local socket.
mod secret_text {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::secret::Secret;

    pub(super) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        let text = std::str::from_utf8(secret.expose())
            .map_err(|_| serde::ser::Error::custom("a generated secret must be text"))?;
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::from)
    }
}

#[cfg(test)]
pub(crate) mod testing;
