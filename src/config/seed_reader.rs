//! Reads the seed out of the main file and the included ones.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::diagnostics::{Problem, Problems};
use super::file::{Broken, ConfigFile};
use super::limits::{self, Bounded, SEARCH_SIZE_RANGE, SEARCH_TIME_RANGE};
use super::names;
use super::place::{Object, Place};
use super::reader::{Item, TableReader};
use super::seed::{
    ReferenceKind, Seed, SeedAccount, SeedApplication, SeedAttribute, SeedGrant, SeedGroup, SeedProvider,
    SeedRole, SeedSecret, SeedToken,
};
use super::seed_secret::{PASSWORD, SECRET, SecretSources};
use super::seed_value::{
    INTENT, MODE, account_kind, attribute_type, container, custom_attribute, custom_oid, dn, domain, expiry,
    network, permission, reference, slug, syntax,
};
use super::text::{Located, Position};
use super::value::{self, Raw};
use crate::model::{
    AccountChanges, ApplicationChanges, ApplicationText, Attribute, Container, Expiry, GroupChanges, Intent,
    ProviderChanges, RoleChanges, TokenChanges, first_identifier,
};
use crate::quoted::quoted;
use crate::schema::Schema;

/// A name in the seed that stands for an object described elsewhere.
#[derive(Clone, Debug)]
pub struct LocatedReference {
    /// What is named.
    pub kind: ReferenceKind,
    /// Its name as it is written.
    pub name: String,
    /// The key that names it, such as `group.members`.
    pub key: String,
    /// Where.
    pub position: Position,
    /// The object that names it, if that has a name itself.
    pub(super) owner: Option<Object>,
}

/// The seed as far as it is read.
pub(super) struct SeedReader<'e> {
    /// The objects, in the order of the files.
    pub(super) seed: Seed,
    /// Where each object stands.
    pub(super) places: HashMap<Object, Place>,
    /// The objects whose names cannot be: others may name them all the same.
    pub(super) misnamed: HashSet<Object>,
    /// The kinds of objects that stand, or may stand, in tables of a wrong name.
    pub(super) lost: Vec<ReferenceKind>,
    /// Every name that stands for another object.
    pub(super) references: Vec<LocatedReference>,
    secrets: SecretSources<'e>,
    /// The object that is being read.
    current: Option<Object>,
    /// What may be there once only: each with its first position.
    claims: HashMap<(Claim, String), Position>,
}

/// What only one object may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Claim {
    /// To be the default provider.
    Default,
    /// A suffix.
    BaseDn,
    /// A domain of bare names.
    Domain,
    /// The object identifier of an attribute type.
    Oid,
    /// An application of a provider.
    Provider,
    /// A hash without a selector, of an account.
    SelectorLess,
}

impl<'e> SeedReader<'e> {
    /// Nothing is read yet.
    pub(super) fn new(secrets: SecretSources<'e>) -> Self {
        Self {
            seed: Seed::default(),
            places: HashMap::new(),
            misnamed: HashSet::new(),
            lost: Vec::new(),
            references: Vec::new(),
            secrets,
            current: None,
            claims: HashMap::new(),
        }
    }

    /// Reads all objects of a file.
    pub(super) fn read(&mut self, root: &mut TableReader<'_>, file: &ConfigFile, problems: &mut Problems) {
        self.objects(ReferenceKind::Attribute, root, problems, Self::attribute);
        self.objects(ReferenceKind::Provider, root, problems, Self::provider);
        self.objects(ReferenceKind::Role, root, problems, Self::role);
        self.objects(ReferenceKind::Group, root, problems, Self::group);
        self.objects(ReferenceKind::Account, root, problems, |reader, table, problems| {
            reader.account(table, file, problems);
        });
        self.objects(ReferenceKind::Token, root, problems, |reader, table, problems| {
            reader.token(table, file, problems);
        });
        self.objects(ReferenceKind::Application, root, problems, Self::application);
        for unknown in root.unknown_tables() {
            self.lose(unknown);
        }
        for broken in &file.broken {
            self.lose_broken(broken, file);
        }
    }

    /// Notes that objects stand, or may stand, in a table of this name which cannot be read.
    fn lose(&mut self, table: &str) {
        match meant(table) {
            // It may have asked for a group, and has a first token.
            Some(ReferenceKind::Account) => {
                self.lost.extend([ReferenceKind::Account, ReferenceKind::Group, ReferenceKind::Token]);
            }
            Some(kind) => self.lost.push(kind),
            None => self.lost.extend(ReferenceKind::ALL),
        }
    }

