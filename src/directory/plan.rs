//! Which entries a search has to look at: the one place that chooses among the indexes.
//!
//! A plan may name too many entries, never too few; the evaluator decides. Only a reader who sees
//! the whole directory is planned for: what the indexes hold is a function of everybody's entries.

use std::cell::Cell;

use roaring::RoaringBitmap;
use smallvec::SmallVec;
use uuid::Uuid;

use super::accounts::name_key;
use super::entry_id::EntryId;
use super::filter::PartPosition;
use super::hash_index::Postings;
use super::id_set::IdSet;
use super::prepared::{Node, PreparedFilter, Truth};
use super::reader::{Subject, TreeReader};
use super::tree::{TRIGRAM_BEGIN, TRIGRAM_END};
use crate::schema::{AttributeId, MatchingRule};

/// The entries that a search has to look at, in the order of their ids.
#[derive(Clone, Debug)]
pub enum Candidates {
    /// No index helps: all of them.
    All,
    /// These few, sorted.
    Few(SmallVec<[u32; 4]>),
    /// These, from an index.
    Set(Box<CandidateSet>),
}

/// Many candidates.
#[derive(Clone, Debug)]
pub struct CandidateSet(Ids);

#[derive(Clone, Debug)]
enum Ids {
    Index(IdSet),
    Bitmap(RoaringBitmap),
}

impl Candidates {
    /// The first candidate at or behind `from`; `None` for [`Candidates::All`] too.
    pub fn next(&self, from: u32) -> Option<u32> {
        match self {
            Self::All => None,
            Self::Few(ids) => ids.get(ids.partition_point(|id| *id < from)).copied(),
            Self::Set(set) => match &set.0 {
                Ids::Index(ids) => ids.next(from),
                Ids::Bitmap(ids) => ids.range(from..).next(),
            },
        }
    }

    /// At most how many entries have to be looked at; `None`: all.
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::All => None,
            Self::Few(ids) => Some(ids.len()),
            Self::Set(set) => Some(match &set.0 {
                Ids::Index(ids) => ids.len(),
                Ids::Bitmap(ids) => ids.len() as usize,
            }),
        }
    }

    fn none() -> Self {
        Self::Few(SmallVec::new())
    }

    fn set(ids: &IdSet) -> Self {
        Self::Set(Box::new(CandidateSet(Ids::Index(ids.clone()))))
    }

    fn from_ids(ids: impl IntoIterator<Item = u32>) -> Self {
        let mut few: SmallVec<[u32; 4]> = ids.into_iter().collect();
        few.sort_unstable();
        few.dedup();
        Self::Few(few)
    }

    fn bitmap(ids: RoaringBitmap) -> Self {
        Self::Set(Box::new(CandidateSet(Ids::Bitmap(ids))))
    }

    /// What `common` and the others have in common; stops when few are left.
    fn in_common<'s>(mut common: RoaringBitmap, others: impl Iterator<Item = &'s IdSet>) -> Self {
        for other in others {
            if common.len() <= FEW as u64 {
                break;
            }
            other.intersect_into(&mut common);
        }
        Self::bitmap(common)
    }
}

/// Chooses the entries to look at for a reader who sees the whole directory.
pub fn plan(filter: &PreparedFilter, reader: &TreeReader<'_>) -> Candidates {
    Planner { filter, reader, work: Cell::new(0) }.node(0)
}

struct Planner<'a> {
    filter: &'a PreparedFilter,
    reader: &'a TreeReader<'a>,
    /// How many ids of postings were put together, roughly.
    work: Cell<u64>,
}

