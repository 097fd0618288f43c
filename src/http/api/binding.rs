//! `policies/bindings/`: for whom, from where or when an application is.
//!
//! authentik binds a policy, a group or a user; bindery a group, a user, or, in fields of its own, `networks` or a weekly
//! time window (`days`, `from`, `to`, `timezone`). A subject that is named takes the place of the one before.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answer::WrittenPage;
use super::by_uuid;
use super::call::Call;
use super::ordered::SortKey;
use super::partial::{self, PartialGroup, PartialUser};
use super::reading::{Reading, RepresentationSource};
use super::refusal::CallRefusal;
use super::route::{NoContent, NoParameters};
use super::told::{self, LosingAccess};
use super::used_by::UsedBy;
use super::value::{Empty, Network, Required, RequiredFields, Time, given, or_null};
use crate::model::{
    AccountNumber, Application, BadTimeOfDay, BadTimeWindow, Binding, BindingSubject, ObjectReference,
    Permission, TimeOfDay, TimeWindow, TimeZone, UnknownTimeZone, Weekday,
};
use crate::quoted::quoted;
use crate::registry::commands::{
    BindingChanges, create_binding, delete_binding, may_view_bindings, no_target, update_binding,
};
use crate::registry::{ChangeError, Transaction};

/// A rule of an application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyBinding {
    /// Its UUID.
    pub pk: Uuid,
    /// Always `null`.
    pub policy: Option<Uuid>,
    /// The group whose members it is for; `null` also when the caller may not view it.
    pub group: Option<Uuid>,
    /// The account that it is for; `null` also when the caller may not view it.
    pub user: Option<u32>,
    /// Always `null`.
    pub policy_obj: Option<Empty>,
    /// The group with its name.
    pub group_obj: Option<PartialGroup>,
    /// The account with its name.
    pub user_obj: Option<PartialUser>,
    /// The application; of zeros when the caller may not view it.
    pub target: Uuid,
    /// Whether it passes for everybody else instead.
    pub negate: bool,
    /// Whether it takes part at all.
    pub enabled: bool,
    /// Its place in lists; decides nothing.
    pub order: i32,
    /// Always 30: there is nothing that could take long.
    pub timeout: u32,
    /// Always false: there is nothing that could fail.
    pub failure_result: bool,
    /// Always `null`.
    pub expires: Option<Time>,
    /// Always false.
    pub expiring: bool,
    /// The networks that a client must come from; bindery's own.
    pub networks: Option<Vec<String>>,
    /// The days of the week on which it passes; bindery's own.
    pub days: Option<Vec<String>>,
    /// From which time of day on; bindery's own.
    pub from: Option<String>,
    /// Until which time of day; bindery's own.
    pub to: Option<String>,
    /// By whose clock; bindery's own.
    pub timezone: Option<String>,
    /// Accounts that the change shuts out; bindery's own. Absent: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losing_access: Option<LosingAccess>,
}

/// What is said of a binding that is made or changed; what is absent stays.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PatchedPolicyBindingRequest {
    /// Accepted when it is `null`.
    #[schemars(transform = or_null)]
    pub policy: Option<Uuid>,
    #[serde(deserialize_with = "given")]
    #[schemars(transform = or_null)]
    pub group: Option<Option<Uuid>>,
    #[serde(deserialize_with = "given")]
    #[schemars(transform = or_null)]
    pub user: Option<Option<u32>>,
    pub target: Option<Uuid>,
    pub negate: Option<bool>,
    pub enabled: Option<bool>,
    pub order: Option<i32>,
    /// Accepted when it is 30.
    pub timeout: Option<u32>,
    /// Accepted when it is false.
    pub failure_result: Option<bool>,
    #[serde(deserialize_with = "given")]
    #[schemars(transform = or_null)]
    pub networks: Option<Option<Vec<Network>>>,
    #[serde(deserialize_with = "given")]
    #[schemars(transform = or_null)]
    pub days: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "given")]
    #[schemars(transform = or_null)]
    pub from: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    #[schemars(transform = or_null)]
    pub to: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    #[schemars(transform = or_null)]
    pub timezone: Option<Option<String>>,
}

impl RequiredFields for PatchedPolicyBindingRequest {
    const REQUIRED: &'static [&'static str] = &["target", "order"];
}

