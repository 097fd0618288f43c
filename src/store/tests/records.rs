//! Every kind of record survives being written, and every octet of an item counts.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::store::error::Damage;
use crate::store::record::{self, Fault, ITEM_OCTETS_MAX, Item};
use crate::store::verify::Assembler;

fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("\\PC{0,20}").unwrap()
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_unix_seconds)
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    let attribute = (text(), vec(vec(any::<u8>(), 0..300), 1..4))
        .prop_map(|(description, values)| Attribute { description, values });
    vec(attribute, 0..4)
}

fn attribute_forms() -> impl Strategy<Value = Vec<AttributeForm>> {
    let kinds = [ValueKind::Text, ValueKind::Number, ValueKind::Truth, ValueKind::Base64];
    let form = (text(), any::<bool>(), vec((0..4_usize).prop_map(move |kind| kinds[kind]), 0..4))
        .prop_map(|(description, is_one, kinds)| AttributeForm { description, is_one, kinds });
    vec(form, 0..3)
}

fn as_given() -> impl Strategy<Value = AsGiven> {
    let modes = [AccessMode::Direct, AccessMode::Cached];
    let mode = move || any::<bool>().prop_map(move |is_cached| modes[usize::from(is_cached)]);
    let flows = (option::of(uuid()), uuid(), uuid());
    (text(), flows, any::<bool>(), mode(), mode(), any::<bool>()).prop_map(
        |(base_dn, flows, names_certificate, search_mode, bind_mode, mfa_support)| {
            let (authentication_flow, authorization_flow, invalidation_flow) = flows;
            AsGiven {
                base_dn,
                authentication_flow,
                authorization_flow,
                invalidation_flow,
                names_certificate,
                search_mode,
                bind_mode,
                mfa_support,
            }
        },
    )
}

fn placements() -> impl Strategy<Value = Vec<Placement>> {
    let placement = (any::<u32>(), text(), text()).prop_map(|(provider, container, rdn)| Placement {
        provider: ProviderNumber::new(provider),
        container,
        rdn,
    });
    vec(placement, 0..3)
}

fn grants() -> impl Strategy<Value = Vec<Grant>> {
    let object = (0..6, any::<u32>()).prop_map(|(kind, number)| match kind {
        0 => ObjectReference::Provider(ProviderNumber::new(number)),
        1 => ObjectReference::Account(AccountNumber::new(number)),
        2 => ObjectReference::Group(GroupNumber::new(number)),
        3 => ObjectReference::Role(RoleNumber::new(number)),
        4 => ObjectReference::Token(TokenNumber::new(number)),
        _ => ObjectReference::Application(ApplicationNumber::new(number)),
    });
    let permission = (0..Permission::ALL.len()).prop_map(|index| Permission::ALL[index]);
    vec((permission, option::of(object)).prop_map(|(permission, on)| Grant { permission, on }), 0..4)
}

fn roles() -> impl Strategy<Value = Vec<RoleNumber>> {
    vec(any::<u32>().prop_map(RoleNumber::new), 0..4)
}

fn hash() -> impl Strategy<Value = HashText> {
    text().prop_map(HashText::new)
}

fn accounts() -> impl Strategy<Value = Record> {
    let password = (hash(), any::<u32>(), timestamp()).prop_map(|(hash, generation, changed)| Password {
        hash,
        generation,
        changed,
        ..plain::password("")
    });
    let who = (any::<u32>(), uuid(), text(), 0..4_usize, text(), text(), any::<bool>());
    let what = (attributes(), vec(text(), 0..3), option::of(password), placements(), roles(), grants());
    let kept = (attribute_forms(), text());
    (who, what, kept, timestamp(), timestamp()).prop_map(|(who, what, kept, created, modified)| {
        let (attribute_forms, path) = kept;
        let (number, uuid, username, kind, name, email, is_active) = who;
        let (attributes, object_classes, password, placements, roles, grants) = what;
        Record::Account(Account {
            uuid,
            kind: AccountKind::ALL[kind],
            name,
            email,
            is_active,
            attributes,
            attribute_forms,
            path,
            object_classes,
            password,
            placements,
            roles,
            grants,
            created,
            modified,
            ..plain::account(number, &username)
        })
    })
}

