//! `events/events/`: the audit trail. Events are never changed or deleted by a call.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::answer::WrittenPage;
use super::call::Call;
use super::reading::{Reading, RepresentationSource as _};
use super::refusal::CallRefusal;
use super::route::NoParameters;
use super::value::{Empty, Required, RequiredFields, Time, or_null};
use crate::audit::{EventObject, OBJECT_KINDS, digest};
use crate::model::{self, AccountNumber, Action, EventDetail, Permission, SystemUser, Timestamp};
use crate::quoted::quoted;
use crate::registry::{ChangeError, EventQuery as TrailQuery, Registry, WrongFields};

/// One event of the audit trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Its UUID.
    pub pk: Uuid,
    /// Who did it: `pk` (0 for what is no account), `username`, the `token` that was used, and of a command the
    /// `system_user` of the machine, with `uid`, `name` and, as sudo says, `sudo_user`.
    pub user: Map<String, Value>,
    /// What happened.
    #[schemars(with = "String")]
    pub action: Action,
    /// `bindery`, or what an event comes from that bindery did not make.
    pub app: String,
    /// What it is about, what became different, how often, and its place in the chain.
    pub context: Map<String, Value>,
    /// Where it came from; `null`: from this machine.
    pub client_ip: Option<String>,
    /// When.
    pub created: Time,
    /// Always `null`: all events are kept for the same time.
    pub expires: Option<Time>,
    /// Always empty: bindery has no brands.
    pub brand: Empty,
}

/// Something that somebody wants to have in the trail.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct PatchedEventRequest {
    /// `custom_`, which is what events are that bindery did not make.
    action: Option<String>,
    /// What it comes from.
    app: Option<String>,
    /// What is known of it.
    context: Option<Map<String, Value>>,
    /// Empty: an event is of who calls.
    user: Option<Map<String, Value>>,
    /// Where the call comes from, which is kept whether it is said or not.
    #[schemars(transform = or_null)]
    client_ip: Option<IpAddr>,
    /// `null`: all events are kept for the same time.
    #[schemars(transform = or_null)]
    expires: Option<Time>,
    /// Empty: bindery has no brands.
    brand: Option<Map<String, Value>>,
}

impl RequiredFields for PatchedEventRequest {
    const REQUIRED: &'static [&'static str] = &["action", "app"];
}

/// Which events are asked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct EventQuery {
    action: Option<String>,
    actions: Vec<String>,
    /// bindery has no brands: whatever is asked for, nothing is found.
    brand_name: Option<String>,
    client_ip: Option<IpAddr>,
    context_authorized_app: Option<String>,
    /// bindery knows no devices: whatever is asked for, nothing is found.
    context_device: Option<String>,
    context_model_app: Option<String>,
    context_model_name: Option<String>,
    context_model_pk: Option<String>,
    /// What this account did, and what was done to it.
    username: Option<String>,
}

/// The same, counted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct CountQuery {
    #[serde(flatten)]
    which: EventQuery,
    /// Days that are looked at; 7 when nothing is said.
    #[schemars(range(min = 1, max = VOLUME_DAYS_MAX))]
    history_days: Option<u32>,
    /// Accepted: the order is always the same.
    ordering: Option<String>,
    search: Option<String>,
    /// Applications that are shown; 15 when nothing is said.
    #[schemars(range(min = 1, max = TOP_MAX))]
    top_n: Option<usize>,
}

/// The same, counted in several spans.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct StatsQuery {
    /// How far back each number goes: `hours=24`, `weeks=1;days=2`.
    count_steps: Vec<String>,
    #[serde(flatten)]
    which: EventQuery,
    /// Accepted: there is nothing to order.
    ordering: Option<String>,
    search: Option<String>,
}

/// How many events there were in several spans up to now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EventStats {
    /// Of how many accounts, as far back as the trail goes.
    pub unique_users: usize,
    /// How many within each span, by what was asked without its signs: `hours24`. Each login of those that stand in one
    /// event counts.
    pub count_step: BTreeMap<String, u64>,
}

/// How many events of an action there were within a span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EventVolume {
    /// What happened.
    #[schemars(with = "String")]
    pub action: Action,
    /// When the span began: an hour, or a day where many are looked at.
    pub time: Time,
    /// How often; each login of those that stand in one event counts.
    pub count: u64,
}

