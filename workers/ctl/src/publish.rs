//! `orderly publish`: messages from arguments, JSON lines or real data, each confirmed.

pub mod check;
pub mod jsonl;
pub mod progress;
pub mod record;
pub mod refusals;
pub mod sender;
pub mod source;
pub mod transfer;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use orderly_contracts::Message;
use orderly_contracts::order::PlaceOrder;
use orderly_runtime::trace;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::exit::{FAILED, misuse};
use crate::online_retail::{Importer, message_id};
use crate::output;
use crate::settings::{Need, Settings};
use progress::Progress;
use record::{Draft, Place, Record};
use sender::Sender;
use source::{Extent, read_ahead};
use transfer::{Manner, Tally, Transfer};

/// How long a collector is waited for once everything is sent.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// Where messages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A message a line: `{"type": ..., "message_id": ..., "body": {...}, "headers": {...}}`
    Jsonl,
    /// CSV files of the Online Retail data; every invoice is an order
    OnlineRetail,
}

/// The arguments of `orderly publish`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct Arguments {
    /// The type of one message, or with --format the files to read (`-` is stdin)
    #[arg(value_name = "TYPE|FILE", required = true)]
    inputs: Vec<String>,
    /// What the files hold
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The id of the one message [default: a random one, which is shown]
    #[arg(long, value_name = "ID", conflicts_with = "format")]
    id: Option<String>,
    /// The body of the one message: a text, @FILE, or `-` for stdin
    #[arg(long, conflicts_with = "format", required_unless_present = "format")]
    body: Option<String>,
    /// Another routing key than the type, for experiments
    #[arg(long, value_name = "KEY", conflicts_with = "format", requires = "no_check")]
    routing_key: Option<String>,
    /// At most so many messages a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Write a JSON line `{type, message_id, order_id}` for each confirmed message to this file
    #[arg(long, value_name = "FILE")]
    receipts: Option<PathBuf>,
    /// Write each refused record to this file, a JSON line each
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
    /// Send what breaks the contract too, to try dead letters
    #[arg(long)]
    no_check: bool,
    /// Exit with 1 if a record was refused
    #[arg(long)]
    strict: bool,
    /// How long to wait without progress for a broker that is away or full
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = output::parse_duration)]
    patience: Duration,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Every message is checked by the contract before it is sent, and counts once the broker has confirmed
it. A lost connection is made again, and what was not confirmed is sent again under the same ids.
Records that are refused are named with their reason; all others are sent.

Online Retail: Daqing Chen, Online Retail, UCI, doi 10.24432/C5BW33, CC BY 4.0. One invoice is one
order in GBP, its number the order id, `online-retail:<number>` the message id. Refused are
cancellations (C...), invoices with a quantity that is not above zero, and prices with a part below
a penny. Postage and charges (POST, DOT, M, C2, BANK CHARGES, D, CRUK, AMAZONFEE, S, PADS) are
services, without stock. The means of payment follows from the SHA-256 of the order id (its first 8
bytes, modulo 100): 0 to 4 tok_decline, 5 and 6 tok_flaky_1, else tok_visa.

