//! How an operation ends that may see nothing, or does not find its base.

use std::net::IpAddr;
use std::sync::Arc;

use crate::access::{Denied, Identity, Invalid, view};
use crate::directory::{EntryId, Reader, SUBSCHEMA_DN, Tree, Visibility};
use crate::ldap::result_code::ResultCode;
use crate::ldap::session::Context;
use crate::schema::dn::rdns;
use crate::schema::{DnError, Schema, normalize_dn};

/// The DN that an operation is about, and its normal form.
pub(in crate::ldap) struct Target<'a> {
    text: &'a str,
    normal: Vec<u8>,
    fault: Option<DnError>,
}

impl<'a> Target<'a> {
    /// Looks at a DN as it was sent.
    pub(in crate::ldap) fn new(text: &'a str, schema: &Schema) -> Self {
        let mut normal = Vec::new();
        let fault = normalize_dn(text.as_bytes(), schema, &mut normal).err();
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
}

impl Refusal {
    fn new(code: ResultCode, diagnostic: impl Into<String>) -> Self {
        Self { code, matched_dn: String::new(), diagnostic: diagnostic.into() }
    }
}

/// The tree that a DN stands in and what may be seen of it.
///
/// Who is nobody gets insufficientAccessRights whether or not the DN exists; a provider that does
/// not admit the account does not exist for it (the product's rules 14 and 18).
pub(in crate::ldap) fn tree_and_view<'a>(
    identity: Option<&Identity>,
    source: Option<IpAddr>,
    target: &Target<'_>,
    context: &Context<'a>,
) -> Result<(&'a Arc<Tree>, Visibility), Refusal> {
    let snapshot = context.snapshot;
    let tree = match target.fault {
        None if !target.is_root() => snapshot.tree_of_normal(&target.normal),
        _ => None,
    };
    let provider = match (tree, identity) {
        (Some(tree), _) => tree.provider().number,
        (None, Some(identity)) => identity.provider,
        (None, None) => return Err(denied(&Denied::Anonymous)),
    };
    let visibility =
        view(snapshot, identity, provider, source, context.clock.now).map_err(|reason| denied(&reason))?;
    if let Some(fault) = &target.fault {
        return Err(Refusal::new(ResultCode::InvalidDnSyntax, fault.to_string()));
    }
    match tree {
        Some(tree) => Ok((tree, visibility)),
        None => Err(Refusal::new(ResultCode::NoSuchObject, NO_SUCH_SUFFIX)),
    }
}

/// The entry that a DN names for this reader, or noSuchObject with the deepest entry above it that
/// may be seen.
pub(in crate::ldap) fn find(reader: &Reader<'_>, target: &Target<'_>) -> Result<EntryId, Refusal> {
    let found = reader
        .tree()
        .find_normal(&target.normal, reader.schema())
        .filter(|id| reader.visibility().sees(*id))
        .or_else(|| reader.find(target.text.as_bytes()));
    found.ok_or_else(|| Refusal {
        code: ResultCode::NoSuchObject,
        matched_dn: String::from_utf8_lossy(matched_dn(reader, target)).into_owned(),
        diagnostic: String::new(),
    })
}

/// The deepest entry above the DN that may be seen: the container that the DN lies in, or what stands
/// directly in it. Nothing stands deeper, so two look-ups are enough however long the DN is.
fn matched_dn<'a>(reader: &Reader<'a>, target: &Target<'_>) -> &'a [u8] {
    let container = reader.matched_dn(target.text.as_bytes());
    let mut above = Vec::new();
    if normalize_dn(container, reader.schema(), &mut above).is_err() {
        return container;
    }
    let inside = target.normal.len().saturating_sub(above.len() + 1);
    let Some(rdn) = target.normal.get(..inside).and_then(|inside| rdns(inside).last()) else {
        return container;
    };
    let deeper = target.normal.get(inside - rdn.len()..).unwrap_or_default();
    let entry = reader.tree().find_normal(deeper, reader.schema()).and_then(|id| reader.entry(id));
    entry.map_or(container, |entry| entry.dn())
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
