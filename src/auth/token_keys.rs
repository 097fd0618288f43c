//! The two keys of tokens; neither is in the store.
//!
//! The *finding key* makes the digest by which a secret that somebody chose is found: whoever has the store alone can
//! hold no guess against it but by argon2. bindery makes it, in `token.key` beside the store. The *sealing key* encrypts
//! the secrets of retrievable tokens. It is the operator's, in a file outside of the data directory, so that a copy of
//! the store, or of the whole data directory, gives no secret away; without it no token is retrievable.
//!
//! What is read from a file is never used itself: each key is derived from it for its one use.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::token_secret::RandomSourceError;
use crate::model::SealedSecret;
use crate::secret::Secret;
use crate::store::{FINDING_KEY_NAME, beside_store, open_file, put_aside};

/// The keys, as far as they are there. They do not print, and are wiped when dropped.
#[derive(Clone, Default)]
pub struct TokenKeys {
    finding: Option<Key>,
    sealing: Option<Key>,
    /// By what the finding key is known again.
    mark: Option<u64>,
    /// The data directory whose finding key this is, or is to be; `None`: it is of none, or none is made there.
    data_dir: Option<PathBuf>,
}

type Key = Zeroizing<[u8; KEY_OCTETS]>;

impl TokenKeys {
    /// Reads the sealing key, if a file of it is named, and the finding key of a data directory, which may be missing: see
    /// [`TokenKeys::make`].
    ///
    /// # Errors
    /// A file cannot be used as it is.
    pub fn open(data_dir: &Path, sealing: Option<&Path>) -> Result<Self, TokenKeyError> {
        let sealing = sealing.map(|path| read_sealing(path, data_dir)).transpose()?;
        Self { sealing, data_dir: Some(data_dir.to_owned()), ..Self::default() }.read_again()
    }

    /// Reads the finding key of the data directory as it is now.
    ///
    /// # Errors
    /// The file cannot be used as it is.
    pub fn read_again(self) -> Result<Self, TokenKeyError> {
        let keys = Self { finding: None, mark: None, ..self };
        let Some(directory) = &keys.data_dir else { return Ok(keys) };
        let path = directory.join(FINDING_KEY_NAME);
        match Self::finding_octets(directory)?.map(|octets| parse_key(octets.expose())) {
            Some(Some(key)) => Ok(keys.found_by(&key)),
            Some(None) => Err(TokenKeyError::NoKey { path }),
            None => Ok(keys),
        }
    }

    /// Makes a new finding key in the data directory, and puts the one that is there aside.
    ///
    /// # Errors
    /// There is no random key, or the file cannot be made.
    pub fn make(&mut self) -> io::Result<()> {
        let (Some(path), Some(data_dir)) = (self.path(), &self.data_dir) else { return Ok(()) };
        put_aside(data_dir, &path).map_err(io::Error::other)?;
        let key = random_key().map_err(io::Error::other)?;
        place(&path, &key)?;
        *self = std::mem::take(self).found_by(&key);
        Ok(())
    }

    fn found_by(self, key: &Key) -> Self {
        Self { finding: Some(derive(FINDING, key)), mark: Some(mark_of(key)), ..self }
    }

    /// By what the key is known again that is the content of such a file; `None`: it is no key.
    pub fn mark_in(file: &Secret) -> Option<u64> {
        parse_key(file.expose()).map(|key| mark_of(&key))
    }

    /// By what the finding key is known again; it tells nothing about the key. `None`: there is no key.
    pub fn mark(&self) -> Option<u64> {
        self.mark
    }

    /// Where the finding key is in the data directory; `None`: it is of no data directory.
    pub fn path(&self) -> Option<PathBuf> {
        self.data_dir.as_ref().map(|directory| directory.join(FINDING_KEY_NAME))
    }

    /// A finding key that ends with the process, and the sealing key if a file of it is named: for a directory that is
    /// forgotten afterwards.
    ///
    /// # Errors
    /// There is no random key, or the file cannot be used as it is.
    pub fn forgotten(data_dir: &Path, sealing: Option<&Path>) -> Result<Self, TokenKeyError> {
        let sealing = sealing.map(|path| read_sealing(path, data_dir)).transpose()?;
        Ok(Self { finding: Some(random_key()?), sealing, ..Self::default() })
    }

