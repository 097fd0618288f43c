//! A config that was read: what its names stand for, and where what is wrong with it stands, for what only the store knows.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use super::diagnostics::{Problem, Problems};
use super::environment::{Lookup, variable_of};
use super::place::{Object, Place, Spans};
use super::seed::{ReferenceKind, Seed, SeedAccount};
use super::seed_reader::LocatedReference;
use super::settings::Settings;
use super::text::Position;
use super::{names, value};
use crate::model::{AccountKind, ApplicationText, first_identifier};
use crate::quoted::quoted;

/// A config: one without problems, or what could be read of one.
#[derive(Clone, Debug)]
pub struct Config {
    /// The main file, as it was named.
    pub path: PathBuf,
    /// `[server]`, with what variables override.
    pub settings: Settings,
    /// The objects.
    pub seed: Seed,
    /// Every name in the seed that stands for another object.
    pub references: Vec<LocatedReference>,
    pub(super) places: HashMap<Object, Place>,
    /// Objects whose names cannot be, and that others may name all the same.
    pub(super) misnamed: HashSet<Object>,
    /// The kinds of objects of which some could not be read, so that nobody knows what there is.
    pub(super) lost: Vec<ReferenceKind>,
    pub(super) server: Spans,
    /// Whether all of `[server]` could be read.
    pub has_server: bool,
    /// Whether the settings that a plan goes by could be read: else it finds wrong what is right.
    pub can_be_planned: bool,
}

/// What becomes of an object that the config names and does not describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// It is in the store, and stays there.
    Stays,
    /// It is in the store, and is deleted when the config is applied.
    Goes,
    /// It is not there.
    Absent,
}

impl Config {
    /// The references to objects that are neither in the seed nor, as `elsewhere` tells, in the store.
    pub fn dangling(&self, elsewhere: impl Fn(ReferenceKind, &str) -> Elsewhere) -> Problems {
        let mut problems = Problems::default();
        for LocatedReference { kind, name, key, position, .. } in self.not_described() {
            let nowhere = match elsewhere(*kind, name) {
                Elsewhere::Stays => continue,
                Elsewhere::Goes => "in the config, and --prune deletes the one in the store",
                Elsewhere::Absent => "neither in the config nor in the store",
            };
            let known = self.places.keys().filter(|(other, _)| other == kind).map(|(_, name)| name.as_str());
            let hint = match value::nearest(name, known) {
                Some(meant) => format!("; did you mean {}?", quoted(meant)),
                None => String::new(),
            };
            let message = format!("there is no {kind} {}, {nowhere}{hint}", quoted(name));
            problems.report(position, key, message);
        }
        problems.settle();
        problems
    }

    /// The names in the seed that stand for objects which it does not describe.
    pub fn undescribed(&self) -> BTreeSet<(ReferenceKind, String)> {
        let reference = |reference: &LocatedReference| (reference.kind, reference.name.clone());
        self.not_described().into_iter().map(reference).collect()
    }

    fn not_described(&self) -> Vec<&LocatedReference> {
        let made = self.made_along();
        let is_described = |reference: &&LocatedReference| {
            let object = (reference.kind, names::name_form(reference.kind, &reference.name));
            self.places.contains_key(&object)
                || self.misnamed.contains(&object)
                || self.lost.contains(&reference.kind)
                || made.contains(&object)
        };
        self.references.iter().filter(|reference| !is_described(reference)).collect()
    }

    /// What the seed makes without a table of its own: the group of `create_group` and the first app
    /// password of a service account.
    fn made_along(&self) -> HashSet<(ReferenceKind, String)> {
        let mut made = HashSet::new();
        for account in &self.seed.accounts {
            if account.create_group == Some(true) {
                made.insert((
                    ReferenceKind::Group,
                    names::name_form(ReferenceKind::Group, &account.username),
                ));
            }
            if account.said.kind == Some(AccountKind::ServiceAccount) {
                made.insert((ReferenceKind::Token, first_identifier(&account.username)));
            }
        }
        made
    }
}

/// What is wrong with a seed, as whoever has the store finds it.
pub struct Found {
    /// The object, as the config names it; `None`: the whole.
    pub object: Option<(ReferenceKind, String)>,
    /// Its field, as the API calls it.
    pub field: Option<String>,
    /// What is wrong, and what to do.
    pub sentence: String,
}

