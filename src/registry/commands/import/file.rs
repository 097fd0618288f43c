//! The import of a whole file: it is read to its end before anything is changed, then once for its accounts, and its
//! groups once more for themselves and once for their members, which name entries that may come later in the file.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::commit::find_entry;
use super::{
    Classified, Classifier, ImportEntry, ImportOptions, ImportReport, ImportStop, ImportedMembers,
    MemberName, Reasons, Spool,
};
use crate::config::Limit;
use crate::directory::{EntryId, Snapshot, name_key};
use crate::ldif::{LdifReader, Record};
use crate::model::Actor;
use crate::registry::{ChangeError, Registry};

impl Registry {
    /// Imports a file, unless the server is `going_down` before it is over: what is committed stays then.
    ///
    /// # Errors
    /// It is no LDIF, nothing of it fits a container, or there is no such provider or role: nothing happened.
    pub async fn import_file(
        &self,
        actor: Actor,
        options: ImportOptions,
        spool: Spool,
        going_down: &CancellationToken,
    ) -> Result<ImportReport, ChangeError> {
        let (layout, config) = self.rehearse_import(options.clone()).await?;
        let classifier = Arc::new(Classifier::new(&layout));
        let spool = Arc::new(spool);
        let (read, of_provider) = (Arc::clone(&classifier), layout.provider.clone());
        let spooled = Arc::clone(&spool);
        let survey = blocking(move || Survey::of(&spooled, &read, &of_provider)).await?;
        let survey = survey.map_err(|unfit| {
            if matches!(unfit, Unfit::TooMany { .. }) {
                self.reached().note(Limit::import_entries_max);
            }
            ChangeError::Invalid(unfit.sentences())
        })?;

        self.prepare_import(actor.clone(), options.clone()).await?;
        let mut report = ImportReport { config, ..ImportReport::default() };
        let survey = Arc::new(survey);
        for stage in [Stage::Accounts, Stage::Groups, Stage::Members] {
            let reading = Reading::new(stage, &spool, Arc::clone(&survey), Arc::clone(&classifier));
            report.stopped = match reading {
                Ok(reading) => self.import_stage(&actor, &options, reading, &mut report, going_down).await,
                Err(error) => Some(stop(stage.to_string(), &error)),
            };
            if report.stopped.is_some() {
                break;
            }
        }
        Ok(report)
    }

    /// Imports what a stage is about. Whatever ends it before its end, what was committed stays and is told: so there is no
    /// error, but a stop.
    async fn import_stage(
        &self,
        actor: &Actor,
        options: &ImportOptions,
        mut reading: Reading,
        report: &mut ImportReport,
        going_down: &CancellationToken,
    ) -> Option<ImportStop> {
        let stage = reading.stage;
        loop {
            let snapshot = self.snapshot();
            let read = blocking(move || {
                let mut came = ImportReport::default();
                let entries = reading.next_entries(&snapshot, &mut came);
                (reading, entries, came)
            });
            let (next, entries, came) = match read.await {
                Ok(read) => read,
                Err(error) => return Some(stop(stage.to_string(), &error)),
            };
            reading = next;
            report.add(came);
            let Some(first) = entries.first().map(|entry| entry.dn().to_owned()) else {
                return report.stopped.take();
            };
            if going_down.is_cancelled() {
                return Some(stop(first, &ChangeError::ShuttingDown));
            }
            match self.import(actor.clone(), options.clone(), entries).await {
                Ok(came) => report.add(came),
                Err(error) => return Some(stop(first, &error)),
            }
            if let Some(stopped) = report.stopped.take() {
                return Some(stopped);
            }
        }
    }
}

fn stop(at: String, error: &dyn std::error::Error) -> ImportStop {
    ImportStop { at, reason: error.to_string() }
}

/// Work that waits for a disk, on a thread that may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ChangeError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ChangeError::Panicked)
}