impl Planner<'_> {
    fn node(&self, place: usize) -> Candidates {
        if self.work.get() > WORK_MAX {
            return Candidates::All;
        }
        self.spend(1);
        match self.filter.nodes.get(place) {
            None | Some(Node::Part { .. }) => Candidates::none(),
            Some(Node::Constant(Truth::True)) => Candidates::All,
            Some(Node::Constant(_)) => Candidates::none(),
            Some(Node::And { items }) => self.all(place + 1, *items),
            Some(Node::Or { items }) => self.any(place + 1, *items),
            // What does not match is nearly everything.
            Some(Node::Not { .. } | Node::Ordering { .. } | Node::Category(_)) => Candidates::All,
            Some(Node::Equality { attribute, rule, form, .. }) => {
                self.equality(*attribute, *rule, self.filter.form(*form))
            }
            Some(Node::Substrings { attribute, parts, .. }) => self.substrings(*attribute, place + 1, *parts),
            Some(Node::Present { attribute, .. }) => self.presence(*attribute),
            Some(Node::Relation { attribute, target }) => self.relation(*attribute, *target),
            Some(Node::Chain { attribute, target }) => self.chain(*attribute, *target),
            Some(Node::Extensible { attribute, rule, form, dn_attributes, .. }) => match attribute {
                Some(attribute)
                    if !dn_attributes
                        && self.reader.schema().attribute(*attribute).equality == Some(*rule) =>
                {
                    self.equality(*attribute, *rule, self.filter.form(*form))
                }
                _ => Candidates::All,
            },
        }
    }

    /// The smallest operand; when that is large, what it has in common with the others. Sets of an index cost
    /// nothing to keep until all are known; those made for an operand are put together at once.
    fn all(&self, first: usize, items: u32) -> Candidates {
        let mut indexed: SmallVec<[IdSet; 4]> = SmallVec::new();
        let mut made: Option<RoaringBitmap> = None;
        for operand in self.filter.operands(first, items) {
            match self.node(operand) {
                Candidates::All => {}
                candidates if candidates.count().is_some_and(|count| count <= FEW) => return candidates,
                Candidates::Set(set) => match set.0 {
                    Ids::Index(ids) => indexed.push(ids),
                    Ids::Bitmap(ids) => match &mut made {
                        Some(common) => *common &= ids,
                        None => made = Some(ids),
                    },
                },
                Candidates::Few(ids) => match &mut made {
                    Some(common) => *common &= ids.into_iter().collect::<RoaringBitmap>(),
                    None => made = Some(ids.into_iter().collect()),
                },
            }
        }
        indexed.sort_by_key(IdSet::len);
        let mut indexed = indexed.iter();
        let common = match made {
            Some(common) => common,
            None => match indexed.next() {
                Some(smallest) => bitmap_of(smallest),
                None => return Candidates::All,
            },
        };
        Candidates::in_common(common, indexed)
    }

    fn any(&self, first: usize, items: u32) -> Candidates {
        let mut few: SmallVec<[u32; 4]> = SmallVec::new();
        let mut many = RoaringBitmap::new();
        for operand in self.filter.operands(first, items) {
            match self.node(operand) {
                Candidates::All => return Candidates::All,
                Candidates::Few(ids) => few.extend(ids),
                Candidates::Set(set) => match set.0 {
                    Ids::Index(ids) => self.unite(&ids, &mut many),
                    Ids::Bitmap(ids) => many |= ids,
                },
            }
        }
        if many.is_empty() && few.len() <= FEW {
            return Candidates::from_ids(few);
        }
        many.extend(few);
        Candidates::bitmap(many)
    }

    fn equality(&self, attribute: AttributeId, rule: MatchingRule, form: &[u8]) -> Candidates {
        let tree = self.reader.tree();
        match attribute {
            AttributeId::ENTRY_UUID => return self.posting(tree.with_value(attribute, form)),
            AttributeId::ENTRY_DN | AttributeId::DISTINGUISHED_NAME
                if self.reader.subtypes(attribute).len() == 1 =>
            {
                return Candidates::from_ids(tree.find_normal(form, self.reader.schema()).map(EntryId::raw));
            }
            AttributeId::OBJECT_GUID => {
                return match <[u8; 16]>::try_from(form) {
                    Ok(octets) => {
                        let uuid = Uuid::from_bytes_le(octets);
                        self.posting(tree.with_value(AttributeId::ENTRY_UUID, uuid.as_bytes()))
                    }
                    Err(_) => Candidates::none(),
                };
            }
            // In an RDN they are stored, and in the index.
            AttributeId::SAM_ACCOUNT_NAME | AttributeId::USER_PRINCIPAL_NAME if rule == OF_NAMES => {
                let mut ids: SmallVec<[u32; 4]> = tree.with_value(attribute, form).ids().collect();
                if attribute == AttributeId::SAM_ACCOUNT_NAME {
                    self.account_name(form, &mut ids);
                } else {
                    self.principal_name(form, &mut ids);
                }
                return Candidates::from_ids(ids);
            }
            _ => {}
        }
        let schema = self.reader.schema();
        let subtypes = self.reader.subtypes(attribute);
        let is_indexed = |id: &AttributeId| {
            let attribute = schema.attribute(*id);
            attribute.indexes.equality && attribute.equality == Some(rule) && !id.is_computed()
        };
        if !subtypes.iter().all(is_indexed) {
            return Candidates::All;
        }
        match subtypes {
            [only] => self.posting(tree.with_value(*only, form)),
            several => self.union(several.iter().map(|id| tree.with_value(*id, form))),
        }
    }

    fn presence(&self, attribute: AttributeId) -> Candidates {
        let subtypes = self.reader.subtypes(attribute);
        // All entries have it, or it is computed for each.
        if attribute == AttributeId::OBJECT_CLASS || subtypes.iter().any(|id| id.is_computed()) {
            return Candidates::All;
        }
        let tree = self.reader.tree();
        match subtypes {
            [only] => self.posting(tree.with_attribute(*only)),
            several => self.union(several.iter().map(|id| tree.with_attribute(*id))),
        }
    }

    fn substrings(&self, attribute: AttributeId, first: usize, parts: u32) -> Candidates {
        let schema = self.reader.schema();
        let [only] = self.reader.subtypes(attribute) else { return Candidates::All };
        if !schema.attribute(*only).indexes.substrings {
            return Candidates::All;
        }
        let mut postings: SmallVec<[Postings<'_>; 16]> = SmallVec::new();
        let mut padded = Vec::new();
        for part in self.filter.nodes.get(first..first + parts as usize).unwrap_or_default() {
            let Node::Part { kind, form } = part else { continue };
            padded.clear();
            if *kind == PartPosition::Initial {
                padded.push(TRIGRAM_BEGIN);
            }
            padded.extend_from_slice(self.filter.form(*form));
            if *kind == PartPosition::Final {
                padded.push(TRIGRAM_END);
            }
            for three in padded.windows(3) {
                match self.reader.tree().with_trigram(*only, three) {
                    Postings::None => return Candidates::none(),
                    Postings::One(id) => return Candidates::from_ids([id]),
                    many => postings.push(many),
                }
            }
        }
        self.intersection(postings)
    }

    /// sAMAccountName is the name of an account or of a group.
    fn account_name(&self, form: &[u8], ids: &mut SmallVec<[u32; 4]>) {
        let accounts = self.reader.accounts();
        let account = accounts.account_keyed(form).map(|account| account.number);
        let group = accounts.group_keyed(form).map(|group| EntryId::of_group(group.number));
        ids.extend(account.map(EntryId::of_account).into_iter().chain(group).map(EntryId::raw));
    }

    /// userPrincipalName is the name of an account with the provider's domain.
    fn principal_name(&self, form: &[u8], ids: &mut SmallVec<[u32; 4]>) {
        let ending = name_key(&format!("@{}", self.reader.tree().domain()));
        if let Some(name) = form.strip_suffix(ending.as_slice()) {
            let account = self.reader.accounts().account_keyed(name.trim_ascii_end());
            ids.extend(account.map(|account| EntryId::of_account(account.number).raw()));
        }
    }

    fn relation(&self, attribute: AttributeId, target: Option<EntryId>) -> Candidates {
        let Some(target) = target else { return Candidates::none() };
        if attribute == AttributeId::MEMBER_OF {
            return match self.reader.accounts().group_of_entry(target) {
                Some(group) => Candidates::set(&group.members),
                None => Candidates::none(),
            };
        }
        match self.reader.subject(target) {
            Some(Subject::Account(account)) => Candidates::from_ids(
                account
                    .groups
                    .iter()
                    .map(|group| EntryId::of_group(*group).raw())
                    .chain([EntryId::of_virtual_group(account.number).raw()]),
            ),
            Some(Subject::Group(group)) => {
                Candidates::from_ids(group.parents.iter().map(|parent| EntryId::of_group(*parent).raw()))
            }
            _ => Candidates::none(),
        }
    }

    fn chain(&self, attribute: AttributeId, target: Option<EntryId>) -> Candidates {
        let Some(target) = target else { return Candidates::none() };
        let accounts = self.reader.accounts();
        if attribute == AttributeId::MEMBER_OF {
            let Some(group) = accounts.group_of_entry(target) else { return Candidates::none() };
            let mut ids = RoaringBitmap::new();
            for below in accounts.groups_below(group.number) {
                if let Some(below) = accounts.group(below) {
                    self.unite(&below.members, &mut ids);
                }
            }
            return Candidates::bitmap(ids);
        }
        match self.reader.subject(target) {
            Some(Subject::Account(account)) => Candidates::from_ids(
                accounts
                    .groups_of(account)
                    .into_iter()
                    .map(|group| EntryId::of_group(group).raw())
                    .chain([EntryId::of_virtual_group(account.number).raw()]),
            ),
            Some(Subject::Group(group)) => {
                Candidates::from_ids(group.closure.iter().map(|group| EntryId::of_group(*group).raw()))
            }
            _ => Candidates::none(),
        }
    }

    fn posting(&self, postings: Postings<'_>) -> Candidates {
        match postings {
            Postings::None => Candidates::none(),
            Postings::One(id) => Candidates::from_ids([id]),
            Postings::Many(ids) => Candidates::set(ids),
        }
    }

    fn union<'a>(&self, postings: impl Iterator<Item = Postings<'a>>) -> Candidates {
        let mut ids = RoaringBitmap::new();
        for posting in postings {
            match posting {
                Postings::None => {}
                Postings::One(id) => {
                    ids.insert(id);
                }
                Postings::Many(set) => self.unite(set, &mut ids),
            }
        }
        Candidates::bitmap(ids)
    }

    fn unite(&self, ids: &IdSet, into: &mut RoaringBitmap) {
        self.spend(ids.len() as u64);
        ids.union_into(into);
    }

    fn spend(&self, work: u64) {
        self.work.set(self.work.get() + work);
    }

    /// What all postings have in common, the smallest first; stops when few are left.
    fn intersection(&self, mut postings: SmallVec<[Postings<'_>; 16]>) -> Candidates {
        postings.sort_by_key(|posting| match posting {
            Postings::Many(ids) => ids.len(),
            Postings::None | Postings::One(_) => 0,
        });
        let mut sets = postings.into_iter().filter_map(|posting| match posting {
            Postings::Many(ids) => Some(ids),
            Postings::None | Postings::One(_) => None,
        });
        let Some(smallest) = sets.next() else { return Candidates::All };
        if smallest.len() <= FEW {
            return Candidates::set(smallest);
        }
        Candidates::in_common(bitmap_of(smallest), sets)
    }
}

fn bitmap_of(ids: &IdSet) -> RoaringBitmap {
    let mut bitmap = RoaringBitmap::new();
    ids.union_into(&mut bitmap);
    bitmap
}

/// When so many ids were put together, the rest of the filter is not planned for: whoever asks for so much is
/// answered entry by entry, in turns with others. Some ten milliseconds.
/// No limit of the config: beyond it is another way to the same answer; `look_through_max` is the limit.
const WORK_MAX: u64 = 20_000_000;
/// With so few candidates it is cheaper to look at them than to ask another index.
const FEW: usize = 16;
/// The rule by which names of accounts are the same.
const OF_NAMES: MatchingRule = MatchingRule::CaseIgnore;
