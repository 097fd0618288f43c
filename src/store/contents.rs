//! What a store or a backup holds, as far as a person compares two of them.

use std::collections::{BTreeMap, HashSet};

use ipnet::IpNet;
use serde::Serialize;
use uuid::Uuid;

use super::Meta;
use crate::model::{
    AccountNumber, Application, Binding, BindingMode, Grant, GroupNumber, InternalAccount, ObjectReference,
    Password, ProviderNumber, Record, RoleNumber, Timestamp, Token, TokenNumber, TokenSelector,
};

/// How many there are of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// What it says of itself.
    pub meta: Meta,
    /// When the newest event happened.
    pub newest: Option<Timestamp>,
    by_kind: [u64; KINDS.len()],
}

impl Counts {
    /// Takes the next record; whether it is one that an operator knows of.
    pub(super) fn take(&mut self, record: &Record) -> bool {
        if let Record::Account(account) = record
            && InternalAccount::of_number(account.number).is_some()
        {
            return false;
        }
        if let Some(count) = self.by_kind.get_mut(place_of(record)) {
            *count += 1;
        }
        if let Record::Event(event) = record {
            self.newest = self.newest.max(Some(event.time));
        }
        true
    }

    /// How many there are of each kind, by the name of the kind; those of which there are none too.
    pub fn by_kind(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS.into_iter().zip(self.by_kind)
    }
}

/// How many there are of each kind, and the names by which an operator knows credentials.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    pub counts: Counts,
    accounts: BTreeMap<AccountNumber, Holder>,
    tokens: BTreeMap<TokenNumber, Token>,
    /// What is neither.
    others: BTreeMap<ObjectReference, (Uuid, String)>,
    rights: HashSet<Right>,
    /// Whom applications admit.
    admissions: BTreeMap<ObjectReference, Admission>,
}

/// To what an application admits whom. A provider without one admits everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Admission {
    provider: Option<ProviderNumber>,
    mode: BindingMode,
    bindings: Vec<Binding>,
}

/// An account, as far as it matters whether it may bind.
#[derive(Clone, Debug)]
struct Holder {
    uuid: Uuid,
    username: String,
    is_active: bool,
    password: Option<Password>,
}

/// Something that an account, group or role holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Right {
    holder: ObjectReference,
    held: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Held {
    /// A place in a group, and with it what that one holds.
    Member(GroupNumber),
    Role(RoleNumber),
    Grant(Grant),
    /// All there is, of a group.
    Everything,
}

impl Right {
    /// What it is on.
    fn on(self) -> Option<ObjectReference> {
        match self.held {
            Held::Member(group) => Some(ObjectReference::Group(group)),
            Held::Role(role) => Some(ObjectReference::Role(role)),
            Held::Grant(grant) => grant.on,
            Held::Everything => None,
        }
    }
}

/// What is valid again when a store is taken back to a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ValidAgain {
    /// Tokens that the later store has no more.
    pub revoked_tokens: Vec<String>,
    /// Tokens that have another secret in the later store.
    pub replaced_secrets: Vec<String>,
    /// Tokens that expire earlier in the later store, or have expired there.
    pub longer_tokens: Vec<String>,
    /// Tokens that may be used from fewer networks in the later store.
    pub wider_tokens: Vec<String>,
    /// Accounts that are deactivated in the later store, or not there any more.
    pub accounts: Vec<String>,
    /// People with another password in the later store.
    pub passwords: Vec<String>,
    /// Memberships, roles and permissions that were taken away in the later store, each with who holds it.
    pub rights: Vec<String>,
    /// Applications that admit by other bindings, or to another provider, in the later store; and those of that store that shut people
    /// out of a provider which has none of the same bindings here.
    pub applications: Vec<String>,
}

