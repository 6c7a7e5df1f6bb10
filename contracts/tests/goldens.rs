//! The wire form of every message is frozen: byte for byte what its golden file holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{env, fs, io};

use orderly_contracts::catalogue::{CATALOGUE, Entry};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// All golden files: file name without its ending, and bytes.
static GOLDENS: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    if env::var_os("UPDATE_CONTRACTS").is_some_and(|value| value == "1") {
        add_what_is_missing();
    }
    let files = fs::read_dir(folder()).expect("contracts/golden is there");
    let golden = |file: io::Result<fs::DirEntry>| {
        let path = file.expect("the folder can be listed").path();
        assert_eq!(path.extension(), Some("json".as_ref()), "{path:?}");
        let name = path.file_stem().expect("a file has a name");
        let bytes = fs::read(&path).expect("a golden can be read");
        (name.to_string_lossy().into_owned(), bytes)
    };
    files.map(golden).collect()
});

/// Writes the goldens that do not exist yet. One that exists is never changed, even if asked for.
fn add_what_is_missing() {
    fs::create_dir_all(folder()).expect("the folder can be made");
    for entry in CATALOGUE {
        let path = folder().join(format!("{}.json", entry.kind));
        if !path.exists() {
            fs::write(&path, entry.example()).expect("a golden can be written");
        }
    }
}

/// The message that a golden belongs to: it is called `<kind>` or `<kind>.<case>`.
fn entry_for(name: &str) -> &'static Entry {
    let belongs = |entry: &&Entry| {
        let rest = name.strip_prefix(entry.kind);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut found = CATALOGUE.iter().filter(belongs);
    found.next().unwrap_or_else(|| {
        panic!("golden/{name}.json belongs to no message; goldens are never removed")
    })
}

#[test]
fn every_example_is_written_exactly_as_its_golden() {
    for entry in CATALOGUE {
        let golden = GOLDENS.get(entry.kind);
        let golden = golden.unwrap_or_else(|| {
            panic!("{entry:?} has no golden; to add it: UPDATE_CONTRACTS=1 cargo test -p orderly-contracts")
        });
        assert_eq!(
            String::from_utf8(entry.example()).unwrap(),
            str::from_utf8(golden).unwrap(),
            "the wire form of {entry:?} has changed; a golden never does: make a new version"
        );
    }
}

#[test]
fn every_golden_is_read_and_written_back_without_a_changed_byte() {
    let mut seen = BTreeSet::new();
    for (name, bytes) in &*GOLDENS {
        let entry = entry_for(name);
        let reading = entry.read(bytes).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(
            String::from_utf8(reading.wire).unwrap(),
            str::from_utf8(bytes).unwrap(),
            "{name}"
        );
        if name == entry.kind {
            assert!(reading.is_example, "{name} is read as another value");
            seen.insert(entry.kind);
        }
    }
    assert_eq!(seen.len(), CATALOGUE.len());
}

#[test]
fn every_golden_satisfies_the_schema_of_its_message() {
    for (name, bytes) in &*GOLDENS {
        let schema = Value::from(entry_for(name).schema());
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        jsonschema::meta::validate(&schema).unwrap();
        let body: Value = serde_json::from_slice(bytes).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        assert!(validator.is_valid(&body), "{name}: {:?}", validator.validate(&body));
    }
}

#[test]
fn every_example_uses_every_field_or_leaves_out_a_reason_that_does_not_apply() {
    for entry in CATALOGUE {
        let schema = Value::from(entry.schema());
        let root = match schema["$ref"].as_str() {
            Some(reference) => schema.pointer(&reference[1..]).unwrap(),
            None => &schema,
        };
        let example: Value = serde_json::from_slice(&entry.example()).unwrap();
        for name in root["properties"].as_object().unwrap().keys() {
            let is_used = example.get(name).is_some();
            assert!(
                is_used || (name == "reason" && entry.kind.starts_with("order.")),
                "{entry:?}: {name}"
            );
        }
    }
}

#[test]
fn unknown_fields_are_accepted_in_every_message_and_every_object() {
    fn extended(value: Value) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(extended).collect(),
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(key, value)| (key, extended(value)));
                let extra = serde_json::json!({ "deep": [[1.5, null], {"nul": "\0"}] });
                Value::Object(fields.chain([("x_unknown".to_owned(), extra)]).collect())
            }
            scalar => scalar,
        }
    }
    for (name, bytes) in &*GOLDENS {
        let entry = entry_for(name);
        let body = extended(serde_json::from_slice(bytes).unwrap());
        let validator = jsonschema::validator_for(&entry.schema().into()).unwrap();
        assert!(validator.is_valid(&body), "{name}");
        let reading = entry.read(&serde_json::to_vec(&body).unwrap()).unwrap();
        assert_eq!(&reading.wire, bytes, "{name}");
    }
}

#[test]
fn null_stands_for_an_absent_optional_field() {
    let with_null = br#"{"order_id":"1","reason":null}"#;
    let entry = entry_for("order.cancel.v1");
    assert_eq!(entry.read(with_null).unwrap().wire, br#"{"order_id":"1"}"#);
}
