//! The indexed search finds what the reference finds, and nothing hidden has a part in it.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::fixture::{NAMES, Tape, World, normal};
use super::reference::{Filter, Reference, is_at_or_below, is_child, own_entries};
use crate::directory::filter::{FilterItem, PartPosition};
use crate::directory::{
    EntryId, Evaluator, FilterBounds, OwnEntries, PreparedFilter, Scope, Snapshot, Tree, TreeReader, Truth,
    ValueLook, ValuesFilter, Visibility, Walk,
};
use crate::model::{AccountKind, Attribute, GroupNumber, LdapProvider};
use crate::plain::{account, attribute, group, provider};
use crate::schema::{AttributeId, MatchingRule, RuleKind, Schema, Syntax};

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4_000, ..crate::rounds::cases(64) })]

    #[test]
    fn a_search_finds_what_the_reference_finds(
        directory in proptest::collection::vec(any::<u16>(), 0..400),
        questions in proptest::collection::vec(any::<u16>(), 0..500),
    ) {
        let world = World::random(&mut Tape::new(&directory));
        let mut tape = Tape::new(&questions);
        let snapshot = world.snapshot_from(&mut tape);
        for provider in world.providers.values() {
            for reader in readers(&world, &mut tape) {
                let visibility = visibility(&world, reader);
                let tree = snapshot.tree(provider.number).unwrap();
                let look = TreeReader::new(&snapshot, tree, &visibility);
                let reference = Reference::new(&world, &snapshot, provider, reader);
                same_values(&look, &reference);
                let everything = Reference::new(&world, &snapshot, provider, None);
                for _ in 0..12 {
                    let filter = random_filter(&world, &everything, &mut tape, 3);
                    same_answers(&look, &reference, &filter, &mut tape);
                    let dn = world.random_dn(&mut tape);
                    prop_assert_eq!(look.find(dn.as_bytes()), reference.find(dn.as_bytes()), "{}", dn);
                    prop_assert_eq!(look.matched_dn(&normal(&dn)), matched(&reference, provider, &dn), "{}", dn);
                }
            }
        }
    }

    #[test]
    fn what_is_hidden_changes_nothing(
        directory in proptest::collection::vec(any::<u16>(), 0..400),
        difference in proptest::collection::vec(any::<u16>(), 0..200),
        questions in proptest::collection::vec(any::<u16>(), 0..400),
    ) {
        let world = World::random(&mut Tape::new(&directory));
        let mut tape = Tape::new(&questions);
        let Some(reader) = readers(&world, &mut tape)[1] else { return Ok(()) };
        let other = differing_in_what_is_hidden(&world, reader, &mut Tape::new(&difference));
        let (first, second) = (world.snapshot(), other.snapshot());
        for provider in world.providers.values() {
            let (seen, also_seen) = (visibility(&world, Some(reader)), visibility(&other, Some(reader)));
            prop_assert_eq!(&seen, &also_seen);
            let one = TreeReader::new(&first, first.tree(provider.number).unwrap(), &seen);
            let two = TreeReader::new(&second, second.tree(provider.number).unwrap(), &also_seen);
            let pools = [
                Reference::new(&world, &first, provider, None),
                Reference::new(&other, &second, provider, None),
            ];
            for pool in &pools {
                for entry in &pool.entries {
                    prop_assert_eq!(one.find(entry.dn.as_bytes()), two.find(entry.dn.as_bytes()), "{}", &entry.dn);
                    prop_assert_eq!(one.matched_dn(&normal(&entry.dn)), two.matched_dn(&normal(&entry.dn)));
                    let below = format!("cn=below,{}", entry.dn);
                    prop_assert_eq!(one.matched_dn(&normal(&below)), two.matched_dn(&normal(&below)));
                }
            }
            for _ in 0..24 {
                let pool = tape.pick(&pools);
                let filter = random_filter(&world, pool, &mut tape, 3);
                let base = tape.pick(&pool.entries).dn.clone();
                let scope = *tape.pick(&SCOPES);
                let answers = [one, two].map(|look| look.find(base.as_bytes()).map(|base| answer(&look, &filter, base, scope)));
                prop_assert_eq!(&answers[0], &answers[1], "{:?} below {}", &filter, &base);
            }
        }
    }
}

/// What a search gives to a reader, and what it cost: entries, then elements and values looked at, then look-ups in
/// indexes.
fn answer(look: &TreeReader<'_>, filter: &Filter, base: EntryId, scope: Scope) -> (Vec<String>, [u64; 3]) {
    let lookups = crate::directory::hash_index::lookups();
    let mut items = Vec::new();
    filter.flat(&mut items);
    let prepared = PreparedFilter::new(&items, look);
    let mut walk = Walk::new(look, &prepared, base, scope);
    let mut found = Vec::new();
    let mut evaluator = Evaluator::default();
    while let Some(id) = walk.next(look) {
        let entry = &look.entry(id).unwrap();
        if evaluator.matches(&prepared, look, id, entry) {
            found.push(format!(
                "{id:?} {:?} {:?}",
                String::from_utf8_lossy(entry.dn()),
                all_values(look, id)
            ));
        }
    }
    let lookups = crate::directory::hash_index::lookups() - lookups;
    (found, [walk.examined(), evaluator.work(), lookups])
}

