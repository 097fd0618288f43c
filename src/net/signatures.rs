//! Signatures of clients' certificates: what verifying them has cost, and how many of them one chain may cost.
//!
//! Whoever verifies does so in one go, on one thread: each thread counts its own.

use std::cell::Cell;
use std::sync::LazyLock;

use rustls::SignatureScheme;
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{
    AlgorithmIdentifier, FipsStatus, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

thread_local! {
    static WORK: Cell<u64> = const { Cell::new(0) };
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// What all signatures have cost that this thread has verified so far, in the unit in which work is counted.
pub(super) fn work() -> u64 {
    WORK.get()
}

/// Verifies a chain with so many signatures at most: behind those none holds.
pub(super) fn at_most<T>(count: usize, verify: impl FnOnce() -> T) -> T {
    LEFT.set(count);
    let verified = verify();
    LEFT.set(usize::MAX);
    verified
}

/// The same provider, whose verifications are counted.
pub(super) fn counting(provider: &CryptoProvider) -> CryptoProvider {
    CryptoProvider { signature_verification_algorithms: *COUNTED, ..provider.clone() }
}

/// Made once: rustls keeps no algorithm for less than the life of the process.
static COUNTED: LazyLock<WebPkiSupportedAlgorithms> = LazyLock::new(|| {
    let all = default_provider().signature_verification_algorithms;
    let schemes = all.mapping.iter().map(|(scheme, algorithms)| (*scheme, counted(algorithms)));
    let mapping: Vec<(SignatureScheme, Algorithms)> = schemes.collect();
    WebPkiSupportedAlgorithms { all: counted(all.all), mapping: mapping.leak() }
});

type Algorithms = &'static [&'static dyn SignatureVerificationAlgorithm];

fn counted(algorithms: Algorithms) -> Algorithms {
    let counted = algorithms.iter().map(|algorithm| {
        let counted: &'static dyn SignatureVerificationAlgorithm = Box::leak(Box::new(Counted(*algorithm)));
        counted
    });
    counted.collect::<Vec<_>>().leak()
}

#[derive(Debug)]
struct Counted(&'static dyn SignatureVerificationAlgorithm);

impl SignatureVerificationAlgorithm for Counted {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let left = LEFT.get().checked_sub(1).ok_or(InvalidSignature)?;
        LEFT.set(left);
        WORK.set(WORK.get() + work_of(self.0.public_key_alg_id(), public_key));
        self.0.verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.0.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.0.signature_alg_id()
    }

    fn fips_status(&self) -> FipsStatus {
        self.0.fips_status()
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}

/// What a signature costs: 70 microseconds with a key of P-256, a millisecond with one of P-384; with one of RSA 0.1 ms for
/// 4,096 bits, and by the square of its length.
pub(super) fn work_of(kind: AlgorithmIdentifier, public_key: &[u8]) -> u64 {
    match kind {
        alg_id::ECDSA_P256 => 1_400,
        alg_id::ED25519 => 2_000,
        alg_id::RSA_ENCRYPTION => (public_key.len() as u64).pow(2) / 130,
        _ => 21_000,
    }
}
