//! Random schedules of faults on the whole system under load, each with its verdict.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use orderly_contracts::routes::Party;
use orderly_devstack::Worker;
use orderly_faults::kill::FAIL_AT;
use orderly_runtime::config::Config;
use orderly_runtime::postgres::connect;
use orderly_runtime::topology::WORKERS;
use tokio::task::block_in_place;
use tokio_postgres::Client as Sql;

use crate::drills::rig::Rig;
use crate::load::{Load, Measure};
use crate::proxy::{Ending, Toxics};
use crate::schedule::{Event, Fault, Schedule};
use crate::target::{Target, alive, ended};
use crate::verdict::{Verdict, judge};

/// How long the system may take to come to rest afterwards.
const RESTS: Duration = Duration::from_secs(90);
/// How long a worker may take to stop in good order, whatever its servers do.
const STOPS: Duration = Duration::from_secs(20);

/// How much, how long.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// How many orders.
    pub orders: usize,
    /// Over how long, faults included.
    pub span: Duration,
}

/// What was done and found.
#[derive(Debug)]
pub struct Ran {
    /// The schedule.
    pub schedule: Schedule,
    /// How long all of it took.
    pub took: Duration,
    /// What the system was like afterwards.
    pub verdict: Verdict,
}

/// Runs the schedule of `seed` on a fresh system, and judges.
pub async fn run(rig: &mut Rig, seed: u64, extent: Extent) -> Result<Ran> {
    let schedule = Schedule::derive(seed, extent.span);
    let outcome = perform(rig, &schedule, extent).await;
    let (took, verdict) = outcome.with_context(|| format!("the schedule was {schedule}"))?;
    Ok(Ran { schedule, took, verdict })
}

async fn perform(
    rig: &mut Rig,
    schedule: &Schedule,
    extent: Extent,
) -> Result<(Duration, Verdict)> {
    let begun = Instant::now();
    let mut target = rig.target().await?;
    for _ in 0..schedule.replicas {
        for party in WORKERS {
            target.enlist(party)?;
        }
    }
    target.stock_up().await?;
    let rate = extent.orders as f64 / extent.span.as_secs_f64();
    let measure =
        Measure { seed: schedule.seed, rate: rate as u32, most: extent.orders, unpaid: 10 };
    let load = Load::begin(target.system().environment(), measure).await?;
    let mut run = Run { rig, target, pending: vec![], failing: vec![] };
    run.go_through(&schedule.events).await?;
    let book = load.complete().await?;
    let Run { rig, mut target, failing, .. } = run;
    for mut worker in failing {
        // Some never came to their step.
        worker.process.kill()?;
    }
    rig.heal()?;
    let verdict = judge(&mut target, &book, RESTS).await?;
    Ok((begun.elapsed(), verdict))
}

/// How a fault ends that lasts.
enum End {
    /// The worker with this pid goes on.
    Continue(u32),
    /// The broker has its memory back.
    Relieve,
    /// The locks are let go, with the connection that holds them.
    Unlock(Sql),
    /// The lines are as they were.
    Heal,
}

struct Run<'a> {
    rig: &'a mut Rig,
    target: Target,
    /// What has to be ended, and when.
    pending: Vec<(Duration, End)>,
    /// Workers that wait for a step of theirs.
    failing: Vec<Worker>,
}

