//! What a caller of the API has made under a name of the config: the config gives it nothing that its maker does not hold,
//! unless the operator takes it over.

use std::sync::Arc;

use super::apply::SeedRun;
use super::{DiffEntry, Sign};
use crate::access::{Rights, holds};
use crate::audit::EventObject;
use crate::config::ReferenceKind;
use crate::directory::{AccountState, PlaceError, Tree, name_key};
use crate::model::{
    Account, AccountNumber, Attribute, FieldChange, Grant, Key, ObjectReference, Origin, Permission, Record,
    RoleNumber, Timestamp, Token, first_identifier,
};
use crate::registry::ChangeError;
use crate::registry::commands::whole::Problem;
use crate::registry::commands::{account, token};

/// The objects of the seed that are not to be given what it says, with the reason.
pub(super) fn not_to_be_given(
    run: &SeedRun<'_, '_>,
) -> Result<Vec<(ReferenceKind, String, String)>, ChangeError> {
    let seed = run.seed;
    let mut found = Vec::new();
    let mut ask = |kind: ReferenceKind, name: &str| -> Result<(), ChangeError> {
        if !run.is_left_out(kind, name)
            && let Some(reason) = run.reason_against(kind, name)?
        {
            found.push((kind, name.to_owned(), reason));
        }
        Ok(())
    };
    for provider in &seed.providers {
        ask(ReferenceKind::Provider, &provider.name)?;
    }
    for role in &seed.roles {
        ask(ReferenceKind::Role, &role.name)?;
    }
    for group in &seed.groups {
        ask(ReferenceKind::Group, &group.name)?;
    }
    // Who is named as a member need not be described.
    for (group, member) in
        seed.groups.iter().flat_map(|group| group.members.iter().flatten().map(move |member| (group, member)))
    {
        let before = run.before.accounts();
        let is_known = before.account_named(member).is_some_and(|account| {
            before.group_named(&group.name).is_some_and(|group| group.has_member(account.number))
        });
        if !is_known {
            ask(ReferenceKind::Account, member)?;
        }
    }
    for account in &seed.accounts {
        ask(ReferenceKind::Account, &account.username)?;
        if account.create_group == Some(true) {
            ask(ReferenceKind::Group, &account.username)?;
        }
    }
    for slug in seed.applications.iter().map(|application| &application.slug) {
        ask(ReferenceKind::Application, slug)?;
    }
    Ok(found)
}

/// What gives rights to accounts of which somebody who does not hold them may know a secret, which nobody has accepted: the
/// accounts of the seed, and where these are left out already, the roles and groups that give it. Everything else is applied
/// without them.
pub(super) fn with_foreign_credentials(run: &SeedRun<'_, '_>) -> Vec<(ReferenceKind, String, String)> {
    let mut found = Vec::new();
    for credential in run.foreign_credentials() {
        let reason = credential.sentence();
        match run.described(ObjectReference::Account(credential.number)) {
            Some((kind, name)) => found.push((kind, name, reason)),
            None => {
                let givers = run.givers(credential.number).into_iter();
                found.extend(givers.map(|(kind, name)| (kind, name, reason.clone())));
            }
        }
    }
    found
}

