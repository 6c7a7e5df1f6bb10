//! Where it is measured: the real system, and beside it, on the same servers, the bare relay.

use anyhow::{Result, ensure};
use orderly_devstack::{Endpoints, TestBed};
use orderly_e2e::{System, eventually};
use serde::{Deserialize, Serialize};

use crate::flow::{Flow, drain, flow};
use crate::orders::{PIECES, Shape};
use crate::relay::Relay;
use crate::shop::{ENDS, Place, Shop};
use crate::specimens::{HAPPY_PATH, Specimens};
use crate::usage::Usage;

/// What a run came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// How many orders ended.
    pub orders: usize,
    /// From the first order placed to the last end, in seconds.
    pub seconds: f64,
    /// Orders that ended in a second, without beginning and end of the run.
    pub rate: f64,
    /// Processor time of everything on the machine that belongs to it.
    pub usage: Usage,
}

impl Run {
    /// Processor time that an order of `runs` took, in milliseconds.
    pub fn cost<'a>(runs: impl IntoIterator<Item = &'a Self>) -> Usage {
        let (mut sum, mut orders) = (Usage::default(), 0);
        for run in runs {
            sum += &run.usage;
            orders += run.orders;
        }
        sum.milliseconds_an_order(orders)
    }
}

/// Takes note of what a flow used.
async fn measure(flow: impl Future<Output = Result<Flow>>) -> Result<Run> {
    let before = Usage::now()?;
    let Flow { orders, took, rate } = flow.await?;
    let usage = Usage::now()?.since(&before);
    Ok(Run { orders, seconds: took.as_secs_f64(), rate, usage })
}

/// The real system: workers as processes of their own, as they ship.
pub struct Saga {
    /// The shop that orders from it.
    pub shop: Shop,
    /// The system.
    pub system: System,
}

impl Saga {
    /// Starts a system with so many workers a service; `settings` differ from the defaults.
    pub async fn start(
        endpoints: &Endpoints,
        settings: &[(&str, &str)],
        replicas: usize,
    ) -> Result<Self> {
        let mut system = System::prepare(TestBed::on(endpoints)?, settings).await?;
        for _ in 0..replicas {
            system.start_workers()?;
        }
        let shop = Shop::open(&system.bed().amqp_url(), &ENDS).await?;
        Ok(Self { shop, system })
    }

    /// Sees to it that there is more of these articles than any run sells.
    pub async fn stock_up(&self, skus: &[String]) -> Result<()> {
        let pieces: Vec<(&str, i64)> = skus.iter().map(|sku| (sku.as_str(), PIECES)).collect();
        self.system.client.stock_up(&pieces).await?;
        eventually("the articles to be in stock", async || {
            let sql = "SELECT count(*) FROM items WHERE sku = ANY ($1)";
            let row = self.system.databases.stock.query_one(sql, &[&skus]).await?;
            Ok((usize::try_from(row.get::<_, i64>(0))? == skus.len()).then_some(()))
        })
        .await
    }

    /// Works off `orders`, at most `open` at a time.
    pub async fn run(&mut self, orders: Vec<Place>, open: usize) -> Result<Run> {
        measure(flow(&mut self.shop, orders, open)).await
    }

    /// Clears up what was left behind in the databases, as PostgreSQL does by itself within a minute or two, and has
    /// what lies in memory written to the disk, as the kernel does half a minute later.
    pub async fn clear_up(&self) -> Result<()> {
        let databases = &self.system.databases;
        for client in [&databases.order, &databases.stock, &databases.payment] {
            client.batch_execute("VACUUM (ANALYZE)").await?;
        }
        rustix::fs::sync();
        Ok(())
    }

    /// Waits until the system has worked off `count` orders that are waiting.
    pub async fn drain(&mut self, count: usize) -> Result<Run> {
        measure(drain(&mut self.shop, count)).await
    }

    /// A specimen of every message of a single-line order.
    pub async fn specimens(&mut self) -> Result<Specimens> {
        let url = self.system.bed().amqp_url();
        let order = Shape::SINGLE.order("specimen", 0);
        let specimens = Specimens::collect(&url, &self.shop.counter, order).await?;
        ensure!(self.shop.heard.recv().await.is_some(), "the shop hears nothing");
        Ok(specimens)
    }

    /// Fails unless every confirmed order is paid and its goods are gone, by `orderly audit`.
    pub async fn expect_clean_audit(&self) -> Result<()> {
        eventually("the last reservation to be settled", async || {
            let sql = "SELECT count(*) FROM reservations WHERE status = 'reserved'";
            let open: i64 = self.system.databases.stock.query_one(sql, &[]).await?.get(0);
            Ok((open == 0).then_some(()))
        })
        .await?;
        self.system.expect_clean_audit().map(drop)
    }
}

/// The bare relay, in a virtual host of its own with the same topology.
pub struct Ceiling {
    /// The shop that orders from it.
    pub shop: Shop,
    relay: Relay,
    _system: System,
}

impl Ceiling {
    /// Starts a relay of the first `messages` messages of the happy path.
    pub async fn start(
        endpoints: &Endpoints,
        specimens: &Specimens,
        messages: usize,
    ) -> Result<Self> {
        let system = System::prepare(TestBed::on(endpoints)?, &[]).await?;
        let url = system.bed().amqp_url();
        let relay = Relay::start(&url, specimens, messages).await?;
        // What the relay publishes says nothing of the order that it is for, so all that is told is
        // that one has ended.
        let shop = Shop::open(&url, &[HAPPY_PATH[messages - 1]]).await?;
        Ok(Self { shop, relay, _system: system })
    }

    /// Passes `orders` through, at most `open` at a time.
    pub async fn run(&mut self, orders: Vec<Place>, open: usize) -> Result<Run> {
        let run = measure(flow(&mut self.shop, orders, open)).await;
        self.expect_running()?;
        run
    }

    /// Fails if a part of the relay has ended.
    pub fn expect_running(&mut self) -> Result<()> {
        self.relay.expect_running()
    }
}
