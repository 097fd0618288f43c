//! `bindery backup`: the whole store into a file, from a server that goes on, or without one; and what such a file holds.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::arguments::{OpeningArguments, PlaceArguments};
use super::backend::Absent;
use super::failure::{Exit, Failure};
use super::output::{Output, Stream, fields, is_terminal};
use crate::auth::TokenKeys;
use crate::http::{BackupRequest, path};
use crate::model::Timestamp;
use crate::store::{NewFile, Verified, verify};

/// Write everything in the store into a file, from which `bindery restore` makes a store
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct BackupArguments {
    #[command(subcommand)]
    command: Option<BackupCommand>,
    /// The new file, readable by its owner only, which is no pipe or device; `-`: standard output
    #[arg(value_name = "FILE", required = true)]
    file: Option<PathBuf>,
    /// Put `token.key` into it, too: whoever has the file then can search for chosen secrets of API tokens
    #[arg(long)]
    with_keys: bool,
    /// Put it in the place of a file that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Subcommand)]
enum BackupCommand {
    /// Read a backup to its end, and say what it holds, or where it is damaged (exit code 4)
    Verify {
        /// The backup
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub(super) async fn run(
    arguments: BackupArguments,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let BackupArguments { command, file, with_keys, force, directory } = arguments;
    let file = match (command, file) {
        (Some(BackupCommand::Verify { file }), _) => return tell(&file, &verify(&file)?, output),
        (None, Some(file)) => file,
        (None, None) => return Err(Failure::usage("name the file that the backup is to be written to")),
    };
    let is_streamed = file == Path::new("-");
    let to = match std::path::absolute(&file) {
        Ok(path) if !is_streamed => path.display().to_string(),
        _ => "standard output".to_owned(),
    };
    let request = BackupRequest { to, with_keys };
    if is_streamed {
        if output.is_json() {
            return Err(Failure::usage("a backup is no JSON document: name a file in place of `-`"));
        }
        if is_terminal(Stream::Output) {
            return Err(Failure::usage("a backup is nothing to look at: name a file in place of `-`"));
        }
        return directory
            .with(place, Absent::Fail, async |backend| {
                backend.download(path::BACKUP, &request, |octets| output.octets(octets)).await?;
                output.octets(b"")
            })
            .await;
    }
    let mut written = NewFile::create(&file, force)?;
    directory
        .with(place, Absent::Fail, async |backend| {
            let write = |octets: &[u8]| {
                written.write_all(octets).map_err(|error| {
                    Failure::failed(format!("{} cannot be written: {error}", file.display()))
                })
            };
            backend.download(path::BACKUP, &request, write).await
        })
        .await?;
    tell(&file, &written.finish(verify)?, output)
}

/// What `--json` prints of a backup.
#[derive(Serialize)]
struct Document<'a> {
    file: &'a Path,
    octets: u64,
    made: Timestamp,
    incarnation: Option<String>,
    revision: u64,
    newest_event: Option<Timestamp>,
    has_keys: bool,
    counts: BTreeMap<&'static str, u64>,
}

fn tell(file: &Path, verified: &Verified, output: Output) -> Result<(), Failure> {
    let Verified { made, counts, octets, keys, needs_key } = verified;
    let meta = &counts.meta;
    let marks = keys.as_ref().map(TokenKeys::mark_in).zip(meta.token_key);
    if *needs_key && marks.is_some_and(|(key, store)| key != Some(store)) {
        let sentence = format!(
            "all of {} was read, and its `token.key` is not that of its store, which API tokens in it need: it can be restored where \
             the right one is in the data directory, or with --new-token-key; make another backup",
            file.display()
        );
        return Err(Failure::new(Exit::Store, sentence));
    }
    let incarnation = meta.incarnation.map(|incarnation| incarnation.to_string());
    let document = Document {
        file,
        octets: *octets,
        made: *made,
        incarnation: incarnation.clone(),
        revision: meta.revision,
        newest_event: counts.newest,
        has_keys: keys.is_some(),
        counts: counts.by_kind().collect(),
    };
    output.result(&document, || {
        let mut lines = vec![
            ("backup".to_owned(), format!("{} is whole: {octets} octets", file.display())),
            ("made".to_owned(), made.to_string()),
            ("store".to_owned(), incarnation.unwrap_or_default()),
            ("revision".to_owned(), meta.revision.to_string()),
            ("newest event".to_owned(), counts.newest.map(|time| time.to_string()).unwrap_or_default()),
        ];
        lines.extend(counts.by_kind().map(|(kind, count)| (kind.to_owned(), count.to_string())));
        let keys = if keys.is_some() { "is in it" } else { "is not in it" };
        lines.push(("token.key".to_owned(), keys.to_owned()));
        fields(&lines)
    })
}
