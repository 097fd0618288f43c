//! What an object must be like before it is committed. Each function gives sentences for an operator: they
//! name the object and what to do.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ipnet::IpNet;

use crate::auth::SecretShape;
use crate::config::{self, BadName, Seed};
use crate::directory::filter::FilterItem;
use crate::directory::{
    EntryId, Evaluator, OPTIONS_MAX, PlaceError, PreparedFilter, SUBSCHEMA_DN, Snapshot, Tree, TreeReader,
    Visibility, custom_type, name_key, plan,
};
use crate::model::{
    Account, AccountKind, AccountNumber, Application, ApplicationTextRow, Attribute, BindingSubject,
    Container, CustomAttribute, Grant, Group, InternalAccount, LdapProvider, NAME_OCTETS_MAX,
    ObjectReference, TEXT_OCTETS_MAX, is_mail_address, is_slug,
};
use crate::quoted::{beginning, called, quoted};
use crate::registry::{ChangeError, Rules, Transaction, Viewer};
use crate::schema::dn::is_at_or_below;
use crate::schema::{AttributeId, Dn, Schema, is_oid};
use crate::secret::Secret;
use crate::store::TOMBSTONE_OCTETS_MAX;

/// What is wrong with one field of an object: its name in the API; which object it is of, and what to do.
pub(super) type FieldProblem = (&'static str, String);

/// Whether an object may have this name.
///
/// # Errors
/// What is wrong with it.
pub(super) fn name(kind: &str, name: &str) -> Result<(), String> {
    check_name(name).map_err(|problem| format!("the {kind} {name} {problem}", name = quoted(name)))
}

/// What is wrong with a username. authentik's clients refuse a whole list in which one is longer.
///
/// # Errors
/// What is wrong with it.
pub(super) fn username(username: &str) -> Result<(), String> {
    // The bound that governs is told, not the one behind which it comes.
    if username.chars().count() > USERNAME_CHARACTERS_MAX {
        return Err(format!(
            "the account {username} has a name of more than {USERNAME_CHARACTERS_MAX} characters; give it a shorter \
             one",
            username = quoted(username)
        ));
    }
    name("account", username)?;
    if is_reserved(username) {
        return Err(format!(
            "the account {username} has a name that begins with `{}`, as those of bindery's own parts do; give it \
             another one",
            InternalAccount::PREFIX,
            username = quoted(username)
        ));
    }
    Ok(())
}

/// Whether only an internal service account may have this username.
pub(super) fn is_reserved(username: &str) -> bool {
    name_key(username).starts_with(InternalAccount::PREFIX.as_bytes())
}

/// Whether a person may have this password: product rule 8 keeps passwords and generated secrets apart.
///
/// # Errors
/// What is wrong with it, to be put behind what it is of.
pub(super) fn password(secret: &Secret, rules: Rules) -> Result<(), String> {
    let octets = secret.expose();
    if octets.is_empty() {
        return Err("is empty; give it another one".to_owned());
    }
    bindable(secret, rules)?;
    if characters(secret) < rules.password_length_min {
        return Err(format!(
            "is shorter than {} characters; give it a longer one",
            rules.password_length_min
        ));
    }
    match SecretShape::parse(octets) {
        SecretShape::Other => Ok(()),
        SecretShape::Ours { .. } | SecretShape::OursBroken => Err(
            "begins as a generated secret does, so it would never be compared with it; give it another one, or make it a \
             token"
                .to_owned(),
        ),
    }
}

/// Whether a bind can carry a secret that somebody chose, and a person type it.
///
/// # Errors
/// What is wrong with it, to be put behind what it is of.
pub(super) fn bindable(secret: &Secret, rules: Rules) -> Result<(), String> {
    let octets = secret.expose();
    if octets.contains(&0) {
        return Err("holds a NUL; give it another one, on one line".to_owned());
    }
    if octets.iter().any(|octet| matches!(octet, b'\n' | b'\r')) {
        return Err("has a second line; give it another one, on one line".to_owned());
    }
    match octets.len() > rules.secret_length_max {
        true => Err(format!(
            "has more than {} octets (server.limits.bind_secret_length_max), so that nobody could bind with it; give it \
             a shorter one",
            rules.secret_length_max
        )),
        false => Ok(()),
    }
}

/// How long a secret is to whoever types it.
pub(super) fn characters(secret: &Secret) -> usize {
    let octets = secret.expose();
    std::str::from_utf8(octets).map_or(octets.len(), |text| text.chars().count())
}

/// What is wrong with a mail address; none is right.
///
/// # Errors
/// What is wrong with it.
pub(super) fn email(email: &str) -> Result<(), String> {
    match email.is_empty() || is_mail_address(email) {
        true => Ok(()),
        false => Err(format!(
            "{email} is no mail address: write it such as alice@example.com",
            email = quoted(email)
        )),
    }
}

/// What is wrong with a text that describes an object, which is `what` of it.
///
/// # Errors
/// What is wrong with it, to be put behind what it is of.
pub(super) fn text(what: &str, text: &str) -> Result<(), String> {
    match text.len() > TEXT_OCTETS_MAX {
        true => Err(format!("has {what} of more than {TEXT_OCTETS_MAX} octets; give it a shorter one")),
        false => Ok(()),
    }
}

/// What is wrong with the description of a token.
///
/// # Errors
/// What is wrong with it.
pub(super) fn description_of(identifier: &str, description: &str) -> Result<(), String> {
    text("a description", description)
        .map_err(|problem| format!("the token {} {problem}", called(identifier)))
}

/// What is wrong with the networks of a token.
///
/// # Errors
/// There are too many.
pub(super) fn networks_of(identifier: &str, networks: &[IpNet]) -> Result<(), String> {
    match networks.len() > NETWORKS_MAX {
        true => Err(format!(
            "the token {} has more than {NETWORKS_MAX} networks; give it larger ones",
            called(identifier)
        )),
        false => Ok(()),
    }
}

/// What is wrong with the description of an attribute type.
///
/// # Errors
/// What is wrong with it.
pub(super) fn description_of_type(name: &str, description: &str) -> Result<(), String> {
    text("a description", description)
        .map_err(|problem| format!("the attribute type {} {problem}", called(name)))
}

/// What is wrong with where an account is to be filed: names between slashes.
///
/// # Errors
/// What is wrong with it.
pub(super) fn path(path: &str) -> Result<(), String> {
    let problem = match config::check_name(path) {
        Ok(()) if path.split('/').any(str::is_empty) => {
            "an empty name before, between or behind its slashes".to_owned()
        }
        Ok(()) => return Ok(()),
        Err(BadName::Empty) => "nothing in it".to_owned(),
        Err(BadName::Long) => format!("more than {NAME_OCTETS_MAX} octets"),
        Err(BadName::With(what)) => what.to_string(),
    };
    Err(format!("{path} has {problem}: write it such as users/berlin", path = quoted(path)))
}

/// What is wrong with the identifier of a token, of which the same holds.
///
/// # Errors
/// What is wrong with it.
pub(super) fn identifier(identifier: &str) -> Result<(), String> {
    if identifier.len() > IDENTIFIER_OCTETS_MAX {
        return Err(format!(
            "the token {identifier} has an identifier of more than {IDENTIFIER_OCTETS_MAX} octets",
            identifier = quoted(identifier)
        ));
    }
    name("token", identifier)?;
    if !is_slug(identifier) {
        return Err(format!(
            "the token {identifier} has an identifier of other characters than letters, digits, - and _",
            identifier = quoted(identifier)
        ));
    }
    Ok(())
}

/// The same, without the name.
///
/// # Errors
/// What is wrong with it, to be put behind whatever it is the name of.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    config::check_name(name).map_err(|problem| match problem {
        BadName::Empty => "has an empty name; give it one".to_owned(),
        BadName::Long => format!("has a name of more than {NAME_OCTETS_MAX} octets; give it a shorter one"),
        BadName::With(what) => format!("has a name with {what}; give it one without"),
    })?;
    // The form is what a tombstone keeps of it.
    match name_key(name).len() > TOMBSTONE_OCTETS_MAX {
        true => Err(format!(
            "has a name of more than {TOMBSTONE_OCTETS_MAX} octets in the form in which names are compared; give \
             it a shorter one"
        )),
        false => Ok(()),
    }
}

