//! A search from batch to batch, and its end.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::gate::OperationRefusal;
use super::SearchLimits;
use super::sorted::{Progress, Sorted, Taken, WORK_OF_A_RUN};
use crate::access::{Denied, Entitlements, Identity, authorise};
use crate::config::Limit;
use crate::directory::{
    Entry, EntryId, Evaluator, LongLook, Looked, OrderTurn, PreparedFilter, Shown, Snapshot, Step, Tree,
    TreeReader, Truth, Visibility, WORK_AT_ONCE, Walk,
};
use crate::ldap::control::{self, ListViewResult};
use crate::ldap::entry_writer::{LargeEntry, Piece, Projection, Room, is_large, write_entry};
use crate::ldap::memory::Output;
use crate::ldap::pages::{Pages, Place, QueryDigest};
use crate::ldap::response::{self, Outcome, ResponseControls};
use crate::ldap::result_code::ResultCode;
use crate::ldap::session::{Asked, Moment};
use crate::net::{MemoryHolder, MemoryHolders, Share};

/// A search that has more to answer. It holds the snapshot that all of its answer comes from.
pub(in crate::ldap) struct RunningSearch {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) tree: Arc<Tree>,
    pub(super) visibility: Visibility,
    pub(super) search: Search,
    /// What the request takes.
    pub(super) octets: usize,
    pub(super) memory: Option<Share<MemoryHolder>>,
    /// When it was last asked what may be seen.
    pub(super) asked: Asked,
}

/// What a search needs from one batch to the next.
pub(super) struct Search {
    pub(super) message_id: i32,
    pub(super) filter: PreparedFilter,
    pub(super) walk: Walk,
    pub(super) projection: Projection,
    /// The entry that is being written in pieces.
    pub(super) large: Option<Box<LargeEntry>>,
    /// The entry that is being looked at in pieces, and how far that has come.
    pub(super) looking: Option<(EntryId, Box<LongLook>)>,
    /// An entry that is to be looked at again, as less may be seen than when it was.
    pub(super) again: Option<EntryId>,
    pub(super) sent: u32,
    pub(super) last_sent: EntryId,
    pub(super) limits: SearchLimits,
    /// What is answered, if it stands in no tree.
    pub(super) standalone: Option<Arc<Entry>>,
    /// Whether nothing more is to be sent, whatever matches.
    pub(super) is_empty: bool,
    pub(super) page: Option<Page>,
    /// The order in which it is answered; `None`: that of the ids.
    pub(super) sorted: Option<Box<Sorted>>,
    /// What is answered to a sort control.
    pub(super) sort_answer: Option<SortAnswer>,
    /// Whether it must fail when it cannot be sorted.
    pub(super) is_sort_critical: bool,
    /// Whether there was no memory left for the order.
    pub(super) is_order_given_up: bool,
}

/// One page of a paged search.
pub(super) struct Page {
    /// Entries of it.
    pub(super) size: u32,
    /// Whether the server or a role lets it be no larger.
    pub(super) is_size_ours: bool,
    /// How many entries there may be in all; 0: unknown.
    pub(super) estimate: u32,
    /// What cookies are bound to.
    pub(super) query: QueryDigest,
    pub(super) pages: Arc<Pages>,
    /// Whether the revision is kept for the next page, and for whom.
    pub(super) is_shared: bool,
    pub(super) holders: MemoryHolders,
}

/// What is answered to a sort control.
#[derive(Clone, Debug)]
pub(super) struct SortAnswer {
    pub(super) code: ResultCode,
    /// The attribute that cannot be sorted by.
    pub(super) attribute: Option<String>,
}

impl SortAnswer {
    pub(super) const SORTED: Self = Self { code: ResultCode::Success, attribute: None };

    pub(super) fn control(&self) -> (&'static str, Vec<u8>) {
        control::sort_response(self.code, self.attribute.as_deref())
    }
}

/// How a batch ended.
pub(super) enum Batch {
    /// There is more.
    More,
    /// The search has ended.
    Done(End),
}

