//! `[server]`: how the process listens, speaks, logs and hashes. Read at each start and reload.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use super::limits::Limits;
use crate::model::Fingerprint;

/// What `[server]` says. Paths are absolute or relative to the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the store, the local socket and generated secrets are.
    pub data_dir: PathBuf,
    /// LDAP in clear, with StartTLS when there is TLS.
    pub ldap: Vec<ListenAddress>,
    /// LDAP over TLS; TCP only.
    pub ldaps: Vec<ListenAddress>,
    /// HTTP in clear: the API, health and counters.
    pub http: Vec<ListenAddress>,
    /// The same over TLS; TCP only.
    pub https: Vec<ListenAddress>,
    /// Where proxies are whose connections begin with a PROXY header, at the listeners on TCP.
    pub proxy_networks: Vec<IpNet>,
    /// Where secrets are accepted in clear.
    pub secrets_in_clear: SecretsInClear,
    /// The certificate; without it there is no LDAPS, no StartTLS and no HTTPS.
    pub tls: Option<TlsSettings>,
    /// Network threads; `None`: the measured default.
    pub workers: Option<u32>,
    /// The operator's file with the key that secrets of retrievable tokens are encrypted with.
    pub token_key_file: Option<PathBuf>,
    /// Who binds with the password-policy control, and the operator, is warned when a token expires within this.
    pub expiry_warning: Duration,
    /// How long a replaced app password goes on working when nothing else is said.
    pub rotation_overlap: Duration,
    /// What the server does when its store has stopped.
    pub on_store_failure: OnStoreFailure,
    pub log: LogSettings,
    /// What a new secret is hashed with.
    pub hashing: HashingSettings,
    /// What the server does by itself so that there is a backup.
    pub backup: BackupSettings,
    pub limits: Limits,
}

impl Settings {
    /// The defaults, of which none is about a place: for who reads a backup where there is no config.
    pub fn without_file() -> Self {
        Self {
            data_dir: PathBuf::new(),
            ldap: Vec::new(),
            ldaps: Vec::new(),
            http: Vec::new(),
            https: Vec::new(),
            proxy_networks: Vec::new(),
            secrets_in_clear: SecretsInClear::default(),
            tls: None,
            workers: None,
            token_key_file: None,
            expiry_warning: EXPIRY_WARNING,
            rotation_overlap: ROTATION_OVERLAP,
            on_store_failure: OnStoreFailure::default(),
            log: LogSettings::default(),
            hashing: HashingSettings::default(),
            backup: BackupSettings::of_data_dir(Path::new("")),
            limits: Limits::default(),
        }
    }

    /// Why the listeners cannot be opened: asked by the server once flags have changed them.
    pub fn wrong_listeners(&self) -> impl Iterator<Item = ListenerError> {
        let has_tls = self.tls.is_some();
        let wrong = [
            (self.ldap.is_empty() && self.ldaps.is_empty(), ListenerError::None),
            (!self.ldaps.is_empty() && !has_tls, ListenerError::LdapsWithoutTls),
            (!self.https.is_empty() && !has_tls, ListenerError::HttpsWithoutTls),
        ];
        wrong.into_iter().filter_map(|(is_wrong, error)| is_wrong.then_some(error)).chain(self.clash())
    }

    /// The first two addresses that cannot be listened on at a time: each by itself can.
    fn clash(&self) -> Option<ListenerError> {
        let Self { ldap, ldaps, http, https, .. } = self;
        let lists =
            [("server.ldap", ldap), ("server.ldaps", ldaps), ("server.http", http), ("server.https", https)];
        let listed = lists.into_iter().flat_map(|(key, list)| list.iter().map(move |one| (key, one)));
        let (key, address, other) = clashes(listed, |address| address).into_iter().next()?;
        Some(ListenerError::Clash { key, address: address.clone(), other: other.clone() })
    }
}

/// Why the server cannot listen as it is told to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenerError {
    /// Nothing would be served.
    #[error(
        "there is nothing to listen on: give `ldap` or `ldaps` in [server], such as ldap = [\"127.0.0.1:3389\"]"
    )]
    None,
    /// TLS needs a certificate.
    #[error(
        "LDAPS needs a certificate: give `certificate` and `key`, or `development`, in [server.tls], or no `ldaps`"
    )]
    LdapsWithoutTls,
    /// The same for HTTP.
    #[error(
        "HTTPS needs a certificate: give `certificate` and `key`, or `development`, in [server.tls], or no `https`"
    )]
    HttpsWithoutTls,
    /// Two listeners would be on the same address.
    #[error("{}", clash_in_words(.address, .other))]
    Clash {
        /// The key of the second.
        key: &'static str,
        /// The second.
        address: ListenAddress,
        /// The first.
        other: ListenAddress,
    },
}

