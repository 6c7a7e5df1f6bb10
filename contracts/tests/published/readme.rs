//! The parts of the README that follow from the types: messages, texts, queues, headers, refusals.

use std::collections::BTreeMap;
use std::fmt::Write;

use orderly_contracts::Reason;
use orderly_contracts::catalogue::{CATALOGUE, Entry};
use orderly_contracts::envelope::HEADERS;
use orderly_contracts::routes::{EVENTS, Party, Route, kinds_in, route};
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::asyncapi::queues;
use crate::fields::{Field, bounds, fields};

/// All generated parts with their names.
pub(crate) fn parts() -> [(&'static str, String); 6] {
    [
        ("overview", overview()),
        ("texts-and-numbers", texts_and_numbers()),
        ("headers", headers()),
        ("refusals", refusals()),
        ("queues", queue_table()),
        ("messages", messages()),
    ]
}

/// The README with the part between its two markers replaced.
pub(crate) fn with_part(text: &str, name: &str, part: &str) -> String {
    let (begin, end) = (format!("<!-- generated: {name} -->\n"), format!("<!-- end: {name} -->"));
    let (before, rest) =
        text.split_once(&begin).unwrap_or_else(|| panic!("README.md lacks the marker {begin}"));
    let (_, after) =
        rest.split_once(&end).unwrap_or_else(|| panic!("README.md lacks the marker {end}"));
    format!("{before}{begin}\n{}\n\n{end}{after}", part.trim())
}

fn table(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        writeln!(text, "| {} |", cells.join(" | ")).expect("a text takes everything");
    }
    text
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// The messages in the order a reader wants them, each group with its title.
fn groups() -> [(&'static str, Vec<(&'static Entry, &'static Route)>); 3] {
    let select = |is_wanted: fn(&Route) -> bool| {
        CATALOGUE
            .iter()
            .map(|entry| (entry, route(entry.kind).expect("every message has a route")))
            .filter(|(_, route)| is_wanted(route))
            .collect()
    };
    [
        ("Commands that you send", select(|route| route.sender == Party::Client)),
        ("Events that anybody may read", select(|route| route.exchange == EVENTS)),
        (
            "Commands between the workers",
            select(|route| route.exchange != EVENTS && route.sender != Party::Client),
        ),
    ]
}

/// The anchor that Markdown readers make of a heading that is a kind in code quotes.
fn link(kind: &str) -> String {
    format!("[`{kind}`](#{})", kind.replace('.', ""))
}

fn overview() -> String {
    let mut text = String::new();
    for (title, messages) in groups() {
        let rows = messages.into_iter().map(|(_, route)| {
            vec![
                link(route.kind),
                route.sender.to_string(),
                consumer(route),
                route.summary.to_owned(),
            ]
        });
        let table = table(&["type", "sent by", "consumed by", "meaning"], rows);
        write!(text, "**{title}**\n\n{table}\n").expect("a text takes everything");
    }
    text
}

fn consumer(route: &Route) -> String {
    match route.consumer {
        Some((party, _)) => party.to_string(),
        None => "whoever likes".to_owned(),
    }
}

fn messages() -> String {
    let mut text = String::new();
    for (title, messages) in groups() {
        write!(text, "## {title}\n\n").expect("a text takes everything");
        for (entry, route) in messages {
            text.push_str(&message(entry, route));
        }
    }
    text
}

fn message(entry: &Entry, route: &Route) -> String {
    let schema = Value::from(entry.schema());
    let example = String::from_utf8(entry.example()).expect("JSON is UTF-8");
    let (queue, mandatory) = match route.consumer {
        Some((party, queue)) => (format!("`{queue}` of the {party} worker"), "yes"),
        None => ("none; bind your own".to_owned(), "no"),
    };
    format!(
        "### `{kind}`\n\n{description}\n\n\
         Sent by: {sender} · exchange: `{exchange}` · queue: {queue} · mandatory: {mandatory} · \
         [schema](schemas/{kind}.json) · [golden](golden/{kind}.json)\n\n\
         {fields}\n```json\n{example}\n```\n\n",
        kind = entry.kind,
        description = schema["description"].as_str().unwrap_or(route.summary),
        sender = route.sender,
        exchange = route.exchange,
        fields = field_table(&fields(&schema, &example)),
        example = indented(&example),
    )
}

/// The JSON indented, with its fields in the order in which they are written.
fn indented(json: &str) -> String {
    let (mut text, mut depth, mut in_text, mut escaped) = (String::new(), 0, false, false);
    for character in json.chars() {
        let (opens, closes) = (matches!(character, '{' | '['), matches!(character, '}' | ']'));
        if !in_text && closes {
            depth -= 1;
            text.push('\n');
            text.push_str(&"  ".repeat(depth));
        }
        text.push(character);
        if !in_text && (opens || character == ',') {
            depth += usize::from(opens);
            text.push('\n');
            text.push_str(&"  ".repeat(depth));
        }
        if !in_text && character == ':' {
            text.push(' ');
        }
        in_text ^= character == '"' && !escaped;
        escaped = in_text && character == '\\' && !escaped;
    }
    text
}

fn field_table(fields: &[Field]) -> String {
    let rows = fields.iter().map(|field| {
        vec![
            code(&field.path),
            field.holds.clone(),
            field.bounds.clone(),
            if field.is_required { "yes" } else { "no" }.to_owned(),
            field.meaning.clone(),
        ]
    });
    table(&["field", "holds", "bounds", "required", "meaning"], rows)
}

fn texts_and_numbers() -> String {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    for entry in CATALOGUE {
        entry.schema_in(&mut generator);
    }
    let definitions: BTreeMap<_, _> = generator.take_definitions(true).into_iter().collect();
    let rows = definitions.into_iter().filter_map(|(name, schema)| {
        let holds = schema["type"].as_str().filter(|holds| *holds != "object")?;
        let pattern = schema["pattern"].as_str().map(code).unwrap_or_default();
        let description = schema["description"].as_str().unwrap_or_default();
        Some(vec![code(&name), holds.to_owned(), bounds(&schema), pattern, description.to_owned()])
    });
    table(&["type", "JSON", "bounds", "pattern", "meaning"], rows)
}

fn headers() -> String {
    let rows = HEADERS.iter().map(|header| {
        vec![
            code(header.name),
            if header.is_integer { "integer" } else { "text" }.to_owned(),
            if header.is_for_publishers { "you may" } else { "the workers" }.to_owned(),
            header.meaning.to_owned(),
        ]
    });
    table(&["header", "holds", "set by", "meaning"], rows)
}

fn refusals() -> String {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let schema = Value::from(generator.root_schema_for::<Reason>());
    let meaning = |reason: Reason| {
        let words = schema["oneOf"].as_array().expect("a closed set of words");
        let word = words.iter().find(|word| word["const"] == reason.code());
        let word = word.expect("every reason is a word of the set");
        word["description"].as_str().expect("every reason is explained").to_owned()
    };
    let rows = Reason::ALL.map(|reason| vec![code(reason.code()), meaning(reason)]);
    table(&["reason", "meaning"], rows)
}

fn queue_table() -> String {
    let rows = queues().into_iter().map(|(party, queue)| {
        let bindings: Vec<_> = kinds_in(queue)
            .map(|route| format!("`{}` → `{}`", route.exchange, route.kind))
            .collect();
        vec![code(queue), party.to_string(), bindings.join("<br>")]
    });
    table(&["queue", "consumed by", "bindings (exchange → routing key)"], rows)
}
