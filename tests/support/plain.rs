//! Records with nothing in them but what names them, for the worlds of all tests. A world says what it is about,
//! `Account { roles, ..plain::account(10, "alice") }`; a field that is new gets its value here alone.
//!
//! The library's tests, those with the real binary and `fuzz/` each include this file beside their `model`.

use uuid::Uuid;

use super::model::{
    Account, AccountKind, AccountNumber, Action, Actor, Application, ApplicationNumber, Attribute, Binding,
    BindingSubject, Event, EventDigest, Grant, Group, GroupNumber, HashText, Intent, LdapProvider, MadeBy,
    ObjectReference, Origin, Password, Permission, ProviderNumber, Role, RoleNumber, Timestamp, Token,
    TokenNumber, TokenSelector, Trail, Usage, UsageOf,
};

/// When all of them were made.
pub const TIME: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

/// A directory below this suffix, with the usual containers and virtual groups; the first one is the default.
pub fn provider(number: u32, base_dn: &str) -> LdapProvider {
    let name = format!("provider-{number}");
    LdapProvider {
        uuid: uuid(1, number),
        base_dn: base_dn.to_owned(),
        is_default: number == 1,
        // As stores have it that are older than the default of now: there is more to be found, and to be hidden.
        virtual_groups: true,
        ..LdapProvider::of_name(ProviderNumber::new(number), name, Origin::Unknown, TIME)
    }
}

/// A service account.
pub fn account(number: u32, username: &str) -> Account {
    let (uuid, number) = (uuid(2, number), AccountNumber::new(number));
    let kind = AccountKind::ServiceAccount;
    Account { uuid, ..Account::new(number, username.to_owned(), kind, Origin::Unknown, TIME) }
}

/// The first password of an account, by its hash.
pub fn password(hash: &str) -> Password {
    Password {
        hash: HashText::new(hash.to_owned()),
        generation: 0,
        seeded: None,
        changed: TIME,
        made_by: MadeBy::default(),
    }
}

pub fn attribute(description: &str, values: &[&str]) -> Attribute {
    Attribute {
        description: description.to_owned(),
        values: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
    }
}

pub fn group(number: u32, name: &str) -> Group {
    let (uuid, number) = (uuid(3, number), GroupNumber::new(number));
    Group { uuid, ..Group::new(number, name.to_owned(), Origin::Unknown, TIME) }
}

pub fn role(number: u32, name: &str) -> Role {
    let (uuid, number) = (uuid(4, number), RoleNumber::new(number));
    Role { uuid, ..Role::new(number, name.to_owned(), Origin::Unknown) }
}

/// The right to search the whole directory of one provider, or of all.
pub fn search_grant(provider: Option<ProviderNumber>) -> Grant {
    Grant { permission: Permission::SearchFullDirectory, on: provider.map(ObjectReference::Provider) }
}

/// An app password that only the name of its account leads to, and that no secret proves.
pub fn token(number: u32, account: AccountNumber) -> Token {
    Token {
        number: TokenNumber::new(number),
        uuid: uuid(5, number),
        identifier: format!("token-{number}"),
        account,
        intent: Intent::AppPassword,
        selector: TokenSelector::None,
        hash: HashText::new(String::new()),
        sealed: None,
        generation: 0,
        expires: None,
        description: String::new(),
        networks: Vec::new(),
        created: TIME,
        renewed: TIME,
        warned: None,
        is_replaced: false,
        began_as: None,
        origin: Origin::Unknown,
        made_by: MadeBy::default(),
        is_first: false,
        lifetime_said: None,
    }
}

pub fn application(number: u32, slug: &str) -> Application {
    let (uuid, number) = (uuid(6, number), ApplicationNumber::new(number));
    Application::of_slug(number, uuid, slug.to_owned(), Origin::Unknown, TIME)
}

/// A binding that takes part.
pub fn binding(subject: BindingSubject) -> Binding {
    Binding { uuid: uuid(7, 1), subject, order: 0, negate: false, enabled: true }
}

/// One use, from a Unix socket.
pub fn usage(of: UsageOf) -> Usage {
    Usage { of, time: TIME, source: None, provider: None, count: 1, application: None }
}

/// What somebody did to nothing.
pub fn event() -> Event {
    Event {
        trail: Trail::Changes,
        sequence: 0,
        previous: EventDigest::NONE,
        uuid: Uuid::new_v4(),
        time: TIME,
        since: None,
        count: 1,
        action: Action::Custom,
        actor: Actor::named("somebody"),
        application: None,
        object_kind: String::new(),
        object_name: String::new(),
        object_key: None,
        object_uuid: None,
        changes: Vec::new(),
        details: Vec::new(),
    }
}

/// A UUID that no object of another kind has.
fn uuid(kind: u64, number: u32) -> Uuid {
    Uuid::from_u64_pair(kind, u64::from(number))
}
