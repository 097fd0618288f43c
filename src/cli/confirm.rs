//! The question before something is destroyed.

use std::io::{self, BufRead, Write};

use super::failure::Failure;
use super::output::{Output, Stream, is_terminal};

/// Of commands that destroy something.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct ConfirmArguments {
    /// Do it without asking
    #[arg(long, short = 'y')]
    yes: bool,
}

impl ConfirmArguments {
    /// Asks on the terminal, unless `--yes` was given. Where nobody can answer, it must be given.
    ///
    /// # Errors
    /// The answer is not yes.
    pub(super) fn ask(self, question: &str, output: Output) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !is_answered(output) {
            return Err(Failure::usage(format!("{question} There is no terminal to ask on: give --yes")));
        }
        ask(question)
    }

    /// Asks on the terminal, unless `--yes` was given. Where nobody can answer, the answer is yes: what it is about was
    /// told.
    ///
    /// # Errors
    /// The answer is not yes.
    pub(super) fn ask_if_possible(self, question: &str, output: Output) -> Result<(), Failure> {
        if self.yes || !is_answered(output) { Ok(()) } else { ask(question) }
    }
}

/// Whether there is somebody to ask.
pub(super) fn is_answered(output: Output) -> bool {
    !output.is_json() && io::IsTerminal::is_terminal(&io::stdin()) && is_terminal(Stream::Error)
}

/// Asks, whatever was given.
///
/// # Errors
/// The answer is not yes.
pub(super) fn ask(question: &str) -> Result<(), Failure> {
    // Whoever closed standard error is asked in vain, and has not said yes.
    let _ = write!(io::stderr().lock(), "{question} [y/N] ");
    let _ = io::stderr().lock().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    match (read, answer.trim().to_lowercase().as_str()) {
        (Ok(_), "y" | "yes") => Ok(()),
        _ => Err(Failure::failed("nothing was done")),
    }
}
