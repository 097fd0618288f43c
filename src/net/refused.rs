//! Why a connection is refused, or is to make room for others.

use std::fmt;

use thiserror::Error;

/// Whose limits they are: those of HTTP have names of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitsOf {
    /// LDAP, where who has bound is told from who has not.
    Ldap,
    /// HTTP, where nobody binds.
    Http,
}

impl fmt::Display for LimitsOf {
    /// What stands before the name of a limit.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ldap => "",
            Self::Http => "http_",
        })
    }
}

/// Which limit a connection would have exceeded.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ConnectionRefused {
    /// `connections_max`, or `http_connections_max`
    #[error("there are {limit} open connections ({of}connections_max)")]
    Connections {
        /// The limit (connections).
        limit: u32,
        /// Whose.
        of: LimitsOf,
    },
    /// `connections_by_source_max`, or `http_connections_by_source_max`
    #[error("there are {limit} open connections from this source ({of}connections_by_source_max)")]
    BySource {
        /// The limit (connections).
        limit: u32,
        /// Whose.
        of: LimitsOf,
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
    /// `proxy_headers_awaited_max`
    #[error(
        "there are {limit} connections of proxies whose header is still to come (proxy_headers_awaited_max)"
    )]
    Awaited {
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
