//! Reads a table of a config key by key, keeps on after an error, and knows which keys nobody asked for.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::{Problem, Problems};
use super::environment::Overrides;
use super::place::Spans;
use super::text::{ConfigText, Located, Position};
use super::value::{self, Raw};

/// A table that is being read. [`finish`](TableReader::finish) reports the keys that were not asked for.
pub(super) struct TableReader<'t> {
    source: &'t Arc<ConfigText>,
    /// The tables on the way to it, such as `server.tls`; empty for the root.
    path: String,
    /// Where it begins.
    span: Range<usize>,
    /// What stands in the file; `None` when only variables can say something.
    entries: Option<&'t DeTable<'t>>,
    overrides: Option<Overrides<'t>>,
    known: Vec<&'static str>,
}

impl<'t> TableReader<'t> {
    /// The root of a file.
    pub(super) fn root(source: &'t Arc<ConfigText>, entries: &'t DeTable<'t>) -> Self {
        Self {
            source,
            path: String::new(),
            span: 0..0,
            entries: Some(entries),
            overrides: None,
            known: Vec::new(),
        }
    }

    /// Lets variables override what stands in the file.
    pub(super) fn with_overrides(mut self, overrides: Overrides<'t>) -> Self {
        self.overrides = Some(overrides);
        self
    }

    /// Where the table begins.
    pub(super) fn position(&self) -> Position {
        self.place(self.span.clone())
    }

    /// The name of a key with its tables, for messages.
    pub(super) fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where a key stands; `None` when the file does not have it.
    pub(super) fn key_position(&self, key: &str) -> Option<Position> {
        self.entry(key).map(|(key, _)| self.place(key.span()))
    }

    /// Where each key of it stands, and each key of the tables in it, in dots: `tls.key`.
    pub(super) fn spans(&self) -> Spans {
        let mut spans = Vec::new();
        if let Some(entries) = self.entries {
            self.note_spans("", entries, &mut spans);
        }
        Spans(spans)
    }

    fn note_spans(&self, before: &str, entries: &DeTable<'t>, spans: &mut Vec<(Box<str>, Position)>) {
        for (key, value) in entries {
            let path = format!("{before}{}", key.get_ref());
            if let DeValue::Table(inner) = value.get_ref() {
                self.note_spans(&format!("{path}."), inner, spans);
            }
            spans.push((path.into(), self.place(key.span())));
        }
    }

