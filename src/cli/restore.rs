//! `bindery restore`: a data directory gets the store of a backup.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::arguments::{PlaceArguments, load_settings};
use super::backend::{Backend, in_turn};
use super::failure::{Exit, Failure, in_words};
use super::output::Output;
use crate::auth::{TokenKeyError, TokenKeys, is_finding_file};
use crate::clock::Clock;
use crate::config::Settings;
use crate::model::{Timestamp, visible};
use crate::secret::Secret;
use crate::server::{Opening, open_registry};
use crate::store::{
    Contents, Counts, Examined, Existing, FINDING_KEY_NAME, Restoration, ValidAgain, check_apart, examine,
};

/// Make the store of a backup in a data directory that has none
#[derive(Debug, clap::Args)]
pub(super) struct RestoreArguments {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data directory, instead of the config's
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Set aside the store that is there; without it, only say what differs
    #[arg(long)]
    replace: bool,
    /// Make another `token.key`, and revoke the API tokens whose chosen secrets are not found with it
    #[arg(long)]
    new_token_key: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    data_dir: &'a Path,
    made: Timestamp,
    revision: u64,
    incarnation: Option<String>,
    set_aside: Option<PathBuf>,
    /// By name, what was not valid in the store that was there.
    valid_again: Option<&'a ValidAgain>,
    rights_gone: Option<&'a [String]>,
    ended_tokens: Vec<&'a str>,
}

/// How the backup differs from the store that is there.
struct Compared {
    again: ValidAgain,
    /// Memberships, roles and permissions that the backup does not have.
    rights_gone: Vec<String>,
}

pub(super) async fn run(
    arguments: RestoreArguments,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let RestoreArguments { file, data_dir, replace, new_token_key } = arguments;
    let mut settings = load_settings(&place.config()?)?;
    settings.data_dir = data_dir.unwrap_or(settings.data_dir);
    check_apart(&settings.data_dir, None)?;
    let examined = examine(&file)?;
    let restoration = in_turn(&settings.limits, || Restoration::begin(&settings.data_dir)).await?;
    // It may be set aside beside the store: what cannot be read is told before all that takes long.
    let own = match TokenKeys::finding_file(&settings.data_dir) {
        Err(error @ TokenKeyError::FindingUnreadable { .. }) => {
            return Err(Failure::of(Exit::Wrong, &error));
        }
        own => own,
    };

    let existing = restoration.existing();
    let compared = match &existing {
        Existing::Readable(later) => Some(Compared {
            again: examined.contents.valid_again(later),
            rights_gone: later.rights_beyond(&examined.contents),
        }),
        Existing::Nothing | Existing::Unreadable(_) => None,
    };
    tell_differences(&existing, &examined, compared.as_ref(), output);
    if !replace && !matches!(existing, Existing::Nothing) {
        return Err(Failure::failed(format!(
            "there is a store in {}, and nothing was done: give --replace to set it aside and put the backup in its \
             place, or another directory by --data-dir",
            settings.data_dir.display()
        )));
    }
    let key = key_of(&examined, own, &settings.data_dir, new_token_key, &file)?;

    let ended: Vec<&str> =
        if new_token_key { examined.contents.chosen_tokens().collect() } else { Vec::new() };
    let replaced = match &existing {
        Existing::Readable(there) => Some(&there.counts.meta),
        Existing::Nothing | Existing::Unreadable(_) => None,
    };
    let drafted = restoration.draft(&file, FINDING_KEY_NAME, key.as_ref(), replaced)?;
    if !ended.is_empty() {
        // Before it is the store, which no start takes with another key.
        let there = Settings { data_dir: drafted.directory().to_owned(), ..settings.clone() };
        end_tokens(&there, &ended).await?;
    }
    let (meta, set_aside) = restoration.finish(drafted)?;
    let document = Document {
        data_dir: &settings.data_dir,
        made: examined.made,
        revision: meta.revision,
        incarnation: meta.incarnation.map(|incarnation| incarnation.to_string()),
        set_aside: set_aside.clone(),
        valid_again: compared.as_ref().map(|compared| &compared.again),
        rights_gone: compared.as_ref().map(|compared| &*compared.rights_gone),
        ended_tokens: ended.clone(),
    };
    output.result(&document, || {
        let mut text = format!(
            "{} has the store of {} at revision {}",
            settings.data_dir.display(),
            examined.made,
            meta.revision
        );
        if let Some(aside) = &set_aside {
            text.push_str(&format!("\nwhat was there is in {}", aside.display()));
        }
        if !ended.is_empty() {
            text.push_str(&format!("\nAPI tokens that were revoked: {}", list(&ended)));
        }
        text
    })
}

