//! A conversation on one connection, and what happens to the directory meanwhile, decoded from the input as a list of
//! operations. After each answer the rules that `fuzz/README.md` lists must hold; `bindery_fuzz::world` says anew, from
//! their sentences, who may see what.
//!
//! The first octet says how it begins: bit 0 with TLS; bit 1 Password Modify may be asked for; bit 2 the same
//! conversation is held with a twin of the directory, that lacks what the bound accounts may not see: no answer
//! may differ.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex};

use bindery::inside::ldap::ber::BerReader;
use bindery::inside::ldap::frame;
use bindery::inside::ldap::message::{self, DecodeLimits, Operation, Request, Scope};
use bindery::inside::model::ProviderNumber;
use bindery::inside::schema::{Schema, normalize_dn};
use bindery_fuzz::client::{
    Answer, COMPARE_DONE, Client, Contents, ENTRY, EXTENDED_DONE, SEARCH_DONE, holds,
};
use bindery_fuzz::input::Input;
use bindery_fuzz::request::{self, ABANDON, BIND, COMPARE, Control, EXTENDED, SEARCH};
use bindery_fuzz::world::{
    ABSENT_IN_TWIN, ACCOUNTS, ALICE, APP, BASE, BRIEF_TOKEN, Credential, GROUPS, LONER, MAIN, OTHER,
    OTHER_BASE, OVERLAP_SECONDS, PASSWORD, READER, ReadersGrant, SECRETS, World, all_names, base_of, name_of,
    token_of,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Some((first, rest)) = octets.split_first() else { return };
    let options = Options { is_tls: first & 1 != 0, modifies: first & 2 != 0, has_twin: first & 4 != 0 };
    let said = Conversation::hold(rest, options, false);
    if options.has_twin {
        let twin = Conversation::hold(rest, options, true);
        assert_eq!(said, twin, "what is hidden has changed an answer");
    }
});

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::core);

#[derive(Clone, Copy)]
struct Options {
    is_tls: bool,
    modifies: bool,
    has_twin: bool,
}

struct Conversation {
    world: World,
    client: Client,
    options: Options,
    bound: Option<Bound>,
    /// The requests that wait for their final response.
    pending: BTreeMap<i32, Expected>,
    next_id: i32,
    cookies: Vec<Vec<u8>>,
    /// Secrets that were made with Password Modify: the account and its credential.
    made: Vec<(u32, Option<u32>, Vec<u8>)>,
    said: Vec<String>,
}

/// Who is bound, as far as the answers have told.
#[derive(Clone, Copy)]
struct Bound {
    account: u32,
    credential: Credential,
    provider: ProviderNumber,
}

/// What may be answered to a request.
struct Expected {
    octets: Vec<u8>,
    /// The tag of the final response.
    tag: u8,
    /// What may be told with it; taken when the request is, as its answer comes from one snapshot.
    seen: Seen,
    codes: Codes,
    /// The names of the entries so far, and those that must come when it ends with success.
    found: BTreeSet<String>,
    must_find: Option<BTreeSet<String>>,
    /// Whether it was named by an abandon that may have been refused.
    may_be_silent: bool,
    /// The value that must be answered to Who am I?
    must_say: Option<String>,
}

