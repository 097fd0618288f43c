//! Why a connection is refused, or is to make room for others.

use thiserror::Error;

/// Which limit a connection would have exceeded.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ConnectionRefused {
    /// `connections_max`
    #[error("there are {limit} open connections (connections_max)")]
    Connections {
        /// The limit (connections).
        limit: u32,
    },
    /// `connections_by_source_max`
    #[error("there are {limit} open connections from this source (connections_by_source_max)")]
    BySource {
        /// The limit (connections).
        limit: u32,
    },
    /// `connections_before_bind_max`
    #[error("there are {limit} open connections that have not authenticated (connections_before_bind_max)")]
    BeforeBind {
        /// The limit (connections).
        limit: u32,
    },
    /// `connections_before_bind_by_source_max`
    #[error(
        "there are {limit} open connections from this source that have not authenticated \
         (connections_before_bind_by_source_max)"
    )]
    BeforeBindBySource {
        /// The limit (connections).
        limit: u32,
    },
    /// `connections_leaving_max`
    #[error("there are {limit} connections on their way out to make room (connections_leaving_max)")]
    Leaving {
        /// The limit (connections).
        limit: u32,
    },
}
