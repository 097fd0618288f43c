//! docs/format.md is enough to read a backup: what is here knows the tables of that page, and nothing of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Place, SEED, read_secrets};

/// The definitions of the page, each by its name, and its table of kinds.
struct Page {
    definitions: BTreeMap<String, String>,
    kinds: BTreeMap<u8, String>,
}

impl Page {
    fn read() -> Self {
        let page = include_str!("../../docs/format.md");
        let (_, records) = page.split_once("## Records").unwrap();
        let definitions = records
            .lines()
            .filter_map(|line| line.strip_prefix("    ")?.split_once(" = "))
            .map(|(name, is)| (name.to_owned(), is.to_owned()))
            .collect();
        let kinds = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `0x")?.split_once("` | `"))
            .map(|(kind, rest)| {
                (u8::from_str_radix(kind, 16).unwrap(), rest.split('`').next().unwrap().to_owned())
            })
            .collect();
        Self { definitions, kinds }
    }

    /// A record, all of whose octets are what its definition says. `used`: what was looked up for it.
    fn decode(&self, record: &str, octets: &[u8], used: &mut BTreeSet<String>) -> Value {
        let mut rest = octets;
        let value = self.value(record, &mut rest, used);
        assert!(rest.is_empty(), "octets behind the end of {record}: {value:#}");
        value
    }

    fn value(&self, kind: &str, rest: &mut &[u8], used: &mut BTreeSet<String>) -> Value {
        if let Some(kind) = kind.strip_suffix('?') {
            return match take(rest, 1)[0] {
                0 => Value::Null,
                1 => self.value(kind, rest, used),
                other => panic!("{other} says whether there is a {kind}"),
            };
        }
        if let Some(kind) = kind.strip_suffix('*') {
            return (0..number(rest)).map(|_| self.value(kind, rest, used)).collect();
        }
        if let Some(length) = kind.strip_prefix('[') {
            let length = length.strip_suffix(']').unwrap().parse().unwrap();
            return Value::String(hex(take(rest, length)));
        }
        match kind {
            "u8" => json!(take(rest, 1)[0]),
            "bool" => match take(rest, 1)[0] {
                0 => json!(false),
                1 => json!(true),
                other => panic!("{other} is no bool"),
            },
            // serde_json has no such numbers.
            "u128" => Value::String(number(rest).to_string()),
            "u16" | "u32" | "u64" => json!(u64::try_from(number(rest)).unwrap()),
            "i32" | "i64" => {
                let folded = u64::try_from(number(rest)).unwrap();
                let half = i64::try_from(folded / 2).unwrap();
                json!(if folded % 2 == 0 { half } else { -half - 1 })
            }
            "text" => Value::String(String::from_utf8(octets(rest).to_vec()).unwrap()),
            "octets" => Value::String(hex(octets(rest))),
            name => {
                used.insert(name.to_owned());
                self.defined(&self.definitions[name], rest, used)
            }
        }
    }

    /// What is defined in one line.
    fn defined(&self, definition: &str, rest: &mut &[u8], used: &mut BTreeSet<String>) -> Value {
        if definition.starts_with("0 ") {
            let variant = usize::try_from(number(rest)).unwrap();
            let chosen = definition.split(" | ").nth(variant).unwrap();
            let mut words = chosen.split(' ');
            assert_eq!(words.next().unwrap(), variant.to_string());
            let name = words.next().unwrap();
            let content: Vec<Value> = words.map(|kind| self.value(kind, rest, used)).collect();
            return if content.is_empty() { json!(name) } else { json!({ name: content }) };
        }
        if !definition.contains(' ') {
            return self.value(definition, rest, used);
        }
        let fields = definition.split(", ").map(|field| {
            let (name, kind) = field.split_once(' ').unwrap();
            (name.to_owned(), self.value(kind, rest, used))
        });
        Value::Object(fields.collect())
    }

    /// What the key of a record must be, without its part.
    fn name_of(kind: u8, record: &Value) -> Vec<u8> {
        let four = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap().to_be_bytes();
        let mut name = vec![kind];
        match kind {
            0x00 => {}
            0x50 => name.extend([four(&record["group"]), four(&record["account"])].concat()),
            0x80 => {
                let of = record["of"].as_object().unwrap();
                let (what, text) = of.iter().next().unwrap();
                name.push(match what.as_str() {
                    "account" => 0,
                    "token" => 1,
                    "group" => 2,
                    _ => 3,
                });
                name.extend(text[0].as_str().unwrap().as_bytes());
            }
            0x88 => {
                let of = record["of"].as_object().unwrap();
                let (whose, number) = of.iter().next().unwrap();
                name.push(u8::from(whose == "account"));
                name.extend(four(&number[0]));
            }
            0x90..=0x93 => {
                let trails = ["changes", "logins", "failures", "custom"];
                assert_eq!(record["trail"], trails[usize::from(kind - 0x90)]);
                name.extend(record["sequence"].as_u64().unwrap().to_be_bytes());
            }
            _ => name.extend(four(&record["number"])),
        }
        name
    }
}