/// What of the seed stands against something that it does not describe, and why it is left out: both want the same.
pub(super) fn obstacle(run: &SeedRun<'_, '_>, problem: &Problem) -> Option<(ReferenceKind, String, String)> {
    let (one, other) = problem.between?;
    let described = [one, other].map(|on| run.described(on));
    let (kind, name, obstacle) = match described {
        [Some((kind, name)), None] => (kind, name, other),
        [None, Some((kind, name))] => (kind, name, one),
        [Some(first), Some(second)] => {
            let ((kind, name), (_, obstacle), on) =
                match [(one, other), (other, one)].map(|(on, against)| run.says_nothing_of(on, against)) {
                    // What the config says of both is a mistake of the config, but in the directory of somebody else.
                    [false, false] => {
                        let is_callers = |within: &ObjectReference| run.is_callers(*within).unwrap_or(false);
                        let within = problem.within.filter(is_callers)?;
                        let whose = run.whose_is(within).ok()??;
                        return Some((first.0, first.1, format!("{}: {whose}", problem.sentence)));
                    }
                    [true, false] => (second, first, one),
                    [false, true] => (first, second, other),
                    [true, true] if run.was_there(one) => (second, first, one),
                    [true, true] => (first, second, other),
                };
            let whose = said_by_nobody(on, &obstacle);
            return Some((kind, name, format!("{}: {whose}", problem.sentence)));
        }
        [None, None] => return None,
    };
    let whose = run.whose_is(obstacle).ok()??;
    // One of the config that stays as it is.
    let stays = if run.named_in_seed(obstacle).is_some() { ", and is left out itself" } else { "" };
    Some((kind, name, format!("{}: {whose}{stays}", problem.sentence)))
}

/// Whose what stands in the way of an object is, in words; `None`: nothing that the seed does not describe does.
pub(super) fn obstruction(
    run: &SeedRun<'_, '_>,
    kind: ReferenceKind,
    name: &str,
) -> Result<Option<String>, ChangeError> {
    // A caller of the API has taken the name itself, for something else.
    if let Some((_, key)) = run.named(name).into_iter().find(|(of, _)| *of == kind)
        && let Some(record) = run.transaction.stored(&key)?
        && origin(&record).account().is_some()
    {
        return Ok(Some(format!("it was {}", run.made(&record))));
    }
    // Its values may be of an attribute type as it was to be, which is left out.
    if let Some(of) = run.left_out_type(kind, name) {
        return Ok(Some(format!("the attribute type `{of}` is left out")));
    }
    Ok(None)
}

/// Why a token of the seed cannot be made: another account has one of that identifier.
pub(super) fn taken_token(
    run: &SeedRun<'_, '_>,
    identifier: &str,
    account: &str,
) -> Result<String, ChangeError> {
    let Some(token) = run.accounts().token_named(identifier) else { return Ok(String::new()) };
    let owner = run.accounts().account(token.account);
    let owner = owner.map_or_else(|| token.account.to_string(), |owner| owner.username.to_string());
    let made = run.made(&Record::Token(Token::clone(token)));
    Ok(format!(
        "`{identifier}` is a token of `{owner}`, not of `{account}`, {made}: choose another identifier, or \
         revoke that one"
    ))
}

impl SeedRun<'_, '_> {
    /// The token that an entry of the seed is about: by its identifier, and of the first one of its account by its mark,
    /// whatever identifier it has got.
    pub(super) fn stored_token(&self, identifier: &str, account: &str) -> Option<Arc<Token>> {
        let accounts = self.accounts();
        let owner = accounts.account_named(account)?;
        let named = accounts.token_named(identifier).filter(|token| token.account == owner.number);
        let first = || {
            let tokens = owner.tokens.iter().filter_map(|number| accounts.token(*number));
            let is_meant = identifier == first_identifier(account);
            tokens.filter(|_| is_meant).find(|token| token.is_first && !token.is_replaced)
        };
        named.or_else(first).cloned()
    }

    /// Takes over what the operator says is to be taken over; the credentials that its maker made end with that.
    pub(super) fn adopt(&mut self) -> Result<(), ChangeError> {
        for name in &self.options.adopt {
            let found: Vec<(ReferenceKind, Key, Record, AccountNumber)> = self
                .named(name)
                .into_iter()
                .filter_map(|(kind, key)| match self.transaction.stored(&key) {
                    Ok(Some(record)) => origin(&record).account().map(|maker| Ok((kind, key, record, maker))),
                    Ok(None) => None,
                    Err(error) => Some(Err(error)),
                })
                .collect::<Result<_, _>>()?;
            if found.is_empty() && self.named(name).is_empty() {
                let sentence = format!("there is nothing named `{name}` to adopt; check the name");
                self.problems.push(super::SeedProblem::about(None, None, sentence));
            }
            for (kind, key, record, maker) in found {
                let before = self.made(&record);
                self.transaction.adopt(&key)?;
                if let Key::Account(number) = key {
                    self.end_credentials(number, maker)?;
                }
                let origin = FieldChange {
                    field: "origin".to_owned(),
                    before: Some(before),
                    after: Some("config".to_owned()),
                };
                self.note(DiffEntry {
                    sign: Sign::Changed,
                    kind,
                    name: name.clone(),
                    fields: vec![origin],
                    reason: Some("adopted".to_owned()),
                });
            }
        }
        Ok(())
    }

