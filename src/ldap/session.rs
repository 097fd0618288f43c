//! The state of one connection, without any I/O: octets that were read go in, octets to be written
//! come out, and the [`Next`] thing to wait for. Tests and fuzzers play whole conversations with it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client_trust::{ClientTrust, Shown};
use super::control::RequestControls;
use super::frame::{self, Frame, FrameError};
use super::memory::{self, BufferMemory, ConnectionMemory, Output};
use super::message::{self, Answer, DecodeError, DecodeLimits, Fault, Operation, Request};
use super::operation::bind::PendingBind;
use super::operation::gate::OperationRefusal;
use super::operation::password_modify;
pub use super::operation::password_modify::{Changed, PendingChange};
use super::operation::search::RunningSearch;
use super::operation::{bind, compare, extended, search, update};
use super::pages::Pages;
use super::response::{self, Outcome};
use super::result_code::ResultCode;
use crate::access::{Entitlements, Identity, admitted};
use crate::auth::HashOutcome;
use crate::config::{Limit, Limits, LimitsInForce, SecretsInClear};
use crate::directory::{Evaluator, FilterBounds, Snapshot};
use crate::model::{AccountNumber, Revision, Timestamp};
use crate::net::{ClientCertificate, MemoryHolders};
use crate::registry::{Attempt, BoundApplication, Registry, Trial};

/// What all sessions of a server have in common.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Where binds in clear are allowed.
    pub secrets_in_clear: SecretsInClear,
    pub limits: Limits,
    /// Whether there is a certificate to start TLS with.
    pub offers_start_tls: bool,
    /// Whose client certificates are believed, and which accounts they stand for, by SASL EXTERNAL.
    pub client_trust: Arc<ClientTrust>,
    /// So long before a secret expires a client that asks is warned.
    pub expiry_warning: Duration,
    /// How long a token that was rotated goes on working.
    pub rotation_overlap: Duration,
    /// What lasts from one page of a search to the next.
    pub pages: Arc<Pages>,
    /// What all connections hold for their clients.
    pub memory: ConnectionMemory,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub struct SessionPeer {
    /// The address; `None`: a Unix socket.
    pub source: Option<IpAddr>,
    /// Whether both ends lie on this machine.
    pub is_loopback: bool,
    /// Whether the client speaks TLS with a proxy that it comes by.
    pub is_tls_at_proxy: bool,
}

/// What time it is, handed in so that a test can replay it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For expiry.
    pub now: Timestamp,
    /// For time limits.
    pub instant: Instant,
}

/// What a session waits for after its input was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More octets from the client.
    Read,
    /// Its turn: a search has more to answer. Call [`Session::work`].
    Work,
    /// A hash: await [`Session::attempt`], then call [`Session::conclude`].
    Hash,
    /// A change of the directory: await [`Session::change`], then call [`Session::conclude_change`].
    Change,
    /// What was written so far must leave, then TLS begins. Call [`Session::tls_started`].
    StartTls,
    /// What was written so far must leave, then the connection is closed.
    Close,
}

