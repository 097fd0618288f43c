//! What a call reads: one revision of the directory, and the records behind it.

use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::answer::{Room, WrittenPage};
use super::attributes;
use super::call::parameter;
use super::ordered::{Ordered, SortKey};
use super::page::PageQuery;
use super::refusal::CallRefusal;
use crate::auth::Pause;
use crate::directory::{Accounts, Snapshot};
use crate::model::{
    Account, AccountNumber, Attribute, AttributeForm, Group, GroupNumber, Key, ObjectReference, Permission,
    Record, Timestamp, Usage, UsageOf,
};
use crate::net::Tls;
use crate::registry::{Caller, ChangeError, Registry, Transaction, Viewer};

/// Where a representation is made from: the directory, with the records of it that are not in memory.
pub(super) trait RepresentationSource {
    /// The directory.
    fn snapshot(&self) -> &Snapshot;

    /// Who asks for it.
    fn caller(&self) -> &Caller;

    /// What they may know of.
    fn viewer(&self) -> Arc<Viewer>;

    /// The whole record of an account.
    fn account(&self, number: AccountNumber) -> Result<Option<Account>, ChangeError>;

    /// The whole record of a group.
    fn group(&self, number: GroupNumber) -> Result<Option<Group>, ChangeError>;

    /// The last use of a credential.
    fn usage(&self, of: UsageOf) -> Option<Usage> {
        self.accounts().usage(of).map(|usage| Usage::clone(usage))
    }

    /// When a credential was used last.
    fn last_used(&self, of: UsageOf) -> Option<Timestamp> {
        self.usage(of).map(|usage| usage.time)
    }

    /// When an account last proved who it is, with whatever.
    fn last_login(&self, number: AccountNumber) -> Option<Timestamp> {
        let tokens = self.accounts().account(number).into_iter().flat_map(|account| account.tokens.iter());
        let by_token = tokens.filter_map(|token| self.last_used(UsageOf::Token(*token))).max();
        by_token.max(self.last_used(UsageOf::Account(number)))
    }

    fn accounts(&self) -> &Accounts {
        self.snapshot().accounts()
    }

    /// Attributes in an answer, as far as there is room for it.
    fn attributes(&self, attributes: &[Attribute], forms: &[AttributeForm]) -> Map<String, Value> {
        attributes::write(attributes, forms)
    }

    /// What came of looking at a field of a request, see [`Transaction::noting`].
    ///
    /// # Errors
    /// It cannot be.
    fn noting<T>(&self, result: Result<T, ChangeError>) -> Result<Option<T>, ChangeError> {
        result.map(Some)
    }

    /// Whether an object may be named that stands beside the one that is shown.
    fn names(&self, on: ObjectReference) -> bool {
        self.viewer().names(on)
    }
}

impl RepresentationSource for Transaction<'_> {
    fn snapshot(&self) -> &Snapshot {
        Transaction::snapshot(self)
    }

    fn caller(&self) -> &Caller {
        Transaction::caller(self)
    }

    fn viewer(&self) -> Arc<Viewer> {
        Arc::new(Transaction::viewer(self))
    }

    fn account(&self, number: AccountNumber) -> Result<Option<Account>, ChangeError> {
        Transaction::account(self, number)
    }

    fn group(&self, number: GroupNumber) -> Result<Option<Group>, ChangeError> {
        Transaction::group(self, number)
    }

    fn noting<T>(&self, result: Result<T, ChangeError>) -> Result<Option<T>, ChangeError> {
        Transaction::noting(self, result)
    }
}

/// A call that only reads. It may wait for the disk, so it is carried out on a thread that may.
pub(super) struct Reading {
    pub(super) registry: Arc<Registry>,
    pub(super) caller: Caller,
    pub(super) page: PageQuery,
    pub(super) tls: Option<Arc<Tls>>,
    /// What its answer may hold.
    pub(super) room: Arc<Room>,
    snapshot: Arc<Snapshot>,
    /// Cancelled when nobody waits for the answer any more.
    left: CancellationToken,
    /// Looked up when something is asked of it first.
    viewer: OnceLock<Arc<Viewer>>,
    parameters: Vec<(String, String)>,
}

impl RepresentationSource for Reading {
    fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn caller(&self) -> &Caller {
        &self.caller
    }

    fn viewer(&self) -> Arc<Viewer> {
        let viewer = self.viewer.get_or_init(|| Arc::new(Viewer::new(&self.caller, self.accounts())));
        Arc::clone(viewer)
    }

    fn account(&self, number: AccountNumber) -> Result<Option<Account>, ChangeError> {
        Ok(match self.record(&Key::Account(number))? {
            Some(Record::Account(account)) => Some(account),
            _ => None,
        })
    }

    fn usage(&self, of: UsageOf) -> Option<Usage> {
        match of {
            UsageOf::Token(number) => self.registry.last_used_token(number),
            UsageOf::Account(number) => self.registry.last_used_account(number),
        }
    }

    fn attributes(&self, attributes: &[Attribute], forms: &[AttributeForm]) -> Map<String, Value> {
        if self.room.hold(attributes::octets_as_json(attributes)) {
            attributes::write(attributes, forms)
        } else {
            Map::new()
        }
    }

    fn group(&self, number: GroupNumber) -> Result<Option<Group>, ChangeError> {
        Ok(match self.record(&Key::Group(number))? {
            Some(Record::Group(group)) => Some(group),
            _ => None,
        })
    }
}

