//! How a record becomes octets: ordered keys, and values with a version and a checksum.
//!
//! A record is stored as one or more *items* of at most [`ITEM_OCTETS_MAX`]. The first octets of an
//! item are the same in every version, so that an older binary can tell a newer item from a damaged
//! one:
//!
//! ```text
//! key    kind (1) | rest of the name | part (2, big-endian)
//! value  version (1) | checksum (16) | part 0 only: number of parts (2, little-endian) | piece of bincode
//! ```
//!
//! The checksum covers the version (1), the octets of the key (8), the key and what is behind the checksum: an item that stands
//! under another key is noticed. `docs/format.md` has all of it, and is what a test reads a backup by.

mod v1;
mod v2;
mod v3;
mod v4;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::SizeWriter;
use bincode::error::DecodeError;
use bincode::serde::encode_into_writer;
use ipnet::IpNet;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Meta;
use super::error::{Damage, StoreError};
use crate::model::{
    Account, AccountNumber, ApplicationNumber, AttributeNumber, BindingSubject, EventPlace, GroupNumber,
    InPlace, Key, ProviderNumber, Record, RoleNumber, TokenNumber, TombstoneOf, Trail, UsageOf, as_ipv4,
};

/// One stored item: its key and its value.
pub(super) type Item = (Vec<u8>, Vec<u8>);

/// What is wrong with an item, before it is known which store it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is damaged.
    Damaged(Damage),
    /// It is whole, but of a later version.
    TooNew { item: String, version: u8 },
}

impl Fault {
    /// The same as an error of the store in `path`.
    pub(super) fn at(self, path: &std::path::Path) -> StoreError {
        let path = path.to_owned();
        match self {
            Self::Damaged(damage) => StoreError::Damaged { path, damage },
            Self::TooNew { item, version } => StoreError::TooNew { path, item, version, known: VERSION },
        }
    }
}

/// An item whose checksum was found right, or that of what it stands in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verified<'a> {
    /// The key without the part.
    pub(super) name: &'a [u8],
    /// Which part of the record it is.
    pub(super) part: u16,
    /// Which version wrote it.
    pub(super) version: u8,
    /// The checksum, which is its share of [`Meta::sum`].
    pub(super) checksum: u128,
    content: &'a [u8],
}

impl<'a> Verified<'a> {
    /// Takes an item apart, without a look at its checksum and version.
    fn of(key: &'a [u8], value: &'a [u8]) -> Result<Self, Fault> {
        let Some((name, part)) = key.split_last_chunk::<PART_OCTETS>() else {
            return Err(wrong_checksum(key));
        };
        let Some(((&version, checksum), content)) =
            value.split_first_chunk::<HEADER_OCTETS>().and_then(|(header, content)| {
                let (version, checksum) = header.split_first()?;
                Some(((version, checksum.first_chunk::<CHECKSUM_OCTETS>()?), content))
            })
        else {
            return Err(wrong_checksum(name));
        };
        let checksum = u128::from_le_bytes(*checksum);
        Ok(Self { name, part: u16::from_be_bytes(*part), version, checksum, content })
    }

    /// The same, if this binary knows its version.
    fn known(self) -> Result<Self, Fault> {
        if self.version > VERSION {
            return Err(Fault::TooNew { item: title(self.name), version: self.version });
        }
        Ok(self)
    }

    /// Of part 0: how many parts there are, and the first piece.
    pub(super) fn head(&self) -> Result<(u16, &'a [u8]), Fault> {
        match self.content.split_first_chunk::<PARTS_OCTETS>() {
            Some((parts, piece)) if self.part == 0 && *parts != [0; PARTS_OCTETS] => {
                Ok((u16::from_le_bytes(*parts), piece))
            }
            _ => Err(unreadable(self.name, "it does not say how many parts it has")),
        }
    }

    /// Of a later part: its piece.
    pub(super) fn piece(&self) -> &'a [u8] {
        self.content
    }
}

