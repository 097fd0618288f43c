//! Stored samples: what a version of bindery wrote must be readable for ever.
//!
//! A line of a file in `samples/` is one item: its key and its value in hexadecimal. When a record's
//! form changes, a new directory is added beside the others; no sample is ever changed.

use super::*;
use crate::store::record::{self, Item};
use crate::store::verify::{Assembler, Verifier};

/// The samples of version 1, with what they stand for now.
fn version_1() -> Vec<(&'static str, &'static str, Record)> {
    macro_rules! sample {
        ($name:literal) => {
            include_str!(concat!("../samples/v1/", $name, ".hex"))
        };
    }
    let unknown = |record| signed(record, Origin::Unknown, &MadeBy::default(), false);
    let tombstone =
        |of| Record::Tombstone(Tombstone { of, origin: Origin::Unknown, held_rights: true, made: None });
    let mut samples: Vec<_> = vec![
        ("custom-attribute", sample!("custom-attribute")),
        ("account", sample!("account")),
        ("account-large", sample!("account-large")),
        ("group", sample!("group")),
        ("membership", sample!("membership")),
        ("role", sample!("role")),
        ("token", sample!("token")),
        ("application", sample!("application")),
        ("provider", sample!("provider")),
        ("usage-token", sample!("usage-token")),
        ("usage-account", sample!("usage-account")),
        ("event", sample!("event")),
    ]
    .into_iter()
    .map(|(name, sample)| {
        let (_, record) = records().into_iter().find(|(other, _)| *other == name).unwrap();
        (name, sample, unknown(record))
    })
    .collect();
    samples.extend([
        (
            "tombstone-account",
            sample!("tombstone-account"),
            tombstone(TombstoneOf::Account("ada".to_owned())),
        ),
        (
            "tombstone-token",
            sample!("tombstone-token"),
            tombstone(TombstoneOf::Token("nextcloud-ldap".to_owned())),
        ),
    ]);
    samples
}

/// The samples of a version from 2 on with the records that they stand for, which come in the same order; what versions from
/// 3 on have besides comes last.
macro_rules! samples {
    ($version:literal, $records:expr $(, $more:literal)*) => {{
        samples!(@each $version, $records,
            "custom-attribute",
            "account",
            "account-large",
            "group",
            "membership",
            "role",
            "token",
            "application",
            "provider",
            "tombstone-account",
            "tombstone-token",
            "tombstone-group",
            "tombstone-role",
            "usage-token",
            "usage-account",
            "event"
            $(, $more)*)
    }};
    (@each $version:literal, $records:expr, $($name:literal),*) => {{
        let samples =
            [$(($name, include_str!(concat!("../samples/", $version, "/", $name, ".hex")))),*];
        let records = $records;
        assert_eq!(samples.len(), records.len());
        let pair = |((name, sample), (other, record)): ((&'static str, _), (&'static str, _))| {
            assert_eq!(name, other);
            (name, sample, record)
        };
        samples.into_iter().zip(records).map(pair).collect()
    }};
}

/// The samples of version 2, with what they stand for now.
fn version_2() -> Vec<(&'static str, &'static str, Record)> {
    samples!("v2", records_of_version_2())
}

/// The samples of version 3, with what they stand for.
fn version_3() -> Vec<(&'static str, &'static str, Record)> {
    samples!("v3", records_of_version_3(), "event-login", "event-failure", "event-custom")
}

/// The samples of version 4, with what they stand for.
fn version_4() -> Vec<(&'static str, &'static str, Record)> {
    samples!("v4", records_of_version_4(), "event-login", "event-failure", "event-custom")
}

/// The samples of version 5, with what they stand for.
fn version_5() -> Vec<(&'static str, &'static str, Record)> {
    samples!("v5", records_of_version_5(), "event-login", "event-failure", "event-custom")
}

