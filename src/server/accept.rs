//! Accepting LDAP connections: each is counted, handed to the door, or closed.

use std::sync::Arc;

use super::running::Tasks;
use crate::config::{Limit, LimitCounts};
use crate::ldap::connection::{self, Door, limit_of};
use crate::net::{Entrance, HeaderError, Listener, TurnedAway};

/// Accepts until the server goes down. What is refused is closed without a word.
pub(super) async fn accept_ldap(
    listener: Listener,
    door: Arc<Door>,
    entrance: Arc<Entrance>,
    reached: Arc<LimitCounts>,
    is_tls: bool,
    tasks: Arc<Tasks>,
) {
    loop {
        let (mut stream, peer) = tokio::select! {
            biased;
            () = tasks.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let mut permit = match entrance.admit(&peer).await {
            Ok(permit) => permit,
            Err(away) => {
                note(&reached, &away);
                continue;
            }
        };
        if permit.is_reserved() {
            reached.note(Limit::connections_reserved);
        }
        let (door, entrance) = (Arc::clone(&door), Arc::clone(&entrance));
        let (reached, shutdown) = (Arc::clone(&reached), tasks.shutdown.clone());
        tasks.tracker.spawn(async move {
            let met = tokio::select! {
                biased;
                met = entrance.meet(&mut stream, peer, &mut permit) => met,
                () = shutdown.cancelled() => return,
            };
            match met {
                Ok(peer) => connection::serve(door, stream, peer, permit, is_tls).await,
                Err(away) => note(&reached, &away),
            }
        });
    }
}

fn note(reached: &LimitCounts, away: &TurnedAway) {
    let limit = match away {
        TurnedAway::Refused(refused) => limit_of(*refused),
        TurnedAway::Header(HeaderError::TooLate) => Limit::proxy_header_time,
        TurnedAway::Header(HeaderError::TooLong { .. }) => Limit::proxy_header_size_max,
        TurnedAway::Header(_) => return,
    };
    reached.note(limit);
}
