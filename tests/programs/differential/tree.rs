//! The tree that both servers hold, made from a seed: people, machines and groups in several containers, with
//! names and values that are hard to get right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use unicode_normalization::UnicodeNormalization;

pub const SUFFIX: &str = "dc=differ,dc=example";
/// Who searches. It stands in the tree like everybody else.
pub const READER: &str = "cn=reader,ou=services,dc=differ,dc=example";
pub const READER_PASSWORD: &str = "reader-password";
/// `{SSHA}` of it: the one scheme that both servers read without a module.
const READER_HASH: &str = "{SSHA}gSPvxj0iHTF2fQ/gEB2aDIO8DlEwMTIzYWJjZA==";

/// SplitMix64: small, the same everywhere, good enough to scatter.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// An entry of the tree.
pub struct Item {
    pub dn: String,
    /// Description and value, in the order of the file.
    pub values: Vec<(String, Vec<u8>)>,
}

/// The whole of it.
pub struct Tree {
    pub items: Vec<Item>,
}

impl Tree {
    pub fn new(random: &mut Random) -> Self {
        let mut maker = Maker { random, items: Vec::new(), names: BTreeSet::new() };
        maker.containers();
        let people = maker.people();
        maker.machines();
        maker.groups(&people);
        Self { items: maker.items }
    }

    pub fn ldif(&self) -> String {
        let mut text = String::new();
        for item in &self.items {
            let dn = format!("dn:: {}\n", base64(item.dn.as_bytes()));
            text.push_str(&dn);
            // slapadd keeps an attribute whose values do not stand together as two attributes.
            let mut values: Vec<_> = item.values.iter().collect();
            values.sort_by_key(|(description, _)| description);
            for (description, value) in values {
                writeln!(text, "{description}:: {}", base64(value)).unwrap();
            }
            text.push('\n');
        }
        text
    }

    /// All values by lower-case attribute type, for assertions that should find something.
    pub fn vocabulary(&self) -> BTreeMap<String, Vec<Vec<u8>>> {
        let mut vocabulary: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for (description, value) in self.items.iter().flat_map(|item| &item.values) {
            let base = description.split(';').next().unwrap().to_lowercase();
            vocabulary.entry(base).or_default().push(value.clone());
        }
        vocabulary
    }
}

struct Person {
    dn: String,
    uid: String,
    item: usize,
}

struct Maker<'a> {
    random: &'a mut Random,
    items: Vec<Item>,
    /// Names that are taken, of accounts and groups alike.
    names: BTreeSet<String>,
}

