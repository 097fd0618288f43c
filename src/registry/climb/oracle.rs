//! What must be true, written from the product's sentences (19a) and not from the code under test.
//!
//! *Nobody ends with more than it was given.* An attacker is somebody who holds secrets. It controls each active account
//! of which one of its secrets works. What all of those may do must be covered by what was given to it: by the setting
//! up, by the making of objects (every permission on them), or by somebody who held what it gave and was told of each
//! secret of that account which an attacker knows: in the answer, in an event, or by the plan of a config before it was
//! accepted. What the config gives again when it is applied unchanged is no gift.
//!
//! Beside that, of each call of a caller of the API: what anybody gains by it the caller held (`Gave`), what anybody
//! loses by it the caller held (`Took`), no provider loses names to another without a right to change it (`Shadowed`),
//! and what applications know an account by does not become another's (`Trusted`). And where a config cannot be applied, it is told what stands in its way (`Blocked`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use super::calls::{Applied, ForeignTo};
use crate::directory::{Accounts, Snapshot};
use crate::model::{
    Account, AccountNumber, Grant, GroupNumber, ObjectReference, Permission, ProviderNumber, RoleNumber,
    Timestamp, TokenNumber,
};
use crate::secret::Secret;

/// The rules, from the one that is the property to those that lead to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// An attacker has more than it was given.
    Climbed,
    /// A caller gave what it does not hold.
    Gave,
    /// A caller took away what it does not hold.
    Took,
    /// A provider lost names to another.
    Shadowed,
    /// An account that is worth more was changed, or one is found by what another is known by.
    Trusted,
    /// The config cannot be applied.
    Blocked,
    /// A secret works that should not, or the reverse.
    Secrets,
}

impl Rule {
    pub(super) const ALL: [Self; 7] =
        [Self::Climbed, Self::Gave, Self::Took, Self::Shadowed, Self::Trusted, Self::Blocked, Self::Secrets];
}

/// A rule that was broken, in words.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) rule: Rule,
    pub(super) sentence: String,
}

/// A secret that somebody knows, and what it proves.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Whose it was when it was learned.
    pub(super) account: AccountNumber,
    pub(super) proof: Proof,
    pub(super) secret: Secret,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// A token, and which of its secrets.
    Token(TokenNumber, u32),
    /// An account, and which of its passwords.
    Password(AccountNumber, u32),
}

impl Known {
    pub(super) fn token(snapshot: &Snapshot, identifier: &str, secret: Secret) -> Option<Self> {
        let token = snapshot.accounts().token_named(identifier)?;
        let proof = Proof::Token(token.number, token.generation);
        Some(Self { account: token.account, proof, secret })
    }

    pub(super) fn password(snapshot: &Snapshot, account: AccountNumber, secret: Secret) -> Option<Self> {
        let generation = snapshot.accounts().account(account)?.password.as_ref()?.generation;
        Some(Self { account, proof: Proof::Password(account, generation), secret })
    }
}

/// What somebody may do.
#[derive(Clone, Default)]
pub(super) struct Rights {
    pub(super) is_superuser: bool,
    pub(super) grants: HashSet<Grant>,
}

impl Rights {
    pub(super) fn cover(&self, grant: Grant) -> bool {
        self.is_superuser
            || self.grants.contains(&grant)
            || self.grants.contains(&Grant { on: None, ..grant })
    }

    fn add(&mut self, other: &Self) {
        self.is_superuser |= other.is_superuser;
        self.grants.extend(&other.grants);
    }

    /// What is here and not covered there.
    fn beyond(&self, other: &Self) -> Self {
        let grants = self.grants.iter().copied().filter(|grant| !other.cover(*grant)).collect();
        Self { is_superuser: self.is_superuser && !other.is_superuser, grants }
    }

    fn is_nothing(&self) -> bool {
        !self.is_superuser && self.grants.is_empty()
    }
}

/// What is so at one revision.
pub(super) struct Facts {
    pub(super) revision: u64,
    rights: BTreeMap<AccountNumber, Rights>,
    names: HashMap<ObjectReference, String>,
    active: BTreeSet<AccountNumber>,
    /// Owner and generation of each token.
    tokens: HashMap<TokenNumber, (AccountNumber, u32)>,
    expired: HashSet<TokenNumber>,
    passwords: HashMap<AccountNumber, u32>,
    default: Option<ProviderNumber>,
    providers: BTreeMap<ProviderNumber, Domain>,
    uid_starts: Vec<u32>,
}

