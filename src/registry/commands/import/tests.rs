#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::{Seed, SeedApplication, SeedAttribute, SeedRole, SeedSubject};
use crate::directory::{EntryId, Snapshot, TreeReader, Visibility};
use crate::ldif::{LdifReader, Record};
use crate::model::{AccountKind, AttributeNumber, AttributeSyntax, CustomAttribute, Record as Stored};
use crate::plain;
use crate::registry::commands::testing::*;
use crate::registry::commands::{Export, ExportFormat, ExportOptions};
use crate::registry::{ChangeError, Registry};
use crate::schema::AttributeId;
use crate::store::{Call, Fate, FaultyStore, MemoryStore, Store, StoreError};

const BASE: &str = "dc=example,dc=com";

fn pair(container: &str, naming: &str) -> (String, String) {
    (container.to_owned(), naming.to_owned())
}

fn options() -> ImportOptions {
    ImportOptions {
        provider: None,
        users: vec![pair("ou=people", "uid")],
        groups: vec![pair("ou=teams", "cn")],
        service_accounts: vec![pair("ou=services", "cn")],
        role: Some("reader".to_owned()),
        restore: false,
        allow_system_numbers: false,
        allow_shared_numbers: false,
    }
}

fn prepared() -> (Arc<Registry>, Arc<MemoryStore>, ImportLayout) {
    let store = Arc::new(MemoryStore::new());
    let (registry, layout) = prepared_over(store.clone());
    (registry, store, layout)
}

fn prepared_over(store: Arc<dyn Store>) -> (Arc<Registry>, ImportLayout) {
    let registry = registry_over(store);
    let role = SeedRole { name: "reader".to_owned(), ..SeedRole::default() };
    let seed = Seed { providers: vec![provider("ldap", BASE)], roles: vec![role], ..Seed::default() };
    apply(&registry, &seed).unwrap();
    let layout = wait(registry.prepare_import(actor(), options())).unwrap();
    (registry, layout)
}

fn records(ldif: &str) -> Vec<Record> {
    LdifReader::new(ldif.as_bytes()).collect::<Result<_, _>>().unwrap()
}

/// What a client does with a file.
fn import(registry: &Registry, layout: &ImportLayout, ldif: &str) -> ImportReport {
    import_as(registry, layout, &options(), ldif)
}

fn import_as(
    registry: &Registry,
    layout: &ImportLayout,
    options: &ImportOptions,
    ldif: &str,
) -> ImportReport {
    let mut report = ImportReport::default();
    let (mut accounts, mut groups, mut memberships) = (Vec::new(), Vec::new(), Vec::new());
    let classifier = Classifier::new(layout);
    for record in records(ldif) {
        let left_out = match classifier.classify(&record) {
            Classified::Account(account, left_out) => {
                accounts.push(ImportEntry::Account(account));
                left_out
            }
            Classified::Group(group, members, left_out) => {
                groups.push(ImportEntry::Group(group));
                memberships.push(ImportEntry::Members(members));
                left_out
            }
            Classified::Container(left_out) => {
                report.already_there += 1;
                left_out
            }
            Classified::Ignored { reason } => vec![reason],
        };
        left_out.into_iter().for_each(|reason| report.leave_out(reason, &record.dn));
    }
    for entries in [accounts, groups, memberships] {
        report.add(wait(registry.import(actor(), options.clone(), entries)).unwrap());
        if report.stopped.is_some() {
            break;
        }
    }
    report
}

/// What strangers had made stands in no config's way any more.
#[test]
fn what_an_export_does_not_tell_is_told_when_it_is_restored() {
    let person =
        format!("dn: uid=ceo,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: ceo\ncn: ceo\nsn: ceo\n\n");
    for restore in [true, false] {
        let (registry, _, layout) = prepared();
        let options = ImportOptions { restore, ..options() };
        let report = import_as(&registry, &ImportLayout { restore, ..layout.clone() }, &options, &person);
        let told =
            report.told.iter().any(|(what, told)| what.contains("who had made what") && told.count == 1);
        assert_eq!((report.users, told), (1, restore), "{report:#?}");
        let again = import_as(&registry, &ImportLayout { restore, ..layout }, &options, &person);
        assert!(again.told.is_empty(), "{again:#?}");
    }
}

/// The values of an attribute of the entry with this DN.
fn values(snapshot: &Snapshot, dn: &str, attribute: &str) -> Vec<String> {
    let tree = snapshot.default_tree().unwrap();
    let reader = TreeReader::new(snapshot, tree, &Visibility::Full);
    let id = reader.find(dn.as_bytes()).unwrap_or_else(|| panic!("there is no entry {dn}"));
    let attribute = snapshot.schema().find(attribute).unwrap();
    let mut found = Vec::new();
    reader.values(id, tree.entry(id).unwrap(), attribute, &mut |value| {
        found.push(String::from_utf8_lossy(value).into_owned());
        true
    });
    found
}

// {SSHA} of "secret", salt "salt".
const SSHA: &str = "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0";

fn example() -> String {
    format!(
        "\
dn: {BASE}
objectClass: organization
objectClass: dcObject
o: example

dn: ou=people,{BASE}
objectClass: organizationalUnit

dn: cn=everybody,ou=teams,{BASE}
objectClass: groupOfNames
member: cn=Builders,ou=teams,{BASE}
member: UID=Alice, OU=People, {BASE}
member: uid=gone,ou=people,{BASE}
member: cn=everybody,ou=teams,{BASE}
description: All of us

dn: cn=Builders,ou=teams,{BASE}
objectClass: posixGroup
objectClass: groupOfUniqueNames
gidNumber: 5000
memberUid: bob
uniqueMember: cn=O\\27Hara\\, Bob+sn=O\\27Hara,ou=people,{BASE}
uniqueMember: uid=alice,ou=people,{BASE}#'01'B
userPassword: {{CRYPT}}x

dn: uid=Alice,ou=people,{BASE}
objectClass: inetOrgPerson
objectClass: posixAccount
uid: Alice
uid: aadams
cn: Alice Adams
cn: Alice B. Adams
sn: Adams
displayName: Alice the Great
mail: alice@example.com
mail: a.adams@example.com
uidNumber: 7007
gidNumber: 10100
homeDirectory: /home/alice
shoeSize: 41
telephoneNumber;home: +1 555
jpegPhoto:: /9j/4AAQ
userPassword: {SSHA}
userPassword: second
memberOf: cn=everybody,ou=teams,{BASE}
entryUUID: 597ae2f6-16a6-1027-98f4-d28b5365dc14
createTimestamp: 20200101000000Z
modifyTimestamp: 20210101000000Z
creatorsName: cn=admin,{BASE}
entryCSN: 20210101000000.000000Z#000000#000#000000
pwdHistory: secret
sambaNTPassword: 0123456789ABCDEF

dn: cn=O'Hara\\, Bob+sn=O'Hara,ou=people,{BASE}
objectClass: person
objectClass: uidObject
cn: O'Hara, Bob
sn: O'Hara
uid: bob
userPassword: in clear
nsAccountLock: TRUE

dn: cn=Grafana,ou=services,{BASE}
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: Grafana
userPassword: {SSHA}

dn: cn=printer,ou=people,{BASE}
objectClass: device
cn: printer

dn: uid=deep,ou=sub,ou=people,{BASE}
objectClass: inetOrgPerson
uid: deep

dn: uid=far,dc=other
objectClass: inetOrgPerson
uid: far
"
    )
}

