//! `bindery access explain`: what an account sees, and through which grant.

use std::fmt::Write;
use std::net::IpAddr;

use super::arguments::{PlaceArguments, ReadingArguments};
use super::failure::Failure;
use super::output::Output;
use crate::access::{Bound, Explanation, Found};
use crate::http::{ExplainRequest, ExplainResponse, path};
use crate::model::Timestamp;

/// What an account sees, and through which grant
#[derive(Debug, clap::Subcommand)]
pub(super) enum AccessCommand {
    /// What an account sees through which grant, or which grant is missing
    Explain(ExplainArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct ExplainArguments {
    /// The account
    account: String,
    /// An entry: whether the account sees it
    #[arg(long, value_name = "DN")]
    entry: Option<String>,
    /// A search of the whole directory: how many entries the account is shown of those that match
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// One provider, instead of all
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Where it comes from; without it there is no address, as on a Unix socket
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,
    /// When, such as 2027-11-18T10:00:00Z; without it now
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    #[command(flatten)]
    directory: ReadingArguments,
}

pub(super) async fn run(
    command: AccessCommand,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let AccessCommand::Explain(arguments) = command;
    let ExplainArguments { account, entry, filter, provider, source, at, directory } = arguments;
    let request = ExplainRequest { account, provider, entry, filter, source, at };
    let response: ExplainResponse = directory
        .with(place, async |backend| Ok(backend.call(path::ACCESS_EXPLAIN, &request).await?))
        .await?;
    output.result(&response, || {
        let mut text = asked_for(&response, at.is_some());
        for explanation in &response.providers {
            in_words(&mut text, &response.account, explanation);
        }
        text
    })
}

/// From where and for when the answer is.
fn asked_for(response: &ExplainResponse, is_time_given: bool) -> String {
    let source = match response.source {
        Some(source) => format!("from {source}"),
        None => "from no known source (--source ADDRESS)".to_owned(),
    };
    let now = if is_time_given { "" } else { ", now (--at TIME)" };
    format!("{source}, at {}{now}\n", response.at)
}

fn in_words(text: &mut String, account: &str, explanation: &Explanation) {
    let Explanation {
        provider,
        base_dn,
        may_bind,
        bind_reason,
        bindings,
        sees_everything,
        search_reason,
        search_limits,
        own_entries,
        entry,
        filter,
        ..
    } = explanation;
    let binds = if *may_bind { "may bind" } else { "may not bind" };
    let sees = if *sees_everything { "sees the whole directory" } else { "does not see the whole directory" };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{account} on {provider} ({base_dn})");
    let _ = writeln!(text, "  {binds}: {bind_reason}");
    for Bound { passes, sentence } in bindings {
        let outcome = match passes {
            Some(true) => "passes",
            Some(false) => "does not pass",
            None => "is switched off",
        };
        let _ = writeln!(text, "    a binding {outcome}: {sentence}");
    }
    let _ = writeln!(text, "  {sees}: {}", search_reason.sentence);
    let _ = writeln!(text, "  a search returns");
    for limit in search_limits {
        let _ = writeln!(text, "    {limit}");
    }
    if !*sees_everything {
        let _ = writeln!(text, "  besides the suffix and the containers it sees");
        for dn in own_entries {
            let _ = writeln!(text, "    {dn}");
        }
    }
    if let Some(entry) = entry {
        let _ = writeln!(text, "  {entry}");
    }
    if let Some(Found { seen, hidden, first }) = filter {
        let _ = writeln!(
            text,
            "  a search with the filter finds {seen} entries for it, and {hidden} that it is not shown"
        );
        for dn in first {
            let _ = writeln!(text, "    {dn}");
        }
        if *seen > first.len() {
            let _ = writeln!(text, "    and {} more", seen - first.len());
        }
    }
}
