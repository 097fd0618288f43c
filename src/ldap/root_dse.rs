//! The root DSE (RFC 4512 section 5.1): what this server is and can do. Only what works stands in it.

use super::control;
use super::operation::{bind, extended};
use super::session::SessionSettings;
use crate::directory::{Entry, SUBSCHEMA_DN, Snapshot};
use crate::schema::AttributeId;

/// Makes the root DSE, the same for everyone.
pub(super) fn entry(snapshot: &Snapshot, settings: &SessionSettings) -> Entry {
    let contexts: Vec<String> = snapshot.trees().iter().map(|tree| tree.provider().base_dn.clone()).collect();
    let default: Vec<String> =
        snapshot.default_tree().map(|tree| tree.provider().base_dn.clone()).into_iter().collect();
    let text = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let attributes = [
        (AttributeId::OBJECT_CLASS, text(&["top"])),
        (AttributeId::NAMING_CONTEXTS, contexts),
        (AttributeId::DEFAULT_NAMING_CONTEXT, default),
        (AttributeId::SUBSCHEMA_SUBENTRY, text(&[SUBSCHEMA_DN])),
        (AttributeId::SUPPORTED_LDAP_VERSION, text(&["3"])),
        (AttributeId::SUPPORTED_CONTROL, control::supported().map(str::to_owned).collect()),
        (AttributeId::SUPPORTED_EXTENSION, text(&extended::supported(settings.offers_start_tls))),
        (AttributeId::SUPPORTED_SASL_MECHANISMS, text(&bind::mechanisms(settings))),
        (AttributeId::SUPPORTED_FEATURES, text(&FEATURES)),
        (AttributeId::VENDOR_NAME, text(&["bindery"])),
        (AttributeId::VENDOR_VERSION, text(&[concat!("bindery ", env!("CARGO_PKG_VERSION"))])),
    ];
    let schema = snapshot.schema();
    Entry::standalone(
        "",
        attributes.iter().map(|(id, values)| (*id, &*schema.attribute(*id).name, values.as_slice())),
    )
}

/// RFC 3673 (all operational attributes), RFC 4529 (`@class`), RFC 4526 (absolute true and false).
const FEATURES: [&str; 3] = ["1.3.6.1.4.1.4203.1.5.1", "1.3.6.1.4.1.4203.1.5.2", "1.3.6.1.4.1.4203.1.5.3"];