/// How a search ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ldap) enum End {
    /// That was all.
    Complete,
    /// The page is full and there are more; this entry was the last.
    Page(EntryId),
    /// There is more than may be sent.
    SizeLimit,
    /// It took too long.
    TimeLimit,
    /// No index helps, and too many entries would have to be looked at.
    LookThrough,
    /// One entry has too many values for so large a filter.
    FilterWork,
    /// It must be sorted, and there is no memory for that.
    SortMemory,
    /// It goes on behind a page that was sorted, and there is no memory for that.
    PageMemory,
    /// It is a list view, and there is no memory to sort it.
    ViewMemory,
}

impl End {
    pub(super) const fn code(self) -> ResultCode {
        match self {
            Self::Complete | Self::Page(_) => ResultCode::Success,
            Self::SizeLimit => ResultCode::SizeLimitExceeded,
            Self::TimeLimit => ResultCode::TimeLimitExceeded,
            Self::LookThrough | Self::FilterWork | Self::PageMemory => ResultCode::AdminLimitExceeded,
            Self::SortMemory => ResultCode::UnavailableCriticalExtension,
            Self::ViewMemory => ResultCode::VirtualListViewError,
        }
    }

    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Complete | Self::Page(_) | Self::SizeLimit | Self::TimeLimit => "",
            Self::LookThrough => "no index helps this filter, and it would have to look at too many entries",
            Self::FilterWork => "the filter would have to look at too many values of one entry",
            Self::SortMemory | Self::PageMemory | Self::ViewMemory => {
                "there are too many entries to sort them"
            }
        }
    }
}

impl RunningSearch {
    /// The message ID of the request.
    pub(in crate::ldap) fn message_id(&self) -> i32 {
        self.search.message_id
    }

    /// Whether part of an entry has left, so that nothing else may before the rest of it.
    pub(in crate::ldap) fn is_within_entry(&self) -> bool {
        self.search.is_within_entry()
    }

    /// Asks again what may be seen, if the directory has changed or a second is over since it was asked.
    ///
    /// # Errors
    /// Why nothing may be seen any more.
    pub(in crate::ldap) fn review(
        &mut self,
        newest: &Snapshot,
        identity: Option<&Identity>,
        source: Option<IpAddr>,
        moment: Moment,
        entitlements: &mut Entitlements,
    ) -> Result<(), Denied> {
        let now = Asked::now(newest, moment);
        // What stands in no tree is for everybody.
        if self.asked == now || self.search.standalone.is_some() {
            return Ok(());
        }
        self.asked = now;
        let provider = self.tree.provider().number;
        let now_seen = authorise(newest, identity, provider, source, moment.now, entitlements)?;
        let visibility = self.visibility.narrowed(&now_seen);
        if visibility != self.visibility {
            let [before, now] =
                [&self.visibility, &visibility].map(|seen| TreeReader::new(&self.snapshot, &self.tree, seen));
            if !self.search.may_go_on(&before, &now) {
                return Err(Denied::OtherProvider);
            }
            self.visibility = visibility;
            self.search.narrow(&TreeReader::new(&self.snapshot, &self.tree, &self.visibility));
        }
        Ok(())
    }

    /// Ends it because nothing may be seen any more.
    pub(in crate::ldap) fn refuse(self, denied: &Denied, output: &mut Vec<u8>) {
        self.refuse_with(&super::super::gate::denied(denied), output);
    }

    /// Ends it with a refusal.
    pub(in crate::ldap) fn refuse_with(self, refusal: &OperationRefusal, output: &mut Vec<u8>) {
        response::search_result_done(output, self.search.message_id, &refusal.outcome(), &[]);
    }

    /// Octets that it holds now: what it looks at in pieces takes the more the longer that goes on.
    pub(in crate::ldap) fn octets(&self) -> usize {
        self.octets + self.search.octets_of_looks()
    }

    /// Where those are counted.
    pub(in crate::ldap) fn memory(&mut self) -> &mut Option<Share<MemoryHolder>> {
        &mut self.memory
    }

