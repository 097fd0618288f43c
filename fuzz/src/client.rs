//! A client of one connection without a socket, and what it takes from the octets of answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bindery::inside::ldap::ber::BerReader;
use bindery::inside::ldap::frame;
use bindery::inside::ldap::session::{Moment, Next, Session, SessionPeer};
use bindery::inside::model::Timestamp;
use bindery::inside::schema::steps;

use crate::world::{World, wait};

/// Tag octets of answers.
pub const BIND_DONE: u8 = 0x61;
pub const ENTRY: u8 = 0x64;
pub const SEARCH_DONE: u8 = 0x65;
pub const COMPARE_DONE: u8 = 0x6f;
pub const EXTENDED_DONE: u8 = 0x78;

pub struct Client {
    session: Session,
    begun: (Timestamp, Instant),
    /// Seconds since then.
    pub seconds: u64,
    input: Vec<u8>,
    output: Vec<u8>,
    is_closed: bool,
    pub is_tls: bool,
}

/// What a turn may cost, and beyond it one request, or one batch of each search with the look at one entry.
const TURN_WORK_MAX: u64 = 50_000 + 2 * 50_000;
/// What a unit of work may really be: a value is taken out of an entry, compared, and prepared for that.
const STEPS_OF_WORK: u64 = 4;
/// Requests are read and answers are put together value by value.
const OCTETS_OF_A_STEP: u64 = 4;
/// What each request and each search of a turn needs, whatever it asks for.
const STEPS_OF_A_TURN: u64 = 1_000;
/// Octets that a turn may write: as many as fit, and a batch.
const TURN_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// One message of the server, decoded: that it can be is the first thing that must hold.
#[derive(Debug)]
pub struct Answer {
    pub id: i32,
    pub tag: u8,
    pub contents: Contents,
    /// OID and value.
    pub controls: Vec<(String, Vec<u8>)>,
}

#[derive(Debug)]
pub enum Contents {
    Entry {
        dn: String,
        attributes: Vec<(String, Vec<Vec<u8>>)>,
    },
    Result {
        code: i64,
        matched_dn: String,
        diagnostic: String,
        /// The value of an extended response.
        value: Option<Vec<u8>>,
        name: Option<Vec<u8>>,
    },
}

impl Client {
    pub fn new(world: &World, is_tls: bool) -> Self {
        let peer =
            SessionPeer { source: Some([192, 0, 2, 7].into()), is_loopback: false, is_tls_at_proxy: false };
        Self {
            session: Session::new(world.registry.clone(), Arc::clone(&world.settings), peer, is_tls),
            begun: (world.start, Instant::now()),
            // No step of a minute from here ends where a rotated token does.
            seconds: 30,
            input: Vec::new(),
            output: Vec::new(),
            is_closed: false,
            is_tls,
        }
    }

    /// What one turn has done is bounded by what it has counted: octets that were read are work, and neither of it nor
    /// of octets to be written is more done than a turn may, and one request or one batch of each search beyond.
    fn counts_work(&self, (begun, steps): (u64, u64), taken: usize, written: usize) {
        let work = self.session.work_done() - begun;
        let steps = steps::taken() - steps;
        let octets = (taken + self.output.len() - written) as u64;
        assert!(
            steps <= STEPS_OF_WORK * work + octets / OCTETS_OF_A_STEP + STEPS_OF_A_TURN,
            "{steps} steps were taken for a work of {work}, with {octets} octets in and out"
        );
        assert!(taken as u64 / 64 <= work + 1, "{taken} octets were read for a work of {work}");
        assert!(work <= TURN_WORK_MAX, "a turn did {work}");
        assert!(
            self.output.len() - written <= TURN_OCTETS_MAX,
            "a turn wrote {}",
            self.output.len() - written
        );
    }

