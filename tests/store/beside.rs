//! Commands beside a server, beside each other, and on a store that they may only read.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{FlockOperation, flock};

use crate::support::{Place, SEED};

/// Every command that only reads.
pub(crate) const READING: [&[&str]; 16] = [
    &["check"],
    &["apply", "--dry-run"],
    &["status"],
    &["account", "list"],
    &["account", "show", "alice"],
    &["group", "list"],
    &["group", "show", "engineering"],
    &["role", "list"],
    &["role", "show", "ldap-search"],
    &["grant", "list"],
    &["application", "list"],
    &["provider", "show", "ldap"],
    &["token", "list"],
    &["export", "--format", "json"],
    &["access", "explain", "alice"],
    &["event", "verify"],
];

#[test]
fn commands_that_only_read_write_nothing() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    place.run(&["token", "create", "kept", "--account", "portal", "--json"]).exits(0);
    let before = files_in(&place.path("data"));
    for command in READING {
        place.run(command).exits(0);
        assert_eq!(files_in(&place.path("data")), before, "{command:?}");
    }
    let listed = place.run(&["token", "list", "--json"]).exits(0).json();
    assert!(listed.as_array().unwrap().iter().any(|token| token["identifier"] == "kept"));
    let status = place.run(&["status"]).exits(0);
    assert!(status.stdout.contains("not running; this is the store"), "{}", status.stdout);
}

#[test]
fn they_work_on_a_mount_that_is_read_only() {
    let place = Place::new(SEED);
    let Some(mount) = Mount::of(&place.path("data")) else {
        crate::support::rounds::skip("this user cannot mount a file system");
        return;
    };
    place.run(&["apply", "--json"]).exits(0);
    mount.make_read_only();
    for command in READING {
        place.run(command).exits(0);
    }
    place.run(&["token", "create", "new", "--account", "portal"]).exits(1);
}

#[test]
fn they_work_for_who_may_not_write() {
    let place = Place::new(SEED);
    if !is_nobody_usable(&place) {
        crate::support::rounds::skip("this user cannot become another one");
        return;
    }
    place.run(&["apply", "--json"]).exits(0);
    for path in [place.path("data"), place.path("data/journal"), place.path("data/store")] {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    for (path, _) in files_in(&place.path("data")) {
        if path.is_file() {
            std::fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        }
    }
    std::fs::remove_file(place.path("data/token.key")).ok();
    for command in READING {
        let output = as_nobody(&place, command).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{command:?}: {said}");
    }
    // What does not only read is told whose store it is, before standard input is kept in it.
    let output = as_nobody(&place, &["import", "-"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
}

/// `sudo bindery check` beside a stopped service must not keep the service from starting.
#[test]
fn another_user_leaves_nothing_that_the_owner_cannot_read() {
    let place = Place::new(SEED);
    if !is_nobody_usable(&place) {
        crate::support::rounds::skip("this user cannot become another one");
        return;
    }
    std::fs::create_dir(place.path("data")).unwrap();
    chown(place.path("data"), Some(NOBODY), Some(NOBODY)).unwrap();
    // Before there is a store, and once there is one.
    let refused = ["the user nobody", "sudo -u nobody bindery"];
    place.run(&["apply"]).exits(5).says(&refused);
    place.run(&["serve"]).exits(5).says(&refused);
    place.run(&["salvage"]).exits(5).says(&refused);
    assert_eq!(files_in(&place.path("data")).len(), 1);
    let server = place.serve_after(AS_NOBODY, &["--secrets-file", "data/secrets.json"]);
    // Through the server everything can be done.
    place.run(&["token", "create", "by-root", "--account", "portal"]).exits(0);
    assert_eq!(server.stop().0.code(), Some(0));
    for command in READING {
        place.run(command).exits(0);
    }
    place.run(&["token", "create", "refused", "--account", "portal"]).exits(5).says(&refused);
    for (path, (owner, _)) in files_in(&place.path("data")) {
        assert_eq!(owner, NOBODY, "{}", path.display());
    }
    let server = place.serve_after(AS_NOBODY, &[]);
    assert_eq!(server.stop().0.code(), Some(0));
    // Whoever made a store goes on with it, whosever the directory is.
    chown(place.path("data"), Some(0), Some(0)).unwrap();
    std::fs::set_permissions(place.path("data"), Permissions::from_mode(0o777)).unwrap();
    place.serve_after(AS_NOBODY, &[]).stop();
}

#[test]
fn who_wants_a_store_waits_for_its_holder() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    let held = Held::new(&place);
    let who = format!("waiting for process {}, which holds the store", std::process::id());
    let mut making = Waiting::start(&place, &["token", "create", "made", "--account", "portal", "--json"]);
    assert!(making.first_line().contains(&who));
    let mut reading = Waiting::start(&place, &["token", "list"]);
    assert!(reading.first_line().contains(&who));
    let mut serving = Waiting::start(&place, &["serve"]);
    assert!(serving.first_line().contains(&who));
    drop(held);
    // The server has it now, or one of the others has and the server waits on: in the end all of them were served.
    assert_eq!(making.end(), (Some(0), String::new()));
    assert_eq!(reading.end().0, Some(0));
    place.run(&["token", "create", "through", "--account", "portal"]).exits(0);
    crate::support::send(serving.child.id(), rustix::process::Signal::TERM);
    assert_eq!(serving.end().0, Some(0));
    let listed = place.run(&["token", "list", "--json"]).exits(0).json();
    for name in ["made", "through"] {
        assert!(listed.as_array().unwrap().iter().any(|token| token["identifier"] == name), "{name}");
    }
}

#[test]
fn who_replaces_or_salvages_a_store_waits_for_its_holder() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    place.run(&["backup", "a.backup"]).exits(0);
    for arguments in [&["salvage"][..], &["restore", "a.backup", "--replace"]] {
        let held = Held::new(&place);
        let mut waiting = Waiting::start(&place, arguments);
        assert!(waiting.first_line().contains("waiting for process"), "{arguments:?}");
        drop(held);
        let (code, said) = waiting.end();
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
    }
}

#[test]
fn a_signal_ends_the_wait_for_a_holder() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    let held = Held::new(&place);
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let mut serving = Waiting::start(&place, &["serve"]);
        assert!(serving.first_line().contains("waiting for process"));
        crate::support::send(serving.child.id(), signal);
        let (code, said) = serving.end();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("going down before the directory was loaded"), "{said}");
    }
    drop(held);
}

