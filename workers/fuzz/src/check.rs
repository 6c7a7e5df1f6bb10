//! What must hold of any delivery whatever: on its way in, in the retry ladder, and as a dead letter.

use std::collections::BTreeMap;
use std::fmt::Debug;

use fastrand::Rng;
use lapin::BasicProperties;
use lapin::types::AMQPValue;
use orderly_contracts::catalogue::entry_of;
use orderly_contracts::text::MessageId;
use orderly_contracts::{Reason, Refusal};
use orderly_runtime::amqp::convert;
use orderly_runtime::clock::Entropy;
use orderly_runtime::fingerprint::fingerprint;
use orderly_runtime::letter::Letter;
use orderly_runtime::message::{Delivery, HeaderValue, Outgoing, Properties};
use orderly_runtime::reception::{Content, Received, Reception};
use orderly_runtime::retry::{Ladder, Past, Setback};
use orderly_runtime::topology::{DEAD, RETURN};
use sha2::{Digest, Sha256};

use crate::body::damage;
use crate::input::{Input, NOW, SECRET, SECRET_NUMBER};
use crate::ways::by_queue;

/// What came of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was read, as a message of this kind.
    Accepted(&'static str),
    /// It was refused for this reason.
    Refused(Reason),
}

/// So many bytes of headers the ladder may add at most.
const LADDER_BYTES: usize = 2 * 1024;

/// Checks everything that must hold of `input`; an error says what does not.
pub fn examine(input: &Input) -> Result<Outcome, String> {
    converts(&input.properties)?;
    reads_as_letter(input)?;
    by_queue(input)
}

/// Checks what `reception` makes of the input; `then` goes on with what could be read.
pub(crate) fn check<I: Debug + PartialEq>(
    input: &Input,
    reception: &Reception<I>,
    then: impl FnOnce(&Content<I>) -> Result<(), String>,
) -> Result<Outcome, String> {
    let delivery = &input.delivery;
    let received = reception.receive(delivery.clone(), NOW);
    hold(received.delivery == *delivery, "the delivery was changed")?;
    let Received { content, .. } = received;
    let refusal = match &content {
        Ok(_) => Refusal::new(Reason::Poison, "why"),
        Err(refusal) => refusal.clone(),
    };
    explains(&refusal, delivery)?;
    becomes_a_letter(delivery, input.queue, &refusal)?;
    match content {
        Err(refusal) => Ok(Outcome::Refused(refusal.reason)),
        Ok(content) => {
            is_the_same_again(reception, delivery, &content)?;
            then(&content)?;
            Ok(Outcome::Accepted(content.arrival.kind))
        }
    }
}

fn hold(is_so: bool, otherwise: &str) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// What lapin hands over is ours without loss, and goes back as it came.
fn converts(properties: &BasicProperties) -> Result<(), String> {
    let ours = convert::properties(properties);
    let back = convert::basic_properties(&ours).map_err(|error| error.to_string())?;
    let again = convert::properties(&back);
    let mut expected = Properties { user_id: None, ..ours };
    expected.headers = expected.headers.map(without_short_texts);
    hold(again == expected, "the properties changed on the way through")
}

/// The one loss that is meant: RabbitMQ takes no short texts in tables.
fn without_short_texts(table: BTreeMap<String, HeaderValue>) -> BTreeMap<String, HeaderValue> {
    fn long(value: HeaderValue) -> HeaderValue {
        match value {
            HeaderValue::ShortText(text) => HeaderValue::Text(text),
            HeaderValue::List(values) => HeaderValue::List(values.into_iter().map(long).collect()),
            HeaderValue::Table(table) => HeaderValue::Table(without_short_texts(table)),
            other => other,
        }
    }
    table.into_iter().map(|(name, value)| (name, long(value))).collect()
}

