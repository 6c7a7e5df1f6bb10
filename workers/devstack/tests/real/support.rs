//! What the tests of nodes ask the kernel: who runs, who descends from whom, who listens where.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use orderly_devstack::{Identity, wait_for};

/// Every process on record in a nodes folder, with all that descends from it.
pub(crate) fn processes(folder: &Path) -> Vec<Identity> {
    let records = fs::read_dir(folder.join("processes")).unwrap().flatten();
    let mut found: Vec<Identity> = records
        .map(|record| fs::read_to_string(record.path()).unwrap().parse::<Identity>().unwrap())
        .filter(Identity::is_alive)
        .collect();
    let mut next = 0;
    while next < found.len() {
        found.extend(children(found[next].pid));
        next += 1;
    }
    found
}

/// The children of a process.
pub(crate) fn children(parent: u32) -> Vec<Identity> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .filter_map(Identity::of)
        .collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Waits until none of `processes` runs and `folder` is gone.
pub(crate) fn wait_for_nothing(processes: &[Identity], folder: &Path) {
    wait_for("processes and folder to be gone", Duration::from_secs(15), || {
        let gone = !processes.iter().any(Identity::is_alive) && !folder.exists();
        Ok(gone.then_some(()))
    })
    .unwrap();
}

/// The listening TCP sockets, as (hexadecimal address and port, user id).
pub(crate) fn listeners() -> BTreeSet<(String, u32)> {
    let mut found = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            if fields[3] == "0A" {
                found.insert((fields[1].to_owned(), fields[7].parse().unwrap()));
            }
        }
    }
    found
}

/// Whether a listener's address is `127.0.0.1` or `::1`.
pub(crate) fn is_loopback(address: &str) -> bool {
    address.starts_with("0100007F:") || address.starts_with("00000000000000000000000001000000:")
}
