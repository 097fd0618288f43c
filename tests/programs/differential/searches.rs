//! Searches and comparisons made from the seed: every kind of filter, base, scope and selection, sensible and not.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use super::client::{Filter, Position, Search};
use super::tree::{CONTAINERS, NAMES, Random, SUFFIX, Tree};

pub struct Maker<'a> {
    random: &'a mut Random,
    vocabulary: BTreeMap<String, Vec<Vec<u8>>>,
    dns: Vec<String>,
}

impl<'a> Maker<'a> {
    pub fn new(random: &'a mut Random, tree: &Tree) -> Self {
        let dns = tree.items.iter().map(|item| item.dn.clone()).collect();
        Self { random, vocabulary: tree.vocabulary(), dns }
    }

    pub fn search(&mut self) -> Search {
        let depth = self.random.below(4);
        Search {
            base: self.base(),
            scope: *self.random.pick(&[0, 1, 2, 2, 2, 3]),
            size_limit: 0,
            types_only: self.random.once_in(10),
            filter: self.filter(depth),
            attributes: self.attributes(),
        }
    }

    /// A search whose result is known to be the same without a limit, with a limit.
    pub fn limited(&mut self) -> Search {
        let filter = match self.random.below(3) {
            0 => Filter::Present("objectClass".into()),
            1 => Filter::Present("cn".into()),
            _ => Filter::Equal("objectClass".into(), b"inetOrgPerson".to_vec()),
        };
        let size_limit = [1, 2, 3, 10, 60, 100, 1000][self.random.below(7)];
        let base = if self.random.once_in(2) { SUFFIX.to_owned() } else { format!("ou=people,{SUFFIX}") };
        Search {
            base,
            scope: *self.random.pick(&[1, 2, 3]),
            size_limit,
            types_only: false,
            filter,
            attributes: vec!["1.1".into()],
        }
    }

    /// An entry, an attribute and a value.
    pub fn comparison(&mut self) -> (String, String, Vec<u8>) {
        let attribute = self.attribute();
        let value = self.value(&attribute);
        (self.base(), attribute, value)
    }

    fn filter(&mut self, depth: usize) -> Filter {
        if depth == 0 {
            return self.leaf();
        }
        let operands = |maker: &mut Self| {
            let count = [0, 1, 2, 2, 2, 3, 3, 4][maker.random.below(8)];
            (0..count).map(|_| maker.filter(depth - 1)).collect()
        };
        match self.random.below(5) {
            0 | 1 => Filter::And(operands(self)),
            2 | 3 => Filter::Or(operands(self)),
            _ => Filter::Not(Box::new(self.filter(depth - 1))),
        }
    }

    pub fn leaf(&mut self) -> Filter {
        let attribute = self.attribute();
        match self.random.below(20) {
            0..=6 => {
                let value = self.value(&attribute);
                Filter::Equal(attribute, value)
            }
            7..=9 => Filter::Present(attribute),
            10..=13 => {
                let parts = self.parts(&attribute);
                Filter::Parts(attribute, parts)
            }
            14 | 15 => {
                let value = self.value(&attribute);
                if self.random.once_in(2) {
                    Filter::AtLeast(attribute, value)
                } else {
                    Filter::AtMost(attribute, value)
                }
            }
            16 => {
                let value = self.value(&attribute);
                Filter::Approximate(attribute, value)
            }
            _ => {
                let value = self.value(&attribute);
                let rule = (!self.random.once_in(3)).then(|| (*self.random.pick(&RULES)).to_owned());
                let attribute = (rule.is_none() || !self.random.once_in(4)).then_some(attribute);
                Filter::Extensible { rule, attribute, value, dn: self.random.once_in(3) }
            }
        }
    }

