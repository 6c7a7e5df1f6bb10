//! What ships has no failpoint in it, however it was built.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
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

/// Which of the words are in a program.
fn found(path: &Path) -> Result<BTreeSet<&'static str>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    // What is no text holds no words.
    let texts: Vec<&str> = bytes.utf8_chunks().map(|chunk| chunk.valid()).collect();
    let is_in = |word: &&str| texts.iter().any(|text| text.len() >= word.len() && text.contains(*word));
    Ok(words().into_iter().filter(is_in).collect())
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
    for folder in ["contracts", "workers/runtime", "workers/order", "workers/stock",
        "workers/payment", "workers/ctl", "workers/devstack"]
    {
        let path = root.join(folder).join("Cargo.toml");
        let manifest = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for lab in ["orderly-faults", "orderly-chaos", "orderly-simulation", "orderly-model"] {
            assert!(!manifest.contains(lab), "{folder} depends on {lab}");
        }
    }
    Ok(())
}
