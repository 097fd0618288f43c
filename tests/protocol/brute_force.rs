//! Somebody guesses: after some wrong secrets for one account further ones are not looked at for a while, which nobody can
//! tell from a wrong one. The owner of a token, and everybody else behind the same address, is not shut out, and what
//! happened is told where an operator looks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::octets::{bind, connect};
use crate::support::{BASE, Place, SEED, Server, secret_of};

/// A server that listens on addresses of two families: a client of one is another source than one of the other.
struct Guessed {
    place: Place,
    server: Server,
    secret: String,
    /// By 127.0.0.1 and by ::1; without IPv6 both are the first.
    addresses: [SocketAddr; 2],
}

impl Guessed {
    fn start() -> Self {
        let place = Place::new(SEED);
        // Alice has a password: a secret without a selector, which alone can be guessed at the price of a hash.
        place.edit("name = \"Alice Adams\"", "name = \"Alice Adams\"\npassword_file = \"alice.password\"");
        place.write("alice.password", PASSWORD);
        place.edit("username = \"bob\"", "username = \"bob\"\npassword_file = \"bob.password\"");
        place.write("bob.password", PASSWORD_OF_BOB);
        // No test is so slow that a pause is over.
        place.edit(
            "[server.hashing]",
            "[server.limits]\nthrottle_pause_min = \"1h\"\nthrottle_time = \"1h\"\n\n[server.hashing]",
        );
        let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
        let second = if has_ipv6 { "[::1]:0" } else { "127.0.0.1:0" };
        let arguments = ["--ldap", "127.0.0.1:0", "--ldap", second, "--http", "127.0.0.1:0"];
        let file = place.path("secrets.json");
        let server =
            place.serve(&[arguments.as_slice(), &["--secrets-file", file.to_str().unwrap()]].concat());
        let secret = secret_of(&crate::support::read_secrets(&file), "ldapservice-app-password");
        let mut ldap = server.listening.iter().filter_map(|address| address.strip_prefix("ldap://"));
        let addresses = [(); 2].map(|()| ldap.next().unwrap().parse().unwrap());
        if !has_ipv6 {
            eprintln!("without IPv6 there is no second source on this machine");
        }
        Self { place, server, secret, addresses }
    }

    /// The codes of so many guesses at the secret of an account, from the first source.
    fn guess(&self, account: &str, count: usize) -> Vec<u8> {
        let mut stream = connect(self.addresses[0]);
        let guesses = (0..count).map(|number| bind(&mut stream, &name(account), &format!("guess {number}")));
        guesses.collect()
    }

    fn code(&self, source: usize, account: &str, secret: &str) -> u8 {
        bind(&mut connect(self.addresses[source]), &name(account), secret)
    }

    fn has_two_sources(&self) -> bool {
        self.addresses[1].is_ipv6()
    }

    /// A counter in `bindery status`, which is the one at `/metrics`.
    #[track_caller]
    fn reached(&self, limit: &str) -> u64 {
        let status = self.place.run(&["status", "--json"]).exits(0).json();
        let count = status["limits_reached"][limit].as_u64().unwrap();
        let mut http = TcpStream::connect(self.server.address("http")).unwrap();
        http.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut metrics = String::new();
        http.read_to_string(&mut metrics).unwrap();
        let line = format!("bindery_limit_reached_total{{limit=\"{limit}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line} in\n{metrics}");
        count
    }

    /// The failed logins of an account that stand in the audit trail: their kinds with their counts.
    fn failures(&self, account: &str) -> Vec<(String, u64)> {
        let list = ["event", "list", "--action", "login_failed", "--account", account, "--json"];
        let events = self.place.run(&list).exits(0).json();
        let events = events.as_array().unwrap().iter().map(|event| {
            assert_eq!(event["actor"]["source"], "127.0.0.1", "{event}");
            let details = event["details"].as_array().unwrap();
            let reason = details.iter().find(|detail| detail["name"] == "reason").unwrap();
            (reason["value"].as_str().unwrap().to_owned(), event["count"].as_u64().unwrap())
        });
        let mut events: Vec<_> = events.collect();
        events.sort();
        events
    }
}

#[test]
fn guesses_at_a_service_account_are_paused_and_its_owner_is_not() {
    let guessed = Guessed::start();
    assert_eq!(guessed.guess("ldapservice", 50), [49; 50]);
    assert_eq!(guessed.code(0, "ldapservice", &guessed.secret), 0, "from the source of the guesses");
    assert_eq!(guessed.code(1, "ldapservice", &guessed.secret), 0, "from another");
    // The owner's success has not bought the guesser more guesses.
    assert_eq!(guessed.guess("ldapservice", 1), [49]);
    assert_eq!(guessed.reached("throttle_failures_max"), 41);
    assert_eq!(guessed.reached("throttle_failures_by_source_max"), 0);
    let failures = guessed.failures("ldapservice");
    let expected = [("the secret is wrong", 10), (PAUSED, 41)];
    assert_eq!(failures, expected.map(|(reason, count)| (reason.to_owned(), count)));
    let mut log = guessed.place.run(&["event", "list", "--action", "login_failed"]).exits(0).stdout;
    log.retain(|letter| letter != ' ');
    assert!(log.contains("login_failed41ldapservice") && log.contains("login_failed10ldapservice"), "{log}");
}