    /// The keys as far as they are there and can be read; nothing is made, and what is lacking is done without.
    pub fn as_they_are(data_dir: &Path, sealing: Option<&Path>) -> Self {
        let sealing = sealing.and_then(|path| read_sealing(path, data_dir).ok());
        let keys = Self { sealing, ..Self::default() };
        let path = beside_store(data_dir, FINDING_KEY_NAME);
        match read_key(&path, open_file(&path)) {
            Ok(key) => keys.found_by(&key),
            Err(_) => keys,
        }
    }

    /// The content of the file of the finding key, for a backup that holds it; `None`: there is none.
    ///
    /// # Errors
    /// It cannot be read, or is no key.
    pub fn own_file(&self) -> Result<Option<Secret>, TokenKeyError> {
        self.data_dir.as_deref().map_or(Ok(None), Self::finding_file)
    }

    /// Another content for such a file.
    ///
    /// # Errors
    /// There are no random octets.
    pub fn new_file() -> Result<Secret, RandomSourceError> {
        random_key().map(|key| Secret::from(key.as_slice()))
    }

    /// The same of a data directory; `None`: there is no such file.
    ///
    /// # Errors
    /// It cannot be read, or is no key.
    pub fn finding_file(data_dir: &Path) -> Result<Option<Secret>, TokenKeyError> {
        match Self::finding_octets(data_dir)? {
            Some(octets) if !is_finding_file(&octets) => {
                Err(TokenKeyError::NoKey { path: data_dir.join(FINDING_KEY_NAME) })
            }
            octets => Ok(octets),
        }
    }

    /// The same, whatever it holds.
    fn finding_octets(data_dir: &Path) -> Result<Option<Secret>, TokenKeyError> {
        let path = beside_store(data_dir, FINDING_KEY_NAME);
        match read_key_octets(&path, open_file(&path)) {
            Ok(octets) => Ok(Some(octets)),
            Err(TokenKeyError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(TokenKeyError::Unreadable { path, source }) => {
                Err(TokenKeyError::FindingUnreadable { path, source })
            }
            Err(error) => Err(error),
        }
    }

    /// Keys made of these octets, for tests.
    #[cfg(test)]
    pub(crate) fn of(finding: u8, sealing: Option<u8>) -> Self {
        let key = |octet| Zeroizing::new([octet; KEY_OCTETS]);
        Self { finding: Some(key(finding)), sealing: sealing.map(key), ..Self::default() }
    }

    /// Whether secrets can be sealed.
    pub fn can_seal(&self) -> bool {
        self.sealing.is_some()
    }

    /// What a secret that somebody chose is found by; `None`: there is no finding key.
    pub fn digest(&self, secret: &[u8]) -> Option<[u8; 32]> {
        let key = self.finding.as_ref()?;
        // HMAC takes keys of any length.
        let mut hmac = Hmac::<Sha256>::new_from_slice(key.as_slice()).ok()?;
        hmac.update(secret);
        Some(hmac.finalize().into_bytes().into())
    }

    /// Encrypts the secret of a token. What is sealed for one token and generation opens for no other.
    ///
    /// # Errors
    /// There is no sealing key, or no random nonce.
    pub fn seal(&self, secret: &Secret, token: Uuid, generation: u32) -> Result<SealedSecret, SealError> {
        let cipher = self.cipher()?;
        let mut nonce = [0; NONCE_OCTETS];
        getrandom::fill(&mut nonce).map_err(|error| SealError::RandomSource(error.into()))?;
        let aad = associated(token, generation);
        let payload = Payload { msg: secret.expose(), aad: &aad };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::TooLong)?;
        Ok(SealedSecret::new([nonce.as_slice(), &sealed].concat()))
    }

