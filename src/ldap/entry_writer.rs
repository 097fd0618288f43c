//! An entry as a SearchResultEntry: its wire octets under a header with the message ID. One that is large is measured
//! and then written in pieces, each in a turn: a group of a million members holds nobody up, and takes no more memory
//! than a piece.

use super::ber::{BerWriter, element_octets, tag};
use super::response::{EntryResponse, SEARCH_RESULT_ENTRY};
use super::selection::Selection;
use crate::directory::{
    Entry, EntryId, Evaluator, TreeReader, ValueLook, ValuePlace, ValueSelector, ValuesFilter,
};
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

/// Whether an entry is written in pieces: it is large, or there is no room for so many octets, as `has_room` is asked.
pub(super) fn is_large(
    reader: &TreeReader<'_>,
    id: EntryId,
    entry: &Entry,
    projection: &Projection,
    has_room: impl FnOnce(usize) -> bool,
) -> bool {
    if projection.types_only {
        return false;
    }
    let stored = entry.attributes_length();
    let selected = projection.selection.computed().iter();
    match &projection.values {
        None => {
            let values = selected.map(|attribute| match reader.computed_values_max(id, entry, *attribute) {
                0 | 1 => 0,
                values => values,
            });
            let values = values.sum::<usize>();
            stored > LARGE_OCTETS || values > LARGE_MEMBERS || !has_room(stored + values * OCTETS_OF_A_MEMBER)
        }
        // What the values may be is a guess: two octets are the least that one has.
        Some(filter) => {
            let computed: usize =
                selected.map(|attribute| reader.computed_values_max(id, entry, *attribute)).sum();
            filter.follows_values()
                || (stored / 2 + computed) * filter.len() > LARGE_WORK
                || !has_room(stored + computed * OCTETS_OF_A_MEMBER)
        }
    }
}

/// Appends an entry that is not large, as the reader sees it.
pub(super) fn write_entry(
    output: &mut Vec<u8>,
    message_id: i32,
    reader: &TreeReader<'_>,
    id: EntryId,
    entry: &Entry,
    projection: &Projection,
    evaluator: &mut Evaluator,
) {
    let Projection { selection, types_only, values } = projection;
    let mut response = EntryResponse::begin_encoded(output, message_id, entry.dn_element());
    // The octets of an entry in a tree are its user attributes, and what may not be seen of them is not there.
    if selection.all_user() && !types_only && values.is_none() && id != EntryId::STANDALONE {
        entry.put_attributes(0, usize::MAX, &mut |octets| response.encoded(octets));
    } else {
        write_stored(&mut response, reader, entry, projection, evaluator);
    }
    if id != EntryId::STANDALONE
        && let Some(subject) = reader.subject(id)
    {
        for &attribute in selection.computed() {
            if entry.stores_computed(attribute) {
                continue;
            }
            evaluator.add_work(reader.cost_of_computing(id, entry, attribute));
            let name = reader.schema().attribute(attribute).name.as_bytes();
            if *types_only {
                let mut has_value = false;
                reader.computed_values((id, &subject), entry, attribute, &mut |_| {
                    has_value = true;
                    false
                });
                if has_value {
                    response.type_only(name);
                }
                continue;
            }
            let all = |each: &mut dyn FnMut(&[u8])| {
                reader.computed_values((id, &subject), entry, attribute, &mut |value| {
                    each(value);
                    true
                });
            };
            match values {
                Some(filter) => {
                    let selector = filter.about(attribute, name, reader);
                    write_selected(&mut response, selector, evaluator, name, all);
                }
                None => response.attribute_from(name, all),
            }
        }
    }
    response.finish(&[]);
}