    /// Notes whose tables a broken piece of a file is: of an object that has its name nothing but what else it says is lost.
    fn lose_broken(&mut self, broken: &Broken, file: &ConfigFile) {
        let at = |position: &Position| match position {
            Position::Text { source, span } if Arc::ptr_eq(source, &file.source) => Some(span.start),
            _ => None,
        };
        let mut named = 0;
        for place in self.places.values_mut() {
            if at(&place.name).is_some_and(|at| broken.octets.contains(&at)) {
                place.is_broken();
                named += 1;
            }
        }
        let (inner, outer): (Vec<_>, Vec<_>) = broken.headers.iter().partition(|header| header.contains('.'));
        // A table in an object belongs to the last one before.
        for header in inner {
            let kind = header.split('.').next().unwrap_or("").trim();
            let places = self.places.iter_mut().filter(|((of, _), _)| of.as_str() == kind);
            let before = places.filter_map(|(_, place)| Some((at(&place.name)?, place)));
            let before = before.filter(|(at, _)| *at < broken.octets.end).max_by_key(|(at, _)| *at);
            if let Some((_, place)) = before {
                place.is_broken();
            }
        }
        if broken.headers.is_empty() {
            self.lost.extend(ReferenceKind::ALL);
        } else if outer.len() > named {
            for table in broken.tables().filter(|table| *table != "server") {
                let name = meant(table).and_then(|kind| {
                    let key = name_key(kind);
                    let mut names = broken.names.iter().filter(|_| outer.len() == 1);
                    names.find(|(of, _)| *of == key).map(|(_, name)| (kind, name.as_str()))
                });
                match name {
                    Some((kind, name)) => self.misnamed.extend(given_by(kind, name)),
                    None => self.lose(table),
                }
            }
        }
    }