impl Config {
    /// What is wrong, each where it stands: at the key that sets the field, else at the name of the object. What the config
    /// makes without a table of its own stands where it is asked for. What has no place comes second, in sentences. What
    /// may only follow from something that could not be read is left out.
    pub fn placed(&self, found: impl IntoIterator<Item = Found>) -> (Problems, Vec<String>) {
        let (mut problems, mut sentences) = (Problems::default(), Vec::new());
        let doubtful = self.doubtful();
        for Found { object, field, sentence } in found {
            let only_follows = match &object {
                Some((kind, name)) => {
                    let described = self.described(*kind, name);
                    doubtful.contains(&described) || self.may_follow(&described, *kind, field.as_deref())
                }
                None => !self.lost.is_empty(),
            };
            if only_follows {
                continue;
            }
            let place = object.and_then(|(kind, name)| self.place(kind, &name, field.as_deref()));
            match place {
                Some((key, position)) => problems.push(Problem::new(position.clone(), key, sentence)),
                None => sentences.push(sentence),
            }
        }
        problems.settle();
        (problems, sentences)
    }

    /// The objects that name one of which nobody knows what it is.
    fn doubtful(&self) -> HashSet<Object> {
        let is_unknown = |object: &Object| {
            self.misnamed.contains(object)
                || self.places.get(object).is_some_and(|place| place.lacks_its_kind(object.0))
        };
        let named = self.references.iter().filter(|reference| {
            is_unknown(&(reference.kind, names::name_form(reference.kind, &reference.name)))
        });
        named.filter_map(|reference| reference.owner.clone()).collect()
    }

    /// Whether what is wrong with a field of an object may only follow from what could not be read. What an object is `described`
    /// by may be the table of another one.
    fn may_follow(&self, described: &Object, kind: ReferenceKind, field: Option<&str>) -> bool {
        let is_of_attributes =
            kind == ReferenceKind::Provider || field.is_some_and(|field| field.starts_with("attributes"));
        if is_of_attributes && self.lost.contains(&ReferenceKind::Attribute) {
            return true;
        }
        let Some(place) = self.places.get(described).filter(|place| !place.flaws.is_empty()) else {
            return false;
        };
        let is_its_own = described.0 == kind;
        let is_read = |field: &str| is_its_own && !place.lacks(keys_for(kind, field));
        place.lacks_its_kind(described.0) || !field.is_some_and(is_read)
    }

    /// The object whose table describes this one.
    fn described(&self, kind: ReferenceKind, name: &str) -> Object {
        let object = (kind, names::name_form(kind, name));
        match self.made_by(kind, name, None) {
            Some((account, _)) if !self.places.contains_key(&object) => {
                (ReferenceKind::Account, names::name_form(ReferenceKind::Account, &account.username))
            }
            _ => object,
        }
    }

    /// What is wrong with a key of `[server]`, such as `server.tls.key`, where that has its value from, else at the table that
    /// it would stand in.
    pub fn wrong(&self, key: &str, message: impl Into<String>, environment: &Lookup<'_>) -> Problem {
        let variable = variable_of(key);
        let position = match self.server.nearest(key) {
            _ if environment(&variable).is_some() => Position::Variable(variable),
            Some((_, position)) => position.clone(),
            None => Position::File(self.path.clone()),
        };
        Problem::new(position, key, message)
    }

    /// The key to blame for an object, or for a field of it, and where that stands.
    fn place(&self, kind: ReferenceKind, name: &str, field: Option<&str>) -> Option<(String, &Position)> {
        let of_form = |kind, name: &str| self.places.get(&(kind, names::name_form(kind, name)));
        let (place, key) = match of_form(kind, name) {
            Some(place) => (place, field.and_then(|field| place.key_of(kind, field))),
            None => {
                let (account, key) = self.made_by(kind, name, field)?;
                let place = of_form(ReferenceKind::Account, &account.username)?;
                (place, place.keys.nearest(key))
            }
        };
        Some(match key {
            Some((key, position)) => (format!("{}{key}", place.table), position),
            None => (place.name_key.clone(), &place.name),
        })
    }

    /// The account that an object is made along with, and the key that says so.
    fn made_by(
        &self,
        kind: ReferenceKind,
        name: &str,
        field: Option<&str>,
    ) -> Option<(&SeedAccount, &'static str)> {
        let mut accounts = self.seed.accounts.iter();
        let form = names::name_form(kind, name);
        let made = |account: &SeedAccount| match kind {
            ReferenceKind::Group => {
                account.create_group == Some(true) && names::name_form(kind, &account.username) == form
            }
            ReferenceKind::Token => first_identifier(&account.username) == name,
            _ => false,
        };
        let key = match (kind, field) {
            (ReferenceKind::Group, _) => "create_group",
            (_, Some("expires")) => "expires",
            _ => "username",
        };
        accounts.find(|account| made(account)).map(|account| (account, key))
    }
}

