//! Declares the topology on RabbitMQ, and verifies that it is there.

use std::collections::BTreeMap;

use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use orderly_contracts::routes::Party;

use crate::amqp::broker::AmqpBroker;
use crate::broker::BrokerError;
use crate::retry::Ladder;
use crate::topology::{EXCHANGES, Queue, Role, WORKERS, queues};

/// Declares every exchange, queue and binding. What exists already must be the same.
pub async fn declare(broker: &AmqpBroker, ladder: &Ladder) -> Result<(), BrokerError> {
    let channel = broker.channel().await?;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    for exchange in &EXCHANGES {
        let kind = ExchangeKind::Custom(exchange.kind.to_owned());
        channel
            .exchange_declare(exchange.name.into(), kind, durable, FieldTable::default())
            .await?;
    }
    for queue in WORKERS.into_iter().flat_map(|party| queues(party, ladder)) {
        channel
            .queue_declare(
                queue.name.as_str().into(),
                QueueDeclareOptions::durable(),
                table(&queue),
            )
            .await
            .map_err(|error| {
                BrokerError::Misconfigured(format!("queue {}: {error}", queue.name))
            })?;
        for (exchange, key) in &queue.bindings {
            channel
                .queue_bind(
                    queue.name.as_str().into(),
                    (*exchange).into(),
                    key.as_str().into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await?;
        }
    }
    channel.close(200, "done".into()).await?;
    Ok(())
}

/// The arguments a queue is declared with, by name.
pub fn arguments(queue: &Queue) -> BTreeMap<&'static str, AMQPValue> {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut arguments = BTreeMap::from([("x-queue-type", text("quorum"))]);
    if let Some((exchange, key)) = queue.dead_letter() {
        // By default a dead-lettered message may be lost on its way; these two make it safe.
        arguments.insert("x-dead-letter-strategy", text("at-least-once"));
        arguments.insert("x-overflow", text("reject-publish"));
        arguments.insert("x-dead-letter-exchange", text(exchange));
        if let Some(key) = key {
            arguments.insert("x-dead-letter-routing-key", text(key));
        }
    }
    if let Role::Retry { delay } = queue.role {
        let ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        arguments.insert("x-message-ttl", AMQPValue::LongLongInt(ms));
    }
    arguments.insert("x-delivery-limit", AMQPValue::LongLongInt(queue.delivery_limit().into()));
    arguments
}

fn table(queue: &Queue) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments(queue) {
        table.insert(name.into(), value);
    }
    table
}

/// Checks that everything `party` uses exists; the error names all that is missing.
pub async fn verify(broker: &AmqpBroker, party: Party, ladder: &Ladder) -> Result<(), BrokerError> {
    let mut missing = Vec::new();
    for exchange in &EXCHANGES {
        // A check that fails kills its channel, so each has one of its own.
        let channel = broker.channel().await?;
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let kind = ExchangeKind::Custom(exchange.kind.to_owned());
        match channel
            .exchange_declare(exchange.name.into(), kind, options, FieldTable::default())
            .await
        {
            Ok(()) => channel.close(200, "done".into()).await?,
            Err(error) => missing.push(format!("exchange {}: {error}", exchange.name)),
        }
    }
    for queue in queues(party, ladder) {
        let channel = broker.channel().await?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        match channel
            .queue_declare(queue.name.as_str().into(), options, FieldTable::default())
            .await
        {
            Ok(_) => channel.close(200, "done".into()).await?,
            Err(error) => missing.push(format!("queue {}: {error}", queue.name)),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(BrokerError::Misconfigured(format!("run `orderly setup`; {}", missing.join("; "))))
}
