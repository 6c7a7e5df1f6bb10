//! Every bad body is refused with the right reason, and with words that name the field.

use orderly_contracts::catalogue::{CATALOGUE, entry_of};
use orderly_contracts::message::DEPTH_MAX;
use orderly_contracts::order::PlaceOrder;
use orderly_contracts::{Reason, Refusal, decode};
use serde_json::{Value, json};

const GOOD: &str = r#"{"order_id":"o-1","customer_id":"c-1","lines":[{"sku":"A 1","quantity":2,"unit_price":255,"service":false}],"currency":"GBP","payment_token":"tok_visa"}"#;

/// The good order with the value at `pointer` replaced by `text`, which need not be JSON.
fn with(pointer: &str, text: &str) -> Vec<u8> {
    let mut body: Value = serde_json::from_str(GOOD).expect("the good order is JSON");
    *body.pointer_mut(pointer).expect("the good order has it") = json!("PLACE");
    body.to_string().replace("\"PLACE\"", text).into_bytes()
}

/// The good order without the field at `pointer`.
fn without(pointer: &str) -> Vec<u8> {
    let mut body: Value = serde_json::from_str(GOOD).expect("the good order is JSON");
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let object = body.pointer_mut(parent).and_then(Value::as_object_mut);
    object.expect("the good order has it").remove(name);
    body.to_string().into_bytes()
}

fn place(body: &[u8]) -> Result<PlaceOrder, Refusal> {
    decode(body)
}

/// Asserts that the body is refused for this reason, in a text that holds `word`.
fn hold(body: &[u8], reason: Reason, word: &str) {
    let shown: String = String::from_utf8_lossy(body).chars().take(300).collect();
    let refusal = place(body).expect_err(&shown);
    assert_eq!(refusal.reason, reason, "{shown}: {refusal}");
    assert!(refusal.text.contains(word), "{shown}: {refusal}");
    assert!(refusal.text.len() <= Refusal::TEXT_MAX, "{shown}");
}

#[test]
fn the_good_order_is_good() {
    place(GOOD.as_bytes()).unwrap();
    place(&with("/order_id", "\"o-2\"")).unwrap();
    place(&without("/customer_id")).unwrap();
    place(&without("/lines/0/service")).unwrap();
}

/// Whole bodies that are no JSON, and a word of the text.
const BROKEN_BODIES: &[(&[u8], Reason, &str)] = &[
    (b"", Reason::EmptyBody, "empty"),
    (b"  \n", Reason::InvalidJson, "EOF"),
    (b"{\"order_id\":\"\xff\"}", Reason::InvalidUtf8, "UTF-8"),
    (b"\xff\xfe{\0}\0", Reason::InvalidUtf8, "UTF-8"),
    (b"\"\xed\xa0\x80\"", Reason::InvalidUtf8, "UTF-8"),
    (b"\xef\xbb\xbf{}", Reason::InvalidJson, "line 1"),
    (b"{\"order_id\":\"o", Reason::InvalidJson, "EOF"),
    (b"{} x", Reason::InvalidJson, "trailing"),
    (b"{}{}", Reason::InvalidJson, "trailing"),
    (b"{'order_id':'1'}", Reason::InvalidJson, "key"),
    (b"{\"order_id\":\"1\",}", Reason::InvalidJson, "key"),
    (b"<order/>", Reason::InvalidJson, "line 1"),
    (b"NaN", Reason::InvalidJson, "line 1"),
    (b"{\"order_id\":7,?", Reason::InvalidJson, "key"),
];

/// Values that break the JSON around them, wherever they stand.
const BROKEN_VALUES: &[(&str, &str)] = &[
    ("NaN", "column"),
    ("Infinity", "column"),
    ("0255", "number"),
    ("+1", "column"),
    (".5", "column"),
    ("1 /* pence */", "column"),
    ("\"a\0b\"", "control character"),
    ("\"a\nb\"", "control character"),
    ("\"\\x\"", "escape"),
    ("True", "column"),
    ("", "column"),
];