fn groups() -> impl Strategy<Value = Record> {
    let who = (any::<u32>(), uuid(), text(), any::<bool>(), vec(any::<u32>(), 0..4), roles(), grants());
    let attributes = (attributes(), attribute_forms());
    let what = (attributes, vec(text(), 0..3), placements(), timestamp(), timestamp());
    (who, what).prop_map(|(who, what)| {
        let (number, uuid, name, is_superuser, parents, roles, grants) = who;
        let ((attributes, attribute_forms), object_classes, placements, created, modified) = what;
        Record::Group(Group {
            attribute_forms,
            uuid,
            is_superuser,
            parents: parents.into_iter().map(GroupNumber::new).collect(),
            roles,
            grants,
            attributes,
            object_classes,
            placements,
            created,
            modified,
            members_modified: created,
            ..plain::group(number, &name)
        })
    })
}

fn tokens() -> impl Strategy<Value = Record> {
    let selector = prop_oneof![
        Just(TokenSelector::None),
        text().prop_map(TokenSelector::Generated),
        any::<[u8; 32]>().prop_map(TokenSelector::Chosen),
    ];
    let sealed = option::of(vec(any::<u8>(), 0..80).prop_map(SealedSecret::new));
    let secret = (selector, hash(), sealed, any::<u32>());
    let what = (any::<bool>(), secret, option::of(timestamp()), option::of(timestamp()), any::<bool>());
    (any::<u32>(), uuid(), text(), any::<u32>(), what, text(), vec(network(), 0..3), timestamp()).prop_map(
        |(number, uuid, identifier, account, what, description, networks, created)| {
            let (is_api, (selector, hash, sealed, generation), expires, warned, is_replaced) = what;
            Record::Token(Token {
                uuid,
                identifier,
                intent: if is_api { Intent::Api } else { Intent::AppPassword },
                selector,
                hash,
                sealed,
                generation,
                expires,
                description,
                networks,
                created,
                renewed: created,
                warned,
                is_replaced,
                began_as: is_replaced.then(|| TokenNumber::new(account)),
                ..plain::token(number, AccountNumber::new(account))
            })
        },
    )
}

fn network() -> impl Strategy<Value = IpNet> {
    (any::<IpAddr>(), 0..=32_u8).prop_map(|(address, prefix)| IpNet::new(address, prefix).unwrap())
}

fn windows() -> impl Strategy<Value = TimeWindow> {
    let minute = || (0..24 * 60_u16).prop_map(|minute| TimeOfDay::try_from(minute).unwrap());
    let zone = 0..3_usize;
    (0..7_usize, 0..7_usize, minute(), minute(), zone).prop_map(|(first, last, from, to, zone)| {
        let days = [Weekday::ALL[first], Weekday::ALL[last]];
        let zone = ["UTC", "Europe/Berlin", "America/New_York"][zone].parse().unwrap();
        let to = if from == to { TimeOfDay::END } else { to };
        TimeWindow::new(days, from, to, zone).unwrap()
    })
}

fn bindings() -> impl Strategy<Value = Binding> {
    let subject = prop_oneof![
        any::<u32>().prop_map(|number| BindingSubject::Account(AccountNumber::new(number))),
        any::<u32>().prop_map(|number| BindingSubject::Group(GroupNumber::new(number))),
        vec(network(), 0..3).prop_map(BindingSubject::Networks),
        windows().prop_map(BindingSubject::Window),
    ];
    (uuid(), subject, any::<i32>(), any::<bool>(), any::<bool>())
        .prop_map(|(uuid, subject, order, negate, enabled)| Binding { uuid, subject, order, negate, enabled })
}

