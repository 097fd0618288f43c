//! The decoder of the LDAP door against `ldap3_proto`, on requests that it encoded and on such
//! requests with octets changed, added, taken away and cut off.
//!
//! Where both decode, every field is the same; where one refuses, so does the other. Except for this
//! list, which the test knows row by row and `docs/decisions.md` repeats.
//!
//! We decode, `ldap3_proto` refuses:
//!
//!  A1. an assertion value or a password that is not UTF-8: octets are legal there;
//!  A2. a filter choice with an unknown number: Undefined (RFC 4511 section 4.5.1.7);
//!  A3. the value of a known control, when it is malformed: the operation is decoded, and what the
//!      control is needed for is refused when its value is read;
//!  A4. the contents of add, delete, modify and modifyDN: refused by their tag, never decoded;
//!  A5. unbind with controls that cannot be decoded: the client goes anyway;
//!  A6. more than one unknown element behind the operation, or any behind the components of a control
//!      or of an extensible match: ignored (RFC 4511 section 4);
//!  A7. a tag of more than one octet: read over with its element, where `ldap3_proto` takes the second
//!      octet for the length. The two then read different messages, so nothing is compared.
//!
//! We refuse, `ldap3_proto` decodes:
//!
//!  R1. an element that is cut, inside the message: `ldap3_proto` drops it without a word, and an
//!      optional value is then simply missing;
//!  R2. a length that is indefinite (read as 0) or of more than four octets (wrapped to 64 bits);
//!  R3. an integer of no octets (read as 0), a boolean of no octets or of several;
//!  R4. a message ID of more than four octets, or negative (read as positive);
//!  R5. size and time limits, and message IDs to abandon, outside 0 to 2,147,483,647 (the sign is
//!      lost, or they wrap);
//!  R6. a NOT of several filters (the last is kept) and a substring assertion without a part;
//!  R7. an extensible match without a value (read as an empty one), without rule and type, or with
//!      its components out of order or repeated;
//!  R8. a substring part, a control or a message whose tag has the right number in the wrong class;
//!  R9. controls encoded as a primitive (read as none), and components of a control out of order;
//! R10. an extended request whose value has the wrong form or stands behind something unknown, or
//!      whose name stands twice (read as no value);
//! R11. a constructed unbind, and messages that only servers send: not the tag of a request;
//! R12. what exceeds a limit of ours (nesting, elements, controls, attributes, octets).
//!
//! Both decode, and give something else:
//!
//!  D1. a bind version whose first bit is set: negative for us (two's complement), large for it;
//!  D2. a substring assertion with an empty part: Undefined for us, kept by `ldap3_proto`;
//!  D3. SASL credentials that are missing: missing for us, empty for `ldap3_proto`;
//!  D4. controls of an unbind: for us there are none when one is malformed;
//!  D5. the criticality of the types of controls that have none in `ldap3_proto`: kept by us.

use bindery::inside::directory::filter::{FilterItem, PartPosition};
use bindery::inside::ldap::ber::{BerError, BerReader};
use bindery::inside::ldap::frame::{self, Frame, FrameError};
use bindery::inside::ldap::message::{
    Authentication, BindRequest, CompareRequest, Control, Controls, DecodeError, DecodeLimits, Dereference,
    ExtendedRequest, Fault, Message, Operation, Request, Scope, SearchRequest, decode,
};
use ldap3_proto::LdapCodec;
use ldap3_proto::control::{LdapControl, ServerSortRequet};
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapCompareRequest, LdapDerefAliases, LdapExtendedRequest, LdapFilter,
    LdapMatchingRuleAssertion, LdapModifyDNRequest, LdapMsg, LdapOp, LdapSearchRequest, LdapSearchScope,
    LdapSubstringFilter, SaslCredentials,
};
use proptest::prelude::*;
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