impl ValidAgain {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Contents {
    /// Takes the next record, whatever their order.
    pub(super) fn take(&mut self, record: Record) {
        if !self.counts.take(&record) {
            return;
        }
        match record {
            Record::Account(account) => {
                let holder = ObjectReference::Account(account.number);
                self.holds(holder, account.roles.into_iter().map(Held::Role));
                self.holds(holder, account.grants.into_iter().map(Held::Grant));
                let holder = Holder {
                    uuid: account.uuid,
                    username: account.username,
                    is_active: account.is_active,
                    password: account.password,
                };
                self.accounts.insert(account.number, holder);
            }
            Record::Token(token) => drop(self.tokens.insert(token.number, token)),
            Record::Membership(membership) => {
                let holder = ObjectReference::Account(membership.account);
                self.holds(holder, [Held::Member(membership.group)]);
            }
            Record::Group(group) => {
                let holder = ObjectReference::Group(group.number);
                self.holds(holder, group.parents.into_iter().map(Held::Member));
                self.holds(holder, group.roles.into_iter().map(Held::Role));
                self.holds(holder, group.grants.into_iter().map(Held::Grant));
                self.holds(holder, group.is_superuser.then_some(Held::Everything));
                self.others.insert(holder, (group.uuid, group.name));
            }
            Record::Role(role) => {
                let holder = ObjectReference::Role(role.number);
                self.holds(holder, role.grants.into_iter().map(Held::Grant));
                self.others.insert(holder, (role.uuid, role.name));
            }
            Record::Provider(provider) => {
                let place = ObjectReference::Provider(provider.number);
                self.others.insert(place, (provider.uuid, provider.name));
            }
            Record::Application(application) => {
                let place = ObjectReference::Application(application.number);
                self.others.insert(place, (application.uuid, application.slug));
                let Application { provider, mode, bindings, .. } = application;
                self.admissions.insert(place, Admission { provider, mode, bindings });
            }
            Record::CustomAttribute(_) | Record::Tombstone(_) | Record::Usage(_) | Record::Event(_) => {}
        }
    }

    fn holds(&mut self, holder: ObjectReference, held: impl IntoIterator<Item = Held>) {
        self.rights.extend(held.into_iter().map(|held| Right { holder, held }));
    }

    /// By what an object is known, and what an operator calls it; `None`: it is not there.
    fn known(&self, what: ObjectReference) -> Option<(Uuid, &str)> {
        match what {
            ObjectReference::Account(number) => {
                self.accounts.get(&number).map(|account| (account.uuid, &*account.username))
            }
            ObjectReference::Token(number) => {
                self.tokens.get(&number).map(|token| (token.uuid, &*token.identifier))
            }
            _ => self.others.get(&what).map(|(uuid, name)| (*uuid, &**name)),
        }
    }

    /// Whether a number stands for the same object in another store.
    fn is_same(&self, what: ObjectReference, other: &Self) -> bool {
        let uuid_in = |contents: &Self| contents.known(what).map(|(uuid, _)| uuid);
        uuid_in(self) == uuid_in(other)
    }

    /// What is held here and not in `other`, in words, each as `alice: group admins`.
    pub fn rights_beyond(&self, other: &Self) -> Vec<String> {
        let beyond = self.rights.iter().filter(|right| {
            let is_there = other.rights.contains(right)
                && self.is_same(right.holder, other)
                && right.on().is_none_or(|on| self.is_same(on, other));
            !is_there
        });
        let mut told: Vec<String> = beyond.map(|right| self.in_words(*right)).collect();
        told.sort_unstable();
        told
    }

    fn in_words(&self, right: Right) -> String {
        let called = |what: ObjectReference| {
            let name =
                self.known(what).map_or_else(|| what.number().to_string(), |(_, name)| name.to_owned());
            format!("{} {name}", what.kind())
        };
        let holder = match (right.holder, self.known(right.holder)) {
            (ObjectReference::Account(_), Some((_, name))) => name.to_owned(),
            (holder, _) => called(holder),
        };
        match (right.held, right.on()) {
            (Held::Grant(Grant { permission, .. }), Some(on)) => {
                format!("{holder}: {permission} on {}", called(on))
            }
            (Held::Grant(Grant { permission, .. }), None) => format!("{holder}: {permission}"),
            (_, Some(on)) => format!("{holder}: {}", called(on)),
            (_, None) => format!("{holder}: superuser"),
        }
    }

    /// API tokens whose secret somebody chose: none is found without the key that it was stored under.
    pub fn chosen_tokens(&self) -> impl Iterator<Item = &str> {
        let chosen = self.tokens.values().filter(|token| matches!(token.selector, TokenSelector::Chosen(_)));
        chosen.map(|token| token.identifier.as_str())
    }

