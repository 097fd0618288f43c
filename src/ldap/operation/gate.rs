//! The gate of an operation, where each search and compare begins: who asks and whether that still holds, which tree the DN
//! stands in and what may be seen of it, the entry that it names, the filter made ready; and how an operation ends that does
//! not come through.

use std::sync::Arc;

use crate::access::{Denied, Identity, Invalid, admitted, authorise};
use crate::config::Limit;
use crate::directory::filter::FilterItem;
use crate::directory::{
    Entry, EntryId, FilterTooLarge, PreparedFilter, SUBSCHEMA_DN, Snapshot, Tree, TreeReader, Truth,
    Visibility,
};
use crate::ldap::response::{Outcome, ResponseControls};
use crate::ldap::result_code::ResultCode;
use crate::ldap::session::{Context, Moment, Session};
use crate::schema::dn::is_at_or_below;
use crate::schema::{DnError, MatchingRule, Schema, normalize_dn_within};

/// The DN that an operation is about, and its normal form.
pub(in crate::ldap) struct Target<'a> {
    text: &'a str,
    normal: Vec<u8>,
    fault: Option<TargetFault>,
}

/// Why a text names no entry.
#[derive(Debug, thiserror::Error)]
enum TargetFault {
    /// It is no DN.
    #[error(transparent)]
    Syntax(DnError),
    /// To prepare it for comparison could cost a hundred times what it costs to send.
    #[error("the name is too long: it may have {octets_max} octets and {NAME_PARTS_MAX} parts")]
    TooLong {
        /// How many it may have.
        octets_max: usize,
    },
}

impl<'a> Target<'a> {
    /// Looks at a DN as it was sent.
    pub(in crate::ldap) fn new(session: &mut Session, text: &'a str, schema: &Schema) -> Self {
        let mut normal = Vec::new();
        let octets_max = session.settings.limits.name_length_max as usize;
        let too_long = TargetFault::TooLong { octets_max };
        if is_long_name(session, text) {
            session.note(Limit::name_length_max);
            return Self { text, normal, fault: Some(too_long) };
        }
        let read = normalize_dn_within(text.as_bytes(), schema, octets_max, &mut normal);
        session
            .evaluator
            .add_work(MatchingRule::DistinguishedName.cost_of_preparing(text.as_bytes(), normal.len()));
        let fault = match read {
            Err(error) => Some(TargetFault::Syntax(error)),
            Ok(()) if normal.len() > octets_max => Some(too_long),
            Ok(()) => None,
        };
        if fault.is_some() {
            normal.clear();
        }
        Self { text, normal, fault }
    }

    /// Whether it is the DN without RDNs, that of the root DSE.
    pub(in crate::ldap) fn is_root(&self) -> bool {
        self.fault.is_none() && self.normal.is_empty()
    }

    /// Whether it is the DN of the subschema subentry, which stands in no tree; a fault leaves no normal form.
    pub(in crate::ldap) fn is_subschema(&self) -> bool {
        self.normal == SUBSCHEMA_DN.as_bytes()
    }
}

/// Whether a name or a DN has more octets or parts than any that somebody has.
pub(super) fn is_long_name(session: &Session, name: &str) -> bool {
    name.len() > session.settings.limits.name_length_max as usize
        || (name.len() > NAME_PARTS_MAX
            && memchr::memchr_iter(b'=', name.as_bytes()).count() > NAME_PARTS_MAX)
}

/// Why an operation is refused: the code, the matched DN and a sentence.
pub(in crate::ldap) struct OperationRefusal {
    pub(in crate::ldap) code: ResultCode,
    pub(in crate::ldap) matched_dn: String,
    pub(in crate::ldap) diagnostic: String,
    /// What is answered to the controls of the request all the same.
    pub(in crate::ldap) controls: ResponseControls,
}

impl OperationRefusal {
    pub(in crate::ldap) fn new(code: ResultCode, diagnostic: impl Into<String>) -> Self {
        let controls = ResponseControls::default();
        Self { code, matched_dn: String::new(), diagnostic: diagnostic.into(), controls }
    }