    fn end_credentials(&mut self, number: AccountNumber, maker: AccountNumber) -> Result<(), ChangeError> {
        let Some(account) = self.accounts().account(number).cloned() else { return Ok(()) };
        let tokens: Vec<Arc<Token>> =
            account.tokens.iter().filter_map(|token| self.accounts().token(*token)).cloned().collect();
        let is_named = |identifier: &str| self.options.accept_credentials.iter().any(|it| it == identifier);
        let ended: Vec<_> = tokens
            .into_iter()
            .filter(|token| token.made_by.accounts().any(|by| by == maker) && !is_named(&token.identifier))
            .collect();
        let is_password_ended = account
            .password
            .as_ref()
            .is_some_and(|password| password.made_by.accounts().any(|by| by == maker))
            && !is_named(&account.username);
        for token in ended {
            self.transaction.delete_token(token.number)?;
        }
        match self.transaction.account(number)?.filter(|_| is_password_ended) {
            None => Ok(()),
            Some(before) => {
                let modified = self.transaction.now();
                let ended = Account { password: None, modified, ..before.clone() };
                account::put(self.transaction, Some(&before), ended)
            }
        }
    }

    /// Why an object of the seed is not given what the seed says; `None`: it is.
    fn reason_against(&self, kind: ReferenceKind, name: &str) -> Result<Option<String>, ChangeError> {
        let Some((_, key)) = self.named(name).into_iter().find(|(of, _)| *of == kind) else {
            return Ok(None);
        };
        let Some(record) = self.transaction.stored(&key)? else { return Ok(None) };
        let Some(maker) = origin(&record).account() else { return Ok(None) };
        let (before, after) = (self.before.accounts(), self.accounts());
        let gained = match &key {
            Key::Account(number) => {
                let rights = |accounts: &crate::directory::Accounts| {
                    accounts.account(*number).map(|account| Rights::of_account(accounts, account))
                };
                rights(after).unwrap_or_default().beyond(&rights(before).unwrap_or_default())
            }
            Key::Group(number) => Rights::of_group(after, *number).beyond(&Rights::of_group(before, *number)),
            Key::Role(number) => {
                Rights::of_roles(after, &[*number]).beyond(&Rights::of_roles(before, &[*number]))
            }
            // Who made it may change it, and with it what is served there.
            Key::Provider(number) if before.provider(*number) != after.provider(*number) => {
                may_change_provider(None)
            }
            // Who made it may change who is admitted to the provider that it gets.
            Key::Application(number) => match after.application(*number).and_then(|it| it.provider) {
                provider if before.application(*number).is_some_and(|it| it.provider == provider) => {
                    Rights::default()
                }
                Some(provider) => may_change_provider(Some(ObjectReference::Provider(provider))),
                None => Rights::default(),
            },
            _ => Rights::default(),
        };
        let is_held = holds(before, before.account(maker).map(|maker| &**maker), &gained);
        if gained.is_empty() || is_held {
            return Ok(None);
        }
        let made = self.made(&record);
        Ok(Some(format!(
            "it was {made}, who does not hold what the config would give it; --adopt {name} takes it over"
        )))
    }

