//! Headers of proxies, read by the words of HAProxy's specification (sections 2.1 and 2.2) from all octets at once: what
//! the reader of the server is held against.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bindery::inside::net::proxy::{HeaderError, Said, header_length, said};

/// What the front of a stream is.
#[derive(Debug, PartialEq, Eq)]
pub enum Front {
    /// It may become a header.
    Begun,
    /// No header begins so.
    Other,
    /// It says that it is longer than it may be.
    TooLong,
    /// It begins as a header does, and is none that is taken.
    Malformed,
    Header {
        length: usize,
        client: Option<SocketAddr>,
        is_tls: bool,
    },
}

/// The longest header that is taken, chosen by an octet.
pub fn length_max(choice: u8) -> u64 {
    [4096, 512, 107, 28][usize::from(choice % 4)]
}

/// Checks all that is promised of the front of a stream: what it is, where it ends, and that this does not depend on how
/// much of it is there.
pub fn check(octets: &[u8], length_max: u64) {
    let expected = read(octets, length_max);
    assert_eq!(found(octets, length_max), expected);
    for end in 0..octets.len() {
        let (front, shorter) = octets.split_at(end);
        match (header_length(front, length_max), &expected) {
            // What was decided is not taken back by what comes behind it.
            (Err(error), _) => assert_eq!(refusal(&error), expected),
            (Ok(Some(length)), Front::Header { length: own, .. }) => assert_eq!(length, *own),
            (Ok(Some(length)), _) => assert!(length > end || expected == Front::Malformed),
            (Ok(None), Front::Header { length, .. }) => {
                assert!(end < *length, "all of the header is there, and {} octets behind it", shorter.len());
            }
            (Ok(None), _) => {}
        }
        if let Front::Header { length, .. } = expected {
            assert_eq!(
                said(front).is_ok(),
                end == length,
                "a part of a header, or more than one, says nothing"
            );
        }
    }
}

/// What the reader of the server says of it.
fn found(octets: &[u8], length_max: u64) -> Front {
    let length = match header_length(octets, length_max) {
        Err(error) => return refusal(&error),
        Ok(None) => return Front::Begun,
        Ok(Some(length)) => length,
    };
    assert!(length as u64 <= length_max);
    let Some(header) = octets.get(..length) else { return Front::Begun };
    match said(header) {
        Ok(Said { client, is_tls }) => Front::Header { length, client, is_tls },
        Err(error) => refusal(&error),
    }
}

fn refusal(error: &HeaderError) -> Front {
    match error {
        HeaderError::Missing => Front::Other,
        HeaderError::TooLong { .. } => Front::TooLong,
        _ => Front::Malformed,
    }
}

/// What it is by the specification.
pub fn read(octets: &[u8], length_max: u64) -> Front {
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let word = b"PROXY ";
    if octets.iter().zip(signature).all(|(own, expected)| own == expected) {
        binary(octets, length_max)
    } else if octets.iter().zip(word).all(|(own, expected)| own == expected) {
        text(octets, length_max)
    } else {
        Front::Other
    }
}

fn text(octets: &[u8], length_max: u64) -> Front {
    // The longest line, its end included.
    let line = &octets[..octets.len().min(107)];
    let Some(end) = line.iter().position(|octet| *octet == b'\n') else {
        return if line.len() == 107 { Front::Malformed } else { Front::Begun };
    };
    let length = end + 1;
    if length as u64 > length_max {
        return Front::TooLong;
    }
    let words = line[..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok());
    let words: Vec<&str> = match words {
        Some(words) => words.split(' ').collect(),
        // What follows UNKNOWN is of no interest, whatever it is.
        None if line[..end].starts_with(b"PROXY UNKNOWN ") && line[..end].ends_with(b"\r") => {
            vec!["PROXY", "UNKNOWN"]
        }
        None => return Front::Malformed,
    };
    let client = match words[..] {
        [_, unknown, ..] if unknown == "UNKNOWN" || unknown.starts_with("UNKNOWN\r") => {
            return Front::Header { length, client: None, is_tls: false };
        }
        [_, "TCP4", source, destination, port, to] => {
            let addresses = (source.parse::<Ipv4Addr>(), destination.parse::<Ipv4Addr>());
            addresses.0.ok().zip(addresses.1.ok()).map(|(source, _)| IpAddr::V4(source)).zip(ports(port, to))
        }
        [_, "TCP6", source, destination, port, to] => {
            let addresses = (source.parse::<Ipv6Addr>(), destination.parse::<Ipv6Addr>());
            addresses.0.ok().zip(addresses.1.ok()).map(|(source, _)| IpAddr::V6(source)).zip(ports(port, to))
        }
        _ => None,
    };
    match client {
        Some(client) => Front::Header { length, client: Some(client.into()), is_tls: false },
        None => Front::Malformed,
    }
}

/// The port of the source, if both are decimal numbers without zeros before them.
fn ports(source: &str, destination: &str) -> Option<u16> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| port.to_string() == text);
    port(destination)?;
    port(source)
}

fn binary(octets: &[u8], length_max: u64) -> Front {
    let [command, family, high, low] = match octets.get(12..16) {
        Some(fixed) => [fixed[0], fixed[1], fixed[2], fixed[3]],
        None => return Front::Begun,
    };
    let length = 16 + usize::from(u16::from_be_bytes([high, low]));
    if length as u64 > length_max {
        return Front::TooLong;
    }
    let Some(rest) = octets.get(16..length) else { return Front::Begun };
    let nobody = |is_tls| Front::Header { length, client: None, is_tls };
    match command {
        // LOCAL: all else is to be ignored.
        0x20 => return nobody(false),
        0x21 => {}
        _ => return Front::Malformed,
    }
    let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    let (client, addresses) = match family {
        0x00 => (None, 0),
        0x11 if rest.len() >= 12 => {
            let source: [u8; 4] = rest[..4].try_into().expect("four octets");
            (Some((IpAddr::from(source), port(8)).into()), 12)
        }
        0x21 if rest.len() >= 36 => {
            let source: [u8; 16] = rest[..16].try_into().expect("sixteen octets");
            (Some((IpAddr::from(source), port(32)).into()), 36)
        }
        // Two paths: nobody that has an address.
        0x31 | 0x32 if rest.len() >= 216 => (None, 216),
        _ => return Front::Malformed,
    };
    let mut fields = &rest[addresses..];
    let mut is_tls = None;
    while let [kind, rest @ ..] = fields {
        let [high, low, rest @ ..] = rest else { return Front::Malformed };
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((value, behind)) = rest.split_at_checked(size) else { return Front::Malformed };
        fields = behind;
        let is_sound = match kind {
            // PP2_TYPE_CRC32C
            0x03 => size == 4,
            // PP2_TYPE_SSL: the bit PP2_CLIENT_SSL, and four octets of what was verified.
            0x20 => {
                let is_of_client = value.first().is_some_and(|bits| bits & 1 != 0);
                is_tls.get_or_insert(is_of_client);
                size >= 5
            }
            // Texts: the name of the server, what is said of TLS, the namespace.
            0x02 | 0x21..=0x25 | 0x30 => std::str::from_utf8(value).is_ok(),
            _ => true,
        };
        if !is_sound {
            return Front::Malformed;
        }
    }
    Front::Header { length, client, is_tls: is_tls.unwrap_or(false) }
}
