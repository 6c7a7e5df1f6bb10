//! What a worker says to RabbitMQ, counted method by method.

use std::collections::{BTreeMap, BTreeSet};

use orderly_chaos::proxy::amqp::{BASIC_ACK, BASIC_DELIVER, BASIC_PUBLISH, Frame};
use orderly_chaos::proxy::{Label, Passed, Way};

const BASIC_CANCEL: (u16, u16) = (60, 30);
const CHANNEL_CLOSE: (u16, u16) = (20, 40);

/// What came of the messages of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// How many deliveries each ack was for.
    pub(crate) acked: Vec<usize>,
    /// Messages published.
    pub(crate) published: usize,
    /// How often the worker waited for confirms before it published more.
    pub(crate) waits: usize,
    /// At each ack: how many of them were confirmed.
    pub(crate) confirmed: Vec<usize>,
}

/// All that was said on the channels that carry messages.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// By the kind of message.
    steps: BTreeMap<String, Step>,
    /// Methods of the worker that neither publish nor acknowledge, once messages flow.
    pub(crate) others: BTreeSet<(u16, u16)>,
}

/// A channel, as far as it has come.
#[derive(Default)]
struct Channel {
    /// Deliveries that are not acknowledged, with their kinds.
    unsettled: BTreeMap<u64, String>,
    /// Publishes that are not confirmed, with the kind of what they follow from.
    unconfirmed: BTreeMap<u64, String>,
    published: u64,
    carries_messages: bool,
}

impl Traffic {
    /// What `passed` comes to. A worker must have published everything that follows from one kind
    /// of message before the next kind comes.
    pub(crate) fn of(passed: &[Passed]) -> Self {
        let mut traffic = Self::default();
        let mut channels: BTreeMap<(u64, u16), Channel> = BTreeMap::new();
        let mut confirmed: BTreeMap<String, usize> = BTreeMap::new();
        let mut kind = String::new();
        for Passed { connection, way, unit } in passed {
            let Label::Amqp(Frame::Method(class, method)) = unit.label else { continue };
            let arguments = Arguments(&unit.bytes[METHOD..]);
            let channel = channels.entry((*connection, channel_of(&unit.bytes))).or_default();
            match (way, (class, method)) {
                (Way::ToClient, BASIC_DELIVER) => {
                    let (tag, routing_key) = arguments.delivered();
                    channel.unsettled.insert(tag, routing_key.clone());
                    channel.carries_messages = true;
                    kind = routing_key;
                }
                (Way::ToServer, BASIC_PUBLISH) => {
                    traffic.step_mut(&kind).publish(channel.unconfirmed.is_empty());
                    channel.publish(&kind);
                }
                (Way::ToClient, BASIC_ACK) => {
                    for kind in take(&mut channel.unconfirmed, arguments.acked()) {
                        *confirmed.entry(kind).or_default() += 1;
                    }
                }
                (Way::ToServer, BASIC_ACK) => {
                    // What is settled by one ack may be of several batches, and of several kinds.
                    let mut settled: BTreeMap<String, usize> = BTreeMap::new();
                    for kind in take(&mut channel.unsettled, arguments.acked()) {
                        *settled.entry(kind).or_default() += 1;
                    }
                    for (kind, deliveries) in settled {
                        let confirmed = confirmed.get(&kind).copied().unwrap_or_default();
                        traffic.step_mut(&kind).acknowledge(deliveries, confirmed);
                    }
                }
                // So a lane ends.
                (Way::ToServer, BASIC_CANCEL | CHANNEL_CLOSE) => {}
                (Way::ToServer, other) if channel.carries_messages => {
                    traffic.others.insert(other);
                }
                _ => {}
            }
        }
        traffic
    }

    /// What came of the messages of a kind.
    pub(crate) fn step(&self, kind: &str) -> Step {
        self.steps.get(kind).cloned().unwrap_or_default()
    }

    /// How many messages of a kind are acknowledged.
    pub(crate) fn acked(&self, kind: &str) -> usize {
        self.step(kind).acked.iter().sum()
    }

    fn step_mut(&mut self, kind: &str) -> &mut Step {
        self.steps.entry(kind.to_owned()).or_default()
    }
}

impl Step {
    fn publish(&mut self, nothing_is_unconfirmed: bool) {
        self.published += 1;
        self.waits += usize::from(nothing_is_unconfirmed);
    }

    /// Whether at each ack everything was confirmed that follows from what was acknowledged.
    pub(crate) fn is_patient(&self) -> bool {
        let all: usize = self.acked.iter().sum();
        let mut acked = 0;
        self.acked.iter().zip(&self.confirmed).all(|(deliveries, confirmed)| {
            acked += deliveries;
            confirmed * all >= acked * self.published
        })
    }

