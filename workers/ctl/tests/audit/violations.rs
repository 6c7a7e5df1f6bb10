//! Every violation that tables allow, made on purpose by a statement and found by its code.

use serde_json::json;

use super::world::{World, id, violations};

/// A statement for a service's database, on an order or an article, and what it violates there.
/// `@` in a statement is the subject.
type Case = (&'static str, String, &'static str, &'static str);

const NEW_HISTORY: &str = "INSERT INTO order_history (order_id, version, at, from_status, \
    to_status, cause_source, cause_id, kind) VALUES ('@', 4, now(), 'confirmed', 'cancelled', \
    'client', 'm', 'test'); UPDATE orders SET version = 4 WHERE order_id = '@'";

fn of_orders() -> Vec<Case> {
    let case = |number, code, statement| ("order", id(number), code, statement);
    vec![
        case(2, "history_lost", "DELETE FROM order_history WHERE order_id = '@'"),
        case(3, "order_lost", "DELETE FROM orders WHERE order_id = '@'"),
        case(4, "ended_twice", NEW_HISTORY),
        case(5, "total_wrong", "UPDATE orders SET total = 601 WHERE order_id = '@'"),
        case(6, "unreadable", r#"UPDATE orders SET lines = '[{"sku":1}]' WHERE order_id = '@'"#),
        case(7, "history_broken", "DELETE FROM order_history WHERE order_id = '@' AND version = 2"),
        case(
            8,
            "end_missing",
            "UPDATE order_history SET to_status = 'reserved' WHERE order_id = '@' AND version = 3",
        ),
        case(
            9,
            "goods_differ",
            r#"UPDATE orders SET lines = '[{"sku":"a","quantity":2,"unit_price":300}]'
               WHERE order_id = '@'"#,
        ),
        case(
            20,
            "history_disagrees",
            "UPDATE orders SET status = 'cancelled' WHERE order_id = '@'",
        ),
        case(
            10_001,
            "deadline_lost",
            "INSERT INTO orders (order_id, currency, payment_token, lines, total, placed_at,
                 status, version, round, owes_release, owes_refund, refunded)
             VALUES ('@', 'GBP', 't', '[]', 0, now(), 'pending', 1, 0, false, false, false);
             INSERT INTO order_history
                 (order_id, version, at, to_status, cause_source, cause_id, kind)
             VALUES ('@', 1, now(), 'pending', 'client', 'm', 'test')",
        ),
    ]
}

fn of_stock() -> Vec<Case> {
    let case = |number, code, statement| ("stock", id(number), code, statement);
    vec![
        case(
            22,
            "stock_ledger_wrong",
            "UPDATE reservations SET status = 'released' WHERE order_id = '@'",
        ),
        case(
            23,
            "commit_missing",
            "UPDATE reservations SET status = 'reserved' WHERE order_id = '@';
             DELETE FROM stock_ledger WHERE order_id = '@' AND operation = 'commit';
             UPDATE items SET on_hand = on_hand + 2, reserved = reserved + 2
             WHERE sku IN ('a', 'b')",
        ),
        case(
            24,
            "committed_twice",
            "INSERT INTO stock_ledger (sku, order_id, operation, pieces, at)
             VALUES ('a', '@', 'commit', 2, now());
             UPDATE items SET on_hand = on_hand - 2, reserved = reserved - 2 WHERE sku = 'a'",
        ),
        case(
            21,
            "held_after_end",
            "UPDATE reservations SET status = 'reserved' WHERE order_id = '@';
             DELETE FROM stock_ledger WHERE order_id = '@' AND operation = 'release';
             UPDATE items SET reserved = reserved + 2 WHERE sku IN ('a', 'b')",
        ),
        case(
            41,
            "committed_unconfirmed",
            "UPDATE reservations SET status = 'committed' WHERE order_id = '@';
             UPDATE stock_ledger SET operation = 'commit'
             WHERE order_id = '@' AND operation = 'release';
             UPDATE items SET on_hand = on_hand - 2 WHERE sku IN ('a', 'b')",
        ),
        case(25, "reservation_lost", "DELETE FROM reservations WHERE order_id = '@'"),
        case(
            10_002,
            "stock_without_order",
            "INSERT INTO reservations (order_id, status, lines, shortages)
             VALUES ('@', 'reserved', '{\"a\": 1}', '[]');
             INSERT INTO stock_ledger (sku, order_id, operation, pieces, at)
             VALUES ('a', '@', 'reserve', 1, now());
             UPDATE items SET reserved = reserved + 1 WHERE sku = 'a'",
        ),
        (
            "stock",
            "c".to_owned(),
            "on_hand_wrong",
            "UPDATE items SET on_hand = on_hand - 1 WHERE sku = '@'",
        ),
        (
            "stock",
            "d".to_owned(),
            "reserved_wrong",
            "UPDATE items SET reserved = reserved + 1 WHERE sku = '@'",
        ),
        ("stock", "e".to_owned(), "article_lost", "DELETE FROM items WHERE sku = '@'"),
        (
            "stock",
            "f".to_owned(),
            "adjustments_wrong",
            "INSERT INTO stock_ledger (sku, adjustment_id, operation, pieces, at)
             VALUES ('@', 'came-@', 'adjust', 1000000, now());
             UPDATE items SET on_hand = on_hand + 1000000 WHERE sku = '@'",
        ),
    ]
}

fn of_money() -> Vec<Case> {
    let case = |number, code, statement| ("payment", id(number), code, statement);
    vec![
        case(
            26,
            "capture_missing",
            "DELETE FROM payment_ledger WHERE order_id = '@'; DELETE FROM payments
             WHERE order_id = '@'",
        ),
        case(27, "money_ledger_wrong", "DELETE FROM payment_ledger WHERE order_id = '@'"),
        case(
            28,
            "captured_twice",
            "ALTER TABLE payment_ledger DROP CONSTRAINT payment_ledger_pkey;
             INSERT INTO payment_ledger (order_id, operation, account, amount, currency, at)
             SELECT order_id, operation, account, amount, currency, at
             FROM payment_ledger WHERE order_id = '@'",
        ),
        case(
            29,
            "money_unbalanced",
            "DELETE FROM payment_ledger WHERE order_id = '@' AND account = 'sales'",
        ),
        case(
            61,
            "kept_after_end",
            "UPDATE payments SET status = 'captured' WHERE order_id = '@';
             DELETE FROM payment_ledger WHERE order_id = '@' AND operation = 'refund'",
        ),
        case(
            30,
            "amount_differs",
            "UPDATE payments SET amount = 700 WHERE order_id = '@';
             UPDATE payment_ledger SET amount = amount / 6 * 7 WHERE order_id = '@'",
        ),
        case(
            31,
            "currency_differs",
            "UPDATE payments SET currency = 'EUR' WHERE order_id = '@';
             UPDATE payment_ledger SET currency = 'EUR' WHERE order_id = '@'",
        ),
        case(32, "payment_lost", "DELETE FROM payments WHERE order_id = '@'"),
        case(
            10_003,
            "payment_without_order",
            "INSERT INTO payments (order_id, status, amount, currency, payment_token,
                 refund_wanted) VALUES ('@', 'captured', 5, 'GBP', 't', false);
             INSERT INTO payment_ledger (order_id, operation, account, amount, currency, at)
             VALUES ('@', 'capture', 'provider', 5, 'GBP', now()),
                 ('@', 'capture', 'sales', -5, 'GBP', now())",
        ),
    ]
}

