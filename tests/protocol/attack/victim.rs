//! Who is there beside the attacker, and only wants its answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::attacks::page_of_people;
use super::figures::{Measured, Waits};
use super::{Attacked, PASSWORD, PEOPLE_WITH_PASSWORDS, header, person, service_account};
use crate::support::octets::{
    bind, connect, element, end_of_search, equality, search, search_all, sort_control, with_controls,
};
use crate::support::{BASE, Server};

/// What it does beside its searches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    Nothing,
    /// Binds with a password, of somebody else each time, so that each is hashed.
    Binds,
    /// Comes anew, and asks for the root DSE.
    Comes,
    /// Asks over HTTP whether the server is well.
    AsksForHealth,
    /// Has a search sorted.
    Sorts,
}

pub struct Victim {
    ldap: SocketAddr,
    http: SocketAddr,
    /// Bound as who sees everything.
    stream: TcpStream,
    /// The same, for what is done beside the searches.
    second: TcpStream,
    beside: Beside,
    people: usize,
    /// How many binds and searches there were.
    binds: usize,
    searches: usize,
}

/// It is at one address, and no attacker is there.
fn come(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(&header(200, 1)).unwrap();
    stream
}

/// Has everybody be read once, so that what the database keeps of pages that were read, which is bounded, is not taken for what an
/// attacker leaves.
pub fn read_everybody(server: &Server, token: &str) {
    let mut stream = come(server.address("http"));
    let request = String::from_utf8(page_of_people(token)).unwrap();
    stream.write_all(request.replacen("Host: x", "Host: x\r\nConnection: close", 1).as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
}

impl Victim {
    pub fn new(attacked: &Attacked, server: &Server, beside: Beside) -> Self {
        let (ldap, http) = (server.address("ldap"), server.address("http"));
        let bound = || {
            let mut stream = come(ldap);
            assert_eq!(bind(&mut stream, &service_account("victim"), &attacked.victim), 0);
            stream
        };
        Self {
            ldap,
            http,
            stream: bound(),
            second: bound(),
            beside,
            people: attacked.people,
            binds: 0,
            searches: 0,
        }
    }

    /// Goes on for a while, with both.
    pub fn measure(&mut self, time: Duration) -> Measured {
        let begun = Instant::now();
        let Self { ldap, http, stream, second, beside, people, binds, searches } = self;
        std::thread::scope(|scope| {
            let other = scope.spawn(move || {
                let mut waits = Waits::default();
                while begun.elapsed() < time && *beside != Beside::Nothing {
                    let asked = Instant::now();
                    match beside {
                        Beside::Nothing => {}
                        Beside::Binds => bind_as_another(second, binds),
                        Beside::Comes => root_dse(&mut come(*ldap)),
                        Beside::AsksForHealth => is_well(&mut come(*http)),
                        Beside::Sorts => have_sorted(second),
                    }
                    waits.add(asked.elapsed());
                    std::thread::sleep(PAUSE);
                }
                waits.sorted()
            });
            let mut waits = Waits::default();
            while begun.elapsed() < time {
                *searches += 1;
                let wanted = format!("person-{}", *searches * 7 % *people);
                let request = search_all(2, BASE, 2, &equality("uid", &wanted));
                let asked = Instant::now();
                stream.write_all(&request).unwrap();
                assert_eq!(end_of_search(stream), (0, 1), "{wanted}");
                waits.add(asked.elapsed());
                std::thread::sleep(PAUSE);
            }
            Measured { searches: waits.sorted(), beside: other.join().unwrap() }
        })
    }
}

fn bind_as_another(stream: &mut TcpStream, binds: &mut usize) {
    *binds += 1;
    assert!(*binds < PEOPLE_WITH_PASSWORDS, "there are more people than binds");
    assert_eq!(bind(stream, &person(PEOPLE_WITH_PASSWORDS - *binds), PASSWORD), 0);
}

fn root_dse(stream: &mut TcpStream) {
    stream.write_all(&search(2, "", 0, &element(0x87, b"objectClass"))).unwrap();
    assert_eq!(end_of_search(stream), (0, 1));
}

fn is_well(stream: &mut TcpStream) {
    stream.write_all(b"GET /-/health/ready/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

/// A search whose answer is of no use to it when it is not sorted.
fn have_sorted(stream: &mut TcpStream) {
    let some = element(0xa4, &[element(4, b"uid"), element(0x30, &element(0x80, b"person-11"))].concat());
    stream.write_all(&with_controls(&search(2, BASE, 2, &some), &[sort_control(&["sn"])])).unwrap();
    let (code, entries) = end_of_search(stream);
    assert!(code == 0 && entries > 100, "{code}, {entries} entries");
}

/// Between two of its operations.
const PAUSE: Duration = Duration::from_millis(2);
