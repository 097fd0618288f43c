//! Entries conform to the schema, and stand where a name finds them.

use proptest::prelude::*;

use super::fixture::{Tape, World, container, normal};
use crate::directory::tree::dn_form;
use crate::directory::{EntryId, TreeReader, Visibility};
use crate::model::{AccountKind, AccountNumber, GroupNumber, Placement, ProviderNumber};
use crate::plain::{account, attribute, group, provider};
use crate::schema::{
    AUTHENTIK_GROUP, AUTHENTIK_USER, AUTHENTIK_VIRTUAL_GROUP, AttributeId, MatchingRule, Schema, Usage,
};

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4_000, ..crate::rounds::cases(64) })]

    #[test]
    fn every_entry_conforms_to_the_schema(directory in proptest::collection::vec(any::<u16>(), 0..400)) {
        let world = World::random(&mut Tape::new(&directory));
        let snapshot = world.snapshot();
        for tree in snapshot.trees() {
            let look = TreeReader::new(&snapshot, tree, &Visibility::Full);
            let mut next = Some(0);
            while let Some(id) = next.and_then(|next| tree.next(next)) {
                conforms(&look, id);
                next = id.raw().checked_add(1);
            }
        }
    }
}

/// RFC 4512 sections 2.4, 2.5 and 3.3 for one entry.
fn conforms(look: &TreeReader<'_>, id: EntryId) {
    let schema = look.schema();
    let entry = &look.entry(id).unwrap();
    let dn = String::from_utf8(entry.dn().to_vec()).unwrap();
    let normal_dn = dn_form(entry, schema);
    assert_eq!(look.tree().find_normal(&normal_dn, schema), Some(id), "{dn}");
    assert!(look.tree().dn_form_below(entry, schema).is_none_or(|below| below == normal_dn), "{dn}");
    let class_names = values(look, id, AttributeId::OBJECT_CLASS);
    let classes: Vec<_> =
        class_names.iter().map(|name| schema.class(std::str::from_utf8(name).unwrap())).collect();
    let is_open = classes.iter().any(|class| class.is_none_or(|class| class.name() == "extensibleObject"));
    let classes: Vec<_> = classes.into_iter().flatten().collect();
    for class in &classes {
        for above in class.superclasses() {
            assert!(
                class_names.iter().any(|name| name.eq_ignore_ascii_case(above.name().as_bytes())),
                "{dn} is {} but not {}",
                class.name(),
                above.name()
            );
            for must in above.must {
                assert!(!values(look, id, *must).is_empty(), "{dn} lacks {}", schema.attribute(*must).name);
            }
        }
    }
    let structural: Vec<_> =
        classes.iter().filter(|class| class.kind == crate::schema::ClassKind::Structural).collect();
    let is_chain = structural.iter().any(|deepest| {
        structural.iter().all(|class| deepest.superclasses().any(|above| above.name() == class.name()))
    });
    assert!(is_chain || is_open && structural.is_empty(), "{dn} is {class_names:?}");
    let mut descriptions: Vec<String> = Vec::new();
    for stored in entry.attributes() {
        let description = String::from_utf8(stored.description().to_vec()).unwrap();
        let attribute = schema.attribute(stored.id);
        assert_eq!(description.split(';').next().unwrap(), attribute.name, "{dn}");
        assert!(!descriptions.contains(&description.to_lowercase()), "{dn} has {description} twice");
        descriptions.push(description.to_lowercase());
        let forms: Vec<Vec<u8>> = stored.values().map(|value| form(attribute.equality, value)).collect();
        let mut unique = forms.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(forms.len(), unique.len(), "{dn} has a value of {description} twice");
    }
    for attribute in schema.attributes() {
        let own = values(look, id, attribute.id);
        if own.is_empty() {
            continue;
        }
        assert!(!attribute.secret, "{dn} shows {}", attribute.name);
        assert!(!attribute.single_valued || own.len() == 1, "{dn} has several {}: {own:?}", attribute.name);
        for value in &own {
            // authentik's classes are published under other names.
            let is_excepted = attribute.id == AttributeId::OBJECT_CLASS
                && [AUTHENTIK_USER, AUTHENTIK_GROUP, AUTHENTIK_VIRTUAL_GROUP]
                    .iter()
                    .any(|class| class.as_bytes() == value);
            assert!(
                is_excepted || attribute.syntax.accepts(value),
                "{dn} {}: {}",
                attribute.name,
                value.escape_ascii()
            );
        }
        let is_allowed = is_open
            || attribute.usage != Usage::User
            || classes.iter().any(|class| class.attributes().any(|allowed| allowed == attribute.id));
        assert!(is_allowed, "{dn} may not have {}", attribute.name);
    }
    // The RDN's values are the entry's (RFC 4512 section 2.3.1).
    let parsed = crate::schema::Dn::parse(entry.dn()).unwrap();
    for pair in parsed.rdn().unwrap().pairs() {
        let attribute = schema.find(&pair.attribute).unwrap();
        let rule = schema.attribute(attribute).equality;
        let wanted = form(rule, &pair.value);
        assert!(values(look, id, attribute).iter().any(|value| form(rule, value) == wanted), "{dn}");
    }
    // One spelling everywhere.
    assert_eq!(values(look, id, AttributeId::ENTRY_DN), [entry.dn()]);
    assert_eq!(look.find(entry.dn()), Some(id), "{dn}");
}

