//! Going through values of an entry with rests: where somebody has stopped, in plain numbers.

use super::entry::{Entry, ValuePlace};
use super::entry_id::EntryId;
use super::options::has_options;
use super::reader::TreeReader;
use crate::schema::AttributeId;

/// The place behind the last value that was handed on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ValueCursor {
    /// Which of the types.
    kind: usize,
    /// Which stored attribute of that type: options make several of one.
    stored: usize,
    /// Where the next one of its values begins.
    value: Option<ValuePlace>,
    /// Of what is computed: where the next value is looked for.
    computed: usize,
}

/// What is met on the way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Met<'v> {
    Value(&'v [u8]),
    /// A member that has no value.
    Nothing,
    /// The options of a description, which cost so much to compare.
    Options(u64),
}

impl ValueCursor {
    /// Hands what it meets of the values of these types to `each`, until that says `false`; `options`: those that a
    /// description must have. Says whether that were all. One value is handed on in any case, if there is one.
    pub(super) fn go_on(
        &mut self,
        reader: &TreeReader<'_>,
        (id, entry): (EntryId, &Entry),
        types: &[AttributeId],
        options: &[u8],
        each: &mut dyn FnMut(Met<'_>) -> bool,
    ) -> bool {
        while let Some(attribute) = types.get(self.kind) {
            if !self.go_on_with(reader, (id, entry), *attribute, options, each) {
                return false;
            }
            *self = Self { kind: self.kind + 1, ..Self::default() };
        }
        true
    }

    fn go_on_with(
        &mut self,
        reader: &TreeReader<'_>,
        (id, entry): (EntryId, &Entry),
        attribute: AttributeId,
        options: &[u8],
        each: &mut dyn FnMut(Met<'_>) -> bool,
    ) -> bool {
        let mut is_stored = false;
        for (number, stored) in entry.attributes_of(attribute).enumerate() {
            is_stored = true;
            if number < self.stored {
                continue;
            }
            if !options.is_empty() {
                let mut work = 0;
                let is_meant = has_options(stored.description(), options, &mut work);
                let goes_on = each(Met::Options(work));
                if !is_meant && !goes_on {
                    (self.stored, self.value) = (number + 1, None);
                    return false;
                }
                if !is_meant {
                    continue;
                }
            }
            let place = self.value.take().filter(|_| number == self.stored);
            let mut values = stored.values_from(place);
            while let Some(value) = values.next() {
                if !each(Met::Value(value)) {
                    (self.stored, self.value) = (number, Some(values.place()));
                    return false;
                }
            }
        }
        // Nothing that is computed has an option.
        is_stored || !options.is_empty() || self.go_on_computed(reader, (id, entry), attribute, each)
    }

    fn go_on_computed(
        &mut self,
        reader: &TreeReader<'_>,
        (id, entry): (EntryId, &Entry),
        attribute: AttributeId,
        each: &mut dyn FnMut(Met<'_>) -> bool,
    ) -> bool {
        let mut stopped = None;
        reader.computed_from((id, entry), attribute, self.computed, &mut |place, value| {
            let goes_on = each(value.map_or(Met::Nothing, Met::Value));
            stopped = (!goes_on).then_some(place + 1);
            goes_on
        });
        self.computed = stopped.unwrap_or(0);
        stopped.is_none()
    }
}
