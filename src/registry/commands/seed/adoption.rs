//! What stands in the way of the config: what a caller of the API has made under a name of it, unless the operator takes it
//! over, and what somebody else has that it gives to another.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::apply::{SeedRun, name_of};
use super::filled;
use super::obstacle::{Alike, Obstacle, Stranger, Together};
use super::options::{BY, Meant, name_of_maker, typed};
use super::{DiffEntry, Sign, diff};
use crate::access::{Rights, holds};
use crate::audit::EventObject;
use crate::config::{ReferenceKind, SeedBinding, SeedGrant, SeedReference, SeedSubject, SeedToken};
use crate::directory::{AccountState, PlaceError, Tree, name_key};
use crate::model::{
    Account, AccountNumber, Attribute, BindingSubject, FieldChange, Grant, Key, MadeBy, ObjectReference,
    Origin, Record, RoleNumber, Token, first_identifier,
};
use crate::registry::commands::foreign::{ForeignCredential, ForeignCredentials};
use crate::registry::commands::whole::Problem;
use crate::registry::commands::worth::{Admissions, Worth};
use crate::registry::commands::{account, token};
use crate::registry::{ChangeError, origins};

/// What taking something over by its name does beside, for whoever is told to.
pub(super) fn takes(kind: ReferenceKind) -> &'static str {
    match kind {
        ReferenceKind::Token => ", with a new secret, and ends those that it has replaced",
        ReferenceKind::Account => {
            ", as a new one: without its password, tokens and groups, and all else of it that the config does not say"
        }
        ReferenceKind::Group => {
            ", as a new one: without the members and groups in it, and all else of it that the config does not say"
        }
        ReferenceKind::Role => {
            ", as a new one: without its permissions and limits, and from all to whom the config does not give it"
        }
        ReferenceKind::Provider => {
            ", as a new one: without the settings that the config does not say, nor an application before it that a caller of the \
             API has made"
        }
        ReferenceKind::Application => {
            ", as a new one: without the bindings and texts that the config does not say"
        }
        ReferenceKind::Attribute => "",
    }
}

/// The same of many that one account has made, without what is said of each by its name.
fn takes_all(kind: ReferenceKind) -> &'static str {
    match kind {
        ReferenceKind::Token => ", with new secrets",
        ReferenceKind::Account => ", and ends the passwords and tokens that it has given them",
        ReferenceKind::Group => ", with all that is in them but itself",
        ReferenceKind::Role => ", from whom the config does not give them",
        _ => "",
    }
}

/// What stands in the way of the seed by having been made by somebody else, and what of it is taken over with all that
/// its maker has made.
pub(super) fn obstacles(run: &SeedRun<'_, '_>) -> Result<(Vec<Obstacle>, BTreeSet<Key>), ChangeError> {
    let (mut obstacles, mut taken) = (Vec::new(), BTreeSet::new());
    for stranger in strangers(run)? {
        let is_taken = run.is_taken(stranger.kind, &stranger.name);
        if stranger.maker.is_some_and(|maker| run.adopted_makers.contains(&maker)) {
            taken.extend(is_taken.then_some(stranger.key));
            continue;
        }
        let Stranger { kind, name, key, made, would, maker } = stranger;
        let adopt = typed("--adopt", format_args!("{kind}:{name}"));
        let mut reason = format!("it was {made}{would}; {adopt} takes it over{}", takes(kind));
        // Nobody else can be asked to give it up.
        if let Some(gone) = maker.filter(|maker| run.before.accounts().account(*maker).is_none()) {
            let adopt = typed("--adopt", format_args!("{BY}:{}", name_of_maker(run.before.accounts(), gone)));
            let what = if is_taken {
                "takes it over with what that account has said of it"
            } else {
                "accepts it as it is"
            };
            reason = format!("{reason}; {adopt} {what}");
        }
        let of = maker.map(|maker| Alike { maker, would, is_taken });
        obstacles.push(Obstacle { of, begins: Some(key), ..Obstacle::alone(kind, name, reason) });
    }
    Ok((obstacles, taken))
}