fn form(rule: Option<MatchingRule>, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match rule.map(|rule| rule.normalize(value, &mut out)) {
        Some(Ok(())) => out,
        _ => value.to_vec(),
    }
}

fn values(look: &TreeReader<'_>, id: EntryId, attribute: AttributeId) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    look.values(id, &look.entry(id).unwrap(), attribute, &mut |value| {
        all.push(value.to_vec());
        true
    });
    all
}

fn texts(look: &TreeReader<'_>, id: EntryId, attribute: AttributeId) -> Vec<String> {
    values(look, id, attribute).into_iter().map(|value| String::from_utf8(value).unwrap()).collect()
}

fn people() -> World {
    let mut world = World::default();
    world.providers.insert(1, provider(1, "dc=Example,dc=org"));
    for (number, name) in [(10, "alice"), (11, "Bob")] {
        let mut person = account(number, name);
        person.kind = AccountKind::Internal;
        world.accounts.insert(number, person);
    }
    world.groups.insert(20, group(20, "it"));
    world
}

const ALICE: EntryId = EntryId::of_account(AccountNumber::new(10));
const ALICES_GROUP: EntryId = EntryId::of_virtual_group(AccountNumber::new(10));
const IT: EntryId = EntryId::of_group(GroupNumber::new(20));

#[test]
fn numbers_and_names_are_derived() {
    let mut world = people();
    world.accounts.get_mut(&10).unwrap().name = "Alice Adams".to_owned();
    world.accounts.get_mut(&10).unwrap().email = "alice@example.org".to_owned();
    let snapshot = world.snapshot();
    let look = TreeReader::new(&snapshot, &snapshot.trees()[0], &Visibility::Full);
    for (attribute, expected) in [
        (AttributeId::CN, "alice"),
        (AttributeId::UID, "alice"),
        (AttributeId::SN, "alice"),
        (AttributeId::DISPLAY_NAME, "Alice Adams"),
        (AttributeId::MAIL, "alice@example.org"),
        (AttributeId::UID_NUMBER, "2010"),
        (AttributeId::GID_NUMBER, "4010"),
        (AttributeId::HOME_DIRECTORY, "/home/alice"),
        (AttributeId::NAME, "Alice Adams"),
        (AttributeId::SAM_ACCOUNT_NAME, "alice"),
        (AttributeId::USER_PRINCIPAL_NAME, "alice@Example.org"),
        (AttributeId::USER_ACCOUNT_CONTROL, "512"),
        (AttributeId::ENTRY_DN, "cn=alice,ou=users,dc=Example,dc=org"),
        (AttributeId::STRUCTURAL_OBJECT_CLASS, "inetOrgPerson"),
    ] {
        assert_eq!(texts(&look, ALICE, attribute), [expected]);
    }
    assert_eq!(texts(&look, ALICES_GROUP, AttributeId::GID_NUMBER), ["4010"]);
    assert_eq!(texts(&look, ALICES_GROUP, AttributeId::MEMBER), ["cn=alice,ou=users,dc=Example,dc=org"]);
    assert_eq!(texts(&look, IT, AttributeId::GID_NUMBER), ["4020"]);
    assert_eq!(texts(&look, IT, AttributeId::STRUCTURAL_OBJECT_CLASS), ["groupOfNames"]);
}

