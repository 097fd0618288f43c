//! SearchRequest (RFC 4511 section 4.5.1).

use smallvec::SmallVec;

use super::DecodeLimits;
use super::fault::Fault;
use super::filter::{FilterItems, decode_filter};
pub use crate::directory::Scope;
use crate::ldap::ber::BerReader;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchRequest<'a> {
    /// The DN to search from.
    pub base: &'a str,
    /// How far to search.
    pub scope: Scope,
    /// Whether aliases are followed.
    pub dereference: Dereference,
    /// The most entries to send, 0 for no limit; at most 2,147,483,647.
    pub size_limit: u32,
    /// The most seconds to take, 0 for no limit; at most 2,147,483,647.
    pub time_limit: u32,
    /// Whether attributes are sent without their values.
    pub types_only: bool,
    /// Which entries match.
    pub filter: FilterItems<'a>,
    /// Which attributes to send, as named in the request, see [`names_in`]; none means all user attributes.
    pub attributes: SmallVec<[&'a str; ATTRIBUTES_INLINE]>,
}

/// When aliases are followed. This directory holds none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dereference {
    Never,
    /// Below the base.
    InSearching,
    /// To find the base.
    FindingBase,
    /// Everywhere.
    Always,
}

impl<'a> SearchRequest<'a> {
    pub(super) fn decode(body: &'a [u8], limits: &DecodeLimits) -> Result<Self, Fault> {
        let mut reader = BerReader::new(body);
        let base = reader.string().map_err(Fault::in_field("baseObject"))?;
        let scope = match reader.enumerated().map_err(Fault::in_field("scope"))? {
            0 => Scope::Base,
            1 => Scope::One,
            2 => Scope::Subtree,
            3 => Scope::Subordinates,
            value => return Err(Fault::OutOfRange { field: "scope", value }),
        };
        let dereference = match reader.enumerated().map_err(Fault::in_field("derefAliases"))? {
            0 => Dereference::Never,
            1 => Dereference::InSearching,
            2 => Dereference::FindingBase,
            3 => Dereference::Always,
            value => return Err(Fault::OutOfRange { field: "derefAliases", value }),
        };
        let size_limit = decode_limit(&mut reader, "sizeLimit")?;
        let time_limit = decode_limit(&mut reader, "timeLimit")?;
        let types_only = reader.boolean().map_err(Fault::in_field("typesOnly"))?;
        let filter = decode_filter(&mut reader, limits)?;
        let attributes = decode_attributes(&mut reader, limits)?;
        reader.ignore_rest().map_err(Fault::in_field("SearchRequest"))?;
        Ok(Self { base, scope, dereference, size_limit, time_limit, types_only, filter, attributes })
    }
}

/// INTEGER (0 .. maxInt), RFC 4511 section 4.5.1.
fn decode_limit(reader: &mut BerReader<'_>, field: &'static str) -> Result<u32, Fault> {
    let value = reader.integer().map_err(Fault::in_field(field))?;
    let limit = i32::try_from(value).ok().and_then(|limit| u32::try_from(limit).ok());
    limit.ok_or(Fault::OutOfRange { field, value })
}

fn decode_attributes<'a>(
    reader: &mut BerReader<'a>,
    limits: &DecodeLimits,
) -> Result<SmallVec<[&'a str; ATTRIBUTES_INLINE]>, Fault> {
    let in_attributes = Fault::in_field("attributes");
    let mut selection = reader.sequence().map_err(in_attributes)?;
    let (mut attributes, mut names) = (SmallVec::new(), 0);
    while !selection.is_empty() {
        let text = selection.string().map_err(in_attributes)?;
        names += count_names(text);
        if names > limits.attributes_max {
            return Err(Fault::TooManyAttributes { max: limits.attributes_max });
        }
        attributes.push(text);
    }
    Ok(attributes)
}

/// The names in one string of an attribute list: some clients send all of them as one, and no name has a comma. A name
/// alone is taken as it is, blanks included.
pub fn names_in(text: &str) -> impl Iterator<Item = &str> {
    let is_list = text.contains(LIST_SEPARATOR);
    text.split(LIST_SEPARATOR).map(move |name| if is_list { name.trim_ascii() } else { name })
}

/// How many [`names_in`] gives, empty ones included.
fn count_names(text: &str) -> usize {
    1 + memchr::memchr_iter(LIST_SEPARATOR as u8, text.as_bytes()).count()
}

const LIST_SEPARATOR: char = ',';

/// Most clients name fewer; SSSD names 35, which costs it an allocation.
const ATTRIBUTES_INLINE: usize = 16;
