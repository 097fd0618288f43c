//! Every command that a caller of the API or the operator can reach, by names. What the commands are called stands
//! here and nowhere else.
//!
//! [`ROWS`] says which of them each row of the API is.

use std::sync::Arc;
use std::time::Duration;

use super::oracle::{Known, Proof};
use crate::access::{Credential, Holder, Identity};
use crate::auth::TokenSecret;
use crate::config::{ReferenceKind, Seed, SeedGrant, SeedReference};
use crate::directory::Accounts;
use crate::ldif::LdifReader;
use crate::model::{
    AccountKind, AccountNumber, Actor, ApplicationNumber, Attribute, BindingSubject, Container, Expiry,
    Grant, GroupNumber, HashText, Intent, InternalAccount, ObjectReference, ProviderNumber, RoleNumber,
    TokenNumber,
};
use crate::registry::commands::{self, testing};
use crate::registry::{
    Caller, ChangeError, Classified, Classifier, ImportEntry, ImportLayout, ImportOptions, NewSecret,
    NewToken, OwnSecret, Registry, Replaced, SeedOptions, TokenChanges,
};
use crate::secret::Secret;

#[derive(Clone, Debug)]
pub(super) enum Call {
    CreateAccount {
        name: String,
        kind: AccountKind,
        changes: Vec<AccountChange>,
    },
    UpdateAccount {
        account: String,
        changes: Vec<AccountChange>,
    },
    DeleteAccount {
        account: String,
    },
    SetPassword {
        account: String,
        is_hash: bool,
    },
    UnlockAccount {
        account: String,
    },
    CreateServiceAccount {
        name: String,
        has_group: bool,
    },
    CreateGroup {
        name: String,
        changes: Vec<GroupChange>,
    },
    UpdateGroup {
        group: String,
        changes: Vec<GroupChange>,
    },
    DeleteGroup {
        group: String,
    },
    SetMember {
        group: String,
        account: String,
        is_member: bool,
    },
    CreateRole {
        name: String,
    },
    UpdateRole {
        role: String,
        name: String,
    },
    DeleteRole {
        role: String,
    },
    SetRole {
        role: String,
        account: String,
        holds: bool,
    },
    SetGrants {
        grantee: Grantee,
        grants: Vec<SeedGrant>,
        granted: bool,
    },
    CreateProvider {
        name: String,
        changes: Vec<ProviderChange>,
    },
    UpdateProvider {
        provider: String,
        changes: Vec<ProviderChange>,
    },
    DeleteProvider {
        provider: String,
    },
    CreateApplication {
        slug: String,
        provider: Option<String>,
    },
    UpdateApplication {
        application: String,
        slug: String,
        provider: Option<String>,
    },
    DeleteApplication {
        application: String,
    },
    CreateBinding {
        application: String,
        subject: Grantee,
    },
    UpdateBinding {
        application: String,
        place: usize,
        to: String,
        negate: bool,
    },
    DeleteBinding {
        application: String,
        place: usize,
    },
    CreateToken {
        identifier: String,
        account: String,
        intent: Intent,
        is_retrievable: bool,
    },
    UpdateToken {
        token: String,
        changes: Vec<TokenChange>,
    },
    RevokeToken {
        token: String,
        keeps_replaced: bool,
    },
    RotateToken {
        token: String,
        has_overlap: bool,
    },
    SetTokenKey {
        token: String,
        is_chosen: bool,
    },
    ViewTokenKey {
        token: String,
    },
    /// Of the credential that the call is made with.
    OwnSecret {
        is_chosen: bool,
        has_overlap: bool,
        /// Whether the present secret is sent too.
        has_old: bool,
    },
    /// A file of another directory, of the operator.
    Import {
        accounts: Vec<String>,
        are_services: bool,
        group: String,
        members: Vec<String>,
        /// Of the service accounts.
        role: Option<String>,
    },
}

#[derive(Clone, Debug)]
pub(super) enum AccountChange {
    Username(String),
    Kind(AccountKind),
    Email(String),
    Active(bool),
    Attribute(String, String),
    Groups(Vec<String>),
    Roles(Vec<String>),
    DropsPassword,
}

#[derive(Clone, Debug)]
pub(super) enum GroupChange {
    Name(String),
    Superuser(bool),
    Parents(Vec<String>),
    Members(Vec<String>),
    Roles(Vec<String>),
}

#[derive(Clone, Debug)]
pub(super) enum ProviderChange {
    Name(String),
    BaseDn(String),
    Default(bool),
    Domain(String),
    UidStart(u32),
}

