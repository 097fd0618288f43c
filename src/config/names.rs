//! Names and DNs as far as a config file is checked: what is the same name, what can be a DN.

use super::seed::ReferenceKind;
use crate::model::{NAME_OCTETS_MAX, is_invisible};
use crate::quoted::{called, quoted};
use crate::schema::{Dn, MatchingRule, Schema, is_oid, normalize_dn};

/// What two names have in common when they name the same object. Names of accounts, groups, roles,
/// providers and attribute types fold case; identifiers of tokens and slugs of applications are compared as they are.
pub(super) fn name_form(kind: ReferenceKind, name: &str) -> String {
    match kind {
        ReferenceKind::Account | ReferenceKind::Group | ReferenceKind::Role | ReferenceKind::Provider => {
            fold(name)
        }
        ReferenceKind::Attribute => name.to_ascii_lowercase(),
        ReferenceKind::Token | ReferenceKind::Application => name.to_owned(),
    }
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadName {
    /// There is nothing in it that is compared.
    #[error("expected a name that is not empty")]
    Empty,
    /// It has more octets than [`NAME_OCTETS_MAX`].
    #[error("expected a name of at most {} octets", NAME_OCTETS_MAX)]
    Long,
    /// It has something that no name may have.
    #[error("expected a name without {0}")]
    With(&'static str),
}

/// Whether an object may have this name.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_name(name: &str) -> Result<(), BadName> {
    let mut form = Vec::with_capacity(name.len());
    let is_comparable = MatchingRule::CaseIgnore.normalize(name.as_bytes(), &mut form).is_ok();
    if name.trim().is_empty() {
        Err(BadName::Empty)
    } else if name.len() > NAME_OCTETS_MAX {
        Err(BadName::Long)
    } else if name.chars().any(is_invisible) {
        Err(BadName::With("control characters, or marks that nobody sees"))
    } else if name.trim() != name {
        Err(BadName::With("blanks at its ends"))
    } else if !is_comparable {
        // Without a form two spellings of it would be two names, and no filter would find either.
        Err(BadName::With(
            "characters that cannot be compared (of private use, unassigned, or the replacement character)",
        ))
    } else if form.is_empty() {
        Err(BadName::Empty)
    } else {
        Ok(())
    }
}

/// The RFC 4518 caseIgnore form of a name.
pub(super) fn fold(text: &str) -> String {
    let mut form = Vec::with_capacity(text.len());
    match MatchingRule::CaseIgnore.normalize(text.as_bytes(), &mut form) {
        Ok(()) => String::from_utf8_lossy(&form).into_owned(),
        Err(_) => text.to_owned(),
    }
}

/// What two DNs have in common when they are the same.
pub(super) fn dn_form(dn: &str) -> String {
    let mut form = Vec::with_capacity(dn.len());
    match normalize_dn(dn.as_bytes(), &Schema::core(), &mut form) {
        Ok(()) => String::from_utf8_lossy(&form).into_owned(),
        Err(_) => dn.to_owned(),
    }
}

/// A DN of at least one part in the spelling of RFC 4514.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn canonical_dn(text: &str) -> Result<String, String> {
    let example = "expected a DN such as \"dc=example,dc=com\"";
    let dn = Dn::parse(text.as_bytes()).map_err(|error| format!("{example}: {error}"))?;
    if dn.is_root() {
        return Err(format!("{example}, found an empty one"));
    }
    for pair in dn.rdns().iter().flat_map(|rdn| rdn.pairs()) {
        check_attribute_type(&pair.attribute)?;
        if pair.value.is_empty() {
            return Err(format!("{example}: {} has no value", called(&pair.attribute)));
        }
    }
    Ok(dn.to_string())
}

/// Whether `text` can name an attribute type in a DN (RFC 4512, 1.4). What entries may hold beside is for the schema to say.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_attribute_type(text: &str) -> Result<(), String> {
    if is_oid(text.as_bytes()) {
        Ok(())
    } else {
        Err(format!("expected the name of an attribute, such as \"cn\", found {text}", text = quoted(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_have_types_and_values() {
        for (dn, canonical) in [
            ("dc=ldap,dc=example,dc=com", "dc=ldap,dc=example,dc=com"),
            ("DC=Example , dc = com", "DC=Example,dc=com"),
            ("ou=Users", "ou=Users"),
            ("o=A\\2C B+l=C, c = D", "o=A\\, B+l=C,c=D"),
            ("0.9.2342.1=x", "0.9.2342.1=x"),
        ] {
            assert_eq!(canonical_dn(dn), Ok(canonical.to_owned()), "{dn}");
        }
        for dn in ["", "users", "dc=,dc=com", "dc=a,,dc=b", "=x", "d c=x", "dc=a,"] {
            assert!(canonical_dn(dn).is_err(), "{dn}");
        }
    }

    #[test]
    fn names_fold() {
        assert_eq!(name_form(ReferenceKind::Account, "Alice  ADAMS"), "alice adams");
        assert_eq!(name_form(ReferenceKind::Token, "Alice"), "Alice");
        assert_eq!(dn_form("DC=Example , dc = com"), "dc=example,dc=com");
    }
}