    /// Answers one more batch; says how it ended, if it did.
    pub(in crate::ldap) fn turn(
        &mut self,
        evaluator: &mut Evaluator,
        mut output: Output<'_>,
        moment: Moment,
    ) -> Option<End> {
        let reader = TreeReader::new(&self.snapshot, &self.tree, &self.visibility);
        match self.search.batch(evaluator, &reader, &mut output, moment) {
            Batch::More => None,
            Batch::Done(end) => {
                self.search.finish(end, &self.snapshot, output.octets, moment);
                Some(end)
            }
        }
    }

    /// The limits of ours that it has reached, when it ended so.
    pub(in crate::ldap) fn limits_reached(&self, end: End) -> impl Iterator<Item = Limit> {
        self.search.limits_reached(end)
    }

    /// Ends it with another code than its own (RFC 3909).
    pub(in crate::ldap) fn cancel(self, output: &mut Vec<u8>) {
        let outcome = Outcome::new(ResultCode::Canceled, "");
        response::search_result_done(output, self.search.message_id, &outcome, &[]);
    }
}

/// What was found out about the next entry in scope.
enum Found<'a> {
    /// It matches.
    Entry(EntryId, Shown<'a>),
    /// It does not.
    Nothing,
    /// So much was done that others have their turn.
    Rest,
    /// The walk or the search is at its end.
    End(End),
}

impl Search {
    /// A search without controls of which nothing is answered yet.
    pub(super) fn new(
        message_id: i32,
        filter: PreparedFilter,
        walk: Walk,
        projection: Projection,
        limits: SearchLimits,
    ) -> Self {
        Self {
            message_id,
            filter,
            walk,
            projection,
            large: None,
            looking: None,
            again: None,
            sent: 0,
            last_sent: EntryId::SUFFIX,
            limits,
            standalone: None,
            is_empty: false,
            page: None,
            sorted: None,
            sort_answer: None,
            is_sort_critical: false,
            is_order_given_up: false,
        }
    }

    /// Octets that it holds while it goes on, but for [`Search::octets_of_looks`]; what its order takes is counted by
    /// itself.
    pub(super) fn octets(&self) -> usize {
        let values = self.projection.values.as_ref().map_or(0, |values| values.octets());
        size_of::<RunningSearch>()
            + self.filter.octets()
            + self.walk.octets()
            + self.projection.selection.octets()
            + values
    }

    /// Octets of the entry that it looks at or writes in pieces.
    pub(super) fn octets_of_looks(&self) -> usize {
        let looking = self.looking.as_ref().map_or(0, |(_, look)| look.octets());
        looking + self.large.as_ref().map_or(0, |large| large.octets())
    }

    /// Looks at the next entries, until the output or the work of one turn is enough.
    pub(super) fn batch(
        &mut self,
        evaluator: &mut Evaluator,
        reader: &TreeReader<'_>,
        output: &mut Output<'_>,
        moment: Moment,
    ) -> Batch {
        if moment.instant >= self.limits.deadline && !self.is_within_entry() {
            return Batch::Done(if self.is_over(reader) { End::Complete } else { End::TimeLimit });
        }
        if let Some(id) = self.again.take() {
            match self.look(evaluator, reader, id) {
                Found::Nothing => {}
                Found::Entry(id, entry) => self.send(id, &entry, reader, output, evaluator),
                Found::Rest => {
                    self.again = Some(id);
                    return Batch::More;
                }
                Found::End(end) => return Batch::Done(end),
            }
        }
        if let Some(batch) = self.write_on(evaluator, reader, output) {
            return batch;
        }
        if self.is_empty {
            return Batch::Done(End::Complete);
        }
        match self.sorted.take() {
            None => self.send_found(evaluator, reader, output),
            Some(mut sorted) => {
                let batch = self.send_sorted(&mut sorted, evaluator, reader, output, moment);
                // Without memory for an order it is given up.
                if !sorted.is_given_up() {
                    self.sorted = Some(sorted);
                }
                batch
            }
        }
    }

