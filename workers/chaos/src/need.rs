//! What a worker needs to come to a step, as a table; and the steps that it can't come to.

use orderly_contracts::routes::Party;
use orderly_faults::step::Step;
use orderly_runtime::topology::WORKERS;

/// What has to be there for a worker to come to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Messages, of any kind.
    Load,
    /// Something that fails now and succeeds later.
    Setback,
    /// Messages that can't be read.
    Poison,
    /// Deadlines that are over.
    Due,
    /// Outputs of which nobody knows whether they are out.
    LeftOver,
    /// Messages that came back three times.
    Returned,
}

/// Steps that a worker can't come to, and why.
pub const UNREACHABLE: &[(Party, Step, &str)] =
    &[(Party::Payment, Step::AfterDue, "payment sets no timers: whoever waits asks again")];

/// What the worker of `party` needs for `step`, or why nothing helps.
pub fn need(party: Party, step: Step) -> Result<Need, &'static str> {
    let unreachable = UNREACHABLE.iter().find(|(p, s, _)| (*p, *s) == (party, step));
    if let Some((_, _, why)) = unreachable {
        return Err(why);
    }
    Ok(match step {
        Step::Delivered
        | Step::BeforeBegin
        | Step::AfterBegin
        | Step::AfterClaim
        | Step::AfterLoad
        | Step::AfterSave
        | Step::InCommit
        | Step::AfterCommit
        | Step::InPublish
        | Step::AfterPublish
        | Step::BeforeAck
        | Step::AfterAck => Need::Load,
        Step::BeforeRetry | Step::InRetry | Step::AfterRetry => Need::Setback,
        Step::BeforeLetter
        | Step::InLetter
        | Step::AfterLetter
        | Step::BeforeFile
        | Step::AfterFile => Need::Poison,
        // What is noted while there is work is noted with it, so these two need a lack of it, or a
        // sweep.
        Step::BeforeMark | Step::AfterMark | Step::AfterLease => Need::LeftOver,
        Step::AfterDue => Need::Due,
        Step::AfterNote => Need::Returned,
    })
}

/// Every worker with every step that it can come to.
pub fn reachable() -> Vec<(Party, Step)> {
    let all =
        WORKERS.into_iter().flat_map(|party| Step::ALL.iter().map(move |step| (party, *step)));
    all.filter(|(party, step)| need(*party, *step).is_ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_every_worker_is_reachable_or_named_with_a_reason() {
        let all = WORKERS.len() * Step::ALL.len();
        assert_eq!(reachable().len() + UNREACHABLE.len(), all);
        for (party, step, why) in UNREACHABLE {
            assert_eq!(need(*party, *step), Err(*why));
            assert!(why.len() > 20, "{party} {step}: {why}");
        }
    }
}