/// What applications know accounts by, of all accounts.
#[derive(Default)]
pub(super) struct Trusted {
    /// Username, mail addresses, userPrincipalName.
    names: HashMap<AccountNumber, BTreeSet<String>>,
    /// All values of attributes by which somebody is looked up.
    values: HashMap<AccountNumber, BTreeSet<String>>,
    /// Numbers that were given: the attribute, the number.
    numbers: HashMap<AccountNumber, BTreeSet<(String, u32)>>,
}

impl Trusted {
    pub(super) fn of<'a>(accounts: impl Iterator<Item = &'a Account>) -> Self {
        let mut trusted = Self::default();
        for account in accounts {
            let mut names = BTreeSet::from([account.username.to_lowercase()]);
            let mut values = names.clone();
            let mut numbers = BTreeSet::new();
            names.insert(account.email.to_lowercase());
            values.insert(account.email.to_lowercase());
            for attribute in &account.attributes {
                let texts =
                    attribute.values.iter().map(|value| String::from_utf8_lossy(value).to_lowercase());
                let description = attribute.description.to_lowercase();
                match description.as_str() {
                    "mail" | "email" | "userprincipalname" => {
                        let texts: Vec<String> = texts.collect();
                        names.extend(texts.clone());
                        values.extend(texts);
                    }
                    "uid" | "cn" | "samaccountname" => values.extend(texts),
                    "uidnumber" | "gidnumber" => {
                        let given = texts.filter_map(|text| text.parse::<u32>().ok());
                        numbers.extend(given.map(|number| (description.clone(), number)));
                    }
                    _ => {}
                }
            }
            names.remove("");
            values.remove("");
            trusted.names.insert(account.number, names);
            trusted.values.insert(account.number, values);
            trusted.numbers.insert(account.number, numbers);
        }
        trusted
    }

    /// Who is found by what another is known by: the one, the other, the value.
    fn collisions(&self) -> BTreeSet<(AccountNumber, AccountNumber, &str)> {
        let mut found = BTreeSet::new();
        for (one, values) in &self.values {
            for (other, names) in self.names.iter().filter(|(other, _)| *other != one) {
                found.extend(values.intersection(names).map(|value| (*one, *other, value.as_str())));
            }
        }
        found
    }
}

#[derive(Clone, PartialEq, Eq)]
struct Domain {
    base_dn: String,
    domain: String,
    /// A DN in each container, and the suffix, each with the provider that answers for it.
    entries: Vec<(String, Option<ProviderNumber>)>,
}