    /// The limits of ours that it has reached, when it ended so; those of the client's own are its own affair.
    pub(super) fn limits_reached(&self, end: End) -> impl Iterator<Item = Limit> {
        let limit = match end {
            End::Complete => None,
            End::Page(_) => {
                let is_ours = self.page.as_ref().is_some_and(|page| page.is_size_ours);
                is_ours.then_some(Limit::search_size_max)
            }
            End::SizeLimit => self.limits.is_size_ours.then_some(Limit::search_size_max),
            End::TimeLimit => self.limits.is_time_ours.then_some(Limit::search_time_max),
            End::LookThrough => Some(Limit::look_through_max),
            End::FilterWork => Some(Limit::filter_work_max),
            End::SortMemory | End::PageMemory | End::ViewMemory => None,
        };
        // It may have been given up on the way, and the search has gone on without an order.
        limit.into_iter().chain(self.is_order_given_up.then_some(Limit::sort_memory_max))
    }

    /// Appends the final response, with what is answered to the controls.
    pub(super) fn finish(&self, end: End, snapshot: &Arc<Snapshot>, output: &mut Vec<u8>, moment: Moment) {
        let mut controls = ResponseControls::default();
        let is_answered =
            matches!(end, End::Complete | End::Page(_) | End::SizeLimit | End::SortMemory | End::PageMemory);
        if is_answered && let Some(answer) = &self.sort_answer {
            controls.push(answer.control());
        }
        if let Some(page) = &self.page {
            let cookie = match end {
                End::Page(last) => {
                    if page.is_shared {
                        page.pages.keep(snapshot, page.holders, moment.instant);
                    }
                    let order = self.sorted.as_ref().map(|sorted| sorted.last_order().to_vec());
                    let place =
                        Place { revision: snapshot.revision(), last, order: order.unwrap_or_default() };
                    page.pages.cookie(&place, &page.query, moment.now)
                }
                _ => Vec::new(),
            };
            let estimate = self.sorted.as_ref().and_then(|sorted| sorted.len()).unwrap_or(page.estimate);
            controls.push(control::paged_response(estimate, &cookie));
        }
        if let Some(answer) =
            self.sorted.as_ref().and_then(|sorted| sorted.list_view_answer(snapshot, moment))
        {
            controls.push(answer);
        } else if self.is_empty && self.sorted.as_ref().is_some_and(|sorted| sorted.is_list_view()) {
            let result = ListViewResult::Code(ResultCode::Success);
            controls.push(control::list_view_response(0, 0, result, b""));
        } else if end == End::ViewMemory {
            let result = ListViewResult::Code(ResultCode::AdminLimitExceeded);
            controls.push(control::list_view_response(0, 0, result, b""));
        }
        let outcome = Outcome::new(end.code(), end.sentence());
        response::search_result_done(output, self.message_id, &outcome, &controls.as_controls());
    }

    /// Sends entries as they are found.
    fn send_found(
        &mut self,
        evaluator: &mut Evaluator,
        reader: &TreeReader<'_>,
        output: &mut Output<'_>,
    ) -> Batch {
        let work_enough = evaluator.work() + WORK_AT_ONCE;
        let mut allowance = BATCH_ENTRIES;
        loop {
            match self.next(evaluator, reader, &mut allowance) {
                Found::Rest => return Batch::More,
                Found::End(end) => return Batch::Done(end),
                Found::Nothing => {}
                Found::Entry(id, entry) => {
                    if let Some(end) = self.is_full() {
                        return Batch::Done(end);
                    }
                    self.send(id, &entry, reader, output, evaluator);
                }
            }
            if output.is_enough() || evaluator.work() >= work_enough || self.large.is_some() {
                return Batch::More;
            }
        }
    }

