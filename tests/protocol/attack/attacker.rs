//! The process that attacks: this test once more, nice, told by variables what to do and by its standard input how long.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::attacks::{ALL, Attack, Door, Known, Message, Way, Whom};
use super::{Attacked, header, service_account};
use crate::support::Server;
use crate::support::octets::{bind, connect, final_code, read_message};

/// The process, as the test sees it.
pub struct Attacker {
    child: Child,
    /// What it is asked; closed, it ends.
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What it says in the end.
pub struct Told {
    /// Messages that were answered.
    pub answers: u64,
    /// Some of the answers that should not be.
    pub unexpected: Vec<String>,
}

impl Attacker {
    /// Starts it, and waits until all its connections are there.
    pub fn start(attacked: &Attacked, server: &Server, attack: &Attack) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["attack::attacks_leave_a_victim_its_answers", "--exact", "--ignored", "--nocapture"])
            .env(IS_ONE, attack.name)
            .env("ATTACK_LDAP", server.address("ldap").to_string())
            .env("ATTACK_LDAPS", server.address("ldaps").to_string())
            .env("ATTACK_HTTP", server.address("http").to_string())
            .env("ATTACK_READER", &attacked.reader)
            .env("ATTACK_RIGHTLESS", &attacked.rightless)
            .env("ATTACK_VIEWER", &attacked.viewer)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut attacker = Self { child, questions, answers };
        attacker.said("ready");
        attacker
    }

    /// How many messages it has sent so far.
    pub fn sent(&mut self) -> u64 {
        writeln!(self.questions, "sent?").unwrap();
        self.said("sent").parse().unwrap()
    }

    pub fn end(self) -> Told {
        let Self { mut child, questions, answers } = self;
        drop(questions);
        let lines: Vec<String> = answers.lines().map(Result::unwrap).collect();
        assert!(child.wait().unwrap().success(), "{lines:?}");
        let of = |word: &str| lines.iter().filter_map(|line| after(line, word)).collect::<Vec<_>>();
        Told { answers: of("answers")[0].parse().unwrap(), unexpected: of("unexpected") }
    }

    /// The rest of the next line that begins so; the harness of the tests has lines too.
    fn said(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "the attacker has ended");
            if let Some(rest) = after(line.trim_end(), word) {
                return rest;
            }
        }
    }
}

fn after(line: &str, word: &str) -> Option<String> {
    Some(line.strip_prefix("attacker: ")?.strip_prefix(word)?.trim_start().to_owned())
}

fn say(text: &str) {
    let mut told = std::io::stdout().lock();
    writeln!(told, "attacker: {text}").unwrap();
}

/// Whether this process is the attacker.
pub fn is_one() -> bool {
    std::env::var_os(IS_ONE).is_some()
}

/// Attacks until standard input ends.
pub fn run() {
    // What it does is not what the victim waits for.
    rustix::process::nice(19).unwrap();
    let told = |name: &str| std::env::var(name).unwrap();
    let name = told(IS_ONE);
    let attack = ALL.iter().find(|attack| attack.name == name).unwrap();
    let attack = &At {
        attack,
        ldap: told("ATTACK_LDAP").parse().unwrap(),
        ldaps: told("ATTACK_LDAPS").parse().unwrap(),
        http: told("ATTACK_HTTP").parse().unwrap(),
        known: Known {
            reader: told("ATTACK_READER"),
            rightless: told("ATTACK_RIGHTLESS"),
            viewer: told("ATTACK_VIEWER"),
        },
        done: Done::default(),
    };
    std::thread::scope(|scope| {
        match attack.attack.way {
            Way::Ask { before, differs, ask } => {
                for number in 0..before {
                    let mut stream = attack.come(0);
                    attack.send(&mut stream, &ask(&attack.known, number));
                }
                let begun = Instant::now();
                for connection in 0..attack.attack.connections {
                    let stream = attack.come(connection);
                    std::thread::Builder::new()
                        .stack_size(256 * 1024)
                        .spawn_scoped(scope, move || {
                            attack.ask(stream, connection, begun, |number| {
                                (number == 0 || differs).then(|| ask(&attack.known, before + number))
                            })
                        })
                        .unwrap();
                }
                say("ready");
            }
            Way::Hold { sent } => {
                scope.spawn(move || attack.hold(&sent(&attack.known)));
            }
        }
        for question in std::io::stdin().lines() {
            assert_eq!(question.unwrap(), "sent?");
            say(&format!("sent {}", attack.done.sent.load(Ordering::Relaxed)));
        }
        attack.done.is_over.store(true, Ordering::Relaxed);
    });
    say(&format!("answers {}", attack.done.answers.load(Ordering::Relaxed)));
    for unexpected in attack.done.unexpected.lock().unwrap().iter().take(5) {
        say(&format!("unexpected {unexpected}"));
    }
}