impl Facts {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let accounts = snapshot.accounts();
        let mut names = HashMap::new();
        let mut rights = BTreeMap::new();
        let mut passwords = HashMap::new();
        let mut active = BTreeSet::new();
        for account in accounts.accounts() {
            names.insert(ObjectReference::Account(account.number), account.username.to_string());
            rights.insert(account.number, rights_of(accounts, account.number));
            if account.is_active {
                active.insert(account.number);
            }
            if let Some(password) = &account.password {
                passwords.insert(account.number, password.generation);
            }
        }
        for group in accounts.groups() {
            names.insert(ObjectReference::Group(group.number), group.name.to_string());
        }
        for role in accounts.roles() {
            names.insert(ObjectReference::Role(role.number), role.name.clone());
        }
        for application in accounts.applications() {
            names.insert(ObjectReference::Application(application.number), application.slug.clone());
        }
        let mut tokens = HashMap::new();
        let mut expired = HashSet::new();
        let now = Timestamp::now();
        for token in accounts.tokens() {
            names.insert(ObjectReference::Token(token.number), token.identifier.clone());
            tokens.insert(token.number, (token.account, token.generation));
            if token.is_expired(now) {
                expired.insert(token.number);
            }
        }
        let mut providers = BTreeMap::new();
        let uid_starts = accounts.providers().map(|provider| provider.uid_start_number).collect();
        for provider in accounts.providers() {
            names.insert(ObjectReference::Provider(provider.number), provider.name.clone());
            let containers = provider.users.iter().chain(&provider.service_accounts).chain(&provider.groups);
            let entries = containers.map(|at| format!("cn=probe,{},{}", at.container, provider.base_dn));
            let entries = entries.chain([provider.base_dn.clone()]).map(|dn| {
                let answers = snapshot.tree_of(dn.as_bytes()).map(|tree| tree.provider().number);
                (dn, answers)
            });
            let domain = match &provider.domain {
                Some(domain) => domain.to_lowercase(),
                None => domain_of(&provider.base_dn),
            };
            let of = Domain { base_dn: provider.base_dn.clone(), domain, entries: entries.collect() };
            providers.insert(provider.number, of);
        }
        let default = snapshot.default_tree().map(|tree| tree.provider().number);
        let revision = snapshot.revision();
        Self { revision, rights, names, active, tokens, expired, passwords, default, providers, uid_starts }
    }

    /// The account that a secret proves, if it works.
    pub(super) fn proved(&self, proof: Proof) -> Option<AccountNumber> {
        let is_expired = matches!(proof, Proof::Token(number, _) if self.expired.contains(&number));
        self.stands_for(proof).filter(|account| !is_expired && self.active.contains(account))
    }

    /// The account that a secret proves, or would prove if it was not expired and the account active.
    fn stands_for(&self, proof: Proof) -> Option<AccountNumber> {
        match proof {
            Proof::Token(number, generation) => {
                self.tokens.get(&number).filter(|(_, now)| *now == generation).map(|(account, _)| *account)
            }
            Proof::Password(account, generation) => {
                self.passwords.get(&account).filter(|now| **now == generation).map(|_| account)
            }
        }
    }

    pub(super) fn name(&self, object: ObjectReference) -> &str {
        self.names.get(&object).map_or("(gone)", String::as_str)
    }

    pub(super) fn account_name(&self, number: AccountNumber) -> &str {
        self.name(ObjectReference::Account(number))
    }

    fn rights(&self, account: AccountNumber) -> Rights {
        self.rights.get(&account).cloned().unwrap_or_default()
    }

    /// What an account's rights are, in words.
    fn in_words(&self, rights: &Rights) -> String {
        let mut words = Vec::new();
        if rights.is_superuser {
            words.push("superuser".to_owned());
        }
        for grant in &rights.grants {
            let mut text = grant.permission.codename().to_owned();
            if let Some(on) = grant.on {
                let _ = write!(text, " on {}:{}", on.kind(), self.name(on));
            }
            words.push(text);
        }
        words.sort();
        words.join(", ")
    }
}

/// The domain that a base DN stands for: its `dc` values.
fn domain_of(base_dn: &str) -> String {
    let parts = base_dn.split(',').filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("dc").then(|| value.trim().to_lowercase())
    });
    parts.collect::<Vec<_>>().join(".")
}

/// What an account may do: its own grants and roles, and those of all groups that it is in, however deep.
fn rights_of(accounts: &Accounts, number: AccountNumber) -> Rights {
    let mut rights = Rights::default();
    let Some(account) = accounts.account(number) else { return rights };
    rights.grants.extend(account.grants.iter().copied());
    let mut roles: BTreeSet<RoleNumber> = account.roles.iter().copied().collect();
    let mut groups: Vec<GroupNumber> = account.groups.to_vec();
    let mut seen = BTreeSet::new();
    while let Some(group) = groups.pop() {
        if !seen.insert(group) {
            continue;
        }
        let Some(group) = accounts.group(group) else { continue };
        rights.is_superuser |= group.is_superuser;
        rights.grants.extend(group.grants.iter().copied());
        roles.extend(group.roles.iter().copied());
        groups.extend(group.parents.iter().copied());
    }
    for role in roles {
        if let Some(role) = accounts.role(role) {
            rights.grants.extend(role.grants.iter().copied());
        }
    }
    rights
}