/// What the server does with a file.
fn import_file(ldif: &str) -> (Arc<Registry>, ImportReport) {
    let (registry, _, _) = prepared();
    let directory = tempfile::tempdir().unwrap();
    let spools =
        Spools { directory: Some(directory.path().to_owned()), size_max: u64::MAX, entries_max: usize::MAX };
    let mut spool = spools.make().unwrap();
    spool.write(ldif.as_bytes()).unwrap();
    let report = wait(registry.import_file(actor(), options(), spool, &CancellationToken::new())).unwrap();
    (registry, report)
}

/// An entry is what it is in each reading of the file, however its classes are written.
#[test]
fn classes_are_known_by_name_and_by_oid() {
    for class in [
        "objectClass: groupOfNames",
        "objectClass: 2.5.6.9",
        "objectClass: 2.5.6.17",
        "objectClass: 1.3.6.1.1.1.2.2",
        "objectClass: 1.3.6.1.1.1.2.18",
        "2.5.4.0: 2.5.6.9",
        "OBJECTCLASS: GROUPOFNAMES",
    ] {
        let person = "objectClass: 2.16.840.1.113730.3.2.2\nuid: zoe\ncn: Zoe\nsn: Z";
        let (registry, report) = import_file(&format!(
            "dn: cn=crew,ou=teams,{BASE}\n{class}\ncn: crew\nmember: uid=zoe,ou=people,{BASE}\n\n\
             dn: uid=zoe,ou=people,{BASE}\n{person}\n"
        ));
        assert_eq!((report.users, report.groups, report.memberships), (1, 1, 1), "{class}: {report:?}");
        let values = values(&registry.snapshot(), &format!("cn=crew,ou=teams,{BASE}"), "objectClass");
        assert!(
            !values.iter().any(|value| value.starts_with(|first: char| first.is_ascii_digit())),
            "{class}: {values:?}"
        );
    }
}

/// What stands behind a mistake belongs to the record with the mistake, whenever the file is read.
#[test]
fn the_rest_of_a_bad_record_is_no_record() {
    let crew = format!("dn: cn=crew,ou=teams,{BASE}\nobjectClass: groupOfNames\ncn: crew\n\n");
    let evil = format!("dn: cn=evil,ou=teams,{BASE}\nobjectClass: groupOfNames\ncn: evil\n");
    let person =
        format!("dn: uid=zoe,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: zoe\ncn: Zoe\nsn: Z\n\n");
    for rest in ["sn: x\n", &evil, "version: 3\n"] {
        let bad = format!("dn: uid=bad,ou=people,{BASE}\nobjectClass: inetOrgPerson\nbadline\n{rest}\n");
        let (registry, report) = import_file(&format!("{bad}{crew}{bad}{person}{crew}"));
        assert_eq!(
            (report.users, report.groups, report.stopped.is_none()),
            (1, 1, true),
            "{rest}: {report:?}"
        );
        let snapshot = registry.snapshot();
        let tree = snapshot.default_tree().unwrap();
        let reader = TreeReader::new(&snapshot, tree, &Visibility::Full);
        let is_there = |name: &str| reader.find(format!("cn={name},ou=teams,{BASE}").as_bytes()).is_some();
        assert_eq!((is_there("crew"), is_there("evil")), (true, false), "{rest}");
    }
}

#[test]
fn entries_keep_their_names_and_what_they_hold() {
    let (registry, _, layout) = prepared();
    let report = import(&registry, &layout, &example());
    assert_eq!(
        (report.users, report.service_accounts, report.groups, report.passwords),
        (2, 1, 2, 3),
        "{report:#?}"
    );
    assert_eq!((report.memberships, report.nested_groups), (3, 1), "{report:#?}");
    assert_eq!(report.already_there, 3, "the suffix, a container, and Bob who is named twice");
    assert_eq!(report.stopped, None);

    let snapshot = registry.snapshot();
    let alice = format!("uid=Alice,ou=people,{BASE}");
    let find = |dn: &str, attribute: &str| values(&snapshot, dn, attribute);
    assert_eq!(find(&alice, "uid"), ["Alice", "aadams"]);
    assert_eq!(find(&alice, "cn"), ["Alice Adams", "Alice B. Adams"]);
    assert_eq!(find(&alice, "displayName"), ["Alice the Great"]);
    assert_eq!(find(&alice, "mail"), ["alice@example.com", "a.adams@example.com"]);
    assert_eq!(find(&alice, "uidNumber"), ["7007"]);
    assert_eq!(find(&alice, "telephoneNumber"), ["+1 555"]);
    assert_eq!(find(&alice, "shoeSize"), ["41"]);
    assert_eq!(find(&alice, "jpegPhoto").len(), 1);
    assert_eq!(find(&alice, "entryUUID"), ["597ae2f6-16a6-1027-98f4-d28b5365dc14"]);
    assert_eq!(find(&alice, "createTimestamp"), ["20200101000000Z"]);
    assert_eq!(find(&alice, "modifyTimestamp"), ["20210101000000Z"]);
    assert_eq!(find(&alice, "entryDN"), std::slice::from_ref(&alice));
    let classes = find(&alice, "objectClass");
    assert_eq!(
        classes,
        [
            "top",
            "person",
            "organizationalPerson",
            "inetOrgPerson",
            "posixAccount",
            "user",
            "goauthentik.io/ldap/user",
            "extensibleObject"
        ],
        "no class that it has allows shoeSize"
    );
    assert_eq!(find(&alice, "memberOf").len(), 2);

    let bob = format!("cn=O\\27Hara\\2c Bob+SN=O'hara,ou=people,{BASE}");
    assert!(find(&bob, "uidNumber").is_empty(), "it is no posixAccount");
    assert_eq!(find(&bob, "entryDN"), [format!("cn=O'Hara\\, Bob+sn=O'Hara,ou=people,{BASE}")]);
    assert_eq!(find(&bob, "objectClass"), ["person", "uidObject", "top", "user", "goauthentik.io/ldap/user"]);
    let builders = format!("cn=builders,ou=teams,{BASE}");
    assert_eq!(find(&builders, "gidNumber"), ["5000"]);
    assert_eq!(find(&builders, "uniqueMember").len(), 2);

    assert!(binds(&registry, &alice, b"secret"));
    assert!(!binds(&registry, "bob", b"in clear"), "it is locked there");
    wait(set_active(&registry, "bob".to_owned(), true)).unwrap();
    assert!(binds(&registry, "bob", b"in clear"));
    assert!(binds(&registry, &format!("cn=grafana,ou=services,{BASE}"), b"secret"));
    let grafana = snapshot.accounts().account_named("grafana").unwrap();
    assert_eq!((grafana.kind, grafana.roles.len()), (AccountKind::ServiceAccount, 1));
    assert!(grafana.password.is_none());
    assert!(snapshot.accounts().token_named("Grafana-imported").unwrap().is_selectorless());
}