/// The same of an account that the request does not name.
pub(super) fn internal_to(viewer: &Viewer, number: AccountNumber, username: &str) -> ChangeError {
    match viewer.names(ObjectReference::Account(number)) {
        true => internal(username),
        false => ChangeError::Refused(
            "this is about an internal service account: bindery makes and keeps it; choose another account"
                .to_owned(),
        ),
    }
}

/// Nobody may change what bindery keeps for itself.
pub(super) fn internal(username: &str) -> ChangeError {
    ChangeError::Refused(format!(
        "`{username}` is an internal service account: bindery makes and keeps it; choose another account"
    ))
}

/// What is wrong with an object, but for what was so before: a store may hold what an older version let in, and that may be
/// changed in all that does not make it worse. `check` calls both by one name where it tells of anything but that name, so that
/// a new name makes no old problem a new one.
pub(super) fn new_problems<T>(
    before: Option<&T>,
    after: &T,
    check: impl Fn(&T, &mut Vec<FieldProblem>),
) -> Vec<FieldProblem> {
    let (mut problems, mut known) = (Vec::new(), Vec::new());
    check(after, &mut problems);
    if let Some(before) = before.filter(|_| !problems.is_empty()) {
        check(before, &mut known);
    }
    problems.retain(|problem| !known.contains(problem));
    problems
}