/// Which bindings are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[allow(non_snake_case, reason = "the names are those of authentik's parameters")]
pub(super) struct PolicyBindingQuery {
    enabled: Option<bool>,
    order: Option<i32>,
    /// Those of a policy, of which there are none.
    policy: Option<Uuid>,
    policy__isnull: Option<bool>,
    target: Option<Uuid>,
    target_in: Vec<Uuid>,
    timeout: Option<u32>,
}

type Bound = (Arc<Application>, Binding);

pub(super) fn list(
    reading: &Reading,
    query: PolicyBindingQuery,
) -> Result<WrittenPage<PolicyBinding>, CallRefusal> {
    let accounts = reading.accounts();
    let has_any = query.policy.is_none()
        && query.policy__isnull != Some(false)
        && query.timeout.is_none_or(|timeout| timeout == TIMEOUT_SECONDS);
    let mut found: Vec<(&Arc<Application>, &Binding)> = Vec::new();
    for application in reading.walk(accounts.applications()).filter(|_| has_any) {
        let shown = target(reading, application);
        let passes = query.target.is_none_or(|target| target == shown)
            && (query.target_in.is_empty() || query.target_in.contains(&shown))
            && may_view_bindings(&reading.caller, accounts, application.number);
        if !passes {
            continue;
        }
        let bindings = application.bindings.iter().filter(|binding| {
            query.enabled.is_none_or(|wanted| wanted == binding.enabled)
                && query.order.is_none_or(|wanted| wanted == binding.order)
                && (!reading.page.is_searched() || reading.page.finds([name(reading, binding).as_str()]))
        });
        found.extend(bindings.map(|binding| (application, binding)));
    }
    found.sort_by_key(|(application, binding)| (application.number, binding.order));
    reading.order(&mut found, |field, (application, binding)| match field {
        "order" => Some(SortKey::number(binding.order)),
        "enabled" => Some(SortKey::number(binding.enabled)),
        "negate" => Some(SortKey::number(binding.negate)),
        "target" => Some(SortKey::Uuid(target(reading, application))),
        "pk" | "policy_binding_uuid" => Some(SortKey::Uuid(binding.uuid)),
        _ => None,
    })?;
    reading.cut(&found, |(application, binding)| Ok(shown(reading, application, binding)?))
}

pub(super) async fn create(
    call: Call,
    request: Required<PatchedPolicyBindingRequest>,
) -> Result<PolicyBinding, CallRefusal> {
    call.require(Permission::AddPolicyBinding)?;
    call.change(move |transaction| {
        transaction.require(Permission::AddPolicyBinding)?;
        let changes = changes(transaction, request.0, None)?;
        let (Some(target), Some(subject)) = (changes.target, changes.subject.clone()) else {
            return Err(no_subject());
        };
        let uuid = create_binding(transaction, target, subject, changes)?;
        of_uuid(transaction, uuid)
    })
    .await
}

pub(super) fn retrieve(reading: &Reading, _: NoParameters) -> Result<PolicyBinding, CallRefusal> {
    let (application, binding) = viewed(reading)?;
    Ok(shown(reading, &application, &binding)?)
}

pub(super) async fn update(
    call: Call,
    request: PatchedPolicyBindingRequest,
) -> Result<PolicyBinding, CallRefusal> {
    let uuid = call.parameter("policy_binding_uuid")?;
    call.change(move |transaction| {
        let before = find(transaction, uuid);
        // Who may know nothing of the binding learns nothing of its request either.
        update_binding(transaction, uuid, BindingChanges::default())?;
        let changes = changes(transaction, request, before.as_ref())?;
        update_binding(transaction, uuid, changes)?;
        of_uuid(transaction, uuid)
    })
    .await
}

pub(super) async fn destroy(call: Call) -> Result<NoContent, CallRefusal> {
    let uuid = call.parameter("policy_binding_uuid")?;
    call.change(move |transaction| delete_binding(transaction, uuid)).await?;
    Ok(NoContent)
}

/// Nothing refers to a binding.
pub(super) fn used_by(reading: &Reading, _: NoParameters) -> Result<Vec<UsedBy>, CallRefusal> {
    viewed(reading)?;
    Ok(Vec::new())
}

