//! Reading a password: from the terminal without showing it, or the first line of standard input.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::secret::Secret;

/// Asks for a password.
///
/// # Errors
/// There is none, or it cannot be read.
pub(super) fn read_password(question: &str) -> Result<Secret, Failure> {
    let stdin = io::stdin();
    let hidden = if stdin.is_terminal() {
        // Whoever closed standard error is not asked, and can still type.
        let _ = write!(io::stderr().lock(), "{question}");
        let _ = io::stderr().lock().flush();
        Hidden::new()
    } else {
        None
    };
    let mut line = Zeroizing::new(String::with_capacity(LINE_OCTETS));
    let read = stdin.lock().take(LINE_OCTETS_MAX).read_line(&mut line);
    if hidden.is_some() {
        let _ = writeln!(io::stderr().lock());
    }
    drop(hidden);
    read.map_err(|error| Failure::failed(format!("the password cannot be read: {error}")))?;
    if line.len() as u64 == LINE_OCTETS_MAX {
        return Err(Failure::usage("that is too long for a password; nothing was changed"));
    }
    let password = line.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(Failure::usage("a password cannot be empty; nothing was changed"));
    }
    Ok(Secret::from(password.as_bytes()))
}

/// A terminal that does not show what is typed, until it is dropped.
struct Hidden(rustix::termios::Termios);

impl Hidden {
    fn new() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent).ok()?;
        Some(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that has gone away shows nothing anyway.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Longer passwords leave a copy behind where the line grew.
const LINE_OCTETS: usize = 4 * 1024;
/// A line of standard input that is longer is no password (octets); whether a shorter one can be one is for the registry.
/// No limit of the config: in the operator's own command, refused with a sentence.
const LINE_OCTETS_MAX: u64 = 128 * 1024;
