//! From a dead message and changes to a new one, if the contract agrees. Pure.

use orderly_contracts::catalogue::entry_of;
use orderly_contracts::envelope::CONTENT_TYPE;
use orderly_contracts::routes::Party;
use orderly_contracts::text::MessageId;
use orderly_runtime::letter::EDIT_OF;
use orderly_runtime::message::Properties;
use uuid::Uuid;

use crate::dead::replay::way::Origin;

/// A message that died.
pub(super) struct Original<'a> {
    /// The letter about it.
    pub(super) letter: Uuid,
    /// Where it came from.
    pub(super) origin: Origin<'a>,
    /// Its properties.
    pub(super) properties: &'a Properties,
    /// Its body.
    pub(super) body: &'a [u8],
}

/// What is to be different.
pub(super) struct Changes {
    /// The new body; the old one, if it stays.
    pub(super) body: Vec<u8>,
    /// The new type.
    pub(super) kind: Option<String>,
    /// The new message id.
    pub(super) message_id: Option<String>,
}

/// The message that is sent in its place.
#[derive(Debug, PartialEq)]
pub(super) struct Edited {
    /// Its id.
    pub(super) message_id: String,
    /// Its properties, the id included.
    pub(super) properties: Properties,
    /// Its body.
    pub(super) body: Vec<u8>,
}

impl Original<'_> {
    /// The new message, or why there is none. With force, the contract isn't asked.
    pub(super) fn change(&self, changes: Changes, is_forced: bool) -> Result<Edited, String> {
        let old = self.properties.kind.as_deref();
        let kind = changes.kind.as_deref().or(old);
        let origin = Origin { kind, ..self.origin };
        let route = origin.route()?;
        if route.sender != Party::Client && !origin.is_genuine(route) && !is_forced {
            return Err(format!(
                "{} is sent by the {} worker alone; --force sends it in that name",
                route.kind, route.sender
            ));
        }
        if self.is_unchanged(&changes, kind) {
            return Err("nothing is changed; `orderly dead replay` sends it as it is".to_owned());
        }
        if self.origin.is_cut && changes.body == self.body {
            return Err("only the beginning of its body was kept; give all of it".to_owned());
        }
        let message_id = changes.message_id.unwrap_or_else(|| {
            let name = [route.kind.as_bytes(), b"\0", &changes.body].concat();
            Uuid::new_v5(&self.letter, &name).to_string()
        });
        MessageId::new(message_id.as_str()).map_err(|error| format!("the message id: {error}"))?;
        let reading = entry_of(route.kind).map(|entry| entry.read(&changes.body));
        let correlation = match reading {
            Some(Ok(reading)) => Some(reading.correlation),
            Some(Err(refusal)) if !is_forced => {
                let code = refusal.reason.code();
                return Err(format!("{code}: {}; --force sends it all the same", refusal.text));
            }
            _ => self.properties.correlation_id.clone(),
        };
        let mut properties = Properties {
            content_type: Some(CONTENT_TYPE.to_owned()),
            content_encoding: None,
            kind: Some(route.kind.to_owned()),
            message_id: Some(message_id.clone()),
            correlation_id: correlation,
            ..self.properties.clone()
        };
        properties.set_header(EDIT_OF, self.letter.to_string());
        Ok(Edited { message_id, properties, body: changes.body })
    }

    /// Whether replaying it would do the same. An id that is no good, or another content type, is a
    /// reason to send the same content as a new message.
    fn is_unchanged(&self, changes: &Changes, kind: Option<&str>) -> bool {
        let old = self.properties;
        let is_json = old.content_type.as_deref() == Some(CONTENT_TYPE);
        let id = old.message_id.as_deref().unwrap_or_default();
        changes.body == self.body
            && kind == old.kind.as_deref()
            && (changes.message_id.is_none() || changes.message_id == old.message_id)
            && is_json
            && old.content_encoding.is_none()
            && MessageId::new(id).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LETTER: Uuid = Uuid::from_u128(7);

    fn good() -> Vec<u8> {
        json!({"order_id": "o", "currency": "GBP", "payment_token": "t",
               "lines": [{"sku": "a", "quantity": 1, "unit_price": 1}]})
        .to_string()
        .into_bytes()
    }

    fn change(origin: Origin<'_>, changes: Changes, is_forced: bool) -> Result<Edited, String> {
        let properties = Properties {
            kind: origin.kind.map(str::to_owned),
            message_id: origin.message_id.map(str::to_owned),
            content_type: Some(CONTENT_TYPE.to_owned()),
            ..Properties::default()
        };
        let original = Original { letter: LETTER, origin, properties: &properties, body: b"bad" };
        original.change(changes, is_forced)
    }

    const PLACE: Origin<'_> = Origin {
        queue: "order.new",
        exchange: "orderly.commands",
        routing_key: "order.place.v1",
        kind: Some("order.place.v1"),
        message_id: Some("m"),
        is_cut: false,
    };

    fn body(body: impl Into<Vec<u8>>) -> Changes {
        Changes { body: body.into(), kind: None, message_id: None }
    }

    #[test]
    fn the_same_edit_is_the_same_message_and_another_one_is_not() {
        let first = change(PLACE, body(good()), false).unwrap();
        assert_eq!(first, change(PLACE, body(good()), false).unwrap());
        assert_ne!(first.message_id, "m");
        assert_eq!(first.properties.correlation_id.as_deref(), Some("o"));
        assert_eq!(first.properties.content_type.as_deref(), Some(CONTENT_TYPE));
        assert_eq!(first.properties.text_header(EDIT_OF), Some(LETTER.to_string().as_str()));
        let other = change(PLACE, body([good(), b" ".to_vec()].concat()), false).unwrap();
        assert_ne!(first.message_id, other.message_id);
    }

    #[test]
    fn what_the_contract_refuses_needs_force() {
        let why = change(PLACE, body("{}"), false).unwrap_err();
        assert!(why.contains("invalid_content"), "{why}");
        assert!(change(PLACE, body("{}"), true).is_ok());
        let why = change(PLACE, body("bad"), true).unwrap_err();
        assert!(why.contains("nothing is changed"), "{why}");
        let nameless = Origin { message_id: None, ..PLACE };
        assert!(change(nameless, body("bad"), true).is_ok());
        let why = change(Origin { is_cut: true, ..nameless }, body("bad"), true).unwrap_err();
        assert!(why.contains("only the beginning"), "{why}");
        let kind = |kind: &str| Changes { kind: Some(kind.to_owned()), ..body(good()) };
        let why = change(PLACE, kind("stock.adjust.v1"), true).unwrap_err();
        assert!(why.contains("order.new takes order.place.v1"), "{why}");
    }

    #[test]
    fn nobody_speaks_in_a_workers_name_by_mistake() {
        let forged = Origin {
            queue: "order.answers",
            routing_key: "order.cancel.v1",
            kind: Some("stock.reserved.v1"),
            ..PLACE
        };
        let why = change(forged, body(r#"{"order_id":"o"}"#), false).unwrap_err();
        assert!(why.contains("stock worker alone"), "{why}");
        let cancel =
            Changes { kind: Some("order.cancel.v1".to_owned()), ..body(r#"{"order_id":"o"}"#) };
        assert!(change(forged, cancel, false).is_ok());
    }
}
