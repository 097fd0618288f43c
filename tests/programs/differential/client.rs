//! An LDAP client that sends exactly what it is told: BER by hand, so that no library mends a filter, a DN
//! or an attribute description on the way.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A filter of RFC 4511 section 4.5.1.7. Nothing in it is checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Equal(String, Vec<u8>),
    Parts(String, Vec<(Position, Vec<u8>)>),
    AtLeast(String, Vec<u8>),
    AtMost(String, Vec<u8>),
    Present(String),
    Approximate(String, Vec<u8>),
    Extensible { rule: Option<String>, attribute: Option<String>, value: Vec<u8>, dn: bool },
}

/// Where a part of a substring assertion stands; the number is its tag.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Position {
    Initial = 0,
    Any = 1,
    Final = 2,
}

/// A search request.
#[derive(Clone, Debug)]
pub struct Search {
    pub base: String,
    pub scope: u8,
    pub size_limit: u32,
    pub types_only: bool,
    pub filter: Filter,
    pub attributes: Vec<String>,
}

/// How an operation ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    pub code: u32,
    pub matched_dn: String,
    /// For whoever reads a failure.
    #[allow(dead_code, reason = "it is printed")]
    pub diagnostic: String,
}

/// What a search answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub ended: Ended,
    pub entries: Vec<Entry>,
}

/// One entry: descriptions as they were spelled, with their values.
#[derive(Clone, Debug)]
pub struct Entry {
    pub dn: String,
    pub attributes: BTreeMap<String, Vec<Vec<u8>>>,
}

/// A connection that waits for each answer.
pub struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    message_id: u32,
}

impl Client {
    pub fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream, input: Vec::new(), message_id: 0 })
    }

    pub fn bind(&mut self, name: &str, password: &str) -> Ended {
        let parts = [integer(3), octets(name.as_bytes()), element(0x80, password.as_bytes())];
        self.send(&element(0x60, &parts.concat()));
        let (tag, content) = self.receive();
        assert_eq!(tag, 0x61, "a BindResponse");
        result_of(&content)
    }

    pub fn compare(&mut self, entry: &str, attribute: &str, value: &[u8]) -> Ended {
        let assertion = [octets(attribute.as_bytes()), octets(value)].concat();
        self.send(&element(0x6E, &[octets(entry.as_bytes()), element(0x30, &assertion)].concat()));
        let (tag, content) = self.receive();
        assert_eq!(tag, 0x6F, "a CompareResponse");
        result_of(&content)
    }

    pub fn search(&mut self, search: &Search) -> Answer {
        let attributes: Vec<u8> =
            search.attributes.iter().flat_map(|attribute| octets(attribute.as_bytes())).collect();
        let parts = [
            octets(search.base.as_bytes()),
            element(0x0A, &[search.scope]),
            element(0x0A, &[0]),
            integer(search.size_limit),
            integer(0),
            element(0x01, &[if search.types_only { 0xFF } else { 0 }]),
            search.filter.encoded(),
            element(0x30, &attributes),
        ];
        self.send(&element(0x63, &parts.concat()));
        let mut entries = Vec::new();
        loop {
            let (tag, content) = self.receive();
            match tag {
                0x64 => entries.push(entry_of(&content)),
                0x65 => return Answer { ended: result_of(&content), entries },
                other => panic!("no answer to a search has the tag {other:#x}"),
            }
        }
    }

    fn send(&mut self, operation: &[u8]) {
        self.message_id += 1;
        let message = element(0x30, &[integer(self.message_id), operation.to_vec()].concat());
        self.stream.write_all(&message).unwrap();
    }

    /// The operation of the next message.
    fn receive(&mut self) -> (u8, Vec<u8>) {
        loop {
            if let Some((_, content, rest)) = split(&self.input) {
                let (_, id, operation) = split(content).unwrap();
                let id = id.iter().fold(0, |id, octet| id << 8 | u32::from(*octet));
                let (tag, content, _) = split(operation).unwrap();
                let (tag, content, rest) = (tag, content.to_vec(), rest.to_vec());
                assert_eq!(id, self.message_id, "the tag is {tag:#x}: {}", String::from_utf8_lossy(&content));
                self.input = rest;
                return (tag, content);
            }
            let mut more = [0; 65_536];
            let count = self.stream.read(&mut more).unwrap();
            assert!(count > 0, "the server closed the connection");
            self.input.extend_from_slice(&more[..count]);
        }
    }
}

impl Filter {
    /// Calls `each` with every filter that holds no other.
    pub fn leaves<'a>(&'a self, each: &mut dyn FnMut(&'a Filter)) {
        match self {
            Self::And(operands) | Self::Or(operands) => {
                operands.iter().for_each(|operand| operand.leaves(each));
            }
            Self::Not(operand) => operand.leaves(each),
            leaf => each(leaf),
        }
    }