/// How many events an application has: what is about it, and what was done through it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct EventTopPerUser {
    /// Its `name`, which is its slug.
    pub application: Map<String, Value>,
    /// How many; each login of those that stand in one event counts.
    pub counted_events: u64,
    /// Of how many accounts.
    pub unique_users: usize,
}

/// Something that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TypeCreate {
    /// In words.
    pub name: String,
    /// In more words.
    pub description: String,
    /// What is to be sent.
    pub component: String,
    /// What it is about.
    pub model_name: String,
}

pub(super) async fn list(call: Call, query: EventQuery) -> Result<WrittenPage<Event>, CallRefusal> {
    require(&call)?;
    let Some(mut trail) = query.trail(call.page.search.as_deref())? else {
        return call.reading().cut(&[] as &[model::Event], |_| Err(CallRefusal::internal()));
    };
    trail.oldest_first = call.page.ordering_keys().next() == Some(("created", false));
    let page = call.page.clone();
    let (first, size) = page.span();
    // Later pages go on from the first: what came in between would shift them.
    if first == 0 {
        call.registry.flush_logins_sometimes().await;
    }
    // One walk through the trail, of which only the page stays in memory.
    let room = Arc::clone(&call.room);
    let walked = call.registry.fold_events(trail, (Vec::new(), 0_usize), move |(found, count), event| {
        if *count >= first && found.len() < size && room.hold(octets(&event)) {
            found.push(event);
        }
        *count += 1;
    });
    let (found, count) = walked.await?;
    call.room.check()?;
    let envelope = page.envelope(count)?;
    call.read(move |reading| {
        let events = found.iter().map(|event| with_email(reading, event).map_err(CallRefusal::from));
        WrittenPage::write(&reading.room, envelope, events)
    })
    .await
}

pub(super) async fn retrieve(call: Call, _: NoParameters) -> Result<Event, CallRefusal> {
    require(&call)?;
    let uuid = call.parameter("event_uuid")?;
    let found = call.registry.event_by_uuid(uuid).await?.ok_or_else(CallRefusal::not_found)?;
    one(call, found).await
}

pub(super) async fn create(call: Call, request: Required<PatchedEventRequest>) -> Result<Event, CallRefusal> {
    let Required(request) = request;
    call.require(Permission::AddEvent)?;
    let wrong = WrongFields::of(&call.caller);
    let checked = request.check(call.caller.actor().source, &wrong);
    wrong.told(checked)?;
    let PatchedEventRequest { app, context, .. } = request;
    let app = app.unwrap_or_default();
    let context = context.unwrap_or_default().into_iter();
    let details = context.map(|(name, value)| EventDetail { name, value: kept(value) });
    let object = EventObject { kind: "custom".to_owned(), name: app, key: None, uuid: None };
    let event = call.registry.add_event(call.caller.clone(), object, details.collect()).await?;
    one(call, event).await
}

impl PatchedEventRequest {
    /// Notes what cannot be said of an event that comes from there: what is taken is what is read back.
    fn check(&self, source: Option<IpAddr>, wrong: &WrongFields) -> Result<(), ChangeError> {
        let note = |field, message: String| wrong.noting(Err::<(), _>(ChangeError::field(field, message)));
        if self.action.as_deref() != Some(Action::Custom.as_str()) {
            let message = "events that bindery did not make have the action `custom_`; say in the context what happened";
            note("action", message.to_owned())?;
        }
        let names = self.context.iter().flat_map(Map::keys);
        for name in names.filter(|name| RESERVED_NAMES.contains(&name.as_str())) {
            note(
                "context",
                format!("`{name}` is what bindery itself says of an event: give it another name"),
            )?;
        }
        if self.user.as_ref().is_some_and(|user| !user.is_empty()) {
            note("user", "an event is of who calls, which its token says: leave it out".to_owned())?;
        }
        let canonical = |address: Option<IpAddr>| address.map(|address| address.to_canonical());
        if self.client_ip.is_some() && canonical(self.client_ip) != canonical(source) {
            let message = "an event is from where its call comes, which is not there: leave it out";
            note("client_ip", message.to_owned())?;
        }
        if self.expires.is_some() {
            let message = "all events are kept for the same time, which [server.limits] event_retention says: leave it out";
            note("expires", message.to_owned())?;
        }
        if self.brand.as_ref().is_some_and(|brand| !brand.is_empty()) {
            note("brand", "bindery has no brands: leave it out".to_owned())?;
        }
        Ok(())
    }
}