#[test]
fn two_people_with_one_mail_address_are_imported_and_told() {
    let (registry, _, layout) = prepared();
    let person = |uid: &str, mail: &str| {
        format!(
            "dn: uid={uid},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\nmail: {mail}\n\n"
        )
    };
    let ldif = [
        person("amy", "post@example.org"),
        person("ben", "POST@example.org"),
        person("cal", "c@example.org"),
    ];
    let report = import(&registry, &layout, &ldif.concat());
    assert_eq!((report.users, report.left_out.len()), (3, 0), "{report:#?}");
    let told: Vec<_> = report.told.values().map(|told| (told.count, told.examples.clone())).collect();
    assert_eq!(told, [(1, vec!["account amy and account ben: post@example.org".to_owned()])]);
    assert!(import(&registry, &layout, &ldif.concat()).told.is_empty(), "nothing is new");
}

#[test]
fn everything_that_is_left_out_is_told() {
    let (registry, _, layout) = prepared();
    let report = import(&registry, &layout, &example());
    let told: Vec<(&str, u64)> =
        report.left_out.iter().map(|(reason, left_out)| (reason.as_str(), left_out.count)).collect();
    for reason in [
        "a further password: an account has one",
        "a membership: a group is not in itself",
        "a membership: its member does not exist here",
        "it does not stand below the provider's base DN",
        "its object classes are not those that its container takes",
        "the attribute memberOf: it is derived, not read",
        "the attribute creatorsName: it is derived, not read",
        "the attribute entryCSN: it is operational, derived and not read",
        "the attribute pwdHistory: no entry holds secrets",
        "the attribute sambaNTPassword: no entry holds secrets",
        "the attribute userPassword: a group has no password",
        "it is locked in the other directory: imported as inactive",
    ] {
        assert!(told.contains(&(reason, 1)), "{reason} is not among {told:#?}");
    }
    assert!(told.iter().any(|(reason, _)| reason.contains("does not stand directly in a container")));
    assert_eq!(told.len(), 13, "{told:#?}");
}

#[test]
fn a_second_run_goes_on_where_the_first_ended() {
    let (registry, store, layout) = prepared();
    store.set_full(true);
    let report = import(&registry, &layout, &example());
    assert!(report.stopped.is_some());
    assert_eq!((report.users, report.committed_up_to.clone()), (0, None));
    store.set_full(false);
    import(&registry, &layout, &example());
    let revision = registry.snapshot().revision();
    let again = import(&registry, &layout, &example());
    assert_eq!((again.users, again.groups, again.memberships, again.nested_groups), (0, 0, 0, 0));
    assert_eq!(again.already_there, 2 + 3 + 2 + 5);
    assert_eq!(registry.snapshot().revision(), revision, "nothing was committed");
}

/// One that ends in the middle says how far it has come, and counts what is committed and nothing else.
#[test]
fn what_is_committed_of_an_import_that_ends_is_told() {
    const ENTRIES: usize = 2_000;
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let commits = Arc::clone(&left);
    let store = FaultyStore::over(Arc::new(MemoryStore::new()), move |call| {
        let is_left = || commits.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        if call != Call::Commit || is_left() {
            return Fate::CarriedOut;
        }
        Fate::Fails(StoreError::Full { path: "data".into(), free: None, needed: None })
    });
    let (registry, layout) = prepared_over(Arc::new(store));
    let person = |number: usize| {
        format!(
            "dn: uid=p{number},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: p{number}\ncn: p\nsn: p\n\n"
        )
    };
    let ldif: String = (0..ENTRIES).map(person).collect();
    left.store(2, Relaxed);
    let report = import(&registry, &layout, &ldif);
    let count = usize::try_from(report.users).unwrap();
    assert!((1..ENTRIES).contains(&count), "{count}");
    let is_there =
        |number: usize| registry.snapshot().accounts().account_named(&format!("p{number}")).is_some();
    assert!((0..ENTRIES).all(|number| is_there(number) == (number < count)), "{count}");
    let dn = |number: usize| Some(format!("uid=p{number},ou=people,{BASE}"));
    assert_eq!(report.committed_up_to, dn(count - 1));
    let stop = report.stopped.unwrap();
    assert!(stop.reason.contains("full"), "{stop:?}");
    assert_eq!(Some(stop.at), dn(count));
    // It is done again as a whole, and goes on from there.
    left.store(usize::MAX, Relaxed);
    let again = import(&registry, &layout, &ldif);
    assert_eq!((again.users, again.already_there), ((ENTRIES - count) as u64, count as u64));
    assert!(again.stopped.is_none());
}

