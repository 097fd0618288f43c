//! How a command ends: the exit codes, and from every error to one of them with its sentences.

use std::error::Error;
use std::process::ExitCode;

use crate::config::Problems;
pub(super) use crate::http::in_words;
use crate::http::{Problem, ProblemKind};
use crate::registry::OpenError;
use crate::server::StartError;
use crate::store::{BackupError, FileError, StoreError};

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(super) struct Failure {
    /// The exit code.
    pub(super) exit: Exit,
    /// Sentences for the operator, each about one thing.
    pub(super) messages: Vec<String>,
    /// Whether the messages stand for themselves, as drawn problems of a config do.
    pub(super) is_drawn: bool,
}

/// The exit codes that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Failed,
    /// Wrong usage.
    Usage,
    /// The config or the input is wrong.
    Wrong,
    /// The store is held, damaged or too new, or has stopped.
    Store,
    /// No permission.
    Refused,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Wrong => 3,
            Exit::Store => 4,
            Exit::Refused => 5,
        })
    }
}

impl Failure {
    /// One sentence.
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, messages: vec![message.into()], is_drawn: false }
    }

    /// Something went wrong on the way.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The arguments cannot be meant so.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The reader of the output has gone: there is nobody to tell.
    pub(super) fn silent() -> Self {
        Self { exit: Exit::Failed, messages: Vec::new(), is_drawn: false }
    }

    /// The same, each sentence behind what has become of the whole.
    pub(super) fn behind(mut self, done: &str) -> Self {
        for message in &mut self.messages {
            *message = format!("{done}: {message}");
        }
        self
    }

    /// Problems of a config, with their pictures.
    pub(super) fn of_config(problems: &Problems, styled: bool) -> Self {
        Self { exit: Exit::Wrong, messages: vec![problems.render(styled)], is_drawn: true }
    }

    /// An error with what caused it.
    pub(super) fn of(exit: Exit, error: &dyn Error) -> Self {
        Self::new(exit, in_words(error))
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = match problem.kind {
            ProblemKind::Invalid => Exit::Wrong,
            ProblemKind::Refused => Exit::Refused,
            ProblemKind::StoreUnusable | ProblemKind::StoreStopped => Exit::Store,
            ProblemKind::NotFound
            | ProblemKind::Exists
            | ProblemKind::Busy
            | ProblemKind::Conflict
            | ProblemKind::Store
            | ProblemKind::Secret
            | ProblemKind::ShuttingDown
            | ProblemKind::Panicked
            | ProblemKind::WriterStopped
            | ProblemKind::BadRequest => Exit::Failed,
        };
        Self { exit, messages: problem.messages, is_drawn: false }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error {
            StoreError::Foreign { .. } => Exit::Refused,
            StoreError::Stopped { .. } => Exit::Store,
            StoreError::Mounted { .. } => Exit::Wrong,
            _ if error.is_unusable() => Exit::Store,
            _ => Exit::Failed,
        };
        Self::of(exit, &error)
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        Self::of(if error.is_unusable() { Exit::Store } else { Exit::Failed }, &error)
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::of(Exit::Failed, &error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => error.into(),
            OpenError::Directory(_) | OpenError::TokenKeyGone { .. } => Self::of(Exit::Store, &error),
            OpenError::TokenKeys(_) => Self::of(Exit::Wrong, &error),
            OpenError::TokenKeyNotMade { .. }
            | OpenError::TokensStay
            | OpenError::Listen(_)
            | OpenError::HashPool(_)
            | OpenError::RandomSource(_)
            | OpenError::Thread(_)
            | OpenError::Threads { .. } => Self::of(Exit::Failed, &error),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Listeners(_)
            | StartError::Tls(_)
            | StartError::DataDirectory(_)
            | StartError::BackupDirectory(_)
            | StartError::Socket(_) => Self::of(Exit::Wrong, &error),
            StartError::Open(error) => error.into(),
            StartError::Listen(_) | StartError::Random(_) => Self::of(Exit::Failed, &error),
        }
    }
}