    /// An attribute description in some spelling.
    fn attribute(&mut self) -> String {
        let mut name = (*self.random.pick(&ATTRIBUTES)).to_owned();
        match self.random.below(12) {
            0 => name = name.to_uppercase(),
            1 => name = name.to_lowercase(),
            2 => name = alias(&name).to_owned(),
            _ => {}
        }
        if self.random.once_in(10) {
            let options =
                *self.random.pick(&[";lang-de", ";LANG-de", ";lang-fr", ";lang-en;lang-de", ";x-none"]);
            name.push_str(options);
        }
        if self.random.once_in(60) {
            name =
                (*self.random.pick(&[" cn", "cn ", "c n", "", "2.5.4", "oid.2.5.4.3", "cn;", "9.9.9", "_x"]))
                    .to_owned();
        }
        name
    }

    /// A value, most often one that some entry has, as it is or a little different.
    fn value(&mut self, attribute: &str) -> Vec<u8> {
        let base = attribute.split(';').next().unwrap().to_lowercase();
        let known = self.vocabulary.get(&base).or_else(|| self.vocabulary.get(owner(&base)));
        let value = match known {
            Some(values) if !self.random.once_in(6) => self.random.pick(values).clone(),
            _ => match self.random.below(6) {
                0 => self.random.pick(&self.dns).as_bytes().to_vec(),
                1 => self.random.pick(&WRONG).as_bytes().to_vec(),
                2 => self.random.pick(&NAMES).as_bytes().to_vec(),
                3 => self.random.below(3000).to_string().into_bytes(),
                4 => b"20240215093015Z".to_vec(),
                _ => {
                    let any: Vec<&Vec<u8>> = self.vocabulary.values().flatten().collect();
                    (*self.random.pick(&any)).clone()
                }
            },
        };
        self.changed(value)
    }

    fn changed(&mut self, value: Vec<u8>) -> Vec<u8> {
        let Ok(text) = String::from_utf8(value.clone()) else { return value };
        let text = match self.random.below(16) {
            0 => text.to_uppercase(),
            1 => text.to_lowercase(),
            2 => text.replace(' ', "   "),
            3 => format!("  {text} "),
            4 => text.nfd().collect(),
            5 => text.nfkc().collect(),
            6 => text.replace(',', " , ").replace('=', " = "),
            7 if self.random.once_in(2) => {
                let keep = self.random.below(text.chars().count() + 1);
                text.chars().take(keep).collect()
            }
            8 if self.random.once_in(3) => return [value.as_slice(), b"\xFF"].concat(),
            9 if self.random.once_in(3) => format!("{text}\u{ad}"),
            10 if self.random.once_in(3) => format!("0{text}"),
            _ => text,
        };
        text.into_bytes()
    }

    fn parts(&mut self, attribute: &str) -> Vec<(Position, Vec<u8>)> {
        let value = self.value(attribute);
        let Ok(text) = String::from_utf8(value) else { return vec![(Position::Any, vec![0xFF])] };
        let letters: Vec<char> = text.chars().collect();
        let mut parts = Vec::new();
        let mut at = 0;
        let mut take = |random: &mut Random, most: usize| {
            let skip = random.below(3).min(letters.len() - at);
            let length = (1 + random.below(most)).min(letters.len() - at - skip);
            let part: String = letters[at + skip..at + skip + length].iter().collect();
            at += skip + length;
            part.into_bytes()
        };
        if self.random.once_in(2) {
            let length = (1 + self.random.below(4)).min(letters.len());
            parts.push((Position::Initial, letters[..length].iter().collect::<String>().into_bytes()));
        }
        for _ in 0..self.random.below(4) {
            let part = take(self.random, 4);
            if !part.is_empty() {
                parts.push((Position::Any, part));
            }
        }
        if parts.is_empty() || self.random.once_in(3) {
            let length = (1 + self.random.below(4)).min(letters.len());
            let part: String = letters[letters.len() - length..].iter().collect();
            if !part.is_empty() {
                parts.push((Position::Final, part.into_bytes()));
            }
        }
        // An empty part is no filter, and no client's library sends one.
        parts.retain(|(_, part)| !part.is_empty());
        if parts.is_empty() { vec![(Position::Any, b"a".to_vec())] } else { parts }
    }

