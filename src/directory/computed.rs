//! Values of an entry for a reader: those that it stores, and those that are computed when they are asked for, from the
//! account, the group or the tree.
//!
//! An entry that comes from [`TreeReader::entry`] has no stored value any more that may not be seen; those that are computed
//! are made here of what may be seen alone. So the one rule of visibility (a value that names an entry which the reader may
//! not see is not there) has two places.

use std::io::Write;

use smallvec::SmallVec;

use super::accounts::{AccountState, GroupState, name_key};
use super::category::Category;
use super::entry::Entry;
use super::entry_id::EntryId;
use super::reader::{Subject, TreeReader};
use super::subschema::SUBSCHEMA_DN;
use super::visibility::Visibility;
use crate::model::Timestamp;
use crate::schema::time::generalized_time;
use crate::schema::{AttributeId, steps};

impl TreeReader<'_> {
    /// Hands the values of exactly this attribute type to `each`, stored or computed, until it
    /// says `false`. Secrets have no values.
    pub fn values(
        &self,
        id: EntryId,
        entry: &Entry,
        attribute: AttributeId,
        each: &mut dyn FnMut(&[u8]) -> bool,
    ) {
        let mut is_stored = false;
        for stored in entry.attributes_of(attribute) {
            is_stored = true;
            for value in stored.values() {
                if !each(value) {
                    return;
                }
            }
        }
        // An RDN may be made of a computed attribute (`sAMAccountName`): then its value is the one.
        if !is_stored
            && attribute.is_computed()
            && let Some(subject) = self.subject(id)
        {
            computed(self, (id, &subject), entry, attribute, each);
        }
    }

    /// The same of a computed attribute that the entry does not store, for who asks for several: `subject` is what it
    /// stands for.
    pub fn computed_values(
        &self,
        (id, subject): (EntryId, &Subject<'_>),
        entry: &Entry,
        attribute: AttributeId,
        each: &mut dyn FnMut(&[u8]) -> bool,
    ) {
        computed(self, (id, subject), entry, attribute, each);
    }

    /// Hands the values of a computed attribute that the entry does not store to `each`, with the place of each, from the
    /// place `from` on, until it says `false`; a member or a group that is no value there, such as a group in `memberUid`,
    /// without one. Places are plain numbers that grow, with gaps.
    pub fn computed_from(
        &self,
        (id, entry): (EntryId, &Entry),
        attribute: AttributeId,
        from: usize,
        each: &mut dyn FnMut(usize, Option<&[u8]>) -> bool,
    ) {
        let Some(subject) = self.subject(id).filter(|_| attribute.is_computed()) else { return };
        if let Subject::Group(group) = subject
            && self.members_in(id, entry, attribute).is_some()
        {
            // EntryIds are of 32 bits.
            let from = u32::try_from(from).unwrap_or(u32::MAX);
            members_from(self, group, attribute, from, &mut |id, value| each(id.raw() as usize, value));
        } else if attribute == AttributeId::MEMBER_OF {
            groups_from(self, &subject, from, each);
        } else if from == 0 {
            // One value.
            computed(self, (id, &subject), entry, attribute, &mut |value| each(0, Some(value)));
        }
    }

    /// How many values a computed attribute may have.
    pub fn computed_values_max(&self, id: EntryId, entry: &Entry, attribute: AttributeId) -> usize {
        match attribute {
            AttributeId::MEMBER_OF => {
                self.subject(id).as_ref().map_or(0, |subject| subject.direct_groups().len())
            }
            _ => self.members_in(id, entry, attribute).unwrap_or(1),
        }
    }
}

/// Hands the values of a computed attribute of what the entry stands for to `each`, until it says `false`.
fn computed(
    reader: &TreeReader<'_>,
    (id, subject): (EntryId, &Subject<'_>),
    entry: &Entry,
    attribute: AttributeId,
    each: &mut dyn FnMut(&[u8]) -> bool,
) {
    match attribute {
        AttributeId::MEMBER if entry.membership().member => members(reader, subject, each),
        AttributeId::UNIQUE_MEMBER if entry.membership().unique_member => members(reader, subject, each),
        AttributeId::MEMBER_UID if entry.membership().member_uid => member_names(reader, subject, each),
        AttributeId::MEMBER_OF => {
            groups_from(reader, subject, 0, &mut |_, group| group.is_none_or(&mut *each));
        }
        AttributeId::STRUCTURAL_OBJECT_CLASS => {
            if let Some(class) = reader.structural_class(entry) {
                each(class.as_bytes());
            }
        }
        AttributeId::ENTRY_UUID => {
            each(subject.uuid().as_hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).as_bytes());
        }
        AttributeId::CREATORS_NAME | AttributeId::MODIFIERS_NAME => {
            each(reader.tree().suffix_dn());
        }
        AttributeId::CREATE_TIMESTAMP => time(subject.created(), each),
        AttributeId::MODIFY_TIMESTAMP => time(subject.modified(reader.sees_all_entries()), each),
        AttributeId::ENTRY_DN => {
            each(entry.dn());
        }
        AttributeId::SUBSCHEMA_SUBENTRY => {
            each(SUBSCHEMA_DN.as_bytes());
        }
        AttributeId::HAS_SUBORDINATES => {
            each(boolean(reader.subordinates(id) > 0));
        }
        AttributeId::NUM_SUBORDINATES => number(reader.subordinates(id) as u64, each),
        _ if reader.has_compatibility_attributes() => {
            compatibility(reader, subject, entry, attribute, each);
        }
        _ => {}
    }
}

