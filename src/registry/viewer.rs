//! What a caller may know of: an object is named (by number, UUID, slug, identifier, name) to who may view it, and to
//! nobody else, whatever it stands beside.

use std::collections::{BTreeSet, HashSet};

use super::caller::Caller;
use crate::access::Rights;
use crate::directory::Accounts;
use crate::model::{ObjectReference, Permission};
use crate::schema::steps;

/// What a caller may know of in one revision of the directory: looked up once for an answer, and never kept beyond it.
#[derive(Clone, Debug, Default)]
pub struct Viewer {
    is_superuser: bool,
    /// What it may view all objects of.
    kinds: HashSet<Permission>,
    /// What it may view one by one.
    objects: HashSet<ObjectReference>,
    /// What it knows without viewing it: itself, and what it asks about.
    own: Vec<ObjectReference>,
}

impl Viewer {
    /// What this caller may know of.
    pub fn new(caller: &Caller, accounts: &Accounts) -> Self {
        if caller.is_superuser(accounts) {
            return Self::of_everything();
        }
        let mut viewer = Self::default();
        let Some(holder) = caller.holder() else { return viewer };
        viewer.own.push(ObjectReference::Account(holder.account));
        let Some(account) = accounts.account(holder.account).filter(|account| account.is_active) else {
            return viewer;
        };
        viewer.objects.extend(account.tokens.iter().copied().map(ObjectReference::Token));
        for grant in Rights::of_account(accounts, account).grants {
            steps::note(1);
            match grant.on {
                None => drop(viewer.kinds.insert(grant.permission)),
                Some(on) if on.view_permission() == grant.permission => drop(viewer.objects.insert(on)),
                Some(_) => {}
            }
        }
        viewer
    }

    /// What the operator may know of.
    pub fn of_everything() -> Self {
        Self { is_superuser: true, ..Self::default() }
    }

    /// The same, for a request that is about this object: whoever may change one is told its name.
    pub fn about(mut self, on: ObjectReference) -> Self {
        self.own.push(on);
        self
    }

    /// Whether it may view an object. One that it may not does not exist for it.
    pub fn sees(&self, on: ObjectReference) -> bool {
        self.sees_all(on.view_permission()) || self.objects.contains(&on)
    }

    /// Whether it may view all objects of the kind that a permission to view is about.
    pub fn sees_all(&self, permission: Permission) -> bool {
        self.is_superuser || self.kinds.contains(&permission)
    }

    /// Whether an object may be named where it stands beside another: it may be viewed, or it is the caller itself.
    pub fn names(&self, on: ObjectReference) -> bool {
        self.sees(on) || self.own.contains(&on)
    }

    /// The name of an object in a sentence, or `otherwise` where it may not be named.
    pub fn called(&self, on: ObjectReference, name: &str, otherwise: &str) -> String {
        if self.names(on) { format!("`{name}`") } else { otherwise.to_owned() }
    }

    /// What a list becomes that the caller has read and gives back: in the order in which it is given, and what it was not
    /// shown stays where it was.
    pub fn kept<T: Copy + Ord>(
        &self,
        present: impl IntoIterator<Item = T>,
        given: Vec<T>,
        reference: fn(T) -> ObjectReference,
    ) -> Vec<T> {
        let mut seen = BTreeSet::new();
        let mut given = given.into_iter().filter(|item| seen.insert(*item));
        let mut list = Vec::new();
        for item in present {
            match self.names(reference(item)) {
                true => list.extend(given.next()),
                false => list.push(item),
            }
        }
        list.extend(given);
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupNumber;

    #[test]
    fn what_was_not_shown_stays_in_a_list() {
        let group = |number| ObjectReference::Group(GroupNumber::new(number));
        let viewer = Viewer { objects: [1, 2, 5].map(group).into(), ..Viewer::default() };
        let kept = |given: &[u32]| viewer.kept([4, 2, 1, 3], given.to_vec(), group_of);
        fn group_of(number: u32) -> ObjectReference {
            ObjectReference::Group(GroupNumber::new(number))
        }
        assert_eq!(kept(&[2, 1]), [4, 2, 1, 3], "as it was read");
        assert_eq!(kept(&[1, 2]), [4, 1, 2, 3]);
        assert_eq!(kept(&[]), [4, 3]);
        assert_eq!(kept(&[5, 1, 5]), [4, 5, 1, 3]);
        assert_eq!(kept(&[1, 2, 5]), [4, 1, 2, 3, 5]);
    }
}
