//! An entry as a reader sees it. A value that names an entry which the reader may not see is not there, and neither is what
//! follows from it: whatever is asked of values is asked of this, so that no answer, order, limit or count of work has
//! anything to do with what is hidden.

use std::ops::Deref;
use std::sync::{Arc, PoisonError};

use smallvec::SmallVec;

use super::entry::Entry;
use super::entry_id::EntryId;
use super::reader::TreeReader;
use super::visibility::{Elsewhere, LastMade, Visibility};
use crate::schema::{Schema, steps};

/// An entry with what of it may be seen, and nothing else.
#[derive(Clone, Debug)]
pub enum Shown<'a> {
    /// All of it, or what is kept for the reader.
    Kept(&'a Entry),
    /// Made for this look.
    Made(Arc<Entry>),
}

impl Deref for Shown<'_> {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        match self {
            Self::Kept(entry) => entry,
            Self::Made(entry) => entry,
        }
    }
}

/// Which of an entry's values that name others are shown, as far as that was asked.
#[derive(Debug, Default)]
struct ValuesShown {
    /// In the order of the values.
    shown: SmallVec<[bool; FEW_NAMES]>,
}

impl ValuesShown {
    /// Asks for no more values than `allowance`, and takes them off it; says whether it was asked for all.
    fn go_on(&mut self, reader: &TreeReader<'_>, entry: &Entry, allowance: &mut u64) -> bool {
        for value in entry.names(reader.schema()).skip(self.shown.len()) {
            if *allowance == 0 {
                return false;
            }
            *allowance -= 1;
            self.shown.push(reader.shows_name(value));
        }
        true
    }

    /// The entry as it is shown; `None`: all of it is.
    fn entry(&self, entry: &Arc<Entry>, schema: &Schema) -> Option<Arc<Entry>> {
        if self.shown.iter().all(|is_shown| *is_shown) {
            return None;
        }
        let mut shown = self.shown.iter();
        Some(Arc::new(entry.without(schema, || shown.next().copied().unwrap_or(false))))
    }
}

/// How far it has been found which values of a reader's own entries are shown, in plain numbers.
#[derive(Debug, Default)]
pub struct Finding {
    /// Entries that are done.
    entries: usize,
    values: ValuesShown,
}

impl Finding {
    /// Whether something was found.
    pub fn is_begun(&self) -> bool {
        self.entries > 0 || !self.values.shown.is_empty()
    }
}

impl<'a> TreeReader<'a> {
    /// The entry with what of it may be seen, if it may.
    pub fn entry(&self, id: EntryId) -> Option<Shown<'a>> {
        let stored = self.shared(id)?;
        if !stored.names_others() {
            return Some(Shown::Kept(stored));
        }
        match self.visibility() {
            Visibility::Full => Some(Shown::Kept(stored)),
            Visibility::Tree(elsewhere) => Some(self.made(elsewhere, id, stored)),
            Visibility::Own(own) => Some(match own.shown(id, self.snapshot()) {
                Some(shown) => {
                    Shown::Kept(shown.get_or_init(|| self.shown(stored)).as_deref().unwrap_or(&**stored))
                }
                // The names of containers are seen by all.
                None if id.is_container() => Shown::Kept(stored),
                None => self.shown(stored).map_or(Shown::Kept(stored), Shown::Made),
            }),
        }
    }

    /// Finds which values of the reader's own entries are shown, before any is asked for: about so many values at once.
    /// Says whether all of it is found. What that costs is no work that anything depends on; it is counted apart.
    pub fn find_shown(&self, finding: &mut Finding, allowance: &mut u64) -> bool {
        let Visibility::Own(own) = self.visibility() else { return true };
        let before = *allowance;
        let is_found = steps::apart(|| {
            while let Some(id) = own.as_slice().get(finding.entries) {
                if *allowance == 0 {
                    return false;
                }
                *allowance -= 1;
                if let Some(stored) = self.shared(*id).filter(|stored| stored.names_others())
                    && let Some(shown) = own.shown(*id, self.snapshot()).filter(|shown| shown.get().is_none())
                {
                    if !finding.values.go_on(self, stored, allowance) {
                        return false;
                    }
                    // Somebody else may have found the same.
                    let _ = shown.set(finding.values.entry(stored, self.schema()));
                }
                *finding = Finding { entries: finding.entries + 1, ..Finding::default() };
            }
            true
        });
        self.visibility().note_asked(before - *allowance);
        is_found
    }

    fn shown(&self, stored: &Arc<Entry>) -> Option<Arc<Entry>> {
        steps::apart(|| {
            let mut values = ValuesShown::default();
            values.go_on(self, stored, &mut u64::MAX.clone());
            self.visibility().note_asked(values.shown.len() as u64);
            values.entry(stored, self.schema())
        })
    }

    /// The same for who sees all entries of the tree, of which none is kept but one that has taken long.
    fn made(&self, elsewhere: &Elsewhere, id: EntryId, stored: &'a Arc<Entry>) -> Shown<'a> {
        let shown = |entry: Option<Arc<Entry>>| entry.map_or(Shown::Kept(stored), Shown::Made);
        if stored.names(self.schema()).nth(FEW_NAMES).is_none() {
            return shown(self.shown(stored));
        }
        let of = (self.snapshot().revision(), self.tree().provider().number, id);
        let mut last = elsewhere.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(last) if last.of == of => shown(last.entry.clone()),
            _ => {
                let entry = self.shown(stored);
                *last = Some(LastMade { of, entry: entry.clone() });
                shown(entry)
            }
        }
    }
}

/// So many values that name others are asked for anew at each look.
/// No limit of the config: beyond it is another way to the same outcome.
const FEW_NAMES: usize = 16;
