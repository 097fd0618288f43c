//! The bindings of an application: for whom, from where or when each passes.

use super::diagnostics::{Problem, Problems};
use super::reader::TableReader;
use super::seed::{ReferenceKind, SeedBinding, SeedSubject};
use super::seed_reader::SeedReader;
use super::seed_value::{network, time_of_day, timezone, weekday};
use super::text::Located;
use super::value;
use crate::model::{BadTimeWindow, TimeOfDay, TimeWindow, TimeZone, Weekday};

/// The keys that say for whom, from where or when; a binding has those of one row.
const SUBJECTS: [&[&str]; 4] = [&["group"], &["account"], &["networks"], &["days", "from", "to", "timezone"]];

impl SeedReader<'_> {
    /// Reads one binding.
    pub(super) fn binding(
        &mut self,
        mut table: TableReader<'_>,
        problems: &mut Problems,
    ) -> Option<SeedBinding> {
        let account = table.located("account", problems, value::name);
        let group = table.located("group", problems, value::name);
        let networks = networks(&mut table, problems).map(SeedSubject::Networks);
        let window = window(&mut table, problems).map(SeedSubject::Window);
        let order = table.value("order", problems, value::integer).unwrap_or(0);
        let negate = table.value("negate", problems, value::boolean).unwrap_or(false);
        let enabled = table.value("enabled", problems, value::boolean).unwrap_or(true);
        let has_one_subject = check_subjects(&table, problems);
        if let Some(account) = account.as_ref().filter(|_| has_one_subject) {
            self.refer(ReferenceKind::Account, account, table.key_path("account"));
        }
        if let Some(group) = group.as_ref().filter(|_| has_one_subject) {
            self.refer(ReferenceKind::Group, group, table.key_path("group"));
        }
        table.finish(problems);
        let account = account.map(|account| SeedSubject::Account(account.value));
        let group = group.map(|group| SeedSubject::Group(group.value));
        let subject = account.or(group).or(networks).or(window).filter(|_| has_one_subject)?;
        Some(SeedBinding { subject, order, negate, enabled })
    }
}

/// Whether the keys of exactly one subject are there, right or wrong; anything else is reported.
fn check_subjects(table: &TableReader<'_>, problems: &mut Problems) -> bool {
    let given = |keys: &[&'static str]| {
        keys.iter().find_map(|key| table.key_position(key).map(|position| (*key, position)))
    };
    let mut given = SUBJECTS.into_iter().filter_map(given);
    match (given.next(), given.next()) {
        (Some(_), None) => true,
        (Some((first, _)), Some((second, position))) => {
            let message = format!("found `{first}` and `{second}` in one binding: write a binding for each");
            problems.report(&position, &table.key_path(second), message);
            false
        }
        (None, _) => {
            let message = "expected `group`, `account`, `networks`, or a time by `days`, `from` and `to`";
            problems.push(Problem::missing(table.position(), table.key_path("group"), message.to_owned()));
            false
        }
    }
}

fn networks(table: &mut TableReader<'_>, problems: &mut Problems) -> Option<Vec<ipnet::IpNet>> {
    let before = problems.len();
    let located = table.list("networks", problems, network)?;
    if located.is_empty() && problems.len() == before {
        let message = "expected at least one network; a binding without any passes for nobody";
        problems.report(&table.said_at("networks"), &table.key_path("networks"), message);
    }
    Some(located.into_iter().map(|network| network.value).collect())
}

/// Reads a time window: every day, from the beginning and to the end of it, in UTC, where nothing else is said.
fn window(table: &mut TableReader<'_>, problems: &mut Problems) -> Option<TimeWindow> {
    let before = problems.len();
    let days = table.list("days", problems, weekday);
    let from = table.located("from", problems, time_of_day);
    let to = table.located("to", problems, time_of_day);
    let timezone = table.value("timezone", problems, timezone);
    if problems.len() > before {
        return None;
    }
    if days.is_none() && from.is_none() && to.is_none() {
        if let Some(position) = table.key_position("timezone") {
            let message = "a time zone alone is no time: give `days`, or `from` and `to`";
            problems.report(&position, &table.key_path("timezone"), message);
        }
        return None;
    }
    let days = days.map(|days| days.into_iter().map(|day| day.value).collect());
    let window = TimeWindow::new(
        days.unwrap_or_else(|| Weekday::ALL.to_vec()),
        from.as_ref().map_or(TimeOfDay::START, |from| from.value),
        to.as_ref().map_or(TimeOfDay::END, |to| to.value),
        timezone.unwrap_or_else(TimeZone::utc),
    );
    match window {
        Ok(window) => Some(window),
        Err(error) => {
            let (key, at) = match error {
                BadTimeWindow::NoDay => ("days", None),
                BadTimeWindow::BeginsAtEnd => ("from", from),
                BadTimeWindow::Empty(_) => ("to", to),
            };
            let position = at.map_or_else(|| table.said_at(key), |Located { position, .. }| position);
            problems.report(&position, &table.key_path(key), error.to_string());
            None
        }
    }
}
