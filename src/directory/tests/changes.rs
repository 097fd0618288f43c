//! A snapshot made by changes is the one that is built anew, and older ones stay as they were.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::fixture::{Tape, World, membership};
use super::reference::{Reference, own_entries};
use super::searches::{all_values, random_filter};
use crate::directory::{
    EntryId, Evaluator, OwnEntries, PreparedFilter, RecordSource, Scope, Snapshot, SnapshotBuilder,
    TreeReader, Visibility, Walk,
};
use crate::model::{
    AccountNumber, Change, GroupNumber, Key, ProviderNumber, Record, Revision, Token, TokenNumber,
    TokenSelector,
};
use crate::plain::{self, account, attribute, group, provider};

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4_000, ..crate::rounds::cases(40) })]

    #[test]
    fn changes_lead_where_building_anew_leads(
        directory in proptest::collection::vec(any::<u16>(), 0..300),
        changes in proptest::collection::vec(any::<u16>(), 0..300),
        questions in proptest::collection::vec(any::<u16>(), 0..120),
    ) {
        let mut world = World::random(&mut Tape::new(&directory));
        let mut tape = Tape::new(&changes);
        let mut snapshot = world.snapshot_from(&mut tape);
        let mut kept = vec![(describe(&snapshot), snapshot.clone())];
        let mut revision = 1;
        while !tape.is_at_end() {
            let mut batch = Vec::new();
            for _ in 0..1 + tape.below(3) {
                change(&mut world, &mut tape, &mut batch);
            }
            revision += 1;
            snapshot = snapshot.apply(revision, &batch, &world).unwrap();
            kept.push((describe(&snapshot), snapshot.clone()));
        }
        let anew = world.snapshot_from(&mut tape);
        prop_assert_eq!(describe(&snapshot), describe(&anew));
        let records = world.records(&mut tape).into_iter().map(Change::Put);
        let (first, objects): (Vec<Change>, Vec<Change>) =
            records.partition(|change| matches!(change, Change::Put(Record::Provider(_) | Record::CustomAttribute(_))));
        let one_by_one = Snapshot::empty().apply(1, &first, &World::default()).unwrap();
        let one_by_one = one_by_one.apply(1, &objects, &world).unwrap();
        prop_assert_eq!(describe(&one_by_one), describe(&anew));
        for (before, old) in &kept {
            prop_assert_eq!(before, &describe(old));
        }
        let mut tape = Tape::new(&questions);
        for provider in world.providers.values() {
            let pool = Reference::new(&world, &anew, provider, None);
            for _ in 0..12 {
                let filter = random_filter(&world, &pool, &mut tape, 2);
                let mut items = Vec::new();
                filter.flat(&mut items);
                let found = search(&anew, provider.number, &items);
                prop_assert_eq!(&search(&snapshot, provider.number, &items), &found);
                prop_assert_eq!(&search(&one_by_one, provider.number, &items), &found);
            }
        }
    }
}

impl Snapshot {
    /// The next snapshot: this one with the changes of one commit. What did not change is shared.
    ///
    /// # Errors
    /// As [`Snapshot::apply_change`].
    pub(crate) fn apply(
        &self,
        revision: Revision,
        changes: &[Change],
        source: &dyn RecordSource,
    ) -> Result<Self, String> {
        let mut next = self.clone();
        // What entries are made of is there before the entries.
        let is_of_schema = |change: &&Change| {
            matches!(
                change,
                Change::Put(Record::CustomAttribute(_)) | Change::Delete(Key::CustomAttribute(_))
            )
        };
        for change in changes.iter().filter(is_of_schema) {
            next.apply_change(change, source)?;
        }
        // What names an account or a group may come before it.
        let mut later = Vec::new();
        for change in changes.iter().filter(|change| !is_of_schema(change)) {
            match change {
                Change::Put(record) if next.is_early(record) => later.push(change),
                change => next.apply_change(change, source)?,
            }
        }
        for change in later {
            next.apply_change(change, source)?;
        }
        next.set_revision(revision);
        Ok(next)
    }

