//! Where a pair of nodes listens, and who may come in.

use std::fmt::Write;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The variable that names the file with the endpoints of the nodes that tests share.
pub const SHARED_NODES: &str = "ORDERLY_TEST_NODES";

/// Addresses and credentials of one RabbitMQ and one PostgreSQL node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Endpoints {
    /// The RabbitMQ node.
    pub broker: BrokerEndpoint,
    /// The PostgreSQL node.
    pub database: DatabaseEndpoint,
    /// The certificate of the authority that signed both nodes' certificates (for the name `localhost`).
    pub ca_file: PathBuf,
}

/// Where RabbitMQ listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BrokerEndpoint {
    /// The address of all its listeners.
    pub host: String,
    /// AMQP 0-9-1.
    pub amqp_port: u16,
    /// AMQP 0-9-1 over TLS.
    pub amqps_port: u16,
    /// The management page and its HTTP API.
    pub management_port: u16,
    /// The broker's own metrics.
    pub prometheus_port: u16,
    /// An administrator.
    pub user: String,
    /// The administrator's password.
    pub password: String,
}

/// Where PostgreSQL listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatabaseEndpoint {
    /// The address it listens on.
    pub host: String,
    /// The port, for plain and TLS connections alike.
    pub port: u16,
    /// The superuser.
    pub superuser: String,
    /// The superuser's password.
    pub password: String,
}

impl Endpoints {
    /// `amqp://user:password@host:port/vhost`.
    pub fn amqp_url(&self, vhost: &str) -> String {
        let it = &self.broker;
        let vhost = percent_encode(vhost);
        format!("amqp://{}:{}@{}:{}/{vhost}", it.user, it.password, it.host, it.amqp_port)
    }

    /// `amqps://user:password@localhost:port/vhost`; the certificate knows no other host name.
    pub fn amqps_url(&self, vhost: &str) -> String {
        let it = &self.broker;
        let vhost = percent_encode(vhost);
        format!("amqps://{}:{}@localhost:{}/{vhost}", it.user, it.password, it.amqps_port)
    }

    /// `http://user:password@host:port`.
    pub fn management_url(&self) -> String {
        self.broker.management_url()
    }

    /// `postgres://superuser:password@host:port/name`.
    pub fn database_url(&self, name: &str) -> String {
        let it = &self.database;
        let name = percent_encode(name);
        format!("postgres://{}:{}@{}:{}/{name}", it.superuser, it.password, it.host, it.port)
    }

    /// Writes these endpoints to a file that its owner alone may read.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_private(path, &serde_json::to_string_pretty(self)?)
    }
}

impl BrokerEndpoint {
    pub(crate) fn management_url(&self) -> String {
        format!("http://{}:{}@{}:{}", self.user, self.password, self.host, self.management_port)
    }
}

/// The nodes that `devstack run` started for the command this process is a part of.
pub fn shared() -> Result<Endpoints> {
    let path = std::env::var_os(SHARED_NODES).with_context(|| {
        format!(
            "{SHARED_NODES} is not set: these tests need nodes; run them with ./scripts/test, \
             or with `devstack run -- cargo test`"
        )
    })?;
    let path = Path::new(&path);
    let text = fs::read_to_string(path)
        .with_context(|| format!("{SHARED_NODES} names {}, which is unreadable", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
}

/// Writes a file with secrets: mode 600 from its first moment, and complete or not there at all.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    let draft = path.with_extension("draft");
    let write = || {
        let mut options = File::options();
        let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&draft, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Encodes everything but unreserved characters, so that a name can stand between two slashes of a URL.
pub(crate) fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_a_url() {
        assert_eq!(percent_encode("/"), "%2F");
        assert_eq!(percent_encode("a b?ü"), "a%20b%3F%C3%BC");
        assert_eq!(percent_encode("order_7-x.y~z"), "order_7-x.y~z");
    }
}
