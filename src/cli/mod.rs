//! Words typed by a person to calls; nothing is decided here. One file for each command.

mod access;
mod account;
mod api;
mod application;
mod apply;
mod arguments;
mod attribute;
mod backend;
mod backup;
mod certificate;
mod check;
mod compact;
mod completions;
mod confirm;
mod container;
mod event;
mod expiry;
mod export;
mod failure;
mod first_steps;
mod grant;
mod group;
mod import;
mod member;
mod output;
mod password;
mod provider;
mod refused;
mod restore;
mod role;
mod salvage;
mod secret_output;
mod secrets;
mod seeding;
mod serve;
mod status;
mod token;
mod told;

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::{ContextKind, ContextValue};
use tokio::runtime::Builder;

use arguments::{GLOBAL_HEADING, PlaceArguments};
use failure::{Exit, Failure};
use output::{Output, Stream, has_colours};

use crate::quoted::beginning;
use crate::server::outlive_file_limit;

/// An LDAP bind and search server for service accounts
#[derive(Debug, clap::Parser)]
#[command(name = "bindery", version, arg_required_else_help = true, propagate_version = true)]
struct Arguments {
    /// Print one JSON document on standard output, and nothing else there
    #[arg(long, global = true, help_heading = GLOBAL_HEADING)]
    json: bool,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(serve::ServeArguments),
    Check(check::CheckArguments),
    Apply(apply::ApplyArguments),
    Import(Box<import::ImportArguments>),
    Export(export::ExportArguments),
    Backup(backup::BackupArguments),
    Restore(restore::RestoreArguments),
    Salvage(salvage::SalvageArguments),
    #[command(subcommand)]
    Account(account::AccountCommand),
    #[command(subcommand)]
    Group(group::GroupCommand),
    #[command(subcommand)]
    Role(role::RoleCommand),
    #[command(subcommand)]
    Grant(grant::GrantCommand),
    #[command(subcommand)]
    Application(application::ApplicationCommand),
    #[command(subcommand)]
    Provider(provider::ProviderCommand),
    #[command(subcommand)]
    Token(token::TokenCommand),
    Status(status::StatusArguments),
    Compact(compact::CompactArguments),
    Certificate(certificate::CertificateArguments),
    #[command(subcommand)]
    Access(access::AccessCommand),
    Completions(completions::CompletionsArguments),
    Man(completions::ManArguments),
    #[command(subcommand)]
    Event(event::EventCommand),
}

/// Reads the arguments, does what they say, and tells how it ended.
pub fn run() -> ExitCode {
    let (Arguments { json, place, command }, refusal) =
        read(std::env::args_os()).unwrap_or_else(|error| in_short(error).exit());
    let output = Output::new(json);
    match refusal.map_or_else(|| carry_out(command, &place, output), Err) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure, output);
            failure.exit.into()
        }
    }
}

/// What the words of a command line say, and why a command does not take one of the options that stand before it.
fn read(
    words: impl IntoIterator<Item: Into<OsString> + Clone>,
) -> Result<(Arguments, Option<Failure>), clap::Error> {
    let matches = refused::command().try_get_matches_from(words)?;
    let refusal = refused::refusal(&matches);
    Ok((Arguments::from_arg_matches(&matches)?, refusal))
}

/// The same with no more of what was written than finds it again.
fn in_short(mut error: clap::Error) -> clap::Error {
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
        if let Some(ContextValue::String(text)) = error.get(kind) {
            let text = beginning(text);
            error.insert(kind, ContextValue::String(text));
        }
    }
    error
}

fn carry_out(command: Command, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    match command {
        Command::Serve(arguments) => serve::run(arguments, place, output),
        Command::Check(arguments) => block_on(check::run(arguments, place, output)),
        Command::Import(arguments) => block_on(import::run(*arguments, place, output)),
        Command::Export(arguments) => block_on(export::run(arguments, place, output)),
        Command::Backup(arguments) => block_on(backup::run(arguments, place, output)),
        Command::Restore(arguments) => block_on(restore::run(arguments, place, output)),
        Command::Salvage(arguments) => block_on(salvage::run(arguments, place, output)),
        Command::Apply(arguments) => block_on(apply::run(arguments, place, output)),
        Command::Account(command) => block_on(account::run(command, place, output)),
        Command::Group(command) => block_on(group::run(command, place, output)),
        Command::Role(command) => block_on(role::run(command, place, output)),
        Command::Grant(command) => block_on(grant::run(command, place, output)),
        Command::Application(command) => block_on(application::run(command, place, output)),
        Command::Provider(command) => block_on(provider::run(command, place, output)),
        Command::Token(command) => block_on(token::run(command, place, output)),
        Command::Status(arguments) => block_on(status::run(arguments, place, output)),
        Command::Compact(arguments) => block_on(compact::run(arguments, place, output)),
        Command::Certificate(arguments) => certificate::run(&arguments, output),
        Command::Access(command) => block_on(access::run(command, place, output)),
        Command::Completions(arguments) => completions::completions(&arguments, output),
        Command::Man(arguments) => completions::man(&arguments, output),
        Command::Event(command) => block_on(event::run(command, place, output)),
    }
}

/// Carries out a command that waits for a server or a store; one thread is enough for it.
fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Failed, &error))?;
    runtime.block_on(async {
        outlive_file_limit().map_err(|error| Failure::of(Exit::Failed, &error))?;
        command.await
    })
}

fn tell(failure: &Failure, output: Output) {
    let label = if has_colours(Stream::Error) { "\u{1b}[1;31merror\u{1b}[0m: " } else { "error: " };
    for message in &failure.messages {
        output.message(&if failure.is_drawn { message.clone() } else { format!("{label}{message}") });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_repeated_in_short() {
        let long = "x".repeat(100_000);
        for words in [
            vec!["bindery", &long],
            vec!["bindery", "token", "create", "portal", "--expires", &long],
            vec!["bindery", "check", &format!("--{long}")],
        ] {
            let message = read(&words).err().map(|error| in_short(error).to_string());
            let is_short = |message: &String| message.len() < 2_000 && message.contains("xxx");
            assert!(message.as_ref().is_some_and(is_short), "{}", words.len());
        }
    }
}