/// Why a file is not imported.
enum Unfit {
    /// It has more entries than it may.
    TooMany { entries_max: usize },
    /// It is no LDIF, or nothing of it fits a container: in sentences.
    Wrong(Vec<String>),
}

impl Unfit {
    fn sentences(self) -> Vec<String> {
        match self {
            Self::TooMany { entries_max } => vec![format!(
                "the file has more than server.limits.import_entries_max ({entries_max}) entries; nothing was changed"
            )],
            Self::Wrong(sentences) => sentences,
        }
    }
}

/// What a file holds, as far as it must be known before it is imported.
struct Survey {
    /// The octets that hold all groups.
    groups: Range<u64>,
    /// The names that more than one entry has, with where the first of these stands.
    repeated: HashMap<Mark, u64>,
}

/// So much of the digest of something that nothing else has it.
type Mark = [u8; 16];

impl Survey {
    /// Reads a file to its end.
    fn of(spool: &Spool, classifier: &Classifier, provider: &str) -> Result<Self, Unfit> {
        let unreadable = |error: &dyn std::fmt::Display| {
            Unfit::Wrong(vec![format!("the file cannot be read: {error}; nothing was changed")])
        };
        let mut records = LdifReader::new(spool.read(0).map_err(|error| unreadable(&error))?);
        let mut survey = Self { groups: 0..0, repeated: HashMap::new() };
        // Sorted at the end, it takes half of what a map would.
        let mut seen: Vec<(Mark, u64)> = Vec::new();
        let mut reasons = Reasons::default();
        let mut first_error = None;
        let (mut has_entries, mut fits) = (false, false);
        loop {
            let start = records.octets_read();
            let record = match records.next() {
                None => break,
                Some(Ok(record)) => record,
                Some(Err(error)) if error.is_fatal() => return Err(unreadable(&error)),
                Some(Err(error)) => {
                    first_error.get_or_insert_with(|| error.to_string());
                    continue;
                }
            };
            has_entries = true;
            if !fits {
                match classifier.classify(&record) {
                    Classified::Account(..) | Classified::Group(..) => fits = true,
                    Classified::Container(_) => {}
                    Classified::Ignored { reason } => reasons.note(reason, 1, [record.dn.clone()]),
                }
            }
            if classifier.may_be_group(&record) {
                let first = if survey.groups.is_empty() { start } else { survey.groups.start };
                survey.groups = first..records.octets_read();
            }
            if seen.len() >= spool.entries_max {
                return Err(Unfit::TooMany { entries_max: spool.entries_max });
            }
            seen.push((classifier.mark(&record), start));
        }
        if fits {
            seen.sort_unstable();
            for pair in seen.windows(2) {
                let [(name, first), (next, _)] = pair else { continue };
                if name == next {
                    survey.repeated.entry(*name).or_insert(*first);
                }
            }
            return Ok(survey);
        }
        let mut messages = Vec::new();
        match first_error {
            Some(error) if !has_entries => {
                messages.push(format!("this is no LDIF, and nothing was changed: {error}"));
            }
            _ if !has_entries => messages.push("the file holds no entry, and nothing was changed".to_owned()),
            error => {
                messages.push(format!(
                    "no entry of the file fits a container of the provider `{provider}`, and nothing was changed"
                ));
                messages.extend(reasons.iter().map(|(reason, counted)| {
                    let example = counted.examples.first().map_or("", String::as_str);
                    format!("{} left out, as {example}: {reason}", counted.count)
                }));
                messages.extend(error);
            }
        }
        Err(Unfit::Wrong(messages))
    }
}

impl Classifier {
    /// What tells the name of a record from all others.
    fn mark(&self, record: &Record) -> Mark {
        match self.normal_name(&record.dn) {
            Some(normal) => mark(&[b"dn", &normal]),
            None => mark(&[b"text", record.dn.as_bytes()]),
        }
    }
}