    /// Where to search: mostly something that is there, in some spelling.
    fn base(&mut self) -> String {
        let container = CONTAINERS[self.random.below(CONTAINERS.len())].0;
        match self.random.below(14) {
            0..=4 => SUFFIX.to_owned(),
            5 | 6 => format!("{container},{SUFFIX}"),
            7 => self.random.pick(&self.dns).clone(),
            8 => self.random.pick(&self.dns).to_uppercase(),
            9 => self.random.pick(&self.dns).replace(",ou=", " , OU = "),
            10 => self.random.pick(&self.dns).replace("ou=", "2.5.4.11=").replace("cn=", "2.5.4.3="),
            11 => {
                let dn = self.random.pick(&self.dns).clone();
                // The pairs of an RDN in the other order, where there are two.
                match dn.split_once(",ou=").map(|(rdn, rest)| (rdn.split_once("+cn="), rest)) {
                    Some((Some((first, second)), rest)) => format!("cn={second}+{first},ou={rest}"),
                    _ => dn,
                }
            }
            12 => format!("{},{container},{SUFFIX}", self.random.pick(&["cn=nobody", "uid=x,ou=y", "c=DE"])),
            _ => (*self.random.pick(&ODD_BASES)).to_owned(),
        }
    }

    fn attributes(&mut self) -> Vec<String> {
        match self.random.below(10) {
            0 => vec![],
            1 => vec!["*".into()],
            2 => vec!["+".into()],
            3 => vec!["*".into(), "+".into()],
            4 => vec!["1.1".into()],
            5 => vec![
                (*self.random.pick(&[
                    "@person",
                    "@POSIXACCOUNT",
                    "@inetOrgPerson",
                    "@posixGroup",
                    "@2.5.6.9",
                    "@x",
                ]))
                .into(),
            ],
            _ => (0..1 + self.random.below(5))
                .map(|_| if self.random.once_in(8) { "1.1".to_owned() } else { self.attribute() })
                .collect(),
        }
    }
}

/// The attribute whose values suit one that has none of its own.
fn owner(attribute: &str) -> &str {
    match attribute {
        "name" | "commonname" | "2.5.4.3" | "displayname" => "cn",
        "surname" | "2.5.4.4" => "sn",
        "userid" | "0.9.2342.19200300.100.1.1" => "uid",
        "rfc822mailbox" => "mail",
        "gn" => "givenname",
        "distinguishedname" | "entrydn" | "2.5.4.31" => "member",
        "structuralobjectclass" | "2.5.4.0" => "objectclass",
        "1.3.6.1.1.1.1.0" => "uidnumber",
        other => other,
    }
}

fn alias(name: &str) -> &str {
    match name {
        "cn" => "commonName",
        "sn" => "2.5.4.4",
        "uid" => "0.9.2342.19200300.100.1.1",
        "mail" => "RFC822Mailbox",
        "givenName" => "gn",
        "member" => "2.5.4.31",
        "objectClass" => "2.5.4.0",
        "uidNumber" => "1.3.6.1.1.1.1.0",
        "l" => "localityName",
        other => other,
    }
}

const ATTRIBUTES: [&str; 56] = [
    "cn",
    "cn",
    "cn",
    "sn",
    "givenName",
    "uid",
    "uid",
    "mail",
    "mail",
    "displayName",
    "description",
    "title",
    "telephoneNumber",
    "mobile",
    "employeeNumber",
    "employeeType",
    "departmentNumber",
    "uidNumber",
    "gidNumber",
    "homeDirectory",
    "loginShell",
    "gecos",
    "member",
    "member",
    "uniqueMember",
    "memberUid",
    "memberOf",
    "manager",
    "seeAlso",
    "objectClass",
    "objectClass",
    "postalAddress",
    "x500UniqueIdentifier",
    "jpegPhoto",
    "labeledURI",
    "entryUUID",
    "entryDN",
    "createTimestamp",
    "modifyTimestamp",
    "structuralObjectClass",
    "hasSubordinates",
    "creatorsName",
    "o",
    "ou",
    "l",
    "dc",
    "name",
    "distinguishedName",
    "host",
    "preferredLanguage",
    "c",
    "nonsense",
    "x-unknown",
    "userPassword",
    "seeAlso",
    "subschemaSubentry",
];