/// An entry that is there stays as it is; what the file has beside is told, whichever of two entries of one name came first.
#[test]
fn what_an_entry_that_is_there_does_not_have_is_told() {
    let (registry, _, layout) = prepared();
    import(&registry, &layout, &example());
    let before = registry.snapshot().revision();
    let again = import(&registry, &layout, &example());
    let missing = |report: &ImportReport| {
        let reasons = report.left_out.keys().filter(|reason| reason.contains("the entry is there already"));
        reasons.cloned().collect::<Vec<_>>().join(", ")
    };
    assert_eq!(missing(&again).matches("mail").count(), 0, "{again:#?}");
    let changed = format!(
        "dn: uid=Alice,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: Alice\ncn: Alice Adams\nsn: Adams\n\
         mail: new@example.com\ntelephoneNumber: +1 777\nshoeSize: 41\n\n\
         dn: cn=Builders,ou=teams,{BASE}\nobjectClass: posixGroup\ngidNumber: 5001\ncn: Builders\n\n"
    );
    let report = import(&registry, &layout, &changed);
    let told = missing(&report);
    for name in ["mail address", "attribute telephoneNumber", "attribute gidNumber"] {
        assert!(told.contains(name), "{name}: {report:#?}");
    }
    assert!(!told.contains("shoeSize") && report.already_there == 2, "{report:#?}");
    assert_eq!(registry.snapshot().revision(), before, "nothing was committed");
}

#[test]
fn names_and_numbers_that_are_taken_are_errors_of_their_entries() {
    let (registry, _, layout) = prepared();
    import(&registry, &layout, &example());
    let entry = |rdn: &str, more: &str| {
        format!(
            "dn: {rdn},ou=people,{BASE}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\n{more}\n\n"
        )
    };
    let ldif = [
        entry("cn=Other", "uid: ALICE\ncn: Other"),
        entry("cn=Third", "uid: third\nuidNumber: 7007"),
        entry("uid=alice", "uid: fourth"),
        entry("uid=fifth", "uid: fifth\nentryUUID: 597ae2f6-16a6-1027-98f4-d28b5365dc14\nuidNumber: seven"),
    ]
    .concat();
    let report = import(&registry, &layout, &ldif);
    assert_eq!(report.users, 2, "a number is no reason to leave out a person");
    let told: Vec<&str> = report.left_out.keys().map(String::as_str).collect();
    assert_eq!(
        told,
        [
            "another entry has its DN",
            "its name belongs to another account",
            "the attribute entryUUID: another entry has it, a new one is made",
            "the attribute uidNumber: a value is not of its syntax",
            "the attribute uidNumber: another account has it; --allow-shared-numbers takes it over",
        ]
    );
}

#[test]
fn people_share_a_number_only_where_that_is_said() {
    let person = |rdn: &str, name: &str, number: u32| {
        format!(
            "dn: {rdn},ou=people,{BASE}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nuid: {name}\ncn: {name}\n\
             sn: {name}\nuidNumber: {number}\ngidNumber: 5000\nhomeDirectory: /home\n\n"
        )
    };
    let ldif = [
        person("uid=one", "one", 7001),
        person("uid=two", "two", 7001),
        person("uidNumber=7001+uid=three", "three", 7001),
        person("uid=four", "four", 7004),
    ]
    .concat();
    let number = |registry: &Registry, rdn: &str| {
        values(&registry.snapshot(), &format!("{rdn},ou=people,{BASE}"), "uidNumber").concat()
    };
    let (registry, _, layout) = prepared();
    let report = import(&registry, &layout, &ldif);
    assert_eq!((report.users, report.left_out.len(), &report.stopped), (3, 2, &None), "{report:#?}");
    assert!(report.left_out.keys().all(|reason| reason.contains("--allow-shared-numbers")), "{report:#?}");
    let [one, two, four] = ["uid=one", "uid=two", "uid=four"].map(|rdn| number(&registry, rdn));
    assert_eq!((one.as_str(), four.as_str()), ("7001", "7004"));
    assert!(two != one && two.parse::<u32>().is_ok(), "{two}: one of its own");
    assert_eq!(registry.snapshot().accounts().account_named("three").map(|found| found.number), None);

    let (registry, _, layout) = prepared();
    let allowed = ImportOptions { allow_shared_numbers: true, ..options() };
    let report = import_as(&registry, &layout, &allowed, &ldif);
    assert!(report.left_out.is_empty() && report.users == 4, "{report:#?}");
    for rdn in ["uid=one", "uid=two", "uidNumber=7001+uid=three"] {
        assert_eq!(number(&registry, rdn), "7001", "{rdn}");
    }
    // What is so may stay so, and nobody else may make it so.
    let again = import(&registry, &layout, &ldif);
    assert_eq!((again.users, again.already_there), (0, 4), "{again:#?}");
    let five = import(&registry, &layout, &person("uid=five", "five", 7004));
    assert_eq!((five.users, five.left_out.len()), (1, 1), "{five:#?}");
}

#[test]
fn passwords_are_kept_within_bounds() {
    let (registry, _, layout) = prepared();
    let costly =
        "$argon2id$v=19$m=65536,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
    let ldif = format!(
        "dn: uid=carol,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: carol\nuserPassword: {{ARGON2}}{costly}\n\
         userPassword: {{NONSENSE}}x\nuserPassword: bindery_app_x\nuserPassword: {SSHA}\nuserPassword: {SSHA}\n"
    );
    let report = import(&registry, &layout, &ldif);
    assert_eq!(report.passwords, 1);
    assert!(binds(&registry, "carol", b"secret"));
    assert_eq!(report.left_out.len(), 4, "{:#?}", report.left_out);
    assert!(report.left_out.keys().any(|reason| reason.contains("argon2_memory_max")));
}

