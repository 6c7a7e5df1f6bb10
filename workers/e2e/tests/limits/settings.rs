//! Settings, one by one and all at once: what is wrong is named, within a second, and no secret shown.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::Result;
use orderly_contracts::routes::Party;
use orderly_e2e::program;
use orderly_runtime::config::Config;
use orderly_runtime::topology::WORKERS;

/// A secret that stands in every value that is wrong.
const SECRET: &str = "Top5ecret";

/// Numbers with the bounds that they must keep.
const BOUNDS: &[(&str, u64, u64)] = &[
    ("ORDERLY_BATCH_MESSAGES", 1, 1_000),
    ("ORDERLY_BATCH_BYTES", 1, 256 << 20),
    ("ORDERLY_BATCH_PATIENCE_MS", 0, 1_000),
    ("ORDERLY_BATCH_REST", 0, 100),
    ("ORDERLY_PREFETCH", 500, 2_000),
    ("ORDERLY_BODY_BYTES_MAX", 1, 2 << 20),
    ("ORDERLY_IN_PROGRESS_MAX", 10, 1_000_000),
    ("ORDERLY_DATABASE_CONNECTIONS", 4, 100),
    ("ORDERLY_EFFECT_CALLS", 1, 1_000),
    ("ORDERLY_BREAKER_FAILURES_PERCENT", 1, 100),
    ("ORDERLY_RETRY_CONFLICT_ATTEMPTS", 0, 10),
    ("ORDERLY_RETRY_ASKED_ATTEMPTS", 0, 10),
    ("ORDERLY_RETRY_OUTSIDE_ATTEMPTS", 0, 10),
    ("ORDERLY_INBOX_RETENTION_DAYS", 8, 3_650),
    ("ORDERLY_DEAD_RETENTION_DAYS", 1, 3_650),
    ("ORDERLY_STATEMENT_TIMEOUT_MS", 1, 86_400_000),
    ("ORDERLY_SWEEP_AFTER_MS", 1, 86_400_000),
    ("ORDERLY_TIMER_PERIOD_MS", 1, 86_400_000),
    ("ORDERLY_DRAIN_DEADLINE_MS", 1, 86_400_000),
    ("ORDERLY_EFFECT_TIMEOUT_MS", 1, 86_400_000),
    ("ORDERLY_BREAKER_PAUSE_MS", 1, 86_400_000),
    ("ORDERLY_BREAKER_PAUSE_MAX_MS", 1, 86_400_000),
];

/// Names and values.
type Settings<'a> = &'a [(&'a str, &'a str)];

/// What a worker says of its configuration, given these variables and, unless they say otherwise,
/// right addresses.
fn check(party: Party, variables: &[(String, String)]) -> Result<(Option<i32>, String)> {
    let database = format!("ORDERLY_{}_DATABASE_URL", party.name().to_uppercase());
    let Output { status, stderr, stdout, .. } = Command::new(program(&format!("{party}-worker"))?)
        .arg("--check-config")
        .env_clear()
        .env("ORDERLY_BROKER_URL", format!("amqp://user:{SECRET}@localhost"))
        .env(database, format!("postgres://user:{SECRET}@localhost/x"))
        .envs(variables.iter().cloned())
        .output()?;
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(!said.contains(SECRET), "a secret was shown: {said}");
    Ok((status.code(), said))
}

fn one(name: &str, value: impl ToString) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_string())]
}

#[test]
fn each_number_is_taken_at_its_bounds_and_refused_beyond() -> Result<()> {
    let party = Party::Order;
    for (name, least, most) in BOUNDS {
        for right in [least, most] {
            let (code, said) = check(party, &one(name, right))?;
            assert_eq!(code, Some(0), "{name}={right}: {said}");
        }
        let wrong = [(*most + 1).to_string(), "-1".to_owned(), "1.5".to_owned(), "1e3".to_owned()];
        let less = least.checked_sub(1).map(|less| less.to_string());
        for wrong in wrong.into_iter().chain(less) {
            let (code, said) = check(party, &one(name, &wrong))?;
            assert_eq!(code, Some(2), "{name}={wrong}: {said}");
            // The bound of a batch is that of the prefetch.
            let is_named = said.contains(name) || said.contains("ORDERLY_PREFETCH");
            assert!(is_named && said.lines().count() == 2, "{name}={wrong}: {said}");
        }
    }
    Ok(())
}