    /// The text of a key, whatever it is good for.
    pub(super) fn said(&self, key: &str) -> Option<&'t str> {
        self.entry(key).and_then(|(_, value)| value.get_ref().as_str())
    }

    /// The keys that hold tables and that nobody asked for.
    pub(super) fn unknown_tables(&self) -> impl Iterator<Item = &'t str> {
        let entries = self.entries.into_iter().flatten();
        let unknown = entries.filter(|(key, _)| !self.known.contains(&key.get_ref().as_ref()));
        unknown.filter_map(|(key, value)| match value.get_ref() {
            DeValue::Array(_) | DeValue::Table(_) => Some(key.get_ref().as_ref()),
            _ => None,
        })
    }

    /// Where a key has its value from: a variable, the file, or, as a default, the table.
    pub(super) fn said_at(&self, key: &str) -> Position {
        let variable = self.overrides.as_ref().and_then(|overrides| overrides.get(key));
        match variable {
            Some(said) => Position::Variable(said.variable),
            None => self.key_position(key).unwrap_or_else(|| self.position()),
        }
    }

    /// Reports a key that does not belong here, if it is there.
    pub(super) fn refuse(&mut self, key: &'static str, message: &str, problems: &mut Problems) {
        self.known.push(key);
        if let Some(position) = self.key_position(key) {
            problems.report(&position, &self.key_path(key), message);
        }
    }

    /// Reads one value. Absent or wrong (which is reported): `None`. An override wins; the file must be
    /// right nevertheless.
    pub(super) fn located<T>(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
        parse: impl Fn(Raw<'_>) -> Result<T, String>,
    ) -> Option<Located<T>> {
        self.known.push(key);
        let in_file = self.entry(key).and_then(|(_, value)| {
            let position = self.place(value.span());
            self.understood(key, position, parse(Raw::Toml(value.get_ref())), problems)
        });
        let Some(said) = self.overrides.as_ref().and_then(|overrides| overrides.get(key)) else {
            return in_file;
        };
        let position = Position::Variable(said.variable);
        match said.text.as_deref() {
            Some("") => None,
            Some(text) => self.understood(key, position, parse(Raw::Variable(text)), problems),
            None => self.understood(key, position, Err(NOT_UTF_8.to_owned()), problems),
        }
    }

    /// [`located`](Self::located) without the position.
    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
        parse: impl Fn(Raw<'_>) -> Result<T, String>,
    ) -> Option<T> {
        self.located(key, problems, parse).map(|located| located.value)
    }

    /// [`located`](Self::located) for a key that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
        parse: impl Fn(Raw<'_>) -> Result<T, String>,
    ) -> Option<Located<T>> {
        let before = problems.len();
        let located = self.located(key, problems, parse);
        if located.is_none() && problems.len() == before {
            self.report_missing(key, problems);
        }
        located
    }

    /// Reads a list of values. Wrong elements are reported and left out.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
        parse: impl Fn(Raw<'_>) -> Result<T, String>,
    ) -> Option<Vec<Located<T>>> {
        let items = self.items_in_file(key, problems);
        let in_file =
            items.map(|items| items.iter().filter_map(|item| item.read(problems, &parse)).collect());
        let Some(said) = self.overrides.as_ref().and_then(|overrides| overrides.get(key)) else {
            return in_file;
        };
        let position = Position::Variable(said.variable);
        let Some(text) = said.text else {
            self.understood::<()>(key, position, Err(NOT_UTF_8.to_owned()), problems);
            return None;
        };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        Some(
            parts
                .filter_map(|part| {
                    self.understood(key, position.clone(), parse(Raw::Variable(part)), problems)
                })
                .collect(),
        )
    }

    /// The elements of a list that may hold tables. A variable can only say that there are none: what else it says
    /// is reported.
    pub(super) fn items(&mut self, key: &'static str, problems: &mut Problems) -> Option<Vec<Item<'t>>> {
        let in_file = self.items_in_file(key, problems);
        let Some(said) = self.overrides.as_ref().and_then(|overrides| overrides.get(key)) else {
            return in_file;
        };
        if said.text.as_deref() != Some("") {
            problems.report(&Position::Variable(said.variable), &self.key_path(key), ONLY_IN_A_FILE);
        }
        None
    }

    fn items_in_file(&mut self, key: &'static str, problems: &mut Problems) -> Option<Vec<Item<'t>>> {
        self.known.push(key);
        let (_, value) = self.entry(key)?;
        let DeValue::Array(array) = value.get_ref() else {
            let found = Raw::Toml(value.get_ref()).form();
            let message = format!("expected a list, found {found}");
            problems.report(&self.place(value.span()), &self.key_path(key), message);
            return None;
        };
        Some(
            array.iter().map(|value| Item { source: self.source, path: self.key_path(key), value }).collect(),
        )
    }

    /// A table in this one, if it is there or if variables may stand for it.
    pub(super) fn table(&mut self, key: &'static str, problems: &mut Problems) -> Option<TableReader<'t>> {
        self.known.push(key);
        let overrides = self.overrides.as_ref().map(|overrides| overrides.of_table(key));
        let (entries, span) = match self.entry(key) {
            None if overrides.is_none() => return None,
            None => (None, self.span.clone()),
            Some((key_in_file, value)) => match value.get_ref() {
                DeValue::Table(entries) => (Some(entries), self.header(key_in_file.span(), value.span())),
                other => {
                    let message = format!("expected a table, found {}", Raw::Toml(other).form());
                    problems.report(&self.place(value.span()), &self.key_path(key), message);
                    return None;
                }
            },
        };
        Some(TableReader {
            source: self.source,
            path: self.key_path(key),
            span,
            entries,
            overrides,
            known: Vec::new(),
        })
    }

    /// A table that is not in the file, for variables to stand for.
    pub(super) fn absent_table(&self, key: &'static str) -> TableReader<'t> {
        TableReader {
            source: self.source,
            path: self.key_path(key),
            span: self.span.clone(),
            entries: None,
            overrides: None,
            known: Vec::new(),
        }
    }

    /// The tables of a list of them, `[[key]]`.
    pub(super) fn tables(&mut self, key: &'static str, problems: &mut Problems) -> Vec<TableReader<'t>> {
        if let Some((_, value)) = self.entry(key)
            && matches!(value.get_ref(), DeValue::Table(_))
        {
            let message = format!("there may be several: write [[{key}]]");
            problems.report(&self.place(value.span()), &self.key_path(key), message);
            // What is wrong inside of it is told all the same, and it has its name.
            return self.table(key, problems).into_iter().collect();
        }
        let items = self.items(key, problems).unwrap_or_default();
        items.iter().filter_map(|item| item.table(problems)).collect()
    }

    /// All keys of a table whose keys are free, with their values.
    pub(super) fn free_entries(&self) -> Vec<(Located<String>, Item<'t>)> {
        let Some(entries) = self.entries else { return Vec::new() };
        let mut free: Vec<_> = entries
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().to_string();
                let path = self.key_path(&name);
                let located = Located { value: name, position: self.place(key.span()) };
                (key.span().start, located, Item { source: self.source, path, value })
            })
            .collect();
        free.sort_by_key(|(start, ..)| *start);
        free.into_iter().map(|(_, key, item)| (key, item)).collect()
    }

    /// Reports that a key is not there.
    pub(super) fn report_missing(&self, key: &str, problems: &mut Problems) {
        let message = format!("`{key}` is missing");
        problems.push(Problem::missing(self.position(), self.key_path(key), message));
    }

    /// Reports every key that was not asked for.
    pub(super) fn finish(self, problems: &mut Problems) {
        let Some(entries) = self.entries else { return };
        for (key, value) in entries {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            problems.hide(self.place(value.span()));
            let message = match value::nearest(name, self.known.iter().copied()) {
                _ if name == "include" => {
                    "`include` stands before the first table of the main file".to_owned()
                }
                Some(meant) => format!("there is no such key here; did you mean `{meant}`?"),
                None => format!("there is no such key here; there are: {}", self.known.join(", ")),
            };
            problems.report(&self.place(key.span()), &self.key_path(name), message);
        }
    }

    fn entry(&self, key: &str) -> Option<(&'t Spanned<std::borrow::Cow<'t, str>>, &'t Spanned<DeValue<'t>>)> {
        self.entries?.get_key_value(key)
    }

    /// Where a table begins: its header for `[a.b]`, its key when it has no header of its own.
    fn header(&self, key: Range<usize>, value: Range<usize>) -> Range<usize> {
        if value.is_empty() { key } else { value }
    }

    fn understood<T>(
        &self,
        key: &str,
        position: Position,
        outcome: Result<T, String>,
        problems: &mut Problems,
    ) -> Option<Located<T>> {
        match outcome {
            Ok(value) => Some(Located { value, position }),
            Err(message) => {
                problems.report(&position, &self.key_path(key), message);
                None
            }
        }
    }

    fn place(&self, span: Range<usize>) -> Position {
        Position::Text { source: Arc::clone(self.source), span }
    }
}

/// An element of a list, or the value of a free key.
pub(super) struct Item<'t> {
    source: &'t Arc<ConfigText>,
    /// The key that it belongs to, with its tables.
    pub(super) path: String,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Item<'t> {
    /// Where it stands.
    pub(super) fn position(&self) -> Position {
        Position::Text { source: Arc::clone(self.source), span: self.value.span() }
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Table(_))
    }

    /// Reads it as one value.
    pub(super) fn read<T>(
        &self,
        problems: &mut Problems,
        parse: impl Fn(Raw<'_>) -> Result<T, String>,
    ) -> Option<Located<T>> {
        match parse(Raw::Toml(self.value.get_ref())) {
            Ok(value) => Some(Located { value, position: self.position() }),
            Err(message) => {
                problems.report(&self.position(), &self.path, message);
                None
            }
        }
    }

    /// Its elements, if it is a list.
    pub(super) fn items(&self) -> Option<Vec<Item<'t>>> {
        let DeValue::Array(array) = self.value.get_ref() else { return None };
        Some(array.iter().map(|value| Item { source: self.source, path: self.path.clone(), value }).collect())
    }

    /// Reads it as a table.
    pub(super) fn table(&self, problems: &mut Problems) -> Option<TableReader<'t>> {
        let DeValue::Table(entries) = self.value.get_ref() else {
            let found = Raw::Toml(self.value.get_ref()).form();
            problems.report(&self.position(), &self.path, format!("expected a table, found {found}"));
            return None;
        };
        Some(TableReader {
            source: self.source,
            path: self.path.clone(),
            span: self.value.span(),
            entries: Some(entries),
            overrides: None,
            known: Vec::new(),
        })
    }
}

const NOT_UTF_8: &str = "expected text in UTF-8";
const ONLY_IN_A_FILE: &str =
    "expected nothing here: a variable cannot hold a list of tables; write it in the config file";
