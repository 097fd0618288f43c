#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::auth::schemes::argon::hash_new;

/// What the hashes of `IMPORTED` were made of, by glibc and libxcrypt, Python's hashlib and base64.
const SECRET: &[u8] = b"correct horse";

const IMPORTED: [&str; 18] = [
    "{CRYPT}$5$rounds=1000$saltsalt$R6e4P8ccT9iMqkYg7Z8YtpId/lfsIfnuPkp8WXposU8",
    "{CRYPT}$5$saltsaltsaltsalt$vzxOvVGSAthqKsVBFh1uWPorUBPL5g6mz42rSF1xpk5",
    "{CRYPT}$6$rounds=1000$saltsalt$4GMtaIz3E1AdDi2SmCokEW0ehi.HdxNDcL3fGE1XXuzvo6kbx7UOloZKONqEk5H3JrQA4NOfU8BmqFPrpGqwA1",
    "{CRYPT}$6$saltsaltsaltsalt$GkzgkzVbauGAKXpOTbypQEKy/9yJWVjcvXvDw7CxoJjnJ1.w.g1rV8bhCVTpHrRrO/h6b3DAwPN3y5qmHXZ1R1",
    "{CRYPT}$2a$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
    "{CRYPT}$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
    "{CRYPT}$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
    "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=",
    "{SHA256}QQTTb42iwlQ0n4WDZ5Pr4CngyVcGOjTJHC6SAxh7VjE=",
    "{SHA512}VraY3v7bWkNbY0r+MyC7rz/c2SC2xQOkRvx7endrKY1HnRumqLYXgI6wv1ec6aldZoNHvKtxSQhayTyyeZUZew==",
    "{SSHA}awc/Cj0kafyFd5d8fGn07xoHBJJzYWx0c2FsdA==",
    "{SSHA256}YflVcOMs6k7tbGkQbQNVn6/ehAnUAVltiLPKHBWGi2tzYWx0c2FsdA==",
    "{SSHA512}50rsRNBf8j3I5xE+QwaHdFyMhOzITssZ8BB3UxwQ+SI1JKygYm6ZeRYTDuUyFZIIqDonoTuXwB0Z/MAPhgQCFHNhbHRzYWx0",
    "{PBKDF2}1000$c2FsdHNhbHQ$wQoBU7GXMNo2CJC.raijrf6key4",
    "{PBKDF2-SHA1}1000$c2FsdHNhbHQ$wQoBU7GXMNo2CJC.raijrf6key4",
    "{PBKDF2-SHA256}1000$c2FsdHNhbHQ$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0",
    "{PBKDF2-SHA512}1000$c2FsdHNhbHQ$.sUSD8jw4f8ns7m9b7kj8PeJLe8lJXO8Am09BLgO79kST9D/Ija5aKINGF5Xg7hkKXw1.fNhBzzJP3eIXcWXww",
    // With the padding and the `+` of other writers.
    "{PBKDF2-SHA1}1000$c2FsdHNhbHQ=$wQoBU7GXMNo2CJC+raijrf6key4=",
];

/// What Django 5.2 makes of `SECRET`, with few rounds:
///
/// ```python
/// # pip install "django==5.2.*" argon2-cffi bcrypt
/// from django.conf import settings; settings.configure()
/// from django.contrib.auth import hashers as h
/// salt, secret = "YZwBkZtc9FXTmAbmUTbAgP", "correct horse"
/// print(h.PBKDF2PasswordHasher().encode(secret, salt, 1000))
/// print(h.PBKDF2SHA1PasswordHasher().encode(secret, salt, 1000))
/// a = h.Argon2PasswordHasher(); a.memory_cost = 64; print(a.encode(secret, salt))
/// b = h.BCryptSHA256PasswordHasher(); b.rounds = 4; print(b.encode(secret, b.salt()))
/// b = h.BCryptPasswordHasher(); b.rounds = 4; print(b.encode(secret, b.salt()))
/// ```
const DJANGO: [&str; 5] = [
    "pbkdf2_sha256$1000$YZwBkZtc9FXTmAbmUTbAgP$fbelRmKRZ9XlPezJPCvdy9uwENxrewlRs1zkI3VolRg=",
    "pbkdf2_sha1$1000$YZwBkZtc9FXTmAbmUTbAgP$AhheK1uEWWwxQHcEjFLOmDI/58E=",
    "argon2$argon2id$v=19$m=64,t=2,p=8$WVp3QmtadGM5RlhUbUFibVVUYkFnUA$fLBrjjCqxIJ/gdvr4XyS7TkfjGAvN5RDkXeJRWGa4gM",
    "bcrypt_sha256$$2b$04$K6G8DvCq.T58PF5MtuLUZuj3d3N080hMYBnFkSVJSan2uHYBt.Qg2",
    "bcrypt$$2b$04$AtY.G9CeeuFR8v8Ibx/fhe8BRE.LiEwcBrpe3eKDNDIYRDX1Ble3u",
];