#[test]
fn the_largest_numbers_do_not_wrap() {
    let mut world = people();
    let settings = world.providers.get_mut(&1).unwrap();
    (settings.uid_start_number, settings.gid_start_number) = (u32::MAX, u32::MAX);
    let snapshot = world.snapshot();
    let look = TreeReader::new(&snapshot, &snapshot.trees()[0], &Visibility::Full);
    assert_eq!(texts(&look, ALICE, AttributeId::UID_NUMBER), ["4294967305"]);
}

#[test]
fn a_virtual_group_exists_only_where_the_number_was_derived() {
    for (attributes, classes, switch, expected) in [
        (vec![], vec![], true, true),
        (vec![], vec![], false, false),
        (vec![attribute("GIDNUMBER", &["5"])], vec![], true, false),
        (vec![attribute("1.3.6.1.1.1.1.1", &["5"])], vec![], true, false),
        (vec![attribute("uidNumber", &["5"])], vec![], true, true),
        (vec![], vec!["top", "person"], true, false),
        (vec![], vec!["top", "person", "POSIXACCOUNT"], true, true),
    ] {
        let mut world = people();
        world.providers.get_mut(&1).unwrap().virtual_groups = switch;
        let alice = world.accounts.get_mut(&10).unwrap();
        alice.attributes = attributes.clone();
        alice.object_classes = classes.iter().map(|class| class.to_string()).collect();
        let snapshot = world.snapshot();
        let tree = &snapshot.trees()[0];
        assert_eq!(tree.entry(ALICES_GROUP).is_some(), expected, "{attributes:?} {classes:?} {switch}");
        let look = TreeReader::new(&snapshot, tree, &Visibility::Full);
        assert_eq!(look.find(b"ou=virtual-groups,dc=example,dc=org").is_some(), switch);
        if !attributes.is_empty() {
            assert_eq!(values(&look, ALICE, attributes[0].description.parse_id()), attributes[0].values);
        }
    }
}

trait ParseId {
    fn parse_id(&self) -> AttributeId;
}

impl ParseId for String {
    fn parse_id(&self) -> AttributeId {
        Schema::core().find(self).unwrap()
    }
}

#[test]
fn without_compatibility_no_entry_has_those_attributes() {
    let mut world = people();
    world.providers.get_mut(&1).unwrap().compatibility_attributes = false;
    world.accounts.get_mut(&10).unwrap().attributes =
        vec![attribute("sAMAccountName", &["x"]), attribute("ak-active", &["TRUE"])];
    let snapshot = world.snapshot();
    let look = TreeReader::new(&snapshot, &snapshot.trees()[0], &Visibility::Full);
    for id in [ALICE, ALICES_GROUP, IT, EntryId::SUFFIX] {
        for attribute in [
            AttributeId::NAME,
            AttributeId::SAM_ACCOUNT_NAME,
            AttributeId::USER_PRINCIPAL_NAME,
            AttributeId::USER_ACCOUNT_CONTROL,
            AttributeId::OBJECT_GUID,
            AttributeId::OBJECT_CATEGORY,
            AttributeId::SAM_ACCOUNT_TYPE,
            AttributeId::WHEN_CREATED,
            AttributeId::WHEN_CHANGED,
            AttributeId::DISTINGUISHED_NAME,
            AttributeId::AK_ACTIVE,
            AttributeId::AK_SUPERUSER,
        ] {
            assert!(values(&look, id, attribute).is_empty());
        }
        let classes = texts(&look, id, AttributeId::OBJECT_CLASS);
        assert!(
            !classes.iter().any(|class| class == "user" || class == "group" || class.contains('/')),
            "{classes:?}"
        );
    }
}