/// The same as version 4, and what is kept to be read back.
fn records_of_version_5() -> Vec<(&'static str, Record)> {
    let form = |description: &str, is_one, kinds: &[ValueKind]| AttributeForm {
        description: description.to_owned(),
        is_one,
        kinds: kinds.to_vec(),
    };
    let mut records = records_of_version_4();
    for (name, record) in &mut records {
        match record {
            Record::Account(account) if *name == "account" => {
                account.path = "users/london".to_owned();
                account.attribute_forms =
                    vec![form("cn;lang-de", false, &[ValueKind::Text, ValueKind::Base64])];
            }
            Record::Group(group) => {
                group.attribute_forms = vec![
                    form("mail", true, &[]),
                    form("gone", false, &[ValueKind::Number, ValueKind::Truth]),
                ];
            }
            Record::Provider(provider) => {
                provider.as_given = AsGiven {
                    base_dn: "dc=example, dc=com".to_owned(),
                    authentication_flow: None,
                    authorization_flow: Uuid::from_u128(0x3000),
                    invalidation_flow: Uuid::from_u128(0x3001),
                    names_certificate: false,
                    search_mode: AccessMode::Direct,
                    bind_mode: AccessMode::Cached,
                    mfa_support: true,
                };
            }
            _ => {}
        }
    }
    records
}

/// The same as version 3, and when things were deleted.
fn records_of_version_4() -> Vec<(&'static str, Record)> {
    let made = Some(Timestamp::from_unix_seconds(1_795_000_000));
    let mut records = records_of_version_3();
    for (name, record) in &mut records {
        if let Record::Tombstone(tombstone) = record {
            // One that was written anew and is older than version 4.
            tombstone.made = made.filter(|_| *name != "tombstone-role");
        }
    }
    records
}

/// The same as version 2, and events of more than one trail.
fn records_of_version_3() -> Vec<(&'static str, Record)> {
    let mut records = records_of_version_2();
    let Some((_, Record::Event(event))) = records.last().cloned() else { panic!("the last is an event") };
    let of = |trail, action| Record::Event(Event { trail, action, ..event.clone() });
    records.extend([
        ("event-login", of(Trail::Logins, Action::Login)),
        ("event-failure", of(Trail::Failures, Action::LoginFailed)),
        ("event-custom", of(Trail::Custom, Action::Custom)),
    ]);
    records
}

fn records_of_version_2() -> Vec<(&'static str, Record)> {
    let origin = Origin::Account(AccountNumber::new(17));
    let made_by = MadeBy::one(origin).and(Origin::Config).and(Origin::Server);
    records().into_iter().map(|(name, record)| (name, signed(record, origin, &made_by, true))).collect()
}

/// The record with who made it, and whatever else version 2 knows and version 1 did not.
fn signed(record: Record, origin: Origin, made_by: &MadeBy, is_known: bool) -> Record {
    let mut record = record;
    match &mut record {
        Record::Account(account) => {
            account.origin = origin;
            account.password.iter_mut().for_each(|password| password.made_by = made_by.clone());
        }
        Record::Group(group) => group.origin = origin,
        Record::Role(role) => role.origin = origin,
        Record::Token(token) => {
            token.origin = origin;
            token.made_by = made_by.clone();
            token.is_first = is_known;
            token.began_as = is_known.then(|| TokenNumber::new(3));
            token.lifetime_said = is_known.then_some(std::time::Duration::from_secs(7_776_000));
        }
        Record::Application(application) => application.origin = origin,
        Record::Provider(provider) => provider.origin = origin,
        Record::Usage(usage) => usage.application = is_known.then(|| "cloud".to_owned()),
        Record::Event(event) => {
            event.actor.user = is_known.then(|| SystemUser {
                uid: 1_000,
                name: Some("ada".to_owned()),
                sudo_user: Some("root".to_owned()),
            });
        }
        Record::Membership(_) | Record::CustomAttribute(_) | Record::Tombstone(_) => {}
    }
    record
}

