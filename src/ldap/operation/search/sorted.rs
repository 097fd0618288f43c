//! Results in an order (RFC 2891) and windows of them: collected, sorted in runs, the runs merged, all in turns with
//! others. A hundred thousand entries sorted at once would hold everybody else for a tenth of a second.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::directory::{Entry, EntryId, Shown, Snapshot, SortKeys, TreeReader};
use crate::ldap::control::{self, ListViewResult};
use crate::ldap::memory::Holders;
use crate::ldap::pages::{
    ORDER_OCTETS_MAX, Order, OrderKey, Pages, Place, SortMemory, finish, visibility_digest,
};
use crate::ldap::result_code::ResultCode;
use crate::ldap::session::Moment;

/// The results of one search on their way into an order.
pub(super) struct Sorted {
    keys: SortKeys,
    key: OrderKey,
    pages: Arc<Pages>,
    /// For whom orders and revisions are kept.
    holders: Holders,
    /// Where the page before ended.
    before: Option<Place>,
    list_view: Option<ListView>,
    /// Whether the order is for more than one answer.
    is_shared: bool,
    /// What the last entry of the page is sorted by.
    last_order: Vec<u8>,
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
    More,
    Done,
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
    /// The place of a view's target from 1, and the last entry that was sent.
    target: u32,
    last: EntryId,
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
        holders: Holders,
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
                runs: VecDeque::new(),
                run_start: 0,
                merge: None,
                memory: pages.sort_memory(holders),
            }),
        };
        Self { keys, key, pages, holders, before, list_view, is_shared, last_order: Vec::new(), phase }
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

    /// Takes an entry; says what that was in work, or that there is no memory for it.
    pub(super) fn collect(&mut self, reader: &TreeReader<'_>, id: EntryId, entry: &Entry) -> Option<u64> {
        let Phase::Collecting(collected) = &mut self.phase else { return Some(0) };
        let start = collected.octets.len();
        let mut work = self.keys.append(reader, id, entry, &mut collected.octets);
        let key_end = collected.octets.len();
        if !collected.memory.grow((key_end - start + OCTETS_OF_AN_ITEM) as u64) {
            return None;
        }
        collected.items.push(Item { id: id.raw(), key_end });
        if collected.items.len() - collected.run_start >= RUN_ITEMS {
            work += collected.end_run();
        }
        Some(work)
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
    pub(super) fn merge(&mut self, reader: &TreeReader<'_>, moment: Moment) -> Progress {
        if let Phase::Merging(collected) = &mut self.phase {
            if let Progress::More = collected.merge_some() {
                return Progress::More;
            }
            let Phase::Merging(collected) = std::mem::replace(&mut self.phase, Phase::GivenUp) else {
                return Progress::Done;
            };
            let order = collected.into_order();
            // Whose rights have become fewer meanwhile has found too little for who has them again.
            if self.is_shared && visibility_digest(reader.visibility()) == self.key.visibility {
                self.pages.keep_order(self.key, &order, self.holders, moment.instant);
            }
            self.phase = Phase::Sending(Sending::unplaced(order));
        }
        if let Phase::Sending(sending) = &mut self.phase
            && sending.is_unplaced()
        {
            sending.place(&self.keys, self.before.as_ref(), self.list_view.as_ref(), reader);
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

    /// It was sent.
    pub(super) fn advance(&mut self, id: EntryId) {
        if let Phase::Sending(sending) = &mut self.phase {
            sending.next += 1;
            sending.last = id;
        }
    }

    /// Takes down what the last entry of a page is sorted by; says what that was in work.
    pub(super) fn end_page(&mut self, reader: &TreeReader<'_>, id: EntryId, entry: &Entry) -> u64 {
        self.last_order.clear();
        let work = self.keys.append(reader, id, entry, &mut self.last_order);
        shorten(&mut self.last_order);
        work
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
        Self { order, next: UNPLACED, end: 0, target: 0, last: EntryId::SUFFIX }
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
        reader: &TreeReader<'_>,
    ) {
        let count = self.order.ids.len();
        match (list_view, before) {
            (None, None) => (self.next, self.end) = (0, count),
            (None, Some(before)) => (self.next, self.end) = (self.behind(before, keys, reader), count),
            (Some(list_view), _) => {
                let target = self.target(&list_view.target, keys, reader);
                self.target = u32::try_from(target).unwrap_or(u32::MAX);
                let place = target.saturating_sub(1);
                self.next = place.saturating_sub(list_view.before as usize);
                self.end = place.saturating_add(list_view.after as usize).saturating_add(1).min(count);
            }
        }
    }

    /// The place of a view's target from 1; one more than there are when no entry is it.
    fn target(&self, target: &ListViewTarget, keys: &SortKeys, reader: &TreeReader<'_>) -> usize {
        let count = self.order.ids.len();
        match target {
            ListViewTarget::AtLeast(octets) => {
                let mut own = Vec::new();
                let before = self.order.ids.partition_point(|id| {
                    append_key(keys, reader, EntryId::from_raw(*id), &mut own);
                    own < *octets
                });
                before + 1
            }
            // The client's offset and count are a ratio; where it knows no count it takes ours.
            ListViewTarget::Offset { offset, content_count } => {
                let (offset, of) = (u64::from(*offset), u64::from(*content_count));
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
        }
    }

    /// The place behind the last entry of the page before, as it was sorted then: it may be sorted by something else now,
    /// or not be among the results any more.
    fn behind(&self, before: &Place, keys: &SortKeys, reader: &TreeReader<'_>) -> usize {
        let ids = &self.order.ids;
        let order_of = |id: u32| {
            let mut order = Vec::new();
            append_key(keys, reader, EntryId::from_raw(id), &mut order);
            shorten(&mut order);
            order
        };
        let place = ids.iter().position(|id| *id == before.last.raw());
        if let Some(place) = place
            && order_of(before.last.raw()) == before.order
        {
            return place + 1;
        }
        // Those that are alike stand in the order of their ids, if that was all of what they are sorted by; else some of
        // them may come twice, but none is left out.
        let is_whole = before.order.len() <= ORDER_OCTETS_MAX;
        ids.partition_point(|id| match beginning(&order_of(*id)).cmp(beginning(&before.order)) {
            Ordering::Less => true,
            Ordering::Equal => is_whole && *id <= before.last.raw(),
            Ordering::Greater => false,
        })
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

fn append_key(keys: &SortKeys, reader: &TreeReader<'_>, id: EntryId, out: &mut Vec<u8>) {
    out.clear();
    if let Some(entry) = reader.entry(id) {
        keys.append(reader, id, &entry, out);
    }
}

/// Of `Sending::next`: where to begin is not known yet.
const UNPLACED: usize = usize::MAX;
/// Entries that are sorted at once.
const RUN_ITEMS: usize = 1_024;
/// Entries that are merged in one turn: some hundred microseconds.
const MERGED_ITEMS: u32 = 2_048;
/// What that is in work.
pub(super) const WORK_OF_A_MERGE: u64 = 2 * MERGED_ITEMS as u64;
/// Octets of an item beside its key, its places in two runs included.
const OCTETS_OF_AN_ITEM: usize = size_of::<Item>() + 2 * size_of::<u32>();
