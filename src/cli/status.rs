//! `bindery status`: which server runs, and what it serves.

use super::arguments::{PlaceArguments, ReadingArguments};
use super::failure::Failure;
use super::output::Output;
use crate::clock::Standing;
use crate::http::{BackupStatus, Status, path};

/// Say which server runs, what it serves, and which limits were reached
#[derive(Debug, clap::Args)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    directory: ReadingArguments,
}

pub(super) async fn run(
    arguments: StatusArguments,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let (status, source) = arguments
        .directory
        .with(place, async |backend| {
            let status: Status = backend.ask(path::STATUS).await?;
            Ok((status, backend.source().map(str::to_owned)))
        })
        .await?;
    output.result(&status, || {
        let server = match &source {
            None => format!("running: bindery {}, process {}", status.version, status.process),
            Some(source) => format!("not running; this is {source}"),
        };
        let hindrance = status.hindrance.iter().map(|sentence| format!("{sentence}\n")).collect::<String>();
        let seeded = if status.is_seeded { "" } else { ", never seeded" };
        format!(
            "{server}\n{hindrance}revision {}{seeded}: {} accounts, {} groups\n{}{}{}{}",
            status.revision,
            status.accounts,
            status.groups,
            status.base_dns.join("\n"),
            status.backup.as_ref().map(backup_in_words).unwrap_or_default(),
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

/// The newest backup, and why there is no newer one.
fn backup_in_words(backup: &BackupStatus) -> String {
    let newest = match &backup.newest {
        Some(made) => format!("{made}, {} octets", backup.octets),
        None => "none yet".to_owned(),
    };
    let old = if backup.is_old { "; it is old" } else { "" };
    let failure = backup.failure.as_ref().map(|reason| format!("; the next could not be made: {reason}"));
    format!("\nnewest backup: {newest}{old}{}", failure.unwrap_or_default())
}

/// The limits that were reached at all.
fn limits_in_words(status: &Status) -> String {
    let reached = status.limits_reached.iter().filter(|(_, count)| **count > 0);
    let lines: String = reached.map(|(limit, count)| format!("\n  {limit}: {count}")).collect();
    if lines.is_empty() { lines } else { format!("\nlimits reached:{lines}") }
}
