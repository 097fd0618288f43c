//! A client without a socket: it sends requests into a session and shows what came back, as LDIF.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ldap3_proto::LdapCodec;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapCompareRequest, LdapDerefAliases, LdapExtendedRequest, LdapFilter,
    LdapMatchingRuleAssertion, LdapMsg, LdapOp, LdapResult, LdapSearchRequest, LdapSearchResultEntry,
    LdapSearchScope, LdapSubstringFilter,
};
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use super::world::{NOW, World, stranger, wait};
use crate::ldap::session::{Moment, Next, Session, SessionPeer};
use crate::model::Timestamp;
use crate::schema::steps;

/// One connection.
pub(in crate::ldap) struct Client {
    pub(in crate::ldap) session: Session,
    pub(in crate::ldap) now: Timestamp,
    pub(in crate::ldap) later: Duration,
    started: Instant,
    input: Vec<u8>,
    output: Vec<u8>,
    /// What has come of a message that is not whole yet.
    received: Vec<u8>,
    /// Of the answers since the last request.
    controls: Vec<(String, Vec<u8>)>,
    /// The most octets of answers that ever waited to be written.
    pub(in crate::ldap) output_peak: usize,
    transcript: String,
    next_id: i32,
}

/// What was really done is bounded by what was counted, and by the octets that came and went.
pub(in crate::ldap) fn count_bounds_steps(work: u64, steps: u64, octets: usize) {
    assert!(
        steps <= STEPS_OF_WORK * work + octets as u64 / OCTETS_OF_A_STEP + STEPS_OF_A_TURN,
        "{steps} steps were taken for a work of {work}, with {octets} octets in and out"
    );
}

/// What came back for one request.
pub(in crate::ldap) struct Reply {
    pub(in crate::ldap) messages: Vec<LdapMsg>,
    controls: Vec<(String, Vec<u8>)>,
    transcript: String,
}

impl Client {
    /// Over TLS from elsewhere.
    pub(in crate::ldap) fn new(world: &World) -> Self {
        Self::from(world, stranger(), true)
    }

    /// In clear from elsewhere.
    pub(in crate::ldap) fn in_clear(world: &World) -> Self {
        Self::from(world, stranger(), false)
    }

    pub(in crate::ldap) fn from(world: &World, peer: SessionPeer, is_tls: bool) -> Self {
        let settings = Arc::new(world.settings.clone());
        Self {
            session: Session::new(world.registry.clone(), settings, peer, is_tls),
            now: NOW,
            later: Duration::ZERO,
            started: Instant::now(),
            input: Vec::new(),
            output: Vec::new(),
            received: Vec::new(),
            controls: Vec::new(),
            output_peak: 0,
            transcript: String::new(),
            next_id: 1,
        }
    }

    /// Bound as the app.
    pub(in crate::ldap) fn app(world: &World) -> Self {
        let mut client = Self::new(world);
        client.bind("cn=app,ou=users,dc=example,dc=org", &world.secrets.app).is(0);
        client
    }

    /// Bound as the reader, who sees everything.
    pub(in crate::ldap) fn reader(world: &World) -> Self {
        let mut client = Self::new(world);
        client.bind("cn=reader,ou=users,dc=example,dc=org", &world.secrets.reader).is(0);
        client
    }

    pub(in crate::ldap) fn bind(&mut self, name: &str, secret: impl AsRef<[u8]>) -> Reply {
        let id = self.id();
        self.send(&bind(id, name, secret.as_ref()))
    }

    pub(in crate::ldap) fn search(&mut self, request: LdapSearchRequest) -> Reply {
        self.ask(LdapOp::SearchRequest(request))
    }

    /// The DNs that a subtree search finds, sorted.
    pub(in crate::ldap) fn find(&mut self, base: &str, filter: &str) -> Vec<String> {
        let reply = self.search(search(base, LdapSearchScope::Subtree, filter, &["1.1"]));
        reply.is(0);
        reply.dns()
    }

    pub(in crate::ldap) fn compare(&mut self, dn: &str, attribute: &str, value: impl AsRef<[u8]>) -> Reply {
        self.ask(LdapOp::CompareRequest(LdapCompareRequest {
            dn: dn.to_owned(),
            atype: attribute.to_owned(),
            val: value.as_ref().to_vec(),
        }))
    }

    pub(in crate::ldap) fn extended(&mut self, name: &str) -> Reply {
        self.ask(LdapOp::ExtendedRequest(LdapExtendedRequest { name: name.to_owned(), value: None }))
    }