#[test]
fn what_is_not_json_is_refused_before_its_content_is_looked_at() {
    for (body, reason, word) in BROKEN_BODIES {
        hold(body, *reason, word);
    }
    for (value, word) in BROKEN_VALUES {
        for pointer in ["/order_id", "/lines/0/unit_price", "/currency", "/payment_token"] {
            hold(&with(pointer, value), Reason::InvalidJson, word);
        }
    }
    hold(&[GOOD, "x"].concat().into_bytes(), Reason::InvalidJson, "trailing");
    hold(&[GOOD, GOOD].concat().into_bytes(), Reason::InvalidJson, "trailing");
}

/// The good order with an unknown field whose arrays are `depth` deep.
fn nested(depth: usize) -> Vec<u8> {
    let deep = format!("{}\"]\\\"[\"{}", "[".repeat(depth), "]".repeat(depth));
    GOOD.replacen('{', &format!("{{\"x\":{deep},"), 1).into_bytes()
}

#[test]
fn a_body_may_be_nested_as_deep_as_common_readers_take_it_and_no_deeper() {
    // The body itself is one level more.
    let deepest = nested(DEPTH_MAX - 1);
    assert!(place(&deepest).is_ok());
    assert!(serde_json::from_slice::<Value>(&deepest).is_ok());
    assert!(serde_json::from_slice::<Value>(&nested(DEPTH_MAX)).is_err());
    hold(&nested(DEPTH_MAX), Reason::InvalidJson, "nested more than 127 deep");
    hold(&nested(200), Reason::InvalidJson, "nested");
    hold(&"[".repeat(1 << 20).into_bytes(), Reason::InvalidJson, "nested");
}