    /// Reads the objects of one kind.
    fn objects(
        &mut self,
        kind: ReferenceKind,
        root: &mut TableReader<'_>,
        problems: &mut Problems,
        read: impl Fn(&mut Self, TableReader<'_>, &mut Problems),
    ) {
        for table in root.tables(kind.as_str(), problems) {
            let before = problems.len();
            self.current = None;
            read(self, table, problems);
            let place = self.current.as_ref().and_then(|object| self.places.get_mut(object));
            if let Some(place) = place {
                let flaws = problems
                    .iter()
                    .skip(before)
                    .map(|problem| problem.key.strip_prefix(&place.table).unwrap_or_default().to_owned());
                place.flaws.extend(flaws.collect::<Vec<_>>());
            }
        }
        self.current = None;
    }

    fn attribute(&mut self, mut table: TableReader<'_>, problems: &mut Problems) {
        let name = self.named(&mut table, "name", ReferenceKind::Attribute, problems);
        let oid = table.located("oid", problems, custom_oid);
        let syntax = table.value("syntax", problems, syntax);
        let single_valued = table.value("single_valued", problems, value::boolean);
        let description = table.value("description", problems, value::text);
        if let Some(oid) = oid.as_ref().filter(|oid| !oid.value.is_empty()) {
            let message = format!("another attribute type has the object identifier {}", oid.value);
            let key = table.key_path("oid");
            self.claim(Claim::Oid, oid.value.clone(), &oid.position, key, message, problems);
        }
        table.finish(problems);
        let Some(name) = name else { return };
        let oid = oid.map(|located| located.value);
        self.seed.attributes.push(SeedAttribute { name, oid, syntax, single_valued, description });
    }

    fn provider(&mut self, mut table: TableReader<'_>, problems: &mut Problems) {
        let name = self.named(&mut table, "name", ReferenceKind::Provider, problems);
        let base_dn = table.required("base_dn", problems, dn);
        let is_default = table.located("default", problems, value::boolean);
        let domain = table.located("domain", problems, domain);
        let suffix = base_dn.as_ref().map(|located| names::dn_form(&located.value));
        let said = ProviderChanges {
            name: None,
            base_dn: base_dn.as_ref().map(|located| located.value.clone()),
            is_default: is_default.as_ref().map(|located| located.value),
            domain: domain.as_ref().map(|located| Some(located.value.clone())),
            uid_start_number: table.value("uid_start_number", problems, value::integer),
            gid_start_number: table.value("gid_start_number", problems, value::integer),
            virtual_groups: table.value("virtual_groups", problems, value::boolean),
            compatibility_attributes: table.value("compatibility_attributes", problems, value::boolean),
            users: containers(&mut table, "users", suffix.as_deref(), problems),
            service_accounts: containers(&mut table, "service_accounts", suffix.as_deref(), problems),
            groups: containers(&mut table, "groups", suffix.as_deref(), problems),
            ..ProviderChanges::default()
        };

        if let Some(base_dn) = &base_dn {
            let (form, key) = (names::dn_form(&base_dn.value), table.key_path("base_dn"));
            let message = format!("another provider has the base DN {}", quoted(&base_dn.value));
            self.claim(Claim::BaseDn, form, &base_dn.position, key, message, problems);
        }
        if let Some(domain) = domain.as_ref().filter(|domain| !domain.value.is_empty()) {
            let (form, key) = (names::fold(&domain.value), table.key_path("domain"));
            let message = format!("another provider has the domain {}", quoted(&domain.value));
            self.claim(Claim::Domain, form, &domain.position, key, message, problems);
        }
        if let Some(is_default) = is_default.as_ref().filter(|is_default| is_default.value) {
            let message = "another provider is the default for bare names; there can be one".to_owned();
            let key = table.key_path("default");
            self.claim(Claim::Default, String::new(), &is_default.position, key, message, problems);
        }
        table.finish(problems);
        if let (Some(name), Some(_)) = (name, base_dn) {
            self.seed.providers.push(SeedProvider { name, said });
        }
    }

    fn role(&mut self, mut table: TableReader<'_>, problems: &mut Problems) {
        let name = self.named(&mut table, "name", ReferenceKind::Role, problems);
        let permissions = self.grants(&mut table, problems);
        let said = RoleChanges {
            name: None,
            search_size_max: table
                .value("search_size_max", problems, |raw| role_limit(raw, &SEARCH_SIZE_RANGE)),
            search_time_max: table
                .value("search_time_max", problems, |raw| role_limit(raw, &SEARCH_TIME_RANGE)),
            grants: None,
        };
        table.finish(problems);
        if let Some(name) = name {
            self.seed.roles.push(SeedRole { name, permissions, said });
        }
    }

    fn group(&mut self, mut table: TableReader<'_>, problems: &mut Problems) {
        let name = self.named(&mut table, "name", ReferenceKind::Group, problems);
        let members = self.references(&mut table, "members", ReferenceKind::Account, problems);
        let parents = self.references(&mut table, "parents", ReferenceKind::Group, problems);
        let roles = self.references(&mut table, "roles", ReferenceKind::Role, problems);
        let permissions = self.grants(&mut table, problems);
        let said = GroupChanges {
            is_superuser: table.value("is_superuser", problems, value::boolean),
            attributes: attributes(&mut table, problems),
            ..GroupChanges::default()
        };
        table.finish(problems);
        if let Some(name) = name {
            self.seed.groups.push(SeedGroup { name, members, parents, roles, permissions, said });
        }
    }

    fn account(&mut self, mut table: TableReader<'_>, file: &ConfigFile, problems: &mut Problems) {
        let username = self.named(&mut table, "username", ReferenceKind::Account, problems);
        let mut said = AccountChanges {
            kind: table.value("type", problems, account_kind),
            name: table.value("name", problems, value::text),
            email: table.value("email", problems, value::text),
            is_active: table.value("is_active", problems, value::boolean),
            ..AccountChanges::default()
        };
        let roles = self.references(&mut table, "roles", ReferenceKind::Role, problems);
        let permissions = self.grants(&mut table, problems);
        said.attributes = attributes(&mut table, problems);
        let password = self.secrets.read(&mut table, &PASSWORD, file, problems);
        let create_group = table.value("create_group", problems, value::boolean);
        let (expiring, expires) = expiry_keys(&mut table, problems);

        if let (Some(username), Some(password)) = (&username, &password)
            && matches!(password.value, SeedSecret::Hash(_))
        {
            let key = table.key_path(PASSWORD.hash);
            self.claim_selector_less(username, &password.position, key, problems);
        }
        table.finish(problems);
        let Some(username) = username else { return };
        let password = password.map(|located| located.value);
        self.seed.accounts.push(SeedAccount {
            username,
            roles,
            permissions,
            password,
            create_group,
            expiring,
            expires,
            said,
        });
    }

    fn token(&mut self, mut table: TableReader<'_>, file: &ConfigFile, problems: &mut Problems) {
        let identifier = self.named(&mut table, "identifier", ReferenceKind::Token, problems);
        let account = table.required("account", problems, value::name);
        let intent = table.value("intent", problems, value::word(&INTENT));
        let (expiring, expires) = expiry_keys(&mut table, problems);
        let description = table.value("description", problems, value::text);
        let networks = table.list("networks", problems, network).map(values);
        let secret = self.secrets.read(&mut table, &SECRET, file, problems);
        let retrievable = table.value("retrievable", problems, value::boolean);
        if let (Some(Located { value: SeedSecret::Hash(_), position }), Some(account)) = (&secret, &account)
            && intent != Some(Intent::Api)
        {
            self.claim_selector_less(&account.value, position, table.key_path(SECRET.hash), problems);
        }
        if let Some(account) = &account {
            self.refer(ReferenceKind::Account, account, table.key_path("account"));
        }
        table.finish(problems);
        let (Some(identifier), Some(account)) = (identifier, account) else { return };
        let (account, secret) = (account.value, secret.map(|located| located.value));
        let said =
            TokenChanges { intent, expiring, expires, description, networks, ..TokenChanges::default() };
        self.seed.tokens.push(SeedToken { identifier, account, secret, retrievable, said });
    }

    fn application(&mut self, mut table: TableReader<'_>, problems: &mut Problems) {
        let slug = self.named(&mut table, "slug", ReferenceKind::Application, problems);
        let provider = table.located("provider", problems, value::name);
        let said = ApplicationChanges {
            name: table.value("name", problems, value::name),
            mode: table.value("mode", problems, value::word(&MODE)),
            texts: ApplicationText::ALL
                .into_iter()
                .filter_map(|text| Some((text, table.value(text.row().key, problems, value::text)?)))
                .collect(),
            open_in_new_tab: table.value("open_in_new_tab", problems, value::boolean),
            hide: table.value("hide", problems, value::boolean),
            ..ApplicationChanges::default()
        };
        let items = table.items("bindings", problems);
        let bindings = items.map(|items| {
            items.iter().filter_map(|item| self.binding(item.table(problems)?, problems)).collect()
        });
        if let Some(provider) = &provider {
            let key = table.key_path("provider");
            let form = names::name_form(ReferenceKind::Provider, &provider.value);
            let message =
                format!("another application has the provider {}; it can have one", quoted(&provider.value));
            self.claim(Claim::Provider, form, &provider.position, key.clone(), message, problems);
            self.refer(ReferenceKind::Provider, provider, key);
        }
        table.finish(problems);
        let Some(slug) = slug else { return };
        let provider = provider.map(|located| located.value);
        self.seed.applications.push(SeedApplication { slug, provider, bindings, said });
    }

    /// Reads the name of an object; another one with the same name is reported.
    fn named(
        &mut self,
        table: &mut TableReader<'_>,
        key: &'static str,
        kind: ReferenceKind,
        problems: &mut Problems,
    ) -> Option<String> {
        let parse = match kind {
            ReferenceKind::Application | ReferenceKind::Token => slug,
            ReferenceKind::Attribute => custom_attribute,
            _ => value::name,
        };
        let Some(name) = table.required(key, problems, parse) else {
            self.misnamed.extend(table.said(key).map(|said| (kind, names::name_form(kind, said))));
            return None;
        };
        let object = (kind, names::name_form(kind, &name.value));
        self.current = Some(object.clone());
        if let Some(first) = self.places.get(&object) {
            let message = format!("there are two objects of this name: {kind} {}", quoted(&name.value));
            problems.push(
                Problem::new(name.position, table.key_path(key), message)
                    .with_related(first.name.clone(), "first here"),
            );
            return None;
        }
        let place = Place {
            name: name.position,
            name_key: table.key_path(key),
            table: table.key_path(""),
            keys: table.spans(),
            flaws: Vec::new(),
        };
        self.places.insert(object, place);
        Some(name.value)
    }

    /// Reads a list of names of other objects.
    fn references(
        &mut self,
        table: &mut TableReader<'_>,
        key: &'static str,
        kind: ReferenceKind,
        problems: &mut Problems,
    ) -> Option<Vec<String>> {
        let located = table.list(key, problems, value::name)?;
        let mut seen: HashMap<String, Position> = HashMap::new();
        for name in &located {
            match seen.insert(names::name_form(kind, &name.value), name.position.clone()) {
                None => self.refer(kind, name, table.key_path(key)),
                Some(first) => problems.push(
                    Problem::new(
                        name.position.clone(),
                        table.key_path(key),
                        format!("{} is listed twice", quoted(&name.value)),
                    )
                    .with_related(first, "first here"),
                ),
            }
        }
        Some(values(located))
    }

    fn grants(&mut self, table: &mut TableReader<'_>, problems: &mut Problems) -> Option<Vec<SeedGrant>> {
        let items = table.items("permissions", problems)?;
        Some(items.iter().filter_map(|item| self.grant(item, problems)).collect())
    }

    /// A permission by itself, or a table that says on which object.
    fn grant(&mut self, item: &Item<'_>, problems: &mut Problems) -> Option<SeedGrant> {
        if !item.is_table() {
            let permission = item.read(problems, permission)?.value;
            return Some(SeedGrant { permission, on: None });
        }
        let mut table = item.table(problems)?;
        let permission = table.required("permission", problems, permission);
        let on = table.located("on", problems, reference);
        let is_on_wrong = on.is_none() && table.key_position("on").is_some();
        if let Some(Located { value: on, position }) = &on {
            let name = Located { value: on.name.clone(), position: position.clone() };
            self.refer(on.kind, &name, table.key_path("on"));
        }
        table.finish(problems);
        let permission = permission?.value;
        // A grant on one object must never become one on all.
        (!is_on_wrong).then(|| SeedGrant { permission, on: on.map(|located| located.value) })
    }

    /// Notes a name that stands for an object described elsewhere.
    pub(super) fn refer(&mut self, kind: ReferenceKind, name: &Located<String>, key: String) {
        let (name, position) = (name.value.clone(), name.position.clone());
        let owner = self.current.clone();
        self.references.push(LocatedReference { kind, name, key, position, owner });
    }

    /// An account has one credential that is found by the account alone.
    fn claim_selector_less(
        &mut self,
        account: &str,
        position: &Position,
        key: String,
        problems: &mut Problems,
    ) {
        let form = names::name_form(ReferenceKind::Account, account);
        let message = format!(
            "the account {account} has a password or a secret by hash already; it can have one",
            account = quoted(account)
        );
        self.claim(Claim::SelectorLess, form, position, key, message, problems);
    }

    fn claim(
        &mut self,
        claim: Claim,
        form: String,
        position: &Position,
        key: String,
        message: String,
        problems: &mut Problems,
    ) {
        match self.claims.get(&(claim, form.clone())) {
            None => {
                self.claims.insert((claim, form), position.clone());
            }
            Some(first) => problems
                .push(Problem::new(position.clone(), key, message).with_related(first.clone(), "first here")),
        }
    }
}

/// The kind of objects that stand in a table of this name, or of one that it was probably meant to be.
fn meant(table: &str) -> Option<ReferenceKind> {
    let meant = value::nearest(table, ReferenceKind::ALL.iter().map(|kind| kind.as_str()));
    ReferenceKind::ALL.into_iter().find(|kind| Some(kind.as_str()) == meant)
}

/// The key of the name of an object.
fn name_key(kind: ReferenceKind) -> &'static str {
    match kind {
        ReferenceKind::Account => "username",
        ReferenceKind::Token => "identifier",
        ReferenceKind::Application => "slug",
        ReferenceKind::Provider | ReferenceKind::Group | ReferenceKind::Role | ReferenceKind::Attribute => {
            "name"
        }
    }
}

