//! Random and mutated requests, in pieces: no panic, one final response of the right type for each request, what is counted
//! bounds what is done, and never a word of what the client may not see.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ldap3_proto::proto::{
    LdapAddRequest, LdapCompareRequest, LdapExtendedRequest, LdapMsg, LdapOp, LdapSearchScope,
};
use proptest::prelude::*;
use proptest::sample::Index;

use super::client::{
    Client, bind, count_bounds_steps, decode, encode, raw, result_of, search, tag_of, with_control,
};
use super::world::{ALICE_PASSWORD, BASE, NOW, SEEN_BY_APP, Wishes, World, stranger, wait};
use crate::ldap::frame;
use crate::ldap::message::{self, Answer, Operation, Request};
use crate::ldap::session::{Moment, Next, Session};
use crate::schema::steps;

/// A world whose app sees itself only, and requests of all sorts. Whoever else is in it has a name with `hidden`
/// or `user-` in it, or stands in no request with a secret.
struct Stage {
    world: World,
    corpus: Vec<Vec<u8>>,
}

static STAGE: LazyLock<Stage> = LazyLock::new(|| {
    let mut world = World::with(Wishes { people: 60, ..Wishes::default() });
    world.settings.limits.message_size_max = 64 * 1024;
    world.settings.limits.message_size_before_bind_max = 64 * 1024;
    let filters = [
        "(objectClass=*)",
        "(cn=*)",
        "(!(cn=app))",
        "(&(objectClass=person)(|(uid=a*)(mail=*x*)))",
        "(member=cn=hidden-bob,ou=users,dc=example,dc=org)",
        "(memberOf:1.2.840.113556.1.4.1941:=cn=everyone,ou=groups,dc=example,dc=org)",
        "(uidNumber>=2000)",
        "(:dn:2.5.13.2:=app)",
        "(nonsense~=x)",
    ];
    let bases = [
        "",
        BASE,
        "ou=users,dc=example,dc=org",
        "ou=groups,dc=example,dc=org",
        "cn=hidden-bob,ou=users,dc=example,dc=org",
        "cn=x,cn=hidden-bob,ou=users,dc=example,dc=org",
        "cn=staff,ou=groups,dc=example,dc=org",
        "cn=subschema",
        "dc=other,dc=net",
    ];
    let scopes = [
        LdapSearchScope::Base,
        LdapSearchScope::OneLevel,
        LdapSearchScope::Subtree,
        LdapSearchScope::Children,
    ];
    let lists: [&[&str]; 4] = [&[], &["*", "+"], &["1.1"], &["cn", "memberOf", "member", "@posixGroup"]];
    let mut corpus = vec![
        bind(1, "cn=app,ou=users,dc=example,dc=org", world.secrets.app.as_bytes()),
        bind(1, "app", world.secrets.app.as_bytes()),
        bind(1, "app@corp.example", world.secrets.app.as_bytes()),
        bind(1, "app", world.secrets.app_expired.as_bytes()),
        bind(1, "alice", b"wrong"),
        bind(1, "alice", &ALICE_PASSWORD.as_bytes()[1..]),
        bind(1, "app", b""),
        bind(1, "", b""),
        encode(1, LdapOp::UnbindRequest),
        encode(1, LdapOp::AbandonRequest(1)),
        encode(1, LdapOp::DelRequest(BASE.to_owned())),
        encode(1, LdapOp::AddRequest(LdapAddRequest { dn: BASE.to_owned(), attributes: Vec::new() })),
        raw(1, &[0x7f, 0x01, 0x00]),
    ];
    for name in ["1.3.6.1.4.1.1466.20037", "1.3.6.1.4.1.4203.1.11.3", "1.2.3"] {
        let request = LdapExtendedRequest { name: name.to_owned(), value: None };
        corpus.push(encode(1, LdapOp::ExtendedRequest(request)));
    }
    for dn in bases {
        for (atype, val) in [("member", "cn=hidden-bob,ou=users,dc=example,dc=org"), ("cn", "hidden-bob")] {
            let (dn, atype, val) = (dn.to_owned(), atype.to_owned(), val.into());
            corpus.push(encode(1, LdapOp::CompareRequest(LdapCompareRequest { dn, atype, val })));
        }
    }
    for (number, filter) in filters.iter().enumerate() {
        for (place, base) in bases.iter().enumerate() {
            let request =
                search(base, scopes[(number + place) % 4].clone(), filter, lists[(number * 3 + place) % 4]);
            corpus.push(encode(1, LdapOp::SearchRequest(request)));
        }
        let request = search(BASE, LdapSearchScope::Subtree, filter, &["*", "+"]);
        corpus.push(with_control(&encode(1, LdapOp::SearchRequest(request)), "1.2.3.4", number % 2 == 0));
    }
    Stage { world, corpus }
});

