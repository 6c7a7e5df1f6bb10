//! What ships for Prometheus and Grafana, read as it lies in `deploy/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// A path of the repository.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// A YAML or JSON file of the repository.
pub(crate) fn read(file: &Path) -> Result<Value> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    serde_saphyr::from_str(&text).with_context(|| file.display().to_string())
}

/// The files of a folder of the repository with this extension, by name.
pub(crate) fn files(folder: &str, extension: &str) -> Result<Vec<PathBuf>> {
    let folder = path(folder);
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    Ok(files)
}

/// The elements of an array; none where there is no array.
pub(crate) fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A text; empty where there is none.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// All rules, recording and alerting.
pub(crate) fn rules() -> Result<Vec<Value>> {
    let mut rules = Vec::new();
    for file in files("deploy/prometheus/rules", "yml")? {
        for group in each(&read(&file)?["groups"]) {
            rules.extend(each(&group["rules"]).cloned());
        }
    }
    Ok(rules)
}

/// The rules that are alerts.
pub(crate) fn alerts() -> Result<Vec<Value>> {
    Ok(rules()?.into_iter().filter(|rule| rule["alert"].is_string()).collect())
}

/// All dashboards, each with the name of its file.
pub(crate) fn dashboards() -> Result<Vec<(String, Value)>> {
    let files = files("deploy/grafana/dashboards", "json")?;
    let named = |file: PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, serde_json::from_str(&fs::read_to_string(&file)?)?))
    };
    files.into_iter().map(named).collect()
}

/// The panels of a dashboard that show something: all but the headings of rows.
pub(crate) fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    each(&dashboard["panels"]).filter(|panel| panel["type"] != "row")
}
