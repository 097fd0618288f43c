//! A random world: what the config describes, what the operator made besides, what each attacker was given, and the
//! steps that are to be played. All of it are names, so that a step means the same when others are left out.

use std::ops::{Deref, DerefMut};

use super::calls::{AccountChange, ApplyOptions, Call, Grantee, GroupChange, ProviderChange, TokenChange};
use super::dice::Dice;
use crate::config::{
    ReferenceKind, Seed, SeedAccount, SeedApplication, SeedGrant, SeedGroup, SeedProvider, SeedReference,
    SeedSecret, SeedSubject, SeedToken,
};
use crate::model::{AccountChanges, AccountKind, Intent, Permission};
use crate::registry::commands::testing;
use crate::secret::Secret;

/// What is played.
#[derive(Clone)]
pub(super) struct Plan {
    /// What decides all of it.
    pub(super) seed: u64,
    /// The rights of others than the attackers.
    pub(super) others: Others,
    /// What the accounts of attackers are given, and how.
    pub(super) given: Vec<Given>,
    /// Whether the attackers tell each other everything.
    pub(super) is_collusion: bool,
    /// The accounts that attackers begin with.
    pub(super) attackers: Vec<&'static str>,
    /// Whether the config grows while the world is played.
    pub(super) has_late: bool,
    /// Whether the operator does anything but apply.
    pub(super) has_operator: bool,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone)]
pub(super) struct Others {
    admin: Vec<Permission>,
    is_admins_super: bool,
    backup_is_admin: bool,
    is_only_provider: bool,
}

/// One right of an attacker's account.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) to: &'static str,
    pub(super) grant: SeedGrant,
    pub(super) via: Via,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    Account,
    Role,
    Group,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A call of an attacker, with one of the credentials that it holds by then.
    Attack { attacker: usize, credential: usize, call: Call },
    /// The operator does something by a command.
    Operator(Call),
    /// The config is applied: unchanged, but for the one time that it grows.
    Apply(ApplyOptions),
    /// So many minutes go by; whether the server has seen to its tokens by then.
    Later { minutes: u64, is_tended: bool },
}

/// Accounts of the config; the last ones are the attackers'.
const ACCOUNTS: [&str; 10] =
    ["root", "svc-root", "backup", "helen", "alice", "bob", "grafana", "mallory", "trudy", "eve"];
const ATTACKERS: [&str; 3] = ["mallory", "trudy", "eve"];
const LATE_ACCOUNTS: [&str; 2] = ["late-admin", "late-person"];
const OPERATORS_ACCOUNTS: [&str; 2] = ["op-admin", "op-person"];
const NEW_ACCOUNTS: [&str; 3] = ["x1", "x2", "x3"];
const GROUPS: [&str; 5] = ["superusers", "admins", "staff", "everyone", "grafana"];
const OTHER_GROUPS: [&str; 7] =
    ["late-admins", "late-staff", "op-group", "mallory-group", "trudy-group", "g1", "g2"];
const ROLES: [&str; 3] = ["admin", "reader", "helpdesk"];
const OTHER_ROLES: [&str; 6] = ["late-role", "op-role", "mallory-role", "trudy-role", "r1", "r2"];
const TOKENS: [&str; 6] = ["root-api", "backup-api", "alice-app", "mallory-api", "trudy-api", "eve-api"];
const OTHER_TOKENS: [&str; 10] = [
    "late-token",
    "svc-root-app-password",
    "grafana-app-password",
    "backup-app-password",
    "late-admin-app-password",
    "x1-app-password",
    "op-token",
    "t1",
    "t2",
    "t3",
];
const PROVIDERS: [&str; 2] = ["main", "other"];
const OTHER_PROVIDERS: [&str; 3] = ["late-provider", "p1", "p2"];
const APPLICATIONS: [&str; 2] = ["wiki", "files"];
const OTHER_APPLICATIONS: [&str; 3] = ["late-app", "a1", "a2"];
const BASE_DNS: [&str; 8] = [
    "dc=example,dc=org",
    "dc=other,dc=net",
    "dc=late,dc=net",
    "ou=users,dc=example,dc=org",
    "OU=Users, DC=example,DC=org",
    "ou=deep,ou=groups,dc=other,dc=net",
    "dc=org",
    "dc=mine,dc=test",
];
const DOMAINS: [&str; 5] = ["example.org", "other.net", "EXAMPLE.org", "mine.test", ""];
/// Names of attributes by which an account is found or trusted.
const TRUSTED_ATTRIBUTES: [&str; 9] = [
    "uid",
    "cn",
    "mail",
    "email",
    "sAMAccountName",
    "userPrincipalName",
    "uidNumber",
    "gidNumber",
    "sshPublicKey",
];
const TRUSTED_VALUES: [&str; 9] =
    ["root", "alice", "Bob", "alice@example.org", "bob@example.org", "0", "999", "2001", "70000"];

