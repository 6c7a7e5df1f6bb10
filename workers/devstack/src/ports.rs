//! Free loopback ports, and what to do when one is gone by the time it is needed.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

use crate::random::random_below;

const LOWEST: u16 = 12_000;

/// A loopback port that nothing listens on.
///
/// It lies below the range the kernel takes client ports from: a node that is down for a moment must
/// find its port free again, although a hundred clients try to connect to it meanwhile. (Within that
/// range a client can even end up connected to itself.)
pub fn free_port() -> Result<u16> {
    let bound = client_ports_begin().unwrap_or(32_768).max(LOWEST + 1_000);
    for _ in 0..1_000 {
        let port = LOWEST + random_below(bound - LOWEST)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free loopback port between {LOWEST} and {bound}")
}

fn client_ports_begin() -> Option<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}

/// Runs `start` again, which is to choose new ports, as long as it fails because another took its port.
pub(crate) fn until_ports_are_free<T>(mut start: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 0..3 {
        match start() {
            Err(error) if speaks_of_a_taken_port(&format!("{error:#}")) => {}
            outcome => return outcome,
        }
    }
    start()
}

fn speaks_of_a_taken_port(message: &str) -> bool {
    let message = message.to_lowercase();
    ["eaddrinuse", "address already in use", "address in use"]
        .iter()
        .any(|phrase| message.contains(phrase))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_free_port_can_be_bound() {
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, free_port().unwrap())).is_ok());
    }

    #[test]
    fn only_a_taken_port_is_worth_another_try() {
        let mut tries = 0;
        let mut start = |message: &'static str| {
            tries = 0;
            until_ports_are_free(|| {
                tries += 1;
                if tries < 3 { Err(anyhow!(message)) } else { Ok(tries) }
            })
        };
        assert_eq!(start("bind: Address already in use").unwrap(), 3);
        assert!(start("no such file").is_err());
    }
}
