//! The importer, on the three real trading days and on rows made up to be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use orderly_contracts::order::total;

use super::*;

fn real() -> Vec<Imported> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/data/online-retail");
    let files = ["2010-12-01.csv", "2010-12-02.csv", "2010-12-03.csv"];
    let open = |name: &str| (name.to_owned(), File::open(folder.join(name)).unwrap());
    let importer = Importer::new(files.map(open)).unwrap();
    importer.map(|item| item.unwrap()).collect()
}

/// Imports rows of `InvoiceNo,StockCode,Quantity,UnitPrice,CustomerID`.
fn made_up(files: &[&str]) -> Vec<Imported> {
    let heading = "InvoiceNo,StockCode,Quantity,UnitPrice,CustomerID\n";
    let texts: Vec<_> = files.iter().map(|rows| format!("{heading}{rows}")).collect();
    let files = texts.iter().map(|text| ("f".to_owned(), text.as_bytes()));
    let importer = Importer::new(files).unwrap();
    importer.map(|item| item.unwrap()).collect()
}

fn reasons(items: &[Imported]) -> BTreeMap<&str, usize> {
    let mut reasons = BTreeMap::new();
    for refused in items.iter().filter_map(|item| item.as_ref().err()) {
        *reasons.entry(refused.reason.as_str()).or_default() += 1;
    }
    reasons
}

#[test]
fn three_trading_days_come_to_the_known_figures() {
    let items = real();
    assert_eq!(items.len(), 418);
    let expected = BTreeMap::from([("cancellation", 36), ("negative_quantities", 30)]);
    assert_eq!(reasons(&items), expected);

    let orders: Vec<_> = items.into_iter().flatten().collect();
    assert_eq!(orders.len(), 352);
    let lines: Vec<_> = orders.iter().map(|order| order.lines.len()).collect();
    assert_eq!(lines.iter().max(), Some(&593));
    let tenths = (10 * lines.iter().sum::<usize>() + orders.len() / 2) / orders.len();
    assert_eq!(tenths, 208, "20.8 lines on average");

    let count = |is_it: &dyn Fn(&PlaceOrder) -> bool| orders.iter().filter(|o| is_it(o)).count();
    let free = |order: &PlaceOrder| total(&order.lines).unwrap().get() == 0;
    assert_eq!(count(&free), 15);
    assert_eq!(count(&|order| order.customer_id.is_none()), 37);
    let twice = |order: &PlaceOrder| {
        let skus: BTreeSet<_> = order.lines.iter().map(|line| &line.sku).collect();
        skus.len() < order.lines.len()
    };
    assert_eq!(count(&twice), 33);
}

#[test]
fn every_outcome_of_a_payment_occurs_in_the_real_orders() {
    let orders: Vec<_> = real().into_iter().flatten().collect();
    let mut tokens = BTreeMap::new();
    for order in &orders {
        assert_eq!(order.currency.as_str(), "GBP");
        *tokens.entry(order.payment_token.as_str()).or_insert(0) += 1;
    }
    let expected = BTreeMap::from([("tok_decline", 12), ("tok_flaky_1", 8), ("tok_visa", 332)]);
    assert_eq!(tokens, expected);
}

#[test]
fn the_first_real_order_is_read_in_full() {
    let order = real().remove(0).unwrap();
    assert_eq!(order.order_id.as_str(), "536365");
    assert_eq!(message_id(&order), "online-retail:536365");
    assert_eq!(order.customer_id.unwrap().as_str(), "17850");
    let line = &order.lines[0];
    let found = (line.sku.as_str(), line.quantity.get(), line.unit_price.get());
    assert_eq!(found, ("85123A", 6, 255));
    assert!(!line.service);
}

#[test]
fn postage_and_charges_are_services_and_vouchers_are_goods() {
    for service in ["POST", "BANK CHARGES", "m", "AMAZONFEE", "PADS"] {
        assert!(is_service(service), "{service}");
    }
    for goods in ["gift_0001_20", "85123A", "POSTER", ""] {
        assert!(!is_service(goods), "{goods}");
    }
}

#[test]
fn an_invoice_is_refused_whole_with_the_line_that_is_wrong() {
    let table = [
        ("C1,a,-1,1.00,\n", 2, "cancellation"),
        ("1,a,-1,1.00,\n1,b,0,1.00,\n", 2, "negative_quantities"),
        ("1,a,1,1.00,\n1,b,0,1.00,\n", 3, "negative_quantity"),
        ("1,a,1.5,1.00,\n", 2, "quantity_unreadable"),
        ("1,a,1000001,1.00,\n", 2, "contract"),
        ("1,a,1,1.00,\n1,b,1,1.125,\n", 3, "price_below_penny"),
        ("1,a,1,-1.00,\n", 2, "price_negative"),
        ("1,a,1,,\n", 2, "price_unreadable"),
        ("1,,1,1.00,\n", 2, "contract"),
        ("1,a,1,1.00,7.0\n1,a,1,1.00,8.0\n", 3, "customers_differ"),
        ("1 2,a,1,1.00,\n", 2, "contract"),
        (",a,1,1.00,\n", 2, "no_invoice"),
        ("1,a\n", 2, "quantity_unreadable"),
    ];
    for (rows, line, reason) in table {
        let items = made_up(&[rows]);
        assert_eq!(items.len(), 1, "{rows}");
        let refused = items[0].as_ref().unwrap_err();
        assert_eq!((refused.line, refused.reason.as_str()), (line, reason), "{rows}");
    }
}

#[test]
fn an_invoice_goes_on_in_the_next_file_and_never_begins_twice() {
    let items = made_up(&["1,a,1,1.00,\n", "1,b,1,1.00,\n2,a,1,1.00,\n1,c,1,1.00,\n"]);
    let orders: Vec<_> = items.iter().flatten().map(|order| order.lines.len()).collect();
    assert_eq!(orders, [2, 1]);
    assert_eq!(reasons(&items), BTreeMap::from([("rows_apart", 1)]));
}

#[test]
fn more_lines_than_an_order_holds_are_counted_and_not_kept() {
    let rows = "1,a,1,1.00,\n".repeat(5_000);
    let items = made_up(&[&rows, "2,a,1,1.00,\n"]);
    let refused = items[0].as_ref().unwrap_err();
    assert_eq!(refused.reason, "too_many_lines");
    assert!(refused.text.contains("5000"), "{}", refused.text);
    assert!(items[1].is_ok());
}

#[test]
fn a_file_of_another_kind_is_an_error_before_anything_is_imported() {
    let files = [("a", "x,y\n1,2\n")].map(|(name, text)| (name.to_owned(), text.as_bytes()));
    let error = Importer::new(files).err().unwrap();
    assert!(format!("{error:#}").contains("no column InvoiceNo"), "{error:#}");
}