/// Somebody who holds secrets and may do no more than it was given.
pub(super) struct Principal {
    pub(super) name: String,
    pub(super) known: Vec<Known>,
    /// The accounts that it was handed secrets of: what these are given it is given, and everybody knows that.
    own: BTreeSet<AccountNumber>,
    budget: Rights,
    /// What the config gave it on objects, by their names: an object of that name that the operator or the config
    /// makes anew is the same.
    named: HashSet<(Permission, &'static str, String)>,
}

/// Who made a step.
#[derive(Clone, Copy)]
pub(super) enum Actor<'a> {
    /// An attacker, by an account.
    Attacker(usize, AccountNumber),
    /// The operator, by a command.
    Operator,
    /// The operator, who applied a config, with what came of it; whether anything was taken over by name.
    Config(&'a Applied, bool),
}

/// What came of a step besides what the directory shows.
#[derive(Default)]
pub(super) struct Done {
    /// Secrets that the attacker knows from now on.
    pub(super) learned: Vec<Known>,
    /// A token that took another one's place: the old one, the new one.
    pub(super) successor: Option<(TokenNumber, TokenNumber)>,
    /// Credentials of others, of which whoever gave rights to their accounts was told.
    pub(super) told: Vec<ForeignTo>,
    /// The account that it was to change.
    pub(super) changed: Option<AccountNumber>,
    /// What accounts are known by afterwards, where that may have changed.
    pub(super) trusted: Option<Trusted>,
}

pub(super) struct Oracle {
    pub(super) principals: Vec<Principal>,
    pub(super) facts: Facts,
    pub(super) trusted: Trusted,
    /// The objects that a caller of the API made.
    made_by_callers: HashSet<ObjectReference>,
    /// What objects are called, or were called last: what is granted on one that is gone was granted by that name.
    called: HashMap<ObjectReference, String>,
    /// Whether nobody but callers of the API could have put something in a config's way.
    is_config_alone: bool,
}

impl Oracle {
    /// Begins where the operator has set everything up: what accounts may do by then was given to them.
    pub(super) fn new(
        snapshot: &Snapshot,
        trusted: Trusted,
        principals: Vec<(String, Vec<Known>)>,
        is_config_alone: bool,
    ) -> Self {
        let facts = Facts::of(snapshot);
        let principal = |(name, known): (String, Vec<Known>)| {
            let mut budget = Rights::default();
            for account in known.iter().filter_map(|known| facts.proved(known.proof)) {
                budget.add(&facts.rights(account));
            }
            let own = known.iter().map(|known| known.account).collect();
            Principal { name, known, own, budget, named: HashSet::new() }
        };
        let principals = principals.into_iter().map(principal).collect();
        let (called, made_by_callers) = (facts.names.clone(), HashSet::new());
        let mut oracle = Self { principals, facts, trusted, made_by_callers, called, is_config_alone };
        for place in 0..oracle.principals.len() {
            let budget = oracle.principals[place].budget.clone();
            oracle.give(place, &budget);
        }
        oracle
    }

    /// The accounts that a principal controls, each with a secret that works, in the order in which it got them.
    pub(super) fn controlled(&self, principal: usize) -> Vec<(Known, AccountNumber)> {
        let known = &self.principals[principal].known;
        let proved = |known: &Known| Some((known.clone(), self.facts.proved(known.proof)?));
        known.iter().filter_map(proved).collect()
    }

    /// Whether a principal may do everything: there is nothing that it could climb to.
    pub(super) fn has_everything(&self, principal: usize) -> bool {
        self.principals[principal].budget.is_superuser
    }

    /// Whether whoever gave an account something was told of each secret of it that a principal knows.
    ///
    /// Everybody knows whose an account is that an attacker was handed; a config gives it more only by what it takes over.
    fn was_told(&self, actor: Actor<'_>, told: &[ForeignTo], place: usize, account: AccountNumber) -> bool {
        let Principal { known, own, .. } = &self.principals[place];
        let told = match actor {
            Actor::Config(_, is_adopting) if own.contains(&account) => return is_adopting,
            _ if own.contains(&account) => return true,
            Actor::Config(applied, _) => &applied.accepted[..],
            Actor::Attacker(..) | Actor::Operator => told,
        };
        let credentials = known.iter().filter(|known| self.facts.stands_for(known.proof) == Some(account));
        let mut credentials = credentials.map(|known| match known.proof {
            Proof::Token(number, _) => (account, Some(number)),
            Proof::Password(..) => (account, None),
        });
        credentials.all(|credential| told.contains(&credential))
    }