/// Whether an account may become one of another kind.
///
/// # Errors
/// Why not, a sentence.
pub(super) fn kind_change(username: &str, before: AccountKind, after: AccountKind) -> Result<(), String> {
    let username = called(username);
    match (before, after) {
        (before, after) if before == after => Ok(()),
        (AccountKind::InternalServiceAccount, _) => Err(format!(
            "{username} is an internal service account: bindery makes and keeps it; choose another username"
        )),
        (_, AccountKind::InternalServiceAccount) => Err(format!(
            "{username} cannot become an internal service account: bindery makes and keeps those itself; choose another \
             type"
        )),
        (AccountKind::ServiceAccount, _) => Err(format!(
            "{username} is a service account and cannot become a person; delete it first, or choose another username"
        )),
        _ => Ok(()),
    }
}

/// Whether a permission may be granted so: on an object, one of those for its kind.
///
/// # Errors
/// Why not.
pub(super) fn grant(grant: &Grant) -> Result<(), String> {
    match grant.on.filter(|on| on.permissions().all(|permission| permission != grant.permission)) {
        None => Ok(()),
        Some(on) => {
            let kind = on.kind();
            let article = if kind.starts_with('a') { "an" } else { "a" };
            Err(format!("`{}` cannot be granted on {article} {kind}; leave the object out", grant.permission))
        }
    }
}

/// Whether an account can be put into the directory as it is now: its name, attributes and places. `viewer` reads the
/// sentences, in which it is called `present`, but for those about its name; it is looked up where there is one, as a change may
/// put thousands by who holds thousands of permissions.
pub(super) fn account(
    account: &Account,
    present: &str,
    snapshot: &Snapshot,
    viewer: impl Fn() -> Viewer,
    problems: &mut Vec<FieldProblem>,
) {
    let title = format!("the account {}", called(present));
    let title_by_name = format!("the account {}", called(&account.username));
    problems.extend(username(&account.username).err().map(|problem| ("username", problem)));
    let named = snapshot.accounts().account_named(&account.username);
    if named.is_some_and(|other| other.number != account.number) {
        let problem = format!("{title_by_name} has the name of another account; give it another one");
        problems.push(("username", problem));
    }
    let named = text("a full name", &account.name).map_err(|problem| format!("{title} {problem}"));
    problems.extend(named.err().map(|problem| ("name", problem)));
    attributes(&title, &account.attributes, snapshot.schema(), problems);
    let is_named = account.object_classes.is_empty()
        || account.object_classes.iter().any(|class| class.eq_ignore_ascii_case("inetOrgPerson"));
    if is_named && !account.name.is_empty() && has_attribute(&account.attributes, "displayName") {
        let problem =
            "has the attribute displayName, which is made from its name; take the attribute out, or the name";
        problems.push(("attributes", format!("{title} {problem}")));
    }
    if account.kind == AccountKind::InternalServiceAccount {
        return;
    }
    let check = |tree: &Tree| tree.check_account(account, snapshot.schema());
    places("username", &title_by_name, snapshot, viewer, check, problems);
}

