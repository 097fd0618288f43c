//! Controls (RFC 4511 section 4.1.11): a flat list with the criticality that was sent.

use ldap3_proto::control::LdapControl;
use smallvec::SmallVec;
use thiserror::Error;

use super::fault::Fault;
use super::{DecodeLimits, proto};
use crate::ldap::ber::{BerReader, BerWriter, tag};

/// One control, of a request or of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control<'a> {
    /// The OID that names it, as sent.
    pub oid: &'a str,
    /// Whether the request must fail when the control is not honoured.
    pub criticality: bool,
    /// Its value: octets whose meaning the OID gives.
    pub value: Option<&'a [u8]>,
}

/// The controls of a request in the order they were sent, none left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controls<'a>(SmallVec<[Control<'a>; CONTROLS_INLINE]>);

/// A control stands twice in one request, where that has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the control {oid} was sent more than once with one request")]
pub struct RepeatedControl {
    pub oid: String,
}

impl<'a> Controls<'a> {
    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Control<'a>> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one control with this OID.
    ///
    /// # Errors
    ///
    /// [`RepeatedControl`]: there are two, so it is not known which is meant. The answer is
    /// protocolError. (A list with a repetition decodes all the same: session tracking may repeat.)
    pub fn only(&self, oid: &str) -> Result<Option<&Control<'a>>, RepeatedControl> {
        let mut found = self.0.iter().filter(|control| control.oid == oid);
        match (found.next(), found.next()) {
            (first, None) => Ok(first),
            _ => Err(RepeatedControl { oid: oid.to_owned() }),
        }
    }

    pub(super) fn decode(controls: Option<&'a [u8]>, limits: &DecodeLimits) -> Result<Self, Fault> {
        let mut decoded = Self::default();
        let mut reader = BerReader::new(controls.unwrap_or_default());
        while !reader.is_empty() {
            if decoded.0.len() >= limits.controls_max {
                return Err(Fault::TooManyControls { max: limits.controls_max });
            }
            let control = reader.sequence().map_err(Fault::in_field("controls"))?;
            decoded.0.push(Control::decode(control)?);
        }
        Ok(decoded)
    }
}

impl<'a> FromIterator<Control<'a>> for Controls<'a> {
    fn from_iter<I: IntoIterator<Item = Control<'a>>>(controls: I) -> Self {
        Self(controls.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Controls<'_> {
    type Item = &'a Control<'a>;
    type IntoIter = std::slice::Iter<'a, Control<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a> Control<'a> {
    /// The value decoded by `ldap3_proto`; a control that it does not know comes back as
    /// [`LdapControl::Unknown`]. The criticality is the one of `self`: not all of its types have one.
    ///
    /// It reads a negative integer as a large one, drops an element of the value that is cut, and logs
    /// a warning for an OID that it does not know: ask it only for controls that it knows.
    ///
    /// # Errors
    ///
    /// [`Fault::ControlValue`]: the value is malformed or missing.
    pub fn parse(&self) -> Result<LdapControl, Fault> {
        let message = proto::decode(|writer| {
            // An unbind request is the shortest operation that controls can be hung on.
            writer.element(0x42, &[]);
            let controls = writer.begin(tag::context_constructed(0));
            self.write(writer);
            writer.end(controls);
        });
        let control = message.and_then(|mut message| message.ctrl.pop());
        control.ok_or(Fault::ControlValue)
    }

    /// Writes the control; a criticality of FALSE is left out, as RFC 4511 section 5.1 asks for a default.
    pub(in crate::ldap) fn write(&self, writer: &mut BerWriter<'_>) {
        let control = writer.begin(tag::SEQUENCE);
        writer.octet_string(self.oid.as_bytes());
        if self.criticality {
            writer.boolean(true);
        }
        if let Some(value) = self.value {
            writer.octet_string(value);
        }
        writer.end(control);
    }

    fn decode(mut reader: BerReader<'a>) -> Result<Self, Fault> {
        let oid = reader.string().map_err(Fault::in_field("controlType"))?;
        let criticality = match reader.peek() {
            Some(tag::BOOLEAN) => reader.boolean().map_err(Fault::in_field("criticality"))?,
            _ => false,
        };
        let value = reader.optional(tag::OCTET_STRING).map_err(Fault::in_field("controlValue"))?;
        reader.ignore_unknown_rest(&[tag::BOOLEAN, tag::OCTET_STRING]).map_err(Fault::in_field("Control"))?;
        Ok(Self { oid, criticality, value })
    }
}

/// Few clients send more than two.
const CONTROLS_INLINE: usize = 4;