/// One record of each kind.
fn records() -> Vec<(&'static str, Record)> {
    let time = Timestamp::from_unix_seconds(1_795_000_000);
    let grants = vec![
        Grant {
            permission: Permission::SearchFullDirectory,
            on: Some(ObjectReference::Provider(ProviderNumber::new(4))),
        },
        Grant { permission: Permission::ViewUser, on: None },
    ];
    let placements = vec![Placement {
        provider: ProviderNumber::new(4),
        container: "ou=people".to_owned(),
        rdn: "uid=ada".to_owned(),
    }];
    let account = Account {
        number: AccountNumber::new(17),
        uuid: Uuid::from_u128(0x17),
        username: "ada".to_owned(),
        kind: AccountKind::External,
        name: "Ada Lovelace".to_owned(),
        email: "ada@example.com".to_owned(),
        is_active: true,
        attributes: vec![Attribute {
            description: "cn;lang-de".to_owned(),
            values: vec![b"Ada".to_vec(), vec![0, 255]],
        }],
        attribute_forms: Vec::new(),
        path: String::new(),
        object_classes: vec!["inetOrgPerson".to_owned()],
        password: Some(Password {
            hash: HashText::new("{SSHA}AAAA".to_owned()),
            generation: 3,
            seeded: Some([7; 32]),
            changed: time,
            made_by: MadeBy::default(),
        }),
        placements: placements.clone(),
        roles: vec![RoleNumber::new(5)],
        grants: grants.clone(),
        created: time,
        modified: time,
        origin: Origin::Unknown,
    };
    let large = Account {
        number: AccountNumber::new(18),
        attributes: vec![Attribute { description: "jpegPhoto".to_owned(), values: vec![vec![0xd8; 6000]] }],
        ..account.clone()
    };
    let group = Group {
        number: GroupNumber::new(20),
        uuid: Uuid::from_u128(0x20),
        name: "admins".to_owned(),
        is_superuser: true,
        parents: vec![GroupNumber::new(21)],
        roles: vec![RoleNumber::new(5)],
        grants: grants.clone(),
        attributes: vec![Attribute {
            description: "mail".to_owned(),
            values: vec![b"a@example.com".to_vec()],
        }],
        attribute_forms: Vec::new(),
        object_classes: vec!["posixGroup".to_owned()],
        placements,
        created: time,
        modified: time,
        members_modified: time,
        origin: Origin::Unknown,
    };
    let token = Token {
        number: TokenNumber::new(9),
        uuid: Uuid::from_u128(0x9),
        identifier: "nextcloud-ldap".to_owned(),
        account: AccountNumber::new(17),
        intent: Intent::AppPassword,
        selector: TokenSelector::Generated("ABCDEF".to_owned()),
        hash: HashText::new("$argon2id$v=19$m=19456,t=2,p=1$AA$BB".to_owned()),
        sealed: Some(SealedSecret::new(vec![0, 255, 7])),
        generation: 1,
        expires: Some(time),
        description: "binds of the cloud".to_owned(),
        networks: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        created: time,
        renewed: time,
        warned: Some(time),
        is_replaced: true,
        began_as: None,
        origin: Origin::Unknown,
        made_by: MadeBy::default(),
        is_first: false,
        lifetime_said: None,
    };
    let binding = |uuid: u128, subject: BindingSubject| Binding {
        uuid: Uuid::from_u128(uuid),
        subject,
        order: -1,
        negate: false,
        enabled: true,
    };
    let office = TimeWindow::new(
        [Weekday::Mon, Weekday::Fri],
        "08:00".parse().unwrap(),
        "18:30".parse().unwrap(),
        "Europe/Berlin".parse().unwrap(),
    )
    .unwrap();
    let application = Application {
        number: ApplicationNumber::new(6),
        uuid: Uuid::from_u128(0x6),
        slug: "cloud".to_owned(),
        name: "The cloud".to_owned(),
        provider: Some(ProviderNumber::new(4)),
        mode: BindingMode::All,
        bindings: vec![
            binding(1, BindingSubject::Account(AccountNumber::new(17))),
            Binding {
                order: 300,
                negate: true,
                enabled: false,
                ..binding(2, BindingSubject::Group(GroupNumber::new(20)))
            },
            binding(3, BindingSubject::Networks(vec!["192.0.2.0/24".parse().unwrap()])),
            binding(4, BindingSubject::Window(office)),
        ],
        texts: [
            (ApplicationText::Group, "Office"),
            (ApplicationText::LaunchUrl, "https://cloud.example.com/"),
            (ApplicationText::Description, "Files and calendars"),
            (ApplicationText::Publisher, "Example"),
        ]
        .into_iter()
        .collect(),
        open_in_new_tab: true,
        hide: false,
        created: time,
        modified: time,
        origin: Origin::Unknown,
    };
    let container = |container: &str, naming: &str| Container {
        container: container.to_owned(),
        naming: naming.to_owned(),
    };
    let provider = LdapProvider {
        number: ProviderNumber::new(4),
        uuid: Uuid::from_u128(0x4),
        name: "main".to_owned(),
        base_dn: "dc=example,dc=com".to_owned(),
        is_default: true,
        domain: Some("example.com".to_owned()),
        uid_start_number: 2000,
        gid_start_number: 4000,
        virtual_groups: true,
        compatibility_attributes: false,
        users: vec![container("ou=users", "cn")],
        service_accounts: vec![container("ou=services", "cn")],
        groups: vec![container("ou=groups", "cn")],
        as_given: AsGiven::default(),
        created: time,
        modified: time,
        origin: Origin::Unknown,
    };
    let event = Event {
        trail: Trail::Changes,
        sequence: 1_000_000,
        uuid: Uuid::from_u128(0x1000),
        time,
        action: Action::SecretRotate,
        actor: Actor {
            account: "ada".to_owned(),
            number: Some(AccountNumber::new(17)),
            token: Some("nextcloud-ldap".to_owned()),
            source: Some("2001:db8::7".parse().unwrap()),
            request: Some(Uuid::from_u128(0x2000)),
            user: None,
        },
        previous: EventDigest::new([0xab; 32]),
        since: Some(Timestamp::from_unix_seconds(1_794_999_940)),
        count: 3,
        application: Some("cloud".to_owned()),
        object_key: Some(9),
        object_uuid: Some(Uuid::from_u128(0x9)),
        details: vec![EventDetail { name: "reason".to_owned(), value: "rotated".to_owned() }],
        object_kind: "token".to_owned(),
        object_name: "nextcloud-ldap".to_owned(),
        changes: vec![FieldChange {
            field: "expires".to_owned(),
            before: None,
            after: Some("2027-11-18T10:00:00Z".to_owned()),
        }],
    };
    let attribute = CustomAttribute {
        number: AttributeNumber::new(3),
        name: "employeeBadge".to_owned(),
        oid: Some("1.3.6.1.4.1.55555.1".to_owned()),
        syntax: AttributeSyntax::Integer,
        single_valued: true,
        description: "the number on the badge".to_owned(),
    };
    vec![
        ("custom-attribute", Record::CustomAttribute(attribute)),
        ("account", Record::Account(account)),
        ("account-large", Record::Account(large)),
        ("group", Record::Group(group)),
        (
            "membership",
            Record::Membership(Membership { group: GroupNumber::new(20), account: AccountNumber::new(17) }),
        ),
        (
            "role",
            Record::Role(Role {
                number: RoleNumber::new(5),
                uuid: Uuid::from_u128(0x5),
                name: "readers".to_owned(),
                grants,
                search_size_max: Some(500),
                search_time_max: Some(std::time::Duration::from_millis(2_500)),
                origin: Origin::Unknown,
            }),
        ),
        ("token", Record::Token(token)),
        ("application", Record::Application(application)),
        ("provider", Record::Provider(provider)),
        (
            "tombstone-account",
            Record::Tombstone(Tombstone {
                of: TombstoneOf::Account("ada".to_owned()),
                origin: Origin::Config,
                held_rights: true,
                made: None,
            }),
        ),
        (
            "tombstone-token",
            Record::Tombstone(Tombstone {
                of: TombstoneOf::Token("nextcloud-ldap".to_owned()),
                origin: Origin::Operator,
                held_rights: false,
                made: None,
            }),
        ),
        (
            "tombstone-group",
            Record::Tombstone(Tombstone {
                of: TombstoneOf::Group("admins".to_owned()),
                origin: Origin::Config,
                held_rights: true,
                made: None,
            }),
        ),
        (
            "tombstone-role",
            Record::Tombstone(Tombstone {
                of: TombstoneOf::Role("readers".to_owned()),
                origin: Origin::Config,
                held_rights: false,
                made: None,
            }),
        ),
        (
            "usage-token",
            Record::Usage(Usage {
                of: UsageOf::Token(TokenNumber::new(9)),
                time,
                source: Some("192.0.2.7".parse().unwrap()),
                provider: Some(ProviderNumber::new(4)),
                count: 1_000_000,
                application: None,
            }),
        ),
        (
            "usage-account",
            Record::Usage(Usage {
                of: UsageOf::Account(AccountNumber::new(17)),
                time,
                source: None,
                provider: None,
                count: 1,
                application: None,
            }),
        ),
        ("event", Record::Event(event)),
    ]
}