enum Seen {
    /// The root DSE or the subschema, the same for everybody.
    Public,
    /// No entry, no matched DN, no name.
    Nothing,
    /// Entries with these DNs, and no value with one of these names.
    Own(BTreeSet<String>, Vec<&'static str>),
    Everything,
}

/// The result codes that may come.
enum Codes {
    Any,
    OneOf(&'static [i64]),
}

/// The codes that a request gets for its controls or its form, before anybody asks who sent it.
const MALFORMED: [i64; 3] = [2, 11, 12];
const DENIED: Codes = Codes::OneOf(&[50]);
const DENIED_OR_MALFORMED: Codes = Codes::OneOf(&[50, 2, 11, 12]);
/// A cookie is looked at before the base is.
const NOT_THERE: Codes = Codes::OneOf(&[32]);
const NOT_THERE_OR_MALFORMED: Codes = Codes::OneOf(&[32, 2, 11, 12, 53, 76]);

impl Conversation {
    /// Holds it and gives what was said, without what differs from one server to the next.
    fn hold(octets: &[u8], options: Options, is_twin: bool) -> Vec<String> {
        // A registry serves again: to make one costs more than to talk to it.
        static KEPT: [Mutex<Vec<World>>; 2] = [const { Mutex::new(Vec::new()) }; 2];
        let worlds = &KEPT[usize::from(is_twin)];
        let kept =
            if options.modifies { None } else { worlds.lock().ok().and_then(|mut worlds| worlds.pop()) };
        let mut world = kept.unwrap_or_else(|| if is_twin { World::twin() } else { World::new() });
        world.restore();
        let mut conversation = Self {
            client: Client::new(&world, options.is_tls),
            world,
            options,
            bound: None,
            pending: BTreeMap::new(),
            next_id: 1,
            cookies: Vec::new(),
            made: Vec::new(),
            said: Vec::new(),
        };
        let mut input = Input::new(octets);
        let mut operations = 0;
        while !input.is_empty() && !conversation.client.is_closed() && operations < 40 {
            conversation.step(&mut input);
            operations += 1;
        }
        if !conversation.client.is_closed() {
            conversation.exchange(&[], false);
            assert!(
                conversation.pending.values().all(|expected| expected.may_be_silent),
                "a request has no answer"
            );
        }
        let Self { world, said, .. } = conversation;
        if !options.modifies
            && let Ok(mut worlds) = worlds.lock()
        {
            worlds.push(world);
        }
        said
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let choice = input.octet();
        let rests = choice & 0x80 != 0;
        match choice & 0x1f {
            0..4 => self.bind(input, rests),
            4..11 => {
                let body = request::any_search(input);
                let controls = request::any_controls(input, &self.cookies);
                self.ask(SEARCH, &body, &controls, rests);
            }
            11 => {
                let body = request::search(BASE, 2, &request::present("objectClass"), &["*", "+"], 0, false);
                self.ask(SEARCH, &body, &[], rests);
            }
            12 => {
                let body = request::search(BASE, 2, &request::heavy_filter(), &["*"], 0, false);
                let controls = request::any_controls(input, &self.cookies);
                self.ask(SEARCH, &body, &controls, rests);
            }
            13..16 => {
                let (dn, attribute) = (request::any_dn(input), request::any_attribute(input));
                let body = request::compare(&dn, &attribute, &request::any_value(input));
                let controls = request::any_controls(input, &[]);
                self.ask(COMPARE, &body, &controls, rests);
            }
            16 => {
                let id = self.some_id(input);
                let controls = request::any_controls(input, &[]);
                self.ask(ABANDON, &request::abandon(id), &controls, rests);
            }
            17 => {
                let id = self.some_id(input);
                self.ask(EXTENDED, &request::cancel(id), &[], rests);
            }
            18 => self.ask(EXTENDED, &request::extended(request::WHO_AM_I, None), &[], rests),
            19 => self.ask(EXTENDED, &request::extended(request::START_TLS, None), &[], rests),
            20 => self.modify_password(input, rests),
            21 => {
                let grant =
                    *input.choose(&[ReadersGrant::Nothing, ReadersGrant::OnMain, ReadersGrant::Everywhere]);
                if !self.options.has_twin {
                    self.world.set_readers_grant(grant);
                }
            }
            22 => {
                let (account, is_active) = (input.choose(&ACCOUNTS).0, input.once_in(2));
                self.change(|world| world.set_active(account, is_active));
            }
            23 => {
                let account = input.choose(&ACCOUNTS).0;
                self.change(|world| world.delete_account(account));
            }
            24 => {
                let token = *input.choose(&[token_of(APP), BRIEF_TOKEN, token_of(READER), token_of(LONER)]);
                self.change(|world| world.revoke(token));
            }
            25 => self.client.seconds += 60 * u64::from(input.octet()),
            26 | 27 => {
                let (group, account) = (input.choose(&GROUPS).0, input.choose(&ACCOUNTS).0);
                let is_member = input.once_in(2);
                self.change(|world| world.set_member(group, account, is_member));
            }
            28 | 29 => {
                // A request that was changed here and there.
                let mut body = request::any_search(input);
                for _ in 0..1 + input.octet() % 3 {
                    let place = usize::from(input.octet()) << 1 | usize::from(input.octet() & 1);
                    let length = body.len();
                    body[place % length] ^= input.octet() | 1;
                }
                let controls = request::any_controls(input, &self.cookies);
                self.ask(SEARCH, &body, &controls, rests);
            }
            30 => {
                const OPERATIONS: [u8; 10] = [0x60, 0x63, 0x66, 0x68, 0x4a, 0x6c, 0x6e, 0x50, 0x77, 0x42];
                let operation = *input.choose(&OPERATIONS);
                let body = input.octets().to_vec();
                let controls = request::any_controls(input, &[]);
                // What it changes would not be known here.
                if !holds(&body, request::PASSWORD_MODIFY) {
                    self.ask(operation, &body, &controls, rests);
                }
            }
            _ => {
                let octets = input.octets().to_vec();
                self.stray(&octets);
            }
        }
    }

