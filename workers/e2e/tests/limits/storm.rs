//! Every message ten times over, shuffled, on two workers a service: each has its effect once.

use std::collections::BTreeMap;

use anyhow::Result;
use orderly_e2e::storm::{calm, storm};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_ten_times_to_two_workers_a_service_has_one_effect() -> Result<()> {
    let system = calm(2, 1_000).await?;
    let storm = storm(&system, 100, 10, 7).await?;
    assert_eq!(
        storm.outcomes,
        BTreeMap::from([("cancelled".to_owned(), 10), ("confirmed".to_owned(), 90)])
    );
    // One message of each kind an order, whatever was said twice.
    for (kind, count) in [
        ("order.place.v1", 100),
        ("stock.reserve.v1", 100),
        ("stock.reserved.v1", 100),
        ("payment.charge.v1", 100),
        ("payment.charged.v1", 90),
        ("payment.declined.v1", 10),
        ("order.confirmed.v1", 90),
        ("stock.release.v1", 10),
        ("stock.released.v1", 10),
        ("order.cancelled.v1", 10),
    ] {
        assert_eq!(storm.messages.get(kind), Some(&count), "{kind}: {:?}", storm.messages);
    }
    let consumed: usize =
        storm.messages.values().sum::<usize>() - storm.messages["order.cancelled.v1"];
    assert_eq!(storm.copies, 9 * storm.messages.values().sum::<usize>());
    assert!(storm.duplicates >= 9 * consumed as u64, "{storm:?}");

    let databases = &system.databases;
    let count = async |client: &tokio_postgres::Client, sql: &str| -> Result<i64> {
        Ok(client.query_one(sql, &[]).await?.get(0))
    };
    for (operation, times) in [("reserve", 100), ("commit", 90), ("release", 10)] {
        let sql = format!("SELECT count(*) FROM stock_ledger WHERE operation = '{operation}'");
        assert_eq!(count(&databases.stock, &sql).await?, times, "{operation}");
    }
    let captures = "SELECT count(*) FROM payment_ledger WHERE operation = 'capture' AND amount > 0";
    assert_eq!(count(&databases.payment, captures).await?, 90);
    for client in [&databases.order, &databases.stock, &databases.payment] {
        assert_eq!(databases.letters(client).await?, BTreeMap::new());
    }
    system.expect_clean_audit()?;
    databases.expect_conserved().await
}
