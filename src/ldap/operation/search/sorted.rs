//! Results in an order (RFC 2891) and windows of them: collected, sorted in runs, the runs merged, all in turns with
//! others. A hundred thousand entries sorted at once would hold everybody else for a tenth of a second.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::directory::{Entry, EntryId, OrderOfEntry, OrderTurn, Shown, Snapshot, SortKeys, TreeReader};
use crate::ldap::control::{self, ListViewResult};
use crate::ldap::pages::{
    ORDER_OCTETS_MAX, Order, OrderKey, Pages, Place, SortMemory, finish, visibility_digest,
};
use crate::ldap::result_code::ResultCode;
use crate::ldap::session::Moment;
use crate::net::MemoryHolders;

/// The results of one search on their way into an order.
pub(super) struct Sorted {
    keys: SortKeys,
    key: OrderKey,
    pages: Arc<Pages>,
    /// For whom orders and revisions are kept.
    holders: MemoryHolders,
    /// Where the page before ended.
    before: Option<Place>,
    list_view: Option<ListView>,
    /// Whether the order is for more than one answer.
    is_shared: bool,
    /// What the last entry of the page is sorted by.
    last_order: Vec<u8>,
    /// As long as that is not found.
    ending: Option<OrderOfEntry>,
    phase: Phase,
}

/// A window of the sorted results.
pub(super) struct ListView {
    pub(super) before: u32,
    pub(super) after: u32,
    pub(super) target: ListViewTarget,
}

/// Which entry a window is about.
pub(super) enum ListViewTarget {
    /// The one at this place, from 1, of so many.
    Offset { offset: u32, content_count: u32 },
    /// The first that does not come before these octets of the order.
    AtLeast(Vec<u8>),
}

/// Whether a phase is at its end.
pub(super) enum Progress {
    /// Others have their turn first.
    More,
    Done,
}

/// What became of an entry that was found.
pub(super) enum Taken {
    Whole,
    /// Others have their turn first: it is still the one in [`Sorted::unfinished`].
    Part,
    /// There is no memory for it.
    NoMemory,
}

enum Phase {
    Collecting(Collected),
    Merging(Collected),
    Sending(Sending),
    /// There is no memory for an order.
    GivenUp,
}

/// What was found so far.
struct Collected {
    /// The sort keys, one behind the other.
    octets: Vec<u8>,
    items: Vec<Item>,
    /// The entry of which only a part of the key stands behind those of the items.
    unfinished: Option<(EntryId, OrderOfEntry)>,
    /// Places of items, each run sorted.
    runs: VecDeque<Vec<u32>>,
    /// Items from here on are in no run yet.
    run_start: usize,
    merge: Option<Merge>,
    memory: SortMemory,
}

/// One entry and where its key ends; it begins where the one before ends.
struct Item {
    id: u32,
    key_end: usize,
}

/// Two runs on their way into one.
struct Merge {
    left: Vec<u32>,
    right: Vec<u32>,
    left_next: usize,
    right_next: usize,
    merged: Vec<u32>,
}

struct Sending {
    order: Arc<Order>,
    next: usize,
    end: usize,
    placing: Placing,
    /// The place of a view's target from 1, and the last entry that was sent.
    target: u32,
    last: EntryId,
}

/// How far it is found where to begin.
#[derive(Default)]
struct Placing {
    /// Between which places of the order it is, once the last entry of the page before is known not to be where it was.
    between: Option<(usize, usize)>,
    /// Of the entry that is compared with.
    found: OrderOfEntry,
    octets: Vec<u8>,
}

/// What of the order is asked for.
pub(super) struct Part {
    /// Where the page before ended.
    pub(super) before: Option<Place>,
    pub(super) list_view: Option<ListView>,
    /// Whether the order is kept for the next part.
    pub(super) is_shared: bool,
}

impl Sorted {
    pub(super) fn new(
        keys: SortKeys,
        key: OrderKey,
        pages: Arc<Pages>,
        part: Part,
        holders: MemoryHolders,
        now: Instant,
    ) -> Self {
        let Part { before, list_view, is_shared } = part;
        let known = if is_shared { pages.order(&key, now) } else { None };
        let phase = match known {
            // Where the page begins is found when it is sent.
            Some(order) => Phase::Sending(Sending::unplaced(order)),
            None => Phase::Collecting(Collected {
                octets: Vec::new(),
                items: Vec::new(),
                unfinished: None,
                runs: VecDeque::new(),
                run_start: 0,
                merge: None,
                memory: pages.sort_memory(holders),
            }),
        };
        let (last_order, ending) = (Vec::new(), None);
        Self { keys, key, pages, holders, before, list_view, is_shared, last_order, ending, phase }
    }

