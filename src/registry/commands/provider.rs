//! LDAP providers one at a time: made, changed, deleted. What a tree must be like is in `validate.rs`, what is asked of all
//! of them together in `whole.rs`.

use std::sync::Arc;

use super::account::grant_to_creator;
use super::{application, names, set, validate};
use crate::config::canonical_dn;
use crate::directory::{Snapshot, Tree, name_key};
use crate::model::{
    Application, AsGiven, AsGivenChanges, Container, Key, LdapProvider, ObjectReference, Permission,
    ProviderChanges, ProviderNumber, Record, is_domain,
};
use crate::registry::{ChangeError, Rules, Transaction};
use crate::schema::dn::is_at_or_below;

/// Makes a provider: one more tree of all accounts and groups.
///
/// # Errors
/// Its name, base DN or domain is another's, its settings make no tree of the accounts and groups that there are, or
/// [`Permission::AddProvider`] is missing.
pub fn create_provider(
    transaction: &mut Transaction<'_>,
    name: String,
    given: ProviderChanges,
) -> Result<ProviderNumber, ChangeError> {
    transaction.require(Permission::AddProvider)?;
    let number = ProviderNumber::new(transaction.next_object()?);
    let provider = LdapProvider::of_name(number, name, transaction.origin(), transaction.now());
    let given = ProviderChanges { name: None, ..given };
    write(transaction, None, provider, given)?;
    grant_to_creator(transaction, ObjectReference::Provider(number))?;
    Ok(number)
}

/// Changes a provider.
///
/// # Errors
/// There is no such provider that the caller may view, the change is one that [`create_provider`] would refuse, or
/// [`Permission::ChangeProvider`] on it is missing; another name is for whose it is.
pub fn update_provider(
    transaction: &mut Transaction<'_>,
    number: ProviderNumber,
    changes: ProviderChanges,
) -> Result<(), ChangeError> {
    let provider = provider_for(transaction, number, Permission::ChangeProvider)?;
    write(transaction, Some(provider.clone()), provider, changes)
}

/// Deletes a provider: its tree is no longer served, and who is bound to it no longer is. Its application stays without
/// one.
///
/// # Errors
/// There is no such provider that the caller may view, [`Permission::DeleteProvider`] on it is missing, or it is not the
/// caller's: the config would make another one, open to everybody.
pub fn delete_provider(transaction: &mut Transaction<'_>, number: ProviderNumber) -> Result<(), ChangeError> {
    let provider = provider_for(transaction, number, Permission::DeleteProvider)?;
    names::require_maker(transaction, provider.origin, ("provider", &provider.name), "delete it")?;
    transaction.delete_provider(number)
}

impl Transaction<'_> {
    /// Deletes a provider; its application stays without one.
    pub(super) fn delete_provider(&mut self, number: ProviderNumber) -> Result<(), ChangeError> {
        if let Some(application) = self.snapshot().accounts().application_of(number).cloned() {
            let without = Application { provider: None, ..Application::clone(&application) };
            application::put(self, Some(&application), without)?;
        }
        self.delete(Key::Provider(number))
    }
}

fn provider_for(
    transaction: &Transaction<'_>,
    number: ProviderNumber,
    permission: Permission,
) -> Result<LdapProvider, ChangeError> {
    let Some(provider) = transaction.snapshot().accounts().provider(number) else {
        return Err(ChangeError::NotFound { kind: "provider", name: number.to_string() });
    };
    transaction.require_on(permission, ObjectReference::Provider(number), &number.to_string())?;
    Ok((**provider).clone())
}

