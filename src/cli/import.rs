//! `bindery import`: people and groups of another directory, from an LDIF file.
//!
//! The file is read once. Accounts go out as they come; groups wait until all accounts are there, and
//! members until all groups are, because they name entries that may come later in the file.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::arguments::DirectoryArguments;
use super::backend::{Absent, Backend};
use super::failure::{Exit, Failure};
use super::output::Output;
use crate::http::{BODY_OCTETS_MAX, ImportBatch, path};
use crate::ldif::{LdifReader, Record};
use crate::model::visible;
use crate::registry::commands::{ImportedGroup, ImportedMembers, MemberName};
use crate::registry::{Classified, Classifier, ImportEntry, ImportLayout, ImportOptions, ImportReport};
use crate::store::RECORD_OCTETS_MAX;

/// Take people and groups over from another directory
#[derive(Debug, clap::Args)]
pub(super) struct ImportArguments {
    /// The LDIF file, as slapcat or ldapsearch write it; - reads standard input
    file: PathBuf,
    /// A container of people with its naming attribute, as in the file: "ou=people:uid"
    #[arg(long, value_name = "CONTAINER:ATTRIBUTE", value_parser = container)]
    users: Vec<(String, String)>,
    /// A container of groups with its naming attribute: "ou=groups:cn"
    #[arg(long, value_name = "CONTAINER:ATTRIBUTE", value_parser = container)]
    groups: Vec<(String, String)>,
    /// A container of service accounts with its naming attribute: "ou=services:cn"
    #[arg(long, value_name = "CONTAINER:ATTRIBUTE", value_parser = container)]
    service_accounts: Vec<(String, String)>,
    /// A role for the service accounts
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// The file is what `bindery export` wrote: numbers that were derived are derived again, where they are free
    #[arg(long)]
    restore: bool,
    /// uidNumbers and gidNumbers of system accounts (below posix_number_min, 0 of root among them) are taken over too
    #[arg(long)]
    allow_system_numbers: bool,
    /// People keep a uidNumber that somebody else has, here or in the file; else it is left out and they get another
    #[arg(long)]
    allow_shared_numbers: bool,
    /// The provider that they belong to, if not the default one
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    #[command(flatten)]
    directory: DirectoryArguments,
}

pub(super) async fn run(arguments: ImportArguments, output: Output) -> Result<(), Failure> {
    let ImportArguments {
        file,
        users,
        groups,
        service_accounts,
        role,
        restore,
        allow_system_numbers,
        allow_shared_numbers,
        provider,
        directory,
    } = arguments;
    let options = ImportOptions {
        provider,
        users,
        groups,
        service_accounts,
        role,
        restore,
        allow_system_numbers,
        allow_shared_numbers,
    };
    // Before the directory is touched: a file that is not there changes nothing.
    let input = Input::open(file)?;
    let (report, failure) = directory
        .with(Absent::Fail, async |backend| {
            let layout: ImportLayout = backend.call(path::IMPORT_PREPARE, &options).await?;
            let mut import = Import::new(backend, options, &layout);
            let failure = import.run(input).await.err();
            Ok((import.report, failure))
        })
        .await?;
    output.result(&report, || in_words(&report))?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    match &report.stopped {
        None => Ok(()),
        Some(stop) => Err(Failure::failed(format!(
            "the import stopped at {}: {}; what the report counts is committed, and a second run goes on from there",
            stop.at, stop.reason
        ))),
    }
}

/// The file, with the bar that shows how far it is read.
struct Input {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    progress: ProgressBar,
}

impl Input {
    fn open(path: PathBuf) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self { path, reader: Box::new(BufReader::new(io::stdin())), progress: bar(None) });
        }
        let unreadable = |error: io::Error| {
            Failure::new(Exit::Wrong, format!("{} cannot be read: {error}", path.display()))
        };
        let file = File::open(&path).map_err(unreadable)?;
        let found = file.metadata().map_err(unreadable)?;
        if found.is_dir() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        let octets = found.is_file().then_some(found.len());
        Ok(Self {
            path,
            reader: Box::new(BufReader::with_capacity(READ_OCTETS, file)),
            progress: bar(octets),
        })
    }
}

