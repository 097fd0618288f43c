//! Accepting LDAP connections: each is counted, handed to the door, or closed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Tasks;
use crate::config::{Limit, LimitCounts};
use crate::ldap::connection::{self, Door};
use crate::net::{ConnectionLimits, ConnectionRefused, Listener};

/// Accepts until the server goes down. What is refused is closed without a word: a client that is one too
/// many need not be answered, and an answer would cost what the limit is there to save.
pub(super) async fn accept_ldap(
    listener: Listener,
    door: Arc<Door>,
    limits: Arc<ConnectionLimits>,
    reached: Arc<LimitCounts>,
    is_tls: bool,
    tasks: Arc<Tasks>,
) {
    let mut refusals = Refusals::default();
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = tasks.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match limits.admit(&peer.address) {
            Ok(permit) => {
                tasks.tracker.spawn(connection::serve(Arc::clone(&door), stream, peer, permit, is_tls));
            }
            Err(refused) => {
                tracing::debug!(peer = %peer.address, %refused, "a connection was refused");
                reached.note(limit_of(refused));
                refusals.note(refused);
            }
        }
    }
}

fn limit_of(refused: ConnectionRefused) -> Limit {
    match refused {
        ConnectionRefused::Connections { .. } => Limit::connections_max,
        ConnectionRefused::BySource { .. } => Limit::connections_by_source_max,
        ConnectionRefused::BeforeBind { .. } => Limit::connections_before_bind_max,
        ConnectionRefused::BeforeBindBySource { .. } => Limit::connections_before_bind_by_source_max,
    }
}

/// Tells the log of refused connections, but not of each.
#[derive(Default)]
struct Refusals {
    told: Option<Instant>,
    count: u64,
}

impl Refusals {
    fn note(&mut self, refused: ConnectionRefused) {
        self.count += 1;
        if self.told.is_some_and(|told| told.elapsed() < REFUSALS_PERIOD) {
            return;
        }
        let count = std::mem::take(&mut self.count);
        self.told = Some(Instant::now());
        tracing::warn!(count, reason = %refused, "connections were refused since the last such line");
    }
}

/// At most one line about refused connections within this.
const REFUSALS_PERIOD: Duration = Duration::from_secs(60);