/// A standalone entry is read by who sees everything, and so whole.
fn write_stored(
    response: &mut EntryResponse<'_>,
    reader: &TreeReader<'_>,
    entry: &Entry,
    projection: &Projection,
    evaluator: &mut Evaluator,
) {
    for stored in entry.attributes() {
        let mut work = 0;
        let is_selected =
            projection.selection.selects_description(stored.id, stored.description(), reader, &mut work);
        evaluator.add_work(work);
        if !is_selected {
            continue;
        }
        if projection.types_only {
            response.type_only(stored.description());
        } else if let Some(filter) = &projection.values {
            let selector = filter.about(stored.id, stored.description(), reader);
            write_selected(response, selector, evaluator, stored.description(), |each| {
                stored.values().for_each(each);
            });
        } else {
            stored.put(0, usize::MAX, &mut |octets| response.encoded(octets));
        }
    }
}

/// Those values that a filter selects. An attribute of which it selects none is sent without values; one that has none
/// is not sent at all.
fn write_selected(
    response: &mut EntryResponse<'_>,
    mut selector: ValueSelector<'_>,
    evaluator: &mut Evaluator,
    description: &[u8],
    values: impl FnOnce(&mut dyn FnMut(&[u8])),
) {
    let start = response.octets_written();
    let mut has_value = false;
    let mut look = ValueLook::default();
    response.attribute_of(description, |each| {
        values(&mut |value| {
            has_value = true;
            // An entry for which that is much is large.
            if selector.selects(value, &mut look, u64::MAX) == Some(true) {
                each(value);
            }
        });
    });
    evaluator.add_work(selector.take_work());
    if !has_value {
        response.take_back(start);
    }
}

/// An entry on its way into the output, in pieces. All of its length stands before it: so it is measured first, then
/// written, by the same steps.
#[derive(Debug)]
pub(super) struct LargeEntry {
    pub(super) id: EntryId,
    parts: Vec<Part>,
    /// The part that comes next.
    next: usize,
    place: Place,
    phase: Phase,
    /// What has been looked at to measure it.
    work: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Measuring,
    /// Measured; nothing of it is written yet.
    Measured,
    Writing,
}

/// How far a part has come.
#[derive(Debug, Default)]
struct Place {
    /// What is left of octets, or where the next value that is computed is looked for.
    next: Option<usize>,
    /// Where the next one of stored values begins.
    value: Option<ValuePlace>,
    /// How far the look at that value has come.
    look: ValueLook,
    /// How many octets of that value are left, which is handed on in pieces.
    left: Option<usize>,
}

impl Place {
    fn is_begun(&self) -> bool {
        self.next.is_some() || self.value.is_some()
    }
}

/// One attribute of it, or octets of several.
#[derive(Debug)]
struct Part {
    what: What,
    /// Octets of its values.
    octets: usize,
    /// Whether it is there at all.
    is_kept: bool,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// All stored attributes as they stand.
    AllStored,
    /// A stored attribute as it stands: its place in the entry.
    Stored(usize),
    /// Those of its values that are selected.
    Values(usize),
    /// An attribute that is computed.
    Computed(AttributeId),
}

/// How far a piece has brought an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// There is more of it.
    More,
    /// All of it is written.
    Whole,
    /// It has more values than may be looked at, or more octets than a message may have. Nothing of it was written.
    TooMuch,
}

/// Where pieces go, and how much of them there may be.
pub(super) struct Room<'a> {
    pub(super) output: &'a mut Vec<u8>,
    /// Enough is written when the output has so many octets.
    pub(super) octets: usize,
    /// Enough is done when the evaluator has counted so much.
    pub(super) work: u64,
    pub(super) message_id: i32,
}

impl LargeEntry {
    /// Octets that it holds.
    pub(super) fn octets(&self) -> usize {
        size_of::<Self>() + size_of::<Part>() * self.parts.capacity() + self.place.look.octets()
    }

