//! What the tests with the real binary have in common: a directory of their own, commands, a server.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "each test binary uses its part of it, and a test may panic and print"
)]

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bindery::inside::model;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub mod example;
pub mod octets;
pub mod openapi;
pub mod plain;
pub mod proxy_headers;
pub mod rounds;

/// The suffix of the seed and of the example.
pub const BASE: &str = "dc=ldap,dc=example,dc=com";

/// What is tested: the binary that cargo has built for the tests, or another one, such as a released one.
fn binary() -> OsString {
    std::env::var_os(BINARY).unwrap_or_else(|| env!("CARGO_BIN_EXE_bindery").into())
}

/// Whether it is another one.
pub fn binary_is_given() -> bool {
    std::env::var_os(BINARY).is_some()
}

const BINARY: &str = "BINDERY_TEST_BINARY";

/// A directory of one test, with a config in it. Removed when dropped.
pub struct Place {
    directory: TempDir,
}

impl Place {
    /// With `bindery.toml` that holds [`SERVER`] and `seed`.
    pub fn new(seed: &str) -> Self {
        let place = Self { directory: TempDir::new().unwrap() };
        place.write("bindery.toml", &format!("{SERVER}\n{seed}"));
        place
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The config file.
    pub fn config(&self) -> PathBuf {
        self.path("bindery.toml")
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Replaces a piece of the config that is there once.
    pub fn edit(&self, old: &str, new: &str) {
        let text = self.read("bindery.toml");
        assert_eq!(text.matches(old).count(), 1, "{old:?} in\n{text}");
        self.write("bindery.toml", &text.replace(old, new));
    }

    /// Runs a command to its end. `--config` is given by a variable.
    pub fn run(&self, arguments: &[&str]) -> Done {
        self.run_with_input(arguments, "")
    }

    /// The same, with standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Done {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // A command that reads nothing closes its end.
        let writer = std::thread::spawn(move || {
            let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Done {
            what: arguments.join(" "),
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The binary, in this directory, without variables of whoever runs the test.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_after("", arguments)
    }

    fn command_after(&self, first: &str, arguments: &[&str]) -> Command {
        let mut command = match first {
            "" => Command::new(binary()),
            first => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("{first}; exec \"$0\" \"$@\"")).arg(binary());
                shell
            }
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BINDERY_") {
                command.env_remove(name);
            }
        }
        command
            .env("BINDERY_CONFIG", self.config())
            .env("NO_COLOR", "1")
            .current_dir(self.directory.path())
            .args(arguments);
        command
    }

    /// Starts a server and waits until it is ready.
    pub fn serve(&self, arguments: &[&str]) -> Server {
        Server::start(self, arguments, "")
    }

    /// Starts a server for the first time, and gives the secrets that it made too.
    pub fn serve_first(&self) -> (Server, serde_json::Value) {
        let file = self.path("secrets.json");
        let server = self.serve(&["--secrets-file", file.to_str().unwrap()]);
        let secrets = read_secrets(&file);
        (server, secrets)
    }

    /// As [`Self::serve`], after a shell has done `first`, such as setting a limit.
    pub fn serve_after(&self, first: &str, arguments: &[&str]) -> Server {
        Server::start(self, arguments, first)
    }
}

/// A command that has ended.
pub struct Done {
    what: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.status.code(),
            Some(code),
            "bindery {}\nstdout:\n{}\nstderr:\n{}",
            self.what,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Asserts that standard error holds all of these.
    #[track_caller]
    pub fn says(self, pieces: &[&str]) -> Self {
        for piece in pieces {
            assert!(
                self.stderr.contains(piece),
                "bindery {}: {piece:?} is not in stderr:\n{}",
                self.what,
                self.stderr
            );
        }
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("bindery {}: {error}:\n{}", self.what, self.stdout))
    }
}