#[test]
fn what_is_no_password_that_anybody_chose_opens_nothing() {
    let taken =
        [(SSHA, "secret"), ("a password in clear", "a password in clear"), ("hunter$2$3", "hunter$2$3")];
    let refused = [
        "!",
        "*",
        "!{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "{SSHA}!W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "$6$salt$hash",
        "$1$abc$def",
        "{ SSHA}abcdefgh",
        "{A B}abcdefgh",
        "{}abcdefgh",
        "{SASL alice",
        "{CRYPT}*",
        "*LK*{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "x",
        "\u{1}seven7",
    ];
    let (registry, _, layout) = prepared();
    let person = |name: &str, password: &str| {
        let password = STANDARD.encode(password);
        format!(
            "dn: uid={name},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: A\nsn: A\n\
             userPassword:: {password}\n\n"
        )
    };
    let mut ldif = String::new();
    for (place, (stored, _)) in taken.iter().enumerate() {
        ldif += &person(&format!("taken-{place}"), stored);
    }
    for (place, stored) in refused.iter().enumerate() {
        ldif += &person(&format!("refused-{place}"), stored);
    }
    let long = "x".repeat(1_500);
    ldif += &person("long", &long);
    let report = import(&registry, &layout, &ldif);
    for (place, (_, secret)) in taken.iter().enumerate() {
        assert!(binds(&registry, &format!("taken-{place}"), secret.as_bytes()), "{secret}");
    }
    for (place, secret) in refused.iter().enumerate() {
        assert!(!binds(&registry, &format!("refused-{place}"), secret.as_bytes()), "{secret}");
    }
    assert_eq!(report.users, (taken.len() + refused.len() + 1) as u64, "they come, without a password");
    assert_eq!(report.passwords, taken.len() as u64, "{:#?}", report.left_out);
    let left_out: u64 = report.left_out.values().map(|counted| counted.count).sum();
    assert_eq!(left_out, refused.len() as u64 + 1, "{:#?}", report.left_out);
    let of_long =
        report.left_out.iter().find(|(_, counted)| counted.examples.iter().any(|dn| dn.contains("=long,")));
    assert!(
        of_long.is_some_and(|(reason, _)| reason.contains("more than 1024 octets")),
        "{:#?}",
        report.left_out
    );
}

#[test]
fn a_big_group_needs_several_commits_of_bounded_size() {
    let (registry, _, layout) = prepared();
    let mut ldif = String::new();
    let count = 1_500;
    for number in 0..count {
        ldif += &format!(
            "dn: uid=u{number},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: u{number}\ncn: U\nsn: U\n\n"
        );
    }
    ldif += &format!("dn: cn=all,ou=teams,{BASE}\nobjectClass: groupOfNames\n");
    for number in 0..count {
        ldif += &format!("member: uid=u{number},ou=people,{BASE}\n");
    }
    let before = registry.snapshot().revision();
    let report = import(&registry, &layout, &ldif);
    assert_eq!((report.users, report.groups, report.memberships), (count, 1, count));
    assert_eq!(registry.snapshot().revision() - before, 2 + 1 + 2);
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.accounts().group_named("all").unwrap().member_count(), 1_500);
}

#[test]
fn containers_are_added_once_and_only_where_they_can_be() {
    let (registry, _, layout) = prepared();
    let again = wait(registry.prepare_import(actor(), options())).unwrap();
    assert_eq!(again, layout);
    import(&registry, &layout, &example());
    let again = wait(registry.prepare_import(actor(), options())).unwrap();
    let declared: Vec<&str> = again.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
    assert_eq!(declared, ["shoeSize"]);
    assert!(again.schema().find("SHOESIZE").is_some());
    let mut wrong = options();
    wrong.users = vec![pair("ou=virtual-groups", "jpegPhoto"), pair(&format!("ou=here,{BASE}"), "uid")];
    let refusal = refused(wait(registry.prepare_import(actor(), wrong)));
    assert!(refusal.contains("relative to the base DN"), "{refusal}");
    assert!(refusal.contains("virtual groups") && refusal.contains("jpegPhoto"), "{refusal}");
    let mut nobody = options();
    nobody.role = Some("nobody".to_owned());
    assert!(matches!(
        wait(registry.prepare_import(actor(), nobody.clone())),
        Err(ChangeError::NotFound { kind: "role", .. })
    ));
    assert!(wait(registry.import(actor(), nobody, Vec::new())).is_err());
    let other = ImportOptions { provider: Some("other".to_owned()), ..options() };
    assert!(matches!(
        wait(registry.prepare_import(actor(), other)),
        Err(ChangeError::NotFound { kind: "provider", .. })
    ));
}

#[test]
fn an_entry_of_too_many_attributes_is_left_out() {
    let (registry, _, layout) = prepared();
    let person = |name: &str, descriptions: usize| {
        let mut entry = format!("dn: uid={name},ou=people,{BASE}\nobjectClass: inetOrgPerson\n");
        for number in 0..descriptions {
            entry += &format!("description;x-{number}: v\n");
        }
        entry + "\n"
    };
    let ldif = [person("many", 70_000), person("tagged", 65), person("enough", 64)].concat();
    let report = import(&registry, &layout, &ldif);
    assert_eq!((report.users, report.stopped), (1, None));
    assert_eq!(
        report.left_out["it has more than 1000 attributes"].examples,
        [format!("uid=many,ou=people,{BASE}")]
    );
    assert_eq!(
        report.left_out["it has more than 64 attributes with options"].examples,
        [format!("uid=tagged,ou=people,{BASE}")]
    );

    // What a container has is only told, and not a line for each.
    let mut container = format!("dn: ou=people,{BASE}\nobjectClass: organizationalUnit\n");
    for number in 0..70_000 {
        container += &format!("description;x-{number}: v\n");
    }
    let report = import(&registry, &layout, &container);
    assert_eq!((report.already_there, report.left_out.len()), (1, 1));
    assert!(report.left_out.keys().all(|reason| reason.contains("more than 1000")), "{report:#?}");

    // A client of another version may send it all the same.
    let attributes = (0..70_000).map(|number| ImportedAttribute {
        description: format!("description;x-{number}"),
        values: vec![Octets(b"v".to_vec())],
    });
    let Classified::Account(mut account, _) =
        Classifier::new(&layout).classify(&records(&person("sent", 1))[0])
    else {
        panic!("no account");
    };
    account.attributes = attributes.collect();
    let report = wait(registry.import(actor(), options(), vec![ImportEntry::Account(account)])).unwrap();
    assert_eq!(report.users, 0);
    assert_eq!(report.stopped, None);
    assert_eq!(report.left_out.len(), 1, "{report:?}");
}

/// Values are counted as the writer counts them, so that nothing is refused behind the first commit.
#[test]
fn values_of_an_attribute_are_counted_with_all_of_its_options() {
    let (_, _, layout) = prepared();
    let mut entry = format!("dn: uid=many,ou=people,{BASE}\nobjectClass: inetOrgPerson\n");
    for number in 0..60_000 {
        entry += &format!("description;lang-de: {number}\n");
        entry += &format!("2.5.4.13;lang-en: {number}\n");
    }
    entry += "title: one\n\n";
    let Classified::Account(account, left_out) = Classifier::new(&layout).classify(&records(&entry)[0])
    else {
        panic!("no account");
    };
    let kept: Vec<usize> = account.attributes.iter().map(|attribute| attribute.values.len()).collect();
    assert_eq!(kept.iter().sum::<usize>(), 60_001, "{kept:?}");
    let told: Vec<&String> =
        left_out.iter().filter(|reason| reason.contains("more than 100000 values")).collect();
    assert_eq!(told.len(), 1, "{left_out:?}");
}

