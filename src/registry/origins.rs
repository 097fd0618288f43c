//! Whose the objects are that are older than that is kept, looked up in the trail, and which tokens have taken whose place,
//! told by their names: once.

use std::collections::HashMap;

use super::{Registry, nobody};
use crate::directory::Accounts;
use crate::model::{
    Action, Actor, Event, InternalAccount, Key, Origin, Record, Timestamp, TokenNumber, Trail,
};
use crate::registry::caller::origin_of;
use crate::registry::commands::is_replaced_name;
use crate::registry::{ChangeError, Transaction};
use crate::store::Store;

/// Whether nobody has looked yet whose a record is.
pub(super) fn is_unknown(record: &Record) -> bool {
    origin(record) == Some(Origin::Unknown)
}

impl Registry {
    /// Hands what was found about these objects to the writer, which has it done before any other change. What is not
    /// committed is looked up at the next start.
    pub(super) fn look_up_origins(&self, keys: Vec<Key>) {
        if keys.is_empty() {
            return;
        }
        tracing::info!(objects = keys.len(), "looking up in the audit trail who made what there is");
        let made = match creations(&*self.store) {
            Ok(made) => made,
            Err(error) => {
                tracing::warn!(%error, "the audit trail cannot be read: whose the objects are is looked up at the next start");
                return;
            }
        };
        for part in keys.chunks(RECORDS_TOGETHER) {
            let found: Vec<(Key, Origin)> = part
                .iter()
                .map(|key| (key.clone(), object(key).and_then(|object| made.get(&object)).copied()))
                // What the trail does not tell was made by whoever had the store then.
                .map(|(key, origin)| (key, origin.unwrap_or(Origin::Operator)))
                .collect();
            self.change_later(nobody(), move |transaction| keep(transaction, found));
        }
    }
}

/// Who made which object, as far as the trail reaches back.
fn creations(store: &dyn Store) -> Result<HashMap<(&'static str, u32), Origin>, crate::store::StoreError> {
    let mut made = HashMap::new();
    let mut after = 0;
    loop {
        let events = store.events(Trail::Changes, after, EVENTS_TOGETHER)?;
        let Some(last) = events.last() else { return Ok(made) };
        after = last.sequence;
        for event in &events {
            if let Some(object) = created(event) {
                made.insert(object, maker(&event.actor));
            }
        }
    }
}

fn created(event: &Event) -> Option<(&'static str, u32)> {
    if event.action != Action::ModelCreated {
        return None;
    }
    let kind = KINDS.into_iter().find(|kind| *kind == event.object_kind)?;
    Some((kind, event.object_key?))
}

fn maker(actor: &Actor) -> Origin {
    match actor.number {
        Some(number) if InternalAccount::of_number(number).is_none() => Origin::Account(number),
        Some(_) => origin_of(actor),
        // From before these were accounts. Whoever was one had a number, whatever they were called.
        None => match actor.account.as_str() {
            "config" => Origin::Config,
            "import" => Origin::Import,
            "bindery" => Origin::Server,
            _ => Origin::Operator,
        },
    }
}

fn keep(transaction: &mut Transaction<'_>, found: Vec<(Key, Origin)>) -> Result<(), ChangeError> {
    for (key, origin) in found {
        transaction.set_origin(&key, origin)?;
        if let Key::Token(number) = key {
            link(transaction, number)?;
        }
    }
    Ok(())
}

/// Says of the token that has taken the place of this one, and of those that it took the place of before, with which one
/// they began. It is told by their names; where it was renamed since, or two could be it, it is not known any more.
fn link(transaction: &mut Transaction<'_>, replaced: TokenNumber) -> Result<(), ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let Some(replaced) = accounts.token(replaced).filter(|token| token.is_replaced).cloned() else {
        return Ok(());
    };
    let owner = accounts.account(replaced.account).map(|owner| owner.tokens.clone()).unwrap_or_default();
    let of_owner: Vec<_> = owner
        .iter()
        .filter_map(|number| accounts.token(*number))
        .filter(|token| token.intent == replaced.intent)
        .collect();
    let mut followers = of_owner.iter().filter(|token| {
        !token.is_replaced && token.number > replaced.number && is_replaced_name(&replaced.identifier, token)
    });
    let (Some(successor), None) = (followers.next(), followers.next()) else { return Ok(()) };
    let row = of_owner.iter().filter(|token| {
        token.is_replaced && token.number < successor.number && is_replaced_name(&token.identifier, successor)
    });
    let mut row: Vec<TokenNumber> = row.map(|token| token.number).collect();
    row.sort_unstable();
    let Some((first, later)) = row.split_first() else { return Ok(()) };
    for number in later.iter().copied().chain([successor.number]) {
        transaction.set_beginning(number, *first)?;
    }
    Ok(())
}

/// Whose a record is; `None`: it is of a kind of which that is not kept.
pub(super) fn origin(record: &Record) -> Option<Origin> {
    match record {
        Record::Account(account) => Some(account.origin),
        Record::Group(group) => Some(group.origin),
        Record::Role(role) => Some(role.origin),
        Record::Token(token) => Some(token.origin),
        Record::Application(application) => Some(application.origin),
        Record::Provider(provider) => Some(provider.origin),
        Record::Membership(_)
        | Record::CustomAttribute(_)
        | Record::Tombstone(_)
        | Record::Usage(_)
        | Record::Event(_) => None,
    }
}

/// See [`Accounts::is_strangers`].
pub(super) fn is_strangers(origin: Origin, accounts: &Accounts) -> bool {
    accounts.is_strangers(origin)
}