/// Whether an object that is named by this field can have its entry in every tree.
fn places(
    field: &'static str,
    title: &str,
    snapshot: &Snapshot,
    viewer: impl Fn() -> Viewer,
    check: impl Fn(&Tree) -> Result<(), PlaceError>,
    problems: &mut Vec<FieldProblem>,
) {
    for tree in snapshot.trees() {
        let Err(error) = check(tree) else { continue };
        let sentence = match viewer().names(ObjectReference::Provider(tree.provider().number)) {
            true => format!("{title} cannot have its entry: {error}; choose another name or place"),
            false => format!("{title} cannot have its entry in each directory; choose another name"),
        };
        let problem = (field, sentence);
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
}

/// Whether a group can be put into the directory as it is now: its name, attributes and places. `viewer` reads the
/// sentences, in which it is called `present`, but for those about its name.
pub(super) fn group(
    group: &Group,
    present: &str,
    snapshot: &Snapshot,
    viewer: impl Fn() -> Viewer,
    problems: &mut Vec<FieldProblem>,
) {
    let title = format!("the group {}", called(present));
    let title_by_name = format!("the group {}", called(&group.name));
    problems.extend(name("group", &group.name).err().map(|problem| ("name", problem)));
    let named = snapshot.accounts().group_named(&group.name);
    if named.is_some_and(|other| other.number != group.number) {
        let problem = format!("{title_by_name} has the name of another group; give it another one");
        problems.push(("name", problem));
    }
    attributes(&title, &group.attributes, snapshot.schema(), problems);
    let check = |tree: &Tree| tree.check_group(group, snapshot.schema());
    places("name", &title_by_name, snapshot, viewer, check, problems);
}

/// Whether free attributes may be given, and whether their values are of their syntaxes.
fn attributes(title: &str, attributes: &[Attribute], schema: &Schema, problems: &mut Vec<FieldProblem>) {
    let wrong = attribute_problems(title, attributes, schema).into_iter();
    problems.extend(wrong.map(|(_, problem)| ("attributes", problem)));
}

/// What is wrong with free attributes, each with the description of the one that it is about, if it is about one.
pub(super) fn attribute_problems<'a>(
    title: &str,
    attributes: &'a [Attribute],
    schema: &Schema,
) -> Vec<(Option<&'a str>, String)> {
    if attributes.len() > ATTRIBUTES_MAX {
        let problem = format!(
            "{title} has more than {ATTRIBUTES_MAX} attributes, counting those with different options; give it fewer"
        );
        return vec![(None, problem)];
    }
    let mut problems = Vec::new();
    if with_options(attributes) > ATTRIBUTES_WITH_OPTIONS_MAX {
        let problem = format!(
            "{title} has more than {ATTRIBUTES_WITH_OPTIONS_MAX} attributes with options; give it fewer"
        );
        problems.push((None, problem));
    }
    let mut seen = HashSet::new();
    for Attribute { description, values } in attributes {
        let mut problem = |sentence| problems.push((Some(description.as_str()), sentence));
        if let Err(why) = attribute(description, values, schema) {
            problem(format!(
                "{title} cannot have the attribute {description}: {why}",
                description = quoted(description)
            ));
        }
        if !seen.insert(canonical_description(description, schema)) {
            problem(format!(
                "{title} has the attribute {description} twice; put its values together",
                description = quoted(description)
            ));
        }
    }
    problems
}

fn with_options(attributes: &[Attribute]) -> usize {
    attributes.iter().filter(|attribute| attribute.description.contains(';')).count()
}

/// Whether a free attribute may be given, and whether its values are of its syntax.
///
/// # Errors
/// What is wrong, to be put behind the name of the attribute.
pub(super) fn attribute(description: &str, values: &[Vec<u8>], schema: &Schema) -> Result<(), String> {
    let id = attribute_type(description, schema)?;
    if values.is_empty() {
        return Err("it has no value; give it one, or take it out".to_owned());
    }
    let Some(id) = id else {
        return match values.iter().all(|value| !value.is_empty() && std::str::from_utf8(value).is_ok()) {
            true => Ok(()),
            false => Err("the schema does not know it, so its values must be text".to_owned()),
        };
    };
    let known = schema.attribute(id);
    if known.single_valued && values.len() > 1 {
        return Err(format!("it has one value at most, not {}", values.len()));
    }
    match values.iter().any(|value| !is_value(value, id, schema)) {
        true => Err(format!("a value is not of the syntax {}", known.syntax.description())),
        false => Ok(()),
    }
}