/// A value of a context as the trail keeps it: a text as it is, unless it would be read back as something else; anything
/// else as JSON.
fn kept(value: Value) -> String {
    match value {
        Value::String(text) if serde_json::from_str::<Value>(&text).is_err() => text,
        other => other.to_string(),
    }
}

/// What was said, of what [`kept`] has made of it.
fn said(kept: &str) -> Value {
    serde_json::from_str(kept).unwrap_or_else(|_| kept.into())
}

pub(super) fn actions(_: &Reading, _: NoParameters) -> Result<Vec<TypeCreate>, CallRefusal> {
    let all = Action::ALL.iter().map(|action| TypeCreate {
        name: action.as_str().replace('_', " ").trim().to_owned(),
        description: String::new(),
        component: action.as_str().to_owned(),
        model_name: String::new(),
    });
    Ok(all.collect())
}

pub(super) async fn volume(call: Call, query: CountQuery) -> Result<Vec<EventVolume>, CallRefusal> {
    require(&call)?;
    let days = query.history_days.unwrap_or(VOLUME_DAYS);
    let span: i64 = if days <= HOURLY_DAYS_MAX { 60 * 60 } else { 24 * 60 * 60 };
    let Some(mut trail) = query.which.trail(query.search.as_deref())? else { return Ok(Vec::new()) };
    let seconds = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let back = i64::try_from(seconds.as_secs()).unwrap_or(i64::MAX);
    trail.since = Some(Timestamp::from_unix_seconds(call.registry.now().unix_seconds().saturating_sub(back)));
    call.registry.flush_logins_sometimes().await;
    let counted = call.registry.fold_events(trail, BTreeMap::new(), move |counts, event| {
        let begin = event.time.unix_seconds().div_euclid(span) * span;
        *counts.entry((begin, event.action)).or_insert(0_u64) += event.count;
    });
    let counts = counted.await?;
    Ok(counts
        .into_iter()
        .map(|((begin, action), count)| EventVolume {
            action,
            time: Time(Timestamp::from_unix_seconds(begin)),
            count,
        })
        .collect())
}

pub(super) async fn stats(call: Call, query: StatsQuery) -> Result<EventStats, CallRefusal> {
    require(&call)?;
    if query.count_steps.is_empty() {
        return Err(CallRefusal::field("count_steps", "This field is required."));
    }
    if query.count_steps.len() > COUNT_STEPS_MAX {
        return Err(CallRefusal::field("count_steps", format!("there are more than {COUNT_STEPS_MAX}")));
    }
    let now = call.registry.now();
    let mut steps: Vec<(String, Timestamp)> = Vec::with_capacity(query.count_steps.len());
    for step in &query.count_steps {
        let span = span(step).ok_or_else(|| {
            CallRefusal::field(
                "count_steps",
                format!("{step} is no span of time such as hours=24 or weeks=1;days=2", step = quoted(step)),
            )
        })?;
        let since = Timestamp::from_unix_seconds(now.unix_seconds().saturating_sub(span));
        steps.push((step.chars().filter(char::is_ascii_alphanumeric).collect(), since));
    }
    let mut stats =
        EventStats { unique_users: 0, count_step: steps.iter().map(|(name, _)| (name.clone(), 0)).collect() };
    let Some(trail) = query.which.trail(query.search.as_deref())? else { return Ok(stats) };
    call.registry.flush_logins_sometimes().await;
    let begin = (vec![0_u64; steps.len()], BTreeSet::<AccountNumber>::new());
    let spans: Vec<Timestamp> = steps.iter().map(|(_, since)| *since).collect();
    let counted = call.registry.fold_events(trail, begin, move |(counts, accounts), event| {
        accounts.extend(event.actor.number);
        for (count, since) in counts.iter_mut().zip(&spans) {
            *count += if event.time >= *since { event.count } else { 0 };
        }
    });
    let (counts, accounts) = counted.await?;
    stats.unique_users = accounts.len();
    stats.count_step.extend(steps.into_iter().map(|(name, _)| name).zip(counts));
    Ok(stats)
}

