//! Envelopes: exchange, routing key and properties, right more often than not, and else anything.

use fastrand::Rng;
use lapin::BasicProperties;
use lapin::types::{
    AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, LongString, ShortString,
};
use orderly_contracts::envelope::{ATTEMPTS, CONTENT_TYPE, HEADERS};
use orderly_contracts::routes::Route;
use orderly_runtime::letter::{EDIT_OF, LETTER_CONTENT_TYPE};
use orderly_runtime::retry::{FIRST_FAILED_AT, ORIGINAL_EXCHANGE, ORIGINAL_ROUTING_KEY};
use orderly_runtime::topology::RETURN;

/// Headers larger than this are refused, and cost a moment to make.
const TOO_MANY_BYTES: usize = 70 * 1024;

/// Everything around a body.
pub(crate) struct Envelope {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) properties: BasicProperties,
}

/// An envelope for a message that goes `route` to `queue`, or for something like it.
pub(crate) fn envelope(rng: &mut Rng, route: &Route, queue: &str) -> Envelope {
    let mut headers = if rng.u8(..3) < 2 { None } else { Some(some_headers(rng)) };
    let (exchange, routing_key) = match rng.u8(..24) {
        0 => (String::new(), queue.to_owned()),
        1 => (route.exchange.to_owned(), text(rng)),
        2 => (text(rng), text(rng)),
        3..6 => {
            let headers = headers.get_or_insert_default();
            headers.insert(ORIGINAL_EXCHANGE.into(), long(route.exchange));
            headers.insert(ORIGINAL_ROUTING_KEY.into(), long(route.kind));
            headers.insert(ATTEMPTS.into(), number(rng));
            headers.insert(FIRST_FAILED_AT.into(), number(rng));
            (RETURN.to_owned(), format!("0.{queue}"))
        }
        _ => (route.exchange.to_owned(), route.kind.to_owned()),
    };
    let mut properties = properties(rng, route);
    if let Some(headers) = headers {
        properties = properties.with_headers(headers);
    }
    Envelope { exchange, routing_key, properties }
}

fn properties(rng: &mut Rng, route: &Route) -> BasicProperties {
    let mut to = BasicProperties::default();
    if let Some(kind) = kind(rng, route) {
        to = to.with_type(short(&kind));
    }
    if let Some(id) = message_id(rng) {
        to = to.with_message_id(short(&id));
    }
    match rng.u8(..32) {
        0..5 => {}
        5 => to = to.with_content_type(short("application/json; charset=utf-8")),
        6 => to = to.with_content_type(short(" Application/JSON ")),
        7 => to = to.with_content_type(short("")),
        8 => to = to.with_content_type(short(&text(rng))),
        9 => to = to.with_content_type(short(LETTER_CONTENT_TYPE)),
        _ => to = to.with_content_type(short(CONTENT_TYPE)),
    }
    match rng.u8(..48) {
        0 => to = to.with_content_encoding(short("gzip")),
        1 => to = to.with_content_encoding(short("utf-8")),
        2 => to = to.with_content_encoding(short("identity")),
        3 => to = to.with_content_encoding(short(&text(rng))),
        _ => {}
    }
    if rng.u8(..6) == 0 {
        to = to
            .with_correlation_id(short(&text(rng)))
            .with_reply_to(short(&text(rng)))
            .with_expiration(short(&text(rng)))
            .with_user_id(short(&text(rng)))
            .with_app_id(short(&text(rng)))
            .with_cluster_id(short(&text(rng)))
            .with_delivery_mode(rng.u8(..))
            .with_priority(rng.u8(..))
            .with_timestamp(rng.u64(..));
    }
    to
}

fn kind(rng: &mut Rng, route: &Route) -> Option<String> {
    match rng.u8(..48) {
        0 => None,
        1 => Some(String::new()),
        2 => Some(text(rng)),
        3 => Some(route.kind.replace(".v1", ".v2")),
        4 => Some(route.kind.replace(".v1", "")),
        5 => Some(route.kind.to_uppercase()),
        _ => Some(route.kind.to_owned()),
    }
}

fn message_id(rng: &mut Rng) -> Option<String> {
    match rng.u8(..48) {
        0 => None,
        1 => Some(String::new()),
        2 => Some(text(rng)),
        3 => Some("x".repeat(rng.usize(125..140))),
        _ => Some((0..rng.usize(1..40)).map(|_| rng.alphanumeric()).collect()),
    }
}

/// Some text of up to 255 bytes, of any characters.
fn text(rng: &mut Rng) -> String {
    let mut text = String::new();
    let longest = if rng.u8(..10) == 0 { 255 } else { 12 };
    for _ in 0..rng.usize(..longest) {
        let next = if rng.bool() { rng.char(' '..='~') } else { rng.char(..) };
        if text.len() + next.len_utf8() > 255 {
            break;
        }
        text.push(next);
    }
    text
}

fn short(text: &str) -> ShortString {
    text.into()
}