/// The name of a record in the database: the key of its items without the part.
pub(super) fn name_of(key: &Key) -> Vec<u8> {
    let mut name = Vec::with_capacity(NAME_CAPACITY);
    match key {
        Key::CustomAttribute(number) => number_name(&mut name, CUSTOM_ATTRIBUTE, number.get()),
        Key::Provider(number) => number_name(&mut name, PROVIDER, number.get()),
        Key::Role(number) => number_name(&mut name, ROLE, number.get()),
        Key::Group(number) => number_name(&mut name, GROUP, number.get()),
        Key::Account(number) => number_name(&mut name, ACCOUNT, number.get()),
        Key::Membership(group, account) => {
            number_name(&mut name, MEMBERSHIP, group.get());
            name.extend_from_slice(&account.get().to_be_bytes());
        }
        Key::Token(number) => number_name(&mut name, TOKEN, number.get()),
        Key::Application(number) => number_name(&mut name, APPLICATION, number.get()),
        Key::Tombstone(of) => {
            let (kind, text) = tombstone_parts(of);
            name.extend_from_slice(&[TOMBSTONE, kind]);
            name.extend_from_slice(text.as_bytes());
        }
        Key::Usage(UsageOf::Token(number)) => {
            name.extend_from_slice(&[USAGE, USAGE_TOKEN]);
            name.extend_from_slice(&number.get().to_be_bytes());
        }
        Key::Usage(UsageOf::Account(number)) => {
            name.extend_from_slice(&[USAGE, USAGE_ACCOUNT]);
            name.extend_from_slice(&number.get().to_be_bytes());
        }
        Key::Event(EventPlace { trail, sequence }) => {
            name.push(event_kind(*trail));
            name.extend_from_slice(&sequence.to_be_bytes());
        }
    }
    name
}

/// The kind of the events of a trail.
const fn event_kind(trail: Trail) -> u8 {
    match trail {
        Trail::Changes => EVENT,
        Trail::Logins => LOGIN,
        Trail::Failures => FAILURE,
        Trail::Custom => CUSTOM_EVENT,
    }
}

fn trail_of(kind: u8) -> Option<Trail> {
    Trail::ALL.into_iter().find(|trail| event_kind(*trail) == kind)
}

/// The record that a name stands for; `None`: it is none of ours.
pub(super) fn key_of(name: &[u8]) -> Option<Key> {
    let (&kind, rest) = name.split_first()?;
    let number = || Some(u32::from_be_bytes(rest.try_into().ok()?));
    match kind {
        CUSTOM_ATTRIBUTE => Some(Key::CustomAttribute(AttributeNumber::new(number()?))),
        PROVIDER => Some(Key::Provider(ProviderNumber::new(number()?))),
        ROLE => Some(Key::Role(RoleNumber::new(number()?))),
        GROUP => Some(Key::Group(GroupNumber::new(number()?))),
        ACCOUNT => Some(Key::Account(AccountNumber::new(number()?))),
        MEMBERSHIP => {
            let (group, account) = rest.split_first_chunk::<4>()?;
            let account = u32::from_be_bytes(account.try_into().ok()?);
            Some(Key::Membership(GroupNumber::new(u32::from_be_bytes(*group)), AccountNumber::new(account)))
        }
        TOKEN => Some(Key::Token(TokenNumber::new(number()?))),
        APPLICATION => Some(Key::Application(ApplicationNumber::new(number()?))),
        TOMBSTONE => {
            let (&of, text) = rest.split_first()?;
            let text = std::str::from_utf8(text).ok()?.to_owned();
            let of = match of {
                TOMBSTONE_ACCOUNT => TombstoneOf::Account(text),
                TOMBSTONE_TOKEN => TombstoneOf::Token(text),
                TOMBSTONE_GROUP => TombstoneOf::Group(text),
                TOMBSTONE_ROLE => TombstoneOf::Role(text),
                _ => return None,
            };
            Some(Key::Tombstone(of))
        }
        USAGE => {
            let (&of, number) = rest.split_first()?;
            let number = u32::from_be_bytes(number.try_into().ok()?);
            match of {
                USAGE_TOKEN => Some(Key::Usage(UsageOf::Token(TokenNumber::new(number)))),
                USAGE_ACCOUNT => Some(Key::Usage(UsageOf::Account(AccountNumber::new(number)))),
                _ => None,
            }
        }
        kind => Some(Key::Event(trail_of(kind)?.at(u64::from_be_bytes(rest.try_into().ok()?)))),
    }
}

