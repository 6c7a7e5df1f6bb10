//! Whatever arrives and whatever is sent: nothing panics, everything valid survives the wire.

use orderly_contracts::catalogue::CATALOGUE;
use orderly_contracts::number::{Quantity, UnitPrice};
use orderly_contracts::order::{OrderLine, PlaceOrder, total};
use orderly_contracts::text::{Currency, CustomerId, Note, OrderId, PaymentToken, Sku};
use orderly_contracts::{Message, decode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

fn id<T: TryFrom<String> + std::fmt::Debug>(longest: usize) -> impl Strategy<Value = T> {
    let text = proptest::string::string_regex(&format!("[A-Za-z0-9._:-]{{1,{longest}}}"));
    let parsed = |text: String| T::try_from(text).ok().expect("the text follows the rules");
    text.expect("the pattern is one").prop_map(parsed)
}

fn sku() -> impl Strategy<Value = Sku> {
    "[!-~]([ -~]{0,62}[!-~])?".prop_map(|text| Sku::new(text).expect("the text follows the rules"))
}

prop_compose! {
    fn line()(
        sku in sku(),
        quantity in Quantity::MIN..=Quantity::MAX,
        price in prop_oneof![0..=100_000_i64, UnitPrice::MIN..=UnitPrice::MAX],
        service in any::<bool>(),
    ) -> OrderLine {
        OrderLine {
            sku,
            quantity: Quantity::new(quantity).expect("within the bounds"),
            unit_price: UnitPrice::new(price).expect("within the bounds"),
            service,
        }
    }
}

prop_compose! {
    fn order()(
        order_id in id::<OrderId>(64),
        customer_id in proptest::option::of(id::<CustomerId>(64)),
        lines in vec(line(), 1..20),
        currency in "[A-Z]{3}",
        payment_token in id::<PaymentToken>(128),
    ) -> PlaceOrder {
        let currency = Currency::new(&currency).expect("three capital letters");
        PlaceOrder { order_id, customer_id, lines, currency, payment_token }
    }
}

/// Values that are wrong in most places, and right in some.
fn intruder() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        select(vec![0, 1, -1, 1_000_000, 1_000_001, i64::MAX, i64::MIN]),
        any::<i64>(),
    ];
    // A float without a fraction is an integer to JSON Schema; the README says that we refuse it.
    let fraction = (-1000..1000).prop_map(|whole| json!(f64::from(whole) + 0.5));
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number.prop_map(Value::from),
        fraction,
        any::<u64>().prop_map(Value::from),
        "[ -~]{0,70}".prop_map(Value::from),
        "\\PC{0,5}".prop_map(Value::from),
        "[A-Z]{2,4}".prop_map(Value::from),
        select(vec![json!([]), json!({}), json!([[]]), json!([{}]), json!("\u{0}"), json!("A\n")]),
    ]
}

/// All places in the value, as JSON pointers.
fn places(value: &Value, here: String, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| {
            places(item, format!("{here}/{index}"), found);
        }),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            places(field, format!("{here}/{name}"), found);
        }),
        _ => {}
    }
    found.push(here);
}

/// The order's JSON with one place replaced or removed.
fn mutated(mut body: Value, place: Index, intruder: Option<Value>) -> Value {
    let mut found = Vec::new();
    places(&body, String::new(), &mut found);
    let place = place.get(&found);
    match (intruder, place.rsplit_once('/')) {
        (Some(value), _) => *body.pointer_mut(place).expect("the place exists") = value,
        (None, Some((parent, name))) => match body.pointer_mut(parent) {
            Some(Value::Object(fields)) => {
                fields.remove(name);
            }
            Some(Value::Array(items)) => {
                items.remove(name.parse().expect("a place in an array"));
            }
            _ => unreachable!("the parent of a place holds it"),
        },
        (None, None) => body = Value::Object(Map::new()),
    }
    body
}

