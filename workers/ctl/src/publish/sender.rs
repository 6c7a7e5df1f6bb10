//! The way to the broker: windows with confirms, and patience where the broker is away or full.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use orderly_contracts::envelope::SENT_AT;
use orderly_contracts::routes::{COMMANDS, route};
use orderly_runtime::amqp::broker::{AmqpBroker, AmqpPublisher};
use orderly_runtime::broker::{Broker, BrokerError, Confirmation, Publisher};
use orderly_runtime::clock::{Clock, SystemClock, SystemEntropy};
use orderly_runtime::message::{Outgoing, Properties};
use orderly_runtime::retry::Pauses;
use orderly_runtime::trace;
use orderly_runtime::trace::context::SpanId;
use orderly_runtime::trace::tracer::published;

use super::record::Draft;
use crate::connections::{self, NAME};
use crate::output::count;
use crate::settings::Settings;

/// The most messages that wait for their confirms at once.
pub const WINDOW: usize = 200;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The broker has it.
    Confirmed,
    /// No queue takes it.
    Returned,
}

/// Publishes messages until each is confirmed or returned.
pub struct Sender<'a> {
    settings: &'a Settings,
    patience: Duration,
    connection: Option<(AmqpBroker, AmqpPublisher)>,
    pauses: Pauses,
}

impl<'a> Sender<'a> {
    /// Connects at once: who calls a command waits for an answer, not for a server. Later on a
    /// broker that is away or full is waited for, as long as `patience` lasts without progress.
    pub async fn connect(settings: &'a Settings, patience: Duration) -> Result<Self> {
        let broker = connections::broker(settings).await?;
        let publisher = broker.publisher().await?;
        Ok(Self {
            settings,
            patience,
            connection: Some((broker, publisher)),
            pauses: Pauses::default(),
        })
    }

    /// Publishes `drafts` as the contract wants them.
    pub async fn send(&mut self, drafts: &[Draft]) -> Result<Vec<Fate>> {
        let began = SystemClock.now();
        let (messages, parents): (Vec<_>, Vec<_>) = drafts.iter().map(outgoing).unzip();
        let fates = self.deliver(&messages).await?;
        trace::record(|_| {
            let period = (began, SystemClock.now());
            let spans = messages.iter().zip(parents).zip(&fates);
            let spans = spans.filter(|(_, fate)| **fate == Fate::Confirmed);
            spans
                .filter_map(move |((one, parent), _)| published(one, parent, period))
                .collect::<Vec<_>>()
        });
        Ok(fates)
    }

    /// Publishes `all`; what is not confirmed is published again, under the same ids.
    pub async fn deliver(&mut self, all: &[Outgoing]) -> Result<Vec<Fate>> {
        let mut fates = vec![None; all.len()];
        let mut progress = Instant::now();
        loop {
            let open: Vec<usize> = (0..all.len()).filter(|index| fates[*index].is_none()).collect();
            if open.is_empty() {
                return Ok(fates.into_iter().flatten().collect());
            }
            let messages: Vec<_> = open.iter().map(|index| all[*index].clone()).collect();
            let problem = match self.publish(&messages).await {
                Ok(confirmations) => {
                    for (index, confirmation) in open.iter().zip(confirmations) {
                        fates[*index] = match confirmation {
                            Confirmation::Confirmed => Some(Fate::Confirmed),
                            Confirmation::Returned => Some(Fate::Returned),
                            Confirmation::Refused => None,
                        };
                    }
                    if open.iter().any(|index| fates[*index].is_some()) {
                        progress = Instant::now();
                        self.pauses.reset();
                    }
                    BrokerError::Unavailable("the broker refuses more: a queue is full".to_owned())
                }
                Err(error) => {
                    self.connection = None;
                    error
                }
            };
            let open = fates.iter().filter(|fate| fate.is_none()).count();
            if open > 0 {
                self.wait(open, &problem, progress).await?;
            }
        }
    }

    /// Closes the connections.
    pub async fn close(self) {
        if let Some((broker, _)) = self.connection {
            broker.close().await;
        }
    }

    async fn publish(&mut self, messages: &[Outgoing]) -> Result<Vec<Confirmation>, BrokerError> {
        if self.connection.is_none() {
            let address = self.settings.broker();
            let address = address.map_err(|error| BrokerError::Unavailable(error.to_string()))?;
            let broker = AmqpBroker::connect(&address, NAME).await?;
            let publisher = broker.publisher().await?;
            self.connection = Some((broker, publisher));
        }
        match &mut self.connection {
            Some((_, publisher)) => publisher.publish(messages).await,
            None => Err(BrokerError::Unavailable("not connected".to_owned())),
        }
    }

    async fn wait(&mut self, open: usize, problem: &BrokerError, progress: Instant) -> Result<()> {
        let messages = count(open as u64, "message");
        if problem.to_string().contains("NOT_FOUND") {
            bail!("{messages} not confirmed: {problem}; run `orderly setup` first");
        }
        // A right or an exchange that is missing doesn't come by waiting.
        let is_lasting = matches!(problem, BrokerError::Misconfigured(_));
        if is_lasting || progress.elapsed() >= self.patience {
            bail!("{messages} not confirmed: {problem}");
        }
        eprintln!("orderly: {problem}; trying again with {messages}");
        self.pauses.pause(is_lasting, &SystemClock, &SystemEntropy).await;
        Ok(())
    }
}

/// The message as the contract wants it, and the span that led to it, if there is one.
fn outgoing(draft: &Draft) -> (Outgoing, Option<SpanId>) {
    let now = SystemClock.now().0;
    let mut properties = Properties {
        correlation_id: draft.correlation.clone(),
        timestamp: u64::try_from(now / 1_000_000).ok(),
        app_id: Some(NAME.to_owned()),
        ..Properties::of(&draft.kind, draft.message_id.as_str())
    };
    properties.set_header(SENT_AT, now);
    for (name, value) in &draft.headers {
        properties.set_header(name, value.clone());
    }
    let about = draft.correlation.as_deref().unwrap_or(&draft.message_id);
    let parent = trace::tracer().and_then(|tracer| tracer.embark(&mut properties, about));
    let outgoing = Outgoing {
        exchange: route(&draft.kind).map_or(COMMANDS, |route| route.exchange).to_owned(),
        routing_key: draft.routing_key.clone(),
        // Also an event nobody needs is sent by hand for somebody.
        mandatory: true,
        properties,
        body: draft.body.clone(),
    };
    (outgoing, parent)
}
