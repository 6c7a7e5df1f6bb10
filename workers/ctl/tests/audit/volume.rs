//! Many orders: memory stays bounded.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::world::World;

const ORDERS: usize = 100_000;
/// The most memory the audit may ever have had, in kB.
const MEMORY_MAX: u64 = 100 * 1024;

/// The most memory a living process has had so far, in kB.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_hundred_thousand_orders_need_little_memory() {
    let world = World::with_orders(ORDERS);
    let arguments = ["audit", "--json", "--settle", "0s"];
    let mut audit = world.orderly(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut most = 0;
    while audit.try_wait().unwrap().is_none() {
        most = most.max(peak(audit.id()).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = audit.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    assert_eq!(report["orders"]["total"], ORDERS);
    assert_eq!(report["verdict"], "clean");
    println!("{} orders a second, {most} kB at most", report["orders_per_second"]);
    assert!((1..MEMORY_MAX).contains(&most), "{most} kB");
}