/// The binding in words. What the caller may not view has no name in it.
pub(super) fn name(source: &impl RepresentationSource, binding: &Binding) -> String {
    let accounts = source.accounts();
    binding.in_words(
        |number| {
            let is_named = source.names(ObjectReference::Account(number));
            match accounts.account(number).filter(|_| is_named) {
                Some(account) => account.username.to_string(),
                // Whoever may view every account knows that there is none.
                None if source.viewer().sees_all(Permission::ViewUser) => DELETED.to_owned(),
                None => HIDDEN.to_owned(),
            }
        },
        |number| {
            let group = accounts.group(number);
            let group = group.filter(|_| source.names(ObjectReference::Group(number)));
            group.map_or_else(|| HIDDEN.to_owned(), |group| group.name.to_string())
        },
    )
}

/// The application of a binding, as the caller may know of it.
fn target(source: &impl RepresentationSource, application: &Application) -> Uuid {
    let is_shown = source.names(ObjectReference::Application(application.number));
    if is_shown { application.uuid } else { Uuid::nil() }
}

/// What a binding is for, if that is an object that others may not know of.
fn named(subject: &BindingSubject) -> Option<ObjectReference> {
    match subject {
        BindingSubject::Account(number) => Some(ObjectReference::Account(*number)),
        BindingSubject::Group(number) => Some(ObjectReference::Group(*number)),
        BindingSubject::Networks(_) | BindingSubject::Window(_) => None,
    }
}

fn find(source: &impl RepresentationSource, uuid: Uuid) -> Option<Bound> {
    source.accounts().applications().find_map(|application| {
        let binding = application.bindings.iter().find(|binding| binding.uuid == uuid)?;
        Some((application.clone(), binding.clone()))
    })
}

/// The binding in the path, which the caller may view.
fn viewed(reading: &Reading) -> Result<Bound, CallRefusal> {
    let found = find(reading, reading.parameter("policy_binding_uuid")?);
    let found = found.filter(|(application, _)| {
        may_view_bindings(&reading.caller, reading.accounts(), application.number)
    });
    found.ok_or_else(CallRefusal::not_found)
}

/// The binding after a change, with what whoever makes it is told.
fn of_uuid(transaction: &Transaction<'_>, uuid: Uuid) -> Result<PolicyBinding, ChangeError> {
    match find(transaction, uuid) {
        Some((application, binding)) => {
            let losing_access = told::losing_access(transaction);
            Ok(PolicyBinding { losing_access, ..shown(transaction, &application, &binding)? })
        }
        None => Err(ChangeError::NotFound { kind: "binding", name: uuid.to_string() }),
    }
}

/// As it is answered.
fn shown(
    source: &impl RepresentationSource,
    application: &Application,
    binding: &Binding,
) -> Result<PolicyBinding, ChangeError> {
    let (accounts, viewer) = (source.accounts(), source.viewer());
    let (mut group, mut group_obj, mut user, mut user_obj) = (None, None, None, None);
    let (mut networks, mut window) = (None, None);
    match &binding.subject {
        subject if named(subject).is_some_and(|on| !viewer.names(on)) => {}
        BindingSubject::Account(number) => {
            user = Some(number.get());
            if viewer.sees(ObjectReference::Account(*number)) {
                user_obj = partial::user(source, *number)?;
            }
        }
        BindingSubject::Group(number) => {
            let state = accounts.group(*number);
            group = state.map(|state| state.uuid);
            group_obj = state.map(|state| partial::group(state));
        }
        BindingSubject::Networks(list) => networks = Some(list.iter().map(ToString::to_string).collect()),
        BindingSubject::Window(found) => window = Some(found),
    }
    Ok(PolicyBinding {
        pk: binding.uuid,
        policy: None,
        group,
        user,
        policy_obj: None,
        group_obj,
        user_obj,
        target: target(source, application),
        negate: binding.negate,
        enabled: binding.enabled,
        order: binding.order,
        timeout: TIMEOUT_SECONDS,
        failure_result: false,
        expires: None,
        expiring: false,
        networks,
        days: window.map(|window| window.days().map(|day| day.as_str().to_owned()).collect()),
        from: window.map(|window| window.from().to_string()),
        to: window.map(|window| window.to().to_string()),
        timezone: window.map(|window| window.timezone().name().to_owned()),
        losing_access: None,
    })
}

