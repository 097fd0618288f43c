//! The log: lines on standard error, as text or JSON, whose level can be changed while the server runs.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::{LogFormat, LogLevel, LogSettings};

/// The log of this process.
#[derive(Clone)]
pub struct Log {
    filter: reload::Handle<Targets, Registry>,
}

/// There is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// There is one already.
    #[error("the log is set up already")]
    Again(#[source] TryInitError),
    /// The level cannot be changed.
    #[error("the level of the log cannot be changed")]
    Level(#[source] reload::Error),
}

impl Log {
    /// Starts the log, once in a process.
    ///
    /// # Errors
    /// [`LogError::Again`]
    pub fn start(settings: LogSettings) -> Result<Self, LogError> {
        let (filter, handle) = reload::Layer::new(targets(settings.level));
        let lines = fmt::layer().with_writer(io::stderr);
        let lines = match settings.format {
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
            LogFormat::Text => lines.with_ansi(has_colours()).with_target(false).boxed(),
        };
        tracing_subscriber::registry().with(lines.with_filter(filter)).try_init().map_err(LogError::Again)?;
        Ok(Self { filter: handle })
    }

    /// Logs from now on what `level` says.
    ///
    /// # Errors
    /// [`LogError::Level`]: the log is gone.
    pub fn set_level(&self, level: LogLevel) -> Result<(), LogError> {
        self.filter.reload(targets(level)).map_err(LogError::Level)
    }
}

/// What libraries say is of interest to who looks for a fault only, one level above ours.
fn targets(level: LogLevel) -> Targets {
    let (ours, others) = match level {
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        LogLevel::Trace => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    Targets::new().with_default(others).with_target("bindery", ours).with_target("audit", ours)
}

fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
