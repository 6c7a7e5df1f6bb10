//! Private nodes with proxies before them, for faults of servers and lines; any number of systems
//! may live on them, one after the other.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use orderly_devstack::{Nodes, SERVICES, variable};
use serde_json::Value;
use tokio::task::block_in_place;

use crate::proxy::{Protocol, Proxy};
use crate::target::Target;

/// A heartbeat, in seconds, with which a silent broker is noticed after four.
const HEARTBEAT: &str = "2";

/// Nodes, and proxies before them.
pub struct Rig {
    /// RabbitMQ and PostgreSQL.
    pub nodes: Nodes,
    /// Before RabbitMQ.
    pub broker: Proxy,
    /// Before PostgreSQL.
    pub database: Proxy,
}

impl Rig {
    /// Starts everything.
    pub fn start(seed: u64) -> Result<Self> {
        let nodes = block_in_place(Nodes::start)?;
        let endpoints = nodes.endpoints();
        let address = |host: &str, port: u16| format!("{host}:{port}").parse::<SocketAddr>();
        let broker = address(&endpoints.broker.host, endpoints.broker.amqp_port)?;
        let database = address(&endpoints.database.host, endpoints.database.port)?;
        Ok(Self {
            broker: Proxy::start(broker, Protocol::Amqp, seed)?,
            database: Proxy::start(database, Protocol::Postgres, seed)?,
            nodes,
        })
    }

    /// A fresh system whose workers, but nobody else, go through the proxies.
    pub async fn target(&self) -> Result<Target> {
        let mut target = Target::prepare_on(self.nodes.endpoints(), &[]).await?;
        let bed = target.system().bed();
        let broker = self.broker.before(&bed.amqp_url());
        let databases = SERVICES.map(|service| {
            (variable(service, "DATABASE_URL"), self.database.before(&bed.database_url(service)))
        });
        let broker = format!("{broker}?heartbeat={HEARTBEAT}");
        target.set_for_workers("ORDERLY_BROKER_URL", broker);
        for (name, url) in databases {
            target.set_for_workers(&name, url);
        }
        Ok(target)
    }

    /// Has the broker close every connection of a system.
    pub fn close_connections(&self, target: &Target) -> Result<()> {
        let endpoints = self.nodes.endpoints();
        let path = format!("/api/vhosts/{}/connections", target.system().bed().vhost());
        let open = block_in_place(|| endpoints.management_get(&path))?;
        for connection in open.as_array().context("connections are a list")? {
            let name = connection.get("name").and_then(Value::as_str).unwrap_or_default();
            let name = name.replace(' ', "%20").replace('>', "%3E");
            // It may have gone by itself.
            let _ =
                block_in_place(|| endpoints.management_delete(&format!("/api/connections/{name}")));
        }
        Ok(())
    }

    /// Takes the broker's memory away, or gives it back.
    pub fn starve(&self, is_starved: bool) -> Result<()> {
        let mark = if is_starved { "0.00001" } else { "0.4" };
        let arguments = ["set_vm_memory_high_watermark", mark];
        block_in_place(|| self.nodes.rabbitmqctl(&arguments)).map(drop)
    }

    /// Undoes whatever is wrong with the lines.
    pub fn heal(&self) -> Result<()> {
        self.broker.heal()?;
        self.database.heal()
    }
}