/// All values of an entry, by name.
pub(super) fn all_values(look: &TreeReader<'_>, id: EntryId) -> Vec<(String, Vec<Vec<u8>>)> {
    let entry = &look.entry(id).unwrap();
    let mut all = Vec::new();
    for attribute in look.schema().attributes() {
        let mut values = Vec::new();
        look.values(id, entry, attribute.id, &mut |value| {
            values.push(value.to_vec());
            true
        });
        values.sort();
        if !values.is_empty() {
            all.push((attribute.name.to_string(), values));
        }
    }
    all.sort();
    all
}

fn same_values(look: &TreeReader<'_>, reference: &Reference<'_>) {
    for entry in &reference.entries {
        let mut expected: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
        for (description, values) in &entry.attributes {
            let name = description.split(';').next().unwrap();
            match expected.iter_mut().find(|(other, _)| other == name) {
                Some((_, there)) => there.extend(values.iter().cloned()),
                None => expected.push((name.to_owned(), values.clone())),
            }
        }
        expected.iter_mut().for_each(|(_, values)| values.sort());
        expected.sort();
        assert_eq!(readable(&all_values(look, entry.id)), readable(&expected), "{}", entry.dn);
    }
}

fn readable(all: &[(String, Vec<Vec<u8>>)]) -> Vec<String> {
    all.iter()
        .flat_map(|(name, values)| {
            values.iter().map(move |value| format!("{name}: {}", value.escape_ascii()))
        })
        .collect()
}

fn same_answers(look: &TreeReader<'_>, reference: &Reference<'_>, filter: &Filter, tape: &mut Tape<'_>) {
    let mut items = Vec::new();
    filter.flat(&mut items);
    let prepared = PreparedFilter::new(&items, look);
    let mut evaluator = Evaluator::default();
    for entry in &reference.entries {
        let stored = &look.entry(entry.id).unwrap();
        assert_eq!(
            evaluator.truth(&prepared, look, entry.id, stored),
            reference.truth(filter, entry),
            "{filter:?} of {}",
            entry.dn
        );
        // It may rest wherever it wants.
        let piece = 1 + tape.below(40) as u64;
        assert_eq!(
            crate::directory::LongLook::whole(piece, &prepared, look, entry.id, stored),
            reference.truth(filter, entry),
            "{filter:?} of {} in pieces of {piece}",
            entry.dn
        );
        same_selection(look, reference, filter, entry);
    }
    let base = tape.pick(&reference.entries);
    for scope in SCOPES {
        let in_scope = reference.entries.iter().filter(|entry| match scope {
            Scope::Base => entry.id == base.id,
            Scope::One => is_child(entry, base),
            Scope::Subtree => is_at_or_below(&entry.normal, &base.normal),
            Scope::Subordinates => entry.id != base.id && is_at_or_below(&entry.normal, &base.normal),
        });
        let expected: Vec<EntryId> = in_scope
            .filter(|entry| reference.truth(filter, entry) == crate::directory::Truth::True)
            .map(|entry| entry.id)
            .collect();
        let mut walk = Walk::new(look, &prepared, base.id, scope);
        let mut found = Vec::new();
        while let Some(id) = walk.next(look) {
            if evaluator.matches(&prepared, look, id, &look.entry(id).unwrap()) {
                found.push(id);
            }
        }
        assert_eq!(found, expected, "{filter:?} below {} {scope:?}", base.dn);
        // A search that rests after each entry finds the same.
        if let Some(first) = found.first() {
            let mut later = Walk::new(look, &prepared, base.id, scope);
            later.resume_after(*first);
            let rest = std::iter::from_fn(|| later.next(look))
                .filter(|id| evaluator.matches(&prepared, look, *id, &look.entry(*id).unwrap()));
            assert_eq!(rest.collect::<Vec<_>>(), expected[1..]);
        }
    }
}

/// A filter that is one assertion selects those values for which alone an entry would match.
fn same_selection(
    look: &TreeReader<'_>,
    reference: &Reference<'_>,
    filter: &Filter,
    entry: &super::reference::Entry,
) {
    let asks_values = match filter {
        Filter::And(_) | Filter::Or(_) | Filter::Not(_) | Filter::Unknown => false,
        Filter::Extensible { dn, .. } => !dn,
        _ => true,
    };
    if !asks_values {
        return;
    }
    let mut items = Vec::new();
    filter.flat(&mut items);
    let values_filter = ValuesFilter::bounded(&items, look, FilterBounds::NONE).unwrap();
    let mut selects_any = false;
    for (description, values) in &entry.attributes {
        let attribute = look.schema().find(description.split(';').next().unwrap()).unwrap();
        let mut selector = values_filter.about(attribute, description.as_bytes(), look);
        let (mut chosen, mut pieces) = (ValueLook::default(), ValueLook::default());
        for value in values {
            let is_selected = selector.selects(value, &mut chosen, u64::MAX).unwrap();
            let in_pieces =
                std::iter::repeat_with(|| selector.selects(value, &mut pieces, 7)).flatten().next();
            assert_eq!(in_pieces, Some(is_selected));
            selects_any |= is_selected;
            if let Some(truth) = reference.truth_of_value(filter, entry, description, value) {
                assert_eq!(
                    is_selected,
                    truth == Truth::True,
                    "{filter:?} of {description}: {} of {}",
                    value.escape_ascii(),
                    entry.dn
                );
            }
        }
    }
    assert_eq!(selects_any, reference.truth(filter, entry) == Truth::True, "{filter:?} of {}", entry.dn);
}

