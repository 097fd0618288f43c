//! Which of the copies of a damaged store are of another history than the rest, of a copy of the store that went on by itself: of two
//! histories together a store would be made that never was. One is gone on with, and what the other is in is told.
//!
//! That is the one of what ends where the store was acknowledged last; then that of a database that is whole, of the checkpoint, of the
//! batches, and of any other database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::outcome::Salvaged;
use crate::model::Revision;
use crate::store::archive::Wreck;
use crate::store::disk::Remains;
use crate::store::history::{Ends, parted_at};
use crate::store::{Meta, journal, ledger, record};

/// What is left out.
#[derive(Default)]
pub(super) struct Others {
    paths: Vec<PathBuf>,
    told: Vec<String>,
}

impl Others {
    /// Leaves it out, and tells of it.
    pub(super) fn leave(
        self,
        checkpoint: &mut Option<(Wreck, Option<Meta>)>,
        database: &mut Remains,
        journal: &mut Vec<(PathBuf, Vec<u8>)>,
        salvaged: &mut Salvaged,
    ) {
        let is_left = |path: &Path| self.paths.iter().any(|left| left == path);
        if self.paths.iter().any(|path| path.ends_with(ledger::CHECKPOINT)) {
            *checkpoint = None;
        }
        if is_left(&database.path) {
            *database = Remains::default();
        }
        journal.retain(|(path, _)| !is_left(path));
        salvaged.sources.extend(self.told);
    }
}

/// Finds what is of another history, in the store at `place`, which was `acknowledged` up to that revision.
pub(super) fn others(
    place: &Path,
    acknowledged: Option<Revision>,
    life: journal::Life,
    checkpoint: Option<&(Wreck, Option<Meta>)>,
    database: &Remains,
    files: &[(PathBuf, Vec<u8>)],
) -> Others {
    let mut pieces = vec![Piece {
        path: database.path.clone(),
        states: database.meta.into_iter().map(|meta| (meta.revision, meta)).collect(),
        items: Items::Database(database),
        rank: if database.is_whole { 0 } else { 3 },
    }];
    pieces.extend(checkpoint.map(|(wreck, meta)| Piece {
        path: ledger::path_in(place).join(ledger::CHECKPOINT),
        states: meta.iter().map(|meta| (meta.revision, *meta)).collect(),
        items: Items::Checkpoint(wreck),
        rank: 1,
    }));
    pieces.extend(files.iter().map(|(path, octets)| Piece::of_batches(path, octets, life)));
    pieces.retain(|piece| !piece.states.is_empty());
    let is_last = |piece: &Piece<'_>| {
        let last = piece.states.last_key_value().map(|(revision, _)| *revision);
        piece.rank < 3 && acknowledged.is_some() && last == acknowledged
    };
    pieces.sort_by_key(|piece| (!is_last(piece), piece.rank));

    let pairs = Pairs::of(&pieces);
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    let (mut kept, mut left): (Vec<usize>, Vec<usize>) = Default::default();
    while !order.is_empty() {
        // What leads on from what is kept comes before what only may.
        let next = order.iter().position(|at| pairs.any_linked(&kept, *at)).unwrap_or_default();
        let at = order.remove(next);
        let Some(piece) = pieces.get(at) else { continue };
        let is_linked = pairs.any_linked(&kept, at);
        let begin = piece.states.first_key_value().map(|(revision, _)| *revision);
        let is_beyond = kept.iter().filter_map(|kept| pieces.get(*kept)).any(is_last) && begin > acknowledged;
        let is_of_others = is_beyond || pairs.any_linked(&left, at);
        if pairs.parted(&kept, at).next().is_none() && (is_linked || !is_of_others) {
            kept.push(at);
        } else {
            left.push(at);
        }
    }
    let mut others = Others::default();
    for at in left {
        let Some(piece) = pieces.get(at) else { continue };
        let path =
            |at: usize| pieces.get(at).map(|piece| piece.path.display().to_string()).unwrap_or_default();
        let parted: Vec<(usize, &str)> = pairs.parted(&kept, at).collect();
        let without: Vec<String> = parted.iter().map(|(at, _)| path(*at)).collect();
        let (reason, without) = match parted.first() {
            Some((_, reason)) => ((*reason).to_owned(), without.join(" and ")),
            None => (
                "nothing that is kept leads to it".to_owned(),
                "what is kept, and without `acknowledged`".to_owned(),
            ),
        };
        others.told.push(format!(
            "{} is left out: it is of a copy of the store that went on by itself, or what is kept is ({reason}); for what is in it \
             salvage a copy of the directory without {without}",
            piece.path.display()
        ));
        others.paths.push(piece.path.clone());
    }
    others
}

