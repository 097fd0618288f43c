//! The tables of docs/config.md, made from the tables in the code and held against the reader.
//!
//! `BINDERY_UPDATE_DOCS=1 cargo test --lib config::` writes them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::{Limits, load};
use crate::directory::with_custom;
use crate::model::{ApplicationText, AttributeNumber, AttributeSyntax, CustomAttribute, Permission};
use crate::schema::Schema;

/// A key of the config, in words. A default of `-` means that there is none.
#[derive(Clone, Copy)]
struct Key(&'static str, &'static str, &'static str, &'static str);

/// All keys but the limits, by table: key, form, default, what it is for.
const TABLES: &[(&str, &[Key])] = &[
    (
        "(root)",
        &[
            Key(
                "include",
                "list of paths",
                "`[]`",
                "Files with more of the seed, before the first table; one `*` may stand in the file name, and they are read in the order of their names. A file has 16 MiB at most.",
            ),
            Key("server", "table", "-", "The server, below."),
            Key("attribute", "tables", "-", "Attribute types beside the built-in ones."),
            Key("provider", "tables", "-", "The directories that are served."),
            Key("role", "tables", "-", "Named sets of permissions."),
            Key("group", "tables", "-", "Groups."),
            Key("account", "tables", "-", "People and service accounts."),
            Key("token", "tables", "-", "Credentials beside the first app password of a service account."),
            Key("application", "tables", "-", "Who may use which directory at all."),
        ],
    ),
    (
        "server",
        &[
            Key(
                "data_dir",
                "path",
                "required",
                "Where the store, the local socket and generated secrets are.",
            ),
            Key(
                "ldap",
                "list of addresses",
                "`[]`",
                "LDAP in clear, with StartTLS when there is a certificate: `\"127.0.0.1:3389\"`, `\"[::1]:3389\"`, `\"unix:/run/bindery/ldapi\"`; port 0 is any free one.",
            ),
            Key("ldaps", "list of addresses", "`[]`", "LDAP over TLS; TCP only."),
            Key(
                "http",
                "list of addresses",
                "`[]`",
                "HTTP in clear: the API below `/api/v3/` where `plain_bind` allows it, and for who watches the server `/-/health/live/`, `/-/health/ready/`, and `/metrics` for Prometheus. Unix sockets as in `ldap`.",
            ),
            Key("https", "list of addresses", "`[]`", "The same over TLS; TCP only."),
            Key(
                "proxy_networks",
                "list of networks",
                "`[]`",
                "Where proxies are (HAProxy, load balancers) that begin each connection with a PROXY header, version 1 or 2: it is \
                 required of them and believed, and of nobody else. See below.",
            ),
            Key(
                "plain_bind",
                "`never`, `loopback`, `always`",
                "`loopback`",
                "Where secrets are accepted in clear, of binds, of Password Modify and of calls of the API: nowhere, from and to loopback and on Unix sockets, everywhere. Elsewhere a bind is answered with confidentialityRequired (13), and a call of the API with 403.",
            ),
            Key(
                "token_key_file",
                "path",
                "-",
                "32 random octets, in hexadecimal or base64 or as they are (`openssl rand -hex 32`), outside of `data_dir`, \
                 which others may not read: what the secrets of retrievable tokens are encrypted with. Without it no token \
                 can be retrievable; with another one the secrets that were kept before cannot be shown.",
            ),
            Key("workers", "count", "measured", "Network threads, 1 to 1024."),
            Key(
                "expiry_warning",
                "duration",
                "`14d`",
                "A bind with the password-policy control is warned when what it binds with expires within this time, and the operator \
                 by an event, a line of the log and the metric `bindery_tokens_expiring`; at most `365d`.",
            ),
            Key(
                "rotation_overlap",
                "duration",
                "`1d`",
                "How long a rotated app password goes on working when nothing else is said; at most `90d`.",
            ),
            Key(
                "on_store_failure",
                "`exit`, `serve`",
                "`exit`",
                "What the server does when a write to the store failed in a way that leaves open what is on disk: go down with exit \
                 code 1, so that whoever supervises it starts it again, or answer what was acknowledged, and refuse every change, \
                 until somebody restarts it. See [reliability.md](reliability.md).",
            ),
            Key(
                "tls",
                "table",
                "-",
                "The certificate, below; without it there is no LDAPS, no StartTLS and no HTTPS.",
            ),
            Key("log", "table", "-", "The log, below."),
            Key("limits", "table", "-", "The limits, below."),
            Key("hashing", "table", "-", "What new secrets are hashed with, below."),
            Key("backup", "table", "-", "The backups that the server makes by itself, below."),
        ],
    ),
    (
        "server.tls",
        &[
            Key(
                "certificate",
                "path",
                "-",
                "The chain in PEM, the server's own certificate first; with `key`.",
            ),
            Key("key", "path", "-", "Its private key in PEM."),
            Key("client_ca", "path", "-", "Who signs client certificates, for SASL EXTERNAL."),
            Key(
                "client_accounts",
                "list of certificates",
                "`[]`",
                "The accounts that client certificates stand for; the first that fits.",
            ),
            Key(
                "development",
                "path",
                "-",
                "Instead of the four: a directory in which `ca.pem`, `server.pem` and `server.key` are made for localhost when they are absent.",
            ),
        ],
    ),
    (
        "server.tls.client_accounts",
        &[
            Key(
                "subject",
                "DN",
                "-",
                "The certificate's subject, the leaf first (`openssl x509 -noout -subject -nameopt RFC2253`), such as \
                 `CN=nextcloud,O=Example`; or:",
            ),
            Key("dns", "text", "-", "A DNS name among its alternative names; or:"),
            Key(
                "sha256",
                "64 hexadecimal digits",
                "-",
                "Its fingerprint (`openssl x509 -noout -fingerprint -sha256`): this certificate alone.",
            ),
            Key(
                "account",
                "text",
                "required",
                "The username of its account. As long as there is none, the bind fails.",
            ),
        ],
    ),
    (
        "server.log",
        &[
            Key(
                "format",
                "`text`, `json`",
                "`text`",
                "How lines look; `json` has the events of the audit trail in full.",
            ),
            Key(
                "level",
                "`error`, `warn`, `info`, `debug`, `trace`",
                "`info`",
                "The least important lines that are logged.",
            ),
        ],
    ),
    (
        "server.hashing",
        &[
            Key(
                "memory",
                "size",
                "`19 MiB`",
                "Memory of one argon2id hash: whole KiB, at least 8 KiB for each lane, at most `limits.argon2_memory_max`.",
            ),
            Key(
                "time_cost",
                "count",
                "`2`",
                "Passes over the memory, at most `limits.argon2_time_cost_max`.",
            ),
            Key("parallelism", "count", "`1`", "Lanes, at most `limits.argon2_parallelism_max`."),
            Key("threads", "count", "processors", "Threads that hash, 1 to 1024."),
            Key(
                "memory_budget",
                "size",
                "`256 MiB`",
                "Memory that all hashes at work may take together, at least `limits.argon2_memory_max`.",
            ),
        ],
    ),
    (
        "server.backup",
        &[
            Key(
                "directory",
                "path",
                "`backups` in `data_dir`",
                "Where they are, readable by the server's user only. Another disk survives more. In `data_dir` it has none of the names \
                 of the store (`store`, `journal`), which deletes what has them. Several servers of one user may share it: each \
                 counts and removes those of its own store.",
            ),
            Key(
                "every",
                "duration or `never`",
                "`1d`",
                "How old the newest becomes before another is made, `1s` to `365d`; none is made of a store that has not changed \
                 since.",
            ),
            Key(
                "keep",
                "count",
                "`7`",
                "How many are kept, 1 to 10000: the oldest goes when the new one was verified. None is made that would leave less \
                 than twice its size free, or less than a start and the next changes need (16 MiB).",
            ),
            Key(
                "with_keys",
                "boolean",
                "`false`",
                "Whether `token.key` is in them, as with `bindery backup --with-keys`.",
            ),
        ],
    ),
    (
        "attribute",
        &[
            Key(
                "name",
                "attribute type",
                "required",
                "Its name as answers spell it, unique but for case; not that of a built-in one.",
            ),
            Key("oid", "object identifier", "made from the name", "Its object identifier, dotted; unique."),
            Key("syntax", "a syntax below", "`directory_string`", "What its values may be."),
            Key("single_valued", "boolean", "`false`", "Whether an entry has one value at most."),
            Key("description", "text", "`\"\"`", "What it is for: told in the subschema."),
        ],
    ),
    (
        "provider",
        &[
            Key("name", "text", "required", "Its name, unique; `on = \"provider:NAME\"` refers to it."),
            Key("base_dn", "DN", "required", "The suffix, unique."),
            Key(
                "default",
                "boolean",
                "`false`",
                "Whether a bare name binds here; one provider at most. An only provider needs no mark, and gets it when a second one comes, unless `false` is said of it.",
            ),
            Key(
                "domain",
                "text",
                "-",
                "`user@domain` with this domain binds here; unique, `\"\"` for none. Without the key it is that of the `dc` \
                 values of `base_dn`. Where the whole of a name with `@` is a username, it is that account's.",
            ),
            Key("uid_start_number", "count", "`2000`", "uidNumber of an account = this + its number."),
            Key(
                "gid_start_number",
                "count",
                "`4000`",
                "gidNumber of a group, or of an account's virtual group = this + its number.",
            ),
            Key(
                "virtual_groups",
                "boolean",
                "`false`",
                "Whether an account without a given gidNumber has a primary group of its own in `ou=virtual-groups`, as \
                 hosts want it; clients that look for a name below `base_dn` then find two entries of that `cn`. A provider \
                 keeps what it has when the key is missing.",
            ),
            Key(
                "compatibility_attributes",
                "boolean",
                "`true`",
                "Whether entries carry the authentik- and AD-shaped attributes and classes.",
            ),
            Key(
                "users",
                "list of containers",
                "`ou=users` by `cn`",
                "Where people stand; the first is where new ones appear.",
            ),
            Key(
                "service_accounts",
                "list of containers",
                "`ou=users` by `cn`",
                "Where service accounts stand; may be the same.",
            ),
            Key("groups", "list of containers", "`ou=groups` by `cn`", "Where groups stand."),
        ],
    ),
    (
        "provider.users",
        &[
            Key("container", "DN", "required", "Its DN relative to the base DN, such as `ou=people`."),
            Key(
                "naming",
                "attribute type",
                "required",
                "The attribute that names entries in it, such as `uid`.",
            ),
        ],
    ),
    (
        "role",
        &[
            Key("name", "text", "required", "Its name, unique but for case."),
            Key("permissions", "list of grants", "`[]`", "What it allows."),
            Key(
                "search_size_max",
                "count or `default`",
                "`default`",
                "Entries that a search of who holds it may return, in place of `limits.search_size_max`; 0: no limit. Of \
                 several roles the most generous counts.",
            ),
            Key(
                "search_time_max",
                "duration or `default`",
                "`default`",
                "How long such a search may take, in place of `limits.search_time_max`, `1ms` to `1d`.",
            ),
        ],
    ),
    (
        "role.permissions",
        &[
            Key(
                "permission",
                "permission",
                "required",
                "What is allowed; by itself, as a string instead of a table, it is global.",
            ),
            Key(
                "on",
                "object",
                "all",
                "On which object alone: `\"kind:name\"` with a provider, account, group, role, token or application.",
            ),
        ],
    ),
    (
        "group",
        &[
            Key("name", "text", "required", "Its name, unique but for case."),
            Key("members", "list of accounts", "`[]`", "Who is in it directly."),
            Key("parents", "list of groups", "`[]`", "The groups that it is in."),
            Key("roles", "list of roles", "`[]`", "Roles of its members, direct and nested."),
            Key("permissions", "list of grants", "`[]`", "Permissions of its members, direct and nested."),
            Key("is_superuser", "boolean", "`false`", "Whether its members may do everything."),
            Key("attributes", "lists of texts by attribute", "`{}`", "Free attributes."),
        ],
    ),
    (
        "account",
        &[
            Key(
                "username",
                "text",
                "required",
                "Its name, unique but for case; none begins with `bindery:`.",
            ),
            Key("type", "`internal`, `external`, `service_account`", "`internal`", "What it is for."),
            Key("name", "text", "`\"\"`", "The full name."),
            Key("email", "text", "`\"\"`", "The mail address."),
            Key("is_active", "boolean", "`true`", "Whether it may bind."),
            Key("roles", "list of roles", "`[]`", "Roles that it holds directly."),
            Key(
                "permissions",
                "list of grants",
                "`[]`",
                "Permissions granted to it directly, but for those on what it has made itself over the API and the config does \
                 not describe: these stay.",
            ),
            Key("attributes", "lists of texts by attribute", "`{}`", "Free attributes."),
            Key("password", "text", "-", "People: the password in clear, only in a file with mode 0600."),
            Key(
                "password_file",
                "path",
                "-",
                "People: the file that holds the password; a newline at its end is cut, and a byte order mark, a NUL or a second line is an error.",
            ),
            Key("password_env", "text", "-", "People: the variable that holds the password."),
            Key(
                "password_hash",
                "text",
                "-",
                "People: a PHC string, an imported scheme such as `{SSHA}…`, or a hash of Django's (`pbkdf2_sha256$…`, `pbkdf2_sha1$…`, \
                 `argon2$…`, `bcrypt_sha256$…`, `bcrypt$…`).",
            ),
            Key(
                "create_group",
                "boolean",
                "`false`",
                "Service accounts: whether a group of the same name is made, with the account in it.",
            ),
            Key(
                "expiring",
                "boolean",
                "as the account",
                "Service accounts: whether the first app password expires. It does unless `expires` is absent and the attribute \
                 `goauthentik.io/user/token-expires` of the account is `false`.",
            ),
            Key("expires", "duration or time", "`360d`", "Service accounts: when it expires, if it does."),
        ],
    ),
    (
        "token",
        &[
            Key("identifier", "text", "required", "Its name, unique: letters, digits, `-` and `_`."),
            Key("account", "account", "required", "Its owner."),
            Key(
                "intent",
                "`app_password`, `api`",
                "`app_password`",
                "What it is for: `app_password` binds over LDAP; `api` calls the HTTP API, with the rights of its owner. A secret \
                 of one's own for `api` has at least 32 characters.",
            ),
            Key(
                "expiring",
                "boolean",
                "as the account",
                "Whether it expires. Of a new one: it does unless `expires` is absent and the attribute \
                 `goauthentik.io/user/token-expires` of its owner is `false`.",
            ),
            Key(
                "expires",
                "duration or time",
                "`360d`",
                "When, if it does: a duration counts from when it is made or rotated; a date is its end.",
            ),
            Key("description", "text", "`\"\"`", "What it is used for."),
            Key(
                "networks",
                "list of networks",
                "`[]`",
                "Where it may be used from, such as `10.2.0.0/16`; empty: anywhere.",
            ),
            Key(
                "secret",
                "text",
                "generated",
                "The secret in clear, only in a file with mode 0600; of at least 16 characters, for an API token 32.",
            ),
            Key(
                "secret_file",
                "path",
                "generated",
                "The file that holds the secret; a newline at its end is cut, and a byte order mark, a NUL or a second line is an error.",
            ),
            Key("secret_env", "text", "generated", "The variable that holds the secret."),
            Key(
                "secret_hash",
                "text",
                "generated",
                "A PHC string; not for intent `api`, and one for each account.",
            ),
            Key(
                "retrievable",
                "boolean",
                "`false`",
                "Whether the secret is kept, encrypted with the key of `server.token_key_file`, for whoever holds \
                 `view_token_key` on the token.",
            ),
        ],
    ),
    (
        "application",
        &[
            Key("slug", "letters, digits, `-`, `_`", "required", "Its short name, unique."),
            Key("name", "text", "the slug", "Its name for people."),
            Key(
                "provider",
                "provider",
                "-",
                "The directory that it uses; a provider has one application at most.",
            ),
            Key("mode", "`any`, `all`", "`any`", "Whether one binding must pass or each."),
            Key(
                "bindings",
                "list of bindings",
                "`[]`",
                "Who may use it, from where and when; empty: every active account.",
            ),
            Key("open_in_new_tab", "boolean", "`false`", "Whether a browser opens it in a tab of its own."),
            Key("hide", "boolean", "`false`", "Whether lists of applications leave it out."),
        ],
    ),
    (
        "application.bindings",
        &[
            Key("account", "account", "-", "The account that passes; or:"),
            Key("group", "group", "-", "The group whose members, direct and nested, pass; or:"),
            Key(
                "networks",
                "list of networks",
                "-",
                "Networks, such as `10.2.0.0/16`, from which clients pass; a client on a Unix socket has no address; or:",
            ),
            Key(
                "days",
                "list of `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`",
                "all",
                "The days of a time window: whoever comes within it passes. It is asked at each operation.",
            ),
            Key(
                "from",
                "time of day",
                "`00:00`",
                "The first minute of the window, by the clock of `timezone`.",
            ),
            Key(
                "to",
                "time of day",
                "`24:00`",
                "The first minute that is not in it any more; before `from`: on the next day.",
            ),
            Key("timezone", "IANA name", "`UTC`", "The window's time zone, such as `Europe/Berlin`."),
            Key("order", "integer", "`0`", "Its place in lists; decides nothing."),
            Key("negate", "boolean", "`false`", "Whether all others pass instead."),
            Key("enabled", "boolean", "`true`", "Whether it takes part at all."),
        ],
    ),
];

