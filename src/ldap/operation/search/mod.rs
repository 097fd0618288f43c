//! Search (RFC 4511 section 4.5): the hot path. Snapshot → visibility → base → filter → candidates → match
//! → write, without a lock and without waiting between the first candidate and the end of a batch.
//!
//! Here it begins; `running` answers it batch by batch, `sorted` puts results into an order first.

mod running;
mod sorted;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub(in crate::ldap) use running::RunningSearch;
use running::{Batch, End, Page, Search, SortAnswer};
use sorted::{ListView, ListViewTarget, Part, Sorted};

use super::gate::{OperationRefusal, Target, assert_on, find, prepare, too_large, tree_and_visibility};
use crate::config::Limit;
use crate::directory::{
    Entry, EntryId, PreparedFilter, Scope, Snapshot, SortFault, SortKey, SortKeys, Tree, TreeReader, Truth,
    ValuesFilter, Visibility, Walk,
};
use crate::ldap::control::{
    self, ListViewRequest, ListViewResult, PagedRequest, RequestControls, SortRequest,
};
use crate::ldap::entry_writer::{LargeEntry, Projection, is_large, write_entry};
use crate::ldap::memory::Output;
use crate::ldap::message::SearchRequest;
use crate::ldap::pages::{OrderKey, Place, QueryDigest, finish, visibility_digest};
use crate::ldap::response::{self, Outcome, ResponseControls};
use crate::ldap::result_code::ResultCode;
use crate::ldap::root_dse;
use crate::ldap::selection::Selection;
use crate::ldap::session::{Asked, Context, Moment, Session};
use crate::model::ProviderNumber;
use crate::schema::Schema;

/// Where a search ends.
struct SearchLimits {
    /// Entries to send; `None`: no limit.
    size_max: Option<u32>,
    /// Whether the server or a role says so, not the client.
    is_size_ours: bool,
    /// Entries to look at when no index helps; `None`: no limit.
    look_through_max: Option<u64>,
    /// When it must have ended.
    deadline: Instant,
    /// Whether the server or a role says so, not the client.
    is_time_ours: bool,
}

/// A search that may be answered.
struct Begun<'a> {
    newest: &'a Arc<Tree>,
    /// The revision of an earlier page, when it is not answered from the newest.
    kept: Option<Kept>,
    visibility: Visibility,
    search: Search,
}

/// A kept revision, and the tree that is searched.
type Kept = (Arc<Snapshot>, Arc<Tree>);

/// Begins a search and answers its first batch, which mostly is all.
pub(in crate::ldap) fn run(
    session: &mut Session,
    request: &SearchRequest<'_>,
    controls: &RequestControls<'_>,
    context: Context<'_>,
) {
    let base = Target::new(session, request.base, context.snapshot.schema());
    if base.is_root() && request.scope == Scope::Base {
        let entry = Arc::new(root_dse::entry(context.snapshot, &session.settings));
        return answer_standalone(session, request, controls, &entry, context);
    }
    if base.is_subschema() {
        return answer_standalone(session, request, controls, context.snapshot.subschema(), context);
    }
    match begin(session, request, controls, &base, &context) {
        Err(refusal) => refuse(&refusal, context),
        Ok(Begun { newest, kept, visibility, mut search }) => {
            let (snapshot, tree) = searched(kept.as_ref(), newest, context.snapshot);
            let reader = TreeReader::new(snapshot, tree, &visibility);
            let mut output = Output::new(context.output, &mut session.output_memory);
            match search.batch(&mut session.evaluator, &reader, &mut output, context.moment) {
                Batch::Done(end) => {
                    search.finish(end, snapshot, context.output, context.moment);
                    search.limits_reached(end).for_each(|limit| session.note(limit));
                }
                Batch::More => {
                    let octets = search.octets() + context.body.len();
                    let (snapshot, tree) = (snapshot.clone(), tree.clone());
                    let asked = Asked::now(context.snapshot, context.moment);
                    let running =
                        RunningSearch { snapshot, tree, visibility, search, asked, octets, memory: None };
                    session.keep_running(running, true, context.output);
                }
            }
        }
    }
}

