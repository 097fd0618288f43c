//! `bindery completions` and `bindery man`: what shells and `man` know of the commands.

use std::fs;
use std::path::{Path, PathBuf};

use clap_complete::{Shell, generate};
use clap_mangen::Man;

use super::failure::Failure;
use super::output::Output;
use super::refused::command;

/// Print what a shell needs to complete commands
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Print the manual page, or write one for each command
#[derive(Debug, clap::Args)]
pub(super) struct ManArguments {
    /// Write the pages of all commands into this directory, which is made if it is not there
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
            fs::create_dir_all(directory).map_err(|error| {
                Failure::failed(format!("{} cannot be made: {error}", directory.display()))
            })?;
            let mut written = 0;
            write_pages(&command, "bindery", directory, &mut written)?;
            output.message(&format!("{written} pages are in {}", directory.display()));
            Ok(())
        }
    }
}

fn write_pages(
    command: &clap::Command,
    name: &str,
    directory: &Path,
    written: &mut usize,
) -> Result<(), Failure> {
    let path = directory.join(format!("{name}.1"));
    fs::write(&path, page(command, name)?)
        .map_err(|error| Failure::failed(format!("{} cannot be written: {error}", path.display())))?;
    *written += 1;
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        write_pages(below, &format!("{name}-{}", below.get_name()), directory, written)?;
    }
    Ok(())
}

fn page(command: &clap::Command, name: &str) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    Man::new(command.clone())
        .title(name.to_uppercase())
        .render(&mut page)
        .map_err(|error| Failure::failed(format!("the manual page cannot be written: {error}")))?;
    Ok(page)
}

fn print(octets: &[u8], output: Output) -> Result<(), Failure> {
    output.octets(octets)?;
    output.octets(b"")
}
