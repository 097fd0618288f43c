//! `bindery event`: the audit trail is listed, shown and verified.

use std::fmt::Write;
use std::time::Duration;

use super::arguments::{PlaceArguments, ReadingArguments};
use super::failure::{Exit, Failure};
use super::output::{Output, Stream, table};
use crate::audit::{AuditReport, ExpectedEvent, OBJECT_KINDS, TrailReport};
use crate::clock::system_time;
use crate::http::{ShowRequest, ShownEvent, VerifyRequest, path};
use crate::model::{Action, DateMeans, Event, EventPlace, Timestamp, Trail, visible};
use crate::registry::EventQuery;

/// The audit trail: who did what, with which credential, from where, when
#[derive(Debug, clap::Subcommand)]
pub(super) enum EventCommand {
    /// List events, the newest first
    List(Box<ListArguments>),
    /// Show all of one event
    Show(ShowArguments),
    /// Say whether any event was edited, removed, moved or added; exit code 1 if so
    Verify(VerifyArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Only this trail: changes, logins, failures or custom; several are allowed
    #[arg(long, value_name = "TRAIL")]
    trail: Vec<Trail>,
    /// Only this action, such as login_failed; several are allowed
    #[arg(long, value_name = "ACTION")]
    action: Vec<Action>,
    /// Only what this account did
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only what was done with this token
    #[arg(long, value_name = "IDENTIFIER")]
    token: Option<String>,
    /// Only what is about objects of this kind, such as account or token
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<String>,
    /// Only what is about the object of this name
    #[arg(long, value_name = "NAME")]
    object: Option<String>,
    /// Only since then: a time, the beginning of a date, or how long ago ("2h")
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Only until then: a time, the end of a date, or how long ago ("2h")
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<Timestamp>,
    /// Only what happened before this event, such as logins:7: the next page
    #[arg(long, value_name = "EVENT")]
    before: Option<EventPlace>,
    /// Only events in which each word of this text stands
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// The oldest first
    #[arg(long)]
    oldest_first: bool,
    #[command(flatten)]
    directory: ReadingArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// Its place, such as logins:7; a number alone is one in the trail of changes
    #[arg(value_name = "EVENT")]
    place: EventPlace,
    #[command(flatten)]
    directory: ReadingArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArguments {
    /// An event as it was noted earlier, from the log or from a verification: tells as well whether its whole trail was
    /// written anew; without TRAIL it is one of the trail of changes; several are allowed
    #[arg(long, value_name = "TRAIL:SEQUENCE:DIGEST")]
    expect: Vec<ExpectedEvent>,
    #[command(flatten)]
    directory: ReadingArguments,
}

pub(super) async fn run(
    command: EventCommand,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    match command {
        EventCommand::List(arguments) => list(*arguments, place, output).await,
        EventCommand::Show(arguments) => show(arguments, place, output).await,
        EventCommand::Verify(arguments) => verify(arguments, place, output).await,
    }
}

fn kind(text: &str) -> Result<String, String> {
    match OBJECT_KINDS.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("events are about {}", OBJECT_KINDS.join(", "))),
    }
}

async fn list(arguments: ListArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let ListArguments {
        limit,
        trail,
        action,
        account,
        token,
        kind,
        object,
        since,
        until,
        before,
        text,
        oldest_first,
        directory,
    } = arguments;
    let query = EventQuery {
        trails: trail,
        before,
        actions: action,
        account,
        token,
        object_kinds: kind.into_iter().collect(),
        object_name: object,
        since,
        until,
        text,
        oldest_first,
        limit,
        ..EventQuery::default()
    };
    let events: Vec<ShownEvent> =
        directory.with(place, async |backend| Ok(backend.call(path::EVENT_LIST, &query).await?)).await?;
    output.result(&events, || {
        let rows = events.iter().map(|shown| row(&shown.event)).collect();
        let header = ["EVENT", "TIME", "ACTION", "COUNT", "ACCOUNT", "USER", "TOKEN", "SOURCE", "ABOUT"];
        table(&header, rows, Some(Stream::Output))
    })
}