#[derive(Clone, Debug)]
pub(super) enum TokenChange {
    Identifier(String),
    Account(String),
    Expiring(bool),
    /// So many hours from now.
    Expires(u64),
    Networks(bool),
}

/// Who is given something, or is bound.
#[derive(Clone, Debug)]
pub(super) enum Grantee {
    Role(String),
    Group(String),
    Account(String),
}

/// What came of a call that succeeded.
#[derive(Default)]
pub(super) struct Answer {
    /// Secrets that the caller knows from now on.
    pub(super) learned: Vec<Known>,
    /// A token that took another one's place, with all grants on it: the old one, the new one.
    pub(super) successor: Option<(TokenNumber, TokenNumber)>,
    /// Credentials of others of which whoever made the call was told.
    pub(super) told: Vec<ForeignTo>,
}

/// A credential of an account: a token, or its password.
pub(super) type ForeignTo = (AccountNumber, Option<TokenNumber>);

/// What a call is made with.
#[derive(Clone)]
pub(super) enum Who {
    Operator,
    /// An account, and what proves it.
    Account(Known, AccountNumber),
}

impl Call {
    /// Whether it is one over LDAP, with what binds there.
    pub(super) fn is_of_ldap(&self) -> bool {
        matches!(self, Self::OwnSecret { .. })
    }

    /// Whether what an account is known by may be different afterwards.
    pub(super) fn makes_or_changes_account(&self) -> bool {
        matches!(
            self,
            Self::CreateAccount { .. }
                | Self::UpdateAccount { .. }
                | Self::DeleteAccount { .. }
                | Self::CreateServiceAccount { .. }
                | Self::Import { .. }
        )
    }

    /// Whether the operator is told of what comes with it before it is done.
    fn is_rehearsed(&self) -> bool {
        let name = self.name();
        ROWS.iter().any(|row| row.is_told && matches!(row.played, Played::By(call) if call == name))
    }

    /// The account that it is to change.
    pub(super) fn changed_account(&self, accounts: &Accounts) -> Option<AccountNumber> {
        let Self::UpdateAccount { account, .. } = self else { return None };
        Names(accounts).account(account).ok()
    }

    /// The name of the command.
    pub(super) fn name(&self) -> String {
        let text = format!("{self:?}");
        text.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
    }

