//! Clients that are at the wrong port, or whose certificates do not fit ours: the log names what it looks like.

use std::io;

use rustls::AlertDescription;

use super::peer::Peer;
use crate::seldom::{self, Seldom};

/// What a client speaks, as far as its first octets tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// A TLS handshake.
    Tls,
    /// A request line.
    Http,
    /// An LDAPMessage.
    Ldap,
    /// A header of the PROXY protocol.
    ProxyHeader,
}

impl Spoken {
    /// By the first octets of a connection, if as many have come as tell.
    pub fn by(first: &[u8]) -> Option<Self> {
        // One letter begins much else.
        let may_be = |starts: &[&[u8]]| {
            let begins_as = |start: &&[u8]| first.iter().zip(*start).all(|(one, other)| one == other);
            first.len() >= 2 && starts.iter().any(begins_as)
        };
        Some(match first {
            // RFC 8446 section 5.1: a handshake, of SSL 3 or later.
            [0x16] | [0x16, 3, ..] => Self::Tls,
            // RFC 4511 section 4.1.1: a sequence.
            [0x30, ..] => Self::Ldap,
            _ => match (may_be(&PROXY_HEADERS), may_be(&METHODS)) {
                (true, false) => Self::ProxyHeader,
                (false, true) => Self::Http,
                _ => return None,
            },
        })
    }

    /// What this is a mistake for on a port where `expected` is spoken, of a client that a proxy has named or not.
    fn instead_of(self, expected: Self, is_proxied: bool) -> Option<Seldom> {
        Some(match (self, expected) {
            (Self::ProxyHeader, _) if is_proxied => Seldom::SecondProxyHeader,
            (Self::ProxyHeader, _) => Seldom::StrayProxyHeader,
            (Self::Tls, Self::Ldap | Self::Http) => Seldom::TlsInClear,
            (Self::Http | Self::Ldap, Self::Tls) => Seldom::ClearOnTls,
            (Self::Http, Self::Ldap) => Seldom::HttpOnLdap,
            (Self::Ldap, Self::Http) => Seldom::LdapOnHttp,
            _ => return None,
        })
    }
}

/// Tells of a connection that ended because its first octets were not what is spoken there.
pub fn tell_spoken(peer: &Peer, first: &[u8], expected: Spoken) {
    let is_proxied = peer.proxied.is_some();
    if let Some(kind) = Spoken::by(first).and_then(|spoken| spoken.instead_of(expected, is_proxied)) {
        tell(peer, kind, None);
    }
}

/// Tells of a handshake that failed.
pub fn tell_handshake(peer: &Peer, first: &[u8], error: &io::Error) {
    let kind = match error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => Seldom::UntrustedClient,
        Some(rustls::Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired,
        )) => Seldom::UntrustedServer,
        _ => return tell_spoken(peer, first, Spoken::Tls),
    };
    tell(peer, kind, Some(error));
}

fn tell(peer: &Peer, kind: Seldom, error: Option<&io::Error>) {
    if let Some(count) = seldom::note(kind) {
        let (client, listener, reason) = (&peer.address, &peer.local, error.map(tracing::field::display));
        tracing::warn!(count, %client, %listener, reason, "{}", kind.sentence());
    }
}

/// RFC 9110 section 9.3 and RFC 5789, and the preface of HTTP/2 (RFC 9113 section 3.4).
const METHODS: [&[u8]; 10] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"CONNECT ",
    b"TRACE ",
    b"PRI * HTTP/2",
];
const PROXY_HEADERS: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];
/// So many octets tell what is spoken.
pub const TELLING_OCTETS: usize = 12;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_first_octets_tell_what_is_spoken() {
        let rows: [(&[u8], Option<Spoken>); 19] = [
            (&[0x16, 3, 1, 2, 0], Some(Spoken::Tls)),
            (&[0x16], Some(Spoken::Tls)),
            (&[0x16, 9], None),
            (&[0x30, 0x0c, 2, 1, 1], Some(Spoken::Ldap)),
            (&[0x30], Some(Spoken::Ldap)),
            (b"GET / HTTP/1.1", Some(Spoken::Http)),
            (b"PO", Some(Spoken::Http)),
            (b"GETTING", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM", Some(Spoken::Http)),
            (b"PROXY TCP4 ", Some(Spoken::ProxyHeader)),
            (b"PRO", Some(Spoken::ProxyHeader)),
            (b"PRI", Some(Spoken::Http)),
            // So far it may be either, or neither.
            (b"PR", None),
            (b"P", None),
            (b"G", None),
            (b"\r\n\r\n\0\r\nQUIT\n", Some(Spoken::ProxyHeader)),
            (b"SSH-2.0-OpenSSH", None),
            (b"\0\0", None),
            (b"", None),
        ];
        for (octets, spoken) in rows {
            assert_eq!(Spoken::by(octets), spoken, "{octets:?}");
        }
    }

    #[test]
    fn what_is_spoken_where_it_belongs_is_no_mistake() {
        for spoken in [Spoken::Tls, Spoken::Http, Spoken::Ldap] {
            for expected in [Spoken::Tls, Spoken::Http, Spoken::Ldap] {
                for is_proxied in [false, true] {
                    assert_eq!(
                        spoken.instead_of(expected, is_proxied).is_none(),
                        spoken == expected,
                        "{spoken:?} {expected:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_proxy_is_not_named_where_its_clients_come_from() {
        for expected in [Spoken::Tls, Spoken::Http, Spoken::Ldap] {
            let instead = |is_proxied| Spoken::ProxyHeader.instead_of(expected, is_proxied);
            assert_eq!(instead(false), Some(Seldom::StrayProxyHeader));
            assert_eq!(instead(true), Some(Seldom::SecondProxyHeader));
        }
    }
}