    /// The filter of an assertion control is not TRUE (RFC 4528 section 3).
    pub(super) fn assertion_failed() -> Self {
        Self::new(ResultCode::AssertionFailed, "the assertion is not true of the entry")
    }

    pub(super) fn with_controls(
        mut self,
        controls: impl IntoIterator<Item = (&'static str, Vec<u8>)>,
    ) -> Self {
        controls.into_iter().for_each(|control| self.controls.push(control));
        self
    }

    /// The result of the operation.
    pub(super) fn outcome(&self) -> Outcome<'_> {
        Outcome { code: self.code, matched_dn: &self.matched_dn, diagnostic: &self.diagnostic }
    }
}

/// The tree that a DN stands in and what may be seen of it.
///
/// Who is nobody gets insufficientAccessRights whether or not the DN exists; a provider that does
/// not admit the account does not exist for it (the product's rules 14 and 18).
pub(in crate::ldap) fn tree_and_visibility<'a>(
    session: &mut Session,
    target: &Target<'_>,
    context: &Context<'a>,
) -> Result<(&'a Arc<Tree>, Visibility), OperationRefusal> {
    let snapshot = context.snapshot;
    let (identity, source) = (session.identity, session.peer.source);
    let identity = identity.as_ref();
    let mut tree = match target.fault {
        None if !target.is_root() => snapshot.tree_of_normal(&target.normal),
        _ => None,
    };
    let visibility = loop {
        let provider = match (tree, identity) {
            (Some(tree), _) => tree.provider().number,
            (None, Some(identity)) => identity.provider,
            (None, None) => return Err(denied(&Denied::Anonymous)),
        };
        let seen =
            authorise(snapshot, identity, provider, source, context.moment.now, &mut session.entitlements);
        session.evaluator.add_work(session.entitlements.take_work());
        match (seen, tree) {
            (Ok(visibility), _) => break visibility,
            // It does not exist: what is left is the tree that it lies in, if it lies in one.
            (Err(Denied::OtherProvider), Some(hidden)) => {
                tree = snapshot.tree_with_shorter_suffix(&target.normal, hidden.suffix().len());
            }
            (Err(reason), _) => {
                if let Some(identity) = identity.filter(|_| reason.is_suspicious()) {
                    note_denied(session, identity, &reason.to_string(), context.moment);
                }
                return Err(denied(&reason));
            }
        }
    };
    if let Some(fault) = &target.fault {
        return Err(OperationRefusal::new(ResultCode::InvalidDnSyntax, fault.to_string()));
    }
    match tree {
        Some(tree) => Ok((tree, visibility)),
        None if is_at_or_below(&target.normal, SUBSCHEMA_DN.as_bytes()) => {
            let refused =
                OperationRefusal::new(ResultCode::NoSuchObject, "nothing stands below the subschema");
            Err(OperationRefusal { matched_dn: SUBSCHEMA_DN.to_owned(), ..refused })
        }
        None => Err(OperationRefusal::new(ResultCode::NoSuchObject, NO_SUCH_SUFFIX)),
    }
}

/// Who has bound, if that still holds: account, credential, and admission to its provider.
pub(in crate::ldap) fn holding(
    session: &mut Session,
    snapshot: &Snapshot,
    moment: Moment,
) -> Option<Identity> {
    held(session, snapshot, moment).ok()
}

/// The same for an operation that is refused without it: who had bound and lost it leaves a trace.
pub(super) fn held_or_noted(session: &mut Session, snapshot: &Snapshot, moment: Moment) -> Option<Identity> {
    held(session, snapshot, moment)
        .inspect_err(|reason| {
            if let Some(identity) = &session.identity {
                note_denied(session, identity, &reason.to_string(), moment);
            }
        })
        .ok()
}

fn held(session: &mut Session, snapshot: &Snapshot, moment: Moment) -> Result<Identity, Denied> {
    let identity = session.identity.ok_or(Denied::Anonymous)?;
    let (source, entitlements) = (session.peer.source, &mut session.entitlements);
    let held = admitted(snapshot, Some(&identity), identity.provider, source, moment.now, entitlements);
    session.evaluator.add_work(session.entitlements.take_work());
    held.map(|_| identity)
}