proptest! {
    #![proptest_config(crate::support::rounds::cases(1500))]

    #[test]
    fn what_ldap3_proto_encodes_is_decoded_field_by_field(message in any_message()) {
        let octets = encode(message.clone());
        let frame = frame::next(&octets, MESSAGE_SIZE_MAX).unwrap().unwrap();
        prop_assert_eq!(frame.octets.len(), octets.len());
        match decode(&frame, &DecodeLimits::default()) {
            Ok(decoded) => assert_same(&decoded, &message),
            Err(error) => panic!("{error}: {message:?}"),
        }
    }

    #[test]
    fn changed_octets_have_the_same_verdict(
        message in any_message(),
        edits in prop::collection::vec(any_edit(), 1..4),
    ) {
        let mut octets = encode(message);
        edits.iter().for_each(|edit| edit.apply(&mut octets));
        compare_verdicts(&octets);
    }

    #[test]
    fn a_changed_operation_in_a_sound_frame_has_the_same_verdict(
        message in any_message(),
        edits in prop::collection::vec(any_edit(), 1..3),
    ) {
        let octets = encode(message);
        let frame = frame::next(&octets, MESSAGE_SIZE_MAX).unwrap().unwrap();
        let mut body = frame.body.to_vec();
        edits.iter().for_each(|edit| edit.apply(&mut body));
        compare_verdicts(&message_of(frame.operation, &body, frame.controls));
    }

    #[test]
    fn changed_controls_in_a_sound_frame_have_the_same_verdict(
        message in any_message(),
        edits in prop::collection::vec(any_edit(), 1..3),
    ) {
        let octets = encode(message);
        let frame = frame::next(&octets, MESSAGE_SIZE_MAX).unwrap().unwrap();
        let mut controls = frame.controls.unwrap_or(&[0x30, 0x05, 0x04, 0x03, b'1', b'.', b'2']).to_vec();
        edits.iter().for_each(|edit| edit.apply(&mut controls));
        compare_verdicts(&message_of(frame.operation, frame.body, Some(&controls)));
    }

    #[test]
    fn a_filter_of_random_elements_has_the_same_verdict(filter in any_elements()) {
        compare_verdicts(&search_for(&filter));
    }

    #[test]
    fn random_octets_have_the_same_verdict(octets: Vec<u8>, operation in any_request_tag()) {
        compare_verdicts(&octets);
        compare_verdicts(&message_of(operation, &octets, None));
    }

    #[test]
    fn a_message_that_is_cut_is_waited_for(message in any_message(), cut: prop::sample::Index) {
        let octets = encode(message);
        let part = &octets[..cut.index(octets.len())];
        prop_assert_eq!(frame::next(part, MESSAGE_SIZE_MAX), Ok(None));
        let announced = frame::announced(part, MESSAGE_SIZE_MAX).unwrap();
        prop_assert!(announced.is_none_or(|announced| announced == octets.len()));
    }
}

/// Random changes seldom hit the one octet that matters; these messages are short enough for all.
#[test]
fn every_octet_changed_to_every_other_has_the_same_verdict() {
    for message in short_messages() {
        let octets = encode(message);
        for position in 0..octets.len() {
            for octet in 0..=u8::MAX {
                let mut changed = octets.clone();
                changed[position] = octet;
                compare_verdicts(&changed);
            }
        }
    }
}

/// The octets are read by both; the verdicts and what was read must be the same but for the list.
fn compare_verdicts(octets: &[u8]) {
    let survey = Survey::of(octets);
    let frame = match frame::next(octets, MESSAGE_SIZE_MAX) {
        Ok(Some(frame)) => frame,
        Ok(None) => return,
        Err(error) => {
            let may_differ = survey.has_long_tag || is_listed_frame_error(error);
            if !may_differ && !would_print(octets) {
                let theirs = decode_with_ldap3_proto(octets);
                assert!(theirs.is_none(), "only we refuse {octets:02x?}: {error}, {theirs:?}");
            }
            return;
        }
    };
    let survey = Survey::of(frame.octets);
    let ours = decode(&frame, &DecodeLimits::default());
    // R11, A7
    if matches!(ours, Err(DecodeError::UnknownOperation { .. })) || survey.has_long_tag {
        return;
    }
    let theirs = decode_with_ldap3_proto(frame.octets);
    match (&ours, &theirs) {
        (Ok(ours), Some(theirs)) if !survey.has_ignored_in_control => assert_same(ours, theirs),
        (Ok(ours), None) => {
            assert!(is_listed_leniency(ours, &survey), "only we decode {octets:02x?}: {ours:?}");
        }
        (Err(DecodeError::Refused { fault, .. }), Some(theirs)) => {
            let listed = survey.is_unsound || is_listed_strictness(*fault);
            assert!(listed, "only we refuse {octets:02x?}: {fault:?}, {theirs:?}");
        }
        _ => {}
    }
}

fn is_listed_frame_error(error: FrameError) -> bool {
    match error {
        // R8: the number of SEQUENCE in another class.
        FrameError::NotASequence { found } => found & 0x3f == 0x30,
        // R12
        FrameError::TooLarge { .. } => true,
        // R4
        FrameError::NegativeMessageId(_) => true,
        // R1, R9: what stands before is still a message.
        FrameError::Trailer { error: BerError::Truncated | BerError::Misplaced { .. }, .. } => true,
        FrameError::Length(error)
        | FrameError::MessageId(error)
        | FrameError::Operation { error, .. }
        | FrameError::Trailer { error, .. } => match error {
            // R2
            BerError::IndefiniteLength | BerError::LengthTooLong { .. } => true,
            // R3, R4
            BerError::IntegerSize { .. } => true,
            _ => false,
        },
    }
}

