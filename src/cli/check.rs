//! `bindery check`: reads everything, starts nothing.

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::arguments::{PlaceArguments, unknown_variables};
use super::backend::{Absent, Backend, Purpose, Wanted};
use super::failure::{Exit, Failure, in_words};
use super::output::Output;
use super::seeding::{self, Wrong, warn};
use crate::auth::TokenKeys;
use crate::config::{self, Config, ListenerError, Problem, Problems, Reading, Settings};
use crate::http::path;
use crate::registry::{OpenError, SeedOptions, TokenKeyState};
use crate::server::{
    check_backup_directory, check_certificates, check_data_directory, check_sockets_are_apart,
    check_token_key,
};
use crate::store::FINDING_KEY_NAME;

/// Read the config and everything that it names, and say all that is wrong, and what stands in the way of `apply`
#[derive(Debug, clap::Args)]
pub(super) struct CheckArguments {
    /// Look names up in this backup, in place of the server or the store
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document {
    ok: bool,
    problems: Vec<Told>,
    warnings: Vec<String>,
}

/// One problem.
#[derive(Serialize)]
struct Told {
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    key: Option<String>,
    message: String,
}

/// All that was found.
#[derive(Default)]
struct Findings {
    problems: Problems,
    /// What is wrong and stands nowhere.
    sentences: Vec<String>,
    warnings: Vec<String>,
    /// What stands in the way of a config that is right in itself.
    obstacles: Wrong,
    /// What is not of the config: the directory cannot be asked on, or is such that a start is refused.
    failure: Option<Failure>,
}

pub(super) async fn run(
    arguments: CheckArguments,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let reading = config::read(&place.config()?, &environment);
    let nothing_served = nothing_served(&reading);
    let place = arguments.backup.as_deref().map_or(Place::OfConfig, Place::Backup);
    let mut findings = findings(reading, place).await;
    if let Some(problem) = nothing_served {
        findings.problems.insert(problem);
    }
    findings.tell(output)
}

/// Tells of a config that lists nothing to listen on; whoever starts a server with it may do so by flags.
fn nothing_served(reading: &Reading) -> Option<Problem> {
    let config = reading.config.as_ref()?;
    // What was listed and is wrong has been told.
    let mut keys = ["server.ldap", "server.ldaps"].iter();
    let is_told = !config.has_server || keys.any(|key| reading.problems.are_about(key));
    let mut wrong =
        config.settings.wrong_listeners().filter(|error| *error == ListenerError::None && !is_told);
    wrong.next().map(|error| config.wrong(error.key(), error.to_string(), &environment))
}

/// Reads the config for who is to do what it says.
///
/// # Errors
/// All that is wrong with it, as `check` tells it, where its form is wrong.
pub(super) async fn load(config: &Path, place: Place<'_>) -> Result<Config, Failure> {
    match config::read(config, &environment) {
        Reading { config: Some(config), problems } if problems.is_empty() => Ok(config),
        reading => Err(findings(reading, place).await.into()),
    }
}

/// Refuses directories of the server that cannot be, before anything is made: those of the config where they stand there.
///
/// # Errors
/// What is wrong with one.
pub(super) fn try_directories(config: &Config, settings: &Settings) -> Result<(), Failure> {
    let wrong = |key: &str, is_said: bool, error: &dyn Error| {
        if !is_said {
            return Failure::of(Exit::Wrong, error);
        }
        let mut findings = Findings::default();
        findings.problems.insert(config.wrong(key, in_words(error), &environment));
        findings.into()
    };
    let said = &config.settings;
    check_data_directory(&settings.data_dir)
        .map_err(|error| wrong("server.data_dir", settings.data_dir == said.data_dir, &error))?;
    check_backup_directory(settings)
        .map_err(|error| wrong("server.backup.directory", settings.backup == said.backup, &error))
}

/// Where it is asked whether what is not in the config is there.
pub(super) enum Place<'a> {
    /// At the server or the store of the config; with neither, nowhere.
    OfConfig,
    /// In a backup.
    Backup(&'a Path),
    /// In a directory that is open.
    Open(&'a mut Backend),
}

/// All that is wrong with a config, in its form, its names, and what the directory says to it.
async fn findings(reading: Reading, place: Place<'_>) -> Findings {
    let Reading { config, problems } = reading;
    let is_form_right = problems.is_empty();
    let mut findings = Findings { problems, warnings: unknown_variables(), ..Findings::default() };
    let Some(config) = config else { return findings };
    check_server(&config, &mut findings);
    if let Err(error) = check_token_key(&config.settings) {
        // No directory can be opened without it, so nothing of the seed can be asked.
        let problem = config.wrong("server.token_key_file", in_words(&error), &environment);
        findings.problems.insert(problem);
        return findings;
    }
    // What was found is told, whatever comes in between.
    if let Err(failure) = ask(&config, place, is_form_right, &mut findings).await {
        findings.failure = Some(failure);
    }
    findings
}

/// What the directory says to a config.
async fn ask(
    config: &Config,
    place: Place<'_>,
    is_form_right: bool,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let (mut found, is_of_config) = match place {
        Place::Open(backend) => return check_objects(config, backend, is_form_right, findings).await,
        Place::Backup(backup) => (Backend::of_backup(&config.settings, backup)?, false),
        Place::OfConfig => directory(config, findings).await?,
    };
    let mut checked = check_objects(config, &mut found, is_form_right, findings).await;
    // Without knowing `token_key_file` nobody knows which key is meant.
    if checked.is_ok() && is_of_config && config.can_be_planned {
        checked = check_own_key(&config.settings, &mut found, findings).await;
    }
    found.close().await;
    checked
}

fn check_server(config: &Config, findings: &mut Findings) {
    let mut wrong =
        |key: &str, message: String| findings.problems.insert(config.wrong(key, message, &environment));
    let settings = &config.settings;
    if let Err(error) = check_data_directory(&settings.data_dir)
        && !settings.data_dir.as_os_str().is_empty()
    {
        wrong("server.data_dir", in_words(&error));
    } else if let Err(error) = check_backup_directory(settings) {
        wrong("server.backup.directory", in_words(&error));
    }
    if let Err((key, error)) = check_sockets_are_apart(settings) {
        wrong(key, in_words(&error));
    }
    match check_certificates(settings.tls.as_ref()) {
        Ok(warnings) => {
            for warning in warnings {
                if warning.is_of_time() {
                    wrong("server.tls", warning.to_string());
                } else {
                    findings.warnings.push(warning.to_string());
                }
            }
        }
        Err(errors) => {
            for error in errors {
                wrong(error.key(), in_words(&error));
            }
        }
    }
}

/// What the directory says to the objects; a config whose form is wrong is asked for what else is wrong only.
async fn check_objects(
    config: &Config,
    backend: &mut Backend,
    is_form_right: bool,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let asked = seeding::ask(backend, config, &SeedOptions::default(), is_form_right).await;
    match asked {
        Ok(Ok(plan)) if is_form_right => {
            findings.obstacles = seeding::obstacles_where_they_stand(config, &plan);
            // `apply` would be refused for it.
            let refused = seeding::refuse_credentials(&plan);
            findings.warnings.extend(seeding::told_of_objects(&plan));
            findings.warnings.extend(plan.warnings);
            refused?;
        }
        Ok(Ok(_)) => {}
        Ok(Err(Wrong { problems, sentences })) => {
            findings.problems.append(problems);
            findings.sentences.extend(sentences);
        }
        Err(error) => {
            let failure = Failure::from(error);
            if failure.exit != Exit::Wrong {
                return Err(failure);
            }
            let path = config.path.display();
            findings.sentences.extend(failure.messages.iter().map(|message| format!("{path}: {message}")));
        }
    }
    Ok(())
}

/// The key that bindery makes: without the right one a start is refused.
async fn check_own_key(
    settings: &Settings,
    backend: &mut Backend,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let mark = match TokenKeys::open(&settings.data_dir, None) {
        Ok(keys) => keys.mark(),
        Err(error) => {
            findings.sentences.push(in_words(&error));
            return Ok(());
        }
    };
    let TokenKeyState { is_other, tokens } = backend.call(path::TOKEN_KEY, &mark).await?;
    if !tokens.is_empty() {
        let path = settings.data_dir.join(FINDING_KEY_NAME);
        return Err(OpenError::TokenKeyGone { path, is_other, tokens }.into());
    }
    Ok(())
}

/// The directory that names are looked up in, and whether it is that of the server or the store: else it is an empty one.
async fn directory(config: &Config, findings: &mut Findings) -> Result<(Backend, bool), Failure> {
    // Which is wrong, and reported.
    let data_dir = &config.settings.data_dir;
    if data_dir.as_os_str().is_empty() || check_data_directory(data_dir).is_err() {
        return Ok((Backend::pretend(&config.settings)?, false));
    }
    let wanted = Wanted {
        socket: None,
        settings: Some(&config.settings),
        absent: Absent::Pretend,
        purpose: Purpose::Read,
    };
    match Backend::find(wanted).await {
        Ok(backend) => Ok((backend, true)),
        Err(failure) => {
            findings.warnings.push(format!(
                "names are looked up in the config alone, because the store cannot be read: {}",
                failure.messages.join("; ")
            ));
            // Who may not read the store may not read the key beside it either: that is no mistake of the config.
            Ok((Backend::pretend(&config.settings)?, false))
        }
    }
}

impl Findings {
    fn tell(self, output: Output) -> Result<(), Failure> {
        if !output.is_json() {
            warn(&self.warnings, output);
        }
        let is_right = self.count() == 0 && self.failure.is_none();
        if is_right || output.is_json() {
            output.result(&self.document(is_right), || "the config is right".to_owned())?;
        }
        if is_right { Ok(()) } else { Err(self.into()) }
    }

    fn count(&self) -> usize {
        self.problems().count() + self.messages().count()
    }

    /// What stands somewhere.
    fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().chain(self.obstacles.problems.iter())
    }

    /// What stands nowhere.
    fn messages(&self) -> impl Iterator<Item = &String> {
        let sentences = self.sentences.iter().chain(&self.obstacles.sentences);
        sentences.chain(self.failure.iter().flat_map(|failure| &failure.messages))
    }

    fn document(&self, is_right: bool) -> Document {
        let located = self.problems().map(|problem| Told {
            file: problem.position.file().map(|path| path.display().to_string()),
            line: problem.position.line(),
            column: problem.position.column(),
            key: Some(problem.key.clone()).filter(|key| !key.is_empty()),
            message: problem.message.clone(),
        });
        let sentence = |message: &String| Told {
            file: None,
            line: None,
            column: None,
            key: None,
            message: message.clone(),
        };
        let problems = located.chain(self.messages().map(sentence)).collect();
        Document { ok: is_right, problems, warnings: self.warnings.clone() }
    }
}

impl From<Findings> for Failure {
    fn from(findings: Findings) -> Self {
        let count = findings.count();
        let Findings { mut problems, mut sentences, obstacles, failure, .. } = findings;
        // What is wrong with the config comes first.
        let exit = match &failure {
            _ if !problems.is_empty() || !sentences.is_empty() => Exit::Wrong,
            Some(failure) => failure.exit,
            None => Exit::Failed,
        };
        problems.append(obstacles.problems);
        sentences.extend(obstacles.sentences);
        let mut failure = match failure {
            Some(failure) if count == failure.messages.len() => failure,
            failure => {
                sentences.extend(failure.into_iter().flat_map(|failure| failure.messages));
                Self { exit, ..Self::from(Wrong { problems, sentences }) }
            }
        };
        if count > 1 && failure.is_drawn {
            failure.messages.push(format!("\n{count} problems"));
        }
        failure
    }
}

fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
