//! The rules: valid, tried by promtool, and each alert with a case that fires and one that does not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shipped::{alerts, each, files, path, read, text};

const FOLDER: &str = "deploy/prometheus";

fn promtool(arguments: &[&str], files: Vec<PathBuf>) -> Result<String> {
    let output = Command::new("promtool").args(arguments).args(files).output();
    let output = output.context("promtool comes with Debian's package `prometheus`")?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(output.status.success(), "promtool {}:\n{said}", arguments.join(" "));
    Ok(said)
}

#[test]
fn the_configuration_and_its_rules_are_valid() -> Result<()> {
    let said = promtool(&["check", "config"], vec![path(FOLDER).join("prometheus.yml")])?;
    let rules = files("deploy/prometheus/rules", "yml")?;
    assert!(said.contains(&format!("{} rule files found", rules.len())), "{said}");
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], rules)?;
    Ok(())
}

#[test]
fn alerts_fire_and_are_silent_as_their_cases_say() -> Result<()> {
    promtool(&["test", "rules"], files("deploy/prometheus/tests", "yml")?)?;
    Ok(())
}

/// How often each alert is expected to fire, and how often to be silent, in series made for that.
fn cases() -> Result<BTreeMap<String, (usize, usize)>> {
    let mut cases: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for file in files("deploy/prometheus/tests", "yml")? {
        for test in each(&read(&file)?["tests"]) {
            let mut fires = BTreeMap::new();
            for case in each(&test["alert_rule_test"]) {
                let is_expected = each(&case["exp_alerts"]).next().is_some();
                *fires.entry(text(&case["alertname"]).to_owned()).or_insert(false) |= is_expected;
            }
            for (alert, does_fire) in fires {
                let (firing, silent) = cases.entry(alert).or_default();
                *(if does_fire { firing } else { silent }) += 1;
            }
        }
    }
    Ok(cases)
}

#[test]
fn every_alert_has_a_case_that_fires_and_one_that_does_not() -> Result<()> {
    let cases = cases()?;
    for alert in alerts()? {
        let name = text(&alert["alert"]);
        let (firing, silent) = cases.get(name).copied().unwrap_or_default();
        assert!(firing > 0 && silent > 0, "{name}: {firing} cases fire, {silent} do not");
    }
    Ok(())
}

#[test]
fn every_alert_says_how_urgent_it_is_and_what_is_wrong() -> Result<()> {
    let mut names: Vec<String> = Vec::new();
    for alert in alerts()? {
        let name = text(&alert["alert"]);
        let severity = text(&alert["labels"]["severity"]);
        assert!(["critical", "warning"].contains(&severity), "{name}: severity {severity:?}");
        let summary = text(&alert["annotations"]["summary"]);
        assert!(summary.contains("{{"), "{name} says no value: {summary:?}");
        assert!(!names.contains(&name.to_owned()), "{name} is there twice");
        names.push(name.to_owned());
    }
    Ok(())
}
