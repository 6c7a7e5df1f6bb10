//! What ships has no failpoint in it, however it was built.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use orderly_e2e::program;
use orderly_faults::kill::FAIL_AT;
use orderly_faults::step::Step;
use orderly_runtime::topology::WORKERS;

/// Words that a failing worker has and that mean nothing elsewhere.
fn words() -> Vec<&'static str> {
    // Shorter ones might be a part of something else.
    let steps = Step::ALL.iter().map(|step| step.word()).filter(|word| word.len() >= 10);
    steps.chain([FAIL_AT, "FAIL_HOW"]).collect()
}

/// Which of the words are in a program. A search of our own would take minutes in a debug build.
fn found(path: &Path) -> Result<BTreeSet<&'static str>> {
    let mut grep = Command::new("grep");
    grep.env("LC_ALL", "C").args(["--text", "--only-matching", "--fixed-strings"]);
    grep.args(words().into_iter().flat_map(|word| ["-e", word])).arg("--").arg(path);
    let output = grep.output().context("cannot start `grep`")?;
    // 1 says that nothing was found.
    let is_done = matches!(output.status.code(), Some(0 | 1));
    ensure!(is_done, "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout)?;
    Ok(words().into_iter().filter(|word| said.lines().any(|line| line == *word)).collect())
}

/// The folders of the builds that are here: the one of this test, and others beside it.
fn builds() -> Result<Vec<PathBuf>> {
    let own = program("")?;
    let target = own.parent().context("a build lies in a folder")?;
    let all = ["debug", "release"].map(|name| target.join(name));
    Ok(all.into_iter().filter(|folder| folder.join("order-worker").is_file()).collect())
}

#[test]
fn no_shipped_program_has_a_failpoint_and_every_failing_one_has() -> Result<()> {
    let builds = builds()?;
    assert!(!builds.is_empty(), "there is no build at all");
    for build in builds {
        for party in WORKERS {
            let shipped = build.join(format!("{party}-worker"));
            assert_eq!(found(&shipped)?, BTreeSet::new(), "{}", shipped.display());
        }
        let operators = build.join("orderly");
        if operators.is_file() {
            assert_eq!(found(&operators)?, BTreeSet::new());
        }
        for party in WORKERS {
            // A build may be without them; this test's own is not.
            let failing = build.join(format!("failing-{party}-worker"));
            if failing.is_file() || build == program("")? {
                assert!(found(&failing)?.len() > 10, "{} has no failpoints", failing.display());
            }
        }
    }
    Ok(())
}

#[test]
fn no_shipped_crate_depends_on_the_fault_lab() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shipped = ["contracts", "workers/runtime", "workers/order", "workers/stock"];
    for folder in shipped.into_iter().chain(["workers/payment", "workers/ctl", "workers/devstack"])
    {
        let path = root.join(folder).join("Cargo.toml");
        let manifest = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for lab in ["orderly-faults", "orderly-chaos", "orderly-simulation", "orderly-model"] {
            assert!(!manifest.contains(lab), "{folder} depends on {lab}");
        }
    }
    Ok(())
}
