//! What the checker makes of processes that die, stop and go on, and of what they leave in a file.

use std::collections::BTreeSet;
use std::io::Write;

use crate::trace::checker::{Certainty, Checker};
use crate::trace::event::{Published, Taken};
use crate::trace::file::TraceFile;
use crate::trace::recorder::Sink;
use crate::trace::{Effects, Event, Name, Sent};

fn name(id: &str) -> Name {
    Name { source: "client".into(), id: id.to_owned() }
}

/// What a transaction leaves behind that has one message and one public output.
fn effects(id: &str, whole: u64) -> Effects {
    let output = Name { source: "order".into(), id: format!("{id}-out") };
    let sent = Sent { name: output, kind: "order.unchanged.v1".to_owned(), whole };
    Effects { of: vec![(name(id), 7)], outputs: vec![(name(id), vec![sent])] }
}

fn codes(events: Vec<Event>) -> Vec<&'static str> {
    let mut checker = Checker::new(Certainty::Killed);
    events.into_iter().for_each(|event| checker.note(event));
    let sent = BTreeSet::from([name("a")]);
    checker.finish(&sent).into_iter().map(|violation| violation.code).collect()
}

#[test]
fn a_commit_that_another_has_seen_before_its_own_note_is_one_commit() {
    let once = effects("a", 1);
    let seen = vec![
        Event::Committing(once.clone()),
        Event::Known(vec![name("a")]),
        Event::Committed(once.clone()),
    ];
    // Its output never went out, and nothing else is wrong.
    assert_eq!(codes(seen.clone()), ["output_lost"]);
    let again = [seen, vec![Event::Committed(once)]].concat();
    assert_eq!(codes(again), ["effect_twice", "output_lost"]);
}

#[test]
fn another_transaction_over_the_same_message_is_a_second_effect() {
    let events = vec![
        Event::Committing(effects("a", 1)),
        Event::Known(vec![name("a")]),
        Event::Committed(effects("a", 2)),
    ];
    assert_eq!(codes(events), ["effect_twice", "output_changed", "output_lost"]);
}

/// A worker stops right behind its commit, and what it left is swept before anybody else meets the message.
#[test]
fn a_request_for_a_call_that_is_swept_before_its_commit_is_noted_is_its_output() {
    let charge = Name { source: "order".into(), id: "charge".to_owned() };
    let request = Name { source: "payment".into(), id: "request".to_owned() };
    let sent = Sent { name: request, kind: "payment.execute.v1".to_owned(), whole: 1 };
    let effects = Effects {
        of: vec![(charge.clone(), 7)],
        outputs: vec![(charge.clone(), vec![sent.clone()])],
    };
    let swept = Published::Output { sent, cause: charge.id.clone() };
    let events = [
        Event::Committing(effects.clone()),
        Event::Published(vec![(swept, Taken::Yes)]),
        Event::Known(vec![charge.clone()]),
        Event::Committed(effects),
    ];
    let mut checker = Checker::new(Certainty::Killed);
    events.into_iter().for_each(|event| checker.note(event));
    let violations = checker.finish(&BTreeSet::from([charge]));
    assert!(violations.is_empty(), "{violations:?}");
}

#[test]
fn half_a_line_of_a_killed_process_takes_no_other_with_it() -> std::io::Result<()> {
    let path = std::env::temp_dir().join(format!("trace-{}.jsonl", std::process::id()));
    let event = Event::Known(vec![name("a")]);
    TraceFile::append(&path)?.note(event.clone());
    let line = serde_json::to_string(&event)?;
    let mut killed = std::fs::OpenOptions::new().append(true).open(&path)?;
    write!(killed, "\n{}", &line[..line.len() / 2])?;
    TraceFile::append(&path)?.note(event.clone());
    let events = TraceFile::read(&path);
    std::fs::remove_file(&path)?;
    assert_eq!(events?, [event.clone(), event]);
    Ok(())
}