#[test]
fn a_given_display_name_is_the_only_one() {
    let mut world = people();
    let alice = world.accounts.get_mut(&10).unwrap();
    alice.name = "Alice Adams".to_owned();
    alice.attributes = vec![attribute("displayName", &["Al"])];
    let snapshot = world.snapshot();
    let look = TreeReader::new(&snapshot, &snapshot.trees()[0], &Visibility::Full);
    assert_eq!(texts(&look, ALICE, AttributeId::DISPLAY_NAME).len(), 1);
}

#[test]
fn containers_of_every_kind_are_real_entries() {
    let mut settings = provider(1, "c=DE");
    settings.users = vec![
        container("uid=apps,l=Berlin", "uid"),
        container("dc=sub+ou=x", "cn"),
        container("cn=Users", "cn"),
    ];
    settings.groups = vec![container("st=here,o=Org", "cn")];
    for base in ["c=DE", "dc=example", "o=Org", "cn=root", "uid=root", "ou=a+l=b", "dc=a,dc=b,dc=c"] {
        settings.base_dn = base.to_owned();
        let mut world = World::default();
        world.providers.insert(1, settings.clone());
        let snapshot = world.snapshot();
        let tree = &snapshot.trees()[0];
        let look = TreeReader::new(&snapshot, tree, &Visibility::Full);
        assert_eq!(tree.len(), 9, "{base}");
        for place in 0..tree.len() {
            conforms(&look, EntryId::of_container(place as u16));
        }
        assert_eq!(look.subordinates(EntryId::SUFFIX), 6);
    }
}

#[test]
fn a_name_stands_for_a_username_only_where_no_entry_has_it() {
    let mut world = people();
    // Bob stands where the name of alice would lead.
    world.accounts.get_mut(&11).unwrap().placements = vec![Placement {
        provider: ProviderNumber::new(1),
        container: "ou=users".to_owned(),
        rdn: "uid=ALICE".to_owned(),
    }];
    world.accounts.get_mut(&10).unwrap().attributes = vec![attribute("cn", &["Other"])];
    let snapshot = world.snapshot();
    let look = TreeReader::new(&snapshot, &snapshot.trees()[0], &Visibility::Full);
    let bob = EntryId::of_account(AccountNumber::new(11));
    for (dn, expected) in [
        ("cn=alice,ou=users,dc=example,dc=org", Some(ALICE)),
        ("uid=alice,ou=users,dc=example,dc=org", Some(bob)),
        ("sAMAccountName=Alice,ou=users,dc=example,dc=org", Some(ALICE)),
        ("userid=bob,ou=users,dc=example,dc=org", Some(bob)),
        ("cn=Bob,ou=users,dc=example,dc=org", Some(bob)),
        ("cn=other,ou=users,dc=example,dc=org", None),
        ("sn=alice,ou=users,dc=example,dc=org", None),
        ("cn=alice+uid=alice,ou=users,dc=example,dc=org", None),
        ("cn=alice,ou=groups,dc=example,dc=org", None),
        ("uid=it,ou=users,dc=example,dc=org", None),
        ("uid=it,ou=groups,dc=example,dc=org", None),
        ("uid=alice,ou=virtual-groups,dc=example,dc=org", None),
        ("cn=alice,ou=virtual-groups,dc=example,dc=org", Some(ALICES_GROUP)),
        ("cn=alice,dc=example,dc=org", None),
        ("cn=alice,ou=users", None),
        ("not a name", None),
        ("", None),
    ] {
        assert_eq!(look.find(dn.as_bytes()), expected, "{dn}");
    }
}

/// What stands at a name that a reader may not see is, for that reader, nothing at all.
#[test]
fn a_hidden_entry_does_not_stand_in_the_way_of_a_username() {
    use crate::directory::OwnEntries;
    let mut world = people();
    let hidden = Placement {
        provider: ProviderNumber::new(1),
        container: "ou=users".to_owned(),
        rdn: "uid=alice".to_owned(),
    };
    let own = Visibility::Own(OwnEntries::new(vec![ALICE, ALICES_GROUP]));
    let mut answers = Vec::new();
    for placements in [vec![], vec![hidden]] {
        world.accounts.get_mut(&11).unwrap().placements = placements;
        let snapshot = world.snapshot();
        let look = TreeReader::new(&snapshot, &snapshot.trees()[0], &own);
        answers.push(look.find(b"uid=alice,ou=users,dc=example,dc=org"));
    }
    assert_eq!(answers, [Some(ALICE), Some(ALICE)]);
}