/// The seconds of `weeks=1;days=2`, as authentik writes spans.
fn span(text: &str) -> Option<i64> {
    let mut seconds = 0_i64;
    for part in text.split([';', ',']) {
        let (unit, number) = part.trim().split_once('=')?;
        let unit = match unit {
            "seconds" => 1,
            "minutes" => 60,
            "hours" => 60 * 60,
            "days" => 24 * 60 * 60,
            "weeks" => 7 * 24 * 60 * 60,
            _ => return None,
        };
        seconds = seconds.checked_add(i64::from(number.parse::<u32>().ok()?).checked_mul(unit)?)?;
    }
    Some(seconds)
}

pub(super) async fn top_per_user(call: Call, query: CountQuery) -> Result<Vec<EventTopPerUser>, CallRefusal> {
    require(&call)?;
    let top = query.top_n.unwrap_or(TOP);
    let mut filters = query.which;
    // What authentik calls so is a login here that has an application.
    let is_login = |action: &str| action == AUTHORIZE_APPLICATION;
    let logins = filters.action.iter_mut().chain(&mut filters.actions).filter(|action| is_login(action));
    logins.for_each(|action| *action = Action::Login.as_str().to_owned());
    let Some(trail) = filters.trail(query.search.as_deref())? else { return Ok(Vec::new()) };
    // By number: names that strangers have made up are of no account, and could be without number themselves.
    type Counts = BTreeMap<String, (u64, BTreeSet<AccountNumber>)>;
    call.registry.flush_logins_sometimes().await;
    let counted = call.registry.fold_events(trail, Counts::new(), |counts, event| {
        let about = (event.object_kind == "application").then_some(event.object_name);
        if let Some(application) = event.application.or(about) {
            let (count, accounts) = counts.entry(application).or_default();
            *count += event.count;
            accounts.extend(event.actor.number);
        }
    });
    let mut counts: Vec<EventTopPerUser> = counted
        .await?
        .into_iter()
        .map(|(application, (counted_events, accounts))| EventTopPerUser {
            application: Map::from_iter([("name".to_owned(), application.into())]),
            counted_events,
            unique_users: accounts.len(),
        })
        .collect();
    counts.sort_by_key(|entry| std::cmp::Reverse(entry.counted_events));
    counts.truncate(top);
    Ok(counts)
}

/// Whether the caller may read events now, and is still who it was: its own body may have come slowly. Events have no
/// objects of their own that somebody could be granted.
fn require(call: &Call) -> Result<(), CallRefusal> {
    let registry: &Registry = &call.registry;
    let snapshot = registry.snapshot();
    call.caller.verify(snapshot.accounts(), registry.now())?;
    Ok(call.caller.require(snapshot.accounts(), Permission::ViewEvent)?)
}

/// Events as they are answered. The mail addresses in them are those of now, from the disk.
fn with_email(reading: &Reading, event: &model::Event) -> Result<Event, ChangeError> {
    let account = event.actor.number.map(|number| reading.account(number)).transpose()?;
    Ok(told(event, account.flatten().map(|account| account.email).unwrap_or_default()))
}

async fn one(call: Call, event: model::Event) -> Result<Event, CallRefusal> {
    call.read(move |reading| with_email(reading, &event)).await
}

/// Octets of what an event tells.
fn octets(event: &model::Event) -> usize {
    let change = |model::FieldChange { field, before, after }: &model::FieldChange| {
        field.len() + before.as_ref().map_or(0, String::len) + after.as_ref().map_or(0, String::len)
    };
    let changes: usize = event.changes.iter().map(change).sum();
    let details: usize = event.details.iter().map(|detail| detail.name.len() + detail.value.len()).sum();
    EVENT_OCTETS + changes + details
}

fn told(event: &model::Event, email: String) -> Event {
    let actor = &event.actor;
    let mut user = Map::new();
    user.insert("pk".to_owned(), actor.number.map_or(0, |number| number.get()).into());
    user.insert("username".to_owned(), actor.account.clone().into());
    user.insert("email".to_owned(), email.into());
    if let Some(token) = &actor.token {
        user.insert("token".to_owned(), token.clone().into());
    }
    if let Some(system_user) = &actor.user {
        let SystemUser { uid, name, sudo_user } = system_user;
        user.insert("system_user".to_owned(), json!({ "uid": uid, "name": name, "sudo_user": sudo_user }));
    }
    Event {
        pk: event.uuid,
        user,
        action: event.action,
        app: if is_custom(event) { event.object_name.clone() } else { "bindery".to_owned() },
        context: context(event),
        client_ip: actor.source.map(|source| source.to_string()),
        created: Time(event.time),
        expires: None,
        brand: Empty {},
    }
}