fn begin<'a>(
    session: &mut Session,
    request: &SearchRequest<'_>,
    controls: &RequestControls<'_>,
    base: &Target<'_>,
    context: &Context<'a>,
) -> Result<Begun<'a>, OperationRefusal> {
    let (newest, visibility) = tree_and_visibility(session, base, context)?;
    let query = query_digest(session, controls, context);
    let place = place(session, controls, &query, context)?;
    // Who sees a part of the directory has every page and view from the newest: whether an earlier revision is another one,
    // and is still kept, depends on what everybody has changed and asked for.
    let is_shared = !matches!(visibility, Visibility::Own(_));
    let kept = place.as_ref().filter(|_| is_shared);
    let kept = kept.and_then(|place| kept_revision(session, place, newest.provider().number, context));
    let (snapshot, tree) = searched(kept.as_ref(), newest, context.snapshot);
    let reader = TreeReader::new(snapshot, tree, &visibility);
    let base = find(&reader, base)?;
    if let Some(assertion) = &controls.assertion
        && let Some(entry) = reader.entry(base)
    {
        assert_on(session, assertion, &reader, base, &entry)?;
    }
    let filter = prepare(session, &request.filter, &reader)?;
    let (mut sort, mut answer) = sort_keys(controls.sort.as_ref(), snapshot.schema())?;
    if let Some(place) = place.as_ref().filter(|_| controls.paged.is_some()) {
        match (place.order.is_empty(), &sort) {
            // It has begun without an order, as there was no memory for one.
            (true, Some(_)) => {
                sort = None;
                answer = Some(SortAnswer { code: ResultCode::AdminLimitExceeded, attribute: None });
            }
            (false, None) => {
                let sentence = "the results can no more be sorted as before; begin the search anew";
                return Err(OperationRefusal::new(ResultCode::UnwillingToPerform, sentence)
                    .with_controls([control::paged_response(0, b"")]));
            }
            _ => {}
        }
    }
    let list_view = list_view(session, controls, sort.as_ref(), answer.as_ref())?;
    let mut walk = Walk::new(&reader, &filter, base, request.scope);
    session.evaluator.add_work(walk.work_of_planning());
    let (server_size, server_time) = allowed(session, context.snapshot);
    let mut limits = limits(session, request, server_size, server_time, context.moment);
    let page = controls.paged.map(|paged| {
        let estimate = walk.candidates().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
        // The server's own limit makes pages smaller, it does not end the sequence.
        let size = if server_size > 0 { paged.size.min(server_size) } else { paged.size };
        limits.size_max = (request.size_limit > 0).then_some(request.size_limit);
        limits.is_size_ours = false;
        let is_size_ours = size < paged.size;
        let (pages, holders) = (session.settings.pages.clone(), session.holders());
        Page { size, is_size_ours, estimate, query, pages, is_shared, holders }
    });
    let sorted = match sort {
        None => {
            if let Some(place) = &place {
                walk.resume_after(place.last);
            }
            None
        }
        Some(keys) => {
            let key =
                OrderKey { revision: snapshot.revision(), query, visibility: visibility_digest(&visibility) };
            let pages = session.settings.pages.clone();
            let is_part = controls.paged.is_some() || list_view.is_some();
            let before = place.filter(|_| list_view.is_none());
            let part = Part { before, list_view, is_shared: is_shared && is_part };
            let holders = session.holders();
            Some(Box::new(Sorted::new(keys, key, pages, part, holders, context.moment.instant)))
        }
    };
    let is_critical = controls.sort.as_ref().is_some_and(|sort| sort.criticality);
    let projection = projection(session, request, controls, &reader)?;
    let search = Search {
        // Subentries stand nowhere in a tree: who asks for them alone finds nothing here.
        is_empty: controls.subentries == Some(true) || is_estimate(controls),
        page,
        sorted,
        sort_answer: answer,
        is_sort_critical: is_critical,
        ..Search::new(context.message_id, filter, walk, projection, limits)
    };
    Ok(Begun { newest, kept, visibility, search })
}

/// The snapshot and the tree that are searched.
fn searched<'a>(
    kept: Option<&'a Kept>,
    newest: &'a Arc<Tree>,
    snapshot: &'a Arc<Snapshot>,
) -> (&'a Arc<Snapshot>, &'a Arc<Tree>) {
    kept.map_or((snapshot, newest), |(snapshot, tree)| (snapshot, tree))
}