    /// Changes the directory; in a twin that lacks what is to be changed, something nobody looks at.
    fn change(&mut self, change: impl FnOnce(&mut World)) {
        change(&mut self.world);
        if self.options.has_twin {
            // Both have a new revision then, whatever they changed: that it is another may be told by a cookie.
            self.world.touch();
        }
    }

    fn some_id(&self, input: &mut Input<'_>) -> i32 {
        self.next_id - i32::from(input.octet() % 8)
    }

    fn bind(&mut self, input: &mut Input<'_>, rests: bool) {
        const OFTEN: [u32; 8] = [APP, READER, ALICE, LONER, APP, 7, 4, 6];
        let (account, choice) = (*input.choose(&OFTEN), input.octet());
        let name = name_of(account);
        let provider = if choice & 0x40 == 0 { MAIN } else { OTHER };
        let name = match (choice >> 4 & 3, provider) {
            (0 | 1, provider) => format!("cn={name},ou=users,{}", base_of(provider)),
            (_, OTHER) => format!("{name}@corp.example"),
            _ => name.to_owned(),
        };
        let is_person = SECRETS.tokens.iter().all(|row| row.1 != account);
        let own = |number: u32| {
            let row = SECRETS.tokens.iter().find(|row| row.0 == number);
            row.map(|row| (Some((row.1, Some(number))), row.2.secret().expose().to_vec()))
        };
        let password = || {
            let made = self.made.iter().rev().find(|row| row.0 == account && row.1.is_none());
            made.map_or_else(|| PASSWORD.as_bytes().to_vec(), |row| row.2.clone())
        };
        // Of whom the secret is, with what token; and the secret.
        let (whose, secret) = match choice & 15 {
            // Who is absent in the twin cannot bind there.
            _ if self.options.has_twin && (ABSENT_IN_TWIN.contains(&account) || account == READER) => {
                (None, b"wrong".to_vec())
            }
            0..8 if is_person => (Some((account, None)), password()),
            0..8 => own(token_of(account)).expect("a token"),
            8 => own(BRIEF_TOKEN).expect("a token"),
            9 => own(token_of(LONER)).expect("a token"),
            10 => match self.made.iter().rev().find(|row| row.1.is_some()) {
                Some((owner, number, secret)) => (Some((*owner, *number)), secret.clone()),
                None => (None, b"wrong".to_vec()),
            },
            11 => (None, Vec::new()),
            12 => (None, PASSWORD.as_bytes()[1..].to_vec()),
            _ => (None, input.octets().to_vec()),
        };
        let is_plain = choice & 0x80 != 0 && !secret.contains(&0) && !secret.is_empty();
        let body =
            if is_plain { request::plain_bind(&name, &secret) } else { request::simple_bind(&name, &secret) };
        let controls = if choice & 15 == 5 { request::any_controls(input, &[]) } else { Vec::new() };
        self.bound = None;
        let id = self.next_id;
        self.ask(BIND, &body, &controls, rests);
        let Some(code) = self.code_of(id) else { return };
        let state = &self.world.state;
        let credential = match whose {
            Some((_, Some(token))) => Some(Credential::Token(token)),
            Some((_, None)) => state.passwords.get(&account).copied().map(Credential::Password),
            None => None,
        };
        let is_right = whose.is_some_and(|(owner, _)| owner == account)
            && credential.is_some_and(|credential| state.holds(account, credential, self.client.now()));
        let is_odd = !controls.is_empty();
        match code {
            0 => {
                assert!(self.client.is_tls, "a secret was taken in clear");
                assert!(
                    is_right && state.admits(provider, account),
                    "a bind that must be refused has succeeded"
                );
                self.bound = credential.map(|credential| Bound { account, credential, provider });
            }
            // Rule 14: only after the right secret.
            50 => assert!(is_right && !state.admits(provider, account)),
            2 | 11 | 12 if is_odd => {}
            13 => assert!(!self.client.is_tls),
            53 => assert!(secret.is_empty()),
            49 => assert!(!is_right, "the right secret was refused"),
            other => panic!("a bind was answered with {other}"),
        }
    }