/// What else is known of an event, under the names that authentik gives it where it has any.
fn context(event: &model::Event) -> Map<String, Value> {
    let mut context = Map::new();
    for EventDetail { name, value } in &event.details {
        context.insert(name.clone(), if is_custom(event) { said(value) } else { value.clone().into() });
    }
    if !event.object_kind.is_empty() {
        let (app, model_name) = model_of(&event.object_kind);
        let pk = match (event.object_kind.as_str(), event.object_key, event.object_uuid) {
            (kind, Some(key), _) if told_by_number(kind) => json!(key),
            (_, _, Some(uuid)) => json!(uuid),
            (_, Some(key), None) => json!(key),
            (_, None, None) => Value::Null,
        };
        let model = json!({ "app": app, "model_name": model_name, "name": event.object_name, "pk": pk });
        context.insert("model".to_owned(), model);
    }
    if !event.changes.is_empty() {
        let change = |change: &model::FieldChange| {
            let values = json!({ "previous_value": change.before, "new_value": change.after });
            (change.field.clone(), values)
        };
        context.insert("diff".to_owned(), Value::Object(event.changes.iter().map(change).collect()));
    }
    if let Some(application) = &event.application {
        context.insert("authorized_application".to_owned(), json!({ "slug": application }));
    }
    if event.count != 1 {
        context.insert("count".to_owned(), event.count.into());
    }
    if let Some(since) = event.since {
        context.insert("since".to_owned(), since.to_string().into());
    }
    if let Some(request) = event.actor.request {
        context.insert("request_id".to_owned(), request.to_string().into());
    }
    context.insert("trail".to_owned(), event.trail.as_str().into());
    context.insert("sequence".to_owned(), event.sequence.into());
    context.insert("digest".to_owned(), digest(event).to_string().into());
    context
}

/// Whether it was added by a call.
fn is_custom(event: &model::Event) -> bool {
    event.action == Action::Custom
}

/// authentik's label and model of a kind of object.
fn model_of(kind: &str) -> (&'static str, &str) {
    match kind {
        "account" => ("authentik_core", "user"),
        "role" => ("authentik_rbac", "role"),
        "provider" => ("authentik_providers_ldap", "ldapprovider"),
        "group" | "token" | "application" => ("authentik_core", kind),
        other => ("bindery", other),
    }
}

impl EventQuery {
    /// As the trail takes it, with what is searched for; `None`: nothing can be found.
    fn trail(self, search: Option<&str>) -> Result<Option<TrailQuery>, CallRefusal> {
        let given = |value: Option<String>| value.filter(|value| !value.is_empty());
        if given(self.brand_name).is_some() || given(self.context_device).is_some() {
            return Ok(None);
        }
        let given_actions = self.actions.into_iter().filter(|name| !name.is_empty());
        let given_action = given(self.action).map(|name| ("action", name));
        let names = given_action.into_iter().chain(given_actions.map(|name| ("actions", name)));
        let (mut actions, mut are_named) = (Vec::new(), false);
        for (field, name) in names {
            are_named = true;
            match name.parse() {
                Ok(action) => actions.push(action),
                // No event here has it.
                Err(_) if ACTIONS_OF_AUTHENTIK.contains(&name.as_str()) || name.starts_with("custom_") => {}
                Err(_) => {
                    let message = format!(
                        "there is no action {name}; actions/ has those that there are",
                        name = quoted(name)
                    );
                    return Err(CallRefusal::field(field, message));
                }
            }
        }
        if actions.is_empty() && are_named {
            return Ok(None);
        }
        let pk = given(self.context_model_pk);
        let object_key: Option<u32> = pk.as_deref().and_then(|pk| pk.parse().ok());
        let object_uuid: Option<Uuid> = pk.as_deref().and_then(|pk| pk.parse().ok());
        if pk.is_some() && object_key.is_none() && object_uuid.is_none() {
            return Ok(None);
        }
        let (app, model) = (given(self.context_model_app), given(self.context_model_name));
        let mut object_kinds = Vec::new();
        if app.is_some() || model.is_some() || object_key.is_some() {
            let is_asked = |kind: &&str| {
                app.as_ref().is_none_or(|app| model_of(kind).0 == app)
                    && model.as_ref().is_none_or(|model| kind_of(model) == *kind)
                    // What others are told by is no number, and the number that they have nobody knows.
                    && (object_key.is_none() || told_by_number(kind))
            };
            object_kinds = OBJECT_KINDS.into_iter().filter(is_asked).map(str::to_owned).collect();
            if object_kinds.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(TrailQuery {
            actions,
            concerning: given(self.username),
            text: search.map(str::to_owned),
            object_kinds,
            object_key,
            object_uuid,
            source: self.client_ip.map(|address| address.to_canonical()),
            application: given(self.context_authorized_app),
            ..TrailQuery::default()
        }))
    }
}