/// The one writer of providers: puts `provider`, with what is said of it, in the place of `before`. What it takes from
/// another provider needs [`Permission::ChangeProvider`] on that one.
///
/// # Errors
/// What cannot be, or a permission on a provider that would lose something.
pub(super) fn write(
    transaction: &mut Transaction<'_>,
    before: Option<LdapProvider>,
    mut provider: LdapProvider,
    changes: ProviderChanges,
) -> Result<(), ChangeError> {
    let ProviderChanges {
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
        as_given,
    } = changes;
    let rules = transaction.rules();
    set(&mut provider.name, name);
    if let Some(before) = before.as_ref().filter(|before| name_key(&before.name) != name_key(&provider.name))
    {
        let named = ("provider", before.name.as_str());
        names::require_maker(transaction, before.origin, named, names::ANOTHER_NAME)?;
    }
    if let Some(base_dn) = base_dn {
        if before.as_ref().is_none_or(|before| before.base_dn != base_dn) {
            let canonical = transaction.noting(canonical(rules, "base_dn", &base_dn))?;
            set(&mut provider.base_dn, canonical);
        }
        // Blanks beside its parts are kept, as long as they are no more than it.
        let is_short = base_dn.len() <= 2 * provider.base_dn.len();
        provider.as_given.base_dn =
            if base_dn == provider.base_dn || !is_short { String::new() } else { base_dn };
    }
    set(&mut provider.is_default, is_default);
    if is_default == Some(false) {
        transaction.say_not_default(provider.number);
    }
    if let Some(domain) = domain {
        let checked = transaction.noting(check_domain(domain.as_deref()))?;
        set(&mut provider.domain, checked.map(|()| domain));
    }
    set(&mut provider.uid_start_number, uid_start_number);
    set(&mut provider.gid_start_number, gid_start_number);
    set(&mut provider.virtual_groups, virtual_groups);
    set(&mut provider.compatibility_attributes, compatibility_attributes);
    transaction.noting(set_containers(rules, "users", &mut provider.users, users))?;
    transaction.noting(set_containers(
        rules,
        "service_accounts",
        &mut provider.service_accounts,
        service_accounts,
    ))?;
    transaction.noting(set_containers(rules, "groups", &mut provider.groups, groups))?;
    set_as_given(&mut provider.as_given, as_given);
    if before.as_ref() == Some(&provider) {
        return Ok(());
    }
    check_numbers(transaction, before.as_ref(), &provider)?;
    let mut problems = Vec::new();
    let present = &before.as_ref().unwrap_or(&provider).name;
    validate::provider(&provider, present, transaction.snapshot().schema(), &mut problems);
    transaction.noting_all(problems)?;
    let key = name_key(&provider.name);
    let is_taken =
        |other: &Arc<LdapProvider>| other.number != provider.number && name_key(&other.name) == key;
    let accounts = transaction.snapshot().accounts();
    if let Some(other) = accounts.providers().find(|other| is_taken(other)) {
        let other = ObjectReference::Provider(other.number);
        let taken = names::taken(transaction.caller(), accounts, other, &provider.name);
        transaction.noting(Err::<(), _>(taken))?;
    }
    let number = provider.number;
    provider.modified = transaction.now();
    let earlier = transaction.snapshot().clone();
    // One that is to be the default itself takes that from the other, which is asked for below.
    if !provider.is_default {
        mark_only(transaction, number)?;
    }
    transaction.put(Record::Provider(provider))?;
    check_losses(transaction, &earlier, number)
}

/// The only provider is the default one without a mark. It gets the mark when a second one comes, and goes on answering its
/// bare names; but for one of which the same config says that it is not the default.
fn mark_only(transaction: &mut Transaction<'_>, new: ProviderNumber) -> Result<(), ChangeError> {
    let snapshot = transaction.snapshot();
    let [only] = snapshot.trees() else { return Ok(()) };
    let only = only.provider();
    if only.number == new || only.is_default || transaction.is_said_not_default(only.number) {
        return Ok(());
    }
    let marked = LdapProvider { is_default: true, modified: transaction.now(), ..(**only).clone() };
    transaction.put(Record::Provider(marked))
}

/// Whether the caller may take from other providers what this one takes from them: names below or above its suffix, the
/// binds of bare names, those of a domain.
fn check_losses(
    transaction: &Transaction<'_>,
    earlier: &Snapshot,
    number: ProviderNumber,
) -> Result<(), ChangeError> {
    let now = transaction.snapshot();
    let default = |snapshot: &Snapshot| snapshot.default_tree().map(|tree| tree.provider().number);
    let (was_default, is_default) = (default(earlier), default(now));
    let Some(own) = now.tree(number) else { return Ok(()) };
    let was = earlier.tree(number);
    // Usernames that are mail addresses of its domain would bind here, not where bare names do.
    let domain = own.bind_domain().filter(|domain| was.and_then(|was| was.bind_domain()) != Some(*domain));
    let takes_names = domain.is_some_and(|domain| {
        let is_of = |(_, of): (&str, &str)| of.eq_ignore_ascii_case(domain);
        now.accounts().accounts().any(|account| account.username.rsplit_once('@').is_some_and(is_of))
    });
    for other in now.trees().iter().filter(|tree| tree.provider().number != number) {
        let provider = other.provider();
        let is_nested = is_nested(own, other) && was.is_none_or(|was| was.suffix() != own.suffix());
        let loses_default =
            was_default == Some(provider.number) && (is_default != was_default || takes_names);
        let has_domain = |snapshot: &Snapshot| {
            let tree = snapshot.tree(provider.number)?;
            tree.bind_domain().map(str::to_lowercase)
        };
        let loses_domain = has_domain(earlier) != has_domain(now);
        if is_nested || loses_default || loses_domain {
            let on = ObjectReference::Provider(provider.number);
            if !transaction.caller().may(now.accounts(), Permission::ChangeProvider, Some(on)) {
                return Err(takes_from_another(transaction, provider, is_nested));
            }
        }
    }
    Ok(())
}

