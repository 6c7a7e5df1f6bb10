//! The audit of a system at work: never a false alarm, and clean once it has come to rest.

use std::io::Write;
use std::path::Path;

use orderly_devstack::Workers;
use serde_json::json;

use super::world::World;

const ORDERS: usize = 1_500;

fn write_orders(path: &Path) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for number in 0..ORDERS {
        // Some are declined, some find too little stock.
        let token = if number % 7 == 0 { "tok_declined" } else { "tok_visa" };
        let sku = if number % 11 == 0 { "rare" } else { "plenty" };
        let body = json!({
            "order_id": format!("r-{number}"), "currency": "EUR", "payment_token": token,
            "lines": [{"sku": sku, "quantity": 2, "unit_price": 150}],
        });
        let line = json!({
            "type": "order.place.v1", "message_id": format!("m-{number}"), "body": body,
        });
        writeln!(file, "{line}").unwrap();
    }
}

#[test]
fn a_system_at_work_raises_no_false_alarm() {
    let world = World::empty();
    let folder = tempfile::tempdir().unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_orderly")).parent().unwrap();
    let _workers = Workers::start(bin, &world.bed.env(), folder.path()).unwrap();
    for (sku, pieces) in [("plenty", 1_000_000), ("rare", 50)] {
        let body = json!({"adjustment_id": format!("came-{sku}"), "sku": sku, "delta": pieces});
        let body = body.to_string();
        let adjust = ["publish", "stock.adjust.v1", "--body", &body];
        let output = world.orderly(&adjust).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    let orders = folder.path().join("orders.jsonl");
    let receipts = folder.path().join("receipts.jsonl");
    write_orders(&orders);
    let (orders, receipts) = (orders.to_str().unwrap(), receipts.to_str().unwrap());
    let publish = ["publish", "--format", "jsonl", "--receipts", receipts, orders];
    let mut publishing = world.orderly(&publish).spawn().unwrap();
    let mut audits = 0;
    while publishing.try_wait().unwrap().is_none() || audits < 3 {
        let (is_fine, report) = world.audit(&["--settle", "30s"]);
        assert!(is_fine, "{report:#}");
        audits += 1;
    }
    assert!(publishing.wait().unwrap().success());

    let (is_fine, report) = world.audit(&["--settle", "60s", "--receipts", receipts]);
    assert!(is_fine, "{report:#}");
    assert_eq!(report["verdict"], "clean", "{report:#}");
    assert_eq!(report["orders"]["total"], ORDERS);
    assert_eq!(report["receipts"]["received"], ORDERS);
    assert!(report["orders"]["clean"]["rejected"].as_u64() > Some(0), "{report:#}");
    assert!(report["orders"]["clean"]["cancelled"].as_u64() > Some(0), "{report:#}");
}
