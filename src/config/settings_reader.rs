//! Reads `[server]` and its tables, and checks what their keys have to do with each other.

use std::path::Path;
use std::time::Duration;

use super::diagnostics::{Problem, Problems};
use super::environment::{Lookup, Overrides};
use super::limits::{GIB, KIB, Limits, MIB, in_range, within};
use super::names;
use super::reader::TableReader;
use super::seed_value::network;
use super::settings::{
    BackupSettings, BadListenAddress, ClientAccount, ClientName, EXPIRY_WARNING, HashingSettings,
    ListenAddress, ListenerError, LogFormat, LogLevel, LogSettings, OnStoreFailure, ROTATION_OVERLAP,
    ROTATION_OVERLAP_MAX, SecretsInClear, Settings, TlsSettings, clash_in_words, clashes,
};
use super::text::{Located, Position};
use super::value::{self, Raw};
use crate::model::{Fingerprint, NoFingerprint};

/// Reads `[server]`. What is wrong is reported; the settings are of use only when nothing is. `is_whole`: all of it could be
/// read.
pub(super) fn read_settings(
    root: &mut TableReader<'_>,
    directory: &Path,
    is_whole: bool,
    environment: &Lookup<'_>,
    problems: &mut Problems,
) -> Settings {
    let in_file = root.table("server", problems);
    // Something that is no table, or cannot be read, is reported by itself; that it lacks keys needs no saying.
    let is_told = !is_whole || in_file.is_none() && root.key_position("server").is_some();
    let server = in_file.unwrap_or_else(|| root.absent_table("server"));
    let mut server = server.with_overrides(Overrides::of_server(environment));
    let data_dir = match is_told {
        true => server.located("data_dir", problems, value::filled_text),
        false => server.required("data_dir", problems, value::filled_text),
    };
    let ldap = addresses(&mut server, "ldap", directory, problems);
    let ldaps = addresses(&mut server, "ldaps", directory, problems);
    let http = addresses(&mut server, "http", directory, problems);
    let https = addresses(&mut server, "https", directory, problems);
    let proxy_networks = server.list("proxy_networks", problems, network).unwrap_or_default();
    let secrets_in_clear = server.value("plain_bind", problems, value::word(&SECRETS_IN_CLEAR));
    let token_key_file = server.value("token_key_file", problems, value::filled_text);
    let workers = server.value("workers", problems, threads);
    let expiry_warning =
        within(&mut server, "expiry_warning", EXPIRY_WARNING, EXPIRY_WARNING_RANGE, problems);
    let rotation_overlap =
        within(&mut server, "rotation_overlap", ROTATION_OVERLAP, ROTATION_OVERLAP_RANGE, problems);

    let on_store_failure = server.value("on_store_failure", problems, value::word(&ON_STORE_FAILURE));

    let before_tls = problems.len();
    let tls = server.table("tls", problems).and_then(|table| read_tls(table, directory, is_whole, problems));
    let is_tls_right = problems.len() == before_tls;
    let log = server.table("log", problems).map(|table| read_log(table, problems)).unwrap_or_default();
    let limits = server.table("limits", problems).map(|table| read_limits(table, problems));
    let limits = limits.unwrap_or_default();
    let are_limits_known = is_whole && !problems.iter().any(|problem| problem.key == "server.limits");
    let hashing = server
        .table("hashing", problems)
        .map(|table| read_hashing(table, &limits, are_limits_known, problems));
    let data_dir = data_dir.map(|located| directory.join(located.value)).unwrap_or_default();
    let backup = BackupSettings::of_data_dir(&data_dir);
    let backup = match server.table("backup", problems) {
        Some(table) => read_backup(table, directory, backup, problems),
        None => backup,
    };
    server.finish(problems);

    let firsts =
        [&ldap, &ldaps, &http, &https].map(|list| list.first().map(|address| address.position.clone()));
    for (key, name, in_clear, list) in
        [("ldaps", "LDAPS", "ldap", &ldaps), ("https", "HTTPS", "http", &https)]
    {
        let path = format!("server.{key}");
        for address in list.iter().filter(|address| matches!(address.value, ListenAddress::Unix(_))) {
            let message = format!("{name} is for TCP; a Unix socket needs no TLS: list it in `{in_clear}`");
            problems.report(&address.position, &path, message);
        }
    }
    let lists = [("ldap", &ldap), ("ldaps", &ldaps), ("http", &http), ("https", &https)];
    report_repeated(&lists, problems);

    let values =
        |located: Vec<Located<ListenAddress>>| located.into_iter().map(|address| address.value).collect();
    let settings = Settings {
        data_dir,
        ldap: values(ldap),
        ldaps: values(ldaps),
        http: values(http),
        https: values(https),
        proxy_networks: proxy_networks.into_iter().map(|network| network.value).collect(),
        secrets_in_clear: secrets_in_clear.unwrap_or_default(),
        tls,
        token_key_file: token_key_file.map(|path| directory.join(path)),
        workers,
        expiry_warning,
        rotation_overlap,
        on_store_failure: on_store_failure.unwrap_or_default(),
        log,
        hashing: hashing.unwrap_or_default(),
        backup,
        limits,
    };
    // Two that clash have been told.
    let wrong = settings.wrong_listeners().filter(|error| !matches!(error, ListenerError::Clash { .. }));
    for error in wrong.filter(|_| is_tls_right && is_whole) {
        let first = LISTENER_KEYS.iter().zip(&firsts).find(|(key, _)| **key == error.key());
        // Where nothing is listed, flags may give it.
        if let Some((_, Some(position))) = first {
            problems.report(position, error.key(), error.to_string());
        }
    }
    settings
}

