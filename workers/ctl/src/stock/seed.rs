//! `orderly stock seed`: goods for all real orders, but too little of a part of the articles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use orderly_contracts::Message;
use orderly_contracts::order::PlaceOrder;
use orderly_contracts::routes::Party;
use orderly_contracts::stock::AdjustStock;
use orderly_contracts::text::{AdjustmentId, Sku};
use serde::Serialize;

use crate::connections;
use crate::exit::FAILED;
use crate::online_retail::{Importer, stable_hash};
use crate::output;
use crate::publish::progress::Progress;
use crate::publish::record::Record;
use crate::publish::sender::Sender;
use crate::publish::source::{self, read_ahead};
use crate::publish::transfer::{Manner, Transfer};
use crate::publish::{Format, draft};
use crate::settings::{Need, Settings};

/// The arguments of `orderly stock seed`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The files with the orders to serve
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What the files hold
    #[arg(long, value_enum)]
    format: Format,
    /// Of how many articles in a hundred there is only half of what is asked for
    #[arg(long, value_name = "PERCENT", default_value_t = 3,
          value_parser = clap::value_parser!(u8).range(0..=100))]
    short: u8,
    /// Begins the ids of the adjustments; under another name the same goods come again
    #[arg(long, value_name = "NAME", default_value = "seed", value_parser = parse_name)]
    name: String,
    /// Wait until the stock worker has taken them in; needs the stock database
    #[arg(long, value_name = "TIME", value_parser = output::parse_duration)]
    wait: Option<Duration>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// The longest name, so that there is room for an article beside it.
const NAME_MAX: usize = 20;

fn parse_name(text: &str) -> Result<String, String> {
    if text.len() > NAME_MAX {
        return Err(format!("at most {NAME_MAX} characters"));
    }
    let id = AdjustmentId::new(text).map_err(|error| error.to_string())?;
    Ok(id.as_str().to_owned())
}

/// Pieces by article, for each order.
type Demand = Vec<BTreeMap<Sku, i64>>;

/// What to put on the shelves.
#[derive(Debug)]
struct Plan {
    supplies: BTreeMap<Sku, i64>,
    short: BTreeSet<Sku>,
    orders_with_short: usize,
}

/// What came of it.
#[derive(Serialize)]
struct Outcome {
    articles: usize,
    short_articles: usize,
    orders: usize,
    orders_with_short_articles: usize,
    confirmed: u64,
    applied: Option<usize>,
}

pub(super) async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let mut needs = vec![Need::Broker];
    needs.extend(arguments.wait.map(|_| Need::Database(Party::Stock)));
    settings.check(&needs)?;
    let Format::OnlineRetail = arguments.format else {
        bail!(crate::exit::Misuse("goods are told from orders: --format online-retail".to_owned()));
    };
    let (inputs, _) = source::open(&arguments.files)?;
    let mut demand = Demand::new();
    for order in Importer::new(inputs)? {
        demand.extend(order?.ok().map(|order| goods(&order)));
    }
    let plan = Plan::new(&demand, arguments.short);
    let commands = plan.commands(&arguments.name)?;

    let sender = Sender::connect(settings, Duration::from_secs(60)).await?;
    let manner = Manner::default();
    let transfer = Transfer::new(sender, manner, None, None, Progress::hidden())?;
    let adjustments: Vec<(String, i64)> = commands
        .iter()
        .map(|command| (command.adjustment_id.to_string(), command.delta.get()))
        .collect();
    let records = commands.into_iter().map(|command| {
        // The amount is a part of the id: other goods under the same name are another message,
        // which the stock worker refuses in public.
        let id = format!("{}:{}", command.adjustment_id, command.delta);
        Ok(Record::Ok(draft(AdjustStock::KIND, id, &command)))
    });
    let (tally, error) = transfer.run(read_ahead(records)).await;
    if let Some(error) = error {
        return Err(error);
    }
    let applied = match arguments.wait {
        Some(wait) => Some(wait_for(settings, &adjustments, wait).await?),
        None => None,
    };
    let outcome = Outcome {
        articles: plan.supplies.len(),
        short_articles: plan.short.len(),
        orders: demand.len(),
        orders_with_short_articles: plan.orders_with_short,
        confirmed: tally.confirmed,
        applied,
    };
    tell(&outcome, arguments.json)?;
    let all = adjustments.len();
    let is_done = tally.confirmed == all as u64 && applied.is_none_or(|count| count == all);
    Ok(match is_done {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILED),
    })
}

/// The goods an order asks for; services have no stock.
fn goods(order: &PlaceOrder) -> BTreeMap<Sku, i64> {
    let mut goods = BTreeMap::new();
    for line in order.lines.iter().filter(|line| !line.service) {
        *goods.entry(line.sku.clone()).or_insert(0) += line.quantity.get();
    }
    goods
}