fn mark(parts: &[&[u8]]) -> Mark {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let mut mark = Mark::default();
    mark.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
    mark
}

/// What a file is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Accounts,
    Groups,
    Members,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Accounts => "the accounts",
            Self::Groups => "the groups",
            Self::Members => "the members of the groups",
        })
    }
}

/// A file while it is read for something.
struct Reading {
    stage: Stage,
    records: LdifReader<BufReader<File>>,
    /// The octets of it that are of interest.
    from: u64,
    end: u64,
    survey: Arc<Survey>,
    classifier: Arc<Classifier>,
    /// Of each name that more than one entry has, and that was met, what the first entry says.
    first: HashMap<Mark, HashSet<Mark>>,
    /// What goes out next.
    waiting: Vec<ImportEntry>,
}

impl Reading {
    fn new(
        stage: Stage,
        spool: &Spool,
        survey: Arc<Survey>,
        classifier: Arc<Classifier>,
    ) -> std::io::Result<Self> {
        let (from, end) = match stage {
            Stage::Accounts => (0, u64::MAX),
            Stage::Groups | Stage::Members => (survey.groups.start, survey.groups.end),
        };
        let records = LdifReader::new(spool.read(from)?);
        let (first, waiting) = (HashMap::new(), Vec::new());
        Ok(Self { stage, records, from, end, survey, classifier, first, waiting })
    }

    /// The entries of the next call; none: there are no more.
    fn next_entries(&mut self, snapshot: &Snapshot, report: &mut ImportReport) -> Vec<ImportEntry> {
        let mut entries = std::mem::take(&mut self.waiting);
        let mut octets: usize = entries.iter().map(size_of).sum();
        while entries.len() < ENTRIES_MAX && octets < BATCH_OCTETS {
            let start = self.from + self.records.octets_read();
            let Some(read) = self.records.next().filter(|_| start < self.end) else { break };
            match read {
                Ok(record) => {
                    let mut found = self.take(start, &record, snapshot, report);
                    octets += found.iter().map(size_of).sum::<usize>();
                    // A large group is in pieces.
                    let room = found.len().min(ENTRIES_MAX - entries.len());
                    self.waiting = found.split_off(room);
                    entries.append(&mut found);
                }
                Err(error) if error.is_fatal() => {
                    let at = format!("line {}", error.line);
                    report.stopped = Some(ImportStop { at, reason: error.problem.to_string() });
                    break;
                }
                Err(error) if self.stage == Stage::Accounts => {
                    let place = match &error.dn {
                        Some(dn) => format!("line {} ({dn})", error.line),
                        None => format!("line {}", error.line),
                    };
                    report.leave_out(error.problem.to_string(), &place);
                }
                Err(_) => {}
            }
        }
        entries
    }

    /// What a record is to this reading. What is left out of it is told once, when the accounts are read.
    fn take(
        &mut self,
        start: u64,
        record: &Record,
        snapshot: &Snapshot,
        report: &mut ImportReport,
    ) -> Vec<ImportEntry> {
        if self.stage != Stage::Accounts && !self.classifier.may_be_group(record)
            || self.is_again(start, record, report)
        {
            return Vec::new();
        }
        match (self.stage, self.classifier.classify(record)) {
            (Stage::Accounts, classified) => told(classified, &record.dn, report).into_iter().collect(),
            (Stage::Groups, Classified::Group(group, ..)) => vec![ImportEntry::Group(group)],
            (Stage::Members, Classified::Group(_, members, _)) => in_pieces(members, snapshot),
            (Stage::Groups | Stage::Members, _) => Vec::new(),
        }
    }

