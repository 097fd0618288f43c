//! The config file: read, checked and turned into [`Settings`] and a [`Seed`], or into [`Problems`].
//!
//! Everything that is wrong is reported at once, each with its file, line, column and key. What only the
//! store knows (whether a name that is not in the file exists) is left to [`Config::dangling`].

mod diagnostics;
mod environment;
mod file;
mod limit_counts;
mod limits;
mod names;
mod place;
mod reader;
mod seed;
mod seed_binding;
mod seed_reader;
mod seed_secret;
mod seed_value;
mod settings;
mod settings_reader;
mod source;
mod value;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod documentation;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

pub use diagnostics::Problems;
pub use environment::Lookup;
pub use limit_counts::LimitCounts;
pub use limits::{Limit, Limits, LimitsInForce};
pub(crate) use names::{BadName, canonical_dn, check_name};
pub use place::Found;
pub use seed::{
    BadReference, ReferenceKind, Seed, SeedAccount, SeedApplication, SeedAttribute, SeedBinding, SeedGrant,
    SeedGroup, SeedProvider, SeedReference, SeedRole, SeedSecret, SeedSubject, SeedToken,
};
pub use seed_reader::LocatedReference;
pub use settings::{
    BackupSettings, BadListenAddress, ClientAccount, ClientName, HashingSettings, ListenAddress,
    ListenerError, LogFormat, LogLevel, LogSettings, OnStoreFailure, PlainBind, ROTATION_OVERLAP_MAX,
    Settings, TlsSettings,
};
pub use source::Located;

use crate::model::{AccountKind, first_identifier};
use file::ConfigFile;
use place::Place;
use reader::TableReader;
use seed_reader::SeedReader;
use seed_secret::SecretSources;

/// A config without problems.
#[derive(Clone, Debug)]
pub struct Config {
    /// The main file, as it was named.
    pub path: PathBuf,
    /// `[server]`, with what variables override.
    pub settings: Settings,
    /// The objects.
    pub seed: Seed,
    /// Every name in the seed that stands for another object.
    pub references: Vec<LocatedReference>,
    places: HashMap<(ReferenceKind, String), Place>,
}

/// Reads the config file at `path`, the files that it includes and the secrets that they name.
/// `environment` looks variables up: [`std::env::var_os`] in all but tests.
///
/// # Errors
/// All that is wrong.
pub fn load(path: &Path, environment: &Lookup<'_>) -> Result<Config, Problems> {
    read(path, environment, true)
}

/// Reads the same but for the secrets: nothing that they are read from is looked at. For a server whose store was seeded,
/// which does not need the seed.
///
/// # Errors
/// All that is wrong.
pub fn check_without_secrets(path: &Path, environment: &Lookup<'_>) -> Result<(), Problems> {
    read(path, environment, false).map(drop)
}

fn read(path: &Path, environment: &Lookup<'_>, reads_secrets: bool) -> Result<Config, Problems> {
    let mut problems = Problems::default();
    let Some(main) = ConfigFile::read(path, 0, None, &mut problems) else { return Err(problems) };
    let table = main.parse(&mut problems);
    let mut root = TableReader::root(&main.source, &table);
    let included = file::included(&mut root, &main, &mut problems);
    let settings = settings_reader::read_settings(&mut root, &main.directory, environment, &mut problems);
    let length_max = usize::try_from(settings.limits.bind_secret_length_max).unwrap_or(usize::MAX);
    let sources = SecretSources { environment, length_max, is_read: reads_secrets };
    let mut reader = SeedReader::new(sources);
    reader.read(&mut root, &main, &mut problems);
    root.finish(&mut problems);

    for (order, Located { value: path, position }) in included.into_iter().enumerate() {
        let Some(file) = ConfigFile::read(&path, order + 1, Some(&position), &mut problems) else { continue };
        let table = file.parse(&mut problems);
        let mut root = TableReader::root(&file.source, &table);
        root.refuse(
            "server",
            "an included file holds seed only: this belongs into the main file",
            &mut problems,
        );
        root.refuse("include", "an included file cannot include others", &mut problems);
        reader.read(&mut root, &file, &mut problems);
        root.finish(&mut problems);
    }

    if !problems.is_empty() {
        problems.settle();
        return Err(problems);
    }
    let SeedReader { seed, places, references, .. } = reader;
    Ok(Config { path: path.to_owned(), settings, seed, references, places })
}

/// Reads `[server]` alone: for commands that only need to find the directory, and for a reload. The seed, its
/// files and its secrets are not looked at.
///
/// # Errors
/// All that is wrong with it.
pub fn load_settings(path: &Path, environment: &Lookup<'_>) -> Result<Settings, Problems> {
    let mut problems = Problems::default();
    let Some(main) = ConfigFile::read(path, 0, None, &mut problems) else { return Err(problems) };
    let table = main.parse(&mut problems);
    let mut root = TableReader::root(&main.source, &table);
    let settings = settings_reader::read_settings(&mut root, &main.directory, environment, &mut problems);
    if problems.is_empty() {
        return Ok(settings);
    }
    problems.settle();
    Err(problems)
}

impl Config {
    /// The references to objects that are neither in the seed nor, as `exists_elsewhere` tells, in the
    /// store.
    pub fn dangling(&self, exists_elsewhere: impl Fn(ReferenceKind, &str) -> bool) -> Problems {
        let made = self.made_along();
        let mut problems = Problems::default();
        for LocatedReference { kind, name, key, position } in &self.references {
            let object = (*kind, names::name_form(*kind, name));
            if self.places.contains_key(&object) || made.contains(&object) || exists_elsewhere(*kind, name) {
                continue;
            }
            let known = self.places.keys().filter(|(other, _)| other == kind).map(|(_, name)| name.as_str());
            let hint = match value::nearest(name, known) {
                Some(meant) => format!("; did you mean {meant:?}?"),
                None => String::new(),
            };
            let message =
                format!("there is no {kind} {name:?}, neither in the config nor in the store{hint}");
            problems.report(position, key, message);
        }
        problems.settle();
        problems
    }

    /// What the seed makes without a table of its own: the group of `create_group` and the first app
    /// password of a service account.
    fn made_along(&self) -> HashSet<(ReferenceKind, String)> {
        let mut made = HashSet::new();
        for account in &self.seed.accounts {
            if account.create_group == Some(true) {
                made.insert((
                    ReferenceKind::Group,
                    names::name_form(ReferenceKind::Group, &account.username),
                ));
            }
            if account.said.kind == Some(AccountKind::ServiceAccount) {
                made.insert((ReferenceKind::Token, first_identifier(&account.username)));
            }
        }
        made
    }
}
