//! Whole config files, good and bad.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::model::{AccountKind, ApplicationText, BindingMode, Expiry, Intent, Permission};

/// Files in a directory of their own, `bindery.toml` among them.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Config, Problems> {
        self.load_with(&|_| None)
    }

    fn load_with(&self, environment: &Lookup<'_>) -> Result<Config, Problems> {
        load(&self.path("bindery.toml"), environment)
    }

    /// The problems, one line each, without the directory.
    fn problems(&self) -> Vec<String> {
        self.lines(&self.load().unwrap_err())
    }

    fn lines(&self, problems: &Problems) -> Vec<String> {
        let directory = format!("{}/", self.0.path().display());
        problems.iter().map(|problem| problem.to_string().replace(&directory, "")).collect()
    }
}

fn good(text: &str) -> Config {
    Files::new(&[("bindery.toml", text)]).load().unwrap_or_else(|problems| panic!("{problems}"))
}

/// What is wrong with a seed, when `[server]` is right and in lines 1 and 2.
fn seed_problems(seed: &str) -> Vec<String> {
    Files::new(&[("bindery.toml", &format!("[server]\ndata_dir = \"data\"\n{seed}"))]).problems()
}

#[test]
fn the_examples_are_right() {
    for name in ["bindery.toml", "applications.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        let config = load(&path, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        let dangling = config.dangling(|_, _| Elsewhere::Absent);
        assert!(dangling.is_empty(), "{dangling}");
        assert_eq!(config.settings.wrong_listeners().next(), None);
    }
}

#[test]
fn the_first_example_is_what_the_readme_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/bindery.toml");
    let config = load(&path, &|_| None).unwrap();
    let seed = &config.seed;
    assert_eq!(seed.providers[0].said.base_dn.as_deref().unwrap(), "dc=ldap,dc=example,dc=com");
    assert_eq!(seed.roles[0].permissions.as_ref().unwrap()[0].permission, Permission::SearchFullDirectory);
    let account = |name: &str| seed.accounts.iter().find(|account| account.username == name).unwrap();
    assert_eq!(account("ldapservice").roles.as_deref(), Some(&["ldap-search".to_owned()][..]));
    assert_eq!(account("portal").roles.as_deref(), Some(&[][..]));
    let people = seed.accounts.iter().filter(|account| account.said.kind.unwrap().is_person()).count();
    assert_eq!(people, 12);
    assert!(seed.applications.is_empty());
}