    /// Collects what is found, puts it in order, sends it in that order: each for a while.
    fn send_sorted(
        &mut self,
        sorted: &mut Sorted,
        evaluator: &mut Evaluator,
        reader: &TreeReader<'_>,
        output: &mut Output<'_>,
        moment: Moment,
    ) -> Batch {
        // What was collected is sorted in the same turn.
        let enough = evaluator.work() + WORK_AT_ONCE - WORK_OF_A_RUN;
        let turn = &mut OrderTurn { reader, evaluator, enough };
        let mut allowance = BATCH_ENTRIES;
        while sorted.is_collecting() {
            let found = match sorted.unfinished() {
                None => self.next(turn.evaluator, reader, &mut allowance),
                Some(id) => match reader.entry(id) {
                    Some(entry) => Found::Entry(id, entry),
                    None => {
                        sorted.forget_unfinished();
                        Found::Nothing
                    }
                },
            };
            match found {
                Found::Nothing => {}
                Found::Rest => return Batch::More,
                Found::End(End::Complete) => turn.evaluator.add_work(sorted.all_collected()),
                Found::End(end) => return Batch::Done(end),
                Found::Entry(id, entry) => match sorted.collect((id, &entry), turn) {
                    Taken::Whole => {}
                    Taken::Part => return Batch::More,
                    Taken::NoMemory => return self.without_memory(sorted),
                },
            }
            if turn.is_over() {
                turn.evaluator.add_work(sorted.end_run());
                return Batch::More;
            }
        }
        if let Progress::More = sorted.merge(moment, turn) {
            return Batch::More;
        }
        if let Progress::More = sorted.end_page(turn) {
            return Batch::More;
        }
        while let Some((id, entry)) = sorted.peek(reader) {
            if let Some(end) = self.is_full() {
                return Batch::Done(end);
            }
            sorted.advance(id);
            self.send(id, &entry, reader, output, turn.evaluator);
            if self.page.as_ref().is_some_and(|page| page.size == self.sent) {
                sorted.begin_end_of_page();
                if let Progress::More = sorted.end_page(turn) {
                    return Batch::More;
                }
            }
            if output.is_enough() || turn.is_over() || self.large.is_some() {
                return Batch::More;
            }
        }
        Batch::Done(End::Complete)
    }

    /// Fails, or begins anew without an order (RFC 2891 section 2, cases 3 and 4).
    fn without_memory(&mut self, sorted: &mut Sorted) -> Batch {
        sorted.give_up();
        self.is_order_given_up = true;
        self.sort_answer = Some(SortAnswer { code: ResultCode::AdminLimitExceeded, attribute: None });
        if sorted.is_list_view() {
            Batch::Done(End::ViewMemory)
        } else if self.is_sort_critical {
            Batch::Done(End::SortMemory)
        } else if sorted.is_later_page() {
            Batch::Done(End::PageMemory)
        } else {
            self.walk.restart();
            Batch::More
        }
    }