    /// Whether an entry of the same name came before, which is the one that counts; what this one says beside it is told.
    fn is_again(&mut self, start: u64, record: &Record, report: &mut ImportReport) -> bool {
        let name = self.classifier.mark(record);
        let Some(first) = self.survey.repeated.get(&name) else { return false };
        if self.stage != Stage::Accounts {
            return start != *first;
        }
        let value = |(description, value): &(String, Vec<u8>)| {
            mark(&[description.to_ascii_lowercase().as_bytes(), value])
        };
        let Some(first) = self.first.get(&name) else {
            self.first.insert(name, record.attributes.iter().map(value).collect());
            return false;
        };
        let others = record.attributes.iter().filter(|said| !first.contains(&value(said)));
        let others: Vec<String> = others.map(|(name, value)| self.classifier.told(name, value)).collect();
        let (dn, line) = (&record.dn, record.line);
        if others.is_empty() {
            report.leave_out(AGAIN_THE_SAME, &format!("{dn} (line {line})"));
        } else {
            report.leave_out(AGAIN, &format!("{dn} (line {line}): {}", others.join("; ")));
        }
        true
    }
}

/// The account that a record is, if it is one; all that is left out is counted.
fn told(classified: Classified, dn: &str, report: &mut ImportReport) -> Option<ImportEntry> {
    let (account, left_out) = match classified {
        Classified::Account(account, left_out) => (Some(ImportEntry::Account(account)), left_out),
        Classified::Group(_, _, left_out) => (None, left_out),
        Classified::Container(left_out) => {
            report.already_there += 1;
            (None, left_out)
        }
        Classified::Ignored { reason } => (None, vec![reason]),
    };
    left_out.into_iter().for_each(|reason| report.leave_out(reason, dn));
    account
}

/// The members of a group, each once, however often and by whichever names the file has it.
fn in_pieces(members: ImportedMembers, snapshot: &Snapshot) -> Vec<ImportEntry> {
    let ImportedMembers { group, modified, members } = members;
    let mut seen = HashSet::new();
    let mut members = members.into_iter().filter(|member| seen.insert(Member::of(member, snapshot)));
    let mut pieces = Vec::new();
    loop {
        let members: Vec<MemberName> = members.by_ref().take(MEMBERS_MAX).collect();
        if members.is_empty() {
            return pieces;
        }
        pieces.push(ImportEntry::Members(ImportedMembers { group: group.clone(), modified, members }));
    }
}

/// Who a member is, by whichever name.
#[derive(PartialEq, Eq, Hash)]
enum Member {
    Entry(EntryId),
    Unknown(Vec<u8>),
}

impl Member {
    fn of(name: &MemberName, snapshot: &Snapshot) -> Self {
        let (entry, name) = match name {
            MemberName::Dn(dn) => (find_entry(snapshot, dn), dn),
            MemberName::Username(name) => {
                let account = snapshot.accounts().account_named(name);
                (account.map(|account| EntryId::of_account(account.number)), name)
            }
        };
        entry.map_or_else(|| Self::Unknown(name_key(name)), Self::Entry)
    }
}

/// About how large an entry is in memory.
fn size_of(entry: &ImportEntry) -> usize {
    let attributes = match entry {
        ImportEntry::Account(account) => &account.attributes,
        ImportEntry::Group(group) => &group.attributes,
        ImportEntry::Members(members) => return members.members.len() * MEMBER_OCTETS,
    };
    attributes.iter().flat_map(|attribute| &attribute.values).map(|value| value.0.len()).sum()
}

const AGAIN: &str = "a second entry of one DN: the first one counts, and these values of it were not taken";
const AGAIN_THE_SAME: &str = "a second entry of one DN, which says nothing that the first one does not say";

/// Entries of one call.
/// No limit of the config: the rest follows in the next call.
const ENTRIES_MAX: usize = 1_000;
/// Octets of the values of one call, but for the last entry of it.
const BATCH_OCTETS: usize = 8 * 1024 * 1024;
/// Members in one piece of a group, and about how large one is.
/// No limit of the config: the rest follows in the next piece.
const MEMBERS_MAX: usize = 10_000;
const MEMBER_OCTETS: usize = 128;
