//! `providers/ldap/`: the directories that are served.
//!
//! Beside authentik's fields stand bindery's own, readable and writable: `default`, `domain`, `virtual_groups`,
//! `compatibility_attributes`, and the containers; a request that says nothing of those leaves them alone. What authentik
//! keeps and bindery does not go by is kept to be read back (flows, access modes, `mfa_support`), and refused where somebody
//! would rely on it (`tls_server_name`, `property_mappings`).

use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answer::WrittenPage;
use super::call::Call;
use super::fixed::{CERTIFICATE, FLOW_SLUG};
use super::ordered::SortKey;
use super::provider::{self, Provider, has_application, viewed};
use super::reading::{Reading, RepresentationSource};
use super::refusal::CallRefusal;
use super::route::NoParameters;
use super::value::{Required, RequiredFields, given, one_of, or_null};
use crate::model::{
    self, AccessMode, AsGivenChanges, Container, ObjectReference, Permission, ProviderNumber,
};
use crate::registry::commands::{ProviderChanges, create_provider, update_provider};
use crate::registry::{ChangeError, Lack};

/// A directory that is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LdapProvider {
    /// What all providers have.
    #[serde(flatten)]
    pub provider: Provider,
    /// The suffix.
    pub base_dn: String,
    /// The certificate of the server, which all providers share; `null`: it has none, or `null` was said.
    pub certificate: Option<Uuid>,
    /// Always empty: there is one certificate.
    pub tls_server_name: String,
    /// uidNumber of an account = this + its number.
    pub uid_start_number: u32,
    /// gidNumber of a group = this + its number.
    pub gid_start_number: u32,
    /// Always empty: bindery serves its directories itself.
    pub outpost_set: Vec<String>,
    /// As it was given, `direct` or `cached`: bindery is as fast as the one, and as fresh as the other.
    #[schemars(schema_with = "access_modes")]
    pub search_mode: AccessMode,
    /// The same.
    #[schemars(schema_with = "access_modes")]
    pub bind_mode: AccessMode,
    /// As it was given: bindery looks for no codes behind passwords.
    pub mfa_support: bool,
    /// Whether bare names bind here.
    pub default: bool,
    /// The domain of `user@domain` names that bind here: `null` for that of the base DN, empty for none.
    pub domain: Option<String>,
    /// Whether accounts without a given gidNumber get a primary group of their own.
    pub virtual_groups: bool,
    /// Whether entries carry the authentik- and AD-shaped attributes and classes.
    pub compatibility_attributes: bool,
    /// Where people stand; the first is where new ones appear.
    pub users: Vec<ProviderContainer>,
    /// Where service accounts stand.
    pub service_accounts: Vec<ProviderContainer>,
    /// Where groups stand.
    pub groups: Vec<ProviderContainer>,
}

/// A branch of the tree that holds entries of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderContainer {
    /// Its DN relative to the base DN, such as `ou=users`.
    pub container: String,
    /// The attribute that names the entries in it.
    #[serde(default = "common_name")]
    pub naming: String,
}

/// What is said of a provider that is made or changed; what is absent stays.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PatchedLDAPProviderRequest {
    pub name: Option<String>,
    /// Kept to be read back.
    #[serde(deserialize_with = "given")]
    #[schemars(transform = or_null)]
    pub authentication_flow: Option<Option<Uuid>>,
    /// Kept to be read back; authentik requires it, bindery does not.
    pub authorization_flow: Option<Uuid>,
    /// Kept to be read back; authentik requires it, bindery does not.
    pub invalidation_flow: Option<Uuid>,
    pub property_mappings: Option<Vec<Uuid>>,
    pub base_dn: Option<String>,
    /// That of the server, or `null`, which is kept to be read back.
    #[serde(deserialize_with = "given")]
    #[schemars(transform = or_null)]
    pub certificate: Option<Option<Uuid>>,
    pub tls_server_name: Option<String>,
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub uid_start_number: Option<i64>,
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub gid_start_number: Option<i64>,
    /// Kept to be read back.
    #[schemars(schema_with = "access_modes")]
    pub search_mode: Option<AccessMode>,
    /// Kept to be read back.
    #[schemars(schema_with = "access_modes")]
    pub bind_mode: Option<AccessMode>,
    /// Kept to be read back: bindery looks for no codes behind passwords.
    pub mfa_support: Option<bool>,
    pub default: Option<bool>,
    #[serde(deserialize_with = "given")]
    #[schemars(transform = or_null)]
    pub domain: Option<Option<String>>,
    pub virtual_groups: Option<bool>,
    pub compatibility_attributes: Option<bool>,
    pub users: Option<Vec<ProviderContainer>>,
    pub service_accounts: Option<Vec<ProviderContainer>>,
    pub groups: Option<Vec<ProviderContainer>>,
}

impl RequiredFields for PatchedLDAPProviderRequest {
    const REQUIRED: &'static [&'static str] = &["name"];
}