#[test]
fn the_deepest_match_may_be_a_leaf_that_is_seen() {
    let snapshot = people().snapshot();
    let tree = &snapshot.trees()[0];
    let own = Visibility::Own(crate::directory::OwnEntries::new(vec![ALICE]));
    for (visibility, dn, expected) in [
        (
            &Visibility::Full,
            "cn=a,cn=b,CN=Alice,ou=users,dc=example,dc=org",
            "cn=alice,ou=users,dc=Example,dc=org",
        ),
        (&own, "cn=a,cn=alice,ou=users,dc=example,dc=org", "cn=alice,ou=users,dc=Example,dc=org"),
        (&own, "cn=a,cn=bob,ou=users,dc=example,dc=org", "ou=users,dc=Example,dc=org"),
        (&own, "cn=bob,ou=users,dc=example,dc=org", "ou=users,dc=Example,dc=org"),
        (&own, "ou=nowhere,dc=example,dc=org", "dc=Example,dc=org"),
        (&own, "dc=org", ""),
    ] {
        let look = TreeReader::new(&snapshot, tree, visibility);
        assert_eq!(look.matched_dn(&normal(dn)), expected.as_bytes(), "{dn}");
    }
}

#[test]
fn two_objects_cannot_have_one_place() {
    let mut world = people();
    world.providers.get_mut(&1).unwrap().groups = vec![container("ou=virtual-groups", "cn")];
    let snapshot = world.snapshot();
    let tree = &snapshot.trees()[0];
    let place = |container: &str, rdn: &str| {
        vec![Placement {
            provider: ProviderNumber::new(1),
            container: container.to_owned(),
            rdn: rdn.to_owned(),
        }]
    };
    let mut carol = account(12, "carol");
    assert!(tree.check_account(&carol, snapshot.schema()).is_ok());
    for (container, rdn) in [
        ("ou=users", "CN=ALICE"),
        ("ou=nowhere", "cn=carol"),
        ("ou=users", "carol"),
        ("", "ou=users"),
        ("ou=users", "cn=a,cn=b"),
    ] {
        carol.placements = place(container, rdn);
        assert!(tree.check_account(&carol, snapshot.schema()).is_err(), "{rdn},{container}");
    }
    // A group where the virtual group of an account stands or would stand.
    assert!(tree.check_group(&group(21, "ALICE"), snapshot.schema()).is_err());
    let it = account(13, "it");
    assert!(tree.check_account(&it, snapshot.schema()).is_err());
    let mut long = account(14, &"x".repeat(70_000));
    assert!(tree.check_account(&long, snapshot.schema()).is_err());
    long.username = "long".to_owned();
    assert!(tree.check_account(&long, snapshot.schema()).is_ok());
    assert_eq!(normal("cn=x"), b"cn=x");
}