    pub(super) fn new(
        reader: &TreeReader<'_>,
        id: EntryId,
        entry: &Entry,
        projection: &Projection,
        evaluator: &mut Evaluator,
    ) -> Self {
        let Projection { selection, values, .. } = projection;
        let part = |what| Part { what, octets: 0, is_kept: false };
        let is_standalone = id == EntryId::STANDALONE;
        let mut parts = Vec::new();
        if selection.all_user() && values.is_none() && !is_standalone {
            parts.push(part(What::AllStored));
        } else {
            let mut work = 0;
            for (place, stored) in entry.attributes().enumerate() {
                if selection.selects_description(stored.id, stored.description(), reader, &mut work) {
                    parts.push(part(match values {
                        None => What::Stored(place),
                        Some(_) => What::Values(place),
                    }));
                }
            }
            evaluator.add_work(work);
        }
        let computed = selection.computed().iter().filter(|_| !is_standalone);
        for &attribute in computed.filter(|attribute| !entry.stores_computed(**attribute)) {
            parts.push(part(What::Computed(attribute)));
        }
        Self { id, parts, next: 0, place: Place::default(), phase: Phase::Measuring, work: 0 }
    }

    /// Whether a part of it has left, so that nothing else may before the rest of it.
    pub(super) fn is_begun(&self) -> bool {
        self.phase == Phase::Writing
    }

    /// Measures or writes a piece.
    pub(super) fn go_on(
        &mut self,
        reader: &TreeReader<'_>,
        entry: &Entry,
        projection: &Projection,
        evaluator: &mut Evaluator,
        room: &mut Room<'_>,
    ) -> Piece {
        while room.output.len() < room.octets && evaluator.work() < room.work {
            if self.phase == Phase::Measured {
                if !self.write_header(reader, entry, room) {
                    return Piece::TooMuch;
                }
                self.phase = Phase::Writing;
            }
            let is_measuring = self.phase == Phase::Measuring;
            let Some(part) = self.parts.get_mut(self.next) else {
                if !is_measuring {
                    return Piece::Whole;
                }
                (self.phase, self.next, self.place) = (Phase::Measured, 0, Place::default());
                continue;
            };
            let begun = evaluator.work();
            let is_done = if is_measuring {
                // Without assertions each value is only copied.
                let work_max = match projection.values {
                    Some(_) => evaluator.work_per_entry_max(),
                    None => u64::MAX,
                };
                let left = work_max.saturating_sub(self.work).saturating_add(begun);
                let enough = Enough { octets: usize::MAX, work: room.work.min(left) };
                let mut count = Count { octets: 0, has_value: false };
                let values = Values { reader, id: self.id, entry, projection };
                let is_done = values.go_on(part.what, &mut self.place, evaluator, enough, &mut count);
                part.octets += count.octets;
                // One whose values are all left out stays, empty (RFC 3876); without a filter there is none.
                part.is_kept |= count.has_value && (projection.values.is_some() || part.octets > 0);
                self.work += evaluator.work() - begun;
                if self.work >= work_max {
                    return Piece::TooMuch;
                }
                is_done
            } else if part.is_kept {
                if !self.place.is_begun() {
                    part.write_header(reader, entry, room.output);
                }
                let enough = Enough { octets: room.octets, work: room.work };
                let values = Values { reader, id: self.id, entry, projection };
                values.go_on(part.what, &mut self.place, evaluator, enough, room.output)
            } else {
                true
            };
            if is_done {
                self.next += 1;
                self.place = Place::default();
            }
        }
        match self.parts.len() <= self.next && self.is_begun() {
            true => Piece::Whole,
            false => Piece::More,
        }
    }

    /// Writes what stands before the attributes; `false`: no message may be so long.
    fn write_header(&self, reader: &TreeReader<'_>, entry: &Entry, room: &mut Room<'_>) -> bool {
        let kept = self.parts.iter().filter(|part| part.is_kept);
        let attributes: usize = kept.map(|part| part.octets_in_all(reader, entry)).sum();
        let operation = entry.dn_element().len() + HEADER_OCTETS + attributes;
        let mut id = Vec::with_capacity(8);
        BerWriter::new(&mut id).integer(i64::from(room.message_id));
        let message = id.len() + HEADER_OCTETS + operation;
        let lengths = (u32::try_from(message), u32::try_from(operation), u32::try_from(attributes));
        let (Ok(message), Ok(operation), Ok(attributes)) = lengths else { return false };
        let mut writer = BerWriter::new(room.output);
        writer.header(tag::SEQUENCE, message);
        writer.encoded(&id);
        writer.header(SEARCH_RESULT_ENTRY, operation);
        writer.encoded(entry.dn_element());
        writer.header(tag::SEQUENCE, attributes);
        true
    }
}