/// Which providers are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[allow(non_snake_case, reason = "the names are those of authentik's parameters")]
pub(super) struct LDAPProviderQuery {
    application__isnull: Option<bool>,
    authorization_flow__slug__iexact: Option<String>,
    base_dn__iexact: Option<String>,
    certificate__kp_uuid__iexact: Option<Uuid>,
    certificate__name__iexact: Option<String>,
    gid_start_number__iexact: Option<i64>,
    name__iexact: Option<String>,
    tls_server_name__iexact: Option<String>,
    uid_start_number__iexact: Option<i64>,
}

pub(super) fn list(
    reading: &Reading,
    query: LDAPProviderQuery,
) -> Result<WrittenPage<LdapProvider>, CallRefusal> {
    let certificate = certificate_of(reading, reading.tls.is_some());
    let name = certificate.map(|_| super::certificate::NAME);
    let is_same = |wanted: &Option<String>, value: Option<&str>| {
        wanted
            .as_deref()
            .is_none_or(|wanted| value.is_some_and(|value| wanted.to_lowercase() == value.to_lowercase()))
    };
    let is_number = |wanted: Option<i64>, value: u32| wanted.is_none_or(|wanted| wanted == i64::from(value));
    let is_of_server = is_same(&query.authorization_flow__slug__iexact, Some(FLOW_SLUG))
        && is_same(&query.tls_server_name__iexact, Some(""));
    let mut found: Vec<Arc<model::LdapProvider>> = reading
        .walk(reading.accounts().providers())
        .filter(|provider| {
            is_of_server
                && reading.may_view(ObjectReference::Provider(provider.number))
                && has_application(reading, provider, query.application__isnull)
                && is_same(
                    &query.certificate__name__iexact,
                    name.filter(|_| provider.as_given.names_certificate),
                )
                && query
                    .certificate__kp_uuid__iexact
                    .is_none_or(|wanted| certificate_named(provider, certificate) == Some(wanted))
                && is_same(&query.name__iexact, Some(&provider.name))
                && (is_same(&query.base_dn__iexact, Some(&provider.base_dn))
                    || is_same(&query.base_dn__iexact, Some(base_dn(provider))))
                && is_number(query.uid_start_number__iexact, provider.uid_start_number)
                && is_number(query.gid_start_number__iexact, provider.gid_start_number)
                && reading.page.finds([provider.name.as_str(), &provider.base_dn])
        })
        .cloned()
        .collect();
    reading.order(&mut found, |field, provider| match field {
        "pk" | "id" => Some(SortKey::number(provider.number.get())),
        "name" => Some(SortKey::name(&provider.name)),
        "base_dn" => Some(SortKey::folded(&provider.base_dn)),
        _ => None,
    })?;
    reading.cut(&found, |provider| Ok(shown(reading, provider, certificate)))
}

pub(super) async fn create(
    call: Call,
    request: Required<PatchedLDAPProviderRequest>,
) -> Result<LdapProvider, CallRefusal> {
    let Required(mut request) = request;
    let has_tls = call.tls.is_some();
    let name = request.name.take().unwrap_or_default();
    call.require(Permission::AddProvider)?;
    call.change(move |transaction| {
        let certificate = certificate_of(transaction, has_tls);
        // Nothing of a new one was hidden.
        let names_certificate = request.certificate.map(|named| named.is_some());
        let mut changes = changes(transaction, request, certificate, has_tls)?;
        changes.as_given.names_certificate = names_certificate;
        changes.base_dn.get_or_insert_with(|| BASE_DN.to_owned());
        let number = create_provider(transaction, name, changes)?;
        by_number(transaction, number, certificate)
    })
    .await
}

pub(super) fn retrieve(reading: &Reading, _: NoParameters) -> Result<LdapProvider, CallRefusal> {
    let provider = viewed(reading)?;
    Ok(shown(reading, &provider, certificate_of(reading, reading.tls.is_some())))
}

pub(super) async fn update(
    call: Call,
    request: PatchedLDAPProviderRequest,
) -> Result<LdapProvider, CallRefusal> {
    let number = ProviderNumber::new(call.parameter("id")?);
    let has_tls = call.tls.is_some();
    call.require_on(Permission::ChangeProvider, ObjectReference::Provider(number))?;
    call.change(move |transaction| {
        let certificate = certificate_of(transaction, has_tls);
        let changes = changes(transaction, request, certificate, has_tls)?;
        update_provider(transaction, number, changes)?;
        by_number(transaction, number, certificate)
    })
    .await
}

/// As it is answered.
fn shown(
    source: &impl RepresentationSource,
    provider: &model::LdapProvider,
    certificate: Option<Uuid>,
) -> LdapProvider {
    let containers = |containers: &[Container]| {
        let shown = |Container { container, naming }: &Container| ProviderContainer {
            container: container.clone(),
            naming: naming.clone(),
        };
        containers.iter().map(shown).collect()
    };
    LdapProvider {
        provider: provider::shown(source, provider),
        base_dn: base_dn(provider).to_owned(),
        certificate: certificate_named(provider, certificate),
        tls_server_name: String::new(),
        uid_start_number: provider.uid_start_number,
        gid_start_number: provider.gid_start_number,
        outpost_set: Vec::new(),
        search_mode: provider.as_given.search_mode,
        bind_mode: provider.as_given.bind_mode,
        mfa_support: provider.as_given.mfa_support,
        default: provider.is_default,
        domain: provider.domain.clone(),
        virtual_groups: provider.virtual_groups,
        compatibility_attributes: provider.compatibility_attributes,
        users: containers(&provider.users),
        service_accounts: containers(&provider.service_accounts),
        groups: containers(&provider.groups),
    }
}

