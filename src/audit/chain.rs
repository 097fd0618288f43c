//! The chains of events: the digest of each covers the digest of the one before it.
//!
//! Whoever removes, edits, doubles or moves an event must write all later ones of its trail anew, and the state of the
//! trail as well; then the digest of any of them, as it stands in a log elsewhere, tells.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::{Event, EventDigest, EventPlace, SystemUser, Trail, TrailState};

/// The digest of an event: BLAKE3 over all that it says and the digest of the one before it. Each part has its length
/// before it, so that nothing can move from one field into another.
pub fn digest(event: &Event) -> EventDigest {
    let Event {
        trail,
        sequence,
        previous,
        uuid,
        time,
        since,
        count,
        action,
        actor,
        application,
        object_kind,
        object_name,
        object_key,
        object_uuid,
        changes,
        details,
    } = event;
    let mut parts = Parts(blake3::Hasher::new());
    // What came before there were four has the digest that it had, and no event fits into another trail.
    parts.octets(domain(*trail));
    parts.number(*sequence);
    parts.octets(previous.as_octets());
    parts.octets(uuid.as_bytes());
    parts.octets(time.unix_seconds().to_le_bytes());
    parts.optional(since.map(|since| since.unix_seconds().to_le_bytes()));
    parts.number(*count);
    parts.octets(action.as_str());
    parts.octets(&actor.account);
    parts.optional(actor.number.map(|number| number.get().to_le_bytes()));
    parts.optional(actor.token.as_ref());
    // As text: 4 octets and 16 are told apart, and so are the two ways to write one address.
    parts.optional(actor.source.map(|source| source.to_string()));
    parts.optional(actor.request);
    parts.optional(application.as_ref());
    parts.octets(object_kind);
    parts.octets(object_name);
    parts.optional(object_key.map(u32::to_le_bytes));
    parts.optional(*object_uuid);
    parts.number(changes.len() as u64);
    for change in changes {
        parts.octets(&change.field);
        parts.optional(change.before.as_ref());
        parts.optional(change.after.as_ref());
    }
    parts.number(details.len() as u64);
    for detail in details {
        parts.octets(&detail.name);
        parts.octets(&detail.value);
    }
    // Behind all else, and only where there is one: events from before it was kept have the digest that they had.
    if let Some(SystemUser { uid, name, sudo_user }) = &actor.user {
        parts.octets(uid.to_le_bytes());
        parts.optional(name.as_ref());
        parts.optional(sudo_user.as_ref());
    }
    EventDigest::new(*parts.0.finalize().as_bytes())
}

/// Gives an event its place at the end of its trail, and the trail its new end.
pub fn append(state: &mut TrailState, event: &mut Event) {
    event.sequence = state.next;
    event.previous = state.head;
    state.next = state.next.saturating_add(1);
    state.head = digest(event);
}

/// An event that an operator has noted earlier, from the log or from a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedEvent {
    pub place: EventPlace,
    pub digest: EventDigest,
}

/// A text that names no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected TRAIL:SEQUENCE:DIGEST, or SEQUENCE:DIGEST of the trail of changes: the number of an event and the 64 \
     hexadecimal digits of its digest"
)]
pub struct NoExpectedEvent;

impl FromStr for ExpectedEvent {
    type Err = NoExpectedEvent;