#[test]
fn an_entry_that_is_too_large_stops_nothing() {
    let (registry, _, layout) = prepared();
    let photo = STANDARD.encode(vec![0xff; crate::store::RECORD_OCTETS_MAX + 1]);
    let person = |name: &str, more: &str| {
        format!("dn: uid={name},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: {name}\n{more}\n")
    };
    let ldif =
        [person("first", ""), person("big", &format!("jpegPhoto:: {photo}\n")), person("last", "")].concat();
    let report = import(&registry, &layout, &ldif);
    assert_eq!((report.users, &report.stopped), (2, &None));
    assert_eq!(report.left_out["it is larger than an entry can be: 16 MiB"].count, 1);
}

#[test]
fn a_member_that_was_left_out_is_nobody_else() {
    let (registry, _, layout) = prepared();
    let local = Seed { accounts: vec![account("bob", AccountKind::Internal)], ..Seed::default() };
    apply(&registry, &local).unwrap();
    let ldif = format!(
        "dn: uid=bob,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: bob\n\n\
         dn: cn=crew,ou=teams,{BASE}\nobjectClass: groupOfNames\nmember: uid=bob,ou=people,{BASE}\n"
    );
    let report = import(&registry, &layout, &ldif);
    assert_eq!((report.users, report.groups, report.memberships), (0, 1, 0), "{report:#?}");
    assert_eq!(report.left_out["a membership: its member does not exist here"].count, 1);
    assert_eq!(registry.snapshot().accounts().group_named("crew").unwrap().member_count(), 0);
}

#[test]
fn no_file_puts_anybody_into_a_group_that_gives_rights() {
    let (registry, _, layout) = prepared();
    let mut admins = group("admins", &["root"]);
    admins.said.is_superuser = Some(true);
    let mut below = group("below", &[]);
    below.parents = Some(vec!["admins".to_owned()]);
    let mut readers = group("readers", &[]);
    readers.roles = Some(vec!["reader".to_owned()]);
    let application = SeedApplication {
        slug: "wiki".to_owned(),
        provider: Some("ldap".to_owned()),
        bindings: Some(vec![bound(SeedSubject::Group("bound".to_owned()))]),
        ..SeedApplication::default()
    };
    let local = Seed {
        accounts: vec![account("root", AccountKind::Internal)],
        groups: vec![admins, below, readers, group("bound", &[]), group("plain", &[])],
        applications: vec![application],
        ..Seed::default()
    };
    apply(&registry, &local).unwrap();
    let mut ldif = format!("dn: uid=mallory,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: mallory\n\n");
    ldif += &format!("dn: cn=crew,ou=teams,{BASE}\nobjectClass: groupOfNames\n\n");
    for name in ["admins", "below", "readers", "bound", "plain"] {
        ldif += &format!(
            "dn: cn={name},ou=groups,{BASE}\nobjectClass: groupOfNames\nobjectClass: posixGroup\n\
             member: uid=mallory,ou=people,{BASE}\nmember: cn=crew,ou=teams,{BASE}\nmemberUid: mallory\n\
             memberUid: root\n\n"
        );
    }
    let report = import(&registry, &layout, &ldif);
    let refused =
        "a membership: its group gives rights here, which no import does; put the member into the config";
    // Two for mallory, one for the crew in each; root is in the first already.
    assert_eq!(report.left_out[refused].count, 4 * 4 - 1, "{report:#?}");
    assert_eq!((report.memberships, report.nested_groups), (2, 1), "those of the plain one");
    let snapshot = registry.snapshot();
    let mallory = snapshot.accounts().account_named("mallory").unwrap();
    assert_eq!(mallory.groups.len(), 1);
}

#[test]
fn times_come_from_the_file() {
    let (registry, _, layout) = prepared();
    let times = "createTimestamp: 20200101000000Z\nmodifyTimestamp: 20210101000000Z\n";
    let mut ldif = format!(
        "dn: uid=zoe,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: zoe\nmodifyTimestamp: yesterday\n\n"
    );
    for (name, member) in [("outer", "cn=inner,ou=teams"), ("inner", "uid=zoe,ou=people")] {
        ldif += &format!(
            "dn: cn={name},ou=teams,{BASE}\nobjectClass: groupOfNames\nmember: {member},{BASE}\n{times}\n"
        );
    }
    let report = import(&registry, &layout, &ldif);
    assert_eq!((report.memberships, report.nested_groups), (1, 1));
    assert!(
        report
            .left_out
            .contains_key("the attribute modifyTimestamp: it is no time, another one takes its place")
    );
    let find =
        |name: &str| values(&registry.snapshot(), &format!("cn={name},ou=teams,{BASE}"), "modifyTimestamp");
    assert_eq!((find("outer"), find("inner")), (vec!["20210101000000Z".to_owned()], find("outer")));

    // A change of its members that is made here is one of now.
    let changed = Seed { groups: vec![group("inner", &[])], ..Seed::default() };
    apply(&registry, &changed).unwrap();
    assert_ne!(find("inner"), find("outer"));
    import(&registry, &layout, &ldif);
    assert_ne!(find("inner"), find("outer"), "and that an import made it anew, too");
}

#[test]
fn names_that_the_classes_do_not_allow_are_kept() {
    let (registry, _, layout) = prepared();
    let mut plain = provider("ldap", BASE);
    plain.said.compatibility_attributes = Some(false);
    apply(&registry, &Seed { providers: vec![plain], ..Seed::default() }).unwrap();
    let ldif = format!(
        "dn: cn=ann,ou=people,{BASE}\nobjectClass: person\nobjectClass: extensibleObject\nuid: ann\ncn: ann\nsn: A\n\n\
         dn: uid=robot,ou=services,{BASE}\nobjectClass: account\nobjectClass: unheardOf\nuid: robot\ncn: Robot\n"
    );
    import(&registry, &layout, &ldif);
    let snapshot = registry.snapshot();
    assert_eq!(values(&snapshot, &format!("cn=ann,ou=people,{BASE}"), "uid"), ["ann"]);
    assert_eq!(values(&snapshot, &format!("uid=robot,ou=services,{BASE}"), "cn"), ["Robot"]);
}