/// The key of one part of a record.
pub(super) fn item_key(name: &[u8], part: u16) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + PART_OCTETS);
    key.extend_from_slice(name);
    key.extend_from_slice(&part.to_be_bytes());
    key
}

/// The key of the item that describes the store.
pub(super) fn meta_key() -> Vec<u8> {
    item_key(&[META], 0)
}

/// The keys of all items of events of a trail above `after`: from the first of these up to, and without, the second.
pub(super) fn event_keys_above(trail: Trail, after: u64) -> Option<(Vec<u8>, Vec<u8>)> {
    let first =
        after.checked_add(1).map(|sequence| item_key(&name_of(&Key::Event(trail.at(sequence))), 0))?;
    Some((first, vec![event_kind(trail) + 1]))
}

/// The keys of all items of events of a trail below `before`: from the first of these up to, and without, the second.
pub(super) fn event_keys_below(trail: Trail, before: u64) -> (Vec<u8>, Vec<u8>) {
    (item_key(&name_of(&Key::Event(trail.at(0))), 0), item_key(&name_of(&Key::Event(trail.at(before))), 0))
}

/// Whether the item is the one that describes the store.
pub(super) fn is_meta(name: &[u8]) -> bool {
    name == [META]
}

/// Whether the record is an event.
pub(super) fn is_event(name: &[u8]) -> bool {
    name.first().is_some_and(|kind| trail_of(*kind).is_some())
}

/// Whether the item is the first one of its record.
pub(super) fn begins_record(key: &[u8]) -> bool {
    key.ends_with(&0u16.to_be_bytes())
}

/// Whether the item belongs to a record that is read before all others, because they name it.
pub(super) fn is_first(key: &[u8]) -> bool {
    key.first().is_some_and(|kind| *kind < GROUP)
}

/// The items of a record, part 0 first.
///
/// # Errors
/// [`StoreError::TooLarge`].
pub(super) fn encode(record: &Record) -> Result<Vec<Item>, StoreError> {
    let key = record.key();
    let name = name_of(&key);
    check_tombstone(&key)?;
    let octets = match record {
        Record::CustomAttribute(attribute) => bincoded(&name, attribute),
        Record::Provider(provider) => bincoded(&name, provider),
        Record::Role(role) => bincoded(&name, role),
        Record::Group(group) => bincoded(&name, group),
        Record::Account(account) => bincoded(&name, account),
        Record::Membership(membership) => bincoded(&name, membership),
        Record::Token(token) => bincoded(&name, token),
        Record::Application(application) => bincoded(&name, application),
        Record::Tombstone(tombstone) => bincoded(&name, tombstone),
        Record::Usage(usage) => bincoded(&name, usage),
        Record::Event(event) => bincoded(&name, event),
    }?;
    split(&name, &octets)
}

/// Whether the store takes a record, and about how many octets of a batch it is.
///
/// # Errors
/// [`StoreError::TooLarge`].
pub fn measure(record: &Record) -> Result<usize, StoreError> {
    let key = record.key();
    check_tombstone(&key)?;
    let mut counted = SizeWriter::default();
    let encoded = match record {
        Record::CustomAttribute(attribute) => encode_into_writer(attribute, &mut counted, BINCODE),
        Record::Provider(provider) => encode_into_writer(provider, &mut counted, BINCODE),
        Record::Role(role) => encode_into_writer(role, &mut counted, BINCODE),
        Record::Group(group) => encode_into_writer(group, &mut counted, BINCODE),
        Record::Account(account) => encode_into_writer(account, &mut counted, BINCODE),
        Record::Membership(membership) => encode_into_writer(membership, &mut counted, BINCODE),
        Record::Token(token) => encode_into_writer(token, &mut counted, BINCODE),
        Record::Application(application) => encode_into_writer(application, &mut counted, BINCODE),
        Record::Tombstone(tombstone) => encode_into_writer(tombstone, &mut counted, BINCODE),
        Record::Usage(usage) => encode_into_writer(usage, &mut counted, BINCODE),
        Record::Event(event) => encode_into_writer(event, &mut counted, BINCODE),
    };
    let name = name_of(&key);
    let octets = if encoded.is_ok() { counted.bytes_written } else { usize::MAX };
    if octets > RECORD_OCTETS_MAX {
        return Err(StoreError::TooLarge { what: title(&name), octets, limit: RECORD_OCTETS_MAX });
    }
    let around = name.len() + PART_OCTETS + HEADER_OCTETS + PARTS_OCTETS;
    Ok(octets + octets.div_ceil(PIECE_OCTETS).max(1) * around)
}

