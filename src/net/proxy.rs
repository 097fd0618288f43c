//! Proxies in front, and their header (HAProxy's PROXY protocol, versions 1 and 2): who is really at the other end.
//!
//! From the networks of the config the header is required, from elsewhere it is no header. It is read to its last octet and
//! not one further: what comes behind it, such as a TLS handshake, is left in the socket.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use proxy_header::{ParseConfig, Protocol, ProxiedAddress, ProxyHeader};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::listener::Stream;
use super::peer::{Peer, PeerAddress, Proxied};

/// Which peers are proxies, and what the header of one may cost.
#[derive(Clone, Debug)]
pub struct Proxies {
    /// Where they are: each of their connections begins with a header.
    pub networks: Vec<IpNet>,
    /// How long a header may take.
    pub header_time: Duration,
    /// The longest header in octets.
    pub header_size_max: u64,
}

/// Why a proxy's connection ends before anybody has spoken on it.
#[derive(Debug, Error)]
pub enum HeaderError {
    /// It begins with something else.
    #[error(
        "it does not begin with one: have the proxy send it (send-proxy-v2 of HAProxy, send_proxy_protocol of others), or \
         take its address out of `proxy_networks`"
    )]
    Missing,
    /// It begins as one does.
    #[error("it is malformed")]
    Malformed,
    /// `proxy_header_size_max`
    #[error("it is longer than {limit} octets (proxy_header_size_max)")]
    TooLong {
        /// The limit in octets.
        limit: u64,
    },
    /// `proxy_header_time`
    #[error("it did not come in time (proxy_header_time)")]
    TooLate,
    /// The proxy has closed, maybe without a word, as some look whether a port is open.
    #[error("the connection ended before it")]
    Closed(#[source] io::Error),
}

impl Proxies {
    /// Whether a connection begins with a header.
    pub fn is_proxy(&self, peer: &Peer) -> bool {
        peer.address
            .ip()
            .is_some_and(|address| self.networks.iter().any(|network| network.contains(&address)))
    }