    /// The roles and groups of the seed through which an account gets what it had not before.
    fn givers(&self, number: AccountNumber) -> Vec<(ReferenceKind, String)> {
        let (before, after) = (self.before.accounts(), self.accounts());
        let Some(account) = after.account(number) else { return Vec::new() };
        let groups = after.groups_of(account);
        let in_group = |role: &RoleNumber| {
            let mut groups = groups.iter().filter_map(|group| after.group(*group));
            groups.any(|group| group.roles.contains(role))
        };
        let roles = self.seed.roles.iter().filter(|seed| {
            after.role_named(&seed.name).is_some_and(|role| {
                let numbers = [role.number];
                let gained = Rights::of_roles(after, &numbers).beyond(&Rights::of_roles(before, &numbers));
                !gained.is_empty() && (account.roles.contains(&role.number) || in_group(&role.number))
            })
        });
        let named = self.seed.groups.iter().filter(|seed| {
            after.group_named(&seed.name).is_some_and(|group| {
                let gained =
                    Rights::of_group(after, group.number).beyond(&Rights::of_group(before, group.number));
                !gained.is_empty() && groups.contains(&group.number)
            })
        });
        let roles = roles.map(|seed| (ReferenceKind::Role, seed.name.clone()));
        let named = named.map(|seed| (ReferenceKind::Group, seed.name.clone()));
        roles.chain(named).filter(|(kind, name)| !self.is_left_out(*kind, name)).collect()
    }

    /// The object of the seed that this is; one that is left out is as if it were not described.
    fn described(&self, on: ObjectReference) -> Option<(ReferenceKind, String)> {
        self.named_in_seed(on).filter(|(kind, name)| !self.is_left_out(*kind, name))
    }

    /// Whether an object of the seed has what it shares with another one though the seed says nothing of it: somebody else
    /// has set it.
    fn says_nothing_of(&self, on: ObjectReference, against: ObjectReference) -> bool {
        let Some((_, name)) = self.named_in_seed(on) else { return false };
        let snapshot = self.transaction.snapshot();
        match (on, against) {
            (ObjectReference::Provider(one), ObjectReference::Provider(other)) => {
                let trees = snapshot.tree(one).zip(snapshot.tree(other));
                let seed = self.seed.providers.iter().find(|seed| seed.name == name);
                let Some(((one, other), seed)) = trees.zip(seed) else { return false };
                let both_default = one.provider().is_default && other.provider().is_default;
                let domain = |tree: &Tree| tree.bind_domain().map(str::to_lowercase);
                let one_domain = domain(one).is_some() && domain(one) == domain(other);
                both_default && seed.said.is_default.is_none()
                    || one_domain && seed.said.domain.is_none() && one.provider().domain.is_some()
            }
            (ObjectReference::Account(number), ObjectReference::Account(_)) => {
                let is_given = |account: &Account| {
                    let mut given = account.attributes.iter();
                    given.any(|attribute| attribute.description.eq_ignore_ascii_case("uidNumber"))
                };
                let seed = self.seed.accounts.iter().find(|seed| seed.username == name);
                let record = self.transaction.account(number).ok().flatten();
                seed.is_some_and(|seed| seed.said.attributes.is_none())
                    && record.is_some_and(|it| is_given(&it))
            }
            (ObjectReference::Application(number), ObjectReference::Application(_)) => {
                let mut seeds = self.seed.applications.iter();
                seeds.find(|seed| seed.slug == name).is_some_and(|seed| seed.provider.is_none())
                    && self.accounts().application(number).is_some_and(|it| it.provider.is_some())
            }
            _ => false,
        }
    }

    fn was_there(&self, on: ObjectReference) -> bool {
        self.before.accounts().has(on)
    }

    fn named_in_seed(&self, on: ObjectReference) -> Option<(ReferenceKind, String)> {
        let (accounts, seed) = (self.accounts(), self.seed);
        match on {
            ObjectReference::Provider(number) => {
                let key = name_key(&accounts.provider(number)?.name);
                let found = seed.providers.iter().find(|provider| name_key(&provider.name) == key)?;
                Some((ReferenceKind::Provider, found.name.clone()))
            }
            ObjectReference::Account(number) => {
                let key = name_key(&accounts.account(number)?.username);
                let found = seed.accounts.iter().find(|account| name_key(&account.username) == key)?;
                Some((ReferenceKind::Account, found.username.clone()))
            }
            ObjectReference::Application(number) => {
                let slug = &accounts.application(number)?.slug;
                let found = seed.applications.iter().find(|application| application.slug == *slug)?;
                Some((ReferenceKind::Application, found.slug.clone()))
            }
            ObjectReference::Group(_) | ObjectReference::Role(_) | ObjectReference::Token(_) => None,
        }
    }

