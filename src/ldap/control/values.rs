//! Matched values (RFC 3876): which values of the selected attributes are returned.

use super::value_of;
use crate::directory::filter::FilterItem;
use crate::ldap::ber::tag;
use crate::ldap::message::{Control, DecodeLimits, Fault, FilterItems, decode_filter};

/// The assertions one behind the other. Each is one of a Filter without connectives, and an extensible match has no
/// `dnAttributes` (RFC 3876 section 2).
pub(super) fn decode<'a>(control: &Control<'a>, limits: &DecodeLimits) -> Result<FilterItems<'a>, Fault> {
    let mut list = value_of(control, tag::SEQUENCE)?;
    let mut items = FilterItems::new();
    while !list.is_empty() {
        let assertion = decode_filter(&mut list, limits)?;
        let is_simple = !assertion.iter().any(|item| match item {
            FilterItem::And { .. } | FilterItem::Or { .. } | FilterItem::Not { .. } => true,
            FilterItem::Extensible { dn_attributes, .. } => *dn_attributes,
            _ => false,
        });
        if !is_simple {
            return Err(Fault::Choice { field: "controlValue", tag: list_tag(&assertion) });
        }
        if items.len() + assertion.len() > limits.filter_elements_max {
            return Err(Fault::FilterTooLong { max: limits.filter_elements_max });
        }
        items.extend(assertion);
    }
    Ok(items)
}

/// The tag of what has no place in the list.
fn list_tag(assertion: &FilterItems<'_>) -> u8 {
    tag::context_constructed(match assertion.first() {
        Some(FilterItem::And { .. }) => 0,
        Some(FilterItem::Or { .. }) => 1,
        Some(FilterItem::Not { .. }) => 2,
        _ => 9,
    })
}