/// What must be the same from one page or view to the next: who asks, and all that is asked but for those controls.
fn query_digest(session: &Session, controls: &RequestControls<'_>, context: &Context<'_>) -> QueryDigest {
    if controls.paged.is_none() && controls.sort.is_none() {
        return QueryDigest::default();
    }
    let mut hasher = blake3::Hasher::new();
    if let Some(identity) = &session.identity {
        hasher
            .update(&identity.holder.account.get().to_be_bytes())
            .update(&identity.provider.get().to_be_bytes());
    }
    // A contextID is no cookie of a page: the two controls are not in the hash of the others.
    hasher.update(&[u8::from(controls.list_view.is_some())]);
    hasher.update(&controls.unchanging).update(context.body);
    finish(&hasher)
}

/// Whether a page of no entries is asked for: an estimate of how many there are, or the end of a sequence.
fn is_estimate(controls: &RequestControls<'_>) -> bool {
    controls.paged.is_some_and(|paged| paged.size == 0)
}

/// Where the sequence of pages or views stands, if this is not the first.
fn place(
    session: &Session,
    controls: &RequestControls<'_>,
    query: &QueryDigest,
    context: &Context<'_>,
) -> Result<Option<Place>, OperationRefusal> {
    let pages = &session.settings.pages;
    if let (Some(_), Some(_)) = (&controls.paged, &controls.list_view) {
        let sentence = "paged results and a list view cannot be asked for together";
        return Err(OperationRefusal::new(ResultCode::UnwillingToPerform, sentence));
    }
    if let Some(PagedRequest { cookie, .. }) = controls.paged
        && !cookie.is_empty()
    {
        let place = pages.place(cookie, query, context.moment.now);
        return place.map(Some).map_err(|error| {
            let refusal = OperationRefusal::new(ResultCode::UnwillingToPerform, error.to_string());
            refusal.with_controls([control::paged_response(0, b"")])
        });
    }
    if let Some(ListViewRequest { context_id: Some(context_id), .. }) = controls.list_view
        && !context_id.is_empty()
    {
        let place = pages.place(context_id, query, context.moment.now);
        return place.map(Some).map_err(|error| {
            list_view_error(ListViewResult::Code(ResultCode::ProtocolError), &error.to_string())
        });
    }
    Ok(None)
}

/// The revision of the page or view before, while it is kept; `None`: the newest.
fn kept_revision(
    session: &Session,
    place: &Place,
    provider: ProviderNumber,
    context: &Context<'_>,
) -> Option<Kept> {
    if place.revision == context.snapshot.revision() {
        return None;
    }
    let kept = session.settings.pages.snapshot(place.revision, context.moment.instant)?;
    let tree = kept.tree(provider).cloned()?;
    Some((kept, tree))
}

/// The order that is asked for, and what is answered about it when it cannot be had.
fn sort_keys(
    request: Option<&SortRequest<'_>>,
    schema: &Schema,
) -> Result<(Option<SortKeys>, Option<SortAnswer>), OperationRefusal> {
    let Some(request) = request else { return Ok((None, None)) };
    let keys = request.keys.iter().enumerate().map(|(place, key)| {
        SortKey::new(key.attribute, key.rule, key.reverse, schema).map_err(|fault| (place, fault))
    });
    let (place, fault) = match keys.collect::<Result<Vec<_>, _>>().and_then(SortKeys::new) {
        Ok(keys) => return Ok((Some(keys), Some(SortAnswer::SORTED))),
        Err(fault) => fault,
    };
    let code = match fault {
        SortFault::Attribute => ResultCode::NoSuchAttribute,
        SortFault::Rule => ResultCode::InappropriateMatching,
        SortFault::Twice => ResultCode::UnwillingToPerform,
    };
    let attribute = request.keys.get(place).map(|key| key.attribute.to_owned());
    let answer = SortAnswer { code, attribute };
    if request.criticality {
        let sentence = format!("the results cannot be sorted: {fault}");
        return Err(OperationRefusal::new(ResultCode::UnavailableCriticalExtension, sentence)
            .with_controls([answer.control()]));
    }
    Ok((None, Some(answer)))
}