fn take<'a>(rest: &mut &'a [u8], octets: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(octets);
    *rest = left;
    taken
}

/// A little-endian number of so many octets.
fn fixed(rest: &mut &[u8], octets: usize) -> u128 {
    take(rest, octets).iter().rev().fold(0, |number, octet| number << 8 | u128::from(*octet))
}

/// One of varying length.
fn number(rest: &mut &[u8]) -> u128 {
    match take(rest, 1)[0] {
        251 => fixed(rest, 2),
        252 => fixed(rest, 4),
        253 => fixed(rest, 8),
        254 => fixed(rest, 16),
        255 => panic!("no number begins so"),
        small => small.into(),
    }
}

fn octets<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let length = usize::try_from(number(rest)).unwrap();
    take(rest, length)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// The first 16 octets of BLAKE3 over all of these.
fn checksum(parts: &[&[u8]]) -> [u8; 16] {
    blake3::hash(&parts.concat()).as_bytes()[..16].try_into().unwrap()
}

type Item = (Vec<u8>, Vec<u8>);

/// An item that was gone has no value.
fn items(mut content: &[u8]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut items = Vec::new();
    while !content.is_empty() {
        let key = fixed(&mut content, 2) as usize;
        let value = fixed(&mut content, 4) as u32;
        let key = take(&mut content, key).to_vec();
        let value = (value != u32::MAX).then(|| take(&mut content, value as usize).to_vec());
        items.push((key, value));
    }
    items
}

/// What an archive holds, every checksum looked at.
struct Archive {
    incarnation: Vec<u8>,
    description: Vec<u8>,
    items: Vec<Item>,
    keys: Option<Vec<u8>>,
}

impl Archive {
    fn read(path: &Path) -> Self {
        let file = std::fs::read(path).unwrap();
        let mut rest = &*file;
        let mut archive =
            Self { incarnation: Vec::new(), description: Vec::new(), items: Vec::new(), keys: None };
        let mut checksums = Vec::new();
        for block in 0_u64.. {
            assert_eq!(take(&mut rest, 4), b"bndr");
            let kind = take(&mut rest, 1);
            assert_eq!(fixed(&mut rest, 8), u128::from(block));
            let length = fixed(&mut rest, 4) as usize;
            let sum = take(&mut rest, 16);
            let mut content = take(&mut rest, length);
            let over = [b"bndr", kind, &block.to_le_bytes(), &(length as u64).to_le_bytes(), content];
            assert_eq!(sum, checksum(&over), "block {block}");
            match kind {
                b"H" => {
                    assert_eq!((block, fixed(&mut content, 2)), (0, 1));
                    archive.incarnation = take(&mut content, 16).to_vec();
                    assert!(fixed(&mut content, 8) > 1_700_000_000);
                    let length = fixed(&mut content, 4) as usize;
                    archive.description = take(&mut content, length).to_vec();
                    assert!(content.is_empty());
                }
                b"I" => {
                    assert!(block > 0 && archive.keys.is_none());
                    archive
                        .items
                        .extend(items(content).into_iter().map(|(key, value)| (key, value.unwrap())));
                }
                b"K" => archive.keys = Some(content.to_vec()),
                b"E" => {
                    assert_eq!(fixed(&mut content, 8), archive.items.len() as u128);
                    let octets = archive.items.iter().map(|(key, value)| key.len() + value.len());
                    assert_eq!(fixed(&mut content, 8), octets.sum::<usize>() as u128);
                    assert_eq!(content, blake3::hash(&checksums).as_bytes());
                    assert!(rest.is_empty());
                    break;
                }
                other => panic!("a block of the kind {other:?}"),
            }
            checksums.extend_from_slice(sum);
        }
        assert!(archive.items.is_sorted_by(|one, other| one.0 < other.0));
        archive
    }
}

/// The checksum of an item, which is right, and what is behind it.
fn verified((key, value): &Item) -> (u128, &[u8]) {
    let (version, rest) = value.split_at(1);
    let (mut sum, content) = rest.split_at(16);
    assert_eq!(version, [5]);
    assert_eq!(sum, checksum(&[version, &(key.len() as u64).to_le_bytes(), key, content]), "{}", hex(key));
    (fixed(&mut sum, 16), content)
}