/// A running server. Killed, by its handle, when dropped; its log is shown when the test has failed.
pub struct Server {
    child: Child,
    /// The listeners by their addresses, `ldap://127.0.0.1:40001`, in the order of the config.
    pub listening: Vec<String>,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Server {
    fn start(place: &Place, arguments: &[&str], first: &str) -> Self {
        let arguments: Vec<&str> = std::iter::once("serve").chain(arguments.iter().copied()).collect();
        let mut child = place
            .command_after(first, &arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().unwrap();
        let collected = Arc::clone(&log);
        let log_reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                let Ok(line) = line else { return };
                let mut log = collected.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, listening: Vec::new(), log, readers: vec![log_reader] };
        let expected = listeners_of(place, &arguments);
        while server.listening.len() < expected {
            let mut line = String::new();
            if stdout.read_line(&mut line).unwrap() == 0 {
                let status = server.child.wait().unwrap();
                server.join();
                panic!("the server ended before it was ready ({status}); its log:\n{}", server.log());
            }
            let address = line.trim_end().strip_prefix("listening ");
            let address = address.unwrap_or_else(|| panic!("not a listener: {line:?}"));
            server.listening.push(address.to_owned());
        }
        // Nothing else may come, but a full pipe must not stop the server.
        server.readers.push(std::thread::spawn(move || {
            let mut rest = String::new();
            let _ = stdout.read_to_string(&mut rest);
            assert_eq!(rest, "", "standard output holds the listeners only");
        }));
        server
    }

    /// The first listener with this scheme: `ldap`, `ldaps`, `http`, `https`.
    #[track_caller]
    pub fn address(&self, scheme: &str) -> SocketAddr {
        let prefix = format!("{scheme}://");
        let found = self.listening.iter().find_map(|address| address.strip_prefix(&prefix));
        found.unwrap_or_else(|| panic!("no {scheme} among {:?}", self.listening)).parse().unwrap()
    }

    /// The same as an address for clients.
    #[track_caller]
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address(scheme))
    }

    /// What the server wrote to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log holds `piece`: it is written by another process, a moment later.
    #[track_caller]
    pub fn await_log(&self, piece: &str) {
        let start = Instant::now();
        while !self.log().contains(piece) {
            assert!(start.elapsed() < PATIENCE, "{piece:?} is not in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The process id.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Asks the server to go down, and waits for its end.
    pub fn stop(mut self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.join();
                return (status, self.log());
            }
            assert!(start.elapsed() < PATIENCE, "the server does not end; its log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn join(&mut self) {
        for reader in self.readers.drain(..) {
            let result = reader.join();
            if !std::thread::panicking() {
                result.unwrap();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.join();
        if std::thread::panicking() {
            eprintln!("---- the server's log ----\n{}--------------------------", self.log());
        }
    }
}

/// A process by its id, as rustix wants it.
pub fn pid(process: u32) -> Pid {
    Pid::from_raw(process.try_into().unwrap()).unwrap()
}

/// Sends a process a signal. Not by the program `kill`, which not every machine has.
pub fn send(process: u32, signal: Signal) {
    kill_process(pid(process), signal).unwrap();
}

/// How many `listening` lines there will be: the flags replace the config's lists.
fn listeners_of(place: &Place, arguments: &[&str]) -> usize {
    let config: toml::Table = place.read("bindery.toml").parse().unwrap();
    ["ldap", "ldaps", "http", "https"]
        .iter()
        .map(|scheme| {
            let flag = format!("--{scheme}");
            let given = arguments.iter().filter(|argument| **argument == flag).count();
            let listed = config["server"].get(scheme).and_then(|list| list.as_array()).map_or(0, Vec::len);
            if given > 0 { given } else { listed }
        })
        .sum()
}

/// The first secret of an identifier in a secrets file or in the document of `apply --json`.
#[track_caller]
pub fn secret_of(list: &serde_json::Value, identifier: &str) -> String {
    let found = list.as_array().unwrap().iter().find(|secret| secret["identifier"] == identifier);
    let found = found.unwrap_or_else(|| panic!("no {identifier} in the list of secrets"));
    found["secret"].as_str().unwrap().to_owned()
}

/// A secret with the selector of another, the `number`th, and the checksum that belongs to it: what
/// anybody can make who knows the selector.
pub fn forged(secret: &str, number: u64) -> String {
    let (known, _) = secret.split_at(secret.len() - 6 - 28);
    let mut forged = format!("{known}{number:028}");
    let hash = blake3::hash(forged.as_bytes());
    let mut rest = u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap());
    let mut digits = [0; 6];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(rest % 62) as usize];
        rest /= 62;
    }
    forged.push_str(std::str::from_utf8(&digits).unwrap());
    forged
}

/// Reads a secrets file.
pub fn read_secrets(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// `[server]` of the tests: ports that are free, hashes that are cheap.
pub const SERVER: &str = r#"
[server]
data_dir = "data"
ldap = ["127.0.0.1:0"]

[server.hashing]
memory = "64 KiB"
time_cost = 1
threads = 1
"#;

/// A provider, a role, two service accounts, two people, a group.
pub const SEED: &str = r#"
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

[[group]]
name = "engineering"
members = ["alice"]

[[account]]
username = "alice"
name = "Alice Adams"
email = "alice@example.com"

[[account]]
username = "bob"
name = "Bob Brown"

[[account]]
username = "ldapservice"
type = "service_account"
roles = ["ldap-search"]

[[account]]
username = "portal"
type = "service_account"
"#;

/// Longer than anything takes on a busy machine; no test passes or fails by it otherwise.
const PATIENCE: Duration = Duration::from_secs(60);