    /// Whose an object is that stands in the way, in words.
    pub(super) fn whose_is(&self, on: ObjectReference) -> Result<Option<String>, ChangeError> {
        let Some(record) = self.transaction.stored(&key_of(on))? else { return Ok(None) };
        let EventObject { kind, name, .. } = EventObject::of(&record);
        Ok(Some(format!("the {kind} `{name}` was {}", self.made(&record))))
    }

    /// An attribute type that is left out, and that the seed says an account or a group has values of.
    fn left_out_type(&self, kind: ReferenceKind, name: &str) -> Option<String> {
        let key = name_key(name);
        let attributes = match kind {
            ReferenceKind::Account => {
                let mut seeds = self.seed.accounts.iter();
                seeds
                    .find(|seed| name_key(&seed.username) == key)
                    .and_then(|seed| seed.said.attributes.as_ref())
            }
            ReferenceKind::Group => {
                let mut seeds = self.seed.groups.iter();
                seeds.find(|seed| name_key(&seed.name) == key).and_then(|seed| seed.said.attributes.as_ref())
            }
            _ => None,
        };
        let snapshot = self.transaction.snapshot();
        let mut types = attributes?.iter().filter_map(|Attribute { description, .. }| {
            let id = snapshot.schema().find(description.split(';').next().unwrap_or_default())?;
            Some(snapshot.schema().attribute(id).name.to_string())
        });
        types.find(|of| self.is_left_out(ReferenceKind::Attribute, of))
    }

    /// Why an object has no place in a directory that a caller of the API has made and the seed does not describe: without
    /// that one it would be as the seed says.
    pub(super) fn tree_in_the_way(
        &self,
        check: impl Fn(&Tree) -> Result<(), PlaceError>,
    ) -> Result<Option<String>, ChangeError> {
        for tree in self.transaction.snapshot().trees() {
            let on = ObjectReference::Provider(tree.provider().number);
            if let Err(error) = check(tree)
                && self.is_callers(on)?
            {
                let whose = self.whose_is(on)?.unwrap_or_default();
                return Ok(Some(format!("it cannot have its entry: {error}: {whose}")));
            }
        }
        Ok(None)
    }

    /// Whether an object is one that a caller of the API has made, and that the seed does not describe.
    fn is_callers(&self, on: ObjectReference) -> Result<bool, ChangeError> {
        let record = self.transaction.stored(&key_of(on))?;
        let is_made = record.is_some_and(|record| origin(&record).account().is_some());
        Ok(is_made && self.described(on).is_none())
    }

    /// Whether an object is one that a caller of the API has made or named, and not a superuser: what the config says by its
    /// name was not said of it.
    pub(super) fn is_strangers(&self, on: ObjectReference) -> Result<bool, ChangeError> {
        let Some(record) = self.transaction.stored(&key_of(on))? else { return Ok(false) };
        let before = self.before.accounts();
        let maker = origin(&record).account().map(|maker| before.account(maker));
        let is_superuser = |maker: Option<&Arc<AccountState>>| {
            maker.is_some_and(|maker| maker.is_active && before.is_superuser(maker))
        };
        Ok(maker.is_some_and(|maker| !is_superuser(maker)))
    }

    /// Why a token that is there is not changed as the seed says: somebody else knows its secret.
    pub(super) fn reason_against_token(&self, before: &Token, after: &Token) -> Option<String> {
        let maker = before.origin.account().filter(|maker| *maker != before.account)?;
        let accounts = self.before.accounts();
        let rights = Rights::of_account(accounts, accounts.account(before.account)?);
        let is_more = token::is_later(before.expires, after.expires)
            || token::is_wider(&before.networks, &after.networks);
        if !is_more || holds(accounts, accounts.account(maker).map(|maker| &**maker), &rights) {
            return None;
        }
        let made = self.made(&Record::Token(before.clone()));
        Some(format!(
            "it was {made}, who does not hold what its account does, and would work longer or from more places: \
             revoke it, or choose another identifier"
        ))
    }