/// Whether an attribute may be given at all; its type, when the schema knows it.
///
/// # Errors
/// Why not.
pub(super) fn attribute_type(description: &str, schema: &Schema) -> Result<Option<AttributeId>, String> {
    if description.len() > NAME_OCTETS_MAX {
        return Err(format!(
            "its name has more than {NAME_OCTETS_MAX} octets with its options; give it fewer"
        ));
    }
    let mut parts = description.split(';');
    let base = parts.next().unwrap_or_default();
    let is_option = |option: &str| {
        !option.is_empty() && option.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    if !parts.all(is_option) {
        return Err("its options are not options; write it such as cn;lang-de".to_owned());
    }
    if description.matches(';').count() > OPTIONS_MAX {
        return Err(format!("it has more than {OPTIONS_MAX} options; give it fewer"));
    }
    let Some(id) = schema.find(base) else {
        return schema.check_new_name(base).map(|()| None).map_err(|error| error.to_string());
    };
    let known = schema.attribute(id);
    if known.secret {
        return Err("no entry holds secrets; use the keys for passwords and tokens".to_owned());
    }
    if id.is_computed() {
        return Err("it is derived, not given".to_owned());
    }
    if known.is_operational() || known.no_user_modification {
        return Err("it is operational, not given".to_owned());
    }
    if id == AttributeId::OBJECT_CLASS {
        return Err("the classes of an entry follow from what it is, or come with an import".to_owned());
    }
    Ok(Some(id))
}

/// Why a custom attribute type cannot be declared, each with the field that it is about, if it is about one; `before`: as it
/// is declared already.
pub(super) fn custom_attribute(
    attribute: &CustomAttribute,
    before: Option<&CustomAttribute>,
    schema: &Schema,
) -> Vec<(Option<&'static str>, String)> {
    let is_described_anew = before.is_none_or(|before| before.description != attribute.description);
    let description = is_described_anew.then(|| description_of_type(&attribute.name, &attribute.description));
    let description = description.and_then(Result::err).map(|problem| (Some("description"), problem));
    let declared = declaration(attribute, before, schema).err().map(|problem| (None, problem));
    description.into_iter().chain(declared).collect()
}

/// Whether an attribute type can have the name, the OID and the syntax.
fn declaration(
    attribute: &CustomAttribute,
    before: Option<&CustomAttribute>,
    schema: &Schema,
) -> Result<(), String> {
    let name = &attribute.name;
    let known = schema.find(name);
    if known.is_some_and(|id| !schema.is_custom(id)) {
        return Err(format!(
            "the attribute type `{name}` is built in and cannot be declared; use it as it is, or choose another name"
        ));
    }
    if before.is_none_or(|before| before.name != *name) {
        schema.check_new_name(name).map_err(|error| error.to_string())?;
    }
    // What the schema says of a type that is not there yet holds for one that takes another's place.
    let without = match before.and_then(|before| schema.find(&before.name)) {
        Some(id) => schema.without(id),
        None => schema.clone(),
    };
    if without.find(name).is_some() {
        return Err(format!(
            "the attribute type `{name}` has a name that stands for another one, as its OID or as answers spell it; choose \
             another name"
        ));
    }
    without.with_attribute(&custom_type(attribute)).map(drop).map_err(|error| error.to_string())
}

/// Whether a uidNumber or gidNumber that is new is for the caller to give: low ones are those of the system's accounts, 0
/// of root. `before`: what there was.
///
/// # Errors
/// [`ChangeError::Field`]
pub(super) fn posix_numbers(
    transaction: &Transaction<'_>,
    after: &[Attribute],
    before: Option<&[Attribute]>,
) -> Result<(), ChangeError> {
    let snapshot = transaction.snapshot();
    if transaction.caller().is_superuser(snapshot.accounts()) {
        return Ok(());
    }
    let least = transaction.rules().posix_number_min;
    let low = |attributes: &[Attribute]| low_numbers(attributes, snapshot.schema(), least);
    let known = before.map(low).unwrap_or_default();
    let Some((name, number)) = low(after).into_iter().find(|number| !known.contains(number)) else {
        return Ok(());
    };
    let problem = match number.trim().parse::<u32>() {
        Ok(_) => format!("is one of a system account: give one of at least {least}"),
        Err(_) => format!("is none that systems keep: give one from {least} to {}", u32::MAX),
    };
    let message = format!("the {name} {number} {problem}, or ask a superuser", number = beginning(&number));
    Err(ChangeError::field("attributes", message))
}

/// Whether no attribute has more values, with whatever options, than the caller may give it, or than it had: each is looked at
/// whenever the object is written or found, by the one writer too. `before`: what there was.
///
/// # Errors
/// [`ChangeError::Field`]
pub(super) fn value_counts(
    transaction: &Transaction<'_>,
    after: &[Attribute],
    before: Option<&[Attribute]>,
) -> Result<(), ChangeError> {
    let snapshot = transaction.snapshot();
    let is_superuser = transaction.caller().is_superuser(snapshot.accounts());
    let most = if is_superuser { VALUES_MAX } else { transaction.rules().attribute_values_max };
    // Of what had too many before, which is nothing new, there come no more.
    let had = before.map_or(0, with_options);
    if had > ATTRIBUTES_WITH_OPTIONS_MAX && with_options(after) > had {
        let message = format!(
            "there would be {} attributes with options, and there were {had}: give it {ATTRIBUTES_WITH_OPTIONS_MAX} at most",
            with_options(after)
        );
        return Err(ChangeError::field("attributes", message));
    }
    let counts = |attributes: &[Attribute]| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for Attribute { description, values } in attributes {
            *counts.entry(canonical_base(description, snapshot.schema())).or_default() += values.len();
        }
        counts
    };
    let counted = counts(after);
    if counted.values().all(|count| *count <= most) {
        return Ok(());
    }
    let known = before.map(counts).unwrap_or_default();
    let had = |name: &String| known.get(name).copied().unwrap_or_default();
    let Some((name, count)) = counted.iter().find(|(name, count)| **count > most.max(had(name))) else {
        return Ok(());
    };
    let otherwise = match is_superuser {
        true => "",
        false => " (server.limits.attribute_values_max), or ask a superuser",
    };
    let message = format!(
        "the attribute {name} would have {count} values: give it {most} at most{otherwise}",
        name = quoted(name)
    );
    Err(ChangeError::field("attributes", message))
}