/// The tables with the texts of an application, which describe themselves.
fn tables() -> impl Iterator<Item = (&'static str, Vec<Key>)> {
    let texts = ApplicationText::ALL.map(ApplicationText::row);
    TABLES.iter().map(move |(table, keys)| {
        let mut keys = keys.to_vec();
        if *table == "application" {
            let place = keys.iter().position(|key| key.0 == "open_in_new_tab").unwrap();
            let texts = texts.iter().map(|row| Key(row.key, "text", "`\"\"`", row.sentence));
            keys.splice(place..place, texts);
        }
        (*table, keys)
    })
}

/// The generated blocks of docs/config.md by name.
fn blocks() -> BTreeMap<String, String> {
    let mut blocks = BTreeMap::new();
    for (table, keys) in tables() {
        let mut block = String::from("| key | form | default | |\n| --- | --- | --- | --- |\n");
        for Key(key, form, default, sentence) in keys {
            let default = if default == "-" { "" } else { default };
            writeln!(block, "| `{key}` | {form} | {default} | {sentence} |").unwrap();
        }
        blocks.insert(table.to_owned(), block);
    }
    let mut limits =
        String::from("| key | form | default | from | to | |\n| --- | --- | --- | --- | --- | --- |\n");
    for row in Limits::table() {
        let (name, form, sentence) = (row.name, row.form, row.sentence);
        let (default, minimum, maximum) = (row.default, row.minimum, row.maximum);
        writeln!(limits, "| `{name}` | {form} | `{default}` | `{minimum}` | `{maximum}` | {sentence} |")
            .unwrap();
    }
    blocks.insert("server.limits".to_owned(), limits);
    blocks.insert("syntaxes".to_owned(), syntaxes());
    let permissions = Permission::ALL.iter().fold(String::new(), |mut list, permission| {
        writeln!(list, "- `{permission}`").unwrap();
        list
    });
    blocks.insert("permissions".to_owned(), permissions);
    blocks
}

