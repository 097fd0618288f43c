//! Which entries a search has to look at: the one place that chooses among the indexes.
//!
//! A plan may name too many entries, never too few; the evaluator decides. Only a reader who sees
//! the whole directory is planned for: what the indexes hold is a function of everybody's entries.

use std::cell::Cell;

use roaring::RoaringBitmap;
use smallvec::SmallVec;
use uuid::Uuid;

use super::entry_id::EntryId;
use super::filter::PartPosition;
use super::hash_index::Postings;
use super::id_set::{ARRAY_MAX, IdSet};
use super::prepared::{Node, PreparedFilter, Truth};
use super::reader::{Subject, TreeReader};
use super::tree::{TRIGRAM_BEGIN, TRIGRAM_END};
use super::visibility::Visibility;
use crate::schema::{AttributeId, MatchingRule, steps};

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

    /// Octets that they hold beside themselves; what an index shares with them is the directory's.
    pub(super) fn octets(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Few(ids) if ids.spilled() => size_of::<u32>() * ids.capacity(),
            Self::Few(_) => 0,
            Self::Set(set) => {
                size_of::<CandidateSet>()
                    + match &set.0 {
                        Ids::Index(ids) => ids.octets(),
                        Ids::Bitmap(ids) => ids.serialized_size(),
                    }
            }
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
}

/// Chooses the entries to look at for a reader who sees the whole directory.
pub fn plan(filter: &PreparedFilter, reader: &TreeReader<'_>) -> Plan {
    let planner = Planner { filter, reader, spent: Cell::new(0), tells_hidden: Cell::new(false) };
    let candidates = planner.node(0);
    let (work, tells_hidden) = (planner.spent.get() / IDS_OF_ONE_WORK, planner.tells_hidden.get());
    Plan { candidates, work, tells_hidden }
}

/// What was chosen.
#[derive(Debug)]
pub struct Plan {
    pub candidates: Candidates,
    /// What it has cost to choose, in the unit in which an evaluator counts.
    pub work: u64,
    /// Whether how many candidates there are has to do with values that may be hidden: nobody may be told.
    pub tells_hidden: bool,
}

/// What may be hidden of attributes.
enum Hidden {
    Nothing,
    /// Values that name entries of other trees.
    Names,
    /// The class that allows attributes of which all values are hidden.
    Classes,
}

struct Planner<'a> {
    filter: &'a PreparedFilter,
    reader: &'a TreeReader<'a>,
    /// How many ids were put together, and what costs as much as that.
    spent: Cell<u64>,
    tells_hidden: Cell<bool>,
}