/// What version 1 and version 2 wrote of a store with one trail.
fn meta_of_one_trail() -> Meta {
    let changes = TrailState {
        first: 60_000,
        before: EventDigest::new([0x11; 32]),
        next: 70_000,
        head: EventDigest::new([0x22; 32]),
    };
    Meta {
        revision: 77,
        records: 1_000_000,
        sum: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
        counters: Counters {
            next_number: 300,
            next_object: 20,
            trails: Trails { changes, ..Trails::default() },
            custom_octets: 0,
        },
        seeded: true,
        belief: None,
        incarnation: None,
        token_key: None,
    }
}

/// What version 3 wrote.
fn meta_without_belief() -> Meta {
    let meta = meta_of_one_trail();
    let state = |first, octet| TrailState {
        first,
        before: EventDigest::new([octet; 32]),
        next: first + 1_000,
        head: EventDigest::new([octet + 1; 32]),
    };
    let trails = Trails {
        logins: state(300, 0x33),
        failures: state(70_000, 0x44),
        custom: state(5_000_000_000, 0x55),
        ..meta.counters.trails
    };
    Meta { counters: Counters { trails, custom_octets: 400_000, ..meta.counters }, ..meta }
}

/// With a clock that is believed, and with one that is not.
fn sample_metas() -> [(&'static str, &'static str, Meta); 2] {
    let time = Timestamp::from_unix_seconds(1_795_000_000);
    let meta = Meta {
        belief: Some(Belief::of(time)),
        incarnation: Some(Incarnation::new([0x66; 16])),
        token_key: Some(0x7777_6666_5555_4444),
        ..meta_without_belief()
    };
    let doubt = Doubt { clock: Timestamp::from_unix_seconds(2_110_000_000), lasted: 43_200 };
    let doubting = Meta { belief: Some(Belief { time, doubt: Some(doubt) }), token_key: None, ..meta };
    [
        ("meta", include_str!("../samples/v5/meta.hex"), meta),
        ("meta-doubting", include_str!("../samples/v5/meta-doubting.hex"), doubting),
    ]
}

