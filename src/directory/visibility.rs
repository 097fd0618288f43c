//! What a reader may see: everything, or a few named entries.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock};

use super::accounts::name_key;
use super::entry::Entry;
use super::entry_id::EntryId;
use super::snapshot::Snapshot;
use super::tree::{Tree, dn_form};
use crate::model::{ProviderNumber, Revision};
use crate::schema::steps;

/// What a reader may see of one tree. Made by `access`, obeyed by everything in here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// All entries of all trees, and so every value.
    Full,
    /// All entries of this tree; of what stands in others as much as this says.
    Tree(Elsewhere),
    /// The suffix, the containers, and these.
    Own(OwnEntries),
}

/// What a reader of one tree may see of the others, as far as values name what stands there. Of a tree that it does not
/// name nothing is seen.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    trees: Arc<[(ProviderNumber, Visibility)]>,
    /// The last entry with many names that was made for it.
    pub(super) last: Arc<Mutex<Option<LastMade>>>,
    /// How many values were asked whether they are shown, of all that was made for the same reader.
    asked: Arc<AtomicU64>,
    /// Whether no other tree begins in this one, in the first revision that it was asked of.
    is_whole: Arc<OnceLock<(Revision, bool)>>,
}

/// An entry of one tree at one revision, as it is shown; `None`: as it is stored.
#[derive(Debug)]
pub(super) struct LastMade {
    pub(super) of: (Revision, ProviderNumber, EntryId),
    pub(super) entry: Option<Arc<Entry>>,
}

/// The entries of a reader without the right to search the full directory: itself, its virtual
/// group, and the groups that it is in, directly or through nesting.
#[derive(Clone, Debug, Default)]
pub struct OwnEntries {
    entries: Arc<[EntryId]>,
    elsewhere: Elsewhere,
    /// Of which snapshot it is made; `None`: of the one that it is asked about.
    revision: Option<Revision>,
    /// What is known of them in that one, for all clones of this.
    known: Arc<OwnKnown>,
    /// What is known of them in another one, and which that is: a page may be of a directory that is not the newest.
    known_before: OnceLock<(Revision, Arc<OwnKnown>)>,
}

/// What is found once about the entries of such a reader in one snapshot.
#[derive(Debug, Default)]
struct OwnKnown {
    names: OnceLock<OwnNames>,
    /// Each entry as it is shown, in the order of the entries; `None`: as it is stored.
    shown: Box<[OnceLock<Option<Arc<Entry>>>]>,
}

/// By which names such a reader can ask for its entries. They are looked up here and never in the indexes
/// of the tree: what those hold, and so what a look-up costs, is a function of everybody's entries.
#[derive(Clone, Debug)]
pub(super) struct OwnNames {
    /// Normal forms of DNs, sorted.
    by_dn: Vec<(Box<[u8]>, EntryId)>,
    /// The RFC 4518 caseIgnore form of the account's name.
    username: Option<(Vec<u8>, EntryId)>,
}

impl Elsewhere {
    /// What is seen of these trees.
    pub fn new(trees: Vec<(ProviderNumber, Visibility)>) -> Self {
        Self { trees: trees.into(), ..Self::default() }
    }

    /// What is seen of a tree.
    pub fn of(&self, provider: ProviderNumber) -> Option<&Visibility> {
        self.trees.iter().find(|(other, _)| *other == provider).map(|(_, seen)| seen)
    }

    /// The trees that something is seen of.
    pub fn trees(&self) -> &[(ProviderNumber, Visibility)] {
        &self.trees
    }

    fn narrowed(&self, newer: &Self) -> Self {
        if self == newer {
            return self.clone();
        }
        let both = self.trees.iter().filter_map(|(provider, seen)| {
            newer.of(*provider).map(|newer| (*provider, seen.narrowed(newer)))
        });
        Self { asked: Arc::clone(&self.asked), ..Self::new(both.collect()) }
    }
}

impl PartialEq for Elsewhere {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.trees, &other.trees) || self.trees == other.trees
    }
}

impl Eq for Elsewhere {}

impl OwnKnown {
    fn of(entries: &[EntryId]) -> Arc<Self> {
        let shown = entries.iter().map(|_| OnceLock::new()).collect();
        Arc::new(Self { names: OnceLock::new(), shown })
    }
}