impl Plan {
    /// Everything that is asked for, but only half of `percent` in a hundred articles: of those
    /// with the smallest hashes, so that the same files always give the same plan.
    fn new(demand: &Demand, percent: u8) -> Self {
        let mut supplies: BTreeMap<Sku, i64> = BTreeMap::new();
        for (sku, pieces) in demand.iter().flatten() {
            *supplies.entry(sku.clone()).or_default() += pieces;
        }
        let count = (supplies.len() * usize::from(percent)).div_ceil(100);
        let mut by_hash: Vec<_> = supplies.keys().cloned().collect();
        by_hash.sort_by_key(|sku| (stable_hash(sku.as_str()), sku.clone()));
        let short: BTreeSet<Sku> = by_hash.into_iter().take(count).collect();
        for (_, pieces) in supplies.iter_mut().filter(|(sku, _)| short.contains(*sku)) {
            *pieces /= 2;
        }
        let asks = |goods: &&BTreeMap<Sku, i64>| goods.keys().any(|sku| short.contains(sku));
        let orders_with_short = demand.iter().filter(asks).count();
        Self { supplies, short, orders_with_short }
    }

    /// A command an article; none for one of which nothing comes in.
    fn commands(&self, name: &str) -> Result<Vec<AdjustStock>> {
        self.supplies
            .iter()
            .filter(|(_, pieces)| **pieces > 0)
            .map(|(sku, pieces)| {
                Ok(AdjustStock {
                    adjustment_id: adjustment_id(name, sku)?,
                    sku: sku.clone(),
                    delta: (*pieces).try_into()?,
                    note: None,
                })
            })
            .collect()
    }
}

/// `<name>:<sku>` where ids allow it. Else what they don't allow becomes `_`, and a hash at the end
/// keeps articles apart that would look the same.
fn adjustment_id(name: &str, sku: &Sku) -> Result<AdjustmentId> {
    if let Ok(id) = AdjustmentId::new(format!("{name}:{sku}")) {
        return Ok(id);
    }
    let allow = |c: char| {
        if c.is_ascii_alphanumeric() || "._-:".contains(c) { c } else { '_' }
    };
    // What is left of 64 bytes beside a name of 20, 16 digits and two colons.
    let readable: String = sku.as_str().chars().map(allow).take(26).collect();
    let hash = stable_hash(sku.as_str());
    Ok(AdjustmentId::new(format!("{name}:{readable}:{hash:016x}"))?)
}

// An adjustment of that name with another amount is somebody else's, and ours was refused.
const APPLIED: &str = "\
SELECT count(*) FROM unnest($1::text[], $2::bigint[]) AS wanted (adjustment_id, delta)
JOIN adjustments USING (adjustment_id, delta) WHERE refusal IS NULL";

/// Waits until the stock worker has taken in all adjustments; how many it has.
async fn wait_for(
    settings: &Settings,
    adjustments: &[(String, i64)],
    wait: Duration,
) -> Result<usize> {
    let (ids, deltas): (Vec<&str>, Vec<i64>) =
        adjustments.iter().map(|(id, delta)| (id.as_str(), *delta)).unzip();
    let client = connections::database(settings, Party::Stock).await?;
    let start = Instant::now();
    loop {
        let count: i64 = client.query_one(APPLIED, &[&ids, &deltas]).await?.get(0);
        let count = usize::try_from(count)?;
        if count >= ids.len() || start.elapsed() >= wait {
            return Ok(count);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn tell(outcome: &Outcome, as_json: bool) -> Result<()> {
    if as_json {
        return output::json(outcome);
    }
    let Outcome {
        articles,
        short_articles,
        orders,
        orders_with_short_articles,
        confirmed,
        applied,
    } = outcome;
    output::line(format!(
        "{articles} articles; of {short_articles} there is only half of what is asked for"
    ))?;
    output::line(format!("{orders_with_short_articles} of {orders} orders ask for one of these"))?;
    output::line(format!("{confirmed} adjustments confirmed by the broker"))?;
    if let Some(applied) = applied {
        output::line(format!("{applied} adjustments taken in by the stock worker"))?;
        if (*applied as u64) < *confirmed {
            eprintln!(
                "orderly: the others wait, or were refused since other goods came under this \
                 name; --name takes another"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sku(text: &str) -> Sku {
        Sku::new(text).unwrap()
    }

    #[test]
    fn short_articles_get_half_and_orders_that_ask_for_them_are_counted() {
        let order = |skus: &[&str]| skus.iter().map(|text| (sku(text), 3)).collect();
        let demand: Demand = vec![order(&["a", "b"]), order(&["b"]), order(&["c", "d"])];
        let none = Plan::new(&demand, 0);
        assert!(none.short.is_empty());
        assert_eq!(none.orders_with_short, 0);
        assert_eq!(none.supplies[&sku("b")], 6);
        let all = Plan::new(&demand, 100);
        assert_eq!((all.short.len(), all.orders_with_short), (4, 3));
        assert_eq!((all.supplies[&sku("a")], all.supplies[&sku("b")]), (1, 3));
        let some = Plan::new(&demand, 1);
        assert_eq!(some.short.len(), 1, "one in a hundred of four is rounded up");
    }

    #[test]
    fn ids_stay_apart_and_within_their_rules() {
        let long = "x".repeat(64);
        let skus = ["85123A", "a b", "a_b", "a/b", &long];
        let ids: BTreeSet<_> = skus
            .iter()
            .map(|text| adjustment_id(&"n".repeat(NAME_MAX), &sku(text)).unwrap())
            .collect();
        assert_eq!(ids.len(), skus.len());
        assert_eq!(adjustment_id("seed", &sku("85123A")).unwrap().as_str(), "seed:85123A");
    }
}
