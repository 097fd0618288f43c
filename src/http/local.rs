//! The local socket: HTTP on a Unix socket, for the server's own user and root.

use std::io;

use axum::Router;
use axum::serve::Listener as AxumListener;
use tokio_util::sync::CancellationToken;

use crate::net::{Listener, PeerAddress, Stream};

/// Serves the commands until the server goes down; a request that is being carried out is answered.
///
/// The user id of the peer, as the kernel tells it, is the credential.
pub async fn serve_local(listener: Listener, router: Router, shutdown: CancellationToken) {
    let own_uid = rustix::process::geteuid().as_raw();
    let served = axum::serve(LocalListener { listener, own_uid }, router)
        .with_graceful_shutdown(shutdown.cancelled_owned());
    // The listener never fails, see below.
    if let Err(error) = served.await {
        tracing::error!(%error, "the local socket is no longer served");
    }
}

/// Accepts peers that may give commands, and closes all others.
struct LocalListener {
    listener: Listener,
    own_uid: u32,
}

impl AxumListener for LocalListener {
    type Io = Stream;
    type Addr = PeerAddress;

    async fn accept(&mut self) -> (Stream, PeerAddress) {
        loop {
            let (stream, peer) = self.listener.accept().await;
            match peer.address {
                PeerAddress::Unix { uid } if may_command(uid, self.own_uid) => return (stream, peer.address),
                refused => tracing::warn!(peer = %refused, "another user was refused on the local socket"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<PeerAddress> {
        Ok(PeerAddress::Unix { uid: self.own_uid })
    }
}

fn may_command(uid: u32, own_uid: u32) -> bool {
    uid == own_uid || uid == ROOT_UID
}

const ROOT_UID: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_user_and_root_command() {
        assert!(may_command(1000, 1000));
        assert!(may_command(0, 1000));
        assert!(!may_command(1001, 1000));
        assert!(!may_command(1000, 0));
    }
}