    fn from_str(text: &str) -> Result<Self, NoExpectedEvent> {
        let (place, digest) = text.rsplit_once(':').ok_or(NoExpectedEvent)?;
        let place = place.parse().map_err(|_| NoExpectedEvent)?;
        Ok(Self { place, digest: digest.parse().map_err(|_| NoExpectedEvent)? })
    }
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum TrailProblem {
    /// Events are not there.
    Removed {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// An event says something else than when it was written.
    Edited {
        /// Which.
        sequence: u64,
    },
    /// An event stands elsewhere than where it was written, or a second time.
    Moved {
        /// Where it stands.
        sequence: u64,
        /// Behind which event it was written.
        written_behind: u64,
    },
    /// An event stands where there is none: before the first or behind the last.
    Added {
        /// Where it stands.
        sequence: u64,
    },
    /// An event that was noted earlier has another digest now, or is not there: everything may have been written anew.
    Rewritten {
        /// Which.
        sequence: u64,
        /// As it was noted.
        expected: EventDigest,
        /// As it is; `None`: it is not there.
        found: Option<EventDigest>,
    },
}

impl fmt::Display for TrailProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed { first, last } if first == last => write!(formatter, "event {first} was removed"),
            Self::Removed { first, last } => write!(formatter, "events {first} to {last} were removed"),
            Self::Edited { sequence } => {
                write!(formatter, "event {sequence} was edited: the one after it holds another digest of it")
            }
            Self::Moved { sequence, written_behind } => write!(
                formatter,
                "event {sequence} is out of order: it was written behind event {written_behind}"
            ),
            Self::Added { sequence } => {
                write!(formatter, "event {sequence} was added: it is before the first or behind the last one")
            }
            Self::Rewritten { sequence, expected, found: Some(found) } => {
                write!(formatter, "event {sequence} has the digest {found}, and not {expected} as expected")
            }
            Self::Rewritten { sequence, expected, found: None } => {
                write!(
                    formatter,
                    "event {sequence} with the digest {expected} is not there: if its time was over, compare with a \
                     newer one"
                )
            }
        }
    }
}

/// What came of the verification of all trails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// Of each trail.
    pub trails: Vec<TrailReport>,
}

impl AuditReport {
    /// Whether everything is as it was written.
    pub fn is_whole(&self) -> bool {
        self.trails.iter().all(TrailReport::is_whole)
    }
}

/// What came of the verification of one trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailReport {
    /// Which.
    pub trail: Trail,
    /// How many events were read.
    pub verified: u64,
    /// The first event that is kept.
    pub first: u64,
    /// The last event; below `first`: none is kept.
    pub last: u64,
    /// The digest of the last event, to be noted elsewhere.
    pub head: EventDigest,
    /// The first problems, in their order.
    pub problems: Vec<TrailProblem>,
    /// How many problems there are in all.
    pub problem_count: u64,
}

impl TrailReport {
    /// Whether everything is as it was written.
    pub fn is_whole(&self) -> bool {
        self.problem_count == 0
    }
}

/// Verifies events that are handed to it in their order, and goes on after each problem.
pub struct TrailVerifier {
    /// As it was at the beginning.
    state: TrailState,
    /// Those of this trail that have not been met.
    expected: Vec<ExpectedEvent>,
    /// The digest of the event that was seen last, with its sequence; at first of the one before the first kept.
    last: (u64, EventDigest),
    /// What the event behind `last` says of it was wrong already: one harm is told once.
    recent: Recent,
    report: TrailReport,
}

impl TrailVerifier {
    /// For a trail of this state, and what was noted of this one and of others.
    pub fn new(trail: Trail, state: TrailState, expected: &[ExpectedEvent]) -> Self {
        let expected = expected.iter().filter(|expected| expected.place.trail == trail).copied().collect();
        let last = (state.first.saturating_sub(1), state.before);
        let report = TrailReport {
            trail,
            verified: 0,
            first: state.first,
            last: state.next.saturating_sub(1),
            head: state.head,
            problems: Vec::new(),
            problem_count: 0,
        };
        let mut recent = Recent::default();
        recent.add(last.0, last.1);
        let mut verifier = Self { state, expected, last, recent, report };
        // The event before the first one is known by its digest alone.
        verifier.compare_expected(last.0, last.1);
        verifier
    }

    /// The sequence of the event that is to come next.
    pub fn next(&self) -> u64 {
        self.last.0.saturating_add(1)
    }

    /// Events were removed from the front in the meantime, as their time was over: what is to come begins later.
    pub fn advance(&mut self, state: &TrailState) {
        if state.first > self.next() {
            self.last = (state.first.saturating_sub(1), state.before);
            self.recent.add(self.last.0, self.last.1);
            self.compare_expected(self.last.0, self.last.1);
        }
        if state.first > self.report.first {
            self.report.first = state.first;
        }
    }

