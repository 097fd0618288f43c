//! A certificate authority and a server certificate for development and tests.
//!
//! The authority signs one certificate and its key is then forgotten: it is never written, so
//! nothing that trusts `ca.pem` can be deceived by a stolen file. New certificates are a new authority.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::clock::system_time;

/// Where the development certificates are, and whether this call made them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevelopmentCertificates {
    /// The authority's certificate, for clients to trust (`LDAPTLS_CACERT`).
    pub authority: PathBuf,
    /// The server's certificate, alone: a client that trusts the authority needs no more.
    pub certificate: PathBuf,
    /// The server's private key (PKCS#8, mode 0600).
    pub key: PathBuf,
    /// Whether the files were made now or stood there already.
    pub outcome: CertificateOutcome,
}

/// What [`create_development`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateOutcome {
    /// All three files are new.
    Created,
    /// All three files stood there already and were left as they are, unread.
    Existing,
}

/// Why there are no development certificates.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// Some of the files exist; to make the others would not match them.
    #[error(
        "{} has {present} but not {absent}: development certificates are made together; \
         move the remaining files away, or name files of your own as certificate and key",
        directory.display()
    )]
    Incomplete {
        /// The directory of the files.
        directory: PathBuf,
        /// The names of the files that exist.
        present: String,
        /// The names of the files that do not.
        absent: String,
    },
    /// Another process made a file of the same name at the same time.
    #[error("{} has just been made by another process and is left as it is; try again", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file or the directory could not be written.
    #[error("{} could not be written: does its directory exist, and may this user write there?", path.display())]
    Unwritable {
        /// The file or the directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The keys or certificates could not be generated.
    #[error("the development certificates could not be generated")]
    Generation(#[from] rcgen::Error),
}

/// Makes `ca.pem`, `server.pem` and `server.key` in `directory`, which is made when it is absent.
///
/// The certificate is valid for `localhost`, `127.0.0.1`, `::1` and the name of this machine. No
/// file is ever overwritten: when all three exist they are left alone.
///
/// # Errors
/// [`CertificateError`]; files that this call had placed before it failed are taken away again.
pub fn create_development(directory: &Path) -> Result<DevelopmentCertificates, CertificateError> {
    let mut certificates = DevelopmentCertificates {
        authority: directory.join(AUTHORITY_FILE),
        certificate: directory.join(CERTIFICATE_FILE),
        key: directory.join(KEY_FILE),
        outcome: CertificateOutcome::Existing,
    };
    // A dangling symbolic link counts as present: it is somebody's arrangement.
    let (present, absent): (Vec<&str>, Vec<&str>) = [AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE]
        .into_iter()
        .partition(|name| directory.join(name).symlink_metadata().is_ok());
    if absent.is_empty() {
        return Ok(certificates);
    }
    if !present.is_empty() {
        return Err(CertificateError::Incomplete {
            directory: directory.to_path_buf(),
            present: present.join(" and "),
            absent: absent.join(" and "),
        });
    }

    let generated = Generated::new()?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)
        .map_err(|source| CertificateError::Unwritable { path: directory.to_path_buf(), source })?;

    // The authority last: whoever waits for `ca.pem` finds the other two.
    let files = [
        (&certificates.key, generated.key.as_bytes(), 0o600),
        (&certificates.certificate, generated.certificate.as_bytes(), 0o644),
        (&certificates.authority, generated.authority.as_bytes(), 0o644),
    ];
    for (done, (path, content, mode)) in files.iter().enumerate() {
        if let Err(source) = place(path, content, *mode) {
            for (placed, ..) in files.iter().take(done) {
                // What fails here is reported by the next run as an incomplete set.
                let _ = fs::remove_file(placed);
            }
            let path = path.to_path_buf();
            return Err(if source.kind() == io::ErrorKind::AlreadyExists {
                CertificateError::Exists { path }
            } else {
                CertificateError::Unwritable { path, source }
            });
        }
    }
    if let Err(source) = File::open(directory).and_then(|handle| handle.sync_all()) {
        return Err(CertificateError::Unwritable { path: directory.to_path_buf(), source });
    }
    certificates.outcome = CertificateOutcome::Created;
    Ok(certificates)
}

/// The three files as PEM.
struct Generated {
    authority: String,
    certificate: String,
    key: Zeroizing<String>,
}

impl Generated {
    fn new() -> Result<Self, rcgen::Error> {
        // Clocks of containers and virtual machines differ a little.
        let now = u64::try_from(system_time().unix_seconds()).unwrap_or(0);
        let start = UNIX_EPOCH + Duration::from_secs(now).saturating_sub(CLOCK_DIFFERENCE);

        let authority_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.distinguished_name = named("bindery development CA");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.not_before = start.into();
        authority.not_after = (start + AUTHORITY_VALIDITY).into();
        let authority_certificate = authority.self_signed(&authority_key)?;
        let issuer = Issuer::new(authority, authority_key);

        let server_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut server = CertificateParams::new(server_names())?;
        server.distinguished_name = named("localhost");
        server.is_ca = IsCa::ExplicitNoCa;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        server.not_before = start.into();
        server.not_after = (start + CERTIFICATE_VALIDITY).into();
        let certificate = server.signed_by(&server_key, &issuer)?;

        Ok(Self {
            authority: authority_certificate.pem(),
            certificate: certificate.pem(),
            key: Zeroizing::new(server_key.serialize_pem()),
        })
    }
}

