//! `core/applications/`: what integrations are for, and who may use them. Their bindings are in `binding.rs`.

use std::net::IpAddr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::answer::WrittenPage;
use super::call::Call;
use super::ordered::SortKey;
use super::policy_test::{PolicyTestResult, account_of_caller, test};
use super::provider::{self, Provider};
use super::reading::{Reading, RepresentationSource};
use super::refusal::CallRefusal;
use super::route::{NoContent, NoParameters};
use super::told::{self, LosingAccess};
use super::used_by::{UsedBy, UsedByAction};
use super::user::{self, Shown};
use super::value::{Empty, Required, RequiredFields, given, one_of, or_null};
use crate::directory::AccountState;
use crate::model::{
    self, AccountNumber, ApplicationNumber, ApplicationText, BindingMode, ObjectReference, Permission,
    ProviderNumber,
};
use crate::registry::commands::{
    ApplicationChanges, create_application, delete_application, may_view_bindings, update_application,
};
use crate::registry::{ChangeError, Lack, Transaction};

/// What an integration is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Application {
    /// Its UUID.
    pub pk: Uuid,
    /// The same, as what bindings name.
    pub pbm_uuid: Uuid,
    /// Its name for people.
    pub name: String,
    /// Its name in addresses.
    pub slug: String,
    /// The directory that it uses; `null` also when the caller may not view it.
    pub provider: Option<u32>,
    /// The same with its name.
    pub provider_obj: Option<Provider>,
    /// Always empty.
    pub backchannel_providers: Vec<u32>,
    /// Always empty.
    pub backchannel_providers_obj: Vec<Provider>,
    /// Where it is, for the browser of who asks: what it is called by stands in the place of `%(username)s` and its like.
    /// `null`: nowhere.
    pub launch_url: Option<String>,
    /// Whether a browser opens it in a tab of its own.
    pub open_in_new_tab: bool,
    /// Where it is, as it was given; empty: nowhere.
    pub meta_launch_url: String,
    /// Where its picture is, as it was given: bindery shows none.
    pub meta_icon: String,
    /// Always `null`.
    pub meta_icon_url: Option<String>,
    /// Always `null`.
    pub meta_icon_themed_urls: Option<Empty>,
    /// What it is.
    pub meta_description: String,
    /// Who makes it.
    pub meta_publisher: String,
    /// How its bindings are put together.
    #[schemars(schema_with = "modes")]
    pub policy_engine_mode: BindingMode,
    /// The heading that it stands under.
    pub group: String,
    /// Whether lists of applications leave it out.
    pub meta_hide: bool,
    /// Accounts that the change shuts out; bindery's own. Absent: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losing_access: Option<LosingAccess>,
}

/// What is said of an application that is made or changed; what is absent stays.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PatchedApplicationRequest {
    pub name: Option<String>,
    pub slug: Option<String>,
    #[serde(deserialize_with = "given")]
    #[schemars(transform = or_null)]
    pub provider: Option<Option<u32>>,
    /// Accepted when it is empty.
    pub backchannel_providers: Option<Vec<u32>>,
    pub open_in_new_tab: Option<bool>,
    pub meta_launch_url: Option<String>,
    pub meta_icon: Option<String>,
    pub meta_description: Option<String>,
    pub meta_publisher: Option<String>,
    #[schemars(schema_with = "modes")]
    pub policy_engine_mode: Option<BindingMode>,
    pub group: Option<String>,
    pub meta_hide: Option<bool>,
}

impl RequiredFields for PatchedApplicationRequest {
    const REQUIRED: &'static [&'static str] = &["name", "slug"];
}

/// Which applications are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ApplicationQuery {
    /// Those that admit this account now, as far as it does not depend on where it comes from.
    for_user: Option<u32>,
    group: Option<String>,
    meta_description: Option<String>,
    meta_launch_url: Option<String>,
    meta_publisher: Option<String>,
    name: Option<String>,
    /// Those that a browser can open.
    only_with_launch_url: Option<bool>,
    slug: Option<String>,
    /// Accepted: whoever may view applications gets all of those, whether they admit the caller or not.
    superuser_full_list: Option<bool>,
}

/// Whether somebody is admitted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct CheckAccessQuery {
    /// Another account than the caller's own.
    pub(super) for_user: Option<u32>,
    /// The address that the client comes from, bindery's own: that of the call where the caller asks for itself, none
    /// where it asks for another account.
    pub(super) client_ip: Option<IpAddr>,
}