/// The same with Django's own costs: `print(h.make_password(secret, hasher=name))` for each of the five.
const DJANGO_DEFAULTS: [&str; 5] = [
    "pbkdf2_sha256$1000000$W1jTXPLHEzL0ZkWDpCXyul$Gb6FXV6NkD3LlPB7Sco0dA5owtxBm0l/Sbdwc75Lvhk=",
    "pbkdf2_sha1$1000000$unXRvq4H3mYCzSYdzMhEav$FwtfFsyOSJ16imCisYaEfM+gUJQ=",
    "argon2$argon2id$v=19$m=102400,t=2,p=8$M1gzUG5JMm5taWY0RnNzWkdRVkJsTQ$iywpPcRIw/HRrxxRDZi1Gn7jFVS35CjzwdB7iDKSPts",
    "bcrypt_sha256$$2b$12$5EWXOTVJwtG8nPmhn2sIkOzKehRpcVUI2p1ociWwIHEBihYhWfNb.",
    "bcrypt$$2b$12$TPB4rr2xO8YGZyXjTQlVB.ERRYZg5UhuHznCyF/MyzBrvMq9hOLrm",
];

/// Of the tests of the reference implementation, for "password".
const ARGON2I: &str =
    "$argon2i$v=19$m=65536,t=1,p=1$c29tZXNhbHQAAAAAAAAAAA$+r0d29hqEB0yasKr55ZgICsQGSkl0v0kgwhd+U3wyRo";
const ARGON2ID: &str =
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