/// What a request says, with numbers in place of UUIDs; `before`: the binding as it is.
fn changes(
    source: &impl RepresentationSource,
    request: PatchedPolicyBindingRequest,
    before: Option<&Bound>,
) -> Result<BindingChanges, ChangeError> {
    let wrong = |field, message: String| source.noting(Err::<(), _>(ChangeError::field(field, message)));
    if request.policy.is_some() {
        wrong(
            "policy",
            "bindery has no policies of this kind: bind a group, a user, `networks`, or a time by `days`, `from` and `to`"
                .to_owned(),
        )?;
    }
    if request.timeout.is_some_and(|timeout| timeout != TIMEOUT_SECONDS) {
        let message = "nothing in a binding of bindery can take long: leave it out, or say";
        wrong("timeout", format!("{message} {TIMEOUT_SECONDS}"))?;
    }
    if request.failure_result == Some(true) {
        let message = "nothing in a binding of bindery can fail: leave it out, or say false";
        wrong("failure_result", message.to_owned())?;
    }
    let target = match (request.target, before) {
        // As it was read.
        (Some(uuid), Some((application, _))) if uuid == target(source, application) => None,
        (Some(uuid), _) => {
            // One that the caller may not know of is none, whatever else is wrong.
            let target = by_uuid::application(source.accounts(), uuid)
                .map(|application| application.number)
                .filter(|number| source.names(ObjectReference::Application(*number)));
            source.noting(target.ok_or_else(no_target))?
        }
        (None, _) => None,
    };
    let subject = subject(source, &request, before.map(|(_, binding)| &binding.subject));
    let subject = source.noting(subject)?.flatten();
    let PatchedPolicyBindingRequest { negate, enabled, order, .. } = request;
    Ok(BindingChanges { target, subject, order, negate, enabled })
}

/// The subject that a request names; `None`: that of before.
fn subject(
    source: &impl RepresentationSource,
    request: &PatchedPolicyBindingRequest,
    before: Option<&BindingSubject>,
) -> Result<Option<BindingSubject>, ChangeError> {
    let group = request.group.flatten();
    let user = request.user.flatten();
    let networks = request.networks.as_ref().and_then(Option::as_ref);
    let window = window(source, request, before)?;
    let count = [group.is_some(), user.is_some(), networks.is_some(), window.is_some()];
    let count = count.into_iter().filter(|is_named| *is_named).count();
    if count > 1 {
        return Err(no_subject());
    }
    if let Some(uuid) = group {
        let group = by_uuid::group(source.accounts(), uuid);
        let group = group.filter(|group| source.names(ObjectReference::Group(group.number)));
        let group = group.ok_or_else(|| ChangeError::field("group", "there is no such group"))?;
        return Ok(Some(BindingSubject::Group(group.number)));
    }
    if let Some(number) = user.map(AccountNumber::new) {
        let on = ObjectReference::Account(number);
        // As it was read: one that is gone may still be named by a binding.
        let is_as_before = before == Some(&BindingSubject::Account(number));
        if !source.names(on) || !(is_as_before || source.accounts().has(on)) {
            return Err(ChangeError::field("user", format!("there is no account {number}")));
        }
        return Ok(Some(BindingSubject::Account(number)));
    }
    if let Some(networks) = networks {
        let networks = networks.iter().map(|network| network.0).collect();
        return Ok(Some(BindingSubject::Networks(networks)));
    }
    if let Some(window) = window {
        return Ok(Some(BindingSubject::Window(window)));
    }
    // Nothing is named: then nothing may be taken away either.
    let is_taken = match before {
        None => true,
        // What was not shown is not taken away by who gives back what it read.
        Some(subject) if named(subject).is_some_and(|on| !source.names(on)) => false,
        Some(BindingSubject::Group(_)) => request.group.is_some(),
        Some(BindingSubject::Account(_)) => request.user.is_some(),
        Some(BindingSubject::Networks(_)) => request.networks.is_some(),
        Some(BindingSubject::Window(_)) => {
            let is_null = |field: &Option<Option<String>>| *field == Some(None);
            request.days == Some(None) && is_null(&request.from) && is_null(&request.to)
        }
    };
    if is_taken { Err(no_subject()) } else { Ok(None) }
}