/// The uidNumbers and gidNumbers among attributes that are below this, or no numbers a system would take as such.
pub(super) fn low_numbers(
    attributes: &[Attribute],
    schema: &Schema,
    least: u32,
) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for attribute in attributes {
        let base = attribute.description.split(';').next().unwrap_or_default();
        let name = match schema.find(base) {
            Some(AttributeId::UID_NUMBER) => "uidNumber",
            Some(AttributeId::GID_NUMBER) => "gidNumber",
            _ => continue,
        };
        for value in &attribute.values {
            let text = String::from_utf8_lossy(value);
            // A negative one becomes a high one, or root, in programs that keep 32 bits.
            if text.trim().parse::<u32>().map_or(true, |number| number < least) {
                found.push((name, text.into_owned()));
            }
        }
    }
    found
}

/// Whether a value is of the attribute's syntax, so that its rules can compare it.
pub(super) fn is_value(value: &[u8], id: AttributeId, schema: &Schema) -> bool {
    let known = schema.attribute(id);
    let is_comparable = known.equality.is_none_or(|rule| rule.normalize(value, &mut Vec::new()).is_ok());
    known.syntax.accepts(value) && is_comparable
}

/// Whether a provider's settings make a tree. Sentences call it `present`, but for those about its name.
pub(super) fn provider(
    provider: &LdapProvider,
    present: &str,
    schema: &Schema,
    problems: &mut Vec<FieldProblem>,
) {
    let title = format!("the provider {}", called(present));
    problems.extend(name("provider", &provider.name).err().map(|problem| ("name", problem)));
    let base = Dn::parse(provider.base_dn.as_bytes()).ok().filter(|dn| !dn.is_root());
    let suffix = base.map(|base| base.normal_form(schema));
    if suffix.is_none() {
        let base_dn = &provider.base_dn;
        let problem = format!(
            "{title} has the base DN {base_dn}, which is none; write it such as dc=example,dc=com",
            base_dn = quoted(base_dn)
        );
        problems.push(("base_dn", problem));
    }
    if suffix.as_ref().is_some_and(|suffix| is_at_or_below(suffix.as_bytes(), SUBSCHEMA_DN.as_bytes())) {
        let problem = format!(
            "{title} has the base DN {base_dn}, where the server's own {SUBSCHEMA_DN} stands; choose another one",
            base_dn = quoted(&provider.base_dn)
        );
        problems.push(("base_dn", problem));
    }
    let lists = [
        ("users", &provider.users),
        ("service_accounts", &provider.service_accounts),
        ("groups", &provider.groups),
    ];
    for (list, containers) in lists {
        let mut problem = |sentence: String| problems.push((list, sentence));
        if containers.is_empty() {
            problem(format!("{title} has no container for {list}; give it one such as ou={list}"));
        }
        let mut seen = HashSet::new();
        for Container { container, naming } in containers {
            match Dn::parse(container.as_bytes()) {
                Ok(dn) if !dn.is_root() => {
                    let normal = dn.normal_form(schema);
                    if normal.as_bytes() == b"ou=virtual-groups" {
                        problem(format!(
                            "{title} has the container {container}, where the virtual groups stand; choose another one",
                            container = quoted(container)
                        ));
                    }
                    if suffix.as_ref().is_some_and(|suffix| normal.is_at_or_below(suffix)) {
                        problem(format!(
                            "{title} has the container {container}, which holds the base DN; write it relative to \
                             the base DN, such as ou=users",
                            container = quoted(container)
                        ));
                    }
                    if !seen.insert(normal) {
                        problem(format!(
                            "{title} has the container {container} twice; take one out",
                            container = quoted(container)
                        ));
                    }
                }
                _ => problem(format!(
                    "{title} has the container {container}, which is no DN; write it such as ou=users, relative to \
                     the base DN",
                    container = quoted(container)
                )),
            }
            // A DN by a name that is none of RFC 4512 could not be read again.
            let is_naming = is_oid(naming.as_bytes())
                && schema.find(naming).is_some_and(|id| schema.attribute(id).is_naming());
            if !is_naming {
                problem(format!(
                    "{title} cannot name the entries in {container} by {naming}; use cn or uid",
                    container = quoted(container),
                    naming = quoted(naming)
                ));
            }
        }
    }
}

