//! A control value of a stranger: the first octet chooses one of the controls that the root DSE names, the second the
//! request that it hangs on, all others are its value. Whatever they are, there is one final response of the right
//! type, the connection goes on, and nothing hidden is told.
#![no_main]

use std::sync::{LazyLock, Mutex, PoisonError};

use bindery_fuzz::client::{BIND_DONE, COMPARE_DONE, Client, Contents, EXTENDED_DONE, SEARCH_DONE, holds};
use bindery_fuzz::request::{self, BIND, COMPARE, Control, EXTENDED, SEARCH, SORT, VIEW, control, message};
use bindery_fuzz::world::{APP, BASE, SECRETS, World, token_of};
use libfuzzer_sys::fuzz_target;

static WORLD: LazyLock<World> = LazyLock::new(World::new);
static OIDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let body = request::search("", 0, &request::present("objectClass"), &["supportedControl"], 0, false);
    let answers = Client::new(&WORLD, true).send(&message(1, SEARCH, &body, &[]), false);
    let Contents::Entry { attributes, .. } = &answers[0].contents else { panic!("no root DSE") };
    attributes[0].1.iter().map(|oid| String::from_utf8(oid.clone()).expect("an OID")).collect()
});
/// Bound as who sees little, and as nobody. Both go on for as long as the target runs.
static CLIENTS: LazyLock<[Mutex<Client>; 2]> = LazyLock::new(|| {
    let mut app = Client::new(&WORLD, true);
    assert_eq!(app.send(&message(1, BIND, &bind(), &[]), false)[0].code(), Some(0));
    [Mutex::new(app), Mutex::new(Client::new(&WORLD, true))]
});
const ID: i32 = 0x1234_5678;

fn bind() -> Vec<u8> {
    let secret = SECRETS.tokens.iter().find(|row| row.0 == token_of(APP)).expect("a token");
    request::simple_bind("z1app", secret.2.secret().expose())
}

fuzz_target!(|octets: &[u8]| {
    let [first, second, value @ ..] = octets else { return };
    let oid = &OIDS[usize::from(*first) % OIDS.len()];
    let is_critical = second & 0x80 != 0;
    let is_nobody = second & 0x40 != 0;
    let value = if second & 0x20 != 0 && value.is_empty() { None } else { Some(value.to_vec()) };
    let mut controls: Vec<Control> = vec![control(oid, is_critical, value)];
    // A list view is nothing without an order.
    if oid == VIEW || second & 0x10 != 0 && oid != SORT {
        controls.push(control(SORT, true, Some(request::order("cn", false))));
    }
    let find = |base: &str, scope| {
        let all = request::present("objectClass");
        (SEARCH, SEARCH_DONE, request::search(base, scope, &all, &["*", "+"], 0, false))
    };
    let (operation, expected, body) = match second % 8 {
        0 | 1 => find(BASE, 2),
        2 => find("cn=z1app,ou=users,dc=example,dc=org", 0),
        3 => find("", 0),
        4 => find("cn=subschema", 0),
        5 => (COMPARE, COMPARE_DONE, request::compare(BASE, "objectClass", b"domain")),
        // Another bind as the same: the connection is as it was before.
        6 if !is_nobody => (BIND, BIND_DONE, bind()),
        6 => (BIND, BIND_DONE, request::simple_bind("", b"")),
        _ => (EXTENDED, EXTENDED_DONE, request::extended(request::WHO_AM_I, None)),
    };
    let mut client = CLIENTS[usize::from(is_nobody)].lock().unwrap_or_else(PoisonError::into_inner);
    let answers = client.send(&message(ID, operation, &body, &controls), false);
    assert!(!client.is_closed());
    assert!(answers.iter().all(|answer| answer.id == ID));
    let finals: Vec<u8> =
        answers.iter().filter(|answer| answer.code().is_some()).map(|answer| answer.tag).collect();
    assert_eq!(finals, [expected]);
    assert_eq!(
        answers.last().map(|answer| answer.tag),
        Some(expected),
        "nothing comes behind the final response"
    );
    if operation == BIND && answers[0].code() != Some(0) {
        // The connection is anonymous now.
        if !is_nobody {
            assert_eq!(client.send(&message(ID, BIND, &bind(), &[]), false)[0].code(), Some(0));
        }
    }
    let hidden = WORLD.state.hidden_from(APP);
    for answer in &answers {
        for text in answer.texts() {
            assert!(!hidden.iter().any(|name| holds(text, name) && !holds(octets, name)));
        }
        if is_nobody && let Contents::Entry { dn, .. } = &answer.contents {
            assert!(["", "cn=subschema"].contains(&dn.as_str()));
        }
    }
});