#[test]
fn entries_of_one_problem_have_one_reason() {
    let (registry, _, layout) = prepared();
    let mut ldif = String::new();
    for number in 0..3 {
        for name in [format!("{number}\u{e000}"), format!("{number}{}", "x".repeat(300))] {
            ldif += &format!(
                "dn: cn={number}{},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: {name}\n\n",
                name.len()
            );
        }
    }
    let report = import(&registry, &layout, &ldif);
    assert_eq!(report.users, 0);
    let counts: Vec<u64> = report.left_out.values().map(|left_out| left_out.count).collect();
    assert_eq!(counts, [3, 3], "{report:#?}");
}

#[test]
fn the_usual_place_needs_no_placement() {
    let (registry, store, layout) = prepared();
    let ldif = format!("dn: cn=zoe,ou=users,{BASE}\nobjectClass: inetOrgPerson\nuid: zoe\ncn: zoe\nsn: Z\n");
    import(&registry, &layout, &ldif);
    let number = registry.snapshot().accounts().account_named("zoe").unwrap().number;
    let stored = crate::store::Store::get(&*store, &crate::model::Key::Account(number)).unwrap();
    let Some(crate::model::Record::Account(zoe)) = stored else { panic!("zoe is not stored") };
    assert!(zoe.placements.is_empty());
    assert!(zoe.attributes.iter().all(|attribute| attribute.description == "sn"), "{:?}", zoe.attributes);
    let snapshot = registry.snapshot();
    let tree = snapshot.default_tree().unwrap();
    let entry = tree.entry(EntryId::of_account(number)).unwrap();
    assert_eq!(entry.attributes_of(AttributeId::CN).flat_map(|stored| stored.values()).count(), 1);
}

