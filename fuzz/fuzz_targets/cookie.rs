//! A cookie of a page or a contextID of a view that a stranger has made, or changed, or was given for something else.
//! Only what the server gave, to this account, for this query, a short while ago, is one.
#![no_main]

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use bindery_fuzz::client::{Answer, Client};
use bindery_fuzz::input::Input;
use bindery_fuzz::request::{self, BIND, Control, PAGED, SEARCH, SORT, VIEW, control, message};
use bindery_fuzz::world::{APP, BASE, READER, SECRETS, World, name_of, token_of};
use libfuzzer_sys::fuzz_target;

static WORLD: LazyLock<World> = LazyLock::new(World::new);
static CLIENTS: LazyLock<[Mutex<Client>; 2]> = LazyLock::new(|| {
    [APP, READER].map(|account| {
        let secret = SECRETS.tokens.iter().find(|row| row.0 == token_of(account)).expect("a token");
        let body = request::simple_bind(name_of(account), secret.2.secret().expose());
        let mut client = Client::new(&WORLD, true);
        assert_eq!(client.send(&message(1, BIND, &body, &[]), false)[0].code(), Some(0));
        Mutex::new(client)
    })
});
/// What was given for each question at the beginning.
static GIVEN: LazyLock<Vec<Given>> = LazyLock::new(|| {
    let given = |question: Question| {
        let answers = question.ask(&mut client(question.account), b"");
        let last = answers.last().expect("an answer");
        assert_eq!(last.code(), Some(0));
        Given { question, cookie: last.cookie().expect("there are more"), names: names(&answers) }
    };
    (0..32).map(|choice| given(Question::new(choice))).collect()
});

struct Given {
    question: Question,
    cookie: Vec<u8>,
    /// The entries that came with it.
    names: Vec<String>,
}

/// All that a cookie is bound to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Question {
    account: usize,
    kind: Kind,
    filter: &'static str,
    attributes: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Page,
    SortedPage,
    OtherOrder,
    View,
}

impl Question {
    fn new(choice: u8) -> Self {
        let kind = [Kind::Page, Kind::SortedPage, Kind::OtherOrder, Kind::View][usize::from(choice >> 1 & 3)];
        Self {
            account: usize::from(choice & 1),
            kind,
            filter: if choice & 8 == 0 { "objectClass" } else { "cn" },
            attributes: if choice & 16 == 0 { &["cn"] } else { &["1.1"] },
        }
    }

    fn ask(&self, client: &mut Client, cookie: &[u8]) -> Vec<Answer> {
        let body = request::search(BASE, 2, &request::present(self.filter), self.attributes, 0, false);
        let page = || control(PAGED, true, Some(request::page(1, cookie)));
        let sort = |is_reverse| control(SORT, true, Some(request::order("cn", is_reverse)));
        let controls: Vec<Control> = match self.kind {
            Kind::Page => vec![page()],
            Kind::SortedPage => vec![sort(false), page()],
            Kind::OtherOrder => vec![sort(true), page()],
            Kind::View => vec![sort(false), control(VIEW, true, Some(request::view(0, 2, None, cookie)))],
        };
        client.send(&message(9, SEARCH, &body, &controls), false)
    }

    /// The code for a cookie that is none.
    fn refusal(&self) -> i64 {
        if self.kind == Kind::View { 76 } else { 53 }
    }
}

fn client(account: usize) -> MutexGuard<'static, Client> {
    CLIENTS[account].lock().unwrap_or_else(PoisonError::into_inner)
}

fn names(answers: &[Answer]) -> Vec<String> {
    let dn = |answer: &Answer| match &answer.contents {
        bindery_fuzz::client::Contents::Entry { dn, .. } => Some(dn.clone()),
        _ => None,
    };
    answers.iter().filter_map(dn).collect()
}

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    let question = Question::new(input.octet());
    let mut cookie = GIVEN[usize::from(input.octet() % 32)].cookie.clone();
    let edits = input.octet();
    if edits == 0xff {
        cookie = input.rest().to_vec();
    } else {
        for _ in 0..edits % 4 {
            edit(&mut cookie, &mut input);
        }
    }
    // A cookie is good for an hour.
    let age = u64::from(input.octet()) * 60 * u64::from(edits & 0x40 != 0);
    let mut client = client(question.account);
    let before = client.seconds;
    client.seconds += age;
    let answers = question.ask(&mut client, &cookie);
    client.seconds = before;
    let last = answers.last().expect("an answer");
    assert_eq!(answers.iter().filter(|answer| answer.code().is_some()).count(), 1);
    // Changes may lead back to what was given, or to what was given for another question.
    let given = GIVEN.iter().find(|given| given.question == question && given.cookie == cookie);
    if cookie.is_empty() {
        assert_eq!(last.code(), Some(0), "the first page");
    } else if let Some(given) = given.filter(|_| age <= 3_600) {
        assert_eq!(last.code(), Some(0));
        assert_eq!(names(&answers).len(), 1);
        // A page goes on where the one before ended; a view shows what it is asked for again.
        assert_eq!(names(&answers) == given.names, question.kind == Kind::View);
    } else {
        assert_eq!(last.code(), Some(question.refusal()));
        assert_eq!(answers.len(), 1, "an entry came for a cookie that is none");
        assert!(last.cookie().is_none());
    }
});

fn edit(cookie: &mut Vec<u8>, input: &mut Input<'_>) {
    let (how, place, octet) = (input.octet(), usize::from(input.octet()), input.octet());
    let place = place % (cookie.len() + 1);
    match how % 6 {
        0 if place < cookie.len() => cookie[place] = octet,
        1 if place < cookie.len() => cookie[place] ^= 1 << (octet & 7),
        2 => cookie.insert(place, octet),
        3 if place < cookie.len() => drop(cookie.remove(place)),
        4 => cookie.truncate(place),
        // A part of what was given for another question.
        _ => {
            let other = &GIVEN[usize::from(octet % 32)].cookie;
            cookie.truncate(place.min(other.len()));
            cookie.extend_from_slice(&other[cookie.len()..]);
        }
    }
}