    /// Carries it out; `mark` makes secrets that are chosen differ from all others.
    pub(super) async fn carry_out(
        &self,
        registry: &Arc<Registry>,
        who: &Who,
        mark: &str,
    ) -> Result<Answer, String> {
        let snapshot = registry.snapshot();
        let names = Names(snapshot.accounts());
        let caller = who.caller(names.0);
        let change = Change { registry, caller: &caller };
        let mut answer = Answer::default();
        match self.clone() {
            Self::CreateAccount { name, kind, changes } => {
                let changes = names.account_changes(changes)?;
                answer.told =
                    change.run(move |t| commands::create_account(t, name, kind, changes).map(drop)).await?;
            }
            Self::UpdateAccount { account, changes } => {
                let (number, changes) = (names.account(&account)?, names.account_changes(changes)?);
                answer.told = change.run(move |t| commands::update_account(t, number, changes)).await?;
            }
            Self::DeleteAccount { account } => {
                let number = names.account(&account)?;
                answer.told = change.run(move |t| commands::delete_account(t, number)).await?;
            }
            Self::SetPassword { account, is_hash } => {
                let number = names.account(&account)?;
                let (secret, password) = match is_hash {
                    true => (
                        Secret::from("secret".to_owned()),
                        commands::NewPassword::Hash(HashText::new(SSHA_OF_SECRET.to_owned())),
                    ),
                    false => (chosen(mark), commands::NewPassword::Secret(chosen(mark))),
                };
                said(registry.set_account_password(caller, number, password).await)?;
                answer.learned.extend(Known::password(&registry.snapshot(), number, secret));
            }
            Self::UnlockAccount { account } => {
                let number = names.account(&account)?;
                said(registry.unlock_account(caller, number).await)?;
            }
            Self::CreateServiceAccount { name, has_group } => {
                let new = commands::NewServiceAccount {
                    username: name,
                    create_group: has_group,
                    expiring: true,
                    expires: None,
                };
                let made = said(registry.create_service_account(caller, new).await)?;
                answer.learn(registry, &made.token.identifier, made.token.secret);
            }
            Self::CreateGroup { name, changes } => {
                let changes = names.group_changes(changes)?;
                answer.told = change.run(move |t| commands::create_group(t, name, changes).map(drop)).await?;
            }
            Self::UpdateGroup { group, changes } => {
                let (number, changes) = (names.group(&group)?, names.group_changes(changes)?);
                answer.told = change.run(move |t| commands::update_group(t, number, changes)).await?;
            }
            Self::DeleteGroup { group } => {
                let number = names.group(&group)?;
                answer.told = change.run(move |t| commands::delete_group(t, number).map(drop)).await?;
            }
            Self::SetMember { group, account, is_member } => {
                let (group, account) = (names.group(&group)?, names.account(&account)?);
                answer.told = change.run(move |t| commands::set_member(t, group, account, is_member)).await?;
            }
            Self::CreateRole { name } => {
                let given = commands::RoleChanges::default();
                answer.told = change.run(move |t| commands::create_role(t, name, given).map(drop)).await?;
            }
            Self::UpdateRole { role, name } => {
                let number = names.role(&role)?;
                let changes = commands::RoleChanges { name: Some(name), ..commands::RoleChanges::default() };
                answer.told = change.run(move |t| commands::update_role(t, number, changes)).await?;
            }
            Self::DeleteRole { role } => {
                let number = names.role(&role)?;
                answer.told = change
                    .run(move |t| commands::delete_role(t, number, &commands::Place::default()).map(drop))
                    .await?;
            }
            Self::SetRole { role, account, holds } => {
                let (role, account) = (names.role(&role)?, names.account(&account)?);
                answer.told =
                    change.run(move |t| commands::set_role_of_account(t, role, account, holds)).await?;
            }
            Self::SetGrants { grantee, grants, granted } => {
                let grantee = match grantee {
                    Grantee::Role(name) => commands::Grantee::Role(names.role(&name)?),
                    Grantee::Group(name) => commands::Grantee::Group(names.group(&name)?),
                    Grantee::Account(name) => commands::Grantee::Account(names.account(&name)?),
                };
                let grants = grants.iter().map(|grant| names.grant(grant)).collect::<Result<Vec<_>, _>>()?;
                answer.told = change.run(move |t| commands::set_grants(t, grantee, &grants, granted)).await?;
            }
            Self::CreateProvider { name, changes } => {
                let changes = provider_changes(changes);
                answer.told =
                    change.run(move |t| commands::create_provider(t, name, changes).map(drop)).await?;
            }
            Self::UpdateProvider { provider, changes } => {
                let (number, changes) = (names.provider(&provider)?, provider_changes(changes));
                answer.told = change.run(move |t| commands::update_provider(t, number, changes)).await?;
            }
            Self::DeleteProvider { provider } => {
                let number = names.provider(&provider)?;
                answer.told = change.run(move |t| commands::delete_provider(t, number)).await?;
            }
            Self::CreateApplication { slug, provider } => {
                let changes = names.application_changes(None, provider)?;
                answer.told =
                    change.run(move |t| commands::create_application(t, slug, changes).map(drop)).await?;
            }
            Self::UpdateApplication { application, slug, provider } => {
                let number = names.application(&application)?;
                let changes = names.application_changes(Some(slug), provider)?;
                answer.told = change.run(move |t| commands::update_application(t, number, changes)).await?;
            }
            Self::DeleteApplication { application } => {
                let number = names.application(&application)?;
                answer.told = change.run(move |t| commands::delete_application(t, number)).await?;
            }
            Self::CreateBinding { application, subject } => {
                let target = names.application(&application)?;
                let subject = match subject {
                    Grantee::Account(name) => BindingSubject::Account(names.account(&name)?),
                    Grantee::Group(name) | Grantee::Role(name) => BindingSubject::Group(names.group(&name)?),
                };
                let given = commands::BindingChanges::default();
                answer.told = change
                    .run(move |t| commands::create_binding(t, target, subject, given).map(drop))
                    .await?;
            }
            Self::UpdateBinding { application, place, to, negate } => {
                let uuid = names.binding(&application, place)?;
                let changes = commands::BindingChanges {
                    target: Some(names.application(&to)?),
                    negate: Some(negate),
                    ..commands::BindingChanges::default()
                };
                answer.told = change.run(move |t| commands::update_binding(t, uuid, changes)).await?;
            }
            Self::DeleteBinding { application, place } => {
                let uuid = names.binding(&application, place)?;
                answer.told = change.run(move |t| commands::delete_binding(t, uuid)).await?;
            }
            Self::CreateToken { identifier, account, intent, is_retrievable } => {
                let new = NewToken {
                    identifier,
                    account,
                    intent,
                    expiring: Some(true),
                    expires: None,
                    description: String::new(),
                    networks: Vec::new(),
                    retrievable: is_retrievable,
                };
                let made = said(registry.create_token(caller, new).await)?;
                answer.learn(registry, &made.identifier, made.secret);
            }
            Self::UpdateToken { token, changes } => {
                let identifier = names.identifier(&token)?;
                said(registry.update_token(caller, identifier, token_changes(changes)).await)?;
            }
            Self::RevokeToken { token, keeps_replaced } => {
                let replaced = if keeps_replaced { Replaced::Keep } else { Replaced::End };
                said(registry.revoke_token(caller, names.identifier(&token)?, replaced).await)?;
            }
            Self::RotateToken { token, has_overlap } => {
                let identifier = names.identifier(&token)?;
                let old = names.token(&identifier)?;
                let made = said(registry.rotate_token(caller, identifier, overlap(has_overlap)).await)?;
                answer.learn(registry, &made.identifier, made.secret);
                answer.succeed(registry, old, &made.identifier);
            }
            Self::SetTokenKey { token, is_chosen } => {
                let identifier = names.identifier(&token)?;
                let intent = names.0.token_named(&identifier).map_or(Intent::Api, |token| token.intent);
                let secret = match is_chosen {
                    true => chosen(mark),
                    false => TokenSecret::generate(intent).map_err(|error| error.to_string())?.into_secret(),
                };
                said(registry.set_token_key(caller, identifier.clone(), secret.clone()).await)?;
                answer.learn(registry, &identifier, secret);
            }
            Self::ViewTokenKey { token } => {
                let identifier = names.identifier(&token)?;
                let secret = said(registry.view_token_key(caller, identifier.clone()).await)?;
                answer.learn(registry, &identifier, secret);
            }
            Self::OwnSecret { is_chosen, has_overlap, has_old } => {
                let Who::Account(known, account) = who else { return Err(SKIPPED.to_owned()) };
                let provider = snapshot.default_tree().ok_or(SKIPPED)?.provider().number;
                let holder = Holder { account: *account, credential: known.proof.credential() };
                let secret = is_chosen.then(|| chosen(mark));
                let old = has_old.then(|| known.secret.clone());
                let asked = OwnSecret { old, new: secret.clone(), overlap: overlap(has_overlap) };
                let identity = Identity { holder, provider };
                let generated = registry.clone().change_own_secret(identity, None, asked).await;
                let generated = generated.map_err(|error| error.to_string())?.generated;
                let secret = generated.or(secret).ok_or("no secret")?;
                match known.proof {
                    Proof::Token(number, _) => {
                        let identifier = names.0.token(number).ok_or("no token")?.identifier.clone();
                        answer.learn(registry, &identifier, secret);
                        answer.succeed(registry, number, &identifier);
                    }
                    Proof::Password(..) => {
                        answer.learned.extend(Known::password(&registry.snapshot(), *account, secret));
                    }
                }
            }
            Self::Import { accounts, are_services, group, members, role } => {
                let options = ImportOptions { role, ..ImportOptions::default() };
                let actor = Actor::internal(InternalAccount::Import);
                let layout = said(registry.prepare_import(actor.clone(), options.clone()).await)?;
                let text = ldif(&layout, &accounts, are_services, &group, &members);
                for entries in entries_of(&layout, &text) {
                    said(registry.import(actor.clone(), options.clone(), entries).await)?;
                }
            }
        }
        if matches!(who, Who::Operator) && !self.is_rehearsed() {
            answer.told.clear();
        }
        Ok(answer)
    }
}