fn is_listed_strictness(fault: Fault) -> bool {
    match fault {
        Fault::Encoding { field, error } => match error {
            // R1 and R2 are seen by the survey.
            BerError::IntegerSize { .. } | BerError::BooleanSize { .. } => true, // R3
            BerError::Missing { .. } => field == "filter: extensibleMatch",      // R7
            BerError::UnexpectedTag { .. } => {
                ["filter: extensibleMatch", "controls"].contains(&field) // R7, R8
            }
            BerError::Misplaced { .. } => {
                ["filter: extensibleMatch", "Control", "ExtendedRequest"].contains(&field) // R7, R9, R10
            }
            _ => false,
        },
        Fault::OutOfRange { field, .. } => ["sizeLimit", "timeLimit", "messageID"].contains(&field), // R5
        Fault::NotOperands | Fault::NoSubstrings => true,                                            // R6
        Fault::NothingToMatch => true,                                                               // R7
        Fault::Choice { field, .. } => field == "filter: substrings",                                // R8
        Fault::FilterTooDeep { .. }
        | Fault::FilterTooLong { .. }
        | Fault::TooManyControls { .. }
        | Fault::TooManyAttributes { .. } => true, // R12
        Fault::SubstringOrder | Fault::ControlValue => false,
    }
}

fn is_listed_leniency(ours: &Message<'_>, survey: &Survey) -> bool {
    let is_text = |octets: &[u8]| std::str::from_utf8(octets).is_ok();
    let of_request = match &ours.request {
        // A1
        Request::Bind(BindRequest { authentication: Authentication::Simple(password), .. }) => {
            !is_text(password)
        }
        Request::Search(search) => search.filter.iter().any(|item| match item {
            // A1
            FilterItem::Equality { value, .. }
            | FilterItem::GreaterOrEqual { value, .. }
            | FilterItem::LessOrEqual { value, .. }
            | FilterItem::Approximate { value, .. }
            | FilterItem::Extensible { value, .. }
            | FilterItem::Part { value, .. } => !is_text(value),
            // A2; a substring assertion that D2 made Undefined may hold what A1 is about.
            FilterItem::Unknown => true,
            _ => false,
        }),
        // A4, A5
        Request::Update(_) | Request::Unbind => true,
        _ => false,
    };
    of_request
        || ours.controls.iter().any(|control| control.parse().is_err()) // A3
        || survey.message_elements > 3 // A6
        || survey.has_ignored_in_control
        || survey.has_ignored_in_extensible
}

/// What a message is made of, seen without knowing what it means.
#[derive(Debug, Default)]
struct Survey {
    has_long_tag: bool,
    is_unsound: bool,
    message_elements: usize,
    has_ignored_in_control: bool,
    has_ignored_in_extensible: bool,
}

impl Survey {
    fn of(octets: &[u8]) -> Self {
        let mut survey = Self::default();
        let mut open = vec![BerReader::new(octets)];
        while let Some(reader) = open.last_mut() {
            survey.has_long_tag |= reader.peek().is_some_and(|tag| tag & 0x1f == 0x1f);
            match reader.element() {
                Ok(element) if element.tag & 0x20 != 0 => {
                    if element.tag == 0xa9 {
                        let foreign = |tag: u8| !(0x81..=0x84).contains(&tag);
                        survey.has_ignored_in_extensible |= tags(element.contents).into_iter().any(foreign);
                    }
                    open.push(BerReader::new(element.contents));
                }
                Ok(_) => {}
                Err(_) => {
                    survey.is_unsound |= !reader.is_empty();
                    open.pop();
                }
            }
        }
        if let Ok(message) = BerReader::new(octets).element() {
            survey.message_elements = tags(message.contents).len();
        }
        if let Ok(Some(Frame { controls: Some(controls), .. })) = frame::next(octets, MESSAGE_SIZE_MAX) {
            let mut controls = BerReader::new(controls);
            while let Ok(control) = controls.element() {
                let tags = tags(control.contents);
                survey.has_ignored_in_control |=
                    !matches!(tags.as_slice(), [0x04] | [0x04, 0x01] | [0x04, 0x04] | [0x04, 0x01, 0x04]);
            }
        }
        survey
    }
}

fn tags(contents: &[u8]) -> Vec<u8> {
    let mut reader = BerReader::new(contents);
    std::iter::from_fn(|| reader.element().ok()).map(|element| element.tag).collect()
}