const RULES: [&str; 18] = [
    "caseIgnoreMatch",
    "caseExactMatch",
    "2.5.13.2",
    "2.5.13.5",
    "CASEIGNOREMATCH",
    "caseIgnoreIA5Match",
    "caseExactIA5Match",
    "integerMatch",
    "integerOrderingMatch",
    "caseIgnoreOrderingMatch",
    "distinguishedNameMatch",
    "objectIdentifierMatch",
    "generalizedTimeMatch",
    "telephoneNumberMatch",
    "octetStringMatch",
    "1.2.840.113556.1.4.803",
    "9.9.9.9",
    "noSuchMatch",
];

/// What is no value of most syntaxes.
const WRONG: [&str; 9] = ["", " ", "TRUE", "-5", "12ab", "=,", "cn=x,", "2024", "*"];

const ODD_BASES: [&str; 11] = [
    "",
    "dc=elsewhere",
    "dc=example",
    "cn=x,dc=elsewhere,dc=example",
    "nonsense",
    "ou=people,,dc=differ,dc=example",
    "=x,dc=differ,dc=example",
    "cn=x",
    "ou=people,dc=differ,dc=example,",
    "nosuchtype=x,dc=differ,dc=example",
    "cn=a\\zz,dc=differ,dc=example",
];

