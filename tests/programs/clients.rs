//! LDAP clients of other makers against the real binary with the example's directory over real TLS. Each has a
//! script in `tests/clients/`, which fails when something that the root DSE advertises does not work, and says
//! `skipped` of what it does not advertise. `bash tests/run` installs the
//! small ones, `bash tests/run --all` all of them.

use std::path::Path;
use std::process::Command;

use crate::support::example::{Example, said, script, tools};

/// What every client does, whatever the server advertises.
const ALWAYS: [&str; 8] =
    ["connect", "no bind in clear", "StartTLS", "LDAPS", "wrong bind", "bind", "search", "compare"];

#[test]
#[ignore = "needs python-ldap, which is compiled: bash tests/run --all"]
fn python_ldap() {
    client(&tools().join("clients/python/bin/python"), &["-B", "clients/python_ldap.py"]);
}

#[test]
fn ldap3() {
    client(&tools().join("clients/python/bin/python"), &["-B", "clients/ldap3_client.py"]);
}

#[test]
#[ignore = "needs node and npm: bash tests/run --all"]
fn ldapts() {
    client(Path::new("node"), &["clients/ldapts.cjs"]);
}

#[test]
fn net_ldap() {
    client(Path::new("perl"), &["clients/net_ldap.pl"]);
}

fn client(program: &Path, arguments: &[&str]) {
    let example = Example::start("never");
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
    for step in ALWAYS.iter().chain(&["read-only"]) {
        assert!(
            out.lines().any(|line| line == format!("ok: {step}")),
            "{name} says nothing of {step}:\n{out}"
        );
    }
    for step in ["paging", "sort", "VLV", "password modify", "SASL PLAIN", "SASL EXTERNAL"] {
        let is_said = out
            .lines()
            .any(|line| line == format!("ok: {step}") || line.starts_with(&format!("skipped: {step}:")));
        assert!(is_said, "{name} says nothing of {step}:\n{out}");
    }
}
