//! Throughput with poison: what good orders lose when a share of all messages is bad.
//!
//! Clean and poisoned rounds take turns in one run, so that whatever else the machine does strikes
//! both alike.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::system::{System, eventually};
use crate::{Message, place};

/// Where poison is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poison {
    /// By reading alone: broken JSON, a wrong field, an unknown type, no id.
    Decode,
    /// By deciding, with the states at hand: other content under a known order id, a charge for an
    /// order that nobody placed, another body under a known message id.
    Decide,
    /// By the database alone, which refuses a row: the batch has to be split until it is found.
    ///
    /// No message that is read can do that, by the types of the contract, so a constraint that is
    /// added to the order database makes some.
    Sql,
}

impl Poison {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Decode, Self::Decide, Self::Sql];
}

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Where the poison is found.
    pub poison: Poison,
    /// How many of a hundred messages are poison, in poisoned rounds.
    pub percent: usize,
    /// How many good orders a round has.
    pub orders: usize,
    /// How many pairs of rounds, one clean and one poisoned.
    pub pairs: usize,
}

/// Good orders that ended in a second, by round.
#[derive(Debug, Clone)]
pub struct Throughput {
    /// Rounds without poison.
    pub clean: Vec<f64>,
    /// Rounds with poison.
    pub poisoned: Vec<f64>,
    /// How many poison messages were sent.
    pub poison: usize,
    /// How many dead letters they became; other content under a known order id is an answer, not one.
    pub letters: usize,
}

impl Throughput {
    /// What is left of the clean throughput: the median of the ratios of each pair.
    pub fn share(&self) -> f64 {
        median(self.clean.iter().zip(&self.poisoned).map(|(clean, poisoned)| poisoned / clean))
    }
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [clean, poisoned] = [&self.clean, &self.poisoned].map(|it| median(it.iter().copied()));
        write!(
            f,
            "{clean:.0} orders/s clean, {poisoned:.0} with poison: {:.0} % \
             ({} pairs, {} poison messages, {} dead letters)",
            self.share() * 100.0,
            self.clean.len(),
            self.poison,
            self.letters
        )
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// How many pieces there are of each article: more than any drill sells.
const PIECES: i64 = 1_000_000_000;
/// How many articles the orders are spread over.
const ARTICLES: usize = 50;
/// The customer whose orders the database of a drill refuses.
const REFUSED: &str = "refused-by-a-constraint";

/// Runs the plan on a system of its own, whose workers are ready and have nothing to do. The first
/// round warms it up and does not count.
pub async fn poison_throughput(system: &System, plan: Plan) -> Result<Throughput> {
    ensure!((1..100).contains(&plan.percent), "a share of poison lies between 1 and 99");
    let names: Vec<String> = (0..ARTICLES).map(|n| format!("article-{n}")).collect();
    let articles: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), PIECES)).collect();
    system.client.stock_up(&articles).await?;
    for name in &names {
        system.databases.item_reaches(name, PIECES, 0).await?;
    }
    if plan.poison == Poison::Sql {
        let sql = format!(
            "ALTER TABLE orders ADD CONSTRAINT drill CHECK (customer_id IS DISTINCT FROM '{REFUSED}')"
        );
        system.databases.order.batch_execute(&sql).await?;
    }
    // What is decided against has to be there before.
    system.client.publish([place("known", "article-0", 1, "tok_visa")]).await?;
    system.databases.reaches("known", "confirmed").await?;
    let mut drill = Drill { system, plan, round: 0, poison: 0, letters: 0 };
    drill.run_round(false).await?;
    let (mut clean, mut poisoned) = (Vec::new(), Vec::new());
    for _ in 0..plan.pairs {
        clean.push(drill.run_round(false).await?);
        poisoned.push(drill.run_round(true).await?);
    }
    Ok(Throughput { clean, poisoned, poison: drill.poison, letters: drill.letters })
}

struct Drill<'a> {
    system: &'a System,
    plan: Plan,
    round: usize,
    poison: usize,
    letters: usize,
}

