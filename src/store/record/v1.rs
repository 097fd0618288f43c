//! Records as version 1 wrote them, and what becomes of them in the present form. Nothing here is ever changed.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use uuid::Uuid;

use super::v4;
use crate::model::{
    self, AccountKind, AccountNumber, Action, ApplicationNumber, Attribute, Binding, BindingMode, Container,
    EventDetail, EventDigest, FieldChange, Grant, GroupNumber, HashText, Intent, MadeBy, Origin, Placement,
    ProviderNumber, RoleNumber, SealedSecret, Timestamp, TokenNumber, TokenSelector, TombstoneOf, UsageOf,
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
}

#[derive(Deserialize)]
struct Password {
    hash: HashText,
    generation: u32,
    seeded: Option<[u8; 32]>,
    changed: Timestamp,
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
}

#[derive(Deserialize)]
pub(super) struct Role {
    number: RoleNumber,
    uuid: Uuid,
    name: String,
    grants: Vec<Grant>,
    search_size_max: Option<u32>,
    search_time_max: Option<Duration>,
}

#[derive(Deserialize)]
pub(super) struct Token {
    number: TokenNumber,
    uuid: Uuid,
    identifier: String,
    account: AccountNumber,
    intent: Intent,
    selector: TokenSelector,
    hash: HashText,
    sealed: Option<SealedSecret>,
    generation: u32,
    expires: Option<Timestamp>,
    description: String,
    networks: Vec<IpNet>,
    created: Timestamp,
    renewed: Timestamp,
    warned: Option<Timestamp>,
    is_replaced: bool,
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
}

#[derive(Deserialize)]
pub(super) enum Tombstone {
    Account(String),
    Token(String),
}

#[derive(Deserialize)]
pub(super) struct Usage {
    of: UsageOf,
    time: Timestamp,
    source: Option<IpAddr>,
    provider: Option<ProviderNumber>,
    count: u64,
}

#[derive(Deserialize)]
pub(super) struct Event {
    sequence: u64,
    previous: EventDigest,
    uuid: Uuid,
    time: Timestamp,
    since: Option<Timestamp>,
    count: u64,
    action: Action,
    actor: Actor,
    application: Option<String>,
    object_kind: String,
    object_name: String,
    object_key: Option<u32>,
    object_uuid: Option<Uuid>,
    changes: Vec<FieldChange>,
    details: Vec<EventDetail>,
}

#[derive(Deserialize)]
struct Actor {
    account: String,
    number: Option<AccountNumber>,
    token: Option<String>,
    source: Option<IpAddr>,
    request: Option<Uuid>,
}

impl From<Account> for model::Account {
    fn from(v1: Account) -> Self {
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
        } = v1;
        let password = password.map(|Password { hash, generation, seeded, changed }| model::Password {
            hash,
            generation,
            seeded,
            changed,
            made_by: MadeBy::default(),
        });
        Self {
            number,
            uuid,
            username,
            kind,
            name,
            email,
            is_active,
            attributes,
            attribute_forms: Vec::new(),
            path: String::new(),
            object_classes,
            password,
            placements,
            roles,
            grants,
            created,
            modified,
            origin: Origin::Unknown,
        }
    }
}

impl From<Group> for model::Group {
    fn from(v1: Group) -> Self {
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
        } = v1;
        Self {
            number,
            uuid,
            name,
            is_superuser,
            parents,
            roles,
            grants,
            attributes,
            attribute_forms: Vec::new(),
            object_classes,
            placements,
            created,
            modified,
            members_modified,
            origin: Origin::Unknown,
        }
    }
}

impl From<Role> for model::Role {
    fn from(v1: Role) -> Self {
        let Role { number, uuid, name, grants, search_size_max, search_time_max } = v1;
        Self { number, uuid, name, grants, search_size_max, search_time_max, origin: Origin::Unknown }
    }
}

impl From<Token> for model::Token {
    fn from(v1: Token) -> Self {
        let Token {
            number,
            uuid,
            identifier,
            account,
            intent,
            selector,
            hash,
            sealed,
            generation,
            expires,
            description,
            networks,
            created,
            renewed,
            warned,
            is_replaced,
        } = v1;
        Self {
            number,
            uuid,
            identifier,
            account,
            intent,
            selector,
            hash,
            sealed,
            generation,
            expires,
            description,
            networks,
            created,
            renewed,
            warned,
            is_replaced,
            began_as: None,
            origin: Origin::Unknown,
            made_by: MadeBy::default(),
            is_first: false,
            lifetime_said: None,
        }
    }
}

impl From<Application> for model::Application {
    fn from(v1: Application) -> Self {
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
        } = v1;
        Self {
            number,
            uuid,
            slug,
            name,
            provider,
            mode,
            bindings,
            texts: v4::application_texts([group, launch_url, description, publisher]),
            open_in_new_tab,
            hide,
            created,
            modified,
            origin: Origin::Unknown,
        }
    }
}

impl From<LdapProvider> for model::LdapProvider {
    fn from(v1: LdapProvider) -> Self {
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
        } = v1;
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
            as_given: model::AsGiven::default(),
            created,
            modified,
            origin: Origin::Unknown,
        }
    }
}

impl From<Tombstone> for model::Tombstone {
    /// Nobody knows any more whose it was and what it held, so nobody takes its name without being asked about rights.
    fn from(v1: Tombstone) -> Self {
        let of = match v1 {
            Tombstone::Account(name) => TombstoneOf::Account(name),
            Tombstone::Token(identifier) => TombstoneOf::Token(identifier),
        };
        Self { of, origin: Origin::Unknown, held_rights: true, made: None }
    }
}

impl From<Usage> for model::Usage {
    fn from(v1: Usage) -> Self {
        let Usage { of, time, source, provider, count } = v1;
        Self { of, time, source, provider, count, application: None }
    }
}

impl From<Event> for model::Event {
    fn from(v1: Event) -> Self {
        let Event {
            sequence,
            previous,
            uuid,
            time,
            since,
            count,
            action,
            actor: Actor { account, number, token, source, request },
            application,
            object_kind,
            object_name,
            object_key,
            object_uuid,
            changes,
            details,
        } = v1;
        Self {
            trail: model::Trail::Changes,
            sequence,
            previous,
            uuid,
            time,
            since,
            count,
            action,
            actor: model::Actor { account, number, token, source, request, user: None },
            application,
            object_kind,
            object_name,
            object_key,
            object_uuid,
            changes,
            details,
        }
    }
}
