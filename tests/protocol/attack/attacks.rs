//! What was once tried, and worked: one row for each.

use super::victim::Beside;
use super::{group, person};
use crate::support::octets::{
    element, equality, password_modify, search, search_all, search_for, simple_bind, sort_control,
    view_control, with_controls,
};
use crate::support::{BASE, forged};

pub struct Attack {
    pub name: &'static str,
    /// Connections at a time, from so many addresses; from 0: from the victim's own.
    pub connections: usize,
    pub sources: usize,
    /// Messages within a second; of what is only held, connections. [`AS_FAST_AS_ANSWERED`]: no connection waits.
    pub rate: u32,
    pub whom: Whom,
    pub door: Door,
    pub way: Way,
    pub beside: Beside,
    /// Which limits are reached at least how often.
    pub limits: &'static [(&'static str, AtLeast)],
}

impl Attack {
    /// Whether it does not wait for answers.
    pub fn is_unanswered(&self) -> bool {
        matches!(self.way, Way::Hold { .. })
    }
}

#[derive(Clone, Copy)]
pub enum Door {
    Ldap,
    Ldaps,
    Http,
}

pub enum Whom {
    Stranger,
    /// A service account that sees nothing but itself.
    Rightless,
    /// One that sees everything.
    Reader,
}

pub enum Way {
    /// Each connection sends a message and reads the answer, which has one of these codes.
    Ask {
        /// So many at once, before everything else.
        before: u64,
        /// Whether each is another one.
        differs: bool,
        ask: fn(&Known, u64) -> Vec<Message>,
    },
    /// Each sends this and reads nothing.
    Hold { sent: fn(&Known) -> Vec<u8> },
}

