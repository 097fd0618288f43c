//! Where a client comes from, as limits count it: one host, one IPv6 network, or the local socket.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What shares one allowance: of connections and turns, in the hash queues, in the throttle, of calls, in
/// the trail of failures.
///
/// An IPv6 host has a whole /64 to itself, so its addresses count as one source. An IPv4 address is the
/// same source whether it came over an IPv4 or a dual-stack (IPv4-mapped) socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClientSource {
    /// The Unix socket, or the server itself: there is no address.
    Local,
    /// One IPv4 address.
    Ipv4(Ipv4Addr),
    /// The upper 64 bits of an IPv6 address.
    Ipv6Network(u64),
}

impl From<Option<IpAddr>> for ClientSource {
    fn from(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Local,
            Some(IpAddr::V4(address)) => Self::Ipv4(address),
            // The shift leaves exactly 64 bits.
            Some(IpAddr::V6(address)) => Self::Ipv6Network((address.to_bits() >> 64) as u64),
        }
    }
}

impl ClientSource {
    /// The prefix length of a source itself, as of IPv6.
    pub const PREFIX: u8 = HOST_PREFIX;

    /// It, and the wider networks that it lies in, with their prefix lengths: whoever has an IPv6 /56 or /48, as
    /// customers of a provider have, has hundreds of sources.
    pub fn networks(self) -> impl DoubleEndedIterator<Item = (u8, Self)> {
        let wider: &[u8] = match self {
            Self::Ipv6Network(_) => &WIDER_PREFIXES,
            Self::Local | Self::Ipv4(_) => &[],
        };
        let network = move |prefix: &u8| match self {
            Self::Ipv6Network(bits) => (*prefix, Self::Ipv6Network(bits & (u64::MAX << (64 - prefix)))),
            other => (*prefix, other),
        };
        std::iter::once((HOST_PREFIX, self)).chain(wider.iter().map(network))
    }
}

impl ClientSource {
    /// The widest network that it lies in, if it lies in one.
    pub fn widest_network(self) -> Option<Self> {
        self.networks().skip(1).last().map(|(_, network)| network)
    }

    /// Its address, or the first one of the network.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::Local => None,
            Self::Ipv4(address) => Some(address.into()),
            Self::Ipv6Network(bits) => Some(Ipv6Addr::from_bits(u128::from(bits) << 64).into()),
        }
    }
}

impl fmt::Display for ClientSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => formatter.write_str("this machine"),
            Self::Ipv4(address) => address.fmt(formatter),
            Self::Ipv6Network(bits) => {
                write!(formatter, "{}/{HOST_PREFIX}", Ipv6Addr::from_bits(u128::from(*bits) << 64))
            }
        }
    }
}

/// What a host of IPv6 has to itself.
const HOST_PREFIX: u8 = 64;
/// What customers get; the narrowest first.
const WIDER_PREFIXES: [u8; 2] = [56, 48];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn source(text: &str) -> ClientSource {
        ClientSource::from(Some(text.parse::<IpAddr>().unwrap()))
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
        assert_eq!(ClientSource::from(None), ClientSource::Local);
        assert_ne!(source("::1"), ClientSource::Local);
        assert_ne!(source("0.0.0.0"), ClientSource::Local);
    }

    #[test]
    fn an_ipv6_network_lies_in_wider_ones() {
        let networks = |text: &str| -> Vec<String> {
            source(text).networks().map(|(prefix, network)| format!("{prefix} {network}")).collect()
        };
        assert_eq!(
            networks("2001:db8:1:2345:6::1"),
            ["64 2001:db8:1:2345::/64", "56 2001:db8:1:2300::/64", "48 2001:db8:1::/64"]
        );
        assert_eq!(networks("192.0.2.7"), ["64 192.0.2.7"]);
        assert_eq!(source("2001:db8:1:2345:6::1").address(), "2001:db8:1:2345::".parse().ok());
        assert_eq!(
            (source("192.0.2.7").address(), ClientSource::Local.address()),
            ("192.0.2.7".parse().ok(), None)
        );
        assert_eq!(ClientSource::Local.networks().count(), 1);
    }
}
