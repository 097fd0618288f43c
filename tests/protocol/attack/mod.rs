//! What each attack costs somebody else: a victim's answers without and with it, the time of a network thread for one message of it, and
//! the server's memory before, during and after it.
//!
//! ```sh
//! BINDERY_TEST_BINARY=target/release/bindery \
//!     cargo test --test protocol attack:: -- --ignored --nocapture --test-threads 1
//! ```
//! prints one table, `BINDERY_ATTACK=sort,group` only rows with one of these words. Figures are for who reads them; asserted is that the victim gets its answers, the attacker those that are
//! meant for it, and that the limits that held the attack are counted. Attacker and victim are clients of a proxy, so that
//! each comes from wherever it likes; the attacker is a process of its own, and a nice one, so that what the victim waits
//! for is the server.

use std::time::Duration;

use bindery::inside::auth::{Argon2Parameters, ArgonMemory, hash_new};

use crate::support::{BASE, Place, Server, binary_is_given, secret_of};

mod attacker;
mod attacks;
mod figures;
mod victim;

use attacker::Attacker;
use attacks::{AS_FAST_AS_ANSWERED, Attack};
use figures::{Memory, Row, network_time};
use victim::Victim;

/// The directory that is attacked, in a store that is made once.
struct Attacked {
    place: Place,
    /// App passwords: of who sees everything, for the victim; of who sees everything, and who sees nothing, for attackers.
    victim: String,
    reader: String,
    rightless: String,
    /// An API token of who may view accounts.
    viewer: String,
    people: usize,
}

impl Attacked {
    fn new(people: usize) -> Self {
        let place = Place::new("");
        place.write("bindery.toml", &format!("{SERVER}\n{SEED}"));
        let (server, secrets) = place.serve_first();
        place.write("people.ldif", &directory(people));
        let ldif = place.path("people.ldif");
        let import = ["import", "--users", "ou=users:cn", "--groups", "ou=groups:cn", ldif.to_str().unwrap()];
        place.run(&import).exits(0);
        server.stop();
        let secret = |account: &str| secret_of(&secrets, &format!("{account}-app-password"));
        let viewer = secret_of(&secrets, "viewer-api");
        Self {
            victim: secret("victim"),
            reader: secret("reader"),
            rightless: secret("rightless"),
            viewer,
            people,
            place,
        }
    }

    /// A server that nobody has attacked yet.
    fn serve(&self) -> Server {
        self.place.serve_after("ulimit -S -n \"$(ulimit -H -n)\"", &[])
    }

    fn reached(&self, limit: &str) -> u64 {
        let status = self.place.run(&["status", "--json"]).exits(0).json();
        let count = status["limits_reached"][limit].as_u64();
        count.unwrap_or_else(|| panic!("no limit {limit} in {status}"))
    }

    /// One attack, and its row of the table.
    fn suffer(&self, attack: &Attack, times: &Times) -> Row {
        let server = self.serve();
        let mut victim = Victim::new(self, &server, attack.beside);
        victim::read_everybody(&server, &self.viewer);
        std::thread::sleep(times.rest);
        let memory = Memory::watch(server.process());
        let without = victim.measure(times.without);

        let mut attacker = Attacker::start(self, &server, attack);
        let begun = (attacker.sent(), network_time(server.process()));
        std::thread::sleep(times.alone);
        let ended = (attacker.sent(), network_time(server.process()));
        let (messages, network_time) = (ended.0.saturating_sub(begun.0), ended.1.saturating_sub(begun.1));
        let with = victim.measure(times.with);
        let told = attacker.end();

        let memory = memory.end(times.after);
        let mut faults = told.unexpected;
        // Debug builds are not waited for.
        if binary_is_given() && !memory.is_back() {
            faults.push(format!("its memory is not given back after {} s", times.after.as_secs()));
        }
        if binary_is_given() && !memory.is_within_budget() {
            faults.push("it took more memory than its share of the budgets".to_owned());
        }
        if told.answers == 0 && !attack.is_unanswered() {
            faults.push("it was not answered".to_owned());
        }
        for (limit, at_least) in attack.limits {
            let (reached, at_least) = (self.reached(limit), at_least.count(told.answers));
            if reached < at_least {
                faults.push(format!("{limit} was reached {reached} times, not {at_least}"));
            }
        }
        Row {
            attack: attack.name,
            rate: match attack.rate {
                AS_FAST_AS_ANSWERED => (messages as f64 / times.alone.as_secs_f64()) as u32,
                rate => rate,
            },
            without,
            with,
            for_one: network_time.checked_div(messages),
            memory,
            faults,
        }
    }
}

/// How long everything takes.
struct Times {
    rest: Duration,
    without: Duration,
    alone: Duration,
    with: Duration,
    /// The longest wait for memory to be given back.
    after: Duration,
}