    /// Takes the next event; one behind the last that was there at the beginning is of no concern.
    pub fn push(&mut self, event: &Event) {
        if event.sequence >= self.state.next {
            return;
        }
        if event.sequence < self.state.first {
            self.problem(TrailProblem::Added { sequence: event.sequence });
            return;
        }
        // It was there when it was read; its time was over since.
        if event.sequence < self.next() {
            return;
        }
        self.report.verified += 1;
        let follows = event.previous == self.last.1;
        if event.sequence > self.next() && !(follows && is_known(&self.last.1)) {
            self.problem(TrailProblem::Removed { first: self.next(), last: event.sequence - 1 });
        } else if !follows {
            match self.recent.sequence_of(&event.previous) {
                Some(written_behind) => {
                    self.problem(TrailProblem::Moved { sequence: event.sequence, written_behind });
                }
                None => self.problem(TrailProblem::Edited { sequence: self.last.0.max(self.report.first) }),
            }
        }
        let digest = digest(event);
        self.compare_expected(event.sequence, digest);
        self.recent.add(event.sequence, digest);
        self.last = (event.sequence, digest);
    }

    /// Says that an event stands behind the newest.
    pub fn added_behind(&mut self, sequence: u64) {
        self.problem(TrailProblem::Added { sequence });
    }

    /// Says that there are no more events.
    pub fn finish(mut self) -> TrailReport {
        let has_end = self.last.1 == self.state.head;
        if self.next() < self.state.next {
            if has_end && is_known(&self.state.head) {
                self.report.last = self.last.0;
            } else {
                self.problem(TrailProblem::Removed { first: self.next(), last: self.state.next - 1 });
            }
        } else if self.next() == self.state.next && !has_end {
            // Further on stands who went on with a trail all of whose events are gone by now.
            self.problem(TrailProblem::Edited { sequence: self.last.0 });
        }
        for ExpectedEvent { place, digest } in std::mem::take(&mut self.expected) {
            let sequence = place.sequence;
            self.problem(TrailProblem::Rewritten { sequence, expected: digest, found: None });
        }
        self.report
    }

    fn compare_expected(&mut self, sequence: u64, found: EventDigest) {
        let met: Vec<_> =
            self.expected.extract_if(.., |expected| expected.place.sequence == sequence).collect();
        for ExpectedEvent { digest: expected, .. } in met.into_iter().filter(|met| met.digest != found) {
            self.problem(TrailProblem::Rewritten { sequence, expected, found: Some(found) });
        }
    }

    fn problem(&mut self, problem: TrailProblem) {
        self.report.problem_count += 1;
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(problem);
        }
    }
}

/// Whether an event has this digest. What follows on that one in the chain is the next one, whatever its number: a store that was
/// restored goes on behind the numbers of the one that it has replaced, and who could write that could write all anew.
fn is_known(digest: &EventDigest) -> bool {
    *digest != EventDigest::NONE
}

/// The digests of the events that were seen last, so that one that was moved is recognised.
#[derive(Default)]
struct Recent {
    order: VecDeque<EventDigest>,
    sequences: HashMap<EventDigest, u64>,
}

impl Recent {
    fn add(&mut self, sequence: u64, digest: EventDigest) {
        if self.order.len() >= RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.sequences.remove(&oldest);
        }
        self.order.push_back(digest);
        self.sequences.insert(digest, sequence);
    }

    fn sequence_of(&self, digest: &EventDigest) -> Option<u64> {
        self.sequences.get(digest).copied()
    }
}

/// The parts of an event, each behind its length.
struct Parts(blake3::Hasher);

