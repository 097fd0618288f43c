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

    /// By what failures of a name in RFC 4518 caseIgnore form are counted, which is no DN: by that form, but for spaces before
    /// a domain. Like that of a DN it follows from the text and the configuration, never from whether there is such an account:
    /// else a pause would tell it.
    pub fn counted_name(&self, form: &[u8]) -> Vec<u8> {
        match self.before_domain(form) {
            Some((tree, name)) => [name, tree.domain_ending()].concat(),
            None => form.to_vec(),
        }
    }

    /// By what failures of a DN are counted, which is below a suffix of ours, given in its normal form too: as those of the
    /// name that it is made of, or else by that form.
    pub fn counted_dn(&self, dn: &[u8], normal: &[u8]) -> Vec<u8> {
        let name = self.tree_of_normal(normal).and_then(|tree| tree.name_in(dn, self.schema()));
        name.map_or_else(|| normal.to_vec(), |form| self.counted_name(&form))
    }

    /// By what failures of an account are counted, but for what is another's name: its username, that with each domain by
    /// which it binds, and its DNs.
    pub fn counted_forms(&self, account: AccountNumber) -> BTreeSet<Vec<u8>> {
        let Some(state) = self.accounts().account(account) else { return BTreeSet::new() };
        let domains = self.trees().iter().filter_map(|tree| tree.bind_domain());
        let addresses = domains.map(|domain| name_key(&format!("{}@{domain}", state.username)));
        let names = addresses.chain([name_key(&state.username)]).map(|form| self.counted_name(&form));
        let dns = self.trees().iter().filter_map(|tree| {
            let entry = tree.entry(EntryId::of_account(account))?;
            let mut normal = Vec::with_capacity(entry.dn().len() + 16);
            normalize_dn(entry.dn(), self.schema(), &mut normal).ok()?;
            Some(self.counted_dn(entry.dn(), &normal))
        });
        names.chain(dns).filter(|form| self.is_no_name_of_others(form, account)).collect()
    }

    /// Whether all that is counted by this form is of one account: by being right nobody forgives what was tried at another,
    /// whose DN may be made of the same name.
    pub fn is_counted_for_one(&self, form: &[u8], account: AccountNumber) -> bool {
        let is_other = |id| self.accounts().account_of_entry(id).is_some_and(|it| it.number != account);
        self.is_no_name_of_others(form, account)
            && std::str::from_utf8(form).is_ok_and(|name| {
                let mut trees = self.trees().iter();
                !trees.any(|tree| tree.accounts_called(name, self.schema()).any(is_other))
            })
    }

    /// An address may be somebody's username, and a DN may be made of it.
    fn is_no_name_of_others(&self, form: &[u8], account: AccountNumber) -> bool {
        self.account_of_name(form).is_none_or(|named| named.number == account)
    }
}
