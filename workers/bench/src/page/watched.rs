//! The section about what it costs to be watched.

use crate::page::markdown::{heading, number, spread, table};
use crate::results::{Section, Spread};
use crate::stage::Run;
use crate::watched::{Turn, Watched};

/// The section.
pub(super) fn watched(section: &Section<Watched>) -> String {
    let Section { run, found } = section;
    let row = |(n, turn): (usize, &Turn)| {
        let (with, without) = (turn.with.rate, turn.without.rate);
        let rates = [number(with, 0), number(without, 0), number(with / without, 2)];
        [(n + 1).to_string()].into_iter().chain(rates).collect::<Vec<_>>()
    };
    let over = |run: fn(&Turn) -> &Run| {
        spread(Spread::of(found.rounds.iter().map(|turn| run(turn).rate)), 0)
    };
    let median = vec![
        "median (spread)".to_owned(),
        over(|turn| &turn.with),
        over(|turn| &turn.without),
        spread(found.ratio(), 2),
    ];
    let rows: Vec<_> = found.rounds.iter().enumerate().map(row).chain([median]).collect();
    let cost = |run: fn(&Turn) -> &Run| Run::cost(found.rounds.iter().map(run)).workers();
    let text = format!(
        "Workers that count, and are scraped once a second, against workers with `ORDERLY_METRICS=false`, by turns.\n\
         {} scrapes under that load took {} ms; the longest page had {} bytes. The workers take {} ms of processor\n\
         time an order with metrics, {} ms without.\n",
        found.scrapes.len(),
        spread(found.scrape_milliseconds(), 1),
        number(found.page_bytes() as f64, 0),
        number(cost(|turn| &turn.with), 3),
        number(cost(|turn| &turn.without), 3),
    );
    let head = ["round", "with metrics, orders/s", "without, orders/s", "with / without"];
    [heading("Watched", run), text, table(&head, &rows)].join("\n")
}