fn row(event: &Event) -> Vec<String> {
    vec![
        event.place().to_string(),
        event.time.to_string(),
        event.action.to_string(),
        event.count.to_string(),
        event.actor.account.clone(),
        event.actor.user.as_ref().map(ToString::to_string).unwrap_or_default(),
        event.actor.token.clone().unwrap_or_default(),
        event.actor.source.map(|source| source.to_string()).unwrap_or_default(),
        about(event),
    ]
}

fn about(event: &Event) -> String {
    format!("{} {}", event.object_kind, event.object_name).trim().to_owned()
}

async fn show(arguments: ShowArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let request = ShowRequest { place: arguments.place };
    let shown: ShownEvent = arguments
        .directory
        .with(place, async |backend| Ok(backend.call(path::EVENT_SHOW, &request).await?))
        .await?;
    output.result(&shown, || in_words(&shown))
}

fn in_words(shown: &ShownEvent) -> String {
    let ShownEvent { event, digest } = shown;
    let actor = &event.actor;
    let times = match event.since {
        Some(since) => format!("{} times from {since} to {}", event.count, event.time),
        None => event.time.to_string(),
    };
    let rows = [
        ("action", Some(event.action.to_string())),
        ("time", Some(times)),
        ("account", Some(actor.account.clone())),
        ("user", actor.user.as_ref().map(ToString::to_string)),
        ("token", actor.token.clone()),
        ("source", actor.source.map(|source| source.to_string())),
        ("request", actor.request.map(|request| request.to_string())),
        ("application", event.application.clone()),
        ("about", Some(about(event))),
        ("object", event.object_uuid.map(|uuid| uuid.to_string())),
        ("uuid", Some(event.uuid.to_string())),
        ("digest", Some(digest.to_string())),
        ("previous", Some(event.previous.to_string())),
    ];
    let mut text = format!("event {}\n", event.place());
    for (name, value) in rows {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            // Writing to a string cannot fail. Names come from elsewhere and may hold anything.
            let _ = writeln!(text, "  {name}: {}", visible(&value));
        }
    }
    // What is called as somebody chose stands under a heading, so that no row can be taken for one of those above.
    let details = event.details.iter().filter(|detail| !detail.value.is_empty());
    let context = details.map(|detail| format!("{}: {}", visible(&detail.name), visible(&detail.value)));
    push_list(&mut text, "context", context);
    let side = |value: &Option<String>| match value {
        Some(value) => visible(&format!("\"{}\"", value.escape_debug())),
        None => "nothing".to_owned(),
    };
    let changes = event.changes.iter().map(|change| {
        format!("{}: {} -> {}", visible(&change.field), side(&change.before), side(&change.after))
    });
    push_list(&mut text, "changes", changes);
    text
}

fn push_list(text: &mut String, heading: &str, rows: impl Iterator<Item = String>) {
    for (place, row) in rows.enumerate() {
        if place == 0 {
            let _ = writeln!(text, "  {heading}:");
        }
        let _ = writeln!(text, "    {row}");
    }
}

async fn verify(arguments: VerifyArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let request = VerifyRequest { expected: arguments.expect };
    let report: AuditReport = arguments
        .directory
        .with(place, async |backend| Ok(backend.call(path::EVENT_VERIFY, &request).await?))
        .await?;
    output.result(&report, || summary(&report))?;
    if report.is_whole() {
        return Ok(());
    }
    let mut messages = vec![
        "the audit trail is not as bindery wrote it: compare with the log, and with a backup of the data directory"
            .to_owned(),
    ];
    for TrailReport { trail, problems, problem_count, .. } in &report.trails {
        messages.extend(problems.iter().map(|problem| format!("{trail}: {problem}")));
        let untold = problem_count.saturating_sub(problems.len() as u64);
        if untold > 0 {
            messages.push(format!("{trail}: {untold} more problems are not told one by one"));
        }
    }
    Err(Failure { exit: Exit::Failed, messages, is_drawn: false })
}

