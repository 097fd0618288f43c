//! `bindery salvage`: what is sound in the files of a damaged store, as a backup.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::arguments::{PlaceArguments, load_settings};
use super::backend::in_turn;
use super::failure::{Exit, Failure};
use super::output::Output;
use crate::audit;
use crate::config::Limits;
use crate::directory::{SnapshotBuilder, name_key};
use crate::model::{CustomAttribute, LdapProvider, Record, visible};
use crate::store::{
    Missing, NewFile, SalvageRules, Salvaged, check_apart, check_owner, has_store, salvage, verify,
};

/// Write what is sound in the files of a damaged store as a backup, and say what is missing
#[derive(Debug, clap::Args)]
pub(super) struct SalvageArguments {
    /// The new backup, readable by its owner only; a copy of the database is made beside it meanwhile
    #[arg(long, value_name = "FILE", default_value = "salvaged.backup")]
    output: PathBuf,
    /// Put it in the place of a file that is there
    #[arg(long)]
    force: bool,
    /// The data directory, instead of the config's
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    output: &'a Path,
    revision: u64,
    records: u64,
    records_expected: Option<u64>,
    counts: BTreeMap<&'static str, u64>,
    sources: &'a [String],
    missing: Vec<MissingObject<'a>>,
    events_missing: BTreeMap<&'static str, u64>,
    left_out: &'a [String],
    changed: &'a [String],
    earlier: &'a [String],
}

#[derive(Serialize)]
struct MissingObject<'a> {
    kind: &'static str,
    number: u32,
    name: Option<&'a str>,
}

pub(super) async fn run(
    arguments: SalvageArguments,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let SalvageArguments { output: file, force, data_dir } = arguments;
    let (data_dir, limits) = match data_dir {
        Some(data_dir) => {
            place.unused()?;
            (data_dir, Limits::default())
        }
        None => {
            let settings = load_settings(&place.config()?)?;
            (settings.data_dir, settings.limits)
        }
    };
    // Another user may see nothing of it.
    check_owner(&data_dir)?;
    if !has_store(&data_dir) {
        return Err(Failure::new(Exit::Failed, format!("there is no store in {}", data_dir.display())));
    }
    check_apart(&file, Some(&data_dir))?;
    let mut written = NewFile::create(&file, force)?;
    let scratch = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let rules = SalvageRules { digest: &audit::digest, misfit: &misfit, name_key: &name_key };
    // Nothing is written before nobody else holds the store.
    let salvaged = in_turn(&limits, || salvage(&data_dir, scratch, &rules, &mut written)).await?;
    let verified = written.finish(verify)?;
    let document = Document {
        output: &file,
        revision: salvaged.revision,
        records: salvaged.records,
        records_expected: salvaged.records_expected,
        counts: verified.counts.by_kind().collect(),
        sources: &salvaged.sources,
        missing: salvaged.missing.iter().map(MissingObject::of).collect(),
        events_missing: salvaged
            .events_missing
            .iter()
            .map(|(trail, count)| (trail.as_str(), *count))
            .collect(),
        left_out: &salvaged.left_out,
        changed: &salvaged.changed,
        earlier: &salvaged.earlier,
    };
    output.result(&document, || in_words(&file, &salvaged))
}

impl<'a> MissingObject<'a> {
    fn of(missing: &'a Missing) -> Self {
        Self { kind: missing.kind, number: missing.number, name: missing.name.as_deref() }
    }
}

fn in_words(file: &Path, salvaged: &Salvaged) -> String {
    let mut lines: Vec<String> = salvaged.sources.clone();
    let expected = salvaged.records_expected.map(|records| format!(" of {records}")).unwrap_or_default();
    lines.push(format!(
        "{} has {} records{expected}, up to revision {}",
        file.display(),
        salvaged.records,
        salvaged.revision
    ));
    for missing in &salvaged.missing {
        let name = missing.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
        lines.push(format!("missing: {} {}{name}", missing.kind, missing.number));
    }
    for (trail, count) in &salvaged.events_missing {
        lines.push(format!("missing: {count} events of the trail {}", trail.as_str()));
    }
    for (what, names) in [
        ("left out", &salvaged.left_out),
        ("lost a reference", &salvaged.changed),
        ("only an earlier version is whole", &salvaged.earlier),
    ] {
        lines.extend(names.iter().map(|name| format!("{what}: {name}")));
    }
    lines.push(
        "what was revoked, deactivated or deleted in what is lost may be valid again: look through it when it is \
         restored"
            .to_owned(),
    );
    lines.iter().map(|line| visible(line)).collect::<Vec<_>>().join("\n")
}

/// Why a provider makes no directory.
fn misfit(attributes: &[CustomAttribute], provider: &LdapProvider) -> Option<String> {
    let mut builder = SnapshotBuilder::new();
    attributes.iter().for_each(|attribute| builder.add(Record::CustomAttribute(attribute.clone())));
    builder.add(Record::Provider(provider.clone()));
    builder.finish(0).err()
}