impl Parts {
    fn octets(&mut self, octets: impl AsRef<[u8]>) {
        let octets = octets.as_ref();
        self.number(octets.len() as u64);
        self.0.update(octets);
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn optional(&mut self, octets: Option<impl AsRef<[u8]>>) {
        match octets {
            None => {
                self.0.update(&[0]);
            }
            Some(octets) => {
                self.0.update(&[1]);
                self.octets(octets);
            }
        }
    }
}

/// What the digest is for, and the version of the encoding.
const fn domain(trail: Trail) -> &'static [u8] {
    match trail {
        Trail::Changes => b"bindery event 1",
        Trail::Logins => b"bindery event 1 of logins",
        Trail::Failures => b"bindery event 1 of failures",
        Trail::Custom => b"bindery event 1 of callers",
    }
}

/// So many problems are told one by one; the others are only counted.
/// No limit of the config: all are counted, and nobody reads more.
const PROBLEMS_MAX: usize = 100;
/// An event that was moved by more than this is told as an edit.
/// No limit of the config: it is about the words of a report.
const RECENT_MAX: usize = 4_096;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::{AccountNumber, Action, Actor, EventDetail, FieldChange, Timestamp};

    fn event(number: u64) -> Event {
        Event {
            uuid: Uuid::from_u128(u128::from(number)),
            action: Action::ModelUpdated,
            actor: Actor {
                number: Some(AccountNumber::new(7)),
                token: Some("cloud".to_owned()),
                source: Some("192.0.2.7".parse().unwrap()),
                request: Some(Uuid::from_u128(9)),
                ..Actor::named("portal")
            },
            application: Some("cloud".to_owned()),
            object_kind: "account".to_owned(),
            object_name: format!("user{number}"),
            object_key: Some(8),
            object_uuid: Some(Uuid::from_u128(8)),
            changes: vec![FieldChange {
                field: "email".to_owned(),
                before: Some("a@example.com".to_owned()),
                after: Some("b@example.com".to_owned()),
            }],
            details: vec![EventDetail { name: "reason".to_owned(), value: "asked".to_owned() }],
            ..crate::plain::event()
        }
    }

    fn chain(count: u64) -> (TrailState, Vec<Event>) {
        let mut state = TrailState::default();
        let mut events: Vec<Event> = (1..=count).map(event).collect();
        events.iter_mut().for_each(|event| append(&mut state, event));
        (state, events)
    }

    fn verify(state: TrailState, events: &[Event]) -> TrailReport {
        let mut verifier = TrailVerifier::new(Trail::Changes, state, &[]);
        events.iter().for_each(|event| verifier.push(event));
        verifier.finish()
    }

    #[test]
    fn an_untouched_chain_is_whole() {
        for count in [0, 1, 2, 100] {
            let (trail, events) = chain(count);
            let report = verify(trail, &events);
            assert!(report.is_whole(), "{report:?}");
            assert_eq!((report.verified, report.first, report.last), (count, 1, count));
            assert_eq!(report.head, trail.head);
        }
    }

    /// Whatever field is edited, of whichever event, it is named.
    #[test]
    fn every_edit_is_noticed() {
        type Edit = fn(&mut Event);
        let edits: [Edit; 22] = [
            |event| event.trail = Trail::Logins,
            |event| event.uuid = Uuid::from_u128(99),
            |event| event.time = Timestamp::from_unix_seconds(1),
            |event| event.since = Some(event.time),
            |event| event.count = 2,
            |event| event.action = Action::ModelDeleted,
            |event| event.actor.account.push('x'),
            |event| event.actor.number = None,
            |event| event.actor.token = None,
            |event| event.actor.source = Some("::ffff:192.0.2.7".parse().unwrap()),
            |event| event.actor.request = None,
            |event| event.application = None,
            |event| event.object_kind.push('x'),
            |event| event.object_name.push('x'),
            |event| event.object_key = Some(9),
            |event| event.object_uuid = None,
            |event| event.changes.clear(),
            |event| event.changes[0].field.push('x'),
            |event| event.changes[0].before = None,
            |event| event.changes[0].after = None,
            |event| event.details[0].name.push('x'),
            // From one field into the next.
            |event| {
                event.object_kind.push('u');
                event.object_name.remove(0);
            },
        ];
        for (number, edit) in edits.iter().enumerate() {
            for place in [0, 4, 9] {
                let (trail, mut events) = chain(10);
                edit(&mut events[place]);
                let report = verify(trail, &events);
                let sequence = place as u64 + 1;
                assert_eq!(report.problems, [TrailProblem::Edited { sequence }], "edit {number}");
            }
        }
        let (trail, mut events) = chain(10);
        events[4].previous = EventDigest::new([1; 32]);
        assert!(!verify(trail, &events).is_whole());
        let (trail, mut events) = chain(10);
        events[0].previous = EventDigest::new([1; 32]);
        assert!(verify(trail, &events).problems.contains(&TrailProblem::Edited { sequence: 1 }));
    }

    #[test]
    fn an_event_is_noted_by_its_number_and_digest() {
        let digest = EventDigest::new([0xab; 32]);
        let noted = |trail: Trail| ExpectedEvent { place: trail.at(12), digest };
        assert_eq!(format!("12:{digest}").parse(), Ok(noted(Trail::Changes)));
        for trail in Trail::ALL {
            assert_eq!(format!("{trail}:12:{digest}").parse(), Ok(noted(trail)));
        }
        let wrong =
            ["", "12", "12:", ":ab", "12:ab", "x:abab", "logins:12", "logins:12:ab"].map(str::to_owned);
        let more = [format!("-1:{digest}"), format!("logs:12:{digest}"), format!("logins:{digest}")];
        for wrong in wrong.iter().chain(&more) {
            assert_eq!(wrong.parse::<ExpectedEvent>(), Err(NoExpectedEvent), "{wrong}");
        }
    }

    #[test]
    fn gaps_are_named_and_the_rest_is_verified() {
        let (trail, mut events) = chain(20);
        events[18].count = 5;
        events.drain(9..12);
        events.remove(0);
        let report = verify(trail, &events);
        assert_eq!(
            report.problems,
            [
                TrailProblem::Removed { first: 1, last: 1 },
                TrailProblem::Removed { first: 10, last: 12 },
                TrailProblem::Edited { sequence: 19 },
            ]
        );
        let (trail, mut events) = chain(20);
        events.truncate(17);
        assert_eq!(verify(trail, &events).problems, [TrailProblem::Removed { first: 18, last: 20 }]);
        assert_eq!(verify(trail, &[]).problems, [TrailProblem::Removed { first: 1, last: 20 }]);
    }

    /// As a store does that was restored: those of the one that it has replaced had the numbers between.
    #[test]
    fn what_goes_on_behind_numbers_that_were_passed_over_is_whole() {
        let (mut trail, mut events) = chain(10);
        trail.next = 31;
        let report = verify(trail, &events);
        assert!(report.is_whole(), "{:?}", report.problems);
        // What is to be noted is the event that is there.
        assert_eq!(report.last, 10);
        let mut event = events[0].clone();
        append(&mut trail, &mut event);
        assert_eq!(event.sequence, 31);
        events.push(event);
        let report = verify(trail, &events);
        assert!(report.is_whole() && report.last == 31 && report.verified == 11, "{:?}", report.problems);
        // What is missing at either end of the numbers, or was edited before them, is missed.
        let problems = |events: &[Event]| verify(trail, events).problems;
        let mut without = events.clone();
        without.remove(9);
        assert_eq!(problems(&without), [TrailProblem::Removed { first: 10, last: 30 }]);
        assert_eq!(problems(&events[..10]), [TrailProblem::Removed { first: 11, last: 31 }]);
        let mut edited = events.clone();
        edited[9].count = 5;
        assert!(!problems(&edited).is_empty());
    }

    #[test]
    fn events_that_were_swapped_or_doubled_are_named() {
        let (trail, mut events) = chain(10);
        events.swap(3, 4);
        (events[3].sequence, events[4].sequence) = (4, 5);
        let report = verify(trail, &events);
        assert!(
            report.problems.contains(&TrailProblem::Moved { sequence: 5, written_behind: 3 }),
            "{report:?}"
        );

        let (trail, mut events) = chain(10);
        events[7] = Event { sequence: 8, ..events[2].clone() };
        let report = verify(trail, &events);
        assert!(
            report.problems.contains(&TrailProblem::Moved { sequence: 8, written_behind: 2 }),
            "{report:?}"
        );
    }

    #[test]
    fn events_beyond_the_ends_are_named() {
        let (mut trail, mut events) = chain(10);
        trail.first = 4;
        trail.before = digest(&events[2]);
        assert!(verify(trail, &events[3..]).is_whole());
        let report = verify(trail, &events);
        assert_eq!(report.problems, [1, 2, 3].map(|sequence| TrailProblem::Added { sequence }));
        // The anchor holds the first kept event to what was before it.
        trail.before = EventDigest::new([3; 32]);
        events.drain(..3);
        assert_eq!(verify(trail, &events).problems, [TrailProblem::Edited { sequence: 4 }]);
    }

    #[test]
    fn a_chain_that_was_written_anew_is_told_by_a_digest_from_elsewhere() {
        let (trail, events) = chain(10);
        let noted = ExpectedEvent { place: Trail::Changes.at(5), digest: digest(&events[4]) };
        let with = |state: TrailState, events: &[Event], expected| {
            let mut verifier = TrailVerifier::new(Trail::Changes, state, &[expected]);
            events.iter().for_each(|event| verifier.push(event));
            verifier.finish().problems
        };
        assert_eq!(with(trail, &events, noted), []);
        let mut other = TrailState::default();
        let mut anew: Vec<Event> = events.clone();
        anew[2].count = 9;
        anew.iter_mut().for_each(|event| append(&mut other, event));
        assert!(verify(other, &anew).is_whole());
        let found = Some(digest(&anew[4]));
        let problem = TrailProblem::Rewritten { sequence: 5, expected: noted.digest, found };
        assert_eq!(with(other, &anew, noted), [problem]);
        // What was noted of another trail says nothing of this one.
        let elsewhere = ExpectedEvent { place: Trail::Logins.at(5), ..noted };
        assert_eq!(with(other, &anew, elsewhere), []);
        let later = ExpectedEvent { place: Trail::Changes.at(11), ..noted };
        let problem = TrailProblem::Rewritten { sequence: 11, expected: noted.digest, found: None };
        assert_eq!(with(trail, &events, later), [problem]);
        // The last one that was removed as its time was over is still known.
        let kept = TrailState { first: 6, before: noted.digest, ..trail };
        assert_eq!(with(kept, &events[5..], noted), []);
    }

    /// Whatever goes from the front while the trail is verified, nothing of it is a problem.
    #[test]
    fn events_may_go_from_the_front_in_the_meantime() {
        let (whole, events) = chain(20);
        let at = |first: u64, next: u64| {
            let digest_of =
                |sequence: u64| events.iter().find(|event| event.sequence == sequence).map(digest);
            TrailState {
                first,
                before: digest_of(first - 1).unwrap_or_default(),
                next,
                head: digest_of(next - 1).unwrap_or_default(),
            }
        };
        assert_eq!(at(1, 21), whole);
        for read in 0..=10 {
            for first in 1..=21 {
                // Begun when there were ten events; `read` of them were seen before the rest was shortened.
                let mut verifier = TrailVerifier::new(Trail::Changes, at(1, 11), &[]);
                events.iter().take(read).for_each(|event| verifier.push(event));
                verifier.advance(&at(first, 21));
                events.iter().filter(|event| event.sequence >= first).for_each(|event| verifier.push(event));
                let report = verifier.finish();
                assert!(report.is_whole(), "{read} read, then from {first}: {report:?}");
            }
        }
    }

    #[test]
    fn problems_are_bounded_and_counted() {
        let (trail, events) = chain(1_000);
        let odd: Vec<Event> = events.into_iter().filter(|event| event.sequence % 2 == 1).collect();
        let report = verify(trail, &odd);
        assert_eq!((report.problems.len(), report.problem_count), (100, 500));
    }
}