pub(super) fn list(
    reading: &Reading,
    query: ApplicationQuery,
) -> Result<WrittenPage<Application>, CallRefusal> {
    let accounts = reading.accounts();
    let admitted = query.for_user.map(|number| account_of(reading, number)).transpose()?;
    let now = reading.registry.now();
    let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
    let mut found: Vec<Arc<model::Application>> = reading
        .walk(accounts.applications())
        .filter(|application| {
            reading.may_view(ObjectReference::Application(application.number))
                && is(&query.group, application.texts.get(ApplicationText::Group))
                && is(&query.meta_description, application.texts.get(ApplicationText::Description))
                && is(&query.meta_launch_url, application.texts.get(ApplicationText::LaunchUrl))
                && is(&query.meta_publisher, application.texts.get(ApplicationText::Publisher))
                && is(&query.name, &application.name)
                && is(&query.slug, &application.slug)
                && (query.only_with_launch_url != Some(true)
                    || !application.texts.get(ApplicationText::LaunchUrl).is_empty())
                && reading.page.finds(texts(application))
                && admitted.as_ref().is_none_or(|account| {
                    account.is_active
                        && crate::access::admit_to(accounts, account, application, None, now).is_ok()
                })
        })
        .cloned()
        .collect();
    reading.order(&mut found, |field, application| match field {
        "name" => Some(SortKey::folded(&application.name)),
        "slug" => Some(SortKey::text(&application.slug)),
        "group" => Some(SortKey::folded(application.texts.get(ApplicationText::Group))),
        "meta_publisher" => Some(SortKey::folded(application.texts.get(ApplicationText::Publisher))),
        "pk" | "pbm_uuid" => Some(SortKey::Uuid(application.uuid)),
        "provider" => {
            let provider = viewed_provider(reading, application);
            Some(provider.map_or(SortKey::Nothing, |provider| SortKey::number(provider.get())))
        }
        _ => None,
    })?;
    reading.cut(&found, |application| Ok(shown(reading, application)))
}

pub(super) async fn create(
    call: Call,
    request: Required<PatchedApplicationRequest>,
) -> Result<Application, CallRefusal> {
    let Required(mut request) = request;
    let slug = request.slug.take().unwrap_or_default();
    call.require(Permission::AddApplication)?;
    call.change(move |transaction| {
        let changes = changes(transaction, request)?;
        let number = create_application(transaction, slug, changes)?;
        after(transaction, number)
    })
    .await
}

pub(super) fn retrieve(reading: &Reading, _: NoParameters) -> Result<Application, CallRefusal> {
    let application = viewed(reading)?;
    Ok(shown(reading, &application))
}

pub(super) async fn update(
    call: Call,
    request: PatchedApplicationRequest,
) -> Result<Application, CallRefusal> {
    let slug: String = call.parameter("slug")?;
    let found = call.registry.snapshot().accounts().application_named(&slug).map(|found| found.number);
    let number = found.ok_or_else(CallRefusal::not_found)?;
    call.require_on(Permission::ChangeApplication, ObjectReference::Application(number))?;
    call.change(move |transaction| {
        let mut changes = changes(transaction, request)?;
        // Who was not shown the provider takes it away by giving back what it read as little as by saying nothing.
        let before = transaction.snapshot().accounts().application(number);
        let is_hidden = before.is_some_and(|before| {
            before.provider.is_some_and(|provider| !transaction.names(ObjectReference::Provider(provider)))
        });
        changes.provider = changes.provider.filter(|provider| provider.is_some() || !is_hidden);
        update_application(transaction, number, changes)?;
        after(transaction, number)
    })
    .await
}

pub(super) async fn destroy(call: Call) -> Result<NoContent, CallRefusal> {
    let slug: String = call.parameter("slug")?;
    call.change(move |transaction| {
        let number = number(transaction, &slug)?;
        delete_application(transaction, number)
    })
    .await?;
    Ok(NoContent)
}

pub(super) fn check_access(
    reading: &Reading,
    query: CheckAccessQuery,
) -> Result<PolicyTestResult, CallRefusal> {
    let application = viewed(reading)?;
    let (account, own_source) = match query.for_user {
        Some(number) => (account_of(reading, number)?, None),
        None => (account_of_caller(reading)?, reading.caller.actor().source),
    };
    let source = query.client_ip.map(|address| address.to_canonical()).or(own_source);
    Ok(test(reading, &account, &application, source))
}

/// Its bindings go with it.
pub(super) fn used_by(reading: &Reading, _: NoParameters) -> Result<Vec<UsedBy>, CallRefusal> {
    let application = viewed(reading)?;
    let accounts = reading.accounts();
    if !may_view_bindings(&reading.caller, accounts, application.number) {
        return Ok(Vec::new());
    }
    let used = application.bindings.iter().map(|binding| {
        let model = ("authentik_policies", "policybinding");
        UsedBy::new(model, binding.uuid, super::binding::name(reading, binding), UsedByAction::Cascade)
    });
    Ok(used.collect())
}