/// How a request of the corpus is changed.
#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    Double(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, octet)| Mutation::Set(at, octet)),
        (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, octet)| Mutation::Insert(at, octet)),
        any::<Index>().prop_map(Mutation::Remove),
        any::<Index>().prop_map(Mutation::Cut),
        any::<Index>().prop_map(Mutation::Double),
    ]
}

fn mutate(octets: &mut Vec<u8>, mutation: &Mutation) {
    if octets.is_empty() {
        return;
    }
    let length = octets.len();
    match mutation {
        Mutation::Set(at, octet) => octets[at.index(length)] = *octet,
        Mutation::Flip(at, bit) => octets[at.index(length)] ^= 1 << bit,
        Mutation::Insert(at, octet) => octets.insert(at.index(length), *octet),
        Mutation::Remove(at) => drop(octets.remove(at.index(length))),
        Mutation::Cut(at) => octets.truncate(at.index(length)),
        Mutation::Double(at) => {
            let piece = octets[at.index(length)..].to_vec();
            octets.extend(piece);
        }
    }
}

/// One request: which of the corpus, under which message ID, and how it is changed inside its frame.
#[derive(Clone, Debug)]
struct Sent {
    which: Index,
    id: i32,
    /// Of the whole message, framing included: rarely, as that mostly ends the connection.
    outside: Vec<Mutation>,
    /// Of the contents of the operation: the frame stays sound.
    inside: Vec<Mutation>,
}