impl OwnEntries {
    /// These entries.
    pub fn new(mut entries: Vec<EntryId>) -> Self {
        entries.sort_unstable();
        entries.dedup();
        Self { known: OwnKnown::of(&entries), entries: entries.into(), ..Self::default() }
    }

    /// The same, with what is seen of other trees; before anything of it was asked.
    pub fn with_elsewhere(self, elsewhere: Elsewhere) -> Self {
        Self { elsewhere, ..self }
    }

    /// The same, to be kept for all who look at the snapshot of this revision.
    pub fn kept_for(self, revision: Revision) -> Self {
        Self { revision: Some(revision), ..self }
    }

    /// The entries, ascending; suffix and containers are not among them.
    pub fn as_slice(&self) -> &[EntryId] {
        &self.entries
    }

    /// What is seen of other trees.
    pub fn elsewhere(&self) -> &Elsewhere {
        &self.elsewhere
    }

    /// What `ask` finds among their names in `tree`, the one tree that this is about; they are made when they are first
    /// asked for.
    pub(super) fn among_names<T>(
        &self,
        tree: &Tree,
        snapshot: &Snapshot,
        ask: impl FnOnce(&OwnNames) -> T,
    ) -> T {
        let make = || OwnNames::new(&self.entries, tree, snapshot);
        match self.known(snapshot) {
            Some(known) => ask(known.names.get_or_init(make)),
            None => ask(&make()),
        }
    }

    /// How one of them is shown, once that is known: `None`, as it is stored. There is no place for what is none of them,
    /// and where nothing is kept.
    pub(super) fn shown(&self, id: EntryId, snapshot: &Snapshot) -> Option<&OnceLock<Option<Arc<Entry>>>> {
        let place = self.entries.binary_search(&id).ok()?;
        self.known(snapshot)?.shown.get(place)
    }

    /// `None`: of that snapshot nothing is kept, as something of another one before is.
    fn known(&self, snapshot: &Snapshot) -> Option<&OwnKnown> {
        let revision = snapshot.revision();
        if self.revision.is_none_or(|own| own == revision) {
            return Some(&self.known);
        }
        let (before, known) = self.known_before.get_or_init(|| (revision, OwnKnown::of(&self.entries)));
        (*before == revision).then_some(known)
    }

    /// The same for who sees no more of other trees than this: what of its entries is shown is to be found again.
    fn narrowed_elsewhere(&self, elsewhere: &Elsewhere) -> Self {
        let narrowed = self.elsewhere.narrowed(elsewhere);
        if narrowed == self.elsewhere {
            return self.clone();
        }
        Self::new(self.entries.to_vec()).with_elsewhere(narrowed)
    }

    /// Forgets how its entries are shown, if that takes much memory; says whether it is to be found again.
    fn release(&mut self) -> bool {
        self.known_before = OnceLock::new();
        let made = self.known.shown.iter().filter_map(|shown| shown.get()?.as_ref());
        let is_large = made.map(|entry| entry.octets()).sum::<usize>() > KEPT_OCTETS_MAX;
        if is_large {
            let shown = self.entries.iter().map(|_| OnceLock::new()).collect();
            self.known = Arc::new(OwnKnown { names: self.known.names.clone(), shown });
        }
        is_large
    }
}

impl PartialEq for OwnEntries {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries && self.elsewhere == other.elsewhere
    }
}

impl Eq for OwnEntries {}

impl OwnNames {
    fn new(entries: &[EntryId], tree: &Tree, snapshot: &Snapshot) -> Self {
        let names = entries.iter().filter_map(|id| {
            steps::note(1);
            let entry = tree.entry(*id)?;
            Some((dn_form(entry, snapshot.schema()).into_boxed_slice(), *id))
        });
        let mut by_dn: Vec<_> = names.collect();
        by_dn.sort_unstable();
        let username = entries.iter().find_map(|id| {
            let account = snapshot.accounts().account_of_entry(*id)?;
            Some((name_key(&account.username), *id))
        });
        Self { by_dn, username }
    }