impl Planner<'_> {
    fn node(&self, place: usize) -> Candidates {
        if self.is_spent() {
            return Candidates::All;
        }
        self.spend_on_lookup();
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
                    Ids::Bitmap(ids) => self.keep_common(ids, &mut made),
                },
                Candidates::Few(ids) => self.keep_common(self.bitmap_of_ids(ids), &mut made),
            }
        }
        in_order(&mut indexed);
        let mut indexed = indexed.iter();
        let common = match made {
            Some(common) => common,
            None => match indexed.next() {
                Some(smallest) => self.bitmap_of(smallest),
                None => return Candidates::All,
            },
        };
        self.in_common(common, indexed)
    }

    fn keep_common(&self, ids: RoaringBitmap, made: &mut Option<RoaringBitmap>) {
        match made {
            Some(common) => {
                self.spend(cost_of(common) + cost_of(&ids));
                *common &= ids;
            }
            None => *made = Some(ids),
        }
    }

    /// What `common` and the others have in common; stops when few are left, or when it has done enough: then there are
    /// more to look at.
    fn in_common<'s>(
        &self,
        mut common: RoaringBitmap,
        others: impl Iterator<Item = &'s IdSet>,
    ) -> Candidates {
        for other in others {
            if common.len() <= FEW as u64 || self.is_spent() {
                break;
            }
            self.spend(LOOKUP + cost_of(&common) + other.cost());
            other.intersect_into(&mut common);
        }
        Candidates::bitmap(common)
    }

    fn any(&self, first: usize, items: u32) -> Candidates {
        let mut few: SmallVec<[u32; 4]> = SmallVec::new();
        let mut indexed: SmallVec<[IdSet; 4]> = SmallVec::new();
        let mut many = RoaringBitmap::new();
        for operand in self.filter.operands(first, items) {
            match self.node(operand) {
                Candidates::All => return Candidates::All,
                Candidates::Few(ids) => few.extend(ids),
                Candidates::Set(set) => match set.0 {
                    Ids::Index(ids) => indexed.push(ids),
                    Ids::Bitmap(ids) => {
                        self.spend(cost_of(&many) + cost_of(&ids));
                        many |= ids;
                    }
                },
            }
        }
        in_order(&mut indexed);
        for ids in &indexed {
            if !self.unite(ids, &mut many) {
                return Candidates::All;
            }
        }
        if many.is_empty() && few.len() <= FEW {
            return Candidates::from_ids(few);
        }
        many |= self.bitmap_of_ids(few);
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
        match self.what_is_hidden(subtypes) {
            Hidden::Nothing => {}
            // Entries of which it is hidden are in the index too.
            Hidden::Classes if rule.matches(EXTENSIBLE, form, &mut Vec::new()) => return Candidates::All,
            Hidden::Classes => {}
            Hidden::Names if rule != MatchingRule::DistinguishedName => return Candidates::All,
            Hidden::Names if !self.reader.shows_normal(form) => return Candidates::none(),
            Hidden::Names => {}
        }
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
        // Entries of which all values are hidden are in the index too, and the evaluator leaves them out.
        if matches!(self.what_is_hidden(subtypes), Hidden::Names) {
            self.tells_hidden.set(true);
        }
        let tree = self.reader.tree();
        match subtypes {
            [only] => self.posting(tree.with_attribute(*only)),
            several => self.union(several.iter().map(|id| tree.with_attribute(*id))),
        }
    }

    /// What of these attributes an entry may have that is hidden from who does not see what stands in other trees: of
    /// that the indexes say nothing.
    fn what_is_hidden(&self, subtypes: &[AttributeId]) -> Hidden {
        match self.reader.visibility() {
            Visibility::Full => Hidden::Nothing,
            _ if subtypes.iter().any(|id| self.reader.schema().is_name(*id)) => Hidden::Names,
            _ if subtypes.contains(&AttributeId::OBJECT_CLASS) => Hidden::Classes,
            _ => Hidden::Nothing,
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
                // Those that were looked up are enough for an answer.
                if self.is_spent() {
                    break;
                }
                self.spend_on_lookup();
                match self.reader.tree().with_trigram(*only, three) {
                    Postings::None => return Candidates::none(),
                    Postings::One(id) => return Candidates::from_ids([id]),
                    many => postings.push(many),
                }
            }
        }
        self.intersection(postings)
    }

    /// sAMAccountName is the name of an account, or else of a group.
    fn account_name(&self, form: &[u8], ids: &mut SmallVec<[u32; 4]>) {
        let accounts = self.reader.accounts();
        let account = accounts.account_keyed(form).map(|account| account.number);
        let group = accounts.group_keyed(form).map(|group| EntryId::of_group(group.number));
        ids.extend(account.map(EntryId::of_account).into_iter().chain(group).map(EntryId::raw));
    }

    /// userPrincipalName is the name of an account with the provider's domain: its own, or added.
    fn principal_name(&self, form: &[u8], ids: &mut SmallVec<[u32; 4]>) {
        if let Some(name) = self.reader.tree().before_domain(form) {
            let accounts =
                [form, name].into_iter().filter_map(|name| self.reader.accounts().account_keyed(name));
            ids.extend(accounts.map(|account| EntryId::of_account(account.number).raw()));
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
            Some(Subject::Account(account)) => {
                self.spend(ONE_BY_ONE * account.groups.len() as u64);
                Candidates::from_ids(
                    account
                        .groups
                        .iter()
                        .map(|group| EntryId::of_group(*group).raw())
                        .chain([EntryId::of_virtual_group(account.number).raw()]),
                )
            }
            Some(Subject::Group(group)) => {
                self.spend(ONE_BY_ONE * group.parents.len() as u64);
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
            let below = accounts.groups_below(group.number);
            self.spend(LOOKUP * below.len() as u64);
            for below in below {
                if let Some(below) = accounts.group(below)
                    && !self.unite(&below.members, &mut ids)
                {
                    return Candidates::All;
                }
            }
            return Candidates::bitmap(ids);
        }
        match self.reader.subject(target) {
            Some(Subject::Account(account)) => {
                self.spend(LOOKUP * account.groups.len() as u64);
                let groups = accounts.groups_of(account);
                self.spend(ONE_BY_ONE * groups.len() as u64);
                Candidates::from_ids(
                    groups
                        .into_iter()
                        .map(|group| EntryId::of_group(group).raw())
                        .chain([EntryId::of_virtual_group(account.number).raw()]),
                )
            }
            Some(Subject::Group(group)) => {
                self.spend(ONE_BY_ONE * group.closure.len() as u64);
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
            self.spend_on_lookup();
            match posting {
                Postings::None => {}
                Postings::One(id) => {
                    ids.insert(id);
                }
                Postings::Many(set) => {
                    if !self.unite(set, &mut ids) {
                        return Candidates::All;
                    }
                }
            }
        }
        Candidates::bitmap(ids)
    }

    /// Says whether it did: not, when it has done enough.
    fn unite(&self, ids: &IdSet, into: &mut RoaringBitmap) -> bool {
        if self.is_spent() {
            return false;
        }
        let cost = match ids {
            IdSet::Few(ids) => ONE_BY_ONE * ids.len() as u64,
            IdSet::Many(chunks) => ids.cost() + cost_of(into).min(ARRAY_MAX * chunks.len() as u64),
        };
        self.spend(cost);
        ids.union_into(into);
        true
    }

    fn bitmap_of(&self, ids: &IdSet) -> RoaringBitmap {
        self.spend(ids.cost());
        let mut bitmap = RoaringBitmap::new();
        ids.union_into(&mut bitmap);
        bitmap
    }

    fn bitmap_of_ids(&self, ids: SmallVec<[u32; 4]>) -> RoaringBitmap {
        self.spend(ONE_BY_ONE * ids.len() as u64);
        ids.into_iter().collect()
    }

    fn spend_on_lookup(&self) {
        steps::note(1);
        self.spend(LOOKUP);
    }

    fn spend(&self, ids: u64) {
        self.spent.set(self.spent.get() + ids);
    }

    fn is_spent(&self) -> bool {
        self.spent.get() > SPENT_MAX
    }

    /// What all postings have in common, the smallest first.
    fn intersection(&self, postings: SmallVec<[Postings<'_>; 16]>) -> Candidates {
        let mut sets: SmallVec<[(usize, &IdSet); 16]> = postings
            .into_iter()
            .filter_map(|posting| match posting {
                Postings::Many(ids) => Some((ids.len(), ids)),
                Postings::None | Postings::One(_) => None,
            })
            .collect();
        // The same three octets may stand in a filter many times.
        sets.sort_unstable_by_key(|(count, ids)| (*count, std::ptr::from_ref(*ids)));
        sets.dedup_by(|(_, one), (_, other)| std::ptr::eq(*one, *other));
        let mut sets = sets.into_iter();
        let Some((count, smallest)) = sets.next() else { return Candidates::All };
        if count <= FEW {
            return Candidates::set(smallest);
        }
        self.in_common(self.bitmap_of(smallest), sets.map(|(_, ids)| ids))
    }
}

/// The smallest first, and none twice: the operands of a connective may be the same.
fn in_order(sets: &mut SmallVec<[IdSet; 4]>) {
    sets.sort_by_cached_key(IdSet::len);
    sets.dedup_by(|one, other| one.is_same(other));
}

/// What it costs to put a bitmap together with another, in ids: at most what the arrays or the words of its containers do.
fn cost_of(ids: &RoaringBitmap) -> u64 {
    if ids.len() <= ARRAY_MAX {
        return ids.len();
    }
    ids.len().min(ARRAY_MAX * u64::from(ids.statistics().n_containers))
}

/// When so many ids were put together, the rest of the filter is not planned for: whoever asks for so much is
/// answered entry by entry, in turns with others. Planning is within one turn: about a millisecond.
/// No limit of the config: beyond it is another way to the same answer; `look_through_max` is the limit.
const SPENT_MAX: u64 = 500_000;
/// So many ids are put together in the time of one unit of an evaluator's work.
const IDS_OF_ONE_WORK: u64 = 50;
/// What a question to an index costs, in ids.
const LOOKUP: u64 = 50;
/// What an id costs that is put into a bitmap by itself.
const ONE_BY_ONE: u64 = 8;
/// With so few candidates it is cheaper to look at them than to ask another index.
const FEW: usize = 16;
/// The class of entries with attributes that their other classes do not allow.
const EXTENSIBLE: &[u8] = b"extensibleObject";
/// The rule by which names of accounts are the same.
const OF_NAMES: MatchingRule = MatchingRule::CaseIgnore;