    /// What is valid here and is not in `later`.
    pub fn valid_again(&self, later: &Self) -> ValidAgain {
        let mut again = ValidAgain::default();
        for token in self.tokens.values() {
            match later.tokens.get(&token.number).filter(|other| other.uuid == token.uuid) {
                None => again.revoked_tokens.push(token.identifier.clone()),
                Some(other) => {
                    let kinds = [
                        (other.hash != token.hash, &mut again.replaced_secrets),
                        (lives_longer(token, other), &mut again.longer_tokens),
                        (is_wider(&token.networks, &other.networks), &mut again.wider_tokens),
                    ];
                    for (is_of_kind, names) in kinds {
                        names.extend(is_of_kind.then(|| token.identifier.clone()));
                    }
                }
            }
        }
        for (number, account) in &self.accounts {
            let other = later.accounts.get(number).filter(|other| other.uuid == account.uuid);
            if account.is_active && !other.is_some_and(|other| other.is_active) {
                again.accounts.push(account.username.clone());
            } else if account.password.is_some()
                && other.is_some_and(|other| other.password != account.password)
            {
                again.passwords.push(account.username.clone());
            }
        }
        again.rights = self.rights_beyond(later);
        for (place, admission) in &self.admissions {
            let other = later.admissions.get(place).filter(|_| self.is_same(*place, later));
            if other.is_some_and(|other| other != admission)
                && let Some((_, slug)) = self.known(*place)
            {
                again.applications.push(slug.to_owned());
            }
        }
        for (place, admission) in &later.admissions {
            let is_here = self.admissions.contains_key(place) && self.is_same(*place, later);
            if !is_here
                && self.is_opened(admission, later)
                && let Some((_, slug)) = later.known(*place)
            {
                again.applications.push(slug.to_owned());
            }
        }
        again
    }