#[test]
fn every_variable_is_named_when_it_is_wrong_alone_and_when_all_are_at_once() -> Result<()> {
    for party in WORKERS {
        let variables = Config::variables(party);
        assert!(variables.len() > 25, "{variables:?}");
        // Files are named, or nobody could tell which of them is missing.
        let is_file = |name: &str| name.ends_with("_FILE");
        let wrong =
            |name: &str| if is_file(name) { "/nowhere".into() } else { format!("{SECRET}!,=") };
        for name in &variables {
            let (code, said) = check(party, &one(name, wrong(name)))?;
            assert_eq!(code, Some(2), "{party}, {name}: {said}");
            assert!(said.contains(name.as_str()), "{party}, {name}: {said}");
        }
        let all: Vec<_> = variables.iter().map(|name| (name.clone(), wrong(name))).collect();
        let mut fastest = Duration::MAX;
        for _ in 0..3 {
            let started = Instant::now();
            let (code, said) = check(party, &all)?;
            fastest = fastest.min(started.elapsed());
            assert_eq!(code, Some(2));
            for name in variables.iter().filter(|name| !name.ends_with("_PASSWORD_FILE")) {
                assert!(said.contains(name.as_str()), "{party}: {name} is not named: {said}");
            }
        }
        assert!(fastest < Duration::from_secs(1), "it takes {fastest:?}");
    }
    Ok(())
}

#[test]
fn what_is_missing_unknown_or_contradictory_is_told() -> Result<()> {
    for party in WORKERS {
        let database = format!("ORDERLY_{}_DATABASE_URL", party.name().to_uppercase());
        let cases: [(Settings<'_>, &[&str]); 7] = [
            (
                &[("ORDERLY_BROKER_URL", ""), (&database, "")],
                &["ORDERLY_BROKER_URL is missing", &database],
            ),
            (&[("ORDERLY_PREFTECH", "5")], &["ORDERLY_PREFTECH is no setting"]),
            (&[("ORDERLY_PREFETCH", "0")], &["ORDERLY_PREFETCH is 0"]),
            (
                &[("ORDERLY_BATCH_MESSAGES", "600"), ("ORDERLY_PREFETCH", "599")],
                &["ORDERLY_PREFETCH is smaller than ORDERLY_BATCH_MESSAGES"],
            ),
            (&[("ORDERLY_RETRY_DELAYS_MS", "9")], &["ORDERLY_RETRY_DELAYS_MS must be"]),
            (
                &[("ORDERLY_RETRY_DELAYS_MS", "10,10,10,10,10,10,10,10,10,10,10")],
                &["up to 10 delays"],
            ),
            // A copy that lies in the ladder for longer than the inbox remembers would be new again.
            (
                &[
                    ("ORDERLY_RETRY_DELAYS_MS", "86400000,86400000,86400000,86400000"),
                    ("ORDERLY_INBOX_RETENTION_DAYS", "11"),
                ],
                &["ORDERLY_INBOX_RETENTION_DAYS is not longer"],
            ),
        ];
        for (variables, words) in cases {
            let variables: Vec<_> =
                variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let (code, said) = check(party, &variables)?;
            assert_eq!(code, Some(2), "{said}");
            assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
            assert_eq!(said.lines().count(), 1 + words.len(), "nothing else is wrong: {said}");
        }
        let (code, said) = check(party, &[])?;
        assert_eq!((code, said.contains("is right")), (Some(0), true), "{said}");
    }
    Ok(())
}
