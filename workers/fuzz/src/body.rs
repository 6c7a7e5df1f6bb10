//! Bodies: golden examples as they are, damaged by somebody who knows JSON or who does not, and noise.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use fastrand::Rng;
use orderly_contracts::catalogue::CATALOGUE;
use serde_json::{Map, Value, json};

use crate::input::{BODY_BYTES_MAX, SECRET, SECRET_NUMBER};

/// The golden examples of every kind, each with our secret for a payment token.
static EXAMPLES: LazyLock<BTreeMap<&'static str, Vec<Vec<u8>>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/golden");
    let files = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let goldens: Vec<(String, Vec<u8>)> = files
        .map(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            (name, fs::read(file.path()).unwrap_or_default())
        })
        .collect();
    let of_kind = |kind: &'static str, example: Vec<u8>| {
        let mut examples: Vec<_> = goldens
            .iter()
            .filter(|(name, _)| name.strip_prefix(kind).is_some_and(|rest| rest.starts_with('.')))
            .map(|(_, body)| with_secret(body))
            .collect();
        examples.sort();
        examples.insert(0, with_secret(&example));
        (kind, examples)
    };
    CATALOGUE.iter().map(|entry| of_kind(entry.kind, entry.example())).collect()
});

fn with_secret(body: &[u8]) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(body).expect("a golden is JSON");
    if let Some(token) = value.get_mut("payment_token") {
        *token = json!(format!("tok_{SECRET}"));
    }
    value.to_string().into_bytes()
}

fn example(rng: &mut Rng, kind: &str) -> Vec<u8> {
    let examples = EXAMPLES.get(kind).expect("every kind has an example");
    examples[rng.usize(..examples.len())].clone()
}

/// A body for a message of this kind, right or wrong in any way.
pub(crate) fn body(rng: &mut Rng, kind: &str) -> Vec<u8> {
    match rng.u8(..100) {
        0..30 => example(rng, kind),
        30..60 => rebuilt(rng, kind),
        60..80 => damaged(rng, kind),
        80..85 => (0..rng.usize(..200)).map(|_| rng.u8(..)).collect(),
        85..90 => punctuation(rng),
        90..93 => vec![],
        93..95 => {
            let other = rng.usize(..CATALOGUE.len());
            example(rng, CATALOGUE[other].kind)
        }
        95..97 => padded(rng, kind),
        97..98 => deep(rng, kind),
        // As whoever encodes twice would send it.
        _ => Value::from(String::from_utf8_lossy(&example(rng, kind))).to_string().into_bytes(),
    }
}

/// Around the limit, or far beyond it; blanks after JSON are JSON.
fn padded(rng: &mut Rng, kind: &str) -> Vec<u8> {
    let mut body = example(rng, kind);
    let length = match rng.u8(..8) {
        0 => BODY_BYTES_MAX - 1,
        1 => BODY_BYTES_MAX,
        7 => 4 * BODY_BYTES_MAX,
        _ => BODY_BYTES_MAX + 1,
    };
    body.resize(length, b' ');
    body
}

fn punctuation(rng: &mut Rng) -> Vec<u8> {
    const SIGNS: &[u8] = b"{}[]\":,\\ntrue0123456789.eE+-u ";
    let mut body = vec![if rng.bool() { b'{' } else { b'[' }];
    body.extend((0..rng.usize(..100)).map(|_| SIGNS[rng.usize(..SIGNS.len())]));
    body
}

/// An unknown field with lists in lists.
fn deep(rng: &mut Rng, kind: &str) -> Vec<u8> {
    let depth = rng.usize(100..300);
    let nested = format!("{{\"x\":{}{},", "[".repeat(depth), "]".repeat(depth));
    let body = String::from_utf8_lossy(&example(rng, kind)).into_owned();
    body.replacen('{', &nested, 1).into_bytes()
}

/// Bytes that matter to a reader of JSON.
const INTRUDERS: &[&[u8]] = &[
    b"\0",
    b"\\u0000",
    b"NaN",
    b"Infinity",
    b"1e400",
    b"-1e400",
    b"-0",
    b"1.0",
    b"0255",
    b"12345678901234567890",
    b"9007199254740993",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"\"",
    b"\\",
    b",",
    b"}",
    b"{}",
    b"[",
    b"null",
    b"/*",
    b"\n",
    b" ",
    b"\\n",
    b"\xc3",
];

/// An example, damaged by somebody who does not know JSON.
fn damaged(rng: &mut Rng, kind: &str) -> Vec<u8> {
    let mut body = example(rng, kind);
    damage(rng, &mut body);
    body
}