/// The syntaxes of custom attribute types with the rules that belong to them.
fn syntaxes() -> String {
    let mut block = String::from("| syntax | in LDAP | compared by | |\n| --- | --- | --- | --- |\n");
    for syntax in AttributeSyntax::ALL {
        let number = AttributeNumber::new(1);
        let attribute = CustomAttribute { syntax, ..CustomAttribute::of_name(number, "x-any".to_owned()) };
        let (schema, id) = with_custom(&Schema::core(), &attribute).unwrap();
        let known = schema.attribute(id);
        let rule = known.equality.map_or_else(|| "nothing".to_owned(), |rule| format!("`{}`", rule.name()));
        let example = match syntax {
            AttributeSyntax::DirectoryString => "text in any language",
            AttributeSyntax::Ia5String => "`alice@example.com`",
            AttributeSyntax::PrintableString => "`ABC-123`",
            AttributeSyntax::NumericString => "`0042 17`",
            AttributeSyntax::TelephoneNumber => "`+1 555 0100`",
            AttributeSyntax::PostalAddress => "`1 Main St.$Springfield`",
            AttributeSyntax::Integer => "`-7`",
            AttributeSyntax::Boolean => "`TRUE`",
            AttributeSyntax::GeneralizedTime => "`20270101120000Z`",
            AttributeSyntax::Dn => "`cn=alice,ou=users,dc=example,dc=com`",
            AttributeSyntax::Oid => "`2.5.4.3`, `inetOrgPerson`",
            AttributeSyntax::Uuid => "`597ae2f6-16a6-1027-98f4-d28b5365dc14`",
            AttributeSyntax::BitString => "`'0101'B`",
            AttributeSyntax::OctetString => "octets, by import",
            AttributeSyntax::Jpeg => "a picture, by import",
        };
        writeln!(block, "| `{syntax}` | {} | {rule} | {example} |", known.syntax.description()).unwrap();
    }
    block
}

