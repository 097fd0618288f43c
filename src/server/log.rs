//! The log: lines on standard error, as text or JSON, whose level can be changed while the server runs.
//!
//! A thread of its own writes them. What has no room in its queue is lost, and counted: a log that nobody reads holds
//! nobody up.

use std::io::{self, IsTerminal, Write};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt};

use crate::audit;
use crate::config::{LogFormat, LogLevel, LogSettings};
use crate::model::{escape, is_invisible};

/// The log of this process.
#[derive(Clone)]
pub struct Log {
    filter: reload::Handle<Targets, Registry>,
    format: LogFormat,
    writer: NonBlocking,
}

/// The thread that writes the log. Dropping it waits, though not long, until what was logged is written.
#[must_use = "what is logged after this is dropped may never be written"]
pub struct LogThread {
    _guard: WorkerGuard,
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
    /// Starts the log, once in a process, with room for `queue_max` lines that wait to be written.
    ///
    /// # Errors
    /// [`LogError::Again`]
    pub fn start(settings: LogSettings, queue_max: u32) -> Result<(Self, LogThread), LogError> {
        let (writer, guard) = queue(Visible { lines: io::stderr(), format: settings.format }, queue_max);
        let (filter, handle) = reload::Layer::new(targets(settings.format, settings.level));
        let lines = fmt::layer().with_writer(writer.clone());
        let lines = match settings.format {
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
            LogFormat::Text => lines.with_ansi(has_colours()).with_target(false).boxed(),
        };
        tracing_subscriber::registry().with(lines.with_filter(filter)).try_init().map_err(LogError::Again)?;
        Ok((Self { filter: handle, format: settings.format, writer }, LogThread { _guard: guard }))
    }

    /// One that nobody reads.
    #[cfg(test)]
    pub(super) fn of_test() -> Self {
        let format = LogFormat::Text;
        let (_, filter) = reload::Layer::new(targets(format, LogLevel::Info));
        let (writer, _) = queue(Visible { lines: io::sink(), format }, 1);
        Self { filter, format, writer }
    }

    /// Writes a message for people to where the log goes, behind what was logged before it.
    pub fn message(&self, text: &str) {
        // A queue takes everything or counts what it loses.
        let _ = self.writer.clone().write_all(format!("{text}\n").as_bytes());
    }

    /// Lines that found no room since the start.
    pub fn lost_lines(&self) -> u64 {
        self.writer.error_counter().dropped_lines() as u64
    }

    /// Logs from now on what `level` says.
    ///
    /// # Errors
    /// [`LogError::Level`]: the log is gone.
    pub fn set_level(&self, level: LogLevel) -> Result<(), LogError> {
        self.filter.reload(targets(self.format, level)).map_err(LogError::Level)
    }
}

/// Lines in which nothing from elsewhere turns, hides or breaks what stands beside it. The thread of the log writes them, so
/// that nobody waits for it.
struct Visible<W> {
    lines: W,
    format: LogFormat,
}

impl<W: Write> Write for Visible<W> {
    /// Takes whole lines, as the queue hands them on.
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        // The end of a line and its colours are the log's own: in what is logged they are escaped before.
        let is_hidden = |character| is_invisible(character) && !matches!(character, '\n' | '\u{1b}');
        let text = String::from_utf8_lossy(octets);
        let text = escape(&text, is_hidden, |escaped, character| match self.format {
            LogFormat::Text => escaped.extend(character.escape_default()),
            // RFC 8259 section 7; it stands in a string, as all does that is not ASCII.
            LogFormat::Json => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
        });
        self.lines.write_all(text.as_bytes()).map(|()| octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

/// A writer that never waits for `lines`.
fn queue(lines: impl Write + Send + 'static, queue_max: u32) -> (NonBlocking, WorkerGuard) {
    let queue_max = usize::try_from(queue_max).unwrap_or(usize::MAX);
    NonBlockingBuilder::default().buffered_lines_limit(queue_max).lossy(true).thread_name("log").finish(lines)
}

/// What libraries say is of interest to who looks for a fault only, one level above ours. The events of the audit trail
/// come in two forms, one for each format.
fn targets(format: LogFormat, level: LogLevel) -> Targets {
    let (ours, others) = match level {
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        LogLevel::Trace => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    let other_form = match format {
        LogFormat::Json => audit::SUMMARY,
        LogFormat::Text => audit::DOCUMENT,
    };
    Targets::new()
        .with_default(others)
        .with_target("bindery", ours)
        .with_target("audit", ours)
        .with_target(other_form, LevelFilter::OFF)
}

fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes a line when it is told to.
    struct Slow {
        may_write: mpsc::Receiver<()>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl io::Write for Slow {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            // The end of the test lets everything through.
            let _ = self.may_write.recv();
            let _ = self.written.send(octets.to_vec());
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_logged_turns_nothing_around() {
        let logged = |format| {
            let mut lines = Visible { lines: Vec::new(), format };
            lines.write_all("{\"name\":\"a\u{202e}b\u{2028}\u{e0041}ä\"}\n".as_bytes()).unwrap();
            String::from_utf8(lines.lines).unwrap()
        };
        assert_eq!(logged(LogFormat::Text), "{\"name\":\"a\\u{202e}b\\u{2028}\\u{e0041}ä\"}\n");
        let json = logged(LogFormat::Json);
        assert_eq!(json, "{\"name\":\"a\\u202eb\\u2028\\udb40\\udc41ä\"}\n");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["name"], "a\u{202e}b\u{2028}\u{e0041}ä");
    }

    #[test]
    fn a_log_that_nobody_reads_holds_nobody_up_and_counts_what_it_loses() {
        let (go, may_write) = mpsc::channel();
        let (written, lines) = mpsc::channel();
        let (mut writer, guard) = queue(Slow { may_write, written }, 64);
        let lost = writer.error_counter();
        for number in 0..1_000 {
            // One call is one line, as the log writes it.
            writer.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        let lost_lines = lost.dropped_lines();
        // One may have been taken out of the queue already.
        assert!((935..=936).contains(&lost_lines), "{lost_lines}");
        drop(go);
        drop(guard);
        assert_eq!(lines.iter().count(), 1_000 - lost_lines, "what was taken is written at the end");
    }
}
