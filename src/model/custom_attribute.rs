//! Custom attribute types: those that the directory knows beside the table of the schema.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::AttributeNumber;

/// What values of a custom attribute type may be; the equality rule follows from it (RFC 4517 section 4.2).
///
/// The place of a variant is its number on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeSyntax {
    /// Text, compared without regard to case: what an attribute has of which nothing more is known.
    #[default]
    DirectoryString,
    /// Text of simple characters, such as mail addresses, compared without regard to case.
    Ia5String,
    /// Text of letters, digits and a few signs, compared without regard to case.
    PrintableString,
    /// Digits and spaces, compared without the spaces.
    NumericString,
    /// A telephone number, compared without spaces and hyphens.
    TelephoneNumber,
    /// Lines between `$`.
    PostalAddress,
    /// A whole number of any size.
    Integer,
    /// `TRUE` or `FALSE`.
    Boolean,
    /// A time, such as `20270101120000Z`.
    GeneralizedTime,
    /// A distinguished name: a value that names an entry which a reader may not see is not there for it.
    Dn,
    /// An object identifier, by name or dotted.
    Oid,
    Uuid,
    /// `'0101'B`.
    BitString,
    OctetString,
    /// A picture; not compared.
    Jpeg,
}

impl AttributeSyntax {
    /// All syntaxes, in the order of the documentation.
    pub const ALL: [AttributeSyntax; 15] = [
        Self::DirectoryString,
        Self::Ia5String,
        Self::PrintableString,
        Self::NumericString,
        Self::TelephoneNumber,
        Self::PostalAddress,
        Self::Integer,
        Self::Boolean,
        Self::GeneralizedTime,
        Self::Dn,
        Self::Oid,
        Self::Uuid,
        Self::BitString,
        Self::OctetString,
        Self::Jpeg,
    ];

    /// The name in config, commands and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DirectoryString => "directory_string",
            Self::Ia5String => "ia5_string",
            Self::PrintableString => "printable_string",
            Self::NumericString => "numeric_string",
            Self::TelephoneNumber => "telephone_number",
            Self::PostalAddress => "postal_address",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::GeneralizedTime => "generalized_time",
            Self::Dn => "dn",
            Self::Oid => "oid",
            Self::Uuid => "uuid",
            Self::BitString => "bit_string",
            Self::OctetString => "octet_string",
            Self::Jpeg => "jpeg",
        }
    }
}

impl fmt::Display for AttributeSyntax {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for AttributeSyntax {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|syntax| syntax.as_str() == text).ok_or(())
    }
}

/// A custom attribute type. It is an object of its own, so that whether an attribute is known depends neither on
/// the entries that hold it nor on when the server was started; it stays when the last of them is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomAttribute {
    pub number: AttributeNumber,
    /// Its name as answers spell it, unique but for case.
    pub name: String,
    /// Its object identifier, dotted; `None`: made from the name.
    pub oid: Option<String>,
    /// What its values may be.
    pub syntax: AttributeSyntax,
    /// Whether an entry has one value at most.
    pub single_valued: bool,
    /// What it is for.
    pub description: String,
}

impl CustomAttribute {
    /// One of which nothing is known but its name: text, with any number of values.
    pub fn of_name(number: AttributeNumber, name: String) -> Self {
        Self {
            number,
            name,
            oid: None,
            syntax: AttributeSyntax::default(),
            single_valued: false,
            description: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_and_are_those_of_json() {
        for syntax in AttributeSyntax::ALL {
            assert_eq!(syntax.as_str().parse(), Ok(syntax));
            assert_eq!(serde_json::to_value(syntax).ok(), Some(syntax.as_str().into()));
        }
        assert!("text".parse::<AttributeSyntax>().is_err());
    }
}