#[test]
fn every_key_is_read() {
    let files = Files::new(&[
        ("token-secret", "hunter2 hunter2\r\n"),
        (
            "bindery.toml",
            r#"
            [server]
            data_dir = "data"
            ldap = ["127.0.0.1:3389", "unix:ldapi"]
            ldaps = ["[::1]:3636"]
            http = ["127.0.0.1:0"]
            https = ["127.0.0.1:3443"]
            plain_bind = "never"
            workers = 4
            token_key_file = "keys/tokens"
            expiry_warning = "7d"
            rotation_overlap = "1h"
            on_store_failure = "serve"
            tls = { certificate = "a.pem", key = "/b.key", client_ca = "c.pem", client_accounts = [{ subject = "CN=Cloud, O=Example", account = "cloud" }, { dns = "Mail.example.com", account = "mail" }] }
            log = { format = "json", level = "debug" }
            hashing = { memory = "64 KiB", time_cost = 1, parallelism = 2, threads = 3, memory_budget = "160 MiB" }
            limits = { message_size_max = "32 KiB", idle_time = "1h", filter_depth_max = 7 }
            [[attribute]]
            name = "employeeBadge"
            oid = "1.3.6.1.4.1.55555.1"
            syntax = "integer"
            single_valued = true
            description = "the number on the badge"
            [[provider]]
            name = "ldap"
            base_dn = "dc=example"
            default = true
            domain = "example.com"
            uid_start_number = 1
            gid_start_number = 2
            virtual_groups = false
            compatibility_attributes = false
            users = [{ container = "ou=people", naming = "uid" }]
            [[role]]
            name = "search"
            permissions = ["view_user", { permission = "search_full_directory", on = "provider:LDAP" }]
            [[group]]
            name = "staff"
            members = ["Alice"]
            parents = []
            is_superuser = true
            attributes = { description = ["a", "b"] }
            [[account]]
            username = "alice"
            type = "external"
            password_hash = "{SSHA}aGFzaA=="
            [[account]]
            username = "machine"
            type = "service_account"
            create_group = true
            expires = 2027-11-18T10:00:00Z
            [[token]]
            identifier = "machine-2"
            account = "machine"
            intent = "app_password"
            expires = "90d"
            networks = ["10.2.0.0/16", "::1"]
            secret_file = "token-secret"
            retrievable = true
            [[application]]
            slug = "cloud"
            provider = "ldap"
            mode = "all"
            bindings = [
                { group = "machine", negate = true },
                { account = "alice", order = 7, enabled = false },
                { networks = ["10.0.0.0/8", "2001:db8::7"] },
                { days = ["mon", "sun"], from = "22:00", to = "06:00", timezone = "europe/berlin" },
                { from = "08:00", negate = true },
                { days = ["sat"] },
            ]
            group = "Office"
            launch_url = "https://cloud.example.com/"
            description = "Files"
            publisher = ""
            open_in_new_tab = true
            "#,
        ),
    ]);
    let config = files.load().unwrap_or_else(|problems| panic!("{problems}"));
    let settings = &config.settings;
    assert_eq!(settings.data_dir, files.path("data"));
    assert_eq!(settings.ldap[1], ListenAddress::Unix(files.path("ldapi")));
    assert_eq!(settings.https, ["127.0.0.1:3443".parse().unwrap()]);
    assert_eq!(settings.secrets_in_clear, SecretsInClear::Never);
    assert_eq!(settings.workers, Some(4));
    assert_eq!(settings.token_key_file, Some(files.path("keys/tokens")));
    assert_eq!(settings.rotation_overlap, Duration::from_secs(3_600));
    assert_eq!(settings.on_store_failure, OnStoreFailure::Serve);
    assert_eq!(
        settings.tls,
        Some(TlsSettings::Files {
            certificate: files.path("a.pem"),
            key: PathBuf::from("/b.key"),
            client_ca: Some(files.path("c.pem")),
            client_accounts: vec![
                ClientAccount {
                    certificate: ClientName::Subject("CN=Cloud,O=Example".to_owned()),
                    account: "cloud".to_owned(),
                },
                ClientAccount {
                    certificate: ClientName::Dns("mail.example.com".to_owned()),
                    account: "mail".to_owned(),
                },
            ],
        })
    );
    assert_eq!(settings.log, LogSettings { format: LogFormat::Json, level: LogLevel::Debug });
    assert_eq!(settings.hashing.memory, 64 * 1024);
    assert_eq!(settings.limits.filter_depth_max, 7);
    assert_eq!(settings.limits.in_force(false).message_size_max, 32 * 1024, "never more than after it");
    assert_eq!(settings.limits.controls_max, Limits::default().controls_max);

    let seed = &config.seed;
    assert_eq!(seed.providers[0].said.users.as_ref().unwrap()[0].naming, "uid");
    assert_eq!(seed.providers[0].said.groups, None);
    let grants = seed.roles[0].permissions.as_ref().unwrap();
    assert_eq!(grants[0], SeedGrant { permission: Permission::ViewUser, on: None });
    assert_eq!(grants[1].on.as_ref().unwrap().kind, ReferenceKind::Provider);
    assert_eq!(seed.groups[0].parents.as_deref(), Some(&[][..]), "present and empty");
    assert_eq!(seed.groups[0].roles, None, "absent");
    assert_eq!(seed.accounts[0].said.kind, Some(AccountKind::External));
    assert!(matches!(seed.accounts[0].password, Some(SeedSecret::Hash(_))));
    assert_eq!(seed.accounts[1].expires, Some(Expiry::At("2027-11-18T10:00:00Z".parse().unwrap())));
    let token = &seed.tokens[0];
    assert_eq!(token.said.intent, Some(Intent::AppPassword));
    assert_eq!(token.said.expires, Some(Expiry::In(Duration::from_secs(90 * 86_400))));
    assert_eq!(token.said.networks.as_ref().unwrap()[1].to_string(), "::1/128");
    assert_eq!(token.retrievable, Some(true));
    assert_eq!(token.secret, Some(SeedSecret::Given("hunter2 hunter2".to_owned().into())));
    let application = &seed.applications[0];
    assert_eq!(application.said.mode, Some(BindingMode::All));
    let bindings = application.bindings.as_ref().unwrap();
    assert_eq!(bindings[0].subject, SeedSubject::Group("machine".to_owned()));
    assert_eq!((bindings[1].order, bindings[1].negate, bindings[1].enabled), (7, false, false));
    let SeedSubject::Networks(networks) = &bindings[2].subject else { panic!("{bindings:?}") };
    assert_eq!(networks[1].to_string(), "2001:db8::7/128");
    let windows = bindings[3..].iter().map(|binding| match &binding.subject {
        SeedSubject::Window(window) => window.to_string(),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        windows.collect::<Vec<_>>(),
        ["Mon, Sun 22:00-06:00 Europe/Berlin", "Mon-Sun 08:00-24:00 UTC", "Sat 00:00-24:00 UTC"]
    );
    let texts = [
        (ApplicationText::Group, "Office"),
        (ApplicationText::LaunchUrl, "https://cloud.example.com/"),
        (ApplicationText::Description, "Files"),
        (ApplicationText::Publisher, ""),
    ];
    let texts = texts.map(|(text, value)| (text, value.to_owned()));
    assert_eq!(application.said.texts, texts, "one is present and empty");
    assert_eq!((application.said.open_in_new_tab, application.said.hide), (Some(true), None));

    let dangling = config.dangling(|_, _| Elsewhere::Absent);
    assert!(dangling.is_empty(), "{dangling}");
    let json = serde_json::to_string(seed).unwrap();
    assert_eq!(&serde_json::from_str::<Seed>(&json).unwrap(), seed);
}

/// What the API takes, and what an import leaves behind, can be declared.
#[test]
fn attributes_are_named_as_everywhere() {
    for name in ["a_b", "X-Foo.bar", "goauthentik.io/user/token-expires", "1.3.6.1.4.1.55555.9"] {
        let text = format!(
            "[server]\ndata_dir = \"data\"\n[[attribute]]\nname = \"{name}\"\n[[account]]\nusername = \"a\"\n\
             attributes = {{ \"{name};x-left\" = [\"1\"], \"{name}\" = [\"2\"] }}"
        );
        let seed = good(&text).seed;
        assert_eq!(seed.attributes[0].name, name);
        assert_eq!(seed.accounts[0].said.attributes.as_ref().unwrap().len(), 2, "{name}");
    }
}

#[test]
fn the_defaults_are_within_their_ranges() {
    let config = good("[server]\ndata_dir = \"data\"\n");
    assert_eq!(config.settings.limits, Limits::default());
    let rows: Vec<String> = Limits::table()
        .into_iter()
        .map(|row| {
            let quote = if row.form == "count" { "" } else { "\"" };
            format!("{} = {quote}{}{quote}\n", row.name, row.default)
        })
        .collect();
    let written = good(&format!(
        "[server]\ndata_dir = \"data\"\nhashing = {{ memory = \"19 MiB\", memory_budget = \"256 MiB\" }}\n\
         expiry_warning = \"14d\"\nrotation_overlap = \"1d\"\n[server.backup]\nevery = \"1d\"\nkeep = 7\nwith_keys = false\n[server.limits]\n{}",
        rows.concat()
    ));
    let Settings { data_dir, backup, .. } = written.settings.clone();
    assert_eq!(config.settings.backup.directory, config.settings.data_dir.join("backups"));
    let backup = BackupSettings { directory: backup.directory, ..config.settings.backup };
    assert_eq!(written.settings, Settings { data_dir, backup, ..config.settings });
}

#[test]
fn backups_can_be_turned_off_and_be_elsewhere() {
    let config = good(
        "[server]\ndata_dir = \"data\"\n[server.backup]\ndirectory = \"/srv/backups\"\nevery = \"never\"\nkeep = 30\n\
         with_keys = true\n",
    );
    let expected =
        BackupSettings { directory: "/srv/backups".into(), every: None, keep: 30, with_keys: true };
    assert_eq!(config.settings.backup, expected);
}

#[test]
fn problems_of_the_server_are_told_with_their_place() {
    let cases: &[(&str, &str)] = &[
        ("", "1:1: server.data_dir: `data_dir` is missing"),
        ("[server]\n", "1:1: server.data_dir: `data_dir` is missing"),
        ("[server]\ndata_dir = 5", "2:12: server.data_dir: expected a string, found an integer"),
        ("[server]\ndata_dir = \"\"", "2:12: server.data_dir: expected a string that is not empty"),
        ("server = 5", "1:10: server: expected a table, found an integer"),
        (
            "[server]\ndata_dir = \"x\"\n[server.backup]\nevery = \"0s\"",
            "4:9: server.backup.every: expected a duration from 1s to 365d, found 0s, or \"never\"",
        ),
        (
            "[server]\ndata_dir = \"x\"\n[server.backup]\nkeep = 0",
            "4:8: server.backup.keep: expected a count from 1 to 10000, found 0",
        ),
        (
            "[server]\ndata_dir = \"x\"\nldap = \"127.0.0.1:3389\"",
            "3:8: server.ldap: expected a list, found a string",
        ),
        (
            "[server]\ndata_dir = \"x\"\nldap = [\"localhost:3389\"]",
            "3:9: server.ldap: a host name is no address to listen on",
        ),
        (
            "[server]\ndata_dir = \"x\"\nldap = [\"127.0.0.1\"]",
            "3:9: server.ldap: expected an IP address with a port, such as \"127.0.0.1:3389\"",
        ),
        (
            "[server]\ndata_dir = \"x\"\nldap = [\"127.0.0.1:1\", \"127.0.0.1:1\"]",
            "3:24: server.ldap: 127.0.0.1:1 is listed twice",
        ),
        (
            "[server]\ndata_dir = \"x\"\nplain_bind = \"sometimes\"",
            "3:14: server.plain_bind: expected one of \"never\", \"loopback\", \"always\", found \"sometimes\"",
        ),
        (
            "[server]\ndata_dir = \"x\"\nldaps = [\"127.0.0.1:0\"]",
            "3:10: server.ldaps: LDAPS needs a certificate",
        ),
        (
            "[server]\ndata_dir = \"x\"\nhttps = [\"127.0.0.1:0\"]",
            "3:10: server.https: HTTPS needs a certificate",
        ),
        (
            "[server]\ndata_dir = \"x\"\nhttps = [\"unix:x\"]\ntls = { development = \"x\" }",
            "3:10: server.https: HTTPS is for TCP; a Unix socket needs no TLS: list it in `http`",
        ),
        (
            "[server]\ndata_dir = \"x\"\nhttp = [\"127.0.0.1:1\"]\nhttps = [\"127.0.0.1:1\"]\ntls = { development = \"x\" }",
            "4:10: server.https: 127.0.0.1:1 is listed twice",
        ),
        (
            "[server]\ndata_dir = \"x\"\n[server.tls]\nkey = \"x\"",
            "4:7: server.tls.key: `key` needs `certificate`",
        ),
        (
            "[server]\ndata_dir = \"x\"\n[server.tls]\nkey = \"x\"\ncertificate = 5",
            "5:15: server.tls.certificate: expected",
        ),
        ("[server]\ndata_dir = \"x\"\n[server.tls]\ncertificate = \"x\"\nkey = \"x", "5:1: this is not TOML"),
        ("[server]\ndata_dir = \"x\"\n[server.tls]\nclient_ca = \"x\"\ncertificate = \"x\"\nkey = x\"", "6:"),
        (
            "[server]\ndata_dir = \"x\"\n[server.hashing]\nmemory = \"200 MiB\"\nmemory_budget = \"100 MiB\"\n\
             [server.limits]\nargon2_memory_max = 256 MiB",
            "7:",
        ),
        (
            "[server]\ndata_dir = \"x\"\n[server.hashing]\nmemory = \"200 MiB\"\n[server.limits]\nargon2_memory_max = 256",
            "6:21: server.limits.argon2_memory_max: expected",
        ),
        (
            "[server]\ndata_dir = \"x\"\n[server.tls]\nkey = \"x\"\ncertificate = \"x\"\ndevelopment = \"x\"",
            "6:15: server.tls.development: `development` stands alone",
        ),
        (
            "[server]\ndata_dir = \"x\"\nworkers = 0",
            "3:11: server.workers: expected a count of threads from 1 to 1024, found 0",
        ),
        (
            "[server]\ndata_dir = \"x\"\n[server.limits]\nidle_time = 5",
            "4:13: server.limits.idle_time: expected a duration in words, such as \"90s\", \"15m\" or \"360d\", \
             found an integer (a duration from 1s to 365d)",
        ),
        (
            "[server]\ndata_dir = \"x\"\n[server.limits]\nidle_time = \"0s\"",
            "4:13: server.limits.idle_time: expected a duration from 1s to 365d, found 0s",
        ),
        (
            "[server]\ndata_dir = \"x\"\n[server.limits]\nmessage_size_max = \"9 TiB\"",
            "4:20: server.limits.message_size_max: expected a size from 1 KiB to 1 GiB, found 9216 GiB",
        ),
        (
            "[server]\ndata_dir = \"x\"\n[server.limits]\nidel_time = \"1h\"",
            "4:1: server.limits.idel_time: there is no such key here; did you mean `idle_time`?",
        ),
        (
            "[server]\ndata_dir = \"x\"\n[server.log]\nlevel = \"loud\"",
            "4:9: server.log.level: expected one of \"error\", \"warn\"",
        ),
        (
            "[server]\ndata_dir = \"x\"\n[server.hashing]\nmemory = \"1 GiB\"",
            "4:1: server.hashing.memory: this is above server.limits.argon2_memory_max",
        ),
        (
            "[server]\ndata_dir = \"x\"\n[server.hashing]\nmemory = \"8 KiB\"\nparallelism = 2",
            "4:1: server.hashing.memory: expected at least 8 KiB for each of 2 lanes",
        ),
        (
            "[server]\ndata_dir = \"x\"\n[server.hashing]\nmemory_budget = \"2 MiB\"",
            "4:1: server.hashing.memory_budget: expected at least server.limits.argon2_memory_max (128 MiB)",
        ),
        (
            "[server]\ndata_dir = \"x\"\n[srever]",
            "3:2: srever: there is no such key here; did you mean `server`?",
        ),
        (
            "[server]\ndata_dir = \"x\"\ninclude = []",
            "3:1: server.include: `include` stands before the first table",
        ),
        ("[server]\ndata_dir = x", "2:12: this is not TOML: "),
        ("[server]\ndata_dir = \"x\"\ndata_dir = \"y\"", "3:1: this is not TOML: duplicate key"),
    ];
    for (text, expected) in cases {
        let problems = Files::new(&[("bindery.toml", text)]).problems();
        let expected = format!("bindery.toml:{expected}");
        assert!(matches!(problems.as_slice(), [one] if one.starts_with(&expected)), "{text}\n{problems:#?}");
    }
}

#[test]
fn problems_of_the_seed_are_told_with_their_place() {
    let cases: &[(&str, &str)] = &[
        ("[account]\nusername = \"a\"", "3:1: account: there may be several: write [[account]]"),
        ("[[account]]\nname = \"a\"", "3:1: account.username: `username` is missing"),
        (
            "[[account]]\nusername = \" a\"",
            "4:12: account.username: expected a name without blanks at its ends",
        ),
        ("[[account]]\nusername = \"a\\u0007\"", "4:12: account.username: expected a name without control"),
        (
            "[[account]]\nusername = \"a\"\nemali = \"x\"",
            "5:1: account.emali: there is no such key here; did you mean `email`?",
        ),
        (
            "[[account]]\nusername = \"a\"\ntype = \"robot\"",
            "5:8: account.type: expected one of \"internal\", \"external\", \"service_account\", found \"robot\"",
        ),
        (
            "[[account]]\nusername = \"a\"\ntype = \"internal_service_account\"",
            "5:8: account.type: internal service accounts are made and kept by bindery itself",
        ),
        (
            "[[account]]\nusername = \"alice\"\n[[account]]\nusername = \"ALICE\"",
            "6:12: account.username: there are two objects of this name: account \"ALICE\"",
        ),
        (
            "[[group]]\nname = \"a\"\n[[group]]\nname = \"A\"",
            "6:8: group.name: there are two objects of this name: group \"A\"",
        ),
        (
            "[[account]]\nusername = \"a\"\nexpires = \"0s\"",
            "5:11: account.expires: what expires at once is of no use",
        ),
        ("[[account]]\nusername = \"a\"\nexpires = \"500ms\"", "5:11: account.expires: what expires at once"),
        (
            "[[account]]\nusername = \"a\"\nexpires = \"200years\"",
            "5:11: account.expires: expected at most 100 years",
        ),
        (
            "[[account]]\nusername = \"a\"\nexpires = \"soon\"",
            "5:11: account.expires: expected a duration such as",
        ),
        (
            "[[account]]\nusername = \"a\"\nexpires = 10:00:00",
            "5:11: account.expires: expected a duration such as",
        ),
        (
            "[[account]]\nusername = \"a\"\nexpiring = false\nexpires = \"1d\"",
            "6:11: account.expires: there is a time to expire, but expiring = false",
        ),
        (
            "[[account]]\nusername = \"a\"\npassword = \"hunter2\"",
            "5:1: account.password: a secret in clear may stand only in a file that nobody but its owner may read",
        ),
        (
            "[[account]]\nusername = \"a\"\npassword_file = \"absent\"",
            "5:1: account.password_file: absent cannot be read: ",
        ),
        (
            "[[account]]\nusername = \"a\"\npassword_env = \"UNSET\"",
            "5:1: account.password_env: the variable UNSET is not set",
        ),
        (
            "[[account]]\nusername = \"a\"\npassword_hash = \"hunter2\"",
            "5:17: account.password_hash: expected a PHC string, \"$argon2id$…\", an imported scheme",
        ),
        (
            "[[account]]\nusername = \"a\"\npassword_hash = \"$6$a$b\"\npassword_env = \"X\"",
            "5:1: account.password_hash: expected one secret, but there is `password_env` already",
        ),
        (
            "[[account]]\nusername = \"a\"\nattributes = { userPassword = [\"hunter2\"] }",
            "5:16: account.attributes.userPassword: no entry holds a password",
        ),
        (
            "[[account]]\nusername = \"a\"\nattributes = { title = \"x\" }",
            "5:24: account.attributes.title: expected a list of at least one string",
        ),
        (
            "[[account]]\nusername = \"a\"\nattributes = { title = [\"x\"], Title = [\"y\"] }",
            "5:31: account.attributes.Title: this attribute is there already",
        ),
        (
            "[[account]]\nusername = \"a\"\nattributes = { \"a b\" = [\"x\"] }",
            "5:16: account.attributes.a b: The attribute name \"a b\" cannot be used: write a letter, then",
        ),
        (
            "[[role]]\nname = \"a\"\npermissions = [\"search_full_directry\"]",
            "5:16: role.permissions: there is no permission `search_full_directry`; \
             did you mean \"search_full_directory\"?",
        ),
        (
            "[[role]]\nname = \"a\"\npermissions = [{ permission = \"view_user\", on = \"alice\" }]",
            "5:49: role.permissions.on: expected an object as \"kind:name\"",
        ),
        (
            "[[role]]\nname = \"a\"\npermissions = [{ on = \"account:alice\" }]",
            "5:16: role.permissions.permission: `permission` is missing",
        ),
        ("[[group]]\nname = \"a\"\nmembers = [\"x\", \"X\"]", "5:17: group.members: \"X\" is listed twice"),
        (
            "[[group]]\nname = \"a\"\nmembers = [5]",
            "5:12: group.members: expected a string, found an integer",
        ),
        (
            "[[group]]\nname = \"a\"\nis_superuser = \"yes\"",
            "5:16: group.is_superuser: expected true or false, found a string",
        ),
        ("[[token]]\nidentifier = \"a\"", "3:1: token.account: `account` is missing"),
        (
            "[[account]]\nusername = \"a\\uE000\"",
            "4:12: account.username: expected a name without characters that cannot be compared",
        ),
        (
            "[[token]]\nidentifier = \"a\"\naccount = \"b\"\nintent = \"recovery\"",
            "6:10: token.intent: expected one of \"app_password\", \"api\", found \"recovery\"",
        ),
        (
            "[[token]]\nidentifier = \"a\"\naccount = \"b\"\nsecret_hash = \"{SSHA}aGFzaA==\"",
            "6:15: token.secret_hash: expected a PHC string",
        ),
        (
            "[[token]]\nidentifier = \"a\"\naccount = \"b\"\nsecret_hash = \"$a$b\"\n\
             [[token]]\nidentifier = \"c\"\naccount = \"B\"\nsecret_hash = \"$a$b\"",
            "10:1: token.secret_hash: the account \"B\" has a password or a secret by hash already",
        ),
        (
            "[[token]]\nidentifier = \"a\"\naccount = \"b\"\nnetworks = [\"10.2.3.4/16\"]",
            "6:13: token.networks: 10.2.3.4/16 has bits behind its prefix; did you mean 10.2.0.0/16?",
        ),
        (
            "[[token]]\nidentifier = \"a\"\naccount = \"b\"\nnetworks = [\"web-3\"]",
            "6:13: token.networks: expected a network such as",
        ),
        ("[[provider]]\nname = \"a\"", "3:1: provider.base_dn: `base_dn` is missing"),
        (
            "[[provider]]\nname = \"a\"\nbase_dn = \"example.com\"",
            "5:11: provider.base_dn: expected a DN such as",
        ),
        (
            "[[provider]]\nname = \"a\"\nbase_dn = \"dc=a\"\nuid_start_number = -1",
            "6:20: provider.uid_start_number: -1 is out of range here",
        ),
        (
            "[[provider]]\nname = \"a\"\nbase_dn = \"dc=a\"\ndefault = true\n\
             [[provider]]\nname = \"b\"\nbase_dn = \"dc=b\"\ndefault = true",
            "10:11: provider.default: another provider is the default for bare names",
        ),
        (
            "[[provider]]\nname = \"a\"\nbase_dn = \"dc=a,dc=b\"\n[[provider]]\nname = \"b\"\nbase_dn = \"DC=A, dc=b\"",
            "8:11: provider.base_dn: another provider has the base DN",
        ),
        (
            "[[provider]]\nname = \"a\"\nbase_dn = \"dc=a\"\ndomain = \"x\"\n\
             [[provider]]\nname = \"b\"\nbase_dn = \"dc=b\"\ndomain = \"X\"",
            "10:10: provider.domain: another provider has the domain",
        ),
        (
            "[[provider]]\nname = \"a\"\nbase_dn = \"dc=a\"\nusers = []",
            "6:1: provider.users: expected at least one container",
        ),
        (
            "[[provider]]\nname = \"a\"\nbase_dn = \"dc=a\"\nusers = [{ container = \"ou=x\" }]",
            "6:10: provider.users.naming: `naming` is missing",
        ),
        (
            "[[provider]]\nname = \"a\"\nbase_dn = \"dc=a\"\nusers = [{ container = \"ou=x,dc=a\", naming = \"cn\" }]",
            "6:24: provider.users.container: expected a DN relative to the base DN",
        ),
        (
            "[[provider]]\nname = \"a\"\nbase_dn = \"dc=a\"\ngroups = [{ container = \"ou=x\", naming = \"c n\" }]",
            "6:42: provider.groups.naming: expected the name of an attribute",
        ),
        (
            "[[application]]\nslug = \"a b\"",
            "4:8: application.slug: expected letters, digits, - and _, found \"a b\"",
        ),
        (
            "[[application]]\nslug = \"a\"\nprovider = \"x\"\n[[application]]\nslug = \"b\"\nprovider = \"x\"",
            "8:12: application.provider: another application has the provider \"x\"",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ order = 1 }]",
            "5:13: application.bindings.group: expected `group`, `account`, `networks`, or a time by `days`",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ group = \"x\", account = \"y\" }]",
            "5:28: application.bindings.account: found `group` and `account` in one binding: write a binding for each",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ days = [\"mon\"], networks = [\"10.0.0.0/8\"] }]",
            "5:15: application.bindings.days: found `networks` and `days` in one binding",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ to = \"18:00\", group = \"x\" }]",
            "5:15: application.bindings.to: found `group` and `to` in one binding",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ networks = [] }]",
            "5:15: application.bindings.networks: expected at least one network",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ networks = [\"10.0.0.1/8\"] }]",
            "5:27: application.bindings.networks: 10.0.0.1/8 has bits behind its prefix",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ days = [] }]",
            "5:15: application.bindings.days: expected at least one day of the week",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ days = [\"monday\"] }]",
            "5:23: application.bindings.days: expected one of \"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\", found \"monday\"",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ days = \"mon\" }]",
            "5:22: application.bindings.days: expected a list, found a string",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ from = \"8:00\" }]",
            "5:22: application.bindings.from: expected a time of day from \"00:00\" to \"24:00\", such as \"08:30\", found \"8:00\"",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ from = 08:00:00 }]",
            "5:22: application.bindings.from: expected a time of day from \"00:00\" to \"24:00\", such as \"08:30\", found 08:00:00 without quotes",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ from = \"24:00\" }]",
            "5:22: application.bindings.from: a window cannot begin at 24:00",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ from = \"08:00\", to = \"08:00\" }]",
            "5:36: application.bindings.to: it begins and ends at 08:00; for the whole day, leave both out",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ to = \"00:00\" }]",
            "5:20: application.bindings.to: it begins and ends at 00:00",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ days = [\"mon\"], timezone = \"Europe/Brelin\" }]",
            "5:42: application.bindings.timezone: there is no time zone \"Europe/Brelin\"",
        ),
        (
            "[[application]]\nslug = \"a\"\nbindings = [{ timezone = \"UTC\" }]",
            "5:15: application.bindings.timezone: a time zone alone is no time: give `days`, or `from` and `to`",
        ),
        (
            "[[application]]\nslug = \"a\"\nmode = \"most\"",
            "5:8: application.mode: expected one of \"any\", \"all\"",
        ),
        ("[[attribute]]\nsyntax = \"integer\"", "3:1: attribute.name: `name` is missing"),
        (
            "[[attribute]]\nname = \"commonName\"",
            "4:8: attribute.name: the attribute type `cn` is built in; use it as it is, or choose another name",
        ),
        (
            "[[attribute]]\nname = \"two words\"",
            "4:8: attribute.name: The attribute name \"two words\" cannot be used: write a letter,",
        ),
        (
            "[[attribute]]\nname = \"badge\"\n[[attribute]]\nname = \"Badge\"",
            "6:8: attribute.name: there are two objects of this name: attribute \"Badge\"",
        ),
        (
            "[[attribute]]\nname = \"badge\"\nsyntax = \"interger\"",
            "5:10: attribute.syntax: expected one of \"directory_string\",",
        ),
        (
            "[[attribute]]\nname = \"badge\"\noid = \"badge-oid\"",
            "5:7: attribute.oid: expected a dotted object identifier, such as \"1.3.6.1.4.1.55555.1\"",
        ),
        (
            "[[attribute]]\nname = \"badge\"\noid = \"2.5.4.3\"",
            "5:7: attribute.oid: 2.5.4.3 is the object identifier of the built-in attribute type `cn`",
        ),
        (
            "[[attribute]]\nname = \"a\"\noid = \"1.2.3\"\n[[attribute]]\nname = \"b\"\noid = \"1.2.3\"",
            "8:7: attribute.oid: another attribute type has the object identifier 1.2.3",
        ),
    ];
    for (text, expected) in cases {
        let problems = seed_problems(text);
        let expected = format!("bindery.toml:{expected}");
        assert!(matches!(problems.as_slice(), [one] if one.starts_with(&expected)), "{text}\n{problems:#?}");
    }
}

