//! Where the objects of a seed stand, and their keys.

use super::seed::ReferenceKind;
use super::text::Position;

/// An object of the config, by the form of its name.
pub(super) type Object = (ReferenceKind, String);

/// Where an object stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) name: Position,
    /// The key of its name, with its table.
    pub(super) name_key: String,
    /// Its table, with a dot behind it.
    pub(super) table: String,
    /// All its keys.
    pub(super) keys: Spans,
    /// Whether something of it could not be read, so that what else is wrong with it may only follow from that.
    pub(super) is_flawed: bool,
}

/// Where the keys of a table stand, those of the tables in it too, in dots. All that is known of places is this: a key that
/// is read has one.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans(pub(super) Vec<(Box<str>, Position)>);

impl Spans {
    /// A key, or the nearest table that it would stand in.
    pub(super) fn nearest(&self, path: &str) -> Option<(&str, &Position)> {
        let outer = path.rsplit_once('.').map(|(outer, _)| outer);
        self.find(path).or_else(|| self.nearest(outer?))
    }

    fn find(&self, wanted: &str) -> Option<(&str, &Position)> {
        self.0.iter().find(|(key, _)| **key == *wanted).map(|(key, position)| (&**key, position))
    }
}
