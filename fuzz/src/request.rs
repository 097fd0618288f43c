//! Requests, written from the choices of an input: mostly sound ones, about what is in the directory.

use bindery::inside::ldap::ber::BerWriter;

use crate::input::Input;
use crate::world::{ACCOUNTS, BASE, GROUPS, OTHER_BASE};

pub const PAGED: &str = "1.2.840.113556.1.4.319";
pub const SORT: &str = "1.2.840.113556.1.4.473";
pub const VIEW: &str = "2.16.840.1.113730.3.4.9";
pub const VIEWED: &str = "2.16.840.1.113730.3.4.10";
pub const MATCHED_VALUES: &str = "1.2.826.0.1.3344810.2.3";
pub const ASSERTION: &str = "1.3.6.1.1.12";
pub const SUBENTRIES: &str = "1.3.6.1.4.1.4203.1.10.1";
/// Controls without a value.
const BARE: [&str; 4] =
    ["2.16.840.1.113730.3.4.2", "1.2.840.113556.1.4.1339", "1.3.6.1.4.1.42.2.27.8.5.1", "1.2.3.4"];

pub const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
pub const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";
pub const CANCEL: &str = "1.3.6.1.1.8";
pub const PASSWORD_MODIFY: &str = "1.3.6.1.4.1.4203.1.11.1";

/// Tag octets of requests.
pub const BIND: u8 = 0x60;
pub const SEARCH: u8 = 0x63;
pub const COMPARE: u8 = 0x6e;
pub const ABANDON: u8 = 0x50;
pub const EXTENDED: u8 = 0x77;

/// A control of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    pub oid: String,
    pub is_critical: bool,
    pub value: Option<Vec<u8>>,
}

pub fn control(oid: &str, is_critical: bool, value: Option<Vec<u8>>) -> Control {
    Control { oid: oid.to_owned(), is_critical, value }
}

/// A message.
pub fn message(id: i32, operation: u8, body: &[u8], controls: &[Control]) -> Vec<u8> {
    written(|writer| {
        let sequence = writer.begin(0x30);
        writer.integer(i64::from(id));
        writer.element(operation, body);
        if !controls.is_empty() {
            let list = writer.begin(0xa0);
            for control in controls {
                let element = writer.begin(0x30);
                writer.octet_string(control.oid.as_bytes());
                if control.is_critical {
                    writer.boolean(true);
                }
                if let Some(value) = &control.value {
                    writer.octet_string(value);
                }
                writer.end(element);
            }
            writer.end(list);
        }
        writer.end(sequence);
    })
}

pub fn simple_bind(name: &str, secret: &[u8]) -> Vec<u8> {
    written(|writer| {
        writer.integer(3);
        writer.octet_string(name.as_bytes());
        writer.element(0x80, secret);
    })
}

pub fn plain_bind(name: &str, secret: &[u8]) -> Vec<u8> {
    let credentials = [b"\0", name.as_bytes(), b"\0", secret].concat();
    written(|writer| {
        writer.integer(3);
        writer.octet_string(b"");
        let sasl = writer.begin(0xa3);
        writer.octet_string(b"PLAIN");
        writer.octet_string(&credentials);
        writer.end(sasl);
    })
}

pub fn extended(oid: &str, value: Option<&[u8]>) -> Vec<u8> {
    written(|writer| {
        writer.element(0x80, oid.as_bytes());
        if let Some(value) = value {
            writer.element(0x81, value);
        }
    })
}

pub fn cancel(id: i32) -> Vec<u8> {
    extended(CANCEL, Some(&sequence(|writer| writer.integer(i64::from(id)))))
}

/// A whole number without its tag and length, as an abandon has it.
pub fn abandon(id: i32) -> Vec<u8> {
    let integer = written(|writer| writer.integer(i64::from(id)));
    integer[2..].to_vec()
}

pub fn compare(entry: &str, attribute: &str, value: &[u8]) -> Vec<u8> {
    written(|writer| {
        writer.octet_string(entry.as_bytes());
        let assertion = writer.begin(0x30);
        writer.octet_string(attribute.as_bytes());
        writer.octet_string(value);
        writer.end(assertion);
    })
}