#[test]
fn all_problems_are_told_at_once_in_their_order() {
    let problems = seed_problems(
        "[[account]]\nusername = 5\nemail = false\nx = 1\n[[role]]\npermissions = [\"fly\", \"swim\"]\n",
    );
    let starts = [
        "bindery.toml:4:12: account.username: expected a string",
        "bindery.toml:5:9: account.email: expected a string",
        "bindery.toml:6:1: account.x: there is no such key",
        "bindery.toml:7:1: role.name: `name` is missing",
        "bindery.toml:8:16: role.permissions: there is no permission `fly`",
        "bindery.toml:8:23: role.permissions: there is no permission `swim`",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
}

#[test]
fn a_syntax_error_hides_only_what_follows_from_it() {
    let files = Files::new(&[("bindery.toml", "[server]\ndata_dir = data\nworkers = 0\n")]);
    let problems = files.problems();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems[0].starts_with("bindery.toml:2:12: this is not TOML"), "{problems:#?}");
    assert!(problems[1].starts_with("bindery.toml:3:11: server.workers: "), "{problems:#?}");
}

#[test]
fn a_file_that_cannot_be_read_is_told_by_name() {
    let files = Files::new(&[]);
    let problems = files.load().unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems.to_string().contains("bindery.toml"), "{problems}");
}

