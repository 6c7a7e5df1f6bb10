//! What the workers count is what lies in their databases, after a run with outcomes of every kind.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use orderly_contracts::routes::PAYMENT_EFFECTS;
use orderly_devstack::{TestBed, Worker};
use orderly_e2e::{Message, System, eventually, place};
use serde_json::json;
use tokio_postgres::Client;

/// Numbers by what they count, such as the labels of a series or the columns of a row.
type Sums = BTreeMap<Vec<String>, i64>;

const ORDERS: usize = 20;
/// Long enough for a charge to be waited for while its order is cancelled.
const RETRY_DELAYS_MS: &str = "500,1000,2000";

/// A series of a worker's page.
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// All series of a worker. No value of a label has a quote or a comma in it.
fn series(worker: &Worker) -> Result<Vec<Series>> {
    let page = worker.get("/metrics")?;
    let lines = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').context("a series has a value")?;
            let (name, labels) = series.trim_end_matches('}').split_once('{').context("labels")?;
            let labels = labels.split(',').filter_map(|label| label.split_once('='));
            Ok(Series {
                name: name.to_owned(),
                labels: labels
                    .map(|(k, v)| (k.to_owned(), v.trim_matches('"').to_owned()))
                    .collect(),
                value: value.parse()?,
            })
        })
        .collect()
}

/// The sums of a metric over all workers of `service`, by these labels, without the zeros.
fn counted(
    system: &System,
    service: &str,
    name: &str,
    labels: &[&str],
    is_counted: impl Fn(&Series) -> bool,
) -> Result<Sums> {
    let mut sums = Sums::new();
    for worker in system.running() {
        for one in series(worker)? {
            if one.name == name && one.labels["worker"] == service && is_counted(&one) {
                let by = labels.iter().map(|label| one.labels[*label].clone()).collect();
                *sums.entry(by).or_default() += one.value as i64;
            }
        }
    }
    sums.retain(|_, sum| *sum != 0);
    Ok(sums)
}

/// The rows of a statement: a number behind what it counts.
async fn stored(client: &Client, sql: &str) -> Result<Sums> {
    let rows = client.query(sql, &[]).await?;
    let sums = rows.iter().map(|row| {
        let last = row.len() - 1;
        let by = (0..last).map(|n| row.get::<_, Option<String>>(n).unwrap_or_default()).collect();
        (by, row.get::<_, i64>(last))
    });
    Ok(sums.filter(|(_, sum)| *sum != 0).collect())
}

/// Waits until what is counted is what is stored: the last batch may not be counted yet, and a gauge
/// is as old as its census. What was counted too often stays wrong for ever.
async fn agree(
    what: &str,
    client: &Client,
    sql: &str,
    counted: impl Fn() -> Result<Sums>,
) -> Result<Sums> {
    let mut last = Default::default();
    let agreed = eventually(&format!("{what} to agree"), async || {
        last = (counted()?, stored(client, sql).await?);
        Ok((last.0 == last.1).then(|| last.0.clone()))
    })
    .await;
    agreed.with_context(|| format!("{what}: counted {:?}, stored {:?}", last.0, last.1))
}

fn cancel(order: &str) -> Message {
    Message::new("order.cancel.v1", &format!("cancel-{order}"), &json!({ "order_id": order }))
}

fn in_currency(order: &str, currency: &str) -> Message {
    let body = json!({
        "order_id": order,
        "lines": [{ "sku": "lamp", "quantity": 1, "unit_price": 250 }],
        "currency": currency,
        "payment_token": "tok_visa",
    });
    Message::new("order.place.v1", &format!("place-{order}"), &body)
}

