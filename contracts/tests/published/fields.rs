//! Reads the fields of a message out of its JSON Schema, for tables that people read.

use serde_json::Value;

/// One field of a message, or of an object within it.
pub(crate) struct Field {
    /// Where it stands, such as `lines[].sku`.
    pub(crate) path: String,
    /// What it holds.
    pub(crate) holds: String,
    /// How long or how large it may be.
    pub(crate) bounds: String,
    /// Whether it may be absent.
    pub(crate) is_required: bool,
    /// What it means; the words of a closed set with their meanings.
    pub(crate) meaning: String,
}

/// The fields of the message with this standalone schema, in the order in which `example` has them.
pub(crate) fn fields(schema: &Value, example: &str) -> Vec<Field> {
    let mut fields = Vec::new();
    collect(schema, schema, "", example, &mut fields);
    fields
}

/// The schema that a reference names, with the reference's own keywords laid over it.
fn resolved(root: &Value, schema: &Value) -> (Option<String>, Value) {
    let Some(reference) = schema["$ref"].as_str() else {
        return (None, schema.clone());
    };
    let pointer = reference.strip_prefix('#').expect("references stay inside");
    let mut target = root.pointer(pointer).expect("references resolve").clone();
    if let (Some(target), Some(own)) = (target.as_object_mut(), schema.as_object()) {
        let own = own.iter().filter(|(key, _)| *key != "$ref" && *key != "$defs");
        target.extend(own.map(|(key, value)| (key.clone(), value.clone())));
    }
    (pointer.rsplit('/').next().map(str::to_owned), target)
}

/// The schema of an optional field without its `null`.
fn without_null(schema: &Value) -> Value {
    let Some(Value::Array(choices)) = schema.get("anyOf") else {
        return schema.clone();
    };
    let mut kept = choices[0].clone();
    kept["description"] = schema["description"].clone();
    kept
}

fn collect(root: &Value, schema: &Value, prefix: &str, example: &str, fields: &mut Vec<Field>) {
    let (_, schema) = resolved(root, schema);
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
    let mut names: Vec<_> = properties.keys().collect();
    // Schemas keep fields by name; the example knows the order in which they are declared.
    names.sort_by_key(|name| example.find(&format!("\"{name}\":")).unwrap_or(usize::MAX));
    for name in names {
        let (type_name, field) = resolved(root, &without_null(&properties[name]));
        let path = format!("{prefix}{name}");
        let inner = &field["items"];
        fields.push(Field {
            holds: holds(type_name.as_deref(), &field),
            bounds: bounds(&field),
            is_required: required.contains(&&Value::from(name.as_str())),
            meaning: meaning(&field),
            path: path.clone(),
        });
        if inner.is_object() {
            collect(root, inner, &format!("{path}[]."), example, fields);
        }
    }
}

fn holds(name: Option<&str>, field: &Value) -> String {
    if field["oneOf"].is_array() {
        return "one of".to_owned();
    }
    match (name, field["type"].as_str()) {
        (Some(name), Some(_)) => format!("[`{name}`](#texts-and-numbers)"),
        (None, Some("array")) => "array of objects".to_owned(),
        (None, Some(plain)) => plain.to_owned(),
        (_, None) => panic!("the schema names no type: {field}"),
    }
}

/// The bounds of a text, a number or an array.
pub(crate) fn bounds(schema: &Value) -> String {
    let bound = |key: &str| schema[key].as_i64();
    match schema["type"].as_str() {
        Some("string") => match (bound("minLength"), bound("maxLength")) {
            (Some(min), Some(max)) => format!("{min} to {max} bytes"),
            _ => "3 bytes".to_owned(),
        },
        Some("integer") => {
            let (min, max) = (bound("minimum"), bound("maximum"));
            let (min, max) = min.zip(max).expect("every number has its bounds");
            let nonzero = if schema["not"]["const"] == 0 { ", not 0" } else { "" };
            format!("{} to {}{nonzero}", grouped(min), grouped(max))
        }
        Some("array") => match (bound("minItems"), bound("maxItems")) {
            (Some(min), Some(max)) => format!("{min} to {} items", grouped(max)),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// The number with a comma after every three digits.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn meaning(field: &Value) -> String {
    let text = |schema: &Value| schema["description"].as_str().unwrap_or_default().to_owned();
    let words = field["oneOf"].as_array().into_iter().flatten().map(|word| {
        let name = word["const"].as_str().expect("a closed set is one of words");
        format!("<br>`{name}`: {}", text(word))
    });
    std::iter::once(text(field)).chain(words).collect()
}
