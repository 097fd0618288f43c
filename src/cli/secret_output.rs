//! Secrets on standard output: it is tried before one is made, and where one could not be printed it is said what was made and
//! how to get another.

use serde::Serialize;

use super::failure::Failure;
use super::first_steps::quoted;
use super::output::{Output, Stream, is_terminal};
use crate::model::{Intent, Timestamp};

/// Standard output that takes something, as far as that can be known.
#[derive(Clone, Copy, Debug)]
pub(super) struct SecretOutput(Output);

/// A credential with its secret, as `--json` prints it.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    /// The username of its owner.
    pub(super) account: &'a str,
    pub(super) identifier: &'a str,
    pub(super) intent: Intent,
    pub(super) secret: &'a str,
    pub(super) expires: Option<Timestamp>,
    /// Of an account that is made: the group that was made along, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<Option<&'a str>>,
}

impl SecretOutput {
    /// To be asked for before anything is made.
    ///
    /// # Errors
    /// Standard output takes nothing.
    pub(super) fn open(output: Output) -> Result<Self, Failure> {
        output.try_secrets()?;
        Ok(Self(output))
    }

    /// Prints a secret, behind `words` on standard error, or as a document.
    ///
    /// # Errors
    /// It could not be printed: it is said what was `done`, and which command shows `another` secret.
    pub(super) fn show(
        self,
        shown: &Shown<'_>,
        words: &str,
        done: &str,
        another: &str,
    ) -> Result<(), Failure> {
        let output = self.0;
        if !output.is_json() {
            output.message(words);
        }
        // What is no terminal obeys nothing, and gets the secret as it is.
        let printed = if !output.is_json() && !is_terminal(Stream::Output) {
            let pieces = [shown.secret.as_bytes(), b"\n", b""];
            pieces.into_iter().try_for_each(|piece| output.octets(piece))
        } else {
            output.result(shown, || shown.secret.to_owned())
        };
        printed.map_err(|failure| {
            let why = match failure.messages.first() {
                Some(message) => message.clone(),
                None => "nobody reads standard output".to_owned(),
            };
            Failure::failed(format!(
                "{done}, but its secret could not be printed: {why}; `{another}` shows one"
            ))
        })
    }
}

/// The command that makes another secret in the place of one that nobody has seen.
pub(super) fn again(identifier: &str) -> String {
    format!("bindery token rotate {} --overlap 0s", quoted(identifier))
}

/// When something expires.
pub(super) fn in_words(expires: Option<Timestamp>) -> String {
    expires.map_or_else(|| "never".to_owned(), |expires| expires.to_string())
}
