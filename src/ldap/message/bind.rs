//! BindRequest (RFC 4511 section 4.2).

use std::fmt;

use super::Withheld;
use super::fault::Fault;
use crate::ldap::ber::{BerReader, tag};

/// A request to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindRequest<'a> {
    /// The protocol version. Another than 3 is answered by who handles the bind, with protocolError.
    pub version: i64,
    /// The name to bind as: a DN, or what else the server takes for one.
    pub name: &'a str,
    /// The way to authenticate.
    pub authentication: Authentication<'a>,
}

/// AuthenticationChoice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// A password: octets, not necessarily UTF-8.
    Simple(&'a [u8]),
    /// SaslCredentials.
    Sasl {
        /// The name of the mechanism; may be empty (RFC 4511 section 4.2: that aborts a negotiation).
        mechanism: &'a str,
        /// The credentials, when the client has sent any.
        credentials: Option<&'a [u8]>,
    },
    /// A choice that this server does not know, answered with authMethodNotSupported.
    Other {
        /// The tag octet of the choice.
        tag: u8,
    },
}

impl<'a> BindRequest<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, Fault> {
        let mut reader = BerReader::new(body);
        let version = reader.integer().map_err(Fault::in_field("version"))?;
        let name = reader.string().map_err(Fault::in_field("name"))?;
        let choice = reader.element().map_err(Fault::in_field("authentication"))?;
        let authentication = match choice.tag {
            SIMPLE => Authentication::Simple(choice.contents),
            SASL => decode_sasl(choice.contents)?,
            known if matches!(known & NUMBER_AND_CLASS, SIMPLE | SASL_NUMBER) => {
                return Err(Fault::Choice { field: "authentication", tag: known });
            }
            other if other & tag::CLASS_MASK == tag::CONTEXT => Authentication::Other { tag: other },
            other => return Err(Fault::Choice { field: "authentication", tag: other }),
        };
        reader.ignore_rest().map_err(Fault::in_field("BindRequest"))?;
        Ok(Self { version, name, authentication })
    }
}

impl fmt::Debug for Authentication<'_> {
    /// Without password and credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(password) => {
                formatter.debug_tuple("Simple").field(&Withheld(password.len())).finish()
            }
            Self::Sasl { mechanism, credentials } => formatter
                .debug_struct("Sasl")
                .field("mechanism", mechanism)
                .field("credentials", &credentials.map(|octets| Withheld(octets.len())))
                .finish(),
            Self::Other { tag } => formatter.debug_struct("Other").field("tag", tag).finish(),
        }
    }
}

fn decode_sasl(contents: &[u8]) -> Result<Authentication<'_>, Fault> {
    let mut reader = BerReader::new(contents);
    let mechanism = reader.string().map_err(Fault::in_field("mechanism"))?;
    let credentials = reader.optional(tag::OCTET_STRING).map_err(Fault::in_field("credentials"))?;
    reader.ignore_rest().map_err(Fault::in_field("SaslCredentials"))?;
    Ok(Authentication::Sasl { mechanism, credentials })
}

const SIMPLE: u8 = tag::context(0);
const SASL: u8 = tag::context_constructed(3);
const SASL_NUMBER: u8 = tag::context(3);
const NUMBER_AND_CLASS: u8 = tag::CLASS_MASK | tag::NUMBER_MASK;
