//! The scripts in `examples/` do what they say, against the real binary with the config that they name.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::example::said;
use crate::support::{Place, Server};

/// `examples/minimal.toml`, served on ports that are free.
struct Minimal {
    place: Place,
    server: Server,
}

impl Minimal {
    fn start() -> Self {
        let place = Place::new("");
        let example = include_str!("../../examples/minimal.toml");
        place.write("bindery.toml", &example.replace("\"../", "\""));
        let server = place.serve(&["--ldap", "127.0.0.1:0", "--https", "127.0.0.1:0"]);
        Self { place, server }
    }

    /// Runs a script of the examples to its end; gives the lines that it wrote to standard output.
    fn run(&self, name: &str) -> Vec<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        let output = Command::new("bash")
            .arg(script)
            .current_dir(self.place.path("."))
            .env("BINDERY", env!("CARGO_BIN_EXE_bindery"))
            .env("BINDERY_CONFIG", self.place.config())
            .env("LDAP_URL", self.server.url("ldap"))
            .env("HTTP_URL", self.server.url("https"))
            .env("CA_FILE", "certs/ca.pem")
            .env("CLIENT", "client")
            .env("NO_COLOR", "1")
            .env("HOME", self.place.path("."))
            .env_remove("BASE")
            .env_remove("BINDERY_SOCKET")
            .output()
            .unwrap();
        assert!(output.status.success(), "{name}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// A file of the client, which nobody else may read.
    fn client_file(&self, name: &str) -> String {
        let path = self.place.path("client").join(name);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        std::fs::read_to_string(path).unwrap()
    }
}

#[test]
fn an_account_that_searches_the_directory() {
    let minimal = Minimal::start();
    let lines = minimal.run("ldap-search-account.sh");
    let text = lines.join("\n");
    for line in [
        "before the role, alice is found 0 times",
        "ldap-search has authentik_providers_ldap.search_full_directory on provider:ldap",
        "ldapservice holds ldap-search",
        "with the role, alice is found 1 times",
        "mail: alice@example.com",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line:?} is not in\n{text}");
    }
    assert!(text.contains("sees the whole directory"), "{text}");
    let secret = minimal.client_file("secret");
    assert!(secret.starts_with("bindery_app_") && !secret.ends_with('\n'));
    assert!(minimal.client_file("ldaprc").contains("BINDDN cn=ldapservice,ou=users,dc="));
    assert!(!text.contains(&secret) && !minimal.server.log().contains(&secret));
    // The two commands that it ends with.
    minimal.place.run(&["token", "rotate", "ldapservice-app-password", "--overlap", "24h"]).exits(0);
    minimal.place.run(&["account", "delete", "ldapservice", "--yes"]).exits(0);
}

#[test]
fn an_account_that_calls_the_api() {
    let minimal = Minimal::start();
    let lines = minimal.run("api-automation-account.sh");
    let text = lines.join("\n");
    let section = |title: &str, next: &str| {
        let from = lines.iter().position(|line| line == title).unwrap() + 1;
        let until = lines.iter().position(|line| line.starts_with(next)).unwrap();
        &lines[from..until]
    };
    let allowed = section("allowed:", "name ");
    assert_eq!(allowed, ["put bob on call:  204", "take alice off call:  204"], "{text}");
    let group = minimal.place.run(&["group", "show", "on-call"]).exits(0).stdout;
    assert!(group.lines().any(|line| line.starts_with("members") && line.ends_with(" bob")), "{group}");

    let refused = section("refused:", "shown nothing:");
    assert_eq!(refused.len(), 14, "{text}");
    for line in refused {
        // With the reason, and neither by a mistake of the request nor by one of the server.
        assert!(line.ends_with("} 403") || line.ends_with("} 404"), "{line}");
        assert!(line.contains("\"detail\":\""), "{line}");
    }
    let shown = section("shown nothing:", "EVENT");
    assert!(
        shown.len() == 1 && shown[0].ends_with("} 200") && shown[0].contains("\"results\":[]"),
        "{shown:?}"
    );
    // What was refused has changed nothing.
    for name in ["account", "group", "role"] {
        let listed = minimal.place.run(&[name, "list"]).exits(0).stdout;
        assert!(!listed.contains("mallory"), "{listed}");
    }
    let granted = minimal.place.run(&["grant", "list", "ci-admin", "--json"]).exits(0).json();
    assert_eq!(granted, serde_json::json!([]));

    let header = minimal.client_file("authorization");
    let secret = header.trim_end().strip_prefix("Authorization: Bearer ").unwrap();
    assert!(secret.starts_with("bindery_api_"));
    assert!(!text.contains(secret) && !minimal.server.log().contains(secret));
    // It is no password of LDAP, and the app password that came with the account is gone.
    let tokens = minimal.place.run(&["token", "list", "--account", "ci-admin", "--json"]).exits(0).json();
    assert_eq!(tokens.as_array().unwrap().len(), 1, "{tokens}");
    // Every call stands in the trail, with what changed by it.
    let updated = ["event", "list", "--account", "ci-admin", "--action", "model_updated", "--json"];
    let updated = minimal.place.run(&updated).exits(0).json();
    assert_eq!(updated.as_array().unwrap().len(), 2, "{updated}");
    assert_eq!(updated[0]["actor"]["token"], "ci-admin-rota");
    // And every call that was refused, with what was missing.
    let denied = ["event", "list", "--account", "ci-admin", "--action", "suspicious_request", "--json"];
    let denied = minimal.place.run(&denied).exits(0).json();
    let denied = denied.as_array().unwrap();
    assert_eq!(denied.iter().map(|event| event["count"].as_u64().unwrap()).sum::<u64>(), 14, "{denied:#?}");
    for event in denied {
        assert_eq!(event["actor"]["token"], "ci-admin-rota", "{event}");
        assert!(
            event["details"].as_array().unwrap().iter().any(|detail| detail["name"] == "missing"),
            "{event}"
        );
    }
    assert!(text.contains("api PATCH /api/v3/core/groups/{group_uuid}/"), "{text}");
}

