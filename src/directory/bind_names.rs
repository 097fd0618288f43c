//! Whom names stand for, looked up alike whether there is somebody or not, and what is counted of them: by their text and the
//! configuration.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::accounts::{AccountState, name_key};
use super::entry_id::EntryId;
use super::snapshot::Snapshot;
use super::tree::{NameInDn, Tree};
use crate::model::AccountNumber;
use crate::schema::{normalize_dn, steps};

/// What a DN stands for when somebody is named by it.
pub struct NamedByDn<'a> {
    pub account: Option<&'a Arc<AccountState>>,
    /// By what its failures are counted: it follows from the text and the configuration.
    pub counted: Vec<u8>,
}

impl Snapshot {
    /// The tree whose `user@domain` names bind there, of a name in RFC 4518 caseIgnore form that is one of these; and the
    /// form of what stands before the `@`.
    pub fn before_domain<'a>(&self, form: &'a [u8]) -> Option<(&Arc<Tree>, &'a [u8])> {
        let mut binding = self.trees().iter().filter(|tree| tree.bind_domain().is_some());
        binding.find_map(|tree| Some((tree, tree.before_domain(form)?)))
    }

    /// The account that a name in RFC 4518 caseIgnore form stands for, which is no DN. A username may be a mail address:
    /// where the whole is somebody's, it is his before all else. It takes as many steps whether or not there is one.
    pub fn account_of_name(&self, form: &[u8]) -> Option<&Arc<AccountState>> {
        let (_, name) = self.before_domain(form).unzip();
        let named = name.and_then(|name| self.accounts().account_keyed_alike(name));
        self.accounts().account_keyed_alike(form).or(named)
    }

    /// What a DN stands for in the tree that it lies in, given in its normal form too; in as many steps whether or not there is
    /// an entry, and whatever it is.
    pub fn named_by_dn(&self, tree: &Tree, dn: &[u8], normal: &[u8]) -> NamedByDn<'_> {
        let accounts = self.accounts();
        let name = tree.name_in(dn, self.schema());
        // Asked also where it decides nothing.
        let username = name.as_ref().filter(|name| name.is_username);
        let by_username = username.and_then(|name| accounts.account_keyed_alike(&name.form));
        let by_username =
            by_username.filter(|account| tree.entry(EntryId::of_account(account.number)).is_some());
        let account = match tree.find_normal_alike(normal, self.schema()) {
            Some(id) => accounts.account_of_entry(id),
            None => by_username,
        };
        NamedByDn { account, counted: self.counted_of_dn(name, normal) }
    }

    /// By what failures of a name in RFC 4518 caseIgnore form are counted, which is no DN: by that form, but for spaces before
    /// a domain. Like that of a DN it follows from the text and the configuration, never from whether there is such an account:
    /// else a pause would tell it.
    pub fn counted_name(&self, form: &[u8]) -> Vec<u8> {
        steps::note(1);
        match self.before_domain(form) {
            Some((tree, name)) => [name, tree.domain_ending()].concat(),
            None => form.to_vec(),
        }
    }

    /// By what failures of a DN are counted, which is below a suffix of ours, given in its normal form too: as those of the
    /// name that it is made of, or else by that form.
    fn counted_dn(&self, dn: &[u8], normal: &[u8]) -> Vec<u8> {
        let name = self.tree_of_normal(normal).and_then(|tree| tree.name_in(dn, self.schema()));
        self.counted_of_dn(name, normal)
    }

    fn counted_of_dn(&self, name: Option<NameInDn>, normal: &[u8]) -> Vec<u8> {
        name.map_or_else(|| normal.to_vec(), |name| self.counted_name(&name.form))
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
