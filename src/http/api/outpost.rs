//! `outposts/ldap/`: what an LDAP outpost of authentik reads. bindery serves its directories itself; this is for what
//! looks at them in the same way.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answer::WrittenPage;
use super::fixed::FLOW_SLUG;
use super::ldap_provider::{access_modes, base_dn, certificate_named, certificate_of};
use super::ordered::SortKey;
use super::policy_test::{PolicyTestResult, account_of_caller, test};
use super::provider::{viewed, viewed_application};
use super::reading::{Reading, RepresentationSource};
use super::refusal::CallRefusal;
use crate::directory::name_key;
use crate::model::{AccessMode, Application, LdapProvider, ObjectReference, Permission};
use crate::registry::Lack;

/// A directory, as an outpost needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LdapOutpostConfig {
    /// The number of the provider.
    pub pk: u32,
    /// Its name.
    pub name: String,
    /// The suffix.
    pub base_dn: String,
    /// bindery has no flows: always the same.
    pub bind_flow_slug: String,
    /// The same.
    pub unbind_flow_slug: Option<String>,
    /// The application of the provider.
    pub application_slug: String,
    /// The certificate of the server.
    pub certificate: Option<Uuid>,
    /// Always empty.
    pub tls_server_name: String,
    /// uidNumber of an account = this + its number.
    pub uid_start_number: u32,
    /// gidNumber of a group = this + its number.
    pub gid_start_number: u32,
    /// As it was given.
    #[schemars(schema_with = "access_modes")]
    pub search_mode: AccessMode,
    /// As it was given.
    #[schemars(schema_with = "access_modes")]
    pub bind_mode: AccessMode,
    /// As it was given: bindery looks for no codes behind passwords.
    pub mfa_support: bool,
}

/// What the caller may do in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LdapCheckAccess {
    /// Whether it sees all of it.
    pub has_search_permission: bool,
    /// Whether it may bind.
    pub access: PolicyTestResult,
}

/// Which directories are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct OutpostQuery {
    name: Option<String>,
}

/// Which application the outpost takes for that of the provider.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct CheckAccessQuery {
    pub(super) app_slug: Option<String>,
}

/// Providers that have an application: without one authentik's outposts serve none. An application that the caller may
/// not view is none.
pub(super) fn list(
    reading: &Reading,
    query: OutpostQuery,
) -> Result<WrittenPage<LdapOutpostConfig>, CallRefusal> {
    let accounts = reading.accounts();
    let certificate = certificate_of(reading, reading.tls.is_some());
    let mut found: Vec<(Arc<LdapProvider>, Arc<Application>)> = reading
        .walk(accounts.providers())
        .filter(|provider| {
            reading.may_view(ObjectReference::Provider(provider.number))
                && query.name.as_deref().is_none_or(|name| name_key(name) == name_key(&provider.name))
                && reading.page.finds([provider.name.as_str()])
        })
        .filter_map(|provider| Some((provider.clone(), viewed_application(reading, provider)?.clone())))
        .collect();
    reading.order(&mut found, |field, (provider, _)| match field {
        "pk" | "id" => Some(SortKey::number(provider.number.get())),
        "name" => Some(SortKey::name(&provider.name)),
        _ => None,
    })?;
    reading.cut(&found, |(provider, application)| {
        Ok(LdapOutpostConfig {
            pk: provider.number.get(),
            name: provider.name.clone(),
            base_dn: base_dn(provider).to_owned(),
            bind_flow_slug: FLOW_SLUG.to_owned(),
            unbind_flow_slug: Some(FLOW_SLUG.to_owned()),
            application_slug: application.slug.clone(),
            certificate: certificate_named(provider, certificate),
            tls_server_name: String::new(),
            uid_start_number: provider.uid_start_number,
            gid_start_number: provider.gid_start_number,
            search_mode: provider.as_given.search_mode,
            bind_mode: provider.as_given.bind_mode,
            mfa_support: provider.as_given.mfa_support,
        })
    })
}

pub(super) fn check_access(
    reading: &Reading,
    query: CheckAccessQuery,
) -> Result<LdapCheckAccess, CallRefusal> {
    let provider = viewed(reading)?;
    let slug = query.app_slug.ok_or_else(|| CallRefusal::field("app_slug", "This field is required."))?;
    let application = viewed_application(reading, &provider);
    let application = application.filter(|found| found.slug == slug).ok_or_else(|| {
        // What is hidden and what is not there are counted alike.
        if !reading.viewer().sees_all(Permission::ViewApplication) {
            reading.caller.lacks(Lack::Permission(Permission::ViewApplication));
        }
        CallRefusal::not_found()
    })?;
    let account = account_of_caller(reading)?;
    let on = Some(ObjectReference::Provider(provider.number));
    Ok(LdapCheckAccess {
        has_search_permission: reading.may(Permission::SearchFullDirectory, on),
        access: test(reading, &account, application, reading.caller.actor().source),
    })
}