    fn encoded(&self) -> Vec<u8> {
        let all = |operands: &[Self]| operands.iter().flat_map(Self::encoded).collect::<Vec<u8>>();
        let assertion = |tag: u8, attribute: &str, value: &[u8]| {
            element(tag, &[octets(attribute.as_bytes()), octets(value)].concat())
        };
        match self {
            Self::And(operands) => element(0xA0, &all(operands)),
            Self::Or(operands) => element(0xA1, &all(operands)),
            Self::Not(operand) => element(0xA2, &operand.encoded()),
            Self::Equal(attribute, value) => assertion(0xA3, attribute, value),
            Self::Parts(attribute, parts) => {
                let parts: Vec<u8> = parts
                    .iter()
                    .flat_map(|(position, value)| element(0x80 | *position as u8, value))
                    .collect();
                element(0xA4, &[octets(attribute.as_bytes()), element(0x30, &parts)].concat())
            }
            Self::AtLeast(attribute, value) => assertion(0xA5, attribute, value),
            Self::AtMost(attribute, value) => assertion(0xA6, attribute, value),
            Self::Present(attribute) => element(0x87, attribute.as_bytes()),
            Self::Approximate(attribute, value) => assertion(0xA8, attribute, value),
            Self::Extensible { rule, attribute, value, dn } => {
                let mut parts = Vec::new();
                parts.extend(rule.iter().flat_map(|rule| element(0x81, rule.as_bytes())));
                parts.extend(attribute.iter().flat_map(|attribute| element(0x82, attribute.as_bytes())));
                parts.extend(element(0x83, value));
                // The default is left out, as DER would.
                parts.extend(dn.then(|| element(0x84, &[0xFF])).into_iter().flatten());
                element(0xA9, &parts)
            }
        }
    }
}

/// As RFC 4515 writes it, for whoever reads a failure.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |value: &[u8]| {
            let is_plain = |octet: u8| (0x20..0x7F).contains(&octet) && !b"()*\\".contains(&octet);
            value
                .iter()
                .map(
                    |&octet| {
                        if is_plain(octet) { char::from(octet).into() } else { format!("\\{octet:02x}") }
                    },
                )
                .collect::<String>()
        };
        write!(f, "(")?;
        match self {
            Self::And(operands) => {
                write!(f, "&")?;
                operands.iter().try_for_each(|operand| write!(f, "{operand}"))?;
            }
            Self::Or(operands) => {
                write!(f, "|")?;
                operands.iter().try_for_each(|operand| write!(f, "{operand}"))?;
            }
            Self::Not(operand) => write!(f, "!{operand}")?,
            Self::Equal(attribute, value) => write!(f, "{attribute}={}", escaped(value))?,
            Self::Parts(attribute, parts) => {
                write!(f, "{attribute}=")?;
                for (place, (position, value)) in parts.iter().enumerate() {
                    let star = *position != Position::Initial && place == 0;
                    write!(f, "{}{}", if star { "*" } else { "" }, escaped(value))?;
                    write!(f, "{}", if *position == Position::Final { "" } else { "*" })?;
                }
            }
            Self::AtLeast(attribute, value) => write!(f, "{attribute}>={}", escaped(value))?,
            Self::AtMost(attribute, value) => write!(f, "{attribute}<={}", escaped(value))?,
            Self::Present(attribute) => write!(f, "{attribute}=*")?,
            Self::Approximate(attribute, value) => write!(f, "{attribute}~={}", escaped(value))?,
            Self::Extensible { rule, attribute, value, dn } => {
                write!(f, "{}", attribute.as_deref().unwrap_or_default())?;
                write!(f, "{}", if *dn { ":dn" } else { "" })?;
                rule.iter().try_for_each(|rule| write!(f, ":{rule}"))?;
                write!(f, ":={}", escaped(value))?;
            }
        }
        write!(f, ")")
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = ["base", "one", "sub", "children"][usize::from(self.scope)];
        write!(f, "base {:?}, scope {scope}, filter {}", self.base, self.filter)?;
        write!(f, ", attributes {:?}", self.attributes)?;
        write!(f, "{}", if self.types_only { ", types only" } else { "" })?;
        if self.size_limit > 0 { write!(f, ", size limit {}", self.size_limit) } else { Ok(()) }
    }
}

fn entry_of(content: &[u8]) -> Entry {
    let (_, dn, rest) = split(content).unwrap();
    let (_, mut list, _) = split(rest).unwrap();
    let mut attributes = BTreeMap::new();
    while let Some((_, attribute, rest)) = split(list) {
        list = rest;
        let (_, description, set) = split(attribute).unwrap();
        let (_, mut set, _) = split(set).unwrap();
        let mut values = Vec::new();
        while let Some((_, value, rest)) = split(set) {
            set = rest;
            values.push(value.to_vec());
        }
        let description = String::from_utf8(description.to_vec()).unwrap();
        let twice = attributes.insert(description.clone(), values);
        assert!(twice.is_none(), "{} has {description} twice", String::from_utf8_lossy(dn));
    }
    Entry { dn: String::from_utf8(dn.to_vec()).unwrap(), attributes }
}

fn result_of(content: &[u8]) -> Ended {
    let (_, code, rest) = split(content).unwrap();
    let (_, matched_dn, rest) = split(rest).unwrap();
    let (_, diagnostic, _) = split(rest).unwrap();
    Ended {
        code: code.iter().fold(0, |code, octet| code << 8 | u32::from(*octet)),
        matched_dn: String::from_utf8(matched_dn.to_vec()).unwrap(),
        diagnostic: String::from_utf8_lossy(diagnostic).into_owned(),
    }
}

/// The first element's tag and content, and what follows it; `None` while it is not whole.
fn split(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = octets.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        length = 0;
        for _ in 0..first & 0x7F {
            let (&octet, behind) = rest.split_first()?;
            length = length << 8 | usize::from(octet);
            rest = behind;
        }
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            out.push(0x84);
            out.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(content);
    out
}

fn octets(value: &[u8]) -> Vec<u8> {
    element(0x04, value)
}

fn integer(value: u32) -> Vec<u8> {
    // Five octets hold every one without a sign; leading zeros go, one stays where the sign needs it.
    let wide = [&[0][..], &value.to_be_bytes()].concat();
    let skip = (0..4).take_while(|&at| wide[at] == 0 && wide[at + 1] < 0x80).count();
    element(0x02, &wide[skip..])
}
