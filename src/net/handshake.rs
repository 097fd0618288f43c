//! The TLS handshake of a connection, of whatever protocol: what the client is about shows while it goes on, what it costs
//! is a turn of the client's source, and one that fails is told by what the client looks like.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use super::listener::Stream;
use super::mistaken::{self, TELLING_OCTETS};
use super::peer::Peer;
use super::presence::Presence;
use super::records::Records;
use super::secured::Secured;
use super::signatures;
use super::turns::{SourceTurns, WORK_OF_A_HANDSHAKE};

/// Waits for the client's first octets as for one that is silent, and for the rest as for half a message. A turn is taken
/// when there are some to look at, and not kept while the client is waited for.
///
/// # Errors
/// What ended the handshake, which was told.
pub async fn accept(
    acceptor: TlsAcceptor,
    mut stream: Stream,
    peer: &Peer,
    presence: &Presence,
    turns: &Arc<SourceTurns>,
) -> io::Result<Secured> {
    let mut first = [0; TELLING_OCTETS];
    presence.is_silent();
    let seen = stream.peek(&mut first).await?;
    presence.owes_the_rest();
    let mut accepting = acceptor.accept(Records::new(stream));
    let accepted = turns
        .in_turns(|context| {
            if let Some(records) = accepting.get_mut() {
                records.begin();
            }
            let before = signatures::work();
            let polled = Pin::new(&mut accepting).poll(context);
            let of_certificates = signatures::work() - before;
            let work = of_certificates
                + match accepting.get_ref() {
                    // What has no answer yet is waited for.
                    Some(records) if !records.is_answered() => records.work(),
                    _ => WORK_OF_A_HANDSHAKE,
                };
            if accepting.get_ref().is_some_and(Records::is_held_back) {
                context.waker().wake_by_ref();
            }
            (polled, work)
        })
        .await;
    let accepted = accepted.inspect_err(|error| {
        mistaken::tell_handshake(peer, first.get(..seen).unwrap_or_default(), error);
    });
    Ok(Secured::new(accepted?, Arc::clone(turns)))
}
