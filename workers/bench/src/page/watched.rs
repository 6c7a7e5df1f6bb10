//! The section about what it costs to be watched.

use crate::page::markdown::{by_turns, heading, number, spread};
use crate::results::Section;
use crate::stage::Run;
use crate::watched::{Turn, Watched};

/// The section.
pub(super) fn watched(section: &Section<Watched>) -> String {
    let Section { run, found } = section;
    let cost = |run: fn(&Turn) -> &Run| Run::cost(found.rounds.iter().map(run)).workers();
    let text = format!(
        "Workers that count, and are scraped once a second, against workers with `ORDERLY_METRICS=false`, by turns.\n\
         {} scrapes under that load took {} ms; the longest page had {} bytes. The workers take {} ms of processor\n\
         time an order with metrics, {} ms without: {} % of all that an order takes. Nobody else feels them, so\n\
         that is what they cost; how far the rates differ by themselves, their spread tells.\n",
        found.scrapes.len(),
        spread(found.scrape_milliseconds(), 1),
        number(found.page_bytes() as f64, 0),
        number(cost(|turn| &turn.with), 3),
        number(cost(|turn| &turn.without), 3),
        spread(found.cost(), 1),
    );
    let turns = found.rounds.iter().map(|turn| (&turn.with, &turn.without));
    let head = ["round", "with metrics, orders/s", "without, orders/s", "with / without"];
    [heading("Watched", run), text, by_turns(head, turns, found.ratio())].join("\n")
}
