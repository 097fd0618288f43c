//! What a connection may see of a tree, decided anew for every operation.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use smallvec::SmallVec;

use super::admission::{Admission, NotAdmitted};
use super::binding::Applicant;
use super::binding_reason::Audience;
use super::identity::{Identity, Invalid};
use super::limits::{SearchLimits, search_limits};
use super::rights::decide;
use crate::directory::{
    AccountState, Accounts, Elsewhere, EntryId, Finding, OwnEntries, Snapshot, TreeReader, Visibility,
};
use crate::model::{
    AccountNumber, Application, ObjectReference, Permission, ProviderNumber, Revision, Timestamp,
};

/// Why a connection may see nothing of a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody is bound.
    #[error("nobody is bound to this connection")]
    Anonymous,
    /// Who was bound is so no longer.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The application of the bind's provider does not admit the account any more.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// Another provider, whose application does not admit the account: it does not exist for it.
    #[error("the provider does not exist for this account")]
    OtherProvider,
}

impl Denied {
    /// Whether somebody should look at it. Connections of an account whose password was changed do not know of it yet:
    /// each of them asks for something once.
    pub const fn is_suspicious(&self) -> bool {
        !matches!(self, Self::Invalid(Invalid::PasswordChanged))
    }
}

/// What the groups of an account give it, from one operation of a connection to the next: to go through them costs what
/// they are, and they are the same until the directory is another. So are the bindings of applications, but for those to
/// networks and times, which are asked again at every second. Whether the identity holds is not kept.
#[derive(Debug, Default)]
pub struct Entitlements {
    kept: Option<Kept>,
    /// By the provider that the account is bound to.
    own: Option<Admitted>,
    /// By another one, which it asked for last.
    other: Option<Admitted>,
    /// Whether it holds the right to see all of a tree.
    full: Option<(Of, bool)>,
    work: u64,
    /// How many values were asked whether they are shown.
    asked: Arc<AtomicU64>,
    /// Whether the directory was another before all that is shown was found.
    is_late: bool,
}

/// What something is kept for.
type Of = (Revision, AccountNumber, ProviderNumber);

#[derive(Debug)]
struct Kept {
    of: (Revision, AccountNumber),
    limits: SearchLimits,
    views: SmallVec<[View; 1]>,
}

/// What is seen of one tree.
#[derive(Debug)]
struct View {
    provider: ProviderNumber,
    visibility: Visibility,
    /// When it was asked what other providers admit, in seconds.
    asked: i64,
    finding: Finding,
    /// Whether it was found which values are shown.
    is_found: bool,
}

impl View {
    fn new(provider: ProviderNumber, visibility: Visibility, asked: i64) -> Self {
        Self { provider, visibility, asked, finding: Finding::default(), is_found: false }
    }

    fn holds(&self, snapshot: &Snapshot, now: Timestamp) -> bool {
        snapshot.trees().len() == 1 || self.asked == now.unix_seconds()
    }
}

/// Whether the application of a provider admits an account.
#[derive(Debug)]
struct Admitted {
    of: Of,
    admission: Admission,
    /// To which client and when it was asked last.
    asked: (Option<IpAddr>, Timestamp),
    /// What came of it.
    admits: bool,
    /// That in words, if somebody has asked for them.
    refused: Option<NotAdmitted>,
}

impl Entitlements {
    /// What was done since the last time that this was asked, in the unit in which an evaluator counts.
    pub fn take_work(&mut self) -> u64 {
        std::mem::take(&mut self.work)
    }

    /// What it has cost so far to find what is shown, in the same unit. It has to do with what is hidden: no answer may
    /// depend on it.
    pub fn cost_apart(&self) -> u64 {
        WORK_OF_A_VALUE * self.asked.load(Relaxed)
    }

    /// Counts work that was done for the account elsewhere.
    pub fn add_work(&mut self, work: u64) {
        self.work += work;
    }

