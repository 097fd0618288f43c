//! What is stored against a rule that came later, or by a version that knew it not: it is served, told by `check`, and may
//! be changed in all that does not make it worse.

use std::sync::Arc;

use super::{validate, whole};
use crate::directory::Snapshot;
use crate::model::{AccountKind, Grant, Key, Record};
use crate::registry::{ChangeError, Registry, Rules, Viewer};
use crate::store::Store;

impl Registry {
    /// A sentence for each object that is stored against a rule, a hundred at most and one that says that there are more.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn broken_records(self: &Arc<Self>) -> Result<Vec<String>, ChangeError> {
        let registry = Arc::clone(self);
        let walk = move || told(&registry.snapshot(), registry.store(), registry.rules());
        tokio::task::spawn_blocking(walk).await.map_err(|_| ChangeError::Panicked)?
    }
}

/// By the same functions that refuse what is new.
fn told(snapshot: &Snapshot, store: &dyn Store, rules: Rules) -> Result<Vec<String>, ChangeError> {
    let mut found: Vec<String> = Vec::new();
    let accounts = snapshot.accounts();
    let keys = accounts.groups().map(|group| Key::Group(group.number));
    let keys = keys.chain(
        accounts
            .accounts()
            // What bindery keeps for itself has names that nobody else may have.
            .filter(|account| account.kind != AccountKind::InternalServiceAccount)
            .map(|account| Key::Account(account.number)),
    );
    for key in keys {
        if found.len() > TOLD_MAX {
            break;
        }
        // One that was deleted meanwhile is none any more.
        if let Some(record) = store.get(&key).map_err(Arc::new)? {
            object(&record, snapshot, &mut found);
        }
    }
    for role in accounts.roles() {
        let title = format!("the role `{}`", role.name);
        found.extend(validate::name("role", &role.name).err());
        grants(&title, &role.grants, &mut found);
    }
    for token in accounts.tokens() {
        found.extend(validate::identifier(&token.identifier).err());
        found.extend(validate::description_of(&token.identifier, &token.description).err());
        found.extend(validate::networks_of(&token.identifier, &token.networks).err());
    }
    for attribute in snapshot.custom_attributes() {
        found.extend(validate::description_of_type(&attribute.name, &attribute.description).err());
    }
    for application in accounts.applications() {
        found.extend(sentences(|problems| validate::application(application, &application.slug, problems)));
    }
    for provider in accounts.providers() {
        found.extend(sentences(|problems| {
            validate::provider(provider, &provider.name, snapshot.schema(), problems)
        }));
    }
    whole::of_all(snapshot, rules, &mut found);
    if found.len() > TOLD_MAX {
        let more = found.len() - TOLD_MAX;
        found.truncate(TOLD_MAX);
        found.push(format!(
            "there are more objects like these, {more} at least; put these right and look again"
        ));
    }
    Ok(found)
}

fn object(record: &Record, snapshot: &Snapshot, found: &mut Vec<String>) {
    match record {
        Record::Account(account) => {
            let title = format!("the account `{}`", account.username);
            found.extend(sentences(|problems| {
                validate::account(account, &account.username, snapshot, Viewer::of_everything, problems)
            }));
            found.extend(validate::email(&account.email).err().map(|problem| format!("{title}: {problem}")));
            grants(&title, &account.grants, found);
        }
        Record::Group(group) => {
            found.extend(sentences(|problems| {
                validate::group(group, &group.name, snapshot, Viewer::of_everything, problems)
            }));
            grants(&format!("the group `{}`", group.name), &group.grants, found);
        }
        _ => {}
    }
}

/// What a check says, without the names of the fields.
fn sentences(check: impl FnOnce(&mut Vec<validate::FieldProblem>)) -> impl Iterator<Item = String> {
    let mut problems = Vec::new();
    check(&mut problems);
    problems.into_iter().map(|(_, sentence)| sentence)
}

fn grants(title: &str, grants: &[Grant], found: &mut Vec<String>) {
    let problems = grants.iter().filter_map(|grant| validate::grant(grant).err());
    found.extend(problems.map(|problem| format!("{title} holds a grant that does nothing: {problem}")));
}