/// The record of this name out of its bincode, as this version wrote it.
pub(super) fn decode(name: &[u8], version: u8, octets: &[u8]) -> Result<Record, Fault> {
    let mut record = match (name.first(), version) {
        (Some(&CUSTOM_ATTRIBUTE), _) => Record::CustomAttribute(unbincoded(name, octets)?),
        (Some(&MEMBERSHIP), _) => Record::Membership(unbincoded(name, octets)?),
        (Some(&PROVIDER), 1) => Record::Provider(unbincoded::<v1::LdapProvider>(name, octets)?.into()),
        (Some(&ROLE), 1) => Record::Role(unbincoded::<v1::Role>(name, octets)?.into()),
        (Some(&GROUP), 1) => Record::Group(unbincoded::<v1::Group>(name, octets)?.into()),
        (Some(&ACCOUNT), 1) => Record::Account(unbincoded::<v1::Account>(name, octets)?.into()),
        (Some(&TOKEN), 1) => Record::Token(unbincoded::<v1::Token>(name, octets)?.into()),
        (Some(&APPLICATION), 1) => Record::Application(unbincoded::<v1::Application>(name, octets)?.into()),
        (Some(&PROVIDER), 2..=4) => Record::Provider(unbincoded::<v4::LdapProvider>(name, octets)?.into()),
        (Some(&GROUP), 2..=4) => Record::Group(unbincoded::<v4::Group>(name, octets)?.into()),
        (Some(&ACCOUNT), 2..=4) => Record::Account(unbincoded::<v4::Account>(name, octets)?.into()),
        (Some(&APPLICATION), 2..=4) => {
            Record::Application(unbincoded::<v4::Application>(name, octets)?.into())
        }
        (Some(&TOMBSTONE), 1) => Record::Tombstone(unbincoded::<v1::Tombstone>(name, octets)?.into()),
        (Some(&TOMBSTONE), 2 | 3) => Record::Tombstone(unbincoded::<v3::Tombstone>(name, octets)?.into()),
        (Some(&USAGE), 1) => Record::Usage(unbincoded::<v1::Usage>(name, octets)?.into()),
        (Some(&EVENT), 1) => Record::Event(unbincoded::<v1::Event>(name, octets)?.into()),
        (Some(&EVENT), 2) => Record::Event(unbincoded::<v2::Event>(name, octets)?.into()),
        (Some(&PROVIDER), _) => Record::Provider(unbincoded(name, octets)?),
        (Some(&ROLE), _) => Record::Role(unbincoded(name, octets)?),
        (Some(&GROUP), _) => Record::Group(unbincoded(name, octets)?),
        (Some(&ACCOUNT), _) => Record::Account(unbincoded(name, octets)?),
        (Some(&TOKEN), _) => Record::Token(unbincoded(name, octets)?),
        (Some(&APPLICATION), _) => Record::Application(unbincoded(name, octets)?),
        (Some(&TOMBSTONE), _) => Record::Tombstone(unbincoded(name, octets)?),
        (Some(&USAGE), _) => Record::Usage(unbincoded(name, octets)?),
        (Some(&(EVENT | LOGIN | FAILURE | CUSTOM_EVENT)), _) => Record::Event(unbincoded(name, octets)?),
        _ => return Err(unreadable(name, "there is no such kind of record")),
    };
    networks_of(&mut record).for_each(|network| *network = as_ipv4(*network));
    if key_of(name) == Some(record.key()) { Ok(record) } else { Err(unreadable(name, OTHER_NAME)) }
}

