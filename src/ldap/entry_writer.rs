//! An entry as a SearchResultEntry: its wire octets under a header with the message ID.

use super::response::EntryResponse;
use super::selection::Selection;
use crate::directory::{Entry, EntryId, Reader, ValuesFilter};
use crate::schema::AttributeId;

/// What of each entry is sent.
#[derive(Clone, Debug)]
pub(super) struct Projection {
    /// The attributes.
    pub(super) selection: Selection,
    /// Whether their values are left out.
    pub(super) types_only: bool,
    /// Which values of them are sent (RFC 3876); `None`: all.
    pub(super) values: Option<Box<ValuesFilter>>,
}

/// Appends the entry, as the reader sees it.
pub(super) fn write_entry(
    output: &mut Vec<u8>,
    message_id: i32,
    reader: &Reader<'_>,
    id: EntryId,
    entry: &Entry,
    projection: &Projection,
) {
    let Projection { selection, types_only, values } = projection;
    let mut response = EntryResponse::begin_encoded(output, message_id, entry.dn_element());
    // The octets of an entry in a tree are its user attributes, and a reader who sees every entry sees
    // every value of them.
    if selection.all_user()
        && !types_only
        && values.is_none()
        && reader.sees_everything()
        && id != EntryId::STANDALONE
    {
        response.encoded(entry.attribute_octets());
    } else {
        write_stored(&mut response, reader, entry, projection);
    }
    if id != EntryId::STANDALONE {
        for &attribute in selection.computed() {
            if entry.stores_computed(attribute) {
                continue;
            }
            let name = reader.schema().attribute(attribute).name.as_bytes();
            if *types_only {
                let mut has_value = false;
                reader.values(id, entry, attribute, &mut |_| {
                    has_value = true;
                    false
                });
                if has_value {
                    response.type_only(name);
                }
                continue;
            }
            let all = |each: &mut dyn FnMut(&[u8])| {
                reader.values(id, entry, attribute, &mut |value| {
                    each(value);
                    true
                });
            };
            match values {
                Some(filter) => write_selected(&mut response, filter, reader, attribute, name, all),
                None => response.attribute_from(name, all),
            }
        }
    }
    response.finish(&[]);
}

/// A standalone entry is read by who sees everything, and so whole.
fn write_stored(
    response: &mut EntryResponse<'_>,
    reader: &Reader<'_>,
    entry: &Entry,
    projection: &Projection,
) {
    let schema = reader.schema();
    for stored in entry.attributes() {
        if !projection.selection.selects_description(stored.id, stored.description(), schema) {
            continue;
        }
        let shown = |value: &&[u8]| reader.shows_value(stored.id, value);
        if projection.types_only {
            if stored.values().any(|value| shown(&value)) {
                response.type_only(stored.description());
            }
        } else if let Some(filter) = &projection.values {
            write_selected(response, filter, reader, stored.id, stored.description(), |each| {
                stored.values().filter(shown).for_each(each);
            });
        } else if reader.shows_all_values(stored.id) {
            response.encoded(stored.octets);
        } else {
            response
                .attribute_from(stored.description(), |each| stored.values().filter(shown).for_each(each));
        }
    }
}

/// Those values that a filter selects. An attribute of which it selects none is sent without values; one that has none
/// is not sent at all.
fn write_selected(
    response: &mut EntryResponse<'_>,
    filter: &ValuesFilter,
    reader: &Reader<'_>,
    attribute: AttributeId,
    description: &[u8],
    values: impl FnOnce(&mut dyn FnMut(&[u8])),
) {
    let start = response.octets_written();
    let mut has_value = false;
    let mut scratch = Vec::new();
    response.attribute_of(description, |each| {
        values(&mut |value| {
            has_value = true;
            if filter.selects(attribute, description, value, reader.schema(), &mut scratch) {
                each(value);
            }
        });
    });
    if !has_value {
        response.take_back(start);
    }
}
