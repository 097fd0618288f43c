//! Argon2 (RFC 9106): the one scheme that new secrets are hashed with, kept as PHC strings; argon2i and
//! argon2d are verified when imported.

use std::fmt;

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

use crate::auth::token_secret::RandomSourceError;
use crate::seldom::{self, Seldom};

/// What a new hash costs. Its values are ones that argon2 accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Parameters {
    memory_kib: u32,
    time_cost: u32,
    parallelism: u32,
}

impl Argon2Parameters {
    /// Takes parameters that RFC 9106, section 3.1, allows.
    ///
    /// - `memory_kib`: memory of one hash in KiB, at least 8 for each lane.
    /// - `time_cost`: passes over that memory, at least 1.
    /// - `parallelism`: lanes, at least 1. They are computed one after the other on one thread.
    ///
    /// # Errors
    /// A value is outside what argon2 allows.
    pub fn new(memory_kib: u32, time_cost: u32, parallelism: u32) -> Result<Self, Argon2ParametersError> {
        match Params::new(memory_kib, time_cost, parallelism, Some(OUTPUT_LENGTH)) {
            Ok(_) => Ok(Self { memory_kib, time_cost, parallelism }),
            Err(_) => Err(Argon2ParametersError { memory_kib, time_cost, parallelism }),
        }
    }

    /// Memory of one hash, in KiB.
    pub const fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    pub const fn time_cost(&self) -> u32 {
        self.time_cost
    }

    /// Lanes.
    pub const fn parallelism(&self) -> u32 {
        self.parallelism
    }

    /// KiB that one hash passes over: what it costs, as far as that goes by its parameters.
    pub const fn cost(&self) -> u64 {
        self.memory_kib as u64 * self.time_cost as u64
    }

    /// Memory of one hash, in octets.
    pub const fn memory_octets(&self) -> u64 {
        self.memory_kib as u64 * 1024
    }
}

impl Default for Argon2Parameters {
    /// 19 MiB, two passes, one lane: the first of the settings that OWASP recommends; 16 ms of one core
    /// where this was measured.
    fn default() -> Self {
        Self { memory_kib: 19_456, time_cost: 2, parallelism: 1 }
    }
}

/// Parameters that argon2 does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "argon2 does not allow memory_kib = {memory_kib}, time_cost = {time_cost}, parallelism = {parallelism}: \
     memory_kib must be at least 8 for each lane, time_cost and parallelism at least 1 \
     and parallelism at most 16777215"
)]
pub struct Argon2ParametersError {
    memory_kib: u32,
    time_cost: u32,
    parallelism: u32,
}

/// A hash was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HashError {
    /// No salt could be made.
    #[error(transparent)]
    RandomSource(#[from] RandomSourceError),
    /// The memory of the hash could not be had.
    #[error(
        "there is no memory for an argon2 hash of {memory_kib} KiB; lower argon2's memory_kib or the number of threads"
    )]
    OutOfMemory {
        /// What was asked for, in KiB.
        memory_kib: u32,
    },
    /// Argon2 refused its input: a secret of 4 GiB or more.
    #[error("argon2 does not hash this secret; it is too long")]
    Refused,
}

/// The blocks that argon2 works in, kept between hashes so that the kernel need not map and zero 19 MiB for
/// each. Wiped when dropped.
#[derive(Default)]
pub struct ArgonMemory {
    blocks: Vec<Block>,
}

impl ArgonMemory {
    /// Holds nothing until the first hash.
    pub const fn new() -> Self {
        Self { blocks: Vec::new() }
    }

    /// What it holds, in octets.
    pub fn octets(&self) -> u64 {
        (self.blocks.capacity() * Block::SIZE) as u64
    }

    /// The first `count` blocks, with whatever was left in them; `None` if there is no memory for so many.
    fn blocks(&mut self, count: usize) -> Option<&mut [Block]> {
        let missing = count.saturating_sub(self.blocks.len());
        self.blocks.try_reserve_exact(missing).ok()?;
        self.blocks.resize(self.blocks.len().max(count), Block::new());
        self.blocks.get_mut(..count)
    }
}

impl Drop for ArgonMemory {
    fn drop(&mut self) {
        for block in &mut self.blocks {
            block.zeroize();
        }
    }
}

impl fmt::Debug for ArgonMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ArgonMemory({} octets)", self.octets())
    }
}

