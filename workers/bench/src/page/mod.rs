//! The page about performance: Markdown and charts, from nothing but the results.

pub mod chart;
mod figures;
mod latency;
mod markdown;
pub mod profile;
#[cfg(test)]
mod tests;
mod throughput;
mod varied;
mod watched;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::page::chart::Chart;
use crate::results::Results;

const INTRODUCTION: &str = "\
# Performance

Written by `./scripts/bench` from what it measured, which lies in `performance/results.json`. Every section says from
which run it comes; what was not measured is not here. What made it faster, and what did not, stands in
[steps](performance/steps.md).
";

const METHOD: &str = "\
## What is measured, and how

RabbitMQ and PostgreSQL are started for the run, on the same machine as everything else, with durable queues,
persistent messages, publisher confirms and `fsync`. Before each section, and each round of latency, PostgreSQL's log
has been through its segments once: a new server fills each with zeros first, 50 to 90 ms in which nobody commits, and
one that has run for a while uses old ones again. The workers are the programs that ship, one of each service unless a
section says otherwise.

- **The saga.** A shop publishes orders and hears how they end, over connections of its own. An order counts when its
  final event has arrived. 3,000 are under way at a time, and the rate is that of the ends between the first tenth
  and the last twentieth of a run.
- **The ceiling.** A bare relay passes the same six messages, byte for byte, through the same queues with confirms and
  multiple acks, and does nothing else: no database, no decisions, no parsing. No system with these queues is faster.
- **The ratio.** Both take turns in one run, so that whatever else happens on the machine strikes both.
- **Latency** is measured in an open loop. Orders come when they are due, nothing waits for an answer, and the clock
  of an order starts when it was due and not when it could be sent: an order that stands in a queue because the
  system was busy is as late as its customer sees it (no coordinated omission).
- **Processor time** is what Linux counts for every process of RabbitMQ, PostgreSQL and the workers, and for the
  benchmark itself, which shares the processors and is given apart.
- **The audit.** `orderly audit` ends every section. If a single order is not paid for once and its goods not gone
  once, the section fails and leaves no figure.

## Run it again

```sh
./scripts/bench                    # throughput, real orders, latency: some minutes
./scripts/bench --full             # every section below; goes on where it was interrupted
./scripts/bench latency --seconds 60
./scripts/bench --out target/bench # leaves this page as it is
```

The machine should have nothing else to do.

## Others

Other systems were measured on the same kind of machine with a saga of five messages: Celery at 190 orders/s,
FastStream at 240, NestJS with @golevelup/nestjs-rabbitmq at 660, and apalis with a confirm channel made by hand at
810, at 2.3 to 9.8 milliseconds of processor time an order, all of them publishing after the commit without an outbox.
The relay of five messages made 6,700 orders/s there, which tells how fast that machine was; the absolute figures were
asked for it.
";

/// The page and its charts.
#[derive(Debug)]
pub struct Page {
    /// The Markdown.
    pub text: String,
    /// What the Markdown links to.
    pub charts: Vec<Chart>,
}

impl Page {
    /// The page about `results`.
    pub fn of(results: &Results) -> Self {
        let figures = figures::figures(results);
        let mut page = Self { text: [INTRODUCTION, &figures, METHOD].join("\n"), charts: vec![] };
        if let Some(section) = &results.throughput {
            page.add(&throughput::throughput(section));
        }
        if let Some(section) = &results.real {
            page.add(&throughput::real(section));
        }
        if let Some(section) = &results.latency {
            let chart = latency::latency_chart(&section.found);
            page.add(&latency::latency(section, &chart));
            page.charts.push(chart);
        }
        for (varied, section) in &results.varied {
            let chart = varied::varied_chart(*varied, &section.found);
            page.add(&varied::varied(*varied, section, &chart));
            page.charts.push(chart);
        }
        if let Some(section) = &results.backlog {
            page.add(&varied::backlog(section));
        }
        if let Some(section) = &results.watched {
            page.add(&watched::watched(section));
        }
        page
    }

    fn add(&mut self, section: &str) {
        self.text.push('\n');
        self.text.push_str(section);
    }

    /// Writes `performance.md` and its charts into `folder`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let charts = folder.join("performance");
        fs::create_dir_all(&charts)?;
        for chart in &self.charts {
            let path = charts.join(chart.name).with_extension("svg");
            fs::write(&path, chart.draw()?)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        let path = folder.join("performance.md");
        fs::write(&path, &self.text).with_context(|| format!("cannot write {}", path.display()))
    }
}
