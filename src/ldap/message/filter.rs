//! Filter (RFC 4511 section 4.5.1.7): from the wire to one flat list, without recursion.

use smallvec::SmallVec;

use super::DecodeLimits;
use super::fault::Fault;
use crate::directory::filter::{FilterItem, PartPosition};
use crate::ldap::ber::{self, BerError, BerReader, Element, tag};

/// A filter as one list in prefix order; never empty.
pub type FilterItems<'a> = SmallVec<[FilterItem<'a>; ITEMS_INLINE]>;

/// Reads one Filter, of a search request or of a control.
///
/// A choice with an unknown number in the context class is [`FilterItem::Unknown`] when its length is
/// sound, and so is a substring assertion with a part of no octets, which RFC 4517 section 3.3.30 does
/// not allow as a value: a value of the wrong syntax is Undefined, not an error.
///
/// # Errors
///
/// A [`Fault`]; [`Fault::code`] tells what is malformed from what exceeds a limit.
pub fn decode_filter<'a>(
    reader: &mut BerReader<'a>,
    limits: &DecodeLimits,
) -> Result<FilterItems<'a>, Fault> {
    let mut list = List { items: SmallVec::new(), elements_max: limits.filter_elements_max };
    let mut open: SmallVec<[Connective<'a>; DEPTH_INLINE]> = SmallVec::new();
    let mut element = reader.element().map_err(in_filter)?;
    loop {
        if let AND | OR | NOT = element.tag {
            if open.len() >= limits.filter_depth_max {
                return Err(Fault::FilterTooDeep { max: limits.filter_depth_max });
            }
            open.push(list.begin(element)?);
        } else {
            list.push_assertion(element)?;
        }
        element = loop {
            let Some(innermost) = open.last_mut() else { return Ok(list.items) };
            if !innermost.operands.is_empty() {
                break innermost.operands.element().map_err(in_filter)?;
            }
            list.end(innermost.position);
            open.pop();
        };
    }
}

/// A connective whose operands are being read.
struct Connective<'a> {
    /// Where it stands in the list.
    position: usize,
    /// The operands that are left to read.
    operands: BerReader<'a>,
}

struct List<'a> {
    items: FilterItems<'a>,
    elements_max: usize,
}

impl<'a> List<'a> {
    fn push(&mut self, item: FilterItem<'a>) -> Result<(), Fault> {
        if self.items.len() >= self.elements_max {
            return Err(Fault::FilterTooLong { max: self.elements_max });
        }
        self.items.push(item);
        Ok(())
    }