/// The state of one connection.
pub struct Session {
    pub(super) registry: Arc<Registry>,
    pub(super) settings: Arc<SessionSettings>,
    pub(super) peer: SessionPeer,
    pub(super) is_tls: bool,
    /// What the client has proved in the handshake to hold.
    pub(super) certificate: Option<Box<Shown>>,
    /// Who has bound. Rights are looked up for every operation, see `access`.
    pub(super) identity: Option<Identity>,
    /// What who is bound may see.
    pub(super) entitlements: Entitlements,
    /// For whom it was last asked whether the identity still holds, and when.
    asked: Option<(Identity, Asked)>,
    /// Whether it does not, so that the client counts as one that has not bound. It may come to hold again.
    is_lost: bool,
    /// By which the throttle knows the address, if who is bound sees all.
    application: Option<BoundApplication>,
    /// Searches with more to answer, in the order of their next turns.
    pub(super) searches: VecDeque<RunningSearch>,
    /// The bind that waits for its hash; nothing is decoded until it has come.
    pub(super) bind: Option<PendingBind>,
    /// The change of a credential that waits for a hash and the disk; nothing is decoded until it was made.
    pub(super) change: Option<PendingChange>,
    /// Whether the client was told to go on with a SASL bind.
    pub(super) is_sasl_in_progress: bool,
    pub(super) evaluator: Evaluator,
    /// What it has cost to make the values of the present request ready: of its filter and of its controls.
    preparation: u64,
    pub(super) output_memory: BufferMemory,
    end: Option<Next>,
    /// It is being found which values who is bound is shown, before the next request is looked at: the work that had been
    /// done when the turn began which that request belongs to.
    finding: Option<u64>,
    /// Whether the client waits because too many of its operations are outstanding.
    is_held_back: bool,
}

/// When it was last asked what somebody may: a right that was taken away since, or a token that has expired, ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    revision: Revision,
    second: i64,
}

impl Asked {
    pub(super) fn now(newest: &Snapshot, moment: Moment) -> Self {
        Self { revision: newest.revision(), second: moment.now.unix_seconds() }
    }
}

/// What the operations need beside the session.
pub(super) struct Context<'a> {
    pub(super) snapshot: &'a Arc<Snapshot>,
    pub(super) moment: Moment,
    pub(super) output: &'a mut Vec<u8>,
    pub(super) message_id: i32,
    /// The operation as it was sent.
    pub(super) body: &'a [u8],
}

impl Session {
    /// A connection that was just accepted; `is_tls` when it began with a TLS handshake.
    pub fn new(
        registry: Arc<Registry>,
        settings: Arc<SessionSettings>,
        peer: SessionPeer,
        is_tls: bool,
    ) -> Self {
        let output_memory = settings.memory.buffer(memory::holders(None, peer));
        let evaluator = Evaluator::new(u64::from(settings.limits.filter_work_max));
        Self {
            registry,
            settings,
            peer,
            is_tls,
            certificate: None,
            identity: None,
            entitlements: Entitlements::default(),
            asked: None,
            is_lost: false,
            application: None,
            searches: VecDeque::new(),
            bind: None,
            change: None,
            is_sasl_in_progress: false,
            evaluator,
            preparation: 0,
            output_memory,
            end: None,
            finding: None,
            is_held_back: false,
        }
    }