/// A file with accounts of these names, and a group with these members.
fn ldif(
    layout: &ImportLayout,
    accounts: &[String],
    are_services: bool,
    group: &str,
    members: &[String],
) -> String {
    let base = &layout.base_dn;
    let containers = if are_services { &layout.service_accounts } else { &layout.users };
    let Some((people, groups)) = containers.first().zip(layout.groups.first()) else { return String::new() };
    let dn = |at: &Container, name: &str| format!("{}={name},{},{base}", at.naming, at.container);
    let mut text = String::new();
    for name in accounts {
        let dn = dn(people, name);
        text +=
            &format!("dn: {dn}\nobjectClass: inetOrgPerson\nsn: {name}\nuserPassword: imported {name}\n\n");
    }
    text += &format!("dn: {}\nobjectClass: groupOfNames\n", dn(groups, group));
    for member in members {
        for at in [layout.users.first(), layout.service_accounts.first(), Some(groups)].into_iter().flatten()
        {
            text += &format!("member: {}\n", dn(at, member));
        }
    }
    text + "\n"
}

/// What a client makes of a file: accounts, groups, and who is in them.
fn entries_of(layout: &ImportLayout, text: &str) -> [Vec<ImportEntry>; 3] {
    let classifier = Classifier::new(layout);
    let mut entries = [Vec::new(), Vec::new(), Vec::new()];
    for record in LdifReader::new(text.as_bytes()).map_while(Result::ok) {
        match classifier.classify(&record) {
            Classified::Account(account, _) => entries[0].push(ImportEntry::Account(account)),
            Classified::Group(group, members, _) => {
                entries[1].push(ImportEntry::Group(group));
                entries[2].push(ImportEntry::Members(members));
            }
            Classified::Container(_) | Classified::Ignored { .. } => {}
        }
    }
    entries
}

