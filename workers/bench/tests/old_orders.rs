//! Old orders are what the saga would have left: the audit takes them, and every row looks like
//! one of a real order.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use orderly_bench::old;
use orderly_bench::orders::{PIECES, Shape};
use orderly_e2e::{System, eventually, place};
use serde_json::Value;
use tokio_postgres::Client;

const OLD: u64 = 1_000;
/// As long as the id of an old order.
const REAL: &str = "new-00000001";
/// Old orders went through each step in batches of so many.
const BATCH: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_orders_are_rows_like_those_of_a_real_one() -> Result<()> {
    let system = System::start().await?;
    let skus = Shape::SINGLE.skus();
    let pieces: Vec<_> = skus.iter().map(|sku| (sku.as_str(), PIECES)).collect();
    system.client.stock_up(&pieces).await?;
    for sku in &skus {
        system.databases.item_reaches(sku, PIECES, 0).await?;
    }
    expect_rest(&system).await?;
    let empty = Contents::read(&system).await?;
    system.client.publish([place(REAL, &skus[0], 1, "tok_visa")]).await?;
    system.databases.reaches(REAL, "confirmed").await?;
    system.databases.item_reaches(&skus[0], PIECES - 1, 0).await?;
    expect_rest(&system).await?;
    let with_real = Contents::read(&system).await?;
    old::put_in(&system.databases, OLD).await?;
    let with_old = Contents::read(&system).await?;

    system.expect_clean_audit()?;
    system.databases.expect_conserved().await?;
    assert_eq!(with_old.since(&with_real).kinds(), with_real.since(&empty).kinds());
    for (table, added) in with_real.since(&empty).counts() {
        let each = if table.ends_with("batches") { OLD / BATCH } else { OLD };
        assert_eq!(with_old.since(&with_real).counts()[&table], added * each, "{table}");
    }
    Ok(())
}

/// Waits until every worker has noted that its outputs are out.
async fn expect_rest(system: &System) -> Result<()> {
    let databases = &system.databases;
    for client in [&databases.order, &databases.stock, &databases.payment] {
        eventually("batches to be noted as sent", async || {
            let sql = "SELECT FROM batches WHERE NOT sent LIMIT 1";
            Ok(client.query_opt(sql, &[]).await?.is_none().then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// How often each row is there, by table; what differs between any two orders is masked.
#[derive(Debug)]
struct Contents(BTreeMap<(String, String), u64>);

impl Contents {
    async fn read(system: &System) -> Result<Self> {
        let databases = &system.databases;
        let services = [
            ("order", &databases.order),
            ("stock", &databases.stock),
            ("payment", &databases.payment),
        ];
        let mut contents = BTreeMap::new();
        for (service, client) in services {
            for table in tables(client).await? {
                let sql = format!("SELECT to_jsonb({table})::text FROM {table}");
                for row in client.query(&sql, &[]).await? {
                    let row: Value = serde_json::from_str(row.get(0))?;
                    let name = (format!("{service}: {table}"), masked(&row).to_string());
                    *contents.entry(name).or_default() += 1;
                }
            }
        }
        Ok(Self(contents))
    }

    fn since(&self, before: &Self) -> Self {
        let before = |row| before.0.get(row).copied().unwrap_or_default();
        let left = self.0.iter().map(|(row, count)| (row.clone(), count - before(row)));
        Self(left.filter(|(_, count)| *count > 0).collect())
    }

    fn kinds(&self) -> BTreeSet<&(String, String)> {
        self.0.keys().collect()
    }

    fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for ((table, _), count) in &self.0 {
            *counts.entry(table.clone()).or_default() += count;
        }
        counts
    }
}

/// What grows with orders: articles are there already, and migrations are none of theirs.
async fn tables(client: &Client) -> Result<Vec<String>> {
    let sql = "SELECT relname::text FROM pg_class
               WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
                   AND relname <> 'items' AND relname NOT LIKE '%migrations'
                   AND NOT relispartition";
    Ok(client.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

fn masked(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(masked_text(text)),
        Value::Array(values) => values.iter().map(masked).collect(),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| match name.as_str() {
                "id" | "ordinal" => (name.clone(), Value::Null),
                _ => (masked_text(name), masked(value)),
            };
            fields.iter().map(field).collect()
        }
        // Only times are so large.
        Value::Number(number) if number.as_u64() > Some(1_000_000) => Value::from("a time"),
        other => other.clone(),
    }
}

/// What differs between any two orders becomes what it is; bytes and text that are JSON are read.
fn masked_text(text: &str) -> String {
    let bytes = text.strip_prefix("\\x").and_then(bytes);
    let text = match &bytes {
        Some(hash) if hash.len() == 32 => return "a hash".to_owned(),
        Some(body) => str::from_utf8(body).unwrap_or("no text"),
        None => text,
    };
    match serde_json::from_str(text) {
        Ok(json @ Value::Object(_)) => return masked(&json).to_string(),
        // The outputs of a batch: a hundred like one.
        Ok(Value::Array(outputs)) => {
            let kinds: BTreeSet<String> =
                outputs.iter().map(|output| masked(output).to_string()).collect();
            return Vec::from_iter(kinds).join(" ");
        }
        _ => {}
    }
    let is_id = text.len() == 36 && text.matches('-').count() == 4;
    if is_id {
        return "an id".to_owned();
    }
    if text.parse::<jiff::Timestamp>().is_ok() {
        return "a time".to_owned();
    }
    let text = text.replace("new-", "old-");
    text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
}