/// The import while it goes on.
struct Import<'a> {
    backend: &'a mut Backend,
    options: ImportOptions,
    classifier: Classifier,
    report: ImportReport,
    /// What goes out with the next request, and about how large it is.
    batch: Vec<ImportEntry>,
    batch_octets: usize,
    groups: Vec<ImportedGroup>,
    members: Vec<ImportedMembers>,
}

impl<'a> Import<'a> {
    fn new(backend: &'a mut Backend, options: ImportOptions, layout: &ImportLayout) -> Self {
        Self {
            backend,
            options,
            classifier: Classifier::new(layout),
            report: ImportReport::default(),
            batch: Vec::new(),
            batch_octets: 0,
            groups: Vec::new(),
            members: Vec::new(),
        }
    }

    async fn run(&mut self, input: Input) -> Result<(), Failure> {
        let Input { path, reader, progress } = input;
        let mut records = LdifReader::new(reader);
        while let Some(read) = records.next() {
            progress.set_position(records.octets_read());
            match read {
                Ok(record) => self.take(&record).await?,
                Err(error) if error.is_fatal() => {
                    progress.finish_and_clear();
                    let message = format!(
                        "{} cannot be read further: {error}; what the report counts is committed, and a second \
                         run goes on from there",
                        path.display()
                    );
                    return Err(Failure::new(Exit::Wrong, message));
                }
                Err(error) => {
                    let place = match &error.dn {
                        Some(dn) => format!("line {} ({dn})", error.line),
                        None => format!("line {}", error.line),
                    };
                    self.report.leave_out(error.problem.to_string(), &place);
                }
            }
            if self.report.stopped.is_some() {
                progress.finish_and_clear();
                return Ok(());
            }
        }
        progress.set_message("groups");
        self.send().await?;
        for group in std::mem::take(&mut self.groups) {
            let octets = size_of_group(&group);
            self.push(ImportEntry::Group(Box::new(group)), octets).await?;
        }
        self.send().await?;
        progress.set_message("members");
        for members in std::mem::take(&mut self.members) {
            self.push_members(members).await?;
        }
        self.send().await?;
        progress.finish_and_clear();
        Ok(())
    }

    async fn take(&mut self, record: &Record) -> Result<(), Failure> {
        match self.classifier.classify(record) {
            Classified::Account(account, left_out) => {
                self.note(&record.dn, left_out);
                let octets = record.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
                self.push(ImportEntry::Account(account), octets).await?;
            }
            Classified::Group(group, members, left_out) => {
                self.note(&record.dn, left_out);
                self.groups.push(*group);
                self.members.push(members);
            }
            Classified::Container(left_out) => {
                self.note(&record.dn, left_out);
                self.report.already_there += 1;
            }
            Classified::Ignored { reason } => self.report.leave_out(reason, &record.dn),
        }
        Ok(())
    }

    fn note(&mut self, dn: &str, left_out: Vec<String>) {
        for reason in left_out {
            self.report.leave_out(reason, dn);
        }
    }

    /// A group with a million members is more than one request takes.
    async fn push_members(&mut self, members: ImportedMembers) -> Result<(), Failure> {
        let ImportedMembers { group, modified, mut members } = members;
        while !members.is_empty() {
            let mut octets = 0;
            let fitting = members.iter().take(MEMBERS_MAX).take_while(|member| {
                octets += size_of_member(member);
                octets <= BATCH_OCTETS
            });
            let rest = members.split_off(fitting.count().max(1));
            let octets = members.iter().map(size_of_member).sum();
            let part = ImportedMembers { group: group.clone(), modified, members };
            self.push(ImportEntry::Members(part), octets).await?;
            members = rest;
        }
        Ok(())
    }