    pub(super) fn is_list_view(&self) -> bool {
        self.list_view.is_some()
    }

    /// Whether it goes on behind what was sent in this order.
    pub(super) fn is_later_page(&self) -> bool {
        self.before.is_some()
    }

    pub(super) fn is_collecting(&self) -> bool {
        matches!(self.phase, Phase::Collecting(_))
    }

    pub(super) fn is_given_up(&self) -> bool {
        matches!(self.phase, Phase::GivenUp)
    }

    /// Forgets what was collected.
    pub(super) fn give_up(&mut self) {
        self.phase = Phase::GivenUp;
    }

    /// How many results there are, once that is known.
    pub(super) fn len(&self) -> Option<u32> {
        match &self.phase {
            Phase::Sending(sending) => u32::try_from(sending.order.ids.len()).ok(),
            _ => None,
        }
    }

    /// The entry of which a part was taken.
    pub(super) fn unfinished(&self) -> Option<EntryId> {
        match &self.phase {
            Phase::Collecting(collected) => collected.unfinished.as_ref().map(|(id, _)| *id),
            _ => None,
        }
    }

    /// Forgets what depends on values that may be hidden now, as far as it is not whole.
    pub(super) fn narrow(&mut self) {
        match &mut self.phase {
            Phase::Collecting(collected) => collected.begin_again(),
            Phase::Sending(sending) => sending.placing = Placing::default(),
            Phase::Merging(_) | Phase::GivenUp => {}
        }
        if self.ending.is_some() {
            self.begin_end_of_page();
        }
    }

    /// Forgets the entry of which a part was taken: it is not there any more.
    pub(super) fn forget_unfinished(&mut self) {
        if let Phase::Collecting(collected) = &mut self.phase {
            collected.begin_again();
            collected.unfinished = None;
        }
    }

    /// Takes an entry, until the turn is over.
    pub(super) fn collect(&mut self, own: (EntryId, &Entry), turn: &mut OrderTurn<'_, '_>) -> Taken {
        let Phase::Collecting(collected) = &mut self.phase else { return Taken::Whole };
        let (id, found) = collected.unfinished.get_or_insert_with(|| (own.0, OrderOfEntry::default()));
        let id = id.raw();
        if !self.keys.append(found, own, &mut collected.octets, turn) {
            return Taken::Part;
        }
        collected.unfinished = None;
        let (start, key_end) = (collected.whole_octets(), collected.octets.len());
        if !collected.memory.grow((key_end - start + OCTETS_OF_AN_ITEM) as u64) {
            return Taken::NoMemory;
        }
        collected.items.push(Item { id, key_end });
        if collected.items.len() - collected.run_start >= RUN_ITEMS {
            turn.evaluator.add_work(collected.end_run());
        }
        Taken::Whole
    }

    /// Sorts what was collected since the last time; says what that was in work.
    pub(super) fn end_run(&mut self) -> u64 {
        match &mut self.phase {
            Phase::Collecting(collected) => collected.end_run(),
            _ => 0,
        }
    }

    /// Nothing more comes; says what it was in work to sort the last of it.
    pub(super) fn all_collected(&mut self) -> u64 {
        let work = self.end_run();
        let phase = std::mem::replace(&mut self.phase, Phase::GivenUp);
        self.phase = match phase {
            Phase::Collecting(collected) => Phase::Merging(collected),
            other => other,
        };
        work
    }