/// Counts an operation that was refused to an account for what it may not do. The reason has nothing in it that the
/// client chose: those that are alike are told together.
pub(super) fn note_denied(session: &Session, identity: &Identity, reason: &str, moment: Moment) {
    session.registry.note_denied(identity, session.peer.source, reason, moment.now);
}

/// Makes a filter ready, if its values are not too many to compare with.
pub(in crate::ldap) fn prepare(
    session: &mut Session,
    filter: &[FilterItem<'_>],
    reader: &TreeReader<'_>,
) -> Result<PreparedFilter, OperationRefusal> {
    let filter = PreparedFilter::bounded(filter, reader, session.filter_bounds())
        .map_err(|error| too_large(session, error))?;
    session.add_preparation(filter.work());
    if filter.has_long_value() {
        session.note(Limit::assertion_length_max);
    }
    Ok(filter)
}

/// How an operation ends that is too much to make ready.
pub(in crate::ldap) fn too_large(session: &mut Session, error: FilterTooLarge) -> OperationRefusal {
    let (limit, work) = match error {
        FilterTooLarge::Octets { work, .. } => (Limit::filter_octets_max, work),
        FilterTooLarge::Work { work } => (Limit::filter_preparation_max, work),
    };
    session.note(limit);
    session.add_preparation(work);
    OperationRefusal::new(ResultCode::AdminLimitExceeded, error.to_string())
}

/// The entry that a DN names for this reader, or noSuchObject with the deepest entry above it that
/// may be seen.
pub(in crate::ldap) fn find(
    reader: &TreeReader<'_>,
    target: &Target<'_>,
) -> Result<EntryId, OperationRefusal> {
    reader.find_target(target.text.as_bytes(), &target.normal).ok_or_else(|| OperationRefusal {
        code: ResultCode::NoSuchObject,
        matched_dn: String::from_utf8_lossy(reader.matched_dn(&target.normal)).into_owned(),
        diagnostic: String::new(),
        controls: ResponseControls::default(),
    })
}

/// Whether the filter of an assertion control is true of the entry that the operation is about (RFC 4528 section 3).
pub(in crate::ldap) fn assert_on(
    session: &mut Session,
    assertion: &[FilterItem<'_>],
    reader: &TreeReader<'_>,
    id: EntryId,
    entry: &Entry,
) -> Result<(), OperationRefusal> {
    let filter = prepare(session, assertion, reader)?;
    match session.evaluator.truth_at_once(&filter, reader, id, entry) {
        Some(Truth::True) => Ok(()),
        Some(_) => Err(OperationRefusal::assertion_failed()),
        None => {
            session.note(Limit::filter_work_max);
            let sentence = "the assertion would have to look at too many values";
            Err(OperationRefusal::new(ResultCode::AdminLimitExceeded, sentence))
        }
    }
}

pub(in crate::ldap) fn denied(reason: &Denied) -> OperationRefusal {
    let diagnostic = match reason {
        Denied::Anonymous => {
            "bind first: anonymous clients read the root DSE and the subschema only".to_owned()
        }
        Denied::Invalid(invalid @ (Invalid::AccountGone | Invalid::AccountInactive)) => invalid.to_string(),
        Denied::Invalid(invalid) => format!("{invalid}; bind again"),
        Denied::NotAdmitted(refused) => refused.to_string(),
        Denied::OtherProvider => return OperationRefusal::new(ResultCode::NoSuchObject, NO_SUCH_SUFFIX),
    };
    OperationRefusal::new(ResultCode::InsufficientAccessRights, diagnostic)
}

/// Parts of a name: types and values of a DN.
/// No limit of the config: it goes with `name_length_max`, by whose name it is counted.
const NAME_PARTS_MAX: usize = 256;
const NO_SUCH_SUFFIX: &str = "no directory of this server has that suffix";
