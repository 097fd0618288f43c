//! `bindery import`: people and groups of another directory, from an LDIF file, which is sent to whoever has the directory.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::Frame;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::arguments::{OpeningArguments, PlaceArguments};
use super::backend::{Absent, CallError};
use super::container::container;
use super::failure::{Exit, Failure};
use super::output::Output;
use crate::http::api::ProviderContainer;
use crate::http::path;
use crate::model::visible;
use crate::registry::{ImportOptions, ImportReport, SpoolError, Spools};
use crate::server::spools;
use crate::store::check_owner;

/// Take people and groups over from another directory
#[derive(Debug, clap::Args)]
pub(super) struct ImportArguments {
    /// The LDIF file, as slapcat, ldapsearch or ldifde write it; - reads standard input
    file: PathBuf,
    /// A container of people with its naming attribute, as in the file: "ou=people:uid"
    #[arg(long, value_name = "CONTAINER:ATTRIBUTE", value_parser = container)]
    users: Vec<ProviderContainer>,
    /// A container of groups with its naming attribute: "ou=groups:cn"
    #[arg(long, value_name = "CONTAINER:ATTRIBUTE", value_parser = container)]
    groups: Vec<ProviderContainer>,
    /// A container of service accounts with its naming attribute: "ou=services:cn"
    #[arg(long, value_name = "CONTAINER:ATTRIBUTE", value_parser = container)]
    service_accounts: Vec<ProviderContainer>,
    /// A role for the service accounts
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// The file is what `bindery export` wrote: numbers that were derived are derived again, where they are free. Who had made
    /// what is not in it: all of it is the import's, and the config takes it as meant
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
    directory: OpeningArguments,
}

pub(super) async fn run(
    arguments: ImportArguments,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
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
        users: pairs(users),
        groups: pairs(groups),
        service_accounts: pairs(service_accounts),
        role,
        restore,
        allow_system_numbers,
        allow_shared_numbers,
    };
    // Before the directory is touched: a file that is not there changes nothing.
    let mut input = Input::open(&file, &options)?;
    // Nobody is kept from the store by a program that has not come to its end.
    if input.is_stream
        && let Some(settings) = place.store().await?
    {
        check_owner(&settings.data_dir)?;
        input.keep(&spools(&settings)).map_err(|failure| of_file(&file, failure))?;
    }
    let report = directory
        .with(place, Absent::Fail, async |backend| {
            let progress = input.progress.clone();
            let report: Result<ImportReport, CallError> = backend.upload(path::IMPORT, input).await;
            progress.finish_and_clear();
            Ok(report?)
        })
        .await
        .map_err(|failure| of_file(&file, failure))?;
    output.result(&report, || in_words(&report))?;
    match &report.stopped {
        // As an apply that has left something out: here it is all that there was.
        None if report.is_nothing() => Err(Failure::failed(
            "nothing was imported: all that the file has is left out, for the reasons above",
        )),
        None => Ok(()),
        Some(stop) => Err(Failure::failed(format!(
            "the import stopped at {}: {}; what the report counts is committed, and a second run goes on from there",
            stop.at, stop.reason
        ))),
    }
}

/// Containers with their naming attributes.
fn pairs(containers: Vec<ProviderContainer>) -> Vec<(String, String)> {
    containers.into_iter().map(|ProviderContainer { container, naming }| (container, naming)).collect()
}

/// What is wrong with the file is told with its name.
fn of_file(file: &Path, mut failure: Failure) -> Failure {
    if failure.exit == Exit::Wrong
        && !failure.is_drawn
        && let Some(first) = failure.messages.first_mut()
    {
        *first = format!("{}: {first}", file.display());
    }
    failure
}

/// The body of the request: the options, then the file, with the bar that shows how far it is sent.
struct Input {
    first: Option<Bytes>,
    reader: Box<dyn Read + Send>,
    /// Somebody may still write it.
    is_stream: bool,
    buffer: BytesMut,
    progress: ProgressBar,
}

