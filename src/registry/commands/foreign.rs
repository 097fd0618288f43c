//! Credentials that somebody else has made: whoever gives rights to an account, or has it admitted somewhere, gives that to
//! whoever knows its secrets.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::gains::{Gainers, Gains};
use super::seed::options::{BY, PASSWORD, TOKEN, typed};
use super::worth::Gained;
use crate::directory::{AccountState, Accounts};
use crate::model::{AccountNumber, MadeBy, ObjectReference, TokenNumber};
use crate::quoted::{NAMED_MAX, enumerated};

/// A credential whose account gets rights, or is admitted somewhere, and that was made by somebody who has not what it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignCredential {
    /// The account's name.
    pub account: String,
    pub number: AccountNumber,
    /// The identifier of the token; of a password the account's name.
    pub identifier: String,
    /// The token; `None`: the password.
    pub token: Option<TokenNumber>,
    /// The accounts that made it, by name, or by number where they are gone.
    pub made_by: Vec<String>,
    /// The same by number.
    pub makers: Vec<AccountNumber>,
    /// Whether the account may do everything then: that is said of each by its name.
    pub is_superuser: bool,
}

impl ForeignCredential {
    /// Why the rights are not given, and what to do.
    pub(super) fn sentence(&self) -> String {
        let Self { account, identifier, .. } = self;
        format!(
            "`{account}` would get rights that {makers} does not hold, or be admitted where {makers} is not, who has made or \
             exchanged its credential `{identifier}`: revoke it, or say {}",
            self.acceptance(),
            makers = self.made_by.join(", ")
        )
    }

    /// What says that it is meant, as it is typed.
    pub fn acceptance(&self) -> String {
        typed("--accept-credentials", format_args!("{}:{}", self.kind(), self.identifier))
    }

    fn kind(&self) -> &'static str {
        if self.token.is_some() { TOKEN } else { PASSWORD }
    }

    /// The one account that has made it, where it may be accepted with all that this one has made.
    pub(super) fn maker(&self) -> Option<AccountNumber> {
        match self.makers.as_slice() {
            [maker] if !self.is_superuser => Some(*maker),
            _ => None,
        }
    }

    /// Whether it is one of those that are told together.
    pub fn is_among(&self, together: &[ForeignCredentials]) -> bool {
        let maker = self.maker().and_then(|_| self.made_by.first());
        together.iter().any(|it| it.kind == self.kind() && Some(&it.by) == maker)
    }

    /// Whatever one has to be allowed to view to know of it.
    pub fn objects(&self) -> impl Iterator<Item = ObjectReference> {
        let token = self.token.map(ObjectReference::Token);
        [ObjectReference::Account(self.number)].into_iter().chain(token)
    }
}

/// Credentials of one kind that one account has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignCredentials {
    /// `token` or `password`.
    pub kind: String,
    /// The username of the account that has made them.
    pub by: String,
    pub count: usize,
    /// The identifiers of tokens, the usernames of whose passwords they are: 20 at most.
    pub names: Vec<String>,
}

impl ForeignCredentials {
    /// The kinds, the makers and the names, where one account that is there has made two or more; and the others, one by one.
    pub(super) fn among<'c>(
        credentials: &'c [ForeignCredential],
        accounts: &Accounts,
    ) -> (Vec<Self>, Vec<&'c ForeignCredential>) {
        let mut together: BTreeMap<_, Vec<&ForeignCredential>> = BTreeMap::new();
        let mut others = Vec::new();
        for credential in credentials {
            // A name that reads as a number would be taken for that of another.
            let is_told = |maker: &AccountNumber| {
                accounts.account(*maker).is_some_and(|maker| !maker.username.starts_with('#'))
            };
            match credential.maker().filter(is_told) {
                Some(maker) => together.entry((maker, credential.kind())).or_default().push(credential),
                None => others.push(credential),
            }
        }
        let mut groups = Vec::new();
        for found in together.into_values() {
            match found.as_slice() {
                [_, _, ..] => groups.extend(Self::of(&found)),
                alone => others.extend(alone),
            }
        }
        (groups, others)
    }

    /// These, which are of one kind and of one maker.
    pub(super) fn of(credentials: &[&ForeignCredential]) -> Option<Self> {
        let first = credentials.first()?;
        Some(Self {
            kind: first.kind().to_owned(),
            by: first.made_by.join(", "),
            count: credentials.len(),
            names: credentials.iter().take(NAMED_MAX).map(|it| it.identifier.clone()).collect(),
        })
    }

    /// Whether they are no passwords.
    pub(super) fn is_tokens(&self) -> bool {
        self.kind == TOKEN
    }

    /// Which they are, in words.
    pub fn in_words(&self) -> String {
        let Self { kind, by, count, names } = self;
        let s = if *count == 1 { "" } else { "s" };
        format!("{count} {kind}{s} that `{by}` has made or exchanged ({})", enumerated(names, *count))
    }

    /// Why the rights are not given, and what to do.
    pub fn sentence(&self) -> String {
        format!(
            "{}, of accounts that would get rights which it does not hold, or be admitted where it is not: revoke them, or say \
             `bindery apply {}`",
            self.in_words(),
            typed("--accept-credentials", format_args!("{BY}:{}", self.by))
        )
    }
}

