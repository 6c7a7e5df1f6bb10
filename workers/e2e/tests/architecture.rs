//! The architecture, held: who may depend on whom, and what the pure rooms may not contain.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The crates of this project that a manifest names as dependencies, development ones apart.
fn dependencies(folder: &str) -> Result<BTreeSet<String>> {
    let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml"))?;
    let section = manifest.split("[dependencies]").nth(1).context("it has dependencies")?;
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.strip_prefix("orderly-"));
    Ok(names.filter_map(|line| line.split(['.', ' ']).next()).map(str::to_owned).collect())
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

fn all_sources() -> Result<Vec<PathBuf>> {
    let mut files = sources(&root().join("contracts"))?;
    files.extend(sources(&root().join("workers"))?);
    Ok(files)
}

#[test]
fn dependencies_point_one_way() -> Result<()> {
    let workers = ["contracts", "runtime", "order", "stock", "payment"];
    let simulated = [&workers[..], &["ctl", "faults"]].concat();
    let allowed: [(&str, &[&str]); 10] = [
        ("contracts", &[]),
        ("workers/devstack", &[]),
        ("workers/runtime", &["contracts"]),
        ("workers/order", &["contracts", "runtime"]),
        ("workers/stock", &["contracts", "runtime"]),
        ("workers/payment", &["contracts", "runtime"]),
        ("workers/ctl", &workers),
        // What only tests need: nothing above may depend on it.
        ("workers/faults", &workers),
        ("workers/model", &workers),
        ("workers/simulation", &simulated),
    ];
    for (folder, allowed) in allowed {
        let found = dependencies(folder)?;
        let allowed: BTreeSet<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        let strangers: Vec<_> = found.difference(&allowed).collect();
        assert!(strangers.is_empty(), "{folder} must not depend on {strangers:?}");
    }
    Ok(())
}

#[test]
fn decisions_know_no_io_no_clock_and_no_randomness() -> Result<()> {
    let banned = ["async ", "await", "tokio", "lapin", "sql", "SystemTime", "Instant", "rand"];
    let pure = [
        "workers/order/src/domain.rs",
        "workers/order/src/saga.rs",
        "workers/order/src/deadline.rs",
        "workers/stock/src/domain.rs",
        "workers/payment/src/domain.rs",
        "workers/payment/src/sandbox.rs",
        "workers/runtime/src/fold.rs",
        "workers/runtime/src/reception.rs",
        "workers/runtime/src/settlement.rs",
        "workers/runtime/src/topology.rs",
        "workers/runtime/src/trace/context.rs",
        "workers/runtime/src/trace/sampler.rs",
        "workers/runtime/src/trace/span.rs",
        "workers/runtime/src/trace/tracer.rs",
    ];
    for file in pure {
        let text = fs::read_to_string(root().join(file)).with_context(|| file.to_owned())?;
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ' '));
            for word in banned {
                let is_found =
                    words.clone().any(|part| part.split(' ').any(|found| found == word.trim()));
                assert!(!is_found, "{file} contains {word:?}: {line}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_loop_names_no_type_of_a_client_library() -> Result<()> {
    for file in sources(&root().join("workers/runtime/src"))? {
        let path = file.display().to_string();
        let is_edge = path.contains("/amqp/") || path.contains("/postgres/");
        let text = fs::read_to_string(&file)?;
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code.filter(|_| !is_edge) {
            for library in ["lapin::", "tokio_postgres::", "deadpool_postgres::"] {
                assert!(!line.contains(library), "{path}: {line}");
            }
        }
    }
    Ok(())
}

/// Tokio takes the branches of a select in random order unless told otherwise, and then no
/// simulation could be repeated.
#[test]
fn the_order_of_what_a_loop_waits_for_is_decided() -> Result<()> {
    for file in sources(&root().join("workers/runtime/src"))? {
        let text = fs::read_to_string(&file)?;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.contains("select! {") {
                let next = lines.next().unwrap_or_default().trim();
                assert_eq!(next, "biased;", "{}: {line}", file.display());
            }
            assert!(!line.contains("watch::channel"), "{}: {line}", file.display());
        }
    }
    Ok(())
}

#[test]
fn every_file_says_in_its_first_line_what_it_is_for_and_keeps_to_400_lines() -> Result<()> {
    for file in all_sources()? {
        let text = fs::read_to_string(&file)?;
        let path = file.display();
        assert!(text.starts_with("//! "), "{path} does not say what it is for");
        let lines = text.lines().count();
        assert!(lines <= 400, "{path} has {lines} lines");
    }
    Ok(())
}
