//! Single values of the seed.

use ipnet::IpNet;
use toml::de::DeValue;

use super::names;
use super::seed::{BadReference, SeedReference};
use super::value::{self, Raw};
use crate::model::{
    AccountKind, AttributeSyntax, BadExpiry, BadNetwork, BadTimeOfDay, BindingMode, Expiry, Intent,
    Permission, TimeOfDay, TimeZone, UnknownTimeZone, Weekday, is_domain, is_slug, read_network,
};
use crate::quoted::quoted;
use crate::schema::{CustomType, Schema, SchemaError};

/// A DN, in the spelling of RFC 4514: it ends the DN of every entry, and clients compare those as strings.
pub(super) fn dn(raw: Raw<'_>) -> Result<String, String> {
    names::canonical_dn(&value::text(raw)?)
}

/// The DN of a container, relative to the base DN whose form is `suffix`.
pub(super) fn container(raw: Raw<'_>, suffix: Option<&str>) -> Result<String, String> {
    let text = dn(raw)?;
    let form = names::dn_form(&text);
    if suffix.is_some_and(|suffix| form == suffix || form.ends_with(&format!(",{suffix}"))) {
        return Err("expected a DN relative to the base DN, such as \"ou=users\"".to_owned());
    }
    if form == VIRTUAL_GROUPS {
        return Err(format!("{VIRTUAL_GROUPS} holds the virtual groups; choose another name"));
    }
    Ok(text)
}

/// The name of an attribute type that can name entries.
pub(super) fn attribute_type(raw: Raw<'_>) -> Result<String, String> {
    let text = value::text(raw)?;
    names::check_attribute_type(&text)?;
    Ok(text)
}

/// The name of a custom attribute type: one that no built-in type has.
pub(super) fn custom_attribute(raw: Raw<'_>) -> Result<String, String> {
    let text = value::text(raw)?;
    let core = Schema::core();
    if let Some(id) = core.find(&text) {
        return Err(format!(
            "the attribute type `{}` is built in; use it as it is, or choose another name",
            core.attribute(id).name
        ));
    }
    core.check_name(&text).map(|()| text).map_err(|error| error.to_string())
}

/// The object identifier of a custom attribute type: one that no built-in type has; empty for one made from the
/// name.
pub(super) fn custom_oid(raw: Raw<'_>) -> Result<String, String> {
    const EXPECTED: &str = "expected a dotted object identifier, such as \"1.3.6.1.4.1.55555.1\"";
    let text = value::text(raw)?;
    // Under a name that nobody has, the only thing that can be wrong is the OID.
    let probe = CustomType { oid: Some(text.clone()), ..CustomType::of_name("x-probe") };
    if text.is_empty() {
        return Ok(text);
    }
    match Schema::core().with_attribute(&probe) {
        Ok(_) => Ok(text),
        Err(SchemaError::OidTaken { other, .. }) => {
            Err(format!("{text} is the object identifier of the built-in attribute type `{other}`"))
        }
        Err(_) => Err(format!("{EXPECTED}, found {text}", text = quoted(text))),
    }
}

/// The syntax of a custom attribute type.
pub(super) fn syntax(raw: Raw<'_>) -> Result<AttributeSyntax, String> {
    let words = AttributeSyntax::ALL.map(|syntax| (syntax.as_str(), syntax));
    value::word(&words)(raw).map_err(|message| {
        let text = value::text(raw).unwrap_or_default();
        match value::nearest(&text, words.iter().map(|(word, _)| *word)) {
            Some(meant) => format!("{message}; did you mean \"{meant}\"?"),
            None => message,
        }
    })
}

/// A domain of `user@domain` names; empty for none.
pub(super) fn domain(raw: Raw<'_>) -> Result<String, String> {
    let text = value::text(raw)?;
    if is_domain(&text) {
        Ok(text)
    } else {
        Err(format!("expected a domain such as \"example.com\", found {text}", text = quoted(text)))
    }
}

/// A name that can stand in an address.
pub(super) fn slug(raw: Raw<'_>) -> Result<String, String> {
    let text = value::name(raw)?;
    if is_slug(&text) {
        Ok(text)
    } else {
        Err(format!("expected letters, digits, - and _, found {text}", text = quoted(text)))
    }
}