/// Whether the suffix of one lies below that of the other: whose is the longer answers for what stands in both.
pub(super) fn is_nested(one: &Tree, other: &Tree) -> bool {
    one.provider().number != other.provider().number
        && (is_at_or_below(one.suffix(), other.suffix()) || is_at_or_below(other.suffix(), one.suffix()))
}

/// The refusal names the other provider only to who may view it.
fn takes_from_another(transaction: &Transaction<'_>, other: &LdapProvider, is_nested: bool) -> ChangeError {
    let on = ObjectReference::Provider(other.number);
    let is_known =
        transaction.caller().may(transaction.snapshot().accounts(), Permission::ViewProvider, Some(on));
    let whose =
        if is_known { format!("the provider `{}`", other.name) } else { "another provider".to_owned() };
    let what = match is_nested {
        true => format!("its suffix would lie below or above that of {whose}, whose entries it would hide"),
        false => format!("{whose} would lose the binds of bare names, or those of its domain"),
    };
    let permission = Permission::ChangeProvider;
    ChangeError::Refused(format!(
        "{what}: that needs the permission `{permission}` on it; ask somebody who holds it"
    ))
}

/// Numbers are what files belong to: where there are entries already, another start gives theirs to others.
fn check_numbers(
    transaction: &Transaction<'_>,
    before: Option<&LdapProvider>,
    after: &LdapProvider,
) -> Result<(), ChangeError> {
    let snapshot = transaction.snapshot();
    let starts = |provider: &LdapProvider| (provider.uid_start_number, provider.gid_start_number);
    let is_operator = transaction.caller().is_superuser(snapshot.accounts());
    let is_moved = before.is_some_and(|before| starts(before) != starts(after));
    if is_moved && snapshot.accounts().account_count() + snapshot.accounts().group_count() > 0 && !is_operator
    {
        return Err(ChangeError::Refused(format!(
            "the provider `{}` has entries, whose uidNumbers and gidNumbers would become others: only a superuser may \
             change where they start",
            after.name
        )));
    }
    let least = transaction.rules().posix_number_min;
    for (field, start) in
        [("uid_start_number", after.uid_start_number), ("gid_start_number", after.gid_start_number)]
    {
        let is_new = before.is_none_or(|before| starts(before) != starts(after));
        if is_new && start < least && !is_operator {
            let message = format!(
                "numbers below {least} are those of system accounts: choose a start of at least {least}"
            );
            transaction.noting(Err::<(), _>(ChangeError::field(field, message)))?;
        }
    }
    Ok(())
}

/// A DN as it is kept: it ends the DN of every entry, and clients compare those as strings.
fn canonical(rules: Rules, field: &'static str, dn: &str) -> Result<String, ChangeError> {
    let dn = canonical_dn(dn).map_err(|problem| ChangeError::field(field, problem))?;
    let length_max = rules.container_length_max;
    match dn.len() > length_max {
        true => Err(ChangeError::field(field, format!("expected a DN of at most {length_max} octets"))),
        false => Ok(dn),
    }
}

fn set_containers(
    rules: Rules,
    field: &'static str,
    present: &mut Vec<Container>,
    given: Option<Vec<Container>>,
) -> Result<(), ChangeError> {
    let Some(given) = given else { return Ok(()) };
    // What was let in by another limit stays.
    if given.len() > rules.containers_max.max(present.len()) {
        let count_max = rules.containers_max;
        return Err(ChangeError::field(field, format!("expected at most {count_max} containers")));
    }
    let canonical = |Container { container, naming }: Container| {
        let known = present.iter().find(|known| known.container == container);
        let container =
            known.map_or_else(|| canonical(rules, field, &container), |known| Ok(known.container.clone()))?;
        Ok(Container { container, naming })
    };
    let given = given.into_iter().map(canonical).collect::<Result<_, ChangeError>>()?;
    *present = given;
    Ok(())
}

fn set_as_given(present: &mut AsGiven, changes: AsGivenChanges) {
    let AsGivenChanges {
        authentication_flow,
        authorization_flow,
        invalidation_flow,
        names_certificate,
        search_mode,
        bind_mode,
        mfa_support,
    } = changes;
    set(&mut present.authentication_flow, authentication_flow);
    set(&mut present.authorization_flow, authorization_flow);
    set(&mut present.invalidation_flow, invalidation_flow);
    set(&mut present.names_certificate, names_certificate);
    set(&mut present.search_mode, search_mode);
    set(&mut present.bind_mode, bind_mode);
    set(&mut present.mfa_support, mfa_support);
}

fn check_domain(domain: Option<&str>) -> Result<(), ChangeError> {
    match domain.is_some_and(|domain| !is_domain(domain)) {
        true => Err(ChangeError::field(
            "domain",
            "expected a domain such as \"example.com\", or an empty one for none",
        )),
        false => Ok(()),
    }
}