fn parse(text: &str) -> StoredHash {
    StoredHash::parse(text, &HashBounds::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error_of(text: &str) -> HashParseError {
    StoredHash::parse(text, &HashBounds::default()).expect_err(text)
}

fn verify(text: &str, secret: &[u8]) -> bool {
    parse(text).verify(secret, &mut ArgonMemory::new())
}

fn tiny() -> Argon2Parameters {
    Argon2Parameters::new(8, 1, 1).unwrap()
}

#[test]
fn imported_hashes_of_other_implementations_verify() {
    for text in IMPORTED {
        let hash = parse(text);
        assert!(verify(text, SECRET), "{text}");
        for wrong in [b"".as_slice(), b"correct horsf", b"correct horse ", b"correct horse\0"] {
            assert!(!verify(text, wrong), "{text} {wrong:?}");
        }
        assert!(hash.needs_rehash(&tiny()) && !hash.is_argon2id(), "{text}");
        assert_eq!(hash.memory_octets(), 0);
    }
}

#[test]
fn hashes_of_django_verify() {
    for text in DJANGO {
        for wrong in [b"".as_slice(), b"correct horsf", b"correct horse ", b"correct horse\0"] {
            assert!(!verify(text, wrong), "{text} {wrong:?}");
        }
        assert!(verify(text, SECRET), "{text}");
        assert_eq!(parse(text).is_argon2id(), text.starts_with("argon2$"), "{text}");
        assert!(parse(text).needs_rehash(&tiny()), "{text}");
        let octets = if text.starts_with("argon2$") { 64 * 1024 } else { 0 };
        assert_eq!(parse(text).memory_octets(), octets, "{text}");
        // Django's names have one case.
        assert_eq!(error_of(&text.to_ascii_uppercase()), HashParseError::NoScheme, "{text}");
    }
}

#[test]
fn what_django_makes_by_default_is_within_the_bounds() {
    for text in DJANGO_DEFAULTS {
        parse(text);
    }
    let memory = parse(DJANGO_DEFAULTS[2]).memory_octets();
    assert_eq!(memory, 100 * 1024 * 1024, "the pool counts it");
}

/// bcrypt reads 72 octets; Django's `bcrypt_sha256` is there so that all count.
#[test]
fn all_of_a_long_secret_counts_where_django_hashes_it_before() {
    let hash = |secret: &[u8]| {
        let hex: String = Sha256::digest(secret).iter().map(|octet| format!("{octet:02x}")).collect();
        format!("bcrypt_sha256${}", bcrypt::hash_with_salt(hex.as_bytes(), 4, [7; 16]).unwrap())
    };
    let (long, other) = ([&[b'x'; 100][..], b"a"].concat(), [&[b'x'; 100][..], b"b"].concat());
    assert!(verify(&hash(&long), &long));
    assert!(!verify(&hash(&long), &other));
}

#[test]
fn schemes_are_read_in_any_case() {
    for text in IMPORTED {
        let (scheme, rest) = text.split_once('}').unwrap();
        assert!(verify(&format!("{}}}{rest}", scheme.to_ascii_lowercase()), SECRET), "{text}");
    }
}

#[test]
fn argon2_hashes_of_the_reference_verify() {
    for (text, is_argon2id) in [(ARGON2I, false), (ARGON2ID, true)] {
        for text in [text.to_owned(), format!("{{ARGON2}}{text}"), format!("{{argon2}}{text}")] {
            let hash = parse(&text);
            let mut memory = ArgonMemory::new();
            assert!(hash.verify(b"password", &mut memory), "{text}");
            assert!(!hash.verify(b"Password", &mut memory), "{text}");
            assert_eq!(hash.is_argon2id(), is_argon2id);
            assert_eq!(hash.memory_octets(), 64 * 1024 * 1024);
            assert_eq!(memory.octets(), 64 * 1024 * 1024);
        }
    }
}

#[test]
fn the_default_parameters_make_a_hash_that_verifies() {
    let parameters = Argon2Parameters::default();
    let mut memory = ArgonMemory::new();
    let text = hash_new(b"secret", &parameters, &mut memory).unwrap();
    assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
    let hash = parse(&text);
    assert!(hash.verify(b"secret", &mut memory) && !hash.verify(b"secrets", &mut memory));
    assert!(!hash.needs_rehash(&parameters));
    assert_eq!(memory.octets(), parameters.memory_octets());
}

#[test]
fn memory_is_reused_whatever_was_in_it() {
    let mut memory = ArgonMemory::new();
    let texts: Vec<_> = [(64, 1, 1), (8, 1, 1), (32, 2, 2), (64, 1, 1)]
        .into_iter()
        .map(|(memory_kib, time_cost, parallelism)| {
            let parameters = Argon2Parameters::new(memory_kib, time_cost, parallelism).unwrap();
            hash_new(b"secret", &parameters, &mut memory).unwrap()
        })
        .collect();
    assert_eq!(memory.octets(), 64 * 1024, "it holds the largest and no more");
    for text in &texts {
        assert!(verify(text, b"secret"), "{text}");
        assert!(parse(text).verify(b"secret", &mut memory), "{text}");
    }
    assert_ne!(texts[0], texts[3], "each has a salt of its own");
}

#[test]
fn other_parameters_need_a_new_hash() {
    let text = hash_new(b"secret", &tiny(), &mut ArgonMemory::new()).unwrap();
    let hash = parse(&text);
    assert!(!hash.needs_rehash(&tiny()));
    assert!(!parse(&format!("{{ARGON2}}{text}")).needs_rehash(&tiny()));
    for (memory_kib, time_cost, parallelism) in [(16, 1, 1), (8, 2, 1), (16, 1, 2)] {
        assert!(hash.needs_rehash(&Argon2Parameters::new(memory_kib, time_cost, parallelism).unwrap()));
    }
    // A short salt, an old version, an elder brother.
    assert!(parse(ARGON2ID).needs_rehash(&Argon2Parameters::new(65_536, 2, 1).unwrap()));
    assert!(parse(ARGON2I).needs_rehash(&Argon2Parameters::new(65_536, 1, 1).unwrap()));
    assert!(parse(&text.replace("v=19", "v=16")).needs_rehash(&tiny()));
}

#[test]
fn without_a_version_it_is_the_first_one() {
    let text = hash_new(b"secret", &tiny(), &mut ArgonMemory::new()).unwrap();
    assert!(!verify(&text.replace("v=19$", ""), b"secret"));
    assert_eq!(
        verify(&text.replace("v=19$", ""), b"secret"),
        verify(&text.replace("v=19", "v=16"), b"secret")
    );
}

#[test]
fn what_costs_too_much_names_the_bound() {
    let bounds = HashBounds {
        memory_kib_max: 65_535,
        time_cost_max: 3,
        parallelism_max: 2,
        pbkdf2_rounds_max: 999,
        sha_crypt_rounds_max: 999,
        bcrypt_cost_max: 3,
    };
    let argon = |parameters: &str| {
        format!("$argon2id$v=19${parameters}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
    };
    for (text, quantity, bound, found, maximum) in [
        (ARGON2ID.to_owned(), "m (KiB)", "argon2_memory_max", 65_536, 65_535),
        (argon("m=4294967295,t=1,p=1"), "m (KiB)", "argon2_memory_max", u32::MAX, 65_535),
        (argon("m=64,t=4,p=1"), "t", "argon2_time_cost_max", 4, 3),
        (argon("m=64,t=1,p=3"), "p", "argon2_parallelism_max", 3, 2),
        (IMPORTED[0].to_owned(), "rounds", "sha_crypt_rounds_max", 1_000, 999),
        (IMPORTED[1].to_owned(), "rounds", "sha_crypt_rounds_max", 5_000, 999),
        (IMPORTED[4].to_owned(), "cost", "bcrypt_cost_max", 4, 3),
        (IMPORTED[15].to_owned(), "rounds", "pbkdf2_rounds_max", 1_000, 999),
        (DJANGO[0].to_owned(), "rounds", "pbkdf2_rounds_max", 1_000, 999),
        (DJANGO[1].to_owned(), "rounds", "pbkdf2_rounds_max", 1_000, 999),
        (DJANGO[0].replace("$1000$", "$4294967295$"), "rounds", "pbkdf2_rounds_max", u32::MAX, 999),
        (DJANGO[2].to_owned(), "p", "argon2_parallelism_max", 8, 2),
        (DJANGO[2].replace("m=64", "m=4294967295"), "m (KiB)", "argon2_memory_max", u32::MAX, 65_535),
        (DJANGO[3].to_owned(), "cost", "bcrypt_cost_max", 4, 3),
        (DJANGO[4].replace("$04$", "$31$"), "cost", "bcrypt_cost_max", 31, 3),
    ] {
        let expected = HashParseError::AboveBound { quantity, bound, found, maximum };
        assert_eq!(StoredHash::parse(&text, &bounds).expect_err(&text), expected, "{text}");
        assert!(expected.to_string().contains(bound));
    }
}

#[test]
fn what_is_no_hash_says_so_and_shows_nothing() {
    for text in ["", "hunter2", "{", "{}x", "{hunter 2}x", "{SSHA", "$1$salt$digest", "$5$salt$x", "{äö}x"]
    {
        let error = error_of(text);
        assert_eq!(error, HashParseError::NoScheme, "{text}");
        assert!(!error.to_string().contains("hunter"));
    }
    assert_eq!(error_of("{SMD5}hunter2"), HashParseError::UnknownScheme { scheme: Some("SMD5") });
    let error = error_of("{Hunter2}x");
    assert!(!error.to_string().contains("Hunter2"), "it may be a password in clear: {error}");
    assert!(!error_of("{SMD5}hunter2").to_string().contains("hunter2"));
    for text in ["hunter$2", "hunter$2$3", "md5$hunter2", "pbkdf2_sha512$1$2$3", "$pbkdf2_sha256$1$2$3"] {
        assert_eq!(error_of(text), HashParseError::NoScheme, "it may be a password in clear: {text}");
    }
    let scrypt = "scrypt$16384$gtPYF2ni3lnhK6V97GZIN2$8$5$CtHrzHIleKdfDxtNTowMmUU/3kJVagzrWIyqc0tTmbn0B4ZtzlEsxxT5KF8Oth43ESfmQxVun3CZ1d1tn8OmHQ==";
    assert_eq!(error_of(scrypt), HashParseError::UnknownScheme { scheme: Some("scrypt$") });
    assert!(error_of(scrypt).to_string().starts_with("the scheme scrypt$ is not supported; use one of"));
    assert_eq!(error_of(&format!("{{SSHA}}{}", "x".repeat(507))), HashParseError::TooLong { found: 513 });
    assert_eq!(error_of(&"x".repeat(513)), HashParseError::NoScheme);
}

#[test]
fn damaged_hashes_are_malformed() {
    let bcrypt_cost =
        |cost: &str| format!("{{CRYPT}}$2b${cost}$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e");
    let digest_43 = "R6e4P8ccT9iMqkYg7Z8YtpId/lfsIfnuPkp8WXposU8";
    let damaged = [
        "$argon2".to_owned(),
        "$argon2id$".to_owned(),
        "$argon2x$v=19$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc".to_owned(),
        "$argon2id$v=19$m=8,t=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc".to_owned(),
        "$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc".to_owned(),
        "$argon2id$v=19$m=8,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc".to_owned(),
        "$argon2id$v=19$m=8,t=1,p=1,data=Dw8PDw8P$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
            .to_owned(),
        "$argon2id$v=20$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc".to_owned(),
        "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ".to_owned(),
        "$argon2id$v=19$m=8,t=1,p=1".to_owned(),
        "{ARGON2}".to_owned(),
        "{CRYPT}".to_owned(),
        "{CRYPT}$1$salt$qJH7.N4xYta3aEG/dfqo/0".to_owned(),
        "{CRYPT}$5$".to_owned(),
        format!("{{CRYPT}}$5$${digest_43}"),
        format!("{{CRYPT}}$5$seventeencharacte${digest_43}"),
        format!("{{CRYPT}}$5$rounds=999$salt${digest_43}"),
        format!("{{CRYPT}}$5$rounds=+1000$salt${digest_43}"),
        format!("{{CRYPT}}$5$rounds=1000000000$salt${digest_43}"),
        format!("{{CRYPT}}$5$salt${digest_43}$"),
        format!("{{CRYPT}}$5$salt${digest_43}0"),
        format!("{{CRYPT}}$6$salt${digest_43}"),
        bcrypt_cost("03"),
        bcrypt_cost("32"),
        bcrypt_cost("+4"),
        "{CRYPT}$2x$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e".to_owned(),
        "{CRYPT}$2b$04$ä".to_owned(),
        "{SHA}".to_owned(),
        "{SHA}L55TUjtiq8FBorTWAZ0jy6g129".to_owned(),
        "{SHA}awc/Cj0kafyFd5d8fGn07xoHBJJzYWx0c2FsdA==".to_owned(),
        "{SSHA}L55TUjtiq8FBorTWAZ0jy6g129A=".to_owned(),
        "{SSHA}not base64".to_owned(),
        "{PBKDF2}1000$c2FsdHNhbHQ".to_owned(),
        "{PBKDF2}0$c2FsdHNhbHQ$wQoBU7GXMNo2CJC.raijrf6key4".to_owned(),
        "{PBKDF2}$c2FsdHNhbHQ$wQoBU7GXMNo2CJC.raijrf6key4".to_owned(),
        "{PBKDF2}1000$$wQoBU7GXMNo2CJC.raijrf6key4".to_owned(),
        "{PBKDF2}1000$c2FsdHNhbHQ$".to_owned(),
        "{PBKDF2-SHA256}1000$c2FsdHNhbHQ$wQoBU7GXMNo2CJC.raijrf6key4".to_owned(),
        "pbkdf2_sha256$".to_owned(),
        "pbkdf2_sha256$1000$salt".to_owned(),
        DJANGO[0].replace("$1000$", "$0$"),
        DJANGO[0].replace("$1000$", "$+1000$"),
        DJANGO[0].replace("$1000$", "$99999999999999999999$"),
        DJANGO[0].replace("YZwBkZtc9FXTmAbmUTbAgP", ""),
        DJANGO[0].replace("sha256", "sha1"),
        DJANGO[1].replace("sha1", "sha256"),
        DJANGO[0][..70].to_owned(),
        format!("{}$", DJANGO[0]),
        "argon2$".to_owned(),
        "argon2$$argon2id$v=19$m=64,t=2,p=8$WVp3QmtadGM$fLBrjjCqxIJ".to_owned(),
        DJANGO[2].replace("m=64", "m=63"),
        DJANGO[2].replace("m=64", "m=99999999999"),
        "bcrypt_sha256$".to_owned(),
        DJANGO[3].replace("$$", "$"),
        DJANGO[3].replace("$04$", "$03$"),
        DJANGO[3].replace("$04$", "$99$"),
        DJANGO[3].replace("$2b$", "$6$"),
        DJANGO[4].replace("$2b$", "$2x$"),
        "bcrypt$$6$saltsalt$".to_owned(),
    ];
    for text in damaged {
        assert!(matches!(error_of(&text), HashParseError::Malformed { .. }), "{text}");
    }
}

#[test]
fn crypt_takes_no_secret_that_crypt_could_not_have_taken() {
    // "a" and "a\0a" are the same key to bcrypt's key schedule.
    let hash = format!("{{CRYPT}}{}", bcrypt::hash_with_salt(b"a", 4, [7; 16]).unwrap());
    assert!(verify(&hash, b"a"));
    assert!(!verify(&hash, b"a\0a"));
    let long = [b'x'; 513];
    let hash = format!("{{CRYPT}}{}", bcrypt::hash_with_salt(&long[..512], 4, [7; 16]).unwrap());
    assert!(verify(&hash, &long[..512]));
    assert!(!verify(&hash, &long));
}

#[test]
fn a_hash_does_not_print() {
    for text in IMPORTED.into_iter().chain(DJANGO).chain([ARGON2I, ARGON2ID]) {
        let hash = parse(text);
        let shown = format!("{hash:?}");
        assert!(shown.contains(hash.scheme_name()) && !shown.contains('$') && shown.len() < 60, "{shown}");
    }
}

#[test]
fn parameters_that_argon2_refuses_are_refused() {
    for (memory_kib, time_cost, parallelism) in
        [(7, 1, 1), (8, 0, 1), (8, 1, 0), (15, 1, 2), (u32::MAX, 1, u32::MAX)]
    {
        let error = Argon2Parameters::new(memory_kib, time_cost, parallelism).unwrap_err();
        assert!(error.to_string().contains(&format!("memory_kib = {memory_kib}")));
    }
}

proptest! {
    #![proptest_config(crate::rounds::cases(256))]
    #[test]
    fn no_text_panics(text in "\\PC{0,120}") {
        let _ = StoredHash::parse(&text, &HashBounds::default());
    }

    #[test]
    fn no_text_behind_a_scheme_panics(
        scheme in prop::sample::select(vec![
            "$argon2id$", "$argon2i$v=19$m=8,t=1,p=1$", "{ARGON2}$argon2d$", "{CRYPT}$5$", "{CRYPT}$6$rounds=1000$",
            "{CRYPT}$2b$04$", "{CRYPT}$", "{SHA}", "{SSHA}", "{SSHA256}", "{SSHA512}", "{PBKDF2}", "{PBKDF2-SHA512}1$",
            "pbkdf2_sha256$", "pbkdf2_sha1$1$", "argon2$argon2id$v=19$m=8,t=1,p=1$", "argon2$", "bcrypt_sha256$$2b$04$", "bcrypt$",
        ]),
        rest in "[$=,./+0-9a-zA-Z]{0,110}",
    ) {
        let bounds = HashBounds {
            memory_kib_max: 64, time_cost_max: 2, pbkdf2_rounds_max: 100, sha_crypt_rounds_max: 1_000,
            bcrypt_cost_max: 4, ..HashBounds::default()
        };
        if let Ok(hash) = StoredHash::parse(&format!("{scheme}{rest}"), &bounds) {
            prop_assert!(!hash.verify(b"secret", &mut ArgonMemory::new()));
        }
    }

    #[test]
    fn damage_in_one_place_neither_panics_nor_verifies_another_secret(
        which in 0..IMPORTED.len() + DJANGO.len(), place in 0..200_usize, octet in 0x20..0x7f_u8,
    ) {
        let mut text = IMPORTED.into_iter().chain(DJANGO).nth(which).unwrap().as_bytes().to_vec();
        let place = place % text.len();
        text[place] = octet;
        let bounds = HashBounds {
            memory_kib_max: 128, pbkdf2_rounds_max: 10_000, sha_crypt_rounds_max: 10_000, bcrypt_cost_max: 5,
            ..HashBounds::default()
        };
        if let Ok(hash) = StoredHash::parse(std::str::from_utf8(&text).unwrap(), &bounds) {
            prop_assert!(!hash.verify(b"another", &mut ArgonMemory::new()));
        }
    }

    #[test]
    fn what_was_hashed_verifies(secret in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut memory = ArgonMemory::new();
        let text = hash_new(&secret, &tiny(), &mut memory).unwrap();
        prop_assert!(parse(&text).verify(&secret, &mut memory));
        let mut other = secret.clone();
        other.push(0);
        prop_assert!(!parse(&text).verify(&other, &mut memory));
    }
}
