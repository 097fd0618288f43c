//! `bindery export`: the directory as LDIF or the account model as JSON, to a file or to standard output.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::arguments::{PlaceArguments, ReadingArguments};
use super::failure::Failure;
use super::output::Output;
use crate::http::path;
use crate::registry::commands::{ExportFormat, ExportOptions};
use crate::store::{FileError, NewFile};

/// Write the directory out: as LDIF for other directories, or the account model as JSON. No secrets are written, and not who
/// has made what
#[derive(Debug, clap::Args)]
pub(super) struct ExportArguments {
    /// The entries of one provider as LDIF (RFC 2849), or everything about accounts as one JSON document
    #[arg(long, value_enum)]
    format: Format,
    /// The provider. Without it: the default one for LDIF, all of them for JSON
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// LDIF: write virtual groups and everything that is computed for an answer, too
    #[arg(long)]
    all: bool,
    /// Write to this new file, readable by its owner only, when the export is complete, or into this pipe or device; else to
    /// standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Put it in the place of a file that is there
    #[arg(long, requires = "output")]
    force: bool,
    #[command(flatten)]
    directory: ReadingArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Ldif,
    Json,
}

/// What `--json` prints of an export that went to a file.
#[derive(Serialize)]
struct Document<'a> {
    output: &'a Path,
    octets: u64,
}

pub(super) async fn run(
    arguments: ExportArguments,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let ExportArguments { format, provider, all, output: file, force, directory } = arguments;
    if output.is_json() && file.is_none() && format == Format::Ldif {
        return Err(Failure::usage("LDIF is no JSON document: give --output FILE, or --format json"));
    }
    if all && format == Format::Json {
        return Err(Failure::usage("--all is about LDIF; the JSON document holds everything as it is"));
    }
    let format = match format {
        Format::Ldif => ExportFormat::Ldif,
        Format::Json => ExportFormat::Json,
    };
    let options = ExportOptions { format, provider, all };
    let mut destination = Destination::open(file.as_deref(), force, output)?;
    directory
        .with(place, async |backend| {
            backend.download(path::EXPORT, &options, |octets| destination.write(octets)).await
        })
        .await?;
    destination.finish()
}

/// Where the export goes.
enum Destination<'a> {
    Output {
        output: Output,
        end: End,
    },
    /// A file that gets its name when it is complete, so that half of an export is never taken for all of it.
    File {
        file: NewFile,
        path: &'a Path,
        octets: u64,
        output: Output,
        end: End,
    },
}

/// The last octets of an export, where its remarks stand.
#[derive(Default)]
struct End(Vec<u8>);

impl End {
    fn keep(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
        let behind = self.0.len().saturating_sub(END_OCTETS);
        self.0.drain(..behind);
    }

    /// The comments at the end of LDIF; there are none in JSON.
    fn remarks(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.0);
        let comments = text.lines().rev().map_while(|line| line.strip_prefix("# "));
        let mut remarks: Vec<String> = comments.map(str::to_owned).collect();
        remarks.reverse();
        remarks
    }
}

/// There is one remark for each attribute type.
const END_OCTETS: usize = 16 * 1024;

impl<'a> Destination<'a> {
    fn open(path: Option<&'a Path>, may_replace: bool, output: Output) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::Output { output, end: End::default() }) };
        // People are in it: nobody else needs to read it.
        let file = NewFile::create_or_write_into(path, may_replace)?;
        Ok(Self::File { file, path, octets: 0, output, end: End::default() })
    }

    fn write(&mut self, octets: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Output { output, end } => {
                end.keep(octets);
                output.octets(octets)
            }
            Self::File { file, path, octets: count, end, .. } => {
                end.keep(octets);
                *count += octets.len() as u64;
                file.write_all(octets).map_err(|error| {
                    Failure::failed(format!("{} cannot be written: {error}", path.display()))
                })
            }
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Output { output, end } => {
                output.octets(b"")?;
                end.remarks().iter().for_each(|remark| output.message(remark));
                Ok(())
            }
            Self::File { file, path, octets, output, end } => {
                file.finish(|_| Ok::<(), FileError>(()))?;
                end.remarks().iter().for_each(|remark| output.message(remark));
                if output.is_json() {
                    return output.result(&Document { output: path, octets }, String::new);
                }
                output.message(&format!("{octets} octets are in {}", path.display()));
                Ok(())
            }
        }
    }
}