    /// Looks at what a step has made of the directory; the first rule of `rules` that it broke is the answer.
    pub(super) fn step(
        &mut self,
        actor: Actor<'_>,
        snapshot: &Snapshot,
        done: Done,
        rules: &[Rule],
    ) -> Option<Fault> {
        let Done { learned, successor, told, changed, trusted } = done;
        if let Actor::Attacker(principal, _) = actor {
            self.principals[principal].known.extend(learned);
        }
        let after = if snapshot.revision() == self.facts.revision { None } else { Some(Facts::of(snapshot)) };
        let before = match after {
            Some(after) => std::mem::replace(&mut self.facts, after),
            // A secret may be learned without a change.
            None => Facts::of(snapshot),
        };
        if let Some((old, new)) = successor {
            self.inherit(old, new);
        }
        let (made, held) = self.note_objects(actor, &before, successor);
        let mut faults = Vec::new();
        faults.extend(self.climbed(actor, &told, &made, &held));
        if let Actor::Attacker(..) = actor {
            faults.extend(self.gave(&before, &held, successor));
            faults.extend(self.took(&before, &held, successor));
            faults.extend(self.shadowed(&before, &held));
            if let Some(account) = changed.filter(|_| self.facts.revision != before.revision) {
                faults.extend(Self::changed(&before, &held, account));
            }
            if let Some(trusted) = &trusted {
                faults.extend(self.imitated(&before, &held, trusted));
            }
        }
        self.trusted = trusted.unwrap_or_else(|| std::mem::take(&mut self.trusted));
        if let Actor::Config(Applied { outcome: Err(error), is_told: false, .. }, _) = actor
            && self.is_config_alone
        {
            faults
                .push(Fault { rule: Rule::Blocked, sentence: format!("the config is not applied: {error}") });
        }
        faults.into_iter().find(|fault| rules.contains(&fault.rule))
    }

    /// The successor of a token has all grants of it.
    fn inherit(&mut self, old: TokenNumber, new: TokenNumber) {
        let (old, new) = (ObjectReference::Token(old), ObjectReference::Token(new));
        for principal in &mut self.principals {
            let inherited: Vec<Grant> = principal.budget.grants.iter().copied().collect();
            let inherited = inherited.into_iter().filter(|grant| grant.on == Some(old));
            principal.budget.grants.extend(inherited.map(|grant| Grant { on: Some(new), ..grant }));
        }
        if !self.made_by_callers.contains(&old) {
            self.made_by_callers.remove(&new);
        }
    }

    /// Notes who made what; gives what the caller may do because it has just made something, and that with
    /// what it held before.
    fn note_objects(
        &mut self,
        actor: Actor<'_>,
        before: &Facts,
        successor: Option<(TokenNumber, TokenNumber)>,
    ) -> (Rights, Rights) {
        let mut made = Rights::default();
        self.called.extend(self.facts.names.iter().map(|(object, name)| (*object, name.clone())));
        for (object, name) in &self.facts.names {
            let was = before.names.get(object);
            if was == Some(name) || successor.is_some_and(|(_, new)| *object == ObjectReference::Token(new)) {
                continue;
            }
            if was.is_none() {
                let all =
                    object.permissions().filter(|permission| *permission != Permission::SearchFullDirectory);
                made.grants.extend(all.map(|permission| Grant { permission, on: Some(*object) }));
            }
            // Whoever gives it another name, it is whose it was.
            if matches!(actor, Actor::Attacker(..)) && was.is_none() {
                self.made_by_callers.insert(*object);
            }
        }
        let Actor::Attacker(_, caller) = actor else { return (Rights::default(), Rights::default()) };
        let mut held = before.rights(caller);
        held.add(&made);
        (made, held)
    }