const LISTENER_KEYS: [&str; 4] = ["server.ldap", "server.ldaps", "server.http", "server.https"];

/// Reads a list of addresses; the paths of Unix sockets become relative to the file.
fn addresses(
    server: &mut TableReader<'_>,
    key: &'static str,
    directory: &Path,
    problems: &mut Problems,
) -> Vec<Located<ListenAddress>> {
    let read = |raw: Raw<'_>| -> Result<ListenAddress, String> {
        let address = value::text(raw)?.parse().map_err(|error: BadListenAddress| error.to_string())?;
        let ListenAddress::Unix(path) = address else { return Ok(address) };
        ListenAddress::unix(directory.join(path)).map_err(|error| error.to_string())
    };
    server.list(key, problems, read).unwrap_or_default()
}

/// Reports an address that cannot be listened on beside another.
fn report_repeated(lists: &[(&'static str, &Vec<Located<ListenAddress>>)], problems: &mut Problems) {
    let listed = lists.iter().flat_map(|(key, list)| list.iter().map(move |address| (*key, address)));
    for (key, address, first) in clashes(listed, |address| &address.value) {
        let sentence = clash_in_words(&address.value, &first.value);
        let problem = Problem::new(address.position.clone(), format!("server.{key}"), sentence);
        problems.push(problem.with_related(first.position.clone(), "first here"));
    }
}

/// `is_whole`: what is not there is not meant to be.
fn read_tls(
    mut table: TableReader<'_>,
    directory: &Path,
    is_whole: bool,
    problems: &mut Problems,
) -> Option<TlsSettings> {
    let before = problems.len();
    let certificate = table.located("certificate", problems, value::filled_text);
    let key = table.located("key", problems, value::filled_text);
    let client_ca = table.located("client_ca", problems, value::filled_text);
    let client_accounts = read_client_accounts(&mut table, problems);
    let development = table.located("development", problems, value::filled_text);
    let is_whole = is_whole && problems.len() == before;
    if is_whole && client_ca.is_none() && !client_accounts.is_empty() && development.is_none() {
        let message = "`client_accounts` needs `client_ca` beside it, which signs their certificates";
        problems.report(&table.said_at("client_accounts"), "server.tls.client_accounts", message);
    }
    let path = |located: Located<String>| directory.join(located.value);

    let mut complain = |located: &Located<String>, key: &str, message: &str| {
        problems.report(&located.position, &format!("server.tls.{key}"), message);
    };
    let settings = match (certificate, key, development) {
        (None, None, None) => {
            if let Some(client_ca) = client_ca.as_ref().filter(|_| is_whole) {
                complain(client_ca, "client_ca", "`client_ca` needs `certificate` and `key` beside it");
            }
            None
        }
        (None, None, Some(development)) => {
            if let Some(client_ca) = &client_ca {
                complain(client_ca, "client_ca", DEVELOPMENT_ALONE);
            }
            if !client_accounts.is_empty() {
                complain(&development, "client_accounts", DEVELOPMENT_ALONE);
            }
            Some(TlsSettings::Development { directory: path(development) })
        }
        (Some(certificate), Some(key), None) => Some(TlsSettings::Files {
            certificate: path(certificate),
            key: path(key),
            client_ca: client_ca.map(path),
            client_accounts,
        }),
        (_, _, Some(development)) => {
            complain(&development, "development", DEVELOPMENT_ALONE);
            None
        }
        (Some(_), None, None) | (None, Some(_), None) if !is_whole => None,
        (Some(certificate), None, None) => {
            complain(&certificate, "certificate", "`certificate` needs `key` beside it");
            None
        }
        (None, Some(key), None) => {
            complain(&key, "key", "`key` needs `certificate` beside it");
            None
        }
    };
    table.finish(problems);
    settings
}

/// Which account each client certificate stands for. Whether the accounts exist is not asked: the store may
/// get them later.
fn read_client_accounts(table: &mut TableReader<'_>, problems: &mut Problems) -> Vec<ClientAccount> {
    let mut seen: Vec<(String, Position)> = Vec::new();
    let mut accounts = Vec::new();
    for item in table.items("client_accounts", problems).unwrap_or_default() {
        let Some(mut entry) = item.table(problems) else { continue };
        let subject = entry.value("subject", problems, subject).map(ClientName::Subject);
        let dns = entry.value("dns", problems, value::filled_text);
        let dns = dns.map(|name| ClientName::Dns(name.to_ascii_lowercase()));
        let sha256 = entry.value("sha256", problems, fingerprint).map(ClientName::Sha256);
        let account = entry.required("account", problems, value::name);
        let given = ["subject", "dns", "sha256"].iter().filter(|key| entry.key_position(key).is_some());
        if given.count() != 1 {
            let message = "expected one of `subject`, `dns` and `sha256`, which tell the certificate";
            problems.report(&entry.position(), &item.path, message);
        }
        if let (Some(certificate), Some(account)) = (subject.or(dns).or(sha256), account) {
            let form = match &certificate {
                ClientName::Subject(subject) => names::dn_form(subject),
                other => format!("{other:?}"),
            };
            match seen.iter().find(|(other, _)| *other == form) {
                None => seen.push((form, entry.position())),
                Some((_, first)) => problems.push(
                    Problem::new(
                        entry.position(),
                        item.path.clone(),
                        "this certificate has an account already",
                    )
                    .with_related(first.clone(), "first here"),
                ),
            }
            accounts.push(ClientAccount { certificate, account: account.value });
        }
        entry.finish(problems);
    }
    accounts
}

/// The subject of a certificate. Its types need not be known: an authority may use any.
fn subject(raw: Raw<'_>) -> Result<String, String> {
    names::canonical_dn(&value::filled_text(raw)?)
}

fn fingerprint(raw: Raw<'_>) -> Result<Fingerprint, String> {
    value::text(raw)?.parse().map_err(|error: NoFingerprint| error.to_string())
}

fn read_log(mut table: TableReader<'_>, problems: &mut Problems) -> LogSettings {
    let log = LogSettings {
        format: table.value("format", problems, value::word(&LOG_FORMAT)).unwrap_or_default(),
        level: table.value("level", problems, value::word(&LOG_LEVEL)).unwrap_or_default(),
    };
    table.finish(problems);
    log
}

fn read_backup(
    mut table: TableReader<'_>,
    directory: &Path,
    default: BackupSettings,
    problems: &mut Problems,
) -> BackupSettings {
    let backup = BackupSettings {
        directory: table
            .value("directory", problems, value::filled_text)
            .map_or(default.directory, |path| directory.join(path)),
        every: table.value("every", problems, backup_period).unwrap_or(default.every),
        keep: within(&mut table, "keep", default.keep, 1..=10_000, problems),
        with_keys: table.value("with_keys", problems, value::boolean).unwrap_or(default.with_keys),
    };
    table.finish(problems);
    backup
}

/// How often; never.
fn backup_period(raw: Raw<'_>) -> Result<Option<Duration>, String> {
    if value::word(&[("never", ())])(raw).is_ok() {
        return Ok(None);
    }
    in_range(raw, &BACKUP_EVERY_RANGE).map(Some).map_err(|message| format!("{message}, or \"never\""))
}

fn read_limits(mut table: TableReader<'_>, problems: &mut Problems) -> Limits {
    let limits = Limits::read(&mut table, problems);
    table.finish(problems);
    limits
}

/// `are_limits_known`: what is not there is not meant to be.
fn read_hashing(
    mut table: TableReader<'_>,
    limits: &Limits,
    are_limits_known: bool,
    problems: &mut Problems,
) -> HashingSettings {
    let default = HashingSettings::default();
    let hashing = HashingSettings {
        memory: within(&mut table, "memory", default.memory, 8 * KIB..=4 * GIB, problems),
        time_cost: within(&mut table, "time_cost", default.time_cost, 1..=64, problems),
        parallelism: within(&mut table, "parallelism", default.parallelism, 1..=64, problems),
        threads: table.value("threads", problems, threads),
        memory_budget: within(&mut table, "memory_budget", default.memory_budget, MIB..=1024 * GIB, problems),
    };
    let bounds = [
        ("memory", hashing.memory > limits.argon2_memory_max, "argon2_memory_max"),
        ("time_cost", hashing.time_cost > limits.argon2_time_cost_max, "argon2_time_cost_max"),
        ("parallelism", hashing.parallelism > limits.argon2_parallelism_max, "argon2_parallelism_max"),
    ];
    // What is wrong is told by itself, and a default in its place says nothing.
    let is_right = |key: &str| !problems.are_about(&table.key_path(key));
    let is_limit_right =
        |limit: &str| are_limits_known && !problems.are_about(&format!("server.limits.{limit}"));
    let are_lanes_right = are_limits_known && is_right("memory") && is_right("parallelism");
    let are_above = bounds.map(|(key, is_above, limit)| is_above && is_right(key) && is_limit_right(limit));
    let is_budget_right = is_right("memory_budget") && is_limit_right("argon2_memory_max");
    let mut complain = |key: &str, message: String| {
        problems.report(&table.said_at(key), &table.key_path(key), message);
    };
    // RFC 9106, 3.1: memory is counted in KiB, at least 8 for each lane.
    if !hashing.memory.is_multiple_of(KIB) {
        complain("memory", "expected a whole number of KiB".to_owned());
    } else if are_lanes_right && hashing.memory < 8 * KIB * u64::from(hashing.parallelism) {
        complain("memory", format!("expected at least 8 KiB for each of {} lanes", hashing.parallelism));
    }
    for ((key, _, limit), is_above) in bounds.into_iter().zip(are_above) {
        if is_above {
            complain(
                key,
                format!("this is above server.limits.{limit}, so what it hashes could not be verified"),
            );
        }
    }
    if is_budget_right && hashing.memory_budget < limits.argon2_memory_max {
        let least = value::show_size(limits.argon2_memory_max);
        let message =
            format!("expected at least server.limits.argon2_memory_max ({least}), for one hash to fit");
        complain("memory_budget", message);
    }
    table.finish(problems);
    hashing
}

/// A number of threads.
fn threads(raw: Raw<'_>) -> Result<u32, String> {
    match value::integer(raw)? {
        count @ 1..=THREADS_MAX => Ok(count),
        count => Err(format!("expected a count of threads from 1 to {THREADS_MAX}, found {count}")),
    }
}

const DEVELOPMENT_ALONE: &str =
    "`development` stands alone: it is instead of `certificate`, `key`, `client_ca` and `client_accounts`";

/// No limit of the config: the upper end of `threads` and `workers`.
const THREADS_MAX: u32 = 1_024;

const BACKUP_EVERY_RANGE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(365 * 24 * 60 * 60);

const EXPIRY_WARNING_RANGE: std::ops::RangeInclusive<std::time::Duration> =
    std::time::Duration::ZERO..=std::time::Duration::from_secs(365 * 24 * 60 * 60);

const ROTATION_OVERLAP_RANGE: std::ops::RangeInclusive<std::time::Duration> =
    std::time::Duration::ZERO..=ROTATION_OVERLAP_MAX;

const ON_STORE_FAILURE: [(&str, OnStoreFailure); 2] =
    [("exit", OnStoreFailure::Exit), ("serve", OnStoreFailure::Serve)];
const SECRETS_IN_CLEAR: [(&str, SecretsInClear); 3] = [
    ("never", SecretsInClear::Never),
    ("loopback", SecretsInClear::Loopback),
    ("always", SecretsInClear::Always),
];

const LOG_FORMAT: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

const LOG_LEVEL: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];