/// Which of these cannot be listened on beside an earlier one, and that one, which can; each comes with the key that lists it.
pub(super) fn clashes<'a, T>(
    listed: impl Iterator<Item = (&'static str, &'a T)>,
    address: impl Fn(&T) -> &ListenAddress,
) -> Vec<(&'static str, &'a T, &'a T)> {
    let (mut seen, mut found): (Vec<&T>, Vec<_>) = (Vec::new(), Vec::new());
    for (key, one) in listed {
        match seen.iter().find(|other| address(other).clashes_with(address(one))) {
            None => seen.push(one),
            Some(other) => found.push((key, one, *other)),
        }
    }
    found
}

/// Why the second of two addresses cannot be listened on.
pub(super) fn clash_in_words(address: &ListenAddress, other: &ListenAddress) -> String {
    if address == other {
        return format!("{address} is listed twice");
    }
    format!("{address} cannot be listened on beside {other}: the one is among the addresses of the other")
}

impl ListenerError {
    /// The key that it is about.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Clash { key, .. } => key,
            Self::None => "server.ldap",
            Self::LdapsWithoutTls => "server.ldaps",
            Self::HttpsWithoutTls => "server.https",
        }
    }
}

/// Where to listen, or where a listener is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// An IP address and a port; port 0: any that is free.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// A text that is no address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadListenAddress {
    /// Not in one of the forms.
    #[error(
        "expected an IP address with a port, such as \"127.0.0.1:3389\" or \"[::1]:3389\", or \"unix:\" with a path"
    )]
    Form,
    /// A name, which may stand for several addresses, or for another one tomorrow.
    #[error(
        "a host name is no address to listen on: give the IP address that it stands for, such as \"127.0.0.1:3389\" for \
         localhost, or \"0.0.0.0:3389\" and \"[::]:3389\" for all of this machine"
    )]
    HostName,
    /// The kernel takes no longer path.
    #[error("the path of a Unix socket has at most {UNIX_PATH_LENGTH_MAX} octets")]
    PathTooLong,
}

impl FromStr for ListenAddress {
    type Err = BadListenAddress;

    fn from_str(text: &str) -> Result<Self, BadListenAddress> {
        match text.strip_prefix("unix:") {
            Some("") => Err(BadListenAddress::Form),
            Some(path) => Self::unix(PathBuf::from(path)),
            None => Self::tcp(text),
        }
    }
}

impl ListenAddress {
    /// Whether this and another cannot be listened on at a time. Port 0 is another port each time, and those of IPv6 do not take
    /// those of IPv4.
    pub fn clashes_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(two)) => {
                let is_all = one.ip().is_unspecified() || two.ip().is_unspecified();
                let is_same_port = one.port() == two.port() && one.port() != 0;
                is_same_port && (one == two || is_all && one.is_ipv4() == two.is_ipv4())
            }
            _ => self == other,
        }
    }

    /// A Unix socket.
    ///
    /// # Errors
    /// [`BadListenAddress::PathTooLong`]
    pub fn unix(path: PathBuf) -> Result<Self, BadListenAddress> {
        match path.as_os_str().len() {
            0..=UNIX_PATH_LENGTH_MAX => Ok(Self::Unix(path)),
            _ => Err(BadListenAddress::PathTooLong),
        }
    }

    /// Reads an IP address with a port. An IPv4-mapped address is the IPv4 address that it means, as it is of clients.
    ///
    /// # Errors
    /// [`BadListenAddress`]
    pub fn tcp(text: &str) -> Result<Self, BadListenAddress> {
        let address: SocketAddr = text.parse().map_err(|_| match is_host_name(text) {
            true => BadListenAddress::HostName,
            false => BadListenAddress::Form,
        })?;
        Ok(Self::Tcp(SocketAddr::new(address.ip().to_canonical(), address.port())))
    }
}

/// Whether this is a name with a port: it has a letter, and nothing that no host name has.
fn is_host_name(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_');
    port.parse::<u16>().is_ok()
        && host.bytes().all(fits)
        && host.bytes().any(|octet| octet.is_ascii_alphabetic())
}

/// Where secrets are accepted in clear (`plain_bind` of the config, whose name is older than what it governs): those of binds,
/// of Password Modify and of calls of the API, in either direction. Elsewhere they are answered with 13 or 403.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretsInClear {
    /// Nowhere: TLS is needed.
    Never,
    /// From and to loopback, and on Unix sockets.
    #[default]
    Loopback,
    /// Everywhere.
    Always,
}

impl SecretsInClear {
    /// Whether secrets may be sent over a connection, in either direction.
    pub fn takes_secrets(self, is_tls: bool, is_loopback: bool) -> bool {
        is_tls
            || match self {
                Self::Always => true,
                Self::Loopback => is_loopback,
                Self::Never => false,
            }
    }
}

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSettings {
    /// Files of the operator's, PEM.
    Files {
        /// The chain, the server's own certificate first.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
        /// Who signs client certificates, for SASL EXTERNAL.
        client_ca: Option<PathBuf>,
        /// Which account a certificate that it has signed stands for: the first that fits.
        client_accounts: Vec<ClientAccount>,
    },
    /// A directory in which ca.pem, server.pem and server.key are made when they are absent.
    Development { directory: PathBuf },
}

