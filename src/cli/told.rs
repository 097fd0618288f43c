//! What a change would bring about beside what was asked for: told before it is made, and on a terminal asked about.

use axum::http::Method;
use serde::Serialize;

use super::backend::Backend;
use super::confirm::ConfirmArguments;
use super::failure::Failure;
use super::output::Output;
use crate::http::api::{SharedValues, Told};
use crate::model::visible;

impl Backend {
    /// Finds out what a change would tell, before it is made: tells it on standard error, and asks where somebody can
    /// answer.
    ///
    /// # Errors
    /// The change would be refused, or the answer is not yes.
    pub(super) async fn ask_about(
        &mut self,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
        confirm: ConfirmArguments,
        output: Output,
    ) -> Result<(), Failure> {
        let lines = lines(&self.rehearse(method, path, body).await?);
        if lines.is_empty() {
            return Ok(());
        }
        output.message(&lines.join("\n"));
        confirm.ask_if_possible("Do it all the same?", output)
    }
}

/// A sentence for each thing.
pub(super) fn lines(told: &Told) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(foreign) = &told.foreign_credentials {
        for credential in &foreign.credentials {
            lines.push(foreign_credential(
                &credential.account,
                &credential.identifier,
                &credential.made_by,
                "revoke it if that is not meant",
            ));
        }
        lines.extend(more(foreign.more, "credentials of the kind"));
    }
    if let Some(losing) = &told.losing_access {
        for lost in &losing.accounts {
            lines.push(lost_access(
                &lost.username,
                &lost.application,
                lost.last_used.map(|time| time.0.to_string()),
            ));
        }
        lines.extend(more(losing.more, "accounts"));
    }
    lines.extend(shared_values(told.shared_values.as_ref()));
    lines
}

/// A sentence for each value by which objects could be taken for each other.
fn shared_values(shared: Option<&SharedValues>) -> Vec<String> {
    let Some(shared) = shared else { return Vec::new() };
    let sentences = shared.values.iter().map(|shared| {
        let between = shared.between.each_ref().map(|object| (object.kind.as_str(), object.name.as_str()));
        shared_value(between, &shared.value)
    });
    sentences.chain(more(shared.more, "of the kind")).collect()
}

/// Tells on standard error of values by which objects could be taken for each other.
pub(super) fn tell_shared(shared: Option<&SharedValues>, output: Output) {
    for line in shared_values(shared) {
        output.message(&line);
    }
}

/// A value that two objects are known by, in a sentence.
pub(super) fn shared_value(between: [(&str, &str); 2], value: &str) -> String {
    let [(kind, name), (other_kind, other)] = between;
    visible(&format!(
        "the {kind} {name} and the {other_kind} {other} are both known by `{value}`: clients could take one for the other"
    ))
}

/// A credential that somebody else has made, in a sentence that ends with what to do.
pub(super) fn foreign_credential(
    account: &str,
    identifier: &str,
    made_by: &[String],
    what_to_do: &str,
) -> String {
    let makers = made_by.join(", ");
    visible(&format!(
        "credential {identifier} of account {account} was made by {makers}, who does not hold what {account} gets: \
         {what_to_do}"
    ))
}

/// An account that is shut out, in a sentence.
pub(super) fn lost_access(account: &str, application: &str, last_used: Option<String>) -> String {
    let used = last_used.map_or_else(|| "not used".to_owned(), |time| format!("last used {time}"));
    visible(&format!("{account} loses access to {application} ({used})"))
}

/// What there is besides.
pub(super) fn more(count: usize, of_what: &str) -> Option<String> {
    (count > 0).then(|| format!("and {count} more {of_what}"))
}