    /// The code of the final response to a request, if it has come.
    fn code_of(&self, id: i32) -> Option<i64> {
        let start = format!("{id} done ");
        let rest = self.said.iter().rev().find_map(|said| said.strip_prefix(&start))?;
        rest.split(' ').next()?.parse().ok()
    }

    fn modify_password(&mut self, input: &mut Input<'_>, rests: bool) {
        let choice = input.octet();
        let user = (choice & 3 == 3).then(|| request::any_name(input));
        let new = (choice & 4 != 0).then(|| format!("another password {}", choice >> 4));
        if !self.options.modifies {
            return;
        }
        let value = request::sequence(|writer| {
            if let Some(user) = user {
                writer.element(0x80, user.as_bytes());
            }
            if choice & 8 != 0 {
                writer.element(0x81, PASSWORD.as_bytes());
            }
            if let Some(new) = &new {
                writer.element(0x82, new.as_bytes());
            }
        });
        let holder = self.holder();
        let id = self.next_id;
        self.ask(EXTENDED, &request::extended(request::PASSWORD_MODIFY, Some(&value)), &[], rests);
        let code = self.code_of(id);
        let Some(bound) = holder else {
            return assert!(code.is_none_or(|code| code == 50), "nobody has changed a password: {code:?}");
        };
        if code != Some(0) {
            return;
        }
        assert!(self.client.is_tls, "a secret was sent in clear");
        assert!(
            user.is_none_or(|user| user == name_of(bound.account)),
            "somebody else's password was changed"
        );
        let said = self.said.iter_mut().rev().find(|said| said.contains(GENERATED));
        let generated = said.and_then(|said| {
            let (before, value) = said.split_once(GENERATED)?;
            let (before, value) = (before.to_owned(), from_hex(value));
            // What the secret is differs from one server to the next.
            *said = format!("{before} and a secret");
            Some(value)
        });
        let state = &mut self.world.state;
        match (bound.credential, generated, new) {
            (Credential::Token(number), Some(value), None) => {
                let secret = BerReader::new(&value)
                    .sequence()
                    .expect("a value")
                    .expect(0x80)
                    .expect("a secret")
                    .to_vec();
                let end = self.world.start.unix_seconds() + OVERLAP_SECONDS;
                let token = state.tokens.get_mut(&number).expect("the token that holds");
                token.1 = Some(token.1.map_or(end, |expires| expires.min(end)));
                let number = 1_000 + self.made.len() as u32;
                state.tokens.insert(number, (bound.account, None));
                self.made.push((bound.account, Some(number), secret));
            }
            (Credential::Password(_), generated, new) => {
                let generation = state.passwords.get_mut(&bound.account).expect("a password");
                *generation += 1;
                // Who changes the password stays bound.
                self.bound = Some(Bound { credential: Credential::Password(*generation), ..bound });
                let secret = match (generated, new) {
                    (Some(value), None) => BerReader::new(&value)
                        .sequence()
                        .expect("a value")
                        .expect(0x80)
                        .expect("a secret")
                        .to_vec(),
                    (None, Some(new)) => new.into_bytes(),
                    _ => panic!("a password is either given or generated"),
                };
                self.made.push((bound.account, None, secret));
            }
            _ => panic!("a token was exchanged for a password"),
        }
    }