/// Whether `ldap3_proto` would find an operation there that it does not know, and print it.
fn would_print(octets: &[u8]) -> bool {
    let operation = lenient_element(octets)
        .and_then(|(_, message, _)| lenient_element(message))
        .and_then(|(_, _, behind_message_id)| lenient_element(behind_message_id));
    operation.is_some_and(|(tag, _, _)| {
        let known = matches!(tag & 0x3f, 0x20 | 0x21 | 0x02 | 0x22..=0x29 | 0x0a | 0x2b..=0x2f | 0x10 | 0x33 | 0x37..=0x39);
        tag & 0xc0 == 0x40 && !known
    })
}

/// An element as `ldap3_proto` reads it: any number of length octets, wrapped to 64 bits.
fn lenient_element(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = octets.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (u64::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
        (digits.iter().fold(0, |length, digit| length << 8 | u64::from(*digit)), rest)
    };
    let (contents, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((tag, contents, rest))
}

fn decode_with_ldap3_proto(octets: &[u8]) -> Option<LdapMsg> {
    LdapCodec::new(Some(MESSAGE_SIZE_MAX), None).decode(&mut BytesMut::from(octets)).ok().flatten()
}

fn encode(message: LdapMsg) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    LdapCodec::default().encode(message, &mut buffer).unwrap();
    buffer.to_vec()
}

fn assert_same(ours: &Message<'_>, theirs: &LdapMsg) {
    assert_eq!(ours.message_id, theirs.msgid);
    match (&ours.request, &theirs.op) {
        (Request::Bind(ours), LdapOp::BindRequest(theirs)) => assert_same_bind(ours, theirs),
        (Request::Unbind, LdapOp::UnbindRequest) => return, // D4
        (Request::Search(ours), LdapOp::SearchRequest(theirs)) => assert_same_search(ours, theirs),
        (Request::Compare(ours), LdapOp::CompareRequest(theirs)) => {
            let expected = CompareRequest { entry: &theirs.dn, attribute: &theirs.atype, value: &theirs.val };
            assert_eq!(*ours, expected);
        }
        (Request::Abandon { message_id }, LdapOp::AbandonRequest(theirs)) => assert_eq!(message_id, theirs),
        (Request::Extended(ours), LdapOp::ExtendedRequest(theirs)) => {
            let expected = ExtendedRequest { name: theirs.name.clone(), value: theirs.value.clone() };
            assert_eq!(*ours, expected);
        }
        (Request::Update(update), theirs) => {
            let operation = match theirs {
                LdapOp::AddRequest(_) => Operation::Add,
                LdapOp::ModifyRequest(_) => Operation::Modify,
                LdapOp::DelRequest(_) => Operation::Delete,
                LdapOp::ModifyDNRequest(_) => Operation::ModifyDn,
                other => panic!("{ours:?} and {other:?}"),
            };
            assert_eq!(update.operation(), operation);
        }
        (ours, theirs) => panic!("{ours:?} and {theirs:?}"),
    }
    assert_same_controls(&ours.controls, &theirs.ctrl);
}

fn assert_same_bind(ours: &BindRequest<'_>, theirs: &LdapBindRequest) {
    assert_eq!(ours.name, theirs.dn);
    assert!(ours.version == theirs.version || ours.version < 0, "D1: {ours:?}, {theirs:?}");
    match (&ours.authentication, &theirs.cred) {
        (Authentication::Simple(ours), LdapBindCred::Simple(theirs)) => assert_eq!(*ours, theirs.as_bytes()),
        (Authentication::Sasl { mechanism, credentials }, LdapBindCred::SASL(theirs)) => {
            assert_eq!(*mechanism, theirs.mechanism);
            assert_eq!(credentials.unwrap_or_default(), theirs.credentials); // D3
        }
        (Authentication::Other { .. }, LdapBindCred::Unsupported) => {}
        (ours, theirs) => panic!("{ours:?} and {theirs:?}"),
    }
}

fn assert_same_search(ours: &SearchRequest<'_>, theirs: &LdapSearchRequest) {
    assert_eq!(ours.base, theirs.base);
    let scope = match theirs.scope {
        LdapSearchScope::Base => Scope::Base,
        LdapSearchScope::OneLevel => Scope::One,
        LdapSearchScope::Subtree => Scope::Subtree,
        LdapSearchScope::Children => Scope::Subordinates,
    };
    let dereference = match theirs.aliases {
        LdapDerefAliases::Never => Dereference::Never,
        LdapDerefAliases::InSearching => Dereference::InSearching,
        LdapDerefAliases::FindingBaseObj => Dereference::FindingBase,
        LdapDerefAliases::Always => Dereference::Always,
    };
    assert_eq!((ours.scope, ours.dereference, ours.types_only), (scope, dereference, theirs.typesonly));
    assert_eq!(i64::from(ours.size_limit), i64::from(theirs.sizelimit));
    assert_eq!(i64::from(ours.time_limit), i64::from(theirs.timelimit));
    assert_eq!(ours.attributes.as_slice(), theirs.attrs.as_slice());
    let mut expected = Vec::new();
    flatten(&theirs.filter, &mut expected);
    assert_eq!(ours.filter.as_slice(), expected);
}

