//! What is ordered: made-up orders of any shape, and real ones again under new numbers.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use orderly_contracts::order::PlaceOrder;
use orderly_ctl::online_retail::Importer;
use serde_json::json;

use crate::shop::Place;

/// Pieces of every article: more than any run sells.
pub const PIECES: i64 = 1_000_000_000;

/// The shape of made-up orders.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// How many lines an order has.
    pub lines: usize,
    /// Over how many articles they are spread.
    pub articles: usize,
}

impl Shape {
    /// One line, over a hundred articles.
    pub const SINGLE: Self = Self { lines: 1, articles: 100 };

    /// The articles that such orders name.
    pub fn skus(self) -> Vec<String> {
        (0..self.articles).map(sku).collect()
    }

    /// The `n`th order of a series.
    pub fn order(self, series: &str, n: usize) -> Place {
        let order = name(series, n);
        // A stride that shares no factor with any number of articles in use spreads them evenly.
        let first = n.wrapping_mul(7_919);
        let lines: Vec<_> = (0..self.lines)
            .map(|line| {
                let sku = sku((first + line) % self.articles);
                json!({ "sku": sku, "quantity": 1, "unit_price": 250 })
            })
            .collect();
        let body = json!({ "order_id": order, "lines": lines, "currency": "GBP",
                           "payment_token": "tok_visa" });
        Place { order, body: body.to_string().into_bytes() }
    }

    /// The first `count` orders of a series.
    pub fn series(self, name: &str, count: usize) -> Vec<Place> {
        (0..count).map(|n| self.order(name, n)).collect()
    }
}

/// The id of the `n`th order of a series; all have the same length, so that messages do too.
fn name(series: &str, n: usize) -> String {
    format!("{series}-{n:08}")
}

/// Where in its series an order stands.
pub fn place_in_series(order: &str) -> Option<usize> {
    order.rsplit_once('-')?.1.parse().ok()
}

fn sku(n: usize) -> String {
    format!("article-{n:05}")
}

/// Real orders, to be placed any number of times under new numbers, and always paid.
pub struct RealOrders(Vec<PlaceOrder>);

impl RealOrders {
    /// All orders of the files in `folder` that the importer accepts.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for entry in folder.read_dir().with_context(|| format!("no {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "csv") {
                files.push(path);
            }
        }
        files.sort();
        let open = |path: &Path| Ok((path.display().to_string(), File::open(path)?));
        let files = files.iter().map(|path| open(path)).collect::<Result<Vec<_>>>()?;
        let mut orders = Vec::new();
        for imported in Importer::new(files)? {
            // What the importer refuses is no order, such as a cancellation.
            orders.extend(imported?.ok());
        }
        Ok(Self(orders))
    }

    /// The lines of an order on average.
    pub fn lines(&self) -> f64 {
        let lines: usize = self.0.iter().map(|order| order.lines.len()).sum();
        lines as f64 / self.0.len() as f64
    }

    /// The articles that they name.
    pub fn skus(&self) -> Vec<String> {
        let skus = self.0.iter().flat_map(|order| order.lines.iter());
        let skus: std::collections::BTreeSet<String> =
            skus.map(|line| line.sku.to_string()).collect();
        skus.into_iter().collect()
    }

    /// The `n`th order of a series.
    pub fn order(&self, series: &str, n: usize) -> Result<Place> {
        let order = name(series, n);
        let mut body = serde_json::to_value(&self.0[n % self.0.len()])?;
        body["order_id"] = json!(order);
        body["payment_token"] = json!("tok_visa");
        Ok(Place { order, body: body.to_string().into_bytes() })
    }
}