/// Changes a few bytes, or removes or repeats them.
pub(crate) fn damage(rng: &mut Rng, body: &mut Vec<u8>) {
    for _ in 0..rng.usize(1..4) {
        let place = rng.usize(..body.len().max(1)).min(body.len());
        match rng.u8(..6) {
            0 => body.truncate(place),
            1 if !body.is_empty() => body[place] = rng.u8(..),
            2 if !body.is_empty() => body[place] ^= 1 << rng.u8(..8),
            3 => {
                let end = (place + rng.usize(..12)).min(body.len());
                body.drain(place..end);
            }
            4 => {
                let end = (place + rng.usize(..24)).min(body.len());
                let piece = body[place..end].to_vec();
                body.splice(place..place, piece);
            }
            _ => {
                let intruder = INTRUDERS[rng.usize(..INTRUDERS.len())];
                body.splice(place..place, intruder.iter().copied());
            }
        }
    }
}

/// An example, changed by somebody who knows JSON; now and then it stays valid.
fn rebuilt(rng: &mut Rng, kind: &str) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(&example(rng, kind)).expect("an example is JSON");
    for _ in 0..rng.usize(1..3) {
        let mut places = Vec::new();
        list_places(&value, String::new(), &mut places);
        let place = places[rng.usize(..places.len())].clone();
        change(rng, &mut value, &place);
    }
    let body = value.to_string();
    match rng.u8(..12) {
        // The first field twice.
        0 => match body.strip_prefix('{').and_then(|rest| rest.split_once(',')) {
            Some((first, rest)) => format!("{{{first},{first},{rest}").into_bytes(),
            None => body.into_bytes(),
        },
        _ => body.into_bytes(),
    }
}

fn list_places(value: &Value, here: String, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| {
            list_places(item, format!("{here}/{index}"), found);
        }),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            list_places(field, format!("{here}/{name}"), found);
        }),
        _ => {}
    }
    found.push(here);
}

fn change(rng: &mut Rng, value: &mut Value, place: &str) {
    let is_token = place.ends_with("payment_token");
    let parent = place.rsplit_once('/').map(|(parent, name)| (parent.to_owned(), name.to_owned()));
    match (rng.u8(..10), parent) {
        (0, Some((parent, name))) => match value.pointer_mut(&parent) {
            Some(Value::Object(fields)) => {
                fields.remove(&name);
            }
            Some(Value::Array(items)) => {
                items.remove(name.parse().expect("a place in a list"));
            }
            _ => {}
        },
        (1, _) => {
            if let Some(Value::Object(fields)) = value.pointer_mut(place) {
                fields.insert("unknown".to_owned(), intruder(rng));
            }
        }
        (2, _) => {
            if let Some(Value::Array(items)) = value.pointer_mut(place)
                && let Some(first) = items.first().cloned()
            {
                let count = if rng.u8(..20) == 0 { 200 } else { rng.usize(1..4) };
                items.extend(vec![first; count]);
            }
        }
        _ => {
            let replacement = if is_token { wrong_token(rng) } else { intruder(rng) };
            if let Some(found) = value.pointer_mut(place) {
                *found = replacement;
            }
        }
    }
}

/// Whatever stands where the payment token should is secret as well.
fn wrong_token(rng: &mut Rng) -> Value {
    match rng.u8(..7) {
        0 => json!(SECRET_NUMBER.parse::<u64>().unwrap_or_default()),
        1 => json!(-(SECRET_NUMBER.parse::<i64>().unwrap_or_default())),
        2 => json!(format!("tok {SECRET}")),
        3 => json!(format!("tok_{SECRET}").repeat(20)),
        4 => json!([format!("tok_{SECRET}")]),
        5 => json!({ "token": format!("tok_{SECRET}") }),
        _ => json!(format!("{SECRET}\u{0}")),
    }
}

/// Values that are wrong in most places, and right in some.
fn intruder(rng: &mut Rng) -> Value {
    const NUMBERS: &[i64] =
        &[0, 1, -1, 7, 1_000_000, 1_000_001, 1_000_000_000_000, 9_007_199_254_740_992, i64::MIN];
    match rng.u8(..14) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2..5 => json!(NUMBERS[rng.usize(..NUMBERS.len())]),
        5 => json!(rng.i64(..)),
        6 => json!(rng.u64(..)),
        7 => json!(f64::from(rng.i32(..)) / 4.0),
        8 => json!([]),
        9 => Value::Object(Map::new()),
        10 => json!((0..rng.usize(..70)).map(|_| rng.char(' '..='~')).collect::<String>()),
        11 => json!((0..rng.usize(..6)).map(|_| rng.char(..)).collect::<String>()),
        12 => json!((0..rng.usize(2..5)).map(|_| rng.uppercase()).collect::<String>()),
        _ => json!((0..rng.usize(1..64)).map(|_| rng.alphanumeric()).collect::<String>()),
    }
}
