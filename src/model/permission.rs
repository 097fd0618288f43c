//! The one table of permissions: authentik's codenames.

use std::fmt;
use std::str::FromStr;

use crate::quoted::called;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares the enum and its table together, so that neither can lack a row of the other.
macro_rules! permissions {
    ($($name:ident = $label:literal $model:literal $codename:literal $title:literal,)*) => {
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

            /// The kind of object that it is about, without its label: what it can be granted on one of.
            pub const fn model(self) -> &'static str {
                match self { $(Self::$name => $model,)* }
            }

            /// What it allows, in words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

permissions! {
    SearchFullDirectory = "authentik_providers_ldap" "ldapprovider" "search_full_directory" "Search the full directory",
    ViewProvider = "authentik_providers_ldap" "ldapprovider" "view_ldapprovider" "View LDAP provider",
    AddProvider = "authentik_providers_ldap" "ldapprovider" "add_ldapprovider" "Add LDAP provider",
    ChangeProvider = "authentik_providers_ldap" "ldapprovider" "change_ldapprovider" "Change LDAP provider",
    DeleteProvider = "authentik_providers_ldap" "ldapprovider" "delete_ldapprovider" "Delete LDAP provider",
    ViewUser = "authentik_core" "user" "view_user" "View user",
    AddUser = "authentik_core" "user" "add_user" "Add user",
    ChangeUser = "authentik_core" "user" "change_user" "Change user",
    DeleteUser = "authentik_core" "user" "delete_user" "Delete user",
    ResetUserPassword = "authentik_core" "user" "reset_user_password" "Reset the password of a user",
    ViewGroup = "authentik_core" "group" "view_group" "View group",
    AddGroup = "authentik_core" "group" "add_group" "Add group",
    ChangeGroup = "authentik_core" "group" "change_group" "Change group",
    DeleteGroup = "authentik_core" "group" "delete_group" "Delete group",
    AddUserToGroup = "authentik_core" "group" "add_user_to_group" "Add a user to a group",
    RemoveUserFromGroup = "authentik_core" "group" "remove_user_from_group" "Remove a user from a group",
    EnableGroupSuperuser = "authentik_core" "group" "enable_group_superuser" "Make a group one of superusers",
    DisableGroupSuperuser = "authentik_core" "group" "disable_group_superuser" "Make a group none of superusers any more",
    ViewToken = "authentik_core" "token" "view_token" "View token",
    AddToken = "authentik_core" "token" "add_token" "Add token",
    ChangeToken = "authentik_core" "token" "change_token" "Change token",
    DeleteToken = "authentik_core" "token" "delete_token" "Delete token",
    ViewTokenKey = "authentik_core" "token" "view_token_key" "View the key of a token",
    SetTokenKey = "authentik_core" "token" "set_token_key" "Set the key of a token",
    ViewApplication = "authentik_core" "application" "view_application" "View application",
    AddApplication = "authentik_core" "application" "add_application" "Add application",
    ChangeApplication = "authentik_core" "application" "change_application" "Change application",
    DeleteApplication = "authentik_core" "application" "delete_application" "Delete application",
    ViewRole = "authentik_rbac" "role" "view_role" "View role",
    AddRole = "authentik_rbac" "role" "add_role" "Add role",
    ChangeRole = "authentik_rbac" "role" "change_role" "Change role",
    DeleteRole = "authentik_rbac" "role" "delete_role" "Delete role",
    AssignRolePermissions = "authentik_rbac" "role" "assign_role_permissions" "Assign permissions to a role",
    UnassignRolePermissions = "authentik_rbac" "role" "unassign_role_permissions" "Take permissions from a role",
    ViewSystemInfo = "authentik_rbac" "systempermission" "view_system_info" "View information about the server",
    ViewSystemSettings = "authentik_rbac" "systempermission" "view_system_settings" "View the settings of the server",
    AccessAdminInterface = "authentik_rbac" "systempermission" "access_admin_interface" "Open the pages of the console",
    ViewPolicyBinding = "authentik_policies" "policybinding" "view_policybinding" "View policy binding",
    AddPolicyBinding = "authentik_policies" "policybinding" "add_policybinding" "Add policy binding",
    ChangePolicyBinding = "authentik_policies" "policybinding" "change_policybinding" "Change policy binding",
    DeletePolicyBinding = "authentik_policies" "policybinding" "delete_policybinding" "Delete policy binding",
    ViewCertificate = "authentik_crypto" "certificatekeypair" "view_certificatekeypair" "View certificate",
    ChangeCertificate = "authentik_crypto" "certificatekeypair" "change_certificatekeypair" "Change certificate",
    ViewEvent = "authentik_events" "event" "view_event" "View event",
    AddEvent = "authentik_events" "event" "add_event" "Add event",
}

/// A codename that is not in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no permission {}", called(.0))]
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
    use std::path::Path;

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

    /// docs/threat-model.md says what each can lead to, in the order of the table.
    #[test]
    fn each_permission_has_a_row_in_the_threat_model() {
        let text = std::fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
        let (_, rows) = text.split_once("<!-- a row for each permission").unwrap();
        let (rows, _) = rows.split_once("<!-- end -->").unwrap();
        let told = rows.lines().filter_map(|row| row.strip_prefix("| `")?.split_once('`'));
        let told: Vec<&str> = told.map(|(codename, _)| codename).collect();
        let known: Vec<&str> = Permission::ALL.iter().map(|permission| permission.codename()).collect();
        assert_eq!(told, known);
    }

    #[test]
    fn what_the_threat_model_says_is_shown_by_tests_that_there_are() {
        let text = std::fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
        let (_, section) = text.split_once("## What is defended").unwrap();
        let (section, _) = section.split_once("\n## ").unwrap();
        let shown = section.lines().filter_map(|row| row.strip_suffix(" |")?.rsplit_once("| "));
        let names: Vec<&str> = shown.flat_map(|(_, cell)| cell.split('`').skip(1).step_by(2)).collect();
        assert!(names.len() > 20, "{names:?}");
        let mut code = String::new();
        read_all(&root().join("src"), &mut code);
        read_all(&root().join("tests"), &mut code);
        for name in names {
            assert!(code.contains(&format!("fn {name}(")), "there is no test `{name}`");
        }
    }

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    fn read_all(directory: &Path, code: &mut String) {
        for entry in directory.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read_all(&path, code);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                code.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
}