#[test]
fn an_untouched_system_is_clean_and_every_touch_is_found() {
    let world = World::with_orders(200);
    let (is_fine, report) = world.audit(&["--settle", "0s"]);
    assert!(is_fine, "{report}");
    assert_eq!(report["verdict"], "clean");
    let clean = json!({"confirmed": 180, "rejected": 10, "cancelled": 10});
    assert_eq!(report["orders"]["clean"], clean);
    assert_eq!(report["money"][0]["confirmed"], 180 * 600);
    assert_eq!(report["articles"]["articles"], 6);

    let cases = [of_orders(), of_stock(), of_money()].concat();
    let mut expected = vec![
        // What was captured and what was confirmed differ on the whole, too.
        ("GBP".to_owned(), "money_sum_wrong".to_owned()),
        ("EUR".to_owned(), "money_sum_wrong".to_owned()),
    ];
    for (service, subject, code, statement) in cases {
        world.sql(service, &statement.replace('@', &subject));
        expected.push((subject, code.to_owned()));
    }
    expected.sort();

    let (is_fine, report) = world.audit(&["--settle", "0s"]);
    assert!(!is_fine);
    assert_eq!(report["verdict"], "violated");
    let mut found = violations(&report);
    // An order of two articles is violated once for each.
    found.dedup();
    assert_eq!(found, expected, "{report:#}");
}

#[test]
fn people_read_a_line_for_every_violation() {
    let world = World::with_orders(40);
    world.sql("order", "DELETE FROM order_history");
    let arguments = ["audit", "--settle", "0s", "--limit", "3"];
    let output = world.orderly(&arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let line = "violated: order o-0000007: the order has version 3, but no history [history_lost]";
    assert!(text.lines().any(|it| it == line), "{text}");
    assert_eq!(text.lines().filter(|it| it.starts_with("violated: ")).count(), 40);
    assert!(text.contains("Verdict: 40 violations."), "{text}");

    let (_, report) = world.audit(&["--settle", "0s", "--limit", "3"]);
    assert_eq!(violations(&report).len(), 3);
    assert_eq!(report["violations"]["total"], 40);
}
