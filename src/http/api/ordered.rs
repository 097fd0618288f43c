//! A list in the order that is asked for. What an item is ordered by is made once for each, and of all items held at a time: it
//! counts as memory of the answer.

use std::cmp::Ordering;

use uuid::Uuid;

use super::answer::Room;
use super::fields::ORDERING;
use super::page::PageQuery;
use super::refusal::CallRefusal;
use crate::directory::name_key;
use crate::model::Timestamp;

/// What an item of a list is ordered by; all items have the same kind by one field, but for what some have nothing of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SortKey {
    /// Before everything.
    Nothing,
    Number(i64),
    Uuid(Uuid),
    Octets(Vec<u8>),
    /// Behind everything.
    Never,
}

impl SortKey {
    pub(super) fn number(number: impl Into<i64>) -> Self {
        Self::Number(number.into())
    }

    pub(super) fn time(time: Timestamp) -> Self {
        Self::Number(time.unix_seconds())
    }

    /// A text as it is.
    pub(super) fn text(text: &str) -> Self {
        Self::Octets(text.as_bytes().to_vec())
    }

    /// A text whose case does not count.
    pub(super) fn folded(text: &str) -> Self {
        Self::Octets(text.to_lowercase().into_bytes())
    }

    /// A name as names are compared.
    pub(super) fn name(name: &str) -> Self {
        Self::Octets(name_key(name))
    }

    /// What it takes in memory.
    fn octets(&self) -> usize {
        let text = if let Self::Octets(octets) = self { octets.capacity() } else { 0 };
        size_of::<Self>() + text
    }
}

/// Items of a list on their way into the order that is asked for.
pub(super) struct Ordered<'a, T> {
    /// The fields, the first first, and whether each is turned round.
    fields: Vec<(&'a str, bool)>,
    items: Vec<(Vec<SortKey>, T)>,
    /// What the keys take.
    octets: usize,
    room: &'a Room,
}

impl<'a, T> Ordered<'a, T> {
    /// None yet.
    pub(super) fn new(page: &'a PageQuery, room: &'a Room) -> Self {
        let mut fields: Vec<(&str, bool)> = Vec::new();
        for (field, is_reversed) in page.ordering_keys() {
            // What is equal by a field is so a second time.
            if fields.iter().all(|(known, _)| *known != field) {
                fields.push((field, is_reversed));
            }
        }
        Self { fields, items: Vec::new(), octets: 0, room }
    }

    /// Adds an item: `key` is what it is ordered by for a field, and knows those fields that the row of the list names.
    ///
    /// # Errors
    /// It does not, or there is no room.
    pub(super) fn push(
        &mut self,
        item: T,
        key: impl Fn(&str, &T) -> Option<SortKey>,
    ) -> Result<(), CallRefusal> {
        let keys: Option<Vec<SortKey>> = self.fields.iter().map(|(field, _)| key(field, &item)).collect();
        let keys = keys.ok_or_else(|| CallRefusal::field(ORDERING, "the list has no such order"))?;
        self.octets = self.octets.saturating_add(keys.iter().map(SortKey::octets).sum());
        self.items.push((keys, item));
        if self.fields.is_empty() {
            // Nothing is held but which items there are.
            return Ok(());
        }
        let items = self.items.capacity().saturating_mul(size_of::<(Vec<SortKey>, T)>());
        self.room.keep(self.octets.saturating_add(items))
    }

    /// All of them, in order; what they were ordered by is gone.
    pub(super) fn done(mut self) -> Vec<T> {
        let fields = &self.fields;
        self.items.sort_by(|(one, _), (other, _)| {
            let mut by_field = one.iter().zip(other).zip(fields).map(|((one, other), (_, is_reversed))| {
                let order = one.cmp(other);
                if *is_reversed { order.reverse() } else { order }
            });
            by_field.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        let items = self.items.into_iter().map(|(_, item)| item).collect();
        // Less always fits.
        let _ = self.room.keep(0);
        items
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::*;
    use crate::config::{Limit, Limits};
    use crate::http::api::{Api, Door};
    use crate::model::Actor;
    use crate::registry::Caller;
    use crate::registry::commands::testing::registry_over;
    use crate::store::MemoryStore;

    fn by(ordering: &str) -> PageQuery {
        PageQuery { ordering: Some(ordering.to_owned()), ..PageQuery::default() }
    }

    fn room() -> (Api, Arc<Room>) {
        let limits = Limits { http_answer_memory_max: 16 << 20, ..Limits::default() };
        let api = Api::new(registry_over(Arc::new(MemoryStore::new())), Door::Public).with_limits(&limits);
        let room = Room::new(&api, &Caller::from(Actor::named("somebody")));
        (api, room)
    }

    #[test]
    fn what_an_item_is_ordered_by_is_made_once() {
        let (_api, room) = room();
        let items: Vec<(String, i64)> =
            (0..1_000).rev().map(|number| (format!("N{}", number % 10), number)).collect();
        let made = Cell::new(0);
        let key = |field: &str, (name, number): &(String, i64)| {
            made.set(made.get() + 1);
            match field {
                "name" => Some(SortKey::folded(name)),
                "number" => Some(SortKey::number(*number)),
                _ => None,
            }
        };
        let page = by("-name,number,name");
        let mut ordered = Ordered::new(&page, &room);
        items.iter().for_each(|item| ordered.push(item.clone(), key).unwrap());
        let ordered = ordered.done();
        assert_eq!(made.get(), 2 * items.len());
        let numbers: Vec<i64> = ordered.iter().map(|(_, number)| *number).collect();
        assert_eq!((&numbers[..3], numbers.last()), (&[9, 19, 29][..], Some(&990)));
        assert!(Ordered::new(&by("size"), &room).push(items[0].clone(), key).is_err());
    }

    #[test]
    fn what_all_items_are_ordered_by_counts_until_they_are_in_order() {
        let (api, room) = room();
        let memory = &api.bounds.answer_memory;
        let long = |number: u32| format!("{number} {}", "x".repeat(4_000));
        let key = |_: &str, item: &u32| Some(SortKey::text(&long(*item)));
        let page = by("name");
        let mut ordered = Ordered::new(&page, &room);
        (0..1_000).for_each(|item| ordered.push(item, key).unwrap());
        assert!(memory.used() > 4_000_000, "{}", memory.used());
        assert_eq!(ordered.done().len(), 1_000);
        assert_eq!(memory.used(), 0);
        // Without an order nothing is held.
        let page = PageQuery::default();
        let mut ordered = Ordered::new(&page, &room);
        (0..100_000).for_each(|item| ordered.push(item, key).unwrap());
        assert_eq!((ordered.done().len(), memory.used()), (100_000, 0));
        // What never fits is not waited for.
        let page = by("-name");
        let mut ordered = Ordered::new(&page, &room);
        let refused = (0..10_000).find_map(|item| ordered.push(item, key).err()).unwrap();
        assert_eq!(refused.status(), axum::http::StatusCode::BAD_REQUEST, "{refused:?}");
        assert_eq!(api.registry.reached().count(Limit::http_answer_memory_max), 1);
        drop(ordered);
        drop(room);
        assert_eq!(memory.used(), 0);
    }
}
