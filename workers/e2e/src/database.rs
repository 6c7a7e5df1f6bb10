//! What lies in the three databases, asked by SQL.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use orderly_devstack::Environment;
use orderly_runtime::postgres::connect;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use crate::system::{database_address, eventually};

/// Connections to the three databases.
pub struct Databases {
    /// The order database.
    pub order: Client,
    /// The stock database.
    pub stock: Client,
    /// The payment database.
    pub payment: Client,
}

impl Databases {
    /// Connects to all three.
    pub async fn connect(environment: &Environment) -> Result<Self> {
        let open = async |service| -> Result<Client> {
            let address = database_address(environment, service)?;
            Ok(connect::client(&address, "test").await?)
        };
        Ok(Self {
            order: open("order").await?,
            stock: open("stock").await?,
            payment: open("payment").await?,
        })
    }

    /// How many orders are in each status.
    pub async fn outcomes(&self) -> Result<BTreeMap<String, i64>> {
        let rows = self.order.query("SELECT status, count(*) FROM orders GROUP BY 1", &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Waits until `count` orders exist and all of them have ended; their outcomes.
    pub async fn settled(&self, count: i64) -> Result<BTreeMap<String, i64>> {
        eventually(&format!("{count} orders to end"), async || {
            let outcomes = self.outcomes().await?;
            let ended: i64 = ["confirmed", "rejected", "cancelled"]
                .iter()
                .filter_map(|status| outcomes.get(*status))
                .sum();
            let all: i64 = outcomes.values().sum();
            Ok((ended == count && all == count).then_some(outcomes))
        })
        .await
    }

    /// The status of an order, and why it ended so.
    pub async fn order(&self, id: &str) -> Result<Option<(String, Option<String>)>> {
        let sql = "SELECT status, reason FROM orders WHERE order_id = $1";
        let row = self.order.query_opt(sql, &[&id]).await?;
        Ok(row.map(|row| (row.get(0), row.get(1))))
    }

    /// Waits until an order has this status.
    pub async fn reaches(&self, id: &str, status: &str) -> Result<()> {
        eventually(&format!("{id} to be {status}"), async || {
            Ok(self.order(id).await?.filter(|(found, _)| found == status).map(|_| ()))
        })
        .await
    }

    /// An article's pieces on hand and reserved.
    pub async fn item(&self, sku: &str) -> Result<Option<(i64, i64)>> {
        let sql = "SELECT on_hand, reserved FROM items WHERE sku = $1";
        let row = self.stock.query_opt(sql, &[&sku]).await?;
        Ok(row.map(|row| (row.get(0), row.get(1))))
    }

    /// Waits until an article has these pieces on hand and reserved.
    pub async fn item_reaches(&self, sku: &str, on_hand: i64, reserved: i64) -> Result<()> {
        eventually(&format!("{on_hand} of {sku}, {reserved} reserved"), async || {
            Ok(self.item(sku).await?.filter(|found| *found == (on_hand, reserved)).map(|_| ()))
        })
        .await
    }

    /// What was captured and refunded for an order, by the ledger.
    pub async fn money(&self, id: &str) -> Result<(i64, i64)> {
        let sql = "SELECT COALESCE(sum(amount) FILTER (WHERE operation = 'capture'), 0)::bigint,
                          COALESCE(sum(amount) FILTER (WHERE operation = 'refund'), 0)::bigint
                   FROM payment_ledger WHERE order_id = $1 AND amount > 0";
        let row = self.payment.query_one(sql, &[&id]).await?;
        Ok((row.get(0), row.get(1)))
    }

    /// The dead letters in a database, by message id: reason and explanation.
    pub async fn letters(&self, client: &Client) -> Result<BTreeMap<String, (String, String)>> {
        let sql = "SELECT COALESCE(message_id, ''), reason, explanation FROM dead_letters";
        let rows = client.query(sql, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect())
    }

    /// Stock and money conserved, and every confirmed order paid and committed, all in sums.
    pub async fn expect_conserved(&self) -> Result<()> {
        let broken = self
            .stock
            .query(
                "SELECT sku FROM items LEFT JOIN (
                     SELECT sku,
                            sum(pieces) FILTER (WHERE operation = 'adjust') AS adjusted,
                            sum(pieces) FILTER (WHERE operation = 'commit') AS committed,
                            sum(pieces) FILTER (WHERE operation = 'reserve') AS taken,
                            sum(pieces) FILTER (WHERE operation IN ('release', 'expire')) AS given
                     FROM stock_ledger GROUP BY sku) AS ledger USING (sku)
                 WHERE on_hand <> COALESCE(adjusted, 0) - COALESCE(committed, 0)
                    OR reserved <> COALESCE(taken, 0) - COALESCE(given, 0)
                                   - COALESCE(committed, 0)",
                &[],
            )
            .await?;
        let skus: Vec<String> = broken.iter().map(|row| row.get(0)).collect();
        ensure!(skus.is_empty(), "stock not conserved: {skus:?}");
        let sold = "SELECT COALESCE(sum(total), 0)::bigint FROM orders WHERE status = 'confirmed'";
        let taken = "SELECT COALESCE(sum(CASE operation WHEN 'capture' THEN amount
                                                        ELSE -amount END), 0)::bigint
                     FROM payment_ledger WHERE amount > 0";
        let sold: i64 = scalar(&self.order, sold, &[]).await?;
        let taken: i64 = scalar(&self.payment, taken, &[]).await?;
        ensure!(sold == taken, "confirmed orders are worth {sold}, taken were {taken}");
        Ok(())
    }
}

async fn scalar<T: for<'a> tokio_postgres::types::FromSql<'a>>(
    client: &Client,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<T> {
    let row: Row = client.query_one(sql, parameters).await?;
    Ok(row.get(0))
}
