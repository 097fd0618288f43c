//! Search (RFC 4511 section 4.5): the hot path. Snapshot → view → base → filter → candidates → match
//! → write, without a lock and without waiting between the first candidate and the end of a batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::refusal::{Refusal, Target, find, tree_and_view};
use crate::directory::{
    Entry, EntryId, Evaluator, PreparedFilter, Reader, Scope, Snapshot, Step, Tree, Visibility, Walk,
};
use crate::ldap::entry_writer::{Projection, write_entry};
use crate::ldap::message::SearchRequest;
use crate::ldap::response::{self, Outcome};
use crate::ldap::result_code::ResultCode;
use crate::ldap::root_dse;
use crate::ldap::selection::Selection;
use crate::ldap::session::{Clock, Context, Session};

/// A search that has more to answer. It holds the snapshot that all of its answer comes from.
pub(in crate::ldap) struct RunningSearch {
    snapshot: Arc<Snapshot>,
    tree: Arc<Tree>,
    visibility: Visibility,
    search: Search,
}

/// What a search needs from one batch to the next.
struct Search {
    message_id: i32,
    filter: PreparedFilter,
    walk: Walk,
    projection: Projection,
    sent: u32,
    limits: SearchLimits,
}

/// Where a search ends.
struct SearchLimits {
    /// Entries to send; `None`: no limit.
    size_max: Option<u32>,
    /// Entries to look at when no index helps; `None`: no limit.
    look_through_max: Option<u64>,
    /// When it must have ended.
    deadline: Instant,
}

/// How a batch ended.
enum Batch {
    /// There is more.
    More,
    /// The search has ended.
    Done(End),
}

/// How a search ends.
#[derive(Clone, Copy)]
enum End {
    /// That was all.
    Complete,
    /// There is more than may be sent.
    SizeLimit,
    /// It took too long.
    TimeLimit,
    /// No index helps, and too many entries would have to be looked at.
    LookThrough,
    /// One entry has too many values for so large a filter.
    FilterWork,
}

impl End {
    const fn code(self) -> ResultCode {
        match self {
            Self::Complete => ResultCode::Success,
            Self::SizeLimit => ResultCode::SizeLimitExceeded,
            Self::TimeLimit => ResultCode::TimeLimitExceeded,
            Self::LookThrough | Self::FilterWork => ResultCode::AdminLimitExceeded,
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Complete | Self::SizeLimit | Self::TimeLimit => "",
            Self::LookThrough => "no index helps this filter, and it would have to look at too many entries",
            Self::FilterWork => "the filter would have to look at too many values of one entry",
        }
    }
}

/// Begins a search and answers its first batch, which mostly is all.
pub(in crate::ldap) fn run(session: &mut Session, request: &SearchRequest<'_>, context: Context<'_>) {
    let base = Target::new(request.base, context.snapshot.schema());
    if base.is_root() && request.scope == Scope::Base {
        let entry = root_dse::entry(context.snapshot, session.settings.offers_start_tls);
        return answer_standalone(session, request, &entry, context);
    }
    if base.is_subschema() {
        return answer_standalone(session, request, context.snapshot.subschema(), context);
    }
    match begin(session, request, &base, &context) {
        Err(refusal) => refuse(refusal, context),
        Ok((tree, visibility, mut search)) => {
            let reader = Reader::new(context.snapshot, tree, &visibility);
            match search.batch(&mut session.evaluator, &reader, context.output, context.clock) {
                Batch::Done(end) => done(context.output, context.message_id, end),
                Batch::More => session.searches.push_back(RunningSearch {
                    snapshot: context.snapshot.clone(),
                    tree: tree.clone(),
                    visibility,
                    search,
                }),
            }
        }
    }
}

impl RunningSearch {
    /// The message ID of the request.
    pub(in crate::ldap) fn message_id(&self) -> i32 {
        self.search.message_id
    }

    /// Answers one more batch; says whether there is more still.
    pub(in crate::ldap) fn turn(
        &mut self,
        evaluator: &mut Evaluator,
        output: &mut Vec<u8>,
        clock: Clock,
    ) -> bool {
        let reader = Reader::new(&self.snapshot, &self.tree, &self.visibility);
        match self.search.batch(evaluator, &reader, output, clock) {
            Batch::More => true,
            Batch::Done(end) => {
                done(output, self.search.message_id, end);
                false
            }
        }
    }
}