    /// Who am I?, as text.
    pub(in crate::ldap) fn who_am_i(&mut self) -> String {
        let reply = self.extended("1.3.6.1.4.1.4203.1.11.3");
        reply.is(0);
        match &reply.messages[0].op {
            LdapOp::ExtendedResponse(response) => {
                String::from_utf8(response.value.clone().expect("a value")).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(in crate::ldap) fn ask(&mut self, op: LdapOp) -> Reply {
        let id = self.id();
        self.send(&encode(id, op))
    }

    /// Sends octets, lets the session work until it waits for more, and gives what came back.
    pub(in crate::ldap) fn send(&mut self, octets: &[u8]) -> Reply {
        self.push(octets);
        let mut messages = Vec::new();
        loop {
            let (more, next) = self.step();
            messages.extend(more);
            match next {
                Next::Read | Next::Close | Next::StartTls => break,
                Next::Work | Next::Hash | Next::Change => {}
            }
        }
        assert!(self.received.is_empty(), "octets are left behind the answers");
        Reply { messages, controls: std::mem::take(&mut self.controls), transcript: self.transcript.clone() }
    }

    /// Only sends.
    pub(in crate::ldap) fn push(&mut self, octets: &[u8]) {
        let shown: String = show_octets(octets).chars().take(SHOWN_CHARACTERS_MAX).collect();
        let _ = writeln!(self.transcript, "> {shown}");
        self.input.extend_from_slice(octets);
    }

    /// One round of a connection: take what was sent, write, then do what the session waits for.
    pub(in crate::ldap) fn step(&mut self) -> (Vec<LdapMsg>, Next) {
        let (work, steps) = (self.session.work_done(), steps::taken());
        let (taken, written) = (self.input.len(), self.output.len());
        let next = self.step_on();
        let octets = taken + self.output.len().saturating_sub(written);
        count_bounds_steps(self.session.work_done() - work, steps::taken() - steps, octets);
        (self.take_output(), next)
    }

    fn step_on(&mut self) -> Next {
        let moment = self.moment();
        loop {
            let taken = self.session.receive(&self.input, &mut self.output, moment);
            self.input.drain(..taken);
            if taken == 0 || self.input.is_empty() || self.session.next() != Next::Read {
                break;
            }
        }
        let next = self.session.next();
        match next {
            Next::Work => self.session.work(&mut self.output, moment),
            Next::Hash => {
                let outcome =
                    wait(async { (&mut self.session.attempt().expect("an attempt").outcome).await });
                self.session.conclude(outcome.ok(), &mut self.output, moment);
            }
            Next::Change => {
                let changed = wait(async { self.session.change().expect("a change").await });
                self.session.conclude_change(changed, &mut self.output);
            }
            Next::Read | Next::Close | Next::StartTls => {}
        }
        next
    }

    /// What was sent and not taken.
    pub(in crate::ldap) fn left(&self) -> &[u8] {
        &self.input
    }

    pub(in crate::ldap) fn moment(&self) -> Moment {
        Moment { now: self.now, instant: self.started + self.later }
    }

    pub(in crate::ldap) fn id(&mut self) -> i32 {
        self.next_id += 1;
        self.next_id
    }

    fn take_output(&mut self) -> Vec<LdapMsg> {
        self.output_peak = self.output_peak.max(self.output.len());
        self.received.append(&mut self.output);
        let mut whole = 0;
        while let Some(frame) =
            crate::ldap::frame::next(&self.received[whole..], usize::MAX).expect("answers in frames")
        {
            whole += frame.octets.len();
        }
        // The rest of a large entry comes with later turns.
        let rest = self.received.split_off(whole);
        let answers = std::mem::replace(&mut self.received, rest);
        self.controls.extend(controls_of(&answers));
        let messages = decode(&answers);
        for message in &messages {
            let _ = writeln!(self.transcript, "< {}", show(message));
        }
        messages
    }
}

impl Reply {
    /// The result code of the one final response must be this.
    #[track_caller]
    pub(in crate::ldap) fn is(&self, code: u8) -> &Self {
        let found = self.result().code.clone() as i64;
        assert_eq!(found, i64::from(code), "the result code; the conversation was\n{}", self.transcript);
        self
    }

    /// The one final response.
    #[track_caller]
    pub(in crate::ldap) fn result(&self) -> &LdapResult {
        let mut finals = self.messages.iter().filter_map(|message| result_of(&message.op));
        match (finals.next(), finals.next()) {
            (Some(result), None) => result,
            _ => panic!("there is not one final response; the conversation was\n{}", self.transcript),
        }
    }

    pub(in crate::ldap) fn entries(&self) -> Vec<&LdapSearchResultEntry> {
        let entry = |message| match message {
            &LdapMsg { op: LdapOp::SearchResultEntry(ref entry), .. } => Some(entry),
            _ => None,
        };
        self.messages.iter().filter_map(entry).collect()
    }

    /// The value of a control that came with the answer.
    pub(in crate::ldap) fn control(&self, wanted: &str) -> Option<Vec<u8>> {
        self.controls.iter().find(|(oid, _)| oid == wanted).map(|(_, value)| value.clone())
    }

    /// The estimate and the cookie of a page.
    #[track_caller]
    pub(in crate::ldap) fn page(&self) -> (i64, Vec<u8>) {
        let value = self
            .control("1.2.840.113556.1.4.319")
            .unwrap_or_else(|| panic!("no page was answered; the conversation was\n{}", self.transcript));
        let mut sequence = crate::ldap::ber::BerReader::new(&value).sequence().unwrap();
        (sequence.integer().unwrap(), sequence.octet_string().unwrap().to_vec())
    }

    /// The DNs of the entries in the order of their coming.
    pub(in crate::ldap) fn names_in_order(&self) -> Vec<String> {
        self.entries().iter().map(|entry| entry.dn.clone()).collect()
    }

    /// The DNs of the entries, sorted.
    pub(in crate::ldap) fn dns(&self) -> Vec<String> {
        let mut dns: Vec<String> = self.entries().iter().map(|entry| entry.dn.clone()).collect();
        dns.sort();
        dns
    }

    /// The one entry.
    #[track_caller]
    pub(in crate::ldap) fn entry(&self) -> &LdapSearchResultEntry {
        match self.entries().as_slice() {
            [entry] => entry,
            _ => panic!("there is not one entry; the conversation was\n{}", self.transcript),
        }
    }

    /// The values of an attribute of the one entry, as text.
    #[track_caller]
    pub(in crate::ldap) fn values(&self, name: &str) -> Vec<String> {
        values_of(self.entry(), name)
    }

    /// The names of the attributes of the one entry.
    #[track_caller]
    pub(in crate::ldap) fn names(&self) -> Vec<&str> {
        self.entry().attributes.iter().map(|attribute| attribute.atype.as_str()).collect()
    }

    /// Nothing but a Notice of Disconnection with this code came back.
    #[track_caller]
    pub(in crate::ldap) fn is_notice(&self, code: u8) {
        match self.messages.as_slice() {
            [LdapMsg { msgid: 0, op: LdapOp::ExtendedResponse(response), .. }]
                if response.name.as_deref() == Some("1.3.6.1.4.1.1466.20036") =>
            {
                assert_eq!(response.res.code.clone() as i64, i64::from(code), "{}", self.transcript);
            }
            _ => panic!("that is no Notice of Disconnection; the conversation was\n{}", self.transcript),
        }
    }

    #[track_caller]
    pub(in crate::ldap) fn is_silence(&self) {
        assert!(self.messages.is_empty(), "something came back; the conversation was\n{}", self.transcript);
    }
}

pub(in crate::ldap) fn values_of(entry: &LdapSearchResultEntry, name: &str) -> Vec<String> {
    let attribute = entry.attributes.iter().filter(|attribute| attribute.atype == name);
    attribute
        .flat_map(|attribute| &attribute.vals)
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// RFC 4515 text, as far as the tests write it (OIDs, DNs and empty lists included, escapes not).
struct Filter<'a> {
    rest: &'a str,
}

impl Filter<'_> {
    fn read(&mut self) -> LdapFilter {
        self.rest = self.rest.strip_prefix('(').unwrap_or_else(|| panic!("a ( is missing: {}", self.rest));
        let filter = match self.rest.as_bytes()[0] {
            b'&' => LdapFilter::And(self.list()),
            b'|' => LdapFilter::Or(self.list()),
            b'!' => LdapFilter::Not(Box::new(self.list().remove(0))),
            _ => self.item(),
        };
        self.rest = self.rest.strip_prefix(')').unwrap_or_else(|| panic!("a ) is missing: {}", self.rest));
        filter
    }

    fn list(&mut self) -> Vec<LdapFilter> {
        self.rest = &self.rest[1..];
        let mut list = Vec::new();
        while self.rest.starts_with('(') {
            list.push(self.read());
        }
        list
    }

    fn item(&mut self) -> LdapFilter {
        let (item, _) = self.rest.split_once(')').unwrap_or_else(|| panic!("a ) is missing: {}", self.rest));
        self.rest = &self.rest[item.len()..];
        let (left, value) = item.split_once('=').unwrap_or_else(|| panic!("a = is missing: {item}"));
        let value = value.to_owned();
        if let Some(left) = left.strip_suffix(':') {
            let (attribute, rule) = left.split_once(':').unwrap_or((left, ""));
            let dn_attributes = rule == "dn" || rule.starts_with("dn:");
            let rule = rule.trim_start_matches("dn").trim_start_matches(':');
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            return LdapFilter::Extensible(LdapMatchingRuleAssertion {
                matching_rule: some(rule),
                type_: some(attribute),
                match_value: value,
                dn_attributes,
            });
        }
        match left.as_bytes()[left.len() - 1] {
            b'>' => LdapFilter::GreaterOrEqual(left[..left.len() - 1].to_owned(), value),
            b'<' => LdapFilter::LessOrEqual(left[..left.len() - 1].to_owned(), value),
            b'~' => LdapFilter::Approx(left[..left.len() - 1].to_owned(), value),
            _ if value == "*" => LdapFilter::Present(left.to_owned()),
            _ if value.contains('*') => {
                LdapFilter::Substring(left.to_owned(), LdapSubstringFilter::from(value.as_str()))
            }
            _ => LdapFilter::Equality(left.to_owned(), value),
        }
    }
}

/// A search with default limits.
pub(in crate::ldap) fn search(
    base: &str,
    scope: LdapSearchScope,
    filter: &str,
    attributes: &[&str],
) -> LdapSearchRequest {
    LdapSearchRequest {
        base: base.to_owned(),
        scope,
        aliases: LdapDerefAliases::Never,
        sizelimit: 0,
        timelimit: 0,
        typesonly: false,
        filter: Filter { rest: filter }.read(),
        attrs: attributes.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// A filter as it is sent.
pub(in crate::ldap) fn filter_octets(filter: &LdapFilter) -> Vec<u8> {
    let mut request = search("", LdapSearchScope::Base, "(cn=x)", &[]);
    request.filter = filter.clone();
    let message = encode(1, LdapOp::SearchRequest(request));
    let frame = crate::ldap::frame::next(&message, usize::MAX).unwrap().unwrap();
    let mut body = crate::ldap::ber::BerReader::new(frame.body);
    // Base, scope, aliases, two limits, types only.
    for _ in 0..6 {
        body.element().unwrap();
    }
    let left = body.rest();
    body.element().unwrap();
    left[..left.len() - body.rest().len()].to_vec()
}

pub(in crate::ldap) fn encode(id: i32, op: LdapOp) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    LdapCodec::default().encode(LdapMsg { msgid: id, op, ctrl: Vec::new() }, &mut buffer).unwrap();
    buffer.to_vec()
}

/// A simple bind; the secret need not be text.
pub(in crate::ldap) fn bind(id: i32, name: &str, secret: &[u8]) -> Vec<u8> {
    if let Ok(text) = std::str::from_utf8(secret) {
        let cred = LdapBindCred::Simple(text.to_owned());
        return encode(id, LdapOp::BindRequest(LdapBindRequest { version: 3, dn: name.to_owned(), cred }));
    }
    let body = [element(0x02, &[3]), element(0x04, name.as_bytes()), element(0x80, secret)].concat();
    raw(id, &element(0x60, &body))
}

/// A message around an operation, and around controls when there are octets of any.
pub(in crate::ldap) fn raw(id: i32, operation: &[u8]) -> Vec<u8> {
    let id: Vec<u8> = id.to_be_bytes().to_vec();
    element(0x30, &[element(0x02, &id), operation.to_vec()].concat())
}

/// The same message with one control more.
pub(in crate::ldap) fn with_control(message: &[u8], oid: &str, is_critical: bool) -> Vec<u8> {
    with_controls(message, &[(oid, is_critical, None)])
}

/// The request with these controls: OID, criticality, value.
pub(in crate::ldap) fn with_controls(message: &[u8], controls: &[(&str, bool, Option<Vec<u8>>)]) -> Vec<u8> {
    let frame = crate::ldap::frame::next(message, usize::MAX).unwrap().unwrap();
    let mut list = Vec::new();
    for (oid, is_critical, value) in controls {
        let critical = if *is_critical { element(0x01, &[0xff]) } else { Vec::new() };
        let value = value.as_ref().map(|value| element(0x04, value)).unwrap_or_default();
        list.extend(element(0x30, &[element(0x04, oid.as_bytes()), critical, value].concat()));
    }
    let operation = element(frame.operation, frame.body);
    raw(frame.message_id, &[operation, element(0xa0, &list)].concat())
}

/// A BER element.
pub(in crate::ldap) fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
    [&[tag, 0x84], length.as_slice(), contents].concat()
}

/// All messages in the octets. Their controls are left out: `ldap3_proto` fails on some that are sound (a sort result
/// with an attribute, for one).
pub(in crate::ldap) fn decode(octets: &[u8]) -> Vec<LdapMsg> {
    let mut messages = Vec::new();
    let mut rest = octets;
    while let Some(frame) = crate::ldap::frame::next(rest, usize::MAX).expect("answers in frames") {
        let mut buffer =
            BytesMut::from(raw(frame.message_id, &element(frame.operation, frame.body)).as_slice());
        let mut codec = LdapCodec::new(Some(1 << 26), None);
        messages.extend(codec.decode(&mut buffer).expect("answers that can be decoded"));
        assert!(buffer.is_empty());
        rest = &rest[frame.octets.len()..];
    }
    assert!(rest.is_empty(), "octets are left behind the answers");
    messages
}

/// The OIDs and values of the controls of all messages in the octets.
fn controls_of(octets: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut controls = Vec::new();
    let mut rest = octets;
    while let Ok(Some(frame)) = crate::ldap::frame::next(rest, usize::MAX) {
        let mut list = crate::ldap::ber::BerReader::new(frame.controls.unwrap_or_default());
        while !list.is_empty() {
            let mut control = list.sequence().unwrap();
            let oid = control.string().unwrap().to_owned();
            controls.push((oid, control.octet_string().unwrap().to_vec()));
        }
        rest = &rest[frame.octets.len()..];
    }
    controls
}

/// The result of a final response.
pub(in crate::ldap) fn result_of(op: &LdapOp) -> Option<&LdapResult> {
    match op {
        LdapOp::BindResponse(response) => Some(&response.res),
        LdapOp::ExtendedResponse(response) => Some(&response.res),
        LdapOp::SearchResultDone(result)
        | LdapOp::ModifyResponse(result)
        | LdapOp::AddResponse(result)
        | LdapOp::DelResponse(result)
        | LdapOp::ModifyDNResponse(result)
        | LdapOp::CompareResult(result) => Some(result),
        _ => None,
    }
}

/// The tag octet of a final response.
pub(in crate::ldap) fn tag_of(op: &LdapOp) -> Option<u8> {
    result_of(op)?;
    Some(match op {
        LdapOp::BindResponse(_) => 0x61,
        LdapOp::SearchResultDone(_) => 0x65,
        LdapOp::ModifyResponse(_) => 0x67,
        LdapOp::AddResponse(_) => 0x69,
        LdapOp::DelResponse(_) => 0x6b,
        LdapOp::ModifyDNResponse(_) => 0x6d,
        LdapOp::CompareResult(_) => 0x6f,
        LdapOp::ExtendedResponse(_) => 0x78,
        other => panic!("{other:?}"),
    })
}

/// A response for people: an entry as LDIF, anything else as a comment.
pub(in crate::ldap) fn show(message: &LdapMsg) -> String {
    match &message.op {
        LdapOp::SearchResultEntry(entry) => {
            let mut text = format!("# {}\ndn: {}", message.msgid, entry.dn);
            for attribute in &entry.attributes {
                for value in &attribute.vals {
                    let _ = write!(text, "\n{}: {}", attribute.atype, value.escape_ascii());
                }
                if attribute.vals.is_empty() {
                    let _ = write!(text, "\n{}:", attribute.atype);
                }
            }
            text
        }
        op => match result_of(op) {
            Some(result) => {
                let kind = format!("{op:?}");
                let kind = kind.split('(').next().unwrap_or_default();
                let LdapResult { code, matcheddn, message: sentence, .. } = result;
                format!("# {} {kind} {code:?} matched <{matcheddn}> {sentence}", message.msgid)
            }
            None => format!("# {} {op:?}", message.msgid),
        },
    }
}

/// So much of a request stands in a transcript.
/// What a unit of work may really be: a value is taken out of an entry, compared, and prepared for that.
const STEPS_OF_WORK: u64 = 4;
/// Requests are read and answers are put together value by value.
const OCTETS_OF_A_STEP: u64 = 4;
/// What each request and each search of a turn needs, whatever it asks for.
const STEPS_OF_A_TURN: u64 = 1_000;
const SHOWN_CHARACTERS_MAX: usize = 2_000;

fn show_octets(octets: &[u8]) -> String {
    match crate::ldap::frame::next(octets, usize::MAX) {
        Ok(Some(frame)) if frame.octets.len() == octets.len() => {
            match crate::ldap::message::decode(&frame, &Default::default()) {
                Ok(message) => format!("{message:?}"),
                Err(error) => format!("# {} {error}", frame.message_id),
            }
        }
        _ => format!("{} octets: {}", octets.len(), octets.escape_ascii()),
    }
}
