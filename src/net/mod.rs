//! What both doors stand on: listeners, proxies in front, TLS whose certificates can be exchanged, limits on connections, on
//! rates and on memory.

pub mod budget;
pub mod certificate;
pub mod client_authorities;
pub mod client_certificate;
mod client_chain;
pub mod deadline;
pub mod entrance;
pub mod handshake;
pub mod limits;
pub mod linger;
pub mod listener;
mod memory_holder;
pub mod mistaken;
pub mod peer;
mod places;
pub mod presence;
pub mod proxy;
pub mod rate;
mod records;
mod refused;
mod secured;
pub mod server_certificate;
mod signatures;
mod source;
pub mod tls;
mod tls_fault;
pub mod turns;
mod validity;
mod watched;
pub mod write_deadline;

pub use budget::{Budget, Share, counted};
pub use certificate::{CertificateError, CertificateOutcome, create_development};
pub use client_authorities::{AuthoritiesDigest, ClientAuthorities};
pub use client_certificate::ClientCertificate;
pub use entrance::{Entrance, TurnedAway, Ways};
pub use limits::{ConnectionLimitSettings, ConnectionLimits, Permit};
pub use linger::linger;
pub use listener::{ListenError, Listener, Stream};
pub use memory_holder::{MemoryHolder, MemoryHolders};
pub use peer::{LocalAddress, Peer, PeerAddress};
pub use presence::Presence;
pub use proxy::{HeaderError, Proxies};
pub use rate::Rate;
pub use refused::{ConnectionRefused, LimitsOf};
pub use secured::Secured;
pub use server_certificate::{KeyKind, ServerCertificate};
pub use source::ClientSource;
pub use tls::{Tls, TlsFiles};
pub use tls_fault::{TlsError, TlsFile, TlsWarning};
pub use turns::{SourceTurns, Turn, Turns, let_others_first};
pub use watched::{Answering, Requests, Watched};
pub use write_deadline::WriteDeadline;

/// How long connections may take to end what they are at, when the server goes down.
/// No limit of the config: it is what a service is given at least to stop, whatever stops it.
pub const DRAIN_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(10);