/// A search of any DN, scope, filter and selection.
pub fn search(
    base: &str,
    scope: u8,
    filter: &[u8],
    attributes: &[&str],
    size_limit: u8,
    types_only: bool,
) -> Vec<u8> {
    written(|writer| {
        writer.octet_string(base.as_bytes());
        writer.enumerated(i64::from(scope));
        writer.enumerated(0);
        writer.integer(i64::from(size_limit));
        writer.integer(0);
        writer.boolean(types_only);
        writer.encoded(filter);
        let list = writer.begin(0x30);
        for attribute in attributes {
            writer.octet_string(attribute.as_bytes());
        }
        writer.end(list);
    })
}

pub fn any_search(input: &mut Input<'_>) -> Vec<u8> {
    let base = any_dn(input);
    let choice = input.octet();
    let lists: [&[&str]; 8] = [
        &[],
        &["*", "+"],
        &["1.1"],
        &["cn", "member", "memberOf", "memberUid"],
        &["numSubordinates", "hasSubordinates", "modifyTimestamp", "entryDN"],
        &["@posixGroup", "uniqueMember"],
        &["memberOf"],
        &["+"],
    ];
    let size_limit = if choice & 0x20 == 0 { 0 } else { 1 + choice % 4 };
    let attributes = lists[usize::from(choice >> 2 & 7)];
    let filter = any_filter(input);
    search(&base, choice & 3, &filter, attributes, size_limit, choice & 0x40 != 0)
}

/// The value of a page control.
pub fn page(size: u8, cookie: &[u8]) -> Vec<u8> {
    sequence(|writer| {
        writer.integer(i64::from(size));
        writer.octet_string(cookie);
    })
}

pub fn order(attribute: &str, is_reverse: bool) -> Vec<u8> {
    sequence(|writer| {
        let key = writer.begin(0x30);
        writer.octet_string(attribute.as_bytes());
        if is_reverse {
            writer.element(0x81, &[0xff]);
        }
        writer.end(key);
    })
}

/// The value of a list view: so many before and behind, at a place or at a value.
pub fn view(around: u8, offset: u8, at_least: Option<&str>, context_id: &[u8]) -> Vec<u8> {
    sequence(|writer| {
        writer.integer(i64::from(around & 7));
        writer.integer(i64::from(around >> 3 & 7));
        match at_least {
            Some(value) => writer.element(0x81, value.as_bytes()),
            None => {
                let place = writer.begin(0xa0);
                writer.integer(i64::from(offset));
                writer.integer(0);
                writer.end(place);
            }
        }
        if !context_id.is_empty() {
            writer.octet_string(context_id);
        }
    })
}

/// Some controls. `cookies` are those that the server gave.
pub fn any_controls(input: &mut Input<'_>, cookies: &[Vec<u8>]) -> Vec<Control> {
    let mut controls = Vec::new();
    let choice = input.octet();
    let is_critical = choice & 0x40 != 0;
    match choice % 8 {
        0 | 7 => {}
        1 => controls.push(any_page(input, is_critical, cookies)),
        2 => {
            controls.push(any_page(input, is_critical, cookies));
            controls.push(any_order(input, choice & 0x80 != 0));
        }
        3 => controls.push(any_order(input, is_critical)),
        4 => {
            controls.push(any_order(input, is_critical));
            let around = input.octet();
            let offset = input.octet();
            let at_least = (around & 0x80 != 0).then(|| any_name(input));
            let cookie = any_cookie(input, cookies);
            controls.push(control(VIEW, is_critical, Some(view(around, offset, at_least, &cookie))));
        }
        5 => controls.push(control(
            MATCHED_VALUES,
            is_critical,
            Some(sequence(|writer| {
                writer.encoded(&any_assertion(input));
            })),
        )),
        _ => controls.push(control(ASSERTION, is_critical, Some(any_filter(input)))),
    }
    if choice & 0x38 == 0x38 {
        match input.octet() % 6 {
            0 => controls.push(control(SUBENTRIES, true, Some(vec![0x01, 0x01, input.octet()]))),
            1 => {
                let oid = any_text(input);
                controls.push(control(&oid, input.once_in(2), Some(input.octets().to_vec())));
            }
            bare => controls.push(control(BARE[usize::from(bare) - 2], input.once_in(2), None)),
        }
    }
    controls
}