    /// Whether anybody has more than it was given. What was given rightly counts as given from now on, also to who can use
    /// it only later: an account that is not active, a token that is expired.
    fn climbed(
        &mut self,
        actor: Actor<'_>,
        told: &[ForeignTo],
        made: &Rights,
        held: &Rights,
    ) -> Option<Fault> {
        let mut fault = None;
        for place in 0..self.principals.len() {
            if self.has_everything(place) {
                continue;
            }
            let known = &self.principals[place].known;
            let accounts: BTreeSet<AccountNumber> =
                known.iter().filter_map(|known| self.facts.stands_for(known.proof)).collect();
            let controlled: BTreeSet<AccountNumber> =
                self.controlled(place).into_iter().map(|(_, account)| account).collect();
            // Of a secret that was made by an account which gets the same nobody need be told.
            let own = &self.principals[place].own;
            let (own, others): (Vec<_>, Vec<_>) = accounts.into_iter().partition(|it| own.contains(it));
            for account in own.into_iter().chain(others.iter().copied()).chain(others.iter().copied()) {
                let principal = &self.principals[place];
                let mut excess = self.facts.rights(account).beyond(&principal.budget);
                let (named, others) =
                    excess.grants.iter().partition(|grant| self.is_named(principal, **grant));
                excess.grants = others;
                self.principals[place].budget.grants.extend::<HashSet<Grant>>(named);
                if excess.is_nothing() {
                    continue;
                }
                let excess = excess.beyond(made);
                let is_right = excess.is_nothing()
                    || match actor {
                        Actor::Attacker(caller, _) if caller == place => false,
                        Actor::Attacker(..) if !excess.beyond(held).is_nothing() => false,
                        _ => self.was_told(actor, told, place, account),
                    };
                if is_right {
                    let now = self.facts.rights(account);
                    self.give(place, &now);
                    continue;
                }
                if !controlled.contains(&account) {
                    continue;
                }
                let sentence = format!(
                    "{} has a working credential of {}, which now holds what it was never given: {}",
                    self.principals[place].name,
                    self.facts.account_name(account),
                    self.facts.in_words(&excess)
                );
                fault = fault.or(Some((place, account, Fault { rule: Rule::Climbed, sentence })));
            }
        }
        let (place, account, fault) = fault?;
        // What one account was given before another is given to both.
        let is_still = !self.facts.rights(account).beyond(&self.principals[place].budget).is_nothing();
        is_still.then_some(fault)
    }

    /// Counts rights as given: those on objects that callers have not made also by name.
    fn give(&mut self, place: usize, rights: &Rights) {
        let Self { principals, made_by_callers, called, .. } = self;
        let grants = rights.grants.iter().filter_map(|grant| Some((grant.permission, grant.on?)));
        let named = grants.filter(|(_, on)| !made_by_callers.contains(on));
        let named =
            named.filter_map(|(permission, on)| Some((permission, on.kind(), called.get(&on)?.clone())));
        principals[place].named.extend(named);
        principals[place].budget.add(rights);
    }

    /// Whether it is a right on an object that stands for one which the config gave it by this name.
    fn is_named(&self, principal: &Principal, grant: Grant) -> bool {
        grant.on.is_some_and(|on| {
            !self.made_by_callers.contains(&on)
                && principal.named.contains(&(grant.permission, on.kind(), self.facts.name(on).to_owned()))
        })
    }

    /// Whether anybody gained what the caller did not hold.
    fn gave(
        &self,
        before: &Facts,
        held: &Rights,
        successor: Option<(TokenNumber, TokenNumber)>,
    ) -> Option<Fault> {
        self.facts.rights.iter().find_map(|(account, now)| {
            let was = before.rights(*account);
            let mut gained = now.beyond(&was).beyond(held);
            if let Some((old, new)) = successor {
                let (old, new) = (ObjectReference::Token(old), ObjectReference::Token(new));
                gained
                    .grants
                    .retain(|grant| grant.on != Some(new) || !was.cover(Grant { on: Some(old), ..*grant }));
            }
            (!gained.is_nothing()).then(|| Fault {
                rule: Rule::Gave,
                sentence: format!(
                    "{} gained what the caller does not hold: {}",
                    self.facts.account_name(*account),
                    self.facts.in_words(&gained)
                ),
            })
        })
    }

    /// Whether anybody lost what the caller did not hold. What was granted on an object that is gone is no loss.
    fn took(
        &self,
        before: &Facts,
        held: &Rights,
        successor: Option<(TokenNumber, TokenNumber)>,
    ) -> Option<Fault> {
        before.rights.iter().find_map(|(account, was)| {
            let mut lost = was.beyond(&self.facts.rights(*account)).beyond(held);
            let is_gone = |on: &ObjectReference| {
                !self.facts.names.contains_key(on)
                    || successor.is_some_and(|(old, _)| *on == ObjectReference::Token(old))
            };
            lost.grants.retain(|grant| !grant.on.as_ref().is_some_and(is_gone));
            (!lost.is_nothing()).then(|| Fault {
                rule: Rule::Took,
                sentence: format!(
                    "{} lost what the caller does not hold: {}",
                    before.account_name(*account),
                    before.in_words(&lost)
                ),
            })
        })
    }