    fn acknowledge(&mut self, deliveries: usize, confirmed: usize) {
        self.acked.push(deliveries);
        self.confirmed.push(confirmed);
    }
}

impl Channel {
    fn publish(&mut self, kind: &str) {
        self.published += 1;
        self.unconfirmed.insert(self.published, kind.to_owned());
        self.carries_messages = true;
    }
}

/// Takes out what an ack is about.
fn take(waiting: &mut BTreeMap<u64, String>, (tag, is_multiple): (u64, bool)) -> Vec<String> {
    let tags: Vec<u64> =
        if is_multiple { waiting.range(..=tag).map(|(tag, _)| *tag).collect() } else { vec![tag] };
    tags.iter().filter_map(|tag| waiting.remove(tag)).collect()
}

/// Where the arguments of a method begin: behind type, channel, size, class and number.
const METHOD: usize = 11;

fn channel_of(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[1], frame[2]])
}

/// The arguments of a method.
struct Arguments<'a>(&'a [u8]);

impl Arguments<'_> {
    /// Of `basic.ack`: the tag, and whether all before it are meant as well.
    fn acked(&self) -> (u64, bool) {
        (self.number(0), self.0[8] & 1 == 1)
    }

    /// Of `basic.deliver`: the tag and the routing key.
    fn delivered(&self) -> (u64, String) {
        let (_, tag) = self.text(0);
        let (_, routing_key) = self.text(tag + 9);
        (self.number(tag), self.text(routing_key).0)
    }

    fn number(&self, at: usize) -> u64 {
        self.0[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A short text, and where it ends.
    fn text(&self, at: usize) -> (String, usize) {
        let end = at + 1 + usize::from(self.0[at]);
        (String::from_utf8_lossy(&self.0[at + 1..end]).into_owned(), end)
    }
}

#[cfg(test)]
mod tests {
    use orderly_chaos::proxy::Unit;

    use super::*;

    fn method(way: Way, (class, method): (u16, u16), arguments: &[&[u8]]) -> Passed {
        let head = [&[1, 0, 1, 0, 0, 0, 0][..], &class.to_be_bytes(), &method.to_be_bytes()];
        let bytes = [head.concat(), arguments.concat()].concat();
        let label = Label::Amqp(Frame::Method(class, method));
        Passed { connection: 0, way, unit: Unit { bytes, label } }
    }

    fn deliver(tag: u64) -> Passed {
        let arguments: [&[u8]; 4] = [b"\x03tag", &tag.to_be_bytes(), b"\0\x01x", b"\x04kind"];
        method(Way::ToClient, BASIC_DELIVER, &arguments)
    }

    fn publish() -> Passed {
        method(Way::ToServer, BASIC_PUBLISH, &[])
    }

    fn ack(way: Way, tag: u64, is_multiple: bool) -> Passed {
        method(way, BASIC_ACK, &[&tag.to_be_bytes(), &[u8::from(is_multiple)]])
    }

    #[test]
    fn one_ack_after_one_wait_for_confirms_is_told_from_many() {
        let batch = [deliver(1), deliver(2), publish(), publish()];
        let at_once = [ack(Way::ToClient, 2, true), ack(Way::ToServer, 2, true)];
        let step = Traffic::of(&[&batch[..], &at_once].concat()).step("kind");
        assert_eq!((&*step.acked, step.published, step.waits), (&[2][..], 2, 1));
        assert!(step.is_patient());

        let one = |tag| [publish(), ack(Way::ToClient, tag, false), ack(Way::ToServer, tag, false)];
        let one_by_one = [&[deliver(1), deliver(2)][..], &one(1), &one(2)].concat();
        let step = Traffic::of(&one_by_one).step("kind");
        assert_eq!((&*step.acked, step.published, step.waits), (&[1, 1][..], 2, 2));
        assert!(step.is_patient());
    }

    #[test]
    fn an_ack_before_its_confirms_and_a_method_that_is_neither_are_seen() {
        let hasty = [ack(Way::ToClient, 1, false), ack(Way::ToServer, 2, true)];
        let batch = [deliver(1), deliver(2), publish(), publish()];
        let cancel = method(Way::ToServer, (60, 10), &[]);
        let traffic = Traffic::of(&[&batch[..], &hasty, &[cancel]].concat());
        assert!(!traffic.step("kind").is_patient());
        assert_eq!(traffic.others, BTreeSet::from([(60, 10)]));
    }
}