fn by_number(
    source: &impl RepresentationSource,
    number: ProviderNumber,
    certificate: Option<Uuid>,
) -> Result<LdapProvider, ChangeError> {
    match source.accounts().provider(number) {
        Some(provider) => Ok(shown(source, provider, certificate)),
        None => Err(ChangeError::NotFound { kind: "provider", name: number.to_string() }),
    }
}

/// What a request says, once it is known that it asks for nothing that bindery does not have.
fn changes(
    source: &impl RepresentationSource,
    request: PatchedLDAPProviderRequest,
    certificate: Option<Uuid>,
    has_tls: bool,
) -> Result<ProviderChanges, ChangeError> {
    let wrong = |field, message| source.noting(Err::<(), _>(ChangeError::field(field, message)));
    if request.tls_server_name.is_some_and(|name| !name.is_empty()) {
        wrong(
            "tls_server_name",
            "bindery has one certificate for all names, that of [server.tls]: leave it empty",
        )?;
    }
    if request.property_mappings.is_some_and(|mappings| !mappings.is_empty()) {
        wrong("property_mappings", "bindery has no property mappings: leave them out")?;
    }
    if request.certificate.flatten().is_some_and(|named| certificate != Some(named)) {
        // Where there is none, none is hidden.
        if has_tls && certificate.is_none() {
            source.caller().lacks(Lack::Permission(Permission::ViewCertificate));
        }
        wrong(
            "certificate",
            "there is no such certificate: the server has the one of [server.tls] for all its providers, so leave it \
             out, or name that one",
        )?;
    }
    let uid_start = source.noting(start_number("uid_start_number", request.uid_start_number))?;
    let gid_start = source.noting(start_number("gid_start_number", request.gid_start_number))?;
    let containers = |given: Vec<ProviderContainer>| {
        let container = |ProviderContainer { container, naming }| Container { container, naming };
        given.into_iter().map(container).collect()
    };
    Ok(ProviderChanges {
        name: request.name,
        base_dn: request.base_dn,
        is_default: request.default,
        domain: request.domain,
        uid_start_number: uid_start.flatten(),
        gid_start_number: gid_start.flatten(),
        virtual_groups: request.virtual_groups,
        compatibility_attributes: request.compatibility_attributes,
        users: request.users.map(containers),
        service_accounts: request.service_accounts.map(containers),
        groups: request.groups.map(containers),
        as_given: AsGivenChanges {
            authentication_flow: request.authentication_flow,
            authorization_flow: request.authorization_flow,
            invalidation_flow: request.invalidation_flow,
            // Who was not shown it takes it away by giving back what it read as little as by saying nothing.
            names_certificate: request
                .certificate
                .filter(|named| named.is_some() || certificate.is_some())
                .map(|named| named.is_some()),
            search_mode: request.search_mode,
            bind_mode: request.bind_mode,
            mfa_support: request.mfa_support,
        },
    })
}

/// A number that authentik's clients can read again.
fn start_number(field: &'static str, given: Option<i64>) -> Result<Option<u32>, ChangeError> {
    let Some(given) = given else { return Ok(None) };
    match u32::try_from(given) {
        Ok(number) if number <= START_NUMBER_MAX => Ok(Some(number)),
        _ => Err(ChangeError::field(field, format!("expected a number from 0 to {START_NUMBER_MAX}"))),
    }
}

/// How an outpost of authentik gets at its data, as it is named.
pub(super) fn access_modes(_: &mut SchemaGenerator) -> Schema {
    one_of(&[AccessMode::Direct, AccessMode::Cached].map(AccessMode::as_str))
}

/// The base DN as it was written.
pub(super) fn base_dn(provider: &model::LdapProvider) -> &str {
    let given = &provider.as_given.base_dn;
    if given.is_empty() { &provider.base_dn } else { given }
}

/// The certificate that a provider is said to have, where the server has one.
pub(super) fn certificate_named(provider: &model::LdapProvider, certificate: Option<Uuid>) -> Option<Uuid> {
    certificate.filter(|_| provider.as_given.names_certificate)
}

/// The certificate that all providers have, where there is one that the caller may view.
pub(super) fn certificate_of(source: &impl RepresentationSource, has_tls: bool) -> Option<Uuid> {
    let may_view = || source.caller().may(source.accounts(), Permission::ViewCertificate, None);
    (has_tls && may_view()).then_some(CERTIFICATE)
}

fn common_name() -> String {
    "cn".to_owned()
}

/// Where authentik puts a directory of which nothing is said.
const BASE_DN: &str = "DC=ldap,DC=goauthentik,DC=io";
/// The largest number of authentik's database.
/// No limit of the config: authentik's API gives it.
const START_NUMBER_MAX: u32 = i32::MAX.unsigned_abs();
