//! The local socket: HTTP on a Unix socket, for the server's own user and root.

use std::io;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener as AxumListener};
use axum::{Extension, Router};
use tokio_util::sync::CancellationToken;

use super::system_user::sudo_user_of;
use crate::model::SystemUser;
use crate::net::{Listener, PeerAddress, Stream};
use crate::seldom::{self, Seldom};
use crate::users::name_of;

/// Serves the commands until the server goes down; a request that is being carried out is answered.
///
/// The user id of the peer, as the kernel tells it, is the credential, and stands in the events.
pub async fn serve_local(listener: Listener, router: Router, shutdown: CancellationToken) {
    let own_uid = rustix::process::geteuid().as_raw();
    // Nobody else commands: what they are called is looked up once.
    let names = Names { own: (own_uid, name_of(own_uid)), root: name_of(ROOT_UID) };
    // What takes long is not waited for when the server goes down.
    let router = router.layer(from_fn_with_state(names, say_user)).layer(Extension(shutdown.clone()));
    let router = router.into_make_service_with_connect_info::<PeerUser>();
    let served = axum::serve(LocalListener { listener, own_uid }, router)
        .with_graceful_shutdown(shutdown.cancelled_owned());
    // The listener never fails, see below.
    if let Err(error) = served.await {
        tracing::error!(%error, "the local socket is no longer served");
    }
}

/// The user at the other end of a connection.
#[derive(Clone, Copy, Debug)]
struct PeerUser(Option<u32>);

impl Connected<IncomingStream<'_, LocalListener>> for PeerUser {
    fn connect_info(stream: IncomingStream<'_, LocalListener>) -> Self {
        match stream.remote_addr() {
            PeerAddress::Unix { uid } => Self(Some(*uid)),
            PeerAddress::Ip(_) => Self(None),
        }
    }
}

/// What those who may give commands are called.
#[derive(Clone, Debug)]
struct Names {
    own: (u32, Option<String>),
    root: Option<String>,
}

/// Says to the handlers who gives the command.
async fn say_user(
    State(names): State<Names>,
    ConnectInfo(PeerUser(uid)): ConnectInfo<PeerUser>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(uid) = uid {
        let name = if uid == names.own.0 { names.own.1 } else { names.root };
        let user = SystemUser { uid, name, sudo_user: sudo_user_of(request.headers()) };
        request.extensions_mut().insert(user);
    }
    next.run(request).await
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
                refused => {
                    if let Some(count) = seldom::note(Seldom::LocalUserRefused) {
                        tracing::warn!(count, peer = %refused, "{}", Seldom::LocalUserRefused.sentence());
                    }
                }
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