/// Those whose accounts have more rights, or are admitted to more, by a change than before it.
pub(in crate::registry) fn credentials(gains: &Gains<'_>) -> Vec<ForeignCredential> {
    let accounts = gains.after();
    let mut found = Vec::new();
    let mut look_at = |owner: &AccountState| {
        let gained = OnceCell::new();
        let strangers = |made_by: &MadeBy| {
            // Nearly all are made by their own account, the config or the operator.
            made_by.accounts().find(|maker| *maker != owner.number)?;
            strangers(gains, owner.number, gained.get_or_init(|| gains.of_account(owner)), made_by)
        };
        let tokens = owner.tokens.iter().filter_map(|number| accounts.token(*number));
        for token in tokens {
            if let Some(makers) = strangers(&token.made_by) {
                found.push(foreign(accounts, owner, &token.identifier, Some(token.number), makers));
            }
        }
        if let Some(password) = &owner.password
            && let Some(makers) = strangers(&password.made_by)
        {
            found.push(foreign(accounts, owner, &owner.username, None, makers));
        }
    };
    match gains.who() {
        Gainers::Anybody => accounts.accounts().for_each(|owner| look_at(owner)),
        Gainers::These(numbers) => {
            numbers.iter().filter_map(|number| accounts.account(*number)).for_each(|owner| look_at(owner));
        }
    }
    found
}

fn foreign(
    accounts: &Accounts,
    owner: &AccountState,
    identifier: &str,
    token: Option<TokenNumber>,
    makers: Vec<AccountNumber>,
) -> ForeignCredential {
    let name = |number: &AccountNumber| {
        accounts
            .account(*number)
            .map_or_else(|| format!("account {number}"), |maker| maker.username.to_string())
    };
    ForeignCredential {
        account: owner.username.to_string(),
        number: owner.number,
        identifier: identifier.to_owned(),
        token,
        made_by: makers.iter().map(name).collect(),
        makers,
        is_superuser: accounts.is_superuser(owner),
    }
}

/// Who has made a credential and has not what its account has got by the change; `None`: nobody.
fn strangers(
    gains: &Gains<'_>,
    owner: AccountNumber,
    gained: &Gained,
    made_by: &MadeBy,
) -> Option<Vec<AccountNumber>> {
    if gained.is_empty() {
        return None;
    }
    let is_stranger = |maker: &AccountNumber| *maker != owner && !gains.has(*maker, gained);
    let strangers: Vec<AccountNumber> = made_by.accounts().filter(is_stranger).collect();
    (!strangers.is_empty()).then_some(strangers)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{
        Account, AccountKind, Actor, Application, Binding, BindingSubject, Change, Grant, Group, GroupNumber,
        InternalAccount, Membership, Origin, Password, Permission, ProviderNumber, Record,
    };
    use crate::plain;
    use crate::registry::Caller;
    use crate::registry::commands::testing::{registry_over, wait};
    use crate::schema::steps;
    use crate::store::{Batch, Counters, MemoryStore, Store as _};

    const STAFF: GroupNumber = GroupNumber::new(5_000);
    const ACCOUNTS: u32 = 100;
    const ROBOT: AccountNumber = AccountNumber::new(4_000);

    /// The steps in which it is found out whose credentials gain when a group of people whose passwords `robot` has set gets a
    /// permission, and how many those are, where so many applications are bound: each to a group of its own, which all are in.
    fn told(applications: u32) -> (u64, usize) {
        let password =
            || Password { made_by: MadeBy::one(Origin::Account(ROBOT)), ..plain::password("none") };
        let account = |number: u32| Account {
            kind: AccountKind::Internal,
            password: Some(password()),
            ..plain::account(number, &format!("a{number}"))
        };
        let member =
            |group, account| Record::Membership(Membership { group, account: AccountNumber::new(account) });
        let mut records = vec![
            Record::Account(plain::account(ROBOT.get(), "robot")),
            Record::Group(plain::group(STAFF.get(), "staff")),
        ];
        for number in 1..=ACCOUNTS {
            records.extend([Record::Account(account(number)), member(STAFF, number)]);
        }
        for number in 1..=applications {
            let group = GroupNumber::new(STAFF.get() + number);
            let binding: Binding = plain::binding(BindingSubject::Group(group));
            records.extend([
                Record::Provider(plain::provider(number, &format!("dc=d{number}"))),
                Record::Group(plain::group(group.get(), &format!("g{number}"))),
                Record::Application(Application {
                    provider: Some(ProviderNumber::new(number)),
                    bindings: vec![binding],
                    ..plain::application(number, &format!("cloud-{number}"))
                }),
                member(group, 1),
            ]);
        }
        let store = Arc::new(MemoryStore::new());
        let changes = records.into_iter().map(Change::Put).collect();
        let counters = Counters { next_number: 10_000, next_object: 1_000, ..Counters::default() };
        store.commit(&Batch { changes, counters, seeded: true, ..Batch::default() }).unwrap();
        let operator = Caller::from(Actor::internal(InternalAccount::CommandLine));
        let command = |transaction: &mut crate::registry::Transaction<'_>| {
            let group = transaction.group(STAFF)?.unwrap();
            let grants = vec![Grant { permission: Permission::ViewEvent, on: None }];
            transaction.put(Record::Group(Group { grants, ..group }))?;
            let before = steps::taken();
            let found = transaction.foreign_credentials();
            Ok((steps::taken() - before, found.len()))
        };
        wait(registry_over(store).change(operator, command)).unwrap()
    }

    /// The one writer waits for it, and a seed asks it of everybody.
    #[test]
    fn what_is_bound_is_not_asked_for_each_account() {
        let ((few, found), (many, all)) = (told(2), told(20));
        assert_eq!((found, all), (ACCOUNTS as usize, ACCOUNTS as usize));
        assert!(few > 0 && many < 2 * few, "{many} for ten times as many applications as of {few}");
    }
}