    /// Octets that are not put in a message.
    fn stray(&mut self, octets: &[u8]) {
        // With what a whole message in them asks for they would not be stray.
        if octets.is_empty() || frame::next(octets, 1 << 22).is_ok() {
            return;
        }
        let answers = self.client.send(octets, false);
        self.take(answers);
        assert!(self.client.is_closed(), "the connection goes on behind octets that are no message");
    }

    /// Who is bound, if that still holds.
    fn holder(&self) -> Option<Bound> {
        let state = &self.world.state;
        self.bound.filter(|bound| {
            state.holds(bound.account, bound.credential, self.client.now())
                && state.admits(bound.provider, bound.account)
        })
    }

    fn ask(&mut self, operation: u8, body: &[u8], controls: &[Control], rests: bool) {
        let id = self.next_id;
        self.next_id += 1;
        let octets = request::message(id, operation, body, controls);
        if operation == BIND {
            // It waits until all others are answered.
            self.exchange(&[], false);
            self.bound = None;
        }
        self.expect(id, &octets);
        self.exchange(&octets, rests);
    }

    fn exchange(&mut self, octets: &[u8], rests: bool) {
        let was_tls = self.client.is_tls;
        let answers = self.client.send(octets, rests);
        self.take(answers);
        if self.client.is_tls != was_tls {
            self.bound = None;
        }
    }

    /// Notes what a request may be answered with.
    fn expect(&mut self, id: i32, octets: &[u8]) {
        let frame = frame::next(octets, usize::MAX).expect("a frame").expect("a whole frame");
        let Some(operation) = Operation::from_tag(frame.operation) else { return };
        let has_controls = frame.controls.is_some();
        let decoded = message::decode(&frame, &DecodeLimits::default());
        let request = decoded.as_ref().ok().map(|message| &message.request);
        if let Some(Request::Abandon { message_id }) = request {
            // No answer comes any more, unless the abandon is refused for one of its controls, of which it cannot tell.
            if has_controls {
                self.pending.entry(*message_id).and_modify(|expected| expected.may_be_silent = true);
            } else {
                self.pending.remove(message_id);
            }
        }
        let Some(tag) = operation.response() else { return };
        let mut expected = Expected {
            octets: octets.to_vec(),
            tag: tag.as_u8(),
            seen: Seen::Nothing,
            codes: Codes::Any,
            found: BTreeSet::new(),
            must_find: None,
            may_be_silent: false,
            must_say: None,
        };
        match request {
            None => expected.codes = Codes::OneOf(&MALFORMED),
            Some(Request::Search(search)) => {
                // Before a bind less is decoded.
                let is_large = search.filter.len() > 256;
                self.expect_of(
                    search.base,
                    search.scope == Scope::Base,
                    has_controls || is_large,
                    &mut expected,
                );
                let is_all = !has_controls
                    && search.scope == Scope::Subtree
                    && search.size_limit == 0
                    && octets.windows(13).any(|window| window == b"\x87\x0bobjectClass")
                    && search.filter.len() == 1;
                if is_all && let Some(bound) = self.holder() {
                    expected.must_find = self.everything_below(search.base, bound);
                }
            }
            Some(Request::Compare(compare)) => {
                self.expect_of(compare.entry, true, has_controls, &mut expected);
            }
            Some(Request::Extended(extended)) if extended.name == request::WHO_AM_I && !has_controls => {
                let dn = |bound: Bound| {
                    format!("dn:cn={},ou=users,{}", name_of(bound.account), base_of(bound.provider))
                };
                expected.must_say = Some(self.holder().map(dn).unwrap_or_default());
            }
            Some(_) => {}
        }
        self.pending.insert(id, expected);
    }