impl Input {
    fn open(path: &Path, options: &ImportOptions) -> Result<Self, Failure> {
        let mut first = serde_json::to_vec(options)
            .map_err(|error| Failure::failed(format!("the request cannot be written as JSON: {error}")))?;
        first.push(b'\n');
        let (first, buffer) = (Some(Bytes::from(first)), BytesMut::new());
        if path.as_os_str() == "-" {
            let (reader, progress) = (Box::new(io::stdin()), bar(None));
            return Ok(Self { first, reader, is_stream: true, buffer, progress });
        }
        let unreadable = |error: io::Error| {
            Failure::new(Exit::Wrong, format!("{} cannot be read: {error}", path.display()))
        };
        let file = File::open(path).map_err(unreadable)?;
        let found = file.metadata().map_err(unreadable)?;
        if found.is_dir() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        let octets = found.is_file().then_some(found.len());
        let is_stream = octets.is_none();
        Ok(Self { first, reader: Box::new(file), is_stream, buffer, progress: bar(octets) })
    }

    /// Reads it to its end, and keeps it where an import keeps its file.
    fn keep(&mut self, spools: &Spools) -> Result<(), Failure> {
        let refused = |error: SpoolError| {
            let exit = if matches!(error, SpoolError::TooLarge { .. }) { Exit::Wrong } else { Exit::Failed };
            Failure::of(exit, &error).behind("nothing was changed")
        };
        let mut spool = spools.make().map_err(refused)?;
        loop {
            let read = self.read().map_err(|error| {
                Failure::new(Exit::Wrong, format!("it cannot be read: {error}")).behind("nothing was changed")
            })?;
            if read == 0 {
                break;
            }
            spool.write(self.buffer.get(..read).unwrap_or_default()).map_err(refused)?;
        }
        self.progress.finish_and_clear();
        self.progress = bar(Some(spool.octets()));
        self.reader = Box::new(spool.read(0).map_err(|error| refused(error.into()))?);
        Ok(())
    }

    /// Reads into the buffer; 0: there is no more.
    fn read(&mut self) -> io::Result<usize> {
        self.buffer.resize(READ_OCTETS, 0);
        let read = loop {
            match self.reader.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.progress.inc(read as u64);
        Ok(read)
    }

    /// The next piece; none: all of it is sent, and the server works.
    fn piece(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let read = self.read()?;
        if read == 0 {
            self.progress.set_message("importing");
            self.progress.enable_steady_tick(TICK);
            return Ok(None);
        }
        Ok(Some(self.buffer.split_to(read).freeze()))
    }
}

impl hyper::body::Body for Input {
    type Data = Bytes;
    type Error = io::Error;

    /// Waits for the file: this process has nothing else to do.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(self.piece().map(|piece| piece.map(Frame::data)).transpose())
    }
}

/// A bar on a terminal, and nothing elsewhere.
fn bar(octets: Option<u64>) -> ProgressBar {
    let target =
        if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let (bar, template) = match octets {
        Some(octets) => (
            ProgressBar::with_draw_target(Some(octets), target),
            "{msg:9} {wide_bar} {bytes}/{total_bytes} {eta}",
        ),
        None => (ProgressBar::with_draw_target(None, target), "{msg:9} {spinner} {bytes}"),
    };
    // A template that indicatif does not take would only look different.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message("sending")
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
            let _ = writeln!(text, "{:>10}  {}", counted.count, visible(reason));
            for example in &counted.examples {
                let _ = writeln!(text, "{:>10}    {}", "", visible(example));
            }
            if !counted.examples.is_empty() && counted.count > counted.examples.len() as u64 {
                let _ = writeln!(text, "{:>10}    …", "");
            }
        }
    }
    if !report.config.is_empty() {
        let _ = writeln!(
            text,
            "for the provider's table in the config, so that the next `bindery apply` keeps the containers"
        );
        for line in &report.config {
            let _ = writeln!(text, "{line}");
        }
    }
    if let Some(dn) = &report.committed_up_to {
        let _ = writeln!(text, "committed up to {}", visible(dn));
    }
    text
}

/// What is read from the file at a time.
const READ_OCTETS: usize = 256 * 1024;
/// How often it shows that the server works.
const TICK: Duration = Duration::from_millis(100);
