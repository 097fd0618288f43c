//! Accounts by their numbers: those that count from one, and bindery's own at the other end.

use super::entry_id::NUMBER_MAX;
use super::sparse::Sparse;

/// A persistent vector with holes in two parts: internal service accounts have numbers so large that one vector would be
/// of nothing but holes, and be copied with each change.
#[derive(Clone)]
pub(super) struct AccountTable<T> {
    /// Up to [`NUMBER_MAX`].
    numbered: Sparse<T>,
    /// Beyond, counted from there.
    internal: Sparse<T>,
}

impl<T: Clone> AccountTable<T> {
    pub(super) fn new() -> Self {
        Self { numbered: Sparse::new(), internal: Sparse::new() }
    }

    /// How many there are, those at the other end not counted.
    pub(super) fn numbered(&self) -> usize {
        self.numbered.len()
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        match internal(number) {
            None => self.numbered.get(number),
            Some(place) => self.internal.get(place),
        }
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        match internal(number) {
            None => self.numbered.get_mut(number),
            Some(place) => self.internal.get_mut(place),
        }
    }

    pub(super) fn insert(&mut self, number: u32, item: T) {
        match internal(number) {
            None => self.numbered.insert(number, item),
            Some(place) => self.internal.insert(place, item),
        };
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<T> {
        match internal(number) {
            None => self.numbered.remove(number),
            Some(place) => self.internal.remove(place),
        }
    }

    /// All of them, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.numbered.iter().chain(self.internal.iter()).map(|(_, item)| item)
    }

    /// Those of this number and above, in the order of their numbers.
    pub(super) fn iter_from(&self, number: u32) -> impl Iterator<Item = &T> {
        let numbered = (number <= NUMBER_MAX).then_some(number);
        let numbered = numbered.into_iter().flat_map(|number| from(&self.numbered, number));
        numbered.chain(from(&self.internal, internal(number).unwrap_or(0)))
    }
}

fn from<T: Clone>(items: &Sparse<T>, index: u32) -> impl Iterator<Item = &T> {
    let next = |(index, _): &(u32, &T)| items.next(index.checked_add(1)?);
    std::iter::successors(items.next(index), next).map(|(_, item)| item)
}

/// The place of a number in the second part.
fn internal(number: u32) -> Option<u32> {
    number.checked_sub(NUMBER_MAX + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::InternalAccount;

    #[test]
    fn both_ends_are_one_list_in_order() {
        let mut table = AccountTable::new();
        let numbers = [1, 7, NUMBER_MAX, NUMBER_MAX + 1, u32::MAX >> 1];
        for number in numbers.into_iter().rev() {
            table.insert(number, number);
        }
        assert_eq!(table.iter().copied().collect::<Vec<_>>(), numbers);
        assert_eq!(table.numbered(), 3);
        for (place, number) in numbers.into_iter().enumerate() {
            assert_eq!(table.iter_from(number).copied().collect::<Vec<_>>(), numbers[place..]);
            assert_eq!(table.iter_from(number + 1).copied().collect::<Vec<_>>(), numbers[place + 1..]);
        }
        for number in numbers {
            *table.get_mut(number).unwrap_or(&mut 0) += 0;
            assert_eq!(table.get(number), Some(&number));
            assert_eq!(table.remove(number), Some(number));
            assert_eq!(table.get(number), None);
        }
        assert_eq!((table.get(u32::MAX), table.iter().count()), (None, 0));
    }

    /// Numbers that are given to others end before these.
    #[test]
    fn numbers_of_internal_accounts_are_beyond_all_others() {
        for account in InternalAccount::ALL {
            assert!(account.number().get() > NUMBER_MAX, "{account:?}");
        }
    }
}
