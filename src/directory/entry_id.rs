//! The number of an entry in its tree, and the UUID of one that stands for nothing that is stored.

use uuid::Uuid;

use crate::model::{AccountNumber, GroupNumber};

/// Names an entry, in every provider's tree the same for the same account or group. Never used
/// again, as the number that it is made from never is; gives the order of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(u32);

impl EntryId {
    /// The suffix of the tree.
    pub const SUFFIX: EntryId = EntryId(0);

    /// What stands for an entry that is in no tree: the root DSE, the subschema.
    pub const STANDALONE: EntryId = EntryId(FIRST_NUMBER - 1);

    /// The container at this place in the provider's list; 0 is the suffix.
    pub(crate) const fn of_container(place: u16) -> Self {
        Self(place as u32)
    }

    pub const fn of_account(number: AccountNumber) -> Self {
        Self(FIRST_NUMBER.saturating_add(number.get()))
    }

    pub const fn of_group(number: GroupNumber) -> Self {
        Self(FIRST_NUMBER + number.get())
    }

    /// The virtual primary group of an account.
    pub const fn of_virtual_group(number: AccountNumber) -> Self {
        if number.get() > NUMBER_MAX {
            return Self::STANDALONE;
        }
        Self(FIRST_VIRTUAL + FIRST_NUMBER + number.get())
    }

    /// Whether it is the suffix or a container.
    pub const fn is_container(self) -> bool {
        self.0 < FIRST_NUMBER
    }

    /// The number of the account or group whose entry this is.
    pub const fn number(self) -> Option<u32> {
        if self.0 >= FIRST_NUMBER && self.0 < FIRST_VIRTUAL { Some(self.0 - FIRST_NUMBER) } else { None }
    }

    /// The account whose virtual group this is.
    pub const fn virtual_group_of(self) -> Option<AccountNumber> {
        if self.0 >= FIRST_VIRTUAL + FIRST_NUMBER {
            Some(AccountNumber::new(self.0 - FIRST_VIRTUAL - FIRST_NUMBER))
        } else {
            None
        }
    }

    /// Whether it stands behind all accounts and groups, in the order of results.
    pub(super) const fn is_behind_numbers(self) -> bool {
        self.0 >= FIRST_VIRTUAL
    }

    /// The plain number, as indexes hold it.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The entry with this plain number.
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }
}

/// The largest number that an account or group may have; beyond are internal service accounts, which are in no tree.
/// No limit of the config: the bits of a number give it.
pub const NUMBER_MAX: u32 = FIRST_VIRTUAL - FIRST_NUMBER - 1;

/// Below stand the suffix and the containers.
const FIRST_NUMBER: u32 = 1 << 16;
/// From here on stand virtual groups.
const FIRST_VIRTUAL: u32 = 1 << 31;

/// The `entryUUID` of an account's virtual group, derived from the account's.
pub(super) fn virtual_group_uuid(account: Uuid) -> Uuid {
    let mut octets = [0; 16];
    let mut hasher = blake3::Hasher::new_derive_key("bindery virtual group entryUUID");
    hasher.update(account.as_bytes()).finalize_xof().fill(&mut octets);
    uuid::Builder::from_custom_bytes(octets).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::InternalAccount;

    #[test]
    fn ranges_do_not_overlap() {
        let last = AccountNumber::new(NUMBER_MAX);
        assert_eq!(EntryId::of_account(last).number(), Some(NUMBER_MAX));
        assert_eq!(EntryId::of_virtual_group(last).virtual_group_of(), Some(last));
        assert_eq!(EntryId::of_virtual_group(last).number(), None);
        assert_eq!(EntryId::of_container(u16::MAX).number(), None);
        assert_eq!(EntryId::of_account(AccountNumber::new(0)).virtual_group_of(), None);
        for internal in InternalAccount::ALL.map(InternalAccount::number) {
            let id = EntryId::of_account(internal);
            assert_eq!((id.number(), id.virtual_group_of()), (None, None));
            assert_eq!(EntryId::of_virtual_group(internal), EntryId::STANDALONE);
        }
    }
}