    /// What may be told of an entry, or of those below it.
    fn expect_of(&self, base: &str, is_base: bool, has_controls: bool, expected: &mut Expected) {
        let mut normal = Vec::new();
        let is_dn = normalize_dn(base.as_bytes(), &SCHEMA, &mut normal).is_ok();
        let is_root = is_dn && normal.is_empty();
        if is_root && is_base || normal == b"cn=subschema" {
            expected.seen = Seen::Public;
            return;
        }
        let Some(bound) = self.holder() else {
            // Rule 18.
            expected.codes = if has_controls { DENIED_OR_MALFORMED } else { DENIED };
            return;
        };
        let state = &self.world.state;
        let provider = [(BASE, MAIN), (OTHER_BASE, OTHER)]
            .into_iter()
            .find(|(suffix, _)| normal.ends_with(suffix.as_bytes()))
            .map(|(_, provider)| provider);
        let Some(provider) = provider else {
            // No such suffix, or no DN.
            expected.codes = Codes::OneOf(&[32, 34, 2, 11, 12, 53, 76]);
            return;
        };
        if !state.admits(provider, bound.account) {
            // Rule 14: another provider that does not admit the account does not exist for it.
            expected.codes = if has_controls { NOT_THERE_OR_MALFORMED } else { NOT_THERE };
            return;
        }
        if state.sees_everything(provider, bound.account) {
            expected.seen = Seen::Everything;
            return;
        }
        let seen = state.seen_by(provider, bound.account);
        // Rule 17, where the DN is written as the directory writes it: not there is not there.
        let is_one_of_ours = all_names().any(|name| {
            ["ou=users", "ou=groups", "ou=virtual-groups"]
                .iter()
                .any(|container| base == format!("cn={name},{container},{}", base_of(provider)))
        });
        if is_one_of_ours && !seen.contains(base) {
            expected.codes = if has_controls { NOT_THERE_OR_MALFORMED } else { NOT_THERE };
        }
        expected.seen = Seen::Own(seen, state.hidden_from(bound.account));
    }

    /// What a search for everything below a suffix must find: not less than may be seen.
    fn everything_below(&self, base: &str, bound: Bound) -> Option<BTreeSet<String>> {
        let (provider, state) = (if base == BASE { MAIN } else { OTHER }, &self.world.state);
        if base != base_of(provider) || !state.admits(provider, bound.account) {
            return None;
        }
        let mut all = state.seen_by(provider, bound.account);
        if state.sees_everything(provider, bound.account) {
            for account in state.active.keys() {
                all.insert(format!("cn={},ou=users,{base}", name_of(*account)));
                all.insert(format!("cn={},ou=virtual-groups,{base}", name_of(*account)));
            }
            all.extend(GROUPS.iter().map(|row| format!("cn={},ou=groups,{base}", row.1)));
        }
        Some(all)
    }

