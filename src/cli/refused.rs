//! The options of every command that some commands have no use for: their help does not list them, and they are refused.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory, value_parser};

use super::Arguments;
use super::failure::Failure;

/// A command, an option, and why that is not for it.
const REFUSED: &[(&[&str], &str, &str)] = &[
    (&["serve"], SOCKET, NO_SERVER),
    (&["serve"], JSON, "it prints its listeners, not a document, and secrets go to --secrets-file"),
    (&["check"], SOCKET, NO_SERVER),
    (&["restore"], SOCKET, NO_SERVER),
    (&["salvage"], SOCKET, NO_SERVER),
    (&["backup", "verify"], CONFIG, NO_DIRECTORY),
    (&["backup", "verify"], SOCKET, NO_DIRECTORY),
    (&["certificate"], CONFIG, NO_DIRECTORY),
    (&["certificate"], SOCKET, NO_DIRECTORY),
    (&["completions"], CONFIG, NO_DIRECTORY),
    (&["completions"], SOCKET, NO_DIRECTORY),
    (&["completions"], JSON, NO_DOCUMENT),
    (&["man"], CONFIG, NO_DIRECTORY),
    (&["man"], SOCKET, NO_DIRECTORY),
    (&["man"], JSON, NO_DOCUMENT),
];

/// All commands, each with the options that it takes.
pub(super) fn command() -> clap::Command {
    REFUSED.iter().fold(Arguments::command(), |command, (path, option, _)| without(command, path, option))
}

/// Hides an option from the help of the command at the end of a path.
fn without(command: clap::Command, path: &[&str], option: &'static str) -> clap::Command {
    let Some((next, rest)) = path.split_first() else {
        // In the place of the one that would be handed down.
        let hidden = Arg::new(option).long(option).global(true).hide(true);
        return command.arg(match option {
            JSON => hidden.action(ArgAction::SetTrue),
            _ => hidden.value_parser(value_parser!(PathBuf)),
        });
    };
    command.mut_subcommand(next, |below| without(below, rest, option))
}

/// Why a command does not take an option that it was given.
pub(super) fn refusal(matches: &ArgMatches) -> Option<Failure> {
    let mut path = Vec::new();
    let mut last = matches;
    while let Some((name, below)) = last.subcommand() {
        path.push(name);
        last = below;
    }
    let is_given = |option| last.value_source(option) == Some(ValueSource::CommandLine);
    let (_, option, why) =
        REFUSED.iter().find(|(of, option, _)| *of == path.as_slice() && is_given(option))?;
    Some(Failure::usage(format!("--{option} is not for `bindery {}`: {why}; leave it out", path.join(" "))))
}

const CONFIG: &str = "config";
const SOCKET: &str = "socket";
const JSON: &str = "json";
const NO_SERVER: &str = "it asks no server";
const NO_DIRECTORY: &str = "it needs no directory";
const NO_DOCUMENT: &str = "what it prints is no document";

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// Words that the value of some argument can be.
    const WORDS: &[&str] =
        &["x", "1", "bash", "ldif", "user:x", "dc=x", "view_user", "ou=x:cn", "127.0.0.1:1", UUID];
    const UUID: &str = "7d444840-9dc0-11d1-b245-5ffdce74fad2";

    #[test]
    fn what_the_help_of_a_command_lists_it_takes() {
        let mut commands = 0;
        walk(&mut command(), &mut Vec::new(), &mut commands);
        assert!(commands > 60, "{commands}");
    }

    fn walk(command: &mut clap::Command, path: &mut Vec<String>, commands: &mut usize) {
        let is_leaf = !path.is_empty() && (!command.has_subcommands() || command.get_name() == "backup");
        if is_leaf {
            *commands += 1;
            try_each(path);
        }
        for below in command.get_subcommands_mut() {
            path.push(below.get_name().to_owned());
            walk(below, path, commands);
            path.pop();
        }
    }

    fn try_each(path: &[String]) {
        let mut asked = vec!["bindery".to_owned()];
        asked.extend_from_slice(path);
        asked.push("--help".to_owned());
        let help = super::command().try_get_matches_from(&asked).unwrap_err().to_string();
        asked.pop();
        let required = required(path);
        for option in [CONFIG, SOCKET, JSON] {
            let is_listed = help.lines().any(|line| line.trim_start().starts_with(&format!("--{option}")));
            let mut words = asked.clone();
            words.push(format!("--{option}"));
            words.extend((option != JSON).then(|| "x".to_owned()));
            words.extend(required.iter().cloned());
            let matches = super::command().try_get_matches_from(&words).unwrap();
            assert_eq!(refusal(&matches).is_none(), is_listed, "{words:?}");
        }
    }

    /// What a command cannot be without.
    fn required(path: &[String]) -> Vec<String> {
        let mut command = super::command();
        command.build();
        let mut last = &command;
        for name in path {
            last = last.find_subcommand(name).unwrap();
        }
        let mut words: Vec<String> = ["bindery".to_owned()].into_iter().chain(path.iter().cloned()).collect();
        let begin = words.len();
        for argument in last.get_arguments().filter(|argument| argument.is_required_set()) {
            words.extend(argument.get_long().map(|long| format!("--{long}")));
            let fits = |word: &&&str| {
                let mut parser = clap::Command::new("x")
                    .arg(Arg::new("x").value_parser(argument.get_value_parser().clone()));
                parser.try_get_matches_from_mut(["x", word]).is_ok()
            };
            words.push((*WORDS.iter().find(fits).unwrap()).to_owned());
        }
        for more in [&[][..], &["--group", "x"]] {
            let whole: Vec<String> =
                words.iter().cloned().chain(more.iter().map(|word| (*word).to_owned())).collect();
            if super::command().try_get_matches_from(&whole).is_ok() {
                return whole[begin..].to_vec();
            }
        }
        panic!("{words:?}");
    }
}