fn matched<'a>(reference: &'a Reference<'_>, provider: &LdapProvider, dn: &str) -> &'a [u8] {
    // Below another suffix the server asks another tree.
    let found = reference.matched_dn(dn).as_bytes();
    assert!(found.is_empty() || is_at_or_below(&normal(dn), &normal(&provider.base_dn)));
    found
}

/// One who sees everything, and one or two accounts.
fn readers(world: &World, tape: &mut Tape<'_>) -> Vec<Option<u32>> {
    let accounts: Vec<u32> =
        world.accounts.keys().copied().filter(|number| world.has_entry(*number)).collect();
    if accounts.is_empty() {
        return vec![None, None];
    }
    vec![None, Some(*tape.pick(&accounts)), Some(*tape.pick(&accounts))]
}

fn visibility(world: &World, reader: Option<u32>) -> Visibility {
    match reader {
        None => Visibility::Full,
        Some(reader) => Visibility::Own(OwnEntries::new(own_entries(world, reader))),
    }
}

/// The same directory for the reader, and another for everybody else: hidden objects are taken
/// away, changed and added, go in and out of groups that the reader sees, and are named in what it sees.
fn differing_in_what_is_hidden(world: &World, reader: u32, tape: &mut Tape<'_>) -> World {
    let mut other = world.clone();
    let own = world.groups_above(reader);
    while !tape.is_at_end() {
        let numbers: Vec<u32> = other.accounts.keys().chain(other.groups.keys()).copied().collect();
        let number = *tape.pick(&numbers);
        let is_hidden = number != reader && number != 1 && !own.contains(&number);
        match tape.below(5) {
            3 => {
                let visible: Vec<u32> = own.iter().copied().chain([reader]).collect();
                other.name_nobody(*tape.pick(&visible), tape);
            }
            0 if is_hidden => {
                other.accounts.remove(&number);
                other.groups.remove(&number);
                other.memberships.retain(|(group, account)| *group != number && *account != number);
                for group in other.groups.values_mut() {
                    group.parents.retain(|parent| parent.get() != number);
                }
            }
            1 if is_hidden => {
                let place = if number >= 70_000 { (number - 70_000) / 65_536 } else { number - 10 };
                other.put_random_object(place, tape);
            }
            2 => {
                let place = tape.below(20) as u32;
                let number = if place % 5 == 4 { 70_000 + place * 65_536 } else { 10 + place };
                if !world.accounts.contains_key(&number) && !world.groups.contains_key(&number) {
                    other.put_random_object(place, tape);
                }
            }
            _ => {
                let groups: Vec<u32> = other.groups.keys().copied().collect();
                if groups.is_empty() {
                    continue;
                }
                let into = *tape.pick(&groups);
                if other.accounts.contains_key(&number) && is_hidden {
                    other.memberships.insert((into, number));
                } else if let Some(child) = other.groups.get_mut(&number)
                    && is_hidden
                    && into != number
                    && !child.parents.contains(&GroupNumber::new(into))
                {
                    child.parents.push(GroupNumber::new(into));
                }
            }
        }
    }
    other
}

/// A filter of any kind, mostly about values that some entry has.
pub(super) fn random_filter(
    world: &World,
    pool: &Reference<'_>,
    tape: &mut Tape<'_>,
    depth: usize,
) -> Filter {
    if depth > 0 && tape.one_in(3) {
        let operands = |tape: &mut Tape<'_>| {
            (0..tape.below(4)).map(|_| random_filter(world, pool, tape, depth - 1)).collect()
        };
        return match tape.below(4) {
            0 => Filter::And(operands(tape)),
            1 => Filter::Or(operands(tape)),
            _ => Filter::Not(Box::new(random_filter(world, pool, tape, depth - 1))),
        };
    }
    let entry = tape.pick(&pool.entries);
    let (description, values) = tape.pick(&entry.attributes);
    let description = match tape.below(8) {
        0 => (*tape.pick(DESCRIPTIONS)).to_owned(),
        1 => description.to_uppercase(),
        2 => description.split(';').next().unwrap().to_owned(),
        3 => (*tape.pick(&[
            "name",
            "distinguishedName",
            "member",
            "memberOf",
            "uniqueMember",
            "memberUid",
            "objectCategory",
        ]))
        .to_owned(),
        4 if tape.one_in(4) => format!("{description};lang-de"),
        _ => description.clone(),
    };
    let chosen = tape.pick(values).clone();
    let value = random_assertion(world, &description, &chosen, tape);
    match tape.below(12) {
        0..=3 => Filter::Equality(description, value),
        4 => Filter::Approximate(description, value),
        5 => Filter::Present(description),
        6 => Filter::AtLeast(description, value),
        7 => Filter::AtMost(description, value),
        8 | 9 => random_substrings(description, &value, tape),
        10 => Filter::Extensible {
            rule: tape.one_in(2).then(|| (*tape.pick(RULES)).to_owned()),
            attribute: Some(description),
            value,
            dn: tape.one_in(3),
        },
        _ => match tape.below(5) {
            0 => Filter::Unknown,
            1 => Filter::Extensible {
                rule: Some((*tape.pick(RULES)).to_owned()),
                attribute: None,
                value,
                dn: tape.one_in(2),
            },
            _ => Filter::Extensible {
                rule: Some("1.2.840.113556.1.4.1941".to_owned()),
                attribute: (*tape.pick(IN_CHAIN)).map(str::to_owned),
                value: if tape.one_in(2) {
                    world.random_dn(tape).into_bytes()
                } else {
                    entry.dn.clone().into_bytes()
                },
                dn: false,
            },
        },
    }
}