proptest! {
    #[test]
    fn no_bytes_make_any_message_panic(body in vec(any::<u8>(), 0..200)) {
        for entry in CATALOGUE {
            let _ = entry.read(&body);
        }
    }

    #[test]
    fn no_text_between_braces_makes_any_message_panic(body in "[{\\[]([\":,{}\\[\\]a-z0-9.eE+ -]|\\PC){0,100}") {
        for entry in CATALOGUE {
            let _ = entry.read(body.as_bytes());
        }
    }

    #[test]
    fn no_damaged_example_makes_any_message_panic(
        message in any::<Index>(), place in any::<Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let entry = message.get(CATALOGUE);
        let mut body = entry.example();
        let place = place.index(body.len());
        if cut { body.truncate(place) } else { body[place] = byte }
        let _ = entry.read(&body);
    }

    #[test]
    fn a_valid_order_survives_the_wire(order in order()) {
        let wire = serde_json::to_vec(&order).expect("an order is JSON");
        match total(&order.lines) {
            Some(_) => prop_assert_eq!(decode::<PlaceOrder>(&wire).expect("it is valid"), order),
            None => prop_assert!(decode::<PlaceOrder>(&wire).expect_err("too much").text.contains("total")),
        }
    }

    #[test]
    fn the_schema_and_the_reader_agree_on_every_mutated_order(
        order in order(), place in any::<Index>(), intruder in proptest::option::weighted(0.8, intruder()),
    ) {
        let schema = CATALOGUE[0].schema().into();
        let validator = jsonschema::validator_for(&schema).expect("the schema is one");
        let body = mutated(serde_json::to_value(&order).expect("an order is JSON"), place, intruder);
        let read = decode::<PlaceOrder>(body.to_string().as_bytes());
        // The total of all lines is the one rule that JSON Schema cannot express.
        let is_too_dear = read.as_ref().is_err_and(|refusal| refusal.text.contains("the total"));
        prop_assert_eq!(validator.is_valid(&body), read.is_ok() || is_too_dear, "{}: {:?}", body, read);
    }

    #[test]
    fn a_text_that_its_pattern_refuses_is_refused_and_the_other_way_round(text in "[ -~\u{7f}-\u{a1}\u{0}é]{0,8}") {
        let mut schemas = schemars::generate::SchemaSettings::draft2020_12().into_generator();
        macro_rules! agrees {
            ($($text:ident),*) => { $({
                let schema = schemas.root_schema_for::<$text>().into();
                let validator = jsonschema::validator_for(&schema).expect("the schema is one");
                let is_valid = validator.is_valid(&json!(text));
                prop_assert_eq!(is_valid, $text::new(text.as_str()).is_ok(), "{:?}", text);
            })* };
        }
        agrees!(OrderId, Sku, Note, Currency);
    }

    #[test]
    fn texts_are_ordered_by_their_bytes(a in "[ -~éß€😀]{1,6}", b in "[ -~éß€😀]{1,6}") {
        if let (Ok(x), Ok(y)) = (Note::new(a.clone()), Note::new(b.clone())) {
            prop_assert_eq!(x.cmp(&y), a.as_bytes().cmp(b.as_bytes()));
        }
        if let (Ok(x), Ok(y)) = (Sku::new(a.clone()), Sku::new(b.clone())) {
            prop_assert_eq!(x.cmp(&y), a.as_bytes().cmp(b.as_bytes()));
        }
    }

    #[test]
    fn currencies_are_ordered_by_their_bytes(a in "[A-Z]{3}", b in "[A-Z]{3}") {
        let order = Currency::new(&a).expect("valid").cmp(&Currency::new(&b).expect("valid"));
        prop_assert_eq!(order, a.as_bytes().cmp(b.as_bytes()));
    }
}

#[test]
fn capitals_come_before_small_letters_as_bytes_do_and_languages_do_not() {
    let sku = |text: &str| Sku::new(text).unwrap();
    let mut skus = ["b", "A 1", "a", "B", "A-1", "10", "9"].map(sku);
    skus.sort();
    assert_eq!(skus.map(|sku| sku.to_string()), ["10", "9", "A 1", "A-1", "B", "a", "b"]);
}

#[test]
fn an_order_is_correlated_by_its_id() {
    let order: PlaceOrder = decode(&CATALOGUE[0].example()).unwrap();
    assert_eq!(order.correlation(), "536365");
}
