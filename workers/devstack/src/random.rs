//! Random words and numbers, for passwords and for names and ports that must not collide.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result};

/// `length` random lower-case letters and digits: safe in URLs, in SQL names and in configuration files.
pub(crate) fn random_word(length: usize) -> Result<String> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = vec![0; length];
    fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// A random number below `bound`.
pub(crate) fn random_below(bound: u16) -> Result<u16> {
    let mut bytes = [0; 2];
    fill(&mut bytes)?;
    Ok(u16::from_ne_bytes(bytes) % bound)
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(bytes))
        .context("cannot read /dev/urandom")
}
