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
        if output.is_json() || !io::IsTerminal::is_terminal(&io::stdin()) || !is_terminal(Stream::Error) {
            return Err(Failure::usage(format!("{question} There is no terminal to ask on: give --yes")));
        }
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
}
