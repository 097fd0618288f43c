//! Where the objects of a seed stand, and their keys.

use super::seed::ReferenceKind;
use super::text::Position;
use super::value;

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
    /// The keys of it that could not be read, in dots; [`WHOLE`]: nobody knows which.
    pub(super) flaws: Vec<String>,
}

impl Place {
    /// Notes that nobody knows what more it is to say.
    pub(super) fn is_broken(&mut self) {
        self.flaws.push(WHOLE.to_owned());
    }

    /// Whether one of these keys could not be read, or a part of one.
    pub(super) fn lacks<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> bool {
        let mut keys = keys.into_iter();
        keys.any(|key| self.flaws.iter().any(|flaw| is_same(flaw, key)))
    }

    /// Whether what it is was not read, on which hangs what else it may say.
    pub(super) fn lacks_its_kind(&self, kind: ReferenceKind) -> bool {
        let keys: &[&str] = match kind {
            ReferenceKind::Account => &["type"],
            ReferenceKind::Token => &["account", "intent"],
            ReferenceKind::Provider => &["base_dn", "users", "service_accounts", "groups"],
            ReferenceKind::Attribute => &["oid", "syntax"],
            ReferenceKind::Group | ReferenceKind::Role | ReferenceKind::Application => &[],
        };
        self.flaws.iter().any(|flaw| flaw == WHOLE) || self.lacks(keys.iter().copied())
    }
}

/// Whether a key that could not be read is this one, a part of it or what it is a part of; one that there is not is what it was
/// probably meant to be.
fn is_same(flaw: &str, key: &str) -> bool {
    let is_below =
        |below: &str, above: &str| below.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'));
    flaw == key || is_below(flaw, key) || is_below(key, flaw) || value::nearest(flaw, [key]).is_some()
}

/// In the place of a key.
const WHOLE: &str = "";

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
