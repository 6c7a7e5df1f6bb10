//! The one way to a RabbitMQ connection: with a name, a heartbeat, a deadline and TLS.

use std::time::Duration;

use lapin::tcp::OwnedTLSConfig;
use lapin::{Connection, ConnectionProperties, DefaultConnectionBuilder, ErrorKind};
use secrecy::ExposeSecret;

use crate::broker::BrokerError;
use crate::config::Address;

/// How long a connection may take to come about; lapin has no limit of its own.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Every half of this many seconds a sign of life; a dead peer is noticed after two of them.
const HEARTBEAT_SECONDS: &str = "10";

/// Connects to `address`; `name` shows up on the broker's management page.
pub async fn connect(address: &Address, name: &str) -> Result<Connection, BrokerError> {
    let tls = OwnedTLSConfig { identity: None, cert_chain: ca_certificates(address)? };
    let builder = DefaultConnectionBuilder::new()
        .map_err(|error| explain(address, &error))?
        .with_uri_str(uri(address))
        .with_properties(ConnectionProperties::default().with_connection_name(name.into()))
        .with_tls_config(tls);
    match tokio::time::timeout(CONNECT_TIMEOUT, builder.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(explain(address, &error)),
        Err(_) => Err(BrokerError::Unavailable(format!(
            "no connection to {} within {CONNECT_TIMEOUT:?}",
            place(address)
        ))),
    }
}

fn ca_certificates(address: &Address) -> Result<Option<String>, BrokerError> {
    let Some(file) = &address.ca_file else { return Ok(None) };
    match std::fs::read_to_string(file) {
        Ok(pem) => Ok(Some(pem)),
        Err(error) => {
            Err(BrokerError::Misconfigured(format!("can't read {}: {error}", file.display())))
        }
    }
}

/// The URI with its password; it must never be logged.
fn uri(address: &Address) -> String {
    let mut url = address.url.clone();
    if let Some(password) = &address.password {
        let _ = url.set_password(Some(password.expose_secret()));
    }
    if !url.query_pairs().any(|(name, _)| name == "heartbeat") {
        url.query_pairs_mut().append_pair("heartbeat", HEARTBEAT_SECONDS);
    }
    url.into()
}

fn place(address: &Address) -> String {
    let port = address.url.port().unwrap_or(if address.is_secured() { 5671 } else { 5672 });
    format!("{}:{port}", address.host())
}

/// Says in plain words what is wrong. Lapin calls a refused login a soft error, so codes decide.
fn explain(address: &Address, error: &lapin::Error) -> BrokerError {
    let place = place(address);
    let user = if address.url.username().is_empty() { "guest" } else { address.url.username() };
    let vhost = address.url.path().trim_start_matches('/');
    let vhost = if vhost.is_empty() { "/" } else { vhost };
    match error.kind() {
        ErrorKind::ProtocolError(amqp) => match amqp.get_id() {
            403 => BrokerError::Misconfigured(format!(
                "{place} refuses user {user}: wrong password, or no right to {vhost}"
            )),
            530 => BrokerError::Misconfigured(format!(
                "{place} has no vhost {vhost}, or user {user} may not enter it"
            )),
            _ => BrokerError::Unavailable(format!("{place}: {}", amqp.get_message())),
        },
        ErrorKind::IOError(error) => {
            BrokerError::Unavailable(format!("no connection to {place}: {error}"))
        }
        _ => BrokerError::Unavailable(format!("no connection to {place}: {error}")),
    }
}