/// A message, and the codes that it may be answered with.
pub type Message = (Vec<u8>, &'static [u8]);

pub enum AtLeast {
    Once,
    ForEachAnswer,
}

impl AtLeast {
    pub fn count(&self, answers: u64) -> u64 {
        match self {
            Self::Once => 1,
            Self::ForEachAnswer => answers,
        }
    }
}

/// Of [`Attack::rate`]: a connection sends a message as soon as the one before is answered.
pub const AS_FAST_AS_ANSWERED: u32 = u32::MAX;

/// What an attacker knows.
pub struct Known {
    pub reader: String,
    pub rightless: String,
    /// An API token.
    pub viewer: String,
}

/// A stranger's message that is looked at again and again.
const BEFORE_BIND: Attack = Attack {
    name: "",
    connections: 100,
    sources: 100,
    rate: 500,
    whom: Whom::Stranger,
    door: Door::Ldap,
    way: Way::Hold { sent: |_| Vec::new() },
    beside: Beside::Nothing,
    limits: &[],
};

const AFTER_BIND: Attack =
    Attack { whom: Whom::Rightless, sources: 1, rate: 20, connections: 10, ..BEFORE_BIND };

pub const ALL: &[Attack] = &[
    Attack {
        name: "root DSE, for comparison",
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| vec![(search(2, "", 0, &element(0x87, b"objectClass")), &[0])],
        },
        ..BEFORE_BIND
    },
    Attack {
        name: "name of a bind, 60 KB",
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| vec![(simple_bind(1, &grows(60_000), "x"), &[49])],
        },
        limits: &[("name_length_max", AtLeast::ForEachAnswer)],
        ..BEFORE_BIND
    },
    Attack {
        name: "name of a bind, as long as it may be",
        connections: 20,
        sources: 5,
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| vec![(simple_bind(1, &grows(4_095), "x"), &[49, 51])],
        },
        beside: Beside::Binds,
        ..BEFORE_BIND
    },
    Attack {
        name: "DN of a bind, 14,000 parts",
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| vec![(simple_bind(1, &parts(14_000), "x"), &[49])],
        },
        limits: &[("name_length_max", AtLeast::ForEachAnswer)],
        ..BEFORE_BIND
    },
    Attack {
        name: "base of a search, 14,000 parts",
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| vec![(search(2, &parts(14_000), 0, &element(0x87, b"cn")), &[50])],
        },
        limits: &[("name_length_max", AtLeast::ForEachAnswer)],
        ..BEFORE_BIND
    },
    Attack {
        name: "assertion value, 60 KB",
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| vec![(search(2, "", 0, &equality("vendorName", &grows(60_000))), &[0])],
        },
        limits: &[("assertion_length_before_bind_max", AtLeast::ForEachAnswer)],
        ..BEFORE_BIND
    },
    Attack {
        name: "assertion values, as long as they may be",
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| {
                let values: Vec<u8> = (0..27).flat_map(|_| equality("vendorName", &grows(2_048))).collect();
                vec![(search(2, "", 0, &element(0xa1, &values)), &[11])]
            },
        },
        limits: &[("filter_octets_before_bind_max", AtLeast::ForEachAnswer)],
        ..BEFORE_BIND
    },
    Attack {
        name: "250 assertions on the subschema",
        way: Way::Ask { before: 0, differs: false, ask: |_, _| vec![(subschema(250), &[11])] },
        limits: &[("filter_work_before_bind_max", AtLeast::ForEachAnswer)],
        ..BEFORE_BIND
    },
    Attack {
        name: "the same from one throttled address",
        sources: 1,
        way: Way::Ask {
            before: 110,
            differs: false,
            ask: |_, number| {
                if number < 110 {
                    return vec![(simple_bind(1, &nobody(number), "x"), &[49])];
                }
                vec![(subschema(250), &[11]), (simple_bind(1, &grows(60_000), "x"), &[49])]
            },
        },
        limits: &[("filter_work_before_bind_max", AtLeast::Once), ("name_length_max", AtLeast::Once)],
        ..BEFORE_BIND
    },
    Attack {
        name: "attribute lists with options",
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| {
                let names = with_options("name", 7, 16);
                vec![(search_for(2, "", 0, &element(0x87, b"objectClass"), &names), &[0])]
            },
        },
        ..BEFORE_BIND
    },
    Attack {
        name: "attribute lists with too many options",
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| {
                let names = with_options("name", 7, 700);
                vec![(search_for(2, "", 0, &element(0x87, b"objectClass"), &names), &[11])]
            },
        },
        limits: &[("filter_preparation_before_bind_max", AtLeast::ForEachAnswer)],
        ..BEFORE_BIND
    },
    Attack {
        name: "filters with options",
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| {
                let names = with_options("name", 7, 2_000);
                let terms: Vec<u8> = names.iter().flat_map(|name| equality(name, "x")).collect();
                vec![(search(2, BASE, 0, &element(0xa1, &terms)), &[0])]
            },
        },
        ..AFTER_BIND
    },
    Attack {
        name: "name of a bind, 3 MB, by who was bound",
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |known, _| {
                let own = simple_bind(1, &super::service_account("rightless"), &known.rightless);
                vec![(own, &[0]), (simple_bind(1, &grows(3_000_000), "x"), &[49])]
            },
        },
        limits: &[("name_length_max", AtLeast::ForEachAnswer)],
        ..AFTER_BIND
    },
    Attack {
        name: "list views by the members of a large group",
        whom: Whom::Reader,
        rate: 100,
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| {
                let controls = [sort_control(&["memberUid"]), view_control(b"person-1")];
                let search = search(2, &group(), 0, &element(0x87, b"objectClass"));
                vec![(with_controls(&search, &controls), &[0])]
            },
        },
        ..AFTER_BIND
    },
    Attack {
        name: "value of a list view, 3 MB",
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| {
                let search = search(2, BASE, 2, &element(0x87, b"objectClass"));
                let controls = [sort_control(&["cn"]), view_control(grows(3_000_000).as_bytes())];
                vec![(with_controls(&search, &controls), &[76])]
            },
        },
        limits: &[("assertion_length_max", AtLeast::ForEachAnswer)],
        ..AFTER_BIND
    },
    Attack {
        name: "texts beyond ASCII, 2 MB",
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| {
                let values: Vec<u8> = (0..31).flat_map(|_| equality("cn", &"ä".repeat(31_000))).collect();
                vec![(search(2, BASE, 2, &element(0xa1, &values)), &[11])]
            },
        },
        limits: &[("filter_preparation_max", AtLeast::ForEachAnswer)],
        ..AFTER_BIND
    },
    Attack {
        name: "matched values over a large group",
        whom: Whom::Reader,
        connections: 3,
        way: Way::Ask { before: 0, differs: false, ask: |_, _| vec![(matched_values(), &[11])] },
        limits: &[("filter_work_max", AtLeast::ForEachAnswer)],
        ..AFTER_BIND
    },
    Attack {
        name: "forged secrets of a known selector",
        connections: 50,
        sources: 5,
        rate: 100,
        way: Way::Ask {
            before: 0,
            differs: true,
            ask: |known, number| {
                let name = super::service_account("reader");
                vec![(simple_bind(1, &name, &forged(&known.reader, number)), &[49, 51])]
            },
        },
        beside: Beside::Binds,
        limits: &[("throttle_failures_by_token_max", AtLeast::Once)],
        ..BEFORE_BIND
    },
    Attack {
        name: "wrong passwords by one address",
        connections: 50,
        sources: 1,
        rate: 100,
        way: Way::Ask {
            before: 0,
            differs: true,
            ask: |_, number| vec![(simple_bind(1, &nobody(number), "x"), &[49, 51])],
        },
        beside: Beside::Binds,
        limits: &[("throttle_failures_by_source_max", AtLeast::Once)],
        ..BEFORE_BIND
    },
    Attack {
        name: "wrong passwords by the victim's address",
        connections: 10,
        sources: 0,
        rate: 20,
        way: Way::Ask {
            before: 0,
            differs: true,
            ask: |_, number| vec![(simple_bind(1, &nobody(number), "x"), &[49, 51])],
        },
        beside: Beside::Binds,
        ..BEFORE_BIND
    },
    Attack {
        name: "passwords of one's own, over and over",
        connections: 10,
        sources: 1,
        rate: 100,
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| {
                let own = simple_bind(1, &person(1), super::PASSWORD);
                // 49 and 50: another of the connections has changed it in between.
                vec![(own, &[0, 49]), (password_modify(super::PASSWORD), &[0, 19, 49, 50])]
            },
        },
        beside: Beside::Binds,
        // That the limit holds is for `hostile_clients`: on a slow machine so many changes take longer than this.
        limits: &[],
        ..BEFORE_BIND
    },
    Attack {
        name: "256 searches at once with large filters",
        connections: 10,
        rate: 2,
        way: Way::Hold {
            sent: |_| {
                let terms = (0..8_000).flat_map(|number| equality("description", &format!("{number:040}")));
                search(2, BASE, 2, &element(0xa1, &terms.collect::<Vec<u8>>())).repeat(256)
            },
        },
        // A server that is as fast as it is sent to holds nothing for it.
        ..AFTER_BIND
    },
    Attack {
        name: "everything again and again, by one address",
        whom: Whom::Reader,
        rate: 1_000,
        way: Way::Ask {
            before: 0,
            differs: false,
            ask: |_, _| vec![(search_all(2, BASE, 2, &element(0x87, b"objectClass")), &[0])],
        },
        ..AFTER_BIND
    },
    Attack {
        name: "short requests without a pause, by one address",
        connections: 300,
        sources: 1,
        rate: AS_FAST_AS_ANSWERED,
        way: Way::Ask { before: 0, differs: false, ask: |_, _| vec![(subschema(10), &[0])] },
        ..BEFORE_BIND
    },
    Attack {
        name: "a large group, not read",
        whom: Whom::Reader,
        connections: 200,
        rate: 50,
        way: Way::Hold { sent: |_| search_all(2, &group(), 0, &element(0x87, b"objectClass")).repeat(4) },
        ..AFTER_BIND
    },
    Attack {
        name: "unfinished messages of 4 MiB",
        connections: 200,
        rate: 50,
        way: Way::Hold {
            sent: |_| {
                let mut message = simple_bind(1, &"x".repeat(4 * 1024 * 1024 - 64), "");
                message.pop();
                message
            },
        },
        limits: &[("connection_memory_max", AtLeast::Once)],
        ..AFTER_BIND
    },
    Attack {
        name: "silent connections, LDAP",
        connections: 6_000,
        sources: 6,
        rate: 1_000,
        beside: Beside::Comes,
        limits: &[("connections_before_bind_max", AtLeast::Once)],
        ..BEFORE_BIND
    },
    Attack {
        name: "silent connections, HTTP",
        connections: 400,
        sources: 40,
        rate: 100,
        door: Door::Http,
        beside: Beside::AsksForHealth,
        limits: &[("http_connections_max", AtLeast::Once)],
        ..BEFORE_BIND
    },
    Attack {
        name: "lists of the API, not read",
        connections: 200,
        sources: 8,
        rate: 50,
        door: Door::Http,
        way: Way::Hold { sent: |known| page_of_people(&known.viewer).repeat(4) },
        beside: Beside::AsksForHealth,
        // That the limit holds is for `http::public`: what sockets take of an answer is held no longer.
        ..BEFORE_BIND
    },
    Attack {
        name: "bodies of many values",
        connections: 20,
        sources: 8,
        rate: 20,
        door: Door::Http,
        way: Way::Hold { sent: |known| body_of_values(&known.viewer) },
        beside: Beside::AsksForHealth,
        limits: &[("http_body_values_max", AtLeast::Once)],
        ..BEFORE_BIND
    },
    Attack {
        name: "handshakes of TLS, from one address",
        connections: 200,
        sources: 1,
        rate: 500,
        door: Door::Ldaps,
        way: Way::Hold { sent: |_| hello() },
        ..BEFORE_BIND
    },
    Attack {
        name: "sorted searches, not read",
        whom: Whom::Reader,
        connections: 40,
        rate: 10,
        way: Way::Hold {
            sent: |_| {
                let keys = [sort_control(&["description", "mail", "cn", "sn", "uid"])];
                with_controls(&search_all(2, BASE, 2, &element(0x87, b"uid")), &keys).repeat(2)
            },
        },
        beside: Beside::Sorts,
        ..AFTER_BIND
    },
];