#[test]
fn an_export_of_octets_travels() {
    for octets in [b"text".to_vec(), vec![0xff, 0xd8], Vec::new()] {
        let text = serde_json::to_string(&Octets(octets.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Octets>(&text).unwrap().0, octets);
    }
}

/// A store may hold what is refused by now.
#[test]
fn an_export_leaves_out_what_ldif_has_no_place_for_and_says_so() {
    let (registry, _, layout) = prepared();
    let made = registry.change(actor(), |transaction| {
        for name in ["control", "d.n", "x"] {
            let number = AttributeNumber::new(transaction.next_object()?);
            transaction.put(Stored::CustomAttribute(CustomAttribute::of_name(number, name.to_owned())))?;
        }
        Ok(())
    });
    wait(made).unwrap();
    let person = format!("dn: uid=a,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: a\nx: kept\n");
    let report = import(&registry, &layout, &person);
    assert_eq!(report.users, 1, "{report:#?}");
    let number = registry.snapshot().accounts().account_named("a").unwrap().number;
    let said = registry.change(actor(), move |transaction| {
        let mut account = transaction.account(number)?.unwrap();
        account
            .attributes
            .extend([plain::attribute("control", &["one", "two"]), plain::attribute("d.n", &["three"])]);
        transaction.put(Stored::Account(account))
    });
    wait(said).unwrap();
    let options = ExportOptions { format: ExportFormat::Ldif, provider: None, all: false };
    let mut text = Vec::new();
    Export::of(Arc::clone(&registry), &options).unwrap().write(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("\nx: kept\n") && !text.contains("\ncontrol:"), "{text}");
    for remark in ["# 2 values of control are left out", "# 1 values of dn are left out"] {
        assert!(text.contains(remark), "{text}");
    }
    assert!(records(&text).iter().any(|record| record.dn.starts_with("uid=a,")));
}

#[test]
fn values_of_a_declared_attribute_type_are_of_its_syntax() {
    let (registry, _, _) = prepared();
    let declare = |name: &str, syntax| SeedAttribute {
        name: name.to_owned(),
        syntax: Some(syntax),
        single_valued: Some(name == "badge"),
        ..SeedAttribute::default()
    };
    let attributes =
        vec![declare("badge", AttributeSyntax::Integer), declare("blob", AttributeSyntax::OctetString)];
    apply(&registry, &Seed { attributes, ..Seed::default() }).unwrap();
    let layout = wait(registry.prepare_import(actor(), options())).unwrap();
    let ldif = format!(
        "dn: uid=a,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: a\nBadge: 7\nbadge: 8\nblob:: /9j/\n\n\
         dn: uid=b,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: b\nbadge: seven\nother:: /9j/\n"
    );
    let report = import(&registry, &layout, &ldif);
    assert_eq!(report.users, 2, "{report:#?}");
    let told: Vec<&str> = report.left_out.keys().map(String::as_str).collect();
    assert_eq!(
        told,
        [
            "the attribute Badge: it has one value at most",
            "the attribute badge: a value is not of its syntax",
            "the attribute other: the schema does not know it, and a value is not text",
        ]
    );
    let snapshot = registry.snapshot();
    let a = format!("uid=a,ou=people,{BASE}");
    assert_eq!(values(&snapshot, &a, "badge"), ["7"]);
    assert_eq!(values(&snapshot, &a, "blob").len(), 1);
    assert!(snapshot.schema().find("other").is_none(), "nothing uses it");
}

/// Attribute types that an import is the first to use count as changes of its commits.
#[test]
fn many_unknown_attribute_types_need_several_commits() {
    let (registry, store, layout) = prepared();
    let mut ldif = String::new();
    for entry in 0..5 {
        ldif += &format!("dn: uid=u{entry},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: u{entry}\n");
        for attribute in 0..400 {
            ldif += &format!("x-{entry}-{attribute}: 1\n");
        }
        ldif.push('\n');
    }
    let before = registry.snapshot().revision();
    let report = import(&registry, &layout, &ldif);
    assert_eq!((report.users, report.stopped), (5, None));
    assert_eq!(registry.snapshot().revision() - before, 3, "two entries with 401 changes fit into a commit");
    assert_eq!(registry.snapshot().custom_attributes().count(), 2_000);
    let again = registry_over(store);
    assert_eq!(values(&again.snapshot(), &format!("uid=u4,ou=people,{BASE}"), "x-4-399"), ["1"]);
}

#[test]
fn numbers_of_system_accounts_are_left_out_unless_they_are_allowed() {
    let ldif = format!(
        "dn: uid=toor,ou=people,{BASE}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nuid: toor\ncn: T\nsn: T\n\
         uidNumber: 0\ngidNumber: 5000\nhomeDirectory: /\n\n\
         dn: uid=low,ou=people,{BASE}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nuid: low\ncn: L\nsn: L\n\
         uidNumber: 1000\ngidNumber: -1\nhomeDirectory: /\n\n\
         dn: uidNumber=7+uid=named,ou=people,{BASE}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nuid: named\n\
         cn: N\nsn: N\nuidNumber: 7\ngidNumber: 5000\nhomeDirectory: /\n\n\
         dn: cn=wheel,ou=teams,{BASE}\nobjectClass: posixGroup\ncn: wheel\ngidNumber: 10\n"
    );
    let toor = format!("uid=toor,ou=people,{BASE}");
    let low = format!("uid=low,ou=people,{BASE}");
    let wheel = format!("cn=wheel,ou=teams,{BASE}");
    let (registry, _, layout) = prepared();
    let report = import(&registry, &layout, &ldif);
    let told = |what: &str| {
        let left_out = report.left_out.iter().find(|(reason, _)| reason.starts_with(what));
        left_out.map(|(reason, left_out)| (reason.contains("--allow-system-numbers"), left_out.count))
    };
    assert_eq!(told("the attribute uidNumber: numbers below 1000"), Some((true, 1)), "{report:#?}");
    assert_eq!(told("the attribute gidNumber: numbers below 1000"), Some((true, 2)), "{report:#?}");
    assert_eq!(told("it is named by a number of a system account"), Some((true, 1)), "{report:#?}");
    assert_eq!((report.users, report.groups, report.left_out.len()), (2, 1, 3), "{report:#?}");
    let snapshot = registry.snapshot();
    assert_ne!(values(&snapshot, &toor, "uidNumber"), ["0"], "the entry comes with one of its own");
    assert_eq!(values(&snapshot, &toor, "gidNumber"), ["5000"]);
    assert_eq!(values(&snapshot, &low, "uidNumber"), ["1000"]);
    assert_ne!(values(&snapshot, &wheel, "gidNumber"), ["10"]);

    let (registry, _, layout) = prepared();
    let allowed = ImportOptions { allow_system_numbers: true, ..options() };
    let report = import_as(&registry, &layout, &allowed, &ldif);
    assert!(report.left_out.is_empty(), "{report:#?}");
    let snapshot = registry.snapshot();
    assert_eq!(values(&snapshot, &toor, "uidNumber"), ["0"]);
    assert_eq!(values(&snapshot, &wheel, "gidNumber"), ["10"]);
}

#[test]
fn what_is_no_mail_address_is_left_out_and_the_next_one_is_taken() {
    let (registry, _, layout) = prepared();
    let ldif = format!(
        "dn: uid=a,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: a\ncn: A\nsn: A\n\
         mail: nobody\nmail: a@example.com\nmail: <a@example.org>\nmail: b@example.com\n\n\
         dn: uid=b,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: b\ncn: B\nsn: B\nmail: nobody\n"
    );
    let report = import(&registry, &layout, &ldif);
    assert_eq!(report.users, 2);
    let left_out = &report.left_out["the attribute mail: a value is no mail address"];
    assert_eq!((left_out.count, left_out.examples.len(), report.left_out.len()), (2, 2, 1), "{report:#?}");
    let snapshot = registry.snapshot();
    let mails = |name: &str| values(&snapshot, &format!("uid={name},ou=people,{BASE}"), "mail");
    assert_eq!(mails("a"), ["a@example.com", "b@example.com"]);
    assert!(mails("b").is_empty());
}

#[test]
fn a_full_name_has_the_end_that_it_has_everywhere() {
    let (registry, _, layout) = prepared();
    let person = |uid: &str, name: &str| {
        format!(
            "dn: uid={uid},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {name}\ndisplayName: {name}\nsn: x\n\n"
        )
    };
    let ldif = [person("a", &"x".repeat(4_097)), person("b", &"x".repeat(4_096))].concat();
    let report = import(&registry, &layout, &ldif);
    assert_eq!(report.users, 2, "{:?}", report.left_out.keys());
    let told: Vec<&str> = report.left_out.keys().map(String::as_str).collect();
    assert!(
        matches!(told.as_slice(), [one] if one.contains("displayName") && one.contains("too long for a full name")),
        "{told:?}"
    );
    let snapshot = registry.snapshot();
    let names = |uid: &str| values(&snapshot, &format!("uid={uid},ou=people,{BASE}"), "displayName");
    assert_eq!((names("a").len(), names("b").len()), (0, 1));
}

/// Some directories let an entry be two things, and RFC 2307 has groups that are only posixGroup.
#[test]
fn an_entry_has_one_structural_class() {
    let (registry, _, layout) = prepared();
    let ldif = format!(
        "dn: uid=a,ou=people,{BASE}\nobjectClass: account\nobjectClass: organizationalPerson\n\
         objectClass: person\nobjectClass: shadowAccount\nuid: a\ncn: A\nsn: A\nhost: h\n\n\
         dn: cn=g,ou=teams,{BASE}\nobjectClass: posixGroup\ncn: g\ngidNumber: 9009\nmemberUid: a\n"
    );
    let report = import(&registry, &layout, &ldif);
    let told: Vec<&str> = report.left_out.keys().map(String::as_str).collect();
    assert_eq!(told, ["the object class account: an entry has one structural class"]);
    let snapshot = registry.snapshot();
    let a = format!("uid=a,ou=people,{BASE}");
    assert_eq!(
        values(&snapshot, &a, "objectClass"),
        [
            "organizationalPerson",
            "person",
            "shadowAccount",
            "top",
            "user",
            "goauthentik.io/ldap/user",
            "extensibleObject"
        ]
    );
    assert_eq!(values(&snapshot, &a, "host"), ["h"]);
    assert_eq!(values(&snapshot, &a, "structuralObjectClass"), ["organizationalPerson"]);
    let g = format!("cn=g,ou=teams,{BASE}");
    assert_eq!(
        values(&snapshot, &g, "objectClass"),
        ["posixGroup", "top", "groupOfNames", "group", "goauthentik.io/ldap/group"]
    );
    assert_eq!(values(&snapshot, &g, "member"), [a]);
}
