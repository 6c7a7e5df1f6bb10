//! Who is at the keyboard, for what is written down about an action.

/// The name in `ORDERLY_OPERATOR`, or else user and host as the system tells them.
pub fn operator() -> String {
    let told = std::env::var("ORDERLY_OPERATOR").ok().filter(|name| !name.trim().is_empty());
    told.unwrap_or_else(|| {
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim();
        let user = user.unwrap_or_else(|| "somebody".to_owned());
        if host.is_empty() { user } else { format!("{user}@{host}") }
    })
}