/// Whether an application can be kept: its names, and the texts that describe it. Sentences call it `present`, but for those about
/// its slug.
pub(super) fn application(application: &Application, present: &str, problems: &mut Vec<FieldProblem>) {
    let Application { slug, name, bindings, texts, .. } = application;
    let mut problem = |field, text: &str| {
        let slug = if field == "slug" { slug } else { present };
        problems.push((field, format!("the application {slug} {text}", slug = quoted(slug))))
    };
    // It stands in addresses, and authentik's clients take no other.
    match check_name(slug) {
        Err(text) => problem("slug", &text),
        Ok(()) if is_slug(slug) => {}
        Ok(()) => problem(
            "slug",
            "has a slug of other characters than ASCII letters, digits, - and _; give it another",
        ),
    }
    if let Err(text) = check_name(name) {
        problem("name", &text);
    }
    for (text, value) in texts.iter() {
        let ApplicationTextRow { api, what, octets_max, .. } = text.row();
        if value.len() > octets_max {
            problem(api, &format!("has {what} of more than {octets_max} octets; give it a shorter one"));
        } else if text.row().is_web_address && !value.is_empty() && !is_web_address(value) {
            problem(
                api,
                &format!("has {what} that is none of the web; write it such as https://wiki.example.com"),
            );
        }
    }
    let networks = bindings.iter().filter_map(|binding| match &binding.subject {
        BindingSubject::Networks(networks) => Some(networks.len()),
        BindingSubject::Account(_) | BindingSubject::Group(_) | BindingSubject::Window(_) => None,
    });
    for count in networks {
        if count == 0 {
            problem("networks", "has a binding to no network, which passes for nobody; give it at least one");
        }
        if count > NETWORKS_MAX {
            problem(
                "networks",
                &format!(
                    "has a binding to more than {NETWORKS_MAX} networks; give larger ones, or write more bindings"
                ),
            );
        }
    }
    if bindings.len() > BINDINGS_MAX {
        problem(
            "target",
            &format!("has more than {BINDINGS_MAX} bindings; bind a group in place of many accounts"),
        );
    }
}

/// Whether a browser that opens it goes to a web server: a link may run no script.
fn is_web_address(text: &str) -> bool {
    let rest = ["http://", "https://"].into_iter().find_map(|scheme| {
        let start = text.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then(|| text.get(scheme.len()..)).flatten()
    });
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with(['/', '?', '#'])
            && !rest.chars().any(|part| part.is_control() || part.is_whitespace())
    })
}