    /// Asks the application of the provider that the account is bound to whether it admits it to a client at `source`, at
    /// `now`.
    ///
    /// # Errors
    /// Why it does not.
    pub fn admit(
        &mut self,
        snapshot: &Snapshot,
        account: &AccountState,
        provider: ProviderNumber,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), NotAdmitted> {
        let Some(application) = snapshot.accounts().application_of(provider) else { return Ok(()) };
        let applicant = Applicant::new(snapshot.accounts(), account, source, now);
        let own = Admitted::ask(&mut self.own, snapshot.revision(), &applicant, provider, application);
        let refused = (!own.admits).then(|| {
            let told = || NotAdmitted::new(&applicant, application, Audience::Client);
            own.refused.get_or_insert_with(told).clone()
        });
        self.work += applicant.work();
        refused.map_or(Ok(()), Err)
    }

    /// The same for who does not tell why; also of a provider that it is not bound to.
    fn is_admitted(
        &mut self,
        snapshot: &Snapshot,
        account: &AccountState,
        (provider, is_own): (ProviderNumber, bool),
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> bool {
        let Some(application) = snapshot.accounts().application_of(provider) else { return true };
        let applicant = Applicant::new(snapshot.accounts(), account, source, now);
        let kept = if is_own { &mut self.own } else { &mut self.other };
        let admits = Admitted::ask(kept, snapshot.revision(), &applicant, provider, application).admits;
        self.work += applicant.work();
        admits
    }

    fn holds_full(&mut self, snapshot: &Snapshot, account: &AccountState, provider: ProviderNumber) -> bool {
        let of = (snapshot.revision(), account.number, provider);
        let kept = self.full.filter(|(kept, _)| *kept == of).map(|(_, holds)| holds);
        let holds = kept.unwrap_or_else(|| {
            self.work += snapshot.accounts().group_steps(account);
            holds_full(snapshot.accounts(), account, provider)
        });
        self.full = Some((of, holds));
        holds
    }

    /// Keeps nothing large.
    pub fn release(&mut self) {
        let is_large = |seen: &Visibility| match seen {
            Visibility::Own(own) => own.as_slice().len() > KEPT_ENTRIES_MAX,
            Visibility::Full | Visibility::Tree(_) => false,
        };
        for kept in [&mut self.own, &mut self.other] {
            kept.take_if(|kept| kept.refused.is_some() || kept.admission.open() > KEPT_ENTRIES_MAX);
        }
        self.kept.take_if(|kept| kept.views.iter().any(|view| is_large(&view.visibility)));
        let Some(kept) = &mut self.kept else { return };
        for view in &mut kept.views {
            if view.visibility.release() {
                (view.finding, view.is_found) = (Finding::default(), false);
            }
        }
    }

    /// Finds which values who is bound is shown of its own entries in the tree of its provider, a piece at a time; says
    /// whether all of it is found. Whoever waits for it asks nothing else meanwhile, so that what is hidden shows in no order
    /// of answers either. In other trees, where few look, and where the directory changes all the time, it is found at once.
    pub fn find_shown(
        &mut self,
        snapshot: &Snapshot,
        identity: &Identity,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> bool {
        let (number, provider) = (identity.holder.account, identity.provider);
        let kept = self.kept.as_ref().filter(|kept| kept.of == (snapshot.revision(), number));
        let mut views = kept.into_iter().flat_map(|kept| &kept.views);
        if views.any(|view| view.provider == provider && view.is_found && view.holds(snapshot, now)) {
            return true;
        }
        let Some(account) = snapshot.accounts().account(number) else { return true };
        let Some(tree) = snapshot.tree(provider) else { return true };
        let mut allowance = if self.is_late { u64::MAX } else { VALUES_AT_ONCE };
        let view = self.view(snapshot, account, provider, source, now);
        let reader = TreeReader::new(snapshot, tree, &view.visibility);
        view.is_found = reader.find_shown(&mut view.finding, &mut allowance);
        let is_found = view.is_found;
        self.is_late &= !is_found;
        is_found
    }

    /// What the roles of the account say of its searches.
    pub fn search_limits(&mut self, snapshot: &Snapshot, account: &AccountState) -> SearchLimits {
        self.of(snapshot, account).limits
    }

    fn of(&mut self, snapshot: &Snapshot, account: &AccountState) -> &mut Kept {
        let of = (snapshot.revision(), account.number);
        if let Some(before) = self.kept.take_if(|kept| kept.of != of) {
            self.is_late |= before.views.iter().any(|view| view.finding.is_begun() && !view.is_found);
        }
        let work = &mut self.work;
        self.kept.get_or_insert_with(|| {
            let accounts = snapshot.accounts();
            *work += accounts.group_steps(account);
            Kept { of, limits: search_limits(accounts, account), views: SmallVec::new() }
        })
    }

    fn view(
        &mut self,
        snapshot: &Snapshot,
        account: &AccountState,
        provider: ProviderNumber,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> &mut View {
        let is_same = |view: &View| view.provider == provider;
        let views = &self.of(snapshot, account).views;
        let mut place = views.iter().position(is_same);
        if !place.and_then(|place| views.get(place)).is_some_and(|view| view.holds(snapshot, now)) {
            let applicant = Applicant::new(snapshot.accounts(), account, source, now);
            let visibility = visibility_in(snapshot, &applicant, provider).counted_by(&self.asked);
            // The groups, and the right in each tree; and the names of what it sees, which most operations ask for.
            let steps = snapshot.accounts().group_steps(account) * (1 + snapshot.trees().len() as u64);
            self.work += applicant.work() + steps + visibility.cost_of_names();
            let asked = now.unix_seconds();
            let views = &mut self.of(snapshot, account).views;
            match views.iter_mut().find(|view| is_same(view)) {
                // What was found of it is so still.
                Some(view) if view.visibility == visibility => view.asked = asked,
                Some(view) => *view = View::new(provider, visibility, asked),
                None => {
                    place = Some(views.len());
                    views.push(View::new(provider, visibility, asked));
                }
            }
        }
        let views = &mut self.of(snapshot, account).views;
        &mut views[place.unwrap_or_default()]
    }
}

impl Admitted {
    /// Asks again what may have changed, and keeps it.
    fn ask<'a>(
        kept: &'a mut Option<Self>,
        revision: Revision,
        applicant: &Applicant<'_>,
        provider: ProviderNumber,
        application: &Application,
    ) -> &'a mut Self {
        let of = (revision, applicant.account.number, provider);
        let asked = (applicant.source, applicant.now);
        let before = kept.take().filter(|kept| kept.of == of);
        let now = match before {
            Some(before) if before.asked == asked => before,
            before => {
                let admission =
                    before.map_or_else(|| Admission::of(applicant, application), |before| before.admission);
                let admits = admission.admits(applicant, application);
                Self { of, admission, asked, admits, refused: None }
            }
        };
        kept.insert(now)
    }
}

/// Decides what `identity` may see of the tree of `provider`.
pub fn authorise(
    snapshot: &Snapshot,
    identity: Option<&Identity>,
    provider: ProviderNumber,
    source: Option<IpAddr>,
    now: Timestamp,
    entitlements: &mut Entitlements,
) -> Result<Visibility, Denied> {
    let account = admitted(snapshot, identity, provider, source, now, entitlements)?;
    Ok(entitlements.view(snapshot, account, provider, source, now).visibility.clone())
}

/// The account of `identity`, if that holds and may use `provider`.
///
/// # Errors
/// Why it may not.
pub fn admitted<'a>(
    snapshot: &'a Snapshot,
    identity: Option<&Identity>,
    provider: ProviderNumber,
    source: Option<IpAddr>,
    now: Timestamp,
    entitlements: &mut Entitlements,
) -> Result<&'a AccountState, Denied> {
    let identity = identity.ok_or(Denied::Anonymous)?;
    let account = identity.verify(snapshot.accounts(), source, now)?;
    // An identity whose own application admits it no longer is none, whatever it asks for.
    entitlements.admit(snapshot, account, identity.provider, source, now)?;
    if provider != identity.provider
        && !entitlements.is_admitted(snapshot, account, (provider, false), source, now)
    {
        return Err(Denied::OtherProvider);
    }
    Ok(account)
}