/// What is known of two of them, by their places.
#[derive(Default)]
struct Pairs {
    /// Why they are not of one history.
    parted: BTreeMap<(usize, usize), String>,
    /// They are, and nothing is missing between them.
    linked: BTreeSet<(usize, usize)>,
}

impl Pairs {
    fn of(pieces: &[Piece<'_>]) -> Self {
        let mut pairs = Self::default();
        for (number, one) in pieces.iter().enumerate() {
            for (other_number, other) in pieces.iter().enumerate().skip(number + 1) {
                match one.parted(other) {
                    Some(reason) => {
                        pairs.parted.insert((number, other_number), reason);
                    }
                    None if one.touches(other) => {
                        pairs.linked.insert((number, other_number));
                    }
                    None => {}
                }
            }
        }
        pairs
    }

    fn any_linked(&self, others: &[usize], at: usize) -> bool {
        others.iter().any(|other| self.linked.contains(&(at.min(*other), at.max(*other))))
    }

    /// Those of the others that this one is parted from.
    fn parted<'a>(
        &'a self,
        others: &'a [usize],
        at: usize,
    ) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
        others
            .iter()
            .filter_map(move |other| Some((*other, &**self.parted.get(&(at.min(*other), at.max(*other)))?)))
    }
}

/// One of the copies, or a file of one.
struct Piece<'a> {
    path: PathBuf,
    /// What it says of the store, at each revision of which it does.
    states: BTreeMap<Revision, Meta>,
    items: Items<'a>,
    /// The less, the sooner it is gone on with.
    rank: u8,
}

/// Where events are looked for.
enum Items<'a> {
    Database(&'a Remains),
    Checkpoint(&'a Wreck),
    /// The items of events in batches.
    Batches(Vec<(&'a [u8], &'a [u8])>),
}

impl<'a> Piece<'a> {
    fn of_batches(path: &Path, octets: &'a [u8], life: journal::Life) -> Self {
        let (mut states, mut events) = (BTreeMap::new(), Vec::new());
        journal::salvage(path, octets, life, |revision, key, value| {
            let Some(value) = value else { return };
            if key == record::meta_key() {
                let described = record::decode_meta(value).ok().filter(|meta| meta.revision == revision);
                states.extend(described.map(|meta| (revision, meta)));
            } else if record::is_event(key) {
                events.push((key, value));
            }
        });
        Self { path: path.to_owned(), states, items: Items::Batches(events), rank: 2 }
    }

    /// Why two of them are not of one history; `None`: they are, or nothing tells.
    fn parted(&self, other: &Self) -> Option<String> {
        let mut both = self.states.iter().filter_map(|(at, meta)| Some((meta, other.states.get(at)?)));
        both.find_map(|(one, other)| parted_at(one, other))
            .or_else(|| self.parted_from_later(other))
            .or_else(|| other.parted_from_later(self))
    }

    /// The same where the other one goes on behind some revision of this one.
    fn parted_from_later(&self, later: &Self) -> Option<String> {
        let (begin, described) = later.states.first_key_value()?;
        let (_, before) = self.states.range(..*begin).next_back()?;
        let mut ends = Ends::of(before);
        match &later.items {
            Items::Database(remains) => {
                for (from, end) in ends.keys() {
                    remains.range(&from, &end).for_each(|(key, value)| ends.take(&key, &value));
                }
            }
            Items::Checkpoint(wreck) => wreck.items().for_each(|(key, value)| ends.take(&key, &value)),
            Items::Batches(events) => events.iter().for_each(|(key, value)| ends.take(key, value)),
        }
        ends.parted(described)
    }

    /// Whether one is at a revision of the other, or right before or behind one.
    fn touches(&self, other: &Self) -> bool {
        self.states
            .keys()
            .any(|at| other.states.range(at.saturating_sub(1)..=at.saturating_add(1)).next().is_some())
    }
}