/// The networks of a record. They once were stored as they had been written, and one of addresses of IPv4 in the form of IPv6
/// matches no peer.
fn networks_of(record: &mut Record) -> impl Iterator<Item = &mut IpNet> {
    let (token, bindings) = match record {
        Record::Token(token) => (&mut token.networks[..], &mut [][..]),
        Record::Application(application) => (&mut [][..], &mut application.bindings[..]),
        _ => (&mut [][..], &mut [][..]),
    };
    let bound = bindings.iter_mut().filter_map(|binding| match &mut binding.subject {
        BindingSubject::Networks(networks) => Some(networks),
        _ => None,
    });
    token.iter_mut().chain(bound.flatten())
}

/// The same for an account as version 2 and all later ones write it, into the place of another whose memory it takes: whether
/// it is one. On an error the place holds nothing of use.
pub(super) fn decode_in_place(
    name: &[u8],
    version: u8,
    octets: &[u8],
    place: &mut Account,
) -> Result<bool, Fault> {
    if name.first() != Some(&ACCOUNT) || version == 1 {
        return Ok(false);
    }
    let to = InPlace { place, is_plain: matches!(version, 2..=4) };
    let decoded = bincode::serde::seed_decode_from_slice(to, octets, BINCODE);
    all_of(name, octets, decoded)?;
    if key_of(name) == Some(Key::Account(place.number)) {
        Ok(true)
    } else {
        Err(unreadable(name, OTHER_NAME))
    }
}

/// The item that describes the store.
///
/// # Errors
/// Never in practice: its size is bounded far below the limit.
pub(super) fn encode_meta(meta: &Meta) -> Result<Item, StoreError> {
    let octets = bincoded(&[META], meta)?;
    Ok(seal(&[META], 0, 1, &octets))
}

/// What the item says that describes the store.
pub(super) fn decode_meta(value: &[u8]) -> Result<Meta, Fault> {
    let key = meta_key();
    let item = verify(&key, value)?;
    let (_, piece) = item.head()?;
    match item.version {
        1 | 2 => Ok(unbincoded::<v2::Meta>(item.name, piece)?.into()),
        3 => Ok(unbincoded::<v3::Meta>(item.name, piece)?.into()),
        _ => unbincoded(item.name, piece),
    }
}

/// Checks version and checksum of an item.
pub(super) fn verify<'a>(key: &'a [u8], value: &'a [u8]) -> Result<Verified<'a>, Fault> {
    let item = Verified::of(key, value)?;
    if checksum_of(item.version, key, item.content) != item.checksum.to_le_bytes() {
        return Err(wrong_checksum(item.name));
    }
    item.known()
}

/// The same for an item that stands in octets whose own checksum was found right, and was whole when they were written: its
/// checksum is believed. A start has millions of items, each of which would cost more than all the rest of its octets.
pub(super) fn believe<'a>(key: &'a [u8], value: &'a [u8]) -> Result<Verified<'a>, Fault> {
    Verified::of(key, value)?.known()
}

/// What an operator calls the record of this name.
pub(super) fn title(name: &[u8]) -> String {
    if is_meta(name) {
        return "the record of the revision".to_owned();
    }
    match key_of(name) {
        Some(Key::CustomAttribute(number)) => format!("attribute type {number}"),
        Some(Key::Provider(number)) => format!("provider {number}"),
        Some(Key::Role(number)) => format!("role {number}"),
        Some(Key::Group(number)) => format!("group {number}"),
        Some(Key::Account(number)) => format!("account {number}"),
        Some(Key::Membership(group, account)) => {
            format!("the membership of account {account} in group {group}")
        }
        Some(Key::Token(number)) => format!("token {number}"),
        Some(Key::Application(number)) => format!("application {number}"),
        Some(Key::Tombstone(TombstoneOf::Account(text))) => {
            format!("the trace of the deleted account {text:?}")
        }
        Some(Key::Tombstone(TombstoneOf::Token(text))) => format!("the trace of the deleted token {text:?}"),
        Some(Key::Tombstone(TombstoneOf::Group(text))) => format!("the trace of the deleted group {text:?}"),
        Some(Key::Tombstone(TombstoneOf::Role(text))) => format!("the trace of the deleted role {text:?}"),
        Some(Key::Usage(UsageOf::Token(number))) => format!("the last use of token {number}"),
        Some(Key::Usage(UsageOf::Account(number))) => format!("the last login of account {number}"),
        Some(Key::Event(place)) => format!("event {place}"),
        None => "an item of an unknown kind".to_owned(),
    }
}