    /// Whether the provider that an application of `later` stands before is here without one of the same bindings.
    fn is_opened(&self, admission: &Admission, later: &Self) -> bool {
        let Some(provider) = admission.provider.map(ObjectReference::Provider) else { return false };
        !admission.bindings.is_empty()
            && self.known(provider).is_some()
            && self.is_same(provider, later)
            && !self.admissions.values().any(|here| here == admission)
    }
}

fn lives_longer(token: &Token, other: &Token) -> bool {
    other.expires.is_some_and(|expires| token.expires.is_none_or(|of_token| of_token > expires))
}

/// Whether something may be used from where it may not be by the other ones; none at all: from anywhere.
fn is_wider(networks: &[IpNet], others: &[IpNet]) -> bool {
    let is_in_one = |network: &IpNet| others.iter().any(|other| other.contains(network));
    !others.is_empty() && (networks.is_empty() || !networks.iter().all(is_in_one))
}

/// Where its kind stands in [`KINDS`].
fn place_of(record: &Record) -> usize {
    match record {
        Record::CustomAttribute(_) => 0,
        Record::Provider(_) => 1,
        Record::Role(_) => 2,
        Record::Group(_) => 3,
        Record::Account(_) => 4,
        Record::Membership(_) => 5,
        Record::Token(_) => 6,
        Record::Application(_) => 7,
        Record::Tombstone(_) => 8,
        Record::Usage(_) => 9,
        Record::Event(_) => 10,
    }
}

const KINDS: [&str; 11] = [
    "attribute types",
    "providers",
    "roles",
    "groups",
    "accounts",
    "memberships",
    "tokens",
    "applications",
    "traces of what was deleted",
    "last uses",
    "events",
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{Account, BindingSubject, Group, HashText, Membership, Permission, Role};
    use crate::plain;

    /// As many there as here, and others.
    #[test]
    fn rights_are_compared_by_who_holds_what() {
        let (alice, bob) = (AccountNumber::new(1), AccountNumber::new(2));
        let (admins, staff) = (GroupNumber::new(3), GroupNumber::new(4));
        let (helpdesk, provider) = (RoleNumber::new(5), ProviderNumber::new(6));
        let is_in = |account, group| Record::Membership(Membership { group, account });
        let of_bindings =
            |bindings| Record::Application(Application { bindings, ..plain::application(7, "wiki") });
        let contents = |more: Vec<Record>| {
            let mut contents = Contents::default();
            more.into_iter().for_each(|record| contents.take(record));
            contents.take(Record::Provider(plain::provider(6, "dc=example,dc=com")));
            contents
        };
        let earlier = contents(vec![
            // Before what it is about.
            is_in(alice, admins),
            is_in(bob, staff),
            Record::Account(Account { roles: vec![helpdesk], ..plain::account(1, "alice") }),
            Record::Account(Account {
                grants: vec![plain::search_grant(Some(provider))],
                ..plain::account(2, "bob")
            }),
            Record::Group(Group { is_superuser: true, ..plain::group(3, "admins") }),
            Record::Group(Group { parents: vec![admins], ..plain::group(4, "staff") }),
            Record::Role(Role { grants: vec![plain::search_grant(None)], ..plain::role(5, "helpdesk") }),
            of_bindings(Vec::new()),
        ]);
        let later = contents(vec![
            is_in(bob, admins),
            is_in(bob, staff),
            Record::Account(Account {
                grants: vec![plain::search_grant(Some(provider))],
                ..plain::account(1, "alice")
            }),
            Record::Account(Account { roles: vec![helpdesk], ..plain::account(2, "bob") }),
            Record::Group(Group { roles: vec![helpdesk], ..plain::group(3, "admins") }),
            Record::Group(Group { is_superuser: true, ..plain::group(4, "staff") }),
            Record::Role(plain::role(5, "helpdesk")),
            of_bindings(vec![plain::binding(BindingSubject::Group(admins))]),
        ]);
        let search = Permission::SearchFullDirectory;
        let again = earlier.valid_again(&later);
        assert_eq!(
            again.rights,
            [
                "alice: group admins".to_owned(),
                "alice: role helpdesk".to_owned(),
                format!("bob: {search} on provider provider-6"),
                "group admins: superuser".to_owned(),
                "group staff: group admins".to_owned(),
                format!("role helpdesk: {search}"),
            ]
        );
        assert_eq!(again.applications, ["wiki"]);
        assert_eq!(
            later.rights_beyond(&earlier),
            [
                format!("alice: {search} on provider provider-6"),
                "bob: group admins".to_owned(),
                "bob: role helpdesk".to_owned(),
                "group admins: role helpdesk".to_owned(),
                "group staff: superuser".to_owned(),
            ]
        );
        assert!(earlier.valid_again(&earlier.clone()).is_empty());

        // The numbers of another store are those of others.
        let of_uuid = |uuid| {
            let account = Account { uuid, ..plain::account(1, "alice") };
            contents(vec![
                Record::Account(account),
                is_in(alice, admins),
                Record::Group(plain::group(3, "admins")),
            ])
        };
        let (one, other) = (of_uuid(Uuid::from_u128(1)), of_uuid(Uuid::from_u128(2)));
        assert_eq!(one.rights_beyond(&other), ["alice: group admins"]);
    }

    /// A provider without an application admits everybody.
    #[test]
    fn an_application_that_shut_people_out_and_does_so_no_more_is_named() {
        let provider = Some(ProviderNumber::new(6));
        let bound = || vec![plain::binding(BindingSubject::Group(GroupNumber::new(3)))];
        let gate = |number, slug: &str, provider, bindings| Application {
            provider,
            bindings,
            ..plain::application(number, slug)
        };
        let contents = |applications: Vec<Application>| {
            let mut contents = Contents::default();
            contents.take(Record::Provider(plain::provider(6, "dc=example,dc=com")));
            applications.into_iter().for_each(|found| contents.take(Record::Application(found)));
            contents
        };
        let again =
            |earlier: Vec<Application>, later| contents(earlier).valid_again(&contents(later)).applications;
        let shut = || vec![gate(7, "gate", provider, bound())];
        assert_eq!(again(Vec::new(), shut()), ["gate"]);
        assert_eq!(again(vec![gate(7, "gate", None, bound())], shut()), ["gate"]);
        assert_eq!(again(vec![gate(8, "other", provider, Vec::new())], shut()), ["gate"]);
        // It shuts nobody out, or the provider is not there.
        let nobody: [&str; 0] = [];
        assert_eq!(again(Vec::new(), vec![gate(7, "gate", provider, Vec::new())]), nobody);
        assert_eq!(again(Vec::new(), vec![gate(7, "gate", None, bound())]), nobody);
        assert_eq!(again(Vec::new(), vec![gate(7, "gate", Some(ProviderNumber::new(9)), bound())]), nobody);
        // Made anew, it is as it was.
        assert_eq!(again(vec![gate(8, "gate", provider, bound())], shut()), nobody);
        assert_eq!(again(shut(), shut()), nobody);
    }

    /// A rotation leaves the record under another name, with an end.
    #[test]
    fn what_a_token_may_do_again_is_named() {
        let at = |seconds| Some(Timestamp::from_unix_seconds(seconds));
        let networks = |networks: &[&str]| networks.iter().map(|network| network.parse().unwrap()).collect();
        let token = |number, name: &str, expires, from: &[&str]| Token {
            identifier: name.to_owned(),
            expires,
            networks: networks(from),
            ..plain::token(number, AccountNumber::new(1))
        };
        let contents = |tokens: Vec<Token>| {
            let mut contents = Contents::default();
            tokens.into_iter().for_each(|token| contents.take(Record::Token(token)));
            contents
        };
        let earlier = contents(vec![
            token(1, "stays", at(9), &["10.0.0.0/8"]),
            token(2, "ended", None, &[]),
            token(3, "shorter", at(9), &[]),
            token(4, "longer", at(9), &[]),
            token(5, "rotated", None, &[]),
            token(6, "bound", None, &[]),
            token(7, "narrower", None, &["10.0.0.0/8", "::1/128"]),
            token(8, "wider", None, &["10.1.0.0/16"]),
            token(9, "moved", None, &["10.1.0.0/16"]),
        ]);
        let later = contents(vec![
            token(1, "stays", at(9), &["10.0.0.0/8"]),
            token(2, "ended", at(5), &[]),
            token(3, "shorter", at(8), &[]),
            token(4, "longer", None, &[]),
            token(5, "rotated-before", at(5), &[]),
            token(6, "bound", None, &["10.0.0.0/8"]),
            token(7, "narrower", None, &["10.0.0.0/8"]),
            token(8, "wider", None, &["10.0.0.0/8"]),
            token(9, "moved", None, &["10.2.0.0/16"]),
        ]);
        let again = earlier.valid_again(&later);
        assert_eq!(again.longer_tokens, ["ended", "shorter", "rotated"]);
        assert_eq!(again.wider_tokens, ["bound", "narrower", "moved"]);
        assert!(again.revoked_tokens.is_empty() && again.replaced_secrets.is_empty());
        assert!(earlier.valid_again(&earlier.clone()).is_empty());
    }

    #[test]
    fn what_is_valid_again_is_named() {
        let owner = AccountNumber::new(1);
        let hashed = |number, hash: &str| {
            let hash = HashText::new(hash.to_owned());
            Record::Token(Token { hash, ..plain::token(number, owner) })
        };
        let person = |number, name: &str, is_active| {
            Record::Account(Account { is_active, ..plain::account(number, name) })
        };
        let contents = |records: Vec<Record>| {
            let mut contents = Contents::default();
            records.into_iter().for_each(|record| contents.take(record));
            contents
        };
        let earlier = contents(vec![
            person(1, "stays", true),
            person(2, "deactivated", true),
            person(3, "deleted", true),
            person(4, "never-active", false),
            person(6, "of-one-life", true),
            hashed(10, "same"),
            hashed(11, "before"),
            hashed(12, "revoked"),
        ]);
        let later = contents(vec![
            person(1, "stays", true),
            person(2, "deactivated", false),
            person(5, "new", true),
            Record::Account(Account { uuid: Uuid::from_u128(99), ..plain::account(6, "of-another-life") }),
            hashed(10, "same"),
            hashed(11, "after"),
            hashed(13, "new"),
        ]);
        let again = earlier.valid_again(&later);
        assert_eq!(again.revoked_tokens, ["token-12"]);
        assert_eq!(again.replaced_secrets, ["token-11"]);
        assert_eq!(again.accounts, ["deactivated", "deleted", "of-one-life"]);
        assert!(again.passwords.is_empty());
        assert!(earlier.valid_again(&earlier.clone()).is_empty());
        assert_eq!(earlier.counts.by_kind().find(|(kind, _)| *kind == "accounts"), Some(("accounts", 5)));
    }
}