impl Maker<'_> {
    fn item(&mut self, dn: &str, classes: &[&str], values: Vec<(&str, String)>) -> usize {
        let mut all: Vec<(String, Vec<u8>)> =
            classes.iter().map(|class| ("objectClass".to_owned(), class.as_bytes().to_vec())).collect();
        for (description, value) in values {
            push(&mut all, description, value.into_bytes());
        }
        // With the check of classes off slapadd does not find it out. bindery does, and reads none.
        let structural = classes.iter().find(|class| STRUCTURAL.contains(class)).unwrap();
        push(&mut all, "structuralObjectClass", structural.as_bytes().to_vec());
        let number = self.items.len();
        let day = 1 + number % 28;
        for (name, value) in [
            ("entryUUID", format!("00000000-0000-4000-8000-{number:012x}")),
            ("createTimestamp", format!("202401{day:02}120000Z")),
            ("modifyTimestamp", format!("202402{day:02}093015Z")),
            ("creatorsName", SUFFIX.to_owned()),
            ("modifiersName", SUFFIX.to_owned()),
        ] {
            push(&mut all, name, value.into_bytes());
        }
        self.items.push(Item { dn: dn.to_owned(), values: all });
        number
    }

    fn add(&mut self, item: usize, description: &str, value: impl Into<Vec<u8>>) {
        push(&mut self.items[item].values, description, value.into());
    }

    fn containers(&mut self) {
        self.item(
            SUFFIX,
            &["top", "dcObject", "organization"],
            vec![("dc", "differ".into()), ("o", "differ".into())],
        );
        for container in CONTAINERS.iter().map(|(container, _)| *container) {
            let name = container.split("ou=").nth(1).unwrap().trim_end_matches(',').replace("\\,", ",");
            let dn = format!("{container},{SUFFIX}");
            self.item(&dn, &["top", "organizationalUnit"], vec![("ou", name)]);
        }
    }

    fn people(&mut self) -> Vec<Person> {
        (0..230).map(|number| self.person(number)).collect()
    }

    fn person(&mut self, number: usize) -> Person {
        let uid = match number {
            0..200 => {
                format!("{}{number}", self.random.pick(&["anna", "bob", "Carla", "d.ee", "eve-x", "o'n"]))
            }
            _ => format!("{} {number}", self.random.pick(&NAMES)),
        };
        let uid = self.free(uid);
        let given = (*self.random.pick(&NAMES)).to_owned();
        let family = (*self.random.pick(&NAMES)).to_owned();
        let cn = match self.random.below(4) {
            0 => format!("{given}  {family}"),
            1 => given.clone(),
            _ => format!("{given} {family} {}", number % 7),
        };
        let container = CONTAINERS[[0, 0, 0, 1, 2][self.random.below(5)]].0;
        let place = format!("{container},{SUFFIX}");
        let dn = match self.random.below(6) {
            0 => format!("uid={}+cn={},{place}", escaped(&uid), escaped(&cn)),
            1 => format!("UID={},{place}", hexed(&uid)),
            _ => format!("uid={},{place}", escaped(&uid)),
        };
        let is_posix = self.random.below(3) > 0;
        let is_plain = number % 19 == 7;
        let mut classes = vec!["top", "person", "organizationalPerson", "inetOrgPerson"];
        if is_plain {
            classes = vec!["top", "account"];
        }
        if is_posix || is_plain {
            classes.push("posixAccount");
        }
        let item = self.item(&dn, &classes, vec![("uid", uid.clone()), ("cn", cn)]);
        if is_posix || is_plain {
            self.add(item, "uidNumber", format!("{}", 1000 + number * 7));
            let gid = [100, 1000, 20_000 + number][self.random.below(3)];
            self.add(item, "gidNumber", gid.to_string());
            let value = format!("/home/{}", self.random.pick(&["x", "Y", "z/ä"]));
            self.add(item, "homeDirectory", value);
            if self.random.once_in(2) {
                let value = *self.random.pick(&["/bin/sh", "/bin/ZSH", "/usr/bin/fish"]);
                self.add(item, "loginShell", value);
            }
            if self.random.once_in(2) {
                self.add(item, "gecos", format!("Person,Room {},x", number % 11));
            }
        }
        if is_plain {
            self.add(item, "host", format!("host{}.example.com", number % 5));
            self.add(item, "description", "An account of another class");
        } else {
            self.inet_org_person(item, number, &given, &family);
        }
        Person { dn, uid, item }
    }

    fn inet_org_person(&mut self, item: usize, number: usize, given: &str, family: &str) {
        self.add(item, "displayName", format!("{given} {family}"));
        self.add(item, "sn", family);
        if self.random.once_in(3) {
            self.add(item, "sn", format!("{given}-{family}"));
        }
        self.add(item, "givenName", given);
        if self.random.once_in(4) {
            self.add(item, "cn", format!("Second  Name\u{a0}{number}"));
        }
        if self.random.once_in(4) {
            let value = format!("Deutsch {}", self.random.pick(&NAMES));
            self.add(item, "cn;lang-de", value);
        }
        if self.random.once_in(6) {
            self.add(item, "description;lang-en;lang-de", "of two languages");
            self.add(item, "description;lang-fr", format!("Numéro {}", number % 5));
        }
        if self.random.once_in(3) {
            let value = *self.random.pick(&NAMES);
            self.add(item, "description", value);
            self.add(item, "description", format!("Some words * (in) \\ brackets {}", number % 4));
        }
        if self.random.once_in(2) {
            let domain = self.random.pick(&["example.com", "EXAMPLE.org", "mail.example.com"]);
            self.add(item, "mail", format!("Person.{number}@{domain}"));
        }
        if self.random.once_in(5) {
            self.add(item, "mail", format!("alias+{}@example.com", number % 9));
        }
        if self.random.once_in(3) {
            self.add(item, "telephoneNumber", format!("+49 30 {}-{}", 1000 + number, number % 10));
        }
        if self.random.once_in(5) {
            self.add(item, "mobile", format!("+1 555 0{}", 100 + number));
        }
        if self.random.once_in(4) {
            self.add(
                item,
                "postalAddress",
                format!("{} Main Street$Floor \\24{}$Berlin", number % 6, number),
            );
        }
        if self.random.once_in(3) {
            let value = *self.random.pick(&["Head", "head of  IT", "Clerk", "ÜBER"]);
            self.add(item, "title", value);
        }
        if self.random.once_in(3) {
            self.add(item, "employeeNumber", format!("{}", number % 40));
            let value = *self.random.pick(&["staff", "Contractor"]);
            self.add(item, "employeeType", value);
        }
        if self.random.once_in(3) {
            self.add(item, "departmentNumber", (number % 12).to_string());
            let value = *self.random.pick(&["Köln", "Berlin", "São  Paulo"]);
            self.add(item, "l", value);
        }
        if self.random.once_in(5) {
            self.add(item, "labeledURI", format!("https://Example.com/~{} Home Page", number % 8));
        }
        if self.random.once_in(5) {
            self.add(item, "x500UniqueIdentifier", format!("'{:05b}'B", number % 32));
        }
        if self.random.once_in(6) {
            let mut photo = b"\xFF\xD8\xFF\xE0\x00\x10JFIF\x00".to_vec();
            photo.extend((0..40).map(|at| (at * number) as u8));
            self.add(item, "jpegPhoto", photo);
        }
        if self.random.once_in(4) && number > 0 {
            let other = self.random.below(number.min(self.items.len() - 1));
            let dn = self.items[other].dn.clone();
            self.add(item, "manager", dn.clone());
            self.add(item, "seeAlso", dn);
        }
    }

    fn machines(&mut self) {
        let values = vec![
            ("cn", "reader".to_owned()),
            ("description", "Searches".to_owned()),
            ("userPassword", READER_HASH.into()),
        ];
        self.item(READER, &["top", "applicationProcess"], values);
        for number in 0..12 {
            let name = self.free(format!("service {} {number}", NAMES[number % NAMES.len()]));
            let dn = format!("cn={},ou=services,{SUFFIX}", escaped(&name));
            let item = self.item(&dn, &["top", "applicationProcess"], vec![("cn", name)]);
            if number % 2 == 0 {
                self.add(item, "l", "Köln");
                self.add(item, "ou", format!("Unit {number}"));
            }
        }
    }

    fn groups(&mut self, people: &[Person]) {
        let first = self.items.len();
        let mut groups: Vec<(String, usize)> = Vec::new();
        for number in 0..60 {
            let name = match number % 3 {
                0 => format!("group{number}"),
                1 => format!("Group {} {number}", self.random.pick(&NAMES)),
                _ => format!("g,{number}+x"),
            };
            let name = self.free(name);
            let container = CONTAINERS[if number % 4 == 3 { 5 } else { 4 }].0;
            let dn = format!("cn={},{container},{SUFFIX}", escaped(&name));
            let kind = number % 3;
            let class = ["groupOfNames", "groupOfUniqueNames", "posixGroup"][kind];
            let item = self.item(&dn, &["top", class], vec![("cn", name)]);
            if kind == 2 {
                self.add(item, "gidNumber", (5000 + number).to_string());
            } else if number % 5 == 0 {
                self.add(item, "cn", format!("Other name of {number}"));
            }
            if number % 2 == 0 {
                self.add(item, "description", format!("Group  number {number}"));
            }
            groups.push((dn, kind));
            let size = [1, 2, 5, 40][self.random.below(4)];
            let mut members = BTreeSet::new();
            for _ in 0..size {
                members.insert(self.random.below(people.len()));
            }
            for member in members {
                let Person { dn: name, uid, item: person } = &people[member];
                let group = groups[number].0.clone();
                match kind {
                    0 => self.add(item, "member", name.as_str()),
                    1 => self.add(item, "uniqueMember", name.as_str()),
                    _ => self.add(item, "memberUid", uid.as_str()),
                }
                self.add(*person, "memberOf", group);
            }
        }
        // Nesting goes down only: a cycle is another test's affair.
        for parent in 0..groups.len() {
            let child = parent + 1 + self.random.below(9);
            let attribute = ["member", "uniqueMember", ""][groups[parent].1];
            if child < groups.len() && !attribute.is_empty() {
                let (parent_dn, child_dn) = (groups[parent].0.clone(), groups[child].0.clone());
                self.add(first + parent, attribute, child_dn);
                self.add(first + child, "memberOf", parent_dn);
            }
        }
    }

    /// The name, or one near it that nobody has.
    fn free(&mut self, mut name: String) -> String {
        while !self.names.insert(form(&name)) {
            name.push('_');
        }
        name
    }
}