/// The filter of `ldap3_proto` as the list that ours must be.
fn flatten<'a>(filter: &'a LdapFilter, items: &mut Vec<FilterItem<'a>>) {
    match filter {
        LdapFilter::And(operands) => {
            flatten_operands(operands, items, |items| FilterItem::And { items });
        }
        LdapFilter::Or(operands) => flatten_operands(operands, items, |items| FilterItem::Or { items }),
        LdapFilter::Not(operand) => {
            flatten_operands(std::slice::from_ref(operand), items, |items| FilterItem::Not { items });
        }
        LdapFilter::Equality(attribute, value) => {
            items.push(FilterItem::Equality { attribute, value: value.as_bytes() });
        }
        LdapFilter::Substring(attribute, substrings) => flatten_substrings(attribute, substrings, items),
        LdapFilter::GreaterOrEqual(attribute, value) => {
            items.push(FilterItem::GreaterOrEqual { attribute, value: value.as_bytes() });
        }
        LdapFilter::LessOrEqual(attribute, value) => {
            items.push(FilterItem::LessOrEqual { attribute, value: value.as_bytes() });
        }
        LdapFilter::Present(attribute) => items.push(FilterItem::Present { attribute }),
        LdapFilter::Approx(attribute, value) => {
            items.push(FilterItem::Approximate { attribute, value: value.as_bytes() });
        }
        LdapFilter::Extensible(assertion) => items.push(FilterItem::Extensible {
            rule: assertion.matching_rule.as_deref(),
            attribute: assertion.type_.as_deref(),
            value: assertion.match_value.as_bytes(),
            dn_attributes: assertion.dn_attributes,
        }),
    }
}

fn flatten_operands<'a, F: std::borrow::Borrow<LdapFilter> + 'a>(
    operands: &'a [F],
    items: &mut Vec<FilterItem<'a>>,
    connective: impl Fn(u32) -> FilterItem<'a>,
) {
    let position = items.len();
    items.push(connective(0));
    operands.iter().for_each(|operand| flatten(operand.borrow(), items));
    items[position] = connective(u32::try_from(items.len() - position - 1).unwrap());
}

fn flatten_substrings<'a>(
    attribute: &'a str,
    substrings: &'a LdapSubstringFilter,
    items: &mut Vec<FilterItem<'a>>,
) {
    let parts: Vec<(PartPosition, &str)> =
        (substrings.initial.iter().map(|part| (PartPosition::Initial, part)))
            .chain(substrings.any.iter().map(|part| (PartPosition::Any, part)))
            .chain(substrings.final_.iter().map(|part| (PartPosition::Final, part)))
            .map(|(kind, part)| (kind, part.as_str()))
            .collect();
    if parts.iter().any(|(_, part)| part.is_empty()) {
        items.push(FilterItem::Unknown); // D2
        return;
    }
    items.push(FilterItem::Substrings { attribute, parts: u32::try_from(parts.len()).unwrap() });
    items.extend(parts.iter().map(|(kind, part)| FilterItem::Part { kind: *kind, value: part.as_bytes() }));
}

fn assert_same_controls(ours: &Controls<'_>, theirs: &[LdapControl]) {
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours.parse().as_ref(), Ok(theirs));
        let criticality = match theirs {
            LdapControl::SyncRequest { criticality, .. }
            | LdapControl::ManageDsaIT { criticality }
            | LdapControl::PasswordPolicyRequest { criticality }
            | LdapControl::SearchOptions { criticality, .. }
            | LdapControl::ShowDeleted { criticality }
            | LdapControl::SdFlags { criticality, .. }
            | LdapControl::ExtendedDn { criticality, .. } => *criticality,
            LdapControl::Unknown { oid, criticality, value } => {
                let expected = Control { oid, criticality: *criticality, value: value.as_deref() };
                assert_eq!(*ours, expected);
                *criticality
            }
            _ => ours.criticality, // D5
        };
        assert_eq!(ours.criticality, criticality);
    }
}

// What is put together here rather than by `ldap3_proto`.

fn message_of(operation: u8, body: &[u8], controls: Option<&[u8]>) -> Vec<u8> {
    let controls = controls.map(|controls| element(0xa0, controls)).unwrap_or_default();
    element(0x30, &[&[0x02, 0x01, 0x07][..], &element(operation, body), &controls].concat())
}