fn any_page(input: &mut Input<'_>, is_critical: bool, cookies: &[Vec<u8>]) -> Control {
    let size = input.octet() % 16;
    control(PAGED, is_critical, Some(page(size, &any_cookie(input, cookies))))
}

fn any_order(input: &mut Input<'_>, is_critical: bool) -> Control {
    let is_reverse = input.once_in(2);
    let attribute = any_attribute(input);
    control(SORT, is_critical, Some(order(&attribute, is_reverse)))
}

/// None, one of the server, one of it with an octet changed, or one from nowhere.
fn any_cookie(input: &mut Input<'_>, cookies: &[Vec<u8>]) -> Vec<u8> {
    let choice = input.octet();
    match (choice % 4, cookies) {
        (0, _) | (_, []) => Vec::new(),
        (1 | 2, _) => cookies[cookies.len() - 1 - usize::from(choice >> 2) % cookies.len()].clone(),
        _ => {
            let mut cookie = cookies[usize::from(choice >> 2) % cookies.len()].clone();
            let place = usize::from(input.octet()) % cookie.len();
            cookie[place] ^= input.octet() | 1;
            cookie
        }
    }
}

/// The DN of something that is there, or was, or never was.
pub fn any_dn(input: &mut Input<'_>) -> String {
    let choice = input.octet();
    let base = if choice & 0x80 == 0 { BASE } else { OTHER_BASE };
    match choice & 0x7f {
        0 => base.to_owned(),
        1 => String::new(),
        2 => "cn=subschema".to_owned(),
        3 => format!("ou=users,{base}"),
        4 => format!("ou=groups,{base}"),
        5 => format!("ou=virtual-groups,{base}"),
        6 => "dc=nowhere".to_owned(),
        7 => format!("ou=nothing,{base}"),
        8 => any_text(input),
        9 => format!("{},{base}", any_text(input)),
        10 => format!("{},ou=users,{base}", any_text(input)),
        number @ 16..32 => format!("cn={},ou=groups,{base}", GROUPS[usize::from(number) % GROUPS.len()].1),
        number => {
            let name = ACCOUNTS[usize::from(number) % ACCOUNTS.len()].1;
            match number {
                48..64 => format!("cn={name},ou=virtual-groups,{base}"),
                64..72 => format!("cn=x,cn={name},ou=users,{base}"),
                72..76 => format!("CN = {name}, OU=Users ,{base}"),
                _ => format!("cn={name},ou=users,{base}"),
            }
        }
    }
}