/// How a config is applied.
#[derive(Clone, Debug, Default)]
pub(super) struct ApplyOptions {
    /// From now on the config is the one that has grown.
    pub(super) is_late: bool,
    pub(super) prune: bool,
    pub(super) recreate: Vec<String>,
    pub(super) adopt: Vec<String>,
    /// Which of the credentials that a plan names are accepted: the bit of its place.
    pub(super) accept_told: u8,
    /// Accepted whether or not any plan has named them.
    pub(super) accept: Vec<String>,
}

/// What came of applying a config.
pub(super) struct Applied {
    pub(super) outcome: Result<(), String>,
    /// The secrets that were generated.
    pub(super) secrets: Vec<NewSecret>,
    /// The credentials of others that were accepted by somebody who was told of them.
    pub(super) accepted: Vec<ForeignTo>,
    /// Whether the operator was told what stands in the way: then nothing is changed.
    pub(super) is_told: bool,
}

impl Applied {
    /// Of somebody who was told of nothing.
    pub(super) fn new(outcome: Result<(), String>) -> Self {
        Self { outcome, secrets: Vec::new(), accepted: Vec::new(), is_told: false }
    }
}

/// Applies a config as the operator does: accepts some of what a plan names, and what comes to mind besides.
pub(super) async fn apply(registry: &Registry, config: &Seed, how: &ApplyOptions) -> Applied {
    let snapshot = registry.snapshot();
    let names = Names(snapshot.accounts());
    // What there is not is refused, and nothing else would be tried.
    let is_there = |name: &&String| {
        let owner = names.0.account_named(name).filter(|owner| *owner.username == ***name);
        // What both have is refused as well.
        owner.is_some() != names.0.token_named(name).is_some()
    };
    let mut options = SeedOptions {
        prune: how.prune,
        recreate: how.recreate.clone(),
        adopt: how.adopt.clone(),
        accept_credentials: how.accept.iter().filter(is_there).cloned().collect(),
    };
    let mut applied = Applied::new(Ok(()));
    applied.accepted.extend(how.accept.iter().filter_map(|name| names.credential(name)));
    if how.accept_told != 0
        && let Ok(plan) = registry.plan_seed(config.clone(), options.clone()).await
    {
        let is_accepted = |(place, _): &(usize, _)| how.accept_told >> (place % 8) & 1 == 1;
        for (_, told) in plan.credentials.into_iter().enumerate().filter(is_accepted) {
            let kind = if told.token.is_some() { "token" } else { "password" };
            options.accept_credentials.push(format!("{kind}:{}", told.identifier));
            applied.accepted.push((told.number, told.token));
        }
    }
    let apply = |secrets| {
        registry.apply_seed(
            Actor::internal(InternalAccount::Config),
            config.clone(),
            options.clone(),
            secrets,
        )
    };
    // Mostly no secret is needed, and then there is no need of a plan.
    let outcome = match apply(Vec::new()).await {
        Err(ChangeError::Conflict) => match registry.plan_seed(config.clone(), options.clone()).await {
            Ok(plan) => {
                applied.secrets = testing::secrets_for(&plan);
                apply(applied.secrets.clone()).await
            }
            Err(error) => Err(error),
        },
        other => other,
    };
    if outcome.is_err()
        && let Ok(plan) = registry.plan_seed(config.clone(), options).await
    {
        applied.is_told = plan.obstacles().next().is_some() || !plan.credentials.is_empty();
    }
    applied.outcome = said(outcome).map(drop);
    applied
}

impl Who {
    fn caller(&self, accounts: &Accounts) -> Caller {
        match self {
            Self::Operator => Caller::from(Actor::internal(InternalAccount::CommandLine)),
            Self::Account(known, number) => {
                let username = accounts.account(*number).map_or("", |account| &account.username);
                let token = match known.proof {
                    Proof::Token(number, _) => accounts.token(number).map(|token| token.identifier.clone()),
                    Proof::Password(..) => None,
                };
                let actor = Actor { number: Some(*number), token, ..Actor::named(username) };
                Caller::account(Holder { account: *number, credential: known.proof.credential() }, actor)
            }
        }
    }
}