/// All records of items in the order of their keys, each with its kind.
fn records(page: &Page, items: &[Item], used: &mut BTreeSet<String>) -> Vec<(u8, Value)> {
    let mut records = Vec::new();
    let mut rest = items.iter();
    while let Some(first) = rest.next() {
        let (name, part) = first.0.split_at(first.0.len() - 2);
        assert_eq!(part, [0, 0]);
        let (_, mut content) = verified(first);
        let parts = fixed(&mut content, 2) as u16;
        let mut whole = content.to_vec();
        for part in 1..parts {
            let next = rest.next().unwrap();
            assert_eq!(next.0, [name, &part.to_be_bytes()].concat());
            whole.extend_from_slice(verified(next).1);
        }
        let record = page.decode(&page.kinds[&name[0]], &whole, used);
        assert_eq!(Page::name_of(name[0], &record), name, "{record:#}");
        records.push((name[0], record));
    }
    records
}

const MORE: &str = r#"
[[attribute]]
name = "badgeNumber"
syntax = "integer"

[[application]]
slug = "office"
provider = "ldap"
bindings = [{ networks = ["127.0.0.0/8"] }]
"#;

/// A store with a record of each kind, one of them in several items.
fn with_all_kinds() -> Place {
    let place = Place::new(&format!("{SEED}{MORE}"));
    let server = place.serve(&["--secrets-file", place.path("secrets.json").to_str().unwrap()]);
    let person = format!(
        "dn: cn=carol,ou=users,dc=ldap,dc=example,dc=com\nobjectClass: inetOrgPerson\ncn: carol\nsn: x\n\
         description: {}\n",
        "d".repeat(20_000)
    );
    place.run_with_input(&["import", "-"], &person).exits(0);
    for command in [
        &["token", "create", "short", "--account", "portal"][..],
        &["token", "revoke", "short"],
        &["account", "delete", "bob", "--yes"],
    ] {
        place.run(command).exits(0);
    }
    let secrets = read_secrets(&place.path("secrets.json"));
    let mut ldap = ldap3::LdapConn::new(&server.url("ldap")).unwrap();
    let name = format!("cn=ldapservice,ou=users,{}", crate::support::BASE);
    let secret = crate::support::secret_of(&secrets, "ldapservice-app-password");
    ldap.simple_bind(&name, &secret).unwrap().success().unwrap();
    assert_eq!(ldap.simple_bind(&name, "wrong").unwrap().rc, 49);
    place.run(&["event", "list"]).exits(0);
    server.stop();
    place
}

#[test]
fn a_backup_is_read_by_the_page_alone() {
    let page = Page::read();
    let place = with_all_kinds();
    place.run(&["backup", "all.backup", "--with-keys"]).exits(0);
    let archive = Archive::read(&place.path("all.backup"));
    let records = records(&page, &archive.items, &mut BTreeSet::new());

    // The item that describes the store is the first, and the same in the first block.
    assert_eq!(archive.items[0].1, archive.description);
    let (kind, meta) = &records[0];
    assert_eq!(*kind, 0);
    assert_eq!(meta["records"], records.len() - 1);
    let sum = archive.items[1..].iter().fold(0_u128, |sum, item| sum.wrapping_add(verified(item).0));
    assert_eq!(meta["sum"], sum.to_string());
    assert_eq!(meta["incarnation"], hex(&archive.incarnation));
    let told = place.run(&["backup", "verify", "all.backup", "--json"]).exits(0).json();
    assert_eq!(told["revision"], meta["revision"], "{told:#}");
    assert_eq!(archive.keys.unwrap(), std::fs::read(place.path("data/token.key")).unwrap());

    let of = |wanted: u8| records.iter().filter(move |(kind, _)| *kind == wanted).map(|(_, record)| record);
    // What callers of the API note needs one; a sample has it.
    for kind in page.kinds.keys().filter(|kind| **kind != 0x93) {
        assert!(of(*kind).next().is_some(), "nothing of the kind {kind:#x}");
    }
    let alice = of(0x40).find(|account| account["username"] == "alice").unwrap();
    assert_eq!((&alice["name"], &alice["is_active"]), (&json!("Alice Adams"), &json!(true)));
    let carol = of(0x40).find(|account| account["username"] == "carol").unwrap();
    let description = json!({ "description": "description", "values": ["64".repeat(20_000)] });
    assert!(carol["attributes"].as_array().unwrap().contains(&description), "{carol:#}");
    let parts = archive.items.iter().filter(|(key, _)| !key.ends_with(&[0, 0])).count();
    assert!(parts >= 3, "the large account has several items");
    let listed = place.run(&["token", "list", "--json"]).exits(0).json();
    let listed: BTreeSet<&str> =
        listed.as_array().unwrap().iter().map(|token| token["identifier"].as_str().unwrap()).collect();
    assert_eq!(of(0x60).map(|token| token["identifier"].as_str().unwrap()).collect::<BTreeSet<_>>(), listed);
    let gone: Vec<&Value> = of(0x80).map(|tombstone| &tombstone["of"]).collect();
    for of in [json!({ "account": ["bob"] }), json!({ "token": ["short"] })] {
        assert!(gone.contains(&&of), "{of} is not in {gone:?}");
    }
    for (trail, kind) in ["changes", "logins", "failures", "custom"].into_iter().zip(0x90_u8..) {
        let state = &meta["counters"][trail];
        let numbers: Vec<u64> = of(kind).map(|event| event["sequence"].as_u64().unwrap()).collect();
        let there = state["first"].as_u64().unwrap()..state["next"].as_u64().unwrap();
        assert_eq!(numbers, there.collect::<Vec<_>>(), "{trail}");
        // Each has the digest of the one before.
        let first = of(kind).next().map(|event| &event["previous"]);
        assert!(first.is_none_or(|previous| *previous == state["before"]), "{trail}");
    }
}