fn summary(report: &AuditReport) -> String {
    let mut lines: Vec<String> = report.trails.iter().map(summary_of).collect();
    if report.is_whole() {
        lines.push("note the ends of the trails elsewhere, for --expect:".to_owned());
        let ends = report
            .trails
            .iter()
            .map(|TrailReport { trail, last, head, .. }| format!("{trail}:{last}:{head}"));
        lines.extend(ends);
    }
    lines.join("\n")
}

fn summary_of(report: &TrailReport) -> String {
    let TrailReport { trail, verified, first, last, .. } = report;
    if !report.is_whole() {
        format!("{trail}: {verified} events read, {} problems", report.problem_count)
    } else if last < first {
        format!("{trail}: no events are kept")
    } else {
        format!("{trail}: {verified} events, {first} to {last}, are as they were written")
    }
}

fn since(text: &str) -> Result<Timestamp, String> {
    time(text, DateMeans::Begin)
}

fn until(text: &str) -> Result<Timestamp, String> {
    time(text, DateMeans::End)
}

/// A time, or how long ago.
fn time(text: &str, date_means: DateMeans) -> Result<Timestamp, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(earlier(system_time(), ago));
    }
    let read = Timestamp::read(text, date_means);
    read.map_err(|error| format!("{error}, or how long ago, such as \"2h\""))
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    let seconds = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_unix_seconds(time.unix_seconds().saturating_sub(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventDetail, FieldChange, is_invisible};
    use crate::plain;

    #[test]
    fn a_row_of_somebody_elses_is_no_row_of_the_event() {
        let detail = |name: &str, value: &str| EventDetail { name: name.to_owned(), value: value.to_owned() };
        let details = vec![
            detail("note\n  account: bindery:command-line", "x\u{1b}[2J"),
            detail("account", "somebody else"),
            detail("\u{1b}]0;title\u{7}", "y"),
        ];
        let changes = vec![FieldChange {
            field: "source\r".to_owned(),
            before: None,
            after: Some("1.2.3.4".to_owned()),
        }];
        let event = Event { details, changes, ..plain::event() };
        let text = in_words(&ShownEvent::from(event));
        assert!(text.chars().all(|character| character == '\n' || !is_invisible(character)), "{text:?}");
        let context = text.find("  context:\n").unwrap_or(text.len());
        let rows = |name: &str| {
            let start = format!("  {name}: ");
            let places = text.match_indices(&start).map(|(place, _)| place);
            places.filter(|place| text[..*place].ends_with('\n')).collect::<Vec<_>>()
        };
        assert!(rows("account").iter().all(|place| *place < context), "{text}");
        assert!(text.contains("\n    note\\n  account: bindery:command-line: x\\u{1b}[2J\n"), "{text}");
        assert!(text.contains("\n    account: somebody else\n"), "{text}");
        assert!(text.contains("  changes:\n    source\\r: nothing -> \"1.2.3.4\"\n"), "{text}");
    }

    #[test]
    fn a_kind_that_there_is_not_is_told() {
        assert_eq!(kind("token"), Ok("token".to_owned()));
        assert!(
            kind("tokens").is_err_and(|problem| problem.contains("token, ") || problem.ends_with("token"))
        );
    }

    #[test]
    fn times_are_times_or_durations() {
        let now = system_time().unix_seconds();
        let ago = since("2h").map(Timestamp::unix_seconds);
        assert!(ago.is_ok_and(|ago| (now - 7_205..=now - 7_195).contains(&ago)));
        assert_eq!(since("1970-01-01T00:01:00Z"), Ok(Timestamp::from_unix_seconds(60)));
        let day =
            |read: fn(&str) -> Result<Timestamp, String>| read("1970-01-02").map(Timestamp::unix_seconds);
        assert_eq!((day(since), day(until)), (Ok(86_400), Ok(2 * 86_400 - 1)));
        assert!(since("yesterday").is_err());
        let end = Duration::from_secs(u64::MAX);
        assert_eq!(earlier(Timestamp::from_unix_seconds(-9), end).unix_seconds(), i64::MIN);
    }
}