/// Whether `identity` may see all of the tree of its own provider. For who may not it costs no more than the question
/// about the permission.
pub fn sees_all(
    snapshot: &Snapshot,
    identity: &Identity,
    source: Option<IpAddr>,
    now: Timestamp,
    entitlements: &mut Entitlements,
) -> bool {
    let provider = identity.provider;
    let Some(account) = snapshot.accounts().account(identity.holder.account) else { return false };
    entitlements.holds_full(snapshot, account, provider)
        && identity.verify(snapshot.accounts(), source, now).is_ok()
        && entitlements.is_admitted(snapshot, account, (provider, true), source, now)
}

/// What an account may see of the tree of a provider that admits it, and, as far as values name what stands there, of the
/// trees of others: of those that do not admit it, from there and now, nothing.
pub(super) fn visibility_in(
    snapshot: &Snapshot,
    applicant: &Applicant<'_>,
    provider: ProviderNumber,
) -> Visibility {
    let (accounts, account) = (snapshot.accounts(), applicant.account);
    let in_tree = |provider| match visibility_of(accounts, account, provider) {
        Visibility::Own(own) => Visibility::Own(own.kept_for(snapshot.revision())),
        seen => seen,
    };
    let here = in_tree(provider);
    let others =
        snapshot.trees().iter().map(|tree| tree.provider().number).filter(|other| *other != provider);
    let is_admitted =
        |application: &Arc<Application>| Admission::of(applicant, application).admits(applicant, application);
    let admitting = others.clone().filter(|other| accounts.application_of(*other).is_none_or(is_admitted));
    let seen: Vec<_> = admitting.map(|other| (other, in_tree(other))).collect();
    let is_all =
        seen.len() == others.count() && seen.iter().all(|(_, seen)| matches!(seen, Visibility::Full));
    match here {
        Visibility::Own(own) => Visibility::Own(own.with_elsewhere(Elsewhere::new(seen))),
        _ if is_all => Visibility::Full,
        _ => Visibility::Tree(Elsewhere::new(seen)),
    }
}

/// What an account may see of the tree of a provider that admits it, but for values that name what stands in other trees.
pub fn visibility_of(accounts: &Accounts, account: &AccountState, provider: ProviderNumber) -> Visibility {
    if holds_full(accounts, account, provider) {
        return Visibility::Full;
    }
    let groups = accounts.groups_of(account).into_iter().map(EntryId::of_group);
    let own = [EntryId::of_account(account.number), EntryId::of_virtual_group(account.number)];
    Visibility::Own(OwnEntries::new(groups.chain(own).collect()))
}

fn holds_full(accounts: &Accounts, account: &AccountState, provider: ProviderNumber) -> bool {
    let on = Some(ObjectReference::Provider(provider));
    decide(accounts, account, Permission::SearchFullDirectory, on).is_allowed()
}

/// Entries that are kept for a connection that is silent: what most accounts see.
/// No limit of the config: what is forgotten is found again.
const KEPT_ENTRIES_MAX: usize = 32;
/// Values that are asked at once whether they are shown: some hundred microseconds.
const VALUES_AT_ONCE: u64 = 2_000;
/// So much does it cost to ask whether a value is shown, in the unit in which an evaluator counts.
const WORK_OF_A_VALUE: u64 = 4;
