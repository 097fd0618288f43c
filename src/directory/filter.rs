//! A search filter as it arrived: one flat list in prefix order, borrowed from the request.

pub use crate::schema::PartPosition;

/// One element of a filter in prefix order.
///
/// A filter is a slice of items: a connective is followed by the items of its operands, a
/// substring assertion by its parts. No tree is allocated, and no item owns memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterItem<'a> {
    /// All operands; `items` following items belong to them (0: absolute true, RFC 4526).
    And {
        /// How many following items belong to the operands.
        items: u32,
    },
    /// Any operand; `items` as above (0: absolute false, RFC 4526).
    Or {
        /// How many following items belong to the operands.
        items: u32,
    },
    /// The one operand, inverted.
    Not {
        /// How many following items belong to the operand.
        items: u32,
    },
    /// `(attribute=value)`.
    Equality {
        /// The attribute description as sent, options included.
        attribute: &'a str,
        /// The assertion value: octets, not necessarily UTF-8.
        value: &'a [u8],
    },
    /// `(attribute=a*b*c)`; the next `parts` items are [`FilterItem::Part`].
    Substrings {
        /// The attribute description as sent, options included.
        attribute: &'a str,
        /// How many parts follow (at least one).
        parts: u32,
    },
    /// One part of the substring assertion before it.
    Part {
        /// Where it must stand.
        kind: PartPosition,
        /// Its octets (at least one).
        value: &'a [u8],
    },
    /// `(attribute>=value)`.
    GreaterOrEqual {
        /// The attribute description as sent, options included.
        attribute: &'a str,
        /// The assertion value.
        value: &'a [u8],
    },
    /// `(attribute<=value)`.
    LessOrEqual {
        /// The attribute description as sent, options included.
        attribute: &'a str,
        /// The assertion value.
        value: &'a [u8],
    },
    /// `(attribute=*)`.
    Present {
        /// The attribute description as sent, options included.
        attribute: &'a str,
    },
    /// `(attribute~=value)`.
    Approximate {
        /// The attribute description as sent, options included.
        attribute: &'a str,
        /// The assertion value.
        value: &'a [u8],
    },
    /// `(attribute:dn:rule:=value)`.
    Extensible {
        /// The matching rule's name or OID, when one is named.
        rule: Option<&'a str>,
        /// The attribute description, when one is named.
        attribute: Option<&'a str>,
        /// The assertion value.
        value: &'a [u8],
        /// Whether the attributes of the DN take part.
        dn_attributes: bool,
    },
    /// A choice that this server does not know: Undefined, never an error (RFC 4511 section 4.5.1.7).
    Unknown,
}