#[test]
fn the_wait_for_a_holder_has_an_end() {
    let place = Place::new(SEED);
    place.edit("[server.hashing]", "[server.limits]\nstore_wait_time = \"0s\"\n\n[server.hashing]");
    place.run(&["apply", "--json"]).exits(0);
    let held = Held::new(&place);
    let process = std::process::id().to_string();
    place.run(&["apply"]).exits(4).says(&["is held by process", &process, "nobody answers on its socket"]);
    place.run(&["serve"]).exits(4).says(&["is held by process", &process]);
    std::fs::copy(place.path("data/journal/checkpoint"), place.path("a.backup")).unwrap();
    place.run(&["restore", "a.backup", "--replace"]).exits(4).says(&["is held by process", &process]);
    place.run(&["salvage"]).exits(4).says(&["is held by process", &process]);
    // Who only reads does without the holder.
    let listed = place.run(&["token", "list"]).exits(0);
    assert!(listed.stderr.contains("is held by process"), "{}", listed.stderr);
    assert!(listed.stdout.contains("portal"), "{}", listed.stdout);
    drop(held);
    place.run(&["apply"]).exits(0);
}

#[test]
fn a_backup_is_read_in_the_place_of_a_store() {
    let place = Place::new(SEED);
    place.run(&["apply", "--json"]).exits(0);
    // What a store has begun with.
    std::fs::copy(place.path("data/journal/checkpoint"), place.path("a.backup")).unwrap();
    let listed = place.run(&["account", "list", "--backup", "a.backup", "--json"]).exits(0).json();
    assert_eq!(listed, serde_json::json!([]));
    let status = place.run(&["status", "--backup", "a.backup"]).exits(0);
    assert!(status.stdout.contains("this is the backup a.backup"), "{}", status.stdout);
    place.run(&["event", "verify", "--backup", "a.backup"]).exits(0);
    place.run(&["check", "--backup", "a.backup"]).exits(0);
    // Without a config too.
    let output = place
        .command(&["token", "list", "--backup", "a.backup"])
        .env_remove("BINDERY_CONFIG")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let mut octets = std::fs::read(place.path("a.backup")).unwrap();
    octets.pop();
    std::fs::write(place.path("a.backup"), octets).unwrap();
    place
        .run(&["token", "list", "--backup", "a.backup"])
        .exits(4)
        .says(&["the backup a.backup", "too early"]);
    place.run(&["token", "list", "--backup", "bindery.toml"]).exits(4).says(&["it is no backup"]);
    place.run(&["token", "list", "--backup", "nowhere"]).exits(1).says(&["nowhere"]);
}