/// Whether objects of a kind are told by their number; the others by their UUID.
fn told_by_number(kind: &str) -> bool {
    matches!(kind, "account" | "attribute" | "provider")
}

/// The kind of object that authentik calls by this model.
fn kind_of(model: &str) -> &str {
    match model {
        "user" => "account",
        "ldapprovider" => "provider",
        other => other,
    }
}

/// What [`context`] says of an event: nobody else may, or the trail would seem to say it.
const RESERVED_NAMES: [&str; 9] = [
    "authorized_application",
    "count",
    "diff",
    "digest",
    "model",
    "request_id",
    "sequence",
    "since",
    "trail",
];
/// Actions that authentik has beside those that bindery has, so that its clients may ask for them.
const ACTIONS_OF_AUTHENTIK: [&str; 24] = [
    AUTHORIZE_APPLICATION,
    "configuration_error",
    "configuration_warning",
    "email_sent",
    "export_ready",
    "flow_execution",
    "impersonation_ended",
    "impersonation_started",
    "invitation_used",
    "logout",
    "policy_exception",
    "policy_execution",
    "property_mapping_exception",
    "review_attested",
    "review_completed",
    "review_initiated",
    "review_overdue",
    "source_linked",
    "suspicious_request",
    "system_exception",
    "system_task_exception",
    "system_task_execution",
    "update_available",
    "user_write",
];
/// Of an event, beside what it tells.
const EVENT_OCTETS: usize = 1024;
const VOLUME_DAYS: u32 = 7;
/// No limit of the config: the form of the answer.
const VOLUME_DAYS_MAX: u32 = 366;
/// So many days are told by the hour.
/// No limit of the config: the form of the answer.
const HOURLY_DAYS_MAX: u32 = 3;
const TOP: usize = 15;
/// No limit of the config: the form of the answer.
const TOP_MAX: usize = 100;
/// No limit of the config: the form of the answer.
const COUNT_STEPS_MAX: usize = 16;
const AUTHORIZE_APPLICATION: &str = "authorize_application";

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::audit::append;
    use crate::http::api::Api;
    use crate::http::api::call::{Door, RequestId};
    use crate::http::api::page::PageQuery;
    use crate::model::{Actor, Change, FieldChange, InternalAccount, Record, Trail, TrailState, Trails};
    use crate::registry::commands::testing::{registry_over, wait};
    use crate::store::{Batch, Counters, MemoryStore, Store};

    fn call(registry: &Arc<Registry>, page: PageQuery) -> Call {
        let api = Api::new(Arc::clone(registry), Door::Local);
        Call::new(&api, Call::operator(RequestId::new(), None), page, Vec::new())
    }

    fn event(actor: Actor) -> model::Event {
        model::Event {
            trail: Trail::Logins,
            time: Timestamp::from_unix_seconds(100),
            since: Some(Timestamp::from_unix_seconds(50)),
            count: 3,
            action: Action::Login,
            actor,
            application: Some("cloud".to_owned()),
            object_kind: "provider".to_owned(),
            object_name: "ldap".to_owned(),
            object_key: Some(1),
            changes: vec![FieldChange { field: "name".to_owned(), before: None, after: None }],
            ..crate::plain::event()
        }
    }

    /// An address is the same one in whichever of its two forms it is written.
    #[test]
    fn the_address_of_an_event_is_that_of_its_call() {
        let request = PatchedEventRequest {
            action: Some("custom_".to_owned()),
            client_ip: "::ffff:192.0.2.1".parse().ok(),
            ..PatchedEventRequest::default()
        };
        for (source, is_taken) in [("192.0.2.1", true), ("192.0.2.2", false)] {
            let wrong = WrongFields::of(&crate::registry::Caller::stranger(None));
            let checked = request.check(source.parse().ok(), &wrong);
            assert_eq!(wrong.told(checked).is_ok(), is_taken, "{source}");
        }
    }

    #[test]
    fn what_bindery_says_of_an_event_nobody_else_says() {
        let said = context(&event(Actor { request: Some(Uuid::new_v4()), ..Actor::named("config") }));
        assert_eq!(said.keys().map(String::as_str).collect::<Vec<_>>(), RESERVED_NAMES);
        let registry = registry_over(Arc::new(MemoryStore::new()));
        let post = |name: &str| {
            let request = PatchedEventRequest {
                action: Some("custom_".to_owned()),
                app: Some("backup".to_owned()),
                context: Some(Map::from_iter([(name.to_owned(), 7.into())])),
                ..PatchedEventRequest::default()
            };
            wait(create(call(&registry, PageQuery::default()), Required(request)))
        };
        for name in RESERVED_NAMES {
            assert_eq!(post(name).unwrap_err().status(), 400, "{name}");
        }
        assert_eq!(post("files").unwrap().context["files"], 7);
    }

    #[test]
    fn a_command_is_told_with_the_user_of_the_system() {
        let user = SystemUser { uid: 0, name: Some("root".to_owned()), sudo_user: Some("alice".to_owned()) };
        let actor = Actor { user: Some(user), ..Actor::internal(InternalAccount::CommandLine) };
        let told = |actor: Actor| super::told(&event(actor), String::new()).user;
        let told_user = told(actor);
        let expected = json!({ "uid": 0, "name": "root", "sudo_user": "alice" });
        assert_eq!((&told_user["system_user"], &told_user["pk"]), (&expected, &2_147_483_647.into()));
        assert_eq!(told_user["username"], "bindery:command-line");
        assert!(!told(Actor::named("bindery:command-line")).contains_key("system_user"));
    }

    #[test]
    fn spans_are_read_as_authentik_writes_them() {
        for (text, seconds) in [
            ("hours=24", Some(86_400)),
            ("days=7", Some(604_800)),
            ("weeks=3;days=2;hours=3,seconds=2", Some(1_998_002)),
            ("24d", None),
            ("", None),
            ("days", None),
            ("days=-1", None),
            ("days=1;", None),
            ("years=1", None),
            ("days=99999999999", None),
        ] {
            assert_eq!(span(text), seconds, "{text}");
        }
    }

    #[test]
    fn who_looks_again_and_again_writes_nothing() {
        let store = Arc::new(MemoryStore::new());
        let registry = registry_over(store.clone());
        let look = |page: usize| {
            // A call of the API is a login, here one that fails.
            wait(registry.authenticate_api(b"wrong", None, Timestamp::now())).unwrap_err();
            let page = PageQuery { page: Some(page), page_size: Some(1), ..PageQuery::default() };
            let failed = EventQuery { action: Some("login_failed".to_owned()), ..EventQuery::default() };
            wait(list(call(&registry, page), failed)).unwrap().page.pagination.count
        };
        assert_eq!(look(1), 1, "what was before it is seen");
        let revision = store.meta().revision;
        for _ in 0..5 {
            assert_eq!(look(1), 1);
        }
        assert_eq!(store.meta().revision, revision);
        // A later page never moves the trail on.
        *registry.flushed_for_readers() = None;
        assert_eq!(look(1), 2);
        *registry.flushed_for_readers() = None;
        assert_eq!(look(2), 2);
    }

    #[test]
    fn made_up_names_are_no_users_of_an_application() {
        let store = Arc::new(MemoryStore::new());
        let mut logins = TrailState::default();
        let known =
            [5, 6, 5].map(|number| Actor { number: Some(AccountNumber::new(number)), ..Actor::named("x") });
        let strangers = (0..100).map(|number| Actor::named(&format!("stranger-{number}")));
        let changes: Vec<Change> = known
            .into_iter()
            .chain(strangers)
            .map(|actor| {
                let mut event = event(actor);
                append(&mut logins, &mut event);
                Change::Put(Record::Event(event))
            })
            .collect();
        let counters = store.meta().counters;
        let counters = Counters { trails: Trails { logins, ..counters.trails }, ..counters };
        store.commit(&Batch { changes, counters, seeded: false, ..Batch::default() }).unwrap();
        let registry = registry_over(store);
        let top = wait(top_per_user(call(&registry, PageQuery::default()), CountQuery::default())).unwrap();
        assert_eq!((top.len(), top[0].counted_events, top[0].unique_users), (1, 309, 2));
    }
}