/// Hashes a secret with argon2id and a random salt of 16 octets into a PHC string.
///
/// # Errors
/// There is no random salt, no memory, or the secret is longer than argon2 takes.
pub fn hash_new(
    secret: &[u8],
    parameters: &Argon2Parameters,
    memory: &mut ArgonMemory,
) -> Result<String, HashError> {
    let mut octets = [0; SALT_LENGTH];
    getrandom::fill(&mut octets).map_err(RandomSourceError::from)?;
    let hash = ArgonHash {
        algorithm: Algorithm::Argon2id,
        version: Version::V0x13,
        parameters: *parameters,
        salt: Salt::new(&octets).map_err(|_| HashError::Refused)?,
        output: Output::new(&[0; OUTPUT_LENGTH]).map_err(|_| HashError::Refused)?,
    };
    let computed = hash.compute(secret, memory)?;
    let output = Output::new(&computed).map_err(|_| HashError::Refused)?;
    Ok(format!(
        "$argon2id$v=19$m={},t={},p={}${}${}",
        parameters.memory_kib, parameters.time_cost, parameters.parallelism, hash.salt, output
    ))
}

/// A parsed PHC string of argon2.
#[derive(Clone)]
pub(in crate::auth) struct ArgonHash {
    algorithm: Algorithm,
    version: Version,
    parameters: Argon2Parameters,
    salt: Salt,
    output: Output,
}

impl ArgonHash {
    /// Reads `$argon2id$v=19$m=…,t=…,p=…$salt$hash`; `None` if it is not of that form.
    ///
    /// As in the reference implementation a missing `v` means version 16 (0x10). All three parameters must be
    /// there; `keyid` and `data`, which no longer exist, must not.
    pub(in crate::auth) fn parse(text: &str) -> Option<Self> {
        let hash = PasswordHash::new(text).ok()?;
        let parameters = Argon2Parameters::new(
            hash.params.get_decimal("m")?,
            hash.params.get_decimal("t")?,
            hash.params.get_decimal("p")?,
        )
        .ok()?;
        if hash.params.iter().count() != 3 {
            return None;
        }
        Some(Self {
            algorithm: Algorithm::try_from(hash.algorithm.as_str()).ok()?,
            version: Version::try_from(hash.version.unwrap_or(0x10)).ok()?,
            parameters,
            salt: hash.salt?,
            output: hash.hash?,
        })
    }

    /// Whether it is argon2id, not one of its elder brothers.
    pub(in crate::auth) fn is_argon2id(&self) -> bool {
        self.algorithm == Algorithm::Argon2id
    }

    /// What verifying it costs.
    pub(in crate::auth) const fn parameters(&self) -> &Argon2Parameters {
        &self.parameters
    }

    /// Whether a hash made today with `parameters` would be made otherwise.
    pub(in crate::auth) fn differs_from(&self, parameters: &Argon2Parameters) -> bool {
        !self.is_argon2id()
            || self.version != Version::V0x13
            || self.parameters != *parameters
            || self.output.len() != OUTPUT_LENGTH
            || self.salt.len() < SALT_LENGTH
    }

    /// Compares in constant time; a hash that cannot be computed for want of memory does not match.
    pub(in crate::auth) fn verify(&self, secret: &[u8], memory: &mut ArgonMemory) -> bool {
        match self.compute(secret, memory) {
            Ok(computed) => self.output.as_bytes().ct_eq(&computed).into(),
            Err(error) => {
                if let Some(count) = seldom::note(Seldom::UnusableHash) {
                    tracing::error!(count, %error, "{}", Seldom::UnusableHash.sentence());
                }
                false
            }
        }
    }

    /// Computes what this hash would be for `secret`.
    fn compute(&self, secret: &[u8], memory: &mut ArgonMemory) -> Result<Zeroizing<Vec<u8>>, HashError> {
        let Argon2Parameters { memory_kib, time_cost, parallelism } = self.parameters;
        let length = self.output.len();
        let params =
            Params::new(memory_kib, time_cost, parallelism, Some(length)).map_err(|_| HashError::Refused)?;
        let blocks = memory.blocks(params.block_count()).ok_or(HashError::OutOfMemory { memory_kib })?;
        let mut computed = Zeroizing::new(vec![0; length]);
        Argon2::new(self.algorithm, self.version, params)
            .hash_password_into_with_memory(secret, &self.salt, &mut computed, blocks)
            .map_err(|_| HashError::Refused)?;
        Ok(computed)
    }
}

/// Octets of a new salt, as RFC 9106 recommends.
const SALT_LENGTH: usize = 16;

/// Octets of a new hash.
const OUTPUT_LENGTH: usize = 32;
