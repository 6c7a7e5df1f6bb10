//! What is published of the contract stands in files, and every file follows from the Rust types.

mod asyncapi;
mod asyncapi_validity;
mod fields;
mod files;
mod readme;

use std::collections::BTreeSet;

use orderly_contracts::catalogue::CATALOGUE;
use schemars::Schema;

#[test]
fn the_schema_of_every_message_stands_in_a_file() {
    let mut names = BTreeSet::new();
    for entry in CATALOGUE {
        let schema = Schema::try_from(files::sorted(entry.schema().into()))
            .expect("a schema with its keys sorted is a schema");
        let name = format!("{}.json", entry.kind);
        files::hold(&format!("schemas/{name}"), &files::pretty(&schema));
        names.insert(name);
    }
    files::hold_names("schemas", &names);
}

#[test]
fn the_asyncapi_document_follows_from_the_routing_table() {
    files::hold("asyncapi.json", &files::pretty(&asyncapi::document()));
}

#[test]
fn the_readme_shows_the_catalogue() {
    let mut text = files::read("README.md").expect("contracts/README.md is there");
    for (name, part) in readme::parts() {
        text = readme::with_part(&text, name, &part);
    }
    files::hold("README.md", &text);
}