    /// Takes whole messages from the front of `input`, as many as it may work on in one turn, and appends
    /// what there is to answer. Says how many octets were taken.
    pub fn receive(&mut self, input: &[u8], output: &mut Vec<u8>, moment: Moment) -> usize {
        let mut taken = 0;
        let finding = self.finding.take();
        let begun = finding.unwrap_or_else(|| self.evaluator.work());
        // What is being found is found to its end, whatever was done before: the request behind it is there already, and
        // nothing more may come that would have it looked at.
        let mut is_begun = finding.is_some();
        while self.takes_requests(output)
            && (std::mem::take(&mut is_begun) || self.evaluator.work() - begun < TURN_WORK)
        {
            // Taken anew for each: a bind is decided by the newest snapshot, and the search behind it
            // must not be answered from an older one that does not know its token.
            let snapshot = self.registry.current();
            self.look_at_identity(&snapshot, moment);
            let rest = input.get(taken..).unwrap_or_default();
            match frame::next(rest, self.message_size_max()) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    // A bind waits until what is outstanding has been answered (RFC 4511 section 4.2.1).
                    if frame.operation == BIND_REQUEST && !self.searches.is_empty() {
                        self.abandon_ahead(rest.get(frame.octets.len()..).unwrap_or_default());
                        if !self.searches.is_empty() {
                            break;
                        }
                    }
                    if matches!(frame.operation, SEARCH_REQUEST | COMPARE_REQUEST)
                        && !self.find_shown(&snapshot, moment)
                    {
                        self.finding = Some(begun);
                        break;
                    }
                    taken += frame.octets.len();
                    self.evaluator.add_work(WORK_OF_A_REQUEST + frame.octets.len() as u64 / 64);
                    let (message_id, body) = (frame.message_id, frame.body);
                    let context = Context { snapshot: &snapshot, moment, output, message_id, body };
                    self.request(&frame, context);
                }
                Err(error) => {
                    if matches!(error, FrameError::TooLarge { .. }) {
                        self.note(Limit::message_size_max);
                    }
                    self.disconnect(output, &error.to_string());
                    break;
                }
            }
        }
        self.note_held_back(taken < input.len(), output);
        taken
    }

    /// Asks whether who has bound still is who it was, as far as that may have changed: what is held for a client, and the
    /// limits that it has, are those of a stranger from then on.
    pub fn review(&mut self, moment: Moment) {
        let newest = self.registry.current();
        self.look_at_identity(&newest, moment);
    }

    /// Finds which values who is bound is shown, a piece at a time; says whether all of it is found. Nothing else is done
    /// for the client before that, and none of it counts as work: it has to do with what is hidden. What somebody sees is
    /// asked first, which is work as ever.
    fn find_shown(&mut self, snapshot: &Snapshot, moment: Moment) -> bool {
        let Some(identity) = self.held_identity().copied() else { return true };
        let is_found = self.entitlements.find_shown(snapshot, &identity, self.peer.source, moment.now);
        self.evaluator.add_work(self.entitlements.take_work());
        is_found
    }

    fn look_at_identity(&mut self, newest: &Snapshot, moment: Moment) {
        if let Some(shown) = &mut self.certificate {
            let trust = &self.settings.client_trust;
            shown.review(self.identity.as_mut(), trust, newest, moment.now);
            self.evaluator.add_work(shown.take_work());
            if let (Some(identity), Some(application)) = (&self.identity, &mut self.application) {
                application.review(identity);
            }
        }
        let Some(identity) = self.identity else { return };
        let asked = Some((identity, Asked::now(newest, moment)));
        if self.asked != asked {
            self.asked = asked;
            let (source, entitlements) = (self.peer.source, &mut self.entitlements);
            let held = admitted(newest, Some(&identity), identity.provider, source, moment.now, entitlements);
            self.is_lost = held.is_err();
            self.evaluator.add_work(self.entitlements.take_work());
        }
    }

    /// Notes once that a client was held back by the number of its operations, and each time by what it does not read.
    fn note_held_back(&mut self, is_more: bool, output: &Vec<u8>) {
        let operations_max = self.settings.limits.pending_operations_max;
        let is_held_back = is_more && self.searches.len() as u64 >= u64::from(operations_max);
        if is_held_back && !self.is_held_back {
            self.note(Limit::pending_operations_max);
        }
        self.is_held_back = is_held_back;
        if is_more && self.is_full(output) {
            self.note_full(output);
        }
    }

    /// That there is no memory is told when what is there leaves.
    fn note_full(&self, output: &[u8]) {
        if output.len() as u64 >= self.limits().output_buffer_max {
            self.note(Limit::output_buffer_max);
        }
    }

    /// The limits that are smaller as long as nobody is bound, as they are now.
    fn limits(&self) -> LimitsInForce {
        self.settings.limits.in_force(self.is_bound())
    }

    /// Notes that a limit was reached, or the smaller one that stands in for it as long as nobody is bound.
    pub(super) fn note(&self, limit: Limit) {
        self.registry.reached().note(if self.is_bound() { limit } else { limit.before_bind() });
    }

    /// Gives each search that has more to answer one turn, as long as there is room in `output`. Who had
    /// no turn comes first the next time.
    pub fn work(&mut self, output: &mut Vec<u8>, moment: Moment) {
        if self.finding.is_some() {
            return;
        }
        self.review(moment);
        let turns = self.searches.len();
        let begun = self.evaluator.work();
        for _ in 0..turns {
            if self.is_full(output) {
                self.note_full(output);
                break;
            }
            if self.evaluator.work() - begun >= TURN_WORK {
                break;
            }
            let Some(mut running) = self.searches.pop_front() else { break };
            let newest = self.registry.current();
            let (identity, entitlements) = (self.identity.as_ref(), &mut self.entitlements);
            let review = running.review(&newest, identity, self.peer.source, moment, entitlements);
            drop(newest);
            self.evaluator.add_work(self.entitlements.take_work());
            if let Err(denied) = review {
                if running.is_within_entry() {
                    // What is left of it may not be told any more, and nothing else can stand there.
                    self.searches.clear();
                    self.end = Some(Next::Close);
                    break;
                }
                running.refuse(&denied, output);
                continue;
            }
            let room = Output::new(output, &mut self.output_memory);
            match running.turn(&mut self.evaluator, room, moment) {
                None => {
                    let is_within_entry = running.is_within_entry();
                    self.keep_running(running, false, output);
                    if is_within_entry {
                        break;
                    }
                }
                Some(end) => running.limits_reached(end).for_each(|limit| self.note(limit)),
            }
        }
    }

    /// Keeps a search that has more to answer, if there is memory for it: its next turn comes behind those of the others,
    /// unless part of an entry has left, which nothing else may stand in.
    pub(super) fn keep_running(&mut self, mut running: RunningSearch, is_new: bool, output: &mut Vec<u8>) {
        if let Err(refusal) = self.hold_search(&mut running, is_new)
            && !running.is_within_entry()
        {
            return running.refuse_with(&refusal, output);
        }
        match running.is_within_entry() {
            true => self.searches.push_front(running),
            false => self.searches.push_back(running),
        }
    }

    fn is_within_entry(&self) -> bool {
        self.searches.front().is_some_and(RunningSearch::is_within_entry)
    }

    /// How much of the values of a filter is made ready.
    pub(super) fn filter_bounds(&self) -> FilterBounds {
        let LimitsInForce { filter_octets_max, assertion_length_max, filter_preparation_max, .. } =
            self.limits();
        FilterBounds {
            octets_max: octets(filter_octets_max),
            value_octets_max: octets(assertion_length_max),
            work_max: u64::from(filter_preparation_max).saturating_sub(self.preparation),
        }
    }

    /// Counts what it has cost to make values of the present request ready.
    pub(super) fn add_preparation(&mut self, work: u64) {
        self.preparation += work;
        self.evaluator.add_work(work);
    }

    /// What was done for the client so far, in elements of filters and values of entries that were looked at, and what
    /// costs as much.
    pub fn work_done(&self) -> u64 {
        self.evaluator.work()
    }

    /// The same with what was done apart from that, of which nothing but the turns of others depends.
    pub fn cost(&self) -> u64 {
        self.work_done() + self.entitlements.cost_apart()
    }

    /// Whether so much waits to be written that no more is done before it has left.
    pub fn is_full(&mut self, output: &Vec<u8>) -> bool {
        output.len() as u64 >= self.limits().output_buffer_max
            || output.len() >= memory::FREE_OCTETS
                && !self.output_memory.grow(output.capacity().max(output.len() + memory::FREE_OCTETS))
    }

    /// Holds what the buffer takes in which answers wait for the client: a buffer that grows takes more than what is in it.
    pub(super) fn hold_output(&mut self, capacity: usize) {
        // Room for what is in it was asked for before it was written.
        let _ = self.output_memory.hold(capacity);
        if self.output_memory.take_lack_of_room() {
            self.note(Limit::connection_memory_max);
        }
    }

    /// All that was written has left. Says whether the empty buffer stays: a small one does, a large one for a search that
    /// has more to answer, while there is memory for it.
    pub(super) fn keeps_output(&mut self, capacity: usize) -> bool {
        if !self.searches.is_empty() && self.output_memory.hold(capacity) {
            return true;
        }
        // Nothing always fits.
        let _ = self.output_memory.hold(0);
        capacity <= memory::FREE_OCTETS
    }

    /// In whose name memory is held now.
    pub(super) fn holders(&self) -> MemoryHolders {
        memory::holders(self.held_identity(), self.peer)
    }

    /// Whoever is bound now holds what was held before.
    pub(super) fn rename_memory(&mut self, holders: MemoryHolders) {
        self.output_memory.rename(holders);
    }

    /// Holds what a search takes now that it goes on; the first one of a connection needs nothing while it is small.
    fn hold_search(&self, running: &mut RunningSearch, is_new: bool) -> Result<(), OperationRefusal> {
        let octets = running.octets();
        let is_first = !is_new || self.searches.is_empty();
        let memory = running.memory();
        let is_held = match memory {
            None if is_first && octets <= memory::FREE_OCTETS => true,
            None => {
                *memory = self.settings.memory.operation(self.holders(), octets);
                memory.is_some()
            }
            Some(share) => share.set(octets as u64),
        };
        if is_held {
            return Ok(());
        }
        self.note(Limit::connection_memory_max);
        let sentence = "there is no memory for so many or so large searches at a time";
        Err(OperationRefusal::new(ResultCode::Busy, sentence))
    }

    /// What to wait for now.
    pub fn next(&self) -> Next {
        match self.end {
            Some(end) => end,
            None if self.bind.is_some() => Next::Hash,
            None if self.change.is_some() => Next::Change,
            None if self.finding.is_some() || !self.searches.is_empty() => Next::Work,
            None => Next::Read,
        }
    }

    /// The authentication that waits for a hash.
    pub fn attempt(&mut self) -> Option<&mut Attempt> {
        self.bind.as_mut().map(|bind| &mut *bind.attempt)
    }

    /// Answers the bind whose hash has come (`None`: it never will).
    pub fn conclude(&mut self, outcome: Option<HashOutcome>, output: &mut Vec<u8>, moment: Moment) {
        bind::conclude(self, outcome, output, moment);
    }

    /// The change that is waited for.
    pub fn change(&mut self) -> Option<&mut PendingChange> {
        self.change.as_mut()
    }

    /// Answers the change that was waited for.
    pub fn conclude_change(&mut self, changed: Changed, output: &mut Vec<u8>) {
        password_modify::conclude(self, changed, output);
    }

    /// TLS has begun, with this verified certificate of the client's, if it has shown one. What was known before
    /// the handshake counts no more (RFC 4511 section 4.14.3):
    /// whoever was bound in clear is anonymous again.
    pub fn tls_started(&mut self, certificate: Option<ClientCertificate>) {
        self.is_tls = true;
        self.certificate = certificate.map(|certificate| Box::new(Shown::new(certificate)));
        self.forget_identity();
        self.end = None;
    }

    /// Whether TLS is to begin, but `octets` stand behind the request in clear: somebody may have
    /// put them there, so the connection ends without a handshake.
    pub fn is_injected(&self, octets: &[u8]) -> bool {
        self.end == Some(Next::StartTls) && !octets.is_empty()
    }

    /// Somebody has bound.
    pub(super) fn bound(&mut self, identity: Identity, moment: Moment) {
        let trial = Trial { source: self.peer.source, now: moment.now, instant: moment.instant };
        let snapshot = self.registry.current();
        self.application = self.registry.note_bound(&identity, &snapshot, trial, &mut self.entitlements);
        self.evaluator.add_work(self.entitlements.take_work());
        drop(snapshot);
        self.identity = Some(identity);
        self.is_lost = false;
    }

    /// Nobody is bound any more.
    fn forget_identity(&mut self) {
        self.identity = None;
        self.is_lost = false;
        self.application = None;
    }

    fn held_identity(&self) -> Option<&Identity> {
        self.identity.as_ref().filter(|_| !self.is_lost)
    }

    /// The account that is bound.
    pub fn account(&self) -> Option<AccountNumber> {
        self.held_identity().map(|identity| identity.holder.account)
    }

    /// Whether somebody is bound.
    pub fn is_bound(&self) -> bool {
        self.held_identity().is_some()
    }

    /// Whether somebody has bound, and it holds no more.
    pub fn has_lost_identity(&self) -> bool {
        self.is_lost
    }

    /// Keeps nothing large for a client that is silent: it is found again.
    pub fn release_memory(&mut self) {
        self.entitlements.release();
    }

    /// Whether the client would wait for an answer.
    pub fn is_idle(&self) -> bool {
        self.searches.is_empty() && self.bind.is_none() && self.change.is_none() && self.finding.is_none()
    }

    /// The largest message that is taken now, in octets.
    pub fn message_size_max(&self) -> usize {
        octets(self.limits().message_size_max)
    }

    /// Says good-bye with a Notice of Disconnection.
    pub fn disconnect_with(&mut self, output: &mut Vec<u8>, code: ResultCode, diagnostic: &str) {
        // In the middle of an entry nothing else can stand.
        if !self.is_within_entry() {
            response::notice_of_disconnection(output, code, diagnostic);
        }
        self.searches.clear();
        self.bind = None;
        self.change = None;
        self.finding = None;
        self.end = Some(Next::Close);
    }

    /// Ends the session when what was written so far has left.
    pub(super) fn end_with(&mut self, end: Next) {
        self.end = Some(end);
    }

    fn disconnect(&mut self, output: &mut Vec<u8>, diagnostic: &str) {
        self.disconnect_with(output, ResultCode::ProtocolError, diagnostic);
    }

    /// Whether there is room for the answer of one more request. A full output or too many operations
    /// hold the client back: what it sends stays unread.
    fn takes_requests(&mut self, output: &Vec<u8>) -> bool {
        self.end.is_none()
            && self.bind.is_none()
            && self.change.is_none()
            && !self.is_full(output)
            && !self.is_within_entry()
            && (self.searches.len() as u64) < u64::from(self.settings.limits.pending_operations_max)
    }

    /// The table of operations: each request and what carries it out.
    fn request(&mut self, frame: &Frame<'_>, context: Context<'_>) {
        if frame.message_id == 0 {
            return self.disconnect(context.output, "the message ID 0 is reserved for notices of the server");
        }
        // Whatever comes of a bind, a malformed one or one with a control that is refused included: until it has
        // succeeded the connection is anonymous (RFC 4511 section 4.2.1, RFC 4513 section 4).
        if frame.operation == BIND_REQUEST {
            self.forget_identity();
        }
        self.evaluator.bound(u64::from(self.limits().filter_work_max));
        self.preparation = 0;
        let limits = self.decode_limits();
        let message = match message::decode(frame, &limits) {
            Ok(message) => message,
            Err(error) => {
                if let DecodeError::Refused { fault, .. } = error {
                    self.note_fault(fault);
                }
                let sentence = error.to_string();
                return match error.answer() {
                    Answer::Response(tag) => {
                        let outcome = Outcome::new(error.code(), &sentence);
                        response::result(context.output, frame.message_id, tag, &outcome, &[]);
                    }
                    Answer::Silence => {}
                    Answer::Disconnection => self.disconnect(context.output, &sentence),
                };
            }
        };
        let operation = message.request.operation();
        let controls = match RequestControls::read(operation, &message.controls, &limits) {
            Ok(controls) => controls,
            // An unbind is carried out whatever hangs on it; an abandon is not, and cannot say so either (RFC 4511
            // section 4.1.11).
            Err(_) if operation == Operation::Unbind => RequestControls::default(),
            Err(refusal) => {
                if let Some(fault) = refusal.fault {
                    self.note_fault(fault);
                }
                if let Some(tag) = operation.response() {
                    let outcome = Outcome::new(refusal.code, &refusal.sentence);
                    response::result(context.output, frame.message_id, tag, &outcome, &[]);
                }
                return;
            }
        };
        let tracked = controls.session_tracking.map(|tracking| tracking.span());
        let _entered = tracked.as_ref().map(tracing::Span::enter);
        match message.request {
            Request::Bind(request) => bind::run(self, &request, &controls, context),
            Request::Unbind => self.end_with(Next::Close),
            Request::Search(request) => search::run(self, &request, &controls, context),
            Request::Compare(request) => compare::run(self, &request, &controls, context),
            Request::Abandon { message_id } => self.abandon(message_id),
            Request::Extended(request) => extended::run(self, &request, context),
            Request::Update(kind) => update::run(kind, context),
        }
    }

    fn decode_limits(&self) -> DecodeLimits {
        let limits = &self.settings.limits;
        DecodeLimits {
            filter_depth_max: limits.filter_depth_max as usize,
            filter_elements_max: self.limits().filter_elements_max as usize,
            controls_max: limits.controls_max as usize,
            attributes_max: limits.requested_attributes_max as usize,
        }
    }

    /// Notes the limit that a request, or the value of one of its controls, exceeds.
    fn note_fault(&self, fault: Fault) {
        self.note(match fault {
            Fault::FilterTooDeep { .. } => Limit::filter_depth_max,
            Fault::FilterTooLong { .. } => Limit::filter_elements_max,
            Fault::TooManyControls { .. } => Limit::controls_max,
            Fault::TooManyAttributes { .. } => Limit::requested_attributes_max,
            _ => return,
        });
    }

    /// RFC 4511 section 4.11: no answer, neither to this nor to what is abandoned.
    fn abandon(&mut self, message_id: i32) {
        self.searches.retain(|running| running.message_id() != message_id);
    }

    /// Carries abandons out that stand directly behind a bind which waits for what they abandon. When their turn comes
    /// they find nothing any more.
    fn abandon_ahead(&mut self, mut input: &[u8]) {
        let limits = self.decode_limits();
        let begun = self.evaluator.work();
        while self.evaluator.work() - begun < TURN_WORK
            && let Ok(Some(frame)) = frame::next(input, self.message_size_max())
            && frame.operation == ABANDON_REQUEST
            && let Ok(message) = message::decode(&frame, &limits)
            && let Request::Abandon { message_id } = message.request
        {
            self.evaluator.add_work(WORK_OF_A_REQUEST);
            if RequestControls::read(Operation::Abandon, &message.controls, &limits).is_ok() {
                self.abandon(message_id);
            }
            input = input.get(frame.octets.len()..).unwrap_or_default();
        }
    }

    /// Takes a running search out, if there is one with this message ID.
    pub(super) fn take_search(&mut self, message_id: i32) -> Option<RunningSearch> {
        let place = self.searches.iter().position(|running| running.message_id() == message_id)?;
        self.searches.remove(place)
    }
}

/// What a limit allows, of which no more than fits into memory can come.
fn octets(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// What one turn of a connection may cost, in elements of filters and values of entries that are looked at: some 250
/// microseconds. Then others have their turn.
const TURN_WORK: u64 = 5_000;
/// What a request costs beside that.
const WORK_OF_A_REQUEST: u64 = 100;
/// The tag octet of a BindRequest.
const BIND_REQUEST: u8 = 0x60;
/// That of an AbandonRequest.
const ABANDON_REQUEST: u8 = 0x50;
/// Those of the requests that look at entries.
const SEARCH_REQUEST: u8 = 0x63;
const COMPARE_REQUEST: u8 = 0x6e;