pub fn any_name(input: &mut Input<'_>) -> &'static str {
    let number = usize::from(input.octet());
    match number % 3 {
        0 => GROUPS[number / 3 % GROUPS.len()].1,
        _ => ACCOUNTS[number / 3 % ACCOUNTS.len()].1,
    }
}

pub fn any_attribute(input: &mut Input<'_>) -> String {
    const ATTRIBUTES: [&str; 30] = [
        "cn",
        "uid",
        "member",
        "memberOf",
        "uniqueMember",
        "memberUid",
        "objectClass",
        "uidNumber",
        "gidNumber",
        "mail",
        "numSubordinates",
        "hasSubordinates",
        "entryUUID",
        "entryDN",
        "modifyTimestamp",
        "createTimestamp",
        "employeeNumber",
        "description",
        "description;lang-de",
        "structuralObjectClass",
        "2.5.4.3",
        "sn",
        "displayName",
        "subschemaSubentry",
        "userPassword",
        "ou",
        "nonsense",
        "dc",
        "manager",
        "seeAlso",
    ];
    match input.octet() {
        0xff => any_text(input),
        choice => ATTRIBUTES[usize::from(choice) % ATTRIBUTES.len()].to_owned(),
    }
}

pub fn any_value(input: &mut Input<'_>) -> Vec<u8> {
    let choice = input.octet();
    match choice % 8 {
        0 => any_name(input).as_bytes().to_vec(),
        1 | 2 => any_dn(input).into_bytes(),
        3 => format!("{}@example.org", any_name(input)).into_bytes(),
        4 => (u32::from(choice >> 3) + if choice & 0x80 == 0 { 0 } else { 2_000 }).to_string().into_bytes(),
        5 => ["TRUE", "FALSE", "person", "groupOfNames", "20231114221320Z", "20200101000000Z"]
            [usize::from(choice >> 3) % 6]
            .as_bytes()
            .to_vec(),
        6 => {
            let name = any_name(input).as_bytes();
            name[..usize::from(choice >> 3) % (name.len() + 1)].to_vec()
        }
        _ => input.octets().to_vec(),
    }
}

/// A filter of a few elements; seldom one that costs so much that its search rests.
pub fn any_filter(input: &mut Input<'_>) -> Vec<u8> {
    let mut elements = 0;
    filter_within(input, 0, &mut elements)
}

pub fn present(attribute: &str) -> Vec<u8> {
    written(|writer| writer.element(0x87, attribute.as_bytes()))
}

/// An OR of so much that looking at the directory takes more than one turn, and of what everything is.
pub fn heavy_filter() -> Vec<u8> {
    let mut assertions = Vec::new();
    let mut writer = BerWriter::new(&mut assertions);
    for number in 0..1_500_u32 {
        let assertion = writer.begin(0xa3);
        writer.octet_string(b"description");
        writer.octet_string(&number.to_be_bytes());
        writer.end(assertion);
    }
    writer.element(0x87, b"objectClass");
    written(|writer| writer.element(0xa1, &assertions))
}

fn filter_within(input: &mut Input<'_>, depth: u8, elements: &mut u8) -> Vec<u8> {
    *elements += 1;
    let choice = input.octet();
    match choice % 16 {
        0 | 1 => present("objectClass"),
        kind @ 2..6 if depth < 5 && *elements < 24 => {
            let count = if kind == 5 { 1 } else { choice >> 4 & 3 };
            let operands: Vec<u8> =
                (0..count).flat_map(|_| filter_within(input, depth + 1, elements)).collect();
            let tag = [0xa0, 0xa1, 0xa1, 0xa2][usize::from(kind) - 2];
            written(|writer| writer.element(tag, &operands))
        }
        6 if depth == 0 && choice == 0xf6 => heavy_filter(),
        _ => any_assertion(input),
    }
}

fn any_assertion(input: &mut Input<'_>) -> Vec<u8> {
    let choice = input.octet();
    let attribute = any_attribute(input);
    let tag = match choice % 8 {
        0 | 1 => 0xa3,
        2 => 0xa5,
        3 => 0xa6,
        4 => return present(&attribute),
        5 => 0xa8,
        6 => {
            let part = any_value(input);
            return written(|writer| {
                let substrings = writer.begin(0xa4);
                writer.octet_string(attribute.as_bytes());
                let parts = writer.begin(0x30);
                writer.element(0x80 + choice / 8 % 3, if part.is_empty() { b"z" } else { &part });
                writer.end(parts);
                writer.end(substrings);
            });
        }
        _ => {
            const RULES: [&str; 4] = ["", "1.2.840.113556.1.4.1941", "2.5.13.2", "caseExactMatch"];
            let value = any_value(input);
            let rule = RULES[usize::from(choice >> 3) % RULES.len()];
            return written(|writer| {
                let extensible = writer.begin(0xa9);
                if !rule.is_empty() {
                    writer.element(0x81, rule.as_bytes());
                }
                if rule.is_empty() || choice & 0x40 == 0 {
                    writer.element(0x82, attribute.as_bytes());
                }
                writer.element(0x83, &value);
                if choice & 0x80 != 0 {
                    writer.element(0x84, &[0xff]);
                }
                writer.end(extensible);
            });
        }
    };
    let value = any_value(input);
    written(|writer| {
        let assertion = writer.begin(tag);
        writer.octet_string(attribute.as_bytes());
        writer.octet_string(&value);
        writer.end(assertion);
    })
}

fn any_text(input: &mut Input<'_>) -> String {
    String::from_utf8_lossy(input.octets()).into_owned()
}

/// One SEQUENCE.
pub fn sequence(contents: impl FnOnce(&mut BerWriter<'_>)) -> Vec<u8> {
    written(|writer| {
        let sequence = writer.begin(0x30);
        contents(writer);
        writer.end(sequence);
    })
}

fn written(write: impl FnOnce(&mut BerWriter<'_>)) -> Vec<u8> {
    let mut octets = Vec::new();
    write(&mut BerWriter::new(&mut octets));
    octets
}