    /// Looks at what was answered.
    fn take(&mut self, answers: Vec<Answer>) {
        for answer in &answers {
            if let Some(cookie) = answer.cookie() {
                self.cookies.push(cookie);
            }
            self.said.push(shown(answer));
            if answer.is_notice() {
                let Contents::Result { name, .. } = &answer.contents else {
                    panic!("an entry with the ID 0")
                };
                assert_eq!(answer.tag, EXTENDED_DONE);
                assert_eq!(name.as_deref(), Some(&b"1.3.6.1.4.1.1466.20036"[..]));
                assert!(self.client.is_closed());
                continue;
            }
            let Some(expected) = self.pending.get_mut(&answer.id) else {
                panic!("an answer for nobody: {answer:?}");
            };
            if answer.tag == ENTRY {
                assert_eq!(expected.tag, SEARCH_DONE, "an entry for what is no search");
            } else {
                assert_eq!(answer.tag, expected.tag, "a response of another operation");
            }
            check(answer, expected);
            if answer.code().is_some() {
                self.pending.remove(&answer.id);
            }
        }
    }
}

/// Whether the answer may be given.
fn check(answer: &Answer, expected: &mut Expected) {
    let names: Vec<&str> = match &expected.seen {
        Seen::Everything => Vec::new(),
        Seen::Own(_, hidden) => hidden.clone(),
        _ if expected.must_say.is_some() => Vec::new(),
        _ => all_names().collect(),
    };
    for text in answer.texts() {
        for name in &names {
            // What the client has said itself may be repeated, but not as an entry.
            let is_told = holds(text, name) && (answer.tag == ENTRY || !holds(&expected.octets, name));
            assert!(!is_told, "{name} was told: {answer:?}");
        }
    }
    match &answer.contents {
        Contents::Entry { dn, .. } => {
            let may_come = match &expected.seen {
                Seen::Public => ["", "cn=subschema"].contains(&dn.as_str()),
                Seen::Nothing => false,
                Seen::Own(seen, _) => seen.contains(dn),
                Seen::Everything => true,
            };
            assert!(may_come, "{dn} was answered");
            assert!(expected.found.insert(dn.clone()), "{dn} was answered twice");
        }
        Contents::Result { code, matched_dn, value, .. } => {
            if let Some(name) = &expected.must_say {
                assert_eq!((*code, value.as_deref()), (0, Some(name.as_bytes())));
            }
            let may_come = match &expected.seen {
                _ if matched_dn.is_empty() => true,
                Seen::Own(seen, _) => seen.contains(matched_dn),
                Seen::Everything => true,
                _ => false,
            };
            assert!(may_come, "the matched DN {matched_dn} was answered");
            if let Codes::OneOf(codes) = expected.codes {
                assert!(codes.contains(code), "{code} is none of {codes:?}");
            }
            if *code == 0
                && let Some(all) = &expected.must_find
            {
                assert_eq!(expected.found, *all);
            }
            if expected.tag == COMPARE_DONE && matches!(code, 5 | 6 | 16) {
                assert!(!matches!(expected.seen, Seen::Nothing));
            }
        }
    }
}

/// An answer as text, without times after the beginning and without cookies: they differ from server to server.
fn shown(answer: &Answer) -> String {
    let controls: Vec<String> = answer
        .controls
        .iter()
        .map(|(oid, value)| match answer.cookie() {
            // The cookie is the last of its control.
            Some(cookie) if value.ends_with(&cookie) => {
                format!("{oid} {} and a cookie", hex(&value[..value.len() - cookie.len()]))
            }
            _ => format!("{oid} {}", hex(value)),
        })
        .collect();
    match &answer.contents {
        Contents::Entry { dn, attributes } => {
            // With the fraction too that Active Directory writes.
            let is_new = |value: &[u8]| {
                let seconds = value.strip_suffix(b"Z").map(|time| time.strip_suffix(b".0").unwrap_or(time));
                seconds.is_some_and(|digits| digits.len() == 14 && !digits.starts_with(b"2023"))
            };
            let mut text = format!("{} entry {dn} {controls:?}", answer.id);
            for (name, values) in attributes {
                for value in values {
                    let value =
                        if is_new(value) { "now".to_owned() } else { value.escape_ascii().to_string() };
                    text.push_str(&format!(" {name}={value}"));
                }
            }
            text
        }
        Contents::Result { code, matched_dn, diagnostic, value, .. } => {
            let value = match value {
                Some(value) if answer.tag == EXTENDED_DONE && value.starts_with(b"\x30") => {
                    format!("{GENERATED}{}", hex(value))
                }
                Some(value) => format!("value {}", value.escape_ascii()),
                None => String::new(),
            };
            let diagnostic = without_end(diagnostic);
            format!("{} done {code} <{matched_dn}> {diagnostic} {controls:?} {value}", answer.id)
        }
    }
}

/// A replaced token is called by the time at which it ends.
fn without_end(diagnostic: &str) -> String {
    const REPLACED: &str = "-replaced-until-";
    match diagnostic.split_once(REPLACED) {
        Some((before, rest)) => {
            let behind =
                rest.trim_start_matches(|digit: char| digit.is_ascii_digit() || "-TZ".contains(digit));
            format!("{before}{REPLACED}then{behind}")
        }
        None => diagnostic.to_owned(),
    }
}

const GENERATED: &str = " generated ";

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    digits.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}