/// What a table of this name may describe: of an account its group and its first token too.
fn given_by(kind: ReferenceKind, name: &str) -> Vec<Object> {
    let object = |kind, name: &str| (kind, names::name_form(kind, name));
    let mut given = vec![object(kind, name)];
    if kind == ReferenceKind::Account {
        let token = first_identifier(name);
        given.extend([object(ReferenceKind::Group, name), object(ReferenceKind::Token, &token)]);
    }
    given
}

/// A limit of a role: a value, or the word that takes the role's own away.
fn role_limit<T: Bounded>(raw: Raw<'_>, range: &RangeInclusive<T>) -> Result<Option<T>, String> {
    match value::text(raw).as_deref() {
        Ok("default") => Ok(None),
        _ => limits::in_range(raw, range)
            .map(Some)
            .map_err(|message| format!("{message}; or \"default\" for the server's")),
    }
}

/// Reads the containers of one kind.
fn containers(
    table: &mut TableReader<'_>,
    key: &'static str,
    suffix: Option<&str>,
    problems: &mut Problems,
) -> Option<Vec<Container>> {
    let items = table.items(key, problems)?;
    if items.is_empty() {
        problems.report(&table.said_at(key), &table.key_path(key), "expected at least one container");
    }
    let mut seen: HashMap<String, Position> = HashMap::new();
    let mut containers = Vec::new();
    for item in items {
        let Some(mut table) = item.table(problems) else { continue };
        let container = table.required("container", problems, |raw| container(raw, suffix));
        let naming = table.required("naming", problems, attribute_type);
        if let Some(container) = &container
            && let Some(first) = seen.insert(names::dn_form(&container.value), container.position.clone())
        {
            let message = format!("{} is listed twice", quoted(&container.value));
            problems.push(
                Problem::new(container.position.clone(), table.key_path("container"), message)
                    .with_related(first, "first here"),
            );
        }
        table.finish(problems);
        if let (Some(container), Some(naming)) = (container, naming) {
            containers.push(Container { container: container.value, naming: naming.value });
        }
    }
    Some(containers)
}

