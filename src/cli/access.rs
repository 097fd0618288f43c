//! `bindery access explain`: what an account sees, and through which grant.

use std::fmt::Write;

use super::arguments::DirectoryArguments;
use super::backend::Absent;
use super::failure::Failure;
use super::output::Output;
use crate::access::Explanation;
use crate::http::{ExplainRequest, ExplainResponse, path};

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
    /// One provider, instead of all
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    #[command(flatten)]
    directory: DirectoryArguments,
}

pub(super) async fn run(command: AccessCommand, output: Output) -> Result<(), Failure> {
    let AccessCommand::Explain(ExplainArguments { account, entry, provider, directory }) = command;
    let request = ExplainRequest { account, provider, entry };
    let response: ExplainResponse = directory
        .with(Absent::Fail, async |backend| Ok(backend.call(path::ACCESS_EXPLAIN, &request).await?))
        .await?;
    output.result(&response, || {
        let mut text = String::new();
        for explanation in &response.providers {
            in_words(&mut text, &response.account, explanation);
        }
        text
    })
}

fn in_words(text: &mut String, account: &str, explanation: &Explanation) {
    let Explanation {
        provider,
        base_dn,
        may_bind,
        bind_reason,
        sees_everything,
        search_reason,
        search_limits,
        own_entries,
        entry,
        ..
    } = explanation;
    let binds = if *may_bind { "may bind" } else { "may not bind" };
    let sees = if *sees_everything { "sees the whole directory" } else { "does not see the whole directory" };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{account} on {provider} ({base_dn})");
    let _ = writeln!(text, "  {binds}: {bind_reason}");
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
}