    /// Pushes a connective; how many items belong to it is known at its end.
    fn begin(&mut self, element: Element<'a>) -> Result<Connective<'a>, Fault> {
        let operands = BerReader::new(element.contents);
        let position = self.items.len();
        match element.tag {
            AND => self.push(FilterItem::And { items: 0 })?,
            OR => self.push(FilterItem::Or { items: 0 })?,
            _ => {
                let mut one = operands;
                if one.is_empty() {
                    return Err(Fault::NotOperands);
                }
                one.element().map_err(in_filter)?;
                if !one.is_empty() {
                    return Err(Fault::NotOperands);
                }
                self.push(FilterItem::Not { items: 0 })?;
            }
        }
        Ok(Connective { position, operands })
    }

    fn end(&mut self, position: usize) {
        let count = u32::try_from(self.items.len() - position - 1).unwrap_or(u32::MAX);
        if let Some(FilterItem::And { items } | FilterItem::Or { items } | FilterItem::Not { items }) =
            self.items.get_mut(position)
        {
            *items = count;
        }
    }

    fn push_assertion(&mut self, element: Element<'a>) -> Result<(), Fault> {
        let contents = element.contents;
        match element.tag {
            EQUALITY => {
                let (attribute, value) = decode_assertion(contents)?;
                self.push(FilterItem::Equality { attribute, value })
            }
            SUBSTRINGS => self.push_substrings(contents),
            GREATER_OR_EQUAL => {
                let (attribute, value) = decode_assertion(contents)?;
                self.push(FilterItem::GreaterOrEqual { attribute, value })
            }
            LESS_OR_EQUAL => {
                let (attribute, value) = decode_assertion(contents)?;
                self.push(FilterItem::LessOrEqual { attribute, value })
            }
            PRESENT => {
                let attribute = ber::utf8(contents).map_err(Fault::in_field("filter: present"))?;
                self.push(FilterItem::Present { attribute })
            }
            APPROXIMATE => {
                let (attribute, value) = decode_assertion(contents)?;
                self.push(FilterItem::Approximate { attribute, value })
            }
            EXTENSIBLE => self.push(decode_extensible(contents)?),
            unknown
                if unknown & tag::CLASS_MASK == tag::CONTEXT && unknown & tag::NUMBER_MASK > LAST_NUMBER =>
            {
                self.push(FilterItem::Unknown)
            }
            // A known number in the wrong form, or another class than the choices of Filter have.
            tag => Err(Fault::Choice { field: "filter", tag }),
        }
    }

    fn push_substrings(&mut self, contents: &'a [u8]) -> Result<(), Fault> {
        let in_substrings = Fault::in_field("filter: substrings");
        let mut reader = BerReader::new(contents);
        let attribute = reader.string().map_err(in_substrings)?;
        let mut substrings = reader.sequence().map_err(in_substrings)?;
        reader.ignore_rest().map_err(in_substrings)?;
        if substrings.is_empty() {
            return Err(Fault::NoSubstrings);
        }

        let position = self.items.len();
        let (mut parts, mut has_empty_part) = (0, false);
        self.push(FilterItem::Substrings { attribute, parts })?;
        while !substrings.is_empty() {
            let part = substrings.element().map_err(in_substrings)?;
            let kind = match part.tag {
                INITIAL if parts == 0 => PartPosition::Initial,
                ANY => PartPosition::Any,
                FINAL if substrings.is_empty() => PartPosition::Final,
                INITIAL | FINAL => return Err(Fault::SubstringOrder),
                tag => return Err(Fault::Choice { field: "filter: substrings", tag }),
            };
            has_empty_part |= part.contents.is_empty();
            self.push(FilterItem::Part { kind, value: part.contents })?;
            parts += 1;
        }
        if has_empty_part {
            self.items.truncate(position);
            return self.push(FilterItem::Unknown);
        }
        if let Some(FilterItem::Substrings { parts: counted, .. }) = self.items.get_mut(position) {
            *counted = parts;
        }
        Ok(())
    }
}

fn in_filter(error: BerError) -> Fault {
    Fault::Encoding { field: "filter", error }
}

/// AttributeValueAssertion (RFC 4511 section 4.1.6).
fn decode_assertion(contents: &[u8]) -> Result<(&str, &[u8]), Fault> {
    let mut reader = BerReader::new(contents);
    let attribute = reader.string().map_err(Fault::in_field("filter: attributeDesc"))?;
    let value = reader.octet_string().map_err(Fault::in_field("filter: assertionValue"))?;
    reader.ignore_rest().map_err(in_filter)?;
    Ok((attribute, value))
}

/// MatchingRuleAssertion (RFC 4511 section 4.5.1.7.7).
fn decode_extensible(contents: &[u8]) -> Result<FilterItem<'_>, Fault> {
    let in_extensible = Fault::in_field("filter: extensibleMatch");
    let mut reader = BerReader::new(contents);
    let rule = reader.optional(MATCHING_RULE).map_err(in_extensible)?;
    let attribute = reader.optional(TYPE).map_err(in_extensible)?;
    let value = reader.expect(MATCH_VALUE).map_err(in_extensible)?;
    let dn_attributes = reader.optional(DN_ATTRIBUTES).map_err(in_extensible)?;
    let known = [MATCHING_RULE, TYPE, MATCH_VALUE, DN_ATTRIBUTES];
    reader.ignore_unknown_rest(&known).map_err(in_extensible)?;
    if rule.is_none() && attribute.is_none() {
        return Err(Fault::NothingToMatch);
    }
    Ok(FilterItem::Extensible {
        rule: rule.map(ber::utf8).transpose().map_err(in_extensible)?,
        attribute: attribute.map(ber::utf8).transpose().map_err(in_extensible)?,
        value,
        dn_attributes: dn_attributes.map(ber::boolean).transpose().map_err(in_extensible)?.unwrap_or(false),
    })
}

/// Enough for what most clients send: a class, and an OR of a few names.
const ITEMS_INLINE: usize = 8;
const DEPTH_INLINE: usize = 4;

const AND: u8 = tag::context_constructed(0);
const OR: u8 = tag::context_constructed(1);
const NOT: u8 = tag::context_constructed(2);
const EQUALITY: u8 = tag::context_constructed(3);
const SUBSTRINGS: u8 = tag::context_constructed(4);
const GREATER_OR_EQUAL: u8 = tag::context_constructed(5);
const LESS_OR_EQUAL: u8 = tag::context_constructed(6);
const PRESENT: u8 = tag::context(7);
const APPROXIMATE: u8 = tag::context_constructed(8);
const EXTENSIBLE: u8 = tag::context_constructed(9);
const LAST_NUMBER: u8 = 9;

const INITIAL: u8 = tag::context(0);
const ANY: u8 = tag::context(1);
const FINAL: u8 = tag::context(2);

const MATCHING_RULE: u8 = tag::context(1);
const TYPE: u8 = tag::context(2);
const MATCH_VALUE: u8 = tag::context(3);
const DN_ATTRIBUTES: u8 = tag::context(4);