/// The test, and, where it has started itself, the attacker.
#[test]
#[ignore = "takes minutes and prints figures: CONTRIBUTING.md"]
fn attacks_leave_a_victim_its_answers() {
    if attacker::is_one() {
        return attacker::run();
    }
    let seconds = Duration::from_secs;
    // What cargo has built for the tests is slow: it shows whether all is answered, and no more.
    let (people, times) = if binary_is_given() {
        let times = Times {
            rest: seconds(1),
            without: seconds(2),
            alone: seconds(2),
            with: seconds(4),
            after: seconds(90),
        };
        (30_000, times)
    } else {
        let short = Duration::from_millis(300);
        (2_000, Times { rest: short, without: short, alone: short, with: seconds(1), after: short })
    };
    let attacked = Attacked::new(people);
    let chosen = std::env::var("BINDERY_ATTACK").unwrap_or_default();
    let rows: Vec<Row> = attacks::ALL
        .iter()
        .filter(|attack| chosen.split(',').any(|word| attack.name.contains(word)))
        .map(|attack| {
            let row = attacked.suffer(attack, &times);
            eprintln!("{row}");
            row
        })
        .collect();
    eprintln!("\n{}", figures::table(&rows));
    let faults = rows.iter().flat_map(|row| row.faults.iter().map(|fault| (row.attack, fault)));
    assert_eq!(faults.collect::<Vec<_>>(), []);
}

/// People, the first two thousand of them with one password, and a group of all of them.
fn directory(people: usize) -> String {
    let parameters = Argon2Parameters::new(19 * 1024, 2, 1).unwrap();
    let hash = hash_new(PASSWORD.as_bytes(), &parameters, &mut ArgonMemory::new()).unwrap();
    let mut ldif = String::new();
    for number in 0..people {
        ldif += &format!(
            "dn: {}\nobjectClass: inetOrgPerson\ncn: person-{number}\nuid: person-{number}\nsn: Person {number}\n\
             givenName: Somebody\nmail: person-{number}@example.com\ntelephoneNumber: +49 30 {number:07}\n\
             description: {}\n",
            person(number),
            "what is said of this person ".repeat(10).trim_end(),
        );
        if number < PEOPLE_WITH_PASSWORDS {
            ldif += &format!("userPassword: {{ARGON2}}{hash}\n");
        }
        ldif.push('\n');
    }
    ldif += &format!(
        "dn: {}\nobjectClass: groupOfNames\nobjectClass: posixGroup\ncn: everybody\n\
         gidNumber: 50000\n",
        group()
    );
    for number in 0..people {
        ldif += &format!("member: {}\n", person(number));
    }
    ldif
}

fn person(number: usize) -> String {
    format!("cn=person-{number},ou=users,{BASE}")
}

fn group() -> String {
    format!("cn=everybody,ou=groups,{BASE}")
}

fn service_account(name: &str) -> String {
    format!("cn={name},ou=users,{BASE}")
}

/// The header of a proxy for a client of this number, of a kind.
fn header(kind: u8, client: usize) -> Vec<u8> {
    let [.., high, low] = client.to_be_bytes();
    format!("PROXY TCP4 10.{kind}.{high}.{low} 127.0.0.1 40000 389\r\n").into_bytes()
}

const PEOPLE_WITH_PASSWORDS: usize = 2_000;
const PASSWORD: &str = "the password of all";

/// As it comes, but for what lets clients of this machine come from elsewhere.
const SERVER: &str = r#"
[server]
data_dir = "data"
ldap = ["127.0.0.1:0"]
ldaps = ["127.0.0.1:0"]
http = ["127.0.0.1:0"]
proxy_networks = ["127.0.0.1/32"]
plain_bind = "always"
log = { level = "error" }

[server.tls]
development = "certs"
"#;

const SEED: &str = r#"
[[provider]]
name = "ldap"
base_dn = "dc=ldap,dc=example,dc=com"
default = true
users = [{ container = "ou=users", naming = "cn" }]
service_accounts = [{ container = "ou=users", naming = "cn" }]
groups = [{ container = "ou=groups", naming = "cn" }]

[[role]]
name = "ldap-search"
permissions = [{ permission = "search_full_directory", on = "provider:ldap" }]

[[account]]
username = "victim"
type = "service_account"
roles = ["ldap-search"]

[[account]]
username = "reader"
type = "service_account"
roles = ["ldap-search"]

[[account]]
username = "rightless"
type = "service_account"

[[account]]
username = "viewer"
type = "service_account"
permissions = [{ permission = "view_user" }]

[[token]]
identifier = "viewer-api"
account = "viewer"
intent = "api"
"#;