/// The subject alternative names.
///
/// The machine's own name is among them because OpenLDAP's tools, asked for `ldaps://localhost`,
/// compare the certificate with what the resolver calls this machine, and not with `localhost`.
fn server_names() -> Vec<String> {
    let mut names = NAMES.map(str::to_owned).to_vec();
    let machine = fs::read_to_string(HOSTNAME_FILE).unwrap_or_default();
    let hosts = fs::read_to_string(HOSTS_FILE).unwrap_or_default();
    for name in machine_names(machine.trim(), &hosts) {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The name of the machine and its canonical name, which is the first of its line in `/etc/hosts`.
fn machine_names<'a>(machine: &'a str, hosts: &'a str) -> impl Iterator<Item = &'a str> {
    let canonical = hosts.lines().find_map(|line| {
        let mut names = line.split('#').next()?.split_ascii_whitespace().skip(1).peekable();
        let first = *names.peek()?;
        names.any(|name| name.eq_ignore_ascii_case(machine)).then_some(first)
    });
    let is_host_name = |name: &&str| {
        (1..=HOST_NAME_LENGTH_MAX).contains(&name.len())
            && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-'))
    };
    [Some(machine), canonical].into_iter().flatten().filter(is_host_name)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// Writes a file whole under another name and links it to its own: it appears complete or not at
/// all, and unlike a rename a link never replaces what is there.
fn place(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{:016x}.new", u64::from_ne_bytes(random)));
    let draft = path.with_file_name(name);

    let written =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    // The draft is of no use in either case; when it cannot be removed, its name tells what it is.
    let _ = fs::remove_file(&draft);
    linked
}

/// The authority's certificate.
const AUTHORITY_FILE: &str = "ca.pem";
/// The server's certificate.
const CERTIFICATE_FILE: &str = "server.pem";
/// The server's private key.
const KEY_FILE: &str = "server.key";
/// The names that every development certificate has.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Where Linux tells the name of the machine.
const HOSTNAME_FILE: &str = "/proc/sys/kernel/hostname";
/// Where the canonical names of this machine usually stand.
const HOSTS_FILE: &str = "/etc/hosts";
/// The longest name of the DNS (octets, RFC 1035 section 2.3.4).
/// No limit of the config: the RFC gives it.
const HOST_NAME_LENGTH_MAX: usize = 253;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Ten years and their leap days.
const AUTHORITY_VALIDITY: Duration = DAY.saturating_mul(3_653);
/// The longest that Apple's clients accept.
const CERTIFICATE_VALIDITY: Duration = DAY.saturating_mul(825);
/// How long before now the certificates begin to be valid.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn three_files_are_made_and_the_key_is_private() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("not/yet/there");
        let made = create_development(&directory).unwrap();
        assert_eq!(made.outcome, CertificateOutcome::Created);
        assert_eq!(made.authority, directory.join("ca.pem"));

        let mut names: Vec<_> =
            fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(
            names,
            ["ca.pem", "server.key", "server.pem"],
            "no draft is left, no key of the authority"
        );
        assert_eq!(fs::metadata(&made.key).unwrap().permissions().mode() & 0o777, 0o600);
        let certificate = fs::read_to_string(&made.certificate).unwrap();
        assert_eq!(certificate.matches("BEGIN CERTIFICATE").count(), 1);
    }

    #[test]
    fn a_second_call_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let made = create_development(directory.path()).unwrap();
        let before = fs::read(&made.key).unwrap();
        let again = create_development(directory.path()).unwrap();
        assert_eq!(again.outcome, CertificateOutcome::Existing);
        assert_eq!(fs::read(&again.key).unwrap(), before);
    }

    #[test]
    fn an_incomplete_set_is_left_alone_and_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ca.pem"), "mine").unwrap();
        let error = create_development(directory.path()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, CertificateError::Incomplete { .. }));
        assert!(text.contains("has ca.pem but not server.pem and server.key"), "{text}");
        assert_eq!(fs::read(directory.path().join("ca.pem")).unwrap(), b"mine");
    }

    #[test]
    fn placing_never_replaces() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.key");
        fs::write(&path, "mine").unwrap();
        assert_eq!(place(&path, b"other", 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "the draft is gone");
    }

    #[test]
    fn the_machine_is_named_as_the_resolver_names_it() {
        let names = |machine, hosts| machine_names(machine, hosts).collect::<Vec<_>>();
        let hosts =
            "127.0.0.1 localhost\n127.0.1.1\tWeb-3.example.com web-3 # web-3.other\n::1 localhost web-4";
        assert_eq!(names("web-3", hosts), ["web-3", "Web-3.example.com"]);
        assert_eq!(names("web-4", hosts), ["web-4", "localhost"]);
        assert_eq!(names("web-5", hosts), ["web-5"]);
        assert_eq!(names("web-3.other", hosts), ["web-3.other"]);
        assert_eq!(names("(none)", "#\n\n127.0.0.1"), Vec::<&str>::new());
        assert_eq!(names("", ""), Vec::<&str>::new());
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("certs");
        fs::write(&path, "a file").unwrap();
        let text = create_development(&path).unwrap_err().to_string();
        assert!(text.contains("certs could not be written"), "{text}");
    }
}