impl Proof {
    fn credential(self) -> Credential {
        match self {
            Self::Token(number, generation) => Credential::Token { number, generation },
            Self::Password(_, generation) => Credential::Password { generation },
        }
    }
}

impl Answer {
    fn learn(&mut self, registry: &Registry, identifier: &str, secret: Secret) {
        self.learned.extend(Known::token(&registry.snapshot(), identifier, secret));
    }

    fn succeed(&mut self, registry: &Registry, old: TokenNumber, identifier: &str) {
        let snapshot = registry.snapshot();
        let new = snapshot.accounts().token_named(identifier).map(|token| token.number);
        self.successor = new.filter(|new| *new != old).map(|new| (old, new));
    }
}

struct Change<'a> {
    registry: &'a Registry,
    caller: &'a Caller,
}

impl Change<'_> {
    /// Gives the credentials of others that get more by it.
    async fn run<F>(&self, command: F) -> Result<Vec<ForeignTo>, String>
    where
        F: FnOnce(&mut crate::registry::Transaction<'_>) -> Result<(), ChangeError> + Send + 'static,
    {
        let told = self.registry.change(self.caller.clone(), |transaction| {
            command(transaction)?;
            Ok(transaction.foreign_credentials())
        });
        let told = said(told.await)?.into_iter();
        Ok(told.map(|credential| (credential.number, credential.token)).collect())
    }
}