    /// Decrypts the secret of a token.
    ///
    /// # Errors
    /// There is no sealing key, or another one than it was sealed with.
    pub fn open_sealed(
        &self,
        sealed: &SealedSecret,
        token: Uuid,
        generation: u32,
    ) -> Result<Secret, SealError> {
        let cipher = self.cipher()?;
        let (nonce, sealed) =
            sealed.octets().split_first_chunk::<NONCE_OCTETS>().ok_or(SealError::OtherKey)?;
        let aad = associated(token, generation);
        let opened = cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad });
        opened.map(Secret::new).map_err(|_| SealError::OtherKey)
    }

    fn cipher(&self) -> Result<XChaCha20Poly1305, SealError> {
        let key = self.sealing.as_ref().ok_or(SealError::NoKey)?;
        XChaCha20Poly1305::new_from_slice(key.as_slice()).map_err(|_| SealError::NoKey)
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenKeys(…)")
    }
}

/// Why a secret was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// The config names no file.
    #[error(
        "no secret is kept without a key for it: name a file of 32 random octets as `token_key_file` in [server]"
    )]
    NoKey,
    /// It does not open.
    #[error(
        "the kept secret does not open with the key of `token_key_file`: name the file that it was kept with, or give \
         the token a new secret"
    )]
    OtherKey,
    /// The system gives no random octets.
    #[error(transparent)]
    RandomSource(RandomSourceError),
    /// No cipher takes it.
    #[error("the secret is too long to be kept")]
    TooLong,
}