impl Part {
    /// The name of the attribute, where it is not among the octets.
    fn name<'a>(&self, reader: &TreeReader<'a>, entry: &'a Entry) -> Option<&'a [u8]> {
        match self.what {
            What::AllStored | What::Stored(_) => None,
            What::Values(place) => Some(entry.attribute(place)?.description()),
            What::Computed(attribute) => Some(reader.schema().attribute(attribute).name.as_bytes()),
        }
    }

    fn octets_in_all(&self, reader: &TreeReader<'_>, entry: &Entry) -> usize {
        let header =
            self.name(reader, entry).map_or(0, |name| 2 * HEADER_OCTETS + element_octets(name.len()));
        header + self.octets
    }

    fn write_header(&self, reader: &TreeReader<'_>, entry: &Entry, output: &mut Vec<u8>) {
        let Some(name) = self.name(reader, entry) else { return };
        let mut writer = BerWriter::new(output);
        // What is longer was refused when all of it was measured.
        let octets = |octets| u32::try_from(octets).unwrap_or(u32::MAX);
        writer.header(tag::SEQUENCE, octets(element_octets(name.len()) + HEADER_OCTETS + self.octets));
        writer.octet_string(name);
        writer.header(tag::SET, octets(self.octets));
    }
}

/// Where values go: into the output, or only their length is taken.
trait Sink {
    fn octets(&mut self, octets: &[u8]);
    fn value(&mut self, value: &[u8]);
    /// There is a value, which the filter may leave out.
    fn shown(&mut self) {}
    fn len(&self) -> usize;
}

struct Count {
    octets: usize,
    has_value: bool,
}

impl Sink for Count {
    fn octets(&mut self, octets: &[u8]) {
        self.octets += octets.len();
        self.has_value |= !octets.is_empty();
    }

    fn value(&mut self, value: &[u8]) {
        self.octets += element_octets(value.len());
    }

    fn shown(&mut self) {
        self.has_value = true;
    }

    fn len(&self) -> usize {
        0
    }
}

impl Sink for Vec<u8> {
    fn octets(&mut self, octets: &[u8]) {
        self.extend_from_slice(octets);
    }

    fn value(&mut self, value: &[u8]) {
        BerWriter::new(self).octet_string(value);
    }

    fn len(&self) -> usize {
        Vec::len(self)
    }
}

/// When a piece is large enough.
#[derive(Clone, Copy)]
struct Enough {
    octets: usize,
    work: u64,
}

/// Whose values are gone through.
struct Values<'a> {
    reader: &'a TreeReader<'a>,
    id: EntryId,
    entry: &'a Entry,
    projection: &'a Projection,
}

