//! Whether a message may be sent: the contract's own readers decide, before the broker sees it.

use orderly_contracts::catalogue::entry_of;
use orderly_contracts::routes::{Party, ROUTES, route};
use orderly_contracts::text::MessageId;
use orderly_contracts::{Reason, Refusal};

use super::record::{Draft, Record, Refused};

/// The longest text AMQP carries in a property or a routing key.
const SHORT_TEXT_MAX: usize = 255;

/// Checks a message against the contract, and notes what it is about.
pub fn check(mut draft: Draft) -> Record {
    match verdict(&draft) {
        Ok(correlation) => {
            draft.correlation = Some(correlation);
            carriable(draft)
        }
        Err(refusal) => Err(refused(&draft, refusal.reason.code(), &refusal.text)),
    }
}

/// Checks only that AMQP can carry the message at all.
pub fn carriable(draft: Draft) -> Record {
    let names = draft.headers.keys().map(|name| (name.as_str(), "a header's name"));
    let texts = [
        (draft.kind.as_str(), "the type"),
        (draft.message_id.as_str(), "the message id"),
        (draft.routing_key.as_str(), "the routing key"),
    ];
    let too_long = names
        .chain(texts)
        .find(|(text, _)| text.len() > SHORT_TEXT_MAX)
        .map(|(text, what)| format!("{what} has {} bytes, AMQP carries 255", text.len()));
    match too_long {
        Some(text) => Err(refused(&draft, "too_long_for_amqp", &text)),
        None => Ok(draft),
    }
}

fn verdict(draft: &Draft) -> Result<String, Refusal> {
    let kind = draft.kind.as_str();
    let (Some(entry), Some(route)) = (entry_of(kind), route(kind)) else {
        let known: Vec<_> = ROUTES
            .iter()
            .filter(|route| route.sender == Party::Client)
            .map(|route| route.kind)
            .collect();
        let text = format!("{kind:?} is no known type; you may send {}", known.join(", "));
        return Err(Refusal::new(Reason::UnknownType, text));
    };
    if route.sender != Party::Client {
        let text = format!("{kind} is sent by the {} worker alone", route.sender);
        return Err(Refusal::new(Reason::UnknownType, text));
    }
    MessageId::new(draft.message_id.as_str())
        .map_err(|error| Refusal::new(Reason::InvalidMessageId, error.to_string()))?;
    Ok(entry.read(&draft.body)?.correlation)
}

fn refused(draft: &Draft, reason: &str, text: &str) -> Refused {
    Refused::new(&draft.place.file, draft.place.line, reason, text).of(&draft.message_id)
}
