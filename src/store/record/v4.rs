//! Records as version 4 wrote them, where version 5 has another form; versions 2 and 3 wrote the same. Nothing here is ever
//! changed.

use serde::Deserialize;
use uuid::Uuid;

use crate::model::{
    self, AccountKind, AccountNumber, ApplicationNumber, ApplicationText, ApplicationTexts, AsGiven,
    Attribute, Binding, BindingMode, Container, Grant, GroupNumber, Origin, Password, Placement,
    ProviderNumber, RoleNumber, Timestamp,
};

#[derive(Deserialize)]
pub(super) struct Account {
    number: AccountNumber,
    uuid: Uuid,
    username: String,
    kind: AccountKind,
    name: String,
    email: String,
    is_active: bool,
    attributes: Vec<Attribute>,
    object_classes: Vec<String>,
    password: Option<Password>,
    placements: Vec<Placement>,
    roles: Vec<RoleNumber>,
    grants: Vec<Grant>,
    created: Timestamp,
    modified: Timestamp,
    origin: Origin,
}

#[derive(Deserialize)]
pub(super) struct Group {
    number: GroupNumber,
    uuid: Uuid,
    name: String,
    is_superuser: bool,
    parents: Vec<GroupNumber>,
    roles: Vec<RoleNumber>,
    grants: Vec<Grant>,
    attributes: Vec<Attribute>,
    object_classes: Vec<String>,
    placements: Vec<Placement>,
    created: Timestamp,
    modified: Timestamp,
    members_modified: Timestamp,
    origin: Origin,
}

#[derive(Deserialize)]
pub(super) struct LdapProvider {
    number: ProviderNumber,
    uuid: Uuid,
    name: String,
    base_dn: String,
    is_default: bool,
    domain: Option<String>,
    uid_start_number: u32,
    gid_start_number: u32,
    virtual_groups: bool,
    compatibility_attributes: bool,
    users: Vec<Container>,
    service_accounts: Vec<Container>,
    groups: Vec<Container>,
    created: Timestamp,
    modified: Timestamp,
    origin: Origin,
}

#[derive(Deserialize)]
pub(super) struct Application {
    number: ApplicationNumber,
    uuid: Uuid,
    slug: String,
    name: String,
    provider: Option<ProviderNumber>,
    mode: BindingMode,
    bindings: Vec<Binding>,
    group: String,
    launch_url: String,
    description: String,
    publisher: String,
    open_in_new_tab: bool,
    hide: bool,
    created: Timestamp,
    modified: Timestamp,
    origin: Origin,
}

impl From<Account> for model::Account {
    fn from(v4: Account) -> Self {
        let Account {
            number,
            uuid,
            username,
            kind,
            name,
            email,
            is_active,
            attributes,
            object_classes,
            password,
            placements,
            roles,
            grants,
            created,
            modified,
            origin,
        } = v4;
        Self {
            number,
            uuid,
            username,
            kind,
            name,
            email,
            is_active,
            attributes,
            object_classes,
            password,
            placements,
            roles,
            grants,
            created,
            modified,
            origin,
            attribute_forms: Vec::new(),
            path: String::new(),
        }
    }
}

impl From<Group> for model::Group {
    fn from(v4: Group) -> Self {
        let Group {
            number,
            uuid,
            name,
            is_superuser,
            parents,
            roles,
            grants,
            attributes,
            object_classes,
            placements,
            created,
            modified,
            members_modified,
            origin,
        } = v4;
        Self {
            number,
            uuid,
            name,
            is_superuser,
            parents,
            roles,
            grants,
            attributes,
            object_classes,
            placements,
            created,
            modified,
            members_modified,
            origin,
            attribute_forms: Vec::new(),
        }
    }
}

impl From<LdapProvider> for model::LdapProvider {
    fn from(v4: LdapProvider) -> Self {
        let LdapProvider {
            number,
            uuid,
            name,
            base_dn,
            is_default,
            domain,
            uid_start_number,
            gid_start_number,
            virtual_groups,
            compatibility_attributes,
            users,
            service_accounts,
            groups,
            created,
            modified,
            origin,
        } = v4;
        Self {
            number,
            uuid,
            name,
            base_dn,
            is_default,
            domain,
            uid_start_number,
            gid_start_number,
            virtual_groups,
            compatibility_attributes,
            users,
            service_accounts,
            groups,
            created,
            modified,
            origin,
            as_given: AsGiven::default(),
        }
    }
}

impl From<Application> for model::Application {
    fn from(v4: Application) -> Self {
        let Application {
            number,
            uuid,
            slug,
            name,
            provider,
            mode,
            bindings,
            group,
            launch_url,
            description,
            publisher,
            open_in_new_tab,
            hide,
            created,
            modified,
            origin,
        } = v4;
        Self {
            number,
            uuid,
            slug,
            name,
            provider,
            mode,
            bindings,
            texts: application_texts([group, launch_url, description, publisher]),
            open_in_new_tab,
            hide,
            created,
            modified,
            origin,
        }
    }
}

/// The four texts that there were.
pub(super) fn application_texts(texts: [String; 4]) -> ApplicationTexts {
    use ApplicationText::{Description, Group, LaunchUrl, Publisher};
    [Group, LaunchUrl, Description, Publisher].into_iter().zip(texts).collect()
}