/// The attributes of chains; `None`: any.
const IN_CHAIN: &[Option<&str>] = &[
    Some("member"),
    Some("memberOf"),
    Some("uniqueMember"),
    Some("MEMBEROF"),
    Some("manager"),
    Some("seeAlso"),
    Some("owner"),
    Some("distinguishedName"),
    Some("seeAlso;lang-de"),
    None,
];

fn random_assertion(world: &World, description: &str, value: &[u8], tape: &mut Tape<'_>) -> Vec<u8> {
    let base = description.split(';').next().unwrap_or_default();
    if ["member", "memberof", "uniquemember", "distinguishedname"]
        .contains(&base.to_ascii_lowercase().as_str())
        && tape.one_in(2)
    {
        return world.random_dn(tape).into_bytes();
    }
    if base.eq_ignore_ascii_case("objectCategory") && tape.one_in(2) {
        let classes = ["person", "USER", "group", "organizationalUnit", "domainDNS", "container", "computer"];
        return tape.pick(&classes).as_bytes().to_vec();
    }
    match (tape.below(10), std::str::from_utf8(value)) {
        (0, Ok(text)) => text.to_uppercase().into_bytes(),
        (1, Ok(text)) => format!("  {}  ", text.replace(' ', "   ")).into_bytes(),
        (2, _) => b"\xff\xfe".to_vec(),
        (3, _) => world.random_value(base, tape),
        (4, _) => tape.pick(NAMES).as_bytes().to_vec(),
        (5, _) => tape
            .pick(&["", "1", "0", "-1", "514", "TRUE", "false", "x", "20231114221320Z"])
            .as_bytes()
            .to_vec(),
        _ => value.to_vec(),
    }
}

fn random_substrings(description: String, value: &[u8], tape: &mut Tape<'_>) -> Filter {
    let mut parts = Vec::new();
    let mut start = 0;
    for place in 0..1 + tape.below(3) {
        let from = (start + tape.below(3)).min(value.len().saturating_sub(1));
        let end = (from + 1 + tape.below(6)).min(value.len());
        let kind = if place == 0 && tape.one_in(3) { PartPosition::Initial } else { PartPosition::Any };
        let from = if kind == PartPosition::Initial { 0 } else { from };
        let part = value.get(from..end).filter(|part| !part.is_empty()).unwrap_or(b" ");
        parts.push((kind, part.to_vec()));
        start = end;
    }
    if tape.one_in(3) {
        let end = value.len().saturating_sub(1 + tape.below(5));
        let part = value.get(end..).filter(|part| !part.is_empty()).unwrap_or(b"x");
        parts.push((PartPosition::Final, part.to_vec()));
    }
    Filter::Substrings(description, parts)
}

pub(super) const SCOPES: [Scope; 4] = [Scope::Base, Scope::One, Scope::Subtree, Scope::Subordinates];

const DESCRIPTIONS: &[&str] = &[
    "cn",
    "uid",
    "sn",
    "mail",
    "objectClass",
    "nothing",
    "cn;lang-de",
    "CN;LANG-DE;x-foo",
    "2.5.4.3",
    "userPassword",
    "sAMAccountName",
    "sAMAccountType",
    "whenCreated",
    "userPrincipalName",
    "entryUUID",
    "entryDN",
    "objectGUID",
    "memberUid",
    "memberUid;x-y",
    "numSubordinates",
    "hasSubordinates",
    "uidNumber",
    "customText",
    "member;x-a",
    "",
    "cn;",
    "description;x-foo",
];

const RULES: &[&str] = &[
    "caseExactMatch",
    "caseIgnoreMatch",
    "2.5.13.5",
    "integerMatch",
    "1.2.840.113556.1.4.803",
    "1.2.840.113556.1.4.804",
    "1.2.840.113556.1.4.1941",
    "distinguishedNameMatch",
    "nothingMatch",
    "caseIgnoreSubstringsMatch",
    "caseIgnoreOrderingMatch",
    "generalizedTimeMatch",
    "UUIDMatch",
    "caseExactIA5Match",
    "objectIdentifierMatch",
    "uniqueMemberMatch",
    "octetStringMatch",
];