    /// Merges runs for a while; when one is left, finds where to begin.
    pub(super) fn merge(&mut self, moment: Moment, turn: &mut OrderTurn<'_, '_>) -> Progress {
        if let Phase::Merging(collected) = &mut self.phase {
            if let Progress::More = collected.merge_some() {
                turn.evaluator.add_work(WORK_OF_A_MERGE);
                return Progress::More;
            }
            let Phase::Merging(collected) = std::mem::replace(&mut self.phase, Phase::GivenUp) else {
                return Progress::Done;
            };
            turn.evaluator.add_work(collected.items.len() as u64 / ITEMS_OF_ONE_WORK);
            let order = collected.into_order();
            // Whose rights have become fewer meanwhile has found too little for who has them again.
            if self.is_shared && visibility_digest(turn.reader.visibility()) == self.key.visibility {
                self.pages.keep_order(self.key, &order, self.holders, moment.instant);
            }
            self.phase = Phase::Sending(Sending::unplaced(order));
        }
        if let Phase::Sending(sending) = &mut self.phase
            && sending.is_unplaced()
        {
            return sending.place(&self.keys, self.before.as_ref(), self.list_view.as_ref(), turn);
        }
        Progress::Done
    }

    /// The next entry to send.
    pub(super) fn peek<'a>(&mut self, reader: &TreeReader<'a>) -> Option<(EntryId, Shown<'a>)> {
        let Phase::Sending(sending) = &mut self.phase else { return None };
        while sending.next < sending.end {
            let id = EntryId::from_raw(*sending.order.ids.get(sending.next)?);
            if let Some(entry) = reader.entry(id) {
                return Some((id, entry));
            }
            sending.next += 1;
        }
        None
    }

    /// Whether all of it was sent.
    pub(super) fn is_over(&mut self, reader: &TreeReader<'_>) -> bool {
        let is_placed = matches!(&self.phase, Phase::Sending(sending) if !sending.is_unplaced());
        is_placed && self.ending.is_none() && self.peek(reader).is_none()
    }

    /// It was sent.
    pub(super) fn advance(&mut self, id: EntryId) {
        if let Phase::Sending(sending) = &mut self.phase {
            sending.next += 1;
            sending.last = id;
        }
    }

    /// The last entry of a page was sent.
    pub(super) fn begin_end_of_page(&mut self) {
        self.last_order.clear();
        self.ending = Some(OrderOfEntry::default());
    }

    /// Whether that of the last entry of a page is being found.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Takes down what the last entry of a page is sorted by, if it was sent.
    pub(super) fn end_page(&mut self, turn: &mut OrderTurn<'_, '_>) -> Progress {
        let Some(found) = &mut self.ending else { return Progress::Done };
        if let Phase::Sending(sending) = &self.phase
            && let Some(entry) = turn.reader.entry(sending.last)
            && !self.keys.append(found, (sending.last, &entry), &mut self.last_order, turn)
        {
            return Progress::More;
        }
        self.ending = None;
        shorten(&mut self.last_order);
        Progress::Done
    }

    /// What the last entry of the page is sorted by, as [`shorten`] leaves it.
    pub(super) fn last_order(&self) -> &[u8] {
        &self.last_order
    }

    /// What is answered to the control of a list view.
    pub(super) fn list_view_answer(
        &self,
        snapshot: &Arc<Snapshot>,
        moment: Moment,
    ) -> Option<(&'static str, Vec<u8>)> {
        self.list_view.as_ref()?;
        let Phase::Sending(sending) = &self.phase else { return None };
        if self.is_shared {
            self.pages.keep(snapshot, self.holders, moment.instant);
        }
        let place = Place { revision: snapshot.revision(), last: sending.last, order: Vec::new() };
        let context_id = self.pages.cookie(&place, &self.key.query, moment.now);
        let count = u32::try_from(sending.order.ids.len()).unwrap_or(u32::MAX);
        let result = ListViewResult::Code(ResultCode::Success);
        Some(control::list_view_response(sending.target, count, result, &context_id))
    }
}

impl Collected {
    /// How many octets are those of whole keys.
    fn whole_octets(&self) -> usize {
        self.items.last().map_or(0, |item| item.key_end)
    }

    /// Begins the key again of which a part stands there.
    fn begin_again(&mut self) {
        self.octets.truncate(self.whole_octets());
        if let Some((_, found)) = &mut self.unfinished {
            *found = OrderOfEntry::default();
        }
    }

    fn key(&self, place: u32) -> (&[u8], u32) {
        let place = place as usize;
        let start =
            place.checked_sub(1).and_then(|before| self.items.get(before)).map_or(0, |item| item.key_end);
        let item = self.items.get(place);
        let key = item.and_then(|item| self.octets.get(start..item.key_end)).unwrap_or_default();
        (key, item.map_or(0, |item| item.id))
    }