#[test]
fn made_up_app_passwords_cost_nothing_and_are_counted() {
    let guessed = Guessed::start();
    let mut stream = connect(guessed.addresses[0]);
    let shape = &guessed.secret[..guessed.secret.len() - 1];
    for number in 0..200 {
        let secret = format!("{shape}_{number}");
        assert_eq!(bind(&mut stream, &name("ldapservice"), &secret), 49, "{number}");
    }
    assert_eq!(guessed.reached("throttle_failures_max"), 0);
    // Nobody looked for an account of that name, so the trail has the name as it was sent.
    let expected = vec![("the secret is mistyped or made up".to_owned(), 200)];
    assert_eq!(guessed.failures(&name("ldapservice")), expected);
    assert_eq!(guessed.code(0, "ldapservice", &guessed.secret), 0);
}

#[test]
fn a_password_that_is_guessed_at_works_from_another_source() {
    let guessed = Guessed::start();
    assert_eq!(guessed.guess("alice", 12), [49; 12]);
    // A password has no selector: from that source it cannot be told from a guess. A bind that the server remembers could.
    assert_eq!(guessed.code(0, "alice", PASSWORD), 49);
    assert_eq!(guessed.reached("throttle_failures_max"), 3);
    if guessed.has_two_sources() {
        assert_eq!(guessed.code(1, "alice", PASSWORD), 0);
        // It is verified now, and known again without a hash, from everywhere.
        assert_eq!(guessed.code(0, "alice", PASSWORD), 0);
    }
    // Names that do not exist are paused like those that do.
    assert_eq!(guessed.guess("nobody", 12), [49; 12]);
    assert_eq!(guessed.reached("throttle_failures_max"), 5);
}

#[test]
fn an_operator_sees_a_pause_and_ends_it() {
    let guessed = Guessed::start();
    let shown = || guessed.place.run(&["account", "show", "alice", "--json"]).exits(0).json();
    assert_eq!(shown()["pauses"], serde_json::json!([]));
    guessed.guess("alice", 12);
    assert_eq!(guessed.code(0, "alice", PASSWORD), 49);
    assert_eq!(shown()["pauses"][0]["source"], "127.0.0.1");
    let words = guessed.place.run(&["account", "show", "alice"]).exits(0).stdout;
    assert!(words.contains("for 127.0.0.1 until 2"), "{words}");
    let unlocked = guessed.place.run(&["account", "unlock", "alice"]).exits(0).stdout;
    assert_eq!(unlocked.trim_end(), "unlocked: alice; 1 pause was ended");
    assert_eq!(guessed.code(0, "alice", PASSWORD), 0);
    assert_eq!(shown()["pauses"], serde_json::json!([]));
    let events = guessed.place.run(&["event", "list", "--action", "model_updated", "--json"]).exits(0).json();
    assert!(events.to_string().contains("unlocked"), "{events}");
    guessed.place.run(&["account", "unlock", "nobody"]).exits(1);
}

#[test]
fn who_guesses_at_many_names_shuts_nobody_out() {
    let guessed = Guessed::start();
    for number in 0..10 {
        let account = format!("somebody-{number}");
        assert_eq!(guessed.guess(&account, 10), [49; 10], "{account}");
    }
    assert_eq!(guessed.guess("portal", 3), [49; 3]);
    assert_eq!(guessed.reached("throttle_failures_by_source_max"), 3);
    // Everybody else behind that address gets in, whatever they have.
    assert_eq!(guessed.code(0, "alice", PASSWORD), 0);
    for source in [0, 1] {
        assert_eq!(guessed.code(source, "ldapservice", &guessed.secret), 0);
    }
    assert_eq!(guessed.code(1, "portal", "a guess"), 49);
    // Where an application is at home that searches for people and binds as them, a login form may be wrong more often.
    let mut application = connect(guessed.addresses[0]);
    assert_eq!(bind(&mut application, &name("ldapservice"), &guessed.secret), 0);
    let paced = guessed.reached("throttle_failures_by_source_max");
    assert_eq!(guessed.code(0, "bob", PASSWORD_OF_BOB), 0);
    assert_eq!(guessed.reached("throttle_failures_by_source_max"), paced);
    assert_eq!(guessed.reached("throttle_failures_by_application_max"), 0);
}

fn name(account: &str) -> String {
    format!("cn={account},ou=users,{BASE}")
}

const PASSWORD: &str = "the password of alice";
const PASSWORD_OF_BOB: &str = "the password of bob";
const PAUSED: &str = "too many wrong secrets: it is paused for this source";