    /// Whether a provider that is still there, and was not changed itself, lost entries, its domain or the bare names.
    fn shadowed(&self, before: &Facts, held: &Rights) -> Option<Fault> {
        let may_change = |number| {
            held.cover(Grant {
                permission: Permission::ChangeProvider,
                on: Some(ObjectReference::Provider(number)),
            })
        };
        if before.providers == self.facts.providers && before.default == self.facts.default {
            return None;
        }
        for (number, was) in &before.providers {
            let Some(is) = self.facts.providers.get(number).filter(|_| !may_change(*number)) else {
                continue;
            };
            let name = before.name(ObjectReference::Provider(*number));
            let fault = |what: String| {
                Some(Fault { rule: Rule::Shadowed, sentence: format!("the provider {name} lost {what}") })
            };
            let answers = Some(*number);
            for (dn, _) in was.entries.iter().filter(|(_, before)| *before == answers) {
                if !is.entries.iter().any(|(other, now)| other == dn && *now == answers) {
                    return fault(format!("the entry {dn}"));
                }
            }
            let other =
                self.facts.providers.iter().find(|(other, at)| {
                    *other != number && !was.domain.is_empty() && at.domain == was.domain
                });
            let had_other =
                before.providers.iter().any(|(other, at)| other != number && at.domain == was.domain);
            if other.is_some() && !had_other {
                return fault(format!("the domain {}", was.domain));
            }
            if before.default == Some(*number) && self.facts.default != Some(*number) {
                return fault("the bare names".to_owned());
            }
        }
        None
    }

    /// Whether an account was changed that is worth more than the caller.
    fn changed(before: &Facts, held: &Rights, account: AccountNumber) -> Option<Fault> {
        let beyond = before.rights(account).beyond(held);
        (!beyond.is_nothing()).then(|| Fault {
            rule: Rule::Trusted,
            sentence: format!(
                "{} was changed, which holds what the caller does not: {}",
                before.account_name(account),
                before.in_words(&beyond)
            ),
        })
    }

    /// Whether somebody is found now by what another account is known by, which the caller may not change, or has a number
    /// that is the system's or another's.
    fn imitated(&self, before: &Facts, held: &Rights, now: &Trusted) -> Option<Fault> {
        let may_change = |account: &AccountNumber| {
            let on = Some(ObjectReference::Account(*account));
            held.cover(Grant { permission: Permission::ChangeUser, on })
        };
        let fault = |sentence| Some(Fault { rule: Rule::Trusted, sentence });
        let was = self.trusted.collisions();
        for (one, other, value) in now.collisions() {
            let is_new = !was.contains(&(one, other, value));
            let is_right = may_change(&one) && may_change(&other);
            if is_new && !is_right {
                let (one, other) = (self.facts.account_name(one), self.facts.account_name(other));
                return fault(format!("{one} is found by {value}, which {other} is known by"));
            }
        }
        for (account, numbers) in &now.numbers {
            let had = self.trusted.numbers.get(account);
            for (attribute, number) in
                numbers.iter().filter(|number| !had.is_some_and(|had| had.contains(number)))
            {
                let name = self.facts.account_name(*account);
                if *number < POSIX_NUMBER_MIN {
                    return fault(format!("{name} has the number {number}, which is the system's"));
                }
                // Accounts share a gidNumber: it is that of a group.
                if attribute != "uidnumber" {
                    continue;
                }
                let is_derived = |other: &&AccountNumber| {
                    *other != account && before.uid_starts.iter().any(|start| start + other.get() == *number)
                };
                let is_given = |other: &&AccountNumber| {
                    let given = now.numbers.get(other);
                    *other != account
                        && given.is_some_and(|given| given.contains(&(attribute.clone(), *number)))
                };
                let mut others = self.facts.rights.keys();
                if let Some(other) = others.find(|other| is_derived(other) || is_given(other)) {
                    let other = self.facts.account_name(*other);
                    return fault(format!("{name} has the number {number} of {other}"));
                }
            }
        }
        None
    }
}

/// Numbers below belong to the system.
const POSIX_NUMBER_MIN: u32 = 1_000;