/// Puts the blocks between their marks.
fn with_blocks(page: &str) -> String {
    let mut page = page.to_owned();
    for (name, block) in blocks() {
        let begin = format!("<!-- made from the code: {name} -->\n");
        let start = page.find(&begin).unwrap_or_else(|| panic!("docs/config.md lacks {begin}")) + begin.len();
        let end = start + page[start..].find("<!-- end -->").expect("an end mark");
        page.replace_range(start..end, &block);
    }
    page
}

#[test]
fn the_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let expected = with_blocks(&page);
    if std::env::var_os("BINDERY_UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).unwrap();
    } else {
        assert!(
            page == expected,
            "docs/config.md is out of date: BINDERY_UPDATE_DOCS=1 cargo test --lib config::"
        );
    }
}

/// An unknown key that resembles none is answered with all that there are.
#[test]
fn the_page_has_the_keys_that_the_reader_knows() {
    let config = r#"
        zzzzzzzz = 1
        [server]
        zzzzzzzz = 1
        tls = { zzzzzzzz = 1, client_accounts = [{ zzzzzzzz = 1 }] }
        log = { zzzzzzzz = 1 }
        hashing = { zzzzzzzz = 1 }
        backup = { zzzzzzzz = 1 }
        limits = { zzzzzzzz = 1 }
        [[attribute]]
        zzzzzzzz = 1
        [[provider]]
        zzzzzzzz = 1
        users = [{ zzzzzzzz = 1 }]
        [[role]]
        zzzzzzzz = 1
        permissions = [{ zzzzzzzz = 1 }]
        [[group]]
        zzzzzzzz = 1
        [[account]]
        zzzzzzzz = 1
        [[token]]
        zzzzzzzz = 1
        [[application]]
        zzzzzzzz = 1
        bindings = [{ zzzzzzzz = 1 }]
    "#;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bindery.toml");
    std::fs::write(&path, config).unwrap();
    let problems = load(&path, &|_| None).unwrap_err();
    let mut known = BTreeMap::new();
    for problem in problems.iter() {
        if let Some(keys) = problem.message.strip_prefix("there is no such key here; there are: ") {
            let table = problem.key.strip_suffix("zzzzzzzz").unwrap().trim_end_matches('.');
            let mut keys: Vec<&str> = keys.split(", ").collect();
            keys.sort_unstable();
            known.insert(if table.is_empty() { "(root)" } else { table }.to_owned(), keys);
        }
    }
    let mut limits: Vec<&str> = Limits::table().iter().map(|row| row.name).collect();
    limits.sort_unstable();
    assert_eq!(known.remove("server.limits"), Some(limits));
    for (table, keys) in tables() {
        let mut keys: Vec<&str> = keys.iter().map(|key| key.0).collect();
        keys.sort_unstable();
        assert_eq!(known.remove(table), Some(keys), "{table}");
    }
    assert!(known.is_empty(), "{known:?}");
}
