//! How an operation ends that may see nothing, or does not find its base.

use std::sync::Arc;

use crate::access::{Denied, Identity, Invalid, view};
use crate::config::Limit;
use crate::directory::filter::FilterItem;
use crate::directory::{
    DN_LENGTH_MAX, Entry, EntryId, PreparedFilter, Reader, SUBSCHEMA_DN, Snapshot, Tree, Visibility,
};
use crate::ldap::response::{Outcome, ResponseControls};
use crate::ldap::result_code::ResultCode;
use crate::ldap::session::{Clock, Context, Session};
use crate::schema::{DnError, Schema, normalize_dn};

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
    /// No entry has so long a name; to prepare it for comparison could cost a hundred times what it costs to send.
    #[error("the name has {octets} octets; no entry has a name of more than {DN_LENGTH_MAX}")]
    TooLong {
        /// How many it has.
        octets: usize,
    },
}

impl<'a> Target<'a> {
    /// Looks at a DN as it was sent.
    pub(in crate::ldap) fn new(text: &'a str, schema: &Schema) -> Self {
        let mut normal = Vec::new();
        let fault = match text.len() {
            0..=DN_LENGTH_MAX => {
                normalize_dn(text.as_bytes(), schema, &mut normal).err().map(TargetFault::Syntax)
            }
            octets => Some(TargetFault::TooLong { octets }),
        };
        Self { text, normal, fault }
    }

    /// Whether it is the DN without RDNs, that of the root DSE.
    pub(in crate::ldap) fn is_root(&self) -> bool {
        self.fault.is_none() && self.normal.is_empty()
    }

    /// Whether it is the DN of the subschema subentry, which stands in no tree.
    pub(in crate::ldap) fn is_subschema(&self) -> bool {
        self.normal == SUBSCHEMA_DN.as_bytes()
    }
}

/// Why an operation is refused: the code, the matched DN and a sentence.
pub(in crate::ldap) struct Refusal {
    pub(in crate::ldap) code: ResultCode,
    pub(in crate::ldap) matched_dn: String,
    pub(in crate::ldap) diagnostic: String,
    /// What is answered to the controls of the request all the same.
    pub(in crate::ldap) controls: ResponseControls,
}

impl Refusal {
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
pub(in crate::ldap) fn tree_and_view<'a>(
    session: &Session,
    target: &Target<'_>,
    context: &Context<'a>,
) -> Result<(&'a Arc<Tree>, Visibility), Refusal> {
    let snapshot = context.snapshot;
    let (identity, source) = (session.identity.as_ref(), session.peer.source);
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
        match (view(snapshot, identity, provider, source, context.clock.now), tree) {
            (Ok(visibility), _) => break visibility,
            // It does not exist: what is left is the tree that it lies in, if it lies in one.
            (Err(Denied::OtherProvider), Some(hidden)) => {
                tree = snapshot.tree_with_shorter_suffix(&target.normal, hidden.suffix().len());
            }
            (Err(reason), _) => {
                if let Some(identity) = identity.filter(|_| reason.is_suspicious()) {
                    session.registry.note_denied(identity, source, &reason.to_string(), context.clock.now);
                }
                return Err(denied(&reason));
            }
        }
    };
    if let Some(fault) = &target.fault {
        return Err(Refusal::new(ResultCode::InvalidDnSyntax, fault.to_string()));
    }
    match tree {
        Some(tree) => Ok((tree, visibility)),
        None => Err(Refusal::new(ResultCode::NoSuchObject, NO_SUCH_SUFFIX)),
    }
}

/// Who has bound, if that still holds: account, credential, and admission to its provider.
pub(in crate::ldap) fn holding(session: &Session, snapshot: &Snapshot, clock: Clock) -> Option<Identity> {
    session.identity.filter(|identity| {
        view(snapshot, Some(identity), identity.provider, session.peer.source, clock.now).is_ok()
    })
}

/// Makes a filter ready, if its values are not too many to compare with.
pub(in crate::ldap) fn prepare(
    session: &Session,
    filter: &[FilterItem<'_>],
    reader: &Reader<'_>,
) -> Result<PreparedFilter, Refusal> {
    let octets_max = usize::try_from(session.settings.limits.filter_octets_max).unwrap_or(usize::MAX);
    PreparedFilter::bounded(filter, reader, octets_max).map_err(|error| {
        session.note(Limit::filter_octets_max);
        Refusal::new(ResultCode::AdminLimitExceeded, error.to_string())
    })
}

/// The entry that a DN names for this reader, or noSuchObject with the deepest entry above it that
/// may be seen.
pub(in crate::ldap) fn find(reader: &Reader<'_>, target: &Target<'_>) -> Result<EntryId, Refusal> {
    reader.find_target(target.text.as_bytes(), &target.normal).ok_or_else(|| Refusal {
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
    reader: &Reader<'_>,
    id: EntryId,
    entry: &Entry,
) -> Result<(), Refusal> {
    let filter = prepare(session, assertion, reader)?;
    let is_true = session.evaluator.matches(&filter, reader, id, entry);
    if session.evaluator.take_exhausted() {
        session.note(Limit::filter_work_max);
        let sentence = "the assertion would have to look at too many values";
        return Err(Refusal::new(ResultCode::AdminLimitExceeded, sentence));
    }
    if is_true { Ok(()) } else { Err(Refusal::assertion_failed()) }
}

fn denied(reason: &Denied) -> Refusal {
    let diagnostic = match reason {
        Denied::Anonymous => {
            "bind first: anonymous clients read the root DSE and the subschema only".to_owned()
        }
        Denied::Invalid(invalid @ (Invalid::AccountGone | Invalid::AccountInactive)) => invalid.to_string(),
        Denied::Invalid(invalid) => format!("{invalid}; bind again"),
        Denied::NotAdmitted(refused) => refused.to_string(),
        Denied::OtherProvider => return Refusal::new(ResultCode::NoSuchObject, NO_SUCH_SUFFIX),
    };
    Refusal::new(ResultCode::InsufficientAccessRights, diagnostic)
}

const NO_SUCH_SUFFIX: &str = "no directory of this server has that suffix";
