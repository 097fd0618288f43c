//! What is wrong with a config: every problem with its position, drawn with the line it is about, if that can be read.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::text::{Position, blot};
use crate::quoted::beginning;

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Where.
    pub position: Position,
    /// The key with its tables, such as `server.tls.key`; empty for a syntax error.
    pub key: String,
    /// What is wrong and what was expected.
    pub message: String,
    /// Other positions that have to do with it, each with a label.
    pub related: Vec<(Position, String)>,
    kind: ProblemKind,
}

impl Problem {
    /// Something that is there and wrong.
    pub fn new(position: Position, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            position,
            key: key.into(),
            message: message.into(),
            related: Vec::new(),
            kind: ProblemKind::Wrong,
        }
    }

    /// Adds another position.
    pub fn with_related(mut self, position: Position, label: impl Into<String>) -> Self {
        self.related.push((position, label.into()));
        self
    }

    pub(super) fn missing(position: Position, key: String, message: String) -> Self {
        Self { kind: ProblemKind::Missing, ..Self::new(position, key, message) }
    }

    /// Something that cannot be read, and the octets of which nobody knows what they are to say.
    pub(super) fn syntax(position: Position, lost: Range<usize>, message: String) -> Self {
        Self { kind: ProblemKind::Syntax { lost }, ..Self::new(position, "", message) }
    }

    fn title(&self) -> String {
        match (&self.position, self.key.as_str()) {
            (Position::Variable(name), _) => format!("{name}: {}", self.message),
            (_, "") => self.message.clone(),
            (_, key) => format!("{}: {}", beginning(key), self.message),
        }
    }
}

impl fmt::Display for Problem {
    /// One line: `file:line:column: key: message`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Position::Variable(_) => formatter.write_str(&self.title()),
            _ => write!(formatter, "{}: {}", self.position, self.title()),
        }
    }
}

/// How a problem came to be, to leave out those that only follow from another one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ProblemKind {
    Syntax { lost: Range<usize> },
    Wrong,
    Missing,
}

/// All that is wrong with a config. [`Display`](fmt::Display) draws every problem, without colours.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    problems: Vec<Problem>,
    hidden: Vec<Position>,
}

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Adds several.
    pub(super) fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.problems.len()
    }

    /// Each of them, in the order of the files.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }

    /// Draws all of them, each with its line unless that is no TOML; `styled` with colours, for a terminal.
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let drawn: Vec<String> = self.problems.iter().map(|problem| self.draw(problem, &renderer)).collect();
        drawn.join("\n\n")
    }

    /// Adds a problem: `message` at `position`, about `key`.
    pub(super) fn report(&mut self, position: &Position, key: &str, message: impl Into<String>) {
        self.push(Problem::new(position.clone(), key, message));
    }

    /// Leaves what stands at `position` out of every picture: the value of an unknown key may be a secret
    /// under a mistyped name.
    pub(super) fn hide(&mut self, position: Position) {
        self.hidden.push(position);
    }

    /// Whether one of them is about this key or what stands below it.
    pub fn are_about(&self, key: &str) -> bool {
        let is_below = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
        self.problems.iter().any(|problem| problem.key.strip_prefix(key).is_some_and(is_below))
    }

    /// Adds one among those that are there.
    pub fn insert(&mut self, problem: Problem) {
        self.push(problem);
        self.settle();
    }

    /// Adds all of another.
    pub fn append(&mut self, other: Self) {
        self.problems.extend(other.problems);
        self.hidden.extend(other.hidden);
        self.settle();
    }

    /// Sorts by position, and drops what may only follow from a syntax error: keys that seem to be missing where something
    /// was lost, and whatever else stands in the same line.
    pub(super) fn settle(&mut self) {
        self.problems.sort_by_key(|problem| problem.position.reading_order());
        let broken: Vec<(usize, Option<usize>, Range<usize>)> = self
            .problems
            .iter()
            .filter_map(|problem| match &problem.kind {
                ProblemKind::Syntax { lost } => {
                    Some((problem.position.reading_order().0, problem.position.line(), lost.clone()))
                }
                ProblemKind::Wrong | ProblemKind::Missing => None,
            })
            .collect();
        if broken.is_empty() {
            return;
        }
        self.problems.retain(|problem| {
            let (file, at) = problem.position.reading_order();
            let mut broken = broken.iter().filter(|(broken, ..)| *broken == file);
            match problem.kind {
                ProblemKind::Syntax { .. } => true,
                // The table that is not there may be what was lost.
                ProblemKind::Missing => broken.all(|(.., lost)| at != 0 && !lost.contains(&at)),
                ProblemKind::Wrong => broken.all(|(_, line, _)| *line != problem.position.line()),
            }
        });
    }

    fn draw(&self, problem: &Problem, renderer: &Renderer) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(problem.title()));
        let is_syntax = matches!(problem.kind, ProblemKind::Syntax { .. });
        group = match &problem.position {
            // Without its line: what cannot be read may be a secret wherever it stands.
            Position::Text { source, .. } if is_syntax => {
                let origin = Origin::path(source.path().display().to_string());
                let (line, column) = (problem.position.line(), problem.position.column());
                group.element(origin.line(line.unwrap_or(1)).char_column(column.unwrap_or(1)))
            }
            Position::Text { .. } => {
                self.with_picture(group, &problem.position, AnnotationKind::Primary, None)
            }
            Position::File(path) => group.element(Origin::path(path.display().to_string())),
            Position::Variable(_) => group,
        };
        for (position, label) in &problem.related {
            group = self.with_picture(group, position, AnnotationKind::Context, Some(label));
        }
        renderer.render(&[group])
    }

    /// Adds the line of `position` with a mark below what is meant.
    fn with_picture<'a>(
        &self,
        group: Group<'a>,
        position: &Position,
        kind: AnnotationKind,
        label: Option<&'a str>,
    ) -> Group<'a> {
        let Position::Text { source, span } = position else { return group };
        let (number, start, line) = source.line(span.start);
        let mut shown = line.to_owned();
        for hidden in &self.hidden {
            if let Position::Text { source: other, span } = hidden
                && std::sync::Arc::ptr_eq(source, other)
            {
                let range = within(span, start, &shown);
                blot(&mut shown, range);
            }
        }
        let meant = within(span, start, &shown);
        let snippet = Snippet::source(shown)
            .line_start(number)
            .path(source.path().display().to_string())
            .annotation(kind.span(meant).label(label));
        group.element(snippet)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// What `span` covers of a line that begins at `start`, with the rest of the characters that it begins or ends in: the
/// parser points at single octets, a secret may stand there as `…`, and what draws the line cannot cut a character.
fn within(span: &Range<usize>, start: usize, line: &str) -> Range<usize> {
    let bound = |offset: usize| offset.saturating_sub(start).min(line.len());
    let (first, last) = (bound(span.start), bound(span.end));
    let first = (0..=first).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    let last = (last..line.len()).find(|at| line.is_char_boundary(*at)).unwrap_or(line.len());
    first..last
}
