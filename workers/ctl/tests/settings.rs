//! Settings that are wrong: the program names every one of them, at once, and shows no secret.
#![expect(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Runs `orderly` with these variables as its only `ORDERLY_*` ones.
fn orderly(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderly"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ORDERLY_") {
            command.env_remove(name);
        }
    }
    let variables = variables.iter().copied();
    command.args(arguments).envs(variables).output().unwrap()
}

#[test]
fn every_wrong_setting_is_named_at_once_and_no_secret_is_shown() {
    let start = Instant::now();
    let secret = "hunter2";
    let output = orderly(
        &["setup"],
        &[
            ("ORDERLY_BROKER_URL", "http://me:hunter2@localhost"),
            ("ORDERLY_MANAGEMENT_URL", "ftp://me:hunter2@localhost"),
            ("ORDERLY_RETRY_DELAYS_MS", "hunter2"),
            ("ORDERLY_RETRY_DELAY_MS", "hunter2"),
            // A setting of the workers is no mistake in an environment that all share.
            ("ORDERLY_PREFETCH", "1000"),
        ],
    );
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    for name in [
        "ORDERLY_BROKER_URL",
        "ORDERLY_MANAGEMENT_URL",
        "ORDERLY_RETRY_DELAYS_MS",
        "ORDERLY_RETRY_DELAY_MS",
    ] {
        assert_eq!(stderr.matches(&format!("{name} ")).count(), 1, "{name}:\n{stderr}");
    }
    assert!(!stderr.contains("ORDERLY_PREFETCH"), "{stderr}");
    assert!(!stderr.contains(secret) && !stdout.contains(secret), "{stderr}{stdout}");
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn every_missing_database_is_named_at_once() {
    let output = orderly(&["migrate"], &[]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(2));
    for service in ["ORDER", "STOCK", "PAYMENT"] {
        let name = format!("ORDERLY_{service}_DATABASE_URL is missing");
        assert!(stderr.contains(&name), "{stderr}");
    }
}

#[test]
fn plaintext_to_elsewhere_needs_a_word() {
    let url = ("ORDERLY_BROKER_URL", "amqp://me:hunter2@broker.example.com");
    let arguments = ["publish", "order.cancel.v1", "--body", "{}"];
    let output = orderly(&arguments, &[url]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("ORDERLY_ALLOW_PLAINTEXT"), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn a_server_that_is_away_is_a_failure_with_its_place_and_without_its_password() {
    let url = ("ORDERLY_BROKER_URL", "amqp://me:hunter2@127.0.0.1:1/x");
    let arguments = ["publish", "order.cancel.v1", "--id", "i", "--body", "{}"];
    let output = orderly(&arguments, &[url]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("127.0.0.1:1"), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn wrong_arguments_are_told_apart_from_failures() {
    let table: [&[&str]; 6] = [
        &["nonsense"],
        &["publish"],
        &["publish", "order.place.v1"],
        &["publish", "--format", "jsonl", "f", "--rate", "0"],
        &["stock", "adjust", "85123A", "many"],
        &["dead", "show", "no-uuid"],
    ];
    for arguments in table {
        let output = orderly(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn completions_come_for_every_shell_without_any_setting() {
    for shell in ["bash", "zsh", "fish"] {
        let output = orderly(&["completions", shell], &[]);
        let (stdout, _) = texts(&output);
        assert!(output.status.success(), "{shell}");
        for word in ["orderly", "publish", "online-retail", "receipts"] {
            assert!(stdout.contains(word), "{shell}: {word}");
        }
    }
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