/// authentik- and AD-shaped attributes.
fn compatibility(
    reader: &TreeReader<'_>,
    subject: &Subject<'_>,
    entry: &Entry,
    attribute: AttributeId,
    each: &mut dyn FnMut(&[u8]) -> bool,
) {
    match (subject, attribute) {
        (_, AttributeId::DISTINGUISHED_NAME) => {
            each(entry.dn());
        }
        (_, AttributeId::OBJECT_CATEGORY) => {
            each(&Category::of(subject, entry).dn(reader.tree().suffix_dn()));
        }
        (_, AttributeId::WHEN_CREATED) => time_of_windows(subject.created(), each),
        (_, AttributeId::WHEN_CHANGED) => time_of_windows(subject.modified(reader.sees_all_entries()), each),
        (Subject::Container(_), _) => {}
        (_, AttributeId::OBJECT_GUID) => {
            each(&subject.uuid().to_bytes_le());
        }
        (Subject::Account(account), _) => account_compatibility(reader, account, entry, attribute, each),
        (Subject::Group(group), AttributeId::NAME) => {
            each(group.name.as_bytes());
        }
        // That is one object's alone in Active Directory: an account's before a group's, and so no virtual group's.
        (Subject::Group(group), AttributeId::SAM_ACCOUNT_NAME)
            if reader.find_username(&name_key(&group.name)).is_none() =>
        {
            each(group.name.as_bytes());
        }
        (Subject::Group(_) | Subject::VirtualGroup(_), AttributeId::SAM_ACCOUNT_TYPE) => {
            number(GROUP_OBJECT, each);
        }
        (Subject::Group(group), AttributeId::AK_SUPERUSER) => {
            each(boolean(group.is_superuser));
        }
        (Subject::VirtualGroup(account), AttributeId::NAME) => {
            each(account.username.as_bytes());
        }
        _ => {}
    }
}

fn account_compatibility(
    reader: &TreeReader<'_>,
    account: &AccountState,
    entry: &Entry,
    attribute: AttributeId,
    each: &mut dyn FnMut(&[u8]) -> bool,
) {
    match attribute {
        AttributeId::NAME => {
            // One with an option, such as displayName;lang-de, is another attribute.
            let mut names = entry.attributes_of(AttributeId::DISPLAY_NAME);
            let display = names.find(|attribute| !attribute.description().contains(&b';'));
            each(
                display
                    .and_then(|attribute| attribute.values().next())
                    .unwrap_or(account.username.as_bytes()),
            );
        }
        AttributeId::SAM_ACCOUNT_NAME => {
            each(account.username.as_bytes());
        }
        AttributeId::USER_PRINCIPAL_NAME => principal_name(reader, account, each),
        AttributeId::USER_ACCOUNT_CONTROL => {
            number(if account.is_active { NORMAL_ACCOUNT } else { NORMAL_ACCOUNT | ACCOUNT_DISABLED }, each);
        }
        AttributeId::SAM_ACCOUNT_TYPE => number(USER_OBJECT, each),
        AttributeId::AK_ACTIVE => {
            each(boolean(account.is_active));
        }
        AttributeId::AK_SUPERUSER => {
            each(boolean(reader.accounts().is_superuser(account)));
        }
        _ => {}
    }
}

/// Who binds by a userPrincipalName is whom it finds, and a bind takes the whole for a username before it takes the domain
/// off. So a username with the domain is its own, and what another is called is nobody else's.
fn principal_name(reader: &TreeReader<'_>, account: &AccountState, each: &mut dyn FnMut(&[u8]) -> bool) {
    let (tree, username) = (reader.tree(), account.username.as_bytes());
    if account.is_address() && tree.before_domain(&name_key(&account.username)).is_some() {
        each(username);
        return;
    }
    let name = joined(&[username, b"@", tree.domain().as_bytes()]);
    let is_taken =
        || std::str::from_utf8(&name).is_ok_and(|name| reader.find_username(&name_key(name)).is_some());
    if !(reader.accounts().has_addresses() && is_taken()) {
        each(&name);
    }
}