/// So many octets of a code point that NFKC makes eighteen of.
fn grows(octets: usize) -> String {
    "\u{fdfa}".repeat(octets / 3)
}

/// Names of attributes, each another one by its last option, with so many others before it.
fn with_options(name: &str, options: usize, count: usize) -> Vec<String> {
    let options: String = (10..10 + options).map(|number| format!(";{number}")).collect();
    (0..count).map(|number| format!("{name}{options};x-{number}")).collect()
}

/// A call for as many accounts as a page may have.
pub fn page_of_people(token: &str) -> Vec<u8> {
    let head = "GET /api/v3/core/users/?page_size=1000&ordering=-email HTTP/1.1\r\nHost: x";
    format!("{head}\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// A call with as many objects as fit into a body, of who may not make it.
fn body_of_values(token: &str) -> Vec<u8> {
    let body = format!("{{\"attributes\":{{\"a\":[{}0]}}}}", "{\"\":0},".repeat(149_000));
    let head = "PATCH /api/v3/core/users/2/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json";
    let length = body.len();
    format!("{head}\r\nContent-Length: {length}\r\nAuthorization: Bearer {token}\r\n\r\n{body}").into_bytes()
}

/// What a handshake begins with; it may be said as often as one likes.
fn hello() -> Vec<u8> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut client = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    let mut octets = Vec::new();
    client.write_tls(&mut octets).unwrap();
    octets
}

fn parts(count: usize) -> String {
    "a=b,".repeat(count) + BASE
}

fn nobody(number: u64) -> String {
    format!("cn=nobody-{number},ou=users,{BASE}")
}

fn subschema(assertions: usize) -> Vec<u8> {
    let many: Vec<u8> =
        (0..assertions).flat_map(|number| equality("attributeTypes", &format!("1.9.{number}"))).collect();
    search(2, "cn=subschema", 0, &element(0xa1, &many))
}

/// A thousand assertions of the kind that each member is compared with.
fn matched_values() -> Vec<u8> {
    let part = |number: usize| {
        let part = element(0x30, &element(0x81, format!("none-{number}").as_bytes()));
        element(0xa4, &[element(4, b"memberUid"), part].concat())
    };
    let about: Vec<u8> = (0..1_000).flat_map(part).collect();
    let control = (MATCHED_VALUES, element(0x30, &about));
    let some = equality("member", &person(1));
    with_controls(&search_all(2, &group(), 0, &some), &[control])
}

const MATCHED_VALUES: &str = "1.2.826.0.1.3344810.2.3";