fn applications() -> impl Strategy<Value = Record> {
    let who = (any::<u32>(), uuid(), text(), text(), option::of(any::<u32>()));
    let what = (any::<bool>(), vec(bindings(), 0..4), any::<bool>(), any::<bool>());
    let texts = vec((0..ApplicationText::ALL.len(), text()), 0..4);
    let described = (texts, timestamp(), timestamp());
    (who, what, described).prop_map(|(who, what, described)| {
        let (number, uuid, slug, name, provider) = who;
        let (is_all, bindings, open_in_new_tab, hide) = what;
        let (texts, created, modified) = described;
        let texts = texts.into_iter().map(|(text, value)| (ApplicationText::ALL[text], value)).collect();
        Record::Application(Application {
            uuid,
            name,
            provider: provider.map(ProviderNumber::new),
            mode: if is_all { BindingMode::All } else { BindingMode::Any },
            bindings,
            texts,
            open_in_new_tab,
            hide,
            created,
            modified,
            ..plain::application(number, &slug)
        })
    })
}

fn providers() -> impl Strategy<Value = Record> {
    let containers =
        || vec((text(), text()).prop_map(|(container, naming)| Container { container, naming }), 0..3);
    let who = (any::<u32>(), uuid(), text(), text(), any::<bool>(), option::of(text()));
    let what = (any::<u32>(), any::<u32>(), any::<bool>(), any::<bool>());
    let what = (what, as_given());
    (who, what, containers(), containers(), containers(), timestamp(), timestamp()).prop_map(
        |(who, (what, as_given), users, service_accounts, groups, created, modified)| {
            let (number, uuid, name, base_dn, is_default, domain) = who;
            let (uid_start_number, gid_start_number, virtual_groups, compatibility_attributes) = what;
            Record::Provider(LdapProvider {
                uuid,
                name,
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
                created,
                modified,
                ..plain::provider(number, &base_dn)
            })
        },
    )
}

fn custom_attributes() -> impl Strategy<Value = Record> {
    let what = (option::of(text()), 0..AttributeSyntax::ALL.len(), any::<bool>(), text());
    (any::<u32>(), text(), what).prop_map(|(number, name, (oid, syntax, single_valued, description))| {
        Record::CustomAttribute(CustomAttribute {
            number: AttributeNumber::new(number),
            name,
            oid,
            syntax: AttributeSyntax::ALL[syntax],
            single_valued,
            description,
        })
    })
}

fn events() -> impl Strategy<Value = Record> {
    let number = || option::of(any::<u32>());
    let actor = (text(), number(), option::of(text()), option::of(any::<IpAddr>()), option::of(uuid()))
        .prop_map(|(account, number, token, source, request)| Actor {
            account,
            number: number.map(AccountNumber::new),
            token,
            source,
            request,
            user: None,
        });
    let change = (text(), option::of(text()), option::of(text()))
        .prop_map(|(field, before, after)| FieldChange { field, before, after });
    let detail = (text(), text()).prop_map(|(name, value)| EventDetail { name, value });
    let object = (text(), text(), number(), option::of(uuid()));
    let when = (timestamp(), option::of(timestamp()), any::<u64>());
    let chain = (0..Trail::ALL.len(), any::<u64>(), any::<[u8; 32]>(), uuid());
    let what = (0..Action::ALL.len(), actor, option::of(text()));
    (chain, when, what, object, vec(change, 0..4), vec(detail, 0..3)).prop_map(
        |(
            (trail, sequence, previous, uuid),
            (time, since, count),
            (action, actor, application),
            object,
            changes,
            details,
        )| {
            let (object_kind, object_name, object_key, object_uuid) = object;
            Record::Event(Event {
                trail: Trail::ALL[trail],
                sequence,
                previous: EventDigest::new(previous),
                uuid,
                time,
                since,
                count,
                action: Action::ALL[action],
                actor,
                application,
                object_kind,
                object_name,
                object_key,
                object_uuid,
                changes,
                details,
            })
        },
    )
}