/// Everything that the subschema says of rules and attributes is so: an entry is found by its own values, by each rule that
/// is published for their attribute, and where it is not the reference says the same.
#[test]
fn every_published_rule_works_on_every_attribute_it_is_published_for() {
    let world = world_of_everything();
    let snapshot = world.snapshot();
    let schema = snapshot.schema();
    let provider = &world.providers[&1];
    let tree = snapshot.tree(provider.number).unwrap();
    let mut asked: Vec<(String, String)> = Vec::new();
    for published in schema.subschema_values(AttributeId::MATCHING_RULE_USE) {
        let words: Vec<&str> = published.split(' ').filter(|word| !["(", ")", "$"].contains(word)).collect();
        let applies = words.iter().position(|word| *word == "APPLIES").unwrap();
        asked.extend(words[applies + 1..].iter().map(|name| (words[0].to_owned(), (*name).to_owned())));
    }
    assert!(asked.len() > 600, "{}", asked.len());
    let mut tape = Tape::new(&[]);
    let mut found = 0;
    for reader in [None, Some(10)] {
        let visibility = visibility(&world, reader);
        let look = TreeReader::new(&snapshot, tree, &visibility);
        let reference = Reference::new(&world, &snapshot, provider, reader);
        for (oid, name) in &asked {
            let rule = MatchingRule::find(oid).unwrap();
            let id = schema.find(name).unwrap();
            if schema.is_secret(id) {
                continue;
            }
            let of_type = |entry: &crate::directory::tests::reference::Entry| -> Vec<Vec<u8>> {
                let own = entry.attributes.iter().filter(|(own, _)| schema.find(own) == Some(id));
                own.flat_map(|(_, values)| values.clone()).take(3).collect()
            };
            let mut values: Vec<Vec<u8>> = reference.entries.iter().flat_map(of_type).collect();
            values.sort();
            values.dedup();
            values.truncate(3);
            values.push(world.random_value(name, &mut tape));
            for (place, value) in values.into_iter().enumerate() {
                let asked = |attribute: Option<&String>, dn: bool| Filter::Extensible {
                    rule: Some(oid.clone()),
                    attribute: attribute.cloned(),
                    value: value.clone(),
                    dn,
                };
                let filter = asked(Some(name), false);
                same_answers(&look, &reference, &filter, &mut tape);
                if place == 0 {
                    same_answers(&look, &reference, &asked(Some(name), true), &mut tape);
                }
                let is_sound = rule.normalize(&value, &mut Vec::new()).is_ok();
                for entry in &reference.entries {
                    let says = reference.truth(&filter, entry);
                    let is_own = of_type(entry).contains(&value) && is_sound;
                    // Less than itself is nothing, and nought has no bit.
                    if is_own && rule.kind() == RuleKind::Equality && rule != MatchingRule::BitOr {
                        assert_eq!(says, Truth::True, "{oid} on {name} of {}", entry.dn);
                        found += 1;
                    }
                }
            }
        }
    }
    assert!(found > 1_000, "{found}");
    found = 0;
    for attribute in schema.attributes().filter(|attribute| !attribute.secret) {
        let name = || attribute.name.to_string();
        let look = TreeReader::new(&snapshot, tree, &Visibility::Full);
        let reference = Reference::new(&world, &snapshot, provider, None);
        let own = reference.entries.iter().flat_map(|entry| &entry.attributes);
        let own = own.filter(|(own, _)| schema.find(own) == Some(attribute.id));
        let mut values: Vec<Vec<u8>> = own.flat_map(|(_, values)| values.clone()).collect();
        values.sort();
        values.dedup();
        values.truncate(1);
        let is_own = |place: usize| place < values.len();
        let random = world.random_value(&attribute.name, &mut tape);
        for (place, value) in values.iter().chain([&random]).enumerate() {
            let part = |position| (position, value[..value.len().min(2)].to_vec());
            for (rule, filter) in [
                (attribute.equality, Filter::Equality(name(), value.clone())),
                (attribute.ordering, Filter::AtLeast(name(), value.clone())),
                (attribute.ordering, Filter::AtMost(name(), value.clone())),
                (attribute.substrings, Filter::Substrings(name(), vec![part(PartPosition::Initial)])),
                (attribute.substrings, Filter::Substrings(name(), vec![part(PartPosition::Any)])),
            ] {
                let Some(rule) = rule else { continue };
                same_answers(&look, &reference, &filter, &mut tape);
                // A part that begins with a space is looked for with it, and half a character is none.
                let is_sound = match rule.kind() {
                    RuleKind::Substrings => value.iter().take(2).all(u8::is_ascii_alphanumeric),
                    _ => rule.normalize(value, &mut Vec::new()).is_ok(),
                };
                if is_own(place) && is_sound {
                    let says = reference.entries.iter().map(|entry| reference.truth(&filter, entry));
                    assert!(says.into_iter().any(|says| says == Truth::True), "{filter:?}");
                    found += 1;
                }
            }
        }
    }
    assert!(found > 100, "{found}");
}