#[test]
fn problems_are_drawn_with_their_line_but_without_secrets() {
    let files = Files::new(&[(
        "bindery.toml",
        "[server]\ndata_dir = \"x\"\n[[account]]\nusername = \"a\"\npassword = \"hunter2\"\npasswrod = \"hunter2\"\n\
         [[account]]\nusername = \"b\"\nattributes = { userPassword = [\"hunter2\"] }\n\
         [[account]]\nusername = \"A\"\nsecret = \"hunter2\n",
    )]);
    let problems = files.load().unwrap_err();
    for drawn in [problems.to_string(), problems.render(true), format!("{problems:?}")] {
        assert!(!drawn.contains("hunter2"), "{drawn}");
    }
    let drawn = problems.to_string();
    assert!(drawn.contains("bindery.toml:6:1"), "{drawn}");
    assert!(drawn.contains("6 | passwrod = "), "{drawn}");
    assert!(drawn.contains("first here"), "{drawn}");
    assert!(!drawn.contains('\u{1b}'), "no colours unless asked for");
    assert!(problems.render(true).contains('\u{1b}'));
}

#[test]
fn a_line_that_is_no_toml_is_not_drawn() {
    for broken in [
        "secret: \"hunter2-hunter2\"",
        "secret \"hunter2-hunter2\"",
        "secret =\n\"hunter2-hunter2\"",
        "secret = [\n\"hunter2-hunter2\"",
        "secret = \"a\"hunter2-hunter2\"",
        "secrt = \"hunter2-hunter2",
    ] {
        let text =
            format!("[server]\ndata_dir = \"x\"\n[[account]]\nusername = \"a\"\n{broken}\nname = \"b\"\n");
        let problems = Files::new(&[("bindery.toml", &text)]).load().unwrap_err();
        for drawn in [problems.to_string(), problems.render(true), format!("{problems:?}")] {
            assert!(!drawn.contains("hunter2"), "{broken}: {drawn}");
        }
        let drawn = problems.to_string();
        let place = ["bindery.toml:5:", "bindery.toml:6:", "bindery.toml:7:"];
        assert!(place.iter().any(|place| drawn.contains(place)), "{broken}: {drawn}");
        assert!(drawn.contains("this is not TOML") && problems.len() == 1, "{broken}: {drawn}");
    }
}