fn search_for(filter: &[u8]) -> Vec<u8> {
    let before = [0x04, 0, 0x0a, 1, 2, 0x0a, 1, 0, 0x02, 1, 0, 0x02, 1, 0, 0x01, 1, 0];
    message_of(0x63, &[&before[..], filter, &[0x30, 0]].concat(), None)
}

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
    [&[tag, 0x82, length[0], length[1]][..], contents].concat()
}

/// A change to some octets, wherever they are.
#[derive(Clone, Debug)]
enum Edit {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Add(prop::sample::Index, u8),
}

impl Edit {
    fn apply(&self, octets: &mut Vec<u8>) {
        match self {
            Self::Insert(at, octet) => octets.insert(at.index(octets.len() + 1), *octet),
            _ if octets.is_empty() => {}
            Self::Replace(at, octet) => {
                let at = at.index(octets.len());
                octets[at] = *octet;
            }
            Self::Remove(at) => {
                octets.remove(at.index(octets.len()));
            }
            Self::Add(at, amount) => {
                let at = at.index(octets.len());
                octets[at] = octets[at].wrapping_add(*amount);
            }
        }
    }
}

fn any_edit() -> impl Strategy<Value = Edit> {
    // Octets that mean something: lengths, signs, tags, what is not UTF-8.
    let telling = prop::sample::select(vec![
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x0a, 0x1f, 0x24, 0x30, 0x31, 0x70, 0x7f, 0x80, 0x81, 0x82, 0x83,
        0x84, 0x85, 0x87, 0x8a, 0x9f, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa7, 0xa9, 0xaa, 0xff,
    ]);
    let octet = prop_oneof![3 => telling, 1 => any::<u8>()];
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), octet.clone()).prop_map(|(at, octet)| Edit::Replace(at, octet)),
        1 => (at(), octet).prop_map(|(at, octet)| Edit::Insert(at, octet)),
        1 => at().prop_map(Edit::Remove),
        2 => (at(), prop::sample::select(vec![1, 2, 255, 254])).prop_map(|(at, amount)| Edit::Add(at, amount)),
    ]
}

/// Elements with the tags of filters, in any order and number.
fn any_elements() -> impl Strategy<Value = Vec<u8>> {
    let primitive_tags = vec![0x01, 0x04, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x87, 0x8b];
    let constructed_tags = vec![0x30, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa8, 0xa9, 0xab];
    let text = prop_oneof![4 => "[a-z]{0,4}".prop_map(String::into_bytes), 1 => any::<Vec<u8>>()];
    let leaf = (prop::sample::select(primitive_tags), text).prop_map(|(tag, text)| element(tag, &text));
    let pair = (prop::sample::select(vec![0xa3, 0xa5, 0xa6, 0xa8]), "[a-z]{0,4}", any::<Vec<u8>>()).prop_map(
        |(tag, name, value)| element(tag, &[element(4, name.as_bytes()), element(4, &value)].concat()),
    );
    let parts = prop::collection::vec((0x80..=0x83_u8, "[a-z]{0,2}"), 0..4).prop_map(|parts| {
        let parts: Vec<u8> = parts.iter().flat_map(|(tag, text)| element(*tag, text.as_bytes())).collect();
        element(0xa4, &[element(4, b"cn"), element(0x30, &parts)].concat())
    });
    let assertion = prop::collection::vec((0x81..=0x85_u8, "[a-z]{1}"), 0..5).prop_map(|components| {
        let components: Vec<u8> =
            components.iter().flat_map(|(tag, text)| element(*tag, text.as_bytes())).collect();
        element(0xa9, &components)
    });
    let any_leaf = prop_oneof![2 => leaf, 2 => pair, 1 => parts, 1 => assertion];
    any_leaf.prop_recursive(4, 24, 4, move |inner| {
        (prop::sample::select(constructed_tags.clone()), prop::collection::vec(inner, 0..4))
            .prop_map(|(tag, elements)| element(tag, &elements.concat()))
    })
}

fn any_request_tag() -> impl Strategy<Value = u8> {
    prop::sample::select(Operation::TABLE.iter().map(|row| row.1).collect::<Vec<_>>())
}

// What `ldap3_proto` encodes.