fn to_hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn to_lines(items: &[Item]) -> String {
    items.iter().map(|(key, value)| format!("{} {}\n", to_hex(key), to_hex(value))).collect()
}

fn from_lines(text: &str) -> Vec<Item> {
    text.lines()
        .map(|line| {
            let (key, value) = line.split_once(' ').unwrap();
            (from_hex(key), from_hex(value))
        })
        .collect()
}

fn read(samples: Vec<(&str, &str, Record)>) {
    let form = AttributeForm { description: "cn".to_owned(), is_one: true, kinds: Vec::new() };
    let before = Account { path: "people".to_owned(), attribute_forms: vec![form], ..account(7, 20) };
    for (name, sample, expected) in samples {
        let mut assembler = Assembler::default();
        let mut last = None;
        // In the place of an account that has more.
        let mut verifier = Verifier::default();
        let mut place = Some(Record::Account(before.clone()));
        for (key, value) in &from_lines(sample) {
            last = assembler.push(&record::verify(key, value).unwrap()).unwrap();
            if let Some(whole) = verifier.check(key, value).unwrap() {
                assert_eq!(whole.decode_to(&mut place).unwrap(), &expected, "{name}");
            }
        }
        assert_eq!(last.as_ref(), Some(&expected), "{name}");
        assert_eq!(place.as_ref(), Some(&expected), "{name}");
    }
}

#[test]
fn samples_of_version_1_are_read() {
    read(version_1());
    let items = from_lines(include_str!("../samples/v1/meta.hex"));
    assert_eq!(record::decode_meta(&items[0].1).unwrap(), meta_of_one_trail());
}

#[test]
fn samples_of_version_2_are_read() {
    read(version_2());
    let items = from_lines(include_str!("../samples/v2/meta.hex"));
    assert_eq!(record::decode_meta(&items[0].1).unwrap(), meta_of_one_trail());
}

#[test]
fn samples_of_version_3_are_read() {
    read(version_3());
    let items = from_lines(include_str!("../samples/v3/meta.hex"));
    assert_eq!(record::decode_meta(&items[0].1).unwrap(), meta_without_belief());
}

