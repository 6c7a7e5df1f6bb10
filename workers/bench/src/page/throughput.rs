//! The sections about throughput: made-up orders against the ceiling, and real ones.

use crate::page::markdown::{heading, number, spread, table};
use crate::results::{Section, Spread};
use crate::stage::Run;
use crate::throughput::{Real, Round, Throughput};
use crate::usage::{Part, Usage};

/// Saga against ceiling, and everything that an order costs.
pub(super) fn throughput(section: &Section<Throughput>) -> String {
    let Section { run, found } = section;
    [
        heading("Throughput", run),
        rounds(found),
        "### Processor time\n".to_owned(),
        processor_time(found),
        "### Memory\n".to_owned(),
        memory(found),
        "### What an order costs in the databases\n".to_owned(),
        work(found),
        "### Messages and batches\n".to_owned(),
        messages(found),
        batches(found),
    ]
    .join("\n")
}

fn rounds(found: &Throughput) -> String {
    let row = |name: String, [saga, ceiling, of_five, ratio]: [String; 4]| {
        vec![name, saga, ceiling, of_five, ratio]
    };
    let one = |(n, round): (usize, &Round)| {
        let rates = [&round.saga, &round.ceiling, &round.ceiling_of_five];
        let [saga, ceiling, of_five] = rates.map(|run| number(run.rate, 0));
        row((n + 1).to_string(), [saga, ceiling, of_five, number(round.ratio(), 2)])
    };
    let over = |run: fn(&Round) -> &Run| {
        spread(Spread::of(found.rounds.iter().map(|round| run(round).rate)), 0)
    };
    let median = [
        spread(found.rate(), 0),
        over(|round| &round.ceiling),
        over(|round| &round.ceiling_of_five),
        spread(found.ratio(), 2),
    ];
    let median = row("median (spread)".to_owned(), median);
    let rows: Vec<_> = found.rounds.iter().enumerate().map(one).chain([median]).collect();
    let head = ["round", "saga, orders/s", "ceiling", "relay of five messages", "saga / ceiling"];
    let orders = found.rounds.first().map_or(0, |round| round.saga.orders);
    let text = format!(
        "{} single-line orders in each part of a round. The relay of five messages leaves out the last one,\n\
         for comparison with systems whose sagas have five.\n",
        number(orders as f64, 0)
    );
    [text, table(&head, &rows)].join("\n")
}

fn processor_time(found: &Throughput) -> String {
    let cost = |run: fn(&Round) -> &Run| Run::cost(found.rounds.iter().map(run));
    let costs: [Usage; 3] =
        [found.cost(), cost(|round| &round.ceiling), cost(|round| &round.ceiling_of_five)];
    let row = |name: &str, of: &dyn Fn(&Usage) -> f64| {
        let cells = costs.iter().map(|cost| number(of(cost), 3));
        [name.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
    };
    let rows: Vec<_> = Part::ALL
        .iter()
        .map(|part| row(part.name(), &|cost| cost.of(*part)))
        .chain([
            row("all but the benchmark", &Usage::of_system),
            row("all with the benchmark", &Usage::total),
        ])
        .collect();
    let saga = &costs[0];
    let text = format!(
        "\nThe benchmark itself is the shop and, for the ceiling, the relay. In the saga, the workers spend {} % of all\n\
         but the benchmark, {} % of all with it.\n",
        number(100.0 * saga.share_of_workers(), 0),
        number(100.0 * saga.workers() / saga.total(), 0)
    );
    let head = ["CPU milliseconds an order", "saga", "ceiling", "relay of five"];
    table(&head, &rows) + &text
}

fn memory(found: &Throughput) -> String {
    let text = "The most that was resident in any one process, from its start to the end of the section.\n";
    let mib = |bytes: u64| number(bytes as f64 / 1_048_576.0, 0);
    let row = |(part, bytes): (&Part, &u64)| vec![part.name().to_owned(), mib(*bytes)];
    let rows: Vec<_> = found.memory.iter().map(row).collect();
    [text.to_owned(), table(&["process", "MiB"], &rows)].join("\n")
}

fn work(found: &Throughput) -> String {
    let work = found.work;
    let row = |name: &str, value, decimals| vec![name.to_owned(), number(value, decimals)];
    let rows = [
        row("rows inserted", work.inserted, 1),
        row("rows updated", work.updated, 1),
        row("rows deleted", work.deleted, 1),
        row("commits", work.commits, 3),
        row("bytes of log (WAL)", work.log_bytes, 0),
    ];
    table(&["all three databases", "an order"], &rows)
}

fn messages(found: &Throughput) -> String {
    let row = |kind: &str, bytes| vec![kind.to_owned(), number(bytes as f64, 0)];
    let all = found.messages.iter().map(|size| size.body).sum();
    let rows = found.messages.iter().map(|size| row(&format!("`{}`", size.kind), size.body));
    let rows: Vec<_> = rows.chain([row("together", all)]).collect();
    table(&["message of an order", "bytes of its body"], &rows)
}

fn batches(found: &Throughput) -> String {
    let row = |(queue, size): (&String, &f64)| vec![format!("`{queue}`"), number(*size, 0)];
    let rows: Vec<_> = found.batches.iter().map(row).collect();
    table(&["queue", "messages in a batch, on average"], &rows)
}

/// Real orders.
pub(super) fn real(section: &Section<Real>) -> String {
    let Section { run, found } = section;
    let row = |name: String, rate, lines| vec![name, rate, lines];
    let of_round = |(n, run): (usize, &Run)| {
        let lines = number(run.rate * found.lines, 0);
        row((n + 1).to_string(), number(run.rate, 0), lines)
    };
    let lines = Spread::of(found.rounds.iter().map(|run| run.rate * found.lines));
    let median = row("median (spread)".into(), spread(found.rate(), 0), spread(lines, 0));
    let rows: Vec<_> = found.rounds.iter().enumerate().map(of_round).chain([median]).collect();
    let cost = Run::cost(&found.rounds);
    let text = format!(
        "The orders of the demo, {} lines each on average, again and again under new numbers; {} ms of processor time\n\
         an order without the benchmark's own, {} ms with it.\n",
        number(found.lines, 1),
        number(cost.of_system(), 2),
        number(cost.total(), 2)
    );
    let table = table(&["round", "orders/s", "lines/s"], &rows);
    [heading("Real orders", run), text, table].join("\n")
}