/// Searches that no seed must miss.
pub fn written() -> Vec<Search> {
    let equal = |attribute: &str, value: &str| Filter::Equal(attribute.into(), value.into());
    let parts = |attribute: &str, parts: &[&str]| {
        let parts = parts.iter().map(|part| (Position::Any, part.as_bytes().to_vec())).collect();
        Filter::Parts(attribute.into(), parts)
    };
    let by_rule = |attribute: Option<&str>, rule: Option<&str>, value: &str, dn: bool| Filter::Extensible {
        rule: rule.map(str::to_owned),
        attribute: attribute.map(str::to_owned),
        value: value.into(),
        dn,
    };
    let present = |attribute: &str| Filter::Present(attribute.into());
    let filters = vec![
        Filter::AtLeast("cn".into(), "m".into()),
        Filter::AtMost("uidNumber".into(), "1700".into()),
        Filter::AtLeast("modifyTimestamp".into(), "20240210000000Z".into()),
        parts("homeDirectory", &["ome/"]),
        parts("memberUid", &[" d.e"]),
        parts("telephoneNumber", &[" "]),
        parts("telephoneNumber", &["49-3", "0 1"]),
        parts("sn", &["ass"]),
        Filter::Approximate("mail".into(), "person.1@example.org".into()),
        by_rule(Some("mail"), Some("caseIgnoreMatch"), "person.1@example.org", false),
        by_rule(None, Some("2.5.13.5"), "differ", true),
        by_rule(None, Some("integerOrderingMatch"), "100", false),
        by_rule(Some("entryUUID"), None, "00000000-0000-4000-8000-00000000003e", false),
        by_rule(Some("ou"), None, "people", true),
        by_rule(Some("cn"), Some("caseExactMatch"), "group0", false),
        by_rule(None, Some("caseIgnoreMatch"), "GROUP0", false),
        by_rule(
            Some("manager"),
            Some("1.2.840.113556.1.4.1941"),
            "uid=anna0,ou=people,dc=differ,dc=example",
            false,
        ),
        equal("memberUid", ""),
        equal("homeDirectory", ""),
        equal("mail", "m\u{fc}ller@example.com"),
        equal("uid;x-none", "a"),
        equal("entryUUID;lang-de", "00000000-0000-4000-8000-00000000003e"),
        equal("departmentNumber", "1\u{ad}"),
        equal("givenName", "strasse"),
        equal("createTimestamp", "20240109120000z"),
        equal("creatorsName", "dc=differ,dc="),
        equal("cn;", "group0"),
        equal("displayName", ""),
        equal("seeAlso", "  "),
        equal("seeAlso", "nosuchtype=x"),
        equal("telephoneNumber", "+49*"),
        Filter::Parts("cn".into(), vec![(Position::Initial, b" ".to_vec())]),
        parts("gecos", &["n "]),
        equal("entryUUID", "00000000-0000-4000-8000-000000000001"),
        equal("structuralObjectClass", "posixGroup"),
        equal("structuralObjectClass", "person"),
        Filter::AtLeast("uidNumber".into(), "01042".into()),
        equal("objectClass", "noSuchClass"),
        equal("hasSubordinates", "TRUE"),
        equal("member", "UID = anna0 , ou=people, dc=differ, dc=example"),
        equal("name", "group0"),
        present("cn;lang-de"),
        present("nonsense"),
        Filter::And(vec![]),
        Filter::Or(vec![]),
        Filter::Not(Box::new(present("nonsense"))),
        Filter::Or(vec![present("nonsense"), equal("cn", "group0")]),
    ];
    let mut searches: Vec<Search> = filters
        .into_iter()
        .flat_map(|filter| {
            let positive = Search {
                base: SUFFIX.into(),
                scope: 2,
                size_limit: 0,
                types_only: false,
                filter: filter.clone(),
                attributes: vec!["1.1".into()],
            };
            let filter = Filter::Not(Box::new(filter));
            [Search { filter, ..positive.clone() }, positive]
        })
        .collect();
    let bases = ODD_BASES.iter().map(|base| (*base).to_owned()).chain([
        SUFFIX.to_owned(),
        format!("UID=Strasse 229,OU=PEOPLE,{SUFFIX}"),
        format!("cn=x,cn=y,ou=teams,ou=groups,{SUFFIX}"),
    ]);
    for base in bases {
        for scope in 0..4 {
            searches.push(Search {
                base: base.clone(),
                scope,
                size_limit: 0,
                types_only: false,
                filter: present("objectClass"),
                attributes: vec!["*".into(), "+".into()],
            });
        }
    }
    // Some clients write all that they ask for as one.
    searches.push(Search {
        base: SUFFIX.into(),
        scope: 2,
        size_limit: 0,
        types_only: false,
        filter: present("objectClass"),
        attributes: vec!["uid,cn, sn".into()],
    });
    searches
}

/// Comparisons that no seed must miss.
pub fn written_comparisons(tree: &Tree) -> Vec<(String, String, Vec<u8>)> {
    let with_shell = |item: &&super::tree::Item| item.values.iter().any(|(name, _)| name == "loginShell");
    let person = tree.items.iter().find(with_shell).unwrap();
    let shell = &person.values.iter().find(|(name, _)| name == "loginShell").unwrap().1;
    let shell = [shell.as_slice(), b"\xC2\xAD"].concat();
    let group = format!("cn=group0,ou=groups,{SUFFIX}");
    [
        ("cn", "GROUP0"),
        ("cn", "other"),
        ("pager", "1"),
        ("nonsense", "1"),
        ("member", "nonsense"),
        ("entryDN", "CN=Group0,ou=groups,dc=differ,dc=example"),
        ("userPassword", "x"),
        ("objectClass", "GROUPOFNAMES"),
        ("2.5.4.3", " group0 "),
    ]
    .into_iter()
    .map(|(attribute, value)| (group.clone(), attribute.to_owned(), value.as_bytes().to_vec()))
    .chain([
        (format!("cn=nobody,ou=groups,{SUFFIX}"), "cn".into(), b"x".to_vec()),
        (format!("nosuchtype=x,{SUFFIX}"), "cn".into(), b"x".to_vec()),
        (person.dn.clone(), "loginShell".into(), shell),
        (person.dn.clone(), "jpegPhoto".into(), b"x".to_vec()),
    ])
    .collect()
}