    /// Who made an object, in words; `None`: of such objects that is not kept.
    pub(super) fn made_by(&self, record: &Record) -> Option<String> {
        crate::registry::origins::origin(record)?;
        Some(self.made(record))
    }

    /// Who made an object, and when, in words. A caller of the API that has given one its name or type has the place of its
    /// maker from then on: that may be all it has done, and the time is not of that.
    fn made(&self, record: &Record) -> String {
        let origin = origin(record);
        let whose = self.whose(origin);
        match created(record) {
            _ if origin.account().is_some() => {
                let given = if matches!(record, Record::Account(_)) { "name or type" } else { "name" };
                format!("made, or given its {given}, by {whose}")
            }
            Some(created) => format!("made by {whose} at {created}"),
            None => format!("made by {whose}"),
        }
    }

    fn whose(&self, origin: Origin) -> String {
        match origin {
            Origin::Account(number) => {
                let maker = self.before.accounts().account(number);
                maker.map_or_else(
                    || format!("account {number}, which is gone,"),
                    |maker| format!("`{}`", maker.username),
                )
            }
            Origin::Config => "the config".to_owned(),
            Origin::Import => "an import".to_owned(),
            Origin::Server => "the server".to_owned(),
            Origin::Operator | Origin::Unknown => "the operator".to_owned(),
        }
    }

    /// What there is of this name.
    fn named(&self, name: &str) -> Vec<(ReferenceKind, Key)> {
        let accounts = self.before.accounts();
        let key = name_key(name);
        let mut found = Vec::new();
        found
            .extend(accounts.account_keyed(&key).map(|it| (ReferenceKind::Account, Key::Account(it.number))));
        found.extend(accounts.group_keyed(&key).map(|it| (ReferenceKind::Group, Key::Group(it.number))));
        found.extend(accounts.role_named(name).map(|it| (ReferenceKind::Role, Key::Role(it.number))));
        let mut providers = accounts.providers();
        let provider = providers.find(|provider| name_key(&provider.name) == key);
        found.extend(provider.map(|it| (ReferenceKind::Provider, Key::Provider(it.number))));
        let application = accounts.application_named(name);
        found.extend(application.map(|it| (ReferenceKind::Application, Key::Application(it.number))));
        found
    }
}

/// Of an object of the seed that has what the seed gives to another one.
pub(super) fn said_by_nobody(on: ObjectReference, name: &str) -> String {
    format!(
        "the {} `{name}` has it, of which the config says nothing: let it say what that one is to have",
        on.kind()
    )
}

fn may_change_provider(on: Option<ObjectReference>) -> Rights {
    let grant = Grant { permission: Permission::ChangeProvider, on };
    Rights { is_superuser: false, grants: vec![grant] }
}

fn key_of(on: ObjectReference) -> Key {
    match on {
        ObjectReference::Provider(number) => Key::Provider(number),
        ObjectReference::Account(number) => Key::Account(number),
        ObjectReference::Application(number) => Key::Application(number),
        ObjectReference::Group(number) => Key::Group(number),
        ObjectReference::Role(number) => Key::Role(number),
        ObjectReference::Token(number) => Key::Token(number),
    }
}

pub(super) fn origin(record: &Record) -> Origin {
    crate::registry::origins::origin(record).unwrap_or_default()
}

fn created(record: &Record) -> Option<Timestamp> {
    match record {
        Record::Account(account) => Some(account.created),
        Record::Group(group) => Some(group.created),
        Record::Token(token) => Some(token.created),
        Record::Application(application) => Some(application.created),
        Record::Provider(provider) => Some(provider.created),
        _ => None,
    }
}
