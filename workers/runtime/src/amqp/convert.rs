//! Between our messages and lapin's, without loss.

use std::collections::BTreeMap;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, ShortString};

use crate::broker::BrokerError;
use crate::message::{Delivery, HeaderValue, Properties};

/// A delivery of lapin's as one of ours.
pub fn delivery(delivery: lapin::message::Delivery) -> Delivery {
    let properties = properties(&delivery.properties);
    // On its first way the header can only be a client's.
    let counted = properties.int_header("x-delivery-count").filter(|_| delivery.redelivered);
    let counted = counted.and_then(|count| u32::try_from(count).ok());
    Delivery {
        tag: delivery.delivery_tag,
        returns: counted.unwrap_or(u32::from(delivery.redelivered)),
        exchange: delivery.exchange.to_string(),
        routing_key: delivery.routing_key.to_string(),
        properties,
        body: delivery.data,
    }
}

/// Lapin's properties as ours.
pub fn properties(from: &BasicProperties) -> Properties {
    let text = |text: &Option<ShortString>| text.as_ref().map(ToString::to_string);
    Properties {
        content_type: text(from.content_type()),
        content_encoding: text(from.content_encoding()),
        headers: from.headers().as_ref().map(|headers| table(headers, 0)),
        delivery_mode: *from.delivery_mode(),
        priority: *from.priority(),
        correlation_id: text(from.correlation_id()),
        reply_to: text(from.reply_to()),
        expiration: text(from.expiration()),
        message_id: text(from.message_id()),
        timestamp: *from.timestamp(),
        kind: text(from.kind()),
        user_id: text(from.user_id()),
        app_id: text(from.app_id()),
        cluster_id: text(from.cluster_id()),
    }
}

/// Our properties as lapin's; an error if a text is longer than AMQP allows.
pub fn basic_properties(from: &Properties) -> Result<BasicProperties, BrokerError> {
    let mut to = BasicProperties::default();
    if let Some(text) = &from.content_type {
        to = to.with_content_type(short(text)?);
    }
    if let Some(text) = &from.content_encoding {
        to = to.with_content_encoding(short(text)?);
    }
    if let Some(headers) = &from.headers {
        to = to.with_headers(field_table(headers)?);
    }
    if let Some(mode) = from.delivery_mode {
        to = to.with_delivery_mode(mode);
    }
    if let Some(priority) = from.priority {
        to = to.with_priority(priority);
    }
    if let Some(text) = &from.correlation_id {
        to = to.with_correlation_id(short(text)?);
    }
    if let Some(text) = &from.reply_to {
        to = to.with_reply_to(short(text)?);
    }
    if let Some(text) = &from.expiration {
        to = to.with_expiration(short(text)?);
    }
    if let Some(text) = &from.message_id {
        to = to.with_message_id(short(text)?);
    }
    if let Some(timestamp) = from.timestamp {
        to = to.with_timestamp(timestamp);
    }
    if let Some(text) = &from.kind {
        to = to.with_type(short(text)?);
    }
    // The broker insists that `user_id` is the publisher's own; a copy of ours would be refused.
    if let Some(text) = &from.app_id {
        to = to.with_app_id(short(text)?);
    }
    if let Some(text) = &from.cluster_id {
        to = to.with_cluster_id(short(text)?);
    }
    Ok(to)
}

fn short(text: &str) -> Result<ShortString, BrokerError> {
    ShortString::try_new(text).map_err(|error| BrokerError::Unavailable(error.to_string()))
}

/// Lists and tables may lie within each other this deep; JSON readers stop at about 128.
const DEPTH_MAX: usize = 32;
/// What stands where they lie deeper, which nobody means well with.
const TOO_DEEP: &str = "(nested too deeply)";

fn table(from: &FieldTable, depth: usize) -> BTreeMap<String, HeaderValue> {
    from.into_iter().map(|(name, field)| (name.to_string(), value(field, depth))).collect()
}