/// Publishes something for every outcome there is, and waits until it has come about.
async fn publish_everything(system: &System) -> Result<()> {
    let client = &system.client;
    client.stock_up(&[("lamp", 1_000), ("rare", 1)]).await?;
    system.databases.item_reaches("rare", 1, 0).await?;
    let good = (0..ORDERS).map(|n| place(&format!("good-{n}"), "lamp", 1, "tok_visa"));
    client.publish(good.clone()).await?;
    client.publish([place("regretted", "lamp", 2, "tok_flaky_2")]).await?;
    client.publish([place("last-one", "rare", 1, "tok_visa")]).await?;
    system.databases.reaches("regretted", "reserved").await?;
    client.publish([cancel("regretted")]).await?;
    system.databases.reaches("last-one", "confirmed").await?;
    let late = (0..5).map(|n| place(&format!("late-{n}"), "rare", 1, "tok_visa"));
    let poor = (0..4).map(|n| place(&format!("poor-{n}"), "lamp", 1, "tok_decline"));
    client.publish(late.chain(poor)).await?;
    client.publish([in_currency("euro", "EUR"), in_currency("invented", "XQX")]).await?;
    // Every attempt at the second fails, and it goes on waiting.
    client.publish([cancel("never-placed"), place("stuck", "lamp", 1, "tok_error")]).await?;
    let [letter, other_content] = ["place-good-0", "place-again"].map(|id| {
        place("good-0", "lamp", 9, "tok_visa").with(|p| p.message_id = Some(id.to_owned()))
    });
    let unreadable = [
        Message { body: b"{".to_vec(), ..place("x", "lamp", 1, "tok_visa") },
        place("y", "lamp", 1, "tok_visa").with(|p| p.content_type = Some("text/xml".to_owned())),
        place("z", "lamp", 1, "tok_visa").with(|p| p.message_id = None),
    ];
    client.publish(unreadable.into_iter().chain([letter, other_content])).await?;
    client.publish(good).await?;
    let expected = [("confirmed", 23), ("rejected", 5), ("cancelled", 6), ("reserved", 1)];
    let expected = BTreeMap::from(expected.map(|(status, count)| (status.to_owned(), count)));
    eventually("the outcome of every order", async || {
        Ok((system.databases.outcomes().await? == expected).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_counted_is_what_lies_in_the_databases() -> Result<()> {
    let settings = [("ORDERLY_RETRY_DELAYS_MS", RETRY_DELAYS_MS)];
    let mut system = System::prepare(TestBed::new()?, &settings).await?;
    system.start_workers()?;
    publish_everything(&system).await?;
    messages_agree(&system).await?;
    letters_agree(&system).await?;
    orders_and_money_agree(&system).await?;
    effects_agree(&system).await?;
    gauges_agree(&mut system).await?;
    for worker in system.running() {
        let page = worker.get("/metrics")?;
        ensure!(page.len() < 100 * 1024, "{} bytes", page.len());
        ensure!(!page.contains("XQX") && !page.contains("good-"), "{page}");
    }
    Ok(())
}

fn databases(system: &System) -> [(&'static str, &Client); 3] {
    let databases = &system.databases;
    [("order", &databases.order), ("stock", &databases.stock), ("payment", &databases.payment)]
}

async fn messages_agree(system: &System) -> Result<()> {
    for (service, client) in databases(system) {
        let sql = "SELECT kind, count(*) FROM inbox WHERE kind <> 'timer' GROUP BY kind";
        agree(&format!("messages of {service}"), client, sql, || {
            counted(system, service, "orderly_messages_total", &["kind"], |one| {
                let is_over = ["done", "rejected"].contains(&one.labels["outcome"].as_str());
                is_over && one.labels["queue"] != PAYMENT_EFFECTS
            })
        })
        .await?;
    }
    let names = ["order.new", "order.place.v1"].map(str::to_owned).to_vec();
    let expected = Sums::from([(names, ORDERS as i64)]);
    eventually("every duplicate to be counted once", async || {
        let by = ["queue", "kind"];
        // What followed from them may have come twice as well: until it is noted that outputs are out, a
        // duplicate says them again.
        let found = counted(system, "order", "orderly_duplicates_total", &by, |one| {
            one.labels["queue"] == "order.new"
        })?;
        Ok((found == expected).then_some(()))
    })
    .await?;
    eventually("every message taken in hand to come to one end, and in its time", async || {
        let of = |name| counted(system, "order", name, &["queue"], |_| true);
        let ends = [of("orderly_messages_total")?, of("orderly_duplicates_total")?];
        // None of the letters of this run is about a message that was decided.
        let ends = ends.into_iter().chain([of("orderly_dead_letters_total")?]);
        let mut sums = Sums::new();
        ends.flatten().for_each(|(queue, sum)| *sums.entry(queue).or_default() += sum);
        let waits = (of("orderly_queue_seconds_count")?, of("orderly_critical_seconds_count")?);
        Ok((of("orderly_batch_messages_sum")? == sums && waits.0 == waits.1).then_some(()))
    })
    .await
}

async fn letters_agree(system: &System) -> Result<()> {
    for (service, client) in databases(system) {
        let sql = "SELECT queue, reason, sum(occurrences)::bigint FROM dead_letters GROUP BY 1, 2";
        eventually(&format!("the letters of {service}"), async || {
            let expected = BTreeMap::from([("order", 4), ("stock", 0), ("payment", 1)]);
            Ok((stored(client, sql).await?.len() == expected[service]).then_some(()))
        })
        .await?;
        agree(&format!("letters of {service}"), client, sql, || {
            counted(system, service, "orderly_dead_letters_total", &["queue", "reason"], |_| true)
        })
        .await?;
    }
    Ok(())
}

async fn orders_and_money_agree(system: &System) -> Result<()> {
    let client = &system.databases.order;
    let sql =
        "SELECT status, reason, count(*) FROM orders WHERE ended_at IS NOT NULL GROUP BY 1, 2";
    let ends = agree("ends of orders", client, sql, || {
        counted(system, "order", "orderly_orders_ended_total", &["outcome", "reason"], |_| true)
    })
    .await?;
    ensure!(ends.len() == 4, "confirmed, rejected, declined and called off: {ends:?}");
    let sql = "SELECT count(*) FROM orders WHERE placed_at IS NOT NULL";
    agree("orders placed", client, sql, || {
        counted(system, "order", "orderly_orders_placed_total", &[], |_| true)
    })
    .await?;
    let sql = "SELECT status, count(*) FROM orders WHERE ended_at IS NOT NULL
               AND placed_at IS NOT NULL GROUP BY 1";
    agree("times of orders", client, sql, || {
        counted(system, "order", "orderly_order_seconds_count", &["outcome"], |_| true)
    })
    .await?;
    for (operation, name, currencies) in [
        ("capture", "orderly_money_charged_total", 3),
        ("refund", "orderly_money_refunded_total", 1),
    ] {
        let sql = format!(
            "SELECT CASE currency WHEN 'XQX' THEN 'other' ELSE currency END, sum(amount)::bigint
             FROM payment_ledger WHERE amount > 0 AND operation = '{operation}' GROUP BY 1"
        );
        let sums = agree(operation, &system.databases.payment, &sql, || {
            counted(system, "payment", name, &["currency"], |_| true)
        })
        .await?;
        ensure!(sums.len() == currencies, "{operation}: {sums:?}");
    }
    Ok(())
}

/// What becomes of calls lies in no database: here the counters have to agree with each other.
async fn effects_agree(system: &System) -> Result<()> {
    let of = |name, by: &[&str]| {
        let is_effect =
            |one: &Series| one.labels.get("queue").is_none_or(|queue| queue == PAYMENT_EFFECTS);
        counted(system, "payment", name, by, is_effect)
    };
    eventually("calls, their ends and their retries to agree", async || {
        let calls = of("orderly_effects_total", &["outcome"])?;
        let ends = of("orderly_messages_total", &["outcome"])?;
        let rungs = of("orderly_retries_total", &["rung"])?;
        let letters = of("orderly_dead_letters_total", &[])?;
        let sum = |sums: &Sums| sums.values().sum::<i64>();
        let end = |word: &str| ends.get([word.to_owned()].as_slice()).copied().unwrap_or(0);
        let call = |word: &str| calls.get([word.to_owned()].as_slice()).copied().unwrap_or(0);
        let is_right = rungs.len() == 3
            && end("retry") == sum(&rungs)
            && end("dead") == sum(&letters)
            && call("failed") == end("retry") + end("dead")
            && call("answered") == end("done")
            && sum(&of("orderly_effect_seconds_count", &[])?) == sum(&calls);
        Ok((is_right && call("answered") > 0).then_some(()))
    })
    .await
}

async fn gauges_agree(system: &mut System) -> Result<()> {
    // One that starts now takes its full census now.
    let fresh = system.start_worker("stock")?;
    let sql = "SELECT count(*) FROM items WHERE on_hand = reserved";
    agree("articles out of stock", &system.databases.stock, sql, || {
        let found = series(&system.running()[fresh])?;
        let of_stock = found.iter().find(|one| one.name == "orderly_articles_out_of_stock");
        Ok(Sums::from([(vec![], of_stock.context("no such gauge")?.value as i64)]))
    })
    .await?;
    let sql = "SELECT status, count(*) FROM orders WHERE ended_at IS NULL GROUP BY 1";
    agree("open orders", &system.databases.order, sql, || {
        counted(system, "order", "orderly_orders_open", &["status"], |_| true)
    })
    .await?;
    eventually("the open order to grow old", async || {
        let name = "orderly_orders_oldest_seconds";
        let oldest = counted(system, "order", name, &["status"], |_| true)?;
        Ok(oldest.keys().eq([&["reserved".to_owned()]]).then_some(()))
    })
    .await?;
    for (service, client) in
        databases(system).into_iter().filter(|(service, _)| *service != "stock")
    {
        let sql = "SELECT reason, count(*) FROM dead_letters WHERE status = 'open' GROUP BY 1";
        agree(&format!("open letters of {service}"), client, sql, || {
            counted(system, service, "orderly_dead_letters_open", &["reason"], |_| true)
        })
        .await?;
        let sql = "SELECT count(*) FROM batches WHERE NOT sent";
        agree(&format!("outputs of {service} that wait"), client, sql, || {
            counted(system, service, "orderly_outputs_waiting", &[], |_| true)
        })
        .await?;
        let busy = counted(system, service, "orderly_database_connections", &["state"], |_| true)?;
        ensure!(busy.contains_key(["idle".to_owned()].as_slice()), "{busy:?}");
    }
    Ok(())
}
