//! Where a client comes from, as limits count it: one host, one IPv6 network, or the local socket.

use std::net::{IpAddr, Ipv4Addr};

/// What shares one allowance in the hash queues and in the throttle.
///
/// An IPv6 host has a whole /64 to itself, so its addresses count as one source. An IPv4 address is the
/// same source whether it came over an IPv4 or a dual-stack (IPv4-mapped) socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The Unix socket, or the server itself: there is no address.
    Local,
    /// One IPv4 address.
    Ipv4(Ipv4Addr),
    /// The upper 64 bits of an IPv6 address.
    Ipv6Network(u64),
}

impl From<Option<IpAddr>> for Source {
    fn from(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Local,
            Some(IpAddr::V4(address)) => Self::Ipv4(address),
            // The shift leaves exactly 64 bits.
            Some(IpAddr::V6(address)) => Self::Ipv6Network((address.to_bits() >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn source(text: &str) -> Source {
        Source::from(Some(text.parse::<IpAddr>().unwrap()))
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
    }

    #[test]
    fn a_mapped_ipv4_address_is_the_ipv4_address() {
        assert_eq!(source("::ffff:192.0.2.7"), source("192.0.2.7"));
        assert_ne!(source("192.0.2.7"), source("192.0.2.8"));
    }

    #[test]
    fn without_an_address_it_is_local() {
        assert_eq!(Source::from(None), Source::Local);
        assert_ne!(source("::1"), Source::Local);
        assert_ne!(source("0.0.0.0"), Source::Local);
    }
}