/// The content that the file of the key gets; `None`: it stays as it is.
fn key_of(
    examined: &Examined,
    own: Result<Option<Secret>, TokenKeyError>,
    data_dir: &Path,
    new_token_key: bool,
    file: &Path,
) -> Result<Option<Secret>, Failure> {
    if new_token_key {
        return TokenKeys::new_file().map(Some).map_err(|error| Failure::of(Exit::Failed, &error));
    }
    let needed: Vec<&str> = examined.contents.chosen_tokens().collect();
    // As a start would ask.
    let serves = |key: &Secret| {
        let marks = TokenKeys::mark_in(key).zip(examined.contents.counts.meta.token_key);
        needed.is_empty() || marks.is_none_or(|(key, store)| key == store)
    };
    let lacks = match &examined.keys {
        Some(key) if !is_finding_file(key) => {
            let sentence = format!("what {} has as `token.key` is no key", file.display());
            return Err(Failure::new(Exit::Store, sentence));
        }
        Some(key) if serves(key) => return Ok(Some(key.clone())),
        Some(_) => "has another `token.key` than that of its store",
        None => "was made without `token.key`",
    };
    let there = match own.map_err(|error| Failure::of(Exit::Wrong, &error))? {
        Some(key) if serves(&key) => return Ok(None),
        None if needed.is_empty() => return Ok(None),
        Some(_) => "another one is",
        None => "there is none",
    };
    Err(Failure::new(
        Exit::Wrong,
        format!(
            "the backup {lacks}, and {there} in {}: put the one of that time there, or give --new-token-key, which revokes the API \
             tokens whose secrets were chosen: {}",
            data_dir.display(),
            list(&needed)
        ),
    ))
}

/// Revokes tokens in the store that is being made, as the operator.
async fn end_tokens(settings: &Settings, identifiers: &[&str]) -> Result<(), Failure> {
    let opening = Opening { makes_new_token_key: true, ..Opening::default() };
    let registry = open_registry(settings, Arc::new(Clock::of_system()), opening)?;
    // A store that knows its key by a mark has ended them.
    let snapshot = registry.snapshot();
    let left = identifiers.iter().filter(|identifier| snapshot.accounts().token_named(identifier).is_some());
    let left: Vec<&str> = left.copied().collect();
    let mut backend = Backend::own(registry);
    let mut ended = Ok(());
    for identifier in left {
        ended = backend.delete(&["core", "tokens", identifier]).await;
        if ended.is_err() {
            break;
        }
    }
    backend.close().await;
    ended
}

/// Says what the store that is there has, and what becomes valid again.
fn tell_differences(existing: &Existing, examined: &Examined, compared: Option<&Compared>, output: Output) {
    match existing {
        Existing::Nothing => output.message(&format!(
            "what was revoked, deactivated or deleted after {} is valid again: tokens, accounts, memberships, rights",
            examined.made
        )),
        Existing::Unreadable(error) => output.message(&format!(
            "the store that is there cannot be compared: {}. What was revoked, deactivated or deleted after {} is valid \
             again",
            in_words(error),
            examined.made
        )),
        Existing::Readable(later) => tell_counts(later, examined, output),
    }
    let Some(Compared { again, rights_gone }) = compared else { return };
    let lines = [
        ("tokens that the store there does not have are valid again", &again.revoked_tokens),
        ("tokens have an earlier secret again", &again.replaced_secrets),
        ("tokens expire later than there, or not at all, and may have ended there", &again.longer_tokens),
        ("tokens may be used from more networks than there", &again.wider_tokens),
        ("accounts that are not active there may bind again", &again.accounts),
        ("people have another password than there", &again.passwords),
        ("rights that were taken away there are held again", &again.rights),
        (
            "applications admit others than there, or keep nobody from their provider any more",
            &again.applications,
        ),
        ("rights that are held there are gone", rights_gone),
    ];
    for (sentence, names) in lines {
        if !names.is_empty() {
            output.message(&format!("{sentence}: {}", list(names)));
        }
    }
    if again.is_empty() {
        output.message("no token, account, password or right is valid again that is not valid there");
    }
}

fn tell_counts(later: &Contents, examined: &Examined, output: Output) {
    let (earlier, later) = (examined.contents.counts, later.counts);
    let when = |counts: Counts| {
        counts.newest.map(|time| format!(", its newest event is of {time}")).unwrap_or_default()
    };
    let of_one = match (earlier.meta.incarnation, later.meta.incarnation) {
        (Some(one), Some(other)) if one != other => " and of another life of a store",
        _ => "",
    };
    output.message(&format!(
        "the store there is at revision {}{}; the backup is at revision {}{}{of_one}",
        later.meta.revision,
        when(later),
        earlier.meta.revision,
        when(earlier)
    ));
    for ((kind, there), (_, here)) in later.by_kind().zip(earlier.by_kind()) {
        if there != here {
            output.message(&format!("{kind}: {there} there, {here} in the backup"));
        }
    }
}

/// Names in one line, the first of very many.
fn list(names: &[impl AsRef<str>]) -> String {
    let mut shown: Vec<String> =
        names.iter().take(NAMES_SHOWN_MAX).map(|name| visible(name.as_ref())).collect();
    if names.len() > NAMES_SHOWN_MAX {
        shown.push(format!("and {} more (--json lists all)", names.len() - NAMES_SHOWN_MAX));
    }
    shown.join(", ")
}

/// No limit of the config: all are counted, and nobody reads more.
const NAMES_SHOWN_MAX: usize = 1_000;
