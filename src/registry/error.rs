//! What can go wrong when the directory is opened or changed.

use std::time::Duration;

use super::commands::SeedProblem;
use super::token_key::named;
use crate::access::Invalid;
use crate::auth::token_secret::RandomSourceError;
use crate::auth::{HashPoolError, TokenKeyError};
use crate::model::Permission;
use crate::net::ListenError;
use crate::quoted::called;
use crate::store::StoreError;

/// Why the directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What the store says.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The records are whole, but no directory can be made of them.
    #[error("the records of the store make no directory: {0}")]
    Directory(String),
    /// The keys of tokens cannot be used.
    #[error(transparent)]
    TokenKeys(#[from] TokenKeyError),
    /// The key is gone that tokens with chosen secrets are found by.
    #[error(
        "the token key {} is {}, and without the right one these API tokens, whose secrets were chosen, are nobody's: {}; put \
         the file back from a backup, or give --new-token-key once: then a new key is made, and exactly these tokens end",
        path.display(),
        if *is_other { "not the one that the store was used with" } else { "missing" },
        named(tokens.iter().map(String::as_str))
    )]
    TokenKeyGone {
        /// The file.
        path: std::path::PathBuf,
        /// Whether it is there, but another one.
        is_other: bool,
        /// The tokens that need it, by their identifiers.
        tokens: Vec<String>,
    },
    /// A new one cannot be made.
    #[error("the token key {} cannot be made", path.display())]
    TokenKeyNotMade {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The tokens that needed it do not end.
    #[error(
        "the API tokens that needed the lost token key could not be ended; try again with --new-token-key"
    )]
    TokensStay,
    /// Nobody could be served; no file of the store was changed.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The hash pool did not start.
    #[error(transparent)]
    HashPool(#[from] HashPoolError),
    /// The system gives no random octets.
    #[error(transparent)]
    RandomSource(#[from] RandomSourceError),
    /// The system gives no thread.
    #[error("the writer's thread did not start")]
    Thread(#[source] std::io::Error),
    /// The system gives fewer threads than are needed.
    #[error(
        "the system does not give the {needed} threads that are needed now: raise the limit of the service (TasksMax= and \
         LimitNPROC= of systemd, the limit on processes of a container, `ulimit -u`)"
    )]
    Threads {
        /// How many more are needed.
        needed: usize,
        source: std::io::Error,
    },
}

/// Why a change was not made. Nothing of it happened.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// What is asked for cannot be: each sentence names the thing and what to do.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
    /// A seed cannot be applied.
    #[error("{}", .0.iter().map(|problem| problem.sentence.as_str()).collect::<Vec<_>>().join("\n"))]
    Seed(Vec<SeedProblem>),
    /// One field of what is asked for cannot be.
    #[error("{message}")]
    Field {
        /// Its name in the API.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// Several fields of what is asked for cannot be: the name of each in the API, and what is wrong with it.
    #[error("{}", .0.iter().map(|(_, message)| message.as_str()).collect::<Vec<_>>().join("\n"))]
    Fields(Vec<(&'static str, String)>),
    /// Something of this name does not exist.
    #[error("there is no {kind} {}", called(name))]
    NotFound {
        /// What kind of thing.
        kind: &'static str,
        name: String,
    },
    /// The secret of a token cannot be shown any more.
    #[error(
        "the secret of the token `{identifier}` is not kept: one is shown once, within ten minutes, to whoever made the \
         token, and kept only of a retrievable one; rotate it for a new secret"
    )]
    NotKept {
        /// The token's name.
        identifier: String,
    },
    /// Something of this name exists already.
    #[error("the {kind} {} exists already", called(name))]
    Exists {
        /// What kind of thing.
        kind: &'static str,
        name: String,
    },
    /// The caller does not hold a permission.
    #[error("the permission `{permission}` is missing")]
    Forbidden {
        /// Which.
        permission: Permission,
    },
    /// The caller is not any more who it was.
    #[error("the credential does not hold any more: {0}")]
    NotAuthenticated(Invalid),
    /// The rules of the product forbid it.
    #[error("{0}")]
    Refused(String),
    /// Too many changes wait.
    #[error("too many changes wait for their turn; try again later")]
    Busy,
    /// The account has done something as often as it may for now.
    #[error("this account has {what}; try again later")]
    TooOften {
        /// What, and how often within which time.
        what: String,
        /// When it may do so again.
        wait: Duration,
    },
    /// The directory has changed since the caller looked.
    #[error("the directory was changed at the same time; try again")]
    Conflict,
    /// What the store says.
    #[error(transparent)]
    Store(#[from] std::sync::Arc<StoreError>),
    /// A secret could not be made or hashed.
    #[error("the secret was not made: {0}")]
    Secret(String),
    /// The server is going down.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The command met an error of bindery's own; nothing of it is kept, and others go on.
    #[error("bindery failed at this command, which is an error in bindery: please report it with its log")]
    Panicked,
    /// The writer has ended by an error of bindery's own; it is open whether this change was made.
    #[error(
        "the writer has stopped by an error in bindery, and nobody knows whether this change was made: restart the \
         server, and please report it with its log"
    )]
    WriterStopped,
}

impl ChangeError {
    /// One sentence about a field that cannot be.
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self::Field { field, message: message.into() }
    }

    /// What cannot be of an object, by its fields; nothing may be wrong.
    pub fn of_fields(mut problems: Vec<(&'static str, String)>) -> Result<(), Self> {
        match problems.len() {
            0 => Ok(()),
            1 => problems.pop().map_or(Ok(()), |(field, message)| Err(Self::Field { field, message })),
            _ => Err(Self::Fields(problems)),
        }
    }

    /// Whether it is about what stands in fields of the request.
    pub(super) fn is_of_fields(&self) -> bool {
        matches!(self, Self::Field { .. } | Self::Fields(_) | Self::Exists { .. })
    }

    /// The same by the field: its name in the API, and what is wrong with it. None, where it is about something else.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Field { field, message } => vec![(*field, message.clone())],
            Self::Fields(wrong) => wrong.clone(),
            Self::Exists { kind, .. } => {
                let field = match *kind {
                    "account" => "username",
                    "token" => "identifier",
                    "application" => "slug",
                    _ => "name",
                };
                vec![(field, self.to_string())]
            }
            _ => Vec::new(),
        }
    }

    /// One sentence about what cannot be.
    pub fn invalid(sentence: impl Into<String>) -> Self {
        Self::Invalid(vec![sentence.into()])
    }
}