/// The fault that a part is missing.
pub(super) fn part_missing(name: &[u8]) -> Fault {
    Fault::Damaged(Damage::PartMissing { item: title(name) })
}

fn wrong_checksum(name: &[u8]) -> Fault {
    Fault::Damaged(Damage::Checksum { item: title(name) })
}

fn unreadable(name: &[u8], reason: impl ToString) -> Fault {
    Fault::Damaged(Damage::Unreadable { item: title(name), reason: reason.to_string() })
}

fn check_tombstone(key: &Key) -> Result<(), StoreError> {
    let Key::Tombstone(of) = key else { return Ok(()) };
    let (_, text) = tombstone_parts(of);
    if text.len() <= TOMBSTONE_OCTETS_MAX {
        return Ok(());
    }
    Err(StoreError::TooLarge {
        what: "the name of something deleted".to_owned(),
        octets: text.len(),
        limit: TOMBSTONE_OCTETS_MAX,
    })
}

fn tombstone_parts(of: &TombstoneOf) -> (u8, &str) {
    match of {
        TombstoneOf::Account(text) => (TOMBSTONE_ACCOUNT, text),
        TombstoneOf::Token(text) => (TOMBSTONE_TOKEN, text),
        TombstoneOf::Group(text) => (TOMBSTONE_GROUP, text),
        TombstoneOf::Role(text) => (TOMBSTONE_ROLE, text),
    }
}

fn number_name(name: &mut Vec<u8>, kind: u8, number: u32) {
    name.push(kind);
    name.extend_from_slice(&number.to_be_bytes());
}

fn bincoded(name: &[u8], value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    // The only way to fail is an allocation, which aborts; a type that serde cannot write would be
    // found by the samples in the tests.
    let octets = bincode::serde::encode_to_vec(value, BINCODE).map_err(|_| StoreError::TooLarge {
        what: title(name),
        octets: RECORD_OCTETS_MAX,
        limit: RECORD_OCTETS_MAX,
    })?;
    if octets.len() > RECORD_OCTETS_MAX {
        return Err(StoreError::TooLarge {
            what: title(name),
            octets: octets.len(),
            limit: RECORD_OCTETS_MAX,
        });
    }
    Ok(octets)
}

fn unbincoded<T: DeserializeOwned>(name: &[u8], octets: &[u8]) -> Result<T, Fault> {
    all_of(name, octets, bincode::serde::decode_from_slice(octets, BINCODE))
}

/// What was decoded, if it was all that there is.
fn all_of<T>(name: &[u8], octets: &[u8], decoded: Result<(T, usize), DecodeError>) -> Result<T, Fault> {
    match decoded {
        Ok((value, taken)) if taken == octets.len() => Ok(value),
        Ok(_) => Err(unreadable(name, "there are octets behind its end")),
        Err(error) => Err(unreadable(name, error)),
    }
}

fn split(name: &[u8], octets: &[u8]) -> Result<Vec<Item>, StoreError> {
    let parts = octets.len().div_ceil(PIECE_OCTETS).max(1);
    let parts = u16::try_from(parts).map_err(|_| StoreError::TooLarge {
        what: title(name),
        octets: octets.len(),
        limit: RECORD_OCTETS_MAX,
    })?;
    if octets.is_empty() {
        return Ok(vec![seal(name, 0, 1, octets)]);
    }
    Ok((0..parts)
        .zip(octets.chunks(PIECE_OCTETS))
        .map(|(part, piece)| seal(name, part, parts, piece))
        .collect())
}

fn seal(name: &[u8], part: u16, parts: u16, piece: &[u8]) -> Item {
    let key = item_key(name, part);
    let mut value = Vec::with_capacity(HEADER_OCTETS + PARTS_OCTETS + piece.len());
    value.push(VERSION);
    value.extend_from_slice(&[0; CHECKSUM_OCTETS]);
    if part == 0 {
        value.extend_from_slice(&parts.to_le_bytes());
    }
    value.extend_from_slice(piece);
    write_checksum(&key, &mut value);
    (key, value)
}