/// JSON that is no order at all.
const OTHER_JSON: &[(&str, &str)] = &[
    ("null", "null"),
    ("\"order\"", "string"),
    ("7", "integer"),
    ("[]", "sequence"),
    (r#"["o-1",null,[],"GBP","tok"]"#, "sequence"),
    ("{}", "order_id"),
    (r#"{"order_id":"a","order_id":"b"}"#, "order_id"),
];

/// Where a value is wrong, the wrong value, and what the text says; most often the field's path.
const WRONG_VALUES: &[(&str, &str, &str)] = &[
    ("/lines", "null", "lines"),
    ("/lines", "{}", "lines"),
    ("/lines", "[]", "lines"),
    ("/lines/0", r#"["A",1,2]"#, "lines[0]"),
    ("/lines/0", r#""A""#, "lines[0]"),
    ("/lines/0", r#"{"sku":"A","sku":"B"}"#, "sku"),
    ("/lines/0/quantity", "0", "lines[0].quantity"),
    ("/lines/0/quantity", "-1", "lines[0].quantity"),
    ("/lines/0/quantity", "-0", "lines[0].quantity"),
    ("/lines/0/quantity", "1000001", "1 to 1000000"),
    ("/lines/0/quantity", "2.0", "lines[0].quantity"),
    ("/lines/0/quantity", "1.5", "lines[0].quantity"),
    ("/lines/0/quantity", r#""2""#, "lines[0].quantity"),
    ("/lines/0/quantity", "true", "lines[0].quantity"),
    ("/lines/0/quantity", "null", "lines[0].quantity"),
    ("/lines/0/unit_price", "-1", "lines[0].unit_price"),
    ("/lines/0/unit_price", "1e2", "lines[0].unit_price"),
    ("/lines/0/unit_price", "1e400", "lines[0].unit_price"),
    ("/lines/0/unit_price", "-1e400", "lines[0].unit_price"),
    ("/lines/0/unit_price", "99999999999999999999", "unit_price"),
    ("/lines/0/unit_price", "9223372036854775808", "unit_price"),
    ("/lines/0/unit_price", "1000000000001", "unit_price"),
    ("/lines/0/service", "1", "lines[0].service"),
    ("/lines/0/service", "null", "lines[0].service"),
    ("/lines/0/sku", r#""""#, "lines[0].sku"),
    ("/lines/0/sku", r#"" A""#, "lines[0].sku"),
    ("/lines/0/sku", r#""A ""#, "lines[0].sku"),
    ("/lines/0/sku", r#""A\n""#, "lines[0].sku"),
    ("/lines/0/sku", r#""A\u0000B""#, "'\\0'"),
    ("/order_id", r#""""#, "order_id is empty"),
    ("/order_id", r#""o\u0000""#, "'\\0'"),
    ("/order_id", r#""\ud800""#, "order_id"),
    ("/order_id", r#""o 1""#, "' '"),
    ("/order_id", r#""o/1""#, "'/'"),
    ("/order_id", r#""ö""#, "order_id"),
    ("/order_id", "536365", "order_id"),
    ("/order_id", "null", "order_id"),
    ("/customer_id", r#""""#, "customer_id"),
    ("/customer_id", "17850", "customer_id"),
    ("/currency", r#""gbp""#, "currency"),
    ("/currency", r#""GBPP""#, "currency"),
    ("/currency", r#""£""#, "currency"),
    ("/currency", "826", "currency"),
    ("/payment_token", "{}", "payment_token"),
];

#[test]
fn json_that_is_no_order_is_refused_with_the_path_of_the_field() {
    for (body, word) in OTHER_JSON {
        hold(body.as_bytes(), Reason::InvalidContent, word);
    }
    for (pointer, value, word) in WRONG_VALUES {
        hold(&with(pointer, value), Reason::InvalidContent, word);
    }
    for pointer in ["/order_id", "/lines", "/currency", "/payment_token"] {
        hold(&without(pointer), Reason::InvalidContent, &pointer[1..]);
    }
    for name in ["sku", "quantity", "unit_price"] {
        let body = without(&format!("/lines/0/{name}"));
        hold(&body, Reason::InvalidContent, "lines[0]");
        hold(&body, Reason::InvalidContent, name);
    }
    let long = |bytes| format!("\"{}\"", "x".repeat(bytes));
    place(&with("/order_id", &long(64))).unwrap();
    hold(&with("/order_id", &long(65)), Reason::InvalidContent, "65 bytes, at most 64");
    hold(&with("/payment_token", &long(129)), Reason::InvalidContent, "payment_token");
}

#[test]
fn no_refusal_shows_a_payment_token_or_a_body() {
    let card = "4929123412341234";
    for value in [card, "-4929123412341234", "4929123412341234.5", "[4929123412341234]"] {
        hold(&with("/payment_token", value), Reason::InvalidContent, "payment_token: invalid type");
        let text = place(&with("/payment_token", value)).expect_err("it is no text").text;
        assert!(!text.contains(card), "{text}");
    }
    for token in ["\"tok_secret word\"", "\"tok_secret\\u0000\""] {
        let text = place(&with("/payment_token", token)).expect_err("it is no token").text;
        assert!(text.starts_with("payment_token: ") && !text.contains("secret"), "{text}");
    }
    // Encoded twice, as happens where a library encodes what is JSON already.
    let twice = Value::from(GOOD).to_string();
    hold(twice.as_bytes(), Reason::InvalidContent, "string, expected");
    let text = place(twice.as_bytes()).expect_err("it is a text").text;
    assert!(!text.contains("tok_visa") && !text.contains("o-1"), "{text}");
}

/// So many equal lines.
fn lines(count: usize, quantity: i64, unit_price: i64) -> String {
    let line = json!({ "sku": "A", "quantity": quantity, "unit_price": unit_price });
    json!(vec![line; count]).to_string()
}

#[test]
fn too_many_lines_and_totals_that_overflow_are_refused_with_the_limit() {
    let dear = 1_000_000_000_000;
    place(&with("/lines", &lines(2_000, 1, dear))).unwrap();
    for (lines, word) in [
        (lines(10_000, 1, 1), "10000 lines, at most 2000"),
        (lines(2_001, 1, 1), "2001 lines, at most 2000"),
        (lines(1, 1_000_000, dear), "lines: the total"),
        (lines(2_000, 1_000_000, dear), "lines: the total"),
        (lines(1_001, 9, dear), "lines: the total"),
    ] {
        hold(&with("/lines", &lines), Reason::InvalidContent, word);
    }
}

#[test]
fn the_largest_total_is_accepted_and_one_more_is_not() {
    let lines = |rest: i64| {
        let dear = json!({ "sku": "A", "quantity": 9_007, "unit_price": 1_000_000_000_000_i64 });
        json!([dear, { "sku": "B", "quantity": 1, "unit_price": rest }]).to_string()
    };
    assert!(place(&with("/lines", &lines(199_254_740_991))).is_ok());
    assert!(place(&with("/lines", &lines(199_254_740_992))).is_err());
}

/// Messages, bad bodies of theirs, and what the text says.
const OTHER_MESSAGES: &[(&str, &str, &str)] = &[
    ("stock.rejected.v1", r#"{"order_id":"1","reason":"no_mood"}"#, "no_mood"),
    ("payment.declined.v1", r#"{"order_id":"1","reason":"Provider"}"#, "Provider"),
    (
        "payment.executed.v1",
        r#"{"order_id":"1","operation":"gift","outcome":"approved"}"#,
        "operation",
    ),
    ("stock.adjust.v1", r#"{"adjustment_id":"1","sku":"A","delta":0}"#, "delta"),
    ("stock.adjust.v1", r#"{"adjustment_id":"1","sku":"A","delta":1,"note":" x"}"#, "note"),
    ("stock.adjust.v1", r#"{"adjustment_id":"1","sku":"A","delta":1,"note":"\u0000"}"#, "note"),
    ("stock.reserve.v1", r#"{"order_id":"1","lines":[]}"#, "lines"),
    ("stock.reserve.v1", r#"{"order_id":"1","lines":[["A",1]]}"#, "lines[0]"),
    ("stock.release.v1", r#"["1"]"#, "sequence"),
    ("order.confirmed.v1", r#"["1",1,"confirmed",null,null,[],null,0]"#, "sequence"),
    (
        "order.confirmed.v1",
        r#"{"order_id":"1","version":0,"status":"confirmed","lines":[],"total":0}"#,
        "version",
    ),
    (
        "payment.charge.v1",
        r#"{"order_id":"1","amount":0,"currency":"GBP","payment_token":"t"}"#,
        "amount",
    ),
];

#[test]
fn other_messages_refuse_unknown_words_and_empty_effects() {
    for (kind, body, word) in OTHER_MESSAGES {
        let entry = entry_of(kind).unwrap();
        let refusal = entry.read(body.as_bytes()).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidContent, "{kind}: {refusal}");
        assert!(refusal.text.contains(word), "{kind}: {refusal}");
        let validator = jsonschema::validator_for(&entry.schema().into()).unwrap();
        assert!(!validator.is_valid(&serde_json::from_str(body).unwrap()), "{kind}: {body}");
    }
}

#[test]
fn every_message_refuses_what_lacks_one_of_its_required_fields() {
    for entry in CATALOGUE {
        let example: Value = serde_json::from_slice(&entry.example()).unwrap();
        let schema = Value::from(entry.schema());
        let root = match schema["$ref"].as_str() {
            Some(reference) => schema.pointer(&reference[1..]).unwrap(),
            None => &schema,
        };
        for name in root["required"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let mut body = example.clone();
            body.as_object_mut().unwrap().remove(name);
            let refusal = entry.read(body.to_string().as_bytes()).unwrap_err();
            assert_eq!(refusal.reason, Reason::InvalidContent, "{entry:?}");
            assert!(refusal.text.contains(name), "{entry:?}: {refusal}");
        }
    }
}

#[test]
fn a_refusal_never_quotes_more_than_a_header_can_carry() {
    let huge = format!("\"{}\"", "ä".repeat(1 << 20));
    let refusal = place(&with("/lines", &huge)).unwrap_err();
    assert!(refusal.text.starts_with("lines: "), "{refusal}");
    assert!(refusal.text.len() <= Refusal::TEXT_MAX && refusal.text.ends_with('…'));
}