/// `cn;lang-de` is another attribute than `cn`, which people must have.
#[test]
fn a_variant_with_an_option_does_not_stand_for_the_attribute() {
    let mut world = people();
    let alice = world.accounts.get_mut(&10).unwrap();
    alice.name = "Alice Adams".to_owned();
    let options = ["sn;lang-de", "displayName;lang-de", "cn;lang-de", "homeDirectory;x-old"];
    alice.attributes = options.map(|description| attribute(description, &["Alicia"])).to_vec();
    alice.attributes.extend(["gidNumber;x-old", "uidNumber;x-old"].map(|name| attribute(name, &["5"])));
    world.providers.get_mut(&1).unwrap().users[0].naming = "uid".to_owned();
    let snapshot = world.snapshot();
    let tree = &snapshot.trees()[0];
    let entry = tree.entry(ALICE).unwrap();
    let find = |description: &str| {
        let mut found = entry.attributes().filter(|stored| stored.description() == description.as_bytes());
        let values: Vec<String> =
            found.next()?.values().map(|value| String::from_utf8(value.to_vec()).unwrap()).collect();
        Some(values.join(" "))
    };
    for (description, value) in [
        ("cn", "Alice Adams"),
        ("sn", "alice"),
        ("displayName", "Alice Adams"),
        ("homeDirectory", "/home/alice"),
        ("cn;lang-de", "Alicia"),
        ("gidNumber;x-old", "5"),
        ("displayName;lang-de", "Alicia"),
    ] {
        assert_eq!(find(description).as_deref(), Some(value), "{description}");
    }
    assert!(find("gidNumber").is_some() && find("uidNumber").is_some());
    assert!(tree.entry(ALICES_GROUP).is_some());
    let look = TreeReader::new(&snapshot, tree, &Visibility::Full);
    assert_eq!(texts(&look, ALICE, AttributeId::NAME), ["Alice Adams"]);
}

/// Each value compared with each would take minutes.
#[test]
fn an_attribute_may_have_very_many_values() {
    let mut world = people();
    let mut list: Vec<String> = (0..50_000).map(|number| format!("Address {number}")).collect();
    list.push("ADDRESS  7".to_owned());
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    world.accounts.get_mut(&10).unwrap().attributes = vec![attribute("description", &list)];
    let start = std::time::Instant::now();
    let snapshot = world.snapshot();
    assert!(start.elapsed() < std::time::Duration::from_secs(60), "{:?}", start.elapsed());
    let look = TreeReader::new(&snapshot, &snapshot.trees()[0], &Visibility::Full);
    assert_eq!(values(&look, ALICE, Schema::core().find("description").unwrap()).len(), 50_000);
}

/// Every entry is one thing (RFC 4512 section 2.4.2), has what its classes require, and one value where there may be
/// one.
#[test]
fn an_entry_is_one_thing_and_has_what_it_must() {
    let mut world = World::default();
    world.providers.insert(1, provider(1, "dc=example"));
    let mut posix = account(10, "posix");
    posix.object_classes = vec!["posixAccount".to_owned(), "shadowAccount".to_owned()];
    let mut numbered = account(11, "numbered");
    numbered.attributes = vec![attribute("employeeNumber", &["2"]), attribute("cn;lang-de", &["Nummer"])];
    numbered.placements = vec![crate::model::Placement {
        provider: crate::model::ProviderNumber::new(1),
        container: "ou=users".to_owned(),
        rdn: "employeeNumber=1".to_owned(),
    }];
    let mut plain = group(20, "plain");
    plain.object_classes = vec!["posixGroup".to_owned()];
    world.accounts.insert(10, posix);
    world.accounts.insert(11, numbered);
    world.groups.insert(20, plain);
    let snapshot = world.snapshot();
    let tree = &snapshot.trees()[0];
    let of = |id: EntryId, name: &str| -> Vec<String> {
        let entry = tree.entry(id).unwrap();
        let of_name = entry.attributes().filter(|stored| stored.description() == name.as_bytes());
        let values = of_name.flat_map(|stored| stored.values());
        values.map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
    };
    let (posix, numbered, plain) = (
        EntryId::of_account(crate::model::AccountNumber::new(10)),
        EntryId::of_account(crate::model::AccountNumber::new(11)),
        EntryId::of_group(crate::model::GroupNumber::new(20)),
    );
    assert_eq!(
        of(posix, "objectClass"),
        ["posixAccount", "shadowAccount", "top", "account", "user", AUTHENTIK_USER]
    );
    assert_eq!(of(plain, "objectClass"), ["posixGroup", "top", "groupOfNames", "group", AUTHENTIK_GROUP]);
    assert_eq!(tree.entry(plain).unwrap().added().classes(), 3);
    assert_eq!(of(numbered, "employeeNumber"), ["1"], "the RDN has said which");
    assert_eq!(of(numbered, "cn"), ["numbered"], "a variant in a language is not the name itself");
    assert_eq!(of(numbered, "cn;lang-de"), ["Nummer"]);
}
