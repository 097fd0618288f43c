//! A start that is cut short, or gets less than it asks for.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Resource, Rlimit, Signal, prlimit};

use crate::support::rounds::rounds;
use crate::support::{BASE, Place, SEED, pid, send};

/// The key of sealed secrets is a pipe here: the start waits for it, before it touches the store, for as long as the test likes.
#[test]
fn a_signal_ends_a_start_that_waits_for_its_key() {
    for signal in [Signal::TERM, Signal::INT] {
        let place = Place::new(SEED);
        let (server, _) = place.serve_first();
        server.stop();
        let before = place.run(&["export", "--format", "json"]).exits(0).stdout;
        let config = place.read("bindery.toml");
        place.write(
            "bindery.toml",
            &config.replacen("[server]\n", "[server]\ntoken_key_file = \"pipe\"\n", 1),
        );
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, place.path("pipe"), FileType::Fifo, mode, 0).unwrap();

        let mut starting = serve(&place);
        // Opened once the start reads it.
        let pipe = std::fs::OpenOptions::new().write(true).open(place.path("pipe")).unwrap();
        send(starting.id(), signal);
        assert_eq!(ended(&mut starting).code(), Some(0), "{signal:?}");
        drop(pipe);

        place.write("bindery.toml", &config);
        assert_eq!(place.run(&["export", "--format", "json"]).exits(0).stdout, before);
        place.serve(&[]).stop();
    }
}

/// At any moment of a start that has something to load; every second one has lost its database, and makes it anew.
#[test]
fn a_signal_ends_a_start_at_any_moment_and_nothing_is_lost() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    let description = "d".repeat(5_000);
    let person = |number| {
        format!(
            "dn: cn=user{number},ou=users,{BASE}\nobjectClass: inetOrgPerson\ncn: user{number}\nsn: x\n\
             description: {description}\n\n"
        )
    };
    place.run_with_input(&["import", "-"], &(0..2_500).map(person).collect::<String>()).exits(0);
    let export = ["export", "--format", "json"];
    let before = place.run(&export).exits(0).stdout;
    let begun = Instant::now();
    place.serve(&[]).stop();
    let whole = begun.elapsed();
    let (mut before_ready, rounds) = (0, rounds(8));
    for round in 0..rounds {
        if round % 2 == 1 {
            std::fs::remove_dir_all(place.path("data/store")).unwrap();
        }
        let signal = if round % 4 < 2 { Signal::TERM } else { Signal::INT };
        let mut command = place.command(&["serve"]);
        let log = std::fs::File::create(place.path("start.log")).unwrap();
        let mut starting = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        std::thread::sleep(whole * (round * 7 % rounds) / rounds);
        send(starting.id(), signal);
        let status = ended(&mut starting);
        // Before it has asked for signals it ends by them.
        let is_early = status.signal() == Some(signal.as_raw());
        let log = place.read("start.log");
        assert!(status.code() == Some(0) || is_early, "round {round}: {status}: {log}");
        before_ready += u32::from(!is_early && log.contains("before the directory was loaded"));
    }
    assert!(before_ready > 0, "no signal came while the store was loaded");
    assert!(place.run(&export).exits(0).stdout == before);
    place.serve(&[]).stop();
    assert!(place.run(&export).exits(0).stdout == before);
    place.run(&["event", "verify"]).exits(0);
}

/// The limit on processes counts threads; it does not bind root.
#[test]
fn a_start_that_is_given_no_threads_says_so() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new(SEED);
    let mut command = Command::new("sh");
    command.args(["-c", "read line; exec \"$0\" serve", env!("CARGO_BIN_EXE_bindery")]);
    command.env("BINDERY_CONFIG", place.path("bindery.toml")).current_dir(place.path("."));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut starting = command.spawn().unwrap();
    let limit = Rlimit { current: Some(1), maximum: Some(1) };
    prlimit(Some(pid(starting.id())), Resource::Nproc, limit).unwrap();
    starting.stdin.take().unwrap().write_all(b"\n").unwrap();
    let output = starting.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("threads") && told.contains("LimitNPROC="), "{told}");
    assert!(!place.path("data/store").exists(), "nothing was made");
}

/// Where a program has more rights than whoever starts it, the system takes variables away, each time it begins.
#[test]
fn a_program_that_was_begun_once_more_is_not_begun_again() {
    if !cfg!(target_env = "gnu") {
        return;
    }
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    for is_again in [false, true] {
        let mut command = place.command(&["serve"]);
        for name in ["MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"] {
            command.env_remove(name);
        }
        if is_again {
            command.env("MEMORY_GOES_BACK_IN_BINDERY", "1");
        }
        let mut server = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(server.stderr.take().unwrap());
        let log: Vec<String> =
            log.lines().map(Result::unwrap).take_while(|line| !line.contains("ready")).collect();
        send(server.id(), Signal::TERM);
        assert!(ended(&mut server).success());
        let is_told = log.iter().any(|line| line.contains("memory may not go back"));
        assert_eq!(is_told, is_again, "{log:#?}");
    }
}

fn serve(place: &Place) -> Child {
    let mut command = place.command(&["serve"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap()
}

/// Its exit status, which must come though the start still waits.
fn ended(starting: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = starting.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > Duration::from_secs(60) {
            starting.kill().unwrap();
            panic!("the signal has not ended the start");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