#[test]
fn variables_override_the_server() {
    let files = Files::new(&[(
        "bindery.toml",
        "[server]\ndata_dir = \"data\"\nldap = [\"127.0.0.1:1\"]\nworkers = 1\n[server.tls]\ndevelopment = \"certs\"\n",
    )]);
    let environment = |name: &str| -> Option<OsString> {
        let value = match name {
            "BINDERY_SERVER_DATA_DIR" => "/var/lib/bindery",
            "BINDERY_SERVER_LDAP" => "127.0.0.1:2, [::1]:2",
            "BINDERY_SERVER_WORKERS" | "BINDERY_SERVER_TLS_DEVELOPMENT" => "",
            "BINDERY_SERVER_TLS_KEY" => "/k",
            "BINDERY_SERVER_TLS_CERTIFICATE" => "/c",
            "BINDERY_SERVER_LOG_FORMAT" => "json",
            "BINDERY_SERVER_LIMITS_IDLE_TIME" => "5m",
            "BINDERY_SERVER_HASHING_TIME_COST" => "3",
            _ => return None,
        };
        Some(value.into())
    };
    let settings = files.load_with(&environment).unwrap_or_else(|problems| panic!("{problems}")).settings;
    assert_eq!(settings.data_dir, PathBuf::from("/var/lib/bindery"));
    assert_eq!(settings.ldap.len(), 2);
    assert_eq!(settings.workers, None);
    assert!(matches!(settings.tls, Some(TlsSettings::Files { key, .. }) if key == Path::new("/k")));
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.limits.idle_time, Duration::from_secs(300));
    assert_eq!(settings.hashing.time_cost, 3);
}