impl Place {
    /// The key that sets a field of the API, if the object has it.
    fn key_of(&self, kind: ReferenceKind, field: &str) -> Option<(&str, &Position)> {
        keys_for(kind, field).find_map(|key| self.keys.nearest(key))
    }
}

/// The keys that may set a field of the API.
fn keys_for(kind: ReferenceKind, field: &str) -> impl Iterator<Item = &str> {
    let same = keys_of(kind, field).iter().copied();
    let texts = ApplicationText::ALL.map(ApplicationText::row).into_iter();
    let texts = texts.filter(move |row| kind == ReferenceKind::Application && row.api == field);
    std::iter::once(field).chain(same).chain(texts.map(|row| row.key))
}

/// The keys of the config that set a field of the API under another name.
fn keys_of(kind: ReferenceKind, field: &str) -> &'static [&'static str] {
    match (kind, field) {
        (ReferenceKind::Group, "users" | "pk") => &["members"],
        (ReferenceKind::Account, "password") => &["password_file", "password_env", "password_hash"],
        (ReferenceKind::Account, "groups") => &["create_group"],
        (ReferenceKind::Token, "key" | "password") => &["secret", "secret_file", "secret_env", "secret_hash"],
        (ReferenceKind::Token, "expires") => &["expires", "expiring"],
        (ReferenceKind::Token, "user") => &["account"],
        (_, "object_pk") => &["permissions"],
        (_, "role") => &["roles"],
        (ReferenceKind::Application, "target" | "user" | "group" | "networks" | "order") => &["bindings"],
        (ReferenceKind::Application, "policy_engine_mode") => &["mode"],
        (ReferenceKind::Provider, "is_default") => &["default"],
        _ => &[],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SEED: &str = r#"[server]
data_dir = "data"
ldap = ["127.0.0.1:0"]
[[provider]]
name = "ldap"
base_dn = "dc=example,dc=com"
default = true
[[group]]
name = "Staff"
members = ["portal"]
permissions = ["view_user"]
[[account]]
username = "portal"
type = "service_account"
create_group = true
expires = "2020-01-01"
[[token]]
identifier = "t"
account = "portal"
secret_hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"
[[application]]
slug = "wiki"
launch_url = "https://wiki.example.com"
bindings = [{ group = "staff" }]
"#;

    /// What the API calls a field is told at the key of the config that sets it.
    #[test]
    fn fields_of_the_api_have_their_keys() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bindery.toml");
        std::fs::write(&path, SEED).unwrap();
        let config = super::super::load(&path, &|_| None).unwrap();
        for (kind, name, field, expected) in [
            (ReferenceKind::Group, "staff", Some("users"), "group.members"),
            (ReferenceKind::Group, "staff", Some("object_pk"), "group.permissions"),
            (ReferenceKind::Group, "staff", Some("attributes"), "group.name"),
            (ReferenceKind::Group, "staff", None, "group.name"),
            (ReferenceKind::Group, "portal", Some("name"), "account.create_group"),
            (ReferenceKind::Account, "portal", Some("type"), "account.type"),
            (ReferenceKind::Token, "t", Some("key"), "token.secret_hash"),
            (ReferenceKind::Token, "t", Some("expires"), "token.identifier"),
            (ReferenceKind::Token, "portal-app-password", Some("identifier"), "account.username"),
            (ReferenceKind::Token, "portal-app-password", Some("expires"), "account.expires"),
            (ReferenceKind::Application, "wiki", Some("meta_launch_url"), "application.launch_url"),
            (ReferenceKind::Application, "wiki", Some("networks"), "application.bindings"),
            (ReferenceKind::Provider, "LDAP", Some("is_default"), "provider.default"),
        ] {
            let found = Found {
                object: Some((kind, name.to_owned())),
                field: field.map(str::to_owned),
                sentence: "no".to_owned(),
            };
            let (problems, sentences) = config.placed([found]);
            let problem = problems.iter().next().unwrap();
            assert_eq!((problem.key.as_str(), sentences.len()), (expected, 0));
            let key = expected.rsplit('.').next().unwrap();
            let line = SEED.lines().nth(problem.position.line().unwrap() - 1).unwrap();
            assert!(line.starts_with(key), "{expected}: {line}");
        }
        let elsewhere = Some((ReferenceKind::Role, "reader".to_owned()));
        let whole = [None, elsewhere].map(|object| Found { object, field: None, sentence: "no".to_owned() });
        let (problems, sentences) = config.placed(whole);
        assert_eq!((problems.len(), sentences.len()), (0, 2));
    }
}
