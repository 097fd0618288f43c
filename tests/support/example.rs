//! The example's directory with passwords for two of its people, served over real TLS: what clients and
//! applications of other makers are tried against.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{BASE, Place, Server, secret_of};

/// The password of alice, with what configuration files and shells like to trip over.
pub const ALICE: &str = "Alice's pass: 100% $ure; \"yes\" \\o/ #ü";
/// The password of bob, plain.
pub const BOB: &str = "bob-has-a-password";
/// The username of one more person, with what means something in filters, in DNs and to shells, and her password.
pub const ZOE: &str = "Zoë *(d\\";
pub const ZOE_PASSWORD: &str = "a password of Zoë";

/// The example's directory, served on ports that are free.
pub struct Example {
    pub place: Place,
    pub server: Server,
    /// The app passwords of the service accounts.
    pub ldapservice: String,
    pub portal: String,
}

impl Example {
    /// Secrets over TLS only; `plain_bind` as the config has it: `never`, `loopback`.
    pub fn start(plain_bind: &str) -> Self {
        let place = Place::new("");
        let example = include_str!("../../examples/bindery.toml");
        let mut seed = example[example.find("[[provider]]").unwrap()..].to_owned();
        for (name, password) in [("alice", ALICE), ("bob", BOB)] {
            let line = format!("username = \"{name}\"\n");
            assert!(seed.contains(&line), "the example has no {name}");
            seed = seed.replace(&line, &format!("{line}password_file = \"{name}.password\"\n"));
            place.write(&format!("{name}.password"), password);
        }
        let server = format!(
            r#"
[server]
data_dir = "data"
ldap = ["127.0.0.1:0"]
ldaps = ["127.0.0.1:0"]
plain_bind = "{plain_bind}"

[server.tls]
development = "certs"

[server.hashing]
memory = "64 KiB"
time_cost = 1
threads = 1
"#
        );
        place.write("bindery.toml", &format!("{server}\n{seed}"));
        let (server, secrets) = place.serve_first();
        let secret = |account: &str| secret_of(&secrets, &format!("{account}-app-password"));
        Self { ldapservice: secret("ldapservice"), portal: secret("portal"), place, server }
    }

    /// Makes [`ZOE`], in engineering as alice and bob are.
    pub fn add_zoe(&self) {
        let create = [
            "account",
            "create",
            ZOE,
            "--type",
            "internal",
            "--full-name",
            "Zoë Z",
            "--email",
            "zoe@example.com",
        ];
        self.place.run(&create).exits(0);
        self.place.run_with_input(&["account", "password", ZOE], ZOE_PASSWORD).exits(0);
        self.place.run(&["group", "add", "engineering", ZOE]).exits(0);
    }

    /// The DN of an account.
    pub fn dn(account: &str) -> String {
        format!("cn={account},ou=users,{BASE}")
    }

    /// The authority of the server's certificate.
    pub fn authority(&self) -> PathBuf {
        self.place.path("certs/ca.pem")
    }

    /// What a script needs to know, as variables.
    pub fn tell(&self, command: &mut Command) {
        command
            .env("LDAP_URL", self.server.url("ldap"))
            .env("LDAPS_URL", self.server.url("ldaps"))
            .env("CA_FILE", self.authority())
            .env("BASE", BASE)
            .env("SEARCHER", Self::dn("ldapservice"))
            .env("SEARCHER_SECRET", &self.ldapservice)
            .env("PERSON", Self::dn("alice"))
            .env("PERSON_PASSWORD", ALICE)
            .env("OTHER_PASSWORD", BOB)
            .env("ODD_NAME", ZOE)
            .env("ODD_PASSWORD", ZOE_PASSWORD)
            .env("MACHINE", Self::dn("portal"))
            .env("MACHINE_SECRET", &self.portal)
            .env("BINDERY", env!("CARGO_BIN_EXE_bindery"))
            .env("BINDERY_CONFIG", self.place.config())
            // Nothing of the machine's own configuration.
            .env("LDAPNOINIT", "1")
            .env("HOME", self.place.path("."));
        // They belong here once a certificate stands for an account: the scripts then bind with it.
        for name in ["CLIENT_CERTIFICATE", "CLIENT_KEY", "CLIENT"] {
            command.env_remove(name);
        }
    }
}

/// Where tests/run puts what does not come from the distribution.
pub fn tools() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

/// A file of the tests.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The output in words, for a failure.
pub fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