fn long(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// A number of any width, often one that a counter or a clock would show.
fn number(rng: &mut Rng) -> AMQPValue {
    match rng.u8(..12) {
        0 => AMQPValue::ShortShortInt(rng.i8(..)),
        1 => AMQPValue::ShortShortUInt(rng.u8(..)),
        2 => AMQPValue::ShortInt(rng.i16(..)),
        3 => AMQPValue::ShortUInt(rng.u16(..)),
        4 => AMQPValue::LongInt(rng.i32(..)),
        5 => AMQPValue::LongUInt(rng.u32(..)),
        6 => AMQPValue::LongLongInt(rng.i64(..)),
        7 => AMQPValue::LongLongInt(i64::MAX),
        8 => AMQPValue::LongLongInt(i64::MIN),
        9 => value(rng, 0),
        _ => AMQPValue::LongInt(rng.i32(..6)),
    }
}

fn some_headers(rng: &mut Rng) -> FieldTable {
    let mut table = FieldTable::default();
    for _ in 0..rng.usize(..4) {
        table.insert(short(&text(rng)), value(rng, 0));
    }
    for _ in 0..rng.usize(..3) {
        let ours = &HEADERS[rng.usize(..HEADERS.len())];
        let fitting = if ours.is_integer { number(rng) } else { long(&text(rng)) };
        let value = if rng.bool() { fitting } else { value(rng, 0) };
        table.insert(ours.name.into(), value);
    }
    match rng.u8(..40) {
        0 => drop(table.insert("x-death".into(), death(rng))),
        1 => drop(table.insert("x-death".into(), value(rng, 0))),
        2 => drop(table.insert("x-delivery-count".into(), number(rng))),
        3 => drop(table.insert(EDIT_OF.into(), value(rng, 0))),
        4 => drop(table.insert("deep".into(), deep(rng))),
        5 if rng.u8(..8) == 0 => {
            let large = vec![b'x'; TOO_MANY_BYTES];
            table.insert("large".into(), AMQPValue::LongString(large.into()));
        }
        _ => {}
    }
    table
}

/// What the broker writes on what it gives up, more or less.
fn death(rng: &mut Rng) -> AMQPValue {
    let mut table = FieldTable::default();
    for name in ["reason", "queue", "exchange"] {
        table.insert(name.into(), if rng.u8(..6) == 0 { value(rng, 0) } else { long(&text(rng)) });
    }
    table.insert("count".into(), number(rng));
    table.insert("time".into(), AMQPValue::Timestamp(rng.u64(..)));
    let keys = vec![value(rng, 0), long(&text(rng))];
    table.insert("routing-keys".into(), AMQPValue::FieldArray(FieldArray::from(keys)));
    AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::FieldTable(table)]))
}

/// Lists and tables in each other, deeper than anybody needs.
fn deep(rng: &mut Rng) -> AMQPValue {
    let mut value = AMQPValue::Void;
    for _ in 0..rng.usize(20..60) {
        value = if rng.bool() {
            AMQPValue::FieldArray(FieldArray::from(vec![value]))
        } else {
            let mut table = FieldTable::default();
            table.insert("in".into(), value);
            AMQPValue::FieldTable(table)
        };
    }
    value
}

/// A value of any type.
fn value(rng: &mut Rng, depth: usize) -> AMQPValue {
    let last = if depth < 3 { 19 } else { 17 };
    match rng.u8(..last) {
        0 => AMQPValue::Boolean(rng.bool()),
        1 => AMQPValue::ShortShortInt(rng.i8(..)),
        2 => AMQPValue::ShortShortUInt(rng.u8(..)),
        3 => AMQPValue::ShortInt(rng.i16(..)),
        4 => AMQPValue::ShortUInt(rng.u16(..)),
        5 => AMQPValue::LongInt(rng.i32(..)),
        6 => AMQPValue::LongUInt(rng.u32(..)),
        7 => AMQPValue::LongLongInt(rng.i64(..)),
        8 => AMQPValue::Float(f32::from_bits(rng.u32(..))),
        9 => AMQPValue::Double(f64::from_bits(rng.u64(..))),
        10 => AMQPValue::DecimalValue(DecimalValue { scale: rng.u8(..), value: rng.u32(..) }),
        11 => AMQPValue::ShortString(short(&text(rng))),
        12 => long(&text(rng)),
        13 => AMQPValue::LongString(LongString::from(noise(rng))),
        14 => AMQPValue::Timestamp(rng.u64(..)),
        15 => AMQPValue::ByteArray(ByteArray::from(noise(rng))),
        16 => AMQPValue::Void,
        17 => {
            let values: Vec<_> = (0..rng.usize(..4)).map(|_| value(rng, depth + 1)).collect();
            AMQPValue::FieldArray(FieldArray::from(values))
        }
        _ => {
            let mut table = FieldTable::default();
            for _ in 0..rng.usize(..4) {
                table.insert(short(&text(rng)), value(rng, depth + 1));
            }
            AMQPValue::FieldTable(table)
        }
    }
}

fn noise(rng: &mut Rng) -> Vec<u8> {
    (0..rng.usize(..24)).map(|_| rng.u8(..)).collect()
}
