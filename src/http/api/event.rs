//! `events/events/`: the audit trail. Events are never changed or deleted by a call.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::call::Call;
use super::page::{Page, PageQuery};
use super::reading::Reading;
use super::refusal::Refusal;
use super::route::NoParameters;
use super::value::{Empty, Required, RequiredFields, Time};
use crate::audit::{EventObject, digest};
use crate::model::{self, Action, EventDetail, Permission, Timestamp};
use crate::registry::{EventQuery as TrailQuery, Registry};

/// One event of the audit trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Its UUID.
    pub pk: Uuid,
    /// Who did it: `pk` (0 for what is no account), `username`, and the `token` that was used.
    pub user: Map<String, Value>,
    /// What happened.
    #[schemars(with = "String")]
    pub action: Action,
    /// Always `bindery`.
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
    /// Accepted and not kept: the caller and its address are.
    user: Option<Map<String, Value>>,
    /// Accepted and not kept.
    client_ip: Option<String>,
    /// Accepted and not kept: all events are kept for the same time.
    expires: Option<Time>,
    /// Accepted and not kept: bindery has no brands.
    brand: Option<Map<String, Value>>,
}

impl RequiredFields for PatchedEventRequest {
    const REQUIRED: &'static [&'static str] = &["action", "app"];

    fn missing(&self) -> Option<&'static str> {
        match (&self.action, &self.app) {
            (None, _) => Some("action"),
            (_, None) => Some("app"),
            _ => None,
        }
    }
}

/// Which events are asked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct EventQuery {
    action: Option<String>,
    actions: Vec<String>,
    /// bindery has no brands: whatever is asked for, nothing is found.
    brand_name: Option<String>,
    client_ip: Option<String>,
    context_authorized_app: Option<String>,
    /// bindery knows no devices: whatever is asked for, nothing is found.
    context_device: Option<String>,
    context_model_app: Option<String>,
    context_model_name: Option<String>,
    context_model_pk: Option<String>,
    username: Option<String>,
}

/// The same, counted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct CountQuery {
    action: Option<String>,
    actions: Vec<String>,
    brand_name: Option<String>,
    client_ip: Option<String>,
    context_authorized_app: Option<String>,
    context_device: Option<String>,
    context_model_app: Option<String>,
    context_model_name: Option<String>,
    context_model_pk: Option<String>,
    /// Days that are looked at; 7 when nothing is said.
    history_days: Option<u32>,
    /// Accepted: the order is always the same.
    ordering: Option<String>,
    search: Option<String>,
    /// Applications that are shown; 15 when nothing is said.
    top_n: Option<usize>,
    username: Option<String>,
}

/// How many events of an action there were within a span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventVolume {
    /// What happened.
    #[schemars(with = "String")]
    pub action: Action,
    /// When the span began: an hour, or a day where many are looked at.
    pub time: Time,
    /// How often; each login of those that stand in one event counts.
    pub count: u64,
}

/// How many events an application has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventTopPerUser {
    /// Its `name`, which is its slug.
    pub application: Map<String, Value>,
    /// How many; each login of those that stand in one event counts.
    pub counted_events: u64,
    /// Of how many accounts.
    pub unique_users: usize,
}

/// Something that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

pub(super) async fn list(call: Call, query: EventQuery) -> Result<Page<Event>, Refusal> {
    require(&call)?;
    let Some(mut trail) = query.trail()? else {
        return call.page.cut(&[] as &[model::Event], |_| Err(Refusal::internal()));
    };
    let PageQuery { ordering, search, .. } = &call.page;
    trail.text = search.clone().filter(|search| !search.is_empty());
    trail.oldest_first = match ordering.as_deref() {
        None | Some("" | "-created") => false,
        Some("created") => true,
        Some(other) => {
            return Err(Refusal::field("ordering", format!("the list cannot be ordered by {other:?}")));
        }
    };
    let page = call.page.clone();
    let (first, size) = page.span();
    // One walk through the trail, of which only the page stays in memory.
    let walked = call.registry.fold_events(trail, (Vec::new(), 0_usize), move |(found, count), event| {
        if *count >= first && found.len() < size {
            found.push(event);
        }
        *count += 1;
    });
    let (found, count) = walked.await?;
    page.envelope(count, found.iter().map(shown).collect())
}

pub(super) async fn retrieve(call: Call, _: NoParameters) -> Result<Event, Refusal> {
    require(&call)?;
    let uuid = call.parameter("event_uuid")?;
    let found = call.registry.event_by_uuid(uuid).await?;
    found.as_ref().map(shown).ok_or_else(Refusal::not_found)
}

pub(super) async fn create(call: Call, request: Required<PatchedEventRequest>) -> Result<Event, Refusal> {
    let PatchedEventRequest { action, app, context, .. } = request.0;
    if action.as_deref() != Some(Action::Custom.as_str()) {
        return Err(Refusal::field(
            "action",
            "events that bindery did not make have the action `custom_`; say in the context what happened",
        ));
    }
    let app = app.unwrap_or_default();
    let context = context.unwrap_or_default();
    let octets = app.len() + serde_json::to_string(&context).map_or(0, |text| text.len());
    if octets > CONTEXT_OCTETS_MAX {
        return Err(Refusal::field("context", format!("at most {CONTEXT_OCTETS_MAX} octets, as JSON")));
    }
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let details = context.into_iter().map(|(name, value)| EventDetail { name, value: text(value) });
    let object = EventObject { kind: "custom".to_owned(), name: app, key: None, uuid: None };
    let event = call.registry.add_event(call.caller.clone(), object, details.collect()).await?;
    Ok(shown(&event))
}

