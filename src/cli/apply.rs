//! `bindery apply`: makes the store agree with the config's seed.

use std::path::PathBuf;

use serde::Serialize;

use super::arguments::{OpeningArguments, PlaceArguments, unknown_variables, variable};
use super::backend::{Absent, Backend, Purpose, Wanted};
use super::check::{self, Place};
use super::failure::Failure;
use super::output::{Output, Stream, has_colours};
use super::secrets::{self, Destination, SecretsFile, Shown};
use super::seeding;
use crate::config::Config;
use crate::registry::{
    DiffEntry, ForeignCredential, ForeignCredentials, LostAccesses, NewSecret, SeedOptions, SeedPlan,
    SharedValues,
};
use crate::store::has_store;

/// Make the store agree with the config's objects, and show what that changes
#[derive(Debug, clap::Args)]
pub(super) struct ApplyArguments {
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete what is in the store but not in the config; with --dry-run, show what that would be
    #[arg(long)]
    prune: bool,
    /// Make an account, token, group or role again although it was deleted, revoked or renamed, as kind:name
    /// (account:portal), or by a name that was that of one of them
    #[arg(long, value_name = "KIND:NAME")]
    recreate: Vec<String>,
    /// Take over what a caller of the API has made under a name of the config, as kind:name (group:vip), or by a name that
    /// is that of one thing: it is as if the config had made it, and what that does not say of it goes, with all of its
    /// credentials. by:USERNAME (by:#NUMBER of one that is gone) takes over all that this account has made and that stands in
    /// the way, with what it has said of it; groups keep who is in them, and accounts that the config does not describe are accepted where they stand, as
    /// they are. Superusers are made by kind:name alone
    #[arg(long, value_name = "KIND:NAME")]
    adopt: Vec<String>,
    /// Give rights to an account, or admit it, although somebody who has not as much has made this credential of it:
    /// token:identifier or password:username, or a name where there are not both; by:USERNAME: all that this account alone
    /// has made, but for those of superusers
    #[arg(long, value_name = "CREDENTIAL")]
    accept_credentials: Vec<String>,
    /// Write generated secrets to this new file, instead of showing them
    #[arg(long, value_name = "FILE")]
    secrets_file: Option<PathBuf>,
    #[command(flatten)]
    opening: OpeningArguments,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    dry_run: bool,
    changes: &'a [DiffEntry],
    /// Credentials of accounts that get rights, made by somebody who does not hold these, that were not accepted.
    credentials: &'a [ForeignCredential],
    /// Those of them of which one account has made two or more.
    credentials_together: &'a [ForeignCredentials],
    /// Accounts that its applications shut out.
    losing_access: &'a LostAccesses,
    /// Values by which clients could take one object for another.
    shared_values: &'a SharedValues,
    /// Empty when they were written to a file.
    secrets: Vec<Shown<'a>>,
    /// What is stored against a rule.
    warnings: &'a [String],
}

pub(super) async fn run(
    arguments: ApplyArguments,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    let config = check::load(&place.config()?, Place::OfConfig).await?;
    let absent = if arguments.dry_run { Absent::Pretend } else { Absent::Make };
    let purpose = match arguments.dry_run {
        true => Purpose::Read,
        false => Purpose::Change(arguments.opening.opening()),
    };
    if place.socket().is_none() {
        check::try_directories(&config, &config.settings)?;
    }
    seeding::warn(&unknown_variables(), output);
    let socket = variable("BINDERY_SOCKET");
    let wanted = Wanted { socket: socket.as_deref(), settings: Some(&config.settings), absent, purpose };
    let early = match (&arguments.secrets_file, place.socket()) {
        (Some(path), None) if !arguments.dry_run && !has_store(&config.settings.data_dir) => {
            Some(SecretsFile::before_store(path, &config.settings.data_dir)?)
        }
        _ => None,
    };
    let mut backend = match place.socket() {
        Some(socket) => Backend::at(socket).await?,
        None => Backend::find(wanted).await?,
    };
    let options = SeedOptions {
        prune: arguments.prune,
        recreate: arguments.recreate,
        adopt: arguments.adopt,
        accept_credentials: arguments.accept_credentials,
    };
    let result = if arguments.dry_run {
        dry_run(&mut backend, &config, &options, output).await
    } else {
        let file = arguments.secrets_file.as_deref();
        let choose = || Destination::choose(file, output, &config.settings.data_dir);
        let destination = early.map_or_else(choose, Destination::File);
        apply(&mut backend, &config, &options, &destination, output).await
    };
    backend.close().await;
    result
}

async fn dry_run(
    backend: &mut Backend,
    config: &Config,
    options: &SeedOptions,
    output: Output,
) -> Result<(), Failure> {
    let plan = seeding::plan(backend, config, options, true).await?;
    show(&plan, &[], true, output)?;
    if !plan.needed.is_empty() && !output.is_json() {
        let identifiers: Vec<&str> = plan.needed.iter().map(|needed| needed.identifier.as_str()).collect();
        output.message(&format!("secrets would be generated for: {}", identifiers.join(", ")));
    }
    seeding::refuse_obstacles(&plan)?;
    seeding::refuse_credentials(&plan)
}

async fn apply(
    backend: &mut Backend,
    config: &Config,
    options: &SeedOptions,
    destination: &Destination,
    output: Output,
) -> Result<(), Failure> {
    // Secrets in the document must be on their way before the commit, so the whole document is.
    let is_document_early = matches!(destination, Destination::Document);
    let mut is_shown = false;
    let before_commit = |plan: &SeedPlan, secrets: &[NewSecret]| {
        for line in seeding::told(plan) {
            output.message(&line);
        }
        if is_document_early && !secrets.is_empty() {
            is_shown = true;
            return show(plan, secrets, false, output);
        }
        Ok(())
    };
    // The messages say it to whoever reads them; a program reads one document, whatever came of it.
    let refused = |plan: &SeedPlan| if output.is_json() { show(plan, &[], false, output) } else { Ok(()) };
    let applied =
        seeding::apply(backend, config, options, destination, output, before_commit, refused).await?;
    if is_shown {
        seeding::warn(&applied.plan.warnings, output);
    } else {
        show(&applied.plan, &[], false, output)?;
    }
    Ok(())
}

fn show(plan: &SeedPlan, secrets: &[NewSecret], dry_run: bool, output: Output) -> Result<(), Failure> {
    let document = Document {
        dry_run,
        changes: &plan.diff,
        credentials: &plan.credentials,
        credentials_together: &plan.credentials_together,
        losing_access: &plan.losing_access,
        shared_values: &plan.shared_values,
        secrets: secrets::shown(secrets),
        warnings: &plan.warnings,
    };
    if !output.is_json() {
        seeding::warn(&plan.warnings, output);
    }
    output.result(&document, || seeding::diff(plan, dry_run, has_colours(Stream::Output)))
}