fn usages() -> impl Strategy<Value = Record> {
    let of = prop_oneof![
        any::<u32>().prop_map(|number| UsageOf::Token(TokenNumber::new(number))),
        any::<u32>().prop_map(|number| UsageOf::Account(AccountNumber::new(number))),
    ];
    (of, timestamp(), option::of(any::<IpAddr>()), option::of(any::<u32>()), any::<u64>()).prop_map(
        |(of, time, source, provider, count)| {
            Record::Usage(Usage {
                time,
                source,
                provider: provider.map(ProviderNumber::new),
                count,
                ..plain::usage(of)
            })
        },
    )
}

fn tombstones() -> impl Strategy<Value = Record> {
    let of = (0..4_usize, text()).prop_map(|(kind, name)| match kind {
        0 => TombstoneOf::Account(name),
        1 => TombstoneOf::Token(name),
        2 => TombstoneOf::Group(name),
        _ => TombstoneOf::Role(name),
    });
    let made = proptest::option::of(timestamp());
    (of, origins(), any::<bool>(), made).prop_map(|(of, origin, held_rights, made)| {
        Record::Tombstone(Tombstone { of, origin, held_rights, made })
    })
}

fn origins() -> impl Strategy<Value = Origin> {
    prop_oneof![
        Just(Origin::Unknown),
        Just(Origin::Operator),
        Just(Origin::Config),
        Just(Origin::Import),
        Just(Origin::Server),
        any::<u32>().prop_map(|number| Origin::Account(AccountNumber::new(number))),
    ]
}

fn made_by() -> impl Strategy<Value = MadeBy> {
    vec(origins(), 0..5).prop_map(|origins| origins.into_iter().fold(MadeBy::default(), MadeBy::and))
}

/// Any record of any kind.
fn any_record() -> impl Strategy<Value = Record> {
    let more = (any::<bool>(), option::of(any::<u32>()), option::of((any::<u32>(), option::of(text()))));
    (unsigned_record(), origins(), made_by(), more).prop_map(|(mut record, by, made_by, more)| {
        let (is_first, lifetime, user) = more;
        match &mut record {
            Record::Account(account) => {
                account.origin = by;
                account.password.iter_mut().for_each(|password| password.made_by = made_by.clone());
            }
            Record::Group(group) => group.origin = by,
            Record::Role(role) => role.origin = by,
            Record::Token(token) => {
                token.origin = by;
                token.made_by = made_by;
                token.is_first = is_first;
                token.lifetime_said = lifetime.map(|seconds| Duration::from_secs(seconds.into()));
            }
            Record::Application(application) => application.origin = by,
            Record::Provider(provider) => provider.origin = by,
            Record::Usage(usage) => usage.application = lifetime.map(|number| number.to_string()),
            Record::Event(event) => {
                event.actor.user = user.map(|(uid, name)| SystemUser { uid, sudo_user: name.clone(), name });
            }
            Record::Membership(_) | Record::CustomAttribute(_) | Record::Tombstone(_) => {}
        }
        record
    })
}

/// The same, of which nobody knows who made it.
fn unsigned_record() -> impl Strategy<Value = Record> {
    prop_oneof![
        accounts(),
        groups(),
        (any::<u32>(), any::<u32>()).prop_map(|(group, account)| Record::Membership(Membership {
            group: GroupNumber::new(group),
            account: AccountNumber::new(account),
        })),
        (any::<u32>(), uuid(), text(), grants(), any::<(Option<u32>, Option<Duration>)>()).prop_map(
            |(number, uuid, name, grants, (search_size_max, search_time_max))| {
                let role = plain::role(number, &name);
                Record::Role(Role { uuid, grants, search_size_max, search_time_max, ..role })
            }
        ),
        tokens(),
        applications(),
        providers(),
        custom_attributes(),
        tombstones(),
        usages(),
        events(),
    ]
}

