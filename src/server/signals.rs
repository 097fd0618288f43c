//! The signals of the process: to go down, and to read the config again.

use std::io;

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM, SIGINT: go down.
    Stop,
    /// SIGHUP: read the config and the certificates again.
    Reload,
}

/// Has a file that would grow beyond the limit of the system (`ulimit -f`, `LimitFSIZE=`) be an error, as a full disk is, in place of
/// the end of the process. Must be called within the runtime.
///
/// # Errors
/// The system refuses.
pub fn outlive_file_limit() -> io::Result<()> {
    // Whoever receives it need not be there: it is taken from the system's default for good.
    signal(SignalKind::from_raw(Number::XFSZ.as_raw())).map(drop)
}

/// Receives the signals from when it is made, so that none that comes during the start is lost.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Takes the signals over from the system's defaults. Must be called within the runtime.
    ///
    /// # Errors
    /// The system refuses.
    pub fn receive() -> io::Result<Self> {
        outlive_file_limit()?;
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }

    /// Waits for a signal to go down. What else is asked for is left to [`Signals::next`].
    pub async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