/// The numbers whose derived uidNumber or gidNumber a seed gives away by hand.
pub(super) fn numbers_taken(snapshot: &Snapshot, seed: &Seed) -> HashSet<u32> {
    let said = seed.accounts.iter().map(|account| &account.said.attributes);
    let said = said.chain(seed.groups.iter().map(|group| &group.said.attributes)).flatten().flatten();
    let numbers = said.filter(|Attribute { description, .. }| {
        description.eq_ignore_ascii_case("uidNumber") || description.eq_ignore_ascii_case("gidNumber")
    });
    let values = numbers.flat_map(|attribute| &attribute.values);
    let given: Vec<u32> = values.filter_map(|value| std::str::from_utf8(value).ok()?.parse().ok()).collect();
    let starts = snapshot.trees().iter().flat_map(|tree| {
        let provider = tree.provider();
        [provider.uid_start_number, provider.gid_start_number]
    });
    starts.flat_map(|start| given.iter().filter_map(move |value: &u32| value.checked_sub(start))).collect()
}

/// The entries of a tree that have this value, by an index alone: each is found at the same cost, however many values it has.
/// Its keys are hashes of 64 bits by a key of this process, so that nobody makes two values that have one.
pub(super) fn holders(snapshot: &Snapshot, tree: &Tree, attribute: &str, value: &[u8]) -> Vec<EntryId> {
    let reader = TreeReader::new(snapshot, tree, &Visibility::Full);
    let items = [FilterItem::Equality { attribute, value }];
    let filter = PreparedFilter::new(&items, &reader);
    let candidates = plan(&filter, &reader).candidates;
    // Whether an entry has what is computed for each is in no index.
    let mut evaluator =
        snapshot.schema().find(attribute).is_some_and(AttributeId::is_computed).then(Evaluator::default);
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(raw) = candidates.next(from) {
        let id = EntryId::from_raw(raw);
        let has_it = tree.entry(id).is_some_and(|entry| {
            let evaluator = evaluator.as_mut();
            evaluator.is_none_or(|evaluator| evaluator.matches(&filter, &reader, id, entry))
        });
        if has_it {
            found.push(id);
        }
        let Some(next) = raw.checked_add(1) else { break };
        from = next;
    }
    found
}

/// The type of a description as entries spell it, by which values are counted.
pub(super) fn canonical_base(description: &str, schema: &Schema) -> String {
    canonical_description(description.split(';').next().unwrap_or_default(), schema)
}

/// A description as entries spell it, for comparing: options are a set, in any case (RFC 4512 section 2.5).
pub(super) fn canonical_description(description: &str, schema: &Schema) -> String {
    let (base, options) = match description.split_once(';') {
        Some((base, options)) => (base, Some(options)),
        None => (description, None),
    };
    let name = match schema.find(base) {
        Some(id) => schema.attribute(id).name.to_ascii_lowercase(),
        None => base.to_ascii_lowercase(),
    };
    let Some(options) = options.map(str::to_ascii_lowercase) else { return name };
    let options: BTreeSet<&str> = options.split(';').collect();
    options.into_iter().fold(name, |name, option| name + ";" + option)
}

fn has_attribute(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.description.eq_ignore_ascii_case(name))
}

/// Attributes of one object, counting each set of options: no class has a tenth of them, and options are
/// without number.
/// No limit of the config: a rule about what one object may hold, far above what any does.
pub(super) const ATTRIBUTES_MAX: usize = 1_000;
/// Attributes of one object that have options: a search that asks for names with options compares each with each.
/// No limit of the config: a rule about what one object may hold, far above what any does.
pub(super) const ATTRIBUTES_WITH_OPTIONS_MAX: usize = 64;
/// Values of one attribute, whoever gives them: more than any list of mail addresses has.
/// No limit of the config: a rule about what one object may hold, far above what any does.
pub(super) const VALUES_MAX: usize = 100_000;
/// Object classes of one object, as a file gives them: each is asked for each attribute.
/// No limit of the config: a rule about what one object may hold, far above what any does.
pub(super) const CLASSES_MAX: usize = 100;
/// Bindings of one application: each is asked at each operation.
/// No limit of the config: a rule about what one object may hold, far above what any does.
const BINDINGS_MAX: usize = 1_000;
/// Networks of one binding, or of one token: each is asked at each operation.
/// No limit of the config: a rule about what one object may hold, far above what any does.
const NETWORKS_MAX: usize = 1_000;
/// No limit of the config: authentik's API gives it.
const USERNAME_CHARACTERS_MAX: usize = 150;
/// No limit of the config: authentik's API gives it.
pub(super) const IDENTIFIER_OCTETS_MAX: usize = 255;