/// Reads free attributes.
fn attributes(table: &mut TableReader<'_>, problems: &mut Problems) -> Option<Vec<Attribute>> {
    let table = table.table("attributes", problems)?;
    let mut seen: HashMap<String, Position> = HashMap::new();
    let mut attributes = Vec::new();
    for (description, item) in table.free_entries() {
        if let Err(message) = check_description(&description.value) {
            problems.hide(item.position());
            problems.report(&description.position, &item.path, message);
            continue;
        }
        if let Some(first) = seen.insert(description.value.to_ascii_lowercase(), description.position.clone())
        {
            let message = "this attribute is there already; names of attributes fold case";
            problems.push(
                Problem::new(description.position, item.path, message).with_related(first, "first here"),
            );
            continue;
        }
        let Some(items) = item.items().filter(|items| !items.is_empty()) else {
            problems.report(&item.position(), &item.path, "expected a list of at least one string");
            continue;
        };
        let texts = items.iter().filter_map(|item| item.read(problems, value::filled_text));
        let values = texts.map(|located| located.value.into_bytes()).collect();
        attributes.push(Attribute { description: description.value, values });
    }
    attributes.sort_by(|one, other| one.description.cmp(&other.description));
    Some(attributes)
}

/// An attribute description (RFC 4512, 2.5) that may hold a value of the operator's.
fn check_description(description: &str) -> Result<(), String> {
    let mut parts = description.split(';');
    let attribute_type = parts.next().unwrap_or("");
    let core = Schema::core();
    if core.find(attribute_type).is_none() {
        core.check_name(attribute_type).map_err(|error| error.to_string())?;
    }
    let is_option = |option: &str| {
        !option.is_empty() && option.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    if !parts.all(is_option) {
        return Err(format!(
            "expected the name of an attribute, such as \"cn;lang-de\", found {description}",
            description = quoted(description)
        ));
    }
    if attribute_type.eq_ignore_ascii_case("userPassword") || attribute_type == "2.5.4.35" {
        return Err(
            "no entry holds a password: use `password_file`, `password_env` or `password_hash` of the \
                    account"
                .to_owned(),
        );
    }
    Ok(())
}

/// Reads `expiring` and `expires`, which stand in accounts and tokens alike.
fn expiry_keys(table: &mut TableReader<'_>, problems: &mut Problems) -> (Option<bool>, Option<Expiry>) {
    let expiring = table.located("expiring", problems, value::boolean);
    let expires = table.located("expires", problems, expiry);
    if let (Some(Located { value: false, position: first }), Some(expires)) = (&expiring, &expires) {
        let message = "there is a time to expire, but expiring = false";
        problems.push(
            Problem::new(expires.position.clone(), table.key_path("expires"), message)
                .with_related(first.clone(), "here"),
        );
    }
    (expiring.map(|located| located.value), expires.map(|located| located.value))
}

fn values<T>(located: Vec<Located<T>>) -> Vec<T> {
    located.into_iter().map(|located| located.value).collect()
}