/// Two people and two groups with a value, or two, of every attribute that can be given, in each other's chains.
fn world_of_everything() -> World {
    let mut world = small();
    let schema = Schema::core();
    let mut tape = Tape::new(&[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6]);
    let dn = |name: &str| match name {
        "it" | "staff" => format!("cn={name},ou=groups,dc=example,dc=org"),
        name => format!("cn={name},ou=users,dc=example,dc=org"),
    };
    let mut attributes = |next: &str| -> Vec<Attribute> {
        let given = schema.attributes().filter(|attribute| {
            !attribute.secret
                && !attribute.is_operational()
                && !attribute.id.is_computed()
                && ![AttributeId::OBJECT_CLASS, AttributeId::GID_NUMBER, AttributeId::UID_NUMBER]
                    .contains(&attribute.id)
        });
        let given = given.map(|attribute| {
            let samples: &[&[u8]] = match attribute.syntax {
                Syntax::Dn => &[b"cn=elsewhere,dc=com"],
                Syntax::Integer => &[b"6", b"-1"],
                Syntax::Boolean => &[b"TRUE"],
                Syntax::GeneralizedTime => &[b"20240101000000Z"],
                Syntax::Oid => &[b"2.5.4.3"],
                Syntax::BitString => &[b"'0101'B"],
                Syntax::NumericString => &[b"12 34"],
                Syntax::TelephoneNumber => &[b"+49 30 1234"],
                Syntax::CountryString => &[b"DE"],
                Syntax::PrintableString | Syntax::Ia5String => &[b"A b", b"c"],
                _ => &[],
            };
            let mut values: Vec<Vec<u8>> = samples.iter().map(|value| value.to_vec()).collect();
            if attribute.syntax == Syntax::Dn {
                values.push(dn(next).into_bytes());
            }
            if values.is_empty() {
                values.push(world.random_value(&attribute.name, &mut tape));
            }
            if attribute.single_valued {
                values.truncate(1);
            }
            Attribute { description: attribute.name.to_string(), values }
        });
        given.collect()
    };
    let chain: Vec<_> =
        [("alice", "bob"), ("bob", "carol"), ("carol", "alice"), ("it", "staff"), ("staff", "it")]
            .map(|(name, next)| (name, attributes(next)))
            .into();
    for (name, attributes) in chain {
        match name {
            "alice" => world.accounts.get_mut(&10).unwrap().attributes = attributes,
            "bob" => world.accounts.get_mut(&11).unwrap().attributes = attributes,
            "carol" => world.accounts.get_mut(&12).unwrap().attributes = attributes,
            "it" => world.groups.get_mut(&20).unwrap().attributes = attributes,
            _ => world.groups.get_mut(&21).unwrap().attributes = attributes,
        }
    }
    world
}

/// Chains of values that are given: the whole of them, circles included, and only through what may be seen.
#[test]
fn a_chain_is_followed_to_its_end() {
    let mut world = small();
    let dn = |name: &str| format!("cn={name},ou=users,dc=example,dc=org");
    for attribute_name in ["manager", "secretary", "seeAlso", "owner", "roleOccupant"] {
        for (number, above) in [(10, "bob"), (11, "carol"), (12, "bob")] {
            let given = attribute(attribute_name, &[&dn(above).to_uppercase()]);
            world.accounts.get_mut(&number).unwrap().attributes = vec![given];
        }
        let snapshot = world.snapshot();
        let visibility = Visibility::Full;
        let look = TreeReader::new(&snapshot, look_at(&snapshot), &visibility);
        let chain = |attribute: Option<&str>, target: &str| Filter::Extensible {
            rule: Some("1.2.840.113556.1.4.1941".to_owned()),
            attribute: attribute.map(str::to_owned),
            value: target.as_bytes().to_vec(),
            dn: false,
        };
        let find =
            |look: &TreeReader<'_>, filter: &Filter| ids(look, filter, EntryId::SUFFIX, Scope::Subtree);
        for target in ["bob", "carol"] {
            assert_eq!(
                find(&look, &chain(Some(attribute_name), &dn(target))),
                [10, 11, 12],
                "{attribute_name}"
            );
            // By any attribute groups are found too, which have them as members.
            assert_eq!(find(&look, &chain(None, &dn(target)))[..3], [10, 11, 12], "{attribute_name}");
        }
        assert_eq!(find(&look, &chain(Some(attribute_name), &dn("alice"))), [0; 0], "{attribute_name}");
        // Who sees itself alone sees no way.
        let own = Visibility::Own(OwnEntries::new(own_entries(&world, 10)));
        let own = TreeReader::new(&snapshot, look_at(&snapshot), &own);
        assert_eq!(find(&own, &chain(Some(attribute_name), &dn("carol"))), [0; 0], "{attribute_name}");
        // The whole way is work.
        let mut items = Vec::new();
        let filter = chain(Some(attribute_name), &dn("nobody"));
        filter.flat(&mut items);
        let prepared = PreparedFilter::new(&items, &look);
        let alice = EntryId::of_account(crate::model::AccountNumber::new(10));
        let mut evaluator = Evaluator::new(30);
        evaluator.matches(&prepared, &look, alice, &look.entry(alice).unwrap());
        assert!(evaluator.take_exhausted(), "{attribute_name}: three names cost more than 30");
    }
}

