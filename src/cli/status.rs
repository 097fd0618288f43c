//! `bindery status`: which server runs, and what it serves.

use super::arguments::DirectoryArguments;
use super::backend::Absent;
use super::failure::Failure;
use super::output::Output;
use crate::clock::Standing;
use crate::http::{Status, path};

/// Say which server runs, what it serves, and which limits were reached
#[derive(Debug, clap::Args)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    directory: DirectoryArguments,
}

pub(super) async fn run(arguments: StatusArguments, output: Output) -> Result<(), Failure> {
    let (status, is_server) = arguments
        .directory
        .with(Absent::Fail, async |backend| {
            let status: Status = backend.ask(path::STATUS).await?;
            Ok((status, backend.is_server()))
        })
        .await?;
    output.result(&status, || {
        let server = if is_server {
            format!("running: bindery {}, process {}", status.version, status.process)
        } else {
            "not running; this is the store".to_owned()
        };
        let seeded = if status.is_seeded { "" } else { ", never seeded" };
        format!(
            "{server}\nrevision {}{seeded}: {} accounts, {} groups\n{}{}{}",
            status.revision,
            status.accounts,
            status.groups,
            status.base_dns.join("\n"),
            limits_in_words(&status),
            clock_in_words(&status)
        )
    })
}

/// That the clock is not believed.
fn clock_in_words(status: &Status) -> String {
    match status.clock.standing {
        Standing::Believed => String::new(),
        Standing::Ahead | Standing::Behind => format!("\n{}", status.clock),
    }
}

/// The limits that were reached at all.
fn limits_in_words(status: &Status) -> String {
    let reached = status.limits_reached.iter().filter(|(_, count)| **count > 0);
    let lines: String = reached.map(|(limit, count)| format!("\n  {limit}: {count}")).collect();
    if lines.is_empty() { lines } else { format!("\nlimits reached:{lines}") }
}