/// The blocks of shell on a page that are to be run: above the others stands why not.
fn blocks_of(text: &str) -> Vec<&str> {
    let parts: Vec<&str> = text.split("```sh\n").collect();
    let blocks = parts.windows(2).filter_map(|pair| {
        let before = pair[0].trim_end().lines().next_back().unwrap_or_default();
        (!before.starts_with("<!-- not run: ")).then(|| pair[1].split("```").next().unwrap())
    });
    blocks.collect()
}

/// Whoever follows the README in a clone, from its first page to its end, types this.
#[test]
fn the_readme_works_from_one_end_to_the_other() {
    let place = Place::new("");
    std::fs::create_dir(place.path("examples")).unwrap();
    place.write("examples/bindery.toml", include_str!("../../examples/bindery.toml"));
    let server = place.serve(&[
        "--config",
        "examples/bindery.toml",
        "--ldap",
        "127.0.0.1:0",
        "--ldaps",
        "127.0.0.1:0",
        "--https",
        "127.0.0.1:0",
    ]);
    let blocks = blocks_of(include_str!("../../README.md"));
    assert_eq!(blocks.len(), 6, "blocks");
    let output = Command::new("bash")
        .args(["-euxo", "pipefail", "-c", &blocks.concat()])
        .current_dir(place.path("."))
        .env("PATH", with_bindery())
        .env("NO_COLOR", "1")
        .env_remove("BINDERY_CONFIG")
        .env_remove("BINDERY_SOCKET")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    // The searches of the first page still work.
    for account in ["ldapservice", "portal"] {
        let socket = place.path("data/bindery.sock");
        let explained = place.run(&["--socket", socket.to_str().unwrap(), "access", "explain", account]);
        let explained = explained.exits(0).stdout;
        assert!(explained.contains("may bind") && !explained.contains("may not bind"), "{explained}");
    }
    place.run(&["man", "--dir", "share/man"]).exits(0);
    assert!(place.path("share/man/bindery.1").exists());
    server.stop();
}

/// The commands of the pages, as an operator types them, in their order: each block runs, or the line above it says why not.
#[test]
fn the_commands_of_the_pages_do_what_they_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<_> =
        std::fs::read_dir(root.join("docs")).unwrap().map(|page| page.unwrap().path()).collect();
    pages.sort_unstable();
    let mut ran = BTreeMap::new();
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        // Its commands stop servers and take stores apart: see tests/store/backup.rs.
        if page.ends_with("reliability.md") {
            continue;
        }
        let text = std::fs::read_to_string(page).unwrap();
        let blocks = blocks_of(&text);
        if blocks.is_empty() {
            continue;
        }
        let place = Place::new("");
        place.write("bindery.toml", &include_str!("../../examples/bindery.toml").replace("\"../", "\""));
        let server =
            place.serve(&["--ldap", "127.0.0.1:0", "--ldaps", "127.0.0.1:0", "--https", "127.0.0.1:0"]);
        for block in blocks {
            let block = block.replace("https://localhost:3443", &server.url("https"));
            let output = Command::new("bash")
                .args(["-euo", "pipefail", "-c", &block])
                .current_dir(place.path("."))
                .env("PATH", with_bindery())
                .env("BINDERY_CONFIG", place.config())
                .env("NO_COLOR", "1")
                .env_remove("BINDERY_SOCKET")
                .output()
                .unwrap();
            assert!(output.status.success(), "{}\n{block}\n{}", page.display(), said(&output));
            *ran.entry(page.file_name().unwrap().to_str().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
    // Behind a fence that is lost or misspelled nothing runs.
    let expected = PAGES_RUN.map(|(page, blocks)| (page.to_owned(), blocks));
    assert_eq!(ran, BTreeMap::from(expected));
}

/// The pages whose commands run here, with how many blocks of them.
const PAGES_RUN: [(&str, usize); 1] = [("api.md", 1)];

/// Where `bindery` is found before anything else.
fn with_bindery() -> String {
    let directory = Path::new(env!("CARGO_BIN_EXE_bindery")).parent().unwrap();
    format!("{}:{}", directory.display(), std::env::var("PATH").unwrap())
}

/// Whoever follows the first lines of a script finds the server where the script looks for it.
#[test]
fn the_scripts_look_where_the_config_listens() {
    let config: toml::Table = include_str!("../../examples/minimal.toml").parse().unwrap();
    let scripts = [
        ("ldap", include_str!("../../examples/ldap-search-account.sh")),
        ("https", include_str!("../../examples/api-automation-account.sh")),
    ];
    for (scheme, script) in scripts {
        let address = config["server"][scheme][0].as_str().unwrap();
        let port = address.rsplit_once(':').unwrap().1;
        assert!(script.contains(&format!("{scheme}://localhost:{port}}}")), "{scheme} {port}");
        assert!(script.contains("bindery serve --config examples/minimal.toml"));
        assert!(script.contains(config["provider"][0]["base_dn"].as_str().unwrap()) || scheme == "https");
    }
}
