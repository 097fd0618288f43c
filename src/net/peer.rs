//! Who is at the other end of a connection, and at which of our ends it arrived.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use super::source::ClientSource;

/// The two ends of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end.
    pub address: PeerAddress,
    /// Our end: for a listener on all addresses, the one that the client asked for.
    pub local: LocalAddress,
    /// What a proxy in between has said; `None`: there is none.
    pub proxied: Option<Proxied>,
}

/// What a proxy says of the client that it stands for, beside the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// Whether the client speaks TLS with the proxy.
    pub is_tls: bool,
}

impl Peer {
    /// Do both ends lie on this machine, so that nothing sent in clear leaves it?
    ///
    /// It decides `plain_bind = "loopback"`. A Unix socket lies on this machine by its nature. What came by a proxy never
    /// does, whatever address the proxy names: how it came to the proxy is not seen here.
    pub fn is_loopback(&self) -> bool {
        if self.proxied.is_some() {
            return false;
        }
        match (&self.address, &self.local) {
            (PeerAddress::Ip(there), LocalAddress::Ip(here)) => {
                is_loopback(there.ip()) && is_loopback(here.ip())
            }
            (PeerAddress::Unix { .. }, LocalAddress::Unix(_)) => true,
            (PeerAddress::Ip(_), LocalAddress::Unix(_)) | (PeerAddress::Unix { .. }, LocalAddress::Ip(_)) => {
                false
            }
        }
    }

    /// The source whose clients share turns. `None`: it is on this machine, where each connection is by itself. What came by a
    /// proxy never is, whatever address the proxy names.
    pub fn source_elsewhere(&self) -> Option<ClientSource> {
        match self.proxied {
            None => self.address.source_elsewhere(),
            Some(_) => Some(ClientSource::from(self.address.ip())),
        }
    }

    /// Does the client speak TLS with the proxy that it comes by?
    pub fn is_tls_at_proxy(&self) -> bool {
        self.proxied.is_some_and(|proxied| proxied.is_tls)
    }
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// Over TCP. An IPv4-mapped IPv6 address is held as the IPv4 address that it means.
    Ip(SocketAddr),
    /// Over a Unix socket.
    Unix {
        /// The user id of the process, as the kernel says.
        uid: u32,
    },
}

impl PeerAddress {
    /// The source of a client elsewhere. `None`: it is on this machine, where a proxy would make one source of all its clients.
    pub(super) fn source_elsewhere(&self) -> Option<ClientSource> {
        let ip = self.ip().filter(|ip| !ip.to_canonical().is_loopback())?;
        Some(ClientSource::from(Some(ip)))
    }

    /// Takes a TCP address, an IPv4-mapped one as what it means.
    pub fn from_socket(address: SocketAddr) -> Self {
        Self::Ip(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// The IP address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip()),
            Self::Unix { .. } => None,
        }
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(formatter),
            Self::Unix { uid } => write!(formatter, "unix:uid={uid}"),
        }
    }
}

/// Our end of a connection, or the address of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalAddress {
    /// A TCP address.
    Ip(SocketAddr),
    /// The path of a Unix socket.
    Unix(Arc<Path>),
}

impl LocalAddress {
    /// The TCP address, if it is one: tells the port where port 0 was asked for.
    #[cfg(test)]
    pub(crate) fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for LocalAddress {
    /// As the config writes it: `127.0.0.1:3389`, `[::1]:3389`, `unix:/run/bindery/ldapi`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn peer(there: &str, here: &str) -> Peer {
        Peer {
            address: PeerAddress::from_socket(there.parse().unwrap()),
            local: LocalAddress::Ip(here.parse().unwrap()),
            proxied: None,
        }
    }

    #[test]
    fn what_came_by_a_proxy_is_not_on_this_machine() {
        for is_tls in [false, true] {
            let direct = peer("127.0.0.1:1", "127.0.0.1:389");
            let proxied = Peer { proxied: Some(Proxied { is_tls }), ..direct.clone() };
            assert!(direct.is_loopback() && !direct.is_tls_at_proxy());
            assert!(!proxied.is_loopback());
            // All whom a proxy names so are one source.
            assert_eq!(direct.source_elsewhere(), None);
            assert_eq!(proxied.source_elsewhere(), Some(ClientSource::from(direct.address.ip())));
            assert_eq!(proxied.is_tls_at_proxy(), is_tls);
        }
    }

    #[test]
    fn loopback_needs_both_ends() {
        assert!(peer("127.0.0.1:1", "127.0.0.1:389").is_loopback());
        assert!(peer("127.8.0.1:1", "127.0.0.1:389").is_loopback());
        assert!(peer("[::1]:1", "[::1]:389").is_loopback());
        assert!(peer("[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:389").is_loopback());
        assert!(!peer("192.0.2.1:1", "127.0.0.1:389").is_loopback());
        assert!(!peer("127.0.0.1:1", "192.0.2.1:389").is_loopback());
        assert!(!peer("[::ffff:192.0.2.1]:1", "[::1]:389").is_loopback());
        let unix = Peer {
            address: PeerAddress::Unix { uid: 1000 },
            local: LocalAddress::Unix(Path::new("/run/ldapi").into()),
            proxied: None,
        };
        assert!(unix.is_loopback());
    }

    #[test]
    fn addresses_read_as_the_config_writes_them() {
        let peer = peer("[::ffff:192.0.2.1]:77", "[::1]:389");
        assert_eq!(peer.address.to_string(), "192.0.2.1:77");
        assert_eq!(peer.local.to_string(), "[::1]:389");
        assert_eq!(LocalAddress::Unix(Path::new("/run/ldapi").into()).to_string(), "unix:/run/ldapi");
        assert_eq!(PeerAddress::Unix { uid: 0 }.to_string(), "unix:uid=0");
    }
}
