//! LDAP octet by octet, for what no library would send, or not as fast.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection that does not wait for ever.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
    [&[tag, 0x84], length.as_slice(), contents].concat()
}

pub fn message(id: u8, operation: &[u8]) -> Vec<u8> {
    element(0x30, &[&[2, 1, id], operation].concat())
}

pub fn simple_bind(id: u8, name: &str, secret: &str) -> Vec<u8> {
    let bind = [vec![2, 1, 3], element(4, name.as_bytes()), element(0x80, secret.as_bytes())].concat();
    message(id, &element(0x60, &bind))
}

pub fn compare(id: u8, name: &str, attribute: &str, value: &str) -> Vec<u8> {
    let assertion = [element(4, attribute.as_bytes()), element(4, value.as_bytes())].concat();
    message(id, &element(0x6e, &[element(4, name.as_bytes()), element(0x30, &assertion)].concat()))
}

/// Password Modify (RFC 3062) of who is bound.
pub fn password_modify(new: &str) -> Vec<u8> {
    let value = element(0x81, &element(0x30, &element(0x82, new.as_bytes())));
    message(2, &element(0x77, &[element(0x80, b"1.3.6.1.4.1.4203.1.11.1"), value].concat()))
}

pub fn search(id: u8, base: &str, scope: u8, filter: &[u8]) -> Vec<u8> {
    search_for(id, base, scope, filter, &["1.1"])
}

/// The same, for all attributes.
pub fn search_all(id: u8, base: &str, scope: u8, filter: &[u8]) -> Vec<u8> {
    search_for(id, base, scope, filter, &["*", "+"])
}

/// The same, for these attributes.
pub fn search_for(id: u8, base: &str, scope: u8, filter: &[u8], attributes: &[impl AsRef<str>]) -> Vec<u8> {
    let head =
        [element(4, base.as_bytes()), vec![0x0a, 1, scope, 0x0a, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0]].concat();
    let names: Vec<u8> = attributes.iter().flat_map(|name| element(4, name.as_ref().as_bytes())).collect();
    message(id, &element(0x63, &[&head, filter, &element(0x30, &names)].concat()))
}

/// An equality assertion.
pub fn equality(attribute: &str, value: &str) -> Vec<u8> {
    element(0xa3, &[element(4, attribute.as_bytes()), element(4, value.as_bytes())].concat())
}

/// A message with critical controls, each an OID and a value.
pub fn with_controls(message: &[u8], controls: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let controls: Vec<u8> = controls
        .iter()
        .flat_map(|(oid, value)| {
            element(0x30, &[element(4, oid.as_bytes()), vec![1, 1, 0xff], element(4, value)].concat())
        })
        .collect();
    element(0x30, &[&message[6..], &element(0xa0, &controls)].concat())
}

/// An order by these attributes.
pub fn sort_control(attributes: &[&str]) -> (&'static str, Vec<u8>) {
    let keys: Vec<u8> =
        attributes.iter().flat_map(|name| element(0x30, &element(4, name.as_bytes()))).collect();
    ("1.2.840.113556.1.4.473", element(0x30, &keys))
}

/// A list view of the first entry that is not less than this.
pub fn view_control(value: &[u8]) -> (&'static str, Vec<u8>) {
    ("2.16.840.1.113730.3.4.9", element(0x30, &[vec![2, 1, 0, 2, 1, 0], element(0x81, value)].concat()))
}

/// How many octets stand behind the first six of a message.
pub fn length_behind(head: [u8; 6]) -> usize {
    assert_eq!(head[..2], [0x30, 0x84], "responses have lengths of four octets");
    u32::from_be_bytes(head[2..].try_into().unwrap()) as usize
}

/// One whole message; `None`: the connection was closed.
pub fn read_message(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut head = [0; 6];
    stream.read_exact(&mut head).ok()?;
    let mut octets = head.to_vec();
    octets.resize(6 + length_behind(head), 0);
    stream.read_exact(&mut octets[6..]).ok()?;
    Some(octets)
}

/// Message ID, tag of the response, and its code (of an entry: something else).
pub fn final_code(octets: &[u8]) -> (u8, u8, u8) {
    assert_eq!(octets[6..8], [2, 1]);
    let operation = &octets[9..];
    (octets[8], operation[0], operation[8])
}

/// The code of a search's end, and how many entries came before it.
pub fn end_of_search(stream: &mut TcpStream) -> (u8, usize) {
    let mut entries = 0;
    loop {
        match final_code(&read_message(stream).expect("an answer")) {
            (_, 0x64, _) => entries += 1,
            (_, 0x65, code) => return (code, entries),
            other => panic!("{other:?}"),
        }
    }
}

/// The result code of a bind.
pub fn bind(stream: &mut (impl Read + Write), name: &str, secret: &str) -> u8 {
    stream.write_all(&simple_bind(1, name, secret)).unwrap();
    let (id, tag, code) = final_code(&read_message(stream).expect("an answer"));
    assert_eq!((id, tag), (1, 0x61));
    code
}