/// A refusal has a text for people, which fits, groups with its like, and shows no secret.
fn explains(refusal: &Refusal, delivery: &Delivery) -> Result<(), String> {
    let text = &refusal.text;
    hold(!text.is_empty() && text.len() <= Refusal::TEXT_MAX, "the text is empty or too long")?;
    hold(Reason::from_code(refusal.reason.code()) == Some(refusal.reason), "no such reason code")?;
    let kind = delivery.properties.kind.as_deref();
    hold(fingerprint(refusal.reason.code(), kind, text).len() == 12, "no fingerprint")?;
    let shows = |secret: &str| text.contains(secret) && is_only_a_token(&delivery.body, secret);
    hold(!shows(SECRET) && !shows(SECRET_NUMBER), &format!("a secret is shown: {text}"))
}

/// Whether the secret stands in the body as a payment token alone: what was cut out of one field
/// and lies in another by chance is no payment token to anybody.
fn is_only_a_token(body: &[u8], secret: &str) -> bool {
    let text = String::from_utf8_lossy(body);
    text.match_indices(secret).all(|(at, _)| {
        let before: String = text[..at].chars().rev().take(4_000).collect();
        let before: String = before.chars().rev().collect();
        let field = before.rfind("payment_token");
        field.is_some_and(|field| before[field..].matches(':').count() <= 2)
    })
}

/// The same delivery is the same input however it is written, and back from the ladder.
fn is_the_same_again<I: Debug + PartialEq>(
    reception: &Reception<I>,
    delivery: &Delivery,
    content: &Content<I>,
) -> Result<(), String> {
    let arrival = &content.arrival;
    hold(MessageId::new(arrival.cause.id.as_str()).is_ok(), "the id is none")?;
    hold(arrival.context.placed_at.is_some_and(|at| at <= NOW), "placed in the future")?;
    hold(content.body_hash == <[u8; 32]>::from(Sha256::digest(&delivery.body)), "another hash")?;
    let entry = entry_of(arrival.kind).ok_or("a kind that no contract knows")?;
    let wire = entry.read(&delivery.body).map_err(|refusal| refusal.to_string())?.wire;
    let again = (reception.decode)(arrival.kind, &wire).map_err(|refusal| refusal.to_string())?;
    hold(again == arrival.input, "written again, it is another input")?;
    hold(entry.read(&wire).is_ok_and(|twice| twice.wire == wire), "written twice, it differs")?;
    let setbacks = [Setback::Conflict, Setback::Asked, Setback::Outside];
    back_from_the_ladder(reception, delivery, content, setbacks[(delivery.tag % 3) as usize])
}

fn back_from_the_ladder<I: Debug + PartialEq>(
    reception: &Reception<I>,
    delivery: &Delivery,
    content: &Content<I>,
    setback: Setback,
) -> Result<(), String> {
    let past = Past::of(delivery);
    let ladder = Ladder::default();
    let copy = ladder.next_attempt(delivery, reception.queue, setback, NOW, &Fixed);
    let Some(copy) = copy else {
        let is_exhausted = past.attempts as usize >= ladder.rungs().len();
        return hold(is_exhausted, "given up before its time");
    };
    let mut back = through_the_broker(&copy)?;
    back.exchange = RETURN.to_owned();
    let now = Past::of(&back);
    hold(now.attempts == past.attempts + 1, "the attempt was not counted")?;
    hold(now.exchange == past.exchange && now.routing_key == past.routing_key, "the way is lost")?;
    hold(now.first_failed_at == past.first_failed_at.or(Some(NOW)), "the first failure is lost")?;
    hold(back.body == delivery.body, "the body was changed")?;
    match reception.receive(back, NOW).content {
        Ok(again) => {
            let is_same = again.arrival.input == content.arrival.input
                && again.arrival.cause == content.arrival.cause
                && again.body_hash == content.body_hash;
            hold(is_same, "back from the ladder, it is another input")
        }
        // The ladder's own headers may be those too many.
        Err(refusal) if refusal.reason == Reason::BodyTooLarge => {
            hold(header_bytes(delivery) > 64 * 1024 - LADDER_BYTES, "a copy that does not fit")
        }
        Err(refusal) => Err(format!("back from the ladder, it is refused: {refusal}")),
    }
}

fn header_bytes(delivery: &Delivery) -> usize {
    serde_json::to_vec(&delivery.properties.headers).map_or(0, |json| json.len())
}