/// The window that is asked for. Without an order there is none.
fn list_view(
    session: &mut Session,
    controls: &RequestControls<'_>,
    sort: Option<&SortKeys>,
    answer: Option<&SortAnswer>,
) -> Result<Option<ListView>, OperationRefusal> {
    let Some(request) = controls.list_view else { return Ok(None) };
    let Some(keys) = sort else {
        return Err(match answer {
            Some(answer) => {
                list_view_error(ListViewResult::Code(answer.code), "the results cannot be sorted")
                    .with_controls([answer.control()])
            }
            None => list_view_error(ListViewResult::SortControlMissing, "a list view needs a sort control"),
        });
    };
    let target = match request.target {
        control::Target::Offset { offset: 0, .. } => {
            return Err(list_view_error(
                ListViewResult::OffsetRangeError,
                "the offset of a list view begins at 1",
            ));
        }
        control::Target::Offset { offset, content_count } => ListViewTarget::Offset { offset, content_count },
        control::Target::AtLeast(value) => {
            let bounds = session.filter_bounds();
            if value.len() > bounds.value_octets_max {
                session.note(Limit::assertion_length_max);
            }
            let mut work = 0;
            let form = keys.assertion(value, bounds, &mut work).map_err(|error| {
                let code = ListViewResult::Code(ResultCode::AdminLimitExceeded);
                too_large(session, error).with_controls([control::list_view_response(0, 0, code, b"")])
            })?;
            session.add_preparation(work);
            let sentence = "the value is not one of the first sort key's attribute";
            ListViewTarget::AtLeast(form.ok_or_else(|| {
                list_view_error(ListViewResult::Code(ResultCode::InappropriateMatching), sentence)
            })?)
        }
    };
    Ok(Some(ListView { before: request.before, after: request.after, target }))
}

fn list_view_error(result: ListViewResult, sentence: &str) -> OperationRefusal {
    OperationRefusal::new(ResultCode::VirtualListViewError, sentence)
        .with_controls([control::list_view_response(0, 0, result, b"")])
}

/// Answers from an entry that stands in no tree and has nothing below it.
fn answer_standalone(
    session: &mut Session,
    request: &SearchRequest<'_>,
    controls: &RequestControls<'_>,
    entry: &Arc<Entry>,
    context: Context<'_>,
) {
    let everything = Visibility::Full;
    let snapshot = context.snapshot;
    let reader = TreeReader::new(snapshot, snapshot.nowhere(), &everything);
    let begun = standalone(session, request, controls, &reader, entry, &context);
    let projected = begun.and_then(|begun| Ok((begun, projection(session, request, controls, &reader)?)));
    let (Standalone { is_found, end, answers, filter, sort_answer }, projection) = match projected {
        Ok(projected) => projected,
        Err(refusal) => return refuse(&refusal, context),
    };
    if is_found {
        let id = EntryId::STANDALONE;
        let message_id = context.message_id;
        let mut output = Output::new(context.output, &mut session.output_memory);
        if is_large(&reader, id, entry, &projection, |octets| output.has_room(octets)) {
            let large = LargeEntry::new(&reader, id, entry, &projection, &mut session.evaluator);
            let (server_size, server_time) = allowed(session, snapshot);
            let limits = limits(session, request, server_size, server_time, context.moment);
            let walk = Walk::new(&reader, &filter, id, Scope::Base);
            let search = Search {
                large: Some(Box::new(large)),
                sent: 1,
                last_sent: id,
                standalone: Some(Arc::clone(entry)),
                is_empty: true,
                page: controls.paged.is_some().then(|| Page {
                    size: 1,
                    is_size_ours: false,
                    estimate: 1,
                    query: QueryDigest::default(),
                    pages: session.settings.pages.clone(),
                    is_shared: false,
                    holders: session.holders(),
                }),
                sort_answer,
                ..Search::new(message_id, filter, walk, projection, limits)
            };
            let running = RunningSearch {
                snapshot: snapshot.clone(),
                tree: snapshot.nowhere().clone(),
                visibility: Visibility::Full,
                octets: search.octets() + context.body.len(),
                search,
                asked: Asked::now(snapshot, context.moment),
                memory: None,
            };
            return session.keep_running(running, true, context.output);
        }
        write_entry(context.output, message_id, &reader, id, entry, &projection, &mut session.evaluator);
    }
    let outcome = Outcome::new(end.code(), end.sentence());
    response::search_result_done(context.output, context.message_id, &outcome, &answers.as_controls());
}

/// Whether the one entry is an answer, how the search ends, what is answered to its controls, and what it asks.
struct Standalone {
    is_found: bool,
    end: End,
    answers: ResponseControls,
    filter: PreparedFilter,
    sort_answer: Option<SortAnswer>,
}

