//! `providers/all/`: providers of every kind, of which bindery has one: see `ldap_provider.rs`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answer::WrittenPage;
use super::call::Call;
use super::event::TypeCreate;
use super::ordered::SortKey;
use super::reading::{Reading, RepresentationSource};
use super::refusal::CallRefusal;
use super::route::{NoContent, NoParameters};
use super::used_by::{UsedBy, UsedByAction};
use crate::model::{self, ObjectReference, ProviderNumber};
use crate::registry::commands::delete_provider;

/// A provider, whatever its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Provider {
    /// Its number.
    pub pk: u32,
    /// Its name.
    pub name: String,
    /// As it was given: bindery has no flows. Where none was, always the same.
    pub authentication_flow: Option<Uuid>,
    /// The same.
    pub authorization_flow: Uuid,
    /// The same.
    pub invalidation_flow: Uuid,
    /// Always empty.
    pub property_mappings: Vec<Uuid>,
    /// How authentik's console edits it.
    pub component: String,
    /// The slug of its application; `null`: there is none that the caller may view.
    pub assigned_application_slug: Option<String>,
    /// The name of its application.
    pub assigned_application_name: Option<String>,
    /// Always `null`.
    pub assigned_backchannel_application_slug: Option<String>,
    /// Always `null`.
    pub assigned_backchannel_application_name: Option<String>,
    /// What it is, in words.
    pub verbose_name: String,
    /// The same of many.
    pub verbose_name_plural: String,
    /// What it is.
    pub meta_model_name: String,
}

/// Which providers are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[allow(non_snake_case, reason = "the names are those of authentik's parameters")]
pub(super) struct ProviderQuery {
    application__isnull: Option<bool>,
    /// Those of many applications, which bindery does not have.
    backchannel: Option<bool>,
}

pub(super) fn list(reading: &Reading, query: ProviderQuery) -> Result<WrittenPage<Provider>, CallRefusal> {
    let accounts = reading.accounts();
    let mut found: Vec<Arc<model::LdapProvider>> = reading
        .walk(accounts.providers())
        .filter(|provider| {
            reading.may_view(ObjectReference::Provider(provider.number))
                && query.backchannel != Some(true)
                && has_application(reading, provider, query.application__isnull)
                && reading.page.finds([provider.name.as_str()])
        })
        .cloned()
        .collect();
    reading.order(&mut found, |field, provider| match field {
        "pk" | "id" => Some(SortKey::number(provider.number.get())),
        "name" => Some(SortKey::name(&provider.name)),
        _ => None,
    })?;
    reading.cut(&found, |provider| Ok(shown(reading, provider)))
}

pub(super) fn retrieve(reading: &Reading, _: NoParameters) -> Result<Provider, CallRefusal> {
    let provider = viewed(reading)?;
    Ok(shown(reading, &provider))
}

pub(super) async fn destroy(call: Call) -> Result<NoContent, CallRefusal> {
    let number = ProviderNumber::new(call.parameter("id")?);
    call.change(move |transaction| delete_provider(transaction, number)).await?;
    Ok(NoContent)
}

pub(super) fn used_by(reading: &Reading, _: NoParameters) -> Result<Vec<UsedBy>, CallRefusal> {
    let provider = viewed(reading)?;
    let application = viewed_application(reading, &provider);
    let application = application.map(|application| ObjectReference::Application(application.number));
    let used = application.and_then(|on| UsedBy::of(reading, on, UsedByAction::SetNull));
    Ok(used.into_iter().collect())
}

pub(super) fn types(_: &Reading, _: NoParameters) -> Result<Vec<TypeCreate>, CallRefusal> {
    Ok(vec![TypeCreate {
        name: VERBOSE_NAME.to_owned(),
        description: "A directory of all accounts and groups, to bind to and to search".to_owned(),
        component: COMPONENT.to_owned(),
        model_name: "ldapprovider".to_owned(),
    }])
}

/// As it is answered.
pub(super) fn shown(source: &impl RepresentationSource, provider: &model::LdapProvider) -> Provider {
    let application = viewed_application(source, provider);
    Provider {
        pk: provider.number.get(),
        name: provider.name.clone(),
        authentication_flow: provider.as_given.authentication_flow,
        authorization_flow: provider.as_given.authorization_flow,
        invalidation_flow: provider.as_given.invalidation_flow,
        property_mappings: Vec::new(),
        component: COMPONENT.to_owned(),
        assigned_application_slug: application.map(|application| application.slug.clone()),
        assigned_application_name: application.map(|application| application.name.clone()),
        assigned_backchannel_application_slug: None,
        assigned_backchannel_application_name: None,
        verbose_name: VERBOSE_NAME.to_owned(),
        verbose_name_plural: "LDAP Providers".to_owned(),
        meta_model_name: "authentik_providers_ldap.ldapprovider".to_owned(),
    }
}

/// The provider in the path, which the caller may view.
pub(super) fn viewed(reading: &Reading) -> Result<Arc<model::LdapProvider>, CallRefusal> {
    let number = ProviderNumber::new(reading.parameter("id")?);
    reading.require_view(ObjectReference::Provider(number))?;
    reading.accounts().provider(number).cloned().ok_or_else(CallRefusal::not_found)
}

/// Its application, if the caller may view that.
pub(super) fn viewed_application<'a>(
    source: &'a impl RepresentationSource,
    provider: &model::LdapProvider,
) -> Option<&'a Arc<model::Application>> {
    let application = source.accounts().application_of(provider.number);
    application.filter(|found| source.names(ObjectReference::Application(found.number)))
}

/// Whether it passes the filter `application__isnull`. An application that the caller may not view is none.
pub(super) fn has_application(
    reading: &Reading,
    provider: &model::LdapProvider,
    is_null: Option<bool>,
) -> bool {
    is_null.is_none_or(|is_null| is_null == viewed_application(reading, provider).is_none())
}

const COMPONENT: &str = "ak-provider-ldap-form";
const VERBOSE_NAME: &str = "LDAP Provider";