fn members(reader: &TreeReader<'_>, subject: &Subject<'_>, each: &mut dyn FnMut(&[u8]) -> bool) {
    match subject {
        Subject::Group(group) => seen_members(reader, group, |_, member| each(member.dn())),
        Subject::VirtualGroup(account) => {
            if let Some(member) = reader.stored(EntryId::of_account(account.number)) {
                each(member.dn());
            }
        }
        Subject::Container(_) | Subject::Account(_) => {}
    }
}

/// Hands the members of a group to `each` that stand at or behind `from`, with the id of each, as the values of a
/// membership attribute; until it says `false`.
fn members_from(
    reader: &TreeReader<'_>,
    group: &GroupState,
    attribute: AttributeId,
    from: u32,
    each: &mut dyn FnMut(EntryId, Option<&[u8]>) -> bool,
) {
    let mut show = |id: EntryId| {
        steps::note(1);
        let value = reader.stored(id).and_then(|entry| match attribute {
            AttributeId::MEMBER_UID => Some(reader.accounts().account_of_entry(id)?.username.as_bytes()),
            _ => Some(entry.dn()),
        });
        each(id, value)
    };
    match reader.visibility() {
        Visibility::Full | Visibility::Tree(_) => {
            group.members.range(from).map(EntryId::from_raw).all(show);
        }
        Visibility::Own(own) => {
            let own = own.as_slice();
            let behind = own.iter().skip(own.partition_point(|id| id.raw() < from));
            behind.filter(|id| group.members.contains(id.raw())).all(|id| show(*id));
        }
    }
}

/// Hands the direct members of a group that the reader may see to `each`, until it says `false`. Who does not see
/// everything has its own entries asked whether they are members: to go through all members would cost what the
/// hidden ones are.
fn seen_members(reader: &TreeReader<'_>, group: &GroupState, mut each: impl FnMut(EntryId, &Entry) -> bool) {
    let mut show = |id: EntryId| {
        steps::note(1);
        reader.stored(id).is_none_or(|entry| each(id, entry))
    };
    match reader.visibility() {
        Visibility::Full | Visibility::Tree(_) => {
            group.members().all(show);
        }
        Visibility::Own(own) => {
            let mut members = own.as_slice().iter().filter(|id| group.members.contains(id.raw()));
            members.all(|id| show(*id));
        }
    }
}

fn member_names(reader: &TreeReader<'_>, subject: &Subject<'_>, each: &mut dyn FnMut(&[u8]) -> bool) {
    match subject {
        Subject::Group(group) => seen_members(reader, group, |id, _| {
            let account = reader.accounts().account_of_entry(id);
            account.is_none_or(|account| each(account.username.as_bytes()))
        }),
        Subject::VirtualGroup(account) => {
            if reader.stored(EntryId::of_account(account.number)).is_some() {
                each(account.username.as_bytes());
            }
        }
        Subject::Container(_) | Subject::Account(_) => {}
    }
}

/// Hands the groups that something stands in directly to `each`, with their places, from the place `from` on.
fn groups_from(
    reader: &TreeReader<'_>,
    subject: &Subject<'_>,
    from: usize,
    each: &mut dyn FnMut(usize, Option<&[u8]>) -> bool,
) {
    for (place, number) in subject.direct_groups().iter().enumerate().skip(from) {
        steps::note(1);
        if !each(place, reader.stored(EntryId::of_group(*number)).map(|group| group.dn())) {
            return;
        }
    }
}

fn time(time: Timestamp, each: &mut dyn FnMut(&[u8]) -> bool) {
    each(&generalized_time(time.unix_seconds()));
}

/// As Active Directory writes it, with a fraction, which its clients expect.
fn time_of_windows(time: Timestamp, each: &mut dyn FnMut(&[u8]) -> bool) {
    let [digits @ .., zone] = generalized_time(time.unix_seconds());
    each(&joined(&[&digits, b".0", &[zone]]));
}

/// A value that is made of pieces. Most are short, and are made for each entry that is sent.
fn joined(pieces: &[&[u8]]) -> SmallVec<[u8; 96]> {
    let mut value = SmallVec::new();
    pieces.iter().for_each(|piece| value.extend_from_slice(piece));
    value
}

fn number(number: u64, each: &mut dyn FnMut(&[u8]) -> bool) {
    let mut digits = [0; 20];
    let mut rest = &mut digits[..];
    // Twenty digits hold every u64.
    let _ = write!(rest, "{number}");
    let left = rest.len();
    each(&digits[..digits.len() - left]);
}

fn boolean(value: bool) -> &'static [u8] {
    if value { b"TRUE" } else { b"FALSE" }
}

/// Bits of Active Directory's userAccountControl.
const NORMAL_ACCOUNT: u64 = 512;
const ACCOUNT_DISABLED: u64 = 2;
/// Values of Active Directory's sAMAccountType.
const USER_OBJECT: u64 = 0x3000_0000;
const GROUP_OBJECT: u64 = 0x1000_0000;
