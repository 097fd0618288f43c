//! Networks, as people write them.

use std::net::IpAddr;

use ipnet::IpNet;

/// A text names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    /// It is no network, and no address.
    #[error("expected {}", NETWORK_WORDS)]
    Form,
    /// It has bits behind its prefix, so one of both is not what was meant.
    #[error("{0} has bits behind its prefix; did you mean {network}?", network = .0.trunc())]
    Bits(IpNet),
}

/// Reads a network; an address alone is one of its own. One of addresses of IPv4 that are written as IPv6 (`::ffff:0:0/96` and what
/// lies in it, RFC 4291 2.5.5.2) is that of IPv4, as peers are known.
///
/// # Errors
/// It is none, or has bits behind its prefix.
pub fn read_network(text: &str) -> Result<IpNet, BadNetwork> {
    let parsed = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let network = parsed.map_err(|_| BadNetwork::Form)?;
    if network.trunc() == network { Ok(as_ipv4(network)) } else { Err(BadNetwork::Bits(network)) }
}

/// A network as peers are known: one of addresses of IPv4 that are written as IPv6 is that of IPv4.
pub fn as_ipv4(network: IpNet) -> IpNet {
    let IpAddr::V6(address) = network.network() else { return network };
    let bits = network.prefix_len().checked_sub(MAPPED_BITS);
    let mapped = address.to_ipv4_mapped().zip(bits);
    let mapped = mapped.and_then(|(address, bits)| IpNet::new(address.into(), bits).ok());
    mapped.unwrap_or(network)
}

/// How many bits stand before an address of IPv4.
const MAPPED_BITS: u8 = 96;

/// What a network looks like, in words.
pub const NETWORK_WORDS: &str = "a network such as \"10.2.0.0/16\" or \"2001:db8::/32\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_network_and_bits_behind_the_prefix_are_a_mistake() {
        for (text, network) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.1", "10.0.0.1/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("2001:db8::7", "2001:db8::7/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(read_network(text).map(|network| network.to_string()), Ok(network.to_owned()));
        }
        let bad = read_network("10.0.0.1/8").map_err(|bad| bad.to_string());
        let told = "10.0.0.1/8 has bits behind its prefix; did you mean 10.0.0.0/8?";
        assert_eq!(bad, Err(told.to_owned()));
        assert!(matches!(read_network("2001:db8::7/32"), Err(BadNetwork::Bits(_))));
        for text in ["", "everywhere", "10.0.0.0/33", "10.0.0/8", "10.0.0.1 ", "::/129", "10.0.0.0/"] {
            assert_eq!(read_network(text), Err(BadNetwork::Form), "{text}");
        }
    }
}
