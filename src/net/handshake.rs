//! The TLS handshake of a connection, of whatever protocol: what the client is about shows while it goes on, and one that
//! fails is told by what the client looks like.

use std::io;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::listener::Stream;
use super::mistaken::{self, TELLING_OCTETS};
use super::peer::Peer;
use super::presence::Presence;

/// Waits for the client's first octets as for one that is silent, and for the rest as for half a message.
///
/// # Errors
/// What ended the handshake, which was told.
pub async fn accept(
    acceptor: TlsAcceptor,
    mut stream: Stream,
    peer: &Peer,
    presence: &Presence,
) -> io::Result<TlsStream<Stream>> {
    let mut first = [0; TELLING_OCTETS];
    presence.is_silent();
    let seen = stream.peek(&mut first).await?;
    presence.owes_the_rest();
    let accepted = acceptor.accept(stream).await;
    accepted.inspect_err(|error| {
        mistaken::tell_handshake(peer, first.get(..seen).unwrap_or_default(), error);
    })
}
