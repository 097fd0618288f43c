//! An app password is rotated while clients bind with it as fast as they are allowed to: none of them fails, and the old
//! secret ends with the overlap.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::octets::{bind, connect};
use crate::support::{Place, SEED, secret_of};

/// What one connection saw.
#[derive(Default)]
struct Seen {
    /// Binds with the old and with the new secret.
    binds: [u64; 2],
    longest: Duration,
}

#[test]
fn no_bind_fails_while_an_app_password_is_rotated_and_the_config_is_switched() {
    let place = Place::new(SEED);
    let (server, secrets) = place.serve_first();
    let old = secret_of(&secrets, "ldapservice-app-password");
    // The client's configuration, which it reads anew for each bind.
    place.write("client.secret", &old);
    let file = place.path("client.secret");
    let address = server.address("ldap");
    let is_over = AtomicBool::new(false);
    let begun = Instant::now();
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (old, file, is_over) = (&old, &file, &is_over);
                scope.spawn(move || {
                    let mut seen = Seen::default();
                    let mut stream = connect(address);
                    let mut due = Instant::now();
                    while !is_over.load(Ordering::Relaxed) {
                        let secret = std::fs::read_to_string(file).unwrap();
                        let sent = Instant::now();
                        let code = bind(&mut stream, NAME, &secret);
                        seen.longest = seen.longest.max(sent.elapsed());
                        let is_new = secret != *old;
                        assert_eq!(code, 0, "{seen_binds:?}", seen_binds = seen.binds);
                        seen.binds[usize::from(is_new)] += 1;
                        // One that is late does not catch up.
                        due = (due + PACE).max(Instant::now());
                        std::thread::sleep(due - Instant::now());
                    }
                    seen
                })
            })
            .collect();
        let ending = Ending(&is_over);
        std::thread::sleep(Duration::from_secs(1));

        let rotate = ["token", "rotate", "ldapservice-app-password", "--overlap", "6s", "--json"];
        let rotated = place.run(&rotate).exits(0).json();
        let new = rotated["secret"].as_str().unwrap();
        let replaced = place.run(&["token", "list", "--account", "ldapservice", "--json"]).exits(0).json();
        let replaced = replaced.as_array().unwrap().iter().find(|token| {
            token["identifier"].as_str().unwrap().starts_with("ldapservice-app-password-replaced")
        });
        let ends: jiff::Timestamp = replaced.unwrap()["expires"].as_str().unwrap().parse().unwrap();
        // Both work.
        for secret in [&old, new] {
            assert_eq!(bind(&mut connect(address), NAME, secret), 0);
        }
        // The config is switched in one step: nobody reads half of it. The clients went on with the old one until here.
        std::thread::sleep(Duration::from_secs(1));
        place.write("client.secret.new", new);
        std::fs::rename(place.path("client.secret.new"), &file).unwrap();
        // From the second on that it says, the old one is refused; the clients do not notice.
        while jiff::Timestamp::now() < ends {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(bind(&mut connect(address), NAME, &old), 49);
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(bind(&mut connect(address), NAME, &old), 49);
        drop(ending);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let [with_old, with_new] = [0, 1].map(|secret| seen.iter().map(|seen| seen.binds[secret]).sum::<u64>());
    assert!(seen.iter().all(|seen| seen.binds[0] > 0 && seen.binds[1] > 0), "each has seen both");
    let rate = (with_old + with_new) as f64 / begun.elapsed().as_secs_f64();
    let longest = seen.iter().map(|seen| seen.longest).max().unwrap();
    eprintln!(
        "{with_old} binds with the old secret and {with_new} with the new one, {rate:.0} a second, the longest {longest:?}; \
         none failed"
    );
}

/// The clients end with it, also when something fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const NAME: &str = "cn=ldapservice,ou=users,dc=ldap,dc=example,dc=com";
const CLIENTS: usize = 8;
/// Together a thousand binds a second.
const PACE: Duration = Duration::from_millis(8);