/// A field that no strategy draws would be read back untried.
#[test]
fn every_field_is_drawn() {
    let fields = |record: &Record| match record {
        Record::Account(account) => serde_json::to_value(account),
        Record::Group(group) => serde_json::to_value(group),
        Record::Membership(membership) => serde_json::to_value(membership),
        Record::Role(role) => serde_json::to_value(role),
        Record::Token(token) => serde_json::to_value(token),
        Record::Application(application) => serde_json::to_value(application),
        Record::Provider(provider) => serde_json::to_value(provider),
        Record::CustomAttribute(attribute) => serde_json::to_value(attribute),
        Record::Tombstone(tombstone) => serde_json::to_value(tombstone),
        Record::Usage(usage) => serde_json::to_value(usage),
        Record::Event(event) => serde_json::to_value(event),
    };
    let mut runner = TestRunner::deterministic();
    let mut drawn: HashMap<_, BTreeSet<String>> = HashMap::new();
    for _ in 0..1_000 {
        let record = any_record().new_tree(&mut runner).unwrap().current();
        for (field, value) in fields(&record).unwrap().as_object().unwrap() {
            let of = (std::mem::discriminant(&record), field.clone());
            drawn.entry(of).or_default().insert(value.to_string());
        }
    }
    for ((_, field), values) in drawn {
        assert!(values.len() > 1, "{field} is always {values:?}");
    }
}

fn read_back(items: &[Item]) -> Result<Option<Record>, Fault> {
    let mut assembler = Assembler::default();
    let mut last = None;
    for (key, value) in items {
        last = assembler.push(&record::verify(key, value)?)?;
    }
    assembler.finish()?;
    Ok(last)
}