    fn end_run(&mut self) -> u64 {
        let end = self.items.len();
        let count = (end - self.run_start) as u64;
        if count == 0 {
            return 0;
        }
        // Memory for sorting is bounded far below so many items.
        let mut run: Vec<u32> = (self.run_start as u32..end as u32).collect();
        run.sort_unstable_by(|left, right| self.key(*left).cmp(&self.key(*right)));
        self.runs.push_back(run);
        self.run_start = end;
        count * u64::from(count.ilog2())
    }

    /// Takes the two runs that are the oldest, hence among the shortest, until one is left.
    fn merge_some(&mut self) -> Progress {
        let mut allowance = MERGED_ITEMS;
        while allowance > 0 {
            let Some(mut merge) = self.merge.take().or_else(|| self.next_merge()) else {
                return Progress::Done;
            };
            while allowance > 0 {
                let (left, right) = (merge.left.get(merge.left_next), merge.right.get(merge.right_next));
                let is_left = match (left, right) {
                    (Some(left), Some(right)) => self.key(*left) <= self.key(*right),
                    (Some(_), None) => true,
                    (None, Some(_)) => false,
                    (None, None) => break,
                };
                let taken = if is_left { left } else { right };
                merge.merged.extend(taken);
                if is_left {
                    merge.left_next += 1;
                } else {
                    merge.right_next += 1;
                }
                allowance -= 1;
            }
            if merge.merged.len() == merge.left.len() + merge.right.len() {
                self.runs.push_back(merge.merged);
            } else {
                self.merge = Some(merge);
            }
        }
        Progress::More
    }

    fn next_merge(&mut self) -> Option<Merge> {
        if self.runs.len() < 2 {
            return None;
        }
        let (left, right) = (self.runs.pop_front()?, self.runs.pop_front()?);
        let merged = Vec::with_capacity(left.len() + right.len());
        Some(Merge { left, right, left_next: 0, right_next: 0, merged })
    }

    fn into_order(mut self) -> Arc<Order> {
        let run = self.runs.pop_front().unwrap_or_default();
        let ids = run.iter().map(|place| self.items.get(*place as usize).map_or(0, |item| item.id)).collect();
        Order::new(ids, self.memory)
    }
}

impl Sending {
    fn unplaced(order: Arc<Order>) -> Self {
        let placing = Placing::default();
        Self { order, next: UNPLACED, end: 0, placing, target: 0, last: EntryId::SUFFIX }
    }

    fn is_unplaced(&self) -> bool {
        self.next == UNPLACED
    }

    /// Finds where to begin and to end.
    fn place(
        &mut self,
        keys: &SortKeys,
        before: Option<&Place>,
        list_view: Option<&ListView>,
        turn: &mut OrderTurn<'_, '_>,
    ) -> Progress {
        let count = self.order.ids.len();
        match (list_view, before) {
            (None, None) => (self.next, self.end) = (0, count),
            (None, Some(before)) => match self.placing.behind(&self.order.ids, before, keys, turn) {
                Some(next) => (self.next, self.end) = (next, count),
                None => return Progress::More,
            },
            (Some(list_view), _) => {
                let target = match &list_view.target {
                    ListViewTarget::AtLeast(octets) => {
                        let is_before = |_, order: Vec<u8>| order.as_slice() < octets.as_slice();
                        match self.placing.partition_point(&self.order.ids, keys, turn, is_before) {
                            Some(before) => before + 1,
                            None => return Progress::More,
                        }
                    }
                    ListViewTarget::Offset { offset, content_count } => {
                        place_of(*offset, *content_count, count)
                    }
                };
                self.target = u32::try_from(target).unwrap_or(u32::MAX);
                let place = target.saturating_sub(1);
                self.next = place.saturating_sub(list_view.before as usize);
                self.end = place.saturating_add(list_view.after as usize).saturating_add(1).min(count);
            }
        }
        Progress::Done
    }
}