impl Search {
    /// Looks at the next entries, until the output or the work of one turn is enough.
    fn batch(
        &mut self,
        evaluator: &mut Evaluator,
        reader: &Reader<'_>,
        output: &mut Vec<u8>,
        clock: Clock,
    ) -> Batch {
        if clock.instant >= self.limits.deadline {
            return Batch::Done(End::TimeLimit);
        }
        let output_enough = output.len() + BATCH_OCTETS;
        let work_enough = evaluator.work() + BATCH_WORK;
        let mut allowance = BATCH_ENTRIES;
        loop {
            let id = match self.walk.next_within(reader, &mut allowance) {
                Step::Entry(id) => id,
                Step::Paused => return Batch::More,
                Step::End => return Batch::Done(End::Complete),
            };
            if self.walk.is_unindexed()
                && self.limits.look_through_max.is_some_and(|limit| self.walk.examined() > limit)
            {
                return Batch::Done(End::LookThrough);
            }
            let Some(entry) = reader.entry(id) else { continue };
            if evaluator.matches(&self.filter, reader, id, entry) {
                if self.limits.size_max == Some(self.sent) {
                    return Batch::Done(End::SizeLimit);
                }
                write_entry(output, self.message_id, reader, id, entry, &self.projection);
                self.sent += 1;
            } else if evaluator.take_exhausted() {
                return Batch::Done(End::FilterWork);
            }
            if output.len() >= output_enough || evaluator.work() >= work_enough {
                return Batch::More;
            }
        }
    }
}

fn begin<'a>(
    session: &Session,
    request: &SearchRequest<'_>,
    base: &Target<'_>,
    context: &Context<'a>,
) -> Result<(&'a Arc<Tree>, Visibility, Search), Refusal> {
    let snapshot = context.snapshot;
    let (tree, visibility) = tree_and_view(session.identity.as_ref(), session.peer.source, base, context)?;
    let reader = Reader::new(snapshot, tree, &visibility);
    let base = find(&reader, base)?;
    let filter = prepare(session, request, &reader)?;
    let walk = Walk::new(&reader, &filter, base, request.scope);
    let search = Search {
        message_id: context.message_id,
        filter,
        walk,
        projection: projection(request, snapshot),
        sent: 0,
        limits: limits(session, request, context.clock),
    };
    Ok((tree, visibility, search))
}

/// Answers from an entry that stands in no tree and has nothing below it.
fn answer_standalone(
    session: &mut Session,
    request: &SearchRequest<'_>,
    entry: &Entry,
    context: Context<'_>,
) {
    let everything = Visibility::Full;
    let snapshot = context.snapshot;
    let reader = Reader::new(snapshot, snapshot.nowhere(), &everything);
    let filter = match prepare(session, request, &reader) {
        Ok(filter) => filter,
        Err(refusal) => return refuse(refusal, context),
    };
    let is_in_scope = matches!(request.scope, Scope::Base | Scope::Subtree);
    if is_in_scope && session.evaluator.matches(&filter, &reader, EntryId::STANDALONE, entry) {
        let projection = projection(request, snapshot);
        write_entry(context.output, context.message_id, &reader, EntryId::STANDALONE, entry, &projection);
    }
    let end = if session.evaluator.take_exhausted() { End::FilterWork } else { End::Complete };
    done(context.output, context.message_id, end);
}

fn prepare(
    session: &Session,
    request: &SearchRequest<'_>,
    reader: &Reader<'_>,
) -> Result<PreparedFilter, Refusal> {
    let octets_max = usize::try_from(session.settings.limits.filter_octets_max).unwrap_or(usize::MAX);
    PreparedFilter::bounded(&request.filter, reader, octets_max)
        .map_err(|error| Refusal::new(ResultCode::AdminLimitExceeded, error.to_string()))
}

fn refuse(refusal: Refusal, context: Context<'_>) {
    let Refusal { code, matched_dn, diagnostic } = refusal;
    let outcome = Outcome { code, matched_dn: &matched_dn, diagnostic: &diagnostic };
    response::search_result_done(context.output, context.message_id, &outcome, &[]);
}

fn projection(request: &SearchRequest<'_>, snapshot: &Snapshot) -> Projection {
    Projection {
        selection: Selection::new(&request.attributes, snapshot.schema()),
        types_only: request.types_only,
    }
}

/// The stricter of what the client and what the server sets.
fn limits(session: &Session, request: &SearchRequest<'_>, clock: Clock) -> SearchLimits {
    let server = &session.settings.limits;
    let size = [request.size_limit, server.search_size_max].into_iter().filter(|limit| *limit > 0).min();
    let time = match request.time_limit {
        0 => server.search_time_max,
        seconds => server.search_time_max.min(Duration::from_secs(u64::from(seconds))),
    };
    SearchLimits {
        size_max: size,
        look_through_max: (server.look_through_max > 0).then_some(u64::from(server.look_through_max)),
        deadline: clock.instant + time,
    }
}

fn done(output: &mut Vec<u8>, message_id: i32, end: End) {
    response::search_result_done(output, message_id, &Outcome::new(end.code(), end.sentence()), &[]);
}

/// So many octets of answers in one turn, then others have theirs. One write takes about as many.
const BATCH_OCTETS: usize = 64 * 1024;
/// So many entries are looked at in one turn: some hundred microseconds.
const BATCH_ENTRIES: u32 = 512;
/// So many elements of the filter and values of entries are looked at in one turn: about a millisecond.
const BATCH_WORK: u64 = 20_000;
