//! Orders walk the whole happy path through the three workers, in batches of known sizes.

use anyhow::{Context, Result, ensure};
use orderly_contracts::Message as _;
use orderly_contracts::order::{OrderConfirmed, PlaceOrder};
use orderly_contracts::payment::{ChargePayment, PaymentCharged};
use orderly_contracts::routes::Party;
use orderly_contracts::stock::{ReserveStock, StockReserved};
use orderly_devstack::TestBed;
use orderly_e2e::{Databases, System, eventually, place};
use orderly_order::{Order, OrderTables};
use orderly_payment::{Payment, PaymentTables};
use orderly_runtime::servers::OwnServers;
use orderly_stock::{Stock, StockTables};

use crate::broker::{Step, Traffic};
use crate::database::{Conversation, Transaction};
use crate::portions::{MESSAGES, PORTIONS, WARMING_UP};
use crate::rig::Observed;
use crate::table::{BATCH, LIFE, ratio, row, table, told};

/// What each worker takes on the happy path, in order.
const WALK: [(Party, &[&str]); 3] = [
    (Party::Order, &[PlaceOrder::KIND, StockReserved::KIND, PaymentCharged::KIND]),
    (Party::Stock, &[ReserveStock::KIND, OrderConfirmed::KIND]),
    (Party::Payment, &[ChargePayment::KIND]),
];