/// Between them, every choice that a request has, in few octets.
fn short_messages() -> Vec<LdapMsg> {
    let text = |text: &str| text.to_owned();
    let search = |filter| {
        LdapOp::SearchRequest(LdapSearchRequest {
            base: text("o=a"),
            scope: LdapSearchScope::Children,
            aliases: LdapDerefAliases::Always,
            sizelimit: 9,
            timelimit: 300,
            typesonly: true,
            filter,
            attrs: vec![text("b"), text("*")],
        })
    };
    let bind = |cred| LdapOp::BindRequest(LdapBindRequest { version: 3, dn: text("o=a"), cred });
    let sasl = SaslCredentials { mechanism: text("PLAIN"), credentials: vec![0, 7] };
    let substrings = LdapSubstringFilter {
        initial: Some(text("i")),
        any: vec![text("j"), text("k")],
        final_: Some(text("l")),
    };
    let assertion = LdapMatchingRuleAssertion {
        matching_rule: Some(text("2.5")),
        type_: Some(text("m")),
        match_value: text("n"),
        dn_attributes: true,
    };
    let connectives = LdapFilter::And(vec![
        LdapFilter::Not(Box::new(LdapFilter::Or(vec![]))),
        LdapFilter::Present(text("c")),
        LdapFilter::Equality(text("d"), text("e")),
    ]);
    let comparisons = LdapFilter::Or(vec![
        LdapFilter::GreaterOrEqual(text("f"), text("1")),
        LdapFilter::LessOrEqual(text("g"), text("2")),
        LdapFilter::Approx(text("h"), text("3")),
    ]);
    let operations = [
        bind(LdapBindCred::Simple(text("pw"))),
        bind(LdapBindCred::SASL(sasl)),
        search(connectives),
        search(comparisons),
        search(LdapFilter::Substring(text("o"), substrings)),
        search(LdapFilter::Extensible(assertion)),
        LdapOp::CompareRequest(LdapCompareRequest { dn: text("o=a"), atype: text("p"), val: vec![0x71] }),
        LdapOp::AbandonRequest(300),
        LdapOp::UnbindRequest,
        LdapOp::DelRequest(text("o=a")),
        LdapOp::ExtendedRequest(LdapExtendedRequest { name: text("1.2"), value: Some(vec![0x30, 0]) }),
    ];
    let controls = vec![
        LdapControl::SimplePagedResults { size: 5, cookie: vec![1] },
        LdapControl::Unknown { oid: text("9.1"), criticality: true, value: Some(vec![2]) },
        LdapControl::ManageDsaIT { criticality: true },
    ];
    let plain = operations.into_iter().map(|op| LdapMsg { msgid: 300, op, ctrl: vec![] });
    let abandon = LdapMsg { msgid: 1, op: LdapOp::AbandonRequest(2), ctrl: controls };
    plain.chain([abandon]).collect()
}

fn any_message() -> impl Strategy<Value = LdapMsg> {
    let id = prop_oneof![0..200_i32, any::<u32>().prop_map(|id| (id >> 1) as i32)];
    (id, any_operation(), prop::collection::vec(any_control(), 0..3)).prop_map(|(msgid, op, ctrl)| LdapMsg {
        msgid,
        op,
        ctrl,
    })
}

fn any_operation() -> impl Strategy<Value = LdapOp> {
    let compare = (any::<String>(), any::<String>(), any::<Vec<u8>>())
        .prop_map(|(dn, atype, val)| LdapOp::CompareRequest(LdapCompareRequest { dn, atype, val }));
    let extended = ("[0-9.]{0,12}", any::<Option<Vec<u8>>>())
        .prop_map(|(name, value)| LdapOp::ExtendedRequest(LdapExtendedRequest { name, value }));
    let rename = (any::<String>(), any::<String>()).prop_map(|(dn, newrdn)| {
        let (deleteoldrdn, new_superior) = (true, None);
        LdapOp::ModifyDNRequest(LdapModifyDNRequest { dn, newrdn, deleteoldrdn, new_superior })
    });
    prop_oneof![
        2 => any_bind().prop_map(LdapOp::BindRequest),
        6 => any_search().prop_map(LdapOp::SearchRequest),
        1 => compare,
        1 => extended,
        1 => (0..=i32::MAX).prop_map(LdapOp::AbandonRequest),
        1 => Just(LdapOp::UnbindRequest),
        1 => any::<String>().prop_map(LdapOp::DelRequest),
        1 => rename,
    ]
}

fn any_bind() -> impl Strategy<Value = LdapBindRequest> {
    let sasl = ("[A-Z0-9-]{0,10}", any::<Vec<u8>>())
        .prop_map(|(mechanism, credentials)| LdapBindCred::SASL(SaslCredentials { mechanism, credentials }));
    let credentials = prop_oneof![
        any::<String>().prop_map(LdapBindCred::Simple),
        sasl,
        Just(LdapBindCred::Simple(String::new())),
    ];
    let version = prop_oneof![4 => Just(3_i64), 1 => 0..=i64::from(i32::MAX)];
    (version, any::<String>(), credentials).prop_map(|(version, dn, cred)| LdapBindRequest {
        version,
        dn,
        cred,
    })
}