    /// The entry whose DN has this normal form.
    pub(super) fn with_dn(&self, normal: &[u8]) -> Option<EntryId> {
        let place = self.by_dn.binary_search_by(|(own, _)| (**own).cmp(normal)).ok()?;
        self.by_dn.get(place).map(|(_, id)| *id)
    }

    /// The account whose name has this RFC 4518 caseIgnore form.
    pub(super) fn with_username(&self, key: &[u8]) -> Option<EntryId> {
        self.username.as_ref().filter(|(own, _)| own == key).map(|(_, id)| *id)
    }
}

impl Visibility {
    /// The same for a reader for whom is counted there how many values are asked whether they are shown.
    pub fn counted_by(mut self, asked: &Arc<AtomicU64>) -> Self {
        match &mut self {
            Self::Full => {}
            Self::Tree(elsewhere) | Self::Own(OwnEntries { elsewhere, .. }) => {
                elsewhere.asked = Arc::clone(asked);
            }
        }
        self
    }

    /// Whether all that stands below the suffix is of the tree that is looked at: what `ask` says of that revision, kept
    /// where it is asked often.
    pub(super) fn is_whole(&self, revision: Revision, ask: impl Fn() -> bool) -> bool {
        let Self::Tree(elsewhere) = self else { return ask() };
        let (of, is_whole) = elsewhere.is_whole.get_or_init(|| (revision, ask()));
        if *of == revision { *is_whole } else { ask() }
    }

    /// Counts values that were asked whether they are shown.
    pub(super) fn note_asked(&self, values: u64) {
        if let Self::Tree(elsewhere) | Self::Own(OwnEntries { elsewhere, .. }) = self {
            elsewhere.asked.fetch_add(values, Relaxed);
        }
    }

    /// What of this may still be seen by who may now see `newer`: no more than either.
    pub fn narrowed(&self, newer: &Self) -> Self {
        match (self, newer) {
            (_, Self::Full) => self.clone(),
            (Self::Full, _) => newer.clone(),
            (Self::Tree(there), Self::Tree(now)) => Self::Tree(there.narrowed(now)),
            (Self::Tree(there), Self::Own(own)) => Self::Own(own.narrowed_elsewhere(there)),
            (Self::Own(own), Self::Tree(there)) => Self::Own(own.narrowed_elsewhere(there)),
            (Self::Own(own), Self::Own(now)) if own == now => self.clone(),
            (Self::Own(own), Self::Own(now)) => {
                let both = own.entries.iter().filter(|id| now.entries.binary_search(id).is_ok());
                let elsewhere = own.elsewhere.narrowed(&now.elsewhere);
                Self::Own(OwnEntries::new(both.copied().collect()).with_elsewhere(elsewhere))
            }
        }
    }

    /// Whether who sees this and who sees the other see the same entries of the tree, whatever each sees of other trees.
    pub fn sees_the_entries_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Own(own), Self::Own(others)) => own.entries == others.entries,
            (Self::Own(_), _) | (_, Self::Own(_)) => false,
            (Self::Full | Self::Tree(_), Self::Full | Self::Tree(_)) => true,
        }
    }

    /// Keeps nothing large for a connection that is silent; says whether what is shown is to be found again.
    pub fn release(&mut self) -> bool {
        match self {
            Self::Full => false,
            Self::Tree(elsewhere) => {
                elsewhere.last = Arc::default();
                false
            }
            Self::Own(own) => own.release(),
        }
    }

    /// What it costs to make the names ready by which a reader asks for its entries, in the unit in which an evaluator
    /// counts.
    pub fn cost_of_names(&self) -> u64 {
        match self {
            Self::Full | Self::Tree(_) => 0,
            Self::Own(own) => WORK_OF_A_NAME * own.entries.len() as u64,
        }
    }

    /// Whether the entry may be seen.
    pub fn sees(&self, id: EntryId) -> bool {
        match self {
            Self::Full | Self::Tree(_) => true,
            Self::Own(own) => id.is_container() || own.entries.binary_search(&id).is_ok(),
        }
    }
}

/// So much work is it to make the name of an entry ready for comparison.
const WORK_OF_A_NAME: u64 = 8;
/// Octets of entries as they are shown that are kept for a connection that is silent.
/// No limit of the config: what is forgotten is found again.
const KEPT_OCTETS_MAX: usize = 16 * 1024;