#[test]
fn a_store_is_compacted_beside_its_server_and_alone() {
    let place = Place::new(SEED);
    place.edit("data_dir = \"data\"", "data_dir = \"data\"\nhttp = [\"127.0.0.1:0\"]");
    let server = place.serve(&["--secrets-file", place.path("secrets.json").to_str().unwrap()]);
    for number in 0..20 {
        let name = format!("token-{number}");
        place.run(&["token", "create", &name, "--account", "portal"]).exits(0);
        place.run(&["token", "revoke", &name]).exits(0);
    }
    let compacted = place.run(&["compact", "--json"]).exits(0).json();
    let metric = || {
        let metrics = crate::backup::fetch_metrics(&server);
        let line = metrics.lines().find_map(|line| line.strip_prefix("bindery_store_octets ")).unwrap();
        line.parse::<u64>().unwrap()
    };
    let files = |directory: &str| -> u64 {
        let files =
            std::fs::read_dir(place.path(directory)).unwrap().map(|file| file.unwrap().metadata().unwrap());
        files.filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
    };
    assert_eq!(metric(), files("data/store") + files("data/journal"));
    // Of a store as small as this one there is nothing to save.
    let takes = |when: &str| compacted[when]["database"].as_u64().unwrap();
    assert!(takes("after") > 0 && takes("after") <= takes("before"), "{compacted}");
    place.run(&["token", "create", "after", "--account", "portal"]).exits(0);
    place.run(&["event", "verify"]).exits(0);
    assert_eq!(server.stop().0.code(), Some(0));
    assert!(place.run(&["compact"]).exits(0).stdout.contains("there is nothing to save"));
    place.run(&["event", "verify"]).exits(0);
    let server = place.serve(&[]);
    let listed = place.run(&["token", "list", "--json"]).exits(0).json();
    assert!(listed.as_array().unwrap().iter().any(|token| token["identifier"] == "after"));
    server.stop();
    assert!(!place.path("data/store.new").exists() && !place.path("data/set-aside").exists());
}

/// The lock of a store, held by this process.
struct Held {
    _file: File,
}

impl Held {
    fn new(place: &Place) -> Self {
        let mut file = File::options().write(true).truncate(true).open(place.path("data/lock")).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        writeln!(file, "{}", std::process::id()).unwrap();
        Self { _file: file }
    }
}

/// A command that is waited for.
struct Waiting {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Waiting {
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.command(arguments);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr }
    }

    fn first_line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    /// The exit code, and what else it has said.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All files and directories with their owners and what is known of their content.
fn files_in(directory: &Path) -> BTreeMap<PathBuf, (u32, String)> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = path.metadata().unwrap();
        if metadata.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let told = format!("{} {:?} {:?}", metadata.len(), metadata.modified(), metadata.permissions());
        found.insert(path, (metadata.uid(), told));
    }
    found
}

/// A file system in memory; unmounted when dropped.
struct Mount {
    path: PathBuf,
}

impl Mount {
    fn of(path: &Path) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m,mode=700", "bindery-test"])
            .arg(path)
            .output()
            .ok()?;
        mounted.status.success().then(|| Self { path: path.to_owned() })
    }

    fn make_read_only(&self) {
        let done = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.path).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// Whether commands can be run as another user, who then finds the place and the binary.
fn is_nobody_usable(place: &Place) -> bool {
    std::fs::set_permissions(place.path(""), Permissions::from_mode(0o755)).unwrap();
    as_nobody(place, &["--version"]).output().is_ok_and(|output| output.status.success())
}

fn as_nobody(place: &Place, arguments: &[&str]) -> Command {
    let bindery = place.command(arguments);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
    command.arg(bindery.get_program()).args(bindery.get_args());
    command.current_dir(place.path("")).env("BINDERY_CONFIG", place.config()).env("NO_COLOR", "1");
    command
}

/// The user `nobody`.
const NOBODY: u32 = 65_534;
const AS_NOBODY: &str = "exec setpriv --reuid=65534 --regid=65534 --clear-groups -- \"$0\" \"$@\"";
