//! A worker that fails where its environment says: the shipped worker with a failpoint in between.

use std::process::ExitCode;
use std::sync::Arc;

use orderly_runtime::clock::{Entropy, SystemEntropy};
use orderly_runtime::domain::Domain;
use orderly_runtime::effect::Effect;
use orderly_runtime::postgres::tables::Tables;
use orderly_runtime::worker::Worker;
use rustix::process::{Signal, getpid, kill_process};

use crate::failpoint::{Failpoint, Point};
use crate::interposed::Interposed;
use crate::trace::file::TraceFile;
use crate::trace::recorder::Recorder;

/// The variable that says where to fail, such as `after-commit:3`.
pub const FAIL_AT: &str = "FAIL_AT";
/// The variable that says how: `kill` (the default), `panic`, `stop` or `freeze`.
pub const FAIL_HOW: &str = "FAIL_HOW";
/// The variable that names the file a trace is appended to.
pub const TRACE: &str = "TRACE";

/// Runs `worker`, to fail where and how the environment says.
pub fn run<D: Domain, T: Tables<D>, E: Effect>(worker: Worker<D, T, E>) -> ExitCode {
    let point = match std::env::var(FAIL_AT).ok().map(|text| text.parse::<Point>()).transpose() {
        Ok(point) => point,
        Err(problem) => {
            eprintln!("{FAIL_AT}: {problem}");
            return ExitCode::from(2);
        }
    };
    let failure = match std::env::var(FAIL_HOW).as_deref() {
        Ok("panic") => fail_by_panic,
        Ok("stop") => stop,
        Ok("freeze") => freeze,
        _ => kill,
    };
    worker.run_on(|servers| {
        let recorder = Recorder::new(TraceFile::from_environment(TRACE), SystemEntropy.next());
        let recorded = Interposed::new(servers, Arc::new(recorder));
        Interposed::new(recorded, Arc::new(Failpoint::new(point, failure)))
    })
}

/// Ends this process as a crash of the machine would: nothing is flushed, nobody is told.
fn kill() {
    let _ = kill_process(getpid(), Signal::KILL);
    // The signal may take a moment to arrive, and nothing may happen in it.
    freeze();
}

/// Stops this process as a whole; it goes on here once it gets SIGCONT, and knows nothing of it.
fn stop() {
    let _ = kill_process(getpid(), Signal::STOP);
}

fn fail_by_panic() {
    panic!("a failpoint was reached");
}

fn freeze() {
    loop {
        std::thread::park();
    }
}
