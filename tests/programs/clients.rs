//! LDAP clients of other makers against the real binary with the example's directory over real TLS. Each has a
//! script in `tests/clients/`, which fails when something that the root DSE advertises does not work, and says
//! `skipped` of what it does not advertise. `bash tests/run` installs the
//! small ones, `bash tests/run --all` all of them.

use std::path::Path;
use std::process::Command;

use crate::support::example::{Example, said, script, tools};

/// What the clients of web applications do too: an application finds a person by name, binds as that person, and asks
/// for the groups.
const OF_APPLICATIONS: [&str; 3] = ["a name with special characters", "groups", "revoked"];

/// What every client does, whatever the server advertises.
const ALWAYS: [&str; 8] =
    ["connect", "no bind in clear", "StartTLS", "LDAPS", "wrong bind", "bind", "search", "compare"];

#[test]
#[ignore = "needs python-ldap, which is compiled: bash tests/run --all"]
fn python_ldap() {
    known_client(&tools().join("clients/python/bin/python"), &["-B", "clients/python_ldap.py"]);
}

#[test]
fn ldap3() {
    known_client(&tools().join("clients/python/bin/python"), &["-B", "clients/ldap3_client.py"]);
}

#[test]
#[ignore = "needs node and npm: bash tests/run --all"]
fn ldapts() {
    known_client(Path::new("node"), &["clients/ldapts.cjs"]);
}

#[test]
fn net_ldap() {
    known_client(Path::new("perl"), &["clients/net_ldap.pl"]);
}

#[test]
#[ignore = "needs PHP: bash tests/run --all"]
fn php_ldap() {
    let out = client(Path::new("php"), &["-n", "-d", "extension=ldap", "clients/php_ldap.php"]);
    says(&out, "php_ldap.php", &ALWAYS);
    says(&out, "php_ldap.php", &OF_APPLICATIONS);
}

#[test]
#[ignore = "needs Ruby: bash tests/run --all"]
fn ruby_net_ldap() {
    let out = client(Path::new("ruby"), &["clients/net_ldap.rb"]);
    // It has no compare.
    let steps: Vec<&str> = ALWAYS.iter().copied().filter(|step| *step != "compare").collect();
    says(&out, "net_ldap.rb", &steps);
    says(&out, "net_ldap.rb", &OF_APPLICATIONS);
}

fn known_client(program: &Path, arguments: &[&str]) {
    let out = client(program, arguments);
    says(&out, arguments.last().unwrap(), &ALWAYS);
}

/// Runs a client; what it said.
fn client(program: &Path, arguments: &[&str]) -> String {
    let example = Example::start("never");
    example.add_zoe();
    let (name, options) = arguments.split_last().unwrap();
    let mut command = Command::new(program);
    example.tell(&mut command);
    let output = command
        .env("NODE_PATH", tools().join("clients/node/node_modules"))
        .args(options)
        .arg(script(name))
        .output()
        .unwrap_or_else(|error| {
            panic!("{program:?}: {error}; `bash tests/run`, with --all or without, installs it")
        });
    assert!(output.status.success(), "{name}: {}", said(&output));
    let out = String::from_utf8(output.stdout).unwrap();
    eprint!("{name}\n{out}");
    says(&out, name, &["read-only"]);
    for step in ["paging", "sort", "VLV", "password modify", "SASL PLAIN", "SASL EXTERNAL"] {
        let is_said = out
            .lines()
            .any(|line| line == format!("ok: {step}") || line.starts_with(&format!("skipped: {step}:")));
        assert!(is_said, "{name} says nothing of {step}:\n{out}");
    }
    out
}

fn says(out: &str, name: &str, steps: &[&str]) {
    for step in steps {
        assert!(
            out.lines().any(|line| line == format!("ok: {step}")),
            "{name} says nothing of {step}:\n{out}"
        );
    }
}