/// The place from 1 that a view's offset and count mean: they are a ratio, and where the client knows no count it takes
/// ours.
fn place_of(offset: u32, content_count: u32, count: usize) -> usize {
    let (offset, of) = (u64::from(offset), u64::from(content_count));
    let ours = count as u64;
    let place = match of {
        0 => offset,
        of if of == ours => offset,
        of if offset >= of => ours,
        _ if offset == 1 => 1,
        of => (offset * ours + of / 2) / of,
    };
    usize::try_from(place.clamp(u64::from(count > 0), ours)).unwrap_or(count)
}

impl Placing {
    /// The place behind the last entry of the page before, as it was sorted then: it may be sorted by something else now,
    /// or not be among the results any more. `None`, here and below: others have their turn first.
    fn behind(
        &mut self,
        ids: &[u32],
        before: &Place,
        keys: &SortKeys,
        turn: &mut OrderTurn<'_, '_>,
    ) -> Option<usize> {
        let last = before.last.raw();
        if self.between.is_none() {
            turn.evaluator.add_work(ids.len() as u64 / ITEMS_OF_ONE_WORK);
            if let Some(place) = ids.iter().position(|id| *id == last) {
                let mut order = self.order_of(last, keys, turn)?;
                shorten(&mut order);
                if order == before.order {
                    return Some(place + 1);
                }
            }
        }
        // Those that are alike stand in the order of their ids, if that was all of what they are sorted by; else some of
        // them may come twice, but none is left out.
        let is_whole = before.order.len() <= ORDER_OCTETS_MAX;
        self.partition_point(ids, keys, turn, |id, mut order| {
            shorten(&mut order);
            match beginning(&order).cmp(beginning(&before.order)) {
                Ordering::Less => true,
                Ordering::Equal => is_whole && id <= last,
                Ordering::Greater => false,
            }
        })
    }

    /// How many entries are before: all of those stand before all others.
    fn partition_point(
        &mut self,
        ids: &[u32],
        keys: &SortKeys,
        turn: &mut OrderTurn<'_, '_>,
        is_before: impl Fn(u32, Vec<u8>) -> bool,
    ) -> Option<usize> {
        let (mut low, mut high) = *self.between.get_or_insert((0, ids.len()));
        while low < high {
            let middle = low + (high - low) / 2;
            // It is within the order.
            let id = *ids.get(middle)?;
            if is_before(id, self.order_of(id, keys, turn)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
            self.between = Some((low, high));
        }
        Some(low)
    }

    /// What an entry is sorted by now; nothing when it is not there any more.
    fn order_of(&mut self, id: u32, keys: &SortKeys, turn: &mut OrderTurn<'_, '_>) -> Option<Vec<u8>> {
        let id = EntryId::from_raw(id);
        if let Some(entry) = turn.reader.entry(id)
            && !keys.append(&mut self.found, (id, &entry), &mut self.octets, turn)
        {
            return None;
        }
        self.found = OrderOfEntry::default();
        Some(std::mem::take(&mut self.octets))
    }
}

/// What of it orders by itself, and is no digest.
fn beginning(order: &[u8]) -> &[u8] {
    order.get(..ORDER_OCTETS_MAX).unwrap_or(order)
}

/// Leaves of what an entry is sorted by the first [`ORDER_OCTETS_MAX`] octets, and where there were more a digest of all of
/// it: others may begin alike.
fn shorten(order: &mut Vec<u8>) {
    if order.len() > ORDER_OCTETS_MAX {
        let digest = finish(blake3::Hasher::new().update(order));
        order.truncate(ORDER_OCTETS_MAX);
        order.extend_from_slice(&digest);
    }
}

/// Of `Sending::next`: where to begin is not known yet.
const UNPLACED: usize = usize::MAX;
/// Entries that are sorted at once.
const RUN_ITEMS: usize = 256;
/// What that is in work, at most.
pub(super) const WORK_OF_A_RUN: u64 = RUN_ITEMS as u64 * RUN_ITEMS.ilog2() as u64;
/// Entries that are merged in one turn: some hundred microseconds.
const MERGED_ITEMS: u32 = 1_024;
/// What that is in work.
const WORK_OF_A_MERGE: u64 = 2 * MERGED_ITEMS as u64;
/// So many items are gone through, without what they are sorted by, for one unit of work.
const ITEMS_OF_ONE_WORK: u64 = 16;
/// Octets of an item beside its key, its places in two runs included.
const OCTETS_OF_AN_ITEM: usize = size_of::<Item>() + 2 * size_of::<u32>();