/// Draws that come back to the same few objects, so that what one call does matters to the next.
struct Draw {
    dice: Dice,
    focus: Focus,
}

/// An account, a group, a role, a token and a provider.
type Focus = [&'static str; 5];

const FOCUSES: [Focus; 10] = [
    ["root", "superusers", "admin", "root-api", "main"],
    ["svc-root", "superusers", "helpdesk", "svc-root-app-password", "main"],
    ["backup", "admins", "admin", "backup-api", "main"],
    ["alice", "admins", "admin", "alice-app", "main"],
    ["alice", "staff", "reader", "alice-app", "other"],
    ["helen", "everyone", "helpdesk", "t1", "main"],
    ["late-admin", "late-admins", "late-role", "late-token", "late-provider"],
    ["late-person", "late-staff", "late-role", "late-admin-app-password", "late-provider"],
    ["op-person", "op-group", "op-role", "op-token", "p1"],
    ["grafana", "grafana", "reader", "grafana-app-password", "other"],
];

impl Deref for Draw {
    type Target = Dice;

    fn deref(&self) -> &Dice {
        &self.dice
    }
}

impl DerefMut for Draw {
    fn deref_mut(&mut self) -> &mut Dice {
        &mut self.dice
    }
}

impl Draw {
    /// The object of this place in the focus, half the time.
    fn focus(&mut self, place: usize) -> Option<String> {
        self.dice.chance(50).then(|| self.focus[place].to_owned())
    }
}

impl Plan {
    pub(super) fn new(seed: u64, steps: usize) -> Self {
        let mut dice = Dice::new(seed);
        let all: Vec<Permission> = Permission::ALL.to_vec();
        let admin = dice.some(&all, 12);
        let others = Others {
            admin: if admin.is_empty() { vec![Permission::ChangeUser] } else { admin },
            is_admins_super: dice.chance(20),
            backup_is_admin: dice.chance(50),
            is_only_provider: dice.chance(25),
        };
        let attackers: Vec<&str> = ATTACKERS[..1 + dice.below(ATTACKERS.len())].to_vec();
        let mut given = Vec::new();
        for to in &attackers {
            draw_given(&mut dice, to, &mut given);
        }
        let mut plan = Self {
            seed,
            others,
            given,
            is_collusion: dice.chance(30),
            attackers,
            has_late: dice.chance(40),
            has_operator: dice.chance(60),
            steps: Vec::new(),
        };
        let focus = dice.pick(&FOCUSES);
        let mut draw = Draw { dice, focus };
        plan.steps = (0..steps).map(|_| plan.draw_step(&mut draw)).collect();
        plan
    }

    /// The config; `is_late`: when it has grown.
    pub(super) fn config(&self, is_late: bool) -> Seed {
        let others = &self.others;
        let mut providers = vec![
            provider_of("main", "dc=example,dc=org", if others.is_only_provider { None } else { Some(true) }),
            provider_of("other", "dc=other,dc=net", Some(false)),
        ];
        if others.is_only_provider {
            providers.truncate(1);
        }
        let global = |permissions: &[Permission]| {
            permissions.iter().map(|&permission| SeedGrant { permission, on: None }).collect::<Vec<_>>()
        };
        let on_main = SeedGrant {
            permission: Permission::SearchFullDirectory,
            on: Some(SeedReference { kind: ReferenceKind::Provider, name: "main".to_owned() }),
        };
        let mut roles = vec![
            testing::role("admin", global(&others.admin)),
            testing::role("reader", vec![on_main]),
            testing::role("helpdesk", global(&[Permission::ResetUserPassword, Permission::ViewUser])),
        ];
        let mut groups = vec![
            superusers("superusers", &["root", "svc-root"]),
            SeedGroup {
                roles: Some(vec!["admin".to_owned()]),
                parents: Some(if others.is_admins_super {
                    vec!["superusers".to_owned()]
                } else {
                    Vec::new()
                }),
                ..testing::group("admins", &["alice"])
            },
            SeedGroup {
                parents: Some(vec!["everyone".to_owned()]),
                ..testing::group("staff", &["alice", "bob"])
            },
            SeedGroup { roles: Some(vec!["reader".to_owned()]), ..testing::group("everyone", &[]) },
        ];
        let with_roles = |roles: &[&str], account: SeedAccount| SeedAccount {
            roles: Some(roles.iter().map(ToString::to_string).collect()),
            ..account
        };
        let mut accounts = vec![
            SeedAccount {
                password: Some(SeedSecret::Given(Secret::from("the password of root".to_owned()))),
                said: AccountChanges {
                    kind: Some(AccountKind::Internal),
                    email: Some("root@example.org".to_owned()),
                    ..AccountChanges::default()
                },
                ..testing::account("root", AccountKind::Internal)
            },
            testing::account("svc-root", AccountKind::ServiceAccount),
            with_roles(
                if others.backup_is_admin { &["admin"] } else { &[] },
                testing::account("backup", AccountKind::ServiceAccount),
            ),
            with_roles(&["helpdesk"], testing::account("helen", AccountKind::External)),
            SeedAccount {
                said: AccountChanges {
                    kind: Some(AccountKind::Internal),
                    email: Some("alice@example.org".to_owned()),
                    is_active: Some(true),
                    ..AccountChanges::default()
                },
                ..testing::account("alice", AccountKind::Internal)
            },
            testing::account("bob", AccountKind::External),
            SeedAccount {
                create_group: Some(true),
                ..testing::account("grafana", AccountKind::ServiceAccount)
            },
        ];
        let mut tokens = vec![
            api_token("root-api", "root"),
            SeedToken { retrievable: Some(true), ..api_token("backup-api", "backup") },
            testing::token("alice-app", "alice"),
        ];
        for &attacker in &self.attackers {
            let of = |via: Via| -> Vec<SeedGrant> {
                let mine = self.given.iter().filter(|given| given.to == attacker && given.via == via);
                mine.map(|given| given.grant.clone()).collect()
            };
            let kind = if attacker == "eve" { AccountKind::Internal } else { AccountKind::ServiceAccount };
            let mut account =
                SeedAccount { permissions: Some(of(Via::Account)), ..testing::account(attacker, kind) };
            if !of(Via::Role).is_empty() {
                let name = format!("{attacker}-role");
                roles.push(testing::role(&name, of(Via::Role)));
                account.roles = Some(vec![name]);
            }
            if !of(Via::Group).is_empty() {
                groups.push(SeedGroup {
                    permissions: Some(of(Via::Group)),
                    ..testing::group(&format!("{attacker}-group"), &[attacker])
                });
            }
            accounts.push(account);
            tokens.push(api_token(&format!("{attacker}-api"), attacker));
        }
        let mut applications = vec![SeedApplication {
            slug: "wiki".to_owned(),
            provider: Some("main".to_owned()),
            bindings: Some(vec![testing::bound(SeedSubject::Group("staff".to_owned()))]),
            ..SeedApplication::default()
        }];
        if is_late {
            roles.push(testing::role("late-role", global(&others.admin)));
            groups.push(superusers("late-admins", &["late-admin"]));
            groups.push(SeedGroup {
                roles: Some(vec!["late-role".to_owned()]),
                ..testing::group("late-staff", &[])
            });
            accounts.push(testing::account("late-admin", AccountKind::ServiceAccount));
            accounts.push(with_roles(&["late-role"], testing::account("late-person", AccountKind::Internal)));
            tokens.push(api_token("late-token", "backup"));
            providers.push(provider_of("late-provider", "dc=late,dc=net", None));
            applications.push(SeedApplication { slug: "late-app".to_owned(), ..SeedApplication::default() });
        }
        Seed { providers, roles, groups, accounts, tokens, applications, ..Seed::default() }
    }

    /// What the operator did before any attacker came.
    pub(super) fn operators_calls(&self) -> Vec<Call> {
        let name = |name: &str| name.to_owned();
        let grants = self.others.admin.iter().map(|&permission| SeedGrant { permission, on: None }).collect();
        vec![
            Call::CreateRole { name: name("op-role") },
            Call::SetGrants { grantee: Grantee::Role(name("op-role")), grants, granted: true },
            Call::CreateGroup {
                name: name("op-group"),
                changes: vec![GroupChange::Roles(vec![name("op-role")])],
            },
            Call::CreateAccount {
                name: name("op-admin"),
                kind: AccountKind::Internal,
                changes: vec![AccountChange::Groups(vec![name("superusers")])],
            },
            Call::CreateAccount {
                name: name("op-person"),
                kind: AccountKind::ServiceAccount,
                changes: vec![AccountChange::Groups(vec![name("op-group")])],
            },
            Call::CreateToken {
                identifier: name("op-token"),
                account: name("op-person"),
                intent: Intent::Api,
                is_retrievable: true,
            },
        ]
    }

    /// What the accounts of the config hold that are no attacker's.
    pub(super) fn others_in_words(&self) -> String {
        let others = &self.others;
        let admin: Vec<&str> = others.admin.iter().map(|permission| permission.codename()).collect();
        format!(
            "role admin allows {}; alice is in admins, which has it{}; backup {} it; {} attackers{}; {}",
            admin.join(" "),
            if others.is_admins_super { " and is in superusers" } else { "" },
            if others.backup_is_admin { "has" } else { "has not" },
            self.attackers.len(),
            if self.is_collusion { " that collude" } else { "" },
            if others.is_only_provider { "one provider" } else { "two providers, main is the default" },
        )
    }

    fn draw_step(&self, dice: &mut Draw) -> Step {
        match dice.below(100) {
            0..6 => Step::Apply(ApplyOptions {
                is_late: self.has_late && dice.chance(40),
                prune: dice.chance(3),
                recreate: if dice.chance(15) { vec![dice.pick(&ACCOUNTS).to_owned()] } else { Vec::new() },
                adopt: if dice.chance(15) { vec![adopted(dice)] } else { Vec::new() },
                accept_told: if dice.chance(40) { dice.below(256) as u8 } else { 0 },
                accept: if dice.chance(10) { vec![accepted(dice)] } else { Vec::new() },
            }),
            6 => Step::Later {
                // An overlap, the life of an automatic rotation, that of a token.
                minutes: dice.pick(&[40, 40, 40, 1_500, 300_000, 700_000]),
                is_tended: dice.chance(70),
            },
            7..15 if self.has_operator => Step::Operator(draw_operators_call(dice)),
            _ => {
                let attacker = dice.below(self.attackers.len());
                Step::Attack {
                    attacker,
                    credential: if dice.chance(60) { 0 } else { dice.below(16) },
                    call: draw_call(dice, self.attackers[attacker], &self.given),
                }
            }
        }
    }
}

/// An object that callers of the API may have made.
fn adopted(dice: &mut Draw) -> String {
    match dice.below(6) {
        0 => account(dice),
        1 => group(dice),
        2 => role_name(dice),
        3 => provider(dice),
        4 => application(dice),
        _ => dice.pick(&LATE_ACCOUNTS).to_owned(),
    }
}

/// A credential that an operator may take for harmless.
fn accepted(dice: &mut Draw) -> String {
    if dice.chance(50) { account(dice) } else { token(dice).replace('/', "-") }
}

fn provider_of(name: &str, base_dn: &str, is_default: Option<bool>) -> SeedProvider {
    let mut provider = testing::provider(name, base_dn);
    provider.said.is_default = is_default;
    provider
}

fn superusers(name: &str, members: &[&str]) -> SeedGroup {
    let mut group = testing::group(name, members);
    group.said.is_superuser = Some(true);
    group
}

fn api_token(identifier: &str, account: &str) -> SeedToken {
    let mut token = testing::token(identifier, account);
    token.said.intent = Some(Intent::Api);
    token
}

/// A few permissions, some of them on one object only. Most attackers see what there is, as whoever may not view a
/// thing may do nothing to it.
fn draw_given(dice: &mut Dice, to: &'static str, given: &mut Vec<Given>) {
    let via = dice.pick(&[Via::Account, Via::Account, Via::Role, Via::Group]);
    if dice.chance(75) {
        for permission in Permission::ALL.iter().copied().filter(is_view) {
            given.push(Given { to, grant: SeedGrant { permission, on: None }, via });
        }
    }
    let acts: Vec<Permission> =
        Permission::ALL.iter().copied().filter(|permission| !is_view(permission)).collect();
    let count = 3 + dice.below(12);
    for _ in 0..count {
        let permission = if dice.chance(90) { dice.pick(&acts) } else { dice.pick(Permission::ALL) };
        let on = if dice.chance(25) { draw_object(dice, permission) } else { None };
        let via = if dice.chance(80) { via } else { Via::Account };
        given.push(Given { to, grant: SeedGrant { permission, on }, via });
    }
    // A list names each only once.
    let mut seen: Vec<(Via, SeedGrant)> = Vec::new();
    given.retain(|one| {
        let key = (one.via, one.grant.clone());
        let is_new = one.to != to || !seen.contains(&key);
        seen.push(key);
        is_new
    });
}

/// Whether it only lets somebody see.
fn is_view(permission: &Permission) -> bool {
    permission.codename().starts_with("view_") && *permission != Permission::ViewTokenKey
}

/// An object of the config that this can be granted on.
fn draw_object(dice: &mut Dice, permission: Permission) -> Option<SeedReference> {
    let (kind, name) = match permission.model() {
        "user" => (ReferenceKind::Account, dice.pick(&ACCOUNTS[..7])),
        "group" => (ReferenceKind::Group, dice.pick(&GROUPS)),
        "role" => (ReferenceKind::Role, dice.pick(&ROLES)),
        "token" => (ReferenceKind::Token, dice.pick(&TOKENS[..3])),
        "application" => (ReferenceKind::Application, "wiki"),
        "ldapprovider" => (ReferenceKind::Provider, "main"),
        _ => return None,
    };
    Some(SeedReference { kind, name: name.to_owned() })
}

fn account(dice: &mut Draw) -> String {
    if let Some(focus) = dice.focus(0) {
        return focus;
    }
    let pool = match dice.below(10) {
        0..6 => &ACCOUNTS[..],
        6 => &LATE_ACCOUNTS,
        7 => &OPERATORS_ACCOUNTS,
        _ => &NEW_ACCOUNTS,
    };
    dice.pick(pool).to_owned()
}

fn group(dice: &mut Draw) -> String {
    if let Some(focus) = dice.focus(1) {
        return focus;
    }
    if dice.chance(60) { dice.pick(&GROUPS) } else { dice.pick(&OTHER_GROUPS) }.to_owned()
}

fn role_name(dice: &mut Draw) -> String {
    if let Some(focus) = dice.focus(2) {
        return focus;
    }
    if dice.chance(55) { dice.pick(&ROLES) } else { dice.pick(&OTHER_ROLES) }.to_owned()
}

fn token(dice: &mut Draw) -> String {
    if let Some(focus) = dice.focus(3) {
        return focus;
    }
    match dice.below(10) {
        0..4 => dice.pick(&TOKENS).to_owned(),
        4..8 => dice.pick(&OTHER_TOKENS).to_owned(),
        // The nth token of an account, whatever it is called: those that were replaced have names of their own.
        _ => format!("{}/{}", account(dice), dice.below(3)),
    }
}

fn provider(dice: &mut Draw) -> String {
    if let Some(focus) = dice.focus(4) {
        return focus;
    }
    if dice.chance(50) { dice.pick(&PROVIDERS) } else { dice.pick(&OTHER_PROVIDERS) }.to_owned()
}

fn application(dice: &mut Draw) -> String {
    if dice.chance(50) { dice.pick(&APPLICATIONS) } else { dice.pick(&OTHER_APPLICATIONS) }.to_owned()
}

/// A name as somebody may write it who hopes that it is taken for another.
fn written(dice: &mut Draw, name: String) -> String {
    match dice.below(3) {
        0 => name.to_uppercase(),
        1 => format!(" {name}"),
        _ => format!("{name} "),
    }
}

fn list(dice: &mut Draw, one: fn(&mut Draw) -> String, at_most: usize) -> Vec<String> {
    (0..dice.below(at_most + 1)).map(|_| one(dice)).collect()
}

fn reference(dice: &mut Draw, permission: Permission) -> Option<SeedReference> {
    let (kind, name) = match permission.model() {
        "user" => (ReferenceKind::Account, account(dice)),
        "group" => (ReferenceKind::Group, group(dice)),
        "role" => (ReferenceKind::Role, role_name(dice)),
        "token" => (ReferenceKind::Token, token(dice)),
        "application" => (ReferenceKind::Application, application(dice)),
        "ldapprovider" => (ReferenceKind::Provider, provider(dice)),
        _ => return None,
    };
    Some(SeedReference { kind, name })
}

/// One or two permissions; mostly of those, as nobody gives what they lack.
fn grants(dice: &mut Draw, mine: &[Permission]) -> Vec<SeedGrant> {
    let count = 1 + dice.below(2);
    let grant = |_| {
        let permission =
            if mine.is_empty() || dice.chance(40) { dice.pick(Permission::ALL) } else { dice.pick(mine) };
        let on = if dice.chance(50) { reference(dice, permission) } else { None };
        SeedGrant { permission, on }
    };
    (0..count).map(grant).collect()
}

fn grantee(dice: &mut Draw) -> Grantee {
    match dice.below(3) {
        0 => Grantee::Role(role_name(dice)),
        1 => Grantee::Group(group(dice)),
        _ => Grantee::Account(account(dice)),
    }
}

fn kind(dice: &mut Draw) -> AccountKind {
    match dice.below(20) {
        0..8 => AccountKind::Internal,
        8..11 => AccountKind::External,
        11..19 => AccountKind::ServiceAccount,
        _ => AccountKind::InternalServiceAccount,
    }
}

fn account_changes(dice: &mut Draw, is_new: bool) -> Vec<AccountChange> {
    let count = if is_new { dice.below(3) } else { 1 + dice.below(2) };
    let change = |_| match dice.below(if is_new { 8 } else { 13 }) {
        0 | 1 => AccountChange::Groups(list(dice, group, 2)),
        2 | 3 => AccountChange::Roles(list(dice, role_name, 2)),
        4 | 5 => AccountChange::Attribute(
            dice.pick(&TRUSTED_ATTRIBUTES).to_owned(),
            dice.pick(&TRUSTED_VALUES).to_owned(),
        ),
        6 => AccountChange::Email(
            dice.pick(&["alice@example.org", "ROOT@example.org", "x@mine.test", ""]).to_owned(),
        ),
        7 => AccountChange::Active(dice.chance(50)),
        8 | 9 => AccountChange::Username(new_name(dice, &NEW_ACCOUNTS, &LATE_ACCOUNTS, account)),
        10 => AccountChange::Kind(kind(dice)),
        11 => AccountChange::DropsPassword,
        _ => AccountChange::Active(dice.chance(70)),
    };
    (0..count).map(change).collect()
}

fn group_changes(dice: &mut Draw, is_new: bool, me: &'static str) -> Vec<GroupChange> {
    let count = if is_new { dice.below(3) } else { 1 + dice.below(2) };
    let change = |_| match dice.below(if is_new { 8 } else { 10 }) {
        0..3 => {
            let mut members = list(dice, account, 3);
            if dice.chance(40) {
                members.push(me.to_owned());
            }
            GroupChange::Members(members)
        }
        3 | 4 => GroupChange::Parents(list(dice, group, 2)),
        5 | 6 => GroupChange::Roles(list(dice, role_name, 2)),
        7 => GroupChange::Superuser(dice.chance(50)),
        _ => GroupChange::Name(new_name(dice, &["g1", "g2"], &["late-admins", "late-staff"], group)),
    };
    (0..count).map(change).collect()
}

fn provider_changes(dice: &mut Draw) -> Vec<ProviderChange> {
    let count = 1 + dice.below(2);
    let change = |_| match dice.below(8) {
        0..2 => ProviderChange::Name(provider(dice)),
        2 | 3 => ProviderChange::BaseDn(dice.pick(&BASE_DNS).to_owned()),
        4 => ProviderChange::Default(dice.chance(50)),
        5 | 6 => ProviderChange::Domain(dice.pick(&DOMAINS).to_owned()),
        _ => ProviderChange::UidStart(dice.pick(&[0, 1_000, 2_000, 3_000])),
    };
    (0..count).map(change).collect()
}

fn token_changes(dice: &mut Draw, me: &'static str) -> Vec<TokenChange> {
    let count = 1 + dice.below(2);
    let change = |_| match dice.below(7) {
        0 | 1 => TokenChange::Identifier(
            new_name(dice, &["t1", "t2", "t3"], &["late-token"], token).replace('/', "-"),
        ),
        2 | 3 => TokenChange::Account(if dice.chance(25) { me.to_owned() } else { account(dice) }),
        4 => TokenChange::Expiring(dice.chance(50)),
        5 => TokenChange::Expires(dice.pick(&[1, 30, 9_000])),
        _ => TokenChange::Networks(dice.chance(50)),
    };
    (0..count).map(change).collect()
}

/// What a caller asks for; mostly something that one of its permissions is for.
fn draw_call(dice: &mut Draw, me: &'static str, given: &[Given]) -> Call {
    let mine: Vec<Permission> = given
        .iter()
        .filter(|given| given.to == me && !is_view(&given.grant.permission))
        .map(|given| given.grant.permission)
        .collect();
    let draw = |dice: &mut Draw| match mine.is_empty() || dice.chance(20) {
        true => dice.pick(Permission::ALL),
        false => dice.pick(&mine),
    };
    let mut permission = draw(dice);
    // A change of a provider makes its whole tree anew: seldom, as it takes longer than anything else.
    if permission.model() == "ldapprovider" && dice.chance(60) {
        permission = draw(dice);
    }
    let on = given.iter().filter(|given| given.to == me && given.grant.permission == permission);
    let on: Vec<&str> =
        on.filter_map(|given| given.grant.on.as_ref()).map(|reference| reference.name.as_str()).collect();
    // An object that it may do it to, if it is not just any.
    let at = |dice: &mut Draw, any: fn(&mut Draw) -> String| match on.is_empty() || dice.chance(30) {
        true => any(dice),
        false => dice.pick(&on).to_owned(),
    };
    match permission {
        Permission::AddUser if dice.chance(50) => Call::CreateAccount {
            name: new_name(dice, &NEW_ACCOUNTS, &LATE_ACCOUNTS, account),
            kind: kind(dice),
            changes: account_changes(dice, true),
        },
        Permission::AddUser => Call::CreateServiceAccount {
            name: new_name(dice, &NEW_ACCOUNTS, &LATE_ACCOUNTS, account),
            has_group: dice.chance(30),
        },
        Permission::ChangeUser => match dice.below(10) {
            0 => Call::SetGrants {
                grantee: Grantee::Account(at(dice, account)),
                grants: grants(dice, &mine),
                granted: dice.chance(60),
            },
            1 | 2 => Call::CreateToken {
                identifier: new_name(dice, &["t1", "t2", "t3"], &["late-token"], token).replace('/', "-"),
                account: at(dice, account),
                intent: Intent::Api,
                is_retrievable: dice.chance(30),
            },
            _ => Call::UpdateAccount { account: at(dice, account), changes: account_changes(dice, false) },
        },
        Permission::DeleteUser => Call::DeleteAccount { account: at(dice, account) },
        Permission::ResetUserPassword if dice.chance(10) => {
            Call::UnlockAccount { account: at(dice, account) }
        }
        Permission::ResetUserPassword => {
            Call::SetPassword { account: at(dice, account), is_hash: dice.chance(20) }
        }
        Permission::AddGroup => Call::CreateGroup {
            name: new_name(dice, &["g1", "g2"], &["late-admins", "late-staff"], group),
            changes: group_changes(dice, true, me),
        },
        Permission::ChangeGroup => {
            Call::UpdateGroup { group: at(dice, group), changes: group_changes(dice, false, me) }
        }
        Permission::DeleteGroup => Call::DeleteGroup { group: at(dice, group) },
        Permission::AddUserToGroup | Permission::RemoveUserFromGroup => Call::SetMember {
            group: at(dice, group),
            account: if dice.chance(25) { me.to_owned() } else { account(dice) },
            is_member: permission == Permission::AddUserToGroup,
        },
        Permission::AddRole => {
            Call::CreateRole { name: new_name(dice, &["r1", "r2"], &["late-role"], role_name) }
        }
        Permission::ChangeRole if dice.chance(30) => {
            Call::UpdateRole { role: at(dice, role_name), name: role_name(dice) }
        }
        Permission::ChangeRole => Call::SetRole {
            role: at(dice, role_name),
            account: if dice.chance(25) { me.to_owned() } else { account(dice) },
            holds: dice.chance(50),
        },
        Permission::DeleteRole => Call::DeleteRole { role: at(dice, role_name) },
        Permission::AssignRolePermissions | Permission::UnassignRolePermissions => Call::SetGrants {
            grantee: match dice.below(4) {
                0 => Grantee::Group(group(dice)),
                1 => Grantee::Account(account(dice)),
                _ => Grantee::Role(at(dice, role_name)),
            },
            grants: grants(dice, &mine),
            granted: permission == Permission::AssignRolePermissions,
        },
        Permission::AddProvider => Call::CreateProvider {
            name: new_name(dice, &["p1", "p2"], &["late-provider"], provider),
            changes: {
                let mut changes = provider_changes(dice);
                changes.push(ProviderChange::BaseDn(dice.pick(&BASE_DNS).to_owned()));
                changes
            },
        },
        Permission::ChangeProvider => {
            Call::UpdateProvider { provider: at(dice, provider), changes: provider_changes(dice) }
        }
        Permission::DeleteProvider => Call::DeleteProvider { provider: at(dice, provider) },
        Permission::AddApplication => Call::CreateApplication {
            slug: new_name(dice, &["a1", "a2"], &["late-app"], application),
            provider: dice.chance(30).then(|| provider(dice)),
        },
        Permission::ChangeApplication => Call::UpdateApplication {
            application: at(dice, application),
            slug: application(dice),
            provider: dice.chance(50).then(|| provider(dice)),
        },
        Permission::DeleteApplication => Call::DeleteApplication { application: at(dice, application) },
        Permission::AddPolicyBinding => Call::CreateBinding {
            application: application(dice),
            subject: match dice.chance(50) {
                true => Grantee::Group(group(dice)),
                false => Grantee::Account(account(dice)),
            },
        },
        Permission::ChangePolicyBinding => Call::UpdateBinding {
            application: application(dice),
            place: dice.below(2),
            to: application(dice),
            negate: dice.chance(50),
        },
        Permission::DeletePolicyBinding => {
            Call::DeleteBinding { application: application(dice), place: dice.below(2) }
        }
        Permission::AddToken => Call::CreateToken {
            identifier: new_name(dice, &["t1", "t2", "t3"], &["late-token"], token).replace('/', "-"),
            account: if dice.chance(25) { me.to_owned() } else { account(dice) },
            intent: dice.pick(&[Intent::Api, Intent::Api, Intent::AppPassword]),
            is_retrievable: dice.chance(30),
        },
        Permission::ChangeToken => {
            Call::UpdateToken { token: at(dice, token), changes: token_changes(dice, me) }
        }
        Permission::DeleteToken => {
            Call::RevokeToken { token: at(dice, token), keeps_replaced: dice.chance(40) }
        }
        Permission::SetTokenKey if dice.chance(50) => {
            Call::RotateToken { token: at(dice, token), has_overlap: dice.chance(50) }
        }
        Permission::SetTokenKey => Call::SetTokenKey { token: at(dice, token), is_chosen: dice.chance(50) },
        Permission::ViewTokenKey => Call::ViewTokenKey { token: at(dice, token) },
        // Those that open nothing here.
        _ => match dice.below(3) {
            0 => Call::OwnSecret {
                is_chosen: dice.chance(50),
                has_overlap: dice.chance(50),
                has_old: dice.chance(30),
            },
            1 => Call::UpdateAccount { account: me.to_owned(), changes: account_changes(dice, false) },
            _ => Call::UpdateToken { token: token(dice), changes: token_changes(dice, me) },
        },
    }
}

/// A name for something new: mostly one that is free, or that the config is about to use.
fn new_name(
    dice: &mut Draw,
    free: &[&'static str],
    late: &[&'static str],
    any: fn(&mut Draw) -> String,
) -> String {
    match dice.below(100) {
        0..45 => dice.pick(free).to_owned(),
        45..60 => dice.pick(late).to_owned(),
        60..92 => any(dice),
        _ => {
            let name = any(dice);
            written(dice, name)
        }
    }
}

/// What an operator does: mostly to the accounts that are no attacker's, so that attackers stay weak.
fn draw_operators_call(dice: &mut Draw) -> Call {
    let person = |dice: &mut Draw| dice.pick(&ACCOUNTS[..7]).to_owned();
    match dice.below(16) {
        0 => Call::SetMember { group: group(dice), account: person(dice), is_member: dice.chance(60) },
        1 => Call::SetRole { role: role_name(dice), account: person(dice), holds: dice.chance(60) },
        2 => Call::SetGrants {
            grantee: Grantee::Account(account(dice)),
            grants: grants(dice, &[]),
            granted: true,
        },
        3 => Call::SetGrants { grantee: grantee(dice), grants: grants(dice, &[]), granted: dice.chance(30) },
        4 => Call::CreateAccount { name: account(dice), kind: AccountKind::Internal, changes: Vec::new() },
        5 => Call::CreateServiceAccount { name: account(dice), has_group: dice.chance(30) },
        6 => Call::DeleteAccount { account: account(dice) },
        7 => Call::DeleteGroup { group: group(dice) },
        8 => Call::DeleteRole { role: role_name(dice) },
        9 => Call::CreateToken {
            identifier: token(dice).replace('/', "-"),
            account: account(dice),
            intent: Intent::AppPassword,
            is_retrievable: dice.chance(50),
        },
        10 => Call::RevokeToken { token: token(dice), keeps_replaced: dice.chance(30) },
        11 => Call::SetPassword { account: person(dice), is_hash: dice.chance(20) },
        12 => Call::UpdateAccount {
            account: account(dice),
            changes: vec![AccountChange::Active(dice.chance(60))],
        },
        13 => Call::UpdateGroup {
            group: group(dice),
            changes: vec![GroupChange::Roles(list(dice, role_name, 2))],
        },
        14 => Call::Import {
            accounts: list(dice, account, 2),
            are_services: dice.chance(50),
            group: group(dice),
            members: if dice.chance(80) { list(dice, account, 3) } else { list(dice, group, 3) },
            role: dice.chance(50).then(|| role_name(dice)),
        },
        _ => Call::UpdateToken { token: token(dice), changes: vec![TokenChange::Account(person(dice))] },
    }
}