/// An attack on this server.
struct At {
    attack: &'static Attack,
    ldap: SocketAddr,
    ldaps: SocketAddr,
    http: SocketAddr,
    known: Known,
    done: Done,
}

#[derive(Default)]
struct Done {
    /// Which message is next.
    next: AtomicU64,
    sent: AtomicU64,
    answers: AtomicU64,
    unexpected: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl At {
    /// A connection, bound as the attack wants it.
    fn come(&self, connection: usize) -> TcpStream {
        let address = match self.attack.door {
            Door::Ldap => self.ldap,
            Door::Ldaps => self.ldaps,
            Door::Http => self.http,
        };
        let mut stream = connect(address);
        let sources = self.attack.sources;
        let from = if sources == 0 { header(200, 1) } else { header(1, connection % sources) };
        stream.write_all(&from).unwrap();
        let (account, secret) = match self.attack.whom {
            Whom::Stranger => return stream,
            Whom::Rightless => ("rightless", &self.known.rightless),
            Whom::Reader => ("reader", &self.known.reader),
        };
        assert_eq!(bind(&mut stream, &service_account(account), secret), 0);
        stream
    }

    /// Sends one message after the other, each at its time.
    fn ask(
        &self,
        mut stream: TcpStream,
        connection: usize,
        begun: Instant,
        ask: impl Fn(u64) -> Option<Vec<Message>>,
    ) {
        let mut messages = ask(0).unwrap();
        loop {
            let number = self.done.next.fetch_add(1, Ordering::Relaxed);
            if let Some(other) = ask(number) {
                messages = other;
            }
            let time = Duration::from_secs_f64(number as f64 / f64::from(self.attack.rate));
            std::thread::sleep(time.saturating_sub(begun.elapsed()));
            if self.done.is_over.load(Ordering::Relaxed) {
                return;
            }
            self.done.sent.fetch_add(1, Ordering::Relaxed);
            if !self.send(&mut stream, &messages) {
                stream = self.come(connection);
            }
        }
    }

    /// Says whether all were answered as they should be.
    fn send(&self, stream: &mut TcpStream, messages: &[Message]) -> bool {
        for (message, expected) in messages {
            let answer = stream.write_all(message).map(|()| last_code(stream));
            match answer {
                Ok(Some(code)) if expected.contains(&code) => {}
                other => {
                    self.done.unexpected.lock().unwrap().push(format!("{other:?}, not one of {expected:?}"));
                    return false;
                }
            }
        }
        self.done.answers.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Opens connections, sends on each what it takes within a moment, and reads nothing; the oldest makes room for the next.
    fn hold(&self, octets: &[u8]) {
        let begun = Instant::now();
        let mut held: std::collections::VecDeque<TcpStream> = std::collections::VecDeque::new();
        for number in 0.. {
            let time = Duration::from_secs_f64(number as f64 / f64::from(self.attack.rate));
            std::thread::sleep(time.saturating_sub(begun.elapsed()));
            if self.done.is_over.load(Ordering::Relaxed) {
                return;
            }
            if held.len() == self.attack.connections {
                held.pop_front();
            }
            let mut stream = self.come(number);
            stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
            let opened = Instant::now();
            for piece in octets.chunks(64 * 1024) {
                let is_taken = match stream.write_all(piece) {
                    Ok(()) => true,
                    // The server takes no more of it, or has ended it.
                    Err(error) if REFUSED.contains(&error.kind()) => false,
                    Err(error) => panic!("{error}"),
                };
                if !is_taken || opened.elapsed() > SENDING_MAX {
                    break;
                }
            }
            held.push_back(stream);
            self.done.sent.fetch_add(1, Ordering::Relaxed);
            if held.len() == self.attack.connections && number + 1 == held.len() {
                say("ready");
            }
        }
    }
}

/// The code of the message that ends an answer; what comes before it is read over.
fn last_code(stream: &mut TcpStream) -> Option<u8> {
    loop {
        match final_code(&read_message(stream)?) {
            (_, 0x64, _) => {}
            (_, _, code) => return Some(code),
        }
    }
}

/// How a connection is told that what it sends is not wanted.
const REFUSED: [ErrorKind; 4] =
    [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
/// So long it sends what is not answered, before the next one comes.
const SENDING_MAX: Duration = Duration::from_secs(1);
const IS_ONE: &str = "ATTACK";