    /// Reads the header of a proxy's connection, and says who is behind it.
    ///
    /// # Errors
    /// [`HeaderError`]: the connection is to be closed.
    pub(super) async fn read_header(&self, stream: &mut Stream, peer: Peer) -> Result<Peer, HeaderError> {
        // No process on a Unix socket is in a network.
        let Stream::Tcp(stream) = stream else { return Ok(peer) };
        let header = timeout(self.header_time, take_header(stream, self.header_size_max)).await;
        let said = said(&header.map_err(|_| HeaderError::TooLate)??)?;
        let address = said.client.map_or(peer.address, PeerAddress::from_socket);
        Ok(Peer { address, proxied: Some(Proxied { is_tls: said.is_tls }), ..peer })
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The client; `None`: the proxy itself, or somebody whose address it does not know.
    pub client: Option<SocketAddr>,
    /// Whether the client speaks TLS with the proxy.
    pub is_tls: bool,
}

/// How many octets from the front of `octets` on the header has; `None`: it goes on behind all of them.
///
/// # Errors
/// They are no header, or none that is taken.
pub fn header_length(octets: &[u8], length_max: u64) -> Result<Option<usize>, HeaderError> {
    let begins_as = |start: &[u8]| octets.iter().zip(start).all(|(octet, expected)| octet == expected);
    let length = if begins_as(V2_START) {
        match octets.get(V2_START.len() + 2..V2_FIXED_OCTETS) {
            Some(&[high, low]) => Some(V2_FIXED_OCTETS + usize::from(u16::from_be_bytes([high, low]))),
            _ => None,
        }
    } else if begins_as(V1_START) {
        let line = octets.get(..octets.len().min(V1_OCTETS_MAX)).unwrap_or_default();
        match memchr::memchr(b'\n', line) {
            Some(end) => Some(end + 1),
            None if octets.len() >= V1_OCTETS_MAX => return Err(HeaderError::Malformed),
            None => None,
        }
    } else {
        return Err(HeaderError::Missing);
    };
    match length {
        Some(length) if length as u64 > length_max => Err(HeaderError::TooLong { limit: length_max }),
        length => Ok(length),
    }
}

/// What a whole header says.
///
/// # Errors
/// It is malformed.
pub fn said(header: &[u8]) -> Result<Said, HeaderError> {
    if header_length(header, u64::MAX)? != Some(header.len()) {
        return Err(HeaderError::Malformed);
    }
    let itself = Said { client: None, is_tls: false };
    // A connection of the proxy's own, whatever else the header says (section 2.2: "LOCAL").
    if header.starts_with(V2_START) && header.get(V2_START.len()) == Some(&V2_LOCAL) {
        return Ok(itself);
    }
    // The parser takes any octet behind the first word, and any word that begins with this one.
    let is_text = header.starts_with(V1_START);
    if is_text && header.get(V1_START.len()..).is_some_and(|rest| rest.starts_with(V1_UNKNOWN)) {
        let is_whole = matches!(header.get(V1_START.len() + V1_UNKNOWN.len()), Some(b' ' | b'\r'));
        return if is_whole && header.ends_with(b"\r\n") { Ok(itself) } else { Err(HeaderError::Malformed) };
    }
    let config = ParseConfig { include_tlvs: true, allow_v1: is_text, allow_v2: !is_text };
    let (parsed, _) = ProxyHeader::parse(header, config).map_err(|_| HeaderError::Malformed)?;
    let client = match parsed.proxied_address() {
        None => None,
        Some(ProxiedAddress { protocol: Protocol::Stream, source, .. }) => Some(*source),
        Some(_) => return Err(HeaderError::Malformed),
    };
    // Nor does it mind a sign or zeros before a port, which section 2.1 forbids.
    if is_text && let Some(ProxiedAddress { source, destination, .. }) = parsed.proxied_address() {
        let ports = format!(" {} {}\r\n", source.port(), destination.port());
        if !header.ends_with(ports.as_bytes()) {
            return Err(HeaderError::Malformed);
        }
    }
    // One that is broken says nothing; then what stands before it does not either.
    if parsed.tlvs().any(|field| field.is_err()) {
        return Err(HeaderError::Malformed);
    }
    Ok(Said { client, is_tls: parsed.ssl().is_some_and(|ssl| ssl.client_ssl()) })
}

/// Reads a header off the front of a stream. What is there is looked at before it is taken, so that nothing behind it is.
async fn take_header(stream: &mut TcpStream, length_max: u64) -> Result<Vec<u8>, HeaderError> {
    let mut header = Vec::new();
    let mut octets = [0; PEEKED_OCTETS];
    loop {
        let taken = header.len();
        let seen = stream.peek(&mut octets).await.map_err(HeaderError::Closed)?;
        if seen == 0 {
            return Err(HeaderError::Closed(io::ErrorKind::UnexpectedEof.into()));
        }
        header.extend_from_slice(octets.get(..seen).unwrap_or_default());
        let length = header_length(&header, length_max)?;
        header.truncate(length.unwrap_or(usize::MAX));
        let own = octets.get_mut(..header.len().saturating_sub(taken)).unwrap_or_default();
        stream.read_exact(own).await.map_err(HeaderError::Closed)?;
        if length == Some(header.len()) {
            return Ok(header);
        }
    }
}

/// Section 2.1: the line is at most so long, its end included.
/// No limit of the config: the protocol gives it.
const V1_OCTETS_MAX: usize = 107;
const V1_START: &[u8] = b"PROXY ";
const V1_UNKNOWN: &[u8] = b"UNKNOWN";
/// Section 2.2.
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command LOCAL.
const V2_LOCAL: u8 = 0x20;
/// The start, version and command, family, length of the rest.
const V2_FIXED_OCTETS: usize = 16;
/// What is looked at at once; most headers are shorter.
const PEEKED_OCTETS: usize = 256;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