/// What the seed says of an object that it names is not said of one that a caller of the API has made under that name:
/// what it describes so, and what would get something for being named.
fn strangers(run: &SeedRun<'_, '_>) -> Result<Vec<Stranger>, ChangeError> {
    let (seed, before) = (run.seed, run.before.accounts());
    let (worth, worth_before) = (Worth::of(run.accounts()), Worth::of(before));
    let by_change = run.transaction.gains();
    let mut found = Vec::new();
    let mut asked = HashSet::new();
    let mut ask = |kind: ReferenceKind, name: &str, would: &'static str| -> Result<(), ChangeError> {
        if !run.is_passed_over(kind, name)
            && let Some((_, key)) = run.named(name).into_iter().find(|(of, _)| *of == kind)
            && let Some(record) = run.strangers_record(&key)?
            && asked.insert(key.clone())
        {
            let (mut made, maker) = (run.made(&record), run.sole_maker(&key, &record));
            if let Record::Token(token) = &record
                && token.origin.account() == Some(token.account)
                && let Some(through) = run.strangers_of(token).first()
            {
                made = format!("{made}, by means of {}", run.whose(Origin::Account(*through)));
            }
            found.push(Stranger { kind, name: name.to_owned(), key, made, would, maker });
        }
        Ok(())
    };
    for provider in &seed.providers {
        ask(ReferenceKind::Provider, &provider.name, "")?;
    }
    for role in &seed.roles {
        ask(ReferenceKind::Role, &role.name, "")?;
        let present = before.role_named(&role.name).map(|role| role.grants.clone());
        ask_grants(&mut ask, &role.permissions, &present.unwrap_or_default(), run)?;
    }
    for group in &seed.groups {
        ask(ReferenceKind::Group, &group.name, "")?;
        let present = before.group_named(&group.name);
        let granted = present.map(|group| group.grants.to_vec());
        let held = present.map(|group| group.roles.to_vec()).unwrap_or_default();
        ask_roles(&mut ask, &group.roles, &held, run)?;
        for name in group.parents.iter().flatten() {
            let parent = before.group_named(name).map(|parent| parent.number);
            let is_known = |number| present.is_some_and(|present| present.parents.contains(&number));
            if !parent.is_some_and(is_known) {
                ask(ReferenceKind::Group, name, ", and would get the members of another")?;
            }
        }
        ask_grants(&mut ask, &group.permissions, &granted.unwrap_or_default(), run)?;
        // Who is named as a member need not be described.
        let after = run.accounts().group_named(&group.name);
        let Some(after) = after.filter(|after| worth.gives(after) || worth.shuts_out(after)) else {
            continue;
        };
        // Who came into it when it gave nothing would get what it gives now.
        let known = present.filter(|present| {
            worth_before.gives(present) || !worth.gives(after) && worth_before.shuts_out(present)
        });
        for member in group.members.iter().flatten() {
            let is_known = match before.account_named(member).zip(known) {
                // Nor does who was in it get more without being asked of than its maker had.
                Some((account, known)) if known.has_member(account.number) => {
                    let gained = run.accounts().account(account.number).map(|it| by_change.given_to(it));
                    let key = Key::Account(account.number);
                    !run.is_beyond_maker(&key, &by_change, &gained.unwrap_or_default())?
                }
                _ => false,
            };
            if !is_known {
                ask(ReferenceKind::Account, member, ", and would get what the group gives")?;
            }
        }
    }
    for account in &seed.accounts {
        ask(ReferenceKind::Account, &account.username, "")?;
        if account.create_group == Some(true) {
            ask(ReferenceKind::Group, &account.username, "")?;
        }
        let (present, held) = match before.account_named(&account.username) {
            Some(account) => (account.grants.to_vec(), account.roles.to_vec()),
            None => Default::default(),
        };
        ask_roles(&mut ask, &account.roles, &held, run)?;
        ask_grants(&mut ask, &account.permissions, &present, run)?;
    }
    for application in &seed.applications {
        ask(ReferenceKind::Application, &application.slug, "")?;
        let present = before.application_named(&application.slug);
        if let Some(name) = &application.provider
            && run.find_provider(name).is_none_or(|it| present.and_then(|before| before.provider) != Some(it))
        {
            ask(ReferenceKind::Provider, name, ", and would get the application")?;
        }
        for SeedBinding { subject, negate, enabled, .. } in application.bindings.iter().flatten() {
            let (kind, name, on) = match subject {
                SeedSubject::Account(name) => {
                    let found =
                        before.account_named(name).map(|account| BindingSubject::Account(account.number));
                    (ReferenceKind::Account, name, found)
                }
                SeedSubject::Group(name) => {
                    let found = before.group_named(name).map(|group| BindingSubject::Group(group.number));
                    (ReferenceKind::Group, name, found)
                }
                SeedSubject::Networks(_) | SeedSubject::Window(_) => continue,
            };
            let mut bound = present.iter().flat_map(|application| &application.bindings);
            if !bound
                .any(|it| Some(&it.subject) == on.as_ref() && it.negate == *negate && it.enabled >= *enabled)
            {
                let would = if *negate { ", and would be shut out" } else { ", and would be admitted" };
                ask(kind, name, would)?;
            }
        }
    }
    for SeedToken { identifier, account, .. } in &seed.tokens {
        let owner = before.account_named(account).map(|owner| owner.number);
        let stored = before.token_named(identifier).filter(|token| Some(token.account) == owner);
        match stored {
            // Its owner may have made it, if by no means of somebody else's.
            Some(stored) if stored.origin.account() == owner && run.strangers_of(stored).is_empty() => {}
            Some(_) => {
                // Who has exchanged the secret of one that is the config's was allowed to: that gives them no more than they had,
                // and what the config gives is asked of all who may know a secret.
                ask(ReferenceKind::Token, identifier, ", who may know its secret")?
            }
            None => ask(ReferenceKind::Account, account, ", and would get a token")?,
        }
    }
    Ok(found)
}