/// Sentences that are told: enough to see what kind of thing is wrong.
/// No limit of the config: all are counted, and nobody reads more.
const TOLD_MAX: usize = 100;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;
    use crate::model::{
        Account, AccountKind, AccountNumber, AttributeNumber, Change, CustomAttribute, Group, GroupNumber,
        ObjectReference, Permission, Role, Token,
    };
    use crate::plain;
    use crate::registry::TokenChanges;
    use crate::registry::commands::testing::{actor, registry_over, wait};
    use crate::registry::commands::{AccountChanges, GroupChanges, update_account, update_group};
    use crate::store::{Batch, Counters, MemoryStore};

    fn registry_with(records: Vec<Record>) -> Arc<Registry> {
        let store = Arc::new(MemoryStore::new());
        let changes = records.into_iter().map(Change::Put).collect();
        let counters = Counters { next_number: 1_000, next_object: 1_000, ..Counters::default() };
        store.commit(&Batch { changes, counters, seeded: true, ..Batch::default() }).unwrap();
        registry_over(store)
    }

    fn account(number: u32, username: &str) -> Account {
        Account { kind: AccountKind::Internal, ..plain::account(number, username) }
    }

    #[test]
    fn grants_on_other_kinds_are_told() {
        let on = Some(ObjectReference::Account(AccountNumber::new(1)));
        let grant = Grant { permission: Permission::SearchFullDirectory, on };
        let role = Role { grants: vec![grant], ..plain::role(1, "reader") };
        let holder = Account { grants: vec![grant], ..account(1, "holder") };
        let registry = registry_with(vec![Record::Role(role), Record::Account(holder)]);
        let told = wait(registry.broken_records()).unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
        for (told, title) in told.iter().zip(["the account `holder`", "the role `reader`"]) {
            assert!(told.starts_with(title) && told.contains(" on an account;"), "{told}");
            assert!(told.contains("search_full_directory"), "{told}");
        }
    }

    #[test]
    fn a_circle_is_told_once_and_a_hundred_are_enough() {
        let group = |number: u32, parent: u32| {
            let parents = vec![GroupNumber::new(parent)];
            Record::Group(Group { parents, ..plain::group(number, &format!("g{number}")) })
        };
        let registry = registry_with(vec![group(1, 2), group(2, 3), group(3, 1), group(4, 1)]);
        let told = wait(registry.broken_records()).unwrap();
        assert_eq!(told.len(), 1, "{told:?}");

        let many = (1..=150).map(|number| Record::Account(account(number, &format!("a{number} ")))).collect();
        let told = wait(registry_with(many).broken_records()).unwrap();
        assert_eq!(told.len(), TOLD_MAX + 1);
        assert!(told[TOLD_MAX].contains("more"), "{}", told[TOLD_MAX]);
    }

    /// A new name makes nothing worse, and sentences call an account by the name that it has.
    #[test]
    fn what_breaks_a_rule_may_be_renamed() {
        let long = "x".repeat(5_000);
        let attributes = vec![plain::attribute("uid;", &["x"])];
        let old = Account { name: long.clone(), attributes: attributes.clone(), ..account(1, "alice") };
        let group = Group { attributes, ..plain::group(2, "team") };
        let registry = registry_with(vec![
            Record::Account(old),
            Record::Account(account(3, "bob")),
            Record::Group(group),
        ]);
        let set = |changes: AccountChanges| {
            wait(registry.change(actor(), |transaction| {
                transaction.telling_all_fields(|transaction| {
                    update_account(transaction, AccountNumber::new(1), changes)
                })
            }))
        };
        let named = |username: &str| AccountChanges {
            username: Some(username.to_owned()),
            ..AccountChanges::default()
        };
        let attributes = vec![plain::attribute("cn;", &["x"])];
        let refused = set(AccountChanges { attributes: Some(attributes), ..named("bob") }).unwrap_err();
        let told = refused.fields();
        assert!(told.iter().any(|(_, told)| told.contains("the account `alice` cannot have")), "{told:?}");
        assert!(told.iter().all(|(_, told)| !told.contains("`bob` cannot")), "{told:?}");
        set(named("carol")).unwrap();
        let (number, changes) =
            (AccountNumber::new(3), AccountChanges { name: Some(long), ..named("carol") });
        let refused = wait(registry.change(actor(), move |transaction| {
            transaction.telling_all_fields(|transaction| update_account(transaction, number, changes))
        }));
        let told = refused.unwrap_err().fields();
        assert!(told.iter().any(|(_, told)| told.contains("the account `bob` has a full name")), "{told:?}");
        let renamed = GroupChanges { name: Some("crew".to_owned()), ..GroupChanges::default() };
        wait(registry.change(actor(), |transaction| update_group(transaction, GroupNumber::new(2), renamed)))
            .unwrap();
    }

    /// The replacement of a token says nothing that the token did not say.
    #[test]
    fn a_token_that_breaks_a_rule_may_be_rotated_and_is_told() {
        let networks = (0..1_001_u32).map(|host| IpAddr::from(host.to_be_bytes()).into()).collect();
        let token = Token {
            identifier: "of old".to_owned(),
            description: "x".repeat(5_000),
            networks,
            ..plain::token(2, AccountNumber::new(1))
        };
        let attribute = CustomAttribute {
            description: "x".repeat(5_000),
            ..CustomAttribute::of_name(AttributeNumber::new(3), "badge".to_owned())
        };
        let registry = registry_with(vec![
            Record::Account(account(1, "holder")),
            Record::Token(token.clone()),
            Record::CustomAttribute(attribute),
        ]);
        let told = wait(registry.broken_records()).unwrap();
        for problem in
            ["other characters than", "the token `of old` has a description", "1000 networks", "`badge`"]
        {
            assert!(told.iter().any(|told| told.contains(problem)), "{problem}: {told:?}");
        }
        for overlap in [Duration::from_secs(60), Duration::ZERO] {
            wait(registry.rotate_token(actor(), "of old".to_owned(), overlap)).unwrap();
            let snapshot = registry.snapshot();
            let present = snapshot.accounts().token_named("of old").unwrap();
            assert_eq!((&present.description, &present.networks), (&token.description, &token.networks));
        }
        // What it says anew is held against the rule.
        let changes = TokenChanges { description: Some("y".repeat(5_000)), ..TokenChanges::default() };
        wait(registry.update_token(actor(), "of old".to_owned(), changes)).unwrap_err();
    }

    /// What was so before is not refused again, and nothing else is let through beside it.
    #[test]
    fn what_breaks_a_rule_may_be_changed_in_all_else() {
        let group = plain::group(2, " team");
        let registry = registry_with(vec![Record::Account(account(1, "old ")), Record::Group(group)]);
        let set_account =
            |changes: AccountChanges| {
                wait(registry.change(actor(), |transaction| {
                    update_account(transaction, AccountNumber::new(1), changes)
                }))
            };
        let set_group = |changes: GroupChanges| {
            wait(
                registry
                    .change(actor(), |transaction| update_group(transaction, GroupNumber::new(2), changes)),
            )
        };
        let wrong = vec![plain::attribute("uid;", &["x"])];
        set_account(AccountChanges { name: Some("Old".to_owned()), ..AccountChanges::default() }).unwrap();
        set_group(GroupChanges { is_superuser: Some(true), ..GroupChanges::default() }).unwrap();
        for name in [" old", "old\u{200b}"] {
            let changes = AccountChanges { username: Some(name.to_owned()), ..AccountChanges::default() };
            set_account(changes).unwrap_err();
        }
        set_account(AccountChanges { attributes: Some(wrong.clone()), ..AccountChanges::default() })
            .unwrap_err();
        set_group(GroupChanges { attributes: Some(wrong), ..GroupChanges::default() }).unwrap_err();
        assert_eq!(wait(registry.broken_records()).unwrap().len(), 2);
        set_account(AccountChanges { username: Some("old".to_owned()), ..AccountChanges::default() })
            .unwrap();
        set_group(GroupChanges { name: Some("team".to_owned()), ..GroupChanges::default() }).unwrap();
        assert_eq!(wait(registry.broken_records()).unwrap(), Vec::<String>::new());
    }
}
