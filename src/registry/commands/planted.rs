//! What strangers have put where something is yet to come: values that lead to theirs as well, providers in front of others.
//!
//! Whoever makes such a thing where the other is there already is asked for a right on that one (`known_by.rs`, `provider.rs`).
//! Who makes the other one later, and may everything, has not said that somebody else is to be taken for it: the config is
//! not applied, an import leaves out what would be shared. What somebody else than a stranger has made is told.

use super::known_by::Claim;
use super::provider;
use crate::audit::EventObject;
use crate::directory::Tree;
use crate::model::{LdapProvider, ObjectReference, ProviderNumber};
use crate::registry::origins::{self, is_strangers};
use crate::registry::{ChangeError, Transaction};

/// What a stranger's object would be taken for, or takes away.
pub(super) struct Planted {
    /// What was changed.
    pub(super) by: ObjectReference,
    /// The stranger's.
    pub(super) of: ObjectReference,
    /// Both have it, in the form in which it is compared; empty where it is no value.
    pub(super) value: Vec<u8>,
    /// What would be.
    would: String,
    /// Whose it is, in words.
    pub(super) whose: String,
}

impl Planted {
    /// What cannot be, whose that is, and what to do.
    pub(super) fn sentence(&self) -> String {
        format!("{}: {}; {}", self.would, self.whose, what_to_do(self.of, ""))
    }
}

/// What whoever has named it is to do about a stranger's object; `then` is what comes after it.
pub(super) fn what_to_do(of: ObjectReference, then: &str) -> String {
    let kind = of.kind();
    let adopts = match of {
        // It would stand where it does.
        ObjectReference::Provider(_) => "",
        _ => {
            ", `bindery apply --adopt` with its kind and name (`group:x`) takes it over, to begin as the config says"
        }
    };
    format!("`bindery {kind} set` gives it others, `bindery {kind} delete` takes it away{adopts}{then}")
}

/// Whose an object is, in words, where a stranger has made or named it; `None`: it is somebody else's.
pub(super) fn strangers(
    transaction: &Transaction<'_>,
    on: ObjectReference,
) -> Result<Option<String>, ChangeError> {
    let Some(record) = transaction.stored(&on.into())? else { return Ok(None) };
    let origin = origins::origin(&record).unwrap_or_default();
    let accounts = transaction.before().accounts();
    if !is_strangers(origin, accounts) {
        return Ok(None);
    }
    let EventObject { kind, name, .. } = EventObject::of(&record);
    Ok(Some(format!("the {kind} `{name}` was {}", origins::made(&record, accounts))))
}

/// The values by which something becomes known and a stranger's object is known as well.
pub(super) fn values(transaction: &Transaction<'_>, claims: &[Claim]) -> Result<Vec<Planted>, ChangeError> {
    let accounts = transaction.snapshot().accounts();
    let mut found = Vec::new();
    for Claim { by, between: [one, other], value, .. } in claims {
        let whose = [strangers(transaction, *one)?, strangers(transaction, *other)?];
        // Between two of strangers it is no matter of who makes the change.
        let (of, beside, whose) = match whose {
            [None, Some(whose)] => (*other, *one, whose),
            [Some(whose), None] => (*one, *other, whose),
            [Some(_), Some(_)] | [None, None] => continue,
        };
        let name = accounts.name(beside).unwrap_or_default();
        let would = format!(
            "the {} `{name}` would be known by `{}` as something else is, so that clients or hosts could take one for the \
             other",
            beside.kind(),
            String::from_utf8_lossy(value)
        );
        found.push(Planted { by: *by, of, value: value.clone(), would, whose });
    }
    Ok(found)
}

/// The strangers' providers that stand below or above one that is made now, or has another suffix or other containers now; and
/// the one that answers bare names because it was alone.
pub(super) fn providers(
    transaction: &Transaction<'_>,
    changed: &[ProviderNumber],
) -> Result<Vec<Planted>, ChangeError> {
    let (before, now) = (transaction.before(), transaction.snapshot());
    let mut found = Vec::new();
    let mut plant = |by: &Tree, of: &Tree, would: String| -> Result<(), ChangeError> {
        let [by, of] = [by, of].map(|tree| ObjectReference::Provider(tree.provider().number));
        if let Some(whose) = strangers(transaction, of)? {
            found.push(Planted { by, of, value: Vec::new(), would, whose });
        }
        Ok(())
    };
    for own in changed.iter().filter_map(|number| now.tree(*number)) {
        let on = ObjectReference::Provider(own.provider().number);
        let was = before.tree(own.provider().number).filter(|_| !transaction.counts_as_new(on));
        if was.is_none_or(|was| has_other_names(was, own)) {
            // Of the same suffix it is told by itself.
            let others = now.trees().iter().filter(|other| other.suffix() != own.suffix());
            for other in others.filter(|other| provider::is_nested(own, other)) {
                let would = format!(
                    "its suffix would lie below or above `{}`, and what stands in both would bind past the application of one",
                    other.provider().base_dn
                );
                plant(own, other, would)?;
            }
        }
        if let ([only], None) = (before.trees(), was)
            && let Some(default) = now.default_tree()
            && default.provider().number == only.provider().number
        {
            let would = "bare names would go on binding at the only provider that there was, and not here: say \
                         `default = true` of the one where they are to bind";
            plant(own, default, would.to_owned())?;
        }
    }
    Ok(found)
}

/// Whether the DNs of entries are others.
fn has_other_names(was: &Tree, now: &Tree) -> bool {
    let (one, other): (&LdapProvider, &LdapProvider) = (was.provider(), now.provider());
    was.suffix() != now.suffix()
        || one.users != other.users
        || one.service_accounts != other.service_accounts
        || one.groups != other.groups
}