/// A message as it comes out of the broker: through lapin's types there and back.
fn through_the_broker(outgoing: &Outgoing) -> Result<Delivery, String> {
    let properties = convert::basic_properties(&outgoing.properties);
    let properties = properties.map_err(|error| format!("it can't be sent: {error}"))?;
    Ok(Delivery {
        tag: 1,
        returns: 0,
        exchange: outgoing.exchange.clone(),
        routing_key: outgoing.routing_key.clone(),
        properties: convert::properties(&properties),
        body: outgoing.body.clone(),
    })
}

/// What is given up is a letter that comes out of the queue as it went in, whole and to the byte.
fn becomes_a_letter(delivery: &Delivery, queue: &str, refusal: &Refusal) -> Result<(), String> {
    let letter = Letter::about(delivery, queue, "fuzz", refusal, NOW);
    hold(letter.body == delivery.body, "the letter's body is another")?;
    hold(letter.explanation.reason == refusal.reason, "the letter's reason is another")?;
    let outgoing = letter.outgoing();
    hold(outgoing.exchange == DEAD && outgoing.routing_key == queue, "the letter goes astray")?;
    let read = Letter::read(through_the_broker(&outgoing)?, "drain", NOW);
    hold(read == letter, "the letter is read otherwise")?;
    if is_skipped(delivery) {
        return Ok(());
    }
    let bare = letter.bare("why");
    let read = Letter::read(through_the_broker(&bare.outgoing())?, "drain", NOW);
    hold(read == bare && read.body == delivery.body, "the bare letter is read otherwise")
}

/// Whatever lies in a dead-letter queue is a letter, with moments that a calendar knows, and the
/// same again when it is handed over again.
fn reads_as_letter(input: &Input) -> Result<(), String> {
    let letter = Letter::read(input.delivery.clone(), "drain", NOW);
    is_in_time(&letter)?;
    if is_skipped(&input.delivery) {
        return Ok(());
    }
    is_read_again(&letter)?;
    // One of ours that was damaged, or forged by somebody who has seen one.
    let mut forged = handed_over(&letter);
    damage(&mut Rng::with_seed(input.delivery.tag), &mut forged.body);
    let letter = Letter::read(forged, "drain", NOW);
    is_in_time(&letter)?;
    is_read_again(&letter)
}

fn is_in_time(letter: &Letter) -> Result<(), String> {
    let latest = NOW.0 + 3_600_000_000;
    let moments = [letter.explanation.first_at.0, letter.explanation.last_at.0];
    let is_so = moments.iter().all(|moment| (0..=latest).contains(moment));
    hold(is_so, "a moment that no calendar knows")
}

fn is_read_again(letter: &Letter) -> Result<(), String> {
    let again = Letter::read(handed_over(letter), "drain", NOW);
    hold(again == *letter, "a stranger's letter changed")
}

fn handed_over(letter: &Letter) -> Delivery {
    let Outgoing { properties, body, exchange, routing_key, .. } = letter.outgoing();
    Delivery { tag: 1, returns: 0, exchange, routing_key, properties, body }
}

/// The costly checks that almost never differ from input to input are done for one in eight.
fn is_skipped(delivery: &Delivery) -> bool {
    !delivery.tag.is_multiple_of(8)
}

/// No randomness is needed for what is checked here.
struct Fixed;

impl Entropy for Fixed {
    fn next(&self) -> u64 {
        1 << 63
    }
}

/// The values in a table and in all that it holds, for whoever wants to know what was covered.
pub fn value_types(properties: &BasicProperties) -> Vec<char> {
    fn note(value: &AMQPValue, found: &mut Vec<char>) {
        found.push(value.get_type().get_id());
        match value {
            AMQPValue::FieldArray(list) => list.as_slice().iter().for_each(|v| note(v, found)),
            AMQPValue::FieldTable(table) => table.inner().values().for_each(|v| note(v, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for table in properties.headers().iter() {
        table.inner().values().for_each(|value| note(value, &mut found));
    }
    found
}