/// Asks of each role that was not held before.
fn ask_roles(
    ask: &mut impl FnMut(ReferenceKind, &str, &'static str) -> Result<(), ChangeError>,
    names: &Option<Vec<String>>,
    held: &[RoleNumber],
    run: &SeedRun<'_, '_>,
) -> Result<(), ChangeError> {
    for name in names.iter().flatten() {
        let role = run.before.accounts().role_named(name).map(|role| role.number);
        if !role.is_some_and(|role| held.contains(&role)) {
            ask(ReferenceKind::Role, name, ", and would be given to somebody")?;
        }
    }
    Ok(())
}

/// Asks of each object on which something is granted that was not granted on it before.
fn ask_grants(
    ask: &mut impl FnMut(ReferenceKind, &str, &'static str) -> Result<(), ChangeError>,
    grants: &Option<Vec<SeedGrant>>,
    present: &[Grant],
    run: &SeedRun<'_, '_>,
) -> Result<(), ChangeError> {
    for SeedGrant { permission, on } in grants.iter().flatten() {
        let Some(SeedReference { kind, name }) = on else { continue };
        let before = run.before.accounts();
        let is_it = |on| {
            name_of(before, on).is_some_and(|(of, named)| of == *kind && name_key(&named) == name_key(name))
        };
        if !present.iter().any(|grant| grant.permission == *permission && grant.on.is_some_and(is_it)) {
            ask(*kind, name, ", and would be what somebody has a permission on")?;
        }
    }
    Ok(())
}

/// What of the seed stands against something that it does not describe, and whose that is: both want the same.
pub(super) fn obstacle(run: &SeedRun<'_, '_>, problem: &Problem) -> Option<Obstacle> {
    let (one, other) = problem.between?;
    let described = [one, other].map(|on| run.described(on));
    let (kind, name, obstacle) = match described {
        [Some((kind, name)), None] => (kind, name, other),
        [None, Some((kind, name))] => (kind, name, one),
        [Some(first), Some(second)] => {
            let ((kind, name), (_, obstacle), on) = match [(one, other), (other, one)]
                .map(|(on, against)| run.says_nothing_of(on, against))
            {
                // What the config says of both is a mistake of the config, but in the directory of somebody else.
                [false, false] => {
                    let is_callers = |within: &ObjectReference| run.is_callers(*within).unwrap_or(false);
                    let within = problem.within.filter(is_callers)?;
                    let whose = run.whose_is(within).ok()??;
                    return Some(Obstacle::alone(first.0, first.1, format!("{}: {whose}", problem.sentence)));
                }
                [true, false] => (second, first, one),
                [false, true] => (first, second, other),
                [true, true] if run.was_there(one) => (second, first, one),
                [true, true] => (first, second, other),
            };
            let whose = said_by_nobody(on, &obstacle);
            return Some(Obstacle::alone(kind, name, format!("{}: {whose}", problem.sentence)));
        }
        [None, None] => return None,
    };
    let whose = run.whose_is(obstacle).ok()??;
    // One of the config that stays as it is.
    let stays = match run.named_in_seed(obstacle) {
        Some(_) => ", and is in the way itself",
        None => "; let that one have another, delete it, or say another in the config",
    };
    Some(Obstacle::alone(kind, name, format!("{}: {whose}{stays}", problem.sentence)))
}

/// Whose what stands in the way of an object is, in words; `None`: nothing that the seed does not describe does.
pub(super) fn obstruction(
    run: &SeedRun<'_, '_>,
    kind: ReferenceKind,
    name: &str,
) -> Result<Option<String>, ChangeError> {
    // A caller of the API has taken the name itself, for something else.
    if let Some((_, key)) = run.named(name).into_iter().find(|(of, _)| *of == kind)
        && let Some(record) = run.transaction.stored(&key)?
        && origin(&record).account().is_some()
    {
        return Ok(Some(format!("it was {}", run.made(&record))));
    }
    // Its values may be of an attribute type as it was to be, which is in the way.
    if let Some(of) = run.obstructed_type(kind, name) {
        return Ok(Some(format!("its attribute type `{of}` cannot be either")));
    }
    Ok(None)
}

/// Why a token of the seed cannot be made: another account has one of that identifier.
pub(super) fn taken_token(
    run: &SeedRun<'_, '_>,
    identifier: &str,
    account: &str,
) -> Result<String, ChangeError> {
    let Some(token) = run.accounts().token_named(identifier) else { return Ok(String::new()) };
    let owner = run.accounts().account(token.account);
    let owner = owner.map_or_else(|| token.account.to_string(), |owner| owner.username.to_string());
    let made = run.made(&Record::Token(Token::clone(token)));
    Ok(format!(
        "`{identifier}` is a token of `{owner}`, not of `{account}`, {made}: choose another identifier, or \
         revoke that one"
    ))
}

impl SeedRun<'_, '_> {
    /// The token that an entry of the seed is about: by its identifier, and of the first one of its account by its mark,
    /// whatever identifier it has got.
    pub(super) fn stored_token(&self, identifier: &str, account: &str) -> Option<Arc<Token>> {
        let accounts = self.accounts();
        let owner = accounts.account_named(account)?;
        let named = accounts.token_named(identifier).filter(|token| token.account == owner.number);
        let first = || {
            let tokens = owner.tokens.iter().filter_map(|number| accounts.token(*number));
            let is_meant = identifier == first_identifier(account);
            tokens.filter(|_| is_meant).find(|token| token.is_first && !token.is_replaced)
        };
        named.or_else(first).cloned()
    }

    /// Takes over what the operator says is to be taken over, and what is told that it may be: so all is told that would be in
    /// the way then.
    pub(super) fn adopt(&mut self) -> Result<(), ChangeError> {
        let options = self.options;
        // On these nobody holds a permission that the config does not say.
        let mut begun = HashSet::new();
        for said in &options.adopt {
            let meant = Meant::adopted(said);
            if meant.maker().is_some() {
                continue;
            }
            let mut named = self.named(meant.name);
            named.retain(|(kind, _)| meant.may_be(kind.as_str()));
            let found: Vec<Found> = named
                .iter()
                .filter_map(|(kind, key)| match self.transaction.stored(key) {
                    Ok(Some(record)) => {
                        self.maker(&record).map(|maker| Ok((*kind, key.clone(), record, maker)))
                    }
                    Ok(None) => None,
                    Err(error) => Some(Err(error)),
                })
                .collect::<Result<_, _>>()?;
            if named.is_empty() {
                let sentence = format!("there is nothing named `{said}` to adopt; check the name");
                self.problems.push(super::SeedProblem::about(None, None, sentence));
            }
            if found.len() > 1 {
                let kinds: Vec<String> = found
                    .iter()
                    .map(|(kind, ..)| typed("--adopt", format_args!("{kind}:{}", meant.name)))
                    .collect();
                let sentence =
                    format!("`{said}` is the name of {} things: say {}", kinds.len(), kinds.join(", or "));
                self.problems.push(super::SeedProblem::about(None, None, sentence));
                continue;
            }
            for found in found {
                self.take_over(meant.name, found, false, &mut begun)?;
            }
        }
        let taken = self.taken.iter().map(|key| (key.clone(), true));
        let presumed = self.presumed.values().map(|key| (key.clone(), false));
        for (key, is_with_all) in taken.chain(presumed).collect::<Vec<_>>() {
            let Some(record) = self.transaction.stored(&key)? else { continue };
            let named = key.object().and_then(|on| name_of(self.accounts(), on));
            // What is named besides is taken over already.
            if let Some(((kind, name), maker)) = named.zip(self.maker(&record)) {
                self.take_over(&name, (kind, key, record, maker), is_with_all, &mut begun)?;
            }
        }
        if begun.is_empty() { Ok(()) } else { self.take_from_all(&begun) }
    }

    /// Notes what is taken over with all that its maker has made; whether that is all that there is.
    pub(super) fn take_all(&mut self, found: BTreeSet<Key>) -> bool {
        // That somebody becomes a superuser is said by a name, and may be seen only when all is in place.
        let unfit: Vec<Key> = self.taken.iter().filter(|key| self.makes_superuser(key)).cloned().collect();
        let is_all = unfit.is_empty() && found.is_subset(&self.taken);
        self.taken.extend(found);
        for key in unfit {
            self.taken.remove(&key);
            self.not_taken.insert(key);
        }
        is_all
    }

    /// Takes an object over. By its name it begins as one that the config makes; with all that its maker has made
    /// (`is_with_all`) it stays as it is, but for the credentials of that maker, and its place in a group.
    fn take_over(
        &mut self,
        name: &str,
        (kind, key, record, maker): Found,
        is_with_all: bool,
        begun: &mut HashSet<ObjectReference>,
    ) -> Result<(), ChangeError> {
        let before = self.made(&record);
        // What a superuser has made is meant as it is.
        let is_strangers = self.is_strangers_origin(origin(&record));
        let mut reason = "adopted".to_owned();
        match &record {
            Record::Token(token) if self.is_renewed(token) => {
                self.end_token(token)?;
                reason = "adopted, with a new secret".to_owned();
            }
            _ => {
                self.transaction.adopt(&key)?;
                if let Some(on) = key.object().filter(|_| is_strangers) {
                    begun.insert(on);
                    self.transaction.count_as_new(on);
                    match on {
                        _ if !is_with_all => self.begin(on)?,
                        ObjectReference::Account(number) => self.end_credentials_of(number, maker)?,
                        ObjectReference::Group(number) => reason = self.leave_group(number, maker)?,
                        _ => {}
                    }
                }
            }
        }
        let origin = FieldChange {
            field: "origin".to_owned(),
            before: Some(before),
            after: Some("config".to_owned()),
        };
        let entry = diff::of_object(Sign::Changed, kind, name, Some(reason));
        self.note(DiffEntry { fields: vec![origin], ..entry });
        Ok(())
    }

    /// Whether what one account has made is taken over with all of that: an account of which the config says nothing but that it
    /// stands somewhere is accepted as it is.
    fn is_taken(&self, kind: ReferenceKind, name: &str) -> bool {
        kind != ReferenceKind::Account || self.described.account(name).is_some()
    }

    /// The one account that has made an object, where it may be taken over or accepted with all that this one has made:
    /// nobody else has, and nobody becomes a superuser by it.
    pub(super) fn sole_maker(&self, key: &Key, record: &Record) -> Option<AccountNumber> {
        let makers = match record {
            Record::Token(token) => self.strangers_of(token),
            _ => origin(record).account().into_iter().collect(),
        };
        let (first, rest) = makers.split_first()?;
        let is_sole = rest.iter().all(|maker| maker == first);
        let is_fit = !self.not_taken.contains(key) && !self.makes_superuser(key);
        (is_sole && is_fit).then_some(*first)
    }

    /// Whether who stands behind an object may do everything, as it would be.
    fn makes_superuser(&self, key: &Key) -> bool {
        let accounts = self.accounts();
        let is_superuser = |number| accounts.account(number).is_some_and(|it| accounts.is_superuser(it));
        match key {
            Key::Group(number) => accounts.group(*number).is_some_and(|group| group.makes_superusers),
            Key::Account(number) => is_superuser(*number),
            Key::Token(number) => accounts.token(*number).is_some_and(|token| is_superuser(token.account)),
            _ => false,
        }
    }

    /// What stands in the way, as it is told: several things that one account has made as one.
    pub(super) fn told_obstacle(&self, alike: &[&Obstacle]) -> Option<DiffEntry> {
        let (first, rest) = alike.split_first()?;
        let told = |reason, together| {
            let entry = diff::of_object(Sign::Obstructed, first.kind, &first.name, Some(reason));
            Some(DiffEntry { together, ..entry })
        };
        let Some(Alike { maker, would, is_taken }) = first.of.as_ref().filter(|_| !rest.is_empty()) else {
            return told(first.reason.clone(), first.together.clone());
        };
        let names: Vec<&str> = alike.iter().map(|obstacle| obstacle.name.as_str()).collect();
        let together = self.together(first.kind, *maker, &names);
        let what = match is_taken {
            true => format!(
                "takes them over{}, and with what it has said of them; by its name each begins as a new one",
                takes_all(first.kind)
            ),
            false => "accepts them as they are".to_owned(),
        };
        let adopt = typed("--adopt", format_args!("{BY}:{}", together.by));
        told(format!("it is one of {}{would}: {adopt} {what}", together.in_words()), vec![together])
    }

    /// Objects that one account has made.
    pub(super) fn together(&self, kind: ReferenceKind, maker: AccountNumber, names: &[&str]) -> Together {
        Together::of(kind, name_of_maker(self.before.accounts(), maker), names)
    }

    /// What is accepted with all that one account has made: accounts as they are, and credentials.
    pub(super) fn accepted(&self, credentials: &[ForeignCredential]) -> Result<Vec<DiffEntry>, ChangeError> {
        let mut accounts: BTreeMap<AccountNumber, BTreeSet<String>> = BTreeMap::new();
        let named =
            strangers(self)?.into_iter().filter_map(|stranger| Some((stranger.maker?, stranger.name)));
        for (maker, name) in named.chain(filled::accepted(self)?) {
            accounts.entry(maker).or_default().insert(name);
        }
        let accounts = accounts.iter().filter_map(|(maker, names)| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let together = self.together(ReferenceKind::Account, *maker, &names);
            let reason = format!("accepted as they are: {}", together.in_words());
            let entry = diff::of_object(Sign::Accepted, ReferenceKind::Account, names.first()?, Some(reason));
            Some(DiffEntry { together: vec![together], ..entry })
        });
        let (together, others) = ForeignCredentials::among(credentials, self.accounts());
        let others = others.into_iter().filter_map(|it| ForeignCredentials::of(&[it]));
        let credentials = together.into_iter().chain(others).filter_map(|credentials| {
            let reason = format!("accepted: {}", credentials.in_words());
            let kind = if credentials.is_tokens() { ReferenceKind::Token } else { ReferenceKind::Account };
            Some(diff::of_object(Sign::Accepted, kind, credentials.names.first()?, Some(reason)))
        });
        Ok(accounts.chain(credentials).collect())
    }

    /// The account that has made an object; of a token also who else may know its secret.
    fn maker(&self, record: &Record) -> Option<AccountNumber> {
        let known = match record {
            Record::Token(token) => self.strangers_of(token).first().copied(),
            _ => None,
        };
        origin(record).account().or(known)
    }

    /// The accounts that may know the secret of a token, and are neither its own nor superusers.
    fn strangers_of(&self, token: &Token) -> Vec<AccountNumber> {
        let makers = token.made_by.accounts().chain(token.origin.account());
        let is_stranger = |maker: &AccountNumber| {
            *maker != token.account && self.is_strangers_origin(Origin::Account(*maker))
        };
        makers.filter(is_stranger).collect()
    }

    /// Whether a token that is taken over gets another secret: one that the config describes, where somebody else may know
    /// the present one.
    fn is_renewed(&self, token: &Token) -> bool {
        self.described.token(&token.identifier).is_some()
            && !self.strangers_of(token).is_empty()
            && !self.accepts_token(token)
    }

    /// Whether somebody else may know the secret of a token all the same.
    pub(super) fn accepts_token(&self, token: &Token) -> bool {
        self.options.accepts_token(&token.identifier)
            || self.is_of_accepted_makers(token.account, &self.strangers_of(token))
    }

    /// The same of the password of an account.
    pub(super) fn accepts_password(&self, account: &AccountState, made_by: &MadeBy) -> bool {
        let makers: Vec<AccountNumber> = made_by.accounts().filter(|by| *by != account.number).collect();
        self.options.accepts_password(&account.username)
            || self.is_of_accepted_makers(account.number, &makers)
    }

    fn is_of_accepted_makers(&self, owner: AccountNumber, makers: &[AccountNumber]) -> bool {
        !makers.is_empty()
            && makers.iter().all(|maker| self.accepted_makers.contains(maker))
            && !self.makes_superuser(&Key::Account(owner))
    }

    /// Ends the credentials of an account that this one may know.
    fn end_credentials_of(&mut self, number: AccountNumber, maker: AccountNumber) -> Result<(), ChangeError> {
        let Some(account) = self.accounts().account(number).cloned() else { return Ok(()) };
        let tokens: Vec<Arc<Token>> =
            account.tokens.iter().filter_map(|token| self.accounts().token(*token)).cloned().collect();
        let is_ended =
            |token: &Arc<Token>| token.made_by.accounts().any(|by| by == maker) && !self.accepts_token(token);
        let ended: Vec<_> = tokens.into_iter().filter(is_ended).collect();
        let is_password_ended = account
            .password
            .as_ref()
            .filter(|password| password.made_by.accounts().any(|by| by == maker))
            .is_some_and(|password| !self.accepts_password(&account, &password.made_by))
            // The config says another one, or that one.
            && self.described.account(&account.username).is_none_or(|seed| seed.password.is_none());
        for token in ended {
            self.transaction.delete_token(token.number)?;
        }
        match self.transaction.account(number)?.filter(|_| is_password_ended) {
            None => Ok(()),
            Some(before) => {
                let modified = self.transaction.now();
                let ended = Account { password: None, modified, ..before.clone() };
                account::put(self.transaction, Some(&before), ended)
            }
        }
    }

    /// The object of the seed that this is; one that is passed over is as if it were not described.
    fn described(&self, on: ObjectReference) -> Option<(ReferenceKind, String)> {
        self.named_in_seed(on).filter(|(kind, name)| !self.is_passed_over(*kind, name))
    }

    /// Whether an object of the seed has what it shares with another one though the seed says nothing of it: somebody else
    /// has set it.
    fn says_nothing_of(&self, on: ObjectReference, against: ObjectReference) -> bool {
        let Some((_, name)) = self.named_in_seed(on) else { return false };
        let snapshot = self.transaction.snapshot();
        match (on, against) {
            (ObjectReference::Provider(one), ObjectReference::Provider(other)) => {
                let trees = snapshot.tree(one).zip(snapshot.tree(other));
                let Some(((one, other), seed)) = trees.zip(self.described.provider(&name)) else {
                    return false;
                };
                let both_default = one.provider().is_default && other.provider().is_default;
                let domain = |tree: &Tree| tree.bind_domain().map(str::to_lowercase);
                let one_domain = domain(one).is_some() && domain(one) == domain(other);
                both_default && seed.said.is_default.is_none()
                    || one_domain && seed.said.domain.is_none() && one.provider().domain.is_some()
            }
            (ObjectReference::Account(number), ObjectReference::Account(_)) => {
                let is_given = |account: &Account| {
                    let mut given = account.attributes.iter();
                    given.any(|attribute| attribute.description.eq_ignore_ascii_case("uidNumber"))
                };
                let record = self.transaction.account(number).ok().flatten();
                self.described.account(&name).is_some_and(|seed| seed.said.attributes.is_none())
                    && record.is_some_and(|it| is_given(&it))
            }
            (ObjectReference::Application(number), ObjectReference::Application(_)) => {
                self.described.application(&name).is_some_and(|seed| seed.provider.is_none())
                    && self.accounts().application(number).is_some_and(|it| it.provider.is_some())
            }
            _ => false,
        }
    }

    fn was_there(&self, on: ObjectReference) -> bool {
        self.before.accounts().has(on)
    }

    fn named_in_seed(&self, on: ObjectReference) -> Option<(ReferenceKind, String)> {
        use ReferenceKind::{Account, Application, Provider};
        let (kind, name) = name_of(self.accounts(), on)?;
        let name =
            self.described.name(kind, &name).filter(|_| matches!(kind, Provider | Account | Application))?;
        Some((kind, name.to_owned()))
    }

    /// Whose an object is that stands in the way, in words.
    pub(super) fn whose_is(&self, on: ObjectReference) -> Result<Option<String>, ChangeError> {
        let Some(record) = self.transaction.stored(&on.into())? else { return Ok(None) };
        let EventObject { kind, name, .. } = EventObject::of(&record);
        Ok(Some(format!("the {kind} `{name}` was {}", self.made(&record))))
    }

    /// An attribute type that is in the way, and that the seed says an account or a group has values of.
    fn obstructed_type(&self, kind: ReferenceKind, name: &str) -> Option<String> {
        let attributes = match kind {
            ReferenceKind::Account => self.described.account(name)?.said.attributes.as_ref(),
            ReferenceKind::Group => self.described.group(name)?.said.attributes.as_ref(),
            _ => None,
        };
        let snapshot = self.transaction.snapshot();
        let mut types = attributes?.iter().filter_map(|Attribute { description, .. }| {
            let id = snapshot.schema().find(description.split(';').next().unwrap_or_default())?;
            Some(snapshot.schema().attribute(id).name.to_string())
        });
        types.find(|of| self.is_passed_over(ReferenceKind::Attribute, of))
    }

    /// Why an object has no place in a directory that a caller of the API has made and the seed does not describe: without
    /// that one it would be as the seed says.
    pub(super) fn tree_in_the_way(
        &self,
        check: impl Fn(&Tree) -> Result<(), PlaceError>,
    ) -> Result<Option<String>, ChangeError> {
        for tree in self.transaction.snapshot().trees() {
            let on = ObjectReference::Provider(tree.provider().number);
            if let Err(error) = check(tree)
                && self.is_callers(on)?
            {
                let whose = self.whose_is(on)?.unwrap_or_default();
                return Ok(Some(format!("it cannot have its entry: {error}: {whose}")));
            }
        }
        Ok(None)
    }

    /// Whether an object is one that a caller of the API has made, and that the seed does not describe.
    fn is_callers(&self, on: ObjectReference) -> Result<bool, ChangeError> {
        let record = self.transaction.stored(&on.into())?;
        let is_made = record.is_some_and(|record| origin(&record).account().is_some());
        Ok(is_made && self.described(on).is_none())
    }

    /// Whether a caller of the API, and not a superuser, has made what has this origin: what the config says by that name
    /// was not said of it.
    pub(super) fn is_strangers_origin(&self, origin: Origin) -> bool {
        origins::is_strangers(origin, self.before.accounts())
    }

    /// Why a token that is there is not changed as the seed says: somebody else may know its secret, whoever made the token.
    pub(super) fn reason_against_token(&self, before: &Token, after: &Token) -> Option<String> {
        let is_more = token::is_later(before.expires, after.expires)
            || token::is_wider(&before.networks, &after.networks);
        if !is_more || self.accepts_token(before) {
            return None;
        }
        let accounts = self.before.accounts();
        let owner = accounts.account(before.account)?;
        let (rights, admissions) = (Rights::of_account(accounts, owner), Admissions::of(accounts));
        let admitted = admissions.of_account(owner);
        let has_it_all = |maker: &AccountNumber| {
            let maker = accounts.account(*maker).map(|maker| &**maker);
            holds(accounts, maker, &rights) && admissions.has_all(maker, &admitted)
        };
        let mut makers = before.made_by.accounts().chain(before.origin.account());
        let maker = makers.find(|maker| *maker != before.account && !has_it_all(maker))?;
        Some(format!(
            "{} may know its secret, who has not all that its account has, and it would work longer or from more places: {} \
             gives it a new secret; or revoke it, or choose another identifier",
            self.whose(Origin::Account(maker)),
            typed("--adopt", format_args!("token:{}", before.identifier)),
        ))
    }

    /// Who made an object, in words; `None`: of such objects that is not kept.
    pub(super) fn made_by(&self, record: &Record) -> Option<String> {
        origins::origin(record)?;
        Some(self.made(record))
    }

    /// Who made an object, and when, in words.
    pub(super) fn made(&self, record: &Record) -> String {
        origins::made(record, self.before.accounts())
    }

    pub(super) fn whose(&self, origin: Origin) -> String {
        origins::whose(origin, self.before.accounts())
    }

    /// What there is of this name.
    fn named(&self, name: &str) -> Vec<(ReferenceKind, Key)> {
        let accounts = self.before.accounts();
        let key = name_key(name);
        let mut found = Vec::new();
        found
            .extend(accounts.account_keyed(&key).map(|it| (ReferenceKind::Account, Key::Account(it.number))));
        found.extend(accounts.group_keyed(&key).map(|it| (ReferenceKind::Group, Key::Group(it.number))));
        found.extend(accounts.role_named(name).map(|it| (ReferenceKind::Role, Key::Role(it.number))));
        let mut providers = accounts.providers();
        let provider = providers.find(|provider| name_key(&provider.name) == key);
        found.extend(provider.map(|it| (ReferenceKind::Provider, Key::Provider(it.number))));
        let application = accounts.application_named(name);
        found.extend(application.map(|it| (ReferenceKind::Application, Key::Application(it.number))));
        let token = accounts.token_named(name);
        found.extend(token.map(|it| (ReferenceKind::Token, Key::Token(it.number))));
        found
    }
}

/// An object that is to be taken over, and who has made it.
type Found = (ReferenceKind, Key, Record, AccountNumber);

/// Of an object of the seed that has what the seed gives to another one.
pub(super) fn said_by_nobody(on: ObjectReference, name: &str) -> String {
    format!(
        "the {} `{name}` has it, of which the config says nothing: let it say what that one is to have",
        on.kind()
    )
}

pub(super) fn origin(record: &Record) -> Origin {
    origins::origin(record).unwrap_or_default()
}
