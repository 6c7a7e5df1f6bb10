//! SIGTERM while a server is away, silent or full: the worker ends by its deadline all the same.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use orderly_contracts::routes::Party;
use tokio::task::block_in_place;

use crate::drills::rig::Rig;
use crate::load::{Book, Load, Measure};
use crate::target::ended;
use crate::verdict::{Verdict, judge};

/// How long a worker may take: the deadline for what it has in hand, and what closing may take.
pub const ENDS: Duration = Duration::from_secs(15);
/// How long the system may take to come to rest.
const RESTS: Duration = Duration::from_secs(90);
/// Orders in hand when it begins.
const BURST: usize = 300;

/// What is wrong with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The broker is gone.
    BrokerDown,
    /// The broker says nothing.
    BrokerFrozen,
    /// The broker takes no messages.
    BrokerFull,
    /// The database is gone.
    DatabaseDown,
    /// The database says nothing.
    DatabaseFrozen,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::BrokerDown,
        Self::BrokerFrozen,
        Self::BrokerFull,
        Self::DatabaseDown,
        Self::DatabaseFrozen,
    ];

    fn begin(self, rig: &mut Rig) -> Result<()> {
        match self {
            Self::BrokerDown => block_in_place(|| rig.nodes.kill_broker()),
            Self::BrokerFrozen => rig.nodes.freeze_broker(),
            Self::BrokerFull => rig.starve(true),
            Self::DatabaseDown => block_in_place(|| rig.nodes.kill_database()),
            Self::DatabaseFrozen => rig.nodes.freeze_database(),
        }
    }

    fn end(self, rig: &mut Rig) -> Result<()> {
        match self {
            Self::BrokerDown => block_in_place(|| rig.nodes.start_broker()),
            Self::BrokerFrozen => rig.nodes.thaw_broker(),
            Self::BrokerFull => rig.starve(false),
            Self::DatabaseDown => block_in_place(|| rig.nodes.start_database()),
            Self::DatabaseFrozen => rig.nodes.thaw_database(),
        }
    }
}

/// What was done and found.
#[derive(Debug)]
pub struct Troubled {
    /// How long each worker took to end, in which trouble.
    pub ends: Vec<(Trouble, Party, Duration)>,
    /// What the system was like afterwards.
    pub verdict: Verdict,
}

/// Asks all workers to stop in each of the troubles, with orders in hand, and judges.
pub async fn run(rig: &mut Rig, seed: u64) -> Result<Troubled> {
    let mut target = rig.target().await?;
    target.employ_all().await?;
    target.stock_up().await?;
    let mut book = Book::default();
    let mut ends = Vec::new();
    for (number, trouble) in Trouble::ALL.into_iter().enumerate() {
        let seed = seed * 10 + number as u64;
        let measure = Measure { seed, rate: u32::MAX, most: BURST, unpaid: 10 };
        book.add(Load::begin(target.system().environment(), measure).await?.complete().await?);
        trouble.begin(rig)?;
        let begun = Instant::now();
        for (_, worker) in target.crew() {
            worker.process.signal("TERM")?;
        }
        for (party, mut worker) in std::mem::take(target.crew()) {
            let status = ended(&mut worker, "stop", ENDS).await?;
            let log = || worker.process.tail(20);
            ensure!(status.success(), "{trouble:?}: {party}: {status}\n{}", log());
            ends.push((trouble, party, begun.elapsed()));
        }
        trouble.end(rig)?;
        target.employ_all().await?;
    }
    let verdict = judge(&mut target, &book, RESTS).await?;
    Ok(Troubled { ends, verdict })
}