proptest! {
    #![proptest_config(crate::rounds::cases(256))]
    #[test]
    fn every_record_reads_back(expected in any_record()) {
        let items = record::encode(&expected).unwrap();
        prop_assert_eq!(read_back(&items), Ok(Some(expected)));
    }

    #[test]
    fn names_are_unambiguous(one in any_record(), other in any_record()) {
        let name = record::name_of(&one.key());
        prop_assert_eq!(record::key_of(&name), Some(one.key()));
        prop_assert_eq!(name == record::name_of(&other.key()), one.key() == other.key());
    }

    #[test]
    fn every_octet_of_an_item_counts(record in any_record(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut items = record::encode(&record).unwrap();
        let (key, value) = &mut items[0];
        let at = at.index(key.len() + value.len());
        match at.checked_sub(key.len()) {
            None => key[at] ^= 1_u8 << bit,
            Some(at) => value[at] ^= 1_u8 << bit,
        }
        let is_noticed = matches!(record::verify(key, value), Err(Fault::Damaged(Damage::Checksum { .. })));
        prop_assert!(is_noticed);
    }

    #[test]
    fn nonsense_is_an_error(key in vec(any::<u8>(), 0..40), value in vec(any::<u8>(), 0..80)) {
        prop_assert!(record::verify(&key, &value).is_err());
        for version in 0..=record::VERSION {
            prop_assert!(record::decode(&key, version, &value).map_or(true, |record| record::name_of(&record.key()) == key));
        }
        let _ = record::decode_meta(&value);
    }
}

fn tombstone(of: TombstoneOf) -> Tombstone {
    Tombstone { of, origin: Origin::Config, held_rights: true, made: None }
}

#[test]
fn no_item_is_larger_than_the_bound() {
    for photo in [0, 5_000, 5_120, 16_384, 200 * 1024, 3_000_000] {
        let record = Record::Account(account(1, photo));
        let items = record::encode(&record).unwrap();
        for (key, value) in &items {
            assert!(key.len() + value.len() <= ITEM_OCTETS_MAX);
        }
        assert_eq!(read_back(&items), Ok(Some(record)), "{photo}");
    }
    let longest = "x".repeat(TOMBSTONE_OCTETS_MAX);
    let items = record::encode(&Record::Tombstone(tombstone(TombstoneOf::Account(longest)))).unwrap();
    assert_eq!(items.len(), 1);
    assert!(items[0].0.len() + items[0].1.len() <= ITEM_OCTETS_MAX);
}

#[test]
fn a_record_has_a_largest_size() {
    let largest = RECORD_OCTETS_MAX - 200;
    let record = Record::Account(account(1, largest));
    assert_eq!(read_back(&record::encode(&record).unwrap()), Ok(Some(record)));
    let error = record::encode(&Record::Account(account(1, RECORD_OCTETS_MAX))).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    let error = record::encode(&Record::Tombstone(tombstone(TombstoneOf::Token(
        "x".repeat(TOMBSTONE_OCTETS_MAX + 1),
    ))))
    .unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
}

#[test]
fn many_small_values_fit_as_one_large_one() {
    let mut account = account(1, 0);
    account.attributes[0].values = vec![vec![7]; 4_000_000];
    let record = Record::Account(account);
    assert!(read_back(&record::encode(&record).unwrap()) == Ok(Some(record)));
}

#[test]
fn a_part_that_is_missing_or_out_of_place_is_noticed() {
    let items = record::encode(&Record::Account(account(1, 20_000))).unwrap();
    assert!(items.len() > 3);
    let without = |gone: usize| {
        let mut items = items.clone();
        items.remove(gone);
        read_back(&items)
    };
    let missing = Err(Fault::Damaged(Damage::PartMissing { item: "account 1".to_owned() }));
    for gone in 0..items.len() {
        assert_eq!(without(gone), missing, "{gone}");
    }
}

#[test]
fn a_later_version_is_told_from_damage() {
    let (key, mut value) = record::encode(&Record::Account(account(17, 10))).unwrap().remove(0);
    value[0] = record::VERSION + 1;
    assert!(matches!(record::verify(&key, &value), Err(Fault::Damaged(_))));
    record::seal_again(&key, &mut value);
    let fault = record::verify(&key, &value).unwrap_err();
    assert_eq!(fault, Fault::TooNew { item: "account 17".to_owned(), version: record::VERSION + 1 });
    let error = fault.at(Path::new("/data"));
    assert!(error.is_unusable() && error.to_string().contains("newer version"), "{error}");
}

#[test]
fn a_record_is_measured_as_it_is_written() {
    let records = (0..60)
        .flat_map(|revision| batch(revision).changes)
        .chain([Change::Put(Record::Account(account(1, RECORD_OCTETS_MAX - 1_000)))]);
    for change in records {
        let Change::Put(record) = change else { continue };
        let items = record::encode(&record).unwrap();
        let written: usize = items.iter().map(|(key, value)| key.len() + value.len()).sum();
        let measured = measure(&record).unwrap();
        assert!(written <= measured && measured <= written + 2 * items.len(), "{written} {measured}");
    }
    for record in [
        Record::Account(account(1, RECORD_OCTETS_MAX)),
        Record::Tombstone(tombstone(TombstoneOf::Account("x".repeat(TOMBSTONE_OCTETS_MAX + 1)))),
    ] {
        assert!(matches!(measure(&record), Err(StoreError::TooLarge { .. })));
        assert!(record::encode(&record).is_err());
    }
}

/// As versions wrote them that kept them as they had been written: they matched nobody.
#[test]
fn networks_of_ipv4_that_are_stored_as_ipv6_are_those_of_ipv4() {
    let networks = |texts: [&str; 3]| texts.map(|text| text.parse::<IpNet>().unwrap()).to_vec();
    let stored = || networks(["::ffff:10.0.0.0/104", "2001:db8::/32", "::ffff:192.0.2.7/128"]);
    let read = || networks(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"]);
    let token = |networks| Record::Token(Token { networks, ..plain::token(7, AccountNumber::new(1)) });
    let application = |networks| {
        let bindings = vec![plain::binding(BindingSubject::Networks(networks))];
        Record::Application(Application { bindings, ..plain::application(8, "wiki") })
    };
    for (stored, expected) in [(token(stored()), token(read())), (application(stored()), application(read()))]
    {
        assert!(read_back(&record::encode(&stored).unwrap()) == Ok(Some(expected)));
    }
}