pub(super) fn actions(_: &Reading, _: NoParameters) -> Result<Vec<TypeCreate>, Refusal> {
    let all = Action::ALL.iter().map(|action| TypeCreate {
        name: action.as_str().replace('_', " ").trim().to_owned(),
        description: String::new(),
        component: action.as_str().to_owned(),
        model_name: String::new(),
    });
    Ok(all.collect())
}

pub(super) async fn volume(call: Call, query: CountQuery) -> Result<Vec<EventVolume>, Refusal> {
    require(&call)?;
    let days = query.history_days.unwrap_or(VOLUME_DAYS).clamp(1, VOLUME_DAYS_MAX);
    let span: i64 = if days <= HOURLY_DAYS_MAX { 60 * 60 } else { 24 * 60 * 60 };
    let search = query.search.clone();
    let Some(mut trail) = query.filters().trail()? else { return Ok(Vec::new()) };
    let seconds = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let back = i64::try_from(seconds.as_secs()).unwrap_or(i64::MAX);
    trail.since = Some(Timestamp::from_unix_seconds(Timestamp::now().unix_seconds().saturating_sub(back)));
    trail.text = search.filter(|search| !search.is_empty());
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

pub(super) async fn top_per_user(call: Call, query: CountQuery) -> Result<Vec<EventTopPerUser>, Refusal> {
    require(&call)?;
    let top = query.top_n.unwrap_or(TOP).min(TOP_MAX);
    let search = query.search.clone();
    let Some(mut trail) = query.filters().trail()? else { return Ok(Vec::new()) };
    trail.text = search.filter(|search| !search.is_empty());
    type Counts = BTreeMap<String, (u64, BTreeSet<String>)>;
    let counted = call.registry.fold_events(trail, Counts::new(), |counts, event| {
        if let Some(application) = event.application {
            let (count, accounts) = counts.entry(application).or_default();
            *count += event.count;
            accounts.insert(event.actor.account);
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

/// Events have no objects of their own that somebody could be granted.
fn require(call: &Call) -> Result<(), Refusal> {
    let registry: &Registry = &call.registry;
    Ok(call.caller.require(registry.snapshot().accounts(), Permission::ViewEvent)?)
}

fn shown(event: &model::Event) -> Event {
    let actor = &event.actor;
    let mut user = Map::new();
    user.insert("pk".to_owned(), actor.number.map_or(0, |number| number.get()).into());
    user.insert("username".to_owned(), actor.account.clone().into());
    user.insert("email".to_owned(), "".into());
    if let Some(token) = &actor.token {
        user.insert("token".to_owned(), token.clone().into());
    }
    Event {
        pk: event.uuid,
        user,
        action: event.action,
        app: "bindery".to_owned(),
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
        context.insert(name.clone(), value.clone().into());
    }
    if !event.object_kind.is_empty() {
        let (app, model_name) = model_of(&event.object_kind);
        let pk = match (event.object_kind.as_str(), event.object_key, event.object_uuid) {
            ("account" | "provider", Some(key), _) => json!(key),
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
    context.insert("sequence".to_owned(), event.sequence.into());
    context.insert("digest".to_owned(), digest(event).to_string().into());
    context
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

impl CountQuery {
    fn filters(self) -> EventQuery {
        EventQuery {
            action: self.action,
            actions: self.actions,
            brand_name: self.brand_name,
            client_ip: self.client_ip,
            context_authorized_app: self.context_authorized_app,
            context_device: self.context_device,
            context_model_app: self.context_model_app,
            context_model_name: self.context_model_name,
            context_model_pk: self.context_model_pk,
            username: self.username,
        }
    }
}

impl EventQuery {
    /// As the trail takes it; `None`: nothing can be found.
    fn trail(self) -> Result<Option<TrailQuery>, Refusal> {
        let given = |value: Option<String>| value.filter(|value| !value.is_empty());
        if given(self.brand_name).is_some() || given(self.context_device).is_some() {
            return Ok(None);
        }
        let names: Vec<String> = given(self.action).into_iter().chain(self.actions).collect();
        // Actions of authentik that bindery has not are of no event here.
        let actions: Vec<Action> = names.iter().filter_map(|name| name.parse().ok()).collect();
        if actions.is_empty() && !names.is_empty() {
            return Ok(None);
        }
        let source: Option<IpAddr> = match given(self.client_ip) {
            None => None,
            Some(address) => {
                Some(address.parse().map_err(|_| Refusal::field("client_ip", "expected an address"))?)
            }
        };
        let kind = given(self.context_model_name).map(|name| kind_of(&name).to_owned());
        if let (Some(app), Some(kind)) = (given(self.context_model_app.clone()), &kind)
            && model_of(kind).0 != app
        {
            return Ok(None);
        }
        let pk = given(self.context_model_pk);
        let object_key: Option<u32> = pk.as_deref().and_then(|pk| pk.parse().ok());
        let object_uuid: Option<Uuid> = pk.as_deref().and_then(|pk| pk.parse().ok());
        if pk.is_some() && object_key.is_none() && object_uuid.is_none() {
            return Ok(None);
        }
        Ok(Some(TrailQuery {
            actions,
            account: given(self.username),
            object_kind: kind,
            object_key,
            object_uuid,
            source,
            application: given(self.context_authorized_app),
            ..TrailQuery::default()
        }))
    }
}

/// The kind of object that authentik calls by this model.
fn kind_of(model: &str) -> &str {
    match model {
        "user" => "account",
        "ldapprovider" => "provider",
        other => other,
    }
}

/// What somebody may put into one event.
const CONTEXT_OCTETS_MAX: usize = 16 * 1024;
const VOLUME_DAYS: u32 = 7;
const VOLUME_DAYS_MAX: u32 = 366;
/// So many days are told by the hour.
const HOURLY_DAYS_MAX: u32 = 3;
const TOP: usize = 15;
const TOP_MAX: usize = 100;