    async fn push(&mut self, entry: ImportEntry, octets: usize) -> Result<(), Failure> {
        if octets > BATCH_OCTETS && !fits_a_request(&entry, octets) {
            self.report.leave_out("it is larger than an entry can be", entry.dn());
            return Ok(());
        }
        if self.batch.len() >= ENTRIES_MAX || self.batch_octets.saturating_add(octets) > BATCH_OCTETS {
            self.send().await?;
        }
        if self.report.stopped.is_none() {
            self.batch.push(entry);
            self.batch_octets += octets;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Failure> {
        let entries = std::mem::take(&mut self.batch);
        self.batch_octets = 0;
        if entries.is_empty() || self.report.stopped.is_some() {
            return Ok(());
        }
        let request = ImportBatch { options: self.options.clone(), entries };
        let report: ImportReport = self.backend.call(path::IMPORT_BATCH, &request).await?;
        self.report.add(report);
        Ok(())
    }
}

/// Whether an entry that goes alone can go at all: JSON takes up to six octets for one.
fn fits_a_request(entry: &ImportEntry, octets: usize) -> bool {
    octets <= RECORD_OCTETS_MAX
        && serde_json::to_vec(entry).is_ok_and(|json| json.len() <= BODY_OCTETS_MAX - BATCH_OCTETS)
}

/// With what JSON puts around a short name.
fn size_of_member(member: &MemberName) -> usize {
    let (MemberName::Dn(name) | MemberName::Username(name)) = member;
    name.len() + 32
}

fn size_of_group(group: &ImportedGroup) -> usize {
    let values = group.attributes.iter().flat_map(|attribute| &attribute.values);
    values.map(|value| value.0.len()).sum()
}

/// A bar on a terminal, and nothing elsewhere.
fn bar(octets: Option<u64>) -> ProgressBar {
    let target =
        if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let (bar, template) = match octets {
        Some(octets) => (
            ProgressBar::with_draw_target(Some(octets), target),
            "{msg:8} {wide_bar} {bytes}/{total_bytes} {eta}",
        ),
        None => (ProgressBar::with_draw_target(None, target), "{msg:8} {spinner} {bytes}"),
    };
    // A template that indicatif does not take would only look different.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message("accounts")
}

fn in_words(report: &ImportReport) -> String {
    let mut text = String::new();
    let counts = [
        ("people", report.users),
        ("service accounts", report.service_accounts),
        ("groups", report.groups),
        ("memberships", report.memberships),
        ("nested groups", report.nested_groups),
        ("passwords", report.passwords),
        ("there already", report.already_there),
    ];
    // Writing to a string cannot fail.
    let _ = writeln!(text, "imported");
    for (what, count) in counts {
        let _ = writeln!(text, "{count:>10}  {what}");
    }
    for (title, reasons) in [("left out", &report.left_out), ("imported, but look at it", &report.told)] {
        if !reasons.is_empty() {
            let _ = writeln!(text, "{title}");
        }
        for (reason, counted) in reasons.iter() {
            let _ = writeln!(text, "{:>10}  {reason}", counted.count);
            for example in &counted.examples {
                let _ = writeln!(text, "{:>10}    {}", "", visible(example));
            }
            if counted.count > counted.examples.len() as u64 {
                let _ = writeln!(text, "{:>10}    …", "");
            }
        }
    }
    if let Some(dn) = &report.committed_up_to {
        let _ = writeln!(text, "committed up to {}", visible(dn));
    }
    text
}

fn container(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once(':') {
        Some((container, naming)) if container.contains('=') && !naming.is_empty() => {
            Ok((container.to_owned(), naming.to_owned()))
        }
        _ => Err("expected a container and the attribute that names its entries, such as \"ou=people:uid\""
            .to_owned()),
    }
}

/// Entries of one request: as many as one commit takes.
const ENTRIES_MAX: usize = 1_000;
/// Octets of the values in one request, before JSON and base64 make them larger; an entry that is larger goes
/// alone.
const BATCH_OCTETS: usize = 8 * 1024 * 1024;
/// Members in one piece of a group.
const MEMBERS_MAX: usize = 10_000;
/// What is read from the file at a time.
const READ_OCTETS: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_have_a_naming_attribute() {
        assert_eq!(container("ou=people:uid"), Ok(("ou=people".to_owned(), "uid".to_owned())));
        assert!(container("ou=people").is_err());
        assert!(container("ou=people:").is_err());
        assert!(container("people:uid").is_err());
    }
}
