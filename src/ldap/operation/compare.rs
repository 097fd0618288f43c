//! Compare (RFC 4511 section 4.10).

use super::gate::{OperationRefusal, Target, assert_on, find, prepare, tree_and_visibility};
use crate::config::Limit;
use crate::directory::filter::FilterItem;
use crate::directory::{Entry, EntryId, TreeReader, Truth, Visibility};
use crate::ldap::control::RequestControls;
use crate::ldap::message::CompareRequest;
use crate::ldap::response::{self, Outcome};
use crate::ldap::result_code::ResultCode;
use crate::ldap::root_dse;
use crate::ldap::session::{Context, Session};

/// Compares one value with those of an attribute, as far as they may be seen.
pub(in crate::ldap) fn run(
    session: &mut Session,
    request: &CompareRequest<'_>,
    controls: &RequestControls<'_>,
    context: Context<'_>,
) {
    let refusal;
    let outcome = match compare(session, request, controls, &context) {
        Ok(code) => Outcome::new(code, ""),
        Err(refused) => {
            refusal = refused;
            refusal.outcome()
        }
    };
    response::compare_response(context.output, context.message_id, &outcome, &[]);
}

fn compare(
    session: &mut Session,
    request: &CompareRequest<'_>,
    controls: &RequestControls<'_>,
    context: &Context<'_>,
) -> Result<ResultCode, OperationRefusal> {
    let snapshot = context.snapshot;
    let everything = Visibility::Full;
    let target = Target::new(session, request.entry, snapshot.schema());
    if target.is_root() {
        let reader = TreeReader::new(snapshot, snapshot.nowhere(), &everything);
        let entry = root_dse::entry(snapshot, &session.settings);
        return verdict(session, request, controls, &reader, EntryId::STANDALONE, &entry);
    }
    if target.is_subschema() {
        let reader = TreeReader::new(snapshot, snapshot.nowhere(), &everything);
        return verdict(session, request, controls, &reader, EntryId::STANDALONE, snapshot.subschema());
    }
    let (tree, visibility) = tree_and_visibility(session, &target, context)?;
    let reader = TreeReader::new(snapshot, tree, &visibility);
    let id = find(&reader, &target)?;
    match reader.entry(id) {
        Some(entry) => verdict(session, request, controls, &reader, id, &entry),
        None => Ok(ResultCode::NoSuchObject),
    }
}

fn verdict(
    session: &mut Session,
    request: &CompareRequest<'_>,
    controls: &RequestControls<'_>,
    reader: &TreeReader<'_>,
    id: EntryId,
    entry: &Entry,
) -> Result<ResultCode, OperationRefusal> {
    if let Some(assertion) = &controls.assertion {
        assert_on(session, assertion, reader, id, entry)?;
    }
    let present = FilterItem::Present { attribute: request.attribute };
    if ask(session, present, reader, id, entry)? != Truth::True {
        return Ok(ResultCode::NoSuchAttribute);
    }
    let equality = FilterItem::Equality { attribute: request.attribute, value: request.value };
    let truth = ask(session, equality, reader, id, entry)?;
    Ok(match truth {
        Truth::True => ResultCode::CompareTrue,
        // Undefined: the value is not of the attribute's syntax, or there is no rule to compare by. RFC 4511
        // appendix A.1 puts it with FALSE.
        Truth::False | Truth::Undefined => ResultCode::CompareFalse,
    })
}

/// What one assertion says of the entry. It is answered at once, and so within what may be done without a rest.
fn ask(
    session: &mut Session,
    assertion: FilterItem<'_>,
    reader: &TreeReader<'_>,
    id: EntryId,
    entry: &Entry,
) -> Result<Truth, OperationRefusal> {
    let filter = prepare(session, &[assertion], reader)?;
    session.evaluator.truth_at_once(&filter, reader, id, entry).ok_or_else(|| {
        session.note(Limit::filter_work_max);
        OperationRefusal::new(ResultCode::AdminLimitExceeded, "the attribute has too many values")
    })
}