fn said<T>(result: Result<T, ChangeError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

fn overlap(has_overlap: bool) -> Duration {
    Duration::from_secs(if has_overlap { 3_600 } else { 0 })
}

fn chosen(mark: &str) -> Secret {
    Secret::from(format!("chosen by an attacker, in {mark}, and long enough"))
}

/// `{SSHA}` of "secret", with the salt "salt".
const SSHA_OF_SECRET: &str = "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0";

/// A row of the API that changes something, and what plays it.
pub(crate) struct Row {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// Whether it can be rehearsed, so that the operator is told before.
    pub(crate) is_told: bool,
    pub(crate) played: Played,
}

/// What plays a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Played {
    /// The call of this name.
    By(&'static str),
    /// Nothing: nobody can get more by it, for this reason.
    CannotMatter(&'static str),
}

const fn told(method: &'static str, path: &'static str, call: &'static str) -> Row {
    Row { method, path, is_told: true, played: Played::By(call) }
}

const fn row(method: &'static str, path: &'static str, call: &'static str) -> Row {
    Row { method, path, is_told: false, played: Played::By(call) }
}

/// All rows that change something.
pub(crate) const ROWS: &[Row] = &[
    told("POST", "/core/users/", "CreateAccount"),
    row("POST", "/core/users/service_account/", "CreateServiceAccount"),
    told("PUT", "/core/users/{id}/", "UpdateAccount"),
    told("PATCH", "/core/users/{id}/", "UpdateAccount"),
    row("DELETE", "/core/users/{id}/", "DeleteAccount"),
    row("POST", "/core/users/{id}/set_password/", "SetPassword"),
    row("POST", "/core/users/{id}/set_password_hash/", "SetPassword"),
    row("POST", "/core/users/{id}/unlock/", "UnlockAccount"),
    told("POST", "/core/groups/", "CreateGroup"),
    told("PUT", "/core/groups/{group_uuid}/", "UpdateGroup"),
    told("PATCH", "/core/groups/{group_uuid}/", "UpdateGroup"),
    row("DELETE", "/core/groups/{group_uuid}/", "DeleteGroup"),
    told("POST", "/core/groups/{group_uuid}/add_user/", "SetMember"),
    row("POST", "/core/groups/{group_uuid}/remove_user/", "SetMember"),
    row("POST", "/core/tokens/", "CreateToken"),
    row("PUT", "/core/tokens/{identifier}/", "UpdateToken"),
    row("PATCH", "/core/tokens/{identifier}/", "UpdateToken"),
    row("DELETE", "/core/tokens/{identifier}/", "RevokeToken"),
    row("GET", "/core/tokens/{identifier}/view_key/", "ViewTokenKey"),
    row("POST", "/core/tokens/{identifier}/set_key/", "SetTokenKey"),
    row("POST", "/core/tokens/{identifier}/rotate/", "RotateToken"),
    row("POST", "/rbac/roles/", "CreateRole"),
    row("PUT", "/rbac/roles/{uuid}/", "UpdateRole"),
    row("PATCH", "/rbac/roles/{uuid}/", "UpdateRole"),
    row("DELETE", "/rbac/roles/{uuid}/", "DeleteRole"),
    told("POST", "/rbac/roles/{uuid}/add_user/", "SetRole"),
    row("POST", "/rbac/roles/{uuid}/remove_user/", "SetRole"),
    told("POST", "/rbac/permissions/assigned_by_roles/{uuid}/assign/", "SetGrants"),
    row("PATCH", "/rbac/permissions/assigned_by_roles/{uuid}/unassign/", "SetGrants"),
    told("POST", "/rbac/permissions/assigned_by_groups/{uuid}/assign/", "SetGrants"),
    row("PATCH", "/rbac/permissions/assigned_by_groups/{uuid}/unassign/", "SetGrants"),
    told("POST", "/rbac/permissions/assigned_by_users/{id}/assign/", "SetGrants"),
    row("PATCH", "/rbac/permissions/assigned_by_users/{id}/unassign/", "SetGrants"),
    Row {
        method: "POST",
        path: "/events/events/",
        is_told: false,
        played: Played::CannotMatter("an event gives and takes nothing, and names who has written it"),
    },
    told("POST", "/core/applications/", "CreateApplication"),
    told("PUT", "/core/applications/{slug}/", "UpdateApplication"),
    told("PATCH", "/core/applications/{slug}/", "UpdateApplication"),
    row("DELETE", "/core/applications/{slug}/", "DeleteApplication"),
    told("POST", "/policies/bindings/", "CreateBinding"),
    told("PUT", "/policies/bindings/{policy_binding_uuid}/", "UpdateBinding"),
    told("PATCH", "/policies/bindings/{policy_binding_uuid}/", "UpdateBinding"),
    told("DELETE", "/policies/bindings/{policy_binding_uuid}/", "DeleteBinding"),
    row("POST", "/providers/ldap/", "CreateProvider"),
    row("PUT", "/providers/ldap/{id}/", "UpdateProvider"),
    row("PATCH", "/providers/ldap/{id}/", "UpdateProvider"),
    row("DELETE", "/providers/ldap/{id}/", "DeleteProvider"),
    row("DELETE", "/providers/all/{id}/", "DeleteProvider"),
];

/// A step whose names stand for nothing by now.
pub(super) const SKIPPED: &str = "(nothing of this name)";

/// From names to numbers.
struct Names<'a>(&'a Accounts);

impl Names<'_> {
    fn account(&self, name: &str) -> Result<AccountNumber, String> {
        self.0.account_named(name).map(|account| account.number).ok_or_else(|| SKIPPED.to_owned())
    }

    fn group(&self, name: &str) -> Result<GroupNumber, String> {
        self.0.group_named(name).map(|group| group.number).ok_or_else(|| SKIPPED.to_owned())
    }

    fn role(&self, name: &str) -> Result<RoleNumber, String> {
        self.0.role_named(name).map(|role| role.number).ok_or_else(|| SKIPPED.to_owned())
    }

    fn provider(&self, name: &str) -> Result<ProviderNumber, String> {
        self.0.provider_named(name).map(|provider| provider.number).ok_or_else(|| SKIPPED.to_owned())
    }

    fn application(&self, slug: &str) -> Result<ApplicationNumber, String> {
        let found = self.0.application_named(slug).map(|application| application.number);
        found.ok_or_else(|| SKIPPED.to_owned())
    }

    fn token(&self, identifier: &str) -> Result<TokenNumber, String> {
        self.0.token_named(identifier).map(|token| token.number).ok_or_else(|| SKIPPED.to_owned())
    }

    /// A token, or the nth of an account: `root/0`.
    fn identifier(&self, name: &str) -> Result<String, String> {
        let Some((account, place)) = name.split_once('/') else { return Ok(name.to_owned()) };
        let account = self.0.account_named(account).ok_or(SKIPPED)?;
        let place: usize = place.parse().map_err(|_| SKIPPED)?;
        let token = account.tokens.get(place).and_then(|number| self.0.token(*number));
        token.map(|token| token.identifier.clone()).ok_or_else(|| SKIPPED.to_owned())
    }

    /// A credential by what it is accepted by: a token by its identifier, else a password by the account's name.
    fn credential(&self, name: &str) -> Option<ForeignTo> {
        match self.0.token_named(name) {
            Some(token) => Some((token.account, Some(token.number))),
            None => self.account(name).ok().map(|owner| (owner, None)),
        }
    }

    fn binding(&self, slug: &str, place: usize) -> Result<uuid::Uuid, String> {
        let application = self.0.application_named(slug).ok_or(SKIPPED)?;
        application.bindings.get(place).map(|binding| binding.uuid).ok_or_else(|| SKIPPED.to_owned())
    }

    fn grant(&self, grant: &SeedGrant) -> Result<Grant, String> {
        let on = grant.on.as_ref().map(|on| self.object(on)).transpose()?;
        Ok(Grant { permission: grant.permission, on })
    }

    fn object(&self, SeedReference { kind, name }: &SeedReference) -> Result<ObjectReference, String> {
        Ok(match kind {
            ReferenceKind::Provider => ObjectReference::Provider(self.provider(name)?),
            ReferenceKind::Account => ObjectReference::Account(self.account(name)?),
            ReferenceKind::Group => ObjectReference::Group(self.group(name)?),
            ReferenceKind::Role => ObjectReference::Role(self.role(name)?),
            ReferenceKind::Token => ObjectReference::Token(self.token(&self.identifier(name)?)?),
            ReferenceKind::Application => ObjectReference::Application(self.application(name)?),
            ReferenceKind::Attribute => return Err(SKIPPED.to_owned()),
        })
    }

    fn groups(&self, names: &[String]) -> Result<Vec<GroupNumber>, String> {
        names.iter().map(|name| self.group(name)).collect()
    }

    fn roles(&self, names: &[String]) -> Result<Vec<RoleNumber>, String> {
        names.iter().map(|name| self.role(name)).collect()
    }

    fn account_changes(&self, changes: Vec<AccountChange>) -> Result<commands::AccountChanges, String> {
        let mut given = commands::AccountChanges::default();
        for change in changes {
            match change {
                AccountChange::Username(name) => given.username = Some(name),
                AccountChange::Kind(kind) => given.kind = Some(kind),
                AccountChange::Email(email) => given.email = Some(email),
                AccountChange::Active(is_active) => given.is_active = Some(is_active),
                AccountChange::Attribute(description, value) => {
                    let attribute = Attribute { description, values: vec![value.into_bytes()] };
                    given.attributes = Some(vec![attribute]);
                }
                AccountChange::Groups(names) => given.groups = Some(self.groups(&names)?),
                AccountChange::Roles(names) => given.roles = Some(self.roles(&names)?),
                AccountChange::DropsPassword => given.drops_password = true,
            }
        }
        Ok(given)
    }

    fn group_changes(&self, changes: Vec<GroupChange>) -> Result<commands::GroupChanges, String> {
        let mut given = commands::GroupChanges::default();
        for change in changes {
            match change {
                GroupChange::Name(name) => given.name = Some(name),
                GroupChange::Superuser(is_superuser) => given.is_superuser = Some(is_superuser),
                GroupChange::Parents(names) => given.parents = Some(self.groups(&names)?),
                GroupChange::Members(names) => {
                    let members = names.iter().map(|name| self.account(name)).collect::<Result<Vec<_>, _>>();
                    given.members = Some(members?);
                }
                GroupChange::Roles(names) => given.roles = Some(self.roles(&names)?),
            }
        }
        Ok(given)
    }

    fn application_changes(
        &self,
        slug: Option<String>,
        provider: Option<String>,
    ) -> Result<commands::ApplicationChanges, String> {
        let provider = provider.map(|name| self.provider(&name)).transpose()?;
        Ok(commands::ApplicationChanges {
            slug,
            provider: Some(provider),
            ..commands::ApplicationChanges::default()
        })
    }
}