#[test]
fn wrong_variables_are_told_by_name() {
    let files = Files::new(&[("bindery.toml", "[server]\ndata_dir = \"data\"\n")]);
    let environment = |name: &str| -> Option<OsString> {
        let value: OsString = match name {
            "BINDERY_SERVER_LDAP" => "127.0.0.1:1,nowhere".into(),
            "BINDERY_SERVER_HASHING_MEMORY" => "1 GiB".into(),
            "BINDERY_SERVER_LIMITS_CONTROLS_MAX" => "many".into(),
            "BINDERY_SERVER_PLAIN_BIND" => std::os::unix::ffi::OsStringExt::from_vec(vec![0xff]),
            "BINDERY_SERVER_TLS_CLIENT_ACCOUNTS" => "CN=nextcloud".into(),
            _ => return None,
        };
        Some(value)
    };
    let problems = files.load_with(&environment).unwrap_err();
    let mut lines = files.lines(&problems);
    lines.sort();
    let starts = [
        "BINDERY_SERVER_HASHING_MEMORY: this is above server.limits.argon2_memory_max",
        "BINDERY_SERVER_LDAP: expected an IP address with a port",
        "BINDERY_SERVER_LIMITS_CONTROLS_MAX: expected an integer (a count from 1 to 256)",
        "BINDERY_SERVER_PLAIN_BIND: expected text in UTF-8",
        "BINDERY_SERVER_TLS_CLIENT_ACCOUNTS: expected nothing here",
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn included_files_are_read_in_the_order_of_their_names() {
    let files = Files::new(&[
        (
            "bindery.toml",
            "include = [\"seed.d/*.toml\"]\n[server]\ndata_dir = \"d\"\n[[role]]\nname = \"r\"\n",
        ),
        ("seed.d/20.toml", "[[account]]\nusername = \"second\"\npassword_file = \"secret\"\n"),
        ("seed.d/10.toml", "[[account]]\nusername = \"first\"\nroles = [\"R\"]\n"),
        ("seed.d/secret", "hunter2\n"),
        ("seed.d/.hidden.toml", "nonsense"),
    ]);
    let config = files.load().unwrap_or_else(|problems| panic!("{problems}"));
    let names: Vec<&str> = config.seed.accounts.iter().map(|account| account.username.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
    assert!(config.seed.accounts[1].password.is_some(), "paths are relative to the file that names them");
    assert!(config.dangling(|_, _| Elsewhere::Absent).is_empty());
}

#[test]
fn problems_of_included_files_are_told() {
    let files = Files::new(&[
        (
            "bindery.toml",
            "include = [\"a.toml\", \"a.*\", \"absent.toml\", \"no/*.toml\", \"*/x.toml\"]\n\
             [server]\ndata_dir = \"d\"\n[[account]]\nusername = \"alice\"\n",
        ),
        ("a.toml", "include = []\n[server]\ndata_dir = \"d\"\n[[account]]\nusername = \"Alice\"\n"),
    ]);
    let problems = files.problems();
    let starts = [
        "bindery.toml:1:22: include: a.toml is read already",
        "bindery.toml:1:29: the config file absent.toml cannot be read",
        "bindery.toml:1:44: include: no cannot be read",
        "bindery.toml:1:57: include: expected a file, or files with one * in their name",
        "a.toml:1:1: include: an included file cannot include others",
        "a.toml:2:2: server: an included file holds seed only",
        "a.toml:5:12: account.username: there are two objects of this name",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
}

#[test]
fn secrets_come_from_where_they_are_safe() {
    let files = Files::new(&[
        (
            "bindery.toml",
            "[server]\ndata_dir = \"d\"\n[[account]]\nusername = \"a\"\npassword = \"in clear\"\n\
             [[account]]\nusername = \"b\"\npassword_env = \"B\"\n\
             [[account]]\nusername = \"c\"\npassword_file = \"c\"\n",
        ),
        ("c", "a newline\r\n"),
    ]);
    let path = files.path("bindery.toml");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = files.load_with(&|name| (name == "B").then(|| "variable".into())).unwrap();
    let secret = |at: usize| config.seed.accounts[at].password.clone().unwrap();
    for (at, text) in ["in clear", "variable", "a newline"].into_iter().enumerate() {
        assert_eq!(secret(at), SeedSecret::Given(text.to_owned().into()));
    }

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let problems = files.load_with(&|_| None).unwrap_err();
    let lines = files.lines(&problems);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].contains("chmod 600 bindery.toml"), "{lines:#?}");
    assert!(lines[1].contains("the variable B is not set"), "{lines:#?}");

    // What an editor adds is never typed, and would be part of the secret.
    for (octets, words) in
        [(&b"\xef\xbb\xbfmarked\n"[..], "begins with a byte order mark"), (b"latin \xfc\n", "is not UTF-8")]
    {
        std::fs::write(files.path("c"), octets).unwrap();
        let problems = files.load_with(&|name| (name == "B").then(|| "variable".into())).unwrap_err();
        let lines = files.lines(&problems);
        let told = lines.iter().any(|line| {
            line.starts_with("bindery.toml:11:1: account.password_file: c: the secret")
                && line.contains(words)
        });
        assert!(told, "{words}: {lines:#?}");
    }
}

#[test]
fn dangling_references_are_told_with_their_place() {
    let files = Files::new(&[(
        "bindery.toml",
        "[server]\ndata_dir = \"d\"\n[[account]]\nusername = \"alice\"\nroles = [\"searhc\"]\n\
         [[role]]\nname = \"search\"\npermissions = [{ permission = \"view_user\", on = \"provider:ldap\" }]\n\
         [[group]]\nname = \"g\"\nmembers = [\"ALICE\", \"stored\"]\nparents = [\"up\"]\n\
         [[token]]\nidentifier = \"t\"\naccount = \"nobody\"\n\
         [[application]]\nslug = \"s\"\nprovider = \"none\"\nbindings = [{ account = \"x\" }]\n",
    )]);
    let config = files.load().unwrap_or_else(|problems| panic!("{problems}"));
    let exists = |kind: ReferenceKind, name: &str| match (kind, name) {
        (ReferenceKind::Account, "stored") => Elsewhere::Stays,
        (ReferenceKind::Group, "up") => Elsewhere::Goes,
        _ => Elsewhere::Absent,
    };
    let lines = files.lines(&config.dangling(exists));
    let starts = [
        "bindery.toml:5:10: account.roles: there is no role \"searhc\", neither in the config nor in the store; \
         did you mean \"search\"?",
        "bindery.toml:8:49: role.permissions.on: there is no provider \"ldap\"",
        "bindery.toml:12:12: group.parents: there is no group \"up\", in the config, and --prune deletes the one in the store",
        "bindery.toml:15:11: token.account: there is no account \"nobody\"",
        "bindery.toml:18:12: application.provider: there is no provider \"none\"",
        "bindery.toml:19:25: application.bindings.account: there is no account \"x\"",
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

proptest::proptest! {
    #![proptest_config(crate::rounds::cases(64))]

    /// A piece of the example is taken away or doubled: whatever comes of it is read and drawn.
    #[test]
    fn no_text_is_too_broken_to_be_told(start in 0_usize..9_000, length in 0_usize..200, is_doubled: bool) {
        let example = include_str!("../../examples/applications.toml");
        let boundary = |at: usize| (0..=at.min(example.len())).rev().find(|at| example.is_char_boundary(*at)).unwrap();
        let (start, end) = (boundary(start), boundary(start + length));
        let (before, after) = if is_doubled { (end, start) } else { (start, end) };
        let text = format!("{}{}", &example[..before], &example[after..]);
        if let Err(problems) = Files::new(&[("bindery.toml", &text)]).load() {
            proptest::prop_assert!(!problems.to_string().is_empty());
        }
    }
}

/// In the place of a secret stands one character of three octets, and the parser points at one of them.
#[test]
fn a_mark_inside_of_a_secret_is_drawn() {
    let text = include_str!("../../examples/applications.toml").replacen("[server]", "[erver]", 1);
    let problems = Files::new(&[("bindery.toml", &text)]).load().unwrap_err();
    assert!(problems.to_string().contains('…'), "{problems}");
}

#[test]
fn client_accounts_that_cannot_be_are_reported() {
    let tls = |keys: &str| {
        let text = format!(
            "[server]\ndata_dir = \"data\"\n[server.tls]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n{keys}"
        );
        Files::new(&[("bindery.toml", &text)]).problems().join("\n")
    };
    let ca = "client_ca = \"c.pem\"\nclient_accounts =";
    let hex = "ab".repeat(32);
    for (keys, expected) in [
        (
            "client_accounts = [{ subject = \"CN=a\", account = \"a\" }]".to_owned(),
            "needs `client_ca` beside it",
        ),
        (format!("{ca} [{{ account = \"a\" }}]"), "expected one of `subject`, `dns` and `sha256`"),
        (
            format!("{ca} [{{ subject = \"CN=a\", dns = \"a\", account = \"a\" }}]"),
            "expected one of `subject`, `dns` and `sha256`",
        ),
        (format!("{ca} [{{ subject = \"CN=a\" }}]"), "`account` is missing"),
        (format!("{ca} [{{ subject = \"cloud\", account = \"a\" }}]"), "expected a DN"),
        (format!("{ca} [{{ sha256 = \"abcd\", account = \"a\" }}]"), "64 hexadecimal digits"),
        (
            format!(
                "{ca} [{{ sha256 = \"{hex}\", account = \"a\" }}, {{ sha256 = \"{hex}\", account = \"b\" }}]"
            ),
            "this certificate has an account already",
        ),
        (
            format!(
                "{ca} [{{ subject = \"CN=a, O=b\", account = \"a\" }}, {{ subject = \"cn=A,o=B\", account = \"b\" }}]"
            ),
            "this certificate has an account already",
        ),
    ] {
        let problems = tls(&keys);
        assert!(problems.contains(expected), "{keys}: {problems}");
    }
}
