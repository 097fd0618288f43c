//! LDAP connections as they come in: each is counted, handed to the door, or closed.

use std::sync::Arc;

use super::running::Tasks;
use crate::config::{Limit, LimitCounts};
use crate::ldap::connection::{self, Door, limit_of};
use crate::net::{Entrance, HeaderError, Listener, Permit, TurnedAway, Ways};

/// Accepts until the server goes down. What is refused is closed without a word.
pub(super) async fn accept_ldap(
    listener: Listener,
    door: Arc<Door>,
    entrance: Arc<Entrance>,
    reached: Arc<LimitCounts>,
    is_tls: bool,
    tasks: Arc<Tasks>,
) {
    let counts = Arc::clone(&reached);
    let ways = Ways {
        serve: move |stream, peer, permit: Permit| {
            if permit.is_reserved() {
                reached.note(Limit::connections_reserved);
            }
            connection::serve(Arc::clone(&door), stream, peer, permit, is_tls)
        },
        turn_away: move |away: &TurnedAway| note(&counts, away),
    };
    entrance.let_in(listener, ways, &tasks.tracker, tasks.shutdown.clone()).await;
}

fn note(reached: &LimitCounts, away: &TurnedAway) {
    let limit = match away {
        TurnedAway::Refused(refused) => limit_of(*refused),
        TurnedAway::Header(HeaderError::TooLate) => Limit::proxy_header_time,
        TurnedAway::Header(HeaderError::TooLong { .. }) => Limit::proxy_header_size_max,
        TurnedAway::Header(_) | TurnedAway::Gone => return,
    };
    reached.note(limit);
}