impl Run<'_> {
    /// Begins and ends all faults in their time; one that takes long delays those behind it.
    async fn go_through(&mut self, events: &[Event]) -> Result<()> {
        let start = Instant::now();
        for event in events {
            self.end_until(start, event.at).await?;
            until(start, event.at).await;
            let begun = self.begin(event.fault).await;
            let end = begun.with_context(|| format!("{} failed to begin", event.fault))?;
            self.pending.extend(end.map(|end| (start.elapsed() + event.lasts, end)));
        }
        self.end_until(start, Duration::MAX).await
    }

    /// Ends what is to be ended up to this moment.
    async fn end_until(&mut self, start: Instant, limit: Duration) -> Result<()> {
        self.pending.sort_by_key(|(at, _)| *at);
        let later = self.pending.partition_point(|(at, _)| *at <= limit);
        let later = self.pending.split_off(later);
        for (at, end) in std::mem::replace(&mut self.pending, later) {
            until(start, at).await;
            self.end(end).await?;
        }
        Ok(())
    }

    async fn begin(&mut self, fault: Fault) -> Result<Option<End>> {
        match fault {
            Fault::Kill(party) => {
                if let Some(place) = self.running(party) {
                    let (_, mut worker) = self.target.crew().remove(place);
                    worker.process.expect_running()?;
                    worker.process.kill()?;
                    self.target.enlist(party)?;
                }
            }
            Fault::Terminate(party) => {
                if let Some(place) = self.running(party) {
                    let (_, mut worker) = self.target.crew().remove(place);
                    alive(&mut worker).await?;
                    worker.process.signal("TERM")?;
                    let status = ended(&mut worker, "stop", STOPS).await?;
                    ensure!(status.success(), "{party}: {status}\n{}", worker.process.tail(20));
                    self.target.enlist(party)?;
                }
            }
            Fault::Stop(party) => {
                let Some(place) = self.running(party) else { return Ok(None) };
                let worker = &mut self.target.crew()[place].1;
                worker.process.signal("STOP")?;
                return Ok(Some(End::Continue(worker.process.pid())));
            }
            Fault::Fail(party, step, time) => {
                let at = format!("{step}:{time}");
                self.failing.push(self.target.recruit(party, &[(FAIL_AT, &at)])?);
            }
            Fault::CloseConnections => self.rig.close_connections(&self.target)?,
            Fault::RestartBroker => block_in_place(|| self.rig.nodes.restart_broker())?,
            Fault::KillBroker => {
                block_in_place(|| self.rig.nodes.kill_broker())?;
                block_in_place(|| self.rig.nodes.start_broker())?;
            }
            Fault::Alarm => {
                self.rig.starve(true)?;
                return Ok(Some(End::Relieve));
            }
            Fault::RestartDatabase => block_in_place(|| self.rig.nodes.restart_database())?,
            Fault::CrashDatabase => {
                block_in_place(|| self.rig.nodes.kill_database())?;
                block_in_place(|| self.rig.nodes.start_database())?;
            }
            Fault::EndSessions(party) => {
                let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                           WHERE datname = current_database() AND pid <> pg_backend_pid()";
                self.database(party).await?.batch_execute(sql).await?;
            }
            Fault::Lock(party) => {
                let holder = self.database(party).await?;
                holder.batch_execute(locks(party)).await?;
                return Ok(Some(End::Unlock(holder)));
            }
            Fault::CutBroker => self.rig.broker.cut(Ending::Reset),
            Fault::CutDatabase => self.rig.database.cut(Ending::Reset),
            Fault::HoldBroker => {
                self.rig.broker.set_both(&Toxics::hold());
                return Ok(Some(End::Heal));
            }
            Fault::HoldDatabase => {
                self.rig.database.set_both(&Toxics::hold());
                return Ok(Some(End::Heal));
            }
        }
        Ok(None)
    }

    async fn end(&mut self, end: End) -> Result<()> {
        match end {
            End::Continue(pid) => {
                let crew = self.target.crew().iter_mut();
                for (_, worker) in crew.filter(|(_, worker)| worker.process.pid() == pid) {
                    worker.process.signal("CONT")?;
                }
            }
            End::Relieve => self.rig.starve(false)?,
            End::Unlock(holder) => {
                // If the database went meanwhile, so did the locks.
                let _ = holder.batch_execute("ROLLBACK").await;
            }
            End::Heal => self.rig.heal()?,
        }
        Ok(())
    }

    /// A worker of `party` that is not stopped.
    fn running(&self, party: Party) -> Option<usize> {
        let stopped: Vec<u32> = self
            .pending
            .iter()
            .filter_map(|(_, end)| if let End::Continue(pid) = end { Some(*pid) } else { None })
            .collect();
        let mut crew = self.target.crew_ref().iter();
        crew.position(|(service, worker)| {
            *service == party && !stopped.contains(&worker.process.pid())
        })
    }

    /// A connection to the database of `party`, past the proxy.
    async fn database(&self, party: Party) -> Result<Sql> {
        let environment = self.target.system().environment().iter();
        let variables = environment.map(|(name, value)| (name.clone(), value.clone()));
        Ok(connect::client(&Config::read(party, variables)?.database, "fault").await?)
    }
}

async fn until(start: Instant, at: Duration) {
    tokio::time::sleep(at.saturating_sub(start.elapsed())).await;
}

/// Takes locks on rows that a worker is about to need.
const fn locks(party: Party) -> &'static str {
    match party {
        Party::Client | Party::Order => {
            "BEGIN; SELECT 1 FROM orders WHERE ended_at IS NULL
             ORDER BY order_id LIMIT 50 FOR UPDATE SKIP LOCKED"
        }
        Party::Stock => {
            "BEGIN; SELECT 1 FROM items WHERE sku IN ('anvil', 'held') ORDER BY sku
             FOR UPDATE SKIP LOCKED"
        }
        Party::Payment => "BEGIN; SELECT 1 FROM payments LIMIT 50 FOR UPDATE SKIP LOCKED",
    }
}