/// An account that is asked about. One that the caller may not view does not exist.
fn account_of(reading: &Reading, number: u32) -> Result<Arc<AccountState>, CallRefusal> {
    let number = AccountNumber::new(number);
    let is_known = reading.knows(ObjectReference::Account(number));
    let account = reading.accounts().account(number).filter(|_| is_known);
    account.cloned().ok_or_else(|| CallRefusal::field("for_user", format!("there is no account {number}")))
}

/// The application in the path, which the caller may view.
fn viewed(reading: &Reading) -> Result<Arc<model::Application>, CallRefusal> {
    let slug: String = reading.parameter("slug")?;
    let application = reading.accounts().application_named(&slug).ok_or_else(CallRefusal::not_found)?;
    reading.require_view(ObjectReference::Application(application.number))?;
    Ok(application.clone())
}

/// The number of the application in the path.
fn number(transaction: &Transaction<'_>, slug: &str) -> Result<ApplicationNumber, ChangeError> {
    let found = transaction.snapshot().accounts().application_named(slug);
    let found = found.map(|application| application.number);
    found.ok_or_else(|| ChangeError::NotFound { kind: "application", name: slug.to_owned() })
}

/// The application after a change, with what whoever makes it is told.
fn after(transaction: &Transaction<'_>, number: ApplicationNumber) -> Result<Application, ChangeError> {
    match transaction.snapshot().accounts().application(number) {
        Some(application) => {
            let losing_access = told::losing_access(transaction);
            Ok(Application { losing_access, ..shown(transaction, application) })
        }
        None => Err(ChangeError::NotFound { kind: "application", name: number.to_string() }),
    }
}

/// As it is answered.
fn shown(source: &impl RepresentationSource, application: &model::Application) -> Application {
    let provider = viewed_provider(source, application);
    let provider = provider.and_then(|number| source.accounts().provider(number));
    let text = |text| application.texts.get(text).to_owned();
    let launch_url = text(ApplicationText::LaunchUrl);
    Application {
        pk: application.uuid,
        pbm_uuid: application.uuid,
        name: application.name.clone(),
        slug: application.slug.clone(),
        provider: provider.map(|provider| provider.number.get()),
        provider_obj: provider.map(|provider| provider::shown(source, provider)),
        backchannel_providers: Vec::new(),
        backchannel_providers_obj: Vec::new(),
        launch_url: (!launch_url.is_empty()).then(|| launch_url_for_caller(source, &launch_url)),
        open_in_new_tab: application.open_in_new_tab,
        meta_launch_url: launch_url,
        meta_icon: text(ApplicationText::Icon),
        meta_icon_url: None,
        meta_icon_themed_urls: None,
        meta_description: text(ApplicationText::Description),
        meta_publisher: text(ApplicationText::Publisher),
        policy_engine_mode: application.mode,
        group: text(ApplicationText::Group),
        meta_hide: application.hide,
        losing_access: None,
    }
}

/// The address with `%(username)s` and the other scalar fields of the caller's account filled in, as Python's `%` does it.
/// As in authentik it stays as it is where it has another `%` in it, or a field that there is not; and where it would be longer
/// than any browser takes: a name may be long, and stand in it often.
fn launch_url_for_caller(source: &impl RepresentationSource, launch_url: &str) -> String {
    let formatted = || {
        let holder = source.caller().holder().filter(|_| launch_url.contains('%'))?;
        let record = source.account(holder.account).ok()??;
        let account = user::user(source, &record, Shown { groups: false, roles: false });
        formatted(launch_url, &serde_json::to_value(account).ok()?)
    };
    formatted().unwrap_or_else(|| launch_url.to_owned())
}

fn formatted(launch_url: &str, account: &Value) -> Option<String> {
    let mut pieces = launch_url.split('%');
    let mut url = pieces.next()?.to_owned();
    while let Some(piece) = pieces.next() {
        if piece.is_empty() {
            url.push('%');
            url.push_str(pieces.next()?);
            continue;
        }
        let (field, rest) = piece.strip_prefix('(')?.split_once(")s")?;
        match account.get(field)? {
            Value::String(text) if text.len() > LAUNCH_URL_OCTETS_MAX => return None,
            Value::String(text) => text.bytes().for_each(|octet| push_encoded(&mut url, octet)),
            Value::Number(number) => url.push_str(&number.to_string()),
            Value::Bool(truth) => url.push_str(if *truth { "True" } else { "False" }),
            Value::Null => url.push_str("None"),
            Value::Array(_) | Value::Object(_) => return None,
        }
        url.push_str(rest);
        if url.len() > LAUNCH_URL_OCTETS_MAX {
            return None;
        }
    }
    Some(url)
}

