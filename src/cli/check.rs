//! `bindery check`: reads everything, starts nothing.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::arguments::ConfigArguments;
use super::backend::{Absent, Backend, CallError, Purpose, Wanted};
use super::failure::{Exit, Failure, in_words};
use super::output::{Output, Stream, has_colours};
use super::seeding::{dangling, placed, warn};
use crate::config::{self, Config, Problems};
use crate::http::{PlanRequest, path};
use crate::registry::{SeedOptions, SeedPlan};
use crate::server::{check_certificates, check_token_key};

/// Read the config and everything that it names, and say all that is wrong
#[derive(Debug, clap::Args)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Look names up in this backup, in place of the server or the store
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document {
    ok: bool,
    problems: Vec<Found>,
    warnings: Vec<String>,
}

/// One problem.
#[derive(Serialize)]
struct Found {
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    key: Option<String>,
    message: String,
}

/// All that was found, drawn and as data.
#[derive(Default)]
struct Findings {
    drawn: Vec<String>,
    problems: Vec<Found>,
    warnings: Vec<String>,
}

pub(super) async fn run(arguments: CheckArguments, output: Output) -> Result<(), Failure> {
    let mut findings = Findings::default();
    match config::load(&arguments.config.config, &|name| std::env::var_os(name)) {
        Ok(config) => check(&config, arguments.backup.as_deref(), &mut findings).await?,
        Err(problems) => findings.add_problems(&problems),
    }
    findings.tell(output)
}

async fn check(config: &Config, backup: Option<&Path>, findings: &mut Findings) -> Result<(), Failure> {
    if let Err(error) = config.settings.check_listeners() {
        findings.add_sentence("server", error.to_string());
    }
    match check_certificates(config.settings.tls.as_ref()) {
        Ok(warnings) => {
            for warning in warnings {
                if warning.is_of_time() {
                    findings.add_sentence("server.tls", warning.to_string());
                } else {
                    findings.warnings.push(warning.to_string());
                }
            }
        }
        Err(error) => findings.add_sentence("server.tls", in_words(&error)),
    }
    if let Err(error) = check_token_key(&config.settings) {
        // No directory can be opened without it, so nothing of the seed can be asked.
        findings.add_sentence("server.token_key_file", in_words(&error));
        return Ok(());
    }
    let mut backend = match backup {
        Some(backup) => Backend::of_backup(&config.settings, backup)?,
        None => directory(config, findings).await?,
    };
    let request =
        PlanRequest { seed: config.seed.clone(), options: SeedOptions::default(), with_warnings: true };
    let planned = backend.call::<_, SeedPlan>(path::SEED_PLAN, &request).await;
    backend.close().await;
    match planned {
        Ok(plan) => {
            findings.add_problems(&dangling(config, &plan));
            findings.warnings.extend(plan.warnings);
        }
        Err(CallError::Problem(problem)) if !problem.seed.is_empty() => {
            let (problems, sentences) = placed(config, problem.seed);
            findings.add_problems(&problems);
            for sentence in sentences {
                findings.add_sentence("", sentence);
            }
        }
        Err(error) => {
            let failure = Failure::from(error);
            if failure.exit != Exit::Wrong {
                return Err(failure);
            }
            for message in failure.messages {
                findings.add_sentence("", format!("{}: {message}", config.path.display()));
            }
        }
    }
    Ok(())
}

/// The directory that names are looked up in: that of the server or the store, else an empty one.
async fn directory(config: &Config, findings: &mut Findings) -> Result<Backend, Failure> {
    let wanted = Wanted {
        socket: None,
        settings: Some(&config.settings),
        absent: Absent::Pretend,
        purpose: Purpose::Read,
    };
    match Backend::find(wanted).await {
        Ok(backend) => Ok(backend),
        Err(failure) => {
            findings.warnings.push(format!(
                "names are looked up in the config alone, because the store cannot be read: {}",
                failure.messages.join("; ")
            ));
            Backend::pretend(&config.settings)
        }
    }
}

impl Findings {
    fn add_problems(&mut self, problems: &Problems) {
        if problems.is_empty() {
            return;
        }
        self.drawn.push(problems.render(has_colours(Stream::Error)));
        self.problems.extend(problems.iter().map(|problem| Found {
            file: problem.position.file().map(|path| path.display().to_string()),
            line: problem.position.line(),
            column: problem.position.column(),
            key: Some(problem.key.clone()).filter(|key| !key.is_empty()),
            message: problem.message.clone(),
        }));
    }

    fn add_sentence(&mut self, key: &str, message: String) {
        let label = if key.is_empty() { String::new() } else { format!("{key}: ") };
        self.drawn.push(format!("error: {label}{message}"));
        let key = Some(key.to_owned()).filter(|key| !key.is_empty());
        self.problems.push(Found { file: None, line: None, column: None, key, message });
    }

    fn tell(self, output: Output) -> Result<(), Failure> {
        let Self { drawn, problems, warnings } = self;
        if !output.is_json() {
            warn(&warnings, output);
        }
        let is_right = problems.is_empty();
        let document = Document { ok: is_right, problems, warnings };
        if is_right || output.is_json() {
            output.result(&document, || "the config is right".to_owned())?;
        }
        if is_right {
            return Ok(());
        }
        Err(Failure { exit: Exit::Wrong, messages: vec![drawn.join("\n\n")], is_drawn: true })
    }
}