impl TlsSettings {
    /// The accounts of client certificates.
    pub fn client_accounts(&self) -> &[ClientAccount] {
        match self {
            Self::Files { client_accounts, .. } => client_accounts,
            Self::Development { .. } => &[],
        }
    }
}

/// Which account the holder of a client certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAccount {
    /// How the certificate is known.
    pub certificate: ClientName,
    /// The account's username. It need not exist yet.
    pub account: String,
}

/// How a client certificate is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClientName {
    /// By its subject, compared as DNs are: whatever `client_ca` signs for it.
    Subject(String),
    /// By a DNS name among its alternative names, in lower case.
    Dns(String),
    /// It alone.
    Sha256(Fingerprint),
}

/// `[server.log]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged.
    pub level: LogLevel,
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object for each line.
    Json,
}

/// What the server does when a failed write has left open what is on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStoreFailure {
    /// It goes down with exit code 1: who answers and cannot revoke is worse than none, and a restart may mend it.
    #[default]
    Exit,
    /// It answers what was acknowledged, and refuses changes, until somebody restarts it.
    Serve,
}

/// The least important lines that are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What needs the operator.
    Error,
    /// What may need the operator.
    Warn,
    /// What the server does as a whole.
    #[default]
    Info,
    /// What it does for each connection and request.
    Debug,
    /// Everything.
    Trace,
}

/// `[server.hashing]`: argon2id for new secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashingSettings {
    /// Memory of one hash in octets, a multiple of 1 KiB.
    pub memory: u64,
    /// Passes over the memory.
    pub time_cost: u32,
    /// Lanes.
    pub parallelism: u32,
    /// Threads of the hash pool; `None`: as many as there are processors.
    pub threads: Option<u32>,
    /// Memory that all hashes at work may take together, in octets.
    pub memory_budget: u64,
}

impl Default for HashingSettings {
    /// What OWASP recommends for argon2id.
    fn default() -> Self {
        Self {
            memory: 19 * 1024 * 1024,
            time_cost: 2,
            parallelism: 1,
            threads: None,
            memory_budget: 256 * 1024 * 1024,
        }
    }
}

/// `[server.backup]`: backups that the server makes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSettings {
    /// Where they are.
    pub directory: PathBuf,
    /// How old the newest becomes before another is made; `None`: none is made.
    pub every: Option<Duration>,
    /// How many are kept.
    pub keep: u32,
    /// Whether the key that chosen secrets are found by is in them.
    pub with_keys: bool,
}

impl BackupSettings {
    /// One a day beside the data, for a week.
    pub fn of_data_dir(data_dir: &Path) -> Self {
        Self {
            directory: data_dir.join("backups"),
            every: Some(BACKUP_EVERY),
            keep: BACKUPS_KEPT,
            with_keys: false,
        }
    }
}

/// `sun_path` of Linux without its final zero.
/// No limit of the config: the system gives it.
const UNIX_PATH_LENGTH_MAX: usize = 107;

/// Default of `backup.every`.
const BACKUP_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Default of `backup.keep`.
const BACKUPS_KEPT: u32 = 7;

/// Default of `expiry_warning`.
pub(super) const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// No replaced token works on for longer.
/// No limit of the config: the upper end of `rotation_overlap`.
pub const ROTATION_OVERLAP_MAX: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Default of `rotation_overlap`.
pub(super) const ROTATION_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_over_tls_and_where_the_config_allows_it() {
        for (policy, on_this_machine, from_elsewhere) in [
            (SecretsInClear::Never, false, false),
            (SecretsInClear::Loopback, true, false),
            (SecretsInClear::Always, true, true),
        ] {
            assert!(policy.takes_secrets(true, false));
            assert_eq!(policy.takes_secrets(false, true), on_this_machine, "{policy:?}");
            assert_eq!(policy.takes_secrets(false, false), from_elsewhere, "{policy:?}");
        }
    }

    #[test]
    fn addresses_read_back() {
        for text in ["127.0.0.1:3389", "[::1]:0", "unix:/run/bindery/ldapi"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for text in ["localhost:3389", "ldap.example.com:389", "ip6-loopback:389"] {
            assert_eq!(text.parse::<ListenAddress>(), Err(BadListenAddress::HostName), "{text}");
        }
        let mapped: ListenAddress = "[::ffff:127.0.0.1]:389".parse().unwrap();
        assert_eq!(mapped.to_string(), "127.0.0.1:389");
        for text in ["", "localhost", "localhost:ldap", "127.0.0.1", "3389", "unix:", "::1:3389"] {
            assert_eq!(text.parse::<ListenAddress>(), Err(BadListenAddress::Form), "{text}");
        }
        let long = format!("unix:/{}", "x".repeat(UNIX_PATH_LENGTH_MAX));
        assert_eq!(long.parse::<ListenAddress>(), Err(BadListenAddress::PathTooLong));
    }
}