/// What a worker has said in its life.
struct Life {
    party: Party,
    kinds: &'static [&'static str],
    traffic: Traffic,
    conversation: Conversation,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_costs_what_the_table_says_whatever_its_size() -> Result<()> {
    let system = System::prepare(TestBed::new()?, &[]).await?;
    let goods = "INSERT INTO items (sku, on_hand, reserved) VALUES ('lamp', 1000000, 0)";
    system.databases.stock.execute(goods, &[]).await?;
    let lives = walk(&system).await?;
    let (mut batch, mut life) = (vec![head()], vec![row("worker", &["statements"])]);
    let mut wrong = Vec::new();
    for one in &lives {
        wrong.extend(one.misconduct());
        wrong.extend(one.strange_books(&system).await?);
        batch.extend(one.rows());
        life.push(row(one.party.name(), &[one.conversation.beside]));
    }
    let (batch, life) = (table(&batch), table(&life));
    wrong.extend((batch != BATCH).then(|| told("BATCH", &batch)));
    wrong.extend((life != LIFE).then(|| told("LIFE", &life)));
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Sends orders through all workers, one step after the other.
async fn walk(system: &System) -> Result<Vec<Life>> {
    let observed = [
        Observed::start::<Order, OrderTables>(system, Order::default(), |config, name| {
            OwnServers::new(config, name, orderly_order::migrations)
        })?,
        Observed::start::<Stock, StockTables>(system, Stock::default(), |config, name| {
            OwnServers::new(config, name, orderly_stock::migrations)
        })?,
        Observed::start::<Payment, PaymentTables>(system, Payment::default(), |config, name| {
            OwnServers::new(config, name, orderly_payment::migrations)
        })?,
    ];
    eventually("all workers to be ready", async || {
        Ok(observed.iter().all(Observed::is_ready).then_some(()))
    })
    .await?;
    observed.iter().for_each(Observed::answers_are_late);
    let orders = (0..MESSAGES).map(|n| place(&format!("o-{n}"), "lamp", 1, "tok_visa"));
    system.client.publish(orders).await?;
    eventually("the last step of every order", async || {
        let sql = "SELECT count(*) FROM reservations WHERE status = 'committed'";
        let done: i64 = system.databases.stock.query_one(sql, &[]).await?.get(0);
        Ok((done == MESSAGES as i64).then_some(()))
    })
    .await
    .with_context(|| format!("they say {:?}", observed.each_ref().map(Observed::readiness)))?;
    let mut lives = Vec::new();
    for (worker, (party, kinds)) in observed.into_iter().zip(WALK) {
        let (at_broker, at_database) = worker.stop().await?;
        let (traffic, conversation) = (Traffic::of(&at_broker), Conversation::of(&at_database));
        lives.push(Life { party, kinds, traffic, conversation });
    }
    Ok(lives)
}

fn head() -> Vec<String> {
    let columns = ["statements", "trips", "prepares", "commits", "waits", "publishes"];
    row("step", &columns)
}

impl Life {
    /// Whatever was done that is wrong in any number: a statement prepared twice, an ack before the
    /// confirms of what follows, anything else said to the broker, a transaction too many.
    fn misconduct(&self) -> Vec<String> {
        let Self { party, kinds, traffic, conversation } = self;
        let mut wrong = Vec::new();
        for sql in &conversation.repeated {
            wrong.push(format!("the {party} worker prepared once more: {sql}"));
        }
        for (class, method) in &traffic.others {
            wrong.push(format!("the {party} worker sent the broker a method {class}.{method}"));
        }
        for kind in kinds.iter().filter(|kind| !traffic.step(kind).is_patient()) {
            wrong.push(format!("{kind} is acknowledged before what follows is confirmed"));
        }
        for kind in kinds.iter().filter(|kind| traffic.acked(kind) != MESSAGES) {
            wrong.push(format!("{} of {MESSAGES} {kind} are acknowledged", traffic.acked(kind)));
        }
        // One batch is settled by one ack at most; when there is no time for it, with the next.
        for kind in kinds.iter().filter(|kind| traffic.step(kind).acked.len() > PORTIONS.len()) {
            wrong.push(format!("{kind} is acknowledged more than once a batch"));
        }
        let (found, wanted) = (conversation.transactions.len(), kinds.len() * PORTIONS.len());
        if found != wanted {
            wrong.push(format!("the {party} worker ran {found} transactions for {wanted} batches"));
        }
        wrong
    }

    /// Steps whose messages were not, by the database's own books, taken in by one transaction a
    /// batch.
    async fn strange_books(&self, system: &System) -> Result<Vec<String>> {
        let Databases { order, stock, payment } = &system.databases;
        let database = match self.party {
            Party::Stock => stock,
            Party::Payment => payment,
            Party::Order | Party::Client => order,
        };
        let mut wrong = Vec::new();
        for kind in self.kinds {
            // A row's `xmin` names the transaction that wrote it.
            let sql = "SELECT count(*), count(DISTINCT xmin::text) FROM inbox WHERE kind = $1";
            let books = database.query_one(sql, &[kind]).await?;
            let (messages, transactions): (i64, i64) = (books.get(0), books.get(1));
            if (messages, transactions) != (MESSAGES as i64, PORTIONS.len() as i64) {
                wrong.push(format!("{kind}: {messages} messages in {transactions} transactions"));
            }
        }
        Ok(wrong)
    }

    /// A row for each step: one, if batches of all sizes cost the same.
    fn rows(&self) -> Vec<Vec<String>> {
        let transactions = self.conversation.transactions.chunks(PORTIONS.len());
        let steps = self.kinds.iter().zip(transactions);
        steps.flat_map(|(kind, batches)| rows(kind, &self.traffic.step(kind), batches)).collect()
    }
}

fn rows(kind: &str, step: &Step, batches: &[Transaction]) -> Vec<Vec<String>> {
    let waits = ratio(step.waits, batches.len());
    let publishes = ratio(step.published, MESSAGES);
    let steady = batches.iter().zip(PORTIONS).skip(WARMING_UP);
    let costs = steady.map(|(batch, size)| {
        let Transaction { statements, trips, prepares, commits, .. } = batch;
        let counted = [statements, trips, prepares, commits].map(usize::to_string);
        (size, [&counted[..], &[waits.clone(), publishes.clone()]].concat())
    });
    let costs: Vec<_> = costs.collect();
    if costs.iter().all(|(_, cost)| *cost == costs[0].1) {
        return vec![row(kind, &costs[0].1)];
    }
    costs.iter().map(|(size, cost)| row(&format!("{kind} in {size}"), cost)).collect()
}