impl Sent {
    fn octets(&self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let original = self.which.get(corpus);
        let frame = frame::next(original, usize::MAX).unwrap().unwrap();
        let mut body = frame.body.to_vec();
        self.inside.iter().for_each(|mutation| mutate(&mut body, mutation));
        let operation = super::client::element(frame.operation, &body);
        let controls =
            frame.controls.map(|controls| super::client::element(0xa0, controls)).unwrap_or_default();
        let mut octets = raw(self.id, &[operation, controls].concat());
        self.outside.iter().for_each(|mutation| mutate(&mut octets, mutation));
        octets
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let outside = prop_oneof![
        12 => Just(Vec::new()),
        1 => proptest::collection::vec(mutation(), 1..3),
    ];
    let inside = prop_oneof![
        2 => Just(Vec::new()),
        1 => proptest::collection::vec(mutation(), 1..4),
    ];
    let id = prop_oneof![20 => 1..40i32, 1 => Just(i32::MAX), 1 => Just(0)];
    (any::<Index>(), id, outside, inside).prop_map(|(which, id, outside, inside)| Sent {
        which,
        id,
        outside,
        inside,
    })
}

/// What must come back, by what the frames say.
#[derive(Default)]
struct Expected {
    /// How many final responses of each message ID and tag.
    finals: BTreeMap<(i32, u8), usize>,
    /// Message IDs that were named by an abandon.
    abandoned: Vec<i32>,
    has_notice: bool,
}

fn expected(mut stream: &[u8], limit: usize, taken: usize) -> Expected {
    let all = stream.len();
    let mut expected = Expected::default();
    loop {
        // What stands behind the end of the session was not taken.
        if all - stream.len() >= taken && frame::next(stream, limit).is_ok() {
            return expected;
        }
        let frame = match frame::next(stream, limit) {
            Ok(Some(frame)) => frame,
            Ok(None) => return expected,
            Err(_) => {
                expected.has_notice = true;
                return expected;
            }
        };
        stream = &stream[frame.octets.len()..];
        let Some(operation) = Operation::from_tag(frame.operation).filter(|_| frame.message_id != 0) else {
            expected.has_notice = true;
            return expected;
        };
        match message::decode(&frame, &Default::default()) {
            Err(error) => assert!(!matches!(error.answer(), Answer::Disconnection)),
            Ok(decoded) => match decoded.request {
                Request::Unbind => return expected,
                Request::Abandon { message_id } => expected.abandoned.push(message_id),
                _ => {}
            },
        }
        if let Some(tag) = operation.response() {
            *expected.finals.entry((frame.message_id, tag.as_u8())).or_default() += 1;
        }
    }
}

/// Plays a stream of octets in pieces, as a connection does. Gives what came back, what was taken, and how it ended.
fn play(world: &World, is_tls: bool, stream: &[u8], borders: &[Index]) -> (Vec<u8>, usize, Next) {
    let settings = std::sync::Arc::new(world.settings.clone());
    let mut session = Session::new(world.registry.clone(), settings, stranger(), is_tls);
    let instant = std::time::Instant::now();
    let moment = Moment { now: NOW, instant };
    let mut borders: Vec<usize> = borders.iter().map(|border| border.index(stream.len() + 1)).collect();
    borders.push(stream.len());
    borders.sort_unstable();
    let (mut all, mut output, mut taken) = (Vec::new(), Vec::new(), 0);
    for border in borders {
        loop {
            let before = taken;
            let (work, steps) = (session.work_done(), steps::taken());
            taken += session.receive(&stream[taken..border], &mut output, moment);
            assert!(taken <= border);
            let octets = taken - before + output.len();
            count_bounds_steps(session.work_done() - work, steps::taken() - steps, octets);
            all.append(&mut output);
            let (work, steps) = (session.work_done(), steps::taken());
            match session.next() {
                Next::Read if taken > before && taken < border => {}
                Next::Read => break,
                Next::Work => session.work(&mut output, moment),
                Next::Hash => {
                    let outcome = wait(async { (&mut session.attempt().expect("an attempt").outcome).await });
                    session.conclude(outcome.ok(), &mut output, moment);
                }
                Next::Change => {
                    let changed = wait(async { session.change().expect("a change").await });
                    session.conclude_change(changed, &mut output);
                }
                end @ (Next::StartTls | Next::Close) => {
                    // Nothing more happens.
                    assert_eq!(session.receive(&stream[taken..], &mut output, moment), 0);
                    session.work(&mut output, moment);
                    session.conclude(None, &mut output, moment);
                    assert!(output.is_empty());
                    return (all, taken, end);
                }
            }
            count_bounds_steps(session.work_done() - work, steps::taken() - steps, output.len());
            all.append(&mut output);
        }
    }
    (all, taken, Next::Read)
}

fn check(messages: &[LdapMsg], expected: &Expected) -> Result<(), TestCaseError> {
    let mut found: BTreeMap<(i32, u8), usize> = BTreeMap::new();
    let mut notices = 0;
    for (place, message) in messages.iter().enumerate() {
        match tag_of(&message.op) {
            Some(_) if message.msgid == 0 => {
                notices += 1;
                prop_assert_eq!(place, messages.len() - 1, "a notice is the last that is said");
            }
            Some(tag) => *found.entry((message.msgid, tag)).or_default() += 1,
            None => {
                let is_asked = expected.finals.contains_key(&(message.msgid, 0x65));
                prop_assert!(is_asked, "an entry for nobody: {:?}", message);
            }
        }
    }
    prop_assert_eq!(notices, usize::from(expected.has_notice));
    for (key, count) in &found {
        prop_assert!(expected.finals.get(key).is_some_and(|most| count <= most), "too many for {:?}", key);
    }
    for (key, count) in &expected.finals {
        let may_be_missing = key.1 == 0x65 && (expected.abandoned.contains(&key.0) || expected.has_notice);
        if !may_be_missing {
            prop_assert_eq!(found.get(key), Some(count), "for {:?}", key);
        }
    }
    Ok(())
}

/// The names of entries that the app may not see are in none of the answers, in no form; the DNs of entries are among
/// those that it may see.
fn check_seen(messages: &[LdapMsg]) -> Result<(), TestCaseError> {
    for message in messages {
        if let LdapOp::SearchResultEntry(entry) = &message.op {
            let is_seen = SEEN_BY_APP
                .iter()
                .any(|dn| entry.dn == *dn || entry.dn == dn.replace("dc=example,dc=org", "dc=other,dc=net"));
            prop_assert!(is_seen || ["", "cn=subschema"].contains(&entry.dn.as_str()), "{}", entry.dn);
            for value in entry.attributes.iter().flat_map(|attribute| &attribute.vals) {
                for hidden in [&b"hidden"[..], b"alice", b"user-", b"$argon2"] {
                    let is_there = value.windows(hidden.len()).any(|octets| octets == hidden);
                    // The schema has names of its own.
                    prop_assert!(!is_there || entry.dn == "cn=subschema", "{}", value.escape_ascii());
                }
            }
        }
        if let Some(result) = result_of(&message.op) {
            prop_assert!(!result.matcheddn.contains("hidden") && !result.matcheddn.contains("alice"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::rounds::cases(400))]

    #[test]
    fn each_request_has_its_response(
        sent in proptest::collection::vec(sent(), 1..12),
        borders in proptest::collection::vec(any::<Index>(), 0..8),
        is_tls in any::<bool>(),
        is_bound in any::<bool>(),
    ) {
        let Stage { world, corpus } = &*STAGE;
        let mut stream = if is_bound { corpus[0].clone() } else { Vec::new() };
        stream.extend(sent.iter().flat_map(|sent| sent.octets(corpus)));
        let (octets, taken, end) = play(world, is_tls, &stream, &borders);
        let messages = decode(&octets);
        // A session takes nothing behind what ends it, so only what was taken is to be answered.
        let limit = world.settings.limits.message_size_max as usize;
        let stream = if end == Next::StartTls { &stream[..taken] } else { &stream[..] };
        let mut expected = expected(stream, limit, taken);
        if end == Next::StartTls {
            expected.has_notice = false;
        }
        check(&messages, &expected)?;
        check_seen(&messages)?;
        if expected.has_notice {
            prop_assert_eq!(end, Next::Close);
        }
    }

    #[test]
    fn the_borders_of_reads_do_not_matter(
        sent in proptest::collection::vec(sent(), 1..8),
        borders in proptest::collection::vec(any::<Index>(), 1..20),
    ) {
        let Stage { world, corpus } = &*STAGE;
        let mut stream = corpus[0].clone();
        stream.extend(sent.iter().flat_map(|sent| sent.octets(corpus)));
        let whole = play(world, true, &stream, &[]);
        let pieces = play(world, true, &stream, &borders);
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn noise_ends_in_a_notice_or_waits(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let Stage { world, .. } = &*STAGE;
        let (octets, _, _) = play(world, false, &noise, &[]);
        let messages = decode(&octets);
        prop_assert!(messages.len() <= 1 || messages.iter().all(|message| result_of(&message.op).is_some()));
    }
}

#[test]
fn the_corpus_is_sound() {
    let Stage { world, corpus } = &*STAGE;
    for octets in corpus {
        let mut client = Client::app(world);
        let reply = client.send(octets);
        assert!(reply.messages.len() < 100);
    }
}
