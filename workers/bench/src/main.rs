//! The command `bench`: measures, section by section, and keeps what it found.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Parser, ValueEnum};
use orderly_bench::latency::{Load, latency};
use orderly_bench::orders::{RealOrders, Shape};
use orderly_bench::results::{About, Results, Section, Spread};
use orderly_bench::stage::Saga;
use orderly_bench::throughput::{Extent, real, throughput};
use orderly_devstack::{Endpoints, Nodes};

/// Measures the whole system on servers of its own, against the ceiling of the broker.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these sections
    #[arg(value_enum)]
    sections: Vec<What>,
    /// How many rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many single-line orders in a round
    #[arg(long, default_value_t = 20_000)]
    orders: usize,
    /// How many seconds a rate of the latency is held
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Where real orders lie
    #[arg(long, default_value = "scripts/data/online-retail")]
    data: PathBuf,
    /// Where results are kept
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Saga against ceiling, single-line orders
    Throughput,
    /// Real orders with many lines
    Real,
    /// From order to final event, at several rates
    Latency,
}

const USUAL: [What; 3] = [What::Throughput, What::Real, What::Latency];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.out)?;
    let kept = arguments.out.join("results.json");
    let mut results = Results::read(&kept)?;
    let nodes = Nodes::start()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let sections = match arguments.sections.as_slice() {
        [] => &USUAL,
        some => some,
    };
    let begun = Instant::now();
    for section in sections {
        runtime.block_on(measure(*section, &arguments, nodes.endpoints(), &mut results))?;
        results.write(&kept)?;
    }
    eprintln!("all done in {:.0} s", begun.elapsed().as_secs_f64());
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&results)?);
    }
    Ok(())
}

async fn measure(
    section: What,
    arguments: &Arguments,
    endpoints: &Endpoints,
    results: &mut Results,
) -> Result<()> {
    let mut say = |text: String| eprintln!("{text}");
    let run = About::this_run(command(), vec![]);
    let &Arguments { rounds, orders, .. } = arguments;
    match section {
        What::Throughput => {
            let found = throughput(endpoints, Extent { rounds, orders }, &mut say).await?;
            results.throughput = Some(Section { run, found });
        }
        What::Real => {
            let real_orders = RealOrders::read(&arguments.data)?;
            let extent = Extent { rounds, orders: orders / 8 };
            let found = real(endpoints, &real_orders, extent, &mut say).await?;
            results.real = Some(Section { run, found });
        }
        What::Latency => {
            let mut rates = vec![50.0];
            if let Some(measured) = &results.throughput {
                let saturation = Spread::of(measured.found.rounds.iter().map(|it| it.saga.rate));
                rates.extend([0.1, 0.5, 0.8].map(|part| part * saturation.median));
            }
            let span = Duration::from_secs(arguments.seconds);
            let mut saga = Saga::start(endpoints, &[], 1).await?;
            saga.stock_up(&Shape::SINGLE.skus()).await?;
            latency(&mut saga, "warm", Load { rate: 200.0, span: Duration::from_secs(5) }).await?;
            let mut found = Vec::new();
            for (n, rate) in rates.into_iter().enumerate() {
                let one = latency(&mut saga, &format!("l{n}"), Load { rate, span }).await?;
                say(format!(
                    "{rate:.0} orders/s: p50 {:.1}, p95 {:.1}, p99 {:.1}, p99.9 {:.1} ms",
                    one.p50, one.p95, one.p99, one.p999
                ));
                found.push(one);
            }
            saga.expect_clean_audit().await?;
            results.latency = Some(Section { run, found });
        }
    }
    Ok(())
}

/// How this run was asked for.
fn command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let script = Path::new("./scripts/bench").display().to_string();
    [vec![script], arguments].concat().join(" ")
}