/// Whose something of this origin is, in words.
pub(super) fn whose(origin: Origin, accounts: &Accounts) -> String {
    match origin {
        Origin::Account(number) => {
            let maker = accounts.account(number);
            maker.map_or_else(
                || format!("the deleted account {number}"),
                |maker| format!("`{}`", maker.username),
            )
        }
        Origin::Config => "the config".to_owned(),
        Origin::Import => "an import".to_owned(),
        Origin::Server => "the server".to_owned(),
        Origin::Operator | Origin::Unknown => "the operator".to_owned(),
    }
}

/// Who made an object, and when, in words.
pub(super) fn made(record: &Record, accounts: &Accounts) -> String {
    let whose = whose(origin(record).unwrap_or_default(), accounts);
    match time_of_creation(record) {
        Some(created) => format!("made by {whose} at {created}"),
        None => format!("made by {whose}"),
    }
}

fn time_of_creation(record: &Record) -> Option<Timestamp> {
    match record {
        Record::Account(account) => Some(account.created),
        Record::Group(group) => Some(group.created),
        Record::Token(token) => Some(token.created),
        Record::Application(application) => Some(application.created),
        Record::Provider(provider) => Some(provider.created),
        _ => None,
    }
}

/// Says whose a record is.
pub(super) fn with_origin(record: Record, origin: Origin) -> Record {
    let mut record = record;
    match &mut record {
        Record::Account(account) => account.origin = origin,
        Record::Group(group) => group.origin = origin,
        Record::Role(role) => role.origin = origin,
        Record::Token(token) => token.origin = origin,
        Record::Application(application) => application.origin = origin,
        Record::Provider(provider) => provider.origin = origin,
        Record::Membership(_)
        | Record::CustomAttribute(_)
        | Record::Tombstone(_)
        | Record::Usage(_)
        | Record::Event(_) => {}
    }
    record
}

/// What an event calls the object of this key.
fn object(key: &Key) -> Option<(&'static str, u32)> {
    key.object().map(|on| (on.kind(), on.number()))
}

const KINDS: [&str; 6] = ["account", "group", "role", "token", "application", "provider"];

/// Events that are read at a time.
const EVENTS_TOGETHER: usize = 1_000;

/// Records that are written in one change.
const RECORDS_TOGETHER: usize = 500;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::{Credential, Holder};
    use crate::audit::EventObject;
    use crate::model::AccountNumber;
    use crate::registry::Caller;
    use crate::registry::commands::testing::{registry_over, wait};
    use crate::registry::commands::{GroupChanges, create_group};
    use crate::store::{Batch, MemoryStore, Store};

    /// Groups made by each of these, as a store of the first version has them.
    fn without_origins(makers: Vec<Caller>) -> Arc<MemoryStore> {
        let store = Arc::new(MemoryStore::new());
        let registry = registry_over(store.clone());
        for (place, maker) in makers.into_iter().enumerate() {
            let name = format!("group-{place}");
            // Who makes it need not exist: only its event is looked at.
            wait(registry.change(Actor::named("test"), move |transaction| {
                let number = create_group(transaction, name, GroupChanges::default())?;
                let record = Record::Group(transaction.group(number)?.unwrap());
                transaction.delete(record.key())?;
                transaction.put(with_origin(record.clone(), Origin::Unknown))?;
                // Each of these is in the way of the one before it.
                let event =
                    transaction.note_with(Action::ModelCreated, EventObject::of(&record), Vec::new())?;
                transaction.note_event(Event { actor: maker.actor().clone(), ..event })
            }))
            .unwrap();
        }
        registry.close();
        store
    }

    fn origins(store: Arc<MemoryStore>) -> Vec<Origin> {
        let registry = registry_over(store.clone());
        // The writer does what is handed to it in order.
        wait(registry.is_seeded()).unwrap();
        registry.close();
        let mut found = Vec::new();
        store
            .load(&mut |record| {
                found.extend(matches!(record, Record::Group(_)).then(|| origin(&record)).flatten())
            })
            .unwrap();
        found
    }

    #[test]
    fn whose_old_objects_are_is_looked_up_in_the_trail() {
        let number = AccountNumber::new(77);
        let holder = Holder { account: number, credential: Credential::Password { generation: 1 } };
        let account = Caller::account(holder, Actor { number: Some(number), ..Actor::named("mallory") });
        let impostor = Caller::account(holder, Actor { number: Some(number), ..Actor::named("config") });
        let named = |name: &str| Caller::from(Actor::named(name));
        let mut makers = vec![account, impostor, named("config"), named("import"), named("command line")];
        makers.extend(InternalAccount::ALL.map(|internal| Caller::from(Actor::internal(internal))));
        let store = without_origins(makers);
        let expected = [
            Origin::Account(number),
            Origin::Account(number),
            Origin::Config,
            Origin::Import,
            Origin::Operator,
            Origin::Operator,
            Origin::Config,
            Origin::Import,
            Origin::Server,
        ];
        assert_eq!(origins(store.clone()), expected);
        // Once.
        let revision = store.meta().revision;
        assert_eq!(origins(store.clone()), expected);
        assert_eq!(store.meta().revision, revision);
    }

    #[test]
    fn what_the_trail_does_not_tell_is_the_operators() {
        let store = without_origins(vec![Caller::from(Actor::named("config"))]);
        let mut meta = store.meta();
        let changes = &mut meta.counters.trails.changes;
        changes.first = changes.next;
        let gone = (1..changes.next)
            .map(|sequence| crate::model::Change::Delete(Key::Event(Trail::Changes.at(sequence))));
        store
            .commit(&Batch {
                changes: gone.collect(),
                counters: meta.counters,
                seeded: false,
                ..Batch::default()
            })
            .unwrap();
        assert_eq!(origins(store), [Origin::Operator]);
    }
}