fn value(from: &AMQPValue, depth: usize) -> HeaderValue {
    match from {
        AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) if depth == DEPTH_MAX => {
            HeaderValue::Text(TOO_DEEP.to_owned())
        }
        AMQPValue::Boolean(bool) => HeaderValue::Bool(*bool),
        AMQPValue::ShortShortInt(n) => HeaderValue::I8(*n),
        AMQPValue::ShortShortUInt(n) => HeaderValue::U8(*n),
        AMQPValue::ShortInt(n) => HeaderValue::I16(*n),
        AMQPValue::ShortUInt(n) => HeaderValue::U16(*n),
        AMQPValue::LongInt(n) => HeaderValue::I32(*n),
        AMQPValue::LongUInt(n) => HeaderValue::U32(*n),
        AMQPValue::LongLongInt(n) => HeaderValue::I64(*n),
        AMQPValue::Float(n) => HeaderValue::F32Bits(n.to_bits()),
        AMQPValue::Double(n) => HeaderValue::F64Bits(n.to_bits()),
        AMQPValue::DecimalValue(n) => HeaderValue::Decimal(n.scale, n.value),
        AMQPValue::ShortString(text) => HeaderValue::ShortText(text.to_string()),
        AMQPValue::LongString(text) => match str::from_utf8(text.as_bytes()) {
            Ok(text) => HeaderValue::Text(text.to_owned()),
            Err(_) => HeaderValue::TextBytes(text.as_bytes().to_vec()),
        },
        AMQPValue::FieldArray(list) => {
            let values = list.as_slice().iter();
            HeaderValue::List(values.map(|item| value(item, depth + 1)).collect())
        }
        AMQPValue::Timestamp(seconds) => HeaderValue::Timestamp(*seconds),
        AMQPValue::FieldTable(fields) => HeaderValue::Table(table(fields, depth + 1)),
        AMQPValue::ByteArray(bytes) => HeaderValue::Bytes(bytes.as_slice().to_vec()),
        AMQPValue::Void => HeaderValue::Void,
    }
}

fn field_table(from: &BTreeMap<String, HeaderValue>) -> Result<FieldTable, BrokerError> {
    let mut fields = FieldTable::default();
    for (name, value) in from {
        fields.insert(short(name)?, amqp_value(value)?);
    }
    Ok(fields)
}

fn amqp_value(from: &HeaderValue) -> Result<AMQPValue, BrokerError> {
    Ok(match from {
        HeaderValue::Void => AMQPValue::Void,
        HeaderValue::Bool(bool) => AMQPValue::Boolean(*bool),
        HeaderValue::I8(n) => AMQPValue::ShortShortInt(*n),
        HeaderValue::U8(n) => AMQPValue::ShortShortUInt(*n),
        HeaderValue::I16(n) => AMQPValue::ShortInt(*n),
        HeaderValue::U16(n) => AMQPValue::ShortUInt(*n),
        HeaderValue::I32(n) => AMQPValue::LongInt(*n),
        HeaderValue::U32(n) => AMQPValue::LongUInt(*n),
        HeaderValue::I64(n) => AMQPValue::LongLongInt(*n),
        HeaderValue::F32Bits(bits) => AMQPValue::Float(f32::from_bits(*bits)),
        HeaderValue::F64Bits(bits) => AMQPValue::Double(f64::from_bits(*bits)),
        HeaderValue::Decimal(scale, value) => {
            AMQPValue::DecimalValue(DecimalValue { scale: *scale, value: *value })
        }
        // A short string is deprecated in tables, and RabbitMQ refuses to store one.
        HeaderValue::ShortText(text) | HeaderValue::Text(text) => {
            AMQPValue::LongString(text.as_str().into())
        }
        HeaderValue::TextBytes(bytes) => AMQPValue::LongString(bytes.clone().into()),
        HeaderValue::Bytes(bytes) => AMQPValue::ByteArray(ByteArray::from(bytes.clone())),
        HeaderValue::Timestamp(seconds) => AMQPValue::Timestamp(*seconds),
        HeaderValue::List(values) => {
            let values: Result<Vec<_>, _> = values.iter().map(amqp_value).collect();
            AMQPValue::FieldArray(FieldArray::from(values?))
        }
        HeaderValue::Table(table) => AMQPValue::FieldTable(field_table(table)?),
    })
}
