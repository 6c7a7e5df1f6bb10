//! The sources: each looks by itself, again and again, and recovers by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use orderly_contracts::routes::Party;
use orderly_runtime::amqp::broker::AmqpBroker;
use orderly_runtime::broker::Depth;
use orderly_runtime::topology::{WORKERS, work_queues};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::snapshot::{Managed, Update};
use super::tables::Watch;
use crate::connections;
use crate::look::within;
use crate::management::Management;
use crate::settings::Settings;

/// How often a source looks.
pub(super) const PERIOD: Duration = Duration::from_secs(1);
/// How often the management API is asked: its numbers change every five seconds.
const MANAGEMENT_PERIOD: Duration = Duration::from_secs(2);
/// How long a source may take before it counts as away.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// Starts all sources. They end when nobody listens any more.
pub(super) fn start(settings: &Settings) -> Result<mpsc::Receiver<Update>> {
    let (news, heard) = mpsc::channel(16);
    let address = settings.broker()?;
    tokio::spawn(depths(settings.clone(), news.clone()));
    if let Some(api) = settings.management()? {
        tokio::spawn(managed(Management::new(api, &address, LIMIT), news.clone()));
    }
    for party in WORKERS {
        tokio::spawn(tables(settings.clone(), party, news.clone()));
    }
    Ok(heard)
}

async fn depths(settings: Settings, news: mpsc::Sender<Update>) {
    let mut broker: Option<AmqpBroker> = None;
    loop {
        let next = Instant::now() + PERIOD;
        let look = within(LIMIT, async {
            let broker = match &broker {
                Some(broker) => broker,
                None => broker.insert(connections::broker(&settings).await?),
            };
            look_at_depths(broker).await
        });
        let look = look.await;
        if look.is_err() {
            broker = None;
        }
        if news.send(Update::Depths(look)).await.is_err() {
            return;
        }
        sleep_until(next).await;
    }
}

async fn look_at_depths(broker: &AmqpBroker) -> Result<BTreeMap<String, Depth>> {
    let queues: Vec<&str> = WORKERS.into_iter().flat_map(work_queues).collect();
    let depths = broker.depths(&queues).await?;
    Ok(queues.into_iter().map(str::to_owned).zip(depths).collect())
}

async fn managed(api: Management, news: mpsc::Sender<Update>) {
    loop {
        let next = Instant::now() + MANAGEMENT_PERIOD;
        let (answer, answered) = oneshot::channel();
        let api = api.clone();
        // A thread of its own, for the client waits for its answers: leaving doesn't wait for it.
        std::thread::spawn(move || answer.send(look_at_management(&api)));
        let look = within(LIMIT, async { answered.await.context("the look ended early")? }).await;
        if news.send(Update::Managed(look)).await.is_err() {
            return;
        }
        sleep_until(next).await;
    }
}

fn look_at_management(api: &Management) -> Result<Managed> {
    let vhost = api.vhost();
    let queues = api.get(&format!(
        "/api/queues/{vhost}?columns=name,messages_ready,messages_unacknowledged,consumers,\
         message_stats.publish_details.rate,message_stats.ack_details.rate,\
         message_stats.deliver_no_ack_details.rate"
    ))?;
    // Not every user may see these.
    let connections = format!(
        "/api/vhosts/{vhost}/connections?columns=client_properties.connection_name,\
         user_provided_name"
    );
    let connections = api.get(&connections).ok();
    let nodes = api.get("/api/nodes?columns=name,mem_alarm,disk_free_alarm").ok();
    Ok(Managed::of(&queues, connections.as_ref(), nodes.as_ref()))
}

async fn tables(settings: Settings, party: Party, news: mpsc::Sender<Update>) {
    let mut watch: Option<Watch> = None;
    loop {
        let next = Instant::now() + PERIOD;
        let look = within(LIMIT, async {
            let watch = match &mut watch {
                Some(watch) => watch,
                None => watch.insert(Watch::begin(&settings, party).await?),
            };
            watch.look().await
        });
        let look = look.await;
        if look.is_err() {
            watch = None;
        }
        if news.send(Update::Tables(party, look)).await.is_err() {
            return;
        }
        sleep_until(next).await;
    }
}
