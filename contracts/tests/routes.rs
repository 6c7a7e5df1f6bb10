//! The routing table is sound: names, exchanges, queues and parties agree with each other.

use std::collections::{BTreeMap, BTreeSet};

use orderly_contracts::Reason;
use orderly_contracts::catalogue::{CATALOGUE, entry_of};
use orderly_contracts::envelope::HEADERS;
use orderly_contracts::order::{EndReason, OrderStatus};
use orderly_contracts::payment::Operation;
use orderly_contracts::routes::{COMMANDS, EVENTS, Party, ROUTES, kinds_in, route};

#[test]
fn the_catalogue_and_the_routing_table_name_the_same_messages_in_the_same_order() {
    let routes: Vec<_> = ROUTES.iter().map(|route| route.kind).collect();
    let catalogue: Vec<_> = CATALOGUE.iter().map(|entry| entry.kind).collect();
    assert_eq!(routes, catalogue);
}

#[test]
fn kinds_are_unique_and_are_found_by_their_name() {
    let kinds: BTreeSet<_> = ROUTES.iter().map(|route| route.kind).collect();
    assert_eq!(kinds.len(), ROUTES.len());
    for kind in kinds {
        assert_eq!(route(kind).unwrap().kind, kind);
        assert_eq!(entry_of(kind).unwrap().kind, kind);
    }
    assert_eq!(route("order.place.v2"), None);
    assert_eq!(route(""), None);
}

#[test]
fn every_kind_ends_in_its_version_and_is_a_routing_key() {
    for route in ROUTES {
        let words: Vec<_> = route.kind.split('.').collect();
        let [party, action, version] = words[..] else {
            panic!("{} has not three words", route.kind);
        };
        assert!(["order", "stock", "payment"].contains(&party), "{}", route.kind);
        assert!(action.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
        let version: u32 = version.strip_prefix('v').unwrap().parse().unwrap();
        assert!(version >= 1);
        assert!(route.kind.len() <= 255, "AMQP short strings have at most 255 bytes");
    }
}

#[test]
fn the_words_of_a_kind_are_the_words_of_its_rust_type() {
    for entry in CATALOGUE {
        let mut of_type = BTreeSet::new();
        let mut word = String::new();
        for letter in entry.name.chars() {
            if letter.is_uppercase() && !word.is_empty() {
                of_type.insert(std::mem::take(&mut word));
            }
            word.extend(letter.to_lowercase());
        }
        of_type.insert(word);
        let (name, _) = entry.kind.rsplit_once('.').unwrap();
        let of_kind: BTreeSet<_> = name.split(['.', '-']).map(str::to_owned).collect();
        assert_eq!(of_type, of_kind);
        assert_eq!(entry.schema().get("title").unwrap(), entry.name);
    }
}

#[test]
fn commands_travel_on_one_exchange_and_events_on_the_other() {
    for route in ROUTES {
        let (name, _) = route.kind.rsplit_once('.').unwrap();
        let is_past = name.ends_with("ed") || name.ends_with("shortfall");
        let exchange = if is_past { EVENTS } else { COMMANDS };
        assert_eq!(route.exchange, exchange, "{}", route.kind);
        assert!(route.exchange == EVENTS || route.is_required(), "{}", route.kind);
    }
}

#[test]
fn every_queue_is_consumed_by_exactly_one_party_and_named_after_it() {
    let mut parties: BTreeMap<&str, BTreeSet<Party>> = BTreeMap::new();
    for (party, queue) in ROUTES.iter().filter_map(|route| route.consumer) {
        parties.entry(queue).or_default().insert(party);
    }
    for (queue, parties) in parties {
        assert_eq!(parties.len(), 1, "{queue}");
        for party in parties {
            assert_ne!(party, Party::Client);
            assert!(queue.starts_with(&format!("{party}.")), "{queue}");
        }
        assert!(kinds_in(queue).count() > 0);
        assert!(!ROUTES.iter().any(|route| route.kind == queue), "{queue} is a routing key too");
    }
}

#[test]
fn events_are_sent_by_the_party_they_speak_of_and_commands_go_to_it() {
    for route in ROUTES {
        let (subject, _) = route.kind.split_once('.').unwrap();
        let party = match (route.exchange, route.consumer) {
            (COMMANDS, Some((consumer, _))) => consumer,
            _ => route.sender,
        };
        assert_eq!(subject, party.name(), "{}", route.kind);
    }
}

#[test]
fn new_orders_have_a_queue_of_their_own() {
    let kinds: Vec<_> = kinds_in("order.new").map(|route| route.kind).collect();
    assert_eq!(kinds, ["order.place.v1"]);
}

#[test]
fn headers_have_different_names_that_every_client_can_set() {
    let names: BTreeSet<_> = HEADERS.iter().map(|header| header.name).collect();
    assert_eq!(names.len(), HEADERS.len());
    for name in names {
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
    }
}

#[test]
fn closed_sets_have_the_same_words_in_code_and_on_the_wire() {
    for reason in Reason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
        assert_eq!(Reason::from_code(reason.code()), Some(reason));
    }
    for status in OrderStatus::ALL {
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        assert_eq!(OrderStatus::from_word(status.as_str()), Some(status));
    }
    for reason in EndReason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        assert_eq!(EndReason::from_word(reason.as_str()), Some(reason));
    }
    for operation in [Operation::Charge, Operation::Refund] {
        assert_eq!(serde_json::to_value(operation).unwrap(), operation.as_str());
    }
    assert_eq!(Reason::from_code("no_such_reason"), None);
}