fn standalone(
    session: &mut Session,
    request: &SearchRequest<'_>,
    controls: &RequestControls<'_>,
    reader: &TreeReader<'_>,
    entry: &Entry,
    context: &Context<'_>,
) -> Result<Standalone, OperationRefusal> {
    // It is one page, so that no cookie is of it.
    let query = query_digest(session, controls, context);
    place(session, controls, &query, context)?;
    let filter = prepare(session, &request.filter, reader)?;
    if let Some(assertion) = &controls.assertion {
        assert_on(session, assertion, reader, EntryId::STANDALONE, entry)?;
    }
    let mut answers = ResponseControls::default();
    // One entry is sorted, and a list of its own.
    let (_, sort_answer) = sort_keys(controls.sort.as_ref(), reader.schema())?;
    if let Some(answer) = &sort_answer {
        answers.push(answer.control());
    }
    if controls.list_view.is_some() {
        let sentence = "there is no list of what stands in no directory";
        return Err(list_view_error(ListViewResult::Code(ResultCode::UnwillingToPerform), sentence));
    }
    if controls.paged.is_some() {
        answers.push(control::paged_response(1, b""));
    }
    let is_subentry = entry.dn() == crate::directory::SUBSCHEMA_DN.as_bytes();
    let is_in_scope = matches!(request.scope, Scope::Base | Scope::Subtree)
        && !is_estimate(controls)
        && controls.subentries.is_none_or(|only| only == is_subentry);
    if !is_in_scope {
        return Ok(Standalone { is_found: false, end: End::Complete, answers, filter, sort_answer });
    }
    let matches = session.evaluator.truth_at_once(&filter, reader, EntryId::STANDALONE, entry);
    if matches.is_none() {
        session.note(Limit::filter_work_max);
    }
    let is_found = matches == Some(Truth::True);
    let end = if matches.is_some() { End::Complete } else { End::FilterWork };
    Ok(Standalone { is_found, end, answers, filter, sort_answer })
}

fn refuse(refusal: &OperationRefusal, context: Context<'_>) {
    response::search_result_done(
        context.output,
        context.message_id,
        &refusal.outcome(),
        &refusal.controls.as_controls(),
    );
}

fn projection(
    session: &mut Session,
    request: &SearchRequest<'_>,
    controls: &RequestControls<'_>,
    reader: &TreeReader<'_>,
) -> Result<Projection, OperationRefusal> {
    let work_max = session.filter_bounds().work_max;
    let selection =
        Selection::new(&request.attributes, reader, work_max).map_err(|error| too_large(session, error))?;
    session.add_preparation(selection.work());
    // RFC 3876 section 2: where no values are returned anyway, it has no effect.
    let values =
        controls.values.as_ref().filter(|_| !request.types_only && request.attributes[..] != ["1.1"]);
    let values = match values {
        None => None,
        Some(items) => {
            let filter = ValuesFilter::bounded(items, reader, session.filter_bounds())
                .map_err(|error| too_large(session, error))?;
            session.add_preparation(filter.work());
            Some(Box::new(filter))
        }
    };
    Ok(Projection { selection, types_only: request.types_only, values })
}

/// What the server allows: what the newest directory says of the account's roles, or the server's own limits.
fn allowed(session: &mut Session, newest: &Snapshot) -> (u32, Duration) {
    let account = session.identity.and_then(|identity| newest.accounts().account(identity.holder.account));
    let roles = account.map(|account| session.entitlements.search_limits(newest, account));
    let (roles, server) = (roles.unwrap_or_default(), &session.settings.limits);
    let size = roles.size_max.map_or(server.search_size_max, |(size, _)| size);
    (size, roles.time_max.map_or(server.search_time_max, |(time, _)| time))
}

/// The stricter of what the client and what the server sets.
fn limits(
    session: &Session,
    request: &SearchRequest<'_>,
    server_size: u32,
    server_time: Duration,
    moment: Moment,
) -> SearchLimits {
    let server = &session.settings.limits;
    let size = [request.size_limit, server_size].into_iter().filter(|limit| *limit > 0).min();
    let is_size_ours = size != Some(request.size_limit);
    let time = match request.time_limit {
        0 => server_time,
        seconds => server_time.min(Duration::from_secs(u64::from(seconds))),
    };
    SearchLimits {
        size_max: size,
        is_size_ours,
        is_time_ours: time == server_time,
        look_through_max: (server.look_through_max > 0).then_some(u64::from(server.look_through_max)),
        deadline: moment.instant + time,
    }
}