fn provider_changes(changes: Vec<ProviderChange>) -> commands::ProviderChanges {
    let mut given = commands::ProviderChanges::default();
    for change in changes {
        match change {
            ProviderChange::Name(name) => given.name = Some(name),
            ProviderChange::BaseDn(base_dn) => given.base_dn = Some(base_dn),
            ProviderChange::Default(is_default) => given.is_default = Some(is_default),
            ProviderChange::Domain(domain) => given.domain = Some(Some(domain)),
            ProviderChange::UidStart(start) => given.uid_start_number = Some(start),
        }
    }
    given
}

fn token_changes(changes: Vec<TokenChange>) -> TokenChanges {
    let mut given = TokenChanges::default();
    for change in changes {
        match change {
            TokenChange::Identifier(identifier) => given.identifier = Some(identifier),
            TokenChange::Account(account) => given.account = Some(account),
            TokenChange::Expiring(expiring) => given.expiring = Some(expiring),
            TokenChange::Expires(hours) => {
                given.expires = Some(Expiry::In(Duration::from_secs(hours * 3_600)));
            }
            TokenChange::Networks(is_bounded) => {
                given.networks =
                    Some(if is_bounded { vec!["192.0.2.0/24".parse().unwrap()] } else { Vec::new() });
            }
        }
    }
    given
}