/// Puts the right checksum into a value that was changed.
#[cfg(test)]
pub(super) fn seal_again(key: &[u8], value: &mut [u8]) {
    write_checksum(key, value);
}

fn write_checksum(key: &[u8], value: &mut [u8]) {
    if let Some((header, content)) = value.split_first_chunk_mut::<HEADER_OCTETS>()
        && let Some((version, checksum)) = header.split_first_mut()
    {
        checksum.copy_from_slice(&checksum_of(*version, key, content));
    }
}

fn checksum_of(version: u8, key: &[u8], content: &[u8]) -> [u8; CHECKSUM_OCTETS] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[version]);
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(content);
    let mut checksum = [0; CHECKSUM_OCTETS];
    hasher.finalize_xof().fill(&mut checksum);
    checksum
}

/// No stored item, key and value together, is larger than this. The database writes a page above
/// 128 KiB into a file of its own that it does not sync, and a page holds up to 20 items (it splits
/// above 16, and merges one of fewer than 4 with its neighbour): 20 of these are 120 KiB.
/// No limit of the config: the format of the store gives it.
pub const ITEM_OCTETS_MAX: usize = 6 * 1024;
/// No record is larger than this, in bincode; an account with a photo stays far below.
/// No limit of the config: a part of the format of the store and of backups.
pub const RECORD_OCTETS_MAX: usize = 16 * 1024 * 1024;
/// The name in a tombstone is part of a key and not split, so it is bounded by itself.
/// No limit of the config: the format of the store gives it.
pub const TOMBSTONE_OCTETS_MAX: usize = 960;

/// The version in front of every item. It changes when any record's serde form changes.
pub(super) const VERSION: u8 = 5;

const BINCODE: Configuration<LittleEndian, Varint, Limit<DECODED_OCTETS_MAX>> =
    bincode::config::standard().with_limit::<DECODED_OCTETS_MAX>();
/// bincode counts 8 octets for a length that takes one.
/// No limit of the config: it follows from the format of the store.
const DECODED_OCTETS_MAX: usize = 8 * RECORD_OCTETS_MAX;

const OTHER_NAME: &str = "it stands under the name of another record";
const PIECE_OCTETS: usize = 5 * 1024;
const CHECKSUM_OCTETS: usize = 16;
const HEADER_OCTETS: usize = 1 + CHECKSUM_OCTETS;
const PARTS_OCTETS: usize = 2;
pub(super) const PART_OCTETS: usize = 2;
const NAME_CAPACITY: usize = 16;
/// No limit of the config: it follows from the format of the store.
const KEY_OCTETS_MAX: usize = 2 + TOMBSTONE_OCTETS_MAX + PART_OCTETS;

const _: () = assert!(KEY_OCTETS_MAX + HEADER_OCTETS + PARTS_OCTETS + PIECE_OCTETS <= ITEM_OCTETS_MAX);
const _: () = assert!(RECORD_OCTETS_MAX.div_ceil(PIECE_OCTETS) <= u16::MAX as usize);

// The kinds, in the order in which records are loaded: what is referred to comes first.
const META: u8 = 0x00;
const CUSTOM_ATTRIBUTE: u8 = 0x08;
const PROVIDER: u8 = 0x10;
const ROLE: u8 = 0x20;
const GROUP: u8 = 0x30;
const ACCOUNT: u8 = 0x40;
const MEMBERSHIP: u8 = 0x50;
const TOKEN: u8 = 0x60;
const APPLICATION: u8 = 0x70;
const TOMBSTONE: u8 = 0x80;
const USAGE: u8 = 0x88;
/// In the trail of changes; before version 3 all events.
const EVENT: u8 = 0x90;
const LOGIN: u8 = 0x91;
const FAILURE: u8 = 0x92;
const CUSTOM_EVENT: u8 = 0x93;

const TOMBSTONE_ACCOUNT: u8 = 0;
const TOMBSTONE_TOKEN: u8 = 1;
const TOMBSTONE_GROUP: u8 = 2;
const TOMBSTONE_ROLE: u8 = 3;

const USAGE_TOKEN: u8 = 0;
const USAGE_ACCOUNT: u8 = 1;