/// An address that is filled in is no longer than this.
/// No limit of the config: web servers take no longer one.
const LAUNCH_URL_OCTETS_MAX: usize = 8 * 1024;

/// A name has no say in what else the address is: RFC 3986, section 2.3, and the `@` of mail addresses.
fn push_encoded(url: &mut String, octet: u8) {
    match octet {
        b'-' | b'.' | b'_' | b'~' | b'@' => url.push(char::from(octet)),
        _ if octet.is_ascii_alphanumeric() => url.push(char::from(octet)),
        _ => url.push_str(&format!("%{octet:02X}")),
    }
}

/// The provider of an application, if the caller may view that.
fn viewed_provider(
    source: &impl RepresentationSource,
    application: &model::Application,
) -> Option<ProviderNumber> {
    application.provider.filter(|number| source.names(ObjectReference::Provider(*number)))
}

/// How bindings are put together, as it is named.
fn modes(_: &mut SchemaGenerator) -> Schema {
    one_of(&BindingMode::ALL.map(BindingMode::as_str))
}

/// What a search looks through.
fn texts(application: &model::Application) -> impl Iterator<Item = &str> {
    let texts = application.texts.iter().map(|(_, value)| value);
    [application.name.as_str(), &application.slug].into_iter().chain(texts)
}

/// What a request says, once it is known that it asks for nothing that bindery does not have.
fn changes(
    transaction: &Transaction<'_>,
    request: PatchedApplicationRequest,
) -> Result<ApplicationChanges, ChangeError> {
    let wrong = |field, message: String| transaction.noting(Err::<(), _>(ChangeError::field(field, message)));
    if request.backchannel_providers.is_some_and(|providers| !providers.is_empty()) {
        let message = "an application of bindery has one provider at most: leave it empty, and name that one as `provider`";
        wrong("backchannel_providers", message.to_owned())?;
    }
    let mut provider = request.provider.map(|provider| provider.map(ProviderNumber::new));
    if let Some(Some(number)) = provider
        && !knows_provider(transaction, number)
    {
        // The same, whether it is hidden or not there; the command, which could tell them apart, hears nothing of it.
        transaction.caller().lacks(Lack::Permission(Permission::ChangeProvider));
        wrong("provider", format!("there is no provider {number}"))?;
        provider = None;
    }
    let texts = [
        (ApplicationText::Group, request.group),
        (ApplicationText::LaunchUrl, request.meta_launch_url),
        (ApplicationText::Description, request.meta_description),
        (ApplicationText::Publisher, request.meta_publisher),
        (ApplicationText::Icon, request.meta_icon),
    ];
    Ok(ApplicationChanges {
        slug: request.slug,
        name: request.name,
        provider,
        mode: request.policy_engine_mode,
        texts: texts.into_iter().filter_map(|(text, said)| Some((text, said?))).collect(),
        open_in_new_tab: request.open_in_new_tab,
        hide: request.meta_hide,
        bindings: None,
    })
}

/// Whether the caller may name a provider: it may view it, or tie applications to it.
fn knows_provider(transaction: &Transaction<'_>, number: ProviderNumber) -> bool {
    let on = ObjectReference::Provider(number);
    let accounts = transaction.snapshot().accounts();
    transaction.names(on) || transaction.caller().may(accounts, Permission::ChangeProvider, Some(on))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_is_filled_in_as_authentik_does_it() {
        let account = json!({
            "username": "alice", "name": "Alice & Bob/?#", "email": "alice@example.com", "pk": 4, "is_active": true,
            "last_login": null, "attributes": {}, "groups": [],
        });
        let filled = |url: &str| formatted(url, &account);
        for (url, expected) in [
            ("https://%(username)s.example.com/%(username)s", "https://alice.example.com/alice"),
            ("https://x/%(pk)s?mail=%(email)s", "https://x/4?mail=alice@example.com"),
            ("https://x/%(name)s", "https://x/Alice%20%26%20Bob%2F%3F%23"),
            ("https://x/100%%/%(is_active)s/%(last_login)s", "https://x/100%/True/None"),
            ("https://x/%%(username)s", "https://x/%(username)s"),
        ] {
            assert_eq!(filled(url).as_deref(), Some(expected), "{url}");
        }
        for url in [
            "https://x/%20y",
            "https://x/%(password)s",
            "https://x/%(username)d",
            "https://x/%(groups)s",
            "%",
            "%(",
        ] {
            assert_eq!(filled(url), None, "{url}");
        }
        // A name never writes a field of its own.
        assert_eq!(
            formatted("%(username)s", &json!({ "username": "%(email)s" })).as_deref(),
            Some("%25%28email%29s")
        );
    }
}
