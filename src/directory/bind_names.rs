//! Names without a DN, and what is counted of any name: by its text and the configuration.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::accounts::{AccountState, name_key};
use super::entry_id::EntryId;
use super::snapshot::Snapshot;
use super::tree::Tree;
use crate::model::AccountNumber;
use crate::schema::normalize_dn;

impl Snapshot {
    /// The tree whose `user@domain` names bind there, of a name in RFC 4518 caseIgnore form that is one of these; and the
    /// form of what stands before the `@`.
    pub fn before_domain<'a>(&self, form: &'a [u8]) -> Option<(&Arc<Tree>, &'a [u8])> {
        let mut binding = self.trees().iter().filter(|tree| tree.bind_domain().is_some());
        binding.find_map(|tree| Some((tree, tree.before_domain(form)?)))
    }

    /// The account that a name in RFC 4518 caseIgnore form stands for, which is no DN. A username may be a mail address:
    /// where the whole is somebody's, it is his before all else.
    pub fn account_of_name(&self, form: &[u8]) -> Option<&Arc<AccountState>> {
        let named = || self.accounts().account_keyed(self.before_domain(form)?.1);
        self.accounts().account_keyed(form).or_else(named)
    }

    /// By what failures of a name in RFC 4518 caseIgnore form are counted, which is no DN: without domains that names bind
    /// by. Whether the whole is somebody's must make no difference.
    pub fn subject_of_name<'a>(&self, form: &'a [u8]) -> &'a [u8] {
        let mut subject = form;
        while let Some((_, name)) = self.before_domain(subject) {
            subject = name;
        }
        subject
    }

    /// The same of a DN below the suffix of `tree`: as of the name that it is made of, or else its normal form.
    pub fn subject_of_dn(&self, tree: &Tree, dn: &[u8], normal: Vec<u8>) -> Vec<u8> {
        match tree.name_in(dn, self.schema()) {
            Some(form) => self.subject_of_name(&form).to_vec(),
            None => normal,
        }
    }

    /// By what failures of an account are counted, however it is spelt: more than one where it was imported with a DN that
    /// is not made of its username.
    pub fn subjects_of(&self, account: AccountNumber) -> BTreeSet<Vec<u8>> {
        let Some(state) = self.accounts().account(account) else { return BTreeSet::new() };
        let mut subjects = BTreeSet::from([self.subject_of_name(&name_key(&state.username)).to_vec()]);
        for entry in self.trees().iter().filter_map(|tree| tree.entry(EntryId::of_account(account))) {
            let mut normal = Vec::with_capacity(entry.dn().len() + 16);
            if normalize_dn(entry.dn(), self.schema(), &mut normal).is_ok()
                && let Some(tree) = self.tree_of_normal(&normal)
            {
                subjects.insert(self.subject_of_dn(tree, entry.dn(), normal));
            }
        }
        subjects
    }
}