    pub fn now(&self) -> i64 {
        self.moment().now.unix_seconds()
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Sends octets and gives what was answered. With `rests` a search that has more to answer is left so, as long as
    /// the octets are taken all the same.
    pub fn send(&mut self, octets: &[u8], rests: bool) -> Vec<Answer> {
        self.input.extend_from_slice(octets);
        let mut all = Vec::new();
        let mut turns = 0;
        while !self.is_closed {
            let moment = self.moment();
            // A client that reads: nothing is ever held back for it.
            all.extend(answers(&std::mem::take(&mut self.output)));
            let (begun, written) = ((self.session.work_done(), steps::taken()), self.output.len());
            let taken = self.session.receive(&self.input, &mut self.output, moment);
            self.counts_work(begun, taken, written);
            self.input.drain(..taken);
            turns += 1;
            assert!(turns < 100_000, "the session does not come to an end");
            match self.session.next() {
                Next::Read if taken > 0 && !self.input.is_empty() => {}
                Next::Read => break,
                Next::Work if rests && self.input.is_empty() => break,
                Next::Work => {
                    let (begun, written) = ((self.session.work_done(), steps::taken()), self.output.len());
                    self.session.work(&mut self.output, moment);
                    self.counts_work(begun, 0, written);
                }
                Next::Hash => {
                    let attempt = self.session.attempt().expect("an attempt");
                    let outcome = wait(async { (&mut attempt.outcome).await });
                    self.session.conclude(outcome.ok(), &mut self.output, moment);
                }
                Next::Change => {
                    let changed = wait(self.session.change().expect("a change"));
                    self.session.conclude_change(changed, &mut self.output);
                }
                Next::StartTls => {
                    // What stands behind the request in clear must not be taken for what was sent in TLS.
                    assert_eq!(self.session.is_injected(&self.input), !self.input.is_empty());
                    assert!(!self.is_tls);
                    self.is_tls = true;
                    self.session.tls_started(None);
                    assert!(!self.session.is_bound());
                }
                Next::Close => self.is_closed = true,
            }
        }
        all.extend(answers(&std::mem::take(&mut self.output)));
        all
    }

    fn moment(&self) -> Moment {
        let passed = Duration::from_secs(self.seconds);
        Moment { now: self.begun.0.after(passed), instant: self.begun.1 + passed }
    }
}

/// All messages in the octets.
fn answers(octets: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut rest = octets;
    while !rest.is_empty() {
        let frame = frame::next(rest, usize::MAX).expect("an answer").expect("a whole answer");
        let mut body = BerReader::new(frame.body);
        let contents = match frame.operation {
            ENTRY => {
                let dn = body.string().expect("a DN").to_owned();
                let mut list = body.sequence().expect("attributes");
                let mut attributes = Vec::new();
                while !list.is_empty() {
                    let mut attribute = list.sequence().expect("an attribute");
                    let name = attribute.string().expect("its name").to_owned();
                    let mut set = BerReader::new(attribute.expect(0x31).expect("its values"));
                    let mut values = Vec::new();
                    while !set.is_empty() {
                        values.push(set.octet_string().expect("a value").to_vec());
                    }
                    assert!(attribute.is_empty());
                    attributes.push((name, values));
                }
                Contents::Entry { dn, attributes }
            }
            BIND_DONE | SEARCH_DONE | 0x67 | 0x69 | 0x6b | 0x6d | COMPARE_DONE | EXTENDED_DONE => {
                let code = body.enumerated().expect("a code");
                let matched_dn = body.string().expect("a matched DN").to_owned();
                let diagnostic = body.string().expect("a diagnostic").to_owned();
                if frame.operation == BIND_DONE {
                    body.optional(0x87).expect("SASL credentials");
                }
                let name = body.optional(0x8a).expect("a name").map(<[u8]>::to_vec);
                let value = body.optional(0x8b).expect("a value").map(<[u8]>::to_vec);
                Contents::Result { code, matched_dn, diagnostic, value, name }
            }
            other => panic!("the server sent a message with the tag {other:#04x}"),
        };
        assert!(body.is_empty(), "something stands behind the answer");
        let mut list = BerReader::new(frame.controls.unwrap_or_default());
        let mut controls = Vec::new();
        while !list.is_empty() {
            let mut control = list.sequence().expect("a control");
            let oid = control.string().expect("its OID").to_owned();
            controls.push((oid, control.octet_string().expect("its value").to_vec()));
            assert!(control.is_empty());
        }
        answers.push(Answer { id: frame.message_id, tag: frame.operation, contents, controls });
        rest = &rest[frame.octets.len()..];
    }
    answers
}

impl Answer {
    pub fn is_notice(&self) -> bool {
        self.id == 0
    }

    /// The result code; `None`: an entry.
    pub fn code(&self) -> Option<i64> {
        match &self.contents {
            Contents::Result { code, .. } => Some(*code),
            Contents::Entry { .. } => None,
        }
    }

    /// The value of a control.
    pub fn control(&self, oid: &str) -> Option<&[u8]> {
        self.controls.iter().find(|(other, _)| other == oid).map(|(_, value)| value.as_slice())
    }

    /// The cookie of a page, or the contextID of a view, that came with it.
    pub fn cookie(&self) -> Option<Vec<u8>> {
        let cookie = if let Some(value) = self.control(crate::request::PAGED) {
            let mut sequence = BerReader::new(value).sequence().expect("a page");
            sequence.integer().expect("an estimate");
            sequence.octet_string().expect("a cookie").to_vec()
        } else {
            let mut sequence =
                BerReader::new(self.control(crate::request::VIEWED)?).sequence().expect("a view");
            sequence.integer().expect("a place");
            sequence.integer().expect("a count");
            sequence.enumerated().expect("a code");
            sequence.optional(0x04).expect("a contextID")?.to_vec()
        };
        (!cookie.is_empty()).then_some(cookie)
    }

    /// All octets of it that may tell something: no name stands in them in another form.
    pub fn texts(&self) -> Vec<&[u8]> {
        let mut texts: Vec<&[u8]> = self.controls.iter().map(|(_, value)| value.as_slice()).collect();
        match &self.contents {
            Contents::Entry { dn, attributes } => {
                texts.push(dn.as_bytes());
                for (name, values) in attributes {
                    texts.push(name.as_bytes());
                    texts.extend(values.iter().map(Vec::as_slice));
                }
            }
            Contents::Result { matched_dn, diagnostic, value, .. } => {
                texts.extend([
                    matched_dn.as_bytes(),
                    diagnostic.as_bytes(),
                    value.as_deref().unwrap_or_default(),
                ]);
            }
        }
        texts
    }
}

/// Whether `octets` hold `text`, in any case.
pub fn holds(octets: &[u8], text: &str) -> bool {
    octets.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}
