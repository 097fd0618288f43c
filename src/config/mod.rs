//! The config file: read, checked and turned into [`Settings`] and a [`Seed`], or into [`Problems`].
//!
//! Everything that is wrong is reported at once, each with its file, line, column and key. What only the
//! store knows (whether a name that is not in the file exists) is left to [`Config::dangling`].

mod diagnostics;
mod environment;
mod file;
mod limit_counts;
mod limits;
mod mended;
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
mod text;
mod value;
mod whole;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod documentation;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

use std::cell::RefCell;
use std::path::Path;

use toml::de::DeTable;

pub use diagnostics::{Problem, Problems};
pub use environment::Lookup;
pub use limit_counts::LimitCounts;
pub use limits::{Limit, Limits, LimitsInForce};
pub(crate) use names::{BadName, canonical_dn, check_name};
pub use seed::{
    BadReference, ReferenceKind, Seed, SeedAccount, SeedApplication, SeedAttribute, SeedBinding, SeedGrant,
    SeedGroup, SeedProvider, SeedReference, SeedRole, SeedSecret, SeedSubject, SeedToken,
};
pub use settings::{
    BackupSettings, BadListenAddress, ClientAccount, ClientName, HashingSettings, ListenAddress,
    ListenerError, LogFormat, LogLevel, LogSettings, OnStoreFailure, ROTATION_OVERLAP_MAX, SecretsInClear,
    Settings, TlsSettings,
};
use text::ConfigText;
pub use text::Located;
pub use value::show_duration;
pub use whole::{Config, Elsewhere, Found};

use file::ConfigFile;
use reader::TableReader;
use seed_reader::SeedReader;
use seed_secret::SecretSources;

/// A config that was read as far as that goes.
pub struct Reading {
    /// What could be read; `None` where the main file is missing or no TOML.
    pub config: Option<Config>,
    /// All that is wrong with its form.
    pub problems: Problems,
}

/// Reads the config file at `path`, the files that it includes and the secrets that they name.
/// `environment` looks variables up: [`std::env::var_os`] in all but tests.
///
/// # Errors
/// All that is wrong with their form.
#[cfg(test)]
pub fn load(path: &Path, environment: &Lookup<'_>) -> Result<Config, Problems> {
    let Reading { config, problems } = read(path, environment);
    config.filter(|_| problems.is_empty()).ok_or(problems)
}

/// Reads the same, and says what could be read beside what is wrong.
pub fn read(path: &Path, environment: &Lookup<'_>) -> Reading {
    read_all(path, environment, true)
}

/// Reads the same but for the secrets: nothing that they are read from is looked at. For a server whose store was seeded,
/// which does not need the seed.
///
/// # Errors
/// All that is wrong.
pub fn check_without_secrets(path: &Path, environment: &Lookup<'_>) -> Result<(), Problems> {
    let Reading { problems, .. } = read_all(path, environment, false);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn read_all(path: &Path, environment: &Lookup<'_>, reads_secrets: bool) -> Reading {
    let mut problems = Problems::default();
    let Some(main) = ConfigFile::read(path, 0, None, &mut problems) else {
        return Reading { config: None, problems };
    };
    let table = main.parse();
    let mut root = TableReader::root(&main.source, &table);
    let (included, mut is_whole) = file::included(&mut root, &main, &mut problems);
    let server = root.spans();
    let settings = settings_reader::read_settings(
        &mut root,
        &main.directory,
        main.has_server(),
        environment,
        &mut problems,
    );
    // What a secret is sealed with, and what bounds objects.
    let keys_of_plan = ["server.token_key_file", "server.limits"];
    let can_be_planned = main.has_server()
        && !problems.iter().any(|problem| problem.key == "server")
        && !keys_of_plan.iter().any(|key| problems.are_about(key));
    let sources = SecretSources { environment, is_read: reads_secrets };
    let mut reader = SeedReader::new(sources);
    reader.read(&mut root, &main, &mut problems);
    root.finish(&mut problems);

    for (order, Located { value: path, position }) in included.into_iter().enumerate() {
        let Some(file) = ConfigFile::read(&path, order + 1, Some(&position), &mut problems) else {
            is_whole = false;
            continue;
        };
        is_whole &= !file.is_something_else;
        let table = file.parse();
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

    // Without its data directory nobody knows what is in the store.
    is_whole &= main.has_server() || !settings.data_dir.as_os_str().is_empty();
    if !is_whole {
        reader.lost.extend(ReferenceKind::ALL);
    }
    problems.settle();
    let SeedReader { seed, places, misnamed, lost, references, .. } = reader;
    let (path, has_server) = (path.to_owned(), main.has_server());
    let config = Config {
        path,
        settings,
        seed,
        references,
        places,
        misnamed,
        lost,
        server,
        has_server,
        can_be_planned,
    };
    Reading { config: (!main.is_something_else).then_some(config), problems }
}

/// Reads `[server]` alone: for commands that only need to find the directory, and for a reload. The seed, its
/// files and its secrets are not looked at.
///
/// # Errors
/// All that is wrong with it.
pub fn load_settings(path: &Path, environment: &Lookup<'_>) -> Result<Settings, Problems> {
    let mut problems = Problems::default();
    let Some(main) = ConfigFile::read(path, 0, None, &mut problems) else { return Err(problems) };
    let table = main.parse();
    let mut root = TableReader::root(&main.source, &table);
    let settings = settings_reader::read_settings(
        &mut root,
        &main.directory,
        main.has_server(),
        environment,
        &mut problems,
    );
    if problems.is_empty() {
        return Ok(settings);
    }
    problems.settle();
    Err(problems)
}

/// The variables among these, with their values, that look as if they overrode something and do not, each in a sentence.
pub fn unknown_variables<'n>(variables: impl Iterator<Item = (&'n str, &'n str)>) -> Vec<String> {
    let known = RefCell::new(Vec::new());
    let note = |name: &str| {
        known.borrow_mut().push(name.to_owned());
        None
    };
    // What reads the keys says which there are.
    let source = ConfigText::new(Path::new(""), "", 0);
    let nothing = DeTable::new();
    let mut root = TableReader::root(&source, &nothing);
    settings_reader::read_settings(&mut root, Path::new(""), true, &note, &mut Problems::default());
    environment::strangers(variables, &known.into_inner())
}