#[test]
fn samples_of_version_4_are_read() {
    read(version_4());
    let samples = [include_str!("../samples/v4/meta.hex"), include_str!("../samples/v4/meta-doubting.hex")];
    for ((name, _, meta), sample) in sample_metas().into_iter().zip(samples) {
        assert_eq!(record::decode_meta(&from_lines(sample)[0].1).unwrap(), meta, "{name}");
    }
}

#[test]
fn samples_of_version_5_are_read() {
    read(version_5());
    for (name, sample, meta) in sample_metas() {
        assert_eq!(record::decode_meta(&from_lines(sample)[0].1).unwrap(), meta, "{name}");
    }
}

/// Writes the samples anew: only while no version of bindery was released that wrote them.
#[test]
#[ignore = "changes the samples"]
fn write_samples() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/samples/v5");
    let write = |name: &str, items: &[Item]| {
        std::fs::write(directory.join(name).with_extension("hex"), to_lines(items)).unwrap();
    };
    for (name, record) in records_of_version_5() {
        write(name, &record::encode(&record).unwrap());
    }
    for (name, _, meta) in sample_metas() {
        write(name, &[record::encode_meta(&meta).unwrap()]);
    }
}

/// While version 5 is the newest, what is written is the sample to the octet.
#[test]
fn samples_of_version_5_are_what_is_written() {
    assert_eq!(record::VERSION, 5, "add the samples of the new version, and keep reading the old ones");
    for (name, sample, record) in version_5() {
        assert_eq!(to_lines(&record::encode(&record).unwrap()), sample, "{name}");
    }
    for (name, sample, meta) in sample_metas() {
        assert_eq!(to_lines(&[record::encode_meta(&meta).unwrap()]), sample, "{name}");
    }
}

/// Makes of a store that holds events of the trail of changes alone what version 2 would have written.
pub(super) fn as_version_2(directory: &Path) {
    let event = |value: &mut Vec<u8>| {
        // Version, checksum, number of parts; then the trail, which was not there.
        assert_eq!(value.remove(19), 0, "the trail of changes");
    };
    let meta = |value: &mut Vec<u8>| {
        // What follows the trail of changes is that of three which are empty, the octets of one of them, and whether it is
        // seeded.
        let empty = [&[1][..], &[0; 32], &[1], &[0; 32]].concat();
        let end = value.len() - 1;
        let begin = end - 1 - 3 * empty.len();
        assert_eq!(value.drain(begin..end).collect::<Vec<u8>>(), [empty.repeat(3), vec![0]].concat());
    };
    as_version(directory, 2, event, meta);
}

/// Makes of a store that holds tombstones alone what version 3 would have written.
pub(super) fn as_version_3(directory: &Path) {
    let tombstone = |value: &mut Vec<u8>| assert_eq!(value.pop(), Some(0), "when it was made");
    as_version(directory, 3, tombstone, |_| {});
}

/// Makes of a store what a version would have written that knew neither of the clock nor of an incarnation nor of a key.
fn as_version(
    directory: &Path,
    version: u8,
    record_before: impl Fn(&mut Vec<u8>),
    meta_before: impl Fn(&mut Vec<u8>),
) {
    let database = sled_of(directory);
    let mut sum: u128 = 0;
    let items: Vec<Item> = database
        .iter()
        .map(|item| item.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap())
        .collect();
    let (meta, records): (Vec<Item>, Vec<Item>) =
        items.into_iter().partition(|(key, _)| *key == record::meta_key());
    for (key, mut value) in records {
        value[0] = version;
        record_before(&mut value);
        record::seal_again(&key, &mut value);
        sum = sum.wrapping_add(record::verify(&key, &value).unwrap().checksum);
        database.insert(key, value).unwrap();
    }
    let [(key, mut value)] = <[Item; 1]>::try_from(meta).unwrap();
    let meta = Meta {
        sum,
        belief: None,
        incarnation: None,
        token_key: None,
        ..record::decode_meta(&value).unwrap()
    };
    value = record::encode_meta(&meta).unwrap().1;
    // That nothing is known of these three.
    value.truncate(value.len() - 3);
    meta_before(&mut value);
    value[0] = version;
    record::seal_again(&key, &mut value);
    database.insert(key, value).unwrap();
}
