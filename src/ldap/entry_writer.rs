//! An entry as a SearchResultEntry: its wire octets under a header with the message ID.

use super::response::EntryResponse;
use super::selection::Selection;
use crate::directory::{Entry, EntryId, OPERATIONAL, Reader, USER};

/// What of each entry is sent.
#[derive(Clone, Debug)]
pub(super) struct Projection {
    /// The attributes.
    pub(super) selection: Selection,
    /// Whether their values are left out.
    pub(super) types_only: bool,
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
    let Projection { selection, types_only } = projection;
    let mut response = EntryResponse::begin_encoded(output, message_id, entry.dn_element());
    // The octets of an entry in a tree are its user attributes, and a reader who sees every entry sees
    // every value of them.
    if selection.all_user() && !types_only && reader.sees_everything() && id != EntryId::STANDALONE {
        response.encoded(entry.attribute_octets());
    } else {
        write_stored(&mut response, reader, id, entry, projection);
    }
    if id != EntryId::STANDALONE {
        for attribute in selection.computed(&USER, reader).chain(selection.computed(&OPERATIONAL, reader)) {
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
            } else {
                response.attribute_from(name, |each| {
                    reader.values(id, entry, attribute, &mut |value| {
                        each(value);
                        true
                    });
                });
            }
        }
    }
    response.finish(&[]);
}

fn write_stored(
    response: &mut EntryResponse<'_>,
    reader: &Reader<'_>,
    id: EntryId,
    entry: &Entry,
    projection: &Projection,
) {
    let schema = reader.schema();
    for stored in entry.attributes() {
        let is_selected = projection.selection.selects(stored.id, schema)
            || projection.selection.selects_description(stored.id, stored.description(), schema);
        if !is_selected {
            continue;
        }
        let shown = |value: &&[u8]| id == EntryId::STANDALONE || reader.shows_value(stored.id, value);
        if projection.types_only {
            if stored.values().any(|value| shown(&value)) {
                response.type_only(stored.description());
            }
        } else if id == EntryId::STANDALONE || reader.shows_all_values(stored.id) {
            response.encoded(stored.octets);
        } else {
            response
                .attribute_from(stored.description(), |each| stored.values().filter(shown).for_each(each));
        }
    }
}
