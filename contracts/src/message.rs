//! The trait of all messages, and the one way from bytes to a valid message.

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::object::object;
use crate::refusal::{Reason, Refusal};

/// A command or an event: a JSON body with a type that carries its version.
pub trait Message: Serialize + DeserializeOwned + Send + Sync {
    /// The AMQP property `type`, which is the routing key too, such as `order.place.v1`.
    const KIND: &'static str;

    /// Checks what holds between fields; single fields are valid by their types.
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }

    /// What the message is about, the AMQP property `correlation_id`: the order, or the adjustment.
    fn correlation(&self) -> &str;
}

/// How deep a body may be nested: as deep as a JSON reader with the usual limit of 128 takes it.
pub const DEPTH_MAX: usize = 127;

/// Reads a message from a body, or says in words what is wrong with it, and in which field.
pub fn decode<M: Message>(body: &[u8]) -> Result<M, Refusal> {
    if body.is_empty() {
        return Err(Refusal::new(Reason::EmptyBody, "the body is empty"));
    }
    let text = str::from_utf8(body).map_err(|error| {
        Refusal::new(Reason::InvalidUtf8, format!("the body is not UTF-8: {error}"))
    })?;
    if is_too_deep(body) {
        return Err(Refusal::new(
            Reason::InvalidJson,
            format!("the body is nested more than {DEPTH_MAX} deep"),
        ));
    }
    let message: M = parse(text).map_err(|error| explain::<M>(text, &error))?;
    message.validate().map_err(|problem| Refusal::new(Reason::InvalidContent, problem))?;
    Ok(message)
}

/// Whether objects and arrays are nested more than [`DEPTH_MAX`] deep. `serde_json` passes over an
/// unknown field of any depth, but whoever shows or forwards the body later might not.
fn is_too_deep(body: &[u8]) -> bool {
    let opens = |byte: &u8| matches!(byte, b'{' | b'[');
    if body.iter().filter(|byte| opens(byte)).count() <= DEPTH_MAX {
        return false;
    }
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'}' | b']' => depth = depth.saturating_sub(1),
            byte if opens(byte) => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

fn parse<M: Message>(text: &str) -> Result<M, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let message = object(&mut json)?;
    json.end()?;
    Ok(message)
}

/// Parses once more, slower, to tell broken JSON from a wrong field, and to find the field's path.
fn explain<M: Message>(text: &str, error: &serde_json::Error) -> Refusal {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return Refusal::new(Reason::InvalidJson, format!("the body is not valid JSON: {error}"));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let located = object::<M, _>(tracked).err();
    let path = track.path();
    match located {
        Some(located) if path.iter().next().is_some() => {
            let mut problem = located.to_string();
            if path.to_string().ends_with(SECRET_FIELD) {
                problem = without_value(&problem);
            }
            Refusal::new(Reason::InvalidContent, format!("{path}: {problem}"))
        }
        // What stands in place of an object may be all of it, encoded once too often.
        _ => Refusal::new(Reason::InvalidContent, without_value(&error.to_string())),
    }
}

/// The field whose value no explanation quotes, whatever a sender put there: it may be a card number.
const SECRET_FIELD: &str = "payment_token";

/// The text of an error without the value that it quotes.
fn without_value(error: &str) -> String {
    match error.find(['"', '`']).zip(error.rfind(", expected")) {
        Some((value, rest)) if value < rest => {
            format!("{}{}", error[..value].trim_end(), &error[rest..])
        }
        _ => error.to_owned(),
    }
}
