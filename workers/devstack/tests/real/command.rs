//! `devstack run` passes on how its command ended, and even SIGKILL makes it leave nothing behind.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use orderly_devstack::{Identity, folders_of, wait_for};

use crate::support::{children, processes, wait_for_nothing};

fn run(command: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_devstack"))
        .args(["run", "--"])
        .args(command)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The folder of a running `devstack run`, once its command runs.
fn folder_of(owner: &Child) -> PathBuf {
    let owner = Identity::of(owner.id()).unwrap();
    wait_for("the shared nodes", Duration::from_secs(90), || {
        let folder = folders_of(owner)?.pop();
        Ok(folder.filter(|folder| folder.join("endpoints.json").exists()))
    })
    .unwrap()
}

#[test]
fn nothing_outlives_a_killed_owner() {
    let mut owner = run(&["sleep", "1000"]);
    let folder = folder_of(&owner);
    let mut processes = processes(&folder);
    let command = wait_for("the command", Duration::from_secs(10), || {
        Ok(children(owner.id()).into_iter().find(|child| {
            fs::read(format!("/proc/{}/cmdline", child.pid))
                .is_ok_and(|it| it.starts_with(b"sleep"))
        }))
    });
    processes.push(command.unwrap());
    assert!(processes.len() > 7, "{processes:?}");

    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_for_nothing(&processes, &folder);
}

#[test]
fn the_exit_status_is_the_commands() {
    let script = "test -r \"$ORDERLY_TEST_NODES\" && echo \"$ORDERLY_TEST_NODES\"; exit 7";
    let owner = run(&["sh", "-c", script]);
    let output = owner.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    let endpoints = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end());
    assert!(endpoints.ends_with("endpoints.json"));
    assert!(!endpoints.parent().unwrap().exists());
}
