//! What people have to decide, and what should have moved by now.

use orderly_contracts::routes::Party;

use super::finding::Finding;
use super::reading::{Backlog, Database, Group, Reading};
use crate::dead::plain::brief;
use crate::look::Look;
use crate::output;

/// A worker looks for due deadlines twice a second; longer than this, it does not look.
const OVERDUE_SECONDS: u64 = 30;
/// Outputs are swept after 30 s, by a sweep that may be as late as that again.
const STUCK_SECONDS: u64 = 60;
/// How many groups of letters are named.
const NAMED: usize = 3;

/// Everything about work that stands still.
pub(super) fn check(reading: &Reading) -> Vec<Finding> {
    let known =
        reading.databases.iter().filter_map(|(party, it)| Some((*party, it.as_ref().ok()?)));
    known.flat_map(|(party, database)| of(reading, party, database)).collect()
}

fn of(reading: &Reading, party: Party, database: &Database) -> Vec<Finding> {
    let is_paused = reading.is_paused(party);
    vec![
        pause(party, &database.pause),
        letters(party, &database.letters),
        deadlines(party, &database.deadlines, is_paused),
        outputs(party, &database.outputs),
    ]
}

fn unreadable(check: &str, party: Party, error: &str) -> Finding {
    Finding::unknown(check, error, format!("see {party}.migrations"))
}

fn pause(party: Party, pause: &Look<Option<String>>) -> Finding {
    let check = format!("{party}.pause");
    match pause {
        Err(error) => unreadable(&check, party, error),
        Ok(None) => Finding::ok(&check, "not paused"),
        Ok(Some(pause)) => {
            let text = format!("paused {}", brief(pause, 200));
            Finding::warning(&check, text, format!("orderly resume {party}"))
        }
    }
}

fn letters(party: Party, groups: &Look<Vec<Group>>) -> Finding {
    let check = format!("{party}.letters");
    let groups = match groups {
        Ok(groups) => groups,
        Err(error) => return unreadable(&check, party, error),
    };
    if groups.is_empty() {
        return Finding::ok(&check, "no dead letter is open");
    }
    let letters: u64 = groups.iter().map(|group| group.letters).sum();
    let named = groups.iter().take(NAMED).map(|it| {
        let kind = brief(&it.kind, 40);
        format!("{} of {} ({} {kind})", it.letters, it.group, it.reason)
    });
    let in_groups = output::count(groups.len() as u64, "group");
    let mut text = format!("{} open in {in_groups}: ", output::count(letters, "dead letter"));
    text += &named.collect::<Vec<_>>().join(", ");
    if groups.len() > NAMED {
        text += ", ...";
    }
    let mend = format!("orderly dead groups --service {party}; docs/dead-letters.md");
    Finding::warning(&check, text, mend)
}

fn deadlines(party: Party, backlog: &Look<Backlog>, is_paused: bool) -> Finding {
    let check = format!("{party}.deadlines");
    let mend = match is_paused {
        true => format!("orderly resume {party}"),
        false => format!(
            "orderly deadlines list --service {party} --due; is the {party} worker running? see its log"
        ),
    };
    let late = |it: &Backlog| {
        format!("{} deadlines are due, the oldest for {} s", it.count, it.oldest_seconds)
    };
    stands_still(&check, party, backlog, OVERDUE_SECONDS, "none is overdue", late, mend)
}

/// A paused worker publishes what it decided before.
fn outputs(party: Party, backlog: &Look<Backlog>) -> Finding {
    let check = format!("{party}.outputs");
    let mend = format!(
        "is the {party} worker running, and does the broker take its publishes? see its log, and \
         broker.alarms"
    );
    let late = |it: &Backlog| {
        let (count, seconds) = (it.count, it.oldest_seconds);
        format!(
            "outputs of {count} batches are not known to be published, the oldest for {seconds} s"
        )
    };
    stands_still(&check, party, backlog, STUCK_SECONDS, "none is stuck", late, mend)
}

fn stands_still(
    check: &str,
    party: Party,
    backlog: &Look<Backlog>,
    limit_seconds: u64,
    well: &str,
    late: impl Fn(&Backlog) -> String,
    mend: String,
) -> Finding {
    match backlog {
        Err(error) => unreadable(check, party, error),
        Ok(it) if it.count > 0 && it.oldest_seconds > limit_seconds => {
            Finding::failure(check, late(it), mend)
        }
        Ok(_) => Finding::ok(check, well),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::super::sample;
    use super::*;

    fn wrong(change: impl FnOnce(&mut Database)) -> Vec<(String, State, String)> {
        let mut reading = sample::healthy();
        change(reading.databases.get_mut(&Party::Payment).unwrap().as_mut().unwrap());
        let wrong = check(&reading).into_iter().filter(|it| it.state != State::Ok);
        wrong
            .map(|it| (it.check, it.state, format!("{} | {}", it.text, it.mend.unwrap())))
            .collect()
    }

    #[test]
    fn what_stands_still_is_named_and_what_moves_is_not() {
        assert_eq!(wrong(|_| {}), []);
        let backlog = |oldest_seconds| Ok(Backlog { count: 7, oldest_seconds });
        assert_eq!(wrong(|it| it.deadlines = backlog(30)), []);
        assert_eq!(wrong(|it| it.outputs = backlog(60)), []);
        let late = wrong(|it| it.deadlines = backlog(31));
        assert_eq!((late[0].0.as_str(), late[0].1), ("payment.deadlines", State::Failure));
        assert!(late[0].2.contains("7 deadlines are due, the oldest for 31 s"), "{late:?}");
        let stuck = wrong(|it| it.outputs = backlog(61));
        assert_eq!((stuck[0].0.as_str(), stuck[0].1), ("payment.outputs", State::Failure));
    }

    #[test]
    fn a_pause_is_named_with_its_end_and_ends_what_it_holds_up() {
        let said = wrong(|it| {
            it.pause = Ok(Some("since noon by ada: stocktaking".to_owned()));
            it.deadlines = Ok(Backlog { count: 1, oldest_seconds: 100 });
            it.outputs = Ok(Backlog { count: 1, oldest_seconds: 100 });
        });
        assert_eq!(said[0].1, State::Warning);
        assert!(said[0].2.contains("ada: stocktaking | orderly resume payment"), "{said:?}");
        assert!(said[1].2.ends_with("orderly resume payment"), "{said:?}");
        // What was decided before is published all the same.
        assert!(said[2].0 == "payment.outputs" && !said[2].2.contains("resume"), "{said:?}");
    }

    #[test]
    fn letters_are_counted_by_group() {
        let group = |group: &str, letters| Group {
            group: group.to_owned(),
            reason: "poison".to_owned(),
            kind: "a\u{1b}[31m".to_owned(),
            letters,
        };
        let said = wrong(|it| it.letters = Ok(vec![group("aa", 5), group("bb", 2)]));
        assert_eq!((said[0].0.as_str(), said[0].1), ("payment.letters", State::Warning));
        assert!(
            said[0].2.contains("7 dead letters open in 2 groups: 5 of aa (poison a"),
            "{said:?}"
        );
        assert!(!said[0].2.contains('\u{1b}'), "a sender's text does nothing to a terminal");
    }

    #[test]
    fn tables_that_are_not_there_leave_it_unknown() {
        let said = wrong(|it| it.outputs = Err("relation \"batches\" does not exist".to_owned()));
        assert_eq!((said[0].0.as_str(), said[0].1), ("payment.outputs", State::Unknown));
        assert!(said[0].2.ends_with("see payment.migrations"), "{said:?}");
    }
}