/// The time window that a request names. What it does not say of one is as before, or every day, from the beginning to
/// the end of it, in UTC.
fn window(
    source: &impl RepresentationSource,
    request: &PatchedPolicyBindingRequest,
    before: Option<&BindingSubject>,
) -> Result<Option<TimeWindow>, ChangeError> {
    let before = match before {
        Some(BindingSubject::Window(window)) => Some(window),
        _ => None,
    };
    let names = |field: &Option<Option<String>>| matches!(field, Some(Some(_)));
    let has_time = matches!(&request.days, Some(Some(_))) || names(&request.from) || names(&request.to);
    if !has_time && !names(&request.timezone) {
        return Ok(None);
    }
    if !has_time && before.is_none() {
        return Err(ChangeError::field(
            "timezone",
            "a time zone alone is no time: give `days`, or `from` and `to`",
        ));
    }
    let days = match (&request.days, before) {
        (Some(Some(days)), _) => source.noting(each(days, weekday))?,
        (None, Some(before)) => Some(before.days().collect()),
        (Some(None), _) | (None, None) => Some(Weekday::ALL.to_vec()),
    };
    let from = match (&request.from, before) {
        (Some(Some(text)), _) => source.noting(time_of_day("from", text))?,
        (None, Some(before)) => Some(before.from()),
        (Some(None), _) | (None, None) => Some(TimeOfDay::START),
    };
    let to = match (&request.to, before) {
        (Some(Some(text)), _) => source.noting(time_of_day("to", text))?,
        (None, Some(before)) => Some(before.to()),
        (Some(None), _) | (None, None) => Some(TimeOfDay::END),
    };
    let timezone = match (&request.timezone, before) {
        (Some(Some(name)), _) => source.noting(
            name.parse().map_err(|error: UnknownTimeZone| ChangeError::field("timezone", error.to_string())),
        )?,
        (None, Some(before)) => Some(before.timezone().clone()),
        (Some(None), _) | (None, None) => Some(TimeZone::utc()),
    };
    // Of what is told already nothing is put together.
    let (Some(days), Some(from), Some(to), Some(timezone)) = (days, from, to, timezone) else {
        return Err(ChangeError::Fields(Vec::new()));
    };
    let window = TimeWindow::new(days, from, to, timezone).map_err(|error| {
        let field = match error {
            BadTimeWindow::NoDay => "days",
            BadTimeWindow::BeginsAtEnd => "from",
            BadTimeWindow::Empty(_) => "to",
        };
        ChangeError::field(field, error.to_string())
    })?;
    Ok(Some(window))
}

/// All of a list.
///
/// # Errors
/// All that cannot be in it.
fn each<T>(texts: &[String], read: impl Fn(&str) -> Result<T, ChangeError>) -> Result<Vec<T>, ChangeError> {
    let mut wrong = Vec::new();
    let mut note = |error: ChangeError| wrong.extend(error.fields());
    let values = texts.iter().filter_map(|text| read(text).map_err(&mut note).ok()).collect();
    ChangeError::of_fields(wrong).map(|()| values)
}

fn weekday(text: &str) -> Result<Weekday, ChangeError> {
    Weekday::ALL.into_iter().find(|day| day.as_str() == text).ok_or_else(|| {
        let known = Weekday::ALL.map(Weekday::as_str).join(", ");
        ChangeError::field("days", format!("expected days of the week out of {known}, not {}", quoted(text)))
    })
}

fn time_of_day(field: &'static str, text: &str) -> Result<TimeOfDay, ChangeError> {
    text.parse().map_err(|error: BadTimeOfDay| ChangeError::field(field, error.to_string()))
}

fn no_subject() -> ChangeError {
    ChangeError::invalid(
        "a binding is for one thing: give exactly one of `group`, `user`, `networks`, or a time by `days`, `from` and `to`",
    )
}

/// What stands in the words of a binding for what the caller may not view.
const HIDDEN: &str = "(hidden)";
/// What stands in them for an account that was deleted.
const DELETED: &str = "(deleted)";
/// As authentik's when nothing is said.
const TIMEOUT_SECONDS: u32 = 30;