/// Why there are no keys.
#[derive(Debug, Error)]
pub enum TokenKeyError {
    /// The file cannot be read.
    #[error("the key file {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of the finding key cannot be read.
    #[error(
        "the token key {path} cannot be read, and nothing was changed: put the file back from a backup, or move it away; without \
         it --new-token-key makes another one, and ends the API tokens whose secrets were chosen"
    )]
    FindingUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else.
    #[error(
        "the file {path} holds no key: expected 32 random octets, as they are, in hexadecimal or in base64, such as \
         `openssl rand -hex 32` writes"
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Others may read it.
    #[error("others may read the key file {path}: chmod 600 it")]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// A copy of the data directory would hold it.
    #[error(
        "the key file {path} lies in the data directory, beside what it encrypts: keep `token_key_file` elsewhere"
    )]
    BesideStore {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no random octets.
    #[error(transparent)]
    RandomSource(#[from] RandomSourceError),
}

fn mark_of(key: &Key) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = blake3::derive_key(MARK, key.as_slice());
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// What a sealed secret is bound to.
fn associated(token: Uuid, generation: u32) -> [u8; 20] {
    let mut octets = [0; 20];
    let (of_token, of_generation) = octets.split_at_mut(16);
    of_token.copy_from_slice(token.as_bytes());
    of_generation.copy_from_slice(&generation.to_le_bytes());
    octets
}

fn derive(purpose: &str, material: &Key) -> Key {
    Zeroizing::new(blake3::derive_key(purpose, material.as_slice()))
}

fn random_key() -> Result<Key, RandomSourceError> {
    let mut key = Zeroizing::new([0; KEY_OCTETS]);
    getrandom::fill(key.as_mut_slice())?;
    Ok(key)
}

fn read_sealing(path: &Path, data_dir: &Path) -> Result<Key, TokenKeyError> {
    let key = read_key(path, File::open(path))?;
    // Where either cannot be followed to its end there is nothing to compare; both were given by the operator.
    if let (Ok(file), Ok(directory)) = (path.canonicalize(), data_dir.canonicalize())
        && file.starts_with(directory)
    {
        return Err(TokenKeyError::BesideStore { path: path.to_owned() });
    }
    Ok(derive(SEALING, &key))
}

/// Whether these octets can be the content of the file of a finding key.
pub fn is_finding_file(octets: &Secret) -> bool {
    parse_key(octets.expose()).is_some()
}

fn read_key(path: &Path, opened: io::Result<File>) -> Result<Key, TokenKeyError> {
    parse_key(read_key_octets(path, opened)?.expose())
        .ok_or_else(|| TokenKeyError::NoKey { path: path.to_owned() })
}

fn read_key_octets(path: &Path, opened: io::Result<File>) -> Result<Secret, TokenKeyError> {
    let unreadable = |source| TokenKeyError::Unreadable { path: path.to_owned(), source };
    let file = opened.map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.permissions().mode() & 0o007 != 0 {
        return Err(TokenKeyError::Open { path: path.to_owned() });
    }
    let mut octets = Vec::with_capacity(KEY_FILE_OCTETS_MAX);
    file.take(KEY_FILE_OCTETS_MAX as u64).read_to_end(&mut octets).map_err(unreadable)?;
    Ok(Secret::new(octets))
}

/// Thirty-two octets, as they are, in hexadecimal, or in base64 of either alphabet.
fn parse_key(octets: &[u8]) -> Option<Key> {
    let key = if let Ok(key) = <[u8; KEY_OCTETS]>::try_from(octets) {
        Zeroizing::new(key)
    } else {
        let text = octets.trim_ascii();
        let decoded = hexadecimal(text).or_else(|| {
            let engines = [&alphabet::STANDARD, &alphabet::URL_SAFE];
            engines.into_iter().find_map(|alphabet| {
                GeneralPurpose::new(alphabet, ANY_PADDING).decode(text).ok().map(Zeroizing::new)
            })
        })?;
        Zeroizing::new(<[u8; KEY_OCTETS]>::try_from(decoded.as_slice()).ok()?)
    };
    // A file of zeros is one that was never written.
    let is_random = key.iter().any(|octet| Some(octet) != key.first());
    is_random.then_some(key)
}

fn hexadecimal(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() != 2 * KEY_OCTETS {
        return None;
    }
    let mut octets = Zeroizing::new(Vec::with_capacity(KEY_OCTETS));
    for pair in text.chunks_exact(2) {
        let digits =
            pair.iter().map(|digit| char::from(*digit).to_digit(16)).collect::<Option<Vec<u32>>>()?;
        let value = digits.into_iter().fold(0, |value, digit| value << 4 | digit);
        octets.push(u8::try_from(value).ok()?);
    }
    Some(octets)
}

/// Puts the key where it belongs, whole or not at all.
fn place(path: &Path, key: &Key) -> io::Result<()> {
    let draft = path.with_extension("key.draft");
    // What a crash has left behind.
    let _ = fs::remove_file(&draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(key.as_slice())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

const FINDING: &str = "bindery 2026-11 finding key of chosen secrets";
const MARK: &str = "bindery 2026-11 mark of the finding key";
const SEALING: &str = "bindery 2026-11 sealing key of retrievable tokens";

const KEY_OCTETS: usize = 32;
const NONCE_OCTETS: usize = 24;

/// A longer file is something else.
/// No limit of the config: the form of the file gives it.
const KEY_FILE_OCTETS_MAX: usize = 256;

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const TOKEN: Uuid = Uuid::from_u128(7);

    fn secret() -> Secret {
        Secret::from("bindery_api_secret".to_owned())
    }

    fn write(path: &Path, content: &[u8], mode: u32) {
        fs::write(path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_sealed_opens_for_its_token_and_generation_alone() {
        let keys = TokenKeys::of(1, Some(2));
        let sealed = keys.seal(&secret(), TOKEN, 3).unwrap();
        assert_eq!(keys.open_sealed(&sealed, TOKEN, 3).unwrap(), secret());
        assert_eq!(keys.open_sealed(&sealed, TOKEN, 4), Err(SealError::OtherKey));
        assert_eq!(keys.open_sealed(&sealed, Uuid::from_u128(8), 3), Err(SealError::OtherKey));
        assert_eq!(TokenKeys::of(1, Some(3)).open_sealed(&sealed, TOKEN, 3), Err(SealError::OtherKey));
        assert_eq!(TokenKeys::of(1, None).open_sealed(&sealed, TOKEN, 3), Err(SealError::NoKey));
        assert_eq!(TokenKeys::of(1, None).seal(&secret(), TOKEN, 3), Err(SealError::NoKey));
        assert_ne!(keys.seal(&secret(), TOKEN, 3).unwrap(), sealed, "no nonce is used twice");
        assert!(!sealed.octets().windows(6).any(|window| window == b"secret"));
        // Damaged at any place, or cut anywhere, it does not open.
        for place in 0..sealed.octets().len() {
            let mut octets = sealed.octets().to_vec();
            octets[place] ^= 1;
            let damaged = SealedSecret::new(octets);
            assert_eq!(keys.open_sealed(&damaged, TOKEN, 3), Err(SealError::OtherKey));
            let cut = SealedSecret::new(sealed.octets()[..place].to_vec());
            assert_eq!(keys.open_sealed(&cut, TOKEN, 3), Err(SealError::OtherKey));
        }
    }

    #[test]
    fn digests_differ_by_secret_and_key() {
        let keys = TokenKeys::of(1, None);
        assert_eq!(keys.digest(b"one"), keys.digest(b"one"));
        assert_ne!(keys.digest(b"one"), keys.digest(b"other"));
        assert_ne!(keys.digest(b"one"), TokenKeys::of(2, None).digest(b"one"));
        assert_eq!(TokenKeys::default().digest(b"one"), None);
    }

    #[test]
    fn the_finding_key_is_made_once_for_its_user_alone() {
        let directory = tempfile::tempdir().unwrap();
        let mut made = TokenKeys::open(directory.path(), None).unwrap();
        assert_eq!((made.mark(), made.digest(b"secret")), (None, None));
        let path = directory.path().join(FINDING_KEY_NAME);
        assert_eq!(made.path().as_ref(), Some(&path));
        made.make().unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let read = TokenKeys::open(directory.path(), None).unwrap();
        assert_eq!(read.digest(b"secret"), made.digest(b"secret"));
        assert!(read.mark().is_some() && read.mark() == made.mark());
        let only_read = TokenKeys::as_they_are(directory.path(), None);
        assert_eq!((only_read.mark(), only_read.path()), (read.mark(), None));
        assert_ne!(
            read.digest(b"secret"),
            TokenKeys::forgotten(directory.path(), None).unwrap().digest(b"secret")
        );
        // Another one is known by its mark, and the one before is put aside.
        let before = fs::read(&path).unwrap();
        made.make().unwrap();
        assert_ne!(made.mark(), read.mark());
        let aside = fs::read_dir(directory.path().join("set-aside")).unwrap().next().unwrap().unwrap();
        assert_eq!(fs::read(aside.path()).unwrap(), before);
        // One that was damaged is never replaced in silence.
        write(&path, b"short", 0o600);
        assert!(matches!(TokenKeys::open(directory.path(), None), Err(TokenKeyError::NoKey { .. })));
        // Where none can be made the rest goes on.
        let mut without = TokenKeys::open(&directory.path().join("absent"), None).unwrap();
        assert!(without.make().is_err());
        assert_eq!(without.digest(b"secret"), None);
    }

    #[test]
    fn a_key_is_read_in_every_form() {
        let raw: Vec<u8> = (100..132).collect();
        let hexadecimal: String = raw.iter().map(|octet| format!("{octet:02x}")).collect();
        let base64 = base64::engine::general_purpose::STANDARD.encode(&raw);
        let forms = [
            raw.clone(),
            hexadecimal.to_uppercase().into_bytes(),
            format!("{hexadecimal}\n").into_bytes(),
            format!("{base64}\r\n").into_bytes(),
            base64.trim_end_matches('=').replace('+', "-").replace('/', "_").into_bytes(),
        ];
        for form in forms {
            assert_eq!(parse_key(&form).unwrap().as_slice(), raw);
        }
        for wrong in [&b""[..], b"secret", &[0; 32], &[7; 33], "0".repeat(64).as_bytes(), &raw[..31]] {
            assert!(parse_key(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn the_sealing_key_is_a_file_that_others_do_not_read_and_a_copy_of_the_store_does_not_hold() {
        let data = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let key: Vec<u8> = (1..33).collect();
        let path = elsewhere.path().join("key");
        assert!(matches!(TokenKeys::open(data.path(), Some(&path)), Err(TokenKeyError::Unreadable { .. })));
        write(&path, &key, 0o604);
        assert!(matches!(TokenKeys::open(data.path(), Some(&path)), Err(TokenKeyError::Open { .. })));
        write(&path, &key, 0o640);
        assert!(TokenKeys::open(data.path(), Some(&path)).unwrap().can_seal());
        let beside = data.path().join("sealing.key");
        write(&beside, &key, 0o600);
        assert!(matches!(
            TokenKeys::open(data.path(), Some(&beside)),
            Err(TokenKeyError::BesideStore { .. })
        ));
        assert!(!TokenKeys::open(data.path(), None).unwrap().can_seal());
        assert!(!format!("{:?}", TokenKeys::of(65, Some(66))).contains("65"));
    }
}
