//! `bindery completions` and `bindery man`: what shells and `man` know of the commands.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap_complete::{Shell, generate};
use clap_mangen::Man;

use super::failure::Failure;
use super::output::Output;
use super::refused::command;
use crate::store::check_apart;

/// Print what a shell needs to complete commands
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Print the manual page, or write one for each command
#[derive(Debug, clap::Args)]
pub(super) struct ManArguments {
    /// Write the pages of all commands into this directory, which is made if it is not there; those of another version are
    /// replaced
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn completions(arguments: &CompletionsArguments, output: Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut command(), "bindery", &mut script);
    print(&script, output)
}

pub(super) fn man(arguments: &ManArguments, output: Output) -> Result<(), Failure> {
    let mut command = command();
    // Long names of commands: `bindery account create`.
    command.build();
    match &arguments.dir {
        None => print(&page(&command, "bindery")?, output),
        Some(directory) => {
            check_apart(&directory.join("bindery.1"), None)?;
            fs::create_dir_all(directory).map_err(|error| {
                Failure::failed(format!("{} cannot be made: {error}", directory.display()))
            })?;
            let mut pages = Vec::new();
            make_pages(&command, "bindery", directory, &mut pages)?;
            // Before anything is written.
            for (path, _) in &pages {
                check_replaceable(path)?;
            }
            for (path, page) in &pages {
                fs::write(path, page).map_err(|error| {
                    Failure::failed(format!("{} cannot be written: {error}", path.display()))
                })?;
            }
            output.message(&format!("{} pages are in {}", pages.len(), directory.display()));
            Ok(())
        }
    }
}

/// The pages of a command and of those below it, with where they go.
fn make_pages(
    command: &clap::Command,
    name: &str,
    directory: &Path,
    pages: &mut Vec<(PathBuf, Vec<u8>)>,
) -> Result<(), Failure> {
    pages.push((directory.join(format!("{name}.1")), page(command, name)?));
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        make_pages(below, &format!("{name}-{}", below.get_name()), directory, pages)?;
    }
    Ok(())
}

/// Refuses to replace a file that is no page of bindery's: one of another version is.
fn check_replaceable(path: &Path) -> Result<(), Failure> {
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(HEAD_OCTETS).read_to_end(&mut head));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) if memchr::memmem::find(&head, b"\n.TH BINDERY").is_some() => Ok(()),
        Ok(_) => Err(Failure::failed(format!(
            "{} is no page of bindery's, and is not replaced: nothing was written",
            path.display()
        ))),
        Err(error) => Err(Failure::failed(format!("{} cannot be read: {error}", path.display()))),
    }
}

fn page(command: &clap::Command, name: &str) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    Man::new(command.clone())
        .title(name.to_uppercase())
        .render(&mut page)
        .map_err(|error| Failure::failed(format!("the manual page cannot be written: {error}")))?;
    Ok(page)
}

/// In so many octets the title of a page stands.
const HEAD_OCTETS: u64 = 512;

fn print(octets: &[u8], output: Output) -> Result<(), Failure> {
    output.octets(octets)?;
    output.octets(b"")
}