/// Adds a value unless one like it is there: no attribute has two values that match.
fn push(values: &mut Vec<(String, Vec<u8>)>, description: &str, value: Vec<u8>) {
    let normal = |value: &[u8]| std::str::from_utf8(value).map_or_else(|_| "binary".to_owned(), form);
    let own = normal(&value);
    if !values.iter().any(|(other, present)| other == description && normal(present) == own) {
        values.push((description.to_owned(), value));
    }
}

/// Close to RFC 4518, and coarser: only for not being ambiguous.
fn form(text: &str) -> String {
    let text: String = text.nfkc().filter(|c| *c != '\u{ad}').collect();
    text.to_lowercase().replace('ß', "ss").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The structural classes of the tree, those below others first.
const STRUCTURAL: [&str; 8] = [
    "inetOrgPerson",
    "account",
    "applicationProcess",
    "organization",
    "organizationalUnit",
    "groupOfNames",
    "groupOfUniqueNames",
    "posixGroup",
];

/// The containers, relative to the suffix, and the attribute that names what stands in them.
pub const CONTAINERS: [(&str, &str); 6] = [
    ("ou=people", "uid"),
    ("ou=berlin,ou=people", "uid"),
    ("ou=Bücher\\, Büros", "uid"),
    ("ou=services", "cn"),
    ("ou=groups", "cn"),
    ("ou=teams,ou=groups", "cn"),
];

/// What people are called here.
pub const NAMES: [&str; 28] = [
    "Anna",
    "bob",
    "CARLA",
    "Müller",
    "Ångström",
    "Łukasz",
    "ΣΊΣΥΦΟΣ",
    "Žižek",
    "山田太郎",
    "Straße",
    "ﬁnn",
    "ＦＵＬＬ",
    "e\u{301}lodie",
    "Zoë   Odd",
    "a,b",
    "plus+sign",
    "#hash",
    "semi;colon",
    "back\\slash",
    "quo\"te",
    "<angle>",
    "equals=sign",
    "star*",
    "paren(s)",
    "soft\u{ad}hyphen",
    "O'Neill",
    "😀 smile",
    "Ελένη",
];

/// A value in a DN, escaped where RFC 4514 wants it.
pub fn escaped(value: &str) -> String {
    let mut out = String::new();
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        let is_edge = (at == 0 && matches!(character, ' ' | '#')) || (at == last && character == ' ');
        if is_edge || matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// A value in a DN with every octet that is no letter or digit as `\xx`.
pub fn hexed(value: &str) -> String {
    let mut out = String::new();
    for octet in value.bytes() {
        if octet.is_ascii_alphanumeric() {
            out.push(char::from(octet));
        } else {
            write!(out, "\\{octet:02X}").unwrap();
        }
    }
    out
}

/// A DN so that two spellings of one are equal: types in lower case, values unescaped and in lower case. Knows
/// what stands in this tree and in the answers about it, no more.
pub fn normal_dn(dn: &str) -> String {
    if dn.is_empty() {
        return String::new();
    }
    let mut rdns: Vec<Vec<(String, Vec<u8>)>> = vec![vec![]];
    let mut rest = dn.as_bytes();
    loop {
        let Some(equals) = rest.iter().position(|octet| *octet == b'=') else { return format!("?{dn}") };
        let name = String::from_utf8_lossy(&rest[..equals]).trim().to_lowercase();
        let mut value = Vec::new();
        rest = &rest[equals + 1..];
        let end = loop {
            match rest {
                [b'\\', high, low, behind @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    let digit = |octet: u8| char::from(octet).to_digit(16).unwrap() as u8;
                    value.push(digit(*high) << 4 | digit(*low));
                    rest = behind;
                }
                [b'\\', octet, behind @ ..] => {
                    value.push(*octet);
                    rest = behind;
                }
                [octet @ (b',' | b'+'), behind @ ..] => {
                    rest = behind;
                    break Some(*octet);
                }
                [octet, behind @ ..] => {
                    value.push(*octet);
                    rest = behind;
                }
                [] => break None,
            }
        };
        rdns.last_mut().unwrap().push((name, value));
        match end {
            Some(b',') => rdns.push(vec![]),
            Some(_) => {}
            None => break,
        }
    }
    let rdns = rdns.into_iter().map(|mut pairs| {
        pairs.sort();
        let pairs = pairs
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(&form(&String::from_utf8_lossy(value)))));
        pairs.collect::<Vec<_>>().join("+")
    });
    rdns.collect::<Vec<_>>().join(",")
}

fn base64(value: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(value)
}