    /// Whether the record names an account or a group that is not there yet.
    fn is_early(&self, record: &Record) -> bool {
        match record {
            Record::Membership(membership) => {
                self.accounts().account(membership.account).is_none()
                    || self.accounts().group(membership.group).is_none()
            }
            Record::Token(token) => self.accounts().account(token.account).is_none(),
            _ => false,
        }
    }
}

fn search(
    snapshot: &Snapshot,
    provider: ProviderNumber,
    items: &[crate::directory::filter::FilterItem<'_>],
) -> (Vec<EntryId>, u64) {
    let look = TreeReader::new(snapshot, snapshot.tree(provider).unwrap(), &Visibility::Full);
    let prepared = PreparedFilter::new(items, &look);
    let mut walk = Walk::new(&look, &prepared, EntryId::SUFFIX, Scope::Subtree);
    let found = std::iter::from_fn(|| walk.next(&look))
        .filter(|id| Evaluator::default().matches(&prepared, &look, *id, &look.entry(*id).unwrap()))
        .collect();
    (found, walk.examined())
}

/// Everything that a snapshot says, as text.
fn describe(snapshot: &Snapshot) -> Vec<String> {
    let mut all = Vec::new();
    let mut trees: Vec<_> = snapshot.trees().iter().collect();
    trees.sort_by_key(|tree| tree.provider().number);
    for tree in trees {
        let look = TreeReader::new(snapshot, tree, &Visibility::Full);
        all.push(format!("{} of {} entries", tree.provider().base_dn, tree.len()));
        let mut next = Some(0);
        while let Some(id) = next.and_then(|next| tree.next(next)) {
            let entry = tree.entry(id).unwrap();
            let mut octets = Vec::new();
            entry.put_attributes(0, usize::MAX, &mut |part| octets.extend_from_slice(part));
            all.push(format!("{id:?} {} {}", String::from_utf8_lossy(entry.dn()), octets.escape_ascii()));
            all.push(format!("{:?}", all_values(&look, id)));
            all.push(format!("{:?}", tree.children(id).map(|ids| ids.iter().collect::<Vec<_>>())));
            assert_eq!(look.find(entry.dn()), Some(id));
            next = id.raw().checked_add(1);
        }
    }
    let accounts = snapshot.accounts();
    for account in accounts.accounts() {
        all.push(format!("{} {:?}", account.username, accounts.groups_of(account)));
        let tokens: BTreeSet<TokenNumber> = account.tokens.iter().copied().collect();
        all.push(format!("{tokens:?}"));
        assert_eq!(accounts.account_named(&account.username).unwrap().number, account.number);
    }
    for group in accounts.groups() {
        all.push(format!("{} {:?} {:?}", group.name, group.closure, group.members().collect::<Vec<_>>()));
        all.push(format!("{:?}", accounts.groups_below(group.number)));
        assert_eq!(accounts.group_named(&group.name).unwrap().number, group.number);
    }
    all.extend(
        accounts.tokens().map(|token| format!("{token:?} {:?}", accounts.token_found_by(&token.selector))),
    );
    all
}

/// Changes the world, and says so as a commit would.
fn change(world: &mut World, tape: &mut Tape<'_>, batch: &mut Vec<Change>) {
    let accounts: Vec<u32> = world.accounts.keys().copied().collect();
    let groups: Vec<u32> = world.groups.keys().copied().collect();
    match tape.below(10) {
        0..=2 => {
            let place = tape.below(20) as u32;
            if let Some(number) = world.put_random_object(place, tape) {
                put_object(world, number, batch);
            }
        }
        3 if !accounts.is_empty() => delete_account(world, *tape.pick(&accounts), tape, batch),
        4 if !groups.is_empty() => delete_group(world, *tape.pick(&groups), tape, batch),
        5 | 6 if !groups.is_empty() && !accounts.is_empty() => {
            let pair = (*tape.pick(&groups), *tape.pick(&accounts));
            let record = membership(pair.0, pair.1);
            if world.memberships.remove(&pair) {
                batch.push(Change::Delete(record.key()));
            } else {
                world.memberships.insert(pair);
                batch.push(Change::Put(record));
            }
        }
        7 if groups.len() > 1 => {
            let (number, parent) = (*tape.pick(&groups), GroupNumber::new(*tape.pick(&groups)));
            let child = world.groups.get_mut(&number).unwrap();
            match child.parents.iter().position(|other| *other == parent) {
                Some(at) => drop(child.parents.remove(at)),
                None if parent.get() != number => child.parents.push(parent),
                None => {}
            }
            batch.push(Change::Put(Record::Group(child.clone())));
        }
        8 if !accounts.is_empty() => {
            let number = 500 + tape.below(6) as u32;
            let token = token(number, *tape.pick(&accounts), tape.below(3) as u32);
            world.tokens.insert(number, token.clone());
            batch.push(Change::Put(Record::Token(token)));
        }
        _ => {
            let number = *tape.pick(&world.providers.keys().copied().collect::<Vec<_>>());
            let provider = world.providers.get_mut(&number).unwrap();
            provider.virtual_groups ^= true;
            batch.push(Change::Put(Record::Provider(provider.clone())));
        }
    }
}

fn put_object(world: &World, number: u32, batch: &mut Vec<Change>) {
    let record = match world.accounts.get(&number) {
        Some(account) => Record::Account(account.clone()),
        None => Record::Group(world.groups[&number].clone()),
    };
    batch.push(Change::Put(record));
}

fn delete_account(world: &mut World, number: u32, tape: &mut Tape<'_>, batch: &mut Vec<Change>) {
    let mut deleted = vec![Key::Account(AccountNumber::new(number))];
    world.accounts.remove(&number);
    world.memberships.retain(|(group, account)| {
        if *account == number {
            deleted.push(membership(*group, *account).key());
        }
        *account != number
    });
    world.tokens.retain(|token, of| {
        if of.account.get() == number {
            deleted.push(Key::Token(TokenNumber::new(*token)));
        }
        of.account.get() != number
    });
    push_in_any_order(deleted.into_iter().map(Change::Delete).collect(), tape, batch);
}

fn delete_group(world: &mut World, number: u32, tape: &mut Tape<'_>, batch: &mut Vec<Change>) {
    let mut changes = vec![Change::Delete(Key::Group(GroupNumber::new(number)))];
    world.groups.remove(&number);
    world.memberships.retain(|(group, account)| {
        if *group == number {
            changes.push(Change::Delete(membership(*group, *account).key()));
        }
        *group != number
    });
    for child in world.groups.values_mut() {
        let count = child.parents.len();
        child.parents.retain(|parent| parent.get() != number);
        if child.parents.len() != count {
            changes.push(Change::Put(Record::Group(child.clone())));
        }
    }
    push_in_any_order(changes, tape, batch);
}

fn push_in_any_order(mut changes: Vec<Change>, tape: &mut Tape<'_>, batch: &mut Vec<Change>) {
    while !changes.is_empty() {
        batch.push(changes.swap_remove(tape.below(changes.len())));
    }
}

fn token(number: u32, account: u32, generation: u32) -> Token {
    Token {
        selector: match number % 3 {
            0 => TokenSelector::None,
            1 => TokenSelector::Generated(format!("selector-{number}-{generation}")),
            _ => TokenSelector::Chosen(*blake3::hash(format!("{number}-{generation}").as_bytes()).as_bytes()),
        },
        generation,
        ..plain::token(number, AccountNumber::new(account))
    }
}

/// Whoever was a superuser through a group is none from the moment that the group, or one between,
/// is gone, even where the records of the groups below still name it.
#[test]
fn a_group_that_is_gone_passes_nothing_on() {
    let mut world = World::default();
    world.providers.insert(1, provider(1, "dc=example"));
    world.accounts.insert(10, account(10, "alice"));
    for (number, name, parent) in [(20, "low", Some(21)), (21, "middle", Some(22)), (22, "high", None)] {
        let mut group = group(number, name);
        group.is_superuser = number == 22;
        group.parents = parent.map(GroupNumber::new).into_iter().collect();
        world.groups.insert(number, group);
    }
    world.memberships = [(20, 10)].into();
    let snapshot = world.snapshot();
    let alice = |snapshot: &Snapshot| {
        let accounts = snapshot.accounts();
        accounts.is_superuser(accounts.account(AccountNumber::new(10)).unwrap())
    };
    assert!(alice(&snapshot));
    for gone in [20, 21, 22] {
        let after = snapshot.apply(2, &[Change::Delete(Key::Group(GroupNumber::new(gone)))], &world).unwrap();
        assert!(!alice(&after), "{gone}");
    }
    assert!(alice(&snapshot));
}

/// The changes of one commit may come in any order.
#[test]
fn a_membership_may_come_before_those_that_it_names() {
    let mut world = World::default();
    world.providers.insert(1, provider(1, "dc=example"));
    let before = world.snapshot();
    let changes = [
        Change::Put(membership(20, 10)),
        Change::Put(Record::Token(token(500, 10, 0))),
        Change::Put(Record::Group(group(20, "it"))),
        Change::Put(Record::Account(account(10, "alice"))),
    ];
    let after = before.apply(2, &changes, &world).unwrap();
    let alice = after.accounts().account(AccountNumber::new(10)).unwrap();
    assert_eq!(*alice.groups, [GroupNumber::new(20)]);
    assert_eq!(*alice.tokens, [TokenNumber::new(500)]);
    assert!(after.accounts().group(GroupNumber::new(20)).unwrap().has_member(alice.number));
}

#[test]
fn objects_between_providers_are_not_lost_in_silence() {
    let mut builder = SnapshotBuilder::new();
    builder.add(Record::Provider(provider(1, "dc=one")));
    builder.add(Record::Account(account(10, "alice")));
    builder.add(Record::Provider(provider(2, "dc=two")));
    match builder.finish(1) {
        Ok(snapshot) => assert_eq!(snapshot.trees()[0].len(), snapshot.trees()[1].len()),
        Err(error) => assert!(error.contains("provider"), "{error}"),
    }
}

/// What an index remembers of an entry goes with the entry.
#[test]
fn a_deleted_account_leaves_no_posting() {
    let mut world = World::default();
    world.providers.insert(1, provider(1, "dc=example"));
    world.accounts.insert(10, account(10, "alice"));
    let snapshot = world.snapshot();
    let uuid = world.accounts[&10].uuid.to_string();
    let after = snapshot.apply(2, &[Change::Delete(Key::Account(AccountNumber::new(10)))], &world).unwrap();
    let filter =
        [crate::directory::filter::FilterItem::Equality { attribute: "entryUUID", value: uuid.as_bytes() }];
    assert_eq!(search(&snapshot, ProviderNumber::new(1), &filter).1, 1);
    assert_eq!(search(&after, ProviderNumber::new(1), &filter), (Vec::new(), 0));
    let mut given = world.accounts[&10].clone();
    given.attributes = vec![attribute("gidNumber", &["7"])];
    let virtual_uuid = crate::directory::entry_id::virtual_group_uuid(given.uuid).to_string();
    let after = snapshot.apply(2, &[Change::Put(Record::Account(given))], &world).unwrap();
    let filter = [crate::directory::filter::FilterItem::Equality {
        attribute: "entryUUID",
        value: virtual_uuid.as_bytes(),
    }];
    assert_eq!(search(&snapshot, ProviderNumber::new(1), &filter).1, 1);
    assert_eq!(search(&after, ProviderNumber::new(1), &filter), (Vec::new(), 0));
}

/// Readers of an older snapshot go on with what they began.
#[test]
fn a_reader_keeps_its_snapshot() {
    let mut world = World::default();
    world.providers.insert(1, provider(1, "dc=example"));
    world.accounts.insert(10, account(10, "alice"));
    world.groups.insert(20, group(20, "it"));
    world.memberships = [(20, 10)].into();
    let snapshot = world.snapshot();
    let visibility = Visibility::Own(OwnEntries::new(own_entries(&world, 10)));
    let look = TreeReader::new(&snapshot, &snapshot.trees()[0], &visibility);
    let before = all_values(&look, EntryId::of_account(AccountNumber::new(10)));
    let changes = [Change::Delete(Key::Membership(GroupNumber::new(20), AccountNumber::new(10)))];
    let after = snapshot.apply(2, &changes, &world).unwrap();
    assert_eq!(all_values(&look, EntryId::of_account(AccountNumber::new(10))), before);
    let account = after.accounts().account(AccountNumber::new(10)).unwrap();
    assert!(account.groups.is_empty());
}

/// Whether an attribute is known depends on its declaration alone, wherever that stands among the records.
#[test]
fn an_attribute_type_is_known_by_its_declaration_alone() {
    let mut world = World::default();
    world.providers.insert(1, provider(1, "dc=example"));
    let mut alice = account(10, "alice");
    alice.attributes = vec![attribute("Clearance;x-old", &["007"])];
    world.accounts.insert(10, alice);
    assert_eq!(world.snapshot().schema().find("clearance"), None, "nobody has declared it");

    world.declare(&["clearance"]);
    let records = world.records(&mut Tape::new(&[]));
    for turn in 0..records.len() {
        let mut builder = SnapshotBuilder::new();
        for record in records.iter().cycle().skip(turn).take(records.len()) {
            builder.add(record.clone());
        }
        let snapshot = builder.finish(1).unwrap();
        let filter = [crate::directory::filter::FilterItem::Present { attribute: "clearance" }];
        assert_eq!(search(&snapshot, ProviderNumber::new(1), &filter).0.len(), 1, "{turn}");
        let entry = snapshot.trees()[0].entry(EntryId::of_account(AccountNumber::new(10))).unwrap();
        assert!(entry.attributes().any(|stored| stored.description() == b"clearance;x-old"), "{turn}");

        let gone =
            snapshot.apply(2, &[Change::Delete(Key::Account(AccountNumber::new(10)))], &world).unwrap();
        assert!(gone.schema().find("clearance").is_some(), "it outlives the last that has it");
    }
}

/// Entries are made anew when values of a type mean something else than before.
#[test]
fn another_syntax_makes_the_entries_anew() {
    let mut world = World::default();
    world.providers.insert(1, provider(1, "dc=example"));
    world.declare(&["badge", "other"]);
    let mut alice = account(10, "alice");
    alice.attributes = vec![attribute("badge", &["7", "007", "8"])];
    alice.placements = vec![crate::model::Placement {
        provider: ProviderNumber::new(1),
        container: "ou=users".to_owned(),
        rdn: "badge=7".to_owned(),
    }];
    world.accounts.insert(10, alice);
    let before = world.snapshot();
    world.attributes[0].syntax = crate::model::AttributeSyntax::Integer;
    world.attributes[0].name = "Badge".to_owned();
    let changes = [Change::Put(Record::CustomAttribute(world.attributes[0].clone()))];
    let after = before.apply(2, &changes, &world).unwrap();
    assert_eq!(describe(&after), describe(&world.snapshot()));
    let find = |snapshot: &Snapshot, value: &str| {
        let filter =
            [crate::directory::filter::FilterItem::Equality { attribute: "BADGE", value: value.as_bytes() }];
        let dn = format!("badge={value},ou=users,dc=example");
        let is_found =
            TreeReader::new(snapshot, &snapshot.trees()[0], &Visibility::Full).find(dn.as_bytes()).is_some();
        (search(snapshot, ProviderNumber::new(1), &filter).0.len(), is_found)
    };
    assert_eq!((find(&before, "0008"), find(&before, "0007")), ((0, false), (0, false)));
    assert_eq!((find(&after, "0008"), find(&after, "0007")), ((1, false), (1, true)));

    let other = after.schema().find("other").unwrap();
    let key = Key::CustomAttribute(world.attributes[1].number);
    let without = after.apply(3, &[Change::Delete(key)], &world).unwrap();
    assert_eq!(without.schema().find("other"), None);
    assert_eq!(without.schema().attribute(other).equality, None);
    assert_eq!(find(&without, "8"), (1, false));
    world.attributes.remove(1);
    assert_eq!(describe(&without), describe(&world.snapshot()));
}
