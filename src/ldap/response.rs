//! Responses as octets behind an output buffer (RFC 4511 sections 4.1.9, 4.2.2, 4.4.1, 4.5.2, 4.12).
//!
//! Every function appends one whole LDAPMessage and never looks at what the buffer holds already.

use smallvec::SmallVec;

use super::ber::{Begun, BerWriter, tag};
use super::message::{Control, ResponseTag};
use super::result_code::ResultCode;

/// LDAPResult without referrals: this server has none to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome<'a> {
    pub code: ResultCode,
    /// The deepest entry that was found, or nothing.
    pub matched_dn: &'a str,
    /// A sentence for the person behind the client, or nothing.
    pub diagnostic: &'a str,
}

impl<'a> Outcome<'a> {
    /// Success, without a word.
    pub const SUCCESS: Outcome<'static> = Outcome::new(ResultCode::Success, "");

    /// An outcome that matched no entry.
    pub const fn new(code: ResultCode, diagnostic: &'a str) -> Self {
        Self { code, matched_dn: "", diagnostic }
    }
}

/// Controls of a response, none of them critical: OIDs and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseControls(Vec<(&'static str, Vec<u8>)>);

impl ResponseControls {
    /// Adds one.
    pub fn push(&mut self, (oid, value): (&'static str, Vec<u8>)) {
        self.0.push((oid, value));
    }

    /// As the functions here take them.
    pub fn as_controls(&self) -> SmallVec<[Control<'_>; 2]> {
        self.0.iter().map(|(oid, value)| Control { oid, criticality: false, value: Some(value) }).collect()
    }
}

/// Appends the response that ends an operation, of any kind: what refuses a change, for one.
///
/// [`super::message::Operation::response`] gives the tag for a request.
pub fn result(
    output: &mut Vec<u8>,
    message_id: i32,
    tag: ResponseTag,
    outcome: &Outcome<'_>,
    controls: &[Control<'_>],
) {
    result_with(output, message_id, tag, outcome, controls, |_| ());
}

/// Appends a BindResponse; the credentials are those of a SASL mechanism that has some for the client.
pub fn bind_response(
    output: &mut Vec<u8>,
    message_id: i32,
    outcome: &Outcome<'_>,
    server_sasl_credentials: Option<&[u8]>,
    controls: &[Control<'_>],
) {
    result_with(output, message_id, ResponseTag::Bind, outcome, controls, |writer| {
        if let Some(credentials) = server_sasl_credentials {
            writer.element(SERVER_SASL_CREDENTIALS, credentials);
        }
    });
}

/// Appends a SearchResultDone.
pub fn search_result_done(
    output: &mut Vec<u8>,
    message_id: i32,
    outcome: &Outcome<'_>,
    controls: &[Control<'_>],
) {
    result(output, message_id, ResponseTag::SearchDone, outcome, controls);
}

/// Appends a CompareResponse.
pub fn compare_response(
    output: &mut Vec<u8>,
    message_id: i32,
    outcome: &Outcome<'_>,
    controls: &[Control<'_>],
) {
    result(output, message_id, ResponseTag::Compare, outcome, controls);
}

/// Appends an ExtendedResponse. A name is given only where the operation has one: Who am I? (RFC 4532)
/// and Password Modify (RFC 3062) have none.
pub fn extended_response(
    output: &mut Vec<u8>,
    message_id: i32,
    outcome: &Outcome<'_>,
    name: Option<&str>,
    value: Option<&[u8]>,
    controls: &[Control<'_>],
) {
    result_with(output, message_id, ResponseTag::Extended, outcome, controls, |writer| {
        if let Some(name) = name {
            writer.element(RESPONSE_NAME, name.as_bytes());
        }
        if let Some(value) = value {
            writer.element(RESPONSE_VALUE, value);
        }
    });
}

/// Appends a Notice of Disconnection (RFC 4511 section 4.4.1); the connection is closed behind it.
pub fn notice_of_disconnection(output: &mut Vec<u8>, code: ResultCode, diagnostic: &str) {
    let outcome = Outcome::new(code, diagnostic);
    extended_response(output, 0, &outcome, Some(NOTICE_OF_DISCONNECTION), None, &[]);
}

/// A SearchResultEntry that is being written behind an output buffer.
///
/// It is whole after [`EntryResponse::finish`]; one that is dropped before leaves nothing behind.
#[derive(Debug)]
#[must_use = "an entry that is not finished leaves nothing in the output"]
pub struct EntryResponse<'b> {
    output: &'b mut Vec<u8>,
    /// How many octets the output held before.
    start: usize,
    /// The elements that are open; `None` once the entry is finished.
    open: Option<OpenEntry>,
}

#[derive(Debug)]
struct OpenEntry {
    message: Begun,
    operation: Begun,
    attributes: Begun,
}

impl<'b> EntryResponse<'b> {
    /// Begins the entry with its name as an LDAPDN element.
    pub fn begin_encoded(output: &'b mut Vec<u8>, message_id: i32, dn_element: &[u8]) -> Self {
        Self::begin_with(output, message_id, |writer| writer.encoded(dn_element))
    }

    fn begin_with(output: &'b mut Vec<u8>, message_id: i32, name: impl FnOnce(&mut BerWriter<'_>)) -> Self {
        let start = output.len();
        let mut writer = BerWriter::new(output);
        let message = writer.begin(tag::SEQUENCE);
        writer.integer(i64::from(message_id));
        let operation = writer.begin(SEARCH_RESULT_ENTRY);
        name(&mut writer);
        let attributes = writer.begin(tag::SEQUENCE);
        Self { output, start, open: Some(OpenEntry { message, operation, attributes }) }
    }

    /// Adds an attribute whose values are handed out one by one, in place; without a value it leaves
    /// nothing behind.
    pub fn attribute_from(&mut self, name: &[u8], values: impl FnOnce(&mut dyn FnMut(&[u8]))) {
        let start = self.output.len();
        if self.attribute_of(name, values) == 0 {
            self.output.truncate(start);
        }
    }

    /// The same, but an attribute without a value stays, with an empty set (RFC 3876). Says how many values it has.
    pub fn attribute_of(&mut self, name: &[u8], values: impl FnOnce(&mut dyn FnMut(&[u8]))) -> usize {
        let mut writer = BerWriter::new(self.output);
        let attribute = writer.begin(tag::SEQUENCE);
        writer.octet_string(name);
        let set = writer.begin(tag::SET);
        let mut count = 0usize;
        values(&mut |value| {
            writer.octet_string(value);
            count += 1;
        });
        writer.end(set);
        writer.end(attribute);
        count
    }

    /// Adds an attribute without its values.
    pub fn type_only(&mut self, name: &[u8]) {
        let mut writer = BerWriter::new(self.output);
        let attribute = writer.begin(tag::SEQUENCE);
        writer.octet_string(name);
        writer.element(tag::SET, &[]);
        writer.end(attribute);
    }

    /// Adds attributes that are encoded already: zero or more whole PartialAttributes.
    pub fn encoded(&mut self, partial_attributes: &[u8]) {
        self.output.extend_from_slice(partial_attributes);
    }

    /// How many octets the message has so far.
    pub fn octets_written(&self) -> usize {
        self.output.len() - self.start
    }

    /// Takes back all that was written since it had so many octets.
    pub fn take_back(&mut self, octets: usize) {
        self.output.truncate(self.start + octets);
    }

    /// Ends the entry, with controls when it carries any.
    pub fn finish(mut self, controls: &[Control<'_>]) {
        let Some(open) = self.open.take() else { return };
        let mut writer = BerWriter::new(self.output);
        writer.end(open.attributes);
        writer.end(open.operation);
        write_controls(&mut writer, controls);
        writer.end(open.message);
    }
}

impl Drop for EntryResponse<'_> {
    fn drop(&mut self) {
        if self.open.is_some() {
            self.output.truncate(self.start);
        }
    }
}

fn result_with(
    output: &mut Vec<u8>,
    message_id: i32,
    response: ResponseTag,
    outcome: &Outcome<'_>,
    controls: &[Control<'_>],
    write_rest: impl FnOnce(&mut BerWriter<'_>),
) {
    let mut writer = BerWriter::new(output);
    let message = writer.begin(tag::SEQUENCE);
    writer.integer(i64::from(message_id));
    let operation = writer.begin(response.as_u8());
    writer.enumerated(i64::from(outcome.code.as_u8()));
    writer.octet_string(outcome.matched_dn.as_bytes());
    writer.octet_string(outcome.diagnostic.as_bytes());
    write_rest(&mut writer);
    writer.end(operation);
    write_controls(&mut writer, controls);
    writer.end(message);
}

fn write_controls(writer: &mut BerWriter<'_>, controls: &[Control<'_>]) {
    if controls.is_empty() {
        return;
    }
    let list = writer.begin(CONTROLS);
    for control in controls {
        control.write(writer);
    }
    writer.end(list);
}

pub(super) const SEARCH_RESULT_ENTRY: u8 = 0x64;
const CONTROLS: u8 = tag::context_constructed(0);
const SERVER_SASL_CREDENTIALS: u8 = tag::context(7);
const RESPONSE_NAME: u8 = tag::context(10);
const RESPONSE_VALUE: u8 = tag::context(11);
const NOTICE_OF_DISCONNECTION: &str = "1.3.6.1.4.1.1466.20036";

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use ldap3_proto::LdapCodec;
    use ldap3_proto::control::LdapControl;
    use ldap3_proto::proto::{LdapMsg, LdapOp, LdapResult};
    use tokio_util::bytes::BytesMut;
    use tokio_util::codec::Decoder;

    use super::*;
    use crate::ldap::frame;
    use crate::ldap::message::Operation;

    const OUTCOME: Outcome<'_> =
        Outcome { code: ResultCode::NoSuchObject, matched_dn: "dc=example,dc=com", diagnostic: "gré" };

    /// All messages of the output as `ldap3_proto` reads them.
    fn read_back(output: &[u8]) -> Vec<LdapMsg> {
        let mut buffer = BytesMut::from(output);
        let mut codec = LdapCodec::new(Some(1 << 20), None);
        let mut messages = Vec::new();
        while let Some(message) = codec.decode(&mut buffer).unwrap() {
            messages.push(message);
        }
        assert!(buffer.is_empty());
        messages
    }

    fn read_one(output: &[u8]) -> LdapMsg {
        let mut messages = read_back(output);
        assert_eq!(messages.len(), 1);
        messages.remove(0)
    }

    fn assert_outcome(result: &LdapResult, outcome: &Outcome<'_>) {
        assert_eq!(result.code.clone() as i64, i64::from(outcome.code.as_u8()));
        assert_eq!(
            (result.matcheddn.as_str(), result.message.as_str()),
            (outcome.matched_dn, outcome.diagnostic)
        );
    }

    #[test]
    fn every_operation_is_answered_by_its_own_response() {
        for (operation, _, _, response) in Operation::TABLE {
            let Some(response) = response else { continue };
            let mut output = Vec::new();
            result(&mut output, i32::MAX, *response, &OUTCOME, &[]);
            let message = read_one(&output);
            assert_eq!(message.msgid, i32::MAX);
            let outcome = match (operation, message.op) {
                (Operation::Bind, LdapOp::BindResponse(response)) => response.res,
                (Operation::Extended, LdapOp::ExtendedResponse(response)) => response.res,
                (Operation::Search, LdapOp::SearchResultDone(outcome))
                | (Operation::Modify, LdapOp::ModifyResponse(outcome))
                | (Operation::Add, LdapOp::AddResponse(outcome))
                | (Operation::Delete, LdapOp::DelResponse(outcome))
                | (Operation::ModifyDn, LdapOp::ModifyDNResponse(outcome))
                | (Operation::Compare, LdapOp::CompareResult(outcome)) => outcome,
                (operation, response) => panic!("{operation:?} was answered with {response:?}"),
            };
            assert_outcome(&outcome, &OUTCOME);
        }
    }

    #[test]
    fn every_result_code_is_read_back() {
        for (code, _) in ResultCode::TABLE {
            let mut output = Vec::new();
            search_result_done(&mut output, 1, &Outcome::new(*code, ""), &[]);
            match read_one(&output).op {
                LdapOp::SearchResultDone(outcome) => assert_outcome(&outcome, &Outcome::new(*code, "")),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_result_is_these_octets() {
        let mut output = Vec::new();
        compare_response(&mut output, 2, &Outcome::new(ResultCode::CompareTrue, ""), &[]);
        let expected = [
            0x30, 0x84, 0, 0, 0, 16, 0x02, 0x01, 0x02, 0x6f, 0x84, 0, 0, 0, 7, 0x0a, 0x01, 0x06, 0x04, 0x00,
            0x04, 0x00,
        ];
        assert_eq!(output, expected);
    }

    #[test]
    fn a_bind_response_carries_credentials_and_controls() {
        let control = Control { oid: "1.3.6.1.4.1.42.2.27.8.5.2", criticality: false, value: Some(b"v") };
        let critical = Control { oid: "1.2.3", criticality: true, value: None };
        let mut output = Vec::new();
        bind_response(&mut output, 3, &Outcome::SUCCESS, Some(b"\x00\xff"), &[control, critical]);
        let message = read_one(&output);
        match message.op {
            LdapOp::BindResponse(response) => {
                assert_outcome(&response.res, &Outcome::SUCCESS);
                assert_eq!(response.saslcreds.as_deref(), Some(&b"\x00\xff"[..]));
            }
            other => panic!("{other:?}"),
        }
        let unknown = |oid: &str, criticality, value: Option<&[u8]>| LdapControl::Unknown {
            oid: oid.to_owned(),
            criticality,
            value: value.map(<[u8]>::to_vec),
        };
        let expected =
            [unknown("1.3.6.1.4.1.42.2.27.8.5.2", false, Some(b"v")), unknown("1.2.3", true, None)];
        assert_eq!(message.ctrl, expected);
        assert!(!output.windows(3).any(|octets| octets == [0x01, 0x01, 0x00]), "FALSE is a default");
    }

    #[test]
    fn an_extended_response_has_a_name_or_a_value_or_neither() {
        for (name, value) in [(None, None), (Some("1.2.3"), None), (None, Some(&b"dn:"[..]))] {
            let mut output = Vec::new();
            extended_response(&mut output, 4, &Outcome::SUCCESS, name, value, &[]);
            match read_one(&output).op {
                LdapOp::ExtendedResponse(response) => {
                    assert_eq!((response.name.as_deref(), response.value.as_deref()), (name, value));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_notice_of_disconnection_has_message_id_0_and_its_name() {
        let mut output = Vec::new();
        notice_of_disconnection(&mut output, ResultCode::ProtocolError, "the message ID is 0");
        let message = read_one(&output);
        assert_eq!(message.msgid, 0);
        match message.op {
            LdapOp::ExtendedResponse(response) => {
                assert_eq!(response.name.as_deref(), Some("1.3.6.1.4.1.1466.20036"));
                assert_outcome(
                    &response.res,
                    &Outcome::new(ResultCode::ProtocolError, "the message ID is 0"),
                );
            }
            other => panic!("{other:?}"),
        }
    }

    /// Appends one PartialAttribute (RFC 4511 section 4.1.7), as [`EntryResponse::encoded`] takes it.
    fn partial_attribute<V: AsRef<[u8]>>(
        output: &mut Vec<u8>,
        name: &str,
        values: impl IntoIterator<Item = V>,
    ) {
        let mut writer = BerWriter::new(output);
        let attribute = writer.begin(tag::SEQUENCE);
        writer.octet_string(name.as_bytes());
        let set = writer.begin(tag::SET);
        for value in values {
            writer.octet_string(value.as_ref());
        }
        writer.end(set);
        writer.end(attribute);
    }

    impl<'b> EntryResponse<'b> {
        /// Begins the entry with its name.
        fn begin(output: &'b mut Vec<u8>, message_id: i32, dn: &str) -> Self {
            Self::begin_with(output, message_id, |writer| writer.octet_string(dn.as_bytes()))
        }

        /// Adds an attribute with its values; none when only types were asked for.
        fn attribute<V: AsRef<[u8]>>(&mut self, name: &str, values: impl IntoIterator<Item = V>) {
            partial_attribute(self.output, name, values);
        }
    }

    #[test]
    fn entries_are_read_back() {
        let mut encoded = Vec::new();
        partial_attribute(&mut encoded, "mail", ["a@example.com"]);
        partial_attribute(&mut encoded, "sn", ["A"]);

        let mut output = Vec::new();
        let mut entry = EntryResponse::begin(&mut output, 5, "cn=a,dc=example,dc=com");
        entry.attribute("cn", ["a", "ä"]);
        entry.attribute::<&[u8]>("description", []);
        entry.attribute("objectGUID", [[0xff_u8, 0x00]]);
        entry.encoded(&encoded);
        assert!(entry.octets_written() > encoded.len());
        entry.finish(&[Control { oid: "1.2.3", criticality: false, value: None }]);
        EntryResponse::begin(&mut output, 5, "").finish(&[]);
        search_result_done(&mut output, 5, &Outcome::SUCCESS, &[]);

        let messages = read_back(&output);
        assert_eq!(messages.len(), 3);
        assert_eq!(messages[0].ctrl.len(), 1);
        let LdapOp::SearchResultEntry(entry) = &messages[0].op else { panic!("{:?}", messages[0]) };
        assert_eq!(entry.dn, "cn=a,dc=example,dc=com");
        let attributes: Vec<(&str, &[Vec<u8>])> = entry
            .attributes
            .iter()
            .map(|attribute| (attribute.atype.as_str(), attribute.vals.as_slice()))
            .collect();
        let expected: [(&str, &[Vec<u8>]); 5] = [
            ("cn", &["a".into(), "ä".into()]),
            ("description", &[]),
            ("objectGUID", &[vec![0xff, 0x00]]),
            ("mail", &["a@example.com".into()]),
            ("sn", &["A".into()]),
        ];
        assert_eq!(attributes, expected);
        let LdapOp::SearchResultEntry(entry) = &messages[1].op else { panic!("{:?}", messages[1]) };
        assert!(entry.dn.is_empty() && entry.attributes.is_empty());
    }

    #[test]
    fn an_entry_that_is_not_finished_leaves_nothing() {
        let mut output = b"before".to_vec();
        let mut entry = EntryResponse::begin(&mut output, 6, "cn=a");
        entry.attribute("cn", ["a"]);
        drop(entry);
        assert_eq!(output, b"before");
    }

    #[test]
    fn our_own_framing_reads_what_is_written() {
        let mut output = Vec::new();
        result(&mut output, 128, ResponseTag::Delete, &OUTCOME, &[]);
        let frame = frame::next(&output, 1024).unwrap().unwrap();
        assert_eq!((frame.message_id, frame.operation), (128, ResponseTag::Delete.as_u8()));
    }
}