/// Of a person with several, the values are selected from which a way leads on.
#[test]
fn a_chain_selects_the_values_that_it_goes_through() {
    let dn = |name: &str| format!("cn={name},ou=users,dc=example,dc=org");
    let group = |name: &str| format!("cn={name},ou=groups,dc=example,dc=org");
    let mut world = small();
    let given = vec![attribute("seeAlso", &[&dn("bob"), &dn("alice"), &dn("nobody"), &dn("carol")])];
    world.accounts.get_mut(&10).unwrap().attributes = given;
    world.accounts.get_mut(&11).unwrap().attributes = vec![attribute("seeAlso", &[&dn("carol")])];
    let snapshot = world.snapshot();
    let look = TreeReader::new(&snapshot, look_at(&snapshot), &Visibility::Full);
    let selected = |id: EntryId, attribute: &str, rule: Option<&str>, value: &str| {
        let filter = Filter::Extensible {
            rule: rule.map(str::to_owned),
            attribute: Some(attribute.to_owned()),
            value: value.as_bytes().to_vec(),
            dn: false,
        };
        let mut items = Vec::new();
        match rule {
            Some(_) => filter.flat(&mut items),
            None => items.push(FilterItem::Equality { attribute, value: value.as_bytes() }),
        }
        let values_filter = ValuesFilter::bounded(&items, &look, FilterBounds::NONE).unwrap();
        let known = look.schema().find(attribute).unwrap();
        let mut selector = values_filter.about(known, attribute.as_bytes(), &look);
        let (mut selected, mut chosen) = (Vec::new(), ValueLook::default());
        look.values(id, &look.entry(id).unwrap(), known, &mut |value| {
            if selector.selects(value, &mut chosen, u64::MAX) == Some(true) {
                selected.push(String::from_utf8(value.to_vec()).unwrap());
            }
            true
        });
        selected.sort();
        selected
    };
    let chain = Some("1.2.840.113556.1.4.1941");
    let alice = look.find(dn("alice").as_bytes()).unwrap();
    // Alice herself leads there through her own values.
    let expected = [dn("alice"), dn("bob"), dn("carol")];
    assert_eq!(selected(alice, "seeAlso", chain, &dn("carol")), expected);
    assert_eq!(selected(alice, "seeAlso", chain, &dn("nobody")), [dn("alice"), dn("nobody")]);
    assert_eq!(selected(alice, "memberOf", chain, &group("staff")), [group("it")]);
    let staff = look.find(group("staff").as_bytes()).unwrap();
    assert_eq!(selected(staff, "member", chain, &dn("alice")), [group("it")]);
    assert_eq!(selected(staff, "member", chain, &dn("bob")), [dn("bob")]);
    assert_eq!(selected(alice, "objectCategory", None, "person").len(), 1);
    assert_eq!(selected(alice, "objectCategory", None, "group"), [""; 0]);
}

/// Asked by the type above them, each of several types leads on.
#[test]
fn a_chain_goes_through_every_subtype() {
    let dn = |name: &str| format!("cn={name},ou=users,dc=example,dc=org");
    for (owner, see_also) in [("bob", "carol"), ("carol", "bob")] {
        let mut world = small();
        // Where it is not the entry's own name.
        world.providers.get_mut(&1).unwrap().compatibility_attributes = false;
        world.accounts.get_mut(&10).unwrap().attributes =
            vec![attribute("owner", &[&dn(owner)]), attribute("seeAlso", &[&dn(see_also)])];
        let snapshot = world.snapshot();
        let look = TreeReader::new(&snapshot, look_at(&snapshot), &Visibility::Full);
        for target in [owner, see_also] {
            let filter = Filter::Extensible {
                rule: Some("1.2.840.113556.1.4.1941".to_owned()),
                attribute: Some("distinguishedName".to_owned()),
                value: dn(target).into_bytes(),
                dn: false,
            };
            let found = ids(&look, &filter, EntryId::SUFFIX, Scope::Subtree);
            assert!(found.contains(&10), "{target} where {owner} owns: {found:?}");
        }
    }
}

#[test]
fn a_type_is_asked_about_by_those_whose_subtype_it_is() {
    for is_compatible in [true, false] {
        let mut world = small();
        world.providers.get_mut(&1).unwrap().compatibility_attributes = is_compatible;
        let snapshot = world.snapshot();
        let look = TreeReader::new(&snapshot, look_at(&snapshot), &Visibility::Full);
        let types = || look.schema().attributes().map(|attribute| attribute.id);
        let mut derived = 0;
        for id in types() {
            let above: BTreeSet<AttributeId> = look.supertypes(id).collect();
            let asked: BTreeSet<AttributeId> =
                types().filter(|other| look.subtypes(*other).contains(&id)).collect();
            assert_eq!(above, asked);
            derived += usize::from(above.len() > 1);
        }
        assert!(derived > 10, "{derived}");
        let is_derived = look.supertypes(AttributeId::MEMBER).any(|id| id == AttributeId::DISTINGUISHED_NAME);
        assert_eq!(is_derived, !is_compatible);
    }
}

/// The directory of the tests below: alice in `it`, `it` in `staff`; bob in `staff`.
fn small() -> World {
    let mut world = World::default();
    world.providers.insert(1, provider(1, "dc=example,dc=org"));
    for (number, name) in [(10, "alice"), (11, "bob"), (12, "carol")] {
        let mut person = account(number, name);
        person.kind = AccountKind::Internal;
        world.accounts.insert(number, person);
    }
    world.groups.insert(20, group(20, "it"));
    world.groups.insert(21, group(21, "staff"));
    world.groups.get_mut(&20).unwrap().parents = vec![GroupNumber::new(21)];
    world.memberships = [(20, 10), (21, 11)].into();
    world
}

fn ids(look: &TreeReader<'_>, filter: &Filter, base: EntryId, scope: Scope) -> Vec<u32> {
    let mut items = Vec::new();
    filter.flat(&mut items);
    let prepared = PreparedFilter::new(&items, look);
    let mut walk = Walk::new(look, &prepared, base, scope);
    std::iter::from_fn(|| walk.next(look))
        .filter(|id| Evaluator::default().matches(&prepared, look, *id, &look.entry(*id).unwrap()))
        .map(|id| id.raw() - 65_536)
        .collect()
}

fn equality(attribute: &str, value: &str) -> Filter {
    Filter::Equality(attribute.to_owned(), value.as_bytes().to_vec())
}

fn look_at(snapshot: &Snapshot) -> &Tree {
    &snapshot.trees()[0]
}

/// How many entries a search by this filter looks at.
fn examined(look: &TreeReader<'_>, filter: &Filter, base: EntryId) -> u64 {
    answer(look, filter, base, Scope::Subtree).1[0]
}