Examples:
  orderly publish order.place.v1 --id my-1 --body @order.json
  orderly publish --format jsonl messages.jsonl --rate 100
  orderly publish --format online-retail data/*.csv --receipts receipts.jsonl";

/// Publishes.
pub async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    settings.check(&[Need::Broker])?;
    if let Some(traces) = settings.traces()? {
        trace::begin("client", traces).map_err(misuse)?;
    }
    let (records, extent) = open(arguments)?;
    let sender = Sender::connect(settings, arguments.patience).await?;
    let manner = Manner { rate: arguments.rate, is_unchecked: arguments.no_check };
    let (receipts, refused) = (arguments.receipts.as_deref(), arguments.refused.as_deref());
    let transfer = Transfer::new(sender, manner, receipts, refused, Progress::new(extent))?;
    let (tally, error) = transfer.run(records).await;
    let lost = trace::end(LAST_SPANS);
    if lost > 0 {
        let spans = output::count(lost as u64, "span");
        eprintln!("orderly: {spans} not exported: the collector was away or too slow");
    }
    let told = tell(&tally, arguments.json);
    if let Some(error) = error {
        return Err(error);
    }
    let is_refused = tally.refused > 0 && (arguments.strict || arguments.format.is_none());
    if tally.returned + tally.unconfirmed > 0 || is_refused {
        return Ok(ExitCode::from(FAILED));
    }
    // Only now: a reader who has gone must not turn a failure into a success.
    told?;
    Ok(ExitCode::SUCCESS)
}

fn open(arguments: &Arguments) -> Result<(mpsc::Receiver<Result<Record>>, Extent)> {
    let paths: Vec<_> = arguments.inputs.iter().map(PathBuf::from).collect();
    match arguments.format {
        Some(Format::Jsonl) => {
            let (inputs, extent) = source::open(&paths)?;
            let records = inputs.into_iter().flat_map(|(name, input)| jsonl::read(name, input));
            Ok((read_ahead(records), extent))
        }
        Some(Format::OnlineRetail) => {
            let (inputs, extent) = source::open(&paths)?;
            let orders = Importer::new(inputs)?;
            let records = orders.map(|item| item.map(|order| order.map(|order| draft_of(&order))));
            Ok((read_ahead(records), extent))
        }
        None => {
            let draft = single(arguments)?;
            Ok((read_ahead(std::iter::once(Ok(Ok(draft)))), Extent::default()))
        }
    }
}

/// The message that places `order`, of the Online Retail data.
fn draft_of(order: &PlaceOrder) -> Draft {
    draft(PlaceOrder::KIND, message_id(order), order)
}

/// A message of ours.
pub fn draft<M: Message>(kind: &str, message_id: String, message: &M) -> Draft {
    Draft {
        place: Place { file: message.correlation().to_owned(), line: 0 },
        kind: kind.to_owned(),
        routing_key: kind.to_owned(),
        message_id,
        correlation: Some(message.correlation().to_owned()),
        headers: Default::default(),
        body: serde_json::to_vec(message).expect("contract types always serialise"),
    }
}

fn single(arguments: &Arguments) -> Result<Draft> {
    let [kind] = arguments.inputs.as_slice() else {
        return Err(misuse("name one type; to publish files, say their --format"));
    };
    let body = body(arguments.body.as_deref().unwrap_or_default())?;
    let message_id = arguments.id.clone().unwrap_or_else(|| {
        let id = Uuid::new_v4().to_string();
        eprintln!("the message's id is {id}");
        id
    });
    Ok(Draft {
        place: Place { file: "--body".to_owned(), line: 1 },
        kind: kind.clone(),
        routing_key: arguments.routing_key.clone().unwrap_or_else(|| kind.clone()),
        message_id,
        correlation: None,
        headers: Default::default(),
        body,
    })
}

fn body(text: &str) -> Result<Vec<u8>> {
    if text == "-" {
        let mut body = Vec::new();
        std::io::stdin().read_to_end(&mut body).context("can't read stdin")?;
        return Ok(body);
    }
    match text.strip_prefix('@') {
        Some(file) => {
            let read = std::fs::read(Path::new(file));
            read.with_context(|| format!("can't read {file}"))
        }
        None => Ok(text.as_bytes().to_vec()),
    }
}

fn tell(tally: &Tally, as_json: bool) -> Result<()> {
    if as_json {
        return output::json(tally);
    }
    let Tally { confirmed, returned, unconfirmed, refused, seconds, per_second } = tally;
    let confirmed = output::count(*confirmed, "message");
    output::line(format!(
        "{confirmed} confirmed in {seconds:.1} s ({per_second:.0} a second), {refused} refused"
    ))?;
    if returned + unconfirmed > 0 {
        let text =
            format!("{returned} returned, since no queue takes them; {unconfirmed} unconfirmed");
        output::line(text)?;
    }
    Ok(())
}
