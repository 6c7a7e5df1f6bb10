//! The page about metrics says what the catalogue says.

use std::path::Path;

use orderly_runtime::metrics::page;

/// What a reader types to bring the page up to date.
const COMMAND: &str = "UPDATE_DOCS=1 cargo test -p orderly-runtime the_page_about_metrics";

#[test]
fn the_page_about_metrics_follows_from_the_catalogue() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let found = std::fs::read_to_string(&place).unwrap_or_default();
    let expected = page();
    if found == expected {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(&place, expected).expect("the page can be written");
        return;
    }
    let end = std::iter::repeat("(the end of the page)");
    let mut lines = found.lines().chain(end.clone()).zip(expected.lines().chain(end)).zip(1..);
    let ((is, should), number) = lines.find(|((is, should), _)| is != should).expect("they differ");
    panic!(
        "docs/metrics.md differs from the catalogue, first in line {number}:\n  on the page: {is}\n  \
         by the catalogue: {should}\nto write it anew: {COMMAND}"
    );
}