#[test]
fn one_value_is_found_without_looking_at_others() {
    let mut world = small();
    for number in 100..400 {
        let mut person = account(number, &format!("person{number}"));
        person.kind = AccountKind::Internal;
        world.accounts.insert(number, person);
        world.memberships.insert((21, number));
    }
    let snapshot = world.snapshot();
    let look = TreeReader::new(&snapshot, look_at(&snapshot), &Visibility::Full);
    let alice = &world.accounts[&10];
    let guid = Filter::Equality("objectGUID".to_owned(), alice.uuid.to_bytes_le().to_vec());
    let class = Filter::Present("objectClass".to_owned());
    for (filter, most) in [
        (equality("cn", "ALICE"), 2),
        (equality("uid", "alice"), 1),
        (equality("sAMAccountName", "Alice"), 3),
        (equality("userPrincipalName", "ALICE@example.org"), 3),
        (equality("entryUUID", &alice.uuid.to_string()), 1),
        (guid, 1),
        (equality("entryDN", "cn=alice, ou=users,dc=example,dc=org"), 1),
        (equality("uidNumber", "2010"), 1),
        (equality("memberUid", "alice"), 2),
        (equality("member", "uid=alice,ou=users,dc=example,dc=org"), 2),
        (Filter::And(vec![equality("objectClass", "posixGroup"), equality("memberUid", "alice")]), 2),
        (Filter::And(vec![class.clone(), equality("mail", "nobody@example.org")]), 0),
        (Filter::Substrings("cn".to_owned(), vec![(PartPosition::Any, b"alic".to_vec())]), 2),
    ] {
        let (found, [looked_at, ..]) = answer(&look, &filter, EntryId::SUFFIX, Scope::Subtree);
        assert!(looked_at <= most, "{filter:?} looked at {looked_at}");
        assert!(most == 0 || !found.is_empty(), "{filter:?}");
    }
    // A search below a small base does not pay for what stands elsewhere.
    let groups = look.find(b"ou=groups,dc=example,dc=org").unwrap();
    let any_class =
        Filter::Or(vec![equality("objectClass", "posixGroup"), equality("objectClass", "posixAccount")]);
    assert!(examined(&look, &any_class, groups) <= 3);
    let leaf = look.find(b"cn=bob,ou=users,dc=example,dc=org").unwrap();
    assert!(examined(&look, &equality("objectClass", "person"), leaf) <= 1);
}

#[test]
fn a_membership_is_asked_for_by_every_spelling() {
    let snapshot = small().snapshot();
    let look = TreeReader::new(&snapshot, look_at(&snapshot), &Visibility::Full);
    for dn in [
        "cn=alice,ou=users,dc=example,dc=org",
        "UID=Alice , OU=Users,DC=Example, dc=org",
        "2.5.4.3=\\61lice,ou=users,dc=example,dc=org",
    ] {
        assert_eq!(ids(&look, &equality("member", dn), EntryId::SUFFIX, Scope::Subtree)[0], 20, "{dn}");
    }
    let staff = "cn=staff,ou=groups,dc=example,dc=org";
    assert_eq!(ids(&look, &equality("memberOf", staff), EntryId::SUFFIX, Scope::Subtree), [11, 20]);
    let chain = Filter::Extensible {
        rule: Some("1.2.840.113556.1.4.1941".to_owned()),
        attribute: Some("memberOf".to_owned()),
        value: staff.as_bytes().to_vec(),
        dn: false,
    };
    assert_eq!(ids(&look, &chain, EntryId::SUFFIX, Scope::Subtree), [10, 11, 20]);
}

#[test]
fn options_are_part_of_the_question() {
    let mut world = small();
    world.accounts.get_mut(&10).unwrap().attributes =
        vec![attribute("title;lang-de", &["Chefin"]), attribute("title", &["Boss"])];
    let snapshot = world.snapshot();
    let look = TreeReader::new(&snapshot, look_at(&snapshot), &Visibility::Full);
    let extensible = |attribute: &str, value: &str| Filter::Extensible {
        rule: Some("caseIgnoreMatch".to_owned()),
        attribute: Some(attribute.to_owned()),
        value: value.as_bytes().to_vec(),
        dn: false,
    };
    for (filter, found) in [
        (equality("title", "chefin"), true),
        (equality("title;lang-DE", "chefin"), true),
        (equality("title;lang-de", "boss"), false),
        (extensible("title;lang-de", "chefin"), true),
        (extensible("title;lang-de", "boss"), false),
        (equality("memberOf;lang-de", "cn=it,ou=groups,dc=example,dc=org"), false),
    ] {
        assert_eq!(!ids(&look, &filter, EntryId::SUFFIX, Scope::Subtree).is_empty(), found, "{filter:?}");
    }
}

#[test]
fn the_walk_ends_behind_the_last_number() {
    let mut world = small();
    let last = crate::directory::NUMBER_MAX;
    world.accounts.insert(last, account(last, "last"));
    let snapshot = world.snapshot();
    let look = TreeReader::new(&snapshot, look_at(&snapshot), &Visibility::Full);
    let all = answer(&look, &Filter::Present("objectClass".to_owned()), EntryId::SUFFIX, Scope::Subtree).0;
    assert_eq!(all.len(), look_at(&snapshot).len());
}