fn any_search() -> impl Strategy<Value = LdapSearchRequest> {
    let scope = prop::sample::select(vec![
        LdapSearchScope::Base,
        LdapSearchScope::OneLevel,
        LdapSearchScope::Subtree,
        LdapSearchScope::Children,
    ]);
    let aliases = prop::sample::select(vec![
        LdapDerefAliases::Never,
        LdapDerefAliases::InSearching,
        LdapDerefAliases::FindingBaseObj,
        LdapDerefAliases::Always,
    ]);
    let limit = || prop_oneof![Just(0), 0..=i32::MAX];
    let attributes = prop::collection::vec("[a-zA-Z;*+-]{0,9}", 0..20);
    (any::<String>(), scope, aliases, limit(), limit(), any::<bool>(), any_filter(), attributes).prop_map(
        |(base, scope, aliases, sizelimit, timelimit, typesonly, filter, attrs)| LdapSearchRequest {
            base,
            scope,
            aliases,
            sizelimit,
            timelimit,
            typesonly,
            filter,
            attrs,
        },
    )
}

fn any_filter() -> impl Strategy<Value = LdapFilter> {
    let pair = || ("[a-zA-Z0-9;.-]{0,8}", any::<String>());
    let leaf = prop_oneof![
        pair().prop_map(|(attribute, value)| LdapFilter::Equality(attribute, value)),
        pair().prop_map(|(attribute, value)| LdapFilter::GreaterOrEqual(attribute, value)),
        pair().prop_map(|(attribute, value)| LdapFilter::LessOrEqual(attribute, value)),
        pair().prop_map(|(attribute, value)| LdapFilter::Approx(attribute, value)),
        any::<String>().prop_map(LdapFilter::Present),
        (any::<String>(), any_substrings())
            .prop_map(|(attribute, substrings)| LdapFilter::Substring(attribute, substrings)),
        any_extensible().prop_map(LdapFilter::Extensible),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(LdapFilter::And),
            prop::collection::vec(inner.clone(), 0..5).prop_map(LdapFilter::Or),
            inner.prop_map(|filter| LdapFilter::Not(Box::new(filter))),
        ]
    })
}

fn any_substrings() -> impl Strategy<Value = LdapSubstringFilter> {
    let part = || "\\PC{0,4}";
    (prop::option::of(part()), prop::collection::vec(part(), 0..3), prop::option::of(part()))
        .prop_map(|(initial, any, final_)| LdapSubstringFilter { initial, any, final_ })
        .prop_filter("a substring assertion has a part (R6)", |substrings| {
            substrings.initial.is_some() || !substrings.any.is_empty() || substrings.final_.is_some()
        })
}

fn any_extensible() -> impl Strategy<Value = LdapMatchingRuleAssertion> {
    let name = || prop::option::of("[a-zA-Z0-9.]{0,8}");
    (name(), name(), any::<String>(), any::<bool>())
        .prop_map(|(matching_rule, type_, match_value, dn_attributes)| LdapMatchingRuleAssertion {
            matching_rule,
            type_,
            match_value,
            dn_attributes,
        })
        .prop_filter("an extensible match names something (R7)", |assertion| {
            assertion.matching_rule.is_some() || assertion.type_.is_some()
        })
}

fn any_control() -> impl Strategy<Value = LdapControl> {
    let sort = prop::collection::vec(("[a-zA-Z]{1,8}", prop::option::of("[0-9.]{1,8}"), any::<bool>()), 1..3);
    let sort = sort.prop_map(|keys| LdapControl::ServerSort {
        sort_requests: keys
            .into_iter()
            .map(|(attribute_name, ordering_rule, reverse_order)| ServerSortRequet {
                attribute_name,
                ordering_rule,
                reverse_order,
            })
            .collect(),
    });
    let unknown = ("9\\.[0-9]{1,6}", any::<bool>(), any::<Option<Vec<u8>>>())
        .prop_map(|(oid, criticality, value)| LdapControl::Unknown { oid, criticality, value });
    prop_oneof![
        (0..=i64::from(i32::MAX), any::<Vec<u8>>())
            .prop_map(|(size, cookie)| LdapControl::SimplePagedResults { size, cookie }),
        any::<bool>().prop_map(|criticality| LdapControl::ManageDsaIT { criticality }),
        any::<bool>().prop_map(|criticality| LdapControl::PasswordPolicyRequest { criticality }),
        any::<bool>().prop_map(|criticality| LdapControl::ShowDeleted { criticality }),
        sort,
        unknown,
    ]
}

const MESSAGE_SIZE_MAX: usize = 1 << 20;
