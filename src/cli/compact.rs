//! `bindery compact`: the database is made anew, without what is gone.

use super::arguments::{OpeningArguments, PlaceArguments};
use super::backend::Absent;
use super::failure::Failure;
use super::output::Output;
use crate::http::{Compacted, path};

/// Make the store's database anew, without what is gone, if that saves something; beside a running server, which goes on meanwhile
#[derive(Debug, clap::Args)]
pub(super) struct CompactArguments {
    #[command(flatten)]
    directory: OpeningArguments,
}

pub(super) async fn run(
    arguments: CompactArguments,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let compacted: Compacted = arguments
        .directory
        .with(place, Absent::Fail, async |backend| Ok(backend.call(path::COMPACT, &()).await?))
        .await?;
    output.result(&compacted, || {
        let Compacted { before, after } = compacted;
        if after.database >= before.database {
            return format!(
                "there is nothing to save: the database takes {} octets, the journal {}",
                after.database, after.journal
            );
        }
        format!(
            "the store takes {} octets ({} before): {} of the database, {} of the journal",
            after.total(),
            before.total(),
            after.database,
            after.journal
        )
    })
}