/// What an account is for; bindery alone makes internal service accounts.
pub(super) fn account_kind(raw: Raw<'_>) -> Result<AccountKind, String> {
    if value::text(raw).is_ok_and(|text| text == AccountKind::InternalServiceAccount.as_str()) {
        return Err("internal service accounts are made and kept by bindery itself; \
                    expected one of \"internal\", \"external\", \"service_account\""
            .to_owned());
    }
    value::word(&ACCOUNT_KIND)(raw)
}

/// A permission by its codename.
pub(super) fn permission(raw: Raw<'_>) -> Result<Permission, String> {
    let text = value::text(raw)?;
    text.parse::<Permission>().map_err(|error| {
        let codename = text.rsplit('.').next().unwrap_or("");
        let known = Permission::ALL.iter().map(|permission| permission.codename());
        match value::nearest(codename, known) {
            Some(meant) => format!("{error}; did you mean \"{meant}\"?"),
            None => format!("{error}; docs/config.md lists them"),
        }
    })
}

/// An object by kind and name.
pub(super) fn reference(raw: Raw<'_>) -> Result<SeedReference, String> {
    value::text(raw)?.parse().map_err(|error: BadReference| error.to_string())
}

/// A network; an address alone is one of its own.
pub(super) fn network(raw: Raw<'_>) -> Result<IpNet, String> {
    let text = value::text(raw)?;
    read_network(&text).map_err(|error| match error {
        BadNetwork::Form => format!("{error}, found {text}", text = quoted(text)),
        BadNetwork::Bits(_) => error.to_string(),
    })
}

/// A day of the week.
pub(super) fn weekday(raw: Raw<'_>) -> Result<Weekday, String> {
    value::word(&Weekday::ALL.map(|day| (day.as_str(), day)))(raw)
}

pub(super) fn time_of_day(raw: Raw<'_>) -> Result<TimeOfDay, String> {
    if let Raw::Toml(DeValue::Datetime(time)) = raw {
        return Err(format!("{BadTimeOfDay}, found {time} without quotes"));
    }
    let text = value::text(raw)?;
    text.parse().map_err(|error: BadTimeOfDay| format!("{error}, found {text}", text = quoted(text)))
}

/// A time zone by its name in the IANA database.
pub(super) fn timezone(raw: Raw<'_>) -> Result<TimeZone, String> {
    value::text(raw)?.parse().map_err(|error: UnknownTimeZone| error.to_string())
}

/// How long after it is made, or when, something expires.
pub(super) fn expiry(raw: Raw<'_>) -> Result<Expiry, String> {
    let text = match raw {
        Raw::Toml(DeValue::Datetime(time)) => time.to_string(),
        Raw::Toml(DeValue::String(text)) => text.to_string(),
        Raw::Variable(text) => text.to_owned(),
        Raw::Toml(_) => return Err(format!("{}, found {}", BadExpiry::Form, raw.form())),
    };
    text.parse().map_err(|error| match error {
        BadExpiry::Form => format!("{error}, found {text}", text = quoted(text)),
        BadExpiry::AtOnce | BadExpiry::TooLong | BadExpiry::Late(_) => {
            format!("{error}; for what does not expire, write expiring = false")
        }
    })
}

/// The container that every provider has beside its own.
const VIRTUAL_GROUPS: &str = "ou=virtual-groups";

pub(super) const ACCOUNT_KIND: [(&str, AccountKind); 3] = [
    (AccountKind::Internal.as_str(), AccountKind::Internal),
    (AccountKind::External.as_str(), AccountKind::External),
    (AccountKind::ServiceAccount.as_str(), AccountKind::ServiceAccount),
];

pub(super) const INTENT: [(&str, Intent); 2] =
    [(Intent::AppPassword.as_str(), Intent::AppPassword), (Intent::Api.as_str(), Intent::Api)];

pub(super) const MODE: [(&str, BindingMode); 2] =
    [(BindingMode::Any.as_str(), BindingMode::Any), (BindingMode::All.as_str(), BindingMode::All)];