impl Reading {
    pub(super) fn new(
        registry: Arc<Registry>,
        caller: Caller,
        page: PageQuery,
        tls: Option<Arc<Tls>>,
        room: Arc<Room>,
        parameters: Vec<(String, String)>,
    ) -> Self {
        let snapshot = registry.snapshot();
        let left = CancellationToken::new();
        Self { registry, caller, page, tls, room, snapshot, left, viewer: OnceLock::new(), parameters }
    }

    /// The same, which ends its walks when `left` is cancelled.
    pub(super) fn until(self, left: CancellationToken) -> Self {
        Self { left, ..self }
    }

    /// Objects of a kind, one after the other. Behind the end of the call, by its time or because its client has gone, there
    /// are no more: nobody waits for what would be answered.
    pub(super) fn walk<T>(&self, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        all.take_while(|_| !self.left.is_cancelled())
    }

    /// Asks whether the caller still is who it was: since its call began it may have waited for its own body, or for its
    /// turn.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn verify(&self) -> Result<(), CallRefusal> {
        Ok(self.caller.verify(self.accounts(), self.registry.now())?)
    }

    /// A list that is put in the order that is asked for as it is found.
    pub(super) fn ordered<T>(&self) -> Ordered<'_, T> {
        Ordered::new(&self.page, &self.room)
    }

    /// Puts a list in the order that is asked for, see [`Ordered::push`].
    ///
    /// # Errors
    /// The list has no such order, or there is no room for what it is ordered by.
    pub(super) fn order<T>(
        &self,
        items: &mut Vec<T>,
        key: impl Fn(&str, &T) -> Option<SortKey>,
    ) -> Result<(), CallRefusal> {
        let mut ordered = self.ordered();
        std::mem::take(items).into_iter().try_for_each(|item| ordered.push(item, &key))?;
        *items = ordered.done();
        Ok(())
    }

    /// Cuts the page out of a list that is filtered and in order.
    ///
    /// The list is of one revision, records are read as they are now: what `show` does not find has gone since, and is left out
    /// of its page. It counts, as it is of that revision, so that all else stands on the page on which it is looked for.
    ///
    /// # Errors
    /// There is no such page, or an item cannot be shown, or there is no room for it.
    pub(super) fn cut<T, V: Serialize>(
        &self,
        items: &[T],
        mut show: impl FnMut(&T) -> Result<V, CallRefusal>,
    ) -> Result<WrittenPage<V>, CallRefusal> {
        let (first, size) = self.page.span();
        let envelope = self.page.envelope(items.len())?;
        let page = items.iter().skip(first).take(size);
        let shown = page.filter_map(|item| match show(item) {
            Err(refusal) if refusal.is_not_there() => None,
            shown => Some(shown),
        });
        WrittenPage::write(&self.room, envelope, shown)
    }

    /// A part of the path.
    ///
    /// # Errors
    /// Nothing can have such a name.
    pub(super) fn parameter<T: FromStr + ToString>(&self, name: &str) -> Result<T, CallRefusal> {
        parameter(&self.parameters, name)
    }

    /// Whether the caller may do this, on the object or at all.
    pub(super) fn may(&self, permission: Permission, on: Option<ObjectReference>) -> bool {
        self.caller.may(self.accounts(), permission, on)
    }

    /// Whether the caller may know of an object.
    pub(super) fn may_view(&self, on: ObjectReference) -> bool {
        self.viewer().sees(on)
    }

    /// Whether the caller may know of an object that it names: where not, its call is refused.
    pub(super) fn knows(&self, on: ObjectReference) -> bool {
        self.caller.knows(self.accounts(), on)
    }

    /// Where the passwords of an account are not looked at for now.
    pub(super) fn pauses(&self, account: AccountNumber) -> Vec<Pause> {
        self.registry.pauses(account)
    }

    /// Asks for an object, and for the permission to view it.
    ///
    /// # Errors
    /// It does not exist, or not to the caller.
    pub(super) fn require_view(&self, on: ObjectReference) -> Result<(), CallRefusal> {
        if self.knows(on) && self.accounts().has(on) { Ok(()) } else { Err(CallRefusal::not_found()) }
    }

    fn record(&self, key: &Key) -> Result<Option<Record>, ChangeError> {
        self.registry.store().get(key).map_err(|error| ChangeError::Store(Arc::new(error)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::access::{Credential, Holder};
    use crate::config::Seed;
    use crate::http::api::call::{Call, Door};
    use crate::http::api::{Api, event};
    use crate::model::{AccountKind, Actor};
    use crate::registry::commands::testing::{account, actor, apply, registry_over, token, wait};
    use crate::store::MemoryStore;

    #[test]
    fn who_was_revoked_while_its_body_came_reads_nothing() {
        let registry = registry_over(Arc::new(MemoryStore::new()));
        let seed = Seed {
            accounts: vec![account("portal", AccountKind::ServiceAccount)],
            tokens: vec![token("portal-api", "portal")],
            ..Seed::default()
        };
        apply(&registry, &seed).unwrap();
        let token = registry.snapshot().accounts().token_named("portal-api").unwrap().clone();
        let credential = Credential::Token { number: token.number, generation: token.generation };
        let holder = Holder { account: token.account, credential };
        let caller = Caller::account(holder, Actor::named("portal"));
        let api = Api::new(Arc::clone(&registry), Door::Public);
        let call = || Call::new(&api, caller.clone(), PageQuery::default(), Vec::new());
        call().reading().verify().unwrap();
        wait(registry.revoke_token(actor(), "portal-api".to_owned(), crate::registry::Replaced::End))
            .unwrap();
        let gone = call().reading().verify().unwrap_err().status();
        let events = wait(event::list(call(), Default::default())).err().unwrap().status();
        assert_eq!((gone.as_u16(), events), (401, gone));
    }
}
