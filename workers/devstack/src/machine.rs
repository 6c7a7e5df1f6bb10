//! What the machine is that figures come from.

use std::fs;

/// The processors and the memory, for people.
pub fn machine() -> String {
    let line = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let found = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        found.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let kibibytes =
        line("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0u64);
    format!("{processors} × {}, {} GiB", line("/proc/cpuinfo", "model name"), kibibytes >> 20)
}