#[test]
fn the_journal_is_read_by_the_page_alone() {
    let page = Page::read();
    let place = with_all_kinds();
    place.run(&["backup", "all.backup"]).exits(0);
    let data = place.path("data");
    // The checkpoint, and on it all batches.
    let checkpoint = Archive::read(&data.join("journal/checkpoint"));
    let mut left: BTreeMap<Vec<u8>, Vec<u8>> = checkpoint.items.into_iter().collect();
    let mut files: Vec<_> =
        std::fs::read_dir(data.join("journal")).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("batches."));
    files.sort();
    let mut last = 0;
    for path in files {
        let file = std::fs::read(path).unwrap();
        let (head, mut rest) = file.split_at(32);
        assert_eq!(&head[..8], b"BNDRJRN\x01");
        let incarnation = &head[8..24];
        assert_eq!(incarnation, checkpoint.incarnation);
        assert_eq!(take(&mut rest, 16), checksum(&[head]));
        let mut revision = fixed(&mut &head[24..], 8) as u64;
        while !rest.iter().all(|octet| *octet == 0) {
            let length = fixed(&mut rest, 4) as usize;
            assert_eq!(fixed(&mut rest, 8), u128::from(revision));
            let sum = take(&mut rest, 16);
            let content = take(&mut rest, length);
            assert_eq!(sum, checksum(&[incarnation, &revision.to_le_bytes(), content]));
            for (key, value) in items(content) {
                match value {
                    Some(value) => left.insert(key, value),
                    None => left.remove(&key),
                };
            }
            last = revision;
            revision += 1;
        }
    }
    let left: Vec<Item> = left.into_iter().collect();
    assert_eq!(records(&page, &left, &mut BTreeSet::new())[0].1["revision"], last);
    assert!(left == Archive::read(&place.path("all.backup")).items, "a backup is the same");

    let acknowledged = std::fs::read(data.join("acknowledged")).unwrap();
    let slot = &acknowledged[if last % 2 == 0 { 0 } else { 4096 }..];
    assert_eq!(&slot[..8], b"BINDERY\x03");
    assert_eq!(slot[8..24], checkpoint.incarnation);
    assert_eq!(slot[24..32], last.to_le_bytes());
    let end = 36 + fixed(&mut &slot[32..], 4) as usize;
    // The key of the item that describes the store.
    let described = left.iter().find(|(key, _)| *key == [0, 0, 0]).unwrap();
    assert_eq!(slot[36..end], described.1);
    assert_eq!(slot[end..end + 16], checksum(&[&slot[..end]]));
}

/// Of every kind, with a value in every field; nothing stands on the page that nobody needs.
#[test]
fn each_sample_is_read_by_the_page_alone() {
    let page = Page::read();
    let mut used = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/samples/v5");
    for file in std::fs::read_dir(samples).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let items: Vec<Item> = text
            .lines()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(key, value)| (unhex(key), unhex(value)))
            .collect();
        for (kind, record) in records(&page, &items, &mut used) {
            assert!(!record.is_null());
            kinds.insert(kind);
        }
    }
    assert!(kinds.iter().eq(page.kinds.keys()), "{kinds:?}");
    used.extend(page.kinds.values().cloned());
    let on_page: BTreeSet<String> = page.definitions.keys().cloned().collect();
    assert_eq!(used, on_page);
}
