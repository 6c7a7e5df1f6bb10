//! Brings about what a worker needs to come to a step, so that nobody waits for luck.

use std::time::Duration;

use anyhow::Result;
use orderly_contracts::routes::Party;
use orderly_e2e::Message;
use orderly_runtime::config::Config;
use orderly_runtime::postgres::connect;
use serde_json::json;
use tokio_postgres::Client as Sql;

use crate::load::Load;
use crate::need::Need;
use crate::story::{HELD, Story};
use crate::target::Target;

/// How often a need is served again.
const AGAIN: Duration = Duration::from_millis(300);
/// How often another message is sent into a lock, or to a provider that does not answer: too many
/// of them, and nothing else gets through.
const ANOTHER: Duration = Duration::from_secs(3);

/// Serves one need of one worker, until dropped.
pub struct Feed<'a> {
    load: &'a Load,
    party: Party,
    need: Need,
    database: Sql,
    /// The order whose row is locked.
    locked: Option<String>,
}

impl<'a> Feed<'a> {
    /// Begins to serve `need` of the worker of `party`.
    pub async fn begin(
        target: &Target,
        load: &'a Load,
        party: Party,
        need: Need,
    ) -> Result<Feed<'a>> {
        let environment = target.system().environment();
        let variables = environment.iter().map(|(name, value)| (name.clone(), value.clone()));
        let address = Config::read(party, variables)?.database;
        let database = connect::client(&address, "feed").await?;
        let mut feed = Feed { load, party, need, database, locked: None };
        if need == Need::Setback {
            feed.lock().await?;
        }
        Ok(feed)
    }

    /// Further variables for the worker, with which it comes there sooner.
    pub fn settings(&self) -> Vec<(&'static str, &'static str)> {
        match self.need {
            // A lock is waited for by all of a batch, until the one that it is about is found.
            Need::Setback if self.party != Party::Payment => {
                vec![("ORDERLY_STATEMENT_TIMEOUT_MS", "500"), ("ORDERLY_BATCH_MESSAGES", "8")]
            }
            _ => vec![],
        }
    }

    /// After how long the need is served again.
    pub fn period(&self) -> Duration {
        match (self.need, self.party) {
            (Need::Setback, Party::Order | Party::Stock) | (Need::Due, Party::Stock) => ANOTHER,
            _ => AGAIN,
        }
    }

    /// Somebody sits on a row.
    async fn lock(&mut self) -> Result<()> {
        match self.party {
            Party::Stock => {
                let sql = format!("BEGIN; SELECT 1 FROM items WHERE sku = '{HELD}' FOR UPDATE");
                self.database.batch_execute(&sql).await?;
            }
            Party::Order => {
                let sql = "SELECT order_id FROM orders WHERE status = 'confirmed' LIMIT 1";
                let Some(row) = self.database.query_opt(sql, &[]).await? else { return Ok(()) };
                let order: String = row.get(0);
                let sql =
                    format!("BEGIN; SELECT 1 FROM orders WHERE order_id = '{order}' FOR UPDATE");
                self.database.batch_execute(&sql).await?;
                self.locked = Some(order);
            }
            // Its setbacks are those of the provider.
            Party::Client | Party::Payment => {}
        }
        Ok(())
    }

    /// Serves the need once more.
    pub async fn serve(&mut self) -> Result<()> {
        match (self.need, self.party) {
            (Need::Load | Need::Returned, _) => {}
            (Need::Poison, party) => self.load.want(Story::Poison(party)),
            (Need::Setback, Party::Stock) => self.load.want(Story::Held),
            (Need::Setback, Party::Payment) => self.load.want(Story::Flaky(1)),
            (Need::Setback, _) => self.knock().await?,
            (Need::Due, Party::Stock) => {
                // The reservation of an order that nobody pays for may as well expire.
                self.load.want(Story::Unanswered);
                let sql = "UPDATE timers SET due_at = now() WHERE owner IN
                           (SELECT order_id FROM reservations WHERE status = 'reserved')
                           AND owner = ANY ($1)";
                let unanswered = self.load.unanswered();
                self.database.execute(sql, &[&unanswered]).await?;
            }
            (Need::Due, _) => {
                let sql = "UPDATE timers SET due_at = now() WHERE owner IN
                           (SELECT owner FROM timers LIMIT 5)";
                self.database.execute(sql, &[]).await?;
            }
            (Need::LeftOver, _) => {
                // As if whoever sent them had died before he noted it.
                let sql = "UPDATE batches SET sent = false, at = now() - interval '1 minute'
                           WHERE id IN (SELECT id FROM batches WHERE sent ORDER BY at DESC LIMIT 3)";
                self.database.execute(sql, &[]).await?;
            }
        }
        Ok(())
    }

    /// Asks for the order whose row is locked; it has ended, so nothing comes of it.
    async fn knock(&mut self) -> Result<()> {
        if self.locked.is_none() {
            self.lock().await?;
        }
        if let Some(order) = &self.locked {
            let id = format!("knock{:x}-{order}", fastrand::u32(..));
            let cancel = Message::new("order.cancel.v1", &id, &json!({ "order_id": order }));
            self.load.send(cancel);
        }
        Ok(())
    }

    /// Lets go of what is held.
    pub async fn end(self) -> Result<()> {
        self.database.batch_execute("ROLLBACK").await?;
        Ok(())
    }
}