impl Drill<'_> {
    /// Publishes a round's messages; how many of its good orders ended in a second.
    async fn run_round(&mut self, is_poisoned: bool) -> Result<f64> {
        self.round += 1;
        let Plan { orders, percent, .. } = self.plan;
        let mut messages = Vec::new();
        let mut poison = 0;
        for n in 0..orders {
            let order = format!("r{}-{n}", self.round);
            messages.push(place(&order, &format!("article-{}", n % ARTICLES), 1, "tok_visa"));
            // After each good one as many bad ones as keep the share.
            while is_poisoned && (poison + 1) * (100 - percent) <= (n + 1) * percent {
                messages.push(self.poison(poison));
                let is_answered = self.plan.poison == Poison::Decide && poison % 3 == 0;
                self.letters += usize::from(!is_answered);
                poison += 1;
            }
        }
        let started = Instant::now();
        self.system.client.publish(messages).await?;
        let took = self.settled(started).await?;
        self.poison += poison;
        self.calm().await?;
        Ok(orders as f64 / took.as_secs_f64())
    }

    /// Waits for all good orders of the round to be confirmed.
    async fn settled(&self, started: Instant) -> Result<Duration> {
        let (first, last) = (format!("r{}-", self.round), format!("r{}.", self.round));
        let sql = "SELECT count(*) FROM orders
                   WHERE order_id >= $1 AND order_id < $2 AND status = 'confirmed'";
        let mut best = 0;
        let mut since = Instant::now();
        loop {
            let row = self.system.databases.order.query_one(sql, &[&first, &last]).await?;
            let confirmed: i64 = row.get(0);
            if confirmed == i64::try_from(self.plan.orders)? {
                return Ok(started.elapsed());
            }
            if confirmed > best {
                (best, since) = (confirmed, Instant::now());
            }
            ensure!(since.elapsed() < Duration::from_secs(60), "stuck at {best} confirmed orders");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until what follows from the round is over as well, so that the next begins with nothing.
    async fn calm(&self) -> Result<()> {
        let databases = &self.system.databases;
        eventually("the round to be over", async || {
            let sql = "SELECT count(*) FROM reservations WHERE status = 'reserved'";
            let open: i64 = databases.stock.query_one(sql, &[]).await?.get(0);
            Ok((open == 0 && self.system.client.waiting().await? == 0).then_some(()))
        })
        .await?;
        let expected = self.letters;
        eventually(&format!("{expected} dead letters"), async || {
            let sql = "SELECT count(*) FROM dead_letters";
            let filed: i64 = databases.order.query_one(sql, &[]).await?.get(0);
            Ok((usize::try_from(filed)? == expected).then_some(()))
        })
        .await
    }

    /// The `n`th poison message of the round.
    fn poison(&self, n: usize) -> Message {
        let name = format!("p{}-{n}", self.round);
        let good = place(&name, "article-0", 1, "tok_visa");
        match (self.plan.poison, n % 3) {
            (Poison::Decode, 0) => Message::raw("order.place.v1", &name, r#"{"order_id": "o""#),
            (Poison::Decode, 1) => {
                Message::new("order.place.v1", &name, &json!({ "order_id": name }))
            }
            (Poison::Decode, _) => good.with(|p| p.kind = Some("order.place.v9".to_owned())),
            (Poison::Decide, 0) => {
                place("known", "article-0", 2, "tok_visa").with(|p| p.message_id = Some(name))
            }
            (Poison::Decide, 1) => {
                let body = json!({ "order_id": name, "amount": 250, "currency": "GBP" });
                Message::new("payment.charged.v1", &name, &body)
            }
            (Poison::Decide, _) => good.with(|p| p.message_id = Some("place-known".to_owned())),
            (Poison::Sql, _) => {
                let line = json!({ "sku": "article-0", "quantity": 1, "unit_price": 250 });
                let body = json!({ "order_id": name, "customer_id": REFUSED, "lines": [line],
                                   "currency": "GBP", "payment_token": "tok_visa" });
                Message::new("order.place.v1", &name, &body)
            }
        }
    }
}