    fn next<'a>(
        &mut self,
        evaluator: &mut Evaluator,
        reader: &TreeReader<'a>,
        allowance: &mut u32,
    ) -> Found<'a> {
        // One that is begun is gone on with.
        if let Some((id, _)) = self.looking {
            return self.look(evaluator, reader, id);
        }
        let id = match self.walk.next_within(reader, allowance) {
            Step::Entry(id) => id,
            Step::Paused => return Found::Rest,
            Step::End => return Found::End(End::Complete),
        };
        if self.walk.is_unindexed()
            && self.limits.look_through_max.is_some_and(|limit| self.walk.examined() > limit)
        {
            return Found::End(End::LookThrough);
        }
        self.look(evaluator, reader, id)
    }

    /// Looks whether an entry matches, for as long as one turn lasts.
    fn look<'a>(&mut self, evaluator: &mut Evaluator, reader: &TreeReader<'a>, id: EntryId) -> Found<'a> {
        let begun = self.looking.take().map(|(_, begun)| begun);
        let Some(entry) = reader.entry(id) else { return Found::Nothing };
        match evaluator.look(&self.filter, reader, id, &entry, begun) {
            Looked::Truth(Truth::True) => Found::Entry(id, entry),
            Looked::Truth(_) => Found::Nothing,
            Looked::More(begun) => {
                self.looking = Some((id, begun));
                Found::Rest
            }
            Looked::TooMuch => Found::End(End::FilterWork),
        }
    }

    /// Whether one more entry is one too many, and how the search ends with that.
    fn is_full(&self) -> Option<End> {
        if self.limits.size_max == Some(self.sent) {
            return Some(End::SizeLimit);
        }
        let page = self.page.as_ref()?;
        (page.size == self.sent).then_some(End::Page(self.last_sent))
    }

    /// Writes an entry, or begins to: one that is large is written in the turns that follow.
    fn send(
        &mut self,
        id: EntryId,
        entry: &Entry,
        reader: &TreeReader<'_>,
        output: &mut Output<'_>,
        evaluator: &mut Evaluator,
    ) {
        if is_large(reader, id, entry, &self.projection, |octets| output.has_room(octets)) {
            self.large = Some(Box::new(LargeEntry::new(reader, id, entry, &self.projection, evaluator)));
        } else {
            write_entry(output.octets, self.message_id, reader, id, entry, &self.projection, evaluator);
        }
        self.sent += 1;
        self.last_sent = id;
    }

    /// Goes on with an entry that is large, if there is one; says how the batch ends with it.
    fn write_on(
        &mut self,
        evaluator: &mut Evaluator,
        reader: &TreeReader<'_>,
        output: &mut Output<'_>,
    ) -> Option<Batch> {
        let mut large = self.large.take()?;
        let entry = match &self.standalone {
            Some(entry) => Shown::Made(Arc::clone(entry)),
            None => reader.entry(large.id)?,
        };
        let (octets, work) = (output.enough(), evaluator.work() + WORK_AT_ONCE);
        let mut room = Room { output: output.octets, octets, work, message_id: self.message_id };
        let is_begun = large.is_begun();
        match large.go_on(reader, &entry, &self.projection, evaluator, &mut room) {
            // Nothing was read from the client meanwhile: perhaps it wants no more.
            Piece::Whole => is_begun.then_some(Batch::More),
            Piece::TooMuch => Some(Batch::Done(End::FilterWork)),
            Piece::More => {
                self.large = Some(large);
                Some(Batch::More)
            }
        }
    }

    /// Whether nothing is left to find, as far as one look tells: an answer that is whole is one, though its time is over.
    fn is_over(&mut self, reader: &TreeReader<'_>) -> bool {
        if self.again.is_some() || self.large.is_some() || self.looking.is_some() {
            return false;
        }
        let mut allowance = BATCH_ENTRIES;
        match &mut self.sorted {
            _ if self.is_empty => true,
            None => matches!(self.walk.next_within(reader, &mut allowance), Step::End),
            Some(sorted) => sorted.is_over(reader),
        }
    }

    fn is_within_entry(&self) -> bool {
        self.large.as_ref().is_some_and(|large| large.is_begun())
    }

    /// Whether what is begun can be brought to its end for a reader who sees less. The entry of which part has left, if there is
    /// one, must be the same: it was measured with what was seen before. Whoever sees the same entries of the tree sees the
    /// same computed values.
    fn may_go_on(&self, before: &TreeReader<'_>, now: &TreeReader<'_>) -> bool {
        // Where its page ends is what that entry is sorted by.
        let is_ending = self.sorted.as_ref().is_some_and(|sorted| sorted.is_ending());
        if is_ending && now.entry(self.last_sent).is_none() {
            return false;
        }
        let Some(large) = self.large.as_ref().filter(|large| large.is_begun()) else { return true };
        let follows = self.projection.values.as_ref().is_some_and(|values| values.follows_values());
        let is_same = || match (before.entry(large.id), now.entry(large.id)) {
            (Some(before), Some(now)) => before.is_same(&now),
            _ => false,
        };
        !follows && before.visibility().sees_the_entries_of(now.visibility()) && is_same()
    }

    /// Goes on for a reader who sees less: an entry that was only measured so far is looked at again.
    fn narrow(&mut self, reader: &TreeReader<'_>) {
        self.walk.narrow(reader);
        // What was found so far may be what is hidden now.
        if let Some((_, begun)) = &mut self.looking {
            **begun = LongLook::default();
        }
        if let Some(sorted) = &mut self.sorted {
            sorted.narrow();
        }
        if let Some(large) = self.large.take_if(|large| !large.is_begun()) {
            self.again = Some(large.id);
            self.sent = self.sent.saturating_sub(1);
        }
    }
}

/// So many entries are looked at in one turn: some hundred microseconds.
const BATCH_ENTRIES: u32 = 512;
