//! Secrets of the operator's own: from a file, from a variable, as a hash, or in clear where that is safe.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::diagnostics::{Problem, Problems};
use super::environment::Lookup;
use super::file::ConfigFile;
use super::reader::TableReader;
use super::seed::SeedSecret;
use super::text::{Located, Position};
use super::value;
use crate::model::HashText;
use crate::secret::Secret;

/// The keys by which an object is given a secret; at most one of them.
pub(super) struct SecretKeys {
    clear: &'static str,
    file: &'static str,
    variable: &'static str,
    /// The key that holds a hash.
    pub(super) hash: &'static str,
    /// Whether a hash may be in an imported scheme, `{SSHA}…`.
    takes_schemes: bool,
}

/// Of a person.
pub(super) const PASSWORD: SecretKeys = SecretKeys {
    clear: "password",
    file: "password_file",
    variable: "password_env",
    hash: "password_hash",
    takes_schemes: true,
};

/// Of a token.
pub(super) const SECRET: SecretKeys = SecretKeys {
    clear: "secret",
    file: "secret_file",
    variable: "secret_env",
    hash: "secret_hash",
    takes_schemes: false,
};

/// Where secrets are read from.
pub(super) struct SecretSources<'e> {
    /// Variables.
    pub(super) environment: &'e Lookup<'e>,
    /// Whether they are looked at; else no secret is found, and nothing of one is wrong but where it stands.
    pub(super) is_read: bool,
}

impl SecretSources<'_> {
    /// Reads the secret of a table; its position is that of the key.
    pub(super) fn read(
        &self,
        table: &mut TableReader<'_>,
        keys: &SecretKeys,
        file: &ConfigFile,
        problems: &mut Problems,
    ) -> Option<Located<SeedSecret>> {
        let clear = table.located(keys.clear, problems, value::text);
        let path = table.located(keys.file, problems, value::filled_text);
        let variable = table.located(keys.variable, problems, value::filled_text);
        let hash = table.located(keys.hash, problems, |raw| hash(&value::text(raw)?, keys.takes_schemes));

        let given: Vec<(&str, Position)> = [keys.clear, keys.file, keys.variable, keys.hash]
            .into_iter()
            .filter_map(|key| table.key_position(key).map(|position| (key, position)))
            .collect();
        if let [(first, first_position), (second, position), ..] = given.as_slice() {
            let message = format!("expected one secret, but there is `{first}` already");
            problems.push(
                Problem::new(position.clone(), table.key_path(second), message)
                    .with_related(first_position.clone(), "first here"),
            );
            return None;
        }
        let (key, position) = given.into_iter().next()?;
        let secret = match (clear, path, variable, hash) {
            (Some(_), ..) if !file.is_private => Err(format!(
                "a secret in clear may stand only in a file that nobody but its owner may read (chmod 600 {}); \
                 else use `{}` or `{}`",
                file.source.path().display(),
                keys.file,
                keys.variable
            )),
            (_, _, _, Some(hash)) => Ok(SeedSecret::Hash(hash.value)),
            // Wrong, and reported.
            (None, None, None, None) => return None,
            _ if !self.is_read => return None,
            (Some(clear), ..) => Self::text(clear.value.into_bytes()),
            (_, Some(path), ..) => Self::read_file(&file.directory.join(path.value)),
            (_, _, Some(variable), _) => self.read_variable(&variable.value),
        };
        match secret {
            Ok(value) => Some(Located { value, position }),
            Err(message) => {
                problems.report(&position, &table.key_path(key), message);
                None
            }
        }
    }

    fn read_file(path: &Path) -> Result<SeedSecret, String> {
        let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
        let mut octets = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(SECRET_FILE_LENGTH_MAX).read_to_end(&mut octets).map_err(unreadable)?;
        if octets.ends_with(b"\n") {
            octets.pop();
            if octets.ends_with(b"\r") {
                octets.pop();
            }
        }
        Self::text(octets).map_err(|message| format!("{}: {message}", path.display()))
    }

    fn read_variable(&self, name: &str) -> Result<SeedSecret, String> {
        let value = (self.environment)(name).ok_or_else(|| format!("the variable {name} is not set"))?;
        Self::text(value.into_encoded_bytes()).map_err(|message| format!("the variable {name}: {message}"))
    }

    /// A secret that is text. Whether anybody may have it, and a bind can carry it, is for those who keep it.
    fn text(octets: Vec<u8>) -> Result<SeedSecret, String> {
        let secret = Secret::new(octets);
        if std::str::from_utf8(secret.expose()).is_err() {
            return Err("the secret is not UTF-8".to_owned());
        }
        // Each comes with the file, not with the secret: nobody would ever type it.
        if secret.expose().starts_with(BYTE_ORDER_MARK) {
            return Err("the secret begins with a byte order mark; save it as UTF-8 without one".to_owned());
        }
        Ok(SeedSecret::Given(secret))
    }
}

/// The form of a hash. Whether its scheme is known and its parameters are within the limits is for those who
/// verify it.
fn hash(text: &str, takes_schemes: bool) -> Result<HashText, String> {
    let is_phc = text.strip_prefix('$').is_some_and(|rest| rest.split('$').count() >= 2);
    let is_scheme =
        text.strip_prefix('{').and_then(|rest| rest.split_once('}')).is_some_and(|(scheme, value)| {
            !value.is_empty()
                && !scheme.is_empty()
                && scheme
                    .bytes()
                    .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.'))
        });
    let is_django = text.split_once('$').is_some_and(|(hasher, rest)| {
        !hasher.is_empty()
            && rest.contains('$')
            && hasher
                .bytes()
                .all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_')
    });
    let is_printable = text.bytes().all(|octet| octet.is_ascii_graphic());
    match (is_printable && (is_phc || (is_scheme || is_django) && takes_schemes), takes_schemes) {
        (true, _) => Ok(HashText::new(text.to_owned())),
        (false, true) => {
            Err("expected a PHC string, \"$argon2id$…\", an imported scheme, \"{SSHA}…\", or a hash of Django's, \
                 \"pbkdf2_sha256$…\""
                .to_owned())
        }
        (false, false) => Err("expected a PHC string, \"$argon2id$…\"".to_owned()),
    }
}

/// U+FEFF, as some editors put it before all that they save.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// A file of secrets that is longer is something else.
/// No limit of the config: the operator's own file, refused with a sentence.
const SECRET_FILE_LENGTH_MAX: u64 = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_have_a_form() {
        for text in [
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
            "$6$salt$hash",
            "{SSHA}aGFzaA==",
            "pbkdf2_sha256$1000$salt$aGFzaA==",
            "bcrypt_sha256$$2b$12$hash",
        ] {
            assert!(hash(text, true).is_ok(), "{text}");
        }
        for text in ["", "hunter2", "$", "$x", "{SSHA}", "{}x", "{a b}x", "$a$b c", "hunter$2", "Hunter$2$3"]
        {
            assert!(hash(text, true).is_err(), "{text}");
        }
        assert!(hash("{SSHA}aGFzaA==", false).is_err());
        assert!(hash("pbkdf2_sha256$1000$salt$aGFzaA==", false).is_err());
    }
}
