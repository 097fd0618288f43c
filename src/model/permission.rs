//! The one table of permissions: authentik's codenames.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares the enum and its table together, so that neither can lack a row of the other.
macro_rules! permissions {
    ($($name:ident = $label:literal $codename:literal,)*) => {
        /// What may be allowed. Stored and shown as `label.codename`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission {
            $(
                #[doc = concat!("`", $label, ".", $codename, "`")]
                $name,
            )*
        }

        impl Permission {
            /// All permissions, in the order of the table.
            pub const ALL: &'static [Permission] = &[$(Self::$name,)*];

            /// The part before the dot: authentik's application label.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// The part behind the dot.
            pub const fn codename(self) -> &'static str {
                match self { $(Self::$name => $codename,)* }
            }
        }
    };
}

permissions! {
    SearchFullDirectory = "authentik_providers_ldap" "search_full_directory",
    ViewProvider = "authentik_providers_ldap" "view_ldapprovider",
    AddProvider = "authentik_providers_ldap" "add_ldapprovider",
    ChangeProvider = "authentik_providers_ldap" "change_ldapprovider",
    DeleteProvider = "authentik_providers_ldap" "delete_ldapprovider",
    ViewUser = "authentik_core" "view_user",
    AddUser = "authentik_core" "add_user",
    ChangeUser = "authentik_core" "change_user",
    DeleteUser = "authentik_core" "delete_user",
    ResetUserPassword = "authentik_core" "reset_user_password",
    ViewGroup = "authentik_core" "view_group",
    AddGroup = "authentik_core" "add_group",
    ChangeGroup = "authentik_core" "change_group",
    DeleteGroup = "authentik_core" "delete_group",
    AddUserToGroup = "authentik_core" "add_user_to_group",
    RemoveUserFromGroup = "authentik_core" "remove_user_from_group",
    ViewToken = "authentik_core" "view_token",
    AddToken = "authentik_core" "add_token",
    ChangeToken = "authentik_core" "change_token",
    DeleteToken = "authentik_core" "delete_token",
    ViewTokenKey = "authentik_core" "view_token_key",
    SetTokenKey = "authentik_core" "set_token_key",
    ViewApplication = "authentik_core" "view_application",
    AddApplication = "authentik_core" "add_application",
    ChangeApplication = "authentik_core" "change_application",
    DeleteApplication = "authentik_core" "delete_application",
    ViewRole = "authentik_rbac" "view_role",
    AddRole = "authentik_rbac" "add_role",
    ChangeRole = "authentik_rbac" "change_role",
    DeleteRole = "authentik_rbac" "delete_role",
    AssignRolePermissions = "authentik_rbac" "assign_role_permissions",
    UnassignRolePermissions = "authentik_rbac" "unassign_role_permissions",
    ViewSystemInfo = "authentik_rbac" "view_system_info",
    ViewSystemSettings = "authentik_rbac" "view_system_settings",
    ViewPolicyBinding = "authentik_policies" "view_policybinding",
    AddPolicyBinding = "authentik_policies" "add_policybinding",
    ChangePolicyBinding = "authentik_policies" "change_policybinding",
    DeletePolicyBinding = "authentik_policies" "delete_policybinding",
    ViewCertificate = "authentik_crypto" "view_certificatekeypair",
    ChangeCertificate = "authentik_crypto" "change_certificatekeypair",
    ViewEvent = "authentik_events" "view_event",
    AddEvent = "authentik_events" "add_event",
}

/// A codename that is not in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no permission `{0}`")]
pub struct UnknownPermission(pub String);

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.label(), self.codename())
    }
}

impl FromStr for Permission {
    type Err = UnknownPermission;

    /// Reads `label.codename` or, as all codenames differ, the codename alone.
    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        let (label, codename) = match text.split_once('.') {
            Some((label, codename)) => (Some(label), codename),
            None => (None, text),
        };
        Self::ALL
            .iter()
            .copied()
            .find(|permission| {
                permission.codename() == codename && label.is_none_or(|label| label == permission.label())
            })
            .ok_or_else(|| UnknownPermission(text.to_owned()))
    }
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn codenames_are_unique_and_read_back() {
        for &permission in Permission::ALL {
            assert_eq!(permission.codename().parse::<Permission>().unwrap(), permission);
            assert_eq!(permission.to_string().parse::<Permission>().unwrap(), permission);
        }
        assert!("authentik_core.search_full_directory".parse::<Permission>().is_err());
        assert!("fly".parse::<Permission>().is_err());
    }
}