impl Values<'_> {
    /// Goes on with one part from `place`; says whether it is at its end.
    fn go_on(
        &self,
        what: What,
        place: &mut Place,
        evaluator: &mut Evaluator,
        enough: Enough,
        sink: &mut impl Sink,
    ) -> bool {
        let Place { next, value: next_value, look, left } = place;
        let (entry, schema) = (self.entry, self.reader.schema());
        match what {
            What::AllStored => {
                let put =
                    |before, count, put: &mut dyn FnMut(&[u8])| entry.put_attributes(before, count, put);
                slice(entry.attributes_length(), next, evaluator, enough, sink, put)
            }
            What::Stored(number) => {
                let Some(stored) = entry.attribute(number) else { return true };
                let put = |before, count, put: &mut dyn FnMut(&[u8])| stored.put(before, count, put);
                slice(stored.length(), next, evaluator, enough, sink, put)
            }
            What::Values(number) => {
                let Some(stored) = entry.attribute(number) else { return true };
                let mut selector = self.selector(stored.id, stored.description());
                let mut values = stored.values_from(*next_value);
                loop {
                    *next_value = Some(values.place());
                    if sink.len() >= enough.octets || evaluator.work() >= enough.work {
                        return false;
                    }
                    let Some((value, mut octets)) = values.next_with_element() else { return true };
                    evaluator.add_work(1);
                    if let Some(left) = left.take() {
                        octets = octets.get(octets.len().saturating_sub(left)..).unwrap_or_default();
                    } else {
                        match selects(value, selector.as_mut(), look, evaluator, enough, sink) {
                            None => return false,
                            Some(false) => continue,
                            Some(true) => {}
                        }
                    }
                    let room = enough.octets.saturating_sub(sink.len());
                    if octets.len() > room && octets.len() > WHOLE_OCTETS {
                        let (now, later) = octets.split_at(room);
                        sink.octets(now);
                        *left = Some(later.len());
                        return false;
                    }
                    sink.octets(octets);
                }
            }
            What::Computed(attribute) => {
                let mut selector = self.selector(attribute, schema.attribute(attribute).name.as_bytes());
                let mut is_done = true;
                if next.is_none() {
                    evaluator.add_work(self.reader.cost_of_computing(self.id, entry, attribute));
                }
                let from = next.unwrap_or(0);
                *next = Some(from);
                self.reader.computed_from((self.id, entry), attribute, from, &mut |place, value| {
                    *next = Some(place);
                    is_done = sink.len() < enough.octets && evaluator.work() < enough.work;
                    if is_done {
                        evaluator.add_work(1);
                        is_done = value
                            .is_none_or(|value| put(value, selector.as_mut(), look, evaluator, enough, sink));
                    }
                    is_done
                });
                is_done
            }
        }
    }

    fn selector<'f>(&'f self, attribute: AttributeId, description: &'f [u8]) -> Option<ValueSelector<'f>> {
        let filter = self.projection.values.as_ref()?;
        Some(filter.about(attribute, description, self.reader))
    }
}

/// Hands a value on, if it is selected; `false`: that is not known yet, and enough is done.
fn put(
    value: &[u8],
    selector: Option<&mut ValueSelector<'_>>,
    look: &mut ValueLook,
    evaluator: &mut Evaluator,
    enough: Enough,
    sink: &mut impl Sink,
) -> bool {
    let selected = selects(value, selector, look, evaluator, enough, sink);
    if selected == Some(true) {
        sink.value(value);
    }
    selected.is_some()
}

/// Whether a value is selected; `None`: that is not known yet, and enough is done.
fn selects(
    value: &[u8],
    selector: Option<&mut ValueSelector<'_>>,
    look: &mut ValueLook,
    evaluator: &mut Evaluator,
    enough: Enough,
    sink: &mut impl Sink,
) -> Option<bool> {
    sink.shown();
    let Some(selector) = selector else { return Some(true) };
    // What the value itself has cost may have been all; it goes on in any case.
    let selected = selector.selects(value, look, enough.work.saturating_sub(evaluator.work()).max(1));
    evaluator.add_work(selector.take_work());
    selected
}

/// Hands octets on that need no look, of so many in all; `put` takes where they begin and how many are wanted.
fn slice(
    length: usize,
    place: &mut Option<usize>,
    evaluator: &mut Evaluator,
    enough: Enough,
    sink: &mut impl Sink,
    put: impl FnOnce(usize, usize, &mut dyn FnMut(&[u8])),
) -> bool {
    evaluator.add_work(1);
    let left = place.unwrap_or(length).min(length);
    let count = left.min(enough.octets.saturating_sub(sink.len()));
    put(length - left, count, &mut |octets| sink.octets(octets));
    *place = Some(left - count);
    left == count
}

/// Stored octets of an entry that are written at once.
const LARGE_OCTETS: usize = 64 * 1024;
/// Members of an entry that are written at once.
const LARGE_MEMBERS: usize = 1_024;
/// A value that has no more octets is not cut.
const WHOLE_OCTETS: usize = 1024;
/// A name of a member or of a group has mostly less, with what stands around it.
const OCTETS_OF_A_MEMBER: usize = 80;
/// Values times assertions that are looked at at once.
const LARGE_WORK: usize = 4_096;
/// Tag and length where the length has four octets.
const HEADER_OCTETS: usize = 6;
