//! The published files: how JSON stands in them, and whether they hold what follows from the code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde::Serialize;
use serde_json::Value;

/// What a reader types to bring the files up to date.
const COMMAND: &str = "UPDATE_CONTRACTS=1 cargo test -p orderly-contracts";

fn is_updating() -> bool {
    env::var_os("UPDATE_CONTRACTS").is_some_and(|value| value == "1")
}

/// The file's place on this machine; `path` is relative to the crate.
pub(crate) fn place(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file.
pub(crate) fn read(path: &str) -> io::Result<String> {
    fs::read_to_string(place(path))
}

/// Asserts that the file holds exactly `expected`; with `UPDATE_CONTRACTS=1` writes it instead.
pub(crate) fn hold(path: &str, expected: &str) {
    let found = read(path).unwrap_or_default();
    if found == expected {
        return;
    }
    if is_updating() {
        let place = place(path);
        fs::create_dir_all(place.parent().expect("a file lies in a folder"))
            .and_then(|()| fs::write(&place, expected))
            .expect("the file can be written");
        return;
    }
    let (number, (is, should)) = found
        .lines()
        .chain(std::iter::repeat("(the end of the file)"))
        .zip(expected.lines().chain(["(the end of the file)"]))
        .enumerate()
        .find(|(_, (is, should))| is != should)
        .unwrap_or((0, ("other line ends", "\\n alone")));
    panic!(
        "contracts/{path} differs from the Rust types, first in line {}:\n  in the file: {is}\n  \
         by the types: {should}\nto write it anew: {COMMAND}",
        number + 1
    );
}

/// Asserts that the folder holds these files and no other; with `UPDATE_CONTRACTS=1` removes the
/// others.
pub(crate) fn hold_names(folder: &str, expected: &BTreeSet<String>) {
    let entries = fs::read_dir(place(folder)).expect("the folder is there");
    for entry in entries {
        let entry = entry.expect("the folder can be listed");
        let name = entry.file_name().to_string_lossy().into_owned();
        if expected.contains(&name) {
            continue;
        }
        assert!(
            is_updating(),
            "contracts/{folder}/{name} belongs to no message; to remove it: {COMMAND}"
        );
        fs::remove_file(entry.path()).expect("the file can be removed");
    }
}

/// The value with all keys sorted. Another crate's features can make `serde_json` keep the order
/// of insertion, and the files must not depend on who else is built.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            let fields = fields.into_iter().map(|(key, value)| (key, sorted(value)));
            Value::Object(fields.collect())
        }
        scalar => scalar,
    }
}

/// The text as it stands in a file: indented by two spaces, with a line end at its end.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("the value has text keys");
    text.push('\n');
    text
}
